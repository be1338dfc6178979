/* Templates named by requests of 1.x: found, authorised, re-checked, and told in the audit. */
#include <event2/event.h>

#include "tests/unit/engine/fixture.h"

static struct node *name_node(const char *name)
{
    struct node *n = node_structure(&rig.arena, KMIP_TAG_NAME);
    node_append(n, node_text(&rig.arena, KMIP_TAG_NAME_VALUE, bytes_str(name)));
    node_append(n, node_enum(&rig.arena, KMIP_TAG_NAME_TYPE, KMIP_NAME_UNINTERPRETED_TEXT_STRING));
    return n;
}

/* A Template of this name that holds an AES key's attributes and a group. */
static void register_template(struct kmip_request *rq, size_t i, const char *name, const char *group)
{
    struct arena *a = &rig.arena;
    struct kmip_register_request *in = item(rq, i, KMIP_OP_REGISTER);
    in->object_type = KMIP_OBJECT_TEMPLATE;
    in->attributes.present = true;
    in->object = ARENA_NEW(a, struct kmip_object);
    in->object->type = in->object_type;
    in->object->template_object = KMIP_NEW(a, template);
    struct kmip_attributes *list = &in->object->template_object->attributes;
    kmip_attributes_add(a, &in->attributes, name_node(name));
    kmip_attributes_add_enum(a, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_AES);
    kmip_attributes_add_integer(a, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 192);
    kmip_attributes_add_integer(a, list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_ENCRYPT);
    kmip_attributes_add_text(a, list, KMIP_TAG_OBJECT_GROUP, bytes_str(group));
}

static const char *new_template(struct session *s, const char *name, const char *group)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    register_template(rq, 0, name, group);
    struct kmip_response *r = call(s, rq);
    expect_success(r, 0);
    return uid_of(r, 0);
}

/* Create with nothing but the names of `count` templates. */
static struct kmip_create_request *create_like(struct kmip_request *rq, size_t i, const char *const *names,
                                               size_t count)
{
    struct kmip_create_request *in = item(rq, i, KMIP_OP_CREATE);
    struct node *list = node_structure(&rig.arena, KMIP_TAG_TEMPLATE_ATTRIBUTE);
    in->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    in->attributes.present = true;
    for (size_t k = 0; k < count; k++)
        node_append(list, name_node(names[k]));
    in->attributes.template_count = count;
    in->attributes.template_names = list->first;
    return in;
}

static struct kmip_attributes attributes_of(struct session *s, const char *uid)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    by_uid(rq, 0, KMIP_OP_GET_ATTRIBUTES, uid);
    struct kmip_response *r = call(s, rq);
    expect_success(r, 0);
    return ((struct kmip_get_attributes_response *)r->items[0].payload)->attributes;
}

static uint32_t create_reason(struct session *s, uint16_t version, const char *name)
{
    struct kmip_request *rq = request_new(version, 1);
    create_like(rq, 0, &name, 1);
    return call(s, rq)->items[0].result_reason;
}

START_TEST(a_key_is_made_like_its_template)
{
    for (uint16_t version = V1_0; version <= V1_4; version++) {
        const char *one = arena_fmt(&rig.arena, "like-%x-1", version);
        const char *two = arena_fmt(&rig.arena, "like-%x-2", version);
        const char *first = new_template(rig.alice, one, "g1"), *second = new_template(rig.alice, two, "g2");
        struct kmip_request *rq = request_new(version, 1);
        struct kmip_create_request *in = create_like(rq, 0, (const char *[]){one, two}, 2);
        kmip_attributes_add_integer(&rig.arena, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 128);
        struct kmip_response *r = call(rig.alice, rq);
        expect_success(r, 0);
        struct kmip_attributes list = attributes_of(rig.alice, uid_of(r, 0));
        ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 0)->value->integer, 128);
        ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, 0)->value->integer,
                         KMIP_USAGE_ENCRYPT);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 2);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_NAME), 0);
        ck_assert_str_eq(sql("SELECT detail FROM audit.key_events('%s') WHERE operation = 'Create'", uid_of(r, 0)),
                         arena_fmt(&rig.arena, "templates: %s %s", first, second));
    }
}
END_TEST

