/*
 * Approvals of a changed boot state, and recovery on another TPM. See ceremony.h.
 */
#include <openssl/evp.h>

#include "proto/base/wipe.h"
#include "server/vault/tpm/counter.h"
#include "server/vault/tpm/escrow.h"
#include "server/vault/tpm/half.h"
#include "server/vault/tpm/make.h"
#include "server/vault/tpm/rows.h"

/* ---- a changed boot state ---- */

static rc_t fill_request(struct tpm *t, struct request *r)
{
    struct tpm_facts facts;
    TRY(tpm_facts(t, &facts));
    memcpy(r->manufacturer, facts.manufacturer, sizeof r->manufacturer);
    r->software = facts.software;
    TRY(tpm_pcr_read(t, r->pcr_mask, r->pcrs));
    return counter_read(t, r->nv_index, &r->counter);
}

rc_t approval_request(struct tpm *t, const struct hierarchy *rows, const struct node_state *pinned,
                      uint32_t pcr_mask, struct buf *request_out, struct vault_report *report)
{
    const struct hierarchy_node *node = hierarchy_find_node(rows, &pinned->node);
    const struct hierarchy_cr *cr = node ? hierarchy_find_cr(rows, node->cr_id) : NULL;
    AUTO_REQUEST r = {
        .kind = REQUEST_APPROVAL, .node = pinned->node, .nv_index = pinned->nv_policy};
    vault_report_set(report, VAULT_SEALED, RC_INTERNAL, NULL);
    if (!cr || public_read(cr->pub, &r.cr_pub) != RC_OK ||
        public_read(cr->auth_pub, &r.auth_pub) != RC_OK ||
        public_read(node->ak_pub, &r.ak_pub) != RC_OK)
        return vault_report_set(report, VAULT_SEALED, RC_INTEGRITY,
                                "the rows of this node are missing or damaged");
    r.pcr_mask = pcr_mask ? pcr_mask : node->pcr_mask;
    if (r.pcr_mask >> TPM_PCR_COUNT)
        return vault_report_set(report, VAULT_SEALED, RC_CONFIG, "PCRs are numbered 0 to 23");
    rc_t rc = tpm_ready(t);
    if (rc == RC_OK && memcmp(t->srk_name.raw, pinned->srk.raw, NODE_NAME_BYTES) != 0)
        return vault_report_set(report, VAULT_FOREIGN, RC_TPM_FOREIGN,
                                "the TPM's storage root is not the one pinned in node.state");
    if (rc == RC_OK)
        rc = fill_request(t, &r);
    if (rc == RC_NOT_FOUND)
        return vault_report_set(report, VAULT_FOREIGN, RC_TPM_FOREIGN,
                                "the TPM has no approval counter at 0x%08x", pinned->nv_policy);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the boot state cannot be read");
    TRY(buf_add_bytes(&r.ek_cert, node->ek_cert));
    TRY(request_compute(&r));
    TRY(request_write(&r, request_out));
    return vault_report_set(report, VAULT_LOCKED, RC_OK, NULL);
}

rc_t approval_accept(const struct hierarchy *rows, const struct node_state *pinned,
                     struct bytes response, struct buf *hierarchy_out)
{
    struct response a;
    struct node_name auth;
    TPM2B_PUBLIC cr_pub, auth_pub;
    TRY(response_read(response, &a));
    const struct hierarchy_node *node = hierarchy_find_node(rows, &pinned->node);
    const struct hierarchy_cr *cr = node ? hierarchy_find_cr(rows, node->cr_id) : NULL;
    if (!cr)
        return RC_NOT_FOUND;
    if (a.kind != REQUEST_APPROVAL || !uid_equal(&a.node, &pinned->node))
        return RC_BAD_MESSAGE;
    TRY(public_read(cr->pub, &cr_pub));
    TRY(public_read(cr->auth_pub, &auth_pub));
    TRY(template_name(&auth_pub, &auth));
    if (memcmp(auth.raw, pinned->auth.raw, sizeof auth.raw) != 0)
        return RC_INTEGRITY;
    TRY(response_check(&a, &auth_pub, &cr_pub));
    struct hierarchy_node next = *node;
    next.pcr_mask = a.pcr_mask;
    next.approval = a.counter;
    next.use_policy = bytes_of(a.use.policy.raw, sizeof a.use.policy.raw);
    next.use_sig = bytes_of(a.use.signature, sizeof a.use.signature);
    const struct hierarchy one = {.node_count = 1, .nodes = &next};
    return hierarchy_encode(&one, hierarchy_out);
}

