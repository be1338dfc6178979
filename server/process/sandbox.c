/*
 * Sandboxes by libseccomp; the calls of each profile are tables in sandbox_calls.c. A call that is
 * not in the table raises SIGSYS; its handler writes one log line and lets the signal kill. The
 * handler cannot be replaced afterwards: sigaction on SIGSYS kills at once. See sandbox.h.
 */
#include "config.h"

#include "server/process/sandbox.h"

#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/process/sandbox_calls.h"

static const char *const names[] = {[SANDBOX_WORKER] = "worker", [SANDBOX_VAULT] = "vault"};
static enum sandbox_profile entered;

const char *sandbox_name(enum sandbox_profile profile)
{
    return names[profile];
}

rc_t sandbox_harden(void)
{
    struct rlimit none = {0, 0};

    umask(077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none))
        return RC_INTERNAL;
#ifndef HF_SANITIZERS /* the leak checker must be able to look at its own process */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return RC_INTERNAL;
#endif
    return RC_OK;
}

/* One line, made without the formatter's help where that could take locks or memory. */
static void on_violation(int sig, siginfo_t *info, void *context)
{
    char number[12];
    char line[160];
    size_t at = sizeof number - 1;
    unsigned n = info->si_syscall < 0 ? 0 : (unsigned)info->si_syscall;

    (void)context;
    number[at] = 0;
    do
        number[--at] = (char)('0' + n % 10);
    while ((n /= 10) && at);
    strcpy(line, "event=sandbox.violation profile=");
    strcat(line, names[entered]);
    strcat(line, " syscall=");
    strcat(line, number + at);
    strcat(line, " action=killed\n");
    (void)!write(STDERR_FILENO, line, strlen(line));
    /* SA_RESETHAND put the default back: now the signal kills. */
    (void)syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), sig);
}

static rc_t watch_violations(void)
{
    struct sigaction sa = {.sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER};

    sa.sa_sigaction = on_violation;
    sigemptyset(&sa.sa_mask);
    return sigaction(SIGSYS, &sa, NULL) ? RC_INTERNAL : RC_OK;
}

/*
 * What glibc loads on first use must be loaded now: name service modules come as libraries, and
 * mapping code is forbidden afterwards.
 */
static void load_lazy_parts(void)
{
    struct addrinfo hint = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    struct passwd pw, *result;
    char room[1024];

    (void)getpwuid_r(getuid(), &pw, room, sizeof room, &result);
    if (getaddrinfo("localhost", NULL, &hint, &found) == 0)
        freeaddrinfo(found);
    (void)sysconf(_SC_NPROCESSORS_ONLN);
}

static rc_t add_call(scmp_filter_ctx ctx, const struct sandbox_call *call)
{
    struct scmp_arg_cmp cmp[2] = {call->cmp[0], call->cmp[1]};
    int failed;

    if (call->self)
        cmp[0].datum_a = (scmp_datum_t)getpid();
    failed = seccomp_rule_add_array(ctx, call->action ? call->action : SCMP_ACT_ALLOW, call->nr,
                                    call->count, cmp);
    if (failed)
        log_error("sandbox.rule", "syscall=%s error=\"%s\"", call->name, strerror(-failed));
    return failed ? RC_INTERNAL : RC_OK;
}

static rc_t add_table(scmp_filter_ctx ctx, const struct sandbox_call *calls)
{
    for (; calls->name; calls++)
        if (calls->nr >= 0)
            TRY(add_call(ctx, calls));
    return RC_OK;
}

static rc_t install(enum sandbox_profile profile)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
    rc_t rc = ctx ? RC_OK : RC_NO_MEMORY;

    /* Another architecture's calls (x32, i386) have other numbers: they kill. */
    if (rc == RC_OK && (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) ||
                        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1)))
        rc = RC_INTERNAL;
    for (const struct sandbox_call *const *table = sandbox_tables(profile); rc == RC_OK && *table;
         table++)
        rc = add_table(ctx, *table);
    if (rc == RC_OK && seccomp_load(ctx))
        rc = RC_INTERNAL;
    if (ctx)
        seccomp_release(ctx);
    return rc;
}

rc_t sandbox_enter(enum sandbox_profile profile)
{
    rc_t rc;

    entered = profile;
    load_lazy_parts();
    rc = watch_violations();
    if (rc == RC_OK)
        rc = install(profile);
    if (rc == RC_OK)
        log_info("sandbox.enter", "profile=%s", names[profile]);
    else
        log_error("sandbox.enter", "profile=%s result=%s", names[profile], rc_name(rc));
    return rc;
}
