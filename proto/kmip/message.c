/*
 * Whole messages. The header and the frame of each batch item must be sound; a payload fails alone.
 */
#include "proto/kmip/message.h"

#include "proto/kmip/struct_parts.h"

uint16_t kmip_version_of(const struct kmip_protocol_version *pv)
{
    if (!pv || pv->major.value < 0 || pv->major.value > 255 || pv->minor.value < 0 ||
        pv->minor.value > 255)
        return 0;
    return (uint16_t)(pv->major.value << 8 | pv->minor.value);
}

/* The version comes first in each header: it decides how the rest is read. */
static rc_t read_version(struct arena *a, const struct node *header, uint16_t *version)
{
    if (header->type != TTLV_STRUCTURE || !header->first ||
        header->first->tag != KMIP_TAG_PROTOCOL_VERSION)
        return RC_BAD_MESSAGE;
    struct kmip_context cx = {a, V1_0, NULL, false};
    void *pv;
    TRY(kmip_struct_read(&cx, KMIP_S_protocol_version, header->first, &pv));
    *version = kmip_version_of(pv);
    return kmip_version_known(*version) ? RC_OK : RC_BAD_VERSION;
}

/*
 * The version of a message that cannot be read, so that its refusal can be said in it: in a sound
 * header the Protocol Version stands at a fixed place. 0 if it does not; takes no memory.
 */
static uint16_t glimpse_version(struct bytes in)
{
    static const uint8_t major[] =
        "\x42\x00\x69\x01\x00\x00\x00\x20\x42\x00\x6A\x02\x00\x00\x00\x04";
    static const uint8_t minor[] = "\x42\x00\x6B\x02\x00\x00\x00\x04";
    enum { AT = 16, MAJOR = AT + sizeof major - 1, MINOR = MAJOR + 8 + sizeof minor - 1 };
    if (in.len < MINOR + 4 ||
        load_be32(in.data + 8) != (KMIP_TAG_REQUEST_HEADER << 8 | TTLV_STRUCTURE) ||
        memcmp(in.data + AT, major, sizeof major - 1) != 0 ||
        memcmp(in.data + MAJOR + 8, minor, sizeof minor - 1) != 0)
        return 0;
    struct kmip_protocol_version pv = {KMIP_NUMBER(load_be32(in.data + MAJOR)),
                                       KMIP_NUMBER(load_be32(in.data + MINOR))};
    return kmip_version_of(&pv);
}

/* No extension is known here, so one that is critical is not understood. */
static rc_t extensions_check(const struct kmip_message_extension *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].critical.value)
            return RC_CRITICAL_EXTENSION;
    return RC_OK;
}

/*
 * An extension that is critical and not understood rejects the entire message (1.0 to 1.4, 6.16; 2.x,
 * 9.13), so all items fail alike, also those before it.
 */
static bool rejected(rc_t *item_rc, size_t count)
{
    size_t i = 0;
    while (i < count && item_rc[i] != RC_CRITICAL_EXTENSION)
        i++;
    if (i == count)
        return false;
    for (i = 0; i < count; i++)
        item_rc[i] = RC_CRITICAL_EXTENSION;
    return true;
}

/* The attributes of Locate are what others are compared with: of a structure only the fields given count (1.4, 4.9). */
static bool filters(uint32_t operation)
{
    return operation == KMIP_OP_LOCATE;
}

/* Why a payload could not be read: the memory of the request is at its end for the whole message.
 */
static rc_t read_payload(const struct kmip_context *cx, uint32_t operation, int id,
                         const struct node *n, void **out)
{
    if (id < 0 || !kmip_enum_known(KMIP_TAG_OPERATION, operation, cx->version))
        return RC_OP_UNSUPPORTED;
    if (!n)
        return RC_OK;
    struct kmip_context own = *cx;
    own.partial = filters(operation);
    rc_t rc = kmip_struct_read(&own, id, n, out);
    if (rc != RC_OK)
        *out = NULL;
    return rc;
}

/* An item that cannot be read fails alone, too, with what could be read of it (1.4, 11.1). */
static rc_t read_request_item(const struct kmip_context *cx, const struct node *n,
                              struct kmip_request *rq)
{
    struct kmip_request_item *item = &rq->items[rq->count];
    void *read = NULL;
    rc_t rc = kmip_struct_read(cx, KMIP_S_request_item, n, &read);
    if (!read)
        return rc;
    *item = *(struct kmip_request_item *)read;
    struct node *payload = item->payload;
    item->payload = NULL;
    rq->payloads[rq->count] = payload;
    if (rc == RC_OK)
        rc = extensions_check(item->extensions.items, item->extensions.count);
    if (rc == RC_OK)
        rc = read_payload(cx, item->operation, kmip_request_payload(item->operation), payload,
                          &item->payload);
    rq->item_rc[rq->count++] = rc;
    return rc == RC_NO_MEMORY ? rc : RC_OK;
}

