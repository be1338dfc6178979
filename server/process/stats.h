/*
 * What a worker tells the supervisor once a second, and `holdfast status` shows. Numbers only:
 * a worker talks to the network, so the supervisor takes no text from it.
 */
#ifndef SERVER_PROCESS_STATS_H
#define SERVER_PROCESS_STATS_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

/* X(name, what it is) */
#define STATS_TABLE(X)                                                                             \
    X(connections, "connections open now")                                                         \
    X(accepted, "connections accepted")                                                            \
    X(handshakes_failed, "TLS handshakes that failed")                                             \
    X(refused, "connections refused by a limit")                                                   \
    X(requests, "requests answered")                                                               \
    X(in_flight, "requests inside the worker now")                                                 \
    X(db_state, "0 down, 1 connecting, 2 up, 3 refused for unsafe settings")                       \
    X(db_connects, "connections made to the database")                                             \
    X(groups, "group commits")                                                                     \
    X(group_requests, "requests in those groups")                                                  \
    X(rows, "audit rows written")                                                                  \
    X(losers, "requests that lost a race and ran again")                                           \
    X(unknown, "commits whose outcome was unknown at first")                                       \
    X(unknown_done, "of those, found to have happened")                                            \
    X(unknown_lost, "of those, found not to have happened")                                        \
    X(bisected, "groups taken apart after an error")                                               \
    X(down_refused, "requests refused while the database was away")                                \
    X(vault_state, "0 no channel, 1 channel, 2 unsealed, 3 refused")                               \
    X(vault_channels, "channels to the vault had so far")                                          \
    X(certificates, "certificate reloads done")

struct stats {
#define STATS_FIELD(name, text) uint64_t name;
    STATS_TABLE(STATS_FIELD)
#undef STATS_FIELD
};

enum { STATS_BYTES = sizeof(struct stats) };

/* Big-endian, in the order of the table. */
void stats_encode(const struct stats *s, uint8_t out[static STATS_BYTES]);
/* RC_PROTOCOL unless the length is exact. */
rc_t stats_decode(struct bytes in, struct stats *out);

#endif
