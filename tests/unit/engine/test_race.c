/* Lost races run again; names stay unique; limits of queue and answer. */
#include <event2/event.h>

#include "tests/unit/engine/fixture.h"

START_TEST(one_winner)
{
    const char *uid = new_key(rig.alice, NULL);
    struct sent sent[4];
    for (int i = 0; i < 4; i++) {
        struct kmip_request *rq = request_new(V2_1, 1);
        by_uid(rq, 0, KMIP_OP_ACTIVATE, uid);
        send_request(rig.alice, rq, &sent[i]); /* all in one turn: all load the same version */
    }
    unsigned won = 0, late = 0;
    for (int i = 0; i < 4; i++) {
        wait_for(&sent[i]);
        won += sent[i].answer->items[0].result_status == KMIP_STATUS_SUCCESS;
        late += sent[i].answer->items[0].result_reason == KMIP_REASON_WRONG_KEY_LIFECYCLE_STATE;
        buf_free(&sent[i].raw);
    }
    ck_assert_uint_eq(won, 1);
    ck_assert_uint_eq(late, 3);
    struct engine_stats stats;
    engine_get_stats(rig.engine, &stats);
    ck_assert_uint_ge(stats.reruns, 3);
    ck_assert_uint_eq(stats.pending, 0);
    /* One row for each request, whatever was run again. */
    ck_assert_int_eq(
        sql_number("SELECT count(*) FROM audit.key_events('%s') WHERE operation = 'Activate'", uid),
        4);
}
END_TEST

START_TEST(destroyed_is_final)
{
    const char *uid = new_key(rig.alice, NULL);
    struct sent sent[9];
    for (int i = 0; i < 9; i++) {
        struct kmip_request *rq = request_new(V2_1, 1);
        by_uid(rq, 0, i == 4 ? KMIP_OP_DESTROY : KMIP_OP_GET, uid);
        send_request(rig.alice, rq, &sent[i]);
    }
    for (int i = 0; i < 9; i++) {
        wait_for(&sent[i]);
        const struct kmip_response_item *it = &sent[i].answer->items[0];
        ck_assert(it->result_status == KMIP_STATUS_SUCCESS ||
                  it->result_reason == KMIP_REASON_OBJECT_DESTROYED);
        buf_free(&sent[i].raw);
    }
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_GET, uid), KMIP_REASON_OBJECT_DESTROYED);
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_DESTROY, uid), KMIP_REASON_OBJECT_DESTROYED);
}
END_TEST

START_TEST(names_are_unique)
{
    struct sent sent[3];
    for (int i = 0; i < 3; i++) {
        struct kmip_request *rq = request_new(V2_0, 1);
        create_aes(rq, 0, "contested");
        send_request(rig.alice, rq, &sent[i]);
    }
    unsigned won = 0, taken = 0;
    for (int i = 0; i < 3; i++) {
        wait_for(&sent[i]);
        won += sent[i].answer->items[0].result_status == KMIP_STATUS_SUCCESS;
        taken += sent[i].answer->items[0].result_reason == KMIP_REASON_NON_UNIQUE_NAME_ATTRIBUTE;
        buf_free(&sent[i].raw);
    }
    ck_assert_uint_eq(won, 1);
    ck_assert_uint_eq(taken, 2);
    new_key(rig.bob, "contested"); /* another owner's names are not in the way */

    struct kmip_request *rq = request_new(V1_4, 2); /* twice in one request */
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    create_aes(rq, 0, "doubled");
    create_aes(rq, 1, "doubled");
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_INVALID_FIELD);
}
END_TEST

START_TEST(name_is_free_after_destroy)
{
    const char *uid = new_key(rig.alice, "reused");
    struct kmip_request *rq = request_new(V1_4, 2);
    by_uid(rq, 0, KMIP_OP_DESTROY, uid);
    create_aes(rq, 1, "reused");
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_success(r, 1);

    /* Made and destroyed in one request: the name is free at once, and still told. */
    rq = request_new(V1_4, 3);
    create_aes(rq, 0, "short-lived");
    by_uid(rq, 1, KMIP_OP_DESTROY, NULL);
    create_aes(rq, 2, "short-lived");
    r = call(rig.alice, rq);
    for (size_t i = 0; i < 3; i++)
        expect_success(r, i);
    ck_assert_str_eq(sql("SELECT names[1] FROM audit.keys WHERE uid = '%s'", uid_of(r, 0)),
                     "short-lived");
}
END_TEST

