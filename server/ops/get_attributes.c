/*
 * Get Attributes: the values of the attributes named, or of all, as far as the version knows them;
 * a name without a value is left out. Get Attribute List: the names of those that have one.
 * KMIP 1.4, 4.12 and 4.13; KMIP 2.1, 6.1.20 and 6.1.21.
 */
#include "server/ops/op.h"

static bool same_ref(const struct kmip_attr_ref *a, const struct kmip_attr_ref *b)
{
    return a->tag == b->tag && bytes_equal(a->vendor, b->vendor) && bytes_equal(a->name, b->name);
}

rc_t get_attributes_prepare(struct op_item *it)
{
    const struct kmip_get_attributes_request *in = it->request;
    const struct kmip_attr_refs *refs = &in->attributes;
    if (refs->count > it->limits->attrs.attributes)
        return RC_TOO_MANY;
    for (size_t i = 0; i < refs->count; i++)
        for (size_t j = 0; j < i; j++)
            if (same_ref(&refs->items[i], &refs->items[j]))
                return RC_BAD_MESSAGE; /* KMIP 1.4, 11.13 */
    op_want_object(it, &in->unique_identifier, DB_WANT_NAMES | DB_WANT_ATTRIBUTES);
    return RC_OK;
}

static bool is_meant(const struct kmip_attr_refs *refs, const struct kmip_attribute *at)
{
    for (size_t i = 0; i < refs->count; i++) {
        const struct kmip_attr_ref *r = &refs->items[i];
        if (r->tag != at->tag)
            continue;
        if (r->tag != KMIP_TAG_ATTRIBUTE ||
            (bytes_equal(r->vendor, at->vendor) && bytes_equal(r->name, at->name)))
            return true;
    }
    return false;
}

rc_t get_attributes_perform(struct op_item *it)
{
    const struct kmip_get_attributes_request *in = it->request;
    struct kmip_attributes known;
    TRY(attrs_shown(it->arena, it->object, it->now, it->version, &known));
    size_t kept = 0;
    for (size_t i = 0; i < known.count; i++)
        if (in->attributes.count == 0 || is_meant(&in->attributes, &known.items[i]))
            known.items[kept++] = known.items[i];
    known.count = kept;
    struct kmip_get_attributes_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->attributes = known;
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}

rc_t get_attribute_list_prepare(struct op_item *it)
{
    const struct kmip_object_request *in = it->request;
    op_want_object(it, &in->unique_identifier, DB_WANT_NAMES | DB_WANT_ATTRIBUTES);
    return RC_OK;
}

static bool listed(const struct kmip_attr_refs *refs, const struct kmip_attr_ref *ref)
{
    for (size_t i = 0; i < refs->count; i++)
        if (same_ref(&refs->items[i], ref))
            return true;
    return false;
}

rc_t get_attribute_list_perform(struct op_item *it)
{
    struct kmip_attributes known;
    TRY(attrs_shown(it->arena, it->object, it->now, it->version, &known));
    struct kmip_get_attribute_list_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->attributes.items = ARENA_ARRAY(it->arena, known.count + 1, struct kmip_attr_ref);
    if (!out->attributes.items)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < known.count; i++) {
        const struct kmip_attribute *at = &known.items[i];
        struct kmip_attr_ref ref = {at->tag, -1, at->vendor, at->name};
        if (!listed(&out->attributes, &ref))
            out->attributes.items[out->attributes.count++] = ref;
    }
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}
