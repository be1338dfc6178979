/* Encrypt and Decrypt: what the vault is asked, where the parameters and the IV come from, every refusal, and what is
 * taken from the Usage Limits. */
#include "proto/kmip/reason.h"
#include "server/policy/quirk.h"
#include "tests/unit/ops/ops_tests.h"

enum { BLOCK = 16 };
static const uint8_t data[4 * BLOCK] = {1, 2, 3}, iv[BLOCK] = {0xF0}, tag[BLOCK] = {0x7A};

/* An Active AES key, and a request with data in CBC with PKCS5; the parameters may be changed. */
static struct kmip_encrypt_request *encrypting(struct world *w, uint16_t version,
                                               struct kmip_cryptographic_parameters **p)
{
    world_open(w, KMIP_OP_ENCRYPT, version);
    world_key(w, STATE_ACTIVE);
    struct kmip_encrypt_request *in = world_request(w);
    *p = KMIP_NEW(&w->arena, cryptographic_parameters);
    (*p)->block_cipher_mode = KMIP_MODE_CBC;
    (*p)->padding_method = KMIP_PADDING_PKCS5;
    in->cryptographic_parameters = *p;
    in->data = KMIP_DATA(bytes_of(data, sizeof data));
    in->iv = bytes_of(iv, sizeof iv);
    w->plain = bytes_str("output");
    return in;
}

static struct kmip_decrypt_request *decrypting(struct world *w, uint16_t version,
                                               struct kmip_cryptographic_parameters **p)
{
    const struct kmip_encrypt_request *like = encrypting(w, version, p);
    w->item.operation = KMIP_OP_DECRYPT;
    struct kmip_decrypt_request *in = world_request(w);
    in->cryptographic_parameters = *p;
    in->data = like->data;
    in->iv = like->iv;
    return in;
}

START_TEST(the_vault_is_asked_for_what_the_client_asks)
{
    for (size_t v = 2; v < KMIP_VERSION_COUNT; v++) { /* since 1.2 */
        struct world w;
        struct kmip_cryptographic_parameters *p;
        encrypting(&w, every_version[v], &p);
        ck_assert_int_eq(world_run(&w), RC_OK);
        const struct vault_call *call = &w.item.calls[0];
        ck_assert_uint_eq(w.item.call_count, 1);
        ck_assert_int_eq(call->op, VAULT_CIPHER);
        ck_assert(bytes_is(call->material, "sealed"));
        ck_assert(call->cipher.request.encrypt && !call->cipher.request.make_iv);
        ck_assert_uint_eq(call->cipher.request.algorithm, KMIP_ALGORITHM_AES);
        ck_assert_uint_eq(call->cipher.request.mode, KMIP_MODE_CBC);
        ck_assert_uint_eq(call->cipher.request.padding, KMIP_PADDING_PKCS5);
        ck_assert(bytes_equal(call->cipher.data, bytes_of(data, sizeof data)));
        ck_assert(bytes_equal(call->cipher.iv, bytes_of(iv, sizeof iv)));
        ck_assert_uint_eq(w.item.change_count, 0);
        const struct kmip_encrypt_response *out = w.item.response;
        ck_assert(bytes_is(out->data.bytes, "output"));
        ck_assert(!out->iv.data && !out->tag.data && !out->correlation_value.data);
        world_encode(&w);
        world_close(&w);

        struct kmip_decrypt_request *in = decrypting(&w, every_version[v], &p);
        w.object.control.state = STATE_DEACTIVATED;
        w.object.control.deactivation_date = NOW - 1;
        in->init_indicator = in->final_indicator = KMIP_NUMBER(true); /* the whole of it in one */
        ck_assert_int_eq(world_run(&w), RC_OK);
        ck_assert(!w.item.calls[0].cipher.request.encrypt);
        ck_assert(bytes_is(((struct kmip_decrypt_response *)w.item.response)->data.bytes, "output"));
        world_encode(&w);
        world_close(&w);
    }
    ck_assert_ptr_null(op_find(KMIP_OP_ENCRYPT, V1_1));
    ck_assert_ptr_null(op_find(KMIP_OP_DECRYPT, V1_1));
}
END_TEST

