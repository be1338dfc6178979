/* Tests of the audit trail: the chain in C and in SQL, what audit.verify() finds, who may do what.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/db/fixture.h"

/* ---- canonical form ---- */

START_TEST(the_canonical_form_is_as_written)
{
    struct audit_event e = {.time_us = 1700000000123456,
                            .client = {{1, 2, 3}},
                            .client_name = bytes_str("a"),
                            .position = 0,
                            .operation = bytes_str("Get"),
                            .result = bytes_str("Success"),
                            .duration_us = -1};
    struct uid stream = {{0xff}};
    const uint8_t zero[AUDIT_HASH_BYTES] = {0};
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(audit_canonical(&e, &stream, 7, zero, &out), RC_OK);
    buf_add_u8(&out, 0);
    ck_assert_str_eq(
        (char *)out.data,
        "1:1,16:1700000000123456,36:ff000000-0000-0000-0000-000000000000,1:7,"
        "36:01020300-0000-0000-0000-000000000000,1:a,-,-,-,-,1:0,3:Get,-,7:Success,-,-,-,"
        "64:0000000000000000000000000000000000000000000000000000000000000000,");
}
END_TEST

static const struct {
    const char *in, *out;
    size_t len;
} texts[] = {
    {"plain", "plain", 5},
    {"", "", 0},
    {"a\0b", "a\\x00b", 3},
    {"\xff", "\\xFF", 1},
    {"tab\there", "tab\\x09here", 8},
    {"\xe2\x82\xac", "\xe2\x82\xac", 3},
    {"\xe2\x82", "\\xE2\\x82", 2},
};

START_TEST(text_is_cleaned)
{
    AUTO_ARENA arena = ARENA_OF(1 << 16);
    struct audit_event e = {.detail = bytes_of(texts[_i].in, texts[_i].len)}, clean;
    ck_assert_int_eq(audit_event_clean(&e, &arena, &clean), RC_OK);
    ck_assert(bytes_is(clean.detail, texts[_i].out));
    ck_assert(bytes_is(clean.operation, "Unknown"));
}
END_TEST

/* ---- what verify finds ---- */

#define A_STREAM                                                                                   \
    "(SELECT id FROM audit.stream WHERE opener = 'test/worker-0' ORDER BY opened_at LIMIT 1)"
#define FREE "SET session_replication_role = replica;" /* triggers off: superuser only */

