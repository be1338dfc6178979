/* Rules in the engine: what is refused costs the same work as what is missing; searches candidate
 * by candidate. */
#include <stdio.h>

#include "server/policy/rules.h"
#include "tests/unit/engine/fixture.h"

static const char missing[] = "0190b6f2-7d1e-7abc-8def-0123456789ab";

/* Loads that the operation took, the login after a change of rules aside. */
static uint64_t loads_of(uint32_t operation, const char *uid, uint32_t reason)
{
    run_one(rig.bob, V1_4, KMIP_OP_GET, missing);
    uint64_t before = db_stats_of(rig.db)->loads;
    ck_assert_uint_eq(run_one(rig.bob, V1_4, operation, uid), reason);
    return db_stats_of(rig.db)->loads - before;
}

START_TEST(refused_costs_what_missing_costs)
{
    static const struct {
        const char *columns, *values; /* NULL: no rule */
        uint64_t own, other;          /* loads of Get */
    } cases[] = {
        {NULL, NULL, 1, 2}, /* another's object may be public */
        {"effect, permissions", "'deny', '{destroy}'", 1, 2},
        {"effect, permissions, owner", "'deny', '{get}', 'any'", 2, 2},
        {"effect, permissions, name_pattern", "'deny', '{get}', 'mine-*'", 1,
         1}, /* all are looked at closely */
        {"effect, permissions, name_pattern", "'allow', '{get}', 'none-*'", 1, 2},
    };
    const char *theirs = new_key(rig.alice, "theirs"), *mine = new_key(rig.bob, "mine-1"),
               *free = new_key(rig.bob, "free");
    ck_assert_uint_eq(run_one(rig.bob, V1_4, KMIP_OP_GET, free), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].columns)
            rule_for_bob(cases[i].columns, cases[i].values);
        bool denied = i == 2;
        ck_assert_uint_eq(loads_of(KMIP_OP_GET, free, denied ? KMIP_REASON_ITEM_NOT_FOUND : 0),
                          cases[i].own);
        ck_assert_uint_eq(loads_of(KMIP_OP_GET, theirs, KMIP_REASON_ITEM_NOT_FOUND),
                          cases[i].other);
        ck_assert_uint_eq(loads_of(KMIP_OP_GET, missing, KMIP_REASON_ITEM_NOT_FOUND),
                          cases[i].other);
        ck_assert_uint_eq(
            loads_of(KMIP_OP_GET, mine, denied || i == 3 ? KMIP_REASON_ITEM_NOT_FOUND : 0),
            cases[i].own);
        no_rules();
    }
}
END_TEST

static void gets(const char *uid, struct sent *out)
{
    enum { MANY = 40 };
    struct kmip_request *rq = request_new(V1_4, MANY);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    for (size_t i = 0; i < MANY; i++)
        by_uid(rq, i, KMIP_OP_GET, uid);
    send_request(rig.bob, rq, out);
    wait_for(out);
    ck_assert_ptr_nonnull(out->answer);
    for (size_t i = 0; i < MANY; i++)
        expect_failed(out->answer, i, KMIP_REASON_ITEM_NOT_FOUND);
    buf_free(&out->raw);
}

/* Another's object that is larger than a request's memory: no way to see that it is there. */
START_TEST(memory_tells_nothing)
{
    const char *theirs = new_key(rig.alice, "large");
    sql("UPDATE kmip.object SET attributes = attributes || jsonb_build_object('Comment', "
        "repeat('large', 200000))"
        " WHERE uid = '%s'",
        theirs);
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.request_memory = 512 * 1024;
    rig_limits(limits);
    struct sent sent;
    gets(theirs, &sent);
    gets(missing, &sent);
    rule_for_bob("effect, permissions, object_group", "'deny', '{get}', 'g'");
    gets(theirs, &sent);
    gets(missing, &sent);
    no_rules();
}
END_TEST

/* Objects of alice's that are everybody's to find, but for every seventh of them bob's not. */
static void make_public(unsigned count)
{
    char id[UID_TEXT_SIZE];
    uid_print(&rig.alice->client, id);
    sql("INSERT INTO kmip.object SELECT format('01900000-0000-7000-8000-%%s', lpad(to_hex(n), 12, "
        "'0'))::uuid, 1, 1, "
        "'%s',"
        " 2, 1, 1, 3, 256, 12, 0, 1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, true, false, "
        "false, false,"
        " decode(repeat('00', 32), 'hex'), jsonb_build_object('ObjectGroup', "
        "jsonb_build_array('search'),"
        " 'OperationPolicyName', 'public', CASE WHEN n %% 7 = 0 THEN 'x-Odd' ELSE 'x-Even' END,"
        " '[{\"type\": \"TextString\", \"value\": \"1\"}]'::jsonb) FROM generate_series(1, %u) AS "
        "n",
        id, count);
    rule_for_bob("effect, permissions, attribute_name, attribute_value",
                 "'deny', '{locate}', 'x-Odd', '1'");
}

static void end_public(void)
{
    no_rules();
    sql("DELETE FROM kmip.object WHERE attributes @> '{\"ObjectGroup\": [\"search\"]}'");
}

static struct kmip_response *search(int64_t offset, int64_t maximum)
{
    struct kmip_request *rq = request_new(V2_1, 1);
    struct kmip_locate_request *in = locate_name(rq, 0, NULL);
    kmip_attributes_add_text(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_GROUP,
                             bytes_str("search"));
    if (offset >= 0)
        in->offset_items = KMIP_NUMBER(offset);
    in->maximum_items = KMIP_NUMBER(maximum);
    return call(rig.bob, rq);
}

