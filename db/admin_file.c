/*
 * Policies as files and requests for approval, for the command line: all of it is done by functions
 * of schema policy.
 */
#include <stdio.h>
#include <string.h>

#include "db/admin_impl.h"

static const char *value(const PGresult *r, int row, int col)
{
    return PQgetisnull(r, row, col) ? NULL : PQgetvalue(r, row, col);
}

/* ---- files ---- */

rc_t db_policy_export(struct db_admin *a, const char *domain, struct buf *out)
{
    const char *values[] = {domain};
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT policy.export($1)", 1, values, &r));
    rc_t rc = buf_add_str(out, PQgetvalue(r, 0, 0));
    PQclear(r);
    return rc;
}

static void tell_lines(const PGresult *r, db_line_fn *each, void *arg)
{
    for (int row = 0; row < PQntuples(r); row++)
        if (value(r, row, 0) && !each(arg, PQgetvalue(r, row, 0)))
            return;
}

rc_t db_policy_diff(struct db_admin *a, const char *file, char hash[DB_POLICY_HASH],
                    db_line_fn *each, void *arg)
{
    const char *values[] = {file};
    PGresult *r = NULL;
    /* In one statement, so that both are of one snapshot; without a change there is one row all the
     * same. */
    TRY(admin_text(
        a,
        "SELECT d.change, h.hash FROM"
        " (SELECT encode(sha256(convert_to(policy.export(), 'UTF8')), 'hex') AS hash) AS h"
        " LEFT JOIN policy.diff($1) AS d ON true",
        1, values, &r));
    if (hash)
        snprintf(hash, DB_POLICY_HASH, "%s", PQgetvalue(r, 0, 1));
    tell_lines(r, each, arg);
    PQclear(r);
    return RC_OK;
}

rc_t db_policy_apply(struct db_admin *a, const char *file, const char *reason, const char *hash,
                     db_line_fn *each, void *arg)
{
    const char *values[] = {file, reason, hash};
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT change FROM policy.apply($1, $2, $3)", 3, values, &r));
    tell_lines(r, each, arg);
    PQclear(r);
    return RC_OK;
}

/* ---- requests ---- */

rc_t db_request_approve(struct db_admin *a, const char *number, const char *reason, bool *approved)
{
    const char *values[] = {number, reason};
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT policy.approve($1, $2)", 2, values, &r));
    *approved = strcmp(PQgetvalue(r, 0, 0), "approved") == 0;
    PQclear(r);
    return RC_OK;
}