static const struct {
    const char *why, *damage, *want;
} damages[] = {
    {"nothing", "SELECT 1", "verified"},
    {"a changed row",
     FREE "UPDATE audit.event SET result = 'x' WHERE seq = 4 AND stream = " A_STREAM, "changed 4"},
    {"a changed time",
     FREE "UPDATE audit.event SET at = at + interval '1 us' WHERE seq = 4 AND stream = " A_STREAM,
     "changed 4"},
    {"a time without end",
     FREE "UPDATE audit.event SET at = 'infinity' WHERE seq = 4 AND stream = " A_STREAM,
     "changed 4"},
    {"the last time there is",
     FREE "UPDATE audit.event SET at = '294276-12-31 00:00:00+00' WHERE seq = 4 AND stream "
          "= " A_STREAM,
     "changed 4"},
    {"a predecessor that is no name",
     FREE "UPDATE audit.event SET detail = 'predecessor=' || repeat('-', 36) || ' seq=1 hash=' || "
          "repeat('0', 64) WHERE seq = 1 AND stream = " A_STREAM,
     "changed 1"},
    {"a row and its hash",
     FREE "UPDATE audit.event e SET result = 'x' WHERE seq = 4 AND stream = " A_STREAM ";"
          "UPDATE audit.event e SET hash = audit.row_hash(e) WHERE seq = 4 AND stream = " A_STREAM,
     "changed 4"},
    {"a removed row", FREE "DELETE FROM audit.event WHERE seq = 4 AND stream = " A_STREAM,
     "removed 4"},
    {"two removed rows", FREE "DELETE FROM audit.event WHERE seq IN (4, 5) AND stream = " A_STREAM,
     "removed 4"},
    {"the first row removed", FREE "DELETE FROM audit.event WHERE seq = 1 AND stream = " A_STREAM,
     "removed 1"},
    {"the last row removed", FREE "DELETE FROM audit.event WHERE seq = 7 AND stream = " A_STREAM,
     "removed 7; removed 7"},
    {"truncated, head set back",
     FREE "DELETE FROM audit.event WHERE seq > 5 AND stream = " A_STREAM ";"
          "UPDATE audit.stream SET seq = 5, hash = (SELECT hash FROM audit.event WHERE seq = 5 AND "
          "stream = " A_STREAM ") WHERE id = " A_STREAM,
     "removed 7"},
    {"two rows exchanged",
     FREE "UPDATE audit.event SET seq = 111 - seq WHERE seq IN (5, 6) AND stream = " A_STREAM ";"
          "UPDATE audit.event SET seq = seq - 100 WHERE seq IN (105, 106) AND stream = " A_STREAM,
     "reordered 5; reordered 6"},
    {"a row moved to the end",
     FREE "UPDATE audit.event SET seq = 8 WHERE seq = 4 AND stream = " A_STREAM,
     "removed 4; added 8; reordered 8"},
    {"a row twice",
     FREE
     "INSERT INTO audit.event SELECT stream, seq, at + interval '1 us', client, client_name, "
     "fingerprint, address, protocol, correlation, position, operation, object, result, reason, "
     "duration_us, detail, previous, hash FROM audit.event WHERE seq = 4 AND stream = " A_STREAM,
     "added 4; changed 4; changed 4"},
    {"the head's hash", FREE "UPDATE audit.stream SET hash = sha256('x') WHERE id = " A_STREAM,
     "changed 7"},
    {"a stream without head", FREE "DELETE FROM audit.stream WHERE id = " A_STREAM, "removed"},
    {"a stream without rows", FREE "DELETE FROM audit.event WHERE stream = " A_STREAM,
     "removed 1; removed 7"},
    {"all of a stream",
     FREE "DELETE FROM audit.event WHERE stream = " A_STREAM
          "; DELETE FROM audit.stream WHERE id = " A_STREAM,
     "removed 7"},
    {"a predecessor denied",
     FREE "UPDATE audit.stream SET predecessor = NULL, predecessor_seq = NULL, predecessor_hash = "
          "NULL WHERE predecessor = " A_STREAM,
     "changed 1"},
    {"the tail rewritten whole",
     FREE "UPDATE audit.event e SET result = 'x' WHERE seq = 7 AND stream = " A_STREAM ";"
          "UPDATE audit.event e SET hash = audit.row_hash(e) WHERE seq = 7 AND stream = " A_STREAM
          ";"
          "UPDATE audit.stream SET hash = (SELECT hash FROM audit.event WHERE seq = 7 AND stream "
          "= " A_STREAM ") WHERE id = " A_STREAM,
     "changed 7"},
};

static char damaged_template[64];

/* Made once, before the tests fork: stream A has 7 rows, B follows it. */
static void make_trail(void)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    snprintf(damaged_template, sizeof damaged_template, "%s", fresh_database());
    worker_open(&w, damaged_template, NULL);
    for (int i = 0; i < 6; i++) {
        probe_audit(&p, &w, "Query", &n);
        ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    }
    worker_close(&w);
    worker_open_only(&w, damaged_template, NULL);
    worker_until_state(&w, DB_STATE_READY, 10);
    worker_close(&w);
}

/* A copy of it for each case. */
static const char *trail(void)
{
    static char name[64];
    char sql[200];
    snprintf(name, sizeof name, "d_%d", (int)getpid());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s", name, damaged_template);
    const char *error = "";
    for (int i = 0; i < 50 && *(error = pg_error(&pg, "postgres", "postgres", sql)); i++)
        pg_value(&pg, "postgres", "postgres",
                 "SELECT pg_sleep(0.1)"); /* the worker's backends end */
    ck_assert_str_eq(error, "");
    return name;
}

START_TEST(verify_names_what_is_wrong)
{
    const char *db = trail();
    ck_assert_str_eq(pg_error(&pg, db, "postgres", damages[_i].damage), "");
    const char *got = verify_text(db);
    ck_assert_msg(strcmp(got, damages[_i].want) == 0, "%s: found \"%s\", not \"%s\"",
                  damages[_i].why, got, damages[_i].want);
}
END_TEST

/* ---- who may do what ---- */

