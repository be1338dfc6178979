/*
 * `holdfast init`, `approval`, `recovery`: the ceremonies. The vault does the work on the TPM; here
 * its answers are put where they belong: rows into the database, the pinned state of the node and, self-approved,
 * keys and escrow into files that only root reads. Each step can be run again after a crash.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "db/hierarchy.h"
#include "server/admin/admin_db.h"
#include "server/admin/vault_admin.h"
#include "server/vault/tpm/ceremony.h"

enum { CEREMONY_ARENA = 64 << 20, PATH_ROOM = CONFIG_TEXT_SIZE + 64, SECRET_MODE = 0600, PUBLIC_MODE = 0644 };

#define AUTO_CEREMONY __attribute__((cleanup(ceremony_end))) struct ceremony

/* What every ceremony on this node needs. */
struct ceremony {
    struct cli *cli;
    struct config config;
    struct arena arena;
    struct db_admin *db;
    struct hierarchy rows; /* as stored */
    struct buf texts[4];   /* files read; wiped */
};

static void ceremony_end(struct ceremony *c)
{
    db_admin_close(&c->db);
    arena_free(&c->arena);
    for (size_t i = 0; i < sizeof c->texts / sizeof *c->texts; i++)
        buf_free(&c->texts[i]);
}

static enum cli_exit ceremony_begin(struct cli *cli, struct ceremony *c, const char *role)
{
    *c = (struct ceremony){.cli = cli, .arena = ARENA_OF(CEREMONY_ARENA)};
    enum cli_exit code = cli_config(cli, &c->config);
    if (code == CLI_DONE)
        code = admin_db_open(cli, &c->config, role, &c->db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_hierarchy_load(c->db, &c->arena, &c->rows);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, c->db, rc, "the rows of the key hierarchy cannot be read");
}

/* Where a node is set up: what the server's role may not do is refused before the TPM is touched. */
static enum cli_exit enrolment_begin(struct cli *cli, struct ceremony *c)
{
    enum cli_exit code = ceremony_begin(cli, c, DB_ROLE_MIGRATOR);
    rc_t rc = code == CLI_DONE ? db_hierarchy_may_enrol(c->db) : RC_OK;
    if (rc == RC_DENIED)
        code = cli_fail(cli, CLI_REFUSED,
                        "Connect as holdfast_migrator, or as another member of holdfast_owner, to a database that "
                        "'holdfast db migrate' has brought up to date.",
                        "a node cannot be set up: %s", db_admin_error(c->db));
    else if (rc != RC_OK)
        code = admin_db_fail(cli, c->db, rc, "a node cannot be set up");
    return code;
}

/* STATE_DIR/name. */
static const char *in_state(const struct ceremony *c, const char *name, char out[static PATH_ROOM])
{
    snprintf(out, PATH_ROOM, "%s/%s", c->config.server_state_dir, name);
    return out;
}

static bool exists(const struct ceremony *c, const char *name)
{
    char path[PATH_ROOM];
    return access(in_state(c, name, path), F_OK) == 0;
}

static enum cli_exit write_state(struct ceremony *c, const char *name, struct bytes content, unsigned mode)
{
    char path[PATH_ROOM];
    return cli_write_file(c->cli, in_state(c, name, path), content, mode);
}

static enum cli_exit rename_state(struct ceremony *c, const char *from, const char *to)
{
    char old[PATH_ROOM], new[PATH_ROOM];
    if (rename(in_state(c, from, old), in_state(c, to, new)) == 0)
        return CLI_DONE;
    return cli_fail(c->cli, CLI_FILE, NULL, "%s cannot be renamed to %s: %s", old, new, strerror(errno));
}

static enum cli_exit encode_rows(struct ceremony *c, struct buf *out)
{
    rc_t rc = hierarchy_encode(&c->rows, out);
    return rc == RC_OK ? CLI_DONE : cli_fail(c->cli, CLI_INTERNAL, NULL, "the stored rows: %s", rc_text(rc));
}

