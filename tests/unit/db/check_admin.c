/*
 * What the holdfast command asks the database, beside clients and migrations (check_clients.c, check_audit.c): second
 * factors, the policy as calls, views and files, requests, who a certificate is, and the audit trail read out. Of each
 * what it answers, what it refuses, and that who did it is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/admin_factor.h"
#include "db/admin_policy.h"
#include "db/audit_export.h"
#include "tests/unit/db/fixture.h"

static const char *database;
static struct db_admin *admin;
static char told[8192]; /* what the callbacks were told, with ';' behind each */
static unsigned tellings;

static struct db_admin *as(const char *role)
{
    db_admin_close(&admin);
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, database, "postgres"), role, &admin), RC_OK);
    db_admin_set_operator(admin, "root@test");
    told[0] = 0;
    tellings = 0;
    return admin;
}

/* A database with the client "one", of the certificate f1. */
static void setup(void)
{
    const struct db_certificate cert = {"CN=ca", "uri", "urn:one", "0a", "f1", 0, INT64_C(4102444800)};
    struct uid id;
    database = fresh_database();
    ck_assert_int_eq(db_client_add(as(DB_ROLE_POLICY), "one", NULL, "why", &cert, &id), RC_OK);
}

static void teardown(void)
{
    db_admin_close(&admin);
}

static bool tell(const char *text)
{
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%s;", text);
    return ++tellings < 5; /* a listing stops where it is told to */
}

static bool tell_text(void *arg, const char *text)
{
    (void)arg;
    return tell(text);
}

static void forget(void)
{
    told[0] = 0;
    tellings = 0;
}

/* What auditors read of the latest row of an operation. */
static const char *noted(const char *operation)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT client || ': ' || coalesce(detail, '-') FROM audit.events WHERE operation = '%s' "
             "ORDER BY at DESC, seq DESC LIMIT 1",
             operation);
    return pg_value(&pg, database, DB_ROLE_AUDITOR, sql);
}

/* ---- factors ---- */

static bool tell_factor(void *arg, const struct db_factor_row *row)
{
    (void)arg;
    char text[300];
    snprintf(text, sizeof text, "%s %s %s %s%s%s", row->client, row->kind, row->name, row->device ? row->device : "-",
             row->has_password ? " password" : "", row->required ? " required" : "");
    ck_assert_int_gt(row->created, 1600000000);
    return tell(text);
}

static const struct db_password word = {
    15, 8, 1, {(const uint8_t *)"0123456789abcdef", 16}, {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32}};

START_TEST(passwords_are_registered_replaced_and_removed)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    int64_t first = 0, second = 0;
    char number[24];
    ck_assert_int_eq(db_password_add(a, "one", "user", &word, "why", &first), RC_OK);
    ck_assert_str_eq(
        pg_value(&pg, database, "postgres",
                 "SELECT cost_log2 || ' ' || block_size || ' ' || parallel || ' ' || encode(salt, 'escape')"
                 " || ' ' || encode(hash, 'escape') FROM policy.factor"),
        "15 8 1 0123456789abcdef 0123456789abcdef0123456789abcdef");
    ck_assert_int_eq(db_password_add(a, "one", "user", &word, "why", &second), RC_OK);
    ck_assert_int_ne(second, first);
    ck_assert_ptr_nonnull(strstr(noted("Admin Change Password"), "(root@test)"));
    ck_assert_int_eq(db_factor_list(a, "one", tell_factor, NULL), RC_OK);
    ck_assert_str_eq(told, "one password user - password;");
    ck_assert_int_eq(db_password_add(a, "nobody", "user", &word, "why", &first), RC_NOT_FOUND);
    const struct db_password large = {15, 8, 1, {(const uint8_t[65]){0}, 65}, word.hash};
    ck_assert_int_eq(db_password_add(a, "one", "user", &large, "why", &first), RC_INVALID_FIELD);
    snprintf(number, sizeof number, "%lld", (long long)second);
    ck_assert_int_eq(db_factor_remove(a, number, "why"), RC_OK);
    ck_assert_int_eq(db_factor_remove(a, number, "why"), RC_NOT_FOUND);
    forget();
    ck_assert_int_eq(db_factor_list(a, NULL, tell_factor, NULL), RC_OK);
    ck_assert_str_eq(told, "");
}
END_TEST

