/*
 * The strict reader. One pass; each item's header, length, padding and text are checked before a
 * node is made for it; structures must be consumed exactly by their children.
 */
#include "proto/ttlv/read.h"

enum {
    TAG_REQUEST_MESSAGE = 0x420078,
    TAG_RESPONSE_MESSAGE = 0x42007B,
    DEPTH_CAP = 256, /* the reader recurses: whatever the setting, the stack stays small */
};

struct reader {
    struct arena *arena;
    const struct ttlv_limits *limits;
    uint32_t items;
};

static uint32_t load_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static rc_t frame_check(const uint8_t *header, uint32_t tag, size_t max, size_t *total)
{
    if (load_be24(header) != tag)
        return RC_BAD_TAG;
    if (header[3] != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    uint32_t len = load_be32(header + 4);
    if (len % 8 != 0)
        return RC_BAD_LENGTH;
    if (max < TTLV_HEADER_BYTES || len > max - TTLV_HEADER_BYTES)
        return RC_TOO_LARGE;
    *total = (size_t)len + TTLV_HEADER_BYTES;
    return RC_OK;
}

rc_t ttlv_frame_check(const uint8_t header[TTLV_HEADER_BYTES], size_t max, size_t *total)
{
    return frame_check(header, TAG_REQUEST_MESSAGE, max, total);
}

rc_t ttlv_frame_check_response(const uint8_t header[TTLV_HEADER_BYTES], size_t max, size_t *total)
{
    return frame_check(header, TAG_RESPONSE_MESSAGE, max, total);
}

bool utf8_valid(struct bytes text)
{
    const uint8_t *p = text.data;
    const uint8_t *end = p + text.len;
    while (p < end) {
        uint8_t c = *p++;
        if (c < 0x80) {
            if (c == 0)
                return false;
            continue;
        }
        size_t more = c >= 0xC2 && c <= 0xDF   ? 1
                      : (c & 0xF0) == 0xE0     ? 2
                      : c >= 0xF0 && c <= 0xF4 ? 3
                                               : 0;
        if (more == 0 || more > (size_t)(end - p))
            return false;
        /* The second byte decides on overlong forms, surrogates and values over U+10FFFF. */
        uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        uint8_t high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (p[0] < low || p[0] > high)
            return false;
        for (size_t i = 1; i < more; i++)
            if ((p[i] & 0xC0) != 0x80)
                return false;
        p += more;
    }
    return true;
}

/* Lengths that a type may have (KMIP 2.1, 10.1.1.3). */
static rc_t length_check(const struct reader *r, uint8_t type, uint32_t len)
{
    switch (type) {
    case TTLV_INTEGER:
    case TTLV_ENUMERATION:
    case TTLV_INTERVAL:
        return len == 4 ? RC_OK : RC_BAD_LENGTH;
    case TTLV_LONG_INTEGER:
    case TTLV_BOOLEAN:
    case TTLV_DATE_TIME:
    case TTLV_DATE_TIME_EXTENDED:
        return len == 8 ? RC_OK : RC_BAD_LENGTH;
    case TTLV_BIG_INTEGER:
        return len != 0 && len % 8 == 0 ? RC_OK : RC_BAD_LENGTH;
    case TTLV_STRUCTURE:
        return len % 8 == 0 ? RC_OK : RC_BAD_LENGTH;
    case TTLV_TEXT_STRING:
        return len <= r->limits->text ? RC_OK : RC_TOO_LARGE;
    case TTLV_BYTE_STRING:
        return RC_OK;
    default:
        return RC_BAD_ITEM_TYPE;
    }
}

static rc_t read_value(struct node *n, const uint8_t *p, uint32_t len)
{
    switch (n->type) {
    case TTLV_INTEGER:
        n->integer = (int32_t)load_be32(p);
        break;
    case TTLV_ENUMERATION:
        n->enumeration = load_be32(p);
        break;
    case TTLV_INTERVAL:
        n->interval = load_be32(p);
        break;
    case TTLV_LONG_INTEGER:
        n->long_integer = (int64_t)load_be64(p);
        break;
    case TTLV_DATE_TIME:
    case TTLV_DATE_TIME_EXTENDED:
        n->date_time = (int64_t)load_be64(p);
        break;
    case TTLV_BOOLEAN:
        n->boolean = p[7] != 0;
        break;
    default:
        n->bytes = bytes_of(p, len);
    }
    return RC_OK;
}

static rc_t read_item(struct reader *r, const uint8_t **at, const uint8_t *end, uint32_t depth,
                      struct node **out)
{
    const uint8_t *p = *at;
    if (end - p < TTLV_HEADER_BYTES)
        return RC_SHORT_INPUT;
    uint32_t tag = load_be24(p);
    uint8_t type = p[3];
    uint32_t len = load_be32(p + 4);
    p += TTLV_HEADER_BYTES;
    /* 42xxxx: KMIP, 54xxxx: extensions; all other numbers are unused (9.1.3.1; 2.1, 11.56). */
    if (tag >> 16 != 0x42 && tag >> 16 != 0x54)
        return RC_BAD_TAG;
    TRY(length_check(r, type, len));
    size_t room = (size_t)(end - p);
    size_t padding = (8 - len % 8) % 8;
    if (len > room || padding > room - len)
        return RC_SHORT_INPUT;
    for (size_t i = 0; i < padding; i++)
        if (p[len + i] != 0)
            return RC_BAD_PADDING;
    if (type == TTLV_BOOLEAN && load_be64(p) > 1)
        return RC_BAD_BOOLEAN;
    if (type == TTLV_TEXT_STRING && !utf8_valid(bytes_of(p, len)))
        return RC_BAD_UTF8;
    if (depth > r->limits->depth || depth > DEPTH_CAP)
        return RC_TOO_DEEP;
    if (++r->items > r->limits->items)
        return RC_TOO_MANY;

    struct node *n = node_new(r->arena, tag, type);
    if (!n)
        return RC_NO_MEMORY;
    *at = p + len + padding;
    *out = n;
    if (type != TTLV_STRUCTURE)
        return read_value(n, p, len);
    const uint8_t *inner_end = p + len;
    while (p < inner_end) {
        struct node *child = NULL;
        TRY(read_item(r, &p, inner_end, depth + 1, &child));
        TRY(node_append(n, child));
    }
    return RC_OK;
}

rc_t ttlv_read(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
               struct node **out)
{
    struct ttlv_limits defaults = TTLV_LIMITS_DEFAULT;
    struct reader r = {a, limits ? limits : &defaults, 0};
    if (in.len > r.limits->message)
        return RC_TOO_LARGE;
    if (!in.data)
        return RC_SHORT_INPUT;
    const uint8_t *p = in.data;
    struct node *n = NULL;
    TRY(read_item(&r, &p, in.data + in.len, 1, &n));
    if (p != in.data + in.len)
        return RC_BAD_LENGTH;
    *out = n;
    return RC_OK;
}
