/*
 * Unsealing: TPM and rows against the pinned state, the cluster root under its policy, the cluster
 * secret, an epoch parent. Each failure says in the report which row or which part of the TPM.
 */
#include "server/base/clock.h"
#include "server/vault/tpm/derive.h"
#include "server/vault/tpm/keys_state.h"
#include "server/vault/tpm/make.h"
#include "server/vault/tpm/rows.h"

static rc_t tpm_trouble(struct vault_keys *k, rc_t rc, const char *what)
{
    enum vault_state state = rc == RC_TPM_LOCKED    ? VAULT_LOCKED
                             : rc == RC_TPM_FOREIGN ? VAULT_FOREIGN
                                                    : VAULT_SEALED;
    return vault_report_set(&k->report, state, rc, "%s: %s", what, tpm_last_error(k->t));
}

/* The attestation key is made anew from the endorsement seed and compared, then flushed. */
static rc_t check_ak(struct vault_keys *k)
{
    struct tpm *t = k->t;
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PUBLIC wanted;
    struct node_name name;
    AUTO_HANDLE ak = tpm_handle_of(t);
    AUTO_ESYS TPM2B_PUBLIC *pub = NULL;
    template_ak(&wanted);
    TRY(TPM_RUN(t, "CreatePrimary(attestation key)",
                Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, tpm_session(t, 0), ESYS_TR_NONE,
                                   ESYS_TR_NONE, &sensitive, &wanted, &outside, &pcrs, &ak.tr, &pub,
                                   NULL, NULL, NULL)));
    TRY(template_name(pub, &name));
    return memcmp(name.raw, k->pinned.ak.raw, NODE_NAME_BYTES) == 0 ? RC_OK : RC_TPM_FOREIGN;
}

static rc_t check_identity(struct vault_keys *k)
{
    ESYS_TR nv;
    rc_t rc = tpm_ready(k->t);
    if (rc != RC_OK)
        return tpm_trouble(k, rc, "the TPM cannot be used");
    if (memcmp(k->t->srk_name.raw, k->pinned.srk.raw, NODE_NAME_BYTES) != 0)
        return vault_report_set(&k->report, VAULT_FOREIGN, RC_TPM_FOREIGN,
                                "the TPM's storage root is not the one pinned in node.state");
    rc = check_ak(k);
    if (rc == RC_TPM_FOREIGN)
        return vault_report_set(&k->report, VAULT_FOREIGN, RC_TPM_FOREIGN,
                                "the TPM's attestation key is not the one pinned in node.state");
    if (rc != RC_OK)
        return tpm_trouble(k, rc, "the attestation key cannot be made");
    rc = tpm_nv_handle(k->t, k->pinned.nv_policy, &nv);
    if (rc == RC_NOT_FOUND)
        return vault_report_set(&k->report, VAULT_FOREIGN, RC_TPM_FOREIGN,
                                "the TPM has no approval counter at 0x%08x", k->pinned.nv_policy);
    return rc == RC_OK ? RC_OK : tpm_trouble(k, rc, "the approval counter cannot be read");
}

static rc_t check_tpm(struct vault_keys *k)
{
    rc_t rc = check_identity(k);
    if (rc == RC_TPM_FOREIGN)
        tpm_disconnect(k->t); /* so that the right one is found when it is put back */
    return rc;
}

static rc_t look_at_pcrs(struct vault_keys *k, uint32_t mask)
{
    uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES];
    static const uint8_t zero[TPM_PCR_BYTES];
    TRY(tpm_pcr_read(k->t, mask, values));
    k->pcr_selected = mask;
    k->pcr_zero = 0;
    for (uint32_t i = 0; i < TPM_PCR_COUNT; i++)
        if (mask >> i & 1 && memcmp(values[i], zero, sizeof zero) == 0)
            k->pcr_zero |= 1u << i;
    return RC_OK;
}

/* Loads the cluster root of this node, ready for use. */
static rc_t open_root(struct vault_keys *k, struct root *r)
{
    TPM2B_PRIVATE priv;
    r->t = k->t;
    TRY(rows_root(&k->rows, &k->pinned, r, &priv, &k->report));
    rc_t rc = root_open(r, &priv);
    if (rc == RC_INTEGRITY)
        return vault_report_set(&k->report, VAULT_SEALED, rc,
                                "row of kmip.node: this TPM does not take the cluster root (%s); "
                                "restore the row from a backup",
                                tpm_last_error(k->t));
    return rc == RC_OK ? RC_OK : tpm_trouble(k, rc, "the cluster root cannot be loaded");
}

