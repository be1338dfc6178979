/*
 * Bytes of a connection: TLS handshake steps, requests cut out of the stream, answers in order and
 * in one piece. Nothing here blocks; each call does at most TURN_BYTES of work. Buffers that
 * carried requests or answers are wiped when they are let go: they may hold keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "proto/base/wipe.h"
#include "proto/ttlv/read.h"
#include "server/base/clock.h"
#include "server/net/conn.h"

/* ---- handshake ------------------------------------------------------------------------------ */

static const char *failure_reason(const struct conn *c)
{
    long verify = SSL_get_verify_result(c->ssl);
    unsigned long e = ERR_peek_error();
    const char *text = e ? ERR_reason_error_string(e) : NULL;
    if (verify != X509_V_OK)
        return X509_verify_cert_error_string(verify);
    return text ? text : "connection closed";
}

static void write_event(struct conn *c, bool on)
{
    if (on && !c->write_on)
        event_add(&c->on_write, NULL);
    else if (!on && c->write_on)
        event_del(&c->on_write);
    c->write_on = on;
}

void conn_shake(struct conn *c)
{
    ERR_clear_error();
    int r = SSL_do_handshake(c->ssl);
    if (r == 1) {
        write_event(c, false);
        c->net->stats.handshakes++;
        if (SSL_session_reused(c->ssl))
            c->net->stats.resumed++;
        conn_on(c, ON_TLS_READY);
        return;
    }
    int error = SSL_get_error(c->ssl, r);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        write_event(c, error == SSL_ERROR_WANT_WRITE);
        conn_want(c);
        return;
    }
    net_log_failure(c->net, c, failure_reason(c));
    ERR_clear_error();
    c->broken = true;
    conn_on(c, ON_FAILED);
}

/* ---- requests ------------------------------------------------------------------------------- */

static size_t bytes_under_way(const struct conn *c)
{
    return c->flight_bytes + (c->out.len - c->sent);
}

bool conn_may_take(const struct conn *c)
{
    return (c->state == CONN_OPEN || c->state == CONN_HALF || c->state == CONN_DRAINING) &&
           c->flight_count < c->net->set.in_flight && bytes_under_way(c) < c->net->set.high_water;
}

bool conn_may_read(const struct conn *c)
{
    if (c->state == CONN_DRAINING)
        return c->frame_open && conn_may_take(c);
    return c->state == CONN_OPEN && conn_may_take(c);
}

static void on_answer(void *arg, struct buf *answer, bool close)
{
    struct flight *f = arg;
    struct conn *c = f->conn;
    f->request = NULL;
    f->done = true;
    f->close = close;
    c->flight_bytes -= f->bytes;
    buf_take(&f->answer, answer);
    f->bytes = f->answer.len;
    c->flight_bytes += f->bytes;
    c->net->stats.answers++;
    net_ready(c->net, c);
}

/* `request` is taken, also on failure. */
static void request_submit(struct conn *c, struct buf *request)
{
    struct net *net = c->net;
    struct flight *f = calloc(1, sizeof *f);
    if (!f) {
        buf_free(request);
        conn_on(c, ON_FAILED);
        return;
    }
    f->conn = c;
    f->bytes = request->len;
    TAILQ_INSERT_TAIL(&c->flights, f, link);
    c->flight_count++;
    c->flight_bytes += f->bytes;
    net->stats.requests++;
    f->request = net->engine.submit(net->engine.engine, c->session, request, on_answer, f);
    if (!f->request) {
        buf_free(request);
        f->done = true; /* nothing to abandon */
        conn_tell(c, "refused", "the server has as many requests under way as it may, or no memory");
        conn_on(c, ON_FAILED);
    }
}

/*
 * A header that no request can have. With the tag and type of a request the engine gets the header
 * alone: it answers Invalid Message, audited as all answers are. Anything else is not KMIP.
 */
static void frame_refuse(struct conn *c, const uint8_t *header, rc_t rc)
{
    struct buf request = BUF_EMPTY;
    net_log_frame(c->net, c, rc);
    if ((rc == RC_BAD_LENGTH || rc == RC_TOO_LARGE) &&
        buf_add(&request, header, TTLV_HEADER_BYTES) == RC_OK)
        request_submit(c, &request);
    conn_on(c, ON_BAD_FRAME);
}

