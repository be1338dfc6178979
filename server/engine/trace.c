/*
 * What a trace tells of a request: the message as it came, the answer as it leaves, and where the server knows more
 * than it answers, why. Texts of it go through proto/kmip/print.h alone, so that nothing secret is told.
 */
#include <inttypes.h>

#include "proto/kmip/print.h"
#include "server/base/clock.h"
#include "server/base/trace.h"
#include "server/engine/request.h"

enum { TREE_MEMORY = 1 << 20, HEAD_ROOM = 4096 };

struct told {
    struct engine_request *rq;
    struct trace_peer peer;
    struct bytes message; /* as it is on the wire */
    bool answer, close;
};

static void peer_of(const struct session *s, struct trace_peer *peer)
{
    *peer = (struct trace_peer){.client = s->known ? s->client_name : NULL, .address = s->address};
    for (size_t i = 0; i < s->name_count && i < TRACE_NAMES_MAX; i++)
        peer->names[peer->name_count++] = s->names[i].value;
}

/* ---- the message ---- */

/* The tree of the message; what is no TTLV, or too much of it, is told by its result. */
static rc_t read_tree(const struct told *t, struct arena *a, struct node **tree)
{
    struct ttlv_limits limits = TTLV_LIMITS_DEFAULT;
    limits.depth = t->rq->engine->limits.nesting;
    limits.message = limits.items = limits.text = UINT32_MAX;
    return ttlv_read(a, t->message, &limits, tree);
}

/* Lines, as many as a block takes. */
static rc_t add_lines(const struct node *tree, struct buf *out)
{
    AUTO_BUF lines = BUF_EMPTY;
    size_t room = TRACE_BLOCK_MAX - HEAD_ROOM;
    TRY(kmip_print(tree, 2, &lines));
    size_t all = lines.len;
    while (lines.len > room || (lines.len < all && lines.len && lines.data[lines.len - 1] != '\n'))
        buf_cut(&lines, lines.len > room ? room : lines.len - 1);
    TRY(buf_add_bytes(out, buf_view(&lines)));
    return lines.len < all ? buf_add_fmt(out, "  ... %zu bytes more of it\n", all - lines.len) : RC_OK;
}

static rc_t add_object(const struct node *tree, struct buf *out)
{
    AUTO_BUF object = BUF_EMPTY;
    TRY(kmip_print_json(tree, &object));
    if (object.len > TRACE_BLOCK_MAX - HEAD_ROOM)
        return buf_add_str(out, ",\"message\":null,\"error\":\"too long to be shown\"");
    TRY(buf_add_str(out, ",\"message\":"));
    return buf_add_bytes(out, buf_view(&object));
}

static rc_t add_message(const struct told *t, bool json, struct buf *out)
{
    AUTO_ARENA a = ARENA_OF(TREE_MEMORY);
    struct node *tree = NULL;
    rc_t rc = t->message.len ? read_tree(t, &a, &tree) : RC_OK;
    const char *text = rc == RC_NO_MEMORY ? "too long to be shown" : rc_text(rc);
    if (tree && rc == RC_OK)
        return json ? add_object(tree, out) : add_lines(tree, out);
    if (rc == RC_OK)
        return RC_OK;
    return buf_add_fmt(out, json ? ",\"message\":null,\"error\":\"%s\"" : "  (%s)\n", text);
}

/* "Create, Activate", or in JSON a list of them. */
static rc_t add_operations(const struct engine_request *rq, bool json, struct buf *out)
{
    enum { OPERATIONS = 16 }; /* named of one batch */
    const char *quote = json ? "\"" : "", *between = "";
    size_t count = rq->message_rc == RC_OK ? rq->message->count : 0;
    for (size_t i = 0; i < count && i < OPERATIONS; i++) {
        TRY(buf_add_fmt(out, "%s%s%s%s", between, quote, kmip_operation_text(rq->message->items[i].operation), quote));
        between = json ? "," : ", ";
    }
    return !json && count > OPERATIONS ? buf_add_fmt(out, ", ... (%zu)", count) : RC_OK;
}

/* "KMIP 1.4, Create, Activate, 312 bytes" */
static rc_t add_facts(const struct told *t, bool json, struct buf *out)
{
    const struct kmip_request *m = t->rq->message;
    unsigned version = !t->answer && m && m->version ? m->version : t->rq->version;
    if (json)
        TRY(buf_add_fmt(out, ",\"request\":%" PRIu64 ",\"version\":\"%u.%u\",\"operations\":[", t->rq->number,
                        version >> 8, version & 0xFF));
    else
        TRY(buf_add_fmt(out, "KMIP %u.%u, ", version >> 8, version & 0xFF));
    TRY(add_operations(t->rq, json, out));
    return buf_add_fmt(out, json ? "],\"bytes\":%zu" : ", %zu bytes", t->message.len);
}

