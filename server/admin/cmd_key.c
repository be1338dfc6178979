/*
 * `holdfast key`: the KMIP client commands. Each builds one request from the options and prints the answer.
 * Key bytes go to the file of --out, or to standard output only where --stdout asks for it.
 */
#include "config.h"

#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "proto/base/wipe.h"
#include "proto/kmip/attr_json.h"
#include "server/admin/cmd_key.h"

enum { REGISTER_MAX = 1 << 20, USAGE_DEFAULT = KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT };

/* ---- options to KMIP values ---- */

enum cli_exit key_out_of_memory(struct cli *cli)
{
    return cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
}

enum cli_exit key_enum_option(struct cli *cli, enum cli_option option, const char *word, uint32_t tag,
                              uint32_t *value)
{
    const char *text = cli->option[option];
    if (!text || kmip_enum_by_name(tag, bytes_str(text), value))
        return CLI_DONE;
    char known[600] = "";
    size_t count, at = 0;
    const struct kmip_entry *entries = kmip_enum_values(tag, &count);
    for (size_t i = 0; i < count && at < sizeof known - 40; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", entries[i].name);
    return cli_fail(cli, CLI_USAGE, known, "--%s %s: KMIP has no such value; these it has:", word, text);
}

enum cli_exit key_usage_option(struct cli *cli, uint32_t *mask)
{
    const char *text = cli->option[OPT_USAGE];
    if (!text)
        return CLI_DONE;
    size_t count;
    const struct kmip_entry *bits = kmip_mask_bits(KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, &count);
    *mask = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        uint32_t bit = 0;
        for (size_t i = 0; i < count; i++)
            if (bytes_is(bytes_of(text, len), bits[i].name))
                bit = bits[i].value;
        if (!bit)
            return cli_fail(cli, CLI_USAGE,
                            "For instance Encrypt,Decrypt or WrapKey,UnwrapKey or MACGenerate,MACVerify.",
                            "--usage: KMIP has no use named %.*s", (int)len, text);
        *mask |= bit;
        text += len + (text[len] == ',');
    }
    return CLI_DONE;
}

rc_t key_add_common(struct kmip_call *call, struct kmip_attributes *list)
{
    struct cli *cli = call->cli;
    list->present = true;
    if (cli_given(cli, OPT_NAME))
        TRY(kmip_attributes_add_name(&call->arena, list, bytes_str(cli->option[OPT_NAME]),
                                     KMIP_NAME_UNINTERPRETED_TEXT_STRING));
    if (cli_given(cli, OPT_GROUP))
        TRY(kmip_attributes_add_text(&call->arena, list, KMIP_TAG_OBJECT_GROUP, bytes_str(cli->option[OPT_GROUP])));
    return RC_OK;
}

static rc_t add_crypto(struct kmip_call *call, struct kmip_attributes *list, uint32_t algorithm, long length,
                       uint32_t usage)
{
    if (algorithm)
        TRY(kmip_attributes_add_enum(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, algorithm));
    if (length)
        TRY(kmip_attributes_add_integer(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, (int32_t)length));
    return kmip_attributes_add_integer(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, (int32_t)usage);
}

/* --activate: a second item that takes its object from the ID placeholder (KMIP 2.1, 5.2). */
static enum cli_exit add_activation(struct kmip_call *call)
{
    if (cli_given(call->cli, OPT_ACTIVATE) && !kmip_call_add(call, KMIP_OP_ACTIVATE))
        return key_out_of_memory(call->cli);
    return CLI_DONE;
}

/* ---- printing ---- */

json_t *key_json_text(struct bytes text)
{
    return json_stringn((const char *)text.data, text.len);
}

/* What Create, Register, Activate, Revoke and Destroy answer: the identifier. */
static enum cli_exit print_done(struct cli *cli, struct bytes id, const char *did)
{
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:o, s:s}", "id", key_json_text(id), "done", did));
    fprintf(cli->out, "%s %.*s\n", did, (int)id.len, (const char *)id.data);
    return CLI_DONE;
}

/* ---- commands ---- */

