/*
 * What the makers do, and which job is next; see makers.h. Three rules decide that:
 * - weight: a job of weight w begins only while fewer than threads - w jobs of weight w or more run.
 *   So a thread is always left for what is light, and one more for keys of usual length.
 * - memory: hashes begin only while those that run take no more than one of the largest may, as all memory is locked.
 * - turns (start-time fair queueing): a job's turn is one after the last of its owner's, so owners
 *   take turns however many jobs one of them has.
 */
#include "server/vault/makers.h"

#include <stdlib.h>

#include "proto/base/wipe.h"
#include "proto/kmip/tables.h"

enum { PRESET_THREADS = 3, PRESET_QUEUE = 64, OWNER_PART = 4 };
enum { CIPHER_SHARE = 2 * 1024 * 1024 }; /* bytes of memory for ciphers that count as one job */
/* Its data are there once for the job and in the call that waits for it, whose buffer may be half empty; and so much at
 * least, for the lists are short. */
enum { CIPHER_COPIES = 3, CIPHER_LEAST = 16 * 1024 };
enum { NICE = 10 };
/* Weights: a moment; a search of up to seconds; one of up to minutes. */
enum { LIGHT, USUAL, LONG, WEIGHTS };
enum { USUAL_BITS_MOST = 4096 };

struct makers {
    uint32_t queue;
    struct crew crew; /* `lock`, too, of what follows */
    uint32_t running_count[WEIGHTS];
    size_t hash_bytes; /* that running hashes take */
    size_t ciphers, cipher_bytes; /* of the crew's jobs these, and their data */
    uint64_t turn;
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

static rc_t cipher(struct make_job *j)
{
    return cipher_work(&j->cipher);
}

static void work(void *owner, void *job)
{
    (void)owner;
    static rc_t (*const kinds[])(struct make_job *) = {
        [MAKE_PAIR] = make_pair,
        [MAKE_CHECK] = check,
        [MAKE_CONVERT] = convert,
        [MAKE_HASH] = hash,
        [MAKE_CIPHER] = cipher,
    };
    struct make_job *j = job;
    j->rc = atomic_load(&j->stop) ? RC_UNAVAILABLE : kinds[j->kind](j);
}

/* No more than leaves one thread for the job itself. */
static uint32_t weight_of(const struct makers *m, const struct make_job *j)
{
    uint32_t weight = LIGHT;
    if (j->kind == MAKE_PAIR && j->family == KMIP_ALGORITHM_RSA)
        weight = j->bits <= USUAL_BITS_MOST ? USUAL : LONG;
    return weight < m->crew.thread_count ? weight : m->crew.thread_count - 1;
}

/* ---- whose turn it is; all under the lock --------------------------------------------------- */

static struct make_job *made_of(struct crew_job *j)
{
    return (struct make_job *)j; /* its first member */
}

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
    return atomic_load(&j->stop) || heavy + j->weight < m->crew.thread_count;
}

static void *choose(void *owner)
{
    const struct makers *m = owner;
    struct make_job *next = NULL;
    for (struct crew_job *link = m->crew.waiting; link; link = link->next) {
        struct make_job *j = made_of(link);
        if (may_begin(m, j) && (!next || j->turn < next->turn))
            next = j;
    }
    return next;
}

static void begun(void *owner, void *job)
{
    struct makers *m = owner;
    const struct make_job *j = job;
    m->running_count[j->weight]++;
    m->hash_bytes += hash_bytes(j);
    if (j->turn > m->turn)
        m->turn = j->turn;
}

static void ended(void *owner, void *job)
{
    struct makers *m = owner;
    const struct make_job *j = job;
    m->running_count[j->weight]--;
    m->hash_bytes -= hash_bytes(j);
    m->ciphers -= j->kind == MAKE_CIPHER;
    m->cipher_bytes -= j->queued_bytes;
}

/* Ciphers count by the memory they take, all of it locked, and all else by jobs. */
static size_t cipher_bytes(const struct make_job *j)
{
    return j->kind == MAKE_CIPHER ? CIPHER_LEAST + CIPHER_COPIES * (j->cipher.data.len + j->cipher.additional.len) : 0;
}

