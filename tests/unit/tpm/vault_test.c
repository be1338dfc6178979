/*
 * Unsealing against a real (software) TPM: every state with its cause.
 */
#include "tests/unit/tpm/fixture.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "server/vault/tpm/attest.h"
#include "server/vault/tpm/keys_state.h"
#include "server/vault/tpm/make.h"
#include "server/vault/tpm/p256.h"
#include "server/vault/tpm/rows.h"

/* The first domain key, as bytes to compare. */
static void read_dk(struct vault *v, uint8_t out[VAULT_KEY_BYTES])
{
    AUTO_SECRET dk = NULL;
    ok(vault_keys_dk(v->open, 1, 1, &dk));
    ck_assert_uint_eq(dk->len, VAULT_KEY_BYTES);
    memcpy(out, dk->data, VAULT_KEY_BYTES);
}

static void is_state(const struct vault *v, enum vault_state state)
{
    ck_assert_msg(v->report.state == state, "%s, not %s: %s", vault_state_name(v->report.state),
                  vault_state_name(state), v->report.detail);
}

/* What says sealed, locked or foreign holds no key, and none that others come from. */
static void holds_nothing(const struct vault *v)
{
    ck_assert_uint_eq(v->open->cached_count, 0);
    ck_assert_ptr_null(v->open->cs);
    ck_assert_ptr_null(v->open->control_mac);
    ck_assert_ptr_null(v->open->row_mac);
    ck_assert_uint_eq(vault_keys_control_mac(v->open).len, 0);
}

/* Whether `line` is what was signed, by the key that the rows name. */
static rc_t signed_line(const struct vault *v, const char *line,
                        const uint8_t signature[ATTEST_SIGNATURE])
{
    AUTO_P256 key = {NULL};
    TPM2B_PUBLIC pub;
    struct p256_point point;
    uint8_t hash[32];
    ok(public_read(v->rows.nodes[0].ak_pub, &pub));
    ok(public_point(&pub, &point));
    ok(p256_from_point(&point, &key));
    ck_assert_int_eq(EVP_Digest(line, strlen(line), hash, NULL, EVP_sha256(), NULL), 1);
    return p256_verify(&key, hash, signature);
}

START_TEST(the_attestation_key_signs_audit_stubs)
{
    static const char line[] =
        "holdfast audit stub 0102030000000000000000000000000000000000000000000000000000000000\n";
    struct vault v;
    const uint8_t digest[ATTEST_DIGEST] = {1, 2, 3};
    uint8_t signature[ATTEST_SIGNATURE];
    vault_make(&v);
    ok(attest_sign_stub(v.f.tpm, &v.state.ak, digest, signature));
    ok(signed_line(&v, line, signature));
    fails(signed_line(&v, "holdfast audit stub 00\n", signature), RC_INTEGRITY);
    /* also after a restart, and never as another node */
    fake_kill(&v.f);
    fake_new_context(&v.f);
    ok(attest_sign_stub(v.f.tpm, &v.state.ak, digest, signature));
    ok(signed_line(&v, line, signature));
    fails(attest_sign_stub(v.f.tpm, &v.state.srk, digest, signature), RC_TPM_FOREIGN);
    nothing_left(&v.f);
    vault_end(&v);
}
END_TEST

START_TEST(init_unseal_restart_gives_the_same_keys)
{
    struct vault v;
    uint8_t first[VAULT_KEY_BYTES], again[VAULT_KEY_BYTES], mac[VAULT_KEY_BYTES];
    uint32_t epoch, ep, selected, zero;
    vault_make(&v);
    ok(vault_unseal(&v));
    is_state(&v, VAULT_SERVING);
    ck_assert_uint_eq(vault_keys_control_mac(v.open).len, VAULT_KEY_BYTES);
    memcpy(mac, vault_keys_control_mac(v.open).data, sizeof mac);
    read_dk(&v, first);
    ok(vault_keys_dk_active(v.open, 1, &epoch, &ep));
    ck_assert_uint_eq(epoch, 1);
    vault_keys_pcrs(v.open, &selected, &zero);
    ck_assert_uint_eq(selected, 1u << TEST_PCR);
    ck_assert_uint_eq(zero, 1u << TEST_PCR);

    vault_keys_free(&v.open);
    fake_kill(&v.f);
    fake_new_context(&v.f);
    ok(vault_unseal(&v));
    read_dk(&v, again);
    ck_assert_mem_eq(first, again, sizeof first);
    ck_assert_mem_eq(mac, vault_keys_control_mac(v.open).data, sizeof mac);
    ck_assert(v.state.self_approved && v.state.software_tpm);
    vault_end(&v);
}
END_TEST