static const struct {
    const char *role, *sql, *want;
} rights[] = {
    /* audit is append-only for everyone */
    {"postgres", "UPDATE audit.event SET result = 'x'", "HF004"},
    {"postgres", "DELETE FROM audit.event", "HF004"},
    {"postgres", "TRUNCATE audit.event", "HF004"},
    {"postgres", "TRUNCATE audit.event_default", "HF004"},
    {"postgres",
     "DO $$ BEGIN EXECUTE 'TRUNCATE audit.event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'); "
     "END $$",
     "HF004"},
    {"postgres", "DELETE FROM audit.stream", "HF004"},
    {"postgres", "TRUNCATE audit.stream", "HF004"},
    {"postgres", "UPDATE audit.stream SET seq = seq - 1", "HF004"},
    {"postgres", "UPDATE audit.stream SET opener = 'x'", "HF004"},
    {"holdfast_migrator", "DELETE FROM audit.event", "HF004"},
    /* the server: no DDL, DELETE, TEMP; audit only through its functions; columns it may change */
    {"holdfast_server", "CREATE TABLE kmip.x ()", "42501"},
    {"holdfast_server", "CREATE TABLE public.x ()", "42501"},
    {"holdfast_server", "CREATE SCHEMA x", "42501"},
    {"holdfast_server", "CREATE TEMP TABLE x ()", "42501"},
    {"holdfast_server", "DROP TABLE kmip.object", "42501"},
    {"holdfast_server", "ALTER TABLE kmip.object DISABLE TRIGGER ALL", "42501"},
    {"holdfast_server", "DELETE FROM kmip.object", "42501"},
    {"holdfast_server", "DELETE FROM kmip.material", "42501"},
    {"holdfast_server", "DELETE FROM kmip.name", "42501"},
    {"holdfast_server", "DELETE FROM kmip.dk", "42501"},
    {"holdfast_server", "TRUNCATE kmip.object", "42501"},
    {"holdfast_server", "UPDATE kmip.object SET owner = uid", "42501"},
    {"holdfast_server", "UPDATE kmip.object SET uid = owner", "42501"},
    {"holdfast_server", "UPDATE kmip.object SET object_type = 8", "42501"},
    {"holdfast_server", "UPDATE kmip.object SET initial_date = 0", "42501"},
    {"holdfast_server", "UPDATE kmip.material SET uid = uid", "42501"},
    {"holdfast_server", "SELECT * FROM audit.event", "42501"},
    {"holdfast_server", "SELECT * FROM audit.stream", "42501"},
    {"holdfast_server", "INSERT INTO audit.event DEFAULT VALUES", "42501"},
    {"holdfast_server", "INSERT INTO audit.stream DEFAULT VALUES", "42501"},
    {"holdfast_server", "UPDATE audit.stream SET seq = seq + 1", "42501"},
    {"holdfast_server", "SELECT audit.open_stream(gen_random_uuid(), 'administration')", "42501"},
    {"holdfast_server", "SELECT audit.start_stream(gen_random_uuid(), 'administration')", "42501"},
    {"holdfast_server", "SELECT audit.append_one(NULL, 'x', NULL, 'x', 'x', 'x')", "42501"},
    {"holdfast_server", "UPDATE policy.client SET enabled = true", "42501"},
    {"holdfast_server", "SELECT policy.client_enable('first', true)", "42501"},
    {"holdfast_server", "INSERT INTO policy.client (name) VALUES ('x')", "42501"},
    {"holdfast_server", "SET ROLE holdfast_owner", "42501"},
    {"holdfast_server", "INSERT INTO holdfast.migration VALUES (99, 'x', 'x')", "42501"},
    /* the policy administrator: its functions, no objects, no audit */
    {"holdfast_policy", "SELECT * FROM kmip.object", "42501"},
    {"holdfast_policy", "SELECT * FROM kmip.material", "42501"},
    {"holdfast_policy", "INSERT INTO policy.client (name) VALUES ('x')", "42501"},
    {"holdfast_policy", "UPDATE policy.client SET enabled = true", "42501"},
    {"holdfast_policy", "SELECT * FROM audit.events", "42501"},
    {"holdfast_policy", "SELECT audit.open_stream(gen_random_uuid(), 'x')", "42501"},
    {"holdfast_policy", "SELECT * FROM policy.clients", ""},
    /* the auditor: reads audit */
    {"holdfast_auditor", "SELECT * FROM audit.events", ""},
    {"holdfast_auditor", "SELECT * FROM audit.failures", ""},
    {"holdfast_auditor", "SELECT * FROM audit.keys", ""},
    {"holdfast_auditor", "SELECT * FROM audit.streams", ""},
    {"holdfast_auditor", "SELECT * FROM audit.key_events(gen_random_uuid())", ""},
    {"holdfast_auditor", "SELECT * FROM audit.client_events('first')", ""},
    {"holdfast_auditor", "SELECT * FROM audit.verify()", ""},
    {"holdfast_auditor", "SELECT * FROM kmip.object", "42501"},
    {"holdfast_auditor", "SELECT * FROM kmip.material", "42501"},
    {"holdfast_auditor", "SELECT * FROM policy.client", "42501"},
    {"holdfast_auditor", "INSERT INTO audit.event DEFAULT VALUES", "42501"},
    {"holdfast_auditor", "SELECT audit.note('x')", "42501"},
    {"holdfast_auditor", "CREATE TEMP TABLE x ()", "42501"},
    /* backup reads all and writes nothing */
    {"holdfast_backup", "SELECT * FROM kmip.material", ""},
    {"holdfast_backup", "DELETE FROM kmip.material", "42501"},
    {"holdfast_backup", "SELECT audit.note('x')", "42501"},
};

