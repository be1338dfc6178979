/*
 * One run of a request through its items: prepare, load, authorise, perform, vault, complete. It
 * starts again from the first item when the commit lost a race. An item that has to wait returns to
 * the loop; its answer brings the request back here.
 */
#include "server/engine/request.h"

#include "server/base/clock.h"
#include "server/policy/rules.h"

static void go_on(struct engine_request *rq);
static void after_calls(struct engine_request *rq);

/* ---- the end of an item --------------------------------------------------------------------- */

static void note_result(struct engine_request *rq, rc_t rc)
{
    rq->results[rq->result_count++] = (struct item_result){
        .rc = rc,
        .operation = rq->message->items[rq->at].operation,
        .failure = rc != RC_OK ? rq->item.failure : NULL,
        .said = rc != RC_OK ? rq->said : NULL,
        .subject = rq->item.subject,
        .detail = rq->item.detail,
    };
    rq->engine->stats.items++;
    if (rc != RC_OK)
        rq->engine->stats.failed_items++;
}

/* The item failed: on with the next, or stop, or undo all before. A refusal meets every item. */
void request_item_failed(struct engine_request *rq, rc_t rc)
{
    note_result(rq, rc);
    rc_t wrote = answer_failure(rq, rq->at, rc, rq->said, rq->item.failure);
    rq->at++;
    if (rq->item.id_effect == ID_CLEAR)
        rq->ids.placeholder = (struct uid){{0}};
    if (rq->refusal == RC_OK && (rq->on_error != KMIP_BATCH_CONTINUE || rq->item.ends_batch)) {
        rq->at = rq->message->count;
        if (rq->on_error == KMIP_BATCH_UNDO) {
            overlay_undo(&rq->overlay);
            approval_undo(rq);
            wrote = answer_undo(rq);
        }
    }
    if (wrote == RC_OK)
        go_on(rq);
    else
        request_abort(rq); /* no memory left even for a refusal */
}

/* Identifiers for later items (KMIP 2.1, 4.58 and 6). */
static rc_t keep_ids(struct engine_request *rq)
{
    const struct op_item *it = &rq->item;
    struct op_ids *ids = &rq->ids;
    static const struct uid nil;
    if (it->id_effect == ID_KEEP && it->want != WANT_OBJECT)
        return RC_OK;
    struct uid id = it->id_effect == ID_SET     ? it->result_id
                    : it->id_effect == ID_CLEAR ? nil
                                                : it->uid;
    if (it->id_effect != ID_KEEP) {
        ids->placeholder = id;
        if (it->operation == KMIP_OP_CREATE)
            ids->created = id;
        else if (it->operation == KMIP_OP_REGISTER)
            ids->registered = id;
        else if (it->operation == KMIP_OP_LOCATE)
            ids->located = id;
        else if (it->operation == KMIP_OP_CREATE_KEY_PAIR) {
            ids->pair_private = id;
            ids->pair_public = it->second_id;
        }
    }
    if (it->id_effect == ID_CLEAR)
        return RC_OK;
    ids->all[ids->count++] = id;
    if (!uid_is_nil(&it->second_id))
        ids->all[ids->count++] = it->second_id;
    return RC_OK;
}

static bool brings_names(const struct op_change *c)
{
    return c->kind == DB_INSERT || c->names;
}

/* What is made is decided on as it is to be: nothing that the client may not have is committed or told. And every
 * change keeps the constraints. */
static rc_t judge_changes(struct engine_request *rq)
{
    const struct op_item *it = &rq->item;
    for (size_t i = 0; i < it->change_count; i++) {
        if (it->changes[i].kind != DB_INSERT)
            continue;
        struct decision d = access_decide(rq, rq->op->permission, it->changes[i].object);
        TRY(access_judge(rq, &d, RC_DENIED));
    }
    return bounds_judge(rq);
}

static rc_t finish_item(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    TRY(judge_changes(rq));
    for (size_t i = 0; i < it->change_count; i++)
        if (brings_names(&it->changes[i]) &&
            (rq->name_taken[rq->at] || overlay_has_name(&rq->overlay, it->changes[i].object)))
            return it->changes[i].names ? RC_NAME_USED : RC_NAME_TAKEN;
    if (quota_is_set(rq) && !claims_room(rq))
        return RC_NO_MEMORY;
    TRY(answer_success(rq, rq->at, it->response));
    for (size_t i = 0; i < it->change_count; i++)
        TRY(overlay_apply(&rq->overlay, &rq->memory, rq->at, &it->changes[i], rq->loaded_version));
    return keep_ids(rq);
}

static void item_done(struct engine_request *rq)
{
    size_t before = rq->body.len;
    rc_t rc = finish_item(rq);
    if (rc != RC_OK) {
        buf_cut(&rq->body, before);
        request_item_failed(rq, rc);
        return;
    }
    approval_keep(rq);
    quota_keep(rq);
    note_result(rq, RC_OK);
    rq->at++;
    go_on(rq);
}

