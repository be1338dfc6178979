/* Asymmetric keys behind the crypto door: making, every format into every other, what is refused. */
#include <pthread.h>
#include <stdio.h>

#include "proto/kmip/struct.h"
#include "server/base/clock.h"
#include "server/vault/crypto/asym.h"
#include "tests/unit/vault/asym_keys.h"
#include "tests/unit/vault/vault_tests.h"

static struct arena arena;

static void setup(void)
{
    arena = ARENA_OF(4 << 20);
}

static void teardown(void)
{
    arena_free(&arena);
}

static struct bytes unhex(const char *text)
{
    size_t len = strlen(text) / 2;
    uint8_t *out = arena_alloc(&arena, len);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < len; i++) {
        unsigned v;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
    return bytes_of(out, len);
}

static struct bytes written(const struct asym *key, bool as_private, uint32_t format)
{
    AUTO_BUF out = BUF_EMPTY;
    rc_t rc = asym_write(key, as_private, format, &out);
    ck_assert_msg(rc == RC_OK, "format %u: %s", format, rc_name(rc));
    return arena_copy(&arena, buf_view(&out));
}

static rc_t try_read(bool is_private, uint32_t format, struct bytes in)
{
    AUTO_ASYM key = NULL;
    rc_t rc = asym_read(is_private, format, in, &key);
    return rc == RC_OK ? asym_check(key) : rc;
}

/* ---- formats -------------------------------------------------------------------------------- */

static const uint32_t rsa_private[] = {KMIP_FORMAT_PKCS1, KMIP_FORMAT_PKCS8,
                                       KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY, 0};
static const uint32_t rsa_public[] = {KMIP_FORMAT_PKCS1, KMIP_FORMAT_X_509,
                                      KMIP_FORMAT_TRANSPARENT_RSA_PUBLIC_KEY, 0};
static const uint32_t ec_private[] = {KMIP_FORMAT_ECPRIVATEKEY,
                                      KMIP_FORMAT_PKCS8,
                                      KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY,
                                      KMIP_FORMAT_TRANSPARENT_ECDSA_PRIVATE_KEY,
                                      KMIP_FORMAT_TRANSPARENT_ECDH_PRIVATE_KEY,
                                      KMIP_FORMAT_TRANSPARENT_ECMQV_PRIVATE_KEY,
                                      0};
static const uint32_t ec_public[] = {KMIP_FORMAT_X_509,
                                     KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY,
                                     KMIP_FORMAT_TRANSPARENT_ECDSA_PUBLIC_KEY,
                                     KMIP_FORMAT_TRANSPARENT_ECDH_PUBLIC_KEY,
                                     KMIP_FORMAT_TRANSPARENT_ECMQV_PUBLIC_KEY,
                                     0};
static const uint32_t dsa_private[] = {KMIP_FORMAT_PKCS8, KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY,
                                       0};
static const uint32_t dsa_public[] = {KMIP_FORMAT_X_509, KMIP_FORMAT_TRANSPARENT_DSA_PUBLIC_KEY, 0};
static const uint32_t dh_private[] = {KMIP_FORMAT_PKCS8, KMIP_FORMAT_TRANSPARENT_DH_PRIVATE_KEY, 0};
static const uint32_t dh_public[] = {KMIP_FORMAT_X_509, KMIP_FORMAT_TRANSPARENT_DH_PUBLIC_KEY, 0};

/* From each format of the list to each other one, the same bytes whichever way was taken. */
static void each_to_each(const struct asym *key, bool as_private, const uint32_t *formats)
{
    struct asym_facts want = asym_facts(key);
    for (const uint32_t *from = formats; *from; from++) {
        AUTO_ASYM again = NULL;
        rc_t rc = asym_read(as_private, *from, written(key, as_private, *from), &again);
        ck_assert_msg(rc == RC_OK, "format %u: %s", *from, rc_name(rc));
        ck_assert_int_eq(asym_check(again), RC_OK);
        struct asym_facts got = asym_facts(again);
        ck_assert_uint_eq(got.algorithm, want.algorithm);
        ck_assert_uint_eq(got.bits, want.bits);
        ck_assert_uint_eq(got.curve, want.curve);
        ck_assert(got.is_private == as_private);
        for (const uint32_t *to = formats; *to; to++)
            ck_assert_msg(bytes_equal(written(again, as_private, *to), written(key, as_private, *to)),
                          "from format %u to %u", *from, *to);
    }
}

