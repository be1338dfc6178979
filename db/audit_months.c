/* Months of the audit trail: what they are, whether they are right, and how one is dropped. See
 * audit_export.h. */
#include <stdio.h>
#include <stdlib.h>

#include "db/admin_impl.h"
#include "db/audit_export.h"

rc_t db_audit_months(struct db_admin *a, db_month_fn *each, void *arg)
{
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT month, rows_about, bytes, date_trunc('second', exported_at), "
                   "export_sha256, droppable,"
                   " why_not FROM audit.partitions ORDER BY month",
                   0, NULL, &r));
    for (int i = 0; i < PQntuples(r); i++) {
        const struct db_month m = {.month = PQgetvalue(r, i, 0),
                                   .rows = strtoll(PQgetvalue(r, i, 1), NULL, 10),
                                   .bytes = strtoll(PQgetvalue(r, i, 2), NULL, 10),
                                   .exported_at = admin_field(r, i, 3),
                                   .export_sha256 = admin_field(r, i, 4),
                                   .droppable = *PQgetvalue(r, i, 5) == 't',
                                   .why_not = admin_field(r, i, 6)};
        if (!each(arg, &m))
            break;
    }
    PQclear(r);
    return RC_OK;
}

rc_t db_audit_verify_month(struct db_admin *a, const char *month)
{
    const char *values[] = {month};
    PGresult *r = NULL;
    TRY(admin_text(
        a, "SELECT stream, seq, what FROM audit.verify_month(to_date($1, 'YYYY-MM')) LIMIT 1", 1,
        values, &r));
    rc_t rc = RC_OK;
    if (PQntuples(r) > 0)
        rc = admin_fail(a, RC_INTEGRITY, "stream %s, row %s: %s", PQgetvalue(r, 0, 0),
                        PQgetvalue(r, 0, 1), PQgetvalue(r, 0, 2));
    PQclear(r);
    return rc;
}

rc_t db_audit_month_runs(struct db_admin *a, const char *month, db_record_fn *each, void *arg)
{
    const char *values[] = {month};
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT stream, first_seq, last_seq - first_seq + 1, encode(before, 'hex'), "
                   "encode(after, 'hex')"
                   " FROM audit.month_runs(to_date($1, 'YYYY-MM')) ORDER BY stream, first_seq",
                   1, values, &r));
    rc_t rc = RC_OK;
    for (int i = 0; i < PQntuples(r) && rc == RC_OK; i++) {
        const struct audit_record record = {.field = {[AUDIT_RECORD] = "run",
                                                      [AUDIT_STREAM] = PQgetvalue(r, i, 0),
                                                      [AUDIT_SEQ] = PQgetvalue(r, i, 1),
                                                      [AUDIT_POSITION] = PQgetvalue(r, i, 2),
                                                      [AUDIT_PREVIOUS] = PQgetvalue(r, i, 3),
                                                      [AUDIT_HASH] = PQgetvalue(r, i, 4)}};
        rc = each(arg, &record);
    }
    PQclear(r);
    return rc;
}

rc_t db_audit_stubs(struct db_admin *a, db_stub_fn *each, void *arg)
{
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT v.month, v.node, v.digest, v.signature, encode(s.ak_pub, 'hex'),"
                   " date_trunc('second', v.dropped_at), v.dropped_by, v.reason, v.export_sha256, "
                   "v.verdict, v.rows"
                   " FROM audit.stubs v JOIN audit.stub s ON to_char(s.month, 'YYYY-MM') = v.month "
                   "ORDER BY v.month",
                   0, NULL, &r));
    rc_t rc = RC_OK;
    for (int i = 0; i < PQntuples(r) && rc == RC_OK; i++) {
        const struct db_stub s = {.month = PQgetvalue(r, i, 0),
                                  .node = admin_field(r, i, 1),
                                  .digest = PQgetvalue(r, i, 2),
                                  .signature = PQgetvalue(r, i, 3),
                                  .ak_pub = PQgetvalue(r, i, 4),
                                  .dropped_at = PQgetvalue(r, i, 5),
                                  .dropped_by = PQgetvalue(r, i, 6),
                                  .reason = PQgetvalue(r, i, 7),
                                  .export_sha256 = PQgetvalue(r, i, 8),
                                  .verdict = PQgetvalue(r, i, 9),
                                  .rows = strtoll(PQgetvalue(r, i, 10), NULL, 10)};
        rc = each(arg, &s);
    }
    PQclear(r);
    return rc;
}

rc_t db_audit_set_retention(struct db_admin *a, const char *months, const char *reason)
{
    const char *values[] = {months, reason};
    return admin_do(a, "SELECT audit.set_retention($1::integer, $2)", 2, values);
}

rc_t db_audit_drop_digest(struct db_admin *a, struct db_drop *d)
{
    const char *values[] = {d->month, d->rows, d->export_sha256, d->reason};
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT encode(audit.drop_digest(to_date($1, 'YYYY-MM'), $2::bigint, decode($3, "
                   "'hex'), $4, t.at), 'hex'), t.at"
                   " FROM (SELECT clock_timestamp() AS at OFFSET 0) AS t",
                   4, values, &r));
    snprintf(d->digest, sizeof d->digest, "%s", PQgetvalue(r, 0, 0));
    snprintf(d->at, sizeof d->at, "%s", PQgetvalue(r, 0, 1));
    PQclear(r);
    return RC_OK;
}

rc_t db_audit_drop(struct db_admin *a, const struct db_drop *d)
{
    const char *values[] = {d->month, d->rows, d->export_sha256, d->reason,
                            d->at,    d->node, d->signature};
    return admin_do(
        a,
        "SELECT audit.drop_month(to_date($1, 'YYYY-MM'), $2::bigint, decode($3, 'hex'), $4,"
        " $5::timestamptz, $6::uuid, decode($7, 'hex'))",
        7, values);
}
