/*
 * One connection, and what connections share in a worker. Inside of server/net only.
 *
 * conn_state.c owns the state (a table, one door: conn_on), conn_io.c moves bytes, conn.c makes and
 * ends connections and keeps their clocks, net.c has the listener and the queues of one turn.
 */
#ifndef SERVER_NET_CONN_H
#define SERVER_NET_CONN_H

#include <netinet/in.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "certs/identity.h"
#include "proto/base/buf.h"
#include "server/base/trace.h"
#include "server/net/net.h"

enum {
    SCRATCH_BYTES = 16384,   /* one TLS record */
    TURN_BYTES = 256 * 1024, /* read or written for one connection before the others have a turn */
    LINGER_BYTES = 1 << 20,  /* thrown away after our end before the peer is cut off */
    RATE_GRACE_US = 2000000, /* a slow request is left alone that long */
    ADDRESS_TEXT = INET6_ADDRSTRLEN + 8,
};

enum conn_state {
    CONN_HANDSHAKE, /* TLS under way */
    CONN_LOGIN,     /* waits for the engine to say who it is; nothing is read */
    CONN_OPEN,      /* serves */
    CONN_HALF,      /* the peer has ended its side; what it sent is answered */
    CONN_DRAINING,  /* we are leaving; what has begun to arrive is answered */
    CONN_FINISHING, /* answers under way leave, nothing new is taken */
    CONN_LINGER,    /* our end is sent; waits shortly for the peer's */
    CONN_CLOSED,    /* in the graveyard until the turn ends */
    CONN_STATES
};

enum conn_event {
    ON_TLS_READY,
    ON_LOGIN,
    ON_REFUSED,     /* not known, not welcome any more, or one too many */
    ON_PEER_DONE,   /* close_notify */
    ON_BAD_FRAME,   /* nothing sensible can follow */
    ON_LAST_ANSWER, /* the engine wants the connection closed after this one */
    ON_DRAIN,
    ON_SETTLED, /* nothing is left to do or to send */
    ON_ENDED,   /* the peer has seen our end */
    ON_DEADLINE,
    ON_FAILED, /* socket or TLS broken */
    CONN_EVENTS
};

/* One request in the engine, or its answer that waits for its turn. */
struct flight {
    TAILQ_ENTRY(flight) link;
    struct conn *conn;
    struct engine_request *request; /* NULL once answered */
    size_t bytes;                   /* of the request, then of the answer */
    struct buf answer;
    bool done, close;
};
TAILQ_HEAD(flight_list, flight);

/* One engine_login() under way; outlives its connection, as a login cannot be called back. */
struct login {
    LIST_ENTRY(login) link;
    struct net *net;
    struct conn *conn;       /* NULL: the connection is gone */
    struct session *session; /* held here when the connection is gone */
};
LIST_HEAD(login_list, login);

struct conn {
    TAILQ_ENTRY(conn) link, ready_link, shake_link, warm_link;
    struct net *net;
    enum conn_state state;
    int fd;
    bool legacy;                             /* came in by the listener for old cipher suites */
    bool broken;                             /* TLS or socket failed: no close_notify any more */
    bool ready, shaking, warm;               /* in the queue of that name */
    bool read_on, write_on;                  /* events added */
    bool read_wants_write, write_wants_read; /* TLS 1.3 key updates cross the directions */
    bool unread;                             /* reading stopped with bytes left inside OpenSSL */
    bool read_again;                         /* bytes wait inside OpenSSL: no event will tell */
    bool counted, counted_identity;          /* in the limits */
    SSL *ssl;
    struct event on_read, on_write, on_timer;
    int64_t timer_at; /* when on_timer fires; 0: not added. All times: clock_monotonic_us() */

    uint8_t address_key[8]; /* IPv4 address, or /64 of an IPv6 address */
    size_t address_len;
    char address[ADDRESS_TEXT];
    uint8_t identity_key[32];
    int64_t not_before, not_after; /* of the peer's certificate, seconds since 1970 */
    struct session *session;
    struct login *login;

