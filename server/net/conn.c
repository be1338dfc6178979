/*
 * The life of a connection: taken from the listener, named by its certificate, logged in, ended.
 * Also its clock: one timer that is set to the nearest deadline and never moved when one moves
 * away.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net/conn.h"

/* ---- events --------------------------------------------------------------------------------- */

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    if (c->state == CONN_HANDSHAKE) {
        net_shake(c->net, c);
        conn_want(c);
    } else if (c->state == CONN_LINGER) {
        conn_linger(c);
    } else {
        conn_read(c);
    }
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    if (c->state == CONN_HANDSHAKE)
        net_shake(c->net, c);
    else if (c->state == CONN_LINGER)
        conn_linger(c);
    else if (c->read_wants_write)
        conn_read(c);
    else
        net_ready(c->net, c);
}

void conn_want(struct conn *c)
{
    bool want =
        c->state == CONN_LINGER || conn_may_read(c) || (c->state == CONN_HANDSHAKE && !c->shaking);
    if (c->state == CONN_CLOSED || want == c->read_on)
        return;
    if (want)
        event_add(&c->on_read, NULL);
    else
        event_del(&c->on_read);
    c->read_on = want;
}

/* ---- the clock ------------------------------------------------------------------------------ */

static int64_t nearer(int64_t a, int64_t b)
{
    return a && a < b ? a : b;
}

/* The nearest deadline, or 0: then the engine has the next step, and it has deadlines of its own.
 */
static int64_t deadline(const struct conn *c)
{
    const struct net_settings *set = &c->net->set;
    int64_t at = INT64_MAX;
    if (c->state == CONN_HANDSHAKE || c->state == CONN_LOGIN || c->state == CONN_LINGER)
        return c->phase_until;
    if (c->out.len)
        at = nearer(c->stall_until, at);
    if (c->frame_open) {
        at = nearer(c->frame_began + (int64_t)set->request_ms * 1000, at);
        int64_t paid = set->request_rate ? (int64_t)(c->in.len * 1000000 / set->request_rate) : 0;
        if (set->request_rate)
            at = nearer(c->frame_began + (paid > RATE_GRACE_US ? paid : RATE_GRACE_US), at);
    }
    if (!c->out.len && !c->frame_open && !c->flight_count)
        at = nearer(c->quiet_since + (int64_t)set->idle_ms * 1000, at);
    return at == INT64_MAX ? 0 : at;
}

static void timer_set(struct conn *c, int64_t at, int64_t now)
{
    int64_t wait = at > now ? at - now : 0;
    struct timeval tv = {wait / 1000000, wait % 1000000};
    event_add(&c->on_timer, &tv);
    c->timer_at = at;
}

void conn_clock(struct conn *c)
{
    int64_t at;
    if (c->state == CONN_CLOSED)
        return;
    if (c->read_again) {
        if (c->timer_at != 1)
            timer_set(c, 1, 1); /* next turn of the loop */
        return;
    }
    at = deadline(c);
    /* A timer that fires too early costs one look; moving it at every request would cost more. */
    if (at && (!c->timer_at || c->timer_at > at))
        timer_set(c, at, clock_monotonic_us());
}

/* Which of them it was. */
static const char *deadline_text(const struct conn *c)
{
    if (c->state == CONN_LOGIN)
        return "who it is could not be found out in time: is the database away?";
    if (c->state == CONN_LINGER)
        return "the client did not end its side";
    if (c->out.len)
        return "the client did not read its answer";
    return c->frame_open ? "a request did not come whole in time" : "nothing was asked for a long time";
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    c->timer_at = 0;
    if (c->read_again) {
        conn_read(c);
        return;
    }
    int64_t at = deadline(c);
    if (at && clock_monotonic_us() >= at) {
        c->net->stats.deadlines++;
        log_debug("conn.deadline", " address=%s state=%s", c->address, conn_state_name(c->state));
        if (c->state == CONN_HANDSHAKE)
            net_log_failure(c->net, c, "deadline");
        else
            conn_tell(c, "deadline", deadline_text(c));
        conn_on(c, ON_DEADLINE);
        return;
    }
    conn_clock(c);
}

/* ---- the beginning -------------------------------------------------------------------------- */

/* Text for audit and log, and what the limits count: an IPv4 address, or the /64 of an IPv6 one. */
static void address_set(struct conn *c, const struct sockaddr_storage *peer)
{
    char text[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
    if (peer->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        memcpy(c->address_key, &v4->sin_addr, c->address_len = 4);
        snprintf(c->address, sizeof c->address, "%s:%u", text, ntohs(v4->sin_port));
    } else if (peer->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);
        memcpy(c->address_key, &v6->sin6_addr.s6_addr[12], c->address_len = 4);
        snprintf(c->address, sizeof c->address, "%s:%u", text, ntohs(v6->sin6_port));
    } else if (peer->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        memcpy(c->address_key, &v6->sin6_addr, c->address_len = 8);
        snprintf(c->address, sizeof c->address, "[%s]:%u", text, ntohs(v6->sin6_port));
    } else {
        snprintf(c->address, sizeof c->address, "local");
    }
}

