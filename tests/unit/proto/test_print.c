/* What a trace shows of messages, to the letter, and what it never shows. */
#include "tests/unit/proto/proto_tests.h"

#include <jansson.h>

#include "proto/kmip/print.h"
#include "proto/kmip/tables.h"
#include "tests/support/kmip_fill.h"

static char *print_text(const struct node *n, struct arena *a)
{
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(kmip_print(n, 0, &out), RC_OK);
    char *text = arena_alloc(a, out.len + 1);
    memcpy(text, out.data, out.len);
    return text;
}

#define CHILD(of, child) ck_assert_int_eq(node_append(of, child), RC_OK)

static struct node *structure(struct arena *a, struct node *parent, uint32_t tag)
{
    struct node *n = node_structure(a, tag);
    CHILD(parent, n);
    return n;
}

/* Attribute {name, value} of 1.x. */
static void attribute(struct arena *a, struct node *parent, const char *name, struct node *value)
{
    struct node *n = structure(a, parent, KMIP_TAG_ATTRIBUTE);
    CHILD(n, node_text(a, KMIP_TAG_ATTRIBUTE_NAME, bytes_str(name)));
    CHILD(n, value);
}

static struct node *message(struct arena *a, bool request, int major, int minor, struct node **payload, uint32_t op)
{
    struct node *top = node_structure(a, request ? KMIP_TAG_REQUEST_MESSAGE : KMIP_TAG_RESPONSE_MESSAGE);
    struct node *head = structure(a, top, request ? KMIP_TAG_REQUEST_HEADER : KMIP_TAG_RESPONSE_HEADER);
    struct node *version = structure(a, head, KMIP_TAG_PROTOCOL_VERSION);
    CHILD(version, node_integer(a, KMIP_TAG_PROTOCOL_VERSION_MAJOR, major));
    CHILD(version, node_integer(a, KMIP_TAG_PROTOCOL_VERSION_MINOR, minor));
    CHILD(head, node_integer(a, KMIP_TAG_BATCH_COUNT, 1));
    struct node *item = structure(a, top, KMIP_TAG_BATCH_ITEM);
    CHILD(item, node_enum(a, KMIP_TAG_OPERATION, op));
    if (!request)
        CHILD(item, node_enum(a, KMIP_TAG_RESULT_STATUS, KMIP_STATUS_SUCCESS));
    *payload = structure(a, item, request ? KMIP_TAG_REQUEST_PAYLOAD : KMIP_TAG_RESPONSE_PAYLOAD);
    return top;
}

#define HEAD(kind, major, minor)                                                                                       \
    kind " Message\n"                                                                                                  \
         "  " kind " Header\n"                                                                                         \
         "    Protocol Version\n"                                                                                      \
         "      Protocol Version Major: " major "\n"                                                                   \
         "      Protocol Version Minor: " minor "\n"                                                                   \
         "    Batch Count: 1\n"                                                                                        \
         "  Batch Item\n"

