/* Whole messages: damaged ones, items that fail alone, extensions, and every operation in every
 * version. */
#include "tests/unit/proto/proto_tests.h"

#include "tests/support/kmip_fill.h"

static size_t all_operations(uint16_t version, uint32_t out[128])
{
    size_t count, n = 0;
    const struct kmip_entry *ops = kmip_enum_values(KMIP_TAG_OPERATION, &count);
    for (size_t i = 0; i < count; i++)
        if (kmip_enum_known(KMIP_TAG_OPERATION, ops[i].value, version))
            out[n++] = ops[i].value;
    return n;
}

START_TEST(all_operations_go_round)
{
    uint16_t version = kmip_versions[_i];
    uint32_t operations[128];
    size_t count = all_operations(version, operations);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        AUTO_ARENA a = ARENA_OF(1 << 24);
        AUTO_BUF first = BUF_EMPTY, second = BUF_EMPTY;
        struct fill f = {&a, version, seed * 31337, (int)(seed % 3), 0};
        struct kmip_request *rq = fill_request(&f, operations, count), *read = NULL;
        rc_t rc = kmip_request_write(&first, rq);
        ck_assert_msg(rc == RC_OK, "%s", rc_name(rc));
        rc = kmip_request_read(&a, buf_view(&first), NULL, &read);
        ck_assert_msg(rc == RC_OK, "%s", rc_name(rc));
        ck_assert_uint_eq(read->version, version);
        for (size_t i = 0; i < count; i++) {
            ck_assert_msg(read->item_rc[i] == RC_OK, "%s: %s", kmip_operation_text(operations[i]),
                          rc_name(read->item_rc[i]));
            ck_assert_uint_eq(read->items[i].operation, operations[i]);
            ck_assert_ptr_nonnull(read->payloads[i]);
        }
        ck_assert_int_eq(kmip_request_write(&second, read), RC_OK);
        ck_assert(bytes_equal(buf_view(&first), buf_view(&second)));

        struct kmip_response *rs = fill_response(&f, operations, count), *back = NULL;
        buf_clear(&first);
        buf_clear(&second);
        ck_assert_int_eq(kmip_response_write(&first, rs), RC_OK);
        rc = kmip_response_read(&a, buf_view(&first), NULL, &back);
        ck_assert_msg(rc == RC_OK, "%s", rc_name(rc));
        for (size_t i = 0; i < count; i++)
            ck_assert_int_eq(back->item_rc[i], RC_OK);
        ck_assert_int_eq(kmip_response_write(&second, back), RC_OK);
        ck_assert(bytes_equal(buf_view(&first), buf_view(&second)));
    }
}
END_TEST

/* Header and items as text: what stands between is put together by build(). */
#define PV(major, minor)                                                                           \
    "420069 01 00000020 42006A 02 00000004 000000" major                                           \
    "00000000 42006B 02 00000004 000000" minor "00000000"
#define COUNT(n) "42000D 02 00000004 000000" n "00000000"
#define OP(n)    "42005C 05 00000004 000000" n "00000000"
#define EMPTY    "420079 01 00000000"
#define ITEM(op) "42000F 01 00000018" OP(op) EMPTY
#define EXTENDED(op, critical)                                                                     \
    "42000F 01 00000048" OP(op) EMPTY                                                              \
    "420051 01 00000028 42009D 07 00000001 6100000000000000 420026 06 00000008 00000000000000"     \
    critical "42009C 01 00000000"
#define HEADER14 "420077 01 00000038" PV("01", "04") COUNT("01")

