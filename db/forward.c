/*
 * The forwarder's statements; see forward.h.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "db/admin_impl.h"
#include "db/forward.h"
#include "proto/base/buf.h"

/* The columns of the statement below, before the fields. */
enum { COL_AFTER, COL_HEAD, COL_AT, COL_CLASS, COL_FIELDS };

struct db_forward_batch {
    PGresult *result;
};

static int64_t number_at(const PGresult *r, int row, int col)
{
    return PQgetisnull(r, row, col) ? 0 : strtoll(PQgetvalue(r, row, col), NULL, 10);
}

static const char *text_at(const PGresult *r, int row, int col)
{
    return PQgetisnull(r, row, col) ? NULL : PQgetvalue(r, row, col);
}

static rc_t ask_truth(struct db_admin *a, const char *sql, int count, const char *const *values, bool *out)
{
    PGresult *r = NULL;
    TRY(admin_text(a, sql, count, values, &r));
    *out = *PQgetvalue(r, 0, 0) == 't';
    PQclear(r);
    return RC_OK;
}

static rc_t run(struct db_admin *a, const char *sql, int count, const char *const *values)
{
    PGresult *r = NULL;
    rc_t rc = admin_text(a, sql, count, values, &r);
    PQclear(r);
    return rc;
}

/* A database that says nothing more is given up; on a UNIX socket these options mean nothing. */
static void tune(struct db_admin *a)
{
    static const int idle_s = 10, every_s = 5, times = 3, unacknowledged_ms = 30000;
    int fd = PQsocket(a->pg);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

rc_t db_forward_claim(struct db_admin *a, const char *destination, bool *mine_out)
{
    tune(a);
    TRY(admin_run(a, "SET statement_timeout = '60s'"));
    return ask_truth(a, "SELECT audit.forward_claim($1)", 1, &destination, mine_out);
}

rc_t db_forward_begin(struct db_admin *a, const char *destination, bool from_now, bool *made_out)
{
    const char *values[] = {destination, from_now ? "t" : "f"};
    return ask_truth(a, "SELECT audit.forward_begin($1, $2::boolean)", 2, values, made_out);
}

rc_t db_forward_look(struct db_admin *a, const char *destination)
{
    return run(a, "SELECT audit.forward_look($1)", 1, &destination);
}

rc_t db_forward_trouble(struct db_admin *a, const char *destination, const char *text)
{
    const char *values[] = {destination, text};
    return run(a, "SELECT audit.forward_trouble($1, $2)", 2, values);
}

rc_t db_forward_forget(struct db_admin *a, const char *destination, const char *reason)
{
    const char *values[] = {destination, reason};
    return run(a, "SELECT audit.forward_forget($1, $2)", 2, values);
}

/* ---- a batch ---- */

rc_t db_forward_next(struct db_admin *a, const char *destination, unsigned rows, struct db_forward_batch **out)
{
#define FORWARD_COLUMN(id, name) ", " #name
    static const char sql[] =
        "SELECT after, head, at, class" DB_FORWARD_FIELDS(FORWARD_COLUMN) " FROM audit.forward_next($1, $2::int)";
#undef FORWARD_COLUMN
    char most[16];
    snprintf(most, sizeof most, "%u", rows);
    const char *values[] = {destination, most};
    struct db_forward_batch *batch = calloc(1, sizeof *batch);
    *out = batch;
    return batch ? admin_text(a, sql, 2, values, &batch->result) : admin_fail(a, RC_NO_MEMORY, "out of memory");
}

size_t db_forward_count(const struct db_forward_batch *batch)
{
    return (size_t)PQntuples(batch->result);
}

void db_forward_row(const struct db_forward_batch *batch, size_t at, struct db_forward_row *row)
{
    const PGresult *r = batch->result;
    int i = (int)at;
    *row = (struct db_forward_row){.after = number_at(r, i, COL_AFTER),
                                   .head = number_at(r, i, COL_HEAD),
                                   .seq = number_at(r, i, COL_FIELDS + DB_FORWARD_SEQ),
                                   .at = text_at(r, i, COL_AT),
                                   .class = text_at(r, i, COL_CLASS)};
    for (int f = 0; f < DB_FORWARD_FIELD_COUNT; f++)
        row->fields[f] = text_at(r, i, COL_FIELDS + f);
}

void db_forward_free(struct db_forward_batch **batch)
{
    if (!*batch)
        return;
    PQclear((*batch)->result);
    free(*batch);
    *batch = NULL;
}

/* Where the batch leaves each of its streams, as two arrays of PostgreSQL's text form. */
static rc_t ends_of(const struct db_forward_batch *batch, struct buf *streams, struct buf *seqs)
{
    const PGresult *r = batch->result;
    const int stream = COL_FIELDS + DB_FORWARD_STREAM;
    int rows = PQntuples(r);
    for (int i = 0; i < rows; i++) {
        if (i + 1 < rows && strcmp(PQgetvalue(r, i, stream), PQgetvalue(r, i + 1, stream)) == 0)
            continue;
        struct db_forward_row row;
        db_forward_row(batch, (size_t)i, &row);
        TRY(buf_add_fmt(streams, "%s%s", streams->len ? "," : "{", row.fields[DB_FORWARD_STREAM]));
        TRY(buf_add_fmt(seqs, "%s%lld", seqs->len ? "," : "{", (long long)(row.seq ? row.seq : row.head)));
    }
    TRY(buf_add(streams, "}", 2)); /* with the NUL */
    return buf_add(seqs, "}", 2);
}

rc_t db_forward_moved(struct db_admin *a, const char *destination, const struct db_forward_batch *batch)
{
    AUTO_BUF streams = BUF_EMPTY, seqs = BUF_EMPTY;
    char rows[24];
    if (PQntuples(batch->result) == 0)
        return RC_OK;
    if (ends_of(batch, &streams, &seqs) != RC_OK)
        return admin_fail(a, RC_NO_MEMORY, "out of memory");
    snprintf(rows, sizeof rows, "%d", PQntuples(batch->result));
    const char *values[] = {destination, (const char *)streams.data, (const char *)seqs.data, rows};
    return run(a, "SELECT audit.forward_moved($1, $2::uuid[], $3::bigint[], $4::bigint)", 4, values);
}

/* ---- status ---- */

rc_t db_forward_status(struct db_admin *a, db_forward_status_fn *each, void *arg)
{
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT destination, oldest, moved_at, trouble, trouble_at, rows_behind, forwarded,"
                   " extract(epoch FROM behind)::bigint, running FROM audit.forwarding ORDER BY destination",
                   0, NULL, &r));
    for (int i = 0; i < PQntuples(r); i++) {
        struct db_forward_status s = {.destination = text_at(r, i, 0),
                                      .oldest = text_at(r, i, 1),
                                      .moved_at = text_at(r, i, 2),
                                      .trouble = text_at(r, i, 3),
                                      .trouble_at = text_at(r, i, 4),
                                      .rows_behind = number_at(r, i, 5),
                                      .forwarded = number_at(r, i, 6),
                                      .behind_s = number_at(r, i, 7),
                                      .running = *PQgetvalue(r, i, 8) == 't'};
        if (!each(arg, &s))
            break;
    }
    PQclear(r);
    return RC_OK;
}
