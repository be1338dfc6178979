/*
 * The tables of all structures, and the small maps between object types, formats and structures.
 */
#include "proto/kmip/struct_parts.h"

#include <stddef.h>

/* clang-format off */
#define OPERATION(name, request, response)
#define BEGIN(name)                                                                                \
    static const struct kmip_struct *table_##name(void)                                            \
    {                                                                                              \
        typedef struct kmip_##name self;                                                           \
        static const char called[] = #name;                                                        \
        static const struct kmip_field fields[] = {
#define FIELD(how, kind, member, tag, since, until)                                                \
            {KMIP_TAG_##tag, offsetof(self, member), since, until, KMIP_##how, KMIP_K_##kind, -1},
#define SAME FIELD
#define NEST(how, ref, member, tag, since, until)                                                  \
            {KMIP_TAG_##tag, offsetof(self, member), since, until, KMIP_##how, KMIP_K_NEST, KMIP_S_##ref},
#define END(name)                                                                                  \
            {0, 0, 0, 0, 0, 0, -1}};                                                               \
        static const struct kmip_struct table = {                                                  \
            called, sizeof(self), sizeof fields / sizeof fields[0] - 1, fields};                   \
        return &table;                                                                             \
    }
#include "proto/kmip/structures.def"
#undef OPERATION
#undef BEGIN
#undef FIELD
#undef SAME
#undef NEST
#undef END

static const struct kmip_struct *(*const structs[])(void) = {
#define BEGIN(name) [KMIP_S_##name] = table_##name,
#define FIELD(how, kind, member, tag, since, until)
#define SAME(how, kind, member, tag, since, until)
#define NEST(how, ref, member, tag, since, until)
#define END(name)
#define OPERATION(name, request, response)
#include "proto/kmip/structures.def"
#undef BEGIN
#undef OPERATION
#define BEGIN(name)
};

static const struct {
    int16_t request, response;
} payloads[] = {
#define OPERATION(name, request_, response_) \
    [KMIP_OP_##name] = {KMIP_S_##request_, KMIP_S_##response_},
#include "proto/kmip/operations.def"
};
#undef BEGIN
#undef FIELD
#undef SAME
#undef NEST
#undef END
#undef OPERATION
/* clang-format on */

enum { PAYLOAD_COUNT = sizeof payloads / sizeof payloads[0] };

const struct kmip_struct *kmip_struct(int id)
{
    return id >= 0 && id < KMIP_S_COUNT ? structs[id]() : NULL;
}

/* Every operation has a line, and no payload is the first structure of all, so 0 means a hole. */
int kmip_request_payload(uint32_t operation)
{
    return operation < PAYLOAD_COUNT && payloads[operation].request ? payloads[operation].request
                                                                    : -1;
}

int kmip_response_payload(uint32_t operation)
{
    return operation < PAYLOAD_COUNT && payloads[operation].response ? payloads[operation].response
                                                                     : -1;
}

void *kmip_struct_new(struct arena *a, int id)
{
    const struct kmip_struct *s = kmip_struct(id);
    return s ? arena_alloc(a, s->size) : NULL;
}

void *kmip_payload_new(struct arena *a, uint32_t operation, bool response)
{
    return kmip_struct_new(a, response ? kmip_response_payload(operation)
                                       : kmip_request_payload(operation));
}

size_t kmip_payload_templates(uint32_t operation, uint16_t version, void *payload, struct kmip_attributes **lists,
                              size_t most)
{
    const struct kmip_struct *s = kmip_struct(kmip_request_payload(operation));
    size_t count = 0;
    for (size_t i = 0; s && i < s->count; i++) {
        const struct kmip_field *f = &s->fields[i];
        if (f->kind != KMIP_K_TEMPLATE || version < f->since || version > f->until)
            continue;
        struct kmip_attributes *list = (void *)((uint8_t *)payload + f->offset);
        if (list->template_count && count++ < most)
            lists[count - 1] = list;
    }
    return count < most ? count : most;
}

static const struct {
    uint32_t type, tag;
    int id;
} objects[] = {
    {KMIP_OBJECT_CERTIFICATE, KMIP_TAG_CERTIFICATE, KMIP_S_certificate},
    {KMIP_OBJECT_SYMMETRIC_KEY, KMIP_TAG_SYMMETRIC_KEY, KMIP_S_symmetric_key},
    {KMIP_OBJECT_PUBLIC_KEY, KMIP_TAG_PUBLIC_KEY, KMIP_S_public_key},
    {KMIP_OBJECT_PRIVATE_KEY, KMIP_TAG_PRIVATE_KEY, KMIP_S_private_key},
    {KMIP_OBJECT_SPLIT_KEY, KMIP_TAG_SPLIT_KEY, KMIP_S_split_key},
    {KMIP_OBJECT_TEMPLATE, KMIP_TAG_TEMPLATE, KMIP_S_template},
    {KMIP_OBJECT_SECRET_DATA, KMIP_TAG_SECRET_DATA, KMIP_S_secret_data},
    {KMIP_OBJECT_OPAQUE_OBJECT, KMIP_TAG_OPAQUE_OBJECT, KMIP_S_opaque_object},
    {KMIP_OBJECT_PGP_KEY, KMIP_TAG_PGP_KEY, KMIP_S_pgp_key},
    {KMIP_OBJECT_CERTIFICATE_REQUEST, KMIP_TAG_CERTIFICATE_REQUEST, KMIP_S_certificate_request},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

uint32_t kmip_object_tag(uint32_t object_type)
{
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        if (objects[i].type == object_type)
            return objects[i].tag;
    return 0;
}

uint32_t kmip_object_type_of_tag(uint32_t tag)
{
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        if (objects[i].tag == tag)
            return objects[i].type;
    return 0;
}

int kmip_object_struct(uint32_t type)
{
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        if (objects[i].type == type)
            return objects[i].id;
    return -1;
}

struct kmip_key_block *kmip_object_key_block(const struct kmip_object *object)
{
    if (!object || !object->any)
        return NULL;
    switch (object->type) {
    case KMIP_OBJECT_SYMMETRIC_KEY:
        return object->symmetric_key->key_block;
    case KMIP_OBJECT_PUBLIC_KEY:
        return object->public_key->key_block;
    case KMIP_OBJECT_PRIVATE_KEY:
        return object->private_key->key_block;
    case KMIP_OBJECT_SECRET_DATA:
        return object->secret_data->key_block;
    case KMIP_OBJECT_SPLIT_KEY:
        return object->split_key->key_block;
    case KMIP_OBJECT_PGP_KEY:
        return object->pgp_key->key_block;
    default:
        return NULL;
    }
}

int kmip_credential_struct(uint32_t type)
{
    static const int ids[] = {
        [KMIP_CREDENTIAL_USERNAME_AND_PASSWORD] = KMIP_S_credential_password,
        [KMIP_CREDENTIAL_DEVICE] = KMIP_S_credential_device,
        [KMIP_CREDENTIAL_ATTESTATION] = KMIP_S_credential_attestation,
        [KMIP_CREDENTIAL_ONE_TIME_PASSWORD] = KMIP_S_credential_one_time_password,
        [KMIP_CREDENTIAL_HASHED_PASSWORD] = KMIP_S_credential_hashed_password,
        [KMIP_CREDENTIAL_TICKET] = KMIP_S_credential_ticket,
    };
    return type >= 1 && type < COUNT_OF(ids) ? ids[type] : -1;
}

int kmip_material_struct(uint32_t format)
{
    static const int ids[] = {
        [KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY] = KMIP_S_material_symmetric,
        [KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY] = KMIP_S_material_dsa_private,
        [KMIP_FORMAT_TRANSPARENT_DSA_PUBLIC_KEY] = KMIP_S_material_dsa_public,
        [KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY] = KMIP_S_material_rsa_private,
        [KMIP_FORMAT_TRANSPARENT_RSA_PUBLIC_KEY] = KMIP_S_material_rsa_public,
        [KMIP_FORMAT_TRANSPARENT_DH_PRIVATE_KEY] = KMIP_S_material_dh_private,
        [KMIP_FORMAT_TRANSPARENT_DH_PUBLIC_KEY] = KMIP_S_material_dh_public,
        [KMIP_FORMAT_TRANSPARENT_ECDSA_PRIVATE_KEY] = KMIP_S_material_ec_private,
        [KMIP_FORMAT_TRANSPARENT_ECDSA_PUBLIC_KEY] = KMIP_S_material_ec_public,
        [KMIP_FORMAT_TRANSPARENT_ECDH_PRIVATE_KEY] = KMIP_S_material_ec_private,
        [KMIP_FORMAT_TRANSPARENT_ECDH_PUBLIC_KEY] = KMIP_S_material_ec_public,
        [KMIP_FORMAT_TRANSPARENT_ECMQV_PRIVATE_KEY] = KMIP_S_material_ec_private,
        [KMIP_FORMAT_TRANSPARENT_ECMQV_PUBLIC_KEY] = KMIP_S_material_ec_public,
        [KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY] = KMIP_S_material_ec_private,
        [KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY] = KMIP_S_material_ec_public,
    };
    return format < COUNT_OF(ids) && ids[format] ? ids[format] : -1;
}

uint8_t kmip_kind_type(uint8_t kind)
{
    static const uint8_t types[] = {
        [KMIP_K_INT] = TTLV_INTEGER,       [KMIP_K_LONG] = TTLV_LONG_INTEGER,
        [KMIP_K_BOOL] = TTLV_BOOLEAN,      [KMIP_K_DATE] = TTLV_DATE_TIME,
        [KMIP_K_INTERVAL] = TTLV_INTERVAL, [KMIP_K_DATEX] = TTLV_DATE_TIME_EXTENDED,
        [KMIP_K_MASK] = TTLV_INTEGER,      [KMIP_K_ENUM] = TTLV_ENUMERATION,
        [KMIP_K_OPEN] = TTLV_ENUMERATION,  [KMIP_K_BIG] = TTLV_BIG_INTEGER,
        [KMIP_K_TEXT] = TTLV_TEXT_STRING,  [KMIP_K_BYTES] = TTLV_BYTE_STRING,
    };
    return kind < COUNT_OF(types) ? types[kind] : 0;
}

size_t kmip_element_size(const struct kmip_field *f)
{
    switch (f->kind) {
    case KMIP_K_NEST:
        return kmip_struct(f->ref)->size;
    case KMIP_K_ENUM:
        return sizeof(uint32_t);
    case KMIP_K_TEXT:
    case KMIP_K_BYTES:
        return sizeof(struct bytes);
    case KMIP_K_UID:
        return sizeof(struct kmip_uid);
    case KMIP_K_REST:
        return sizeof(struct node *);
    default:
        return sizeof(struct kmip_number);
    }
}
