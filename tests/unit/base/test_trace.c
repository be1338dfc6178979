/* Traces in a worker: who is watched, and that a reader who does not read costs nothing but its own lines. */
#include "tests/unit/base/test_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/trace.h"

/* A reader of this trace; the other end is the test's. */
static int reader(struct trace *t, uint32_t id, bool json, const char *whom)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    ck_assert_int_eq(trace_begin(t, id, json, bytes_str(whom), ends[0]), RC_OK);
    return ends[1];
}

static rc_t make_short(void *arg, bool json, struct buf *out)
{
    ++*(unsigned *)arg;
    return buf_add_str(out, json ? "{}\n" : "block\n\n");
}

static rc_t make_long(void *arg, bool json, struct buf *out)
{
    char bytes[8192] = "";
    (void)json, (void)arg;
    return buf_add(out, bytes, sizeof bytes);
}

static rc_t make_too_long(void *arg, bool json, struct buf *out)
{
    static const char bytes[TRACE_BLOCK_MAX + 1];
    (void)json, (void)arg;
    return buf_add(out, bytes, sizeof bytes);
}

static const struct {
    const char *whom;
    struct trace_peer peer;
    bool fits;
} peers[] = {
    {"all", {0}, true},
    {"client:web", {.client = "web"}, true},
    {"client:web", {.client = "web2"}, false},
    {"client:web", {.client = "we"}, false},
    {"client:web", {.name_count = 2, .names = {"a", "web"}}, true},
    {"client:web", {.name_count = 1, .names = {"urn:holdfast:client:web"}}, true},
    {"client:web", {.name_count = 1, .names = {"spiffe://house/web"}}, true},
    {"client:web", {.name_count = 1, .names = {"urn:holdfast:client:theweb"}}, false},
    {"client:web", {.address = "web:1"}, false},
    {"client:all", {.client = "web"}, false},
    {"client:web.example", {.client = "x", .name_count = 1, .names = {"web.example"}}, true},
    {"address:192.0.2.1", {.address = "192.0.2.1:3456"}, true},
    {"address:192.0.2.1", {.address = "192.0.2.10:3456"}, false},
    {"address:192.0.2.1", {.client = "192.0.2.1"}, false},
    {"address:2001:db8::1", {.address = "[2001:db8::1]:3456"}, true},
    {"address:[2001:db8::1]", {.address = "[2001:db8::1]:3456"}, true},
    {"address:2001:db8::1", {.address = "[2001:db8::11]:3456"}, false},
};

START_TEST(who_is_watched_is_told_by_name_or_address)
{
    struct trace t = {0};
    int end = reader(&t, 1, false, peers[_i].whom);
    ck_assert_uint_eq(trace_match(&t, &peers[_i].peer), peers[_i].fits);
    trace_end_all(&t);
    ck_assert(!trace_on(&t));
    close(end);
}
END_TEST

START_TEST(nobody_else_is_watched)
{
    static const char *const bad[] = {"", "client:", "address:", "everybody", "ALL", "group:x"};
    struct trace t = {0};
    char too_long[TRACE_WHOM_MAX + 1];
    memset(too_long, 'x', sizeof too_long);
    memcpy(too_long, "client:", 7);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(trace_begin(&t, 1, false, bytes_str(bad[i]), dup(0)), RC_BAD_VALUE);
    ck_assert_int_eq(trace_begin(&t, 1, false, bytes_of(too_long, sizeof too_long), dup(0)), RC_BAD_VALUE);
    ck_assert_int_eq(trace_begin(&t, 1, false, bytes_of("client:a\0b", 10), dup(0)), RC_BAD_VALUE);
    ck_assert(!trace_on(&t) && !trace_on(NULL));
}
END_TEST

START_TEST(each_form_is_made_once)
{
    struct trace t = {0};
    unsigned made = 0;
    char got[64];
    int ends[TRACES_MAX];
    for (unsigned i = 0; i < TRACES_MAX; i++)
        ends[i] = reader(&t, i, i % 2, "all");
    ck_assert_int_eq(trace_begin(&t, 9, false, bytes_str("all"), dup(0)), RC_TOO_MANY);
    trace_tell(&t, 0xF, make_short, &made);
    ck_assert_uint_eq(made, 2);
    for (unsigned i = 0; i < TRACES_MAX; i++) {
        ck_assert_int_eq(recv(ends[i], got, sizeof got, MSG_DONTWAIT), i % 2 ? 3 : 7);
        ck_assert_int_eq(memcmp(got, i % 2 ? "{}\n" : "block\n\n", i % 2 ? 3 : 7), 0);
    }
    trace_tell(&t, 1, make_short, &made); /* the first alone */
    ck_assert_int_eq(recv(ends[0], got, sizeof got, MSG_DONTWAIT), 7);
    ck_assert_int_lt(recv(ends[2], got, sizeof got, MSG_DONTWAIT), 0);
    trace_end(&t, 0);
    trace_end(&t, 4711);
    ck_assert_uint_eq(t.count, TRACES_MAX - 1);
    close(ends[1]); /* who has gone is forgotten, and the others are told as before */
    trace_tell(&t, 7, make_short, &made);
    ck_assert_uint_eq(t.count, TRACES_MAX - 2);
    ck_assert_int_eq(recv(ends[2], got, sizeof got, MSG_DONTWAIT), 7);
    ck_assert_int_eq(recv(ends[3], got, sizeof got, MSG_DONTWAIT), 3);
    trace_end_all(&t);
    close(ends[0]), close(ends[2]), close(ends[3]);
}
END_TEST