enum cli_exit cmd_key_create(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    uint32_t algorithm = KMIP_ALGORITHM_AES, usage = USAGE_DEFAULT;
    long length = 256;
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code == CLI_DONE)
        code = key_enum_option(cli, OPT_ALGORITHM, "algorithm", KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, &algorithm);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_LENGTH, 8, 65536, &length);
    if (code == CLI_DONE)
        code = key_usage_option(cli, &usage);
    if (code != CLI_DONE)
        return code;
    struct kmip_create_request *create = kmip_call_add(&call, KMIP_OP_CREATE);
    if (!create)
        return key_out_of_memory(cli);
    create->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    if (key_add_common(&call, &create->attributes) != RC_OK ||
        add_crypto(&call, &create->attributes, algorithm, length, usage) != RC_OK)
        return key_out_of_memory(cli);
    code = add_activation(&call);
    if (code == CLI_DONE)
        code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_create_response *made = KMIP_PAYLOAD(&call.response->items[0], create_response);
    return print_done(cli, made->unique_identifier.text,
                      cli_given(cli, OPT_ACTIVATE) ? "created and activated" : "created");
}

static struct kmip_key_block *new_key_block(struct arena *a, struct bytes material, uint32_t format)
{
    struct kmip_key_block *block = KMIP_NEW(a, key_block);
    struct kmip_key_value *value = ARENA_NEW(a, struct kmip_key_value);
    if (!block || !value)
        return NULL;
    value->material = material;
    block->key_format_type = format;
    block->key_value = value;
    return block;
}

/* The object around the bytes: what KMIP 2.1, 2.2 to 2.6 want of each type. */
static bool fill_object(struct arena *a, struct kmip_object *object, struct bytes material, uint32_t algorithm)
{
    if (object->type == KMIP_OBJECT_OPAQUE_OBJECT) {
        object->opaque_object = KMIP_NEW(a, opaque_object);
        if (object->opaque_object) {
            object->opaque_object->type = 0x80000001; /* the first value left to vendors: no type of KMIP's own */
            object->opaque_object->value = material;
        }
        return object->any;
    }
    struct kmip_key_block *block = new_key_block(a, material, KMIP_FORMAT_RAW);
    if (object->type == KMIP_OBJECT_SECRET_DATA) {
        object->secret_data = KMIP_NEW(a, secret_data);
        if (!block || !object->secret_data)
            return false;
        object->secret_data->type = KMIP_SECRET_PASSWORD;
        object->secret_data->key_block = block;
        return true;
    }
    object->symmetric_key = KMIP_NEW(a, symmetric_key);
    if (!block || !object->symmetric_key)
        return false;
    block->cryptographic_algorithm = algorithm;
    block->cryptographic_length = KMIP_NUMBER((int64_t)material.len * 8);
    object->symmetric_key->key_block = block;
    return true;
}

static enum cli_exit build_register(struct kmip_call *call, struct bytes material)
{
    struct cli *cli = call->cli;
    uint32_t type = KMIP_OBJECT_SYMMETRIC_KEY, algorithm = KMIP_ALGORITHM_AES, usage = USAGE_DEFAULT;
    long length = (long)material.len * 8;
    enum cli_exit code = key_enum_option(cli, OPT_TYPE, "type", KMIP_TAG_OBJECT_TYPE, &type);
    if (code == CLI_DONE)
        code = key_enum_option(cli, OPT_ALGORITHM, "algorithm", KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, &algorithm);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_LENGTH, 8, REGISTER_MAX * 8L, &length);
    if (code == CLI_DONE)
        code = key_usage_option(cli, &usage);
    if (code != CLI_DONE)
        return code;
    if (type != KMIP_OBJECT_SYMMETRIC_KEY && type != KMIP_OBJECT_SECRET_DATA && type != KMIP_OBJECT_OPAQUE_OBJECT)
        return cli_fail(cli, CLI_USAGE, NULL,
                        "--type %s: give SymmetricKey, PrivateKey, PublicKey, Certificate, SecretData or OpaqueObject",
                        cli->option[OPT_TYPE]);
    struct kmip_register_request *request = kmip_call_add(call, KMIP_OP_REGISTER);
    struct kmip_object *object = ARENA_NEW(&call->arena, struct kmip_object);
    if (!request || !object)
        return key_out_of_memory(cli);
    request->object_type = object->type = type;
    request->object = object;
    if (!fill_object(&call->arena, object, material, algorithm) || key_add_common(call, &request->attributes) != RC_OK)
        return key_out_of_memory(cli);
    rc_t rc = RC_OK;
    if (type == KMIP_OBJECT_SYMMETRIC_KEY)
        rc = add_crypto(call, &request->attributes, algorithm, length, usage);
    else if (type == KMIP_OBJECT_SECRET_DATA)
        rc = add_crypto(call, &request->attributes, 0, 0, usage);
    return rc == RC_OK ? CLI_DONE : key_out_of_memory(cli);
}

