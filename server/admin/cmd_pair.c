/*
 * `holdfast key create-pair`, and what `key register` and `key get` do for the keys of a pair and for
 * certificates: PEM in and out.
 */
#include "config.h"

#include <time.h>

#include <jansson.h>

#include "server/admin/cmd_key.h"
#include "server/admin/key_pem.h"

enum { PAIR_BITS_MOST = 8192 };
static const char pair_timeout[] = "600"; /* finding a long RSA key takes minutes */

/* ---- create-pair ---- */

/* The use that the public half has where the private one has its own. */
static uint32_t counterpart(uint32_t usage)
{
    static const struct {
        uint32_t private, public;
    } uses[] = {
        {KMIP_USAGE_SIGN, KMIP_USAGE_VERIFY},
        {KMIP_USAGE_DECRYPT, KMIP_USAGE_ENCRYPT},
        {KMIP_USAGE_UNWRAP_KEY, KMIP_USAGE_WRAP_KEY},
        {KMIP_USAGE_KEY_AGREEMENT, KMIP_USAGE_KEY_AGREEMENT},
        {KMIP_USAGE_DERIVE_KEY, KMIP_USAGE_DERIVE_KEY},
        {KMIP_USAGE_CERTIFICATE_SIGN, KMIP_USAGE_VERIFY},
        {KMIP_USAGE_CRL_SIGN, KMIP_USAGE_VERIFY},
    };
    uint32_t out = 0;
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (usage & uses[i].private)
            out |= uses[i].public;
    return out ? out : usage;
}

/* NAME is the private key's, NAME.pub the public one's. */
static rc_t add_half(struct kmip_call *call, struct kmip_attributes *list, const char *end, uint32_t usage)
{
    struct arena *a = &call->arena;
    list->present = true;
    if (cli_given(call->cli, OPT_NAME)) {
        const char *name = arena_fmt(a, "%s%s", call->cli->option[OPT_NAME], end);
        if (!name)
            return RC_NO_MEMORY;
        TRY(kmip_attributes_add_name(a, list, bytes_str(name), KMIP_NAME_UNINTERPRETED_TEXT_STRING));
    }
    return kmip_attributes_add_integer(a, list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, (int32_t)usage);
}

static rc_t add_both(struct kmip_call *call, struct kmip_attributes *list, uint32_t algorithm, long length)
{
    struct arena *a = &call->arena;
    const struct cli *cli = call->cli;
    list->present = true;
    TRY(kmip_attributes_add_enum(a, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, algorithm));
    if (length)
        TRY(kmip_attributes_add_integer(a, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, (int32_t)length));
    if (cli_given(cli, OPT_GROUP))
        TRY(kmip_attributes_add_text(a, list, KMIP_TAG_OBJECT_GROUP, bytes_str(cli->option[OPT_GROUP])));
    /* An Activate item could name the private key alone: the public one's identifier comes with the answer. */
    if (cli_given(cli, OPT_ACTIVATE))
        TRY(kmip_attributes_add_date(a, list, KMIP_TAG_ACTIVATION_DATE, time(NULL)));
    return RC_OK;
}

/* What the options say of an asymmetric key; what they do not give stays as it is. */
static enum cli_exit read_options(struct cli *cli, uint32_t *algorithm, long *length, uint32_t *usage)
{
    enum cli_exit code =
        key_enum_option(cli, OPT_ALGORITHM, "algorithm", KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, algorithm);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_LENGTH, 1, PAIR_BITS_MOST, length);
    return code == CLI_DONE ? key_usage_option(cli, usage) : code;
}

static enum cli_exit build_pair(struct kmip_call *call)
{
    struct cli *cli = call->cli;
    uint32_t algorithm = KMIP_ALGORITHM_RSA, usage = KMIP_USAGE_SIGN;
    long length = 0;
    enum cli_exit code = read_options(cli, &algorithm, &length, &usage);
    if (code != CLI_DONE)
        return code;
    struct kmip_create_key_pair_request *request = kmip_call_add(call, KMIP_OP_CREATE_KEY_PAIR);
    if (!request || add_both(call, &request->common, algorithm, length) != RC_OK ||
        add_half(call, &request->private_key, "", usage) != RC_OK ||
        add_half(call, &request->public_key, ".pub", counterpart(usage)) != RC_OK)
        return key_out_of_memory(cli);
    return CLI_DONE;
}