static rc_t open_cs(struct vault_keys *k, struct root *r)
{
    TPM2B_PUBLIC pub, wanted;
    TPM2B_PRIVATE priv;
    const struct hierarchy_cs *row =
        hierarchy_find_cs(&k->rows, hierarchy_find_node(&k->rows, &k->pinned.node)->cr_id);
    if (!row)
        return vault_report_set(&k->report, VAULT_SEALED, RC_INTEGRITY,
                                "kmip.cs has no row for the cluster root");
    template_sealed(&wanted);
    rc_t rc = RC_INTEGRITY;
    AUTO_HANDLE object = tpm_handle_of(k->t);
    AUTO_SECRET cs = NULL;
    tpm_fail(k->t, rc, "not a sealed secret");
    if (public_read(row->pub, &pub) == RC_OK && private_read(row->priv, &priv) == RC_OK &&
        template_fits(&pub, &wanted))
        rc = root_load(r, &pub, &priv, &object);
    if (rc == RC_OK)
        rc = sealed_read(k->t, object.tr, ESYS_TR_NONE, &cs);
    if (rc == RC_INTEGRITY)
        return vault_report_set(&k->report, VAULT_SEALED, rc,
                                "row of kmip.cs, cr_id %u: damaged or swapped (%s); restore it "
                                "from a backup",
                                row->cr_id, tpm_last_error(k->t));
    if (rc != RC_OK)
        return tpm_trouble(k, rc, "the cluster secret cannot be opened");
    if (k->cs && !secret_equal(k->cs, cs))
        return vault_report_set(&k->report, VAULT_SEALED, RC_INTEGRITY,
                                "row of kmip.cs: another cluster secret than before");
    secret_free(&k->cs);
    k->cs = secret_give(&cs);
    return RC_OK;
}

static rc_t ep_damaged(struct vault_keys *k, uint32_t epoch, const char *why)
{
    return vault_report_set(&k->report, VAULT_SEALED, RC_INTEGRITY,
                            "row of kmip.ep, epoch %u: damaged or swapped (%s); restore it from a "
                            "backup",
                            epoch, why);
}

static rc_t load_ep(struct vault_keys *k, struct root *r, uint32_t epoch)
{
    uint8_t mac[32];
    TPM2B_PUBLIC pub, wide, narrow;
    TPM2B_PRIVATE priv;
    const struct hierarchy_ep *row = hierarchy_find_ep(&k->rows, epoch);
    if (!row)
        return vault_report_set(&k->report, VAULT_SEALED, RC_INTEGRITY,
                                "kmip.ep has no row for epoch %u", epoch);
    TRY(rows_ep_mac(k->row_mac, row, mac));
    if (!bytes_equal_ct(row->mac, bytes_of(mac, sizeof mac)))
        return ep_damaged(k, epoch, "its MAC does not hold");
    template_ep(&wide, 256, r->policy.root.raw);
    template_ep(&narrow, 128, r->policy.root.raw);
    if (public_read(row->pub, &pub) != RC_OK || private_read(row->priv, &priv) != RC_OK ||
        (!template_fits(&pub, &wide) && !template_fits(&pub, &narrow)))
        return ep_damaged(k, epoch, "not an epoch parent");
    tpm_handle_flush(&k->ep);
    rc_t rc = make_ep_load(r, k->cs, row, &k->ep);
    if (rc == RC_INTEGRITY)
        return ep_damaged(k, epoch, tpm_last_error(k->t));
    k->ep_epoch = epoch;
    return rc == RC_OK ? RC_OK : tpm_trouble(k, rc, "the epoch parent cannot be loaded");
}

static rc_t derive_all(struct vault_keys *k)
{
    AUTO_SECRET control = NULL;
    AUTO_SECRET row = NULL;
    rc_t rc = derive_key(k->cs, "control-mac", NULL, 0, VAULT_KEY_BYTES, &control);
    if (rc == RC_OK)
        rc = rows_mac_key(k->cs, &row);
    if (rc != RC_OK)
        return vault_report_set(&k->report, VAULT_SEALED, rc, "keys cannot be derived");
    secret_free(&k->control_mac);
    secret_free(&k->row_mac);
    k->control_mac = secret_give(&control);
    k->row_mac = secret_give(&row);
    return RC_OK;
}

const struct hierarchy_ep *unseal_active_ep(const struct vault_keys *k)
{
    for (size_t i = 0; i < k->rows.ep_count; i++)
        if (k->rows.eps[i].state == HIERARCHY_ACTIVE)
            return &k->rows.eps[i];
    return NULL;
}

rc_t unseal_open(struct vault_keys *k)
{
    AUTO_ROOT r = {0};
    k->tried_us = clock_monotonic_us();
    TRY(check_tpm(k));
    k->ep = tpm_handle_of(k->t);
    k->generation = tpm_generation(k->t);
    TRY(open_root(k, &r));
    rc_t rc = look_at_pcrs(k, r.pcr_mask);
    if (rc != RC_OK)
        return tpm_trouble(k, rc, "the PCRs cannot be read");
    TRY(open_cs(k, &r));
    TRY(derive_all(k));
    const struct hierarchy_ep *ep = unseal_active_ep(k);
    if (!ep)
        return vault_report_set(&k->report, VAULT_SEALED, RC_INTEGRITY,
                                "kmip.ep has no active row");
    TRY(load_ep(k, &r, ep->epoch));
    k->lost_us = 0;
    return vault_report_set(&k->report, VAULT_SERVING, RC_OK, NULL);
}

/* ---- what keys.c asks for ---- */

rc_t unseal_need_ep(struct vault_keys *k, uint32_t epoch)
{
    if (k->ep.tr != ESYS_TR_NONE && k->ep_epoch == epoch)
        return RC_OK;
    AUTO_ROOT r = {0};
    TRY(open_root(k, &r));
    return load_ep(k, &r, epoch);
}
