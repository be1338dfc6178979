/* Tests of server/base: identifiers, the control record's canonical form, states by date, locked
 * memory, the table of symmetric algorithms. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "server/base/clock.h"
#include "server/base/object.h"
#include "server/base/pool.h"
#include "server/base/secret.h"
#include "server/base/symmetric.h"
#include "tests/support/control.h"
#include "tests/unit/base/test_trace.h"

/* ---- identifiers ---- */

static const struct {
    const char *text;
    rc_t want;
} texts[] = {
    {"", RC_BAD_VALUE},
    {"0192a0b4-7d1f-7c3e-8f00-0123456789a", RC_BAD_VALUE},
    {"0192a0b4-7d1f-7c3e-8f00-0123456789abc", RC_BAD_VALUE},
    {"0192a0b4x7d1f-7c3e-8f00-0123456789ab", RC_BAD_VALUE},
    {"0192a0b47-d1f-7c3e-8f00-0123456789ab", RC_BAD_VALUE},
    {"0192a0g4-7d1f-7c3e-8f00-0123456789ab", RC_BAD_VALUE},
    {"{192a0b4-7d1f-7c3e-8f00-0123456789a}", RC_BAD_VALUE},
    {"0192a0b4-7d1f-7c3e-8f00-0123456789ab", RC_OK},
    {"0192A0B4-7D1F-7C3E-8F00-0123456789AB", RC_OK},
    {"00000000-0000-0000-0000-000000000000", RC_OK},
};

START_TEST(uid_text_is_read_strictly)
{
    struct uid u;
    ck_assert_int_eq(uid_parse(bytes_str(texts[_i].text), &u), texts[_i].want);
}
END_TEST

START_TEST(uid_prints_what_it_read_in_lower_case)
{
    struct uid u;
    char out[UID_TEXT_SIZE];
    ck_assert_int_eq(uid_parse(bytes_str("0192A0B4-7D1F-7C3E-8F00-0123456789AB"), &u), RC_OK);
    uid_print(&u, out);
    ck_assert_str_eq(out, "0192a0b4-7d1f-7c3e-8f00-0123456789ab");
}
END_TEST

START_TEST(new_uids_are_version_7_distinct_and_in_order)
{
    struct uid last = {{0}}, u;
    ck_assert(uid_is_nil(&last));
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(uid_new(&u), RC_OK);
        ck_assert_int_eq(u.raw[6] >> 4, 7);
        ck_assert_int_eq(u.raw[8] >> 6, 2);
        int64_t ms = (int64_t)(load_be64(u.raw) >> 16);
        ck_assert_int_le(llabs(ms - clock_wall_us() / 1000), 1000);
        ck_assert(!uid_equal(&u, &last));
        ck_assert_int_le(memcmp(last.raw, u.raw, 8), 0);
        last = u;
    }
}
END_TEST

/* ---- control record ---- */

static struct control sample(void)
{
    struct control c = control_active_key(1000, 1001);
    c.deactivation_date = 5000;
    return c;
}

START_TEST(canonical_form_is_fixed)
{
    struct control c = sample();
    uint8_t raw[CONTROL_BYTES];
    control_encode(&c, raw);
    ck_assert_int_eq(raw[0], 0xA1);
    ck_assert_int_eq((int64_t)load_be64(raw + 16), 3);
    ck_assert_int_eq((int64_t)load_be64(raw + 24), 1);
    ck_assert_int_eq(raw[32], 0xB2);
    ck_assert_uint_eq(load_be32(raw + 48), 2);
    ck_assert_uint_eq(load_be32(raw + 60), 3);
    ck_assert_int_eq((int64_t)load_be64(raw + 72), 1000);
    ck_assert(load_be64(raw + 88) == UINT64_C(0x8000000000000000)); /* no date */
    ck_assert_int_eq((int64_t)load_be64(raw + 104), 5000);
    ck_assert_int_eq(raw[140], 1);
    ck_assert_int_eq(raw[143], 0);
}
END_TEST

START_TEST(canonical_form_reads_back_and_covers_every_byte)
{
    struct control c = sample(), back;
    uint8_t raw[CONTROL_BYTES], again[CONTROL_BYTES];
    control_encode(&c, raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        uint8_t changed[CONTROL_BYTES];
        memcpy(changed, raw, sizeof raw);
        changed[i] ^= 1;
        if (control_decode(bytes_of(changed, sizeof changed), &back) != RC_OK)
            continue;
        control_encode(&back, again); /* what was read differs where the byte differed */
        ck_assert_mem_eq(again, changed, sizeof changed);
    }
    ck_assert_int_eq(control_decode(bytes_of(raw, sizeof raw - 1), &back), RC_BAD_LENGTH);
    raw[140] = 2;
    ck_assert_int_eq(control_decode(bytes_of(raw, sizeof raw), &back), RC_BAD_VALUE);
}
END_TEST