static const struct {
    const char *why, *inner;
    rc_t want, item;
} messages[] = {
    {"no header", ITEM("18"), RC_BAD_MESSAGE, 0},
    {"nothing", "", RC_BAD_MESSAGE, 0},
    {"header is not a structure", "420077 02 00000004 0000000100000000", RC_BAD_MESSAGE, 0},
    {"empty header", "420077 01 00000000" ITEM("18"), RC_BAD_MESSAGE, 0},
    {"no batch count", "420077 01 00000028" PV("01", "04") ITEM("18"), RC_BAD_ORDER, 0},
    {"version not first", "420077 01 00000038" COUNT("01") PV("01", "04") ITEM("18"),
     RC_BAD_MESSAGE, 0},
    {"version 3.0", "420077 01 00000038" PV("03", "00") COUNT("01") ITEM("18"), RC_BAD_VERSION, 0},
    {"version 1.5", "420077 01 00000038" PV("01", "05") COUNT("01") ITEM("18"), RC_BAD_VERSION, 0},
    {"version 0.0", "420077 01 00000038" PV("00", "00") COUNT("01") ITEM("18"), RC_BAD_VERSION, 0},
    {"count 2 of 1", "420077 01 00000038" PV("01", "04") COUNT("02") ITEM("18"), RC_BAD_MESSAGE, 0},
    {"count 1 of 2", HEADER14 ITEM("18") ITEM("18"), RC_BAD_MESSAGE, 0},
    {"count 0 of 0", "420077 01 00000038" PV("01", "04") COUNT("00"), RC_BAD_MESSAGE, 0},
    {"something after the items", HEADER14 ITEM("18") "420008 01 00000000", RC_BAD_MESSAGE, 0},
    {"unknown field in the header",
     "420077 01 00000048" PV("01", "04") "42FFF0 02 00000004 0000000100000000" COUNT("01")
         ITEM("18"),
     RC_UNKNOWN_TAG, 0},
    {"field of 1.4 in 1.3",
     "420077 01 00000048" PV("01", "03") "420105 07 00000001 6100000000000000" COUNT("01")
         ITEM("18"),
     RC_UNKNOWN_TAG, 0},
    {"known field out of place",
     "420077 01 00000048" PV("01", "04") "420057 05 00000004 0000000200000000" COUNT("01")
         ITEM("18"),
     RC_BAD_ORDER, 0},
    {"item without operation", HEADER14 "42000F 01 00000008" EMPTY, RC_OK, RC_BAD_ORDER},
    {"item without payload", HEADER14 "42000F 01 00000010" OP("18"), RC_OK, RC_BAD_ORDER},
    {"payload is a text", HEADER14 "42000F 01 00000018" OP("18") "420079 07 00000000", RC_OK,
     RC_BAD_TYPE},
    {"item is a text", HEADER14 "42000F 07 00000000", RC_OK, RC_BAD_TYPE},
    {"unknown operation", HEADER14 ITEM("99"), RC_OK, RC_OP_UNSUPPORTED},
    {"operation of 2.0 in 1.4", HEADER14 ITEM("2D"), RC_OK, RC_OP_UNSUPPORTED},
    {"payload lacks a field", HEADER14 ITEM("18"), RC_OK, RC_BAD_ORDER},
    {"ephemeral in 1.4",
     HEADER14 "42000F 01 00000028" OP("0A") "420154 06 00000008 0000000000000001" EMPTY, RC_OK,
     RC_UNKNOWN_TAG},
    {"extension that is not critical", HEADER14 EXTENDED("0A", "00"), RC_OK, RC_OK},
    {"critical extension", HEADER14 EXTENDED("0A", "01"), RC_OK, RC_CRITICAL_EXTENSION},
    {"extension without its indicator",
     HEADER14 "42000F 01 00000038" OP("0A") EMPTY
     "420051 01 00000018 42009D 07 00000001 6100000000000000 42009C 01 00000000",
     RC_OK, RC_BAD_ORDER},
    {"Get without fields", HEADER14 ITEM("0A"), RC_OK, RC_OK},
};

