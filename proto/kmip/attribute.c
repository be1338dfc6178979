/*
 * The attribute table and the lists of attributes in memory. No wire form here: see attr_wire.c.
 */
#include "proto/kmip/struct.h"

/* clang-format off */
#define O(type)        ATTR_OBJECT(KMIP_OBJECT_##type)
#define PAIR_KEYS      (O(PUBLIC_KEY) | O(PRIVATE_KEY))
#define ALL_KEYS       (O(SYMMETRIC_KEY) | PAIR_KEYS | O(SPLIT_KEY) | O(PGP_KEY))
#define CRYPTO_OBJECTS (ALL_KEYS | O(CERTIFICATE) | O(SECRET_DATA))
#define TEMPLATES      O(TEMPLATE)
#define ANY_OBJECT     (CRYPTO_OBJECTS | O(OPAQUE_OBJECT) | O(CERTIFICATE_REQUEST) | TEMPLATES)
#define UID_FORMS      (1 << TTLV_ENUMERATION | 1 << TTLV_INTEGER)
enum { KMIP_S_none = -1 };
static const struct kmip_attr_info infos[] = {
#define ATTR(tag_, type_, others, from, to, flags_, in_1x, in_2x, structure_) \
    {KMIP_TAG_##tag_, TTLV_##type_, others, from, to, flags_, in_1x, in_2x, KMIP_S_##structure_},
#include "proto/kmip/attributes.def"
#undef ATTR
};
/* clang-format on */

enum { INFO_COUNT = sizeof infos / sizeof infos[0] };

const struct kmip_attr_info *kmip_attr_infos(size_t *count)
{
    *count = INFO_COUNT;
    return infos;
}

const struct kmip_attr_info *kmip_attr_info(uint32_t tag)
{
    size_t low = 0, high = INFO_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (infos[middle].tag == tag)
            return &infos[middle];
        if (infos[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool kmip_attr_known(uint32_t tag, uint16_t version)
{
    if (tag == KMIP_TAG_ATTRIBUTE)
        return true;
    const struct kmip_attr_info *info = kmip_attr_info(tag);
    return info && version >= info->since && version <= info->until;
}

const char *kmip_attr_text(uint32_t tag)
{
    return kmip_attr_info(tag) ? kmip_tag(tag)->text : NULL;
}

uint32_t kmip_attr_by_text(struct bytes text, uint16_t version)
{
    for (size_t i = 0; i < INFO_COUNT; i++)
        if (bytes_is(text, kmip_tag(infos[i].tag)->text))
            return kmip_attr_known(infos[i].tag, version) ? infos[i].tag : 0;
    return 0;
}

struct bytes kmip_attr_name_1x(struct arena *a, uint32_t tag, struct bytes vendor,
                               struct bytes name)
{
    if (tag != KMIP_TAG_ATTRIBUTE)
        return bytes_str(kmip_attr_text(tag));
    if (!bytes_is(vendor, "x") && !bytes_is(vendor, "y"))
        return BYTES_NONE;
    uint8_t *text = arena_alloc(a, name.len + 2);
    if (!text)
        return BYTES_NONE;
    text[0] = vendor.data[0];
    text[1] = '-';
    if (name.len)
        memcpy(text + 2, name.data, name.len);
    return bytes_of(text, name.len + 2);
}

/* ---- lists ---- */

rc_t kmip_attributes_add_item(struct arena *a, struct kmip_attributes *list,
                              const struct kmip_attribute *item)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 8;
        struct kmip_attribute *items = ARENA_ARRAY(a, room, struct kmip_attribute);
        if (!items)
            return RC_NO_MEMORY;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = *item;
    list->present = true;
    return RC_OK;
}

rc_t kmip_attributes_add(struct arena *a, struct kmip_attributes *list, struct node *value)
{
    if (!value)
        return RC_NO_MEMORY;
    struct kmip_attribute item = {.tag = value->tag, .index = -1, .value = value};
    return kmip_attributes_add_item(a, list, &item);
}

rc_t kmip_attributes_add_vendor(struct arena *a, struct kmip_attributes *list, struct bytes vendor,
                                struct bytes name, struct node *value)
{
    if (!value)
        return RC_NO_MEMORY;
    value->tag = KMIP_TAG_ATTRIBUTE_VALUE;
    struct kmip_attribute item = {
        .tag = KMIP_TAG_ATTRIBUTE, .index = -1, .vendor = vendor, .name = name, .value = value};
    return kmip_attributes_add_item(a, list, &item);
}

rc_t kmip_attributes_add_enum(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                              uint32_t value)
{
    return kmip_attributes_add(a, list, node_enum(a, tag, value));
}

rc_t kmip_attributes_add_integer(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                                 int32_t value)
{
    return kmip_attributes_add(a, list, node_integer(a, tag, value));
}

rc_t kmip_attributes_add_boolean(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                                 bool value)
{
    return kmip_attributes_add(a, list, node_boolean(a, tag, value));
}

rc_t kmip_attributes_add_date(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                              int64_t seconds)
{
    return kmip_attributes_add(a, list, node_date_time(a, tag, seconds));
}

rc_t kmip_attributes_add_text(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                              struct bytes text)
{
    return kmip_attributes_add(a, list, node_text(a, tag, text));
}

rc_t kmip_attributes_add_name(struct arena *a, struct kmip_attributes *list, struct bytes value,
                              uint32_t type)
{
    struct node *name = node_structure(a, KMIP_TAG_NAME);
    TRY(node_append(name, node_text(a, KMIP_TAG_NAME_VALUE, value)));
    TRY(node_append(name, node_enum(a, KMIP_TAG_NAME_TYPE, type)));
    return kmip_attributes_add(a, list, name);
}

bool kmip_attribute_same(const struct kmip_attribute *a, const struct kmip_attribute *b)
{
    return a->tag == b->tag && bytes_equal(a->vendor, b->vendor) && bytes_equal(a->name, b->name);
}

const struct kmip_attribute *kmip_attributes_find(const struct kmip_attributes *list, uint32_t tag,
                                                  size_t n)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].tag == tag && n-- == 0)
            return &list->items[i];
    return NULL;
}

size_t kmip_attributes_count(const struct kmip_attributes *list, uint32_t tag)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += list->items[i].tag == tag;
    return n;
}

const struct kmip_attribute *kmip_attributes_find_vendor(const struct kmip_attributes *list,
                                                         struct bytes vendor, struct bytes name,
                                                         size_t n)
{
    struct kmip_attribute wanted = {.tag = KMIP_TAG_ATTRIBUTE, .vendor = vendor, .name = name};
    for (size_t i = 0; i < list->count; i++)
        if (kmip_attribute_same(&list->items[i], &wanted) && n-- == 0)
            return &list->items[i];
    return NULL;
}
