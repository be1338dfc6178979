/*
 * Making, comparing, copying and printing nodes. The print is for logs of developers and tests: it
 * shows the shape and the numbers, never the content of texts, byte strings or big integers.
 */
#include "proto/ttlv/node.h"

#include <inttypes.h>

struct node *node_new(struct arena *a, uint32_t tag, uint8_t type)
{
    struct node *n = ARENA_NEW(a, struct node);
    if (n) {
        n->tag = tag;
        n->type = type;
    }
    return n;
}

#define MAKER(suffix, ctype, node_type, member)                                                    \
    struct node *node_##suffix(struct arena *a, uint32_t tag, ctype value)                         \
    {                                                                                              \
        struct node *n = node_new(a, tag, node_type);                                              \
        if (n)                                                                                     \
            n->member = value;                                                                     \
        return n;                                                                                  \
    }

MAKER(integer, int32_t, TTLV_INTEGER, integer)
MAKER(long, int64_t, TTLV_LONG_INTEGER, long_integer)
MAKER(enum, uint32_t, TTLV_ENUMERATION, enumeration)
MAKER(boolean, bool, TTLV_BOOLEAN, boolean)
MAKER(text, struct bytes, TTLV_TEXT_STRING, bytes)
MAKER(bytes, struct bytes, TTLV_BYTE_STRING, bytes)
MAKER(big_integer, struct bytes, TTLV_BIG_INTEGER, bytes)
MAKER(date_time, int64_t, TTLV_DATE_TIME, date_time)
MAKER(date_time_extended, int64_t, TTLV_DATE_TIME_EXTENDED, date_time)
MAKER(interval, uint32_t, TTLV_INTERVAL, interval)

struct node *node_structure(struct arena *a, uint32_t tag)
{
    return node_new(a, tag, TTLV_STRUCTURE);
}

rc_t node_append(struct node *parent, struct node *child)
{
    if (!parent || !child)
        return RC_NO_MEMORY;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
    return RC_OK;
}

const struct node *node_child(const struct node *parent, uint32_t tag)
{
    if (!parent || parent->type != TTLV_STRUCTURE)
        return NULL;
    const struct node *n = parent->first;
    while (n && n->tag != tag)
        n = n->next;
    return n;
}

bool node_has_bytes(const struct node *n)
{
    return n->type == TTLV_TEXT_STRING || n->type == TTLV_BYTE_STRING ||
           n->type == TTLV_BIG_INTEGER;
}

bool node_equal(const struct node *a, const struct node *b)
{
    if (!a || !b)
        return a == b;
    return a->tag == b->tag && node_value_equal(a, b);
}

bool node_value_equal(const struct node *a, const struct node *b)
{
    if (!a || !b)
        return a == b;
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TTLV_STRUCTURE:
        if (a->count != b->count)
            return false;
        for (a = a->first, b = b->first; a && b; a = a->next, b = b->next)
            if (!node_equal(a, b))
                return false;
        return a == b;
    case TTLV_INTEGER:
        return a->integer == b->integer;
    case TTLV_LONG_INTEGER:
        return a->long_integer == b->long_integer;
    case TTLV_ENUMERATION:
        return a->enumeration == b->enumeration;
    case TTLV_BOOLEAN:
        return a->boolean == b->boolean;
    case TTLV_DATE_TIME:
    case TTLV_DATE_TIME_EXTENDED:
        return a->date_time == b->date_time;
    case TTLV_INTERVAL:
        return a->interval == b->interval;
    default:
        return bytes_equal(a->bytes, b->bytes);
    }
}

struct node *node_copy(struct arena *a, const struct node *n)
{
    struct node *copy = node_new(a, n->tag, n->type);
    if (!copy)
        return NULL;
    if (n->type == TTLV_STRUCTURE) {
        for (const struct node *c = n->first; c; c = c->next)
            if (node_append(copy, node_copy(a, c)) != RC_OK)
                return NULL;
    } else if (node_has_bytes(n)) {
        copy->bytes = arena_copy(a, n->bytes);
        if (!copy->bytes.data)
            return NULL;
    } else {
        *copy = *n;
        copy->next = NULL;
    }
    return copy;
}

static rc_t print(const struct node *n, struct buf *out, int indent)
{
    TRY(buf_add_fmt(out, "%*s%06" PRIx32 " ", indent, "", n->tag));
    switch (n->type) {
    case TTLV_STRUCTURE:
        TRY(buf_add_fmt(out, "structure of %" PRIu32 "\n", n->count));
        for (const struct node *c = n->first; c; c = c->next)
            TRY(print(c, out, indent + 2));
        return RC_OK;
    case TTLV_INTEGER:
        return buf_add_fmt(out, "integer %" PRId32 "\n", n->integer);
    case TTLV_LONG_INTEGER:
        return buf_add_fmt(out, "long integer %" PRId64 "\n", n->long_integer);
    case TTLV_ENUMERATION:
        return buf_add_fmt(out, "enumeration %08" PRIx32 "\n", n->enumeration);
    case TTLV_BOOLEAN:
        return buf_add_fmt(out, "boolean %d\n", n->boolean);
    case TTLV_DATE_TIME:
        return buf_add_fmt(out, "date-time %" PRId64 " s\n", n->date_time);
    case TTLV_DATE_TIME_EXTENDED:
        return buf_add_fmt(out, "date-time %" PRId64 " us\n", n->date_time);
    case TTLV_INTERVAL:
        return buf_add_fmt(out, "interval %" PRIu32 " s\n", n->interval);
    case TTLV_TEXT_STRING:
        return buf_add_fmt(out, "text of %zu bytes\n", n->bytes.len);
    case TTLV_BIG_INTEGER:
        return buf_add_fmt(out, "big integer of %zu bytes\n", n->bytes.len);
    default:
        return buf_add_fmt(out, "byte string of %zu bytes\n", n->bytes.len);
    }
}

rc_t node_print(const struct node *n, struct buf *out)
{
    return print(n, out, 0);
}