START_TEST(a_request_of_1_x_is_shown_to_the_letter)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct node *payload, *top = message(&a, true, 1, 2, &payload, KMIP_OP_REGISTER);
    CHILD(payload, node_enum(&a, KMIP_TAG_OBJECT_TYPE, KMIP_OBJECT_SECRET_DATA));
    struct node *list = structure(&a, payload, KMIP_TAG_TEMPLATE_ATTRIBUTE);
    attribute(&a, list, "Cryptographic Usage Mask", node_integer(&a, KMIP_TAG_ATTRIBUTE_VALUE, 12));
    attribute(&a, list, "State", node_enum(&a, KMIP_TAG_ATTRIBUTE_VALUE, KMIP_STATE_ACTIVE));
    attribute(&a, list, "Activation Date", node_date_time(&a, KMIP_TAG_ATTRIBUTE_VALUE, 1700000000));
    attribute(&a, list, "x-Note", node_text(&a, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("S3CRET")));
    attribute(&a, list, "x-Number", node_integer(&a, KMIP_TAG_ATTRIBUTE_VALUE, 7777777));
    attribute(&a, list, "Contact Information", node_text(&a, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("S3CRET")));
    struct node *name = node_structure(&a, KMIP_TAG_ATTRIBUTE_VALUE);
    CHILD(name, node_text(&a, KMIP_TAG_NAME_VALUE, bytes_str("disk \"\xc3\xa4\xf0\x9f\x94\x91\n")));
    CHILD(name, node_enum(&a, KMIP_TAG_NAME_TYPE, 1));
    attribute(&a, list, "Name", name);
    struct node *block = structure(&a, structure(&a, payload, KMIP_TAG_SECRET_DATA), KMIP_TAG_KEY_BLOCK);
    CHILD(block, node_enum(&a, KMIP_TAG_KEY_FORMAT_TYPE, 2));
    struct node *value = structure(&a, block, KMIP_TAG_KEY_VALUE);
    CHILD(value, node_bytes(&a, KMIP_TAG_KEY_MATERIAL, bytes_str("S3CRET")));
    ck_assert_str_eq(print_text(top, &a),
                     HEAD("Request", "1", "2")
                     "    Operation: Register\n"
                     "    Request Payload\n"
                     "      Object Type: Secret Data\n"
                     "      Template-Attribute\n"
                     "        Attribute\n"
                     "          Attribute Name: \"Cryptographic Usage Mask\"\n"
                     "          Attribute Value: Encrypt | Decrypt\n"
                     "        Attribute\n"
                     "          Attribute Name: \"State\"\n"
                     "          Attribute Value: Active\n"
                     "        Attribute\n"
                     "          Attribute Name: \"Activation Date\"\n"
                     "          Attribute Value: 2023-11-14T22:13:20Z\n"
                     "        Attribute\n"
                     "          Attribute Name: \"x-Note\"\n"
                     "          Attribute Value: (TextString, 6 bytes)\n"
                     "        Attribute\n"
                     "          Attribute Name: \"x-Number\"\n"
                     "          Attribute Value: (Integer, 4 bytes)\n"
                     "        Attribute\n"
                     "          Attribute Name: \"Contact Information\"\n"
                     "          Attribute Value: (TextString, 6 bytes)\n"
                     "        Attribute\n"
                     "          Attribute Name: \"Name\"\n"
                     "          Attribute Value\n"
                     "            Name Value: \"disk \\\"\\u00e4\\ud83d\\udd11\\u000a\"\n"
                     "            Name Type: Uninterpreted Text String\n"
                     "      Secret Data\n"
                     "        Key Block\n"
                     "          Key Format Type: Opaque\n"
                     "          Key Value: (Structure, 16 bytes)\n");
}
END_TEST

START_TEST(an_answer_of_2_1_is_shown_to_the_letter)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct node *payload, *top = message(&a, false, 2, 1, &payload, KMIP_OP_GET_ATTRIBUTES);
    CHILD(payload, node_text(&a, KMIP_TAG_UNIQUE_IDENTIFIER, bytes_str("id-1")));
    struct node *list = structure(&a, payload, KMIP_TAG_ATTRIBUTES);
    CHILD(list, node_enum(&a, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_AES));
    CHILD(list, node_boolean(&a, KMIP_TAG_SENSITIVE, true));
    CHILD(list, node_interval(&a, KMIP_TAG_LEASE_TIME, 60));
    CHILD(list, node_date_time_extended(&a, KMIP_TAG_LAST_CHANGE_DATE, 1700000000000042));
    CHILD(list, node_enum(&a, KMIP_TAG_OBJECT_TYPE, 0x80000001));
    CHILD(list, node_integer(&a, KMIP_TAG_PASSWORD, 4711));
    CHILD(list, node_integer(&a, 0x540001, 4711));
    struct node *vendor = structure(&a, list, KMIP_TAG_ATTRIBUTE);
    CHILD(vendor, node_text(&a, KMIP_TAG_VENDOR_IDENTIFICATION, bytes_str("x")));
    CHILD(vendor, node_text(&a, KMIP_TAG_ATTRIBUTE_NAME, bytes_str("Name")));
    CHILD(vendor, node_text(&a, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("S3CRET")));
    ck_assert_str_eq(print_text(top, &a),
                     HEAD("Response", "2", "1")
                     "    Operation: Get Attributes\n"
                     "    Result Status: Success\n"
                     "    Response Payload\n"
                     "      Unique Identifier: \"id-1\"\n"
                     "      Attributes\n"
                     "        Cryptographic Algorithm: AES\n"
                     "        Sensitive: true\n"
                     "        Lease Time: 60 s\n"
                     "        Last Change Date: 2023-11-14T22:13:20.000042Z\n"
                     "        Object Type: 0x80000001\n"
                     "        Password: (Integer, 4 bytes)\n"
                     "        0x540001: (Integer, 4 bytes)\n"
                     "        Attribute\n"
                     "          Vendor Identification: \"x\"\n"
                     "          Attribute Name: \"Name\"\n"
                     "          Attribute Value: (TextString, 6 bytes)\n");
}
END_TEST

