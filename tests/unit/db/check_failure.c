/*
 * Tests of db when things break: COMMITs whose answer is lost, at each place between sending and
 * answering; a restart under load; unsafe settings; no database at all. A small proxy on a Unix
 * socket cuts connections at exactly the wanted byte.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "server/base/clock.h"
#include "tests/unit/db/fixture.h"

/* ---- the proxy ---- */

enum cut {
    PASS,
    CUT_BEFORE, /* the group never reaches the server */
    CUT_AFTER,  /* the server answers, the answer never reaches the worker */
    CUT_LATE,   /* the worker is cut off; the group reaches the server only after `release` */
};

static struct proxy {
    char dir[64], path[108], real[108];
    _Atomic int cut;
    _Atomic bool release, stop, refuse;
    _Atomic unsigned cuts;
    pthread_t thread;
} proxy;

enum { PAIRS = 16 };
struct pair {
    int client, server;
    int waiting; /* bytes held back of CUT_LATE */
    char held[65536];
    bool drop_answer;
};

static int unix_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void write_all(int fd, const char *data, ssize_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, data, (size_t)n, MSG_NOSIGNAL);
        if (done <= 0)
            return;
        data += done;
        n -= done;
    }
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool holds(const char *data, size_t n, const char *what)
{
    size_t len = strlen(what);
    for (size_t i = 0; i + len <= n; i++)
        if (memcmp(data + i, what, len) == 0)
            return true;
    return false;
}

static void from_client(struct pair *p)
{
    static char data[65536];
    ssize_t n = read(p->client, data, sizeof data);
    if (n <= 0) {
        shut(&p->client);
        if (!p->waiting)
            shut(&p->server);
        return;
    }
    bool group = holds(data, (size_t)n, "STMT_COMMIT");
    int cut = group ? atomic_exchange(&proxy.cut, PASS) : PASS;
    proxy.cuts += cut != PASS;
    if (cut == CUT_BEFORE) {
        shut(&p->client);
        shut(&p->server);
    } else if (cut == CUT_LATE) {
        memcpy(p->held, data, (size_t)n);
        p->waiting = (int)n;
        shut(&p->client);
    } else {
        p->drop_answer = cut == CUT_AFTER;
        write_all(p->server, data, n);
    }
}

static void from_server(struct pair *p)
{
    static char data[65536];
    ssize_t n = read(p->server, data, sizeof data);
    if (n <= 0 ||
        p->drop_answer) { /* the answer has come: the COMMIT is done; now the worker loses it */
        shut(&p->server);
        shut(&p->client);
        return;
    }
    if (p->client >= 0)
        write_all(p->client, data, n);
}

static void *proxy_run(void *arg)
{
    struct pair *pairs = calloc(PAIRS, sizeof *pairs);
    int listener = *(int *)arg;
    for (int i = 0; i < PAIRS; i++)
        pairs[i].client = pairs[i].server = -1;
    while (!proxy.stop) {
        struct pollfd fds[1 + 2 * PAIRS];
        fds[0] = (struct pollfd){listener, POLLIN, 0};
        for (int i = 0; i < PAIRS; i++) {
            fds[1 + 2 * i] = (struct pollfd){pairs[i].client, POLLIN, 0};
            fds[2 + 2 * i] = (struct pollfd){pairs[i].server, POLLIN, 0};
        }
        poll(fds, 1 + 2 * PAIRS, 20);
        for (int i = 0; i < PAIRS; i++) {
            if (pairs[i].client >= 0 && (fds[1 + 2 * i].revents))
                from_client(&pairs[i]);
            if (pairs[i].server >= 0 && (fds[2 + 2 * i].revents))
                from_server(&pairs[i]);
            if (pairs[i].waiting && proxy.release) {
                write_all(pairs[i].server, pairs[i].held, pairs[i].waiting);
                pairs[i].waiting = 0;
            }
        }
        if (!(fds[0].revents & POLLIN))
            continue;
        int client = accept(listener, NULL, NULL);
        for (int i = 0; client >= 0 && i < PAIRS; i++) {
            if (pairs[i].client >= 0 || pairs[i].server >= 0)
                continue;
            pairs[i] = (struct pair){.client = client,
                                     .server = proxy.refuse ? -1 : unix_connect(proxy.real)};
            if (pairs[i].server < 0)
                shut(&pairs[i].client);
            break;
        }
    }
    for (int i = 0; i < PAIRS; i++)
        shut(&pairs[i].client), shut(&pairs[i].server);
    free(pairs);
    close(listener);
    return NULL;
}

