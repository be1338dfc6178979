/* Key pairs and certificates through the whole engine: two objects or none, identifiers for later items, names,
 * and that nothing of a key stands in the database. */
#include <stdio.h>

#include "tests/unit/engine/fixture.h"
#include "tests/unit/vault/asym_keys.h"

static const uint16_t versions[KMIP_VERSION_COUNT] = {V1_0, V1_1, V1_2, V1_3, V1_4, V2_0, V2_1};

static struct bytes unhex(const char *text)
{
    size_t len = strlen(text) / 2;
    uint8_t *out = arena_alloc(&rig.arena, len);
    for (size_t i = 0; i < len; i++) {
        unsigned v;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
    return bytes_of(out, len);
}

static void add_name(struct kmip_attributes *list, const char *name)
{
    ck_assert_int_eq(kmip_attributes_add_name(&rig.arena, list, bytes_str(name),
                                              KMIP_NAME_UNINTERPRETED_TEXT_STRING),
                     RC_OK);
}

static void pair(struct kmip_request *rq, size_t i, const char *private, const char *public)
{
    struct kmip_create_key_pair_request *in = item(rq, i, KMIP_OP_CREATE_KEY_PAIR);
    struct arena *a = &rig.arena;
    in->common.present = true;
    kmip_attributes_add_enum(a, &in->common, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_ECDSA);
    kmip_attributes_add_integer(a, &in->common, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
    kmip_attributes_add_integer(a, &in->common, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_SIGN);
    in->private_key.present = in->public_key.present = true;
    if (private)
        add_name(&in->private_key, private);
    if (public)
        add_name(&in->public_key, public);
}

static const char *text(struct bytes b)
{
    return arena_fmt(&rig.arena, "%.*s", (int)b.len, (const char *)b.data);
}

static void ids_of(const struct kmip_response *r, size_t i, const char **private, const char **public)
{
    const struct kmip_key_pair_response *out = r->items[i].payload;
    *private = text(out->private_key_unique_identifier.text);
    *public = text(out->public_key_unique_identifier.text);
}

static const struct kmip_key_block *block_of(const struct kmip_response *r, size_t i)
{
    const struct kmip_get_response *got = r->items[i].payload;
    return kmip_object_key_block(got->object);
}

START_TEST(a_pair_in_every_version)
{
    uint16_t version = versions[_i];
    const char *name = arena_fmt(&rig.arena, "pair-%x", version), *private, *public;
    const char *other = arena_fmt(&rig.arena, "pair-%x.pub", version);
    struct kmip_request *rq = request_new(version, 1);
    pair(rq, 0, name, other);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    ids_of(r, 0, &private, &public);
    ck_assert_str_eq(sql("SELECT result FROM audit.key_events('%s') WHERE operation = 'Create Key Pair'",
                         private),
                     "Success");
    rq = request_new(version, 2);
    by_uid(rq, 0, KMIP_OP_GET, private);
    by_uid(rq, 1, KMIP_OP_GET, public);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_success(r, 1);
    bool structure = version >= V2_0;
    ck_assert_uint_eq(block_of(r, 0)->key_format_type,
                      structure ? KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY : KMIP_FORMAT_ECPRIVATEKEY);
    ck_assert_uint_eq(block_of(r, 1)->key_format_type,
                      structure ? KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY : KMIP_FORMAT_X_509);
    ck_assert((block_of(r, 0)->key_value->structure != NULL) == structure);
    ck_assert_int_eq(block_of(r, 1)->cryptographic_length.value, 256);
    /* What nobody may read stands in no table: 16 bytes out of the middle of the key. */
    if (!structure) {
        struct bytes key = block_of(r, 0)->key_value->material;
        char hex[33];
        for (size_t i = 0; i < 16; i++)
            snprintf(hex + 2 * i, 3, "%02x", key.data[10 + i]);
        ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.material WHERE "
                                    "encode(envelope, 'hex') LIKE '%%%s%%'",
                                    hex),
                         0);
        ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object WHERE attributes::text ILIKE "
                                    "'%%%s%%'",
                                    hex),
                         0);
    }
    /* Each is found by its link to the other. */
    rq = request_new(version, 1);
    struct kmip_locate_request *in = locate_name(rq, 0, NULL);
    struct node *link = node_structure(&rig.arena, KMIP_TAG_LINK);
    node_append(link, node_enum(&rig.arena, KMIP_TAG_LINK_TYPE, KMIP_LINK_PRIVATE_KEY_LINK));
    node_append(link,
                node_text(&rig.arena, KMIP_TAG_LINKED_OBJECT_IDENTIFIER, bytes_str(private)));
    kmip_attributes_add(&rig.arena, &in->attributes, link);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    ck_assert_str_eq(uid_of(r, 0), public);
    /* One half lives on without the other. */
    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_DESTROY, private), 0);
    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_GET, public), 0);
    ck_assert_uint_ne(run_one(rig.bob, version, KMIP_OP_GET, public), 0);
}
END_TEST

