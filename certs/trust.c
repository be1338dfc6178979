/* CA certificates, CRLs and the one check of a client's certificate; see trust.h. */
#include "certs/trust.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "certs/pem.h"

enum { SEEN_SLOTS = 256, FINGERPRINT_BYTES = 32 };

/* A certificate that was found good: by the SHA-256 of all of it. The slot is its first byte; the latest stays. */
struct seen {
    uint8_t fingerprint[FINGERPRINT_BYTES];
    int64_t until_s; /* monotonic; 0: empty */
};

struct trust {
    X509_STORE *store;
    STACK_OF(X509) * cas;
    bool has_crl;
};

rc_t cert_key_check(EVP_PKEY *key)
{
    if (!key)
        return RC_BAD_VALUE;
    int bits = EVP_PKEY_get_bits(key);
    char group[32];
    size_t len;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
        return bits >= TRUST_RSA_MIN && bits <= TRUST_RSA_MAX ? RC_OK : RC_BAD_VALUE;
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &len) != 1)
            return RC_BAD_VALUE;
        return !strcmp(group, "prime256v1") || !strcmp(group, "secp384r1") ||
                       !strcmp(group, "secp521r1")
                   ? RC_OK
                   : RC_BAD_VALUE;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return RC_OK;
    default:
        return RC_BAD_VALUE;
    }
}

/*
 * Called by OpenSSL for each step of a chain. It only ever makes the answer stricter, with one
 * exception: a CA above the issuer of the client's certificate needs no CRL (the issuer does).
 */
static int on_verify(int ok, X509_STORE_CTX *ctx)
{
    int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
    if (!ok && error == X509_V_ERR_UNABLE_TO_GET_CRL && depth > 0) {
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }
    if (!ok)
        return 0;
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    if (cert && cert_key_check(X509_get0_pubkey(cert)) != RC_OK) {
        X509_STORE_CTX_set_error(ctx,
                                 depth ? X509_V_ERR_CA_KEY_TOO_SMALL : X509_V_ERR_EE_KEY_TOO_SMALL);
        return 0;
    }
    return 1;
}

/* ---- certificates seen before ---- */

static int64_t monotonic_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void refused_free(void *parent, void *cert, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    X509_free(cert);
}

static int refused_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, refused_free);
    return index;
}

/* OpenSSL forgets whom it refuses, but whoever asks why a client is not let in knows it by its certificate. */
static void refused_keep(X509_STORE_CTX *ctx, X509 *cert)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!ssl || !cert || refused_index() < 0 || SSL_get_ex_data(ssl, refused_index()) || X509_up_ref(cert) != 1)
        return;
    if (SSL_set_ex_data(ssl, refused_index(), cert) != 1)
        X509_free(cert);
}

X509 *trust_refused(const SSL *ssl)
{
    return refused_index() < 0 ? NULL : SSL_get_ex_data(ssl, refused_index());
}

/* In the place of X509_verify_cert() during handshakes. */
static int verify_unless_seen(X509_STORE_CTX *ctx, void *slots)
{
    X509 *cert = X509_STORE_CTX_get0_cert(ctx);
    uint8_t fingerprint[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!cert || X509_digest(cert, EVP_sha256(), fingerprint, &len) != 1 || len != FINGERPRINT_BYTES)
        return X509_verify_cert(ctx);
    struct seen *seen = (struct seen *)slots + fingerprint[0];
    int64_t now = monotonic_s();
    if (now < seen->until_s && memcmp(seen->fingerprint, fingerprint, len) == 0 &&
        X509_cmp_current_time(X509_get0_notAfter(cert)) > 0) {
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }
    int good = X509_verify_cert(ctx);
    if (good == 1 && X509_STORE_CTX_get_error(ctx) == X509_V_OK) {
        memcpy(seen->fingerprint, fingerprint, len);
        seen->until_s = now + TRUST_SEEN_S;
    } else {
        refused_keep(ctx, cert);
    }
    return good;
}

static void seen_free(void *parent, void *slots, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    free(slots);
}

/* The slots are the context's, which lives as long as any of its connections. */
static rc_t seen_apply(SSL_CTX *ctx)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, seen_free);
    struct seen *slots = index < 0 ? NULL : calloc(SEEN_SLOTS, sizeof *slots);
    if (!slots || SSL_CTX_set_ex_data(ctx, index, slots) != 1) {
        free(slots);
        return RC_NO_MEMORY;
    }
    SSL_CTX_set_cert_verify_callback(ctx, verify_unless_seen, slots);
    return RC_OK;
}

/* ---- the set ---- */