static const struct {
    uint32_t family, bits, curve;
    const uint32_t *private_formats, *public_formats;
} made[] = {
    {KMIP_ALGORITHM_RSA, 2048, 0, rsa_private, rsa_public},
    {KMIP_ALGORITHM_RSA, 3072, 0, rsa_private, rsa_public},
    {KMIP_ALGORITHM_EC, 224, KMIP_CURVE_P_224, ec_private, ec_public},
    {KMIP_ALGORITHM_EC, 256, KMIP_CURVE_P_256, ec_private, ec_public},
    {KMIP_ALGORITHM_EC, 384, KMIP_CURVE_P_384, ec_private, ec_public},
    {KMIP_ALGORITHM_EC, 521, KMIP_CURVE_P_521, ec_private, ec_public},
};

START_TEST(made_keys_go_from_each_format_to_each)
{
    AUTO_ASYM key = NULL;
    ck_assert_int_eq(asym_generate(made[_i].family, made[_i].bits, NULL, &key), RC_OK);
    struct asym_facts f = asym_facts(key);
    ck_assert_uint_eq(f.algorithm, made[_i].family);
    ck_assert_uint_eq(f.bits, made[_i].bits);
    ck_assert_uint_eq(f.curve, made[_i].curve);
    ck_assert(f.is_private);
    ck_assert_int_eq(asym_check(key), RC_OK);
    each_to_each(key, true, made[_i].private_formats);
    each_to_each(key, false, made[_i].public_formats);
}
END_TEST

static const struct {
    const char *der;
    uint32_t format, algorithm, bits;
    const uint32_t *private_formats, *public_formats;
} taken[] = {
    {RSA_1024, KMIP_FORMAT_PKCS1, KMIP_ALGORITHM_RSA, 1024, rsa_private, rsa_public},
    {DSA_1024, KMIP_FORMAT_PKCS8, KMIP_ALGORITHM_DSA, 1024, dsa_private, dsa_public},
    {DHX_1024, KMIP_FORMAT_PKCS8, KMIP_ALGORITHM_DH, 1024, dh_private, dh_public},
};

START_TEST(keys_from_elsewhere_go_from_each_format_to_each)
{
    AUTO_ASYM key = NULL;
    struct bytes der = unhex(taken[_i].der);
    ck_assert_int_eq(asym_read(true, taken[_i].format, der, &key), RC_OK);
    ck_assert_int_eq(asym_check(key), RC_OK);
    ck_assert_uint_eq(asym_facts(key).algorithm, taken[_i].algorithm);
    ck_assert_uint_eq(asym_facts(key).bits, taken[_i].bits);
    ck_assert(bytes_equal(written(key, true, taken[_i].format), der));
    each_to_each(key, true, taken[_i].private_formats);
    each_to_each(key, false, taken[_i].public_formats);
}
END_TEST

/* The one private key whose public half everybody knows: d = 1 gives the generator. FIPS 186-4,
 * D.1.2.3. */
START_TEST(a_transparent_ec_key_is_the_number_it_says)
{
    struct kmip_material_ec_private m = {.recommended_curve = KMIP_CURVE_P_256,
                                         .d = unhex("0000000000000001")};
    const struct kmip_context cx = {.arena = &arena, .version = V2_1};
    AUTO_BUF ttlv = BUF_EMPTY;
    ck_assert_int_eq(kmip_struct_write(&ttlv, &cx, KMIP_S_material_ec_private,
                                       KMIP_TAG_KEY_MATERIAL, &m),
                     RC_OK);
    AUTO_ASYM key = NULL;
    ck_assert_int_eq(
        asym_read(true, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY, buf_view(&ttlv), &key), RC_OK);
    struct bytes spki = written(key, false, KMIP_FORMAT_X_509);
    struct bytes want = unhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"
                              "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                              "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    ck_assert(bytes_equal(spki, want));
    ck_assert(bytes_equal(written(key, true, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY),
                          buf_view(&ttlv)));
}
END_TEST