START_TEST(changed_pcr_locks_until_approved)
{
    struct vault v;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    AUTO_BUF row = BUF_EMPTY;
    vault_make(&v);
    ok(vault_unseal(&v));
    vault_keys_free(&v.open);
    extend(&v.f, TEST_PCR);
    fails(vault_unseal(&v), RC_TPM_LOCKED);
    is_state(&v, VAULT_LOCKED);
    nothing_left(&v.f);
    ok(approval_request(v.f.tpm, &v.rows, &v.state, 0, &request, &v.report));
    ok(approve_request(buf_view(&request), buf_view(&v.keys.auth_key), BYTES_NONE, &response));
    ok(approval_accept(&v.rows, &v.state, buf_view(&response), &row));
    vault_merge(&v, buf_view(&row));
    ok(vault_unseal(&v));
    is_state(&v, VAULT_SERVING);
    vault_end(&v);
}
END_TEST

START_TEST(unselected_pcr_does_not_lock)
{
    struct vault v;
    vault_make(&v);
    extend(&v.f, 10);
    ok(vault_unseal(&v));
    vault_end(&v);
}
END_TEST

START_TEST(another_approvers_signature_is_refused)
{
    struct vault v;
    struct self_keys other = {.auth_key = BUF_EMPTY};
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    vault_make(&v);
    extend(&v.f, TEST_PCR);
    ok(ceremony_key_new(&other.auth_key, &other.auth_pub));
    ok(approval_request(v.f.tpm, &v.rows, &v.state, 0, &request, &v.report));
    fails(approve_request(buf_view(&request), buf_view(&other.auth_key), BYTES_NONE, &response),
          RC_CRYPTO);
    self_keys_free(&other);
    vault_end(&v);
}
END_TEST

START_TEST(another_tpm_is_foreign)
{
    struct vault v;
    struct fake other, own;
    vault_make(&v);
    fake_start(&other);
    own = v.f;
    v.f = other;
    fails(vault_unseal(&v), RC_TPM_FOREIGN);
    is_state(&v, VAULT_FOREIGN);
    nothing_left(&v.f);
    other = v.f;
    v.f = own;
    fake_end(&other);
    /* fake_fd() got the address of v.f in both; the context must be made anew for it. */
    fake_new_context(&v.f);
    ok(vault_unseal(&v));
    vault_end(&v);
}
END_TEST

START_TEST(missing_tpm_seals)
{
    struct vault v;
    vault_make(&v);
    fake_new_context(&v.f);
    fake_kill(&v.f);
    v.f.absent = true;
    fails(vault_unseal(&v), RC_UNAVAILABLE);
    is_state(&v, VAULT_SEALED);
    v.f.absent = false;
    ok(vault_unseal(&v));
    vault_end(&v);
}
END_TEST

/* Adds the row that dk_new() made to the rows that are unsealed with. */
static void add_row(struct vault *v, struct bytes row)
{
    struct hierarchy made;
    ok(hierarchy_decode(row, &v->arena, &made));
    ck_assert_uint_eq(made.dk_count, 1);
    struct hierarchy_dk *dks = arena_array(&v->arena, v->rows.dk_count + 1, sizeof *dks);
    memcpy(dks, v->rows.dks, v->rows.dk_count * sizeof *dks);
    dks[v->rows.dk_count++] = made.dks[0];
    v->rows.dks = dks;
    ok(vault_unseal(v));
}

