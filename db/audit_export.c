/* Audit rows as records: a cursor over one snapshot. See audit_export.h. */
#include "db/audit_export.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/admin_impl.h"

enum { FETCH_ROWS = 2000 };
static const char fetch_sql[] = "FETCH 2000 FROM audit_rows";

/* Where the export is in its present stream. */
struct place {
    struct db_admin *a;
    const struct db_export *what;
    db_record_fn *each;
    void *arg;
    char stream[40]; /* empty: before the first */
    char head_seq[24], head_hash[65];
    int64_t last;       /* seq of the row before */
    char last_hash[65]; /* its hash */
};

/* Rows of one client or key leave gaps everywhere: nothing is said of them. */
static bool is_whole(const struct db_export *what)
{
    return !what->client && !what->key;
}

/* ---- which rows ---- */

/* The bounds as they hold: month 2026-01 is from 2026-01-01 to 2026-02-01. */
static rc_t read_bounds(struct place *p, char from[64], char until[64])
{
    static const char sql[] =
        "SELECT coalesce(to_date($1, 'YYYY-MM')::timestamp AT TIME ZONE 'UTC', $2::timestamptz, "
        "'-infinity')::text,"
        " coalesce((to_date($1, 'YYYY-MM') + interval '1 month') AT TIME ZONE 'UTC', "
        "$3::timestamptz, 'infinity')::text,"
        " $1::text IS NULL OR audit.month_partition(to_date($1, 'YYYY-MM')) IS NOT NULL,"
        " $4::text IS NULL OR EXISTS (SELECT FROM audit.clients c WHERE c.name = $4)";
    const struct db_export *w = p->what;
    const char *values[] = {w->month, w->from, w->until, w->client};
    PGresult *r = NULL;
    TRY(admin_text(p->a, sql, 4, values, &r));
    snprintf(from, 64, "%s", PQgetvalue(r, 0, 0));
    snprintf(until, 64, "%s", PQgetvalue(r, 0, 1));
    bool month = *PQgetvalue(r, 0, 2) == 't', client = *PQgetvalue(r, 0, 3) == 't';
    PQclear(r);
    if (!month)
        return admin_fail(p->a, RC_NOT_FOUND, "there is no month %s in the audit trail", w->month);
    return client ? RC_OK : admin_fail(p->a, RC_NOT_FOUND, "there is no client %s", w->client);
}

static rc_t begin(struct place *p, const char *from, const char *until)
{
    static const char declare[] =
        "DECLARE audit_rows NO SCROLL CURSOR FOR SELECT audit.microseconds(e.at), e.stream, e.seq, "
        "e.client,"
        " e.client_name, e.fingerprint, e.address, e.protocol, e.correlation, e.position, "
        "e.operation, e.object,"
        " e.result, e.reason, e.duration_us, e.detail, encode(e.previous, 'hex'), encode(e.hash, "
        "'hex')"
        " FROM audit.event e WHERE e.at >= $1::timestamptz AND e.at < $2::timestamptz"
        " AND ($3::text IS NULL OR e.client = (SELECT c.id FROM audit.clients c WHERE c.name = $3))"
        " AND ($4::uuid IS NULL OR e.object = $4::uuid) ORDER BY e.stream, e.seq";
    const char *values[] = {from, until, p->what->client, p->what->key};
    return admin_do(p->a, declare, 4, values);
}

static rc_t tell_export(struct place *p)
{
    const struct {
        const char *name, *value;
    } parts[] = {{"month", p->what->month},
                 {"from", p->what->from},
                 {"until", p->what->until},
                 {"client", p->what->client},
                 {"key", p->what->key}};
    AUTO_BUF detail = BUF_EMPTY;
    TRY(buf_add_str(&detail, "format=1"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].value)
            TRY(buf_add_fmt(&detail, " %s=%s", parts[i].name, parts[i].value));
    TRY(buf_add_u8(&detail, 0));
    PGresult *r = NULL;
    TRY(admin_text(p->a, "SELECT audit.microseconds(now())", 0, NULL, &r));
    struct audit_record record = {.field = {[AUDIT_RECORD] = "export",
                                            [AUDIT_TIME_US] = PQgetvalue(r, 0, 0),
                                            [AUDIT_DETAIL] = (const char *)detail.data}};
    rc_t rc = p->each(p->arg, &record);
    PQclear(r);
    return rc;
}

/* ---- gaps ---- */

/* Whether the first and the last row of a gap are somewhere: outside the period, or gone with a
 * month. */
static rc_t gap_is_right(struct place *p, const char *first, const char *last, bool *right)
{
    static const char sql[] =
        "SELECT bool_and(EXISTS (SELECT FROM audit.event e WHERE e.stream = $1::uuid AND e.seq = n)"
        " OR EXISTS (SELECT FROM audit.stub_run t WHERE t.stream = $1::uuid AND n BETWEEN "
        "t.first_seq AND t.last_seq))"
        " FROM unnest(ARRAY[$2::bigint, $3::bigint]) AS n";
    const char *values[] = {p->stream, first, last};
    PGresult *r = NULL;
    TRY(admin_text(p->a, sql, 3, values, &r));
    *right = *PQgetvalue(r, 0, 0) == 't';
    PQclear(r);
    return RC_OK;
}

