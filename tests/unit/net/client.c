/* Blocking TLS clients of the test rig; see rig.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>
#include <openssl/err.h>

#include "tests/unit/net/rig_int.h"

static int tcp_open_sized(int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(rig_pki.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {5, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    ck_assert_int_ge(fd, 0);
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void client_other_port(void)
{
    uint16_t port = rig_pki.port;
    rig_pki.port = rig_pki.first_port;
    rig_pki.first_port = port;
}

int tcp_open(void)
{
    return tcp_open_sized(0);
}

bool client_try(struct client *c, const struct client_options *options)
{
    c->fd = tcp_open_sized(options->receive_bytes);
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c->ctx, 0); /* the server is to refuse, not the client */
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF); /* freeing it would spoil them */
    X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), rig_pki.ca);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    if (options->version) {
        SSL_CTX_set_min_proto_version(c->ctx, options->version);
        SSL_CTX_set_max_proto_version(c->ctx, options->version);
    }
    if (options->ciphers)
        ck_assert_int_eq(SSL_CTX_set_cipher_list(c->ctx, options->ciphers), 1);
    if (options->cert != CERT_NONE) {
        ck_assert_int_eq(SSL_CTX_use_certificate(c->ctx, rig_pki.certs[options->cert]), 1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey(c->ctx, rig_pki.keys[options->cert]), 1);
    }
    if (options->cert == CERT_BY_CLIENT)
        SSL_CTX_add1_chain_cert(c->ctx, rig_pki.certs[CERT_GOOD]);
    c->ssl = SSL_new(c->ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (options->session)
        SSL_set_session(c->ssl, options->session);
    ERR_clear_error();
    return SSL_connect(c->ssl) == 1;
}

void client_open(struct client *c, enum rig_cert cert)
{
    struct client_options options = {.cert = cert};
    ck_assert(client_try(c, &options));
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0)
        close(c->fd);
    *c = (struct client){.fd = -1};
}

void client_send(struct client *c, const void *data, size_t len)
{
    ERR_clear_error();
    ck_assert_int_eq(SSL_write(c->ssl, data, (int)len), (int)len);
}

static void read_exactly(struct client *c, uint8_t *out, size_t len)
{
    while (len) {
        ERR_clear_error();
        int n = SSL_read(c->ssl, out, (int)len);
        ck_assert_msg(n > 0, "the connection ended or stayed silent: error %d, %s",
                      SSL_get_error(c->ssl, n), ERR_reason_error_string(ERR_peek_error()));
        out += n;
        len -= (size_t)n;
    }
}

void client_answer(struct client *c, uint32_t number, uint32_t answer_bytes)
{
    uint8_t head[16];
    read_exactly(c, head, sizeof head);
    ck_assert_uint_eq(load_be32(head), 0x42007b01);
    ck_assert_uint_eq(load_be32(head + 8), number);
    ck_assert_uint_eq(load_be32(head + 12), answer_bytes);
    uint8_t *rest = malloc(answer_bytes + 1);
    read_exactly(c, rest, answer_bytes);
    uint32_t wrong = 0; /* one assertion, not one a byte: each costs a system call */
    for (uint32_t i = 0; i < answer_bytes; i++)
        wrong += rest[i] != (number & 0xff);
    ck_assert_uint_eq(wrong, 0);
    free(rest);
}

bool client_ended(struct client *c)
{
    uint8_t one;
    ERR_clear_error();
    int n = SSL_read(c->ssl, &one, 1);
    int error = SSL_get_error(c->ssl, n);
    return n <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

bool client_gets_nothing(const struct client_options *options)
{
    struct client c;
    uint8_t request[REQUEST_BYTES];
    request_make(request, 1, 0, 0);
    bool nothing = true;
    if (client_try(&c, options)) {
        ERR_clear_error();
        SSL_write(c.ssl, request, sizeof request);
        nothing = client_ended(&c);
    }
    client_close(&c);
    return nothing;
}

void request_make(uint8_t out[static REQUEST_BYTES], uint32_t number, uint32_t answer_bytes,
                  uint32_t flags)
{
    store_be32(out, 0x42007801);
    store_be32(out + 4, REQUEST_BYTES - 8);
    store_be32(out + 8, number);
    store_be32(out + 12, answer_bytes);
    store_be32(out + 16, flags);
    store_be32(out + 20, 0);
}

void client_echo(struct client *c, uint32_t number)
{
    uint8_t request[REQUEST_BYTES];
    request_make(request, number, 8, 0);
    client_send(c, request, sizeof request);
    client_answer(c, number, 8);
}
