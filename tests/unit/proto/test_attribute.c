/* Attributes: both wire forms are one list in memory, and a version sees only what it defines. */
#include "tests/unit/proto/proto_tests.h"

#include "proto/kmip/struct_parts.h"
#include "tests/support/kmip_fill.h"

START_TEST(table_agrees_with_tags_and_structures)
{
    size_t count;
    const struct kmip_attr_info *info = kmip_attr_infos(&count);
    ck_assert_uint_gt(count, 80);
    for (size_t i = 0; i < count; i++) {
        ck_assert(i == 0 || info[i - 1].tag < info[i].tag);
        ck_assert_ptr_eq(kmip_attr_info(info[i].tag), &info[i]);
        const struct kmip_entry *tag = kmip_tag(info[i].tag);
        ck_assert_msg(tag && tag->since <= info[i].since && tag->until >= info[i].until, "%s",
                      tag->text);
        ck_assert_msg((info[i].type == TTLV_STRUCTURE) == (info[i].structure >= 0), "%s",
                      tag->text);
        ck_assert_msg(
            (info[i].type == TTLV_ENUMERATION) <=
                (kmip_enum_of_tag(info[i].tag) != 0 || info[i].tag == KMIP_TAG_OPAQUE_DATA_TYPE),
            "%s", tag->text);
        ck_assert((info[i].objects != 0) == (info[i].since < V2_0));
        ck_assert((info[i].objects_2x != 0) == (info[i].until >= V2_0));
        ck_assert_uint_eq(kmip_attr_by_text(bytes_str(tag->text), info[i].since), info[i].tag);
    }
    ck_assert_ptr_null(kmip_attr_info(KMIP_TAG_OPERATION));
    ck_assert_ptr_null(kmip_attr_text(KMIP_TAG_OPERATION));
    ck_assert_uint_eq(kmip_attr_by_text(bytes_str("Sensitive"), V1_3), 0);
    ck_assert_uint_eq(kmip_attr_by_text(bytes_str("sensitive"), V1_4), 0);
    ck_assert_uint_eq(kmip_attr_by_text(bytes_str("Operation Policy Name"), V2_0), 0);
    ck_assert(kmip_attr_known(KMIP_TAG_ATTRIBUTE, V1_0));
}
END_TEST

/* Texts of one 1.x Attribute each, under a Template-Attribute. */
#define NAME(len, hex) "42000A 07 000000" len hex
static const struct {
    const char *why, *hex;
    rc_t want;
} attributes_1x[] = {
    {"empty", "420008 01 00000000", RC_BAD_ORDER},
    {"not a structure", "420008 07 00000000", RC_BAD_TYPE},
    {"no value", "420008 01 00000010" NAME("05", "5374617465 000000"), RC_BAD_ORDER},
    {"name is a number",
     "420008 01 00000020 42000A 02 00000004 0000000100000000 "
     "42000B 05 00000004 0000000200000000",
     RC_BAD_TYPE},
    {"unknown name",
     "420008 01 00000020" NAME("05", "5374617467 000000") "42000B 05 00000004 0000000200000000",
     RC_ATTR_UNSUPPORTED},
    {"empty name", "420008 01 00000018" NAME("00", "") "42000B 05 00000004 0000000200000000",
     RC_ATTR_UNSUPPORTED},
    {"x- alone",
     "420008 01 00000020" NAME("02", "782D 000000000000") "42000B 05 00000004 0000000200000000",
     RC_ATTR_UNSUPPORTED},
    {"State as integer",
     "420008 01 00000020" NAME("05", "5374617465 000000") "42000B 02 00000004 0000000200000000",
     RC_BAD_TYPE},
    {"State 7",
     "420008 01 00000020" NAME("05", "5374617465 000000") "42000B 05 00000004 0000000700000000",
     RC_BAD_VALUE},
    {"negative index",
     "420008 01 00000030" NAME("05", "5374617465 000000") "420009 02 00000004 FFFFFFFF00000000 "
                                                          "42000B 05 00000004 0000000200000000",
     RC_BAD_VALUE},
    {"index is a text",
     "420008 01 00000028" NAME(
         "05", "5374617465 000000") "420009 07 00000000 42000B 05 00000004 0000000200000000",
     RC_BAD_TYPE},
    {"two values",
     "420008 01 00000030" NAME("05", "5374617465 000000") "42000B 05 00000004 0000000200000000"
                                                          "42000B 05 00000004 0000000200000000",
     RC_BAD_ORDER},
    {"value before name",
     "420008 01 00000020 42000B 05 00000004 0000000200000000" NAME("05", "5374617465 000000"),
     RC_BAD_ORDER},
    {"extended date in x-a of 1.4",
     "420008 01 00000020" NAME("03", "782D61 0000000000") "42000B 0B 00000008 0000000200000000",
     RC_BAD_TYPE},
    {"State",
     "420008 01 00000020" NAME("05", "5374617465 000000") "42000B 05 00000004 0000000200000000",
     RC_OK},
    {"State with an index",
     "420008 01 00000030" NAME("05", "5374617465 000000") "420009 02 00000004 0000000000000000 "
                                                          "42000B 05 00000004 0000000200000000",
     RC_OK},
    {"x-a",
     "420008 01 00000020" NAME("03", "782D61 0000000000") "42000B 05 00000004 0000000200000000",
     RC_OK},
};

