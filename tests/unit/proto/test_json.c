/* Attributes as JSON: text that cannot be ours, the text people see, and the way back without loss.
 */
#include "tests/unit/proto/proto_tests.h"

#include "proto/kmip/attr_json.h"
#include "proto/kmip/attr_json_parts.h"
#include "tests/support/kmip_fill.h"

static const char *const foreign[] = {
    "x",
    "[]",
    "1",
    "{",
    "{\"State\":}",
    "{\"State\":\"Active\",\"State\":\"Active\"}",
    "{\"state\":\"Active\"}",
    "{\"State\":\"Activ\"}",
    "{\"State\":-1}",
    "{\"State\":4294967296}",
    "{\"State\":[\"Active\"]}",
    "{\"State\":true}",
    "{\"Operation\":\"Get\"}",
    "{\"\":1}",
    "{\":n\":[]}",
    "{\"x-\":[]}",
    "{\"x-n\":1}",
    "{\"x-n\":[1]}",
    "{\"x-n\":[{\"type\":\"Int\",\"value\":1}]}",
    "{\"x-n\":[{\"type\":\"Integer\"}]}",
    "{\"x-n\":[{\"type\":\"Integer\",\"value\":2147483648}]}",
    "{\"x-n\":[{\"type\":\"Boolean\",\"value\":1}]}",
    "{\"x-n\":[{\"type\":\"TextString\",\"value\":1}]}",
    "{\"x-n\":[{\"type\":\"ByteString\",\"value\":\"0\"}]}",
    "{\"x-n\":[{\"type\":\"ByteString\",\"value\":\"0G\"}]}",
    "{\"x-n\":[{\"type\":\"ByteString\",\"value\":7}]}",
    "{\"x-n\":[{\"type\":\"BigInteger\",\"value\":\"00\"}]}",
    "{\"x-n\":[{\"type\":\"BigInteger\",\"value\":\"\"}]}",
    "{\"x-n\":[{\"type\":\"Interval\",\"value\":-1}]}",
    "{\"x-n\":[{\"type\":\"Structure\",\"value\":{}}]}",
    "{\"x-n\":[{\"type\":\"Structure\",\"value\":[1]}]}",
    "{\"x-n\":[{\"type\":\"Structure\",\"value\":[{\"type\":\"Integer\",\"value\":1}]}]}",
    "{\"x-n\":[{\"type\":\"Structure\",\"value\":[{\"tag\":\"No\",\"type\":\"Integer\",\"value\":1}]}]}",
    "{\"x-n\":[{\"type\":\"Structure\",\"value\":[{\"tag\":7,\"type\":\"Integer\",\"value\":1}]}]}",
    "{\"ObjectGroup\":\"g\"}",
    "{\"ObjectGroup\":[7]}",
    "{\"ActivationDate\":\"2023-11-14\"}",
    "{\"ActivationDate\":\"2023-11-14T22:13:20\"}",
    "{\"ActivationDate\":\"2023-11-14T22:13:20ZZ\"}",
    "{\"ActivationDate\":\"2023-13-14T22:13:20Z\"}",
    "{\"ActivationDate\":\"2023-11-14T24:13:20Z\"}",
    "{\"ActivationDate\":\"2023-11-1xT22:13:20Z\"}",
    "{\"ActivationDate\":false}",
    "{\"CryptographicUsageMask\":[\"Fly\"]}",
    "{\"CryptographicUsageMask\":[-1]}",
    "{\"CryptographicUsageMask\":[true]}",
    "{\"CryptographicLength\":\"128\"}",
    "{\"LeaseTime\":-5}",
    "{\"Name\":[\"n\"]}",
    "{\"Name\":[{\"NameValue\":\"n\",\"Other\":1}]}",
    "{\"Name\":[{\"NameValue\":7}]}",
    "{\"Name\":[{\"type\":\"Structure\",\"value\":7}]}",
    "{\"Sensitive\":0}",
};

