/*
 * `holdfast key ...-attribute`: one attribute of an object added, changed, set or deleted. The value is
 * written as 'holdfast key attributes --json' prints it; a plain word or text needs no quotes.
 */
#include "config.h"

#include <jansson.h>

#include "proto/kmip/attr_json.h"
#include "server/admin/kmip_call.h"

static enum cli_exit out_of_memory(struct cli *cli)
{
    return cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
}

/* "Object Group", "ObjectGroup" or "x-name" to what it means. */
static enum cli_exit read_name(struct kmip_call *call, struct kmip_attr_ref *ref)
{
    struct cli *cli = call->cli;
    struct bytes text = bytes_str(cli->arguments[1]);
    *ref = (struct kmip_attr_ref){.index = -1};
    if (text.len > 2 && (text.data[0] == 'x' || text.data[0] == 'y') && text.data[1] == '-') {
        ref->tag = KMIP_TAG_ATTRIBUTE;
        ref->vendor = bytes_of(text.data, 1);
        ref->name = bytes_of(text.data + 2, text.len - 2);
        return CLI_DONE;
    }
    ref->tag = kmip_attr_by_text(text, call->version);
    if (!ref->tag)
        ref->tag = kmip_tag_by_name(text);
    if (ref->tag && kmip_attr_info(ref->tag) && kmip_attr_known(ref->tag, call->version))
        return CLI_DONE;
    return cli_fail(cli, CLI_USAGE, "'holdfast key attributes ID' prints the names; your own begin with x-.",
                    "%s: KMIP %d.%d has no such attribute", cli->arguments[1], call->version >> 8,
                    call->version & 0xFF);
}

/* What all four begin with: an empty request, the attribute meant, and where an option tells it the instance. */
static enum cli_exit begin(struct cli *cli, struct kmip_call *call, struct kmip_attr_ref *ref)
{
    long index = -1;
    enum cli_exit code = kmip_call_begin(cli, call);
    if (code == CLI_DONE)
        code = read_name(call, ref);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_INDEX, 0, INT32_MAX, &index);
    if (code == CLI_DONE && index >= 0 && call->version >= V2_0)
        code = cli_fail(cli, CLI_USAGE, "Give --protocol 1.4 as well.", "--index is of KMIP 1.x");
    if (code == CLI_DONE)
        ref->index = (int32_t)index;
    return code;
}

/* The value as the JSON of attr_json.h: what is no JSON of its own is text. */
static json_t *value_json(const struct kmip_attr_ref *ref, const char *text)
{
    const struct kmip_attr_info *info = kmip_attr_info(ref->tag);
    bool is_text = info && info->type == TTLV_TEXT_STRING;
    json_t *value = is_text ? NULL : json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        value = json_string(text);
    if (!info && !json_is_object(value)) {
        json_decref(value);
        return json_pack("{s:s, s:s}", "type", "TextString", "value", text);
    }
    if (ref->tag == KMIP_TAG_NAME && !json_is_object(value)) {
        json_decref(value);
        return json_pack("{s:s, s:s}", "NameValue", text, "NameType", "UninterpretedTextString");
    }
    return value;
}

/* The attribute of the command line, read by the same reader as the database's. */
static enum cli_exit read_attribute(struct kmip_call *call, const struct kmip_attr_ref *ref,
                                    struct kmip_attributes *out)
{
    struct cli *cli = call->cli;
    const struct kmip_attr_info *info = kmip_attr_info(ref->tag);
    bool many = !info || (info->flags & ATTR_MULTI);
    const char *member = info ? kmip_tag_name(ref->tag) : cli->arguments[1];
    json_t *value = value_json(ref, cli->arguments[2]);
    json_t *object = many ? json_pack("{s:[o]}", member, value) : json_pack("{s:o}", member, value);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return out_of_memory(cli);
    struct kmip_attributes list;
    rc_t rc = attr_json_read(&call->arena, bytes_str(text), &list);
    free(text);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_USAGE, "Write it as 'holdfast key attributes ID --json' prints it.",
                        "%s is not a value of %s", cli->arguments[2], cli->arguments[1]);
    struct kmip_attribute at = list.items[0];
    at.index = ref->index;
    return kmip_attributes_add_item(&call->arena, out, &at) == RC_OK ? CLI_DONE : out_of_memory(cli);
}

static enum cli_exit send_change(struct kmip_call *call, const char *did)
{
    struct cli *cli = call->cli;
    enum cli_exit code = kmip_call_send(call);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s, s:s, s:s}", "id", cli->arguments[0], "attribute", cli->arguments[1],
                                             "done", did));
    fprintf(cli->out, "%s %s of %s\n", did, cli->arguments[1], cli->arguments[0]);
    return CLI_DONE;
}

enum cli_exit cmd_key_add_attribute(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    struct kmip_attr_ref ref;
    enum cli_exit code = begin(cli, &call, &ref);
    if (code != CLI_DONE)
        return code;
    struct kmip_add_attribute_request *in = kmip_call_add(&call, KMIP_OP_ADD_ATTRIBUTE);
    if (!in)
        return out_of_memory(cli);
    in->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    code = read_attribute(&call, &ref, &in->attribute);
    return code == CLI_DONE ? send_change(&call, "added") : code;
}

enum cli_exit cmd_key_modify_attribute(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    struct kmip_attr_ref ref;
    enum cli_exit code = begin(cli, &call, &ref);
    if (code != CLI_DONE)
        return code;
    struct kmip_modify_attribute_request *in = kmip_call_add(&call, KMIP_OP_MODIFY_ATTRIBUTE);
    if (!in)
        return out_of_memory(cli);
    in->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    code = read_attribute(&call, &ref, &in->attribute);
    return code == CLI_DONE ? send_change(&call, "modified") : code;
}

enum cli_exit cmd_key_set_attribute(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    struct kmip_attr_ref ref;
    enum cli_exit code = begin(cli, &call, &ref);
    if (code != CLI_DONE)
        return code;
    if (call.version < V2_0)
        return cli_fail(cli, CLI_USAGE, "Use add-attribute or modify-attribute.",
                        "Set Attribute needs KMIP 2.0 or later");
    struct kmip_set_attribute_request *in = kmip_call_add(&call, KMIP_OP_SET_ATTRIBUTE);
    if (!in)
        return out_of_memory(cli);
    in->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    code = read_attribute(&call, &ref, &in->attribute);
    return code == CLI_DONE ? send_change(&call, "set") : code;
}

enum cli_exit cmd_key_delete_attribute(struct cli *cli)
{
    AUTO_KMIP_CALL call = {0};
    struct kmip_attr_ref ref;
    enum cli_exit code = begin(cli, &call, &ref);
    if (code != CLI_DONE)
        return code;
    struct kmip_delete_attribute_request *in = kmip_call_add(&call, KMIP_OP_DELETE_ATTRIBUTE);
    if (!in)
        return out_of_memory(cli);
    in->unique_identifier = KMIP_UID_TEXT(bytes_str(cli->arguments[0]));
    in->attribute.items = &ref; /* lives until it is sent */
    in->attribute.count = 1;
    return send_change(&call, "deleted");
}
