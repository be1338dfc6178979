/* Rules over control records; see rules.h. No key, no clock of its own, no memory. */
#include "server/vault/rules.h"

#include "server/vault/material.h"

enum { REASON_KEY_COMPROMISE = 2, REASON_CA_COMPROMISE = 3 };

#define TO(state) (1u << STATE_##state)

/* The diagram of KMIP 2.1, 4.57, between effective states; staying is always possible. */
static const unsigned next_states[] = {
    [STATE_PRE_ACTIVE] = TO(ACTIVE) | TO(COMPROMISED) | TO(DESTROYED),
    [STATE_ACTIVE] = TO(DEACTIVATED) | TO(COMPROMISED),
    [STATE_DEACTIVATED] = TO(COMPROMISED) | TO(DESTROYED),
    [STATE_COMPROMISED] = TO(DESTROYED_COMPROMISED),
    [STATE_DESTROYED] = TO(DESTROYED_COMPROMISED),
    [STATE_DESTROYED_COMPROMISED] = 0,
};

static bool follows(uint32_t from, uint32_t to)
{
    return (next_states[from] & 1u << to) != 0;
}

static bool is_compromised(uint32_t state)
{
    return state == STATE_COMPROMISED || state == STATE_DESTROYED_COMPROMISED;
}

static bool is_destroyed(uint32_t state)
{
    return state == STATE_DESTROYED || state == STATE_DESTROYED_COMPROMISED;
}

static bool names_compromise(uint32_t reason)
{
    return reason == REASON_KEY_COMPROMISE || reason == REASON_CA_COMPROMISE;
}

/* Set, and not in the future. */
static bool has_come(int64_t date, int64_t now)
{
    return date != NO_DATE && date <= now + RULES_SKEW_S;
}

/* The stored state says no more than the dates allow. */
static bool state_has_its_date(const struct control *c, int64_t now)
{
    switch (c->state) {
    case STATE_ACTIVE:
        return has_come(c->activation_date, now);
    case STATE_DEACTIVATED:
        return has_come(c->deactivation_date, now);
    case STATE_COMPROMISED:
        return has_come(c->compromise_date, now);
    case STATE_DESTROYED:
        return has_come(c->destroy_date, now);
    case STATE_DESTROYED_COMPROMISED:
        return has_come(c->destroy_date, now) && has_come(c->compromise_date, now);
    default:
        return true;
    }
}

static bool dates_in_order(const struct control *c)
{
    return c->activation_date == NO_DATE || c->deactivation_date == NO_DATE ||
           c->activation_date <= c->deactivation_date;
}

rc_t rules_new(const struct control *c, int64_t now)
{
    if (c->protection != PROTECTION_TPM_ROOTED)
        return RC_FEATURE; /* TPM-resident keys are not offered yet; never lowered */
    bool fresh = !uid_is_nil(&c->uid) && !uid_is_nil(&c->owner) && c->domain != 0 &&
                 c->version != 0 && has_come(c->initial_date, now) &&
                 c->state <= STATE_DEACTIVATED && state_has_its_date(c, now) && dates_in_order(c) &&
                 c->compromise_date == NO_DATE && c->compromise_occurrence_date == NO_DATE &&
                 c->destroy_date == NO_DATE && c->revocation_reason == 0;
    bool history = c->never_extractable == !c->extractable && c->always_sensitive == c->sensitive;
    return fresh && history ? RC_OK : RC_INVALID_FIELD;
}

static bool same_identity(const struct control *a, const struct control *b)
{
    return uid_equal(&a->uid, &b->uid) && a->domain == b->domain &&
           uid_equal(&a->owner, &b->owner) && a->object_type == b->object_type &&
           a->protection == b->protection && a->algorithm == b->algorithm &&
           a->length == b->length && a->initial_date == b->initial_date;
}

/*
 * What guards the key only grows tighter: a worker that was taken over cannot have the vault sign
 * away Sensitive or Extractable = false, nor widen the mask (design invariant 6).
 */
