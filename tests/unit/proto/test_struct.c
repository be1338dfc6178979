/*
 * Every structure and payload in every version: what is written is read back and writes the same
 * bytes; nothing of a newer version reaches an older one; missing, repeated and misplaced fields
 * are refused.
 */
#include "tests/unit/proto/proto_tests.h"

#include "proto/kmip/struct_parts.h"
#include "tests/support/kmip_fill.h"

enum { SEEDS = 12 };

static bool in_version(int id, uint16_t version)
{
    const struct kmip_struct *s = kmip_struct(id);
    for (size_t i = 0; i < s->count; i++)
        if (field_in(&s->fields[i], version))
            return true;
    return false;
}

START_TEST(structures_go_round_in_every_version)
{
    for (int id = 0; id < KMIP_S_COUNT; id++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            AUTO_ARENA a = ARENA_OF(1 << 24);
            AUTO_BUF first = BUF_EMPTY, second = BUF_EMPTY;
            uint16_t version = kmip_versions[_i];
            struct fill f = {&a, version, (uint64_t)seed * 7919 + (uint64_t)id, seed % 3, 0};
            struct kmip_context cx = {&a, version, NULL, false};
            if (!in_version(id, version) || id == KMIP_S_request_item || id == KMIP_S_response_item)
                continue;
            const char *name = kmip_struct(id)->name;
            void *in = fill_struct(&f, id), *out = NULL;
            struct node *n = NULL;
            rc_t rc = kmip_struct_write(&first, &cx, id, 0x540000, in);
            ck_assert_msg(rc == RC_OK, "%s %x write: %s", name, version, rc_name(rc));
            ck_assert_int_eq(ttlv_read(&a, buf_view(&first), NULL, &n), RC_OK);
            rc = kmip_struct_read(&cx, id, n, &out);
            ck_assert_msg(rc == RC_OK, "%s %x read: %s", name, version, rc_name(rc));
            ck_assert_int_eq(kmip_struct_write(&second, &cx, id, 0x540000, out), RC_OK);
            ck_assert_msg(bytes_equal(buf_view(&first), buf_view(&second)), "%s %x differs", name,
                          version);
        }
    }
}
END_TEST

/* Each item's tag, type and enumeration must be known to the version. Vendor content is free. */
static void only_known(const struct node *n, uint16_t version, const char *name)
{
    if (n->tag >> 16 == 0x54 || n->tag == KMIP_TAG_VENDOR_EXTENSION)
        return;
    ck_assert_msg(kmip_tag_known(n->tag, version), "%s: %s in %x", name, kmip_tag_name(n->tag),
                  version);
    ck_assert(kmip_type_known(n->type, version));
    if (n->type == TTLV_ENUMERATION && kmip_enum_of_tag(n->tag))
        ck_assert_msg(kmip_value_ok(n->tag, n->enumeration, version), "%s: %s %u in %x", name,
                      kmip_tag_name(n->tag), n->enumeration, version);
    if (n->type == TTLV_INTEGER && kmip_is_mask(n->tag))
        ck_assert_uint_eq((uint32_t)n->integer & ~kmip_mask_known(n->tag, version), 0);
    if (n->type == TTLV_STRUCTURE)
        for (const struct node *c = n->first; c; c = c->next)
            if (c->tag != KMIP_TAG_ATTRIBUTE_VALUE)
                only_known(c, version, name);
}

START_TEST(nothing_newer_reaches_an_older_version)
{
    uint16_t version = kmip_versions[_i];
    int written = 0;
    for (int id = 0; id < KMIP_S_COUNT; id++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            AUTO_ARENA a = ARENA_OF(1 << 24);
            AUTO_BUF b = BUF_EMPTY;
            /* from each other version in turn */
            struct fill f = {&a, kmip_versions[seed % KMIP_VERSION_COUNT], (uint64_t)seed * 104729,
                             1 + seed % 2, 0};
            struct kmip_context cx = {&a, version, NULL, false};
            if (!in_version(id, version) || !in_version(id, f.version) ||
                id == KMIP_S_request_item || id == KMIP_S_response_item ||
                id == KMIP_S_pkcs11_response)
                continue;
            const char *name = kmip_struct(id)->name;
            void *in = fill_struct(&f, id), *out = NULL;
            struct node *n = NULL;
            rc_t rc = kmip_struct_write(&b, &cx, id, KMIP_TAG_RESPONSE_PAYLOAD, in);
            if (rc != RC_OK) {
                ck_assert_msg(rc == RC_BAD_VALUE || rc == RC_MISSING_DATA, "%s: %s", name,
                              rc_name(rc));
                continue;
            }
            written++;
            ck_assert_int_eq(ttlv_read(&a, buf_view(&b), NULL, &n), RC_OK);
            only_known(n, version, name);
            rc = kmip_struct_read(&cx, id, n, &out);
            ck_assert_msg(rc == RC_OK, "%s from %x in %x: %s", name, f.version, version,
                          rc_name(rc));
        }
    }
    ck_assert_int_gt(written, 300);
}
END_TEST

