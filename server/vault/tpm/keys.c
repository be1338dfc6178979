/*
 * The open vault as a service: cached domain keys, loss and return of the TPM. See keys.h.
 */
#include "server/vault/tpm/keys.h"

#include <stdlib.h>

#include "server/base/clock.h"
#include "server/vault/tpm/counter.h"
#include "server/vault/tpm/derive.h"
#include "server/vault/tpm/keys_state.h"
#include "server/vault/tpm/make.h"
#include "server/vault/tpm/rows.h"

enum { ROWS_ARENA_MAX = 16 << 20, RETRY_US = 1000000 };

/* ---- the cache ---- */

static void forget_dks(struct vault_keys *k)
{
    for (size_t i = 0; i < k->cached_count; i++)
        secret_free(&k->cache[i].dk);
    k->cached_count = 0;
}

/* A vault that says sealed holds no key: neither what it served nor what other keys come from. */
static void forget_keys(struct vault_keys *k)
{
    forget_dks(k);
    secret_free(&k->cs);
    secret_free(&k->control_mac);
    secret_free(&k->row_mac);
}

static struct cached *find_cached(struct vault_keys *k, uint64_t domain, uint32_t epoch)
{
    for (size_t i = 0; i < k->cached_count; i++)
        if (k->cache[i].domain == domain && k->cache[i].epoch == epoch)
            return &k->cache[i];
    return NULL;
}

/* Takes the key; the one unused for longest leaves when there is no room. */
static void put_cached(struct vault_keys *k, uint64_t domain, uint32_t epoch, struct secret *dk)
{
    struct cached *at = k->cache;
    if (k->cached_count < KEYS_CACHE_MAX) {
        at = &k->cache[k->cached_count++];
    } else {
        for (size_t i = 1; i < KEYS_CACHE_MAX; i++)
            if (k->cache[i].used_us < at->used_us)
                at = &k->cache[i];
        secret_free(&at->dk);
    }
    *at = (struct cached){domain, epoch, clock_monotonic_us(), dk};
}

rc_t tpm_unseal(struct tpm *t, const struct hierarchy *rows, const struct node_state *pinned,
                struct vault_keys **out, struct vault_report *report)
{
    struct vault_keys *k = calloc(1, sizeof *k);
    if (!k)
        return vault_report_set(report, VAULT_SEALED, RC_NO_MEMORY, "out of memory");
    k->t = t;
    k->pinned = *pinned;
    k->degraded_ms = VAULT_DEGRADED_MS;
    k->arena = ARENA_OF(ROWS_ARENA_MAX);
    rc_t rc = hierarchy_encode(rows, &k->encoded);
    if (rc == RC_OK)
        rc = hierarchy_decode(buf_view(&k->encoded), &k->arena, &k->rows);
    if (rc != RC_OK)
        vault_report_set(&k->report, VAULT_SEALED, rc, "the rows of the hierarchy cannot be read");
    else
        rc = unseal_open(k);
    *report = k->report;
    if (rc != RC_OK)
        vault_keys_free(&k);
    *out = k;
    return rc;
}

void vault_keys_free(struct vault_keys **keys)
{
    struct vault_keys *k = *keys;
    if (!k)
        return;
    tpm_handle_flush(&k->ep);
    forget_keys(k);
    buf_free(&k->encoded);
    arena_free(&k->arena);
    free(k);
    *keys = NULL;
}

/* ---- loss and return of the TPM ---- */

static bool may_serve_cached(const struct vault_keys *k)
{
    if (k->lost_us == 0)
        return k->report.state == VAULT_SERVING;
    return k->report.state == VAULT_DEGRADED &&
           clock_monotonic_us() - k->lost_us < (int64_t)k->degraded_ms * 1000;
}

