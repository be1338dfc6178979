/* Constraints of policy; see bounds.h. */
#include <jansson.h>
#include <stdlib.h>

#include "server/policy/bounds.h"

#include "proto/kmip/attribute.h"
#include "server/policy/match.h"

enum { DAY_S = 86400 };

/* ---- what is judged ------------------------------------------------------------------------- */

static bool is_set(int64_t number)
{
    return number != POLICY_UNSET;
}

static bool has_number(const struct policy_numbers *list, int64_t number)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == number)
            return true;
    return false;
}

/* A Template is no key: what does not name its type means keys and their like. */
static bool concerns(const struct policy_bound *b, const struct control *c)
{
    return (is_set(b->object_type) ? b->object_type == c->object_type : c->object_type != KMIP_OBJECT_TEMPLATE) &&
           (!is_set(b->algorithm) || b->algorithm == c->algorithm);
}

/* An object without algorithm or length, such as Secret Data, has nothing to be judged there. */
static const char *key_breach(const struct policy_bound *b, const struct control *c)
{
    if (b->algorithms.count && c->algorithm && !has_number(&b->algorithms, c->algorithm))
        return "the algorithm";
    if (c->length && ((is_set(b->least_length) && c->length < b->least_length) ||
                      (is_set(b->most_length) && c->length > b->most_length)))
        return "the length";
    if (b->protections.count && !has_number(&b->protections, (int64_t)c->protection))
        return "the protection level";
    return NULL;
}

static const char *mask_breach(const struct policy_bound *b, const struct control *c)
{
    if (is_set(b->permitted_mask) && ((int64_t)c->usage_mask & ~b->permitted_mask) != 0)
        return "a use that is not permitted";
    if (is_set(b->required_mask) && ((int64_t)c->usage_mask & b->required_mask) != b->required_mask)
        return "a use that is required";
    return NULL;
}

/* From when to when; an object that is not active yet is as old as it is. */
static const char *life_breach(const struct policy_bound *b, const struct control *c)
{
    if (!is_set(b->most_life_days))
        return NULL;
    if (c->deactivation_date == NO_DATE)
        return "the Deactivation Date, which must be given";
    int64_t begins = c->activation_date != NO_DATE ? c->activation_date : c->initial_date;
    int64_t life = 0;
    if (__builtin_sub_overflow(c->deactivation_date, begins, &life) ||
        life / DAY_S > b->most_life_days || (life / DAY_S == b->most_life_days && life % DAY_S > 0))
        return "the length of its life";
    return NULL;
}

static bool has_name(const struct object *o, struct bytes name)
{
    for (size_t i = 0; o && i < o->name_count; i++)
        if (bytes_equal(o->names[i].value, name))
            return true;
    return false;
}

/* Names that the object had before stay. */
static const char *names_breach(const struct policy_bound *b, const struct bounds_change *change)
{
    const struct object *o = change->after;
    for (size_t i = 0; b->name_pattern.data && i < o->name_count; i++)
        if (!match_pattern(b->name_pattern, o->names[i].value) && !has_name(change->before, o->names[i].value))
            return "a name";
    return NULL;
}

/* Since when the object is out of use, NO_DATE while it is in use. */
static int64_t unused_since(const struct control *c, int64_t now)
{
    switch (control_effective_state(c, now)) {
    case STATE_PRE_ACTIVE:
        return c->initial_date;
    case STATE_DEACTIVATED:
        return c->deactivation_date;
    case STATE_COMPROMISED:
        return c->deactivation_date != NO_DATE && c->deactivation_date < c->compromise_date
                   ? c->deactivation_date
                   : c->compromise_date;
    default:
        return NO_DATE;
    }
}

static const char *destroy_breach(const struct policy_bound *b, const struct control *before,
                                  int64_t now)
{
    int64_t since = unused_since(before, now), passed = 0;
    if (!is_set(b->destroy_after_days) || since == NO_DATE)
        return NULL; /* one that is in use is refused by its state */
    if (__builtin_sub_overflow(now, since, &passed) || passed / DAY_S < b->destroy_after_days)
        return "the days between its last use and its destruction";
    return NULL;
}

/*
 * The wait before a destruction begins when the object goes out of use: now at the earliest, whatever date its client
 * would have. What is made may bring its past along.
 */
static const char *backdated_breach(const struct policy_bound *b, const struct control *before,
                                    const struct control *after, int64_t now)
{
    bool moved = before && before->deactivation_date != after->deactivation_date;
    return is_set(b->destroy_after_days) && moved && after->deactivation_date != NO_DATE &&
                   after->deactivation_date < now
               ? "a Deactivation Date that is past"
               : NULL;
}

/* ---- mandatory attributes ------------------------------------------------------------------- */

