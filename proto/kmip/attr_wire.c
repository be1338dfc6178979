/*
 * Attributes on the wire, in both forms: 1.x Attribute {Attribute Name, Attribute Index, Attribute
 * Value} alone or in a Template-Attribute, and 2.x attribute structures. What a version lacks is
 * refused when read and left out when written. KMIP 1.4, 2.1.1 and 2.1.8; KMIP 2.1, 4.60, 7.1
 * to 7.4.
 */
#include "proto/kmip/struct_parts.h"

/* [A-Za-z0-9_.]: 2.1, 4.60 */
static bool vendor_ok(struct bytes vendor)
{
    for (size_t i = 0; i < vendor.len; i++) {
        uint8_t c = vendor.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.'))
            return false;
    }
    return vendor.len > 0;
}

/* Vendor attribute of a 1.x name: "x-Name" or "y-Name". */
static bool custom_name(struct bytes text, struct bytes *vendor, struct bytes *name)
{
    if (text.len < 3 || (text.data[0] != 'x' && text.data[0] != 'y') || text.data[1] != '-')
        return false;
    *vendor = bytes_of(text.data, 1);
    *name = bytes_of(text.data + 2, text.len - 2);
    return true;
}

static rc_t value_check(const struct kmip_attr_info *info, const struct node *n, uint16_t version, bool partial)
{
    if (n->type != info->type && !(version >= V2_0 && (info->alternatives & 1u << n->type)))
        return RC_BAD_TYPE;
    if (n->type == TTLV_ENUMERATION)
        return kmip_value_ok(info->tag, n->enumeration, version) ? RC_OK : RC_BAD_VALUE;
    if (n->type == TTLV_INTEGER && kmip_is_mask(info->tag))
        return ((uint32_t)n->integer & ~kmip_mask_known(info->tag, version)) ? RC_ATTR_VALUE
                                                                             : RC_OK;
    if (n->type != TTLV_STRUCTURE)
        return RC_OK;
    struct kmip_context cx = {NULL, version, NULL, partial}; /* checking takes no memory */
    return kmip_struct_check(&cx, info->structure, n);
}

static rc_t attribute_check(const struct kmip_attribute *attr, uint16_t version, bool partial)
{
    if (!attr->value)
        return RC_BAD_ORDER;
    if (attr->tag == KMIP_TAG_ATTRIBUTE) {
        if (!vendor_ok(attr->vendor) || attr->name.len == 0)
            return RC_INVALID_FIELD;
        return kmip_node_types(attr->value, version);
    }
    if (!kmip_attr_known(attr->tag, version))
        return RC_ATTR_UNSUPPORTED;
    return value_check(kmip_attr_info(attr->tag), attr->value, version, partial);
}

rc_t kmip_attribute_check(const struct kmip_attribute *attr, uint16_t version)
{
    return attribute_check(attr, version, false);
}

/* ---- reading ---- */

/* Checks and adds. The value is a copy of the node's top under the attribute's own tag. */
static rc_t take(const struct kmip_context *cx, const struct kmip_attribute *attr,
                 const struct node *value, struct kmip_attributes *out)
{
    if (out->count >= limits_of(cx)->attributes)
        return RC_ATTR_FULL;
    struct node *own = ARENA_NEW(cx->arena, struct node);
    if (!own)
        return RC_NO_MEMORY;
    *own = *value;
    own->next = NULL;
    own->tag = attr->tag == KMIP_TAG_ATTRIBUTE ? KMIP_TAG_ATTRIBUTE_VALUE : attr->tag;
    struct kmip_attribute item = *attr;
    item.value = own;
    TRY(attribute_check(&item, cx->version, cx->partial));
    const struct node *name =
        item.tag == KMIP_TAG_NAME ? node_child(own, KMIP_TAG_NAME_VALUE) : NULL;
    if (name && name->bytes.len > limits_of(cx)->name)
        return RC_NAME_LENGTH;
    return kmip_attributes_add_item(cx->arena, out, &item);
}

