/* The set of one client, out of JSON; see rules.h. */
#include "server/policy/rules.h"

#include <jansson.h>
#include <stdlib.h>

/* What a set may take: a text of the length that a login takes, many times over. */
enum { SET_MEMORY = 64 << 20 };

/* ---- values; what is not there leaves *out alone ------------------------------------------- */

static rc_t take_number(const json_t *from, const char *name, int64_t *out)
{
    const json_t *j = json_object_get(from, name);
    if (j && !json_is_integer(j))
        return RC_INTEGRITY;
    if (j)
        *out = json_integer_value(j);
    return RC_OK;
}

static rc_t copy_text(struct arena *a, const json_t *j, struct bytes *out)
{
    if (!json_is_string(j))
        return RC_INTEGRITY;
    *out = arena_copy(a, bytes_of(json_string_value(j), json_string_length(j)));
    if (!out->data && out->len == 0)
        out->data = (const uint8_t *)""; /* set, and empty */
    return out->data ? RC_OK : RC_NO_MEMORY;
}

static rc_t take_text(struct arena *a, const json_t *from, const char *name, struct bytes *out)
{
    const json_t *j = json_object_get(from, name);
    return j ? copy_text(a, j, out) : RC_OK;
}

/* A uuid of another form than PostgreSQL's is no uuid. */
static rc_t take_uid(const json_t *j, struct uid *out)
{
    return json_is_string(j) ? uid_parse(bytes_str(json_string_value(j)), out) : RC_INTEGRITY;
}

/* The list of this name, NULL if there is none. */
static rc_t list_of(const json_t *from, const char *name, const json_t **out, size_t *count)
{
    *out = json_object_get(from, name);
    *count = json_array_size(*out); /* of what is no array 0 */
    return !*out || json_is_array(*out) ? RC_OK : RC_INTEGRITY;
}

static rc_t take_texts(struct arena *a, const json_t *from, const char *name, struct policy_texts *out)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, name, &list, &count));
    out->items = ARENA_ARRAY(a, count + 1, struct bytes);
    if (!out->items)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        TRY(copy_text(a, json_array_get(list, i), &out->items[out->count++]));
    return RC_OK;
}

static rc_t take_numbers(struct arena *a, const json_t *from, const char *name, struct policy_numbers *out)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, name, &list, &count));
    out->items = ARENA_ARRAY(a, count + 1, int64_t);
    if (!out->items)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const json_t *j = json_array_get(list, i);
        if (!json_is_integer(j))
            return RC_INTEGRITY;
        out->items[out->count++] = json_integer_value(j);
    }
    return RC_OK;
}

/* The place in the table of a text that must be in it. */
static rc_t take_choice(const json_t *from, const char *name, const char *const *choices, size_t count, unsigned *out)
{
    const char *text = json_string_value(json_object_get(from, name));
    for (size_t i = 0; text && i < count; i++)
        if (strcmp(text, choices[i]) == 0) {
            *out = (unsigned)i;
            return RC_OK;
        }
    return RC_INTEGRITY;
}

/* ---- rules ---------------------------------------------------------------------------------- */

/* The permissions that a rule means by this word; none for what this server does not have. */
static uint64_t permissions_of(const char *word)
{
    _Static_assert(PERMISSION_COUNT <= 64, "a rule keeps permissions as bits");
    uint64_t bits = 0;
    for (unsigned p = PERMIT_NONE + 1; p < PERMISSION_COUNT; p++)
        if (strcmp(word, "*") == 0 || strcmp(word, permission_text(p)) == 0 ||
            (word[0] == '@' && strcmp(word + 1, permission_class(p)) == 0))
            bits |= UINT64_C(1) << p;
    return bits;
}

static rc_t take_permissions(const json_t *from, uint64_t *out)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, "permissions", &list, &count));
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word)
            return RC_INTEGRITY;
        *out |= permissions_of(word);
    }
    return count ? RC_OK : RC_INTEGRITY;
}

