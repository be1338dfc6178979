/*
 * PostgreSQL's binary forms; see pgbin.h.
 */
#include "db/pgbin.h"

enum { PARAMS_BYTES_MAX = 512 << 20 };

rc_t pg_array(struct buf *out, Oid element, size_t n)
{
    TRY(buf_add_be32(out, n ? 1 : 0)); /* dimensions */
    TRY(buf_add_be32(out, 0));         /* no NULLs */
    TRY(buf_add_be32(out, element));
    if (n == 0)
        return RC_OK;
    if (n > INT32_MAX)
        return RC_TOO_MANY;
    TRY(buf_add_be32(out, (uint32_t)n));
    return buf_add_be32(out, 1); /* first index */
}

rc_t pg_element_uid(struct buf *out, const struct uid *u)
{
    TRY(buf_add_be32(out, sizeof u->raw));
    return buf_add(out, u->raw, sizeof u->raw);
}

rc_t pg_element_i4(struct buf *out, int32_t v)
{
    TRY(buf_add_be32(out, 4));
    return buf_add_be32(out, (uint32_t)v);
}

rc_t pg_element_i8(struct buf *out, int64_t v)
{
    TRY(buf_add_be32(out, 8));
    return buf_add_be64(out, (uint64_t)v);
}

rc_t pg_element_bytes(struct buf *out, struct bytes v)
{
    if (v.len > PARAMS_BYTES_MAX)
        return RC_TOO_LARGE;
    TRY(buf_add_be32(out, (uint32_t)v.len));
    return buf_add_bytes(out, v);
}

rc_t pg_row_begin(struct buf *out, uint32_t fields, size_t *mark_out)
{
    *mark_out = out->len;
    TRY(buf_add_be32(out, 0));
    return buf_add_be32(out, fields);
}

void pg_row_end(struct buf *out, size_t mark)
{
    store_be32(out->data + mark, (uint32_t)(out->len - mark - 4));
}

rc_t pg_field_null(struct buf *out, Oid type)
{
    TRY(buf_add_be32(out, type));
    return buf_add_be32(out, UINT32_MAX);
}

rc_t pg_field_bool(struct buf *out, bool v)
{
    TRY(buf_add_be32(out, OID_BOOL));
    TRY(buf_add_be32(out, 1));
    return buf_add_u8(out, v);
}

rc_t pg_field_i4(struct buf *out, int32_t v)
{
    TRY(buf_add_be32(out, OID_INT4));
    return pg_element_i4(out, v);
}

rc_t pg_field_i8(struct buf *out, int64_t v)
{
    TRY(buf_add_be32(out, OID_INT8));
    return pg_element_i8(out, v);
}

rc_t pg_field_date(struct buf *out, int64_t seconds)
{
    return seconds == NO_DATE ? pg_field_null(out, OID_INT8) : pg_field_i8(out, seconds);
}

rc_t pg_field_time(struct buf *out, int64_t unix_us)
{
    TRY(buf_add_be32(out, OID_TIMESTAMPTZ));
    return pg_element_i8(out, unix_us - PG_EPOCH_US);
}

rc_t pg_field_uid(struct buf *out, const struct uid *u, bool nil_is_null)
{
    if (nil_is_null && uid_is_nil(u))
        return pg_field_null(out, OID_UUID);
    TRY(buf_add_be32(out, OID_UUID));
    return pg_element_uid(out, u);
}

rc_t pg_field_bytes(struct buf *out, Oid type, struct bytes v)
{
    TRY(buf_add_be32(out, type));
    return pg_element_bytes(out, v);
}

rc_t pg_field_text(struct buf *out, struct bytes v)
{
    return v.len ? pg_field_bytes(out, OID_TEXT, v) : pg_field_null(out, OID_TEXT);
}

rc_t pg_field_jsonb(struct buf *out, struct bytes json)
{
    if (json.len == 0)
        return pg_field_null(out, OID_JSONB);
    if (json.len > PARAMS_BYTES_MAX)
        return RC_TOO_LARGE;
    TRY(buf_add_be32(out, OID_JSONB));
    TRY(buf_add_be32(out, (uint32_t)json.len + 1));
    TRY(buf_add_u8(out, 1)); /* version of the binary form */
    return buf_add_bytes(out, json);
}

rc_t pg_param(struct pg_params *p)
{
    if (p->count == PG_PARAMS_MAX)
        return RC_TOO_MANY;
    p->null[p->count] = false;
    p->start[p->count++] = p->data.len;
    return RC_OK;
}

