/*
 * Key pairs, registered keys and certificates in the whole vault: what is made, what is taken for
 * what, every format asked for, and that nobody waits for somebody else's search for primes.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/kmip/tables.h"
#include "server/base/clock.h"
#include "server/vault/crypto/asym.h"
#include "tests/unit/vault/asym_keys.h"
#include "tests/unit/vault_service/fixture.h"

static struct bytes unhex(const char *text)
{
    size_t len = strlen(text) / 2;
    uint8_t *out = arena_alloc(&fx.arena, len);
    for (size_t i = 0; i < len; i++) {
        unsigned v;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
    return bytes_of(out, len);
}

static struct control record(uint32_t type, uint32_t algorithm, uint32_t length)
{
    struct control c = new_record();
    c.object_type = type;
    c.algorithm = algorithm;
    c.length = length;
    return c;
}

static struct vault_call pair_call(uint32_t algorithm, uint32_t length)
{
    return (struct vault_call){
        .op = VAULT_GENERATE_PAIR,
        .domain = 1,
        .control = record(KMIP_OBJECT_PRIVATE_KEY, algorithm, length),
        .control_public = record(KMIP_OBJECT_PUBLIC_KEY, algorithm, length),
    };
}

static struct vault_reply get_as(const struct control *c, const uint8_t mac[CONTROL_MAC_BYTES],
                                 struct bytes envelope, uint32_t format)
{
    struct vault_call call = {
        .op = VAULT_GET, .domain = 1, .control = *c, .material = envelope, .key_format = format};
    memcpy(call.mac, mac, sizeof call.mac);
    return ask(&call);
}

static const struct {
    uint32_t algorithm, length, private_format, public_format, private_other, public_other;
} pairs[] = {
    {KMIP_ALGORITHM_RSA, 2048, KMIP_FORMAT_PKCS8, KMIP_FORMAT_X_509,
     KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY, KMIP_FORMAT_TRANSPARENT_RSA_PUBLIC_KEY},
    {KMIP_ALGORITHM_ECDSA, 256, KMIP_FORMAT_ECPRIVATEKEY, KMIP_FORMAT_X_509,
     KMIP_FORMAT_TRANSPARENT_ECDSA_PRIVATE_KEY, KMIP_FORMAT_TRANSPARENT_ECDSA_PUBLIC_KEY},
    {KMIP_ALGORITHM_ECDH, 521, KMIP_FORMAT_PKCS8, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY,
     KMIP_FORMAT_ECPRIVATEKEY, KMIP_FORMAT_X_509},
};

START_TEST(a_pair_is_made_and_given_in_each_format)
{
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = pair_call(pairs[_i].algorithm, pairs[_i].length);
    call.key_format = pairs[_i].private_format;
    call.key_format_public = pairs[_i].public_format;
    struct vault_reply made = ask(&call);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_uint_eq(made.key_format, pairs[_i].private_format);
    ck_assert_uint_eq(made.half.key_format, pairs[_i].public_format);
    struct vault_reply private = get_as(&call.control, made.mac, made.envelope, 0);
    struct vault_reply public = get_as(&call.control_public, made.half.mac, made.half.envelope, 0);
    ck_assert_int_eq(private.rc, RC_OK);
    ck_assert_int_eq(public.rc, RC_OK);
    ck_assert_uint_eq(private.key_format, pairs[_i].private_format);
    ck_assert_uint_eq(public.key_format, pairs[_i].public_format);
    AUTO_ASYM key = NULL;
    ck_assert_int_eq(asym_read(true, private.key_format, private.plain, &key), RC_OK);
    ck_assert_uint_eq(asym_facts(key).bits, pairs[_i].length);
    AUTO_BUF half = BUF_EMPTY;
    ck_assert_int_eq(asym_write(key, false, public.key_format, &half), RC_OK);
    ck_assert(bytes_equal(buf_view(&half), public.plain)); /* they belong together */
    /* In another format: what the key itself is in that format. */
    struct vault_reply other =
        get_as(&call.control, made.mac, made.envelope, pairs[_i].private_other);
    ck_assert_int_eq(other.rc, RC_OK);
    ck_assert_uint_eq(other.key_format, pairs[_i].private_other);
    AUTO_BUF want = BUF_EMPTY;
    ck_assert_int_eq(asym_write(key, true, pairs[_i].private_other, &want), RC_OK);
    ck_assert(bytes_equal(other.plain, buf_view(&want)));
    other = get_as(&call.control_public, made.half.mac, made.half.envelope, pairs[_i].public_other);
    ck_assert_int_eq(other.rc, RC_OK);
    buf_clear(&want);
    ck_assert_int_eq(asym_write(key, false, pairs[_i].public_other, &want), RC_OK);
    ck_assert(bytes_equal(other.plain, buf_view(&want)));
    /* No format of such a key. */
    ck_assert_int_eq(get_as(&call.control, made.mac, made.envelope, KMIP_FORMAT_RAW).rc,
                     RC_KEY_FORMAT);
    ck_assert_int_eq(
        get_as(&call.control_public, made.half.mac, made.half.envelope, KMIP_FORMAT_PKCS8).rc,
        RC_KEY_FORMAT);
    /* The halves' envelopes are bound to their own records. */
    ck_assert_int_eq(get_as(&call.control_public, made.half.mac, made.envelope, 0).rc, RC_INTEGRITY);
}
END_TEST

