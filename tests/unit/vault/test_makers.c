/* The makers: what they hand back, whose turn it is, what waits for what, and how it all ends. */
#include <poll.h>
#include <stdio.h>

#include "proto/kmip/tables.h"
#include "server/base/clock.h"
#include "server/vault/makers.h"
#include "tests/unit/vault/asym_keys.h"
#include "tests/unit/vault/vault_tests.h"

static struct makers *makers;
static const struct uid alice = {{1}}, bob = {{2}};

static void begin(uint32_t threads, uint32_t queue)
{
    const struct makers_options o = {.threads = threads, .queue = queue};
    ck_assert_int_eq(makers_new(&o, &makers), RC_OK);
}

static void teardown(void)
{
    makers_free(makers);
    makers = NULL;
}

static struct make_job *pair(const struct uid *owner, uint32_t family, uint32_t bits)
{
    struct make_job *j = make_job_new(MAKE_PAIR, owner);
    ck_assert_ptr_nonnull(j);
    j->family = family;
    j->bits = bits;
    return j;
}

static struct make_job *of_hex(enum make_kind kind, uint32_t type, uint32_t format, const char *hex)
{
    struct make_job *j = make_job_new(kind, &alice);
    ck_assert_ptr_nonnull(j);
    for (; *hex; hex += 2) {
        unsigned v;
        ck_assert_int_eq(sscanf(hex, "%2x", &v), 1);
        ck_assert_int_eq(buf_add_u8(&j->in, (uint8_t)v), RC_OK);
    }
    j->object_type = type;
    j->in_format = format;
    return j;
}

static struct make_job *wait_ms(int ms)
{
    int64_t until = clock_monotonic_us() + ms * INT64_C(1000);
    for (;;) {
        struct make_job *j = makers_take(makers);
        int64_t left = until - clock_monotonic_us();
        if (j || left <= 0)
            return j;
        struct pollfd p = {.fd = makers_fd(makers), .events = POLLIN};
        poll(&p, 1, (int)(left / 1000 + 1));
    }
}

static struct make_job *run(struct make_job *j)
{
    ck_assert_int_eq(makers_post(makers, j), RC_OK);
    struct make_job *done = wait_ms(60000);
    ck_assert_ptr_eq(done, j);
    return done;
}

START_TEST(a_pair_comes_in_the_formats_asked_for)
{
    begin(0, 0);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    struct make_job *j = pair(&alice, KMIP_ALGORITHM_RSA, 2048);
    j->out_format[0] = KMIP_FORMAT_PKCS8;
    run(j);
    ck_assert_int_eq(j->rc, RC_OK);
    ck_assert_uint_eq(j->out_format[0], KMIP_FORMAT_PKCS8);
    ck_assert_uint_eq(j->out_format[1], KMIP_FORMAT_PKCS1); /* by default */
    ck_assert_uint_eq(j->other_format[0], KMIP_FORMAT_PKCS1);
    ck_assert_uint_eq(j->other_format[1], 0);
    ck_assert_uint_gt(j->other[0].len, 0);
    ck_assert_uint_eq(j->other[1].len, 0);
    AUTO_ASYM private = NULL, *public = NULL;
    ck_assert_int_eq(asym_read(true, KMIP_FORMAT_PKCS8, buf_view(&j->out[0]), &private), RC_OK);
    ck_assert_int_eq(asym_read(false, KMIP_FORMAT_PKCS1, buf_view(&j->out[1]), &public), RC_OK);
    AUTO_BUF half = BUF_EMPTY;
    ck_assert_int_eq(asym_write(private, false, KMIP_FORMAT_PKCS1, &half), RC_OK);
    ck_assert(bytes_equal(buf_view(&half), buf_view(&j->out[1])));
    make_job_free(j);
    j = pair(&alice, KMIP_ALGORITHM_EC, 384);
    j->out_format[1] = KMIP_FORMAT_PKCS8; /* no format of a public key */
    ck_assert_int_eq(run(j)->rc, RC_KEY_FORMAT);
    make_job_free(j);
    j = pair(&alice, KMIP_ALGORITHM_DSA, 2048);
    ck_assert_int_eq(run(j)->rc, RC_FEATURE);
    make_job_free(j);
}
END_TEST

