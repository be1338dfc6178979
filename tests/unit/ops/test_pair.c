/* Create Key Pair, Register of keys and certificates, and Get of them, in every version. */
#include <stdio.h>

#include "tests/unit/ops/ops_tests.h"
#include "tests/unit/vault/asym_keys.h"

static struct bytes unhex(struct arena *a, const char *text)
{
    size_t len = strlen(text) / 2;
    uint8_t *out = arena_alloc(a, len);
    for (size_t i = 0; i < len; i++) {
        unsigned v;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
    return bytes_of(out, len);
}

/* ---- Create Key Pair ---- */

static struct kmip_create_key_pair_request *pair_of(struct world *w, uint32_t algorithm,
                                                    int32_t length)
{
    struct kmip_create_key_pair_request *in = world_request(w);
    if (algorithm)
        kmip_attributes_add_enum(&w->arena, &in->common, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, algorithm);
    if (length)
        kmip_attributes_add_integer(&w->arena, &in->common, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, length);
    return in;
}

static struct node *domain_of(struct arena *a, uint32_t curve)
{
    struct node *n = node_structure(a, KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS);
    ck_assert_int_eq(node_append(n, node_enum(a, KMIP_TAG_RECOMMENDED_CURVE, curve)), RC_OK);
    return n;
}

/* What the item's n-th object looks like to a client of this version. */
static struct kmip_attributes seen(struct world *w, size_t n)
{
    struct kmip_attributes shown;
    ck_assert_uint_lt(n, w->item.change_count);
    ck_assert_int_eq(
        attrs_shown(&w->arena, w->item.changes[n].object, NOW, w->item.version, &shown), RC_OK);
    return shown;
}

static const struct node *value(const struct kmip_attributes *list, uint32_t tag)
{
    const struct kmip_attribute *at = kmip_attributes_find(list, tag, 0);
    return at ? at->value : NULL;
}

static void is_linked(const struct kmip_attributes *list, uint32_t type, const struct object *to)
{
    char uid[UID_TEXT_SIZE];
    uid_print(&to->control.uid, uid);
    const struct node *link = value(list, KMIP_TAG_LINK);
    ck_assert_uint_eq(kmip_attributes_count(list, KMIP_TAG_LINK), 1);
    ck_assert_uint_eq(node_child(link, KMIP_TAG_LINK_TYPE)->enumeration, type);
    ck_assert(bytes_is(node_child(link, KMIP_TAG_LINKED_OBJECT_IDENTIFIER)->bytes, uid));
}

START_TEST(a_pair_is_two_objects_that_know_each_other)
{
    uint16_t version = every_version[_i];
    struct world w;
    world_open(&w, KMIP_OP_CREATE_KEY_PAIR, version);
    struct kmip_create_key_pair_request *in = pair_of(&w, KMIP_ALGORITHM_RSA, 2048);
    struct arena *a = &w.arena;
    kmip_attributes_add_name(a, &in->private_key, bytes_str("priv"), 1);
    kmip_attributes_add_name(a, &in->public_key, bytes_str("pub"), 1);
    kmip_attributes_add_integer(a, &in->private_key, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_SIGN);
    kmip_attributes_add_integer(a, &in->public_key, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_VERIFY);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.call_count, 1);
    const struct vault_call *call = &w.item.calls[0];
    ck_assert_int_eq(call->op, VAULT_GENERATE_PAIR);
    ck_assert_uint_eq(call->control.object_type, KMIP_OBJECT_PRIVATE_KEY);
    ck_assert_uint_eq(call->control_public.object_type, KMIP_OBJECT_PUBLIC_KEY);
    ck_assert_uint_eq(call->key_format, 0);
    ck_assert_uint_eq(call->key_format_public, 0);
    ck_assert_uint_eq(w.item.change_count, 2);
    const struct object *private = w.item.changes[0].object, *public = w.item.changes[1].object;
    ck_assert_int_eq(w.item.changes[0].kind, DB_INSERT);
    ck_assert_int_eq(w.item.changes[1].kind, DB_INSERT);
    ck_assert(uid_equal(&w.item.result_id, &private->control.uid)); /* the ID Placeholder */
    ck_assert(uid_equal(&w.item.second_id, &public->control.uid));
    ck_assert(uid_equal(&w.item.subject, &private->control.uid));
    ck_assert(bytes_is(private->names[0].value, "priv") && private->name_count == 1);
    ck_assert(bytes_is(public->names[0].value, "pub") && public->name_count == 1);
    ck_assert_uint_eq(private->control.usage_mask, KMIP_USAGE_SIGN);
    ck_assert_uint_eq(public->control.usage_mask, KMIP_USAGE_VERIFY);
    ck_assert_uint_eq(private->control_mac[0], 0xAA); /* each has its own signature */
    ck_assert_uint_eq(public->control_mac[0], 0xBB);
    ck_assert(bytes_is(private->material, "envelope"));
    ck_assert(bytes_is(public->material, "public envelope"));
    for (size_t n = 0; n < 2; n++) {
        struct kmip_attributes list = seen(&w, n);
        ck_assert_uint_eq(value(&list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM)->enumeration,
                          KMIP_ALGORITHM_RSA);
        ck_assert_int_eq(value(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH)->integer, 2048);
        ck_assert_ptr_nonnull(value(&list, KMIP_TAG_DIGEST));
        ck_assert((value(&list, KMIP_TAG_ORIGINAL_CREATION_DATE) != NULL) == (version >= V1_2));
        ck_assert((value(&list, KMIP_TAG_RANDOM_NUMBER_GENERATOR) != NULL) == (version >= V1_3));
        ck_assert((value(&list, KMIP_TAG_PROTECTION_STORAGE_MASK) != NULL) == (version >= V2_0));
        ck_assert((value(&list, KMIP_TAG_FRESH) != NULL) == (version >= V1_1));
        is_linked(&list, n ? KMIP_LINK_PRIVATE_KEY_LINK : KMIP_LINK_PUBLIC_KEY_LINK,
                  n ? private : public);
    }
    world_encode(&w);
    world_close(&w);
}
END_TEST

