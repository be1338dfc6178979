/*
 * `holdfast ca`, `client` and `server-cert`: the certificate authority of this node and the clients it enrols.
 * The private keys lie in STATE_DIR/ca, root's alone; clients are rows of the database.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "certs/ca.h"
#include "server/admin/admin_db.h"
#include "server/process/status_client.h"

#define AUTO_CA __attribute__((cleanup(ca_close))) struct ca *

enum { PATH_ROOM = 1200, RELOAD_WAIT_MS = 10000, HOSTS_ROOM = CA_SANS + 1 };

struct ca_place {
    struct config config;
    char dir[CONFIG_TEXT_SIZE + 8];
};

static enum cli_exit find_place(struct cli *cli, struct ca_place *place)
{
    enum cli_exit code = cli_config(cli, &place->config);
    if (code == CLI_DONE)
        snprintf(place->dir, sizeof place->dir, "%s/ca", place->config.server_state_dir);
    return code;
}

static enum cli_exit open_ca(struct cli *cli, struct ca_place *place, struct ca **ca)
{
    const char *why = NULL;
    enum cli_exit code = find_place(cli, place);
    if (code != CLI_DONE)
        return code;
    rc_t rc = ca_open(place->dir, ca, &why);
    if (rc != RC_OK)
        return cli_fail(cli, rc == RC_NOT_FOUND || rc == RC_IO ? CLI_FILE : CLI_REFUSED,
                        rc == RC_NOT_FOUND ? "'holdfast ca init' makes it; only root may use it." : NULL,
                        "the certificate authority in %s cannot be used: %s", place->dir, why ? why : rc_text(rc));
    return CLI_DONE;
}

/* What certificates name, by the configuration. Views into it. */
static struct ca_links links_of(const struct config *config)
{
    return (struct ca_links){
        .crl_url = *config->tls_crl_url ? config->tls_crl_url : NULL,
        .ca_url = *config->tls_ca_url ? config->tls_ca_url : NULL,
    };
}

/* Tells a running server that files changed. It would see it by itself a little later: no failure counts. */
static void nudge_server(const struct config *config)
{
    char path[108];
    AUTO_BUF answer = BUF_EMPTY;
    if (config_control_path(config, path) == RC_OK && status_ask(path, "reload", RELOAD_WAIT_MS, &answer) == RC_OK)
        return;
}

static enum cli_exit read_days(struct cli *cli, unsigned *days)
{
    long number = 0;
    enum cli_exit code = cli_number(cli, OPT_DAYS, 1, 36500, &number);
    *days = (unsigned)number;
    return code;
}

enum cli_exit cmd_ca_init(struct cli *cli)
{
    struct ca_place place;
    struct ca_options options = {.name = cli_value(cli, OPT_SUBJECT, NULL), .key = CERT_KEY_P256};
    AUTO_DB db = NULL;
    enum cli_exit code = read_days(cli, &options.days);
    if (code == CLI_DONE)
        code = find_place(cli, &place);
    if (code == CLI_DONE)
        code = admin_db_open(cli, &place.config, DB_ROLE_POLICY, &db);
    if (code != CLI_DONE)
        return code;
    const char *why = NULL;
    rc_t rc = ca_init(place.dir, &options, &why);
    if (rc == RC_CONFLICT)
        return cli_fail(cli, CLI_REFUSED, "All clients hang on it; to begin anew move that folder away first.",
                        "there is a certificate authority in %s already", place.dir);
    if (rc != RC_OK)
        return cli_fail(cli, cli_exit_of(rc), NULL, "no certificate authority was made in %s: %s", place.dir,
                        why ? why : rc_text(rc));
    rc = db_audit_note(db, "Admin Make Certificate Authority", place.dir);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the certificate authority was made, but its audit row was not written");
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s}", "directory", place.dir));
    fprintf(cli->out,
            "Made a certificate authority in %s. ca.key is its private key: back it up, show it to nobody.\n"
            "Next: 'holdfast server-cert renew' for the server, 'holdfast client add NAME --out DIR' for a client.\n",
            place.dir);
    return CLI_DONE;
}

/* ---- the server's certificate ---- */