START_TEST(lost_tpm_degrades_and_heals)
{
    struct vault v;
    uint8_t before[VAULT_KEY_BYTES], after[VAULT_KEY_BYTES];
    AUTO_BUF row = BUF_EMPTY;
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    ok(vault_unseal(&v));
    ok(vault_keys_dk_new(v.open, 2, 1, &row));
    fails(vault_keys_dk(v.open, 2, 1, &dk), RC_NOT_FOUND); /* not before its row is brought */
    add_row(&v, buf_view(&row));
    read_dk(&v, before);
    fake_kill(&v.f);
    v.f.absent = true;
    vault_keys_tick(v.open, &v.report);
    is_state(&v, VAULT_DEGRADED);
    read_dk(&v, after); /* cached */
    ck_assert_mem_eq(before, after, sizeof before);
    fails(vault_keys_dk(v.open, 2, 1, &dk), RC_UNAVAILABLE); /* not cached */
    v.f.absent = false;
    vault_keys_tick(v.open, &v.report);
    is_state(&v, VAULT_SERVING);
    ok(vault_keys_dk(v.open, 2, 1, &dk));

    /* No time allowed: sealed at once, and back again. */
    vault_keys_set_degraded_ms(v.open, 0);
    fake_kill(&v.f);
    v.f.absent = true;
    vault_keys_tick(v.open, &v.report);
    is_state(&v, VAULT_SEALED);
    holds_nothing(&v);
    secret_free(&dk);
    fails(vault_keys_dk(v.open, 1, 1, &dk), RC_UNAVAILABLE);
    AUTO_SECRET derived = NULL;
    fails(vault_keys_derive(v.open, "test", NULL, 0, 32, &derived), RC_SEALED);
    v.f.absent = false;
    vault_keys_tick(v.open, &v.report);
    is_state(&v, VAULT_SERVING);
    read_dk(&v, after);
    ck_assert_mem_eq(before, after, sizeof before);
    vault_end(&v);
}
END_TEST

START_TEST(killed_tpm_is_reconnected_in_the_middle_of_a_call)
{
    struct vault v;
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    ok(vault_unseal(&v));
    unsigned opened = v.f.opened;
    fake_kill(&v.f); /* nobody noticed yet */
    ok(vault_keys_dk(v.open, 1, 1, &dk));
    ck_assert_uint_eq(v.f.opened, opened + 1);
    vault_end(&v);
}
END_TEST

START_TEST(foreign_tpm_while_serving_wipes_the_cache)
{
    struct vault v;
    struct fake other;
    uint8_t key[VAULT_KEY_BYTES];
    char own_dir[64];
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    ok(vault_unseal(&v));
    read_dk(&v, key);
    fake_start(&other);
    memcpy(own_dir, v.f.dir, sizeof own_dir);
    fake_kill(&v.f);
    memcpy(v.f.dir, other.dir, sizeof other.dir);
    vault_keys_tick(v.open, &v.report);
    is_state(&v, VAULT_FOREIGN);
    holds_nothing(&v);
    fails(vault_keys_dk(v.open, 1, 1, &dk), RC_TPM_FOREIGN);
    fake_kill(&v.f);
    memcpy(v.f.dir, own_dir, sizeof own_dir);
    usleep(1100000); /* tried at most once a second */
    ok(vault_keys_dk(v.open, 1, 1, &dk));
    fake_end(&other);
    vault_end(&v);
}
END_TEST

/* ---- damaged and swapped rows ---- */

static void flip(struct bytes field, size_t at)
{
    union {
        const uint8_t *shown;
        uint8_t *own;
    } p = {.shown = field.data};
    p.own[at] ^= 1;
}

static void damage_cr_pub(struct vault *v)
{
    flip(v->rows.crs[0].pub, v->rows.crs[0].pub.len - 1);
}
static void damage_cr_priv(struct vault *v)
{
    flip(v->rows.nodes[0].cr_priv, 60);
}
static void damage_auth(struct vault *v)
{
    flip(v->rows.crs[0].auth_pub, v->rows.crs[0].auth_pub.len - 1);
}
static void damage_proof(struct vault *v)
{
    flip(v->rows.crs[0].escrow_proof, 5);
}
static void damage_cs(struct vault *v)
{
    flip(v->rows.css[0].priv, 60);
}
static void damage_cs_pub(struct vault *v)
{
    flip(v->rows.css[0].pub, v->rows.css[0].pub.len - 1);
}
static void damage_ep(struct vault *v)
{
    flip(v->rows.eps[0].priv, 60);
}
static void damage_ep_mac(struct vault *v)
{
    flip(v->rows.eps[0].mac, 0);
}
static void change_ep_epoch(struct vault *v)
{
    v->rows.eps[0].epoch = 2;
}
static void swap_cs_ep(struct vault *v)
{
    struct bytes pub = v->rows.css[0].pub, priv = v->rows.css[0].priv;
    v->rows.css[0].pub = v->rows.eps[0].pub;
    v->rows.css[0].priv = v->rows.eps[0].priv;
    v->rows.eps[0].pub = pub;
    v->rows.eps[0].priv = priv;
}
static void no_node(struct vault *v)
{
    v->rows.nodes[0].id.raw[0] ^= 1;
}
static void no_cs(struct vault *v)
{
    v->rows.cs_count = 0;
}
static void no_ep(struct vault *v)
{
    v->rows.ep_count = 0;
}

