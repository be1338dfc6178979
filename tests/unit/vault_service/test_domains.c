/* Keys of new domains: made on request, used only from the rows that the vault is brought. */
#include "config.h"

#include <unistd.h>

#include "server/vault/hierarchy.h"
#include "tests/unit/vault_service/fixture.h"

static struct vault_reply new_key(uint64_t domain)
{
    return ask(&(struct vault_call){.op = VAULT_DOMAIN_KEY, .domain = domain});
}

static struct vault_reply generate_in(uint64_t domain, struct control *c)
{
    *c = new_record();
    c->domain = domain;
    return generate(c);
}

/* Brings the rows of the fixture and this one. */
static rc_t unseal_with(const struct vault_reply *made)
{
    AUTO_BUF encoded = BUF_EMPTY;
    struct hierarchy all, one;
    ck_assert_int_eq(hierarchy_decode(buf_view(&fx.rows), &fx.arena, &all), RC_OK);
    ck_assert_int_eq(hierarchy_decode(made->status, &fx.arena, &one), RC_OK);
    ck_assert_uint_eq(one.node_count + one.cr_count + one.cs_count + one.ep_count, 0);
    ck_assert_uint_eq(one.dk_count, 1);
    struct hierarchy_dk *dks = arena_array(&fx.arena, all.dk_count + 1, sizeof *dks);
    memcpy(dks, all.dks, all.dk_count * sizeof *dks);
    dks[all.dk_count] = one.dks[0];
    all.dks = dks;
    all.dk_count++;
    ck_assert_int_eq(hierarchy_encode(&all, &encoded), RC_OK);
    return ask(&(struct vault_call){.op = VAULT_UNSEAL, .hierarchy = buf_view(&encoded)}).rc;
}

START_TEST(a_new_domain_is_served_from_its_stored_row)
{
    struct control first, c;
    ck_assert_int_eq(new_key(2).rc, RC_SEALED);
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply old = generate_in(1, &first);
    ck_assert_int_eq(old.rc, RC_OK);
    ck_assert_int_eq(generate_in(2, &c).rc, RC_UNAVAILABLE);
    struct vault_reply made = new_key(2);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_int_eq(generate_in(2, &c).rc, RC_UNAVAILABLE); /* not before its row is stored */
    ck_assert_int_eq(new_key(1).rc, RC_NAME_TAKEN);
    ck_assert_int_eq(unseal_with(&made), RC_OK);
    ck_assert_int_eq(new_key(2).rc, RC_NAME_TAKEN);
    struct vault_reply sealed = generate_in(2, &c);
    ck_assert_int_eq(sealed.rc, RC_OK);
    ck_assert_int_eq(get(&c, &sealed).rc, RC_OK);
    ck_assert_int_eq(get(&first, &old).rc, RC_OK);

    /* A vault that knows the domain no more is too old: that is no damage. */
    vault_again();
    ck_assert_int_eq(unseal().rc, RC_OK);
    ck_assert_int_eq(get(&c, &sealed).rc, RC_UNAVAILABLE);
    ck_assert_int_eq(unseal_with(&made), RC_OK);
    ck_assert_int_eq(get(&c, &sealed).rc, RC_OK);
}
END_TEST

START_TEST(domains_have_keys_of_their_own)
{
    struct control one, two;
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = new_key(2);
    ck_assert_int_eq(unseal_with(&made), RC_OK);
    struct vault_reply first = generate_in(1, &one), second = generate_in(2, &two);
    ck_assert_int_eq(second.rc, RC_OK);
    struct vault_reply swapped = first;
    swapped.envelope = second.envelope;
    ck_assert_int_eq(get(&one, &swapped).rc, RC_INTEGRITY);
    /* Two keys that were made for one domain: what the one sealed the other does not open. */
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply other = new_key(2);
    ck_assert_int_eq(unseal_with(&other), RC_OK);
    ck_assert_int_eq(get(&two, &second).rc, RC_INTEGRITY);
}
END_TEST

START_TEST(without_its_tpm_no_key_is_made)
{
    ck_assert_int_eq(unseal().rc, RC_OK);
    swtpm_kill();
    rc_t rc = new_key(2).rc;
    ck_assert_msg(rc == RC_UNAVAILABLE || rc == RC_TPM || rc == RC_IO, "%s", rc_name(rc));
    swtpm_begin();
    for (int i = 0; rc != RC_OK && i < 200; i++) {
        usleep(50000);
        rc = new_key(2).rc;
    }
    ck_assert_int_eq(rc, RC_OK);
}
END_TEST

TCase *domain_tests(void)
{
    TCase *t = tcase_create("domains");
    tcase_add_unchecked_fixture(t, fixture_make, fixture_unmake);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_add_test(t, a_new_domain_is_served_from_its_stored_row);
    tcase_add_test(t, domains_have_keys_of_their_own);
    tcase_add_test(t, without_its_tpm_no_key_is_made);
    return t;
}
