/*
 * The makers' queue and threads; see makers.h. Three rules decide which job is next:
 * - weight: a job of weight w begins only while fewer than threads - w jobs of weight w or more run.
 *   So a thread is always left for what is light, and one more for keys of usual length.
 * - memory: hashes begin only while those that run take no more than one of the largest may, as all memory is locked.
 * - turns (start-time fair queueing): a job's turn is one after the last of its owner's, so owners
 *   take turns however many jobs one of them has.
 */
#include "server/vault/makers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/arena.h"
#include "proto/base/wipe.h"
#include "proto/kmip/tables.h"

enum { PRESET_THREADS = 3, PRESET_QUEUE = 64, OWNER_PART = 4, STACK_BYTES = 1024 * 1024 };
enum { NICE = 10 };
/* Weights: a moment; a search of up to seconds; one of up to minutes. */
enum { LIGHT, USUAL, LONG, WEIGHTS };
enum { USUAL_BITS_MOST = 4096 };

struct makers {
    pthread_t *threads;
    uint32_t thread_count, started, queue;
    int wake_fd; /* to the event thread */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct make_job *waiting, *running; /* unordered; short lists */
    struct make_job *done, **done_end;
    uint32_t running_count[WEIGHTS];
    size_t hash_bytes; /* that running hashes take */
    size_t count; /* waiting and running */
    uint64_t turn, last_order;
    bool quit;
};

/* ---- the work ------------------------------------------------------------------------------- */

static rc_t write_half(const struct asym *key, struct make_job *j, int half, bool as_private)
{
    uint32_t preset = asym_default_format(j->facts.algorithm, as_private);
    uint32_t format = j->out_format[half] ? j->out_format[half] : preset;
    j->out_format[half] = format;
    TRY(asym_write(key, as_private, format, &j->out[half]));
    if (format == preset)
        return RC_OK;
    j->other_format[half] = preset;
    return asym_write(key, as_private, preset, &j->other[half]);
}

static rc_t make_pair(struct make_job *j)
{
    AUTO_ASYM key = NULL;
    TRY(asym_generate(j->family, j->bits, &j->stop, &key));
    j->facts = asym_facts(key);
    TRY(write_half(key, j, 0, true));
    return write_half(key, j, 1, false);
}

static rc_t read_key(const struct make_job *j, struct asym **key)
{
    if (j->object_type == KMIP_OBJECT_CERTIFICATE)
        return asym_read_certificate(buf_view(&j->in), key);
    return asym_read(j->object_type == KMIP_OBJECT_PRIVATE_KEY, j->in_format, buf_view(&j->in), key);
}

static rc_t check(struct make_job *j)
{
    AUTO_ASYM key = NULL;
    rc_t rc = read_key(j, &key);
    if (rc == RC_FEATURE && j->object_type == KMIP_OBJECT_CERTIFICATE)
        return RC_OK; /* a certificate all the same; the facts stay 0 */
    TRY(rc);
    TRY(asym_check(key));
    j->facts = asym_facts(key);
    uint32_t preset = asym_default_format(j->facts.algorithm, j->facts.is_private);
    if (j->object_type == KMIP_OBJECT_CERTIFICATE || preset == j->in_format)
        return RC_OK;
    j->other_format[0] = preset;
    return asym_write(key, j->facts.is_private, preset, &j->other[0]);
}

/* What is stored was checked when it came, so what cannot be read is a format of nobody's: opaque,
 * or encrypted by the client. */
static rc_t convert(struct make_job *j)
{
    AUTO_ASYM key = NULL;
    if (read_key(j, &key) != RC_OK)
        return RC_KEY_FORMAT;
    j->facts = asym_facts(key);
    return asym_write(key, j->facts.is_private, j->out_format[0], &j->out[0]);
}

static rc_t hash(struct make_job *j)
{
    uint8_t out[SCRYPT_HASH_BYTES];
    rc_t rc = scrypt_hash(&j->cost, buf_view(&j->salt), buf_view(&j->in), out);
    if (rc == RC_OK)
        rc = buf_add(&j->out[0], out, sizeof out);
    wipe(out, sizeof out);
    return rc;
}

