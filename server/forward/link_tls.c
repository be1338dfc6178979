/*
 * Syslog over TLS (RFC 5425): the receiver is known by its certificate and name.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <arpa/inet.h>
#include <openssl/err.h>

#include "server/forward/link_impl.h"
#include "server/forward/wait.h"

/* The reason of OpenSSL's latest error, or what errno says. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error(), cause = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(cause)) /* a file that cannot be opened: the latest error says "system lib" only */
        return strerror(ERR_GET_REASON(cause));
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : errno ? strerror(errno) : "the receiver closed the connection";
}

static rc_t load_files(SSL_CTX *ctx, const struct link_settings *s, char why[static LINK_WHY])
{
    if (*s->ca ? SSL_CTX_load_verify_locations(ctx, s->ca, NULL) != 1 : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return link_fail(RC_CONFIG, why, "the CA file %s cannot be used: %s", *s->ca ? s->ca : "of this system",
                         reason());
    if (!*s->certificate)
        return RC_OK;
    const char *key = *s->key ? s->key : s->certificate;
    if (SSL_CTX_use_certificate_chain_file(ctx, s->certificate) != 1)
        return link_fail(RC_CONFIG, why, "the certificate %s cannot be used: %s", s->certificate, reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return link_fail(RC_CONFIG, why, "the private key %s cannot be used with the certificate %s: %s", key,
                         s->certificate, reason());
    return RC_OK;
}

rc_t link_tls_load(struct link *link, char why[static LINK_WHY])
{
    ERR_clear_error();
    errno = 0;
    link->ctx = SSL_CTX_new(TLS_client_method());
    if (!link->ctx || SSL_CTX_set_min_proto_version(link->ctx, TLS1_2_VERSION) != 1)
        return link_fail(RC_INTERNAL, why, "TLS cannot be set up: %s", reason());
    SSL_CTX_set_verify(link->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(link->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(link->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return load_files(link->ctx, link->settings, why);
}

/* The name or address that the receiver's certificate must be for (RFC 5425, 5.2). */
static bool expect_name(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/*
 * After a call that did not succeed: waits for what it needs. RC_OK: call it again. `what` is told when the
 * receiver lets us wait too long.
 */
static rc_t wait_tls_until(struct link *link, int result, int64_t deadline, const char *what, char why[static LINK_WHY])
{
    const struct target *t = link->target;
    int error = SSL_get_error(link->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        if (wait_fd(link->fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, link_left_ms(deadline)))
            return RC_OK;
        return link_fail(RC_IO, why, "%s port %s: %s", t->host, t->port, what);
    }
    long verify = SSL_get_verify_result(link->ssl);
    if (verify != X509_V_OK)
        return link_fail(RC_AUTH_FAILED, why, "the certificate of %s port %s is not to be believed: %s", t->host,
                         t->port, X509_verify_cert_error_string(verify));
    return link_fail(RC_IO, why, "TLS with %s port %s: %s", t->host, t->port, reason());
}

static rc_t wait_tls(struct link *link, int result, const char *what, char why[static LINK_WHY])
{
    return wait_tls_until(link, result, link_deadline(link), what, why);
}

static void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

rc_t link_tls_shake(struct link *link, char why[static LINK_WHY])
{
    int n;
    forget_errors();
    link->ssl = SSL_new(link->ctx);
    if (!link->ssl || !expect_name(link->ssl, link->target->host) || SSL_set_fd(link->ssl, link->fd) != 1)
        return link_fail(RC_INTERNAL, why, "TLS cannot be set up: %s", reason());
    while ((n = SSL_connect(link->ssl)) != 1) {
        TRY(wait_tls(link, n, "the receiver did not shake hands in time", why));
        forget_errors();
    }
    return RC_OK;
}

rc_t link_tls_write(struct link *link, struct bytes data, char why[static LINK_WHY])
{
    while (data.len > 0) {
        size_t written = 0;
        forget_errors();
        int n = SSL_write_ex(link->ssl, data.data, data.len, &written);
        if (n != 1)
            TRY(wait_tls(link, n, "the receiver does not take any more data", why));
        data.data += written;
        data.len -= written;
    }
    return RC_OK;
}

rc_t link_tls_end(struct link *link, char why[static LINK_WHY])
{
    int n;
    forget_errors();
    /* 0: our close_notify is out; that of the receiver is not waited for, the end of its side is. */
    while ((n = SSL_shutdown(link->ssl)) < 0) {
        TRY(wait_tls(link, n, "the receiver does not take any more data", why));
        forget_errors();
    }
    return RC_OK;
}

/* An end without close_notify is one too, as many receivers just close; an alert is none. */
rc_t link_tls_read_to_end(struct link *link, char why[static LINK_WHY])
{
    char junk[4096];
    size_t got;
    const int64_t deadline = link_deadline(link);
    for (;;) {
        forget_errors();
        int n = SSL_read_ex(link->ssl, junk, sizeof junk, &got);
        if (n != 1 && SSL_get_error(link->ssl, n) == SSL_ERROR_ZERO_RETURN)
            return RC_OK;
        if (n != 1)
            TRY(wait_tls_until(link, n, deadline, LINK_NO_END, why));
        else if (link_is_over(deadline))
            return link_fail(RC_IO, why, "%s port %s: %s", link->target->host, link->target->port, LINK_NO_END);
    }
}

bool link_tls_alive(struct link *link)
{
    char junk[256];
    size_t got;
    for (int i = 0; i < LINK_ALIVE_READS; i++) {
        forget_errors();
        int n = SSL_read_ex(link->ssl, junk, sizeof junk, &got);
        if (n != 1)
            return SSL_get_error(link->ssl, n) == SSL_ERROR_WANT_READ;
    }
    return true;
}
