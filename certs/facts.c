/* X.509 to plain values; see facts.h. OpenSSL's objects live no longer than one call. */
#include "certs/facts.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include "proto/kmip/tables.h"
#include "proto/ttlv/read.h"

/* Takes over what OpenSSL has allocated for i2d; len as that told it. */
static rc_t keep_der(struct arena *a, unsigned char *made, int len, struct bytes *out)
{
    if (len < 0)
        return RC_NO_MEMORY;
    *out = arena_copy(a, bytes_of(made, (size_t)len));
    OPENSSL_free(made);
    return out->data ? RC_OK : RC_NO_MEMORY;
}

/* ---- distinguished names -------------------------------------------------------------------- */

static const struct {
    int nid;
    enum cert_part part;
} parts[] = {
    {NID_commonName, CERT_PART_CN},
    {NID_organizationName, CERT_PART_O},
    {NID_organizationalUnitName, CERT_PART_OU},
    {NID_pkcs9_emailAddress, CERT_PART_EMAIL},
    {NID_countryName, CERT_PART_C},
    {NID_stateOrProvinceName, CERT_PART_ST},
    {NID_localityName, CERT_PART_L},
    {NID_userId, CERT_PART_UID},
    {NID_serialNumber, CERT_PART_SERIAL_NUMBER},
    {NID_title, CERT_PART_TITLE},
    {NID_domainComponent, CERT_PART_DC},
    {NID_dnQualifier, CERT_PART_DN_QUALIFIER},
};

/* As UTF-8. A NUL inside would make two different names look alike to C: refused. */
static rc_t text_of(struct arena *a, const ASN1_STRING *s, struct bytes *out)
{
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, s);
    if (len < 0)
        return RC_INVALID_FIELD;
    rc_t rc = len && memchr(utf8, 0, (size_t)len) ? RC_INVALID_FIELD : RC_OK;
    if (rc == RC_OK) {
        *out = arena_copy(a, bytes_of(utf8, (size_t)len));
        rc = out->data ? RC_OK : RC_NO_MEMORY;
    }
    OPENSSL_free(utf8);
    return rc;
}

static rc_t read_values(struct arena *a, const X509_NAME *name, struct cert_dn *out)
{
    int count = X509_NAME_entry_count(name);
    if (count > CERT_FACTS_VALUES)
        return RC_TOO_MANY;
    out->values = ARENA_ARRAY(a, (size_t)count + 1, struct cert_value);
    if (!out->values)
        return RC_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
        struct cert_value v = {CERT_PART_COUNT, BYTES_NONE};
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(e));
        TRY(text_of(a, X509_NAME_ENTRY_get_data(e), &v.text));
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
            if (parts[k].nid == nid)
                v.part = parts[k].part;
        if (v.part != CERT_PART_COUNT && v.text.len)
            out->values[out->value_count++] = v;
    }
    return RC_OK;
}

/* RFC 2253, but with UTF-8 as it is. */
static rc_t print_name(struct arena *a, const X509_NAME *name, struct bytes *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio)
        return RC_NO_MEMORY;
    char *text = NULL;
    rc_t rc = RC_INVALID_FIELD;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >=
        0) {
        long len = BIO_get_mem_data(bio, &text);
        *out = arena_copy(a, bytes_of(text, len > 0 ? (size_t)len : 0));
        rc = !out->data ? RC_NO_MEMORY : utf8_valid(*out) ? RC_OK : RC_INVALID_FIELD;
    }
    BIO_free(bio);
    return rc;
}

static rc_t read_name(struct arena *a, const X509_NAME *name, struct cert_dn *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509_NAME(name, &der);
    TRY(keep_der(a, der, len, &out->der));
    TRY(read_values(a, name, out));
    return print_name(a, name, &out->text);
}

/* ---- alternative names ---------------------------------------------------------------------- */

static rc_t print_ip(struct arena *a, const ASN1_OCTET_STRING *ip, struct bytes *out)
{
    const unsigned char *b = ASN1_STRING_get0_data(ip);
    int len = ASN1_STRING_length(ip);
    char *text = NULL;
    if (len == 4)
        text = arena_fmt(a, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    else if (len == 16)
        text = arena_fmt(a, "%x:%x:%x:%x:%x:%x:%x:%x", load_be16(b), load_be16(b + 2),
                         load_be16(b + 4), load_be16(b + 6), load_be16(b + 8), load_be16(b + 10),
                         load_be16(b + 12), load_be16(b + 14));
    else
        return RC_INVALID_FIELD;
    *out = bytes_str(text);
    return text ? RC_OK : RC_NO_MEMORY;
}

static rc_t print_oid(struct arena *a, const ASN1_OBJECT *oid, struct bytes *out)
{
    char text[128];
    int len = OBJ_obj2txt(text, sizeof text, oid, 1);
    if (len <= 0 || len >= (int)sizeof text)
        return RC_INVALID_FIELD;
    *out = arena_copy(a, bytes_of(text, (size_t)len));
    return out->data ? RC_OK : RC_NO_MEMORY;
}

/* *out stays NULL for a kind that has no text. */
static rc_t print_general(struct arena *a, const GENERAL_NAME *name, struct bytes *out)
{
    int type;
    const void *value = GENERAL_NAME_get0_value(name, &type);
    *out = BYTES_NONE;
    switch (type) {
    case GEN_EMAIL:
    case GEN_DNS:
    case GEN_URI:
        return text_of(a, value, out);
    case GEN_DIRNAME:
        return print_name(a, value, out);
    case GEN_IPADD:
        return print_ip(a, value, out);
    case GEN_RID:
        return print_oid(a, value, out);
    default:
        return RC_OK;
    }
}

static rc_t take_alternatives(struct arena *a, const GENERAL_NAMES *names, struct cert_dn *out)
{
    int count = sk_GENERAL_NAME_num(names);
    if (count > CERT_FACTS_VALUES)
        return RC_TOO_MANY;
    out->alternatives = ARENA_ARRAY(a, (size_t)count + 1, struct bytes);
    out->alternatives_der = ARENA_ARRAY(a, (size_t)count + 1, struct bytes);
    if (!out->alternatives || !out->alternatives_der)
        return RC_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct bytes text;
        TRY(print_general(a, name, &text));
        if (!text.data)
            continue;
        unsigned char *der = NULL;
        int len = i2d_GENERAL_NAME(name, &der);
        TRY(keep_der(a, der, len, &out->alternatives_der[out->alternative_count]));
        out->alternatives[out->alternative_count++] = text;
    }
    return RC_OK;
}

