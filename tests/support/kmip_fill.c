/* Filling structures by their tables; see kmip_fill.h. */
#include "tests/support/kmip_fill.h"

#include "proto/kmip/struct_parts.h"

uint32_t fill_random(struct fill *f, uint32_t below)
{
    f->state ^= f->state << 13; /* xorshift64 */
    f->state ^= f->state >> 7;
    f->state ^= f->state << 17;
    return below ? (uint32_t)(f->state >> 32) % below : (uint32_t)(f->state >> 32);
}

static struct bytes some_text(struct fill *f)
{
    static const char *const texts[] = {
        "", "a", "key-1", "tape library 7", "\xC3\xA9\xE2\x82\xAC", "0123456789abcdef"};
    return bytes_str(texts[fill_random(f, 6)]);
}

static struct bytes some_bytes(struct fill *f, size_t len)
{
    uint8_t *data = arena_alloc(f->arena, len);
    for (size_t i = 0; data && i < len; i++)
        data[i] = (uint8_t)fill_random(f, 256);
    return bytes_of(data, data ? len : 0);
}

static uint32_t some_value(struct fill *f, uint32_t tag)
{
    size_t count;
    const struct kmip_entry *e = kmip_enum_values(tag, &count);
    if (!e || count == 0)
        return 0x80000001;
    for (size_t tries = 0; tries < 64; tries++) {
        uint32_t value = e[fill_random(f, (uint32_t)count)].value;
        if (kmip_enum_known(tag, value, f->version))
            return value;
    }
    for (size_t i = 0; i < count; i++)
        if (kmip_enum_known(tag, e[i].value, f->version))
            return e[i].value;
    return 0;
}

static struct kmip_uid some_uid(struct fill *f, uint32_t tag)
{
    uint32_t form = f->version >= V2_0 ? fill_random(f, 3) : 0;
    if (form == 1)
        return (struct kmip_uid){.type = TTLV_ENUMERATION, .enumeration = some_value(f, tag)};
    if (form == 2)
        return (struct kmip_uid){.type = TTLV_INTEGER, .integer = (int32_t)fill_random(f, 9)};
    return KMIP_UID_TEXT(bytes_str("0192a0b4-7d1f-7c3e-8f00-0123456789ab"));
}

static struct node *some_node(struct fill *f, uint32_t tag, int depth)
{
    switch (fill_random(f, depth > 2 ? 9 : 10)) {
    case 0:
        return node_integer(f->arena, tag, (int32_t)fill_random(f, 0));
    case 1:
        return node_long(f->arena, tag, (int64_t)fill_random(f, 0) << 20);
    case 2:
        return node_enum(f->arena, tag, fill_random(f, 90));
    case 3:
        return node_boolean(f->arena, tag, fill_random(f, 2));
    case 4:
        return node_text(f->arena, tag, some_text(f));
    case 5:
        return node_bytes(f->arena, tag, some_bytes(f, fill_random(f, 20)));
    case 6:
        return node_big_integer(f->arena, tag, some_bytes(f, 8 + 8 * fill_random(f, 3)));
    case 7:
        return f->version >= V2_0
                   ? node_date_time_extended(f->arena, tag, (int64_t)fill_random(f, 0) * 1001)
                   : node_date_time(f->arena, tag, fill_random(f, 0));
    case 8:
        return node_interval(f->arena, tag, fill_random(f, 0));
    default: {
        struct node *n = node_structure(f->arena, tag);
        uint32_t children = fill_random(f, 4);
        for (uint32_t i = 0; i < children; i++)
            if (node_append(n, some_node(f, 0x540001 + i, depth + 1)) != RC_OK)
                return NULL;
        return n;
    }
    }
}

static struct node *attribute_value(struct fill *f, const struct kmip_attr_info *info)
{
    if (info->tag == KMIP_TAG_UNIQUE_IDENTIFIER) {
        struct kmip_uid uid = some_uid(f, info->tag);
        return uid.type == TTLV_TEXT_STRING   ? node_text(f->arena, info->tag, uid.text)
               : uid.type == TTLV_ENUMERATION ? node_enum(f->arena, info->tag, uid.enumeration)
                                              : node_integer(f->arena, info->tag, uid.integer);
    }
    switch (info->type) {
    case TTLV_STRUCTURE: {
        struct kmip_context cx = {f->arena, f->version, NULL, false};
        struct node *n = NULL;
        void *typed = fill_struct(f, info->structure);
        return typed && kmip_struct_node(&cx, info->structure, info->tag, typed, &n) == RC_OK
                   ? n
                   : NULL;
    }
    case TTLV_INTEGER:
        return node_integer(
            f->arena, info->tag,
            (int32_t)(kmip_is_mask(info->tag)
                          ? fill_random(f, 0) & kmip_mask_known(info->tag, f->version)
                          : fill_random(f, 0)));
    case TTLV_LONG_INTEGER:
        return node_long(f->arena, info->tag, (int64_t)fill_random(f, 0));
    case TTLV_ENUMERATION:
        return node_enum(f->arena, info->tag, some_value(f, info->tag));
    case TTLV_BOOLEAN:
        return node_boolean(f->arena, info->tag, fill_random(f, 2));
    case TTLV_TEXT_STRING:
        return node_text(f->arena, info->tag, some_text(f));
    case TTLV_DATE_TIME:
        return node_date_time(f->arena, info->tag, (int64_t)fill_random(f, 0) - 1000);
    case TTLV_INTERVAL:
        return node_interval(f->arena, info->tag, fill_random(f, 0));
    default:
        return node_bytes(f->arena, info->tag, some_bytes(f, fill_random(f, 20)));
    }
}

