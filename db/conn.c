/*
 * The asynchronous connection; see conn.h. All calls of libpq that a worker makes are here. Nothing
 * blocks but the resolver, and only when the connection string names a host.
 */
#include "db/conn_impl.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "server/base/clock.h"
#include "server/base/log.h"

enum { REFUSED_WAIT_MS = 5000, DEADLINE_EXTRA_MS = 2000 };

const struct statement_text conn_statements[STMT_COUNT] = {
#define STATEMENT(name, where, text) [name] = {#name, where, text},
#include "db/statements.def"
#undef STATEMENT
};

static void conn_connect(struct conn *c);

const char *conn_sqlstate(const PGresult *r)
{
    const char *s = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    return s ? s : "";
}

static uint32_t jitter(uint32_t ms)
{
    uint16_t r = 0;
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
        r = 0x8000;
    return ms / 2 + (uint32_t)((uint64_t)ms * r / 65536);
}

static void set_timer(struct conn *c, uint32_t ms)
{
    struct timeval t = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    evtimer_add(c->timer, &t);
}

/* Error texts of libpq may have several lines and name hosts and users, never passwords. */
static void one_line(char *out, size_t room, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < room; text++)
        if (*text != '\n' && *text != '\t')
            out[n++] = *text;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

/* ---- expectations ---- */

static struct expect *expect_add(struct conn *c)
{
    struct expect *e = c->spare;
    if (e)
        c->spare = e->next;
    else if (!(e = malloc(sizeof *e)))
        return NULL;
    *e = (struct expect){0};
    *c->last = e;
    c->last = &e->next;
    c->pending++;
    return e;
}

static struct expect expect_take(struct conn *c)
{
    struct expect *e = c->first, copy = *e;
    c->first = e->next;
    if (!c->first)
        c->last = &c->first;
    c->pending--;
    e->next = c->spare;
    c->spare = e;
    return copy;
}

/* ---- socket events ---- */

static void conn_on_io(evutil_socket_t fd, short what, void *arg);

static void want(struct conn *c, short what)
{
    int fd = PQsocket(c->pg);
    if (fd < 0)
        return;
    if (c->io_for == what && c->io_fd == fd)
        return;
    if (c->io_for)
        event_del(c->io);
    event_assign(c->io, c->base, fd, (short)(what | EV_PERSIST), conn_on_io, c);
    event_add(c->io, NULL);
    c->io_for = what;
    c->io_fd = fd;
}

static void unwant(struct conn *c)
{
    if (c->io_for)
        event_del(c->io);
    c->io_for = 0;
}

static void conn_on_fail(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    if (c->pg && c->state != CONN_WAITING)
        conn_fail(c, CONN_LOST, c->why);
}

void conn_break(struct conn *c, const char *why)
{
    if (!c->pg)
        return;
    one_line(c->why, sizeof c->why, why);
    event_active(c->fail, 0, 0);
}

static void conn_flush(struct conn *c)
{
    int rc = PQflush(c->pg);
    if (rc < 0)
        conn_break(c, PQerrorMessage(c->pg));
    else
        want(c, rc ? EV_READ | EV_WRITE : EV_READ);
}

/* ---- sending ---- */

bool conn_sent(struct conn *c, int ok, conn_result_fn *done, void *arg)
{
    struct expect *e = ok ? expect_add(c) : NULL;
    if (!e) {
        conn_break(c, ok ? "out of memory" : PQerrorMessage(c->pg));
        return false;
    }
    e->result = done;
    e->arg = arg;
    return true;
}

static bool may_send(const struct conn *c)
{
    return c->pg && c->state >= CONN_CHECKING && PQstatus(c->pg) == CONNECTION_OK;
}

bool conn_query_named(struct conn *c, const char *name, struct pg_params *p, conn_result_fn *done,
                      void *arg)
{
    if (!may_send(c))
        return false;
    if (p && pg_params_ready(p) != RC_OK) {
        conn_break(c, "parameters too large");
        return false;
    }
    int ok = p ? PQsendQueryPrepared(c->pg, name, p->count, p->values, p->lengths, p->formats, 1)
               : PQsendQueryPrepared(c->pg, name, 0, NULL, NULL, NULL, 1);
    return conn_sent(c, ok, done, arg);
}

