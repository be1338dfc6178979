/*
 * Acts of administrators in a worker: written down in the audit, in this worker's own stream, as the supervisor says.
 * See worker_private.h and notes.c.
 */
#include "config.h"

#include <stdlib.h>

#include "server/base/clock.h"
#include "server/process/worker_private.h"

/* One row for the audit, and what it says. */
struct note {
    struct db_unit unit;
    struct audit_event event;
    uint32_t number;
    char text[1024]; /* the act, a NUL, who, a NUL, details */
};

static void on_noted(struct db_unit *unit, enum db_outcome outcome, rc_t rc)
{
    struct note *n = unit->arg;
    uint8_t body[5];
    store_be32(body, n->number);
    body[4] = outcome == DB_DONE;
    if (outcome != DB_DONE)
        log_warn("note.failed", " act=\"%s\" result=%s", n->text, rc_name(rc));
    (void)control_send(CONTROL_FD, BY_WORKER, CONTROL_NOTED, bytes_of(body, sizeof body), NULL, 0);
    free(n);
}

void worker_on_note(struct worker *w, struct control_message *m)
{
    struct note *n = calloc(1, sizeof *n);
    if (!n || m->len - 4 >= sizeof n->text - 2) {
        free(n);
        return; /* the supervisor waits no longer than it has to */
    }
    n->number = load_be32(m->body);
    memcpy(n->text, m->body + 4, m->len - 4); /* zeros follow it: all three texts end */
    const char *who = n->text + strlen(n->text) + 1, *detail = who + strlen(who) + 1;
    n->event = (struct audit_event){
        .time_us = clock_wall_us(),
        .client_name = bytes_str(who),
        .position = -1,
        .operation = bytes_str(n->text),
        .result = bytes_str("Success"),
        .duration_us = -1,
        .detail = bytes_str(detail),
    };
    n->unit = (struct db_unit){.event_count = 1, .events = &n->event, .done = on_noted, .arg = n};
    db_commit(w->db, &n->unit);
}
