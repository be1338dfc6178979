/* The second factor that a Credential names: parameters and result of STMT_FACTOR. See db.h. */
#include "db/impl.h"
#include "db/utf8.h"

/* What no text of the database can be is registered for nobody. */
static rc_t add_fact(struct pg_params *p, struct bytes fact)
{
    return fact.data && utf8_storable(fact) ? pg_param_bytes(p, fact) : pg_param_null(p);
}

rc_t factor_send(struct db *db, struct db_load *load, conn_result_fn *on_result)
{
    const struct db_factor *f = &load->factor;
    struct pg_params *p = &db->loader.params;
    pg_params_clear(p);
    TRY(pg_param_uid(p, &f->client));
    TRY(pg_param_bool(p, !f->is_device));
    TRY(add_fact(p, f->username));
    for (int i = 0; i < DB_DEVICE_FACTS; i++)
        TRY(add_fact(p, f->device[i]));
    return conn_query(db->load, STMT_FACTOR, p, on_result, load) ? RC_OK : RC_UNAVAILABLE;
}

rc_t factor_read(struct db_load *load, const PGresult *r)
{
    struct db_factor *f = &load->factor;
    int32_t cost = 0, block_size = 0, parallel = 0;
    f->found = f->has_hash = false;
    if (PQntuples(r) == 0)
        return RC_OK;
    if (!pg_get_bool(r, 0, 0, &f->found) || !pg_get_i8(r, 0, 1, &f->id))
        return RC_INTEGRITY;
    f->has_hash = !PQgetisnull(r, 0, 6);
    if (!f->has_hash)
        return RC_OK;
    if (!pg_get_i4(r, 0, 3, &cost) || !pg_get_i4(r, 0, 4, &block_size) || !pg_get_i4(r, 0, 5, &parallel))
        return RC_INTEGRITY;
    f->cost_log2 = (uint32_t)cost;
    f->block_size = (uint32_t)block_size;
    f->parallel = (uint32_t)parallel;
    f->salt = arena_copy(load->arena, pg_get_bytes(r, 0, 2));
    f->hash = arena_copy(load->arena, pg_get_bytes(r, 0, 6));
    return f->salt.data && f->hash.data ? RC_OK : RC_NO_MEMORY;
}
