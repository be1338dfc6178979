/*
 * The committer: one group on its way, the next one fills meanwhile. A group is one pipeline of
 * BEGIN, one statement, COMMIT: the statement checks all, then writes all, so that a lost race is
 * an answer and not an error. A group whose statement fails is split until the guilty unit stands
 * alone. No unit is answered DONE before a COMMIT was answered by its own tag and without a
 * warning.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "db/impl.h"
#include "server/base/clock.h"
#include "server/base/log.h"

enum { GROUP_TRIES = 6, GAP_PAUSE_US = 1000000 };

/* ---- units in and out ---- */

void committer_open(struct db *db)
{
    struct committer *c = &db->committer;
    c->turns.last = &c->turns.first;
    c->answers_last = &c->answers;
    c->arena = ARENA_OF(64u << 20);
}

void commit_finish(struct db *db, struct db_unit *u, enum db_outcome outcome, rc_t rc)
{
    struct committer *c = &db->committer;
    u->own.outcome = outcome;
    u->own.rc = rc;
    u->own.next = NULL;
    *c->answers_last = u;
    c->answers_last = &u->own.next;
    db_turn(db);
}

/* Callbacks may commit further units; those wait for the next turn. */
void committer_answer(struct db *db)
{
    struct committer *c = &db->committer;
    struct db_unit *u = c->answers;
    c->answers = NULL;
    c->answers_last = &c->answers;
    while (u) {
        struct db_unit *next = u->own.next;
        c->pending--;
        db->stats.units += u->own.outcome == DB_DONE;
        db->stats.losers += u->own.outcome == DB_LOST;
        db->stats.failed += u->own.outcome == DB_FAILED;
        u->done(u, u->own.outcome, u->own.rc);
        u = next;
    }
}

void db_commit(struct db *db, struct db_unit *u)
{
    struct committer *c = &db->committer;
    u->lost = DB_LOST_NOTHING;
    u->lost_index = 0;
    c->pending++;
    rc_t rc = unit_check(u);
    if (rc != RC_OK)
        commit_finish(db, u, DB_FAILED, rc);
    else if (db->down)
        commit_finish(db, u, DB_DOWN, RC_UNAVAILABLE);
    else if (c->queued >= db->settings.queue_units)
        commit_finish(db, u, DB_FAILED, RC_BUSY);
    else
        lanes_add(c, u);
    db_turn(db);
}

static void finish_all(struct db *db, struct slice *s, enum db_outcome outcome, rc_t rc)
{
    for (size_t i = 0; i < s->count; i++)
        commit_finish(db, s->units[i], outcome, rc);
    slice_free(s);
}

void commit_retry(struct db *db, struct slice *s)
{
    struct committer *c = &db->committer;
    if (s->count == 0) {
        slice_free(s);
        return;
    }
    s->next = c->retries;
    c->retries = s;
    db_turn(db);
}

void committer_refuse(struct db *db)
{
    struct committer *c = &db->committer;
    while (c->retries) {
        struct slice *s = c->retries;
        c->retries = s->next;
        finish_all(db, s, DB_DOWN, RC_UNAVAILABLE);
    }
    struct db_unit *u = lanes_take_all(c);
    while (u) {
        struct db_unit *next = u->own.next;
        commit_finish(db, u, DB_DOWN, RC_UNAVAILABLE);
        u = next;
    }
}

/* ---- the requests that could not be audited ---- */

static void gap_done(struct db_unit *u, enum db_outcome outcome, rc_t rc)
{
    struct db *db = u->arg;
    struct committer *c = &db->committer;
    (void)rc;
    c->gap_queued = false;
    if (outcome == DB_DONE)
        c->refused_open -= c->refused_told;
    else if (outcome == DB_FAILED)
        c->gap_after_us = clock_monotonic_us() + GAP_PAUSE_US;
}

static void gap_commit(struct db *db)
{
    struct committer *c = &db->committer;
    c->gap_queued = true;
    c->refused_told = c->refused_open;
    snprintf(c->gap_detail, sizeof c->gap_detail,
             "%" PRIu64 " requests were refused unaudited by %.40s", c->refused_told, db->opener);
    c->gap_event = (struct audit_event){.time_us = clock_wall_us(),
                                        .operation = bytes_str("Audit Gap"),
                                        .result = bytes_str("Success"),
                                        .detail = bytes_str(c->gap_detail),
                                        .position = -1,
                                        .duration_us = -1};
    c->gap_unit =
        (struct db_unit){.events = &c->gap_event, .event_count = 1, .done = gap_done, .arg = db};
    db_commit(db, &c->gap_unit);
}

