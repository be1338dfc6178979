/*
 * Lookups in the tables of tags, enumerations and bit masks. Tags lie dense, so they are indexed;
 * an enumeration's values are mostly 1, 2, 3 ..., so the search by halves is rarely needed.
 */
#include "proto/kmip/tables.h"

const uint16_t kmip_versions[KMIP_VERSION_COUNT] = {V2_1, V2_0, V1_4, V1_3, V1_2, V1_1, V1_0};

bool kmip_version_known(uint16_t version)
{
    for (size_t i = 0; i < KMIP_VERSION_COUNT; i++)
        if (kmip_versions[i] == version)
            return true;
    return false;
}

static bool defined_in(const struct kmip_entry *e, uint16_t version)
{
    return e && version >= e->since && version <= e->until;
}

/* ---- tags ---- */

enum { FIRST_TAG = 0x420001 };
/* clang-format off */
static const struct kmip_entry tags[] = {
#define TAG(constant, value_, camel, spec, from, to) \
    [value_ - FIRST_TAG] = {value_, from, to, camel, spec},
#include "proto/kmip/tags.def"
#undef TAG
};
/* clang-format on */

enum { TAG_COUNT = sizeof tags / sizeof tags[0] };

const struct kmip_entry *kmip_tag(uint32_t tag)
{
    return tag >= FIRST_TAG && tag - FIRST_TAG < TAG_COUNT && tags[tag - FIRST_TAG].name
               ? &tags[tag - FIRST_TAG]
               : NULL;
}

const char *kmip_tag_name(uint32_t tag)
{
    const struct kmip_entry *e = kmip_tag(tag);
    return e ? e->name : "?";
}

bool kmip_tag_known(uint32_t tag, uint16_t version)
{
    return defined_in(kmip_tag(tag), version);
}

const struct kmip_entry *kmip_tags(size_t *count)
{
    *count = TAG_COUNT;
    return tags;
}

static const struct kmip_entry *by_name(const struct kmip_entry *e, size_t count,
                                        struct bytes camel)
{
    for (size_t i = 0; i < count; i++)
        if (e[i].name && bytes_is(camel, e[i].name))
            return &e[i];
    return NULL;
}

/* ---- tags by name: a hash of open addressing, its size a power of two far above the number of tags ---- */

enum { NAME_SLOTS = 2048 };

_Static_assert(TAG_COUNT * 2 < NAME_SLOTS && TAG_COUNT < UINT16_MAX, "room for all tags");

/* Index of the tag plus one, by the hash of its name; 0: free. */
static uint16_t tags_by_name[NAME_SLOTS];

static size_t name_slot(const uint8_t *name, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ name[i]) * 16777619u;
    return (h ^ h >> 15) % NAME_SLOTS;
}

__attribute__((constructor)) static void index_names(void)
{
    for (size_t i = 0; i < TAG_COUNT; i++) {
        if (!tags[i].name)
            continue;
        struct bytes name = bytes_str(tags[i].name);
        size_t at = name_slot(name.data, name.len);
        while (tags_by_name[at])
            at = (at + 1) % NAME_SLOTS;
        tags_by_name[at] = (uint16_t)(i + 1);
    }
}

uint32_t kmip_tag_by_name(struct bytes camel)
{
    for (size_t at = name_slot(camel.data, camel.len); tags_by_name[at]; at = (at + 1) % NAME_SLOTS)
        if (bytes_is(camel, tags[tags_by_name[at] - 1].name))
            return tags[tags_by_name[at] - 1].value;
    return 0;
}

/* ---- enumerations and masks: one flat array, each table opened by a line that only names it ----
 */

/* clang-format off */
static const struct kmip_entry values[] = {
    {0, 0, 0, NULL, NULL},
#define ENUM(prefix, tag, count)                                {KMIP_TAG_##tag, 0, 0, NULL, NULL},
#define VALUE(prefix, constant, value_, camel, spec, from, to)  {value_, from, to, camel, spec},
#define MASK ENUM
#define BIT VALUE
#include "proto/kmip/enums.def"
#include "proto/kmip/masks.def"
#undef ENUM
#undef VALUE
};

/* The position of each line in that array. */
enum position {
    AT_NOTHING,
#define ENUM(prefix, tag, count)                               AT_##tag,
#define VALUE(prefix, constant, value_, camel, spec, from, to) AT_##prefix##_VALUE_##constant,
#include "proto/kmip/enums.def"
#include "proto/kmip/masks.def"
#undef ENUM
#undef VALUE
};