START_TEST(devices_are_registered_once_with_and_without_a_password)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    int64_t id = 0;
    char facts[64];
    ck_assert_int_eq(db_device_add(a, "one", "{\"DeviceSerialNumber\": \"0\"}", &word, "why", &id), RC_OK);
    ck_assert_int_eq(db_device_add(a, "one", "{\"DeviceSerialNumber\": \"0\"}", NULL, "why", &id), RC_NAME_TAKEN);
    ck_assert_int_eq(db_device_add(a, "one", "{}", NULL, "why", &id), RC_INVALID_FIELD);
    for (int i = 1; i < 7; i++) {
        snprintf(facts, sizeof facts, "{\"DeviceSerialNumber\": \"%d\"}", i);
        ck_assert_int_eq(db_device_add(a, "one", facts, NULL, "why", &id), RC_OK);
    }
    ck_assert_int_eq(db_factor_list(a, "one", tell_factor, NULL), RC_OK);
    ck_assert_uint_eq(tellings, 5);
    ck_assert_ptr_nonnull(strstr(told, "{\"DeviceSerialNumber\": \"0\"} password;"));
    ck_assert_ptr_nonnull(strstr(told, "{\"DeviceSerialNumber\": \"1\"};"));
}
END_TEST

START_TEST(a_quirk_is_a_clients_own)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    bool has = true;
    ck_assert_int_eq(db_client_has_quirk(a, "one", "empty-credentials", &has), RC_OK);
    ck_assert(!has);
    const char *const values[] = {"one", NULL, NULL, "{empty-credentials}", "why"};
    ck_assert_int_eq(db_policy_call(a, "client_set", 5, values), RC_OK);
    ck_assert_int_eq(db_client_has_quirk(a, "one", "empty-credentials", &has), RC_OK);
    ck_assert(has);
    ck_assert_int_eq(db_client_has_quirk(a, "nobody", "empty-credentials", &has), RC_NOT_FOUND);
    ck_assert_str_eq(db_admin_error(a), "there is no client nobody");
}
END_TEST

/* ---- calls and views ---- */

START_TEST(functions_are_called_by_the_names_of_their_arguments)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    struct db_argument arguments[34] = {
        {"subject", "text", "client one"}, {"permissions", "text[]", "get,locate"}, {"reason", "text", "why"},
        {"domain", "text", NULL},          {"name_pattern", "text", "vol-*"},
    };
    int64_t number = 0, second = 0;
    ck_assert_int_eq(db_policy_call_named(a, "allow", arguments, 5, &number), RC_OK);
    ck_assert_int_eq(db_policy_call_named(a, "deny", arguments, 5, &second), RC_OK);
    ck_assert_int_gt(number, 0);
    ck_assert_int_gt(second, number);
    ck_assert_int_eq(db_policy_list(a, "rules", "default", tell_text, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(told, "\"subject\":\"client one\""));
    ck_assert_ptr_nonnull(strstr(told, "\"name_pattern\":\"vol-*\""));
    forget();
    ck_assert_int_eq(db_policy_list(a, "rules", "nowhere", tell_text, NULL), RC_OK);
    ck_assert_uint_eq(tellings, 0);
    ck_assert_int_eq(db_policy_list(a, "permissions", NULL, tell_text, NULL), RC_OK);
    ck_assert_uint_eq(tellings, 5); /* told to stop there */
    arguments[0].value = "client nobody";
    ck_assert_int_eq(db_policy_call_named(a, "allow", arguments, 5, &number), RC_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(db_admin_error(a), "nobody"));
    arguments[0].value = "somebody";
    ck_assert_int_eq(db_policy_call_named(a, "allow", arguments, 5, &number), RC_INVALID_FIELD);
    ck_assert_ptr_nonnull(db_admin_hint(a));
    for (size_t i = 0; i < 34; i++)
        arguments[i] = (struct db_argument){"subject", "text", "everyone"};
    ck_assert_int_eq(db_policy_call_named(a, "allow", arguments, 34, &number), RC_INTERNAL);
    const char *values[33] = {NULL};
    ck_assert_int_eq(db_policy_call(a, "allow", 33, values), RC_INTERNAL);
    ck_assert_int_eq(db_policy_list(as(DB_ROLE_SERVER), "rules", NULL, tell_text, NULL), RC_DENIED);
}
END_TEST