START_TEST(every_operation_has_payloads)
{
    size_t count;
    const struct kmip_entry *ops = kmip_enum_values(KMIP_TAG_OPERATION, &count);
    AUTO_ARENA a = ARENA_OF(1 << 24);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_ge(kmip_request_payload(ops[i].value), 0);
        ck_assert_int_ge(kmip_response_payload(ops[i].value), 0);
        ck_assert_ptr_nonnull(kmip_payload_new(&a, ops[i].value, false));
        ck_assert_ptr_nonnull(kmip_payload_new(&a, ops[i].value, true));
    }
    ck_assert_int_eq(kmip_request_payload(0), -1);
    ck_assert_int_eq(kmip_response_payload(0x80000000), -1);
    ck_assert_ptr_null(kmip_payload_new(&a, 0, true));
    ck_assert_ptr_null(kmip_struct(-1));
    ck_assert_ptr_null(kmip_struct(KMIP_S_COUNT));
}
END_TEST

/* A structure's fields taken away, doubled and put last, one at a time. */
START_TEST(order_and_multiplicity_are_strict)
{
    static const int ids[] = {KMIP_S_get_request,       KMIP_S_create_request,
                              KMIP_S_query_response,    KMIP_S_key_block,
                              KMIP_S_register_request,  KMIP_S_cryptographic_parameters,
                              KMIP_S_locate_request,    KMIP_S_delete_attribute_request,
                              KMIP_S_message_extension, KMIP_S_discover_versions};
    int refused = 0;
    for (int v = 0; v < KMIP_VERSION_COUNT; v++) {
        for (int k = 0; k < COUNT_OF(ids); k++) {
            AUTO_ARENA a = ARENA_OF(1 << 24);
            struct fill f = {&a, kmip_versions[v], 4711, 1, 0};
            struct kmip_context cx = {&a, kmip_versions[v], NULL, false};
            if (!in_version(ids[k], f.version))
                continue;
            struct node *n = NULL;
            void *out = NULL;
            ck_assert_int_eq(kmip_struct_node(&cx, ids[k], 0x540000, fill_struct(&f, ids[k]), &n),
                             RC_OK);
            /* An item nobody knows, last. */
            struct node *more = node_copy(&a, n);
            node_append(more, node_boolean(&a, 0x540001, true));
            ck_assert_int_eq(kmip_struct_read(&cx, ids[k], more, &out), RC_UNKNOWN_TAG);
            for (const struct node *c = n->first; c; c = c->next) {
                const struct kmip_struct *s = kmip_struct(ids[k]);
                struct node *without = node_structure(&a, n->tag),
                            *wrong = node_structure(&a, n->tag);
                for (const struct node *x = n->first; x; x = x->next) {
                    if (x != c)
                        node_append(without, node_copy(&a, x));
                    struct node *copy = node_copy(&a, x);
                    if (x == c) { /* another type in its place */
                        struct node *other = x->type == TTLV_BOOLEAN
                                                 ? node_long(&a, x->tag, 1)
                                                 : node_boolean(&a, x->tag, true);
                        copy = other;
                    }
                    node_append(wrong, copy);
                }
                bool required = false, many = false, free_type = false;
                for (size_t i = 0; i < s->count; i++)
                    if (s->fields[i].tag == c->tag && field_in(&s->fields[i], f.version)) {
                        required = s->fields[i].how == KMIP_ONE;
                        many = s->fields[i].how == KMIP_MANY || s->fields[i].how == KMIP_SOME;
                        free_type = s->fields[i].kind == KMIP_K_NODE;
                    }
                rc_t rc = kmip_struct_read(&cx, ids[k], without, &out);
                if (required)
                    ck_assert_msg(rc == RC_BAD_ORDER, "%s %s %s", s->name, kmip_tag_name(c->tag),
                                  rc_name(rc));
                if (!free_type)
                    ck_assert_int_ne(kmip_struct_read(&cx, ids[k], wrong, &out), RC_OK);
                if (!many) { /* twice */
                    struct node *twice = node_copy(&a, n);
                    node_append(twice, node_copy(&a, c));
                    ck_assert_int_eq(kmip_struct_read(&cx, ids[k], twice, &out), RC_BAD_ORDER);
                }
                refused++;
            }
        }
    }
    ck_assert_int_gt(refused, 200);
}
END_TEST