static const struct {
    void (*change)(struct vault *v);
    rc_t rc;
    enum vault_state state;
    const char *says;
} damages[] = {
    {damage_cr_pub, RC_INTEGRITY, VAULT_SEALED, "kmip.cr"},
    {damage_cr_priv, RC_INTEGRITY, VAULT_SEALED, "kmip.node"},
    {damage_auth, RC_INTEGRITY, VAULT_SEALED, "kmip.cr"},
    {damage_proof, RC_INTEGRITY, VAULT_SEALED, "kmip.cr"},
    {damage_cs, RC_INTEGRITY, VAULT_SEALED, "kmip.cs"},
    {damage_cs_pub, RC_INTEGRITY, VAULT_SEALED, "kmip.cs"},
    {damage_ep, RC_INTEGRITY, VAULT_SEALED, "kmip.ep"},
    {damage_ep_mac, RC_INTEGRITY, VAULT_SEALED, "kmip.ep"},
    {change_ep_epoch, RC_INTEGRITY, VAULT_SEALED, "kmip.ep"},
    {swap_cs_ep, RC_INTEGRITY, VAULT_SEALED, "kmip.cs"},
    {no_node, RC_INTEGRITY, VAULT_SEALED, "kmip.node"},
    {no_cs, RC_INTEGRITY, VAULT_SEALED, "kmip.cs"},
    {no_ep, RC_INTEGRITY, VAULT_SEALED, "kmip.ep"},
};

START_TEST(damaged_rows_are_named)
{
    struct vault v;
    vault_make(&v);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        vault_decode(&v);
        AUTO_BUF whole = BUF_EMPTY; /* flip() writes through the views */
        ok(buf_add_bytes(&whole, buf_view(&v.made.hierarchy)));
        damages[i].change(&v);
        rc_t rc = vault_unseal(&v);
        ck_assert_msg(rc == damages[i].rc && v.report.state == damages[i].state &&
                          strstr(v.report.detail, damages[i].says),
                      "case %zu: %s %s '%s'", i, rc_name(rc), vault_state_name(v.report.state),
                      v.report.detail);
        ck_assert_ptr_null(v.open);
        nothing_left(&v.f);
        memcpy(v.made.hierarchy.data, whole.data, whole.len);
    }
    vault_decode(&v);
    ok(vault_unseal(&v));
    vault_end(&v);
}
END_TEST

START_TEST(swapped_and_damaged_domain_keys_are_refused)
{
    struct vault v;
    AUTO_BUF row = BUF_EMPTY;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    struct hierarchy made;
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    ok(vault_unseal(&v));
    ok(vault_keys_dk_new(v.open, 2, 1, &row));
    fails(vault_keys_dk_new(v.open, 1, 1, &row), RC_NAME_TAKEN);
    ok(hierarchy_decode(buf_view(&row), &arena, &made));
    ck_assert_uint_eq(made.dk_count, 1);
    fails(vault_keys_dk(v.open, 3, 1, &dk), RC_NOT_FOUND);

    /* The key of domain 2 put in the place of domain 1's: opens nothing. */
    struct hierarchy_dk two[2] = {v.rows.dks[0], made.dks[0]};
    two[0].pub = made.dks[0].pub;
    two[0].priv = made.dks[0].priv;
    v.rows.dks = two;
    v.rows.dk_count = 2;
    ok(vault_unseal(&v));
    fails(vault_keys_dk(v.open, 1, 1, &dk), RC_INTEGRITY);
    ok(vault_keys_dk(v.open, 2, 1, &dk)); /* others go on */
    secret_free(&dk);
    two[0].mac = two[1].mac;
    ok(vault_unseal(&v));
    fails(vault_keys_dk(v.open, 1, 1, &dk), RC_INTEGRITY);
    /* A retired key said to be active. */
    two[1].state = HIERARCHY_RETIRING;
    ok(vault_unseal(&v));
    fails(vault_keys_dk(v.open, 2, 1, &dk), RC_INTEGRITY);
    vault_end(&v);
}
END_TEST