enum cli_exit cmd_key_register(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    AUTO_BUF material = BUF_EMPTY;
    if (!cli_given(cli, OPT_IN))
        return cli_fail(cli, CLI_USAGE, "--in FILE reads the raw bytes or PEM, --in - from standard input.",
                        "there are no key bytes to register");
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code == CLI_DONE)
        code = cli_read_file(cli, cli->option[OPT_IN], REGISTER_MAX, &material);
    if (code == CLI_DONE && material.len == 0)
        code = cli_fail(cli, CLI_USAGE, NULL, "%s is empty", cli->option[OPT_IN]);
    bool is_pair = false;
    if (code == CLI_DONE)
        code = pair_register_kind(cli, buf_view(&material), &is_pair);
    if (code == CLI_DONE && is_pair)
        code = pair_build_register(&call, buf_view(&material));
    else if (code == CLI_DONE)
        code = build_register(&call, buf_view(&material));
    if (code == CLI_DONE)
        code = add_activation(&call);
    if (code == CLI_DONE)
        code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_created_response *made = KMIP_PAYLOAD(&call.response->items[0], created_response);
    return print_done(cli, made->unique_identifier.text,
                      cli_given(cli, OPT_ACTIVATE) ? "registered and activated" : "registered");
}

/* The bytes of the answered object; empty if it is of a kind that has none in one piece. */
static struct bytes object_material(const struct kmip_object *object, struct kmip_key_block **block)
{
    *block = kmip_object_key_block(object);
    if (*block)
        return (*block)->key_value ? (*block)->key_value->material : BYTES_NONE;
    if (object->type == KMIP_OBJECT_OPAQUE_OBJECT)
        return object->opaque_object->value;
    if (object->type == KMIP_OBJECT_CERTIFICATE)
        return object->certificate->value;
    return BYTES_NONE;
}

/* Hexadecimal, wiped with the buffer. */
static rc_t hex(struct bytes in, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    TRY(buf_reserve(out, in.len * 2 + 1));
    for (size_t i = 0; i < in.len; i++) {
        TRY(buf_add_u8(out, (uint8_t)digits[in.data[i] >> 4]));
        TRY(buf_add_u8(out, (uint8_t)digits[in.data[i] & 15]));
    }
    return RC_OK;
}

static enum cli_exit print_object(struct cli *cli, const struct kmip_get_response *got)
{
    struct kmip_key_block *block;
    struct bytes material = object_material(got->object, &block), id = got->unique_identifier.text;
    AUTO_BUF text = BUF_EMPTY;
    if (cli_given(cli, OPT_STDOUT) && hex(material, &text) != RC_OK)
        return key_out_of_memory(cli);
    const char *type = kmip_enum_name(KMIP_TAG_OBJECT_TYPE, got->object_type);
    const char *algorithm =
        block && block->cryptographic_algorithm
            ? kmip_enum_name(KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, block->cryptographic_algorithm)
            : NULL;
    long long length = block && block->cryptographic_length.set ? (long long)block->cryptographic_length.value
                                                                : (long long)material.len * 8;
    const char *file = cli_value(cli, OPT_OUT, NULL);
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:o, s:s, s:s?, s:I, s:s*, s:o*}", "id", key_json_text(id), "type", type,
                                             "algorithm", algorithm, "length", (json_int_t)length, "file", file,
                                             "material", text.len ? key_json_text(buf_view(&text)) : NULL));
    /* Bytes asked for on standard output stand there alone, for a pipe. */
    if (text.len) {
        fprintf(cli->out, "%.*s\n", (int)text.len, (const char *)text.data);
        return CLI_DONE;
    }
    fprintf(cli->out, "%s %.*s: %s%s%lld bits\n", type, (int)id.len, (const char *)id.data, algorithm ? algorithm : "",
            algorithm ? ", " : "", length);
    if (file)
        fprintf(cli->out, "Wrote %zu bytes to %s.\n", material.len, file);
    return CLI_DONE;
}

/* PEM asked for on standard output stands there alone, for a pipe. */
static bool is_pem_alone(const struct cli *cli)
{
    return cli_given(cli, OPT_PEM) && cli_given(cli, OPT_STDOUT) && !cli_given(cli, OPT_OUT) &&
           !cli_given(cli, OPT_JSON);
}

