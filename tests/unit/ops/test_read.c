/* Get and Get Attributes. */
#include "tests/unit/ops/ops_tests.h"

/* A key with the rest of its attributes stored. */
static void stored_key(struct world *w, bool fresh)
{
    world_key(w, STATE_ACTIVE);
    struct kmip_attributes rest = {0};
    kmip_attributes_add_boolean(&w->arena, &rest, KMIP_TAG_FRESH, fresh);
    kmip_attributes_add_text(&w->arena, &rest, KMIP_TAG_OBJECT_GROUP, bytes_str("g1"));
    kmip_attributes_add_text(&w->arena, &rest, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    ck_assert_int_eq(attrs_store(&w->arena, &w->object, &rest), RC_OK);
}

START_TEST(get_formats)
{
    static const struct {
        uint32_t stored, asked, given;
    } cases[] = {
        {KMIP_FORMAT_RAW, 0, KMIP_FORMAT_RAW},
        {KMIP_FORMAT_RAW, KMIP_FORMAT_RAW, KMIP_FORMAT_RAW},
        {KMIP_FORMAT_RAW, KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY,
         KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY},
        {KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY, KMIP_FORMAT_RAW, KMIP_FORMAT_RAW},
        {KMIP_FORMAT_RAW, KMIP_FORMAT_PKCS1, 0},
        {KMIP_FORMAT_RAW, KMIP_FORMAT_OPAQUE, 0},
    };
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct world w;
            world_open(&w, KMIP_OP_GET, every_version[v]);
            stored_key(&w, false);
            w.object.key_format = cases[i].stored;
            struct kmip_get_request *in = world_request(&w);
            in->key_format_type = cases[i].asked;
            rc_t rc = world_run(&w);
            ck_assert_int_eq(rc, cases[i].given ? RC_OK : RC_KEY_FORMAT);
            if (rc == RC_OK) {
                const struct kmip_get_response *out = w.item.response;
                ck_assert_uint_eq(out->object->symmetric_key->key_block->key_format_type,
                                  cases[i].given);
                ck_assert_uint_gt(world_encode(&w), 100);
                ck_assert_uint_eq(w.item.change_count, 0);
            }
            world_close(&w);
        }
}
END_TEST

START_TEST(first_get_ends_freshness)
{
    struct world w;
    world_open(&w, KMIP_OP_GET, V1_2);
    stored_key(&w, true);
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.call_count, 2);
    ck_assert_int_eq(w.item.calls[0].op, VAULT_GET);
    ck_assert_int_eq(w.item.calls[1].op, VAULT_TRANSITION);
    ck_assert_uint_eq(w.item.change_count, 1);
    struct kmip_attributes list = world_attributes(&w);
    ck_assert(!kmip_attributes_find(&list, KMIP_TAG_FRESH, 0)->value->boolean);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 2);
    world_close(&w);
}
END_TEST

