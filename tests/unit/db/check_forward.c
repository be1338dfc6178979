/*
 * The cursors of forwarding: which rows a destination is given, how its cursors move, what happens to streams that
 * end, go on after their end, or lose rows, and what its role may do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/forward.h"
#include "tests/unit/db/fixture.h"

static const char *database;
static struct db_admin *forwarder;

/* Opens stream number n (1 to 9) of the opener, after the one that this had before. */
static void open_stream(int n, const char *opener)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT audit.open_stream('00000000-0000-0000-0000-00000000000%d', '%s')", n, opener);
    pg_value(&pg, database, DB_ROLE_SERVER, sql);
}

/* Appends rows to stream number n. Their hashes are of no matter here. */
static void append(int n, int rows)
{
    char sql[700];
    snprintf(
        sql, sizeof sql,
        "SELECT audit.append(s.id, s.seq, s.hash, (SELECT array_agg(ROW(now(), NULL, NULL, NULL, NULL, NULL, NULL,"
        " i, 'Get', NULL, 'Success', NULL, NULL, NULL, s.hash, s.hash)::audit.entry) FROM generate_series(1, %d) i),"
        " '{}', '{}', '{}', '{}') FROM audit.stream s WHERE s.id = '00000000-0000-0000-0000-00000000000%d'",
        rows, n);
    pg_value(&pg, database, "postgres", sql);
}

static void remove_rows(int n, int from, int to)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SET session_replication_role = replica; DELETE FROM audit.event WHERE stream ="
             " '00000000-0000-0000-0000-00000000000%d' AND seq BETWEEN %d AND %d",
             n, from, to);
    pg_value(&pg, database, "postgres", sql);
}

static struct db_admin *connect_as(const char *role)
{
    struct db_admin *a = NULL;
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, database, role), NULL, &a), RC_OK);
    return a;
}

static void begin(bool from_now)
{
    bool made = false, mine = false;
    database = fresh_database();
    forwarder = connect_as(DB_ROLE_FORWARD);
    /* what the migration itself wrote is of no matter: begin behind it */
    open_stream(1, "node/worker-1");
    append(1, 3);
    ck_assert_int_eq(db_forward_begin(forwarder, "siem", from_now, &made), RC_WRONG_STATE);
    ck_assert_ptr_nonnull(strstr(db_admin_hint(forwarder), "audit.forward_claim()"));
    ck_assert_int_eq(db_forward_claim(forwarder, "siem", &mine), RC_OK);
    ck_assert(mine);
    ck_assert_msg(db_forward_begin(forwarder, "siem", from_now, &made) == RC_OK, "%s", db_admin_error(forwarder));
    ck_assert(made);
    ck_assert_int_eq(db_forward_begin(forwarder, "siem", !from_now, &made), RC_OK);
    ck_assert(!made);
    ck_assert_int_eq(db_forward_look(forwarder, "siem"), RC_OK);
}

static void end(void)
{
    db_admin_close(&forwarder);
}

/* The next rows of workers' streams as "1:1 1:2 ..."; "1:-4" where rows to 4 are gone. Moves the cursors. */
static const char *next(unsigned rows, bool move)
{
    static char text[4096];
    struct db_forward_batch *batch = NULL;
    struct db_forward_row row;
    size_t len = 0;
    text[0] = 0;
    ck_assert_msg(db_forward_next(forwarder, "siem", rows, &batch) == RC_OK, "%s", db_admin_error(forwarder));
    for (size_t i = 0; i < db_forward_count(batch); i++) {
        db_forward_row(batch, i, &row);
        if (strcmp(row.fields[DB_FORWARD_OPENER], "administration") == 0)
            continue;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%c:%lld", len ? " " : "",
                                row.fields[DB_FORWARD_STREAM][35], (long long)(row.seq ? row.seq : -row.head));
    }
    if (move)
        ck_assert_msg(db_forward_moved(forwarder, "siem", batch) == RC_OK, "%s", db_admin_error(forwarder));
    db_forward_free(&batch);
    return text;
}