START_TEST(curve_and_length_say_the_same)
{
    static const struct {
        uint32_t algorithm, curve;
        int32_t length;
        rc_t rc;
        int32_t bits;
        uint32_t told;
    } keys[] = {
        {KMIP_ALGORITHM_ECDSA, KMIP_CURVE_P_256, 0, RC_OK, 256, KMIP_CURVE_P_256},
        {KMIP_ALGORITHM_ECDSA, KMIP_CURVE_P_521, 521, RC_OK, 521, KMIP_CURVE_P_521},
        {KMIP_ALGORITHM_ECDH, 0, 384, RC_OK, 384, KMIP_CURVE_P_384},
        {KMIP_ALGORITHM_ECMQV, 0, 224, RC_OK, 224, KMIP_CURVE_P_224},
        {KMIP_ALGORITHM_ECDSA, 0, 0, RC_OK, 256, KMIP_CURVE_P_256},
        {KMIP_ALGORITHM_ECDSA, KMIP_CURVE_P_256, 384, RC_ATTR_VALUE, 0, 0},
        {KMIP_ALGORITHM_ECDSA, KMIP_CURVE_P_192, 0, RC_FEATURE, 0, 0},
        {KMIP_ALGORITHM_ECDSA, KMIP_CURVE_K_233, 233, RC_FEATURE, 0, 0},
        {KMIP_ALGORITHM_ECDSA, 0, 192, RC_FEATURE, 0, 0},
        {KMIP_ALGORITHM_RSA, KMIP_CURVE_P_256, 2048, RC_ATTR_VALUE, 0, 0},
        {KMIP_ALGORITHM_RSA, 0, 0, RC_OK, 3072, 0},
        {KMIP_ALGORITHM_DSA, 0, 2048, RC_FEATURE, 0, 0},
        {KMIP_ALGORITHM_AES, 0, 256, RC_FEATURE, 0, 0},
        {0, 0, 2048, RC_MISSING_DATA, 0, 0},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V1_4);
        struct kmip_create_key_pair_request *in = pair_of(&w, keys[i].algorithm, keys[i].length);
        if (keys[i].curve)
            kmip_attributes_add(&w.arena, &in->common, domain_of(&w.arena, keys[i].curve));
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == keys[i].rc, "key %zu: %s", i, rc_name(rc));
        for (size_t n = 0; rc == RC_OK && n < 2; n++) {
            struct kmip_attributes list = seen(&w, n);
            const struct node *domain = value(&list, KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS);
            ck_assert_int_eq(value(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH)->integer, keys[i].bits);
            const struct node *curve = node_child(domain, KMIP_TAG_RECOMMENDED_CURVE);
            ck_assert_uint_eq(curve ? curve->enumeration : 0, keys[i].told);
        }
        world_close(&w);
    }
}
END_TEST