/* What one owner has in the queue. */
struct share {
    size_t jobs, cipher_bytes;
    uint64_t turn; /* behind the last of them */
};

static struct share owners_share(const struct makers *m, const struct uid *owner)
{
    struct crew_job *const lists[] = {m->crew.waiting, m->crew.running};
    struct share s = {.turn = m->turn};
    for (size_t i = 0; i < 2; i++)
        for (struct crew_job *link = lists[i]; link; link = link->next) {
            const struct make_job *j = made_of(link);
            if (!uid_equal(&j->owner, owner))
                continue;
            s.jobs += j->kind != MAKE_CIPHER;
            s.cipher_bytes += j->queued_bytes;
            if (j->turn >= s.turn)
                s.turn = j->turn + 1;
        }
    return s;
}

static bool has_room(const struct makers *m, const struct make_job *j, const struct share *own)
{
    if (j->kind != MAKE_CIPHER)
        return m->crew.count - m->ciphers < m->queue && own->jobs < (m->queue + OWNER_PART - 1) / OWNER_PART;
    size_t most = (size_t)m->queue * CIPHER_SHARE, bytes = cipher_bytes(j);
    return (m->cipher_bytes == 0 || m->cipher_bytes + bytes <= most) &&
           (own->cipher_bytes == 0 || own->cipher_bytes + bytes <= most / OWNER_PART);
}

rc_t makers_post(struct makers *m, struct make_job *j)
{
    rc_t rc = RC_BUSY;
    pthread_mutex_lock(&m->crew.lock);
    const struct share own = owners_share(m, &j->owner);
    if (has_room(m, j, &own)) {
        j->weight = weight_of(m, j);
        j->turn = own.turn;
        j->queued_bytes = cipher_bytes(j); /* decrypted, or padded, they may become others */
        rc = crew_add(&m->crew, &j->link);
    }
    if (rc == RC_OK) {
        m->ciphers += j->kind == MAKE_CIPHER;
        m->cipher_bytes += j->queued_bytes;
    }
    pthread_mutex_unlock(&m->crew.lock);
    return rc;
}

void makers_cancel(struct makers *m, struct make_job *j)
{
    atomic_store(&j->stop, true);
    pthread_mutex_lock(&m->crew.lock);
    pthread_cond_broadcast(&m->crew.changed); /* it may begin now, only to end */
    pthread_mutex_unlock(&m->crew.lock);
}

struct make_job *makers_take(struct makers *m)
{
    return crew_take(&m->crew);
}

size_t makers_count(struct makers *m)
{
    pthread_mutex_lock(&m->crew.lock);
    size_t count = m->crew.count;
    pthread_mutex_unlock(&m->crew.lock);
    return count;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void job_free(void *job)
{
    make_job_free(job);
}

rc_t makers_new(const struct makers_options *o, struct makers **out)
{
    static const struct crew_rules rules = {
        .work = work, .choose = choose, .begun = begun, .ended = ended, .free = job_free, .nice = NICE};
    struct makers *m = calloc(1, sizeof *m);
    if (!m)
        return RC_NO_MEMORY;
    m->queue = o->queue ? o->queue : PRESET_QUEUE;
    rc_t rc = crew_init(&m->crew, &rules, m, o->threads ? o->threads : PRESET_THREADS, SIZE_MAX);
    if (rc != RC_OK) {
        makers_free(m);
        return rc;
    }
    *out = m;
    return RC_OK;
}

rc_t makers_start(struct makers *m)
{
    return crew_start(&m->crew);
}

void makers_free(struct makers *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->crew.lock);
    crew_quit(&m->crew);
    for (struct crew_job *link = m->crew.running; link; link = link->next)
        atomic_store(&made_of(link)->stop, true);
    pthread_mutex_unlock(&m->crew.lock);
    crew_free(&m->crew);
    free(m);
}

int makers_fd(const struct makers *m)
{
    return m->crew.wake_fd;
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
    cipher_work_free(&j->cipher);
    free(j);
}