/* A tag and a made IV are told, and only where they are. */
START_TEST(what_the_vault_made_is_told)
{
    struct world w;
    struct kmip_cryptographic_parameters *p;
    struct kmip_encrypt_request *in = encrypting(&w, V1_4, &p);
    *p = (struct kmip_cryptographic_parameters){.block_cipher_mode = KMIP_MODE_GCM,
                                                .random_iv = KMIP_NUMBER(true),
                                                .tag_length = KMIP_NUMBER(12),
                                                .iv_length = KMIP_NUMBER(96)};
    in->iv = BYTES_NONE;
    in->additional_data = bytes_str("header");
    ck_assert_int_eq(world_run(&w), RC_OK);
    const struct cipher_request *r = &w.item.calls[0].cipher.request;
    ck_assert(r->make_iv);
    ck_assert_uint_eq(r->iv_bytes, 12);
    ck_assert_uint_eq(r->tag_bytes, 12);
    ck_assert(bytes_is(w.item.calls[0].cipher.additional, "header"));
    const struct kmip_encrypt_response *out = w.item.response;
    ck_assert_uint_eq(out->iv.len, 12);
    ck_assert_uint_eq(out->tag.len, 12);
    world_encode(&w);
    world_close(&w);
}
END_TEST

/* Cryptographic Parameters as an attribute of the object. */
static void give_parameters(struct world *w, struct kmip_attributes *rest, int32_t index, uint32_t mode)
{
    struct node *n = node_structure(&w->arena, KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS);
    node_append(n, node_enum(&w->arena, KMIP_TAG_BLOCK_CIPHER_MODE, mode));
    ck_assert_int_eq(kmip_attributes_add(&w->arena, rest, n), RC_OK);
    rest->items[rest->count - 1].index = index;
}

START_TEST(parameters_are_those_of_the_request_or_of_the_object)
{
    struct world w;
    struct kmip_cryptographic_parameters *p;
    struct kmip_attributes rest = {0};
    struct kmip_encrypt_request *in = encrypting(&w, V1_4, &p);
    give_parameters(&w, &rest, 1, KMIP_MODE_OFB); /* the lowest index counts, though 0 is gone */
    give_parameters(&w, &rest, 2, KMIP_MODE_CFB);
    ck_assert_int_eq(attrs_store(&w.arena, &w.object, &rest), RC_OK);
    in->cryptographic_parameters = NULL;
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.calls[0].cipher.request.mode, KMIP_MODE_OFB);
    ck_assert_uint_eq(w.item.db_want, DB_WANT_MATERIAL | DB_WANT_ATTRIBUTES);
    world_close(&w);

    encrypting(&w, V1_4, &p); /* what the request says is all there is */
    *p = (struct kmip_cryptographic_parameters){.padding_method = KMIP_PADDING_PKCS5};
    rest = (struct kmip_attributes){0};
    give_parameters(&w, &rest, 0, KMIP_MODE_CBC);
    ck_assert_int_eq(attrs_store(&w.arena, &w.object, &rest), RC_OK);
    ck_assert_int_eq(world_run(&w), RC_PARAMS_MISSING);
    world_close(&w);

    in = encrypting(&w, V1_4, &p);
    in->cryptographic_parameters = NULL;
    ck_assert_int_eq(world_run(&w), RC_PARAMS_MISSING);
    world_close(&w);

    in = encrypting(&w, V1_4, &p); /* a cipher that needs none */
    in->cryptographic_parameters = NULL;
    w.object.control.algorithm = KMIP_ALGORITHM_CHACHA20;
    in->iv = bytes_of(iv, 12);
    ck_assert_int_eq(world_run(&w), RC_OK);
    world_close(&w);

    decrypting(&w, V1_4, &p); /* nothing of the attributes is needed */
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.db_want, DB_WANT_MATERIAL);
    world_close(&w);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------- */

enum way { BOTH, ENCRYPTS, DECRYPTS };

