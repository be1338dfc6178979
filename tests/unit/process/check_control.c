/*
 * The control channel against hostile messages, and spawn: what a started program gets and what
 * not.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/ipc/control.h"
#include "server/ipc/spawn.h"
#include "server/process/stats.h"

static int ends[2];
static struct control_message m;

static void open_pair(void)
{
    ck_assert_int_eq(control_pair(ends), RC_OK);
}

static void close_pair(void)
{
    close(ends[0]);
    close(ends[1]);
}

/* Sends raw bytes with n descriptors, past the checks of control_send(). */
static void send_raw(const void *data, size_t len, unsigned n)
{
    struct iovec part = {(void *)(uintptr_t)data, len};
    char room[CMSG_SPACE(sizeof(int) * 32)] = {0};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

    if (n) {
        msg.msg_control = room;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        for (unsigned i = 0; i < n; i++)
            ((int *)(void *)CMSG_DATA(c))[i] = STDIN_FILENO;
    }
    ck_assert_int_eq(sendmsg(ends[0], &msg, 0), (ssize_t)len);
}

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static const struct {
    const char *why;
    const char *data;
    size_t len;
    unsigned fds;
    enum control_side from;
} hostile[] = {
    {"empty head", "", 0, 1, BY_WORKER},
    {"short head", "\x48\x46\x00", 3, 0, BY_WORKER},
    {"wrong magic", "\x48\x47\x00\x01", 4, 0, BY_WORKER},
    {"code 0", "\x48\x46\x00\x00", 4, 0, BY_WORKER},
    {"unknown code", "\x48\x46\x00\x7f", 4, 0, BY_WORKER},
    {"largest code", "\x48\x46\xff\xff", 4, 0, BY_WORKER},
    {"worker asks for the TPM", "\x48\x46\x00\x07", 4, 0, BY_WORKER},
    {"vault asks for the listener", "\x48\x46\x00\x03", 4, 0, BY_VAULT},
    {"worker sends a configuration", "\x48\x46\x00\x0c", 4, 1, BY_WORKER},
    {"HELLO with a body", "\x48\x46\x00\x01x", 5, 0, BY_WORKER},
    {"HELLO with a descriptor", "\x48\x46\x00\x01", 4, 1, BY_WORKER},
    {"STATS too short",
     "\x48\x46\x00\x0a"
     "1234567",
     11, 0, BY_WORKER},
    {"configuration without descriptor", "\x48\x46\x00\x0c", 4, 0, BY_SUPERVISOR},
    {"configuration with two", "\x48\x46\x00\x0c", 4, 2, BY_SUPERVISOR},
    {"more descriptors than any message has", "\x48\x46\x00\x0d", 4, 9, BY_SUPERVISOR},
    {"far more descriptors", "\x48\x46\x00\x0d", 4, 30, BY_SUPERVISOR},
    {"PEER of the wrong length",
     "\x48\x46\x00\x11"
     "1234567",
     11, 1, BY_SUPERVISOR},
    {"DRAIN without its time", "\x48\x46\x00\x14", 4, 0, BY_SUPERVISOR},
};

START_TEST(a_hostile_message_is_refused_and_leaks_nothing)
{
    int before;

    open_pair();
    before = open_descriptors();
    send_raw(hostile[_i].data, hostile[_i].len, hostile[_i].fds);
    ck_assert_msg(control_receive(ends[1], hostile[_i].from, &m) == RC_PROTOCOL, "%s",
                  hostile[_i].why);
    ck_assert_uint_eq(m.fd_count, 0);
    ck_assert_int_eq(open_descriptors(), before);
    close_pair();
}
END_TEST

START_TEST(a_message_longer_than_any_is_refused)
{
    static char big[CONTROL_BODY_MAX + 5] = "\x48\x46\x00\x0b";

    open_pair();
    send_raw(big, sizeof big, 0);
    ck_assert_int_eq(control_receive(ends[1], BY_VAULT, &m), RC_PROTOCOL);
    close_pair();
}
END_TEST

