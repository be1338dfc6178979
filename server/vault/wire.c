/* The vault's calls and replies as frames; see wire.h. Knows layouts only: no key, no socket, no
 * clock. */
#include "server/vault/wire.h"

/* clang-format off */
static const struct {
    const char *name;
    uint32_t from;
    uint32_t max_in;
} calls[VAULT_OP_END] = {
#define CALL(op, handler, who, max) [op] = {#op, who, max},
#include "server/vault/call.def"
#undef CALL
};
/* clang-format on */

bool vault_call_allowed(uint16_t code, enum vault_peer peer, uint32_t len)
{
    return code < VAULT_OP_END && (calls[code].from & (uint32_t)peer) != 0 &&
           len <= calls[code].max_in;
}

const char *vault_op_name(unsigned op)
{
    return op < VAULT_OP_END && calls[op].name ? calls[op].name : "unknown";
}

bool vault_op_is_slow(unsigned op)
{
    return op == VAULT_GENERATE_PAIR;
}

static rc_t put_control(struct buf *out, const struct control *c)
{
    uint8_t raw[CONTROL_BYTES];
    control_encode(c, raw);
    return buf_add(out, raw, sizeof raw);
}

/* A field with its length before it. */
static rc_t put_sized(struct buf *out, struct bytes field)
{
    TRY(buf_add_be32(out, (uint32_t)field.len));
    return buf_add_bytes(out, field);
}

static rc_t put_password(struct buf *out, const struct vault_password *p)
{
    TRY(buf_add(out, p->client.raw, sizeof p->client.raw));
    TRY(buf_add_be32(out, p->cost.log2));
    TRY(buf_add_be32(out, p->cost.block_size));
    TRY(buf_add_be32(out, p->cost.parallel));
    TRY(buf_add(out, p->hash, sizeof p->hash));
    return put_sized(out, p->salt);
}

static rc_t put_fields(struct buf *out, const struct vault_call *call)
{
    switch (call->op) {
    case VAULT_GENERATE:
        TRY(buf_add_be64(out, call->domain));
        TRY(put_control(out, &call->control));
        return buf_add_be32(out, call->key_format);
    case VAULT_GENERATE_PAIR:
        TRY(buf_add_be64(out, call->domain));
        TRY(put_control(out, &call->control));
        TRY(put_control(out, &call->control_public));
        TRY(buf_add_be32(out, call->key_format));
        return buf_add_be32(out, call->key_format_public);
    case VAULT_REGISTER:
        TRY(buf_add_be64(out, call->domain));
        TRY(put_control(out, &call->control));
        TRY(buf_add_be32(out, call->key_format));
        return buf_add_bytes(out, call->material);
    case VAULT_GET:
        TRY(buf_add_be64(out, call->domain));
        TRY(put_control(out, &call->control));
        TRY(buf_add(out, call->mac, sizeof call->mac));
        TRY(buf_add_be32(out, call->key_format));
        return buf_add_bytes(out, call->material);
    case VAULT_TRANSITION:
        TRY(buf_add_be64(out, call->domain));
        TRY(put_control(out, &call->control));
        TRY(buf_add(out, call->mac, sizeof call->mac));
        return put_control(out, &call->next);
    case VAULT_PASSWORD:
        TRY(put_password(out, &call->password));
        return buf_add_bytes(out, call->material);
    case VAULT_UNSEAL:
        return buf_add_bytes(out, call->hierarchy);
    case VAULT_STATUS:
        return RC_OK;
    case VAULT_ADMIN:
        return buf_add_bytes(out, call->body);
    case VAULT_DOMAIN_KEY:
        return buf_add_be64(out, call->domain);
    case VAULT_OP_END:
        break;
    }
    return RC_INVALID_FIELD;
}

static size_t variable_len(const struct vault_call *call)
{
    switch (call->op) {
    case VAULT_REGISTER:
    case VAULT_GET:
    case VAULT_PASSWORD:
        return call->material.len;
    case VAULT_UNSEAL:
        return call->hierarchy.len;
    case VAULT_ADMIN:
        return call->body.len;
    default:
        return 0;
    }
}

rc_t vault_call_write(struct frame_writer *w, uint64_t id, const struct vault_call *call)
{
    unsigned op = (unsigned)call->op;
    if (op >= VAULT_OP_END || !calls[op].name)
        return RC_INVALID_FIELD;
    size_t variable = variable_len(call), mark;
    if (variable > calls[op].max_in)
        return RC_TOO_LARGE;
    TRY(frame_open(w, (uint16_t)op, id, WIRE_TRANSITION_BYTES + variable, &mark));
    rc_t rc = put_fields(&w->out, call);
    if (rc == RC_OK && w->out.len - mark - FRAME_HEADER_BYTES > calls[op].max_in)
        rc = RC_TOO_LARGE;
    if (rc != RC_OK) {
        frame_undo(w, mark);
        return rc;
    }
    frame_close(w, mark, RC_OK);
    return RC_OK;
}