/* ---- another TPM ---- */

/* The row of the cluster root that the escrow holds. */
static const struct hierarchy_cr *row_of(const struct hierarchy *rows, const struct cluster_key *k)
{
    struct node_name want, got;
    TPM2B_PUBLIC pub;
    if (template_name(&k->pub, &want) != RC_OK)
        return NULL;
    for (size_t i = 0; i < rows->cr_count; i++)
        if (public_read(rows->crs[i].pub, &pub) == RC_OK && template_name(&pub, &got) == RC_OK &&
            memcmp(want.raw, got.raw, sizeof want.raw) == 0)
            return &rows->crs[i];
    return NULL;
}

/* Gives the cluster root to this TPM; what comes back is its private part under the storage root.
 */
static rc_t import(struct tpm *t, const struct cluster_key *k, struct buf *priv_out)
{
    struct duplicate dup;
    TPM2B_DATA key = {0};
    TPMT_SYM_DEF_OBJECT aes = {.algorithm = TPM2_ALG_AES, .mode.aes = TPM2_ALG_CFB};
    AUTO_SECRET inner = NULL;
    AUTO_ESYS TPM2B_PRIVATE *priv = NULL;
    aes.keyBits.aes = k->pub.publicArea.parameters.eccDetail.symmetric.keyBits.aes;
    TRY(escrow_wrap(k, &t->srk_public, &dup, &inner));
    key.size = (UINT16)inner->len;
    memcpy(key.buffer, inner->data, inner->len);
    rc_t rc = TPM_RUN(t, "Import(cluster root)",
                      Esys_Import(t->esys, t->srk, tpm_session(t, TPM_CRYPT_IN), ESYS_TR_NONE,
                                  ESYS_TR_NONE, &key, &k->pub, &dup.priv, &dup.seed, &aes, &priv));
    wipe(&key, sizeof key);
    TRY(rc);
    return private_write(priv, priv_out);
}