/* The bytes as they came, or as PEM, to the file of --out. */
static enum cli_exit write_object(struct cli *cli, const struct kmip_get_response *got, struct bytes material)
{
    AUTO_BUF pem = BUF_EMPTY;
    enum cli_exit code = CLI_DONE;
    if (cli_given(cli, OPT_PEM)) {
        code = pair_print_pem(cli, got, &pem);
        material = buf_view(&pem);
    }
    if (code == CLI_DONE && cli_given(cli, OPT_OUT))
        code = cli_write_file(cli, cli->option[OPT_OUT], material, 0600);
    else if (code == CLI_DONE && is_pem_alone(cli))
        fprintf(cli->out, "%.*s", (int)material.len, (const char *)material.data);
    return code;
}

enum cli_exit cmd_key_get(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    uint32_t format = 0;
    enum cli_exit code = key_enum_option(cli, OPT_FORMAT, "format", KMIP_TAG_KEY_FORMAT_TYPE, &format);
    if (code == CLI_DONE && cli_given(cli, OPT_PEM) && !format)
        code = pair_pem_format(cli, &format);
    if (code == CLI_DONE)
        code = kmip_call_begin(cli, &call);
    if (code != CLI_DONE)
        return code;
    struct kmip_get_request *request = kmip_call_add(&call, KMIP_OP_GET);
    if (!request)
        return key_out_of_memory(cli);
    request->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    request->key_format_type = format;
    code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_get_response *got = KMIP_PAYLOAD(&call.response->items[0], get_response);
    struct kmip_key_block *block;
    struct bytes material = object_material(got->object, &block);
    if (!material.data)
        return cli_fail(cli, CLI_USAGE, "Ask for another one: --pem, or --format PKCS_8 or X_509.",
                        "the server gave the key as a structure, which this command cannot write");
    code = write_object(cli, got, material);
    return code == CLI_DONE && !is_pem_alone(cli) ? print_object(cli, got) : code;
}

static enum cli_exit build_locate(struct kmip_call *call)
{
    struct cli *cli = call->cli;
    uint32_t type = 0, algorithm = 0, state = 0;
    long length = 0, max = 0, offset = 0;
    enum cli_exit code = key_enum_option(cli, OPT_TYPE, "type", KMIP_TAG_OBJECT_TYPE, &type);
    if (code == CLI_DONE)
        code = key_enum_option(cli, OPT_ALGORITHM, "algorithm", KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, &algorithm);
    if (code == CLI_DONE)
        code = key_enum_option(cli, OPT_STATE, "state", KMIP_TAG_STATE, &state);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_LENGTH, 1, INT32_MAX, &length);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_MAX, 1, INT32_MAX, &max);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_OFFSET, 0, INT32_MAX, &offset);
    if (code != CLI_DONE)
        return code;
    if (offset && call->version < V1_3)
        return cli_fail(cli, CLI_USAGE, NULL, "--offset needs KMIP 1.3 or later");
    struct kmip_locate_request *request = kmip_call_add(call, KMIP_OP_LOCATE);
    if (!request || key_add_common(call, &request->attributes) != RC_OK)
        return key_out_of_memory(cli);
    struct kmip_attributes *list = &request->attributes;
    rc_t rc = RC_OK;
    if (type)
        rc = kmip_attributes_add_enum(&call->arena, list, KMIP_TAG_OBJECT_TYPE, type);
    if (rc == RC_OK && algorithm)
        rc = kmip_attributes_add_enum(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, algorithm);
    if (rc == RC_OK && length)
        rc = kmip_attributes_add_integer(&call->arena, list, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, (int32_t)length);
    if (rc == RC_OK && state)
        rc = kmip_attributes_add_enum(&call->arena, list, KMIP_TAG_STATE, state);
    if (max)
        request->maximum_items = KMIP_NUMBER(max);
    if (offset)
        request->offset_items = KMIP_NUMBER(offset);
    return rc == RC_OK ? CLI_DONE : key_out_of_memory(cli);
}

enum cli_exit cmd_key_locate(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code == CLI_DONE)
        code = build_locate(&call);
    if (code == CLI_DONE)
        code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_locate_response *found = KMIP_PAYLOAD(&call.response->items[0], locate_response);
    const struct kmip_uids *ids = &found->unique_identifiers;
    if (!cli_given(cli, OPT_JSON)) {
        for (size_t i = 0; i < ids->count; i++)
            fprintf(cli->out, "%.*s\n", (int)ids->items[i].text.len, (const char *)ids->items[i].text.data);
        return CLI_DONE;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < ids->count; i++)
        json_array_append_new(list, key_json_text(ids->items[i].text));
    json_t *total = found->located_items.set ? json_integer(found->located_items.value) : NULL;
    return cli_print_json(cli, json_pack("{s:o, s:o*}", "ids", list, "located_items", total));
}

