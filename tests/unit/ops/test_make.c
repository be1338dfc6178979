/* Create and Register: what is taken, what is refused, and what the new object shows in each
 * version. */
#include "server/base/symmetric.h"
#include "tests/unit/ops/ops_tests.h"

static struct node *name_node(struct arena *a, const char *value)
{
    struct node *n = node_structure(a, KMIP_TAG_NAME);
    node_append(n, node_text(a, KMIP_TAG_NAME_VALUE, bytes_str(value)));
    node_append(n, node_enum(a, KMIP_TAG_NAME_TYPE, KMIP_NAME_UNINTERPRETED_TEXT_STRING));
    return n;
}

static struct kmip_create_request *create_aes(struct world *w, int32_t bits)
{
    struct kmip_create_request *in = world_request(w);
    struct arena *a = &w->arena;
    in->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    in->attributes.present = true;
    kmip_attributes_add_enum(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                             KMIP_ALGORITHM_AES);
    if (bits)
        kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, bits);
    kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT);
    return in;
}

START_TEST(create_lengths)
{
    static const struct {
        int32_t bits;
        rc_t rc;
        uint32_t made;
    } cases[] = {{128, RC_OK, 128},       {192, RC_OK, 192},      {256, RC_OK, 256},
                 {0, RC_OK, 256},         {64, RC_ATTR_VALUE, 0}, {512, RC_ATTR_VALUE, 0},
                 {-128, RC_ATTR_VALUE, 0}};
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct world w;
            world_open(&w, KMIP_OP_CREATE, every_version[v]);
            create_aes(&w, cases[i].bits);
            ck_assert_int_eq(world_run(&w), cases[i].rc);
            if (cases[i].rc == RC_OK) {
                const struct control *c = &w.item.changes[0].object->control;
                ck_assert_int_eq(w.item.calls[0].op, VAULT_GENERATE);
                ck_assert_int_eq(w.item.changes[0].kind, DB_INSERT);
                ck_assert_uint_eq(c->length, cases[i].made);
                ck_assert_uint_eq(c->state, STATE_PRE_ACTIVE);
                ck_assert_uint_eq(c->version, 1);
                ck_assert(uid_equal(&c->owner, &w.who.client));
                ck_assert_int_eq(w.item.id_effect, ID_SET);
                ck_assert(uid_equal(&w.item.result_id, &c->uid));
                world_encode(&w);
            }
            world_close(&w);
        }
}
END_TEST

static void create_of(struct world *w, uint16_t version, uint32_t algorithm, int32_t bits)
{
    world_open(w, KMIP_OP_CREATE, version);
    struct kmip_create_request *in = create_aes(w, bits);
    in->attributes.items[0].value->enumeration = algorithm;
}

/* Every algorithm of the table in every version that names it, and only there. */
START_TEST(create_algorithms)
{
    size_t count;
    const struct symmetric *table = symmetric_table(&count);
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        for (size_t i = 0; i < count; i++) {
            const struct symmetric *s = &table[i];
            bool known = kmip_enum_known(KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, s->algorithm, every_version[v]);
            ck_assert_ptr_nonnull(kmip_enum(KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, s->algorithm));
            struct world w;
            create_of(&w, every_version[v], s->algorithm, (int32_t)s->least);
            ck_assert_int_eq(world_run(&w), known ? RC_OK : RC_BAD_VALUE);
            world_close(&w);
            create_of(&w, every_version[v], s->algorithm, 0);
            rc_t rc = world_run(&w);
            ck_assert_int_eq(rc, !known ? RC_BAD_VALUE : s->preset ? RC_OK : RC_MISSING_DATA);
            if (rc == RC_OK)
                ck_assert_uint_eq(w.item.calls[0].control.length, s->preset);
            world_close(&w);
            create_of(&w, every_version[v], s->algorithm, (int32_t)s->most + 1);
            ck_assert_int_eq(world_run(&w), known ? RC_ATTR_VALUE : RC_BAD_VALUE);
            world_close(&w);
        }
    struct world w;
    create_of(&w, V2_1, KMIP_ALGORITHM_RSA, 2048);
    ck_assert_int_eq(world_run(&w), RC_ATTR_VALUE);
    world_close(&w);
}
END_TEST