START_TEST(freshness_in_the_stored_text)
{
    static const struct {
        const char *json;
        bool may;
    } cases[] = {
        {"", false},
        {"{}", false},
        {"{\"Fresh\":true}", true},
        {"{\"Comment\": \"a\", \"Fresh\": true}", true},
        {"{\"Fresh\": false}", false},
        {"{\"Comment\": \"\\\"Fresh\\\": true\"}", false}, /* quotes inside of a text are escaped */
        {"{\"x-Fresh\": [{\"type\": \"Boolean\", \"value\": true}]}", false},
        {"{\"Fresh\":", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct object o = {.attributes = bytes_str(cases[i].json)};
        ck_assert_msg(attrs_may_be_fresh(&o) == cases[i].may, "%s", cases[i].json);
    }
}
END_TEST

START_TEST(get_refusals)
{
    struct world w;
    static const struct {
        uint32_t state;
        bool extractable, sensitive;
        rc_t rc;
    } cases[] = {
        {STATE_PRE_ACTIVE, true, false, RC_OK},
        {STATE_COMPROMISED, true, false, RC_OK},
        {STATE_DESTROYED, true, false, RC_MATERIAL_GONE},
        {STATE_ACTIVE, false, false, RC_NOT_EXTRACTABLE},
        {STATE_ACTIVE, true, true, RC_SENSITIVE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_open(&w, KMIP_OP_GET, V2_1);
        world_key(&w, cases[i].state);
        w.object.control.extractable = cases[i].extractable;
        w.object.control.sensitive = cases[i].sensitive;
        world_request(&w);
        ck_assert_int_eq(world_run(&w), cases[i].rc);
        ck_assert_uint_eq(w.item.call_count, cases[i].rc == RC_OK ? 1 : 0);
        world_close(&w);
    }
    world_open(&w, KMIP_OP_GET, V1_0);
    world_key(&w, STATE_ACTIVE);
    struct kmip_get_request *in = world_request(&w);
    in->key_wrapping_specification = KMIP_NEW(&w.arena, key_wrapping_specification);
    ck_assert_int_eq(world_run(&w), RC_WRAP_UNSUPPORTED);
    world_close(&w);

    world_open(&w, KMIP_OP_GET, V1_0);
    world_key(&w, STATE_ACTIVE);
    ((struct kmip_get_request *)world_request(&w))->key_compression_type =
        KMIP_COMPRESSION_EC_PUBLIC_KEY_TYPE_UNCOMPRESSED;
    ck_assert_int_eq(world_run(&w), RC_KEY_COMPRESSION);
    world_close(&w);

    world_open(&w, KMIP_OP_GET, V1_0);
    world_key(&w, STATE_ACTIVE);
    w.object.control.owner.raw[3] ^= 1; /* another client's: the same as missing */
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_NOT_FOUND);
    world_close(&w);
}
END_TEST

static rc_t ask_attributes(struct world *w, const uint32_t *tags, size_t count)
{
    struct kmip_get_attributes_request *in = world_request(w);
    in->attributes.items = ARENA_ARRAY(&w->arena, count + 1, struct kmip_attr_ref);
    in->attributes.count = count;
    for (size_t i = 0; i < count; i++)
        in->attributes.items[i] = (struct kmip_attr_ref){.tag = tags[i], .index = -1};
    return world_run(w);
}

START_TEST(named_attributes)
{
    static const uint32_t tags[] = {KMIP_TAG_STATE, KMIP_TAG_OBJECT_GROUP,
                                    KMIP_TAG_DEACTIVATION_DATE, KMIP_TAG_SENSITIVE};
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        world_open(&w, KMIP_OP_GET_ATTRIBUTES, every_version[v]);
        stored_key(&w, true);
        ck_assert_int_eq(ask_attributes(&w, tags, 4), RC_OK);
        const struct kmip_get_attributes_response *out = w.item.response;
        /* No Deactivation Date is set, and Sensitive begins in 1.4. */
        ck_assert_uint_eq(out->attributes.count, every_version[v] >= V1_4 ? 4 : 3);
        const struct kmip_attribute *second =
            kmip_attributes_find(&out->attributes, KMIP_TAG_OBJECT_GROUP, 1);
        ck_assert_int_eq(second->index, 1);
        world_encode(&w);
        world_close(&w);
    }
}
END_TEST

START_TEST(names_twice)
{
    static const uint32_t tags[] = {KMIP_TAG_STATE, KMIP_TAG_STATE};
    struct world w;
    world_open(&w, KMIP_OP_GET_ATTRIBUTES, V1_0);
    stored_key(&w, true);
    ck_assert_int_eq(ask_attributes(&w, tags, 2), RC_BAD_MESSAGE);
    world_close(&w);
}
END_TEST

START_TEST(secret_type_is_kept_and_not_shown)
{
    struct world w;
    world_open(&w, KMIP_OP_GET_ATTRIBUTES, V2_1);
    world_key(&w, STATE_ACTIVE);
    struct kmip_attributes rest = {0}, back;
    ck_assert_int_eq(attrs_keep_secret_type(&w.arena, &rest, KMIP_SECRET_SEED), RC_OK);
    ck_assert_int_eq(attrs_store(&w.arena, &w.object, &rest), RC_OK);
    ck_assert_int_eq(attrs_load(&w.arena, &w.object, &back), RC_OK);
    ck_assert_uint_eq(attrs_secret_type(&back), KMIP_SECRET_SEED);
    ck_assert_int_eq(ask_attributes(&w, NULL, 0), RC_OK);
    const struct kmip_get_attributes_response *out = w.item.response;
    ck_assert_uint_eq(kmip_attributes_count(&out->attributes, KMIP_TAG_ATTRIBUTE), 0);
    world_close(&w);
}
END_TEST

Suite *read_suite(void)
{
    Suite *s = suite_create("read");
    TCase *t = tcase_create("read");
    tcase_add_test(t, get_formats);
    tcase_add_test(t, first_get_ends_freshness);
    tcase_add_test(t, freshness_in_the_stored_text);
    tcase_add_test(t, get_refusals);
    tcase_add_test(t, named_attributes);
    tcase_add_test(t, names_twice);
    tcase_add_test(t, secret_type_is_kept_and_not_shown);
    suite_add_tcase(s, t);
    return s;
}
