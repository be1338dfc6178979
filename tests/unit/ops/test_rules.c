/* Rules: what is read of the database's text. */
#include <stdio.h>

#include "server/policy/match.h"
#include "tests/unit/ops/ops_tests.h"

/* ---- the text ---- */

START_TEST(reads_all)
{
    struct policy_set *set = parsed_rules(
        "{\"mates\":[\"" MATE "\",\"" OTHER "\"],\"rules\":[{\"id\":7,\"policy\":\"gold\",\"effect\":\"approval\","
        "\"permissions\":[\"get\",\"@life-cycle\",\"later\",\"@later\"],\"owner\":\"any\",\"object\":\"" THING "\","
        "\"object_type\":2,\"object_group\":\"g\",\"name_pattern\":\"db-*\",\"attribute_name\":\"x-Tier\","
        "\"attribute_value\":\"1\",\"valid_from\":5,\"valid_until\":9,\"approvals\":2}],"
        "\"bounds\":[{\"id\":3,\"object_type\":2,\"algorithm\":3,\"algorithms\":[3,4],\"least_length\":128,"
        "\"most_length\":256,\"permitted_mask\":12,\"required_mask\":4,\"protections\":[1],\"mandatory\":[\"Name\"],"
        "\"most_life_days\":30,\"name_pattern\":\"k*\",\"destroy_after_days\":7,\"most_objects\":100,"
        "\"requests_per_second\":50},{\"id\":4}],\"defaults\":[{\"object_type\":2,\"attributes\":{\"Comment\":\"c\"}}],"
        "\"max_objects\":1000,\"second_factor\":true,\"quirks\":[\"iv-in-data\"],\"newer\":{}}");
    ck_assert_uint_eq(set->mate_count, 2);
    ck_assert_uint_eq(set->mates[1].raw[0], 0xBB);
    const struct policy_rule *r = &set->rules[0];
    ck_assert_uint_eq(set->rule_count, 1);
    ck_assert_int_eq(r->id, 7);
    ck_assert_int_eq(r->effect, RULE_APPROVAL);
    ck_assert_int_eq(r->owner, OWNER_ANY);
    ck_assert_uint_eq(r->permissions, UINT64_C(1) << PERMIT_GET | UINT64_C(1) << PERMIT_ACTIVATE |
                                          UINT64_C(1) << PERMIT_REVOKE | UINT64_C(1) << PERMIT_DESTROY);
    ck_assert(bytes_is(r->policy, "gold") && bytes_is(r->object_group, "g") && bytes_is(r->name_pattern, "db-*"));
    ck_assert(bytes_is(r->attribute_name, "x-Tier") && bytes_is(r->attribute_value, "1"));
    ck_assert_int_eq(r->object_type, 2);
    ck_assert_uint_eq(r->object.raw[15], 1);
    ck_assert(r->valid_from == 5 && r->valid_until == 9 && r->approvals == 2);
    const struct policy_bound *b = set->bounds;
    ck_assert_uint_eq(set->bound_count, 2);
    ck_assert(b->id == 3 && b->object_type == 2 && b->algorithm == 3 && b->least_length == 128 &&
              b->most_length == 256);
    ck_assert(b->permitted_mask == 12 && b->required_mask == 4 && b->most_life_days == 30 && b->most_objects == 100);
    ck_assert(b->destroy_after_days == 7 && b->requests_per_second == 50 && bytes_is(b->name_pattern, "k*"));
    ck_assert(b->algorithms.count == 2 && b->algorithms.items[1] == 4 && b->protections.items[0] == 1);
    ck_assert(b->mandatory.count == 1 && bytes_is(b->mandatory.items[0], "Name"));
    ck_assert(b[1].most_length == POLICY_UNSET && b[1].algorithms.count == 0 && !b[1].name_pattern.data);
    ck_assert(set->default_count == 1 && set->defaults[0].object_type == 2);
    ck_assert(bytes_is(set->defaults[0].attributes, "{\"Comment\":\"c\"}"));
    ck_assert(set->max_objects == 1000 && set->second_factor);
    ck_assert(policy_has_quirk(set, "iv-in-data") && !policy_has_quirk(set, "iv") && !policy_has_quirk(NULL, "iv"));
    struct policy_set *again = policy_hold(set);
    policy_drop(set);
    ck_assert_int_eq(again->rules[0].id, 7);
    policy_drop(again);
    set = parsed_rules("{}");
    ck_assert(set->rule_count == 0 && set->mate_count == 0 && set->max_objects == POLICY_UNSET && !set->second_factor);
    policy_drop(set);
}
END_TEST

