/*
 * The C structs of all KMIP structures and payloads, made from payload.def and operations.def, and
 * the tables behind them: ONE reader and ONE writer walk the tables by protocol version. Strict on
 * order, multiplicity, types and values. All memory is the arena's; texts and byte strings are
 * views.
 */
#ifndef PROTO_KMIP_STRUCT_H
#define PROTO_KMIP_STRUCT_H

#include "proto/kmip/attribute.h"
#include "proto/ttlv/read.h"
#include "proto/ttlv/write.h"

/* Integer, Long Integer, Boolean (0/1), Date-Time, Interval or bit mask, or absent. */
struct kmip_number {
    bool set;
    int64_t value;
};
#define KMIP_NUMBER(v) ((struct kmip_number){true, (v)})

/* A unique identifier: text; since 2.0 also the enumeration Unique Identifier (ID Placeholder and
 * its kin) or an integer index. type 0: absent. */
struct kmip_uid {
    uint8_t type; /* 0, TTLV_TEXT_STRING, TTLV_ENUMERATION, TTLV_INTEGER */
    struct bytes text;
    uint32_t enumeration;
    int32_t integer;
};
#define KMIP_UID_TEXT(b) ((struct kmip_uid){.type = TTLV_TEXT_STRING, .text = (b)})

/* Data, MAC Data, Signature Data: bytes; in requests since 2.0 also the output of an earlier batch
 * item, by the enumeration Data or by its number. type 0: absent. */
struct kmip_data {
    uint8_t type; /* 0, TTLV_BYTE_STRING, TTLV_ENUMERATION, TTLV_INTEGER */
    struct bytes bytes;
    uint32_t enumeration;
    int32_t integer;
};
#define KMIP_DATA(b) ((struct kmip_data){.type = TTLV_BYTE_STRING, .bytes = (b)})

struct kmip_enums {
    size_t count;
    uint32_t *items;
};
struct kmip_numbers {
    size_t count;
    struct kmip_number *items;
};
struct kmip_texts { /* also byte strings */
    size_t count;
    struct bytes *items;
};
struct kmip_uids {
    size_t count;
    struct kmip_uid *items;
};
struct kmip_nodes {
    size_t count;
    struct node **items;
};

/*
 * Key Value: `wrapped` (a byte string, still encrypted) or else Key Material as a byte string or as
 * a structure (transparent formats; checked against the table of the Key Format Type), with
 * attributes.
 */
struct kmip_key_value {
    struct bytes
        wrapped; /* data NULL: not wrapped, or wrapped without TTLV encoding (see material) */
    struct bytes material;  /* data NULL: `structure` */
    struct node *structure; /* tag KMIP_TAG_KEY_MATERIAL */
    struct kmip_attributes attributes;
};

struct kmip_symmetric_key;
struct kmip_public_key;
struct kmip_private_key;
struct kmip_secret_data;
struct kmip_opaque_object;
struct kmip_certificate;
struct kmip_certificate_request;
struct kmip_split_key;
struct kmip_pgp_key;
struct kmip_template;
struct kmip_key_block;

/* A managed object: which member of the union holds is told by the Object Type. */
struct kmip_object {
    uint32_t type; /* KMIP_OBJECT_x */
    union {
        struct kmip_symmetric_key *symmetric_key;
        struct kmip_public_key *public_key;
        struct kmip_private_key *private_key;
        struct kmip_secret_data *secret_data;
        struct kmip_opaque_object *opaque_object;
        struct kmip_certificate *certificate;
        struct kmip_certificate_request *certificate_request;
        struct kmip_split_key *split_key;
        struct kmip_pgp_key *pgp_key;
        struct kmip_template *template_object;
        void *any;
    };
};

/* The key block of an object that has one, or NULL. */
struct kmip_key_block *kmip_object_key_block(const struct kmip_object *object);
/* Object Type to the tag it stands under, and back; 0 if there is none. */
uint32_t kmip_object_tag(uint32_t object_type);
uint32_t kmip_object_type_of_tag(uint32_t tag);

/*
 * Member types by kind. Absent is: .set false, type 0, enumeration 0, data NULL, pointer NULL. An
 * enumeration that is required is written even if 0 (Result Status Success).
 */