/* A cursor over one payload: each step checks what is left before it moves. */
struct cursor {
    const uint8_t *p;
    size_t left;
};

static rc_t take(struct cursor *in, size_t len, const uint8_t **out)
{
    if (len > in->left)
        return RC_PROTOCOL;
    *out = in->p;
    in->p += len;
    in->left -= len;
    return RC_OK;
}

static rc_t take_u32(struct cursor *in, uint32_t *out)
{
    const uint8_t *p;
    TRY(take(in, 4, &p));
    *out = load_be32(p);
    return RC_OK;
}

static rc_t take_u64(struct cursor *in, uint64_t *out)
{
    const uint8_t *p;
    TRY(take(in, 8, &p));
    *out = load_be64(p);
    return RC_OK;
}

static rc_t take_control(struct cursor *in, struct control *out)
{
    const uint8_t *p;
    TRY(take(in, CONTROL_BYTES, &p));
    return control_decode(bytes_of(p, CONTROL_BYTES), out) == RC_OK ? RC_OK : RC_PROTOCOL;
}

/* The record as a row has it, and its MAC. One that cannot be is damage in the row, not a breach of
 * the protocol by the worker, which only passes rows on: the call is refused, the peer stays. */
static rc_t take_stored(struct cursor *in, struct vault_call *out)
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

static rc_t take_raw(struct cursor *in, uint8_t *out, size_t len)
{
    const uint8_t *p;
    TRY(take(in, len, &p));
    memcpy(out, p, len);
    return RC_OK;
}

static struct bytes take_rest(struct cursor *in)
{
    struct bytes rest = bytes_of(in->p, in->left);
    in->p += in->left;
    in->left = 0;
    return rest;
}

static rc_t take_sized(struct cursor *in, struct bytes *out)
{
    uint32_t len;
    const uint8_t *p;
    TRY(take_u32(in, &len));
    TRY(take(in, len, &p));
    *out = bytes_of(p, len);
    return RC_OK;
}

static rc_t take_password(struct cursor *in, struct vault_password *p)
{
    TRY(take_raw(in, p->client.raw, sizeof p->client.raw));
    TRY(take_u32(in, &p->cost.log2));
    TRY(take_u32(in, &p->cost.block_size));
    TRY(take_u32(in, &p->cost.parallel));
    TRY(take_raw(in, p->hash, sizeof p->hash));
    return take_sized(in, &p->salt);
}

static rc_t take_fields(struct cursor *in, struct vault_call *out)
{
    switch (out->op) {
    case VAULT_GENERATE:
        TRY(take_u64(in, &out->domain));
        TRY(take_control(in, &out->control));
        return take_u32(in, &out->key_format);
    case VAULT_GENERATE_PAIR:
        TRY(take_u64(in, &out->domain));
        TRY(take_control(in, &out->control));
        TRY(take_control(in, &out->control_public));
        TRY(take_u32(in, &out->key_format));
        return take_u32(in, &out->key_format_public);
    case VAULT_REGISTER:
        TRY(take_u64(in, &out->domain));
        TRY(take_control(in, &out->control));
        TRY(take_u32(in, &out->key_format));
        out->material = take_rest(in);
        return RC_OK;
    case VAULT_GET:
        TRY(take_u64(in, &out->domain));
        TRY(take_stored(in, out));
        TRY(take_u32(in, &out->key_format));
        out->material = take_rest(in);
        return RC_OK;
    case VAULT_TRANSITION:
        TRY(take_u64(in, &out->domain));
        TRY(take_stored(in, out));
        return take_control(in, &out->next);
    case VAULT_PASSWORD:
        TRY(take_password(in, &out->password));
        out->material = take_rest(in);
        return RC_OK;
    case VAULT_UNSEAL:
        out->hierarchy = take_rest(in);
        return RC_OK;
    case VAULT_STATUS:
        return RC_OK;
    case VAULT_ADMIN:
        out->body = take_rest(in);
        return RC_OK;
    case VAULT_DOMAIN_KEY:
        return take_u64(in, &out->domain);
    case VAULT_OP_END:
        break;
    }
    return RC_PROTOCOL;
}

rc_t vault_call_read(const struct frame *frame, struct vault_call *out)
{
    if (frame->rc != 0)
        return RC_PROTOCOL;
    struct cursor in = {frame->payload.data, frame->payload.len};
    *out = (struct vault_call){.op = (enum vault_op)frame->code};
    TRY(take_fields(&in, out));
    return in.left == 0 ? RC_OK : RC_PROTOCOL;
}

/* One half of a pair. */
static rc_t put_half(struct buf *out, const struct vault_half *h)
{
    TRY(buf_add(out, h->mac, sizeof h->mac));
    TRY(buf_add(out, h->digest, sizeof h->digest));
    TRY(buf_add_be32(out, h->key_format));
    TRY(buf_add(out, h->other_digest, sizeof h->other_digest));
    TRY(buf_add_be32(out, h->other_format));
    return put_sized(out, h->envelope);
}

