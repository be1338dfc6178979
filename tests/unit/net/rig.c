/* The server side of the test rig: certificates, the echo engine, the thread; see rig.h. */
#include "tests/unit/net/rig.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <event2/event.h>

#include "server/base/log.h"
#include "tests/support/pki.h"
#include "tests/unit/net/rig_int.h"

struct engine_request {
    TAILQ_ENTRY(engine_request) link;
    engine_answer_fn *done;
    void *arg;
    uint32_t number, answer_bytes, flags;
    bool header_only;
};

static struct {
    struct rig_options options;
    pthread_t thread;
    struct event_base *base;
    struct event *on_call, *on_echo, *on_login;
    struct net *net;
    struct limits *limits;
    int limits_fd, call_pipe[2];
    sem_t called;
    bool stop, drained;
    TAILQ_HEAD(request_head, engine_request) requests;
    unsigned request_count;
    struct {
        engine_login_fn *done;
        void *arg;
    } logins[512];
    unsigned login_count;
    rc_t login_rc;
    struct echo_counts counts;
} rig;
struct rig_pki rig_pki;

void sleep_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* ---- certificates --------------------------------------------------------------------------- */

static void cert_make(enum rig_cert which, const struct pki_spec *spec, const char *key,
                      X509 *issuer, EVP_PKEY *issuer_key)
{
    rig_pki.keys[which] = pki_key(key);
    rig_pki.certs[which] = pki_cert(spec, rig_pki.keys[which], issuer, issuer_key);
}

static void pki_make(void)
{
    static const struct pki_san good[] = {{GEN_URI, "urn:holdfast:client:good", 24}, {0, NULL, 0}};
    static const struct pki_san second[] = {{GEN_URI, "urn:holdfast:client:second", 26},
                                            {0, NULL, 0}};
    static const struct pki_san host[] = {{GEN_DNS, "localhost", 9}, {0, NULL, 0}};
    struct pki_spec ca = {.cn = "CA", .ca = true}, other = {.cn = "Other CA", .ca = true};
    struct rig_pki *p = &rig_pki;
    p->ca_key = pki_key("P-256");
    p->ca = pki_cert(&ca, p->ca_key, NULL, NULL);
    p->other_key = pki_key("P-256");
    p->other = pki_cert(&other, p->other_key, NULL, NULL);
    struct pki_spec server = {.cn = "localhost", .purpose = "serverAuth", .sans = host};
    p->server_key = pki_key("P-256");
    p->server = pki_cert(&server, p->server_key, p->ca, p->ca_key);

    struct pki_spec spec = {.cn = "good", .purpose = "clientAuth", .sans = good};
    cert_make(CERT_GOOD, &spec, "P-256", p->ca, p->ca_key);
    cert_make(CERT_FOREIGN, &spec, "P-256", p->other, p->other_key);
    cert_make(CERT_BY_CLIENT, &spec, "P-256", p->certs[CERT_GOOD], p->keys[CERT_GOOD]);
    cert_make(CERT_WEAK, &spec, "RSA1024", p->ca, p->ca_key);
    spec.from_s = -7200, spec.until_s = -60;
    cert_make(CERT_EXPIRED, &spec, "P-256", p->ca, p->ca_key);
    spec.from_s = 60, spec.until_s = 7200;
    cert_make(CERT_EARLY, &spec, "P-256", p->ca, p->ca_key);
    spec.from_s = -60, spec.until_s = 2;
    cert_make(CERT_SHORT, &spec, "P-256", p->ca, p->ca_key);
    spec.from_s = spec.until_s = 0;
    spec.sans = second;
    cert_make(CERT_SECOND, &spec, "P-256", p->ca, p->ca_key);
    spec.purpose = "serverAuth";
    cert_make(CERT_SERVER, &spec, "P-256", p->ca, p->ca_key);
    struct pki_spec nameless = {.purpose = "clientAuth"};
    cert_make(CERT_NAMELESS, &nameless, "P-256", p->ca, p->ca_key);
}