/* `enrolled`: the state of a node that was just set up, empty: none was. */
static enum cli_exit store_rows(struct ceremony *c, struct bytes encoded, struct bytes enrolled, const char *operation)
{
    struct hierarchy rows;
    struct node_state state = {0};
    const struct hierarchy_node *node = NULL;
    rc_t rc = hierarchy_decode(encoded, &c->arena, &rows);
    if (rc == RC_OK && enrolled.len && (rc = node_state_decode(enrolled, &state)) == RC_OK)
        rc = (node = hierarchy_find_node(&rows, &state.node)) ? RC_OK : RC_INTEGRITY;
    if (rc != RC_OK)
        return cli_fail(c->cli, CLI_INTERNAL, NULL, "the vault's rows cannot be read: %s", rc_text(rc));
    rc = db_hierarchy_store(c->db, &rows, node, operation, NULL);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(c->cli, c->db, rc, "the rows of the key hierarchy were not stored");
}

/*
 * Rows into the database, the pinned state into node.state. The state is on disk under another name before the
 * rows are stored, so that a crash in between is finished by the next run (finish_interrupted).
 */
static enum cli_exit keep(struct ceremony *c, const struct admin_answer *a, const char *operation)
{
    enum cli_exit code = write_state(c, "node.state.new", a->node_state, SECRET_MODE);
    if (code == CLI_DONE)
        code = store_rows(c, a->hierarchy, a->node_state, operation);
    return code == CLI_DONE ? rename_state(c, "node.state.new", "node.state") : code;
}

/* Whether node.state.new names a node that the database has: all but the rename is done then. */
static bool finish_interrupted(struct ceremony *c)
{
    char path[PATH_ROOM];
    AUTO_BUF text = BUF_EMPTY;
    struct node_state state;
    if (!exists(c, "node.state.new") ||
        cli_read_file(c->cli, in_state(c, "node.state.new", path), NODE_STATE_MAX, &text) != CLI_DONE ||
        node_state_decode(buf_view(&text), &state) != RC_OK || !hierarchy_find_node(&c->rows, &state.node))
        return false;
    return rename_state(c, "node.state.new", "node.state") == CLI_DONE;
}

/* --pcrs and --nv-index; what is not given stays 0, which means the vault's own choice. */
static enum cli_exit read_choices(struct cli *cli, struct admin_request *request)
{
    enum { PCR_LAST = 23, NV_LEAST = 0x01800000, NV_MOST = 0x01bffffe };
    uint64_t pcrs = 0;
    long index = 0;
    enum cli_exit code = cli_numbers(cli, OPT_PCRS, PCR_LAST, &pcrs);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_NV_INDEX, NV_LEAST, NV_MOST, &index);
    request->pcr_mask = (uint32_t)pcrs;
    request->nv_base = (uint32_t)index;
    return code;
}

static enum cli_exit tell(struct cli *cli, const char *did, const char *text)
{
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b, s:s}", "ok", 1, "done", did));
    fputs(text, cli->out);
    return CLI_DONE;
}

static enum cli_exit read_into(struct ceremony *c, size_t slot, const char *path)
{
    return cli_read_file(c->cli, path, CEREMONY_TEXT_MAX, &c->texts[slot]);
}

/* ---- init ---- */

static enum cli_exit make_secret_folder(struct ceremony *c)
{
    char path[PATH_ROOM];
    if (mkdir(in_state(c, "secret", path), 0700) != 0 && errno != EEXIST)
        return cli_fail(c->cli, CLI_FILE, NULL, "the folder %s cannot be made: %s", path, strerror(errno));
    return CLI_DONE;
}

