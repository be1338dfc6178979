/* The certificate authority's own key, certificate and folder; see ca.h. */
#include "certs/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "certs/ca_int.h"

enum {
    BACKDATE_S = 300
}; /* a client whose clock is a little behind can use its certificate at once */

rc_t ca_path(const char *dir, const char *name, char *out)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX ? RC_OK : RC_IO;
}

static rc_t serial_set(X509 *cert)
{
    unsigned char raw[16];
    if (RAND_bytes(raw, sizeof raw) != 1)
        return RC_CRYPTO;
    raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40); /* positive, and always 16 octets */
    BIGNUM *n = BN_bin2bn(raw, sizeof raw, NULL);
    ASN1_INTEGER *serial = n ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
    int ok = serial && X509_set_serialNumber(cert, serial) == 1;
    ASN1_INTEGER_free(serial);
    BN_free(n);
    return ok ? RC_OK : RC_NO_MEMORY;
}

/* Never beyond the issuer's own end: such a certificate would outlive its chain. */
static rc_t dates_set(X509 *cert, X509 *issuer, unsigned days)
{
    time_t now = time(NULL);
    int64_t end = (int64_t)now + (int64_t)days * 86400, last = end;
    if (issuer != cert)
        TRY(cert_time(X509_get0_notAfter(issuer), &last));
    if (last <= now)
        return RC_BAD_VALUE;
    bool ok = ASN1_TIME_set(X509_getm_notBefore(cert), now - BACKDATE_S) &&
              ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(end < last ? end : last));
    return ok ? RC_OK : RC_CRYPTO;
}

static rc_t subject_set(X509 *cert, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1
               ? RC_OK
               : RC_BAD_VALUE;
}

rc_t ca_cert_begin(X509 *cert, X509 *issuer, const char *common_name, EVP_PKEY *key, unsigned days)
{
    TRY(serial_set(cert));
    TRY(dates_set(cert, issuer, days));
    if (common_name && *common_name)
        TRY(subject_set(cert, common_name));
    bool ok = X509_set_version(cert, X509_VERSION_3) == 1 &&
              X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
              X509_set_pubkey(cert, key) == 1;
    return ok ? RC_OK : RC_CRYPTO;
}

rc_t ca_ext_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok ? RC_OK : RC_BAD_VALUE;
}

