/* Filters of Locate, as a query and as a match; see filter.h. */
#include "server/ops/filter.h"

#include "proto/kmip/attr_json.h"
#include "proto/kmip/message.h"
#include "server/ops/attrs.h"

static const struct {
    uint32_t tag;
    enum db_date which;
} dates[] = {
    {KMIP_TAG_INITIAL_DATE, DB_DATE_INITIAL},
    {KMIP_TAG_ACTIVATION_DATE, DB_DATE_ACTIVATION},
    {KMIP_TAG_PROCESS_START_DATE, DB_DATE_PROCESS_START},
    {KMIP_TAG_PROTECT_STOP_DATE, DB_DATE_PROTECT_STOP},
    {KMIP_TAG_DEACTIVATION_DATE, DB_DATE_DEACTIVATION},
    {KMIP_TAG_COMPROMISE_OCCURRENCE_DATE, DB_DATE_COMPROMISE_OCCURRENCE},
    {KMIP_TAG_COMPROMISE_DATE, DB_DATE_COMPROMISE},
    {KMIP_TAG_DESTROY_DATE, DB_DATE_DESTROY},
    {KMIP_TAG_LAST_CHANGE_DATE, DB_DATE_LAST_CHANGE},
};

/* Dates that have no column. */
static const struct {
    uint32_t tag;
    enum db_value which;
} far_dates[] = {
    {KMIP_TAG_ARCHIVE_DATE, DB_VALUE_ARCHIVE_DATE},
    {KMIP_TAG_ORIGINAL_CREATION_DATE, DB_VALUE_ORIGINAL_CREATION_DATE},
    {KMIP_TAG_ROTATE_DATE, DB_VALUE_ROTATE_DATE},
};

static bool is_date(const struct kmip_attribute *at)
{
    return at->tag != KMIP_TAG_ATTRIBUTE && at->value->type == TTLV_DATE_TIME;
}

/* The range that the values of one date attribute mean: one value is exact, two are from and to. */
static void date_range(const struct kmip_attributes *wanted, uint32_t tag, int64_t *from,
                       int64_t *to)
{
    int64_t a = kmip_attributes_find(wanted, tag, 0)->value->date_time;
    const struct kmip_attribute *second = kmip_attributes_find(wanted, tag, 1);
    int64_t b = second ? second->value->date_time : a;
    *from = a < b ? a : b;
    *to = a < b ? b : a;
}

/* The filter on this value, new or not, from `from` to the largest. NULL: there are too many. */
static struct db_value_filter *value_filter(struct db_locate *q, enum db_value which, int64_t from)
{
    size_t i = 0;
    while (i < q->value_count && q->values[i].which != which)
        i++;
    if (i == DB_VALUE_COUNT)
        return NULL;
    struct db_value_filter *v = &q->values[i];
    if (i == q->value_count) {
        q->value_count++;
        *v = (struct db_value_filter){.which = which, .from = from};
    }
    v->from = v->from > from ? v->from : from;
    v->to = INT64_MAX;
    return v;
}

/* A date as the JSON has it, so that texts compare like dates; before and after all texts where it has a number. */
static rc_t date_text(struct arena *a, int64_t date, struct bytes *out)
{
    AUTO_BUF json = BUF_EMPTY;
    struct node *n = node_date_time(a, KMIP_TAG_ORIGINAL_CREATION_DATE, date);
    TRY(n ? attr_json_value(n, &json) : RC_NO_MEMORY);
    struct bytes text = buf_view(&json);
    if (text.len > 2 && text.data[0] == '"')
        *out = arena_copy(a, bytes_of(text.data + 1, text.len - 2));
    else
        *out = bytes_str(date < 0 ? "" : "~");
    return out->data ? RC_OK : RC_NO_MEMORY;
}

static rc_t query_far_date(struct arena *a, const struct kmip_attributes *wanted, uint32_t tag, struct db_locate *q)
{
    for (size_t i = 0; i < sizeof far_dates / sizeof far_dates[0]; i++) {
        if (far_dates[i].tag != tag)
            continue;
        int64_t from, to;
        date_range(wanted, tag, &from, &to);
        struct db_value_filter *v = value_filter(q, far_dates[i].which, from);
        if (!v)
            return RC_TOO_MANY;
        v->to = to;
        TRY(date_text(a, from, &v->text_from));
        return date_text(a, to, &v->text_to);
    }
    return RC_ATTR_INVALID;
}