START_TEST(attributes_of_1x_are_read_strictly)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_context cx = {&a, V1_4, NULL, false};
    struct node *n = NULL;
    struct kmip_attributes list = {0};
    rc_t rc = ttlv_read(&a, unhex(&a, attributes_1x[_i].hex), NULL, &n);
    ck_assert_msg(rc == RC_OK, "%s: %s", attributes_1x[_i].why, rc_name(rc));
    rc = attr_read_1x(&cx, n, &list);
    ck_assert_msg(rc == attributes_1x[_i].want, "%s: %s", attributes_1x[_i].why, rc_name(rc));
    if (rc != RC_OK)
        return;
    AUTO_BUF again = BUF_EMPTY;
    ck_assert_int_eq(attr_write_list(&again, &cx, &list), RC_OK);
    ck_assert(bytes_equal(buf_view(&again), unhex(&a, attributes_1x[_i].hex)));
}
END_TEST

static const struct {
    const char *why, *hex; /* inside Attributes of 2.1 */
    rc_t want;
} attributes_2x[] = {
    {"a tag that is no attribute", "42005C 05 00000004 0000000A00000000", RC_ATTR_UNSUPPORTED},
    {"an attribute of 1.x only", "42005D 07 00000000", RC_ATTR_UNSUPPORTED},
    {"extension tag", "540001 07 00000000", RC_ATTR_UNSUPPORTED},
    {"vendor attribute that is a text", "420008 07 00000000", RC_BAD_TYPE},
    {"vendor attribute without vendor", "420008 01 00000010 42000A 07 00000001 6100000000000000",
     RC_BAD_ORDER},
    {"vendor attribute without value",
     "420008 01 00000020 42009D 07 00000001 7800000000000000 "
     "42000A 07 00000001 6100000000000000",
     RC_BAD_ORDER},
    {"vendor with a blank",
     "420008 01 00000030 42009D 07 00000003 7820790000000000 "
     "42000A 07 00000001 6100000000000000 42000B 02 00000004 0000000700000000",
     RC_INVALID_FIELD},
    {"vendor is a number",
     "420008 01 00000030 42009D 02 00000004 0000000700000000 "
     "42000A 07 00000001 6100000000000000 42000B 02 00000004 0000000700000000",
     RC_BAD_TYPE},
    {"no vendor attribute name",
     "420008 01 00000028 42009D 07 00000001 7800000000000000 "
     "42000A 07 00000000 42000B 02 00000004 0000000700000000",
     RC_INVALID_FIELD},
    {"usage mask with an unknown bit", "42002C 02 00000004 4000000000000000", RC_ATTR_VALUE},
    {"Name without type", "420053 01 00000010 420055 07 00000001 6100000000000000", RC_BAD_ORDER},
    {"State as text", "42008D 07 00000000", RC_BAD_TYPE},
    {"unique identifier as boolean", "420094 06 00000008 0000000000000001", RC_BAD_TYPE},
    {"unique identifier as integer", "420094 02 00000004 0000000100000000", RC_OK},
    {"unique identifier as enumeration", "420094 05 00000004 0000000100000000", RC_OK},
    {"vendor attribute",
     "420008 01 00000030 42009D 07 00000003 41632E0000000000 "
     "42000A 07 00000001 6100000000000000 42000B 02 00000004 0000000700000000",
     RC_OK},
    {"Name",
     "420053 01 00000020 420055 07 00000001 6100000000000000 420054 05 00000004 0000000100000000",
     RC_OK},
};

