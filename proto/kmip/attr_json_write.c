/*
 * Attribute lists to JSON for the database. Every value has the form that its table entry says;
 * vendor attributes and values without an entry carry their type beside them. KMIP's JSON names
 * (2.1 profiles, 5.5), simplified for people who read the database. The way back: attr_json_read.c.
 */
#include "proto/kmip/attr_json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/kmip/attr_json_parts.h"

enum { NAME_BYTES = 4096 };

static json_t *to_json(const struct node *n, uint32_t tag, bool typed);

static json_t *hex(struct bytes b)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(b.len * 2 + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < b.len; i++) {
        text[2 * i] = digits[b.data[i] >> 4];
        text[2 * i + 1] = digits[b.data[i] & 15];
    }
    json_t *j = json_stringn(text, b.len * 2);
    free(text);
    return j;
}

/* Days since 1970-01-01 to year, month, day in the Gregorian calendar, any year (days from the
 * start of the 400-year era; March is the first month, so that leap days come last). */
static void civil(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * in_year + 2) / 153;
    *day = (int)(in_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

static json_t *date(int64_t value, int64_t per_second)
{
    int64_t fraction = value % per_second;
    int64_t seconds = value / per_second;
    if (fraction < 0) {
        fraction += per_second;
        seconds--;
    }
    int64_t of_day = seconds % 86400;
    int64_t days = seconds / 86400;
    if (of_day < 0) {
        of_day += 86400;
        days--;
    }
    int64_t year;
    int month, day;
    civil(days, &year, &month, &day);
    if (year < 0 || year > 9999)
        return json_integer(value); /* ISO 8601 ends here */
    char text[64];
    int len = snprintf(text, sizeof text, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d", year, month,
                       day, (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60));
    if (per_second > 1)
        len += snprintf(text + len, sizeof text - (size_t)len, ".%06" PRId64, fraction);
    snprintf(text + len, sizeof text - (size_t)len, "Z");
    return json_string(text);
}

static json_t *mask(uint32_t tag, uint32_t value)
{
    size_t count;
    const struct kmip_entry *bits = kmip_mask_bits(tag, &count);
    json_t *names = json_array();
    int failed = 0;
    for (size_t i = 0; i < count; i++)
        if (value & bits[i].value) {
            failed |= json_array_append_new(names, json_string(bits[i].name));
            value &= ~bits[i].value;
        }
    if (value) /* bits without a name */
        failed |= json_array_append_new(names, json_integer(value));
    if (failed)
        attr_json_drop(&names);
    return names;
}

static json_t *structure(const struct node *n)
{
    json_t *list = json_array();
    for (const struct node *c = n->first; c; c = c->next) {
        json_t *value = to_json(c, c->tag, true);
        if (!value || json_array_append_new(list, value) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *plain(const struct node *n, uint32_t tag)
{
    switch (n->type) {
    case TTLV_STRUCTURE:
        return structure(n);
    case TTLV_INTEGER:
        return kmip_is_mask(tag) ? mask(tag, (uint32_t)n->integer) : json_integer(n->integer);
    case TTLV_LONG_INTEGER:
        return json_integer(n->long_integer);
    case TTLV_ENUMERATION: {
        const struct kmip_entry *e = kmip_enum(tag, n->enumeration);
        return e ? json_string(e->name) : json_integer(n->enumeration);
    }
    case TTLV_BOOLEAN:
        return json_boolean(n->boolean);
    case TTLV_TEXT_STRING:
        return json_stringn((const char *)n->bytes.data, n->bytes.len);
    case TTLV_DATE_TIME:
        return date(n->date_time, 1);
    case TTLV_DATE_TIME_EXTENDED:
        return date(n->date_time, 1000000);
    case TTLV_INTERVAL:
        return json_integer(n->interval);
    default:
        return hex(n->bytes);
    }
}

/* A standard tag outside structures needs no words; all others say tag and type. */
static json_t *to_json(const struct node *n, uint32_t tag, bool typed)
{
    json_t *value = plain(n, tag);
    if (!value || !typed)
        return value;
    json_t *o = json_object();
    const struct kmip_entry *e = kmip_tag(tag);
    int failed = 0;
    if (tag != KMIP_TAG_ATTRIBUTE_VALUE)
        failed = json_object_set_new(o, "tag", e ? json_string(e->name) : json_integer(tag));
    failed |= json_object_set_new(o, "type", json_string(kmip_type_name(n->type)));
    failed |= json_object_set_new(o, "value", value);
    if (failed)
        attr_json_drop(&o);
    return o;
}

/* Structures of the table read as {"NameValue":"k","NameType":"UninterpretedTextString"}: each
 * field's type is told by the table, so a field is one member, a repeated one an array. */
static const struct kmip_field *field_named(const struct kmip_struct *s, uint32_t tag)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->fields[i].tag == tag)
            return &s->fields[i];
    return NULL;
}

/* The short form of a structure, or NULL if a child does not fit the table. */
static json_t *short_structure(const struct node *n, int id)
{
    const struct kmip_struct *s = kmip_struct(id);
    json_t *o = json_object();
    const struct kmip_field *before = s->fields;
    for (const struct node *c = n->first; c; c = c->next) {
        const struct kmip_field *f = field_named(s, c->tag);
        bool many = f && f->how == KMIP_MANY;
        /* In table order, so that reading makes the same tree again. */
        if (!f || f < before || (f == before && c != n->first && !many) ||
            attr_json_field_type(f->kind) != c->type)
            goto other;
        before = f;
        json_t *value = to_json(c, c->tag, false);
        const char *name = kmip_tag_name(c->tag);
        if (many) {
            json_t *list = json_object_get(o, name);
            if (!list)
                json_object_set_new(o, name, list = json_array());
            if (json_array_append_new(list, value) != 0)
                goto other;
        } else if (json_object_set_new(o, name, value) != 0) {
            goto other;
        }
    }
    return o;
other:
    json_decref(o);
    return NULL;
}

/* What is written must be readable again: an object whose attributes are not is lost. */
static bool too_deep(const struct node *n, int levels)
{
    if (levels == 0)
        return true;
    if (n->type == TTLV_STRUCTURE)
        for (const struct node *c = n->first; c; c = c->next)
            if (too_deep(c, levels - 1))
                return true;
    return false;
}

/* One instance: bare where the table tells the type, else {"type":..,"value":..}. */
static json_t *instance(const struct kmip_attribute *attr)
{
    const struct node *n = attr->value;
    const struct kmip_attr_info *info = kmip_attr_info(attr->tag);
    if (too_deep(n, ATTR_JSON_LEVELS))
        return NULL;
    if (!info || n->type != info->type)
        return to_json(n, KMIP_TAG_ATTRIBUTE_VALUE, true);
    if (n->type == TTLV_STRUCTURE) {
        json_t *o = info->structure >= 0 ? short_structure(n, info->structure) : NULL;
        return o ? o : to_json(n, KMIP_TAG_ATTRIBUTE_VALUE, true);
    }
    return to_json(n, attr->tag, false);
}

/* "x-Name" for vendors x and y, "vendor:Name" for others; no KMIP name holds '-' or ':'. */
static rc_t member_name(const struct kmip_attribute *attr, char *out, size_t room, size_t *len)
{
    if (attr->tag != KMIP_TAG_ATTRIBUTE) {
        const struct kmip_attr_info *info = kmip_attr_info(attr->tag);
        if (!info)
            return RC_BAD_VALUE;
        *len = (size_t)snprintf(out, room, "%s", kmip_tag_name(attr->tag));
        return RC_OK;
    }
    char sign = bytes_is(attr->vendor, "x") || bytes_is(attr->vendor, "y") ? '-' : ':';
    if (attr->vendor.len == 0 || attr->name.len == 0 ||
        attr->vendor.len + attr->name.len + 1 > room ||
        memchr(attr->vendor.data, ':', attr->vendor.len) ||
        memchr(attr->vendor.data, '-', attr->vendor.len))
        return RC_BAD_VALUE;
    memcpy(out, attr->vendor.data, attr->vendor.len);
    out[attr->vendor.len] = sign;
    memcpy(out + attr->vendor.len + 1, attr->name.data, attr->name.len);
    *len = attr->vendor.len + attr->name.len + 1;
    return RC_OK;
}

static rc_t dump(const json_t *j, struct buf *out)
{
    enum { USUAL = 1024 }; /* the attributes of most keys fit: to ask for the size first is to write twice */
    TRY(buf_reserve(out, USUAL));
    size_t room = out->room - out->len;
    size_t len = json_dumpb(j, (char *)out->data + out->len, room, JSON_COMPACT | JSON_ENCODE_ANY);
    if (len == 0)
        return RC_NO_MEMORY;
    if (len > room) {
        TRY(buf_reserve(out, len));
        json_dumpb(j, (char *)out->data + out->len, len, JSON_COMPACT | JSON_ENCODE_ANY);
    }
    out->len += len;
    return RC_OK;
}

/* Puts an instance at its index, or at the end. Takes the value over. */
static rc_t add_instance(json_t *array, int32_t index, json_t *value)
{
    int failed = index >= ATTR_INDEX_MAX || (index >= 0 && (size_t)index < json_array_size(array));
    while (!failed && index >= 0 && json_array_size(array) < (size_t)index)
        failed = json_array_append_new(array, json_null());
    if (!failed)
        return json_array_append_new(array, value) == 0 ? RC_OK : RC_BAD_VALUE;
    json_decref(value);
    return RC_BAD_VALUE;
}

rc_t attr_json_write(const struct kmip_attributes *list, struct buf *out)
{
    AUTO_JSON all = json_object();
    char name[NAME_BYTES];
    for (size_t i = 0; i < list->count; i++) {
        const struct kmip_attribute *attr = &list->items[i];
        const struct kmip_attr_info *info = kmip_attr_info(attr->tag);
        size_t len;
        TRY(member_name(attr, name, sizeof name, &len));
        json_t *value = instance(attr);
        if (!value)
            return RC_BAD_VALUE;
        json_t *there = json_object_getn(all, name, len);
        bool many = !info || (info->flags & ATTR_MULTI);
        if (many) {
            if (!there && json_object_setn_new(all, name, len, there = json_array()) != 0)
                there = NULL;
            TRY(add_instance(there, attr->index, value));
        } else if (there) {
            json_decref(value);
            return RC_BAD_VALUE; /* two values of a single-instance attribute */
        } else if (json_object_setn_new(all, name, len, value) != 0) {
            return RC_BAD_VALUE;
        }
    }
    return dump(all, out);
}

rc_t attr_json_value(const struct node *value, struct buf *out)
{
    struct kmip_attribute attr = {.tag = value->tag, .value = (struct node *)(uintptr_t)value};
    AUTO_JSON j = instance(&attr);
    return j ? dump(j, out) : RC_BAD_VALUE;
}
