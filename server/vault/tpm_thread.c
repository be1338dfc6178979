/* The TPM thread: its queue, its descriptors, its loop; see tpm_thread.h. The work is in
 * tpm_jobs.c. */
#include "server/vault/tpm_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/arena.h"
#include "server/vault/tpm_jobs.h"

enum { PRESET_FD_WAIT_MS = 10000, STACK_BYTES = 1024 * 1024 };

struct tpm_thread {
    pthread_t thread;
    bool started;
    int wake_fd; /* to the event thread */
    uint32_t fd_wait_ms;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job came, a descriptor came, or quit */
    struct job *todo, **todo_end, *done, **done_end;
    size_t waiting;
    bool quit;
    bool fd_wanted, fd_told; /* the thread waits; the event thread knows */
    bool fd_given;
    int fd;
    struct node_state node;
    bool has_node;
    struct tpm_no_node no_node; /* when has_node is false */
    struct secret *owner_auth;  /* NULL: empty */

    struct tpm_work work; /* the thread's own */
};

static void wake_event_thread(struct tpm_thread *t)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(t->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

/* tpm_fd_fn: asks the event thread and waits. On the TPM thread. */
static rc_t get_fd(void *arg, int *fd_out)
{
    struct tpm_thread *t = arg;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += t->fd_wait_ms / 1000;
    until.tv_nsec += (long)(t->fd_wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&t->lock);
    if (t->fd_given && t->fd >= 0)
        close(t->fd); /* came too late for an earlier wait */
    t->fd = -1;
    t->fd_given = t->fd_told = false;
    t->fd_wanted = true;
    wake_event_thread(t);
    int waited = 0;
    while (!t->fd_given && !t->quit && waited == 0)
        waited = pthread_cond_timedwait(&t->changed, &t->lock, &until);
    int fd = t->fd_given ? t->fd : -1;
    t->fd_given = t->fd_wanted = t->fd_told = false;
    t->fd = -1;
    (void)tpm_set_owner_auth(t->work.tpm, t->owner_auth ? secret_view(t->owner_auth) : BYTES_NONE);
    pthread_mutex_unlock(&t->lock);
    *fd_out = fd;
    return fd >= 0 ? RC_OK : RC_UNAVAILABLE;
}

bool tpm_thread_wants_fd(struct tpm_thread *t)
{
    pthread_mutex_lock(&t->lock);
    bool wants = t->fd_wanted && !t->fd_told;
    if (wants)
        t->fd_told = true;
    pthread_mutex_unlock(&t->lock);
    return wants;
}

void tpm_thread_give_fd(struct tpm_thread *t, int fd)
{
    pthread_mutex_lock(&t->lock);
    if (t->fd_wanted && !t->fd_given) {
        t->fd = fd;
        t->fd_given = true;
        pthread_cond_broadcast(&t->changed);
    } else if (fd >= 0) {
        close(fd); /* nobody waits any longer */
    }
    pthread_mutex_unlock(&t->lock);
}

rc_t tpm_thread_set_owner_auth(struct tpm_thread *t, struct bytes auth)
{
    AUTO_SECRET fresh = NULL;
    if (auth.len > TPM_AUTH_MAX)
        return RC_INVALID_FIELD;
    if (auth.len)
        TRY(secret_from(auth, &fresh));
    pthread_mutex_lock(&t->lock);
    secret_free(&t->owner_auth);
    t->owner_auth = secret_give(&fresh);
    pthread_mutex_unlock(&t->lock);
    return RC_OK;
}

static void *loop(void *arg)
{
    struct tpm_thread *t = arg;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->todo && !t->quit)
            pthread_cond_wait(&t->changed, &t->lock);
        if (t->quit)
            break;
        struct job *j = t->todo;
        t->todo = j->next;
        if (!t->todo)
            t->todo_end = &t->todo;
        struct node_state node = t->node;
        bool has_node = t->has_node;
        t->work.no_node = t->no_node;
        pthread_mutex_unlock(&t->lock);

        tpm_work_run(&t->work, has_node ? &node : NULL, j);

        pthread_mutex_lock(&t->lock);
        j->next = NULL;
        *t->done_end = j;
        t->done_end = &j->next;
        t->waiting--;
        wake_event_thread(t);
    }
    pthread_mutex_unlock(&t->lock);
    arena_thread_end();
    return NULL;
}