START_TEST(the_sender_checks_the_table_too)
{
    static uint8_t big[CONTROL_BODY_MAX + 1];
    int fds[2] = {0, 0};

    open_pair();
    ck_assert_int_eq(control_send(ends[0], BY_WORKER, CONTROL_TPM, BYTES_NONE, fds, 1),
                     RC_INTERNAL);
    ck_assert_int_eq(control_send(ends[0], BY_WORKER, CONTROL_NONE, BYTES_NONE, NULL, 0),
                     RC_INTERNAL);
    ck_assert_int_eq(control_send(ends[0], BY_WORKER, CONTROL_COUNT, BYTES_NONE, NULL, 0),
                     RC_INTERNAL);
    ck_assert_int_eq(control_send(ends[0], BY_SUPERVISOR, CONTROL_CONFIG, BYTES_NONE, fds, 2),
                     RC_INTERNAL);
    ck_assert_int_eq(
        control_send(ends[0], BY_VAULT, CONTROL_VAULT_STATUS, bytes_of(big, sizeof big), NULL, 0),
        RC_INTERNAL);
    close_pair();
}
END_TEST

START_TEST(messages_and_descriptors_arrive_whole)
{
    static uint8_t body[CONTROL_BODY_MAX];
    int fds[CONTROL_FDS_MAX];
    int before, taken;

    open_pair();
    memset(body, 7, sizeof body);
    ck_assert_int_eq(control_receive(ends[1], BY_VAULT, &m), RC_BUSY);
    ck_assert_int_eq(
        control_send(ends[0], BY_VAULT, CONTROL_VAULT_STATUS, bytes_of(body, sizeof body), NULL, 0),
        RC_OK);
    ck_assert_int_eq(control_receive(ends[1], BY_VAULT, &m), RC_OK);
    ck_assert_int_eq(m.code, CONTROL_VAULT_STATUS);
    ck_assert_uint_eq(m.len, sizeof body);
    ck_assert_int_eq(memcmp(m.body, body, sizeof body), 0);
    for (int i = 0; i < CONTROL_FDS_MAX; i++)
        fds[i] = STDIN_FILENO;
    before = open_descriptors();
    ck_assert_int_eq(control_send(ends[0], BY_SUPERVISOR, CONTROL_LISTENER, bytes_of("", 1), fds, CONTROL_FDS_MAX),
                     RC_OK);
    ck_assert_int_eq(control_receive(ends[1], BY_SUPERVISOR, &m), RC_OK);
    ck_assert_uint_eq(m.fd_count, CONTROL_FDS_MAX);
    ck_assert_int_eq(fcntl(m.fds[0], F_GETFD), FD_CLOEXEC);
    taken = control_take(&m, 2);
    ck_assert_int_eq(control_take(&m, 2), -1);
    ck_assert_int_eq(control_take(&m, 8), -1);
    control_close(&m);
    ck_assert_int_eq(open_descriptors(), before + 1);
    close(taken);
    close_pair();
}
END_TEST

START_TEST(a_peer_that_does_not_read_never_blocks_us)
{
    static uint8_t body[CONTROL_BODY_MAX];
    rc_t rc = RC_OK;
    int n;

    open_pair();
    for (n = 0; n < 10000 && rc == RC_OK; n++)
        rc = control_send(ends[0], BY_VAULT, CONTROL_VAULT_STATUS, bytes_of(body, sizeof body),
                          NULL, 0);
    ck_assert_int_eq(rc, RC_BUSY);
    ck_assert_int_lt(n, 1000);
    close(ends[1]);
    ck_assert_int_eq(control_send(ends[0], BY_VAULT, CONTROL_HELLO, BYTES_NONE, NULL, 0), RC_IO);
    ck_assert_int_eq(control_receive(ends[0], BY_SUPERVISOR, &m), RC_IO);
    close(ends[0]);
}
END_TEST