/* Opening the escrow is the proof that it can be opened: the row may say so from now on. */
static rc_t prove(const struct cluster_key *k, struct bytes escrow, uint8_t digest[32],
                  uint8_t signature[ROOT_SIGNATURE])
{
    uint8_t statement[32];
    AUTO_P256 root = {NULL};
    TRY(escrow_private(k, &root));
    if (EVP_Digest(escrow.data, escrow.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    TRY(rows_escrow_statement(bytes_of(digest, 32), statement));
    return p256_sign(&root, statement, signature);
}

static rc_t begin(struct tpm *t, const struct recovery_options *o, bool self_approved,
                  struct buf *pending_out, struct buf *request_out, struct vault_report *report)
{
    uint8_t digest[32], proof[ROOT_SIGNATURE];
    AUTO_P256 rec = {NULL};
    AUTO_CLUSTER_KEY k = {.sensitive = NULL};
    AUTO_BUF cr_priv = BUF_EMPTY;
    struct hierarchy_node node = {.cr_id = 0};
    struct half h = {.kind = REQUEST_RECOVERY, .state.self_approved = self_approved};
    TRY(half_settings(&o->init, &h, &node, report));
    if (p256_read_private(o->rec_key, &rec) != RC_OK)
        return vault_report_set(report, VAULT_NONE, RC_CRYPTO,
                                "the recovery key is not a private P-256 key in PEM");
    if (escrow_open(o->escrow, &rec, &k) != RC_OK)
        return vault_report_set(report, VAULT_NONE, RC_INTEGRITY,
                                "the escrow is damaged, or made for another recovery key");
    const struct hierarchy_cr *stored = row_of(o->rows, &k);
    const struct hierarchy_cs *secret = stored ? hierarchy_find_cs(o->rows, stored->id) : NULL;
    if (!secret)
        return vault_report_set(report, VAULT_NONE, RC_NOT_FOUND,
                                "the database has no cluster root, or not that of this escrow");
    struct hierarchy_cr cr = *stored;
    struct hierarchy_cs cs = *secret;
    TRY(prove(&k, o->escrow, digest, proof));
    cr.escrow_digest = bytes_of(digest, sizeof digest);
    cr.escrow_proof = bytes_of(proof, sizeof proof);
    rc_t rc = tpm_ready(t);
    if (rc == RC_OK)
        rc = import(t, &k, &cr_priv);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the TPM does not take the cluster root");
    node.cr_id = cr.id;
    node.cr_priv = buf_view(&cr_priv);
    h.rows = (struct hierarchy){
        .node_count = 1, .nodes = &node, .cr_count = 1, .crs = &cr, .cs_count = 1, .css = &cs};
    return half_begin(t, &h, o->init.replace_nv, pending_out, request_out, report);
}

rc_t recovery_begin(struct tpm *t, const struct recovery_options *o, struct buf *pending_out,
                    struct buf *request_out, struct vault_report *report)
{
    vault_report_set(report, VAULT_NONE, RC_INTERNAL, NULL);
    rc_t rc = begin(t, o, false, pending_out, request_out, report);
    return rc == RC_OK ? vault_report_set(report, VAULT_CEREMONY_WAIT, rc, NULL) : rc;
}

/* The cluster secret from its row, through the root in its new TPM. */
static rc_t open_cs(struct half_open *o, struct secret **cs)
{
    TPM2B_PUBLIC pub;
    TPM2B_PRIVATE priv;
    const struct hierarchy_cs *row = hierarchy_find_cs(&o->half.rows, o->half.rows.crs->id);
    AUTO_HANDLE object = tpm_handle_of(o->root.t);
    if (!row)
        return RC_BAD_MESSAGE;
    TRY(public_read(row->pub, &pub));
    TRY(private_read(row->priv, &priv));
    TRY(root_load(&o->root, &pub, &priv, &object));
    return sealed_read(o->root.t, object.tr, ESYS_TR_NONE, cs);
}

static rc_t finish(struct tpm *t, struct bytes pending, struct bytes response,
                   struct ceremony_result *out, struct vault_report *report)
{
    uint8_t stored[NV_AUTH_STORED];
    AUTO_SECRET cs = NULL;
    AUTO_HALF o = {.nv_auth = NULL};
    TRY(half_finish(t, REQUEST_RECOVERY, pending, response, &o, report));
    rc_t rc = open_cs(&o, &cs);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the cluster secret cannot be opened");
    TRY(make_nv_auth_store(cs, &o.half.state.node, o.nv_auth, stored));
    o.half.rows.nodes->nv_auth = bytes_of(stored, sizeof stored);
    o.half.rows.cs_count = 0; /* unchanged: only node and cr are new */
    TRY(hierarchy_encode(&o.half.rows, &out->hierarchy));
    return node_state_encode(&o.half.state, &out->node_state);
}

rc_t recovery_finish(struct tpm *t, struct bytes pending, struct bytes response,
                     struct ceremony_result *out, struct vault_report *report)
{
    *out = (struct ceremony_result){.hierarchy = BUF_EMPTY};
    vault_report_set(report, VAULT_NONE, RC_INTERNAL, NULL);
    rc_t rc = finish(t, pending, response, out, report);
    if (rc == RC_OK)
        return vault_report_set(report, VAULT_SEALED, rc, NULL);
    ceremony_result_free(out);
    return rc;
}

rc_t recovery_restore(struct tpm *t, const struct recovery_options *o, struct bytes auth_key,
                      struct ceremony_result *out, struct vault_report *report)
{
    AUTO_BUF pending = BUF_EMPTY;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    *out = (struct ceremony_result){.hierarchy = BUF_EMPTY};
    vault_report_set(report, VAULT_NONE, RC_INTERNAL, NULL);
    TRY(begin(t, o, true, &pending, &request, report));
    rc_t rc = approve_request(buf_view(&request), auth_key, BYTES_NONE, &response);
    if (rc != RC_OK)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, rc,
                                "the given key is not the approver's of this cluster");
    return recovery_finish(t, buf_view(&pending), buf_view(&response), out, report);
}