/* What is not 0 is set in the control record. */
struct changes {
    uint32_t object_type, state, usage_mask, algorithm;
    int64_t activation_date, process_start_date, protect_stop_date;
};

/* clang-format off */
static const struct refusal {
    rc_t want;
    enum way way;
    struct changes object;
    struct kmip_cryptographic_parameters params; /* mode 0: those of encrypting() */
    size_t iv;                                   /* bytes; SIZE_MAX: as it is */
    const char *what;                            /* is left out or put in */
} refusals[] = {
    {RC_FEATURE, BOTH, {.object_type = KMIP_OBJECT_PUBLIC_KEY}, {0}, SIZE_MAX, ""},
    {RC_FEATURE, BOTH, {.object_type = KMIP_OBJECT_PRIVATE_KEY}, {0}, SIZE_MAX, ""},
    {RC_NOT_USABLE, BOTH, {.object_type = KMIP_OBJECT_SECRET_DATA}, {0}, SIZE_MAX, ""},
    {RC_NOT_USABLE, BOTH, {.object_type = KMIP_OBJECT_OPAQUE_OBJECT}, {0}, SIZE_MAX, ""},
    {RC_NOT_USABLE, BOTH, {.object_type = KMIP_OBJECT_CERTIFICATE}, {0}, SIZE_MAX, ""},
    {RC_NOT_USABLE, BOTH, {.object_type = KMIP_OBJECT_TEMPLATE}, {0}, SIZE_MAX, ""},
    {RC_DESTROYED, BOTH, {.state = STATE_DESTROYED}, {0}, SIZE_MAX, ""},
    {RC_DESTROYED, BOTH, {.state = STATE_DESTROYED_COMPROMISED}, {0}, SIZE_MAX, ""},
    {RC_USAGE_MASK, ENCRYPTS, {.usage_mask = KMIP_USAGE_DECRYPT}, {0}, SIZE_MAX, ""},
    {RC_USAGE_MASK, DECRYPTS, {.usage_mask = KMIP_USAGE_ENCRYPT}, {0}, SIZE_MAX, ""},
    {RC_WRONG_STATE, ENCRYPTS, {.state = STATE_DEACTIVATED}, {0}, SIZE_MAX, ""},
    {RC_WRONG_STATE, ENCRYPTS, {.state = STATE_COMPROMISED}, {0}, SIZE_MAX, ""},
    {RC_WRONG_STATE, ENCRYPTS, {.protect_stop_date = NOW}, {0}, SIZE_MAX, ""},
    {RC_WRONG_STATE, DECRYPTS, {.process_start_date = NOW + 1}, {0}, SIZE_MAX, ""},
    {RC_WRONG_STATE, BOTH, {.activation_date = NOW + 1}, {0}, SIZE_MAX, "pre-active"},
    {RC_KEY_FORMAT, BOTH, {0}, {0}, SIZE_MAX, "opaque"},
    {RC_MISSING_DATA, BOTH, {0}, {0}, SIZE_MAX, "no data"},
    {RC_FEATURE, BOTH, {0}, {0}, SIZE_MAX, "data of another item"},
    {RC_CORRELATION, BOTH, {0}, {0}, SIZE_MAX, "correlation"},
    {RC_STREAM, BOTH, {0}, {0}, SIZE_MAX, "init"},
    {RC_STREAM, BOTH, {0}, {0}, SIZE_MAX, "final"},
    {RC_PARAMS_UNSUPPORTED, BOTH, {.algorithm = KMIP_ALGORITHM_HMAC_SHA256}, {0}, SIZE_MAX, ""},
    {RC_PARAMS_UNSUPPORTED, BOTH, {.algorithm = KMIP_ALGORITHM_BLOWFISH}, {0}, SIZE_MAX, ""},
    {RC_PARAMS_UNSUPPORTED, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_XTS}, SIZE_MAX, ""},
    {RC_PARAMS_CONFLICT, BOTH, {0},
     {.block_cipher_mode = KMIP_MODE_CBC, .cryptographic_algorithm = KMIP_ALGORITHM_CAMELLIA}, SIZE_MAX, ""},
    {RC_PARAMS_CONFLICT, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_CTR, .counter_length = {true, -8}}, SIZE_MAX, ""},
    {RC_PARAMS_CONFLICT, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_GCM, .tag_length = {true, -1}}, SIZE_MAX, ""},
    {RC_PARAMS_CONFLICT, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_CTR, .initial_counter_value = {true, -1}},
     SIZE_MAX, ""},
    {RC_PARAMS_CONFLICT, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_CBC, .iv_length = {true, -128}}, SIZE_MAX, ""},
    {RC_IV_LENGTH, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_CBC, .iv_length = {true, 127}}, SIZE_MAX, ""},
    {RC_IV_LENGTH, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_CBC, .iv_length = {true, 64}}, SIZE_MAX, ""},
    {RC_IV_LENGTH, BOTH, {0}, {0}, 15, ""},
    {RC_IV_MISSING, BOTH, {0}, {0}, 0, ""},
    {RC_IV_MISSING, DECRYPTS, {0}, {.block_cipher_mode = KMIP_MODE_CBC, .random_iv = {true, 1}}, 0, ""},
    {RC_PARAMS_UNSUPPORTED, ENCRYPTS, {0},
     {.block_cipher_mode = KMIP_MODE_GCM, .random_iv = {true, 1}, .fixed_field_length = {true, 32}}, 0, ""},
    {RC_TAG_LENGTH, ENCRYPTS, {0}, {.block_cipher_mode = KMIP_MODE_GCM, .tag_length = {true, 4}}, 12, ""},
    {RC_TAG_MISSING, DECRYPTS, {0}, {.block_cipher_mode = KMIP_MODE_GCM}, 12, ""},
    {RC_CRYPTO, DECRYPTS, {0}, {.block_cipher_mode = KMIP_MODE_GCM}, 12, "short tag"},
    {RC_PARAMS_CONFLICT, DECRYPTS, {0}, {0}, SIZE_MAX, "short tag"},
    {RC_DATA_LENGTH, BOTH, {0}, {.block_cipher_mode = KMIP_MODE_CBC}, SIZE_MAX, "odd data"},
};
/* clang-format on */

