/*
 * Locate through all layers: an object is found by each attribute that it shows, whole or in part, wherever it is
 * looked for; groups, storage, ranges, pages.
 */
#include "tests/unit/engine/fixture.h"

enum { T0 = 1000000000 };

static struct node *pair(uint32_t tag, struct node *first, struct node *second)
{
    struct node *n = node_structure(&rig.arena, tag);
    node_append(n, first);
    if (second)
        node_append(n, second);
    return n;
}

static struct node *text(uint32_t tag, const char *value)
{
    return node_text(&rig.arena, tag, bytes_str(value));
}

static struct node *enumeration(uint32_t tag, uint32_t value)
{
    return node_enum(&rig.arena, tag, value);
}

static void add(struct kmip_attributes *list, uint16_t version, struct node *value)
{
    if (kmip_attr_known(value->tag, version))
        kmip_attributes_add(&rig.arena, list, value);
}

/* What a client may say of a key it registers, in this version. */
static void say_all(struct kmip_attributes *list, uint16_t version)
{
    struct arena *a = &rig.arena;
    add(list, version, pair(KMIP_TAG_NAME, text(KMIP_TAG_NAME_VALUE, "all"), enumeration(KMIP_TAG_NAME_TYPE, 1)));
    add(list, version, pair(KMIP_TAG_NAME, text(KMIP_TAG_NAME_VALUE, "urn:all"), enumeration(KMIP_TAG_NAME_TYPE, 2)));
    add(list, version, text(KMIP_TAG_OBJECT_GROUP, "g1"));
    add(list, version, text(KMIP_TAG_OBJECT_GROUP, "g2"));
    add(list, version, text(KMIP_TAG_CONTACT_INFORMATION, "Ann"));
    add(list, version, text(KMIP_TAG_OPERATION_POLICY_NAME, "default"));
    add(list, version, pair(KMIP_TAG_APPLICATION_SPECIFIC_INFORMATION, text(KMIP_TAG_APPLICATION_NAMESPACE, "ssl"),
                            text(KMIP_TAG_APPLICATION_DATA, "www")));
    add(list, version, pair(KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS, enumeration(KMIP_TAG_BLOCK_CIPHER_MODE, KMIP_MODE_GCM),
                            enumeration(KMIP_TAG_PADDING_METHOD, 1)));
    add(list, version, pair(KMIP_TAG_LINK, enumeration(KMIP_TAG_LINK_TYPE, KMIP_LINK_PUBLIC_KEY_LINK),
                            text(KMIP_TAG_LINKED_OBJECT_IDENTIFIER, "another")));
    add(list, version, pair(KMIP_TAG_USAGE_LIMITS, node_long(a, KMIP_TAG_USAGE_LIMITS_TOTAL, 1000),
                            enumeration(KMIP_TAG_USAGE_LIMITS_UNIT, KMIP_UNIT_BYTE)));
    add(list, version, node_integer(a, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT));
    add(list, version, node_date_time(a, KMIP_TAG_ACTIVATION_DATE, T0));
    add(list, version, node_date_time(a, KMIP_TAG_PROCESS_START_DATE, T0 + 1));
    add(list, version, node_date_time(a, KMIP_TAG_PROTECT_STOP_DATE, INT64_C(4000000000)));
    add(list, version, node_date_time(a, KMIP_TAG_DEACTIVATION_DATE, INT64_C(4000000001)));
    add(list, version, node_date_time(a, KMIP_TAG_ORIGINAL_CREATION_DATE, T0 - 7));
    add(list, version, pair(KMIP_TAG_ALTERNATIVE_NAME, text(KMIP_TAG_ALTERNATIVE_NAME_VALUE, "dns.example"),
                            enumeration(KMIP_TAG_ALTERNATIVE_NAME_TYPE, KMIP_ALTERNATIVE_NAME_TYPE_DNS_NAME)));
    add(list, version, text(KMIP_TAG_DESCRIPTION, "a \"key\" of {all}"));
    add(list, version, text(KMIP_TAG_COMMENT, "\xC3\xA4, \\ and %"));
    add(list, version, text(KMIP_TAG_PKCS12_FRIENDLY_NAME, "friend"));
    add(list, version, enumeration(KMIP_TAG_NIST_KEY_TYPE, 1));
    add(list, version, enumeration(KMIP_TAG_PROTECTION_LEVEL, 1));
    add(list, version, node_interval(a, KMIP_TAG_PROTECTION_PERIOD, 77));
    add(list, version, node_interval(a, KMIP_TAG_ROTATE_INTERVAL, 88));
    add(list, version, node_boolean(a, KMIP_TAG_ROTATE_AUTOMATIC, false));
    add(list, version, node_interval(a, KMIP_TAG_ROTATE_OFFSET, 99));
    add(list, version, pair(KMIP_TAG_ROTATE_NAME, text(KMIP_TAG_ROTATE_NAME_VALUE, "turns"),
                            enumeration(KMIP_TAG_ROTATE_NAME_TYPE, 1)));
    kmip_attributes_add_vendor(a, list, bytes_str("x"), bytes_str("Text"), text(0, "one"));
    kmip_attributes_add_vendor(a, list, bytes_str("x"), bytes_str("Number"), node_integer(a, 0, -3));
    kmip_attributes_add_vendor(a, list, bytes_str("x"), bytes_str("Date"), node_date_time(a, 0, T0));
}

