/*
 * What policy says of an object that an item is about. Its control record mostly tells: then the object is loaded once,
 * as far as the operation wants it. Where rules look at names or attributes, it is loaded with them and decided on
 * closely. What is refused is answered as what is missing, after the same work: wherever the one takes a second load,
 * the other does.
 */
#include "server/engine/request.h"

struct decision access_decide(const struct engine_request *rq, enum permission p, const struct object *object)
{
    const struct policy_facts facts = {object, true, true};
    return policy_decide(&rq->who, p, &facts, rq->now_us);
}

/* Memory is taken whether there is something to say or not: nobody shall learn from its end what was there. */
rc_t access_judge(struct engine_request *rq, const struct decision *d, rc_t refused)
{
    struct op_item *it = &rq->item;
    if (d->verdict == VERDICT_ALLOWED)
        return RC_OK;
    char *text = arena_alloc(&rq->memory, DECISION_TEXT);
    if (!text)
        return RC_NO_MEMORY;
    decision_print(d, text, DECISION_TEXT);
    if (*text)
        it->detail = bytes_str(text);
    return d->verdict == VERDICT_APPROVAL ? RC_DENIED : refused;
}

/* ---- the item's object ---------------------------------------------------------------------- */

static struct decision by_control(const struct engine_request *rq, enum permission p, const struct object *object)
{
    const struct policy_facts facts = {.object = object};
    return policy_decide(&rq->who, p, &facts, rq->now_us);
}

bool access_worth(void *arg, const struct object *object)
{
    const struct engine_request *rq = arg;
    struct decision d = by_control(rq, rq->search.permission, object);
    return d.why != WHY_DOMAIN && d.why != WHY_NO_RULE;
}

/* What is forbidden is missing from the load on, and what cannot be told yet, too. */
static bool may_see(void *arg, const struct object *object)
{
    struct engine_request *rq = arg;
    rq->decision = by_control(rq, rq->op->permission, object);
    return rq->decision.verdict == VERDICT_ALLOWED || rq->decision.verdict == VERDICT_APPROVAL;
}

/* Also what is denied is loaded then: of several denials the auditor is told the first. */
static bool may_look(void *arg, const struct object *object)
{
    struct engine_request *rq = arg;
    rq->decision = by_control(rq, rq->op->permission, object);
    return rq->decision.why != WHY_DOMAIN && rq->decision.why != WHY_NO_RULE;
}

/* What could not be read closely is not known to be permitted. */
static void not_readable(struct engine_request *rq)
{
    arena_back(&rq->memory, rq->before_load);
    rq->decision = (struct decision){VERDICT_REFUSED, WHY_DAMAGED, 0, 0};
    rq->loaded_version = 0;
    request_object(rq, NULL);
}

static void after_object(struct engine_request *rq);

static void load(struct engine_request *rq, bool closely)
{
    struct op_item *it = &rq->item;
    unsigned needs = closely ? policy_needs(&rq->who, rq->op->permission, rq->now_us) : 0;
    /* In a batch later items may want what this one does not: an object in the overlay is whole. */
    unsigned want = rq->message->count > 1 ? DB_WANT_MATERIAL | DB_WANT_NAMES | DB_WANT_ATTRIBUTES : it->db_want;
    rq->closely = closely;
    rq->before_load = arena_mark(&rq->memory);
    rq->decision = (struct decision){.verdict = VERDICT_REFUSED};
    rq->load_found = NULL;
    rq->load = (struct db_load){.kind = DB_LOAD_OBJECTS};
    rq->load.objects = (struct db_objects){
        .uids = &rq->load_uid,
        .count = 1,
        .may_see = closely ? may_look : may_see,
        .want = want | (needs & NEEDS_NAMES ? DB_WANT_NAMES : 0) | (needs & NEEDS_ATTRIBUTES ? DB_WANT_ATTRIBUTES : 0),
        .found = &rq->load_found,
    };
    request_load(rq, after_object);
    if (closely)
        rq->load_failed = not_readable;
}

static void after_object(struct engine_request *rq)
{
    const struct object *o = rq->load_found;
    if (!rq->closely && !o && policy_needs(&rq->who, rq->op->permission, rq->now_us)) {
        load(rq, true);
        return;
    }
    if (rq->closely && o) {
        rq->decision = access_decide(rq, rq->op->permission, o);
        if (rq->decision.verdict == VERDICT_REFUSED) {
            arena_back(&rq->memory, rq->before_load); /* as if it were missing */
            o = NULL;
        }
    }
    rq->loaded_version = o ? o->control.version : 0;
    request_object(rq, o);
}

void access_load(struct engine_request *rq)
{
    rq->load_uid = rq->item.uid;
    load(rq, policy_guards(&rq->who, rq->op->permission, rq->now_us) != 0);
}
