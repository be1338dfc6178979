/*
 * The one writer: C structs to TTLV by the tables. A field that the version lacks is not written; a
 * value that it lacks is left out where the field is optional.
 */
#include "proto/kmip/struct_parts.h"

static rc_t write_value(struct buf *out, const struct kmip_context *cx, const struct kmip_field *f,
                        const void *base, const void *member);
static rc_t write_fields(struct buf *out, const struct kmip_context *cx,
                         const struct kmip_struct *s, const void *base);

static rc_t write_number(struct buf *out, const struct kmip_context *cx, const struct kmip_field *f,
                         int64_t value)
{
    switch (f->kind) {
    case KMIP_K_INT:
        if (value < INT32_MIN || value > INT32_MAX)
            return RC_INVALID_FIELD;
        return ttlv_write_integer(out, f->tag, (int32_t)value);
    case KMIP_K_MASK:
        return ttlv_write_integer(
            out, f->tag, (int32_t)((uint32_t)value & kmip_mask_known(f->tag, cx->version)));
    case KMIP_K_INTERVAL:
        if (value < 0 || value > UINT32_MAX)
            return RC_INVALID_FIELD;
        return ttlv_write_interval(out, f->tag, (uint32_t)value);
    case KMIP_K_BOOL:
        return ttlv_write_boolean(out, f->tag, value != 0);
    case KMIP_K_DATE:
        return ttlv_write_date_time(out, f->tag, value);
    case KMIP_K_DATEX:
        return ttlv_write_date_time_extended(out, f->tag, value);
    default:
        return ttlv_write_long(out, f->tag, value);
    }
}

static rc_t write_reference(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                            uint8_t plain_type, uint8_t type, struct bytes plain,
                            uint32_t enumeration, int32_t integer)
{
    if (type == plain_type)
        return ttlv_write_bytes(out, tag, type, plain);
    if (cx->version < V2_0)
        return RC_BAD_VALUE;
    if (type == TTLV_ENUMERATION)
        return kmip_value_ok(tag, enumeration, cx->version) ? ttlv_write_enum(out, tag, enumeration)
                                                            : RC_BAD_VALUE;
    return ttlv_write_integer(out, tag, integer);
}

static rc_t write_object(struct buf *out, const struct kmip_context *cx,
                         const struct kmip_object *object)
{
    int id = kmip_object_struct(object->type);
    if (id < 0 || !object->any || !kmip_enum_known(KMIP_TAG_OBJECT_TYPE, object->type, cx->version))
        return RC_BAD_VALUE;
    return kmip_struct_write(out, cx, id, kmip_object_tag(object->type), object->any);
}

static rc_t write_key_value(struct buf *out, const struct kmip_context *cx, uint32_t format,
                            const struct kmip_key_value *kv)
{
    int id = kmip_material_struct(format);
    if (kv->wrapped.data)
        return ttlv_write_bytes(out, KMIP_TAG_KEY_VALUE, TTLV_BYTE_STRING, kv->wrapped);
    size_t mark;
    TRY(ttlv_begin(out, KMIP_TAG_KEY_VALUE, &mark));
    if (kv->material.data)
        TRY(ttlv_write_bytes(out, KMIP_TAG_KEY_MATERIAL, TTLV_BYTE_STRING, kv->material));
    else if (kv->structure && id >= 0)
        TRY(kmip_struct_prune(out, cx->version, id, KMIP_TAG_KEY_MATERIAL, kv->structure));
    else
        return RC_MISSING_DATA;
    if (cx->version < V2_0)
        TRY(attr_write_list(out, cx, &kv->attributes));
    else if (kv->attributes.count || kv->attributes.present)
        TRY(attr_write_set(out, cx, KMIP_TAG_ATTRIBUTES, &kv->attributes));
    return ttlv_end(out, mark);
}

static rc_t write_payload(struct buf *out, const struct kmip_context *cx, uint32_t tag,
                          uint32_t operation, const void *payload)
{
    int id = tag == KMIP_TAG_REQUEST_PAYLOAD ? kmip_request_payload(operation)
                                             : kmip_response_payload(operation);
    return id < 0 ? RC_OP_UNSUPPORTED : kmip_struct_write(out, cx, id, tag, payload);
}

