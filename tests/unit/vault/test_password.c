/* Passwords in the vault: scrypt, the makers' part of it, and who is not looked at any more. */
#include <poll.h>
#include <sys/resource.h>

#include "config.h"

#include "server/vault/guard.h"
#include "server/vault/makers.h"
#include "tests/unit/vault/vault_tests.h"

enum { SECOND = 1000000 };

/* RFC 7914, section 12: the first half of what is 64 bytes there. */
static const struct {
    const char *password, *salt;
    struct scrypt_cost cost;
    uint8_t first[4];
} published[] = {
    {"", "", {4, 1, 1}, {0x77, 0xd6, 0x57, 0x62}},
    {"password", "NaCl", {10, 8, 16}, {0xfd, 0xba, 0xbe, 0x1c}},
    {"pleaseletmein", "SodiumChloride", {14, 8, 1}, {0x70, 0x23, 0xbd, 0xcb}},
};

START_TEST(scrypt_gives_the_published_answers)
{
    uint8_t out[SCRYPT_HASH_BYTES];
    ck_assert_int_eq(
        scrypt_hash(&published[_i].cost, bytes_str(published[_i].salt), bytes_str(published[_i].password), out), RC_OK);
    ck_assert_mem_eq(out, published[_i].first, sizeof published[_i].first);
}
END_TEST

static const struct {
    struct scrypt_cost cost;
    size_t salt;
    rc_t want;
} costs[] = {
    {{10, 8, 1}, 64, RC_OK},
    {{10, 8, 1}, 65, RC_INVALID_FIELD},
    {{0, 8, 1}, 16, RC_INVALID_FIELD},
    {{10, 0, 1}, 16, RC_INVALID_FIELD},
    {{10, 8, 0}, 16, RC_INVALID_FIELD},
    {{17, 8, 1}, 16, RC_INVALID_FIELD}, /* 128 MiB */
    {{16, 9, 1}, 16, RC_INVALID_FIELD}, /* 72 MiB */
    {{25, 1, 1}, 16, RC_INVALID_FIELD},
    {{10, 33, 1}, 16, RC_INVALID_FIELD},
    {{10, 8, 17}, 16, RC_INVALID_FIELD},
    {{200, 8, 1}, 16, RC_INVALID_FIELD},
};

START_TEST(work_beyond_the_limits_is_refused)
{
    static const uint8_t salt[65];
    uint8_t out[SCRYPT_HASH_BYTES];
    ck_assert_int_eq(scrypt_hash(&costs[_i].cost, bytes_of(salt, costs[_i].salt), bytes_str("x"), out), costs[_i].want);
}
END_TEST

START_TEST(a_maker_hashes)
{
    static const struct uid owner = {{1}};
    const struct makers_options options = {.threads = 1};
    struct makers *makers;
    uint8_t want[SCRYPT_HASH_BYTES];
    struct make_job *j = make_job_new(MAKE_HASH, &owner), *done;
    ck_assert_int_eq(makers_new(&options, &makers), RC_OK);
    j->cost = (struct scrypt_cost){10, 1, 1};
    ck_assert_int_eq(buf_add_str(&j->in, "open sesame"), RC_OK);
    ck_assert_int_eq(buf_add_str(&j->salt, "0123456789abcdef"), RC_OK);
    ck_assert_int_eq(scrypt_hash(&j->cost, buf_view(&j->salt), buf_view(&j->in), want), RC_OK);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    ck_assert_int_eq(makers_post(makers, j), RC_OK);
    struct pollfd p = {.fd = makers_fd(makers), .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, 10000), 1);
    done = makers_take(makers);
    ck_assert_ptr_eq(done, j);
    ck_assert_int_eq(done->rc, RC_OK);
    ck_assert(bytes_equal(buf_view(&done->out[0]), bytes_of(want, sizeof want)));
    make_job_free(done);
    makers_free(makers);
}
END_TEST

