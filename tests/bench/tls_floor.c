/*
 * The floor: what TLS and a well-kept event loop cost without a key server behind them. One
 * process, libevent's TLS bufferevents, mutual TLS as the server has it; answers every TTLV request
 * with canned bytes of a given size, all answers to one read in one piece.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "proto/base/buf.h"

struct peer {
    uint8_t head[8];
    size_t head_len, body_left; /* of the request that is arriving */
};

enum { BATCH_ANSWERS = 64 };

static const char help[] =
    "Usage: tls_floor --cert FILE --key FILE --ca FILE [--port N] [--answer-bytes N] [--tls12]\n"
    "A libevent server over mutual TLS that answers every TTLV request with canned bytes.\n"
    "Prints 'port N' when it listens on 127.0.0.1 (port 0, the default: any), serves until "
    "SIGTERM,\n"
    "then prints 'cpu_us N answers N'. --answer-bytes: size of a whole answer, a multiple of 8.\n";

static struct event_base *base;
static SSL_CTX *ctx;
static uint8_t *canned;
static size_t canned_len = 400;
static uint64_t answers;

static void die(const char *what)
{
    fprintf(stderr, "tls_floor: %s: %s\n", what, errno ? strerror(errno) : "failed");
    ERR_print_errors_fp(stderr);
    exit(2);
}

static void on_term(evutil_socket_t signal_number, short what, void *arg)
{
    (void)signal_number;
    (void)what;
    (void)arg;
    event_base_loopbreak(base);
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

static void peer_read(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    size_t len = evbuffer_get_length(in);
    unsigned count = requests_count(arg, evbuffer_pullup(in, -1), len);
    evbuffer_drain(in, len);
    answers += count;
    for (unsigned left = count; left;) {
        unsigned now = left < BATCH_ANSWERS ? left : BATCH_ANSWERS;
        if (bufferevent_write(bev, canned, now * canned_len) != 0)
            die("write");
        left -= now;
    }
}

static void peer_event(struct bufferevent *bev, short events, void *arg)
{
    if (events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        SSL_shutdown(bufferevent_openssl_get_ssl(bev));
        bufferevent_free(bev);
        free(arg);
    }
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from,
                      int from_len, void *arg)
{
    (void)l;
    (void)from;
    (void)from_len;
    (void)arg;
    int on = 1;
    struct peer *p = calloc(1, sizeof *p);
    SSL *ssl = SSL_new(ctx);
    struct bufferevent *bev =
        ssl ? bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                             BEV_OPT_CLOSE_ON_FREE)
            : NULL;
    if (!p || !bev)
        die("connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    bufferevent_setcb(bev, peer_read, NULL, peer_event, p);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
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
}

static void listen_on(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    struct evconnlistener *l = evconnlistener_new_bind(
        base, on_accept, NULL, LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
        1024, (struct sockaddr *)&at, sizeof at);
    if (!l || getsockname(evconnlistener_get_fd(l), (struct sockaddr *)&at, &len) != 0)
        die("listen");
    printf("port %u\n", ntohs(at.sin_port));
    fflush(stdout);
}

/* As many answers as go out in one piece, one after another. */
static void canned_make(void)
{
    canned = calloc(BATCH_ANSWERS, canned_len);
    if (!canned)
        die("memory");
    for (size_t at = 0; at < BATCH_ANSWERS * canned_len; at += canned_len) {
        store_be32(canned + at, 0x42007b01);
        store_be32(canned + at + 4, (uint32_t)(canned_len - 8));
    }
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
    if (!cert || !key || !ca || canned_len < 16 || canned_len > 1u << 20) {
        fputs(help, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    struct event *term = base ? evsignal_new(base, SIGTERM, on_term, NULL) : NULL;
    struct event *interrupt = base ? evsignal_new(base, SIGINT, on_term, NULL) : NULL;
    if (!term || !interrupt || evsignal_add(term, NULL) != 0 || evsignal_add(interrupt, NULL) != 0)
        die("signals");
    context_make(cert, key, ca, tls12);
    canned_make();
    listen_on(port);
    event_base_dispatch(base);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("cpu_us %llu answers %llu\n",
           (unsigned long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
               (unsigned long long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec),
           (unsigned long long)answers);
    return 0;
}