START_TEST(waiting_ends_by_answer_surprise_or_time)
{
    open_pair();
    ck_assert_int_eq(control_await(ends[1], BY_WORKER, CONTROL_HELLO, 20, &m), RC_TIMEOUT);
    ck_assert_int_eq(control_send(ends[0], BY_WORKER, CONTROL_HELLO, BYTES_NONE, NULL, 0), RC_OK);
    ck_assert_int_eq(control_await(ends[1], BY_WORKER, CONTROL_HELLO, 1000, &m), RC_OK);
    ck_assert_int_eq(control_send(ends[0], BY_WORKER, CONTROL_READY, BYTES_NONE, NULL, 0), RC_OK);
    ck_assert_int_eq(control_await(ends[1], BY_WORKER, CONTROL_HELLO, 1000, &m), RC_PROTOCOL);
    close_pair();
}
END_TEST

START_TEST(statistics_survive_the_way)
{
    struct stats in = {.connections = 1, .tls_reloads = UINT64_MAX, .groups = 5}, out, sum = {0};
    uint8_t body[STATS_BYTES];

    stats_encode(&in, body);
    ck_assert_int_eq(stats_decode(bytes_of(body, sizeof body), &out), RC_OK);
    ck_assert_int_eq(memcmp(&in, &out, sizeof in), 0);
    ck_assert_int_eq(stats_decode(bytes_of(body, sizeof body - 8), &out), RC_PROTOCOL);
    in.tls_reloads = 2;
    stats_total(&sum, &in, true, false);
    stats_total(&sum, &in, true, false);
    ck_assert_uint_eq(sum.tls_reloads, 4);
    ck_assert_uint_eq(sum.connections, 0);
    stats_total(&sum, &in, false, true);
    ck_assert_uint_eq(sum.connections, 1);
}
END_TEST

/* ---- spawn ---- */

/* Runs a shell command with its output in a pipe. */
static void run(const char *command, bool set_user, char *out, size_t room)
{
    int pipe_ends[2];
    const char *argv[] = {"sh", "-c", command, NULL};
    const char *extra[] = {"HF_EXTRA=yes", NULL};
    struct spawn s = {.path = "/bin/sh",
                      .argv = argv,
                      .fd_count = 4,
                      .set_user = set_user,
                      .uid = 65534,
                      .gid = 65534,
                      .nofile = 99,
                      .memlock = 4096,
                      .environ = extra};
    size_t have = 0;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(pipe_ends), 0);
    s.fds[0] = -1;
    s.fds[1] = pipe_ends[1];
    s.fds[2] = -1;
    s.fds[3] = pipe_ends[1];
    ck_assert_int_eq(spawn_start(&s, &pid, NULL, NULL), RC_OK);
    close(pipe_ends[1]);
    while ((n = read(pipe_ends[0], out + have, room - 1 - have)) > 0)
        have += (size_t)n;
    out[have] = 0;
    close(pipe_ends[0]);
    waitpid(pid, NULL, 0);
}

START_TEST(a_started_program_gets_exactly_its_descriptors)
{
    char out[4096];
    int noise[20];

    for (int i = 0; i < 20; i++) /* without close-on-exec, some in the way of the targets */
        noise[i] = dup(0);
    run("for f in /proc/self/fd/*; do echo ${f##*/}; done | sort -n | tr '\\n' ' '", false, out,
        sizeof out);
    for (int i = 0; i < 20; i++)
        close(noise[i]);
    /* The shell's own pipe of the command may show as one more. */
    ck_assert_msg(!strncmp(out, "0 1 2 3 ", 8), "%s", out);
    ck_assert_uint_le(strlen(out), 12);
}
END_TEST