static enum cli_exit keep_secrets(struct ceremony *c, const struct admin_answer *a)
{
    const struct {
        const char *name;
        struct bytes content;
        unsigned mode;
    } files[] = {{"secret/auth.key", a->auth_key, SECRET_MODE},
                 {"secret/auth.pub", a->auth_pub, PUBLIC_MODE},
                 {"secret/recovery.key", a->rec_key, SECRET_MODE},
                 {"secret/recovery.pub", a->rec_pub, PUBLIC_MODE},
                 {"secret/escrow", a->escrow, SECRET_MODE}};
    enum cli_exit code = make_secret_folder(c);
    for (size_t i = 0; i < sizeof files / sizeof *files && code == CLI_DONE; i++)
        code = write_state(c, files[i].name, files[i].content, files[i].mode);
    return code;
}

/* The escrow as it lies on the disk, with the key as it lies there: nothing else would be there one day. */
static enum cli_exit verify_escrow(struct ceremony *c)
{
    char path[PATH_ROOM];
    AUTO_BUF proof = BUF_EMPTY;
    enum cli_exit code = read_into(c, 0, in_state(c, "secret/escrow", path));
    if (code == CLI_DONE)
        code = read_into(c, 1, in_state(c, "secret/recovery.key", path));
    if (code != CLI_DONE)
        return code;
    rc_t rc = escrow_check(buf_view(&c->texts[0]), buf_view(&c->texts[1]), &proof);
    return rc == RC_OK ? CLI_DONE
                       : cli_fail(c->cli, CLI_DAMAGE, "Is the disk sound? Run it again with --replace.",
                                  "the escrow that was written does not open with the recovery key: %s", rc_text(rc));
}