#define KMIP_TYPE_INT                  struct kmip_number
#define KMIP_TYPE_LONG                 struct kmip_number
#define KMIP_TYPE_BOOL                 struct kmip_number
#define KMIP_TYPE_DATE                 struct kmip_number /* seconds */
#define KMIP_TYPE_DATEX                struct kmip_number /* microseconds */
#define KMIP_TYPE_INTERVAL             struct kmip_number /* seconds */
#define KMIP_TYPE_MASK                 struct kmip_number
#define KMIP_TYPE_ENUM                 uint32_t
#define KMIP_TYPE_OPEN                 uint32_t
#define KMIP_TYPE_BIG                  struct bytes
#define KMIP_TYPE_TEXT                 struct bytes
#define KMIP_TYPE_BYTES                struct bytes
#define KMIP_TYPE_UID                  struct kmip_uid
#define KMIP_TYPE_DATA                 struct kmip_data
#define KMIP_TYPE_NODE                 struct node *
#define KMIP_TYPE_OBJECT               struct kmip_object *
#define KMIP_TYPE_KEYVALUE             struct kmip_key_value *
#define KMIP_TYPE_CREDENTIAL           void * /* struct kmip_credential_password * and so on, by type */
#define KMIP_TYPE_PAYLOAD              void *
#define KMIP_TYPE_TEMPLATE             struct kmip_attributes
#define KMIP_TYPE_ATTRSET              struct kmip_attributes
#define KMIP_TYPE_ATTRONE              struct kmip_attributes
#define KMIP_TYPE_ATTRLIST             struct kmip_attributes
#define KMIP_TYPE_NAMES                struct kmip_attr_refs
#define KMIP_TYPE_REFS                 struct kmip_attr_refs

#define KMIP_MANY_ENUM                 struct kmip_enums
#define KMIP_MANY_MASK                 struct kmip_numbers
#define KMIP_MANY_TEXT                 struct kmip_texts
#define KMIP_MANY_BYTES                struct kmip_texts
#define KMIP_MANY_UID                  struct kmip_uids
#define KMIP_MANY_REST                 struct kmip_nodes
#define KMIP_MANY_ATTRLIST             struct kmip_attributes
#define KMIP_MANY_NAMES                struct kmip_attr_refs
#define KMIP_MANY_REFS                 struct kmip_attr_refs

#define KMIP_MEMBER_ONE(kind, member)  KMIP_TYPE_##kind member
#define KMIP_MEMBER_OPT(kind, member)  KMIP_TYPE_##kind member
#define KMIP_MEMBER_MANY(kind, member) KMIP_MANY_##kind member
#define KMIP_MEMBER_SOME(kind, member) KMIP_MANY_##kind member
#define KMIP_NEST_ONE(ref, member)     struct kmip_##ref *member
#define KMIP_NEST_OPT(ref, member)     struct kmip_##ref *member
/* Repeated structures: an array of structs. */
#define KMIP_NEST_MANY(ref, member)                                                                \
    struct {                                                                                       \
        size_t count;                                                                              \
        struct kmip_##ref *items;                                                                  \
    } member
#define KMIP_NEST_SOME(ref, member) KMIP_NEST_MANY(ref, member)

/* clang-format off */
#define BEGIN(name)                                       struct kmip_##name {
#define FIELD(how, kind, member, tag, since, until)       KMIP_MEMBER_##how(kind, member);
#define SAME(how, kind, member, tag, since, until)
#define NEST(how, ref, member, tag, since, until)         KMIP_NEST_##how(ref, member);
#define END(name)                                         };
#define OPERATION(name, request, response)
/* clang-format on */
#include "proto/kmip/structures.def"
#undef BEGIN
#undef FIELD
#undef SAME
#undef NEST
#undef END

/* KMIP_S_<name>: the number of each structure's table. */
#define BEGIN(name) KMIP_S_##name,
#define FIELD(how, kind, member, tag, since, until)
#define SAME(how, kind, member, tag, since, until)
#define NEST(how, ref, member, tag, since, until)
#define END(name)
enum kmip_struct_id {
#include "proto/kmip/structures.def"
    KMIP_S_COUNT
};
#undef BEGIN
#undef FIELD
#undef SAME
#undef NEST
#undef END
#undef OPERATION

