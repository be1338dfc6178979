/*
 * Asymmetric keys: their life, their facts, and the DER formats by OpenSSL's encoders; see asym.h.
 * A format is read as what it is said to be and nothing else: OpenSSL is told structure and kind,
 * so that it guesses nothing.
 */
#include "server/vault/crypto/asym_int.h"

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "proto/kmip/tables.h"

/* ---- kinds and curves ----------------------------------------------------------------------- */

uint32_t asym_family(uint32_t algorithm)
{
    switch (algorithm) {
    case KMIP_ALGORITHM_RSA:
    case KMIP_ALGORITHM_DSA:
    case KMIP_ALGORITHM_DH:
        return algorithm;
    case KMIP_ALGORITHM_EC:
    case KMIP_ALGORITHM_ECDSA:
    case KMIP_ALGORITHM_ECDH:
    case KMIP_ALGORITHM_ECMQV:
        return KMIP_ALGORITHM_EC;
    default:
        return 0;
    }
}

uint32_t asym_default_format(uint32_t family, bool is_private)
{
    switch (family) {
    case KMIP_ALGORITHM_RSA:
        return KMIP_FORMAT_PKCS1;
    case KMIP_ALGORITHM_EC:
        return is_private ? KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY
                          : KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY;
    case KMIP_ALGORITHM_DSA:
        return is_private ? KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY
                          : KMIP_FORMAT_TRANSPARENT_DSA_PUBLIC_KEY;
    case KMIP_ALGORITHM_DH: /* the table has none; this one loses nothing */
        return is_private ? KMIP_FORMAT_TRANSPARENT_DH_PRIVATE_KEY
                          : KMIP_FORMAT_TRANSPARENT_DH_PUBLIC_KEY;
    default:
        return 0;
    }
}

uint32_t asym_nist_curve(uint32_t bits)
{
    static const struct {
        uint32_t bits, curve;
    } nist[] = {
        {224, KMIP_CURVE_P_224},
        {256, KMIP_CURVE_P_256},
        {384, KMIP_CURVE_P_384},
        {521, KMIP_CURVE_P_521},
    };
    for (size_t i = 0; i < sizeof nist / sizeof nist[0]; i++)
        if (nist[i].bits == bits)
            return nist[i].curve;
    return 0;
}

/* The curves of KMIP 2.1, 11.51, that OpenSSL has; those for key agreement alone are not keys of
 * its kind EC. */
