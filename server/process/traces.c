/*
 * Traces as the supervisor sees them: it makes a pair of sockets for each, gives one end to all workers and the other
 * to the administrator's connection, and so passes text that it never reads. A trace is written to the audit, by a
 * worker, before anything is told, and when it has ended. See supervisor.h and base/trace.h.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/trace.h"
#include "server/process/supervisor.h"

enum { WHO_MAX = 128 };

struct trace_line {
    struct supervisor *sup;
    struct trace_line *next;
    uint32_t id, note; /* note: the number of that which tells of its beginning */
    bool json, live; /* live: audited, the workers have it */
    int text;        /* the workers' end; ours is kept for workers to come */
    int reader;      /* the administrator's end, until it is passed */
    char who[WHO_MAX], whom[TRACE_WHOM_MAX];
    trace_begun_fn *begun; /* NULL once called */
    void *arg;
};

static unsigned count(const struct supervisor *s)
{
    unsigned n = 0;
    for (const struct trace_line *l = s->traces; l; l = l->next)
        n++;
    return n;
}

static void join(const struct trace_line *l, struct child *c)
{
    uint8_t body[5 + TRACE_WHOM_MAX];
    size_t whom = strlen(l->whom);
    store_be32(body, l->id);
    body[4] = l->json;
    memcpy(body + 5, l->whom, whom);
    (void)child_send(c, CONTROL_TRACE, bytes_of(body, 5 + whom), &l->text, 1);
}

void trace_lines_join(struct child *worker)
{
    for (const struct trace_line *l = worker->sup->traces; l; l = l->next)
        if (l->live)
            join(l, worker);
}

bool trace_line_noted(struct supervisor *s, uint32_t number, bool audited)
{
    struct trace_line *l = s->traces;
    while (l && (l->note != number || !l->begun))
        l = l->next;
    if (!l)
        return false; /* the note of an end, or nobody waits any more */
    trace_begun_fn *begun = l->begun;
    int reader = l->reader;
    l->begun = NULL;
    l->reader = -1;
    l->live = audited;
    for (unsigned i = 0; audited && i < s->worker_count; i++)
        if (child_takes_notes(&s->workers[i]))
            join(l, &s->workers[i]);
    log_info("trace.begin", " who=\"%s\" audited=%s", l->who, audited ? "yes" : "no");
    begun(l->arg, audited ? NULL : "the trace cannot be written to the audit now: is the database away?", reader);
    close(reader);
    return true;
}

/* "text client:web-7" */
static rc_t parse(struct trace_line *l, const char *command)
{
    l->json = strncmp(command, "json ", 5) == 0;
    if (!l->json && strncmp(command, "text ", 5) != 0)
        return RC_BAD_VALUE;
    int len = snprintf(l->whom, sizeof l->whom, "%s", command + 5);
    return len > 0 && len < (int)sizeof l->whom ? RC_OK : RC_BAD_VALUE;
}

static rc_t pair(struct trace_line *l)
{
    int ends[2], room = 4 * TRACE_BLOCK_MAX;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return RC_IO;
    l->text = ends[0];
    l->reader = ends[1];
    (void)shutdown(l->text, SHUT_RD);
    (void)setsockopt(l->text, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return RC_OK;
}

rc_t trace_line_open(struct supervisor *s, const char *command, const char *who, trace_begun_fn *begun, void *arg,
                     struct trace_line **out)
{
    if (count(s) >= TRACES_MAX)
        return RC_TOO_MANY;
    struct trace_line *l = calloc(1, sizeof *l);
    if (!l)
        return RC_NO_MEMORY;
    *l = (struct trace_line){.sup = s, .text = -1, .reader = -1, .begun = begun, .arg = arg};
    snprintf(l->who, sizeof l->who, "%s", who);
    l->id = ++s->trace_count;
    l->next = s->traces;
    s->traces = l;
    rc_t rc = parse(l, command);
    if (rc == RC_OK)
        rc = pair(l);
    if (rc == RC_OK)
        rc = note_send(s, "Admin Begin Trace", l->who, l->whom, &l->note);
    if (rc != RC_OK)
        trace_line_close(&l);
    *out = l;
    return rc;
}

void trace_line_close(struct trace_line **line)
{
    struct trace_line *l = *line;
    *line = NULL;
    if (!l)
        return;
    struct supervisor *s = l->sup;
    uint8_t id[4];
    store_be32(id, l->id);
    for (struct trace_line **at = &s->traces; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    for (unsigned i = 0; l->live && i < s->worker_count; i++)
        if (child_takes_notes(&s->workers[i]))
            (void)child_send(&s->workers[i], CONTROL_TRACE_END, bytes_of(id, sizeof id), NULL, 0);
    if (l->live) {
        rc_t rc = note_send(s, "Admin End Trace", l->who, l->whom, &l->note);
        log_info("trace.end", " who=\"%s\" noted=%s", l->who, rc_name(rc));
    }
    if (l->text >= 0)
        close(l->text);
    if (l->reader >= 0)
        close(l->reader);
    free(l);
}
