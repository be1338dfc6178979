/* Locate: the query that filters become, the match on objects of the request itself, the answer. */
#include "tests/unit/ops/ops_tests.h"

static struct kmip_locate_request *ask(struct world *w, uint16_t version)
{
    world_open(w, KMIP_OP_LOCATE, version);
    struct kmip_locate_request *in = world_request(w);
    in->attributes.present = true;
    return in;
}

static struct node *name_value(struct arena *a, const char *value, uint32_t type)
{
    struct node *n = node_structure(a, KMIP_TAG_NAME);
    if (value)
        node_append(n, node_text(a, KMIP_TAG_NAME_VALUE, bytes_str(value)));
    if (type)
        node_append(n, node_enum(a, KMIP_TAG_NAME_TYPE, type));
    return n;
}

START_TEST(columns)
{
    struct world w;
    struct kmip_locate_request *in = ask(&w, V1_0);
    struct arena *a = &w.arena;
    struct kmip_attributes *list = &in->attributes;
    kmip_attributes_add_enum(a, list, KMIP_TAG_OBJECT_TYPE, KMIP_OBJECT_SYMMETRIC_KEY);
    kmip_attributes_add_enum(a, list, KMIP_TAG_STATE, STATE_ACTIVE);
    kmip_attributes_add_integer(a, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
    kmip_attributes_add_date(a, list, KMIP_TAG_INITIAL_DATE, 200);
    kmip_attributes_add_date(a, list, KMIP_TAG_INITIAL_DATE, 100);
    kmip_attributes_add_date(a, list, KMIP_TAG_ACTIVATION_DATE, 50);
    kmip_attributes_add_text(a, list, KMIP_TAG_OBJECT_GROUP, bytes_str("g"));
    /* 1.x clients may wrap filters. */
    kmip_attributes_add(a, &in->wrapped_attributes, name_value(a, "n", 1));
    in->maximum_items = KMIP_NUMBER(5);
    ck_assert_int_eq(world_run(&w), RC_OK);
    const struct db_locate *q = &w.item.query;
    ck_assert_uint_eq(q->filters, DB_LOCATE_OBJECT_TYPE | DB_LOCATE_STATE | DB_LOCATE_LENGTH);
    ck_assert_uint_eq(q->object_type, KMIP_OBJECT_SYMMETRIC_KEY);
    ck_assert_uint_eq(q->maximum, 5);
    ck_assert_uint_eq(q->name_count, 1);
    ck_assert_uint_eq(q->date_count, 2);
    ck_assert_int_eq(q->dates[0].from, 100);
    ck_assert_int_eq(q->dates[0].to, 200);
    ck_assert_int_eq(q->dates[1].from, 50);
    ck_assert_int_eq(q->dates[1].to, 50);
    ck_assert_uint_gt(q->attributes.len, 2);
    world_close(&w);
}
END_TEST

START_TEST(storage)
{
    static const struct {
        uint16_t version;
        int64_t mask; /* -1: none */
        uint32_t state;
        bool nothing, destroyed, only;
    } cases[] = {
        {V1_0, -1, 0, false, false, false},
        {V1_0, 2, 0, true, false, false}, /* archives only: there are none */
        {V1_0, 3, 0, false, false, false},
        {V1_0, -1, STATE_DESTROYED, false, true, false},
        {V2_1, -1, STATE_DESTROYED, true, false, false},
        {V2_1, 5, STATE_DESTROYED, false, true, false},
        {V2_1, 4, 0, false, true, true},
        {V2_1, 7, 0, false, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        struct kmip_locate_request *in = ask(&w, cases[i].version);
        if (cases[i].mask >= 0)
            in->storage_status_mask = KMIP_NUMBER(cases[i].mask);
        if (cases[i].state)
            kmip_attributes_add_enum(&w.arena, &in->attributes, KMIP_TAG_STATE, cases[i].state);
        ck_assert_int_eq(world_run(&w), RC_OK);
        ck_assert_int_eq(w.item.filter.nothing, cases[i].nothing);
        ck_assert_int_eq((w.item.query.filters & DB_LOCATE_DESTROYED) != 0, cases[i].destroyed);
        ck_assert_uint_eq(w.item.query.date_count, cases[i].only ? 1 : 0);
        world_close(&w);
    }
}
END_TEST

START_TEST(answers)
{
    static const struct {
        int maximum; /* -1: none */
        size_t found;
        uint64_t total;
        enum op_id_effect effect;
    } cases[] = {{-1, 0, 0, ID_CLEAR},
                 {-1, 1, 1, ID_SET},
                 {-1, 2, 2, ID_CLEAR},
                 {1, 1, 9, ID_SET},
                 {2, 2, 9, ID_CLEAR}};
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct world w;
            struct uid found[2] = {{{1}}, {{2}}};
            struct kmip_locate_request *in = ask(&w, every_version[v]);
            if (cases[i].maximum >= 0)
                in->maximum_items = KMIP_NUMBER(cases[i].maximum);
            w.item.located = found;
            w.item.located_count = cases[i].found;
            w.item.located_total = cases[i].total;
            w.item.total_known = true;
            ck_assert_int_eq(world_run(&w), RC_OK);
            ck_assert_int_eq(w.item.id_effect, cases[i].effect);
            const struct kmip_locate_response *out = w.item.response;
            ck_assert_uint_eq(out->unique_identifiers.count, cases[i].found);
            world_encode(&w);
            world_close(&w);
        }
}
END_TEST

START_TEST(refusals)
{
    struct world w;
    ask(&w, V1_0)->maximum_items = KMIP_NUMBER(-1);
    ck_assert_int_eq(world_run(&w), RC_INVALID_FIELD);
    world_close(&w);
    struct kmip_locate_request *in = ask(&w, V1_0);
    kmip_attributes_add_boolean(&w.arena, &in->attributes, KMIP_TAG_SENSITIVE, true);
    ck_assert_int_eq(world_run(&w), RC_ATTR_INVALID);
    world_close(&w);
    in = ask(&w, V1_4);
    for (int i = 0; i < 3; i++)
        kmip_attributes_add_date(&w.arena, &in->attributes, KMIP_TAG_INITIAL_DATE, i);
    ck_assert_int_eq(world_run(&w), RC_INVALID_FIELD);
    world_close(&w);
    ask(&w, V1_1)->object_group_member = KMIP_GROUP_MEMBER_GROUP_MEMBER_DEFAULT;
    ck_assert_int_eq(world_run(&w), RC_INVALID_FIELD); /* of no group */
    world_close(&w);
}
END_TEST

/* One filter each against a stored key: the same rules as the database's. */
static void match_one(struct node *want, bool expect)
{
    struct world w;
    world_open(&w, KMIP_OP_LOCATE, V2_1);
    struct arena *a = &w.arena;
    world_key(&w, STATE_ACTIVE);
    struct name names[] = {{bytes_str("n1"), 1, 0}, {bytes_str("n2"), 1, 1}};
    w.object.names = names;
    w.object.name_count = 2;
    struct kmip_attributes rest = {0}, wanted = {0};
    kmip_attributes_add_text(a, &rest, KMIP_TAG_OBJECT_GROUP, bytes_str("g1"));
    kmip_attributes_add_text(a, &rest, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    ck_assert_int_eq(attrs_store(a, &w.object, &rest), RC_OK);
    kmip_attributes_add(a, &wanted, want);
    struct filter f = {.wanted = &wanted, .online = true, .now = NOW};
    bool match = !expect;
    ck_assert_int_eq(filter_match(a, &f, &w.object, &match), RC_OK);
    ck_assert_msg(match == expect, "%s", kmip_tag_name(want->tag));
    world_close(&w);
}

START_TEST(matches)
{
    struct arena a = ARENA_OF(1u << 20);
    match_one(name_value(&a, "n2", 1), true);
    match_one(name_value(&a, "n2", 0), true); /* fields may be left out */
    match_one(name_value(&a, "n3", 1), false);
    match_one(name_value(&a, "n1", 2), false);
    match_one(node_text(&a, KMIP_TAG_OBJECT_GROUP, bytes_str("g2")), true);
    match_one(node_text(&a, KMIP_TAG_OBJECT_GROUP, bytes_str("g3")), false);
    match_one(node_integer(&a, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_ENCRYPT), true);
    match_one(
        node_integer(&a, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_ENCRYPT | KMIP_USAGE_SIGN),
        false);
    match_one(node_enum(&a, KMIP_TAG_STATE, STATE_ACTIVE), true);
    match_one(node_enum(&a, KMIP_TAG_STATE, STATE_PRE_ACTIVE), false);
    match_one(node_date_time(&a, KMIP_TAG_INITIAL_DATE, NOW - 1000), true);
    match_one(node_date_time(&a, KMIP_TAG_DEACTIVATION_DATE, NOW), false);
    match_one(node_boolean(&a, KMIP_TAG_SENSITIVE, false), true);
    arena_free(&a);
}
END_TEST

Suite *locate_suite(void)
{
    Suite *s = suite_create("locate");
    TCase *t = tcase_create("locate");
    tcase_add_test(t, columns);
    tcase_add_test(t, storage);
    tcase_add_test(t, answers);
    tcase_add_test(t, refusals);
    tcase_add_test(t, matches);
    suite_add_tcase(s, t);
    return s;
}
