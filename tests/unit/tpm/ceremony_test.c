/*
 * Ceremonies with offline keys, the escrow, and recovery on a second TPM.
 */
#include "tests/unit/tpm/fixture.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "server/vault/tpm/escrow.h"

struct offline {
    struct buf auth_key, auth_pub, rec_key, rec_pub;
};

static void offline_make(struct offline *o)
{
    *o = (struct offline){.auth_key = BUF_EMPTY};
    ok(ceremony_key_new(&o->auth_key, &o->auth_pub));
    ok(ceremony_key_new(&o->rec_key, &o->rec_pub));
}

static void offline_free(struct offline *o)
{
    buf_free(&o->auth_key);
    buf_free(&o->auth_pub);
    buf_free(&o->rec_key);
    buf_free(&o->rec_pub);
}

START_TEST(init_with_offline_keys)
{
    struct vault v = {.open = NULL};
    struct offline keys;
    AUTO_BUF pending = BUF_EMPTY;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    AUTO_BUF proof = BUF_EMPTY;
    AUTO_BUF text = BUF_EMPTY;
    offline_make(&keys);
    fake_start(&v.f);
    const struct init_options o = {.pcr_mask = 1u << TEST_PCR,
                                   .auth_pub = buf_view(&keys.auth_pub)};
    ok(init_begin(v.f.tpm, &o, &pending, &request, &v.report));
    ck_assert_int_eq(v.report.state, VAULT_CEREMONY_WAIT);
    nothing_left(&v.f);
    ok(request_describe(buf_view(&request), &text));
    ok(buf_add_u8(&text, 0));
    ck_assert_ptr_nonnull(strstr((char *)text.data, "not measured"));
    ck_assert_ptr_nonnull(strstr((char *)text.data, "software TPM"));
    ok(approve_request(buf_view(&request), buf_view(&keys.auth_key), buf_view(&keys.rec_pub),
                       &response));

    fake_new_context(&v.f); /* days may lie between */
    rc_t rc = init_finish(v.f.tpm, buf_view(&pending), buf_view(&response), &v.made, &v.report);
    ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), v.report.detail);
    nothing_left(&v.f);
    vault_decode(&v);
    ck_assert(!v.state.self_approved);
    fails(vault_unseal(&v), RC_SEALED);
    ck_assert_int_eq(v.report.state, VAULT_CEREMONY_WAIT);
    fails(escrow_check(buf_view(&v.made.escrow), buf_view(&keys.auth_key), &proof), RC_INTEGRITY);
    ok(escrow_check(buf_view(&v.made.escrow), buf_view(&keys.rec_key), &proof));
    ok(escrow_confirm(&v.made.hierarchy, buf_view(&proof)));
    vault_decode(&v);
    ok(vault_unseal(&v));
    ck_assert_int_eq(v.report.state, VAULT_SERVING);
    offline_free(&keys);
    vault_end(&v);
}
END_TEST