static bool not_looser(const struct control *old, const struct control *next)
{
    return (old->extractable || !next->extractable) && (!old->sensitive || next->sensitive) &&
           (next->usage_mask & ~old->usage_mask) == 0;
}

/* What Sensitive and Extractable once were stays known. */
static bool history_follows(const struct control *old, const struct control *next)
{
    return next->never_extractable == (old->never_extractable && !next->extractable) &&
           next->always_sensitive == (old->always_sensitive && next->sensitive);
}

static bool use_dates_equal(const struct control *a, const struct control *b)
{
    return a->deactivation_date == b->deactivation_date &&
           a->process_start_date == b->process_start_date &&
           a->protect_stop_date == b->protect_stop_date;
}

static bool use_dates_follow(const struct control *old, const struct control *next, uint32_t from)
{
    if (next->activation_date != old->activation_date && from != STATE_PRE_ACTIVE)
        return false;
    if (!use_dates_equal(old, next) && from != STATE_PRE_ACTIVE && from != STATE_ACTIVE)
        return false;
    bool moved = next->activation_date != old->activation_date ||
                 next->deactivation_date != old->deactivation_date;
    return !moved || dates_in_order(next);
}

static bool compromise_follows(const struct control *old, const struct control *next, uint32_t from,
                               uint32_t to, int64_t now)
{
    if (is_compromised(from) || !is_compromised(to)) {
        bool kept = next->compromise_date == old->compromise_date &&
                    next->compromise_occurrence_date == old->compromise_occurrence_date;
        bool reason = is_compromised(from)
                          ? next->revocation_reason == old->revocation_reason
                          : !names_compromise(next->revocation_reason) &&
                                (old->revocation_reason == 0 || next->revocation_reason != 0);
        return kept && reason;
    }
    return names_compromise(next->revocation_reason) && has_come(next->compromise_date, now) &&
           (next->compromise_occurrence_date == NO_DATE ||
            has_come(next->compromise_occurrence_date, now));
}

static bool destroy_follows(const struct control *old, const struct control *next, uint32_t from,
                            uint32_t to, int64_t now)
{
    if (is_destroyed(to) && !is_destroyed(from))
        return has_come(next->destroy_date, now);
    return next->destroy_date == old->destroy_date;
}

/* A tombstone keeps all but what tells of a compromise that came to light later. */
static bool tombstone_kept(const struct control *old, const struct control *next)
{
    return old->usage_mask == next->usage_mask && old->extractable == next->extractable &&
           old->sensitive == next->sensitive;
}

rc_t rules_transition(const struct control *old, const struct control *next, int64_t now)
{
    uint32_t from = control_effective_state(old, now), to = control_effective_state(next, now);
    int64_t then = control_time(old, now);
    bool legal = same_identity(old, next) && old->version != UINT64_MAX &&
                 next->version == old->version + 1 && (from == to || follows(from, to)) &&
                 (next->state == old->state || next->state == from || follows(from, next->state)) &&
                 state_has_its_date(next, then) && not_looser(old, next) &&
                 history_follows(old, next) && use_dates_follow(old, next, from) &&
                 compromise_follows(old, next, from, to, then) &&
                 destroy_follows(old, next, from, to, then) &&
                 (!is_destroyed(from) || tombstone_kept(old, next));
    return legal ? RC_OK : RC_ILLEGAL_TRANSITION;
}

rc_t rules_get(const struct control *c, int64_t now)
{
    if (is_destroyed(control_effective_state(c, now)))
        return RC_DESTROYED;
    if (!c->extractable)
        return RC_NOT_EXTRACTABLE;
    return c->sensitive ? RC_SENSITIVE : RC_OK;
}

rc_t rules_use(const struct control *c, uint32_t mask, int64_t now)
{
    return c->object_type == TYPE_SYMMETRIC_KEY ? control_permits(c, mask, now) : RC_WRONG_TYPE;
}
