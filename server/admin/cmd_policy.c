/*
 * `holdfast policy`: rules, constraints and defaults. Each command calls the function or reads the
 * view of schema policy that its table below names, so that psql can do the same; what is right and
 * wrong is told there.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "db/admin_policy.h"
#include "server/admin/policy_call.h"

enum { ARGUMENTS_ROOM = 24, TEXT_ROOM = 24 };

/* An option and the argument that it gives; numbers are checked here, all else by the function. */
struct from_option {
    enum cli_option option;
    const char *name, *type;
    long most; /* of a number; 0: no number */
};

/* clang-format off */
static const struct from_option rule_options[] = {
    {OPT_WHY,  "reason",          "text",        0},
    {OPT_RULE_DOMAIN,  "domain",          "text",        0},
    {OPT_RULE_POLICY,  "policy",          "text",        0},
    {OPT_RULE_OWNER,   "owner",           "text",        0},
    {OPT_RULE_OBJECT,  "object",          "uuid",        0},
    {OPT_RULE_TYPE,    "object_type",     "text",        0},
    {OPT_RULE_GROUP,   "object_group",    "text",        0},
    {OPT_RULE_NAME,    "name_pattern",    "text",        0},
    {OPT_RULE_FROM,    "valid_from",      "timestamptz", 0},
    {OPT_RULE_UNTIL,   "valid_until",     "timestamptz", 0},
    {OPT_APPROVALS,    "approvals",       "integer",     8},
};

static const struct from_option bound_options[] = {
    {OPT_WHY,  "reason",              "text",    0},
    {OPT_RULE_DOMAIN,  "domain",              "text",    0},
    {OPT_RULE_TYPE,    "object_type",         "text",    0},
    {OPT_BOUND_ALGORITHM, "algorithm",        "text",    0},
    {OPT_ALGORITHMS,   "algorithms",          "text[]",  0},
    {OPT_LEAST_LENGTH, "least_length",        "bigint",  INT32_MAX},
    {OPT_MOST_LENGTH,  "most_length",         "bigint",  INT32_MAX},
    {OPT_PERMITTED,    "permitted_usage",     "text[]",  0},
    {OPT_REQUIRED,     "required_usage",      "text[]",  0},
    {OPT_PROTECTIONS,  "protections",         "text[]",  0},
    {OPT_MANDATORY,    "mandatory",           "text[]",  0},
    {OPT_MOST_LIFE,    "most_life_days",      "integer", INT32_MAX},
    {OPT_RULE_NAME,    "name_pattern",        "text",    0},
    {OPT_DESTROY_AFTER, "destroy_after_days", "integer", INT32_MAX},
    {OPT_MOST_OBJECTS, "most_objects",        "bigint",  INT32_MAX},
    {OPT_MOST_REQUESTS, "requests_per_second", "integer", INT32_MAX},
};

static const struct from_option reason_options[] = {
    {OPT_WHY,  "reason",          "text",        0},
    {OPT_RULE_DOMAIN,  "domain",          "text",        0},
};
/* clang-format on */

/* The arguments of one call, and room for numbers as text. */
struct call {
    size_t count;
    struct db_argument arguments[ARGUMENTS_ROOM];
    char numbers[ARGUMENTS_ROOM][TEXT_ROOM];
};

static void add(struct call *call, const char *name, const char *type, const char *value)
{
    call->arguments[call->count++] = (struct db_argument){name, type, value};
}

static enum cli_exit add_options(struct cli *cli, struct call *call, const struct from_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct from_option *o = &table[i];
        const char *value = cli->option[o->option];
        if (!value)
            continue;
        if (o->most > 0) {
            long number = 0;
            enum cli_exit code = cli_number(cli, o->option, 0, o->most, &number);
            if (code != CLI_DONE)
                return code;
            snprintf(call->numbers[call->count], TEXT_ROOM, "%ld", number);
            value = call->numbers[call->count];
        }
        add(call, o->name, o->type, value);
    }
    return CLI_DONE;
}

/* Calls the function. *number is what it returns. */
static enum cli_exit run(struct cli *cli, const char *function, const struct call *call, int64_t *number)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_policy_call_named(db, function, call->arguments, call->count, number);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, db, rc, "nothing was changed");
}

/* "Added rule 7."; with --json {"rule": 7}. */
static enum cli_exit tell(struct cli *cli, const char *did, const char *what, int64_t number)
{
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:I}", what, (json_int_t)number));
    fprintf(cli->out, "%s %s %" PRId64 ".\n", did, what, number);
    return CLI_DONE;
}

