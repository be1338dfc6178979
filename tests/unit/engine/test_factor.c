/* Second factors: which Credentials of a request's header are needed, right, wrong, remembered and forgotten. */
#include <event2/event.h>
#include <stdio.h>

#include "proto/kmip/reason.h"
#include "server/base/clock.h"
#include "server/policy/quirk.h"
#include "server/vault/crypto/scrypt.h"
#include "tests/unit/engine/fixture.h"

enum { DELAY_MS = 60 };

/* Little work, so that the tests do not take long. */
static const struct scrypt_cost cheap = {10, 1, 1};
static const char salt[] = "0123456789abcdef";

static const char *hash_of(const char *password)
{
    uint8_t out[SCRYPT_HASH_BYTES];
    char *text = arena_alloc(&rig.arena, 2 * sizeof out + 1);
    ck_assert_int_eq(scrypt_hash(&cheap, bytes_str(salt), bytes_str(password), out), RC_OK);
    for (size_t i = 0; i < sizeof out; i++)
        snprintf(text + 2 * i, 3, "%02x", out[i]);
    return text;
}

static void password_add(const char *user, const char *password)
{
    sql("SELECT policy.password_add('%s', '%s', '%s', 10, 1, 1, '\\x%s', 'a test')", rig.alice->client_name, user, salt,
        hash_of(password));
}

static void device_add(const char *facts, const char *password)
{
    if (password)
        sql("SELECT policy.device_add('%s', '%s', '%s', 10, 1, 1, '\\x%s', 'a test')", rig.alice->client_name, facts,
            salt, hash_of(password));
    else
        sql("SELECT policy.device_add('%s', '%s', NULL, NULL, NULL, NULL, NULL, 'a test')", rig.alice->client_name,
            facts);
}

static void set_client(const char *what)
{
    sql("UPDATE policy.client SET %s, standing = standing + 1 WHERE name = '%s'", what, rig.alice->client_name);
}

/* The newest audit rows of the client, newest first. */
static const char *last_row(void)
{
    return sql("SELECT concat_ws(':', result, reason, detail) FROM audit.events WHERE client = '%s'"
               " ORDER BY at DESC, seq DESC LIMIT 1",
               rig.alice->client_name);
}

/* ---- requests with credentials ---- */

static struct kmip_request *query(uint16_t version, size_t credentials)
{
    struct kmip_request *rq = request_new(version, 1);
    struct kmip_query_request *in = item(rq, 0, KMIP_OP_QUERY);
    in->query_functions.items = ARENA_ARRAY(&rig.arena, 1, uint32_t);
    in->query_functions.items[0] = KMIP_QUERY_QUERY_OPERATIONS;
    in->query_functions.count = 1;
    if (credentials) {
        struct kmip_authentication *a = KMIP_NEW(&rig.arena, authentication);
        a->credentials.items = ARENA_ARRAY(&rig.arena, credentials, struct kmip_credential);
        a->credentials.count = credentials;
        rq->header->authentication = a;
    }
    return rq;
}

/* NULL: the field is left out. */
static struct bytes text_of(const char *text)
{
    return text ? bytes_of(text, strlen(text)) : BYTES_NONE;
}

static void put_password(struct kmip_request *rq, size_t i, const char *user, const char *password)
{
    struct kmip_credential_password *v = KMIP_NEW(&rig.arena, credential_password);
    v->username = text_of(user);
    v->password = text_of(password);
    rq->header->authentication->credentials.items[i] =
        (struct kmip_credential){KMIP_CREDENTIAL_USERNAME_AND_PASSWORD, v};
}

static void put_device(struct kmip_request *rq, size_t i, const char *serial, const char *id, const char *password)
{
    struct kmip_credential_device *v = KMIP_NEW(&rig.arena, credential_device);
    v->device_serial_number = text_of(serial);
    v->device_identifier = text_of(id);
    v->password = text_of(password);
    rq->header->authentication->credentials.items[i] = (struct kmip_credential){KMIP_CREDENTIAL_DEVICE, v};
}

static struct kmip_response *ask_password(const char *user, const char *password)
{
    struct kmip_request *rq = query(V1_4, 1);
    put_password(rq, 0, user, password);
    return call(rig.alice, rq);
}

