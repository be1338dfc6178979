/*
 * The sandbox profiles, each in a process of its own: what is not in the table kills, with a line
 * in the log; what the programs need works.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/process/sandbox.h"

static void do_chdir(void)
{
    (void)!chdir("/");
}

static void do_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
}

static void do_fork(void)
{
    (void)syscall(SYS_fork);
}

static void do_ptrace(void)
{
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void do_kill_parent(void)
{
    (void)kill(getppid(), 0);
}

static void do_setuid(void)
{
    (void)!setuid(1);
}

static void do_unlink(void)
{
    (void)unlink("/tmp/hf-no-such-file");
}

static void do_open_write(void)
{
    (void)open("/tmp/hf-sandbox-file", O_WRONLY | O_CREAT, 0600);
}

static void do_open_rdwr(void)
{
    (void)open("/dev/null", O_RDWR);
}

static void do_open_truncate(void)
{
    (void)open("/dev/null", O_RDONLY | O_TRUNC);
}

static void do_open_append(void)
{
    (void)open("/dev/null", O_WRONLY | O_APPEND);
}

static void do_tmpfile(void)
{
    (void)open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

static void do_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)listen(fd, 1);
}

static void do_raw_socket(void)
{
    (void)socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static void do_packet_socket(void)
{
    (void)socket(AF_PACKET, SOCK_DGRAM, 0);
}

static void do_unix_datagram(void)
{
    (void)socket(AF_UNIX, SOCK_DGRAM, 0);
}

static void do_thread(void)
{
    (void)syscall(SYS_clone, 0x100 /* CLONE_VM without CLONE_THREAD */, 0, 0, 0, 0);
}

static void do_steal_handler(void)
{
    (void)signal(SIGSYS, SIG_IGN);
}

static void do_rlimit(void)
{
    struct rlimit r = {1, 1};
    (void)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &r, NULL);
}

static void do_bpf(void)
{
    (void)syscall(SYS_bpf, 0, NULL, 0);
}

static void do_accept_vault(void)
{
    (void)accept4(0, NULL, NULL, 0);
}

static void do_connect_vault(void)
{
    (void)connect(0, NULL, 0);
}

enum { WORKER = 1, VAULT = 2, BOTH = 3 };

enum { SANITIZED = 1, COVERED = 2 };
#if defined HF_SANITIZERS
static const unsigned this_build = SANITIZED;
#elif defined HF_COVERAGE
static const unsigned this_build = COVERED;
#else
static const unsigned this_build = 0;
#endif

static const struct {
    const char *what;
    void (*run)(void);
    unsigned profiles;
    unsigned allowed; /* in these builds: sanitizers and gcov need it */
} forbidden[] = {
    {"change directory", do_chdir, BOTH, 0},
    {"start a program", do_exec, BOTH, 0},
    {"fork", do_fork, BOTH, 0},
    {"trace", do_ptrace, BOTH, SANITIZED},
    {"signal another process", do_kill_parent, BOTH, 0},
    {"change user", do_setuid, BOTH, 0},
    {"remove a file", do_unlink, BOTH, 0},
    {"make a file", do_open_write, BOTH, COVERED},
    {"open for reading and writing", do_open_rdwr, BOTH, COVERED},
    {"open and truncate", do_open_truncate, BOTH, COVERED},
    {"open for appending", do_open_append, BOTH, COVERED},
    {"make a nameless file", do_tmpfile, BOTH, COVERED},
    {"listen", do_listen, BOTH, 0},
    {"raw socket", do_raw_socket, WORKER, 0},
    {"packet socket", do_packet_socket, WORKER, 0},
    {"Unix datagram socket", do_unix_datagram, WORKER, 0},
    {"a process that shares memory", do_thread, BOTH, SANITIZED},
    {"take over the violation's signal", do_steal_handler, BOTH, 0},
    {"set a limit", do_rlimit, BOTH, 0},
    {"bpf", do_bpf, BOTH, 0},
    {"accept in the vault", do_accept_vault, VAULT, 0},
    {"connect in the vault", do_connect_vault, VAULT, 0},
};