static enum cli_exit run_add(struct cli *cli, const char *function, const struct call *call, const char *what)
{
    int64_t number = 0;
    enum cli_exit code = run(cli, function, call, &number);
    return code == CLI_DONE ? tell(cli, "Added", what, number) : code;
}

/* ---- rules ---- */

/* --attribute NAME=VALUE; a copy of the name in `name`. */
static enum cli_exit add_attribute(struct cli *cli, struct call *call, char *name, size_t room)
{
    const char *given = cli->option[OPT_RULE_ATTRIBUTE];
    if (!given)
        return CLI_DONE;
    size_t len = strcspn(given, "=");
    if (len == 0 || given[len] == 0 || len >= room)
        return cli_fail(cli, CLI_USAGE, NULL, "--attribute %s: not of the form NAME=VALUE", given);
    memcpy(name, given, len);
    name[len] = 0;
    add(call, "attribute_name", "text", name);
    add(call, "attribute_value", "text", given + len + 1);
    return CLI_DONE;
}

static enum cli_exit add_rule(struct cli *cli, const char *function)
{
    struct call call = {0};
    char name[1024];
    add(&call, "subject", "text", cli->arguments[0]);
    add(&call, "permissions", "text[]", cli->arguments[1]);
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = add_options(cli, &call, rule_options, sizeof rule_options / sizeof *rule_options);
    if (code == CLI_DONE)
        code = add_attribute(cli, &call, name, sizeof name);
    return code == CLI_DONE ? run_add(cli, function, &call, "rule") : code;
}

enum cli_exit cmd_policy_allow(struct cli *cli)
{
    return add_rule(cli, "allow");
}

enum cli_exit cmd_policy_deny(struct cli *cli)
{
    return add_rule(cli, "deny");
}

enum cli_exit cmd_policy_require_approval(struct cli *cli)
{
    return add_rule(cli, "require_approval");
}

static enum cli_exit remove_numbered(struct cli *cli, const char *function, const char *argument, const char *what)
{
    struct call call = {0};
    int64_t nothing = 0;
    char *end;
    long long number = strtoll(cli->arguments[0], &end, 10);
    if (number <= 0 || *end)
        return cli_fail(cli, CLI_USAGE, NULL, "'%s' is no number of a %s", cli->arguments[0], what);
    add(&call, argument, "bigint", cli->arguments[0]);
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = add_options(cli, &call, reason_options, 1);
    if (code == CLI_DONE)
        code = run(cli, function, &call, &nothing);
    return code == CLI_DONE ? tell(cli, "Removed", what, number) : code;
}

enum cli_exit cmd_policy_remove(struct cli *cli)
{
    return remove_numbered(cli, "rule_remove", "rule", "rule");
}

/* ---- constraints and defaults ---- */

enum cli_exit cmd_policy_bound_add(struct cli *cli)
{
    struct call call = {0};
    add(&call, "subject", "text", cli->arguments[0]);
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = add_options(cli, &call, bound_options, sizeof bound_options / sizeof *bound_options);
    return code == CLI_DONE ? run_add(cli, "bound_add", &call, "constraint") : code;
}

enum cli_exit cmd_policy_bound_remove(struct cli *cli)
{
    return remove_numbered(cli, "bound_remove", "bound", "constraint");
}

static enum cli_exit change_defaults(struct cli *cli, const char *function, const char *did)
{
    struct call call = {0};
    int64_t nothing = 0;
    const char *type = cli->arguments[0];
    add(&call, "object_type", "text", type);
    if (cli->argument_count > 1)
        add(&call, "attributes", "jsonb", cli->arguments[1]);
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = add_options(cli, &call, reason_options, sizeof reason_options / sizeof *reason_options);
    if (code == CLI_DONE)
        code = run(cli, function, &call, &nothing);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s}", "defaults", type));
    fprintf(cli->out, "%s the defaults of %s.\n", did, type);
    return CLI_DONE;
}

enum cli_exit cmd_policy_default_set(struct cli *cli)
{
    return change_defaults(cli, "default_set", "Set");
}

enum cli_exit cmd_policy_default_remove(struct cli *cli)
{
    return change_defaults(cli, "default_remove", "Removed");
}

/* ---- lists ---- */

