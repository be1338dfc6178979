/*
 * Policies and Names computed in plain C are what the TPM arrives at.
 */
#include "tests/unit/tpm/fixture.h"

#include "server/vault/tpm/counter.h"
#include "server/vault/tpm/derive.h"
#include "server/vault/tpm/p256.h"
#include "server/vault/tpm/policy.h"
#include "server/vault/tpm/session.h"
#include "server/vault/tpm/template.h"

static void trial(struct tpm *t, struct tpm_handle *out)
{
    TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    *out = tpm_handle_of(t);
    ok(TPM_RUN(t, "trial",
               Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_TRIAL, &none,
                                     TPM2_ALG_SHA256, &out->tr)));
}

static void same(struct tpm *t, ESYS_TR session, const struct policy *want)
{
    AUTO_ESYS TPM2B_DIGEST *digest = NULL;
    ok(TPM_RUN(
        t, "PolicyGetDigest",
        Esys_PolicyGetDigest(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest)));
    ck_assert_uint_eq(digest->size, sizeof want->raw);
    ck_assert_mem_eq(digest->buffer, want->raw, sizeof want->raw);
}

static void some_key(TPM2B_PUBLIC *pub, struct node_name *name,
                     void (*make)(TPM2B_PUBLIC *, const struct p256_point *))
{
    AUTO_P256 key = {NULL};
    struct p256_point point;
    ok(p256_generate(&key));
    ok(p256_point_of(&key, &point));
    make(pub, &point);
    ok(template_name(pub, name));
}

START_TEST(use_policy_is_the_tpms)
{
    struct fake f;
    struct policy p;
    struct node_name nv_name;
    struct uid node;
    uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES], digest[32];
    uint64_t count;
    const uint32_t mask = 1u << 0 | 1u << 10 | 1u << 16 | 1u << 23;
    ESYS_TR nv;
    TPM2B_DIGEST present = {0};
    TPML_PCR_SELECTION pcrs = {.count = 1,
                               .pcrSelections[0] = {.hash = TPM2_ALG_SHA256,
                                                    .sizeofSelect = 3,
                                                    .pcrSelect = {0x01, 0x04, 0x81}}};
    TPM2B_OPERAND operand = {.size = 8};
    AUTO_SECRET auth = NULL;
    fake_start(&f);
    struct tpm *t = f.tpm;
    extend(&f, 10);
    ok(uid_new(&node));
    ok(derive_random(32, &auth));
    ok(counter_make(t, NV_BASE_DEFAULT, COUNTER_POLICY, &node, auth));
    fails(counter_make(t, NV_BASE_DEFAULT, COUNTER_POLICY, &node, auth), RC_NAME_TAKEN);
    ok(counter_read(t, NV_BASE_DEFAULT, &count));
    store_be64(operand.buffer, count);
    {
        AUTO_HANDLE session = tpm_handle_of(t);
        trial(t, &session);
        ok(TPM_RUN(t, "PolicyPCR",
                   Esys_PolicyPCR(t->esys, session.tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &present, &pcrs)));
        ok(tpm_nv_handle(t, NV_BASE_DEFAULT, &nv));
        ok(TPM_RUN(t, "PolicyNV",
                   Esys_PolicyNV(t->esys, ESYS_TR_RH_OWNER, nv, session.tr, tpm_session(t, 0),
                                 ESYS_TR_NONE, ESYS_TR_NONE, &operand, 0, TPM2_EO_EQ)));
        ok(tpm_pcr_read(t, mask, values));
        ok(policy_pcr_digest(mask, (const uint8_t(*)[TPM_PCR_BYTES])values, digest));
        ok(policy_counter_name(NV_BASE_DEFAULT, &node, &nv_name));
        ok(policy_of_use(mask, digest, &nv_name, count, &p));
        same(t, session.tr, &p);
    }
    uint64_t next;
    ok(counter_increment(t, NV_BASE_DEFAULT, auth));
    ok(counter_read(t, NV_BASE_DEFAULT, &next));
    ck_assert_uint_eq(next, count + 1);
    auth->data[0] ^= 1;
    fails(counter_increment(t, NV_BASE_DEFAULT, auth), RC_TPM);
    ok(counter_remove(t, NV_BASE_DEFAULT));
    ok(counter_remove(t, NV_BASE_DEFAULT));
    fails(counter_read(t, NV_BASE_DEFAULT, &count), RC_NOT_FOUND);
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

