/* Add, Modify, Delete, Set Attribute and Get Attribute List: who may do what to which attribute, in
 * which state, and what becomes of the object. */
#include "tests/unit/ops/ops_tests.h"

static struct node *name_node(struct arena *a, const char *value)
{
    struct kmip_attributes list = {0};
    kmip_attributes_add_name(a, &list, bytes_str(value), KMIP_NAME_UNINTERPRETED_TEXT_STRING);
    return list.items[0].value;
}

/* An AES key in this state with two names, three groups (the second was deleted) and x-a. */
static void stored(struct world *w, uint32_t state)
{
    static struct name names[2];
    struct arena *a = &w->arena;
    world_key(w, state);
    names[0] = (struct name){bytes_str("one"), 1, 0};
    names[1] = (struct name){bytes_str("two"), 1, 1};
    w->object.names = names;
    w->object.name_count = 2;
    struct kmip_attributes rest = {0};
    kmip_attributes_add_text(a, &rest, KMIP_TAG_OBJECT_GROUP, bytes_str("g0"));
    kmip_attributes_add_text(a, &rest, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    rest.items[1].index = 2;
    kmip_attributes_add_text(a, &rest, KMIP_TAG_CONTACT_INFORMATION, bytes_str("me"));
    kmip_attributes_add_vendor(a, &rest, bytes_str("x"), bytes_str("a"),
                               node_text(a, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("v")));
    ck_assert_int_eq(attrs_store(a, &w->object, &rest), RC_OK);
}

/* One request; value NULL: Delete. */
static void ask(struct world *w, uint32_t tag, struct node *value, int32_t index)
{
    struct kmip_attribute at = {.tag = tag, .index = index, .value = value};
    if (tag == KMIP_TAG_ATTRIBUTE) {
        at.vendor = bytes_str("x");
        at.name = bytes_str("a");
        if (value)
            value->tag = KMIP_TAG_ATTRIBUTE_VALUE;
    }
    void *in = world_request(w);
    struct kmip_attr_ref *ref = ARENA_NEW(&w->arena, struct kmip_attr_ref);
    *ref = (struct kmip_attr_ref){tag, index, at.vendor, at.name};
    switch (w->item.operation) {
    case KMIP_OP_ADD_ATTRIBUTE:
        kmip_attributes_add_item(&w->arena, &((struct kmip_add_attribute_request *)in)->attribute, &at);
        break;
    case KMIP_OP_MODIFY_ATTRIBUTE:
        kmip_attributes_add_item(&w->arena, &((struct kmip_modify_attribute_request *)in)->attribute,
                                 &at);
        break;
    case KMIP_OP_SET_ATTRIBUTE:
        kmip_attributes_add_item(&w->arena, &((struct kmip_set_attribute_request *)in)->attribute, &at);
        break;
    default:
        ((struct kmip_delete_attribute_request *)in)->attribute.items = ref;
        ((struct kmip_delete_attribute_request *)in)->attribute.count = 1;
        break;
    }
}

enum value { NONE, DATE_PAST, DATE_SOON, DATE_LATE, YES, NO, TEXT, NAME, NAME_ONE, NUMBER };

static struct node *value_of(struct arena *a, uint32_t tag, enum value v)
{
    switch (v) {
    case DATE_PAST:
        return node_date_time(a, tag, NOW - 10);
    case DATE_SOON:
        return node_date_time(a, tag, NOW + 10);
    case DATE_LATE:
        return node_date_time(a, tag, NOW + 1000);
    case YES:
        return node_boolean(a, tag, true);
    case NO:
        return node_boolean(a, tag, false);
    case TEXT:
        return node_text(a, tag, bytes_str("text"));
    case NAME:
        return name_node(a, "three");
    case NAME_ONE:
        return name_node(a, "one");
    case NUMBER:
        return tag == KMIP_TAG_STATE || tag == KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM
                   ? node_enum(a, tag, 3)
                   : node_integer(a, tag, 128);
    default:
        return NULL;
    }
}

#define ADD    KMIP_OP_ADD_ATTRIBUTE
#define MODIFY KMIP_OP_MODIFY_ATTRIBUTE
#define DELETE KMIP_OP_DELETE_ATTRIBUTE
#define SET    KMIP_OP_SET_ATTRIBUTE

static const struct {
    uint32_t operation, tag;
    enum value value;
    int32_t index;
    uint32_t state;
    uint16_t version;
    rc_t rc;
} cases[] = {
    /* what only the server sets */
    {ADD, KMIP_TAG_STATE, NUMBER, -1, STATE_ACTIVE, V1_4, RC_ATTR_ADD_READ_ONLY},
    {MODIFY, KMIP_TAG_STATE, NUMBER, -1, STATE_ACTIVE, V2_1, RC_ATTR_READ_ONLY},
    {DELETE, KMIP_TAG_STATE, NONE, -1, STATE_ACTIVE, V1_0, RC_ATTR_READ_ONLY},
    {SET, KMIP_TAG_STATE, NUMBER, -1, STATE_ACTIVE, V2_1, RC_ATTR_ADD_READ_ONLY},
    {ADD, KMIP_TAG_LAST_CHANGE_DATE, DATE_PAST, -1, STATE_ACTIVE, V1_2, RC_ATTR_ADD_READ_ONLY},
    /* what describes the material */
    {ADD, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, NUMBER, -1, STATE_ACTIVE, V1_0, RC_ATTR_SINGLE},
    {MODIFY, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, NUMBER, -1, STATE_ACTIVE, V1_0, RC_ATTR_READ_ONLY},
    {MODIFY, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, NUMBER, -1, STATE_ACTIVE, V2_0, RC_ATTR_READ_ONLY},
    {ADD, KMIP_TAG_RANDOM_NUMBER_GENERATOR, NONE, -1, STATE_ACTIVE, V1_4, RC_ATTR_ADD_READ_ONLY},
    {ADD, KMIP_TAG_FRESH, YES, -1, STATE_ACTIVE, V1_4, RC_ATTR_ADD_READ_ONLY},
    /* dates */
    {ADD, KMIP_TAG_ACTIVATION_DATE, DATE_SOON, -1, STATE_PRE_ACTIVE, V1_0, RC_OK},
    {ADD, KMIP_TAG_ACTIVATION_DATE, DATE_PAST, -1, STATE_PRE_ACTIVE, V1_0, RC_OK},
    {ADD, KMIP_TAG_ACTIVATION_DATE, DATE_SOON, -1, STATE_ACTIVE, V1_0, RC_ATTR_SINGLE},
    {MODIFY, KMIP_TAG_ACTIVATION_DATE, DATE_SOON, -1, STATE_ACTIVE, V1_0, RC_WRONG_STATE},
    {MODIFY, KMIP_TAG_ACTIVATION_DATE, DATE_SOON, -1, STATE_PRE_ACTIVE, V1_0, RC_ATTR_ABSENT},
    {SET, KMIP_TAG_ACTIVATION_DATE, DATE_SOON, -1, STATE_PRE_ACTIVE, V2_0, RC_OK},
    {SET, KMIP_TAG_ACTIVATION_DATE, DATE_SOON, -1, STATE_ACTIVE, V2_0, RC_WRONG_STATE},
    {DELETE, KMIP_TAG_ACTIVATION_DATE, NONE, -1, STATE_ACTIVE, V1_0, RC_ATTR_READ_ONLY},
    {ADD, KMIP_TAG_DEACTIVATION_DATE, DATE_SOON, -1, STATE_ACTIVE, V1_0, RC_OK},
    {ADD, KMIP_TAG_DEACTIVATION_DATE, DATE_SOON, -1, STATE_COMPROMISED, V1_0, RC_WRONG_STATE},
    {MODIFY, KMIP_TAG_DEACTIVATION_DATE, DATE_SOON, -1, STATE_DEACTIVATED, V2_1, RC_WRONG_STATE},
    {ADD, KMIP_TAG_PROCESS_START_DATE, DATE_LATE, -1, STATE_ACTIVE, V1_0, RC_OK},
    {ADD, KMIP_TAG_PROTECT_STOP_DATE, DATE_LATE, -1, STATE_DEACTIVATED, V1_0, RC_WRONG_STATE},
    /* names */
    {ADD, KMIP_TAG_NAME, NAME, -1, STATE_ACTIVE, V1_0, RC_OK},
    {ADD, KMIP_TAG_NAME, NAME, 0, STATE_ACTIVE, V1_0, RC_INVALID_FIELD},
    {ADD, KMIP_TAG_NAME, NAME_ONE, -1, STATE_ACTIVE, V1_0, RC_NAME_USED},
    {MODIFY, KMIP_TAG_NAME, NAME, 1, STATE_ACTIVE, V1_0, RC_OK},
    {MODIFY, KMIP_TAG_NAME, NAME_ONE, 0, STATE_ACTIVE, V1_0, RC_OK},
    {MODIFY, KMIP_TAG_NAME, NAME_ONE, 1, STATE_ACTIVE, V1_0, RC_NAME_USED},
    {MODIFY, KMIP_TAG_NAME, NAME, 2, STATE_ACTIVE, V1_0, RC_ATTR_INSTANCE},
    {MODIFY, KMIP_TAG_NAME, NAME, -1, STATE_ACTIVE, V2_1, RC_ATTR_INSTANCE},
    {SET, KMIP_TAG_NAME, NAME, -1, STATE_ACTIVE, V2_1, RC_ATTR_SEVERAL},
    {DELETE, KMIP_TAG_NAME, NONE, 1, STATE_ACTIVE, V1_3, RC_OK},
    {DELETE, KMIP_TAG_NAME, NONE, -1, STATE_ACTIVE, V2_1, RC_OK},
    /* the rest */
    {ADD, KMIP_TAG_OBJECT_GROUP, TEXT, -1, STATE_ACTIVE, V1_0, RC_OK},
    {MODIFY, KMIP_TAG_OBJECT_GROUP, TEXT, 2, STATE_ACTIVE, V1_0, RC_OK},
    {MODIFY, KMIP_TAG_OBJECT_GROUP, TEXT, 1, STATE_ACTIVE, V1_0, RC_ATTR_INSTANCE},
    {DELETE, KMIP_TAG_OBJECT_GROUP, NONE, 1, STATE_ACTIVE, V1_0, RC_ATTR_INSTANCE},
    {DELETE, KMIP_TAG_OBJECT_GROUP, NONE, -1, STATE_ACTIVE, V2_1, RC_OK},
    {ADD, KMIP_TAG_CONTACT_INFORMATION, TEXT, -1, STATE_ACTIVE, V1_0, RC_ATTR_SINGLE},
    {SET, KMIP_TAG_CONTACT_INFORMATION, TEXT, -1, STATE_ACTIVE, V2_0, RC_OK},
    {DELETE, KMIP_TAG_CONTACT_INFORMATION, NONE, -1, STATE_ACTIVE, V1_0, RC_OK},
    {DELETE, KMIP_TAG_DESCRIPTION, NONE, -1, STATE_ACTIVE, V1_4, RC_ATTR_NOT_FOUND},
    {DELETE, KMIP_TAG_DESCRIPTION, NONE, -1, STATE_ACTIVE, V1_3, RC_ATTR_NOT_FOUND},
    {ADD, KMIP_TAG_DESCRIPTION, TEXT, -1, STATE_ACTIVE, V1_3, RC_ATTR_UNSUPPORTED},
    {ADD, KMIP_TAG_DESCRIPTION, TEXT, -1, STATE_COMPROMISED, V1_4, RC_OK},
    {ADD, KMIP_TAG_DESCRIPTION, YES, -1, STATE_ACTIVE, V1_4, RC_BAD_TYPE},
    {ADD, KMIP_TAG_CERTIFICATE_TYPE, NUMBER, -1, STATE_ACTIVE, V1_4, RC_ATTR_NOT_HERE},
    {ADD, KMIP_TAG_QUANTUM_SAFE, YES, -1, STATE_ACTIVE, V2_1, RC_NOT_QUANTUM_SAFE},
    {ADD, KMIP_TAG_ORIGINAL_CREATION_DATE, DATE_PAST, -1, STATE_ACTIVE, V1_2, RC_OK},
    {MODIFY, KMIP_TAG_ATTRIBUTE, TEXT, -1, STATE_ACTIVE, V1_0, RC_OK},
    {DELETE, KMIP_TAG_ATTRIBUTE, NONE, -1, STATE_ACTIVE, V1_0, RC_OK},
    {ADD, KMIP_TAG_ATTRIBUTE, TEXT, -1, STATE_ACTIVE, V1_0, RC_OK},
    /* what guards the key only grows tighter */
    {MODIFY, KMIP_TAG_SENSITIVE, YES, -1, STATE_ACTIVE, V1_4, RC_OK},
    {MODIFY, KMIP_TAG_EXTRACTABLE, NO, -1, STATE_ACTIVE, V1_4, RC_OK},
    {DELETE, KMIP_TAG_SENSITIVE, NONE, -1, STATE_ACTIVE, V1_4, RC_ATTR_READ_ONLY},
    /* a tombstone stays as it is */
    {ADD, KMIP_TAG_DESCRIPTION, TEXT, -1, STATE_DESTROYED, V1_4, RC_WRONG_STATE},
    {DELETE, KMIP_TAG_OBJECT_GROUP, NONE, -1, STATE_DESTROYED_COMPROMISED, V1_4, RC_WRONG_STATE},
};

START_TEST(who_may_do_what)
{
    struct world w;
    world_open(&w, cases[_i].operation, cases[_i].version);
    stored(&w, cases[_i].state);
    ask(&w, cases[_i].tag, value_of(&w.arena, cases[_i].tag, cases[_i].value), cases[_i].index);
    rc_t rc = world_run(&w);
    ck_assert_msg(rc == cases[_i].rc, "%s, not %s", rc_name(rc), rc_name(cases[_i].rc));
    if (rc == RC_OK) {
        const struct object *o = w.item.changes[0].object;
        ck_assert_uint_eq(w.item.change_count, 1);
        ck_assert_int_eq(w.item.changes[0].kind, DB_UPDATE);
        ck_assert(w.item.changes[0].names == (cases[_i].tag == KMIP_TAG_NAME));
        ck_assert_uint_eq(o->control.version, w.object.control.version + 1);
        ck_assert_int_eq(o->last_change_date, NOW);
        ck_assert_int_eq(w.item.calls[0].op, VAULT_TRANSITION);
        ck_assert_uint_eq(o->control_mac[0], 0xAA);
        world_encode(&w);
    }
    world_close(&w);
}
END_TEST

/* Runs one more change on what the last one left. */
static struct kmip_attribute step(struct world *w, uint32_t operation, uint32_t tag,
                                  struct node *value, int32_t index)
{
    w->item = (struct op_item){.arena = &w->arena,
                               .version = w->item.version,
                               .who = &w->who,
                               .limits = &w->limits,
                               .server = &w->server,
                               .ids = &w->ids,
                               .now = NOW,
                               .operation = operation};
    ask(w, tag, value, index);
    ck_assert_int_eq(world_run(w), RC_OK);
    w->object = *w->item.changes[0].object;
    return ((const struct kmip_attribute_response *)w->item.response)->attribute.items[0];
}

/* An index never changes, whatever comes and goes (KMIP 1.4, 2.1.1). */
START_TEST(indexes_stay)
{
    struct world w;
    world_open(&w, ADD, V1_4);
    stored(&w, STATE_ACTIVE);
    struct arena *a = &w.arena;
    uint32_t group = KMIP_TAG_OBJECT_GROUP;
    ck_assert_int_eq(step(&w, ADD, group, node_text(a, group, bytes_str("g3")), -1).index, 3);
    ck_assert(bytes_is(step(&w, DELETE, group, NULL, 0).value->bytes, "g0"));
    ck_assert_int_eq(step(&w, MODIFY, group, node_text(a, group, bytes_str("G2")), 2).index, 2);
    ck_assert_int_eq(step(&w, ADD, group, node_text(a, group, bytes_str("g4")), -1).index, 4);
    ck_assert_int_eq(step(&w, DELETE, KMIP_TAG_NAME, NULL, 0).index, -1);
    ck_assert_int_eq(step(&w, ADD, KMIP_TAG_NAME, name_node(a, "three"), -1).index, 2);
    struct kmip_attributes list;
    ck_assert_int_eq(attrs_shown(a, &w.object, NOW, V1_4, &list), RC_OK);
    static const struct {
        const char *text;
        int32_t index;
    } groups[] = {{"G2", 2}, {"g3", 3}, {"g4", 4}};
    ck_assert_uint_eq(kmip_attributes_count(&list, group), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct kmip_attribute *at = kmip_attributes_find(&list, group, i);
        ck_assert(bytes_is(at->value->bytes, groups[i].text));
        ck_assert_int_eq(at->index, groups[i].index);
    }
    ck_assert_uint_eq(w.object.name_count, 2);
    ck_assert(bytes_is(w.object.names[0].value, "two") && w.object.names[0].index == 1);
    ck_assert(bytes_is(w.object.names[1].value, "three") && w.object.names[1].index == 2);
    world_close(&w);
}
END_TEST

START_TEST(guards_are_not_loosened)
{
    static const struct {
        uint32_t tag;
        bool value;
    } loose[] = {{KMIP_TAG_SENSITIVE, false}, {KMIP_TAG_EXTRACTABLE, true}};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_open(&w, MODIFY, V2_1);
        stored(&w, STATE_ACTIVE);
        w.object.control.sensitive = true;
        w.object.control.extractable = false;
        ask(&w, loose[i].tag, node_boolean(&w.arena, loose[i].tag, loose[i].value), -1);
        ck_assert_int_eq(world_run(&w), RC_DENIED);
        world_close(&w);
    }
    struct world w;
    world_open(&w, MODIFY, V2_1);
    stored(&w, STATE_ACTIVE);
    w.object.control.never_extractable = false;
    ask(&w, KMIP_TAG_SENSITIVE, node_boolean(&w.arena, KMIP_TAG_SENSITIVE, true), -1);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert(w.item.changes[0].object->control.sensitive);
    ck_assert(!w.item.changes[0].object->control.always_sensitive);
    world_close(&w);
}
END_TEST

