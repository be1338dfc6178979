/*
 * `holdfast audit partitions`, `retention`, `drop` and `stubs`: months of the audit trail, and
 * letting one go against a stub that this node's TPM signs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "server/admin/audit_commands.h"
#include "server/process/status_client.h"
#include "server/vault/node_state.h"
#include "server/vault/tpm/hex.h"
#include "server/vault/tpm/p256.h"

enum { SIGN_MS = 70000, STATE_PATH_ROOM = CONFIG_TEXT_SIZE + 16 };

/* ---- months ---- */

struct month_print {
    struct cli *cli;
    struct db_admin *db;
    json_t *rows; /* also where text is printed: months are verified after the list was read */
    bool whole;   /* all of them are in it */
};

/* False: there is no memory for the list, which would otherwise end early and look whole. */
static bool keep_month(void *arg, const struct db_month *m)
{
    struct month_print *p = arg;
    p->whole = json_array_append_new(p->rows, json_pack("{s:s, s:I, s:I, s:s?, s:s?, s:b, s:s?, s:n, s:n}", "month",
                                                        m->month, "rows", (json_int_t)m->rows, "bytes",
                                                        (json_int_t)m->bytes, "exported_at", m->exported_at,
                                                        "export_sha256", m->export_sha256, "droppable", m->droppable,
                                                        "why_not", m->why_not, "verified", "wrong")) == 0;
    return p->whole;
}

static void verify_months(struct month_print *p)
{
    size_t i;
    json_t *row;
    json_array_foreach(p->rows, i, row)
    {
        rc_t rc = db_audit_verify_month(p->db, json_string_value(json_object_get(row, "month")));
        json_object_set_new(row, "verified", json_boolean(rc == RC_OK));
        if (rc != RC_OK)
            json_object_set_new(row, "wrong", json_string(db_admin_error(p->db)));
    }
}

static void print_months(struct month_print *p)
{
    size_t i;
    json_t *row;
    fprintf(p->cli->out, "%-8s %12s %14s  %-8s  %-24s %s\n", "MONTH", "ROWS ABOUT", "BYTES",
            "VERIFIED", "EXPORTED", "MAY BE DROPPED");
    json_array_foreach(p->rows, i, row)
    {
        const json_t *verified = json_object_get(row, "verified");
        const char *at = json_string_value(json_object_get(row, "exported_at"));
        const char *why = json_string_value(json_object_get(row, "why_not"));
        const char *wrong = json_string_value(json_object_get(row, "wrong"));
        fprintf(p->cli->out, "%-8s %12lld %14lld  %-8s  %-24s %s%s%s%s\n",
                json_string_value(json_object_get(row, "month")),
                (long long)json_integer_value(json_object_get(row, "rows")),
                (long long)json_integer_value(json_object_get(row, "bytes")),
                json_is_null(verified)   ? "-"
                : json_is_true(verified) ? "yes"
                                         : "NO",
                at ? at : "-", why ? "no: " : "yes", why ? why : "", wrong ? "; " : "",
                wrong ? wrong : "");
    }
}

enum cli_exit cmd_audit_partitions(struct cli *cli)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_AUDITOR, NULL, &db);
    if (code != CLI_DONE)
        return code;
    struct month_print print = {cli, db, json_array(), true};
    rc_t rc = db_audit_months(db, keep_month, &print);
    if (rc != RC_OK || !print.whole) {
        json_decref(print.rows);
        return rc != RC_OK ? admin_db_fail(cli, db, rc, "the months cannot be read")
                           : cli_fail(cli, cli_exit_of(RC_NO_MEMORY), NULL, "the months cannot be listed: %s",
                                      rc_text(RC_NO_MEMORY));
    }
    if (cli_given(cli, OPT_AUDIT_VERIFY))
        verify_months(&print);
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, print.rows);
    print_months(&print);
    json_decref(print.rows);
    return CLI_DONE;
}

enum cli_exit cmd_audit_retention(struct cli *cli)
{
    struct config config;
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    if (!cli_given(cli, OPT_WHY))
        return cli_fail(cli, CLI_USAGE, NULL, "--reason says why: it is kept with the period");
    AUTO_DB db = NULL;
    code = admin_db_open(cli, &config, DB_ROLE_POLICY, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_audit_set_retention(db, cli->arguments[0], cli->option[OPT_WHY]);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the retention period was not set");
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b}", "ok", 1));
    fprintf(cli->out,
            "Audit rows are kept for %s months at least. Nothing goes by itself: holdfast audit "
            "drop.\n",
            cli->arguments[0]);
    return CLI_DONE;
}

/* ---- drop ---- */

/* Runs of the file, to be compared with those of the database. */
struct runs {
    struct buf text;
    size_t at;
};

static rc_t add_run(void *arg, const struct audit_record *r)
{
    struct runs *runs = arg;
    return buf_add_fmt(&runs->text, "%s %s %s %s %s\n", r->field[AUDIT_STREAM], r->field[AUDIT_SEQ],
                       r->field[AUDIT_POSITION], r->field[AUDIT_PREVIOUS], r->field[AUDIT_HASH]);
}