/* The client's word, else the default of the version. */
START_TEST(formats_follow_the_version)
{
    static const struct {
        uint16_t version;
        uint32_t algorithm, private_format, public_format;
    } formats[] = {
        {V1_0, KMIP_ALGORITHM_RSA, 0, 0},
        {V1_0, KMIP_ALGORITHM_ECDSA, KMIP_FORMAT_ECPRIVATEKEY, KMIP_FORMAT_X_509},
        {V1_4, KMIP_ALGORITHM_EC, KMIP_FORMAT_ECPRIVATEKEY, KMIP_FORMAT_X_509},
        {V2_0, KMIP_ALGORITHM_EC, 0, 0},
        {V2_1, KMIP_ALGORITHM_RSA, 0, 0},
    };
    struct world w;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        world_open(&w, KMIP_OP_CREATE_KEY_PAIR, formats[i].version);
        pair_of(&w, formats[i].algorithm, 0);
        ck_assert_int_eq(world_run(&w), RC_OK);
        ck_assert_uint_eq(w.item.calls[0].key_format, formats[i].private_format);
        ck_assert_uint_eq(w.item.calls[0].key_format_public, formats[i].public_format);
        world_close(&w);
    }
    world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V2_1);
    struct kmip_create_key_pair_request *in = pair_of(&w, KMIP_ALGORITHM_RSA, 2048);
    kmip_attributes_add_enum(&w.arena, &in->private_key, KMIP_TAG_KEY_FORMAT_TYPE, KMIP_FORMAT_PKCS8);
    kmip_attributes_add_enum(&w.arena, &in->public_key, KMIP_TAG_KEY_FORMAT_TYPE, KMIP_FORMAT_X_509);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.calls[0].key_format, KMIP_FORMAT_PKCS8);
    ck_assert_uint_eq(w.item.calls[0].key_format_public, KMIP_FORMAT_X_509);
    /* and a digest in the default one (KMIP 2.1, 4.26) */
    struct kmip_attributes list = seen(&w, 0);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_DIGEST), 2);
    world_close(&w);
}
END_TEST

START_TEST(own_attributes_prevail_over_common_ones)
{
    struct world w;
    world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V1_4);
    struct kmip_create_key_pair_request *in = pair_of(&w, KMIP_ALGORITHM_RSA, 2048);
    struct arena *a = &w.arena;
    /* single: the half's own; multiple: the union */
    kmip_attributes_add_integer(a, &in->common, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_VERIFY);
    kmip_attributes_add_integer(a, &in->private_key, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_SIGN);
    kmip_attributes_add_text(a, &in->common, KMIP_TAG_OBJECT_GROUP, bytes_str("both"));
    kmip_attributes_add_text(a, &in->private_key, KMIP_TAG_OBJECT_GROUP, bytes_str("one"));
    kmip_attributes_add_text(a, &in->private_key, KMIP_TAG_OBJECT_GROUP, bytes_str("both"));
    kmip_attributes_add_date(a, &in->common, KMIP_TAG_ACTIVATION_DATE, NOW - 10);
    kmip_attributes_add_boolean(a, &in->private_key, KMIP_TAG_SENSITIVE, true);
    ck_assert_int_eq(world_run(&w), RC_OK);
    const struct object *private = w.item.changes[0].object, *public = w.item.changes[1].object;
    ck_assert_uint_eq(private->control.usage_mask, KMIP_USAGE_SIGN);
    ck_assert_uint_eq(public->control.usage_mask, KMIP_USAGE_VERIFY);
    ck_assert_uint_eq(private->control.state, STATE_ACTIVE);
    ck_assert_uint_eq(public->control.state, STATE_ACTIVE);
    ck_assert(private->control.sensitive && private->control.always_sensitive);
    ck_assert(!public->control.sensitive);
    struct kmip_attributes list = seen(&w, 0);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 2);
    list = seen(&w, 1);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 1);
    world_close(&w);
}
END_TEST