START_TEST(a_pair_that_may_not_be_is_refused)
{
    ck_assert_int_eq(unseal().rc, RC_OK);
    static const struct {
        uint32_t algorithm, length;
    } not_made[] = {
        {KMIP_ALGORITHM_RSA, 1024}, {KMIP_ALGORITHM_RSA, 16384}, {KMIP_ALGORITHM_RSA, 2049},
        {KMIP_ALGORITHM_EC, 192},   {KMIP_ALGORITHM_EC, 255},    {KMIP_ALGORITHM_DSA, 2048},
        {KMIP_ALGORITHM_AES, 256},  {0, 2048},
    };
    for (int i = 0; i < COUNT(not_made); i++) {
        struct vault_call call = pair_call(not_made[i].algorithm, not_made[i].length);
        ck_assert_msg(ask(&call).rc == RC_FEATURE, "pair %d", i);
    }
    struct vault_call whole = pair_call(KMIP_ALGORITHM_ECDSA, 256), call;
    call = whole;
    call.key_format = KMIP_FORMAT_PKCS1;
    ck_assert_int_eq(ask(&call).rc, RC_KEY_FORMAT);
    call = whole;
    call.control_public.length = 384;
    ck_assert_int_eq(ask(&call).rc, RC_INVALID_FIELD);
    call = whole;
    call.control_public.algorithm = KMIP_ALGORITHM_ECDH;
    ck_assert_int_eq(ask(&call).rc, RC_INVALID_FIELD);
    call = whole;
    call.control_public.owner.raw[3] ^= 1;
    ck_assert_int_eq(ask(&call).rc, RC_INVALID_FIELD);
    call = whole;
    call.control_public.uid = call.control.uid;
    ck_assert_int_eq(ask(&call).rc, RC_INVALID_FIELD);
    call = whole;
    call.control_public.object_type = KMIP_OBJECT_PRIVATE_KEY;
    ck_assert_int_eq(ask(&call).rc, RC_INVALID_FIELD);
    call = whole;
    call.control_public.domain = 2;
    ck_assert_int_eq(ask(&call).rc, RC_INVALID_FIELD);
    call = whole;
    call.control_public.protection = PROTECTION_TPM_RESIDENT;
    ck_assert_int_eq(ask(&call).rc, RC_FEATURE);
    ck_assert_int_eq(ask(&whole).rc, RC_OK);
}
END_TEST

enum { PRIVATE = KMIP_OBJECT_PRIVATE_KEY, PUBLIC = KMIP_OBJECT_PUBLIC_KEY };
enum { CERT = KMIP_OBJECT_CERTIFICATE };

