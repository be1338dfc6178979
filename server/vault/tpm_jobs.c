/* The work of the TPM thread: unseal, open domain keys, look after the TPM; see tpm_jobs.h. */
#include <stdio.h>

#include "server/vault/tpm_jobs.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/vault/crypto/crypto.h"
#include "server/vault/tpm/attest.h"
#include "server/vault/wire.h"

enum { MIX_BYTES = 32, ROWS_ARENA_MAX = 8 * 1024 * 1024 };
static const int64_t MIX_EVERY_US = INT64_C(3600) * 1000000;

rc_t tpm_work_init(struct tpm_work *w, const struct tpm_options *o)
{
    w->rows_arena = ARENA_OF(ROWS_ARENA_MAX);
    vault_report_set(&w->report, VAULT_SEALED, RC_SEALED,
                     "no worker has brought the key hierarchy yet");
    w->told = w->report;
    return tpm_new(o, &w->tpm);
}

void tpm_work_end(struct tpm_work *w)
{
    vault_keys_free(&w->keys);
    tpm_free(&w->tpm);
    buf_free(&w->rows);
    arena_free(&w->rows_arena);
}

static bool is_open(const struct tpm_work *w)
{
    return w->keys && (w->report.state == VAULT_SERVING || w->report.state == VAULT_DEGRADED);
}

/* TPM random into the DRBG, after each unsealing and once an hour. */
static void mix_random(struct tpm_work *w)
{
    int64_t now = clock_monotonic_us();
    if (w->mixed_us != 0 && now - w->mixed_us < MIX_EVERY_US)
        return;
    AUTO_SECRET random = NULL;
    if (tpm_random(w->tpm, MIX_BYTES, &random) != RC_OK)
        return;
    crypto_random_mix(secret_view(random));
    w->mixed_us = now;
}

static void look_at_tpm(struct tpm_work *w)
{
    w->view.connected = tpm_connected(w->tpm);
    if (w->view.connected && (!w->view.known || w->facts_of != tpm_generation(w->tpm)) &&
        tpm_facts(w->tpm, &w->view.facts) == RC_OK) {
        w->view.known = true;
        w->facts_of = tpm_generation(w->tpm);
    }
    if (w->keys)
        vault_keys_pcrs(w->keys, &w->view.pcrs_selected, &w->view.pcrs_not_measured);
}

/* Opens one domain key and adds it to the job. epoch 0: the active one. */
static rc_t hand_key(struct tpm_work *w, struct job *j, uint64_t domain, uint32_t epoch)
{
    if (j->key_count == JOB_KEYS_MAX)
        return RC_OK;
    uint32_t active = 0, ep_epoch = 0;
    rc_t known = vault_keys_dk_active(w->keys, domain, &active, &ep_epoch);
    if (epoch == 0)
        TRY(known);
    struct job_key *k = &j->keys[j->key_count];
    *k = (struct job_key){.domain = domain, .epoch = epoch ? epoch : active};
    k->active = known == RC_OK && k->epoch == active;
    const struct hierarchy_dk *row = hierarchy_find_dk(&w->hierarchy, domain, k->epoch);
    if (!row)
        return RC_NOT_FOUND;
    k->ep_epoch = row->ep_epoch;
    TRY(vault_keys_dk(w->keys, domain, k->epoch, &k->key));
    j->key_count++;
    return RC_OK;
}