#ifndef HF_SANITIZERS
/* Three threads, three hashes of 64 MiB each: one after the other. */
START_TEST(hashes_never_take_more_memory_than_the_largest)
{
    static const struct uid owners[] = {{{1}}, {{2}}, {{3}}};
    const struct makers_options options = {.threads = 3};
    struct makers *makers;
    struct rusage before, after;
    ck_assert_int_eq(makers_new(&options, &makers), RC_OK);
    for (int i = 0; i < 3; i++) {
        struct make_job *j = make_job_new(MAKE_HASH, &owners[i]);
        j->cost = (struct scrypt_cost){16, 8, 1};
        ck_assert_uint_eq(scrypt_memory(&j->cost), SCRYPT_MEMORY_MOST);
        ck_assert_int_eq(makers_post(makers, j), RC_OK);
    }
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    for (int done = 0; done < 3;) {
        struct pollfd p = {.fd = makers_fd(makers), .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, 30000), 1);
        for (struct make_job *j; (j = makers_take(makers)) != NULL; done++) {
            ck_assert_int_eq(j->rc, RC_OK);
            make_job_free(j);
        }
    }
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 100 * 1024); /* KiB */
    makers_free(makers);
}
END_TEST
#endif

START_TEST(three_wrong_ones_in_a_row_then_one_for_each_step)
{
    static struct guard g = {.most = 3, .step_us = 10 * SECOND};
    static const struct uid alice = {{1}}, bob = {{2}};
    int64_t now = INT64_C(1000) * SECOND;
    for (int i = 0; i < 3; i++) {
        ck_assert(guard_lets_try(&g, &alice, now));
        guard_note_wrong(&g, &alice, now);
    }
    ck_assert(!guard_lets_try(&g, &alice, now));
    ck_assert(guard_lets_try(&g, &bob, now)); /* each for oneself */
    guard_note_wrong(&g, &alice, now);        /* one that was under way */
    ck_assert(!guard_lets_try(&g, &alice, now + 10 * SECOND - 1));
    ck_assert(guard_lets_try(&g, &alice, now + 10 * SECOND));
    guard_note_wrong(&g, &alice, now + 10 * SECOND);
    ck_assert(!guard_lets_try(&g, &alice, now + 10 * SECOND));
    now += 1000 * SECOND; /* all is forgotten */
    for (int i = 0; i < 3; i++) {
        ck_assert(guard_lets_try(&g, &alice, now));
        guard_note_wrong(&g, &alice, now);
    }
    ck_assert(!guard_lets_try(&g, &alice, now));
}
END_TEST

START_TEST(a_full_guard_forgets_who_rests_first)
{
    static struct guard g = {.most = 1, .step_us = SECOND};
    int64_t now = SECOND;
    for (int i = 0; i <= GUARD_CLIENTS; i++) {
        const struct uid who = {{1, (uint8_t)(i >> 8), (uint8_t)i}};
        guard_note_wrong(&g, &who, now + i);
    }
    const struct uid first = {{1}}, second = {{1, 0, 1}}, last = {{1, GUARD_CLIENTS >> 8, GUARD_CLIENTS & 255}};
    now += GUARD_CLIENTS;
    ck_assert(guard_lets_try(&g, &first, now));
    ck_assert(!guard_lets_try(&g, &second, now));
    ck_assert(!guard_lets_try(&g, &last, now));
}
END_TEST

TCase *password_tests(void)
{
    TCase *tc = tcase_create("password");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, scrypt_gives_the_published_answers, 0, COUNT(published));
    tcase_add_loop_test(tc, work_beyond_the_limits_is_refused, 0, COUNT(costs));
    tcase_add_test(tc, a_maker_hashes);
#ifndef HF_SANITIZERS
    tcase_add_test(tc, hashes_never_take_more_memory_than_the_largest);
#endif
    tcase_add_test(tc, three_wrong_ones_in_a_row_then_one_for_each_step);
    tcase_add_test(tc, a_full_guard_forgets_who_rests_first);
    return tc;
}
