/*
 * Answers: each item is encoded as soon as its result is known, so that Maximum Response Size fails
 * the item that does not fit and not the work before it; at the end the header is put in front.
 */
#include "server/engine/request.h"

#include "proto/kmip/reason.h"

/* Response Header of this request. Texts in the arena. */
static rc_t header_of(struct engine_request *rq, size_t count, struct kmip_response_header *head,
                      struct kmip_protocol_version *version)
{
    *version = (struct kmip_protocol_version){KMIP_NUMBER(rq->version >> 8),
                                              KMIP_NUMBER(rq->version & 0xFF)};
    const struct kmip_request_header *asked = rq->message ? rq->message->header : NULL;
    const uint8_t *tag = rq->engine->tag;
    char *correlation = arena_fmt(&rq->memory, "%02X%02X%02X%02X-%llu", tag[0], tag[1], tag[2],
                                  tag[3], (unsigned long long)rq->number);
    if (!correlation)
        return RC_NO_MEMORY;
    /* KMIP 2.1, 9.10 has it optional, and PyKMIP cannot read it: given to who sent one's own value.
     */
    bool knows = asked && asked->client_correlation_value.len;
    *head = (struct kmip_response_header){
        .protocol_version = version,
        .time_stamp = KMIP_NUMBER(rq->now),
        .client_correlation_value = asked ? asked->client_correlation_value : BYTES_NONE,
        .server_correlation_value = knows ? bytes_str(correlation) : BYTES_NONE,
        .batch_count = KMIP_NUMBER((int64_t)count),
    };
    return RC_OK;
}

static rc_t write_header(struct engine_request *rq, size_t count, struct buf *out)
{
    struct kmip_response_header head;
    struct kmip_protocol_version version;
    TRY(header_of(rq, count, &head, &version));
    struct kmip_context cx = {.arena = &rq->memory, .version = rq->version};
    return kmip_struct_write(out, &cx, KMIP_S_response_header, KMIP_TAG_RESPONSE_HEADER, &head);
}

rc_t answer_begin(struct engine_request *rq)
{
    buf_clear(&rq->body);
    AUTO_BUF head = BUF_EMPTY;
    TRY(write_header(rq, 1, &head));
    rq->head_bytes = TTLV_HEADER_BYTES + head.len;
    return RC_OK;
}

/* Appends one item, or leaves the body as it was. */
static rc_t add_item(struct engine_request *rq, const struct kmip_response_item *item)
{
    size_t before = rq->body.len;
    rc_t rc = kmip_response_item_write(&rq->body, rq->version, item);
    if (rc == RC_OK && item->result_status == KMIP_STATUS_SUCCESS &&
        rq->head_bytes + rq->body.len > rq->answer_max)
        rc = RC_RESPONSE_TOO_LARGE;
    if (rc != RC_OK)
        buf_cut(&rq->body, before);
    return rc;
}

static struct kmip_response_item item_of(const struct engine_request *rq, size_t item)
{
    const struct kmip_request_item *asked = &rq->message->items[item];
    return (struct kmip_response_item){.operation = asked->operation,
                                       .unique_id = asked->unique_id};
}

rc_t answer_success(struct engine_request *rq, size_t item, void *payload)
{
    struct kmip_response_item out = item_of(rq, item);
    out.result_status = KMIP_STATUS_SUCCESS;
    out.payload = payload;
    return add_item(rq, &out);
}

static void tell_failure(const struct engine_request *rq, rc_t rc, struct kmip_response_item *out)
{
    out->result_status = KMIP_STATUS_OPERATION_FAILED;
    out->result_reason = kmip_reason(rc, rq->version);
    out->result_message = bytes_str(rc_text(rc));
}

rc_t answer_failure(struct engine_request *rq, size_t item, rc_t rc, void *failure)
{
    struct kmip_response_item out = item_of(rq, item);
    out.payload = failure;
    /* An operation that this version does not define cannot be echoed in it. */
    if (!kmip_enum_known(KMIP_TAG_OPERATION, out.operation, rq->version))
        out.operation = 0;
    tell_failure(rq, rc, &out);
    return add_item(rq, &out);
}

rc_t answer_refusal(struct engine_request *rq, rc_t rc)
{
    struct kmip_response_item out = {0};
    tell_failure(rq, rc, &out);
    return add_item(rq, &out);
}

rc_t answer_undo(struct engine_request *rq)
{
    buf_clear(&rq->body);
    for (size_t i = 0; i < rq->result_count; i++) {
        struct item_result *r = &rq->results[i];
        r->undone = r->rc == RC_OK;
        if (!r->undone) {
            TRY(answer_failure(rq, i, r->rc, r->failure));
            continue;
        }
        struct kmip_response_item out = item_of(rq, i);
        out.result_status = KMIP_STATUS_OPERATION_UNDONE;
        TRY(add_item(rq, &out));
    }
    return RC_OK;
}

rc_t answer_message(struct engine_request *rq, size_t count, struct buf *out)
{
    size_t mark;
    TRY(buf_reserve(out, rq->head_bytes + rq->body.len));
    TRY(ttlv_begin(out, KMIP_TAG_RESPONSE_MESSAGE, &mark));
    TRY(write_header(rq, count, out));
    TRY(buf_add_bytes(out, buf_view(&rq->body)));
    return ttlv_end(out, mark);
}
