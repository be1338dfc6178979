/*
 * The approver's side of ceremonies, for an offline machine: signing requests, opening the escrow,
 * making keys. No TPM, no network, no state.
 */
#include <openssl/evp.h>

#include "server/vault/tpm/ceremony.h"
#include "server/vault/tpm/escrow.h"
#include "server/vault/tpm/p256.h"
#include "server/vault/tpm/request.h"
#include "server/vault/tpm/rows.h"

static rc_t sign_approval(const struct p256 *auth, const char *ref, struct approval *a)
{
    uint8_t digest[32];
    TRY(policy_to_sign(&a->policy, ref, digest));
    return p256_sign(auth, digest, a->signature);
}

/* The request's root must be under this approver's policy, and this key the approver's. */
static rc_t check_request(const struct request *r, const struct p256 *auth)
{
    struct p256_point point;
    struct node_name name;
    struct root_policy policy;
    TPM2B_PUBLIC own, wide, narrow;
    TRY(p256_point_of(auth, &point));
    template_auth(&own, &point);
    if (!template_fits(&r->auth_pub, &own) ||
        memcmp(&own.publicArea.unique.ecc, &r->auth_pub.publicArea.unique.ecc,
               sizeof own.publicArea.unique.ecc) != 0)
        return RC_CRYPTO;
    TRY(template_name(&own, &name));
    TRY(policy_of_root(&name, &policy));
    template_cr(&wide, 256, policy.root.raw);
    template_cr(&narrow, 128, policy.root.raw);
    return template_fits(&r->cr_pub, &wide) || template_fits(&r->cr_pub, &narrow) ? RC_OK
                                                                                  : RC_BAD_MESSAGE;
}

static rc_t sign_escrow(const struct request *r, const struct p256 *auth, struct bytes rec_pem,
                        struct response *out)
{
    struct p256_point point;
    struct node_name cr, target;
    AUTO_P256 rec = {NULL};
    TRY(p256_read_public(rec_pem, &rec));
    TRY(p256_point_of(&rec, &point));
    template_rec(&out->rec_pub, &point);
    TRY(template_name(&r->cr_pub, &cr));
    TRY(template_name(&out->rec_pub, &target));
    TRY(policy_of_dup(&cr, &target, &out->dup.policy));
    out->has_rec = true;
    return sign_approval(auth, POLICY_REF_DUP, &out->dup);
}

rc_t approve_request(struct bytes request, struct bytes auth_key, struct bytes rec_pub,
                     struct buf *response_out)
{
    AUTO_REQUEST r = {.ek_cert = BUF_EMPTY};
    AUTO_P256 auth = {NULL};
    TRY(request_read(request, &r));
    TRY(p256_read_private(auth_key, &auth));
    TRY(check_request(&r, &auth));
    struct response answer = {.kind = r.kind,
                              .node = r.node,
                              .pcr_mask = r.pcr_mask,
                              .counter = r.counter,
                              .use.policy = r.use};
    TRY(sign_approval(&auth, POLICY_REF_USE, &answer.use));
    if (r.kind == REQUEST_INIT)
        TRY(sign_escrow(&r, &auth, rec_pub, &answer));
    return response_write(&answer, response_out);
}

rc_t request_describe(struct bytes request, struct buf *out)
{
    static const char *const asks[REQUEST_KINDS] = {
        [REQUEST_INIT] = "set up a new vault and escrow its root to the recovery key",
        [REQUEST_APPROVAL] = "approve the present boot state of a node",
        [REQUEST_RECOVERY] = "approve a node whose root came from the escrow"};
    static const uint8_t zero[TPM_PCR_BYTES];
    char uid[UID_TEXT_SIZE];
    AUTO_REQUEST r = {.ek_cert = BUF_EMPTY};
    TRY(request_read(request, &r));
    uid_print(&r.node, uid);
    TRY(buf_add_fmt(out, "asks to:  %s\nnode:     %s\nTPM:      %s%s\n", asks[r.kind], uid,
                    r.manufacturer, r.software ? " (software TPM, no protection of its own)" : ""));
    TRY(buf_add_fmt(out, "EK cert:  %s\ncounter:  %llu at 0x%08x\n",
                    r.ek_cert.len ? "present" : "none", (unsigned long long)r.counter, r.nv_index));
    for (unsigned i = 0; i < TPM_PCR_COUNT; i++) {
        if (!(r.pcr_mask >> i & 1))
            continue;
        TRY(buf_add_fmt(out, "PCR %2u:   ", i));
        for (size_t b = 0; b < TPM_PCR_BYTES; b++)
            TRY(buf_add_fmt(out, "%02x", r.pcrs[i][b]));
        TRY(buf_add_str(out, memcmp(r.pcrs[i], zero, sizeof zero) ? "\n" : " not measured\n"));
    }
    return RC_OK;
}

rc_t escrow_check(struct bytes escrow, struct bytes rec_key, struct buf *proof_out)
{
    uint8_t digest[32], statement[32], signature[ROOT_SIGNATURE];
    AUTO_CLUSTER_KEY k = {.sensitive = NULL};
    AUTO_P256 rec = {NULL};
    AUTO_P256 root = {NULL};
    TRY(p256_read_private(rec_key, &rec));
    TRY(escrow_open(escrow, &rec, &k));
    TRY(escrow_private(&k, &root));
    if (EVP_Digest(escrow.data, escrow.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    TRY(rows_escrow_statement(bytes_of(digest, sizeof digest), statement));
    /* Signed with the root's own private number: only who opened the escrow has it. */
    TRY(p256_sign(&root, statement, signature));
    return proof_write(digest, signature, proof_out);
}

rc_t escrow_confirm(struct buf *hierarchy, struct bytes proof)
{
    uint8_t digest[32], signature[ROOT_SIGNATURE];
    AUTO_ARENA arena = ARENA_OF(HIERARCHY_BYTES_MAX);
    struct hierarchy rows;
    TPM2B_PUBLIC pub;
    TRY(proof_read(proof, digest, signature));
    TRY(hierarchy_decode(buf_view(hierarchy), &arena, &rows));
    for (size_t i = 0; i < rows.cr_count; i++) {
        struct hierarchy_cr *cr = &rows.crs[i];
        if (!bytes_equal(cr->escrow_digest, bytes_of(digest, sizeof digest)))
            continue;
        TRY(public_read(cr->pub, &pub));
        cr->escrow_proof = bytes_of(signature, sizeof signature);
        TRY(rows_escrow_proven(&pub, cr->escrow_digest, cr->escrow_proof));
        AUTO_BUF next = BUF_EMPTY;
        TRY(hierarchy_encode(&rows, &next));
        buf_take(hierarchy, &next);
        return RC_OK;
    }
    return RC_INTEGRITY;
}

rc_t ceremony_key_new(struct buf *private_pem, struct buf *public_pem)
{
    AUTO_P256 key = {NULL};
    TRY(p256_generate(&key));
    TRY(p256_write_private(&key, private_pem));
    return p256_write_public(&key, public_pem);
}

void self_keys_free(struct self_keys *k)
{
    buf_free(&k->auth_key);
    buf_free(&k->auth_pub);
    buf_free(&k->rec_key);
    buf_free(&k->rec_pub);
}

void ceremony_result_free(struct ceremony_result *r)
{
    buf_free(&r->hierarchy);
    buf_free(&r->node_state);
    buf_free(&r->escrow);
}