/* A worker whose connections go through the proxy. */
static void open_by_proxy(struct worker *w, const char *database, struct db_settings settings)
{
    static int listener;
    static char conninfo[200];
    snprintf(proxy.dir, sizeof proxy.dir, "/tmp/holdfast-proxy-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(proxy.dir));
    snprintf(proxy.path, sizeof proxy.path, "%s/.s.PGSQL.5432", proxy.dir);
    snprintf(proxy.real, sizeof proxy.real, "%s/.s.PGSQL.5432", pg.dir);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", proxy.path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(pthread_create(&proxy.thread, NULL, proxy_run, &listener), 0);
    snprintf(conninfo, sizeof conninfo, "host=%s dbname=%s user=" DB_ROLE_SERVER, proxy.dir,
             database);
    settings.conninfo = conninfo;
    worker_open(w, database, &settings);
}

static void close_by_proxy(struct worker *w)
{
    worker_close(w);
    proxy.stop = true;
    pthread_join(proxy.thread, NULL);
    unlink(proxy.path);
    rmdir(proxy.dir);
}

static void wait_ms(struct worker *w, int ms)
{
    int64_t end = clock_monotonic_us() + ms * 1000;
    while (clock_monotonic_us() < end) {
        struct probe p;
        unsigned n = 0;
        probe_audit(&p, w, "Query", &n);
        probe_run(w, &p);
    }
}

/* ---- unknown outcomes ---- */

static const struct {
    const char *why;
    enum cut cut;
    bool write;
    uint64_t done, rerun;
} cuts[] = {
    {"a read, before the server saw it", CUT_BEFORE, false, 0, 1},
    {"a read, after the server did it", CUT_AFTER, false, 1, 0},
    {"a change, before the server saw it", CUT_BEFORE, true, 0, 1},
    {"a change, after the server did it", CUT_AFTER, true, 1, 0},
    {"a read that reaches the server late", CUT_LATE, false, 0, 1},
    {"a change that reaches the server late", CUT_LATE, true, 0, 1},
};

START_TEST(an_unknown_commit_is_resolved)
{
    struct worker w;
    struct probe p[3];
    unsigned n = 0;
    open_by_proxy(&w, fresh_database(), DB_SETTINGS_DEFAULT);
    for (int i = 0; i < 3; i++) {
        if (cuts[_i].write)
            probe_insert(&p[i], &w, NULL, &n);
        else
            probe_audit(&p[i], &w, "Get", &n);
    }
    proxy.cut = cuts[_i].cut;
    for (int i = 0; i < 3; i++)
        db_commit(w.db, &p[i].unit);
    worker_until(&w, &n, 3, 10);
    ck_assert_uint_eq(proxy.cuts, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(p[i].outcome, DB_DONE);
    const struct db_stats *s = db_stats_of(w.db);
    ck_assert_uint_eq(s->unknown, 1);
    ck_assert_uint_eq(s->unknown_done, cuts[_i].done);
    ck_assert_uint_eq(s->unknown_rerun, cuts[_i].rerun);
    worker_until_state(&w, DB_STATE_READY, 5);
    proxy.release = true; /* what was held back arrives now, and must change nothing */
    wait_ms(&w, 200);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres",
                              cuts[_i].write ? "SELECT count(*) FROM kmip.object" : "SELECT 3"),
                     "3");
    ck_assert_str_eq(
        pg_value(&pg, w.database, "postgres",
                 "SELECT count(*) FROM audit.event WHERE operation IN ('Get', 'Create')"),
        "3");
    ck_assert_str_eq(verify_text(w.database), "verified");
    close_by_proxy(&w);
}
END_TEST

