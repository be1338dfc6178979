/*
 * Add, Modify, Delete and Set Attribute: one attribute of an object changes, within the rules of
 * edit.c; the vault signs the new record. Answers of 1.x carry the attribute with its index, those of
 * 2.x the identifier alone. KMIP 1.4, 4.14 to 4.16; KMIP 2.1, 6.1.2, 6.1.13, 6.1.34, 6.1.51.
 */
#include "server/ops/edit.h"
#include "server/ops/op.h"

static void want(struct op_item *it, const struct kmip_uid *id)
{
    op_want_object(it, id, DB_WANT_NAMES | DB_WANT_ATTRIBUTES);
}

/* ---- what all four share -------------------------------------------------------------------- */

static rc_t begin(struct op_item *it, struct edit *e)
{
    struct object *o = op_change(it, DB_UPDATE);
    if (!o)
        return RC_NO_MEMORY;
    *e = (struct edit){.arena = it->arena,
                       .version = it->version,
                       .now = it->now,
                       .limits = &it->limits->attrs};
    return edit_begin(e, it->object, o);
}

/* Keeps the instance for the answer of 1.x, and asks for the signature. */
static rc_t end(struct op_item *it, struct edit *e, const struct kmip_attribute *changed)
{
    TRY(edit_end(e));
    it->changes[0].names = e->names;
    struct kmip_attribute *kept = ARENA_NEW(it->arena, struct kmip_attribute);
    if (!kept)
        return RC_NO_MEMORY;
    *kept = *changed;
    if (kept->index == 0)
        kept->index = -1; /* understood (KMIP 1.4, 4.14) */
    it->own = kept;
    op_ask_transition(it);
    return RC_OK;
}

rc_t attribute_complete(struct op_item *it)
{
    op_take_signature(it, 0, 0);
    struct kmip_attribute_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    TRY(kmip_attributes_add_item(it->arena, &out->attribute, it->own));
    out->unique_identifier = op_uid_out(it->arena, &it->object->control.uid);
    return out->unique_identifier.text.data ? RC_OK : RC_NO_MEMORY;
}

rc_t set_attribute_complete(struct op_item *it)
{
    op_take_signature(it, 0, 0);
    return op_respond_uid(it, &it->object->control.uid);
}

/* The one attribute of a request. */
static rc_t only(const struct kmip_attributes *list, const struct kmip_attribute **out)
{
    if (list->count != 1)
        return RC_INVALID_FIELD;
    *out = &list->items[0];
    return RC_OK;
}

/* The instance that Current Attribute names by its value, if the request has one. It must be of the
 * attribute that changes. */
static rc_t by_value(const struct kmip_attributes *current, struct edit_target *target)
{
    if (!current->present)
        return RC_OK;
    const struct kmip_attribute *at;
    TRY(only(current, &at));
    if (target->ref.tag && (target->ref.tag != at->tag ||
                            !bytes_equal(target->ref.vendor, at->vendor) ||
                            !bytes_equal(target->ref.name, at->name)))
        return RC_INVALID_FIELD;
    target->ref = (struct kmip_attr_ref){at->tag, -1, at->vendor, at->name};
    target->current = at->value;
    return RC_OK;
}

/* ---- Add ------------------------------------------------------------------------------------ */

rc_t add_attribute_prepare(struct op_item *it)
{
    const struct kmip_add_attribute_request *in = it->request;
    want(it, &in->unique_identifier);
    return RC_OK;
}

rc_t add_attribute_perform(struct op_item *it)
{
    const struct kmip_add_attribute_request *in = it->request;
    const struct kmip_attribute *at;
    struct kmip_attribute added;
    struct edit e;
    TRY(only(&in->attribute, &at));
    if (at->index >= 0)
        return RC_INVALID_FIELD; /* the server's to give (KMIP 1.4, 11.15) */
    TRY(begin(it, &e));
    TRY(edit_add(&e, at, &added));
    return end(it, &e, &added);
}

