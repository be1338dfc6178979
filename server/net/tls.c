/* The server's TLS context; see tls.h. */
#include "server/net/tls.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "certs/pem.h"

#define SUITES_1_3 "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_1_2                                                                                 \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* RSA key exchange has no forward secrecy, and CBC suites are only safe as OpenSSL does them: in constant time, or with
 * encrypt-then-MAC where the client can do it. The better ones stand first. */
#define SUITES_LEGACY                                                                                                  \
    SUITES_1_2 ":ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:"                         \
               "ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:"           \
               "ECDHE-RSA-AES128-SHA:AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:"                 \
               "AES256-SHA:AES128-SHA"

static const unsigned char session_context[] = "holdfast-kmip";

static rc_t rules_set(SSL_CTX *ctx, const struct tls_settings *settings)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1); /* header and body of a record in one system call */
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_recv_max_early_data(ctx, 0);
    /* Sessions stay in this process: no key that opens recorded traffic is ever sent as a ticket.
     */
    SSL_CTX_set_session_cache_mode(ctx, settings->session_cache ? SSL_SESS_CACHE_SERVER
                                                                : SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_cache_size(ctx, settings->session_cache ? settings->session_cache : 1);
    SSL_CTX_set_timeout(ctx, (long)settings->session_seconds);
    bool ok = SSL_CTX_set_num_tickets(ctx, settings->session_cache ? 1 : 0) == 1 &&
              SSL_CTX_set_min_proto_version(ctx, settings->allow_tls12 ? TLS1_2_VERSION
                                                                       : TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_ciphersuites(ctx, SUITES_1_3) == 1 &&
              SSL_CTX_set_cipher_list(ctx, SUITES_1_2) == 1 &&
              SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
              SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) == 1;
    return ok ? RC_OK : RC_CRYPTO;
}

static rc_t chain_set(SSL_CTX *ctx, struct bytes pem, const char **why)
{
    STACK_OF(X509) * certs;
    if (pem_certs_parse(pem, &certs) != RC_OK) {
        *why = "the server certificate cannot be read as PEM";
        return RC_BAD_VALUE;
    }
    rc_t rc = RC_OK;
    if (SSL_CTX_use_certificate(ctx, sk_X509_value(certs, 0)) != 1) {
        *why = "the server certificate is too weak or of an unknown kind";
        rc = RC_BAD_VALUE;
    }
    for (int i = 1; rc == RC_OK && i < sk_X509_num(certs); i++)
        if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(certs, i)) != 1) {
            *why = "the chain of the server certificate holds a weak certificate";
            rc = RC_BAD_VALUE;
        }
    sk_X509_pop_free(certs, X509_free);
    return rc;
}

static rc_t key_set(SSL_CTX *ctx, struct bytes pem, const char **why)
{
    EVP_PKEY *key;
    if (pem_key_parse(pem, &key) != RC_OK) {
        *why = "the server's key cannot be read as unencrypted PEM";
        return RC_BAD_VALUE;
    }
    rc_t rc = RC_OK;
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        *why = "the server's key and certificate do not belong together";
        rc = RC_BAD_VALUE;
    }
    EVP_PKEY_free(key);
    return rc;
}

static rc_t context_new(struct trust *trust, const struct tls_material *material, const struct tls_settings *settings,
                        SSL_CTX **out, const char **why)
{
    SSL_CTX *ctx = *out = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return RC_NO_MEMORY;
    TRY(rules_set(ctx, settings));
    TRY(trust_apply(trust, ctx));
    TRY(chain_set(ctx, material->cert_pem, why));
    return key_set(ctx, material->key_pem, why);
}

/* The same rules, but TLS 1.2 alone and with old suites. */
static rc_t rules_loosen(SSL_CTX *ctx)
{
    bool ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_cipher_list(ctx, SUITES_LEGACY) == 1;
    return ok ? RC_OK : RC_CRYPTO;
}

static rc_t tls_fill(struct tls *tls, const struct tls_material *material,
                     const struct tls_settings *settings, const char **why)
{
    TRY(trust_new(material->ca_pem, material->crl_pem, &tls->trust, why));
    TRY(context_new(tls->trust, material, settings, &tls->ctx, why));
    if (!settings->legacy)
        return RC_OK;
    TRY(context_new(tls->trust, material, settings, &tls->legacy, why));
    return rules_loosen(tls->legacy);
}

rc_t tls_new(const struct tls_material *material, const struct tls_settings *settings,
             struct tls **out, const char **why)
{
    static uint64_t generations;
    const char *ignored;
    if (!why)
        why = &ignored;
    *why = "OpenSSL refuses the TLS settings";
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return RC_NO_MEMORY;
    tls->refs = 1;
    rc_t rc = tls_fill(tls, material, settings, why);
    ERR_clear_error();
    if (rc != RC_OK) {
        tls_drop(&tls);
        return rc;
    }
    tls->generation = ++generations;
    *out = tls;
    return RC_OK;
}

struct tls *tls_hold(struct tls *tls)
{
    tls->refs++;
    return tls;
}

void tls_drop(struct tls **tls)
{
    struct tls *t = *tls;
    *tls = NULL;
    if (!t || --t->refs)
        return;
    SSL_CTX_free(t->ctx);
    SSL_CTX_free(t->legacy);
    trust_free(&t->trust);
    free(t);
}

SSL *tls_accept(struct tls *tls, int fd, bool legacy)
{
    SSL_CTX *ctx = legacy ? tls->legacy : tls->ctx;
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    if (ssl && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    ERR_clear_error();
    return ssl;
}

rc_t tls_recheck(const struct tls *tls, SSL *ssl, const char **why)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (!cert) {
        if (why)
            *why = "no certificate";
        return RC_AUTH_FAILED;
    }
    return trust_check_client(tls->trust, cert, SSL_get_peer_cert_chain(ssl), why);
}
