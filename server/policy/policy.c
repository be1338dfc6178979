/* The decision and its table; see policy.h. */
#include "server/policy/policy.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "server/policy/match.h"
#include "server/policy/rules.h"

static const struct {
    const char *text, *of_class;
    bool needs_object;
} permissions[PERMISSION_COUNT] = {
#define PERMISSION_ROW(name, text, of_class, object) [name] = {text, of_class, object},
    PERMISSION_TABLE(PERMISSION_ROW)
#undef PERMISSION_ROW
};

const char *permission_text(enum permission p)
{
    return (unsigned)p < PERMISSION_COUNT ? permissions[p].text : "unknown";
}

const char *permission_class(enum permission p)
{
    return (unsigned)p < PERMISSION_COUNT ? permissions[p].of_class : "unknown";
}

bool permission_needs_object(enum permission p)
{
    return (unsigned)p < PERMISSION_COUNT && permissions[p].needs_object;
}

/* ---- rules and objects ---------------------------------------------------------------------- */

enum match { MATCH_NO = 0, MATCH_YES, MATCH_OPEN };

/* One decision on its way. */
struct looking {
    const struct identity *who;
    const struct policy_facts *facts;
    json_t *attributes; /* parsed when first looked at */
    bool damaged;
};

static bool is_about(const struct policy_rule *r, enum permission p, int64_t now_us)
{
    return r->permissions & UINT64_C(1) << p && r->valid_from <= now_us && now_us < r->valid_until;
}

static unsigned rule_needs(const struct policy_rule *r)
{
    unsigned needs = r->name_pattern.data ? NEEDS_NAMES : 0;
    if (r->policy.data || r->object_group.data || r->attribute_name.data)
        needs |= NEEDS_ATTRIBUTES;
    return needs;
}

static bool is_mate(const struct identity *who, const struct uid *owner)
{
    const struct policy_set *set = who->policy;
    for (size_t i = 0; i < set->mate_count; i++)
        if (uid_equal(&set->mates[i], owner))
            return true;
    return false;
}

/* By the control record alone. */
static bool control_fits(const struct identity *who, const struct policy_rule *r, const struct control *c)
{
    if (!uid_is_nil(&r->object) && !uid_equal(&r->object, &c->uid))
        return false;
    if (r->object_type != POLICY_UNSET && r->object_type != (int64_t)c->object_type)
        return false;
    return r->owner == OWNER_ANY || uid_equal(&c->owner, &who->client) ||
           (r->owner == OWNER_GROUP && is_mate(who, &c->owner));
}

static const json_t *attributes_of(struct looking *l)
{
    struct bytes text = l->facts->object->attributes;
    if (l->attributes || l->damaged)
        return l->attributes;
    l->attributes = text.len ? json_loadb((const char *)text.data, text.len, 0, NULL) : json_object();
    l->damaged = !json_is_object(l->attributes);
    return l->attributes;
}

/* "default" is also the policy of objects that name none. */
static bool policy_fits(const struct policy_rule *r, const json_t *attributes)
{
    static const char name[] = "OperationPolicyName";
    if (!json_object_get(attributes, name))
        return bytes_is(r->policy, "default");
    return match_attribute(attributes, bytes_str(name), r->policy);
}

static bool names_fit(const struct policy_rule *r, const struct object *o)
{
    for (size_t i = 0; i < o->name_count; i++)
        if (match_pattern(r->name_pattern, o->names[i].value))
            return true;
    return false;
}

static bool attributes_fit(struct looking *l, const struct policy_rule *r)
{
    const json_t *attributes = attributes_of(l);
    return !l->damaged && (!r->policy.data || policy_fits(r, attributes)) &&
           (!r->object_group.data || match_attribute(attributes, bytes_str("ObjectGroup"), r->object_group)) &&
           (!r->attribute_name.data || match_attribute(attributes, r->attribute_name, r->attribute_value));
}