/* Hands over the whole requests in `bytes`. Returns how much is used up. */
static size_t requests_cut(struct conn *c, struct bytes bytes)
{
    size_t at = 0, total;
    while (bytes.len - at >= TTLV_HEADER_BYTES && conn_may_take(c)) {
        const uint8_t *p = bytes.data + at;
        rc_t rc = ttlv_frame_check(p, c->net->set.request_bytes, &total);
        if (rc != RC_OK) {
            frame_refuse(c, p, rc);
            return bytes.len;
        }
        if (bytes.len - at < total)
            break;
        struct buf request = BUF_EMPTY;
        if (bytes.data == c->in.data && at == 0 && total == c->in.len)
            buf_take(&request, &c->in); /* a large request is collected in its own buffer */
        else if (buf_add(&request, p, total) != RC_OK) {
            conn_on(c, ON_FAILED);
            return bytes.len;
        }
        at += total;
        request_submit(c, &request);
    }
    return at;
}

/* Starts or stops the clock of an unfinished request. It stands still while we do not read. */
static void frame_clock(struct conn *c)
{
    bool open = c->in.len && conn_may_take(c);
    if (open && !c->frame_open)
        c->frame_began = clock_monotonic_us();
    c->frame_open = open;
}

/* Requests that waited because too many were under way. */
static void leftover_cut(struct conn *c)
{
    if (!c->in.len)
        return;
    size_t had = c->in.len, used = requests_cut(c, buf_view(&c->in));
    if (c->state == CONN_CLOSED)
        return;
    if (c->in.len == had && used)
        buf_drop_front(&c->in, used);
    if (used)
        c->frame_open = false; /* what is left now is another request */
    if (!c->in.len)
        buf_free(&c->in); /* an idle connection keeps no buffer */
}

static void bytes_take(struct conn *c, struct bytes bytes)
{
    if (!c->in.len) {
        size_t used = requests_cut(c, bytes);
        bytes.data += used;
        bytes.len -= used;
        if (used)
            c->frame_open = false;
    }
    if (c->state == CONN_CLOSED || !bytes.len)
        return;
    if (buf_add_bytes(&c->in, bytes) != RC_OK) {
        conn_on(c, ON_FAILED);
        return;
    }
    leftover_cut(c);
}

/* What SSL_read says when it gives no bytes. */
static void read_stopped(struct conn *c, int r)
{
    switch (SSL_get_error(c->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return;
    case SSL_ERROR_WANT_WRITE:
        c->read_wants_write = true;
        write_event(c, true);
        return;
    case SSL_ERROR_ZERO_RETURN:
        conn_on(c, ON_PEER_DONE);
        return;
    default: /* reset, cut off without close_notify, or not TLS any more */
        ERR_clear_error();
        c->broken = true;
        conn_on(c, ON_FAILED);
    }
}

/* What OpenSSL holds of the peer's bytes may stay allocated, or may not. */
static void read_buffer_keep(struct conn *c, bool keep)
{
    if (keep)
        SSL_clear_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    else
        SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS); /* always so for writing: nothing is wiped there */
}

void conn_read(struct conn *c)
{
    struct net *net = c->net;
    size_t turn = 0;
    read_buffer_keep(c, c->warm);
    c->read_again = false;
    c->read_wants_write = false;
    c->unread = false;
    for (;;) {
        if (!conn_may_read(c) || turn >= TURN_BYTES) { /* the others have a turn too */
            c->unread = SSL_has_pending(c->ssl);
            break;
        }
        ERR_clear_error();
        int n = SSL_read(c->ssl, net->scratch, SCRATCH_BYTES);
        if (n <= 0) {
            read_stopped(c, n);
            break;
        }
        turn += (size_t)n;
        c->quiet_since = clock_monotonic_us();
        bytes_take(c, bytes_of(net->scratch, (size_t)n));
        wipe(net->scratch, (size_t)n);
        if (c->state == CONN_CLOSED || !SSL_has_pending(c->ssl))
            break;
    }
    if (c->state == CONN_CLOSED)
        return;
    read_buffer_keep(c, false);
    if (turn)
        net_warm(net, c);
    frame_clock(c);
    net_ready(net, c); /* settles, and looks after events and clock */
}

/* ---- answers -------------------------------------------------------------------------------- */

static void flight_end(struct conn *c, struct flight *f)
{
    TAILQ_REMOVE(&c->flights, f, link);
    c->flight_count--;
    c->flight_bytes -= f->bytes;
    if (f->request)
        c->net->engine.abandon(f->request);
    buf_free(&f->answer);
    free(f);
}

