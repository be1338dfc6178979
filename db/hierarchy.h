/*
 * The rows of the key hierarchy (tables kmip.node, cr, cs, ep, dk) in PostgreSQL. A worker loads
 * them with DB_LOAD_HIERARCHY and stores what an unsealing vault makes anew with
 * db_hierarchy_store_async(); the CLI does both synchronously. Structures:
 * server/vault/hierarchy.h. Nothing here is secret.
 */
#ifndef DB_HIERARCHY_H
#define DB_HIERARCHY_H

#include "server/vault/hierarchy.h"

struct db;
struct db_admin;

/* All rows, into the arena. RC_UNAVAILABLE, RC_NO_MEMORY, RC_TOO_LARGE; text in db_admin_error().
 */
rc_t db_hierarchy_load(struct db_admin *admin, struct arena *arena, struct hierarchy *out);

/*
 * Stores the rows in one transaction, together with one audit row `operation` ("Admin Initialise",
 * "Admin Recovery", ...). Rows with a known key are replaced, others added, none removed.
 */
rc_t db_hierarchy_store(struct db_admin *admin, const struct hierarchy *rows, const char *operation,
                        const char *detail);

/* True when there is no cluster root yet: `holdfast init` may run. */
rc_t db_hierarchy_is_empty(struct db_admin *admin, bool *empty_out);

/*
 * The same store from a worker, on its load connection. Copies the rows. done(arg, rc) is called
 * later: RC_OK, RC_UNAVAILABLE, RC_INTERNAL.
 */
void db_hierarchy_store_async(struct db *db, const struct hierarchy *rows,
                              void (*done)(void *arg, rc_t rc), void *arg);

#endif