/* Each attribute that the server sets shows from its version on, and not before. */
START_TEST(server_attributes)
{
    static const struct {
        uint32_t tag;
        uint16_t since;
    } shown[] = {
        {KMIP_TAG_UNIQUE_IDENTIFIER, V1_0},
        {KMIP_TAG_OBJECT_TYPE, V1_0},
        {KMIP_TAG_INITIAL_DATE, V1_0},
        {KMIP_TAG_STATE, V1_0},
        {KMIP_TAG_LAST_CHANGE_DATE, V1_0},
        {KMIP_TAG_DIGEST, V1_0},
        {KMIP_TAG_LEASE_TIME, V1_0},
        {KMIP_TAG_FRESH, V1_1},
        {KMIP_TAG_ORIGINAL_CREATION_DATE, V1_2},
        {KMIP_TAG_RANDOM_NUMBER_GENERATOR, V1_3},
        {KMIP_TAG_SENSITIVE, V1_4},
        {KMIP_TAG_ALWAYS_SENSITIVE, V1_4},
        {KMIP_TAG_EXTRACTABLE, V1_4},
        {KMIP_TAG_NEVER_EXTRACTABLE, V1_4},
        {KMIP_TAG_KEY_FORMAT_TYPE, V2_0},
        {KMIP_TAG_SHORT_UNIQUE_IDENTIFIER, V2_0},
        {KMIP_TAG_PROTECTION_STORAGE_MASK, V2_0},
    };
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        struct world w;
        world_open(&w, KMIP_OP_CREATE, every_version[v]);
        create_aes(&w, 256);
        ck_assert_int_eq(world_run(&w), RC_OK);
        struct kmip_attributes list = world_attributes(&w);
        for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
            bool there = kmip_attributes_find(&list, shown[i].tag, 0) != NULL;
            ck_assert_msg(there == (every_version[v] >= shown[i].since), "%s in %x",
                          kmip_tag_name(shown[i].tag), every_version[v]);
        }
        for (size_t i = 0; i < list.count; i++)
            ck_assert(kmip_attr_known(list.items[i].tag, every_version[v]));
        world_close(&w);
    }
}
END_TEST

/* What a client may not give, and why. */
START_TEST(create_refusals)
{
    static const struct {
        uint32_t tag;
        uint8_t type;
        rc_t rc;
    } cases[] = {
        {KMIP_TAG_STATE, TTLV_ENUMERATION, RC_ATTR_READ_ONLY},
        {KMIP_TAG_INITIAL_DATE, TTLV_DATE_TIME, RC_ATTR_READ_ONLY},
        {KMIP_TAG_DESTROY_DATE, TTLV_DATE_TIME, RC_ATTR_READ_ONLY},
        {KMIP_TAG_ORIGINAL_CREATION_DATE, TTLV_DATE_TIME, RC_ATTR_READ_ONLY},
        {KMIP_TAG_FRESH, TTLV_BOOLEAN, RC_ATTR_READ_ONLY},
        {KMIP_TAG_CRYPTOGRAPHIC_LENGTH, TTLV_INTEGER, RC_ATTR_SINGLE},
        {KMIP_TAG_UNIQUE_IDENTIFIER, TTLV_TEXT_STRING, RC_ATTR_READ_ONLY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_CREATE, V2_1);
        struct kmip_create_request *in = create_aes(&w, 256);
        struct node *v = node_new(&w.arena, cases[i].tag, cases[i].type);
        if (v->type == TTLV_INTEGER)
            v->integer = 256;
        if (v->type == TTLV_ENUMERATION)
            v->enumeration = 1;
        ck_assert_int_eq(kmip_attributes_add(&w.arena, &in->attributes, v), RC_OK);
        rc_t rc = world_run(&w);
        ck_assert_msg(rc == cases[i].rc, "%s: %s", kmip_tag_name(cases[i].tag), rc_name(rc));
        world_close(&w);
    }
}
END_TEST