/* Made, used, renamed away by its destruction, all in one batch: each item sees what those before it left. */
START_TEST(templates_of_the_same_request)
{
    static const char *const names[] = {"in-batch"};
    struct kmip_request *rq = request_new(V1_2, 5);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    create_like(rq, 0, names, 1); /* not yet */
    register_template(rq, 1, names[0], "g");
    create_like(rq, 2, names, 1);
    struct kmip_locate_request *in = locate_name(rq, 3, names[0]);
    kmip_attributes_add_enum(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_TYPE, KMIP_OBJECT_TEMPLATE);
    by_uid(rq, 4, KMIP_OP_GET, NULL);
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 0, KMIP_REASON_ITEM_NOT_FOUND);
    for (size_t i = 1; i < 5; i++)
        expect_success(r, i);
    const struct kmip_get_response *got = r->items[4].payload;
    ck_assert_uint_eq(got->object->template_object->attributes.count, 4);
    const char *uid = uid_of(r, 1);

    rq = request_new(V1_2, 2);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    by_uid(rq, 0, KMIP_OP_DESTROY, uid);
    create_like(rq, 1, names, 1); /* no more */
    r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_failed(r, 1, KMIP_REASON_ITEM_NOT_FOUND);
    ck_assert_uint_eq(create_reason(rig.alice, V1_2, names[0]), KMIP_REASON_ITEM_NOT_FOUND);
    /* all meta-data went with it */
    ck_assert_uint_eq(run_one(rig.alice, V1_2, KMIP_OP_GET_ATTRIBUTES, uid), KMIP_REASON_ITEM_NOT_FOUND);
    ck_assert_uint_eq(run_one(rig.alice, V1_2, KMIP_OP_GET, uid), KMIP_REASON_ITEM_NOT_FOUND);
    ck_assert_str_eq(sql("SELECT attributes FROM kmip.object WHERE uid = '%s'", uid), "{}");
}
END_TEST

START_TEST(another_ones_template_is_missing)
{
    new_template(rig.alice, "theirs", "g");
    new_key(rig.bob, "no-template");
    ck_assert_uint_eq(create_reason(rig.bob, V1_4, "theirs"), KMIP_REASON_ITEM_NOT_FOUND);
    ck_assert_uint_eq(create_reason(rig.bob, V1_4, "nobodys"), KMIP_REASON_ITEM_NOT_FOUND);
    ck_assert_uint_eq(create_reason(rig.bob, V1_4, "no-template"), KMIP_REASON_ITEM_NOT_FOUND);
    /* Locate has a reason of its own for it (KMIP 1.4, 11.10). */
    struct kmip_request *rq = request_new(V1_0, 1);
    struct kmip_locate_request *in = item(rq, 0, KMIP_OP_LOCATE);
    in->wrapped_attributes.present = true;
    in->wrapped_attributes.template_count = 1;
    in->wrapped_attributes.template_names = name_node("theirs");
    expect_failed(call(rig.bob, rq), 0, KMIP_REASON_INVALID_FIELD);
    new_template(rig.bob, "theirs", "bobs"); /* names are each owner's own */
    expect_success(call(rig.bob, rq), 0);
}
END_TEST

START_TEST(too_many_names)
{
    const char *names[17];
    for (size_t i = 0; i < 17; i++)
        names[i] = "many";
    new_template(rig.alice, "many", "g");
    struct kmip_request *rq = request_new(V1_4, 1);
    create_like(rq, 0, names, 16);
    expect_success(call(rig.alice, rq), 0);
    create_like(rq, 0, names, 17);
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_INVALID_MESSAGE);
}
END_TEST

START_TEST(there_are_none_in_2)
{
    const char *uid = new_template(rig.alice, "hidden-in-2", "g");
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET, uid), 0);
    ck_assert_uint_eq(run_one(rig.alice, V2_0, KMIP_OP_GET, uid), KMIP_REASON_OBJECT_NOT_FOUND);
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_DESTROY, uid), KMIP_REASON_OBJECT_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        struct kmip_request *rq = request_new(i ? V2_1 : V1_4, 1);
        locate_name(rq, 0, "hidden-in-2");
        const struct kmip_locate_response *found = call(rig.alice, rq)->items[0].payload;
        ck_assert_uint_eq(found->unique_identifiers.count, i ? 0 : 1);
    }
}
END_TEST

static void named(struct kmip_attributes *list, const char *name)
{
    list->present = true;
    list->template_count = 1;
    list->template_names = name_node(name);
}