/* Absent members, see struct.h. */
static bool present(const struct kmip_field *f, const void *member)
{
    switch (f->kind) {
    case KMIP_K_ENUM:
    case KMIP_K_OPEN:
        return f->how == KMIP_ONE || *(const uint32_t *)member != 0;
    case KMIP_K_BIG:
    case KMIP_K_TEXT:
    case KMIP_K_BYTES:
        return ((const struct bytes *)member)->data;
    case KMIP_K_UID:
        return ((const struct kmip_uid *)member)->type != 0;
    case KMIP_K_DATA:
        return ((const struct kmip_data *)member)->type != 0;
    case KMIP_K_TEMPLATE:
    case KMIP_K_ATTRSET: {
        const struct kmip_attributes *list = member;
        return f->how == KMIP_ONE || list->present || list->count > 0;
    }
    case KMIP_K_ATTRONE:
    case KMIP_K_ATTRLIST:
        return ((const struct kmip_attributes *)member)->count > 0;
    case KMIP_K_NODE:
    case KMIP_K_NEST:
    case KMIP_K_OBJECT:
    case KMIP_K_KEYVALUE:
    case KMIP_K_CREDENTIAL:
    case KMIP_K_PAYLOAD:
        return *(void *const *)member;
    default:
        return ((const struct kmip_number *)member)->set;
    }
}

static rc_t write_value(struct buf *out, const struct kmip_context *cx, const struct kmip_field *f,
                        const void *base, const void *member)
{
    switch (f->kind) {
    case KMIP_K_NEST: {
        bool many = f->how == KMIP_MANY || f->how == KMIP_SOME;
        return kmip_struct_write(out, cx, f->ref, f->tag, many ? member : *(void *const *)member);
    }
    case KMIP_K_OBJECT:
        return write_object(out, cx, *(struct kmip_object *const *)member);
    case KMIP_K_KEYVALUE:
        return write_key_value(out, cx, ((const struct kmip_key_block *)base)->key_format_type,
                               *(struct kmip_key_value *const *)member);
    case KMIP_K_CREDENTIAL: {
        int id = kmip_credential_struct(((const struct kmip_credential *)base)->type);
        return id < 0 ? RC_BAD_VALUE
                      : kmip_struct_write(out, cx, id, f->tag, *(void *const *)member);
    }
    case KMIP_K_PAYLOAD: /* both items begin with their operation */
        return write_payload(out, cx, f->tag, *(const uint32_t *)base, *(void *const *)member);
    case KMIP_K_TEMPLATE:
        return attr_write_template(out, cx, f->tag, member);
    case KMIP_K_ATTRONE:
        if (((const struct kmip_attributes *)member)->count != 1)
            return RC_INVALID_FIELD;
        return attr_write_set(out, cx, f->tag, member);
    case KMIP_K_ATTRSET:
        return attr_write_set(out, cx, f->tag, member);
    case KMIP_K_ATTRLIST: {
        size_t before = out->len;
        TRY(attr_write_list(out, cx, member));
        return out->len == before ? RC_BAD_VALUE : RC_OK; /* nothing of it may be shown */
    }
    case KMIP_K_ENUM:
        if (!kmip_value_ok(f->tag, *(const uint32_t *)member, cx->version))
            return RC_BAD_VALUE;
        return ttlv_write_enum(out, f->tag, *(const uint32_t *)member);
    case KMIP_K_OPEN:
        return ttlv_write_enum(out, f->tag, *(const uint32_t *)member);
    case KMIP_K_BIG:
    case KMIP_K_TEXT:
    case KMIP_K_BYTES:
        return ttlv_write_bytes(out, f->tag, kmip_kind_type(f->kind),
                                *(const struct bytes *)member);
    case KMIP_K_UID: {
        const struct kmip_uid *uid = member;
        return write_reference(out, cx, f->tag, TTLV_TEXT_STRING, uid->type, uid->text,
                               uid->enumeration, uid->integer);
    }
    case KMIP_K_DATA: {
        const struct kmip_data *data = member;
        return write_reference(out, cx, f->tag, TTLV_BYTE_STRING, data->type, data->bytes,
                               data->enumeration, data->integer);
    }
    case KMIP_K_NODE:
    case KMIP_K_REST: {
        const struct node *n = *(struct node *const *)member;
        if (kmip_node_types(n, cx->version) != RC_OK)
            return RC_BAD_VALUE;
        return ttlv_write_node(out, f->kind == KMIP_K_NODE ? f->tag : 0, n);
    }
    default:
        return write_number(out, cx, f, ((const struct kmip_number *)member)->value);
    }
}

static rc_t write_refs(struct buf *out, const struct kmip_context *cx, const struct kmip_field *f,
                       const struct kmip_attr_refs *refs)
{
    bool with_index = f->how == KMIP_ONE || f->how == KMIP_OPT;
    size_t before = out->len;
    for (size_t i = 0; i < refs->count && (i == 0 || !with_index); i++) {
        if (f->kind == KMIP_K_REFS)
            TRY(attr_write_ref(out, cx, &refs->items[i]));
        else
            TRY(attr_write_name(out, cx, &refs->items[i], with_index));
    }
    bool needed = f->how == KMIP_ONE || f->how == KMIP_SOME;
    return needed && out->len == before ? RC_MISSING_DATA : RC_OK;
}