START_TEST(rows_and_explanations_are_told)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    ck_assert_int_eq(db_policy_rows(a, "domains v ORDER BY name", tell_text, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(told, "\"name\":\"default\""));
    forget();
    ck_assert_int_eq(db_policy_explain(a, "one", "get", NULL, tell_text, NULL), RC_OK);
    ck_assert_uint_gt(tellings, 0);
    ck_assert_ptr_nonnull(strstr(told, "\"why\":"));
    ck_assert_ptr_nonnull(strstr(noted("Admin Explain"), "client=one operation=get"));
    ck_assert_int_eq(db_policy_explain(a, "nobody", "get", NULL, tell_text, NULL), RC_NOT_FOUND);
}
END_TEST

/* ---- files and requests ---- */

START_TEST(a_policy_goes_out_and_comes_back_changed)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    AUTO_BUF text = BUF_EMPTY;
    char hash[DB_POLICY_HASH];
    ck_assert_int_eq(db_policy_export(a, "nowhere", &text), RC_NOT_FOUND);
    ck_assert_int_eq(db_policy_export(a, NULL, &text), RC_OK);
    ck_assert_int_eq(buf_add_u8(&text, 0), RC_OK);
    ck_assert_int_eq(db_policy_diff(a, (const char *)text.data, hash, tell_text, NULL), RC_OK);
    ck_assert_str_eq(told, ""); /* the same */
    ck_assert_uint_eq(strlen(hash), 64);
    char *hours = strstr((char *)text.data, "\"approval_hours\": 24");
    ck_assert_ptr_nonnull(hours);
    memcpy(hours, "\"approval_hours\": 23", 20);
    ck_assert_int_eq(db_policy_diff(a, (const char *)text.data, NULL, tell_text, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(told, "approval_hours"));
    memset(hash, '0', sizeof hash - 1); /* of another policy */
    ck_assert_int_eq(db_policy_apply(a, (const char *)text.data, "why", hash, tell_text, NULL), RC_WRONG_STATE);
}
END_TEST

