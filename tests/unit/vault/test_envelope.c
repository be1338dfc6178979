/* Control MAC and material envelope: known answers, and every change refused with the one result.
 */
#include <stdio.h>

#include "server/vault/envelope.h"
#include "server/vault/rules.h"
#include "tests/unit/vault/vault_tests.h"

static struct crypto *crypto;
static struct crypto_mac *control_key;
static struct domain_key dk = {.domain = 1, .epoch = 7, .ep_epoch = 9};

static void setup(void)
{
    uint8_t key[32];
    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = i;
    ck_assert_int_eq(crypto_new(&crypto), RC_OK);
    ck_assert_int_eq(crypto_hkdf_extract(crypto, BYTES_NONE, bytes_of(key, sizeof key), &dk.prk),
                     RC_OK);
    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(100 + i);
    ck_assert_int_eq(crypto_mac_new(crypto, bytes_of(key, sizeof key), &control_key), RC_OK);
}

static void teardown(void)
{
    crypto_mac_free(control_key);
    crypto_mac_free(dk.prk);
    crypto_free(crypto);
}

static struct binding known_binding(void)
{
    struct binding b;
    for (uint8_t i = 0; i < sizeof b.raw; i++)
        b.raw[i] = (uint8_t)(200 + i);
    return b;
}

/* Made apart from this code, from the text of FORMATS.md. */
static const uint8_t known_mac[CONTROL_MAC_BYTES] = {
    0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7,
    0x5f, 0x97, 0xac, 0xad, 0xe6, 0x08, 0xf9, 0xbf, 0x38, 0x72, 0x9f, 0xe4, 0xae, 0xd6, 0x34, 0x0e,
};
static const char known_envelope[] =
    "48464d3101010048000000030000010000000001a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a10000000200000000000000"
    "01"
    "0000000700000009c8c9cacbcccdcecfd0d1d2d3d4d5d6d7000102030405060708090a0b56399da4c3cfd07d9521ce"
    "51"
    "5b7cd8db78b707a7b3f31fcbe0c6a04b6f4e22ae68b95191d10706d7de0e30fba818b21a";
static const char known_plain[] = "the plain key of thirty-two byte";

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;
    for (; text[0]; text += 2) {
        unsigned v;
        ck_assert_int_eq(sscanf(text, "%2x", &v), 1);
        out[n++] = (uint8_t)v;
    }
    return n;
}

START_TEST(control_mac_is_as_written_down)
{
    struct control c = sample_control();
    struct binding binding = known_binding(), got;
    uint8_t mac[CONTROL_MAC_BYTES];
    ck_assert_int_eq(control_sign(control_key, &c, &binding, mac), RC_OK);
    ck_assert_mem_eq(mac, known_mac, sizeof mac);
    ck_assert_int_eq(control_verify(control_key, &c, mac, &got), RC_OK);
    ck_assert_mem_eq(got.raw, binding.raw, sizeof got.raw);
}
END_TEST

START_TEST(envelope_is_as_written_down)
{
    uint8_t raw[256];
    size_t len = unhex(known_envelope, raw);
    struct control c = sample_control();
    struct binding binding = known_binding();
    uint32_t format = 0, epoch = 0;
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(envelope_epoch(bytes_of(raw, len), &epoch), RC_OK);
    ck_assert_uint_eq(epoch, 7);
    ck_assert_int_eq(envelope_open(crypto, &dk, &c, &binding, bytes_of(raw, len), &format, &out),
                     RC_OK);
    ck_assert_uint_eq(format, 1);
    ck_assert_uint_eq(out.len, 32);
    ck_assert_mem_eq(out.data, known_plain, 32);
}
END_TEST

