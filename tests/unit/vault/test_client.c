/* The workers' stub: many calls in one write, answers in any order, deadlines, a channel lost and
 * replaced. */
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/vault/client.h"
#include "server/vault/wire.h"
#include "tests/unit/vault/vault_tests.h"

static struct event_base *base;
static struct vault_client *client;
static int vault_end;
static unsigned answers;
static rc_t results[64];
static char plains[64][16];

static int connect_pair(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    vault_client_set_channel(client, ends[0]);
    return ends[1];
}

static void setup(void)
{
    const struct vault_client_config cfg = {.call_ms = 150, .slow_ms = 600, .waiting_max = 40};
    base = event_base_new();
    ck_assert_int_eq(vault_client_new(base, &cfg, &client), RC_OK);
    answers = 0;
    vault_end = -1;
}

static void teardown(void)
{
    vault_client_free(client);
    if (vault_end >= 0)
        close(vault_end);
    event_base_free(base);
}

static void done(void *arg, const struct vault_reply *reply)
{
    size_t i = (size_t)(uintptr_t)arg;
    results[i] = reply->rc;
    snprintf(plains[i], sizeof plains[i], "%.*s", (int)reply->plain.len,
             reply->plain.data ? (const char *)reply->plain.data : "");
    answers++;
}

static rc_t call(size_t i)
{
    struct vault_call c = {.op = VAULT_GET, .domain = 1, .control = sample_control()};
    results[i] = RC_COUNT;
    c.control.version = i + 1;
    return vault_client_call(client, &c, NULL, done, (void *)(uintptr_t)i);
}

/* The vault's side by hand: reads all that is there, answers `count` of them from the last to the
 * first. */
static size_t serve(int fd, size_t count)
{
    static uint8_t in[1 << 20];
    ssize_t n = recv(fd, in, sizeof in, MSG_DONTWAIT);
    uint64_t ids[64], versions[64];
    size_t calls = 0;
    for (ssize_t at = 0; at < n; at += FRAME_HEADER_BYTES + (ssize_t)load_be32(in + at)) {
        ids[calls] = load_be64(in + at + 8);
        versions[calls++] = load_be64(in + at + FRAME_HEADER_BYTES + 8 + 16);
    }
    struct frame_writer w = {BUF_EMPTY, 0};
    for (size_t i = calls; i-- > 0 && count > 0; count--) {
        char text[16];
        snprintf(text, sizeof text, "key %u", (unsigned)versions[i]);
        const struct vault_reply r = {.rc = RC_OK, .plain = bytes_str(text)};
        ck_assert_int_eq(vault_reply_write(&w, VAULT_GET, ids[i], &r), RC_OK);
    }
    ck_assert_int_eq(frame_flush(&w, fd), RC_OK);
    frame_writer_free(&w);
    return calls;
}

static void run_ms(int ms)
{
    struct timeval tv = {0, ms * 1000};
    event_base_loopexit(base, &tv);
    event_base_dispatch(base);
}

START_TEST(calls_leave_in_one_write_and_answers_find_their_callers)
{
    vault_end = connect_pair();
    for (size_t i = 0; i < 30; i++)
        ck_assert_int_eq(call(i), RC_OK);
    vault_client_flush(client);
    ck_assert_uint_eq(answers, 0);
    ck_assert_uint_eq(serve(vault_end, 30), 30); /* all of them were in that one write */
    run_ms(20);
    ck_assert_uint_eq(answers, 30);
    for (size_t i = 0; i < 30; i++) {
        char want[16];
        snprintf(want, sizeof want, "key %u", (unsigned)i + 1);
        ck_assert_int_eq(results[i], RC_OK);
        ck_assert_str_eq(plains[i], want);
    }
}
END_TEST

START_TEST(calls_are_flushed_at_the_end_of_the_turn_by_themselves)
{
    vault_end = connect_pair();
    ck_assert_int_eq(call(0), RC_OK);
    run_ms(10);
    ck_assert_uint_eq(serve(vault_end, 1), 1);
    run_ms(10);
    ck_assert_uint_eq(answers, 1);
}
END_TEST

