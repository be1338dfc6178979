/*
 * Traces of what clients do, as a worker holds them: who is watched, and the socket that takes the text. Nothing is
 * formatted, and a branch is all it costs, while nobody watches. Never waits: what a slow reader does not take, or is
 * more than a worker may tell in a second, is lost, and the reader is told how much.
 *
 * The socket is one end of a SOCK_SEQPACKET pair that all workers share, so each packet is a whole block of text; the
 * reader has the other end, and the supervisor is not in between. Text never holds secrets: see proto/kmip/print.h.
 */
#ifndef SERVER_BASE_TRACE_H
#define SERVER_BASE_TRACE_H

#include "proto/base/buf.h"

enum {
    TRACES_MAX = 4,          /* at a time, on a node */
    TRACE_WHOM_MAX = 256,    /* longest "client:NAME", with its NUL */
    TRACE_BLOCK_MAX = 32768, /* longest packet, bytes */
    TRACE_PER_SECOND = 500,  /* blocks that one worker tells each reader in a second */
    TRACE_NAMES_MAX = 16,    /* names of one peer */
};

/* Packets that tell what was lost begin so; they are no blocks. */
#define TRACE_LOST_TEXT "-- "
#define TRACE_LOST_JSON "{\"lost\":"

struct trace_reader {
    uint32_t id; /* the supervisor's number of the trace */
    int fd;      /* owned */
    bool json;
    char whom[TRACE_WHOM_MAX]; /* "client:NAME", "address:ADDRESS" or "all" */
    uint64_t lost;             /* blocks since the last that was taken */
    int64_t second;            /* the one that `spent` counts, monotonic */
    unsigned spent;
};

/* All zero: nobody watches. */
struct trace {
    unsigned count;
    struct trace_reader readers[TRACES_MAX];
};

/* The peer that something is about: any part may be missing. Borrowed. */
struct trace_peer {
    const char *client;  /* name of the client, once it is known */
    const char *address; /* "192.0.2.1:3456" */
    size_t name_count;   /* of its certificate */
    const char *names[TRACE_NAMES_MAX];
};

static inline bool trace_on(const struct trace *t)
{
    return t && t->count;
}

/* Begins one; takes the descriptor, also on failure. RC_TOO_MANY past TRACES_MAX; RC_BAD_VALUE: `whom` is none. */
rc_t trace_begin(struct trace *t, uint32_t id, bool json, struct bytes whom, int fd);
/* Ends it; what is not there has ended already. */
void trace_end(struct trace *t, uint32_t id);
void trace_end_all(struct trace *t);
/* The readers that watch this peer, as bits. A name of its certificate fits as it stands, or by its last part. */
unsigned trace_match(const struct trace *t, const struct trace_peer *peer);
/* Makes the text of a block, in one of the two forms; at most TRACE_BLOCK_MAX bytes are sent of it. */
typedef rc_t trace_make_fn(void *arg, bool json, struct buf *out);
/* Tells these readers, for each form they want making the text once. */
void trace_tell(struct trace *t, unsigned readers, trace_make_fn *make, void *arg);
/* Once a second: tells what was lost where nothing else came since. */
void trace_tick(struct trace *t);
/* Begins a block: "TIME "NAME" ADDRESS what: ", and the caller ends it with an empty line. In JSON the object is left
 * open: ,"key":value and }, a newline behind it, follow. */
rc_t trace_head(bool json, const char *what, const struct trace_peer *peer, struct buf *out);

#endif