static rc_t store_fill(struct trust *trust, struct bytes crl_pem, const char **why)
{
    for (int i = 0; i < sk_X509_num(trust->cas); i++) {
        X509 *ca = sk_X509_value(trust->cas, i);
        if (X509_check_ca(ca) != 1) {
            *why = "the CA bundle holds a certificate that is not a CA's";
            return RC_BAD_VALUE;
        }
        if (X509_STORE_add_cert(trust->store, ca) != 1)
            return RC_NO_MEMORY;
    }
    if (!crl_pem.len)
        return RC_OK;
    STACK_OF(X509_CRL) * crls;
    if (pem_crls_parse(crl_pem, &crls) != RC_OK) {
        *why = "the CRL file cannot be read as PEM";
        return RC_BAD_VALUE;
    }
    rc_t rc = RC_OK;
    for (int i = 0; rc == RC_OK && i < sk_X509_CRL_num(crls); i++)
        if (X509_STORE_add_crl(trust->store, sk_X509_CRL_value(crls, i)) != 1)
            rc = RC_NO_MEMORY;
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
    trust->has_crl = true;
    return rc;
}

static rc_t rules_set(const struct trust *trust)
{
    X509_VERIFY_PARAM *rules = X509_STORE_get0_param(trust->store);
    unsigned long flags = X509_V_FLAG_TRUSTED_FIRST;
    if (trust->has_crl)
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
    X509_VERIFY_PARAM_set_depth(rules, TRUST_DEPTH);
    X509_VERIFY_PARAM_set_auth_level(rules, TRUST_SECURITY_LEVEL);
    X509_STORE_set_verify_cb(trust->store, on_verify);
    return X509_VERIFY_PARAM_set_flags(rules, flags) == 1 &&
                   X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_CLIENT) == 1
               ? RC_OK
               : RC_CRYPTO;
}

static rc_t trust_fill(struct trust *trust, struct bytes ca_pem, struct bytes crl_pem,
                       const char **why)
{
    trust->store = X509_STORE_new();
    if (!trust->store)
        return RC_NO_MEMORY;
    if (pem_certs_parse(ca_pem, &trust->cas) != RC_OK) {
        *why = "the CA bundle cannot be read as PEM certificates";
        return RC_BAD_VALUE;
    }
    TRY(store_fill(trust, crl_pem, why));
    return rules_set(trust);
}

rc_t trust_new(struct bytes ca_pem, struct bytes crl_pem, struct trust **out, const char **why)
{
    const char *ignored;
    if (!why)
        why = &ignored;
    *why = "out of memory";
    struct trust *trust = calloc(1, sizeof *trust);
    if (!trust)
        return RC_NO_MEMORY;
    rc_t rc = trust_fill(trust, ca_pem, crl_pem, why);
    ERR_clear_error();
    if (rc != RC_OK) {
        trust_free(&trust);
        return rc;
    }
    *out = trust;
    return RC_OK;
}

void trust_free(struct trust **trust)
{
    if (!*trust)
        return;
    X509_STORE_free((*trust)->store);
    sk_X509_pop_free((*trust)->cas, X509_free);
    free(*trust);
    *trust = NULL;
}

rc_t trust_apply(const struct trust *trust, SSL_CTX *ctx)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    if (!names)
        return RC_NO_MEMORY;
    for (int i = 0; i < sk_X509_num(trust->cas); i++) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(sk_X509_value(trust->cas, i)));
        if (!name || sk_X509_NAME_push(names, name) == 0) {
            X509_NAME_free(name);
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return RC_NO_MEMORY;
        }
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_security_level(ctx, TRUST_SECURITY_LEVEL);
    SSL_CTX_set1_verify_cert_store(ctx, trust->store);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
    SSL_CTX_set_verify_depth(ctx, TRUST_DEPTH);
    TRY(seen_apply(ctx));
    return SSL_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1 ? RC_OK : RC_CRYPTO;
}

rc_t trust_check_client(const struct trust *trust, X509 *cert, STACK_OF(X509) * chain,
                        const char **why)
{
    const char *ignored;
    if (!why)
        why = &ignored;
    *why = "out of memory";
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!ctx || X509_STORE_CTX_init(ctx, trust->store, cert, chain) != 1) {
        X509_STORE_CTX_free(ctx);
        return RC_NO_MEMORY;
    }
    rc_t rc = RC_OK;
    if (X509_verify_cert(ctx) != 1) {
        *why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
        rc = RC_AUTH_FAILED;
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

/* ---- all that is wrong ---- */

struct examination {
    trust_finding_fn *found;
    void *arg;
};

static int on_examine(int ok, X509_STORE_CTX *ctx)
{
    const struct examination *x = X509_STORE_CTX_get_app_data(ctx);
    if (!on_verify(ok, ctx))
        x->found(x->arg, X509_STORE_CTX_get_error(ctx), X509_STORE_CTX_get_error_depth(ctx),
                 X509_STORE_CTX_get_current_cert(ctx));
    return 1;
}

rc_t trust_examine(const struct trust *trust, X509 *cert, STACK_OF(X509) * chain, trust_finding_fn *found, void *arg)
{
    struct examination x = {found, arg};
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    rc_t rc = ctx && X509_STORE_CTX_init(ctx, trust->store, cert, chain) == 1 ? RC_OK : RC_NO_MEMORY;
    if (rc == RC_OK && X509_STORE_CTX_set_app_data(ctx, &x) != 1)
        rc = RC_NO_MEMORY;
    if (rc == RC_OK) {
        X509_STORE_CTX_set_verify_cb(ctx, on_examine);
        (void)X509_verify_cert(ctx); /* the findings are the answer */
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}