static const struct {
    const char *hex;
    uint32_t type, format, algorithm, length;
    rc_t rc;
    uint32_t told_algorithm, told_length, other;
} brought[] = {
    {RSA_1024, PRIVATE, KMIP_FORMAT_PKCS1, KMIP_ALGORITHM_RSA, 1024, RC_OK, KMIP_ALGORITHM_RSA, 1024,
     0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_PKCS1, 0, 0, RC_OK, KMIP_ALGORITHM_RSA, 1024, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_PKCS1, KMIP_ALGORITHM_RSA, 2048, RC_INVALID_FIELD, 0, 0, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_PKCS1, KMIP_ALGORITHM_ECDSA, 1024, RC_INVALID_FIELD, 0, 0, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_PKCS1, KMIP_ALGORITHM_AES, 1024, RC_INVALID_FIELD, 0, 0, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_PKCS8, KMIP_ALGORITHM_RSA, 1024, RC_INVALID_FIELD, 0, 0, 0},
    {RSA_1024, PUBLIC, KMIP_FORMAT_PKCS1, KMIP_ALGORITHM_RSA, 1024, RC_INVALID_FIELD, 0, 0, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_RAW, KMIP_ALGORITHM_RSA, 1024, RC_KEY_FORMAT, 0, 0, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_OPAQUE, KMIP_ALGORITHM_RSA, 1024, RC_OK, KMIP_ALGORITHM_RSA,
     1024, 0},
    {RSA_1024, PRIVATE, KMIP_FORMAT_OPAQUE, 0, 0, RC_INVALID_FIELD, 0, 0, 0},
    {DSA_1024, PRIVATE, KMIP_FORMAT_PKCS8, 0, 0, RC_OK, KMIP_ALGORITHM_DSA, 1024,
     KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY},
    {EC_ENCRYPTED, PRIVATE, KMIP_FORMAT_PKCS8, KMIP_ALGORITHM_ECDSA, 256, RC_OK,
     KMIP_ALGORITHM_ECDSA, 256, 0},
    {EC_ENCRYPTED, PRIVATE, KMIP_FORMAT_PKCS8, 0, 0, RC_INVALID_FIELD, 0, 0, 0},
    {EC_EXPLICIT, PRIVATE, KMIP_FORMAT_ECPRIVATEKEY, 0, 0, RC_FEATURE, 0, 0, 0},
    {CERTIFICATE_P256, CERT, KMIP_FORMAT_X_509, 0, 0, RC_OK, KMIP_ALGORITHM_ECDSA, 256, 0},
    {CERTIFICATE_P256, CERT, KMIP_FORMAT_X_509, KMIP_ALGORITHM_RSA, 2048, RC_INVALID_FIELD, 0, 0, 0},
    {CERTIFICATE_P256, PUBLIC, KMIP_FORMAT_X_509, 0, 0, RC_INVALID_FIELD, 0, 0, 0},
    {"", PUBLIC, KMIP_FORMAT_X_509, 0, 0, RC_INVALID_FIELD, 0, 0, 0},
    {"", PRIVATE, KMIP_FORMAT_OPAQUE, KMIP_ALGORITHM_RSA, 2048, RC_INVALID_FIELD, 0, 0, 0},
};

START_TEST(what_is_registered_is_what_it_is_said_to_be)
{
    ck_assert_int_eq(unseal().rc, RC_OK);
    for (int i = 0; i < COUNT(brought); i++) {
        struct vault_call call = {
            .op = VAULT_REGISTER,
            .domain = 1,
            .control = record(brought[i].type, brought[i].algorithm, brought[i].length),
            .key_format = brought[i].format,
            .material = unhex(brought[i].hex),
        };
        struct vault_reply made = ask(&call);
        ck_assert_msg(made.rc == brought[i].rc, "case %d: %s", i, rc_name(made.rc));
        if (made.rc != RC_OK)
            continue;
        ck_assert_uint_eq(made.algorithm, brought[i].told_algorithm);
        ck_assert_uint_eq(made.length, brought[i].told_length);
        ck_assert_uint_eq(made.other_format, brought[i].other);
        /* The signed record is the completed one. */
        call.control.algorithm = made.algorithm;
        call.control.length = made.length;
        struct vault_reply got = get_as(&call.control, made.mac, made.envelope, 0);
        ck_assert_int_eq(got.rc, RC_OK);
        ck_assert(bytes_equal(got.plain, call.material));
    }
}
END_TEST

START_TEST(what_only_the_client_can_read_goes_out_as_it_came)
{
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = {.op = VAULT_REGISTER,
                              .domain = 1,
                              .control = record(PRIVATE, KMIP_ALGORITHM_ECDSA, 256),
                              .key_format = KMIP_FORMAT_PKCS8,
                              .material = unhex(EC_ENCRYPTED)};
    struct vault_reply made = ask(&call);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_int_eq(get_as(&call.control, made.mac, made.envelope, KMIP_FORMAT_PKCS8).rc, RC_OK);
    ck_assert_int_eq(get_as(&call.control, made.mac, made.envelope, KMIP_FORMAT_ECPRIVATEKEY).rc,
                     RC_KEY_FORMAT);
}
END_TEST

