/*
 * Locate: identifiers of the asker's objects that meet all filters, newest first. Nothing found is
 * a success with an empty answer. KMIP 1.4, 4.9; KMIP 2.1, 6.1.28.
 */
#include "server/ops/op.h"

static rc_t storage(struct op_item *it, const struct kmip_number *mask)
{
    int64_t bits = mask->set ? mask->value : KMIP_STORAGE_ON_LINE_STORAGE;
    it->filter.online = bits & KMIP_STORAGE_ON_LINE_STORAGE;
    it->filter.destroyed = bits & KMIP_STORAGE_DESTROYED_STORAGE;
    return RC_OK;
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
    *list = in->attributes;
    list->room = list->count; /* growing copies: the request stays as it came */
    for (size_t i = 0; i < more->count; i++) {
        TRY(kmip_attributes_add_item(it->arena, list, &more->items[i]));
    }
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
    if (in->object_group_member == KMIP_GROUP_MEMBER_GROUP_MEMBER_DEFAULT)
        return RC_FEATURE; /* no group has a default member here */
    it->filter.fresh = in->object_group_member == KMIP_GROUP_MEMBER_GROUP_MEMBER_FRESH;
    it->filter.now = it->now;
    TRY(storage(it, &in->storage_status_mask));
    TRY(wanted(it, in));
    uint32_t most = it->limits->locate_max;
    if (in->maximum_items.set && in->maximum_items.value < most)
        most = (uint32_t)in->maximum_items.value;
    it->query = (struct db_locate){
        .owner = it->who->client,
        .domain = it->who->domain,
        .offset = in->offset_items.set ? (uint64_t)in->offset_items.value : 0,
        .maximum = most ? most : 1,
        .want_total = wants_total(it->version, in),
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
