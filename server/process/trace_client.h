/*
 * The other end of a trace: asks the control socket for one. For the holdfast CLI.
 */
#ifndef SERVER_PROCESS_TRACE_CLIENT_H
#define SERVER_PROCESS_TRACE_CLIENT_H

#include "proto/base/buf.h"
#include "proto/base/rc.h"

/*
 * Asks the server at the control socket `path` for a trace of `whom` ("client:NAME", "address:ADDRESS" or "all").
 * RC_OK: the text comes by *text, one packet a block (base/trace.h), until it ends with the server; the trace lasts
 * while *line is open. Both are the caller's to close. RC_BUSY: refused, and *why holds the server's answer, a JSON
 * object. RC_UNAVAILABLE, RC_DENIED, RC_TIMEOUT, RC_IO as status_ask().
 */
rc_t trace_ask(const char *path, bool json, const char *whom, int wait_ms, int *line, int *text, struct buf *why);

#endif
