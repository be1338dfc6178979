/*
 * The keys that the event thread uses: the control key and the domain keys opened so far, each as a
 * keyed context ready for use. Filled from what the TPM thread opens, wiped whole when the vault
 * seals. One thread.
 */
#ifndef SERVER_VAULT_KEYRING_H
#define SERVER_VAULT_KEYRING_H

#include "server/vault/envelope.h"

enum { KEYRING_MAX = 1024 }; /* domain keys; beyond it the ring starts anew from the TPM thread */

struct keyring_entry {
    struct domain_key key;
    bool active; /* the one that new objects of the domain are sealed under */
};

struct keyring {
    struct crypto_mac *control;    /* NULL: sealed */
    struct keyring_entry *entries; /* sorted by domain, then epoch */
    size_t count, room;
};

void keyring_wipe(struct keyring *r);
/* Sets the key of control records; replaces an earlier one. */
rc_t keyring_set_control(struct keyring *r, struct crypto *c, struct bytes key);
/* Adds a domain key, or sets `active` of one already there (of the others of its domain it is
 * cleared). */
rc_t keyring_add(struct keyring *r, struct crypto *c, uint64_t domain, uint32_t epoch,
                 uint32_t ep_epoch, bool active, struct bytes key);
/* NULL: not opened yet. */
const struct domain_key *keyring_find(const struct keyring *r, uint64_t domain, uint32_t epoch);
const struct domain_key *keyring_active(const struct keyring *r, uint64_t domain);

#endif
