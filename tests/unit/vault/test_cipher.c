/* Ciphers against published vectors, both ways; what goes together and what does not; one answer for all that is
 * forged; and ciphers on the makers' threads. */
#include <stdio.h>

#include "proto/kmip/tables.h"
#include "server/vault/crypto/cipher.h"
#include "server/vault/makers.h"
#include "tests/unit/vault/vault_tests.h"

enum {
    AES = KMIP_ALGORITHM_AES,
    DES3 = KMIP_ALGORITHM_3DES,
    CHACHA = KMIP_ALGORITHM_CHACHA20,
    CHACHA_POLY = KMIP_ALGORITHM_CHACHA20POLY1305,
    ECB = KMIP_MODE_ECB,
    CBC = KMIP_MODE_CBC,
    CTR = KMIP_MODE_CTR,
    CFB = KMIP_MODE_CFB,
    OFB = KMIP_MODE_OFB,
    GCM = KMIP_MODE_GCM,
    CCM = KMIP_MODE_CCM,
    AEAD = KMIP_MODE_AEAD,
    NO_PADDING = KMIP_PADDING_NONE,
    PKCS5 = KMIP_PADDING_PKCS5,
};

static void unhex(const char *text, struct buf *out)
{
    for (; *text; text += 2) {
        unsigned v;
        ck_assert_int_eq(sscanf(text, "%2x", &v), 1);
        ck_assert_int_eq(buf_add_u8(out, (uint8_t)v), RC_OK);
    }
}

static void is_hex(const struct buf *got, const char *text)
{
    AUTO_BUF want = BUF_EMPTY;
    unhex(text, &want);
    ck_assert_uint_eq(got->len, want.len);
    ck_assert(bytes_equal(buf_view(got), buf_view(&want)));
}

/* clang-format off */
#define P_38A                                                                                                          \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                                                 \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define K_128 "2b7e151628aed2a6abf7158809cf4f3c"
#define K_256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define IV_38A "000102030405060708090a0b0c0d0e0f"
#define LADIES                                                                                                         \
    "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64"         \
    "206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f"         \
    "756c642062652069742e"

