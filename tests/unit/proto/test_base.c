/* Arena, buffer and results: caps, alignment, wiping, one text and reason for each result. */
#include "tests/unit/proto/proto_tests.h"

START_TEST(arena_stops_at_its_cap)
{
    AUTO_ARENA a = ARENA_OF(20000);
    ck_assert_ptr_nonnull(arena_alloc(&a, 100));
    ck_assert_ptr_null(arena_alloc(&a, 20000));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_array(&a, SIZE_MAX / 2, 4));
    ck_assert_ptr_nonnull(arena_alloc(&a, 100));
}
END_TEST

START_TEST(arena_gives_zeroed_aligned_memory_after_a_reset)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    memset(arena_alloc(&a, 333), 0xAA, 333);
    arena_reset(&a);
    unsigned char *p = arena_alloc(&a, 333);
    ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
    for (int i = 0; i < 333; i++)
        ck_assert_uint_eq(p[i], 0);
    ck_assert_str_eq(arena_fmt(&a, "%d %s", 7, "x"), "7 x");
    struct bytes copy = arena_copy(&a, bytes_str("abc"));
    ck_assert(bytes_is(copy, "abc") && copy.data[3] == 0);
}
END_TEST

START_TEST(arena_goes_back_to_a_mark)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct arena_mark empty = arena_mark(&a);
    unsigned char *kept = arena_alloc(&a, 100);
    memset(kept, 0xAA, 100);
    struct arena_mark mark = arena_mark(&a);
    size_t used = a.used;
    for (int round = 0; round < 2; round++) {
        unsigned char *near = arena_alloc(&a, 100);
        memset(near, 0xBB, 100);
        for (int i = 0; i < 20; i++)
            memset(arena_alloc(&a, 4000), 0xCC, 4000);
        ck_assert_uint_gt(a.used, used);
        arena_back(&a, mark);
        ck_assert_uint_eq(a.used, used);
        for (int i = 0; i < 100;
             i++) { /* still in the first block: wiped, and the next to go out */
            ck_assert_uint_eq(kept[i], 0xAA);
            ck_assert_uint_eq(near[i], 0);
        }
        ck_assert_ptr_eq(arena_alloc(&a, 100), near);
        arena_back(&a, mark);
    }
    arena_back(&a, empty);
    ck_assert_uint_eq(a.used, 0);
    ck_assert_ptr_nonnull(arena_alloc(&a, 100));
}
END_TEST

START_TEST(buffer_grows_drops_and_cuts)
{
    AUTO_BUF b = BUF_EMPTY, other = BUF_EMPTY;
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(buf_add_be16(&b, (uint16_t)i), RC_OK);
    ck_assert_uint_eq(b.len, 2000);
    buf_drop_front(&b, 10);
    ck_assert_uint_eq(load_be16(b.data), 5);
    buf_cut(&b, 4);
    ck_assert_uint_eq(b.len, 4);
    ck_assert_int_eq(buf_add_u8(&b, 1), RC_OK);
    ck_assert_int_eq(buf_add_fmt(&b, "%s", "text"), RC_OK);
    ck_assert_int_eq(buf_add_str(&b, "!"), RC_OK);
    ck_assert_uint_eq(b.len, 10);
    ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - 5), RC_NO_MEMORY);
    buf_take(&other, &b);
    ck_assert_uint_eq(other.len, 10);
    ck_assert_ptr_null(b.data);
    buf_clear(&other);
    ck_assert_uint_eq(other.len, 0);
}
END_TEST

START_TEST(each_result_has_name_text_and_reason)
{
    for (int rc = 0; rc < RC_COUNT; rc++) {
        ck_assert_int_eq(strncmp(rc_name((rc_t)rc), "RC_", 3), 0);
        ck_assert_uint_gt(strlen(rc_text((rc_t)rc)), 0);
        ck_assert(rc == RC_OK ? rc_reason((rc_t)rc) == 0 : rc_reason((rc_t)rc) != 0);
    }
    ck_assert_ptr_nonnull(rc_name((rc_t)9999));
    ck_assert_ptr_nonnull(rc_text((rc_t)9999));
}
END_TEST

TCase *base_tests(void)
{
    TCase *tc = tcase_create("base");
    tcase_add_test(tc, arena_stops_at_its_cap);
    tcase_add_test(tc, arena_gives_zeroed_aligned_memory_after_a_reset);
    tcase_add_test(tc, arena_goes_back_to_a_mark);
    tcase_add_test(tc, buffer_grows_drops_and_cuts);
    tcase_add_test(tc, each_result_has_name_text_and_reason);
    return tc;
}
