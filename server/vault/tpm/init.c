/*
 * Setting a node up. See ceremony.h.
 */
#include <openssl/evp.h>

#include "server/vault/tpm/escrow.h"
#include "server/vault/tpm/half.h"
#include "server/vault/tpm/keys.h"
#include "server/vault/tpm/make.h"
#include "server/vault/tpm/rows.h"

static rc_t read_approver(struct bytes pem, TPM2B_PUBLIC *out)
{
    struct p256_point point;
    AUTO_P256 key = {NULL};
    TRY(p256_read_public(pem, &key));
    TRY(p256_point_of(&key, &point));
    template_auth(out, &point);
    return RC_OK;
}

static rc_t make_root(struct tpm *t, const TPM2B_PUBLIC *auth, bool aes_256, struct buf *pub_out,
                      struct buf *priv_out)
{
    struct node_name name;
    struct root_policy policy;
    TPM2B_PUBLIC wanted, pub;
    TPM2B_PRIVATE priv;
    TRY(template_name(auth, &name));
    TRY(policy_of_root(&name, &policy));
    template_cr(&wanted, aes_256 ? 256 : 128, policy.root.raw);
    TRY(key_create(t, t->srk, ESYS_TR_NONE, &wanted, NULL, NULL, &pub, &priv));
    TRY(public_write(&pub, pub_out));
    return private_write(&priv, priv_out);
}

static rc_t begin(struct tpm *t, const struct init_options *o, bool self_approved,
                  struct buf *pending_out, struct buf *request_out, struct vault_report *report)
{
    struct tpm_facts facts;
    TPM2B_PUBLIC auth;
    const char *missing;
    struct hierarchy_node node = {.cr_id = 1};
    struct hierarchy_cr cr = {.id = 1, .state = HIERARCHY_ACTIVE};
    struct half h = {.kind = REQUEST_INIT,
                     .state.self_approved = self_approved,
                     .rows = {.node_count = 1, .nodes = &node, .cr_count = 1, .crs = &cr}};
    AUTO_BUF cr_pub = BUF_EMPTY;
    AUTO_BUF cr_priv = BUF_EMPTY;
    AUTO_BUF auth_pub = BUF_EMPTY;
    TRY(half_settings(o, &h, &node, report));
    if (read_approver(o->auth_pub, &auth) != RC_OK)
        return vault_report_set(report, VAULT_NONE, RC_CRYPTO,
                                "the approver's key is not a public P-256 key in PEM");
    rc_t rc = tpm_facts(t, &facts);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the TPM does not answer");
    rc = tpm_facts_suffice(&facts, &missing);
    if (rc != RC_OK)
        return vault_report_set(report, VAULT_NONE, rc, "this TPM lacks %s", missing);
    rc = make_root(t, &auth, facts.aes_256, &cr_pub, &cr_priv);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the cluster root cannot be made");
    TRY(public_write(&auth, &auth_pub));
    cr.pub = buf_view(&cr_pub);
    cr.auth_pub = buf_view(&auth_pub);
    node.cr_priv = buf_view(&cr_priv);
    return half_begin(t, &h, o->replace_nv, pending_out, request_out, report);
}

rc_t init_begin(struct tpm *t, const struct init_options *o, struct buf *pending_out,
                struct buf *request_out, struct vault_report *report)
{
    vault_report_set(report, VAULT_NONE, RC_INTERNAL, NULL);
    rc_t rc = begin(t, o, false, pending_out, request_out, report);
    return rc == RC_OK ? vault_report_set(report, VAULT_CEREMONY_WAIT, rc, NULL) : rc;
}

/* ---- second half ---- */

struct made {
    struct made_row cs, ep, dk;
    uint8_t nv_auth[NV_AUTH_STORED], escrow_digest[32];
};
#define AUTO_MADE __attribute__((cleanup(made_free))) struct made
static void made_free(struct made *m)
{
    made_row_free(&m->cs);
    made_row_free(&m->ep);
    made_row_free(&m->dk);
}

