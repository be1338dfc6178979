/* The way of requests and answers: framing, order, pipelining, half close, drain. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>
#include <openssl/err.h>

#include "tests/unit/net/rig.h"

static const struct {
    const char *why, *bytes;
    size_t len;
    bool answered; /* with what the engine says about the header alone */
} garbage[] = {
    {"HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, false},
    {"response instead of request",
     "\x42\x00\x7b\x01\0\0\0\x08"
     "12345678",
     16, false},
    {"wrong type",
     "\x42\x00\x78\x02\0\0\0\x08"
     "12345678",
     16, false},
    {"zeros", "\0\0\0\0\0\0\0\0", 8, false},
    {"length not a multiple of 8", "\x42\x00\x78\x01\0\0\0\x09", 8, true},
    {"a little too large", "\x42\x00\x78\x01\0\x10\0\0", 8, true},
    {"huge", "\x42\x00\x78\x01\xff\xff\xff\xf8", 8, true},
};

START_TEST(garbage_gets_at_most_one_answer)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    request_make(request, 5, 0, 0);
    client_send(&c, request, sizeof request); /* the good one before it is answered */
    client_send(&c, garbage[_i].bytes, garbage[_i].len);
    request_make(request, 6, 0, 0);
    client_send(&c, request, sizeof request); /* nothing after it is read */
    client_answer(&c, 5, 0);
    if (garbage[_i].answered)
        client_answer(&c, 0xffffffff, 0);
    ck_assert(client_ended(&c));
    ck_assert(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN); /* a clean end, not a reset */
    ck_assert_uint_eq(rig_echo().headers_only, garbage[_i].answered);
    ck_assert_uint_eq(rig_stats().bad_frames, 1);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    request_make(request, 77, 40, 0);
    for (size_t i = 0; i < sizeof request; i++)
        client_send(&c, request + i, 1);
    client_answer(&c, 77, 40);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(the_largest_request_is_taken)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.net.request_bytes = 300000;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    uint8_t *request = calloc(1, 300000);
    request_make(request, 3, 0, 0);
    store_be32(request + 4, 300000 - 8);
    client_send(&c, request, 300000);
    client_answer(&c, 3, 0);
    client_send(&c, request, 150000); /* and in two parts, with something behind */
    sleep_ms(20);
    client_send(&c, request + 150000, 150000);
    client_answer(&c, 3, 0);
    client_echo(&c, 4);
    store_be32(request + 4,
               300000); /* eight bytes more: its head is answered, the rest not awaited */
    client_send(&c, request, 8);
    client_answer(&c, 0xffffffff, 0);
    ck_assert(client_ended(&c));
    free(request);
    client_close(&c);
    rig_stop();
}
END_TEST

static void pipeline(struct client *c, unsigned count, uint32_t answer_bytes)
{
    uint8_t *all = malloc((size_t)count * REQUEST_BYTES);
    for (unsigned i = 0; i < count; i++)
        request_make(all + (size_t)i * REQUEST_BYTES, i, answer_bytes, 0);
    client_send(c, all, (size_t)count * REQUEST_BYTES);
    free(all);
}

START_TEST(answers_keep_the_order_of_requests)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.mode = ECHO_REVERSED;
    options.echo_group = 16;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    pipeline(&c, 16, 100);
    for (uint32_t i = 0; i < 16; i++)
        client_answer(&c, i, 100);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(no_more_than_the_limit_is_in_flight)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.mode = ECHO_HELD;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    pipeline(&c, 40, 8);
    sleep_ms(150);
    ck_assert_uint_eq(rig_echo().waiting, 16);
    rig_release();
    for (uint32_t i = 0; i < 40; i++)
        client_answer(&c, i, 8);
    client_echo(&c, 1000);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_thousand_requests_in_one_piece)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.mode = _i ? ECHO_AT_ONCE : ECHO_NOW;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    pipeline(&c, 1000, 16);
    for (uint32_t i = 0; i < 1000; i++)
        client_answer(&c, i, 16);
    ck_assert_uint_eq(rig_stats().requests, 1000);
    client_close(&c);
    rig_stop();
}
END_TEST

/* Many records in one segment: what OpenSSL has read ahead must not be forgotten at the limit. */
START_TEST(small_records_in_one_segment_are_all_served)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    int on = 1, off = 0;
    options.mode = _i ? ECHO_AT_ONCE : ECHO_NOW;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    client_echo(&c, 1);
    setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    for (uint32_t i = 0; i < 200; i++) {
        request_make(request, i, 8, 0);
        client_send(&c, request, sizeof request);
    }
    setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    for (uint32_t i = 0; i < 200; i++)
        client_answer(&c, i, 8);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_half_closed_peer_gets_its_answers)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_GOOD,
                                 .version = _i ? TLS1_3_VERSION : TLS1_2_VERSION};
    struct client c;
    options.mode = ECHO_HELD;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    pipeline(&c, 20, 8);
    ck_assert_int_eq(SSL_shutdown(c.ssl), 0);
    sleep_ms(50);
    rig_release();
    for (uint32_t i = 0; i < 20; i++)
        client_answer(&c, i, 8);
    ck_assert(client_ended(&c));
    ck_assert(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    client_close(&c);
    rig_stop();
}
END_TEST

