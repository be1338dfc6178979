/*
 * What administrators do at the control socket, written to the audit by a worker, in its own stream and by the same way
 * as all that clients do. See supervisor.h.
 */
#include "config.h"

#include <stdio.h>

#include "server/process/supervisor.h"

enum { NOTE_BYTES = 1024 };

bool child_takes_notes(const struct child *c)
{
    return c->listens && c->control >= 0 && c->state != CHILD_DRAINING;
}

rc_t note_send(struct supervisor *s, const char *act, const char *who, const char *detail, uint32_t *number_out)
{
    char body[NOTE_BYTES];
    const size_t head = 4;
    int len = snprintf(body + head, sizeof body - head, "%s%c%s%c%s", act, 0, who, 0, detail);
    if (len < 0 || (size_t)len >= sizeof body - head)
        return RC_TOO_LARGE;
    if (++s->note_number == 0)
        s->note_number = 1;
    store_be32((uint8_t *)body, s->note_number);
    *number_out = s->note_number;
    for (unsigned i = 0; i < s->worker_count; i++) {
        struct child *c = &s->workers[i];
        if (child_takes_notes(c) && child_send(c, CONTROL_NOTE, bytes_of(body, head + (size_t)len), NULL, 0) == RC_OK)
            return RC_OK;
    }
    return RC_UNAVAILABLE;
}

void note_written(struct supervisor *s, uint32_t number, bool audited)
{
    if (!trace_line_noted(s, number, audited))
        control_socket_noted(s, number, audited);
}