static char rights_database[64];

START_TEST(each_role_may_do_its_own_only)
{
    const char *got = pg_error(&pg, rights_database, rights[_i].role, rights[_i].sql);
    ck_assert_msg(strcmp(got, rights[_i].want) == 0, "%s: %s: %s", rights[_i].role, rights[_i].sql,
                  got);
}
END_TEST

static void make_rights_database(void)
{
    /* migrated itself: a copy of a template does not inherit the rights on the database */
    struct db_admin *a = NULL;
    snprintf(rights_database, sizeof rights_database, "rights");
    pg_value(&pg, "postgres", "postgres", "CREATE DATABASE rights");
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, "rights", "postgres"), NULL, &a), RC_OK);
    ck_assert_int_eq(db_migrate(a, NULL, NULL), RC_OK);
    db_admin_close(&a);
    pg_value(&pg, rights_database, "postgres", "SELECT audit.note('x')");
}

/* ---- views, notes, partitions ---- */

START_TEST(views_tell_the_present_state)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_insert(&p, &w, "by-date", &n);
    p.object.control.activation_date = 1000;
    p.object.control.deactivation_date = INT64_MAX;
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    ck_assert_str_eq(pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                              "SELECT owner || ' ' || names[1] || ' ' || type || ' ' || algorithm "
                              "|| ' ' || state || ' ' || deactivated FROM audit.keys"),
                     "first by-date Symmetric Key AES Active infinity");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                 "SELECT string_agg(operation, ' ') FROM audit.client_events('first')"),
        "Create");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                 "SELECT count(*) FROM audit.key_events((SELECT uid FROM audit.keys))"),
        "1");
    ck_assert_str_eq(
        pg_value(&pg, w.database, DB_ROLE_AUDITOR,
                 "SELECT client FROM audit.events WHERE operation = 'Admin Add Client'"),
        "holdfast_policy");
    worker_close(&w);
}
END_TEST

START_TEST(the_state_by_date_is_the_same_in_c_and_sql)
{
    static const int64_t dates[] = {NO_DATE, 50, 100, 150};
    const char *db = fresh_database();
    for (uint32_t state = 1; state <= 6; state++)
        for (int a = 0; a < 4; a++)
            for (int d = 0; d < 4; d++) {
                struct control c = {
                    .state = state, .activation_date = dates[a], .deactivation_date = dates[d]};
                char sql[160], act[24] = "NULL", dea[24] = "NULL";
                if (dates[a] != NO_DATE)
                    snprintf(act, sizeof act, "%lld", (long long)dates[a]);
                if (dates[d] != NO_DATE)
                    snprintf(dea, sizeof dea, "%lld", (long long)dates[d]);
                snprintf(sql, sizeof sql, "SELECT kmip.effective_state(%u, %s, %s, 100)", state,
                         act, dea);
                ck_assert_int_eq(atoi(pg_value(&pg, db, "postgres", sql)),
                                 (int)control_effective_state(&c, 100));
            }
}
END_TEST