static rc_t query_date(struct arena *a, const struct kmip_attributes *wanted, const struct kmip_attribute *at,
                       struct db_locate *q)
{
    if (kmip_attributes_count(wanted, at->tag) > 2)
        return RC_INVALID_FIELD;
    if (kmip_attributes_find(wanted, at->tag, 0) != at)
        return RC_OK; /* the second value: already taken with the first */
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        if (dates[i].tag != at->tag)
            continue;
        if (q->date_count == DB_LOCATE_DATES)
            return RC_TOO_MANY;
        struct db_date_filter *d = &q->dates[q->date_count++];
        d->which = dates[i].which;
        date_range(wanted, at->tag, &d->from, &d->to);
        return RC_OK;
    }
    return query_far_date(a, wanted, at->tag, q);
}

/* A value, a type, or both; neither means any name. */
static rc_t query_name(const struct node *v, struct filter *f, struct db_locate *q)
{
    const struct node *value = node_child(v, KMIP_TAG_NAME_VALUE);
    const struct node *type = node_child(v, KMIP_TAG_NAME_TYPE);
    if ((value && value->type != TTLV_TEXT_STRING) || (type && type->type != TTLV_ENUMERATION))
        return RC_INVALID_FIELD;
    if (q->name_count == DB_LOCATE_NAMES)
        return RC_TOO_MANY;
    if (value && value->bytes.len == 0)
        f->nothing = true; /* no name is empty */
    q->names[q->name_count++] = (struct name){value ? value->bytes : BYTES_NONE, type ? type->enumeration : 0, 0};
    return RC_OK;
}

/* Total and Count: at least so much; the unit is the same (KMIP 1.4, 4.9). */
static rc_t query_usage(struct arena *a, const struct node *v, struct db_locate *q, struct kmip_attributes *json)
{
    const struct node *total = node_child(v, KMIP_TAG_USAGE_LIMITS_TOTAL);
    const struct node *count = node_child(v, KMIP_TAG_USAGE_LIMITS_COUNT);
    const struct node *unit = node_child(v, KMIP_TAG_USAGE_LIMITS_UNIT);
    if ((total && !value_filter(q, DB_VALUE_USAGE_LIMITS_TOTAL, total->long_integer)) ||
        (count && !value_filter(q, DB_VALUE_USAGE_LIMITS_COUNT, count->long_integer)))
        return RC_TOO_MANY;
    struct node *rest = node_structure(a, KMIP_TAG_USAGE_LIMITS);
    if (!rest || (unit && node_append(rest, node_enum(a, KMIP_TAG_USAGE_LIMITS_UNIT, unit->enumeration)) != RC_OK))
        return RC_NO_MEMORY;
    return kmip_attributes_add(a, json, rest); /* that it has limits at all */
}

/* Filters by value that the query has a field for. */
static const struct {
    uint32_t tag;
    unsigned filter;
    size_t offset;
} columns[] = {
    {KMIP_TAG_OBJECT_TYPE, DB_LOCATE_OBJECT_TYPE, offsetof(struct db_locate, object_type)},
    {KMIP_TAG_STATE, DB_LOCATE_STATE, offsetof(struct db_locate, state)},
    {KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, DB_LOCATE_ALGORITHM, offsetof(struct db_locate, algorithm)},
    {KMIP_TAG_CRYPTOGRAPHIC_LENGTH, DB_LOCATE_LENGTH, offsetof(struct db_locate, length)},
    {KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, DB_LOCATE_USAGE_MASK,
     offsetof(struct db_locate, usage_mask)},
    {KMIP_TAG_KEY_FORMAT_TYPE, DB_LOCATE_KEY_FORMAT, offsetof(struct db_locate, key_format)},
};

static rc_t query_column(const struct node *v, size_t i, struct filter *f, struct db_locate *q)
{
    uint32_t value;
    if (v->type == TTLV_ENUMERATION)
        value = v->enumeration;
    else if (v->type == TTLV_INTEGER && v->integer >= 0)
        value = (uint32_t)v->integer;
    else
        return RC_INVALID_FIELD;
    uint32_t *field = (uint32_t *)(void *)((uint8_t *)q + columns[i].offset);
    if (q->filters & columns[i].filter) {
        /* Given twice: all must hold. Mask bits add up, other values must be the same. */
        if (columns[i].filter == DB_LOCATE_USAGE_MASK)
            value |= *field;
        else if (*field != value)
            f->nothing = true;
    }
    q->filters |= columns[i].filter;
    *field = value;
    return RC_OK;
}

