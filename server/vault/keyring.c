/* Opened keys of the event thread, in one sorted array; see keyring.h. */
#include "server/vault/keyring.h"

#include <stdlib.h>

static void entries_drop(struct keyring *r)
{
    for (size_t i = 0; i < r->count; i++)
        crypto_mac_free(r->entries[i].key.prk);
    r->count = 0;
}

void keyring_wipe(struct keyring *r)
{
    entries_drop(r);
    free(r->entries);
    crypto_mac_free(r->control);
    *r = (struct keyring){0};
}

rc_t keyring_set_control(struct keyring *r, struct crypto *c, struct bytes key)
{
    struct crypto_mac *fresh;
    TRY(crypto_mac_new(c, key, &fresh));
    crypto_mac_free(r->control);
    r->control = fresh;
    return RC_OK;
}

/* Index of the first entry that is not before (domain, epoch). */
static size_t place_of(const struct keyring *r, uint64_t domain, uint32_t epoch)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct domain_key *k = &r->entries[mid].key;
        if (k->domain < domain || (k->domain == domain && k->epoch < epoch))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_at(const struct keyring *r, size_t i, uint64_t domain, uint32_t epoch)
{
    return i < r->count && r->entries[i].key.domain == domain && r->entries[i].key.epoch == epoch;
}

static rc_t make_room(struct keyring *r)
{
    if (r->count == KEYRING_MAX)
        entries_drop(r);
    if (r->count < r->room)
        return RC_OK;
    size_t room = r->room ? r->room * 2 : 16;
    struct keyring_entry *more = reallocarray(r->entries, room, sizeof *more);
    if (!more)
        return RC_NO_MEMORY;
    r->entries = more;
    r->room = room;
    return RC_OK;
}

static void mark_active(struct keyring *r, uint64_t domain, uint32_t epoch)
{
    for (size_t i = place_of(r, domain, 0); i < r->count && r->entries[i].key.domain == domain; i++)
        r->entries[i].active = r->entries[i].key.epoch == epoch;
}

rc_t keyring_add(struct keyring *r, struct crypto *c, uint64_t domain, uint32_t epoch,
                 uint32_t ep_epoch, bool active, struct bytes key)
{
    size_t i = place_of(r, domain, epoch);
    if (!is_at(r, i, domain, epoch)) {
        struct keyring_entry e = {.key = {.domain = domain, .epoch = epoch, .ep_epoch = ep_epoch}};
        TRY(make_room(r));
        TRY(crypto_hkdf_extract(c, BYTES_NONE, key, &e.key.prk));
        i = place_of(r, domain, epoch);
        memmove(r->entries + i + 1, r->entries + i, (r->count - i) * sizeof e);
        r->entries[i] = e;
        r->count++;
    }
    if (active)
        mark_active(r, domain, epoch);
    return RC_OK;
}

const struct domain_key *keyring_find(const struct keyring *r, uint64_t domain, uint32_t epoch)
{
    size_t i = place_of(r, domain, epoch);
    return is_at(r, i, domain, epoch) ? &r->entries[i].key : NULL;
}

const struct domain_key *keyring_active(const struct keyring *r, uint64_t domain)
{
    for (size_t i = place_of(r, domain, 0); i < r->count && r->entries[i].key.domain == domain; i++)
        if (r->entries[i].active)
            return &r->entries[i].key;
    return NULL;
}
