/*
 * The end of a run: changes, reads and one audit row for each item become one unit of work; only
 * when it is committed does the answer leave. A lost race wipes the answer and runs the request
 * again.
 */
#include "server/engine/request.h"

#include "proto/base/decimal.h"
#include "proto/kmip/reason.h"
#include "server/base/clock.h"
#include "server/base/log.h"

/* ---- audit ---------------------------------------------------------------------------------- */

static struct bytes status_text(uint32_t status)
{
    const struct kmip_entry *e = kmip_enum(KMIP_TAG_RESULT_STATUS, status);
    return bytes_str(e ? e->text : NULL);
}

static struct bytes reason_text(rc_t rc, uint16_t version)
{
    const struct kmip_entry *e = kmip_enum(KMIP_TAG_RESULT_REASON, kmip_reason(rc, version));
    return bytes_str(rc != RC_OK && e ? e->text : NULL);
}

/* "1.4" */
static char *version_text(struct arena *a, uint16_t version)
{
    enum { PART = 3, ROOM = 2 * PART + 2 };
    char *text = arena_alloc(a, ROOM), digits[2 * PART + 1], *end = digits + sizeof digits;
    if (!text)
        return NULL;
    char *first = decimal_before(end, version & 0xFFu);
    *--first = '.';
    first = decimal_before(first, version >> 8);
    memcpy(text, first, (size_t)(end - first)); /* and a NUL after it: arenas are zeroed */
    return text;
}

/* What all rows of this request share. Views live as long as the run. */
static rc_t common_event(struct engine_request *rq, struct audit_event *ev)
{
    const struct session *s = rq->session;
    const struct kmip_request_header *h = rq->message ? rq->message->header : NULL;
    uint16_t asked = rq->message && rq->message->version ? rq->message->version : rq->version;
    char *protocol = version_text(&rq->memory, asked);
    struct bytes name = arena_copy(&rq->memory, bytes_str(s->client_name)); /* may change at a login */
    if (!protocol || (s->client_name && !name.data))
        return RC_NO_MEMORY;
    *ev = (struct audit_event){
        .time_us = clock_wall_us(),
        .client = s->client,
        .client_name = name,
        .fingerprint = bytes_str(s->fingerprint),
        .address = bytes_str(s->address),
        .protocol = bytes_str(protocol),
        .correlation = h ? h->client_correlation_value : BYTES_NONE,
        .position = -1,
        .duration_us = clock_monotonic_us() - rq->arrived_us,
    };
    return RC_OK;
}

