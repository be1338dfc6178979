/*
 * Constraints of policy on what an item makes and changes: before the vault makes a key, as far as
 * the request tells of it, and once more on the whole before anything is committed or told.
 */
#include "server/engine/request.h"

#include <inttypes.h>

#include "server/policy/bounds.h"

static rc_t judge(struct engine_request *rq, const struct bounds_change *change)
{
    struct bounds_breach breach = {0};
    rc_t rc = bounds_check(rq->who.policy, change, rq->now, &breach);
    if (rc != RC_CONSTRAINT)
        return rc;
    rq->item.detail =
        bytes_str(arena_fmt(&rq->memory, "constraint %" PRId64 ": %s", breach.bound, breach.what));
    return rq->item.detail.data ? RC_CONSTRAINT : RC_NO_MEMORY;
}

rc_t bounds_judge_drafts(struct engine_request *rq)
{
    for (size_t i = 0; i < rq->item.draft_count; i++)
        TRY(judge(rq, &(struct bounds_change){.after = rq->item.drafts[i], .unfinished = true}));
    return RC_OK;
}

rc_t bounds_judge(struct engine_request *rq)
{
    const struct op_item *it = &rq->item;
    for (size_t i = 0; i < it->change_count; i++) {
        const struct op_change *c = &it->changes[i];
        TRY(judge(rq, &(struct bounds_change){.before = c->kind == DB_INSERT ? NULL : it->object,
                                              .after = c->object,
                                              .destroyed = c->kind == DB_DESTROY,
                                              .names = c->names}));
    }
    return RC_OK;
}
