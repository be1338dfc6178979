/*
 * Rows of the hierarchy against the pinned state. See rows.h.
 */
#include "server/vault/tpm/rows.h"

#include <openssl/evp.h>

#include "server/vault/tpm/derive.h"
#include "server/vault/tpm/p256.h"

rc_t rows_mac_key(const struct secret *cs, struct secret **out)
{
    return derive_key(cs, "hierarchy-row-mac", NULL, 0, 32, out);
}

rc_t rows_ep_auth(const struct secret *cs, uint32_t epoch, struct secret **out)
{
    uint8_t raw[4];
    store_be32(raw, epoch);
    const struct bytes field = bytes_of(raw, sizeof raw);
    return derive_key(cs, "ep-auth", &field, 1, 32, out);
}

/* Fixed part, then each blob after its length: no two rows give one text. */
static rc_t row_mac(const struct secret *key, const char *label, struct bytes fixed,
                    struct bytes pub, struct bytes priv, uint8_t mac[32])
{
    uint8_t pub_len[4], priv_len[4];
    store_be32(pub_len, (uint32_t)pub.len);
    store_be32(priv_len, (uint32_t)priv.len);
    const struct bytes parts[] = {bytes_of(label, strlen(label) + 1),
                                  fixed,
                                  bytes_of(pub_len, 4),
                                  pub,
                                  bytes_of(priv_len, 4),
                                  priv};
    return derive_mac(secret_view(key), parts, sizeof parts / sizeof parts[0], mac);
}

rc_t rows_ep_mac(const struct secret *key, const struct hierarchy_ep *row, uint8_t mac[32])
{
    uint8_t fixed[12];
    store_be32(fixed, row->epoch);
    store_be32(fixed + 4, row->cr_id);
    store_be32(fixed + 8, row->state);
    return row_mac(key, "ep", bytes_of(fixed, sizeof fixed), row->pub, row->priv, mac);
}

rc_t rows_dk_mac(const struct secret *key, const struct hierarchy_dk *row, uint8_t mac[32])
{
    uint8_t fixed[20];
    store_be64(fixed, row->domain);
    store_be32(fixed + 8, row->epoch);
    store_be32(fixed + 12, row->ep_epoch);
    store_be32(fixed + 16, row->state);
    return row_mac(key, "dk", bytes_of(fixed, sizeof fixed), row->pub, row->priv, mac);
}

rc_t rows_escrow_statement(struct bytes escrow_digest, uint8_t digest[32])
{
    static const char label[] = "holdfast escrow opened";
    uint8_t text[sizeof label + 32];
    if (escrow_digest.len != 32)
        return RC_INTEGRITY;
    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, escrow_digest.data, 32);
    return EVP_Digest(text, sizeof text, digest, NULL, EVP_sha256(), NULL) == 1 ? RC_OK : RC_CRYPTO;
}

rc_t rows_escrow_proven(const TPM2B_PUBLIC *cr_pub, struct bytes escrow_digest, struct bytes proof)
{
    uint8_t digest[32];
    struct p256_point point;
    AUTO_P256 key = {NULL};
    if (proof.len != ROOT_SIGNATURE)
        return RC_INTEGRITY;
    TRY(rows_escrow_statement(escrow_digest, digest));
    TRY(public_point(cr_pub, &point));
    TRY(p256_from_point(&point, &key));
    return p256_verify(&key, digest, proof.data);
}

static bool names(const TPM2B_PUBLIC *pub, const struct node_name *want)
{
    struct node_name got;
    return template_name(pub, &got) == RC_OK && memcmp(got.raw, want->raw, sizeof got.raw) == 0;
}

static rc_t damaged(struct vault_report *report, const char *table, const char *what)
{
    return vault_report_set(report, VAULT_SEALED, RC_INTEGRITY,
                            "row of kmip.%s: %s; restore the row from a backup", table, what);
}

static rc_t check_cr(const struct hierarchy_cr *cr, const struct node_state *pinned, struct root *r,
                     struct vault_report *report)
{
    if (public_read(cr->pub, &r->pub) != RC_OK || !names(&r->pub, &pinned->cr))
        return damaged(report, "cr", "the public part is not the one pinned in node.state");
    if (public_read(cr->auth_pub, &r->auth_pub) != RC_OK || !names(&r->auth_pub, &pinned->auth))
        return damaged(report, "cr", "the approver's key is not the one pinned in node.state");
    if (cr->escrow_proof.len == 0)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, RC_SEALED,
                                "no proof yet that the escrow can be opened");
    if (rows_escrow_proven(&r->pub, cr->escrow_digest, cr->escrow_proof) != RC_OK)
        return damaged(report, "cr", "the escrow's proof does not hold");
    return RC_OK;
}

rc_t rows_root(const struct hierarchy *rows, const struct node_state *pinned, struct root *r,
               TPM2B_PRIVATE *priv, struct vault_report *report)
{
    char uid[UID_TEXT_SIZE];
    const struct hierarchy_node *node = hierarchy_find_node(rows, &pinned->node);
    uid_print(&pinned->node, uid);
    if (!node)
        return vault_report_set(report, VAULT_SEALED, RC_INTEGRITY,
                                "kmip.node has no row for this node, %s", uid);
    const struct hierarchy_cr *cr = hierarchy_find_cr(rows, node->cr_id);
    if (!cr)
        return vault_report_set(report, VAULT_SEALED, RC_INTEGRITY,
                                "kmip.cr has no row %u, which node %s names", node->cr_id, uid);
    if (node->use_sig.len == 0)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, RC_SEALED,
                                "the boot state of node %s is not approved yet", uid);
    TRY(check_cr(cr, pinned, r, report));
    if (private_read(node->cr_priv, priv) != RC_OK || node->use_policy.len != 32 ||
        node->use_sig.len != ROOT_SIGNATURE || node->pcr_mask >> TPM_PCR_COUNT)
        return damaged(report, "node", "a field is not well-formed");
    r->nv_index = pinned->nv_policy;
    r->pcr_mask = node->pcr_mask;
    r->counter = node->approval;
    memcpy(r->use.policy.raw, node->use_policy.data, 32);
    memcpy(r->use.signature, node->use_sig.data, ROOT_SIGNATURE);
    return RC_OK;
}