static void pki_drop(void)
{
    for (int i = 0; i < CERT_COUNT; i++) {
        X509_free(rig_pki.certs[i]);
        EVP_PKEY_free(rig_pki.keys[i]);
    }
    X509_free(rig_pki.ca);
    X509_free(rig_pki.other);
    X509_free(rig_pki.server);
    EVP_PKEY_free(rig_pki.ca_key);
    EVP_PKEY_free(rig_pki.other_key);
    EVP_PKEY_free(rig_pki.server_key);
    rig_pki = (struct rig_pki){0};
}

/* revoked: CERT_COUNT means no CRL at all. */
static struct tls *tls_make(X509 *ca, enum rig_cert revoked)
{
    AUTO_BUF cert = BUF_EMPTY;
    AUTO_BUF key = BUF_EMPTY;
    AUTO_BUF ca_pem = BUF_EMPTY;
    AUTO_BUF crl_pem = BUF_EMPTY;
    struct tls *tls;
    const char *why;
    pki_cert_pem(rig_pki.server, &cert);
    pki_key_pem(rig_pki.server_key, &key);
    pki_cert_pem(ca, &ca_pem);
    if (revoked != CERT_COUNT) {
        X509_CRL *crl = pki_crl(rig_pki.ca, rig_pki.ca_key, rig_pki.certs[revoked], 3600);
        pki_crl_pem(crl, &crl_pem);
        X509_CRL_free(crl);
    }
    struct tls_material material = {buf_view(&cert), buf_view(&key), buf_view(&ca_pem),
                                    buf_view(&crl_pem)};
    rc_t rc = tls_new(&material, &rig.options.tls, &tls, &why);
    ck_assert_msg(rc == RC_OK, "%s", why);
    return tls;
}

/* ---- the echo engine ------------------------------------------------------------------------ */

static struct session *echo_session_new(const char *issuer, const char *serial,
                                        const char *fingerprint, const char *address)
{
    struct session *s = calloc(1, sizeof *s);
    s->refs = 1;
    s->issuer = strdup(issuer);
    s->serial = strdup(serial);
    s->address = strdup(address);
    snprintf(s->fingerprint, sizeof s->fingerprint, "%s", fingerprint);
    rig.counts.sessions++;
    return s;
}

static rc_t echo_session_add_name(struct session *s, const char *kind, const char *value)
{
    s->names[s->name_count++] = (struct session_name){kind, strdup(value)};
    return RC_OK;
}

static void echo_session_drop(struct session *s)
{
    if (--s->refs)
        return;
    for (size_t i = 0; i < s->name_count; i++)
        free(s->names[i].value);
    free(s->issuer);
    free(s->serial);
    free(s->address);
    free(s);
    rig.counts.sessions--;
}

static void soon(struct event *event)
{
    struct timeval now = {0, 0};
    event_add(event, &now);
}

static rc_t echo_login(void *engine, struct session *s, engine_login_fn *done, void *arg)
{
    (void)engine;
    rig.counts.logins++;
    snprintf(rig.counts.first_name, sizeof rig.counts.first_name, "%s", s->names[0].value);
    ck_assert_uint_lt(rig.login_count, 512);
    rig.logins[rig.login_count].done = done;
    rig.logins[rig.login_count++].arg = arg;
    soon(rig.on_login);
    return RC_OK;
}

static void on_login(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    unsigned count = rig.login_count;
    if (rig.login_rc == RC_COUNT)
        return;
    rig.login_count = 0; /* answers may lead to no new login, so this is safe */
    for (unsigned i = 0; i < count; i++)
        rig.logins[i].done(rig.logins[i].arg, rig.login_rc);
}

static struct engine_request *echo_submit(void *engine, struct session *s, struct buf *request,
                                          engine_answer_fn *done, void *arg)
{
    struct engine_request *rq = calloc(1, sizeof *rq);
    (void)engine, (void)s;
    rq->done = done;
    rq->arg = arg;
    rq->header_only = request->len == 8;
    if (request->len >= REQUEST_BYTES) {
        rq->number = load_be32(request->data + 8);
        rq->answer_bytes = load_be32(request->data + 12);
        rq->flags = load_be32(request->data + 16);
    }
    rig.counts.headers_only += rq->header_only;
    rig.counts.submitted++;
    buf_free(request);
    TAILQ_INSERT_TAIL(&rig.requests, rq, link);
    rig.request_count++;
    if (rig.options.mode == ECHO_AT_ONCE)
        event_active(rig.on_echo, EV_TIMEOUT, 0);
    if (rig.options.mode == ECHO_NOW ||
        (rig.options.mode == ECHO_REVERSED && rig.request_count >= rig.options.echo_group))
        soon(rig.on_echo);
    return rq;
}

