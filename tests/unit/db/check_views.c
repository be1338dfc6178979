/*
 * What the views of auditors say: names of numbers, and which rows are acts of administrators.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/db/fixture.h"

static const struct {
    const char *call, *want;
} names[] = {
    {"audit.type_name(1)", "Certificate"},
    {"audit.type_name(16)", "Hashed Password Credential"},
    {"audit.type_name(17)", "0x11"},
    {"audit.type_name(0)", "0x0"},
    {"audit.type_name(2147483648)", "0x80000000"},
    {"audit.type_name(4294967295)", "0xffffffff"},
    {"audit.algorithm_name(1)", "DES"},
    {"audit.algorithm_name(56)", "Ed448"},
    {"audit.algorithm_name(57)", "0x39"},
    {"audit.algorithm_name(2147483648)", "0x80000000"},
    {"audit.algorithm_name(4294967295)", "0xffffffff"},
    {"audit.algorithm_name(0)", ""},
    {"audit.algorithm_name(NULL)", ""},
};

START_TEST(numbers_of_all_sizes_have_a_name)
{
    const char *db = fresh_database();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT %s", names[i].call);
        ck_assert_msg(strcmp(pg_value(&pg, db, DB_ROLE_AUDITOR, sql), names[i].want) == 0, "%s", names[i].call);
    }
}
END_TEST

/* Signatures and traces are written by workers, all else by audit.note(): both are acts. */
START_TEST(acts_of_administrators_are_found_in_any_stream)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    static const char *const acts[] = {"Admin Begin Trace", "Admin Sign Audit Stub"};
    worker_open(&w, fresh_database(), NULL); /* adds a client: an act */
    probe_audit(&p, &w, "Query", &n);
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        probe_audit(&p, &w, acts[i], &n);
        p.event.client = (struct uid){0};
        p.event.client_name = bytes_str("root (uid 0, pid 1)");
        ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    }
    ck_assert_str_eq(pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                              "SELECT string_agg(act || ' by ' || who, ', ' ORDER BY at, seq) FROM audit.admin_acts()"),
                     "Admin Add Client by holdfast_policy, Admin Begin Trace by root (uid 0, pid 1), "
                     "Admin Sign Audit Stub by root (uid 0, pid 1)");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_AUDITOR, "SELECT string_agg(act, ', ') FROM audit.policy_changes()"),
        "Admin Add Client");
    ck_assert_str_eq(pg_value(&pg, w.database, DB_ROLE_AUDITOR, "SELECT sum(administrative) FROM audit.days()"), "3");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_FORWARD,
                 "SELECT audit.forward_claim('x'); SELECT audit.forward_begin('x', false);"
                 "SELECT audit.forward_look('x');"
                 "SELECT string_agg(class || ' ' || number, ', ' ORDER BY class) FROM (SELECT class, count(*)"
                 " AS number FROM audit.forward_next('x', 100) GROUP BY class) AS c"),
        "admin 4, server 1, stream 2"); /* the destination's beginning is an act, too */
    worker_close(&w);
}
END_TEST

#define TAIL(arguments)                                                                                                \
    "SELECT coalesce(string_agg(operation, ' ' ORDER BY at, seq), '') FROM audit.tail(" arguments                      \
    ") WHERE operation <> 'Admin Add Client'"

/* Whenever they were written: long ago, lately, or by a clock that was ahead. */
START_TEST(the_latest_events_are_found)
{
    static const int64_t ages_s[] = {400 * INT64_C(86400), 40 * INT64_C(86400), 3600, 2, -3600};
    static const char *const acts[] = {"Old", "Month", "Hour", "Now", "Ahead"};
    struct worker w;
    struct probe p;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        probe_audit(&p, &w, acts[i], &n);
        p.event.time_us -= ages_s[i] * 1000000;
        ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    }
    ck_assert_str_eq(pg_value(&pg, w.database, DB_ROLE_AUDITOR, TAIL("1")), "Ahead");
    ck_assert_str_eq(pg_value(&pg, w.database, DB_ROLE_AUDITOR, "SELECT count(*) FROM audit.tail(5)"), "5");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                 "SELECT bool_or(operation = 'Month') AND NOT bool_or(operation = 'Old') FROM audit.tail(7)"),
        "t");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                 "SELECT min(operation) || ' ' || count(*) FROM audit.tail(100) WHERE at < now() - interval"
                 " '1 year'"),
        "Old 1");
    ck_assert_str_eq(pg_value(&pg, w.database, DB_ROLE_AUDITOR, TAIL("100, now() + interval '1 minute'")), "Ahead");
    worker_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db views");
    TCase *t = tcase_create("views");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, numbers_of_all_sizes_have_a_name);
    tcase_add_test(t, acts_of_administrators_are_found_in_any_stream);
    tcase_add_test(t, the_latest_events_are_found);
    suite_add_tcase(s, t);
    return run_suite(s);
}