START_TEST(busy)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.queue = 3;
    rig_limits(limits);
    struct sent sent[5];
    for (int i = 0; i < 5; i++) {
        struct kmip_request *rq = request_new(i < 4 ? V2_1 : V1_4, 1);
        rq->header->client_correlation_value = bytes_str("busy-test");
        create_aes(rq, 0, NULL);
        send_request(rig.alice, rq, &sent[i]);
    }
    /* A session that has nothing in the engine is served, whoever fills it. */
    struct sent other;
    struct kmip_request *one = request_new(V2_1, 1);
    create_aes(one, 0, NULL);
    send_request(rig.bob, one, &other);
    wait_for(&other);
    expect_success(other.answer, 0);
    buf_free(&other.raw);
    static const uint32_t reasons[] = {0, 0, 0, KMIP_REASON_SERVER_LIMIT_EXCEEDED,
                                       KMIP_REASON_GENERAL_FAILURE};
    for (int i = 0; i < 5; i++) {
        wait_for(&sent[i]);
        ck_assert_uint_eq(sent[i].answer->items[0].result_reason, reasons[i]);
        buf_free(&sent[i].raw);
    }
    ck_assert_int_eq(sql_number("SELECT count(*) FROM audit.events WHERE correlation = 'busy-test'"
                                " AND result = 'Operation Failed'"),
                     2);
    new_key(rig.alice, NULL); /* and then it goes on */
}
END_TEST

START_TEST(too_large)
{
    struct kmip_request *rq = request_new(V1_0, 1);
    rq->header->maximum_response_size = KMIP_NUMBER(256);
    struct kmip_query_request *q = item(rq, 0, KMIP_OP_QUERY);
    uint32_t functions[] = {KMIP_QUERY_QUERY_OPERATIONS, KMIP_QUERY_QUERY_OBJECTS};
    q->query_functions.items = functions;
    q->query_functions.count = 2;
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 0, KMIP_REASON_RESPONSE_TOO_LARGE);
    rq->header->maximum_response_size = KMIP_NUMBER(2048);
    expect_success(call(rig.alice, rq), 0);

    /* What could not be told did not happen. */
    long before = sql_number("SELECT count(*) FROM kmip.object");
    rq = request_new(V1_4, 1);
    rq->header->maximum_response_size = KMIP_NUMBER(192);
    create_aes(rq, 0, NULL);
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_RESPONSE_TOO_LARGE);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object"), before);

    /* What was told before stands. */
    rq = request_new(V1_4, 2);
    rq->header->maximum_response_size = KMIP_NUMBER(360);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    create_aes(rq, 0, NULL);
    by_uid(rq, 1, KMIP_OP_GET, NULL);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_RESPONSE_TOO_LARGE);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object"), before + 1);
}
END_TEST

/* Refusals count, too: together they would be more than the client takes, so the message is refused, whole. */
START_TEST(too_many_refusals)
{
    enum { COUNT = 20, ROOM = 1024 };
    struct sent sent;
    struct kmip_request *rq = request_new(V1_4, COUNT);
    rq->header->maximum_response_size = KMIP_NUMBER(ROOM);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    rq->header->client_correlation_value = bytes_str("many-refusals");
    create_aes(rq, 0, "many-refusals");
    for (size_t i = 1; i < COUNT; i++)
        by_uid(rq, i, KMIP_OP_GET, "nothing");
    send_request(rig.alice, rq, &sent);
    wait_for(&sent);
    ck_assert_uint_le(sent.raw.len, ROOM);
    ck_assert_uint_eq(sent.answer->count, 1);
    expect_failed(sent.answer, 0, KMIP_REASON_RESPONSE_TOO_LARGE);
    ck_assert(!sent.closed);
    buf_free(&sent.raw);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.name WHERE value = 'many-refusals'"), 0);
    ck_assert_str_eq(sql("SELECT reason FROM audit.events WHERE correlation = 'many-refusals'"), "Response Too Large");
    rq->header->maximum_response_size = KMIP_NUMBER(COUNT * ROOM);
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert_uint_eq(r->count, COUNT);
    expect_success(r, 0);
}
END_TEST

