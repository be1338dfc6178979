/* VAULT_CIPHER on the whole service: at once and on a maker's thread, only as the signed record allows, with altered
 * rows refused and no data left behind. */
#include "config.h"

#include "proto/kmip/tables.h"
#include "server/base/clock.h"
#include "tests/unit/vault_service/fixture.h"

enum { LONG = 3 * 1024 * 1024 }; /* far beyond what is done at once */

/* A registered key with this mask, and the call that encrypts with it. */
static struct vault_call registered(uint32_t mask, const uint8_t *key, size_t len)
{
    struct control c = new_record();
    c.usage_mask = mask;
    c.length = (uint32_t)len * 8;
    const struct vault_call make = {
        .op = VAULT_REGISTER, .domain = 1, .control = c, .material = bytes_of(key, len), .key_format = KMIP_FORMAT_RAW};
    struct vault_reply made = ask(&make);
    ck_assert_int_eq(made.rc, RC_OK);
    struct vault_call call = {.op = VAULT_CIPHER, .domain = 1, .control = c, .material = made.envelope};
    call.cipher.request = (struct cipher_request){.encrypt = true, .algorithm = KMIP_ALGORITHM_AES};
    memcpy(call.mac, made.mac, sizeof call.mac);
    return call;
}

/* The way back of an answered encryption. */
static struct vault_reply back(const struct vault_call *call, const struct vault_reply *sealed)
{
    struct vault_call c = *call;
    c.cipher.request.encrypt = false;
    c.cipher.data = sealed->plain;
    if (sealed->iv_bytes)
        c.cipher.iv = bytes_of(sealed->iv, sealed->iv_bytes);
    if (sealed->tag_bytes)
        c.cipher.tag = bytes_of(sealed->tag, sealed->tag_bytes);
    return ask(&c);
}

static const uint8_t key_128[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                    0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};

/* SP 800-38A, F.1.1, with the key in the vault. */
START_TEST(a_stored_key_encrypts_as_published)
{
    static const uint8_t plain[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                      0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a},
                         sealed[16] = {0x3a, 0xd7, 0x7b, 0xb4, 0x0d, 0x7a, 0x36, 0x60,
                                       0xa8, 0x9e, 0xca, 0xf3, 0x24, 0x66, 0xef, 0x97};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = registered(KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT, key_128, sizeof key_128);
    call.cipher.request.mode = KMIP_MODE_ECB;
    call.cipher.data = bytes_of(plain, sizeof plain);
    struct vault_reply r = ask(&call);
    ck_assert_int_eq(r.rc, RC_OK);
    ck_assert(bytes_equal(r.plain, bytes_of(sealed, sizeof sealed)));
    ck_assert_uint_eq(r.iv_bytes + r.tag_bytes, 0);
    r = back(&call, &r);
    ck_assert_int_eq(r.rc, RC_OK);
    ck_assert(bytes_equal(r.plain, bytes_of(plain, sizeof plain)));
}
END_TEST

static const uint32_t modes[] = {KMIP_MODE_GCM, KMIP_MODE_CBC, KMIP_MODE_CTR};

/* The IV made, the tag told, in whatever length; what was forged is refused in the same way on either thread. */
START_TEST(what_is_sealed_opens)
{
    static uint8_t plain[LONG];
    memset(plain, 0x5A, sizeof plain);
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = registered(KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT, key_128, sizeof key_128);
    call.cipher.request.mode = modes[_i];
    call.cipher.request.padding = modes[_i] == KMIP_MODE_CBC ? KMIP_PADDING_PKCS5 : 0;
    call.cipher.request.make_iv = true;
    static const size_t lengths[] = {0, 1, 16 * 1024, 16 * 1024 + 1, LONG};
    for (int i = 0; i < COUNT(lengths); i++) {
        struct arena_mark mark = arena_mark(&fx.arena);
        call.cipher.data = bytes_of(plain, lengths[i]);
        call.cipher.additional = modes[_i] == KMIP_MODE_GCM ? bytes_str("header") : BYTES_NONE;
        struct vault_reply r = ask(&call), opened;
        ck_assert_msg(r.rc == RC_OK, "%zu bytes: %s", lengths[i], rc_name(r.rc));
        ck_assert_uint_eq(r.iv_bytes, modes[_i] == KMIP_MODE_GCM ? 12 : 16);
        ck_assert_uint_eq(r.tag_bytes, modes[_i] == KMIP_MODE_GCM ? 16 : 0);
        opened = back(&call, &r);
        ck_assert_int_eq(opened.rc, RC_OK);
        ck_assert(bytes_equal(opened.plain, call.cipher.data));
        if (modes[_i] == KMIP_MODE_GCM) {
            r.tag[0] ^= 1;
            opened = back(&call, &r);
            ck_assert_int_eq(opened.rc, RC_CRYPTO);
            ck_assert_uint_eq(opened.plain.len, 0);
        }
        arena_back(&fx.arena, mark);
    }
}
END_TEST

