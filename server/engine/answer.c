/*
 * Answers: each item is encoded as soon as its result is known, so that Maximum Response Size fails
 * the item that does not fit and not the work before it. The header stands in front from the beginning; only
 * the number of items is put right at the end.
 */
#include "server/engine/request.h"

#include "proto/base/decimal.h"
#include "proto/kmip/reason.h"

enum { ANSWER_ROOM = 1024, COUNT_BYTES = 16 }; /* a usual answer; Batch Count, last in the header */

/* "0A1B2C3D-17": this life of the worker, and the number of the request in it. */
static char *server_correlation(struct engine_request *rq)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t tag = sizeof rq->engine->tag;
    char digits[DECIMAL_MAX + 1] = "", *end = digits + DECIMAL_MAX; /* with its NUL */
    char *number = decimal_before(end, rq->number), *text = arena_alloc(&rq->memory, 2 * tag + 2 + DECIMAL_MAX);
    if (!text)
        return NULL;
    for (size_t i = 0; i < tag; i++) {
        text[2 * i] = hex[rq->engine->tag[i] >> 4];
        text[2 * i + 1] = hex[rq->engine->tag[i] & 15];
    }
    text[2 * tag] = '-';
    memcpy(text + 2 * tag + 1, number, (size_t)(end - number) + 1);
    return text;
}

/* Response Header of this request. Texts in the arena. */
static rc_t header_of(struct engine_request *rq, size_t count, struct kmip_response_header *head,
                      struct kmip_protocol_version *version)
{
    *version = (struct kmip_protocol_version){KMIP_NUMBER(rq->version >> 8),
                                              KMIP_NUMBER(rq->version & 0xFF)};
    const struct kmip_request_header *asked = rq->message ? rq->message->header : NULL;
    /* KMIP 2.1, 9.10 has it optional, and PyKMIP cannot read it: given to who sent one's own value.
     */
    bool knows = asked && asked->client_correlation_value.len;
    char *correlation = knows ? server_correlation(rq) : NULL;
    if (knows && !correlation)
        return RC_NO_MEMORY;
    *head = (struct kmip_response_header){
        .protocol_version = version,
        .time_stamp = KMIP_NUMBER(rq->now),
        .client_correlation_value = asked ? asked->client_correlation_value : BYTES_NONE,
        .server_correlation_value = bytes_str(correlation),
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
    size_t mark, count = rq->message ? rq->message->count : 1;
    buf_clear(&rq->body);
    TRY(buf_reserve(&rq->body, ANSWER_ROOM));
    TRY(ttlv_begin(&rq->body, KMIP_TAG_RESPONSE_MESSAGE, &mark));
    TRY(write_header(rq, count, &rq->body));
    rq->head_bytes = rq->body.len;
    return RC_OK;
}

bool answer_fits(const struct engine_request *rq)
{
    return rq->body.len <= rq->answer_max;
}

/* Appends one item, or leaves the body as it was. */
static rc_t add_item(struct engine_request *rq, const struct kmip_response_item *item)
{
    size_t before = rq->body.len;
    rc_t rc = kmip_response_item_write(&rq->body, rq->version, item);
    if (rc == RC_OK && item->result_status == KMIP_STATUS_SUCCESS && !answer_fits(rq))
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

static void tell_failure(const struct engine_request *rq, rc_t rc, const char *said, struct kmip_response_item *out)
{
    out->result_status = KMIP_STATUS_OPERATION_FAILED;
    out->result_reason = kmip_reason(rc, rq->version);
    out->result_message = bytes_str(said ? said : rc_text(rc));
}

rc_t answer_failure(struct engine_request *rq, size_t item, rc_t rc, const char *said, void *failure)
{
    struct kmip_response_item out = item_of(rq, item);
    out.payload = failure;
    /* An operation that this version does not define cannot be echoed in it. */
    if (!kmip_enum_known(KMIP_TAG_OPERATION, out.operation, rq->version))
        out.operation = 0;
    tell_failure(rq, rc, said, &out);
    return add_item(rq, &out);
}

rc_t answer_whole(struct engine_request *rq, rc_t rc)
{
    struct kmip_response_item out = {0};
    buf_cut(&rq->body, rq->head_bytes);
    rq->result_count = 0;
    tell_failure(rq, rc, NULL, &out);
    return add_item(rq, &out);
}

rc_t answer_undo(struct engine_request *rq)
{
    buf_cut(&rq->body, rq->head_bytes);
    for (size_t i = 0; i < rq->result_count; i++) {
        struct item_result *r = &rq->results[i];
        r->undone = r->rc == RC_OK;
        if (!r->undone) {
            TRY(answer_failure(rq, i, r->rc, r->said, r->failure));
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
    uint8_t *last = rq->body.data + rq->head_bytes - COUNT_BYTES;
    if (load_be32(last) >> 8 != KMIP_TAG_BATCH_COUNT)
        return RC_INTERNAL;
    store_be32(last + 8, (uint32_t)count);
    TRY(ttlv_end(&rq->body, 0));
    buf_take(out, &rq->body);
    return RC_OK;
}