static struct node *parameters_of(struct arena *a, uint32_t hash)
{
    struct node *n = node_structure(a, KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS);
    ck_assert_int_eq(node_append(n, node_enum(a, KMIP_TAG_HASHING_ALGORITHM, hash)), RC_OK);
    return n;
}

/* KMIP 2.1, table 191. */
START_TEST(some_attributes_are_the_same_of_both)
{
    struct world w;
    world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V2_1);
    struct kmip_create_key_pair_request *in = world_request(&w);
    struct arena *a = &w.arena;
    kmip_attributes_add_enum(a, &in->private_key, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                             KMIP_ALGORITHM_ECDSA);
    kmip_attributes_add(a, &in->public_key, domain_of(a, KMIP_CURVE_P_384));
    kmip_attributes_add(a, &in->private_key, parameters_of(a, KMIP_HASH_SHA_384));
    ck_assert_int_eq(world_run(&w), RC_OK); /* said of one half, it holds for both */
    for (size_t n = 0; n < 2; n++) {
        struct kmip_attributes list = seen(&w, n);
        ck_assert_uint_eq(value(&list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM)->enumeration,
                          KMIP_ALGORITHM_ECDSA);
        ck_assert_int_eq(value(&list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH)->integer, 384);
        ck_assert_ptr_nonnull(value(&list, KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS));
    }
    world_close(&w);
    for (int i = 0; i < 4; i++) {
        world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V2_1);
        in = world_request(&w);
        a = &w.arena;
        kmip_attributes_add_enum(a, &in->private_key, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                                 KMIP_ALGORITHM_ECDSA);
        kmip_attributes_add_enum(a, &in->public_key, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                                 i == 0 ? KMIP_ALGORITHM_ECDH : KMIP_ALGORITHM_ECDSA);
        kmip_attributes_add_integer(a, &in->private_key, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
        kmip_attributes_add_integer(a, &in->public_key, KMIP_TAG_CRYPTOGRAPHIC_LENGTH,
                                    i == 1 ? 384 : 256);
        kmip_attributes_add(a, &in->private_key, domain_of(a, KMIP_CURVE_P_256));
        kmip_attributes_add(a, &in->public_key,
                            domain_of(a, i == 2 ? KMIP_CURVE_P_384 : KMIP_CURVE_P_256));
        kmip_attributes_add(a, &in->private_key, parameters_of(a, KMIP_HASH_SHA_256));
        kmip_attributes_add(a, &in->public_key,
                            parameters_of(a, i == 3 ? KMIP_HASH_SHA_384 : KMIP_HASH_SHA_256));
        ck_assert_msg(world_run(&w) == RC_ATTR_VALUE, "case %d", i);
        world_close(&w);
    }
}
END_TEST

