/* Templates of 1.x: registered, given back, applied; and gone in 2.0. */
#include "server/ops/template.h"
#include "tests/unit/ops/ops_tests.h"

static struct node *name_node(struct arena *a, const char *value)
{
    struct node *n = node_structure(a, KMIP_TAG_NAME);
    node_append(n, node_text(a, KMIP_TAG_NAME_VALUE, bytes_str(value)));
    node_append(n, node_enum(a, KMIP_TAG_NAME_TYPE, KMIP_NAME_UNINTERPRETED_TEXT_STRING));
    return n;
}

/* A Template to be registered, empty as yet. */
static struct kmip_template *ask(struct world *w, uint16_t version)
{
    world_open(w, KMIP_OP_REGISTER, version);
    struct kmip_register_request *in = world_request(w);
    in->object_type = KMIP_OBJECT_TEMPLATE;
    in->attributes.present = true;
    in->object = ARENA_NEW(&w->arena, struct kmip_object);
    in->object->type = in->object_type;
    in->object->template_object = KMIP_NEW(&w->arena, template);
    return in->object->template_object;
}

static struct kmip_attributes *beside(struct world *w)
{
    return &((struct kmip_register_request *)(uintptr_t)w->item.request)->attributes;
}

static void fill(struct world *w, struct kmip_template *t)
{
    struct arena *a = &w->arena;
    struct kmip_attributes *list = &t->attributes;
    kmip_attributes_add_enum(a, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_AES);
    kmip_attributes_add_date(a, list, KMIP_TAG_ACTIVATION_DATE, NOW - 5);
    kmip_attributes_add_text(a, list, KMIP_TAG_OBJECT_GROUP, bytes_str("g1"));
    kmip_attributes_add_text(a, list, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    kmip_attributes_add_vendor(a, list, bytes_str("x"), bytes_str("Purpose"),
                               node_text(a, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("test")));
    kmip_attributes_add(a, list, name_node(a, "t1"));
    list->items[1].index = 7; /* whatever a client says */
}

START_TEST(what_it_holds_is_not_its_own)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT && every_version[v] < V2_0; v++) {
        struct world w;
        fill(&w, ask(&w, every_version[v]));
        kmip_attributes_add(&w.arena, beside(&w), name_node(&w.arena, "t2"));
        kmip_attributes_add(&w.arena, beside(&w), name_node(&w.arena, "t1")); /* named twice */
        kmip_attributes_add_text(&w.arena, beside(&w), KMIP_TAG_CONTACT_INFORMATION, bytes_str("Ann"));
        ck_assert_int_eq(world_run(&w), RC_OK);
        world_encode(&w);
        const struct object *o = w.item.changes[0].object;
        ck_assert_int_eq(w.item.calls[0].op, VAULT_REGISTER);
        ck_assert_uint_eq(w.item.calls[0].material.len, 0);
        ck_assert_uint_eq(o->name_count, 2);
        ck_assert_uint_eq(o->control.state, STATE_PRE_ACTIVE);
        ck_assert_uint_eq(o->control.algorithm, 0);
        struct kmip_attributes list;
        ck_assert_int_eq(attrs_shown(&w.arena, o, NOW, every_version[v], &list), RC_OK);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 0);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_ATTRIBUTE), 0);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_CONTACT_INFORMATION), 1);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_STATE), 0);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_DIGEST), 0);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_FRESH), 0);
        world_close(&w);
    }
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        uint32_t tag;
        rc_t inside, beside;
    } cases[] = {
        {KMIP_TAG_STATE, RC_ATTR_READ_ONLY, RC_ATTR_READ_ONLY},
        {KMIP_TAG_LEASE_TIME, RC_ATTR_READ_ONLY, RC_ATTR_READ_ONLY},
        {KMIP_TAG_CRYPTOGRAPHIC_LENGTH, RC_OK, RC_ATTR_INVALID},
        {KMIP_TAG_DEACTIVATION_DATE, RC_OK, RC_ATTR_INVALID},
        {KMIP_TAG_DESCRIPTION, RC_ATTR_UNSUPPORTED, RC_ATTR_UNSUPPORTED}, /* not before 1.4 */
        {KMIP_TAG_CONTACT_INFORMATION, RC_OK, RC_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int inside = 0; inside < 2; inside++) {
            struct world w;
            struct kmip_template *t = ask(&w, V1_2);
            kmip_attributes_add_text(&w.arena, &t->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("g"));
            struct node *v = node_new(&w.arena, cases[i].tag, kmip_attr_info(cases[i].tag)->type);
            if (v->type == TTLV_ENUMERATION)
                v->enumeration = 1;
            if (v->type == TTLV_INTEGER)
                v->integer = 128;
            if (v->type == TTLV_TEXT_STRING)
                v->bytes = bytes_str("text");
            kmip_attributes_add(&w.arena, inside ? &t->attributes : beside(&w), v);
            rc_t rc = world_run(&w), want = inside ? cases[i].inside : cases[i].beside;
            /* State and its kin are fields, too */
            if (!inside && attrs_field(cases[i].tag))
                want = RC_ATTR_INVALID;
            ck_assert_msg(rc == want, "%s %d: %s", kmip_tag_name(cases[i].tag), inside, rc_name(rc));
            world_close(&w);
        }
    struct world w;
    struct kmip_template *t = ask(&w, V1_0);
    for (int32_t i = 0; i < 2; i++)
        kmip_attributes_add_integer(&w.arena, &t->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 128 + i);
    ck_assert_int_eq(world_run(&w), RC_ATTR_SINGLE);
    world_close(&w);
    t = ask(&w, V1_4);
    kmip_attributes_add_vendor(&w.arena, &t->attributes, bytes_str("holdfast"), bytes_str("Template"),
                               node_text(&w.arena, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("{}")));
    ck_assert_int_eq(world_run(&w), RC_ATTR_READ_ONLY);
    world_close(&w);
    t = ask(&w, V1_4);
    w.limits.attrs.attributes = 1;
    fill(&w, t);
    ck_assert_int_eq(world_run(&w), RC_TOO_MANY);
    world_close(&w);
}
END_TEST

