/*
 * `holdfast approval`, `recovery`: what is signed offline, a boot state that has changed, and a node that is set up
 * from the escrow. See ceremony.h.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "server/admin/ceremony.h"

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
        return code == CLI_DONE ? ceremony_tell(cli, "approved", "") : code;
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
    return code == CLI_DONE ? ceremony_tell(cli, "escrow is good", "The escrow opens with this key and is whole.\n")
                            : code;
}

/* ---- a changed boot state ---- */

static enum cli_exit read_pinned(struct ceremony *c, size_t slot, struct node_state *state)
{
    char path[PATH_ROOM];
    if (!ceremony_has(c, "node.state"))
        return cli_fail(c->cli, CLI_REFUSED, "'holdfast init' makes it.", "this node has no root of keys yet");
    enum cli_exit code = ceremony_read(c, slot, ceremony_path(c, "node.state", path));
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
        code = ceremony_encode(&c, &rows);
    struct admin_request request = {
        .step = ADMIN_APPROVAL_REQUEST, .rows = buf_view(&rows), .node_state = buf_view(&c.texts[0])};
    if (code == CLI_DONE)
        code = ceremony_choices(cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(cli, &c.config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(cli, vault, &request, &c.arena, &answer);
    if (code == CLI_DONE)
        code = cli_write_file(cli, cli->option[OPT_OUT], answer.request, PUBLIC_MODE);
    if (code != CLI_DONE)
        return code;
    return ceremony_tell(cli, "request written",
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
        code = ceremony_read(&c, 1, cli->option[OPT_RESPONSE]);
    if (code != CLI_DONE)
        return code;
    rc_t rc = approval_accept(&c.rows, &pinned, buf_view(&c.texts[1]), &rows);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_REFUSED, "Was it made of this node's latest request, with this cluster's key?",
                        "the approval was not accepted: %s", rc_text(rc));
    code = ceremony_store(&c, buf_view(&rows), BYTES_NONE, "Admin Approve Boot State");
    return code == CLI_DONE ? ceremony_tell(cli, "approved", "The boot state is approved. Start the server.\n") : code;
}

/* ---- recovery ---- */

static enum cli_exit recovery_answer(struct ceremony *c, const struct admin_answer *answer)
{
    enum cli_exit code = ceremony_keep(c, answer, "Admin Recovery");
    return code == CLI_DONE
               ? ceremony_tell(c->cli, "restored",
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
    enum cli_exit code = ceremony_read(c, 0, cli_value(cli, OPT_ESCROW, ceremony_path(c, "secret/escrow", escrow)));
    if (code == CLI_DONE)
        code = ceremony_read(c, 1, cli_value(cli, OPT_RECOVERY, ceremony_path(c, "secret/recovery.key", recovery)));
    if (code == CLI_DONE && !offline)
        code = ceremony_read(c, 2, cli_value(cli, OPT_AUTH, ceremony_path(c, "secret/auth.key", auth)));
    if (code == CLI_DONE)
        code = ceremony_encode(c, &rows);
    struct admin_request request = {.step = offline ? ADMIN_RECOVERY_BEGIN : ADMIN_RECOVERY_RESTORE,
                                    .replace_nv = cli_given(cli, OPT_REPLACE),
                                    .rows = buf_view(&rows),
                                    .escrow = buf_view(&c->texts[0]),
                                    .rec_key = buf_view(&c->texts[1]),
                                    .auth_key = buf_view(&c->texts[2])};
    if (code == CLI_DONE)
        code = ceremony_choices(cli, &request);
    if (code == CLI_DONE)
        code = vault_admin_open(cli, &c->config, &vault);
    if (code == CLI_DONE)
        code = vault_admin_step(cli, vault, &request, &c->arena, &answer);
    if (code != CLI_DONE || !offline)
        return code == CLI_DONE ? recovery_answer(c, &answer) : code;
    code = ceremony_write(c, "recovery.pending", answer.pending, SECRET_MODE);
    if (code == CLI_DONE)
        code = cli_write_file(cli, cli->option[OPT_REQUEST], answer.request, PUBLIC_MODE);
    return code == CLI_DONE ? ceremony_tell(cli, "request written",
                                            "The request is written. The holder of the approval key runs\n"
                                            "  holdfast approval sign --request FILE --key AUTH.pem --out RESPONSE\n"
                                            "and then here: holdfast recovery restore --response RESPONSE\n")
                            : code;
}

enum cli_exit cmd_recovery_restore(struct cli *cli)
{
    AUTO_CEREMONY c = {0};
    enum cli_exit code = ceremony_begin_enrolment(cli, &c);
    if (code != CLI_DONE)
        return code;
    if (c.rows.cr_count == 0)
        return cli_fail(cli, CLI_REFUSED, "Restore the database first, or make a new root with 'holdfast init'.",
                        "the database holds no root of keys to bring back");
    if (!cli_given(cli, OPT_RESPONSE))
        return recovery_start(&c);
    struct admin_answer answer;
    code = ceremony_finish(&c, ADMIN_RECOVERY_FINISH, "recovery.pending", &answer);
    if (code == CLI_DONE)
        code = recovery_answer(&c, &answer);
    if (code == CLI_DONE)
        ceremony_drop(&c, "recovery.pending");
    return code;
}
