/* The database as the administration commands reach it; see admin_db.h. */
#include "config.h"

#include "server/admin/admin_db.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "proto/base/wipe.h"

static void name_operator(struct db_admin *db)
{
    char host[128] = "", who[256];
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *user = getpwuid(getuid());
    snprintf(who, sizeof who, "%.60s%s%.60s@%s", user ? user->pw_name : "?", sudo ? " for " : "", sudo ? sudo : "",
             host);
    db_admin_set_operator(db, who);
}

enum cli_exit admin_db_open(struct cli *cli, const struct config *config, const char *role, struct db_admin **out)
{
    const char *conninfo = cli_value(cli, OPT_DATABASE, config->database_conninfo);
    if (cli_given(cli, OPT_DATABASE))
        role = NULL;
    rc_t rc = db_admin_open(conninfo, role, out);
    if (rc != RC_OK) {
        enum cli_exit code = cli_fail(
            cli, rc == RC_UNAVAILABLE ? CLI_CONNECT : CLI_INTERNAL,
            "Is PostgreSQL running, and may you connect as this role (pg_hba.conf, pg_ident.conf)? --database CONNINFO "
            "connects otherwise.",
            "the database cannot be reached%s%s: %s", role ? " as " : "", role ? role : "",
            *out ? db_admin_error(*out) : rc_text(rc));
        db_admin_close(out);
        return code;
    }
    name_operator(*out);
    return CLI_DONE;
}

enum cli_exit admin_db_begin(struct cli *cli, const char *role, struct config *config, struct db_admin **out)
{
    struct config own;
    if (!config)
        config = &own;
    enum cli_exit code = cli_config(cli, config);
    if (code == CLI_DONE)
        code = admin_db_open(cli, config, role, out);
    wipe(&own, sizeof own); /* its conninfo may have a password */
    return code;
}

enum cli_exit admin_db_listed(struct cli *cli, struct db_admin *db, rc_t rc, json_t *rows, const char *what)
{
    if (rc == RC_OK)
        return rows ? cli_print_json(cli, rows) : CLI_DONE;
    json_decref(rows);
    return admin_db_fail(cli, db, rc, what);
}

enum cli_exit admin_db_fail(struct cli *cli, struct db_admin *db, rc_t rc, const char *what)
{
    const char *detail = db_admin_error(db);
    return cli_fail(cli, rc == RC_UNAVAILABLE ? CLI_CONNECT : cli_exit_of(rc), db_admin_hint(db),
                    "%s: %s", what, detail && *detail ? detail : rc_text(rc));
}
