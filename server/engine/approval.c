/*
 * What a rule lets a client do only once administrators have approved it
 * (db/migrations/0022_approvals.sql). An item that needs it looks at its open request. Approved:
 * the item goes on, and uses the approval up if it succeeds. Else it is refused, and the number of
 * the request told; the refusal opens the request. Both become claims of the unit of work.
 */
#include "server/engine/request.h"

#include <inttypes.h>
#include <stdio.h>

enum { APPROVAL_TEXT = 160 };

/* The claim that an earlier item of this run has on the same; NULL: none. */
static const struct db_claim *claimed(const struct engine_request *rq)
{
    for (size_t i = 0; i < rq->claim_count; i++)
        if (rq->claims[i].kind <= DB_CLAIM_USE && rq->claims[i].permission == rq->claim.permission &&
            uid_equal(&rq->claims[i].object, &rq->claim.object))
            return &rq->claims[i];
    return NULL;
}

/* Room for the claims of all items, so that what was done can always be claimed. */
bool claims_room(struct engine_request *rq)
{
    if (!rq->claims)
        rq->claims = ARENA_ARRAY(&rq->memory, rq->message->count * CLAIMS_EACH, struct db_claim);
    return rq->claims;
}

void approval_keep(struct engine_request *rq)
{
    if (rq->claim.kind)
        rq->claims[rq->claim_count++] = rq->claim;
    rq->claim.kind = 0;
}

void approval_undo(struct engine_request *rq)
{
    size_t kept = 0;
    for (size_t i = 0; i < rq->claim_count; i++)
        if (rq->claims[i].kind == DB_CLAIM_ASK)
            rq->claims[kept++] = rq->claims[i];
    rq->claim_count = kept;
}

/* Says so to the client and, with the rule and the request that expired (0: none), to the auditor; ends the item. */
static void refuse(struct engine_request *rq, const char *what, int64_t expired)
{
    char *text = arena_alloc(&rq->memory, APPROVAL_TEXT),
         *detail = arena_alloc(&rq->memory, APPROVAL_TEXT);
    char rule[DECISION_TEXT], late[48] = "";
    if (!text || !detail) {
        request_item_failed(rq, RC_NO_MEMORY);
        return;
    }
    decision_print(&rq->decision, rule, sizeof rule);
    snprintf(text, APPROVAL_TEXT, "request %" PRId64 " %s", rq->claim.number, what);
    if (expired)
        snprintf(late, sizeof late, ", request %" PRId64 " expired", expired);
    snprintf(detail, APPROVAL_TEXT, "%s: %s%s", rule, text, late);
    rq->said = text;
    rq->item.detail = bytes_str(detail);
    approval_keep(rq);
    request_item_failed(rq, RC_DENIED);
}

static void ask(struct engine_request *rq, const struct db_request *found)
{
    rq->claim.number = found->number;
    rq->claim.kind = DB_CLAIM_ASK;
    refuse(rq, "waits for approval", found->expired);
}

/* The item is done as if there was no need to ask; the auditor is told what permitted it. */
static void go_on(struct engine_request *rq, int64_t number)
{
    char *detail = arena_alloc(&rq->memory, APPROVAL_TEXT);
    if (!detail) {
        request_item_failed(rq, RC_NO_MEMORY);
        return;
    }
    snprintf(detail, APPROVAL_TEXT, "request %" PRId64 " was approved", number);
    rq->item.detail = bytes_str(detail);
    rq->claim.number = number;
    rq->claim.kind = DB_CLAIM_USE;
    rq->decision.verdict = VERDICT_ALLOWED;
    request_object(rq, rq->approved_object);
}

static void after_request(struct engine_request *rq)
{
    const struct db_request *found = &rq->load.request;
    if (found->approved)
        go_on(rq, found->number);
    else
        ask(rq, found);
}

void approval_look(struct engine_request *rq, const struct object *object)
{
    const struct decision *d = &rq->decision;
    if (!claims_room(rq)) {
        request_item_failed(rq, RC_NO_MEMORY);
        return;
    }
    rq->approved_object = object;
    rq->claim = (struct db_claim){.permission = permission_text(rq->op->permission),
                                  .object = object->control.uid,
                                  .rule = d->rule,
                                  .needed = (int32_t)d->approvals};
    const struct db_claim *before = claimed(rq);
    if (before) { /* one approval, one operation: also within a batch */
        rq->claim.number = before->number;
        refuse(rq, before->kind == DB_CLAIM_ASK ? "waits for approval" : "serves one operation alone", 0);
        return;
    }
    rq->load = (struct db_load){.kind = DB_LOAD_REQUEST};
    rq->load.request = (struct db_request){.client = rq->who.client,
                                           .object = rq->claim.object,
                                           .permission = rq->claim.permission,
                                           .needed = rq->claim.needed};
    request_load(rq, after_request);
}
