/*
 * Locate: builds one SELECT from the filters that are set and keeps it prepared by its shape, so
 * that the usual ones (by name, by group) are planned once for a connection. Values are parameters,
 * always. Whose objects are looked at is in every shape: the index of the owners' objects, of names, of policies or of
 * attributes is used.
 */
#include <stdio.h>
#include <stdlib.h>

#include "db/impl.h"
#include "db/utf8.h"

static const char *const date_columns[DB_DATE_COUNT] = {
    [DB_DATE_INITIAL] = "initial_date",
    [DB_DATE_ACTIVATION] = "activation_date",
    [DB_DATE_PROCESS_START] = "process_start_date",
    [DB_DATE_PROTECT_STOP] = "protect_stop_date",
    [DB_DATE_DEACTIVATION] = "deactivation_date",
    [DB_DATE_COMPROMISE_OCCURRENCE] = "compromise_occurrence_date",
    [DB_DATE_COMPROMISE] = "compromise_date",
    [DB_DATE_DESTROY] = "destroy_date",
    [DB_DATE_LAST_CHANGE] = "last_change_date",
};

static const char *const value_paths[DB_VALUE_COUNT] = {
    [DB_VALUE_ARCHIVE_DATE] = "{ArchiveDate}",
    [DB_VALUE_ORIGINAL_CREATION_DATE] = "{OriginalCreationDate}",
    [DB_VALUE_ROTATE_DATE] = "{RotateDate}",
    [DB_VALUE_USAGE_LIMITS_TOTAL] = "{UsageLimits,UsageLimitsTotal}",
    [DB_VALUE_USAGE_LIMITS_COUNT] = "{UsageLimits,UsageLimitsCount}",
};

/* Filters on one number. */
static const struct {
    unsigned filter;
    const char *text; /* # stands for the parameter */
    size_t field;
} numbers[] = {
    {DB_LOCATE_OBJECT_TYPE, " AND o.object_type = #", offsetof(struct db_locate, object_type)},
    {DB_LOCATE_ALGORITHM, " AND o.algorithm = #", offsetof(struct db_locate, algorithm)},
    {DB_LOCATE_LENGTH, " AND o.length = #", offsetof(struct db_locate, length)},
    {DB_LOCATE_USAGE_MASK, " AND o.usage_mask & # = #", offsetof(struct db_locate, usage_mask)},
    {DB_LOCATE_KEY_FORMAT, " AND o.key_format = #", offsetof(struct db_locate, key_format)},
};

/* The text and the parameters grow together. */
struct query {
    struct buf sql;
    struct pg_params *params;
};

static rc_t add_number(struct query *q, const char *text, int64_t v)
{
    TRY(pg_param_i8(q->params, v));
    for (; *text; text++)
        if (*text == '#')
            TRY(buf_add_fmt(&q->sql, "$%d::int8", q->params->count));
        else
            TRY(buf_add_u8(&q->sql, (uint8_t)*text));
    return RC_OK;
}

static bool wants_destroyed(const struct db_locate *l)
{
    return (l->filters & DB_LOCATE_DESTROYED) ||
           ((l->filters & DB_LOCATE_STATE) && l->state >= STATE_DESTROYED);
}

static bool one_owner(const struct db_locate *l)
{
    return !l->everyone && l->mate_count == 0 && !(l->by_policy && l->policy_count);
}

static rc_t add_owners(struct pg_params *p, const struct db_locate *l)
{
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_UUID, l->mate_count + 1));
    TRY(pg_element_uid(&p->data, &l->owner));
    for (size_t i = 0; i < l->mate_count; i++)
        TRY(pg_element_uid(&p->data, &l->mates[i]));
    return RC_OK;
}

static rc_t add_policies(struct pg_params *p, const struct db_locate *l)
{
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_TEXT, l->policy_count));
    for (size_t i = 0; i < l->policy_count; i++)
        TRY(pg_element_bytes(&p->data, l->policies[i]));
    return RC_OK;
}