/* Gives the event thread the control key and the domains' active keys, once after each opening. */
static rc_t hand_keys(struct tpm_work *w, struct job *j)
{
    if (!is_open(w)) {
        w->handed = false;
        return RC_OK;
    }
    if (w->handed)
        return RC_OK;
    TRY(secret_from(vault_keys_control_mac(w->keys), &j->control_key));
    w->damaged[0] = '\0';
    unsigned more = 0;
    for (size_t i = 0; i < w->hierarchy.dk_count; i++) {
        const struct hierarchy_dk *row = &w->hierarchy.dks[i];
        if (row->state != HIERARCHY_ACTIVE)
            continue;
        rc_t rc = hand_key(w, j, row->domain, row->epoch);
        if (rc == RC_OK)
            continue;
        /* One damaged row does not stop the other domains; the status tells it until it is mended. */
        log_error("vault.domain_key", "domain=%llu epoch=%u result=%s",
                  (unsigned long long)row->domain, row->epoch, rc_name(rc));
        if (w->damaged[0])
            more++;
        else
            snprintf(w->damaged, sizeof w->damaged,
                     "the key of domain %llu, epoch %u, does not open: %s",
                     (unsigned long long)row->domain, row->epoch, rc_text(rc));
    }
    size_t said = strlen(w->damaged);
    if (more)
        snprintf(w->damaged + said, sizeof w->damaged - said, "; and %u more", more);
    w->handed = true;
    return RC_OK;
}

/* A state that is lost or damaged must not be taken for a node that was never set up. */
static rc_t report_no_node(struct tpm_work *w)
{
    static const char restore[] = "restore it, or run `holdfast recovery restore`";
    if (w->no_node.rc != RC_NOT_FOUND)
        return vault_report_set(&w->report, VAULT_SEALED, w->no_node.rc, "%s; %s", w->no_node.why,
                                restore);
    if (w->hierarchy.cr_count)
        return vault_report_set(&w->report, VAULT_NONE, RC_SEALED,
                                "node.state is missing, but the database has a root of keys; %s",
                                restore);
    return vault_report_set(&w->report, VAULT_NONE, RC_SEALED, NULL);
}

static rc_t open_rows(struct tpm_work *w, const struct node_state *node)
{
    if (!node)
        return report_no_node(w);
    vault_keys_free(&w->keys);
    w->handed = false;
    rc_t rc = tpm_unseal(w->tpm, &w->hierarchy, node, &w->keys, &w->report);
    if (rc == RC_OK && w->has_degraded)
        vault_keys_set_degraded_ms(w->keys, w->degraded_ms);
    return rc;
}

static rc_t take_rows(struct tpm_work *w, struct bytes rows)
{
    buf_clear(&w->rows);
    arena_reset(&w->rows_arena);
    w->hierarchy = (struct hierarchy){0};
    TRY(buf_add_bytes(&w->rows, rows));
    rc_t rc = hierarchy_decode(buf_view(&w->rows), &w->rows_arena, &w->hierarchy);
    if (rc != RC_OK) {
        w->hierarchy = (struct hierarchy){0};
        buf_clear(&w->rows);
    }
    return rc;
}

/*
 * Idempotent: the same rows while open change nothing. Other rows while open (a new domain, a new
 * approval) are opened in place of the old ones; if they do not open, the old ones serve on.
 * Without the TPM neither would open: the rows wait, and what is open serves on.
 */
static rc_t run_unseal(struct tpm_work *w, const struct node_state *node, struct job *j)
{
    struct bytes rows = buf_view(&j->in);
    if (is_open(w) && bytes_equal(rows, buf_view(&w->rows)))
        return RC_OK;
    bool was_open = is_open(w);
    if (was_open && tpm_ping(w->tpm) != RC_OK)
        return RC_UNAVAILABLE;
    AUTO_BUF old = BUF_EMPTY;
    buf_take(&old, &w->rows);
    rc_t rc = take_rows(w, rows);
    if (rc == RC_OK)
        rc = open_rows(w, node);
    else
        vault_report_set(&w->report, VAULT_SEALED, rc,
                         "the rows of the key hierarchy cannot be read");
    if (rc != RC_OK && was_open && take_rows(w, buf_view(&old)) == RC_OK) {
        struct vault_report refused = w->report;
        if (open_rows(w, node) == RC_OK) {
            log_error("vault.rows_refused", "result=%s detail=\"%s\"", rc_name(rc), refused.detail);
            return rc;
        }
    }
    return rc;
}

