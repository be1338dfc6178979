/* The SQL API of policy for the command line; see admin.h. */
#include "db/admin_impl.h"

enum { POLICY_VALUES_MAX = 32 };

rc_t db_policy_call(struct db_admin *a, const char *function, size_t count,
                    const char *const *values)
{
    AUTO_BUF sql = BUF_EMPTY;
    if (count > POLICY_VALUES_MAX)
        return RC_INTERNAL;
    TRY(buf_add_fmt(&sql, "SELECT policy.%s(", function));
    for (size_t i = 0; i < count; i++)
        TRY(buf_add_fmt(&sql, "%s$%zu", i ? ", " : "", i + 1));
    TRY(buf_add_str(&sql, ")"));
    TRY(buf_add_u8(&sql, 0));
    PGresult *r = NULL;
    rc_t rc = admin_text(a, (const char *)sql.data, (int)count, values, &r);
    PQclear(r);
    return rc;
}

rc_t db_policy_rows(struct db_admin *a, const char *what, db_json_fn *each, void *arg)
{
    AUTO_BUF sql = BUF_EMPTY;
    PGresult *r = NULL;
    TRY(buf_add_fmt(&sql, "SELECT to_jsonb(v) FROM policy.%s", what));
    TRY(buf_add_u8(&sql, 0));
    TRY(admin_text(a, (const char *)sql.data, 0, NULL, &r));
    for (int i = 0; i < PQntuples(r); i++)
        if (!each(arg, PQgetvalue(r, i, 0)))
            break;
    PQclear(r);
    return RC_OK;
}
