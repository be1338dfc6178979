/*
 * The cluster root and its policy sessions. See root.h.
 */
#include "server/vault/tpm/root.h"

#include <openssl/rand.h>
#include <time.h>

#include "proto/base/wipe.h"

void policy_jitter(void)
{
    uint8_t random = 128;
    (void)RAND_bytes(&random, 1); /* a fixed wait is as good when there is no random */
    nanosleep(&(struct timespec){.tv_nsec = (1 + random / 8) * 1000000L}, NULL);
}

/* ---- sessions ---- */

static rc_t session_new(struct tpm *t, struct tpm_handle *out)
{
    TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    *out = tpm_handle_of(t);
    TRY(TPM_RUN(t, "StartAuthSession(policy)",
                Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none,
                                      TPM2_ALG_SHA256, &out->tr)));
    /* Kept after use, so that it is flushed on every path alike; a used one authorises nothing. */
    return TPM_RUN(t, "policy session",
                   Esys_TRSess_SetAttributes(t->esys, out->tr, TPMA_SESSION_CONTINUESESSION, 0xff));
}

static rc_t run_pcr(struct tpm *t, ESYS_TR session, uint32_t mask)
{
    /* An empty digest: the TPM takes its present values; the approval binds what they must be. */
    TPM2B_DIGEST present = {0};
    TPML_PCR_SELECTION pcrs = {.count = 1,
                               .pcrSelections[0] = {.hash = TPM2_ALG_SHA256, .sizeofSelect = 3}};
    for (size_t i = 0; i < 3; i++)
        pcrs.pcrSelections[0].pcrSelect[i] = (BYTE)(mask >> 8 * i);
    return TPM_RUN(t, "PolicyPCR",
                   Esys_PolicyPCR(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &present, &pcrs));
}

rc_t policy_session_pcr(struct tpm *t, uint32_t mask, struct tpm_handle *out)
{
    TRY(session_new(t, out));
    return run_pcr(t, out->tr, mask);
}

/* The TPM checks AUTH's signature over an approval and says so in a ticket. */
static rc_t verify(struct root *r, const struct approval *a, const char *ref,
                   TPMT_TK_VERIFIED *ticket)
{
    AUTO_HANDLE auth = tpm_handle_of(r->t);
    AUTO_ESYS TPMT_TK_VERIFIED *got = NULL;
    TPM2B_DIGEST digest = {.size = 32};
    TPMT_SIGNATURE sig = {
        .sigAlg = TPM2_ALG_ECDSA,
        .signature.ecdsa = {.hash = TPM2_ALG_SHA256, .signatureR.size = 32, .signatureS.size = 32}};
    memcpy(sig.signature.ecdsa.signatureR.buffer, a->signature, 32);
    memcpy(sig.signature.ecdsa.signatureS.buffer, a->signature + 32, 32);
    TRY(policy_to_sign(&a->policy, ref, digest.buffer));
    TRY(tpm_load_public(r->t, &r->auth_pub, &auth));
    rc_t rc = TPM_RUN(r->t, "VerifySignature(approval)",
                      Esys_VerifySignature(r->t->esys, auth.tr, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, &digest, &sig, &got));
    if (rc != RC_OK)
        return tpm_last_format_one(r->t) == TPM2_RC_SIGNATURE ? RC_TPM_LOCKED : rc;
    *ticket = *got;
    return RC_OK;
}

static rc_t authorize_and_or(struct root *r, ESYS_TR session, const struct approval *a,
                             const char *ref, const TPMT_TK_VERIFIED *ticket)
{
    struct tpm *t = r->t;
    TPM2B_DIGEST approved = {.size = 32};
    TPM2B_NONCE reference = {.size = (UINT16)strlen(ref)};
    TPM2B_NAME key = {.size = NODE_NAME_BYTES};
    TPML_DIGEST branches = {.count = 2, .digests = {{.size = 32}, {.size = 32}}};
    memcpy(approved.buffer, a->policy.raw, 32);
    memcpy(reference.buffer, ref, reference.size);
    memcpy(key.name, r->auth_name.raw, NODE_NAME_BYTES);
    memcpy(branches.digests[0].buffer, r->policy.use.raw, 32);
    memcpy(branches.digests[1].buffer, r->policy.dup.raw, 32);
    rc_t rc = TPM_RUN(t, "PolicyAuthorize",
                      Esys_PolicyAuthorize(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, &approved, &reference, &key, ticket));
    if (rc != RC_OK)
        return tpm_last_format_one(t) == TPM2_RC_VALUE ? RC_TPM_LOCKED : rc;
    return TPM_RUN(
        t, "PolicyOR",
        Esys_PolicyOR(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &branches));
}