static void spoil_object(struct object *o, const struct refusal *r)
{
    struct control *c = &o->control;
    c->object_type = r->object.object_type ? r->object.object_type : c->object_type;
    c->state = r->object.state ? r->object.state : c->state;
    c->usage_mask = r->object.usage_mask ? r->object.usage_mask : c->usage_mask;
    c->algorithm = r->object.algorithm ? r->object.algorithm : c->algorithm;
    c->protect_stop_date = r->object.protect_stop_date ? r->object.protect_stop_date : NO_DATE;
    c->process_start_date = r->object.process_start_date ? r->object.process_start_date : NO_DATE;
    if (strcmp(r->what, "pre-active") == 0) {
        c->state = STATE_PRE_ACTIVE;
        c->activation_date = r->object.activation_date;
    }
    if (strcmp(r->what, "opaque") == 0)
        o->key_format = KMIP_FORMAT_OPAQUE;
}

/* The fields that both payloads have, changed as the case says. */
#define SPOIL(in, r)                                                                                                   \
    do {                                                                                                               \
        if ((r)->iv != SIZE_MAX)                                                                                       \
            (in)->iv = (r)->iv ? bytes_of(iv, (r)->iv) : BYTES_NONE;                                                   \
        if (strcmp((r)->what, "no data") == 0)                                                                         \
            (in)->data = (struct kmip_data){0};                                                                        \
        if (strcmp((r)->what, "odd data") == 0)                                                                        \
            (in)->data.bytes.len--;                                                                                    \
        if (strcmp((r)->what, "data of another item") == 0)                                                            \
            (in)->data.type = TTLV_ENUMERATION;                                                                        \
        if (strcmp((r)->what, "correlation") == 0)                                                                     \
            (in)->correlation_value = bytes_str("7");                                                                  \
        if (strcmp((r)->what, "init") == 0)                                                                            \
            (in)->init_indicator = KMIP_NUMBER(true);                                                                  \
        if (strcmp((r)->what, "final") == 0)                                                                           \
            (in)->final_indicator = KMIP_NUMBER(true);                                                                 \
    } while (0)

