/* Who may do what, and the table of operations. */
#include "tests/unit/ops/ops_tests.h"

static enum verdict verdict(const struct identity *who, unsigned p, const struct object *object)
{
    const struct policy_facts facts = {object, true, true};
    return policy_decide(who, p, &facts, NOW * INT64_C(1000000)).verdict;
}

START_TEST(owner_only)
{
    struct world w;
    world_open(&w, KMIP_OP_GET, V2_1);
    world_key(&w, STATE_ACTIVE);
    struct object other = w.object, elsewhere = w.object;
    other.control.owner.raw[0] ^= 1;
    elsewhere.control.domain++;
    for (unsigned p = PERMIT_NONE + 1; p < PERMISSION_COUNT; p++) {
        ck_assert_int_eq(verdict(&w.who, p, &w.object), VERDICT_ALLOWED);
        ck_assert_int_eq(verdict(&w.who, p, &other), VERDICT_REFUSED);
        ck_assert_int_eq(verdict(&w.who, p, &elsewhere), VERDICT_REFUSED);
        ck_assert_int_eq(verdict(&w.who, p, NULL), permission_needs_object(p) ? VERDICT_REFUSED : VERDICT_ALLOWED);
    }
    struct identity nobody = {.domain = 1, .policy = w.who.policy}, without = w.who;
    without.policy = NULL;
    ck_assert_int_eq(verdict(&nobody, PERMIT_CREATE, NULL), VERDICT_REFUSED);
    ck_assert_int_eq(verdict(&without, PERMIT_CREATE, NULL), VERDICT_REFUSED);
    ck_assert_int_eq(verdict(&w.who, PERMISSION_COUNT, &w.object), VERDICT_REFUSED);
    ck_assert_int_eq(verdict(&w.who, PERMIT_NONE, &w.object), VERDICT_REFUSED);
    world_close(&w);
}
END_TEST

/* Every operation has a permission of its own, but for the two that tell nothing of objects. */
START_TEST(own_permissions)
{
    size_t count;
    const struct op *ops = op_table(&count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_ne(ops[i].permission, PERMIT_NONE);
        ck_assert_str_ne(permission_text(ops[i].permission), "unknown");
        ck_assert_str_eq(ops[i].name, kmip_operation_text(ops[i].code));
        for (size_t j = 0; j < i; j++)
            ck_assert(ops[i].permission != ops[j].permission || ops[i].permission == PERMIT_QUERY);
    }
}
END_TEST

START_TEST(versions)
{
    ck_assert_ptr_null(op_find(KMIP_OP_DISCOVER_VERSIONS, V1_0));
    ck_assert_ptr_nonnull(op_find(KMIP_OP_DISCOVER_VERSIONS, V1_1));
    ck_assert_ptr_null(op_find(KMIP_OP_ENCRYPT, V1_1));
    ck_assert_ptr_nonnull(op_find(KMIP_OP_ENCRYPT, V1_2));
    ck_assert_ptr_null(op_find(KMIP_OP_SIGN, V2_1));
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        ck_assert_ptr_nonnull(op_find(KMIP_OP_CREATE, every_version[v]));
}
END_TEST

START_TEST(identifiers)
{
    struct world w;
    world_open(&w, KMIP_OP_GET, V2_1);
    struct op_ids *ids = &w.ids;
    for (unsigned i = 0; i < 3; i++)
        memset(ids->all[ids->count++].raw, (int)i + 1, 16);
    ids->placeholder = ids->all[2];
    ids->created = ids->all[0];
    static const struct {
        struct kmip_uid id;
        uint8_t first; /* 0: none */
    } cases[] = {
        {{0}, 3},
        {{.type = TTLV_ENUMERATION, .enumeration = KMIP_UID_ID_PLACEHOLDER}, 3},
        {{.type = TTLV_ENUMERATION, .enumeration = KMIP_UID_CREATE}, 1},
        {{.type = TTLV_ENUMERATION, .enumeration = KMIP_UID_REGISTER}, 0},
        {{.type = TTLV_INTEGER, .integer = 1}, 2},
        {{.type = TTLV_INTEGER, .integer = -1}, 3},
        {{.type = TTLV_INTEGER, .integer = -4}, 0},
        {{.type = TTLV_INTEGER, .integer = 3}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        op_want_object(&w.item, &cases[i].id, 0);
        ck_assert_uint_eq(w.item.uid.raw[0], cases[i].first);
    }
    static const char *const texts[] = {"AAABBBCCC", "", "0190b6f2-7d1e-7abc-8def-0123456789a",
                                        "0190b6f2-7d1e-7abc-8def-0123456789abc"};
    for (size_t i = 0; i < 4; i++) {
        struct kmip_uid id = KMIP_UID_TEXT(bytes_str(texts[i]));
        op_want_object(&w.item, &id, 0);
        ck_assert(uid_is_nil(&w.item.uid));
        ck_assert_int_eq(w.item.want, WANT_OBJECT); /* looked for like any other */
    }
    world_close(&w);
}
END_TEST

Suite *policy_suite(void)
{
    Suite *s = suite_create("policy");
    TCase *t = tcase_create("policy");
    tcase_add_test(t, owner_only);
    tcase_add_test(t, own_permissions);
    tcase_add_test(t, versions);
    tcase_add_test(t, identifiers);
    suite_add_tcase(s, t);
    return s;
}