static struct bytes message(struct arena *a, const char *tag, const char *inner)
{
    struct bytes body = unhex(a, inner);
    AUTO_BUF b = BUF_EMPTY;
    size_t mark;
    ttlv_begin(&b, load_be32(unhex(a, tag).data), &mark);
    buf_add_bytes(&b, body);
    ttlv_end(&b, mark);
    return arena_copy(a, buf_view(&b));
}

START_TEST(messages_are_taken_as_the_table_says)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_request *rq = NULL;
    rc_t rc = kmip_request_read(&a, message(&a, "00420078", messages[_i].inner), NULL, &rq);
    ck_assert_msg(rc == messages[_i].want, "%s: %s", messages[_i].why, rc_name(rc));
    ck_assert_ptr_nonnull(rq);
    if (rc != RC_OK)
        return;
    ck_assert_msg(rq->item_rc[0] == messages[_i].item, "%s: %s", messages[_i].why,
                  rc_name(rq->item_rc[0]));
    ck_assert((rq->items[0].payload != NULL) == (messages[_i].item == RC_OK));
}
END_TEST

START_TEST(refused_version_is_told)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_request *rq = NULL;
    struct bytes in =
        message(&a, "00420078", "420077 01 00000038" PV("03", "07") COUNT("01") ITEM("18"));
    ck_assert_int_eq(kmip_request_read(&a, in, NULL, &rq), RC_BAD_VERSION);
    ck_assert_uint_eq(rq->version, 0x0307);
    /* as far as the header is sound, also of what cannot be read */
    static const struct {
        const char *inner;
        uint16_t want;
    } damaged[] = {
        {"420077 01 00000038" PV("02", "01") COUNT("01") "42000F 01 00000009", V2_1},
        {"420077 01 00000038" PV("01", "03") "42000D 02 00000004 0000000100000001", V1_3},
        {"420077 01 00000038" PV("02", "00"), V2_0},
        {"420077 01 00000028 420069 01 00000020 42006A 02 00000004 0000000100000000", 0},
        {"420077 07 00000038" PV("01", "03") "42000D 02 00000004 0000000100000001", 0},
        {"", 0},
    };
    for (int i = 0; i < COUNT_OF(damaged); i++) {
        ck_assert_int_ne(
            kmip_request_read(&a, message(&a, "00420078", damaged[i].inner), NULL, &rq), RC_OK);
        ck_assert_uint_eq(rq->version, damaged[i].want);
    }
    in = message(&a, "0042007B", HEADER14 ITEM("18"));
    ck_assert_int_eq(kmip_request_read(&a, in, NULL, &rq), RC_BAD_MESSAGE);
    ck_assert_int_eq(kmip_response_read(&a, in, NULL, &(struct kmip_response *){NULL}),
                     RC_BAD_MESSAGE);
}
END_TEST

/* An item that cannot be read leaves what could be read of it, and the others. */
START_TEST(an_item_that_cannot_be_read_fails_alone)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_request *rq = NULL;
    struct bytes in =
        message(&a, "00420078",
                "420077 01 00000038" PV("01", "04") COUNT("03") ITEM("0A") "42000F 01 00000038" OP(
                    "0A") "420093 08 00000001 6200000000000000" EMPTY OP("0A") ITEM("0A"));
    ck_assert_int_eq(kmip_request_read(&a, in, NULL, &rq), RC_OK);
    ck_assert_uint_eq(rq->count, 3);
    ck_assert_int_eq(rq->item_rc[0], RC_OK);
    ck_assert_int_eq(rq->item_rc[1], RC_BAD_ORDER);
    ck_assert_int_eq(rq->item_rc[2], RC_OK);
    ck_assert_uint_eq(rq->items[1].operation, KMIP_OP_GET);
    ck_assert(bytes_is(rq->items[1].unique_id, "b"));
    ck_assert_ptr_null(rq->items[1].payload);
}
END_TEST