bool conn_query(struct conn *c, enum statement s, struct pg_params *p, conn_result_fn *done,
                void *arg)
{
    return conn_query_named(c, conn_statements[s].name, p, done, arg);
}

bool conn_query_text(struct conn *c, const char *sql, struct pg_params *p, conn_result_fn *done,
                     void *arg)
{
    if (!may_send(c))
        return false;
    if (p && pg_params_ready(p) != RC_OK) {
        conn_break(c, "parameters too large");
        return false;
    }
    int ok = p ? PQsendQueryParams(c->pg, sql, p->count, NULL, p->values, p->lengths, p->formats, 1)
               : PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0);
    return conn_sent(c, ok, done, arg);
}

bool conn_prepare(struct conn *c, const char *name, const char *sql, conn_result_fn *done,
                  void *arg)
{
    return may_send(c) && conn_sent(c, PQsendPrepare(c->pg, name, sql, 0, NULL), done, arg);
}

bool conn_sync(struct conn *c, conn_sync_fn *done, void *arg)
{
    if (!may_send(c))
        return false;
    struct expect *e = PQpipelineSync(c->pg) ? expect_add(c) : NULL;
    if (!e) {
        conn_break(c, PQerrorMessage(c->pg));
        return false;
    }
    e->sync = true;
    e->synced = done;
    e->arg = arg;
    if (!evtimer_pending(c->timer, NULL))
        set_timer(c, c->config.statement_timeout_ms + DEADLINE_EXTRA_MS);
    conn_flush(c);
    return true;
}

/* ---- the end of a connection ---- */

void conn_fail(struct conn *c, enum conn_trouble trouble, const char *why)
{
    char text[160];
    one_line(text, sizeof text, why);
    bool was_ready = c->state == CONN_READY;
    unwant(c);
    evtimer_del(c->timer);
    event_del(c->fail);
    if (c->pg)
        PQfinish(c->pg);
    c->pg = NULL;
    c->state = CONN_WAITING;
    c->trouble = trouble;
    memcpy(c->why, text, sizeof text);
    if (!c->closing && (was_ready || !c->logged)) {
        char safe[160];
        log_warn("db.down", " connection=%s why=%s", c->config.name,
                 log_value(bytes_str(text), safe));
        c->logged = true;
    }
    /* what was under way never gets an answer */
    struct expect *e = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->pending = 0;
    while (e) {
        struct expect *next = e->next;
        if (e->sync && e->synced)
            e->synced(e->arg, false);
        else if (!e->sync && e->result)
            e->result(e->arg, NULL);
        free(e);
        e = next;
    }
    if (c->closing)
        return;
    if (c->config.on_down)
        c->config.on_down(c->config.arg, trouble, c->why);
    uint32_t wait = trouble == CONN_LOST ? jitter(c->backoff_ms) : jitter(REFUSED_WAIT_MS);
    c->backoff_ms = c->backoff_ms * 2 < BACKOFF_MOST_MS ? c->backoff_ms * 2 : BACKOFF_MOST_MS;
    set_timer(c, wait);
}

void conn_reset(struct conn *c, const char *why)
{
    if (c->pg)
        conn_fail(c, CONN_LOST, why);
}

/* ---- connecting ---- */

static void conn_poll(struct conn *c)
{
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING:
        unwant(c); /* the socket may be a new one with an old number */
        want(c, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        unwant(c);
        want(c, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        unwant(c);
        evtimer_del(c->timer);
        want(c, EV_READ);
        conn_check(c);
        break;
    default:
        conn_fail(c, CONN_LOST, PQerrorMessage(c->pg));
        break;
    }
}

static void on_notice(void *arg, const PGresult *r)
{
    struct conn *c = arg;
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (!severity || strcmp(severity, "WARNING") != 0)
        return;
    c->warnings++;
    char safe[160];
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    log_warn("db.warning", " connection=%s text=%s", c->config.name,
             log_value(bytes_str(text), safe));
}

static void conn_connect(struct conn *c)
{
    char app[64];
    snprintf(app, sizeof app, "holdfast %s", c->config.name);
    const char *keys[] = {"dbname", "application_name", "client_encoding", NULL};
    const char *values[] = {c->config.conninfo, app, "UTF8", NULL};
    c->why[0] = '\0';
    c->pg = PQconnectStartParams(keys, values, 1);
    c->state = CONN_CONNECTING;
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD) {
        conn_fail(c, CONN_LOST, c->pg ? PQerrorMessage(c->pg) : "out of memory");
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, c);
    set_timer(c, c->config.connect_timeout_ms);
    want(c, EV_WRITE); /* libpq: begin as if PQconnectPoll had said WRITING */
}