/* ---- Modify --------------------------------------------------------------------------------- */

rc_t modify_attribute_prepare(struct op_item *it)
{
    const struct kmip_modify_attribute_request *in = it->request;
    want(it, &in->unique_identifier);
    return RC_OK;
}

rc_t modify_attribute_perform(struct op_item *it)
{
    const struct kmip_modify_attribute_request *in = it->request;
    const struct kmip_attribute *at;
    struct kmip_attribute changed;
    struct edit e;
    TRY(only(&in->attribute, &at));
    struct edit_target target = {.ref = {at->tag, at->index, at->vendor, at->name}};
    TRY(by_value(&in->current, &target));
    TRY(begin(it, &e));
    /* Which of several is not told by 2.x without Current Attribute (KMIP 2.1, 6.1.34). */
    if (it->version >= V2_0 && !target.current && edit_count(&e, &target.ref) > 1)
        return RC_ATTR_INSTANCE;
    if (it->version >= V2_0 && !target.current)
        edit_nth(&e, &target, 0);
    TRY(edit_modify(&e, &target, at, &changed));
    return end(it, &e, &changed);
}

/* ---- Delete --------------------------------------------------------------------------------- */

rc_t delete_attribute_prepare(struct op_item *it)
{
    const struct kmip_delete_attribute_request *in = it->request;
    if (!in->current.present && in->attribute.count != 1)
        return RC_INVALID_FIELD;
    want(it, &in->unique_identifier);
    return RC_OK;
}

/* 2.x names no instance: all of them go (KMIP 2.1, 6.1.13). */
static rc_t delete_all(struct edit *e, struct edit_target *target, struct kmip_attribute *last)
{
    size_t count = edit_count(e, &target->ref), i = 0;
    do {
        edit_nth(e, target, i);
        TRY(edit_delete(e, target, last));
    } while (++i < count);
    return RC_OK;
}

rc_t delete_attribute_perform(struct op_item *it)
{
    const struct kmip_delete_attribute_request *in = it->request;
    struct edit_target target = {.ref = {0, -1, BYTES_NONE, BYTES_NONE}};
    struct kmip_attribute gone;
    struct edit e;
    if (in->attribute.count)
        target.ref = in->attribute.items[0];
    TRY(by_value(&in->current, &target));
    TRY(begin(it, &e));
    if (it->version >= V2_0 && !target.current)
        TRY(delete_all(&e, &target, &gone));
    else
        TRY(edit_delete(&e, &target, &gone));
    return end(it, &e, &gone);
}

/* ---- Set ------------------------------------------------------------------------------------ */

rc_t set_attribute_prepare(struct op_item *it)
{
    const struct kmip_set_attribute_request *in = it->request;
    want(it, &in->unique_identifier);
    return RC_OK;
}

/* Adds where there is none, changes where there is one; several are an error. */
rc_t set_attribute_perform(struct op_item *it)
{
    const struct kmip_set_attribute_request *in = it->request;
    const struct kmip_attribute *at;
    struct kmip_attribute changed;
    struct edit e;
    TRY(only(&in->attribute, &at));
    struct edit_target target = {.ref = {at->tag, -1, at->vendor, at->name}};
    TRY(begin(it, &e));
    size_t count = edit_count(&e, &target.ref);
    if (count > 1)
        return RC_ATTR_SEVERAL;
    if (count == 0) {
        TRY(edit_add(&e, at, &changed));
        return end(it, &e, &changed);
    }
    edit_nth(&e, &target, 0);
    rc_t rc = edit_modify(&e, &target, at, &changed);
    if (rc == RC_ATTR_READ_ONLY)
        return RC_ATTR_ADD_READ_ONLY; /* the reason that Set names (KMIP 2.1, table 324) */
    TRY(rc);
    return end(it, &e, &changed);
}