START_TEST(a_policy_is_applied_to_what_it_was_compared_with_alone)
{
    struct db_admin *a = as(DB_ROLE_POLICY);
    AUTO_BUF text = BUF_EMPTY;
    char hash[DB_POLICY_HASH];
    ck_assert_int_eq(db_policy_export(a, "default", &text), RC_OK);
    ck_assert_int_eq(buf_add_u8(&text, 0), RC_OK);
    memcpy(strstr((char *)text.data, "\"approval_hours\": 24"), "\"approval_hours\": 23", 20);
    ck_assert_int_eq(db_policy_diff(a, (const char *)text.data, hash, tell_text, NULL), RC_OK);
    forget();
    ck_assert_int_eq(db_policy_apply(a, (const char *)text.data, "why", hash, tell_text, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(told, "approval_hours"));
    ck_assert_int_eq(db_policy_apply(a, (const char *)text.data, "why", hash, tell_text, NULL), RC_WRONG_STATE);
    forget();
    ck_assert_int_eq(db_policy_apply(a, (const char *)text.data, "why", NULL, tell_text, NULL), RC_OK);
    ck_assert_str_eq(told, "");
    ck_assert_int_eq(db_policy_diff(a, "{", hash, tell_text, NULL), RC_INVALID_FIELD);
}
END_TEST

START_TEST(what_nobody_asked_for_is_not_approved)
{
    bool approved = false;
    ck_assert_int_eq(db_request_approve(as(DB_ROLE_POLICY), "1", "why", &approved), RC_NOT_FOUND);
    ck_assert(!approved);
}
END_TEST

/* ---- certificates ---- */

START_TEST(a_certificate_is_who_a_worker_says)
{
    struct db_admin *a = as(DB_ROLE_SERVER);
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    struct db_identity id = {.issuer = bytes_str("CN=ca"),
                             .name_count = 1,
                             .names = {{"uri", bytes_str("urn:one")}},
                             .fingerprint = bytes_str("f1")};
    struct db_standing more;
    ck_assert_int_eq(db_identity_find(a, &arena, &id), RC_OK);
    ck_assert(id.found && id.enabled && !id.revoked);
    ck_assert(bytes_is(id.client_name, "one"));
    ck_assert_int_eq(db_identity_standing(a, &id, &more), RC_OK);
    ck_assert(more.certificate_known && !more.revoked && more.client_enabled && more.domain_enabled);
    ck_assert_str_eq(more.domain, "default");
    ck_assert_int_gt(more.clock_us, INT64_C(1600000000000000));

    ck_assert_int_eq(db_client_revoke(as(DB_ROLE_POLICY), "one", NULL), RC_OK);
    a = as(DB_ROLE_SERVER);
    ck_assert_int_eq(db_identity_find(a, &arena, &id), RC_OK);
    ck_assert(id.found && !id.enabled && id.revoked);
    ck_assert_int_eq(db_identity_standing(a, &id, &more), RC_OK);
    ck_assert(more.certificate_known && more.revoked && !more.client_enabled);

    struct db_identity other = id; /* the name, by another authority */
    other.issuer = bytes_str("CN=other");
    other.fingerprint = bytes_str("f9");
    ck_assert_int_eq(db_identity_find(a, &arena, &other), RC_OK);
    ck_assert(!other.found);
    ck_assert_int_eq(db_identity_standing(a, &other, &more), RC_OK);
    ck_assert(!more.certificate_known);
    ck_assert_str_eq(more.domain, "");
    ck_assert_str_eq(more.other_issuer, "CN=ca");
}
END_TEST

/* ---- the audit trail, read out ---- */

struct export
{
    unsigned count[4]; /* export, stream, event, gap */
    unsigned most;     /* then it stops */
    char kinds[5];
};

static rc_t count_record(void *arg, const struct audit_record *record)
{
    static const char *const kinds[] = {"export", "stream", "event", "gap"};
    struct export *e = arg;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(record->field[AUDIT_RECORD], kinds[i]) == 0)
            e->count[i]++;
    if (strcmp(record->field[AUDIT_RECORD], "export") == 0)
        tell(record->field[AUDIT_DETAIL]);
    if (strcmp(record->field[AUDIT_RECORD], "event") == 0) {
        ck_assert_uint_eq(strlen(record->field[AUDIT_HASH]), 64);
        ck_assert_ptr_nonnull(record->field[AUDIT_OPERATION]);
    }
    return e->most && e->count[2] == e->most ? RC_IO : RC_OK;
}

static struct export export_of(struct db_export what, rc_t rc)
{
    struct export e = {.most = 0};
    forget();
    ck_assert_int_eq(db_audit_export(admin, &what, count_record, &e), rc);
    return e;
}