START_TEST(what_one_half_may_not_have_fails_the_pair)
{
    struct world w;
    world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V1_2);
    struct kmip_create_key_pair_request *in = pair_of(&w, KMIP_ALGORITHM_RSA, 2048);
    kmip_attributes_add_enum(&w.arena, &in->public_key, KMIP_TAG_STATE, STATE_ACTIVE);
    ck_assert_int_eq(world_run(&w), RC_ATTR_READ_ONLY);
    world_close(&w);
    world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V1_2);
    in = pair_of(&w, KMIP_ALGORITHM_RSA, 2048);
    kmip_attributes_add_integer(&w.arena, &in->common, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 2048);
    ck_assert_int_eq(world_run(&w), RC_ATTR_SINGLE);
    world_close(&w);
    for (int i = 0; i < 3; i++) {
        struct kmip_number hardware = KMIP_NUMBER(KMIP_PROTECTION_HARDWARE);
        world_open(&w, KMIP_OP_CREATE_KEY_PAIR, V2_1);
        in = pair_of(&w, KMIP_ALGORITHM_RSA, 2048);
        struct kmip_protection_storage_masks *m = KMIP_NEW(&w.arena, protection_storage_masks);
        m->masks.items = &hardware;
        m->masks.count = 1;
        *(i == 0 ? &in->common_masks : i == 1 ? &in->private_masks : &in->public_masks) = m;
        ck_assert_int_eq(world_run(&w), i == 2 ? RC_STORAGE_PUBLIC : RC_STORAGE_PRIVATE);
        world_close(&w);
    }
}
END_TEST

/* ---- Register ---- */

static struct kmip_register_request *bring(struct world *w, uint32_t type)
{
    struct kmip_register_request *in = world_request(w);
    in->object_type = type;
    in->attributes.present = true;
    in->object = ARENA_NEW(&w->arena, struct kmip_object);
    in->object->type = type;
    return in;
}

static struct kmip_key_block *bring_key(struct world *w, uint32_t type, uint32_t format)
{
    struct kmip_register_request *in = bring(w, type);
    struct kmip_key_block *block = KMIP_NEW(&w->arena, key_block);
    if (type == KMIP_OBJECT_PRIVATE_KEY) {
        in->object->private_key = KMIP_NEW(&w->arena, private_key);
        in->object->private_key->key_block = block;
    } else {
        in->object->public_key = KMIP_NEW(&w->arena, public_key);
        in->object->public_key->key_block = block;
    }
    block->key_format_type = format;
    block->key_value = ARENA_NEW(&w->arena, struct kmip_key_value);
    return block;
}

START_TEST(a_key_goes_to_the_vault_as_it_came)
{
    uint16_t version = every_version[_i];
    struct world w;
    world_open(&w, KMIP_OP_REGISTER, version);
    struct kmip_key_block *block =
        bring_key(&w, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY);
    struct node *material = node_structure(&w.arena, KMIP_TAG_KEY_MATERIAL);
    node_append(material,
                node_big_integer(&w.arena, KMIP_TAG_MODULUS, unhex(&w.arena, "0000000000000101")));
    block->key_value->structure = material;
    ck_assert_int_eq(world_run(&w), RC_OK);
    const struct vault_call *call = &w.item.calls[0];
    AUTO_BUF ttlv = BUF_EMPTY;
    ck_assert_int_eq(ttlv_write_node(&ttlv, 0, material), RC_OK);
    ck_assert(bytes_equal(call->material, buf_view(&ttlv)));
    ck_assert_uint_eq(call->key_format, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY);
    ck_assert_uint_eq(call->control.algorithm, 0); /* the vault tells */
    const struct object *o = w.item.changes[0].object;
    ck_assert_uint_eq(o->control.algorithm, KMIP_ALGORITHM_RSA);
    ck_assert_uint_eq(o->control.length, 2048);
    world_encode(&w);
    world_close(&w);
}
END_TEST

