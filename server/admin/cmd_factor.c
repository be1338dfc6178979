/*
 * `holdfast client password|device|factors|factor-remove`: what a client must bring beside its certificate. A password
 * is read from the terminal or a file, never from the command line, and only its hash leaves this process.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <jansson.h>

#include "db/admin_factor.h"
#include "proto/base/buf.h"
#include "proto/base/wipe.h"
#include "server/admin/admin_db.h"
#include "server/policy/quirk.h"
#include "server/vault/crypto/crypto.h"
#include "server/vault/crypto/scrypt.h"
#include "server/vault/wire.h"

/* ---- passwords ---- */

/*
 * One line from the terminal, without echo. The key for an interruption ends the line instead of this process, which
 * would leave the terminal without echo.
 */
static rc_t ask_line(int tty, const char *prompt, struct buf *out)
{
    struct termios was, quiet;
    char c = 0;
    ssize_t n = -1;
    if (tcgetattr(tty, &was) != 0)
        return RC_IO;
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_cc[VEOL] = was.c_cc[VINTR];
    if (tcsetattr(tty, TCSAFLUSH, &quiet) != 0)
        return RC_IO;
    rc_t rc = write(tty, prompt, strlen(prompt)) < 0 ? RC_IO : RC_OK;
    while (rc == RC_OK && (n = read(tty, &c, 1)) == 1 && c != '\n' && (cc_t)c != was.c_cc[VINTR])
        rc = out->len <= VAULT_PASSWORD_MAX ? buf_add_u8(out, (uint8_t)c) : RC_TOO_LARGE;
    tcsetattr(tty, TCSAFLUSH, &was);
    bool whole = n == 1 && c == '\n';
    wipe(&c, sizeof c);
    if (write(tty, "\n", 1) < 0 || (rc == RC_OK && !whole))
        return RC_IO;
    return rc;
}

static enum cli_exit ask_password(struct cli *cli, struct buf *out)
{
    AUTO_BUF again = BUF_EMPTY;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return cli_fail(cli, CLI_FILE, "Use --password-file FILE, or - for standard input.",
                        "there is no terminal to ask for the password");
    rc_t rc = ask_line(tty, "Password: ", out);
    if (rc == RC_OK)
        rc = ask_line(tty, "Again: ", &again);
    close(tty);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_FILE, NULL, "the password cannot be read from the terminal: %s", rc_text(rc));
    if (!bytes_equal(buf_view(out), buf_view(&again)))
        return cli_fail(cli, CLI_REFUSED, "Run the command again.", "the two passwords are not the same");
    return CLI_DONE;
}

/* The password, without the newline that ends a file. */
static enum cli_exit read_password(struct cli *cli, struct buf *out)
{
    enum cli_exit code = cli_given(cli, OPT_PASSWORD_FILE)
                             ? cli_read_file(cli, cli->option[OPT_PASSWORD_FILE], VAULT_PASSWORD_MAX + 2, out)
                             : ask_password(cli, out);
    if (code != CLI_DONE)
        return code;
    if (out->len > 0 && out->data[out->len - 1] == '\n')
        buf_cut(out, out->len - 1);
    if (out->len > 0 && out->data[out->len - 1] == '\r')
        buf_cut(out, out->len - 1);
    if (out->len > VAULT_PASSWORD_MAX || memchr(out->data ? out->data : (const uint8_t *)"", 0, out->len))
        return cli_fail(cli, CLI_REFUSED, NULL, "a password has at most %d bytes, and no NUL among them",
                        VAULT_PASSWORD_MAX);
    return CLI_DONE;
}

/* Only clients that cannot do better may have an empty one. */
static enum cli_exit check_empty(struct cli *cli, struct db_admin *db, const char *client, const struct buf *password)
{
    bool has = false;
    if (password->len > 0)
        return CLI_DONE;
    rc_t rc = db_client_has_quirk(db, client, quirk_text(QUIRK_EMPTY_CREDENTIALS), &has);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the password was not registered");
    if (!has)
        return cli_fail(cli, CLI_REFUSED, "Only a client with the quirk empty-credentials may be without one.",
                        "the password is empty");
    return CLI_DONE;
}

struct hashed {
    uint8_t salt[SCRYPT_SALT_BYTES], hash[SCRYPT_HASH_BYTES];
    struct db_password row; /* views the two */
};

static enum cli_exit hash_password(struct cli *cli, const struct buf *password, struct hashed *out)
{
    const struct scrypt_cost cost = SCRYPT_COST;
    rc_t rc = crypto_random_public(out->salt, sizeof out->salt);
    if (rc == RC_OK)
        rc = scrypt_hash(&cost, bytes_of(out->salt, sizeof out->salt), buf_view(password), out->hash);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_INTERNAL, NULL, "the password cannot be hashed: %s", rc_text(rc));
    out->row = (struct db_password){cost.log2, cost.block_size, cost.parallel, bytes_of(out->salt, sizeof out->salt),
                                    bytes_of(out->hash, sizeof out->hash)};
    return CLI_DONE;
}