START_TEST(each_refusal_has_its_result)
{
    const struct refusal *r = &refusals[_i];
    for (enum way way = ENCRYPTS; way <= DECRYPTS; way++) {
        struct world w;
        struct kmip_cryptographic_parameters *p;
        if (r->way != BOTH && r->way != way)
            continue;
        if (way == ENCRYPTS) {
            struct kmip_encrypt_request *in = encrypting(&w, V2_1, &p);
            SPOIL(in, r);
        } else {
            struct kmip_decrypt_request *in = decrypting(&w, V2_1, &p);
            SPOIL(in, r);
            if (strcmp(r->what, "short tag") == 0)
                in->tag = bytes_of(tag, 12);
        }
        if (r->params.block_cipher_mode)
            *p = r->params;
        spoil_object(&w.object, r);
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == r->want, "%d: %s", _i, rc_name(rc));
        ck_assert_ptr_null(w.item.response);
        ck_assert_uint_eq(w.item.change_count, 0);
        world_close(&w);
    }
}
END_TEST

/* Before 1.4 a tag could not be told. */
START_TEST(no_tag_before_it_can_be_told)
{
    for (size_t v = 2; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        struct kmip_cryptographic_parameters *p;
        struct kmip_encrypt_request *in = encrypting(&w, every_version[v], &p);
        *p = (struct kmip_cryptographic_parameters){.block_cipher_mode = KMIP_MODE_GCM};
        in->iv = bytes_of(iv, 12);
        ck_assert_int_eq(world_run(&w), every_version[v] < V1_4 ? RC_PARAMS_UNSUPPORTED : RC_OK);
        world_close(&w);
    }
}
END_TEST

/* The reasons that KMIP 1.4, 11.30, KMIP 2.1, 6.1.11.1 and 6.1.17.1, and the OASIS cases have. */
START_TEST(reasons_by_version)
{
    static const struct {
        rc_t rc;
        uint32_t in_1, in_2;
    } reasons[] = {
        {RC_NOT_USABLE, KMIP_REASON_PERMISSION_DENIED, KMIP_REASON_INVALID_OBJECT_TYPE},
        {RC_USAGE_MASK, KMIP_REASON_PERMISSION_DENIED, KMIP_REASON_INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK},
        {RC_USAGE_SPENT, KMIP_REASON_PERMISSION_DENIED, KMIP_REASON_PERMISSION_DENIED},
        {RC_PARAMS_MISSING, KMIP_REASON_INVALID_FIELD, KMIP_REASON_BAD_CRYPTOGRAPHIC_PARAMETERS},
        {RC_PARAMS_CONFLICT, KMIP_REASON_INVALID_FIELD, KMIP_REASON_BAD_CRYPTOGRAPHIC_PARAMETERS},
        {RC_PARAMS_UNSUPPORTED, KMIP_REASON_INVALID_FIELD, KMIP_REASON_UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS},
        {RC_IV_MISSING, KMIP_REASON_INVALID_MESSAGE, KMIP_REASON_INVALID_MESSAGE},
        {RC_TAG_MISSING, KMIP_REASON_INVALID_MESSAGE, KMIP_REASON_INVALID_MESSAGE},
        {RC_TAG_LENGTH, KMIP_REASON_GENERAL_FAILURE, KMIP_REASON_GENERAL_FAILURE},
        {RC_CORRELATION, KMIP_REASON_ITEM_NOT_FOUND, KMIP_REASON_INVALID_CORRELATION_VALUE},
        {RC_STREAM, KMIP_REASON_FEATURE_NOT_SUPPORTED, KMIP_REASON_FEATURE_NOT_SUPPORTED},
        {RC_CRYPTO, KMIP_REASON_CRYPTOGRAPHIC_FAILURE, KMIP_REASON_CRYPTOGRAPHIC_FAILURE},
        {RC_DATA_LENGTH, KMIP_REASON_CRYPTOGRAPHIC_FAILURE, KMIP_REASON_CRYPTOGRAPHIC_FAILURE},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        ck_assert_uint_eq(kmip_reason(reasons[i].rc, V1_4), reasons[i].in_1);
        ck_assert_uint_eq(kmip_reason(reasons[i].rc, V2_1), reasons[i].in_2);
    }
}
END_TEST