/* What one version asks for and the next one does not, or never asked for. */
static const struct {
    const char *why;
    int id;
    uint16_t version;
    const char *hex; /* the fields inside */
    rc_t want;
} requests[] = {
#define DATA_A "4200C2 08 00000001 6100000000000000"
    {"MAC names no parameters in 1.2 (4.33)", KMIP_S_mac_request, V1_2, DATA_A, RC_OK},
    {"MAC without data in 1.2", KMIP_S_mac_request, V1_2, "", RC_BAD_ORDER},
    {"Hash without parameters in 1.2", KMIP_S_hash_request, V1_2, DATA_A, RC_BAD_ORDER},
    {"Re-certify without a request in 1.0", KMIP_S_recertify_request, V1_0, "", RC_BAD_ORDER},
    {"Re-certify without a request in 1.1", KMIP_S_recertify_request, V1_1, "", RC_OK},
    {"Locate without attributes in 1.4", KMIP_S_locate_request, V1_4, "", RC_OK},
    {"Locate without attributes in 2.0", KMIP_S_locate_request, V2_0, "", RC_BAD_ORDER},
#undef DATA_A
};

START_TEST(requests_need_what_their_version_says)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct kmip_context cx = {&a, requests[_i].version, NULL, false};
    struct node *top = node_structure(&a, KMIP_TAG_REQUEST_PAYLOAD), *n = NULL;
    struct bytes in = unhex(&a, requests[_i].hex);
    void *out = NULL;
    if (in.len) {
        ck_assert_int_eq(ttlv_read(&a, in, NULL, &n), RC_OK);
        node_append(top, n);
    }
    rc_t rc = kmip_struct_read(&cx, requests[_i].id, top, &out);
    ck_assert_msg(rc == requests[_i].want, "%s: %s", requests[_i].why, rc_name(rc));
}
END_TEST

START_TEST(objects_map_to_tags_and_back)
{
    size_t count;
    const struct kmip_entry *types = kmip_enum_values(KMIP_TAG_OBJECT_TYPE, &count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(kmip_object_type_of_tag(kmip_object_tag(types[i].value)), types[i].value);
    ck_assert_uint_eq(kmip_object_tag(99), 0);
    ck_assert_uint_eq(kmip_object_type_of_tag(KMIP_TAG_NAME), 0);
    ck_assert_ptr_null(kmip_object_key_block(NULL));
    ck_assert_int_eq(kmip_object_struct(0), -1);
    for (uint16_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        AUTO_ARENA a = ARENA_OF(1 << 22);
        struct fill f = {&a, kmip_versions[v], 5, 1, 0};
        for (size_t i = 0; i < count; i++) {
            struct kmip_object o = {.type = types[i].value,
                                    .any = fill_struct(&f, kmip_object_struct(types[i].value))};
            bool keyed = o.type != KMIP_OBJECT_CERTIFICATE &&
                         o.type != KMIP_OBJECT_CERTIFICATE_REQUEST &&
                         o.type != KMIP_OBJECT_OPAQUE_OBJECT && o.type != KMIP_OBJECT_TEMPLATE;
            if (in_version(kmip_object_struct(o.type), f.version))
                ck_assert(keyed == (kmip_object_key_block(&o) != NULL));
        }
    }
}
END_TEST

/* Numbers that do not fit their type and structures without their required fields are not written.
 */
START_TEST(writer_refuses_what_cannot_be_said)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_context cx = {&a, V1_4, NULL, false};
    struct kmip_locate_request locate = {.maximum_items = KMIP_NUMBER((int64_t)INT32_MAX + 1)};
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_locate_request, 0x540000, &locate),
                     RC_INVALID_FIELD);
    struct kmip_rng_retrieve_request rng = {.data_length = KMIP_NUMBER((int64_t)INT32_MIN - 1)};
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_rng_retrieve_request, 0x540000, &rng),
                     RC_INVALID_FIELD);
    struct kmip_get_response get = {.object_type = KMIP_OBJECT_SYMMETRIC_KEY};
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_get_response, 0x540000, &get),
                     RC_MISSING_DATA);
    get.unique_identifier = (struct kmip_uid){.type = TTLV_ENUMERATION, .enumeration = 1};
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_get_response, 0x540000, &get), RC_BAD_VALUE);
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_get_response, 0x540000, NULL),
                     RC_MISSING_DATA);
    ck_assert_int_eq(kmip_struct_write(&b, &cx, -1, 0x540000, &get), RC_MISSING_DATA);
    struct kmip_key_value empty = {0};
    struct kmip_key_block block = {.key_format_type = KMIP_FORMAT_RAW, .key_value = &empty};
    buf_clear(&b);
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_key_block, 0x540000, &block),
                     RC_MISSING_DATA);
    struct kmip_credential credential = {.type = 77, .value = &empty};
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_credential, 0x540000, &credential),
                     RC_BAD_VALUE);
    struct kmip_query_request none = {0};
    ck_assert_int_eq(kmip_struct_write(&b, &cx, KMIP_S_query_request, 0x540000, &none),
                     RC_MISSING_DATA);
}
END_TEST