static rc_t self_sign(X509 *cert, EVP_PKEY *key, const struct ca_options *options)
{
    unsigned days = options->days ? options->days : CA_DAYS;
    TRY(ca_cert_begin(cert, cert, options->name ? options->name : "Holdfast CA", key, days));
    TRY(ca_ext_add(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    TRY(ca_ext_add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign"));
    TRY(ca_ext_add(cert, cert, NID_subject_key_identifier, "hash"));
    TRY(ca_ext_add(cert, cert, NID_authority_key_identifier, "keyid:always"));
    return X509_sign(cert, key, EVP_sha256()) > 0 ? RC_OK : RC_CRYPTO;
}

/*
 * The certificate goes to disk last: a folder with a key but no certificate is a first try that was
 * interrupted, and ca_init() may be run again.
 */
static rc_t ca_store(const char *dir, struct ca *ca, const char **why)
{
    char path[PATH_MAX];
    AUTO_BUF key = BUF_EMPTY;
    AUTO_BUF cert = BUF_EMPTY;
    TRY(pem_key_print(ca->key, &key));
    TRY(pem_cert_print(ca->cert, &cert));
    TRY(ca_path(dir, "ca.key", path));
    if (pem_file_write(path, buf_view(&key), PEM_SECRET_MODE) != RC_OK)
        return ca_fail(RC_IO, why, "the CA's key cannot be written");
    TRY(ca_crl_write(ca, NULL, 0, 0, why));
    TRY(ca_path(dir, "ca.pem", path));
    if (pem_file_write(path, buf_view(&cert), PEM_PUBLIC_MODE) != RC_OK)
        return ca_fail(RC_IO, why, "the CA's certificate cannot be written");
    return RC_OK;
}

rc_t ca_init(const char *dir, const struct ca_options *options, const char **why)
{
    char path[PATH_MAX];
    struct ca ca = {.lock = -1};
    ca_fail(RC_OK, why, "the CA cannot be made");
    TRY(ca_path(dir, "ca.pem", path));
    if (access(path, F_OK) == 0)
        return ca_fail(RC_CONFLICT, why, "there is a CA in this folder already");
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return ca_fail(RC_IO, why, "the CA's folder cannot be made");
    if (chmod(dir, 0700) != 0)
        return ca_fail(RC_IO, why, "the CA's folder cannot be closed to others");
    TRY(pem_key_new(options->key, &ca.key));
    ca.cert = X509_new();
    ca.dir = strdup(dir);
    rc_t rc = ca.cert && ca.dir ? self_sign(ca.cert, ca.key, options) : RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = ca_store(dir, &ca, why);
    X509_free(ca.cert);
    EVP_PKEY_free(ca.key);
    free(ca.dir);
    ERR_clear_error();
    return rc;
}

static rc_t folder_lock(const char *dir, int *out)
{
    *out = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out < 0)
        return errno == ENOENT ? RC_NOT_FOUND : RC_IO;
    while (flock(*out, LOCK_EX) != 0)
        if (errno != EINTR)
            return RC_IO;
    return RC_OK;
}

static rc_t ca_load(struct ca *ca, const char *dir, const char **why)
{
    char path[PATH_MAX];
    AUTO_BUF key = BUF_EMPTY;
    AUTO_BUF cert = BUF_EMPTY;
    rc_t rc = folder_lock(dir, &ca->lock);
    if (rc != RC_OK)
        return ca_fail(rc, why, "the CA's folder cannot be opened");
    TRY(ca_path(dir, "ca.pem", path));
    rc = pem_file_read(path, &cert);
    if (rc != RC_OK)
        return ca_fail(rc, why, "the CA's certificate (ca.pem) cannot be read");
    TRY(ca_path(dir, "ca.key", path));
    rc = pem_secret_read(path, &key);
    if (rc == RC_CONFIG)
        return ca_fail(rc, why, "the CA's key (ca.key) may be read by others than its owner");
    if (rc != RC_OK)
        return ca_fail(rc, why, "the CA's key (ca.key) cannot be read");
    if (pem_cert_parse(buf_view(&cert), &ca->cert) != RC_OK)
        return ca_fail(RC_BAD_VALUE, why, "ca.pem holds no certificate");
    if (pem_key_parse(buf_view(&key), &ca->key) != RC_OK)
        return ca_fail(RC_BAD_VALUE, why, "ca.key holds no private key");
    if (X509_check_private_key(ca->cert, ca->key) != 1)
        return ca_fail(RC_BAD_VALUE, why, "ca.pem and ca.key do not belong together");
    if (X509_check_ca(ca->cert) != 1)
        return ca_fail(RC_BAD_VALUE, why, "ca.pem is not the certificate of a CA");
    ca->dir = strdup(dir);
    return ca->dir ? RC_OK : RC_NO_MEMORY;
}

rc_t ca_open(const char *dir, struct ca **out, const char **why)
{
    ca_fail(RC_OK, why, "the CA cannot be opened");
    struct ca *ca = calloc(1, sizeof *ca);
    if (!ca)
        return RC_NO_MEMORY;
    ca->lock = -1;
    rc_t rc = ca_load(ca, dir, why);
    ERR_clear_error();
    if (rc != RC_OK) {
        ca_close(&ca);
        return rc;
    }
    *out = ca;
    return RC_OK;
}

void ca_close(struct ca **ca)
{
    if (!*ca)
        return;
    EVP_PKEY_free((*ca)->key); /* OpenSSL cleanses private numbers */
    X509_free((*ca)->cert);
    free((*ca)->dir);
    if ((*ca)->lock >= 0)
        close((*ca)->lock); /* and with it the lock */
    free(*ca);
    *ca = NULL;
}

X509 *ca_cert(const struct ca *ca)
{
    return ca->cert;
}

rc_t ca_cert_pem(const struct ca *ca, struct buf *out)
{
    return pem_cert_print(ca->cert, out);
}