    struct buf in; /* the beginning of a request, or requests that wait; no memory when idle */
    int64_t frame_began; /* when the first byte of the unfinished request came */
    bool frame_open;     /* `in` ends in an unfinished request */
    struct flight_list flights;
    unsigned flight_count;
    size_t flight_bytes; /* requests in the engine and answers that wait for their turn */
    struct buf out;      /* answers under way; no memory when idle */
    size_t sent;         /* of out */
    size_t stall_mark;   /* offset in out that must have left by stall_until */
    int64_t stall_until;
    int64_t phase_until; /* end of handshake, login or linger */
    int64_t quiet_since; /* last time anything happened */
    size_t lingered;
};
TAILQ_HEAD(conn_list, conn);

struct net {
    struct event_base *base;
    struct net_engine engine;
    struct limits *limits;
    struct net_settings set;
    struct net_stats stats;
    struct trace *trace;
    struct tls *tls;

    struct {
        int fd;
        bool legacy; /* old cipher suites */
        struct event on_accept;
    } listeners[NET_LISTENERS];
    unsigned listener_count;
    struct event accept_timer;
    bool accept_on;
    unsigned accept_wait_ms; /* back-off after an error of accept */

    struct conn_list conns;   /* open ones; the recheck walks round */
    struct conn_list ready;   /* have answers to send: on_ready, in the same turn */
    struct conn_list shaking; /* have a handshake step to do: on_shake, a few in each turn */
    struct conn_list warm;    /* keep their TLS read buffers until on_cool finds them quiet */
    unsigned warm_count;
    struct conn_list dead;    /* freed by on_reap when no caller can hold them */
    struct login_list logins;
    struct event on_ready, on_shake, on_cool, on_reap, on_recheck, on_drained, on_drain_end;
    bool draining;
    void (*drain_done)(void *arg);
    void *drain_arg;

    int64_t failures_from; /* start of this second of the log of failures */
    unsigned failures, failures_silent;
    uint8_t scratch[SCRATCH_BYTES];
};

/* ---- conn_state.c ---- */
/* The one door to conn->state. The connection may be closed (CONN_CLOSED) when it returns. */
void conn_on(struct conn *c, enum conn_event event);
const char *conn_state_name(enum conn_state state);

/* ---- conn.c ---- */
/* Takes an accepted socket (closed on failure); legacy: for old cipher suites. */
void conn_new(struct net *net, int fd, const struct sockaddr_storage *peer, bool legacy);
/* Actions of the state table. */
void conn_begin_login(struct conn *c);
void conn_begin_open(struct conn *c);
void conn_begin_drain(struct conn *c);
void conn_begin_linger(struct conn *c);
void conn_close(struct conn *c);
/* Asks the engine again whether the peer may stay. */
void conn_relogin(struct conn *c);
/* Sees to it that the timer fires no later than the nearest deadline. */
void conn_clock(struct conn *c);
/* Adds or removes the read event according to what may be read now. */
void conn_want(struct conn *c);
void conn_free(struct conn *c);

/* ---- conn_io.c ---- */
/* One step of the TLS handshake. */
void conn_shake(struct conn *c);
void conn_read(struct conn *c);
/* Collects the answers whose turn has come and sends what the socket takes. */
void conn_flush(struct conn *c);
/* Sends close_notify and throws away what still comes. */
void conn_linger(struct conn *c);
/* Whether another request may be taken: state, requests and bytes under way. */
bool conn_may_take(const struct conn *c);
bool conn_may_read(const struct conn *c);

/* ---- trace.c ---- */
/* Tells those who watch this peer what became of its connection: `what` in two words, `why` in a sentence or NULL. */
void conn_trace(const struct conn *c, const char *what, const char *why);
static inline void conn_tell(const struct conn *c, const char *what, const char *why)
{
    if (trace_on(c->net->trace))
        conn_trace(c, what, why);
}

/* ---- net.c ---- */
void net_ready(struct net *net, struct conn *c);
void net_shake(struct net *net, struct conn *c);
/* It was read from: it may keep its read buffer for a while. */
void net_warm(struct net *net, struct conn *c);
void net_bury(struct net *net, struct conn *c);
/* A failed handshake: counted, and logged while there are not too many. */
void net_log_failure(struct net *net, const struct conn *c, const char *reason);
/* The same for the head of a request that none can have. */
void net_log_frame(struct net *net, const struct conn *c, rc_t rc);

#endif
