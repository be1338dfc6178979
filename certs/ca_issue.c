/* Certificates for clients and servers; see ca.h. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/ca_int.h"
#include "certs/trust.h"

#define AUTO_X509 __attribute__((cleanup(x509_drop))) X509 *
#define AUTO_PKEY __attribute__((cleanup(pkey_drop))) EVP_PKEY *

static void x509_drop(X509 **cert)
{
    X509_free(*cert);
}

static void pkey_drop(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

void ca_issued_free(struct ca_issued *issued)
{
    buf_free(&issued->cert_pem);
    buf_free(&issued->key_pem);
    cert_identity_free(&issued->identity);
}

rc_t ca_client_name_check(const char *name)
{
    size_t len = strlen(name);
    if (len < 1 || len > CA_CLIENT_NAME_BYTES || !isalnum((unsigned char)name[0]))
        return RC_BAD_VALUE;
    for (size_t i = 0; i < len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", name[i]))
            return RC_BAD_VALUE;
    return RC_OK;
}

/* A link becomes configuration text of OpenSSL: what would be read as syntax there is refused. */
static rc_t link_check(const char *url)
{
    if (strlen(url) > 512 || strpbrk(url, ",;\n\r\"\\ ") || !strstr(url, "://"))
        return RC_BAD_VALUE;
    return RC_OK;
}

static rc_t links_add(X509 *cert, X509 *issuer, const struct ca_links *links, const char **why)
{
    char value[600];
    if (links->crl_url) {
        snprintf(value, sizeof value, "URI:%s", links->crl_url);
        if (link_check(links->crl_url) != RC_OK ||
            ca_ext_add(cert, issuer, NID_crl_distribution_points, value) != RC_OK)
            return ca_fail(RC_BAD_VALUE, why, "the address of the CRL is not a plain URL");
    }
    if (links->ca_url) {
        snprintf(value, sizeof value, "caIssuers;URI:%s", links->ca_url);
        if (link_check(links->ca_url) != RC_OK ||
            ca_ext_add(cert, issuer, NID_info_access, value) != RC_OK)
            return ca_fail(RC_BAD_VALUE, why,
                           "the address of the CA's certificate is not a plain URL");
    }
    return RC_OK;
}

/* The subject alternative name is set by value, not by text: no name can be read as syntax. */
static rc_t sans_set(X509 *cert, GENERAL_NAMES *sans)
{
    return X509_add1_ext_i2d(cert, NID_subject_alt_name, sans, 0, X509V3_ADD_DEFAULT) == 1
               ? RC_OK
               : RC_NO_MEMORY;
}

static rc_t san_push(GENERAL_NAMES *sans, int type, const void *data, size_t len)
{
    ASN1_STRING *value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (!value || !name || ASN1_STRING_set(value, data, (int)len) != 1) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(name);
        return RC_NO_MEMORY;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(sans, name) == 0) {
        GENERAL_NAME_free(name);
        return RC_NO_MEMORY;
    }
    return RC_OK;
}

