/* What is decided by rules: policy.h. */
#include <stdio.h>

#include "tests/unit/ops/ops_tests.h"

static const int64_t now_us = NOW * INT64_C(1000000);

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
enum { ALLOW = 0, APPROVAL, DENY, EFFECTS };

/* Each selector with each effect on objects of each owner, alone and with all other facts unknown. An approval alone
 * permits nothing. */
START_TEST(one_rule)
{
    char rule[1024];
    for (size_t i = 0; i < SELECTORS; i++)
        for (int e = 0; e < EFFECTS; e++)
            for (int owner = 0; owner < 3; owner++) {
                struct policy_set *set = parsed_rules("{\"mates\":[\"" MATE "\"],\"rules\":[%s]}",
                                                      rule_text(rule, sizeof rule, 5, effects[e], selectors[i].more));
                const struct identity who = asker(set);
                const struct object o = thing(&who, owner);
                bool fits = owner == 0 ? selectors[i].self : owner == 1 ? selectors[i].mate : selectors[i].other;
                bool decides = fits && e != APPROVAL;
                const struct policy_facts all = {&o, true, true}, few = {&o, false, false};
                struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
                ck_assert_msg(d.verdict == (decides && e == ALLOW ? VERDICT_ALLOWED : VERDICT_REFUSED),
                              "%s %s owner %d", effects[e], selectors[i].more, owner);
                ck_assert_int_eq(d.why, decides ? WHY_RULE : WHY_NO_RULE);
                ck_assert_int_eq(d.rule, decides ? 5 : 0);
                struct decision early = policy_decide(&who, PERMIT_GET, &few, now_us);
                if (selectors[i].needs == 0 || e == APPROVAL)
                    ck_assert_int_eq(early.verdict, d.verdict);
                else
                    ck_assert(early.verdict == VERDICT_OPEN || (!fits && early.why == WHY_NO_RULE));
                unsigned needs = policy_needs(&who, PERMIT_GET, now_us);
                ck_assert_uint_eq(needs, selectors[i].needs);
                ck_assert_uint_eq(policy_guards(&who, PERMIT_GET, now_us), e == ALLOW ? 0 : needs);
                policy_drop(set);
            }
}
END_TEST

/* What rules lead to of which these match: the least number of each effect, 0 where none does. */
static struct decision weighed(const int64_t matching[EFFECTS])
{
    if (matching[DENY])
        return (struct decision){VERDICT_REFUSED, WHY_RULE, matching[DENY], 0};
    if (!matching[ALLOW])
        return (struct decision){VERDICT_REFUSED, WHY_NO_RULE, 0, 0};
    return matching[APPROVAL] ? (struct decision){VERDICT_APPROVAL, WHY_RULE, matching[APPROVAL], 1}
                              : (struct decision){VERDICT_ALLOWED, WHY_RULE, matching[ALLOW], 0};
}

static bool same_decision(struct decision a, struct decision b)
{
    return a.verdict == b.verdict && a.why == b.why && a.rule == b.rule && a.approvals == b.approvals;
}

/* All pairs of effects, whichever number is less, where both match or only one. */
START_TEST(two_rules)
{
    static const char *const more[] = {"", "\"owner\":\"self\"", "\"name_pattern\":\"db-*\"", "\"object_type\":3"};
    static const bool fits[] = {true, true, true, false};
    char first[512], second[512];
    for (int e = 0; e < EFFECTS * EFFECTS; e++)
        for (int m = 0; m < 16; m++) {
            int e1 = e / EFFECTS, e2 = e % EFFECTS, m1 = m / 4, m2 = m % 4;
            struct policy_set *set =
                parsed_rules("{\"rules\":[%s,%s]}", rule_text(first, 512, 2, effects[e1], more[m1]),
                             rule_text(second, 512, 9, effects[e2], more[m2]));
            const struct identity who = asker(set);
            const struct object o = thing(&who, 0);
            const struct policy_facts all = {&o, true, true}, few = {&o, false, false};
            int64_t matching[EFFECTS] = {0};
            if (fits[m2])
                matching[e2] = 9;
            if (fits[m1])
                matching[e1] = 2;
            struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
            ck_assert_msg(same_decision(d, weighed(matching)), "%s %s and %s %s", effects[e1], more[m1], effects[e2],
                          more[m2]);
            struct decision early = policy_decide(&who, PERMIT_GET, &few, now_us);
            ck_assert(early.verdict == d.verdict || early.verdict == VERDICT_OPEN);
            policy_drop(set);
        }
}
END_TEST

/* A rule of each effect, each matching, not matching, or with its match not known yet: the decision is open just where
 * what is not known yet can lead to different ones. */