/* Registers one and makes it the world's object. */
static void stored(struct world *w, uint16_t version)
{
    fill(w, ask(w, version));
    ck_assert_int_eq(world_run(w), RC_OK);
    w->object = *w->item.changes[0].object;
    w->ids.placeholder = w->object.control.uid;
}

static void next(struct world *w, uint32_t operation)
{
    w->item = (struct op_item){.arena = &w->arena,
                               .version = w->item.version,
                               .who = &w->who,
                               .limits = &w->limits,
                               .server = &w->server,
                               .ids = &w->ids,
                               .now = NOW,
                               .operation = operation};
}

START_TEST(given_as_registered)
{
    struct world w;
    stored(&w, V1_0);
    next(&w, KMIP_OP_GET);
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.call_count, 0); /* nothing is sealed */
    world_encode(&w);
    const struct kmip_get_response *out = w.item.response;
    const struct kmip_attributes *list = &out->object->template_object->attributes;
    ck_assert_uint_eq(out->object_type, KMIP_OBJECT_TEMPLATE);
    ck_assert_uint_eq(list->count, 6);
    ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_OBJECT_GROUP), 2);
    ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_NAME), 1);
    ck_assert_int_eq(kmip_attributes_find(list, KMIP_TAG_ACTIVATION_DATE, 0)->index, -1);
    next(&w, KMIP_OP_GET);
    ((struct kmip_get_request *)world_request(&w))->key_format_type = KMIP_FORMAT_RAW;
    ck_assert_int_eq(world_run(&w), RC_KEY_FORMAT);
    world_close(&w);
}
END_TEST

START_TEST(it_has_no_states_and_leaves_nothing)
{
    struct world w;
    stored(&w, V1_4);
    next(&w, KMIP_OP_ACTIVATE);
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_WRONG_TYPE);
    next(&w, KMIP_OP_REVOKE);
    struct kmip_revoke_request *in = world_request(&w);
    in->revocation_reason = KMIP_NEW(&w.arena, revocation_reason);
    in->revocation_reason->code = KMIP_REVOKED_KEY_COMPROMISE;
    ck_assert_int_eq(world_run(&w), RC_WRONG_TYPE);
    next(&w, KMIP_OP_DESTROY);
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert(bytes_is(w.item.changes[0].object->attributes, "{}"));
    world_close(&w);
}
END_TEST

