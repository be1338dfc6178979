/*
 * Encrypt and Decrypt with symmetric keys, in one part each; the vault does it, the key stays there. The parameters are
 * the request's, else those of the object. Every Encrypt takes its share of the object's Usage Limits, in the unit of
 * work that its audit row is in. KMIP 1.4, 4.29 and 4.30; KMIP 2.1, 6.1.11, 6.1.17, 4.16 and 4.59.
 */
#include "server/ops/op.h"
#include "server/policy/quirk.h"

/* What both requests have. */
struct asked {
    bool encrypt;
    const struct kmip_cryptographic_parameters *parameters; /* NULL: those of the object */
    struct bytes data, iv, additional, tag;
};

/* A request that is no part of a stream, and brings its data itself. */
static rc_t check_single(struct bytes correlation, const struct kmip_number *init, const struct kmip_number *final,
                         const struct kmip_data *data)
{
    if (correlation.data)
        return RC_CORRELATION;
    bool first = init->set && init->value, last = final->set && final->value;
    if (first != last)
        return RC_STREAM;
    if (data->type == 0)
        return RC_MISSING_DATA;
    return data->type == TTLV_BYTE_STRING ? RC_OK : RC_FEATURE; /* else the output of an earlier item */
}

static rc_t want_key(struct op_item *it, const struct kmip_uid *id, const struct asked *asked)
{
    struct asked *own = ARENA_NEW(it->arena, struct asked);
    if (!own)
        return RC_NO_MEMORY;
    *own = *asked;
    it->own = own;
    bool attributes = asked->encrypt || !asked->parameters;
    op_want_object(it, id, DB_WANT_MATERIAL | (attributes ? DB_WANT_ATTRIBUTES : 0u));
    return RC_OK;
}

rc_t encrypt_prepare(struct op_item *it)
{
    const struct kmip_encrypt_request *in = it->request;
    TRY(check_single(in->correlation_value, &in->init_indicator, &in->final_indicator, &in->data));
    const struct asked asked = {.encrypt = true,
                                .parameters = in->cryptographic_parameters,
                                .data = in->data.bytes,
                                .iv = in->iv,
                                .additional = in->additional_data};
    return want_key(it, &in->unique_identifier, &asked);
}

rc_t decrypt_prepare(struct op_item *it)
{
    const struct kmip_decrypt_request *in = it->request;
    TRY(check_single(in->correlation_value, &in->init_indicator, &in->final_indicator, &in->data));
    const struct asked asked = {.parameters = in->cryptographic_parameters,
                                .data = in->data.bytes,
                                .iv = in->iv,
                                .additional = in->additional_data,
                                .tag = in->tag};
    return want_key(it, &in->unique_identifier, &asked);
}

/* ---- the key -------------------------------------------------------------------------------- */

static rc_t check_key(const struct op_item *it, bool encrypt)
{
    const struct control *c = &it->object->control;
    switch (c->object_type) {
    case KMIP_OBJECT_SYMMETRIC_KEY:
        break;
    case KMIP_OBJECT_PUBLIC_KEY:
    case KMIP_OBJECT_PRIVATE_KEY:
        return RC_FEATURE; /* asymmetric ciphers are not offered */
    default:
        return RC_NOT_USABLE;
    }
    TRY(control_permits(c, encrypt ? KMIP_USAGE_ENCRYPT : KMIP_USAGE_DECRYPT, it->now));
    bool plain =
        it->object->key_format == KMIP_FORMAT_RAW || it->object->key_format == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY;
    return plain ? RC_OK : RC_KEY_FORMAT;
}

/* ---- parameters ----------------------------------------------------------------------------- */

