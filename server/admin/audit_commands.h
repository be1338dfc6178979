/* What the files of the audit commands share. */
#ifndef SERVER_ADMIN_AUDIT_COMMANDS_H
#define SERVER_ADMIN_AUDIT_COMMANDS_H

#include "server/admin/admin_db.h"
#include "server/admin/audit_check.h"

/* `holdfast audit verify FILE`: tells every finding. */
enum cli_exit audit_verify_file(struct cli *cli, const char *path);
/* Verifies a file with what `check` has set; tells findings and errors. `rows`: JSON array for
 * them, or NULL: text. */
struct json_t;
enum cli_exit audit_check_path(struct cli *cli, const char *path, struct audit_check *check,
                               struct json_t *rows);
/* Whether the signatures of all stubs are right and the attestation key is the one that this node
 * pins; after audit.verify(), because a superuser of the database could change that. Tells what is
 * wrong. */
enum cli_exit audit_check_stubs(struct cli *cli, const struct config *config, struct db_admin *db);
/* Whether text is a month, "2026-01". */
bool audit_is_month(const char *text);

#endif
