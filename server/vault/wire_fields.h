/*
 * The fields that the vault's calls and replies are made of, written and read; the inside of wire.c. Reading never goes
 * past the end: RC_PROTOCOL.
 */
#ifndef SERVER_VAULT_WIRE_FIELDS_H
#define SERVER_VAULT_WIRE_FIELDS_H

#include "server/vault/wire.h"

rc_t wire_put_control(struct buf *out, const struct control *c);
/* A field with its length before it. */
rc_t wire_put_sized(struct buf *out, struct bytes field);
rc_t wire_put_password(struct buf *out, const struct vault_password *p);
/* All of a CIPHER. */
rc_t wire_put_cipher(struct buf *out, const struct vault_call *call);

/* A cursor over one payload: each step checks what is left before it moves. */
struct wire_cursor {
    const uint8_t *p;
    size_t left;
};

rc_t wire_take_u32(struct wire_cursor *in, uint32_t *out);
rc_t wire_take_u64(struct wire_cursor *in, uint64_t *out);
rc_t wire_take_raw(struct wire_cursor *in, uint8_t *out, size_t len);
/* A field of a fixed size, of which so much is used. */
rc_t wire_take_part(struct wire_cursor *in, uint8_t *out, size_t room, size_t *used);
rc_t wire_take_sized(struct wire_cursor *in, struct bytes *out);
struct bytes wire_take_rest(struct wire_cursor *in);
rc_t wire_take_control(struct wire_cursor *in, struct control *out);
/* The record as a row has it, and its MAC. One that cannot be is damage in the row, not a breach of the protocol by the
 * worker, which only passes rows on: RC_INTEGRITY, the call is refused, the peer stays. */
rc_t wire_take_stored(struct wire_cursor *in, struct vault_call *out);
rc_t wire_take_password(struct wire_cursor *in, struct vault_password *p);
rc_t wire_take_cipher(struct wire_cursor *in, struct vault_call *out);

#endif