/* All curves that have a KMIP number and that OpenSSL has, through PKCS#8. */
START_TEST(each_curve_can_be_brought)
{
    unsigned known = 0;
    size_t count;
    const struct kmip_entry *curves = kmip_enum_values(KMIP_TAG_RECOMMENDED_CURVE, &count);
    for (size_t i = 0; i < count; i++) {
        struct kmip_material_ec_private m = {.recommended_curve = curves[i].value,
                                             .d = unhex("0123456789abcdef")};
        const struct kmip_context cx = {.arena = &arena, .version = V2_1};
        AUTO_BUF ttlv = BUF_EMPTY;
        ck_assert_int_eq(kmip_struct_write(&ttlv, &cx, KMIP_S_material_ec_private,
                                           KMIP_TAG_KEY_MATERIAL, &m),
                         RC_OK);
        AUTO_ASYM key = NULL;
        rc_t rc = asym_read(true, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY, buf_view(&ttlv), &key);
        if (rc == RC_FEATURE || rc == RC_INVALID_FIELD)
            continue; /* X25519 and X448 are no such curves */
        ck_assert_msg(rc == RC_OK && asym_check(key) == RC_OK, "%s: %s", curves[i].text, rc_name(rc));
        ck_assert_uint_eq(asym_facts(key).curve, curves[i].value);
        ck_assert_int_eq(
            try_read(true, KMIP_FORMAT_PKCS8, written(key, true, KMIP_FORMAT_PKCS8)), RC_OK);
        known++;
    }
    ck_assert_uint_eq(count, 70);
    ck_assert_uint_eq(known, 68);
}
END_TEST

/* ---- RSA keys with parts missing ------------------------------------------------------------ */

enum { D = 1, E = 2, P = 4, Q = 8, DP = 16, DQ = 32, QINV = 64 };

static struct bytes with_parts(const struct kmip_material_rsa_private *all, unsigned parts)
{
    struct kmip_material_rsa_private m = {.modulus = all->modulus};
    if (parts & D)
        m.private_exponent = all->private_exponent;
    if (parts & E)
        m.public_exponent = all->public_exponent;
    if (parts & P)
        m.p = all->p;
    if (parts & Q)
        m.q = all->q;
    if (parts & DP)
        m.prime_exponent_p = all->prime_exponent_p;
    if (parts & DQ)
        m.prime_exponent_q = all->prime_exponent_q;
    if (parts & QINV)
        m.crt_coefficient = all->crt_coefficient;
    const struct kmip_context cx = {.arena = &arena, .version = V2_1};
    AUTO_BUF ttlv = BUF_EMPTY;
    ck_assert_int_eq(
        kmip_struct_write(&ttlv, &cx, KMIP_S_material_rsa_private, KMIP_TAG_KEY_MATERIAL, &m), RC_OK);
    return arena_copy(&arena, buf_view(&ttlv));
}

static const struct kmip_material_rsa_private *rsa_parts(struct bytes ttlv)
{
    const struct kmip_context cx = {.arena = &arena, .version = V2_1};
    struct node *node;
    void *all;
    ck_assert_int_eq(ttlv_read(&arena, ttlv, NULL, &node), RC_OK);
    ck_assert_int_eq(kmip_struct_read(&cx, KMIP_S_material_rsa_private, node, &all), RC_OK);
    return all;
}