START_TEST(search_through_candidates)
{
    enum { ALL = 1000, FOUND = ALL - ALL / 7 };
    make_public(ALL);
    for (int64_t offset = 0; offset <= FOUND; offset += 130) {
        struct kmip_response *r = search(offset, 100);
        expect_success(r, 0);
        const struct kmip_locate_response *out = r->items[0].payload;
        size_t left = (size_t)(FOUND - offset) < 100 ? (size_t)(FOUND - offset) : 100;
        ck_assert_int_eq(out->located_items.value, FOUND);
        ck_assert_uint_eq(out->unique_identifiers.count, left);
        int64_t n = ALL, skip = offset; /* newest first, without each seventh */
        for (size_t i = 0; i < left; n--) {
            if (n % 7 == 0 || skip-- > 0)
                continue;
            char uid[UID_TEXT_SIZE];
            snprintf(uid, sizeof uid, "01900000-0000-7000-8000-%012x", (unsigned)n);
            ck_assert(bytes_is(out->unique_identifiers.items[i++].text, uid));
        }
    }
    struct kmip_response *r = search(-1, 3); /* no further than what is wanted */
    ck_assert_uint_eq(
        ((struct kmip_locate_response *)r->items[0].payload)->unique_identifiers.count, 3);
    /* Large ones: a page that does not fit into memory is taken in smaller pieces. */
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.request_memory = 512 * 1024;
    rig_limits(limits);
    sql("UPDATE kmip.object SET attributes = attributes || jsonb_build_object('Comment', "
        "repeat('large', 4000))"
        " WHERE attributes @> '{\"ObjectGroup\": [\"search\"]}'");
    r = search(0, 1000);
    expect_success(r, 0);
    ck_assert_int_eq(((struct kmip_locate_response *)r->items[0].payload)->located_items.value,
                     FOUND);
    end_public();
}
END_TEST

START_TEST(search_has_an_end)
{
    make_public(66000);
    expect_failed(search(0, 1), 0,
                  KMIP_REASON_SERVER_LIMIT_EXCEEDED); /* the total is wanted: each is looked at */
    expect_success(search(-1, 1), 0);
    end_public();
}
END_TEST

/* A policy that cannot be understood decides nothing, and the one before it neither. */
START_TEST(strange_policy_is_refused)
{
    const char *mine = new_key(rig.bob, "strange");
    rule_for_bob("effect, permissions, object",
                 "'allow', '{get}', '00000000-0000-0000-0000-000000000000'");
    struct kmip_request *rq = request_new(V1_4, 1);
    by_uid(rq, 0, KMIP_OP_GET, mine);
    struct kmip_response *r = call(rig.bob, rq);
    expect_failed(r, 0, KMIP_REASON_GENERAL_FAILURE); /* the constant answer */
    no_rules();
    ck_assert_uint_eq(run_one(rig.bob, V1_4, KMIP_OP_GET, mine), 0);
}
END_TEST

/* A policy is read once for each standing: a login after that takes one load, and shares the set.
 */
START_TEST(logins_share_a_policy)
{
    struct session *s = rig.bob;
    ck_assert_int_eq(login(s), RC_OK);
    const struct policy_set *set = s->policy;
    size_t rules = set->rule_count;
    uint64_t loads = db_stats_of(rig.db)->loads;
    ck_assert_int_eq(login(s), RC_OK);
    ck_assert_uint_eq(db_stats_of(rig.db)->loads, loads + 1);
    ck_assert_ptr_eq(s->policy, set);
    rule_for_bob("effect, permissions", "'deny', '{query}'");
    loads = db_stats_of(rig.db)->loads;
    ck_assert_int_eq(login(s), RC_OK);
    ck_assert_uint_eq(db_stats_of(rig.db)->loads, loads + 2);
    ck_assert_uint_eq(s->policy->rule_count, rules + 1);
    no_rules();
}
END_TEST

/* A certificate may come to stand for another client: what was proven of the first one does not go
 * with it. */
START_TEST(another_client_has_proven_nothing)
{
    struct session *s = rig.alice;
    struct uid alice = s->client;
    char from[UID_TEXT_SIZE], to[UID_TEXT_SIZE];
    uid_print(&alice, from);
    uid_print(&rig.bob->client, to);
    s->proven_standing = s->standing;
    ck_assert_int_eq(login(s), RC_OK);
    ck_assert_int_eq(s->proven_standing, s->standing);
    sql("UPDATE policy.credential SET client = '%s' WHERE value = '%s'", to, s->names[0].value);
    ck_assert_int_eq(login(s), RC_OK);
    ck_assert(uid_equal(&s->client, &rig.bob->client));
    ck_assert_int_eq(s->proven_standing, 0);
    sql("UPDATE policy.credential SET client = '%s' WHERE value = '%s'", from, s->names[0].value);
    ck_assert_int_eq(login(s), RC_OK);
    ck_assert(uid_equal(&s->client, &alice));
}
END_TEST

Suite *access_suite(void)
{
    Suite *s = suite_create("access");
    TCase *t = tcase_create("access");
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, refused_costs_what_missing_costs);
    tcase_add_test(t, memory_tells_nothing);
    tcase_add_test(t, search_through_candidates);
    tcase_add_test(t, search_has_an_end);
    tcase_add_test(t, strange_policy_is_refused);
    tcase_add_test(t, logins_share_a_policy);
    tcase_add_test(t, another_client_has_proven_nothing);
    suite_add_tcase(s, t);
    return s;
}
