/* The vault's calls and replies as frames; see wire.h. Knows layouts only: no key, no socket, no
 * clock. */
#include "server/vault/wire.h"

#include "server/vault/wire_fields.h"

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

static rc_t put_fields(struct buf *out, const struct vault_call *call)
{
    switch (call->op) {
    case VAULT_GENERATE:
        TRY(buf_add_be64(out, call->domain));
        TRY(wire_put_control(out, &call->control));
        return buf_add_be32(out, call->key_format);
    case VAULT_GENERATE_PAIR:
        TRY(buf_add_be64(out, call->domain));
        TRY(wire_put_control(out, &call->control));
        TRY(wire_put_control(out, &call->control_public));
        TRY(buf_add_be32(out, call->key_format));
        return buf_add_be32(out, call->key_format_public);
    case VAULT_REGISTER:
        TRY(buf_add_be64(out, call->domain));
        TRY(wire_put_control(out, &call->control));
        TRY(buf_add_be32(out, call->key_format));
        return buf_add_bytes(out, call->material);
    case VAULT_GET:
        TRY(buf_add_be64(out, call->domain));
        TRY(wire_put_control(out, &call->control));
        TRY(buf_add(out, call->mac, sizeof call->mac));
        TRY(buf_add_be32(out, call->key_format));
        return buf_add_bytes(out, call->material);
    case VAULT_TRANSITION:
        TRY(buf_add_be64(out, call->domain));
        TRY(wire_put_control(out, &call->control));
        TRY(buf_add(out, call->mac, sizeof call->mac));
        return wire_put_control(out, &call->next);
    case VAULT_PASSWORD:
        TRY(wire_put_password(out, &call->password));
        return buf_add_bytes(out, call->material);
    case VAULT_CIPHER:
        return wire_put_cipher(out, call);
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

/* Each is cut to more than may be sent, so that the sum cannot overflow. */
static size_t sum_of_cipher(const struct vault_call *call)
{
    const struct vault_cipher *c = &call->cipher;
    const size_t lengths[] = {c->iv.len, c->additional.len, c->tag.len, c->data.len, call->material.len};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        sum += lengths[i] > UINT32_MAX / 8 ? UINT32_MAX / 8 : lengths[i];
    return sum;
}

static size_t variable_len(const struct vault_call *call)
{
    switch (call->op) {
    case VAULT_REGISTER:
    case VAULT_GET:
    case VAULT_PASSWORD:
        return call->material.len;
    case VAULT_CIPHER:
        return sum_of_cipher(call);
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

static rc_t take_fields(struct wire_cursor *in, struct vault_call *out)
{
    switch (out->op) {
    case VAULT_GENERATE:
        TRY(wire_take_u64(in, &out->domain));
        TRY(wire_take_control(in, &out->control));
        return wire_take_u32(in, &out->key_format);
    case VAULT_GENERATE_PAIR:
        TRY(wire_take_u64(in, &out->domain));
        TRY(wire_take_control(in, &out->control));
        TRY(wire_take_control(in, &out->control_public));
        TRY(wire_take_u32(in, &out->key_format));
        return wire_take_u32(in, &out->key_format_public);
    case VAULT_REGISTER:
        TRY(wire_take_u64(in, &out->domain));
        TRY(wire_take_control(in, &out->control));
        TRY(wire_take_u32(in, &out->key_format));
        out->material = wire_take_rest(in);
        return RC_OK;
    case VAULT_GET:
        TRY(wire_take_u64(in, &out->domain));
        TRY(wire_take_stored(in, out));
        TRY(wire_take_u32(in, &out->key_format));
        out->material = wire_take_rest(in);
        return RC_OK;
    case VAULT_TRANSITION:
        TRY(wire_take_u64(in, &out->domain));
        TRY(wire_take_stored(in, out));
        return wire_take_control(in, &out->next);
    case VAULT_PASSWORD:
        TRY(wire_take_password(in, &out->password));
        out->material = wire_take_rest(in);
        return RC_OK;
    case VAULT_CIPHER:
        return wire_take_cipher(in, out);
    case VAULT_UNSEAL:
        out->hierarchy = wire_take_rest(in);
        return RC_OK;
    case VAULT_STATUS:
        return RC_OK;
    case VAULT_ADMIN:
        out->body = wire_take_rest(in);
        return RC_OK;
    case VAULT_DOMAIN_KEY:
        return wire_take_u64(in, &out->domain);
    case VAULT_OP_END:
        break;
    }
    return RC_PROTOCOL;
}

rc_t vault_call_read(const struct frame *frame, struct vault_call *out)
{
    if (frame->rc != 0)
        return RC_PROTOCOL;
    struct wire_cursor in = {frame->payload.data, frame->payload.len};
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
    return wire_put_sized(out, h->envelope);
}

static rc_t take_half(struct wire_cursor *in, struct vault_half *h)
{
    TRY(wire_take_raw(in, h->mac, sizeof h->mac));
    TRY(wire_take_raw(in, h->digest, sizeof h->digest));
    TRY(wire_take_u32(in, &h->key_format));
    TRY(wire_take_raw(in, h->other_digest, sizeof h->other_digest));
    TRY(wire_take_u32(in, &h->other_format));
    return wire_take_sized(in, &h->envelope);
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

static rc_t take_made(struct wire_cursor *in, struct vault_reply *r)
{
    struct vault_half h = {0};
    TRY(wire_take_u32(in, &r->algorithm));
    TRY(wire_take_u32(in, &r->length));
    TRY(wire_take_u32(in, &r->curve));
    TRY(take_half(in, &h));
    set_first_half(r, &h);
    return RC_OK;
}

static rc_t put_output(struct buf *out, const struct vault_reply *r)
{
    TRY(buf_add_be32(out, (uint32_t)r->iv_bytes));
    TRY(buf_add(out, r->iv, sizeof r->iv));
    TRY(buf_add_be32(out, (uint32_t)r->tag_bytes));
    TRY(buf_add(out, r->tag, sizeof r->tag));
    return buf_add_bytes(out, r->plain);
}

static rc_t take_output(struct wire_cursor *in, struct vault_reply *r)
{
    TRY(wire_take_part(in, r->iv, sizeof r->iv, &r->iv_bytes));
    TRY(wire_take_part(in, r->tag, sizeof r->tag, &r->tag_bytes));
    r->plain = wire_take_rest(in);
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
    case VAULT_CIPHER:
        return put_output(out, r);
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
    struct wire_cursor in = {frame->payload.data, frame->payload.len};
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
        TRY(wire_take_u32(&in, &out->key_format));
        out->plain = wire_take_rest(&in);
        break;
    case VAULT_CIPHER:
        TRY(take_output(&in, out));
        break;
    case VAULT_TRANSITION:
        TRY(wire_take_raw(&in, out->mac, sizeof out->mac));
        break;
    default:
        out->status = wire_take_rest(&in);
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