START_TEST(attribute_of_a_later_version)
{
    struct world w;
    world_open(&w, KMIP_OP_CREATE, V1_2);
    struct kmip_create_request *in = create_aes(&w, 256);
    kmip_attributes_add_boolean(&w.arena, &in->attributes, KMIP_TAG_SENSITIVE, true);
    ck_assert_int_eq(world_run(&w), RC_ATTR_UNSUPPORTED);
    world_close(&w);
}
END_TEST

START_TEST(dates_decide_the_state)
{
    static const struct {
        int64_t activation, deactivation;
        rc_t rc;
        uint32_t stored, effective;
    } cases[] = {
        {NO_DATE, NO_DATE, RC_OK, STATE_PRE_ACTIVE, STATE_PRE_ACTIVE},
        {NOW, NO_DATE, RC_OK, STATE_ACTIVE, STATE_ACTIVE},
        {NOW - 10, NO_DATE, RC_OK, STATE_ACTIVE, STATE_ACTIVE},
        {NOW + 10, NO_DATE, RC_OK, STATE_PRE_ACTIVE, STATE_PRE_ACTIVE},
        {NOW - 10, NOW - 5, RC_OK, STATE_DEACTIVATED, STATE_DEACTIVATED},
        {NO_DATE, NOW - 5, RC_OK, STATE_PRE_ACTIVE, STATE_PRE_ACTIVE},
        {NOW - 10, NOW - 20, RC_ATTR_VALUE, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_CREATE, V1_0);
        struct kmip_create_request *in = create_aes(&w, 128);
        if (cases[i].activation != NO_DATE)
            kmip_attributes_add_date(&w.arena, &in->attributes, KMIP_TAG_ACTIVATION_DATE,
                                     cases[i].activation);
        if (cases[i].deactivation != NO_DATE)
            kmip_attributes_add_date(&w.arena, &in->attributes, KMIP_TAG_DEACTIVATION_DATE,
                                     cases[i].deactivation);
        ck_assert_int_eq(world_run(&w), cases[i].rc);
        if (cases[i].rc == RC_OK) {
            ck_assert_uint_eq(w.item.changes[0].object->control.state, cases[i].stored);
            ck_assert_uint_eq(control_effective_state(&w.item.changes[0].object->control, NOW),
                              cases[i].effective);
        }
        world_close(&w);
    }
}
END_TEST

START_TEST(names_and_vendor_attributes_are_kept)
{
    struct world w;
    world_open(&w, KMIP_OP_CREATE, V1_1);
    struct arena *a = &w.arena;
    struct kmip_create_request *in = create_aes(&w, 256);
    kmip_attributes_add(a, &in->attributes, name_node(a, "first"));
    kmip_attributes_add(a, &in->attributes, name_node(a, "second"));
    kmip_attributes_add_text(a, &in->attributes, KMIP_TAG_OPERATION_POLICY_NAME,
                             bytes_str("default"));
    kmip_attributes_add_text(a, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("g1"));
    kmip_attributes_add_text(a, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    kmip_attributes_add_vendor(a, &in->attributes, bytes_str("x"), bytes_str("Product"),
                               node_text(a, KMIP_TAG_ATTRIBUTE_VALUE, bytes_str("vSphere")));
    kmip_attributes_add_vendor(a, &in->attributes, bytes_str("x"), bytes_str("Count"),
                               node_integer(a, KMIP_TAG_ATTRIBUTE_VALUE, 7));
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_uint_eq(w.item.changes[0].object->name_count, 2);
    struct kmip_attributes list = world_attributes(&w);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_NAME), 2);
    ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_OBJECT_GROUP), 2);
    ck_assert_ptr_nonnull(kmip_attributes_find(&list, KMIP_TAG_OPERATION_POLICY_NAME, 0));
    const struct kmip_attribute *at =
        kmip_attributes_find_vendor(&list, bytes_str("x"), bytes_str("Product"), 0);
    ck_assert_ptr_nonnull(at);
    ck_assert(bytes_is(at->value->bytes, "vSphere"));
    at = kmip_attributes_find_vendor(&list, bytes_str("x"), bytes_str("Count"), 0);
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(at->value->integer, 7);
    world_close(&w);

    world_open(&w, KMIP_OP_CREATE, V1_1);
    in = create_aes(&w, 256);
    kmip_attributes_add(&w.arena, &in->attributes, name_node(&w.arena, "same"));
    kmip_attributes_add(&w.arena, &in->attributes, name_node(&w.arena, "same"));
    ck_assert_int_eq(world_run(&w), RC_NAME_TAKEN);
    world_close(&w);
}
END_TEST

