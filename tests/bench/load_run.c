/*
 * The engine of the load generator: one thread, epoll, non-blocking TLS. Each connection has
 * `depth` slots; a slot has one request under way and decides, when the answer is in, what comes
 * next. All requests that become due in one turn leave in one SSL_write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/err.h>

#include "proto/ttlv/read.h"
#include "tests/bench/load.h"

enum {
    ANSWER_MAX = 16 << 20,
    READ_BYTES = 64 * 1024,
    REASON_GENERAL = 0x100, /* the constant error: nothing is known of the object; try again */
    REASON_BUSY = 0x3A,     /* Server Limit Exceeded */
    RETRY_NS = 20000000,
    GRACE_NS = 2000000000, /* for answers under way when the time is over */
};

enum link { LINK_WAIT, LINK_CONNECT, LINK_TLS, LINK_OPEN };

struct slot {
    enum step step;
    bool under_way;
    size_t key; /* index of load_keys */
    uint64_t sent_at, not_before;
    char uid[UID_BYTES], digest[DIGEST_HEX], name[64], correlation[CORRELATION_BYTES];
};

struct link_state {
    enum link state;
    int fd;
    SSL *ssl;
    SSL_SESSION *session;
    struct buf in, out;
    size_t out_at;
    uint32_t events;
    struct slot *slots;
    unsigned *order, order_at, order_count; /* slots in the order of their requests */
    unsigned asked;                         /* requests on this connection */
    uint64_t retry_at;
    unsigned failures;
};

struct load_result load_result;
struct known *load_keys;
size_t load_key_count;

static SSL_CTX *tls;
static int poller;
static struct link_state *links;
static struct arena arena;
static uint64_t begun, ends, measured_from, issued, serial;
static bool stopping, any_delayed;

static void link_pump(struct link_state *l);

/* ---- what a slot does ----------------------------------------------------------------------- */

static enum step first_step(void)
{
    switch (load_options.mode) {
    case LOAD_GET:
    case LOAD_CHECK:
        return STEP_GET;
    case LOAD_LOCATE:
        return STEP_LOCATE;
    case LOAD_QUERY:
        return STEP_QUERY;
    case LOAD_CANNED:
        return STEP_CANNED;
    default:
        return STEP_CREATE;
    }
}

static void slot_begin(struct slot *s)
{
    s->step = first_step();
    s->digest[0] = s->uid[0] = s->name[0] = 0;
}

/* Fills in what the request needs. False: nothing is left to ask. */
static bool slot_prepare(struct slot *s)
{
    bool new_key = s->step == first_step();
    if (load_options.count && new_key && issued >= load_options.count)
        return false;
    if (load_options.mode == LOAD_CHECK && issued >= load_key_count)
        return false;
    serial++;
    snprintf(s->correlation, sizeof s->correlation, "%s-%llu", load_options.name,
             (unsigned long long)serial);
    if (!new_key)
        return true;
    if (s->step == STEP_GET || s->step == STEP_LOCATE) {
        s->key = issued % load_key_count;
        snprintf(s->uid, sizeof s->uid, "%s", load_keys[s->key].uid);
        snprintf(s->name, sizeof s->name, "%s-key-%zu", load_options.name, s->key);
    } else if (load_options.mode == LOAD_LIFE) {
        snprintf(s->name, sizeof s->name, "%s-life-%llu", load_options.name,
                 (unsigned long long)serial);
    }
    issued++;
    return true;
}

/* The key as it was when first seen; a key that changes is the worst of errors. */
static void check_material(const struct load_answer *a, const char *uid, char known[DIGEST_HEX])
{
    char digest[DIGEST_HEX];
    if (a->material_len != KEY_BITS / 8) {
        load_wrong("%s: a key of %zu bytes instead of %d", uid, a->material_len, KEY_BITS / 8);
        return;
    }
    load_digest(a, digest);
    if (known[0] && strcmp(known, digest) != 0)
        load_wrong("%s: another key than before", uid);
    snprintf(known, DIGEST_HEX, "%s", digest);
}

static bool must_fail(const struct slot *s)
{
    return s->step == STEP_GET_DESTROYED ||
           (load_options.mode == LOAD_CHECK && load_keys[s->key].destroyed);
}

static bool may_fail(const struct slot *s)
{
    return load_options.mode == LOAD_CHECK && load_keys[s->key].maybe_destroyed;
}

