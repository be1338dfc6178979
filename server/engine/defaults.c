/*
 * Defaults of policy: attributes that new objects get where their maker gives none, neither in the
 * request nor by a Template that it names. They join the request before the operation sees it, so
 * no operation knows of them.
 */
#include "server/ops/defaults.h"

#include "server/engine/request.h"
#include "server/policy/rules.h"

static const struct policy_default *find(const struct engine_request *rq, uint32_t object_type)
{
    const struct policy_set *set = rq->who.policy;
    for (size_t i = 0; set && i < set->default_count; i++)
        if (set->defaults[i].object_type == (int64_t)object_type)
            return &set->defaults[i];
    return NULL;
}

/* The lists of a copy of the request: what came stays as it is, for the next run. */
static rc_t apply(struct engine_request *rq, uint32_t object_type, enum attrs_origin origin,
                  const struct kmip_attributes *beside, struct kmip_attributes *list)
{
    const struct policy_default *d = find(rq, object_type);
    if (!d)
        return RC_OK;
    list->room = list->count; /* growing copies */
    return object_defaults(&rq->memory, rq->version, origin, d->attributes, beside, list);
}

static rc_t apply_register(struct engine_request *rq, struct kmip_register_request *in)
{
    static const struct kmip_attributes none;
    const struct kmip_key_block *block = in->object ? kmip_object_key_block(in->object) : NULL;
    const struct kmip_attributes *inner =
        block && block->key_value ? &block->key_value->attributes : &none;
    return apply(rq, in->object_type, ATTRS_REGISTER, inner, &in->attributes);
}

static rc_t apply_pair(struct engine_request *rq, struct kmip_create_key_pair_request *in)
{
    TRY(apply(rq, KMIP_OBJECT_PRIVATE_KEY, ATTRS_CREATE, &in->common, &in->private_key));
    return apply(rq, KMIP_OBJECT_PUBLIC_KEY, ATTRS_CREATE, &in->common, &in->public_key);
}

static rc_t apply_all(struct engine_request *rq, void *request)
{
    static const struct kmip_attributes none;
    switch (rq->item.operation) {
    case KMIP_OP_CREATE: {
        struct kmip_create_request *in = request;
        return apply(rq, in->object_type, ATTRS_CREATE, &none, &in->attributes);
    }
    case KMIP_OP_CREATE_KEY_PAIR:
        return apply_pair(rq, request);
    default:
        return apply_register(rq, request);
    }
}

rc_t defaults_apply(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    bool makes = it->operation == KMIP_OP_CREATE || it->operation == KMIP_OP_CREATE_KEY_PAIR ||
                 it->operation == KMIP_OP_REGISTER;
    if (!makes || !rq->who.policy || rq->who.policy->default_count == 0)
        return RC_OK;
    void *copy = request_copy(rq);
    if (!copy)
        return RC_NO_MEMORY;
    it->request = copy;
    return apply_all(rq, copy);
}