/* What was said explicitly prevails, then the last template; several instances add up. */
START_TEST(precedence)
{
    struct world w;
    stored(&w, V1_0);
    struct arena *a = &w.arena;
    struct kmip_attributes first, last = {0}, list = {0};
    ck_assert_int_eq(template_held(a, &w.object, &first), RC_OK);
    kmip_attributes_add_date(a, &last, KMIP_TAG_ACTIVATION_DATE, NOW - 3);
    kmip_attributes_add_integer(a, &last, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 192);
    kmip_attributes_add_text(a, &last, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    kmip_attributes_add_text(a, &last, KMIP_TAG_OBJECT_GROUP, bytes_str("g3"));
    kmip_attributes_add_integer(a, &list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 128);
    kmip_attributes_add(a, &list, name_node(a, "key"));
    ck_assert_int_eq(template_apply(a, &last, &list), RC_OK);
    ck_assert_int_eq(template_apply(a, &first, &list), RC_OK);
    ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 0)->value->integer, 128);
    ck_assert_int_eq(kmip_attributes_find(&list, KMIP_TAG_ACTIVATION_DATE, 0)->value->date_time, NOW - 3);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH), 1);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_ACTIVATION_DATE), 1);
    ck_assert_uint_eq(kmip_attributes_find(&list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, 0)->value->enumeration,
                      KMIP_ALGORITHM_AES);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 3);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_ATTRIBUTE), 1);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_NAME), 1); /* the key's own */
    w.object.attributes = bytes_str("{}");
    ck_assert_int_eq(template_held(a, &w.object, &first), RC_INTEGRITY);
    world_close(&w);
}
END_TEST

START_TEST(a_filter_on_what_the_server_keeps_finds_nothing)
{
    struct world w;
    world_open(&w, KMIP_OP_LOCATE, V2_1);
    struct kmip_locate_request *in = world_request(&w);
    kmip_attributes_add_vendor(&w.arena, &in->attributes, bytes_str("holdfast"), bytes_str("Template"),
                               node_text(&w.arena, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("{}")));
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert(w.item.filter.nothing);
    world_close(&w);
}
END_TEST

/* They are left out where they cannot be meant. */
START_TEST(located_or_not)
{
    static const struct {
        uint16_t version;
        uint32_t type, state;
        bool match, left_out;
    } cases[] = {
        {V1_0, 0, 0, true, false},
        {V1_4, KMIP_OBJECT_TEMPLATE, 0, true, false},
        {V1_4, KMIP_OBJECT_SYMMETRIC_KEY, 0, false, false},
        {V1_4, 0, STATE_PRE_ACTIVE, false, true},
        {V2_0, 0, 0, false, true},
        {V2_1, KMIP_OBJECT_SYMMETRIC_KEY, 0, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        stored(&w, V1_4);
        w.item.version = cases[i].version;
        next(&w, KMIP_OP_LOCATE);
        struct kmip_locate_request *in = world_request(&w);
        if (cases[i].type)
            kmip_attributes_add_enum(&w.arena, &in->attributes, KMIP_TAG_OBJECT_TYPE, cases[i].type);
        if (cases[i].state)
            kmip_attributes_add_enum(&w.arena, &in->attributes, KMIP_TAG_STATE, cases[i].state);
        ck_assert_int_eq(world_run(&w), RC_OK);
        ck_assert_uint_eq(w.item.query.without_type, cases[i].left_out ? KMIP_OBJECT_TEMPLATE : 0);
        bool match = !cases[i].match;
        ck_assert_int_eq(filter_match(&w.arena, &w.item.filter, &w.object, &match), RC_OK);
        ck_assert_int_eq(match, cases[i].match);
        world_close(&w);
    }
}
END_TEST

Suite *template_suite(void)
{
    Suite *s = suite_create("template");
    TCase *t = tcase_create("template");
    tcase_add_test(t, what_it_holds_is_not_its_own);
    tcase_add_test(t, refusals);
    tcase_add_test(t, given_as_registered);
    tcase_add_test(t, it_has_no_states_and_leaves_nothing);
    tcase_add_test(t, precedence);
    tcase_add_test(t, a_filter_on_what_the_server_keeps_finds_nothing);
    tcase_add_test(t, located_or_not);
    suite_add_tcase(s, t);
    return s;
}
