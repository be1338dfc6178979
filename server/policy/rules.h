/*
 * All that decides about one client, as policy.for_client() (0023_compiled.sql) tells it: parsed once for a login,
 * read-only afterwards, shared by count. The database may hold anything: what cannot be understood is refused as a
 * whole, so that no denial is overlooked; what only names something newer (a permission, a member) is passed over.
 */
#ifndef SERVER_POLICY_RULES_H
#define SERVER_POLICY_RULES_H

#include "server/policy/policy.h"

/* A number that is not set. */
#define POLICY_UNSET INT64_MIN

enum rule_effect { RULE_ALLOW = 0, RULE_APPROVAL, RULE_DENY, RULE_EFFECTS };
enum rule_owner { OWNER_SELF = 0, OWNER_GROUP, OWNER_ANY };

struct policy_texts {
    size_t count;
    struct bytes *items;
};

struct policy_numbers {
    size_t count;
    int64_t *items;
};

/* policy.rule, its subject resolved. Texts without data are not set. */
struct policy_rule {
    int64_t id;
    enum rule_effect effect;
    uint64_t permissions; /* bit n: enum permission n */
    struct bytes policy;  /* no data: objects of whatever policy */
    enum rule_owner owner;
    struct uid object;   /* nil: not set */
    int64_t object_type; /* POLICY_UNSET */
    struct bytes object_group, name_pattern, attribute_name, attribute_value;
    int64_t valid_from, valid_until; /* microseconds; INT64_MIN and INT64_MAX where not set */
    int64_t approvals;               /* RULE_APPROVAL: at least 1 */
};

/* policy.bound; numbers POLICY_UNSET, lists empty where not set. */
struct policy_bound {
    int64_t id;
    int64_t object_type, algorithm;
    struct policy_numbers algorithms;
    int64_t least_length, most_length;     /* bits */
    int64_t permitted_mask, required_mask; /* KMIP Cryptographic Usage Mask */
    struct policy_numbers protections;     /* enum protection */
    struct policy_texts mandatory;         /* KMIP names of attributes */
    int64_t most_life_days;
    struct bytes name_pattern;
    int64_t destroy_after_days;
    int64_t most_objects;
    int64_t requests_per_second;
};

/* policy.object_default */
struct policy_default {
    int64_t object_type;
    struct bytes attributes; /* JSON object, as in kmip.object.attributes */
};

struct policy_set {
    unsigned refs;
    struct arena memory; /* of all below */
    size_t mate_count;
    struct uid *mates; /* clients that share a group with this one */
    size_t rule_count;
    struct policy_rule *rules; /* in order of id */
    size_t bound_count;
    struct policy_bound *bounds;
    size_t default_count;
    struct policy_default *defaults;
    int64_t max_objects; /* of the domain; POLICY_UNSET: any number */
    bool second_factor;
    struct policy_texts quirks;
};

/* A set with one reference out of the JSON text; nothing of the text is kept. RC_INTEGRITY: it is not what
 * policy.for_client() can have said; RC_NO_MEMORY. */
rc_t policy_parse(struct bytes json, struct policy_set **out);
/* One more reference. NULL is fine. */
struct policy_set *policy_hold(struct policy_set *set);
/* Drops one reference; the last one frees. NULL is fine. */
void policy_drop(struct policy_set *set);
/* Whether the client has this quirk. set may be NULL. */
bool policy_has_quirk(const struct policy_set *set, const char *name);

#endif