START_TEST(rows_of_any_month_find_a_place)
{
    struct worker w;
    struct probe p;
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    probe_audit(&p, &w, "Query", &n);
    p.event.time_us = INT64_C(4102444800000000); /* 2100: no partition yet */
    ck_assert_int_eq(probe_run(&w, &p), DB_DONE);
    ck_assert_str_eq(
        pg_value(&pg, w.database, "postgres", "SELECT count(*) FROM audit.event_default"), "1");
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres", "SELECT audit.make_partitions(5)"), "2");
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres", "SELECT audit.make_partitions(5)"), "0");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

/* Each names the one before it, though the clock was set back after the first had been opened. */
START_TEST(streams_follow_one_another_whatever_the_clock_says)
{
    const char *db = fresh_database();
    char before[64] = "";
    for (int i = 0; i < 4; i++) {
        struct worker w;
        char stream[UID_TEXT_SIZE];
        worker_open_only(&w, db, NULL);
        worker_until_state(&w, DB_STATE_READY, 5);
        uid_print(&db_stats_of(w.db)->stream, stream);
        worker_close(&w);
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT predecessor FROM audit.stream WHERE id = '%s'", stream);
        ck_assert_str_eq(pg_value(&pg, db, "postgres", sql), before);
        snprintf(before, sizeof before, "%s", stream);
        if (i == 0)
            pg_value(&pg, db, "postgres",
                     "SET session_replication_role = replica; UPDATE audit.stream SET opened_at = "
                     "opened_at + interval '1 year'");
    }
    ck_assert_str_eq(verify_text(db), "verified");
}
END_TEST

START_TEST(everything_has_a_comment)
{
    const char *db = fresh_database();
    ck_assert_str_eq(
        pg_value(
            &pg, db, "postgres",
            "SELECT coalesce(string_agg(what, ', '), '') FROM ("
            " SELECT c.oid::regclass::text AS what FROM pg_class c JOIN pg_namespace n ON n.oid = "
            "c.relnamespace"
            "  WHERE n.nspname IN ('kmip', 'policy', 'audit', 'holdfast') AND c.relkind IN ('r', "
            "'p', 'v') AND obj_description(c.oid, 'pg_class') IS NULL"
            " UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON "
            "n.oid = p.pronamespace"
            "  WHERE n.nspname IN ('kmip', 'policy', 'audit') AND obj_description(p.oid, "
            "'pg_proc') IS NULL"
            " UNION ALL SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN "
            "pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            "  WHERE n.nspname IN ('kmip', 'policy', 'audit', 'holdfast') AND c.relkind IN ('r', "
            "'p', 'v') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND "
            "col_description(c.oid, a.attnum) IS NULL) AS bare"),
        "");
}
END_TEST

/* ---- signatures ---- */

#define RFC_KEY                                                                                    \
    "'\\x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6',"                       \
    "'\\x7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',"
#define RFC_SAMPLE                                                                                 \
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"                             \
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define RFC_TEST                                                                                   \
    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"                             \
    "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ORDER "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"

/* RFC 6979, A.2.5, and what must not pass. */
static const struct {
    const char *what, *arguments, *want;
} signatures[] = {
    {"sample", RFC_KEY "'sample', '\\x" RFC_SAMPLE "'", "t"},
    {"test", RFC_KEY "'test', '\\x" RFC_TEST "'", "t"},
    {"another message", RFC_KEY "'test', '\\x" RFC_SAMPLE "'", "f"},
    {"another signature", RFC_KEY "'sample', '\\x" RFC_TEST "'", "f"},
    {"no r", RFC_KEY "'sample', '\\x" ZEROS "01'", "f"},
    {"r is nothing", RFC_KEY "'sample', '\\x" ZEROS ORDER "'", "f"},
    {"s is nothing", RFC_KEY "'sample', '\\x" ORDER ZEROS "'", "f"},
    {"both are the order", RFC_KEY "'sample', '\\x" ORDER ORDER "'", "f"},
    {"too short", RFC_KEY "'sample', '\\xab'", "f"},
    {"none", RFC_KEY "'sample', NULL", "f"},
    {"a key off the curve", "'\\x01', '\\x01', 'sample', '\\x" RFC_SAMPLE "'", "f"},
};

START_TEST(signatures_are_verified_in_sql)
{
    char sql[700];
    snprintf(sql, sizeof sql, "SELECT audit.p256_verifies(%s)", signatures[_i].arguments);
    ck_assert_msg(strcmp(pg_value(&pg, rights_database, "postgres", sql), signatures[_i].want) == 0,
                  "%s", signatures[_i].what);
}
END_TEST

/* ---- migrations and administration ---- */

static void count_applied(void *arg, const char *text)
{
    *(int *)arg += strstr(text, "applied") != NULL;
}

START_TEST(migrations_can_run_again_and_notice_change)
{
    struct db_admin *a = NULL;
    int applied = 0;
    unsigned have = 0, want = 0;
    const char *db = fresh_database();
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, db, "postgres"), NULL, &a), RC_OK);
    ck_assert_int_eq(db_migrate(a, count_applied, &applied), RC_OK);
    ck_assert_int_eq(applied, 0);
    ck_assert_int_eq(db_migration_state(a, &have, &want), RC_OK);
    ck_assert_uint_eq(have, want);
    pg_value(&pg, db, "postgres", "UPDATE holdfast.migration SET checksum = 'x' WHERE number = 3");
    ck_assert_int_eq(db_migrate(a, NULL, NULL), RC_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(db_admin_error(a), "0003"));
    db_admin_close(&a);
    /* a second database of the same cluster, by the migrator role */
    pg_value(&pg, "postgres", "postgres", "DROP DATABASE IF EXISTS second");
    pg_value(&pg, "postgres", "postgres", "CREATE DATABASE second");
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, "second", "postgres"), NULL, &a), RC_OK);
    ck_assert_int_eq(db_migrate(a, count_applied, &applied), RC_OK);
    ck_assert_int_eq(applied, (int)want);
    db_admin_close(&a);
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, "second", "postgres"), DB_ROLE_MIGRATOR, &a),
                     RC_OK);
    rc_t rc = db_migrate(a, NULL, NULL);
    ck_assert_msg(rc == RC_OK, "%s", db_admin_error(a));
    db_admin_close(&a);
}
END_TEST

