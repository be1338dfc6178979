/* Fields of calls and replies; see wire_fields.h. */
#include "server/vault/wire_fields.h"

/* ---- writing -------------------------------------------------------------------------------- */

rc_t wire_put_control(struct buf *out, const struct control *c)
{
    uint8_t raw[CONTROL_BYTES];
    control_encode(c, raw);
    return buf_add(out, raw, sizeof raw);
}

/* A field with its length before it. */
rc_t wire_put_sized(struct buf *out, struct bytes field)
{
    TRY(buf_add_be32(out, (uint32_t)field.len));
    return buf_add_bytes(out, field);
}

rc_t wire_put_password(struct buf *out, const struct vault_password *p)
{
    TRY(buf_add(out, p->client.raw, sizeof p->client.raw));
    TRY(buf_add_be32(out, p->cost.log2));
    TRY(buf_add_be32(out, p->cost.block_size));
    TRY(buf_add_be32(out, p->cost.parallel));
    TRY(buf_add(out, p->hash, sizeof p->hash));
    return wire_put_sized(out, p->salt);
}

/* Flags of struct cipher_request, as bits. */
enum { CIPHER_ENCRYPTS = 1, CIPHER_HAS_COUNTER = 2, CIPHER_MAKES_IV = 4, CIPHER_FLAGS = 7 };

static rc_t put_cipher_request(struct buf *out, const struct cipher_request *r)
{
    uint32_t flags = (r->encrypt ? CIPHER_ENCRYPTS : 0u) | (r->has_counter ? CIPHER_HAS_COUNTER : 0u) |
                     (r->make_iv ? CIPHER_MAKES_IV : 0u);
    const uint32_t fields[] = {flags,       r->algorithm, r->mode,         r->padding,
                               r->iv_bytes, r->tag_bytes, r->counter_bits, r->counter};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        TRY(buf_add_be32(out, fields[i]));
    return RC_OK;
}

rc_t wire_put_cipher(struct buf *out, const struct vault_call *call)
{
    const struct vault_cipher *c = &call->cipher;
    TRY(buf_add_be64(out, call->domain));
    TRY(wire_put_control(out, &call->control));
    TRY(buf_add(out, call->mac, sizeof call->mac));
    TRY(put_cipher_request(out, &c->request));
    TRY(wire_put_sized(out, c->iv));
    TRY(wire_put_sized(out, c->additional));
    TRY(wire_put_sized(out, c->tag));
    TRY(wire_put_sized(out, call->material));
    return buf_add_bytes(out, c->data);
}

/* ---- reading -------------------------------------------------------------------------------- */

static rc_t take(struct wire_cursor *in, size_t len, const uint8_t **out)
{
    if (len > in->left)
        return RC_PROTOCOL;
    *out = in->p;
    in->p += len;
    in->left -= len;
    return RC_OK;
}

rc_t wire_take_u32(struct wire_cursor *in, uint32_t *out)
{
    const uint8_t *p;
    TRY(take(in, 4, &p));
    *out = load_be32(p);
    return RC_OK;
}

rc_t wire_take_u64(struct wire_cursor *in, uint64_t *out)
{
    const uint8_t *p;
    TRY(take(in, 8, &p));
    *out = load_be64(p);
    return RC_OK;
}

rc_t wire_take_control(struct wire_cursor *in, struct control *out)
{
    const uint8_t *p;
    TRY(take(in, CONTROL_BYTES, &p));
    return control_decode(bytes_of(p, CONTROL_BYTES), out) == RC_OK ? RC_OK : RC_PROTOCOL;
}

/* The record as a row has it, and its MAC. One that cannot be is damage in the row, not a breach of
 * the protocol by the worker, which only passes rows on: the call is refused, the peer stays. */
rc_t wire_take_stored(struct wire_cursor *in, struct vault_call *out)
{
    const uint8_t *p, *mac;
    TRY(take(in, CONTROL_BYTES, &p));
    TRY(take(in, sizeof out->mac, &mac));
    memcpy(out->mac, mac, sizeof out->mac);
    if (control_decode(bytes_of(p, CONTROL_BYTES), &out->control) == RC_OK)
        return RC_OK;
    memcpy(out->control.uid.raw, p, sizeof out->control.uid.raw); /* for the log */
    return RC_INTEGRITY;
}

rc_t wire_take_raw(struct wire_cursor *in, uint8_t *out, size_t len)
{
    const uint8_t *p;
    TRY(take(in, len, &p));
    memcpy(out, p, len);
    return RC_OK;
}

struct bytes wire_take_rest(struct wire_cursor *in)
{
    struct bytes rest = bytes_of(in->p, in->left);
    in->p += in->left;
    in->left = 0;
    return rest;
}

rc_t wire_take_sized(struct wire_cursor *in, struct bytes *out)
{
    uint32_t len;
    const uint8_t *p;
    TRY(wire_take_u32(in, &len));
    TRY(take(in, len, &p));
    *out = bytes_of(p, len);
    return RC_OK;
}

rc_t wire_take_password(struct wire_cursor *in, struct vault_password *p)
{
    TRY(wire_take_raw(in, p->client.raw, sizeof p->client.raw));
    TRY(wire_take_u32(in, &p->cost.log2));
    TRY(wire_take_u32(in, &p->cost.block_size));
    TRY(wire_take_u32(in, &p->cost.parallel));
    TRY(wire_take_raw(in, p->hash, sizeof p->hash));
    return wire_take_sized(in, &p->salt);
}

static rc_t take_cipher_request(struct wire_cursor *in, struct cipher_request *r)
{
    uint32_t flags;
    TRY(wire_take_u32(in, &flags));
    if (flags & ~(uint32_t)CIPHER_FLAGS)
        return RC_PROTOCOL;
    r->encrypt = flags & CIPHER_ENCRYPTS;
    r->has_counter = flags & CIPHER_HAS_COUNTER;
    r->make_iv = flags & CIPHER_MAKES_IV;
    uint32_t *const fields[] = {&r->algorithm, &r->mode,         &r->padding, &r->iv_bytes,
                                &r->tag_bytes, &r->counter_bits, &r->counter};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        TRY(wire_take_u32(in, fields[i]));
    return RC_OK;
}

rc_t wire_take_cipher(struct wire_cursor *in, struct vault_call *out)
{
    struct vault_cipher *c = &out->cipher;
    TRY(wire_take_u64(in, &out->domain));
    TRY(wire_take_stored(in, out));
    TRY(take_cipher_request(in, &c->request));
    TRY(wire_take_sized(in, &c->iv));
    TRY(wire_take_sized(in, &c->additional));
    TRY(wire_take_sized(in, &c->tag));
    TRY(wire_take_sized(in, &out->material));
    c->data = wire_take_rest(in);
    return RC_OK;
}

/* A field of a fixed size, and how much of it is used. */
rc_t wire_take_part(struct wire_cursor *in, uint8_t *out, size_t room, size_t *used)
{
    uint32_t len;
    TRY(wire_take_u32(in, &len));
    *used = len;
    return len <= room ? wire_take_raw(in, out, room) : RC_PROTOCOL;
}