/* Moves the answers whose turn has come to `out`: one answer by taking it, several in one piece. */
static rc_t answers_collect(struct conn *c)
{
    struct flight *f;
    size_t sum = 0;
    unsigned count = 0;
    TAILQ_FOREACH(f, &c->flights, link)
    {
        if (!f->done)
            break;
        sum += f->answer.len;
        count++;
        if (f->close)
            break;
    }
    if (count > 1 || c->out.len)
        TRY(buf_reserve(&c->out, sum));
    bool close = false;
    while (count-- && !close) {
        f = TAILQ_FIRST(&c->flights);
        if (!c->out.len && f->answer.len && !c->out.room)
            buf_take(&c->out, &f->answer);
        else
            TRY(buf_add_bytes(&c->out, buf_view(&f->answer)));
        close = f->close;
        flight_end(c, f);
    }
    if (close) {
        while ((f = TAILQ_FIRST(&c->flights)) != NULL)
            flight_end(c, f);
        if (c->state != CONN_FINISHING)
            conn_on(c, ON_LAST_ANSWER);
    }
    return RC_OK;
}

/* What stands in `out` now must be gone within unread_ms; then what stands in it then. */
static void stall_clock(struct conn *c)
{
    if (c->out.len && (!c->stall_until || c->sent >= c->stall_mark)) {
        c->stall_mark = c->out.len;
        c->stall_until = clock_monotonic_us() + (int64_t)c->net->set.unread_ms * 1000;
    }
    if (!c->out.len)
        c->stall_until = 0;
}

static void answers_send(struct conn *c)
{
    size_t turn = 0;
    c->write_wants_read = false;
    while (c->sent < c->out.len && turn < TURN_BYTES) {
        ERR_clear_error();
        size_t left = c->out.len - c->sent;
        int n = SSL_write(c->ssl, c->out.data + c->sent, left < INT32_MAX ? (int)left : INT32_MAX);
        if (n > 0) {
            c->sent += (size_t)n;
            turn += (size_t)n;
            c->quiet_since = clock_monotonic_us();
            continue;
        }
        int error = SSL_get_error(c->ssl, n);
        if (error == SSL_ERROR_WANT_WRITE)
            break;
        if (error == SSL_ERROR_WANT_READ) {
            c->write_wants_read = true;
            break;
        }
        ERR_clear_error();
        c->broken = true;
        conn_on(c, ON_FAILED);
        return;
    }
    if (c->sent == c->out.len) {
        buf_free(&c->out);
        c->sent = 0;
    } else if (c->sent >= c->net->set.high_water && c->sent >= c->out.len / 2) {
        buf_drop_front(&c->out, c->sent); /* wiped early, and moved only as often as it halves */
        c->stall_mark -= c->stall_mark < c->sent ? c->stall_mark : c->sent;
        c->sent = 0;
    }
    stall_clock(c);
    write_event(c, c->read_wants_write || (c->out.len && !c->write_wants_read));
}

static bool settled(const struct conn *c)
{
    if (c->flight_count || c->out.len)
        return false;
    /* After the peer's end an unfinished request stays unfinished. */
    return c->state == CONN_HALF || c->state == CONN_FINISHING ||
           (c->state == CONN_DRAINING && !c->in.len);
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_HANDSHAKE || c->state == CONN_LOGIN || c->state == CONN_LINGER)
        return;
    if (answers_collect(c) != RC_OK) {
        conn_on(c, ON_FAILED);
        return;
    }
    stall_clock(c);
    answers_send(c);
    if (c->state == CONN_CLOSED)
        return;
    leftover_cut(c);
    if (c->state == CONN_CLOSED)
        return;
    frame_clock(c);
    if (settled(c)) {
        conn_on(c, ON_SETTLED);
        return;
    }
    /* Reading may go on, and no event will tell of the bytes that OpenSSL holds. */
    if (c->unread && conn_may_read(c))
        c->read_again = true;
    conn_want(c);
    conn_clock(c);
}

/* ---- the end -------------------------------------------------------------------------------- */

void conn_linger(struct conn *c)
{
    ERR_clear_error();
    if (!(SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN)) {
        int r = SSL_shutdown(c->ssl);
        if (r < 0 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_WRITE) {
            write_event(c, true);
            return;
        }
        write_event(c, false);
        ERR_clear_error();
        shutdown(c->fd, SHUT_WR);
    }
    /* Closing a socket with unread bytes resets it, and the last answer might be lost on its way.
     */
    for (;;) {
        ssize_t n = recv(c->fd, c->net->scratch, SCRATCH_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        c->lingered += n > 0 ? (size_t)n : 0;
        if (n <= 0 || c->lingered > LINGER_BYTES) {
            conn_on(c, ON_ENDED);
            return;
        }
    }
    conn_want(c);
    conn_clock(c);
}
