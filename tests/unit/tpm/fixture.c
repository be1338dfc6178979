/*
 * swtpm for tests. See fixture.h.
 */
#include "tests/unit/tpm/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

rc_t fake_fd(void *arg, int *fd_out)
{
    struct fake *f = arg;
    int pair[2];
    char state[96], number[16], log[96];
    if (f->absent)
        return RC_UNAVAILABLE;
    fake_kill(f);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    snprintf(state, sizeof state, "dir=%s", f->dir);
    snprintf(log, sizeof log, "%s/swtpm.log", f->dir);
    f->pid = fork();
    ck_assert_int_ge(f->pid, 0);
    if (f->pid == 0) {
        setpgid(0, 0);
        int fd = dup(pair[1]); /* without close-on-exec */
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(out, 1);
        dup2(out, 2);
        snprintf(number, sizeof number, "%d", fd);
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--fd", number, "--flags",
               "not-need-init,startup-clear", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    f->opened++;
    *fd_out = pair[0];
    return RC_OK;
}

void fake_new_context(struct fake *f)
{
    const struct tpm_options options = {.get_fd = fake_fd, .arg = f, .command_ms = 20000};
    tpm_free(&f->tpm);
    ok(tpm_new(&options, &f->tpm));
}

void fake_start(struct fake *f)
{
    *f = (struct fake){.pid = 0};
    snprintf(f->dir, sizeof f->dir, "/tmp/holdfast-tpm-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    fake_new_context(f);
}

void fake_kill(struct fake *f)
{
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    f->pid = 0;
}

void fake_end(struct fake *f)
{
    char command[128];
    tpm_free(&f->tpm);
    fake_kill(f);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    ck_assert_int_eq(system(command), 0);
}

/* ---- a vault ---- */

void vault_decode(struct vault *v)
{
    arena_free(&v->arena);
    v->arena = ARENA_OF(HIERARCHY_BYTES_MAX);
    ok(hierarchy_decode(buf_view(&v->made.hierarchy), &v->arena, &v->rows));
    ok(node_state_decode(buf_view(&v->made.node_state), &v->state));
}

void vault_make(struct vault *v)
{
    const struct init_options o = {.pcr_mask = 1u << TEST_PCR};
    *v = (struct vault){.open = NULL};
    fake_start(&v->f);
    rc_t rc = init_self_approve(v->f.tpm, &o, &v->keys, &v->made, &v->report);
    ck_assert_msg(rc == RC_OK, "init: %s: %s", rc_name(rc), v->report.detail);
    nothing_left(&v->f);
    vault_decode(v);
}

rc_t vault_unseal(struct vault *v)
{
    vault_keys_free(&v->open);
    return tpm_unseal(v->f.tpm, &v->rows, &v->state, &v->open, &v->report);
}

void vault_merge(struct vault *v, struct bytes changed)
{
    AUTO_ARENA arena = ARENA_OF(HIERARCHY_BYTES_MAX);
    struct hierarchy rows;
    ok(hierarchy_decode(changed, &arena, &rows));
    if (rows.node_count)
        v->rows.nodes[0] = rows.nodes[0];
    if (rows.cr_count)
        v->rows.crs[0] = rows.crs[0];
    AUTO_BUF next = BUF_EMPTY;
    ok(hierarchy_encode(&v->rows, &next));
    buf_take(&v->made.hierarchy, &next);
    vault_decode(v);
}

void vault_end(struct vault *v)
{
    vault_keys_free(&v->open);
    if (v->f.tpm && !v->f.absent)
        nothing_left(&v->f);
    arena_free(&v->arena);
    ceremony_result_free(&v->made);
    self_keys_free(&v->keys);
    fake_end(&v->f);
}

void extend(struct fake *f, uint32_t pcr)
{
    static const uint8_t event[TPM_PCR_BYTES] = {1, 2, 3};
    ok(tpm_pcr_extend(f->tpm, pcr, event));
}