enum cli_exit cmd_key_create_pair(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    if (!cli_given(cli, OPT_TIMEOUT))
        cli->option[OPT_TIMEOUT] = pair_timeout;
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code == CLI_DONE)
        code = build_pair(&call);
    if (code == CLI_DONE)
        code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_key_pair_response *made = KMIP_PAYLOAD(&call.response->items[0], key_pair_response);
    struct bytes private = made->private_key_unique_identifier.text;
    struct bytes public = made->public_key_unique_identifier.text;
    const char *did = cli_given(cli, OPT_ACTIVATE) ? "created and activated" : "created";
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:o, s:o, s:s}", "private", key_json_text(private), "public",
                                             key_json_text(public), "done", did));
    fprintf(cli->out, "%s private key %.*s\n", did, (int)private.len, (const char *)private.data);
    fprintf(cli->out, "%s public key %.*s\n", did, (int)public.len, (const char *)public.data);
    return CLI_DONE;
}

/* ---- register ---- */

static bool is_pair_type(uint32_t type)
{
    return type == KMIP_OBJECT_PRIVATE_KEY || type == KMIP_OBJECT_PUBLIC_KEY || type == KMIP_OBJECT_CERTIFICATE;
}

static bool begins_as_pem(struct bytes input)
{
    static const char begin[] = "-----BEGIN ";
    return input.len > sizeof begin && memmem(input.data, input.len, begin, sizeof begin - 1) != NULL;
}

enum cli_exit pair_register_kind(struct cli *cli, struct bytes input, bool *is_pair)
{
    uint32_t type = 0;
    enum cli_exit code = key_enum_option(cli, OPT_TYPE, "type", KMIP_TAG_OBJECT_TYPE, &type);
    *is_pair = type ? is_pair_type(type) : begins_as_pem(input);
    return code;
}

/* The input as PEM says, or DER in the general format of its type. */
static enum cli_exit read_input(struct cli *cli, struct bytes input, uint32_t type, struct key_pem *out)
{
    rc_t rc = key_pem_read(input, out);
    if (rc == RC_NOT_FOUND && type) {
        out->object_type = type;
        out->key_format = type == KMIP_OBJECT_PRIVATE_KEY ? KMIP_FORMAT_PKCS8 : KMIP_FORMAT_X_509;
        rc = buf_add_bytes(&out->der, input);
    }
    if (rc != RC_OK)
        return cli_fail(cli, CLI_USAGE,
                        "PEM may hold a private key (PKCS#8, PKCS#1, EC), a public key or a certificate.",
                        "%s: no key and no certificate that KMIP has a format for", cli->option[OPT_IN]);
    if (type && type != out->object_type)
        return cli_fail(cli, CLI_USAGE, NULL, "--type %s: %s holds a %s", cli->option[OPT_TYPE],
                        cli->option[OPT_IN], kmip_enum_name(KMIP_TAG_OBJECT_TYPE, out->object_type));
    return CLI_DONE;
}

static bool fill_object(struct arena *a, struct kmip_object *object, const struct key_pem *pem)
{
    struct bytes der = arena_copy(a, buf_view(&pem->der));
    if (!der.data)
        return false;
    if (object->type == KMIP_OBJECT_CERTIFICATE) {
        object->certificate = KMIP_NEW(a, certificate);
        if (!object->certificate)
            return false;
        object->certificate->type = KMIP_CERTIFICATE_X_509;
        object->certificate->value = der;
        return true;
    }
    struct kmip_key_block *block = KMIP_NEW(a, key_block);
    struct kmip_key_value *value = ARENA_NEW(a, struct kmip_key_value);
    /* Private and public key are a key block each, and nothing else (KMIP 2.1, 2.5 and 2.6). */
    struct kmip_private_key *key = KMIP_NEW(a, private_key);
    if (!block || !value || !key)
        return false;
    value->material = der;
    block->key_format_type = pem->key_format;
    block->key_value = value;
    key->key_block = block;
    if (object->type == KMIP_OBJECT_PRIVATE_KEY) {
        object->private_key = key;
        return true;
    }
    object->public_key = KMIP_NEW(a, public_key);
    if (object->public_key)
        object->public_key->key_block = block;
    return object->public_key;
}