/* ---- the quirk ------------------------------------------------------------------------------ */

START_TEST(the_quirk_takes_the_iv_from_the_data)
{
    struct world w;
    struct kmip_cryptographic_parameters *p;
    struct kmip_decrypt_request *in = decrypting(&w, V2_1, &p);
    in->iv = BYTES_NONE;
    w.item.quirks = 1u << QUIRK_IV_IN_CIPHERTEXT;
    ck_assert_int_eq(world_run(&w), RC_OK);
    const struct vault_cipher *c = &w.item.calls[0].cipher;
    ck_assert(bytes_equal(c->iv, bytes_of(data, BLOCK)));
    ck_assert(bytes_equal(c->data, bytes_of(data + BLOCK, sizeof data - BLOCK)));
    world_close(&w);

    in = decrypting(&w, V2_1, &p); /* of the length that is said */
    *p = (struct kmip_cryptographic_parameters){.block_cipher_mode = KMIP_MODE_GCM, .iv_length = KMIP_NUMBER(64)};
    in->iv = BYTES_NONE;
    in->tag = bytes_of(tag, sizeof tag);
    w.item.quirks = 1u << QUIRK_IV_IN_CIPHERTEXT;
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.calls[0].cipher.iv.len, 8);
    world_close(&w);

    in = decrypting(&w, V2_1, &p); /* one that is given is the one */
    w.item.quirks = 1u << QUIRK_IV_IN_CIPHERTEXT;
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.calls[0].cipher.data.len, sizeof data);
    world_close(&w);

    in = decrypting(&w, V2_1, &p); /* a cipher without an IV has none in its data */
    *p = (struct kmip_cryptographic_parameters){.block_cipher_mode = KMIP_MODE_ECB};
    in->iv = BYTES_NONE;
    w.item.quirks = 1u << QUIRK_IV_IN_CIPHERTEXT;
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.calls[0].cipher.data.len, sizeof data);
    world_close(&w);

    in = decrypting(&w, V2_1, &p); /* too little for one */
    in->iv = BYTES_NONE;
    in->data = KMIP_DATA(bytes_of(data, BLOCK - 1));
    w.item.quirks = 1u << QUIRK_IV_IN_CIPHERTEXT;
    ck_assert_int_eq(world_run(&w), RC_DATA_LENGTH);
    world_close(&w);
}
END_TEST

/* An Encrypt of such a client gets an IV made, and told in its field; the data stay what they are. */
START_TEST(the_quirk_has_an_iv_made)
{
    struct world w;
    struct kmip_cryptographic_parameters *p;
    struct kmip_encrypt_request *in = encrypting(&w, V2_1, &p);
    in->iv = BYTES_NONE;
    w.item.quirks = 1u << QUIRK_IV_IN_CIPHERTEXT;
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert(w.item.calls[0].cipher.request.make_iv);
    const struct kmip_encrypt_response *out = w.item.response;
    ck_assert_uint_eq(out->iv.len, BLOCK);
    ck_assert(bytes_is(out->data.bytes, "output"));
    world_close(&w);
    in = encrypting(&w, V2_1, &p); /* another quirk does nothing of it */
    in->iv = BYTES_NONE;
    w.item.quirks = 1u << QUIRK_ANY_BATCH_COUNT;
    ck_assert_int_eq(world_run(&w), RC_IV_MISSING);
    world_close(&w);
}
END_TEST

/* ---- usage limits --------------------------------------------------------------------------- */