/* The next one of the database must be the next one of the file. */
static rc_t compare_run(void *arg, const struct audit_record *r)
{
    struct runs *file = arg, one = {BUF_EMPTY, 0};
    rc_t rc = add_run(&one, r);
    if (rc == RC_OK && (file->text.len - file->at < one.text.len ||
                        memcmp(file->text.data + file->at, one.text.data, one.text.len) != 0))
        rc = RC_INTEGRITY;
    file->at += one.text.len;
    buf_free(&one.text);
    return rc;
}

/* The file is right in itself, is of this month as a whole, and has the rows of the database and no
 * others: each row of a run is fixed by the hash of its last. */
static enum cli_exit check_export(struct cli *cli, struct db_admin *db, const char *month,
                                  struct audit_check *check)
{
    const char *path = cli->option[OPT_AUDIT_EXPORT];
    struct runs runs = {BUF_EMPTY, 0};
    char wanted[32];
    check->run = add_run;
    check->run_arg = &runs;
    enum cli_exit code = audit_check_path(cli, path, check, NULL);
    snprintf(wanted, sizeof wanted, "format=1 month=%s", month);
    if (code == CLI_DAMAGE)
        cli_fail(cli, code, "Export the month again.", "%s is not right: nothing was dropped",
                 path);
    else if (code == CLI_DONE && strcmp(check->selection, wanted) != 0)
        code = cli_fail(
            cli, CLI_REFUSED,
            "holdfast audit export --month MONTH --out FILE makes the file that is needed.",
            "%s is not an export of the whole month %s: it says %s", path, month, check->selection);
    rc_t rc = code == CLI_DONE ? db_audit_month_runs(db, month, compare_run, &runs) : RC_OK;
    if (code == CLI_DONE && (rc == RC_INTEGRITY || (rc == RC_OK && runs.at != runs.text.len)))
        code = cli_fail(cli, CLI_REFUSED, "Export the month again.",
                        "%s has other rows than the database: nothing was dropped", path);
    else if (rc != RC_OK)
        code = admin_db_fail(cli, db, rc, "the month cannot be compared with its export");
    buf_free(&runs.text);
    return code;
}

/* The answer's fields are copied: 32 and 128 hexadecimal digits. */
static enum cli_exit ask_signature(struct cli *cli, const struct config *config, const char *digest,
                                   char node[33], char signature[129])
{
    char path[108], command[96];
    AUTO_BUF answer = BUF_EMPTY;
    snprintf(command, sizeof command, "sign-stub %s", digest);
    rc_t rc = config_control_path(config, path);
    if (rc == RC_OK)
        rc = status_ask(path, command, SIGN_MS, &answer);
    json_t *o = rc == RC_OK ? json_loadb((const char *)answer.data, answer.len, 0, NULL) : NULL;
    const char *n = json_string_value(json_object_get(o, "node")),
               *s = json_string_value(json_object_get(o, "signature"));
    enum cli_exit code = CLI_DONE;
    if (json_is_true(json_object_get(o, "ok")) && n && s && strlen(n) == 32 && strlen(s) == 128) {
        memcpy(node, n, 33);
        memcpy(signature, s, 129);
    } else {
        const char *error = json_string_value(json_object_get(o, "error"));
        code = cli_fail(
            cli, CLI_UNAVAILABLE,
            "The server must run on this machine, and you must be one of its administrators.",
            "the node did not sign: %s", error ? error : rc_text(rc == RC_OK ? RC_PROTOCOL : rc));
    }
    json_decref(o);
    return code;
}

static enum cli_exit drop(struct cli *cli, const struct config *config, struct db_drop *d)
{
    char node[33], signature[129];
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_open(cli, config, DB_ROLE_POLICY, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_audit_drop_digest(db, d);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "nothing was dropped");
    code = ask_signature(cli, config, d->digest, node, signature);
    if (code != CLI_DONE)
        return code;
    d->node = node;
    d->signature = signature;
    rc = db_audit_drop(db, d);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, db, rc, "nothing was dropped");
}

enum cli_exit cmd_audit_drop(struct cli *cli)
{
    struct config config;
    struct audit_check check = {0};
    const char *month = cli->arguments[0];
    char rows[24];
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    if (!audit_is_month(month))
        return cli_fail(cli, CLI_USAGE, NULL, "%s: not a month as 2026-01", month);
    if (!cli_given(cli, OPT_AUDIT_EXPORT) || !cli_given(cli, OPT_WHY))
        return cli_fail(
            cli, CLI_USAGE, NULL,
            "--export FILE and --reason TEXT are needed: what keeps the rows, and why they go");
    AUTO_DB db = NULL;
    code = admin_db_open(cli, &config, DB_ROLE_AUDITOR, &db);
    if (code == CLI_DONE)
        code = check_export(cli, db, month, &check);
    if (code != CLI_DONE)
        return code;
    snprintf(rows, sizeof rows, "%llu", (unsigned long long)check.events);
    struct db_drop d = {.month = month,
                        .rows = rows,
                        .export_sha256 = check.sha256,
                        .reason = cli->option[OPT_WHY]};
    code = drop(cli, &config, &d);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s, s:I, s:s, s:s}", "month", month, "rows",
                                             (json_int_t)check.events, "export_sha256",
                                             check.sha256, "digest", d.digest));
    fprintf(cli->out,
            "Month %s is dropped: %s rows. Keep %s: it is all that is left of them. Stub %s\n",
            month, rows, cli->option[OPT_AUDIT_EXPORT], d.digest);
    return CLI_DONE;
}