static const char *registered(struct session *s, uint16_t version, bool all)
{
    static const uint8_t key[32] = "thirty-two bytes of a known key.";
    struct arena *a = &rig.arena;
    struct kmip_request *rq = request_new(version, 1);
    struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
    struct kmip_key_block *block = KMIP_NEW(a, key_block);
    in->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    in->attributes.present = true;
    if (all)
        say_all(&in->attributes, version);
    in->object = ARENA_NEW(a, struct kmip_object);
    in->object->type = in->object_type;
    in->object->symmetric_key = KMIP_NEW(a, symmetric_key);
    in->object->symmetric_key->key_block = block;
    block->key_format_type = KMIP_FORMAT_RAW;
    block->cryptographic_algorithm = KMIP_ALGORITHM_AES;
    block->cryptographic_length = KMIP_NUMBER(all ? 256 : 128);
    block->key_value = ARENA_NEW(a, struct kmip_key_value);
    block->key_value->material = bytes_of(key, all ? 32 : 16);
    struct kmip_response *r = call(s, rq);
    expect_success(r, 0);
    return uid_of(r, 0);
}

static struct kmip_attributes shown(struct session *s, uint16_t version, const char *uid)
{
    struct kmip_request *rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET_ATTRIBUTES, uid);
    struct kmip_response *r = call(s, rq);
    expect_success(r, 0);
    return ((struct kmip_get_attributes_response *)r->items[0].payload)->attributes;
}

static struct kmip_locate_request *locate(struct kmip_request *rq, size_t i, const struct kmip_attribute *by)
{
    struct kmip_locate_request *in = locate_name(rq, i, NULL);
    if (by)
        kmip_attributes_add_item(&rig.arena, &in->attributes, by);
    return in;
}

static bool found(const struct kmip_response *r, size_t i, const char *uid)
{
    expect_success(r, i);
    const struct kmip_locate_response *out = r->items[i].payload;
    for (size_t k = 0; k < out->unique_identifiers.count; k++)
        if (bytes_is(out->unique_identifiers.items[k].text, uid))
            return true;
    return false;
}

/* Whether the other object has the attribute, too. */
static bool shares(const struct kmip_attributes *list, const struct kmip_attribute *at)
{
    for (size_t i = 0; i < list->count; i++)
        if (kmip_attribute_same(&list->items[i], at) && node_value_equal(list->items[i].value, at->value))
            return true;
    return false;
}