rc_t attr_read_1x(const struct kmip_context *cx, const struct node *in, struct kmip_attributes *out)
{
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    struct kmip_attribute attr = {.index = -1};
    const struct node *n = in->first;
    if (!n || n->tag != KMIP_TAG_ATTRIBUTE_NAME)
        return kmip_misplaced(n, cx->version);
    if (n->type != TTLV_TEXT_STRING)
        return RC_BAD_TYPE;
    if (custom_name(n->bytes, &attr.vendor, &attr.name))
        attr.tag = KMIP_TAG_ATTRIBUTE;
    else
        attr.tag = kmip_attr_by_text(n->bytes, cx->version);
    n = n->next;
    if (n && n->tag == KMIP_TAG_ATTRIBUTE_INDEX) {
        if (n->type != TTLV_INTEGER)
            return RC_BAD_TYPE;
        if (n->integer < 0)
            return RC_BAD_VALUE;
        attr.index = n->integer;
        n = n->next;
    }
    if (!n || n->tag != KMIP_TAG_ATTRIBUTE_VALUE)
        return kmip_misplaced(n, cx->version);
    if (n->next)
        return kmip_misplaced(n->next, cx->version);
    return attr.tag == 0 ? RC_ATTR_UNSUPPORTED : take(cx, &attr, n, out);
}

rc_t attr_read_template(const struct kmip_context *cx, const struct node *in,
                        struct kmip_attributes *out)
{
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    out->present = true;
    const struct node *n = in->first;
    for (; n && n->tag == KMIP_TAG_NAME; n = n->next) {
        TRY(kmip_struct_check(cx, KMIP_S_name, n));
        if (out->template_count++ == 0)
            out->template_names = n;
    }
    for (; n && n->tag == KMIP_TAG_ATTRIBUTE; n = n->next)
        TRY(attr_read_1x(cx, n, out));
    return n ? kmip_misplaced(n, cx->version) : RC_OK;
}

/* Vendor Identification, Attribute Name: what a vendor attribute and a reference to one begin with.
 */
static rc_t read_vendor(const struct node *in, struct bytes *vendor, struct bytes *name,
                        const struct node **rest)
{
    const struct node *v = in->first;
    const struct node *n = v ? v->next : NULL;
    if (!n || v->tag != KMIP_TAG_VENDOR_IDENTIFICATION || n->tag != KMIP_TAG_ATTRIBUTE_NAME)
        return RC_BAD_ORDER;
    if (v->type != TTLV_TEXT_STRING || n->type != TTLV_TEXT_STRING)
        return RC_BAD_TYPE;
    *vendor = v->bytes;
    *name = n->bytes;
    *rest = n->next;
    return vendor_ok(v->bytes) && n->bytes.len > 0 ? RC_OK : RC_INVALID_FIELD;
}

rc_t attr_read_set(const struct kmip_context *cx, const struct node *in,
                   struct kmip_attributes *out)
{
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    out->present = true;
    for (const struct node *n = in->first; n; n = n->next) {
        struct kmip_attribute attr = {.tag = n->tag, .index = -1};
        const struct node *value = n;
        if (n->tag == KMIP_TAG_ATTRIBUTE) {
            if (n->type != TTLV_STRUCTURE)
                return RC_BAD_TYPE;
            TRY(read_vendor(n, &attr.vendor, &attr.name, &value));
            if (!value || value->tag != KMIP_TAG_ATTRIBUTE_VALUE || value->next)
                return RC_BAD_ORDER;
        }
        TRY(take(cx, &attr, value, out));
    }
    return RC_OK;
}

rc_t attr_read_name(const struct kmip_context *cx, const struct node *in, struct kmip_attr_ref *out)
{
    *out = (struct kmip_attr_ref){.index = -1};
    if (in->type != TTLV_TEXT_STRING)
        return RC_BAD_TYPE;
    if (custom_name(in->bytes, &out->vendor, &out->name)) {
        out->tag = KMIP_TAG_ATTRIBUTE;
        return RC_OK;
    }
    out->tag = kmip_attr_by_text(in->bytes, cx->version);
    if (out->tag == 0)
        out->name = in->bytes;
    return RC_OK;
}