static rc_t work(struct make_job *j)
{
    static rc_t (*const kinds[])(struct make_job *) = {
        [MAKE_PAIR] = make_pair,
        [MAKE_CHECK] = check,
        [MAKE_CONVERT] = convert,
        [MAKE_HASH] = hash,
    };
    return atomic_load(&j->stop) ? RC_UNAVAILABLE : kinds[j->kind](j);
}

/* No more than leaves one thread for the job itself. */
static uint32_t weight_of(const struct makers *m, const struct make_job *j)
{
    uint32_t weight = LIGHT;
    if (j->kind == MAKE_PAIR && j->family == KMIP_ALGORITHM_RSA)
        weight = j->bits <= USUAL_BITS_MOST ? USUAL : LONG;
    return weight < m->thread_count ? weight : m->thread_count - 1;
}

/* ---- the queue; all under the lock ---------------------------------------------------------- */

/* One that is stopped hashes nothing, and one beyond the limits is refused. */
static size_t hash_bytes(const struct make_job *j)
{
    bool within = j->kind == MAKE_HASH && j->cost.log2 <= 24 && j->cost.block_size <= 32;
    return within ? scrypt_memory(&j->cost) : 0;
}

static bool may_begin(const struct makers *m, const struct make_job *j)
{
    if (m->hash_bytes > 0 && m->hash_bytes + hash_bytes(j) > SCRYPT_MEMORY_MOST && hash_bytes(j) > 0 &&
        !atomic_load(&j->stop))
        return false;
    uint32_t heavy = 0;
    for (uint32_t w = j->weight; w < WEIGHTS; w++)
        heavy += m->running_count[w];
    return atomic_load(&j->stop) || heavy + j->weight < m->thread_count;
}

static bool is_before(const struct make_job *a, const struct make_job *b)
{
    return a->turn != b->turn ? a->turn < b->turn : a->order < b->order;
}

static void unlink_job(struct make_job **list, struct make_job *j)
{
    while (*list != j)
        list = &(*list)->next;
    *list = j->next;
    j->next = NULL;
}

/* The job whose turn it is, now running; or NULL. */
static struct make_job *begin_next(struct makers *m)
{
    struct make_job *next = NULL;
    for (struct make_job *j = m->waiting; j; j = j->next)
        if (may_begin(m, j) && (!next || is_before(j, next)))
            next = j;
    if (!next)
        return NULL;
    unlink_job(&m->waiting, next);
    next->next = m->running;
    m->running = next;
    m->running_count[next->weight]++;
    m->hash_bytes += hash_bytes(next);
    if (next->turn > m->turn)
        m->turn = next->turn;
    return next;
}