static void run_tick(struct tpm_work *w, const struct node_state *node)
{
    if (w->keys)
        vault_keys_tick(w->keys, &w->report);
    else if (w->rows.len > 0)
        open_rows(w, node);
    else if (!node)
        report_no_node(w);
    else
        tpm_ready(w->tpm); /* connects early, so that unsealing finds it warm */
}

/* A domain none of whose keys is among the rows is one that they are too old to know: that passes,
 * and is no damage. */
static rc_t run_domain_key(struct tpm_work *w, struct job *j)
{
    uint32_t epoch, ep_epoch;
    if (!is_open(w))
        return RC_SEALED;
    if (vault_keys_dk_active(w->keys, j->domain, &epoch, &ep_epoch) != RC_OK)
        return RC_UNAVAILABLE;
    return hand_key(w, j, j->domain, j->epoch);
}

static rc_t run_new_key(struct tpm_work *w, struct job *j)
{
    if (!is_open(w))
        return RC_SEALED;
    return vault_keys_dk_new(w->keys, j->domain, j->epoch, &j->out);
}

/* Needs the TPM and what the node pins, not the keys: also a sealed vault can do it. */
static rc_t run_sign(struct tpm_work *w, const struct node_state *node, struct job *j)
{
    uint8_t signature[ATTEST_SIGNATURE];
    if (!node)
        buf_add_str(&j->out, "this node was not set up");
    if (!node || j->in.len != ATTEST_DIGEST)
        return RC_SEALED;
    rc_t rc = attest_sign_stub(w->tpm, &node->ak, j->in.data, signature);
    if (rc != RC_OK) {
        buf_add_str(&j->out, tpm_last_error(w->tpm));
        return rc;
    }
    TRY(buf_add(&j->out, node->node.raw, sizeof node->node.raw));
    return buf_add(&j->out, signature, sizeof signature);
}

/* The same sentences as `holdfast status` shows, once for each change: of the state, or of what is
 * missing or damaged while it stays. */
static void log_state(struct tpm_work *w, const struct vault_report *r)
{
    char detail[160];
    enum vault_state was = w->told.state;
    if (r->state == was && r->rc == w->told.rc && strcmp(r->detail, w->told.detail) == 0)
        return;
    w->told = *r;
    log_event(r->state == VAULT_SERVING && r->rc == RC_OK ? LOG_INFO : LOG_WARN, "vault.state",
              "state=%s was=%s result=%s what=\"%s\" next=\"%s\" detail=%s",
              vault_state_name(r->state), vault_state_name(was), rc_name(r->rc),
              vault_state_what(r->state), vault_state_next(r->state),
              log_value(bytes_str(r->detail), detail));
}

void tpm_work_run(struct tpm_work *w, const struct node_state *node, struct job *j)
{
    switch (j->kind) {
    case JOB_UNSEAL:
        j->rc = run_unseal(w, node, j);
        break;
    case JOB_TICK:
        run_tick(w, node);
        j->rc = RC_OK;
        break;
    case JOB_DOMAIN_KEY:
        j->rc = run_domain_key(w, j);
        break;
    case JOB_NEW_KEY:
        j->rc = run_new_key(w, j);
        break;
    case JOB_ADMIN:
        j->rc = tpm_admin_run(w->tpm, j);
        break;
    case JOB_SIGN:
        j->rc = run_sign(w, node, j);
        break;
    }
    if (j->kind != JOB_ADMIN) {
        rc_t handed = hand_keys(w, j);
        if (j->rc == RC_OK)
            j->rc = handed;
        if (is_open(w) && tpm_connected(w->tpm))
            mix_random(w);
        look_at_tpm(w);
    }
    j->report = w->report;
    j->view = w->view;
    if (is_open(w) && w->damaged[0] && !j->report.detail[0])
        vault_report_set(&j->report, j->report.state, RC_INTEGRITY, "%s", w->damaged);
    if (j->kind != JOB_ADMIN)
        log_state(w, &j->report);
}
