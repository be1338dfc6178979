/*
 * `holdfast requests`, `approve` and `refuse`: what clients asked for and administrators decide.
 * The functions of the database count who approves.
 */
#include "config.h"

#include <string.h>

#include "server/admin/policy_call.h"

/* A column that holds a list of texts, with commas between. */
static void print_texts(FILE *out, const json_t *row, const char *column, const char *before,
                        const char *after)
{
    size_t i;
    json_t *text;
    json_array_foreach(json_object_get(row, column), i, text)
        fprintf(out, "%s%s", i ? ", " : before, json_string_value(text));
    if (json_array_size(json_object_get(row, column)))
        fputs(after, out);
}

static long long number_of(const json_t *row, const char *column)
{
    return json_integer_value(json_object_get(row, column));
}

static void print_request(FILE *out, const json_t *row)
{
    fprintf(out, "%lld  client %s of domain %s wants %s of %s", number_of(row, "number"),
            policy_text(row, "client", "?"), policy_text(row, "domain", "?"),
            policy_text(row, "permission", "?"), policy_text(row, "object", "?"));
    print_texts(out, row, "names", " (", ")");
    fprintf(out, "\n    %s: %lld of %lld approvals", policy_text(row, "state", "?"),
            number_of(row, "approvals"), number_of(row, "needed"));
    print_texts(out, row, "approvers", ", by ", "");
    fprintf(out, "; asked %s, until %s\n    rule %lld: %s\n", policy_text(row, "asked_at", "?"),
            policy_text(row, "expires_at", "?"), number_of(row, "rule"),
            policy_text(row, "rule_reason", "it is gone"));
}

enum cli_exit cmd_requests(struct cli *cli)
{
    return policy_list(cli, "requests v ORDER BY number", print_request);
}

/* The number that both decisions are about, as the database takes it. */
static enum cli_exit check_number(struct cli *cli)
{
    const char *text = cli->arguments[0];
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 18 && !text[digits])
        return CLI_DONE;
    return cli_fail(cli, CLI_USAGE, "'holdfast requests' lists those that wait.",
                    "'%s' is no number of a request", text);
}

enum cli_exit cmd_approve(struct cli *cli)
{
    AUTO_DB db = NULL;
    bool approved = false;
    enum cli_exit code = check_number(cli);
    if (code == CLI_DONE)
        code = policy_reason(cli);
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_request_approve(db, cli->arguments[0], cli->option[OPT_WHY], &approved);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the request was not approved");
    return policy_done(
        cli, approved ? "Approved: when the client asks again it is done, once."
                      : "Noted your approval: another administrator must approve it, too.");
}

enum cli_exit cmd_refuse(struct cli *cli)
{
    enum cli_exit code = check_number(cli);
    if (code != CLI_DONE)
        return code;
    const char *values[] = {cli->arguments[0], cli_value(cli, OPT_WHY, NULL)};
    return policy_change(cli, "refuse", 2, values,
                         "Refused: the client may ask again, which is another request.",
                         "the request was not refused");
}