/* Runs it in the sandbox of a forked process; its standard error comes back in `text`. */
static int in_sandbox(enum sandbox_profile profile, void (*run)(void), char *text, size_t room)
{
    int line[2], status;
    size_t have = 0;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(line), 0);
    pid = fork();
    if (pid == 0) {
        dup2(line[1], STDERR_FILENO);
        log_open("test", LOG_INFO);
        if (sandbox_harden() != RC_OK || sandbox_enter(profile) != RC_OK)
            _exit(99);
        run();
        _exit(0);
    }
    close(line[1]);
    while ((n = read(line[0], text + have, room - 1 - have)) > 0)
        have += (size_t)n;
    text[have] = 0;
    close(line[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void check_forbidden(enum sandbox_profile profile, const char *what, void (*run)(void))
{
    char text[4096], told[64];
    int status = in_sandbox(profile, run, text, sizeof text);

    snprintf(told, sizeof told,
             "event=sandbox.violation profile=%s syscall=", sandbox_name(profile));
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: %s: status %x: %s",
                  sandbox_name(profile), what, (unsigned)status, text);
    ck_assert_msg(strstr(text, told) != NULL, "%s: %s: %s", sandbox_name(profile), what, text);
}

START_TEST(what_is_not_listed_kills_and_is_told)
{
    if (forbidden[_i].allowed & this_build)
        return;
    if (forbidden[_i].profiles & WORKER)
        check_forbidden(SANDBOX_WORKER, forbidden[_i].what, forbidden[_i].run);
    if (forbidden[_i].profiles & VAULT && forbidden[_i].run != do_listen)
        check_forbidden(SANDBOX_VAULT, forbidden[_i].what, forbidden[_i].run);
}
END_TEST

static void need(bool ok, int where)
{
    if (!ok)
        _exit(where);
}

/* What both need, and what is refused with an error instead of death. */
static void everyday(void)
{
    char c;
    int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    void *p;

    need(fd < 0 || read(fd, &c, 1) >= 0, 10);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p != MAP_FAILED && mlock(p, 4096) == 0, 11);
    need(madvise(p, 4096, MADV_DONTDUMP) == 0, 12);
    need(mprotect(p, 4096, PROT_READ | PROT_EXEC) != 0 && errno == EACCES, 13);
    need(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED,
         14);
    need(signal(SIGTERM, SIG_IGN) != SIG_ERR, 15);
    free(malloc(1 << 20));
    log_info("still.alive", "%s", "a=1");
}

static void worker_day(void)
{
    everyday();
    need(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0, 20);
    need(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) >= 0, 21);
    need(socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT, 22);
    need(socket(AF_INET, SOCK_DGRAM, 0) < 0 && errno == EACCES, 23);
    need(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT, 24);
}

static void *thread(void *arg)
{
    free(malloc(100000));
    return arg;
}

static void vault_day(void)
{
    pthread_t t;

    everyday();
    need(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EACCES, 20);
    need(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EACCES, 21);
    need(pthread_create(&t, NULL, thread, NULL) == 0 && pthread_join(t, NULL) == 0, 22);
}

START_TEST(what_is_needed_works)
{
    char text[4096];
    int status = in_sandbox(SANDBOX_WORKER, worker_day, text, sizeof text);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "worker: status %x: %s",
                  (unsigned)status, text);
    ck_assert_ptr_nonnull(strstr(text, "event=still.alive"));
    status = in_sandbox(SANDBOX_VAULT, vault_day, text, sizeof text);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "vault: status %x: %s",
                  (unsigned)status, text);
}
END_TEST

static void check_hardened(void)
{
    struct rlimit r;

    need(getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max == 0, 30);
#ifndef HF_SANITIZERS
    need(prctl(PR_GET_DUMPABLE) == 0, 31);
#endif
}

START_TEST(there_is_no_core)
{
    char text[4096];
    int status = in_sandbox(SANDBOX_WORKER, check_hardened, text, sizeof text);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned)status,
                  text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sandbox");
    TCase *t = tcase_create("sandbox");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, what_is_not_listed_kills_and_is_told, 0,
                        (int)(sizeof forbidden / sizeof forbidden[0]));
    tcase_add_test(t, what_is_needed_works);
    tcase_add_test(t, there_is_no_core);
    tcase_set_timeout(t, 20);
    suite_add_tcase(s, t);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
