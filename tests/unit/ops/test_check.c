/* Check, Log and Interop: what they allow, and what a refusal tells. */
#include "db/audit_chain.h"
#include "proto/kmip/reason.h"
#include "tests/unit/ops/ops_tests.h"

enum { LEASE_S = ATTRS_LEASE_S };

/* A key whose limits leave 500 of 1000 bytes. */
static struct kmip_check_request *ask(struct world *w, uint16_t version, uint32_t state)
{
    world_open(w, KMIP_OP_CHECK, version);
    world_key(w, state);
    struct arena *a = &w->arena;
    struct kmip_attributes rest = {0};
    struct node *limits = node_structure(a, KMIP_TAG_USAGE_LIMITS);
    node_append(limits, node_long(a, KMIP_TAG_USAGE_LIMITS_TOTAL, 1000));
    node_append(limits, node_long(a, KMIP_TAG_USAGE_LIMITS_COUNT, 500));
    node_append(limits, node_enum(a, KMIP_TAG_USAGE_LIMITS_UNIT, KMIP_UNIT_BYTE));
    kmip_attributes_add(a, &rest, limits);
    ck_assert_int_eq(attrs_store(a, &w->object, &rest), RC_OK);
    return world_request(w);
}

enum { ENC = KMIP_USAGE_ENCRYPT, DEC = KMIP_USAGE_DECRYPT, SIGN = KMIP_USAGE_SIGN };

static const struct {
    uint32_t state;
    int64_t mask, count, lease; /* -1: not asked */
    rc_t rc;
    bool mask_told, count_told, lease_told;
} checks[] = {
    {STATE_ACTIVE, -1, -1, -1, RC_OK, false, false, false},
    {STATE_ACTIVE, ENC | DEC, 500, LEASE_S, RC_OK, false, false, false},
    {STATE_ACTIVE, 0, 0, 0, RC_OK, false, false, false},
    {STATE_ACTIVE, ENC | SIGN, -1, -1, RC_USAGE_MASK, true, false, false},
    {STATE_ACTIVE, ENC, 501, -1, RC_USAGE_LIMIT, false, true, false},
    {STATE_ACTIVE, ENC, 500, LEASE_S + 1, RC_DENIED, false, false, true},
    {STATE_ACTIVE, SIGN, 501, LEASE_S + 1, RC_USAGE_MASK, true, true, true},
    {STATE_ACTIVE, -1, -2, -1, RC_INVALID_FIELD, false, false, false},
    {STATE_PRE_ACTIVE, -1, 500, LEASE_S, RC_OK, false, false, false},
    {STATE_PRE_ACTIVE, DEC, -1, -1, RC_WRONG_STATE, true, false, false},
    {STATE_DEACTIVATED, DEC, -1, -1, RC_OK, false, false, false},
    {STATE_DEACTIVATED, ENC, -1, -1, RC_WRONG_STATE, true, false, false},
    {STATE_COMPROMISED, DEC, -1, -1, RC_OK, false, false, false},
    {STATE_COMPROMISED, ENC | DEC, -1, -1, RC_WRONG_STATE, true, false, false},
    {STATE_DESTROYED, -1, -1, -1, RC_DESTROYED, false, false, false},
    {STATE_DESTROYED_COMPROMISED, DEC, -1, -1, RC_DESTROYED, false, false, false},
};

START_TEST(each_value_is_judged)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        uint16_t version = every_version[v];
        struct kmip_check_request *in = ask(&w, version, checks[_i].state);
        if (checks[_i].mask >= 0)
            in->cryptographic_usage_mask = KMIP_NUMBER(checks[_i].mask);
        if (checks[_i].count != -1)
            in->usage_limits_count = KMIP_NUMBER(checks[_i].count);
        if (checks[_i].lease >= 0)
            in->lease_time = KMIP_NUMBER(checks[_i].lease);
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == checks[_i].rc, "%s", rc_name(rc));
        bool told = checks[_i].mask_told || checks[_i].count_told || checks[_i].lease_told;
        const struct kmip_check_response *no = w.item.failure;
        ck_assert_int_eq(no != NULL, told && version < V2_0);
        ck_assert_int_eq(w.item.id_effect, told ? ID_CLEAR : ID_KEEP);
        ck_assert_int_eq(w.item.ends_batch, told && version == V1_0);
        if (no) {
            ck_assert_int_eq(no->unique_identifier.type, 0);
            ck_assert_int_eq(no->cryptographic_usage_mask.set, checks[_i].mask_told);
            ck_assert_int_eq(no->usage_limits_count.set, checks[_i].count_told);
            ck_assert_int_eq(no->lease_time.set, checks[_i].lease_told);
            w.item.response = w.item.failure;
            world_encode(&w);
        }
        if (rc == RC_OK) {
            const struct kmip_check_response *yes = w.item.response;
            ck_assert_uint_eq(yes->unique_identifier.text.len, UID_TEXT_SIZE - 1);
            ck_assert(!yes->cryptographic_usage_mask.set);
            world_encode(&w);
        }
        world_close(&w);
    }
}
END_TEST