static enum cli_exit init_self(struct ceremony *c)
{
    AUTO_VAULT_ADMIN vault = NULL;
    struct admin_answer answer;
    struct admin_request request = {
        .step = ADMIN_INIT_SELF_APPROVE, .domain = 1, .replace_nv = cli_given(c->cli, OPT_REPLACE)};
    enum cli_exit code = read_choices(c->cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(c->cli, &c->config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(c->cli, vault, &request, &c->arena, &answer);
    if (code == CLI_DONE)
        code = keep_secrets(c, &answer);
    if (code == CLI_DONE)
        code = verify_escrow(c);
    if (code == CLI_DONE)
        code = keep(c, &answer, "Admin Initialise");
    if (code != CLI_DONE)
        return code;
    if (cli_given(c->cli, OPT_JSON))
        return tell(c->cli, "initialised, self-approved", "");
    fprintf(c->cli->out,
            "The root of all keys is made; it opens in this machine's TPM only. The escrow was written, opened once\n"
            "with the recovery key and found good.\n"
            "\n"
            "SELF-APPROVED: the approval key and the recovery key were made on this machine and lie in\n"
            "  %s/secret\n"
            "Whoever is root here, or reads these files, can approve another boot state and open all keys.\n"
            "They are not used again by themselves. To move to offline keys now:\n"
            "  1. Copy the folder to two offline media; check that both can be read.\n"
            "  2. Remove auth.key, recovery.key and escrow from this machine.\n"
            "Keep them: without recovery.key and escrow a dead mainboard takes all keys along, and without auth.key\n"
            "no changed boot state can be approved.\n",
            c->config.server_state_dir);
    return CLI_DONE;
}

static enum cli_exit init_request(struct ceremony *c)
{
    AUTO_VAULT_ADMIN vault = NULL;
    struct admin_answer answer;
    if (!cli_given(c->cli, OPT_AUTH))
        return cli_fail(c->cli, CLI_USAGE, NULL, "name the public approval key: --auth FILE");
    enum cli_exit code = read_into(c, 0, c->cli->option[OPT_AUTH]);
    struct admin_request request = {.step = ADMIN_INIT_BEGIN,
                                    .domain = 1,
                                    .replace_nv = cli_given(c->cli, OPT_REPLACE),
                                    .auth_pub = buf_view(&c->texts[0])};
    if (code == CLI_DONE)
        code = read_choices(c->cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(c->cli, &c->config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(c->cli, vault, &request, &c->arena, &answer);
    if (code == CLI_DONE)
        code = write_state(c, "init.pending", answer.pending, SECRET_MODE);
    if (code == CLI_DONE)
        code = cli_write_file(c->cli, c->cli->option[OPT_REQUEST], answer.request, PUBLIC_MODE);
    if (code != CLI_DONE)
        return code;
    return tell(c->cli, "request written",
                "The request is written. Take it to the holder of the approval key, who runs\n"
                "  holdfast approval sign --request FILE --key AUTH.pem --recovery REC.pub --out RESPONSE\n"
                "and then here: holdfast init --response RESPONSE --escrow FILE\n");
}

/* Runs the second half of init or recovery from STATE_DIR/pending_name and --response. */
static enum cli_exit finish_step(struct ceremony *c, enum admin_step step, const char *pending_name,
                                 struct admin_answer *answer)
{
    char path[PATH_ROOM];
    AUTO_VAULT_ADMIN vault = NULL;
    if (!exists(c, pending_name))
        return cli_fail(c->cli, CLI_REFUSED, "Make a request first: --request FILE.",
                        "there is no request of this node that waits for a response");
    enum cli_exit code = read_into(c, 0, in_state(c, pending_name, path));
    if (code == CLI_DONE)
        code = read_into(c, 1, c->cli->option[OPT_RESPONSE]);
    const struct admin_request request = {
        .step = step, .pending = buf_view(&c->texts[0]), .response = buf_view(&c->texts[1])};
    if (code == CLI_DONE)
        code = vault_admin_open(c->cli, &c->config, &vault);
    return code == CLI_DONE ? vault_admin_step(c->cli, vault, &request, &c->arena, answer) : code;
}

static void drop_pending(const struct ceremony *c, const char *name)
{
    char path[PATH_ROOM];
    unlink(in_state(c, name, path));
}

static enum cli_exit init_response(struct ceremony *c)
{
    struct admin_answer answer;
    if (!cli_given(c->cli, OPT_ESCROW))
        return cli_fail(c->cli, CLI_USAGE, NULL, "name the file that the escrow shall be written to: --escrow FILE");
    enum cli_exit code = finish_step(c, ADMIN_INIT_FINISH, "init.pending", &answer);
    if (code == CLI_DONE)
        code = cli_write_file(c->cli, c->cli->option[OPT_ESCROW], answer.escrow, SECRET_MODE);
    if (code == CLI_DONE)
        code = keep(c, &answer, "Admin Initialise");
    if (code != CLI_DONE)
        return code;
    drop_pending(c, "init.pending");
    return tell(c->cli, "initialised, escrow to be proved",
                "The root of all keys is made. The vault serves once the escrow has been opened: its holder runs\n"
                "  holdfast recovery check --escrow FILE --recovery REC.pem --out PROOF\n"
                "and then here: holdfast init --proof PROOF\n"
                "Keep the escrow with the recovery key, away from the database.\n");
}

static enum cli_exit init_proof(struct ceremony *c)
{
    AUTO_BUF rows = BUF_EMPTY;
    enum cli_exit code = read_into(c, 0, c->cli->option[OPT_PROOF]);
    if (code == CLI_DONE)
        code = encode_rows(c, &rows);
    if (code != CLI_DONE)
        return code;
    rc_t rc = escrow_confirm(&rows, buf_view(&c->texts[0]));
    if (rc != RC_OK)
        return cli_fail(c->cli, cli_exit_of(rc), "Is it the proof of this cluster's escrow?",
                        "the proof does not fit: %s", rc_text(rc));
    code = store_rows(c, buf_view(&rows), BYTES_NONE, "Admin Confirm Escrow");
    if (code != CLI_DONE)
        return code;
    return tell(c->cli, "escrow confirmed", "The escrow is good; the vault may serve. Start the server.\n");
}

/* Whether this node, or this database, has a root already. */
static enum cli_exit refuse_second_init(struct ceremony *c)
{
    if (exists(c, "node.state"))
        return cli_fail(c->cli, CLI_REFUSED, "'holdfast status' shows it. Nothing was changed.",
                        "this node has its root of keys already (%s/node.state)", c->config.server_state_dir);
    if (c->rows.cr_count > 0)
        return cli_fail(c->cli, CLI_REFUSED, "If its TPM is lost, 'holdfast recovery restore' brings it onto this one.",
                        "the database holds a root of keys already, of another node");
    return CLI_DONE;
}

enum cli_exit cmd_init(struct cli *cli)
{
    int ways = cli_given(cli, OPT_SELF_APPROVE) + cli_given(cli, OPT_REQUEST) + cli_given(cli, OPT_RESPONSE) +
               cli_given(cli, OPT_PROOF);
    if (ways != 1)
        return cli_fail(cli, CLI_USAGE, "'holdfast init --help' explains them.",
                        "choose one: --self-approve, or --request, --response and --proof in turn");
    AUTO_CEREMONY c;
    enum cli_exit code = enrolment_begin(cli, &c);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_PROOF))
        return init_proof(&c);
    if (!exists(&c, "node.state") && finish_interrupted(&c))
        return tell(cli, "finished an interrupted init",
                    "Finished what an earlier run had begun: the root of keys is made.\n");
    code = refuse_second_init(&c);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_SELF_APPROVE))
        return init_self(&c);
    return cli_given(cli, OPT_REQUEST) ? init_request(&c) : init_response(&c);
}