static struct kmip_response *ask_device(const char *serial, const char *id, const char *password)
{
    struct kmip_request *rq = query(V1_4, 1);
    put_device(rq, 0, serial, id, password);
    return call(rig.alice, rq);
}

#define expect_refused(r) expect_failed(r, 0, KMIP_REASON_AUTHENTICATION_NOT_SUCCESSFUL)

static uint64_t checks(void)
{
    struct engine_stats stats;
    engine_get_stats(rig.engine, &stats);
    return stats.factor_checks;
}

static void setup(void)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    rig_setup();
    limits.factor_delay_ms = DELAY_MS;
    rig_limits(limits);
}

/* ---- tests ---- */

START_TEST(what_nobody_registered_is_overlooked)
{
    expect_success(ask_password("anybody", "anything"), 0);
    expect_success(ask_password("", NULL), 0);
    ck_assert_uint_eq(checks(), 0);
}
END_TEST

START_TEST(a_needed_factor_must_be_there_and_right)
{
    password_add("array", "open sesame");
    set_client("second_factor = true");
    expect_refused(call(rig.alice, query(V1_4, 0)));
    ck_assert_str_eq(last_row(), "Operation Failed:Authentication Not Successful:there is no second factor");
    static const struct {
        const char *user, *password;
    } wrong[] = {{"array", "open sesam"}, {"arraz", "open sesame"}, {"array", ""}, {"array", NULL}, {"", ""}};
    struct kmip_response *first = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t began = clock_monotonic_us();
        struct kmip_response *r = ask_password(wrong[i].user, wrong[i].password);
        expect_refused(r);
        ck_assert_int_ge(clock_monotonic_us() - began, DELAY_MS * 900); /* timers are of a millisecond or so */
        ck_assert_str_eq(last_row(), "Operation Failed:Authentication Not Successful:the second factor is wrong");
        first = first ? first : r;
        ck_assert(bytes_equal(r->items[0].result_message, first->items[0].result_message));
    }
    expect_success(ask_password("array", "open sesame"), 0);
    ck_assert_str_eq(last_row(), "Success");
    uint64_t so_far = checks();
    expect_success(ask_password("array", "open sesame"), 0); /* remembered */
    ck_assert_uint_eq(checks(), so_far);
    expect_refused(ask_password("array", "open sesamE")); /* but not what is like it */
    expect_refused(call(rig.alice, query(V1_4, 0)));
    expect_success(call(rig.bob, query(V1_4, 0)), 0); /* not asked for it */
}
END_TEST

START_TEST(a_factor_that_is_not_needed_must_be_right_all_the_same)
{
    password_add("array", "open sesame");
    expect_success(call(rig.alice, query(V1_4, 0)), 0);
    expect_success(ask_password("array", "open sesame"), 0);
    expect_refused(ask_password("array", "wrong"));
}
END_TEST

START_TEST(all_items_of_a_batch_are_refused_in_each_version)
{
    set_client("second_factor = true");
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct kmip_request *rq = request_new(kmip_versions[v], 2);
        item(rq, 0, KMIP_OP_DISCOVER_VERSIONS);
        item(rq, 1, KMIP_OP_DISCOVER_VERSIONS);
        rq->header->batch_error_continuation_option = KMIP_BATCH_STOP;
        struct kmip_response *r = call(rig.alice, rq);
        ck_assert_uint_eq(r->count, 2);
        expect_refused(r);
        expect_failed(r, 1, KMIP_REASON_AUTHENTICATION_NOT_SUCCESSFUL);
    }
}
END_TEST

START_TEST(a_change_holds_at_the_next_request)
{
    password_add("array", "the first");
    set_client("second_factor = true");
    expect_success(ask_password("array", "the first"), 0);
    password_add("array", "the second");
    expect_refused(ask_password("array", "the first"));
    expect_success(ask_password("array", "the second"), 0);
    sql("SELECT policy.factor_remove(id, 'a test') FROM policy.factors WHERE client = '%s'", rig.alice->client_name);
    expect_refused(ask_password("array", "the second"));
    set_client("second_factor = false");
    expect_success(call(rig.alice, query(V1_4, 0)), 0);
}
END_TEST

