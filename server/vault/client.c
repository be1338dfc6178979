/*
 * The asynchronous stub of the vault; see client.h. Calls in flight sit in a table of slots; a
 * call's id is its slot and a generation, so a late answer to a call that timed out finds nobody.
 * Calls of one lane (usual or slow) have the same time, so they expire in the order in which they
 * were made: a queue for each lane, one timer.
 */
#include "server/vault/client.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/wipe.h"
#include "server/base/clock.h"
#include "server/vault/wire.h"

enum { PRESET_CALL_MS = 5000, PRESET_SLOW_MS = 300000, PRESET_WAITING = 8192 };
enum { FIRST_SLOTS = 64, NO_SLOT = -1 };
enum lane { LANE_USUAL, LANE_SLOW, LANES };
enum {
    QUEUE_BYTES_MAX = 64 * 1024 * 1024
}; /* unsent calls; a vault that does not read is not fed */

struct slot {
    vault_done_fn *done; /* NULL: free */
    void *arg;
    struct arena *arena;
    int64_t deadline_us;
    uint32_t generation;
    uint16_t op;
    uint8_t lane;
    int next, prev; /* in the lane's queue by age, or `next` in the free list */
};

struct vault_client {
    struct event_base *base;
    uint32_t lane_ms[LANES], waiting_max;
    int fd;
    struct event *readable, *writable, *deadline, *turn;
    struct frame_reader reader;
    struct frame_writer writer;
    struct slot *slots;
    int slot_count, free_slot;
    int oldest[LANES], newest[LANES];
    int64_t armed_us; /* for when the timer is set */
    bool turn_set;
    bool freeing;
    uint32_t in_flight;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static void slot_free(struct vault_client *c, int i)
{
    struct slot *s = &c->slots[i];
    if (s->prev != NO_SLOT)
        c->slots[s->prev].next = s->next;
    else
        c->oldest[s->lane] = s->next;
    if (s->next != NO_SLOT)
        c->slots[s->next].prev = s->prev;
    else
        c->newest[s->lane] = s->prev;
    s->done = NULL;
    s->generation++;
    s->next = c->free_slot;
    c->free_slot = i;
    c->in_flight--;
}

static bool slots_grow(struct vault_client *c)
{
    int more = c->slot_count ? c->slot_count * 2 : FIRST_SLOTS;
    if (more > (int)c->waiting_max)
        more = (int)c->waiting_max;
    struct slot *slots = reallocarray(c->slots, (size_t)more, sizeof *slots);
    if (!slots)
        return false;
    c->slots = slots;
    for (int i = more - 1; i >= c->slot_count; i--) {
        slots[i] = (struct slot){.next = c->free_slot, .generation = 1};
        c->free_slot = i;
    }
    c->slot_count = more;
    return true;
}

static int slot_take(struct vault_client *c, enum lane lane)
{
    if (c->free_slot == NO_SLOT && (c->slot_count >= (int)c->waiting_max || !slots_grow(c)))
        return NO_SLOT;
    int i = c->free_slot;
    struct slot *s = &c->slots[i];
    c->free_slot = s->next;
    s->lane = (uint8_t)lane;
    s->next = NO_SLOT;
    s->prev = c->newest[lane];
    if (s->prev != NO_SLOT)
        c->slots[s->prev].next = i;
    else
        c->oldest[lane] = i;
    c->newest[lane] = i;
    c->in_flight++;
    return i;
}

/* Frees the slot first, so that `done` may make new calls. */
static void slot_finish(struct vault_client *c, int i, const struct vault_reply *reply)
{
    struct slot s = c->slots[i];
    slot_free(c, i);
    struct vault_reply copy = *reply;
    if (s.arena && reply->rc == RC_OK && vault_reply_keep(&copy, s.arena) != RC_OK)
        copy = (struct vault_reply){.rc = RC_NO_MEMORY};
    s.done(s.arg, &copy);
}

/* The call that expires first, or NO_SLOT. */
static int first_to_expire(const struct vault_client *c)
{
    int usual = c->oldest[LANE_USUAL], slow = c->oldest[LANE_SLOW];
    if (usual == NO_SLOT || slow == NO_SLOT)
        return usual == NO_SLOT ? slow : usual;
    return c->slots[slow].deadline_us < c->slots[usual].deadline_us ? slow : usual;
}

static void timer_arm(struct vault_client *c)
{
    int first = first_to_expire(c);
    if (first == NO_SLOT) {
        evtimer_del(c->deadline);
        return;
    }
    int64_t at = c->slots[first].deadline_us;
    if (c->armed_us <= at && evtimer_pending(c->deadline, NULL))
        return; /* it fires in time and looks again */
    c->armed_us = at;
    int64_t left = at - clock_monotonic_us();
    left = left > 0 ? left : 0;
    struct timeval tv = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    evtimer_add(c->deadline, &tv);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vault_client *c = arg;
    static const struct vault_reply late = {.rc = RC_TIMEOUT}, lost = {.rc = RC_UNAVAILABLE};
    int64_t now = clock_monotonic_us();
    for (int i = first_to_expire(c); i != NO_SLOT; i = first_to_expire(c)) {
        int64_t at = c->slots[i].deadline_us;
        if (at > now)
            break;
        slot_finish(c, i, at == 0 ? &lost : &late);
    }
    timer_arm(c);
}

/* All calls end with RC_UNAVAILABLE, from the loop: their deadline becomes "at once". */
static void calls_fail(struct vault_client *c)
{
    if (first_to_expire(c) == NO_SLOT)
        return;
    for (int lane = 0; lane < LANES; lane++)
        for (int i = c->oldest[lane]; i != NO_SLOT; i = c->slots[i].next)
            c->slots[i].deadline_us = 0;
    struct timeval now = {0, 0};
    c->armed_us = 0;
    evtimer_del(c->deadline);
    evtimer_add(c->deadline, &now);
}

static void channel_close(struct vault_client *c)
{
    if (c->fd < 0)
        return;
    event_del(c->readable);
    event_del(c->writable);
    close(c->fd);
    c->fd = -1;
    frame_reader_free(&c->reader);
    frame_writer_free(&c->writer);
    calls_fail(c);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    vault_client_flush(arg);
}

rc_t vault_client_new(struct event_base *base, const struct vault_client_config *cfg,
                      struct vault_client **out)
{
    struct vault_client *c = calloc(1, sizeof *c);
    if (!c)
        return RC_NO_MEMORY;
    c->base = base;
    c->lane_ms[LANE_USUAL] = cfg && cfg->call_ms ? cfg->call_ms : PRESET_CALL_MS;
    c->lane_ms[LANE_SLOW] = cfg && cfg->slow_ms ? cfg->slow_ms : PRESET_SLOW_MS;
    c->waiting_max = cfg && cfg->waiting_max ? cfg->waiting_max : PRESET_WAITING;
    c->fd = -1;
    c->free_slot = NO_SLOT;
    for (int lane = 0; lane < LANES; lane++)
        c->oldest[lane] = c->newest[lane] = NO_SLOT;
    frame_reader_init(&c->reader, vault_reply_fits, NULL);
    c->readable = event_new(base, -1, 0, on_readable, c);
    c->writable = event_new(base, -1, 0, on_writable, c);
    c->deadline = evtimer_new(base, on_deadline, c);
    c->turn = evtimer_new(base, on_turn, c);
    if (!c->readable || !c->writable || !c->deadline || !c->turn) {
        vault_client_free(c);
        return RC_NO_MEMORY;
    }
    *out = c;
    return RC_OK;
}

void vault_client_free(struct vault_client *c)
{
    if (!c)
        return;
    c->freeing = true;
    if (c->readable && c->writable && c->deadline)
        channel_close(c);
    for (int i = first_to_expire(c); i != NO_SLOT; i = first_to_expire(c))
        slot_finish(c, i, &(struct vault_reply){.rc = RC_UNAVAILABLE});
    if (c->readable)
        event_free(c->readable);
    if (c->writable)
        event_free(c->writable);
    if (c->deadline)
        event_free(c->deadline);
    if (c->turn)
        event_free(c->turn);
    free(c->slots);
    free(c);
}

void vault_client_set_channel(struct vault_client *c, int fd)
{
    channel_close(c);
    if (fd < 0)
        return;
    evutil_make_socket_nonblocking(fd);
    evutil_make_socket_closeonexec(fd);
    c->fd = fd;
    frame_reader_init(&c->reader, vault_reply_fits, NULL);
    event_assign(c->readable, c->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(c->writable, c->base, fd, EV_WRITE, on_writable, c);
    event_add(c->readable, NULL);
}

bool vault_client_connected(const struct vault_client *c)
{
    return c->fd >= 0;
}

rc_t vault_client_call(struct vault_client *c, const struct vault_call *call,
                       struct arena *reply_arena, vault_done_fn *done, void *arg)
{
    if (c->fd < 0 || c->freeing)
        return RC_UNAVAILABLE;
    if (frame_waiting(&c->writer) > QUEUE_BYTES_MAX)
        return RC_BUSY;
    enum lane lane = vault_op_is_slow(call->op) ? LANE_SLOW : LANE_USUAL;
    int i = slot_take(c, lane);
    if (i == NO_SLOT)
        return RC_BUSY;
    struct slot *s = &c->slots[i];
    s->done = done;
    s->arg = arg;
    s->arena = reply_arena;
    s->op = (uint16_t)call->op;
    s->deadline_us = clock_monotonic_us() + (int64_t)c->lane_ms[lane] * 1000;
    rc_t rc = vault_call_write(&c->writer, (uint64_t)s->generation << 32 | (uint32_t)i, call);
    if (rc != RC_OK) {
        slot_free(c, i);
        return rc;
    }
    timer_arm(c);
    if (!c->turn_set) {
        c->turn_set = true;
        event_active(c->turn, EV_TIMEOUT, 1);
    }
    return RC_OK;
}

void vault_client_flush(struct vault_client *c)
{
    c->turn_set = false;
    if (c->fd < 0 || frame_waiting(&c->writer) == 0)
        return;
    rc_t rc = frame_flush(&c->writer, c->fd);
    if (rc == RC_BUSY)
        event_add(c->writable, NULL);
    else if (rc != RC_OK)
        channel_close(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    vault_client_flush(arg);
}

static rc_t take_answer(struct vault_client *c, const struct frame *f)
{
    uint32_t i = (uint32_t)f->id, generation = (uint32_t)(f->id >> 32);
    if (i >= (uint32_t)c->slot_count)
        return RC_PROTOCOL;
    struct slot *s = &c->slots[i];
    if (!s->done || s->generation != generation)
        return RC_OK; /* it timed out meanwhile */
    if (s->op != f->code)
        return RC_PROTOCOL;
    struct vault_reply reply;
    TRY(vault_reply_read(f, &reply));
    slot_finish(c, (int)i, &reply);
    return RC_OK;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct vault_client *c = arg;
    size_t got;
    rc_t rc = frame_read(&c->reader, fd, &got);
    bool have = true;
    while (rc == RC_OK && have) {
        struct frame f;
        rc = frame_next(&c->reader, &f, &have);
        if (rc == RC_OK && have)
            rc = take_answer(c, &f);
        if (c->fd != fd)
            return; /* a callback replaced the channel */
    }
    if (rc != RC_OK)
        channel_close(c);
    else
        frame_reader_settle(&c->reader);
    timer_arm(c);
}