static void give_limits(struct world *w, int64_t left, uint32_t unit)
{
    struct arena *a = &w->arena;
    struct kmip_attributes rest = {0};
    struct node *limits = node_structure(a, KMIP_TAG_USAGE_LIMITS);
    node_append(limits, node_long(a, KMIP_TAG_USAGE_LIMITS_TOTAL, 1000));
    node_append(limits, node_long(a, KMIP_TAG_USAGE_LIMITS_COUNT, left));
    node_append(limits, node_enum(a, KMIP_TAG_USAGE_LIMITS_UNIT, unit));
    ck_assert_int_eq(kmip_attributes_add(a, &rest, limits), RC_OK);
    ck_assert_int_eq(attrs_store(a, &w->object, &rest), RC_OK);
}

static const struct {
    uint32_t unit;
    int64_t left, after; /* after -1: refused */
} limits[] = {
    {KMIP_UNIT_BYTE, 1000, 1000 - sizeof data},
    {KMIP_UNIT_BYTE, sizeof data, 0},
    {KMIP_UNIT_BYTE, sizeof data - 1, -1},
    {KMIP_UNIT_BYTE, 0, -1},
    {KMIP_UNIT_OBJECT, 1000, 999},
    {KMIP_UNIT_OBJECT, 1, 0},
    {KMIP_UNIT_OBJECT, 0, -1},
};

START_TEST(encryption_is_taken_from_the_limits)
{
    struct world w;
    struct kmip_cryptographic_parameters *p;
    encrypting(&w, V1_4, &p);
    give_limits(&w, limits[_i].left, limits[_i].unit);
    rc_t rc = world_run(&w);
    if (limits[_i].after < 0) {
        ck_assert_int_eq(rc, RC_USAGE_SPENT);
        ck_assert_uint_eq(w.item.change_count, 0);
    } else {
        ck_assert_int_eq(rc, RC_OK);
        ck_assert_uint_eq(w.item.call_count, 2); /* the change is signed */
        ck_assert_int_eq(w.item.calls[1].op, VAULT_TRANSITION);
        ck_assert_uint_eq(w.item.changes[0].object->control.version, w.object.control.version + 1);
        ck_assert_uint_eq(w.item.changes[0].object->control_mac[0], 0xAA);
        const struct kmip_attributes all = world_attributes(&w);
        const struct kmip_attribute *have = kmip_attributes_find(&all, KMIP_TAG_USAGE_LIMITS, 0);
        ck_assert_ptr_nonnull(have);
        ck_assert_int_eq(node_child(have->value, KMIP_TAG_USAGE_LIMITS_COUNT)->long_integer, limits[_i].after);
        ck_assert_int_eq(node_child(have->value, KMIP_TAG_USAGE_LIMITS_TOTAL)->long_integer, 1000);
    }
    world_close(&w);
}
END_TEST

START_TEST(decryption_is_not_limited)
{
    struct world w;
    struct kmip_cryptographic_parameters *p;
    decrypting(&w, V1_4, &p);
    give_limits(&w, 0, KMIP_UNIT_BYTE);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.change_count, 0);
    world_close(&w);
}
END_TEST

Suite *cipher_suite(void)
{
    Suite *s = suite_create("cipher");
    TCase *t = tcase_create("cipher");
    tcase_add_test(t, the_vault_is_asked_for_what_the_client_asks);
    tcase_add_test(t, what_the_vault_made_is_told);
    tcase_add_test(t, parameters_are_those_of_the_request_or_of_the_object);
    tcase_add_loop_test(t, each_refusal_has_its_result, 0, (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(t, no_tag_before_it_can_be_told);
    tcase_add_test(t, reasons_by_version);
    tcase_add_test(t, the_quirk_takes_the_iv_from_the_data);
    tcase_add_test(t, the_quirk_has_an_iv_made);
    tcase_add_loop_test(t, encryption_is_taken_from_the_limits, 0, (int)(sizeof limits / sizeof limits[0]));
    tcase_add_test(t, decryption_is_not_limited);
    suite_add_tcase(s, t);
    return s;
}