/* ---- vault ---------------------------------------------------------------------------------- */

static void run_on_vault(void *arg, const struct vault_reply *reply)
{
    struct call_slot *slot = arg;
    struct engine_request *rq = slot->rq;
    rq->item.replies[slot->index] = *reply; /* its views lie in our arena */
    if (reply->rc != RC_OK && rq->calls_rc == RC_OK)
        rq->calls_rc = reply->rc;
    if (--rq->calls_out == 0 && !rq->engine->closing)
        after_calls(rq);
    request_drop(rq);
}

/* Sends the item's calls. What could not be sent counts as answered with its result. */
static void send_calls(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    struct engine *e = rq->engine;
    rq->calls_rc = RC_OK;
    rq->calls_out = 1; /* ours, so that nothing ends before all are out */
    for (unsigned i = 0; i < it->call_count; i++) {
        rq->slots[i] = (struct call_slot){rq, i};
        rc_t rc = e->vault ? vault_client_call(e->vault, &it->calls[i], &rq->memory, run_on_vault,
                                               &rq->slots[i])
                           : RC_UNAVAILABLE;
        if (rc != RC_OK) {
            rq->calls_rc = rc;
            break;
        }
        rq->calls_out++;
        request_hold(rq);
    }
    if (--rq->calls_out == 0)
        after_calls(rq);
    else
        engine_turn(e);
}

/*
 * The clock was set back since this run began: what it calls "now" has not come yet for the vault, which
 * refuses it. That says nothing about the request.
 */
static bool clock_went_back(const struct engine_request *rq)
{
    return (rq->calls_rc == RC_INVALID_FIELD || rq->calls_rc == RC_ILLEGAL_TRANSITION ||
            rq->calls_rc == RC_WRONG_STATE) &&
           clock_wall_s() < rq->now;
}

static void after_calls(struct engine_request *rq)
{
    rc_t rc = rq->calls_rc;
    if (clock_went_back(rq)) {
        request_run_again(rq);
        return;
    }
    if (rc == RC_OK && rq->op->complete)
        rc = rq->op->complete(&rq->item);
    if (rc == RC_OK)
        item_done(rq);
    else
        request_item_failed(rq, rc);
}

/* ---- loads ---------------------------------------------------------------------------------- */

/* 2.x cannot name a Template, so there is none for it; and a destroyed one is no more, for its meta-data went with it
 * (KMIP 1.4, 4.21). */
static bool exists_for(const struct engine_request *rq, const struct control *c)
{
    return c->object_type != KMIP_OBJECT_TEMPLATE || (rq->version < V2_0 && c->state != STATE_DESTROYED);
}

static rc_t take_object(struct engine_request *rq, const struct object *object)
{
    struct op_item *it = &rq->item;
    if (object && !exists_for(rq, &object->control))
        return RC_NOT_FOUND;
    TRY(access_judge(rq, &rq->decision, RC_NOT_FOUND));
    it->object = object;
    if (rq->loaded_version)
        TRY(overlay_read(&rq->overlay, &rq->memory, &it->uid, rq->loaded_version));
    return RC_OK;
}

void request_object(struct engine_request *rq, const struct object *object)
{
    if (object && rq->decision.verdict == VERDICT_APPROVAL && exists_for(rq, &object->control))
        approval_look(rq, object);
    else
        request_loaded(rq, take_object(rq, object));
}

static void run_on_load(struct db_load *load, rc_t rc)
{
    struct engine_request *rq = load->arg;
    if (!rq->engine->closing) {
        if (rc == RC_OK)
            rq->loaded(rq);
        else if (rc == RC_UNAVAILABLE)
            request_constant(rq);
        else if (rq->load_failed)
            rq->load_failed(rq);
        else
            request_item_failed(rq, rc);
    }
    request_drop(rq);
}

void request_load(struct engine_request *rq, void (*next)(struct engine_request *rq))
{
    rq->loaded = next;
    rq->load_failed = NULL;
    rq->load.arena = &rq->memory;
    rq->load.done = run_on_load;
    rq->load.arg = rq;
    request_hold(rq);
    db_load_add(rq->engine->db, &rq->load);
    engine_turn(rq->engine);
}

void request_loaded(struct engine_request *rq, rc_t rc)
{
    struct op_item *it = &rq->item;
    if (rc == RC_OK && rq->op->perform)
        rc = rq->op->perform(it);
    /* What makes an object, and has lost on its name: before the vault makes a key for nothing. */
    if (rc == RC_OK && rq->name_taken[rq->at] && it->change_count == 0)
        rc = RC_NAME_TAKEN;
    if (rc != RC_OK)
        request_item_failed(rq, rc);
    else if (it->call_count)
        send_calls(rq);
    else
        after_calls(rq);
}

/* ---- items ---------------------------------------------------------------------------------- */

