/*
 * `holdfast audit forward`: the forwarder as a program of its own, and what is known of its destinations.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "db/forward.h"
#include "server/admin/admin_db.h"
#include "server/forward/forward.h"
#include "server/forward/wait.h"
#include "server/process/privileges.h"

#define AUTO_LINK __attribute__((cleanup(link_free))) struct link *

/* ---- status, forget ---- */

struct status_print {
    struct cli *cli;
    json_t *rows;
    unsigned count;
};

static bool print_status(void *arg, const struct db_forward_status *s)
{
    struct status_print *p = arg;
    p->count++;
    if (p->rows) {
        json_array_append_new(p->rows, json_pack("{s:s, s:b, s:I, s:I, s:s?, s:I, s:s?, s:s?, s:s?}", "destination",
                                                 s->destination, "running", s->running, "rows_behind",
                                                 (json_int_t)s->rows_behind, "behind_s", (json_int_t)s->behind_s,
                                                 "oldest", s->oldest, "forwarded", (json_int_t)s->forwarded, "moved_at",
                                                 s->moved_at, "trouble", s->trouble, "trouble_at", s->trouble_at));
        return true;
    }
    fprintf(p->cli->out, "%s: %s, %lld rows behind", s->destination, s->running ? "running" : "not running",
            (long long)s->rows_behind);
    if (s->rows_behind > 0)
        fprintf(p->cli->out, ", the oldest of %s, %lld s ago", s->oldest ? s->oldest : "an unknown time",
                (long long)s->behind_s);
    fprintf(p->cli->out, "; %lld forwarded%s%s\n", (long long)s->forwarded, s->moved_at ? ", the latest at " : "",
            s->moved_at ? s->moved_at : "");
    if (s->trouble)
        fprintf(p->cli->out, "  since %s: %s\n", s->trouble_at, s->trouble);
    return true;
}

static enum cli_exit show_status(struct cli *cli, const struct config *config)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_open(cli, config, DB_ROLE_AUDITOR, &db);
    if (code != CLI_DONE)
        return code;
    struct status_print print = {.cli = cli, .rows = cli_given(cli, OPT_JSON) ? json_array() : NULL};
    rc_t rc = db_forward_status(db, print_status, &print);
    if (rc != RC_OK) {
        json_decref(print.rows);
        return admin_db_fail(cli, db, rc, "the state of forwarding cannot be read");
    }
    if (print.rows)
        return cli_print_json(cli, print.rows);
    if (print.count == 0)
        fputs("The audit trail is not forwarded.\n", cli->out);
    return CLI_DONE;
}

static enum cli_exit forget(struct cli *cli, const struct config *config)
{
    AUTO_DB db = NULL;
    if (cli->argument_count == 0)
        return cli_fail(cli, CLI_USAGE, NULL, "--forget needs the name of the destination");
    enum cli_exit code = admin_db_open(cli, config, DB_ROLE_POLICY, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_forward_forget(db, cli->arguments[0], cli->option[OPT_WHY]);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the destination was not removed");
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b, s:s}", "ok", true, "destination", cli->arguments[0]));
    fprintf(cli->out, "The audit trail is forwarded to %s no longer. Stop its forwarder, or it begins anew.\n",
            cli->arguments[0]);
    return CLI_DONE;
}

/* ---- the forwarder ---- */

/* From root to the forwarder's own user, for good: it needs no rights but to its sockets. */
static enum cli_exit become_user(struct cli *cli, const char *name)
{
    uid_t uid;
    gid_t gid;
    if (geteuid() != 0)
        return CLI_DONE;
    if (privileges_user(name, &uid, &gid) != RC_OK)
        return cli_fail(cli, CLI_REFUSED,
                        "Make it (useradd --system holdfast-forward), or name another one in [forward] user.",
                        "this system has no user %s", name);
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return cli_fail(cli, CLI_REFUSED, NULL, "the rights of root cannot be given up: %s", strerror(errno));
    return CLI_DONE;
}

static struct forward_settings settings_of(struct cli *cli, const struct config *c, const struct target *target,
                                           const char *host)
{
    bool own = *c->forward_conninfo || cli_given(cli, OPT_DATABASE);
    const char *conninfo = *c->forward_conninfo ? c->forward_conninfo : c->database_conninfo;
    return (struct forward_settings){.target = target,
                                     .conninfo = cli_value(cli, OPT_DATABASE, conninfo),
                                     .role = own ? NULL : DB_ROLE_FORWARD,
                                     .operator= host,
                                     .format = {.host = *c->forward_hostname ? c->forward_hostname : host,
                                                .enterprise = c->forward_enterprise,
                                                .facility = c->forward_facility,
                                                .severity = c->forward_severity,
                                                .severity_failure = c->forward_severity_failure,
                                                .value_max = c->forward_value_bytes},
                                     .link = {.ca = c->forward_ca,
                                              .certificate = c->forward_certificate,
                                              .key = c->forward_key,
                                              .timeout_ms = c->forward_timeout_ms,
                                              .keep_open = c->forward_keep_open},
                                     .from_now = c->forward_from_now,
                                     .batch_rows = c->forward_batch_rows,
                                     .poll_ms = c->forward_poll_ms,
                                     .retry_max_ms = c->forward_retry_ms,
                                     .once = cli_given(cli, OPT_ONCE)};
}

static enum cli_exit run(struct cli *cli, const struct config *config, const struct target *target)
{
    char host[256] = "", why[FORWARD_WHY];
    AUTO_LINK link = NULL;
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    struct forward_settings settings = settings_of(cli, config, target, host);
    log_open("holdfast-forward", config->server_log_level);
    if (target->kind == TARGET_UDP)
        log_warn("forward.udp", " destination=%s text=\"udp may lose messages, and nobody learns of it: use tls\"",
                 target->name);
    /* Keys are read while root may read them. */
    rc_t rc = link_new(target, &settings.link, &link, why);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_FILE, "See [forward] ca, certificate and key.", "%s", why);
    enum cli_exit code = become_user(cli, config->forward_user);
    if (code != CLI_DONE)
        return code;
    wait_signals();
    rc = forward_run(&settings, link, why);
    if (rc == RC_OK)
        return CLI_DONE;
    return cli_fail(cli, rc == RC_BUSY ? CLI_UNAVAILABLE : CLI_CONNECT, NULL, "not all is forwarded to %s: %s",
                    target->name, why);
}

enum cli_exit cmd_audit_forward(struct cli *cli)
{
    struct config config;
    struct target target;
    char why[TARGET_WHY];
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_STATUS))
        return show_status(cli, &config);
    if (cli_given(cli, OPT_FORGET))
        return forget(cli, &config);
    const char *name = cli->argument_count ? cli->arguments[0] : NULL;
    rc_t rc = target_find(config.forward_destinations, name, &target, why);
    if (rc != RC_OK)
        return cli_fail(
            cli, rc == RC_NOT_FOUND ? CLI_USAGE : CLI_FILE,
            "[forward] destinations = NAME=tls:HOST:PORT in the configuration names them; the command takes a "
            "NAME.",
            "%s", why);
    return run(cli, &config, &target);
}
