/* Binary TTLV: what must be refused, first; then what is read is what was written. */
#include "tests/unit/proto/proto_tests.h"

static const struct {
    const char *why, *hex;
    rc_t want;
} inputs[] = {
    {"nothing", "", RC_SHORT_INPUT},
    {"seven bytes", "420078 01 000000", RC_SHORT_INPUT},
    {"tag below 42", "410001 02 00000004 0000000100000000", RC_BAD_TAG},
    {"unused tag 43", "430001 02 00000004 0000000100000000", RC_BAD_TAG},
    {"unused tag 55", "550001 02 00000004 0000000100000000", RC_BAD_TAG},
    {"type 0", "420001 00 00000004 0000000100000000", RC_BAD_ITEM_TYPE},
    {"type 12", "420001 0C 00000004 0000000100000000", RC_BAD_ITEM_TYPE},
    {"type 255", "420001 FF 00000004 0000000100000000", RC_BAD_ITEM_TYPE},
    {"integer of 8", "420001 02 00000008 0000000100000000", RC_BAD_LENGTH},
    {"integer of 0", "420001 02 00000000", RC_BAD_LENGTH},
    {"enumeration of 3", "420001 05 00000003 0000010000000000", RC_BAD_LENGTH},
    {"interval of 8", "420001 0A 00000008 0000010000000000", RC_BAD_LENGTH},
    {"long integer of 4", "420001 03 00000004 0000000100000000", RC_BAD_LENGTH},
    {"date-time of 4", "420001 09 00000004 0000000100000000", RC_BAD_LENGTH},
    {"date-time extended of 4", "420001 0B 00000004 0000000100000000", RC_BAD_LENGTH},
    {"boolean of 1", "420001 06 00000001 0100000000000000", RC_BAD_LENGTH},
    {"boolean 2", "420001 06 00000008 0000000000000002", RC_BAD_BOOLEAN},
    {"boolean with a high bit", "420001 06 00000008 8000000000000001", RC_BAD_BOOLEAN},
    {"big integer of 4", "420001 04 00000004 0000000100000000", RC_BAD_LENGTH},
    {"big integer of 0", "420001 04 00000000", RC_BAD_LENGTH},
    {"integer past the end", "420001 02 00000004 00000001", RC_SHORT_INPUT},
    {"text past the end", "420001 07 00000009 4142434445464748", RC_SHORT_INPUT},
    {"text without its padding", "420001 07 00000001 41", RC_SHORT_INPUT},
    {"longest length", "420001 08 FFFFFFFF 4142434445464748", RC_SHORT_INPUT},
    {"length that wraps with its padding", "420001 08 FFFFFFF9 4142434445464748", RC_SHORT_INPUT},
    {"longest structure", "420001 01 FFFFFFF8 4142434445464748", RC_SHORT_INPUT},
    {"padding of an integer", "420001 02 00000004 0000000100000001", RC_BAD_PADDING},
    {"padding of a text", "420001 07 00000001 4100000000000001", RC_BAD_PADDING},
    {"padding of bytes", "420001 08 00000007 4142434445464701", RC_BAD_PADDING},
    {"text with NUL", "420001 07 00000003 4100420000000000", RC_BAD_UTF8},
    {"text with an overlong slash", "420001 07 00000002 C0AF000000000000", RC_BAD_UTF8},
    {"text with a lone continuation", "420001 07 00000001 8000000000000000", RC_BAD_UTF8},
    {"text that ends inside a character", "420001 07 00000002 E282000000000000", RC_BAD_UTF8},
    {"text with a surrogate", "420001 07 00000003 EDA0800000000000", RC_BAD_UTF8},
    {"text over U+10FFFF", "420001 07 00000004 F490800000000000", RC_BAD_UTF8},
    {"overlong three bytes", "420001 07 00000003 E080800000000000", RC_BAD_UTF8},
    {"overlong four bytes", "420001 07 00000004 F080808000000000", RC_BAD_UTF8},
    {"bad third byte", "420001 07 00000003 E282410000000000", RC_BAD_UTF8},
    {"byte F5", "420001 07 00000004 F580808000000000", RC_BAD_UTF8},
    {"structure of 4", "420001 01 00000004 0000000000000000", RC_BAD_LENGTH},
    {"child past its structure",
     "420001 01 00000010 420002 08 00000009 4142434445464748 4900000000000000", RC_SHORT_INPUT},
    {"eight bytes of a child", "420001 01 00000008 420002 02 00000004", RC_SHORT_INPUT},
    {"bytes after the item", "420001 01 00000000 00", RC_BAD_LENGTH},
    {"an item after the item", "420001 01 00000000 420001 01 00000000", RC_BAD_LENGTH},
    /* and what is taken */
    {"empty structure", "420001 01 00000000", RC_OK},
    {"extension tag", "540001 02 00000004 FFFFFFFF00000000", RC_OK},
    {"empty text", "420001 07 00000000", RC_OK},
    {"empty bytes", "420001 08 00000000", RC_OK},
    {"text of eight", "420001 07 00000008 4142434445464748", RC_OK},
    {"text with euro and clef", "420001 07 00000007 E282ACF09D849E00", RC_OK},
    {"highest character", "420001 07 00000004 F48FBFBF00000000", RC_OK},
    {"boolean true", "420001 06 00000008 0000000000000001", RC_OK},
    {"date-time extended", "420001 0B 00000008 0000000000000001", RC_OK},
    {"structure with two",
     "420001 01 00000020 420002 02 00000004 0000000100000000 "
     "420003 05 00000004 0000000200000000",
     RC_OK},
};