/* Our own vendor and "y" are not for clients to set (KMIP 1.4, 3.39; KMIP 2.1, 4.60). */
START_TEST(vendor_attributes_of_the_server)
{
    static const struct {
        const char *vendor;
        rc_t rc;
    } cases[] = {
        {"x", RC_OK}, {"y", RC_ATTR_READ_ONLY}, {"holdfast", RC_ATTR_READ_ONLY}, {"yy", RC_OK}};
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct world w;
            world_open(&w, KMIP_OP_CREATE, every_version[v]);
            struct kmip_create_request *in = create_aes(&w, 256);
            kmip_attributes_add_vendor(&w.arena, &in->attributes, bytes_str(cases[i].vendor),
                                       bytes_str("n"),
                                       node_boolean(&w.arena, KMIP_TAG_ATTRIBUTE_VALUE, true));
            ck_assert_int_eq(world_run(&w), cases[i].rc);
            world_close(&w);
        }
}
END_TEST

/* Each limit of one object, at the limit and one beyond. */
START_TEST(attributes_and_names_have_limits)
{
    static const struct {
        unsigned attributes, name_bytes;
        rc_t rc;
    } cases[] = {{4, 4, RC_OK}, {3, 4, RC_ATTR_FULL}, {4, 3, RC_NAME_LENGTH}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_CREATE, V2_1);
        w.limits.attrs = (struct attrs_limits){cases[i].attributes, cases[i].name_bytes};
        struct kmip_create_request *in = create_aes(&w, 256); /* three */
        kmip_attributes_add(&w.arena, &in->attributes, name_node(&w.arena, "four"));
        ck_assert_int_eq(world_run(&w), cases[i].rc);
        world_close(&w);
    }
}
END_TEST

START_TEST(only_what_is_offered)
{
    struct world w;
    world_open(&w, KMIP_OP_CREATE, V2_1);
    create_aes(&w, 0)->attributes.items[0].value->enumeration = KMIP_ALGORITHM_RSA;
    ck_assert_int_eq(world_run(&w), RC_ATTR_VALUE);
    world_close(&w);

    world_open(&w, KMIP_OP_CREATE, V2_1);
    create_aes(&w, 256)->object_type = KMIP_OBJECT_SECRET_DATA;
    ck_assert_int_eq(world_run(&w), RC_OBJECT_TYPE);
    world_close(&w);

    world_open(&w, KMIP_OP_CREATE, V2_1);
    struct kmip_create_request *in = create_aes(&w, 256);
    kmip_attributes_add_boolean(&w.arena, &in->attributes, KMIP_TAG_QUANTUM_SAFE, true);
    ck_assert_int_eq(world_run(&w), RC_NOT_QUANTUM_SAFE);
    world_close(&w);

    static const struct {
        int64_t mask;
        rc_t rc;
    } storage[] = {{KMIP_PROTECTION_SOFTWARE, RC_OK},
                   {KMIP_PROTECTION_HARDWARE, RC_STORAGE_UNAVAILABLE}};
    for (size_t i = 0; i < 2; i++) {
        world_open(&w, KMIP_OP_CREATE, V2_1);
        in = create_aes(&w, 256);
        struct kmip_number mask = KMIP_NUMBER(storage[i].mask);
        in->protection_storage_masks = KMIP_NEW(&w.arena, protection_storage_masks);
        in->protection_storage_masks->masks.items = &mask;
        in->protection_storage_masks->masks.count = 1;
        ck_assert_int_eq(world_run(&w), storage[i].rc);
        world_close(&w);
    }
}
END_TEST

