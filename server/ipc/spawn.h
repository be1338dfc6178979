/*
 * Starts another program: fork, then in the child exactly the descriptors named, another user,
 * limits, no new privileges, a small environment, and exec. Everything else is closed, so that no
 * descriptor leaks. Used by the supervisor for its children and by the CLI for the vault.
 */
#ifndef SERVER_IPC_SPAWN_H
#define SERVER_IPC_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/rc.h"

enum { SPAWN_FDS_MAX = 8 };

struct spawn {
    const char *path;        /* absolute path of the program */
    const char *const *argv; /* ends with NULL; argv[0] included */
    /* Descriptors 0 to fd_count-1 of the child; -1 means /dev/null. Standard error should be 2. */
    int fds[SPAWN_FDS_MAX];
    unsigned fd_count;
    bool set_user; /* change to uid and gid, no supplementary groups (needs CAP_SETUID, CAP_SETGID)
                    */
    uid_t uid;
    gid_t gid;
    unsigned long nofile;       /* RLIMIT_NOFILE, 0: leave */
    unsigned long memlock;      /* RLIMIT_MEMLOCK in bytes, 0: leave; lowered when not allowed */
    bool core;                  /* false: RLIMIT_CORE 0 */
    bool outlives;              /* false: SIGKILL when the starting process dies */
    const char *const *environ; /* further NAME=VALUE, ends with NULL; may be NULL */
};

/*
 * Starts it. RC_OK once exec has succeeded; RC_IO otherwise, and *error_out (may be NULL) is the
 * errno, *step_out (may be NULL) a static word for the step that failed.
 */
rc_t spawn_start(const struct spawn *s, pid_t *pid_out, int *error_out, const char **step_out);

#endif
