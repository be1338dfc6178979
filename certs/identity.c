/* Issuer, names, serial and fingerprint of a certificate as text; see identity.h. */
#include "certs/identity.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "proto/base/bytes.h"

static void hex_print(const unsigned char *raw, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[2 * len] = 0;
}

rc_t cert_time(const ASN1_TIME *time, int64_t *out)
{
    struct tm tm;
    if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
        return RC_BAD_VALUE;
    *out = timegm(&tm);
    return RC_OK;
}

rc_t cert_serial(const ASN1_INTEGER *serial, char out[CERT_SERIAL_SIZE])
{
    const unsigned char *raw = ASN1_STRING_get0_data(serial);
    int len = ASN1_STRING_length(serial);
    /* ASN1_INTEGER keeps the magnitude and tells the sign by its type. */
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || len < 1 || len > 20)
        return RC_BAD_VALUE;
    while (len > 1 && raw[0] == 0)
        raw++, len--;
    if (len == 1 && raw[0] == 0)
        return RC_BAD_VALUE;
    hex_print(raw, (size_t)len, out);
    return RC_OK;
}

/* A NUL inside a name would make two different names look alike to C: such a certificate is
 * refused. */
static bool dn_has_nul(const X509_NAME *dn)
{
    for (int i = 0; i < X509_NAME_entry_count(dn); i++) {
        const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(dn, i));
        const unsigned char *data = ASN1_STRING_get0_data(s);
        int len = ASN1_STRING_length(s), type = ASN1_STRING_type(s);
        if (type == V_ASN1_BMPSTRING || type == V_ASN1_UNIVERSALSTRING) {
            int step = type == V_ASN1_BMPSTRING ? 2 : 4;
            for (int at = 0; at + step <= len; at += step)
                if (!memcmp(data + at, "\0\0\0", (size_t)step))
                    return true;
        } else if (len && memchr(data, 0, (size_t)len)) {
            return true;
        }
    }
    return false;
}

/* RFC 2253 text: last attribute first, all but printable ASCII escaped. */
static rc_t dn_print(const X509_NAME *dn, char **out)
{
    if (X509_NAME_entry_count(dn) == 0 || dn_has_nul(dn))
        return RC_BAD_VALUE;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio)
        return RC_NO_MEMORY;
    rc_t rc = RC_BAD_VALUE;
    char *text;
    long len;
    if (X509_NAME_print_ex(bio, dn, 0, XN_FLAG_RFC2253) > 0 &&
        (len = BIO_get_mem_data(bio, &text)) > 0 && len <= CERT_DN_BYTES) {
        *out = strndup(text, (size_t)len);
        rc = *out ? RC_OK : RC_NO_MEMORY;
    }
    BIO_free(bio);
    return rc;
}

static rc_t name_add(struct cert_identity *id, const char *kind, char *value)
{
    if (id->name_count == CERT_NAMES) {
        free(value);
        return RC_TOO_MANY;
    }
    id->names[id->name_count++] = (struct cert_name){kind, value};
    return RC_OK;
}

static rc_t san_add(struct cert_identity *id, const char *kind, const ASN1_STRING *s)
{
    const unsigned char *data = ASN1_STRING_get0_data(s);
    int len = ASN1_STRING_length(s);
    if (len < 1 || len > CERT_NAME_BYTES)
        return RC_BAD_VALUE;
    for (int i = 0; i < len; i++)
        if (data[i] < 0x21 || data[i] > 0x7e)
            return RC_BAD_VALUE;
    char *value = strndup((const char *)data, (size_t)len);
    if (!value)
        return RC_NO_MEMORY;
    if (!strcmp(kind, "dns")) /* RFC 4343: compared without regard to case */
        for (char *c = value; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    return name_add(id, kind, value);
}

static rc_t sans_read(const GENERAL_NAMES *sans, struct cert_identity *id)
{
    static const struct {
        int type;
        const char *kind;
    } order[] = {{GEN_URI, "uri"}, {GEN_DNS, "dns"}, {GEN_EMAIL, "email"}};

    for (size_t o = 0; o < sizeof order / sizeof *order; o++)
        for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
            int type;
            const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(sans, i), &type);
            if (type == order[o].type)
                TRY(san_add(id, order[o].kind, value));
        }
    return RC_OK;
}

static rc_t names_read(X509 *cert, struct cert_identity *id)
{
    int critical;
    GENERAL_NAMES *sans = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
    if (!sans && critical != -1)
        return RC_BAD_VALUE; /* there, but broken or there twice: not the same as absent */
    rc_t rc = sans ? sans_read(sans, id) : RC_OK;
    GENERAL_NAMES_free(sans);
    if (rc != RC_OK || id->name_count)
        return rc;
    char *subject;
    TRY(dn_print(X509_get_subject_name(cert), &subject));
    return name_add(id, "subject", subject);
}

static rc_t identity_read(X509 *cert, struct cert_identity *id)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;
    TRY(dn_print(X509_get_issuer_name(cert), &id->issuer));
    TRY(cert_serial(X509_get0_serialNumber(cert), id->serial));
    TRY(cert_time(X509_get0_notBefore(cert), &id->not_before));
    TRY(cert_time(X509_get0_notAfter(cert), &id->not_after));
    if (X509_digest(cert, EVP_sha256(), digest, &len) != 1 || len != 32)
        return RC_CRYPTO;
    hex_print(digest, len, id->fingerprint);
    return names_read(cert, id);
}

rc_t cert_identity(X509 *cert, struct cert_identity *out)
{
    *out = (struct cert_identity){0};
    rc_t rc = identity_read(cert, out);
    if (rc != RC_OK)
        cert_identity_free(out);
    return rc;
}

void cert_identity_free(struct cert_identity *id)
{
    free(id->issuer);
    for (size_t i = 0; i < id->name_count; i++)
        free(id->names[i].value);
    *id = (struct cert_identity){0};
}