START_TEST(an_unanswered_call_times_out_and_a_late_answer_finds_nobody)
{
    vault_end = connect_pair();
    ck_assert_int_eq(call(0), RC_OK);
    run_ms(250);
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(results[0], RC_TIMEOUT);
    ck_assert_int_eq(call(1), RC_OK); /* takes the same slot */
    ck_assert_uint_eq(serve(vault_end, 1),
                      1); /* answers the late one; the new one is not flushed yet */
    run_ms(20);
    ck_assert_uint_eq(answers, 1);
    ck_assert_uint_eq(serve(vault_end, 1), 1);
    run_ms(20);
    ck_assert_int_eq(results[1], RC_OK);
}
END_TEST

START_TEST(a_slow_call_has_a_deadline_of_its_own)
{
    struct vault_call pair = {.op = VAULT_GENERATE_PAIR,
                              .domain = 1,
                              .control = sample_control(),
                              .control_public = sample_control()};
    vault_end = connect_pair();
    results[0] = RC_COUNT;
    ck_assert_int_eq(vault_client_call(client, &pair, NULL, done, NULL), RC_OK);
    run_ms(20);
    ck_assert_int_eq(call(1), RC_OK); /* made later, expires sooner */
    run_ms(250);
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(results[1], RC_TIMEOUT);
    ck_assert_int_eq(results[0], RC_COUNT);
    run_ms(450);
    ck_assert_uint_eq(answers, 2);
    ck_assert_int_eq(results[0], RC_TIMEOUT);
    ck_assert_int_eq(vault_client_call(client, &pair, NULL, done, NULL), RC_OK);
    ck_assert_int_eq(call(1), RC_OK);
    close(vault_end); /* a lost vault is told to both at once */
    vault_end = -1;
    run_ms(20);
    ck_assert_uint_eq(answers, 4);
    ck_assert_int_eq(results[0], RC_UNAVAILABLE);
    ck_assert_int_eq(results[1], RC_UNAVAILABLE);
}
END_TEST

START_TEST(a_lost_vault_fails_what_is_in_flight_and_a_new_channel_serves)
{
    ck_assert_int_eq(call(0), RC_UNAVAILABLE); /* no channel yet */
    vault_end = connect_pair();
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(call(i), RC_OK);
    vault_client_flush(client);
    close(vault_end);
    run_ms(20);
    ck_assert_uint_eq(answers, 10);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(results[i], RC_UNAVAILABLE);
    ck_assert(!vault_client_connected(client));
    vault_end = connect_pair();
    ck_assert_int_eq(call(11), RC_OK);
    vault_client_flush(client);
    ck_assert_uint_eq(serve(vault_end, 1), 1);
    run_ms(20);
    ck_assert_int_eq(results[11], RC_OK);
    ck_assert_int_eq(call(12), RC_OK); /* replaced before it was lost */
    int old_end = vault_end;
    vault_end = connect_pair();
    close(old_end);
    run_ms(20);
    ck_assert_int_eq(results[12], RC_UNAVAILABLE);
}
END_TEST

START_TEST(calls_are_bounded)
{
    vault_end = connect_pair();
    for (size_t i = 0; i < 40; i++)
        ck_assert_int_eq(call(i), RC_OK);
    ck_assert_int_eq(call(41), RC_BUSY);
    vault_client_flush(client);
    serve(vault_end, 40);
    run_ms(20);
    ck_assert_uint_eq(answers, 40);
    ck_assert_int_eq(call(41), RC_OK);
}
END_TEST

START_TEST(a_malformed_answer_ends_the_channel)
{
    static const uint8_t junk[FRAME_HEADER_BYTES] = {0, 0, 0, 0, 0xFF};
    vault_end = connect_pair();
    ck_assert_int_eq(call(0), RC_OK);
    vault_client_flush(client);
    ck_assert_int_eq(write(vault_end, junk, sizeof junk), sizeof junk);
    run_ms(20);
    ck_assert_int_eq(results[0], RC_UNAVAILABLE);
    ck_assert(!vault_client_connected(client));
}
END_TEST

TCase *client_tests(void)
{
    TCase *t = tcase_create("client");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, calls_leave_in_one_write_and_answers_find_their_callers);
    tcase_add_test(t, calls_are_flushed_at_the_end_of_the_turn_by_themselves);
    tcase_add_test(t, an_unanswered_call_times_out_and_a_late_answer_finds_nobody);
    tcase_add_test(t, a_slow_call_has_a_deadline_of_its_own);
    tcase_add_test(t, a_lost_vault_fails_what_is_in_flight_and_a_new_channel_serves);
    tcase_add_test(t, calls_are_bounded);
    tcase_add_test(t, a_malformed_answer_ends_the_channel);
    return t;
}