START_TEST(a_device_is_known_by_the_facts_that_are_registered)
{
    device_add("{\"DeviceSerialNumber\": \"S-1\", \"DeviceIdentifier\": \"shelf 4\"}", NULL);
    device_add("{\"DeviceSerialNumber\": \"S-2\"}", "pass");
    set_client("second_factor = true");
    expect_success(ask_device("S-1", "shelf 4", NULL), 0);
    expect_success(ask_device("S-1", "shelf 4", "whatever"), 0);
    expect_refused(ask_device("S-1", NULL, NULL));
    expect_refused(ask_device("S-1", "shelf 5", NULL));
    expect_refused(ask_device(NULL, NULL, NULL));
    expect_success(ask_device("S-2", "any shelf", "pass"), 0);
    expect_refused(ask_device("S-2", NULL, NULL));
    expect_refused(ask_device("S-2", NULL, "Pass"));
    expect_refused(ask_device("S-3", NULL, "pass"));
    expect_refused(ask_password("S-2", "pass")); /* another kind */
}
END_TEST

START_TEST(all_of_several_must_be_right)
{
    static const struct {
        const char *password, *serial;
        bool right;
    } cases[] = {{"open", "S-1", true}, {"open", "S-2", false}, {"wrong", "S-1", false}};
    password_add("array", "open");
    device_add("{\"DeviceSerialNumber\": \"S-1\"}", NULL);
    set_client("second_factor = true");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kmip_request *rq = query(V2_1, 2);
        put_password(rq, 0, "array", cases[i].password);
        put_device(rq, 1, cases[i].serial, NULL, NULL);
        if (cases[i].right)
            expect_success(call(rig.alice, rq), 0);
        else
            expect_refused(call(rig.alice, rq));
    }
    struct kmip_request *many = query(V2_1, FACTOR_CREDENTIALS + 1);
    for (size_t i = 0; i <= FACTOR_CREDENTIALS; i++)
        put_password(many, i, "array", "open");
    expect_failed(call(rig.alice, many), 0, kmip_reason(RC_TOO_MANY, V2_1));
}
END_TEST

START_TEST(other_kinds_of_credentials_are_wrong)
{
    struct kmip_request *rq = query(V2_1, 1);
    struct kmip_credential_one_time_password *v = KMIP_NEW(&rig.arena, credential_one_time_password);
    password_add("array", "open");
    v->username = bytes_str("array");
    v->password = bytes_str("open");
    v->one_time_password = bytes_str("123456");
    rq->header->authentication->credentials.items[0] = (struct kmip_credential){KMIP_CREDENTIAL_ONE_TIME_PASSWORD, v};
    expect_refused(call(rig.alice, rq));
}
END_TEST

START_TEST(empty_values_are_a_quirk)
{
    password_add("array", "open");
    expect_refused(ask_password("", ""));
    set_client("quirks = '{empty-credentials}'");
    expect_success(ask_password("", ""), 0);
    expect_success(ask_password("", NULL), 0);
    expect_refused(ask_password("array", ""));
    expect_refused(ask_password("nobody", ""));
    set_client("second_factor = true");
    expect_refused(ask_password("", ""));
    ck_assert_str_eq(last_row(), "Operation Failed:Authentication Not Successful:the second factor is empty");
    password_add("", "");
    password_add("blank", "");
    expect_success(ask_password("", NULL), 0);
    expect_success(ask_password("blank", ""), 0);
    set_client("quirks = '{}'");
    expect_refused(ask_password("", NULL));
    expect_refused(ask_password("blank", ""));
}
END_TEST

START_TEST(a_password_has_at_most_1024_bytes)
{
    char *longest = arena_alloc(&rig.arena, 1100);
    memset(longest, 'x', 1024);
    password_add("long", longest);
    expect_success(ask_password("long", longest), 0);
    longest[1024] = 'x'; /* one more is not the same */
    expect_refused(ask_password("long", longest));
}
END_TEST

