/* Tests of db: requests for approval that units open and use up. What administrators do is done in
 * SQL, as they may. */
#include <stdio.h>

#include "server/base/clock.h"
#include "tests/unit/db/fixture.h"

static const struct uid key = {{0x01, 0x8f, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16}};

static const char *value(const struct worker *w, const char *sql)
{
    return pg_value(&pg, w->database, "postgres", sql);
}

static const char *state_of(const struct worker *w, int64_t number)
{
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT state FROM policy.request WHERE id = %lld",
             (long long)number);
    return value(w, sql);
}

/* As this database user; "" or the SQLSTATE of the refusal. */
static const char *approve_as(const struct worker *w, const char *user, const char *who, int64_t number)
{
    char sql[240];
    snprintf(sql, sizeof sql,
             "SET SESSION AUTHORIZATION %s; SET holdfast.operator = '%s'; SELECT policy.approve(%lld, 'ticket 1')",
             user, who, (long long)number);
    return pg_error(&pg, w->database, "postgres", sql);
}

static const char *approve(const struct worker *w, const char *who, int64_t number)
{
    return approve_as(w, DB_ROLE_POLICY, who, number);
}

static void found(struct db_load *load, rc_t rc)
{
    ck_assert_int_eq(rc, RC_OK);
    ++*(unsigned *)load->arg;
}

static struct db_request look(struct worker *w, const struct uid *client, int32_t needed)
{
    unsigned done = 0;
    AUTO_ARENA arena = ARENA_OF(1 << 16);
    struct db_load load = {
        .kind = DB_LOAD_REQUEST,
        .arena = &arena,
        .done = found,
        .arg = &done,
        .request = {.client = *client, .object = key, .permission = "destroy", .needed = needed}};
    db_load_add(w->db, &load);
    worker_until(w, &done, 1, 10);
    return load.request;
}

static void probe_claim(struct probe *p, const struct worker *w, struct db_claim *claim,
                        enum db_claim_kind kind, const struct db_request *q, unsigned *answered)
{
    probe_audit(p, w, "Destroy", answered);
    *claim = (struct db_claim){.kind = kind,
                               .number = q->number,
                               .permission = q->permission,
                               .object = q->object,
                               .rule = 7,
                               .needed = q->needed};
    p->unit.claims = claim;
    p->unit.claim_count = 1;
}

static enum db_outcome claim_run(struct worker *w, enum db_claim_kind kind,
                                 const struct db_request *q)
{
    struct probe p;
    struct db_claim claim;
    unsigned n = 0;
    probe_claim(&p, w, &claim, kind, q, &n);
    enum db_outcome outcome = probe_run(w, &p);
    ck_assert(outcome != DB_LOST || (p.unit.lost == DB_LOST_CLAIM && p.unit.lost_index == 0));
    return outcome;
}

/* A request that is open and approved by one. */
static struct db_request approved_request(struct worker *w)
{
    struct db_request q = look(w, &w->client, 1);
    ck_assert_int_eq(claim_run(w, DB_CLAIM_ASK, &q), DB_DONE);
    ck_assert_str_eq(approve(w, "alice@a", q.number), "");
    q = look(w, &w->client, 1);
    ck_assert(q.approved);
    return q;
}

START_TEST(who_asks_again_finds_the_request)
{
    struct worker w;
    worker_open(&w, fresh_database(), NULL);
    struct db_request first = look(&w, &w.client, 2), other = look(&w, &w.client, 2);
    ck_assert(!first.approved && first.number != other.number); /* none is open yet */
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &first), DB_DONE);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &first), DB_DONE);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &other), DB_LOST);
    struct db_request again = look(&w, &w.client, 2);
    ck_assert_int_eq(again.number, first.number);
    ck_assert_str_eq(
        value(&w, "SELECT count(*) || ' ' || min(needed) || ' ' || min(state) FROM policy.request"),
        "1 2 waiting");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

START_TEST(each_administrator_counts_once)
{
    struct worker w;
    worker_open(&w, fresh_database(), NULL);
    struct db_request q = look(&w, &w.client, 2);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &q), DB_DONE);
    ck_assert_str_eq(approve(&w, "alice@a", q.number), "");
    ck_assert_str_eq(approve(&w, "alice@a", q.number), "23505");
    ck_assert_str_eq(approve(&w, "first@a", q.number), "42501"); /* the client that asks */
    ck_assert_str_eq(approve(&w, "root for First@a", q.number), "42501");
    ck_assert(!look(&w, &w.client, 2).approved);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_LOST);
    ck_assert_str_eq(approve(&w, "bob@a", q.number), "");
    ck_assert_str_eq(approve(&w, "carol@a", q.number), "55000"); /* it is approved already */
    ck_assert(look(&w, &w.client, 2).approved);
    ck_assert(!look(&w, &w.client, 3).approved); /* the rule wants more by now */
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_DONE);
    ck_assert_str_eq(state_of(&w, q.number), "used");
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_LOST);
    worker_close(&w);
}
END_TEST

