/* Default attributes of new objects; see defaults.h. */
#include "server/ops/defaults.h"

#include "proto/kmip/attr_json.h"

static bool has(const struct kmip_attributes *list, const struct kmip_attribute *wanted)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct kmip_attribute *at = &list->items[i];
        if (at->tag == wanted->tag && bytes_equal(at->vendor, wanted->vendor) &&
            bytes_equal(at->name, wanted->name))
            return true;
    }
    return false;
}

static bool of_material(uint32_t tag)
{
    return tag == KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM || tag == KMIP_TAG_CRYPTOGRAPHIC_LENGTH ||
           tag == KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS;
}

static bool is_for(const struct kmip_attribute *at, uint16_t version, enum attrs_origin origin)
{
    return at->tag != KMIP_TAG_NAME && !(origin == ATTRS_REGISTER && of_material(at->tag)) &&
           (at->tag == KMIP_TAG_ATTRIBUTE || kmip_attr_known(at->tag, version));
}

rc_t object_defaults(struct arena *a, uint16_t version, enum attrs_origin origin,
                     struct bytes defaults, const struct kmip_attributes *beside,
                     struct kmip_attributes *list)
{
    struct kmip_attributes held = {0};
    const struct kmip_attributes given =
        *list; /* of a default with several instances all are added */
    TRY(attr_json_read(a, defaults, &held));
    for (size_t i = 0; i < held.count; i++) {
        const struct kmip_attribute *at = &held.items[i];
        if (is_for(at, version, origin) && !has(&given, at) && !has(beside, at))
            TRY(kmip_attributes_add_item(a, list, at));
    }
    if (list->count)
        list->present = true;
    return RC_OK;
}