START_TEST(dates_agree)
{
    struct world w;
    world_open(&w, ADD, V1_0);
    stored(&w, STATE_PRE_ACTIVE);
    uint32_t on = KMIP_TAG_ACTIVATION_DATE, off = KMIP_TAG_DEACTIVATION_DATE;
    step(&w, ADD, on, node_date_time(&w.arena, on, NOW + 100), -1);
    w.item.change_count = w.item.call_count = 0;
    w.item.operation = ADD;
    ask(&w, off, node_date_time(&w.arena, off, NOW + 50), -1);
    ck_assert_int_eq(world_run(&w), RC_ATTR_VALUE);
    world_close(&w);

    /* A revocation before the Process Start Date does not bind what else may change. */
    world_open(&w, ADD, V1_4);
    stored(&w, STATE_DEACTIVATED);
    w.object.control.deactivation_date = NOW - 10;
    w.object.control.process_start_date = NOW + 100;
    ask(&w, KMIP_TAG_DESCRIPTION, value_of(&w.arena, KMIP_TAG_DESCRIPTION, TEXT), -1);
    ck_assert_int_eq(world_run(&w), RC_OK);
    world_close(&w);
}
END_TEST

/* Usage Limits begin with all of their total, and stay once some is taken (KMIP 2.1, 4.59). */
START_TEST(usage_limits)
{
    struct world w;
    world_open(&w, ADD, V1_2);
    stored(&w, STATE_ACTIVE);
    struct arena *a = &w.arena;
    struct node *n = node_structure(a, KMIP_TAG_USAGE_LIMITS);
    node_append(n, node_long(a, KMIP_TAG_USAGE_LIMITS_TOTAL, 1000));
    node_append(n, node_enum(a, KMIP_TAG_USAGE_LIMITS_UNIT, KMIP_UNIT_BYTE));
    struct kmip_attribute at = step(&w, ADD, KMIP_TAG_USAGE_LIMITS, n, -1);
    ck_assert_int_eq(node_child(at.value, KMIP_TAG_USAGE_LIMITS_COUNT)->long_integer, 1000);
    step(&w, MODIFY, KMIP_TAG_USAGE_LIMITS, n, -1);
    struct kmip_attributes rest;
    ck_assert_int_eq(attrs_load(a, &w.object, &rest), RC_OK);
    struct node *used = kmip_attributes_find(&rest, KMIP_TAG_USAGE_LIMITS, 0)->value;
    ((struct node *)(uintptr_t)node_child(used, KMIP_TAG_USAGE_LIMITS_COUNT))->long_integer = 999;
    ck_assert_int_eq(attrs_store(a, &w.object, &rest), RC_OK);
    static const uint32_t both[] = {MODIFY, DELETE};
    for (size_t i = 0; i < 2; i++) {
        w.item.operation = both[i];
        w.item.change_count = w.item.call_count = 0;
        ask(&w, KMIP_TAG_USAGE_LIMITS, i ? NULL : n, -1);
        ck_assert_int_eq(world_run(&w), RC_DENIED);
    }
    world_close(&w);
}
END_TEST