static const struct vector {
    const char *source;
    struct cipher_request request;
    const char *key, *iv, *additional, *plain, *sealed, *tag;
} vectors[] = {
    {"SP 800-38A, F.1.1", {.algorithm = AES, .mode = ECB}, K_128, "", "", P_38A,
     "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
     "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4", ""},
    {"SP 800-38A, F.1.3", {.algorithm = AES, .mode = ECB, .padding = NO_PADDING},
     "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "", "", P_38A,
     "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef"
     "ef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e", ""},
    {"SP 800-38A, F.2.5", {.algorithm = AES, .mode = CBC}, K_256, IV_38A, "", P_38A,
     "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
     "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b", ""},
    {"SP 800-38A, F.3.13", {.algorithm = AES, .mode = CFB}, K_128, IV_38A, "", P_38A,
     "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
     "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6", ""},
    {"SP 800-38A, F.4.1", {.algorithm = AES, .mode = OFB}, K_128, IV_38A, "", P_38A,
     "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825"
     "9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e", ""},
    {"SP 800-38A, F.5.1", {.algorithm = AES, .mode = CTR}, K_128, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "", P_38A,
     "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
     "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee", ""},
    {"RFC 3686, 6, 1", {.algorithm = AES, .mode = CTR, .has_counter = true, .counter = 1},
     "ae6852f8121067cc4bf7a5765577f39e", "000000300000000000000000", "", "53696e676c6520626c6f636b206d7367",
     "e4095d4fb7a7b3792d6175a3261311b8", ""},
    {"GCM (McGrew, Viega), B, test case 4; SP 800-38D", {.algorithm = AES, .mode = GCM},
     "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091", "5bc94fbc3221a5db94fae95ae7121a47"},
    {"GCM (McGrew, Viega), B, test case 5: a short IV", {.algorithm = AES, .mode = GCM},
     "feffe9928665731c6d6a8f9467308308", "cafebabefacedbad", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
     "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598", "3612d2e79e3b0785561be14aaca2fccb"},
    {"GCM (McGrew, Viega), B, test case 1: no data", {.algorithm = AES, .mode = GCM},
     "00000000000000000000000000000000", "000000000000000000000000", "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
    {"SP 800-38C, C.3", {.algorithm = AES, .mode = CCM, .tag_bytes = 8},
     "404142434445464748494a4b4c4d4e4f", "101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213",
     "202122232425262728292a2b2c2d2e2f3031323334353637",
     "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5", "484392fbc1b09951"},
    {"SP 800-67, B", {.algorithm = DES3, .mode = ECB}, "0123456789abcdef23456789abcdef01456789abcdef0123", "", "",
     "54686520717566636b2062726f776e20666f78206a756d70", "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900", ""},
    {"RFC 3713, A", {.algorithm = KMIP_ALGORITHM_CAMELLIA, .mode = ECB}, "0123456789abcdeffedcba9876543210", "", "",
     "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43", ""},
    {"RFC 5794, A.1", {.algorithm = KMIP_ALGORITHM_ARIA, .mode = ECB}, "000102030405060708090a0b0c0d0e0f", "", "",
     "00112233445566778899aabbccddeeff", "d718fbd6ab644c739da95f3be6451778", ""},
    {"GB/T 32907, A.1", {.algorithm = KMIP_ALGORITHM_SM4, .mode = ECB}, "0123456789abcdeffedcba9876543210", "", "",
     "0123456789abcdeffedcba9876543210", "681edf34d206965e86b3e94f536e4246", ""},
    {"RFC 8439, 2.4.2", {.algorithm = CHACHA, .has_counter = true, .counter = 1},
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000000000000004a00000000", "", LADIES,
     "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357"
     "1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
     "5af90bbf74a35be6b40b8eedf2785e42874d", ""},
    {"ChaCha (Bernstein): a nonce of 64 bits", {.algorithm = CHACHA},
     "0000000000000000000000000000000000000000000000000000000000000000", "0000000000000000", "",
     "0000000000000000000000000000000000000000000000000000000000000000",
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7", ""},
    {"RFC 8439, 2.8.2", {.algorithm = CHACHA_POLY, .mode = AEAD, .tag_bytes = 16},
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7", LADIES,
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
     "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
     "3ff4def08e4b7a9de576d26586cec64b6116", "1ae10b594f09e26a7e902ecbd0600691"},
    {"OASIS, CS-BC-M-8: padding of a whole block", {.algorithm = AES, .mode = ECB, .padding = PKCS5},
     "0123456789abcdef0123456789abcdef", "", "", "01020304050607080910111213141516",
     "d9bcce11b0b437b90239552df3a360c90efb6bfed93b4d1ea2123ba4db075ff6", ""},
    {"OASIS, CS-BC-M-10: padding of a part", {.algorithm = AES, .mode = CBC, .padding = PKCS5},
     "0123456789abcdef0123456789abcdef", "ff020304050607080910111213141516", "",
     "010203040506070809101112131415160102030405060708091011121314151601",
     "e768203ba72b6e157daaad34b1e791d8e88457dc147942f01bfaff7b28a3cdde2203d4d5a4c7928ba9e9cc78b66a6546", ""},
};
/* clang-format on */

/* A piece of work by a vector; a decryption begins with what it seals. */
static void begin(const struct vector *v, bool encrypt, struct cipher_work *w)
{
    AUTO_BUF tag = BUF_EMPTY;
    *w = (struct cipher_work){.request = v->request};
    w->request.encrypt = encrypt;
    unhex(v->key, &w->key);
    unhex(v->iv, &w->iv);
    unhex(v->additional, &w->additional);
    unhex(encrypt ? v->plain : v->sealed, &w->data);
    if (!encrypt) {
        unhex(v->tag, &tag);
        if (tag.len)
            memcpy(w->tag, tag.data, tag.len);
    }
    const struct cipher_lengths have = {w->additional.len, tag.len, w->data.len};
    rc_t rc = cipher_plan(&w->request, buf_view(&w->iv), &have, &w->plan);
    ck_assert_msg(rc == RC_OK, "%s: %s", v->source, rc_name(rc));
}

START_TEST(vectors_hold_both_ways)
{
    const struct vector *v = &vectors[_i];
    AUTO_BUF tag = BUF_EMPTY;
    struct cipher_work w;
    begin(v, true, &w);
    ck_assert_int_eq(cipher_work(&w), RC_OK);
    is_hex(&w.data, v->sealed);
    unhex(v->tag, &tag);
    ck_assert_uint_eq(w.plan.tag_bytes, tag.len);
    ck_assert(tag.len == 0 || memcmp(w.tag, tag.data, tag.len) == 0);
    cipher_work_free(&w);
    begin(v, false, &w);
    ck_assert_int_eq(cipher_work(&w), RC_OK);
    is_hex(&w.data, v->plain);
    cipher_work_free(&w);
}
END_TEST

/* Tag, additional data, nonce, data: whatever was changed, the answer is the same, and nothing comes with it. */
START_TEST(what_is_forged_fails_in_one_way)
{
    const struct vector *v = &vectors[_i];
    for (int part = 0; v->tag[0] && part < 4; part++) {
        struct cipher_work w;
        begin(v, false, &w);
        uint8_t *const parts[] = {w.tag, w.additional.data, w.iv.data, w.data.data};
        const size_t lengths[] = {w.plan.tag_bytes, w.additional.len, w.iv.len, w.data.len};
        if (lengths[part]) {
            parts[part][lengths[part] - 1] ^= 1;
            ck_assert_int_eq(cipher_work(&w), RC_CRYPTO);
            ck_assert_uint_eq(w.data.len, 0);
        }
        cipher_work_free(&w);
    }
}
END_TEST

/* A last block of every value of its last byte: either it is padding, or it fails like all else. */
START_TEST(wrong_padding_fails_like_all_else)
{
    for (unsigned last = 0; last < 256; last++) {
        struct cipher_work w = {.request = {.encrypt = true, .algorithm = AES, .mode = ECB}};
        struct cipher_lengths have = {.data = 16};
        unhex(K_128, &w.key);
        for (int i = 0; i < 16; i++)
            ck_assert_int_eq(buf_add_u8(&w.data, (uint8_t)last), RC_OK);
        ck_assert_int_eq(cipher_plan(&w.request, BYTES_NONE, &have, &w.plan), RC_OK);
        ck_assert_int_eq(cipher_work(&w), RC_OK);
        w.request.encrypt = false;
        w.request.padding = PKCS5;
        ck_assert_int_eq(cipher_plan(&w.request, BYTES_NONE, &have, &w.plan), RC_OK);
        bool good = last >= 1 && last <= 16;
        ck_assert_int_eq(cipher_work(&w), good ? RC_OK : RC_CRYPTO);
        ck_assert_uint_eq(w.data.len, good ? 16 - last : 0);
        cipher_work_free(&w);
    }
}
END_TEST

/* Two keys of triple DES are the three of which the last is the first (SP 800-67, 3.1). */
START_TEST(two_keys_are_three)
{
    static const char *const keys[] = {"0123456789abcdef23456789abcdef01",
                                       "0123456789abcdef23456789abcdef010123456789abcdef"};
    struct cipher_work w[2];
    for (int i = 0; i < 2; i++) {
        const struct vector v = {
            "", {.algorithm = DES3, .mode = CBC, .padding = PKCS5}, keys[i], "0011223344556677", "", "00", "", ""};
        begin(&v, true, &w[i]);
        ck_assert_int_eq(cipher_work(&w[i]), RC_OK);
        ck_assert_uint_eq(w[i].data.len, 8);
    }
    ck_assert(bytes_equal(buf_view(&w[0].data), buf_view(&w[1].data)));
    cipher_work_free(&w[0]);
    cipher_work_free(&w[1]);
}
END_TEST

/* Every row of the table is one that OpenSSL has, with an IV that is made and new each time, in all lengths of keys. */
START_TEST(every_cipher_of_the_table_is_there)
{
    size_t count;
    const struct cipher *table = cipher_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct cipher *c = &table[i];
        bool sized =
            c->algorithm == AES || c->algorithm == KMIP_ALGORITHM_CAMELLIA || c->algorithm == KMIP_ALGORITHM_ARIA;
        bool chacha = c->algorithm == CHACHA || c->algorithm == CHACHA_POLY;
        size_t least = chacha ? 32 : c->algorithm == DES3 ? 24 : 16, most = sized ? 32 : least;
        ck_assert_ptr_eq(cipher_find(c->algorithm, c->mode), c);
        for (size_t bytes = least; bytes <= most; bytes += 8) {
            uint8_t iv[2][CIPHER_IV_MADE_MOST] = {{0}};
            for (int again = 0; again < 2; again++) {
                struct cipher_work w = {
                    .request = {.encrypt = true, .algorithm = c->algorithm, .mode = c->mode, .make_iv = true}};
                const struct cipher_lengths have = {.data = 48};
                static const uint8_t zeros[48];
                ck_assert_int_eq(buf_add(&w.key, zeros, bytes), RC_OK);
                w.key.data[0] = 1; /* 3DES wants no weak one */
                ck_assert_int_eq(buf_add(&w.data, zeros, 48), RC_OK);
                ck_assert_int_eq(cipher_plan(&w.request, BYTES_NONE, &have, &w.plan), RC_OK);
                rc_t rc = cipher_work(&w);
                ck_assert_msg(rc == RC_OK, "%u in mode %u: %s", c->algorithm, c->mode, rc_name(rc));
                ck_assert_uint_eq(w.data.len, 48);
                ck_assert_uint_eq(w.iv.len, c->iv_preset);
                if (w.iv.len)
                    memcpy(iv[again], w.iv.data, w.iv.len);
                cipher_work_free(&w);
            }
            ck_assert(c->iv_preset == 0 || memcmp(iv[0], iv[1], c->iv_preset) != 0);
        }
    }
}
END_TEST

/* ---- what goes together --------------------------------------------------------------------- */

#define ENC(algo, mod, ...)                                                                                            \
    {                                                                                                                  \
        .encrypt = true, .algorithm = algo, .mode = mod __VA_OPT__(, ) __VA_ARGS__                                     \
    }
#define DEC(algo, mod, ...)                                                                                            \
    {                                                                                                                  \
        .algorithm = algo, .mode = mod __VA_OPT__(, ) __VA_ARGS__                                                      \
    }

/* clang-format off */
static const struct plan_case {
    rc_t want;
    struct cipher_request r;
    size_t iv;
    struct cipher_lengths have;
    size_t planned_iv, planned_tag;
} plans[] = {
    {RC_OK, ENC(AES, ECB), 0, {0, 0, 32}, 0, 0},
    {RC_OK, ENC(AES, ECB, .make_iv = true), 0, {0, 0, 0}, 0, 0},
    {RC_PARAMS_MISSING, ENC(AES, 0), 0, {0, 0, 16}, 0, 0},
    {RC_PARAMS_UNSUPPORTED, ENC(KMIP_ALGORITHM_HMAC_SHA256, 0), 0, {0, 0, 16}, 0, 0},
    {RC_PARAMS_UNSUPPORTED, ENC(AES, KMIP_MODE_XTS), 16, {0, 0, 16}, 0, 0},
    {RC_PARAMS_UNSUPPORTED, ENC(DES3, GCM), 12, {0, 0, 16}, 0, 0},
    {RC_PARAMS_UNSUPPORTED, ENC(CHACHA, CTR), 12, {0, 0, 16}, 0, 0},
    /* padding */
    {RC_OK, ENC(AES, CBC, .padding = PKCS5), 16, {0, 0, 1}, 16, 0},
    {RC_OK, ENC(AES, CBC, .padding = PKCS5), 16, {0, 0, 0}, 16, 0},
    {RC_PARAMS_UNSUPPORTED, ENC(AES, CBC, .padding = KMIP_PADDING_ISO_10126), 16, {0, 0, 1}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CTR, .padding = PKCS5), 16, {0, 0, 1}, 0, 0},
    {RC_DATA_LENGTH, ENC(AES, CBC, .padding = NO_PADDING), 16, {0, 0, 17}, 0, 0},
    {RC_DATA_LENGTH, ENC(AES, ECB), 0, {0, 0, 1}, 0, 0},
    {RC_DATA_LENGTH, DEC(AES, CBC, .padding = PKCS5), 16, {0, 0, 17}, 0, 0},
    {RC_DATA_LENGTH, DEC(AES, CBC, .padding = PKCS5), 16, {0, 0, 0}, 0, 0},
    {RC_OK, DEC(AES, CBC), 16, {0, 0, 0}, 16, 0},
    {RC_DATA_LENGTH, DEC(DES3, CBC), 8, {0, 0, 12}, 0, 0},
    {RC_OK, DEC(DES3, CBC), 8, {0, 0, 24}, 8, 0},
    /* IV */
    {RC_IV_MISSING, ENC(AES, CBC), 0, {0, 0, 16}, 0, 0},
    {RC_IV_MISSING, DEC(AES, CBC, .make_iv = true), 0, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(AES, CBC, .make_iv = true), 0, {0, 0, 16}, 16, 0},
    {RC_IV_LENGTH, ENC(AES, CBC), 15, {0, 0, 16}, 0, 0},
    {RC_IV_LENGTH, ENC(AES, CBC, .iv_bytes = 8), 16, {0, 0, 16}, 0, 0},
    {RC_IV_LENGTH, ENC(AES, CBC, .iv_bytes = 8, .make_iv = true), 0, {0, 0, 16}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, ECB), 16, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(AES, GCM), 1, {0, 0, 16}, 1, 16},
    {RC_OK, ENC(AES, GCM), 128, {0, 0, 16}, 128, 16},
    {RC_IV_LENGTH, ENC(AES, GCM), 129, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(AES, GCM, .make_iv = true), 0, {0, 0, 16}, 12, 16},
    {RC_OK, ENC(AES, GCM, .iv_bytes = 16, .make_iv = true), 0, {0, 0, 16}, 16, 16},
    {RC_IV_LENGTH, ENC(AES, GCM, .iv_bytes = 8, .make_iv = true), 0, {0, 0, 16}, 0, 0},
    {RC_IV_LENGTH, ENC(AES, GCM, .iv_bytes = 17, .make_iv = true), 0, {0, 0, 16}, 0, 0},
    {RC_IV_LENGTH, ENC(CHACHA, 0), 9, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(CHACHA, 0), 8, {0, 0, 16}, 8, 0},
    {RC_IV_LENGTH, ENC(CHACHA_POLY, 0), 8, {0, 0, 16}, 0, 0},
    /* counters */
    {RC_IV_LENGTH, ENC(AES, CTR), 12, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(AES, CTR, .has_counter = true, .counter = 1), 12, {0, 0, 16}, 12, 0},
    {RC_OK, ENC(AES, CTR, .counter_bits = 32, .has_counter = true), 12, {0, 0, 16}, 12, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CTR, .counter_bits = 64, .has_counter = true), 12, {0, 0, 16}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CTR, .has_counter = true), 16, {0, 0, 16}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CBC, .has_counter = true), 16, {0, 0, 16}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CTR, .counter_bits = 129), 16, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(AES, CTR, .counter_bits = 128), 16, {0, 0, 16}, 16, 0},
    {RC_OK, ENC(AES, CTR, .has_counter = true, .counter = 0), 15, {0, 0, 256 * 16}, 15, 0},
    {RC_DATA_LENGTH, ENC(AES, CTR, .has_counter = true, .counter = 0), 15, {0, 0, 256 * 16 + 1}, 0, 0},
    {RC_DATA_LENGTH, ENC(AES, CTR, .has_counter = true, .counter = 255), 15, {0, 0, 17}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CTR, .has_counter = true, .counter = 256), 15, {0, 0, 1}, 0, 0},
    /* the given IV ends with 0xFE: two blocks are left of 8 bits, many of 9 */
    {RC_OK, ENC(AES, CTR, .counter_bits = 8), 16, {0, 0, 32}, 16, 0},
    {RC_DATA_LENGTH, ENC(AES, CTR, .counter_bits = 8), 16, {0, 0, 33}, 0, 0},
    {RC_OK, ENC(AES, CTR, .counter_bits = 9), 16, {0, 0, 33}, 16, 0},
    {RC_OK, ENC(AES, CTR, .make_iv = true), 0, {0, 0, 33}, 16, 0},
    {RC_PARAMS_UNSUPPORTED, ENC(AES, CTR, .counter_bits = 32, .make_iv = true), 0, {0, 0, 33}, 0, 0},
    {RC_OK, ENC(AES, CTR, .has_counter = true, .counter = 1, .make_iv = true), 0, {0, 0, 33}, 12, 0},
    {RC_IV_LENGTH, ENC(AES, CTR, .counter_bits = 64, .has_counter = true, .make_iv = true), 0, {0, 0, 33}, 0, 0},
    {RC_IV_LENGTH, ENC(AES, CTR, .counter_bits = 40, .has_counter = true, .make_iv = true), 0, {0, 0, 33}, 0, 0},
    {RC_OK, ENC(AES, CTR, .counter_bits = 32, .has_counter = true, .make_iv = true), 0, {0, 0, 33}, 12, 0},
    {RC_IV_LENGTH, ENC(AES, CTR, .counter_bits = 96, .has_counter = true, .make_iv = true), 0, {0, 0, 33}, 0, 0},
    /* tags */
    {RC_OK, ENC(AES, GCM, .tag_bytes = 12), 12, {99, 0, 16}, 12, 12},
    {RC_TAG_LENGTH, ENC(AES, GCM, .tag_bytes = 11), 12, {0, 0, 16}, 0, 0},
    {RC_TAG_LENGTH, ENC(AES, GCM, .tag_bytes = 17), 12, {0, 0, 16}, 0, 0},
    {RC_TAG_LENGTH, ENC(AES, CCM, .tag_bytes = 9), 12, {0, 0, 16}, 0, 0},
    {RC_OK, ENC(AES, CCM, .tag_bytes = 10), 12, {0, 0, 16}, 12, 10},
    {RC_OK, DEC(AES, GCM), 12, {0, 16, 16}, 12, 16},
    {RC_TAG_MISSING, DEC(AES, GCM), 12, {0, 0, 16}, 0, 0},
    {RC_CRYPTO, DEC(AES, GCM), 12, {0, 12, 16}, 0, 0}, /* cut off */
    {RC_PARAMS_CONFLICT, ENC(AES, GCM), 12, {0, 16, 16}, 0, 0},
    {RC_PARAMS_CONFLICT, DEC(AES, CBC), 16, {0, 16, 16}, 0, 0},
    {RC_PARAMS_CONFLICT, ENC(AES, CBC), 16, {1, 0, 16}, 0, 0},
    /* sizes */
    {RC_OK, ENC(AES, GCM), 12, {0, 0, CIPHER_DATA_MOST}, 12, 16},
    {RC_TOO_LARGE, ENC(AES, GCM), 12, {0, 0, CIPHER_DATA_MOST + 1}, 0, 0},
    {RC_TOO_LARGE, ENC(AES, GCM), 12, {CIPHER_DATA_MOST + 1, 0, 0}, 0, 0},
    {RC_OK, ENC(AES, CCM), 13, {0, 0, 65535}, 13, 16},
    {RC_DATA_LENGTH, ENC(AES, CCM), 13, {0, 0, 65536}, 0, 0},
    {RC_OK, ENC(AES, CCM), 12, {0, 0, (1 << 24) - 1}, 12, 16},
    {RC_DATA_LENGTH, ENC(AES, CCM), 12, {0, 0, 1 << 24}, 0, 0},
};
/* clang-format on */

