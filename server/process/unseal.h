/*
 * A worker's duty towards the vault, which has no SQL: on each new channel it reads the rows of the
 * key hierarchy and brings them, until the vault says that it is open, and again every ten seconds.
 * Where a domain waits for its key it has the vault make one and stores it.
 */
#ifndef SERVER_PROCESS_UNSEAL_H
#define SERVER_PROCESS_UNSEAL_H

#include <event2/event.h>

#include "db/db.h"
#include "server/vault/client.h"

struct unseal;

/* Both are borrowed and outlive it. */
rc_t unseal_new(struct event_base *base, struct db *db, struct vault_client *vault,
                struct unseal **out);
void unseal_free(struct unseal **unseal);
/* A new channel is there: begin anew. */
void unseal_channel(struct unseal *unseal);
/* The database became ready: go on if something waits for it. */
void unseal_database(struct unseal *unseal);
/* Rows or domains changed: look at them now, not only at the next look. */
void unseal_look(struct unseal *unseal);
bool unseal_is_open(const struct unseal *unseal);
/* Times the vault said that it is open. */
uint64_t unseal_count(const struct unseal *unseal);

#endif
