/* The certificate revocation list; see ca.h. A revocation, once in the list, is never taken back.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "certs/ca_int.h"

/* The list as it stands on disk, or NULL when there is none yet. */
static rc_t crl_present(struct ca *ca, X509_CRL **out, const char **why)
{
    char path[PATH_MAX];
    AUTO_BUF pem = BUF_EMPTY;
    STACK_OF(X509_CRL) * crls;
    *out = NULL;
    TRY(ca_path(ca->dir, "crl.pem", path));
    rc_t rc = pem_file_read(path, &pem);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (rc != RC_OK)
        return ca_fail(rc, why, "the present CRL cannot be read");
    if (pem_crls_parse(buf_view(&pem), &crls) != RC_OK)
        return ca_fail(RC_BAD_VALUE, why, "the present CRL is damaged");
    X509_CRL *crl = sk_X509_CRL_value(crls, 0);
    /* Another CA's list (of a CA made anew in this folder) has nothing to say here. */
    if (X509_CRL_verify(crl, X509_get0_pubkey(ca->cert)) == 1 && X509_CRL_up_ref(crl) == 1)
        *out = crl;
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
    return RC_OK;
}

static rc_t number_set(X509_CRL *crl, const X509_CRL *present)
{
    ASN1_INTEGER *number =
        present ? X509_CRL_get_ext_d2i(present, NID_crl_number, NULL, NULL) : NULL;
    BIGNUM *n = number ? ASN1_INTEGER_to_BN(number, NULL) : BN_new();
    ASN1_INTEGER_free(number);
    number = n && BN_add_word(n, 1) == 1 ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
    int ok =
        number && X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_INTEGER_free(number);
    BN_free(n);
    return ok ? RC_OK : RC_NO_MEMORY;
}

static rc_t key_id_set(X509_CRL *crl, X509 *issuer)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
    X509_EXTENSION *ext =
        X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    int ok = ext && X509_CRL_add_ext(crl, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok ? RC_OK : RC_CRYPTO;
}

static rc_t present_copy(X509_CRL *crl, X509_CRL *present)
{
    STACK_OF(X509_REVOKED) *all = present ? X509_CRL_get_REVOKED(present) : NULL;
    for (int i = 0; i < sk_X509_REVOKED_num(all); i++) {
        X509_REVOKED *one = X509_REVOKED_dup(sk_X509_REVOKED_value(all, i));
        if (!one || X509_CRL_add0_revoked(crl, one) != 1) {
            X509_REVOKED_free(one);
            return RC_NO_MEMORY;
        }
    }
    return RC_OK;
}

static rc_t revoked_fill(X509_REVOKED *one, ASN1_INTEGER *serial, const struct ca_revoked *entry)
{
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)entry->when);
    ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
    bool ok = when && reason && X509_REVOKED_set_serialNumber(one, serial) == 1 &&
              X509_REVOKED_set_revocationDate(one, when) == 1;
    if (ok && entry->reason != CRL_REASON_UNSPECIFIED) /* RFC 5280, 5.3.1: then left out */
        ok = ASN1_ENUMERATED_set(reason, entry->reason) == 1 &&
             X509_REVOKED_add1_ext_i2d(one, NID_crl_reason, reason, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_ENUMERATED_free(reason);
    ASN1_TIME_free(when);
    return ok ? RC_OK : RC_NO_MEMORY;
}

