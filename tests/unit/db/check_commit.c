/* Tests of db: loads, changes, lost races, names, groups and what a client might try against them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "tests/unit/db/fixture.h"

START_TEST(what_was_inserted_is_loaded)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, "key-1", &n);
    p.object.control.activation_date = INT64_MAX; /* dates are any 64 bits */
    p.object.control.usage_mask = UINT32_MAX;
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    struct object *o = load_one(&w, &arena, &p.object.control.uid, 7);
    ck_assert_ptr_nonnull(o);
    uint8_t a[CONTROL_BYTES], b[CONTROL_BYTES];
    control_encode(&p.object.control, a);
    control_encode(&o->control, b);
    ck_assert_mem_eq(a, b, CONTROL_BYTES);
    ck_assert_mem_eq(o->control_mac, p.object.control_mac, CONTROL_MAC_BYTES);
    ck_assert(bytes_is(o->material, "an envelope"));
    ck_assert(bytes_is(o->attributes, "{\"Object Group\": [\"g1\"]}"));
    ck_assert_uint_eq(o->name_count, 1);
    ck_assert(bytes_is(o->names[0].value, "key-1"));
    ck_assert_uint_eq(o->key_format, 1);
    o = load_one(&w, &arena, &p.object.control.uid, 0);
    ck_assert_uint_eq(o->material.len + o->attributes.len + o->name_count, 0);
    struct uid none = {{1}};
    ck_assert_ptr_null(load_one(&w, &arena, &none, 7));
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

START_TEST(destroy_overwrites_and_frees_the_name)
{
    struct worker w;
    struct probe p, d;
    unsigned n = 0;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, "again", &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    probe_change(&d, &w, DB_DESTROY, &p.object, STATE_DESTROYED, &n);
    ck_assert_int_eq(probe_run(&w, &d), DB_DONE);
    struct object *o = load_one(&w, &arena, &p.object.control.uid, 7);
    ck_assert_uint_eq(o->control.state, STATE_DESTROYED);
    ck_assert_uint_eq(o->material.len, 0);
    ck_assert_uint_eq(o->name_count, 1); /* the tombstone remembers */
    ck_assert_str_eq(
        pg_value(&pg, w.database, "postgres", "SELECT envelope IS NULL FROM kmip.material"), "t");
    struct probe again;
    probe_insert(&again, &w, "again", &n);
    ck_assert_int_eq(probe_run(&w, &again), DB_DONE);
    /* destroyed is final, for the owner of the tables, too */
    ck_assert_str_eq(
        pg_error(&pg, w.database, "postgres",
                 "UPDATE kmip.object SET state = 2, version = version + 1 WHERE state = 5"),
        "HF003");
    worker_close(&w);
}
END_TEST

START_TEST(a_race_has_one_winner)
{
    struct worker w;
    struct probe p, a, b;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, NULL, &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    probe_change(&a, &w, DB_UPDATE, &p.object, STATE_ACTIVE, &n);
    probe_change(&b, &w, DB_UPDATE, &p.object, STATE_ACTIVE, &n);
    n = 0;
    db_commit(w.db, &a.unit);
    db_commit(w.db, &b.unit); /* the same uid: waits for the next group, and loses there */
    worker_until(&w, &n, 2, 10);
    ck_assert_int_eq(a.outcome, DB_DONE);
    ck_assert_int_eq(b.outcome, DB_LOST);
    ck_assert_int_eq(b.unit.lost, DB_LOST_CHANGE);
    ck_assert_int_eq(b.rc, RC_CONFLICT);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres", "SELECT version FROM kmip.object"), "2");
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres",
                              "SELECT count(*) FROM audit.event WHERE operation = 'Activate'"),
                     "1");
    worker_close(&w);
}
END_TEST