START_TEST(three_rules)
{
    static const char *const more[] = {"\"object_type\":3", "", "\"name_pattern\":\"db-*\"",
                                       "\"name_pattern\":\"dc-*\""};
    enum { NO = 0, YES, OPEN, OPEN_TOO, MATCHES };
    char text[EFFECTS][512];
    for (int m = 0; m < MATCHES * MATCHES * MATCHES; m++) {
        const int match[EFFECTS] = {m % MATCHES, m / MATCHES % MATCHES, m / MATCHES / MATCHES};
        int64_t matching[EFFECTS] = {0};
        for (int e = 0; e < EFFECTS; e++) {
            rule_text(text[e], 512, e + 1, effects[e], more[match[e]]);
            matching[e] = match[e] == YES || match[e] == OPEN ? e + 1 : 0;
        }
        struct policy_set *set = parsed_rules("{\"rules\":[%s,%s,%s]}", text[0], text[1], text[2]);
        const struct identity who = asker(set);
        const struct object o = thing(&who, 0);
        const struct policy_facts all = {&o, true, true}, few = {&o, false, false};
        const struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
        ck_assert_msg(same_decision(d, weighed(matching)), "case %d", m);
        bool depends = false;
        for (unsigned known = 0; known < 1U << EFFECTS; known++) {
            int64_t perhaps[EFFECTS];
            for (int e = 0; e < EFFECTS; e++)
                perhaps[e] = match[e] < OPEN ? matching[e] : known & 1U << e ? e + 1 : 0;
            depends |= !same_decision(d, weighed(perhaps));
        }
        const struct decision early = policy_decide(&who, PERMIT_GET, &few, now_us);
        ck_assert_msg(depends ? early.verdict == VERDICT_OPEN : same_decision(early, d), "case %d early", m);
        policy_drop(set);
    }
}
END_TEST

/* Of two that want approvals the one that wants more decides, of equals the older one; open while one that would come
 * first may match. */
START_TEST(two_approvals)
{
    static const char *const more[] = {"", "\"name_pattern\":\"db-*\",", "\"object_type\":3,"};
    enum { YES, OPEN, NO, MATCHES };
    for (int m = 0; m < MATCHES * MATCHES * 9; m++) {
        const int match[] = {m % MATCHES, m / MATCHES % MATCHES};
        const int64_t wants[] = {1 + m / 9 % 3, 1 + m / 27};
        char first[512], second[512], facts[256];
        snprintf(facts, sizeof facts, "%s\"approvals\":%d", more[match[0]], (int)wants[0]);
        rule_text(first, sizeof first, 2, "approval", facts);
        snprintf(facts, sizeof facts, "%s\"approvals\":%d", more[match[1]], (int)wants[1]);
        rule_text(second, sizeof second, 9, "approval", facts);
        struct policy_set *set = parsed_rules("{\"rules\":[%s,%s,{\"id\":10,\"policy\":\"*\",\"effect\":\"allow\","
                                              "\"permissions\":[\"*\"],\"owner\":\"any\"}]}",
                                              first, second);
        const struct identity who = asker(set);
        const struct object o = thing(&who, 0);
        const struct policy_facts all = {&o, true, true}, few = {&o, false, false};
        const int winner = match[0] == NO ? 1 : match[1] == NO ? 0 : wants[1] > wants[0];
        const struct decision none = {VERDICT_ALLOWED, WHY_RULE, 10, 0},
                              want = {VERDICT_APPROVAL, WHY_RULE, winner ? 9 : 2, wants[winner]};
        const struct decision d = policy_decide(&who, PERMIT_GET, &all, now_us);
        ck_assert_msg(same_decision(d, match[winner] == NO ? none : want), "case %d", m);
        const struct decision early = policy_decide(&who, PERMIT_GET, &few, now_us);
        bool open = match[winner] == OPEN;
        ck_assert_msg(open ? early.verdict == VERDICT_OPEN : same_decision(early, d), "case %d early", m);
        policy_drop(set);
    }
}
END_TEST

START_TEST(other_domain_comes_first)
{
    struct policy_set *set =
        parsed_rules("{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],"
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
            parsed_rules("{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],"
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
        struct policy_set *set = parsed_rules("{\"rules\":[%s]}", rule_text(rule, 512, 1, "allow", more));
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
        struct policy_set *set = parsed_rules("{\"rules\":[%s]}", rule_text(rule, 512, 1, "allow", cases[i].rule));
        const struct identity who = asker(set);
        ck_assert_msg((policy_foresee(&who, PERMIT_CREATE, now_us).verdict == VERDICT_ALLOWED) == cases[i].create, "%s",
                      cases[i].rule);
        ck_assert_msg((policy_foresee(&who, PERMIT_QUERY, now_us).verdict == VERDICT_ALLOWED) == cases[i].query, "%s",
                      cases[i].rule);
        ck_assert_int_eq(policy_foresee(&who, PERMIT_GET, now_us).verdict, VERDICT_ALLOWED); /* decided on its object */
        policy_drop(set);
        if (!cases[i].create)
            continue;
        /* What wants an approval permits nothing. */
        set = parsed_rules("{\"rules\":[%s]}", rule_text(rule, 512, 1, "approval", cases[i].rule));
        const struct identity waiting = asker(set);
        ck_assert_int_eq(policy_foresee(&waiting, PERMIT_CREATE, now_us).why, WHY_NO_RULE);
        policy_drop(set);
        /* Only a denial of all that it could make is certain beforehand. */
        set = parsed_rules(
            "{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],\"owner\":"
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
            parsed_rules("{\"mates\":[\"" MATE "\"],\"rules\":[%s%s%s]}", texts[0], of[1] ? "," : "", texts[1]);
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

Suite *decide_suite(void)
{
    Suite *s = suite_create("decide");
    TCase *t = tcase_create("decide");
    tcase_add_test(t, one_rule);
    tcase_add_test(t, two_rules);
    tcase_add_test(t, three_rules);
    tcase_add_test(t, two_approvals);
    tcase_add_test(t, other_domain_comes_first);
    tcase_add_test(t, damaged_attributes);
    tcase_add_test(t, policy_names);
    tcase_add_test(t, foresight);
    tcase_add_test(t, reach);
    tcase_add_test(t, told_to_auditors);
    suite_add_tcase(s, t);
    return s;
}