/* The attribute itself, then each field of it alone: filters that must find the object. */
static size_t filters_of(const struct kmip_attribute *at, struct kmip_attribute *out, size_t most)
{
    size_t count = 0;
    out[count++] = *at;
    if (at->value->type != TTLV_STRUCTURE || at->tag == KMIP_TAG_ATTRIBUTE)
        return count;
    for (const struct node *n = at->value->first; n && count < most; n = n->next) {
        struct node *copy = ARENA_NEW(&rig.arena, struct node);
        *copy = *n;
        copy->next = NULL;
        out[count] = *at;
        out[count++].value = pair(at->tag, copy, NULL);
    }
    return count;
}

/* One more value of an attribute that nothing else looks at. */
static void touch(struct kmip_request *rq, size_t i, const char *uid)
{
    struct kmip_add_attribute_request *in = by_uid(rq, i, KMIP_OP_ADD_ATTRIBUTE, uid);
    kmip_attributes_add_vendor(&rig.arena, &in->attribute, bytes_str("x"), bytes_str("Touched"), text(0, "again"));
}

START_TEST(found_by_each_attribute_shown)
{
    uint16_t version = kmip_versions[_i];
    const char *uid = registered(rig.alice, version, true), *other = registered(rig.alice, version, false);
    struct kmip_attributes list = shown(rig.alice, version, uid), others = shown(rig.alice, version, other);
    ck_assert_uint_gt(list.count, version < V2_0 ? 20 : 35);
    for (size_t i = 0; i < list.count; i++) {
        struct kmip_attribute by[8];
        size_t count = filters_of(&list.items[i], by, 8);
        const char *what = kmip_tag_name(list.items[i].tag);
        for (size_t k = 0; k < count; k++) {
            struct kmip_request *rq = request_new(version, 1);
            locate(rq, 0, &by[k]);
            ck_assert_msg(found(call(rig.alice, rq), 0, uid), "%x %s part %zu", version, what, k);
        }
        struct kmip_request *rq = request_new(version, 1);
        locate(rq, 0, &list.items[i]);
        ck_assert_msg(found(call(rig.alice, rq), 0, other) == shares(&others, &list.items[i]), "the other: %x %s",
                      version, what);
    }
    /* In a request that changes the object itself: matched on the way, not by the database. */
    for (size_t i = 0; i < list.count; i++) {
        struct kmip_attribute by[8];
        size_t count = list.items[i].tag == KMIP_TAG_LAST_CHANGE_DATE ? 0 : filters_of(&list.items[i], by, 8);
        for (size_t k = 0; k < count; k++) {
            struct kmip_request *rq = request_new(version, 2);
            touch(rq, 0, uid);
            locate(rq, 1, &by[k]);
            ck_assert_msg(found(call(rig.alice, rq), 1, uid), "overlay: %x %s part %zu", version,
                          kmip_tag_name(list.items[i].tag), k);
        }
    }
}
END_TEST

static size_t count_of(struct kmip_request *rq)
{
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    return ((struct kmip_locate_response *)r->items[0].payload)->unique_identifiers.count;
}

static size_t count_by(uint16_t version, struct node *a, struct node *b)
{
    struct kmip_request *rq = request_new(version, 1);
    struct kmip_locate_request *in = locate(rq, 0, NULL);
    kmip_attributes_add(&rig.arena, &in->attributes, a);
    if (b)
        kmip_attributes_add(&rig.arena, &in->attributes, b);
    return count_of(rq);
}

static struct node *date(uint32_t tag, int64_t value)
{
    return node_date_time(&rig.arena, tag, value);
}