START_TEST(rows_come_in_order_and_once)
{
    begin(false);
    ck_assert_str_eq(next(100, false), "1:1 1:2 1:3 1:4");
    ck_assert_str_eq(next(100, true), "1:1 1:2 1:3 1:4"); /* not moved: again */
    ck_assert_str_eq(next(100, true), "");
    append(1, 2);
    open_stream(2, "node/worker-2");
    ck_assert_str_eq(next(100, true), "1:5 1:6 2:1");
    ck_assert_str_eq(next(100, true), "");
    end();
}
END_TEST

START_TEST(a_busy_stream_leaves_room_for_others)
{
    begin(true);
    append(1, 1000);
    open_stream(2, "node/worker-2");
    open_stream(3, "node/worker-3");
    pg_value(&pg, database, "postgres",
             "DELETE FROM audit.forward_cursor WHERE stream IN (SELECT id FROM audit.stream WHERE"
             " opener = 'administration')");
    pg_value(&pg, database, "postgres",
             "INSERT INTO audit.forward_cursor SELECT 'siem', id, seq FROM audit.stream WHERE"
             " opener = 'administration'");
    ck_assert_str_eq(next(6, true), "1:5 1:6 2:1 3:1");
    ck_assert_str_eq(next(3, true), "1:7 1:8 1:9");
    end();
}
END_TEST

START_TEST(cursors_move_on_only)
{
    struct db_forward_batch *batch = NULL;
    begin(false);
    ck_assert_int_eq(db_forward_next(forwarder, "siem", 100, &batch), RC_OK);
    ck_assert_int_eq(db_forward_moved(forwarder, "siem", batch), RC_OK);
    ck_assert_int_eq(db_forward_moved(forwarder, "siem", batch), RC_WRONG_STATE);
    db_forward_free(&batch);
    ck_assert_str_eq(pg_value(&pg, database, "postgres",
                              "SELECT bool_and(c.seq = s.seq) FROM audit.forward_cursor c JOIN"
                              " audit.stream s ON s.id = c.stream WHERE s.opener <> 'administration'"),
                     "t");
    ck_assert_str_eq(
        pg_value(&pg, database, DB_ROLE_AUDITOR, "SELECT rows_behind || ' ' || running FROM audit.forwarding"),
        "0 true");
    end();
}
END_TEST

START_TEST(a_destination_may_begin_now)
{
    begin(true);
    ck_assert_str_eq(next(100, true), "");
    append(1, 1);
    ck_assert_str_eq(next(100, true), "1:5");
    end();
}
END_TEST

#define OPEN_CURSORS                                                                                                   \
    "SELECT count(*) FROM audit.forward_cursor WHERE NOT done AND right(stream::text, 1) IN ('1', '2') AND stream < "  \
    "'00000000-0000-0000-0000-000000000010'"

START_TEST(streams_that_ended_are_left_out_until_they_go_on)
{
    begin(false);
    open_stream(2, "node/worker-1"); /* the next life of the same worker */
    next(100, true);
    ck_assert_str_eq(pg_value(&pg, database, "postgres", OPEN_CURSORS), "2");
    ck_assert_int_eq(db_forward_look(forwarder, "siem"), RC_OK);
    ck_assert_str_eq(pg_value(&pg, database, "postgres", OPEN_CURSORS), "1");
    append(1, 1); /* it was not dead */
    ck_assert_str_eq(next(100, true), "");
    ck_assert_int_eq(db_forward_look(forwarder, "siem"), RC_OK);
    ck_assert_str_eq(next(100, true), "1:5");
    end();
}
END_TEST

START_TEST(an_old_stream_without_a_cursor_is_found_by_the_full_look)
{
    begin(false);
    next(100, true);
    open_stream(2, "node/worker-2");
    pg_value(&pg, database, "postgres",
             "SET session_replication_role = replica; UPDATE audit.stream SET opened_at = now() -"
             " interval '1 day' WHERE opener = 'node/worker-2'");
    ck_assert_str_eq(next(100, true), "");
    ck_assert_int_eq(db_forward_look(forwarder, "siem"), RC_OK);
    ck_assert_str_eq(next(100, true), "2:1");
    end();
}
END_TEST