START_TEST(one_bad_item_leaves_the_others_whole)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_request *rq = NULL;
    struct bytes in =
        message(&a, "00420078",
                "420077 01 00000038" PV("02", "00") COUNT("03") ITEM("0A") ITEM("18") ITEM("0A"));
    ck_assert_int_eq(kmip_request_read(&a, in, NULL, &rq), RC_OK);
    ck_assert_int_eq(rq->item_rc[0], RC_OK);
    ck_assert_int_eq(rq->item_rc[1], RC_BAD_ORDER);
    ck_assert_int_eq(rq->item_rc[2], RC_OK);
    struct ttlv_limits tight = TTLV_LIMITS_DEFAULT;
    tight.batch_items = 3;
    ck_assert_int_eq(kmip_request_read(&a, in, &tight, &rq), RC_OK);
    tight.batch_items = 2;
    ck_assert_int_eq(kmip_request_read(&a, in, &tight, &rq), RC_TOO_MANY);
}
END_TEST

/* Also the items before it, and those that fail for reasons of their own. */
START_TEST(critical_extension_rejects_the_entire_message)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_request *rq = NULL;
    struct bytes in = message(&a, "00420078",
                              "420077 01 00000038" PV("02", "01") COUNT("04") ITEM("0A")
                                  EXTENDED("0A", "00") ITEM("18") EXTENDED("0A", "01"));
    ck_assert_int_eq(kmip_request_read(&a, in, NULL, &rq), RC_OK);
    ck_assert_uint_eq(rq->count, 4);
    for (size_t i = 0; i < rq->count; i++) {
        ck_assert_int_eq(rq->item_rc[i], RC_CRITICAL_EXTENSION);
        ck_assert_ptr_null(rq->items[i].payload);
        ck_assert_uint_eq(rq->items[i].operation, i == 2 ? KMIP_OP_QUERY : KMIP_OP_GET);
    }
}
END_TEST

START_TEST(critical_extension_rejects_a_response)
{
    AUTO_ARENA a = ARENA_OF(1 << 22);
    AUTO_BUF b = BUF_EMPTY;
    uint32_t operations[2] = {KMIP_OP_ACTIVATE, KMIP_OP_ACTIVATE};
    struct fill f = {&a, V1_4, 7, 1, 0};
    struct kmip_response *rs = fill_response(&f, operations, 2), *back = NULL;
    rs->items[1].extensions.items[0].critical = KMIP_NUMBER(1);
    ck_assert_int_eq(kmip_response_write(&b, rs), RC_OK);
    ck_assert_int_eq(kmip_response_read(&a, buf_view(&b), NULL, &back), RC_OK);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(back->item_rc[i], RC_CRITICAL_EXTENSION);
        ck_assert_ptr_null(back->items[i].payload);
    }
}
END_TEST

START_TEST(every_cut_and_flip_is_survived)
{
    uint32_t operations[128];
    uint16_t version = kmip_versions[_i];
    AUTO_ARENA made = ARENA_OF(1 << 24);
    AUTO_BUF b = BUF_EMPTY;
    struct fill f = {&made, version, 99, 2, 0};
    operations[0] = KMIP_OP_REGISTER;
    ck_assert_int_eq(kmip_request_write(&b, fill_request(&f, operations, 1)), RC_OK);
    for (size_t i = 0; i < b.len; i++) {
        AUTO_ARENA a = ARENA_OF(1 << 20);
        struct kmip_request *rq;
        ck_assert_int_ne(kmip_request_read(&a, bytes_of(b.data, i), NULL, &rq), RC_OK);
        arena_reset(&a);
        uint8_t before = b.data[i];
        b.data[i] ^= (uint8_t)(1u << i % 8);
        (void)kmip_request_read(&a, buf_view(&b), NULL, &rq);
        b.data[i] = before;
    }
}
END_TEST