/* The beginning of an item, as far as nothing is needed from elsewhere. */
static rc_t open_item(struct engine_request *rq)
{
    const struct kmip_request_item *asked = &rq->message->items[rq->at];
    struct op_item *it = &rq->item;
    *it = (struct op_item){
        .arena = &rq->memory,
        .version = rq->version,
        .who = &rq->who,
        .quirks = rq->session->quirks,
        .limits = &rq->op_limits,
        .server = &rq->engine->server,
        .ids = &rq->ids,
        .now = rq->now,
        .detail = rq->refusal_detail,
        .operation = asked->operation,
        .request = asked->payload,
    };
    rq->loaded_version = 0;
    rq->said = NULL;
    rq->claim = (struct db_claim){0};
    rq->calls_rc = RC_OK;
    rq->load = (struct db_load){0};
    rq->op = op_find(asked->operation, rq->version);
    TRY(rq->refusal);
    if (asked->operation && (!rq->op || !op_offered(rq->op, rq->version, &rq->engine->server)))
        return RC_OP_UNSUPPORTED;
    TRY(rq->message->item_rc[rq->at]);
    if (!asked->payload)
        return RC_BAD_MESSAGE;
    return templates_find(rq);
}

/* What this request itself made or changed is as it left it, and decided on like all others. */
static void want_object(struct engine_request *rq)
{
    const struct object *o = overlay_find(&rq->overlay, &rq->item.uid);
    if (!o) {
        access_load(rq);
        return;
    }
    rq->decision = access_decide(rq, rq->op->permission, o);
    request_object(rq, o);
}

void *request_copy(struct engine_request *rq)
{
    const struct kmip_struct *s = kmip_struct(kmip_request_payload(rq->item.operation));
    void *copy = arena_alloc(&rq->memory, s->size);
    if (copy)
        memcpy(copy, rq->item.request, s->size);
    return copy;
}

void request_prepare_item(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    struct decision d = policy_foresee(&rq->who, rq->op->permission, rq->now_us);
    rc_t rc = defaults_apply(rq);
    if (rc == RC_OK && rq->op->prepare)
        rc = rq->op->prepare(it);
    if (rc == RC_OK)
        rc = access_judge(rq, &d, RC_DENIED);
    if (rc == RC_OK)
        rc = bounds_judge_drafts(rq);
    if (rc != RC_OK)
        request_item_failed(rq, rc);
    else if (it->want == WANT_OBJECT)
        want_object(rq);
    else if (it->want == WANT_LOCATE)
        locate_item(rq);
    else if (it->draft_count && quota_is_set(rq))
        quota_look(rq);
    else
        request_loaded(rq, RC_OK);
}

static void start_item(struct engine_request *rq)
{
    rc_t rc = open_item(rq);
    if (rc != RC_OK)
        request_item_failed(rq, rc);
    else if (rq->templates.count)
        templates_load(rq);
    else
        request_prepare_item(rq);
}

/* The next item, or the end. A loop, so that a long batch that waits for nobody needs no deep
 * stack. */
static void go_on(struct engine_request *rq)
{
    rq->step_again = true;
    if (rq->stepping)
        return;
    rq->stepping = true;
    request_hold(rq);
    while (rq->step_again) {
        rq->step_again = false;
        if (rq->message_rc == RC_OK && rq->at < rq->message->count)
            start_item(rq);
        else
            request_commit(rq);
    }
    rq->stepping = false;
    request_drop(rq);
}

/* Forgets an earlier run, its answers wiped. */
static rc_t begin_run(struct engine_request *rq)
{
    arena_back(&rq->memory, rq->decoded);
    size_t count = rq->message ? rq->message->count : 0;
    const struct session *s = rq->session;
    const struct engine_limits *lim = &rq->engine->limits;
    rq->runs++;
    rq->now_us = clock_wall_us();
    rq->now = rq->now_us / 1000000;
    policy_drop(rq->who.policy); /* of the run before */
    rq->who = (struct identity){s->client, s->domain, s->standing, policy_hold(s->policy)};
    rq->op_limits = (struct op_limits){{lim->attributes, lim->name_bytes}, lim->locate_max};
    rq->ids = (struct op_ids){0};
    rq->overlay = (struct overlay){0};
    rq->claims = NULL;
    rq->claim_count = 0;
    rq->made_own = rq->made_domain = 0;
    rq->at = 0;
    rq->result_count = 0;
    rq->results = ARENA_ARRAY(&rq->memory, count + 1, struct item_result);
    rq->ids.all = ARENA_ARRAY(&rq->memory, count * 2 + 1, struct uid); /* a pair is two */
    if (!rq->results || !rq->ids.all)
        return RC_NO_MEMORY;
    return answer_begin(rq);
}

void request_run(struct engine_request *rq)
{
    if (begin_run(rq) != RC_OK) {
        request_abort(rq);
        return;
    }
    if (factor_ok(rq))
        go_on(rq);
}

void request_go_on(struct engine_request *rq)
{
    go_on(rq);
}
