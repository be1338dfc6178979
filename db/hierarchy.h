/*
 * The rows of the key hierarchy (tables kmip.node, cr, cs, ep, dk) in PostgreSQL. A worker loads
 * them with DB_LOAD_HIERARCHY and stores the keys of new domains; the CLI loads and stores
 * synchronously. Structures: server/vault/hierarchy.h. Nothing here is secret.
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
 * "Admin Recovery", ...). Rows with a known key are replaced, others added, none removed. `enrolled`
 * (NULL: none) is a node that was just set up: stubs of audit months are believed by its attestation
 * key from now on, which only the owner of the schema may say (db_hierarchy_may_enrol()).
 */
rc_t db_hierarchy_store(struct db_admin *admin, const struct hierarchy *rows, const struct hierarchy_node *enrolled,
                        const char *operation, const char *detail);
/* Asked before a node is set up. RC_DENIED: the connection's role may not. */
rc_t db_hierarchy_may_enrol(struct db_admin *admin);

/* True when there is no cluster root yet: `holdfast init` may run. */
rc_t db_hierarchy_is_empty(struct db_admin *admin, bool *empty_out);

typedef void db_domain_key_fn(void *arg, rc_t rc);

/*
 * From a worker, on its load connection: stores the first key of a domain, as a vault made it, with
 * an audit row. Where another server was first nothing is stored, and the result is RC_OK too: what
 * a vault may use are the rows that are loaded afterwards. done(arg, rc) is called once, perhaps at
 * once: RC_OK, RC_UNAVAILABLE (it may be stored all the same), RC_INTERNAL.
 */
void db_domain_key_add(struct db *db, const struct hierarchy_dk *row, db_domain_key_fn *done,
                       void *arg);
/* The same for the note that a vault has opened a domain's stored key: the domain waits no longer.
 */
void db_domain_keyed(struct db *db, uint64_t domain, db_domain_key_fn *done, void *arg);

#endif