static rc_t events_of(struct engine_request *rq, struct db_unit *unit)
{
    struct audit_event common;
    TRY(common_event(rq, &common));
    size_t count = rq->result_count ? rq->result_count : 1;
    unit->events = ARENA_ARRAY(&rq->memory, count, struct audit_event);
    if (!unit->events)
        return RC_NO_MEMORY;
    unit->event_count = count;
    if (rq->result_count == 0) { /* no item could be read: one row with what is known */
        unit->events[0] = common;
        unit->events[0].result = status_text(KMIP_STATUS_OPERATION_FAILED);
        unit->events[0].reason = reason_text(rq->message_rc, rq->version);
        return RC_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const struct item_result *r = &rq->results[i];
        struct audit_event *ev = &unit->events[i];
        *ev = common;
        ev->position = (int32_t)i;
        ev->operation = bytes_str(kmip_operation_text(r->operation));
        ev->object = r->subject;
        ev->detail = r->detail;
        ev->result = status_text(r->undone        ? KMIP_STATUS_OPERATION_UNDONE
                                 : r->rc == RC_OK ? KMIP_STATUS_SUCCESS
                                                  : KMIP_STATUS_OPERATION_FAILED);
        ev->reason = reason_text(r->rc, rq->version);
    }
    return RC_OK;
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* Whether nothing more is to be read from who sent this: its encoding is wrong, and the next
 * message might begin anywhere (KMIP 2.1, 11.46, Codec Error). */
static bool is_last(const struct engine_request *rq)
{
    return rq->message_rc != RC_OK &&
           (!rq->message || rc_reason(rq->message_rc) == KMIP_REASON_CODEC_ERROR);
}

static void send_answer(struct engine_request *rq)
{
    AUTO_BUF out = BUF_EMPTY;
    size_t count = rq->result_count ? rq->result_count : 1;
    if (rq->silent || answer_message(rq, count, &out) != RC_OK)
        request_end(rq, NULL, true);
    else
        request_end(rq, &out, is_last(rq));
}

void request_constant(struct engine_request *rq)
{
    /* The same for every request: item by item General Failure, whatever was found or done before.
     */
    rc_t rc = answer_begin(rq);
    size_t count = rq->message_rc == RC_OK ? rq->message->count : 0;
    rq->constant = true;
    rq->result_count = 0;
    for (size_t i = 0; i < count && rc == RC_OK; i++, rq->result_count++)
        rc = answer_failure(rq, i, RC_UNAVAILABLE, NULL, NULL);
    if (rc == RC_OK && (count == 0 || !answer_fits(rq)))
        rc = answer_whole(rq, RC_UNAVAILABLE);
    db_refused(rq->engine->db);
    if (rc == RC_OK)
        send_answer(rq);
    else
        request_end(rq, NULL, true);
}

/* ---- the commit ----------------------------------------------------------------------------- */

void request_run_again(struct engine_request *rq)
{
    rq->engine->stats.reruns++;
    if (rq->runs >= rq->engine->limits.reruns)
        rq->refusal = RC_BUSY;
    request_run(rq);
}

static void lost(struct engine_request *rq)
{
    const struct db_unit *unit = &rq->unit;
    switch (unit->lost) {
    case DB_LOST_NAME:
        if (unit->lost_index < rq->overlay.count)
            rq->name_taken[rq->overlay.entries[unit->lost_index].item] = true;
        break;
    case DB_LOST_STANDING:
        if (login_again(rq) != RC_OK)
            request_end(rq, NULL, true);
        return;
    default:
        break;
    }
    request_run_again(rq);
}

/* The unit itself could not be written: told once more as a refusal, or not at all. */
static void failed(struct engine_request *rq, rc_t rc)
{
    if (rq->refusal != RC_OK || rq->message_rc != RC_OK || rc == RC_BUSY) {
        request_constant(rq);
        return;
    }
    log_warn("engine.unit_failed", " rc=%s", rc_name(rc));
    rq->refusal = rc;
    request_run(rq);
}

static void commit_on_outcome(struct db_unit *unit, enum db_outcome outcome, rc_t rc)
{
    struct engine_request *rq = unit->arg;
    if (!rq->engine->closing) {
        switch (outcome) {
        case DB_DONE:
            send_answer(rq);
            break;
        case DB_LOST:
            lost(rq);
            break;
        case DB_FAILED:
            failed(rq, rc);
            break;
        case DB_DOWN:
            request_constant(rq);
            break;
        case DB_UNKNOWN:
        default:
            request_end(rq, NULL, true);
            break;
        }
    }
    request_drop(rq);
}

/*
 * Refusals are written whatever their size, so together they may be more than the client takes. Then nothing is
 * done, and the message is refused as a whole, which is about the least that can be said (KMIP 1.4, 6.3; 2.1, 9.12).
 */
static void check_size(struct engine_request *rq)
{
    if (rq->message_rc != RC_OK || rq->result_count < 2 || answer_fits(rq))
        return;
    overlay_undo(&rq->overlay);
    approval_undo(rq);
    rq->message_rc = rq->refusal != RC_OK ? rq->refusal : RC_RESPONSE_TOO_LARGE;
}

void request_commit(struct engine_request *rq)
{
    struct db_unit *unit = &rq->unit;
    *unit = (struct db_unit){.done = commit_on_outcome, .arg = rq};
    rc_t rc = RC_OK;
    check_size(rq);
    if (rq->message_rc != RC_OK)
        rc = answer_whole(rq, rq->message_rc);
    if (rc == RC_OK)
        rc = overlay_unit(&rq->overlay, &rq->memory, unit);
    if (rc == RC_OK)
        rc = events_of(rq, unit);
    if (rc != RC_OK) {
        request_abort(rq);
        return;
    }
    /* A refusal for lack of standing stands on its own: there is no standing to re-check. All else
     * is checked for who asked when the run began: the session may have lost its standing since. */
    if (!rq->outcast) {
        unit->client = rq->who.client;
        unit->standing = rq->who.standing;
        unit->claims = rq->claims;
        unit->claim_count = rq->claim_count;
    }
    request_hold(rq);
    db_commit(rq->engine->db, unit);
    engine_turn(rq->engine);
}