/* Current Attribute tells which of several instances (KMIP 2.1, 6.1.13 and 6.1.34). */
START_TEST(current_attribute)
{
    struct world w;
    world_open(&w, MODIFY, V2_1);
    stored(&w, STATE_ACTIVE);
    ask(&w, KMIP_TAG_NAME, name_node(&w.arena, "three"), -1);
    struct kmip_modify_attribute_request *in = (void *)(uintptr_t)w.item.request;
    kmip_attributes_add(&w.arena, &in->current, name_node(&w.arena, "two"));
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert(bytes_is(w.item.changes[0].object->names[0].value, "one"));
    ck_assert(bytes_is(w.item.changes[0].object->names[1].value, "three"));
    world_close(&w);

    world_open(&w, MODIFY, V2_1);
    stored(&w, STATE_ACTIVE);
    ask(&w, KMIP_TAG_NAME, name_node(&w.arena, "three"), -1);
    in = (void *)(uintptr_t)w.item.request;
    kmip_attributes_add(&w.arena, &in->current, name_node(&w.arena, "nobody"));
    ck_assert_int_eq(world_run(&w), RC_ATTR_INSTANCE);
    world_close(&w);

    world_open(&w, MODIFY, V2_1);
    stored(&w, STATE_ACTIVE);
    ask(&w, KMIP_TAG_NAME, name_node(&w.arena, "three"), -1);
    in = (void *)(uintptr_t)w.item.request;
    kmip_attributes_add_text(&w.arena, &in->current, KMIP_TAG_OBJECT_GROUP, bytes_str("g0"));
    ck_assert_int_eq(world_run(&w), RC_INVALID_FIELD);
    world_close(&w);

    world_open(&w, DELETE, V2_1);
    stored(&w, STATE_ACTIVE);
    struct kmip_delete_attribute_request *gone = world_request(&w);
    kmip_attributes_add_text(&w.arena, &gone->current, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    ck_assert_int_eq(world_run(&w), RC_OK);
    struct kmip_attributes list;
    ck_assert_int_eq(attrs_shown(&w.arena, w.item.changes[0].object, NOW, V2_1, &list), RC_OK);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 1);
    world_close(&w);

    world_open(&w, DELETE, V2_1);
    stored(&w, STATE_ACTIVE);
    world_request(&w); /* neither a value nor a reference */
    ck_assert_int_eq(world_run(&w), RC_INVALID_FIELD);
    world_close(&w);
}
END_TEST

