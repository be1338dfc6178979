/* Who watches, and what they are sent; see trace.h. */
#include "config.h"

#include "server/base/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/kmip/print.h"
#include "server/base/clock.h"

/* ---- who watches ---- */

static bool whom_known(struct bytes whom)
{
    if (whom.len >= TRACE_WHOM_MAX || (whom.len && memchr(whom.data, 0, whom.len)))
        return false;
    return bytes_equal(whom, bytes_str("all")) || (whom.len > 7 && memcmp(whom.data, "client:", 7) == 0) ||
           (whom.len > 8 && memcmp(whom.data, "address:", 8) == 0);
}

rc_t trace_begin(struct trace *t, uint32_t id, bool json, struct bytes whom, int fd)
{
    rc_t rc = !whom_known(whom) ? RC_BAD_VALUE : t->count == TRACES_MAX ? RC_TOO_MANY : RC_OK;
    if (rc != RC_OK) {
        close(fd);
        return rc;
    }
    struct trace_reader *r = &t->readers[t->count++];
    *r = (struct trace_reader){.id = id, .fd = fd, .json = json};
    memcpy(r->whom, whom.data, whom.len);
    return RC_OK;
}

static void remove_reader(struct trace *t, unsigned i)
{
    close(t->readers[i].fd);
    t->readers[i] = t->readers[--t->count];
}

void trace_end(struct trace *t, uint32_t id)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->readers[i].id == id) {
            remove_reader(t, i);
            return;
        }
}

void trace_end_all(struct trace *t)
{
    while (t->count)
        remove_reader(t, t->count - 1);
}

/* ---- whom ---- */

/* "192.0.2.1" of "192.0.2.1:3456"; of IPv6 with its brackets or without. */
static bool address_fits(const char *want, const char *address)
{
    const char *end = address ? strrchr(address, ':') : NULL;
    if (!end)
        return false;
    if (*address == '[' && *want != '[') {
        address++;
        end--;
    }
    size_t len = (size_t)(end - address);
    return strlen(want) == len && memcmp(want, address, len) == 0;
}

/* The last part of a URI is the name there: "urn:holdfast:client:web-7". */
static bool name_fits(const char *want, const char *name)
{
    size_t have = strlen(name), len = strlen(want);
    if (have < len || strcmp(name + have - len, want) != 0)
        return false;
    return have == len || name[have - len - 1] == ':' || name[have - len - 1] == '/';
}

static bool client_fits(const char *want, const struct trace_peer *peer)
{
    bool fits = peer->client && strcmp(want, peer->client) == 0;
    for (size_t i = 0; i < peer->name_count && !fits; i++)
        fits = name_fits(want, peer->names[i]);
    return fits;
}

unsigned trace_match(const struct trace *t, const struct trace_peer *peer)
{
    unsigned readers = 0;
    for (unsigned i = 0; i < t->count; i++) {
        const char *whom = t->readers[i].whom;
        bool fits = whom[0] == 'c'   ? client_fits(whom + sizeof "client:" - 1, peer)
                    : whom[1] == 'd' ? address_fits(whom + sizeof "address:" - 1, peer->address)
                                     : true;
        readers |= (unsigned)fits << i;
    }
    return readers;
}

/* ---- telling ---- */

/* RC_BUSY: lost. RC_IO: the reader is gone. */
static rc_t put(struct trace_reader *r, struct bytes text)
{
    ssize_t n;
    do
        n = send(r->fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return RC_OK;
    return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? RC_IO : RC_BUSY;
}

static rc_t tell_lost(struct trace_reader *r)
{
    char text[120];
    int len =
        snprintf(text, sizeof text,
                 r->json ? TRACE_LOST_JSON "%" PRIu64 "}\n"
                         : TRACE_LOST_TEXT "%" PRIu64 " blocks were lost: they came faster than they were read\n\n",
                 r->lost);
    TRY(put(r, bytes_of(text, (size_t)len)));
    r->lost = 0;
    return RC_OK;
}

/* The budget is looked at before anything is made: a flood costs no formatting. */
static bool may_spend(struct trace_reader *r)
{
    int64_t second = clock_monotonic_us() / 1000000;
    if (second != r->second) {
        r->second = second;
        r->spent = 0;
    }
    return r->spent++ < TRACE_PER_SECOND;
}

static rc_t give(struct trace_reader *r, struct bytes text)
{
    rc_t rc = r->lost ? tell_lost(r) : RC_OK;
    if (rc == RC_OK)
        rc = put(r, text);
    if (rc == RC_BUSY)
        r->lost++;
    return rc;
}

void trace_tell(struct trace *t, unsigned readers, trace_make_fn *make, void *arg)
{
    AUTO_BUF words = BUF_EMPTY, json = BUF_EMPTY;
    for (unsigned i = t->count; i-- > 0;) { /* from the end: who is gone gives its place to the last */
        struct trace_reader *r = &t->readers[i];
        struct buf *text = r->json ? &json : &words;
        if (!(readers >> i & 1))
            continue;
        bool made = may_spend(r) && (text->len || make(arg, r->json, text) == RC_OK) && text->len <= TRACE_BLOCK_MAX;
        if (!made)
            r->lost++;
        else if (give(r, buf_view(text)) == RC_IO)
            remove_reader(t, i);
    }
}

void trace_tick(struct trace *t)
{
    for (unsigned i = t->count; i-- > 0;)
        if (t->readers[i].lost && tell_lost(&t->readers[i]) == RC_IO)
            remove_reader(t, i);
}

/* ---- the head of a block ---- */

static rc_t add_time(struct buf *out)
{
    int64_t now = clock_wall_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        return RC_INTERNAL;
    return buf_add_fmt(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                       tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now % 1000000));
}

rc_t trace_head(bool json, const char *what, const struct trace_peer *peer, struct buf *out)
{
    const char *name = peer->client ? peer->client : peer->name_count ? peer->names[0] : "unknown";
    if (json)
        TRY(buf_add_str(out, "{\"time\":\""));
    TRY(add_time(out));
    TRY(buf_add_str(out, json ? (peer->client ? "\",\"client\":" : "\",\"name\":") : " "));
    TRY(kmip_print_quoted(bytes_str(name), KMIP_PRINT_TEXT_MAX, out));
    if (!json)
        return buf_add_fmt(out, " %s %s: ", peer->address ? peer->address : "-", what);
    TRY(buf_add_str(out, ",\"address\":"));
    TRY(kmip_print_quoted(bytes_str(peer->address), SIZE_MAX, out));
    return buf_add_fmt(out, ",\"event\":\"%s\"", what);
}