/* What cannot be understood is refused as a whole: a denial might be in it. */
START_TEST(refuses_what_is_strange)
{
    static const char good[] =
        "{\"id\":1,\"effect\":\"deny\",\"permissions\":[\"*\"],\"owner\":\"any\",\"policy\":\"*\"";
    static const char *const sets[] = {"",
                                       "[]",
                                       "null",
                                       "{\"rules\":{}}",
                                       "{\"rules\":[1]}",
                                       "{\"rules\":[{}]}",
                                       "{\"mates\":[\"x\"]}",
                                       "{\"mates\":[7]}",
                                       "{\"mates\":7}",
                                       "{\"second_factor\":1}",
                                       "{\"quirks\":[1]}",
                                       "{\"bounds\":[{}]}",
                                       "{\"bounds\":[7]}",
                                       "{\"bounds\":[{\"id\":1,\"algorithms\":[\"3\"]}]}",
                                       "{\"defaults\":[{\"object_type\":2}]}",
                                       "{\"max_objects\":\"1\"}",
                                       "{\"rules\":[",
                                       "{}x"};
    static const char *const more[] = {",\"effect\":\"perhaps\"",
                                       ",\"owner\":\"none\"",
                                       ",\"permissions\":[]",
                                       ",\"permissions\":[1]",
                                       ",\"object\":\"x\"",
                                       ",\"object\":\"00000000-0000-0000-0000-000000000000\"",
                                       ",\"object_type\":\"2\"",
                                       ",\"object_type\":2.5",
                                       ",\"name_pattern\":1",
                                       ",\"attribute_name\":\"x\"",
                                       ",\"attribute_value\":\"x\"",
                                       ",\"approvals\":0",
                                       ",\"valid_from\":\"now\"",
                                       ",\"id\":99999999999999999999",
                                       ",\"policy\":null"};
    struct policy_set *set = NULL;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        ck_assert_msg(policy_parse(bytes_str(sets[i]), &set) == RC_INTEGRITY, "%s", sets[i]);
    char text[1024];
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        snprintf(text, sizeof text, "{\"rules\":[%s%s}]}", good, more[i]); /* the last of two members counts */
        ck_assert_msg(policy_parse(bytes_str(text), &set) == RC_INTEGRITY, "%s", text);
    }
    snprintf(text, sizeof text, "{\"rules\":[%s},%s}]}", good, good); /* not in order */
    ck_assert_int_eq(policy_parse(bytes_str(text), &set), RC_INTEGRITY);
    ck_assert_ptr_null(set);
    policy_drop(parsed_rules("{\"rules\":[%s}]}", good));
}
END_TEST

/* Any cut and any changed byte of a good text: an answer, whatever it is, and no crash. */
START_TEST(hostile_text)
{
    static const char good[] = FIRST_RULES;
    char text[sizeof good];
    for (size_t i = 0; i < sizeof good - 1; i++) {
        struct policy_set *set = NULL;
        ck_assert_int_eq(policy_parse(bytes_of(good, i), &set), RC_INTEGRITY);
        for (unsigned k = 0; k < 8; k++) {
            memcpy(text, good, sizeof good);
            text[i] = (char)(text[i] ^ 1 << k);
            if (policy_parse(bytes_of(text, sizeof good - 1), &set) == RC_OK)
                policy_drop(set);
        }
    }
}
END_TEST

START_TEST(patterns)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*", "abc", true},
        {"a*", "bac", false},
        {"*c", "abc", true},
        {"*b", "abc", false},
        {"a*c", "ac", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"?", "", false},
        {"?", "a", true},
        {"?", "ab", false},
        {"a?c", "abc", true},
        {"?", "\xC3\xA4", true},
        {"??", "\xC3\xA4", false},
        {"*?", "\xC3\xA4", true},
        {"a?", "a\xE2\x82\xAC", true},
        {"%", "a", false},
        {"_", "a", false},
        {"\\*", "*", false},
        {"\\*", "\\x", true},
        {"db-*-?", "db-prod-1", true},
        {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"**", "x", true},
        {"a", "A", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(match_pattern(bytes_str(cases[i].pattern), bytes_str(cases[i].text)) == cases[i].fits, "%s on %s",
                      cases[i].pattern, cases[i].text);
}
END_TEST

Suite *rules_suite(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("rules");
    tcase_add_test(t, reads_all);
    tcase_add_test(t, refuses_what_is_strange);
    tcase_add_test(t, hostile_text);
    tcase_add_test(t, patterns);
    suite_add_tcase(s, t);
    return s;
}