static void slot_success(struct slot *s, const struct load_answer *a)
{
    char none[DIGEST_HEX] = "";
    if (s->step == STEP_CREATE) {
        snprintf(s->uid, sizeof s->uid, "%s", a->uid);
        if (!a->uid[0] || !seen_add(a->uid))
            load_wrong("Create answered with identifier '%s', which is empty or not new", a->uid);
    } else if (s->step == STEP_LOCATE) {
        if (a->uid_count != 1 || strcmp(a->uid, s->uid) != 0)
            load_wrong("Locate of %s found %u, the first is '%s'", s->name, a->uid_count, a->uid);
    } else if (s->step != STEP_QUERY && strcmp(a->uid, s->uid) != 0) {
        load_wrong("%s of %s answered for '%s'", step_operation(s->step), s->uid, a->uid);
    }
    if (s->step == STEP_GET || s->step == STEP_GET_ACTIVE) {
        bool shared = load_options.mode == LOAD_GET || load_options.mode == LOAD_CHECK;
        check_material(a, s->uid, shared ? load_keys[s->key].digest : s->digest);
    }
    bool fact = s->step == STEP_GET || s->step == STEP_GET_ACTIVE;
    facts_line('A', s->step, s->uid, fact ? s->digest : none, s->name, s->correlation);
    if (load_options.mode == LOAD_LIFE)
        s->step++;
    else
        slot_begin(s);
}

static void slot_answer(struct slot *s, struct bytes message)
{
    struct load_answer a;
    uint64_t now = now_ns();
    s->under_way = false;
    s->not_before = 0;
    if (s->sent_at >= measured_from && !stopping) {
        hist_add(&load_result.hist, now - s->sent_at);
        load_result.answer_bytes += message.len;
    }
    load_result.answers++;
    if (load_options.mode == LOAD_CANNED) {
        if (message.len != load_options.answer_bytes)
            load_wrong("an answer of %zu bytes", message.len);
        return;
    }
    rc_t rc = load_answer_read(&arena, message, &a);
    arena_reset(&arena);
    if (rc != RC_OK) {
        load_wrong("an answer that cannot be read: %s", rc_name(rc));
        slot_begin(s);
        return;
    }
    bool failed = a.status != 0;
    if (failed && (a.reason == REASON_GENERAL || a.reason == REASON_BUSY)) {
        load_result.refused++; /* the server says: not now. The same again, a little later */
        if (!load_result.first_problem[0])
            snprintf(load_result.first_problem, sizeof load_result.first_problem, "refused: %s",
                     a.message);
        s->not_before = now + RETRY_NS;
        any_delayed = true;
    } else if (failed && (must_fail(s) || may_fail(s))) {
        slot_begin(s);
    } else if (failed) {
        load_wrong("%s of '%s' failed: reason 0x%x, %s", step_operation(s->step), s->uid, a.reason,
                   a.message);
        slot_begin(s);
    } else if (must_fail(s)) {
        load_wrong("Get of %s succeeded after Destroy had been answered", s->uid);
        slot_begin(s);
    } else {
        slot_success(s, &a);
    }
}

/* The connection ended with this request under way: nobody knows, and nobody may guess. */
static void slot_unknown(struct slot *s)
{
    s->under_way = false;
    load_result.unknown++;
    facts_line('U', s->step, s->uid, s->digest, s->name, s->correlation);
    if (load_options.mode == LOAD_CHECK)
        return; /* asks the same again */
    if (load_options.mode == LOAD_GET || load_options.mode == LOAD_LOCATE)
        issued -= issued > 0;
    slot_begin(s);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void link_want(struct link_state *l, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = l};
    if (l->events != events)
        epoll_ctl(poller, l->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->fd, &e);
    l->events = events;
}

static void link_close(struct link_state *l)
{
    if (l->ssl) {
        if (load_options.resume && l->state == LINK_OPEN) {
            SSL_SESSION_free(l->session);
            l->session = SSL_get1_session(l->ssl);
        }
        SSL_shutdown(l->ssl);
        SSL_free(l->ssl);
        ERR_clear_error();
    }
    if (l->fd >= 0)
        close(l->fd);
    l->ssl = NULL;
    l->fd = -1;
    l->events = 0;
    l->state = LINK_WAIT;
    l->out_at = 0;
    l->asked = 0;
    buf_clear(&l->in);
    buf_clear(&l->out);
}