/* $1 domain, and $2 owner or owners: whose objects, by the columns of table `t`, which is n or o. */
static rc_t add_whose(struct query *q, const struct db_locate *l, char t)
{
    TRY(buf_add_fmt(&q->sql, "%c.domain = $1::int8", t));
    if (l->everyone || (t == 'n' && l->by_policy && l->policy_count))
        return RC_OK;
    if (one_owner(l))
        return buf_add_fmt(&q->sql, " AND %c.owner = $2::uuid", t);
    if (l->by_policy && l->policy_count)
        return buf_add_str(&q->sql, " AND (o.owner = ANY ($2::uuid[])"
                                    " OR o.attributes ->> 'OperationPolicyName' IS NOT NULL"
                                    " AND left(o.attributes ->> 'OperationPolicyName', 255) = ANY ($3::text[]))");
    return buf_add_fmt(&q->sql, " AND %c.owner = ANY ($2::uuid[])", t);
}

static rc_t begin_params(struct query *q, const struct db_locate *l)
{
    TRY(pg_param_i8(q->params, (int64_t)l->domain));
    if (l->everyone)
        return RC_OK;
    if (one_owner(l))
        return pg_param_uid(q->params, &l->owner);
    TRY(add_owners(q->params, l));
    return l->by_policy && l->policy_count ? add_policies(q->params, l) : RC_OK;
}

/* The first name, of live objects, is where the search starts. */
static rc_t add_source(struct query *q, const struct db_locate *l, bool by_name)
{
    TRY(begin_params(q, l));
    TRY(buf_add_str(&q->sql, "SELECT o.uid FROM "));
    if (by_name) {
        TRY(buf_add_str(&q->sql, "kmip.name n JOIN kmip.object o ON o.uid = n.object WHERE n.live AND "));
        TRY(add_whose(q, l, 'n'));
        TRY(buf_add_str(&q->sql, " AND "));
    } else {
        TRY(buf_add_str(&q->sql, "kmip.object o WHERE "));
    }
    return add_whose(q, l, 'o');
}

static rc_t add_name(struct query *q, const struct name *name, bool source)
{
    if (!utf8_storable(name->value))
        return RC_BAD_UTF8;
    if (!source)
        TRY(buf_add_str(&q->sql, " AND EXISTS (SELECT FROM kmip.name n WHERE n.object = o.uid"
                                 " AND n.position >= 0"));
    if (name->value.data) {
        TRY(pg_param_bytes(q->params, name->value));
        TRY(buf_add_fmt(&q->sql, " AND n.value = $%d::text", q->params->count));
    }
    if (name->type)
        TRY(add_number(q, " AND n.type = #", name->type));
    return source ? RC_OK : buf_add_str(&q->sql, ")");
}

static rc_t add_date(struct query *q, const struct db_date_filter *d)
{
    if ((unsigned)d->which >= DB_DATE_COUNT)
        return RC_INVALID_FIELD;
    const char *column = date_columns[d->which];
    if (d->to == INT64_MAX) { /* unset is the largest */
        TRY(buf_add_fmt(&q->sql, " AND (o.%s IS NULL OR o.%s", column, column));
        return add_number(q, " >= #)", d->from);
    }
    TRY(buf_add_fmt(&q->sql, " AND o.%s BETWEEN ", column));
    TRY(add_number(q, "# AND ", d->from));
    return add_number(q, "#", d->to);
}

static rc_t add_text(struct query *q, const char *before, struct bytes text)
{
    TRY(pg_param_bytes(q->params, text));
    return buf_add_fmt(&q->sql, "%s$%d::text", before, q->params->count);
}

/* CASE and not AND: a text must not be read as a number, in whatever order the planner looks. */
static rc_t add_value(struct query *q, const struct db_value_filter *v)
{
    if ((unsigned)v->which >= DB_VALUE_COUNT)
        return RC_INVALID_FIELD;
    const char *path = value_paths[v->which];
    TRY(buf_add_fmt(&q->sql,
                    " AND CASE jsonb_typeof(o.attributes #> '%s') WHEN 'number' THEN (o.attributes #>> '%s')::numeric",
                    path, path));
    TRY(add_number(q, " BETWEEN #", v->from));
    TRY(add_number(q, " AND #", v->to));
    TRY(buf_add_fmt(&q->sql, " WHEN 'string' THEN (o.attributes #>> '%s') COLLATE \"C\"", path));
    TRY(add_text(q, " BETWEEN ", v->text_from));
    TRY(add_text(q, " AND ", v->text_to));
    return buf_add_str(&q->sql, v->to == INT64_MAX ? " ELSE true END" : " ELSE false END");
}