static const struct {
    uint16_t at, count; /* of the first value */
    uint32_t tag;       /* that names the table */
    bool mask;
} tables[] = {
#define ENUM(prefix, name, length) \
    [KMIP_TAG_##name - FIRST_TAG] = {AT_##name + 1, length, KMIP_TAG_##name, false},
#define VALUE(prefix, constant, value_, camel, spec, from, to)
#undef MASK
#define MASK(prefix, name, length) \
    [KMIP_TAG_##name - FIRST_TAG] = {AT_##name + 1, length, KMIP_TAG_##name, true},
#include "proto/kmip/enums.def"
#include "proto/kmip/masks.def"
#undef ENUM
#undef VALUE
#undef MASK
#undef BIT
/* Tags that use the table of another tag. */
#define LIKE(name, other, length) \
    [KMIP_TAG_##name - FIRST_TAG] = {AT_##other + 1, length, KMIP_TAG_##other, false},
    LIKE(MASK_GENERATOR_HASHING_ALGORITHM, HASHING_ALGORITHM, 17)
    LIKE(LINKED_OBJECT_IDENTIFIER, UNIQUE_IDENTIFIER, 17)
    LIKE(CERTIFICATE_REQUEST_UNIQUE_IDENTIFIER, UNIQUE_IDENTIFIER, 17)
    LIKE(PRIVATE_KEY_UNIQUE_IDENTIFIER, UNIQUE_IDENTIFIER, 17)
    LIKE(PUBLIC_KEY_UNIQUE_IDENTIFIER, UNIQUE_IDENTIFIER, 17)
    LIKE(REPLACED_UNIQUE_IDENTIFIER, UNIQUE_IDENTIFIER, 17)
    LIKE(MAC_DATA, DATA, 7)
    LIKE(SIGNATURE_DATA, DATA, 7)
#undef LIKE
};
/* clang-format on */

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

static const struct kmip_entry *table_of(uint32_t tag, bool mask, size_t *count)
{
    *count = 0;
    if (tag < FIRST_TAG || tag - FIRST_TAG >= TABLE_COUNT)
        return NULL;
    size_t i = tag - FIRST_TAG;
    if (tables[i].at == 0 || tables[i].mask != mask)
        return NULL;
    *count = tables[i].count;
    return &values[tables[i].at];
}

uint32_t kmip_enum_of_tag(uint32_t tag)
{
    size_t count;
    return table_of(tag, false, &count) ? tables[tag - FIRST_TAG].tag : 0;
}

const struct kmip_entry *kmip_enum_values(uint32_t tag, size_t *count)
{
    return table_of(tag, false, count);
}

const struct kmip_entry *kmip_enum(uint32_t tag, uint32_t value)
{
    size_t count;
    const struct kmip_entry *e = table_of(tag, false, &count);
    if (!e)
        return NULL;
    if (value >= 1 && value - 1 < count && e[value - 1].value == value)
        return &e[value - 1];
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (e[middle].value == value)
            return &e[middle];
        if (e[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *kmip_enum_name(uint32_t tag, uint32_t value)
{
    const struct kmip_entry *e = kmip_enum(tag, value);
    return e ? e->name : "?";
}

bool kmip_enum_known(uint32_t tag, uint32_t value, uint16_t version)
{
    return defined_in(kmip_enum(tag, value), version);
}

bool kmip_enum_by_name(uint32_t tag, struct bytes camel, uint32_t *value)
{
    size_t count;
    const struct kmip_entry *e = table_of(tag, false, &count);
    e = by_name(e, count, camel);
    if (e)
        *value = e->value;
    return e;
}

bool kmip_is_mask(uint32_t tag)
{
    size_t count;
    return table_of(tag, true, &count);
}

const struct kmip_entry *kmip_mask_bits(uint32_t tag, size_t *count)
{
    return table_of(tag, true, count);
}

uint32_t kmip_mask_known(uint32_t tag, uint16_t version)
{
    size_t count;
    const struct kmip_entry *e = table_of(tag, true, &count);
    uint32_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (defined_in(&e[i], version))
            known |= e[i].value;
    return known;
}

/* ---- item types ---- */

const char *kmip_type_name(uint8_t type)
{
    return kmip_enum_name(KMIP_TAG_EXTENSION_TYPE, type);
}

bool kmip_type_known(uint8_t type, uint16_t version)
{
    return kmip_enum_known(KMIP_TAG_EXTENSION_TYPE, type, version);
}

bool kmip_type_by_name(struct bytes camel, uint8_t *type)
{
    uint32_t value;
    if (!kmip_enum_by_name(KMIP_TAG_EXTENSION_TYPE, camel, &value))
        return false;
    *type = (uint8_t)value;
    return true;
}

const char *kmip_operation_text(uint32_t operation)
{
    const struct kmip_entry *e = kmip_enum(KMIP_TAG_OPERATION, operation);
    return e ? e->text : "Unknown";
}
