/*
 * Traces in a worker: takes up and ends what the supervisor says. See worker_private.h and base/trace.h.
 */
#include "config.h"

#include "server/process/worker_private.h"

void worker_on_trace(struct worker *w, struct control_message *m)
{
    struct bytes whom = bytes_of(m->body + 5, m->len - 5);
    rc_t rc = trace_begin(&w->trace, load_be32(m->body), m->body[4] == 1, whom, control_take(m, 0));
    log_info("trace.begin", " result=%s traces=%u", rc_name(rc), w->trace.count);
}

void worker_on_trace_end(struct worker *w, struct control_message *m)
{
    trace_end(&w->trace, load_be32(m->body));
    log_info("trace.end", " traces=%u", w->trace.count);
}
