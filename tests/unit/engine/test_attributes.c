/* Attribute operations through the whole way: database, vault, versions, races for a name. */
#include <time.h>

#include "tests/unit/engine/fixture.h"

static struct node *name_of(const char *text)
{
    struct kmip_attributes list = {0};
    kmip_attributes_add_name(&rig.arena, &list, bytes_str(text),
                             KMIP_NAME_UNINTERPRETED_TEXT_STRING);
    return list.items[0].value;
}

static struct node *text_of(uint32_t tag, const char *text)
{
    return node_text(&rig.arena, tag, bytes_str(text));
}

static void set_uid(void *payload, const char *uid)
{
    /* the first member of every payload used here */
    *(struct kmip_uid *)payload = KMIP_UID_TEXT(bytes_str(uid));
}

static void *add(struct kmip_request *rq, size_t i, const char *uid, struct node *value)
{
    struct kmip_add_attribute_request *in = item(rq, i, KMIP_OP_ADD_ATTRIBUTE);
    if (uid)
        set_uid(in, uid);
    kmip_attributes_add(&rig.arena, &in->attribute, value);
    return in;
}

static void *modify(struct kmip_request *rq, size_t i, const char *uid, struct node *value)
{
    struct kmip_modify_attribute_request *in = item(rq, i, KMIP_OP_MODIFY_ATTRIBUTE);
    if (uid)
        set_uid(in, uid);
    kmip_attributes_add(&rig.arena, &in->attribute, value);
    return in;
}

static void *delete(struct kmip_request *rq, size_t i, const char *uid, uint32_t tag, int32_t index)
{
    struct kmip_delete_attribute_request *in = item(rq, i, KMIP_OP_DELETE_ATTRIBUTE);
    if (uid)
        set_uid(in, uid);
    in->attribute.items = ARENA_NEW(&rig.arena, struct kmip_attr_ref);
    in->attribute.items[0] = (struct kmip_attr_ref){.tag = tag, .index = index};
    in->attribute.count = 1;
    return in;
}

static const struct kmip_attributes *attributes_of(const char *uid, uint16_t version)
{
    struct kmip_request *rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET_ATTRIBUTES, uid);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    return &((const struct kmip_get_attributes_response *)r->items[0].payload)->attributes;
}

static bool found(const char *name, const char *uid)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    locate_name(rq, 0, name);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    const struct kmip_locate_response *out = r->items[0].payload;
    return out->unique_identifiers.count == 1 && strcmp(uid_of(r, 0), uid) == 0;
}

START_TEST(add_modify_delete)
{
    uint16_t version = kmip_versions[_i];
    const char *old = arena_fmt(&rig.arena, "old-%x", version);
    const char *other = arena_fmt(&rig.arena, "new-%x", version);
    const char *uid = new_key(rig.alice, old);
    struct kmip_request *rq = request_new(version, 4);
    add(rq, 0, uid, text_of(KMIP_TAG_OBJECT_GROUP, "g0"));
    add(rq, 1, uid, text_of(KMIP_TAG_OBJECT_GROUP, "g1"));
    modify(rq, 2, uid, name_of(other));
    add(rq, 3, uid, text_of(KMIP_TAG_CONTACT_INFORMATION, "Ann"));
    struct kmip_response *r = call(rig.alice, rq);
    for (size_t i = 0; i < 4; i++)
        expect_success(r, i);
    if (version < V2_0) {
        const struct kmip_attribute_response *out = r->items[1].payload;
        ck_assert_int_eq(out->attribute.items[0].index, 1);
    }
    ck_assert(!found(old, uid));
    ck_assert(found(other, uid));
    const struct kmip_attributes *list = attributes_of(uid, version);
    ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_OBJECT_GROUP), 2);
    ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_NAME), 1);

    rq = request_new(version, 2);
    delete(rq, 0, uid, KMIP_TAG_CONTACT_INFORMATION, -1);
    delete(rq, 1, uid, KMIP_TAG_OBJECT_GROUP, 0);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_success(r, 1);
    list = attributes_of(uid, version);
    ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_CONTACT_INFORMATION), 0);
    if (version < V2_0) {
        ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_OBJECT_GROUP), 1);
        ck_assert_int_eq(kmip_attributes_find(list, KMIP_TAG_OBJECT_GROUP, 0)->index, 1);
    } else {
        ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_OBJECT_GROUP), 0);
    }
    /* a new key may take the name that this one gave up */
    ck_assert_str_ne(new_key(rig.alice, old), uid);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM audit.key_events('%s')"
                                " WHERE operation IN ('Add Attribute', 'Modify Attribute',"
                                " 'Delete Attribute') AND result = 'Success'", uid), 6);
}
END_TEST