/* What the control record has, by the names that attributes have in JSON. */
static bool control_has(const struct control *c, struct bytes name, bool *known)
{
    const struct {
        const char *name;
        bool given;
    } fields[] = {
        {"CryptographicAlgorithm", c->algorithm != 0},
        {"CryptographicLength", c->length != 0},
        {"CryptographicUsageMask", c->usage_mask != 0},
        {"ActivationDate", c->activation_date != NO_DATE},
        {"ProcessStartDate", c->process_start_date != NO_DATE},
        {"ProtectStopDate", c->protect_stop_date != NO_DATE},
        {"DeactivationDate", c->deactivation_date != NO_DATE},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (bytes_equal(name, bytes_str(fields[i].name))) {
            *known = true;
            return fields[i].given;
        }
    return false;
}

/* "Contact Information" as it stands in JSON; names of clients' own attributes stay as they are. */
static struct bytes json_name(struct bytes name, char *room, size_t most)
{
    if (name.len > most || (name.len > 1 && name.data[1] == '-'))
        return name;
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] != ' ')
            room[len++] = (char)name.data[i];
    return bytes_of(room, len);
}

static bool is_given(const struct object *o, const json_t *attributes, struct bytes wanted)
{
    char room[256];
    bool known = false;
    struct bytes name = json_name(wanted, room, sizeof room);
    if (bytes_equal(name, bytes_str("Name")))
        return o->name_count > 0;
    bool given = control_has(&o->control, name, &known);
    return known ? given : json_object_getn(attributes, (const char *)name.data, name.len) != NULL;
}

static rc_t attributes_of(const struct object *o, json_t **out)
{
    *out = !o || o->attributes.len == 0 ? json_object()
                                        : json_loadb((const char *)o->attributes.data, o->attributes.len, 0, NULL);
    return *out ? RC_OK : RC_INTEGRITY;
}

/* Of a change: only what it takes away. An object that never had it can still be worked with. */
static rc_t mandatory_breach(const struct policy_bound *b, const struct bounds_change *change, const char **what)
{
    json_t *had = NULL, *has = NULL;
    if (b->mandatory.count == 0)
        return RC_OK;
    rc_t rc = attributes_of(change->before, &had);
    if (rc == RC_OK)
        rc = attributes_of(change->after, &has);
    for (size_t i = 0; rc == RC_OK && i < b->mandatory.count && !*what; i++) {
        struct bytes name = b->mandatory.items[i];
        if (!is_given(change->after, has, name) && (!change->before || is_given(change->before, had, name)))
            *what = "an attribute that must be given";
    }
    json_decref(had);
    json_decref(has);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool dates_moved(const struct control *a, const struct control *b)
{
    return a->activation_date != b->activation_date || a->deactivation_date != b->deactivation_date;
}

/* Whoever revokes a key ends its life earlier: no bound is against that. */
static bool ends_earlier(const struct control *before, const struct control *after)
{
    return after->state >= STATE_DEACTIVATED && before->state < STATE_DEACTIVATED;
}

static rc_t breach_of(const struct policy_bound *b, const struct bounds_change *change, int64_t now,
                      const char **what)
{
    const struct object *before = change->before, *after = change->after;
    *what = NULL;
    if (change->destroyed) {
        *what = before ? destroy_breach(b, &before->control, now) : NULL;
        return RC_OK;
    }
    if (!before)
        *what = key_breach(b, &after->control);
    if (!*what && (!before || before->control.usage_mask != after->control.usage_mask))
        *what = mask_breach(b, &after->control);
    if (!*what && (!before || (dates_moved(&before->control, &after->control) &&
                               !ends_earlier(&before->control, &after->control))))
        *what = life_breach(b, &after->control);
    if (!*what)
        *what = backdated_breach(b, before ? &before->control : NULL, &after->control, now);
    if (!*what && (!before || change->names))
        *what = names_breach(b, change);
    bool attributes = !before || change->names || after->attributes.len; /* empty: they stay as they were */
    return *what || change->unfinished || !attributes ? RC_OK : mandatory_breach(b, change, what);
}

rc_t bounds_check(const struct policy_set *set, const struct bounds_change *change, int64_t now,
                  struct bounds_breach *out)
{
    for (size_t i = 0; set && i < set->bound_count; i++) {
        const struct policy_bound *b = &set->bounds[i];
        if (!concerns(b, &change->after->control))
            continue;
        TRY(breach_of(b, change, now, &out->what));
        out->bound = b->id;
        if (out->what)
            return RC_CONSTRAINT;
    }
    return RC_OK;
}

int64_t bounds_most_objects(const struct policy_set *set, int64_t *bound)
{
    int64_t least = POLICY_UNSET;
    for (size_t i = 0; set && i < set->bound_count; i++) {
        int64_t most = set->bounds[i].most_objects;
        if (!is_set(most) || (is_set(least) && most >= least))
            continue;
        least = most;
        if (bound)
            *bound = set->bounds[i].id;
    }
    return least;
}

int64_t bounds_requests_per_second(const struct policy_set *set)
{
    int64_t least = POLICY_UNSET;
    for (size_t i = 0; set && i < set->bound_count; i++) {
        int64_t most = set->bounds[i].requests_per_second;
        if (is_set(most) && (!is_set(least) || most < least))
            least = most;
    }
    return least;
}