static rc_t add_filters(struct query *q, const struct db_locate *l)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (l->filters & numbers[i].filter)
            TRY(add_number(q, numbers[i].text,
                           *(const uint32_t *)((const char *)l + numbers[i].field)));
    if (l->without_type)
        TRY(add_number(q, " AND o.object_type <> #", l->without_type));
    if (!uid_is_nil(&l->before)) {
        TRY(pg_param_uid(q->params, &l->before));
        TRY(buf_add_fmt(&q->sql, " AND o.uid < $%d::uuid", q->params->count));
    }
    if (l->filters & DB_LOCATE_UID) {
        TRY(pg_param_uid(q->params, &l->uid));
        TRY(buf_add_fmt(&q->sql, " AND o.uid = $%d::uuid", q->params->count));
    }
    if (l->filters & DB_LOCATE_STATE) {
        TRY(add_number(q,
                       " AND kmip.effective_state(o.state, o.activation_date,"
                       " o.deactivation_date, #)",
                       l->now));
        TRY(add_number(q, " = #", l->state));
    }
    if (!wants_destroyed(l))
        TRY(buf_add_str(&q->sql, " AND o.state < 5"));
    for (size_t i = 0; i < l->date_count; i++)
        TRY(add_date(q, &l->dates[i]));
    for (size_t i = 0; i < l->value_count; i++)
        TRY(add_value(q, &l->values[i]));
    if (l->attributes.len) {
        if (!utf8_storable(l->attributes))
            return RC_BAD_UTF8;
        TRY(pg_param_jsonb(q->params, l->attributes));
        TRY(buf_add_fmt(&q->sql, " AND o.attributes @> $%d::jsonb", q->params->count));
    }
    return RC_OK;
}

/* Rows are (uid, NULL), and with a total first (NULL, total). */
static rc_t add_window(struct query *q, const struct db_locate *l)
{
    if (l->maximum == 0 || l->offset > INT64_MAX)
        return RC_INVALID_FIELD;
    if (l->want_total)
        TRY(buf_add_str(&q->sql, ") SELECT NULL::uuid, count(*) FROM m UNION ALL"
                                 " (SELECT m.uid, NULL FROM m ORDER BY m.uid DESC"));
    else
        TRY(buf_add_str(&q->sql, " ORDER BY o.uid DESC"));
    TRY(add_number(q, " OFFSET #", (int64_t)l->offset));
    TRY(add_number(q, " LIMIT #", l->maximum));
    return l->want_total ? buf_add_str(&q->sql, ")") : RC_OK;
}

/* One name and nothing else: what storage products ask all day. */
static bool name_alone(const struct db_locate *l)
{
    return l->name_count == 1 && l->names[0].value.data && !l->filters && !l->without_type && !l->date_count &&
           !l->value_count && !l->attributes.len && !l->want_total && !l->by_policy && uid_is_nil(&l->before);
}

/* A live name is of one object of its owner, and of none that is destroyed: the object need not be looked at. */
static rc_t build_name_alone(struct query *q, const struct db_locate *l)
{
    TRY(begin_params(q, l));
    TRY(buf_add_str(&q->sql, "SELECT n.object FROM kmip.name n WHERE n.live AND "));
    TRY(add_whose(q, l, 'n'));
    TRY(add_name(q, &l->names[0], true));
    if (!one_owner(l))
        TRY(buf_add_str(&q->sql, " ORDER BY n.object DESC"));
    TRY(add_number(q, " OFFSET #", (int64_t)l->offset));
    return add_number(q, " LIMIT #", l->maximum);
}

/* Whether there are objects that others own and that have one of the policies, is asked along. */
static bool wants_others(const struct db_locate *l)
{
    return l->policy_count > 0 && !l->by_policy && !l->everyone;
}