rc_t tpm_thread_new(const struct tpm_thread_options *o, struct tpm_thread **out)
{
    struct tpm_thread *t = calloc(1, sizeof *t);
    if (!t)
        return RC_NO_MEMORY;
    t->fd = -1;
    t->no_node.rc = RC_NOT_FOUND;
    t->fd_wait_ms = o->fd_wait_ms ? o->fd_wait_ms : PRESET_FD_WAIT_MS;
    t->todo_end = &t->todo;
    t->done_end = &t->done;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &clock);
    pthread_condattr_destroy(&clock);
    const struct tpm_options options = {.get_fd = get_fd, .arg = t, .command_ms = o->command_ms};
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc_t rc = t->wake_fd < 0 ? RC_IO : tpm_work_init(&t->work, &options);
    if (rc != RC_OK) {
        tpm_thread_free(t);
        return rc;
    }
    t->work.degraded_ms = o->degraded_ms;
    t->work.has_degraded = o->has_degraded;
    *out = t;
    return RC_OK;
}

rc_t tpm_thread_start(struct tpm_thread *t)
{
    pthread_attr_t attr;
    sigset_t all, was;
    sigfillset(&all); /* signals are the event thread's */
    if (pthread_attr_init(&attr) != 0)
        return RC_NO_MEMORY;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    t->started = pthread_create(&t->thread, &attr, loop, t) == 0;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return t->started ? RC_OK : RC_NO_MEMORY;
}

static void jobs_free(struct job *j)
{
    while (j) {
        struct job *next = j->next;
        job_free(j);
        j = next;
    }
}

void tpm_thread_free(struct tpm_thread *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->quit = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (t->started)
        pthread_join(t->thread, NULL);
    tpm_work_end(&t->work);
    jobs_free(t->todo);
    jobs_free(t->done);
    secret_free(&t->owner_auth);
    if (t->fd >= 0)
        close(t->fd);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int tpm_thread_fd(const struct tpm_thread *t)
{
    return t->wake_fd;
}

void tpm_thread_set_node(struct tpm_thread *t, const struct node_state *state)
{
    pthread_mutex_lock(&t->lock);
    t->has_node = true;
    t->node = *state;
    pthread_mutex_unlock(&t->lock);
}

void tpm_thread_set_no_node(struct tpm_thread *t, rc_t rc, const char *why)
{
    pthread_mutex_lock(&t->lock);
    t->has_node = false;
    t->no_node.rc = rc;
    snprintf(t->no_node.why, sizeof t->no_node.why, "%s", why ? why : "");
    pthread_mutex_unlock(&t->lock);
}

struct job *job_new(enum job_kind kind)
{
    struct job *j = calloc(1, sizeof *j);
    if (j)
        j->kind = kind;
    return j;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    buf_free(&j->in);
    buf_free(&j->out);
    secret_free(&j->control_key);
    for (size_t i = 0; i < j->key_count; i++)
        secret_free(&j->keys[i].key);
    free(j);
}

rc_t tpm_thread_post(struct tpm_thread *t, struct job *j)
{
    rc_t rc = RC_BUSY;
    pthread_mutex_lock(&t->lock);
    if (t->waiting < JOBS_MAX) {
        t->waiting++;
        j->next = NULL;
        *t->todo_end = j;
        t->todo_end = &j->next;
        pthread_cond_broadcast(&t->changed);
        rc = RC_OK;
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

struct job *tpm_thread_take(struct tpm_thread *t)
{
    pthread_mutex_lock(&t->lock);
    struct job *j = t->done;
    if (j) {
        t->done = j->next;
        if (!t->done)
            t->done_end = &t->done;
        j->next = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    return j;
}
