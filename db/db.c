/*
 * The worker's database handle: two connections, their common state, the end-of-turn event that
 * sends and answers, the grace time after which waiting work is refused. See db.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "db/impl.h"
#include "server/base/log.h"

enum { AGAIN_MS = 100, PARTITIONS_S = 6 * 3600 };

static struct timeval ms(uint32_t v)
{
    return (struct timeval){v / 1000, (suseconds_t)(v % 1000) * 1000};
}

/* ---- the turn ---- */

void db_turn(struct db *db)
{
    if (!db->closing)
        event_active(db->turn, 0, 0);
}

void db_flush(struct db *db)
{
    loader_flush(db);
    committer_flush(db);
}

void db_set_crowd(struct db *db, db_crowd_fn *crowd, void *arg)
{
    db->crowd = crowd;
    db->crowd_arg = arg;
}

static void on_held(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    committer_held(arg);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct db *db = arg;
    (void)fd, (void)what;
    db_flush(db);
    loader_answer(db);
    committer_answer(db);
}

/* ---- state ---- */

static void set_state(struct db *db, enum db_state state, const char *text)
{
    snprintf(db->text, sizeof db->text, "%s", text);
    if (state == db->state)
        return;
    db->state = state;
    if (!db->closing && db->settings.on_state)
        db->settings.on_state(db->settings.arg, state);
}

static void check_ready(struct db *db)
{
    if (!conn_ready(db->load) || !conn_ready(db->commit) || !db->committer.stream_open)
        return;
    char text[96];
    snprintf(text, sizeof text, "PostgreSQL %s", conn_facts(db->commit)->version);
    evtimer_del(db->grace);
    db->down = false;
    set_state(db, DB_STATE_READY, text);
    db_turn(db);
}

static void on_down(struct db *db, enum conn_trouble trouble, const char *why)
{
    if (!db->down && !evtimer_pending(db->grace, NULL)) {
        struct timeval t = ms(db->settings.grace_ms);
        evtimer_add(db->grace, &t);
    }
    set_state(db,
              trouble == CONN_UNSAFE      ? DB_STATE_UNSAFE
              : trouble == CONN_MIGRATION ? DB_STATE_MIGRATION
                                          : DB_STATE_DOWN,
              why);
    db_turn(db);
}

static void on_grace(evutil_socket_t fd, short what, void *arg)
{
    struct db *db = arg;
    (void)fd, (void)what;
    db->down = true;
    loader_refuse(db, RC_UNAVAILABLE);
    committer_refuse(db);
}

static void on_resolve(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    committer_expire(arg);
}

/* ---- the load connection ---- */

static void make_partitions(struct db *db)
{
    struct timeval t = {PARTITIONS_S, 0};
    evtimer_add(db->hourly, &t);
    if (conn_ready(db->load) && conn_query(db->load, STMT_PARTITIONS, NULL, NULL, NULL))
        conn_sync(db->load, NULL, NULL);
}

static void on_hourly(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    make_partitions(arg);
}

static void load_ready(void *arg)
{
    struct db *db = arg;
    conn_start(db->commit); /* the server is back: the other one need not wait out its pause */
    make_partitions(db);
    check_ready(db);
}

static void load_down(void *arg, enum conn_trouble trouble, const char *why)
{
    struct db *db = arg;
    loader_down(db);
    on_down(db, trouble, why);
}

/* ---- the commit connection ---- */

static void commit_ready(void *arg)
{
    struct db *db = arg;
    db->stats.reconnects += db->ups++ > 0;
    conn_start(db->load);
    stream_begin(db);
}

static void commit_down(void *arg, enum conn_trouble trouble, const char *why)
{
    struct db *db = arg;
    evtimer_del(db->again);
    committer_down(db);
    on_down(db, trouble, why);
}

void db_stream_opened(struct db *db)
{
    check_ready(db);
    db_turn(db);
}

void db_stream_failed(struct db *db)
{
    struct timeval t = ms(AGAIN_MS);
    evtimer_add(db->again, &t);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    stream_begin(arg);
}

/* ---- life ---- */

static rc_t make_connections(struct db *db)
{
    struct conn_config config = {.conninfo = db->conninfo,
                                 .name = "load",
                                 .statements = ON_LOAD,
                                 .statement_timeout_ms = db->settings.statement_timeout_ms,
                                 .connect_timeout_ms = db->settings.connect_timeout_ms,
                                 .lock_wait_ms = db->settings.lock_wait_ms,
                                 .allow_unsafe = db->settings.allow_unsafe,
                                 .on_ready = load_ready,
                                 .on_down = load_down,
                                 .arg = db};
    TRY(db_conn_new(db->base, &config, &db->load));
    config.name = "commit";
    config.statements = ON_COMMIT;
    config.on_ready = commit_ready;
    config.on_down = commit_down;
    return db_conn_new(db->base, &config, &db->commit);
}

static rc_t make_events(struct db *db)
{
    db->turn = event_new(db->base, -1, 0, on_turn, db);
    db->grace = evtimer_new(db->base, on_grace, db);
    db->resolve = evtimer_new(db->base, on_resolve, db);
    db->again = evtimer_new(db->base, on_again, db);
    db->hourly = evtimer_new(db->base, on_hourly, db);
    db->held = evtimer_new(db->base, on_held, db);
    if (!db->turn || !db->grace || !db->resolve || !db->again || !db->hourly || !db->held)
        return RC_NO_MEMORY;
    /* last in its turn, so that all that the turn brings goes together */
    event_priority_set(db->turn, event_base_get_npriorities(db->base) - 1);
    return RC_OK;
}

static bool conninfo_parses(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    PQconninfoFree(options);
    return options != NULL;
}

rc_t db_new(struct event_base *base, const struct db_settings *settings, struct db **out)
{
    if (!settings->conninfo || !conninfo_parses(settings->conninfo))
        return RC_CONFIG;
    struct db *db = calloc(1, sizeof *db);
    if (!db)
        return RC_NO_MEMORY;
    db->base = base;
    db->settings = *settings;
    db->conninfo = strdup(settings->conninfo);
    db->opener = strdup(settings->opener && *settings->opener ? settings->opener : "worker");
    db->settings.conninfo = db->settings.opener = NULL;
    loader_open(db);
    committer_open(db);
    snprintf(db->text, sizeof db->text, "not connected yet");
    rc_t rc = db->conninfo && db->opener ? make_events(db) : RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = make_connections(db);
    if (rc != RC_OK) {
        db_free(db);
        return rc;
    }
    *out = db;
    return RC_OK;
}

void db_start(struct db *db)
{
    struct timeval t = ms(db->settings.grace_ms + db->settings.connect_timeout_ms);
    evtimer_add(db->grace, &t);
    conn_start(db->load);
    conn_start(db->commit);
}

static void drop_event(struct event *e)
{
    if (e)
        event_free(e);
}

void db_free(struct db *db)
{
    if (!db)
        return;
    db->closing = true;
    db_conn_free(db->load);
    db_conn_free(db->commit);
    committer_close(db);
    loader_close(db);
    drop_event(db->turn);
    drop_event(db->grace);
    drop_event(db->resolve);
    drop_event(db->again);
    drop_event(db->hourly);
    drop_event(db->held);
    free(db->conninfo);
    free(db->opener);
    free(db);
}

enum db_state db_state_of(const struct db *db)
{
    return db->state;
}

const char *db_state_text(const struct db *db)
{
    return db->text;
}

size_t db_pending(const struct db *db)
{
    return db->loader.pending + db->committer.pending;
}

const struct db_stats *db_stats_of(const struct db *db)
{
    return &db->stats;
}
