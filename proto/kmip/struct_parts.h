/*
 * What the files of the typed codec share among themselves: struct.c (tables), struct_read.c,
 * struct_write.c and attr_wire.c (attributes in both wire forms). Nobody else includes this.
 */
#ifndef PROTO_KMIP_STRUCT_PARTS_H
#define PROTO_KMIP_STRUCT_PARTS_H

#include "proto/kmip/struct.h"

/* Every repeated member has this layout. */
struct kmip_list {
    size_t count;
    void *items;
};

static inline bool field_in(const struct kmip_field *f, uint16_t version)
{
    return version >= f->since && version <= f->until;
}

static inline const struct ttlv_limits *limits_of(const struct kmip_context *cx)
{
    static const struct ttlv_limits defaults = TTLV_LIMITS_DEFAULT;
    return cx->limits ? cx->limits : &defaults;
}

/* Item type of a simple kind; 0 for the others. */
uint8_t kmip_kind_type(uint8_t kind);
/* Size of one element of a repeated field. */
size_t kmip_element_size(const struct kmip_field *f);
/* KMIP_S_x of the Credential Value of a type, or -1; of the Key Material structure of a format, or
 * -1. */
int kmip_credential_struct(uint32_t type);
int kmip_material_struct(uint32_t format);
int kmip_object_struct(uint32_t type);

/* Whether the value of an enumeration field may stand in this version. A table without values
 * (Opaque Data Type) takes extension values only. */
bool kmip_value_ok(uint32_t tag, uint32_t value, uint16_t version);
/* No type that the version lacks anywhere in the tree. */
rc_t kmip_node_types(const struct node *n, uint16_t version);
/*
 * Why an item cannot stand where it stands, or why nothing can (n NULL): RC_UNKNOWN_TAG for a field
 * that the version does not define, RC_BAD_ORDER for a known one that is missing, repeated or out
 * of order (1.4, 11.1; 2.1, 11.46).
 */
rc_t kmip_misplaced(const struct node *n, uint16_t version);
/* One value of a simple kind by its rules in this version. */
rc_t kmip_simple_check(uint8_t kind, const struct node *n, uint16_t version);
/* A structure of simple and nested fields by its table, without making anything of it. */
rc_t kmip_struct_check(const struct kmip_context *cx, int id, const struct node *in);

/* A structure node pruned to what the version has: other fields, optional values and bits are left
 * out; RC_BAD_VALUE if a required value cannot be shown. `out` may then hold a part: cut it back.
 */
rc_t kmip_struct_prune(struct buf *out, uint16_t version, int id, uint32_t tag,
                       const struct node *in);

/* ---- attributes on the wire ---- */
rc_t attr_read_template(const struct kmip_context *cx, const struct node *in,
                        struct kmip_attributes *out);
rc_t attr_read_set(const struct kmip_context *cx, const struct node *in,
                   struct kmip_attributes *out);
/* Adds one 1.x Attribute item. */
rc_t attr_read_1x(const struct kmip_context *cx, const struct node *in,
                  struct kmip_attributes *out);
rc_t attr_read_ref(const struct kmip_context *cx, const struct node *in, struct kmip_attr_ref *out);
rc_t attr_read_name(const struct kmip_context *cx, const struct node *in,
                    struct kmip_attr_ref *out);

rc_t attr_write_template(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                         const struct kmip_attributes *in);
rc_t attr_write_set(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                    const struct kmip_attributes *in);
rc_t attr_write_list(struct buf *out, const struct kmip_context *cx,
                     const struct kmip_attributes *in);
rc_t attr_write_ref(struct buf *out, const struct kmip_context *cx, const struct kmip_attr_ref *in);
/* `with_index`: the place takes an Attribute Index after the name. */
rc_t attr_write_name(struct buf *out, const struct kmip_context *cx, const struct kmip_attr_ref *in,
                     bool with_index);

#endif