/* Every date of the table takes a value, a range in either order, and the largest date for none. */
START_TEST(dates)
{
    registered(rig.alice, V2_1, true);
    size_t count, seen = 0;
    const struct kmip_attr_info *infos = kmip_attr_infos(&count);
    for (size_t i = 0; i < count; i++) {
        uint32_t tag = infos[i].tag;
        if (infos[i].type != TTLV_DATE_TIME)
            continue;
        seen++;
        bool set = count_by(V2_1, date(tag, 0), date(tag, INT64_MAX - 1)) == 1;
        const char *name = kmip_tag_name(tag);
        ck_assert_msg(count_by(V2_1, date(tag, INT64_MAX), NULL) == !set, "%s", name);
        ck_assert_msg(count_by(V2_1, date(tag, INT64_MAX), date(tag, 0)) == 1, "%s", name);
        ck_assert_msg(count_by(V2_1, date(tag, -5), date(tag, 5)) == 0, "%s", name);
        ck_assert_msg(count_by(V2_1, date(tag, INT64_MIN + 1), date(tag, INT64_MAX - 1)) == set, "%s", name);
    }
    ck_assert_uint_eq(seen, 12);
    ck_assert_uint_eq(count_by(V1_4, date(KMIP_TAG_ACTIVATION_DATE, T0), date(KMIP_TAG_ACTIVATION_DATE, T0)), 1);
    ck_assert_uint_eq(count_by(V1_4, date(KMIP_TAG_ACTIVATION_DATE, T0 + 9), date(KMIP_TAG_ACTIVATION_DATE, T0 + 1)),
                      0);
}
END_TEST

/* A date without a column: also where it is too far away for a text. */
START_TEST(far_dates)
{
    static const int64_t values[] = {INT64_C(-70000000000), -1, 0, T0, INT64_C(253402300799), INT64_C(253402300800)};
    enum { COUNT = sizeof values / sizeof values[0] };
    uint32_t tag = KMIP_TAG_ORIGINAL_CREATION_DATE;
    for (size_t i = 0; i < COUNT; i++) {
        struct kmip_request *rq = request_new(V2_1, 1);
        struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
        in->object_type = KMIP_OBJECT_OPAQUE_OBJECT;
        in->object = ARENA_NEW(&rig.arena, struct kmip_object);
        in->object->type = in->object_type;
        in->object->opaque_object = KMIP_NEW(&rig.arena, opaque_object);
        in->object->opaque_object->type = 0x80000001;
        in->object->opaque_object->value = bytes_str("opaque");
        kmip_attributes_add(&rig.arena, &in->attributes, date(tag, values[i]));
        expect_success(call(rig.alice, rq), 0);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = i; k < COUNT; k++)
            ck_assert_msg(count_by(V2_1, date(tag, values[k]), date(tag, values[i])) == k - i + 1, "%zu to %zu", i, k);
    ck_assert_uint_eq(count_by(V2_1, date(tag, 1), NULL), 0);
    ck_assert_uint_eq(count_by(V1_2, date(tag, -1), NULL), 1);
}
END_TEST

static struct node *limits(int64_t total, int64_t left)
{
    struct node *n = node_structure(&rig.arena, KMIP_TAG_USAGE_LIMITS);
    if (total)
        node_append(n, node_long(&rig.arena, KMIP_TAG_USAGE_LIMITS_TOTAL, total));
    if (left)
        node_append(n, node_long(&rig.arena, KMIP_TAG_USAGE_LIMITS_COUNT, left));
    return n;
}