START_TEST(what_no_key_block_may_say)
{
    for (int i = 0; i < 7; i++) {
        static const rc_t want[] = {RC_WRAP_UNSUPPORTED, RC_WRAP_UNSUPPORTED, RC_KEY_COMPRESSION,
                                    RC_NO_KEY_VALUE,     RC_INVALID_FIELD,    RC_INVALID_FIELD,
                                    RC_OK};
        struct world w;
        world_open(&w, KMIP_OP_REGISTER, V2_1);
        struct kmip_key_block *block = bring_key(
            &w, i == 6 ? KMIP_OBJECT_PUBLIC_KEY : KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS1);
        struct kmip_register_request *in = (void *)(uintptr_t)w.item.request;
        block->key_value->material = bytes_str("a key");
        if (i == 0)
            block->key_wrapping_data = KMIP_NEW(&w.arena, key_wrapping_data);
        if (i == 1)
            block->key_value->wrapped = bytes_str("wrapped");
        if (i == 2 || i == 6)
            block->key_compression_type = KMIP_COMPRESSION_EC_PUBLIC_KEY_TYPE_X9_62_COMPRESSED_PRIME;
        if (i == 3)
            block->key_value = NULL;
        if (i == 4)
            block->key_value->material = BYTES_NONE;
        if (i == 5) {
            block->cryptographic_algorithm = KMIP_ALGORITHM_RSA;
            kmip_attributes_add_enum(&w.arena, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                                     KMIP_ALGORITHM_DSA);
        }
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == want[i], "case %d: %s", i, rc_name(rc));
        world_close(&w);
    }
}
END_TEST

START_TEST(a_curve_that_is_not_the_keys_is_refused)
{
    for (int i = 0; i < 2; i++) {
        struct world w;
        world_open(&w, KMIP_OP_REGISTER, V1_4);
        struct kmip_key_block *block =
            bring_key(&w, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_X_509);
        struct kmip_register_request *in = (void *)(uintptr_t)w.item.request;
        block->key_value->material = bytes_str("a key");
        w.told_curve = KMIP_CURVE_P_256;
        kmip_attributes_add(&w.arena, &in->attributes,
                            domain_of(&w.arena, i ? KMIP_CURVE_P_384 : KMIP_CURVE_P_256));
        ck_assert_int_eq(world_run(&w), i ? RC_INVALID_FIELD : RC_OK);
        world_close(&w);
    }
}
END_TEST

static struct kmip_register_request *bring_certificate(struct world *w, const char *hex)
{
    struct kmip_register_request *in = bring(w, KMIP_OBJECT_CERTIFICATE);
    in->object->certificate = KMIP_NEW(&w->arena, certificate);
    in->object->certificate->type = KMIP_CERTIFICATE_X_509;
    in->object->certificate->value = unhex(&w->arena, hex);
    return in;
}

