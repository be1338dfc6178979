/*
 * The policies of clients that this worker has parsed, one for each client, as of a standing. No
 * decision rests on a standing alone: every commit compares it (db/unit.h). So a login costs no
 * look at the rules, and all sessions of a client share one set.
 */
#include "server/engine/request.h"

#include "server/policy/rules.h"

static struct policy_kept *slot_of(struct engine *e, const struct uid *client)
{
    return &e->policies[load_be32(client->raw) % POLICIES_KEPT]; /* of random bytes */
}

struct policy_set *policies_find(struct engine *e, const struct uid *client, int64_t standing)
{
    const struct policy_kept *k = slot_of(e, client);
    return k->set && k->standing == standing && uid_equal(&k->client, client) ? k->set : NULL;
}

void policies_keep(struct engine *e, const struct uid *client, int64_t standing,
                   struct policy_set *set)
{
    struct policy_kept *k = slot_of(e, client);
    policy_hold(set);
    policy_drop(k->set);
    *k = (struct policy_kept){*client, standing, set};
}

void policies_close(struct engine *e)
{
    for (size_t i = 0; i < POLICIES_KEPT; i++) {
        policy_drop(e->policies[i].set);
        e->policies[i].set = NULL;
    }
}