/* ---- offline ---- */

enum cli_exit cmd_approval_sign(struct cli *cli)
{
    AUTO_BUF request = BUF_EMPTY, key = BUF_EMPTY, recovery = BUF_EMPTY, text = BUF_EMPTY, response = BUF_EMPTY;
    if (!cli_given(cli, OPT_REQUEST) || !cli_given(cli, OPT_APPROVAL_KEY) || !cli_given(cli, OPT_OUT))
        return cli_fail(cli, CLI_USAGE, NULL, "give --request FILE, --key AUTH.pem and --out FILE");
    enum cli_exit code = cli_read_file(cli, cli->option[OPT_REQUEST], CEREMONY_TEXT_MAX, &request);
    if (code == CLI_DONE)
        code = cli_read_file(cli, cli->option[OPT_APPROVAL_KEY], CEREMONY_TEXT_MAX, &key);
    if (code == CLI_DONE && cli_given(cli, OPT_RECOVERY))
        code = cli_read_file(cli, cli->option[OPT_RECOVERY], CEREMONY_TEXT_MAX, &recovery);
    if (code != CLI_DONE)
        return code;
    rc_t rc = request_describe(buf_view(&request), &text);
    if (rc == RC_OK)
        rc = approve_request(buf_view(&request), buf_view(&key), buf_view(&recovery), &response);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_REFUSED,
                        "An init request also needs --recovery with the public recovery key. Is --key the private key "
                        "that the request names?",
                        "the request in %s was not approved: %s", cli->option[OPT_REQUEST], rc_text(rc));
    code = cli_write_file(cli, cli->option[OPT_OUT], buf_view(&response), PUBLIC_MODE);
    if (code != CLI_DONE || cli_given(cli, OPT_JSON))
        return code == CLI_DONE ? tell(cli, "approved", "") : code;
    fprintf(cli->out, "%.*sApproved; the response is in %s.\n", (int)text.len, (const char *)text.data,
            cli->option[OPT_OUT]);
    return CLI_DONE;
}

