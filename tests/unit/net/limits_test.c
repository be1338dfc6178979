/* The shared table of limits: two workers, one table. */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "tests/unit/net/rig.h"

static int fd;
static struct limits *a, *b;

static void two_workers(void)
{
    struct limits_settings set = {.worker_connections = 3,
                                  .node_connections = 4,
                                  .identity_connections = 3,
                                  .address_connections = 2,
                                  .handshakes_per_s = 10,
                                  .handshake_burst = 5};
    ck_assert_int_eq(limits_make(&fd), RC_OK);
    ck_assert_int_eq(limits_map(fd, 0, &a), RC_OK);
    ck_assert_int_eq(limits_map(fd, 1, &b), RC_OK);
    limits_set(a, &set);
    limits_set(b, &set);
}

static void two_workers_end(void)
{
    limits_unmap(&a);
    limits_unmap(&b);
    close(fd);
}

START_TEST(keys_are_counted_over_all_workers)
{
    struct bytes key = bytes_str("web"), other = bytes_str("db");
    ck_assert_int_eq(limits_add(a, LIMITS_IDENTITY, key), RC_OK);
    ck_assert_int_eq(limits_add(a, LIMITS_IDENTITY, key), RC_OK);
    ck_assert_int_eq(limits_add(b, LIMITS_IDENTITY, key), RC_OK);
    ck_assert_int_eq(limits_add(b, LIMITS_IDENTITY, key), RC_BUSY);
    ck_assert_int_eq(limits_add(a, LIMITS_IDENTITY, key), RC_BUSY);
    ck_assert_int_eq(limits_add(a, LIMITS_IDENTITY, other), RC_OK);
    ck_assert_int_eq(limits_add(a, LIMITS_ADDRESS, key), RC_OK); /* another kind, another count */
    limits_drop(a, LIMITS_IDENTITY, key);
    ck_assert_int_eq(limits_add(b, LIMITS_IDENTITY, key), RC_OK);
    ck_assert_int_eq(limits_add(b, LIMITS_IDENTITY, key), RC_BUSY);
}
END_TEST

START_TEST(connections_are_counted_by_worker_and_node)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(limits_connection_add(a), RC_OK);
    ck_assert_int_eq(limits_connection_add(a), RC_BUSY);
    ck_assert_int_eq(limits_connection_add(b), RC_OK);
    ck_assert_int_eq(limits_connection_add(b), RC_BUSY);
    ck_assert_uint_eq(limits_node_connections(a), 4);
    limits_connection_drop(a);
    ck_assert_int_eq(limits_connection_add(b), RC_OK);
}
END_TEST

START_TEST(what_a_dead_worker_counted_is_forgotten)
{
    struct bytes key = bytes_str("web");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(limits_add(a, LIMITS_IDENTITY, key), RC_OK);
        ck_assert_int_eq(limits_connection_add(a), RC_OK);
    }
    ck_assert_int_eq(limits_add(b, LIMITS_IDENTITY, key), RC_BUSY);
    limits_clear_worker(b, 0);
    ck_assert_uint_eq(limits_node_connections(b), 0);
    ck_assert_int_eq(limits_add(b, LIMITS_IDENTITY, key), RC_OK);
}
END_TEST

START_TEST(requests_are_spread_over_all_workers)
{
    struct bytes client = bytes_str("web"), other = bytes_str("db");
    struct limits_settings set = {.request_wait_ms = 1000, .handshakes_per_s = 10, .handshake_burst = 1};
    int64_t now = 5000000;
    limits_set(a, &set);
    limits_set(b, &set);
    for (int64_t i = 0; i <= 10; i++) /* ten a second: the eleventh waits for the whole of it */
        ck_assert_int_eq(limits_request(i & 1 ? a : b, client, 10, now), i * 100000);
    ck_assert_int_eq(limits_request(a, client, 10, now), -1);
    ck_assert_int_eq(limits_request(b, client, 10, now), -1); /* who has no place takes none */
    ck_assert_int_eq(limits_request(b, other, 10, now), 0);
    ck_assert_int_eq(limits_request(b, client, 10, now + 100000), 1000000);
    ck_assert_int_eq(limits_request(b, client, 10, now + 9000000), 0);
    ck_assert_int_eq(limits_request(b, client, 5000000, now + 10000000), 0); /* as fast as can be told */
    ck_assert_int_eq(limits_handshake(a, client, now), RC_OK); /* another table */
    set.request_wait_ms = 0;
    limits_set(a, &set);
    ck_assert_int_eq(limits_request(a, client, 1, now + 20000000), 0);
    ck_assert_int_eq(limits_request(a, client, 1, now + 20000000), -1);
}
END_TEST

START_TEST(handshakes_are_paced_over_all_workers)
{
    struct bytes address = bytes_str("1234"), other = bytes_str("5678");
    int64_t now = 1000000000;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(limits_handshake(i & 1 ? a : b, address, now), RC_OK);
    ck_assert_int_eq(limits_handshake(a, address, now), RC_BUSY);
    ck_assert_int_eq(limits_handshake(b, address, now), RC_BUSY);
    ck_assert_int_eq(limits_handshake(b, other, now), RC_OK);
    ck_assert_int_eq(limits_handshake(a, address, now + 99999), RC_BUSY);
    ck_assert_int_eq(limits_handshake(a, address, now + 100000), RC_OK); /* 10 a second */
    ck_assert_int_eq(limits_handshake(a, address, now + 100000), RC_BUSY);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(limits_handshake(a, address, now + 10000000), RC_OK);
    ck_assert_int_eq(limits_handshake(a, address, now + 10000000), RC_BUSY);
}
END_TEST

START_TEST(a_hundred_thousand_keys_come_and_go)
{
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t key[4];
        store_be32(key, i);
        ck_assert_int_eq(limits_add(a, LIMITS_ADDRESS, bytes_of(key, 4)), RC_OK);
        if (i >= 4096) {
            store_be32(key, i - 4096);
            limits_drop(a, LIMITS_ADDRESS, bytes_of(key, 4));
        }
        store_be32(key, i);
        ck_assert_int_eq(limits_handshake(a, bytes_of(key, 4), 1000000000 + i), RC_OK);
    }
}
END_TEST

START_TEST(only_such_a_table_is_mapped)
{
    struct limits *none;
    int other = memfd_create("other", MFD_CLOEXEC);
    ck_assert_int_eq(limits_map(other, 0, &none), RC_BAD_LENGTH);
    ck_assert_int_eq(limits_map(fd, LIMITS_WORKERS, &none), RC_BAD_LENGTH);
    ck_assert_int_ne(ftruncate(fd, 10), 0); /* its size is sealed */
    close(other);
}
END_TEST

struct TCase *limits_tests(void)
{
    TCase *t = tcase_create("limits");
    tcase_add_checked_fixture(t, two_workers, two_workers_end);
    tcase_add_test(t, keys_are_counted_over_all_workers);
    tcase_add_test(t, connections_are_counted_by_worker_and_node);
    tcase_add_test(t, what_a_dead_worker_counted_is_forgotten);
    tcase_add_test(t, requests_are_spread_over_all_workers);
    tcase_add_test(t, handshakes_are_paced_over_all_workers);
    tcase_add_test(t, a_hundred_thousand_keys_come_and_go);
    tcase_add_test(t, only_such_a_table_is_mapped);
    return t;
}
