/*
 * Which system calls a worker and the vault may make. `both` is what any C program on an event loop
 * needs; no call here opens a file for writing, starts a program, maps code, changes a user or
 * looks into another process. What a library tries without need is refused with an error instead of
 * death.
 */
#include "config.h"

#include "server/process/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* clang-format off */
#define CALL(call)             .name = #call, .nr = SCMP_SYS(call)
#define EQUAL(n, value)        {n, SCMP_CMP_EQ, value, 0}
#define BITS(n, mask, value)   {n, SCMP_CMP_MASKED_EQ, mask, value}
#define YES(call)              {CALL(call)}
#define YES_IF(call, ...)      {CALL(call), .count = 1, .cmp = {__VA_ARGS__}}
#define YES_IF2(call, ...)     {CALL(call), .count = 2, .cmp = {__VA_ARGS__}}
#define YES_SELF(call)         {CALL(call), .count = 1, .cmp = {EQUAL(0, 0)}, .self = true}
#define NO(call, error)        {CALL(call), .action = SCMP_ACT_ERRNO(error)}
#define NO_IF(call, error, ...)  {CALL(call), .count = 1, .cmp = {__VA_ARGS__}, .action = SCMP_ACT_ERRNO(error)}
#define NO_IF2(call, error, ...) {CALL(call), .count = 2, .cmp = {__VA_ARGS__}, .action = SCMP_ACT_ERRNO(error)}
#define END                    {.name = NULL}
/* clang-format on */

enum {
    WRITING = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY),
    SOCK_KIND = 0xf, /* the type without its flags */
};

/* clang-format off */
static const struct sandbox_call both[] = {
    /* data in and out of descriptors we have */
    YES(read), YES(readv), YES(pread64), YES(write), YES(writev), YES(close), YES(dup),
    YES(recvmsg), YES(recvfrom), YES(recvmmsg), YES(sendmsg), YES(sendto), YES(sendmmsg),
    YES(shutdown), YES(getsockopt), YES(setsockopt), YES(getsockname), YES(getpeername),
    YES(fstat), YES(lseek), YES(fcntl),
    YES_IF(ioctl, EQUAL(1, FIONREAD)), YES_IF(ioctl, EQUAL(1, FIONBIO)), YES_IF(ioctl, EQUAL(1, FIOCLEX)),
    NO_IF(ioctl, ENOTTY, EQUAL(1, TCGETS)), NO_IF(ioctl, ENOTTY, EQUAL(1, TIOCGWINSZ)),
    /* waiting */
    YES(epoll_create1), YES(epoll_ctl), YES(epoll_wait), YES(epoll_pwait), YES(epoll_pwait2),
    YES(poll), YES(ppoll), YES(select), YES(pselect6), YES(eventfd2), YES(pipe2),
    YES(timerfd_create), YES(timerfd_settime), YES(timerfd_gettime),
    YES(nanosleep), YES(clock_nanosleep), YES(restart_syscall), YES(futex), YES(sched_yield),
    /* time, chance, identity */
    YES(clock_gettime), YES(clock_getres), YES(gettimeofday), YES(time), YES(getrandom),
    YES(getpid), YES(gettid), YES(getppid), YES(getuid), YES(geteuid), YES(getgid), YES(getegid),
    YES(uname), YES(sysinfo), YES(getrusage), YES(times), YES(getcpu), YES(sched_getaffinity),
    YES(getrlimit), YES_IF(prlimit64, EQUAL(2, 0)), YES(getcwd),
    /* memory, but no code: a library loaded late is refused, not fatal */
    YES(brk), YES(munmap), YES(mremap), YES(madvise), YES(mlock), YES(mlock2), YES(munlock),
    YES_IF(mmap, BITS(2, PROT_EXEC, 0)), NO_IF(mmap, EACCES, BITS(2, PROT_EXEC, PROT_EXEC)),
    YES_IF(mprotect, BITS(2, PROT_EXEC, 0)), NO_IF(mprotect, EACCES, BITS(2, PROT_EXEC, PROT_EXEC)),
    YES(memfd_secret), YES(membarrier), YES(rseq), YES(set_robust_list), YES(get_robust_list),
    /* signals, but the one that tells of violations stays ours */
    YES(rt_sigreturn), YES(rt_sigprocmask), YES(rt_sigpending), YES(rt_sigtimedwait), YES(sigaltstack),
    YES_IF(rt_sigaction, {0, SCMP_CMP_NE, SIGSYS, 0}),
    YES_SELF(tgkill), YES_SELF(kill), YES(signalfd4),
    /* what a library asks for and does not find */
    YES(newfstatat), YES(stat), YES(lstat), YES(statx), YES(access), YES(faccessat), YES(faccessat2),
    YES(readlink), YES(readlinkat), YES(getdents64), YES(statfs), YES(fstatfs), YES(fadvise64),
    YES_IF(prctl, EQUAL(0, PR_SET_NAME)), YES_IF(prctl, EQUAL(0, PR_GET_NAME)),
    YES_IF(prctl, EQUAL(0, PR_SET_VMA)), YES_IF(prctl, EQUAL(0, PR_GET_DUMPABLE)),
    YES(exit), YES(exit_group),
    END,
};