START_TEST(too_many_wrong_ones_are_not_looked_at)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.factor_delay_ms = 0;
    rig_limits(limits);
    password_add("array", "open");
    expect_success(ask_password("array", "open"), 0);
    for (int i = 0; i < 10; i++)
        expect_refused(ask_password(i % 2 ? "array" : "nobody", arena_fmt(&rig.arena, "wrong %d", i)));
    expect_refused(ask_password("array", "one more"));
    ck_assert_str_eq(last_row(), "Operation Failed:Authentication Not Successful:too many wrong passwords: it was not"
                                 " looked at");
    expect_success(call(rig.bob, query(V1_4, 0)), 0);
    struct session *other = session_new(rig.alice->issuer, rig.alice->serial, rig.alice->fingerprint, "192.0.2.9:1");
    ck_assert_int_eq(session_add_name(other, "uri", rig.alice->names[0].value), RC_OK);
    ck_assert_int_eq(login(other), RC_OK);
    struct kmip_request *rq = query(V1_4, 1);
    put_password(rq, 0, "array", "open");
    expect_refused(call(other, rq)); /* right, but one of too many */
    session_drop(other);
}
END_TEST

START_TEST(what_many_bring_at_once_is_looked_at_once)
{
    enum { MANY = 20 };
    struct sent right[MANY], wrong[6];
    password_add("array", "open");
    ck_assert_int_eq(login(rig.alice), RC_OK);
    struct kmip_request *rq = query(V1_4, 1);
    put_password(rq, 0, "array", "open");
    for (size_t i = 0; i < MANY; i++)
        send_request(rig.alice, rq, &right[i]);
    for (size_t i = 0; i < 6; i++) {
        struct kmip_request *other = query(V1_4, 1);
        put_password(other, 0, "array", arena_fmt(&rig.arena, "wrong %zu", i));
        send_request(rig.alice, other, &wrong[i]);
    }
    unsigned busy = 0;
    for (size_t i = 0; i < MANY; i++) {
        wait_for(&right[i]);
        expect_success(right[i].answer, 0);
        buf_free(&right[i].raw);
    }
    for (size_t i = 0; i < 6; i++) {
        wait_for(&wrong[i]);
        busy += wrong[i].answer->items[0].result_reason == kmip_reason(RC_BUSY, V1_4);
        ck_assert_uint_ne(wrong[i].answer->items[0].result_status, KMIP_STATUS_SUCCESS);
        buf_free(&wrong[i].raw);
    }
    ck_assert_uint_eq(busy, 3); /* four different ones at once */
    ck_assert_uint_eq(checks(), 4);
}
END_TEST

START_TEST(an_engine_that_ends_lets_all_go)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    struct sent sent[2];
    limits.factor_delay_ms = 60000;
    rig_limits(limits);
    password_add("array", "open");
    ck_assert_int_eq(login(rig.alice), RC_OK);
    struct kmip_request *rq = query(V1_4, 1);
    put_password(rq, 0, "array", "wrong");
    send_request(rig.alice, rq, &sent[0]);
    int64_t until = clock_monotonic_us() + 500000; /* by then it waits for its delay */
    while (clock_monotonic_us() < until)
        event_base_loop(rig.base, EVLOOP_ONCE);
    ck_assert(!sent[0].ended);
    rq = query(V1_4, 1);
    put_password(rq, 0, "array", "wrong again");
    send_request(rig.alice, rq, &sent[1]); /* and this for the database */
    event_base_loop(rig.base, EVLOOP_ONCE);
    ck_assert(!sent[1].ended); /* the fixture ends the engine; leaks are told by the sanitizers */
}
END_TEST

START_TEST(without_a_vault_nobody_is_let_in)
{
    password_add("array", "open");
    set_client("second_factor = true");
    engine_set_vault(rig.engine, NULL);
    expect_failed(ask_password("array", "open"), 0, kmip_reason(RC_UNAVAILABLE, V1_4));
    ck_assert_str_eq(last_row(), "Operation Failed:General Failure:the second factor could not be looked at");
    engine_set_vault(rig.engine, rig.vault);
    expect_success(ask_password("array", "open"), 0);
}
END_TEST