static const struct {
    uint32_t mask;
    bool encrypt;
    uint32_t state;
    int64_t start, stop; /* from now on; 0: none */
    rc_t want;
} uses[] = {
    {KMIP_USAGE_ENCRYPT, true, STATE_ACTIVE, 0, 0, RC_OK},
    {KMIP_USAGE_DECRYPT, true, STATE_ACTIVE, 0, 0, RC_USAGE_MASK},
    {KMIP_USAGE_ENCRYPT, false, STATE_ACTIVE, 0, 0, RC_USAGE_MASK},
    {KMIP_USAGE_DECRYPT, false, STATE_ACTIVE, 0, 0, RC_OK},
    {KMIP_USAGE_ENCRYPT, true, STATE_PRE_ACTIVE, 0, 0, RC_WRONG_STATE},
    {KMIP_USAGE_DECRYPT, false, STATE_PRE_ACTIVE, 0, 0, RC_WRONG_STATE},
    {KMIP_USAGE_ENCRYPT, true, STATE_ACTIVE, 0, -10, RC_WRONG_STATE},
    {KMIP_USAGE_DECRYPT, false, STATE_ACTIVE, 100, 0, RC_WRONG_STATE},
    {KMIP_USAGE_ENCRYPT, true, STATE_DEACTIVATED, 0, 0, RC_WRONG_STATE},
    {KMIP_USAGE_DECRYPT, false, STATE_DEACTIVATED, 0, 0, RC_OK},
};

/* Whatever a worker asks: the vault looks at the record that it signed, and at its own clock. */
START_TEST(a_key_is_used_only_as_its_record_says)
{
    static const uint8_t data[16];
    int64_t now = clock_wall_s();
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct control c = new_record();
    c.usage_mask = uses[_i].mask;
    c.state = uses[_i].state;
    c.process_start_date = uses[_i].start ? now + uses[_i].start : NO_DATE;
    c.protect_stop_date = uses[_i].stop ? now + uses[_i].stop : NO_DATE;
    c.activation_date = c.state == STATE_PRE_ACTIVE ? NO_DATE : now - 20;
    c.initial_date = now - 20;
    if (c.state == STATE_DEACTIVATED)
        c.deactivation_date = now - 5;
    struct vault_reply made = generate(&c);
    ck_assert_int_eq(made.rc, RC_OK);
    struct vault_call call = {
        .op = VAULT_CIPHER,
        .domain = 1,
        .control = c,
        .material = made.envelope,
        .cipher = {.request = {.encrypt = uses[_i].encrypt, .algorithm = KMIP_ALGORITHM_AES, .mode = KMIP_MODE_ECB},
                   .data = bytes_of(data, sizeof data)}};
    memcpy(call.mac, made.mac, sizeof call.mac);
    struct vault_reply r = ask(&call);
    ck_assert_msg(r.rc == uses[_i].want, "%s", rc_name(r.rc));
    call.control.usage_mask = KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT; /* a worker that lies */
    call.control.state = STATE_ACTIVE;
    if (memcmp(&call.control, &c, sizeof c) != 0)
        ck_assert_int_eq(ask(&call).rc, RC_INTEGRITY);
}
END_TEST