static rc_t query_uid(const struct node *v, struct filter *f, struct db_locate *q)
{
    struct uid uid;
    if (v->type != TTLV_TEXT_STRING || uid_parse(v->bytes, &uid) != RC_OK ||
        ((q->filters & DB_LOCATE_UID) && !uid_equal(&uid, &q->uid)))
        f->nothing = true;
    else
        q->uid = uid;
    q->filters |= DB_LOCATE_UID;
    return RC_OK;
}

/* A second value of an attribute that has one at most: the same again, or not to be met. */
static bool is_repeated(const struct kmip_attribute *at, struct filter *f)
{
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    const struct kmip_attribute *first = kmip_attributes_find(f->wanted, at->tag, 0);
    if (!info || (info->flags & ATTR_MULTI) || first == at)
        return false;
    f->nothing |= !node_value_equal(first->value, at->value);
    return true;
}

static rc_t query_one(struct arena *a, struct filter *f, const struct kmip_attribute *at,
                      struct db_locate *q, struct kmip_attributes *json)
{
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (columns[i].tag == at->tag)
            return query_column(at->value, i, f, q);
    if (is_date(at))
        return query_date(a, f->wanted, at, q);
    switch (at->tag) {
    case KMIP_TAG_ATTRIBUTE:
        f->nothing |= attrs_is_house(at->vendor); /* the server's own are never shown */
        return kmip_attributes_add_vendor(a, json, at->vendor, at->name, at->value);
    case KMIP_TAG_NAME:
        return query_name(at->value, f, q);
    case KMIP_TAG_LEASE_TIME: /* the same for all */
        f->nothing |= at->value->type != TTLV_INTERVAL || at->value->interval != ATTRS_LEASE_S;
        return RC_OK;
    case KMIP_TAG_UNIQUE_IDENTIFIER:
        return query_uid(at->value, f, q);
    case KMIP_TAG_USAGE_LIMITS:
        return query_usage(a, at->value, q, json);
    default:
        return is_repeated(at, f) ? RC_OK : kmip_attributes_add(a, json, at->value);
    }
}

static bool asks_destroyed(const struct db_locate *q)
{
    return (q->filters & DB_LOCATE_STATE) &&
           (q->state == STATE_DESTROYED || q->state == STATE_DESTROYED_COMPROMISED);
}

/* Destroyed objects: without them, with them, or they alone (those have a Destroy Date). */
static rc_t query_storage(uint16_t version, struct filter *f, struct db_locate *q)
{
    /* 1.x has no bit for destroyed objects: there the state asks for them. */
    if (asks_destroyed(q) && version < V2_0)
        f->destroyed = true;
    if (f->destroyed)
        q->filters |= DB_LOCATE_DESTROYED;
    else if (asks_destroyed(q))
        f->nothing = true; /* KMIP 2.1, 6.1.28: only when the mask says so */
    if (!f->online && !f->destroyed)
        f->nothing = true; /* archives are not kept */
    if (f->online || !f->destroyed)
        return RC_OK;
    if (q->date_count == DB_LOCATE_DATES)
        return RC_TOO_MANY;
    q->dates[q->date_count++] = (struct db_date_filter){DB_DATE_DESTROY, NO_DATE + 1, INT64_MAX - 1};
    return RC_OK;
}