/* ---- Register ---- */

struct block {
    uint32_t type, format, algorithm;
    int32_t block_bits, attribute_bits;
    size_t bytes;
    rc_t rc;
    uint32_t bits;
};

static struct kmip_key_block *key_block(struct world *w, const struct block *b)
{
    static const uint8_t zeros[64];
    struct arena *a = &w->arena;
    struct kmip_key_block *k = KMIP_NEW(a, key_block);
    k->key_format_type = b->format;
    k->cryptographic_algorithm = b->algorithm;
    if (b->block_bits)
        k->cryptographic_length = KMIP_NUMBER(b->block_bits);
    k->key_value = ARENA_NEW(a, struct kmip_key_value);
    if (b->format == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY) {
        k->key_value->structure = node_structure(a, KMIP_TAG_KEY_MATERIAL);
        node_append(k->key_value->structure,
                    node_bytes(a, KMIP_TAG_KEY, bytes_of(zeros, b->bytes)));
    } else {
        k->key_value->material = bytes_of(zeros, b->bytes);
    }
    return k;
}

static void ask_register(struct world *w, const struct block *b)
{
    struct arena *a = &w->arena;
    struct kmip_register_request *in = world_request(w);
    in->object_type = b->type;
    in->attributes.present = true;
    if (b->attribute_bits)
        kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH,
                                    b->attribute_bits);
    in->object = ARENA_NEW(a, struct kmip_object);
    in->object->type = b->type;
    if (b->type == KMIP_OBJECT_SYMMETRIC_KEY) {
        in->object->symmetric_key = KMIP_NEW(a, symmetric_key);
        in->object->symmetric_key->key_block = key_block(w, b);
    } else if (b->type == KMIP_OBJECT_SECRET_DATA) {
        in->object->secret_data = KMIP_NEW(a, secret_data);
        in->object->secret_data->type = KMIP_SECRET_SEED;
        in->object->secret_data->key_block = key_block(w, b);
    } else {
        in->object->opaque_object = KMIP_NEW(a, opaque_object);
        in->object->opaque_object->type = 0x80000001;
        in->object->opaque_object->value = bytes_str("anything");
    }
}

