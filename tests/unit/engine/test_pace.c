/* How fast clients may ask: who is held back, and whom that concerns. The rates themselves are played here. */
#include "server/base/clock.h"
#include "server/engine/request.h"
#include "tests/unit/engine/fixture.h"

enum { WAIT_MS = 400, QUEUE = 4 }; /* of the places in the queue one request may be held back */

/* By so much the coarse clock of the event loop may be behind, and a timer early. */
enum { TICK_MS = 10 };

/* Alice has asked too much, bob has not. */
static int64_t pace(void *arg, const struct uid *client, int64_t per_second)
{
    (void)arg;
    ck_assert_int_eq(per_second, 5);
    return uid_equal(client, &rig.alice->client) ? (int64_t)WAIT_MS * 1000 : 0;
}

static void setup(void)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    rig_setup();
    limits.queue = QUEUE;
    rig_limits(limits);
    rig.engine->pace = pace;
    sql("SELECT policy.bound_add('everyone', 'a test', requests_per_second => 5)");
    ck_assert_int_eq(login(rig.alice), RC_OK);
    ck_assert_int_eq(login(rig.bob), RC_OK);
}

static struct kmip_request *query(void)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    struct kmip_query_request *in = item(rq, 0, KMIP_OP_QUERY);
    in->query_functions.items = ARENA_ARRAY(&rig.arena, 1, uint32_t);
    in->query_functions.items[0] = KMIP_QUERY_QUERY_OPERATIONS;
    in->query_functions.count = 1;
    return rq;
}

START_TEST(who_waits_costs_others_nothing)
{
    struct sent first = {0}, second = {0}, other = {0};
    int64_t began = clock_monotonic_us();
    send_request(rig.alice, query(), &first);
    send_request(rig.alice, query(), &second);
    send_request(rig.bob, query(), &other);
    wait_for(&other);
    ck_assert(!first.ended);
    expect_success(other.answer, 0);
    wait_for(&second);
    ck_assert(bytes_is(second.answer->items[0].result_message, rc_text(RC_BUSY)));
    ck_assert(!first.ended);
    wait_for(&first);
    ck_assert(clock_monotonic_us() - began >= (int64_t)(WAIT_MS - TICK_MS) * 1000);
    expect_success(first.answer, 0);
    buf_free(&first.raw);
    buf_free(&second.raw);
    buf_free(&other.raw);
}
END_TEST

Suite *pace_suite(void)
{
    Suite *s = suite_create("pace");
    TCase *t = tcase_create("pace");
    tcase_set_timeout(t, 60);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, setup, rig_teardown);
    tcase_add_test(t, who_waits_costs_others_nothing);
    suite_add_tcase(s, t);
    return s;
}
