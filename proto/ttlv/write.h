/*
 * Writing of binary TTLV (KMIP 2.1, 10.1) to a buffer that wipes itself. Structures are begun,
 * filled and ended; the end patches the length in. What these calls write, ttlv_read() takes.
 */
#ifndef PROTO_TTLV_WRITE_H
#define PROTO_TTLV_WRITE_H

#include "proto/ttlv/node.h"

/* Opens a structure; *mark is what ttlv_end() needs. */
rc_t ttlv_begin(struct buf *out, uint32_t tag, size_t *mark);
/* Closes it. RC_TOO_LARGE if it outgrew 32 bits. */
rc_t ttlv_end(struct buf *out, size_t mark);

rc_t ttlv_write_integer(struct buf *out, uint32_t tag, int32_t value);
rc_t ttlv_write_long(struct buf *out, uint32_t tag, int64_t value);
rc_t ttlv_write_enum(struct buf *out, uint32_t tag, uint32_t value);
rc_t ttlv_write_boolean(struct buf *out, uint32_t tag, bool value);
rc_t ttlv_write_date_time(struct buf *out, uint32_t tag, int64_t seconds);
rc_t ttlv_write_date_time_extended(struct buf *out, uint32_t tag, int64_t microseconds);
rc_t ttlv_write_interval(struct buf *out, uint32_t tag, uint32_t seconds);
/* Text, byte string or big integer by `type`. RC_TOO_LARGE over 32 bits, RC_BAD_TYPE for any other
 * type, RC_BAD_LENGTH for a big integer that is empty or not a multiple of 8 bytes, RC_BAD_UTF8. */
rc_t ttlv_write_bytes(struct buf *out, uint32_t tag, uint8_t type, struct bytes value);
/* A whole tree, with `tag` in place of the top's own if it is not 0. Errors of ttlv_write_bytes().
 */
rc_t ttlv_write_node(struct buf *out, uint32_t tag, const struct node *n);

#endif
