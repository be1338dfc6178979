/* The form of ceremony steps on the socket: fixed numbers, then byte fields with their lengths; see
 * admin.h. */
#include "server/vault/admin.h"

enum { REQUEST_FIELDS = 8, ANSWER_FIELDS = 9, NUMBERS_BYTES = 1 + 16 + 4 + 4 + 1 + 8 };

static rc_t put_fields(struct buf *out, const struct bytes *const fields[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i]->len > UINT32_MAX)
            return RC_TOO_LARGE;
        TRY(buf_add_be32(out, (uint32_t)fields[i]->len));
        TRY(buf_add_bytes(out, *fields[i]));
    }
    return RC_OK;
}

/* All fields, and then the end. */
static rc_t take_fields(struct bytes in, struct bytes *const fields[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (in.len < 4)
            return RC_PROTOCOL;
        uint32_t len = load_be32(in.data);
        if (len > in.len - 4)
            return RC_PROTOCOL;
        *fields[i] = bytes_of(in.data + 4, len);
        in = bytes_of(in.data + 4 + len, in.len - 4 - len);
    }
    return in.len == 0 ? RC_OK : RC_PROTOCOL;
}

rc_t admin_request_encode(const struct admin_request *r, struct buf *out)
{
    const struct bytes *const fields[REQUEST_FIELDS] = {
        &r->auth_pub,   &r->pending, &r->response, &r->rows,
        &r->node_state, &r->escrow,  &r->rec_key,  &r->auth_key,
    };
    TRY(buf_add_u8(out, (uint8_t)r->step));
    TRY(buf_add(out, r->node.raw, sizeof r->node.raw));
    TRY(buf_add_be32(out, r->pcr_mask));
    TRY(buf_add_be32(out, r->nv_base));
    TRY(buf_add_u8(out, r->replace_nv));
    TRY(buf_add_be64(out, r->domain));
    return put_fields(out, fields, REQUEST_FIELDS);
}

rc_t admin_request_decode(struct bytes in, struct admin_request *out)
{
    struct bytes *const fields[REQUEST_FIELDS] = {
        &out->auth_pub,   &out->pending, &out->response, &out->rows,
        &out->node_state, &out->escrow,  &out->rec_key,  &out->auth_key,
    };
    if (in.len < NUMBERS_BYTES)
        return RC_PROTOCOL;
    const uint8_t *p = in.data;
    if (p[0] == 0 || p[0] >= ADMIN_STEP_END || p[25] > 1)
        return RC_PROTOCOL;
    out->step = (enum admin_step)p[0];
    memcpy(out->node.raw, p + 1, sizeof out->node.raw);
    out->pcr_mask = load_be32(p + 17);
    out->nv_base = load_be32(p + 21);
    out->replace_nv = p[25];
    out->domain = load_be64(p + 26);
    return take_fields(bytes_of(p + NUMBERS_BYTES, in.len - NUMBERS_BYTES), fields, REQUEST_FIELDS);
}

rc_t admin_answer_encode(const struct admin_answer *a, struct buf *out)
{
    const struct bytes *const fields[ANSWER_FIELDS] = {
        &a->pending,  &a->request,  &a->hierarchy, &a->node_state, &a->escrow,
        &a->auth_key, &a->auth_pub, &a->rec_key,   &a->rec_pub,
    };
    return put_fields(out, fields, ANSWER_FIELDS);
}

rc_t admin_answer_decode(struct bytes in, struct admin_answer *out)
{
    struct bytes *const fields[ANSWER_FIELDS] = {
        &out->pending,  &out->request,  &out->hierarchy, &out->node_state, &out->escrow,
        &out->auth_key, &out->auth_pub, &out->rec_key,   &out->rec_pub,
    };
    return take_fields(in, fields, ANSWER_FIELDS);
}
