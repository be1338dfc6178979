/*
 * Attributes in their one form in memory, whichever way they came: 1.x lists of Attribute
 * {Attribute Name, Attribute Index, Attribute Value} and Template-Attribute, or 2.x Attributes
 * structures. And the attribute table: what each attribute is, who may set it, which objects have
 * it. KMIP 1.4, 2.1.1, 2.1.8 and 3; KMIP 2.1, 4.
 */
#ifndef PROTO_KMIP_ATTRIBUTE_H
#define PROTO_KMIP_ATTRIBUTE_H

#include "proto/kmip/tables.h"

/*
 * One attribute instance. A standard attribute has tag, and value->tag is the same. A vendor
 * attribute (1.x "x-Name", "y-Name"; 2.x Vendor Attribute) has tag KMIP_TAG_ATTRIBUTE, vendor and
 * name, and value->tag is KMIP_TAG_ATTRIBUTE_VALUE. 1.x "x-Name" is vendor "x", name "Name" and
 * back (KMIP 2.1, 4.60 reserves "x" and "y" for that). Attributes of other vendors are not shown
 * to 1.x.
 */
struct kmip_attribute {
    uint32_t tag;
    int32_t index;       /* Attribute Index of 1.x; -1 if none was given */
    struct bytes vendor; /* vendor attributes only */
    struct bytes name;
    struct node *value;
};

struct kmip_attributes {
    bool present; /* the list was there, even if empty */
    size_t count, room;
    struct kmip_attribute *items;
    size_t template_count; /* 1.x Template-Attribute: names of Template objects (deprecated) */
    const struct node *template_names; /* the first of that many siblings, each a Name structure */
};

/* An attribute named but without a value: Get Attributes, Delete Attribute, Get Attribute List. */
struct kmip_attr_ref {
    uint32_t tag;  /* standard tag; KMIP_TAG_ATTRIBUTE for vendor ones; 0: a name not known here */
    int32_t index; /* -1 if none */
    struct bytes vendor; /* vendor attributes */
    struct bytes name;   /* vendor attributes, and the name as sent if tag is 0 */
};

struct kmip_attr_refs {
    size_t count;
    struct kmip_attr_ref *items;
};

/* ---- the table ---- */
enum kmip_attr_flags {
    ATTR_MULTI = 1u << 0,         /* several instances */
    ATTR_CLIENT_SET = 1u << 1,    /* a client may give it at creation or add it */
    ATTR_CLIENT_MODIFY = 1u << 2, /* ... change it */
    ATTR_CLIENT_DELETE = 1u << 3, /* ... delete it */
    ATTR_SERVER_SET = 1u << 4,    /* the server sets it by itself */
    ATTR_ALWAYS = 1u << 5,        /* every object it applies to has a value */
    ATTR_LOCATE_RANGE = 1u << 6,  /* a date: two values in Locate mean from and to */
};

#define ATTR_OBJECT(type) (1u << (type)) /* bits of `objects`, by Object Type value */

struct kmip_attr_info {
    uint32_t tag;
    uint8_t type;         /* enum ttlv_type of the value */
    uint8_t alternatives; /* other types allowed since 2.0, as bits 1 << type (Unique Identifier) */
    uint16_t since, until;
    uint16_t flags;      /* enum kmip_attr_flags */
    uint32_t objects;    /* ATTR_OBJECT bits by the rules of 1.x; 0 if 1.x lacks the attribute */
    uint32_t objects_2x; /* the same by the rules of 2.x */
    int structure;       /* KMIP_S_x of message.h for a structure, or -1 */
};

/* NULL if the tag is not an attribute in any version. */
const struct kmip_attr_info *kmip_attr_info(uint32_t tag);
const struct kmip_attr_info *kmip_attr_infos(size_t *count);
/* Whether the version has this attribute. KMIP_TAG_ATTRIBUTE (vendor attribute): always. */
bool kmip_attr_known(uint32_t tag, uint16_t version);
/* 1.x name to tag: "Cryptographic Algorithm" -> 0x420028. 0 if the version has no such attribute.
 */
uint32_t kmip_attr_by_text(struct bytes text, uint16_t version);
/* Tag to 1.x name; NULL if not an attribute. */
const char *kmip_attr_text(uint32_t tag);
/* The 1.x name of a ref or attribute: text of the tag, or "x-..." for vendors "x" and "y" (arena
 * memory). data NULL if 1.x cannot name it or the arena is at its cap. */
struct bytes kmip_attr_name_1x(struct arena *a, uint32_t tag, struct bytes vendor,
                               struct bytes name);

/* ---- lists ---- */
/* Adds a copy of an item, index and all; the value is shared. */
rc_t kmip_attributes_add_item(struct arena *a, struct kmip_attributes *list,
                              const struct kmip_attribute *item);
/* Adds an item (grows in the arena). value NULL gives RC_NO_MEMORY, so makers can be nested. */
rc_t kmip_attributes_add(struct arena *a, struct kmip_attributes *list, struct node *value);
rc_t kmip_attributes_add_vendor(struct arena *a, struct kmip_attributes *list, struct bytes vendor,
                                struct bytes name, struct node *value);
/* Makers for the common ones; views are borrowed. */
rc_t kmip_attributes_add_enum(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                              uint32_t value);
rc_t kmip_attributes_add_integer(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                                 int32_t value);
rc_t kmip_attributes_add_boolean(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                                 bool value);
rc_t kmip_attributes_add_date(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                              int64_t seconds);
rc_t kmip_attributes_add_text(struct arena *a, struct kmip_attributes *list, uint32_t tag,
                              struct bytes text);
rc_t kmip_attributes_add_name(struct arena *a, struct kmip_attributes *list, struct bytes value,
                              uint32_t type);
/* The same attribute: tag, and vendor and name of a vendor attribute. */
bool kmip_attribute_same(const struct kmip_attribute *a, const struct kmip_attribute *b);
/* The n-th instance of a tag (from 0), or NULL. */
const struct kmip_attribute *kmip_attributes_find(const struct kmip_attributes *list, uint32_t tag,
                                                  size_t n);
size_t kmip_attributes_count(const struct kmip_attributes *list, uint32_t tag);
const struct kmip_attribute *kmip_attributes_find_vendor(const struct kmip_attributes *list,
                                                         struct bytes vendor, struct bytes name,
                                                         size_t n);

/*
 * One value against the table and the version: right type, defined enumeration value or bits, a
 * structure with the right fields. RC_BAD_TYPE, RC_BAD_VALUE, RC_ATTR_VALUE (bits of a mask),
 * RC_BAD_ORDER, RC_UNKNOWN_TAG, RC_INVALID_FIELD (vendor), RC_ATTR_UNSUPPORTED.
 */
rc_t kmip_attribute_check(const struct kmip_attribute *attr, uint16_t version);
/* The list as it may be shown to `version`: attributes, enumeration values, mask bits and structure
 * fields that the version lacks are left out. Arena memory; values may be shared with `in`. */
rc_t kmip_attributes_for_version(struct arena *a, const struct kmip_attributes *in,
                                 uint16_t version, struct kmip_attributes *out);

#endif