/* The use branch: boot state, approval counter, AUTH's word for both. */
static rc_t session_use(struct root *r, struct tpm_handle *out)
{
    struct tpm *t = r->t;
    ESYS_TR nv;
    TPM2B_OPERAND value = {.size = 8};
    store_be64(value.buffer, r->counter);
    TRY(tpm_nv_handle(t, r->nv_index, &nv));
    TRY(policy_session_pcr(t, r->pcr_mask, out));
    rc_t rc = TPM_RUN(t, "PolicyNV",
                      Esys_PolicyNV(t->esys, ESYS_TR_RH_OWNER, nv, out->tr, tpm_session(t, 0),
                                    ESYS_TR_NONE, ESYS_TR_NONE, &value, 0, TPM2_EO_EQ));
    if (rc != RC_OK)
        return tpm_last_code(t) == TPM_CODE_POLICY_NV ? RC_TPM_LOCKED : rc;
    return authorize_and_or(r, out->tr, &r->use, POLICY_REF_USE, &r->ticket);
}

/* ---- one command under the use branch, once more when a PCR moved ---- */

typedef rc_t root_fn(struct root *r, ESYS_TR session, void *arg);

static rc_t under_policy(struct root *r, root_fn *run, void *arg)
{
    for (unsigned tries = 1;; tries++) {
        AUTO_HANDLE session = tpm_handle_of(r->t);
        rc_t rc = session_use(r, &session);
        if (rc == RC_OK)
            rc = run(r, session.tr, arg);
        if (rc == RC_OK || tpm_last_code(r->t) != TPM_CODE_PCR_CHANGED)
            return rc;
        if (tries == ROOT_PCR_TRIES)
            return RC_UNAVAILABLE; /* not locked: something keeps measuring */
        policy_jitter();
    }
}

rc_t root_open(struct root *r, const TPM2B_PRIVATE *priv)
{
    struct tpm *t = r->t;
    TPM2B_PUBLIC wide, narrow;
    r->key = tpm_handle_of(t);
    TRY(template_name(&r->pub, &r->name));
    TRY(template_name(&r->auth_pub, &r->auth_name));
    TRY(policy_of_root(&r->auth_name, &r->policy));
    template_cr(&wide, 256, r->policy.root.raw);
    template_cr(&narrow, 128, r->policy.root.raw);
    if (!template_fits(&r->pub, &wide) && !template_fits(&r->pub, &narrow))
        return tpm_fail(t, RC_INTEGRITY, "the cluster root is not of our template");
    TRY(TPM_RUN(t, "Load(cluster root)",
                Esys_Load(t->esys, t->srk, tpm_session(t, TPM_CRYPT_IN), ESYS_TR_NONE, ESYS_TR_NONE,
                          priv, &r->pub, &r->key.tr)));
    return verify(r, &r->use, POLICY_REF_USE, &r->ticket);
}

void root_close(struct root *r)
{
    tpm_handle_flush(&r->key);
    wipe(r, sizeof *r);
}

/* ---- commands ---- */

rc_t key_create(struct tpm *t, ESYS_TR parent, ESYS_TR session, const TPM2B_PUBLIC *template,
                const struct secret *auth, const struct secret *data, TPM2B_PUBLIC *pub,
                TPM2B_PRIVATE *priv)
{
    TPM2B_SENSITIVE_CREATE in = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    AUTO_ESYS TPM2B_PRIVATE *made_priv = NULL;
    AUTO_ESYS TPM2B_PUBLIC *made_pub = NULL;
    if ((auth && auth->len > 32) || (data && data->len > 128))
        return RC_INTERNAL;
    if (auth) {
        in.sensitive.userAuth.size = (UINT16)auth->len;
        memcpy(in.sensitive.userAuth.buffer, auth->data, auth->len);
    }
    if (data) {
        in.sensitive.data.size = (UINT16)data->len;
        memcpy(in.sensitive.data.buffer, data->data, data->len);
    }
    ESYS_TR encrypt = tpm_session(t, TPM_CRYPT_IN);
    bool own = session == ESYS_TR_NONE; /* the HMAC session authorises as well */
    rc_t rc = TPM_RUN(t, "Create",
                      Esys_Create(t->esys, parent, own ? encrypt : session,
                                  own ? ESYS_TR_NONE : encrypt, ESYS_TR_NONE, &in, template,
                                  &outside, &pcrs, &made_priv, &made_pub, NULL, NULL, NULL));
    wipe(&in, sizeof in);
    TRY(rc);
    *pub = *made_pub;
    *priv = *made_priv;
    return RC_OK;
}

struct create_job {
    const TPM2B_PUBLIC *template;
    const struct secret *auth, *data;
    TPM2B_PUBLIC *pub;
    TPM2B_PRIVATE *priv;
};

static rc_t run_create(struct root *r, ESYS_TR session, void *arg)
{
    struct create_job *j = arg;
    return key_create(r->t, r->key.tr, session, j->template, j->auth, j->data, j->pub, j->priv);
}