/* The operator is what a session says of itself. */
START_TEST(a_database_user_counts_once)
{
    struct worker w;
    worker_open(&w, fresh_database(), NULL);
    value(&w, "CREATE ROLE claims_dora LOGIN IN ROLE holdfast_policy");
    value(&w, "CREATE ROLE claims_emil LOGIN IN ROLE holdfast_policy");
    struct db_request q = look(&w, &w.client, 3);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &q), DB_DONE);
    ck_assert_str_eq(approve_as(&w, "claims_dora", "dora@a", q.number), "");
    ck_assert_str_eq(approve_as(&w, "claims_dora", "emil@a", q.number), "23505");
    ck_assert_str_eq(approve_as(&w, "claims_dora", "", q.number), "23505");
    ck_assert_str_eq(approve_as(&w, "claims_emil", "dora@a", q.number), "");
    ck_assert_str_eq(state_of(&w, q.number), "waiting");
    ck_assert_str_eq(approve(&w, "dora@a", q.number), "");
    ck_assert_str_eq(state_of(&w, q.number), "approved");
    ck_assert_str_eq(value(&w, "SELECT string_agg(approver, ', ' ORDER BY approver) FROM policy.approval"),
                     "claims_dora, claims_emil, holdfast_policy (dora@a)");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

START_TEST(more_approvals_are_wanted_than_there_were)
{
    struct worker w;
    worker_open(&w, fresh_database(), NULL);
    struct db_request q = approved_request(&w);
    q.needed = 2;
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_LOST);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &q), DB_DONE);
    ck_assert_str_eq(state_of(&w, q.number), "waiting");
    ck_assert_str_eq(approve(&w, "bob@a", q.number), "");
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_DONE);
    worker_close(&w);
}
END_TEST

START_TEST(one_approval_serves_one_unit)
{
    struct worker w, other;
    struct probe a, b, plain;
    struct db_claim ca, cb;
    unsigned n = 0, m = 0;
    worker_open(&w, fresh_database(), NULL);
    struct db_settings s = DB_SETTINGS_DEFAULT;
    s.opener = "test/worker-1";
    worker_open_only(&other, w.database, &s);
    worker_until_state(&other, DB_STATE_READY, 10);
    other.client = w.client;
    other.standing = w.standing;
    struct db_request q = approved_request(&w);
    /* in one group, beside one that has nothing to do with it */
    probe_claim(&a, &w, &ca, DB_CLAIM_USE, &q, &n);
    probe_claim(&b, &w, &cb, DB_CLAIM_USE, &q, &n);
    probe_audit(&plain, &w, "Query", &n);
    db_commit(w.db, &a.unit);
    db_commit(w.db, &b.unit);
    db_commit(w.db, &plain.unit);
    worker_until(&w, &n, 3, 10);
    ck_assert_int_eq(a.outcome, DB_DONE);
    ck_assert_int_eq(b.outcome, DB_LOST);
    ck_assert_int_eq(b.unit.lost, DB_LOST_CLAIM);
    ck_assert_int_eq(plain.outcome, DB_DONE);
    /* of two workers */
    q = approved_request(&w);
    n = 0;
    probe_claim(&a, &w, &ca, DB_CLAIM_USE, &q, &n);
    probe_claim(&b, &other, &cb, DB_CLAIM_USE, &q, &m);
    db_commit(w.db, &a.unit);
    db_commit(other.db, &b.unit);
    db_flush(w.db);
    db_flush(other.db);
    worker_until(&w, &n, 1, 10);
    worker_until(&other, &m, 1, 10);
    ck_assert_int_eq((a.outcome == DB_DONE) + (b.outcome == DB_DONE), 1);
    ck_assert_int_eq((a.outcome == DB_LOST) + (b.outcome == DB_LOST), 1);
    ck_assert_str_eq(value(&w, "SELECT count(*) FROM policy.request WHERE state = 'used'"), "2");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&other);
    worker_close(&w);
}
END_TEST

