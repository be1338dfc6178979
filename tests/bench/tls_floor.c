/*
 * The floor: what TLS and the event loop cost without a key server behind them. One process, epoll,
 * mutual TLS as the server has it; answers every TTLV request with canned bytes of a given size,
 * all answers to one read in one SSL_write.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "proto/base/buf.h"

enum { READ_BYTES = 16384, BATCH_ANSWERS = 1024 };

struct peer {
    int fd;
    SSL *ssl;
    bool ready, writing;
    uint8_t head[8];
    size_t head_len, body_left; /* of the request that is arriving */
    struct buf out;
    size_t out_at;
};

static const char help[] =
    "Usage: tls_floor --cert FILE --key FILE --ca FILE [--port N] [--answer-bytes N] [--tls12]\n"
    "An epoll server over mutual TLS that answers every TTLV request with canned bytes.\n"
    "Prints 'port N' when it listens on 127.0.0.1 (port 0, the default: any), serves until "
    "SIGTERM,\n"
    "then prints 'cpu_us N answers N'. --answer-bytes: size of a whole answer, a multiple of 8.\n";

static int poller, listener;
static SSL_CTX *ctx;
static uint8_t *canned;
static size_t canned_len = 400;
static uint64_t answers;
static volatile sig_atomic_t stopped;

static void die(const char *what)
{
    fprintf(stderr, "tls_floor: %s: %s\n", what, errno ? strerror(errno) : "failed");
    ERR_print_errors_fp(stderr);
    exit(2);
}

static void on_term(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static void peer_want(struct peer *p, bool writing)
{
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = p};
    if (p->writing != writing)
        epoll_ctl(poller, EPOLL_CTL_MOD, p->fd, &e);
    p->writing = writing;
}

static void peer_close(struct peer *p)
{
    SSL_shutdown(p->ssl);
    SSL_free(p->ssl);
    close(p->fd);
    buf_free(&p->out);
    free(p);
}

static void peers_accept(void)
{
    for (int i = 0; i < 16; i++) {
        int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct peer *p = calloc(1, sizeof *p);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!p || !(p->ssl = SSL_new(ctx)) || SSL_set_fd(p->ssl, fd) != 1)
            die("connection");
        p->fd = fd;
        SSL_set_accept_state(p->ssl);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

/* Counts the requests that end within these bytes. */
static unsigned requests_count(struct peer *p, const uint8_t *data, size_t len)
{
    unsigned count = 0;
    while (len) {
        if (p->head_len < 8) {
            p->head[p->head_len++] = *data++;
            len--;
            if (p->head_len == 8)
                p->body_left = load_be32(p->head + 4);
        } else {
            size_t take = len < p->body_left ? len : p->body_left;
            data += take;
            len -= take;
            p->body_left -= take;
        }
        if (p->head_len == 8 && p->body_left == 0) {
            p->head_len = 0;
            count++;
        }
    }
    return count;
}

/* False: the peer is gone. */
static bool peer_write(struct peer *p)
{
    while (p->out_at < p->out.len) {
        ERR_clear_error();
        int n = SSL_write(p->ssl, p->out.data + p->out_at, (int)(p->out.len - p->out_at));
        if (n <= 0) {
            int error = SSL_get_error(p->ssl, n);
            peer_want(p, true);
            return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ;
        }
        p->out_at += (size_t)n;
    }
    p->out.len = p->out_at = 0; /* nothing secret in it: no need to wipe */
    peer_want(p, false);
    return true;
}

static bool peer_read(struct peer *p)
{
    static uint8_t data[READ_BYTES];
    do {
        ERR_clear_error();
        int n = SSL_read(p->ssl, data, sizeof data);
        if (n <= 0) {
            int error = SSL_get_error(p->ssl, n);
            return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        }
        unsigned count = requests_count(p, data, (size_t)n);
        answers += count;
        while (count--)
            if (buf_add(&p->out, canned, canned_len) != RC_OK)
                return false;
        if (!peer_write(p))
            return false;
    } while (SSL_has_pending(p->ssl));
    return true;
}

static void peer_event(struct peer *p, uint32_t events)
{
    bool good = true;
    if (!p->ready) {
        ERR_clear_error();
        int r = SSL_do_handshake(p->ssl);
        int error = r == 1 ? 0 : SSL_get_error(p->ssl, r);
        p->ready = r == 1;
        good = r == 1 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        if (good)
            peer_want(p, error == SSL_ERROR_WANT_WRITE);
        if (good && p->ready)
            good = peer_read(p);
    } else {
        if (events & EPOLLOUT)
            good = peer_write(p);
        if (good && (events & ~(uint32_t)EPOLLOUT))
            good = peer_read(p);
    }
    if (!good)
        peer_close(p);
}

static void context_make(const char *cert, const char *key, const char *ca, bool tls12)
{
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
        die("certificate, key or CA");
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(ca));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"floor", 5);
    SSL_CTX_sess_set_cache_size(ctx, 2048);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
}

static void listen_on(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0)
        die("listen");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    poller = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    printf("port %u\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void canned_make(void)
{
    canned = calloc(1, canned_len);
    if (!canned)
        die("memory");
    store_be32(canned, 0x42007b01);
    store_be32(canned + 4, (uint32_t)(canned_len - 8));
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"cert", 1, NULL, 'c'},         {"key", 1, NULL, 'k'},
                                            {"ca", 1, NULL, 'a'},           {"port", 1, NULL, 'p'},
                                            {"answer-bytes", 1, NULL, 'n'}, {"tls12", 0, NULL, '2'},
                                            {"help", 0, NULL, 'h'},         {NULL, 0, NULL, 0}};
    const char *cert = NULL, *key = NULL, *ca = NULL;
    uint16_t port = 0;
    bool tls12 = false;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'c')
            cert = optarg;
        else if (o == 'k')
            key = optarg;
        else if (o == 'a')
            ca = optarg;
        else if (o == 'p')
            port = (uint16_t)atoi(optarg);
        else if (o == 'n')
            canned_len = (size_t)strtoul(optarg, NULL, 10) & ~(size_t)7;
        else if (o == '2')
            tls12 = true;
        else {
            fputs(help, o == 'h' ? stdout : stderr);
            return o == 'h' ? 0 : 2;
        }
    }
    if (!cert || !key || !ca || canned_len < 16 || canned_len > 1u << 24) {
        fputs(help, stderr);
        return 2;
    }
    struct sigaction term = {.sa_handler = on_term}; /* no restart: epoll_wait must return */
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &term, NULL);
    context_make(cert, key, ca, tls12);
    canned_make();
    listen_on(port);
    while (!stopped) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                peer_event(events[i].data.ptr, events[i].events);
            else
                peers_accept();
        }
    }
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("cpu_us %llu answers %llu\n",
           (unsigned long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
               (unsigned long long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec),
           (unsigned long long)answers);
    return 0;
}