START_TEST(a_certificate_tells_its_attributes)
{
    uint16_t version = every_version[_i];
    struct world w;
    world_open(&w, KMIP_OP_REGISTER, version);
    struct kmip_register_request *in = bring_certificate(&w, CERTIFICATE_P256);
    size_t len = in->object->certificate->value.len;
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.calls[0].key_format, KMIP_FORMAT_X_509);
    ck_assert(bytes_equal(w.item.calls[0].material, in->object->certificate->value));
    struct kmip_attributes list = seen(&w, 0);
    ck_assert_uint_eq(value(&list, KMIP_TAG_CERTIFICATE_TYPE)->enumeration, KMIP_CERTIFICATE_X_509);
    const struct node *id = value(&list, KMIP_TAG_CERTIFICATE_IDENTIFIER);
    const struct node *subject = value(&list, KMIP_TAG_CERTIFICATE_SUBJECT);
    if (version < V2_0) {
        ck_assert(bytes_is(node_child(id, KMIP_TAG_ISSUER)->bytes, "CN=x"));
        ck_assert_uint_eq(node_child(id, KMIP_TAG_SERIAL_NUMBER)->bytes.len, 40);
        ck_assert(bytes_is(
            node_child(subject, KMIP_TAG_CERTIFICATE_SUBJECT_DISTINGUISHED_NAME)->bytes, "CN=x"));
    } else {
        ck_assert(!id && !subject);
        ck_assert(bytes_is(value(&list, KMIP_TAG_CERTIFICATE_SUBJECT_CN)->bytes, "x"));
        ck_assert(bytes_is(value(&list, KMIP_TAG_CERTIFICATE_ISSUER_CN)->bytes, "x"));
    }
    const struct node *x509 = value(&list, KMIP_TAG_X_509_CERTIFICATE_IDENTIFIER);
    const struct node *signature = value(&list, KMIP_TAG_DIGITAL_SIGNATURE_ALGORITHM);
    if (version >= V1_1) {
        static const uint8_t cn_x[] = {0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06,
                                       0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, 'x'};
        ck_assert_int_eq(value(&list, KMIP_TAG_CERTIFICATE_LENGTH)->integer, (int32_t)len);
        ck_assert_uint_eq(signature->enumeration, KMIP_SIGNATURE_ECDSA_WITH_SHA256);
        ck_assert(bytes_equal(node_child(x509, KMIP_TAG_ISSUER_DISTINGUISHED_NAME)->bytes,
                              bytes_of(cn_x, sizeof cn_x)));
        struct bytes serial = node_child(x509, KMIP_TAG_CERTIFICATE_SERIAL_NUMBER)->bytes;
        ck_assert_uint_eq(serial.len, 22);
        ck_assert_uint_eq(serial.data[0], 2); /* an INTEGER, as it stands there */
    } else {
        ck_assert(!x509 && !signature);
    }
    const struct node *digest = value(&list, KMIP_TAG_DIGEST);
    ck_assert_ptr_null(node_child(digest, KMIP_TAG_KEY_FORMAT_TYPE)); /* of keys alone */
    world_encode(&w);
    world_close(&w);
}
END_TEST

START_TEST(certificates_that_are_none)
{
    struct world w;
    static const rc_t want[] = {RC_INVALID_FIELD, RC_INVALID_FIELD, RC_FEATURE, RC_ATTR_VALUE,
                                RC_ATTR_VALUE,    RC_OK,            RC_ATTR_VALUE};
    for (int i = 0; i < 7; i++) {
        world_open(&w, KMIP_OP_REGISTER, V2_1);
        struct kmip_register_request *in =
            bring_certificate(&w, i == 0 ? RSA_1024 : CERTIFICATE_P256);
        struct kmip_certificate *c = in->object->certificate;
        struct kmip_attributes *list = &in->attributes;
        if (i == 1)
            c->value.len--;
        if (i == 2)
            c->type = KMIP_CERTIFICATE_PGP;
        if (i == 3)
            kmip_attributes_add_integer(&w.arena, list, KMIP_TAG_CERTIFICATE_LENGTH, 7);
        if (i == 4)
            kmip_attributes_add_enum(&w.arena, list, KMIP_TAG_CERTIFICATE_TYPE,
                                     KMIP_CERTIFICATE_PGP);
        if (i == 5)
            kmip_attributes_add_integer(&w.arena, list, KMIP_TAG_CERTIFICATE_LENGTH,
                                        (int32_t)c->value.len);
        if (i == 6)
            kmip_attributes_add_enum(&w.arena, list, KMIP_TAG_DIGITAL_SIGNATURE_ALGORITHM,
                                     KMIP_SIGNATURE_ECDSA_WITH_SHA512);
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == want[i], "case %d: %s", i, rc_name(rc));
        world_close(&w);
    }
    /* What is the certificate's is not the client's to set. */
    world_open(&w, KMIP_OP_REGISTER, V2_1);
    struct kmip_register_request *in = bring_certificate(&w, CERTIFICATE_P256);
    kmip_attributes_add_text(&w.arena, &in->attributes, KMIP_TAG_CERTIFICATE_SUBJECT_CN,
                             bytes_str("y"));
    ck_assert_int_eq(world_run(&w), RC_ATTR_READ_ONLY);
    world_close(&w);
}
END_TEST

/* ---- Get ---- */

