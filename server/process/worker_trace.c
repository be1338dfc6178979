/*
 * Traces in a worker: takes up and ends what the supervisor says, and writes down in the audit who watches whom, in
 * this worker's own stream and by the same way as all that clients do. See worker_private.h and base/trace.h.
 */
#include "config.h"

#include <stdlib.h>

#include "server/base/clock.h"
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

/* One row for the audit, and what it says. */
struct note {
    struct db_unit unit;
    struct audit_event event;
    uint32_t id;
    char text[1024]; /* who, a NUL, whom */
};

static void on_noted(struct db_unit *unit, enum db_outcome outcome, rc_t rc)
{
    struct note *n = unit->arg;
    uint8_t body[5];
    store_be32(body, n->id);
    body[4] = outcome == DB_DONE;
    if (outcome != DB_DONE)
        log_warn("trace.note", " result=%s", rc_name(rc));
    (void)control_send(CONTROL_FD, BY_WORKER, CONTROL_TRACE_NOTED, bytes_of(body, sizeof body), NULL, 0);
    free(n);
}

void worker_on_trace_note(struct worker *w, struct control_message *m)
{
    struct note *n = calloc(1, sizeof *n);
    if (!n || m->len - 5 >= sizeof n->text) {
        free(n);
        return; /* the supervisor waits no longer than it has to */
    }
    n->id = load_be32(m->body);
    memcpy(n->text, m->body + 5, m->len - 5);
    size_t who = strlen(n->text);
    n->event = (struct audit_event){
        .time_us = clock_wall_us(),
        .client_name = bytes_of(n->text, who),
        .position = -1,
        .operation = bytes_str(m->body[4] ? "Admin Begin Trace" : "Admin End Trace"),
        .result = bytes_str("Success"),
        .duration_us = -1,
        .detail = bytes_str(n->text + who + 1),
    };
    n->unit = (struct db_unit){.event_count = 1, .events = &n->event, .done = on_noted, .arg = n};
    db_commit(w->db, &n->unit);
}