START_TEST(a_started_program_gets_little_else)
{
    char out[4096];

    setenv("HF_SECRET", "x", 1);
    run("env; ulimit -c; ulimit -n; grep -E 'NoNewPrivs|SigIgn|SigBlk' /proc/self/status", false,
        out, sizeof out);
    ck_assert_ptr_null(strstr(out, "HF_SECRET"));
    ck_assert_ptr_nonnull(strstr(out, "HF_EXTRA=yes"));
    ck_assert_ptr_nonnull(strstr(out, "\n0\n99\n"));
    ck_assert_ptr_nonnull(strstr(out, "NoNewPrivs:\t1"));
    ck_assert_ptr_nonnull(strstr(out, "SigBlk:\t0000000000000000"));
}
END_TEST

START_TEST(another_user_has_no_groups_and_no_rights)
{
    char out[4096];

    if (geteuid() != 0)
        return; /* only root can become another */
    run("id -u; id -g; id -G; grep -E 'CapEff|CapPrm' /proc/self/status", true, out, sizeof out);
    ck_assert_ptr_nonnull(strstr(out, "65534\n65534\n65534\n"));
    ck_assert_ptr_nonnull(strstr(out, "CapEff:\t0000000000000000"));
    ck_assert_ptr_nonnull(strstr(out, "CapPrm:\t0000000000000000"));
}
END_TEST

START_TEST(a_program_that_cannot_start_is_told_with_its_step)
{
    const char *argv[] = {"x", NULL}, *step = "";
    struct spawn s = {.path = "/nowhere/x", .argv = argv, .fds = {-1, -1, -1}, .fd_count = 3};
    int before = open_descriptors(), error = 0;
    pid_t pid = 0;

    ck_assert_int_eq(spawn_start(&s, &pid, &error, &step), RC_IO);
    ck_assert_int_eq(error, ENOENT);
    ck_assert_str_eq(step, "exec");
    s.fds[1] = 777;
    ck_assert_int_eq(spawn_start(&s, &pid, &error, &step), RC_IO);
    ck_assert_str_eq(step, "descriptors");
    ck_assert_int_eq(open_descriptors(), before);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nothing left behind */
}
END_TEST

START_TEST(a_child_dies_with_its_starter)
{
    int line[2];
    char c;
    pid_t middle;

    ck_assert_int_eq(pipe(line), 0);
    middle = fork();
    if (middle == 0) {
        const char *argv[] = {"sleep", "100", NULL};
        struct spawn s = {
            .path = "/bin/sleep", .argv = argv, .fds = {-1, -1, -1, line[1]}, .fd_count = 4};
        pid_t pid;
        _exit(spawn_start(&s, &pid, NULL, NULL) == RC_OK ? 0 : 1);
    }
    close(line[1]);
    waitpid(middle, NULL, 0);
    ck_assert_int_eq(read(line[0], &c, 1), 0); /* the last holder of the other end is gone */
    close(line[0]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control");
    TCase *t = tcase_create("control"), *p = tcase_create("spawn");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, a_hostile_message_is_refused_and_leaks_nothing, 0,
                        (int)(sizeof hostile / sizeof hostile[0]));
    tcase_add_test(t, a_message_longer_than_any_is_refused);
    tcase_add_test(t, the_sender_checks_the_table_too);
    tcase_add_test(t, messages_and_descriptors_arrive_whole);
    tcase_add_test(t, a_peer_that_does_not_read_never_blocks_us);
    tcase_add_test(t, waiting_ends_by_answer_surprise_or_time);
    tcase_add_test(t, statistics_survive_the_way);
    tcase_add_test(p, a_started_program_gets_exactly_its_descriptors);
    tcase_add_test(p, a_started_program_gets_little_else);
    tcase_add_test(p, another_user_has_no_groups_and_no_rights);
    tcase_add_test(p, a_program_that_cannot_start_is_told_with_its_step);
    tcase_add_test(p, a_child_dies_with_its_starter);
    tcase_set_timeout(p, 20);
    suite_add_tcase(s, t);
    suite_add_tcase(s, p);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