rc_t filter_query(struct arena *a, uint16_t version, struct filter *f, struct db_locate *query)
{
    struct kmip_attributes json = {0};
    for (size_t i = 0; i < f->wanted->count; i++) {
        const struct kmip_attribute *at = &f->wanted->items[i];
        if (at->tag != KMIP_TAG_ATTRIBUTE && !kmip_attr_known(at->tag, version))
            return RC_ATTR_INVALID;
        TRY(query_one(a, f, at, query, &json));
    }
    if (f->fresh)
        TRY(kmip_attributes_add_boolean(a, &json, KMIP_TAG_FRESH, true));
    if (json.count) {
        AUTO_BUF text = BUF_EMPTY;
        TRY(attr_json_write(&json, &text));
        query->attributes = arena_copy(a, buf_view(&text));
        if (!query->attributes.data)
            return RC_NO_MEMORY;
    }
    query->now = f->now;
    f->no_templates = version >= V2_0 || (query->filters & DB_LOCATE_STATE);
    if (f->no_templates && !((query->filters & DB_LOCATE_OBJECT_TYPE) && query->object_type != KMIP_OBJECT_TEMPLATE))
        query->without_type = KMIP_OBJECT_TEMPLATE;
    return query_storage(version, f, query);
}

/* ---- matching ------------------------------------------------------------------------------- */

/* All that `want` has is in `have`: fields left out of a structure match anything. */
static bool covers(const struct node *have, const struct node *want)
{
    if (want->type != TTLV_STRUCTURE || have->type != TTLV_STRUCTURE)
        return node_value_equal(have, want);
    for (const struct node *w = want->first; w; w = w->next) {
        bool found = false;
        for (const struct node *h = have->first; h && !found; h = h->next)
            found = h->tag == w->tag && covers(h, w);
        if (!found)
            return false;
    }
    return true;
}

static bool match_date(const struct kmip_attributes *wanted, const struct kmip_attributes *have,
                       uint32_t tag)
{
    int64_t from, to;
    date_range(wanted, tag, &from, &to);
    const struct kmip_attribute *h = kmip_attributes_find(have, tag, 0);
    int64_t date = h && h->value->type == TTLV_DATE_TIME ? h->value->date_time : INT64_MAX;
    return from <= date && date <= to;
}

static bool at_least(const struct node *have, const struct node *want, uint32_t tag)
{
    const struct node *h = node_child(have, tag), *w = node_child(want, tag);
    return !w || (h && h->long_integer >= w->long_integer);
}

static bool match_usage(const struct node *have, const struct node *want)
{
    const struct node *h = node_child(have, KMIP_TAG_USAGE_LIMITS_UNIT);
    const struct node *w = node_child(want, KMIP_TAG_USAGE_LIMITS_UNIT);
    return at_least(have, want, KMIP_TAG_USAGE_LIMITS_TOTAL) && at_least(have, want, KMIP_TAG_USAGE_LIMITS_COUNT) &&
           (!w || (h && node_value_equal(h, w)));
}

static bool match_one(const struct kmip_attributes *wanted, const struct kmip_attribute *w,
                      const struct kmip_attributes *have)
{
    if (is_date(w))
        return match_date(wanted, have, w->tag);
    for (size_t i = 0; i < have->count; i++) {
        const struct kmip_attribute *h = &have->items[i];
        if (h->tag != w->tag)
            continue;
        if (w->tag == KMIP_TAG_ATTRIBUTE &&
            (!bytes_equal(h->vendor, w->vendor) || !bytes_equal(h->name, w->name)))
            continue;
        if (w->tag == KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK) {
            if ((h->value->integer & w->value->integer) == w->value->integer)
                return true;
        } else if (w->tag == KMIP_TAG_USAGE_LIMITS) {
            if (match_usage(h->value, w->value))
                return true;
        } else if (covers(h->value, w->value)) {
            return true;
        }
    }
    return false;
}

rc_t filter_match(struct arena *a, const struct filter *f, const struct object *o, bool *match_out)
{
    *match_out = false;
    bool gone =
        o->control.state == STATE_DESTROYED || o->control.state == STATE_DESTROYED_COMPROMISED;
    if (f->no_templates && o->control.object_type == KMIP_OBJECT_TEMPLATE)
        return RC_OK;
    if (f->nothing || (gone ? !f->destroyed : !f->online))
        return RC_OK;
    struct kmip_attributes have;
    TRY(attrs_of(a, o, f->now, &have));
    const struct kmip_attribute *fresh = kmip_attributes_find(&have, KMIP_TAG_FRESH, 0);
    if (f->fresh && (!fresh || !fresh->value->boolean))
        return RC_OK;
    for (size_t i = 0; i < f->wanted->count; i++)
        if (!match_one(f->wanted, &f->wanted->items[i], &have))
            return RC_OK;
    *match_out = true;
    return RC_OK;
}