START_TEST(input_is_taken_or_refused_as_the_table_says)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct node *n = NULL;
    rc_t rc = ttlv_read(&a, unhex(&a, inputs[_i].hex), NULL, &n);
    ck_assert_msg(rc == inputs[_i].want, "%s: %s", inputs[_i].why, rc_name(rc));
    if (rc != RC_OK)
        return;
    AUTO_BUF again = BUF_EMPTY;
    ck_assert_int_eq(ttlv_write_node(&again, 0, n), RC_OK);
    ck_assert(bytes_equal(buf_view(&again), unhex(&a, inputs[_i].hex)));
}
END_TEST

static const struct {
    const char *why, *hex;
    size_t max;
    rc_t want;
    size_t total;
} frames[] = {
    {"response tag", "42007B 01 00000008", 1000, RC_BAD_TAG, 0},
    {"an HTTP request", "47455420 2F204854", 1000, RC_BAD_TAG, 0},
    {"TLS hello", "16030100 00000000", 1000, RC_BAD_TAG, 0},
    {"not a structure", "420078 07 00000008", 1000, RC_BAD_TYPE, 0},
    {"odd length", "420078 01 00000009", 1000, RC_BAD_LENGTH, 0},
    {"one too long", "420078 01 000003E8", 1000, RC_TOO_LARGE, 0},
    {"4 GiB", "420078 01 FFFFFFF8", 1048576, RC_TOO_LARGE, 0},
    {"limit below a header", "420078 01 00000000", 4, RC_TOO_LARGE, 0},
    {"just fits", "420078 01 000003E0", 1000, RC_OK, 1000},
    {"empty", "420078 01 00000000", 8, RC_OK, 8},
};

START_TEST(frame_is_checked_before_memory)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    size_t total = 0;
    struct bytes header = unhex(&a, frames[_i].hex);
    ck_assert_msg(ttlv_frame_check(header.data, frames[_i].max, &total) == frames[_i].want, "%s",
                  frames[_i].why);
    ck_assert_uint_eq(total, frames[_i].total);
}
END_TEST

START_TEST(response_frame_has_its_own_tag)
{
    size_t total;
    ck_assert_int_eq(
        ttlv_frame_check_response((const uint8_t *)"\x42\x00\x7B\x01\x00\x00\x00\x08", 99, &total),
        RC_OK);
    ck_assert_uint_eq(total, 16);
    ck_assert_int_eq(
        ttlv_frame_check_response((const uint8_t *)"\x42\x00\x78\x01\x00\x00\x00\x08", 99, &total),
        RC_BAD_TAG);
}
END_TEST

