/*
 * Check: may the client use the object in this way? Yes is an answer with the identifier. No is a failure that empties
 * the ID Placeholder and, in 1.x, tells which of the values asked for stand in the way; 2.x has reasons for that, and
 * the OASIS cases of 2.1 want no payload beside them. In 1.0 a no also ends the batch. KMIP 1.0, 4.9; KMIP 1.4, 4.10
 * and 11.11; KMIP 2.1, 6.1.7.
 */
#include "server/ops/op.h"

rc_t check_prepare(struct op_item *it)
{
    const struct kmip_check_request *in = it->request;
    if (in->usage_limits_count.set && in->usage_limits_count.value < 0)
        return RC_INVALID_FIELD;
    op_want_object(it, &in->unique_identifier, DB_WANT_ATTRIBUTES);
    return RC_OK;
}

/* The mask of what the client means to do, against the object's mask, then its state and dates. */
static rc_t check_mask(const struct op_item *it, const struct kmip_number *mask)
{
    return mask->set ? control_permits(&it->object->control, (uint32_t)mask->value, it->now) : RC_OK;
}

/* An object without limits may be used without end. */
static rc_t check_count(const struct kmip_attributes *have, const struct kmip_number *count)
{
    const struct kmip_attribute *limits = kmip_attributes_find(have, KMIP_TAG_USAGE_LIMITS, 0);
    const struct node *left = limits ? node_child(limits->value, KMIP_TAG_USAGE_LIMITS_COUNT) : NULL;
    return count->set && left && count->value > left->long_integer ? RC_USAGE_LIMIT : RC_OK;
}

static rc_t check_lease(const struct kmip_attributes *have, const struct kmip_number *lease)
{
    const struct kmip_attribute *most = kmip_attributes_find(have, KMIP_TAG_LEASE_TIME, 0);
    return lease->set && most && lease->value > most->value->interval ? RC_DENIED : RC_OK;
}

/* Keeps the value for the answer if it is what fails. The first failure gives the reason. */
static void judge(rc_t rc, const struct kmip_number *asked, struct kmip_number *told, rc_t *result)
{
    if (rc == RC_OK)
        return;
    *told = *asked;
    if (*result == RC_OK)
        *result = rc;
}

rc_t check_perform(struct op_item *it)
{
    const struct kmip_check_request *in = it->request;
    const struct control *c = &it->object->control;
    if (c->object_type == KMIP_OBJECT_TEMPLATE || c->object_type == KMIP_OBJECT_OPAQUE_OBJECT ||
        c->object_type == KMIP_OBJECT_CERTIFICATE_REQUEST)
        return RC_WRONG_TYPE; /* nothing that could be used */
    if (c->state == STATE_DESTROYED || c->state == STATE_DESTROYED_COMPROMISED)
        return RC_DESTROYED;
    struct kmip_attributes have;
    TRY(attrs_of(it->arena, it->object, it->now, &have));
    struct kmip_check_response *no = kmip_payload_new(it->arena, it->operation, true);
    if (!no)
        return RC_NO_MEMORY;
    rc_t rc = RC_OK;
    judge(check_mask(it, &in->cryptographic_usage_mask), &in->cryptographic_usage_mask, &no->cryptographic_usage_mask,
          &rc);
    judge(check_count(&have, &in->usage_limits_count), &in->usage_limits_count, &no->usage_limits_count, &rc);
    judge(check_lease(&have, &in->lease_time), &in->lease_time, &no->lease_time, &rc);
    if (rc == RC_OK)
        return op_respond_uid(it, &c->uid);
    it->id_effect = ID_CLEAR;
    it->ends_batch = it->version == V1_0;
    if (it->version < V2_0)
        it->failure = no;
    return rc;
}
