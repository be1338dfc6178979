/* The crypto door against published vectors, key material tables, and the keyring. */
#include <stdio.h>

#include "server/base/symmetric.h"
#include "server/vault/crypto/crypto.h"
#include "server/vault/keyring.h"
#include "server/vault/material.h"
#include "server/vault/wire.h"
#include "tests/unit/vault/vault_tests.h"

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;
    for (; text[0] && text[1]; text += 2) {
        unsigned v;
        ck_assert_int_eq(sscanf(text, "%2x", &v), 1);
        out[n++] = (uint8_t)v;
    }
    return n;
}

static void is_hex(const uint8_t *got, const char *text)
{
    uint8_t want[256];
    size_t n = unhex(text, want);
    ck_assert_mem_eq(got, want, n);
}

/* RFC 5869, A.1 and A.3. */
START_TEST(hkdf_gives_the_published_answers)
{
    uint8_t ikm[22], salt[13], info[10], out[42];
    struct crypto *c;
    struct crypto_mac *prk;
    memset(ikm, 0x0b, sizeof ikm);
    for (uint8_t i = 0; i < sizeof salt; i++)
        salt[i] = i;
    for (uint8_t i = 0; i < sizeof info; i++)
        info[i] = (uint8_t)(0xf0 + i);
    ck_assert_int_eq(crypto_new(&c), RC_OK);
    ck_assert_int_eq(
        crypto_hkdf_extract(c, bytes_of(salt, sizeof salt), bytes_of(ikm, sizeof ikm), &prk),
        RC_OK);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(crypto_hkdf_expand(prk, bytes_of(info, sizeof info), out, sizeof out),
                         RC_OK);
        is_hex(
            out,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    }
    crypto_mac_free(prk);
    ck_assert_int_eq(crypto_hkdf_extract(c, BYTES_NONE, bytes_of(ikm, sizeof ikm), &prk), RC_OK);
    ck_assert_int_eq(crypto_hkdf_expand(prk, BYTES_NONE, out, sizeof out), RC_OK);
    is_hex(out,
           "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    crypto_mac_free(prk);
    crypto_free(c);
}
END_TEST

/* RFC 4231, case 2, and FIPS 180-4 "abc". */
START_TEST(hmac_and_hash_give_the_published_answers)
{
    uint8_t out[32];
    struct crypto *c;
    struct crypto_mac *m;
    const struct bytes parts[] = {bytes_str("what do ya "), BYTES_NONE,
                                  bytes_str("want for nothing?")};
    ck_assert_int_eq(crypto_new(&c), RC_OK);
    ck_assert_int_eq(crypto_mac_new(c, bytes_str("Jefe"), &m), RC_OK);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(crypto_mac(m, parts, 3, out), RC_OK);
        is_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    crypto_mac_free(m);
    ck_assert_int_eq(crypto_sha256(c, bytes_str("abc"), out), RC_OK);
    is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_free(c);
}
END_TEST

/* McGrew and Viega, The Galois/Counter Mode of Operation, test cases 13 and 14. */
START_TEST(gcm_gives_the_published_answers)
{
    static const uint8_t zeros[32];
    uint8_t out[32], back[16];
    struct crypto *c;
    ck_assert_int_eq(crypto_new(&c), RC_OK);
    ck_assert_int_eq(crypto_gcm_seal(c, zeros, zeros, BYTES_NONE, BYTES_NONE, out), RC_OK);
    is_hex(out, "530f8afbc74536b9a963b4f1c4cb738b");
    ck_assert_int_eq(crypto_gcm_seal(c, zeros, zeros, BYTES_NONE, bytes_of(zeros, 16), out), RC_OK);
    is_hex(out, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    ck_assert_int_eq(crypto_gcm_open(c, zeros, zeros, BYTES_NONE, bytes_of(out, 32), back), RC_OK);
    ck_assert_mem_eq(back, zeros, 16);
    for (int i = 0; i < 32; i++) {
        out[i] ^= 0x40;
        memset(back, 0x77, sizeof back);
        ck_assert_int_eq(crypto_gcm_open(c, zeros, zeros, BYTES_NONE, bytes_of(out, 32), back),
                         RC_INTEGRITY);
        ck_assert_mem_eq(back, zeros, 16); /* nothing of it stays */
        out[i] ^= 0x40;
    }
    ck_assert_int_eq(crypto_gcm_open(c, zeros, zeros, BYTES_NONE, bytes_of(out, 15), back),
                     RC_INTEGRITY);
    crypto_free(c);
}
END_TEST

static const struct {
    uint32_t type, algorithm, length;
    rc_t want;
} made[] = {
    {2, 3, 128, RC_OK},
    {2, 3, 192, RC_OK},
    {2, 3, 256, RC_OK},
    {2, 3, 0, RC_INVALID_FIELD},
    {2, 3, 255, RC_INVALID_FIELD},
    {2, 3, 512, RC_INVALID_FIELD},
    {2, 1, 56, RC_OK},
    {2, 2, 112, RC_OK},
    {2, 2, 128, RC_OK}, /* parity counted */
    {2, 2, 168, RC_OK},
    {2, 2, 192, RC_OK},
    {2, 2, 256, RC_INVALID_FIELD},
    {2, 9, 160, RC_OK}, /* HMAC-SHA256 takes any key */
    {2, 9, 12, RC_INVALID_FIELD},
    {2, 0x18, 80, RC_OK},                        /* SKIPJACK */
    {2, 0x1B, 8 * VAULT_MATERIAL_MAX, RC_OK},    /* One Time Pad */
    {2, 0x20, 256, RC_BAD_CRYPTO_PARAMS},        /* SHA3-256 has no key */
    {2, 4, 2048, RC_BAD_CRYPTO_PARAMS},
    {4, 3, 256, RC_BAD_CRYPTO_PARAMS},
};

START_TEST(only_what_the_table_names_is_generated)
{
    struct control c = sample_control();
    AUTO_SECRET a = NULL;
    AUTO_SECRET b = NULL;
    uint32_t format = 0;
    c.object_type = made[_i].type;
    c.algorithm = made[_i].algorithm;
    c.length = made[_i].length;
    ck_assert_int_eq(material_generate(&c, &a, &format), made[_i].want);
    if (made[_i].want != RC_OK)
        return;
    const struct symmetric *s = symmetric_find(c.algorithm);
    ck_assert_uint_eq(a->len, symmetric_bytes(s, c.length));
    for (size_t i = 0; i < a->len && s->parity; i++)
        ck_assert_int_eq(__builtin_popcount(a->data[i]) & 1, 1);
    ck_assert_uint_eq(format, FORMAT_RAW);
    ck_assert_int_eq(material_generate(&c, &b, &format), RC_OK);
    ck_assert(!secret_equal(a, b));
}
END_TEST

static const struct {
    uint32_t type, algorithm, length, format;
    size_t bytes;
    rc_t want;
} taken[] = {
    {2, 3, 128, 1, 16, RC_OK},
    {2, 3, 256, 7, 32, RC_OK},
    {2, 3, 128, 1, 32, RC_INVALID_FIELD},
    {2, 3, 160, 1, 20, RC_INVALID_FIELD}, /* no such AES */
    {2, 3, 256, 1, 0, RC_INVALID_FIELD},
    {2, 0, 256, 1, 32, RC_INVALID_FIELD},
    {2, 2, 168, 1, 24, RC_OK}, /* 3DES with and without parity counted */
    {2, 2, 192, 1, 24, RC_OK},
    {2, 2, 128, 1, 24, RC_INVALID_FIELD},
    {2, 9, 256, 1, 32, RC_OK}, /* HMAC-SHA256 */
    {2, 9, 250, 1, 32, RC_INVALID_FIELD},
    {2, 4, 2048, 1, 256, RC_INVALID_FIELD}, /* RSA is no symmetric key */
    {2, 3, 256, 2, 40, RC_OK}, /* Opaque: nobody knows */
    {6, 0, 0, 0, 0, RC_OK}, /* a Template is a record alone */
    {6, 0, 0, 0, 1, RC_INVALID_FIELD},
    {7, 0, 0, 2, 5, RC_OK},
    {7, 0, 0, 2, 0, RC_INVALID_FIELD},
    {8, 0, 0, 0, 0, RC_OK},
    {8, 0, 0, 0, VAULT_MATERIAL_MAX + 1, RC_TOO_LARGE},
    {4, 4, 2048, 3, 1000, RC_WRONG_TYPE},
};

START_TEST(registered_material_must_agree_with_its_record)
{
    static uint8_t bytes[VAULT_MATERIAL_MAX + 1];
    struct control c = sample_control();
    c.object_type = taken[_i].type;
    c.algorithm = taken[_i].algorithm;
    c.length = taken[_i].length;
    ck_assert_int_eq(material_check(&c, taken[_i].format, bytes_of(bytes, taken[_i].bytes)),
                     taken[_i].want);
}
END_TEST

START_TEST(the_keyring_finds_keys_and_the_active_one)
{
    struct keyring r = {0};
    struct crypto *c;
    ck_assert_int_eq(crypto_new(&c), RC_OK);
    ck_assert_ptr_null(keyring_find(&r, 1, 1));
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t n = i * 37 % 100; /* in no order */
        uint8_t key[32];
        memset(key, (int)n, sizeof key);
        ck_assert_int_eq(
            keyring_add(&r, c, 1 + n / 10, 1 + n % 10, 5, n % 10 == 3, bytes_of(key, 32)), RC_OK);
    }
    for (uint32_t n = 0; n < 100; n++) {
        const struct domain_key *k = keyring_find(&r, 1 + n / 10, 1 + n % 10);
        ck_assert_ptr_nonnull(k);
        ck_assert_uint_eq(k->epoch, 1 + n % 10);
        ck_assert_uint_eq(keyring_active(&r, 1 + n / 10)->epoch, 4);
    }
    ck_assert_int_eq(keyring_add(&r, c, 2, 5, 5, true, BYTES_NONE),
                     RC_OK); /* there already: now active */
    ck_assert_uint_eq(keyring_active(&r, 2)->epoch, 5);
    ck_assert_uint_eq(r.count, 100);
    ck_assert_ptr_null(keyring_find(&r, 11, 1));
    for (uint32_t n = 0; n < KEYRING_MAX + 10; n++)
        ck_assert_int_eq(keyring_add(&r, c, 50, n + 1, 5, false, bytes_str("0123456789abcdef")),
                         RC_OK);
    ck_assert_uint_le(r.count, KEYRING_MAX);
    keyring_wipe(&r);
    ck_assert_ptr_null(keyring_find(&r, 50, 1));
    crypto_free(c);
}
END_TEST

TCase *crypto_tests(void)
{
    TCase *t = tcase_create("crypto");
    tcase_add_test(t, hkdf_gives_the_published_answers);
    tcase_add_test(t, hmac_and_hash_give_the_published_answers);
    tcase_add_test(t, gcm_gives_the_published_answers);
    tcase_add_loop_test(t, only_what_the_table_names_is_generated, 0, COUNT(made));
    tcase_add_loop_test(t, registered_material_must_agree_with_its_record, 0, COUNT(taken));
    tcase_add_test(t, the_keyring_finds_keys_and_the_active_one);
    return t;
}