static const struct {
    uint32_t curve;
    int nid;
} curves[] = {
    {KMIP_CURVE_P_192, NID_X9_62_prime192v1},
    {KMIP_CURVE_K_163, NID_sect163k1},
    {KMIP_CURVE_B_163, NID_sect163r2},
    {KMIP_CURVE_P_224, NID_secp224r1},
    {KMIP_CURVE_K_233, NID_sect233k1},
    {KMIP_CURVE_B_233, NID_sect233r1},
    {KMIP_CURVE_P_256, NID_X9_62_prime256v1},
    {KMIP_CURVE_K_283, NID_sect283k1},
    {KMIP_CURVE_B_283, NID_sect283r1},
    {KMIP_CURVE_P_384, NID_secp384r1},
    {KMIP_CURVE_K_409, NID_sect409k1},
    {KMIP_CURVE_B_409, NID_sect409r1},
    {KMIP_CURVE_P_521, NID_secp521r1},
    {KMIP_CURVE_K_571, NID_sect571k1},
    {KMIP_CURVE_B_571, NID_sect571r1},
    {KMIP_CURVE_SECP112R1, NID_secp112r1},
    {KMIP_CURVE_SECP112R2, NID_secp112r2},
    {KMIP_CURVE_SECP128R1, NID_secp128r1},
    {KMIP_CURVE_SECP128R2, NID_secp128r2},
    {KMIP_CURVE_SECP160K1, NID_secp160k1},
    {KMIP_CURVE_SECP160R1, NID_secp160r1},
    {KMIP_CURVE_SECP160R2, NID_secp160r2},
    {KMIP_CURVE_SECP192K1, NID_secp192k1},
    {KMIP_CURVE_SECP224K1, NID_secp224k1},
    {KMIP_CURVE_SECP256K1, NID_secp256k1},
    {KMIP_CURVE_SECT113R1, NID_sect113r1},
    {KMIP_CURVE_SECT113R2, NID_sect113r2},
    {KMIP_CURVE_SECT131R1, NID_sect131r1},
    {KMIP_CURVE_SECT131R2, NID_sect131r2},
    {KMIP_CURVE_SECT163R1, NID_sect163r1},
    {KMIP_CURVE_SECT193R1, NID_sect193r1},
    {KMIP_CURVE_SECT193R2, NID_sect193r2},
    {KMIP_CURVE_SECT239K1, NID_sect239k1},
    {KMIP_CURVE_ANSIX9P192V2, NID_X9_62_prime192v2},
    {KMIP_CURVE_ANSIX9P192V3, NID_X9_62_prime192v3},
    {KMIP_CURVE_ANSIX9P239V1, NID_X9_62_prime239v1},
    {KMIP_CURVE_ANSIX9P239V2, NID_X9_62_prime239v2},
    {KMIP_CURVE_ANSIX9P239V3, NID_X9_62_prime239v3},
    {KMIP_CURVE_ANSIX9C2PNB163V1, NID_X9_62_c2pnb163v1},
    {KMIP_CURVE_ANSIX9C2PNB163V2, NID_X9_62_c2pnb163v2},
    {KMIP_CURVE_ANSIX9C2PNB163V3, NID_X9_62_c2pnb163v3},
    {KMIP_CURVE_ANSIX9C2PNB176V1, NID_X9_62_c2pnb176v1},
    {KMIP_CURVE_ANSIX9C2TNB191V1, NID_X9_62_c2tnb191v1},
    {KMIP_CURVE_ANSIX9C2TNB191V2, NID_X9_62_c2tnb191v2},
    {KMIP_CURVE_ANSIX9C2TNB191V3, NID_X9_62_c2tnb191v3},
    {KMIP_CURVE_ANSIX9C2PNB208W1, NID_X9_62_c2pnb208w1},
    {KMIP_CURVE_ANSIX9C2TNB239V1, NID_X9_62_c2tnb239v1},
    {KMIP_CURVE_ANSIX9C2TNB239V2, NID_X9_62_c2tnb239v2},
    {KMIP_CURVE_ANSIX9C2TNB239V3, NID_X9_62_c2tnb239v3},
    {KMIP_CURVE_ANSIX9C2PNB272W1, NID_X9_62_c2pnb272w1},
    {KMIP_CURVE_ANSIX9C2PNB304W1, NID_X9_62_c2pnb304w1},
    {KMIP_CURVE_ANSIX9C2TNB359V1, NID_X9_62_c2tnb359v1},
    {KMIP_CURVE_ANSIX9C2PNB368W1, NID_X9_62_c2pnb368w1},
    {KMIP_CURVE_ANSIX9C2TNB431R1, NID_X9_62_c2tnb431r1},
    {KMIP_CURVE_BRAINPOOLP160R1, NID_brainpoolP160r1},
    {KMIP_CURVE_BRAINPOOLP160T1, NID_brainpoolP160t1},
    {KMIP_CURVE_BRAINPOOLP192R1, NID_brainpoolP192r1},
    {KMIP_CURVE_BRAINPOOLP192T1, NID_brainpoolP192t1},
    {KMIP_CURVE_BRAINPOOLP224R1, NID_brainpoolP224r1},
    {KMIP_CURVE_BRAINPOOLP224T1, NID_brainpoolP224t1},
    {KMIP_CURVE_BRAINPOOLP256R1, NID_brainpoolP256r1},
    {KMIP_CURVE_BRAINPOOLP256T1, NID_brainpoolP256t1},
    {KMIP_CURVE_BRAINPOOLP320R1, NID_brainpoolP320r1},
    {KMIP_CURVE_BRAINPOOLP320T1, NID_brainpoolP320t1},
    {KMIP_CURVE_BRAINPOOLP384R1, NID_brainpoolP384r1},
    {KMIP_CURVE_BRAINPOOLP384T1, NID_brainpoolP384t1},
    {KMIP_CURVE_BRAINPOOLP512R1, NID_brainpoolP512r1},
    {KMIP_CURVE_BRAINPOOLP512T1, NID_brainpoolP512t1},
};

int asym_curve_nid(uint32_t curve)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (curves[i].curve == curve)
            return curves[i].nid;
    return 0;
}

uint32_t asym_curve_number(int nid)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (curves[i].nid == nid)
            return curves[i].curve;
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

BIGNUM *asym_number(const EVP_PKEY *pkey, const char *name, BN_CTX *bn)
{
    BIGNUM *own = NULL, *out = BN_CTX_get(bn);
    if (!out || EVP_PKEY_get_bn_param(pkey, name, &own) != 1)
        return NULL;
    bool copied = BN_copy(out, own) != NULL;
    BN_clear_free(own);
    return copied ? out : NULL;
}

/* A named curve that KMIP has a number for. Curves spelled out in the key are refused, even where
 * they are a known one: who checks a name must not be given parameters. */
