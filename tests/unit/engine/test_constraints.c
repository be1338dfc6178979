/* What policy asks of a client beyond its rules: approval first, a number of objects, attributes that are given to what
 * is made. */
#include "tests/unit/engine/fixture.h"

static void raise_standings(void)
{
    sql("UPDATE policy.client SET standing = standing + 1");
}

static void no_constraints(void)
{
    sql("DELETE FROM policy.approval");
    sql("DELETE FROM policy.request");
    sql("DELETE FROM policy.bound WHERE reason = 'test'");
    sql("DELETE FROM policy.object_default WHERE reason = 'test'");
    sql("UPDATE policy.domain SET max_objects = NULL WHERE id = 1");
    no_rules();
}

static void setup(void)
{
    rig_setup();
    no_constraints();
}

static void teardown(void)
{
    no_constraints();
    rig_teardown();
}

/* ---- approval ---- */

static struct kmip_response *gets(const char *uid, size_t count)
{
    struct kmip_request *rq = request_new(V1_4, count);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    for (size_t i = 0; i < count; i++)
        by_uid(rq, i, KMIP_OP_GET, uid);
    return call(rig.bob, rq);
}

/* The item was refused, and the client told this of the request. */
static void expect_told(const struct kmip_response *r, size_t i, long number, const char *what)
{
    expect_failed(r, i, KMIP_REASON_PERMISSION_DENIED);
    const char *want = arena_fmt(&rig.arena, "request %ld %s", number, what);
    ck_assert_msg(bytes_is(r->items[i].result_message, want), "item %zu: %.*s", i, (int)r->items[i].result_message.len,
                  (const char *)r->items[i].result_message.data);
}

/* Asks for the key and approves. */
static long approved(const char *uid)
{
    expect_failed(gets(uid, 1), 0, KMIP_REASON_PERMISSION_DENIED);
    long number = sql_number("SELECT max(id) FROM policy.request");
    ck_assert_str_eq(sql("SELECT policy.approve(%ld, 'test')", number), "approved");
    return number;
}

START_TEST(an_approval_serves_one_operation)
{
    const char *key = new_key(rig.bob, "guarded");
    rule_for_bob("effect, permissions, owner, approvals", "'approval', '{get}', 'self', 1");
    struct kmip_response *r = gets(key, 1);
    long number = sql_number("SELECT id FROM policy.request");
    expect_told(r, 0, number, "waits for approval");
    expect_told(gets(key, 2), 1, number, "waits for approval"); /* and asks no second time */
    ck_assert_int_eq(sql_number("SELECT count(*) FROM policy.request"), 1);
    ck_assert_str_eq(sql("SELECT policy.approve(%ld, 'test')", number), "approved");
    expect_success(gets(key, 1), 0);
    ck_assert_str_eq(sql("SELECT detail FROM audit.events WHERE object = '%s' ORDER BY at DESC, seq DESC LIMIT 1", key),
                     arena_fmt(&rig.arena, "request %ld was approved", number));
    long next = approved(key);
    ck_assert_int_gt(next, number);
    r = gets(key, 2);
    expect_success(r, 0);
    expect_told(r, 1, next, "serves one operation alone");
}
END_TEST

/* What is undone asked for nothing and used nothing; what was asked for stays asked for. */
START_TEST(an_undone_batch_uses_no_approval_up)
{
    const char *key = new_key(rig.bob, "guarded"), *other = new_key(rig.bob, "other");
    rule_for_bob("effect, permissions, owner, approvals", "'approval', '{get}', 'self', 1");
    long number = approved(key);
    struct kmip_request *rq = request_new(V1_4, 3);
    rq->header->batch_error_continuation_option = KMIP_BATCH_UNDO;
    create_aes(rq, 0, "undone");
    by_uid(rq, 1, KMIP_OP_GET, key);
    by_uid(rq, 2, KMIP_OP_GET, other);
    struct kmip_response *r = call(rig.bob, rq);
    expect_item(r, 0, KMIP_STATUS_OPERATION_UNDONE, 0);
    expect_told(r, 2, sql_number("SELECT max(id) FROM policy.request"), "waits for approval");
    ck_assert_str_eq(sql("SELECT state FROM policy.request WHERE id = %ld", number), "approved");
    expect_success(gets(key, 1), 0);
    ck_assert_str_eq(sql("SELECT state FROM policy.request WHERE id = %ld", number), "used");
}
END_TEST

/* ---- numbers of objects ---- */

static long live_of_bob(void)
{
    char id[UID_TEXT_SIZE];
    uid_print(&rig.bob->client, id);
    return sql_number("SELECT count(*) FROM kmip.object WHERE owner = '%s' AND state < 5", id);
}

/* Two keys in one request: what both items answer. */
static struct kmip_response *two_keys(void)
{
    struct kmip_request *rq = request_new(V2_1, 2);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    create_aes(rq, 0, NULL);
    create_aes(rq, 1, NULL);
    return call(rig.bob, rq);
}

START_TEST(no_more_objects_than_the_client_may_have)
{
    char id[UID_TEXT_SIZE];
    const char *first = new_key(rig.bob, NULL);
    uid_print(&rig.bob->client, id);
    long number = sql_number("INSERT INTO policy.bound (domain, client, reason, most_objects) "
                             "VALUES (1, '%s', 'test', %ld) RETURNING id",
                             id, live_of_bob() + 1);
    raise_standings();
    struct kmip_response *r = two_keys();
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_CONSTRAINT_VIOLATION);
    ck_assert_str_eq(
        sql("SELECT detail FROM audit.events WHERE operation = 'Create' ORDER BY at DESC, seq DESC LIMIT 1"),
        arena_fmt(&rig.arena, "constraint %ld: the number of its objects", number));
    ck_assert_uint_eq(run_one(rig.bob, V1_4, KMIP_OP_DESTROY, first), 0); /* which makes room for one */
    r = two_keys();
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_CONSTRAINT_VIOLATION);
    new_key(rig.alice, NULL); /* who has no such limit */
}
END_TEST