static const struct {
    uint32_t stored;
    int64_t activation, deactivation, now;
    uint32_t want;
} states[] = {
    {STATE_PRE_ACTIVE, NO_DATE, NO_DATE, 100, STATE_PRE_ACTIVE},
    {STATE_PRE_ACTIVE, 101, NO_DATE, 100, STATE_PRE_ACTIVE},
    {STATE_PRE_ACTIVE, 100, NO_DATE, 100, STATE_ACTIVE},
    {STATE_PRE_ACTIVE, 50, 100, 100, STATE_DEACTIVATED},
    {STATE_PRE_ACTIVE, NO_DATE, 50, 100, STATE_PRE_ACTIVE},
    {STATE_ACTIVE, 50, 101, 100, STATE_ACTIVE},
    {STATE_ACTIVE, 50, 100, 100, STATE_DEACTIVATED},
    {STATE_DEACTIVATED, 50, 200, 100, STATE_DEACTIVATED},
    {STATE_COMPROMISED, 50, 60, 100, STATE_COMPROMISED},
    {STATE_DESTROYED, 50, 60, 100, STATE_DESTROYED},
    {STATE_DESTROYED_COMPROMISED, 50, 60, 100, STATE_DESTROYED_COMPROMISED},
};

START_TEST(dates_take_effect_by_themselves)
{
    struct control c = sample();
    c.state = states[_i].stored;
    c.activation_date = states[_i].activation;
    c.deactivation_date = states[_i].deactivation;
    ck_assert_uint_eq(control_effective_state(&c, states[_i].now), states[_i].want);
}
END_TEST

START_TEST(nothing_happens_before_what_has_happened)
{
    struct control c = sample();
    c.initial_date = 100;
    c.activation_date = 200;
    c.deactivation_date = 300;
    c.compromise_date = 250;
    c.destroy_date = 400;
    static const int64_t earliest[] = {0, 100, 200, 300, 250, 400, 400}; /* by state */
    for (c.state = STATE_PRE_ACTIVE; c.state <= STATE_DESTROYED_COMPROMISED; c.state++) {
        ck_assert_int_eq(control_time(&c, 50), earliest[c.state]);
        ck_assert_int_eq(control_time(&c, 500), 500);
    }
    c.state = STATE_ACTIVE;
    c.activation_date = NO_DATE;
    ck_assert_int_eq(control_time(&c, 50), 100);
}
END_TEST

/* ---- locked memory ---- */

static const size_t lengths[] = {0, 1, 47, 48, 49, 1000, 16368, 16369, 70000, 1000000};

START_TEST(pool_gives_zeroed_aligned_memory_of_any_length)
{
    static struct pool pool = {PTHREAD_MUTEX_INITIALIZER, {NULL}, true, true};
    uint8_t *kept[200];
    size_t len = lengths[_i];
    int count = len > 20000 ? 3 : 200;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < count; i++) {
            kept[i] = pool_alloc(&pool, len);
            ck_assert_ptr_nonnull(kept[i]);
            ck_assert_uint_eq((uintptr_t)kept[i] % 16, 0);
            ck_assert_uint_eq(pool_size(kept[i]), len);
            for (size_t k = 0; k<len; k += len> 999 ? 97 : 1)
                ck_assert_int_eq(kept[i][k], 0);
            memset(kept[i], 0x5A, len);
        }
        for (int i = 0; i < count; i++)
            pool_free(&pool, kept[i]);
    }
}
END_TEST

START_TEST(a_freed_secret_is_wiped)
{
    struct secret *s;
    ck_assert_int_eq(secret_from(bytes_str("top secret bytes"), &s), RC_OK);
    const volatile uint8_t *where = s->data; /* a slot of the pool stays mapped */
    ck_assert_int_eq(where[0], 't');
    secret_free(&s);
    ck_assert_ptr_null(s);
    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(where[i], 0);
}
END_TEST

START_TEST(a_child_sees_no_secret)
{
    struct secret *s;
    ck_assert_int_eq(secret_from(bytes_str("top secret bytes"), &s), RC_OK);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        bool gone = s->len == 0 && s->data[0] == 0 && s->data[15] == 0;
        secret_free(&s);
        _exit(gone ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    secret_free(&s);
}
END_TEST

static void in_child(void (*run)(void), int want_signal)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        run();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == want_signal);
}

