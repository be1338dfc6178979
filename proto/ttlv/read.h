/*
 * Strict reading of binary TTLV (KMIP 2.1, 10.1): every length, type, padding, text, depth and
 * count is checked before memory is taken for it. Used by the network layer for the frame and by
 * the typed readers for the tree.
 */
#ifndef PROTO_TTLV_READ_H
#define PROTO_TTLV_READ_H

#include "proto/ttlv/node.h"

enum { TTLV_HEADER_BYTES = 8 };

struct ttlv_limits {
    uint32_t depth;       /* structures inside each other, the outermost counted */
    uint32_t items;       /* items of all kinds in one message */
    uint32_t message;     /* bytes of one message, header included */
    uint32_t text;        /* bytes of one text string */
    uint32_t batch_items; /* batch items of one request */
    uint32_t attributes;  /* attributes in one list */
    uint32_t name;        /* bytes of the value of a Name attribute */
};

/* design.md section 6 */
#define TTLV_LIMITS_DEFAULT                                                                        \
    ((struct ttlv_limits){.depth = 32,                                                             \
                          .items = 65536,                                                          \
                          .message = 1048576,                                                      \
                          .text = 65536,                                                           \
                          .batch_items = 1024,                                                     \
                          .attributes = 1024,                                                      \
                          .name = 1024})

/*
 * The first 8 bytes of a message: tag 420078 (`request`) or 42007B, type 01, length a multiple of
 * 8, whole message within `max` bytes. Sets *total to the size of the message with its header.
 * RC_BAD_TAG, RC_BAD_TYPE, RC_BAD_LENGTH, RC_TOO_LARGE.
 */
rc_t ttlv_frame_check(const uint8_t header[TTLV_HEADER_BYTES], size_t max, size_t *total);
rc_t ttlv_frame_check_response(const uint8_t header[TTLV_HEADER_BYTES], size_t max, size_t *total);

/*
 * Reads exactly one item that fills `in`. The tree lies in the arena and views `in`, which must
 * live as long. Errors: RC_SHORT_INPUT, RC_BAD_TAG, RC_BAD_ITEM_TYPE, RC_BAD_LENGTH,
 * RC_BAD_PADDING, RC_BAD_BOOLEAN, RC_BAD_UTF8: badly encoded, the reason is Codec Error
 * (KMIP 2.1, 11.46). RC_TOO_DEEP, RC_TOO_MANY, RC_TOO_LARGE: a limit is passed. RC_NO_MEMORY.
 * `limits` NULL means the defaults.
 */
rc_t ttlv_read(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
               struct node **out);

/* Valid UTF-8 (RFC 3629: no overlong form, no surrogate, at most U+10FFFF) without U+0000. */
bool utf8_valid(struct bytes text);

#endif