START_TEST(register_material)
{
    enum {
        SYM = KMIP_OBJECT_SYMMETRIC_KEY,
        SECRET = KMIP_OBJECT_SECRET_DATA,
        RAW = KMIP_FORMAT_RAW,
        CLEAR = KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY,
        AES = KMIP_ALGORITHM_AES,
        DES3 = KMIP_ALGORITHM_3DES
    };
    static const struct block cases[] = {
        {SYM, RAW, AES, 256, 256, 32, RC_OK, 256},
        {SYM, RAW, AES, 0, 128, 16, RC_OK, 128},
        {SYM, RAW, AES, 0, 0, 24, RC_OK, 192},
        {SYM, CLEAR, AES, 256, 0, 32, RC_OK, 256},
        {SYM, RAW, AES, 256, 128, 32, RC_INVALID_FIELD, 0}, /* block and attribute disagree */
        {SYM, RAW, AES, 256, 0, 16, RC_INVALID_FIELD, 0},   /* too short */
        {SYM, RAW, AES, 0, 0, 17, RC_INVALID_FIELD, 0},
        {SYM, RAW, AES, 0, 0, 0, RC_INVALID_FIELD, 0},
        {SYM, RAW, 0, 256, 0, 32, RC_MISSING_DATA, 0},
        {SYM, RAW, DES3, 168, 0, 24, RC_OK, 168},
        {SYM, RAW, DES3, 192, 0, 24, RC_OK, 192},
        {SYM, RAW, DES3, 0, 0, 24, RC_OK, 168},
        {SYM, CLEAR, DES3, 112, 0, 16, RC_OK, 112},
        {SYM, RAW, DES3, 168, 0, 16, RC_INVALID_FIELD, 0},
        {SYM, RAW, KMIP_ALGORITHM_DES, 64, 0, 8, RC_OK, 64},
        {SYM, CLEAR, KMIP_ALGORITHM_HMAC_SHA256, 0, 0, 20, RC_OK, 160},
        {SYM, RAW, KMIP_ALGORITHM_RSA, 256, 0, 32, RC_BAD_CRYPTO_PARAMS, 0},
        {SYM, KMIP_FORMAT_PKCS8, AES, 256, 0, 32, RC_KEY_FORMAT, 0},
        {SYM, KMIP_FORMAT_OPAQUE, AES, 256, 0, 32, RC_KEY_FORMAT, 0},
        {SECRET, RAW, 0, 0, 0, 12, RC_OK, 0},
        {SECRET, KMIP_FORMAT_OPAQUE, 0, 0, 0, 12, RC_OK, 0},
        {SECRET, CLEAR, 0, 0, 0, 12, RC_KEY_FORMAT, 0},
        {KMIP_OBJECT_OPAQUE_OBJECT, 0, 0, 0, 0, 0, RC_OK, 0},
        {KMIP_OBJECT_SPLIT_KEY, 0, 0, 0, 0, 0, RC_OBJECT_TYPE, 0},
    };
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct world w;
            world_open(&w, KMIP_OP_REGISTER, every_version[v]);
            ask_register(&w, &cases[i]);
            rc_t rc = world_run(&w);
            ck_assert_msg(rc == cases[i].rc, "case %zu: %s", i, rc_name(rc));
            if (rc == RC_OK) {
                ck_assert_int_eq(w.item.calls[0].op, VAULT_REGISTER);
                ck_assert_uint_eq(w.item.changes[0].object->control.length, cases[i].bits);
                if (cases[i].type != KMIP_OBJECT_OPAQUE_OBJECT)
                    ck_assert_uint_eq(w.item.calls[0].material.len, cases[i].bytes);
                world_encode(&w);
            }
            world_close(&w);
        }
}
END_TEST

/* What stands beside the object and what stands within its Key Value are attributes of one object.
 */
START_TEST(register_counts_both_lists)
{
    static const struct block good = {
        KMIP_OBJECT_SYMMETRIC_KEY, KMIP_FORMAT_RAW, KMIP_ALGORITHM_AES, 256, 256, 32, RC_OK, 256};
    for (unsigned most = 3; most >= 2; most--) {
        struct world w;
        world_open(&w, KMIP_OP_REGISTER, V1_4);
        w.limits.attrs.attributes = most;
        ask_register(&w, &good); /* one beside, two within */
        struct kmip_register_request *in = (void *)(uintptr_t)w.item.request;
        struct kmip_attributes *inner =
            &in->object->symmetric_key->key_block->key_value->attributes;
        kmip_attributes_add_text(&w.arena, inner, KMIP_TAG_OBJECT_GROUP, bytes_str("a"));
        kmip_attributes_add_text(&w.arena, inner, KMIP_TAG_OBJECT_GROUP, bytes_str("b"));
        ck_assert_int_eq(world_run(&w), most == 3 ? RC_OK : RC_ATTR_FULL);
        world_close(&w);
    }
}
END_TEST