static void overrun(void)
{
    struct secret *s;
    if (secret_new(17, &s) == RC_OK) {
        volatile uint8_t *p = s->data;
        p[17] = 1;
        secret_free(&s);
    }
}

static void leave_the_end(void)
{
    struct secret *s;
    if (secret_new(4096 * 8 - sizeof *s, &s) == RC_OK) {
        volatile uint8_t *p = s->data;
        p[s->len] = 1;
    }
}

static void free_twice(void)
{
    struct secret *s, *again;
    if (secret_new(32, &s) == RC_OK) {
        again = s;
        secret_free(&s);
        secret_free(&again);
    }
}

START_TEST(an_overrun_ends_the_process)
{
    in_child(overrun, SIGABRT);
    in_child(free_twice, SIGABRT);
#ifndef HF_SANITIZERS
    in_child(leave_the_end, SIGSEGV);
#else
    (void)leave_the_end;
#endif
}
END_TEST

START_TEST(secrets_compare_by_content)
{
    AUTO_SECRET a = NULL;
    AUTO_SECRET b = NULL;
    AUTO_SECRET c = NULL;
    ck_assert_int_eq(secret_from(bytes_str("0123456789abcdef"), &a), RC_OK);
    ck_assert_int_eq(secret_from(bytes_str("0123456789abcdef"), &b), RC_OK);
    ck_assert_int_eq(secret_from(bytes_str("0123456789abcdeF"), &c), RC_OK);
    ck_assert(secret_equal(a, b));
    ck_assert(!secret_equal(a, c));
    ck_assert(!bytes_equal_ct(bytes_str("a"), bytes_str("ab")));
    ck_assert(bytes_equal_ct(BYTES_NONE, BYTES_NONE));
    struct secret *given = secret_give(&b);
    ck_assert_ptr_null(b);
    secret_free(&given);
}
END_TEST

/* ---- usage ---- */

enum { ENCRYPT = 0x4, DECRYPT = 0x8, SIGN = 0x1, VERIFY = 0x2, ALL = ENCRYPT | DECRYPT | SIGN | VERIFY };

static const struct {
    uint32_t state;
    int64_t start, stop; /* process start, protect stop */
    uint32_t want;
} usable[] = {
    {STATE_PRE_ACTIVE, NO_DATE, NO_DATE, 0},
    {STATE_ACTIVE, NO_DATE, NO_DATE, ALL},
    {STATE_ACTIVE, 100, 101, ALL},
    {STATE_ACTIVE, 101, NO_DATE, ENCRYPT | SIGN},
    {STATE_ACTIVE, NO_DATE, 100, DECRYPT | VERIFY},
    {STATE_ACTIVE, 101, 100, 0},
    {STATE_DEACTIVATED, NO_DATE, NO_DATE, DECRYPT | VERIFY},
    {STATE_DEACTIVATED, 101, NO_DATE, 0},
    {STATE_COMPROMISED, NO_DATE, 101, DECRYPT | VERIFY},
    {STATE_DESTROYED, NO_DATE, NO_DATE, 0},
    {STATE_DESTROYED_COMPROMISED, NO_DATE, NO_DATE, 0},
};

START_TEST(state_and_dates_bound_the_usage)
{
    struct control c = {.state = usable[_i].state,
                        .usage_mask = ALL,
                        .activation_date = 1,
                        .deactivation_date = NO_DATE,
                        .process_start_date = usable[_i].start,
                        .protect_stop_date = usable[_i].stop};
    if (c.state == STATE_PRE_ACTIVE)
        c.activation_date = 101;
    ck_assert_uint_eq(control_usable(&c, 100), usable[_i].want);
    c.usage_mask = DECRYPT; /* never more than the mask */
    ck_assert_uint_eq(control_usable(&c, 100), usable[_i].want & DECRYPT);
}
END_TEST

/* ---- symmetric algorithms ---- */

enum { DES = 1, DES3 = 2, AES = 3, HMAC_SHA256 = 9, BLOWFISH = 0x10, RC4 = 0x16, SKIPJACK = 0x18, PAD = 0x1B };

