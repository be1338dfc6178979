/*
 * Get Attributes: the values of the attributes named, or of all, as far as the version knows them.
 * A name without a value is left out. KMIP 1.4, 4.12; KMIP 2.1, 6.1.20.
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

/* Whether objects of this type have the attribute at all, by the rules of the version. */
static bool applies(const struct kmip_attribute *at, uint16_t version, uint32_t object_type)
{
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    if (!info)
        return true; /* vendor attributes go with everything */
    return (version < V2_0 ? info->objects : info->objects_2x) & ATTR_OBJECT(object_type);
}

/* Attribute Index of 1.x: given where an attribute has more than one instance. */
static void number_instances(struct kmip_attributes *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct kmip_attribute *at = &list->items[i];
        int32_t before = 0;
        for (size_t j = 0; j < i; j++)
            before += list->items[j].tag == at->tag &&
                      bytes_equal(list->items[j].vendor, at->vendor) &&
                      bytes_equal(list->items[j].name, at->name);
        at->index = before ? before : -1;
    }
}

rc_t get_attributes_perform(struct op_item *it)
{
    const struct kmip_get_attributes_request *in = it->request;
    struct kmip_attributes all, known;
    TRY(attrs_of(it->arena, it->object, it->now, &all));
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if ((in->attributes.count == 0 || is_meant(&in->attributes, &all.items[i])) &&
            applies(&all.items[i], it->version, it->object->control.object_type))
            all.items[kept++] = all.items[i];
    all.count = kept;
    TRY(kmip_attributes_for_version(it->arena, &all, it->version, &known));
    number_instances(&known);
    known.present = true;
    struct kmip_get_attributes_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->attributes = known;
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}