START_TEST(an_object_gets_full)
{
    struct world w;
    world_open(&w, ADD, V1_4);
    stored(&w, STATE_ACTIVE);
    struct kmip_attributes all;
    ck_assert_int_eq(attrs_of(&w.arena, &w.object, NOW, &all), RC_OK);
    for (unsigned room = 0; room < 2; room++) {
        w.limits.attrs.attributes = (unsigned)all.count + room;
        w.item.operation = ADD;
        w.item.change_count = w.item.call_count = 0;
        ask(&w, KMIP_TAG_DESCRIPTION, node_text(&w.arena, KMIP_TAG_DESCRIPTION, bytes_str("d")), -1);
        ck_assert_int_eq(world_run(&w), room ? RC_OK : RC_ATTR_FULL);
    }
    world_close(&w);
}
END_TEST

/* Each attribute once, those of the version alone, and all that Get Attributes gives. */
START_TEST(the_list_names_what_there_is)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        world_open(&w, KMIP_OP_GET_ATTRIBUTE_LIST, every_version[v]);
        stored(&w, STATE_ACTIVE);
        world_request(&w);
        ck_assert_int_eq(world_run(&w), RC_OK);
        const struct kmip_get_attribute_list_response *out = w.item.response;
        struct kmip_attributes list;
        ck_assert_int_eq(attrs_shown(&w.arena, &w.object, NOW, every_version[v], &list), RC_OK);
        size_t groups = 0;
        for (size_t i = 0; i < out->attributes.count; i++) {
            const struct kmip_attr_ref *r = &out->attributes.items[i];
            groups += r->tag == KMIP_TAG_OBJECT_GROUP;
            ck_assert(kmip_attr_known(r->tag, every_version[v]));
            ck_assert_uint_gt(kmip_attributes_count(&list, r->tag), 0);
        }
        ck_assert_uint_eq(groups, 1);
        /* one group and one name less: they have two instances each */
        ck_assert_uint_eq(out->attributes.count, list.count - 2);
        world_encode(&w);
        world_close(&w);
    }
}
END_TEST

Suite *attributes_suite(void)
{
    Suite *s = suite_create("attributes");
    TCase *tc = tcase_create("attributes");
    tcase_add_loop_test(tc, who_may_do_what, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tc, indexes_stay);
    tcase_add_test(tc, guards_are_not_loosened);
    tcase_add_test(tc, dates_agree);
    tcase_add_test(tc, usage_limits);
    tcase_add_test(tc, current_attribute);
    tcase_add_test(tc, an_object_gets_full);
    tcase_add_test(tc, the_list_names_what_there_is);
    suite_add_tcase(s, tc);
    return s;
}