/*
 * Not while everything is refused (one of the two connections may be back before the other), nor soon
 * after a refusal: the unit would come back in the same turn and make the next one, for ever.
 */
static bool gap_due(const struct db *db)
{
    const struct committer *c = &db->committer;
    return c->refused_open && !c->gap_queued && !db->down &&
           c->queued < db->settings.queue_units && clock_monotonic_us() >= c->gap_after_us;
}

void db_refused(struct db *db)
{
    db->stats.refused++;
    db->committer.refused_open++;
    db_turn(db);
}

/* ---- a group that failed ---- */

/* The halves, first one first. */
static void bisect(struct db *db, struct slice *s)
{
    db->stats.bisected++;
    size_t half = s->count / 2;
    struct slice *parts[2] = {slice_new(half), slice_new(s->count - half)};
    if (!parts[0] || !parts[1]) {
        slice_free(parts[0]);
        slice_free(parts[1]);
        finish_all(db, s, DB_FAILED, RC_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        struct slice *p = parts[i >= half];
        slice_add(p, s->units[i]);
        p->skip_locked = s->skip_locked;
    }
    slice_free(s);
    commit_retry(db, parts[1]);
    commit_retry(db, parts[0]);
}

static bool class_is(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, 2) == 0;
}

/* Errors that another try may heal: serialisation, deadlock, lock wait, a race lost in the
 * statement. */
static bool is_passing(const char *s)
{
    return strcmp(s, "40001") == 0 || strcmp(s, "40P01") == 0 || strcmp(s, "55P03") == 0 ||
           strcmp(s, "HF002") == 0;
}

/* Errors that no unit is guilty of: resources, operator, system, read-only or no such function. */
static bool is_ours(const char *s)
{
    return class_is(s, "53") || class_is(s, "57") || class_is(s, "58") || class_is(s, "25") ||
           class_is(s, "08") || class_is(s, "26") || class_is(s, "F0") || strcmp(s, "HF001") == 0;
}

/* The transaction was rolled back: nothing of it happened. */
static void group_failed(struct db *db, struct slice *s)
{
    struct committer *c = &db->committer;
    const char *state = c->sqlstate;
    if (strcmp(state, "HF001") == 0 &&
        ++s->tries < GROUP_TRIES) { /* the stream is fenced or moved: open another one */
        c->stream_open = false;
        commit_retry(db, s);
        stream_begin(db);
    } else if (is_passing(state) && ++s->tries < GROUP_TRIES) {
        s->skip_locked = s->skip_locked || strcmp(state, "55P03") == 0;
        commit_retry(db, s);
    } else if (is_ours(state)) {
        log_warn("db.commit", " sqlstate=%s units=%zu", state, s->count);
        finish_all(db, s, DB_DOWN, RC_UNAVAILABLE);
        if (strcmp(state, "57014") != 0)
            conn_break(db->commit, "the server refused a transaction");
    } else if (s->count > 1) {
        bisect(db, s);
    } else if (is_passing(state)) {
        finish_all(db, s, DB_LOST, RC_CONFLICT);
    } else {
        log_warn("db.commit", " sqlstate=%s units=1", state);
        finish_all(db, s, DB_FAILED, RC_INTERNAL);
    }
}

/* ---- waiting a little ---- */

/*
 * A group costs a flush and some hundred microseconds of processor time however small it is. Of a few
 * connections that wait for their answers, one half would for ever miss the group of the other half. So a
 * small group that is due when another has just been answered waits until as many requests have come as were
 * answered, and until all who are inside have reached it; for at most half the time that the other one took.
 * Where nobody asks again so soon, most groups do not wait at all. Who comes alone meets no group and waits
 * for nobody.
 */
enum { PAUSE_MOST = 64 };

/* A group was answered. */
static void hold_arm(struct db *db, size_t answered)
{
    struct committer *c = &db->committer;
    int64_t now = clock_monotonic_us();
    c->hold_until_us = now + (now - c->sent_us);
    c->hold_expect = answered;
    if (db->crowd)
        c->hold_came = db->crowd(db->crowd_arg).came;
    if (c->hold_pause)
        c->hold_pause--;
}