static void *by_enumeration(struct kmip_request *rq, size_t i, uint32_t operation, uint32_t which)
{
    struct kmip_uid *uid = by_uid(rq, i, operation, NULL);
    *uid = (struct kmip_uid){.type = TTLV_ENUMERATION, .enumeration = which};
    return uid;
}

static void by_index(struct kmip_request *rq, size_t i, int32_t index)
{
    struct kmip_uid *uid = by_uid(rq, i, KMIP_OP_GET, NULL);
    *uid = (struct kmip_uid){.type = TTLV_INTEGER, .integer = index};
}

START_TEST(later_items_name_each_half)
{
    const char *private, *public;
    struct kmip_request *rq = request_new(V2_1, 8);
    pair(rq, 0, NULL, NULL);
    by_enumeration(rq, 1, KMIP_OP_ACTIVATE, KMIP_UID_CREATE_KEY_PAIR_PRIVATE_KEY);
    by_enumeration(rq, 2, KMIP_OP_ACTIVATE, KMIP_UID_CREATE_KEY_PAIR_PUBLIC_KEY);
    by_index(rq, 3, 0); /* in the order of the response */
    by_index(rq, 4, 1);
    by_enumeration(rq, 5, KMIP_OP_GET, KMIP_UID_ID_PLACEHOLDER);
    by_uid(rq, 6, KMIP_OP_GET, NULL);
    by_enumeration(rq, 7, KMIP_OP_GET, KMIP_UID_CREATE); /* there was none */
    struct kmip_response *r = call(rig.alice, rq);
    for (size_t i = 0; i < 7; i++)
        expect_success(r, i);
    expect_failed(r, 7, KMIP_REASON_OBJECT_NOT_FOUND);
    ids_of(r, 0, &private, &public);
    ck_assert_str_eq(uid_of(r, 1), private);
    ck_assert_str_eq(uid_of(r, 2), public);
    ck_assert_str_eq(uid_of(r, 3), private);
    ck_assert_str_eq(uid_of(r, 4), public);
    ck_assert_str_eq(uid_of(r, 5), private);
    ck_assert_str_eq(uid_of(r, 6), private);
    ck_assert_str_eq(sql("SELECT state FROM audit.keys WHERE uid = '%s'", public), "Active");
}
END_TEST

static long pair_objects(void)
{
    return sql_number("SELECT count(*) FROM kmip.object WHERE object_type IN (3, 4)");
}

START_TEST(a_pair_is_wholly_there_or_not_at_all)
{
    long before = pair_objects();
    struct kmip_request *rq = request_new(V1_4, 2);
    pair(rq, 0, "undone", "undone.pub");
    by_uid(rq, 1, KMIP_OP_GET, "00000000-0000-7000-8000-000000000000");
    rq->header->batch_error_continuation_option = KMIP_BATCH_UNDO;
    struct kmip_response *r = call(rig.alice, rq);
    expect_item(r, 0, KMIP_STATUS_OPERATION_UNDONE, 0);
    ck_assert_int_eq(pair_objects(), before);
    /* one name for both, a name of this request, a name in the database: of either half */
    new_key(rig.alice, "in-use");
    static const char *const names[][2] = {{"same", "same"}, {"in-use", "x"}, {"y", "in-use"}};
    for (size_t i = 0; i < 3; i++) {
        rq = request_new(V2_1, 1);
        pair(rq, 0, names[i][0], names[i][1]);
        expect_failed(call(rig.alice, rq), 0, KMIP_REASON_NON_UNIQUE_NAME_ATTRIBUTE);
        ck_assert_int_eq(pair_objects(), before);
    }
    rq = request_new(V2_1, 2);
    create_aes(rq, 0, "in-batch");
    pair(rq, 1, "z", "in-batch");
    r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_NON_UNIQUE_NAME_ATTRIBUTE);
    ck_assert_int_eq(pair_objects(), before);
    rq = request_new(V2_1, 1);
    pair(rq, 0, "undone", "undone.pub");
    expect_success(call(rig.alice, rq), 0);
    ck_assert_int_eq(pair_objects(), before + 2);
}
END_TEST

