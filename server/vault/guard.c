/* Wrong passwords by client; see guard.h. */
#include "server/vault/guard.h"

/* The client's slot; -1: it has none. */
static int find(const struct guard *g, const struct uid *client)
{
    for (int i = 0; i < GUARD_CLIENTS; i++)
        if (uid_equal(&g->slots[i].client, client))
            return i;
    return -1;
}

bool guard_lets_try(const struct guard *g, const struct uid *client, int64_t now_us)
{
    int i = find(g, client);
    return i < 0 || g->slots[i].free_at - now_us <= (int64_t)(g->most - 1) * g->step_us;
}

void guard_note_wrong(struct guard *g, const struct uid *client, int64_t now_us)
{
    int at = find(g, client);
    if (at < 0) {
        at = 0;
        for (int i = 1; i < GUARD_CLIENTS; i++)
            if (g->slots[i].free_at < g->slots[at].free_at)
                at = i;
        g->slots[at].client = *client;
        g->slots[at].free_at = 0;
    }
    int64_t from = g->slots[at].free_at > now_us ? g->slots[at].free_at : now_us;
    int64_t most = now_us + (int64_t)g->most * g->step_us; /* those under way at the limit count no further */
    g->slots[at].free_at = from + g->step_us < most ? from + g->step_us : most;
}