START_TEST(keys_are_checked_and_converted)
{
    static const struct {
        enum make_kind kind;
        uint32_t type, format, to;
        const char *hex;
        rc_t rc;
        uint32_t algorithm, other;
    } jobs[] = {
        {MAKE_CHECK, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS1, 0, RSA_1024, RC_OK,
         KMIP_ALGORITHM_RSA, 0},
        {MAKE_CHECK, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8, 0, DSA_1024, RC_OK,
         KMIP_ALGORITHM_DSA, KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY},
        {MAKE_CHECK, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_PKCS1, 0, RSA_1024, RC_INVALID_FIELD, 0, 0},
        {MAKE_CHECK, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_PKCS8, 0, DSA_1024, RC_KEY_FORMAT, 0, 0},
        {MAKE_CHECK, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8, 0, ED25519, RC_FEATURE, 0, 0},
        {MAKE_CHECK, KMIP_OBJECT_CERTIFICATE, KMIP_FORMAT_X_509, 0, CERTIFICATE_P256, RC_OK,
         KMIP_ALGORITHM_EC, 0},
        {MAKE_CHECK, KMIP_OBJECT_CERTIFICATE, KMIP_FORMAT_X_509, 0, RSA_1024, RC_INVALID_FIELD, 0, 0},
        {MAKE_CONVERT, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS1, KMIP_FORMAT_PKCS8, RSA_1024, RC_OK,
         KMIP_ALGORITHM_RSA, 0},
        {MAKE_CONVERT, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS1, KMIP_FORMAT_ECPRIVATEKEY, RSA_1024,
         RC_KEY_FORMAT, KMIP_ALGORITHM_RSA, 0},
        {MAKE_CONVERT, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8, KMIP_FORMAT_ECPRIVATEKEY,
         EC_ENCRYPTED, RC_KEY_FORMAT, 0, 0},
    };
    begin(0, 0);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    for (int i = 0; i < COUNT(jobs); i++) {
        struct make_job *j = of_hex(jobs[i].kind, jobs[i].type, jobs[i].format, jobs[i].hex);
        j->out_format[0] = jobs[i].to;
        run(j);
        ck_assert_msg(j->rc == jobs[i].rc, "%d: %s", i, rc_name(j->rc));
        ck_assert_uint_eq(j->facts.algorithm, jobs[i].algorithm);
        ck_assert_uint_eq(j->other_format[0], jobs[i].other);
        ck_assert((j->out[0].len > 0) == (jobs[i].kind == MAKE_CONVERT && jobs[i].rc == RC_OK));
        make_job_free(j);
    }
}
END_TEST

/* All queued before the one thread starts, so the order is the rule's alone. */
START_TEST(owners_take_turns)
{
    struct make_job *of_alice[4], *of_bob[2];
    begin(1, 16);
    for (int i = 0; i < 4; i++) {
        of_alice[i] = pair(&alice, KMIP_ALGORITHM_EC, 256);
        ck_assert_int_eq(makers_post(makers, of_alice[i]), RC_OK);
    }
    for (int i = 0; i < 2; i++) {
        of_bob[i] = pair(&bob, KMIP_ALGORITHM_EC, 256);
        ck_assert_int_eq(makers_post(makers, of_bob[i]), RC_OK);
    }
    ck_assert_uint_eq(makers_count(makers), 6);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    struct make_job *const want[] = {of_alice[0], of_bob[0],   of_alice[1],
                                     of_bob[1],   of_alice[2], of_alice[3]};
    for (int i = 0; i < COUNT(want); i++) {
        struct make_job *j = wait_ms(10000);
        ck_assert_ptr_eq(j, want[i]);
        ck_assert_int_eq(j->rc, RC_OK);
        make_job_free(j);
    }
    ck_assert_uint_eq(makers_count(makers), 0);
}
END_TEST