START_TEST(memory_that_ends_is_an_error_at_every_step)
{
    uint32_t operation = KMIP_OP_REGISTER;
    uint16_t version = _i ? V2_1 : V1_4;
    AUTO_ARENA made = ARENA_OF(1 << 24);
    AUTO_BUF b = BUF_EMPTY;
    struct fill f = {&made, version, 5, 1, 0};
    uint32_t many[40];
    for (int i = 0; i < 40; i++)
        many[i] = operation;
    ck_assert_int_eq(kmip_request_write(&b, fill_request(&f, many, 40)), RC_OK);
    int failed = 0;
    for (size_t cap = 0; cap < 600000; cap += 8192) {
        AUTO_ARENA a = ARENA_OF(cap);
        struct kmip_request *rq;
        rc_t rc = kmip_request_read(&a, buf_view(&b), NULL, &rq);
        ck_assert(rc == RC_OK || rc == RC_NO_MEMORY);
        failed += rc == RC_NO_MEMORY;
    }
    ck_assert_int_gt(failed, 5);
    AUTO_ARENA none = ARENA_OF(0);
    ck_assert_ptr_null(kmip_request_new(&none, V1_4, 1));
    ck_assert_ptr_null(kmip_response_new(&none, V1_4, 1));
    struct kmip_response *rs;
    ck_assert_int_eq(kmip_response_read(&none, buf_view(&b), NULL, &rs), RC_NO_MEMORY);
}
END_TEST

START_TEST(writer_needs_a_known_version_and_leaves_nothing_behind)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    buf_add_str(&b, "before");
    struct kmip_response *rs = kmip_response_new(&a, 0x0300, 1);
    ck_assert_int_eq(kmip_response_write(&b, rs), RC_BAD_VERSION);
    ck_assert_int_eq(kmip_request_write(&b, kmip_request_new(&a, 0x0105, 1)), RC_BAD_VERSION);
    rs->version = V1_4; /* no time stamp */
    ck_assert_int_eq(kmip_response_write(&b, rs), RC_MISSING_DATA);
    rs->header->time_stamp = KMIP_NUMBER(1);
    rs->items[0].operation = KMIP_OP_GET;
    rs->items[0].payload = KMIP_NEW(&a, get_response);
    ck_assert_int_ne(kmip_response_write(&b, rs), RC_OK);
    ck_assert_int_ne(kmip_response_item_write(&b, V1_4, &rs->items[0]), RC_OK);
    ck_assert_uint_eq(b.len, 6);
    rs->items[0].payload = NULL;
    rs->items[0].result_status = KMIP_STATUS_OPERATION_FAILED;
    rs->items[0].result_reason = KMIP_REASON_ITEM_NOT_FOUND;
    ck_assert_int_eq(kmip_response_write(&b, rs), RC_OK);
    buf_drop_front(&b, 6);
    struct kmip_response *back;
    ck_assert_int_eq(kmip_response_read(&a, buf_view(&b), NULL, &back), RC_OK);
    ck_assert_uint_eq(back->items[0].result_reason, KMIP_REASON_ITEM_NOT_FOUND);
    ck_assert_uint_eq(kmip_version_of(NULL), 0);
}
END_TEST

TCase *message_tests(void)
{
    TCase *tc = tcase_create("message");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, all_operations_go_round, 0, KMIP_VERSION_COUNT);
    tcase_add_loop_test(tc, messages_are_taken_as_the_table_says, 0, COUNT_OF(messages));
    tcase_add_test(tc, refused_version_is_told);
    tcase_add_test(tc, an_item_that_cannot_be_read_fails_alone);
    tcase_add_test(tc, one_bad_item_leaves_the_others_whole);
    tcase_add_test(tc, critical_extension_rejects_the_entire_message);
    tcase_add_test(tc, critical_extension_rejects_a_response);
    tcase_add_loop_test(tc, every_cut_and_flip_is_survived, 0, KMIP_VERSION_COUNT);
    tcase_add_loop_test(tc, memory_that_ends_is_an_error_at_every_step, 0, 2);
    tcase_add_test(tc, writer_needs_a_known_version_and_leaves_nothing_behind);
    return tc;
}
