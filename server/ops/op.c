/* The table of operations and what they share; see op.h. */
#include "server/ops/op.h"

/* clang-format off */
static const struct op ops[] = {
    {KMIP_OP_CREATE, "Create", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_CREATE,
     create_prepare, create_perform, create_complete},
    {KMIP_OP_CREATE_KEY_PAIR, "Create Key Pair", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_CREATE_KEY_PAIR,
     create_pair_prepare, create_pair_perform, create_pair_complete},
    {KMIP_OP_REGISTER, "Register", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_REGISTER,
     register_prepare, register_perform, register_complete},
    {KMIP_OP_LOCATE, "Locate", V1_0, V2_1, 0, PERMIT_LOCATE,
     locate_prepare, locate_perform, NULL},
    {KMIP_OP_CHECK, "Check", V1_0, V2_1, 0, PERMIT_CHECK,
     check_prepare, check_perform, NULL},
    {KMIP_OP_GET, "Get", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_GET,
     get_prepare, get_perform, get_complete},
    {KMIP_OP_GET_ATTRIBUTES, "Get Attributes", V1_0, V2_1, 0, PERMIT_GET_ATTRIBUTES,
     get_attributes_prepare, get_attributes_perform, NULL},
    {KMIP_OP_GET_ATTRIBUTE_LIST, "Get Attribute List", V1_0, V2_1, 0, PERMIT_GET_ATTRIBUTE_LIST,
     get_attribute_list_prepare, get_attribute_list_perform, NULL},
    {KMIP_OP_ADD_ATTRIBUTE, "Add Attribute", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_ADD_ATTRIBUTE,
     add_attribute_prepare, add_attribute_perform, attribute_complete},
    {KMIP_OP_MODIFY_ATTRIBUTE, "Modify Attribute", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_MODIFY_ATTRIBUTE,
     modify_attribute_prepare, modify_attribute_perform, attribute_complete},
    {KMIP_OP_DELETE_ATTRIBUTE, "Delete Attribute", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_DELETE_ATTRIBUTE,
     delete_attribute_prepare, delete_attribute_perform, attribute_complete},
    {KMIP_OP_SET_ATTRIBUTE, "Set Attribute", V2_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_SET_ATTRIBUTE,
     set_attribute_prepare, set_attribute_perform, set_attribute_complete},
    {KMIP_OP_ACTIVATE, "Activate", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_ACTIVATE,
     activate_prepare, activate_perform, lifecycle_complete},
    {KMIP_OP_REVOKE, "Revoke", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_REVOKE,
     revoke_prepare, revoke_perform, lifecycle_complete},
    {KMIP_OP_DESTROY, "Destroy", V1_0, V2_1, OP_WRITES | OP_VAULT, PERMIT_DESTROY,
     destroy_prepare, destroy_perform, lifecycle_complete},
    {KMIP_OP_QUERY, "Query", V1_0, V2_1, 0, PERMIT_QUERY,
     NULL, query_perform, NULL},
    {KMIP_OP_DISCOVER_VERSIONS, "Discover Versions", V1_1, V2_1, 0, PERMIT_QUERY,
     NULL, discover_perform, NULL},
    {KMIP_OP_ENCRYPT, "Encrypt", V1_2, V2_1, OP_WRITES | OP_VAULT, PERMIT_ENCRYPT,
     encrypt_prepare, cipher_perform, encrypt_complete},
    {KMIP_OP_DECRYPT, "Decrypt", V1_2, V2_1, OP_VAULT, PERMIT_DECRYPT,
     decrypt_prepare, cipher_perform, decrypt_complete},
    {KMIP_OP_LOG, "Log", V2_0, V2_1, 0, PERMIT_LOG,
     NULL, log_perform, NULL},
    {KMIP_OP_INTEROP, "Interop", V2_0, V2_1, OP_TEST, PERMIT_INTEROP,
     NULL, interop_perform, NULL},
};
/* clang-format on */

const struct op *op_table(size_t *count)
{
    *count = sizeof ops / sizeof ops[0];
    return ops;
}

