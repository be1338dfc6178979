/*
 * `holdfast domain`: tenants. A new one gets its key from the running server, which is asked to
 * look for domains without one; nothing is lost when it cannot: the domain waits, and the command
 * may be repeated.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/admin/policy_call.h"
#include "server/base/clock.h"
#include "server/process/status_client.h"

enum {
    KEY_WAIT_MS = 20000,
    CLOSED_WAIT_MS = 2000,
    LOOK_MS = 100,
    ASK_MS = 1000,
    ANSWER_MS = 5000,
    SENTENCE = 700
};

/* ---- the key of a new domain ---- */

struct wanted {
    const char *name;
    bool there, has_key;
};

static bool find_domain(void *arg, const char *json)
{
    struct wanted *w = arg;
    json_t *row = json_loads(json, 0, NULL);
    bool is_it = row && strcmp(policy_text(row, "name", ""), w->name) == 0;
    if (is_it) {
        w->there = true;
        w->has_key = json_is_true(json_object_get(row, "has_key"));
    }
    json_decref(row);
    return !is_it;
}

static rc_t look(struct db_admin *db, struct wanted *w)
{
    w->there = w->has_key = false;
    return db_policy_rows(db, "domains v", find_domain, w);
}

/* What keeps the vault from making keys, in its own words; empty: nothing that is known. */
static rc_t ask_server(const char *path, char *why, size_t room)
{
    AUTO_BUF answer = BUF_EMPTY, status = BUF_EMPTY;
    *why = 0;
    TRY(status_ask(path, "domains", ANSWER_MS, &answer));
    TRY(status_ask(path, "status", ANSWER_MS, &status));
    json_t *all = json_loadb((const char *)status.data, status.len, 0, NULL);
    const json_t *report = json_object_get(json_object_get(all, "vault"), "report");
    const char *state = policy_text(report, "state", "not running");
    if (strcmp(state, "serving") != 0)
        snprintf(why, room, "the vault is %s%s%s", state, report ? ": " : "",
                 policy_text(report, "what", ""));
    json_decref(all);
    return RC_OK;
}

static void pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Waits for the key. `why`: what to tell where it does not come. */
static rc_t wait_for_key(struct db_admin *db, const struct config *config, struct wanted *w,
                         char *why, size_t room)
{
    char path[108];
    int64_t began = clock_monotonic_us(), asked = 0;
    TRY(config_control_path(config, path));
    for (;;) {
        TRY(look(db, w));
        int64_t now = clock_monotonic_us(), waited_ms = (now - began) / 1000;
        if (w->has_key)
            return RC_OK;
        if (asked == 0 || now - asked > ASK_MS * 1000) {
            asked = now;
            if (ask_server(path, why, room) == RC_UNAVAILABLE) {
                snprintf(why, room, "the server is not running");
                return RC_UNAVAILABLE;
            }
        }
        if (waited_ms > (*why ? CLOSED_WAIT_MS : KEY_WAIT_MS))
            return RC_UNAVAILABLE;
        pause_ms(LOOK_MS);
    }
}

static enum cli_exit add(struct cli *cli, struct db_admin *db, struct wanted *w)
{
    const char *values[] = {w->name, cli->option[OPT_WHY]};
    rc_t rc = db_policy_call(db, "domain_add", 2, values);
    if (rc == RC_NAME_TAKEN) { /* a repetition where it waits for its key: that goes on */
        rc = look(db, w);
        if (rc == RC_OK && w->has_key)
            return cli_fail(cli, CLI_REFUSED, "'holdfast domain list' shows them.",
                            "there is a domain %s already", w->name);
    }
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, db, rc, "the domain was not added");
}

enum cli_exit cmd_domain_add(struct cli *cli)
{
    struct wanted w = {.name = cli->arguments[0]};
    struct config config;
    AUTO_DB db = NULL;
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_POLICY, &config, &db);
    if (code == CLI_DONE)
        code = add(cli, db, &w);
    if (code != CLI_DONE)
        return code;
    char why[256] = "", done[SENTENCE];
    rc_t rc = wait_for_key(db, &config, &w, why, sizeof why);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_UNAVAILABLE,
                        "A running server makes it as soon as its vault is open: 'holdfast status' "
                        "says what is in the "
                        "way, 'holdfast domain list' when it is done. The command may be repeated.",
                        "the domain %s was added, and waits for its key%s%s", w.name,
                        *why ? ": " : "", why);
    snprintf(done, sizeof done,
             "Added the domain %s; it has its key. 'holdfast client add NAME --domain %s' enrols a "
             "client.",
             w.name, w.name);
    return policy_done(cli, done);
}

/* ---- the others ---- */

static void limit_text(char out[static 32], const json_t *row, const char *column)
{
    const json_t *most = json_object_get(row, column);
    if (json_is_integer(most))
        snprintf(out, 32, "%lld", (long long)json_integer_value(most));
    else
        snprintf(out, 32, "any number");
}

static void print_domain(FILE *out, const json_t *row)
{
    char clients[32], objects[32];
    limit_text(clients, row, "max_clients");
    limit_text(objects, row, "max_objects");
    fprintf(out, "%-20s %-8s %lld clients of %s, objects: %s%s\n", policy_text(row, "name", ""),
            json_is_true(json_object_get(row, "enabled")) ? "enabled" : "disabled",
            (long long)json_integer_value(json_object_get(row, "clients")), clients, objects,
            json_is_true(json_object_get(row, "has_key")) ? "" : "  waits for its key");
}

enum cli_exit cmd_domain_list(struct cli *cli)
{
    return policy_list(cli, "domains v ORDER BY id", print_domain);
}

/* A limit as the SQL API takes it: "none" is -1. */
static enum cli_exit read_limit(struct cli *cli, enum cli_option option, const char **value)
{
    long number = 0;
    *value = cli->option[option];
    if (!*value || strcmp(*value, "none") != 0)
        return cli_number(cli, option, 0, INT32_MAX, &number);
    *value = "-1";
    return CLI_DONE;
}

enum cli_exit cmd_domain_limits(struct cli *cli)
{
    const char *values[4] = {cli->arguments[0], NULL, NULL, cli->option[OPT_WHY]};
    char done[SENTENCE];
    enum cli_exit code = read_limit(cli, OPT_MAX_CLIENTS, &values[1]);
    if (code == CLI_DONE)
        code = read_limit(cli, OPT_MAX_OBJECTS, &values[2]);
    if (code == CLI_DONE && !values[1] && !values[2])
        code = cli_fail(cli, CLI_USAGE, NULL,
                        "say which limit: --max-clients N, --max-objects N, or none for N");
    if (code != CLI_DONE)
        return code;
    snprintf(done, sizeof done, "Set the limits of the domain %s.", values[0]);
    return policy_change(cli, "domain_limits", 4, values, done, "the limits were not set");
}

static enum cli_exit enable(struct cli *cli, bool enabled)
{
    const char *values[] = {cli->arguments[0], enabled ? "true" : "false", cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done,
             enabled
                 ? "Enabled the domain %s: its clients may work again, each that is enabled itself."
                 : "Disabled the domain %s: nothing is answered to its clients from their next "
                   "request on.",
             values[0]);
    return policy_change(cli, "domain_enable", 3, values, done,
                         enabled ? "the domain was not enabled" : "the domain was not disabled");
}

enum cli_exit cmd_domain_enable(struct cli *cli)
{
    return enable(cli, true);
}

enum cli_exit cmd_domain_disable(struct cli *cli)
{
    return enable(cli, false);
}