static struct kmip_register_request *bring(struct kmip_request *rq, uint32_t type)
{
    struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
    in->object_type = type;
    in->attributes.present = true;
    in->object = ARENA_NEW(&rig.arena, struct kmip_object);
    in->object->type = type;
    return in;
}

static const struct kmip_attribute *shown(const char *uid, uint16_t version, uint32_t tag)
{
    struct kmip_request *rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET_ATTRIBUTES, uid);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    const struct kmip_get_attributes_response *out = r->items[0].payload;
    return kmip_attributes_find(&out->attributes, tag, 0);
}

START_TEST(registered_keys_and_certificates)
{
    uint16_t version = versions[_i];
    struct kmip_request *rq = request_new(version, 1);
    struct kmip_register_request *in = bring(rq, KMIP_OBJECT_CERTIFICATE);
    in->object->certificate = KMIP_NEW(&rig.arena, certificate);
    in->object->certificate->type = KMIP_CERTIFICATE_X_509;
    in->object->certificate->value = unhex(CERTIFICATE_P256);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    const char *uid = uid_of(r, 0);
    ck_assert_int_eq(shown(uid, version, KMIP_TAG_CRYPTOGRAPHIC_LENGTH)->value->integer, 256);
    ck_assert_uint_eq(shown(uid, version, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM)->value->enumeration,
                      KMIP_ALGORITHM_ECDSA);
    rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET, uid);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    const struct kmip_get_response *got = r->items[0].payload;
    ck_assert(bytes_equal(got->object->certificate->value, unhex(CERTIFICATE_P256)));

    rq = request_new(version, 1);
    in = bring(rq, KMIP_OBJECT_PRIVATE_KEY);
    in->object->private_key = KMIP_NEW(&rig.arena, private_key);
    struct kmip_key_block *block = KMIP_NEW(&rig.arena, key_block);
    in->object->private_key->key_block = block;
    block->key_format_type = KMIP_FORMAT_PKCS1;
    block->key_value = ARENA_NEW(&rig.arena, struct kmip_key_value);
    block->key_value->material = unhex(RSA_1024);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    uid = uid_of(r, 0);
    ck_assert_int_eq(shown(uid, version, KMIP_TAG_CRYPTOGRAPHIC_LENGTH)->value->integer, 1024);
    rq = request_new(version, 3);
    by_uid(rq, 0, KMIP_OP_GET, uid);
    struct kmip_get_request *get = by_uid(rq, 1, KMIP_OP_GET, uid);
    get->key_format_type = KMIP_FORMAT_PKCS8;
    get = by_uid(rq, 2, KMIP_OP_GET, uid);
    get->key_format_type = KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY;
    r = call(rig.alice, rq);
    ck_assert(bytes_equal(block_of(r, 0)->key_value->material, unhex(RSA_1024)));
    expect_success(r, 1);
    ck_assert_uint_eq(block_of(r, 1)->key_format_type, KMIP_FORMAT_PKCS8);
    expect_success(r, 2);
    ck_assert_ptr_nonnull(node_child(block_of(r, 2)->key_value->structure, KMIP_TAG_CRT_COEFFICIENT));
    rq = request_new(version, 1);
    get = by_uid(rq, 0, KMIP_OP_GET, uid);
    get->key_format_type = KMIP_FORMAT_ECPRIVATEKEY;
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_KEY_FORMAT_TYPE_NOT_SUPPORTED);
    block->key_value->material.len--;
    rq = request_new(version, 1);
    in = bring(rq, KMIP_OBJECT_PRIVATE_KEY);
    in->object->private_key = KMIP_NEW(&rig.arena, private_key);
    in->object->private_key->key_block = block;
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_INVALID_FIELD);
}
END_TEST

Suite *pair_suite(void)
{
    Suite *s = suite_create("pair");
    TCase *tc = tcase_create("pair");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, rig_once, NULL);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_loop_test(tc, a_pair_in_every_version, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, later_items_name_each_half);
    tcase_add_test(tc, a_pair_is_wholly_there_or_not_at_all);
    tcase_add_loop_test(tc, registered_keys_and_certificates, 0, KMIP_VERSION_COUNT);
    suite_add_tcase(s, tc);
    return s;
}
