/* Peers and the calls they send; see service.h. What each call does is in calls.c. */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/vault/service_impl.h"

enum {
    PEERS_MAX = 256,
    WRITER_HIGH_BYTES = 4 * 1024 * 1024, /* a peer that does not read its answers is not read */
    LOGGED_A_SECOND = 10,                /* integrity failures told one by one */
};

/* ---- calls ---- */

static handler_fn *const handlers[VAULT_OP_END] = {
#define CALL(op, handler, who, max) [op] = handler,
#include "server/vault/call.def"
#undef CALL
};

/* Each one is an alarm, but a peer that sends nothing else must not fill the disk. */
static void tell_integrity(struct vault_service *s, const struct ask *a)
{
    char uid[UID_TEXT_SIZE];
    int64_t now = clock_wall_s();
    s->integrity++;
    s->integrity_uid = a->call.control.uid;
    s->integrity_s = now;
    service_tell_soon(s);
    if (now != s->log_second) {
        if (s->not_logged)
            log_error("vault.integrity_more", "count=%u", s->not_logged);
        s->log_second = now;
        s->logged = s->not_logged = 0;
    }
    if (s->logged >= LOGGED_A_SECOND) {
        s->not_logged++;
        return;
    }
    s->logged++;
    uid_print(&a->call.control.uid, uid);
    log_error("vault.integrity", "op=%s object=%s", vault_op_name(a->call.op), uid);
}

rc_t run_call(struct vault_service *s, struct ask *a)
{
    rc_t rc = vault_call_read(a->frame, &a->call);
    if (rc != RC_OK && rc != RC_INTEGRITY)
        return rc;
    if (rc == RC_OK)
        rc = handlers[a->call.op](a);
    if (rc == RC_OK) {
        s->answered++;
        return RC_OK;
    }
    s->refused++;
    if (rc == RC_INTEGRITY)
        tell_integrity(s, a);
    const struct vault_reply reply = {.rc = rc};
    return vault_reply_write(&a->peer->writer, a->call.op, a->frame->id, &reply);
}

/* ---- peers ---- */

static bool peer_may_send(uint16_t code, uint32_t len, void *arg)
{
    const struct peer *p = arg;
    return vault_call_allowed(code, p->role, len);
}

void peer_drop(struct peer *p)
{
    struct vault_service *s = p->service;
    parked_cancel(s, p);
    if (p->next)
        p->next->prev = p->prev;
    if (p->prev)
        p->prev->next = p->next;
    else
        s->peers = p->next;
    s->peer_count--;
    if (p->readable)
        event_free(p->readable);
    if (p->writable)
        event_free(p->writable);
    close(p->fd);
    frame_reader_free(&p->reader);
    frame_writer_free(&p->writer);
    free(p);
    if (s->options.peer_gone)
        s->options.peer_gone(s->options.arg);
}

bool peer_flush(struct peer *p)
{
    rc_t rc = frame_flush(&p->writer, p->fd);
    if (rc == RC_BUSY) {
        event_add(p->writable, NULL);
        if (frame_waiting(&p->writer) > WRITER_HIGH_BYTES && !p->stopped) {
            p->stopped = true;
            event_del(p->readable);
        }
        return true;
    }
    if (rc != RC_OK) {
        peer_drop(p);
        return false;
    }
    if (p->stopped) {
        p->stopped = false;
        event_add(p->readable, NULL);
    }
    return true;
}

static rc_t peer_take_frames(struct peer *p)
{
    for (;;) {
        struct frame f;
        bool have;
        TRY(frame_next(&p->reader, &f, &have));
        if (!have)
            return RC_OK;
        struct ask a = {.service = p->service, .peer = p, .frame = &f};
        TRY(run_call(p->service, &a));
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct peer *p = arg;
    size_t got;
    rc_t rc = frame_read(&p->reader, fd, &got);
    if (rc == RC_OK)
        rc = peer_take_frames(p);
    if (rc != RC_OK) {
        if (rc != RC_IO)
            log_error("vault.peer_ended", "role=%d result=%s", (int)p->role, rc_name(rc));
        peer_drop(p);
        return;
    }
    frame_reader_settle(&p->reader);
    peer_flush(p);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    peer_flush(arg);
}

rc_t vault_service_add_peer(struct vault_service *s, int fd, enum vault_peer role)
{
    struct peer *p = s->peer_count < PEERS_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        close(fd);
        return RC_BUSY;
    }
    evutil_make_socket_nonblocking(fd);
    evutil_make_socket_closeonexec(fd);
    p->service = s;
    p->serial = ++s->last_serial;
    p->fd = fd;
    p->role = role;
    frame_reader_init(&p->reader, peer_may_send, p);
    p->next = s->peers;
    if (p->next)
        p->next->prev = p;
    s->peers = p;
    s->peer_count++;
    p->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, p);
    p->writable = event_new(s->base, fd, EV_WRITE, on_writable, p);
    if (!p->readable || !p->writable || event_add(p->readable, NULL) != 0) {
        peer_drop(p);
        return RC_NO_MEMORY;
    }
    return RC_OK;
}

rc_t vault_service_add_worker(struct vault_service *s, int fd, uint32_t number)
{
    struct peer *before = s->peers;
    while (before && (!number || before->worker != number))
        before = before->next;
    if (before)
        peer_drop(before);
    TRY(vault_service_add_peer(s, fd, FROM_WORKER));
    s->peers->worker = number; /* new ones stand first */
    return RC_OK;
}

size_t vault_service_peers(const struct vault_service *s)
{
    return s->peer_count;
}

struct peer *peer_find(struct vault_service *s, uint64_t serial)
{
    struct peer *p = s->peers;
    while (p && p->serial != serial)
        p = p->next;
    return p;
}