START_TEST(what_was_read_must_still_hold)
{
    struct worker w;
    struct probe p, c, stale, good, both;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, NULL, &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    probe_change(&c, &w, DB_UPDATE, &p.object, STATE_ACTIVE, &n);
    ck_assert_int_eq(probe_run(&w, &c), DB_DONE);
    probe_read(&stale, &w, &p.object.control.uid, 1, &n);
    probe_read(&good, &w, &p.object.control.uid, 2, &n);
    n = 0;
    db_commit(w.db, &stale.unit);
    db_commit(w.db, &good.unit);
    worker_until(&w, &n, 2, 10);
    ck_assert_int_eq(stale.outcome, DB_LOST);
    ck_assert_int_eq(stale.unit.lost, DB_LOST_READ);
    ck_assert_int_eq(good.outcome, DB_DONE);
    /* in one group with the change that moves it, a read stands before the change */
    probe_read(&good, &w, &p.object.control.uid, 2, &n);
    probe_change(&both, &w, DB_DESTROY, &c.object, STATE_DESTROYED, &n);
    n = 0;
    db_commit(w.db, &both.unit);
    db_commit(w.db, &good.unit);
    worker_until(&w, &n, 2, 10);
    ck_assert_int_eq(both.outcome, DB_DONE);
    ck_assert_int_eq(good.outcome, DB_DONE);
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

START_TEST(a_name_is_given_once)
{
    struct worker w;
    struct probe a, b, c;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&a, &w, "one", &n);
    probe_insert(&b, &w, "one", &n);
    db_commit(w.db, &a.unit);
    db_commit(w.db, &b.unit); /* both in one group */
    worker_until(&w, &n, 2, 10);
    ck_assert_int_eq(a.outcome, DB_DONE);
    ck_assert_int_eq(b.outcome, DB_LOST);
    ck_assert_int_eq(b.rc, RC_NAME_TAKEN);
    ck_assert_int_eq(b.unit.lost, DB_LOST_NAME);
    probe_insert(&c, &w, "one", &n);
    ck_assert_int_eq(probe_run(&w, &c), DB_LOST);
    ck_assert_int_eq(c.rc, RC_NAME_TAKEN);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres", "SELECT count(*) FROM kmip.object"),
                     "1");
    worker_close(&w);
}
END_TEST

START_TEST(names_can_be_replaced)
{
    struct worker w;
    struct probe p, r;
    unsigned n = 0;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, "old", &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    probe_change(&r, &w, DB_UPDATE, &p.object, STATE_PRE_ACTIVE, &n);
    struct name names[] = {{bytes_str("new"), 1, 0}, {bytes_str("urn:new"), 2, 3}};
    r.object.names = names;
    r.object.name_count = 2;
    r.change.replace_names = true;
    ck_assert_int_eq(probe_run(&w, &r), DB_DONE);
    struct object *o = load_one(&w, &arena, &p.object.control.uid, DB_WANT_NAMES);
    ck_assert_uint_eq(o->name_count, 2);
    ck_assert(bytes_is(o->names[0].value, "new"));
    ck_assert_uint_eq(o->names[1].type, 2);
    ck_assert_int_eq(o->names[1].index, 3);
    worker_close(&w);
}
END_TEST

START_TEST(a_changed_client_loses)
{
    struct worker w;
    struct probe a, b;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    pg_value(&pg, w.database, DB_ROLE_POLICY, "SELECT policy.client_enable('first', true)");
    probe_audit(&a, &w, "Query", &n);
    ck_assert_int_eq(probe_run(&w, &a), DB_LOST);
    ck_assert_int_eq(a.unit.lost, DB_LOST_STANDING);
    w.standing = worker_standing(&w);
    probe_audit(&b, &w, "Query", &n);
    ck_assert_int_eq(probe_run(&w, &b), DB_DONE);
    pg_value(&pg, w.database, DB_ROLE_POLICY, "SELECT policy.client_revoke('first')");
    w.standing++;
    probe_audit(&b, &w, "Query", &n);
    ck_assert_int_eq(probe_run(&w, &b), DB_LOST);
    worker_close(&w);
}
END_TEST

