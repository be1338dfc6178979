/* Deadlines, back-pressure and limits, each at the limit and one beyond. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>
#include <openssl/err.h>

#include "server/base/clock.h"
#include "tests/unit/net/rig.h"

static bool tcp_ended(int fd)
{
    char bytes[64];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    return n == 0 || (n < 0 && rig_stats().open == 0);
}

START_TEST(a_silent_handshake_ends)
{
    struct rig_options options = RIG_OPTIONS;
    options.net.handshake_ms = 200;
    rig_start(&options);
    int fd = tcp_open();
    if (_i) /* the beginning of a ClientHello, then silence */
        ck_assert_int_eq(send(fd, "\x16\x03\x01\x02\x00\x01\x00", 7, MSG_NOSIGNAL), 7);
    int64_t from = clock_monotonic_us();
    ck_assert(tcp_ended(fd));
    int64_t took = clock_monotonic_us() - from;
    ck_assert_int_ge(took, 150000);
    ck_assert_int_le(took, 2000000);
    ck_assert_uint_eq(rig_stats().deadlines, 1);
    close(fd);
    rig_stop();
}
END_TEST

START_TEST(an_idle_connection_ends)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.net.idle_ms = 300;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    for (uint32_t i = 0; i < 4; i++) { /* each request starts the time anew */
        client_echo(&c, i);
        sleep_ms(150);
    }
    client_echo(&c, 9);
    int64_t from = clock_monotonic_us();
    ck_assert(client_ended(&c));
    ck_assert(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    ck_assert_int_ge(clock_monotonic_us() - from, 200000);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_request_must_arrive_in_time)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    options.net.request_ms = 300;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    request_make(request, 1, 8, 0);
    client_send(&c, request, sizeof request - 1);
    int64_t from = clock_monotonic_us();
    for (int i = 0; i < 4; i++) { /* other connections' traffic does not help it */
        struct client other;
        client_open(&other, CERT_GOOD);
        client_echo(&other, 1);
        client_close(&other);
    }
    ck_assert(client_ended(&c));
    ck_assert_int_le(clock_monotonic_us() - from, 1500000);
    ck_assert_uint_eq(rig_stats().deadlines, 1);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_dripping_request_ends)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    request_make(request, 1, 8, 0);
    int64_t from = clock_monotonic_us();
    bool cut = false;
    for (size_t i = 0; i < sizeof request - 1 && !cut; i++) { /* 5 bytes a second */
        ERR_clear_error();
        cut = SSL_write(c.ssl, request + i, 1) <= 0;
        sleep_ms(200);
    }
    ck_assert(cut || client_ended(&c));
    ck_assert_int_le(clock_monotonic_us() - from, 4500000); /* 2 s of grace, not 30 */
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(waiting_for_the_engine_is_not_idle)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    options.mode = ECHO_HELD;
    options.net.idle_ms = 100;
    options.net.request_ms = 100;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    request_make(request, 1, 8, 0);
    client_send(&c, request, sizeof request);
    sleep_ms(400);
    rig_release();
    client_answer(&c, 1, 8);
    client_close(&c);
    rig_stop();
}
END_TEST

static void many_large(struct client *c, unsigned count)
{
    uint8_t request[REQUEST_BYTES];
    for (unsigned i = 0; i < count; i++) {
        request_make(request, i, 65536, 0);
        client_send(c, request, sizeof request);
    }
}

START_TEST(a_slow_reader_is_not_read)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_GOOD, .receive_bytes = 65536};
    struct client c;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    many_large(&c, 400); /* 26 MB of answers */
    sleep_ms(300);
    unsigned submitted = rig_echo().submitted;
    ck_assert_uint_lt(submitted, 200); /* what the socket's buffer takes, and a little */
    struct client other;
    client_open(&other, CERT_GOOD);
    client_echo(&other, 1);
    for (uint32_t i = 0; i < 400; i++)
        client_answer(&c, i, 65536);
    client_echo(&c, 5);
    client_close(&c);
    client_close(&other);
    rig_stop();
}
END_TEST

START_TEST(an_unread_answer_ends_the_connection)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_GOOD, .receive_bytes = 65536};
    struct client c;
    options.net.unread_ms = 300;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    many_large(&c, 400);
    for (int i = 0; i < 200 && rig_stats().open; i++)
        sleep_ms(10);
    ck_assert_uint_eq(rig_stats().open, 0);
    ck_assert_uint_eq(rig_stats().deadlines, 1);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(connections_of_an_identity_are_counted)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options good = {.cert = CERT_GOOD}, second = {.cert = CERT_SECOND};
    struct client c[3];
    options.limits.identity_connections = 3;
    rig_start(&options);
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], CERT_GOOD);
        client_echo(&c[i], 1);
    }
    ck_assert(client_gets_nothing(&good));
    ck_assert(!client_gets_nothing(&second));
    client_close(&c[0]);
    for (int i = 0; i < 200 && rig_stats().open > 2; i++)
        sleep_ms(5);
    client_open(&c[0], CERT_GOOD);
    client_echo(&c[0], 2);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    rig_stop();
}
END_TEST

