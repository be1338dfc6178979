/*
 * What a worker tells the supervisor once a second, and `holdfast status` shows. Numbers only:
 * a worker talks to the network, so the supervisor takes no text from it.
 */
#ifndef SERVER_PROCESS_STATS_H
#define SERVER_PROCESS_STATS_H

#include "proto/base/bytes.h"
#include "proto/base/rc.h"

/* X(name, COUNT: grows over a worker's life | GAUGE: as it is now, what it is) */
#define STATS_TABLE(X)                                                                             \
    X(connections, GAUGE, "connections open")                                                      \
    X(in_flight, GAUGE, "requests inside the worker")                                              \
    X(db_state, GAUGE, "0 down, 1 ready, 2 unsafe settings, 3 schema not migrated")                \
    X(vault_state, GAUGE, "0 no channel, 1 sealed or not known, 2 unsealed")                       \
    X(accepted, COUNT, "connections accepted")                                                     \
    X(legacy, COUNT, "of those, by the listener for old cipher suites")                            \
    X(refused, COUNT, "connections refused by a limit")                                            \
    X(handshakes, COUNT, "TLS handshakes")                                                         \
    X(resumed, COUNT, "of those, resumed sessions")                                                \
    X(handshakes_failed, COUNT, "TLS handshakes that failed")                                      \
    X(logins_refused, COUNT, "clients that policy does not know or let in")                        \
    X(requests, COUNT, "requests taken")                                                           \
    X(answers, COUNT, "requests answered")                                                         \
    X(bad_frames, COUNT, "connections closed for a malformed frame")                               \
    X(deadlines, COUNT, "connections closed by a deadline")                                        \
    X(items, COUNT, "batch items")                                                                 \
    X(failed_items, COUNT, "batch items that failed")                                              \
    X(factor_checks, COUNT, "second factors looked at")                                            \
    X(busy, COUNT, "requests answered busy")                                                       \
    X(reruns, COUNT, "runs of requests that lost a race")                                          \
    X(lost_answers, COUNT, "requests that could not be answered")                                  \
    X(groups, COUNT, "group commits")                                                              \
    X(units, COUNT, "requests in them")                                                            \
    X(rows, COUNT, "audit rows written")                                                           \
    X(losers, COUNT, "requests that lost a race in a group")                                       \
    X(failed_units, COUNT, "requests that the database refused")                                   \
    X(bisected, COUNT, "groups taken apart after an error")                                        \
    X(commit_us, COUNT, "microseconds spent in group commits")                                     \
    X(unknown, COUNT, "commits whose outcome was unknown")                                         \
    X(unknown_done, COUNT, "of those, found to have happened")                                     \
    X(unknown_rerun, COUNT, "of those, found not to have happened and sent again")                 \
    X(unknown_unknown, COUNT, "of those, never found out: closed without an answer")               \
    X(reconnects, COUNT, "connections to the database after the first")                            \
    X(down_refused, COUNT, "requests refused while the database was away")                         \
    X(vault_channels, COUNT, "channels to the vault")                                              \
    X(unseals, COUNT, "times the vault said that it is open")                                      \
    X(tls_reloads, COUNT, "reloads of certificates and CRL")

struct stats {
#define STATS_FIELD(name, kind, text) uint64_t name;
    STATS_TABLE(STATS_FIELD)
#undef STATS_FIELD
};

enum { STATS_BYTES = sizeof(struct stats) };

/* Big-endian, in the order of the table. */
void stats_encode(const struct stats *s, uint8_t out[static STATS_BYTES]);
/* RC_PROTOCOL unless the length is exact. */
rc_t stats_decode(struct bytes in, struct stats *out);
/* Adds the counts, the gauges, or both, of s to the total. */
void stats_total(struct stats *total, const struct stats *s, bool counts, bool gauges);

#endif
