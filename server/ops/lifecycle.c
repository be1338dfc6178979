/*
 * Activate, Revoke, Destroy: changes of state. The state that counts is the effective one, with the
 * dates that have passed. The vault signs each new control record, or refuses it. KMIP 1.4, 4.19
 * to 4.21 and 3.22; KMIP 2.1, 6.1.1, 6.1.15, 6.1.44 and 4.57.
 */
#include "server/ops/op.h"

static uint32_t state_of(const struct op_item *it)
{
    return control_effective_state(&it->object->control, it->now);
}

static bool is_destroyed(uint32_t state)
{
    return state == STATE_DESTROYED || state == STATE_DESTROYED_COMPROMISED;
}

rc_t activate_prepare(struct op_item *it)
{
    const struct kmip_object_request *in = it->request;
    op_want_object(it, &in->unique_identifier, 0);
    return RC_OK;
}

/* A Template has no state to change; it can be destroyed (KMIP 1.4, 4.19 to 4.21). */
static bool is_template(const struct op_item *it)
{
    return it->object->control.object_type == KMIP_OBJECT_TEMPLATE;
}

rc_t activate_perform(struct op_item *it)
{
    uint32_t state = state_of(it);
    if (is_template(it))
        return RC_WRONG_TYPE;
    if (is_destroyed(state))
        return RC_DESTROYED;
    if (state != STATE_PRE_ACTIVE)
        return RC_WRONG_STATE;
    struct object *o = op_change(it, DB_UPDATE);
    if (!o)
        return RC_NO_MEMORY;
    o->control.state = STATE_ACTIVE;
    o->control.activation_date = op_time(it);
    op_ask_transition(it);
    return RC_OK;
}

static bool is_compromise(uint32_t reason)
{
    return reason == KMIP_REVOKED_KEY_COMPROMISE || reason == KMIP_REVOKED_CA_COMPROMISE;
}

rc_t revoke_prepare(struct op_item *it)
{
    const struct kmip_revoke_request *in = it->request;
    if (!in->revocation_reason)
        return RC_MISSING_DATA;
    if (in->compromise_occurrence_date.set) {
        /* Only with a compromise (KMIP 2.1, table 295), and a compromise cannot lie ahead. */
        if (!is_compromise(in->revocation_reason->code) ||
            in->compromise_occurrence_date.value > it->now)
            return RC_INVALID_FIELD;
    }
    op_want_object(it, &in->unique_identifier, DB_WANT_ATTRIBUTES);
    return RC_OK;
}

static rc_t revoke_compromised(struct op_item *it, uint32_t state)
{
    const struct kmip_revoke_request *in = it->request;
    if (state == STATE_COMPROMISED || state == STATE_DESTROYED_COMPROMISED)
        return RC_WRONG_STATE;
    struct object *o = op_change(it, DB_UPDATE);
    if (!o)
        return RC_NO_MEMORY;
    o->control.state = state == STATE_DESTROYED ? STATE_DESTROYED_COMPROMISED : STATE_COMPROMISED;
    o->control.compromise_date = op_time(it);
    o->control.compromise_occurrence_date = in->compromise_occurrence_date.set
                                                ? in->compromise_occurrence_date.value
                                                : o->control.initial_date;
    return RC_OK;
}

static rc_t revoke_deactivated(struct op_item *it, uint32_t state)
{
    if (is_destroyed(state))
        return RC_DESTROYED;
    /* From Active only (KMIP 2.1, 4.57, transition 6). */
    if (state != STATE_ACTIVE)
        return RC_WRONG_STATE;
    struct object *o = op_change(it, DB_UPDATE);
    if (!o)
        return RC_NO_MEMORY;
    o->control.state = STATE_DEACTIVATED;
    o->control.deactivation_date = op_time(it);
    return RC_OK;
}

/* The reason as an attribute, with the client's message. */
static rc_t keep_reason(struct op_item *it, const struct kmip_revocation_reason *reason)
{
    struct arena *a = it->arena;
    struct node *n = node_structure(a, KMIP_TAG_REVOCATION_REASON);
    if (!n)
        return RC_NO_MEMORY;
    TRY(node_append(n, node_enum(a, KMIP_TAG_REVOCATION_REASON_CODE, reason->code)));
    if (reason->message.data)
        TRY(node_append(n, node_text(a, KMIP_TAG_REVOCATION_MESSAGE, reason->message)));
    struct kmip_attributes rest;
    TRY(attrs_load(a, it->object, &rest));
    TRY(attrs_set(a, &rest, n));
    return attrs_store(a, it->changes[0].object, &rest);
}

rc_t revoke_perform(struct op_item *it)
{
    const struct kmip_revoke_request *in = it->request;
    uint32_t code = in->revocation_reason->code, state = state_of(it);
    if (is_template(it))
        return RC_WRONG_TYPE;
    TRY(is_compromise(code) ? revoke_compromised(it, state) : revoke_deactivated(it, state));
    it->changes[0].object->control.revocation_reason = code;
    TRY(keep_reason(it, in->revocation_reason));
    op_ask_transition(it);
    return RC_OK;
}

rc_t destroy_prepare(struct op_item *it)
{
    const struct kmip_object_request *in = it->request;
    op_want_object(it, &in->unique_identifier, 0);
    return RC_OK;
}

rc_t destroy_perform(struct op_item *it)
{
    uint32_t state = state_of(it);
    if (is_destroyed(state))
        return RC_DESTROYED;
    if (state == STATE_ACTIVE)
        return RC_WRONG_STATE;
    struct object *o = op_change(it, DB_DESTROY);
    if (!o)
        return RC_NO_MEMORY;
    o->control.state = state == STATE_COMPROMISED ? STATE_DESTROYED_COMPROMISED : STATE_DESTROYED;
    o->control.destroy_date = op_time(it);
    o->material = BYTES_NONE;
    if (is_template(it))
        o->attributes = bytes_str("{}"); /* all meta-data goes, too */
    op_ask_transition(it);
    return RC_OK;
}

rc_t lifecycle_complete(struct op_item *it)
{
    op_take_signature(it, 0, 0);
    return op_respond_uid(it, &it->object->control.uid);
}