bool op_offered(const struct op *op, uint16_t version, const struct op_server *server)
{
    return op->since <= version && version <= op->until && (!(op->flags & OP_TEST) || server->interop);
}

const struct op *op_find(uint32_t code, uint16_t version)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].code == code && ops[i].since <= version && version <= ops[i].until)
            return &ops[i];
    return NULL;
}

/* ---- identifiers ---------------------------------------------------------------------------- */

static struct uid by_enumeration(const struct op_ids *ids, uint32_t which)
{
    switch (which) {
    case KMIP_UID_ID_PLACEHOLDER:
        return ids->placeholder;
    case KMIP_UID_CREATE:
        return ids->created;
    case KMIP_UID_REGISTER:
        return ids->registered;
    /* Create Key Pair alone would mean both of them, and the operation done for each. */
    case KMIP_UID_CREATE_KEY_PAIR_PRIVATE_KEY:
        return ids->pair_private;
    case KMIP_UID_CREATE_KEY_PAIR_PUBLIC_KEY:
        return ids->pair_public;
    case KMIP_UID_LOCATE:
        return ids->located;
    default:
        return (struct uid){{0}};
    }
}

/* From the first identifier of the response on, or backwards from the last one before this item. */
static struct uid by_index(const struct op_ids *ids, int32_t index)
{
    int64_t at = index >= 0 ? index : (int64_t)ids->count + index;
    if (at < 0 || at >= (int64_t)ids->count)
        return (struct uid){{0}};
    return ids->all[at];
}

struct uid op_uid_meant(const struct op_ids *ids, const struct kmip_uid *id)
{
    struct uid uid = {{0}};
    switch (id->type) {
    case 0:
        return ids->placeholder;
    case TTLV_TEXT_STRING:
        if (uid_parse(id->text, &uid) != RC_OK)
            return (struct uid){{0}};
        return uid;
    case TTLV_ENUMERATION:
        return by_enumeration(ids, id->enumeration);
    case TTLV_INTEGER:
        return by_index(ids, id->integer);
    default:
        return uid;
    }
}

void op_want_object(struct op_item *it, const struct kmip_uid *id, unsigned db_want)
{
    it->want = WANT_OBJECT;
    it->uid = op_uid_meant(it->ids, id);
    it->subject = it->uid;
    it->db_want = db_want;
}

struct kmip_uid op_uid_out(struct arena *a, const struct uid *uid)
{
    char text[UID_TEXT_SIZE];
    uid_print(uid, text);
    return KMIP_UID_TEXT(arena_copy(a, bytes_str(text)));
}

/* ---- answers and changes -------------------------------------------------------------------- */

void *op_respond(struct op_item *it)
{
    it->response = kmip_payload_new(it->arena, it->operation, true);
    return it->response;
}

rc_t op_respond_uid(struct op_item *it, const struct uid *uid)
{
    struct kmip_object_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->unique_identifier = op_uid_out(it->arena, uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}

int64_t op_time(const struct op_item *it)
{
    return control_time(&it->object->control, it->now);
}

struct object *op_change(struct op_item *it, enum db_change_kind kind)
{
    struct object *o = ARENA_NEW(it->arena, struct object);
    if (!o)
        return NULL;
    *o = *it->object;
    o->control.version++;
    o->last_change_date = op_time(it);
    it->changes[0] = (struct op_change){.object = o, .kind = kind};
    it->change_count = 1;
    return o;
}

void op_insert(struct op_item *it, struct object *o)
{
    it->changes[it->change_count++] = (struct op_change){.object = o, .kind = DB_INSERT};
}

void op_ask_transition(struct op_item *it)
{
    struct vault_call *call = &it->calls[it->call_count++];
    *call = (struct vault_call){.op = VAULT_TRANSITION,
                                .domain = it->object->control.domain,
                                .control = it->object->control,
                                .next = it->changes[0].object->control};
    memcpy(call->mac, it->object->control_mac, sizeof call->mac);
}

void op_take_signature(struct op_item *it, size_t change, size_t reply)
{
    struct object *o = it->changes[change].object;
    memcpy(o->control_mac, it->replies[reply].mac, sizeof o->control_mac);
}
