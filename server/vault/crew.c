/* The queue, the threads and their end; see crew.h. */
#include "server/vault/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/arena.h"

enum { STACK_BYTES = 1024 * 1024 };

/* ---- lists ---------------------------------------------------------------------------------- */

static void append(struct crew_job **list, struct crew_job *j)
{
    while (*list)
        list = &(*list)->next;
    *list = j;
    j->next = NULL;
}

static void unlink_job(struct crew_job **list, struct crew_job *j)
{
    while (*list != j)
        list = &(*list)->next;
    *list = j->next;
    j->next = NULL;
}

static void free_all(const struct crew *c, struct crew_job *j)
{
    while (j) {
        struct crew_job *next = j->next;
        c->rules->free(j);
        j = next;
    }
}

/* ---- the queue ------------------------------------------------------------------------------ */

rc_t crew_add(struct crew *c, struct crew_job *job)
{
    if (c->count >= c->most)
        return RC_BUSY;
    append(&c->waiting, job);
    c->count++;
    pthread_cond_broadcast(&c->changed);
    return RC_OK;
}

/* The job whose turn it is, now running; or NULL. */
static struct crew_job *begin_next(struct crew *c)
{
    struct crew_job *j = c->rules->choose ? c->rules->choose(c->owner) : c->waiting;
    if (!j)
        return NULL;
    unlink_job(&c->waiting, j);
    append(&c->running, j);
    if (c->rules->begun)
        c->rules->begun(c->owner, j);
    return j;
}

static void finish(struct crew *c, struct crew_job *j)
{
    unlink_job(&c->running, j);
    if (c->rules->ended)
        c->rules->ended(c->owner, j);
    c->count--;
    append(&c->done, j);
    crew_wake(c);
    pthread_cond_broadcast(&c->changed); /* what had to wait for it may begin */
}

void crew_wake(struct crew *c)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(c->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void *crew_take(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    struct crew_job *j = c->done;
    if (j)
        unlink_job(&c->done, j);
    pthread_mutex_unlock(&c->lock);
    return j;
}

/* ---- the threads ---------------------------------------------------------------------------- */

static void *loop(void *arg)
{
    struct crew *c = arg;
    /* This thread's alone, as Linux has it; where it is refused, all run alike. */
    if (c->rules->nice)
        (void)setpriority(PRIO_PROCESS, 0, c->rules->nice);
    pthread_mutex_lock(&c->lock);
    while (!c->quit) {
        struct crew_job *j = begin_next(c);
        if (!j) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        c->rules->work(c->owner, j);
        pthread_mutex_lock(&c->lock);
        finish(c, j);
    }
    pthread_mutex_unlock(&c->lock);
    arena_thread_end();
    return NULL;
}

rc_t crew_init(struct crew *c, const struct crew_rules *rules, void *owner, uint32_t threads, size_t most)
{
    *c = (struct crew){.rules = rules, .owner = owner, .thread_count = threads, .most = most};
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &clock);
    pthread_condattr_destroy(&clock);
    c->threads = calloc(threads, sizeof *c->threads);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!c->threads)
        return RC_NO_MEMORY;
    return c->wake_fd < 0 ? RC_IO : RC_OK;
}

rc_t crew_start(struct crew *c)
{
    pthread_attr_t attr;
    sigset_t all, was;
    sigfillset(&all); /* signals are the event thread's */
    if (pthread_attr_init(&attr) != 0)
        return RC_NO_MEMORY;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    while (c->started < c->thread_count && pthread_create(&c->threads[c->started], &attr, loop, c) == 0)
        c->started++;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return c->started == c->thread_count ? RC_OK : RC_NO_MEMORY;
}

void crew_quit(struct crew *c)
{
    c->quit = true;
    pthread_cond_broadcast(&c->changed);
}

void crew_free(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    crew_quit(c);
    pthread_mutex_unlock(&c->lock);
    while (c->started > 0)
        pthread_join(c->threads[--c->started], NULL);
    free_all(c, c->waiting);
    free_all(c, c->running);
    free_all(c, c->done);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c->threads);
}