static rc_t ec_facts(const EVP_PKEY *pkey, struct asym_facts *f)
{
    char name[80];
    size_t len = 0;
    int explicit_form = 0;
    if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &explicit_form) == 1 &&
        explicit_form)
        return RC_FEATURE;
    if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, &len) !=
        1)
        return RC_FEATURE;
    int nid = OBJ_sn2nid(name);
    f->curve = asym_curve_number(nid);
    EC_GROUP *group = f->curve ? EC_GROUP_new_by_curve_name(nid) : NULL;
    if (!group)
        return RC_FEATURE;
    /* The field's length, by which curves are called; the order's may be a bit off. */
    f->bits = (uint32_t)EC_GROUP_get_degree(group);
    EC_GROUP_free(group);
    return RC_OK;
}

static rc_t find_facts(const EVP_PKEY *pkey, struct asym_facts *f)
{
    int bits = EVP_PKEY_get_bits(pkey);
    f->bits = bits > 0 ? (uint32_t)bits : 0;
    if (EVP_PKEY_is_a(pkey, "RSA"))
        f->algorithm = KMIP_ALGORITHM_RSA;
    else if (EVP_PKEY_is_a(pkey, "DSA"))
        f->algorithm = KMIP_ALGORITHM_DSA;
    else if (EVP_PKEY_is_a(pkey, "DH") || EVP_PKEY_is_a(pkey, "DHX"))
        f->algorithm = KMIP_ALGORITHM_DH;
    else if (EVP_PKEY_is_a(pkey, "EC"))
        f->algorithm = KMIP_ALGORITHM_EC;
    else
        return RC_FEATURE;
    if (f->algorithm == KMIP_ALGORITHM_EC)
        return ec_facts(pkey, f);
    return f->bits >= ASYM_BITS_LEAST && f->bits <= ASYM_BITS_MOST ? RC_OK : RC_FEATURE;
}

rc_t asym_wrap(EVP_PKEY *pkey, bool is_private, struct asym **out)
{
    struct asym *key = calloc(1, sizeof *key);
    rc_t rc = key ? RC_OK : RC_NO_MEMORY;
    struct asym_facts facts = {.is_private = is_private};
    if (rc == RC_OK)
        rc = find_facts(pkey, &facts);
    if (rc != RC_OK) {
        EVP_PKEY_free(pkey);
        free(key);
        return rc;
    }
    *key = (struct asym){pkey, facts};
    *out = key;
    return RC_OK;
}

void asym_free(struct asym **key)
{
    if (!*key)
        return;
    EVP_PKEY_free((*key)->pkey);
    free(*key);
    *key = NULL;
}

struct asym_facts asym_facts(const struct asym *key)
{
    return key->facts;
}

/* ---- making --------------------------------------------------------------------------------- */

/* Asked by OpenSSL between candidates: 0 ends the search. */
static int go_on(EVP_PKEY_CTX *ctx)
{
    const atomic_bool *stop = EVP_PKEY_CTX_get_app_data(ctx);
    return !atomic_load_explicit(stop, memory_order_relaxed);
}

static bool choose_kind(EVP_PKEY_CTX *ctx, uint32_t family, uint32_t bits)
{
    if (EVP_PKEY_keygen_init(ctx) != 1)
        return false;
    if (family == KMIP_ALGORITHM_RSA)
        return EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) == 1;
    int nid = asym_curve_nid(asym_nist_curve(bits));
    return EVP_PKEY_CTX_set_group_name(ctx, OBJ_nid2sn(nid)) == 1;
}

rc_t asym_generate(uint32_t family, uint32_t bits, const atomic_bool *stop, struct asym **out)
{
    bool rsa = family == KMIP_ALGORITHM_RSA && bits >= ASYM_BITS_LEAST && bits <= ASYM_BITS_MOST;
    if (!rsa && (family != KMIP_ALGORITHM_EC || !asym_nist_curve(bits)))
        return RC_FEATURE;
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", NULL);
    bool made = ctx && choose_kind(ctx, family, bits);
    if (made && stop) {
        EVP_PKEY_CTX_set_app_data(ctx, (void *)(uintptr_t)stop);
        EVP_PKEY_CTX_set_cb(ctx, go_on);
    }
    made = made && EVP_PKEY_generate(ctx, &pkey) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (made)
        return asym_wrap(pkey, true, out);
    EVP_PKEY_free(pkey);
    return stop && atomic_load(stop) ? RC_UNAVAILABLE : RC_CRYPTO;
}

/* ---- DER ------------------------------------------------------------------------------------ */

/*
 * The formats that OpenSSL reads and writes: its names for structure and, where the format is one
 * kind's own, for the kind. OpenSSL's decoders look for any key in what they are given, so the
 * items in the outermost SEQUENCE tell first whether it is the format that it is said to be:
 * RFC 8017, A.1; RFC 5208, 5; RFC 5915, 3; RFC 5280, 4.1.
 */
struct der_form {
    uint32_t key_format;
    bool is_private;
    const char *structure, *kind;
    const char *items; /* their identifier octets */
    bool more;         /* optional items may follow */
};