/* Splits --dns at commas, or gives the names of this machine. Views into `copy`. Where there are more than a
 * certificate takes, none is left out: HOSTS_ROOM then, which ca_issue_server() refuses. */
static size_t host_list(const struct cli *cli, char *copy, size_t room, const char *hosts[HOSTS_ROOM])
{
    char own[128] = "";
    if (gethostname(own, sizeof own - 1) != 0)
        own[0] = 0;
    if (cli_given(cli, OPT_DNS) && snprintf(copy, room, "%s", cli->option[OPT_DNS]) >= (int)room)
        return HOSTS_ROOM;
    if (!cli_given(cli, OPT_DNS))
        snprintf(copy, room, "localhost,127.0.0.1,::1%s%s", *own && strcmp(own, "localhost") != 0 ? "," : "",
                 strcmp(own, "localhost") != 0 ? own : "");
    size_t count = 0;
    char *rest = copy;
    for (char *host = strtok_r(copy, ", ", &rest); host && count < HOSTS_ROOM; host = strtok_r(NULL, ", ", &rest))
        hosts[count++] = host;
    return count;
}

static rc_t issue_server(struct cli *cli, struct ca *ca, const struct config *config, unsigned days,
                         struct ca_issued *issued, const char **why)
{
    AUTO_BUF old = BUF_EMPTY;
    struct ca_links links = links_of(config);
    if (!cli_given(cli, OPT_DNS) && pem_file_read(config->tls_certificate, &old) == RC_OK)
        return ca_renew_server(ca, buf_view(&old), days, &links, issued, why);
    char copy[HOSTS_ROOM * 256];
    const char *hosts[HOSTS_ROOM];
    struct ca_server_request request = {.hosts = hosts, .key = CERT_KEY_P256, .days = days, .links = links};
    request.host_count = host_list(cli, copy, sizeof copy, hosts);
    return ca_issue_server(ca, &request, issued, why);
}

/* The audit row comes first: a row without a certificate harms less than a certificate without a row. */
static enum cli_exit note_server(struct cli *cli, struct db_admin *db, const struct cert_identity *id)
{
    char detail[128], until[16];
    snprintf(detail, sizeof detail, "serial=%s not_after=%s", id->serial, cli_date(id->not_after, until));
    rc_t rc = db_audit_note(db, "Admin Renew Server Certificate", detail);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, db, rc, "the server certificate was not renewed");
}

enum cli_exit cmd_server_cert_renew(struct cli *cli)
{
    struct ca_place place;
    unsigned days;
    AUTO_CA ca = NULL;
    AUTO_DB db = NULL;
    enum cli_exit code = read_days(cli, &days);
    if (code == CLI_DONE)
        code = open_ca(cli, &place, &ca);
    if (code == CLI_DONE)
        code = admin_db_open(cli, &place.config, DB_ROLE_POLICY, &db);
    if (code != CLI_DONE)
        return code;
    const struct config *config = &place.config;
    struct ca_issued issued = {0};
    const char *why = NULL;
    rc_t rc = issue_server(cli, ca, config, days, &issued, &why);
    if (rc != RC_OK)
        return cli_fail(cli, cli_exit_of(rc), "--dns LIST issues one anew, for those names.",
                        "no server certificate was issued: %s", why ? why : rc_text(rc));
    rc = ca_cert_pem(ca, &issued.cert_pem);
    code = rc == RC_OK ? note_server(cli, db, &issued.identity) : cli_fail(cli, CLI_INTERNAL, NULL, "%s", rc_text(rc));
    if (code == CLI_DONE)
        code = cli_write_file(cli, config->tls_key, buf_view(&issued.key_pem), PEM_SECRET_MODE);
    if (code == CLI_DONE)
        code = cli_write_file(cli, config->tls_certificate, buf_view(&issued.cert_pem), PEM_PUBLIC_MODE);
    char until[16];
    cli_date(issued.identity.not_after, until);
    if (code == CLI_DONE) {
        nudge_server(config);
        if (cli_given(cli, OPT_JSON))
            code = cli_print_json(cli, json_pack("{s:s, s:s, s:s, s:s}", "certificate", config->tls_certificate, "key",
                                                 config->tls_key, "serial", issued.identity.serial, "not_after",
                                                 until));
        else
            fprintf(cli->out, "Wrote the server's certificate to %s, valid until %s.\n", config->tls_certificate,
                    until);
    }
    ca_issued_free(&issued);
    return code;
}