/* The standing of a client is looked at once for the whole group. */
START_TEST(a_changed_client_loses_with_all_its_units)
{
    struct worker w;
    struct probe a, b, other, nobody;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    pg_value(&pg, w.database, DB_ROLE_POLICY, "SELECT policy.client_enable('first', true)");
    probe_audit(&a, &w, "Query", &n);
    probe_audit(&nobody, &w, "Query", &n);
    nobody.unit.client = (struct uid){0};
    probe_audit(&b, &w, "Query", &n);
    w.standing = worker_standing(&w);
    probe_audit(&other, &w, "Query", &n);
    struct probe *all[] = {&a, &nobody, &b, &other};
    for (size_t i = 0; i < 4; i++)
        db_commit(w.db, &all[i]->unit);
    worker_until(&w, &n, 4, 10);
    ck_assert_int_eq(a.outcome, DB_LOST);
    ck_assert_int_eq(a.unit.lost, DB_LOST_STANDING);
    ck_assert_int_eq(b.outcome, DB_LOST);
    ck_assert_int_eq(b.unit.lost, DB_LOST_STANDING);
    ck_assert_int_eq(nobody.outcome, DB_DONE);
    ck_assert_int_eq(other.outcome, DB_DONE);
    worker_close(&w);
}
END_TEST

/* Requests as an engine would count them: all that are inside have their unit here. */
static struct db_crowd crowd;

static struct db_crowd crowd_now(void *arg)
{
    crowd.inside = (unsigned)db_pending(arg);
    return crowd;
}

/* The one answered asks again at once. */
struct returning {
    struct worker *w;
    struct probe *next;
    unsigned *answered;
};

static void on_returning(struct db_unit *unit, enum db_outcome outcome, rc_t rc)
{
    struct returning *r = unit->arg;
    (void)rc;
    ck_assert_int_eq(outcome, DB_DONE);
    ++*r->answered;
    crowd.came++;
    db_commit(r->w->db, &r->next->unit);
}

/* Who missed a group waits for those who were in it and come again; if nobody comes, not for long. */
START_TEST(a_small_group_waits_for_who_was_answered)
{
    struct worker w;
    struct probe first, second, third;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    crowd = (struct db_crowd){0};
    db_set_crowd(w.db, crowd_now, w.db);
    uint64_t before = db_stats_of(w.db)->groups;
    struct returning returning = {&w, &third, &n};
    probe_audit(&first, &w, "Query", &n);
    probe_audit(&second, &w, "Query", &n);
    probe_audit(&third, &w, "Query", &n);
    if (_i == 0) {
        first.unit.done = on_returning;
        first.unit.arg = &returning;
    }
    db_commit(w.db, &first.unit);
    db_flush(w.db);
    db_commit(w.db, &second.unit); /* too late for the first group */
    worker_until(&w, &n, _i == 0 ? 3 : 2, 10);
    ck_assert_uint_eq(db_stats_of(w.db)->groups - before, 2);
    ck_assert_int_eq(second.outcome, DB_DONE);
    db_set_crowd(w.db, NULL, NULL);
    worker_close(&w);
}
END_TEST

/* Of many that are inside half go together, so that something is left to be done meanwhile. */
START_TEST(many_requests_go_in_halves)
{
    enum { MANY = 64 };
    struct worker w;
    static struct probe p[MANY];
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    crowd = (struct db_crowd){0};
    db_set_crowd(w.db, crowd_now, w.db);
    uint64_t before = db_stats_of(w.db)->groups;
    for (int i = 0; i < MANY; i++) {
        probe_audit(&p[i], &w, "Query", &n);
        db_commit(w.db, &p[i].unit);
    }
    worker_until(&w, &n, MANY, 10);
    ck_assert_uint_eq(db_stats_of(w.db)->groups - before, 2);
    db_set_crowd(w.db, NULL, NULL);
    worker_close(&w);
}
END_TEST

START_TEST(units_of_one_turn_share_a_group)
{
    enum { MANY = 300 };
    struct worker w;
    static struct probe p[MANY];
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        if (i % 2)
            probe_audit(&p[i], &w, "Query", &n);
        else
            probe_insert(&p[i], &w, NULL, &n);
        db_commit(w.db, &p[i].unit);
    }
    uint64_t before = db_stats_of(w.db)->groups;
    worker_until(&w, &n, MANY, 10);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(p[i].outcome, DB_DONE);
    ck_assert_uint_le(db_stats_of(w.db)->groups - before, 3);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres", "SELECT count(*) FROM kmip.object"),
                     "150");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