static bool others_come(const struct db *db)
{
    const struct committer *c = &db->committer;
    struct db_crowd crowd = db->crowd(db->crowd_arg);
    return crowd.inside > c->pending || crowd.came - c->hold_came < c->hold_expect;
}

/* Waiting is over. In vain: so many groups, twice as many each time, do not wait now. */
static void hold_end(struct db *db, bool in_vain)
{
    struct committer *c = &db->committer;
    if (!c->holding)
        return;
    c->holding = false;
    evtimer_del(db->held);
    c->hold_vain = in_vain ? c->hold_vain * 2 + 1 : 0;
    if (c->hold_vain > PAUSE_MOST)
        c->hold_vain = PAUSE_MOST;
    c->hold_pause = c->hold_vain;
}

static bool group_waits(struct db *db)
{
    struct committer *c = &db->committer;
    int64_t left = c->hold_until_us - clock_monotonic_us();
    if (!c->queued || !db->crowd || c->hold_pause)
        return false;
    bool come = others_come(db);
    if (left <= 0 || !come || c->queued >= GROUP_SMALL || c->retries) {
        hold_end(db, come && left <= 0);
        return false;
    }
    if (!c->holding) {
        struct timeval t = {left / 1000000, left % 1000000};
        evtimer_add(db->held, &t);
    }
    c->holding = true;
    return true;
}

void committer_held(struct db *db)
{
    db->committer.hold_until_us = 0;
    db_flush(db);
}

/* ---- a group on its way ---- */

static void on_begin(void *arg, const PGresult *r)
{
    struct db *db = arg;
    struct committer *c = &db->committer;
    c->warnings = conn_warnings(db->commit); /* those of a ROLLBACK before it do not count */
    if (r && PQresultStatus(r) != PGRES_COMMAND_OK && !c->sqlstate[0])
        snprintf(c->sqlstate, sizeof c->sqlstate, "%s", conn_sqlstate(r));
}

static void mark_losers(struct committer *c, const PGresult *r)
{
    for (int row = 0; row < PQntuples(r); row++) {
        int32_t kind = 0, place = 0;
        if (!pg_get_i4(r, row, 0, &kind) || !pg_get_i4(r, row, 1, &place) ||
            !group_lose(c, c->flight, kind, place)) {
            c->main_ok = false;
            snprintf(c->sqlstate, sizeof c->sqlstate, "XX000");
            return;
        }
        c->losers++;
    }
}

static void on_main(void *arg, const PGresult *r)
{
    struct committer *c = &((struct db *)arg)->committer;
    if (!r)
        return;
    if (PQresultStatus(r) == PGRES_TUPLES_OK) {
        c->main_ok = true;
        mark_losers(c, r);
        return;
    }
    if (!c->sqlstate[0])
        snprintf(c->sqlstate, sizeof c->sqlstate, "%s", conn_sqlstate(r));
}

static void on_commit(void *arg, const PGresult *r)
{
    struct committer *c = &((struct db *)arg)->committer;
    c->commit_ok = r && PQresultStatus(r) == PGRES_COMMAND_OK &&
                   strcmp(PQcmdStatus((PGresult *)(uintptr_t)r), "COMMIT") == 0;
}

/* Nothing was written: losers are told, the others go again at once. */
static void take_losers_out(struct db *db, struct slice *s)
{
    size_t count = s->count;
    s->count = 0;
    s->changes = s->claims = false;
    for (size_t i = 0; i < count; i++) {
        struct db_unit *u = s->units[i];
        if (u->lost != DB_LOST_NOTHING) {
            commit_finish(db, u, DB_LOST, u->lost == DB_LOST_NAME ? RC_NAME_TAKEN : RC_CONFLICT);
            continue;
        }
        slice_add(s, u);
    }
    commit_retry(db, s);
}