/* Top structure, header, number of batch items. */
static rc_t open_message(const struct node *top, uint32_t top_tag, uint32_t header_tag,
                         const struct node **header, size_t *count)
{
    if (top->tag != top_tag || top->type != TTLV_STRUCTURE)
        return RC_BAD_MESSAGE;
    *header = top->first;
    if (!*header || (*header)->tag != header_tag)
        return RC_BAD_MESSAGE;
    *count = 0;
    for (const struct node *n = (*header)->next; n; n = n->next, ++*count)
        if (n->tag != KMIP_TAG_BATCH_ITEM)
            return RC_BAD_MESSAGE;
    return RC_OK;
}

static rc_t read_request(struct arena *a, struct bytes in, const struct ttlv_limits *limits, bool any_count,
                         struct kmip_request **out)
{
    struct kmip_request *rq = ARENA_NEW(a, struct kmip_request);
    *out = rq;
    if (!rq)
        return RC_NO_MEMORY;
    struct kmip_context cx = {a, 0, limits, false};
    struct node *top;
    const struct node *header;
    size_t count;
    void *read = NULL;
    rq->version = glimpse_version(in);
    TRY(ttlv_read(a, in, limits, &top));
    TRY(open_message(top, KMIP_TAG_REQUEST_MESSAGE, KMIP_TAG_REQUEST_HEADER, &header, &count));
    TRY(read_version(a, header, &rq->version));
    cx.version = rq->version;
    TRY(kmip_struct_read(&cx, KMIP_S_request_header, header, &read));
    rq->header = read;
    if (count == 0 || (rq->header->batch_count.value != (int64_t)count && !any_count))
        return RC_BAD_MESSAGE;
    if (count > limits_of(&cx)->batch_items)
        return RC_TOO_MANY;
    rq->items = ARENA_ARRAY(a, count, struct kmip_request_item);
    rq->item_rc = ARENA_ARRAY(a, count, rc_t);
    rq->payloads = ARENA_ARRAY(a, count, struct node *);
    if (!rq->items || !rq->item_rc || !rq->payloads)
        return RC_NO_MEMORY;
    for (const struct node *n = header->next; n; n = n->next)
        TRY(read_request_item(&cx, n, rq));
    if (rejected(rq->item_rc, rq->count))
        for (size_t i = 0; i < rq->count; i++)
            rq->items[i].payload = NULL;
    return RC_OK;
}

rc_t kmip_request_read(struct arena *a, struct bytes in, const struct ttlv_limits *limits, struct kmip_request **out)
{
    return read_request(a, in, limits, false, out);
}

rc_t kmip_request_read_any_count(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
                                 struct kmip_request **out)
{
    return read_request(a, in, limits, true, out);
}

static rc_t read_response_item(const struct kmip_context *cx, const struct node *n,
                               struct kmip_response *rs)
{
    struct kmip_response_item *item = &rs->items[rs->count];
    void *read = NULL;
    TRY(kmip_struct_read(cx, KMIP_S_response_item, n, &read));
    *item = *(struct kmip_response_item *)read;
    struct node *payload = item->payload;
    item->payload = NULL;
    rc_t rc = extensions_check(item->extensions.items, item->extensions.count);
    if (rc == RC_OK && payload)
        rc = read_payload(cx, item->operation, kmip_response_payload(item->operation), payload,
                          &item->payload);
    rs->item_rc[rs->count++] = rc;
    return rc == RC_NO_MEMORY ? rc : RC_OK;
}

rc_t kmip_response_read(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
                        struct kmip_response **out)
{
    struct kmip_response *rs = ARENA_NEW(a, struct kmip_response);
    *out = rs;
    if (!rs)
        return RC_NO_MEMORY;
    struct kmip_context cx = {a, 0, limits, false};
    struct node *top;
    const struct node *header;
    size_t count;
    void *read = NULL;
    TRY(ttlv_read(a, in, limits, &top));
    TRY(open_message(top, KMIP_TAG_RESPONSE_MESSAGE, KMIP_TAG_RESPONSE_HEADER, &header, &count));
    TRY(read_version(a, header, &rs->version));
    cx.version = rs->version;
    TRY(kmip_struct_read(&cx, KMIP_S_response_header, header, &read));
    rs->header = read;
    if (rs->header->batch_count.value != (int64_t)count)
        return RC_BAD_MESSAGE;
    rs->items = ARENA_ARRAY(a, count, struct kmip_response_item);
    rs->item_rc = ARENA_ARRAY(a, count, rc_t);
    if (!rs->items || !rs->item_rc)
        return RC_NO_MEMORY;
    for (const struct node *n = header->next; n; n = n->next)
        TRY(read_response_item(&cx, n, rs));
    if (rejected(rs->item_rc, rs->count))
        for (size_t i = 0; i < rs->count; i++)
            rs->items[i].payload = NULL;
    return RC_OK;
}

