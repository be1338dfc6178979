/*
 * Create and Register: new objects. The vault makes or takes the material and signs the first
 * control record; names, dates, masks and all other attributes come from the client within the
 * rules of attrs.c. KMIP 1.4, 4.1 and 4.3; KMIP 2.1, 6.1.8 and 6.1.43.
 */
#include "server/base/symmetric.h"
#include "server/ops/making.h"
#include "server/ops/template.h"

rc_t making_begin(struct op_item *it, uint32_t type, struct making **out)
{
    struct making *m = ARENA_NEW(it->arena, struct making);
    if (!m)
        return RC_NO_MEMORY;
    struct control *c = &m->object.control;
    attrs_blank(&m->object);
    TRY(uid_new(&c->uid));
    c->version = 1;
    c->domain = it->who->domain;
    c->owner = it->who->client;
    c->object_type = type;
    c->protection = PROTECTION_TPM_ROOTED;
    c->initial_date = it->now;
    m->object.last_change_date = it->now;
    it->own = m;
    it->drafts[it->draft_count++] = &m->object;
    it->subject = c->uid;
    *out = m;
    return RC_OK;
}

bool making_storage_fits(const struct kmip_protection_storage_masks *masks)
{
    if (!masks || masks->masks.count == 0)
        return true;
    for (size_t i = 0; i < masks->masks.count; i++)
        if ((masks->masks.items[i].value & ~(int64_t)ATTRS_STORAGE) == 0)
            return true;
    return false;
}

static rc_t check_storage(const struct kmip_protection_storage_masks *masks)
{
    return making_storage_fits(masks) ? RC_OK : RC_STORAGE_UNAVAILABLE;
}

rc_t making_server_attributes(struct op_item *it, struct making *m)
{
    struct arena *a = it->arena;
    const struct kmip_attribute *quantum = kmip_attributes_find(&m->rest, KMIP_TAG_QUANTUM_SAFE, 0);
    if (quantum && quantum->value->boolean)
        return RC_NOT_QUANTUM_SAFE; /* not claimed, so not promised */
    TRY(attrs_first_state(&m->object, it->now));
    attrs_first_protection(&m->object);
    if (!kmip_attributes_find(&m->rest, KMIP_TAG_FRESH, 0))
        TRY(kmip_attributes_add_boolean(a, &m->rest, KMIP_TAG_FRESH, true));
    return kmip_attributes_add_integer(a, &m->rest, KMIP_TAG_PROTECTION_STORAGE_MASK,
                                       ATTRS_STORAGE);
}

rc_t making_made_here(struct op_item *it, struct making *m)
{
    TRY(kmip_attributes_add_date(it->arena, &m->rest, KMIP_TAG_ORIGINAL_CREATION_DATE, it->now));
    return attrs_add_rng(it->arena, &m->rest);
}

rc_t making_finish(struct op_item *it, struct making *m, const struct making_sealed *sealed)
{
    memcpy(m->object.control_mac, sealed->mac, sizeof m->object.control_mac);
    m->object.material = sealed->envelope;
    if (m->object.control.object_type != KMIP_OBJECT_TEMPLATE) /* the one object without material */
        TRY(attrs_add_digest(it->arena, &m->rest, sealed->digest, sealed->digest_format));
    if (sealed->other_format)
        TRY(attrs_add_digest(it->arena, &m->rest, sealed->other_digest, sealed->other_format));
    TRY(attrs_store(it->arena, &m->object, &m->rest));
    op_insert(it, &m->object);
    return RC_OK;
}

/* The one object of Create and Register. */
static rc_t finish(struct op_item *it, struct making *m, uint32_t digest_format)
{
    const struct vault_reply *reply = &it->replies[0];
    const struct making_sealed sealed = {reply->mac,      reply->digest, reply->other_digest,
                                         reply->envelope, digest_format, reply->other_format};
    TRY(making_finish(it, m, &sealed));
    it->id_effect = ID_SET;
    it->result_id = m->object.control.uid;
    return RC_OK;
}

/* ---- Create --------------------------------------------------------------------------------- */

static rc_t choose_length(struct control *c)
{
    if (c->algorithm == 0)
        return RC_MISSING_DATA;
    const struct symmetric *s = symmetric_find(c->algorithm);
    if (!s)
        return RC_ATTR_VALUE;
    if (c->length == 0)
        c->length = s->preset;
    if (c->length == 0)
        return RC_MISSING_DATA;
    return symmetric_bytes(s, c->length) ? RC_OK : RC_ATTR_VALUE;
}