rc_t root_create(struct root *r, const TPM2B_PUBLIC *template, const struct secret *auth,
                 const struct secret *data, TPM2B_PUBLIC *pub, TPM2B_PRIVATE *priv)
{
    struct create_job job = {template, auth, data, pub, priv};
    return under_policy(r, run_create, &job);
}

struct load_job {
    const TPM2B_PUBLIC *pub;
    const TPM2B_PRIVATE *priv;
    ESYS_TR made;
};

static rc_t run_load(struct root *r, ESYS_TR session, void *arg)
{
    struct load_job *j = arg;
    return TPM_RUN(r->t, "Load",
                   Esys_Load(r->t->esys, r->key.tr, session, tpm_session(r->t, TPM_CRYPT_IN),
                             ESYS_TR_NONE, j->priv, j->pub, &j->made));
}

rc_t root_load(struct root *r, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv,
               struct tpm_handle *out)
{
    struct load_job job = {pub, priv, ESYS_TR_NONE};
    *out = tpm_handle_of(r->t);
    TRY(under_policy(r, run_load, &job));
    out->tr = job.made;
    return RC_OK;
}

rc_t root_duplicate(struct root *r, const TPM2B_PUBLIC *target, const struct approval *dup,
                    struct duplicate *out, struct secret **inner_key)
{
    struct tpm *t = r->t;
    struct node_name target_name;
    TPMT_TK_VERIFIED ticket;
    TPM2B_NAME object = {.size = NODE_NAME_BYTES}, parent = {.size = NODE_NAME_BYTES};
    TPMT_SYM_DEF_OBJECT aes = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    AUTO_HANDLE session = tpm_handle_of(t), outside = tpm_handle_of(t);
    AUTO_ESYS TPM2B_DATA *key = NULL;
    AUTO_ESYS TPM2B_PRIVATE *priv = NULL;
    AUTO_ESYS TPM2B_ENCRYPTED_SECRET *seed = NULL;
    AUTO_SECRET inner = NULL;

    aes.keyBits.aes = r->pub.publicArea.parameters.eccDetail.symmetric.keyBits.aes;
    TRY(template_name(target, &target_name));
    memcpy(object.name, r->name.raw, NODE_NAME_BYTES);
    memcpy(parent.name, target_name.raw, NODE_NAME_BYTES);
    TRY(verify(r, dup, POLICY_REF_DUP, &ticket));
    TRY(session_new(t, &session));
    TRY(TPM_RUN(t, "PolicyDuplicationSelect",
                Esys_PolicyDuplicationSelect(t->esys, session.tr, ESYS_TR_NONE, ESYS_TR_NONE,
                                             ESYS_TR_NONE, &object, &parent, TPM2_YES)));
    TRY(authorize_and_or(r, session.tr, dup, POLICY_REF_DUP, &ticket));
    TRY(tpm_load_public(t, target, &outside));
    rc_t rc = TPM_RUN(t, "Duplicate(cluster root)",
                      Esys_Duplicate(t->esys, r->key.tr, outside.tr, session.tr,
                                     tpm_session(t, TPM_CRYPT_OUT), ESYS_TR_NONE, NULL, &aes, &key,
                                     &priv, &seed));
    TRY(rc);
    tpm_scrub(t);
    rc = secret_from(bytes_of(key->buffer, key->size), &inner);
    wipe(key, sizeof *key);
    TRY(rc);
    out->priv = *priv;
    out->seed = *seed;
    *inner_key = secret_give(&inner);
    return RC_OK;
}

rc_t sealed_read(struct tpm *t, ESYS_TR object, ESYS_TR session, struct secret **out)
{
    AUTO_ESYS TPM2B_SENSITIVE_DATA *data = NULL;
    bool own = session == ESYS_TR_NONE;
    ESYS_TR encrypt = tpm_session(t, TPM_CRYPT_OUT);
    TRY(TPM_RUN(t, "Unseal",
                Esys_Unseal(t->esys, object, own ? encrypt : session, own ? ESYS_TR_NONE : encrypt,
                            ESYS_TR_NONE, &data)));
    tpm_scrub(t);
    rc_t rc = secret_from(bytes_of(data->buffer, data->size), out);
    wipe(data, sizeof *data);
    return rc;
}

rc_t sealed_open(struct tpm *t, ESYS_TR parent, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv,
                 struct secret **out)
{
    AUTO_HANDLE object = tpm_handle_of(t);
    TRY(TPM_RUN(t, "Load(sealed)",
                Esys_Load(t->esys, parent, tpm_session(t, TPM_CRYPT_IN), ESYS_TR_NONE, ESYS_TR_NONE,
                          priv, pub, &object.tr)));
    return sealed_read(t, object.tr, ESYS_TR_NONE, out);
}