static const struct {
    uint32_t algorithm, bits;
    size_t bytes; /* 0: no such key */
    uint32_t back; /* what symmetric_bits() makes of the bytes */
} keys[] = {
    {AES, 128, 16, 128},
    {AES, 192, 24, 192},
    {AES, 256, 32, 256},
    {AES, 0, 0, 0},
    {AES, 127, 0, 0},
    {AES, 160, 0, 0},
    {AES, 320, 0, 0},
    {DES, 56, 8, 56},
    {DES, 64, 8, 56}, /* parity counted */
    {DES, 112, 0, 0},
    {DES3, 112, 16, 112},
    {DES3, 128, 16, 112},
    {DES3, 168, 24, 168},
    {DES3, 192, 24, 168},
    {DES3, 56, 0, 0},
    {DES3, 120, 0, 0},
    {DES3, 256, 0, 0},
    {HMAC_SHA256, 8, 1, 8},
    {HMAC_SHA256, 250, 0, 0},
    {HMAC_SHA256, 65536, 8192, 65536},
    {BLOWFISH, 24, 0, 0},
    {BLOWFISH, 448, 56, 448},
    {RC4, 2048, 256, 2048},
    {RC4, 2056, 0, 0},
    {SKIPJACK, 80, 10, 80},
    {PAD, UINT32_MAX, 0, 0},
};

START_TEST(a_key_has_the_bytes_of_its_length)
{
    const struct symmetric *s = symmetric_find(keys[_i].algorithm);
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(symmetric_bytes(s, keys[_i].bits), keys[_i].bytes);
    if (keys[_i].bytes)
        ck_assert_uint_eq(symmetric_bits(s, keys[_i].bytes), keys[_i].back);
}
END_TEST

START_TEST(a_length_that_no_key_has_is_none)
{
    ck_assert_ptr_null(symmetric_find(0));
    ck_assert_ptr_null(symmetric_find(4));    /* RSA */
    ck_assert_ptr_null(symmetric_find(0x20)); /* SHA3-256: a hash, not an HMAC */
    const struct symmetric *aes = symmetric_find(AES);
    ck_assert_uint_eq(symmetric_bits(aes, 0), 0);
    ck_assert_uint_eq(symmetric_bits(aes, 17), 0);
    ck_assert_uint_eq(symmetric_bits(aes, SIZE_MAX), 0);
    ck_assert_uint_eq(symmetric_bits(symmetric_find(HMAC_SHA256), (size_t)1 << 32), 0);
}
END_TEST

START_TEST(each_row_of_the_table_agrees_with_itself)
{
    size_t count;
    const struct symmetric *table = symmetric_table(&count);
    ck_assert_uint_gt(count, 30);
    for (size_t i = 0; i < count; i++) {
        const struct symmetric *s = &table[i];
        ck_assert_ptr_eq(symmetric_find(s->algorithm), s); /* once */
        ck_assert_uint_gt(s->step, 0);
        ck_assert_uint_gt(symmetric_bytes(s, s->least), 0);
        ck_assert_uint_gt(symmetric_bytes(s, s->most), 0);
        ck_assert(s->preset == 0 || symmetric_bytes(s, s->preset) > 0);
        ck_assert_uint_eq(symmetric_bits(s, symmetric_bytes(s, s->most)), s->most);
    }
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof(a)[0])

int main(void)
{
    Suite *s = suite_create("base");
    TCase *t = tcase_create("base");
    tcase_add_loop_test(t, uid_text_is_read_strictly, 0, COUNT(texts));
    tcase_add_test(t, uid_prints_what_it_read_in_lower_case);
    tcase_add_test(t, new_uids_are_version_7_distinct_and_in_order);
    tcase_add_test(t, canonical_form_is_fixed);
    tcase_add_test(t, canonical_form_reads_back_and_covers_every_byte);
    tcase_add_loop_test(t, dates_take_effect_by_themselves, 0, COUNT(states));
    tcase_add_test(t, nothing_happens_before_what_has_happened);
    tcase_add_loop_test(t, pool_gives_zeroed_aligned_memory_of_any_length, 0, COUNT(lengths));
    tcase_add_test(t, a_freed_secret_is_wiped);
    tcase_add_test(t, a_child_sees_no_secret);
    tcase_add_test(t, an_overrun_ends_the_process);
    tcase_add_test(t, secrets_compare_by_content);
    tcase_add_loop_test(t, state_and_dates_bound_the_usage, 0, COUNT(usable));
    tcase_add_loop_test(t, a_key_has_the_bytes_of_its_length, 0, COUNT(keys));
    tcase_add_test(t, a_length_that_no_key_has_is_none);
    tcase_add_test(t, each_row_of_the_table_agrees_with_itself);
    suite_add_tcase(s, t);
    suite_add_tcase(s, trace_tests());
    SRunner *sr = srunner_create(s);
#ifdef HF_SANITIZERS
    srunner_set_fork_status(sr, CK_NOFORK);
#endif
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