/* Settles the state after unseal_open() failed or the TPM was found lost. */
static void settle_loss(struct vault_keys *k)
{
    enum vault_state state = k->report.state;
    if (k->lost_us == 0)
        k->lost_us = clock_monotonic_us();
    bool absent = k->report.rc == RC_TPM || k->report.rc == RC_UNAVAILABLE ||
                  k->report.rc == RC_IO || k->report.rc == RC_TIMEOUT;
    if (absent && state != VAULT_LOCKED && state != VAULT_FOREIGN &&
        clock_monotonic_us() - k->lost_us < (int64_t)k->degraded_ms * 1000) {
        k->report.state = VAULT_DEGRADED;
        return;
    }
    if (state == VAULT_DEGRADED || state == VAULT_SERVING)
        k->report.state = VAULT_SEALED;
    forget_keys(k); /* refused, or out of time: nothing opened before may serve on */
}

static rc_t reopen(struct vault_keys *k)
{
    rc_t rc = unseal_open(k);
    if (rc != RC_OK)
        settle_loss(k);
    return rc;
}

static bool connection_stands(const struct vault_keys *k)
{
    return k->lost_us == 0 && tpm_connected(k->t) && tpm_generation(k->t) == k->generation;
}

/* Before a command: opens again on a new connection, at most once a second while that fails. */
static rc_t need_tpm(struct vault_keys *k)
{
    if (connection_stands(k))
        return k->report.state == VAULT_SERVING ? RC_OK : RC_SEALED;
    if (k->lost_us && clock_monotonic_us() - k->tried_us < RETRY_US)
        return k->report.rc == RC_OK ? RC_UNAVAILABLE : k->report.rc;
    return reopen(k);
}

void vault_keys_tick(struct vault_keys *k, struct vault_report *report)
{
    if (connection_stands(k)) {
        rc_t rc = tpm_ping(k->t);
        if (rc != RC_OK) {
            vault_report_set(&k->report, VAULT_SEALED, rc, "the TPM does not answer: %s",
                             tpm_last_error(k->t));
            k->lost_us = clock_monotonic_us();
        }
    }
    if (!connection_stands(k))
        (void)reopen(k); /* the report tells */
    *report = k->report;
}

void vault_keys_set_degraded_ms(struct vault_keys *k, uint32_t ms)
{
    k->degraded_ms = ms;
}

void vault_keys_pcrs(const struct vault_keys *k, uint32_t *selected, uint32_t *not_measured)
{
    *selected = k->pcr_selected;
    *not_measured = k->pcr_zero;
}

/* ---- keys ---- */

struct bytes vault_keys_control_mac(const struct vault_keys *k)
{
    return k->control_mac ? secret_view(k->control_mac) : BYTES_NONE;
}

rc_t vault_keys_derive(const struct vault_keys *k, const char *label, const struct bytes *fields,
                       size_t field_count, size_t len, struct secret **out)
{
    return k->cs ? derive_key(k->cs, label, fields, field_count, len, out) : RC_SEALED;
}

/* One epoch parent that cannot be had does not seal the vault: the others go on. */
static rc_t need_ep(struct vault_keys *k, uint32_t epoch)
{
    const struct vault_report before = k->report;
    rc_t rc = unseal_need_ep(k, epoch);
    if (rc != RC_OK && connection_stands(k))
        k->report = before;
    return rc;
}

static rc_t open_dk(struct vault_keys *k, const struct hierarchy_dk *row, struct secret **out)
{
    TPM2B_PUBLIC pub, wanted;
    TPM2B_PRIVATE priv;
    TRY(need_tpm(k));
    template_sealed(&wanted);
    if (public_read(row->pub, &pub) != RC_OK || private_read(row->priv, &priv) != RC_OK ||
        !template_fits(&pub, &wanted))
        return tpm_fail(k->t, RC_INTEGRITY, "row of kmip.dk: not a sealed key");
    TRY(need_ep(k, row->ep_epoch));
    TRY(sealed_open(k->t, k->ep.tr, &pub, &priv, out));
    if ((*out)->len == VAULT_KEY_BYTES)
        return RC_OK;
    secret_free(out);
    return tpm_fail(k->t, RC_INTEGRITY, "row of kmip.dk: not a domain key");
}