/* The default format first; of a transparent key also its own; of an opaque object none (KMIP 2.1, 4.21). */
START_TEST(digests)
{
    static const struct {
        struct block block;
        size_t count;
        uint32_t formats[2];
    } cases[] = {
        {{KMIP_OBJECT_SYMMETRIC_KEY, KMIP_FORMAT_RAW, KMIP_ALGORITHM_AES, 128, 0, 16, RC_OK, 128},
         1,
         {KMIP_FORMAT_RAW, 0}},
        {{KMIP_OBJECT_SYMMETRIC_KEY, KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY, KMIP_ALGORITHM_AES, 128, 0, 16, RC_OK, 128},
         2,
         {KMIP_FORMAT_RAW, KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY}},
        {{KMIP_OBJECT_SECRET_DATA, KMIP_FORMAT_OPAQUE, 0, 0, 0, 5, RC_OK, 0}, 1, {KMIP_FORMAT_OPAQUE, 0}},
        {{KMIP_OBJECT_OPAQUE_OBJECT, 0, 0, 0, 0, 0, RC_OK, 0}, 1, {0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_open(&w, KMIP_OP_REGISTER, V2_1);
        ask_register(&w, &cases[i].block);
        ck_assert_int_eq(world_run(&w), RC_OK);
        struct kmip_attributes list = world_attributes(&w);
        ck_assert_uint_eq(kmip_attributes_count(&list, KMIP_TAG_DIGEST), cases[i].count);
        for (size_t k = 0; k < cases[i].count; k++) {
            const struct node *digest = kmip_attributes_find(&list, KMIP_TAG_DIGEST, k)->value;
            const struct node *format = node_child(digest, KMIP_TAG_KEY_FORMAT_TYPE);
            ck_assert_uint_eq(format ? format->enumeration : 0, cases[i].formats[k]);
            ck_assert_uint_eq(node_child(digest, KMIP_TAG_DIGEST_VALUE)->bytes.data[0], k ? 0xEE : 0xDD);
        }
        world_close(&w);
    }
}
END_TEST

START_TEST(register_refusals)
{
    static const struct block good = {
        KMIP_OBJECT_SYMMETRIC_KEY, KMIP_FORMAT_RAW, KMIP_ALGORITHM_AES, 256, 0, 32, RC_OK, 256};
    struct world w;
    world_open(&w, KMIP_OP_REGISTER, V1_4);
    ask_register(&w, &good);
    struct kmip_register_request *in = (void *)(uintptr_t)w.item.request;
    in->object_type = KMIP_OBJECT_SECRET_DATA;
    ck_assert_int_eq(world_run(&w), RC_INVALID_FIELD);
    world_close(&w);

    world_open(&w, KMIP_OP_REGISTER, V1_4);
    ask_register(&w, &good);
    in = (void *)(uintptr_t)w.item.request;
    in->object->symmetric_key->key_block->key_wrapping_data = KMIP_NEW(&w.arena, key_wrapping_data);
    ck_assert_int_eq(world_run(&w), RC_WRAP_UNSUPPORTED);
    world_close(&w);

    world_open(&w, KMIP_OP_REGISTER, V1_4);
    ask_register(&w, &good);
    in = (void *)(uintptr_t)w.item.request;
    in->object->symmetric_key->key_block->key_value = NULL;
    ck_assert_int_eq(world_run(&w), RC_NO_KEY_VALUE);
    world_close(&w);

    world_open(&w, KMIP_OP_REGISTER, V1_4);
    ask_register(&w, &good);
    in = (void *)(uintptr_t)w.item.request;
    in->attributes.template_count = 1;
    ck_assert_int_eq(world_run(&w), RC_FEATURE);
    world_close(&w);
}
END_TEST

Suite *make_suite(void)
{
    Suite *s = suite_create("make");
    TCase *t = tcase_create("create");
    tcase_add_test(t, create_lengths);
    tcase_add_test(t, create_algorithms);
    tcase_add_test(t, server_attributes);
    tcase_add_test(t, create_refusals);
    tcase_add_test(t, attribute_of_a_later_version);
    tcase_add_test(t, dates_decide_the_state);
    tcase_add_test(t, names_and_vendor_attributes_are_kept);
    tcase_add_test(t, vendor_attributes_of_the_server);
    tcase_add_test(t, attributes_and_names_have_limits);
    tcase_add_test(t, only_what_is_offered);
    suite_add_tcase(s, t);
    t = tcase_create("register");
    tcase_add_test(t, register_material);
    tcase_add_test(t, register_counts_both_lists);
    tcase_add_test(t, digests);
    tcase_add_test(t, register_refusals);
    suite_add_tcase(s, t);
    return s;
}