START_TEST(attributes_of_2x_are_read_strictly)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_context cx = {&a, V2_1, NULL, false};
    struct node *n = NULL, *top = node_structure(&a, KMIP_TAG_ATTRIBUTES);
    struct kmip_attributes list = {0};
    ck_assert_int_eq(ttlv_read(&a, unhex(&a, attributes_2x[_i].hex), NULL, &n), RC_OK);
    node_append(top, n);
    rc_t rc = attr_read_set(&cx, top, &list);
    ck_assert_msg(rc == attributes_2x[_i].want, "%s: %s", attributes_2x[_i].why, rc_name(rc));
    if (rc != RC_OK)
        return;
    AUTO_BUF again = BUF_EMPTY;
    ck_assert_int_eq(attr_write_list(&again, &cx, &list), RC_OK);
    ck_assert(bytes_equal(buf_view(&again), unhex(&a, attributes_2x[_i].hex)));
}
END_TEST

START_TEST(both_forms_are_one_in_memory)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes in = {0}, from[2] = {{0}, {0}};
    kmip_attributes_add_name(&a, &in, bytes_str("key 1"), KMIP_NAME_UNINTERPRETED_TEXT_STRING);
    kmip_attributes_add_enum(&a, &in, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_AES);
    kmip_attributes_add_integer(&a, &in, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
    kmip_attributes_add_integer(&a, &in, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT);
    kmip_attributes_add_date(&a, &in, KMIP_TAG_ACTIVATION_DATE, 1700000000);
    kmip_attributes_add_text(&a, &in, KMIP_TAG_OBJECT_GROUP, bytes_str("g"));
    kmip_attributes_add_vendor(&a, &in, bytes_str("x"), bytes_str("Rack 4"),
                               node_text(&a, 0, bytes_str("v")));
    kmip_attributes_add_vendor(&a, &in, bytes_str("y"), bytes_str("s"), node_integer(&a, 0, 7));
    for (int i = 0; i < 2; i++) {
        struct kmip_context cx = {&a, i ? V2_1 : V1_0, NULL, false};
        struct node *n = NULL;
        buf_clear(&b);
        if (i)
            ck_assert_int_eq(attr_write_set(&b, &cx, KMIP_TAG_ATTRIBUTES, &in), RC_OK);
        else
            ck_assert_int_eq(attr_write_template(&b, &cx, KMIP_TAG_TEMPLATE_ATTRIBUTE, &in), RC_OK);
        struct bytes text = arena_copy(&a, buf_view(&b));
        ck_assert_int_eq(ttlv_read(&a, text, NULL, &n), RC_OK);
        if (i)
            ck_assert_int_eq(attr_read_set(&cx, n, &from[i]), RC_OK);
        else
            ck_assert_int_eq(attr_read_template(&cx, n, &from[i]), RC_OK);
    }
    ck_assert_uint_eq(from[0].count, 8);
    ck_assert_uint_eq(from[1].count, 8);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_uint_eq(from[0].items[i].tag, from[1].items[i].tag);
        ck_assert(bytes_equal(from[0].items[i].vendor, from[1].items[i].vendor));
        ck_assert(bytes_equal(from[0].items[i].name, from[1].items[i].name));
        ck_assert(node_equal(from[0].items[i].value, from[1].items[i].value));
    }
    ck_assert_ptr_nonnull(
        kmip_attributes_find_vendor(&from[0], bytes_str("x"), bytes_str("Rack 4"), 0));
    ck_assert_ptr_null(
        kmip_attributes_find_vendor(&from[0], bytes_str("y"), bytes_str("Rack 4"), 0));
    ck_assert_ptr_null(kmip_attributes_find(&from[0], KMIP_TAG_OBJECT_GROUP, 1));
    ck_assert_uint_eq(kmip_attributes_count(&from[0], KMIP_TAG_ATTRIBUTE), 2);
}
END_TEST