static rc_t read_alternatives(struct arena *a, const X509 *cert, int nid, struct cert_dn *out)
{
    int critical;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, nid, &critical, NULL);
    if (!names) /* -1: there are none; else there, but broken, or there twice */
        return critical == -1 ? RC_OK : RC_INVALID_FIELD;
    rc_t rc = take_alternatives(a, names, out);
    GENERAL_NAMES_free(names);
    return rc;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static rc_t read_serial(struct arena *a, const X509 *cert, struct cert_facts *out)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    unsigned char *der = NULL;
    int len = i2d_ASN1_INTEGER(serial, &der);
    TRY(keep_der(a, der, len, &out->serial_der));
    BIGNUM *n = ASN1_INTEGER_to_BN(serial, NULL);
    char *hex = n ? BN_bn2hex(n) : NULL;
    out->serial_text = hex ? arena_copy(a, bytes_str(hex)) : BYTES_NONE;
    OPENSSL_free(hex);
    BN_free(n);
    return out->serial_text.data ? RC_OK : RC_NO_MEMORY;
}

static uint32_t signature_of(const X509 *cert)
{
    static const struct {
        int nid;
        uint32_t kmip;
    } known[] = {
        {NID_md2WithRSAEncryption, KMIP_SIGNATURE_MD2_WITH_RSA_ENCRYPTION},
        {NID_md5WithRSAEncryption, KMIP_SIGNATURE_MD5_WITH_RSA_ENCRYPTION},
        {NID_sha1WithRSAEncryption, KMIP_SIGNATURE_SHA_1_WITH_RSA_ENCRYPTION},
        {NID_sha224WithRSAEncryption, KMIP_SIGNATURE_SHA_224_WITH_RSA_ENCRYPTION},
        {NID_sha256WithRSAEncryption, KMIP_SIGNATURE_SHA_256_WITH_RSA_ENCRYPTION},
        {NID_sha384WithRSAEncryption, KMIP_SIGNATURE_SHA_384_WITH_RSA_ENCRYPTION},
        {NID_sha512WithRSAEncryption, KMIP_SIGNATURE_SHA_512_WITH_RSA_ENCRYPTION},
        {NID_rsassaPss, KMIP_SIGNATURE_RSASSA_PSS},
        {NID_dsaWithSHA1, KMIP_SIGNATURE_DSA_WITH_SHA_1},
        {NID_dsa_with_SHA224, KMIP_SIGNATURE_DSA_WITH_SHA224},
        {NID_dsa_with_SHA256, KMIP_SIGNATURE_DSA_WITH_SHA256},
        {NID_ecdsa_with_SHA1, KMIP_SIGNATURE_ECDSA_WITH_SHA_1},
        {NID_ecdsa_with_SHA224, KMIP_SIGNATURE_ECDSA_WITH_SHA224},
        {NID_ecdsa_with_SHA256, KMIP_SIGNATURE_ECDSA_WITH_SHA256},
        {NID_ecdsa_with_SHA384, KMIP_SIGNATURE_ECDSA_WITH_SHA384},
        {NID_ecdsa_with_SHA512, KMIP_SIGNATURE_ECDSA_WITH_SHA512},
        {NID_RSA_SHA3_256, KMIP_SIGNATURE_SHA3_256_WITH_RSA_ENCRYPTION},
        {NID_RSA_SHA3_384, KMIP_SIGNATURE_SHA3_384_WITH_RSA_ENCRYPTION},
        {NID_RSA_SHA3_512, KMIP_SIGNATURE_SHA3_512_WITH_RSA_ENCRYPTION},
    };
    int nid = X509_get_signature_nid(cert);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].nid == nid)
            return known[i].kmip;
    return 0;
}

static rc_t read_cert(struct arena *a, const X509 *cert, struct cert_facts *out)
{
    TRY(read_name(a, X509_get_issuer_name(cert), &out->issuer));
    TRY(read_name(a, X509_get_subject_name(cert), &out->subject));
    TRY(read_alternatives(a, cert, NID_issuer_alt_name, &out->issuer));
    TRY(read_alternatives(a, cert, NID_subject_alt_name, &out->subject));
    TRY(read_serial(a, cert, out));
    out->signature_algorithm = signature_of(cert);
    return RC_OK;
}

rc_t cert_facts_read(struct arena *a, struct bytes der, struct cert_facts *out)
{
    *out = (struct cert_facts){0};
    if (der.len > CERT_FACTS_BYTES)
        return RC_TOO_LARGE;
    const unsigned char *at = der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    if (!cert)
        return RC_INVALID_FIELD;
    rc_t rc = at == der.data + der.len ? read_cert(a, cert, out) : RC_INVALID_FIELD;
    X509_free(cert);
    return rc;
}