START_TEST(old_approval_counter_locks)
{
    struct vault v;
    vault_make(&v);
    v.rows.nodes[0].approval++;
    fails(vault_unseal(&v), RC_TPM_LOCKED);
    is_state(&v, VAULT_LOCKED);
    v.rows.nodes[0].approval--;
    v.rows.nodes[0].pcr_mask = 1u << 10;
    fails(vault_unseal(&v), RC_TPM_LOCKED);
    is_state(&v, VAULT_LOCKED);
    vault_end(&v);
}
END_TEST

START_TEST(revoked_approvals_lock_until_a_new_one)
{
    struct vault v;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    AUTO_BUF row = BUF_EMPTY;
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    ok(vault_unseal(&v));
    ok(vault_keys_revoke_approvals(v.open));
    ok(vault_keys_dk(v.open, 1, 1, &dk)); /* what is open goes on */
    fails(vault_unseal(&v), RC_TPM_LOCKED);
    ok(approval_request(v.f.tpm, &v.rows, &v.state, 0, &request, &v.report));
    ok(approve_request(buf_view(&request), buf_view(&v.keys.auth_key), BYTES_NONE, &response));
    ok(approval_accept(&v.rows, &v.state, buf_view(&response), &row));
    vault_merge(&v, buf_view(&row));
    ok(vault_unseal(&v));
    v.rows.nodes[0].nv_auth = BYTES_NONE;
    ok(vault_unseal(&v));
    fails(vault_keys_revoke_approvals(v.open), RC_INTEGRITY);
    vault_end(&v);
}
END_TEST

/* Somebody measures all the time: sessions die with PCR_CHANGED and are run again. */
START_TEST(pcr_moved_under_the_session_is_tried_again)
{
    struct vault v;
    unsigned opened = 0;
    vault_make(&v);
    v.f.meddle = MEDDLE_EXTEND;
    fake_new_context(&v.f);
    for (int i = 0; i < 5; i++) {
        rc_t rc = vault_unseal(&v);
        ck_assert_msg(rc == RC_OK || rc == RC_UNAVAILABLE, "%s: %s", rc_name(rc), v.report.detail);
        opened += rc == RC_OK;
    }
    ck_assert_uint_gt(opened, 0);
    vault_end(&v);
}
END_TEST

START_TEST(changed_answer_breaks_the_connection_not_the_vault)
{
    struct vault v;
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    v.f.meddle = MEDDLE_CORRUPT;
    fake_new_context(&v.f);
    /* An answer with a wrong HMAC in unsealing: refused; the connection made next is a clean one.
     */
    fails(vault_unseal(&v), RC_TPM);
    ck_assert(!tpm_connected(v.f.tpm));
    ok(vault_unseal(&v));
    ok(vault_keys_dk(v.open, 1, 1, &dk));
    vault_end(&v);
}
END_TEST

static bool recorded(const struct fake *f, struct bytes what)
{
    char path[96];
    static uint8_t all[1 << 20];
    snprintf(path, sizeof path, "%s/wire", f->dir);
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(all, 1, sizeof all, file);
    fclose(file);
    ck_assert(len > 1000 && len < sizeof all);
    for (size_t at = 0; at + what.len <= len; at++)
        if (memcmp(all + at, what.data, what.len) == 0)
            return true;
    return false;
}

START_TEST(no_secret_goes_over_the_wire_in_clear)
{
    struct vault v;
    AUTO_SECRET dk = NULL;
    AUTO_SECRET made = NULL;
    AUTO_SECRET auth = NULL;
    AUTO_SECRET random = NULL;
    AUTO_SECRET nv = NULL;
    AUTO_BUF row = BUF_EMPTY;
    vault_make_with(&v, MEDDLE_RECORD);
    ok(vault_unseal(&v));
    ok(vault_keys_dk_new(v.open, 2, 1, &row));
    add_row(&v, buf_view(&row));
    ok(vault_keys_dk(v.open, 1, 1, &dk));
    ok(vault_keys_dk(v.open, 2, 1, &made));
    ok(tpm_random(v.f.tpm, 32, &random));
    ok(rows_ep_auth(v.open->cs, 1, &auth));
    ok(make_nv_auth_open(v.open->cs, &v.state.node, v.rows.nodes[0].nv_auth, &nv));
    ck_assert(recorded(&v.f, v.rows.css[0].priv)); /* the recorder works */
    ck_assert(!recorded(&v.f, secret_view(v.open->cs)));
    ck_assert(!recorded(&v.f, secret_view(dk)));
    ck_assert(!recorded(&v.f, secret_view(made)));
    ck_assert(!recorded(&v.f, secret_view(random)));
    ck_assert(!recorded(&v.f, secret_view(auth)));
    ck_assert(!recorded(&v.f, secret_view(nv)));
    vault_end(&v);
}
END_TEST