static rc_t take_selectors(struct arena *a, const json_t *from, struct policy_rule *r)
{
    const json_t *object = json_object_get(from, "object");
    if (object && (take_uid(object, &r->object) != RC_OK || uid_is_nil(&r->object)))
        return RC_INTEGRITY;
    TRY(take_number(from, "object_type", &r->object_type));
    TRY(take_text(a, from, "object_group", &r->object_group));
    TRY(take_text(a, from, "name_pattern", &r->name_pattern));
    TRY(take_text(a, from, "attribute_name", &r->attribute_name));
    TRY(take_text(a, from, "attribute_value", &r->attribute_value));
    return !r->attribute_name.data == !r->attribute_value.data ? RC_OK : RC_INTEGRITY;
}

static rc_t take_rule(struct arena *a, const json_t *from, struct policy_rule *r)
{
    static const char *const effects[] = {"allow", "approval", "deny"}, *const owners[] = {"self", "group", "any"};
    unsigned effect, owner;
    *r = (struct policy_rule){.id = POLICY_UNSET,
                              .object_type = POLICY_UNSET,
                              .valid_from = INT64_MIN,
                              .valid_until = INT64_MAX,
                              .approvals = 1};
    TRY(take_choice(from, "effect", effects, RULE_EFFECTS, &effect));
    TRY(take_choice(from, "owner", owners, 3, &owner));
    r->effect = (enum rule_effect)effect;
    r->owner = (enum rule_owner)owner;
    TRY(take_number(from, "id", &r->id));
    TRY(take_permissions(from, &r->permissions));
    TRY(take_text(a, from, "policy", &r->policy));
    if (bytes_is(r->policy, "*"))
        r->policy = BYTES_NONE;
    TRY(take_selectors(a, from, r));
    TRY(take_number(from, "valid_from", &r->valid_from));
    TRY(take_number(from, "valid_until", &r->valid_until));
    TRY(take_number(from, "approvals", &r->approvals));
    return r->id != POLICY_UNSET && r->approvals >= 1 ? RC_OK : RC_INTEGRITY;
}

static rc_t take_rules(const json_t *from, struct policy_set *set)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, "rules", &list, &count));
    set->rules = ARENA_ARRAY(&set->memory, count + 1, struct policy_rule);
    if (!set->rules)
        return RC_NO_MEMORY;
    for (; set->rule_count < count; set->rule_count++) {
        struct policy_rule *r = &set->rules[set->rule_count];
        TRY(take_rule(&set->memory, json_array_get(list, set->rule_count), r));
        if (set->rule_count > 0 && r[-1].id >= r->id)
            return RC_INTEGRITY; /* the first that matches is the least */
    }
    return RC_OK;
}

