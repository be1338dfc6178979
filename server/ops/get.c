/*
 * Get: the object with its material, which the vault opens. The first Get of an object ends its
 * freshness, and so changes it. Wrapped delivery is not offered yet. KMIP 1.4, 4.11;
 * KMIP 2.1, 6.1.19.
 */
#include "server/ops/op.h"
#include "server/ops/template.h"

rc_t get_prepare(struct op_item *it)
{
    const struct kmip_get_request *in = it->request;
    if (in->key_wrapping_specification)
        return RC_WRAP_UNSUPPORTED;
    op_want_object(it, &in->unique_identifier, DB_WANT_MATERIAL | DB_WANT_FRESHNESS);
    return RC_OK;
}

static bool is_key_of_pair(uint32_t object_type)
{
    return object_type == KMIP_OBJECT_PRIVATE_KEY || object_type == KMIP_OBJECT_PUBLIC_KEY;
}

/* A format that the version lacks cannot be told: the nearest one that each has. */
static uint32_t stored_format(const struct op_item *it)
{
    uint32_t stored = it->object->key_format;
    if (kmip_enum_known(KMIP_TAG_KEY_FORMAT_TYPE, stored, it->version))
        return stored;
    if (it->object->control.object_type == KMIP_OBJECT_PRIVATE_KEY)
        return KMIP_FORMAT_PKCS8;
    return it->object->control.object_type == KMIP_OBJECT_PUBLIC_KEY ? KMIP_FORMAT_X_509 : stored;
}

/* The format to answer in, or 0 if the object cannot be given in the one asked for. Those of the
 * keys of a pair go into each other in the vault. */
static uint32_t format_for(const struct op_item *it, uint32_t asked)
{
    uint32_t stored = it->object->key_format, type = it->object->control.object_type;
    if (asked == 0)
        return stored_format(it);
    if (asked == stored || is_key_of_pair(type))
        return asked;
    if (type != KMIP_OBJECT_SYMMETRIC_KEY)
        return 0;
    bool both = (asked == KMIP_FORMAT_RAW || asked == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY) &&
                (stored == KMIP_FORMAT_RAW || stored == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY);
    return both ? asked : 0;
}

struct getting {
    uint32_t format;
    uint32_t secret_type;
    uint32_t opaque_type;
};

static rc_t end_freshness(struct op_item *it, struct kmip_attributes *rest)
{
    const struct kmip_attribute *fresh = kmip_attributes_find(rest, KMIP_TAG_FRESH, 0);
    if (!fresh || !fresh->value->boolean)
        return RC_OK;
    struct object *o = op_change(it, DB_UPDATE);
    if (!o)
        return RC_NO_MEMORY;
    TRY(attrs_set(it->arena, rest, node_boolean(it->arena, KMIP_TAG_FRESH, false)));
    TRY(attrs_store(it->arena, o, rest));
    op_ask_transition(it);
    return RC_OK;
}

/* The answer, but for the object. */
static rc_t respond(struct op_item *it, struct kmip_object *object)
{
    struct kmip_get_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->object_type = object->type;
    out->object = object;
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}

/* A Template is given as it was registered, as far as the version knows what it holds. Nothing of it is sealed. */
static rc_t get_template(struct op_item *it)
{
    const struct kmip_get_request *in = it->request;
    if (in->key_format_type || in->key_compression_type)
        return RC_KEY_FORMAT;
    struct kmip_attributes held;
    struct kmip_object *object = ARENA_NEW(it->arena, struct kmip_object);
    struct kmip_template *template = KMIP_NEW(it->arena, template);
    if (!object || !template)
        return RC_NO_MEMORY;
    TRY(template_held(it->arena, it->object, &held));
    TRY(kmip_attributes_for_version(it->arena, &held, it->version, &template->attributes));
    for (size_t i = 0; i < template->attributes.count; i++)
        if (template->attributes.items[i].index == 0)
            template->attributes.items[i].index = -1; /* understood (KMIP 1.4, 2.1.1) */
    object->type = KMIP_OBJECT_TEMPLATE;
    object->template_object = template;
    return respond(it, object);
}

/* Whether the object itself has parts that are kept among the attributes. */
static bool needs_attributes(uint32_t object_type)
{
    return object_type == KMIP_OBJECT_SECRET_DATA || object_type == KMIP_OBJECT_OPAQUE_OBJECT;
}