static rc_t entry_add(X509_CRL *crl, X509_CRL *present, const struct ca_revoked *entry)
{
    BIGNUM *n = NULL;
    size_t len = strlen(entry->serial);
    if (len < 1 || len >= CERT_SERIAL_SIZE ||
        strspn(entry->serial, "0123456789abcdefABCDEF") != len || entry->reason < 0 ||
        entry->reason > CRL_REASON_AA_COMPROMISE || entry->reason == 7)
        return RC_BAD_VALUE;
    if (BN_hex2bn(&n, entry->serial) == 0)
        return RC_NO_MEMORY;
    ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(n, NULL);
    BN_free(n);
    X509_REVOKED *there = NULL, *one = NULL;
    rc_t rc = RC_OK;
    if (!serial)
        return RC_NO_MEMORY;
    if (!present || X509_CRL_get0_by_serial(present, &there, serial) != 1) {
        one = X509_REVOKED_new();
        rc = one ? revoked_fill(one, serial, entry) : RC_NO_MEMORY;
        if (rc == RC_OK && X509_CRL_add0_revoked(crl, one) != 1)
            rc = RC_NO_MEMORY;
        if (rc != RC_OK)
            X509_REVOKED_free(one);
    }
    ASN1_INTEGER_free(serial);
    return rc;
}

static rc_t dates_set(X509_CRL *crl, unsigned days)
{
    time_t now = time(NULL);
    ASN1_TIME *from = ASN1_TIME_set(NULL, now - 300);
    ASN1_TIME *until = ASN1_TIME_set(NULL, now + (time_t)(days ? days : CA_CRL_DAYS) * 86400);
    bool ok = from && until && X509_CRL_set1_lastUpdate(crl, from) == 1 &&
              X509_CRL_set1_nextUpdate(crl, until) == 1;
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return ok ? RC_OK : RC_NO_MEMORY;
}

static rc_t crl_print(X509_CRL *crl, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    if (!bio)
        return RC_NO_MEMORY;
    rc_t rc = RC_CRYPTO;
    if (PEM_write_bio_X509_CRL(bio, crl) == 1) {
        long len = BIO_get_mem_data(bio, &data);
        rc = len > 0 ? buf_add(out, data, (size_t)len) : RC_CRYPTO;
    }
    BIO_free(bio);
    return rc;
}

static rc_t crl_fill(struct ca *ca, X509_CRL *crl, X509_CRL *present,
                     const struct ca_revoked *entries, size_t count, unsigned days,
                     const char **why)
{
    if (X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert)) != 1)
        return RC_CRYPTO;
    TRY(dates_set(crl, days));
    TRY(key_id_set(crl, ca->cert));
    TRY(number_set(crl, present));
    TRY(present_copy(crl, present));
    for (size_t i = 0; i < count; i++) {
        rc_t rc = entry_add(crl, present, &entries[i]);
        if (rc != RC_OK)
            return ca_fail(rc, why, "a revoked certificate's serial number or reason is not valid");
    }
    X509_CRL_sort(crl);
    return X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0 ? RC_OK : RC_CRYPTO;
}

rc_t ca_crl_build(struct ca *ca, const struct ca_revoked *entries, size_t count, unsigned days,
                  struct buf *out, const char **why)
{
    X509_CRL *present, *crl = NULL;
    ca_fail(RC_OK, why, "the CRL cannot be made");
    rc_t rc = crl_present(ca, &present, why);
    if (rc == RC_OK) {
        crl = X509_CRL_new();
        rc = crl ? crl_fill(ca, crl, present, entries, count, days, why) : RC_NO_MEMORY;
    }
    if (rc == RC_OK)
        rc = crl_print(crl, out);
    X509_CRL_free(crl);
    X509_CRL_free(present);
    ERR_clear_error();
    return rc;
}

rc_t ca_crl_write(struct ca *ca, const struct ca_revoked *entries, size_t count, unsigned days,
                  const char **why)
{
    char path[PATH_MAX];
    AUTO_BUF pem = BUF_EMPTY;
    TRY(ca_crl_build(ca, entries, count, days, &pem, why));
    TRY(ca_path(ca->dir, "crl.pem", path));
    if (pem_file_write(path, buf_view(&pem), PEM_PUBLIC_MODE) != RC_OK)
        return ca_fail(RC_IO, why, "the CRL cannot be written");
    return RC_OK;
}
