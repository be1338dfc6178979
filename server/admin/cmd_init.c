/*
 * `holdfast init`: the ceremony that sets a node up, in one step (self-approved: keys and escrow go into files that
 * only root reads) or in those that offline keys take. See ceremony.h.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/admin/ceremony.h"

static enum cli_exit make_secret_folder(struct ceremony *c)
{
    char path[PATH_ROOM];
    if (mkdir(ceremony_path(c, "secret", path), 0700) != 0 && errno != EEXIST)
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
        code = ceremony_write(c, files[i].name, files[i].content, files[i].mode);
    return code;
}

/* The escrow as it lies on the disk, with the key as it lies there: nothing else would be there one day. */
static enum cli_exit verify_escrow(struct ceremony *c)
{
    char path[PATH_ROOM];
    AUTO_BUF proof = BUF_EMPTY;
    enum cli_exit code = ceremony_read(c, 0, ceremony_path(c, "secret/escrow", path));
    if (code == CLI_DONE)
        code = ceremony_read(c, 1, ceremony_path(c, "secret/recovery.key", path));
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
    enum cli_exit code = ceremony_choices(c->cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(c->cli, &c->config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(c->cli, vault, &request, &c->arena, &answer);
    if (code == CLI_DONE)
        code = keep_secrets(c, &answer);
    if (code == CLI_DONE)
        code = verify_escrow(c);
    if (code == CLI_DONE)
        code = ceremony_keep(c, &answer, "Admin Initialise");
    if (code != CLI_DONE)
        return code;
    if (cli_given(c->cli, OPT_JSON))
        return ceremony_tell(c->cli, "initialised, self-approved", "");
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
    enum cli_exit code = ceremony_read(c, 0, c->cli->option[OPT_AUTH]);
    struct admin_request request = {.step = ADMIN_INIT_BEGIN,
                                    .domain = 1,
                                    .replace_nv = cli_given(c->cli, OPT_REPLACE),
                                    .auth_pub = buf_view(&c->texts[0])};
    if (code == CLI_DONE)
        code = ceremony_choices(c->cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(c->cli, &c->config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(c->cli, vault, &request, &c->arena, &answer);
    if (code == CLI_DONE)
        code = ceremony_write(c, "init.pending", answer.pending, SECRET_MODE);
    if (code == CLI_DONE)
        code = cli_write_file(c->cli, c->cli->option[OPT_REQUEST], answer.request, PUBLIC_MODE);
    if (code != CLI_DONE)
        return code;
    return ceremony_tell(c->cli, "request written",
                         "The request is written. Take it to the holder of the approval key, who runs\n"
                         "  holdfast approval sign --request FILE --key AUTH.pem --recovery REC.pub --out RESPONSE\n"
                         "and then here: holdfast init --response RESPONSE --escrow FILE\n");
}

static enum cli_exit init_response(struct ceremony *c)
{
    struct admin_answer answer;
    if (!cli_given(c->cli, OPT_ESCROW))
        return cli_fail(c->cli, CLI_USAGE, NULL, "name the file that the escrow shall be written to: --escrow FILE");
    enum cli_exit code = ceremony_finish(c, ADMIN_INIT_FINISH, "init.pending", &answer);
    if (code == CLI_DONE)
        code = cli_write_file(c->cli, c->cli->option[OPT_ESCROW], answer.escrow, SECRET_MODE);
    if (code == CLI_DONE)
        code = ceremony_keep(c, &answer, "Admin Initialise");
    if (code != CLI_DONE)
        return code;
    ceremony_drop(c, "init.pending");
    return ceremony_tell(
        c->cli, "initialised, escrow to be proved",
        "The root of all keys is made. The vault serves once the escrow has been opened: its holder runs\n"
        "  holdfast recovery check --escrow FILE --recovery REC.pem --out PROOF\n"
        "and then here: holdfast init --proof PROOF\n"
        "Keep the escrow with the recovery key, away from the database.\n");
}

static enum cli_exit init_proof(struct ceremony *c)
{
    AUTO_BUF rows = BUF_EMPTY;
    enum cli_exit code = ceremony_read(c, 0, c->cli->option[OPT_PROOF]);
    if (code == CLI_DONE)
        code = ceremony_encode(c, &rows);
    if (code != CLI_DONE)
        return code;
    rc_t rc = escrow_confirm(&rows, buf_view(&c->texts[0]));
    if (rc != RC_OK)
        return cli_fail(c->cli, cli_exit_of(rc), "Is it the proof of this cluster's escrow?",
                        "the proof does not fit: %s", rc_text(rc));
    code = ceremony_store(c, buf_view(&rows), BYTES_NONE, "Admin Confirm Escrow");
    if (code != CLI_DONE)
        return code;
    return ceremony_tell(c->cli, "escrow confirmed", "The escrow is good; the vault may serve. Start the server.\n");
}

/* Whether this node, or this database, has a root already. */
static enum cli_exit refuse_second_init(struct ceremony *c)
{
    if (ceremony_has(c, "node.state"))
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
    enum cli_exit code = ceremony_begin_enrolment(cli, &c);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_PROOF))
        return init_proof(&c);
    if (!ceremony_has(&c, "node.state") && ceremony_resume(&c))
        return ceremony_tell(cli, "finished an interrupted init",
                             "Finished what an earlier run had begun: the root of keys is made.\n");
    code = refuse_second_init(&c);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_SELF_APPROVE))
        return init_self(&c);
    return cli_given(cli, OPT_REQUEST) ? init_request(&c) : init_response(&c);
}