/* ---- stubs ---- */

struct stub_check {
    struct cli *cli;
    const struct node_state *node; /* NULL: not readable here */
    json_t *rows;                  /* NULL: text; only for the list */
    bool list, wrong;
};

/* The signature over the stub's line, by the key in the stub itself; as audit.p256_verifies(), by
 * OpenSSL. */
static rc_t signature_is_right(const struct db_stub *s, struct node_name *name)
{
    AUTO_BUF raw = BUF_EMPTY, line = BUF_EMPTY;
    AUTO_P256 key = {NULL};
    TPM2B_PUBLIC pub;
    struct p256_point point;
    uint8_t digest[32], signature[64];
    TRY(hex_parse(bytes_str(s->ak_pub), sizeof pub, &raw));
    TRY(public_read(buf_view(&raw), &pub));
    TRY(template_name(&pub, name));
    TRY(public_point(&pub, &point));
    TRY(p256_from_point(&point, &key));
    TRY(hex_parse_exact(bytes_str(s->signature), signature, sizeof signature));
    TRY(buf_add_fmt(&line, "holdfast audit stub %s\n", s->digest));
    if (EVP_Digest(line.data, line.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    return p256_verify(&key, digest, signature);
}

static const char *judge(const struct stub_check *c, const struct db_stub *s)
{
    struct node_name name;
    struct uid node;
    if (strcmp(s->verdict, "good") != 0)
        return s->verdict;
    if (signature_is_right(s, &name) != RC_OK)
        return "its signature is not right, whatever the database says";
    if (c->node && s->node && uid_parse(bytes_str(s->node), &node) == RC_OK &&
        uid_equal(&node, &c->node->node) && memcmp(name.raw, c->node->ak.raw, sizeof name.raw) != 0)
        return "the key that signed it is not this node's attestation key, whatever the database "
               "says";
    return NULL;
}

static rc_t check_stub(void *arg, const struct db_stub *s)
{
    struct stub_check *c = arg;
    const char *wrong = judge(c, s);
    c->wrong |= wrong != NULL;
    if (c->rows)
        json_array_append_new(
            c->rows, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:s}", "month",
                               s->month, "rows", (json_int_t)s->rows, "dropped_at", s->dropped_at,
                               "dropped_by", s->dropped_by, "reason", s->reason, "export_sha256",
                               s->export_sha256, "node", s->node, "digest", s->digest, "signature",
                               s->signature, "verdict", wrong ? wrong : "good"));
    else if (c->list)
        fprintf(c->cli->out, "%s  %lld rows, dropped %s by %s: %s\n  export %s\n  %s\n", s->month,
                (long long)s->rows, s->dropped_at, s->dropped_by, s->reason, s->export_sha256,
                wrong ? wrong : "good");
    else if (wrong)
        fprintf(c->cli->err, "forged: the stub of month %s: %s\n", s->month, wrong);
    return RC_OK;
}

/* What this node pins, if this is a node and we may read it. */
static const struct node_state *read_node(const struct config *config, struct node_state *state)
{
    char path[STATE_PATH_ROOM], text[NODE_STATE_MAX];
    snprintf(path, sizeof path, "%s/node.state", config->server_state_dir);
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    size_t n = fread(text, 1, sizeof text, file);
    fclose(file);
    return node_state_decode(bytes_of(text, n), state) == RC_OK ? state : NULL;
}

enum cli_exit audit_check_stubs(struct cli *cli, const struct config *config, struct db_admin *db)
{
    struct node_state state;
    struct stub_check check = {.cli = cli, .node = read_node(config, &state)};
    rc_t rc = db_audit_stubs(db, check_stub, &check);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the stubs cannot be read");
    return check.wrong
               ? cli_fail(cli, CLI_DAMAGE,
                          "Keep the database as it is, and find out who could write to it.",
                          "a stub was forged: rows were removed without the node's signature")
               : CLI_DONE;
}

enum cli_exit cmd_audit_stubs(struct cli *cli)
{
    struct config config;
    struct node_state state;
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_AUDITOR, &config, &db);
    if (code != CLI_DONE)
        return code;
    struct stub_check check = {.cli = cli,
                               .node = read_node(&config, &state),
                               .rows = cli_given(cli, OPT_JSON) ? json_array() : NULL,
                               .list = true};
    rc_t rc = db_audit_stubs(db, check_stub, &check);
    if (rc != RC_OK) {
        json_decref(check.rows);
        return admin_db_fail(cli, db, rc, "the stubs cannot be read");
    }
    if (check.rows)
        cli_print_json(cli, check.rows);
    return check.wrong ? cli_fail(cli, CLI_DAMAGE, NULL, "a stub is not good") : CLI_DONE;
}