/* What the address may have. A refused connection is closed before a byte of TLS is read. */
static rc_t address_count(struct conn *c)
{
    struct net *net = c->net;
    struct bytes key = bytes_of(c->address_key, c->address_len);
    if (!net->limits)
        return RC_OK;
    if (limits_handshake(net->limits, key, clock_monotonic_us()) != RC_OK) {
        net->stats.refused_rate++;
        conn_tell(c, "refused", "more handshakes of this address than [limits] address_handshakes allows");
        return RC_BUSY;
    }
    if (limits_add(net->limits, LIMITS_ADDRESS, key) != RC_OK) {
        net->stats.refused_limit++;
        conn_tell(c, "refused", "more connections of this address than [limits] address_connections allows");
        return RC_BUSY;
    }
    c->counted = true;
    return RC_OK;
}

void conn_new(struct net *net, int fd, const struct sockaddr_storage *peer, bool legacy)
{
    int on = 1;
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        if (net->limits)
            limits_connection_drop(net->limits);
        return;
    }
    c->net = net;
    c->fd = fd;
    c->legacy = legacy;
    TAILQ_INIT(&c->flights);
    TAILQ_INSERT_TAIL(&net->conns, c, link);
    net->stats.open++;
    event_assign(&c->on_read, net->base, fd, EV_READ | EV_PERSIST, on_read, c);
    event_assign(&c->on_write, net->base, fd, EV_WRITE | EV_PERSIST, on_write, c);
    evtimer_assign(&c->on_timer, net->base, on_timer, c);
    address_set(c, peer);
    c->quiet_since = clock_monotonic_us();
    c->phase_until = c->quiet_since + (int64_t)net->set.handshake_ms * 1000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (address_count(c) != RC_OK || (c->ssl = tls_accept(net->tls, fd, legacy)) == NULL) {
        c->broken = true;
        conn_on(c, ON_FAILED);
        return;
    }
    conn_want(c);
    conn_clock(c);
}

/* ---- login ---------------------------------------------------------------------------------- */

static const char *refusal_text(rc_t rc)
{
    switch (rc) {
    case RC_AUTH_FAILED:
        return "no client has this certificate, or it is disabled, revoked or out of its time";
    case RC_BUSY:
        return "more connections of this client than [limits] identity_connections allows";
    case RC_BAD_VALUE:
    case RC_TOO_MANY:
        return "its certificate has no name that can be used, or too many";
    default:
        return rc_text(rc);
    }
}

/* Who came with a good certificate and was not let in: the administrator needs its name and serial
 * number. */
static void log_refused(const struct conn *c, rc_t rc)
{
    char name[160];
    struct cert_identity id = {0};
    X509 *cert = SSL_get0_peer_certificate(c->ssl);
    if (cert && cert_identity(cert, &id) == RC_OK)
        log_info("conn.refused", " address=%s result=%s %s=%s serial=%s", c->address, rc_name(rc),
                 id.names[0].kind, log_value(bytes_str(id.names[0].value), name), id.serial);
    else
        log_info("conn.refused", " address=%s result=%s", c->address, rc_name(rc));
    cert_identity_free(&id);
    conn_tell(c, "refused", refusal_text(rc));
}

static void on_login(void *arg, rc_t rc)
{
    struct login *login = arg;
    struct conn *c = login->conn;
    struct net *net = login->net;
    LIST_REMOVE(login, link);
    if (login->session)
        net->engine.session_drop(login->session);
    free(login);
    if (!c)
        return;
    c->login = NULL;
    if (c->state == CONN_LOGIN) {
        if (rc != RC_OK) {
            net->stats.logins_refused++;
            log_refused(c, rc);
        }
        conn_on(c, rc == RC_OK ? ON_LOGIN : ON_REFUSED);
    } else if (rc == RC_AUTH_FAILED) { /* asked again: it was let in once, and is not welcome now */
        net->stats.rechecks_failed++;
        log_info("conn.recheck", " address=%s result=%s", c->address, rc_name(rc));
        conn_tell(c, "shut out", "the client was disabled or its certificate revoked");
        conn_on(c, ON_REFUSED);
    }
}

static rc_t login_begin(struct conn *c)
{
    struct net *net = c->net;
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return RC_NO_MEMORY;
    login->net = net;
    login->conn = c;
    LIST_INSERT_HEAD(&net->logins, login, link);
    c->login = login;
    rc_t rc = net->engine.login(net->engine.engine, c->session, on_login, login);
    if (rc != RC_OK) {
        c->login = NULL;
        LIST_REMOVE(login, link);
        free(login);
    }
    return rc;
}

void conn_relogin(struct conn *c)
{
    if (!c->login && c->session)
        (void)login_begin(c); /* failing now, it is asked again at the next round */
}

