/*
 * The other end of the control socket: one command in, one JSON text out. For the holdfast CLI.
 */
#ifndef SERVER_PROCESS_STATUS_CLIENT_H
#define SERVER_PROCESS_STATUS_CLIENT_H

#include "proto/base/buf.h"
#include "proto/base/rc.h"

/*
 * Sends a command ("status", "reload", "domains": look now for domains that wait for their key,
 * "drain", "stop", "sign-stub HEX": have the node sign an audit stub) to the control socket at
 * `path` and reads the answer, a JSON object. RC_UNAVAILABLE: no server listens there; RC_DENIED:
 * not allowed to connect; RC_TIMEOUT: no answer within wait_ms; RC_IO: anything else.
 *
 * status: { "version", "pid", "uptime_s", "state": "starting|serving|draining", "port",
 *   "workers": [ { "number", "pid", "state", "restarts", "uptime_s", and all of STATS_TABLE } ],
 *   "vault": { "pid", "state", "restarts", "uptime_s", "report": object of the vault or null },
 *   "database": { "state": "up|connecting|down|unsafe", "groups", "rows", "losers", "unknown" ...
 * }, "totals": sums of STATS_TABLE over the lives of all workers } others: { "ok": true } or {
 * "ok": false, "error": "sentence" }
 */
rc_t status_ask(const char *path, const char *command, int wait_ms, struct buf *json);
/* Connects to the control socket at `path`; *fd_out is the caller's. RC_UNAVAILABLE, RC_DENIED, RC_IO as above;
 * RC_CONFIG: the path is too long. */
rc_t status_reach(const char *path, int *fd_out);

#endif