rc_t attr_read_ref(const struct kmip_context *cx, const struct node *in, struct kmip_attr_ref *out)
{
    *out = (struct kmip_attr_ref){.index = -1};
    if (in->type == TTLV_ENUMERATION) {
        if (in->enumeration != KMIP_TAG_ATTRIBUTE && kmip_attr_known(in->enumeration, cx->version))
            out->tag = in->enumeration;
        return RC_OK;
    }
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    const struct node *rest;
    out->tag = KMIP_TAG_ATTRIBUTE;
    TRY(read_vendor(in, &out->vendor, &out->name, &rest));
    return rest ? RC_BAD_ORDER : RC_OK;
}

/* ---- writing ---- */

/* Whether a value fails the check for something that could be left out of it. */
static bool is_part(rc_t rc)
{
    return rc == RC_BAD_VALUE || rc == RC_ATTR_VALUE || rc == RC_BAD_ORDER || rc == RC_UNKNOWN_TAG;
}

/* The value under `tag` as the version may see it; RC_BAD_VALUE if it may not. */
static rc_t write_value(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                        const struct kmip_attribute *attr)
{
    uint16_t version = cx->version;
    const struct node *n = attr->value;
    rc_t rc = attribute_check(attr, version, cx->partial);
    if (rc == RC_OK)
        return ttlv_write_node(out, tag, n);
    if (!is_part(rc))
        return RC_BAD_VALUE;
    const struct kmip_attr_info *info = kmip_attr_info(attr->tag);
    if (!info || !n)
        return RC_BAD_VALUE;
    if (n->type == TTLV_STRUCTURE && info->type == TTLV_STRUCTURE)
        return kmip_struct_prune(out, version, info->structure, tag, n);
    if (n->type == TTLV_INTEGER && kmip_is_mask(attr->tag))
        return ttlv_write_integer(out, tag,
                                  n->integer & (int32_t)kmip_mask_known(attr->tag, version));
    return RC_BAD_VALUE;
}

static rc_t write_1x(struct buf *out, const struct kmip_context *cx,
                     const struct kmip_attribute *attr)
{
    size_t mark;
    TRY(ttlv_begin(out, KMIP_TAG_ATTRIBUTE, &mark));
    struct kmip_attr_ref ref = {attr->tag, attr->index, attr->vendor, attr->name};
    size_t before = out->len;
    TRY(attr_write_name(out, cx, &ref, true));
    if (out->len == before)
        return RC_BAD_VALUE;
    TRY(write_value(out, cx, KMIP_TAG_ATTRIBUTE_VALUE, attr));
    return ttlv_end(out, mark);
}

static rc_t write_2x(struct buf *out, const struct kmip_context *cx,
                     const struct kmip_attribute *attr)
{
    if (attr->tag != KMIP_TAG_ATTRIBUTE)
        return write_value(out, cx, attr->tag, attr);
    size_t mark;
    TRY(ttlv_begin(out, KMIP_TAG_ATTRIBUTE, &mark));
    TRY(ttlv_write_bytes(out, KMIP_TAG_VENDOR_IDENTIFICATION, TTLV_TEXT_STRING, attr->vendor));
    TRY(ttlv_write_bytes(out, KMIP_TAG_ATTRIBUTE_NAME, TTLV_TEXT_STRING, attr->name));
    TRY(write_value(out, cx, KMIP_TAG_ATTRIBUTE_VALUE, attr));
    return ttlv_end(out, mark);
}

rc_t attr_write_list(struct buf *out, const struct kmip_context *cx,
                     const struct kmip_attributes *in)
{
    for (size_t i = 0; i < in->count; i++) {
        size_t before = out->len;
        rc_t rc = cx->version < V2_0 ? write_1x(out, cx, &in->items[i])
                                     : write_2x(out, cx, &in->items[i]);
        if (rc == RC_BAD_VALUE)
            buf_cut(out, before);
        else
            TRY(rc);
    }
    return RC_OK;
}

rc_t attr_write_template(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                         const struct kmip_attributes *in)
{
    size_t mark;
    TRY(ttlv_begin(out, tag, &mark));
    const struct node *n = in->template_names;
    for (size_t i = 0; i < in->template_count && n; i++, n = n->next)
        TRY(ttlv_write_node(out, KMIP_TAG_NAME, n));
    TRY(attr_write_list(out, cx, in));
    return ttlv_end(out, mark);
}

