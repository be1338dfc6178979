/*
 * `holdfast status`: asks the running server through its control socket and says what it means; where nothing
 * answers, says what is missing on this machine and what to do.
 */
#include "config.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "certs/identity.h"
#include "certs/pem.h"
#include "server/admin/cli.h"
#include "server/base/object.h"
#include "server/process/status_client.h"

enum { STATUS_WAIT_MS = 10000, RENEW_SOON_S = 30 * 86400 };

static enum cli_exit server_down(struct cli *cli, const struct config *config, const char *path, rc_t rc)
{
    if (rc == RC_DENIED)
        return cli_fail(cli, CLI_REFUSED, "Be root, or a member of the group that [server] admin_group names.",
                        "you may not use the control socket %s", path);
    if (rc == RC_TIMEOUT)
        return cli_fail(cli, CLI_UNAVAILABLE, "Look at its log: journalctl -u holdfastd",
                        "the server listens on %s but does not answer", path);
    char pinned[CONFIG_TEXT_SIZE + 16];
    snprintf(pinned, sizeof pinned, "%s/node.state", config->server_state_dir);
    if (access(pinned, F_OK) != 0)
        return cli_fail(cli, CLI_CONNECT,
                        "Run 'holdfast init' as root, then start the server: systemctl start holdfastd",
                        "the server is not running, and this node has no root of keys yet (no %s)", pinned);
    return cli_fail(cli, CLI_CONNECT,
                    "Start it: systemctl start holdfastd. Its log says why it ended: journalctl -u holdfastd",
                    "the server is not running: nothing answers on %s", path);
}

static const char *text_of(const json_t *object, const char *key, const char *preset)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : preset;
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *age(long long seconds, char out[static 32])
{
    if (seconds < 120)
        snprintf(out, 32, "%lld s", seconds);
    else if (seconds < 7200)
        snprintf(out, 32, "%lld min", seconds / 60);
    else if (seconds < 172800)
        snprintf(out, 32, "%lld h", seconds / 3600);
    else
        snprintf(out, 32, "%lld days", seconds / 86400);
    return out;
}

/* One line for a fact of the vault's report; lists and objects in JSON. */
static void print_fact(FILE *out, const char *key, const json_t *value)
{
    fprintf(out, "    %s: ", key);
    if (json_is_string(value))
        fputs(json_string_value(value), out);
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", out);
    else
        json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY);
    fputc('\n', out);
}

static bool one_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

static void print_tpm(FILE *out, const json_t *tpm, const json_t *pcrs)
{
    fprintf(out, "    TPM: %s%s %s%s\n", json_is_true(json_object_get(tpm, "connected")) ? "" : "not connected ",
            text_of(tpm, "manufacturer", ""), text_of(tpm, "vendor", ""),
            json_is_true(json_object_get(tpm, "software"))
                ? ", a software TPM: it protects nothing that this host does not protect"
                : "");
    if (*text_of(tpm, "reason", ""))
        fprintf(out, "    TPM: %s\n", text_of(tpm, "reason", ""));
    size_t i, j;
    json_t *pcr, *zero;
    json_array_foreach(json_object_get(pcrs, "selected"), i, pcr) {
        bool measured = true;
        json_array_foreach(json_object_get(pcrs, "not_measured"), j, zero)
            measured = measured && !json_equal(pcr, zero);
        fprintf(out, "    PCR %lld: %s\n", (long long)json_integer_value(pcr), measured ? "measured" : "not measured");
    }
}

static void print_vault(FILE *out, const json_t *vault)
{
    char up[32];
    json_t *report = json_object_get(vault, "report");
    fprintf(out, "  vault     pid %lld, up %s, restarts %lld: %s\n", number_of(vault, "pid"),
            age(number_of(vault, "uptime_s"), up), number_of(vault, "restarts"), text_of(vault, "state", "?"));
    if (!json_is_object(report)) {
        fprintf(out, "    no report yet\n");
        return;
    }
    static const char *const first[] = {"state", "what", "next", "detail", "alarm"};
    static const char *const others[] = {"result", "tpm", "pcrs", "self_approved"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        const char *text = text_of(report, first[i], "");
        if (*text)
            fprintf(out, "    %s: %s\n", first[i], text);
    }
    if (json_is_true(json_object_get(report, "self_approved")))
        fputs("    self-approved: the approval and recovery keys were made on this machine\n", out);
    print_tpm(out, json_object_get(report, "tpm"), json_object_get(report, "pcrs"));
    const char *key;
    json_t *value;
    json_object_foreach(report, key, value) {
        if (!one_of(key, first, sizeof first / sizeof *first) && !one_of(key, others, sizeof others / sizeof *others))
            print_fact(out, key, value);
    }
}