static const struct der_form *der_form(uint32_t key_format, bool is_private)
{
    static const struct der_form forms[] = {
        {KMIP_FORMAT_PKCS1, true, "type-specific", "RSA", "\2\2\2\2\2\2\2\2\2", false},
        {KMIP_FORMAT_PKCS1, false, "type-specific", "RSA", "\2\2", false},
        {KMIP_FORMAT_PKCS8, true, "PrivateKeyInfo", NULL, "\2\x30\4", true},
        {KMIP_FORMAT_ECPRIVATEKEY, true, "type-specific", "EC", "\2\4", true},
        {KMIP_FORMAT_X_509, false, "SubjectPublicKeyInfo", NULL, "\x30\3", false},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (forms[i].key_format == key_format && forms[i].is_private == is_private)
            return &forms[i];
    return NULL;
}

/* One DER item off the front: its identifier and contents. Lengths in the shortest form only. */
static bool der_take(struct bytes *in, uint8_t *identifier, struct bytes *contents)
{
    if (in->len < 2)
        return false;
    size_t len = in->data[1], head = 2;
    if (len >= 0x80) {
        size_t count = len - 0x80;
        if (count == 0 || count > 3 || in->len < 2 + count || in->data[2] == 0)
            return false;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | in->data[2 + i];
        if (len < 0x80)
            return false;
        head += count;
    }
    if (len > in->len - head)
        return false;
    *identifier = in->data[0];
    *contents = bytes_of(in->data + head, len);
    *in = bytes_of(in->data + head + len, in->len - head - len);
    return true;
}

/* Whether the input is one SEQUENCE with these items, and nothing after it. */
static bool has_shape(struct bytes in, const char *items, bool more)
{
    uint8_t identifier;
    struct bytes sequence, contents;
    if (!der_take(&in, &identifier, &sequence) || identifier != 0x30 || in.len)
        return false;
    for (; *items; items++)
        if (!der_take(&sequence, &identifier, &contents) || identifier != (uint8_t)*items)
            return false;
    return more || sequence.len == 0;
}

static int selection(bool is_private)
{
    return is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
}

static rc_t read_der(const struct der_form *form, struct bytes in, EVP_PKEY **out)
{
    const unsigned char *at = in.data;
    size_t left = in.len;
    OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(
        out, "DER", form->structure, form->kind, selection(form->is_private), NULL, NULL);
    bool read = ctx && OSSL_DECODER_from_data(ctx, &at, &left) == 1 && left == 0;
    OSSL_DECODER_CTX_free(ctx);
    if (read && *out)
        return RC_OK;
    EVP_PKEY_free(*out);
    *out = NULL;
    return RC_INVALID_FIELD;
}

rc_t asym_read(bool is_private, uint32_t key_format, struct bytes in, struct asym **out)
{
    EVP_PKEY *pkey = NULL;
    const struct der_form *form = der_form(key_format, is_private);
    if (!form)
        TRY(asym_read_transparent(is_private, key_format, in, &pkey));
    else if (!has_shape(in, form->items, form->more))
        return RC_INVALID_FIELD;
    else
        TRY(read_der(form, in, &pkey));
    return asym_wrap(pkey, is_private, out);
}

rc_t asym_read_certificate(struct bytes der, struct asym **out)
{
    const unsigned char *at = der.data;
    if (!has_shape(der, "\x30\x30\3", false))
        return RC_INVALID_FIELD;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    if (!cert)
        return RC_INVALID_FIELD;
    EVP_PKEY *pkey = X509_get_pubkey(cert);
    X509_free(cert);
    return pkey ? asym_wrap(pkey, false, out) : RC_FEATURE;
}

bool asym_is_encrypted_pkcs8(struct bytes in)
{
    return has_shape(in, "\x30\4", false);
}

static rc_t write_der(const struct asym *key, const struct der_form *form, struct buf *out)
{
    if (form->kind && !EVP_PKEY_is_a(key->pkey, form->kind))
        return RC_KEY_FORMAT;
    OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(key->pkey, selection(form->is_private),
                                                          "DER", form->structure, NULL);
    unsigned char *made = NULL;
    size_t len = 0;
    bool done = ctx && OSSL_ENCODER_CTX_get_num_encoders(ctx) > 0 &&
                OSSL_ENCODER_to_data(ctx, &made, &len) == 1;
    OSSL_ENCODER_CTX_free(ctx);
    rc_t rc = done ? buf_add(out, made, len) : RC_CRYPTO;
    OPENSSL_clear_free(made, len);
    return rc;
}

rc_t asym_write(const struct asym *key, bool as_private, uint32_t key_format, struct buf *out)
{
    if (as_private && !key->facts.is_private)
        return RC_KEY_FORMAT;
    const struct der_form *form = der_form(key_format, as_private);
    return form ? write_der(key, form, out)
                : asym_write_transparent(key, as_private, key_format, out);
}