/* KMIP 2.1, 3.7: the private exponent, or the primes, or their exponents. */
static const struct {
    unsigned parts;
    rc_t want;
} partial[] = {
    {D | E, RC_OK},
    {D, RC_OK}, /* with one of the usual public exponents */
    {D | E | DP, RC_OK},
    {D | E | DQ, RC_OK},
    {D | E | QINV, RC_OK},
    {P | Q | E, RC_OK},
    {P | E, RC_OK},
    {Q | E, RC_OK},
    {P | Q | D, RC_OK},
    {P | Q | DP, RC_OK},
    {P | Q | DQ, RC_OK},
    {DP | DQ | E, RC_OK},
    {DP | DQ | QINV | E, RC_OK},
    {D | E | P | Q | DP | DQ | QINV, RC_OK},
    {P | Q, RC_INVALID_FIELD}, /* no exponent at all */
    {E, RC_INVALID_FIELD},
    {0, RC_INVALID_FIELD},
    {DP | DQ, RC_INVALID_FIELD},
};

START_TEST(an_rsa_key_is_completed)
{
    AUTO_ASYM key = NULL, *again = NULL;
    struct bytes pkcs1 = unhex(RSA_1024);
    ck_assert_int_eq(asym_read(true, KMIP_FORMAT_PKCS1, pkcs1, &key), RC_OK);
    const struct kmip_material_rsa_private *all =
        rsa_parts(written(key, true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY));
    rc_t rc = asym_read(true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY,
                        with_parts(all, partial[_i].parts), &again);
    ck_assert_msg(rc == partial[_i].want, "parts %x: %s", partial[_i].parts, rc_name(rc));
    if (rc != RC_OK)
        return;
    ck_assert_int_eq(asym_check(again), RC_OK);
    /* d may come out modulo another multiple; all else is the same. */
    const struct kmip_material_rsa_private *got =
        rsa_parts(written(again, true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY));
    ck_assert(bytes_equal(got->public_exponent, all->public_exponent));
    ck_assert(bytes_equal(got->p, all->p));
    ck_assert(bytes_equal(got->q, all->q));
    ck_assert(bytes_equal(got->prime_exponent_p, all->prime_exponent_p));
    ck_assert(bytes_equal(got->prime_exponent_q, all->prime_exponent_q));
    ck_assert(bytes_equal(got->crt_coefficient, all->crt_coefficient));
}
END_TEST

/* Each number of a whole key changed in turn: none goes unnoticed. */
START_TEST(numbers_that_do_not_agree_are_refused)
{
    AUTO_ASYM key = NULL;
    ck_assert_int_eq(asym_read(true, KMIP_FORMAT_PKCS1, unhex(RSA_1024), &key), RC_OK);
    const struct kmip_material_rsa_private *all =
        rsa_parts(written(key, true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY));
    struct kmip_material_rsa_private m = *all;
    struct bytes *const parts[] = {&m.modulus, &m.private_exponent, &m.public_exponent,
                                   &m.p,       &m.q,                &m.prime_exponent_p,
                                   &m.prime_exponent_q, &m.crt_coefficient};
    struct bytes whole = *parts[_i], changed = arena_copy(&arena, whole);
    ((uint8_t *)(uintptr_t)changed.data)[changed.len - 1] ^= 4;
    *parts[_i] = changed;
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY, with_parts(&m, 127)),
                     RC_INVALID_FIELD);
    *parts[_i] = whole;
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY, with_parts(&m, 127)),
                     RC_OK);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------ */