/* Those of the object with the lowest index: they are stored in that order. RC_PARAMS_MISSING: there are none. */
static rc_t stored_parameters(struct op_item *it, const struct kmip_attributes *rest,
                              const struct kmip_cryptographic_parameters **out)
{
    const struct kmip_attribute *first = kmip_attributes_find(rest, KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS, 0);
    if (!first)
        return RC_PARAMS_MISSING;
    const struct kmip_context cx = {.arena = it->arena, .version = V2_1}; /* they may have been given in any */
    void *read;
    if (kmip_struct_read(&cx, KMIP_S_cryptographic_parameters, first->value, &read) != RC_OK)
        return RC_INTEGRITY;
    *out = read;
    return RC_OK;
}

/* Where none are given at all, a cipher that needs none may still do. */
static rc_t find_parameters(struct op_item *it, const struct asked *asked, const struct kmip_attributes *rest,
                            const struct kmip_cryptographic_parameters **out)
{
    *out = asked->parameters;
    if (*out)
        return RC_OK;
    rc_t rc = stored_parameters(it, rest, out);
    if (rc != RC_PARAMS_MISSING || !cipher_find(it->object->control.algorithm, 0))
        return rc;
    *out = KMIP_NEW(it->arena, cryptographic_parameters);
    return *out ? RC_OK : RC_NO_MEMORY;
}

static bool is_negative(const struct kmip_number *n)
{
    return n->set && n->value < 0;
}

/* KMIP's Integers have 32 bits, and none of these is negative. */
static rc_t read_request(const struct op_item *it, const struct asked *asked,
                         const struct kmip_cryptographic_parameters *p, struct cipher_request *out)
{
    uint32_t algorithm = it->object->control.algorithm;
    if (p->cryptographic_algorithm && p->cryptographic_algorithm != algorithm)
        return RC_PARAMS_CONFLICT;
    const struct kmip_number *const numbers[] = {&p->iv_length, &p->tag_length, &p->counter_length,
                                                 &p->initial_counter_value};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (is_negative(numbers[i]))
            return RC_PARAMS_CONFLICT;
    if (p->iv_length.value % 8 != 0)
        return RC_IV_LENGTH;
    *out = (struct cipher_request){
        .encrypt = asked->encrypt,
        .algorithm = algorithm,
        .mode = p->block_cipher_mode,
        .padding = p->padding_method,
        .iv_bytes = (uint32_t)p->iv_length.value / 8,
        .tag_bytes = (uint32_t)p->tag_length.value,
        .counter_bits = (uint32_t)p->counter_length.value,
        .has_counter = p->initial_counter_value.set,
        .counter = (uint32_t)p->initial_counter_value.value,
        .make_iv = p->random_iv.set && p->random_iv.value,
    };
    /* An IV of parts that have a meaning is the client's to make (SP 800-38D, 8.2.1). */
    bool parts = p->fixed_field_length.set || p->invocation_field_length.set;
    return out->make_iv && parts && asked->iv.len == 0 ? RC_PARAMS_UNSUPPORTED : RC_OK;
}

/* As the quirk has it: data without an IV begin with it, and an Encrypt that says nothing of one gets one made. */
static rc_t apply_quirk(const struct op_item *it, struct asked *asked, struct cipher_request *r)
{
    size_t bytes = cipher_iv_bytes(r);
    if (!quirks_have(it->quirks, QUIRK_IV_IN_CIPHERTEXT) || asked->iv.len > 0 || bytes == 0)
        return RC_OK;
    if (asked->encrypt) {
        r->make_iv = true;
        return RC_OK;
    }
    if (asked->data.len < bytes)
        return RC_DATA_LENGTH;
    asked->iv = bytes_of(asked->data.data, bytes);
    asked->data = bytes_of(asked->data.data + bytes, asked->data.len - bytes);
    return RC_OK;
}

/* A version that cannot tell a tag has no cipher with one. */
static rc_t check_cipher(const struct op_item *it, const struct asked *asked, const struct cipher_request *r)
{
    const struct cipher_lengths have = {asked->additional.len, asked->tag.len, asked->data.len};
    const struct cipher *c = cipher_find(r->algorithm, r->mode);
    struct cipher_plan plan;
    if (c && c->tag_least && it->version < V1_4)
        return RC_PARAMS_UNSUPPORTED;
    return cipher_plan(r, asked->iv, &have, &plan);
}

