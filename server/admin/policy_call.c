/* See policy_call.h. */
#include "config.h"

#include "server/admin/policy_call.h"

#include <string.h>

enum cli_exit policy_reason(struct cli *cli)
{
    if (cli_given(cli, OPT_WHY))
        return CLI_DONE;
    return cli_fail(cli, CLI_USAGE, "The audit trail keeps it for those who come later.",
                    "say why: --reason TEXT");
}

enum cli_exit policy_done(struct cli *cli, const char *done)
{
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b, s:s}", "ok", 1, "done", done));
    fprintf(cli->out, "%s\n", done);
    return CLI_DONE;
}

enum cli_exit policy_change(struct cli *cli, const char *function, size_t count,
                            const char *const *values, const char *done, const char *not_done)
{
    AUTO_DB db = NULL;
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_policy_call(db, function, count, values);
    return rc == RC_OK ? policy_done(cli, done) : admin_db_fail(cli, db, rc, not_done);
}

struct list {
    struct cli *cli;
    policy_print_fn *print;
    json_t *rows; /* NULL: print each one */
    bool failed;
};

static bool list_row(void *arg, const char *json)
{
    struct list *l = arg;
    json_t *row = json_loads(json, 0, NULL);
    l->failed = !row;
    if (row && !l->rows)
        l->print(l->cli->out, row);
    else if (row)
        l->failed = json_array_append(l->rows, row) != 0;
    json_decref(row);
    return !l->failed;
}

enum cli_exit policy_list(struct cli *cli, const char *what, policy_print_fn *print)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    struct list l = {
        .cli = cli, .print = print, .rows = cli_given(cli, OPT_JSON) ? json_array() : NULL};
    rc_t rc = db_policy_rows(db, what, list_row, &l);
    if (rc == RC_OK && l.failed)
        rc = RC_NO_MEMORY;
    return admin_db_listed(cli, db, rc, l.rows, "they cannot be listed");
}

const char *policy_text(const json_t *row, const char *column, const char *preset)
{
    const char *text = json_string_value(json_object_get(row, column));
    return text ? text : preset;
}

const char *policy_domain(const struct cli *cli)
{
    return cli_value(cli, OPT_DOMAIN, "default");
}

enum cli_exit policy_yes_no(struct cli *cli, enum cli_option option, const char **value)
{
    const char *said = cli->option[option];
    *value = !said                      ? NULL
             : strcmp(said, "yes") == 0 ? "true"
             : strcmp(said, "no") == 0  ? "false"
                                        : "";
    if (*value && !**value)
        return cli_fail(cli, CLI_USAGE, NULL, "'%s' is neither yes nor no", said);
    return CLI_DONE;
}