START_TEST(foreign_text_is_refused)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_attributes list;
    rc_t rc = attr_json_read(&a, bytes_str(foreign[_i]), &list);
    ck_assert_msg(rc == RC_INTEGRITY, "%s: %s", foreign[_i], rc_name(rc));
}
END_TEST

START_TEST(deep_text_is_refused)
{
    AUTO_ARENA a = ARENA_OF(1 << 22);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list;
    buf_add_str(&b, "{\"x-n\":[");
    for (int i = 0; i < ATTR_JSON_LEVELS + 1; i++)
        buf_add_str(&b, i ? "{\"tag\":5505025,\"type\":\"Structure\",\"value\":["
                          : "{\"type\":\"Structure\",\"value\":[");
    for (int i = 0; i < ATTR_JSON_LEVELS + 1; i++)
        buf_add_str(&b, "]}");
    buf_add_str(&b, "]}");
    ck_assert_int_eq(attr_json_read(&a, buf_view(&b), &list), RC_INTEGRITY);
}
END_TEST

/* The deepest value that is stored can be read again; a deeper one is not stored. */
START_TEST(depth_is_the_same_both_ways)
{
    AUTO_ARENA a = ARENA_OF(1 << 22);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list = {0}, back;
    struct node *deep = node_boolean(&a, 0x540001, true);
    for (int i = 1; i < ATTR_JSON_LEVELS; i++) {
        struct node *outer = node_structure(&a, 0x540001);
        node_append(outer, deep);
        deep = outer;
    }
    kmip_attributes_add_vendor(&a, &list, bytes_str("x"), bytes_str("n"), deep);
    ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
    ck_assert_int_eq(attr_json_read(&a, buf_view(&b), &back), RC_OK);
    ck_assert(node_equal(deep, back.items[0].value));
    struct node *outer = node_structure(&a, 0x540001);
    deep->tag = 0x540001;
    node_append(outer, deep);
    list = (struct kmip_attributes){0};
    kmip_attributes_add_vendor(&a, &list, bytes_str("x"), bytes_str("n"), outer);
    ck_assert_int_eq(attr_json_write(&list, &b), RC_BAD_VALUE);
    ck_assert_int_eq(attr_json_value(outer, &b), RC_BAD_VALUE);
}
END_TEST

START_TEST(people_can_read_it)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list = {0};
    kmip_attributes_add_text(&a, &list, KMIP_TAG_CONTACT_INFORMATION, bytes_str("Ann"));
    kmip_attributes_add_text(&a, &list, KMIP_TAG_OBJECT_GROUP, bytes_str("g"));
    kmip_attributes_add_text(&a, &list, KMIP_TAG_OBJECT_GROUP, bytes_str("h"));
    kmip_attributes_add_name(&a, &list, bytes_str("key"), KMIP_NAME_UNINTERPRETED_TEXT_STRING);
    kmip_attributes_add_enum(&a, &list, KMIP_TAG_STATE, KMIP_STATE_ACTIVE);
    kmip_attributes_add_integer(&a, &list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, 12);
    kmip_attributes_add_date(&a, &list, KMIP_TAG_ACTIVATION_DATE, 1700000000);
    kmip_attributes_add_vendor(&a, &list, bytes_str("x"), bytes_str("Batch"),
                               node_integer(&a, 0, 7));
    kmip_attributes_add_vendor(&a, &list, bytes_str("Acme"), bytes_str("k"),
                               node_bytes(&a, 0, bytes_str("\x01\xFE")));
    ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
    ck_assert_msg(bytes_is(buf_view(&b),
                           "{\"ContactInformation\":\"Ann\",\"ObjectGroup\":[\"g\",\"h\"],"
                           "\"Name\":[{\"NameValue\":\"key\",\"NameType\":"
                           "\"UninterpretedTextString\"}],\"State\":\"Active\","
                           "\"CryptographicUsageMask\":[\"Encrypt\",\"Decrypt\"],"
                           "\"ActivationDate\":\"2023-11-14T22:13:20Z\","
                           "\"x-Batch\":[{\"type\":\"Integer\",\"value\":7}],"
                           "\"Acme:k\":[{\"type\":\"ByteString\",\"value\":\"01fe\"}]}"),
                  "%.*s", (int)b.len, (char *)b.data);
    buf_clear(&b);
    ck_assert_int_eq(attr_json_value(list.items[6].value, &b), RC_OK);
    ck_assert(bytes_is(buf_view(&b), "\"2023-11-14T22:13:20Z\""));
    struct kmip_attributes none = {0};
    buf_clear(&b);
    ck_assert_int_eq(attr_json_write(&none, &b), RC_OK);
    ck_assert(bytes_is(buf_view(&b), "{}"));
    ck_assert_int_eq(attr_json_read(&a, BYTES_NONE, &none), RC_OK);
    ck_assert_uint_eq(none.count, 0);
}
END_TEST