/* Locate takes attribute values with fields left out; the same bytes elsewhere are refused. */
START_TEST(filters_may_leave_fields_out)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        AUTO_ARENA a = ARENA_OF(1 << 20);
        AUTO_BUF b = BUF_EMPTY;
        struct kmip_request *rq = kmip_request_new(&a, kmip_versions[v], 1), *back = NULL;
        struct kmip_locate_request *in = kmip_payload_new(&a, KMIP_OP_LOCATE, false);
        struct node *link = node_structure(&a, KMIP_TAG_LINK);
        node_append(link, node_enum(&a, KMIP_TAG_LINK_TYPE, KMIP_LINK_PUBLIC_KEY_LINK));
        kmip_attributes_add(&a, &in->attributes, link);
        rq->items[0].operation = KMIP_OP_LOCATE;
        rq->items[0].payload = in;
        ck_assert_int_eq(kmip_request_write(&b, rq), RC_OK);
        ck_assert_int_eq(kmip_request_read(&a, buf_view(&b), NULL, &back), RC_OK);
        ck_assert_int_eq(back->item_rc[0], RC_OK);
        const struct kmip_locate_request *read = back->items[0].payload;
        ck_assert_uint_eq(read->attributes.count, 1);
        ck_assert(node_value_equal(read->attributes.items[0].value, link));
        struct kmip_context cx = {&a, kmip_versions[v], NULL, false};
        void *out = NULL;
        ck_assert_int_eq(kmip_struct_read(&cx, KMIP_S_locate_request, back->payloads[0], &out), RC_BAD_ORDER);
    }
}
END_TEST

START_TEST(lists_that_name_templates_are_found)
{
    struct kmip_create_key_pair_request pair = {0};
    struct kmip_attributes *lists[3] = {NULL};
    ck_assert_uint_eq(kmip_payload_templates(KMIP_OP_CREATE_KEY_PAIR, V1_4, &pair, lists, 3), 0);
    pair.common.template_count = 1;
    pair.public_key.template_count = 2;
    ck_assert_uint_eq(kmip_payload_templates(KMIP_OP_CREATE_KEY_PAIR, V1_4, &pair, lists, 3), 2);
    ck_assert_ptr_eq(lists[0], &pair.common);
    ck_assert_ptr_eq(lists[1], &pair.public_key);
    ck_assert_uint_eq(kmip_payload_templates(KMIP_OP_CREATE_KEY_PAIR, V1_4, &pair, lists, 1), 1);
    ck_assert_uint_eq(kmip_payload_templates(KMIP_OP_CREATE_KEY_PAIR, V2_0, &pair, lists, 3), 0);
    struct kmip_locate_request locate = {0};
    locate.wrapped_attributes.template_count = 1;
    ck_assert_uint_eq(kmip_payload_templates(KMIP_OP_LOCATE, V1_0, &locate, lists, 3), 1);
    ck_assert_ptr_eq(lists[0], &locate.wrapped_attributes);
    ck_assert_uint_eq(kmip_payload_templates(0x7FFFFFFF, V1_0, &locate, lists, 3), 0);
}
END_TEST

TCase *struct_tests(void)
{
    TCase *tc = tcase_create("struct");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, structures_go_round_in_every_version, 0, KMIP_VERSION_COUNT);
    tcase_add_loop_test(tc, nothing_newer_reaches_an_older_version, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, every_operation_has_payloads);
    tcase_add_test(tc, order_and_multiplicity_are_strict);
    tcase_add_loop_test(tc, requests_need_what_their_version_says, 0, COUNT_OF(requests));
    tcase_add_test(tc, objects_map_to_tags_and_back);
    tcase_add_test(tc, filters_may_leave_fields_out);
    tcase_add_test(tc, lists_that_name_templates_are_found);
    tcase_add_test(tc, writer_refuses_what_cannot_be_said);
    return tc;
}