/* The end of the server's certificate: the file is what the server runs with, it watches it. */
static rc_t certificate_end(const char *path, int64_t *not_after)
{
    AUTO_BUF pem = BUF_EMPTY;
    X509 *cert = NULL;
    TRY(pem_file_read(path, &pem));
    TRY(pem_cert_parse(buf_view(&pem), &cert));
    rc_t rc = cert_time(X509_get0_notAfter(cert), not_after);
    X509_free(cert);
    return rc;
}

static json_t *certificate_status(const struct config *config)
{
    int64_t not_after = NO_DATE, left;
    char until[16];
    const char *state = "good";
    if (certificate_end(config->tls_certificate, &not_after) != RC_OK)
        state = "unreadable";
    else if ((left = not_after - (int64_t)time(NULL)) < RENEW_SOON_S)
        state = left < 0 ? "expired" : "ends soon";
    return json_pack("{s:s, s:s, s:s}", "file", config->tls_certificate, "not_after", cli_date(not_after, until),
                     "state", state);
}

static void print_certificate(FILE *out, const json_t *certificate)
{
    const char *state = text_of(certificate, "state", "?");
    fprintf(out, "  certificate  %s: valid until %s (%s)\n", state, text_of(certificate, "not_after", "?"),
            text_of(certificate, "file", "?"));
    if (strcmp(state, "good") != 0)
        fputs("    next: 'holdfast server-cert renew' issues another one and loads it.\n", out);
}

static void print_status(FILE *out, const json_t *status)
{
    char up[32];
    fprintf(out, "Holdfast %s: %s on port %lld, pid %lld, up %s\n", text_of(status, "version", "?"),
            text_of(status, "state", "?"), number_of(status, "port"), number_of(status, "pid"),
            age(number_of(status, "uptime_s"), up));
    if (*text_of(status, "legacy_listen_address", ""))
        fprintf(out,
                "  legacy TLS  on %s port %lld, for clients that may use old cipher suites: %lld connections so far\n",
                text_of(status, "legacy_listen_address", "?"), number_of(status, "legacy_port"),
                number_of(json_object_get(status, "totals"), "legacy"));
    size_t i;
    json_t *worker;
    json_array_foreach(json_object_get(status, "workers"), i, worker)
        fprintf(out, "  worker %lld  pid %lld, up %s, restarts %lld, %s: %lld connections, %lld requests\n",
                number_of(worker, "number"), number_of(worker, "pid"), age(number_of(worker, "uptime_s"), up),
                number_of(worker, "restarts"), text_of(worker, "state", "?"), number_of(worker, "connections"),
                number_of(worker, "requests"));
    print_vault(out, json_object_get(status, "vault"));
    json_t *database = json_object_get(status, "database");
    fprintf(out, "  database  %s: %lld audit rows in %lld commits\n", text_of(database, "state", "?"),
            number_of(database, "rows"), number_of(database, "groups"));
    print_certificate(out, json_object_get(status, "certificate"));
}

/* Keys are served when the supervisor, the vault and the database all say so, and clients can believe the server. */
static bool healthy(const json_t *status)
{
    json_t *report = json_object_get(json_object_get(status, "vault"), "report");
    return strcmp(text_of(status, "state", ""), "serving") == 0 &&
           strcmp(text_of(report, "state", ""), "serving") == 0 &&
           strcmp(text_of(report, "result", ""), "RC_OK") == 0 &&
           strcmp(text_of(json_object_get(status, "database"), "state", ""), "up") == 0 &&
           strcmp(text_of(json_object_get(status, "certificate"), "state", ""), "expired") != 0;
}

enum cli_exit cmd_status(struct cli *cli)
{
    struct config config;
    char path[108];
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    if (config_control_path(&config, path) != RC_OK)
        return cli_fail(cli, CLI_REFUSED, "Set [server] control_socket to a path of at most 107 characters.",
                        "the control socket's path is too long");
    AUTO_BUF answer = BUF_EMPTY;
    rc_t rc = status_ask(path, "status", STATUS_WAIT_MS, &answer);
    if (rc != RC_OK)
        return server_down(cli, &config, path, rc);
    json_t *status = json_loadb((const char *)answer.data, answer.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(status)) {
        json_decref(status);
        return cli_fail(cli, CLI_INTERNAL, "Are this command and the running server of one version?",
                        "the server's answer makes no sense");
    }
    json_object_set_new(status, "certificate", certificate_status(&config));
    bool well = healthy(status);
    if (cli_given(cli, OPT_JSON)) {
        json_object_set_new(status, "healthy", json_boolean(well));
        code = cli_print_json(cli, status);
        return code == CLI_DONE && !well ? CLI_UNAVAILABLE : code;
    }
    print_status(cli->out, status);
    json_decref(status);
    if (!well)
        fprintf(cli->out, "Keys are not served now: see above.\n");
    return well ? CLI_DONE : CLI_UNAVAILABLE;
}
