/*
 * Engine and requests: opening, taking a message in, letting go. What a request does in between is
 * in run.c and commit.c.
 */
#include "server/engine/request.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/base/wipe.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/trace.h"
#include "server/policy/rules.h"

/* Past this many times the queue limit not even a refusal is made. */
enum { QUEUE_HARD = 2 };

/* ---- the engine ----------------------------------------------------------------------------- */

static void on_turn_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct engine *e = arg;
    while (e->stillborn) {
        struct engine_request *rq = e->stillborn;
        e->stillborn = rq->next_stillborn;
        request_end(rq, NULL, true);
    }
    if (e->closing)
        return;
    db_flush(e->db);
    if (e->vault)
        vault_client_flush(e->vault);
}

void engine_turn(struct engine *e)
{
    event_active(e->turn_over, 0, 0);
}

static rc_t copy_text(char **to, const char *from)
{
    free(*to);
    *to = from ? strdup(from) : NULL;
    return from && !*to ? RC_NO_MEMORY : RC_OK;
}

static struct db_crowd crowd(void *arg)
{
    const struct engine *e = arg;
    return (struct db_crowd){e->stats.pending - e->held, e->sequence};
}

rc_t engine_open(const struct engine_config *config, struct engine **out)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return RC_NO_MEMORY;
    e->refs = 1;
    e->base = config->base;
    e->db = config->db;
    e->vault = config->vault;
    e->limits = config->limits;
    e->pace = config->pace;
    e->pace_arg = config->pace_arg;
    rc_t rc = copy_text(&e->version, config->server_version);
    if (rc == RC_OK)
        rc = copy_text(&e->node, config->node);
    if (rc == RC_OK && (getrandom(e->tag, sizeof e->tag, 0) != (ssize_t)sizeof e->tag ||
                        getrandom(e->factor_key, sizeof e->factor_key, 0) != (ssize_t)sizeof e->factor_key))
        rc = RC_IO;
    e->turn_over = event_new(config->base, -1, 0, on_turn_over, e);
    if (rc == RC_OK && !e->turn_over)
        rc = RC_NO_MEMORY;
    if (rc != RC_OK) {
        engine_drop(e);
        return rc;
    }
    /* Last in a turn, where the loop has priorities: whatever is ready joins before things are
     * sent. */
    event_priority_set(e->turn_over, event_base_get_npriorities(config->base) - 1);
    e->server = (struct op_server){.version = e->version, .node = e->node};
    if (e->db)
        db_set_crowd(e->db, crowd, e);
    *out = e;
    return RC_OK;
}

void engine_drop(struct engine *e)
{
    if (--e->refs)
        return;
    if (e->turn_over)
        event_free(e->turn_over);
    free(e->version);
    free(e->node);
    free(e->tpm_label);
    policies_close(e);
    wipe(e->factor_key, sizeof e->factor_key);
    free(e);
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    e->closing = true;
    if (e->db)
        db_set_crowd(e->db, NULL, NULL);
    while (e->requests) {
        e->requests->gone = true;
        request_end(e->requests, NULL, true);
    }
    e->stillborn = NULL;
    factors_close(e);
    engine_drop(e);
}

void engine_set_vault(struct engine *e, struct vault_client *vault)
{
    e->vault = vault;
}

void engine_set_tpm_label(struct engine *e, const char *label)
{
    if (copy_text(&e->tpm_label, label) == RC_OK)
        e->server.tpm_label = e->tpm_label;
    else
        e->server.tpm_label = NULL;
}

void engine_set_interop(struct engine *e, bool allowed)
{
    e->server.interop = allowed;
}

void engine_set_trace(struct engine *e, struct trace *trace)
{
    e->trace = trace;
}

void engine_set_limits(struct engine *e, const struct engine_limits *limits)
{
    e->limits = *limits;
}

void engine_get_stats(const struct engine *e, struct engine_stats *out)
{
    *out = e->stats;
}

/* ---- requests ------------------------------------------------------------------------------- */

void request_hold(struct engine_request *rq)
{
    rq->refs++;
}

void request_drop(struct engine_request *rq)
{
    if (--rq->refs)
        return;
    struct engine *e = rq->engine;
    struct arena memory = rq->memory; /* the request itself lies in it */
    policy_drop(rq->who.policy);
    session_drop(rq->session);
    buf_free(&rq->input);
    buf_free(&rq->body);
    arena_free(&memory); /* wiped: vault replies view key bytes, and small ones lie in the request */
    engine_drop(e);
}

void request_end(struct engine_request *rq, struct buf *answer, bool close)
{
    struct engine *e = rq->engine;
    if (rq->prev)
        rq->prev->next = rq->next;
    else
        e->requests = rq->next;
    if (rq->next)
        rq->next->prev = rq->prev;
    e->stats.pending--;
    rq->session->pending--;
    pace_end(rq);
    if (!answer || answer->len == 0)
        e->stats.lost_answers++;
    if (trace_on(e->trace) && !e->closing)
        trace_answer(rq, answer ? buf_view(answer) : BYTES_NONE, close || rq->close);
    AUTO_BUF nothing = BUF_EMPTY;
    if (!rq->gone)
        rq->done(rq->arg, answer ? answer : &nothing, close || rq->close);
    rq->gone = true;
    request_drop(rq);
}