rc_t create_prepare(struct op_item *it)
{
    const struct kmip_create_request *in = it->request;
    if (in->object_type != KMIP_OBJECT_SYMMETRIC_KEY)
        return RC_OBJECT_TYPE;
    TRY(check_storage(in->protection_storage_masks));
    struct making *m;
    TRY(making_begin(it, in->object_type, &m));
    TRY(attrs_take(it->arena, it->version, ATTRS_CREATE, &it->limits->attrs, &in->attributes,
                   &m->object, &m->rest));
    TRY(choose_length(&m->object.control));
    if (m->object.key_format == 0)
        m->object.key_format = KMIP_FORMAT_RAW;
    if (m->object.key_format != KMIP_FORMAT_RAW &&
        m->object.key_format != KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY)
        return RC_KEY_FORMAT;
    TRY(making_made_here(it, m));
    return making_server_attributes(it, m);
}

rc_t create_perform(struct op_item *it)
{
    struct making *m = it->own;
    it->calls[it->call_count++] = (struct vault_call){
        .op = VAULT_GENERATE,
        .domain = m->object.control.domain,
        .control = m->object.control,
        .key_format = m->object.key_format,
    };
    return RC_OK;
}

rc_t create_complete(struct op_item *it)
{
    struct making *m = it->own;
    TRY(finish(it, m, KMIP_FORMAT_RAW));
    struct kmip_create_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->object_type = m->object.control.object_type;
    out->unique_identifier = op_uid_out(it->arena, &it->result_id);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}

/* ---- Register ------------------------------------------------------------------------------- */

rc_t making_agree(uint32_t *mine, int64_t given)
{
    if (given == 0)
        return RC_OK;
    if (given < 0 || given > UINT32_MAX)
        return RC_INVALID_FIELD;
    if (*mine && *mine != (uint32_t)given)
        return RC_INVALID_FIELD;
    *mine = (uint32_t)given;
    return RC_OK;
}

/* The length against the bytes that came. */
static rc_t check_symmetric(struct making *m)
{
    struct control *c = &m->object.control;
    if (c->algorithm == 0)
        return RC_MISSING_DATA;
    const struct symmetric *s = symmetric_find(c->algorithm);
    if (!s)
        return RC_BAD_CRYPTO_PARAMS;
    if (c->length == 0)
        c->length = symmetric_bits(s, m->material.len);
    return m->material.len && symmetric_bytes(s, c->length) == m->material.len ? RC_OK : RC_INVALID_FIELD;
}

/* The bytes of a key block: Raw, Opaque, or a transparent symmetric key. */
static rc_t take_key_block(struct making *m, const struct kmip_key_block *block, bool symmetric)
{
    struct control *c = &m->object.control;
    if (block->key_wrapping_data)
        return RC_WRAP_UNSUPPORTED;
    if (block->key_compression_type)
        return RC_KEY_COMPRESSION;
    if (!block->key_value)
        return RC_NO_KEY_VALUE;
    if (block->key_value->wrapped.data)
        return RC_WRAP_UNSUPPORTED;
    TRY(making_agree(&c->algorithm, block->cryptographic_algorithm));
    if (block->cryptographic_length.set)
        TRY(making_agree(&c->length, block->cryptographic_length.value));
    m->object.key_format = block->key_format_type;
    m->material = block->key_value->material;
    switch (block->key_format_type) {
    case KMIP_FORMAT_RAW:
        break;
    case KMIP_FORMAT_OPAQUE:
        if (symmetric)
            return RC_KEY_FORMAT;
        break;
    case KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY: {
        const struct node *key = node_child(block->key_value->structure, KMIP_TAG_KEY);
        if (!symmetric || !key || key->type != TTLV_BYTE_STRING)
            return RC_KEY_FORMAT;
        m->material = key->bytes;
        break;
    }
    default:
        return RC_KEY_FORMAT;
    }
    return m->material.len ? RC_OK : RC_INVALID_FIELD;
}

/* Attributes inside the Key Value count like those beside the object, which prevail. */
static rc_t take_inner(struct op_item *it, struct making *m, const struct kmip_attributes *outer,
                       const struct kmip_attributes *inner)
{
    struct kmip_attributes more = {0};
    if (outer->count + inner->count > it->limits->attrs.attributes)
        return RC_ATTR_FULL;
    for (size_t i = 0; i < inner->count; i++) {
        const struct kmip_attribute *at = &inner->items[i];
        if (at->tag == KMIP_TAG_ATTRIBUTE)
            TRY(kmip_attributes_add_vendor(it->arena, &more, at->vendor, at->name, at->value));
        else if (!kmip_attributes_find(outer, at->tag, 0))
            TRY(kmip_attributes_add(it->arena, &more, at->value));
    }
    return attrs_take(it->arena, it->version, ATTRS_REGISTER, &it->limits->attrs, &more, &m->object,
                      &m->rest);
}