START_TEST(no_more_objects_than_the_domain_may_have)
{
    long there = sql_number("SELECT count(*) FROM kmip.object WHERE domain = 1 AND state < 5");
    sql("UPDATE policy.domain SET max_objects = %ld WHERE id = 1", there + 1);
    raise_standings();
    struct kmip_response *r = two_keys();
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_CONSTRAINT_VIOLATION);
    ck_assert_str_eq(
        sql("SELECT detail FROM audit.events WHERE operation = 'Create' ORDER BY at DESC, seq DESC LIMIT 1"),
        arena_fmt(&rig.arena, "the domain has its %ld objects", there + 1));
    sql("UPDATE policy.domain SET max_objects = %ld WHERE id = 1", INT64_MAX); /* as good as none */
    raise_standings();
    r = two_keys();
    expect_success(r, 0);
    expect_success(r, 1);
}
END_TEST

/* ---- defaults ---- */

static void default_for(const char *object_type, const char *attributes)
{
    sql("SELECT policy.default_set('%s', '%s', 'test', 'default')", object_type, attributes);
}

static const char *column_of(const char *uid, const char *column)
{
    return sql("SELECT %s FROM kmip.object WHERE uid = '%s'", column, uid);
}

START_TEST(what_the_maker_does_not_say_the_defaults_say)
{
    default_for("SymmetricKey", "{\"CryptographicAlgorithm\": \"AES\", \"CryptographicLength\": 192, "
                                "\"CryptographicUsageMask\": [\"Encrypt\"]}");
    for (int said = 0; said < 2; said++) {
        struct kmip_request *rq = request_new(V2_1, 1);
        struct kmip_create_request *in = item(rq, 0, KMIP_OP_CREATE);
        in->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
        in->attributes.present = true;
        if (said)
            kmip_attributes_add_integer(&rig.arena, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
        struct kmip_response *r = call(rig.bob, rq);
        expect_success(r, 0);
        const char *uid = uid_of(r, 0);
        ck_assert_str_eq(column_of(uid, "length"), said ? "256" : "192");
        ck_assert_str_eq(column_of(uid, "usage_mask"), "4");
    }
}
END_TEST

START_TEST(each_half_of_a_pair_has_its_own_defaults)
{
    default_for("PrivateKey", "{\"CryptographicUsageMask\": [\"Sign\"]}");
    default_for("PublicKey", "{\"CryptographicUsageMask\": [\"Verify\"]}");
    struct kmip_request *rq = request_new(V1_4, 1);
    struct kmip_create_key_pair_request *in = item(rq, 0, KMIP_OP_CREATE_KEY_PAIR);
    in->common.present = true;
    kmip_attributes_add_enum(&rig.arena, &in->common, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_ECDSA);
    kmip_attributes_add_integer(&rig.arena, &in->common, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
    struct kmip_response *r = call(rig.bob, rq);
    expect_success(r, 0);
    const struct kmip_key_pair_response *made = r->items[0].payload;
    const struct bytes halves[] = {made->private_key_unique_identifier.text, made->public_key_unique_identifier.text};
    for (size_t i = 0; i < 2; i++) {
        const char *uid = arena_fmt(&rig.arena, "%.*s", (int)halves[i].len, (const char *)halves[i].data);
        ck_assert_str_eq(column_of(uid, "usage_mask"), i == 0 ? "1" : "2");
    }
}
END_TEST

START_TEST(what_is_registered_has_them_too)
{
    default_for("SecretData", "{\"ContactInformation\": \"house\"}");
    struct kmip_request *rq = request_new(V1_4, 1);
    struct arena *a = &rig.arena;
    struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
    struct kmip_object *object = ARENA_NEW(a, struct kmip_object);
    struct kmip_key_block *block = KMIP_NEW(a, key_block);
    struct kmip_key_value *value = ARENA_NEW(a, struct kmip_key_value);
    value->material = bytes_str("seventeen letters");
    block->key_format_type = KMIP_FORMAT_OPAQUE;
    block->key_value = value;
    object->type = in->object_type = KMIP_OBJECT_SECRET_DATA;
    object->secret_data = KMIP_NEW(a, secret_data);
    object->secret_data->type = KMIP_SECRET_PASSWORD;
    object->secret_data->key_block = block;
    in->object = object;
    in->attributes.present = true;
    kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, 0);
    struct kmip_response *r = call(rig.bob, rq);
    expect_success(r, 0);
    ck_assert_str_eq(column_of(uid_of(r, 0), "attributes->'ContactInformation'->>0"), "house");
}
END_TEST

Suite *constraints_suite(void)
{
    Suite *s = suite_create("constraints");
    TCase *t = tcase_create("constraints");
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, an_approval_serves_one_operation);
    tcase_add_test(t, an_undone_batch_uses_no_approval_up);
    tcase_add_test(t, no_more_objects_than_the_client_may_have);
    tcase_add_test(t, no_more_objects_than_the_domain_may_have);
    tcase_add_test(t, what_the_maker_does_not_say_the_defaults_say);
    tcase_add_test(t, each_half_of_a_pair_has_its_own_defaults);
    tcase_add_test(t, what_is_registered_has_them_too);
    suite_add_tcase(s, t);
    return s;
}