START_TEST(wrong_responses_are_refused)
{
    struct vault v = {.open = NULL};
    struct offline keys, other;
    AUTO_BUF pending = BUF_EMPTY;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF old = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    offline_make(&keys);
    offline_make(&other);
    fake_start(&v.f);
    struct init_options o = {.pcr_mask = 1u << TEST_PCR, .auth_pub = buf_view(&keys.auth_pub)};
    ok(init_begin(v.f.tpm, &o, &pending, &request, &v.report));
    ok(approve_request(buf_view(&request), buf_view(&keys.auth_key), buf_view(&keys.rec_pub),
                       &old));
    fails(approve_request(buf_view(&request), buf_view(&other.auth_key), buf_view(&keys.rec_pub),
                          &response),
          RC_CRYPTO);
    fails(approve_request(buf_view(&request), buf_view(&keys.auth_key), BYTES_NONE, &response),
          RC_CRYPTO);
    fails(approve_request(bytes_str("{}"), buf_view(&keys.auth_key), BYTES_NONE, &response),
          RC_BAD_MESSAGE);

    /* a second init: the indices are there; replaced, the old response answers another request */
    AUTO_BUF pending2 = BUF_EMPTY;
    AUTO_BUF request2 = BUF_EMPTY;
    fails(init_begin(v.f.tpm, &o, &pending2, &request2, &v.report), RC_NAME_TAKEN);
    buf_clear(&pending2);
    buf_clear(&request2);
    o.replace_nv = true;
    ok(init_begin(v.f.tpm, &o, &pending2, &request2, &v.report));
    fails(init_finish(v.f.tpm, buf_view(&pending2), buf_view(&old), &v.made, &v.report),
          RC_BAD_MESSAGE);
    ok(approve_request(buf_view(&request2), buf_view(&keys.auth_key), buf_view(&keys.rec_pub),
                       &response));

    /* every changed digit of the response is refused */
    for (size_t i = 0; i < response.len; i += 13) {
        uint8_t saved = response.data[i];
        if (saved < '0' || saved > '9')
            continue;
        response.data[i] = saved == '0' ? '1' : '0';
        rc_t rc =
            init_finish(v.f.tpm, buf_view(&pending2), buf_view(&response), &v.made, &v.report);
        ck_assert_msg(rc != RC_OK, "changed at %zu", i);
        response.data[i] = saved;
    }
    pending2.data[pending2.len / 2] ^= 1;
    fails(init_finish(v.f.tpm, buf_view(&pending2), buf_view(&response), &v.made, &v.report),
          RC_BAD_MESSAGE);
    pending2.data[pending2.len / 2] ^= 1;

    /* another boot state, then another TPM */
    extend(&v.f, TEST_PCR);
    fails(init_finish(v.f.tpm, buf_view(&pending2), buf_view(&response), &v.made, &v.report),
          RC_TPM_LOCKED);
    struct fake second;
    fake_start(&second);
    fails(init_finish(second.tpm, buf_view(&pending2), buf_view(&response), &v.made, &v.report),
          RC_TPM_FOREIGN);
    nothing_left(&second);
    fake_end(&second);
    offline_free(&keys);
    offline_free(&other);
    nothing_left(&v.f);
    vault_end(&v);
}
END_TEST

START_TEST(changed_requests_are_not_signed)
{
    struct fake f;
    struct offline keys;
    struct vault_report report;
    AUTO_BUF pending = BUF_EMPTY;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    unsigned refused = 0;
    offline_make(&keys);
    fake_start(&f);
    const struct init_options o = {.auth_pub = buf_view(&keys.auth_pub)};
    ok(init_begin(f.tpm, &o, &pending, &request, &report));
    ok(approve_request(buf_view(&request), buf_view(&keys.auth_key), buf_view(&keys.rec_pub),
                       &response));
    static const char *const fields[] = {
        "\"policy\": \"",       "\"counter\": ", "\"nv_index\": ",  "\"node\": \"",
        "\"cluster_root\": \"", "\"7\": \"",     "\"approver\": \""};
    ok(buf_add_u8(&request, 0));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char *at = strstr((char *)request.data, fields[i]);
        ck_assert_msg(at, "%s", fields[i]);
        at += strlen(fields[i]);
        if (i == 4 || i == 6)
            at += 40; /* into the public area */
        char saved = *at;
        *at = saved == '1' ? '2' : '1';
        rc_t rc = approve_request(bytes_of(request.data, request.len - 1), buf_view(&keys.auth_key),
                                  buf_view(&keys.rec_pub), &response);
        ck_assert_msg(rc != RC_OK, "%s", fields[i]);
        *at = saved;
        refused++;
    }
    ck_assert_uint_eq(refused, 7);
    offline_free(&keys);
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

