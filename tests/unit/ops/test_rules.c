/* Rules: what is read of the database's text, and what is decided by it. */
#include <stdarg.h>
#include <stdio.h>

#include "server/policy/match.h"
#include "tests/unit/ops/ops_tests.h"

#define MATE  "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define OTHER "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
#define THING "01900000-0000-7000-8000-000000000001"

static const int64_t now_us = NOW * INT64_C(1000000);

static struct policy_set *parsed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static struct policy_set *parsed(const char *fmt, ...)
{
    char text[4096];
    struct policy_set *set = NULL;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rc_t rc = policy_parse(bytes_str(text), &set);
    ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), text);
    return set;
}

/* ---- the text ---- */

START_TEST(reads_all)
{
    struct policy_set *set = parsed(
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
    set = parsed("{}");
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
    policy_drop(parsed("{\"rules\":[%s}]}", good));
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

/* ---- decisions ---- */

/* The rule of a case, its other members before the usual ones, which the last of two prevails over. */
static const char *rule_text(char *out, size_t room, int id, const char *effect, const char *more)
{
    snprintf(out, room,
             "{\"id\":%d,\"policy\":\"*\",\"effect\":\"%s\",\"permissions\":[\"get\"],\"owner\":\"any\"%s%s}", id,
             effect, *more ? "," : "", more);
    return out;
}

static struct name names[] = {{{(const uint8_t *)"db-one", 6}, 1, 0}, {{(const uint8_t *)"second", 6}, 1, 1}};

/* Owners by turns: the asker, its mate, somebody else. */
static struct object thing(const struct identity *who, int owner)
{
    struct object o = {.control = {.domain = who->domain, .object_type = KMIP_OBJECT_SYMMETRIC_KEY}};
    uid_parse(bytes_str(THING), &o.control.uid);
    if (owner == 0)
        o.control.owner = who->client;
    else
        uid_parse(bytes_str(owner == 1 ? MATE : OTHER), &o.control.owner);
    o.names = names;
    o.name_count = 2;
    o.attributes =
        bytes_str("{\"ObjectGroup\":[null,\"g1\",\"g2\"], \"OperationPolicyName\":\"gold\","
                  " \"x-Tier\":[{\"type\":\"TextString\",\"value\":\"one\"},{\"type\":\"Integer\",\"value\":1}],"
                  " \"ContactInformation\":\"Ann\"}");
    return o;
}

static struct identity asker(struct policy_set *set)
{
    struct identity who = {.domain = 1, .policy = set};
    memset(who.client.raw, 0xC1, sizeof who.client.raw);
    return who;
}

/* Whether one rule with these members matches, by owner of the object, and what it needs to be told. */
static const struct {
    const char *more;
    bool self, mate, other;
    unsigned needs;
} selectors[] = {
    {"", true, true, true, 0},
    {"\"owner\":\"self\"", true, false, false, 0},
    {"\"owner\":\"group\"", true, true, false, 0},
    {"\"permissions\":[\"check\",\"@make\",\"gets\",\"@get\"]", false, false, false, 0},
    {"\"permissions\":[\"check\",\"get\"]", true, true, true, 0},
    {"\"permissions\":[\"@read\"]", true, true, true, 0},
    {"\"permissions\":[\"*\"],\"owner\":\"group\"", true, true, false, 0},
    {"\"object\":\"" THING "\"", true, true, true, 0},
    {"\"object\":\"" MATE "\"", false, false, false, 0},
    {"\"object_type\":2,\"owner\":\"self\"", true, false, false, 0},
    {"\"object_type\":3", false, false, false, 0},
    {"\"object_type\":-1", false, false, false, 0},
    {"\"object_type\":4294967298", false, false, false, 0},
    {"\"object_group\":\"g2\"", true, true, true, NEEDS_ATTRIBUTES},
    {"\"object_group\":\"g3\"", false, false, false, NEEDS_ATTRIBUTES},
    {"\"object_group\":\"\"", false, false, false, NEEDS_ATTRIBUTES},
    {"\"name_pattern\":\"sec*\",\"owner\":\"group\"", true, true, false, NEEDS_NAMES},
    {"\"name_pattern\":\"one\"", false, false, false, NEEDS_NAMES},
    {"\"attribute_name\":\"x-Tier\",\"attribute_value\":\"one\"", true, true, true, NEEDS_ATTRIBUTES},
    {"\"attribute_name\":\"x-Tier\",\"attribute_value\":\"1\"", false, false, false, NEEDS_ATTRIBUTES},
    {"\"attribute_name\":\"x-tier\",\"attribute_value\":\"one\"", false, false, false, NEEDS_ATTRIBUTES},
    {"\"attribute_name\":\"ContactInformation\",\"attribute_value\":\"Ann\"", true, true, true, NEEDS_ATTRIBUTES},
    {"\"policy\":\"gold\"", true, true, true, NEEDS_ATTRIBUTES},
    {"\"policy\":\"default\"", false, false, false, NEEDS_ATTRIBUTES},
    {"\"policy\":\"gold\",\"name_pattern\":\"db-*\"", true, true, true, NEEDS_ATTRIBUTES | NEEDS_NAMES},
    {"\"policy\":\"gold\",\"name_pattern\":\"dc-*\"", false, false, false, NEEDS_ATTRIBUTES | NEEDS_NAMES},
    {"\"valid_from\":1700000000000000", true, true, true, 0},
    {"\"valid_from\":1700000000000001", false, false, false, 0},
    {"\"valid_until\":1700000000000001", true, true, true, 0},
    {"\"valid_until\":1700000000000000", false, false, false, 0},
    {"\"valid_from\":1,\"valid_until\":2", false, false, false, 0},
};
enum { SELECTORS = sizeof selectors / sizeof *selectors };
static const char *const effects[] = {"allow", "approval", "deny"};
static const enum verdict verdicts[] = {VERDICT_ALLOWED, VERDICT_APPROVAL, VERDICT_REFUSED};

/* Each selector with each effect on objects of each owner, alone and with all other facts unknown. */
START_TEST(one_rule)
{
    char rule[1024];
    for (size_t i = 0; i < SELECTORS; i++)
        for (int e = 0; e < 3; e++)
            for (int owner = 0; owner < 3; owner++) {
                struct policy_set *set = parsed("{\"mates\":[\"" MATE "\"],\"rules\":[%s]}",
                                                rule_text(rule, sizeof rule, 5, effects[e], selectors[i].more));
                const struct identity who = asker(set);
                const struct object o = thing(&who, owner);
                bool fits = owner == 0 ? selectors[i].self : owner == 1 ? selectors[i].mate : selectors[i].other;
                const struct policy_facts all = {&o, true, true}, few = {&o, false, false};
                struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
                ck_assert_msg(d.verdict == (fits ? verdicts[e] : VERDICT_REFUSED), "%s %s owner %d", effects[e],
                              selectors[i].more, owner);
                ck_assert_int_eq(d.why, fits ? WHY_RULE : WHY_NO_RULE);
                ck_assert_int_eq(d.rule, fits ? 5 : 0);
                struct decision early = policy_decide(&who, PERMIT_GET, &few, now_us);
                if (selectors[i].needs == 0)
                    ck_assert_int_eq(early.verdict, d.verdict);
                else
                    ck_assert(early.verdict == VERDICT_OPEN || (!fits && early.why == WHY_NO_RULE));
                unsigned needs = policy_needs(&who, PERMIT_GET, now_us);
                ck_assert_uint_eq(needs, selectors[i].needs);
                ck_assert_uint_eq(policy_guards(&who, PERMIT_GET, now_us), e == 0 ? 0 : needs);
                policy_drop(set);
            }
}
END_TEST

/* All pairs of effects, whichever number is less, where both match or only one: denial, then approval, then permission.
 */
START_TEST(two_rules)
{
    static const char *const more[] = {"", "\"owner\":\"self\"", "\"name_pattern\":\"db-*\"", "\"object_type\":3"};
    static const bool fits[] = {true, true, true, false};
    char first[512], second[512];
    for (int e = 0; e < 9; e++)
        for (int m = 0; m < 16; m++) {
            int e1 = e / 3, e2 = e % 3, m1 = m / 4, m2 = m % 4;
            struct policy_set *set = parsed("{\"rules\":[%s,%s]}", rule_text(first, 512, 2, effects[e1], more[m1]),
                                            rule_text(second, 512, 9, effects[e2], more[m2]));
            const struct identity who = asker(set);
            const struct object o = thing(&who, 0);
            const struct policy_facts all = {&o, true, true}, few = {&o, false, false};
            int best = fits[m1] && (!fits[m2] || e1 >= e2) ? e1 : fits[m2] ? e2 : -1;
            int64_t rule = best < 0 ? 0 : best == e1 && fits[m1] ? 2 : 9;
            struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
            ck_assert_int_eq(d.verdict, best < 0 ? VERDICT_REFUSED : verdicts[best]);
            ck_assert_int_eq(d.rule, rule);
            struct decision early = policy_decide(&who, PERMIT_GET, &few, now_us);
            ck_assert(early.verdict == d.verdict || early.verdict == VERDICT_OPEN);
            policy_drop(set);
        }
}
END_TEST

START_TEST(other_domain_comes_first)
{
    struct policy_set *set =
        parsed("{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],"
               "\"owner\":\"any\"}]}");
    const struct identity who = asker(set);
    struct object o = thing(&who, 0);
    const struct policy_facts all = {&o, true, true};
    ck_assert_int_eq(policy_decide(&who, PERMIT_GET, &all, now_us).verdict, VERDICT_ALLOWED);
    o.control.domain = 2;
    ck_assert_int_eq(policy_decide(&who, PERMIT_GET, &all, now_us).why, WHY_DOMAIN);
    policy_drop(set);
}
END_TEST

/* Attributes that cannot be read refuse, but only where a rule looks at them. */
START_TEST(damaged_attributes)
{
    static const char *const broken[] = {"{", "[]", "7", "{\"ObjectGroup\":"};
    char rule[512];
    for (int k = 0; k < 2; k++) {
        struct policy_set *set =
            parsed("{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],"
                   "\"owner\":\"any\"},%s]}",
                   rule_text(rule, 512, 2, "deny", k ? "\"object_group\":\"g\"" : "\"object_type\":9"));
        const struct identity who = asker(set);
        struct object o = thing(&who, 0);
        const struct policy_facts all = {&o, true, true};
        for (size_t i = 0; i < 4; i++) {
            o.attributes = bytes_str(broken[i]);
            struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
            ck_assert_int_eq(d.verdict, k ? VERDICT_REFUSED : VERDICT_ALLOWED);
            ck_assert_int_eq(d.why, k ? WHY_DAMAGED : WHY_RULE);
        }
        o.attributes = BYTES_NONE; /* none at all */
        ck_assert_int_eq(policy_decide(&who, PERMIT_GET, &all, now_us).verdict, VERDICT_ALLOWED);
        policy_drop(set);
    }
}
END_TEST

START_TEST(policy_names)
{
    char rule[512];
    static const struct {
        const char *policy, *attributes;
        bool fits;
    } cases[] = {
        {"default", "{}", true},
        {"default", "{\"OperationPolicyName\":\"default\"}", true},
        {"default", "{\"OperationPolicyName\":\"public\"}", false},
        {"public", "{\"OperationPolicyName\":\"public\"}", true},
        {"public", "{}", false},
        {"*", "{\"OperationPolicyName\":\"other\"}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[64];
        snprintf(more, sizeof more, "\"policy\":\"%s\"", cases[i].policy);
        struct policy_set *set = parsed("{\"rules\":[%s]}", rule_text(rule, 512, 1, "allow", more));
        const struct identity who = asker(set);
        struct object o = thing(&who, 2);
        o.attributes = bytes_str(cases[i].attributes);
        const struct policy_facts all = {&o, true, true};
        ck_assert_msg((policy_decide(&who, PERMIT_GET, &all, now_us).verdict == VERDICT_ALLOWED) == cases[i].fits,
                      "%s on %s", cases[i].policy, cases[i].attributes);
        policy_drop(set);
    }
}
END_TEST

/* Before there is an object; and what needs none. */
START_TEST(foresight)
{
    static const struct {
        const char *rule;
        bool create, query;
    } cases[] = {
        {"\"permissions\":[\"*\"],\"owner\":\"self\"", true, true},
        {"\"permissions\":[\"@make\"],\"owner\":\"any\",\"name_pattern\":\"a*\"", true, false},
        {"\"permissions\":[\"@server\"],\"owner\":\"group\"", false, true},
        {"\"permissions\":[\"*\"],\"object_type\":2", true, false},
        {"\"permissions\":[\"*\"],\"policy\":\"public\"", true, false},
        {"\"permissions\":[\"*\"],\"policy\":\"default\"", true, true},
        {"\"permissions\":[\"get\"]", false, false},
        {"\"permissions\":[\"*\"],\"valid_until\":5", false, false},
    };
    char rule[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy_set *set = parsed("{\"rules\":[%s]}", rule_text(rule, 512, 1, "allow", cases[i].rule));
        const struct identity who = asker(set);
        ck_assert_msg((policy_foresee(&who, PERMIT_CREATE, now_us).verdict == VERDICT_ALLOWED) == cases[i].create, "%s",
                      cases[i].rule);
        ck_assert_msg((policy_foresee(&who, PERMIT_QUERY, now_us).verdict == VERDICT_ALLOWED) == cases[i].query, "%s",
                      cases[i].rule);
        ck_assert_int_eq(policy_foresee(&who, PERMIT_GET, now_us).verdict, VERDICT_ALLOWED); /* decided on its object */
        policy_drop(set);
        if (!cases[i].create)
            continue;
        /* Only a denial of all that it could make is certain beforehand. */
        set = parsed("{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],\"owner\":"
                     "\"self\"},%s]}",
                     rule_text(rule, 512, 2, "deny", cases[i].rule));
        const struct identity denied = asker(set);
        ck_assert_int_eq(policy_foresee(&denied, PERMIT_CREATE, now_us).rule, i == 0 ? 2 : 1);
        policy_drop(set);
    }
}
END_TEST

/* Whose objects a search has to look at. */
START_TEST(reach)
{
    static const struct {
        const char *first, *second; /* effects and members of two rules; NULL: one */
        bool mates, everyone, certain, certain_own;
        size_t policies;
    } cases[] = {
        {"allow|\"owner\":\"self\"", NULL, false, false, true, true, 0},
        {"allow|\"owner\":\"group\"", NULL, true, false, true, true, 0},
        {"allow|", NULL, false, true, true, true, 0},
        {"allow|\"owner\":\"self\"", "allow|\"owner\":\"group\"", true, false, true, true, 0},
        {"allow|\"owner\":\"self\"", "allow|\"owner\":\"group\",\"object_type\":2", true, false, false, true, 0},
        {"allow|\"owner\":\"self\"", "allow|\"policy\":\"public\"", false, false, true, true, 1},
        {"allow|\"owner\":\"self\"", "allow|\"policy\":\"default\"", false, true, false, true, 0},
        {"allow|\"owner\":\"self\"", "allow|\"name_pattern\":\"a*\"", false, true, false, true, 0},
        {"allow|\"owner\":\"self\"", "deny|\"name_pattern\":\"a*\"", false, false, false, false, 0},
        {"allow|\"owner\":\"self\"", "approval|\"owner\":\"self\"", false, false, false, false, 0},
        {"allow|\"owner\":\"self\"", "deny|\"valid_until\":5", false, false, true, true, 0},
        {"allow|\"owner\":\"self\"", "deny|\"permissions\":[\"check\"]", false, false, true, true, 0},
        {"allow|\"owner\":\"self\",\"object_type\":2", NULL, false, false, false, false, 0},
        {"deny|", NULL, false, false, false, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char texts[2][512] = {"", ""};
        const char *of[2] = {cases[i].first, cases[i].second};
        for (int k = 0; k < 2 && of[k]; k++) {
            char effect[16];
            const char *bar = strchr(of[k], '|');
            snprintf(effect, sizeof effect, "%.*s", (int)(bar - of[k]), of[k]);
            rule_text(texts[k], 512, k + 1, effect, bar + 1);
        }
        struct policy_set *set =
            parsed("{\"mates\":[\"" MATE "\"],\"rules\":[%s%s%s]}", texts[0], of[1] ? "," : "", texts[1]);
        const struct identity who = asker(set);
        AUTO_ARENA a = ARENA_OF(1 << 20);
        struct policy_reach r;
        ck_assert_int_eq(policy_reach(&a, &who, PERMIT_GET, now_us, &r), RC_OK);
        ck_assert_msg(r.mates == cases[i].mates && r.everyone == cases[i].everyone && r.certain == cases[i].certain &&
                          r.certain_own == cases[i].certain_own && r.policy_count == cases[i].policies,
                      "case %zu", i);
        policy_drop(set);
    }
}
END_TEST

START_TEST(told_to_auditors)
{
    static const struct {
        struct decision d;
        const char *text;
    } cases[] = {
        {{VERDICT_REFUSED, WHY_RULE, 12, 0}, "denied by rule 12"},
        {{VERDICT_REFUSED, WHY_NO_RULE, 0, 0}, "no rule permits"},
        {{VERDICT_REFUSED, WHY_DOMAIN, 0, 0}, "the object is of another domain"},
        {{VERDICT_REFUSED, WHY_DAMAGED, 0, 0}, "the object's attributes cannot be read"},
        {{VERDICT_APPROVAL, WHY_RULE, 3, 1}, "rule 3 needs 1 approval"},
        {{VERDICT_APPROVAL, WHY_RULE, INT64_MAX, INT64_MAX},
         "rule 9223372036854775807 needs 9223372036854775807 approvals"},
        {{VERDICT_REFUSED, WHY_NOTHING, 0, 0}, ""},
    };
    char text[DECISION_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        decision_print(&cases[i].d, text, sizeof text);
        ck_assert_str_eq(text, cases[i].text);
    }
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
    tcase_add_test(t, one_rule);
    tcase_add_test(t, two_rules);
    tcase_add_test(t, other_domain_comes_first);
    tcase_add_test(t, damaged_attributes);
    tcase_add_test(t, policy_names);
    tcase_add_test(t, foresight);
    tcase_add_test(t, reach);
    tcase_add_test(t, told_to_auditors);
    suite_add_tcase(s, t);
    return s;
}
