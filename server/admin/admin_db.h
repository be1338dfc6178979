/*
 * The database as the administration commands reach it: which connection, as which role, and how a failure
 * is told.
 */
#ifndef SERVER_ADMIN_ADMIN_DB_H
#define SERVER_ADMIN_ADMIN_DB_H

#include "db/admin.h"
#include "server/admin/cli.h"

#define AUTO_DB __attribute__((cleanup(db_admin_close))) struct db_admin *

/*
 * Connects as `role` with the configured connection, or, where --database is given, exactly as that says. Names
 * the operator for the audit rows. Tells the error.
 */
enum cli_exit admin_db_open(struct cli *cli, const struct config *config, const char *role, struct db_admin **out);
/* What most commands begin with: reads the configuration, into *config unless that is NULL, and connects as above. */
enum cli_exit admin_db_begin(struct cli *cli, const char *role, struct config *config, struct db_admin **out);
/* Ends a listing: tells the failure, "WHAT: text", or prints the rows; `rows` is NULL where each was printed. */
enum cli_exit admin_db_listed(struct cli *cli, struct db_admin *db, rc_t rc, struct json_t *rows, const char *what);
/* Tells what the database's last call had to say: "WHAT: text". */
enum cli_exit admin_db_fail(struct cli *cli, struct db_admin *db, rc_t rc, const char *what);

#endif