/* How many blocks came, and how many were said to be lost. */
static void read_all(int end, unsigned *blocks, unsigned *lost)
{
    static char got[TRACE_BLOCK_MAX + 1];
    ssize_t n;
    while ((n = recv(end, got, sizeof got - 1, MSG_DONTWAIT)) > 0) {
        got[n] = 0;
        if (strncmp(got, TRACE_LOST_TEXT, sizeof TRACE_LOST_TEXT - 1) == 0)
            *lost += (unsigned)atoi(got + sizeof TRACE_LOST_TEXT - 1);
        else
            ++*blocks;
    }
}

START_TEST(a_reader_that_does_not_read_is_told_what_it_lost)
{
    struct trace t = {0};
    unsigned blocks = 0, lost = 0, made = 0;
    int end = reader(&t, 1, false, "all");
    for (unsigned i = 0; i < 200; i++)
        trace_tell(&t, 1, make_long, NULL);
    ck_assert_uint_gt(t.readers[0].lost, 0);
    read_all(end, &blocks, &lost);
    ck_assert_uint_gt(blocks, 0);
    ck_assert_uint_eq(lost, 0);
    trace_tell(&t, 1, make_short, &made); /* says it before the next block */
    read_all(end, &blocks, &lost);
    ck_assert_uint_eq(blocks + lost, 201);
    trace_tell(&t, 1, make_too_long, NULL);
    trace_tick(&t); /* or by itself, a little later */
    blocks = lost = 0;
    read_all(end, &blocks, &lost);
    ck_assert_uint_eq(blocks, 0);
    ck_assert_uint_eq(lost, 1);
    trace_end_all(&t);
    close(end);
}
END_TEST

START_TEST(a_flood_is_not_even_made)
{
    struct trace t = {0};
    unsigned made = 0, blocks = 0, lost = 0;
    int end = reader(&t, 1, false, "all");
    for (unsigned i = 0; i < 3 * TRACE_PER_SECOND; i++) {
        trace_tell(&t, 1, make_short, &made);
        read_all(end, &blocks, &lost);
    }
    ck_assert_uint_ge(made, TRACE_PER_SECOND);
    ck_assert_uint_le(made, 2 * TRACE_PER_SECOND); /* the second may end between */
    trace_tick(&t);
    read_all(end, &blocks, &lost);
    ck_assert_uint_eq(blocks, made);
    ck_assert_uint_eq(blocks + lost, 3 * TRACE_PER_SECOND);
    trace_end_all(&t);
    close(end);
}
END_TEST

START_TEST(a_head_is_one_line_whatever_the_names_are)
{
    AUTO_BUF text = BUF_EMPTY, json = BUF_EMPTY;
    struct trace_peer peer = {.client = "a\"\n\033b", .address = "192.0.2.1:1"};
    ck_assert_int_eq(trace_head(false, "request", &peer, &text), RC_OK);
    ck_assert_int_eq(trace_head(true, "request", &peer, &json), RC_OK);
    ck_assert_int_eq(buf_add_u8(&text, 0), RC_OK);
    ck_assert_int_eq(buf_add_u8(&json, 0), RC_OK);
    ck_assert_str_eq((char *)text.data + sizeof "2026-01-01T00:00:00.000000Z" - 1,
                     " \"a\\\"\\u000a\\u001bb\" 192.0.2.1:1 request: ");
    ck_assert_str_eq((char *)json.data + sizeof "{\"time\":\"2026-01-01T00:00:00.000000Z" - 1,
                     "\",\"client\":\"a\\\"\\u000a\\u001bb\",\"address\":\"192.0.2.1:1\",\"event\":\"request\"");
}
END_TEST

TCase *trace_tests(void)
{
    TCase *t = tcase_create("trace");
    tcase_add_loop_test(t, who_is_watched_is_told_by_name_or_address, 0, (int)(sizeof peers / sizeof *peers));
    tcase_add_test(t, nobody_else_is_watched);
    tcase_add_test(t, each_form_is_made_once);
    tcase_add_test(t, a_reader_that_does_not_read_is_told_what_it_lost);
    tcase_add_test(t, a_flood_is_not_even_made);
    tcase_add_test(t, a_head_is_one_line_whatever_the_names_are);
    return t;
}