START_TEST(usage_limits_are_at_least)
{
    registered(rig.alice, V1_4, true); /* 1000 bytes */
    registered(rig.alice, V1_4, false);
    static const struct {
        int64_t total, left;
        size_t count;
    } cases[] = {{1000, 0, 1}, {999, 0, 1}, {1001, 0, 0}, {0, 1000, 1}, {0, 1001, 0}, {10, 10, 1}, {0, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(count_by(V1_4, limits(cases[i].total, cases[i].left), NULL) == cases[i].count, "%zu", i);
    struct node *objects = limits(10, 0);
    node_append(objects, enumeration(KMIP_TAG_USAGE_LIMITS_UNIT, KMIP_UNIT_OBJECT));
    ck_assert_uint_eq(count_by(V1_4, objects, NULL), 0);
}
END_TEST

START_TEST(names_by_type)
{
    registered(rig.alice, V1_0, true);
    registered(rig.alice, V1_0, false);
    struct node *any = node_structure(&rig.arena, KMIP_TAG_NAME);
    ck_assert_uint_eq(count_by(V1_0, pair(KMIP_TAG_NAME, enumeration(KMIP_TAG_NAME_TYPE, 2), NULL), NULL), 1);
    ck_assert_uint_eq(count_by(V1_0, pair(KMIP_TAG_NAME, text(KMIP_TAG_NAME_VALUE, "urn:all"), NULL), NULL), 1);
    ck_assert_uint_eq(count_by(V1_0, pair(KMIP_TAG_NAME, text(KMIP_TAG_NAME_VALUE, ""), NULL), NULL), 0);
    ck_assert_uint_eq(count_by(V1_0, any, NULL), 1);
    ck_assert_uint_eq(count_by(V1_0, pair(KMIP_TAG_NAME, text(KMIP_TAG_NAME_VALUE, "all"),
                                          enumeration(KMIP_TAG_NAME_TYPE, 2)), NULL), 0);
}
END_TEST

/* ---- groups, storage, pages ---- */

static const char *member(const char *group)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    struct kmip_create_request *in = create_aes(rq, 0, NULL);
    kmip_attributes_add_text(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str(group));
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    return uid_of(r, 0);
}

static const struct kmip_locate_response *group(uint16_t version, const char *name, uint32_t which, int64_t offset)
{
    struct kmip_request *rq = request_new(version, 1);
    struct kmip_locate_request *in = locate(rq, 0, NULL);
    kmip_attributes_add_text(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str(name));
    in->object_group_member = which;
    if (offset)
        in->offset_items = KMIP_NUMBER(offset);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    return r->items[0].payload;
}

START_TEST(group_members)
{
    enum { FRESH = KMIP_GROUP_MEMBER_GROUP_MEMBER_FRESH, DEFAULT = KMIP_GROUP_MEMBER_GROUP_MEMBER_DEFAULT };
    const char *old = member("team"), *middle = member("team"), *new = member("team");
    member("others");
    run_one(rig.alice, V1_4, KMIP_OP_GET, middle); /* not fresh any more */
    const struct kmip_locate_response *out = group(V1_1, "team", FRESH, 0);
    ck_assert_uint_eq(out->unique_identifiers.count, 2);
    ck_assert(bytes_is(out->unique_identifiers.items[0].text, new));
    ck_assert(bytes_is(out->unique_identifiers.items[1].text, old));
    out = group(V2_1, "team", DEFAULT, 0); /* the newest */
    ck_assert_uint_eq(out->unique_identifiers.count, 1);
    ck_assert_int_eq(out->located_items.value, 1);
    ck_assert(bytes_is(out->unique_identifiers.items[0].text, new));
    ck_assert_uint_eq(group(V2_1, "team", DEFAULT, 1)->unique_identifiers.count, 0);
    ck_assert_uint_eq(group(V1_4, "nobody", DEFAULT, 0)->unique_identifiers.count, 0);
    struct kmip_request *rq = request_new(V1_4, 2); /* what Locate finds alone is the placeholder */
    struct kmip_locate_request *in = locate(rq, 0, NULL);
    kmip_attributes_add_text(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("team"));
    in->object_group_member = DEFAULT;
    by_uid(rq, 1, KMIP_OP_GET, NULL);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 1);
    ck_assert_str_eq(uid_of(r, 1), new);
    rq = request_new(V1_4, 1);
    locate(rq, 0, NULL)->object_group_member = DEFAULT;
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_INVALID_FIELD); /* of no group */
}
END_TEST

START_TEST(storage)
{
    const char *live = new_key(rig.alice, NULL), *gone = new_key(rig.alice, NULL);
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_DESTROY, gone), 0);
    static const struct {
        int64_t mask;
        bool live, gone;
    } cases[] = {{-1, true, false}, {0, false, false}, {1, true, false}, {2, false, false}, {3, true, false},
                 {4, false, true},  {5, true, true},   {6, false, true}, {7, true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kmip_request *rq = request_new(V2_1, 1);
        struct kmip_locate_request *in = locate(rq, 0, NULL);
        if (cases[i].mask >= 0)
            in->storage_status_mask = KMIP_NUMBER(cases[i].mask);
        struct kmip_response *r = call(rig.alice, rq);
        ck_assert_int_eq(found(r, 0, live), cases[i].live);
        ck_assert_int_eq(found(r, 0, gone), cases[i].gone);
    }
}
END_TEST