/* ---- writing ---- */

static struct kmip_protocol_version version_struct(uint16_t version)
{
    return (struct kmip_protocol_version){KMIP_NUMBER(version >> 8), KMIP_NUMBER(version & 255)};
}

static rc_t write_request(struct buf *out, const struct kmip_request *rq)
{
    struct kmip_context cx = {NULL, rq->version, NULL, false};
    struct kmip_protocol_version version = version_struct(rq->version);
    struct kmip_request_header header = {0};
    size_t mark;
    if (rq->header)
        header = *rq->header;
    header.protocol_version = &version;
    header.batch_count = KMIP_NUMBER((int64_t)rq->count);
    TRY(ttlv_begin(out, KMIP_TAG_REQUEST_MESSAGE, &mark));
    TRY(kmip_struct_write(out, &cx, KMIP_S_request_header, KMIP_TAG_REQUEST_HEADER, &header));
    for (size_t i = 0; i < rq->count; i++) {
        cx.partial = filters(rq->items[i].operation);
        TRY(kmip_struct_write(out, &cx, KMIP_S_request_item, KMIP_TAG_BATCH_ITEM, &rq->items[i]));
    }
    return ttlv_end(out, mark);
}

static rc_t write_response(struct buf *out, const struct kmip_response *rs)
{
    struct kmip_context cx = {NULL, rs->version, NULL, false};
    struct kmip_protocol_version version = version_struct(rs->version);
    struct kmip_response_header header = {0};
    size_t mark;
    if (rs->header)
        header = *rs->header;
    header.protocol_version = &version;
    header.batch_count = KMIP_NUMBER((int64_t)rs->count);
    TRY(ttlv_begin(out, KMIP_TAG_RESPONSE_MESSAGE, &mark));
    TRY(kmip_struct_write(out, &cx, KMIP_S_response_header, KMIP_TAG_RESPONSE_HEADER, &header));
    for (size_t i = 0; i < rs->count; i++)
        TRY(kmip_struct_write(out, &cx, KMIP_S_response_item, KMIP_TAG_BATCH_ITEM, &rs->items[i]));
    return ttlv_end(out, mark);
}

/* A failure leaves nothing behind. */
static rc_t cut_on_failure(struct buf *out, size_t before, rc_t rc)
{
    if (rc != RC_OK)
        buf_cut(out, before);
    return rc;
}

rc_t kmip_request_write(struct buf *out, const struct kmip_request *request)
{
    size_t before = out->len;
    if (!kmip_version_known(request->version))
        return RC_BAD_VERSION;
    return cut_on_failure(out, before, write_request(out, request));
}

rc_t kmip_response_write(struct buf *out, const struct kmip_response *response)
{
    size_t before = out->len;
    if (!kmip_version_known(response->version))
        return RC_BAD_VERSION;
    return cut_on_failure(out, before, write_response(out, response));
}

rc_t kmip_response_item_write(struct buf *out, uint16_t version,
                              const struct kmip_response_item *item)
{
    size_t before = out->len;
    struct kmip_context cx = {NULL, version, NULL, false};
    return cut_on_failure(
        out, before, kmip_struct_write(out, &cx, KMIP_S_response_item, KMIP_TAG_BATCH_ITEM, item));
}

struct kmip_request *kmip_request_new(struct arena *a, uint16_t version, size_t count)
{
    struct kmip_request *rq = ARENA_NEW(a, struct kmip_request);
    if (!rq)
        return NULL;
    rq->version = version;
    rq->count = count;
    rq->header = KMIP_NEW(a, request_header);
    rq->items = ARENA_ARRAY(a, count, struct kmip_request_item);
    rq->item_rc = ARENA_ARRAY(a, count, rc_t);
    rq->payloads = ARENA_ARRAY(a, count, struct node *);
    return rq->header && rq->items && rq->item_rc && rq->payloads ? rq : NULL;
}

struct kmip_response *kmip_response_new(struct arena *a, uint16_t version, size_t count)
{
    struct kmip_response *rs = ARENA_NEW(a, struct kmip_response);
    if (!rs)
        return NULL;
    rs->version = version;
    rs->count = count;
    rs->header = KMIP_NEW(a, response_header);
    rs->items = ARENA_ARRAY(a, count, struct kmip_response_item);
    rs->item_rc = ARENA_ARRAY(a, count, rc_t);
    return rs->header && rs->items && rs->item_rc ? rs : NULL;
}