START_TEST(rows_that_are_gone_stop_nothing)
{
    begin(false);
    append(1, 6);
    remove_rows(1, 1, 3);
    ck_assert_str_eq(next(2, false)[0] ? "some" : "none", "some");
    ck_assert_str_eq(next(100, true), "1:4 1:5 1:6 1:7 1:8 1:9 1:10");
    append(1, 2);
    remove_rows(1, 11, 12);
    ck_assert_str_eq(next(100, true), "1:-12");
    ck_assert_str_eq(next(100, true), "");
    append(1, 1);
    ck_assert_str_eq(next(100, true), "1:13");
    end();
}
END_TEST

#define UP_TO "SELECT audit.forwarded_up_to("

START_TEST(retention_learns_how_far_all_have_come)
{
    database = fresh_database();
    ck_assert_str_eq(pg_value(&pg, database, DB_ROLE_AUDITOR, UP_TO "'infinity')"), "t"); /* nobody waits */
    begin(false);
    ck_assert_str_eq(pg_value(&pg, database, DB_ROLE_AUDITOR, UP_TO "now() - interval '1 hour')"), "t");
    ck_assert_str_eq(pg_value(&pg, database, DB_ROLE_AUDITOR, UP_TO "'infinity')"), "f");
    next(100, true);
    ck_assert_str_eq(pg_value(&pg, database, DB_ROLE_AUDITOR, UP_TO "'infinity')"), "t");
    append(1, 1);
    ck_assert_str_eq(pg_value(&pg, database, DB_ROLE_AUDITOR, UP_TO "'infinity')"), "f");
    pg_value(&pg, database, DB_ROLE_POLICY, "SELECT audit.forward_forget('siem', 'a test')");
    ck_assert_str_eq(pg_value(&pg, database, DB_ROLE_AUDITOR, UP_TO "'infinity')"), "t");
    end();
}
END_TEST

START_TEST(one_forwarder_has_the_claim)
{
    bool mine = true;
    begin(false);
    struct db_admin *other = connect_as(DB_ROLE_FORWARD);
    ck_assert_int_eq(db_forward_claim(other, "siem", &mine), RC_OK);
    ck_assert(!mine);
    ck_assert_int_eq(db_forward_claim(other, "another", &mine), RC_OK);
    ck_assert(mine);
    db_admin_close(&forwarder);
    for (int i = 0; i < 200 && db_forward_claim(other, "siem", &mine) == RC_OK && !mine; i++)
        pg_value(&pg, database, "postgres", "SELECT pg_sleep(0.02)");
    ck_assert(mine);
    db_admin_close(&other);
}
END_TEST

/* Who has not the claim reads no rows, moves no cursor and says nothing of the destination. */
START_TEST(only_who_has_the_claim_forwards)
{
    struct db_forward_batch *batch = NULL, *none = NULL;
    bool made = true;
    begin(false);
    struct db_admin *other = connect_as(DB_ROLE_FORWARD);
    ck_assert_int_eq(db_forward_next(forwarder, "siem", 100, &batch), RC_OK);
    ck_assert_int_eq(db_forward_moved(other, "siem", batch), RC_WRONG_STATE);
    ck_assert_int_eq(db_forward_next(other, "siem", 100, &none), RC_WRONG_STATE);
    ck_assert_int_eq(db_forward_look(other, "siem"), RC_WRONG_STATE);
    ck_assert_int_eq(db_forward_trouble(other, "siem", "x"), RC_WRONG_STATE);
    ck_assert_int_eq(db_forward_begin(other, "another", false, &made), RC_WRONG_STATE);
    ck_assert_ptr_nonnull(strstr(db_admin_hint(other), "audit.forward_claim()"));
    ck_assert_str_eq(
        pg_value(&pg, database, DB_ROLE_AUDITOR,
                 "SELECT count(*) || ' ' || sum(forwarded) || ' ' || count(trouble) FROM audit.forwarding"),
        "1 0 0");
    ck_assert_int_eq(db_forward_moved(forwarder, "siem", batch), RC_OK);
    db_forward_free(&batch);
    db_forward_free(&none);
    db_admin_close(&other);
    end();
}
END_TEST