START_TEST(the_old_door_is_for_those_who_may)
{
    rig.alice->legacy = true;
    ck_assert_int_eq(login(rig.alice), RC_AUTH_FAILED);
    int64_t until = clock_monotonic_us() + 10 * INT64_C(1000000);
    while (strcmp(last_row(),
                  "Operation Failed:Authentication Not Successful:the client may not use the listener for old"
                  " cipher suites") != 0 &&
           clock_monotonic_us() < until)
        event_base_loop(rig.base, EVLOOP_ONCE);
    ck_assert_int_lt(clock_monotonic_us(), until);
    set_client("legacy_tls = true");
    ck_assert_int_eq(login(rig.alice), RC_OK);
    expect_success(call(rig.alice, query(V1_4, 0)), 0);
    set_client("legacy_tls = false");
    struct sent sent;
    send_request(rig.alice, query(V1_4, 0), &sent);
    wait_for(&sent);
    ck_assert(sent.closed && sent.raw.len == 0);
}
END_TEST

START_TEST(batch_count_is_a_quirk)
{
    struct kmip_request *rq = request_new(V1_0, 2);
    AUTO_BUF message = BUF_EMPTY;
    struct sent sent;
    by_uid(rq, 0, KMIP_OP_GET, "no such object");
    by_uid(rq, 1, KMIP_OP_GET, "no such object");
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    ck_assert_int_eq(kmip_request_write(&message, rq), RC_OK);
    for (size_t i = 0; i + 12 <= message.len; i += 8)
        if (load_be32(message.data + i) >> 8 == KMIP_TAG_BATCH_COUNT)
            message.data[i + 11] = 1;
    for (int with = 0; with < 2; with++) {
        if (with)
            set_client("quirks = '{any-batch-count}'");
        ck_assert_int_eq(login(rig.alice), RC_OK);
        send_bytes(rig.alice, buf_view(&message), &sent);
        wait_for(&sent);
        buf_free(&sent.raw);
        ck_assert_uint_eq(sent.answer->count, with ? 2 : 1);
        expect_failed(sent.answer, 0, with ? KMIP_REASON_ITEM_NOT_FOUND : KMIP_REASON_INVALID_MESSAGE);
    }
}
END_TEST

START_TEST(quirks_are_those_of_the_database)
{
    for (unsigned q = 0; q < QUIRK_COUNT; q++) {
        const char *name = quirk_text((enum quirk)q);
        ck_assert_int_eq(sql_number("SELECT count(*) FROM policy.quirk WHERE name = '%s'", name), 1);
        set_client(arena_fmt(&rig.arena, "quirks = '{unknown,%s}'", name));
        ck_assert_int_eq(login(rig.alice), RC_OK);
        ck_assert_uint_eq(rig.alice->quirks, 1u << q);
    }
    ck_assert_int_eq(sql_number("SELECT count(*) FROM policy.quirk"), QUIRK_COUNT);
    set_client("quirks = '{}'");
    ck_assert_int_eq(login(rig.alice), RC_OK);
    ck_assert_uint_eq(rig.alice->quirks, 0);
    ck_assert_ptr_null(quirk_text(QUIRK_COUNT));
}
END_TEST

Suite *factor_suite(void)
{
    Suite *s = suite_create("factor");
    TCase *t = tcase_create("factor");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, setup, rig_teardown);
    tcase_add_test(t, what_nobody_registered_is_overlooked);
    tcase_add_test(t, a_needed_factor_must_be_there_and_right);
    tcase_add_test(t, a_factor_that_is_not_needed_must_be_right_all_the_same);
    tcase_add_test(t, all_items_of_a_batch_are_refused_in_each_version);
    tcase_add_test(t, a_change_holds_at_the_next_request);
    tcase_add_test(t, a_device_is_known_by_the_facts_that_are_registered);
    tcase_add_test(t, all_of_several_must_be_right);
    tcase_add_test(t, other_kinds_of_credentials_are_wrong);
    tcase_add_test(t, empty_values_are_a_quirk);
    tcase_add_test(t, a_password_has_at_most_1024_bytes);
    tcase_add_test(t, too_many_wrong_ones_are_not_looked_at);
    tcase_add_test(t, what_many_bring_at_once_is_looked_at_once);
    tcase_add_test(t, an_engine_that_ends_lets_all_go);
    tcase_add_test(t, without_a_vault_nobody_is_let_in);
    tcase_add_test(t, the_old_door_is_for_those_who_may);
    tcase_add_test(t, batch_count_is_a_quirk);
    tcase_add_test(t, quirks_are_those_of_the_database);
    suite_add_tcase(s, t);
    return s;
}