void fill_attributes(struct fill *f, struct kmip_attributes *list, size_t count)
{
    size_t all;
    const struct kmip_attr_info *infos = kmip_attr_infos(&all);
    list->present = true;
    size_t tries = 200 + count * 8;
    for (size_t made = 0; made < count && tries > 0; tries--) {
        uint32_t pick = fill_random(f, (uint32_t)all + 4);
        if (pick >= all) {
            bool plain = f->version < V2_0 || pick % 2;
            if (kmip_attributes_add_vendor(f->arena, list, bytes_str(plain ? "x" : "Acme_1.0"),
                                           bytes_str(pick % 3 ? "Batch" : "Rack 4"),
                                           some_node(f, KMIP_TAG_ATTRIBUTE_VALUE, 0)) == RC_OK)
                made++;
            continue;
        }
        const struct kmip_attr_info *info = &infos[pick];
        if (!kmip_attr_known(info->tag, f->version) ||
            (!(info->flags & ATTR_MULTI) && kmip_attributes_find(list, info->tag, 0)))
            continue;
        if (kmip_attributes_add(f->arena, list, attribute_value(f, info)) == RC_OK)
            made++;
    }
}

static void fill_refs(struct fill *f, struct kmip_attr_refs *refs, size_t count, bool single)
{
    struct kmip_attributes some = {0};
    fill_attributes(f, &some, count);
    refs->items = ARENA_ARRAY(f->arena, count, struct kmip_attr_ref);
    for (size_t i = 0; refs->items && i < some.count && i < count; i++) {
        const struct kmip_attribute *from = &some.items[i];
        int32_t index = single && f->version < V2_0 && fill_random(f, 2) ? 3 : -1;
        refs->items[refs->count++] =
            (struct kmip_attr_ref){from->tag, index, from->vendor, from->name};
    }
}

static struct kmip_object *some_object(struct fill *f)
{
    static const uint32_t types[] = {KMIP_OBJECT_SYMMETRIC_KEY, KMIP_OBJECT_SECRET_DATA,
                                     KMIP_OBJECT_OPAQUE_OBJECT, KMIP_OBJECT_CERTIFICATE,
                                     KMIP_OBJECT_PUBLIC_KEY,    KMIP_OBJECT_PRIVATE_KEY,
                                     KMIP_OBJECT_SPLIT_KEY,     KMIP_OBJECT_PGP_KEY,
                                     KMIP_OBJECT_TEMPLATE,      KMIP_OBJECT_CERTIFICATE_REQUEST};
    struct kmip_object *o = ARENA_NEW(f->arena, struct kmip_object);
    do {
        o->type = types[fill_random(f, 10)];
    } while (!kmip_enum_known(KMIP_TAG_OBJECT_TYPE, o->type, f->version));
    o->any = fill_struct(f, kmip_object_struct(o->type));
    return o;
}

static struct kmip_key_value *some_key_value(struct fill *f, uint32_t format)
{
    struct kmip_key_value *kv = ARENA_NEW(f->arena, struct kmip_key_value);
    struct kmip_context cx = {f->arena, f->version, NULL, false};
    int id = kmip_material_struct(format);
    if (fill_random(f, 8) == 0) {
        kv->wrapped = some_bytes(f, 40);
        return kv;
    }
    if (id < 0)
        kv->material = some_bytes(f, 16 + fill_random(f, 17));
    else
        kmip_struct_node(&cx, id, KMIP_TAG_KEY_MATERIAL, fill_struct(f, id), &kv->structure);
    if (fill_random(f, 3) == 0)
        fill_attributes(f, &kv->attributes, 2);
    return kv;
}

