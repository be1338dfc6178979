/*
 * How fast a client may ask. A request that comes too early is not refused but held back: it keeps
 * its place in its connection's limit meanwhile, so that no more is read from there, and it costs
 * the others nothing.
 */
#include "server/engine/request.h"

#include <event2/event.h>

#include "server/policy/bounds.h"
#include "server/policy/rules.h"

/* Of the queue's places, a share that may be held back at once. */
enum { HELD_SHARE = 4 };

static void stop_waiting(struct engine_request *rq)
{
    if (rq->waits)
        rq->engine->held--;
    rq->waits = false;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct engine_request *rq = arg;
    (void)fd, (void)what;
    stop_waiting(rq);
    if (rq->gone) /* nobody waits for it, and nothing of it was begun */
        request_end(rq, NULL, true);
    else
        request_run(rq);
}

/* False: there is no memory for it. */
static bool hold_back(struct engine_request *rq, int64_t wait_us)
{
    const struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    rq->held = evtimer_new(rq->engine->base, on_time, rq);
    if (!rq->held || evtimer_add(rq->held, &wait) != 0)
        return false;
    rq->waits = true;
    rq->engine->held++;
    return true;
}

void pace_run(struct engine_request *rq)
{
    struct engine *e = rq->engine;
    int64_t per_second = bounds_requests_per_second(rq->session->policy);
    if (!e->pace || rq->paced || rq->refusal != RC_OK || per_second == POLICY_UNSET) {
        request_run(rq);
        return;
    }
    rq->paced = true;
    /* Who keeps its rate is served whatever others have waiting. */
    int64_t wait_us = e->pace(e->pace_arg, &rq->session->client, per_second);
    if (wait_us > 0 && e->held < e->limits.queue / HELD_SHARE && hold_back(rq, wait_us))
        return;
    if (wait_us != 0) {
        rq->refusal = RC_BUSY;
        e->stats.busy++;
    }
    request_run(rq);
}

void pace_end(struct engine_request *rq)
{
    stop_waiting(rq);
    if (rq->held)
        event_free(rq->held);
    rq->held = NULL;
}
