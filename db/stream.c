/*
 * Opening the audit stream of a fresh commit connection and, before that, finding out what became
 * of a COMMIT whose answer was lost. audit.fence() waits on the head row for the old transaction to
 * end and closes the old stream for good: a transaction that is still on its way to the server
 * fails on its compare-and-swap, so that "not found" stays true. Found: DONE. Not found: run again.
 * A failover in between, when it was not found, may have lost it: UNKNOWN.
 */
#include <inttypes.h>
#include <stdio.h>

#include <event2/event.h>

#include "db/impl.h"
#include "server/base/clock.h"
#include "server/base/log.h"

static bool head_equal(const struct head *a, const struct head *b)
{
    return a->seq == b->seq && memcmp(a->hash, b->hash, AUDIT_HASH_BYTES) == 0;
}

/*
 * True for an error or a lost connection. It is tried again ten times a second for as long as it takes:
 * the log tells only what it has not told since the last stream was opened.
 */
static bool step_failed(struct db *db, const PGresult *r, const char *what)
{
    struct committer *c = &db->committer;
    if (r && PQresultStatus(r) == PGRES_TUPLES_OK)
        return false;
    if (r && strcmp(c->opening_state, conn_sqlstate(r)) != 0) {
        snprintf(c->opening_state, sizeof c->opening_state, "%s", conn_sqlstate(r));
        log_warn("db.stream", " what=%s sqlstate=%s", what, c->opening_state);
    }
    return true;
}

static bool read_head(const PGresult *r, struct head *out)
{
    int64_t seq = 0;
    struct bytes hash = pg_get_bytes(r, 0, 1);
    if (PQntuples(r) != 1 || !pg_get_i8(r, 0, 0, &seq) || hash.len != AUDIT_HASH_BYTES)
        return false;
    out->seq = (uint64_t)seq;
    memcpy(out->hash, hash.data, AUDIT_HASH_BYTES);
    return true;
}

/* ---- opening ---- */

static void on_open(void *arg, const PGresult *r)
{
    struct db *db = arg;
    struct committer *c = &db->committer;
    c->opening_ok = !step_failed(db, r, "open_stream") && read_head(r, &c->opened);
}

static void on_open_sync(void *arg, bool ok)
{
    struct db *db = arg;
    struct committer *c = &db->committer;
    if (!ok)
        return;
    if (!c->opening_ok || conn_warnings(db->commit) != c->warnings) {
        db_stream_failed(db);
        return;
    }
    c->stream = c->opening;
    c->head = c->opened;
    c->stream_open = true;
    c->opening_state[0] = '\0';
    snprintf(c->cluster, sizeof c->cluster, "%s", conn_facts(db->commit)->cluster);
    db->stats.streams++;
    db->stats.stream = c->stream;
    db_stream_opened(db);
}

static void open_stream(struct db *db)
{
    struct committer *c = &db->committer;
    struct pg_params *p = &c->params;
    pg_params_clear(p);
    c->warnings = conn_warnings(db->commit);
    c->opening_ok = false;
    if (uid_new(&c->opening) != RC_OK || pg_param_uid(p, &c->opening) != RC_OK ||
        pg_param_bytes(p, bytes_str(db->opener)) != RC_OK) {
        db_stream_failed(db);
        return;
    }
    if (!commit_settle(db) || !conn_query(db->commit, STMT_OPEN_STREAM, p, on_open, db) ||
        !conn_sync(db->commit, on_open_sync, db))
        conn_break(db->commit, "a stream could not be opened");
}

/* ---- resolving ---- */

static const char *resolve(struct db *db, struct slice *s)
{
    struct committer *c = &db->committer;
    bool same = strcmp(c->cluster, conn_facts(db->commit)->cluster) == 0;
    if (c->unknown_found && head_equal(&c->opened, &c->next)) {
        db->stats.unknown_done++;
        db->stats.groups++;
        db->stats.rows += c->next.seq - c->head.seq;
        for (size_t i = 0; i < s->count; i++)
            commit_finish(db, s->units[i], DB_DONE, RC_OK);
        slice_free(s);
        return "done";
    }
    if (c->unknown_found && same && head_equal(&c->opened, &c->head)) {
        db->stats.unknown_rerun++;
        commit_retry(db, s);
        return "rerun";
    }
    db->stats.unknown_unknown++;
    for (size_t i = 0; i < s->count; i++)
        commit_finish(db, s->units[i], DB_UNKNOWN, RC_IO);
    slice_free(s);
    return same ? "unknown" : "failover";
}

static void on_fence(void *arg, const PGresult *r)
{
    struct db *db = arg;
    struct committer *c = &db->committer;
    c->opening_ok = !step_failed(db, r, "fence");
    c->unknown_found = c->opening_ok && read_head(r, &c->opened);
}

static void on_fence_sync(void *arg, bool ok)
{
    struct db *db = arg;
    struct committer *c = &db->committer;
    if (!ok)
        return;
    if (!c->opening_ok || conn_warnings(db->commit) != c->warnings) {
        db_stream_failed(db); /* the old transaction still holds the row: wait for it */
        return;
    }
    struct slice *s = c->unknown;
    c->unknown = NULL;
    evtimer_del(db->resolve);
    if (s) {
        size_t units = s->count;
        int64_t waited = clock_monotonic_us() - c->unknown_since_us;
        const char *outcome = resolve(db, s);
        log_warn("commit.unknown", " outcome=%s units=%zu waited_us=%" PRId64, outcome, units,
                 waited);
    }
    open_stream(db);
}

void stream_begin(struct db *db)
{
    struct committer *c = &db->committer;
    if (!conn_ready(db->commit) || c->stream_open)
        return;
    if (!c->unknown) {
        open_stream(db);
        return;
    }
    struct pg_params *p = &c->params;
    pg_params_clear(p);
    c->opening_ok = c->unknown_found = false;
    c->warnings = conn_warnings(db->commit);
    if (pg_param_uid(p, &c->stream) != RC_OK) {
        db_stream_failed(db);
        return;
    }
    if (!commit_settle(db) || !conn_query(db->commit, STMT_FENCE, p, on_fence, db) ||
        !conn_sync(db->commit, on_fence_sync, db))
        conn_break(db->commit, "a fence could not be sent");
}