/* `levels` structures inside each other. */
static struct bytes nested(struct arena *a, size_t levels)
{
    uint8_t *data = arena_alloc(a, levels * 8);
    for (size_t i = 0; i < levels; i++) {
        memcpy(data + i * 8, "\x42\x00\x01\x01", 4);
        store_be32(data + i * 8 + 4, (uint32_t)((levels - 1 - i) * 8));
    }
    return bytes_of(data, levels * 8);
}

START_TEST(depth_has_a_limit)
{
    AUTO_ARENA a = ARENA_OF(1 << 24);
    struct node *n;
    struct ttlv_limits wide = TTLV_LIMITS_DEFAULT;
    wide.depth = UINT32_MAX;
    ck_assert_int_eq(ttlv_read(&a, nested(&a, 32), NULL, &n), RC_OK);
    ck_assert_int_eq(ttlv_read(&a, nested(&a, 33), NULL, &n), RC_TOO_DEEP);
    ck_assert_int_eq(ttlv_read(&a, nested(&a, 100000), &wide, &n), RC_TOO_DEEP);
}
END_TEST

START_TEST(count_size_and_text_have_limits)
{
    AUTO_ARENA a = ARENA_OF(1 << 24);
    AUTO_BUF b = BUF_EMPTY;
    struct node *n;
    struct ttlv_limits tight = TTLV_LIMITS_DEFAULT;
    size_t mark;
    tight.items = 5;
    ttlv_begin(&b, 0x420001, &mark);
    for (int i = 0; i < 4; i++)
        ttlv_write_enum(&b, 0x420002, 1);
    ttlv_end(&b, mark);
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), &tight, &n), RC_OK);
    tight.items = 4;
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), &tight, &n), RC_TOO_MANY);
    tight = TTLV_LIMITS_DEFAULT;
    tight.message = (uint32_t)b.len - 1;
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), &tight, &n), RC_TOO_LARGE);
    buf_clear(&b);
    ttlv_write_bytes(&b, 0x420002, TTLV_TEXT_STRING, bytes_str("12345"));
    tight = TTLV_LIMITS_DEFAULT;
    tight.text = 4;
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), &tight, &n), RC_TOO_LARGE);
    tight.text = 5;
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), &tight, &n), RC_OK);
}
END_TEST

START_TEST(memory_has_a_cap)
{
    AUTO_ARENA big = ARENA_OF(1 << 24), small = ARENA_OF(10000);
    AUTO_BUF b = BUF_EMPTY;
    struct node *n;
    size_t mark;
    ttlv_begin(&b, 0x420001, &mark);
    for (int i = 0; i < 1000; i++)
        ttlv_write_enum(&b, 0x420002, 1);
    ttlv_end(&b, mark);
    ck_assert_int_eq(ttlv_read(&big, buf_view(&b), NULL, &n), RC_OK);
    ck_assert_int_eq(ttlv_read(&small, buf_view(&b), NULL, &n), RC_NO_MEMORY);
}
END_TEST

static struct node *sample(struct arena *a)
{
    struct node *n = node_structure(a, 0x420001);
    node_append(n, node_integer(a, 0x420002, -7));
    node_append(n, node_long(a, 0x420003, INT64_MIN));
    node_append(n, node_big_integer(a, 0x420004, bytes_str("12345678")));
    node_append(n, node_enum(a, 0x420005, 0x80000001));
    node_append(n, node_boolean(a, 0x420006, true));
    node_append(n, node_text(a, 0x420007, bytes_str("secret text")));
    node_append(n, node_bytes(a, 0x420008, bytes_str("secret bytes")));
    node_append(n, node_date_time(a, 0x420009, -1));
    node_append(n, node_interval(a, 0x42000A, 3600));
    node_append(n, node_date_time_extended(a, 0x42000B, 1234567));
    node_append(n, node_structure(a, 0x42000C));
    return n;
}

START_TEST(every_type_goes_round)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct node *in = sample(&a), *out;
    ck_assert_int_eq(ttlv_write_node(&b, 0, in), RC_OK);
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), NULL, &out), RC_OK);
    ck_assert(node_equal(in, out));
    ck_assert(node_equal(in, node_copy(&a, in)));
}
END_TEST

