/*
 * The tables of KMIP 1.0 to 2.1: tags, item types, enumerations, bit masks, each entry with the
 * versions that define it, made from tags.def, enums.def and masks.def. All lookups are searches by
 * halves or indexed; all strings are static. KMIP 1.x, 9.1.3; 2.x, 11 and 12.
 */
#ifndef PROTO_KMIP_TABLES_H
#define PROTO_KMIP_TABLES_H

#include "proto/ttlv/node.h"

/* Protocol versions as numbers: major << 8 | minor. */
enum kmip_version {
    V1_0 = 0x0100,
    V1_1 = 0x0101,
    V1_2 = 0x0102,
    V1_3 = 0x0103,
    V1_4 = 0x0104,
    V2_0 = 0x0200,
    V2_1 = 0x0201,
};

enum { KMIP_VERSION_COUNT = 7 };
/* Newest first, the order of Discover Versions. */
extern const uint16_t kmip_versions[KMIP_VERSION_COUNT];
bool kmip_version_known(uint16_t version);

/* KMIP_TAG_x */
#define TAG(name, value, camel, text, since, until) KMIP_TAG_##name = value,
enum kmip_tag {
#include "proto/kmip/tags.def"
};
#undef TAG

/* KMIP_<prefix>_x, for example KMIP_OP_GET, KMIP_STATE_ACTIVE, KMIP_OBJECT_SYMMETRIC_KEY. */
#define ENUM(prefix, tag, count)
#define VALUE(prefix, name, value, camel, text, since, until) KMIP_##prefix##_##name = value,
enum kmip_value {
#include "proto/kmip/enums.def"
};
#undef ENUM
#undef VALUE

/* KMIP_USAGE_x, KMIP_STORAGE_x, KMIP_PROTECTION_x */
#define MASK(prefix, tag, count)
#define BIT(prefix, name, value, camel, text, since, until) KMIP_##prefix##_##name = value,
enum kmip_bit {
#include "proto/kmip/masks.def"
};
#undef MASK
#undef BIT

struct kmip_entry {
    uint32_t value;
    uint16_t since, until; /* first and last version that define it */
    const char *name;      /* in the XML and JSON encodings */
    const char *text;      /* in the specification; attribute names of 1.x are these */
};

/* ---- tags ---- */
const struct kmip_entry *kmip_tag(uint32_t tag); /* NULL if KMIP does not define it */
const char *kmip_tag_name(uint32_t tag);         /* CamelCase, or "?" */
bool kmip_tag_known(uint32_t tag, uint16_t version);
uint32_t kmip_tag_by_name(struct bytes camel); /* 0 if none */
/* All tags, sorted by value, for walks; an entry whose name is NULL is a number KMIP does not use.
 */
const struct kmip_entry *kmip_tags(size_t *count);

/* ---- enumerations, found by the tag they stand under ---- */
/* The tag whose enumeration table rules this tag: Mask Generator Hashing Algorithm uses Hashing
 * Algorithm, for example. 0 if the tag takes no enumeration. */
uint32_t kmip_enum_of_tag(uint32_t tag);
const struct kmip_entry *kmip_enum(uint32_t tag, uint32_t value); /* NULL if not defined */
const char *kmip_enum_name(uint32_t tag, uint32_t value);         /* CamelCase, or "?" */
bool kmip_enum_known(uint32_t tag, uint32_t value, uint16_t version);
bool kmip_enum_by_name(uint32_t tag, struct bytes camel, uint32_t *value);
const struct kmip_entry *kmip_enum_values(uint32_t tag, size_t *count); /* sorted by value */

/* ---- bit masks ---- */
bool kmip_is_mask(uint32_t tag);
uint32_t kmip_mask_known(uint32_t tag, uint16_t version); /* the bits this version defines */
const struct kmip_entry *kmip_mask_bits(uint32_t tag, size_t *count);

/* ---- item types ---- */
const char *kmip_type_name(uint8_t type); /* "TextString"; "?" */
bool kmip_type_known(uint8_t type, uint16_t version);
bool kmip_type_by_name(struct bytes camel, uint8_t *type);

/* Operation name for log and audit: the specification's text ("Get Attributes"), or "Unknown". */
const char *kmip_operation_text(uint32_t operation);

#endif