static void set_owner_auth(struct tpm *t, const char *auth)
{
    TPM2B_AUTH value = {.size = (UINT16)strlen(auth)};
    memcpy(value.buffer, auth, value.size);
    ok(TPM_RUN(t, "HierarchyChangeAuth",
               Esys_HierarchyChangeAuth(t->esys, ESYS_TR_RH_OWNER, tpm_session(t, TPM_CRYPT_IN),
                                        ESYS_TR_NONE, ESYS_TR_NONE, &value)));
}

/* A TPM whose owner has an authorisation: asked for by name, used, and never shown on the wire. */
START_TEST(the_owners_authorisation_is_needed_and_not_shown)
{
    static const char auth[] = "the owner's authorisation";
    struct vault v;
    AUTO_BUF request = BUF_EMPTY;
    vault_make(&v);
    ok(vault_unseal(&v));
    set_owner_auth(v.f.tpm, auth);
    vault_keys_free(&v.open);
    v.f.meddle = MEDDLE_RECORD;
    fake_new_context(&v.f);
    fails(vault_unseal(&v), RC_TPM);
    is_state(&v, VAULT_SEALED);
    ck_assert_ptr_nonnull(strstr(v.report.detail, "tpm_owner_auth"));
    ok(tpm_set_owner_auth(v.f.tpm, bytes_str("another")));
    fails(vault_unseal(&v), RC_TPM);
    fails(tpm_set_owner_auth(v.f.tpm, bytes_of(v.made.escrow.data, TPM_AUTH_MAX + 1)),
          RC_INVALID_FIELD);
    ok(tpm_set_owner_auth(v.f.tpm, bytes_str(auth)));
    ok(vault_unseal(&v));
    is_state(&v, VAULT_SERVING);
    /* which reads the counter */
    ok(approval_request(v.f.tpm, &v.rows, &v.state, 0, &request, &v.report));
    ok(vault_keys_revoke_approvals(v.open));
    ck_assert(!recorded(&v.f, bytes_str(auth)));
    ck_assert(!recorded(&v.f, bytes_str("another")));
    vault_end(&v);
}
END_TEST

START_TEST(states_have_sentences)
{
    for (int s = 0; s < VAULT_STATE_COUNT; s++) {
        ck_assert_uint_gt(strlen(vault_state_name((enum vault_state)s)), 3);
        ck_assert_uint_gt(strlen(vault_state_what((enum vault_state)s)), 10);
        ck_assert_uint_gt(strlen(vault_state_next((enum vault_state)s)), 10);
    }
}
END_TEST

Suite *vault_suite(void)
{
    Suite *s = suite_create("vault");
    TCase *t = tcase_create("states");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, init_unseal_restart_gives_the_same_keys);
    tcase_add_test(t, the_attestation_key_signs_audit_stubs);
    tcase_add_test(t, changed_pcr_locks_until_approved);
    tcase_add_test(t, unselected_pcr_does_not_lock);
    tcase_add_test(t, another_approvers_signature_is_refused);
    tcase_add_test(t, another_tpm_is_foreign);
    tcase_add_test(t, missing_tpm_seals);
    tcase_add_test(t, lost_tpm_degrades_and_heals);
    tcase_add_test(t, killed_tpm_is_reconnected_in_the_middle_of_a_call);
    tcase_add_test(t, foreign_tpm_while_serving_wipes_the_cache);
    tcase_add_test(t, damaged_rows_are_named);
    tcase_add_test(t, swapped_and_damaged_domain_keys_are_refused);
    tcase_add_test(t, old_approval_counter_locks);
    tcase_add_test(t, revoked_approvals_lock_until_a_new_one);
    tcase_add_test(t, pcr_moved_under_the_session_is_tried_again);
    tcase_add_test(t, changed_answer_breaks_the_connection_not_the_vault);
    tcase_add_test(t, no_secret_goes_over_the_wire_in_clear);
    tcase_add_test(t, the_owners_authorisation_is_needed_and_not_shown);
    tcase_add_test(t, states_have_sentences);
    suite_add_tcase(s, t);
    return s;
}