/* What is still under way stays unknown. */
static void link_leave(struct link_state *l)
{
    while (l->order_count) {
        slot_unknown(&l->slots[l->order[l->order_at]]);
        l->order_at = (l->order_at + 1) % load_options.depth;
        l->order_count--;
    }
    facts_write();
    link_close(l);
}

static void link_failed(struct link_state *l, const char *where)
{
    bool was_open = l->state == LINK_OPEN;
    if (!was_open)
        load_result.connect_errors++;
    else
        load_result.reconnects++;
    if (!load_result.first_problem[0])
        snprintf(load_result.first_problem, sizeof load_result.first_problem, "%s: %s", where,
                 strerror(errno));
    link_leave(l);
    if (!load_options.keep_going && !stopping)
        die("%s failed: %s", where, load_result.first_problem);
    l->failures = was_open ? 0 : l->failures + 1;
    l->retry_at = now_ns() + (l->failures > 6 ? 500000000u : 10000000u << l->failures);
}

static void link_open(struct link_state *l)
{
    l->fd = load_connect(true);
    l->state = LINK_CONNECT;
    if (l->fd < 0) {
        link_failed(l, "connect");
        return;
    }
    l->ssl = SSL_new(tls);
    if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
        die("out of memory");
    if (l->session)
        SSL_set_session(l->ssl, l->session);
    SSL_set_connect_state(l->ssl);
    link_want(l, EPOLLOUT);
}

static void link_handshake(struct link_state *l)
{
    ERR_clear_error();
    int r = SSL_do_handshake(l->ssl);
    if (r == 1) {
        l->state = LINK_OPEN;
        l->failures = 0;
        load_result.handshakes++;
        load_result.resumed += (uint64_t)SSL_session_reused(l->ssl);
        link_want(l, EPOLLIN);
        link_pump(l);
        return;
    }
    int error = SSL_get_error(l->ssl, r);
    if (error == SSL_ERROR_WANT_READ)
        link_want(l, EPOLLIN);
    else if (error == SSL_ERROR_WANT_WRITE)
        link_want(l, EPOLLOUT);
    else
        link_failed(l, "TLS handshake");
}

static void link_write(struct link_state *l)
{
    while (l->out_at < l->out.len) {
        ERR_clear_error();
        int n = SSL_write(l->ssl, l->out.data + l->out_at, (int)(l->out.len - l->out_at));
        if (n <= 0) {
            int error = SSL_get_error(l->ssl, n);
            if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) {
                link_failed(l, "write");
                return;
            }
            link_want(l, EPOLLIN | EPOLLOUT);
            return;
        }
        l->out_at += (size_t)n;
    }
    buf_clear(&l->out);
    l->out_at = 0;
    link_want(l, EPOLLIN);
}

/* Puts the next request of every free slot into one piece, and sends it. */
static void link_pump(struct link_state *l)
{
    uint64_t now = now_ns();
    if (load_options.per_connection && l->asked >= load_options.per_connection) {
        if (!l->order_count) {
            link_close(l);
            l->retry_at = 0;
        }
        return;
    }
    for (unsigned i = 0; i < load_options.depth && !stopping; i++) {
        struct slot *s = &l->slots[i];
        if (s->under_way || (s->not_before && s->not_before > now))
            continue;
        if (load_options.per_connection && l->asked >= load_options.per_connection)
            break;
        if (s->not_before == 0 && !slot_prepare(s))
            continue;
        struct load_request rq = {s->step, s->uid, s->name[0] ? s->name : NULL, s->correlation};
        size_t had = l->out.len;
        if (load_request_write(&rq, &l->out) != RC_OK)
            die("a request cannot be written");
        load_result.request_bytes = l->out.len - had;
        s->under_way = true;
        s->not_before = 0;
        s->sent_at = now;
        l->order[(l->order_at + l->order_count++) % load_options.depth] = i;
        l->asked++;
    }
    if (l->out.len)
        link_write(l);
}

/* Whole answers in `in`. False: the connection is broken. */
static bool link_answers(struct link_state *l)
{
    size_t at = 0, total;
    while (l->in.len - at >= TTLV_HEADER_BYTES) {
        if (ttlv_frame_check_response(l->in.data + at, ANSWER_MAX, &total) != RC_OK ||
            !l->order_count) {
            load_wrong("bytes that are no answer");
            return false;
        }
        if (l->in.len - at < total)
            break;
        slot_answer(&l->slots[l->order[l->order_at]], bytes_of(l->in.data + at, total));
        l->order_at = (l->order_at + 1) % load_options.depth;
        l->order_count--;
        at += total;
    }
    if (at)
        buf_drop_front(&l->in, at);
    facts_write(); /* before anything more is sent */
    return true;
}

