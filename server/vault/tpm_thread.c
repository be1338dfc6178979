/* The TPM thread: a crew of one, its descriptors and its node's state; see tpm_thread.h. The work is in tpm_jobs.c. */
#include "server/vault/tpm_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/vault/tpm_jobs.h"

enum { PRESET_FD_WAIT_MS = 10000 };

struct tpm_thread {
    struct crew crew; /* of one; `lock`, too, of what follows, up to `work` */
    uint32_t fd_wait_ms;
    bool fd_wanted, fd_told; /* the thread waits; the event thread knows */
    bool fd_given;
    int fd;
    struct node_state node;
    bool has_node;
    struct tpm_no_node no_node; /* when has_node is false */
    struct secret *owner_auth;  /* NULL: empty */

    struct tpm_work work; /* the thread's own */
};

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
    pthread_mutex_lock(&t->crew.lock);
    if (t->fd_given && t->fd >= 0)
        close(t->fd); /* came too late for an earlier wait */
    t->fd = -1;
    t->fd_given = t->fd_told = false;
    t->fd_wanted = true;
    crew_wake(&t->crew);
    int waited = 0;
    while (!t->fd_given && !t->crew.quit && waited == 0)
        waited = pthread_cond_timedwait(&t->crew.changed, &t->crew.lock, &until);
    int fd = t->fd_given ? t->fd : -1;
    t->fd_given = t->fd_wanted = t->fd_told = false;
    t->fd = -1;
    (void)tpm_set_owner_auth(t->work.tpm, t->owner_auth ? secret_view(t->owner_auth) : BYTES_NONE);
    pthread_mutex_unlock(&t->crew.lock);
    *fd_out = fd;
    return fd >= 0 ? RC_OK : RC_UNAVAILABLE;
}

bool tpm_thread_wants_fd(struct tpm_thread *t)
{
    pthread_mutex_lock(&t->crew.lock);
    bool wants = t->fd_wanted && !t->fd_told;
    if (wants)
        t->fd_told = true;
    pthread_mutex_unlock(&t->crew.lock);
    return wants;
}

void tpm_thread_give_fd(struct tpm_thread *t, int fd)
{
    pthread_mutex_lock(&t->crew.lock);
    if (t->fd_wanted && !t->fd_given) {
        t->fd = fd;
        t->fd_given = true;
        pthread_cond_broadcast(&t->crew.changed);
    } else if (fd >= 0) {
        close(fd); /* nobody waits any longer */
    }
    pthread_mutex_unlock(&t->crew.lock);
}

rc_t tpm_thread_set_owner_auth(struct tpm_thread *t, struct bytes auth)
{
    AUTO_SECRET fresh = NULL;
    if (auth.len > TPM_AUTH_MAX)
        return RC_INVALID_FIELD;
    if (auth.len)
        TRY(secret_from(auth, &fresh));
    pthread_mutex_lock(&t->crew.lock);
    secret_free(&t->owner_auth);
    t->owner_auth = secret_give(&fresh);
    pthread_mutex_unlock(&t->crew.lock);
    return RC_OK;
}

static void work(void *owner, void *job)
{
    struct tpm_thread *t = owner;
    pthread_mutex_lock(&t->crew.lock);
    struct node_state node = t->node;
    bool has_node = t->has_node;
    t->work.no_node = t->no_node;
    pthread_mutex_unlock(&t->crew.lock);
    tpm_work_run(&t->work, has_node ? &node : NULL, job);
}

static void free_job(void *job)
{
    job_free(job);
}

rc_t tpm_thread_new(const struct tpm_thread_options *o, struct tpm_thread **out)
{
    static const struct crew_rules rules = {.work = work, .free = free_job};
    struct tpm_thread *t = calloc(1, sizeof *t);
    if (!t)
        return RC_NO_MEMORY;
    t->fd = -1;
    t->no_node.rc = RC_NOT_FOUND;
    t->fd_wait_ms = o->fd_wait_ms ? o->fd_wait_ms : PRESET_FD_WAIT_MS;
    const struct tpm_options options = {.get_fd = get_fd, .arg = t, .command_ms = o->command_ms};
    rc_t rc = crew_init(&t->crew, &rules, t, 1, JOBS_MAX);
    if (rc == RC_OK)
        rc = tpm_work_init(&t->work, &options);
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
    return crew_start(&t->crew);
}

void tpm_thread_free(struct tpm_thread *t)
{
    if (!t)
        return;
    crew_free(&t->crew);
    tpm_work_end(&t->work);
    secret_free(&t->owner_auth);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

int tpm_thread_fd(const struct tpm_thread *t)
{
    return t->crew.wake_fd;
}

void tpm_thread_set_node(struct tpm_thread *t, const struct node_state *state)
{
    pthread_mutex_lock(&t->crew.lock);
    t->has_node = true;
    t->node = *state;
    pthread_mutex_unlock(&t->crew.lock);
}

void tpm_thread_set_no_node(struct tpm_thread *t, rc_t rc, const char *why)
{
    pthread_mutex_lock(&t->crew.lock);
    t->has_node = false;
    t->no_node.rc = rc;
    snprintf(t->no_node.why, sizeof t->no_node.why, "%s", why ? why : "");
    pthread_mutex_unlock(&t->crew.lock);
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
    pthread_mutex_lock(&t->crew.lock);
    rc_t rc = crew_add(&t->crew, &j->link);
    pthread_mutex_unlock(&t->crew.lock);
    return rc;
}

struct job *tpm_thread_take(struct tpm_thread *t)
{
    return crew_take(&t->crew);
}
