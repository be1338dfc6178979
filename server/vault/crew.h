/*
 * Threads that do jobs for the event thread, which never waits: it adds jobs and takes them back, done, when an
 * eventfd becomes readable. What the jobs are, which of them begins next and what they count
 * against is the owner's to say: makers.h and tpm_thread.h.
 */
#ifndef SERVER_VAULT_CREW_H
#define SERVER_VAULT_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/rc.h"

/* The first member of each job. */
struct crew_job {
    struct crew_job *next;
};

/* What the owner says of its jobs; a job is the owner's struct. All but `work` and `free` are called under the lock and
 * may be NULL. */
struct crew_rules {
    /* Does the job. On one of the threads, without the lock. */
    void (*work)(void *owner, void *job);
    /* The job to begin now, of `waiting`; NULL: none may begin. Without this: the oldest. */
    void *(*choose)(void *owner);
    void (*begun)(void *owner, void *job);
    void (*ended)(void *owner, void *job);
    void (*free)(void *job);
    int nice; /* of the threads, beside the event thread; 0: alike */
};

struct crew {
    const struct crew_rules *rules;
    void *owner;
    pthread_t *threads;
    uint32_t thread_count, started;
    size_t most;
    int wake_fd; /* to the event thread */

    pthread_mutex_t lock;   /* of all below, and of what the owner likes */
    pthread_cond_t changed; /* a job came, one ended, the owner says so, or quit; by CLOCK_MONOTONIC */
    struct crew_job *waiting, *running, *done; /* the oldest first; short lists */
    size_t count;                              /* waiting and running */
    bool quit;
};

/* most: jobs that wait or run; SIZE_MAX: the owner sees to a bound. After a failure, too, crew_free() frees what there
 * is. */
rc_t crew_init(struct crew *c, const struct crew_rules *rules, void *owner, uint32_t threads, size_t most);
/* Starts the threads; after the sandbox is entered. */
rc_t crew_start(struct crew *c);
/* No job begins any longer. Under the lock; crew_free() does it, too. */
void crew_quit(struct crew *c);
/* Quits, joins the threads (after the jobs that run), frees the jobs. Only after crew_init(). */
void crew_free(struct crew *c);

/* Takes the job over. RC_BUSY: there are too many (the job stays the caller's). Under the lock. */
rc_t crew_add(struct crew *c, struct crew_job *job);
/* Makes the eventfd readable. */
void crew_wake(struct crew *c);
/* The next done job, or NULL. Not under the lock. */
void *crew_take(struct crew *c);

#endif