/* The client is counted by its first name and issuer, whichever of its certificates it shows. */
static rc_t identity_count(struct conn *c, const struct cert_identity *id)
{
    unsigned len = 0;
    AUTO_BUF text = BUF_EMPTY;
    TRY(buf_add_fmt(&text, "%zu:%s,%s:%s", strlen(id->issuer), id->issuer, id->names[0].kind,
                    id->names[0].value));
    if (EVP_Digest(text.data, text.len, c->identity_key, &len, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    if (!c->net->limits)
        return RC_OK;
    rc_t rc = limits_add(c->net->limits, LIMITS_IDENTITY, bytes_of(c->identity_key, len));
    c->counted_identity = rc == RC_OK;
    if (rc == RC_BUSY)
        c->net->stats.refused_limit++;
    return rc;
}

static rc_t session_make(struct conn *c, const struct cert_identity *id)
{
    const struct net_engine *engine = &c->net->engine;
    c->session = engine->session_new(id->issuer, id->serial, id->fingerprint, c->address);
    if (!c->session)
        return RC_NO_MEMORY;
    c->session->legacy = c->legacy;
    for (size_t i = 0; i < id->name_count && i < SESSION_NAMES; i++)
        TRY(engine->session_add_name(c->session, id->names[i].kind, id->names[i].value));
    return RC_OK;
}

/* A resumed session passed the same CAs and CRLs as it began with; only time has moved since. */
static rc_t dates_check(const struct conn *c)
{
    int64_t now = clock_wall_s();
    return now >= c->not_before && now <= c->not_after ? RC_OK : RC_AUTH_FAILED;
}

static rc_t peer_name(struct conn *c)
{
    struct cert_identity id;
    X509 *cert = SSL_get0_peer_certificate(c->ssl);
    if (!cert || SSL_get_verify_result(c->ssl) != X509_V_OK)
        return RC_AUTH_FAILED;
    TRY(cert_identity(cert, &id));
    c->not_before = id.not_before;
    c->not_after = id.not_after;
    rc_t rc = dates_check(c);
    if (rc == RC_OK)
        rc = identity_count(c, &id);
    if (rc == RC_OK)
        rc = session_make(c, &id);
    cert_identity_free(&id);
    return rc;
}

void conn_begin_login(struct conn *c)
{
    c->phase_until = clock_monotonic_us() + (int64_t)c->net->set.handshake_ms * 1000;
    conn_want(c);
    rc_t rc = peer_name(c);
    if (rc == RC_OK)
        rc = login_begin(c);
    ERR_clear_error();
    if (rc != RC_OK) {
        log_refused(c, rc);
        c->net->stats.logins_refused++;
        conn_on(c, ON_REFUSED);
        return;
    }
    conn_clock(c);
}

void conn_begin_open(struct conn *c)
{
    log_debug("conn.open", " address=%s", c->address);
    conn_tell(c, "connected", NULL);
    c->quiet_since = clock_monotonic_us();
    conn_want(c);
    conn_read(c); /* the first request may have come together with the end of the handshake */
}

/* ---- the end -------------------------------------------------------------------------------- */

void conn_begin_drain(struct conn *c)
{
    /* What has reached the socket already was sent to a server that still listened: one last look.
     */
    c->frame_open = true;
    conn_read(c);
}

void conn_begin_linger(struct conn *c)
{
    c->phase_until = clock_monotonic_us() + (int64_t)c->net->set.linger_ms * 1000;
    buf_free(&c->in);
    conn_linger(c);
}

static void limits_return(struct conn *c)
{
    struct limits *limits = c->net->limits;
    if (!limits)
        return;
    if (c->counted)
        limits_drop(limits, LIMITS_ADDRESS, bytes_of(c->address_key, c->address_len));
    if (c->counted_identity)
        limits_drop(limits, LIMITS_IDENTITY, bytes_of(c->identity_key, sizeof c->identity_key));
    limits_connection_drop(limits);
}

static void flights_drop(struct conn *c)
{
    struct flight *f;
    while ((f = TAILQ_FIRST(&c->flights)) != NULL) {
        TAILQ_REMOVE(&c->flights, f, link);
        if (f->request)
            c->net->engine.abandon(f->request);
        buf_free(&f->answer);
        free(f);
    }
    c->flight_count = 0;
    c->flight_bytes = 0;
}

static void session_leave(struct conn *c)
{
    if (c->login) { /* the engine still works on this session */
        c->login->conn = NULL;
        c->login->session = c->session;
    } else if (c->session) {
        c->net->engine.session_drop(c->session);
    }
    c->session = NULL;
    c->login = NULL;
}

/* Called by conn_on() only; no caller up the stack may touch more than c->state afterwards. */
void conn_close(struct conn *c)
{
    struct net *net = c->net;
    log_debug("conn.close", " address=%s state=%s", c->address, conn_state_name(c->state));
    conn_tell(c, "closed", NULL);
    event_del(&c->on_read);
    event_del(&c->on_write);
    event_del(&c->on_timer);
    flights_drop(c);
    session_leave(c);
    if (c->ssl) {
        ERR_clear_error();
        /* Also when the peer will not read it: a session ended without it could not be resumed. */
        if (!c->broken && SSL_is_init_finished(c->ssl))
            SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
        c->ssl = NULL;
        ERR_clear_error();
    }
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    limits_return(c);
    net_bury(net, c);
}

void conn_free(struct conn *c)
{
    free(c);
}