START_TEST(json_tells_the_same)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF out = BUF_EMPTY;
    struct node *top = node_structure(&a, KMIP_TAG_KEY_BLOCK);
    CHILD(top, node_enum(&a, KMIP_TAG_KEY_FORMAT_TYPE, 1));
    CHILD(top, node_integer(&a, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256));
    CHILD(top, node_bytes(&a, KMIP_TAG_KEY_MATERIAL, bytes_str("S3CRET")));
    ck_assert_int_eq(kmip_print_json(top, &out), RC_OK);
    ck_assert_int_eq(buf_add_u8(&out, 0), RC_OK);
    ck_assert_str_eq((const char *)out.data,
                     "{\"tag\":\"KeyBlock\",\"items\":[{\"tag\":\"KeyFormatType\",\"value\":\"Raw\"},"
                     "{\"tag\":\"CryptographicLength\",\"value\":256},"
                     "{\"tag\":\"KeyMaterial\",\"hidden\":\"ByteString\",\"bytes\":6}]}");
}
END_TEST

START_TEST(a_long_text_is_cut_and_bad_utf8_does_no_harm)
{
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(kmip_print_quoted(bytes_str("abcdef"), 3, &out), RC_OK);
    ck_assert_int_eq(kmip_print_quoted(bytes_str("abc"), 3, &out), RC_OK);
    ck_assert_int_eq(kmip_print_quoted(bytes_str("\xff\xe4z\xc3"), 9, &out), RC_OK);
    ck_assert(bytes_equal(buf_view(&out), bytes_str("\"abc...\"\"abc\"\"\\ufffd\\ufffdz\\ufffd\"")));
}
END_TEST

/* Tags whose values are secrets, or may be: none of them is ever opened or shown, whatever type comes under it. */
static const uint32_t never[] = {
    KMIP_TAG_KEY_MATERIAL,
    KMIP_TAG_KEY_VALUE,
    KMIP_TAG_PASSWORD,
    KMIP_TAG_CREDENTIAL_VALUE,
    KMIP_TAG_DATA,
    KMIP_TAG_IV_COUNTER_NONCE,
    KMIP_TAG_D,
    KMIP_TAG_P,
    KMIP_TAG_Q,
    KMIP_TAG_KEY,
    KMIP_TAG_PRIVATE_EXPONENT,
    KMIP_TAG_SIGNATURE_DATA,
    KMIP_TAG_MAC_DATA,
    KMIP_TAG_NONCE_VALUE,
    KMIP_TAG_OPAQUE_DATA_VALUE,
    KMIP_TAG_DERIVATION_DATA,
    KMIP_TAG_SALT,
    KMIP_TAG_CUSTOM_ATTRIBUTE,
    KMIP_TAG_ATTRIBUTE_VALUE,
    KMIP_TAG_MESSAGE_EXTENSION,
    KMIP_TAG_ONE_TIME_PASSWORD,
    KMIP_TAG_HASHED_PASSWORD,
    KMIP_TAG_TICKET_VALUE,
    KMIP_TAG_LOG_MESSAGE,
    KMIP_TAG_INITIALIZATION_VECTOR,
    KMIP_TAG_USERNAME,
    KMIP_TAG_APPLICATION_DATA,
    KMIP_TAG_DESCRIPTION,
};