enum kmip_how { KMIP_ONE, KMIP_OPT, KMIP_MANY, KMIP_SOME };

enum kmip_kind {
    KMIP_K_INT,
    KMIP_K_LONG,
    KMIP_K_BOOL,
    KMIP_K_DATE,
    KMIP_K_DATEX,
    KMIP_K_INTERVAL,
    KMIP_K_MASK,
    KMIP_K_ENUM,
    KMIP_K_OPEN,
    KMIP_K_BIG,
    KMIP_K_TEXT,
    KMIP_K_BYTES,
    KMIP_K_UID,
    KMIP_K_DATA,
    KMIP_K_NODE,
    KMIP_K_REST,
    KMIP_K_NEST,
    KMIP_K_OBJECT,
    KMIP_K_KEYVALUE,
    KMIP_K_CREDENTIAL,
    KMIP_K_PAYLOAD,
    KMIP_K_TEMPLATE,
    KMIP_K_ATTRSET,
    KMIP_K_ATTRONE,
    KMIP_K_ATTRLIST,
    KMIP_K_NAMES,
    KMIP_K_REFS,
};

struct kmip_field {
    uint32_t tag;
    uint32_t offset;
    uint16_t since, until;
    uint8_t how;  /* enum kmip_how */
    uint8_t kind; /* enum kmip_kind */
    int16_t ref;  /* KMIP_S_x for KMIP_K_NEST, or -1 */
};

struct kmip_struct {
    const char *name;
    size_t size;
    size_t count;
    const struct kmip_field *fields;
};

const struct kmip_struct *kmip_struct(int id); /* NULL out of range */

/* The payload's structure of an operation, or -1 if the operation is not known. */
int kmip_request_payload(uint32_t operation);
int kmip_response_payload(uint32_t operation);

/* A zeroed C struct of structure `id`, or NULL when the arena is at its cap. */
void *kmip_struct_new(struct arena *a, int id);
#define KMIP_NEW(a, name) ((struct kmip_##name *)kmip_struct_new((a), KMIP_S_##name))
/* A zeroed payload: the response's if `response`. NULL also for an unknown operation. */
void *kmip_payload_new(struct arena *a, uint32_t operation, bool response);

/*
 * The lists of a 1.x request payload that name Templates: up to `most` of its Template-Attributes, as they lie in
 * `payload`. Returns how many there are; none for other versions and unknown operations.
 */
size_t kmip_payload_templates(uint32_t operation, uint16_t version, void *payload, struct kmip_attributes **lists,
                              size_t most);

/* What reading and writing need to know; limits NULL means the defaults. */
struct kmip_context {
    struct arena *arena;
    uint16_t version;
    const struct ttlv_limits *limits;
    bool partial; /* structures that are attribute values may leave fields out: the filters of Locate */
};

/*
 * Structure node to a new C struct. RC_BAD_ORDER (missing, repeated, out of order), RC_UNKNOWN_TAG
 * (a field that the version does not define), RC_BAD_TYPE, RC_INVALID_FIELD (undefined bits of a
 * mask), RC_BAD_VALUE (enumeration, bit or attribute value that the version lacks),
 * RC_ATTR_UNSUPPORTED, RC_TOO_MANY, RC_TOO_LARGE, RC_NO_MEMORY.
 */
rc_t kmip_struct_read(const struct kmip_context *cx, int id, const struct node *in, void **out);
/*
 * C struct to TTLV under `tag`. Fields, attributes, optional enumeration values and mask bits that
 * the version does not define are left out; a required value that it does not define is
 * RC_BAD_VALUE, a required field without value RC_MISSING_DATA, a number that does not fit its type
 * RC_INVALID_FIELD.
 */
rc_t kmip_struct_write(struct buf *out, const struct kmip_context *cx, int id, uint32_t tag,
                       const void *in);
/* The same as a node tree of its own (copied into the arena), for attribute values. */
rc_t kmip_struct_node(const struct kmip_context *cx, int id, uint32_t tag, const void *in,
                      struct node **out);

#endif