/* Activate and Destroy: the identifier goes in and comes back. */
static enum cli_exit simple(struct cli *cli, uint32_t operation, const char *did)
{
    AUTO_KMIP_CALL call = {0};
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code != CLI_DONE)
        return code;
    struct kmip_object_request *request = kmip_call_add(&call, operation);
    if (!request)
        return key_out_of_memory(cli);
    request->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    code = kmip_call_send(&call);
    return code == CLI_DONE ? print_done(cli, bytes_str(cli->arguments[0]), did) : code;
}

enum cli_exit cmd_key_activate(struct cli *cli)
{
    return simple(cli, KMIP_OP_ACTIVATE, "activated");
}

enum cli_exit cmd_key_destroy(struct cli *cli)
{
    return simple(cli, KMIP_OP_DESTROY, "destroyed");
}

enum cli_exit cmd_key_revoke(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    uint32_t reason = KMIP_REVOKED_CESSATION_OF_OPERATION;
    long occurred = (long)time(NULL);
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code == CLI_DONE)
        code = key_enum_option(cli, OPT_REASON, "reason", KMIP_TAG_REVOCATION_REASON_CODE, &reason);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_OCCURRED, 0, INT32_MAX * 100L, &occurred);
    if (code != CLI_DONE)
        return code;
    struct kmip_revoke_request *request = kmip_call_add(&call, KMIP_OP_REVOKE);
    struct kmip_revocation_reason *why = KMIP_NEW(&call.arena, revocation_reason);
    if (!request || !why)
        return key_out_of_memory(cli);
    request->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    request->revocation_reason = why;
    why->code = reason;
    why->message = bytes_str(cli->option[OPT_MESSAGE]);
    if (reason == KMIP_REVOKED_KEY_COMPROMISE || reason == KMIP_REVOKED_CA_COMPROMISE)
        request->compromise_occurrence_date = KMIP_NUMBER(occurred);
    code = kmip_call_send(&call);
    return code == CLI_DONE ? print_done(cli, bytes_str(cli->arguments[0]), "revoked") : code;
}

/* ---- attributes ---- */

static enum cli_exit print_attributes(struct cli *cli, struct kmip_call *call, const struct kmip_attributes *list,
                                      struct bytes id)
{
    AUTO_BUF text = BUF_EMPTY;
    if (cli_given(cli, OPT_JSON)) {
        rc_t rc = attr_json_write(list, &text);
        json_t *object = rc == RC_OK ? json_loadb((const char *)text.data, text.len, 0, NULL) : NULL;
        if (!object)
            return cli_fail(cli, CLI_INTERNAL, NULL, "the attributes cannot be printed: %s", rc_text(rc));
        return cli_print_json(cli, json_pack("{s:o, s:o}", "id", key_json_text(id), "attributes", object));
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct kmip_attribute *a = &list->items[i];
        struct bytes name = kmip_attr_name_1x(&call->arena, a->tag, a->vendor, a->name);
        buf_clear(&text);
        rc_t rc = attr_json_value(a->value, &text);
        if (rc != RC_OK)
            return cli_fail(cli, CLI_INTERNAL, NULL, "the attribute %.*s cannot be printed: %s", (int)name.len,
                            (const char *)name.data, rc_text(rc));
        fprintf(cli->out, "%.*s: %.*s\n", (int)name.len, (const char *)name.data, (int)text.len,
                (const char *)text.data);
    }
    return CLI_DONE;
}

enum cli_exit cmd_key_attributes(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    enum cli_exit code = kmip_call_begin(cli, &call);
    if (code != CLI_DONE)
        return code;
    struct kmip_get_attributes_request *request = kmip_call_add(&call, KMIP_OP_GET_ATTRIBUTES);
    if (!request)
        return key_out_of_memory(cli);
    request->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    code = kmip_call_send(&call);
    if (code != CLI_DONE)
        return code;
    const struct kmip_get_attributes_response *got = KMIP_PAYLOAD(&call.response->items[0], get_attributes_response);
    return print_attributes(cli, &call, &got->attributes, got->unique_identifier.text);
}