rc_t pg_param_null(struct pg_params *p)
{
    TRY(pg_param(p));
    p->null[p->count - 1] = true;
    return RC_OK;
}

rc_t pg_param_bytes(struct pg_params *p, struct bytes v)
{
    TRY(pg_param(p));
    return buf_add_bytes(&p->data, v);
}

rc_t pg_param_uid(struct pg_params *p, const struct uid *u)
{
    return pg_param_bytes(p, bytes_of(u->raw, sizeof u->raw));
}

rc_t pg_param_i8(struct pg_params *p, int64_t v)
{
    TRY(pg_param(p));
    return buf_add_be64(&p->data, (uint64_t)v);
}

rc_t pg_param_bool(struct pg_params *p, bool v)
{
    TRY(pg_param(p));
    return buf_add_u8(&p->data, v);
}

rc_t pg_param_jsonb(struct pg_params *p, struct bytes json)
{
    TRY(pg_param(p));
    TRY(buf_add_u8(&p->data, 1));
    return buf_add_bytes(&p->data, json);
}

rc_t pg_params_ready(struct pg_params *p)
{
    if (p->data.len > PARAMS_BYTES_MAX)
        return RC_TOO_LARGE;
    TRY(buf_reserve(&p->data, 1)); /* so that an empty parameter at the end has an address */
    for (int i = 0; i < p->count; i++) {
        size_t end = i + 1 < p->count ? p->start[i + 1] : p->data.len;
        p->values[i] = p->null[i] ? NULL : (const char *)p->data.data + p->start[i];
        p->lengths[i] = (int)(end - p->start[i]);
        p->formats[i] = 1;
    }
    return RC_OK;
}

void pg_params_clear(struct pg_params *p)
{
    buf_clear(&p->data);
    p->count = 0;
}

void pg_params_free(struct pg_params *p)
{
    buf_free(&p->data);
    p->count = 0;
}

/* The value when it has exactly this length, or NULL. */
static const uint8_t *fixed(const PGresult *r, int row, int col, int len)
{
    if (row >= PQntuples(r) || col >= PQnfields(r) || PQgetisnull(r, row, col) ||
        PQgetlength(r, row, col) != len)
        return NULL;
    return (const uint8_t *)PQgetvalue(r, row, col);
}

bool pg_get_i4(const PGresult *r, int row, int col, int32_t *out)
{
    const uint8_t *p = fixed(r, row, col, 4);
    if (p)
        *out = (int32_t)load_be32(p);
    return p != NULL;
}

bool pg_get_i8(const PGresult *r, int row, int col, int64_t *out)
{
    const uint8_t *p = fixed(r, row, col, 8);
    if (p)
        *out = (int64_t)load_be64(p);
    return p != NULL;
}

bool pg_get_u32(const PGresult *r, int row, int col, uint32_t *out)
{
    int64_t v = 0;
    if (!pg_get_i8(r, row, col, &v) || v < 0 || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

bool pg_get_bool(const PGresult *r, int row, int col, bool *out)
{
    const uint8_t *p = fixed(r, row, col, 1);
    if (p)
        *out = *p != 0;
    return p != NULL;
}

bool pg_get_uid(const PGresult *r, int row, int col, struct uid *out)
{
    const uint8_t *p = fixed(r, row, col, sizeof out->raw);
    if (p)
        memcpy(out->raw, p, sizeof out->raw);
    return p != NULL;
}

bool pg_get_date(const PGresult *r, int row, int col, int64_t *out)
{
    if (row < PQntuples(r) && col < PQnfields(r) && PQgetisnull(r, row, col)) {
        *out = NO_DATE;
        return true;
    }
    return pg_get_i8(r, row, col, out);
}

struct bytes pg_get_bytes(const PGresult *r, int row, int col)
{
    if (row >= PQntuples(r) || col >= PQnfields(r) || PQgetisnull(r, row, col))
        return BYTES_NONE;
    return bytes_of(PQgetvalue(r, row, col), (size_t)PQgetlength(r, row, col));
}

struct bytes pg_get_jsonb(const PGresult *r, int row, int col)
{
    struct bytes b = pg_get_bytes(r, row, col);
    return b.len > 1 && b.data[0] == 1 ? bytes_of(b.data + 1, b.len - 1) : BYTES_NONE;
}