/* Rows last + 1 to `next` - 1 are not here; `hash` is that of the last of them. */
static rc_t tell_gap(struct place *p, int64_t next, const char *hash)
{
    char first[24], last[24], count[24];
    bool right = false;
    if (!is_whole(p->what) || next <= p->last + 1)
        return RC_OK;
    snprintf(first, sizeof first, "%lld", (long long)p->last + 1);
    snprintf(last, sizeof last, "%lld", (long long)next - 1);
    snprintf(count, sizeof count, "%lld", (long long)(next - p->last - 1));
    TRY(gap_is_right(p, first, last, &right));
    const struct audit_record record = {.field = {[AUDIT_RECORD] = "gap",
                                                  [AUDIT_STREAM] = p->stream,
                                                  [AUDIT_SEQ] = first,
                                                  [AUDIT_POSITION] = count,
                                                  [AUDIT_REASON] = right ? NULL : "missing",
                                                  [AUDIT_PREVIOUS] = p->last ? p->last_hash : NULL,
                                                  [AUDIT_HASH] = hash}};
    return p->each(p->arg, &record);
}

/* ---- rows ---- */

static rc_t end_stream(struct place *p)
{
    if (!*p->stream || !*p->head_seq)
        return RC_OK;
    return tell_gap(p, strtoll(p->head_seq, NULL, 10) + 1, p->head_hash);
}

static rc_t begin_stream(struct place *p, const char *stream)
{
    const char *values[] = {stream};
    PGresult *r = NULL;
    snprintf(p->stream, sizeof p->stream, "%s", stream);
    p->last = 0;
    *p->head_seq = *p->head_hash = 0;
    TRY(admin_text(p->a,
                   "SELECT s.seq, encode(s.hash, 'hex'), audit.opening_detail(s), "
                   "audit.microseconds(s.opened_at)"
                   " FROM audit.stream s WHERE s.id = $1::uuid",
                   1, values, &r));
    struct audit_record record = {.field = {[AUDIT_RECORD] = "stream", [AUDIT_STREAM] = p->stream}};
    if (PQntuples(r) == 1) {
        snprintf(p->head_seq, sizeof p->head_seq, "%s", PQgetvalue(r, 0, 0));
        snprintf(p->head_hash, sizeof p->head_hash, "%s", PQgetvalue(r, 0, 1));
        record.field[AUDIT_SEQ] = p->head_seq;
        record.field[AUDIT_HASH] = p->head_hash;
        record.field[AUDIT_DETAIL] = admin_field(r, 0, 2);
        record.field[AUDIT_TIME_US] = admin_field(r, 0, 3);
    }
    rc_t rc = p->each(p->arg, &record);
    PQclear(r);
    return rc;
}

static rc_t tell_row(struct place *p, const PGresult *r, int row)
{
    struct audit_record record = {.field = {[AUDIT_RECORD] = "event"}};
    for (int f = AUDIT_TIME_US; f < AUDIT_FIELD_COUNT; f++)
        record.field[f] = admin_field(r, row, f - AUDIT_TIME_US);
    const char *stream = record.field[AUDIT_STREAM];
    if (strcmp(stream, p->stream) != 0) {
        TRY(end_stream(p));
        TRY(begin_stream(p, stream));
    }
    int64_t seq = strtoll(record.field[AUDIT_SEQ], NULL, 10);
    TRY(tell_gap(p, seq, record.field[AUDIT_PREVIOUS]));
    TRY(p->each(p->arg, &record));
    p->last = seq;
    snprintf(p->last_hash, sizeof p->last_hash, "%s", record.field[AUDIT_HASH]);
    return RC_OK;
}

static rc_t tell_rows(struct place *p)
{
    for (int n = FETCH_ROWS; n == FETCH_ROWS;) {
        PGresult *r = NULL;
        rc_t rc = admin_text(p->a, fetch_sql, 0, NULL, &r);
        n = rc == RC_OK ? PQntuples(r) : 0;
        for (int i = 0; i < n && rc == RC_OK; i++)
            rc = tell_row(p, r, i);
        PQclear(r);
        TRY(rc);
    }
    return end_stream(p);
}

rc_t db_audit_export(struct db_admin *a, const struct db_export *what, db_record_fn *each,
                     void *arg)
{
    struct place p = {.a = a, .what = what, .each = each, .arg = arg};
    char from[64], until[64];
    TRY(admin_run(a, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    rc_t rc = read_bounds(&p, from, until);
    if (rc == RC_OK)
        rc = begin(&p, from, until);
    if (rc == RC_OK)
        rc = tell_export(&p);
    if (rc == RC_OK)
        rc = tell_rows(&p);
    return rc == RC_OK ? admin_run(a, "COMMIT") : admin_give_up(a, rc);
}

rc_t db_audit_note_export(struct db_admin *a, const char *what, const char *month, uint64_t rows,
                          const char *sha256)
{
    char count[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)rows);
    const char *values[] = {what, month, count, sha256};
    return admin_do(
        a, "SELECT audit.note_export($1, to_date($2, 'YYYY-MM'), $3::bigint, decode($4, 'hex'))", 4,
        values);
}