START_TEST(a_format_is_not_another)
{
    AUTO_ASYM rsa = NULL, *ec = NULL;
    ck_assert_int_eq(asym_read(true, KMIP_FORMAT_PKCS1, unhex(RSA_1024), &rsa), RC_OK);
    ck_assert_int_eq(asym_generate(KMIP_ALGORITHM_EC, 256, NULL, &ec), RC_OK);
    struct bytes pkcs1 = unhex(RSA_1024), pkcs8 = written(rsa, true, KMIP_FORMAT_PKCS8);
    struct bytes spki = written(rsa, false, KMIP_FORMAT_X_509);
    struct bytes point = written(ec, false, KMIP_FORMAT_X_509);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_PKCS8, pkcs1), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_PKCS1, pkcs8), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_ECPRIVATEKEY, pkcs1), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_PKCS1, spki), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_X_509, pkcs8), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_PKCS1, pkcs1), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_X_509, spki), RC_KEY_FORMAT);
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_PKCS8, pkcs8), RC_KEY_FORMAT);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_RAW, pkcs8), RC_KEY_FORMAT);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY, pkcs8), RC_KEY_FORMAT);
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY, pkcs8), RC_KEY_FORMAT);
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(asym_write(ec, true, KMIP_FORMAT_PKCS1, &out), RC_KEY_FORMAT);
    ck_assert_int_eq(asym_write(rsa, true, KMIP_FORMAT_ECPRIVATEKEY, &out), RC_KEY_FORMAT);
    ck_assert_int_eq(asym_write(rsa, true, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY, &out),
                     RC_KEY_FORMAT);
    AUTO_ASYM public = NULL;
    ck_assert_int_eq(asym_read(false, KMIP_FORMAT_X_509, point, &public), RC_OK);
    ck_assert_int_eq(asym_write(public, true, KMIP_FORMAT_PKCS8, &out), RC_KEY_FORMAT);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* Each prefix, each byte more, each byte changed: never a crash, and never a key of another length
 * than the input's own. */
START_TEST(damaged_bytes_are_refused)
{
    static const struct {
        const char *der;
        uint32_t format;
    } keys[] = {{RSA_1024, KMIP_FORMAT_PKCS1}, {DSA_1024, KMIP_FORMAT_PKCS8}};
    struct bytes der = unhex(keys[_i].der);
    struct bytes copy = arena_copy(&arena, der);
    uint8_t *at = (uint8_t *)(uintptr_t)copy.data;
    for (size_t len = 0; len < der.len; len += len < 64 ? 1 : 7)
        ck_assert_int_eq(try_read(true, keys[_i].format, bytes_of(at, len)), RC_INVALID_FIELD);
    ck_assert_int_eq(try_read(true, keys[_i].format, bytes_of(at, der.len + 1)), RC_INVALID_FIELD);
    for (size_t i = 0; i < 40; i++) {
        at[i] ^= 0x01;
        (void)try_read(true, keys[_i].format, copy);
        at[i] ^= 0x01;
    }
    ck_assert_int_eq(try_read(true, keys[_i].format, copy), RC_OK);
}
END_TEST

START_TEST(damaged_structures_are_refused)
{
    AUTO_ASYM key = NULL;
    ck_assert_int_eq(asym_generate(KMIP_ALGORITHM_EC, 256, NULL, &key), RC_OK);
    struct bytes whole = written(key, false, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY);
    struct bytes copy = arena_copy(&arena, whole);
    uint8_t *at = (uint8_t *)(uintptr_t)copy.data;
    for (size_t len = 0; len < whole.len; len++)
        ck_assert_int_eq(
            try_read(false, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY, bytes_of(at, len)),
            RC_INVALID_FIELD);
    at[whole.len - 8] ^= 1; /* the point leaves its curve */
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY, copy),
                     RC_INVALID_FIELD);
    at[whole.len - 8] ^= 1;
    ck_assert_int_eq(try_read(false, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY, copy), RC_OK);
    static const char *const numbers[] = {
        "ffffffffffffffff", /* negative */
        "0000000000000000", /* zero */
        /* the order of P-256, and what is beyond */
        "0000000000000000ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "00000000000000010000000000000000000000000000000000000000000000000000000000000000",
    };
    for (int i = 0; i < COUNT(numbers); i++) {
        struct kmip_material_ec_private m = {.recommended_curve = KMIP_CURVE_P_256,
                                             .d = unhex(numbers[i])};
        const struct kmip_context cx = {.arena = &arena, .version = V2_1};
        AUTO_BUF ttlv = BUF_EMPTY;
        ck_assert_int_eq(kmip_struct_write(&ttlv, &cx, KMIP_S_material_ec_private,
                                           KMIP_TAG_KEY_MATERIAL, &m),
                         RC_OK);
        ck_assert_int_eq(
            try_read(true, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY, buf_view(&ttlv)),
            RC_INVALID_FIELD);
    }
}
END_TEST