START_TEST(what_loses_uses_nothing_up)
{
    struct worker w;
    struct probe p;
    struct db_claim claim;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    struct db_request q = approved_request(&w);
    probe_claim(&p, &w, &claim, DB_CLAIM_USE, &q, &n);
    p.read = (struct db_read){key, 1}; /* there is no such object */
    p.unit.reads = &p.read;
    p.unit.read_count = 1;
    ck_assert_int_eq(probe_run(&w, &p), DB_LOST);
    ck_assert_int_eq(p.unit.lost, DB_LOST_READ);
    ck_assert_str_eq(state_of(&w, q.number), "approved");
    /* with its changes, it is used up */
    probe_insert(&p, &w, NULL, &n);
    p.unit.claims = &claim;
    p.unit.claim_count = 1;
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    ck_assert_str_eq(state_of(&w, q.number), "used");
    ck_assert_str_eq(value(&w, "SELECT count(*) FROM kmip.object"), "1");
    /* in one unit an approval can be used and the next one asked for */
    q = approved_request(&w);
    struct db_claim two[2];
    probe_claim(&p, &w, &two[0], DB_CLAIM_USE, &q, &n);
    two[1] = two[0];
    two[1].kind = DB_CLAIM_ASK;
    two[1].number = 1000000;
    p.unit.claims = two;
    p.unit.claim_count = 2;
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    ck_assert_str_eq(state_of(&w, q.number), "used");
    ck_assert_str_eq(state_of(&w, 1000000), "waiting");
    worker_close(&w);
}
END_TEST

START_TEST(a_request_expires)
{
    struct worker w;
    worker_open(&w, fresh_database(), NULL);
    struct db_request q = approved_request(&w);
    value(&w, "UPDATE policy.request SET expires_at = clock_timestamp()");
    ck_assert_str_eq(value(&w, "SELECT count(*) FROM policy.requests"), "0");
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_LOST);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &q), DB_LOST);
    ck_assert_str_eq(approve(&w, "bob@a", q.number), "55000");
    struct db_request next = look(&w, &w.client, 1);
    ck_assert(!next.approved && next.number != q.number && next.expired == q.number);
    /* an administrator who has not committed yet is not waited for */
    PGconn *open = PQconnectdb(pg_conninfo(&pg, w.database, "postgres"));
    PQclear(PQexec(open, "BEGIN"));
    PGresult *noted = PQexec(open, "SELECT audit.note('Admin Test')");
    ck_assert_int_eq(PQresultStatus(noted), PGRES_TUPLES_OK);
    PQclear(noted);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &next), DB_DONE);
    PQfinish(open);
    ck_assert_str_eq(state_of(&w, q.number), "expired");
    ck_assert_int_eq(look(&w, &w.client, 1).expired, 0);
    ck_assert_str_eq(
        value(&w, "SELECT extract(epoch FROM expires_at - asked_at)::bigint FROM policy.request"
                  " WHERE state = 'waiting'"),
        "86400");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

START_TEST(an_approval_can_be_taken_back)
{
    struct worker w;
    char sql[100];
    worker_open(&w, fresh_database(), NULL);
    struct db_request q = approved_request(&w);
    snprintf(sql, sizeof sql, "SELECT policy.refuse(%lld, 'changed my mind')", (long long)q.number);
    ck_assert_str_eq(pg_error(&pg, w.database, DB_ROLE_POLICY, sql), "");
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_USE, &q), DB_LOST);
    ck_assert_int_eq(claim_run(&w, DB_CLAIM_ASK, &q), DB_LOST); /* it would be another request */
    ck_assert_str_eq(pg_error(&pg, w.database, DB_ROLE_POLICY, sql), "55000");
    ck_assert_str_eq(
        pg_error(&pg, w.database, DB_ROLE_POLICY, "UPDATE policy.request SET state = 'approved'"),
        "42501");
    ck_assert_str_eq(
        pg_error(&pg, w.database, DB_ROLE_SERVER, "UPDATE policy.request SET state = 'approved'"),
        "42501");
    ck_assert_str_eq(pg_error(&pg, w.database, DB_ROLE_SERVER, "SELECT policy.approve(1, 'x')"),
                     "42501");
    worker_close(&w);
}
END_TEST

START_TEST(nobody_has_no_claim)
{
    struct worker w;
    struct probe p;
    struct db_claim claim;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    struct db_request q = look(&w, &w.client, 1);
    probe_claim(&p, &w, &claim, DB_CLAIM_ASK, &q, &n);
    p.unit.client = (struct uid){{0}};
    ck_assert_int_eq(probe_run(&w, &p), DB_FAILED);
    ck_assert_int_eq(p.rc, RC_INTERNAL);
    worker_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db_claims");
    TCase *t = tcase_create("claims");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, who_asks_again_finds_the_request);
    tcase_add_test(t, each_administrator_counts_once);
    tcase_add_test(t, a_database_user_counts_once);
    tcase_add_test(t, more_approvals_are_wanted_than_there_were);
    tcase_add_test(t, one_approval_serves_one_unit);
    tcase_add_test(t, what_loses_uses_nothing_up);
    tcase_add_test(t, a_request_expires);
    tcase_add_test(t, an_approval_can_be_taken_back);
    tcase_add_test(t, nobody_has_no_claim);
    suite_add_tcase(s, t);
    return run_suite(s);
}