/* Runs `step` and, when the connection broke under it, once more on a new one. */
#define ONCE_MORE(k, rc, step)                                                                     \
    do {                                                                                           \
        (rc) = (step);                                                                             \
        if ((rc) != RC_OK && (k)->lost_us == 0 && !connection_stands(k)) {                         \
            (rc) = reopen(k);                                                                      \
            if ((rc) == RC_OK)                                                                     \
                (rc) = (step);                                                                     \
        }                                                                                          \
    } while (0)

rc_t vault_keys_dk(struct vault_keys *k, uint64_t domain, uint32_t epoch, struct secret **out)
{
    uint8_t mac[32];
    AUTO_SECRET dk = NULL;
    struct cached *hit = find_cached(k, domain, epoch);
    if (hit && may_serve_cached(k)) {
        hit->used_us = clock_monotonic_us();
        return secret_from(secret_view(hit->dk), out);
    }
    if (hit) /* out of time or refused: only a TPM that opens the vault again brings it back */
        settle_loss(k);
    const struct hierarchy_dk *row = hierarchy_find_dk(&k->rows, domain, epoch);
    if (!row)
        return RC_NOT_FOUND;
    if (!k->row_mac) /* forgotten while sealed */
        TRY(need_tpm(k));
    TRY(rows_dk_mac(k->row_mac, row, mac));
    if (!bytes_equal_ct(row->mac, bytes_of(mac, sizeof mac)))
        return tpm_fail(k->t, RC_INTEGRITY, "row of kmip.dk: its MAC does not hold");
    rc_t rc;
    ONCE_MORE(k, rc, open_dk(k, row, &dk));
    if (rc == RC_OK)
        rc = secret_from(secret_view(dk), out);
    if (rc == RC_OK)
        put_cached(k, domain, epoch, secret_give(&dk));
    return rc;
}

rc_t vault_keys_dk_active(const struct vault_keys *k, uint64_t domain, uint32_t *epoch,
                          uint32_t *ep_epoch)
{
    for (size_t i = 0; i < k->rows.dk_count; i++)
        if (k->rows.dks[i].domain == domain && k->rows.dks[i].state == HIERARCHY_ACTIVE) {
            *epoch = k->rows.dks[i].epoch;
            *ep_epoch = k->rows.dks[i].ep_epoch;
            return RC_OK;
        }
    return RC_NOT_FOUND;
}

static rc_t make_new_dk(struct vault_keys *k, uint64_t domain, uint32_t epoch, struct buf *row_out)
{
    AUTO_SECRET dk = NULL;
    AUTO_ROW own = {.pub = BUF_EMPTY};
    TRY(need_tpm(k));
    const struct hierarchy_ep *ep = unseal_active_ep(k);
    if (!ep)
        return RC_INTEGRITY;
    struct hierarchy_dk row = {
        .domain = domain, .epoch = epoch, .ep_epoch = ep->epoch, .state = HIERARCHY_ACTIVE};
    TRY(need_ep(k, ep->epoch));
    TRY(make_random(k->t, VAULT_KEY_BYTES, &dk));
    TRY(make_dk(k->t, k->ep.tr, k->row_mac, dk, &row, &own));
    const struct hierarchy one = {.dk_count = 1, .dks = &row};
    return hierarchy_encode(&one, row_out);
}

rc_t vault_keys_dk_new(struct vault_keys *k, uint64_t domain, uint32_t epoch, struct buf *row_out)
{
    if (hierarchy_find_dk(&k->rows, domain, epoch))
        return RC_NAME_TAKEN;
    size_t start = row_out->len;
    rc_t rc;
    ONCE_MORE(k, rc, make_new_dk(k, domain, epoch, row_out));
    if (rc != RC_OK)
        buf_cut(row_out, start);
    return rc;
}

rc_t vault_keys_revoke_approvals(struct vault_keys *k)
{
    AUTO_SECRET auth = NULL;
    const struct hierarchy_node *node = hierarchy_find_node(&k->rows, &k->pinned.node);
    TRY(need_tpm(k));
    TRY(make_nv_auth_open(k->cs, &node->id, node->nv_auth, &auth));
    return counter_increment(k->t, k->pinned.nv_policy, auth);
}
