/*
 * The one reader: node tree to C structs by the tables. Fields come in the order of the table; each
 * that the version has takes the items of its tag that stand next; what is left over is an error.
 */
#include "proto/kmip/struct_parts.h"

bool kmip_value_ok(uint32_t tag, uint32_t value, uint16_t version)
{
    size_t count;
    if (kmip_enum_values(tag, &count) && count == 0)
        return value >> 28 == 8; /* 8XXXXXXX: extensions */
    return kmip_enum_known(tag, value, version);
}

rc_t kmip_node_types(const struct node *n, uint16_t version)
{
    if (n->type == TTLV_DATE_TIME_EXTENDED && version < V2_0)
        return RC_BAD_TYPE;
    if (n->type == TTLV_STRUCTURE)
        for (const struct node *c = n->first; c; c = c->next)
            TRY(kmip_node_types(c, version));
    return RC_OK;
}

/* Text or bytes; since 2.0 also an enumeration or an integer (2.1, 4.58 and 7.9). */
static rc_t reference_check(uint8_t plain, const struct node *n, uint16_t version)
{
    if (n->type == plain)
        return RC_OK;
    if (version < V2_0)
        return RC_BAD_TYPE;
    if (n->type == TTLV_ENUMERATION)
        return kmip_value_ok(n->tag, n->enumeration, version) ? RC_OK : RC_BAD_VALUE;
    return n->type == TTLV_INTEGER ? RC_OK : RC_BAD_TYPE;
}

rc_t kmip_simple_check(uint8_t kind, const struct node *n, uint16_t version)
{
    if (kind == KMIP_K_UID)
        return reference_check(TTLV_TEXT_STRING, n, version);
    if (kind == KMIP_K_DATA)
        return reference_check(TTLV_BYTE_STRING, n, version);
    if (kind == KMIP_K_NODE || kind == KMIP_K_REST)
        return kmip_node_types(n, version);
    if (n->type != kmip_kind_type(kind))
        return RC_BAD_TYPE;
    if (kind == KMIP_K_ENUM && !kmip_value_ok(n->tag, n->enumeration, version))
        return RC_BAD_VALUE;
    if (kind == KMIP_K_MASK && ((uint32_t)n->integer & ~kmip_mask_known(n->tag, version)) != 0)
        return RC_INVALID_FIELD;
    return RC_OK;
}

rc_t kmip_misplaced(const struct node *n, uint16_t version)
{
    return n && !kmip_tag_known(n->tag, version) ? RC_UNKNOWN_TAG : RC_BAD_ORDER;
}

static int64_t number_of(const struct node *n)
{
    switch (n->type) {
    case TTLV_INTEGER:
        return n->integer;
    case TTLV_LONG_INTEGER:
        return n->long_integer;
    case TTLV_BOOLEAN:
        return n->boolean;
    case TTLV_INTERVAL:
        return n->interval;
    default:
        return n->date_time;
    }
}

/* Whether a field takes this item. */
static bool takes(const struct kmip_field *f, const struct node *n)
{
    if (f->kind == KMIP_K_REST)
        return true;
    if (f->kind == KMIP_K_OBJECT)
        return kmip_object_type_of_tag(n->tag) != 0;
    return n->tag == f->tag;
}

static rc_t read_into(const struct kmip_context *cx, const struct kmip_struct *s,
                      const struct node *in, void *base);

static rc_t read_object(const struct kmip_context *cx, const struct node *n,
                        struct kmip_object **out)
{
    uint32_t type = kmip_object_type_of_tag(n->tag);
    if (!kmip_enum_known(KMIP_TAG_OBJECT_TYPE, type, cx->version))
        return RC_BAD_VALUE;
    struct kmip_object *object = ARENA_NEW(cx->arena, struct kmip_object);
    if (!object)
        return RC_NO_MEMORY;
    object->type = type;
    *out = object;
    return kmip_struct_read(cx, kmip_object_struct(type), n, &object->any);
}

/*
 * Key Value: a byte string if the key is wrapped, else Key Material and attributes (2.1, 3.3). The
 * material of a transparent format is a structure, unless wrapped alone ("No Encoding").
 */