/* ---- clients ---- */

/* Writes DIR/NAME. */
static enum cli_exit write_in(struct cli *cli, const char *dir, const char *name, struct bytes content, unsigned mode)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return cli_fail(cli, CLI_USAGE, NULL, "the path %s is too long", dir);
    return cli_write_file(cli, path, content, mode);
}

static void remove_in(const char *dir, const char *name)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path)
        unlink(path);
}

/* The folder for a client's files: new, or without what would be overwritten. With --csr the key is the client's. */
static enum cli_exit prepare_folder(struct cli *cli, const char *dir)
{
    char path[PATH_ROOM];
    static const char *const names[] = {"cert.pem", "key.pem"};
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return cli_fail(cli, CLI_FILE, NULL, "the folder %s cannot be made: %s", dir, strerror(errno));
    for (size_t i = 0; i < (cli_given(cli, OPT_CSR) ? 1 : 2); i++) {
        if (snprintf(path, sizeof path, "%s/%s", dir, names[i]) >= (int)sizeof path)
            return cli_fail(cli, CLI_USAGE, NULL, "the path %s is too long", dir);
        if (access(path, F_OK) == 0)
            return cli_fail(cli, CLI_REFUSED, "Give another folder, or move that file away.",
                            "%s is there already and was not overwritten", path);
    }
    return CLI_DONE;
}

static enum cli_exit write_client_files(struct cli *cli, struct ca *ca, const struct ca_issued *issued)
{
    const char *dir = cli->option[OPT_DIRECTORY];
    AUTO_BUF authority = BUF_EMPTY;
    rc_t rc = ca_cert_pem(ca, &authority);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_INTERNAL, NULL, "%s", rc_text(rc));
    enum cli_exit code = CLI_DONE;
    if (issued->key_pem.len > 0)
        code = write_in(cli, dir, "key.pem", buf_view(&issued->key_pem), PEM_SECRET_MODE);
    if (code == CLI_DONE)
        code = write_in(cli, dir, "cert.pem", buf_view(&issued->cert_pem), PEM_PUBLIC_MODE);
    if (code == CLI_DONE)
        code = write_in(cli, dir, "ca.pem", buf_view(&authority), PEM_PUBLIC_MODE);
    return code;
}

static rc_t store_client(struct cli *cli, struct db_admin *db, const char *name, const struct cert_identity *identity,
                         struct uid *id)
{
    struct db_certificate row = {
        .issuer = identity->issuer,
        .kind = identity->names[0].kind,
        .value = identity->names[0].value,
        .serial = identity->serial,
        .fingerprint = identity->fingerprint,
        .not_before = identity->not_before,
        .not_after = identity->not_after,
    };
    if (cli_given(cli, OPT_RENEW))
        return db_certificate_add(db, name, cli->option[OPT_WHY], &row);
    return db_client_add(db, name, cli->option[OPT_DOMAIN], cli->option[OPT_WHY], &row, id);
}