START_TEST(connections_of_an_address_are_counted)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options good = {.cert = CERT_GOOD};
    struct client c[3];
    options.limits.address_connections = 3;
    rig_start(&options);
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], i ? CERT_GOOD : CERT_SECOND);
        client_echo(&c[i], 1);
    }
    ck_assert(client_gets_nothing(&good));
    ck_assert_uint_eq(rig_stats().refused_limit, 1);
    for (int i = 0; i < 3; i++)
        client_echo(&c[i], 2), client_close(&c[i]);
    rig_stop();
}
END_TEST

START_TEST(handshakes_of_an_address_are_paced)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options good = {.cert = CERT_GOOD};
    options.limits.handshakes_per_s = 4;
    options.limits.handshake_burst = 3;
    rig_start(&options);
    int served = 0;
    for (int i = 0; i < 3; i++)
        served += !client_gets_nothing(&good);
    ck_assert_int_eq(served, 3);
    ck_assert(client_gets_nothing(&good));
    ck_assert_uint_eq(rig_stats().refused_rate, 1);
    sleep_ms(350);
    ck_assert(!client_gets_nothing(&good));
    rig_stop();
}
END_TEST

START_TEST(over_the_limit_of_the_worker_they_wait)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c[2];
    options.limits.worker_connections = 2;
    rig_start(&options);
    client_open(&c[0], CERT_GOOD);
    client_open(&c[1], CERT_SECOND);
    client_echo(&c[0], 1);
    client_echo(&c[1], 1);
    int waiting = tcp_open(); /* the kernel takes it, the worker does not */
    sleep_ms(150);
    ck_assert_uint_eq(rig_stats().accepted, 2);
    client_close(&c[0]);
    for (int i = 0; i < 400 && rig_stats().accepted < 3; i++)
        sleep_ms(5);
    ck_assert_uint_eq(rig_stats().accepted, 3);
    client_echo(&c[1], 2);
    close(waiting);
    client_close(&c[1]);
    rig_stop();
}
END_TEST

/* Lowest number that open() would give now. */
static rlim_t next_fd(void)
{
    int fd = dup(0);
    close(fd);
    return (rlim_t)fd;
}

START_TEST(without_descriptors_it_waits_and_does_not_spin)
{
    struct rig_options options = RIG_OPTIONS;
    struct rlimit had, none;
    struct client c;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    client_echo(&c, 1);
    getrlimit(RLIMIT_NOFILE, &had);
    int waiting = socket(AF_INET, SOCK_STREAM, 0);
    close(waiting);
    int held[8];
    for (int i = 0; i < 8; i++)
        held[i] = dup(0);
    none = had;
    none.rlim_cur = next_fd() + 1; /* one more, for the client's own socket */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    waiting = tcp_open();
    sleep_ms(500);
    uint64_t errors = rig_stats().accept_errors;
    ck_assert_uint_ge(errors, 1);
    ck_assert_uint_le(errors, 10);
    client_echo(&c, 2); /* those inside notice nothing */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
    for (int i = 0; i < 300 && rig_stats().accepted < 2; i++)
        sleep_ms(5);
    ck_assert_uint_eq(rig_stats().accepted, 2);
    close(waiting);
    for (int i = 0; i < 8; i++)
        close(held[i]);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_crowd_of_silent_ones_does_not_disturb)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    int fds[100];
    options.limits.handshake_burst = 1000;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    for (int i = 0; i < 100; i++) {
        fds[i] = tcp_open();
        ck_assert_int_eq(send(fds[i], "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    }
    int64_t from = clock_monotonic_us();
    for (uint32_t i = 0; i < 100; i++)
        client_echo(&c, i);
    ck_assert_int_le(clock_monotonic_us() - from, 2000000);
    for (int i = 0; i < 100; i++)
        close(fds[i]);
    client_close(&c);
    rig_stop();
}
END_TEST

struct TCase *bounds_tests(void)
{
    TCase *t = tcase_create("bounds");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_silent_handshake_ends, 0, 2);
    tcase_add_test(t, an_idle_connection_ends);
    tcase_add_test(t, a_request_must_arrive_in_time);
    tcase_add_test(t, a_dripping_request_ends);
    tcase_add_test(t, waiting_for_the_engine_is_not_idle);
    tcase_add_test(t, a_slow_reader_is_not_read);
    tcase_add_test(t, an_unread_answer_ends_the_connection);
    tcase_add_test(t, connections_of_an_identity_are_counted);
    tcase_add_test(t, connections_of_an_address_are_counted);
    tcase_add_test(t, handshakes_of_an_address_are_paced);
    tcase_add_test(t, over_the_limit_of_the_worker_they_wait);
    tcase_add_test(t, without_descriptors_it_waits_and_does_not_spin);
    tcase_add_test(t, a_crowd_of_silent_ones_does_not_disturb);
    return t;
}