/* ---- usage limits --------------------------------------------------------------------------- */

/* Takes what is encrypted from what the limits have left, as a change of the object. */
static rc_t spend(struct op_item *it, struct kmip_attributes *rest, size_t bytes)
{
    struct arena *a = it->arena;
    const struct kmip_attribute *limits = kmip_attributes_find(rest, KMIP_TAG_USAGE_LIMITS, 0);
    const struct node *total = limits ? node_child(limits->value, KMIP_TAG_USAGE_LIMITS_TOTAL) : NULL;
    const struct node *left = limits ? node_child(limits->value, KMIP_TAG_USAGE_LIMITS_COUNT) : NULL;
    const struct node *unit = limits ? node_child(limits->value, KMIP_TAG_USAGE_LIMITS_UNIT) : NULL;
    if (!limits)
        return RC_OK;
    if (!total || !left || !unit)
        return RC_INTEGRITY;
    int64_t used = unit->enumeration == KMIP_UNIT_BYTE ? (int64_t)bytes : 1;
    if (used > left->long_integer)
        return RC_USAGE_SPENT;
    struct node *n = node_structure(a, KMIP_TAG_USAGE_LIMITS);
    struct object *o = op_change(it, DB_UPDATE);
    if (!n || !o)
        return RC_NO_MEMORY;
    TRY(node_append(n, node_long(a, KMIP_TAG_USAGE_LIMITS_TOTAL, total->long_integer)));
    TRY(node_append(n, node_long(a, KMIP_TAG_USAGE_LIMITS_COUNT, left->long_integer - used)));
    TRY(node_append(n, node_enum(a, KMIP_TAG_USAGE_LIMITS_UNIT, unit->enumeration)));
    TRY(attrs_set(a, rest, n));
    TRY(attrs_store(a, o, rest));
    op_ask_transition(it);
    return RC_OK;
}

/* ---- the operations ------------------------------------------------------------------------- */

static void ask_vault(struct op_item *it, const struct asked *asked, const struct cipher_request *r)
{
    const struct object *o = it->object;
    struct vault_call *call = &it->calls[it->call_count++];
    *call = (struct vault_call){.op = VAULT_CIPHER,
                                .domain = o->control.domain,
                                .control = o->control,
                                .material = o->material,
                                .cipher = {*r, asked->iv, asked->additional, asked->tag, asked->data}};
    memcpy(call->mac, o->control_mac, sizeof call->mac);
}

rc_t cipher_perform(struct op_item *it)
{
    struct asked *asked = it->own;
    const struct kmip_cryptographic_parameters *parameters;
    struct kmip_attributes rest = {0};
    struct cipher_request r;
    TRY(check_key(it, asked->encrypt));
    bool limited = asked->encrypt && attrs_may_be_limited(it->object);
    if (limited || !asked->parameters)
        TRY(attrs_load(it->arena, it->object, &rest));
    TRY(find_parameters(it, asked, &rest, &parameters));
    TRY(read_request(it, asked, parameters, &r));
    TRY(apply_quirk(it, asked, &r));
    TRY(check_cipher(it, asked, &r));
    ask_vault(it, asked, &r);
    return limited ? spend(it, &rest, asked->data.len) : RC_OK;
}

rc_t encrypt_complete(struct op_item *it)
{
    const struct vault_reply *done = &it->replies[0];
    if (it->change_count)
        op_take_signature(it, 0, 1);
    struct kmip_encrypt_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->data = KMIP_DATA(done->plain);
    if (done->iv_bytes)
        out->iv = bytes_of(done->iv, done->iv_bytes);
    if (done->tag_bytes)
        out->tag = bytes_of(done->tag, done->tag_bytes);
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}

rc_t decrypt_complete(struct op_item *it)
{
    struct kmip_decrypt_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->data = KMIP_DATA(it->replies[0].plain);
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}
