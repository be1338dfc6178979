/*
 * Counts that hold for the whole node, shared by all workers: connections in all, by client
 * identity and by address, the rate of handshakes by address and that of requests by client. They
 * live in one memory file that the supervisor makes and passes to each worker.
 *
 * Each worker writes its own section only and reads the others', so nothing is locked and a worker
 * killed at any instant leaves no torn state: the supervisor clears its section. Only the rate
 * words are written by all, each by compare-and-swap. Keys are keyed hashes: no names lie in shared
 * memory, and nobody can choose names that collide.
 */
#ifndef SERVER_NET_LIMITS_H
#define SERVER_NET_LIMITS_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum { LIMITS_WORKERS = 64 }; /* sections: most workers of one node */

struct limits;

/* What may be had at most; 0 means no limit. */
struct limits_settings {
    unsigned worker_connections;   /* default 4096 */
    unsigned node_connections;     /* default 20000 */
    unsigned identity_connections; /* default 256 */
    unsigned address_connections;  /* default 1024 */
    unsigned handshakes_per_s;     /* by address, default 50 */
    unsigned handshake_burst;      /* default 200 */
    unsigned request_wait_ms;      /* longest that a request is held back, default 10000 */
};

#define LIMITS_DEFAULT ((struct limits_settings){4096, 20000, 256, 1024, 50, 200, 10000})

/* Supervisor: a new table in a memory file (close-on-exec, sealed size). The caller owns *fd_out.
 */
rc_t limits_make(int *fd_out);
/*
 * Maps the table. worker: 0 to LIMITS_WORKERS - 1, the section to write; the supervisor, which only
 * clears, may pass 0. The descriptor stays the caller's. RC_BAD_LENGTH when it is not such a table.
 */
rc_t limits_map(int fd, unsigned worker, struct limits **out);
void limits_unmap(struct limits **limits);
/* Zeroes what a dead worker counted. Only while no process uses that section. */
void limits_clear_worker(struct limits *limits, unsigned worker);
void limits_set(struct limits *limits, const struct limits_settings *settings);

enum limits_kind { LIMITS_IDENTITY, LIMITS_ADDRESS, LIMITS_KINDS };

/* One counted connection of this worker and of the node. RC_BUSY at the limit: nothing is counted.
 */
rc_t limits_connection_add(struct limits *limits);
void limits_connection_drop(struct limits *limits);
/* One connection of this identity or address, over all workers. RC_BUSY at the limit. */
rc_t limits_add(struct limits *limits, enum limits_kind kind, struct bytes key);
void limits_drop(struct limits *limits, enum limits_kind kind, struct bytes key);
/* One handshake of this address at time now_us (clock_monotonic_us). RC_BUSY when it comes too
 * fast. */
rc_t limits_handshake(struct limits *limits, struct bytes address, int64_t now_us);

/*
 * One request, at time now_us, of a client that may send per_second (at least 1) of them, evenly: when it may run, in
 * microseconds from now on. -1: only later than request_wait_ms from now on; it has no place then.
 */
int64_t limits_request(struct limits *limits, struct bytes client, int64_t per_second, int64_t now_us);

/* Connections counted over all workers, for status. */
uint64_t limits_node_connections(const struct limits *limits);

#endif
