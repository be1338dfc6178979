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

enum { MESSAGE = 4096, PACE = 7 };

static size_t read_message(int fd, uint8_t *at)
{
    size_t have = 0, want = 10;
    while (have < want) {
        ssize_t n = read(fd, at + have, want - have);
        if (n <= 0)
            _exit(0);
        have += (size_t)n;
        if (have == 10)
            want = load_be32(at + 2);
    }
    return have;
}

static void write_message(int fd, const uint8_t *at, size_t len)
{
    if (send(fd, at, len, MSG_NOSIGNAL) != (ssize_t)len)
        _exit(0);
}

/* TPM2_PCR_Extend(PCR 10) with an empty password, one SHA-256 digest. */
static void extend_from_beside(int tpm)
{
    static const uint8_t head[] = {0x80, 0x02, 0,  0, 0, 65, 0, 0,    0x01, 0x82, 0,
                                   0,    0,    10, 0, 0, 0,  9, 0x40, 0,    0,    9,
                                   0,    0,    0,  0, 0, 0,  0, 0,    1,    0,    0x0b};
    uint8_t message[MESSAGE] = {0};
    memcpy(message, head, sizeof head);
    write_message(tpm, message, sizeof head + 32);
    read_message(tpm, message);
    if (load_be32(message + 6) != 0)
        _exit(3);
}

/* The process in between: passes on command and answer, and does its part. */
static _Noreturn void run_middle(const struct fake *f, int client, int tpm)
{
    static uint8_t message[MESSAGE];
    char path[96];
    snprintf(path, sizeof path, "%s/wire", f->dir);
    FILE *wire = fopen(path, "ab");
    unsigned with_session = 0;
    for (unsigned count = 1;; count++) {
        size_t len = read_message(client, message);
        fwrite(message, 1, len, wire);
        if (f->meddle == MEDDLE_EXTEND && count % PACE == 0)
            extend_from_beside(tpm);
        write_message(tpm, message, len);
        len = read_message(tpm, message);
        fwrite(message, 1, len, wire);
        fflush(wire);
        if (f->meddle == MEDDLE_CORRUPT && load_be16(message) == 0x8002 && ++with_session == 4)
            message[len - 1] ^= 1;
        write_message(client, message, len);
    }
}

/* Puts a process between; gives the client's end. */
static int put_between(struct fake *f, int tpm)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    f->middle = fork();
    ck_assert_int_ge(f->middle, 0);
    if (f->middle == 0) {
        close(pair[0]);
        run_middle(f, pair[1], tpm);
    }
    close(pair[1]);
    close(tpm);
    if (f->meddle == MEDDLE_CORRUPT)
        f->meddle = MEDDLE_NOT;
    return pair[0];
}

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
    *fd_out = f->meddle == MEDDLE_NOT ? pair[0] : put_between(f, pair[0]);
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
    fake_start_with(f, MEDDLE_NOT);
}

void fake_start_with(struct fake *f, enum meddle meddle)
{
    *f = (struct fake){.meddle = meddle};
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
    if (f->middle > 0) {
        kill(f->middle, SIGKILL);
        waitpid(f->middle, NULL, 0);
    }
    f->middle = 0;
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
    vault_make_with(v, MEDDLE_NOT);
}

void vault_make_with(struct vault *v, enum meddle meddle)
{
    const struct init_options o = {.pcr_mask = 1u << TEST_PCR};
    *v = (struct vault){.open = NULL};
    fake_start_with(&v->f, meddle);
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
