/*
 * Both halves of a ceremony. See half.h.
 */
#include "server/vault/tpm/half.h"

#include "server/vault/tpm/attest.h"
#include "server/vault/tpm/counter.h"
#include "server/vault/tpm/make.h"
#include "server/vault/tpm/pack.h"
#include "server/vault/tpm/rows.h"

static const char magic[] = "HFPEND01";

rc_t half_fail(struct tpm *t, struct vault_report *report, rc_t rc, const char *what)
{
    enum vault_state state = rc == RC_TPM_LOCKED    ? VAULT_LOCKED
                             : rc == RC_TPM_FOREIGN ? VAULT_FOREIGN
                                                    : VAULT_NONE;
    const char *why = rc == RC_TPM || rc == RC_TPM_LOCKED ? tpm_last_error(t) : rc_text(rc);
    return vault_report_set(report, state, rc, "%s: %s", what, why);
}

rc_t half_settings(const struct init_options *o, struct half *h, struct hierarchy_node *node,
                   struct vault_report *report)
{
    const uint32_t owner_first = 0x01800000, owner_last = 0x01bffffe;
    uint32_t base = o->nv_base ? o->nv_base : NV_BASE_DEFAULT;
    node->pcr_mask = o->pcr_mask ? o->pcr_mask : TPM_PCR_DEFAULT_MASK;
    if (node->pcr_mask >> TPM_PCR_COUNT)
        return vault_report_set(report, VAULT_NONE, RC_CONFIG, "PCRs are numbered 0 to 23");
    if (base < owner_first || base > owner_last)
        return vault_report_set(report, VAULT_NONE, RC_CONFIG,
                                "NV index 0x%08x is outside the owner's range", base);
    h->domain = o->domain ? o->domain : 1;
    h->state.node = o->node;
    if (uid_is_nil(&o->node))
        TRY(uid_new(&h->state.node));
    h->state.nv_policy = base;
    h->state.nv_checkpoint = base + 1;
    node->id = h->state.node;
    return RC_OK;
}

/* ---- first half ---- */

/* Where the TCG puts EK certificates: ECC P-256, RSA 2048, ECC P-384 (EK credential profile). */
static const uint32_t ek_indices[] = {0x01c0000a, 0x01c00002, 0x01c00016};

static rc_t read_nv(struct tpm *t, uint32_t index, struct buf *out)
{
    enum { CHUNK = 256 };
    ESYS_TR nv;
    AUTO_ESYS TPM2B_NV_PUBLIC *pub = NULL;
    TRY(tpm_nv_handle(t, index, &nv));
    TRY(TPM_RUN(
        t, "NV_ReadPublic",
        Esys_NV_ReadPublic(t->esys, nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &pub, NULL)));
    size_t len = pub->nvPublic.dataSize;
    for (size_t at = 0; at < len; at += CHUNK) {
        AUTO_ESYS TPM2B_MAX_NV_BUFFER *data = NULL;
        size_t want = len - at < CHUNK ? len - at : CHUNK;
        TRY(TPM_RUN(t, "NV_Read(EK certificate)",
                    Esys_NV_Read(t->esys, nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                 (UINT16)want, (UINT16)at, &data)));
        TRY(buf_add(out, data->buffer, data->size));
    }
    return RC_OK;
}

rc_t half_ek_cert(struct tpm *t, struct buf *out)
{
    for (size_t i = 0; i < sizeof ek_indices / sizeof ek_indices[0]; i++) {
        buf_clear(out);
        rc_t rc = read_nv(t, ek_indices[i], out);
        if (rc == RC_OK && out->len && out->len <= HIERARCHY_FIELD_MAX)
            return RC_OK;
        if (!tpm_connected(t))
            return rc;
    }
    buf_clear(out); /* none, or not readable: said so in the request */
    return RC_OK;
}

/* The handle goes at once: the key is made anew whenever it signs. */
static rc_t make_ak(struct tpm *t, struct node_name *name, TPM2B_PUBLIC *pub_out)
{
    AUTO_HANDLE ak = tpm_handle_of(t);
    return attest_key(t, &ak, name, pub_out);
}

static rc_t make_counters(struct tpm *t, const struct half *h, bool replace,
                          const struct secret *auth, uint64_t *value)
{
    const struct node_state *s = &h->state;
    if (replace) {
        TRY(counter_remove(t, s->nv_policy));
        TRY(counter_remove(t, s->nv_checkpoint));
    }
    TRY(counter_make(t, s->nv_checkpoint, COUNTER_CHECKPOINT, &s->node, auth));
    TRY(counter_make(t, s->nv_policy, COUNTER_POLICY, &s->node, auth));
    return counter_read(t, s->nv_policy, value);
}

/* The authorisation is needed again in the second half; until then only this boot state opens it.
 */