/* ---- why it failed ---- */

/* What only the audit would tell of a refusal. Details of other operations are the client's own words. */
static struct bytes own_reason(const struct item_result *r)
{
    bool refused = r->rc == RC_NOT_FOUND || r->rc == RC_DENIED || r->rc == RC_CONSTRAINT;
    bool ours = refused && r->operation != KMIP_OP_LOG && r->operation != KMIP_OP_INTEROP;
    return ours ? r->detail : BYTES_NONE;
}

static rc_t add_reason(size_t at, uint32_t operation, rc_t rc, struct bytes detail, bool json, struct buf *out)
{
    if (json) {
        TRY(buf_add_fmt(out, "%s{\"item\":%zu,\"operation\":\"%s\",\"result\":\"%s\",\"why\":\"%s\",\"detail\":",
                        at ? "," : "", at, kmip_operation_text(operation), rc_name(rc), rc_text(rc)));
        TRY(kmip_print_quoted(detail, KMIP_PRINT_TEXT_MAX, out));
        return buf_add_u8(out, '}');
    }
    TRY(buf_add_fmt(out, "  item %zu, %s: %s (%s)", at, kmip_operation_text(operation), rc_text(rc), rc_name(rc)));
    if (detail.len) {
        TRY(buf_add_str(out, ", "));
        TRY(kmip_print_quoted(detail, KMIP_PRINT_TEXT_MAX, out));
    }
    return buf_add_u8(out, '\n');
}

static rc_t add_items(const struct engine_request *rq, bool json, struct buf *out)
{
    enum { ITEMS = 32 }; /* told one by one; the message has them all */
    size_t told = 0;
    TRY(buf_add_str(out, json ? ",\"items\":[" : ""));
    for (size_t i = 0; !rq->constant && i < rq->result_count && i < ITEMS; i++) {
        const struct item_result *r = &rq->results[i];
        if (json || r->rc != RC_OK)
            TRY(add_reason(json ? told++ : i, r->operation, r->rc, own_reason(r), json, out));
    }
    return buf_add_str(out, json ? "]" : "");
}

/* What concerns the request as a whole. */
static const char *whole_reason(const struct told *t)
{
    const struct engine_request *rq = t->rq;
    if (rq->constant)
        return "no audit could be written: the database is away, or the server is at its limit";
    if (rq->silent)
        return "the client was disabled or its certificate revoked; the connection is closed without an answer";
    if (!t->message.len)
        return "no answer: the outcome cannot be told, and the connection is closed";
    if (rq->refusal != RC_OK)
        return rc_text(rq->refusal);
    return rq->message_rc != RC_OK ? rc_text(rq->message_rc) : NULL;
}

static rc_t add_answer(const struct told *t, bool json, struct buf *out)
{
    const struct engine_request *rq = t->rq;
    const char *why = whole_reason(t);
    int64_t took_us = clock_monotonic_us() - rq->arrived_us;
    if (json)
        TRY(buf_add_fmt(out, ",\"microseconds\":%" PRId64 ",\"runs\":%u,\"close\":%s", took_us, rq->runs,
                        t->close ? "true" : "false"));
    else
        TRY(buf_add_fmt(out, ", after %" PRId64 " us\n", took_us));
    if (!json && rq->runs > 1)
        TRY(buf_add_fmt(out, "  run %u times: others changed the same objects meanwhile\n", rq->runs));
    if (why)
        TRY(buf_add_fmt(out, json ? ",\"why\":\"%s\"" : "  %s\n", why));
    TRY(add_items(rq, json, out));
    return !json && t->close ? buf_add_str(out, "  the connection is closed\n") : RC_OK;
}

/* ---- blocks ---- */

static rc_t make(void *arg, bool json, struct buf *out)
{
    const struct told *t = arg;
    TRY(trace_head(json, t->answer ? "answer" : "request", &t->peer, out));
    TRY(add_facts(t, json, out));
    if (t->answer)
        TRY(add_answer(t, json, out));
    else
        TRY(buf_add_str(out, json ? "" : "\n"));
    TRY(add_message(t, json, out));
    return buf_add_str(out, json ? "}\n" : "\n");
}

static void tell(struct told *t)
{
    struct trace *trace = t->rq->engine->trace;
    peer_of(t->rq->session, &t->peer);
    unsigned readers = trace_match(trace, &t->peer);
    if (readers)
        trace_tell(trace, readers, make, t);
}

void trace_request(struct engine_request *rq)
{
    struct told t = {.rq = rq, .message = buf_view(&rq->input)};
    tell(&t);
}

void trace_answer(struct engine_request *rq, struct bytes answer, bool close)
{
    struct told t = {.rq = rq, .message = answer, .answer = true, .close = close};
    tell(&t);
}