static const int64_t dates[] = {0,
                                -1,
                                1,
                                951782400,
                                951868799,
                                4102444800,
                                -62135596800,
                                253402300799,
                                253402300800,
                                -62167219201,
                                INT64_MAX,
                                INT64_MIN,
                                68169600,
                                -2203891200};

START_TEST(dates_keep_their_second)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list = {0}, back;
    kmip_attributes_add_date(&a, &list, KMIP_TAG_ACTIVATION_DATE, dates[_i]);
    kmip_attributes_add_vendor(&a, &list, bytes_str("x"), bytes_str("d"),
                               node_date_time_extended(&a, 0, dates[_i]));
    ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
    ck_assert_int_eq(attr_json_read(&a, buf_view(&b), &back), RC_OK);
    ck_assert_uint_eq(back.count, 2);
    ck_assert(back.items[0].value->date_time == dates[_i]);
    ck_assert(back.items[1].value->date_time == dates[_i]);
}
END_TEST

/* Same instances in the same order for each name; order between names is free. */
static bool same_list(const struct kmip_attributes *x, const struct kmip_attributes *y)
{
    if (x->count != y->count)
        return false;
    for (size_t i = 0; i < x->count; i++) {
        const struct kmip_attribute *item = &x->items[i], *other;
        size_t n = 0;
        bool vendor = item->tag == KMIP_TAG_ATTRIBUTE;
        for (size_t j = 0; j < i; j++)
            n += x->items[j].tag == item->tag && bytes_equal(x->items[j].vendor, item->vendor) &&
                 bytes_equal(x->items[j].name, item->name);
        other = vendor ? kmip_attributes_find_vendor(y, item->vendor, item->name, n)
                       : kmip_attributes_find(y, item->tag, n);
        if (!other || !node_equal(item->value, other->value))
            return false;
    }
    return true;
}

START_TEST(any_list_comes_back_whole)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        AUTO_ARENA a = ARENA_OF(1 << 24);
        AUTO_BUF b = BUF_EMPTY;
        struct kmip_attributes list = {0}, back;
        struct fill f = {&a, kmip_versions[_i], seed * 65537, (int)(seed % 3), 0};
        fill_attributes(&f, &list, 30);
        ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
        rc_t rc = attr_json_read(&a, buf_view(&b), &back);
        ck_assert_msg(rc == RC_OK, "%s: %.*s", rc_name(rc), (int)b.len, (char *)b.data);
        ck_assert_msg(same_list(&list, &back), "%.*s", (int)b.len, (char *)b.data);
    }
}
END_TEST