START_TEST(secrets_are_never_shown)
{
    for (uint8_t type = TTLV_STRUCTURE; type <= TTLV_DATE_TIME_EXTENDED; type++)
        for (int i = 0; i < COUNT_OF(never); i++)
            ck_assert_msg(!kmip_print_shows(never[i], type), "%s as %s", kmip_tag_name(never[i]), kmip_type_name(type));
    size_t count;
    const struct kmip_entry *tags = kmip_tags(&count);
    for (size_t i = 0; i < count; i++) {
        ck_assert(!kmip_print_shows(tags[i].value, TTLV_BYTE_STRING));
        ck_assert(!kmip_print_shows(tags[i].value, TTLV_BIG_INTEGER));
    }
    for (uint32_t tag = 0x540000; tag < 0x540100; tag++)
        ck_assert(!kmip_print_shows(tag, TTLV_TEXT_STRING) && !kmip_print_shows(tag, TTLV_STRUCTURE));
}
END_TEST

/* Whatever a version can say prints as whole JSON, and its byte strings do not move a letter of it. */
static void change_bytes(struct node *n)
{
    if (n->type == TTLV_BYTE_STRING || n->type == TTLV_BIG_INTEGER)
        for (size_t i = 0; i < n->bytes.len; i++)
            ((uint8_t *)(uintptr_t)n->bytes.data)[i] ^= 0x5A;
    for (struct node *c = n->type == TTLV_STRUCTURE ? n->first : NULL; c; c = c->next)
        change_bytes(c);
}

START_TEST(every_operation_prints_in_every_version)
{
    uint16_t version = kmip_versions[_i];
    uint32_t operations[128];
    size_t count, known = 0;
    const struct kmip_entry *all = kmip_enum_values(KMIP_TAG_OPERATION, &count);
    for (size_t i = 0; i < count; i++)
        if (kmip_enum_known(KMIP_TAG_OPERATION, all[i].value, version))
            operations[known++] = all[i].value;
    AUTO_ARENA a = ARENA_OF(1 << 26);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        AUTO_BUF wire = BUF_EMPTY, text = BUF_EMPTY, json = BUF_EMPTY, again = BUF_EMPTY;
        struct fill f = {&a, version, seed * 7919, (int)(seed % 3), 0};
        struct node *tree = NULL;
        ck_assert_int_eq(kmip_request_write(&wire, fill_request(&f, operations, known)), RC_OK);
        ck_assert_int_eq(ttlv_read(&a, buf_view(&wire), NULL, &tree), RC_OK);
        ck_assert_int_eq(kmip_print(tree, 0, &text), RC_OK);
        ck_assert_int_eq(kmip_print_json(tree, &json), RC_OK);
        json_t *parsed = json_loadb((const char *)json.data, json.len, 0, NULL);
        ck_assert(json_is_object(parsed));
        json_decref(parsed);
        change_bytes(tree);
        ck_assert_int_eq(kmip_print(tree, 0, &again), RC_OK);
        ck_assert(bytes_equal(buf_view(&text), buf_view(&again)));
    }
}
END_TEST

TCase *print_tests(void)
{
    TCase *c = tcase_create("print");
    tcase_add_test(c, a_request_of_1_x_is_shown_to_the_letter);
    tcase_add_test(c, an_answer_of_2_1_is_shown_to_the_letter);
    tcase_add_test(c, json_tells_the_same);
    tcase_add_test(c, a_long_text_is_cut_and_bad_utf8_does_no_harm);
    tcase_add_test(c, secrets_are_never_shown);
    tcase_add_loop_test(c, every_operation_prints_in_every_version, 0, KMIP_VERSION_COUNT);
    return c;
}