static void fill_value(struct fill *f, const struct kmip_field *field, void *base, void *member)
{
    switch (field->kind) {
    case KMIP_K_NEST:
        *(void **)member = fill_struct(f, field->ref);
        return;
    case KMIP_K_OBJECT:
        *(struct kmip_object **)member = some_object(f);
        return;
    case KMIP_K_KEYVALUE:
        *(struct kmip_key_value **)member = some_key_value(f, *(uint32_t *)base);
        return;
    case KMIP_K_CREDENTIAL:
        *(void **)member = fill_struct(f, kmip_credential_struct(*(uint32_t *)base));
        return;
    case KMIP_K_PAYLOAD:
        return;
    case KMIP_K_TEMPLATE:
    case KMIP_K_ATTRSET:
        fill_attributes(f, member, f->every ? 1 + fill_random(f, 6) : 0);
        return;
    case KMIP_K_ATTRONE:
    case KMIP_K_ATTRLIST:
        fill_attributes(f, member, 1);
        return;
    case KMIP_K_ENUM:
    case KMIP_K_OPEN:
        *(uint32_t *)member = some_value(f, field->tag);
        return;
    case KMIP_K_TEXT:
        *(struct bytes *)member = some_text(f);
        return;
    case KMIP_K_BYTES:
        *(struct bytes *)member = some_bytes(f, fill_random(f, 33));
        return;
    case KMIP_K_BIG:
        *(struct bytes *)member = some_bytes(f, 8 * (1 + fill_random(f, 4)));
        return;
    case KMIP_K_UID:
        *(struct kmip_uid *)member = some_uid(f, field->tag);
        return;
    case KMIP_K_DATA:
        *(struct kmip_data *)member = KMIP_DATA(some_bytes(f, fill_random(f, 33)));
        if (f->version >= V2_0 && field->tag == KMIP_TAG_DATA && fill_random(f, 3) == 0)
            *(struct kmip_data *)member = (struct kmip_data){
                .type = TTLV_ENUMERATION, .enumeration = some_value(f, KMIP_TAG_DATA)};
        return;
    case KMIP_K_NODE:
    case KMIP_K_REST:
        *(struct node **)member =
            some_node(f, field->kind == KMIP_K_REST ? 0x540007 : field->tag, 0);
        return;
    case KMIP_K_BOOL:
        *(struct kmip_number *)member = KMIP_NUMBER(fill_random(f, 2));
        return;
    case KMIP_K_MASK:
        *(struct kmip_number *)member =
            KMIP_NUMBER((int32_t)(fill_random(f, 0) & kmip_mask_known(field->tag, f->version)));
        return;
    default:
        *(struct kmip_number *)member = KMIP_NUMBER(fill_random(f, INT32_MAX));
    }
}

static void fill_many(struct fill *f, const struct kmip_field *field, void *base, void *member)
{
    size_t count = 1 + fill_random(f, 3);
    if (field->kind == KMIP_K_ATTRLIST) {
        fill_attributes(f, member, count);
        return;
    }
    struct kmip_list *list = member;
    size_t each = kmip_element_size(field);
    list->items = arena_array(f->arena, count, each);
    for (size_t i = 0; list->items && i < count; i++, list->count++) {
        void *at = (char *)list->items + i * each;
        if (field->kind == KMIP_K_NEST)
            memcpy(at, fill_struct(f, field->ref), each);
        else
            fill_value(f, field, base, at);
    }
}

void *fill_struct(struct fill *f, int id)
{
    const struct kmip_struct *s = kmip_struct(id);
    char *base = kmip_struct_new(f->arena, id);
    if (!s || !base)
        return NULL;
    for (size_t i = 0; i < s->count; i++) {
        const struct kmip_field *field = &s->fields[i];
        if (!field_in(field, f->version))
            continue;
        bool required = field->how == KMIP_ONE || field->how == KMIP_SOME;
        if (!required && (f->every == 0 || (f->every == 2 && fill_random(f, 2))))
            continue;
        void *member = base + field->offset;
        if (field->kind == KMIP_K_NAMES || field->kind == KMIP_K_REFS)
            fill_refs(f, member, field->how == KMIP_ONE || field->how == KMIP_OPT ? 1 : 3,
                      field->kind == KMIP_K_NAMES && field->how == KMIP_ONE);
        else if (field->how == KMIP_MANY || field->how == KMIP_SOME)
            fill_many(f, field, base, member);
        else
            fill_value(f, field, base, member);
    }
    return base;
}

struct kmip_request *fill_request(struct fill *f, const uint32_t *operations, size_t count)
{
    struct kmip_request *rq = kmip_request_new(f->arena, f->version, count);
    rq->header = fill_struct(f, KMIP_S_request_header);
    for (size_t i = 0; i < count; i++) {
        rq->items[i] = *(struct kmip_request_item *)fill_struct(f, KMIP_S_request_item);
        rq->items[i].operation = operations[i];
        rq->items[i].payload = fill_struct(f, kmip_request_payload(operations[i]));
        for (size_t k = 0; k < rq->items[i].extensions.count; k++)
            rq->items[i].extensions.items[k].critical = KMIP_NUMBER(0);
    }
    return rq;
}

struct kmip_response *fill_response(struct fill *f, const uint32_t *operations, size_t count)
{
    struct kmip_response *rs = kmip_response_new(f->arena, f->version, count);
    rs->header = fill_struct(f, KMIP_S_response_header);
    for (size_t i = 0; i < count; i++) {
        rs->items[i] = *(struct kmip_response_item *)fill_struct(f, KMIP_S_response_item);
        rs->items[i].operation = operations[i];
        rs->items[i].payload = fill_struct(f, kmip_response_payload(operations[i]));
        for (size_t k = 0; k < rs->items[i].extensions.count; k++)
            rs->items[i].extensions.items[k].critical = KMIP_NUMBER(0);
    }
    return rs;
}