START_TEST(a_version_sees_only_what_it_defines)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_attributes all = {0}, seen;
    kmip_attributes_add_boolean(&a, &all, KMIP_TAG_SENSITIVE, true); /* 1.4 */
    kmip_attributes_add_text(&a, &all, KMIP_TAG_OPERATION_POLICY_NAME,
                             bytes_str("default")); /* 1.x */
    kmip_attributes_add_enum(&a, &all, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                             KMIP_ALGORITHM_CHACHA20); /* 1.4 */
    kmip_attributes_add_integer(&a, &all, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_ENCRYPT | KMIP_USAGE_EXPORT | KMIP_USAGE_UNRESTRICTED);
    kmip_attributes_add_vendor(&a, &all, bytes_str("Acme"), bytes_str("n"), node_integer(&a, 0, 1));
    struct kmip_cryptographic_parameters cp = {.block_cipher_mode = KMIP_MODE_GCM,
                                               .tag_length = KMIP_NUMBER(16),
                                               .salt_length = KMIP_NUMBER(4)};
    struct kmip_context cx = {&a, V2_1, NULL, false};
    struct node *n = NULL;
    ck_assert_int_eq(kmip_struct_node(&cx, KMIP_S_cryptographic_parameters,
                                      KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS, &cp, &n),
                     RC_OK);
    kmip_attributes_add(&a, &all, n);

    ck_assert_int_eq(kmip_attributes_for_version(&a, &all, V1_0, &seen), RC_OK);
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_uint_eq(
        kmip_attributes_find(&seen, KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS, 0)->value->count, 1);
    ck_assert_int_eq(
        kmip_attributes_find(&seen, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, 0)->value->integer,
        KMIP_USAGE_ENCRYPT | KMIP_USAGE_EXPORT);
    ck_assert_int_eq(kmip_attributes_for_version(&a, &all, V1_4, &seen), RC_OK);
    ck_assert_uint_eq(seen.count, 5);
    ck_assert_int_eq(kmip_attributes_for_version(&a, &all, V2_1, &seen), RC_OK);
    ck_assert_uint_eq(seen.count, 5);
    ck_assert_ptr_null(kmip_attributes_find(&seen, KMIP_TAG_OPERATION_POLICY_NAME, 0));
    ck_assert_int_eq(
        kmip_attributes_find(&seen, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, 0)->value->integer,
        KMIP_USAGE_ENCRYPT | KMIP_USAGE_UNRESTRICTED);
}
END_TEST

START_TEST(names_and_limits)
{
    AUTO_ARENA a = ARENA_OF(1 << 20), none = ARENA_OF(0);
    struct bytes x = bytes_str("x"), n = bytes_str("n");
    ck_assert(bytes_is(kmip_attr_name_1x(&a, KMIP_TAG_STATE, BYTES_NONE, BYTES_NONE), "State"));
    ck_assert(bytes_is(kmip_attr_name_1x(&a, KMIP_TAG_ATTRIBUTE, x, n), "x-n"));
    ck_assert_ptr_null(kmip_attr_name_1x(&a, KMIP_TAG_ATTRIBUTE, bytes_str("Acme"), n).data);
    ck_assert_ptr_null(kmip_attr_name_1x(&none, KMIP_TAG_ATTRIBUTE, x, n).data);
    struct kmip_attributes list = {0};
    ck_assert_int_eq(kmip_attributes_add(&a, &list, NULL), RC_NO_MEMORY);
    ck_assert_int_eq(kmip_attributes_add_vendor(&a, &list, x, n, NULL), RC_NO_MEMORY);
    ck_assert_int_eq(kmip_attributes_add(&none, &list, node_boolean(&a, KMIP_TAG_FRESH, true)),
                     RC_NO_MEMORY);
    ck_assert_int_eq(kmip_attribute_check(&(struct kmip_attribute){.tag = KMIP_TAG_STATE}, V1_0),
                     RC_BAD_ORDER);

    struct ttlv_limits tight = TTLV_LIMITS_DEFAULT;
    tight.attributes = 2;
    tight.name = 3;
    struct kmip_context cx = {&a, V2_1, &tight, false};
    struct node *set = node_structure(&a, KMIP_TAG_ATTRIBUTES);
    for (int i = 0; i < 2; i++)
        node_append(set, node_text(&a, KMIP_TAG_OBJECT_GROUP, n));
    ck_assert_int_eq(attr_read_set(&cx, set, &list), RC_OK);
    node_append(set, node_text(&a, KMIP_TAG_OBJECT_GROUP, n));
    list = (struct kmip_attributes){0};
    ck_assert_int_eq(attr_read_set(&cx, set, &list), RC_ATTR_FULL);
    static const char *const names[] = {"tre", "four"};
    for (int i = 0; i < 2; i++) {
        list = (struct kmip_attributes){0};
        kmip_attributes_add_name(&a, &list, bytes_str(names[i]), 1);
        set = node_structure(&a, KMIP_TAG_ATTRIBUTES);
        node_append(set, list.items[0].value);
        list = (struct kmip_attributes){0};
        ck_assert_int_eq(attr_read_set(&cx, set, &list), i ? RC_NAME_LENGTH : RC_OK);
    }
}
END_TEST