static rc_t seal_nv_auth(struct tpm *t, const struct request *r, const struct secret *auth,
                         struct buf *pub_out, struct buf *priv_out)
{
    uint8_t digest[32];
    struct policy policy = {{0}};
    TPM2B_PUBLIC wanted, pub;
    TPM2B_PRIVATE priv;
    TRY(policy_pcr_digest(r->pcr_mask, (const uint8_t(*)[TPM_PCR_BYTES])r->pcrs, digest));
    TRY(policy_pcr(&policy, r->pcr_mask, digest));
    template_pending(&wanted, policy.raw);
    TRY(key_create(t, t->srk, ESYS_TR_NONE, &wanted, NULL, auth, &pub, &priv));
    TRY(public_write(&pub, pub_out));
    return private_write(&priv, priv_out);
}

static rc_t write_pending(const struct half *h, struct buf *out)
{
    uint8_t head[9] = {(uint8_t)h->kind};
    AUTO_BUF state = BUF_EMPTY;
    AUTO_BUF rows = BUF_EMPTY;
    store_be64(head + 1, h->domain);
    TRY(node_state_encode(&h->state, &state));
    TRY(hierarchy_encode(&h->rows, &rows));
    size_t start = out->len;
    TRY(pack_begin(out, magic));
    TRY(pack_add(out, bytes_of(head, sizeof head)));
    TRY(pack_add(out, buf_view(&state)));
    TRY(pack_add(out, buf_view(&rows)));
    TRY(pack_add(out, h->nv_pub));
    TRY(pack_add(out, h->nv_priv));
    return pack_end(out, start);
}

static rc_t describe_tpm(struct tpm *t, struct half *h, struct request *r)
{
    struct tpm_facts facts;
    TRY(tpm_facts(t, &facts));
    memcpy(r->manufacturer, facts.manufacturer, sizeof r->manufacturer);
    r->software = h->state.software_tpm = facts.software;
    TRY(tpm_pcr_read(t, r->pcr_mask, r->pcrs));
    return half_ek_cert(t, &r->ek_cert);
}

rc_t half_begin(struct tpm *t, struct half *h, bool replace_nv, struct buf *pending_out,
                struct buf *request_out, struct vault_report *report)
{
    struct hierarchy_node *node = h->rows.nodes;
    const struct hierarchy_cr *cr = h->rows.crs;
    AUTO_BUF ak_pub = BUF_EMPTY;
    AUTO_BUF srk_pub = BUF_EMPTY;
    AUTO_BUF nv_pub = BUF_EMPTY;
    AUTO_BUF nv_priv = BUF_EMPTY;
    AUTO_SECRET auth = NULL;
    AUTO_REQUEST r = {.kind = h->kind,
                      .node = h->state.node,
                      .pcr_mask = node->pcr_mask,
                      .nv_index = h->state.nv_policy};
    TRY(public_read(cr->pub, &r.cr_pub));
    TRY(public_read(cr->auth_pub, &r.auth_pub));
    TRY(template_name(&r.cr_pub, &h->state.cr));
    TRY(template_name(&r.auth_pub, &h->state.auth));
    h->state.srk = t->srk_name;

    rc_t rc = describe_tpm(t, h, &r);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the TPM cannot be described");
    rc = make_ak(t, &h->state.ak, &r.ak_pub);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the attestation key cannot be made");
    rc = make_random(t, NV_AUTH_BYTES, &auth);
    if (rc == RC_OK)
        rc = make_counters(t, h, replace_nv, auth, &r.counter);
    if (rc == RC_NAME_TAKEN)
        return vault_report_set(report, VAULT_NONE, rc,
                                "the TPM has NV indices 0x%08x or 0x%08x already: another vault's, "
                                "or an init that did not end; choose other indices or say that "
                                "they may be replaced",
                                h->state.nv_policy, h->state.nv_checkpoint);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the NV counters cannot be made");
    rc = seal_nv_auth(t, &r, auth, &nv_pub, &nv_priv);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the counters' authorisation cannot be sealed");

    TRY(public_write(&r.ak_pub, &ak_pub));
    TRY(public_write(&t->srk_public, &srk_pub));
    node->ak_pub = buf_view(&ak_pub);
    node->srk_pub = buf_view(&srk_pub);
    node->ek_cert = buf_view(&r.ek_cert);
    node->approval = r.counter;
    h->nv_pub = buf_view(&nv_pub);
    h->nv_priv = buf_view(&nv_priv);
    TRY(request_compute(&r));
    TRY(request_write(&r, request_out));
    return write_pending(h, pending_out);
}

/* ---- second half ---- */

void half_close(struct half_open *o)
{
    root_close(&o->root);
    secret_free(&o->nv_auth);
    arena_free(&o->arena);
}