/* Extensions that clients and servers share, signature, and the result in the caller's form. */
static rc_t finish(struct ca *ca, X509 *cert, GENERAL_NAMES *sans, const char *purpose,
                   const struct ca_links *links, struct ca_issued *out, const char **why)
{
    TRY(ca_ext_add(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE"));
    TRY(ca_ext_add(cert, ca->cert, NID_key_usage, "critical,digitalSignature"));
    TRY(ca_ext_add(cert, ca->cert, NID_ext_key_usage, purpose));
    TRY(ca_ext_add(cert, ca->cert, NID_subject_key_identifier, "hash"));
    TRY(ca_ext_add(cert, ca->cert, NID_authority_key_identifier, "keyid:always"));
    TRY(sans_set(cert, sans));
    TRY(links_add(cert, ca->cert, links, why));
    if (X509_sign(cert, ca->key, EVP_sha256()) <= 0)
        return RC_CRYPTO;
    TRY(pem_cert_print(cert, &out->cert_pem));
    return cert_identity(cert, &out->identity);
}

/* The public key of a request whose sender has shown that it holds the private one. */
static rc_t csr_key(struct bytes pem, EVP_PKEY **out, const char **why)
{
    BIO *bio = pem.len <= PEM_FILE_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    X509_REQ *csr = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!csr)
        return ca_fail(RC_BAD_VALUE, why, "the certificate request cannot be read as PEM");
    rc_t rc = RC_OK;
    int digest = NID_undef, bits = 0;
    EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
    OBJ_find_sigid_algs(X509_REQ_get_signature_nid(csr), &digest, NULL);
    const EVP_MD *md = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
    bits = md ? EVP_MD_get_size(md) * 4 : 112; /* Ed25519, Ed448 and PSS name no digest here */
    if (cert_key_check(key) != RC_OK)
        rc = ca_fail(RC_BAD_VALUE, why,
                     "the key of the certificate request is too weak or of an unknown kind");
    else if (bits < 112)
        rc = ca_fail(RC_BAD_VALUE, why, "the certificate request is signed with a weak digest");
    else if (X509_REQ_verify(csr, key) != 1)
        rc = ca_fail(RC_BAD_VALUE, why, "the certificate request is not signed by its own key");
    else if (EVP_PKEY_up_ref(key) == 1)
        *out = key;
    X509_REQ_free(csr);
    return rc;
}

static rc_t client_fill(struct ca *ca, const struct ca_client_request *request, X509 *cert,
                        GENERAL_NAMES *sans, struct ca_issued *out, const char **why)
{
    char uri[sizeof CA_CLIENT_URI + CA_CLIENT_NAME_BYTES];
    AUTO_PKEY key = NULL;
    if (ca_client_name_check(request->name) != RC_OK)
        return ca_fail(RC_BAD_VALUE, why,
                       "a client's name is 1 to 64 letters, digits, dots, dashes and underscores");
    if (request->csr_pem.len) {
        TRY(csr_key(request->csr_pem, &key, why));
    } else {
        TRY(pem_key_new(request->key, &key));
        TRY(pem_key_print(key, &out->key_pem));
    }
    TRY(ca_cert_begin(cert, ca->cert, request->name, key,
                      request->days ? request->days : CA_CLIENT_DAYS));
    snprintf(uri, sizeof uri, CA_CLIENT_URI "%s", request->name);
    TRY(san_push(sans, GEN_URI, uri, strlen(uri)));
    return finish(ca, cert, sans, "clientAuth", &request->links, out, why);
}

rc_t ca_issue_client(struct ca *ca, const struct ca_client_request *request, struct ca_issued *out,
                     const char **why)
{
    *out = (struct ca_issued){0};
    ca_fail(RC_OK, why, "the certificate cannot be made");
    AUTO_X509 cert = X509_new();
    GENERAL_NAMES *sans = GENERAL_NAMES_new();
    rc_t rc = cert && sans ? client_fill(ca, request, cert, sans, out, why) : RC_NO_MEMORY;
    GENERAL_NAMES_free(sans);
    ERR_clear_error();
    if (rc != RC_OK)
        ca_issued_free(out);
    return rc;
}

/* RFC 1123 host name, at most 253 characters; a leading "*." is allowed. */
static bool host_name_ok(const char *host)
{
    size_t len = strlen(host), label = 0;
    if (!strncmp(host, "*.", 2))
        host += 2;
    if (!*host || len > 253)
        return false;
    for (const char *c = host; *c; c++) {
        if (*c == '.') {
            if (label == 0 || c[-1] == '-')
                return false;
            label = 0;
        } else if (isalnum((unsigned char)*c) || *c == '_' || (*c == '-' && label)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
    }
    return label > 0;
}

static rc_t host_push(GENERAL_NAMES *sans, const char *host)
{
    unsigned char raw[16];
    if (inet_pton(AF_INET, host, raw) == 1)
        return san_push(sans, GEN_IPADD, raw, 4);
    if (inet_pton(AF_INET6, host, raw) == 1)
        return san_push(sans, GEN_IPADD, raw, 16);
    return host_name_ok(host) ? san_push(sans, GEN_DNS, host, strlen(host)) : RC_BAD_VALUE;
}

static rc_t server_key(struct bytes pem, enum cert_key kind, EVP_PKEY **out,
                       struct ca_issued *issued, const char **why)
{
    if (!pem.len)
        TRY(pem_key_new(kind, out));
    else if (pem_key_parse(pem, out) != RC_OK || cert_key_check(*out) != RC_OK)
        return ca_fail(RC_BAD_VALUE, why, "the server's key cannot be read or is too weak");
    return pem_key_print(*out, &issued->key_pem);
}

/* `name` is the common name; only for people, nobody matches it. */
static rc_t server_fill(struct ca *ca, const struct ca_server_request *request, const char *name,
                        GENERAL_NAMES *sans, struct ca_issued *out, const char **why)
{
    AUTO_X509 cert = X509_new();
    AUTO_PKEY key = NULL;
    if (!cert)
        return RC_NO_MEMORY;
    TRY(server_key(request->key_pem, request->key, &key, out, why));
    TRY(ca_cert_begin(cert, ca->cert, name, key, request->days ? request->days : CA_SERVER_DAYS));
    return finish(ca, cert, sans, "serverAuth", &request->links, out, why);
}

rc_t ca_issue_server(struct ca *ca, const struct ca_server_request *request, struct ca_issued *out,
                     const char **why)
{
    *out = (struct ca_issued){0};
    if (request->host_count < 1 || request->host_count > CA_SANS)
        return ca_fail(RC_BAD_VALUE, why, "a server certificate needs 1 to 32 hosts");
    ca_fail(RC_OK, why, "the certificate cannot be made");
    GENERAL_NAMES *sans = GENERAL_NAMES_new();
    rc_t rc = sans ? RC_OK : RC_NO_MEMORY;
    for (size_t i = 0; rc == RC_OK && i < request->host_count; i++)
        if ((rc = host_push(sans, request->hosts[i])) != RC_OK)
            ca_fail(rc, why, "a host is neither an IP address nor a host name");
    if (rc == RC_OK) {
        const char *first = request->hosts[0];
        rc = server_fill(ca, request, strlen(first) <= CA_CLIENT_NAME_BYTES ? first : "server",
                         sans, out, why);
    }
    GENERAL_NAMES_free(sans);
    ERR_clear_error();
    if (rc != RC_OK)
        ca_issued_free(out);
    return rc;
}

static rc_t renew_fill(struct ca *ca, X509 *old, unsigned days, const struct ca_links *links,
                       struct ca_issued *out, const char **why)
{
    struct ca_server_request request = {.days = days};
    char name[CA_CLIENT_NAME_BYTES + 1];
    if (links)
        request.links = *links;
    if (X509_verify(old, X509_get0_pubkey(ca->cert)) != 1)
        return ca_fail(RC_BAD_VALUE, why, "the server certificate is not of this CA");
    if (!(X509_get_extended_key_usage(old) & XKU_SSL_SERVER) ||
        !(X509_get_extension_flags(old) & EXFLAG_XKUSAGE))
        return ca_fail(RC_BAD_VALUE, why, "the certificate is not a server's");
    GENERAL_NAMES *sans = X509_get_ext_d2i(old, NID_subject_alt_name, NULL, NULL);
    if (!sans)
        return ca_fail(RC_BAD_VALUE, why, "the server certificate names no host");
    request.key = EVP_PKEY_get_base_id(X509_get0_pubkey(old)) == EVP_PKEY_RSA ? CERT_KEY_RSA3072
                                                                              : CERT_KEY_P256;
    int len =
        X509_NAME_get_text_by_NID(X509_get_subject_name(old), NID_commonName, name, sizeof name);
    rc_t rc = server_fill(ca, &request, len > 0 ? name : "server", sans, out, why);
    GENERAL_NAMES_free(sans);
    return rc;
}

rc_t ca_renew_server(struct ca *ca, struct bytes old_cert_pem, unsigned days,
                     const struct ca_links *links, struct ca_issued *out, const char **why)
{
    *out = (struct ca_issued){0};
    ca_fail(RC_OK, why, "the certificate cannot be made");
    AUTO_X509 old = NULL;
    if (pem_cert_parse(old_cert_pem, &old) != RC_OK)
        return ca_fail(RC_BAD_VALUE, why, "the server certificate cannot be read as PEM");
    rc_t rc = renew_fill(ca, old, days, links, out, why);
    ERR_clear_error();
    if (rc != RC_OK)
        ca_issued_free(out);
    return rc;
}