enum cli_exit cmd_recovery_check(struct cli *cli)
{
    AUTO_BUF escrow = BUF_EMPTY, key = BUF_EMPTY, proof = BUF_EMPTY;
    if (!cli_given(cli, OPT_ESCROW) || !cli_given(cli, OPT_RECOVERY))
        return cli_fail(cli, CLI_USAGE, NULL, "give --escrow FILE and --recovery REC.pem");
    enum cli_exit code = cli_read_file(cli, cli->option[OPT_ESCROW], ESCROW_MAX, &escrow);
    if (code == CLI_DONE)
        code = cli_read_file(cli, cli->option[OPT_RECOVERY], CEREMONY_TEXT_MAX, &key);
    if (code != CLI_DONE)
        return code;
    rc_t rc = escrow_check(buf_view(&escrow), buf_view(&key), &proof);
    if (rc != RC_OK)
        return cli_fail(cli, cli_exit_of(rc),
                        "Try the other copies of escrow and key; without them there is no recovery.",
                        "the escrow in %s does not open with this key: %s", cli->option[OPT_ESCROW], rc_text(rc));
    if (cli_given(cli, OPT_OUT))
        code = cli_write_file(cli, cli->option[OPT_OUT], buf_view(&proof), PUBLIC_MODE);
    return code == CLI_DONE ? tell(cli, "escrow is good", "The escrow opens with this key and is whole.\n") : code;
}

/* ---- a changed boot state ---- */

static enum cli_exit read_pinned(struct ceremony *c, size_t slot, struct node_state *state)
{
    char path[PATH_ROOM];
    if (!exists(c, "node.state"))
        return cli_fail(c->cli, CLI_REFUSED, "'holdfast init' makes it.", "this node has no root of keys yet");
    enum cli_exit code = read_into(c, slot, in_state(c, "node.state", path));
    if (code != CLI_DONE)
        return code;
    rc_t rc = node_state_decode(buf_view(&c->texts[slot]), state);
    return rc == RC_OK ? CLI_DONE : cli_fail(c->cli, CLI_DAMAGE, NULL, "%s is damaged: %s", path, rc_text(rc));
}