static rc_t read_key_value(const struct kmip_context *cx, const struct node *n, uint32_t format,
                           struct kmip_key_value **out)
{
    struct kmip_key_value *kv = ARENA_NEW(cx->arena, struct kmip_key_value);
    if (!kv)
        return RC_NO_MEMORY;
    *out = kv;
    if (n->type == TTLV_BYTE_STRING) {
        kv->wrapped = n->bytes;
        return RC_OK;
    }
    if (n->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    struct node *c = n->first;
    if (!c || c->tag != KMIP_TAG_KEY_MATERIAL)
        return RC_BAD_ORDER;
    if (c->type == TTLV_BYTE_STRING) {
        kv->material = c->bytes;
    } else if (c->type == TTLV_STRUCTURE && kmip_material_struct(format) >= 0) {
        TRY(kmip_struct_check(cx, kmip_material_struct(format), c));
        kv->structure = c;
    } else {
        return RC_BAD_TYPE;
    }
    for (c = c->next; c && cx->version < V2_0 && c->tag == KMIP_TAG_ATTRIBUTE; c = c->next)
        TRY(attr_read_1x(cx, c, &kv->attributes));
    if (c && cx->version >= V2_0 && c->tag == KMIP_TAG_ATTRIBUTES) {
        TRY(attr_read_set(cx, c, &kv->attributes));
        c = c->next;
    }
    return c ? kmip_misplaced(c, cx->version) : RC_OK;
}

static rc_t read_reference(const struct node *n, struct bytes *plain, uint8_t *type,
                           uint32_t *enumeration, int32_t *integer)
{
    *type = n->type;
    if (n->type == TTLV_ENUMERATION)
        *enumeration = n->enumeration;
    else if (n->type == TTLV_INTEGER)
        *integer = n->integer;
    else
        *plain = n->bytes;
    return RC_OK;
}

/* One value into a member (or element of a repeated one). `base` is the C struct around it. */
static rc_t read_value(const struct kmip_context *cx, const struct kmip_field *f, struct node *n,
                       void *base, void *member)
{
    switch (f->kind) {
    case KMIP_K_NEST: {
        if (f->how == KMIP_MANY || f->how == KMIP_SOME)
            return read_into(cx, kmip_struct(f->ref), n, member);
        return kmip_struct_read(cx, f->ref, n, (void **)member);
    }
    case KMIP_K_OBJECT:
        return read_object(cx, n, (struct kmip_object **)member);
    case KMIP_K_KEYVALUE:
        return read_key_value(cx, n, ((struct kmip_key_block *)base)->key_format_type,
                              (struct kmip_key_value **)member);
    case KMIP_K_CREDENTIAL: {
        int id = kmip_credential_struct(((struct kmip_credential *)base)->type);
        return id < 0 ? RC_BAD_VALUE : kmip_struct_read(cx, id, n, (void **)member);
    }
    case KMIP_K_PAYLOAD: /* the message reader makes the payload itself */
        if (n->type != TTLV_STRUCTURE)
            return RC_BAD_TYPE;
        *(struct node **)member = n;
        return RC_OK;
    case KMIP_K_TEMPLATE:
        return attr_read_template(cx, n, member);
    case KMIP_K_ATTRSET:
        return attr_read_set(cx, n, member);
    case KMIP_K_ATTRONE:
        if (n->count != 1 && n->type == TTLV_STRUCTURE)
            return RC_BAD_ORDER;
        return attr_read_set(cx, n, member);
    case KMIP_K_ATTRLIST:
        return attr_read_1x(cx, n, member);
    default:
        break;
    }
    TRY(kmip_simple_check(f->kind, n, cx->version));
    switch (f->kind) {
    case KMIP_K_ENUM:
    case KMIP_K_OPEN:
        *(uint32_t *)member = n->enumeration;
        return RC_OK;
    case KMIP_K_BIG:
    case KMIP_K_TEXT:
    case KMIP_K_BYTES:
        *(struct bytes *)member = n->bytes;
        return RC_OK;
    case KMIP_K_UID: {
        struct kmip_uid *uid = member;
        return read_reference(n, &uid->text, &uid->type, &uid->enumeration, &uid->integer);
    }
    case KMIP_K_DATA: {
        struct kmip_data *data = member;
        return read_reference(n, &data->bytes, &data->type, &data->enumeration, &data->integer);
    }
    case KMIP_K_NODE:
    case KMIP_K_REST:
        *(struct node **)member = n;
        return RC_OK;
    default:
        *(struct kmip_number *)member = KMIP_NUMBER(number_of(n));
        return RC_OK;
    }
}

/* Attribute Name items, and the Attribute Index after one where the place has room for it. */
static rc_t read_refs(const struct kmip_context *cx, const struct kmip_field *f, struct node **at,
                      struct kmip_attr_refs *refs)
{
    bool many = f->how == KMIP_MANY || f->how == KMIP_SOME;
    size_t count = 0;
    for (const struct node *n = *at; n && n->tag == f->tag; n = n->next) {
        count++;
        if (!many)
            break;
    }
    if (count == 0)
        return f->how == KMIP_ONE || f->how == KMIP_SOME ? kmip_misplaced(*at, cx->version) : RC_OK;
    if (count > limits_of(cx)->attributes)
        return RC_TOO_MANY;
    refs->items = ARENA_ARRAY(cx->arena, count, struct kmip_attr_ref);
    if (!refs->items)
        return RC_NO_MEMORY;
    size_t known = 0;
    for (; refs->count < count; *at = (*at)->next) {
        struct kmip_attr_ref *ref = &refs->items[refs->count++];
        if (f->kind == KMIP_K_REFS)
            TRY(attr_read_ref(cx, *at, ref));
        else
            TRY(attr_read_name(cx, *at, ref));
        known += ref->tag != 0 || ref->name.len > 0;
    }
    /* An unknown reference asks for nothing in a list; alone it is what the request is about. */
    if (known == 0 && f->how != KMIP_MANY)
        return RC_ATTR_UNSUPPORTED;
    if (!many && f->kind == KMIP_K_NAMES && *at && (*at)->tag == KMIP_TAG_ATTRIBUTE_INDEX) {
        if ((*at)->type != TTLV_INTEGER)
            return RC_BAD_TYPE;
        if ((*at)->integer < 0)
            return RC_BAD_VALUE;
        refs->items[0].index = (*at)->integer;
        *at = (*at)->next;
    }
    return RC_OK;
}

static rc_t read_many(const struct kmip_context *cx, const struct kmip_field *f, struct node **at,
                      void *base, struct kmip_list *list)
{
    size_t count = 0;
    for (const struct node *n = *at; n && takes(f, n); n = n->next)
        count++;
    if (count == 0)
        return f->how == KMIP_SOME ? kmip_misplaced(*at, cx->version) : RC_OK;
    if (f->kind == KMIP_K_ATTRLIST) {
        for (; count > 0; count--, *at = (*at)->next)
            TRY(attr_read_1x(cx, *at, (struct kmip_attributes *)(void *)list));
        return RC_OK;
    }
    size_t each = kmip_element_size(f);
    list->items = arena_array(cx->arena, count, each);
    if (!list->items)
        return RC_NO_MEMORY;
    for (; list->count < count; *at = (*at)->next)
        TRY(read_value(cx, f, *at, base, (char *)list->items + each * list->count++));
    return RC_OK;
}

static rc_t read_field(const struct kmip_context *cx, const struct kmip_field *f, struct node **at,
                       void *base)
{
    void *member = (char *)base + f->offset;
    if (f->kind == KMIP_K_NAMES || f->kind == KMIP_K_REFS)
        return read_refs(cx, f, at, member);
    if (f->how == KMIP_MANY || f->how == KMIP_SOME)
        return read_many(cx, f, at, base, member);
    if (!*at || !takes(f, *at))
        return f->how == KMIP_ONE ? kmip_misplaced(*at, cx->version) : RC_OK;
    TRY(read_value(cx, f, *at, base, member));
    *at = (*at)->next;
    return RC_OK;
}

static rc_t read_into(const struct kmip_context *cx, const struct kmip_struct *s,
                      const struct node *in, void *base)
{
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    struct node *at = in->first;
    for (size_t i = 0; i < s->count; i++)
        if (field_in(&s->fields[i], cx->version))
            TRY(read_field(cx, &s->fields[i], &at, base));
    return at ? kmip_misplaced(at, cx->version) : RC_OK;
}

rc_t kmip_struct_read(const struct kmip_context *cx, int id, const struct node *in, void **out)
{
    void *base = kmip_struct_new(cx->arena, id);
    if (!base)
        return RC_NO_MEMORY;
    *out = base;
    return read_into(cx, kmip_struct(id), in, base);
}

rc_t kmip_struct_check(const struct kmip_context *cx, int id, const struct node *in)
{
    const struct kmip_struct *s = kmip_struct(id);
    if (in->type != TTLV_STRUCTURE)
        return RC_BAD_TYPE;
    const struct node *n = in->first;
    for (size_t i = 0; i < s->count; i++) {
        const struct kmip_field *f = &s->fields[i];
        if (!field_in(f, cx->version))
            continue;
        bool many = f->how == KMIP_MANY || f->how == KMIP_SOME;
        bool found = false;
        for (; n && takes(f, n) && (many || !found); n = n->next) {
            TRY(kmip_simple_check(f->kind, n, cx->version));
            found = true;
        }
        if (!found && !cx->partial && (f->how == KMIP_ONE || f->how == KMIP_SOME))
            return kmip_misplaced(n, cx->version);
    }
    return n ? kmip_misplaced(n, cx->version) : RC_OK;
}
