/* Templates of 1.x; see template.h. */
#include "server/ops/template.h"

#include "proto/kmip/attr_json.h"

static const char kept_as[] = "Template";

/* Whether the list has this very value. */
static bool has_value(const struct kmip_attributes *list, const struct kmip_attribute *at)
{
    for (size_t i = 0; i < list->count; i++)
        if (kmip_attribute_same(&list->items[i], at) && node_value_equal(list->items[i].value, at->value))
            return true;
    return false;
}

static bool is_multi(const struct kmip_attribute *at)
{
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    return !info || (info->flags & ATTR_MULTI);
}

rc_t template_own(struct arena *a, const struct kmip_attributes *beside, const struct kmip_template *given,
                  struct kmip_attributes *out)
{
    *out = (struct kmip_attributes){.present = true};
    for (size_t i = 0; i < beside->count; i++) {
        if (attrs_field(beside->items[i].tag))
            return RC_ATTR_INVALID;
        TRY(kmip_attributes_add_item(a, out, &beside->items[i]));
    }
    for (size_t i = 0; i < given->attributes.count; i++) {
        const struct kmip_attribute *at = &given->attributes.items[i];
        if (at->tag == KMIP_TAG_NAME && !has_value(out, at))
            TRY(kmip_attributes_add_item(a, out, at));
    }
    return RC_OK;
}

static rc_t check_held(const struct kmip_attributes *held, const struct kmip_attribute *at, uint16_t version)
{
    if (at->tag == KMIP_TAG_ATTRIBUTE)
        return attrs_is_servers(at->vendor) ? RC_ATTR_READ_ONLY : RC_OK;
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    if (!info || !kmip_attr_known(at->tag, version))
        return RC_ATTR_UNSUPPORTED;
    if (!(info->flags & ATTR_CLIENT_SET))
        return RC_ATTR_READ_ONLY;
    if (!(info->flags & ATTR_MULTI) && kmip_attributes_find(held, at->tag, 0) != at)
        return RC_ATTR_SINGLE;
    return kmip_attribute_check(at, version);
}

rc_t template_keep(struct arena *a, uint16_t version, const struct attrs_limits *limits,
                   const struct kmip_template *given, struct kmip_attributes *rest)
{
    struct kmip_attributes held = {0};
    if (given->attributes.count > limits->attributes)
        return RC_TOO_MANY;
    for (size_t i = 0; i < given->attributes.count; i++) {
        TRY(check_held(&given->attributes, &given->attributes.items[i], version));
        TRY(kmip_attributes_add_item(a, &held, &given->attributes.items[i]));
        held.items[i].index = -1; /* whatever the client gave */
    }
    AUTO_BUF json = BUF_EMPTY;
    TRY(attr_json_write(&held, &json));
    struct bytes text = arena_copy(a, buf_view(&json));
    return text.data ? attrs_keep(a, rest, kept_as, node_text(a, KMIP_TAG_ATTRIBUTE_VALUE, text)) : RC_NO_MEMORY;
}

rc_t template_held(struct arena *a, const struct object *o, struct kmip_attributes *out)
{
    struct kmip_attributes rest;
    TRY(attrs_load(a, o, &rest));
    const struct node *kept = attrs_kept(&rest, kept_as);
    if (!kept || kept->type != TTLV_TEXT_STRING)
        return RC_INTEGRITY;
    *out = (struct kmip_attributes){0};
    return attr_json_read(a, kept->bytes, out);
}

rc_t template_apply(struct arena *a, const struct kmip_attributes *held, struct kmip_attributes *list)
{
    for (size_t i = 0; i < held->count; i++) {
        const struct kmip_attribute *at = &held->items[i];
        bool there = is_multi(at) ? has_value(list, at) : kmip_attributes_find(list, at->tag, 0) != NULL;
        if (at->tag != KMIP_TAG_NAME && !there)
            TRY(kmip_attributes_add_item(a, list, at));
    }
    return RC_OK;
}