static rc_t read_pending(struct bytes in, struct half_open *o)
{
    struct half *h = &o->half;
    struct bytes fields, head, state, rows;
    TRY(pack_open(in, magic, &fields));
    TRY(pack_take(&fields, 9, &head));
    TRY(pack_take(&fields, NODE_STATE_MAX, &state));
    TRY(pack_take(&fields, HIERARCHY_BYTES_MAX, &rows));
    TRY(pack_take(&fields, sizeof(TPM2B_PUBLIC), &h->nv_pub));
    TRY(pack_take(&fields, sizeof(TPM2B_PRIVATE), &h->nv_priv));
    if (fields.len || head.len != 9 || head.data[0] >= REQUEST_KINDS)
        return RC_BAD_MESSAGE;
    h->kind = (enum request_kind)head.data[0];
    h->domain = load_be64(head.data + 1);
    TRY(node_state_decode(state, &h->state));
    TRY(hierarchy_decode(rows, &o->arena, &h->rows));
    return h->rows.node_count == 1 && h->rows.cr_count == 1 ? RC_OK : RC_BAD_MESSAGE;
}

static rc_t open_nv_auth(struct tpm *t, struct half_open *o)
{
    TPM2B_PUBLIC pub;
    TPM2B_PRIVATE priv;
    AUTO_HANDLE object = tpm_handle_of(t);
    AUTO_HANDLE session = tpm_handle_of(t);
    TRY(public_read(o->half.nv_pub, &pub));
    TRY(private_read(o->half.nv_priv, &priv));
    TRY(TPM_RUN(t, "Load(counters' authorisation)",
                Esys_Load(t->esys, t->srk, tpm_session(t, TPM_CRYPT_IN), ESYS_TR_NONE, ESYS_TR_NONE,
                          &priv, &pub, &object.tr)));
    TRY(policy_session_pcr(t, o->half.rows.nodes->pcr_mask, &session));
    return sealed_read(t, object.tr, session.tr, &o->nv_auth);
}

static rc_t check_response(struct half_open *o, struct vault_report *report)
{
    const struct hierarchy_node *node = o->half.rows.nodes;
    const struct response *a = &o->response;
    if (a->kind != o->half.kind || !uid_equal(&a->node, &node->id) ||
        a->counter != node->approval || a->pcr_mask != node->pcr_mask)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, RC_BAD_MESSAGE,
                                "the response answers another request");
    if (a->kind == REQUEST_INIT && !a->has_rec)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, RC_BAD_MESSAGE,
                                "the response names no recovery key");
    if (response_check(a, &o->root.auth_pub, &o->root.pub) != RC_OK)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, RC_INTEGRITY,
                                "the response is not signed by the approver's key");
    return RC_OK;
}

rc_t half_finish(struct tpm *t, enum request_kind kind, struct bytes pending, struct bytes response,
                 struct half_open *o, struct vault_report *report)
{
    TPM2B_PRIVATE priv;
    *o = (struct half_open){.arena = ARENA_OF(HIERARCHY_BYTES_MAX), .root.t = t};
    if (read_pending(pending, o) != RC_OK || o->half.kind != kind ||
        public_read(o->half.rows.crs->pub, &o->root.pub) != RC_OK ||
        public_read(o->half.rows.crs->auth_pub, &o->root.auth_pub) != RC_OK ||
        private_read(o->half.rows.nodes->cr_priv, &priv) != RC_OK)
        return vault_report_set(report, VAULT_NONE, RC_BAD_MESSAGE,
                                "what was kept of the ceremony is damaged or of another kind; "
                                "begin again");
    if (response_read(response, &o->response) != RC_OK)
        return vault_report_set(report, VAULT_CEREMONY_WAIT, RC_BAD_MESSAGE,
                                "the response cannot be read");
    TRY(check_response(o, report));
    rc_t rc = tpm_ready(t);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the TPM does not answer");
    if (memcmp(t->srk_name.raw, o->half.state.srk.raw, NODE_NAME_BYTES) != 0)
        return vault_report_set(report, VAULT_FOREIGN, RC_TPM_FOREIGN,
                                "the ceremony was begun on another TPM");
    rc = open_nv_auth(t, o);
    if (rc != RC_OK)
        return half_fail(t, report, rc, "the boot state changed since the ceremony began");
    o->root.nv_index = o->half.state.nv_policy;
    o->root.pcr_mask = o->response.pcr_mask;
    o->root.counter = o->response.counter;
    o->root.use = o->response.use;
    struct hierarchy_node *node = o->half.rows.nodes;
    node->use_policy = bytes_of(o->response.use.policy.raw, sizeof o->response.use.policy.raw);
    node->use_sig = bytes_of(o->response.use.signature, ROOT_SIGNATURE);
    rc = root_open(&o->root, &priv);
    return rc == RC_OK ? RC_OK : half_fail(t, report, rc, "the cluster root cannot be opened");
}