/* What a hostile client could bring: it may fail, its neighbours may not. */
static const struct {
    const char *why;
    const char *attributes, *name;
    size_t name_len;
    enum db_outcome want;
} poison[] = {
    {"a NUL in JSON", "{\"x\":\"a\\u0000b\"}", "p", 1, DB_FAILED},
    {"no JSON at all", "{\"x\":", "p", 1, DB_FAILED},
    {"an array of attributes", "[1]", "p", 1, DB_FAILED},
    {"a lone surrogate", "{\"x\":\"\\ud800\"}", "p", 1, DB_FAILED},
    {"a number out of range", "{\"x\":1e999999}", "p", 1, DB_FAILED},
    {"an escaped backslash before u0000", "{\"x\":\"\\\\u0000\"}", "p", 1, DB_DONE},
    {"a NUL in a name", "{}", "a\0b", 3, DB_FAILED},
    {"invalid UTF-8 in a name", "{}", "a\xff", 2, DB_FAILED},
    {"an overlong form in a name", "{}", "\xc0\xaf", 2, DB_FAILED},
    {"a surrogate in a name", "{}", "\xed\xa0\x80", 3, DB_FAILED},
    {"quotes and SQL in a name", "{}", "'; DROP TABLE kmip.object; --", 29, DB_DONE},
};

START_TEST(a_poisoned_unit_fails_alone)
{
    struct worker w;
    struct probe good[8], bad;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    for (int i = 0; i < 8; i++) {
        if (i == 5) {
            probe_insert(&bad, &w, "p", &n);
            bad.object.attributes = bytes_str(poison[_i].attributes);
            bad.name.value = bytes_of(poison[_i].name, poison[_i].name_len);
            db_commit(w.db, &bad.unit);
        }
        probe_insert(&good[i], &w, NULL, &n);
        db_commit(w.db, &good[i].unit);
    }
    worker_until(&w, &n, 9, 10);
    ck_assert_msg(bad.outcome == poison[_i].want, "%s: outcome %d", poison[_i].why, bad.outcome);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(good[i].outcome, DB_DONE);
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

START_TEST(a_huge_name_or_strange_text_harms_nobody)
{
    struct worker w;
    struct probe p, big;
    unsigned n = 0;
    char *long_text = malloc(1 << 20);
    for (int i = 0; i < 1 << 20; i++)
        long_text[i] = (char)(i * 7 + i / 256);
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&big, &w, "x", &n);
    memset(long_text, 'a', 4096);
    big.name.value = bytes_of(long_text, 4096);
    ck_assert_int_eq(probe_run(&w, &big), DB_FAILED);
    ck_assert_int_eq(big.rc, RC_TOO_LARGE);
    /* audit text is escaped and cut, never refused */
    for (int i = 0; i < 4096; i++)
        long_text[i] = (char)(i * 7 + i / 256);
    probe_audit(&p, &w, "Query", &n);
    p.event.correlation = bytes_of(long_text, 1 << 20);
    p.event.client_name = bytes_str("a\nb\x1b[31m\xf0\x9f\x94\x91");
    p.event.reason = bytes_of("\0", 1);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres",
                              "SELECT client_name FROM audit.event WHERE operation = 'Query'"),
                     "a\\x0Ab\\x1B[31m\xf0\x9f\x94\x91");
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres",
                              "SELECT octet_length(correlation) BETWEEN 250 AND 256 FROM "
                              "audit.event WHERE operation = 'Query'"),
                     "t");
    ck_assert_str_eq(verify_text(w.database), "verified");
    free(long_text);
    worker_close(&w);
}
END_TEST

START_TEST(a_locked_row_makes_a_loser_not_a_stop)
{
    struct worker w;
    struct probe p, c, others[4];
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, NULL, &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    PGconn *locker = pg_connect(&pg, w.database, "postgres");
    PQclear(PQexec(locker, "BEGIN; SELECT * FROM kmip.object FOR UPDATE"));
    probe_change(&c, &w, DB_UPDATE, &p.object, STATE_ACTIVE, &n);
    n = 0;
    int64_t start = clock_monotonic_us();
    db_commit(w.db, &c.unit);
    for (int i = 0; i < 4; i++) {
        probe_insert(&others[i], &w, NULL, &n);
        db_commit(w.db, &others[i].unit);
    }
    worker_until(&w, &n, 5, 10);
    ck_assert_int_eq(c.outcome, DB_LOST);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(others[i].outcome, DB_DONE);
    ck_assert_int_lt(clock_monotonic_us() - start, 1500000);
    PQfinish(locker);
    worker_close(&w);
}
END_TEST

