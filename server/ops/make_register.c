/*
 * Register of a Public Key, a Private Key or a Certificate. A key goes to the vault as it came; what
 * it says of itself the vault finds, and tells where the client did not. A certificate is no secret:
 * its names are read here and become attributes. KMIP 1.4, 4.3 and 3.8 to 3.16; KMIP 2.1, 6.1.43
 * and 4.6 to 4.12.
 */
#include "certs/facts.h"
#include "server/ops/making.h"

bool register_is_asymmetric(uint32_t object_type)
{
    return object_type == KMIP_OBJECT_PUBLIC_KEY || object_type == KMIP_OBJECT_PRIVATE_KEY ||
           object_type == KMIP_OBJECT_CERTIFICATE;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* The Key Material structure of a transparent format as its TTLV bytes: so it is sealed, and the
 * digest is over them (KMIP 2.1, 4.21). */
static rc_t take_structure(struct op_item *it, struct making *m, const struct node *material)
{
    AUTO_BUF ttlv = BUF_EMPTY;
    TRY(ttlv_write_node(&ttlv, KMIP_TAG_KEY_MATERIAL, material));
    m->material = arena_copy(it->arena, buf_view(&ttlv));
    return m->material.data ? RC_OK : RC_NO_MEMORY;
}

static rc_t take_key(struct op_item *it, struct making *m, const struct kmip_key_block *block)
{
    struct control *c = &m->object.control;
    if (block->key_wrapping_data)
        return RC_WRAP_UNSUPPORTED;
    /* Points of public keys are compressed or not as their first octet says. */
    if (block->key_compression_type && c->object_type != KMIP_OBJECT_PUBLIC_KEY)
        return RC_KEY_COMPRESSION;
    if (!block->key_value)
        return RC_NO_KEY_VALUE;
    if (block->key_value->wrapped.data)
        return RC_WRAP_UNSUPPORTED;
    TRY(making_agree(&c->algorithm, block->cryptographic_algorithm));
    if (block->cryptographic_length.set)
        TRY(making_agree(&c->length, block->cryptographic_length.value));
    m->object.key_format = block->key_format_type;
    if (block->key_value->structure)
        return take_structure(it, m, block->key_value->structure);
    m->material = block->key_value->material;
    return m->material.len ? RC_OK : RC_INVALID_FIELD;
}

/* ---- certificates --------------------------------------------------------------------------- */

/* A structure of a name and its alternatives. `text` chooses the attributes of KMIP 1.0, which have
 * texts where the X.509 ones have DER. */
struct dn_form {
    uint32_t attribute, name, alternative;
    bool text;
};

static struct node *value_node(struct arena *a, uint32_t tag, bool text, struct bytes value)
{
    return text ? node_text(a, tag, value) : node_bytes(a, tag, value);
}

static rc_t set_dn(struct arena *a, struct making *m, const struct dn_form *f,
                   const struct cert_dn *dn)
{
    struct node *n = node_structure(a, f->attribute);
    if (!n)
        return RC_NO_MEMORY;
    TRY(node_append(n, value_node(a, f->name, f->text, f->text ? dn->text : dn->der)));
    const struct bytes *others = f->text ? dn->alternatives : dn->alternatives_der;
    for (size_t i = 0; i < dn->alternative_count; i++)
        TRY(node_append(n, value_node(a, f->alternative, f->text, others[i])));
    return attrs_set(a, &m->rest, n);
}

static rc_t set_identifier(struct arena *a, struct making *m, uint32_t attribute, struct node *issuer,
                           struct node *serial)
{
    struct node *n = node_structure(a, attribute);
    if (!n)
        return RC_NO_MEMORY;
    TRY(node_append(n, issuer));
    TRY(node_append(n, serial));
    return attrs_set(a, &m->rest, n);
}

/* Each part of a name as an attribute of its own (KMIP 2.1, 4.6). */
static rc_t add_parts(struct arena *a, struct making *m, const struct cert_dn *dn,
                      const uint32_t tags[CERT_PART_COUNT])
{
    for (size_t i = 0; i < dn->value_count; i++)
        TRY(kmip_attributes_add_text(a, &m->rest, tags[dn->values[i].part], dn->values[i].text));
    return RC_OK;
}

#define PARTS(who)                                                                                 \
    {                                                                                              \
        [CERT_PART_CN] = KMIP_TAG_CERTIFICATE_##who##_CN,                                          \
        [CERT_PART_O] = KMIP_TAG_CERTIFICATE_##who##_O,                                            \
        [CERT_PART_OU] = KMIP_TAG_CERTIFICATE_##who##_OU,                                          \
        [CERT_PART_EMAIL] = KMIP_TAG_CERTIFICATE_##who##_EMAIL,                                    \
        [CERT_PART_C] = KMIP_TAG_CERTIFICATE_##who##_C,                                            \
        [CERT_PART_ST] = KMIP_TAG_CERTIFICATE_##who##_ST,                                          \
        [CERT_PART_L] = KMIP_TAG_CERTIFICATE_##who##_L,                                            \
        [CERT_PART_UID] = KMIP_TAG_CERTIFICATE_##who##_UID,                                        \
        [CERT_PART_SERIAL_NUMBER] = KMIP_TAG_CERTIFICATE_##who##_SERIAL_NUMBER,                    \
        [CERT_PART_TITLE] = KMIP_TAG_CERTIFICATE_##who##_TITLE,                                    \
        [CERT_PART_DC] = KMIP_TAG_CERTIFICATE_##who##_DC,                                          \
        [CERT_PART_DN_QUALIFIER] = KMIP_TAG_CERTIFICATE_##who##_DN_QUALIFIER,                      \
    }

static rc_t add_names(struct arena *a, struct making *m, const struct cert_facts *f)
{
    static const struct dn_form subject = {KMIP_TAG_X_509_CERTIFICATE_SUBJECT,
                                           KMIP_TAG_SUBJECT_DISTINGUISHED_NAME,
                                           KMIP_TAG_SUBJECT_ALTERNATIVE_NAME, false};
    static const struct dn_form issuer = {KMIP_TAG_X_509_CERTIFICATE_ISSUER,
                                          KMIP_TAG_ISSUER_DISTINGUISHED_NAME,
                                          KMIP_TAG_ISSUER_ALTERNATIVE_NAME, false};
    static const struct dn_form subject_10 = {KMIP_TAG_CERTIFICATE_SUBJECT,
                                              KMIP_TAG_CERTIFICATE_SUBJECT_DISTINGUISHED_NAME,
                                              KMIP_TAG_CERTIFICATE_SUBJECT_ALTERNATIVE_NAME, true};
    static const struct dn_form issuer_10 = {KMIP_TAG_CERTIFICATE_ISSUER,
                                             KMIP_TAG_CERTIFICATE_ISSUER_DISTINGUISHED_NAME,
                                             KMIP_TAG_CERTIFICATE_ISSUER_ALTERNATIVE_NAME, true};
    static const uint32_t subject_parts[CERT_PART_COUNT] = PARTS(SUBJECT);
    static const uint32_t issuer_parts[CERT_PART_COUNT] = PARTS(ISSUER);
    TRY(set_identifier(a, m, KMIP_TAG_X_509_CERTIFICATE_IDENTIFIER,
                       node_bytes(a, KMIP_TAG_ISSUER_DISTINGUISHED_NAME, f->issuer.der),
                       node_bytes(a, KMIP_TAG_CERTIFICATE_SERIAL_NUMBER, f->serial_der)));
    TRY(set_identifier(a, m, KMIP_TAG_CERTIFICATE_IDENTIFIER,
                       node_text(a, KMIP_TAG_ISSUER, f->issuer.text),
                       node_text(a, KMIP_TAG_SERIAL_NUMBER, f->serial_text)));
    TRY(set_dn(a, m, &subject, &f->subject));
    TRY(set_dn(a, m, &issuer, &f->issuer));
    TRY(set_dn(a, m, &subject_10, &f->subject));
    TRY(set_dn(a, m, &issuer_10, &f->issuer));
    TRY(add_parts(a, m, &f->subject, subject_parts));
    return add_parts(a, m, &f->issuer, issuer_parts);
}

/* What the server sets, and some clients send along: it must be the same. */
static rc_t set_fact(struct arena *a, struct making *m, struct node *fact)
{
    if (!fact)
        return RC_NO_MEMORY;
    const struct kmip_attribute *given = kmip_attributes_find(&m->rest, fact->tag, 0);
    if (given && !node_equal(given->value, fact))
        return RC_ATTR_VALUE;
    return attrs_set(a, &m->rest, fact);
}

static rc_t take_certificate(struct op_item *it, struct making *m,
                             const struct kmip_certificate *certificate)
{
    struct arena *a = it->arena;
    struct cert_facts f;
    if (certificate->type != KMIP_CERTIFICATE_X_509)
        return RC_FEATURE; /* PGP: KMIP 1.2 has an object of its own for that */
    TRY(cert_facts_read(a, certificate->value, &f));
    m->material = certificate->value;
    m->object.key_format = KMIP_FORMAT_X_509;
    TRY(set_fact(a, m, node_enum(a, KMIP_TAG_CERTIFICATE_TYPE, certificate->type)));
    TRY(set_fact(a, m,
                 node_integer(a, KMIP_TAG_CERTIFICATE_LENGTH, (int32_t)certificate->value.len)));
    if (f.signature_algorithm)
        TRY(set_fact(
            a, m, node_enum(a, KMIP_TAG_DIGITAL_SIGNATURE_ALGORITHM, f.signature_algorithm)));
    return add_names(a, m, &f);
}

/* ---- both ----------------------------------------------------------------------------------- */

rc_t register_take_asymmetric(struct op_item *it, struct making *m,
                              const struct kmip_object *object)
{
    if (object->type == KMIP_OBJECT_CERTIFICATE)
        return take_certificate(it, m, object->certificate);
    return take_key(it, m, kmip_object_key_block(object));
}

rc_t register_told(struct making *m, const struct vault_reply *reply)
{
    m->object.control.algorithm = reply->algorithm;
    m->object.control.length = reply->length;
    const struct kmip_attribute *domain =
        kmip_attributes_find(&m->rest, KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS, 0);
    const struct node *curve =
        domain ? node_child(domain->value, KMIP_TAG_RECOMMENDED_CURVE) : NULL;
    return curve && reply->curve && curve->enumeration != reply->curve ? RC_INVALID_FIELD : RC_OK;
}