START_TEST(wrong_settings_are_refused)
{
    struct fake f;
    struct vault_report report;
    AUTO_BUF a = BUF_EMPTY;
    AUTO_BUF b = BUF_EMPTY;
    fake_start(&f);
    struct init_options o = {.pcr_mask = 1u << 24};
    fails(init_begin(f.tpm, &o, &a, &b, &report), RC_CONFIG);
    o = (struct init_options){.nv_base = 0x01c00000};
    fails(init_begin(f.tpm, &o, &a, &b, &report), RC_CONFIG);
    o = (struct init_options){.auth_pub = bytes_str("no key")};
    fails(init_begin(f.tpm, &o, &a, &b, &report), RC_CRYPTO);
    f.absent = true;
    tpm_disconnect(f.tpm);
    struct self_keys keys;
    struct ceremony_result made;
    o = (struct init_options){.pcr_mask = 1};
    fails(init_self_approve(f.tpm, &o, &keys, &made, &report), RC_UNAVAILABLE);
    f.absent = false;
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

/* ---- escrow ---- */

/* Puts a right checksum behind a changed escrow, so that only the cryptography can refuse it. */
static void seal_again(struct buf *escrow)
{
    size_t body = escrow->len - 32;
    ck_assert_int_eq(EVP_Digest(escrow->data, body, escrow->data + body, NULL, EVP_sha256(), NULL),
                     1);
}

START_TEST(every_flipped_bit_of_the_escrow_is_refused)
{
    struct vault v;
    AUTO_BUF proof = BUF_EMPTY;
    AUTO_BUF copy = BUF_EMPTY;
    vault_make(&v);
    struct bytes rec = buf_view(&v.keys.rec_key);
    ok(buf_add_bytes(&copy, buf_view(&v.made.escrow)));
    for (size_t i = 0; i < copy.len; i++) {
        copy.data[i] ^= (uint8_t)(1u << i % 8);
        fails(escrow_check(buf_view(&copy), rec, &proof), RC_INTEGRITY);
        if (i < copy.len - 32) {
            seal_again(&copy);
            rc_t rc = escrow_check(buf_view(&copy), rec, &proof);
            ck_assert_msg(rc == RC_INTEGRITY, "bit flipped in byte %zu: %s", i, rc_name(rc));
        }
        copy.data[i] ^= (uint8_t)(1u << i % 8);
        seal_again(&copy);
    }
    for (size_t len = 0; len < copy.len; len += 7)
        fails(escrow_check(bytes_of(copy.data, len), rec, &proof), RC_INTEGRITY);
    ck_assert_uint_eq(proof.len, 0);
    ok(escrow_check(buf_view(&copy), rec, &proof));
    /* A proof of one escrow does not confirm another. */
    struct vault w;
    vault_make(&w);
    fails(escrow_confirm(&w.made.hierarchy, buf_view(&proof)), RC_INTEGRITY);
    vault_end(&w);
    vault_end(&v);
}
END_TEST

/* ---- recovery ---- */

static void read_key(struct vault_keys *k, uint64_t domain, uint8_t out[VAULT_KEY_BYTES])
{
    AUTO_SECRET dk = NULL;
    ok(vault_keys_dk(k, domain, 1, &dk));
    memcpy(out, dk->data, VAULT_KEY_BYTES);
}

/* Rows as the database has them after recovery: both nodes, the changed cluster root. */
static void after_recovery(const struct vault *v, const struct hierarchy *changed,
                           struct hierarchy_node nodes[2], struct hierarchy *all)
{
    *all = v->rows;
    nodes[0] = v->rows.nodes[0];
    nodes[1] = changed->nodes[0];
    all->nodes = nodes;
    all->node_count = 2;
    all->crs = changed->crs;
}

START_TEST(recovery_on_a_second_tpm_opens_the_old_keys)
{
    struct vault v;
    struct fake second;
    struct ceremony_result made;
    struct vault_report report;
    struct vault_keys *open = NULL;
    struct node_state state;
    struct hierarchy changed, all;
    struct hierarchy_node nodes[2];
    uint8_t old[VAULT_KEY_BYTES], new[VAULT_KEY_BYTES], mac[VAULT_KEY_BYTES];
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    vault_make(&v);
    ok(vault_unseal(&v));
    read_key(v.open, 1, old);
    memcpy(mac, vault_keys_control_mac(v.open).data, sizeof mac);
    vault_keys_free(&v.open);

    fake_start(&second);
    struct recovery_options o = {.init.pcr_mask = 1u << TEST_PCR,
                                 .rows = &v.rows,
                                 .escrow = buf_view(&v.made.escrow),
                                 .rec_key = buf_view(&v.keys.rec_key)};
    rc_t rc = recovery_restore(second.tpm, &o, buf_view(&v.keys.auth_key), &made, &report);
    ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), report.detail);
    nothing_left(&second);
    ok(hierarchy_decode(buf_view(&made.hierarchy), &arena, &changed));
    ok(node_state_decode(buf_view(&made.node_state), &state));
    ck_assert_uint_eq(changed.node_count, 1);
    ck_assert_uint_eq(changed.cr_count, 1);
    ck_assert_uint_eq(changed.cs_count + changed.ep_count + changed.dk_count, 0);
    after_recovery(&v, &changed, nodes, &all);
    rc = tpm_unseal(second.tpm, &all, &state, &open, &report);
    ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), report.detail);
    read_key(open, 1, new);
    ck_assert_mem_eq(old, new, sizeof old);
    ck_assert_mem_eq(mac, vault_keys_control_mac(open).data, sizeof mac);
    vault_keys_free(&open);
    ok(vault_unseal(&v)); /* the first node still serves */

    /* The first node's approval is not good on the second, though state and key are the same. */
    nodes[1].use_policy = nodes[0].use_policy;
    nodes[1].use_sig = nodes[0].use_sig;
    nodes[1].approval = nodes[0].approval;
    fails(tpm_unseal(second.tpm, &all, &state, &open, &report), RC_TPM_LOCKED);
    /* Nor is its blob of the cluster root. */
    nodes[1] = changed.nodes[0];
    nodes[1].cr_priv = nodes[0].cr_priv;
    fails(tpm_unseal(second.tpm, &all, &state, &open, &report), RC_INTEGRITY);
    nothing_left(&second);
    ceremony_result_free(&made);
    fake_end(&second);
    vault_end(&v);
}
END_TEST

