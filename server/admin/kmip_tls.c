/*
 * The blocking TLS connection of the KMIP client commands. The socket's own timeouts are the deadline.
 */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "server/admin/kmip_tls.h"

struct kmip_tls {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    bool answered; /* a whole answer has come on this connection */
};

__attribute__((format(printf, 3, 4))) static rc_t fail(rc_t rc, char why[static KMIP_TLS_WHY], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, KMIP_TLS_WHY, fmt, args);
    va_end(args);
    ERR_clear_error();
    return rc;
}

/* The reason of OpenSSL's latest error, or what errno says. */
static const char *tls_reason(void)
{
    unsigned long code = ERR_peek_last_error(), cause = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(cause)) /* a file that cannot be opened: the latest error says "system lib" only */
        return strerror(ERR_GET_REASON(cause));
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (reason)
        return reason;
    return errno ? strerror(errno) : "the server closed the connection";
}

static rc_t load_files(SSL_CTX *ctx, const struct kmip_tls_options *o, char why[static KMIP_TLS_WHY])
{
    if (SSL_CTX_load_verify_locations(ctx, o->ca_file, NULL) != 1)
        return fail(RC_CONFIG, why, "the CA file %s cannot be used: %s", o->ca_file, tls_reason());
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
        return fail(RC_CONFIG, why, "the certificate %s cannot be used: %s", o->cert_file, tls_reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
        return fail(RC_CONFIG, why, "the private key %s cannot be used: %s", o->key_file, tls_reason());
    if (SSL_CTX_check_private_key(ctx) != 1)
        return fail(RC_CONFIG, why, "%s is not the key of the certificate %s", o->key_file, o->cert_file);
    return RC_OK;
}

static rc_t connect_socket(const struct kmip_tls_options *o, int *fd_out, char why[static KMIP_TLS_WHY])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo(o->host, o->port, &hints, &list);
    if (error)
        return fail(RC_UNAVAILABLE, why, "the host %s is not known: %s", o->host, gai_strerror(error));
    struct timeval limit = {.tv_sec = o->timeout_s};
    int fd = -1, one = 1;
    errno = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0)
            continue;
        /* On Linux the send timeout bounds connect() as well. */
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        int saved = errno;
        close(fd);
        errno = saved == EINPROGRESS ? ETIMEDOUT : saved;
        fd = -1;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return fail(RC_UNAVAILABLE, why, "no connection to %s port %s: %s", o->host, o->port, strerror(errno));
    *fd_out = fd;
    return RC_OK;
}

static rc_t check_name(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool numeric = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? RC_OK : RC_INTERNAL;
    if (SSL_set_tlsext_host_name(ssl, host) != 1 || SSL_set1_host(ssl, host) != 1)
        return RC_INTERNAL;
    return RC_OK;
}

static rc_t handshake(struct kmip_tls *tls, const struct kmip_tls_options *o, char why[static KMIP_TLS_WHY])
{
    tls->ssl = SSL_new(tls->ctx);
    if (!tls->ssl || check_name(tls->ssl, o->host) != RC_OK || SSL_set_fd(tls->ssl, tls->fd) != 1)
        return fail(RC_INTERNAL, why, "TLS cannot be set up: %s", tls_reason());
    errno = 0;
    ERR_clear_error();
    if (SSL_connect(tls->ssl) == 1)
        return RC_OK;
    long verify = SSL_get_verify_result(tls->ssl);
    if (verify != X509_V_OK)
        return fail(RC_AUTH_FAILED, why, "the certificate of %s port %s is not to be believed: %s", o->host, o->port,
                    X509_verify_cert_error_string(verify));
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return fail(RC_UNAVAILABLE, why, "%s port %s did not shake hands in time", o->host, o->port);
    return fail(RC_AUTH_FAILED, why, "no TLS with %s port %s: %s", o->host, o->port, tls_reason());
}

rc_t kmip_tls_open(const struct kmip_tls_options *o, struct kmip_tls **out, char why[static KMIP_TLS_WHY])
{
    signal(SIGPIPE, SIG_IGN);
    struct kmip_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return fail(RC_NO_MEMORY, why, "out of memory");
    tls->fd = -1;
    tls->ctx = SSL_CTX_new(TLS_client_method());
    rc_t rc = tls->ctx ? RC_OK : fail(RC_INTERNAL, why, "TLS cannot be set up: %s", tls_reason());
    if (rc == RC_OK) {
        SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
        SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_options(tls->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
        rc = load_files(tls->ctx, o, why);
    }
    if (rc == RC_OK)
        rc = connect_socket(o, &tls->fd, why);
    if (rc == RC_OK)
        rc = handshake(tls, o, why);
    if (rc != RC_OK) {
        kmip_tls_close(&tls);
        return rc;
    }
    *out = tls;
    return RC_OK;
}

void kmip_tls_close(struct kmip_tls **tls)
{
    struct kmip_tls *t = *tls;
    *tls = NULL;
    if (!t)
        return;
    if (t->ssl)
        SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

/* Reads exactly n more bytes. In TLS 1.3 a client learns only here that its certificate was refused. */
static rc_t read_more(struct kmip_tls *tls, struct buf *in, size_t n, char why[static KMIP_TLS_WHY])
{
    while (n > 0) {
        size_t piece = n < 65536 ? n : 65536, got = 0;
        if (buf_reserve(in, piece) != RC_OK)
            return fail(RC_NO_MEMORY, why, "out of memory");
        errno = 0;
        ERR_clear_error();
        if (SSL_read_ex(tls->ssl, in->data + in->len, piece, &got) == 1) {
            in->len += got;
            n -= got;
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return fail(RC_TIMEOUT, why, "the server did not answer in time");
        if (!tls->answered && in->len == 0)
            return fail(RC_AUTH_FAILED, why, "the server closed the connection without an answer: %s", tls_reason());
        return fail(RC_IO, why, "the connection broke before the answer was whole: %s", tls_reason());
    }
    return RC_OK;
}

rc_t kmip_tls_exchange(struct kmip_tls *tls, struct bytes request, struct buf *answer, char why[static KMIP_TLS_WHY])
{
    size_t sent = 0;
    errno = 0;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, request.data, request.len, &sent) != 1)
        return fail(tls->answered ? RC_IO : RC_AUTH_FAILED, why, "the request could not be sent: %s", tls_reason());
    buf_clear(answer);
    TRY(read_more(tls, answer, 8, why));
    /* Response Message, a Structure, padded to eight bytes (KMIP 2.1, 10.1). */
    uint32_t length = load_be32(answer->data + 4);
    if (load_be32(answer->data) != 0x42007B01 || length % 8 != 0 || length > KMIP_TLS_ANSWER_MAX)
        return fail(RC_PROTOCOL, why, "the answer is not a KMIP message");
    TRY(read_more(tls, answer, length, why));
    tls->answered = true;
    return RC_OK;
}
