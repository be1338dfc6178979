/*
 * Locate: identifiers of the objects that the asker may locate and that meet all filters, newest first. Nothing found
 * is a success with an empty answer. KMIP 1.4, 4.9; KMIP 2.1, 6.1.28.
 */
#include "server/ops/op.h"

static bool is_default(const struct kmip_locate_request *in)
{
    return in->object_group_member == KMIP_GROUP_MEMBER_GROUP_MEMBER_DEFAULT;
}

/*
 * Our policy for groups: the default member of a group is the newest one that meets the filters. No key is made when no
 * fresh one is left.
 */
static rc_t group_member(struct op_item *it, const struct kmip_locate_request *in)
{
    bool grouped = kmip_attributes_find(it->filter.wanted, KMIP_TAG_OBJECT_GROUP, 0) != NULL;
    it->filter.fresh = in->object_group_member == KMIP_GROUP_MEMBER_GROUP_MEMBER_FRESH;
    it->filter.nothing = is_default(in) && in->offset_items.value > 0; /* there is one at most */
    return is_default(in) && !grouped ? RC_INVALID_FIELD : RC_OK;
}

static rc_t storage(struct op_item *it, const struct kmip_number *mask)
{
    int64_t bits = mask->set ? mask->value : KMIP_STORAGE_ON_LINE_STORAGE;
    it->filter.online = bits & KMIP_STORAGE_ON_LINE_STORAGE;
    it->filter.destroyed = bits & KMIP_STORAGE_DESTROYED_STORAGE;
    return RC_OK;
}

/* A filter, its identifier as text: 2.x may name one by what earlier items did (KMIP 2.1, 4.58). */
static rc_t add_wanted(struct op_item *it, struct kmip_attributes *list, const struct kmip_attribute *at)
{
    struct kmip_attribute own = *at;
    const struct node *v = at->value;
    if (at->tag == KMIP_TAG_UNIQUE_IDENTIFIER && v->type != TTLV_TEXT_STRING) {
        struct kmip_uid named = {.type = v->type};
        if (v->type == TTLV_ENUMERATION)
            named.enumeration = v->enumeration;
        else
            named.integer = v->integer;
        struct uid uid = op_uid_meant(it->ids, &named);
        own.value = node_text(it->arena, at->tag, op_uid_out(it->arena, &uid).text);
        if (!own.value || !own.value->bytes.data)
            return RC_NO_MEMORY;
    }
    return kmip_attributes_add_item(it->arena, list, &own);
}

/* One list of filters: 1.x clients may also wrap them in a Template-Attribute. */
static rc_t wanted(struct op_item *it, const struct kmip_locate_request *in)
{
    const struct kmip_attributes *more = &in->wrapped_attributes;
    if (in->attributes.template_count || more->template_count)
        return RC_FEATURE;
    struct kmip_attributes *list = ARENA_NEW(it->arena, struct kmip_attributes);
    if (!list)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < in->attributes.count; i++)
        TRY(add_wanted(it, list, &in->attributes.items[i]));
    for (size_t i = 0; i < more->count; i++)
        TRY(add_wanted(it, list, &more->items[i]));
    it->filter.wanted = list;
    return RC_OK;
}

/* Counting all that match costs a walk over them: done for clients that page through a list, or
 * want the number alone. Otherwise it is told where it is known for nothing. */
static bool wants_total(uint16_t version, const struct kmip_locate_request *in)
{
    return version >= V1_3 &&
           (in->offset_items.set || (in->maximum_items.set && in->maximum_items.value == 0));
}

rc_t locate_prepare(struct op_item *it)
{
    const struct kmip_locate_request *in = it->request;
    if ((in->maximum_items.set && in->maximum_items.value < 0) ||
        (in->offset_items.set && in->offset_items.value < 0))
        return RC_INVALID_FIELD;
    it->filter.now = it->now;
    TRY(storage(it, &in->storage_status_mask));
    TRY(wanted(it, in));
    TRY(group_member(it, in));
    uint32_t most = it->limits->locate_max;
    if (in->maximum_items.set && in->maximum_items.value < most)
        most = (uint32_t)in->maximum_items.value;
    if (is_default(in) && most > 1)
        most = 1;
    it->query = (struct db_locate){
        .offset = in->offset_items.set ? (uint64_t)in->offset_items.value : 0,
        .maximum = most ? most : 1,
        .want_total = wants_total(it->version, in) && !is_default(in),
    };
    TRY(filter_query(it->arena, it->version, &it->filter, &it->query));
    it->want = WANT_LOCATE;
    return RC_OK;
}

rc_t locate_perform(struct op_item *it)
{
    const struct kmip_locate_request *in = it->request;
    struct kmip_locate_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    if (is_default(in)) {
        it->located_total = it->located_count;
        it->total_known = it->query.offset == 0;
    }
    if (in->maximum_items.set && in->maximum_items.value == 0)
        it->located_count = 0; /* the client wants the number alone */
    if (it->total_known && it->located_total <= INT32_MAX)
        out->located_items = KMIP_NUMBER((int64_t)it->located_total);
    if (it->located_count) {
        out->unique_identifiers.items = ARENA_ARRAY(it->arena, it->located_count, struct kmip_uid);
        if (!out->unique_identifiers.items)
            return RC_NO_MEMORY;
    }
    for (size_t i = 0; i < it->located_count; i++) {
        struct kmip_uid id = op_uid_out(it->arena, &it->located[i]);
        if (!id.text.data)
            return RC_NO_MEMORY;
        out->unique_identifiers.items[out->unique_identifiers.count++] = id;
    }
    /* One identifier in the answer sets the placeholder, unless there are more and the client did
       not ask for one alone (KMIP 2.1, 6.1.28). */
    bool one = it->located_count == 1 && ((it->total_known && it->located_total == 1) ||
                                          (in->maximum_items.set && in->maximum_items.value == 1));
    it->id_effect = one ? ID_SET : ID_CLEAR;
    if (one) {
        it->result_id = it->located[0];
        it->subject = it->located[0];
    }
    return RC_OK;
}
