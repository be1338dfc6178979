/*
 * The command's own vault: spawned with a socketpair and the TPM's descriptor, as the supervisor would, and asked
 * one step at a time. It dies with the command.
 */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/admin/vault_admin.h"
#include "server/ipc/spawn.h"
#include "server/process/privileges.h"
#include "server/process/status_client.h"
#include "server/process/supervisor.h"
#include "server/vault/client.h"

/* A step is dozens of TPM commands; a slow TPM takes seconds for some. */
enum { STEP_MS = 300000, PROBE_MS = 3000 };

struct vault_admin {
    int channel;
    pid_t pid;
};

static enum cli_exit refuse_while_running(struct cli *cli, const struct config *config)
{
    char path[108];
    AUTO_BUF answer = BUF_EMPTY;
    if (config_control_path(config, path) != RC_OK || status_ask(path, "status", PROBE_MS, &answer) == RC_UNAVAILABLE)
        return CLI_DONE;
    return cli_fail(cli, CLI_REFUSED, "Stop it first: systemctl stop holdfastd. Start it again afterwards.",
                    "the server is running and has the TPM");
}

/* The vault lies beside this program in a build tree, else where it was installed. */
static void find_vault(char *path, size_t room)
{
    char self[400] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        snprintf(path, room, "%s/holdfast-vault", dirname(self));
        if (access(path, X_OK) == 0)
            return;
    }
    snprintf(path, room, "%s/holdfast-vault", HOLDFAST_LIBEXEC_DIR);
}

/* `tpm`: what files_open_tpm() opened. */
static enum cli_exit start(struct cli *cli, const struct config *config, struct vault_admin *vault, int peer,
                           const int tpm[static 2], unsigned tpm_count)
{
    const char *const argv[] = {"holdfast-vault", "--admin", tpm_count == 2 ? "--owner-auth" : NULL, NULL};
    char path[512];
    int error = 0;
    const char *step = "";
    struct spawn spawn = {.path = path,
                          .argv = argv,
                          .fds = {-1, -1, STDERR_FILENO, peer, tpm[0], tpm_count == 2 ? tpm[1] : -1},
                          .fd_count = 4 + tpm_count,
                          .memlock = config->vault_memory_lock_bytes};
    find_vault(path, sizeof path);
    if (geteuid() == 0) {
        spawn.set_user = true;
        if (privileges_user(config->server_vault_user, &spawn.uid, &spawn.gid) != RC_OK)
            return cli_fail(cli, CLI_REFUSED, "useradd --system makes it; or name another as [server] vault_user.",
                            "there is no system user %s for the vault", config->server_vault_user);
    }
    if (spawn_start(&spawn, &vault->pid, &error, &step) != RC_OK)
        return cli_fail(cli, CLI_INTERNAL, NULL, "%s cannot be started (%s): %s", path, step, strerror(error));
    return CLI_DONE;
}

enum cli_exit vault_admin_open(struct cli *cli, const struct config *config, struct vault_admin **out)
{
    enum control_tpm kind;
    char why[256] = "";
    int ends[2];
    enum cli_exit code = refuse_while_running(cli, config);
    if (code != CLI_DONE)
        return code;
    int tpm[2];
    unsigned tpm_count = files_open_tpm(config, &kind, tpm, why, sizeof why);
    if (tpm_count == 0)
        return cli_fail(cli, CLI_CONNECT, "Is it there, and does [vault] tpm name it rightly?", "%s", why);
    struct vault_admin *vault = calloc(1, sizeof *vault);
    if (!vault || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(vault);
        code = cli_fail(cli, CLI_INTERNAL, NULL, "no channel to a vault: %s", strerror(errno));
        vault = NULL;
    }
    if (vault) {
        vault->channel = ends[0];
        code = start(cli, config, vault, ends[1], tpm, tpm_count);
        close(ends[1]);
    }
    while (tpm_count)
        close(tpm[--tpm_count]);
    if (code == CLI_DONE)
        *out = vault;
    else
        vault_admin_close(&vault);
    return code;
}

void vault_admin_close(struct vault_admin **vault)
{
    struct vault_admin *v = *vault;
    *vault = NULL;
    if (!v)
        return;
    /* It ends when its only peer is gone, after it has put away what it had in the TPM. */
    close(v->channel);
    if (v->pid > 0)
        while (waitpid(v->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    free(v);
}

enum cli_exit vault_admin_step(struct cli *cli, struct vault_admin *vault, const struct admin_request *request,
                               struct arena *arena, struct admin_answer *answer)
{
    AUTO_BUF body = BUF_EMPTY;
    struct vault_reply reply = {0};
    rc_t rc = admin_request_encode(request, &body);
    const struct vault_call call = {.op = VAULT_ADMIN, .body = buf_view(&body)};
    if (rc == RC_OK)
        rc = vault_call_sync(vault->channel, STEP_MS, &call, arena, &reply);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_INTERNAL, "Its log lines stand above.", "the vault did not do its part: %s",
                        rc_text(rc));
    if (reply.rc == RC_NAME_TAKEN)
        return cli_fail(cli, CLI_REFUSED,
                        "If an interrupted run left them, and no other Holdfast uses this TPM, repeat with --replace; "
                        "else choose others with --nv-index.",
                        "the TPM has Holdfast's NV indices already: %.*s", (int)reply.status.len,
                        (const char *)reply.status.data);
    if (reply.rc != RC_OK)
        return cli_fail(cli, reply.rc == RC_TPM ? CLI_CONNECT : cli_exit_of(reply.rc), NULL, "%s: %.*s",
                        rc_text(reply.rc), (int)reply.status.len, (const char *)reply.status.data);
    rc = admin_answer_decode(reply.status, answer);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_INTERNAL, NULL, "the vault's answer makes no sense: %s", rc_text(rc));
    return CLI_DONE;
}