START_TEST(no_answer_when_the_outcome_cannot_be_told)
{
    struct worker w;
    struct probe p, late;
    unsigned n = 0, m = 0;
    struct db_settings s = DB_SETTINGS_DEFAULT;
    s.resolve_ms = 400;
    s.grace_ms = 200;
    open_by_proxy(&w, fresh_database(), s);
    probe_insert(&p, &w, NULL, &n);
    proxy.refuse = true; /* no new connections */
    proxy.cut = CUT_AFTER;
    db_commit(w.db, &p.unit);
    worker_until(&w, &n, 1, 5);
    ck_assert_int_eq(p.outcome, DB_UNKNOWN);
    ck_assert_uint_eq(db_stats_of(w.db)->unknown_unknown, 1);
    /* meanwhile others are refused at once */
    probe_audit(&late, &w, "Get", &m);
    ck_assert_int_eq(probe_run(&w, &late), DB_DOWN);
    db_refused(w.db);
    db_refused(w.db);
    proxy.refuse = false;
    worker_until_state(&w, DB_STATE_READY, 10);
    ck_assert_int_eq(probe_run(&w, &late), DB_DONE);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres",
                              "SELECT detail FROM audit.event WHERE operation = 'Audit Gap'"),
                     "2 requests were refused unaudited by test/worker-0");
    ck_assert_str_eq(verify_text(w.database), "verified");
    close_by_proxy(&w);
}
END_TEST

/* A failover: the same data on a new timeline. What is found there happened; what is not may be lost. */
static const struct {
    enum cut cut;
    enum db_outcome want;
} failovers[] = {{CUT_BEFORE, DB_UNKNOWN}, {CUT_AFTER, DB_DONE}};

START_TEST(after_a_failover_only_what_is_found_is_answered)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    open_by_proxy(&w, fresh_database(), DB_SETTINGS_DEFAULT);
    probe_insert(&p, &w, NULL, &n);
    proxy.refuse = true;
    proxy.cut = failovers[_i].cut;
    db_commit(w.db, &p.unit);
    worker_until_state(&w, DB_STATE_DOWN, 5);
    pg_failover(&pg);
    proxy.refuse = false;
    worker_until(&w, &n, 1, 10);
    ck_assert_int_eq(p.outcome, failovers[_i].want);
    worker_until_state(&w, DB_STATE_READY, 5);
    ck_assert_str_eq(verify_text(w.database), "verified");
    close_by_proxy(&w);
}
END_TEST

/* ---- restarts ---- */

static void on_outcome(struct db_unit *u, enum db_outcome outcome, rc_t rc)
{
    struct probe *p = u->arg;
    p->outcome = outcome;
    p->rc = rc;
    ++*p->answered;
}