START_TEST(the_queue_is_bounded_and_no_owner_fills_it)
{
    begin(1, 8);
    struct make_job *j = NULL;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(makers_post(makers, pair(&alice, KMIP_ALGORITHM_EC, 256)), RC_OK);
    j = pair(&alice, KMIP_ALGORITHM_EC, 256);
    ck_assert_int_eq(makers_post(makers, j), RC_BUSY); /* a quarter is hers */
    for (uint8_t i = 0; i < 6; i++) {
        struct uid other = {{(uint8_t)(10 + i)}};
        ck_assert_int_eq(makers_post(makers, pair(&other, KMIP_ALGORITHM_EC, 256)), RC_OK);
    }
    j->owner = bob;
    ck_assert_int_eq(makers_post(makers, j), RC_BUSY); /* full */
    ck_assert_int_eq(makers_start(makers), RC_OK);
    make_job_free(wait_ms(10000));
    ck_assert_int_eq(makers_post(makers, j), RC_OK);
}
END_TEST

/* Two searches of minutes and two of seconds are on; what takes a moment does not wait for any, and
 * the second long one does not take the place kept for usual keys. */
START_TEST(long_work_never_stands_before_short)
{
    begin(3, 64);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    struct make_job *const slow[] = {
        pair(&alice, KMIP_ALGORITHM_RSA, 8192),
        pair(&bob, KMIP_ALGORITHM_RSA, 8192),
    };
    for (int i = 0; i < COUNT(slow); i++)
        ck_assert_int_eq(makers_post(makers, slow[i]), RC_OK);
    struct make_job *usual = pair(&alice, KMIP_ALGORITHM_RSA, 2048);
    ck_assert_int_eq(makers_post(makers, usual), RC_OK);
    struct make_job *light = of_hex(MAKE_CHECK, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS1, RSA_1024);
    ck_assert_int_eq(makers_post(makers, light), RC_OK);
    for (int i = 0; i < 2; i++) {
        struct make_job *j = wait_ms(20000);
        ck_assert(j == light || j == usual);
        ck_assert_int_eq(j->rc, RC_OK);
        make_job_free(j);
    }
    ck_assert_uint_eq(makers_count(makers), 2);
    int64_t began = clock_monotonic_us();
    makers_cancel(makers, slow[0]);
    makers_cancel(makers, slow[1]);
    for (int i = 0; i < 2; i++) {
        struct make_job *j = wait_ms(20000);
        ck_assert(j == slow[0] || j == slow[1]);
        ck_assert_int_eq(j->rc, RC_UNAVAILABLE);
        make_job_free(j);
    }
    ck_assert_int_lt(clock_monotonic_us() - began, 10000000);
}
END_TEST

START_TEST(the_end_does_not_wait_for_a_search)
{
    begin(3, 64);
    ck_assert_int_eq(makers_start(makers), RC_OK);
    ck_assert_int_eq(makers_post(makers, pair(&alice, KMIP_ALGORITHM_RSA, 8192)), RC_OK);
    ck_assert_int_eq(makers_post(makers, pair(&bob, KMIP_ALGORITHM_RSA, 8192)), RC_OK);
    ck_assert_ptr_null(wait_ms(200));
    int64_t began = clock_monotonic_us();
    makers_free(makers);
    makers = NULL;
    ck_assert_int_lt(clock_monotonic_us() - began, 10000000);
}
END_TEST

TCase *makers_tests(void)
{
    TCase *tc = tcase_create("makers");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_pair_comes_in_the_formats_asked_for);
    tcase_add_test(tc, keys_are_checked_and_converted);
    tcase_add_test(tc, owners_take_turns);
    tcase_add_test(tc, the_queue_is_bounded_and_no_owner_fills_it);
    tcase_add_test(tc, long_work_never_stands_before_short);
    tcase_add_test(tc, the_end_does_not_wait_for_a_search);
    return tc;
}