static rc_t make_escrow(struct half_open *o, struct made *made, struct buf *escrow)
{
    struct duplicate dup;
    AUTO_SECRET inner = NULL;
    TRY(root_duplicate(&o->root, &o->response.rec_pub, &o->response.dup, &dup, &inner));
    TRY(escrow_write(&o->root.pub, &o->root.auth_pub, &dup, inner, escrow));
    if (EVP_Digest(escrow->data, escrow->len, made->escrow_digest, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    o->half.rows.crs->escrow_digest = bytes_of(made->escrow_digest, sizeof made->escrow_digest);
    return RC_OK;
}

/* Cluster secret, first epoch parent, first domain key, and the counters' authorisation. */
static rc_t make_keys(struct tpm *t, struct half_open *o, struct made *made,
                      struct hierarchy_cs *cs_row, struct hierarchy_ep *ep_row,
                      struct hierarchy_dk *dk_row)
{
    AUTO_SECRET cs = NULL;
    AUTO_SECRET row_mac = NULL;
    AUTO_SECRET dk = NULL;
    AUTO_HANDLE ep = tpm_handle_of(t);
    struct hierarchy_node *node = o->half.rows.nodes;
    TRY(make_random(t, VAULT_KEY_BYTES, &cs));
    TRY(make_random(t, VAULT_KEY_BYTES, &dk));
    TRY(rows_mac_key(cs, &row_mac));
    TRY(make_cs(&o->root, cs, cs_row, &made->cs));
    TRY(make_ep(&o->root, cs, row_mac, ep_row, &made->ep));
    TRY(make_ep_load(&o->root, cs, ep_row, &ep));
    tpm_handle_flush(&o->root.key); /* makes room: some TPMs want a slot for Create */
    TRY(make_dk(t, ep.tr, row_mac, dk, dk_row, &made->dk));
    TRY(make_nv_auth_store(cs, &node->id, o->nv_auth, made->nv_auth));
    node->nv_auth = bytes_of(made->nv_auth, sizeof made->nv_auth);
    return RC_OK;
}

static rc_t finish(struct tpm *t, struct bytes pending, struct bytes response,
                   struct ceremony_result *out, struct vault_report *report)
{
    AUTO_HALF o = {.nv_auth = NULL};
    AUTO_MADE made = {.cs.pub = BUF_EMPTY};
    TRY(half_finish(t, REQUEST_INIT, pending, response, &o, report));
    struct hierarchy_cs cs = {.cr_id = 1};
    struct hierarchy_ep ep = {.epoch = 1, .cr_id = 1, .state = HIERARCHY_ACTIVE};
    struct hierarchy_dk dk = {
        .domain = o.half.domain, .epoch = 1, .ep_epoch = 1, .state = HIERARCHY_ACTIVE};
    rc_t rc = make_escrow(&o, &made, &out->escrow);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the escrow cannot be made");
    rc = make_keys(t, &o, &made, &cs, &ep, &dk);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the keys cannot be made");
    struct hierarchy *rows = &o.half.rows;
    rows->css = &cs;
    rows->eps = &ep;
    rows->dks = &dk;
    rows->cs_count = rows->ep_count = rows->dk_count = 1;
    TRY(hierarchy_encode(rows, &out->hierarchy));
    return node_state_encode(&o.half.state, &out->node_state);
}

rc_t init_finish(struct tpm *t, struct bytes pending, struct bytes response,
                 struct ceremony_result *out, struct vault_report *report)
{
    *out = (struct ceremony_result){.hierarchy = BUF_EMPTY};
    vault_report_set(report, VAULT_NONE, RC_INTERNAL, NULL);
    rc_t rc = finish(t, pending, response, out, report);
    if (rc == RC_OK)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, rc,
                                "no proof yet that the escrow can be opened");
    ceremony_result_free(out);
    return rc;
}

/* ---- all on one machine ---- */

static rc_t self_approve(struct tpm *t, const struct init_options *options, struct self_keys *keys,
                         struct ceremony_result *out, struct vault_report *report)
{
    struct init_options o = *options;
    AUTO_BUF pending = BUF_EMPTY;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    AUTO_BUF proof = BUF_EMPTY;
    TRY(ceremony_key_new(&keys->auth_key, &keys->auth_pub));
    TRY(ceremony_key_new(&keys->rec_key, &keys->rec_pub));
    o.auth_pub = buf_view(&keys->auth_pub);
    TRY(begin(t, &o, true, &pending, &request, report));
    TRY(approve_request(buf_view(&request), buf_view(&keys->auth_key), buf_view(&keys->rec_pub),
                        &response));
    TRY(finish(t, buf_view(&pending), buf_view(&response), out, report));
    rc_t rc = escrow_check(buf_view(&out->escrow), buf_view(&keys->rec_key), &proof);
    if (rc == RC_OK)
        rc = escrow_confirm(&out->hierarchy, buf_view(&proof));
    return rc == RC_OK ? RC_OK
                       : vault_report_set(report, VAULT_CEREMONY_WAIT, rc,
                                          "the escrow cannot be opened by the recovery key");
}

rc_t init_self_approve(struct tpm *t, const struct init_options *o, struct self_keys *keys_out,
                       struct ceremony_result *out, struct vault_report *report)
{
    *out = (struct ceremony_result){.hierarchy = BUF_EMPTY};
    *keys_out = (struct self_keys){.auth_key = BUF_EMPTY};
    vault_report_set(report, VAULT_NONE, RC_INTERNAL, NULL);
    rc_t rc = self_approve(t, o, keys_out, out, report);
    if (rc == RC_OK)
        return vault_report_set(report, VAULT_SEALED, rc, NULL);
    ceremony_result_free(out);
    self_keys_free(keys_out);
    return rc;
}
