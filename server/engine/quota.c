/*
 * How many objects a client and a domain may have. Looked at before the vault makes a key, so that
 * who is at the limit costs little; made certain by the commit, where each object takes its place
 * (db/migrations/0026_quota.sql). Who has no limit passes by all of it.
 */
#include "server/engine/request.h"

#include <inttypes.h>

#include "server/policy/bounds.h"
#include "server/policy/rules.h"

/* More than this no database holds: as good as no limit, and sums of it stay numbers. */
static int64_t sane(int64_t most)
{
    return most > INT64_MAX / 1024 ? POLICY_UNSET : most;
}

static int64_t most_of_domain(const struct engine_request *rq)
{
    return rq->who.policy ? sane(rq->who.policy->max_objects) : POLICY_UNSET;
}

/* bound: the constraint that says so; may be NULL. */
static int64_t most_of_client(const struct engine_request *rq, int64_t *bound)
{
    return sane(bounds_most_objects(rq->who.policy, bound));
}

bool quota_is_set(const struct engine_request *rq)
{
    return most_of_domain(rq) != POLICY_UNSET || most_of_client(rq, NULL) != POLICY_UNSET;
}

/* ---- before anything is made ---------------------------------------------------------------- */

static rc_t refuse(struct engine_request *rq, char *text)
{
    rq->item.detail = bytes_str(text);
    return text ? RC_CONSTRAINT : RC_NO_MEMORY;
}

/* What there is, what this request has made so far, and what the item would add to it. */
static rc_t judge(struct engine_request *rq)
{
    const struct db_quota *there = &rq->load.quota;
    int64_t more = (int64_t)rq->item.draft_count, bound = 0, most = most_of_client(rq, &bound);
    if (most != POLICY_UNSET && there->own + rq->made_own + more > most)
        return refuse(
            rq, arena_fmt(&rq->memory, "constraint %" PRId64 ": the number of its objects", bound));
    most = most_of_domain(rq);
    if (most != POLICY_UNSET && there->domain + rq->made_domain + more > most)
        return refuse(rq, arena_fmt(&rq->memory, "the domain has its %" PRId64 " objects", most));
    return RC_OK;
}

static void after_quota(struct engine_request *rq)
{
    request_loaded(rq, judge(rq));
}

/* Counted as far as it matters: what this request itself destroys makes room. */
static int64_t count_to(const struct engine_request *rq, int64_t most)
{
    return most == POLICY_UNSET ? 0 : most + 1 + (int64_t)rq->message->count;
}

void quota_look(struct engine_request *rq)
{
    rq->load = (struct db_load){.kind = DB_LOAD_QUOTA};
    rq->load.quota = (struct db_quota){.owner = rq->who.client,
                                       .own_most = count_to(rq, most_of_client(rq, NULL)),
                                       .domain_most = count_to(rq, most_of_domain(rq))};
    request_load(rq, after_quota);
}

/* ---- what was made -------------------------------------------------------------------------- */

static void claim(struct engine_request *rq, enum db_claim_kind kind, int64_t most, int32_t delta)
{
    if (most != POLICY_UNSET && delta != 0)
        rq->claims[rq->claim_count++] =
            (struct db_claim){.kind = kind, .most = most, .delta = delta};
}

/* 1 where the change makes an object, -1 where it destroys one. */
static int32_t delta_of(const struct op_change *c)
{
    return c->kind == DB_INSERT ? 1 : c->kind == DB_DESTROY ? -1 : 0;
}

void quota_keep(struct engine_request *rq)
{
    int32_t own = 0, all = 0;
    if (!quota_is_set(rq))
        return;
    for (size_t i = 0; i < rq->item.change_count; i++) {
        const struct op_change *c = &rq->item.changes[i];
        all += delta_of(c);
        if (uid_equal(&c->object->control.owner, &rq->who.client))
            own += delta_of(c);
    }
    rq->made_own += own;
    rq->made_domain += all;
    claim(rq, DB_CLAIM_OWN, most_of_client(rq, NULL), own);
    claim(rq, DB_CLAIM_DOMAIN, most_of_domain(rq), all);
}