/* 32 units in flight all the time; each acknowledged one must be there in the end. */
START_TEST(acknowledged_facts_survive_kills)
{
    enum { FLIGHT = 32, ROUNDS = 6 };
    struct worker w;
    static struct probe p[FLIGHT];
    static struct uid acked[200000];
    unsigned n = 0;
    size_t acks = 0;
    worker_open(&w, fresh_database(), NULL);
    int64_t start = clock_monotonic_us(), next_kill = start + 300000;
    int kills = 0;
    for (int i = 0; i < FLIGHT; i++) {
        probe_insert(&p[i], &w, NULL, &n);
        p[i].unit.done = on_outcome;
        db_commit(w.db, &p[i].unit);
    }
    unsigned seen = 0;
    while (kills < ROUNDS || db_state_of(w.db) != DB_STATE_READY) {
        worker_until(&w, &n, seen + 1, 30);
        for (int i = 0; i < FLIGHT; i++) {
            if (!p[i].outcome)
                continue;
            seen++;
            if (p[i].outcome == DB_DONE && acks < 200000)
                acked[acks++] = p[i].object.control.uid;
            probe_insert(&p[i], &w, NULL, &n);
            p[i].outcome = 0;
            db_commit(w.db, &p[i].unit);
        }
        if (kills < ROUNDS && clock_monotonic_us() > next_kill &&
            db_state_of(w.db) == DB_STATE_READY) {
            if (kills % 2) { /* the backends only */
                pg_value(&pg, "postgres", "postgres",
                         "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                         "usename = 'holdfast_server'");
            } else { /* all of PostgreSQL, hard */
                kill(pg_pid(&pg), SIGQUIT);
                for (int i = 0; i < 100 && pg_pid(&pg) > 0; i++)
                    usleep(20000);
                pg_start(&pg);
            }
            kills++;
            next_kill = clock_monotonic_us() + 300000;
        }
    }
    worker_until(&w, &n, seen + 1, 10);
    const struct db_stats *s = db_stats_of(w.db);
    fprintf(
        stderr,
        "# acknowledged %zu, unknown %llu (done %llu, rerun %llu, unknown %llu), reconnects %llu\n",
        acks, (unsigned long long)s->unknown, (unsigned long long)s->unknown_done,
        (unsigned long long)s->unknown_rerun, (unsigned long long)s->unknown_unknown,
        (unsigned long long)s->reconnects);
    ck_assert_uint_eq(s->unknown, s->unknown_done + s->unknown_rerun + s->unknown_unknown);
    worker_close(&w);
    /* every acknowledged object is there, with its audit row */
    PGconn *c = pg_connect(&pg, w.database, "postgres");
    PGresult *r = PQexec(c, "SELECT o.uid FROM kmip.object o JOIN audit.event e ON e.object = "
                            "o.uid AND e.operation = 'Create' ORDER BY 1");
    size_t rows = (size_t)PQntuples(r), at = 0, missing = 0;
    for (size_t i = 0; i < acks; i++) {
        char text[UID_TEXT_SIZE];
        uid_print(&acked[i], text);
        bool found = false;
        for (size_t k = 0; k < rows && !found; k++, at = (at + 1) % rows)
            found = strcmp(PQgetvalue(r, (int)at, 0), text) == 0;
        missing += !found;
    }
    ck_assert_uint_eq(missing, 0);
    PQclear(r);
    PQfinish(c);
    ck_assert_str_eq(verify_text(w.database), "verified");
}
END_TEST

START_TEST(an_unsafe_setting_is_refused_unless_allowed)
{
    struct worker w;
    const char *db = fresh_database();
    char sql[128];
    snprintf(sql, sizeof sql, "ALTER DATABASE %s SET synchronous_commit = off", db);
    pg_value(&pg, "postgres", "postgres", sql);
    worker_open_only(&w, db, NULL);
    worker_until_state(&w, DB_STATE_UNSAFE, 5);
    ck_assert_ptr_nonnull(strstr(db_state_text(w.db), "synchronous_commit=off"));
    worker_close(&w);
    struct db_settings s = DB_SETTINGS_DEFAULT;
    s.allow_unsafe = true;
    worker_open_only(&w, db, &s);
    worker_until_state(&w, DB_STATE_READY, 5);
    worker_close(&w);
}
END_TEST

START_TEST(a_foreign_schema_is_refused)
{
    struct worker w;
    const char *db = fresh_database();
    pg_value(&pg, db, "postgres",
             "INSERT INTO holdfast.migration VALUES (99, 'x', 'x', now(), 'x', 0)");
    worker_open_only(&w, db, NULL);
    worker_until_state(&w, DB_STATE_MIGRATION, 5);
    worker_close(&w);
    worker_open_only(&w, "postgres", NULL);
    worker_until_state(&w, DB_STATE_MIGRATION, 5);
    worker_close(&w);
}
END_TEST

static void load_refused(struct db_load *load, rc_t rc)
{
    ck_assert_int_eq(rc, RC_UNAVAILABLE);
    ++*(unsigned *)load->arg;
}

START_TEST(without_a_database_all_is_refused_in_time)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    struct db_settings s = DB_SETTINGS_DEFAULT;
    AUTO_ARENA arena = ARENA_OF(1 << 16);
    struct uid uid = {{1}};
    struct db_load load = {.kind = DB_LOAD_OBJECTS,
                           .arena = &arena,
                           .done = load_refused,
                           .arg = &n,
                           .objects = {.uids = &uid, .count = 1}};
    s.conninfo = "host=/nonexistent user=nobody";
    s.grace_ms = 100;
    s.connect_timeout_ms = 100;
    worker_open_only(&w, "x", &s);
    probe_audit(&p, &w, "Get", &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DOWN);
    ck_assert_int_eq(p.rc, RC_UNAVAILABLE);
    ck_assert_uint_eq(db_pending(w.db), 0);
    db_load_add(w.db, &load);
    worker_until(&w, &n, 2, 5);
    worker_close(&w);
    ck_assert_int_eq(db_new(w.base, &(struct db_settings){.conninfo = "=bad="}, &w.db), RC_CONFIG);
}
END_TEST