static const struct sandbox_call worker[] = {
    /* files, to read only (by the flags) */
    YES_IF(openat, BITS(2, WRITING, O_RDONLY)), YES_IF(open, BITS(1, WRITING, O_RDONLY)),
    /* the clients and the database: streams only */
    YES(accept4), YES(accept), YES(connect),
    YES_IF2(socket, EQUAL(0, AF_UNIX), BITS(1, SOCK_KIND, SOCK_STREAM)),
    YES_IF2(socket, EQUAL(0, AF_INET), BITS(1, SOCK_KIND, SOCK_STREAM)),
    YES_IF2(socket, EQUAL(0, AF_INET6), BITS(1, SOCK_KIND, SOCK_STREAM)),
    /* getaddrinfo() tries these to sort its answer and lives without */
    NO_IF2(socket, EACCES, EQUAL(0, AF_INET), BITS(1, SOCK_KIND, SOCK_DGRAM)),
    NO_IF2(socket, EACCES, EQUAL(0, AF_INET6), BITS(1, SOCK_KIND, SOCK_DGRAM)),
    NO_IF(socket, EAFNOSUPPORT, EQUAL(0, AF_NETLINK)),
    END,
};

static const struct sandbox_call vault[] = {
    /* threads for the TPM and for slow keys, no processes; clone3 cannot be looked into */
    YES_IF(clone, BITS(0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM)), NO(clone3, ENOSYS),
    YES(sched_getparam), YES(sched_getscheduler),
    /* those for slow keys step back behind the event loop; a lower number is the kernel's to refuse */
    YES_IF(setpriority, EQUAL(0, PRIO_PROCESS)),
    NO(socket, EACCES),
#if !defined HF_SANITIZERS && !defined HF_COVERAGE
    /* all that it needs comes through descriptors: a file that a library tries is not there for it */
    NO_IF(openat, EACCES, BITS(2, WRITING, O_RDONLY)), NO_IF(open, EACCES, BITS(1, WRITING, O_RDONLY)),
#endif
    END,
};

#ifdef HF_SANITIZERS
static const struct sandbox_call sanitizers[] = {
    YES_IF(openat, BITS(2, WRITING, O_RDONLY)), YES_IF(open, BITS(1, WRITING, O_RDONLY)),
    YES_IF(clone, BITS(0, CLONE_VM, CLONE_VM)), YES(wait4), YES(process_vm_readv),
    YES(set_tid_address), YES(prctl), YES(ptrace), YES(tkill), YES(personality),
    YES(getpgrp), YES(getpgid), YES(setrlimit), YES(pipe), YES(getdents),
    END,
};
#endif
#ifdef HF_COVERAGE /* gcov writes its counts when the process ends */
static const struct sandbox_call sanitizers[] = {YES(openat), YES(ftruncate), YES(mkdir), END};
#endif
/* clang-format on */

#if defined HF_SANITIZERS || defined HF_COVERAGE
#define EXTRA , sanitizers
#else
#define EXTRA
#endif

static const struct sandbox_call *const worker_tables[] = {both, worker EXTRA, NULL};
static const struct sandbox_call *const vault_tables[] = {both, vault EXTRA, NULL};

const struct sandbox_call *const *sandbox_tables(enum sandbox_profile profile)
{
    return profile == SANDBOX_WORKER ? worker_tables : vault_tables;
}