/* Two functions of Query; the size of the answer in *size, its reason returned. */
static uint32_t answered_in(struct kmip_request *rq, size_t *size)
{
    struct sent sent;
    send_request(rig.alice, rq, &sent);
    wait_for(&sent);
    *size = sent.raw.len;
    uint32_t reason = sent.answer->items[0].result_reason;
    buf_free(&sent.raw);
    return reason;
}

/* The server's limit and the client's: an answer of just that size leaves, one of a byte more does
 * not. */
START_TEST(an_answer_may_fill_its_limit)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    struct kmip_query_request *q = item(rq, 0, KMIP_OP_QUERY);
    uint32_t functions[] = {KMIP_QUERY_QUERY_OPERATIONS, KMIP_QUERY_QUERY_OBJECTS};
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    size_t size, refused;
    q->query_functions.items = functions;
    q->query_functions.count = 2;
    ck_assert_uint_eq(answered_in(rq, &size), 0);
    for (size_t less = 0; less < 2; less++) {
        uint32_t want = less ? KMIP_REASON_RESPONSE_TOO_LARGE : 0;
        limits.response_bytes = size - less;
        rig_limits(limits);
        ck_assert_uint_eq(answered_in(rq, &refused), want);
        rig_limits(ENGINE_LIMITS_DEFAULT);
        rq->header->maximum_response_size = KMIP_NUMBER((int64_t)(size - less));
        ck_assert_uint_eq(answered_in(rq, &refused), want);
        rq->header->maximum_response_size = (struct kmip_number){0};
    }
}
END_TEST

static void must_not(void *arg, struct buf *answer, bool close)
{
    (void)arg, (void)answer, (void)close;
    ck_abort_msg("an abandoned request was answered");
}

START_TEST(abandoned)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    rq->header->client_correlation_value = bytes_str("abandoned-test");
    create_aes(rq, 0, NULL);
    struct buf message = BUF_EMPTY;
    ck_assert_int_eq(kmip_request_write(&message, rq), RC_OK);
    struct engine_request *handle = engine_submit(rig.engine, rig.alice, &message, must_not, NULL);
    ck_assert_ptr_nonnull(handle);
    engine_abandon(handle);
    struct engine_stats stats;
    do {
        event_base_loop(rig.base, EVLOOP_ONCE);
        engine_get_stats(rig.engine, &stats);
    } while (stats.pending);
    ck_assert_int_eq(
        sql_number("SELECT count(*) FROM audit.events WHERE correlation = 'abandoned-test'"), 1);
}
END_TEST

/* The engine is closed with requests at every stage: nobody is called, nothing is touched after. */
START_TEST(closed_under_way)
{
    for (int turns = 0; turns < 6; turns++) {
        struct kmip_request *rq = request_new(V1_4, 3);
        for (size_t i = 0; i < 3; i++)
            create_aes(rq, i, NULL);
        struct buf message = BUF_EMPTY;
        ck_assert_int_eq(kmip_request_write(&message, rq), RC_OK);
        struct engine_request *handle =
            engine_submit(rig.engine, rig.alice, &message, must_not, NULL);
        engine_abandon(handle);
        for (int t = 0; t < turns; t++)
            event_base_loop(rig.base, EVLOOP_NONBLOCK);
    }
    /* rig_teardown() closes the engine now */
}
END_TEST

Suite *race_suite(void)
{
    Suite *s = suite_create("race");
    TCase *t = tcase_create("race");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, one_winner);
    tcase_add_test(t, destroyed_is_final);
    tcase_add_test(t, names_are_unique);
    tcase_add_test(t, name_is_free_after_destroy);
    tcase_add_test(t, busy);
    tcase_add_test(t, too_large);
    tcase_add_test(t, too_many_refusals);
    tcase_add_test(t, an_answer_may_fill_its_limit);
    tcase_add_test(t, abandoned);
    tcase_add_test(t, closed_under_way);
    suite_add_tcase(s, t);
    return s;
}