/* An IV that ends with so many bits set, all before them clear, is the last of a counter of so many bits or fewer. */
START_TEST(no_counter_is_carried_into_what_stands_before_it)
{
    static const uint32_t widths[] = {8, 32, 63, 64, 65, 96, 127, 128};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        uint8_t iv[16] = {0};
        for (uint32_t bit = 0; bit < widths[i]; bit++)
            iv[15 - bit / 8] |= (uint8_t)(1u << bit % 8);
        const struct cipher_request same = ENC(AES, CTR, .counter_bits = widths[i]);
        const struct cipher_request more = ENC(AES, CTR, .counter_bits = widths[i] + 1);
        const struct cipher_lengths one = {0, 0, 16}, two = {0, 0, 17};
        struct cipher_plan p;
        ck_assert_int_eq(cipher_plan(&same, bytes_of(iv, 16), &one, &p), RC_OK);
        ck_assert_int_eq(cipher_plan(&same, bytes_of(iv, 16), &two, &p), RC_DATA_LENGTH);
        ck_assert_int_eq(cipher_plan(&more, bytes_of(iv, 16), &two, &p),
                         widths[i] < 128 ? RC_OK : RC_PARAMS_CONFLICT);
        iv[15] ^= 1; /* one before the last */
        ck_assert_int_eq(cipher_plan(&same, bytes_of(iv, 16), &two, &p), RC_OK);
    }
    static const uint8_t zero[16] = {0};
    const struct cipher_request whole = ENC(AES, CTR, .counter_bits = 128);
    const struct cipher_lengths two = {0, 0, 17};
    struct cipher_plan p;
    ck_assert_int_eq(cipher_plan(&whole, bytes_of(zero, 16), &two, &p), RC_OK);
}
END_TEST