START_TEST(writer_says_nothing_that_the_reader_refuses)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct node odd = {.tag = 0x420001, .type = 12};
    ck_assert_int_eq(ttlv_write_bytes(&b, 0x420001, TTLV_BIG_INTEGER, bytes_str("1")),
                     RC_BAD_LENGTH);
    ck_assert_int_eq(ttlv_write_bytes(&b, 0x420001, TTLV_BIG_INTEGER, BYTES_NONE), RC_BAD_LENGTH);
    ck_assert_int_eq(ttlv_write_bytes(&b, 0x420001, TTLV_INTEGER, bytes_str("1234")), RC_BAD_TYPE);
    ck_assert_int_eq(ttlv_write_node(&b, 0, &odd), RC_BAD_TYPE);
    ck_assert_int_eq(ttlv_write_bytes(&b, 0x420001, TTLV_TEXT_STRING, bytes_str("\xC0\xAF")),
                     RC_BAD_UTF8);
    ck_assert_int_eq(ttlv_write_bytes(&b, 0x420001, TTLV_TEXT_STRING, bytes_of("a\0b", 3)),
                     RC_BAD_UTF8);
    ck_assert_uint_eq(b.len, 0);
    struct node *deep = node_structure(&a, 0x420001);
    node_append(deep, node_text(&a, 0x420002, bytes_str("\x80")));
    ck_assert_int_eq(ttlv_write_node(&b, 0, deep), RC_BAD_UTF8);
    buf_clear(&b);
    ck_assert_int_eq(ttlv_write_bytes(&b, 0x420001, TTLV_BYTE_STRING, bytes_str("\xC0\xAF")),
                     RC_OK);
    ck_assert_uint_eq(b.len, 16);
}
END_TEST

START_TEST(nodes_differ_by_any_value)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    for (int skip = 0; skip < 11; skip++) {
        struct node *x = sample(&a), *y = sample(&a);
        struct node *c = y->first;
        for (int i = 0; i < skip; i++)
            c = c->next;
        ck_assert(node_equal(x, y));
        if (c->type == TTLV_STRUCTURE)
            node_append(c, node_boolean(&a, 0x420001, false));
        else if (node_has_bytes(c))
            c->bytes.len--;
        else if (c->type == TTLV_BOOLEAN)
            c->boolean = false;
        else
            c->integer++;
        ck_assert(!node_equal(x, y));
        c->type = TTLV_STRUCTURE;
        c->first = c->last = NULL;
        c->count = 0;
        ck_assert(skip == 10 || !node_equal(x, y));
    }
    ck_assert(node_equal(NULL, NULL) && !node_equal(sample(&a), NULL) &&
              !node_value_equal(NULL, sample(&a)));
    ck_assert_ptr_null(node_child(NULL, 1));
    ck_assert_ptr_null(node_child(sample(&a), 0x420099));
    ck_assert_ptr_nonnull(node_child(sample(&a), 0x420009));
    ck_assert_int_eq(node_append(NULL, NULL), RC_NO_MEMORY);
}
END_TEST

START_TEST(print_shows_no_content)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    ck_assert_int_eq(node_print(sample(&a), &b), RC_OK);
    buf_add_u8(&b, 0);
    ck_assert_ptr_null(strstr((char *)b.data, "secret"));
    ck_assert_ptr_nonnull(strstr((char *)b.data, "byte string of 12 bytes"));
    ck_assert_ptr_nonnull(strstr((char *)b.data, "integer -7"));
}
END_TEST

TCase *ttlv_tests(void)
{
    TCase *tc = tcase_create("ttlv");
    tcase_add_loop_test(tc, input_is_taken_or_refused_as_the_table_says, 0, COUNT_OF(inputs));
    tcase_add_loop_test(tc, frame_is_checked_before_memory, 0, COUNT_OF(frames));
    tcase_add_test(tc, response_frame_has_its_own_tag);
    tcase_add_test(tc, depth_has_a_limit);
    tcase_add_test(tc, count_size_and_text_have_limits);
    tcase_add_test(tc, memory_has_a_cap);
    tcase_add_test(tc, every_type_goes_round);
    tcase_add_test(tc, writer_says_nothing_that_the_reader_refuses);
    tcase_add_test(tc, nodes_differ_by_any_value);
    tcase_add_test(tc, print_shows_no_content);
    return tc;
}