/* ---- bounds, defaults ----------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset;
} bound_numbers[] = {
    {"id", offsetof(struct policy_bound, id)},
    {"object_type", offsetof(struct policy_bound, object_type)},
    {"algorithm", offsetof(struct policy_bound, algorithm)},
    {"least_length", offsetof(struct policy_bound, least_length)},
    {"most_length", offsetof(struct policy_bound, most_length)},
    {"permitted_mask", offsetof(struct policy_bound, permitted_mask)},
    {"required_mask", offsetof(struct policy_bound, required_mask)},
    {"most_life_days", offsetof(struct policy_bound, most_life_days)},
    {"destroy_after_days", offsetof(struct policy_bound, destroy_after_days)},
    {"most_objects", offsetof(struct policy_bound, most_objects)},
    {"requests_per_second", offsetof(struct policy_bound, requests_per_second)},
};

static rc_t take_bound(struct arena *a, const json_t *from, struct policy_bound *b)
{
    for (size_t i = 0; i < sizeof bound_numbers / sizeof *bound_numbers; i++) {
        int64_t *field = (int64_t *)(void *)((uint8_t *)b + bound_numbers[i].offset);
        *field = POLICY_UNSET;
        TRY(take_number(from, bound_numbers[i].name, field));
    }
    TRY(take_numbers(a, from, "algorithms", &b->algorithms));
    TRY(take_numbers(a, from, "protections", &b->protections));
    TRY(take_texts(a, from, "mandatory", &b->mandatory));
    TRY(take_text(a, from, "name_pattern", &b->name_pattern));
    return b->id != POLICY_UNSET ? RC_OK : RC_INTEGRITY;
}

static rc_t take_bounds(const json_t *from, struct policy_set *set)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, "bounds", &list, &count));
    set->bounds = ARENA_ARRAY(&set->memory, count + 1, struct policy_bound);
    if (!set->bounds)
        return RC_NO_MEMORY;
    for (; set->bound_count < count; set->bound_count++)
        TRY(take_bound(&set->memory, json_array_get(list, set->bound_count), &set->bounds[set->bound_count]));
    return RC_OK;
}

static rc_t take_default(struct arena *a, const json_t *from, struct policy_default *d)
{
    const json_t *attributes = json_object_get(from, "attributes");
    d->object_type = POLICY_UNSET;
    TRY(take_number(from, "object_type", &d->object_type));
    if (d->object_type == POLICY_UNSET || !json_is_object(attributes))
        return RC_INTEGRITY;
    char *text = json_dumps(attributes, JSON_COMPACT);
    d->attributes = text ? arena_copy(a, bytes_str(text)) : BYTES_NONE;
    free(text);
    return d->attributes.data ? RC_OK : RC_NO_MEMORY;
}

static rc_t take_defaults(const json_t *from, struct policy_set *set)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, "defaults", &list, &count));
    set->defaults = ARENA_ARRAY(&set->memory, count + 1, struct policy_default);
    if (!set->defaults)
        return RC_NO_MEMORY;
    for (; set->default_count < count; set->default_count++)
        TRY(take_default(&set->memory, json_array_get(list, set->default_count), &set->defaults[set->default_count]));
    return RC_OK;
}

/* ---- the set -------------------------------------------------------------------------------- */

static rc_t take_mates(const json_t *from, struct policy_set *set)
{
    const json_t *list;
    size_t count;
    TRY(list_of(from, "mates", &list, &count));
    set->mates = ARENA_ARRAY(&set->memory, count + 1, struct uid);
    if (!set->mates)
        return RC_NO_MEMORY;
    for (; set->mate_count < count; set->mate_count++)
        if (take_uid(json_array_get(list, set->mate_count), &set->mates[set->mate_count]) != RC_OK)
            return RC_INTEGRITY;
    return RC_OK;
}

static rc_t take_all(const json_t *from, struct policy_set *set)
{
    const json_t *second = json_object_get(from, "second_factor");
    if (!json_is_object(from) || (second && !json_is_boolean(second)))
        return RC_INTEGRITY;
    set->second_factor = json_is_true(second);
    set->max_objects = POLICY_UNSET;
    TRY(take_number(from, "max_objects", &set->max_objects));
    TRY(take_texts(&set->memory, from, "quirks", &set->quirks));
    TRY(take_mates(from, set));
    TRY(take_rules(from, set));
    TRY(take_bounds(from, set));
    return take_defaults(from, set);
}

rc_t policy_parse(struct bytes json, struct policy_set **out)
{
    json_error_t why;
    json_t *all = json_loadb((const char *)json.data, json.len, 0, &why);
    if (!all)
        return json_error_code(&why) == json_error_out_of_memory ? RC_NO_MEMORY : RC_INTEGRITY;
    struct policy_set *set = calloc(1, sizeof *set);
    rc_t rc = set ? RC_OK : RC_NO_MEMORY;
    if (set) {
        set->refs = 1;
        set->memory = ARENA_OF(SET_MEMORY);
        rc = take_all(all, set);
    }
    json_decref(all);
    if (rc != RC_OK)
        policy_drop(set);
    else
        *out = set;
    return rc;
}

struct policy_set *policy_hold(struct policy_set *set)
{
    if (set)
        set->refs++;
    return set;
}

void policy_drop(struct policy_set *set)
{
    if (!set || --set->refs)
        return;
    arena_free(&set->memory);
    free(set);
}

bool policy_has_quirk(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; set && i < set->quirks.count; i++)
        if (bytes_is(set->quirks.items[i], name))
            return true;
    return false;
}