START_TEST(what_cannot_be_done_is_refused_and_the_vault_goes_on)
{
    static const uint8_t data[16];
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call good = registered(KMIP_USAGE_ENCRYPT, key_128, sizeof key_128), call;
    good.cipher.request.mode = KMIP_MODE_ECB;
    good.cipher.data = bytes_of(data, sizeof data);
    call = good;
    call.cipher.request.algorithm = KMIP_ALGORITHM_CAMELLIA; /* not what the record says */
    ck_assert_int_eq(ask(&call).rc, RC_PARAMS_CONFLICT);
    call = good;
    call.cipher.request.mode = KMIP_MODE_CBC;
    ck_assert_int_eq(ask(&call).rc, RC_IV_MISSING);
    call = good;
    call.cipher.data.len = 15;
    ck_assert_int_eq(ask(&call).rc, RC_DATA_LENGTH);
    call = good;
    call.domain = 2;
    ck_assert_int_eq(ask(&call).rc, RC_INTEGRITY);
    call = good;
    call.mac[20] ^= 1;
    ck_assert_int_eq(ask(&call).rc, RC_INTEGRITY);
    call = good;
    call.material.len--;
    ck_assert_int_eq(ask(&call).rc, RC_INTEGRITY);
    /* What is no symmetric key, or one in a form that only its client can read. */
    struct control c = new_record();
    c.object_type = KMIP_OBJECT_SECRET_DATA;
    struct vault_call make = {.op = VAULT_REGISTER,
                              .domain = 1,
                              .control = c,
                              .material = bytes_of(key_128, 16),
                              .key_format = KMIP_FORMAT_RAW};
    struct vault_reply made = ask(&make);
    ck_assert_int_eq(made.rc, RC_OK);
    call = good;
    call.control = c;
    call.material = made.envelope;
    memcpy(call.mac, made.mac, sizeof call.mac);
    ck_assert_int_eq(ask(&call).rc, RC_WRONG_TYPE);
    make.control = new_record();
    make.control.length = 128;
    make.key_format = KMIP_FORMAT_OPAQUE;
    made = ask(&make);
    ck_assert_int_eq(made.rc, RC_OK);
    call.control = make.control;
    call.material = made.envelope;
    memcpy(call.mac, made.mac, sizeof call.mac);
    ck_assert_int_eq(ask(&call).rc, RC_KEY_FORMAT);
    ck_assert_int_eq(ask(&good).rc, RC_OK);
}
END_TEST

START_TEST(a_sealed_vault_encrypts_nothing)
{
    static const uint8_t data[16];
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = registered(KMIP_USAGE_ENCRYPT, key_128, sizeof key_128);
    call.cipher.request.mode = KMIP_MODE_ECB;
    call.cipher.data = bytes_of(data, sizeof data);
    vault_again();
    ck_assert_int_eq(ask(&call).rc, RC_SEALED);
}
END_TEST

#ifndef HF_SANITIZERS
/* Neither key nor data stay in the vault's memory once the answer is out, on whichever thread it was done. */
START_TEST(nothing_of_it_is_left_behind)
{
    static uint8_t plain[64 * 1024];
    static const uint8_t marked[16] = {0xD1, 0x5C, 0x0E, 0x77, 0x93, 0x21, 0xBA, 0x46,
                                       0x8F, 0x03, 0x6D, 0xE8, 0x54, 0x19, 0xC2, 0x7A};
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i % 32 < 16 ? marked[i % 16] ^ 0xFF : marked[15 - i % 16] ^ 0xA5);
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_call call = registered(KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT, marked, sizeof marked);
    call.cipher.request.mode = KMIP_MODE_CTR;
    call.cipher.request.make_iv = true;
    static const size_t lengths[] = {1024, sizeof plain};
    for (int i = 0; i < COUNT(lengths); i++) {
        call.cipher.data = bytes_of(plain, lengths[i]);
        struct vault_reply r = ask(&call);
        ck_assert_int_eq(r.rc, RC_OK);
        ck_assert_int_eq(back(&call, &r).rc, RC_OK);
    }
    ck_assert_int_eq(ask(&(struct vault_call){.op = VAULT_STATUS}).rc, RC_OK); /* it has settled */
    ck_assert_int_eq(scan_memory(fx.vault, plain, 32), 0);
    ck_assert_int_eq(scan_memory(fx.vault, marked, sizeof marked), 0);
}
END_TEST
#endif

TCase *cipher_tests(void)
{
    TCase *t = tcase_create("ciphers");
    tcase_add_unchecked_fixture(t, fixture_make, fixture_unmake);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_add_test(t, a_stored_key_encrypts_as_published);
    tcase_add_loop_test(t, what_is_sealed_opens, 0, COUNT(modes));
    tcase_add_loop_test(t, a_key_is_used_only_as_its_record_says, 0, COUNT(uses));
    tcase_add_test(t, what_cannot_be_done_is_refused_and_the_vault_goes_on);
    tcase_add_test(t, a_sealed_vault_encrypts_nothing);
#ifndef HF_SANITIZERS
    tcase_add_test(t, nothing_of_it_is_left_behind);
#endif
    return t;
}