static void on_group(void *arg, bool ok)
{
    struct db *db = arg;
    struct committer *c = &db->committer;
    struct slice *s = c->flight;
    if (!ok)
        return; /* committer_down() takes care */
    c->rollback = !c->main_ok || !c->commit_ok;
    if (c->main_ok && c->commit_ok && c->losers > 0) {
        c->flight = NULL;
        take_losers_out(db, s);
    } else if (c->main_ok && (!c->commit_ok || conn_warnings(db->commit) != c->warnings)) {
        /* Committed here but perhaps not on a standby, or a COMMIT that failed: find out anew. */
        conn_break(db->commit, "a COMMIT was not answered as it should be");
        return;
    } else if (!c->main_ok) {
        c->flight = NULL;
        group_failed(db, s);
    } else {
        c->flight = NULL;
        db->stats.groups++;
        db->stats.rows += c->next.seq - c->head.seq;
        db->stats.group_units_last = s->count;
        db->stats.commit_us_sum += (uint64_t)(clock_monotonic_us() - c->sent_us);
        c->head = c->next;
        hold_arm(db, s->count);
        finish_all(db, s, DB_DONE, RC_OK);
    }
    db_turn(db);
}

bool commit_settle(struct db *db)
{
    struct committer *c = &db->committer;
    bool ok = !c->rollback || (conn_query(db->commit, STMT_ROLLBACK, NULL, NULL, NULL) &&
                               conn_sync(db->commit, NULL, NULL));
    c->rollback = false;
    return ok;
}

static enum statement statement_of(const struct slice *s)
{
    if (s->claims)
        return STMT_CLAIMS;
    return s->changes ? STMT_CHANGE : STMT_APPEND;
}

static void group_send(struct db *db, struct slice *s)
{
    struct committer *c = &db->committer;
    rc_t rc = group_encode(db, s);
    if (rc != RC_OK && s->count > 1) {
        bisect(db, s);
        return;
    }
    if (rc != RC_OK) {
        finish_all(db, s, DB_FAILED, rc);
        return;
    }
    c->flight = s;
    c->main_ok = c->commit_ok = false;
    c->sqlstate[0] = '\0';
    c->losers = 0;
    c->warnings = conn_warnings(db->commit);
    c->sent_us = clock_monotonic_us();
    bool ok =
        commit_settle(db) && conn_query(db->commit, STMT_BEGIN, NULL, on_begin, db) &&
        conn_query(db->commit, statement_of(s), &c->params, on_main, db) &&
        conn_query(db->commit, STMT_COMMIT, NULL, on_commit, db) &&
        conn_sync(db->commit, on_group, db);
    if (!ok) /* how much of it left is not known: as any lost connection */
        conn_break(db->commit, "a group could not be sent");
}

void committer_flush(struct db *db)
{
    struct committer *c = &db->committer;
    if (db->down && (c->queued || c->retries))
        committer_refuse(db);
    while (!c->flight && c->stream_open && conn_ready(db->commit)) {
        if (gap_due(db))
            gap_commit(db);
        if (group_waits(db))
            return;
        struct slice *s = c->retries;
        if (s)
            c->retries = s->next;
        else if (!(s = group_form(db)))
            return;
        s->next = NULL;
        group_send(db, s);
    }
}

/* ---- the connection is gone ---- */

void committer_down(struct db *db)
{
    struct committer *c = &db->committer;
    c->stream_open = false;
    c->rollback = false;
    if (!c->flight)
        return;
    for (size_t i = 0; i < c->flight->count;
         i++) /* losers' marks of an answer that did not count */
        c->flight->units[i]->lost = DB_LOST_NOTHING;
    c->unknown = c->flight;
    c->flight = NULL;
    c->unknown_since_us = clock_monotonic_us();
    db->stats.unknown++;
    struct timeval t = {db->settings.resolve_ms / 1000,
                        (suseconds_t)(db->settings.resolve_ms % 1000) * 1000};
    evtimer_add(db->resolve, &t);
}

void committer_expire(struct db *db)
{
    struct committer *c = &db->committer;
    if (!c->unknown)
        return;
    log_error("commit.unknown", " outcome=unknown units=%zu why=deadline waited_us=%" PRId64,
              c->unknown->count, clock_monotonic_us() - c->unknown_since_us);
    db->stats.unknown_unknown++;
    finish_all(db, c->unknown, DB_UNKNOWN, RC_IO);
    c->unknown = NULL;
}

void committer_close(struct db *db)
{
    struct committer *c = &db->committer;
    committer_refuse(db);
    if (c->flight)
        finish_all(db, c->flight, DB_UNKNOWN, RC_IO);
    if (c->unknown)
        finish_all(db, c->unknown, DB_UNKNOWN, RC_IO);
    c->flight = c->unknown = NULL;
    while (c->answers)
        committer_answer(db);
    pg_params_free(&c->params);
    arena_free(&c->arena);
}