static void echo_drop(struct engine_request *rq)
{
    TAILQ_REMOVE(&rig.requests, rq, link);
    rig.request_count--;
    free(rq);
}

static void echo_abandon(struct engine_request *rq)
{
    rig.counts.abandoned++;
    echo_drop(rq);
}

static void answer(struct engine_request *rq)
{
    struct buf out = BUF_EMPTY;
    bool close = rq->flags & FLAG_CLOSE;
    if (!(rq->flags & FLAG_SILENT)) {
        uint8_t head[16] = {0x42, 0, 0x7b, 1};
        size_t body = 8 + (size_t)rq->answer_bytes;
        store_be32(head + 4, (uint32_t)body);
        store_be32(head + 8, rq->header_only ? 0xffffffff : rq->number);
        store_be32(head + 12, rq->answer_bytes);
        buf_add(&out, head, sizeof head);
        buf_reserve(&out, rq->answer_bytes);
        memset(out.data + out.len, (int)(rq->number & 0xff), rq->answer_bytes);
        out.len += rq->answer_bytes;
    }
    engine_answer_fn *done = rq->done;
    void *arg = rq->arg;
    echo_drop(rq);
    done(arg, &out, close);
    buf_free(&out);
}

static void on_echo(evutil_socket_t fd, short what, void *arg)
{
    struct engine_request *rq;
    (void)fd, (void)what, (void)arg;
    bool reversed = rig.options.mode == ECHO_REVERSED;
    while ((rq = reversed ? TAILQ_LAST(&rig.requests, request_head) : TAILQ_FIRST(&rig.requests)) !=
           NULL)
        answer(rq);
}

/* ---- the thread ----------------------------------------------------------------------------- */

struct call {
    void (*fn)(struct net *net, void *arg);
    void *arg;
};

static void on_call(evutil_socket_t fd, short what, void *arg)
{
    struct call call;
    (void)what, (void)arg;
    if (read(fd, &call, sizeof call) != (ssize_t)sizeof call)
        return;
    call.fn(rig.net, call.arg);
    sem_post(&rig.called);
}

void rig_call(void (*fn)(struct net *net, void *arg), void *arg)
{
    struct call call = {fn, arg};
    ck_assert_int_eq(write(rig.call_pipe[1], &call, sizeof call), (ssize_t)sizeof call);
    while (sem_wait(&rig.called) != 0)
        ;
}

static void *serve(void *arg)
{
    (void)arg;
    event_base_dispatch(rig.base);
    return NULL;
}

static int listen_any(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 1024), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    rig_pki.port = ntohs(at.sin_port);
    return fd;
}

void rig_start(const struct rig_options *options)
{
    struct net_config config = {0};
    log_set_level(getenv("RIG_LOG") ? LOG_DEBUG : LOG_ERROR);
    memset(&rig, 0, sizeof rig);
    rig.options = *options;
    TAILQ_INIT(&rig.requests);
    pki_make();
    sem_init(&rig.called, 0, 0);
    ck_assert_int_eq(pipe(rig.call_pipe), 0);
    rig.base = event_base_new();
    rig.on_call = event_new(rig.base, rig.call_pipe[0], EV_READ | EV_PERSIST, on_call, NULL);
    rig.on_echo = evtimer_new(rig.base, on_echo, NULL);
    rig.on_login = evtimer_new(rig.base, on_login, NULL);
    event_add(rig.on_call, NULL);
    ck_assert_int_eq(limits_make(&rig.limits_fd), RC_OK);
    ck_assert_int_eq(limits_map(rig.limits_fd, 0, &rig.limits), RC_OK);
    limits_set(rig.limits, &options->limits);
    config.base = rig.base;
    config.engine =
        (struct net_engine){NULL,       echo_session_new, echo_session_add_name, echo_session_drop,
                            echo_login, echo_submit,      echo_abandon};
    config.limits = rig.limits;
    config.settings = options->net;
    ck_assert_int_eq(net_new(&config, &rig.net), RC_OK);
    struct tls *tls = tls_make(rig_pki.ca, options->no_crl ? CERT_COUNT : CERT_NONE);
    net_set_tls(rig.net, tls);
    tls_drop(&tls);
    ck_assert_int_eq(net_listen(rig.net, listen_any(), options->tls.legacy), RC_OK);
    rig_pki.first_port = rig_pki.port;
    ck_assert_int_eq(net_listen(rig.net, listen_any(), false), RC_OK);
    ck_assert_int_eq(pthread_create(&rig.thread, NULL, serve, NULL), 0);
}

