/*
 * The writer of binary TTLV: header, value, zero padding to 8 bytes. As strict as the reader: what
 * it would refuse is not written.
 */
#include "proto/ttlv/write.h"

#include "proto/ttlv/read.h"

static rc_t header(struct buf *out, uint32_t tag, uint8_t type, uint32_t len)
{
    uint8_t h[8] = {(uint8_t)(tag >> 16), (uint8_t)(tag >> 8), (uint8_t)tag, type};
    store_be32(h + 4, len);
    return buf_add(out, h, sizeof h);
}

rc_t ttlv_begin(struct buf *out, uint32_t tag, size_t *mark)
{
    *mark = out->len;
    return header(out, tag, TTLV_STRUCTURE, 0);
}

rc_t ttlv_end(struct buf *out, size_t mark)
{
    size_t len = out->len - mark - 8;
    if (len > UINT32_MAX)
        return RC_TOO_LARGE;
    store_be32(out->data + mark + 4, (uint32_t)len);
    return RC_OK;
}

static rc_t write_32(struct buf *out, uint32_t tag, uint8_t type, uint32_t value)
{
    TRY(header(out, tag, type, 4));
    TRY(buf_add_be32(out, value));
    return buf_add_be32(out, 0);
}

static rc_t write_64(struct buf *out, uint32_t tag, uint8_t type, uint64_t value)
{
    TRY(header(out, tag, type, 8));
    return buf_add_be64(out, value);
}

rc_t ttlv_write_integer(struct buf *out, uint32_t tag, int32_t value)
{
    return write_32(out, tag, TTLV_INTEGER, (uint32_t)value);
}

rc_t ttlv_write_long(struct buf *out, uint32_t tag, int64_t value)
{
    return write_64(out, tag, TTLV_LONG_INTEGER, (uint64_t)value);
}

rc_t ttlv_write_enum(struct buf *out, uint32_t tag, uint32_t value)
{
    return write_32(out, tag, TTLV_ENUMERATION, value);
}

rc_t ttlv_write_boolean(struct buf *out, uint32_t tag, bool value)
{
    return write_64(out, tag, TTLV_BOOLEAN, value);
}

rc_t ttlv_write_date_time(struct buf *out, uint32_t tag, int64_t seconds)
{
    return write_64(out, tag, TTLV_DATE_TIME, (uint64_t)seconds);
}

rc_t ttlv_write_date_time_extended(struct buf *out, uint32_t tag, int64_t microseconds)
{
    return write_64(out, tag, TTLV_DATE_TIME_EXTENDED, (uint64_t)microseconds);
}

rc_t ttlv_write_interval(struct buf *out, uint32_t tag, uint32_t seconds)
{
    return write_32(out, tag, TTLV_INTERVAL, seconds);
}

rc_t ttlv_write_bytes(struct buf *out, uint32_t tag, uint8_t type, struct bytes value)
{
    static const uint8_t zeros[8];
    if (value.len > UINT32_MAX)
        return RC_TOO_LARGE;
    if (type != TTLV_TEXT_STRING && type != TTLV_BYTE_STRING && type != TTLV_BIG_INTEGER)
        return RC_BAD_TYPE;
    if (type == TTLV_BIG_INTEGER && (value.len == 0 || value.len % 8 != 0))
        return RC_BAD_LENGTH;
    if (type == TTLV_TEXT_STRING && !utf8_valid(value))
        return RC_BAD_UTF8;
    TRY(buf_reserve(out, value.len + 16)); /* one growth: a secret is moved once at most */
    TRY(header(out, tag, type, (uint32_t)value.len));
    TRY(buf_add_bytes(out, value));
    return buf_add(out, zeros, (8 - value.len % 8) % 8);
}

rc_t ttlv_write_node(struct buf *out, uint32_t tag, const struct node *n)
{
    if (tag == 0)
        tag = n->tag;
    switch (n->type) {
    case TTLV_STRUCTURE: {
        size_t mark;
        TRY(ttlv_begin(out, tag, &mark));
        for (const struct node *c = n->first; c; c = c->next)
            TRY(ttlv_write_node(out, 0, c));
        return ttlv_end(out, mark);
    }
    case TTLV_INTEGER:
        return ttlv_write_integer(out, tag, n->integer);
    case TTLV_LONG_INTEGER:
        return ttlv_write_long(out, tag, n->long_integer);
    case TTLV_ENUMERATION:
        return ttlv_write_enum(out, tag, n->enumeration);
    case TTLV_BOOLEAN:
        return ttlv_write_boolean(out, tag, n->boolean);
    case TTLV_DATE_TIME:
        return ttlv_write_date_time(out, tag, n->date_time);
    case TTLV_DATE_TIME_EXTENDED:
        return ttlv_write_date_time_extended(out, tag, n->date_time);
    case TTLV_INTERVAL:
        return ttlv_write_interval(out, tag, n->interval);
    default:
        return ttlv_write_bytes(out, tag, n->type, n->bytes);
    }
}
