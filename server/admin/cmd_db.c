/*
 * `holdfast db` and `holdfast audit`: migrations, and the audit trail as the auditor sees it.
 */
#include "config.h"

#include <jansson.h>

#include "server/admin/audit_commands.h"

static void show_progress(void *arg, const char *text)
{
    struct cli *cli = arg;
    if (!cli_given(cli, OPT_JSON))
        fprintf(cli->out, "%s\n", text);
}

enum cli_exit cmd_db_migrate(struct cli *cli)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_MIGRATOR, NULL, &db);
    if (code != CLI_DONE)
        return code;
    unsigned before = 0, have = 0, want = 0;
    rc_t rc = db_migration_state(db, &before, &want);
    if (rc == RC_OK)
        rc = db_migrate(db, show_progress, cli);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the database was not migrated; what was applied stays");
    rc = db_migration_state(db, &have, &want);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the schema's number cannot be read");
    char detail[64];
    snprintf(detail, sizeof detail, "schema=%u was=%u", have, before);
    if (have != before && (rc = db_audit_note(db, "Admin Migrate", detail)) != RC_OK)
        return admin_db_fail(cli, db, rc, "the database was migrated, but the audit row was not written");
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b, s:i, s:i}", "ok", have == want, "schema", (int)have, "wanted",
                                             (int)want));
    fprintf(cli->out, "The database has schema %u, the one of this version.\n", have);
    return CLI_DONE;
}

struct verify_print {
    struct cli *cli;
    json_t *rows;
};

static bool print_verify_row(void *arg, const struct db_verify_row *row)
{
    struct verify_print *p = arg;
    if (p->rows)
        json_array_append_new(p->rows, json_pack("{s:b, s:s, s:I, s:s, s:s}", "good", row->good, "stream", row->stream,
                                                 "seq", (json_int_t)row->seq, "what", row->what, "detail",
                                                 row->detail));
    else if (row->good)
        fprintf(p->cli->out, "%s: %s\n", row->what, row->detail);
    else
        fprintf(p->cli->out, "%s: stream %s, row %lld: %s\n", row->what, row->stream, (long long)row->seq, row->detail);
    return true;
}

enum cli_exit cmd_audit_verify(struct cli *cli)
{
    struct config config;
    if (cli->argument_count == 1)
        return audit_verify_file(cli, cli->arguments[0]);
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_AUDITOR, &config, &db);
    if (code != CLI_DONE)
        return code;
    struct verify_print print = {cli, cli_given(cli, OPT_JSON) ? json_array() : NULL};
    rc_t rc = db_audit_verify(db, print_verify_row, &print);
    if (print.rows)
        cli_print_json(cli, json_pack("{s:b, s:o}", "ok", rc == RC_OK, "rows", print.rows));
    if (rc == RC_INTEGRITY)
        return cli_fail(cli, CLI_DAMAGE,
                        "Keep the database as it is, find out who could write to it, and compare with a backup.",
                        "the audit trail was changed: the rows above do not fit their chain");
    return rc == RC_OK ? audit_check_stubs(cli, &config, db)
                       : admin_db_fail(cli, db, rc, "the audit trail was not verified");
}

static bool print_event(void *arg, const struct db_event_row *e)
{
    struct verify_print *p = arg;
    if (p->rows) {
        json_array_append_new(
            p->rows, json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, "
                               "s:s?, s:s?}",
                               "at", e->at, "stream", e->stream, "seq", e->seq, "client", e->client, "fingerprint",
                               e->fingerprint, "address", e->address, "protocol", e->protocol, "correlation",
                               e->correlation, "position", e->position, "operation", e->operation, "object", e->object,
                               "result", e->result, "reason", e->reason, "duration_us", e->duration_us, "detail",
                               e->detail, "hash", e->hash));
        return true;
    }
    fprintf(p->cli->out, "%s  %-14s %-22s %-36s %s%s%s  %s\n", e->at ? e->at : "", e->client ? e->client : "-",
            e->operation ? e->operation : "-", e->object ? e->object : "-", e->result ? e->result : "-",
            e->reason ? ", " : "", e->reason ? e->reason : "", e->detail ? e->detail : "");
    return true;
}

enum cli_exit cmd_audit_tail(struct cli *cli)
{
    long lines = 20;
    enum cli_exit code = cli_number(cli, OPT_LINES, 1, 100000, &lines);
    AUTO_DB db = NULL;
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_AUDITOR, NULL, &db);
    if (code != CLI_DONE)
        return code;
    int64_t cursor = 0;
    struct verify_print print = {cli, cli_given(cli, OPT_JSON) ? json_array() : NULL};
    rc_t rc = db_audit_tail(db, (unsigned)lines, &cursor, print_event, &print);
    return admin_db_listed(cli, db, rc, print.rows, "the audit events cannot be read");
}