/* Twenty units of one client stand before the one of another: that one goes with the first group.
 */
START_TEST(clients_take_turns)
{
    enum { MANY = 20 };
    struct worker w;
    static struct probe many[MANY], other;
    struct db_settings s = DB_SETTINGS_DEFAULT;
    unsigned n = 0, others = 0;
    s.group_units = 4;
    worker_open(&w, fresh_database(), &s);
    while (w.client.raw[15] == 0) { /* the lane of those without a client */
        worker_close(&w);
        worker_open(&w, fresh_database(), &s);
    }
    for (int i = 0; i < MANY; i++) {
        probe_audit(&many[i], &w, "Query", &n);
        db_commit(w.db, &many[i].unit);
    }
    probe_audit(&other, &w, "Query", &others);
    other.unit.client = (struct uid){{0}};
    db_commit(w.db, &other.unit);
    worker_until(&w, &others, 1, 10);
    ck_assert_uint_lt(n, 8);
    worker_until(&w, &n, MANY, 10);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(many[i].outcome, DB_DONE);
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

/* Changes of one object, one to a group, among others that go on; none is forgotten. */
START_TEST(what_waits_for_its_object_keeps_its_turn)
{
    enum { MANY = 12 };
    struct worker w;
    static struct probe made, changes[MANY], others[MANY];
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&made, &w, NULL, &n);
    ck_assert_int_eq(probe_run(&w, &made), DB_DONE);
    n = 0;
    for (int i = 0; i < MANY; i++) {
        probe_change(&changes[i], &w, DB_UPDATE, &made.object, STATE_ACTIVE, &n);
        db_commit(w.db, &changes[i].unit);
        probe_insert(&others[i], &w, NULL, &n);
        if (i % 2)
            others[i].unit.client = (struct uid){{0}};
        db_commit(w.db, &others[i].unit);
    }
    worker_until(&w, &n, 2 * MANY, 20);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(changes[i].outcome, i ? DB_LOST : DB_DONE);
        ck_assert_int_eq(others[i].outcome, DB_DONE);
    }
    ck_assert_uint_eq(db_pending(w.db), 0);
    worker_close(&w);
}
END_TEST

START_TEST(a_unit_may_change_many_objects_but_each_once)
{
    enum { MANY = 40 };
    struct worker w;
    static struct probe p[MANY];
    struct db_change changes[MANY];
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    for (int i = 0; i < MANY; i++) {
        probe_insert(&p[i], &w, NULL, &n);
        changes[i] = p[i].change;
    }
    p[0].unit.changes = changes;
    p[0].unit.change_count = MANY;
    ck_assert_int_eq(probe_run(&w, &p[0]), DB_DONE);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres", "SELECT count(*) FROM kmip.material"),
                     "40");
    changes[7] = changes[3];
    ck_assert_int_eq(probe_run(&w, &p[0]), DB_FAILED);
    worker_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db commit");
    TCase *t = tcase_create("commit");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, what_was_inserted_is_loaded);
    tcase_add_test(t, destroy_overwrites_and_frees_the_name);
    tcase_add_test(t, a_race_has_one_winner);
    tcase_add_test(t, what_was_read_must_still_hold);
    tcase_add_test(t, a_name_is_given_once);
    tcase_add_test(t, names_can_be_replaced);
    tcase_add_test(t, a_changed_client_loses);
    tcase_add_test(t, a_changed_client_loses_with_all_its_units);
    tcase_add_loop_test(t, a_small_group_waits_for_who_was_answered, 0, 2);
    tcase_add_test(t, many_requests_go_in_halves);
    tcase_add_test(t, units_of_one_turn_share_a_group);
    tcase_add_loop_test(t, a_poisoned_unit_fails_alone, 0, sizeof poison / sizeof *poison);
    tcase_add_test(t, a_huge_name_or_strange_text_harms_nobody);
    tcase_add_test(t, a_locked_row_makes_a_loser_not_a_stop);
    tcase_add_test(t, clients_take_turns);
    tcase_add_test(t, what_waits_for_its_object_keeps_its_turn);
    tcase_add_test(t, a_unit_may_change_many_objects_but_each_once);
    suite_add_tcase(s, t);
    return run_suite(s);
}