static enum match match_rule(struct looking *l, const struct policy_rule *r)
{
    const struct policy_facts *f = l->facts;
    unsigned needs = rule_needs(r);
    if (!control_fits(l->who, r, &f->object->control))
        return MATCH_NO;
    bool names = needs & NEEDS_NAMES, attributes = needs & NEEDS_ATTRIBUTES, open = false;
    if (names && f->names && !names_fit(r, f->object))
        return MATCH_NO;
    if (attributes && f->attributes && !attributes_fit(l, r))
        return MATCH_NO;
    open = (names && !f->names) || (attributes && !f->attributes);
    return open ? MATCH_OPEN : MATCH_YES;
}

/* ---- the decision --------------------------------------------------------------------------- */

/* By effect: the rule that matches and decides, and the one that would of those that may match, which cannot be told yet. */
struct outcome {
    const struct policy_rule *rule[RULE_EFFECTS];
    const struct policy_rule *open[RULE_EFFECTS];
};

/* Whether a decides where both match: of two that want approvals the one that wants more, else the older one. */
static bool comes_before(const struct policy_rule *a, const struct policy_rule *b)
{
    return !b || a->approvals > b->approvals || (a->approvals == b->approvals && a->id < b->id);
}

static struct decision by_rule(enum verdict verdict, const struct policy_rule *r)
{
    return (struct decision){verdict, WHY_RULE, r->id, verdict == VERDICT_APPROVAL ? r->approvals : 0};
}

/* A rule that wants an approval holds back what another one allows: by itself it permits nothing. */
static struct decision weigh(const struct outcome *o)
{
    static const struct decision open = {.verdict = VERDICT_OPEN};
    const struct policy_rule *allow = o->rule[RULE_ALLOW], *approval = o->rule[RULE_APPROVAL],
                             *deny = o->rule[RULE_DENY];
    if (deny)
        return by_rule(VERDICT_REFUSED, deny);
    if (o->open[RULE_DENY] || (!allow && o->open[RULE_ALLOW]))
        return open;
    if (!allow)
        return (struct decision){VERDICT_REFUSED, WHY_NO_RULE, 0, 0};
    if (o->open[RULE_APPROVAL] && comes_before(o->open[RULE_APPROVAL], approval))
        return open;
    return approval ? by_rule(VERDICT_APPROVAL, approval) : by_rule(VERDICT_ALLOWED, allow);
}

static struct decision decide(struct looking *l, enum permission p, int64_t now_us)
{
    const struct policy_set *set = l->who->policy;
    struct outcome outcome = {0};
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct policy_rule *r = &set->rules[i];
        if (!comes_before(r, outcome.rule[r->effect]) || !is_about(r, p, now_us))
            continue;
        enum match m = match_rule(l, r);
        if (m == MATCH_YES)
            outcome.rule[r->effect] = r;
        else if (m == MATCH_OPEN && comes_before(r, outcome.open[r->effect]))
            outcome.open[r->effect] = r;
    }
    /* A denial might hide in what cannot be read. */
    return l->damaged ? (struct decision){VERDICT_REFUSED, WHY_DAMAGED, 0, 0} : weigh(&outcome);
}

static bool is_somebody(const struct identity *who, enum permission p)
{
    return (unsigned)p < PERMISSION_COUNT && p != PERMIT_NONE && who->policy && !uid_is_nil(&who->client);
}

struct decision policy_decide(const struct identity *who, enum permission p, const struct policy_facts *facts,
                              int64_t now_us)
{
    const struct object *object = facts->object;
    if (!is_somebody(who, p) || (!object && permission_needs_object(p)))
        return (struct decision){.verdict = VERDICT_REFUSED};
    const struct object own = {.control = {.owner = who->client, .domain = who->domain}};
    const struct policy_facts nothing = {&own, true, true};
    if (object && object->control.domain != who->domain)
        return (struct decision){VERDICT_REFUSED, WHY_DOMAIN, 0, 0};
    struct looking l = {.who = who, .facts = object ? facts : &nothing};
    struct decision d = decide(&l, p, now_us);
    json_decref(l.attributes);
    return d;
}

/* Whether the rule matches whatever the client owns. */
static bool matches_all_own(const struct policy_rule *r)
{
    return rule_needs(r) == 0 && uid_is_nil(&r->object) && r->object_type == POLICY_UNSET;
}