START_TEST(what_does_not_go_together_is_told)
{
    static const uint8_t iv[256] = {[15] = 0xFE};
    const struct plan_case *c = &plans[_i];
    struct cipher_plan p = {0};
    rc_t rc = cipher_plan(&c->r, bytes_of(iv, c->iv), &c->have, &p);
    ck_assert_msg(rc == c->want, "%d: %s", _i, rc_name(rc));
    ck_assert_uint_eq(p.iv_bytes, c->planned_iv);
    ck_assert_uint_eq(p.tag_bytes, c->planned_tag);
    ck_assert(rc != RC_OK || p.make_iv == (c->iv == 0 && p.iv_bytes > 0));
}
END_TEST

/* ---- on the makers' threads ----------------------------------------------------------------- */

static struct make_job *of_bytes(const struct uid *owner, size_t bytes)
{
    struct make_job *j = make_job_new(MAKE_CIPHER, owner);
    ck_assert_ptr_nonnull(j);
    struct cipher_work *w = &j->cipher;
    const struct cipher_lengths have = {.data = bytes};
    w->request = (struct cipher_request){.encrypt = true, .algorithm = AES, .mode = ECB};
    ck_assert_int_eq(cipher_plan(&w->request, BYTES_NONE, &have, &w->plan), RC_OK);
    unhex(K_128, &w->key);
    ck_assert_int_eq(buf_reserve(&w->data, bytes + CIPHER_BLOCK_MOST), RC_OK);
    memset(w->data.data, 0, bytes);
    w->data.len = bytes;
    return j;
}