START_TEST(root_policy_is_the_tpms)
{
    struct fake f;
    TPM2B_PUBLIC auth_pub, rec_pub;
    struct node_name auth, rec;
    struct root_policy root;
    struct policy dup;
    TPM2B_DIGEST approved = {.size = 32};
    TPM2B_NONCE ref = {.size = sizeof POLICY_REF_DUP - 1};
    TPM2B_NAME name = {.size = NODE_NAME_BYTES}, parent = {.size = NODE_NAME_BYTES};
    TPMT_TK_VERIFIED ticket = {.tag = TPM2_ST_VERIFIED, .hierarchy = TPM2_RH_NULL};
    TPML_DIGEST branches = {.count = 2, .digests = {{.size = 32}, {.size = 32}}};
    fake_start(&f);
    struct tpm *t = f.tpm;
    ok(tpm_ready(t));
    some_key(&auth_pub, &auth, template_auth);
    some_key(&rec_pub, &rec, template_rec);
    ok(policy_of_root(&auth, &root));
    ok(policy_of_dup(&auth, &rec, &dup));
    AUTO_HANDLE session = tpm_handle_of(t);
    trial(t, &session);
    memcpy(name.name, auth.raw, NODE_NAME_BYTES);
    memcpy(parent.name, rec.raw, NODE_NAME_BYTES);
    ok(TPM_RUN(t, "PolicyDuplicationSelect",
               Esys_PolicyDuplicationSelect(t->esys, session.tr, ESYS_TR_NONE, ESYS_TR_NONE,
                                            ESYS_TR_NONE, &name, &parent, TPM2_YES)));
    same(t, session.tr, &dup);
    memcpy(approved.buffer, dup.raw, sizeof dup.raw);
    memcpy(ref.buffer, POLICY_REF_DUP, ref.size);
    ok(TPM_RUN(t, "PolicyAuthorize",
               Esys_PolicyAuthorize(t->esys, session.tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    &approved, &ref, &name, &ticket)));
    same(t, session.tr, &root.dup);
    memcpy(branches.digests[0].buffer, root.use.raw, 32);
    memcpy(branches.digests[1].buffer, root.dup.raw, 32);
    ok(TPM_RUN(
        t, "PolicyOR",
        Esys_PolicyOR(t->esys, session.tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &branches)));
    same(t, session.tr, &root.root);
    tpm_handle_flush(&session);
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

START_TEST(names_are_the_tpms)
{
    struct fake f;
    TPM2B_PUBLIC pub;
    struct node_name name;
    void (*const makers[])(TPM2B_PUBLIC *, const struct p256_point *) = {template_auth,
                                                                         template_rec};
    fake_start(&f);
    struct tpm *t = f.tpm;
    ok(tpm_ready(t));
    for (size_t i = 0; i < 2; i++) {
        AUTO_HANDLE h = tpm_handle_of(t);
        AUTO_ESYS TPM2B_NAME *theirs = NULL;
        some_key(&pub, &name, makers[i]);
        ok(tpm_load_public(t, &pub, &h));
        ok(TPM_RUN(t, "name", Esys_TR_GetName(t->esys, h.tr, &theirs)));
        ck_assert_uint_eq(theirs->size, NODE_NAME_BYTES);
        ck_assert_mem_eq(theirs->name, name.raw, NODE_NAME_BYTES);
    }
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

START_TEST(signatures_and_keys_in_software)
{
    uint8_t digest[32] = {7}, sig[64];
    AUTO_P256 key = {NULL};
    AUTO_P256 again = {NULL};
    AUTO_P256 other = {NULL};
    AUTO_P256 none = {NULL};
    AUTO_BUF private = BUF_EMPTY;
    AUTO_BUF public = BUF_EMPTY;
    struct p256_point point;
    AUTO_SECRET a = NULL;
    AUTO_SECRET b = NULL;
    ok(p256_generate(&key));
    ok(p256_generate(&other));
    ok(p256_write_private(&key, &private));
    ok(p256_write_public(&key, &public));
    ok(p256_read_private(buf_view(&private), &again));
    fails(p256_read_private(buf_view(&public), &none), RC_CRYPTO);
    fails(p256_read_public(bytes_str("nonsense"), &none), RC_CRYPTO);
    fails(p256_read_public(BYTES_NONE, &none), RC_CRYPTO);
    ok(p256_sign(&again, digest, sig));
    ok(p256_verify(&key, digest, sig));
    fails(p256_verify(&other, digest, sig), RC_INTEGRITY);
    sig[10] ^= 1;
    fails(p256_verify(&key, digest, sig), RC_INTEGRITY);
    ok(p256_ecdh(&key, &other, &a));
    ok(p256_ecdh(&other, &key, &b));
    ck_assert(secret_equal(a, b));
    ok(p256_point_of(&key, &point));
    point.y[0] ^= 1;
    fails(p256_from_point(&point, &none), RC_INTEGRITY);
    ok(p256_point_of(&key, &point));
    fails(p256_from_private(bytes_of(digest, 32), &point, &none), RC_INTEGRITY);
}
END_TEST

START_TEST(derived_keys_differ_by_label_and_field_borders)
{
    AUTO_SECRET from = NULL;
    AUTO_SECRET a = NULL;
    AUTO_SECRET b = NULL;
    AUTO_SECRET c = NULL;
    const struct bytes one[] = {bytes_str("ab"), bytes_str("c")};
    const struct bytes two[] = {bytes_str("a"), bytes_str("bc")};
    ok(derive_random(32, &from));
    ok(derive_key(from, "x", one, 2, 32, &a));
    ok(derive_key(from, "x", two, 2, 32, &b));
    ok(derive_key(from, "y", one, 2, 32, &c));
    ck_assert(!secret_equal(a, b));
    ck_assert(!secret_equal(a, c));
    fails(derive_key(from, "x", one, 2, 0, &c), RC_TOO_LARGE);
}
END_TEST

Suite *policy_suite(void)
{
    Suite *s = suite_create("policy");
    TCase *t = tcase_create("policy");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, use_policy_is_the_tpms);
    tcase_add_test(t, root_policy_is_the_tpms);
    tcase_add_test(t, names_are_the_tpms);
    tcase_add_test(t, signatures_and_keys_in_software);
    tcase_add_test(t, derived_keys_differ_by_label_and_field_borders);
    suite_add_tcase(s, t);
    return s;
}