static void send_call(uint64_t id, const struct vault_call *call)
{
    struct frame_writer w = {BUF_EMPTY, 0};
    ck_assert_int_eq(vault_call_write(&w, id, call), RC_OK);
    ck_assert_int_eq(frame_flush(&w, fx.fd), RC_OK);
    frame_writer_free(&w);
}

/* Two searches for long keys are on; the answers to other calls come at once, in their own time. */
START_TEST(nobody_waits_for_a_long_search)
{
    struct control c = {0};
    int first[2], second[2];
    vault_kill();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
    fcntl(first[0], F_SETFD, FD_CLOEXEC);
    vault_begin((const int[]){first[1], second[1]}, 2, true);
    fx.fd = first[0];
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c);
    struct vault_call slow = pair_call(KMIP_ALGORITHM_RSA, 8192);
    send_call(0, &slow); /* their answers would come under ids of earlier calls: passed over */
    slow.control.uid.raw[0] ^= 1;
    send_call(0, &slow);
    int64_t began = clock_monotonic_us();
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(get(&c, &made).rc, RC_OK);
    ck_assert_int_lt(clock_monotonic_us() - began, 2000000);
    struct vault_call quick = pair_call(KMIP_ALGORITHM_ECDSA, 384);
    ck_assert_int_eq(ask(&quick).rc, RC_OK);
    struct vault_call usual = pair_call(KMIP_ALGORITHM_RSA, 2048);
    ck_assert_int_eq(ask(&usual).rc, RC_OK);
    /* One owner cannot have more than a quarter of the queue; another one still can. */
    for (int i = 0; i < 14; i++)
        send_call(0, &slow);
    ck_assert_int_eq(ask(&slow).rc, RC_BUSY);
    quick.control.owner.raw[0] ^= 1;
    quick.control_public.owner = quick.control.owner;
    ck_assert_int_eq(ask(&quick).rc, RC_OK);
    /* The worker dies: what was made for it is given up, and its owner's places are free again. */
    shutdown(fx.fd, SHUT_RDWR);
    close(fx.fd);
    fx.fd = second[0];
    struct vault_reply r = {.rc = RC_BUSY};
    for (int i = 0; i < 100 && r.rc == RC_BUSY; i++) {
        struct vault_call again = pair_call(KMIP_ALGORITHM_ECDSA, 256);
        r = ask(&again);
        usleep(50000);
    }
    ck_assert_int_eq(r.rc, RC_OK);
}
END_TEST

#ifndef HF_SANITIZERS
START_TEST(no_private_key_stays_in_memory)
{
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = pair_call(KMIP_ALGORITHM_RSA, 2048);
    struct vault_reply made = ask(&call);
    ck_assert_int_eq(made.rc, RC_OK);
    struct vault_reply got = get_as(&call.control, made.mac, made.envelope, KMIP_FORMAT_PKCS8);
    ck_assert_int_eq(got.rc, RC_OK);
    /* One call later, so that the answer is out and its buffer settled. */
    ck_assert_int_eq(ask(&(struct vault_call){.op = VAULT_STATUS}).rc, RC_OK);
    /* Anything of it: the tail has the prime exponents, the middle the private exponent. */
    ck_assert_int_eq(scan_memory(fx.vault, got.plain.data + got.plain.len - 100, 32), 0);
    ck_assert_int_eq(scan_memory(fx.vault, got.plain.data + 400, 32), 0);
}
END_TEST
#endif

TCase *pair_tests(void)
{
    TCase *t = tcase_create("pairs");
    tcase_add_unchecked_fixture(t, fixture_make, fixture_unmake);
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_add_loop_test(t, a_pair_is_made_and_given_in_each_format, 0, COUNT(pairs));
    tcase_add_test(t, a_pair_that_may_not_be_is_refused);
    tcase_add_test(t, what_is_registered_is_what_it_is_said_to_be);
    tcase_add_test(t, what_only_the_client_can_read_goes_out_as_it_came);
    tcase_add_test(t, nobody_waits_for_a_long_search);
#ifndef HF_SANITIZERS
    tcase_add_test(t, no_private_key_stays_in_memory);
#endif
    return t;
}