/* Pages through a list that grows at its front meanwhile: newest first, nothing twice within what was there. */
START_TEST(pages)
{
    enum { KEYS = 7, PAGE = 3 };
    const char *made[KEYS];
    for (int i = 0; i < KEYS; i++)
        made[i] = member("paged");
    for (size_t at = 0; at <= KEYS; at += PAGE) {
        struct kmip_request *rq = request_new(V1_3, 1);
        struct kmip_locate_request *in = locate(rq, 0, NULL);
        kmip_attributes_add_text(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("paged"));
        in->offset_items = KMIP_NUMBER((int64_t)at);
        in->maximum_items = KMIP_NUMBER(PAGE);
        struct kmip_response *r = call(rig.alice, rq);
        expect_success(r, 0);
        const struct kmip_locate_response *out = r->items[0].payload;
        ck_assert_int_eq(out->located_items.value, KEYS);
        size_t left = KEYS - at < PAGE ? KEYS - at : PAGE;
        ck_assert_uint_eq(out->unique_identifiers.count, left);
        for (size_t i = 0; i < left; i++)
            ck_assert(bytes_is(out->unique_identifiers.items[i].text, made[KEYS - 1 - at - i]));
    }
}
END_TEST

START_TEST(identifiers_of_2)
{
    struct kmip_request *rq = request_new(V2_1, 3);
    create_aes(rq, 0, NULL);
    struct kmip_locate_request *in = locate(rq, 1, NULL);
    kmip_attributes_add(&rig.arena, &in->attributes, enumeration(KMIP_TAG_UNIQUE_IDENTIFIER, KMIP_UID_CREATE));
    in = locate(rq, 2, NULL);
    kmip_attributes_add(&rig.arena, &in->attributes, node_integer(&rig.arena, KMIP_TAG_UNIQUE_IDENTIFIER, 0));
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert(found(r, 1, uid_of(r, 0)));
    ck_assert(found(r, 2, uid_of(r, 0)));
}
END_TEST

START_TEST(reasons)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    struct kmip_locate_request *in = locate(rq, 0, NULL);
    for (int i = 0; i < 3; i++)
        kmip_attributes_add(&rig.arena, &in->attributes, date(KMIP_TAG_INITIAL_DATE, i));
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_INVALID_FIELD);
    rq = request_new(V2_1, 1);
    locate(rq, 0, NULL)->maximum_items = KMIP_NUMBER(-1);
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_INVALID_FIELD);
    /* Values that cannot be met are no errors. */
    ck_assert_uint_eq(count_by(V1_4, enumeration(KMIP_TAG_OBJECT_TYPE, 2), enumeration(KMIP_TAG_OBJECT_TYPE, 7)), 0);
    ck_assert_uint_eq(count_by(V1_4, node_interval(&rig.arena, KMIP_TAG_LEASE_TIME, 5), NULL), 0);
    registered(rig.alice, V1_4, true);
    ck_assert_uint_eq(count_by(V1_4, text(KMIP_TAG_CONTACT_INFORMATION, "Ann"),
                               text(KMIP_TAG_CONTACT_INFORMATION, "Ann")), 1);
    ck_assert_uint_eq(count_by(V1_4, text(KMIP_TAG_CONTACT_INFORMATION, "Ann"),
                               text(KMIP_TAG_CONTACT_INFORMATION, "Bob")), 0);
}
END_TEST

Suite *locate_suite(void)
{
    Suite *s = suite_create("locate");
    TCase *t = tcase_create("locate");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_loop_test(t, found_by_each_attribute_shown, 0, KMIP_VERSION_COUNT);
    tcase_add_test(t, dates);
    tcase_add_test(t, far_dates);
    tcase_add_test(t, usage_limits_are_at_least);
    tcase_add_test(t, names_by_type);
    tcase_add_test(t, group_members);
    tcase_add_test(t, storage);
    tcase_add_test(t, pages);
    tcase_add_test(t, identifiers_of_2);
    tcase_add_test(t, reasons);
    suite_add_tcase(s, t);
    return s;
}