enum cli_exit cmd_approval_request(struct cli *cli)
{
    AUTO_CEREMONY c = {0};
    AUTO_VAULT_ADMIN vault = NULL;
    AUTO_BUF rows = BUF_EMPTY;
    struct node_state pinned;
    struct admin_answer answer;
    if (!cli_given(cli, OPT_OUT))
        return cli_fail(cli, CLI_USAGE, NULL, "name the file that the request shall be written to: --out FILE");
    enum cli_exit code = ceremony_begin(cli, &c, DB_ROLE_SERVER);
    if (code == CLI_DONE)
        code = read_pinned(&c, 0, &pinned);
    if (code == CLI_DONE)
        code = encode_rows(&c, &rows);
    struct admin_request request = {
        .step = ADMIN_APPROVAL_REQUEST, .rows = buf_view(&rows), .node_state = buf_view(&c.texts[0])};
    if (code == CLI_DONE)
        code = read_choices(cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(cli, &c.config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(cli, vault, &request, &c.arena, &answer);
    if (code == CLI_DONE)
        code = cli_write_file(cli, cli->option[OPT_OUT], answer.request, PUBLIC_MODE);
    if (code != CLI_DONE)
        return code;
    return tell(cli, "request written",
                "The request for this boot state is written. The holder of the approval key runs\n"
                "  holdfast approval sign --request FILE --key AUTH.pem --out RESPONSE\n"
                "and then here: holdfast approval accept --response RESPONSE\n");
}

enum cli_exit cmd_approval_accept(struct cli *cli)
{
    AUTO_CEREMONY c = {0};
    AUTO_BUF rows = BUF_EMPTY;
    struct node_state pinned;
    if (!cli_given(cli, OPT_RESPONSE))
        return cli_fail(cli, CLI_USAGE, NULL, "name the approval: --response FILE");
    enum cli_exit code = ceremony_begin(cli, &c, DB_ROLE_SERVER);
    if (code == CLI_DONE)
        code = read_pinned(&c, 0, &pinned);
    if (code == CLI_DONE)
        code = read_into(&c, 1, cli->option[OPT_RESPONSE]);
    if (code != CLI_DONE)
        return code;
    rc_t rc = approval_accept(&c.rows, &pinned, buf_view(&c.texts[1]), &rows);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_REFUSED, "Was it made of this node's latest request, with this cluster's key?",
                        "the approval was not accepted: %s", rc_text(rc));
    code = store_rows(&c, buf_view(&rows), BYTES_NONE, "Admin Approve Boot State");
    return code == CLI_DONE ? tell(cli, "approved", "The boot state is approved. Start the server.\n") : code;
}

/* ---- recovery ---- */

static enum cli_exit recovery_answer(struct ceremony *c, const struct admin_answer *answer)
{
    enum cli_exit code = keep(c, answer, "Admin Recovery");
    return code == CLI_DONE ? tell(c->cli, "restored",
                                   "This TPM holds the root of all keys now; the old keys are served from here. Start "
                                   "the server.\n")
                            : code;
}

static enum cli_exit recovery_start(struct ceremony *c)
{
    struct cli *cli = c->cli;
    char escrow[PATH_ROOM], recovery[PATH_ROOM], auth[PATH_ROOM];
    AUTO_VAULT_ADMIN vault = NULL;
    AUTO_BUF rows = BUF_EMPTY;
    struct admin_answer answer;
    bool offline = cli_given(cli, OPT_REQUEST);
    enum cli_exit code = read_into(c, 0, cli_value(cli, OPT_ESCROW, in_state(c, "secret/escrow", escrow)));
    if (code == CLI_DONE)
        code = read_into(c, 1, cli_value(cli, OPT_RECOVERY, in_state(c, "secret/recovery.key", recovery)));
    if (code == CLI_DONE && !offline)
        code = read_into(c, 2, cli_value(cli, OPT_AUTH, in_state(c, "secret/auth.key", auth)));
    if (code == CLI_DONE)
        code = encode_rows(c, &rows);
    struct admin_request request = {.step = offline ? ADMIN_RECOVERY_BEGIN : ADMIN_RECOVERY_RESTORE,
                                    .replace_nv = cli_given(cli, OPT_REPLACE),
                                    .rows = buf_view(&rows),
                                    .escrow = buf_view(&c->texts[0]),
                                    .rec_key = buf_view(&c->texts[1]),
                                    .auth_key = buf_view(&c->texts[2])};
    if (code == CLI_DONE)
        code = read_choices(cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(cli, &c->config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(cli, vault, &request, &c->arena, &answer);
    if (code != CLI_DONE || !offline)
        return code == CLI_DONE ? recovery_answer(c, &answer) : code;
    code = write_state(c, "recovery.pending", answer.pending, SECRET_MODE);
    if (code == CLI_DONE)
        code = cli_write_file(cli, cli->option[OPT_REQUEST], answer.request, PUBLIC_MODE);
    return code == CLI_DONE ? tell(cli, "request written",
                                   "The request is written. The holder of the approval key runs\n"
                                   "  holdfast approval sign --request FILE --key AUTH.pem --out RESPONSE\n"
                                   "and then here: holdfast recovery restore --response RESPONSE\n")
                            : code;
}

enum cli_exit cmd_recovery_restore(struct cli *cli)
{
    AUTO_CEREMONY c = {0};
    enum cli_exit code = enrolment_begin(cli, &c);
    if (code != CLI_DONE)
        return code;
    if (c.rows.cr_count == 0)
        return cli_fail(cli, CLI_REFUSED, "Restore the database first, or make a new root with 'holdfast init'.",
                        "the database holds no root of keys to bring back");
    if (!cli_given(cli, OPT_RESPONSE))
        return recovery_start(&c);
    struct admin_answer answer;
    code = finish_step(&c, ADMIN_RECOVERY_FINISH, "recovery.pending", &answer);
    if (code == CLI_DONE)
        code = recovery_answer(&c, &answer);
    if (code == CLI_DONE)
        drop_pending(&c, "recovery.pending");
    return code;
}