struct decision policy_foresee(const struct identity *who, enum permission p, int64_t now_us)
{
    static const struct policy_facts nothing = {NULL, true, true};
    struct decision d = {VERDICT_REFUSED, WHY_NO_RULE, 0, 0};
    if (!is_somebody(who, p))
        return (struct decision){.verdict = VERDICT_REFUSED};
    if (permissions[p].needs_object)
        return (struct decision){.verdict = VERDICT_ALLOWED};
    if (strcmp(permissions[p].of_class, "make") != 0)
        return policy_decide(who, p, &nothing, now_us);
    for (size_t i = 0; i < who->policy->rule_count; i++) {
        const struct policy_rule *r = &who->policy->rules[i];
        if (!is_about(r, p, now_us))
            continue;
        if (r->effect == RULE_DENY && matches_all_own(r))
            return by_rule(VERDICT_REFUSED, r);
        if (r->effect == RULE_ALLOW)
            d = by_rule(VERDICT_ALLOWED, r);
    }
    return d;
}

void decision_print(const struct decision *d, char *out, size_t room)
{
    const char *text = d->why == WHY_NO_RULE   ? "no rule permits"
                       : d->why == WHY_DOMAIN  ? "the object is of another domain"
                       : d->why == WHY_DAMAGED ? "the object's attributes cannot be read"
                                               : "";
    if (d->why == WHY_RULE && d->verdict == VERDICT_REFUSED)
        snprintf(out, room, "denied by rule %" PRId64, d->rule);
    else if (d->why == WHY_RULE && d->verdict == VERDICT_APPROVAL)
        snprintf(out, room, "rule %" PRId64 " needs %" PRId64 " approval%s", d->rule, d->approvals,
                 d->approvals == 1 ? "" : "s");
    else
        snprintf(out, room, "%s", text);
}

/* ---- what has to be loaded ------------------------------------------------------------------ */

static unsigned needs_of(const struct identity *who, enum permission p, int64_t now_us, enum rule_effect from)
{
    unsigned needs = 0;
    for (size_t i = 0; who->policy && i < who->policy->rule_count; i++) {
        const struct policy_rule *r = &who->policy->rules[i];
        if (r->effect >= from && is_about(r, p, now_us))
            needs |= rule_needs(r);
    }
    return needs;
}

unsigned policy_needs(const struct identity *who, enum permission p, int64_t now_us)
{
    return needs_of(who, p, now_us, RULE_ALLOW);
}

unsigned policy_guards(const struct identity *who, enum permission p, int64_t now_us)
{
    return needs_of(who, p, now_us, RULE_APPROVAL);
}

/* What one permitting rule adds to the reach. */
static void reach_by(const struct policy_rule *r, struct policy_reach *out)
{
    if (r->owner == OWNER_GROUP)
        out->mates = true;
    else if (r->owner == OWNER_ANY && (!r->policy.data || bytes_is(r->policy, "default")))
        out->everyone = true;
    else if (r->owner == OWNER_ANY)
        out->policies[out->policy_count++] = r->policy;
}

rc_t policy_reach(struct arena *a, const struct identity *who, enum permission p, int64_t now_us,
                  struct policy_reach *out)
{
    const struct policy_set *set = who->policy;
    size_t count = set ? set->rule_count : 0;
    bool guarded = false, all[3] = {false}; /* by owner: a rule that permits all of theirs */
    *out = (struct policy_reach){.policies = ARENA_ARRAY(a, count + 1, struct bytes)};
    if (!out->policies)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct policy_rule *r = &set->rules[i];
        if (!is_about(r, p, now_us))
            continue;
        guarded |= r->effect != RULE_ALLOW;
        if (r->effect != RULE_ALLOW)
            continue;
        reach_by(r, out);
        all[r->owner] |= matches_all_own(r);
    }
    out->mates &= set && set->mate_count > 0;
    all[OWNER_GROUP] |= all[OWNER_ANY];
    all[OWNER_SELF] |= all[OWNER_GROUP];
    out->certain_own = !guarded && all[OWNER_SELF];
    out->certain = !guarded && all[out->everyone ? OWNER_ANY : out->mates ? OWNER_GROUP : OWNER_SELF];
    return RC_OK;
}
