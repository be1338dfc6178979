/*
 * The key hierarchy in its tables, by one table of columns for all five; see hierarchy.h.
 */
#include "db/hierarchy.h"

#include <stdlib.h>

#include "db/admin_impl.h"
#include "db/impl.h"
#include "server/base/log.h"

enum kind { UID, U32, U64, BYTES };

struct column {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define NODE(name, kind)                                                                           \
    {                                                                                              \
#name, kind, offsetof(struct hierarchy_node, name)                                         \
    }
#define CR(name, kind)                                                                             \
    {                                                                                              \
#name, kind, offsetof(struct hierarchy_cr, name)                                           \
    }
#define CS(name, kind)                                                                             \
    {                                                                                              \
#name, kind, offsetof(struct hierarchy_cs, name)                                           \
    }
#define EP(name, kind)                                                                             \
    {                                                                                              \
#name, kind, offsetof(struct hierarchy_ep, name)                                           \
    }
#define DK(name, kind)                                                                             \
    {                                                                                              \
#name, kind, offsetof(struct hierarchy_dk, name)                                           \
    }

static const struct column node_columns[] = {
    NODE(id, UID),           NODE(ek_cert, BYTES), NODE(ak_pub, BYTES), NODE(srk_pub, BYTES),
    NODE(cr_id, U32),        NODE(cr_priv, BYTES), NODE(pcr_mask, U32), NODE(approval, U64),
    NODE(use_policy, BYTES), NODE(use_sig, BYTES), NODE(nv_auth, BYTES)};
static const struct column cr_columns[] = {
    CR(id, U32),         CR(state, U32),           CR(pub, BYTES),
    CR(auth_pub, BYTES), CR(escrow_digest, BYTES), CR(escrow_proof, BYTES)};
static const struct column cs_columns[] = {CS(cr_id, U32), CS(pub, BYTES), CS(priv, BYTES)};
static const struct column ep_columns[] = {EP(epoch, U32), EP(cr_id, U32),  EP(state, U32),
                                           EP(pub, BYTES), EP(priv, BYTES), EP(mac, BYTES)};
static const struct column dk_columns[] = {DK(domain, U64), DK(epoch, U32), DK(ep_epoch, U32),
                                           DK(state, U32),  DK(pub, BYTES), DK(priv, BYTES),
                                           DK(mac, BYTES)};

static const struct table {
    const char *name;
    const struct column *columns;
    size_t count;
    size_t keys; /* the first ones are the key */
    size_t row_size;
    size_t rows, row_count; /* offsets in struct hierarchy */
} tables[] = {
#define TABLE(name, keys, type, rows, count)                                                       \
    {                                                                                              \
        "kmip." #name, name##_columns, sizeof name##_columns / sizeof *name##_columns, keys,       \
            sizeof(struct type), offsetof(struct hierarchy, rows),                                 \
            offsetof(struct hierarchy, count)                                                      \
    }
    TABLE(node, 1, hierarchy_node, nodes, node_count), TABLE(cr, 1, hierarchy_cr, crs, cr_count),
    TABLE(cs, 1, hierarchy_cs, css, cs_count),         TABLE(ep, 1, hierarchy_ep, eps, ep_count),
    TABLE(dk, 2, hierarchy_dk, dks, dk_count),
};
enum { TABLES = sizeof tables / sizeof *tables };

static const char *sql_type(enum kind kind)
{
    return kind == UID ? "uuid" : kind == BYTES ? "bytea" : "int8";
}

/* ---- reading ---- */

static rc_t select_sql(const struct table *t, struct buf *sql)
{
    TRY(buf_add_str(sql, "SELECT "));
    for (size_t i = 0; i < t->count; i++)
        TRY(buf_add_fmt(sql, "%s%s", i ? ", " : "", t->columns[i].name));
    TRY(buf_add_fmt(sql, " FROM %s ORDER BY 1%s LIMIT %d", t->name, t->keys > 1 ? ", 2" : "",
                    HIERARCHY_ROWS_MAX + 1));
    return buf_add_u8(sql, 0);
}

static rc_t read_field(const PGresult *r, int row, int col, const struct column *column,
                       struct arena *arena, char *at)
{
    void *field = at + column->offset;
    int64_t v = 0;
    struct bytes from, *to = field;
    switch (column->kind) {
    case UID:
        return pg_get_uid(r, row, col, field) ? RC_OK : RC_INTEGRITY;
    case U32:
        return pg_get_u32(r, row, col, field) ? RC_OK : RC_INTEGRITY;
    case U64:
        if (!pg_get_i8(r, row, col, &v) || v < 0)
            return RC_INTEGRITY;
        *(uint64_t *)field = (uint64_t)v;
        return RC_OK;
    case BYTES:
        from = pg_get_bytes(r, row, col);
        if (from.len > HIERARCHY_FIELD_MAX)
            return RC_TOO_LARGE;
        *to = arena_copy(arena, from);
        return from.len && !to->data ? RC_NO_MEMORY : RC_OK;
    }
    return RC_INTERNAL;
}

static rc_t read_table(const struct table *t, const PGresult *r, struct arena *arena,
                       struct hierarchy *out)
{
    int rows = PQntuples(r);
    if (rows > HIERARCHY_ROWS_MAX)
        return RC_TOO_LARGE;
    char *at = arena_array(arena, rows ? (size_t)rows : 1, t->row_size);
    if (!at)
        return RC_NO_MEMORY;
    *(void **)((char *)out + t->rows) = at;
    *(size_t *)((char *)out + t->row_count) = (size_t)rows;
    for (int row = 0; row < rows; row++, at += t->row_size)
        for (size_t i = 0; i < t->count; i++)
            TRY(read_field(r, row, (int)i, &t->columns[i], arena, at));
    return RC_OK;
}

#define ON_TABLE(n)                                                                                \
    static void on_table_##n(void *arg, const PGresult *r)                                         \
    {                                                                                              \
        on_table(arg, r, &tables[n]);                                                              \
    }

static void on_table(struct db_load *load, const PGresult *r, const struct table *t)
{
    if (load->own.rc != RC_OK)
        return;
    load->own.rc = load_failed(r, "hierarchy") ? RC_UNAVAILABLE
                                               : read_table(t, r, load->arena, load->hierarchy);
}

ON_TABLE(0)
ON_TABLE(1)
ON_TABLE(2)
ON_TABLE(3)
ON_TABLE(4)

static void on_keyless(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    struct db_keyless *out = load->keyless;
    if (load_failed(r, "domains")) {
        load->own.rc = RC_UNAVAILABLE;
        return;
    }
    int64_t id = 0;
    for (int row = 0; row < PQntuples(r) && out->count < DB_KEYLESS_MAX; row++)
        if (pg_get_i8(r, row, 0, &id) && id > 0)
            out->domains[out->count++] = (uint64_t)id;
}

/* All five in one implicit transaction; a worker's vault checks that they fit together anyway. */
rc_t hierarchy_send(struct conn *c, struct db_load *load)
{
    static conn_result_fn *const on_result[TABLES] = {on_table_0, on_table_1, on_table_2,
                                                      on_table_3, on_table_4};
    *load->hierarchy = (struct hierarchy){0};
    load->own.rc = RC_OK;
    for (size_t i = 0; i < TABLES; i++) {
        AUTO_BUF sql = BUF_EMPTY;
        struct pg_params none = {.data = BUF_EMPTY};
        rc_t rc = select_sql(&tables[i], &sql);
        if (rc == RC_OK && !conn_query_text(c, (const char *)sql.data, &none, on_result[i], load))
            rc = RC_UNAVAILABLE;
        pg_params_free(&none);
        if (rc != RC_OK)
            return RC_UNAVAILABLE; /* the connection is given up: earlier ones may be in it */
    }
    if (!load->keyless)
        return RC_OK;
    *load->keyless = (struct db_keyless){0};
    return conn_query(c, STMT_KEYLESS, NULL, on_keyless, load) ? RC_OK : RC_UNAVAILABLE;
}

rc_t db_hierarchy_load(struct db_admin *a, struct arena *arena, struct hierarchy *out)
{
    *out = (struct hierarchy){0};
    TRY(admin_run(a, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    rc_t rc = RC_OK;
    for (size_t i = 0; i < TABLES && rc == RC_OK; i++) {
        AUTO_BUF sql = BUF_EMPTY;
        PGresult *r = NULL;
        rc = select_sql(&tables[i], &sql);
        if (rc == RC_OK)
            rc = admin_query(a, (const char *)sql.data, NULL, &r);
        if (rc == RC_OK)
            rc = read_table(&tables[i], r, arena, out);
        PQclear(r);
    }
    return rc == RC_OK ? admin_run(a, "COMMIT") : admin_give_up(a, rc);
}

rc_t db_hierarchy_is_empty(struct db_admin *a, bool *empty_out)
{
    PGresult *r = NULL;
    bool some = true;
    TRY(admin_query(a, "SELECT EXISTS (SELECT FROM kmip.cr)", NULL, &r));
    bool ok = pg_get_bool(r, 0, 0, &some);
    PQclear(r);
    *empty_out = !some;
    return ok ? RC_OK : RC_INTERNAL;
}

/* ---- writing ---- */

/* INSERT ... VALUES ($1 ...) ON CONFLICT (keys) DO UPDATE SET the others. */
static rc_t upsert_sql(const struct table *t, struct buf *sql)
{
    TRY(buf_add_fmt(sql, "INSERT INTO %s (", t->name));
    for (size_t i = 0; i < t->count; i++)
        TRY(buf_add_fmt(sql, "%s%s", i ? ", " : "", t->columns[i].name));
    TRY(buf_add_str(sql, ") VALUES ("));
    for (size_t i = 0; i < t->count; i++)
        TRY(buf_add_fmt(sql, "%s$%zu::%s", i ? ", " : "", i + 1, sql_type(t->columns[i].kind)));
    TRY(buf_add_str(sql, ") ON CONFLICT ("));
    for (size_t i = 0; i < t->keys; i++)
        TRY(buf_add_fmt(sql, "%s%s", i ? ", " : "", t->columns[i].name));
    TRY(buf_add_str(sql, ") DO UPDATE SET changed_at = now()"));
    for (size_t i = t->keys; i < t->count; i++)
        TRY(buf_add_fmt(sql, ", %s = excluded.%s", t->columns[i].name, t->columns[i].name));
    return buf_add_u8(sql, 0);
}

static rc_t put_field(struct pg_params *p, const struct column *column, const char *at)
{
    const void *field = at + column->offset;
    struct bytes b;
    switch (column->kind) {
    case UID:
        return pg_param_uid(p, field);
    case U32:
        return pg_param_i8(p, *(const uint32_t *)field);
    case U64:
        if (*(const uint64_t *)field > INT64_MAX)
            return RC_INVALID_FIELD;
        return pg_param_i8(p, (int64_t) * (const uint64_t *)field);
    case BYTES:
        memcpy(&b, field, sizeof b);
        if (b.len > HIERARCHY_FIELD_MAX)
            return RC_TOO_LARGE;
        return b.len ? pg_param_bytes(p, b) : pg_param_null(p);
    }
    return RC_INTERNAL;
}

/* Calls `send` for each row with its statement and parameters. */
typedef rc_t send_fn(void *arg, const char *sql, struct pg_params *p);

static rc_t each_row(const struct hierarchy *h, send_fn *send, void *arg)
{
    struct pg_params p = {.data = BUF_EMPTY};
    rc_t rc = RC_OK;
    for (size_t t = 0; t < TABLES && rc == RC_OK; t++) {
        const char *at = *(char *const *)((const char *)h + tables[t].rows);
        size_t rows = *(const size_t *)((const char *)h + tables[t].row_count);
        AUTO_BUF sql = BUF_EMPTY;
        rc = upsert_sql(&tables[t], &sql);
        for (size_t row = 0; row < rows && rc == RC_OK; row++, at += tables[t].row_size) {
            pg_params_clear(&p);
            for (size_t i = 0; i < tables[t].count && rc == RC_OK; i++)
                rc = put_field(&p, &tables[t].columns[i], at);
            if (rc == RC_OK)
                rc = send(arg, (const char *)sql.data, &p);
        }
    }
    pg_params_free(&p);
    return rc;
}

static rc_t send_sync(void *arg, const char *sql, struct pg_params *p)
{
    PGresult *r = NULL;
    rc_t rc = admin_query(arg, sql, p, &r);
    PQclear(r);
    return rc;
}

/* The one thing here that the server's role may not do. */
static rc_t anchor(struct db_admin *a, const struct hierarchy_node *node)
{
    struct pg_params p = {.data = BUF_EMPTY};
    rc_t rc = pg_param_uid(&p, &node->id);
    if (rc == RC_OK)
        rc = pg_param_bytes(&p, node->ak_pub);
    if (rc == RC_OK)
        rc = send_sync(a, "SELECT audit.anchor_signer($1::uuid, $2::bytea)", &p);
    pg_params_free(&p);
    return rc;
}

rc_t db_hierarchy_may_enrol(struct db_admin *a)
{
    PGresult *r = NULL;
    bool may = false;
    TRY(admin_query(a,
                    "SELECT coalesce(has_function_privilege(to_regprocedure("
                    "'audit.anchor_signer(uuid, bytea)'), 'EXECUTE'), false)",
                    NULL, &r));
    (void)pg_get_bool(r, 0, 0, &may);
    PQclear(r);
    return may ? RC_OK
               : admin_fail(a, RC_DENIED, "this database user may not say whose stubs of audit months are believed");
}

rc_t db_hierarchy_store(struct db_admin *a, const struct hierarchy *rows, const struct hierarchy_node *enrolled,
                        const char *operation, const char *detail)
{
    TRY(admin_run(a, "BEGIN"));
    rc_t rc = each_row(rows, send_sync, a);
    if (rc == RC_OK && enrolled)
        rc = anchor(a, enrolled);
    if (rc == RC_OK)
        rc = db_audit_note(a, operation, detail);
    return rc == RC_OK ? admin_run(a, "COMMIT") : admin_give_up(a, rc);
}

/* ---- keys of new domains ---- */

struct domain_key_call {
    db_domain_key_fn *done;
    void *arg;
    rc_t rc;
};

static void key_on_result(void *arg, const PGresult *r)
{
    struct domain_key_call *call = arg;
    if (load_failed(r, "domain key"))
        call->rc = r ? RC_INTERNAL : RC_UNAVAILABLE;
}

static void key_on_sync(void *arg, bool ok)
{
    struct domain_key_call *call = arg;
    call->done(call->arg, ok ? call->rc : RC_UNAVAILABLE);
    free(call);
}

/* One statement, hence one transaction. */
static void key_send(struct db *db, enum statement statement, struct pg_params *p,
                     db_domain_key_fn *done, void *arg)
{
    struct domain_key_call *call = calloc(1, sizeof *call);
    if (!call || !conn_ready(db->load)) {
        free(call);
        done(arg, call ? RC_UNAVAILABLE : RC_NO_MEMORY);
        return;
    }
    *call = (struct domain_key_call){done, arg, RC_OK};
    if (conn_query(db->load, statement, p, key_on_result, call) &&
        conn_sync(db->load, key_on_sync, call))
        return;
    conn_reset(db->load, "a domain key could not be sent");
    key_on_sync(call, false);
}

void db_domain_key_add(struct db *db, const struct hierarchy_dk *row, db_domain_key_fn *done,
                       void *arg)
{
    struct pg_params p = {.data = BUF_EMPTY};
    const struct bytes fields[] = {row->pub, row->priv, row->mac};
    rc_t rc = row->domain > INT64_MAX ? RC_INVALID_FIELD : pg_param_i8(&p, (int64_t)row->domain);
    if (rc == RC_OK)
        rc = pg_param_i8(&p, row->epoch);
    if (rc == RC_OK)
        rc = pg_param_i8(&p, row->ep_epoch);
    for (size_t i = 0; i < sizeof fields / sizeof *fields && rc == RC_OK; i++)
        rc = pg_param_bytes(&p, fields[i]);
    if (rc == RC_OK)
        key_send(db, STMT_ADD_DOMAIN_KEY, &p, done, arg);
    else
        done(arg, rc);
    pg_params_free(&p);
}

void db_domain_keyed(struct db *db, uint64_t domain, db_domain_key_fn *done, void *arg)
{
    struct pg_params p = {.data = BUF_EMPTY};
    rc_t rc = domain > INT64_MAX ? RC_INVALID_FIELD : pg_param_i8(&p, (int64_t)domain);
    if (rc == RC_OK)
        key_send(db, STMT_DOMAIN_KEYED, &p, done, arg);
    else
        done(arg, rc);
    pg_params_free(&p);
}
