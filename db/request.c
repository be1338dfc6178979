/*
 * Requests for approval (db/migrations/0022_approvals.sql): the look at one before its operation is
 * decided, and what units have to do with them, beside the other parameters of their group.
 */
#include "db/impl.h"

/* ---- the look ---- */

static void on_request(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    struct db_request *q = &load->request;
    bool ok = !load_failed(r, "request") && PQntuples(r) == 1 && pg_get_i8(r, 0, 0, &q->number) &&
              pg_get_bool(r, 0, 1, &q->approved) && pg_get_i8(r, 0, 2, &q->expired);
    load->own.rc = ok ? RC_OK : RC_UNAVAILABLE;
}

rc_t request_send(struct db *db, struct db_load *load)
{
    const struct db_request *q = &load->request;
    struct pg_params *p = &db->loader.params;
    pg_params_clear(p);
    TRY(pg_param_uid(p, &q->client));
    TRY(pg_param_bytes(p, bytes_str(q->permission)));
    TRY(pg_param_uid(p, &q->object));
    TRY(pg_param(p));
    TRY(buf_add_be32(&p->data, (uint32_t)q->needed));
    return conn_query(db->load, STMT_REQUEST, p, on_request, load) ? RC_OK : RC_UNAVAILABLE;
}

static void on_quota(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    struct db_quota *q = &load->quota;
    bool ok = !load_failed(r, "quota") && PQntuples(r) == 1 && pg_get_i8(r, 0, 0, &q->own) &&
              pg_get_i8(r, 0, 1, &q->domain);
    load->own.rc = ok ? RC_OK : RC_UNAVAILABLE;
}

rc_t quota_send(struct db *db, struct db_load *load)
{
    const struct db_quota *q = &load->quota;
    struct pg_params *p = &db->loader.params;
    pg_params_clear(p);
    TRY(pg_param_uid(p, &q->owner));
    TRY(pg_param(p));
    TRY(buf_add_be64(&p->data, (uint64_t)q->own_most));
    TRY(pg_param(p));
    TRY(buf_add_be64(&p->data, (uint64_t)q->domain_most));
    return conn_query(db->load, STMT_QUOTA, p, on_quota, load) ? RC_OK : RC_UNAVAILABLE;
}

/* ---- claims of a group ---- */

struct claim_column {
    Oid type;
    rc_t (*put)(struct buf *out, const struct db_unit *unit, const struct db_claim *claim);
};

static rc_t put_kind(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)u;
    return pg_element_i4(out, (int32_t)c->kind);
}

static rc_t put_number(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)u;
    return pg_element_i8(out, c->number);
}

static rc_t put_asker(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)c;
    return pg_element_uid(out, &u->client);
}

static rc_t put_permission(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)u;
    return pg_element_bytes(out, bytes_str(c->permission));
}

static rc_t put_object(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)u;
    return pg_element_uid(out, &c->object);
}

static rc_t put_rule(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)u;
    return pg_element_i8(out, c->kind <= DB_CLAIM_USE ? c->rule : c->most);
}

static rc_t put_needed(struct buf *out, const struct db_unit *u, const struct db_claim *c)
{
    (void)u;
    return pg_element_i4(out, c->kind <= DB_CLAIM_USE ? c->needed : c->delta);
}

/* As kmip.commit_claims() takes them: one array for each, a place in all of them for each claim. The last two say of
 * objects how many there may be, and how many more there are. */
static const struct claim_column columns[] = {
    {OID_INT4, put_kind},       {OID_INT8, put_number}, {OID_UUID, put_asker},
    {OID_TEXT, put_permission}, {OID_UUID, put_object}, {OID_INT8, put_rule},
    {OID_INT4, put_needed},
};

rc_t claims_encode(struct pg_params *p, const struct slice *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->units[i]->claim_count;
    for (size_t f = 0; f < sizeof columns / sizeof *columns; f++) {
        TRY(pg_param(p));
        TRY(pg_array(&p->data, columns[f].type, count));
        for (size_t i = 0; i < s->count; i++)
            for (size_t k = 0; k < s->units[i]->claim_count; k++)
                TRY(columns[f].put(&p->data, s->units[i], &s->units[i]->claims[k]));
    }
    return RC_OK;
}