/* Reads, checks and hashes the password for this client. */
static enum cli_exit take_password(struct cli *cli, struct db_admin *db, const char *client, struct hashed *out)
{
    AUTO_BUF password = BUF_EMPTY;
    enum cli_exit code = read_password(cli, &password);
    if (code == CLI_DONE)
        code = check_empty(cli, db, client, &password);
    return code == CLI_DONE ? hash_password(cli, &password, out) : code;
}

/* ---- commands ---- */

static const char *why(const struct cli *cli)
{
    return cli_value(cli, OPT_WHY, "none given");
}

static enum cli_exit registered(struct cli *cli, const char *client, const char *what, int64_t id)
{
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s, s:I}", "client", client, "factor", (json_int_t)id));
    fprintf(cli->out, "Registered %s of %s as factor %lld; it holds from the client's next request on.\n", what, client,
            (long long)id);
    return CLI_DONE;
}

enum cli_exit cmd_client_password(struct cli *cli)
{
    const char *client = cli->arguments[0], *user = cli->option[OPT_USER];
    struct hashed hashed;
    int64_t id = 0;
    AUTO_DB db = NULL;
    if (!user)
        return cli_fail(cli, CLI_USAGE, NULL, "say which user name the client brings: --user USER");
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code == CLI_DONE)
        code = take_password(cli, db, client, &hashed);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_password_add(db, client, user, &hashed.row, why(cli), &id);
    wipe(&hashed, sizeof hashed);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the password was not registered");
    return registered(cli, client, "user name and password", id);
}

static const struct {
    enum cli_option option;
    const char *fact;
} facts[] = {
    {OPT_DEVICE_SERIAL, "DeviceSerialNumber"}, {OPT_DEVICE_ID, "DeviceIdentifier"},
    {OPT_DEVICE_NETWORK, "NetworkIdentifier"}, {OPT_DEVICE_MACHINE, "MachineIdentifier"},
    {OPT_DEVICE_MEDIA, "MediaIdentifier"},
};

/* The facts given, as JSON text to be freed; NULL without memory. */
static char *facts_json(const struct cli *cli)
{
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (cli_given(cli, facts[i].option))
            json_object_set_new(o, facts[i].fact, json_string(cli->option[facts[i].option]));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static bool any_fact(const struct cli *cli)
{
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (cli_given(cli, facts[i].option))
            return true;
    return false;
}

enum cli_exit cmd_client_device(struct cli *cli)
{
    const char *client = cli->arguments[0];
    bool with_password = cli_given(cli, OPT_PASSWORD_FILE);
    struct hashed hashed;
    int64_t id = 0;
    AUTO_DB db = NULL;
    if (!any_fact(cli))
        return cli_fail(cli, CLI_USAGE, "'holdfast client device --help' lists them.",
                        "say by what the device is known: at least one of its identifiers");
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code == CLI_DONE && with_password)
        code = take_password(cli, db, client, &hashed);
    if (code != CLI_DONE)
        return code;
    char *json = facts_json(cli);
    rc_t rc = json ? db_device_add(db, client, json, with_password ? &hashed.row : NULL, why(cli), &id) : RC_NO_MEMORY;
    free(json);
    wipe(&hashed, sizeof hashed);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the device was not registered");
    return registered(cli, client, "a device", id);
}

enum cli_exit cmd_client_factor_remove(struct cli *cli)
{
    const char *id = cli->arguments[0];
    AUTO_DB db = NULL;
    if (id[strspn(id, "0123456789")] || !*id)
        return cli_fail(cli, CLI_USAGE, "'holdfast client factors' lists them.", "'%s' is no number of a factor", id);
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_factor_remove(db, id, why(cli));
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the factor was not removed");
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s, s:b}", "factor", id, "removed", 1));
    fprintf(cli->out, "Removed factor %s; its client's next request is judged without it.\n", id);
    return CLI_DONE;
}

struct print {
    struct cli *cli;
    json_t *rows;
};

static bool print_factor(void *arg, const struct db_factor_row *row)
{
    struct print *p = arg;
    char since[16];
    cli_date(row->created, since);
    if (p->rows) {
        json_t *device = row->device ? json_loads(row->device, 0, NULL) : NULL;
        json_array_append_new(p->rows,
                              json_pack("{s:I, s:s, s:s, s:s, s:o*, s:b, s:b, s:s}", "factor", (json_int_t)row->id,
                                        "client", row->client, "kind", row->kind, "user", row->name, "device", device,
                                        "password", row->has_password, "required", row->required, "since", since));
        return true;
    }
    fprintf(p->cli->out, "%-6lld %-20s %-8s %s%s, %s, since %s\n", (long long)row->id, row->client, row->kind,
            row->device ? row->device : row->name, row->device && row->has_password ? " and password" : "",
            row->required ? "required" : "not required", since);
    return true;
}

enum cli_exit cmd_client_factors(struct cli *cli)
{
    AUTO_DB db = NULL;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    struct print print = {cli, cli_given(cli, OPT_JSON) ? json_array() : NULL};
    rc_t rc = db_factor_list(db, cli->argument_count ? cli->arguments[0] : NULL, print_factor, &print);
    return admin_db_listed(cli, db, rc, print.rows, "the factors cannot be listed");
}
