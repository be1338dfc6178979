/*
 * The node tree: one decoded TTLV item and its children, in the arena of the request. Texts, byte
 * strings and big integers are views into the input, never copies, so a secret stays in one place.
 * KMIP 2.1, 10.1 (the same layout since 1.0, 9.1).
 */
#ifndef PROTO_TTLV_NODE_H
#define PROTO_TTLV_NODE_H

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum ttlv_type {
    TTLV_STRUCTURE = 1,
    TTLV_INTEGER = 2,
    TTLV_LONG_INTEGER = 3,
    TTLV_BIG_INTEGER = 4,
    TTLV_ENUMERATION = 5,
    TTLV_BOOLEAN = 6,
    TTLV_TEXT_STRING = 7,
    TTLV_BYTE_STRING = 8,
    TTLV_DATE_TIME = 9,
    TTLV_INTERVAL = 10,
    TTLV_DATE_TIME_EXTENDED = 11, /* since KMIP 2.0 */
};

struct node {
    uint32_t tag;   /* 0x42xxxx, or 0x54xxxx for extensions */
    uint8_t type;   /* enum ttlv_type: says which member of the union holds */
    uint32_t count; /* children of a structure */
    union {
        int32_t integer;      /* TTLV_INTEGER */
        int64_t long_integer; /* TTLV_LONG_INTEGER */
        uint32_t enumeration; /* TTLV_ENUMERATION */
        bool boolean;         /* TTLV_BOOLEAN */
        int64_t date_time;    /* TTLV_DATE_TIME: seconds, TTLV_DATE_TIME_EXTENDED: microseconds */
        uint32_t interval;    /* TTLV_INTERVAL: seconds */
        struct bytes bytes;   /* TTLV_TEXT_STRING, TTLV_BYTE_STRING, TTLV_BIG_INTEGER */
        struct {
            struct node *first; /* TTLV_STRUCTURE */
            struct node *last;
        };
    };
    struct node *next; /* the sibling after this one */
};

/* A new node with a zero value, or NULL when the arena is at its cap. */
struct node *node_new(struct arena *a, uint32_t tag, uint8_t type);
/* Makers of one value each. Views are borrowed: they must live as long as the node. NULL: no
 * memory. */
struct node *node_integer(struct arena *a, uint32_t tag, int32_t value);
struct node *node_long(struct arena *a, uint32_t tag, int64_t value);
struct node *node_enum(struct arena *a, uint32_t tag, uint32_t value);
struct node *node_boolean(struct arena *a, uint32_t tag, bool value);
struct node *node_text(struct arena *a, uint32_t tag, struct bytes text);
struct node *node_bytes(struct arena *a, uint32_t tag, struct bytes bytes);
struct node *node_big_integer(struct arena *a, uint32_t tag, struct bytes bytes);
struct node *node_date_time(struct arena *a, uint32_t tag, int64_t seconds);
struct node *node_date_time_extended(struct arena *a, uint32_t tag, int64_t microseconds);
struct node *node_interval(struct arena *a, uint32_t tag, uint32_t seconds);
struct node *node_structure(struct arena *a, uint32_t tag);

/* Appends a child that has no parent yet. Accepts child == NULL (a maker that failed):
 * RC_NO_MEMORY. */
rc_t node_append(struct node *parent, struct node *child);
/* The first child with this tag, or NULL. Accepts any type of parent and NULL. */
const struct node *node_child(const struct node *parent, uint32_t tag);
/* Whether the type carries its value in `bytes`. */
bool node_has_bytes(const struct node *n);
/* Same tags, types and values in the same order; not constant in time. NULL equals only NULL. */
bool node_equal(const struct node *a, const struct node *b);
/* The same, but the tags of the two tops may differ: an attribute has its own tag or Attribute
 * Value. */
bool node_value_equal(const struct node *a, const struct node *b);
/* A deep copy; bytes are copied into the arena too. NULL when the arena is at its cap. */
struct node *node_copy(struct arena *a, const struct node *n);
/* A text of the tree for debugging: tags, types, lengths, numbers and enumerations. Never bytes or
 * texts. */
rc_t node_print(const struct node *n, struct buf *out);

#endif