static rc_t take_object(struct op_item *it, struct making *m, const struct kmip_object *object)
{
    if (register_is_asymmetric(object->type))
        return register_take_asymmetric(it, m, object);
    switch (object->type) {
    case KMIP_OBJECT_SYMMETRIC_KEY:
        TRY(take_key_block(m, object->symmetric_key->key_block, true));
        return check_symmetric(m);
    case KMIP_OBJECT_SECRET_DATA:
        TRY(attrs_keep_secret_type(it->arena, &m->rest, object->secret_data->type));
        return take_key_block(m, object->secret_data->key_block, false);
    case KMIP_OBJECT_OPAQUE_OBJECT: {
        m->material = object->opaque_object->value;
        m->object.key_format = KMIP_FORMAT_OPAQUE;
        if (m->material.len == 0)
            return RC_INVALID_FIELD;
        return attrs_set(
            it->arena, &m->rest,
            node_enum(it->arena, KMIP_TAG_OPAQUE_DATA_TYPE, object->opaque_object->type));
    }
    default:
        return RC_OBJECT_TYPE;
    }
}

static bool is_offered(uint32_t type)
{
    return type == KMIP_OBJECT_SYMMETRIC_KEY || type == KMIP_OBJECT_SECRET_DATA ||
           type == KMIP_OBJECT_OPAQUE_OBJECT || type == KMIP_OBJECT_TEMPLATE || register_is_asymmetric(type);
}

/* A Template is attributes alone; it has no state of its own, nothing to protect and is never fresh. */
static rc_t take_template(struct op_item *it, struct making *m, const struct kmip_register_request *in)
{
    struct arena *a = it->arena;
    const struct kmip_template *given = in->object->template_object;
    struct kmip_attributes own;
    TRY(template_own(a, &in->attributes, given, &own));
    TRY(attrs_take(a, it->version, ATTRS_REGISTER, &it->limits->attrs, &own, &m->object, &m->rest));
    TRY(template_keep(a, it->version, &it->limits->attrs, given, &m->rest));
    attrs_first_protection(&m->object);
    return attrs_first_state(&m->object, it->now);
}

rc_t register_prepare(struct op_item *it)
{
    const struct kmip_register_request *in = it->request;
    if (!is_offered(in->object_type))
        return RC_OBJECT_TYPE;
    if (!in->object)
        return RC_MISSING_DATA;
    if (in->object->type != in->object_type)
        return RC_INVALID_FIELD;
    TRY(check_storage(in->protection_storage_masks));
    struct making *m;
    TRY(making_begin(it, in->object_type, &m));
    if (in->object_type == KMIP_OBJECT_TEMPLATE)
        return take_template(it, m, in);
    TRY(attrs_take(it->arena, it->version, ATTRS_REGISTER, &it->limits->attrs, &in->attributes,
                   &m->object, &m->rest));
    const struct kmip_key_block *block = kmip_object_key_block(in->object);
    if (block && block->key_value && block->key_value->attributes.count)
        TRY(take_inner(it, m, &in->attributes, &block->key_value->attributes));
    TRY(take_object(it, m, in->object));
    return making_server_attributes(it, m);
}

rc_t register_perform(struct op_item *it)
{
    struct making *m = it->own;
    it->calls[it->call_count++] = (struct vault_call){
        .op = VAULT_REGISTER,
        .domain = m->object.control.domain,
        .control = m->object.control,
        .material = m->material,
        .key_format = m->object.key_format,
    };
    return RC_OK;
}

rc_t register_complete(struct op_item *it)
{
    struct making *m = it->own;
    /* The digest is over the bytes: of a transparent key those of its raw form, with one over the
       structure beside it; it tells the format of keys and secret data alone (KMIP 2.1, 4.21). */
    uint32_t format = m->object.key_format == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY
                          ? KMIP_FORMAT_RAW
                          : m->object.key_format;
    if (m->object.control.object_type == KMIP_OBJECT_OPAQUE_OBJECT)
        format = 0;
    if (register_is_asymmetric(m->object.control.object_type)) {
        TRY(register_told(m, &it->replies[0]));
        if (m->object.control.object_type == KMIP_OBJECT_CERTIFICATE)
            format = 0; /* of keys and secret data alone (KMIP 2.1, 4.21) */
    }
    TRY(finish(it, m, format));
    struct kmip_created_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->unique_identifier = op_uid_out(it->arena, &it->result_id);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}
