/*
 * The vault's stub for its callers. Workers use the asynchronous form on their event loop: all
 * calls of a turn are queued and leave in one write (vault_client_flush), answers come back in any
 * order. The CLI and the tests use the blocking form. Holds no key: payload memory is wiped once
 * sent or read.
 */
#ifndef SERVER_VAULT_CLIENT_H
#define SERVER_VAULT_CLIENT_H

#include "server/vault/record.h"

struct event_base;
struct vault_client;

struct vault_client_config {
    uint32_t call_ms;     /* deadline of one call; 0: 5,000 */
    uint32_t slow_ms;     /* that of a call that may take far longer; 0: 300,000 */
    uint32_t waiting_max; /* calls in flight or queued; 0: 8,192. Beyond it RC_BUSY */
};

/* cfg is copied; NULL for the presets. No channel yet: calls give RC_UNAVAILABLE. */
rc_t vault_client_new(struct event_base *base, const struct vault_client_config *cfg,
                      struct vault_client **out);
/* Ends all calls with RC_UNAVAILABLE (their callbacks run), closes the channel, frees. */
void vault_client_free(struct vault_client *client);
/*
 * Takes over a new channel (a stream socket; made non-blocking here) after start or a restart of
 * the vault; -1 for none. Calls in flight on the old one end with RC_UNAVAILABLE from the loop, not
 * from in here. The channel's loss without a successor does the same.
 */
void vault_client_set_channel(struct vault_client *client, int fd);
bool vault_client_connected(const struct vault_client *client);

/*
 * One answer. reply and its views are good until the function returns, except views copied to the
 * reply arena of the call. rc RC_TIMEOUT: no answer in time (a late one is dropped). May make new
 * calls.
 */
typedef void vault_done_fn(void *arg, const struct vault_reply *reply);

/*
 * Queues a call. All that `call` views is copied before return (the caller wipes its own key
 * bytes). reply_arena: where the reply's views are copied; must live until `done` ran. NULL: no
 * copy is made, the views die when `done` returns. RC_OK: `done` runs exactly once, later, from the
 * loop. Any other result (RC_UNAVAILABLE, RC_BUSY, RC_TOO_LARGE, RC_NO_MEMORY): it never runs.
 */
rc_t vault_client_call(struct vault_client *client, const struct vault_call *call,
                       struct arena *reply_arena, vault_done_fn *done, void *arg);
/* Sends all that is queued in one write; call it once a loop turn. The stub sends the rest by
 * itself when the socket was full, and flushes on its own at the end of the turn if nobody did. */
void vault_client_flush(struct vault_client *client);

/* Blocking: one call, one answer, on a stream socket, within timeout_ms. Views go to the arena. */
rc_t vault_call_sync(int fd, uint32_t timeout_ms, const struct vault_call *call,
                     struct arena *arena, struct vault_reply *out);

#endif