START_TEST(recovery_in_two_halves_and_its_refusals)
{
    struct vault v, w;
    struct fake second;
    struct ceremony_result made;
    struct vault_report report;
    struct self_keys other = {.auth_key = BUF_EMPTY};
    AUTO_BUF pending = BUF_EMPTY;
    AUTO_BUF request = BUF_EMPTY;
    AUTO_BUF response = BUF_EMPTY;
    vault_make(&v);
    vault_make(&w);
    ok(ceremony_key_new(&other.auth_key, &other.auth_pub));
    fake_start(&second);
    struct recovery_options o = {.init.pcr_mask = 1u << TEST_PCR,
                                 .rows = &v.rows,
                                 .escrow = buf_view(&v.made.escrow),
                                 .rec_key = buf_view(&v.keys.auth_key)};
    fails(recovery_begin(second.tpm, &o, &pending, &request, &report), RC_INTEGRITY);
    o.rec_key = buf_view(&v.keys.rec_key);
    o.rows = &w.rows; /* another cluster's database */
    fails(recovery_begin(second.tpm, &o, &pending, &request, &report), RC_NOT_FOUND);
    o.rows = &v.rows;
    fails(recovery_restore(second.tpm, &o, buf_view(&other.auth_key), &made, &report), RC_CRYPTO);
    o.init.replace_nv = true; /* what the refused one left */
    ok(recovery_begin(second.tpm, &o, &pending, &request, &report));
    ok(approve_request(buf_view(&request), buf_view(&v.keys.auth_key), BYTES_NONE, &response));
    fails(init_finish(second.tpm, buf_view(&pending), buf_view(&response), &made, &report),
          RC_BAD_MESSAGE);
    fake_new_context(&second);
    ok(recovery_finish(second.tpm, buf_view(&pending), buf_view(&response), &made, &report));
    nothing_left(&second);
    ceremony_result_free(&made);
    self_keys_free(&other);
    fake_end(&second);
    vault_end(&w);
    vault_end(&v);
}
END_TEST

Suite *ceremony_suite(void)
{
    Suite *s = suite_create("ceremony");
    TCase *t = tcase_create("ceremony");
    tcase_set_timeout(t, 180);
    tcase_add_test(t, init_with_offline_keys);
    tcase_add_test(t, wrong_responses_are_refused);
    tcase_add_test(t, changed_requests_are_not_signed);
    tcase_add_test(t, wrong_settings_are_refused);
    tcase_add_test(t, every_flipped_bit_of_the_escrow_is_refused);
    tcase_add_test(t, recovery_on_a_second_tpm_opens_the_old_keys);
    tcase_add_test(t, recovery_in_two_halves_and_its_refusals);
    suite_add_tcase(s, t);
    return s;
}