START_TEST(kinds_not_known_are_refused_as_such)
{
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_PKCS8, unhex(ED25519)), RC_FEATURE);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_ECPRIVATEKEY, unhex(EC_EXPLICIT)), RC_FEATURE);
    ck_assert_int_eq(try_read(true, KMIP_FORMAT_PKCS8, unhex(EC_ENCRYPTED)), RC_INVALID_FIELD);
    ck_assert(asym_is_encrypted_pkcs8(unhex(EC_ENCRYPTED)));
    ck_assert(!asym_is_encrypted_pkcs8(unhex(DSA_1024)));
    ck_assert(!asym_is_encrypted_pkcs8(unhex(RSA_1024)));
    struct asym *key;
    ck_assert_int_eq(asym_generate(KMIP_ALGORITHM_EC, 192, NULL, &key), RC_FEATURE);
    ck_assert_int_eq(asym_generate(KMIP_ALGORITHM_DSA, 2048, NULL, &key), RC_FEATURE);
    ck_assert_int_eq(asym_generate(KMIP_ALGORITHM_RSA, 16384, NULL, &key), RC_FEATURE);
    ck_assert_int_eq(asym_generate(KMIP_ALGORITHM_RSA, 256, NULL, &key), RC_FEATURE);
}
END_TEST

START_TEST(a_certificate_gives_its_key)
{
    AUTO_ASYM key = NULL;
    struct bytes der = unhex(CERTIFICATE_P256);
    ck_assert_int_eq(asym_read_certificate(der, &key), RC_OK);
    ck_assert_uint_eq(asym_facts(key).algorithm, KMIP_ALGORITHM_EC);
    ck_assert_uint_eq(asym_facts(key).bits, 256);
    ck_assert_uint_eq(asym_facts(key).curve, KMIP_CURVE_P_256);
    ck_assert(!asym_facts(key).is_private);
    struct asym *none;
    for (size_t len = 0; len < der.len; len++)
        ck_assert_int_eq(asym_read_certificate(bytes_of(der.data, len), &none), RC_INVALID_FIELD);
    ck_assert_int_eq(asym_read_certificate(unhex(RSA_1024), &none), RC_INVALID_FIELD);
}
END_TEST

/* ---- stopping ------------------------------------------------------------------------------- */

struct search {
    atomic_bool stop;
    rc_t rc;
};

static void *search(void *arg)
{
    struct search *s = arg;
    struct asym *key = NULL;
    s->rc = asym_generate(KMIP_ALGORITHM_RSA, ASYM_BITS_MOST, &s->stop, &key);
    asym_free(&key);
    return NULL;
}

START_TEST(the_search_for_primes_can_be_stopped)
{
    struct search s = {.rc = RC_INTERNAL};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, search, &s), 0);
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    int64_t began = clock_monotonic_us();
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    ck_assert_int_eq(s.rc, RC_UNAVAILABLE);
    ck_assert_int_lt(clock_monotonic_us() - began, 5000000);
}
END_TEST

TCase *asym_tests(void)
{
    TCase *tc = tcase_create("asym");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, made_keys_go_from_each_format_to_each, 0, COUNT(made));
    tcase_add_loop_test(tc, keys_from_elsewhere_go_from_each_format_to_each, 0, COUNT(taken));
    tcase_add_test(tc, a_transparent_ec_key_is_the_number_it_says);
    tcase_add_test(tc, each_curve_can_be_brought);
    tcase_add_loop_test(tc, an_rsa_key_is_completed, 0, COUNT(partial));
    tcase_add_loop_test(tc, numbers_that_do_not_agree_are_refused, 0, 8);
    tcase_add_test(tc, a_format_is_not_another);
    tcase_add_loop_test(tc, damaged_bytes_are_refused, 0, 2);
    tcase_add_test(tc, damaged_structures_are_refused);
    tcase_add_test(tc, kinds_not_known_are_refused_as_such);
    tcase_add_test(tc, a_certificate_gives_its_key);
    tcase_add_test(tc, the_search_for_primes_can_be_stopped);
    return tc;
}