static void link_read(struct link_state *l)
{
    for (;;) {
        if (buf_reserve(&l->in, READ_BYTES) != RC_OK)
            die("out of memory");
        ERR_clear_error();
        int n = SSL_read(l->ssl, l->in.data + l->in.len, READ_BYTES);
        if (n <= 0) {
            int error = SSL_get_error(l->ssl, n);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                break;
            errno = ECONNRESET;
            link_failed(l, "read");
            return;
        }
        l->in.len += (size_t)n;
        if (!link_answers(l)) {
            link_failed(l, "answer");
            return;
        }
        if (!SSL_has_pending(l->ssl))
            break;
    }
    link_pump(l);
}

static void link_event(struct link_state *l, uint32_t events)
{
    if (l->state == LINK_CONNECT)
        l->state = LINK_TLS;
    if (l->state == LINK_TLS)
        link_handshake(l);
    else if (l->state == LINK_OPEN && (events & EPOLLOUT) && l->out.len)
        link_write(l);
    if (l->state == LINK_OPEN && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        link_read(l);
}

/* ---- the run -------------------------------------------------------------------------------- */

static unsigned under_way(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < load_options.connections; i++)
        sum += links[i].order_count;
    return sum;
}

static bool all_asked(void)
{
    if (load_options.mode == LOAD_CHECK)
        return issued >= load_key_count;
    return load_options.count && issued >= load_options.count && load_options.mode != LOAD_LIFE;
}

static bool slots_idle(void)
{
    for (unsigned i = 0; i < load_options.connections; i++)
        for (unsigned d = 0; d < load_options.depth; d++)
            if (links[i].slots[d].under_way || links[i].slots[d].not_before)
                return false;
    return true;
}

static void links_look_after(void)
{
    uint64_t now = now_ns();
    for (unsigned i = 0; i < load_options.connections; i++) {
        struct link_state *l = &links[i];
        if (l->state == LINK_WAIT && now >= l->retry_at && !stopping)
            link_open(l);
        else if (l->state == LINK_OPEN && any_delayed)
            link_pump(l);
    }
}

static double cpu_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void links_make(void)
{
    links = calloc(load_options.connections, sizeof *links);
    for (unsigned i = 0; links && i < load_options.connections; i++) {
        links[i].fd = -1;
        links[i].slots = calloc(load_options.depth, sizeof *links[i].slots);
        links[i].order = calloc(load_options.depth, sizeof *links[i].order);
        if (!links[i].slots || !links[i].order)
            die("out of memory");
        for (unsigned d = 0; d < load_options.depth; d++)
            slot_begin(&links[i].slots[d]);
    }
    if (!links)
        die("out of memory");
}

static void turn(int wait_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(poller, events, 256, wait_ms);
    for (int i = 0; i < n; i++)
        link_event(events[i].data.ptr, events[i].events);
}

void load_run(SSL_CTX *ctx)
{
    double cpu = 0;
    bool measuring = false;
    tls = ctx;
    arena = ARENA_OF(64u << 20);
    poller = epoll_create1(EPOLL_CLOEXEC);
    links_make();
    begun = now_ns();
    uint64_t length = (uint64_t)(load_options.seconds * 1e9);
    measured_from = begun + (load_options.warm ? 500000000u : 0);
    ends = load_options.seconds > 0 ? measured_from + length : UINT64_MAX;
    for (;;) {
        uint64_t now = now_ns();
        if (!measuring && now >= measured_from) {
            measuring = true;
            cpu = cpu_now();
        }
        if (now >= ends || (all_asked() && slots_idle()))
            break;
        links_look_after();
        turn(10);
    }
    uint64_t stop = now_ns();
    load_result.seconds = (double)(stop - measured_from) / 1e9;
    load_result.cpu_seconds = cpu_now() - cpu;
    stopping = true;
    while (under_way() && now_ns() < stop + GRACE_NS)
        turn(10);
    for (unsigned i = 0; i < load_options.connections; i++) {
        link_leave(&links[i]);
        SSL_SESSION_free(links[i].session);
        buf_free(&links[i].in);
        buf_free(&links[i].out);
        free(links[i].slots);
        free(links[i].order);
    }
    free(links);
    arena_free(&arena);
    close(poller);
}