static rc_t held_rc;

static void load_held(struct db_load *load, rc_t rc)
{
    held_rc = rc;
    ++*(unsigned *)load->arg;
}

/* A table that somebody holds, for shorter than the deadline and for longer; on both connections.
 */
START_TEST(a_statement_has_a_deadline)
{
    struct worker w;
    struct probe p;
    unsigned n = 0, never = 0;
    struct db_settings s = DB_SETTINGS_DEFAULT;
    AUTO_ARENA arena = ARENA_OF(1 << 16);
    struct uid uid = {{1}};
    s.statement_timeout_ms = 1500;
    s.lock_wait_ms = 60000; /* not the wait for the lock ends it */
    worker_open(&w, fresh_database(), &s);
    PGconn *holder = pg_connect(&pg, w.database, "postgres");
    for (int past = 0; past < 2; past++) {
        struct db_load load = {.kind = DB_LOAD_OBJECTS,
                               .arena = &arena,
                               .done = load_held,
                               .arg = &n,
                               .objects = {.uids = &uid, .count = 1}};
        PQclear(PQexec(holder, "BEGIN; LOCK TABLE kmip.object IN ACCESS EXCLUSIVE MODE"));
        n = 0;
        db_load_add(w.db, &load);
        probe_insert(&p, &w, NULL, &n);
        db_commit(w.db, &p.unit);
        struct timeval soon = {0, 100000};
        event_base_loopexit(w.base, &soon);
        event_base_dispatch(w.base);
        ck_assert_uint_eq(n, 0);
        if (!past)
            PQclear(PQexec(holder, "ROLLBACK"));
        worker_until(&w, &n, 2, 30); /* past the deadline: answered while it is held */
        ck_assert_int_eq(held_rc, past ? RC_UNAVAILABLE : RC_OK);
        ck_assert_int_eq(p.outcome, past ? DB_DOWN : DB_DONE);
        if (past)
            PQclear(PQexec(holder, "ROLLBACK"));
    }
    probe_insert(&p, &w, NULL, &never);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE); /* and it goes on at once */
    PQfinish(holder);
    worker_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db failure");
    TCase *t = tcase_create("failure");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, an_unknown_commit_is_resolved, 0, sizeof cuts / sizeof *cuts);
    tcase_add_loop_test(t, after_a_failover_only_what_is_found_is_answered, 0,
                        sizeof failovers / sizeof *failovers);
    tcase_add_test(t, no_answer_when_the_outcome_cannot_be_told);
    tcase_add_test(t, acknowledged_facts_survive_kills);
    tcase_add_test(t, an_unsafe_setting_is_refused_unless_allowed);
    tcase_add_test(t, a_foreign_schema_is_refused);
    tcase_add_test(t, without_a_database_all_is_refused_in_time);
    tcase_add_test(t, a_statement_has_a_deadline);
    suite_add_tcase(s, t);
    return run_suite(s);
}