static void wake_event_thread(struct makers *m)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(m->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

static void finish(struct makers *m, struct make_job *j)
{
    unlink_job(&m->running, j);
    m->running_count[j->weight]--;
    m->hash_bytes -= hash_bytes(j);
    m->count--;
    *m->done_end = j;
    m->done_end = &j->next;
    wake_event_thread(m);
    pthread_cond_broadcast(&m->changed); /* what had to wait for its weight may begin */
}

/* Counts the owner's jobs and finds the last of their turns. */
static size_t owners_jobs(const struct makers *m, const struct uid *owner, uint64_t *turn)
{
    const struct make_job *const lists[] = {m->waiting, m->running};
    size_t count = 0;
    for (size_t i = 0; i < 2; i++)
        for (const struct make_job *j = lists[i]; j; j = j->next)
            if (uid_equal(&j->owner, owner)) {
                count++;
                if (j->turn >= *turn)
                    *turn = j->turn + 1;
            }
    return count;
}

rc_t makers_post(struct makers *m, struct make_job *j)
{
    rc_t rc = RC_BUSY;
    pthread_mutex_lock(&m->lock);
    uint64_t turn = m->turn;
    size_t own = owners_jobs(m, &j->owner, &turn);
    if (m->count < m->queue && own < (m->queue + OWNER_PART - 1) / OWNER_PART) {
        j->weight = weight_of(m, j);
        j->turn = turn;
        j->order = ++m->last_order;
        j->next = m->waiting;
        m->waiting = j;
        m->count++;
        pthread_cond_broadcast(&m->changed);
        rc = RC_OK;
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

void makers_cancel(struct makers *m, struct make_job *j)
{
    atomic_store(&j->stop, true);
    pthread_mutex_lock(&m->lock);
    pthread_cond_broadcast(&m->changed); /* it may begin now, only to end */
    pthread_mutex_unlock(&m->lock);
}

struct make_job *makers_take(struct makers *m)
{
    pthread_mutex_lock(&m->lock);
    struct make_job *j = m->done;
    if (j) {
        m->done = j->next;
        if (!m->done)
            m->done_end = &m->done;
        j->next = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    return j;
}

size_t makers_count(struct makers *m)
{
    pthread_mutex_lock(&m->lock);
    size_t count = m->count;
    pthread_mutex_unlock(&m->lock);
    return count;
}

/* ---- threads -------------------------------------------------------------------------------- */

static void *loop(void *arg)
{
    struct makers *m = arg;
    /* This thread's alone, as Linux has it; where it is refused, all run alike. */
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    pthread_mutex_lock(&m->lock);
    while (!m->quit) {
        struct make_job *j = begin_next(m);
        if (!j) {
            pthread_cond_wait(&m->changed, &m->lock);
            continue;
        }
        pthread_mutex_unlock(&m->lock);
        j->rc = work(j);
        pthread_mutex_lock(&m->lock);
        finish(m, j);
    }
    pthread_mutex_unlock(&m->lock);
    arena_thread_end();
    return NULL;
}

rc_t makers_new(const struct makers_options *o, struct makers **out)
{
    struct makers *m = calloc(1, sizeof *m);
    if (!m)
        return RC_NO_MEMORY;
    m->thread_count = o->threads ? o->threads : PRESET_THREADS;
    m->queue = o->queue ? o->queue : PRESET_QUEUE;
    m->done_end = &m->done;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    m->threads = calloc(m->thread_count, sizeof *m->threads);
    m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!m->threads || m->wake_fd < 0) {
        rc_t rc = m->threads ? RC_IO : RC_NO_MEMORY;
        makers_free(m);
        return rc;
    }
    *out = m;
    return RC_OK;
}

rc_t makers_start(struct makers *m)
{
    pthread_attr_t attr;
    sigset_t all, was;
    sigfillset(&all); /* signals are the event thread's */
    if (pthread_attr_init(&attr) != 0)
        return RC_NO_MEMORY;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    while (m->started < m->thread_count &&
           pthread_create(&m->threads[m->started], &attr, loop, m) == 0)
        m->started++;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return m->started == m->thread_count ? RC_OK : RC_NO_MEMORY;
}

static void jobs_free(struct make_job *j)
{
    while (j) {
        struct make_job *next = j->next;
        make_job_free(j);
        j = next;
    }
}

void makers_free(struct makers *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->quit = true;
    for (struct make_job *j = m->running; j; j = j->next)
        atomic_store(&j->stop, true);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    while (m->started > 0)
        pthread_join(m->threads[--m->started], NULL);
    jobs_free(m->waiting);
    jobs_free(m->running);
    jobs_free(m->done);
    if (m->wake_fd >= 0)
        close(m->wake_fd);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m->threads);
    free(m);
}

int makers_fd(const struct makers *m)
{
    return m->wake_fd;
}

struct make_job *make_job_new(enum make_kind kind, const struct uid *owner)
{
    struct make_job *j = calloc(1, sizeof *j);
    if (j) {
        j->kind = kind;
        j->owner = *owner;
    }
    return j;
}

void make_job_free(struct make_job *j)
{
    if (!j)
        return;
    buf_free(&j->in);
    buf_free(&j->salt);
    for (int i = 0; i < 2; i++) {
        buf_free(&j->out[i]);
        buf_free(&j->other[i]);
    }
    free(j);
}