/* The half's own words, then its templates, then the common words, then the common templates (KMIP 1.4, 4.2). */
START_TEST(a_pair_is_made_like_templates)
{
    struct arena *a = &rig.arena;
    struct kmip_request *rq = request_new(V1_4, 2);
    for (size_t i = 0; i < 2; i++) {
        struct kmip_register_request *in = item(rq, i, KMIP_OP_REGISTER);
        in->object_type = KMIP_OBJECT_TEMPLATE;
        in->attributes.present = true;
        kmip_attributes_add(a, &in->attributes, name_node(i ? "of-private" : "of-both"));
        in->object = ARENA_NEW(a, struct kmip_object);
        in->object->type = in->object_type;
        in->object->template_object = KMIP_NEW(a, template);
        struct kmip_attributes *list = &in->object->template_object->attributes;
        kmip_attributes_add_text(a, list, KMIP_TAG_CONTACT_INFORMATION, bytes_str(i ? "of private" : "of both"));
        kmip_attributes_add_text(a, list, KMIP_TAG_DESCRIPTION, bytes_str(i ? "of private" : "of both"));
        if (i)
            continue;
        kmip_attributes_add_enum(a, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_EC);
        kmip_attributes_add_integer(a, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 384);
    }
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    expect_success(r, 1);
    rq = request_new(V1_4, 1);
    struct kmip_create_key_pair_request *in = item(rq, 0, KMIP_OP_CREATE_KEY_PAIR);
    named(&in->common, "of-both");
    named(&in->private_key, "of-private");
    kmip_attributes_add_integer(a, &in->common, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
    kmip_attributes_add_text(a, &in->private_key, KMIP_TAG_DESCRIPTION, bytes_str("said"));
    kmip_attributes_add_integer(a, &in->private_key, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_SIGN);
    kmip_attributes_add_integer(a, &in->public_key, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_VERIFY);
    in->public_key.present = true;
    r = call(rig.alice, rq);
    expect_success(r, 0);
    const struct kmip_key_pair_response *pair = r->items[0].payload;
    const struct kmip_uid *ids[] = {&pair->private_key_unique_identifier, &pair->public_key_unique_identifier};
    static const char *const contact[] = {"of private", "of both"}, *const description[] = {"said", "of both"};
    for (size_t i = 0; i < 2; i++) {
        const char *uid = arena_fmt(a, "%.*s", (int)ids[i]->text.len, (const char *)ids[i]->text.data);
        struct kmip_attributes list = attributes_of(rig.alice, uid);
        ck_assert(bytes_is(kmip_attributes_find(&list, KMIP_TAG_CONTACT_INFORMATION, 0)->value->bytes, contact[i]));
        ck_assert(bytes_is(kmip_attributes_find(&list, KMIP_TAG_DESCRIPTION, 0)->value->bytes, description[i]));
        ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 0)->value->integer, 256);
    }
}
END_TEST

/* Changed between its load and the commit: the request runs again with what it is then. */
START_TEST(a_template_is_checked_again)
{
    enum { TURNS = 12 };
    const char *uid = new_template(rig.alice, "changing", "g");
    struct engine_stats before, after;
    engine_get_stats(rig.engine, &before);
    struct kmip_request *rq = request_new(V1_4, 1);
    create_like(rq, 0, (const char *[]){"changing"}, 1);
    struct sent sent;
    send_request(rig.alice, rq, &sent);
    for (int i = 0; i < TURNS && !sent.ended; i++) {
        event_base_loop(rig.base, EVLOOP_ONCE);
        sql("UPDATE kmip.object SET version = version + 1 WHERE uid = '%s' RETURNING version", uid);
    }
    wait_for(&sent);
    buf_free(&sent.raw);
    expect_success(sent.answer, 0);
    engine_get_stats(rig.engine, &after);
    ck_assert_uint_gt(after.reruns, before.reruns);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM audit.events WHERE detail = 'templates: %s'", uid), 1);
}
END_TEST

Suite *templates_suite(void)
{
    Suite *s = suite_create("templates");
    TCase *t = tcase_create("templates");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, a_key_is_made_like_its_template);
    tcase_add_test(t, templates_of_the_same_request);
    tcase_add_test(t, another_ones_template_is_missing);
    tcase_add_test(t, too_many_names);
    tcase_add_test(t, there_are_none_in_2);
    tcase_add_test(t, a_pair_is_made_like_templates);
    tcase_add_test(t, a_template_is_checked_again);
    suite_add_tcase(s, t);
    return s;
}