/* Long data count by the memory they take, three times as much and 16 KiB, apart from keys; an owner has a quarter, or
 * one piece of any length. */
START_TEST(long_data_have_a_bound_of_their_own)
{
    enum { SHARE = ((1 << 20) - 16 * 1024) / 3, LARGE = 2091680 }; /* take 1 MiB, and 6 */
    static const struct uid alice = {{1}}, bob = {{2}};
    const struct makers_options o = {.threads = 1, .queue = 4};
    struct makers *m;
    ck_assert_int_eq(makers_new(&o, &m), RC_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(makers_post(m, of_bytes(&alice, SHARE)), RC_OK);
    struct make_job *more = of_bytes(&alice, 16), *large = of_bytes(&bob, LARGE), *hash;
    ck_assert_int_eq(makers_post(m, more), RC_BUSY); /* two MiB of eight are hers */
    ck_assert_int_eq(makers_post(m, large), RC_OK);
    more->owner = (struct uid){{3}};
    ck_assert_int_eq(makers_post(m, more), RC_BUSY); /* full */
    hash = make_job_new(MAKE_HASH, &alice);
    ck_assert_ptr_nonnull(hash);
    hash->cost = (struct scrypt_cost){10, 8, 1};
    ck_assert_int_eq(buf_add_str(&hash->salt, "0123456789abcdef"), RC_OK);
    ck_assert_int_eq(makers_post(m, hash), RC_OK); /* what is no cipher has its own room */
    ck_assert_uint_eq(makers_count(m), 4);
    ck_assert_int_eq(makers_start(m), RC_OK);
    for (int done = 0; done < 4;) {
        struct make_job *j = makers_take(m);
        if (!j)
            continue;
        ck_assert_int_eq(j->rc, RC_OK);
        ck_assert(j->kind == MAKE_HASH || j->cipher.data.len >= SHARE);
        make_job_free(j);
        done++;
    }
    ck_assert_uint_eq(makers_count(m), 0);
    ck_assert_int_eq(makers_post(m, more), RC_OK); /* all of it is given back */
    makers_free(m);
}
END_TEST

TCase *cipher_tests(void)
{
    TCase *t = tcase_create("cipher");
    tcase_add_loop_test(t, vectors_hold_both_ways, 0, COUNT(vectors));
    tcase_add_loop_test(t, what_is_forged_fails_in_one_way, 0, COUNT(vectors));
    tcase_add_test(t, wrong_padding_fails_like_all_else);
    tcase_add_test(t, two_keys_are_three);
    tcase_add_test(t, every_cipher_of_the_table_is_there);
    tcase_add_test(t, no_counter_is_carried_into_what_stands_before_it);
    tcase_add_loop_test(t, what_does_not_go_together_is_told, 0, COUNT(plans));
    tcase_add_test(t, long_data_have_a_bound_of_their_own);
    return t;
}
