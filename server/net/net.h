/*
 * The network side of a worker: accepts connections from the shared listening socket, speaks TLS,
 * cuts the stream into messages, hands them to the engine and sends the answers in order. One
 * thread, one libevent loop. Never looks into a message beyond its 8-byte header.
 */
#ifndef SERVER_NET_NET_H
#define SERVER_NET_NET_H

#include "server/engine/engine.h"
#include "server/net/limits.h"
#include "server/net/tls.h"

struct event_base;
struct net;
struct trace;

/* The engine as net sees it; net_engine_real() is the true one, tests have their own. */
struct net_engine {
    void *engine;
    struct session *(*session_new)(const char *issuer, const char *serial, const char *fingerprint,
                                   const char *address);
    rc_t (*session_add_name)(struct session *s, const char *kind, const char *value);
    void (*session_drop)(struct session *s);
    rc_t (*login)(void *engine, struct session *s, engine_login_fn *done, void *arg);
    struct engine_request *(*submit)(void *engine, struct session *s, struct buf *request,
                                     engine_answer_fn *done, void *arg);
    void (*abandon)(struct engine_request *rq);
};

struct net_engine net_engine_real(struct engine *engine);

/* All times in milliseconds, all sizes in bytes. */
struct net_settings {
    unsigned handshake_ms; /* TLS handshake, and then login; default 10 s */
    unsigned request_ms;   /* first byte of a request to its last; default 30 s */
    unsigned request_rate; /* least bytes a second of a request, after 2 s; default 1024; 0: none */
    unsigned idle_ms;      /* nothing under way; default 600 s */
    unsigned unread_ms;    /* an answer not taken by the peer; default 30 s */
    unsigned linger_ms;    /* wait for the peer's end after ours; default 2 s */
    unsigned drain_ms;     /* net_drain() to the last close; default 30 s */
    unsigned recheck_ms;   /* each open connection is checked again within; default 60 s */
    size_t request_bytes;  /* longest request; default 1 MiB */
    unsigned in_flight;    /* requests of one connection in the engine; default 16 */
    size_t high_water;     /* bytes under way for one connection before reading stops; 256 kB */
    unsigned accept_batch; /* connections accepted in one turn; default 1: the others get theirs */
    unsigned handshake_batch; /* handshake steps in one turn; default 4 */
    unsigned failures_logged; /* failed handshakes and frames logged in a second, then a count; 10 */
};

#define NET_SETTINGS_DEFAULT                                                                       \
    ((struct net_settings){.handshake_ms = 10000,                                                  \
                           .request_ms = 30000,                                                    \
                           .request_rate = 1024,                                                   \
                           .idle_ms = 600000,                                                      \
                           .unread_ms = 30000,                                                     \
                           .linger_ms = 2000,                                                      \
                           .drain_ms = 30000,                                                      \
                           .recheck_ms = 60000,                                                    \
                           .request_bytes = 1u << 20,                                              \
                           .in_flight = 16,                                                        \
                           .high_water = 256u * 1024,                                              \
                           .accept_batch = 1,                                                      \
                           .handshake_batch = 4,                                                   \
                           .failures_logged = 10})

/* Counters since start. */
struct net_stats {
    uint64_t accepted, legacy, refused_limit, refused_rate, handshakes, resumed, handshakes_failed;
    uint64_t logins_refused, requests, answers, bad_frames, deadlines, rechecks_failed;
    uint64_t accept_errors;
    unsigned open; /* connections now */
};

struct net_config {
    struct event_base *base;
    struct net_engine engine;
    struct limits *limits; /* borrowed; outlives net; NULL: no limits by identity and address */
    struct net_settings settings;
    struct trace *trace; /* who is told of connections (server/base/trace.h); borrowed; NULL: nobody */
};

rc_t net_new(const struct net_config *config, struct net **out);
/*
 * Closes all connections at once (requests are abandoned), then frees. Logins may still be under
 * way: call engine_close() next, before the loop runs again.
 */
void net_free(struct net **net);
/*
 * New rules and keys (holds a reference). Connections to come use them; open ones are checked
 * against them within recheck_ms and closed when they would no longer be let in.
 */
void net_set_tls(struct net *net, struct tls *tls);
/* New limits after a reload. */
void net_set_settings(struct net *net, const struct net_settings *settings);
enum { NET_LISTENERS = 32 }; /* listening sockets of one worker */
/*
 * Accepts from this listening socket too (non-blocking; taken, closed by net, also on failure); legacy:
 * with old cipher suites, and for clients that may use them. Needs net_set_tls() first. RC_TOO_MANY past
 * NET_LISTENERS.
 */
rc_t net_listen(struct net *net, int fd, bool legacy);
/*
 * Stops accepting, lets requests under way be answered, closes everything within drain_ms, then
 * calls done once (never from within).
 */
void net_drain(struct net *net, void (*done)(void *arg), void *arg);
void net_get_stats(const struct net *net, struct net_stats *out);

#endif