/* A value that the version lacks may go unsaid, but never what the message is about. */
static bool may_drop(const struct kmip_field *f)
{
    return f->kind != KMIP_K_PAYLOAD && f->kind != KMIP_K_OBJECT && f->kind != KMIP_K_KEYVALUE;
}

/* A repeated field: elements that the version lacks are left out one by one. */
static rc_t write_many(struct buf *out, const struct kmip_context *cx, const struct kmip_field *f,
                       const void *base, const void *member)
{
    size_t before = out->len;
    if (f->kind == KMIP_K_ATTRLIST) {
        TRY(attr_write_list(out, cx, member));
    } else {
        const struct kmip_list *list = member;
        size_t each = kmip_element_size(f);
        for (size_t i = 0; i < list->count; i++) {
            size_t mark = out->len;
            rc_t rc = write_value(out, cx, f, base, (const char *)list->items + each * i);
            if (rc == RC_BAD_VALUE)
                buf_cut(out, mark);
            else
                TRY(rc);
        }
    }
    return f->how == KMIP_SOME && out->len == before ? RC_MISSING_DATA : RC_OK;
}

static rc_t write_field(struct buf *out, const struct kmip_context *cx, const struct kmip_field *f,
                        const void *base)
{
    const void *member = (const char *)base + f->offset;
    if (f->kind == KMIP_K_NAMES || f->kind == KMIP_K_REFS)
        return write_refs(out, cx, f, member);
    if (f->how == KMIP_MANY || f->how == KMIP_SOME)
        return write_many(out, cx, f, base, member);
    if (!present(f, member))
        return f->how == KMIP_ONE ? RC_MISSING_DATA : RC_OK;
    size_t mark = out->len;
    rc_t rc = write_value(out, cx, f, base, member);
    if (rc == RC_BAD_VALUE && f->how == KMIP_OPT && may_drop(f)) {
        buf_cut(out, mark);
        return RC_OK;
    }
    return rc;
}

static rc_t write_fields(struct buf *out, const struct kmip_context *cx,
                         const struct kmip_struct *s, const void *base)
{
    for (size_t i = 0; i < s->count; i++)
        if (field_in(&s->fields[i], cx->version))
            TRY(write_field(out, cx, &s->fields[i], base));
    return RC_OK;
}

rc_t kmip_struct_write(struct buf *out, const struct kmip_context *cx, int id, uint32_t tag,
                       const void *in)
{
    const struct kmip_struct *s = kmip_struct(id);
    if (!s || !in)
        return RC_MISSING_DATA;
    size_t mark;
    TRY(ttlv_begin(out, tag, &mark));
    TRY(write_fields(out, cx, s, in));
    return ttlv_end(out, mark);
}

rc_t kmip_struct_node(const struct kmip_context *cx, int id, uint32_t tag, const void *in,
                      struct node **out)
{
    AUTO_BUF text = BUF_EMPTY;
    TRY(kmip_struct_write(&text, cx, id, tag, in));
    struct bytes copy = arena_copy(cx->arena, buf_view(&text));
    if (!copy.data)
        return RC_NO_MEMORY;
    return ttlv_read(cx->arena, copy, cx->limits, out);
}

static const struct kmip_field *field_of(const struct kmip_struct *s, uint32_t tag,
                                         uint16_t version)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->fields[i].tag == tag && field_in(&s->fields[i], version))
            return &s->fields[i];
    return NULL;
}

rc_t kmip_struct_prune(struct buf *out, uint16_t version, int id, uint32_t tag,
                       const struct node *in)
{
    const struct kmip_struct *s = kmip_struct(id);
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_VALUE;
    size_t mark;
    TRY(ttlv_begin(out, tag, &mark));
    for (const struct node *n = in->first; n; n = n->next) {
        const struct kmip_field *f = field_of(s, n->tag, version);
        if (!f)
            continue;
        rc_t rc = kmip_simple_check(f->kind, n, version);
        if (rc == RC_INVALID_FIELD && f->kind == KMIP_K_MASK)
            TRY(ttlv_write_integer(out, n->tag,
                                   n->integer & (int32_t)kmip_mask_known(n->tag, version)));
        else if (rc == RC_OK)
            TRY(ttlv_write_node(out, 0, n));
        else if (f->how == KMIP_ONE)
            return RC_BAD_VALUE;
    }
    return ttlv_end(out, mark);
}