START_TEST(envelope_opens_what_it_sealed)
{
    static const size_t lens[] = {0, 1, 16, 32, 4096, 100000};
    static uint8_t plain[100000];
    struct control c = sample_control();
    struct binding binding = known_binding();
    AUTO_BUF last = BUF_EMPTY;
    for (int i = 0; i < COUNT(lens); i++) {
        AUTO_BUF env = BUF_EMPTY;
        AUTO_BUF out = BUF_EMPTY;
        uint32_t format = 0;
        memset(plain, i + 1, lens[i]);
        ck_assert_int_eq(
            envelope_seal(crypto, &dk, &c, &binding, 2, bytes_of(plain, lens[i]), &env), RC_OK);
        ck_assert_uint_eq(env.len, lens[i] + ENVELOPE_OVERHEAD);
        ck_assert_int_eq(envelope_open(crypto, &dk, &c, &binding, buf_view(&env), &format, &out),
                         RC_OK);
        ck_assert(bytes_equal(buf_view(&out), bytes_of(plain, lens[i])));
        ck_assert_uint_eq(format, 2);
        ck_assert(!bytes_equal(buf_view(&env), buf_view(&last)));
        buf_take(&last, &env);
    }
}
END_TEST

START_TEST(every_bit_of_the_envelope_counts)
{
    uint8_t raw[256];
    size_t len = unhex(known_envelope, raw);
    struct control c = sample_control();
    struct binding binding = known_binding();
    uint32_t format;
    AUTO_BUF out = BUF_EMPTY;
    for (size_t bit = 0; bit < len * 8; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(
            envelope_open(crypto, &dk, &c, &binding, bytes_of(raw, len), &format, &out),
            RC_INTEGRITY);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t short_len = 0; short_len < len; short_len++)
        ck_assert_int_eq(
            envelope_open(crypto, &dk, &c, &binding, bytes_of(raw, short_len), &format, &out),
            RC_INTEGRITY);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* The fields of the record that the header repeats: a row under another record does not open. */
static void other_uid(struct control *c)
{
    c->uid.raw[15] ^= 1;
}
static void other_type(struct control *c)
{
    c->object_type = 7;
}
static void other_domain(struct control *c)
{
    c->domain = 2;
}
static void other_algorithm(struct control *c)
{
    c->algorithm = 9;
}
static void other_length(struct control *c)
{
    c->length = 128;
}
static void other_level(struct control *c)
{
    c->protection = PROTECTION_TPM_RESIDENT;
}
static void (*const headers[])(struct control *) = {other_uid,       other_type,   other_domain,
                                                    other_algorithm, other_length, other_level};

START_TEST(a_row_under_another_record_does_not_open)
{
    uint8_t raw[256];
    size_t len = unhex(known_envelope, raw);
    struct control c = sample_control();
    struct binding binding = known_binding();
    uint32_t format;
    AUTO_BUF out = BUF_EMPTY;
    headers[_i](&c);
    ck_assert_int_eq(envelope_open(crypto, &dk, &c, &binding, bytes_of(raw, len), &format, &out),
                     RC_INTEGRITY);
}
END_TEST

START_TEST(another_domain_key_does_not_open)
{
    uint8_t raw[256];
    size_t len = unhex(known_envelope, raw);
    struct control c = sample_control();
    struct binding binding = known_binding();
    uint32_t format;
    AUTO_BUF out = BUF_EMPTY;
    struct domain_key other = dk;
    ck_assert_int_eq(crypto_hkdf_extract(crypto, BYTES_NONE, bytes_str("other"), &other.prk),
                     RC_OK);
    ck_assert_int_eq(envelope_open(crypto, &other, &c, &binding, bytes_of(raw, len), &format, &out),
                     RC_INTEGRITY);
    crypto_mac_free(other.prk);
    other = dk;
    other.ep_epoch++;
    ck_assert_int_eq(envelope_open(crypto, &other, &c, &binding, bytes_of(raw, len), &format, &out),
                     RC_INTEGRITY);
}
END_TEST

/* A second record for the same identifier (a worker may ask for one) does not open the first one's
 * key. */
START_TEST(a_second_record_does_not_open_the_first_material)
{
    uint8_t raw[256], mac[CONTROL_MAC_BYTES];
    size_t len = unhex(known_envelope, raw);
    struct control c = sample_control();
    struct binding fresh, got;
    uint32_t format;
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(binding_new(&fresh), RC_OK);
    ck_assert_int_eq(control_sign(control_key, &c, &fresh, mac), RC_OK);
    ck_assert_int_eq(control_verify(control_key, &c, mac, &got), RC_OK); /* a good record ... */
    ck_assert_int_eq(envelope_open(crypto, &dk, &c, &got, bytes_of(raw, len), &format, &out),
                     RC_INTEGRITY);
}
END_TEST

START_TEST(every_bit_of_the_record_and_its_mac_counts)
{
    struct control c = sample_control(), changed;
    uint8_t record[CONTROL_BYTES], mac[CONTROL_MAC_BYTES];
    struct binding got;
    control_encode(&c, record);
    for (size_t bit = 0; bit < CONTROL_BYTES * 8; bit++) {
        record[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (control_decode(bytes_of(record, sizeof record), &changed) == RC_OK)
            ck_assert_int_eq(control_verify(control_key, &changed, known_mac, &got), RC_INTEGRITY);
        record[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    memcpy(mac, known_mac, sizeof mac);
    for (size_t bit = 0; bit < sizeof mac * 8; bit++) {
        mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(control_verify(control_key, &c, mac, &got), RC_INTEGRITY);
        mac[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

/* What somebody with the database could try, one by one. */
static void new_owner(struct control *c)
{
    c->owner.raw[0] ^= 1;
}
static void old_version(struct control *c)
{
    c->version--;
}
static void make_active(struct control *c)
{
    c->state = STATE_ACTIVE;
}
static void make_extractable(struct control *c)
{
    c->extractable = !c->extractable;
}
static void drop_sensitive(struct control *c)
{
    c->sensitive = !c->sensitive;
}
static void widen_mask(struct control *c)
{
    c->usage_mask |= 0x10;
}
static void move_dates(struct control *c)
{
    c->deactivation_date = 9999999;
}
static void undelete(struct control *c)
{
    c->state = STATE_DEACTIVATED;
    c->destroy_date = NO_DATE;
}
static void (*const edits[])(struct control *) = {new_owner,        old_version,    make_active,
                                                  make_extractable, drop_sensitive, widen_mask,
                                                  move_dates,       undelete};

START_TEST(an_edited_row_is_refused)
{
    struct control c = sample_control();
    struct binding binding = known_binding(), got;
    uint8_t mac[CONTROL_MAC_BYTES];
    c.state = STATE_DESTROYED;
    c.destroy_date = 1500;
    ck_assert_int_eq(control_sign(control_key, &c, &binding, mac), RC_OK);
    edits[_i](&c);
    ck_assert_int_eq(control_verify(control_key, &c, mac, &got), RC_INTEGRITY);
}
END_TEST

START_TEST(a_tombstone_with_its_material_put_back_stays_destroyed)
{
    struct control c = sample_control();
    c.state = STATE_DESTROYED;
    c.destroy_date = 1500;
    ck_assert_int_eq(rules_get(&c, SAMPLE_NOW), RC_DESTROYED);
}
END_TEST

TCase *envelope_tests(void)
{
    TCase *t = tcase_create("envelope");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, control_mac_is_as_written_down);
    tcase_add_test(t, envelope_is_as_written_down);
    tcase_add_test(t, envelope_opens_what_it_sealed);
    tcase_add_test(t, every_bit_of_the_envelope_counts);
    tcase_add_loop_test(t, a_row_under_another_record_does_not_open, 0, COUNT(headers));
    tcase_add_test(t, another_domain_key_does_not_open);
    tcase_add_test(t, a_second_record_does_not_open_the_first_material);
    tcase_add_test(t, every_bit_of_the_record_and_its_mac_counts);
    tcase_add_loop_test(t, an_edited_row_is_refused, 0, COUNT(edits));
    tcase_add_test(t, a_tombstone_with_its_material_put_back_stays_destroyed);
    return t;
}