static bool open_is(const struct net_stats *stats, unsigned n)
{
    return stats->open == n;
}

START_TEST(a_peer_that_leaves_abandons_its_requests)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.mode = ECHO_HELD;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    pipeline(&c, 5, 8);
    while (rig_echo().waiting < 5)
        sleep_ms(5);
    client_close(&c); /* no close_notify: cut off */
    ck_assert(rig_until(open_is, 0));
    ck_assert_uint_eq(rig_echo().abandoned, 5);
    ck_assert_uint_eq(rig_echo().sessions, 0);
    rig_stop();
}
END_TEST

START_TEST(the_engine_can_end_a_connection)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t requests[3 * REQUEST_BYTES];
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    request_make(requests, 1, 8, 0);
    request_make(requests + REQUEST_BYTES, 2, 8, _i ? FLAG_CLOSE | FLAG_SILENT : FLAG_CLOSE);
    request_make(requests + 2 * REQUEST_BYTES, 3, 8, 0);
    client_send(&c, requests, sizeof requests);
    client_answer(&c, 1, 8);
    if (!_i)
        client_answer(&c, 2, 8);
    ck_assert(client_ended(&c));
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_drain_answers_what_is_under_way)
{
    struct rig_options options = RIG_OPTIONS;
    struct client idle, busy, partial;
    uint8_t request[REQUEST_BYTES];
    options.mode = ECHO_HELD;
    options.net.linger_ms = 100;
    rig_start(&options);
    client_open(&idle, CERT_GOOD);
    client_open(&partial, CERT_GOOD);
    client_open(&busy, CERT_GOOD); /* the last one: when it is served, the others are let in, too */
    pipeline(&busy, 3, 8);
    request_make(request, 9, 8, 0);
    client_send(&partial, request, 10);
    while (rig_echo().waiting < 3)
        sleep_ms(5);
    rig_drain();
    ck_assert(client_ended(&idle));
    client_send(&partial, request + 10, sizeof request - 10);
    sleep_ms(50);
    rig_release();
    for (uint32_t i = 0; i < 3; i++)
        client_answer(&busy, i, 8);
    ck_assert(client_ended(&busy));
    client_answer(&partial, 9, 8);
    ck_assert(client_ended(&partial));
    ck_assert(rig_drained());
    client_close(&idle);
    client_close(&busy);
    client_close(&partial);
    rig_stop();
}
END_TEST

START_TEST(a_drain_ends_in_time)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.mode = ECHO_HELD;
    options.net.drain_ms = 200;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    pipeline(&c, 1, 8);
    while (rig_echo().waiting < 1)
        sleep_ms(5);
    rig_drain();
    ck_assert(client_ended(&c));
    ck_assert(rig_drained());
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(key_updates_do_no_harm)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_GOOD, .version = TLS1_3_VERSION};
    struct client c;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    for (uint32_t i = 0; i < 5; i++) {
        client_echo(&c, i);
        ck_assert_int_eq(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    }
    client_echo(&c, 9);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(garbage_instead_of_tls_is_dropped)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    char byte;
    rig_start(&options);
    int fd = tcp_open();
    ck_assert_int_eq(send(fd,
                          "\x42\x00\x78\x01\0\0\0\x08"
                          "12345678",
                          16, MSG_NOSIGNAL),
                     16);
    while (recv(fd, &byte, 1, 0) > 0)
        ; /* an alert at most */
    close(fd);
    ck_assert_uint_eq(rig_stats().handshakes_failed, 1);
    client_open(&c, CERT_GOOD);
    client_echo(&c, 1);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(every_listening_socket_serves)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c[2];
    rig_start(&options);
    client_open(&c[0], CERT_GOOD);
    client_other_port();
    client_open(&c[1], CERT_GOOD);
    for (uint32_t i = 0; i < 4; i++)
        client_echo(&c[i & 1], i);
    client_close(&c[0]);
    client_close(&c[1]);
    rig_stop();
}
END_TEST

struct TCase *conn_tests(void)
{
    TCase *t = tcase_create("connections");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, garbage_gets_at_most_one_answer, 0,
                        (int)(sizeof garbage / sizeof *garbage));
    tcase_add_test(t, a_request_may_come_byte_by_byte);
    tcase_add_test(t, the_largest_request_is_taken);
    tcase_add_test(t, answers_keep_the_order_of_requests);
    tcase_add_test(t, no_more_than_the_limit_is_in_flight);
    tcase_add_loop_test(t, a_thousand_requests_in_one_piece, 0, 2);
    tcase_add_loop_test(t, small_records_in_one_segment_are_all_served, 0, 2);
    tcase_add_loop_test(t, a_half_closed_peer_gets_its_answers, 0, 2);
    tcase_add_test(t, a_peer_that_leaves_abandons_its_requests);
    tcase_add_loop_test(t, the_engine_can_end_a_connection, 0, 2);
    tcase_add_test(t, a_drain_answers_what_is_under_way);
    tcase_add_test(t, every_listening_socket_serves);
    tcase_add_test(t, a_drain_ends_in_time);
    tcase_add_test(t, key_updates_do_no_harm);
    tcase_add_test(t, garbage_instead_of_tls_is_dropped);
    return t;
}