/* A date in the past takes effect at once, and the vault agrees. */
START_TEST(dates_change_the_state)
{
    const char *uid = new_key(rig.alice, NULL);
    int64_t now = time(NULL);
    struct kmip_request *rq = request_new(V1_2, 1);
    add(rq, 0, uid, node_date_time(&rig.arena, KMIP_TAG_ACTIVATION_DATE, now - 3600));
    expect_success(call(rig.alice, rq), 0);
    ck_assert_str_eq(sql("SELECT state FROM audit.keys WHERE uid = '%s'", uid), "Active");
    rq = request_new(V1_2, 1);
    modify(rq, 0, uid, node_date_time(&rig.arena, KMIP_TAG_ACTIVATION_DATE, now));
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_PERMISSION_DENIED);
    rq = request_new(V1_2, 1);
    add(rq, 0, uid, node_date_time(&rig.arena, KMIP_TAG_DEACTIVATION_DATE, now - 60));
    expect_success(call(rig.alice, rq), 0);
    ck_assert_str_eq(sql("SELECT state FROM audit.keys WHERE uid = '%s'", uid), "Deactivated");
}
END_TEST

/* Sensitive is for good: the vault keeps the key, and nobody loosens it again. */
START_TEST(sensitive_is_for_good)
{
    const char *uid = new_key(rig.alice, NULL);
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_GET, uid), 0);
    struct kmip_request *rq = request_new(V2_1, 1);
    modify(rq, 0, uid, node_boolean(&rig.arena, KMIP_TAG_SENSITIVE, true));
    expect_success(call(rig.alice, rq), 0);
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_GET, uid), KMIP_REASON_SENSITIVE);
    rq = request_new(V2_1, 1);
    modify(rq, 0, uid, node_boolean(&rig.arena, KMIP_TAG_SENSITIVE, false));
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_PERMISSION_DENIED);
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_GET, uid), KMIP_REASON_SENSITIVE);
}
END_TEST

/* A name has one owner, in the database and within a request. */
START_TEST(a_name_is_taken_once)
{
    const char *first = new_key(rig.alice, "taken");
    const char *second = new_key(rig.alice, "second");
    struct kmip_request *rq = request_new(V1_4, 1);
    modify(rq, 0, second, name_of("taken"));
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_ILLEGAL_OPERATION);
    rq = request_new(V2_1, 1);
    add(rq, 0, second, name_of("taken"));
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_NON_UNIQUE_NAME_ATTRIBUTE);
    /* given up by the first item, taken by the second: one unit of work */
    rq = request_new(V1_4, 3);
    modify(rq, 0, first, name_of("free"));
    modify(rq, 1, second, name_of("taken"));
    create_aes(rq, 2, "free");
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_success(r, 1);
    expect_failed(r, 2, KMIP_REASON_INVALID_FIELD);
    ck_assert(found("taken", second));
    ck_assert(found("free", first));
    /* bob's objects are not there for alice, whatever the operation */
    const char *foreign = new_key(rig.bob, "taken");
    rq = request_new(V1_4, 3);
    add(rq, 0, foreign, name_of("x"));
    modify(rq, 1, foreign, name_of("x"));
    delete(rq, 2, foreign, KMIP_TAG_NAME, -1);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    r = call(rig.alice, rq);
    for (size_t i = 0; i < 3; i++)
        expect_failed(r, i, KMIP_REASON_ITEM_NOT_FOUND);
}
END_TEST

Suite *attributes_suite(void)
{
    Suite *s = suite_create("attributes");
    TCase *tc = tcase_create("attributes");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, rig_once, NULL);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_loop_test(tc, add_modify_delete, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, dates_change_the_state);
    tcase_add_test(tc, sensitive_is_for_good);
    tcase_add_test(tc, a_name_is_taken_once);
    suite_add_tcase(s, tc);
    return s;
}