START_TEST(a_failed_migration_leaves_nothing)
{
    struct db_admin *a = NULL;
    pg_value(&pg, "postgres", "postgres", "CREATE DATABASE blocked");
    pg_value(&pg, "blocked", "postgres", "CREATE SCHEMA audit");
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, "blocked", "postgres"), NULL, &a), RC_OK);
    ck_assert_int_ne(db_migrate(a, NULL, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(db_admin_error(a), "audit"));
    ck_assert_str_eq(
        pg_value(&pg, "blocked", "postgres", "SELECT max(number) FROM holdfast.migration"), "2");
    pg_value(&pg, "blocked", "postgres", "DROP SCHEMA audit");
    ck_assert_int_eq(db_migrate(a, NULL, NULL), RC_OK);
    db_admin_close(&a);
}
END_TEST

static bool count_client(void *arg, const struct db_client *c)
{
    *(struct db_client *)arg = *c;
    return true;
}

static bool count_certificate(void *arg, const struct db_certificate_row *c)
{
    *(int *)arg += c->revoked_at == NO_DATE ? 1 : 100;
    return true;
}

static bool count_event(void *arg, const struct db_event_row *e)
{
    ck_assert_ptr_nonnull(e->operation);
    ++*(int *)arg;
    return true;
}

static bool see_verify(void *arg, const struct db_verify_row *row)
{
    *(bool *)arg = row->good;
    return true;
}