rc_t get_perform(struct op_item *it)
{
    const struct kmip_get_request *in = it->request;
    const struct control *c = &it->object->control;
    uint32_t state = control_effective_state(c, it->now);
    if (state == STATE_DESTROYED || state == STATE_DESTROYED_COMPROMISED)
        return RC_MATERIAL_GONE;
    if (c->object_type == KMIP_OBJECT_TEMPLATE)
        return get_template(it);
    if (!c->extractable)
        return RC_NOT_EXTRACTABLE;
    if (c->sensitive)
        return RC_SENSITIVE;
    if (in->key_compression_type)
        return RC_KEY_COMPRESSION; /* for elliptic curve public keys only */
    struct getting *g = ARENA_NEW(it->arena, struct getting);
    if (!g)
        return RC_NO_MEMORY;
    it->own = g;
    g->format = format_for(it, in->key_format_type);
    if (g->format == 0)
        return RC_KEY_FORMAT;
    struct vault_call *call = &it->calls[it->call_count++];
    *call = (struct vault_call){
        .op = VAULT_GET, .domain = c->domain, .control = *c, .material = it->object->material};
    if (is_key_of_pair(c->object_type))
        call->key_format = g->format;
    memcpy(call->mac, it->object->control_mac, sizeof call->mac);
    /* A key that was served before needs nothing of its other attributes. */
    if (!needs_attributes(c->object_type) && !attrs_may_be_fresh(it->object))
        return RC_OK;
    struct kmip_attributes rest;
    TRY(attrs_load(it->arena, it->object, &rest));
    g->secret_type = attrs_secret_type(&rest);
    const struct kmip_attribute *opaque = kmip_attributes_find(&rest, KMIP_TAG_OPAQUE_DATA_TYPE, 0);
    g->opaque_type = opaque ? opaque->value->enumeration : 0;
    return end_freshness(it, &rest);
}

/* A structure, of which the vault gave the TTLV bytes, that views them; or NULL. */
static struct node *material_structure(struct op_item *it)
{
    struct node *material = NULL;
    rc_t rc = ttlv_read(it->arena, it->replies[0].plain, NULL, &material);
    return rc == RC_OK && material->tag == KMIP_TAG_KEY_MATERIAL ? material : NULL;
}

static bool is_transparent(uint32_t format)
{
    return format >= KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY &&
           format <= KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY;
}

static struct kmip_key_block *key_block(struct op_item *it, const struct getting *g)
{
    struct arena *a = it->arena;
    const struct control *c = &it->object->control;
    struct kmip_key_block *block = KMIP_NEW(a, key_block);
    struct kmip_key_value *value = ARENA_NEW(a, struct kmip_key_value);
    if (!block || !value)
        return NULL;
    if (g->format == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY) {
        value->structure = node_structure(a, KMIP_TAG_KEY_MATERIAL);
        if (!value->structure ||
            node_append(value->structure, node_bytes(a, KMIP_TAG_KEY, it->replies[0].plain)) !=
                RC_OK)
            return NULL;
    } else if (is_transparent(g->format)) {
        value->structure = material_structure(it);
        if (!value->structure)
            return NULL;
    } else {
        value->material = it->replies[0].plain;
    }
    block->key_format_type = g->format;
    block->key_value = value;
    block->cryptographic_algorithm = c->algorithm;
    if (c->length)
        block->cryptographic_length = KMIP_NUMBER(c->length);
    return block;
}

static rc_t fill_object(struct op_item *it, const struct getting *g, struct kmip_object *object)
{
    struct arena *a = it->arena;
    switch (object->type) {
    case KMIP_OBJECT_SYMMETRIC_KEY:
        object->symmetric_key = KMIP_NEW(a, symmetric_key);
        if (!object->symmetric_key || !(object->symmetric_key->key_block = key_block(it, g)))
            return RC_NO_MEMORY;
        return RC_OK;
    case KMIP_OBJECT_PRIVATE_KEY:
        object->private_key = KMIP_NEW(a, private_key);
        if (!object->private_key || !(object->private_key->key_block = key_block(it, g)))
            return RC_NO_MEMORY;
        return RC_OK;
    case KMIP_OBJECT_PUBLIC_KEY:
        object->public_key = KMIP_NEW(a, public_key);
        if (!object->public_key || !(object->public_key->key_block = key_block(it, g)))
            return RC_NO_MEMORY;
        return RC_OK;
    case KMIP_OBJECT_CERTIFICATE:
        object->certificate = KMIP_NEW(a, certificate);
        if (!object->certificate)
            return RC_NO_MEMORY;
        object->certificate->type = KMIP_CERTIFICATE_X_509; /* no other is taken */
        object->certificate->value = it->replies[0].plain;
        return RC_OK;
    case KMIP_OBJECT_SECRET_DATA:
        object->secret_data = KMIP_NEW(a, secret_data);
        if (!object->secret_data || !(object->secret_data->key_block = key_block(it, g)))
            return RC_NO_MEMORY;
        object->secret_data->type = g->secret_type;
        return RC_OK;
    case KMIP_OBJECT_OPAQUE_OBJECT:
        object->opaque_object = KMIP_NEW(a, opaque_object);
        if (!object->opaque_object)
            return RC_NO_MEMORY;
        object->opaque_object->type = g->opaque_type;
        object->opaque_object->value = it->replies[0].plain;
        return RC_OK;
    default:
        return RC_INTEGRITY; /* no such object was ever stored */
    }
}

rc_t get_complete(struct op_item *it)
{
    if (it->response)
        return RC_OK; /* a Template: all is said */
    if (it->change_count)
        op_take_signature(it, 0, 1);
    struct kmip_object *object = ARENA_NEW(it->arena, struct kmip_object);
    if (!object)
        return RC_NO_MEMORY;
    object->type = it->object->control.object_type;
    TRY(fill_object(it, it->own, object));
    return respond(it, object);
}
