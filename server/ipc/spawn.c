/*
 * Starts another program with nothing of ours but what it is meant to have; see spawn.h. Between
 * fork and exec only system calls are made. Each step has a name, told through a pipe when it
 * fails.
 */
#include "config.h"

#include "server/ipc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum step {
    STEP_PIPE,
    STEP_FORK,
    STEP_SIGNALS,
    STEP_FDS,
    STEP_LIMITS,
    STEP_USER,
    STEP_PARENT,
    STEP_EXEC
};

static const char *const step_names[] = {"pipe",   "fork", "signals",      "descriptors",
                                         "limits", "user", "parent check", "exec"};

enum { ENV_MAX = 24 };

/* The environment of a child: nothing of ours but what a sanitizer or coverage build asks for. */
static void make_environment(const struct spawn *s, const char *out[static ENV_MAX])
{
    static const char *const fixed[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                                        "TZ=UTC"};
    static const char *const passed[] = {
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "GCOV_PREFIX=", "LLVM_PROFILE_FILE="};
    size_t n = 0;

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        out[n++] = fixed[i];
    for (char **e = environ; e && *e; e++)
        for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
            if (!strncmp(*e, passed[i], strlen(passed[i])) && n < ENV_MAX - 1)
                out[n++] = *e;
    for (const char *const *e = s->environ; e && *e && n < ENV_MAX - 1; e++)
        out[n++] = *e;
    out[n] = NULL;
}

static bool reset_signals(void)
{
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* First all sources out of the way of all targets, then each to its place, then the rest closed. */
static bool place_fds(const struct spawn *s, int *report, int *program)
{
    int from[SPAWN_FDS_MAX];
    int above = (int)s->fd_count + 16;

    *report = fcntl(*report, F_DUPFD_CLOEXEC, above);
    if (*report < 0)
        return false;
    if (*program >= 0)
        *program = fcntl(*program, F_DUPFD_CLOEXEC, above);
    for (unsigned i = 0; i < s->fd_count; i++) {
        int src = s->fds[i] >= 0 ? s->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
        from[i] = src < 0 ? -1 : fcntl(src, F_DUPFD_CLOEXEC, above);
        if (from[i] < 0)
            return false;
    }
    for (unsigned i = 0; i < s->fd_count; i++)
        if (dup2(from[i], (int)i) < 0)
            return false;
    /* All else goes at exec; marking keeps the report pipe alive until then. */
    return syscall(SYS_close_range, s->fd_count, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

static bool lower(__rlimit_resource_t what, rlim_t limit, bool must)
{
    struct rlimit r = {limit, limit}, now;

    if (setrlimit(what, &r) == 0)
        return true;
    if (must || getrlimit(what, &now))
        return false;
    r.rlim_cur = r.rlim_max = limit < now.rlim_max ? limit : now.rlim_max;
    return setrlimit(what, &r) == 0;
}

static bool set_limits(const struct spawn *s)
{
    return (s->core || lower(RLIMIT_CORE, 0, true)) &&
           (!s->nofile || lower(RLIMIT_NOFILE, s->nofile, false)) &&
           (!s->memlock || lower(RLIMIT_MEMLOCK, s->memlock, false));
}

static bool set_user(const struct spawn *s)
{
    if (!s->set_user)
        return true;
    return setgroups(0, NULL) == 0 && setresgid(s->gid, s->gid, s->gid) == 0 &&
           setresuid(s->uid, s->uid, s->uid) == 0;
}

static void __attribute__((noreturn))
child(const struct spawn *s, const char *const *environment, pid_t parent, int report, int program)
{
    char *const *argv = (char *const *)(uintptr_t)s->argv;
    char *const *env = (char *const *)(uintptr_t)environment;
    enum step step = STEP_SIGNALS;
    int told[2];

    if (!reset_signals())
        goto failed;
    step = STEP_FDS;
    if (!place_fds(s, &report, &program))
        goto failed;
    step = STEP_LIMITS;
    if (!set_limits(s))
        goto failed;
    step = STEP_USER;
    if (!set_user(s))
        goto failed;
    step = STEP_PARENT; /* after the change of user, which clears the death signal */
    if (!s->outlives && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
        goto failed;
    step = STEP_EXEC;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        execve(s->path, argv, env);
        /* The new user may not enter the folder (a build tree in somebody's home): by descriptor.
         */
        if (errno == EACCES && program >= 0)
            (void)syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
    }
failed:
    told[0] = (int)step;
    told[1] = errno;
    (void)!write(report, told, sizeof told);
    _exit(127);
}

static rc_t fail(enum step step, int error, int *error_out, const char **step_out)
{
    if (error_out)
        *error_out = error;
    if (step_out)
        *step_out = step_names[step];
    return RC_IO;
}

rc_t spawn_start(const struct spawn *s, pid_t *pid_out, int *error_out, const char **step_out)
{
    const char *environment[ENV_MAX];
    int report[2], told[2], program;
    pid_t parent = getpid(), pid;
    sigset_t all, before;
    ssize_t n;

    if (s->fd_count > SPAWN_FDS_MAX)
        return fail(STEP_FDS, EINVAL, error_out, step_out);
    make_environment(s, environment);
    if (pipe2(report, O_CLOEXEC))
        return fail(STEP_PIPE, errno, error_out, step_out);
    program = open(s->path, O_PATH | O_CLOEXEC);
    /* No handler of ours may run in the child before its signals are reset. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        child(s, environment, parent, report[1], program);
    told[1] = errno;
    if (program >= 0)
        close(program);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return fail(STEP_FORK, told[1], error_out, step_out);
    }
    do
        n = read(report[0], told, sizeof told);
    while (n < 0 && errno == EINTR);
    close(report[0]);
    if (n == 0) {
        *pid_out = pid;
        return RC_OK;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof told || told[0] < STEP_SIGNALS || told[0] > STEP_EXEC)
        return fail(STEP_EXEC, EIO, error_out, step_out);
    return fail((enum step)told[0], told[1], error_out, step_out);
}