#define DENIED "42501"

/* What each role must not be able to do, and what it may. */
static const struct {
    const char *role, *sql, *want; /* SQLSTATE */
} rights[] = {
    {DB_ROLE_FORWARD, "SELECT 1 FROM audit.event", DENIED},
    {DB_ROLE_FORWARD, "SELECT 1 FROM audit.events", DENIED},
    {DB_ROLE_FORWARD, "SELECT 1 FROM audit.stream", DENIED},
    {DB_ROLE_FORWARD, "SELECT 1 FROM audit.forward_cursor", DENIED},
    {DB_ROLE_FORWARD, "UPDATE audit.forward_cursor SET seq = 0", DENIED},
    {DB_ROLE_FORWARD, "DELETE FROM audit.forward_destination", DENIED},
    {DB_ROLE_FORWARD, "SELECT 1 FROM kmip.object", DENIED},
    {DB_ROLE_FORWARD, "SELECT 1 FROM policy.client", DENIED},
    {DB_ROLE_FORWARD, "SELECT audit.note('x', 'y')", DENIED},
    {DB_ROLE_FORWARD, "SELECT audit.forward_forget('siem', 'x')", DENIED},
    {DB_ROLE_FORWARD, "CREATE TABLE audit.x (y int)", DENIED},
    {DB_ROLE_FORWARD, "SELECT count(*) FROM audit.forward_next('siem', 10)", "55000"}, /* another has the claim */
    {DB_ROLE_AUDITOR, "SELECT audit.forward_moved('siem', '{}', '{}', 0)", DENIED},
    {DB_ROLE_AUDITOR, "SELECT audit.forward_begin('x', true)", DENIED},
    {DB_ROLE_AUDITOR, "SELECT audit.forward_next('siem', 10)", DENIED},
    {DB_ROLE_AUDITOR, "UPDATE audit.forward_cursor SET seq = 9", DENIED},
    {DB_ROLE_AUDITOR, "SELECT * FROM audit.forwarding", ""},
    {DB_ROLE_SERVER, "SELECT audit.forward_moved('siem', '{}', '{}', 0)", DENIED},
    {DB_ROLE_POLICY, "SELECT audit.forward_moved('siem', '{}', '{}', 0)", DENIED},
    {DB_ROLE_POLICY, "SELECT audit.forward_forget('siem', '')", "22023"},
    {DB_ROLE_POLICY, "SELECT audit.forward_forget('nowhere', 'x')", "P0002"},
};

START_TEST(each_role_may_do_its_part)
{
    begin(false);
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        const char *state = pg_error(&pg, database, rights[i].role, rights[i].sql);
        ck_assert_msg(strcmp(state, rights[i].want) == 0, "%s: %s: %s, not %s", rights[i].role, rights[i].sql, state,
                      rights[i].want);
    }
    end();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("forward");
    TCase *tc = tcase_create("cursors");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, rows_come_in_order_and_once);
    tcase_add_test(tc, a_busy_stream_leaves_room_for_others);
    tcase_add_test(tc, cursors_move_on_only);
    tcase_add_test(tc, a_destination_may_begin_now);
    tcase_add_test(tc, streams_that_ended_are_left_out_until_they_go_on);
    tcase_add_test(tc, an_old_stream_without_a_cursor_is_found_by_the_full_look);
    tcase_add_test(tc, rows_that_are_gone_stop_nothing);
    tcase_add_test(tc, retention_learns_how_far_all_have_come);
    tcase_add_test(tc, one_forwarder_has_the_claim);
    tcase_add_test(tc, only_who_has_the_claim_forwards);
    tcase_add_test(tc, each_role_may_do_its_part);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