struct listing {
    struct cli *cli;
    size_t head; /* so many columns without their names, in the first line */
    json_t *rows;
};

static bool collect(void *arg, const char *text)
{
    struct listing *l = arg;
    json_t *row = json_loads(text, 0, NULL);
    return row && json_array_append_new(l->rows, row) == 0;
}

/* A text as it is, a list with commas between, all else as JSON. */
static void print_value(FILE *out, const json_t *value)
{
    if (json_is_string(value)) {
        fputs(json_string_value(value), out);
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            fputs(i > 0 ? "," : "", out);
            print_value(out, json_array_get(value, i));
        }
    } else {
        json_dumpf(value, out, JSON_ENCODE_ANY | JSON_COMPACT);
    }
}

/* The head in one line, then what is set of the others; why and by whom it was made begins a line of its own. */
static void print_row(const struct listing *l, json_t *row)
{
    FILE *out = l->cli->out;
    const char *name;
    json_t *value;
    size_t column = 0;
    json_object_foreach(row, name, value) {
        bool in_head = column++ < l->head;
        if (!in_head && json_is_null(value))
            continue;
        if (in_head)
            fputs(column == 1 ? "" : "  ", out);
        else
            fprintf(out, "%s%s=", column == l->head + 1 || strcmp(name, "reason") == 0 ? "\n    " : " ", name);
        print_value(out, value);
    }
    fputc('\n', out);
}

static enum cli_exit list(struct cli *cli, const char *view, size_t head)
{
    AUTO_DB db = NULL;
    struct listing l = {cli, head, json_array()};
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    rc_t rc = code == CLI_DONE ? db_policy_list(db, view, cli->option[OPT_RULE_DOMAIN], collect, &l) : RC_OK;
    if (rc != RC_OK)
        code = admin_db_fail(cli, db, rc, "the policy cannot be read");
    else if (code == CLI_DONE && cli_given(cli, OPT_JSON))
        return cli_print_json(cli, l.rows);
    for (size_t i = 0; code == CLI_DONE && i < json_array_size(l.rows); i++)
        print_row(&l, json_array_get(l.rows, i));
    json_decref(l.rows);
    return code;
}

enum cli_exit cmd_policy_list(struct cli *cli)
{
    return list(cli, "rules", 5);
}

enum cli_exit cmd_policy_permissions(struct cli *cli)
{
    return list(cli, "permissions", 2);
}

enum cli_exit cmd_policy_bounds(struct cli *cli)
{
    return list(cli, "bounds", 3);
}

enum cli_exit cmd_policy_defaults(struct cli *cli)
{
    return list(cli, "defaults", 2);
}

/* ---- explain ---- */

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static void print_explained(FILE *out, const json_t *row)
{
    const json_t *matches = json_object_get(row, "matches");
    fprintf(out, "%s rule %" JSON_INTEGER_FORMAT ": %s %s, %s\n    %s: %s\n",
            json_is_true(json_object_get(row, "decides")) ? "->" : "  ",
            json_integer_value(json_object_get(row, "rule")), text_of(row, "effect"), text_of(row, "subject"),
            text_of(row, "selectors"),
            json_is_true(matches)    ? "matches"
            : json_is_false(matches) ? "does not match"
                                     : "may match",
            text_of(row, "why"));
}

/* The last row is the decision. */
enum cli_exit cmd_policy_explain(struct cli *cli)
{
    AUTO_DB db = NULL;
    struct listing l = {cli, 0, json_array()};
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    rc_t rc = RC_OK;
    if (code == CLI_DONE)
        rc = db_policy_explain(db, cli->arguments[0], cli->arguments[1],
                               cli->argument_count > 2 ? cli->arguments[2] : NULL, collect, &l);
    if (rc != RC_OK)
        code = admin_db_fail(cli, db, rc, "this cannot be explained");
    size_t count = json_array_size(l.rows);
    if (code == CLI_DONE && count == 0)
        code = cli_fail(cli, CLI_INTERNAL, NULL, "the database told no decision");
    if (code == CLI_DONE && cli_given(cli, OPT_JSON))
        return cli_print_json(cli, l.rows);
    for (size_t i = 0; code == CLI_DONE && i + 1 < count; i++)
        print_explained(cli->out, json_array_get(l.rows, i));
    if (code == CLI_DONE)
        fprintf(cli->out, "%s\n", text_of(json_array_get(l.rows, count - 1), "why"));
    json_decref(l.rows);
    return code;
}
