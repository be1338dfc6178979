/* Query and Discover Versions tell the truth, version by version. */
#include "tests/unit/ops/ops_tests.h"

static const struct kmip_query_response *query(struct world *w, uint16_t version, uint32_t first,
                                               uint32_t last)
{
    world_open(w, KMIP_OP_QUERY, version);
    struct kmip_query_request *in = world_request(w);
    in->query_functions.items = ARENA_ARRAY(&w->arena, last - first + 1, uint32_t);
    for (uint32_t f = first; f <= last; f++)
        in->query_functions.items[in->query_functions.count++] = f;
    ck_assert_int_eq(world_run(w), RC_OK);
    return w->item.response;
}

START_TEST(operations_are_those_of_the_table)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        uint16_t version = every_version[v];
        const struct kmip_query_response *out =
            query(&w, version, KMIP_QUERY_QUERY_OPERATIONS, KMIP_QUERY_QUERY_OBJECTS);
        size_t count, offered = 0;
        const struct op *table = op_table(&count);
        for (size_t i = 0; i < count; i++)
            offered += op_offered(&table[i], version, &w.server);
        ck_assert_uint_eq(out->operations.count, offered);
        for (size_t i = 0; i < out->operations.count; i++) {
            ck_assert_ptr_nonnull(op_find(out->operations.items[i], version));
            ck_assert_uint_ne(out->operations.items[i], KMIP_OP_INTEROP); /* the setting is off */
        }
        for (size_t i = 0; i < out->object_types.count; i++)
            ck_assert(kmip_enum_known(KMIP_TAG_OBJECT_TYPE, out->object_types.items[i], version));
        ck_assert_uint_eq(out->object_types.count, version < V2_0 ? 7 : 6);
        ck_assert_ptr_null(out->server_information);
        world_close(&w);
    }
}
END_TEST

START_TEST(everything_encodes)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        const struct kmip_query_response *out =
            query(&w, every_version[v], KMIP_QUERY_QUERY_OPERATIONS,
                  KMIP_QUERY_QUERY_STORAGE_PROTECTION_MASKS);
        ck_assert(bytes_is(out->vendor_identification, "Holdfast"));
        ck_assert_uint_eq(out->extension_information.count, 1);
        ck_assert(out->extension_information.items[0].tag.set); /* the map prevails over the list */
        ck_assert(out->capability_information.items[0].batch_undo.value);
        ck_assert(!out->capability_information.items[0].asynchronous.value);
        ck_assert_uint_gt(world_encode(&w), 200);
        world_close(&w);
    }
}
END_TEST

START_TEST(tpm_label_is_told)
{
    struct world w;
    const struct kmip_query_response *out =
        query(&w, V1_2, KMIP_QUERY_QUERY_SERVER_INFORMATION, KMIP_QUERY_QUERY_SERVER_INFORMATION);
    const struct kmip_nodes *own = &out->server_information->vendor_specific;
    ck_assert_uint_eq(own->count, 1);
    ck_assert(bytes_is(own->items[0]->bytes, "software (swtpm)"));
    world_close(&w);
}
END_TEST

START_TEST(discover)
{
    static const struct {
        size_t count;
        uint16_t asked[3];
        size_t given;
        uint16_t first;
    } cases[] = {
        {0, {0}, 7, V2_1},
        {2, {V1_2, V1_4}, 2, V1_4},
        {2, {0x0300, V1_0}, 1, V1_0},
        {1, {0x0900}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_DISCOVER_VERSIONS, V1_1);
        struct kmip_discover_versions *in = world_request(&w);
        struct kmip_protocol_version list[3];
        in->protocol_versions.items = list;
        for (size_t j = 0; j < cases[i].count; j++)
            list[in->protocol_versions.count++] = (struct kmip_protocol_version){
                KMIP_NUMBER(cases[i].asked[j] >> 8), KMIP_NUMBER(cases[i].asked[j] & 0xFF)};
        ck_assert_int_eq(world_run(&w), RC_OK);
        const struct kmip_discover_versions *out = w.item.response;
        ck_assert_uint_eq(out->protocol_versions.count, cases[i].given);
        if (cases[i].given)
            ck_assert_uint_eq(kmip_version_of(&out->protocol_versions.items[0]), cases[i].first);
        world_encode(&w);
        world_close(&w);
    }
}
END_TEST

Suite *query_suite(void)
{
    Suite *s = suite_create("query");
    TCase *t = tcase_create("query");
    tcase_add_test(t, operations_are_those_of_the_table);
    tcase_add_test(t, everything_encodes);
    tcase_add_test(t, tpm_label_is_told);
    tcase_add_test(t, discover);
    suite_add_tcase(s, t);
    return s;
}