static void conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    switch (c->state) {
    case CONN_WAITING:
        conn_connect(c);
        break;
    case CONN_CONNECTING:
        conn_fail(c, CONN_LOST, "no connection in time");
        break;
    default:
        conn_fail(c, CONN_LOST, "no answer in time");
        break;
    }
}

/* ---- reading ---- */

/* Takes what has come. Callbacks may send, or break the connection (then c->pg or state changes).
 */
static void conn_read(struct conn *c)
{
    PGconn *pg = c->pg;
    int idle = 0;
    while (c->pg == pg && c->first && !PQisBusy(pg)) {
        PGresult *r = PQgetResult(pg);
        if (!r) {
            if (c->first->got)
                expect_take(c);
            else if (++idle > 2)
                break;
            continue;
        }
        idle = 0;
        struct expect *e = c->first;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            if (!e->sync) {
                conn_fail(c, CONN_LOST, "answers out of order");
                return;
            }
            struct expect done = expect_take(c);
            if (c->first)
                set_timer(c, c->config.statement_timeout_ms + DEADLINE_EXTRA_MS);
            else
                evtimer_del(c->timer);
            if (done.synced)
                done.synced(done.arg, true);
            continue;
        }
        if (e->sync) { /* an implicit commit failed: what came before cannot be relied on */
            conn_fail(c, CONN_LOST, PQresultErrorMessage(r));
            PQclear(r);
            return;
        }
        if (!e->got) {
            e->got = true;
            if (e->result)
                e->result(e->arg, r);
        }
        PQclear(r);
    }
    if (c->pg == pg && PQstatus(pg) == CONNECTION_BAD)
        conn_fail(c, CONN_LOST, PQerrorMessage(pg));
}

static void conn_on_io(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd;
    if (!c->pg)
        return;
    if (c->state == CONN_CONNECTING) {
        conn_poll(c);
        return;
    }
    if (what & EV_READ) {
        int ok = PQconsumeInput(c->pg);
        PGconn *pg = c->pg;
        conn_read(c); /* what came before the end still counts */
        if (c->pg != pg)
            return;
        if (!ok) {
            conn_fail(c, CONN_LOST, PQerrorMessage(c->pg));
            return;
        }
    }
    conn_flush(c);
}

/* ---- life ---- */

rc_t db_conn_new(struct event_base *base, const struct conn_config *config, struct conn **out)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return RC_NO_MEMORY;
    c->base = base;
    c->config = *config;
    c->last = &c->first;
    c->backoff_ms = BACKOFF_FIRST_MS;
    c->io = event_new(base, -1, 0, conn_on_io, c);
    c->timer = evtimer_new(base, conn_on_timer, c);
    c->fail = event_new(base, -1, 0, conn_on_fail, c);
    if (!c->io || !c->timer || !c->fail) {
        db_conn_free(c);
        return RC_NO_MEMORY;
    }
    *out = c;
    return RC_OK;
}

void db_conn_free(struct conn *c)
{
    if (!c)
        return;
    c->closing = true;
    if (c->io && c->timer && c->fail)
        conn_fail(c, CONN_LOST, "closed");
    if (c->io)
        event_free(c->io);
    if (c->timer)
        event_free(c->timer);
    if (c->fail)
        event_free(c->fail);
    while (c->spare) {
        struct expect *next = c->spare->next;
        free(c->spare);
        c->spare = next;
    }
    free(c);
}

void conn_start(struct conn *c)
{
    if (!c->started || c->state == CONN_WAITING)
        set_timer(c, 0);
    c->started = true;
}

bool conn_ready(const struct conn *c)
{
    return c->state == CONN_READY && PQstatus(c->pg) == CONNECTION_OK && !c->why[0];
}

const struct conn_facts *conn_facts(const struct conn *c)
{
    return &c->facts;
}

uint64_t conn_warnings(const struct conn *c)
{
    return c->warnings;
}

size_t conn_pending(const struct conn *c)
{
    return c->pending;
}