START_TEST(a_key_without_limits_has_none)
{
    struct world w;
    struct kmip_check_request *in = ask(&w, V2_1, STATE_ACTIVE);
    w.object.attributes = BYTES_NONE;
    in->usage_limits_count = KMIP_NUMBER(INT64_MAX);
    ck_assert_int_eq(world_run(&w), RC_OK);
    world_close(&w);
}
END_TEST

START_TEST(only_what_can_be_used)
{
    static const uint32_t types[] = {KMIP_OBJECT_OPAQUE_OBJECT, KMIP_OBJECT_TEMPLATE, KMIP_OBJECT_CERTIFICATE_REQUEST};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct world w;
        ask(&w, V1_4, STATE_PRE_ACTIVE);
        w.object.control.object_type = types[i];
        ck_assert_int_eq(world_run(&w), RC_WRONG_TYPE);
        ck_assert_int_eq(w.item.id_effect, ID_KEEP);
        world_close(&w);
    }
}
END_TEST

/* KMIP 1.4, 11.11, and KMIP 2.1, 6.1.7.1. */
START_TEST(reasons_by_version)
{
    ck_assert_uint_eq(kmip_reason(RC_USAGE_MASK, V1_4), KMIP_REASON_PERMISSION_DENIED);
    ck_assert_uint_eq(kmip_reason(RC_USAGE_LIMIT, V1_0), KMIP_REASON_PERMISSION_DENIED);
    ck_assert_uint_eq(kmip_reason(RC_WRONG_STATE, V1_4), KMIP_REASON_PERMISSION_DENIED);
    ck_assert_uint_eq(kmip_reason(RC_WRONG_TYPE, V1_4), KMIP_REASON_ILLEGAL_OPERATION);
    ck_assert_uint_eq(kmip_reason(RC_USAGE_MASK, V2_1), KMIP_REASON_INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK);
    ck_assert_uint_eq(kmip_reason(RC_USAGE_LIMIT, V2_0), KMIP_REASON_USAGE_LIMIT_EXCEEDED);
    ck_assert_uint_eq(kmip_reason(RC_WRONG_STATE, V2_1), KMIP_REASON_WRONG_KEY_LIFECYCLE_STATE);
    ck_assert_uint_eq(kmip_reason(RC_WRONG_TYPE, V2_1), KMIP_REASON_ILLEGAL_OBJECT_TYPE);
}
END_TEST

/* ---- Log and Interop ---- */

START_TEST(a_message_goes_on_record_wholly_or_not)
{
    static const char text[AUDIT_DETAIL_MAX + 1] = "The backup has begun.";
    static const size_t lengths[] = {0, 21, AUDIT_DETAIL_MAX, AUDIT_DETAIL_MAX + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_LOG, i % 2 ? V2_1 : V2_0);
        struct kmip_log_request *in = world_request(&w);
        in->log_message = bytes_of(text, lengths[i]);
        bool fits = lengths[i] <= AUDIT_DETAIL_MAX;
        ck_assert_int_eq(world_run(&w), fits ? RC_OK : RC_INVALID_FIELD);
        ck_assert_uint_eq(w.item.detail.len, fits ? lengths[i] : 0);
        if (fits)
            world_encode(&w);
        world_close(&w);
    }
    ck_assert_ptr_null(op_find(KMIP_OP_LOG, V1_4));
}
END_TEST

START_TEST(interop_marks_and_resets_nothing)
{
    static const struct {
        uint32_t function;
        rc_t rc;
    } cases[] = {{KMIP_INTEROP_FUNCTION_BEGIN, RC_OK},
                 {KMIP_INTEROP_FUNCTION_END, RC_OK},
                 {KMIP_INTEROP_FUNCTION_RESET, RC_FEATURE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_INTEROP, V2_1);
        struct kmip_interop_request *in = world_request(&w);
        in->function = cases[i].function;
        in->identifier = bytes_str("a case");
        ck_assert_int_eq(world_run(&w), cases[i].rc);
        ck_assert(bytes_is(w.item.detail, "a case"));
        if (cases[i].rc == RC_OK)
            world_encode(&w);
        world_close(&w);
    }
}
END_TEST

START_TEST(interop_is_for_test_servers)
{
    const struct op *op = op_find(KMIP_OP_INTEROP, V2_1);
    struct op_server server = {.interop = false};
    ck_assert_ptr_nonnull(op);
    ck_assert(!op_offered(op, V2_1, &server));
    server.interop = true;
    ck_assert(op_offered(op, V2_1, &server));
    ck_assert(!op_offered(op, V1_4, &server));
    ck_assert(op_offered(op_find(KMIP_OP_LOG, V2_0), V2_0, &(struct op_server){0}));
}
END_TEST

Suite *check_suite(void)
{
    Suite *s = suite_create("check");
    TCase *t = tcase_create("check");
    tcase_add_loop_test(t, each_value_is_judged, 0, (int)(sizeof checks / sizeof checks[0]));
    tcase_add_test(t, a_key_without_limits_has_none);
    tcase_add_test(t, only_what_can_be_used);
    tcase_add_test(t, reasons_by_version);
    suite_add_tcase(s, t);
    t = tcase_create("log and interop");
    tcase_add_test(t, a_message_goes_on_record_wholly_or_not);
    tcase_add_test(t, interop_marks_and_resets_nothing);
    tcase_add_test(t, interop_is_for_test_servers);
    suite_add_tcase(s, t);
    return s;
}