START_TEST(template_names_go_round)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_context cx = {&a, V1_2, NULL, false};
    struct node *t = node_structure(&a, KMIP_TAG_TEMPLATE_ATTRIBUTE), *back = NULL;
    for (int i = 0; i < 2; i++) {
        struct node *name = node_structure(&a, KMIP_TAG_NAME);
        node_append(name, node_text(&a, KMIP_TAG_NAME_VALUE, bytes_str("t")));
        node_append(name, node_enum(&a, KMIP_TAG_NAME_TYPE, 1));
        node_append(t, name);
    }
    struct kmip_attributes list = {0};
    ck_assert_int_eq(attr_read_template(&cx, t, &list), RC_OK);
    ck_assert_uint_eq(list.template_count, 2);
    ck_assert_int_eq(attr_write_template(&b, &cx, KMIP_TAG_TEMPLATE_ATTRIBUTE, &list), RC_OK);
    ck_assert_int_eq(ttlv_read(&a, buf_view(&b), NULL, &back), RC_OK);
    ck_assert(node_equal(t, back));
    node_append(t, node_boolean(&a, KMIP_TAG_FRESH, true));
    ck_assert_int_eq(attr_read_template(&cx, t, &list), RC_BAD_ORDER);
    ck_assert_int_eq(attr_read_template(&cx, t->last, &list), RC_BAD_TYPE);
    ck_assert_int_eq(attr_read_set(&cx, t->last, &list), RC_BAD_TYPE);
}
END_TEST

START_TEST(references_and_names_without_meaning_are_kept_apart)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_context v1 = {&a, V1_0, NULL, false}, v2 = {&a, V2_0, NULL, false};
    struct kmip_attr_ref ref;
    ck_assert_int_eq(attr_read_name(&v1, node_text(&a, 0x42000A, bytes_str("Comment")), &ref),
                     RC_OK);
    ck_assert(ref.tag == 0 && bytes_is(ref.name, "Comment"));
    ck_assert_int_eq(attr_write_name(&b, &v1, &ref, true), RC_OK);
    ck_assert_uint_gt(b.len, 0);
    ck_assert_int_eq(attr_read_name(&v1, node_enum(&a, 0x42000A, 1), &ref), RC_BAD_TYPE);
    ck_assert_int_eq(attr_read_ref(&v2, node_enum(&a, 0x42013B, 0x42FFFF), &ref), RC_OK);
    ck_assert_uint_eq(ref.tag, 0);
    ck_assert_int_eq(attr_read_ref(&v2, node_text(&a, 0x42013B, bytes_str("x")), &ref),
                     RC_BAD_TYPE);
    ck_assert_int_eq(attr_read_ref(&v2, node_structure(&a, 0x42013B), &ref), RC_BAD_ORDER);
    buf_clear(&b);
    struct kmip_attr_ref hidden = {KMIP_TAG_ATTRIBUTE, -1, bytes_str("Acme"), bytes_str("n")};
    ck_assert_int_eq(attr_write_name(&b, &v1, &hidden, false), RC_OK);
    hidden.tag = KMIP_TAG_COMMENT;
    ck_assert_int_eq(attr_write_name(&b, &v1, &hidden, false), RC_OK);
    hidden.tag = KMIP_TAG_OPERATION_POLICY_NAME;
    ck_assert_int_eq(attr_write_ref(&b, &v2, &hidden), RC_OK);
    ck_assert_uint_eq(b.len, 0);
}
END_TEST

TCase *attribute_tests(void)
{
    TCase *tc = tcase_create("attribute");
    tcase_add_test(tc, table_agrees_with_tags_and_structures);
    tcase_add_loop_test(tc, attributes_of_1x_are_read_strictly, 0, COUNT_OF(attributes_1x));
    tcase_add_loop_test(tc, attributes_of_2x_are_read_strictly, 0, COUNT_OF(attributes_2x));
    tcase_add_test(tc, both_forms_are_one_in_memory);
    tcase_add_test(tc, a_version_sees_only_what_it_defines);
    tcase_add_test(tc, names_and_limits);
    tcase_add_test(tc, template_names_go_round);
    tcase_add_test(tc, references_and_names_without_meaning_are_kept_apart);
    return tc;
}