START_TEST(odd_values_come_back_whole)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list = {0}, back;
    struct node *name =
        node_structure(&a, KMIP_TAG_NAME); /* type before value: not the table's order */
    node_append(name, node_enum(&a, KMIP_TAG_NAME_TYPE, 77));
    node_append(name, node_text(&a, KMIP_TAG_NAME_VALUE, bytes_str("n")));
    kmip_attributes_add(&a, &list, name);
    kmip_attributes_add_enum(&a, &list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, 0x80000001);
    kmip_attributes_add_integer(&a, &list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, (int32_t)0xC0000001);
    kmip_attributes_add(&a, &list,
                        node_boolean(&a, KMIP_TAG_STATE, true)); /* another type than the table's */
    ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
    ck_assert_int_eq(attr_json_read(&a, buf_view(&b), &back), RC_OK);
    ck_assert(same_list(&list, &back));
    kmip_attributes_add_enum(&a, &list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                             3); /* two of a single one */
    ck_assert_int_eq(attr_json_write(&list, &b), RC_BAD_VALUE);
    list = (struct kmip_attributes){0};
    kmip_attributes_add_enum(&a, &list, KMIP_TAG_OPERATION, 3); /* not an attribute */
    ck_assert_int_eq(attr_json_write(&list, &b), RC_BAD_VALUE);
    list = (struct kmip_attributes){0};
    kmip_attributes_add_vendor(&a, &list, bytes_str("a-b"), bytes_str("n"), node_integer(&a, 0, 1));
    ck_assert_int_eq(attr_json_write(&list, &b), RC_BAD_VALUE);
    AUTO_ARENA none = ARENA_OF(0);
    ck_assert_int_eq(attr_json_read(&none, bytes_str("{\"x-n\":[]}"), &back), RC_NO_MEMORY);
    ck_assert_int_eq(attr_json_read(&none, bytes_str("{\"State\":\"Active\"}"), &back),
                     RC_NO_MEMORY);
}
END_TEST

/* An instance keeps its index when others go: its place is left empty (KMIP 1.4, 2.1.1). */
START_TEST(indexes_are_kept)
{
    static const char text[] =
        "{\"ObjectGroup\":[null,\"a\",null,\"b\"],\"x-n\":[null,{\"type\":\"Integer\",\"value\":1}]}";
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list;
    ck_assert_int_eq(attr_json_read(&a, bytes_str(text), &list), RC_OK);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_OBJECT_GROUP, 0)->index, 1);
    ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_OBJECT_GROUP, 1)->index, 3);
    ck_assert_int_eq(
        kmip_attributes_find_vendor(&list, bytes_str("x"), bytes_str("n"), 0)->index, 1);
    ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
    ck_assert(bytes_is(buf_view(&b), text));
    /* a new one comes behind all others */
    kmip_attributes_add_text(&a, &list, KMIP_TAG_OBJECT_GROUP, bytes_str("c"));
    buf_clear(&b);
    ck_assert_int_eq(attr_json_write(&list, &b), RC_OK);
    ck_assert_int_eq(attr_json_read(&a, buf_view(&b), &list), RC_OK);
    ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_OBJECT_GROUP, 2)->index, 4);
    /* indexes grow, and end */
    static const int32_t wrong[] = {0, 4, ATTR_INDEX_MAX, INT32_MAX};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct kmip_attributes other = {0};
        kmip_attributes_add_text(&a, &other, KMIP_TAG_OBJECT_GROUP, bytes_str("a"));
        other.items[0].index = 4;
        kmip_attributes_add_text(&a, &other, KMIP_TAG_OBJECT_GROUP, bytes_str("b"));
        other.items[1].index = wrong[i];
        ck_assert_int_eq(attr_json_write(&other, &b), RC_BAD_VALUE);
    }
}
END_TEST

TCase *json_tests(void)
{
    TCase *tc = tcase_create("attr_json");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, foreign_text_is_refused, 0, COUNT_OF(foreign));
    tcase_add_test(tc, deep_text_is_refused);
    tcase_add_test(tc, depth_is_the_same_both_ways);
    tcase_add_test(tc, people_can_read_it);
    tcase_add_loop_test(tc, dates_keep_their_second, 0, COUNT_OF(dates));
    tcase_add_loop_test(tc, any_list_comes_back_whole, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, odd_values_come_back_whole);
    tcase_add_test(tc, indexes_are_kept);
    return tc;
}