static struct kmip_get_request *get_of(struct world *w, uint16_t version, uint32_t type,
                                       uint32_t stored)
{
    world_open(w, KMIP_OP_GET, version);
    world_key(w, STATE_ACTIVE);
    w->object.control.object_type = type;
    w->object.control.algorithm = KMIP_ALGORITHM_EC;
    w->object.key_format = stored;
    w->object.attributes = bytes_str("{}");
    return world_request(w);
}

START_TEST(get_asks_the_vault_for_the_format)
{
    static const struct {
        uint16_t version;
        uint32_t type, stored, asked, wanted;
    } gets[] = {
        {V2_1, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8, 0, KMIP_FORMAT_PKCS8},
        {V2_1, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8, KMIP_FORMAT_ECPRIVATEKEY,
         KMIP_FORMAT_ECPRIVATEKEY},
        {V1_0, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_X_509, KMIP_FORMAT_X_509, KMIP_FORMAT_X_509},
        /* formats that the version does not have */
        {V1_0, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY, 0, KMIP_FORMAT_PKCS8},
        {V1_2, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY, 0, KMIP_FORMAT_X_509},
        {V1_3, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY, 0,
         KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY},
        {V2_0, KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_TRANSPARENT_ECDSA_PRIVATE_KEY, 0,
         KMIP_FORMAT_PKCS8},
        {V2_1, KMIP_OBJECT_CERTIFICATE, KMIP_FORMAT_X_509, KMIP_FORMAT_X_509, 0},
    };
    for (size_t i = 0; i < sizeof gets / sizeof gets[0]; i++) {
        struct world w;
        struct kmip_get_request *in =
            get_of(&w, gets[i].version, gets[i].type, gets[i].stored);
        in->key_format_type = gets[i].asked;
        w.plain = bytes_str("DER");
        if (gets[i].wanted == KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY)
            w.plain = unhex(&w.arena, "4200430100000020"
                                      "420075050000000400000007000000004200530800000001aa00000000000000");
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == RC_OK, "case %zu: %s", i, rc_name(rc));
        ck_assert_uint_eq(w.item.calls[0].key_format, gets[i].wanted);
        const struct kmip_get_response *out = w.item.response;
        struct kmip_key_block *block = kmip_object_key_block(out->object);
        ck_assert((block != NULL) == (gets[i].type != KMIP_OBJECT_CERTIFICATE));
        if (block)
            ck_assert_uint_eq(block->key_format_type, gets[i].wanted);
        else
            ck_assert(bytes_is(out->object->certificate->value, "DER"));
        world_encode(&w);
        world_close(&w);
    }
    struct world w;
    get_of(&w, V2_1, KMIP_OBJECT_CERTIFICATE, KMIP_FORMAT_X_509)->key_format_type = KMIP_FORMAT_PKCS8;
    ck_assert_int_eq(world_run(&w), RC_KEY_FORMAT);
    world_close(&w);
    get_of(&w, V2_1, KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY);
    w.plain = bytes_str("no structure at all");
    ck_assert_int_ne(world_run(&w), RC_OK);
    world_close(&w);
}
END_TEST

Suite *pair_suite(void)
{
    Suite *s = suite_create("pair");
    TCase *tc = tcase_create("pair");
    tcase_add_loop_test(tc, a_pair_is_two_objects_that_know_each_other, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, curve_and_length_say_the_same);
    tcase_add_test(tc, formats_follow_the_version);
    tcase_add_test(tc, own_attributes_prevail_over_common_ones);
    tcase_add_test(tc, some_attributes_are_the_same_of_both);
    tcase_add_test(tc, what_one_half_may_not_have_fails_the_pair);
    tcase_add_loop_test(tc, a_key_goes_to_the_vault_as_it_came, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, what_no_key_block_may_say);
    tcase_add_test(tc, a_curve_that_is_not_the_keys_is_refused);
    tcase_add_loop_test(tc, a_certificate_tells_its_attributes, 0, KMIP_VERSION_COUNT);
    tcase_add_test(tc, certificates_that_are_none);
    tcase_add_test(tc, get_asks_the_vault_for_the_format);
    suite_add_tcase(s, tc);
    return s;
}