static uint32_t usual_usage(uint32_t type)
{
    return type == KMIP_OBJECT_PRIVATE_KEY ? KMIP_USAGE_SIGN : KMIP_USAGE_VERIFY;
}

static enum cli_exit add_request(struct kmip_call *call, const struct key_pem *pem)
{
    struct cli *cli = call->cli;
    uint32_t algorithm = 0, usage = usual_usage(pem->object_type);
    long length = 0;
    enum cli_exit code = read_options(cli, &algorithm, &length, &usage);
    if (code != CLI_DONE)
        return code;
    struct kmip_register_request *request = kmip_call_add(call, KMIP_OP_REGISTER);
    struct kmip_object *object = ARENA_NEW(&call->arena, struct kmip_object);
    if (!request || !object)
        return key_out_of_memory(cli);
    request->object_type = object->type = pem->object_type;
    request->object = object;
    struct kmip_attributes *list = &request->attributes;
    rc_t rc = fill_object(&call->arena, object, pem) ? key_add_common(call, list) : RC_NO_MEMORY;
    if (rc == RC_OK && algorithm)
        rc = kmip_attributes_add_enum(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, algorithm);
    if (rc == RC_OK && length)
        rc = kmip_attributes_add_integer(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, (int32_t)length);
    if (rc == RC_OK)
        rc = kmip_attributes_add_integer(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, (int32_t)usage);
    return rc == RC_OK ? CLI_DONE : key_out_of_memory(cli);
}

enum cli_exit pair_build_register(struct kmip_call *call, struct bytes input)
{
    uint32_t type = 0;
    struct key_pem pem;
    enum cli_exit code = key_enum_option(call->cli, OPT_TYPE, "type", KMIP_TAG_OBJECT_TYPE, &type);
    if (code != CLI_DONE)
        return code;
    code = read_input(call->cli, input, type, &pem);
    if (code == CLI_DONE)
        code = add_request(call, &pem);
    buf_free(&pem.der);
    return code;
}

/* ---- get ---- */

enum cli_exit pair_pem_format(struct cli *cli, uint32_t *format)
{
    AUTO_KMIP_CALL call = {0};
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code != CLI_DONE)
        return code;
    struct kmip_get_attributes_request *request = kmip_call_add(&call, KMIP_OP_GET_ATTRIBUTES);
    struct kmip_attr_ref *ref = ARENA_NEW(&call.arena, struct kmip_attr_ref);
    if (!request || !ref)
        return key_out_of_memory(cli);
    *ref = (struct kmip_attr_ref){.tag = KMIP_TAG_OBJECT_TYPE, .index = -1};
    request->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    request->attributes.items = ref;
    request->attributes.count = 1;
    code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_get_attributes_response *got =
        KMIP_PAYLOAD(&call.response->items[0], get_attributes_response);
    const struct kmip_attribute *type = kmip_attributes_find(&got->attributes, KMIP_TAG_OBJECT_TYPE, 0);
    *format = type ? key_pem_format(type->value->enumeration) : 0;
    return CLI_DONE;
}

enum cli_exit pair_print_pem(struct cli *cli, const struct kmip_get_response *got, struct buf *out)
{
    const struct kmip_key_block *block = kmip_object_key_block(got->object);
    struct bytes der = BYTES_NONE;
    if (got->object->type == KMIP_OBJECT_CERTIFICATE)
        der = got->object->certificate->value;
    else if (block && block->key_value)
        der = block->key_value->material;
    rc_t rc = key_pem_write(got->object_type, block ? block->key_format_type : KMIP_FORMAT_X_509, der, out);
    if (rc == RC_OK)
        return CLI_DONE;
    return cli_fail(cli, CLI_USAGE, "Leave --pem out.", "there is no PEM form of a %s",
                    kmip_enum_name(KMIP_TAG_OBJECT_TYPE, got->object_type));
}