START_TEST(all_rows_or_those_of_a_period_or_a_client_are_read_out)
{
    const char *const values[] = {"north", "why"};
    ck_assert_int_eq(db_policy_call(as(DB_ROLE_POLICY), "domain_add", 2, values), RC_OK);
    char month[8];
    snprintf(month, sizeof month, "%s",
             pg_value(&pg, database, "postgres", "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')"));
    unsigned rows = (unsigned)atoi(pg_value(&pg, database, DB_ROLE_AUDITOR, "SELECT count(*) FROM audit.events"));
    unsigned streams =
        (unsigned)atoi(pg_value(&pg, database, DB_ROLE_AUDITOR, "SELECT count(DISTINCT stream) FROM audit.events"));
    as(DB_ROLE_AUDITOR);

    struct export all = export_of((struct db_export){0}, RC_OK);
    ck_assert_str_eq(told, "format=1;");
    ck_assert_uint_eq(all.count[0], 1);
    ck_assert_uint_eq(all.count[1], streams);
    ck_assert_uint_eq(all.count[2], rows);
    ck_assert_uint_eq(all.count[3], 0);
    struct export whole = export_of((struct db_export){.month = month}, RC_OK);
    ck_assert_uint_eq(whole.count[2], rows);
    ck_assert_ptr_nonnull(strstr(told, month));
    ck_assert_uint_eq(export_of((struct db_export){.until = "2000-01-01"}, RC_OK).count[2], 0);
    ck_assert_uint_eq(export_of((struct db_export){.from = "2000-01-01"}, RC_OK).count[2], rows);
    ck_assert_uint_eq(export_of((struct db_export){.client = "one"}, RC_OK).count[2], 0); /* it did nothing yet */
    ck_assert_uint_eq(export_of((struct db_export){.key = "00000000-0000-0000-0000-000000000000"}, RC_OK).count[2], 0);
    export_of((struct db_export){.client = "nobody"}, RC_NOT_FOUND);
    export_of((struct db_export){.month = "1999-01"}, RC_NOT_FOUND);
    export_of((struct db_export){.from = "some day"}, RC_INVALID_FIELD);
    struct export first = {.most = 1};
    ck_assert_int_eq(db_audit_export(admin, &(struct db_export){0}, count_record, &first), RC_IO);
    ck_assert_uint_eq(first.count[2], 1);
    ck_assert_uint_eq(export_of((struct db_export){0}, RC_OK).count[2], rows); /* the connection goes on */
}
END_TEST

START_TEST(rows_that_are_elsewhere_are_told_as_gaps)
{
    /* From between two rows of a stream on: the first ones are a gap, which is right. */
    static char from[64];
    ck_assert_int_eq(db_audit_note(as(DB_ROLE_POLICY), "Admin Test", NULL), RC_OK);
    snprintf(from, sizeof from, "%s",
             pg_value(&pg, database, "postgres", "SELECT max(at) FROM audit.event WHERE operation = 'Admin Test'"));
    as(DB_ROLE_AUDITOR);
    struct export late = export_of((struct db_export){.from = from}, RC_OK);
    ck_assert_uint_ge(late.count[2], 1);
    ck_assert_uint_ge(late.count[3], 1);
    ck_assert_int_eq(db_audit_note_export(admin, "format=jsonl", NULL, 7, "00"), RC_INVALID_FIELD);
    char sum[65];
    memset(sum, 'a', 64);
    sum[64] = 0;
    ck_assert_int_eq(db_audit_note_export(admin, "format=jsonl", NULL, 7, sum), RC_OK);
    ck_assert_ptr_nonnull(strstr(noted("Admin Export Audit"), "(root@test)"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db admin");
    TCase *t = tcase_create("admin");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, passwords_are_registered_replaced_and_removed);
    tcase_add_test(t, devices_are_registered_once_with_and_without_a_password);
    tcase_add_test(t, a_quirk_is_a_clients_own);
    tcase_add_test(t, functions_are_called_by_the_names_of_their_arguments);
    tcase_add_test(t, rows_and_explanations_are_told);
    tcase_add_test(t, a_policy_goes_out_and_comes_back_changed);
    tcase_add_test(t, a_policy_is_applied_to_what_it_was_compared_with_alone);
    tcase_add_test(t, what_nobody_asked_for_is_not_approved);
    tcase_add_test(t, a_certificate_is_who_a_worker_says);
    tcase_add_test(t, all_rows_or_those_of_a_period_or_a_client_are_read_out);
    tcase_add_test(t, rows_that_are_elsewhere_are_told_as_gaps);
    suite_add_tcase(s, t);
    return run_suite(s);
}