static enum cli_exit finish_client(struct cli *cli, struct ca *ca, struct db_admin *db, const char *name,
                                   const struct ca_issued *issued)
{
    bool files = cli_given(cli, OPT_DIRECTORY);
    enum cli_exit code = files ? write_client_files(cli, ca, issued) : CLI_DONE;
    if (code != CLI_DONE)
        return code;
    struct uid id = {0};
    rc_t rc = store_client(cli, db, name, &issued->identity, &id);
    if (rc != RC_OK && files) {
        if (issued->key_pem.len > 0)
            remove_in(cli->option[OPT_DIRECTORY], "key.pem");
        remove_in(cli->option[OPT_DIRECTORY], "cert.pem");
        remove_in(cli->option[OPT_DIRECTORY], "ca.pem");
    }
    if (rc == RC_NAME_TAKEN)
        return cli_fail(cli, CLI_REFUSED, "--renew issues a further certificate to a client that is there.",
                        "there is a client %s already", name);
    if (rc == RC_NOT_FOUND && cli_given(cli, OPT_RENEW))
        return cli_fail(cli, CLI_REFUSED, "Leave --renew away to enrol it.", "there is no client %s", name);
    if (rc == RC_WRONG_STATE)
        return cli_fail(
            cli, CLI_REFUSED, "'holdfast client enable NAME --reason TEXT' lets it in again.",
            "the client %s is revoked, and another certificate would not let it in", name);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the client was not enrolled");
    char until[16];
    cli_date(issued->identity.not_after, until);
    if (cli_given(cli, OPT_JSON)) {
        json_t *pem = files ? NULL : json_stringn((const char *)issued->cert_pem.data, issued->cert_pem.len);
        return cli_print_json(
            cli, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:o*}", "client", name, "identity",
                           issued->identity.names[0].value, "serial", issued->identity.serial, "fingerprint",
                           issued->identity.fingerprint, "not_after", until, "directory",
                           cli_value(cli, OPT_DIRECTORY, NULL), "certificate", pem));
    }
    if (!files) {
        fwrite(issued->cert_pem.data, 1, issued->cert_pem.len, cli->out);
        return CLI_DONE;
    }
    fprintf(cli->out, "Enrolled the client %s, certificate valid until %s. Files for it in %s:\n", name, until,
            cli->option[OPT_DIRECTORY]);
    fprintf(cli->out, "  cert.pem  its certificate\n%s  ca.pem    the authority its server certificate comes from\n",
            issued->key_pem.len > 0 ? "  key.pem   its private key, for nobody else\n" : "");
    return CLI_DONE;
}

enum cli_exit cmd_client_add(struct cli *cli)
{
    const char *name = cli->arguments[0];
    if (ca_client_name_check(name) != RC_OK)
        return cli_fail(cli, CLI_USAGE, NULL,
                        "'%s' is no client name: 1 to %d of A-Z a-z 0-9 . _ -, a letter or digit first", name,
                        CA_CLIENT_NAME_BYTES);
    if (cli_given(cli, OPT_RENEW) && cli_given(cli, OPT_DOMAIN))
        return cli_fail(cli, CLI_USAGE, NULL,
                        "a client stays in its domain: --renew and --domain do not go together");
    if (!cli_given(cli, OPT_CSR) && !cli_given(cli, OPT_DIRECTORY))
        return cli_fail(cli, CLI_USAGE, NULL,
                        "say where the key is: --out DIR makes one there, --csr FILE signs the client's request");
    struct ca_client_request request = {.name = name, .key = CERT_KEY_P256};
    struct ca_place place;
    AUTO_BUF csr = BUF_EMPTY;
    AUTO_CA ca = NULL;
    AUTO_DB db = NULL;
    enum cli_exit code = read_days(cli, &request.days);
    if (code == CLI_DONE && cli_given(cli, OPT_CSR))
        code = cli_read_file(cli, cli->option[OPT_CSR], 65536, &csr);
    if (code == CLI_DONE && cli_given(cli, OPT_CSR) && csr.len == 0)
        code = cli_fail(cli, CLI_REFUSED, NULL, "%s is empty: there is no certificate request in it",
                        cli->option[OPT_CSR]);
    if (code == CLI_DONE)
        code = open_ca(cli, &place, &ca);
    if (code == CLI_DONE)
        code = admin_db_open(cli, &place.config, DB_ROLE_POLICY, &db);
    if (code == CLI_DONE && cli_given(cli, OPT_DIRECTORY))
        code = prepare_folder(cli, cli->option[OPT_DIRECTORY]);
    if (code != CLI_DONE)
        return code;
    request.csr_pem = buf_view(&csr);
    request.links = links_of(&place.config);
    struct ca_issued issued = {0};
    const char *why = NULL;
    rc_t rc = ca_issue_client(ca, &request, &issued, &why);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_REFUSED, NULL, "no certificate was issued for %s: %s", name, why ? why : rc_text(rc));
    code = finish_client(cli, ca, db, name, &issued);
    ca_issued_free(&issued);
    return code;
}

struct client_print {
    struct cli *cli;
    json_t *rows;
};

