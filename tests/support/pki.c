/* Certificates for tests; see pki.h. */
#include "tests/support/pki.h"

#include <stdlib.h>
#include <time.h>

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

EVP_PKEY *pki_key(const char *kind)
{
    EVP_PKEY *key;
    if (!strncmp(kind, "RSA", 3))
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(kind + 3));
    else if (!strcmp(kind, "ED25519"))
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    ck_assert_ptr_nonnull(key);
    return key;
}

static void ext_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert_ptr_nonnull(ext);
    ck_assert_int_eq(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static void sans_add(X509 *cert, const struct pki_san *sans)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (; sans->data; sans++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_STRING *value =
            sans->type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
        ASN1_STRING_set(value, sans->data, (int)sans->len);
        GENERAL_NAME_set0_value(name, sans->type, value);
        sk_GENERAL_NAME_push(names, name);
    }
    ck_assert_int_eq(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT),
                     1);
    GENERAL_NAMES_free(names);
}

static const EVP_MD *digest_of(EVP_PKEY *key, const char *name)
{
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return NULL;
    return EVP_get_digestbyname(name ? name : "SHA256");
}

X509 *pki_cert(const struct pki_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    static long serial;
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    time_t now = time(NULL);
    bool usual = !spec->from_s && !spec->until_s;
    if (!issuer)
        issuer = cert, issuer_key = key;
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), now + ++serial);
    ASN1_TIME_set(X509_getm_notBefore(cert), now + (usual ? -3600 : spec->from_s));
    ASN1_TIME_set(X509_getm_notAfter(cert), now + (usual ? 86400 : spec->until_s));
    if (spec->cn)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->cn,
                                   spec->cn_len ? (int)spec->cn_len : (int)strlen(spec->cn), -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer));
    X509_set_pubkey(cert, key);
    ext_add(cert, issuer, NID_basic_constraints,
            spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    ext_add(cert, issuer, NID_key_usage,
            spec->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    ext_add(cert, issuer, NID_subject_key_identifier, "hash");
    if (spec->purpose)
        ext_add(cert, issuer, NID_ext_key_usage, spec->purpose);
    if (spec->sans)
        sans_add(cert, spec->sans);
    ck_assert_int_gt(X509_sign(cert, issuer_key, digest_of(issuer_key, spec->digest)), 0);
    return cert;
}

X509_CRL *pki_crl(X509 *issuer, EVP_PKEY *issuer_key, X509 *revoked, long until_s)
{
    X509_CRL *crl = X509_CRL_new();
    time_t now = time(NULL);
    ASN1_TIME *from = ASN1_TIME_set(NULL, now - 7200), *until = ASN1_TIME_set(NULL, now + until_s);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
    X509_CRL_set1_lastUpdate(crl, from);
    X509_CRL_set1_nextUpdate(crl, until);
    if (revoked) {
        X509_REVOKED *one = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(one, X509_get_serialNumber(revoked));
        X509_REVOKED_set_revocationDate(one, from);
        X509_CRL_add0_revoked(crl, one);
    }
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    ck_assert_int_gt(X509_CRL_sign(crl, issuer_key, digest_of(issuer_key, NULL)), 0);
    return crl;
}

static void bio_give(BIO *bio, struct buf *out)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    ck_assert_int_eq(buf_add(out, data, (size_t)len), RC_OK);
    BIO_free(bio);
}

void pki_cert_pem(X509 *cert, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_X509(bio, cert), 1);
    bio_give(bio, out);
}

void pki_crl_pem(X509_CRL *crl, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_X509_CRL(bio, crl), 1);
    bio_give(bio, out);
}

void pki_key_pem(EVP_PKEY *key, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    bio_give(bio, out);
}

void pki_csr_pem(EVP_PKEY *key, const char *cn, const char *digest, bool spoil, struct buf *out)
{
    X509_REQ *csr = X509_REQ_new();
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_UTF8,
                               (const unsigned char *)cn, -1, -1, 0);
    X509_REQ_set_pubkey(csr, key);
    ck_assert_int_gt(X509_REQ_sign(csr, key, digest_of(key, digest)), 0);
    if (spoil) /* another name under the same signature */
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "O", MBSTRING_UTF8,
                                   (const unsigned char *)"x", -1, -1, 0);
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_X509_REQ(bio, csr), 1);
    bio_give(bio, out);
    X509_REQ_free(csr);
}