/* One row of NULLs more, the last, if there are any. */
static rc_t add_others(struct query *q, const struct db_locate *l)
{
    for (size_t i = 0; i < l->policy_count; i++)
        if (!utf8_storable(l->policies[i]))
            return RC_BAD_UTF8;
    TRY(add_policies(q->params, l));
    return buf_add_fmt(&q->sql,
                       ") UNION ALL SELECT NULL::uuid%s WHERE EXISTS (SELECT FROM kmip.object p"
                       " WHERE p.domain = $1::int8 AND p.attributes ->> 'OperationPolicyName' IS NOT NULL"
                       " AND left(p.attributes ->> 'OperationPolicyName', 255) = ANY ($%d::text[]) AND p.owner <> %s)",
                       l->want_total ? ", NULL::int8" : "", q->params->count,
                       one_owner(l) ? "$2::uuid" : "ALL ($2::uuid[])");
}

static rc_t build_own(struct query *q, const struct db_locate *l)
{
    if (name_alone(l) && l->maximum && l->offset <= INT64_MAX)
        return build_name_alone(q, l);
    if (l->name_count > DB_LOCATE_NAMES || l->date_count > DB_LOCATE_DATES || l->value_count > DB_VALUE_COUNT)
        return RC_TOO_MANY;
    bool by_name = l->name_count > 0 && l->names[0].value.data && !wants_destroyed(l);
    if (l->want_total)
        TRY(buf_add_str(&q->sql, "WITH m AS MATERIALIZED ("));
    TRY(add_source(q, l, by_name));
    for (size_t i = 0; i < l->name_count; i++)
        TRY(add_name(q, &l->names[i], by_name && i == 0));
    TRY(add_filters(q, l));
    return add_window(q, l);
}

static rc_t build(struct query *q, const struct db_locate *l)
{
    if (wants_others(l))
        TRY(buf_add_u8(&q->sql, '('));
    TRY(build_own(q, l));
    if (wants_others(l))
        TRY(add_others(q, l));
    return buf_add_u8(&q->sql, 0);
}

static void on_prepared(void *arg, const PGresult *r)
{
    struct db *db = arg;
    if (load_failed(r, "prepare") && r)
        conn_break(db->load, "a Locate could not be prepared");
}

/* A prepared statement for this text, or NULL: none could be had. */
static const char *shape_find(struct db *db, const char *sql)
{
    struct loader *l = &db->loader;
    for (unsigned i = 0; i < l->shape_count; i++)
        if (strcmp(l->shapes[i].sql, sql) == 0)
            return l->shapes[i].name;
    if (l->shape_count == LOCATE_SHAPES)
        return NULL;
    struct locate_shape *s = &l->shapes[l->shape_count];
    s->sql = strdup(sql);
    if (!s->sql)
        return NULL;
    snprintf(s->name, sizeof s->name, "locate_%u", l->shape_count++);
    /* a sync of its own: the statement stays prepared even if this Locate fails */
    if (!conn_prepare(db->load, s->name, sql, on_prepared, db) || !conn_sync(db->load, NULL, NULL))
        return NULL;
    return s->name;
}

rc_t locate_send(struct db *db, struct db_load *load, conn_result_fn *on_result)
{
    struct query q = {BUF_EMPTY, &db->loader.params};
    pg_params_clear(q.params);
    rc_t rc = build(&q, &load->locate);
    if (rc == RC_OK) {
        const char *sql = (const char *)q.sql.data;
        const char *name = shape_find(db, sql);
        bool ok = name ? conn_query_named(db->load, name, q.params, on_result, load)
                       : conn_query_text(db->load, sql, q.params, on_result, load);
        rc = ok ? RC_OK : RC_UNAVAILABLE;
    }
    buf_free(&q.sql);
    return rc;
}

rc_t locate_read(struct db_load *load, const PGresult *r)
{
    struct db_locate *l = &load->locate;
    int rows = PQntuples(r), first = l->want_total ? 1 : 0;
    int64_t total = 0;
    if (l->want_total && !pg_get_i8(r, 0, 1, &total))
        return RC_INTERNAL;
    l->others = rows > first && PQgetisnull(r, rows - 1, 0);
    rows -= l->others;
    l->count = (size_t)(rows - first);
    l->uids = ARENA_ARRAY(load->arena, l->count ? l->count : 1, struct uid);
    if (!l->uids)
        return RC_NO_MEMORY;
    for (int row = first; row < rows; row++)
        if (!pg_get_uid(r, row, 0, &l->uids[row - first]))
            return RC_INTERNAL;
    l->total = l->want_total ? (uint64_t)total : l->count;
    return RC_OK;
}
