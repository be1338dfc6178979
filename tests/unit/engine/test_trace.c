/* What a trace tells of requests that the answer does not: lost races, what is forbidden, the database's absence. */
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/trace.h"
#include "tests/unit/engine/fixture.h"

static struct trace trace;
static int end;

static void setup(void)
{
    int ends[2];
    rig_setup();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    end = ends[1];
    char whom[300];
    snprintf(whom, sizeof whom, "client:%s", rig.alice->client_name);
    ck_assert_int_eq(trace_begin(&trace, 1, false, bytes_str(whom), ends[0]), RC_OK);
    engine_set_trace(rig.engine, &trace);
}

static void teardown(void)
{
    engine_set_trace(rig.engine, NULL);
    trace_end_all(&trace);
    close(end);
    rig_teardown();
}

/* All that was told since the last look. */
static const char *told(void)
{
    static char text[1 << 18];
    size_t len = 0;
    ssize_t n;
    while (len < sizeof text - TRACE_BLOCK_MAX - 1 && (n = recv(end, text + len, TRACE_BLOCK_MAX, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    text[len] = 0;
    return text;
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

START_TEST(lost_races_are_told)
{
    const char *uid = new_key(rig.alice, NULL);
    struct sent sent[4];
    told();
    for (int i = 0; i < 4; i++) {
        struct kmip_request *rq = request_new(V2_1, 1);
        by_uid(rq, 0, KMIP_OP_ACTIVATE, uid);
        send_request(rig.alice, rq, &sent[i]);
    }
    for (int i = 0; i < 4; i++) {
        wait_for(&sent[i]);
        buf_free(&sent[i].raw);
    }
    const char *text = told();
    ck_assert_uint_eq(count(text, " request: KMIP 2.1, Activate, "), 4);
    ck_assert_uint_eq(count(text, " answer: KMIP 2.1, Activate, "), 4);
    ck_assert_uint_ge(count(text, " times: others changed the same objects meanwhile\n"), 1);
    ck_assert_uint_eq(count(text, "\n  item 0, Activate: the object's state does not allow this (RC_WRONG_STATE)\n"),
                      3);
}
END_TEST

START_TEST(others_are_not_told_of)
{
    const char *uid = new_key(rig.alice, "traced");
    told();
    ck_assert_uint_ne(run_one(rig.bob, V1_4, KMIP_OP_GET, uid), 0);
    ck_assert_str_eq(told(), "");
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET, uid), 0);
    const char *text = told();
    ck_assert_uint_eq(count(text, "Key Value: (Structure, 40 bytes)\n"), 1);
    ck_assert_uint_eq(count(text, uid), 2);
}
END_TEST

/* Missing and forbidden are one answer, but not to who watches: the rules say why. */
START_TEST(what_the_rules_say_is_told)
{
    const char *theirs = new_key(rig.bob, "untraced");
    told();
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_GET, theirs), KMIP_REASON_OBJECT_NOT_FOUND);
    ck_assert_uint_eq(count(told(), "(RC_NOT_FOUND), \"no rule permits\"\n"), 1);
}
END_TEST

START_TEST(a_batch_tells_each_item_that_failed)
{
    struct kmip_request *rq = request_new(V1_2, 3);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    by_uid(rq, 0, KMIP_OP_GET, "0190b6f2-7d1e-7abc-8def-0123456789ab");
    create_aes(rq, 1, NULL);
    by_uid(rq, 2, KMIP_OP_DESTROY, "no identifier");
    told();
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert_uint_eq(r->count, 3);
    const char *text = told();
    ck_assert_uint_eq(count(text, "KMIP 1.2, Get, Create, Destroy, "), 2);
    ck_assert_uint_eq(count(text, "\n  item 0, Get: no such object (RC_NOT_FOUND)"), 1);
    ck_assert_uint_eq(count(text, "\n  item 1, "), 0);
    ck_assert_uint_eq(count(text, "\n  item 2, Destroy: no such object (RC_NOT_FOUND)"), 1);
}
END_TEST

START_TEST(what_is_no_message_is_told_with_its_reason)
{
    static const uint8_t broken[] = {0x42, 0x00, 0x78, 1, 0, 0, 0, 8, 0x42, 0x00, 0x77, 1, 0, 0, 0, 96};
    struct sent sent;
    send_bytes(rig.alice, bytes_of(broken, sizeof broken), &sent);
    wait_for(&sent);
    buf_free(&sent.raw);
    const char *text = told();
    ck_assert_uint_eq(count(text, "\n  (an item runs past the end of the message)\n"), 1);
    ck_assert_uint_eq(count(text, "\n  an item runs past the end of the message\n"), 1);
    ck_assert_uint_eq(count(text, "\n  the connection is closed\n"), 1);
}
END_TEST

Suite *trace_suite(void)
{
    Suite *s = suite_create("trace");
    TCase *c = tcase_create("trace");
    tcase_add_unchecked_fixture(c, rig_once, NULL);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, lost_races_are_told);
    tcase_add_test(c, others_are_not_told_of);
    tcase_add_test(c, what_the_rules_say_is_told);
    tcase_add_test(c, a_batch_tells_each_item_that_failed);
    tcase_add_test(c, what_is_no_message_is_told_with_its_reason);
    suite_add_tcase(s, c);
    return s;
}
