/*
 * Query and Discover Versions: what this server really offers, by version; no list promises more
 * than the tables hold. KMIP 1.4, 4.25 and 4.26; KMIP 2.1, 6.1.40 and 6.1.16.
 */
#include "server/ops/op.h"

static const char vendor[] = "Holdfast";

/* Our one extension: a text in Server Information that tells what kind of TPM holds the root. */
enum { TAG_TPM_TYPE = 0x540001 };
static const char tpm_type_name[] = "TPM Type";

typedef rc_t answer_fn(struct op_item *it, struct kmip_query_response *out);

static rc_t add_enums(struct arena *a, struct kmip_enums *list, size_t room)
{
    list->items = ARENA_ARRAY(a, room, uint32_t);
    return list->items ? RC_OK : RC_NO_MEMORY;
}

static rc_t query_operations(struct op_item *it, struct kmip_query_response *out)
{
    size_t count;
    const struct op *ops = op_table(&count);
    TRY(add_enums(it->arena, &out->operations, count));
    for (size_t i = 0; i < count; i++)
        if (op_offered(&ops[i], it->version, it->server))
            out->operations.items[out->operations.count++] = ops[i].code;
    return RC_OK;
}

static rc_t query_objects(struct op_item *it, struct kmip_query_response *out)
{
    static const uint32_t types[] = {
        KMIP_OBJECT_CERTIFICATE, KMIP_OBJECT_SYMMETRIC_KEY, KMIP_OBJECT_PUBLIC_KEY,    KMIP_OBJECT_PRIVATE_KEY,
        KMIP_OBJECT_TEMPLATE,    KMIP_OBJECT_SECRET_DATA,   KMIP_OBJECT_OPAQUE_OBJECT,
    };
    enum { COUNT = sizeof types / sizeof types[0] };
    TRY(add_enums(it->arena, &out->object_types, COUNT));
    for (size_t i = 0; i < COUNT; i++)
        if (kmip_enum_known(KMIP_TAG_OBJECT_TYPE, types[i], it->version))
            out->object_types.items[out->object_types.count++] = types[i];
    return RC_OK;
}

static rc_t query_server(struct op_item *it, struct kmip_query_response *out)
{
    struct arena *a = it->arena;
    const struct op_server *facts = it->server;
    struct kmip_server_information *info = KMIP_NEW(a, server_information);
    if (!info)
        return RC_NO_MEMORY;
    out->vendor_identification = bytes_str(vendor);
    info->server_name = bytes_str(facts->node);
    info->server_version = bytes_str(facts->version);
    info->product_name = bytes_str(vendor);
    if (facts->tpm_label) {
        struct node *label = node_text(a, TAG_TPM_TYPE, bytes_str(facts->tpm_label));
        info->vendor_specific.items = ARENA_ARRAY(a, 1, struct node *);
        if (!label || !info->vendor_specific.items)
            return RC_NO_MEMORY;
        info->vendor_specific.items[info->vendor_specific.count++] = label;
    }
    out->server_information = info;
    return RC_OK;
}

/* Extension Map tells tag and type, Extension List the name alone; the map prevails. */
static rc_t extension(struct op_item *it, struct kmip_query_response *out, bool map)
{
    struct kmip_extension_information *e = out->extension_information.items;
    if (!e && !(e = ARENA_ARRAY(it->arena, 1, struct kmip_extension_information)))
        return RC_NO_MEMORY;
    out->extension_information.items = e;
    out->extension_information.count = 1;
    e->name = bytes_str(tpm_type_name);
    if (map) {
        e->tag = KMIP_NUMBER(TAG_TPM_TYPE);
        e->type = KMIP_NUMBER(TTLV_TEXT_STRING);
        e->item_type = TTLV_TEXT_STRING;
    }
    return RC_OK;
}

static rc_t query_extension_list(struct op_item *it, struct kmip_query_response *out)
{
    return extension(it, out, false);
}

static rc_t query_extension_map(struct op_item *it, struct kmip_query_response *out)
{
    return extension(it, out, true);
}

static rc_t query_rngs(struct op_item *it, struct kmip_query_response *out)
{
    struct kmip_rng_parameters *rng = ARENA_ARRAY(it->arena, 1, struct kmip_rng_parameters);
    if (!rng)
        return RC_NO_MEMORY;
    /* The same as attrs_rng_node() writes on generated keys. */
    rng->rng_algorithm = KMIP_RNG_ALGORITHM_DRBG;
    rng->cryptographic_algorithm = KMIP_ALGORITHM_AES;
    rng->cryptographic_length = KMIP_NUMBER(256);
    rng->drbg_algorithm = KMIP_DRBG_ALGORITHM_CTR;
    rng->prediction_resistance = KMIP_NUMBER(false);
    out->rng_parameters.items = rng;
    out->rng_parameters.count = 1;
    return RC_OK;
}

