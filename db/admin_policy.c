/* The SQL API of policy for the command line; see admin.h and admin_policy.h. */
#include "db/admin_policy.h"

#include <stdlib.h>

#include "db/admin_impl.h"

enum { VALUES_MOST = 32 };

/* Runs the statement; what it returns is a number or is dropped. */
static rc_t call(struct db_admin *a, struct buf *sql, size_t count, const char *const *values, int64_t *number_out)
{
    PGresult *r = NULL;
    TRY(buf_add_u8(sql, 0));
    rc_t rc = admin_text(a, (const char *)sql->data, (int)count, values, &r);
    if (rc == RC_OK && number_out)
        *number_out = PQntuples(r) == 1 ? strtoll(PQgetvalue(r, 0, 0), NULL, 10) : 0;
    PQclear(r);
    return rc;
}

rc_t db_policy_call(struct db_admin *a, const char *function, size_t count, const char *const *values)
{
    AUTO_BUF sql = BUF_EMPTY;
    if (count > VALUES_MOST)
        return RC_INTERNAL;
    TRY(buf_add_fmt(&sql, "SELECT policy.%s(", function));
    for (size_t i = 0; i < count; i++)
        TRY(buf_add_fmt(&sql, "%s$%zu", i ? ", " : "", i + 1));
    TRY(buf_add_str(&sql, ")"));
    return call(a, &sql, count, values, NULL);
}

/* "name => $1::type"; a list comes as one text. */
static rc_t add_argument(struct buf *sql, const struct db_argument *argument, size_t place)
{
    bool list = strcmp(argument->type, "text[]") == 0;
    return buf_add_fmt(sql, "%s%s => %s$%zu%s::%s", place > 1 ? ", " : "", argument->name,
                       list ? "string_to_array(" : "", place, list ? ", ',')" : "", argument->type);
}

rc_t db_policy_call_named(struct db_admin *a, const char *function, const struct db_argument *arguments, size_t count,
                          int64_t *number_out)
{
    AUTO_BUF sql = BUF_EMPTY;
    const char *values[VALUES_MOST];
    size_t given = 0;
    TRY(buf_add_fmt(&sql, "SELECT policy.%s(", function));
    for (size_t i = 0; i < count; i++) {
        if (!arguments[i].value)
            continue;
        if (given == VALUES_MOST)
            return RC_INTERNAL;
        values[given++] = arguments[i].value;
        TRY(add_argument(&sql, &arguments[i], given));
    }
    TRY(buf_add_str(&sql, ")"));
    return call(a, &sql, given, values, number_out);
}

static rc_t rows(struct db_admin *a, const char *sql, int count, const char *const *values, db_json_fn *each, void *arg)
{
    PGresult *r = NULL;
    TRY(admin_text(a, sql, count, values, &r));
    for (int i = 0; i < PQntuples(r) && each(arg, PQgetvalue(r, i, 0)); i++)
        ;
    PQclear(r);
    return RC_OK;
}

rc_t db_policy_rows(struct db_admin *a, const char *what, db_json_fn *each, void *arg)
{
    AUTO_BUF sql = BUF_EMPTY;
    TRY(buf_add_fmt(&sql, "SELECT row_to_json(v) FROM policy.%s", what));
    TRY(buf_add_u8(&sql, 0));
    return rows(a, (const char *)sql.data, 0, NULL, each, arg);
}

rc_t db_policy_list(struct db_admin *a, const char *view, const char *domain, db_json_fn *each, void *arg)
{
    AUTO_BUF sql = BUF_EMPTY;
    const char *values[] = {domain};
    TRY(buf_add_fmt(&sql, "SELECT row_to_json(v) FROM policy.%s v%s ORDER BY v", view,
                    domain ? " WHERE v.domain = $1" : ""));
    TRY(buf_add_u8(&sql, 0));
    return rows(a, (const char *)sql.data, domain ? 1 : 0, values, each, arg);
}

rc_t db_policy_explain(struct db_admin *a, const char *client, const char *operation, const char *object,
                       db_json_fn *each, void *arg)
{
    const char *values[] = {client, operation, object};
    return rows(a, "SELECT row_to_json(e) FROM policy.explain($1, $2, $3::uuid) AS e", 3, values, each, arg);
}