START_TEST(clients_are_added_listed_revoked_and_audited)
{
    struct db_admin *a = NULL;
    const char *db = fresh_database();
    struct db_certificate cert = {"CN=ca", "uri", "urn:a", "0a", "f1", 0, INT64_C(4102444800)};
    struct uid id;
    struct db_client seen = {0};
    int sum = 0;
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, db, "postgres"), DB_ROLE_POLICY, &a), RC_OK);
    db_admin_set_operator(a, "root@test");
    ck_assert_int_eq(db_client_add(a, "a", NULL, NULL, &cert, &id), RC_OK);
    ck_assert_int_eq(db_client_add(a, "a", NULL, NULL, &cert, &id), RC_NAME_TAKEN);
    ck_assert_int_eq(db_client_add(a, "b", NULL, NULL, &cert, &id),
                     RC_NAME_TAKEN); /* the identity is a's */
    cert.fingerprint = "f2";
    cert.serial = "0b";
    ck_assert_int_eq(db_certificate_add(a, "a", NULL, &cert), RC_OK);
    ck_assert_int_eq(db_certificate_add(a, "nobody", NULL, &cert), RC_NOT_FOUND);
    ck_assert_int_eq(db_client_list(a, count_client, &seen), RC_OK);
    ck_assert_uint_eq(seen.certificates, 2);
    ck_assert_int_eq(seen.standing, 1);
    ck_assert_int_eq(db_client_revoke(a, "a", "0b"), RC_OK);
    ck_assert_int_eq(db_client_revoke(a, "a", "nothing"), RC_NOT_FOUND);
    ck_assert_int_eq(db_certificate_list(a, "a", count_certificate, &sum), RC_OK);
    ck_assert_int_eq(sum, 101);
    ck_assert_int_eq(db_client_revoke(a, "a", NULL), RC_OK);
    ck_assert_int_eq(db_client_list(a, count_client, &seen), RC_OK);
    ck_assert(!seen.enabled);
    ck_assert_int_gt(seen.standing, 2);
    cert.fingerprint = "f3";
    cert.serial = "0c";
    ck_assert_int_eq(db_certificate_add(a, "a", NULL, &cert),
                     RC_WRONG_STATE); /* it would not let the client in */
    ck_assert_int_eq(db_client_enable(a, "a", true), RC_OK);
    ck_assert_int_eq(db_certificate_add(a, "a", NULL, &cert), RC_OK);
    ck_assert_int_eq(db_client_list(a, count_client, &seen), RC_OK);
    ck_assert_uint_eq(seen.certificates, 1); /* the old ones stay revoked */
    ck_assert_int_eq(db_audit_note(a, "Admin Test", NULL), RC_OK);
    db_admin_close(&a);

    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, db, "postgres"), DB_ROLE_AUDITOR, &a), RC_OK);
    bool good = false;
    int events = 0;
    int64_t cursor = 0;
    ck_assert_int_eq(db_audit_verify(a, see_verify, &good), RC_OK);
    ck_assert(good);
    ck_assert_int_eq(db_audit_tail(a, 100, &cursor, count_event, &events), RC_OK);
    ck_assert_int_eq(events, 8); /* the opening row, and one each */
    ck_assert_int_eq(db_audit_tail(a, 100, &cursor, count_event, &events), RC_OK);
    ck_assert_int_eq(events, 8);
    struct db_counts counts;
    ck_assert_int_eq(db_counts(a, &counts), RC_OK);
    struct db_setting settings[DB_SETTING_COUNT];
    ck_assert_int_eq(db_settings_check(a, settings), RC_OK);
    for (int i = 0; i < DB_SETTING_COUNT; i++)
        ck_assert_int_eq(settings[i].verdict, DB_SETTING_SAFE);
    db_admin_close(&a);
    ck_assert_str_eq(pg_value(&pg, db, DB_ROLE_AUDITOR,
                              "SELECT client FROM audit.events WHERE operation = 'Admin Test'"),
                     "holdfast_policy (root@test)");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db audit");
    TCase *t = tcase_create("audit");
    tcase_set_timeout(t, 60);
    tcase_add_unchecked_fixture(t, make_rights_database, NULL);
    tcase_add_unchecked_fixture(t, make_trail, NULL);
    tcase_add_test(t, the_canonical_form_is_as_written);
    tcase_add_loop_test(t, text_is_cleaned, 0, sizeof texts / sizeof *texts);
    tcase_add_loop_test(t, verify_names_what_is_wrong, 0, sizeof damages / sizeof *damages);
    tcase_add_loop_test(t, each_role_may_do_its_own_only, 0, sizeof rights / sizeof *rights);
    tcase_add_loop_test(t, signatures_are_verified_in_sql, 0,
                        sizeof signatures / sizeof *signatures);
    tcase_add_test(t, views_tell_the_present_state);
    tcase_add_test(t, the_state_by_date_is_the_same_in_c_and_sql);
    tcase_add_test(t, rows_of_any_month_find_a_place);
    tcase_add_test(t, streams_follow_one_another_whatever_the_clock_says);
    tcase_add_test(t, everything_has_a_comment);
    tcase_add_test(t, migrations_can_run_again_and_notice_change);
    tcase_add_test(t, a_failed_migration_leaves_nothing);
    tcase_add_test(t, clients_are_added_listed_revoked_and_audited);
    suite_add_tcase(s, t);
    return run_suite(s);
}