static void do_stop(struct net *net, void *arg)
{
    (void)net, (void)arg;
    net_free(&rig.net);
    event_base_loopbreak(rig.base);
}

void rig_stop(void)
{
    rig_call(do_stop, NULL);
    pthread_join(rig.thread, NULL);
    ck_assert_uint_eq(rig.counts.sessions, 0);
    ck_assert_uint_eq(rig.request_count, 0);
    ck_assert_uint_eq(limits_node_connections(rig.limits), 0);
    event_free(rig.on_call);
    event_free(rig.on_echo);
    event_free(rig.on_login);
    event_base_free(rig.base);
    limits_unmap(&rig.limits);
    close(rig.limits_fd);
    close(rig.call_pipe[0]);
    close(rig.call_pipe[1]);
    sem_destroy(&rig.called);
    pki_drop();
}

/* ---- orders and questions ------------------------------------------------------------------- */

static void do_stats(struct net *net, void *arg)
{
    net_get_stats(net, arg);
}

struct net_stats rig_stats(void)
{
    struct net_stats stats;
    rig_call(do_stats, &stats);
    return stats;
}

bool rig_until(bool (*holds)(const struct net_stats *stats, unsigned n), unsigned n)
{
    for (int i = 0; i < 400; i++) {
        struct net_stats stats = rig_stats();
        if (holds(&stats, n))
            return true;
        sleep_ms(5);
    }
    return false;
}

static void do_counts(struct net *net, void *arg)
{
    (void)net;
    rig.counts.waiting = rig.request_count;
    *(struct echo_counts *)arg = rig.counts;
}

struct echo_counts rig_echo(void)
{
    struct echo_counts counts;
    rig_call(do_counts, &counts);
    return counts;
}

static void do_login(struct net *net, void *arg)
{
    (void)net;
    rig.login_rc = *(rc_t *)arg;
    soon(rig.on_login);
}

void rig_set_login(rc_t rc)
{
    rig_call(do_login, &rc);
}

static void do_release(struct net *net, void *arg)
{
    (void)net, (void)arg;
    rig.options.mode = ECHO_NOW;
    soon(rig.on_echo);
}

void rig_release(void)
{
    rig_call(do_release, NULL);
}

static void do_reload(struct net *net, void *arg)
{
    enum rig_cert revoked = *(enum rig_cert *)arg;
    struct tls *tls =
        revoked == CERT_COUNT ? tls_make(rig_pki.other, CERT_COUNT) : tls_make(rig_pki.ca, revoked);
    net_set_tls(net, tls);
    tls_drop(&tls);
}

void rig_reload_revoked(enum rig_cert revoked)
{
    rig_call(do_reload, &revoked);
}

void rig_reload_other_ca(void)
{
    enum rig_cert other = CERT_COUNT;
    rig_call(do_reload, &other);
}

static void drained(void *arg)
{
    (void)arg;
    rig.drained = true;
}

static void do_drain(struct net *net, void *arg)
{
    (void)arg;
    net_drain(net, drained, NULL);
}

void rig_drain(void)
{
    rig_call(do_drain, NULL);
}

static void do_drained(struct net *net, void *arg)
{
    (void)net;
    *(bool *)arg = rig.drained;
}

bool rig_drained(void)
{
    bool yes = false;
    for (int i = 0; i < 400 && !yes; i++) {
        rig_call(do_drained, &yes);
        sleep_ms(5);
    }
    return yes;
}

struct limits *rig_limits(void)
{
    return rig.limits;
}
