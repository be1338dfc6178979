/*
 * How often a client may be wrong with its password before the vault looks at none of it any more: so guessing does
 * not load the vault, whichever worker and connection it comes by. One word for each client that was wrong of late, as
 * in the rates of server/net/limits.c; of GUARD_CLIENTS that are wrong at once the one that rests first is forgotten.
 */
#ifndef SERVER_VAULT_GUARD_H
#define SERVER_VAULT_GUARD_H

#include "server/base/object.h"

enum { GUARD_CLIENTS = 256 };

struct guard {
    uint32_t most;   /* wrong ones in a row */
    int64_t step_us; /* after this one more is looked at */
    struct {
        struct uid client;
        int64_t free_at; /* when it has all its tries again */
    } slots[GUARD_CLIENTS];
};

/* Whether this client may try. now_us: clock_monotonic_us(). */
bool guard_lets_try(const struct guard *g, const struct uid *client, int64_t now_us);
/* It was wrong. */
void guard_note_wrong(struct guard *g, const struct uid *client, int64_t now_us);

#endif