rc_t attr_write_set(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                    const struct kmip_attributes *in)
{
    size_t mark;
    TRY(ttlv_begin(out, tag, &mark));
    TRY(attr_write_list(out, cx, in));
    return ttlv_end(out, mark);
}

rc_t attr_write_name(struct buf *out, const struct kmip_context *cx, const struct kmip_attr_ref *in,
                     bool with_index)
{
    size_t mark = out->len;
    if (in->tag == KMIP_TAG_ATTRIBUTE) {
        if ((!bytes_is(in->vendor, "x") && !bytes_is(in->vendor, "y")) || in->name.len == 0)
            return RC_OK;
        AUTO_BUF text = BUF_EMPTY;
        TRY(buf_add_bytes(&text, in->vendor));
        TRY(buf_add_u8(&text, '-'));
        TRY(buf_add_bytes(&text, in->name));
        TRY(ttlv_write_bytes(out, KMIP_TAG_ATTRIBUTE_NAME, TTLV_TEXT_STRING, buf_view(&text)));
    } else if (in->tag == 0 && in->name.len > 0) {
        TRY(ttlv_write_bytes(out, KMIP_TAG_ATTRIBUTE_NAME, TTLV_TEXT_STRING, in->name));
    } else if (kmip_attr_known(in->tag, cx->version)) {
        TRY(ttlv_write_bytes(out, KMIP_TAG_ATTRIBUTE_NAME, TTLV_TEXT_STRING,
                             bytes_str(kmip_attr_text(in->tag))));
    }
    if (with_index && in->index >= 0 && out->len > mark)
        TRY(ttlv_write_integer(out, KMIP_TAG_ATTRIBUTE_INDEX, in->index));
    return RC_OK;
}

rc_t attr_write_ref(struct buf *out, const struct kmip_context *cx, const struct kmip_attr_ref *in)
{
    if (in->tag != KMIP_TAG_ATTRIBUTE)
        return in->tag && kmip_attr_known(in->tag, cx->version)
                   ? ttlv_write_enum(out, KMIP_TAG_ATTRIBUTE_REFERENCE, in->tag)
                   : RC_OK;
    size_t mark;
    TRY(ttlv_begin(out, KMIP_TAG_ATTRIBUTE_REFERENCE, &mark));
    TRY(ttlv_write_bytes(out, KMIP_TAG_VENDOR_IDENTIFICATION, TTLV_TEXT_STRING, in->vendor));
    TRY(ttlv_write_bytes(out, KMIP_TAG_ATTRIBUTE_NAME, TTLV_TEXT_STRING, in->name));
    return ttlv_end(out, mark);
}

rc_t kmip_attributes_for_version(struct arena *a, const struct kmip_attributes *in,
                                 uint16_t version, struct kmip_attributes *out)
{
    const struct kmip_context cx = {NULL, version, NULL, false};
    *out = (struct kmip_attributes){.present = in->present};
    for (size_t i = 0; i < in->count; i++) {
        struct kmip_attribute item = in->items[i];
        if (item.tag == KMIP_TAG_ATTRIBUTE && version < V2_0 && !bytes_is(item.vendor, "x") &&
            !bytes_is(item.vendor, "y"))
            continue;
        if (kmip_attribute_check(&item, version) != RC_OK) {
            AUTO_BUF pruned = BUF_EMPTY;
            rc_t rc = write_value(&pruned, &cx, item.tag, &item);
            if (rc == RC_BAD_VALUE)
                continue;
            TRY(rc);
            struct bytes copy = arena_copy(a, buf_view(&pruned));
            if (!copy.data)
                return RC_NO_MEMORY;
            TRY(ttlv_read(a, copy, NULL, &item.value));
        }
        if (item.tag == KMIP_TAG_ATTRIBUTE)
            item.value->tag = KMIP_TAG_ATTRIBUTE_VALUE;
        TRY(kmip_attributes_add_item(a, out, &item));
    }
    return RC_OK;
}