void request_abort(struct engine_request *rq)
{
    rq->next_stillborn = rq->engine->stillborn;
    rq->engine->stillborn = rq;
    engine_turn(rq->engine);
}

/* The version to answer in when the request's own is not served: the nearest one that is. */
static uint16_t nearest_version(uint16_t asked)
{
    for (size_t i = 0; i < KMIP_VERSION_COUNT; i++)
        if (kmip_versions[i] <= asked)
            return kmip_versions[i];
    return kmip_versions[KMIP_VERSION_COUNT - 1];
}

/*
 * The message and what its header asks for. What is wrong goes to message_rc. Two things are read and
 * change nothing: a time stamp (the client's clock is its own affair) and the order option (items always
 * run in order). An Authentication is looked at later, by factor.c. A Unique Batch Item ID is given back;
 * a client that leaves it out of a batch is served all the same, for the answers come in the order of the
 * items.
 */
static void decode(struct engine_request *rq)
{
    const struct engine_limits *lim = &rq->engine->limits;
    struct ttlv_limits limits = TTLV_LIMITS_DEFAULT;
    limits.depth = lim->nesting;
    limits.message = (uint32_t)lim->request_bytes;
    limits.text = lim->text_bytes;
    limits.batch_items = lim->batch_items;
    limits.attributes = lim->attributes;
    limits.name = lim->name_bytes;
    if (lim->request_bytes / 16 > limits.items) /* of 16 bytes are most of the smallest items */
        limits.items = (uint32_t)(lim->request_bytes / 16);
    bool any_count = quirks_have(rq->session->quirks, QUIRK_ANY_BATCH_COUNT);
    rq->message_rc = (any_count ? kmip_request_read_any_count : kmip_request_read)(&rq->memory, buf_view(&rq->input),
                                                                                   &limits, &rq->message);
    const struct kmip_request *m = rq->message;
    rq->version = nearest_version(m && m->version ? m->version : V1_0);
    rq->answer_max = lim->response_bytes;
    rq->on_error = KMIP_BATCH_STOP;
    if (rq->message_rc != RC_OK || !m || !m->header)
        return;
    const struct kmip_request_header *h = m->header;
    if (h->maximum_response_size.set && h->maximum_response_size.value > 0 &&
        (uint64_t)h->maximum_response_size.value < rq->answer_max)
        rq->answer_max = (size_t)h->maximum_response_size.value;
    if (h->batch_error_continuation_option)
        rq->on_error = h->batch_error_continuation_option;
    if (h->maximum_response_size.set && h->maximum_response_size.value < 0)
        rq->refusal = RC_INVALID_FIELD;
    /* Everything is done at once: fine for who can wait (1.x True, 2.x Optional), not for who must.
     */
    if (h->asynchronous_indicator == KMIP_ASYNCHRONOUS_INDICATOR_MANDATORY)
        rq->refusal = RC_FEATURE;
}

/*
 * All memory of a request is one arena. Reading may take half of it, so that a message that needs
 * more can still be refused and audited; behind the mark lies what a run makes, and a rerun drops.
 */
static rc_t take_in(struct engine_request *rq)
{
    size_t memory = rq->engine->limits.request_memory;
    rq->memory.cap = memory / 2;
    decode(rq);
    rq->memory.cap = memory;
    size_t count = rq->message_rc == RC_OK ? rq->message->count : 0;
    rq->name_taken = ARENA_ARRAY(&rq->memory, count + 1, bool);
    rq->decoded = arena_mark(&rq->memory);
    return rq->name_taken ? RC_OK : RC_NO_MEMORY;
}

struct engine_request *engine_submit(struct engine *e, struct session *s, struct buf *request,
                                     engine_answer_fn *done, void *arg)
{
    struct engine_request *rq = NULL;
    struct arena memory = ARENA_OF(e->limits.request_memory);
    if (!e->closing && e->stats.pending < QUEUE_HARD * e->limits.queue)
        rq = ARENA_NEW(&memory, struct engine_request);
    if (!rq) {
        buf_free(request);
        return NULL;
    }
    rq->engine = e;
    e->refs++;
    rq->refs = 1;
    rq->session = session_hold(s);
    rq->done = done;
    rq->arg = arg;
    buf_take(&rq->input, request);
    rq->memory = memory;
    rq->arrived_us = clock_monotonic_us();
    rq->number = ++e->sequence;
    rq->next = e->requests;
    if (rq->next)
        rq->next->prev = rq;
    e->requests = rq;
    e->stats.requests++;
    /* One request of each session has a place in any case, whoever fills the queue. */
    bool busy = e->stats.pending++ - e->held >= e->limits.queue && s->pending > 0;
    s->pending++;
    if (take_in(rq) != RC_OK) {
        request_abort(rq);
        return rq;
    }
    if (busy) {
        rq->refusal = RC_BUSY;
        e->stats.busy++;
    }
    rq->outcast = !s->known;
    if (rq->outcast)
        rq->refusal = RC_AUTH_FAILED;
    if (trace_on(e->trace))
        trace_request(rq);
    pace_run(rq);
    return rq;
}

void engine_abandon(struct engine_request *rq)
{
    rq->gone = true;
}