static bool print_client(void *arg, const struct db_client *c)
{
    struct client_print *p = arg;
    char id[UID_TEXT_SIZE], until[16];
    uid_print(&c->id, id);
    cli_date(c->not_after, until);
    if (p->rows)
        json_array_append_new(
            p->rows,
            json_pack("{s:s, s:s, s:s, s:b, s:s?, s:i, s:s, s:s?, s:s?, s:b, s:b, s:s}", "client",
                      c->name, "id", id, "domain", c->domain, "enabled", c->enabled, "identities",
                      c->identities, "certificates", (int)c->certificates, "not_after", until,
                      "groups", c->groups, "roles", c->roles, "second_factor", c->second_factor,
                      "legacy_tls", c->legacy_tls, "quirks", c->quirks));
    else
        fprintf(p->cli->out, "%-20s %-8s %u certificate%s valid until %s  %s  domain %s%s%s%s%s\n",
                c->name, c->enabled ? "enabled" : "disabled", c->certificates,
                c->certificates == 1 ? ", " : "s,", until, c->identities ? c->identities : "",
                c->domain, c->groups ? "  groups " : "", c->groups ? c->groups : "",
                c->roles ? "  roles " : "", c->roles ? c->roles : "");
    return true;
}

enum cli_exit cmd_client_list(struct cli *cli)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    struct client_print print = {cli, cli_given(cli, OPT_JSON) ? json_array() : NULL};
    rc_t rc = db_client_list(db, print_client, &print);
    return admin_db_listed(cli, db, rc, print.rows, "the clients cannot be listed");
}

/* The revoked certificates of one issuer, as the CRL wants them. */
struct revoked_list {
    struct arena arena;
    const char *issuer;
    struct ca_revoked *items;
    size_t count, room;
    bool failed;
};

static bool collect_revoked(void *arg, const struct db_certificate_row *row)
{
    struct revoked_list *list = arg;
    if (row->revoked_at == NO_DATE || strcmp(row->issuer, list->issuer) != 0)
        return true;
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct ca_revoked *items = ARENA_ARRAY(&list->arena, room, struct ca_revoked);
        if (!items) {
            list->failed = true;
            return false;
        }
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    struct bytes serial = arena_copy(&list->arena, bytes_str(row->serial));
    list->failed = !serial.data;
    list->items[list->count++] = (struct ca_revoked){.serial = (const char *)serial.data, .when = row->revoked_at};
    return !list->failed;
}

static rc_t write_crl(struct ca *ca, struct db_admin *db, size_t *count, const char **why)
{
    struct cert_identity authority = {0};
    TRY(cert_identity(ca_cert(ca), &authority));
    struct revoked_list list = {.arena = ARENA_OF(256 << 20), .issuer = authority.issuer};
    rc_t rc = db_certificate_list(db, NULL, collect_revoked, &list);
    if (rc == RC_OK && list.failed)
        rc = RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = ca_crl_write(ca, list.items, list.count, 0, why);
    *count = list.count;
    arena_free(&list.arena);
    cert_identity_free(&authority);
    return rc;
}

enum cli_exit cmd_client_revoke(struct cli *cli)
{
    const char *name = cli->arguments[0];
    struct ca_place place;
    AUTO_CA ca = NULL;
    AUTO_DB db = NULL;
    enum cli_exit code = open_ca(cli, &place, &ca);
    if (code == CLI_DONE)
        code = admin_db_open(cli, &place.config, DB_ROLE_POLICY, &db);
    if (code != CLI_DONE)
        return code;
    const char *values[] = {name, cli_value(cli, OPT_WHY, "none given")};
    rc_t rc = db_policy_call(db, "client_revoke", 2, values);
    if (rc == RC_NOT_FOUND)
        return cli_fail(cli, CLI_REFUSED, "'holdfast client list' shows them.", "there is no client %s", name);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the client was not revoked");
    size_t count = 0;
    const char *why = NULL;
    rc = write_crl(ca, db, &count, &why);
    if (rc != RC_OK)
        return cli_fail(cli, cli_exit_of(rc), "Run the command again once that is mended.",
                        "%s is shut out by the database, but the revocation list in %s was not written: %s", name,
                        place.dir, why ? why : rc_text(rc));
    nudge_server(&place.config);
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s, s:b, s:I}", "client", name, "revoked", 1, "list_entries",
                                             (json_int_t)count));
    fprintf(cli->out, "Revoked %s: no new connection, and open ones end within a minute. Its objects stay.\n", name);
    return CLI_DONE;
}