static rc_t take_half(struct cursor *in, struct vault_half *h)
{
    TRY(take_raw(in, h->mac, sizeof h->mac));
    TRY(take_raw(in, h->digest, sizeof h->digest));
    TRY(take_u32(in, &h->key_format));
    TRY(take_raw(in, h->other_digest, sizeof h->other_digest));
    TRY(take_u32(in, &h->other_format));
    return take_sized(in, &h->envelope);
}

/* The reply's own half: that of the private key, or of the one key there is. */
static struct vault_half first_half(const struct vault_reply *r)
{
    struct vault_half h = {
        .envelope = r->envelope, .key_format = r->key_format, .other_format = r->other_format};
    memcpy(h.mac, r->mac, sizeof h.mac);
    memcpy(h.digest, r->digest, sizeof h.digest);
    memcpy(h.other_digest, r->other_digest, sizeof h.other_digest);
    return h;
}

static void set_first_half(struct vault_reply *r, const struct vault_half *h)
{
    r->envelope = h->envelope;
    r->key_format = h->key_format;
    r->other_format = h->other_format;
    memcpy(r->mac, h->mac, sizeof r->mac);
    memcpy(r->digest, h->digest, sizeof r->digest);
    memcpy(r->other_digest, h->other_digest, sizeof r->other_digest);
}

static rc_t put_made(struct buf *out, const struct vault_reply *r)
{
    const struct vault_half h = first_half(r);
    TRY(buf_add_be32(out, r->algorithm));
    TRY(buf_add_be32(out, r->length));
    TRY(buf_add_be32(out, r->curve));
    return put_half(out, &h);
}

static rc_t take_made(struct cursor *in, struct vault_reply *r)
{
    struct vault_half h = {0};
    TRY(take_u32(in, &r->algorithm));
    TRY(take_u32(in, &r->length));
    TRY(take_u32(in, &r->curve));
    TRY(take_half(in, &h));
    set_first_half(r, &h);
    return RC_OK;
}

static rc_t put_answer(struct buf *out, enum vault_op op, const struct vault_reply *r)
{
    if (r->rc != RC_OK)
        return buf_add_bytes(out, r->status);
    switch (op) {
    case VAULT_GENERATE:
    case VAULT_REGISTER:
        return put_made(out, r);
    case VAULT_GENERATE_PAIR:
        TRY(put_made(out, r));
        return put_half(out, &r->half);
    case VAULT_GET:
        TRY(buf_add_be32(out, r->key_format));
        return buf_add_bytes(out, r->plain);
    case VAULT_TRANSITION:
        return buf_add(out, r->mac, sizeof r->mac);
    default:
        return buf_add_bytes(out, r->status);
    }
}

/* Room for the fixed fields of any reply. */
enum { REPLY_FIXED_MOST = 12 + 2 * (CONTROL_MAC_BYTES + 2 * 32 + 2 * 4 + 4) };

rc_t vault_reply_write(struct frame_writer *w, enum vault_op op, uint64_t id,
                       const struct vault_reply *reply)
{
    size_t mark;
    TRY(frame_open(w, (uint16_t)op, id,
                   REPLY_FIXED_MOST + reply->envelope.len + reply->half.envelope.len +
                       reply->plain.len + reply->status.len,
                   &mark));
    rc_t rc = put_answer(&w->out, op, reply);
    if (rc != RC_OK) {
        frame_undo(w, mark);
        return rc;
    }
    frame_close(w, mark, reply->rc);
    return RC_OK;
}

rc_t vault_reply_read(const struct frame *frame, struct vault_reply *out)
{
    if (frame->rc >= RC_COUNT)
        return RC_PROTOCOL;
    struct cursor in = {frame->payload.data, frame->payload.len};
    *out = (struct vault_reply){.rc = (rc_t)frame->rc};
    enum vault_op op = out->rc == RC_OK ? (enum vault_op)frame->code : VAULT_STATUS;
    switch (op) {
    case VAULT_GENERATE:
    case VAULT_REGISTER:
        TRY(take_made(&in, out));
        break;
    case VAULT_GENERATE_PAIR:
        TRY(take_made(&in, out));
        TRY(take_half(&in, &out->half));
        break;
    case VAULT_GET:
        TRY(take_u32(&in, &out->key_format));
        out->plain = take_rest(&in);
        break;
    case VAULT_TRANSITION:
        TRY(take_raw(&in, out->mac, sizeof out->mac));
        break;
    default:
        out->status = take_rest(&in);
        break;
    }
    return in.left == 0 ? RC_OK : RC_PROTOCOL;
}

rc_t vault_reply_keep(struct vault_reply *reply, struct arena *arena)
{
    struct bytes *const views[] = {&reply->envelope, &reply->half.envelope, &reply->plain, &reply->status};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        *views[i] = arena_copy(arena, *views[i]);
        if (!views[i]->data)
            return RC_NO_MEMORY;
    }
    return RC_OK;
}

bool vault_reply_fits(uint16_t code, uint32_t len, void *arg)
{
    (void)arg;
    return code < VAULT_OP_END && calls[code].name && len <= VAULT_REPLY_MAX;
}