static rc_t query_capabilities(struct op_item *it, struct kmip_query_response *out)
{
    struct kmip_capability_information *c =
        ARENA_ARRAY(it->arena, 1, struct kmip_capability_information);
    if (!c)
        return RC_NO_MEMORY;
    c->streaming = KMIP_NUMBER(false);
    c->asynchronous = KMIP_NUMBER(false);
    c->attestation = KMIP_NUMBER(false);
    c->batch_undo = KMIP_NUMBER(true);
    c->batch_continue = KMIP_NUMBER(true);
    c->unwrap_mode = KMIP_UNWRAP_MODE_UNSPECIFIED;
    c->destroy_action = KMIP_DESTROY_ACTION_KEY_MATERIAL_DELETED;
    c->shredding_algorithm = KMIP_SHREDDING_ALGORITHM_UNSUPPORTED;
    c->rng_mode = KMIP_RNG_MODE_UNSPECIFIED;
    c->quantum_safe = KMIP_NUMBER(false);
    out->capability_information.items = c;
    out->capability_information.count = 1;
    return RC_OK;
}

static rc_t query_registration(struct op_item *it, struct kmip_query_response *out)
{
    TRY(add_enums(it->arena, &out->client_registration_methods, 2));
    struct kmip_enums *list = &out->client_registration_methods;
    list->items[list->count++] = KMIP_CLIENT_REGISTRATION_METHOD_SERVER_PRE_GENERATED;
    list->items[list->count++] = KMIP_CLIENT_REGISTRATION_METHOD_CLIENT_GENERATED;
    return RC_OK;
}

/* Create makes AES keys of 256 bits when no length is given. */
static rc_t query_defaults(struct op_item *it, struct kmip_query_response *out)
{
    struct kmip_defaults_information *d = KMIP_NEW(it->arena, defaults_information);
    struct kmip_object_defaults *o = ARENA_ARRAY(it->arena, 1, struct kmip_object_defaults);
    if (!d || !o)
        return RC_NO_MEMORY;
    o->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    o->attributes.present = true;
    TRY(kmip_attributes_add_integer(it->arena, &o->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256));
    d->object_defaults.items = o;
    d->object_defaults.count = 1;
    out->defaults_information = d;
    return RC_OK;
}

static rc_t query_storage(struct op_item *it, struct kmip_query_response *out)
{
    struct kmip_protection_storage_masks *m = KMIP_NEW(it->arena, protection_storage_masks);
    struct kmip_number *one = ARENA_NEW(it->arena, struct kmip_number);
    if (!m || !one)
        return RC_NO_MEMORY;
    *one = KMIP_NUMBER(ATTRS_STORAGE);
    m->masks.items = one;
    m->masks.count = 1;
    out->protection_storage_masks = m;
    return RC_OK;
}

/* In this order: the map stands after the list, and so prevails. Functions without a line here
 * (namespaces, attestation, validations, profiles) have nothing to tell. */
static const struct {
    uint32_t function;
    answer_fn *answer;
} answers[] = {
    {KMIP_QUERY_QUERY_OPERATIONS, query_operations},
    {KMIP_QUERY_QUERY_OBJECTS, query_objects},
    {KMIP_QUERY_QUERY_SERVER_INFORMATION, query_server},
    {KMIP_QUERY_QUERY_EXTENSION_LIST, query_extension_list},
    {KMIP_QUERY_QUERY_EXTENSION_MAP, query_extension_map},
    {KMIP_QUERY_QUERY_RNGS, query_rngs},
    {KMIP_QUERY_QUERY_CAPABILITIES, query_capabilities},
    {KMIP_QUERY_QUERY_CLIENT_REGISTRATION_METHODS, query_registration},
    {KMIP_QUERY_QUERY_DEFAULTS_INFORMATION, query_defaults},
    {KMIP_QUERY_QUERY_STORAGE_PROTECTION_MASKS, query_storage},
};

static bool asks(const struct kmip_query_request *in, uint32_t function)
{
    for (size_t i = 0; i < in->query_functions.count; i++)
        if (in->query_functions.items[i] == function)
            return true;
    return false;
}

rc_t query_perform(struct op_item *it)
{
    const struct kmip_query_request *in = it->request;
    struct kmip_query_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (asks(in, answers[i].function))
            TRY(answers[i].answer(it, out));
    return RC_OK;
}

rc_t discover_perform(struct op_item *it)
{
    const struct kmip_discover_versions *in = it->request;
    struct kmip_discover_versions *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    struct kmip_protocol_version *list =
        ARENA_ARRAY(it->arena, KMIP_VERSION_COUNT, struct kmip_protocol_version);
    if (!list)
        return RC_NO_MEMORY;
    out->protocol_versions.items = list;
    for (size_t i = 0; i < KMIP_VERSION_COUNT; i++) {
        bool shared = in->protocol_versions.count == 0;
        for (size_t j = 0; j < in->protocol_versions.count && !shared; j++)
            shared = kmip_version_of(&in->protocol_versions.items[j]) == kmip_versions[i];
        if (shared)
            list[out->protocol_versions.count++] = (struct kmip_protocol_version){
                KMIP_NUMBER(kmip_versions[i] >> 8), KMIP_NUMBER(kmip_versions[i] & 0xFF)};
    }
    return RC_OK;
}
