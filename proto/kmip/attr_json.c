/*
 * Attribute lists as JSON for the database. Every value has the form that its table entry says; vendor
 * attributes and values without an entry carry their type beside them. KMIP's JSON names (2.1 profiles,
 * 5.5), simplified for people who read the database.
 */
#include "proto/kmip/attr_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "proto/kmip/struct.h"

enum { NAME_BYTES = 4096, JSON_DEPTH = 40 };

#define AUTO_JSON __attribute__((cleanup(drop))) json_t *
static void drop(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

/* ---- to JSON ---- */

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

/* Days since 1970-01-01 to year, month, day in the Gregorian calendar, any year (days from the start
 * of the 400-year era; March is the first month, so that leap days come last). */
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

static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t y = year - era * 400;
    int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + y * 365 + y / 4 - y / 100 + in_year - 719468;
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
    int len = snprintf(text, sizeof text, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d", year, month, day,
                       (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60));
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
        drop(&names);
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
        drop(&o);
    return o;
}

/* Structures of the table read as {"NameValue":"k","NameType":"UninterpretedTextString"}: each field's
 * type is told by the table, so a field is one member, a repeated one an array. */
static const struct kmip_field *field_named(const struct kmip_struct *s, uint32_t tag)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->fields[i].tag == tag)
            return &s->fields[i];
    return NULL;
}

static uint8_t field_type(const struct kmip_field *f)
{
    static const uint8_t types[] = {
        [KMIP_K_INT] = TTLV_INTEGER,   [KMIP_K_LONG] = TTLV_LONG_INTEGER,
        [KMIP_K_BOOL] = TTLV_BOOLEAN,  [KMIP_K_ENUM] = TTLV_ENUMERATION,
        [KMIP_K_TEXT] = TTLV_TEXT_STRING, [KMIP_K_BYTES] = TTLV_BYTE_STRING,
        [KMIP_K_UID] = TTLV_TEXT_STRING,
    };
    return f->kind < sizeof types ? types[f->kind] : 0;
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
        if (!f || f < before || (f == before && c != n->first && !many) || field_type(f) != c->type)
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

/* One instance: bare where the table tells the type, else {"type":..,"value":..}. */
static json_t *instance(const struct kmip_attribute *attr)
{
    const struct node *n = attr->value;
    const struct kmip_attr_info *info = kmip_attr_info(attr->tag);
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
    if (attr->vendor.len == 0 || attr->name.len == 0 || attr->vendor.len + attr->name.len + 1 > room ||
        memchr(attr->vendor.data, ':', attr->vendor.len) || memchr(attr->vendor.data, '-', attr->vendor.len))
        return RC_BAD_VALUE;
    memcpy(out, attr->vendor.data, attr->vendor.len);
    out[attr->vendor.len] = sign;
    memcpy(out + attr->vendor.len + 1, attr->name.data, attr->name.len);
    *len = attr->vendor.len + attr->name.len + 1;
    return RC_OK;
}

static rc_t dump(const json_t *j, struct buf *out)
{
    size_t len = json_dumpb(j, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (len == 0)
        return RC_NO_MEMORY;
    TRY(buf_reserve(out, len));
    json_dumpb(j, (char *)out->data + out->len, len, JSON_COMPACT | JSON_ENCODE_ANY);
    out->len += len;
    return RC_OK;
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
        int rc;
        if (there && (!info || (info->flags & ATTR_MULTI)))
            rc = json_array_append_new(there, value);
        else if (there) {
            json_decref(value);
            return RC_BAD_VALUE; /* two values of a single-instance attribute */
        } else if (!info || (info->flags & ATTR_MULTI)) {
            json_t *array = json_array();
            json_array_append_new(array, value);
            rc = json_object_setn_new(all, name, len, array);
        } else {
            rc = json_object_setn_new(all, name, len, value);
        }
        if (rc != 0)
            return RC_BAD_VALUE;
    }
    return dump(all, out);
}

rc_t attr_json_value(const struct node *value, struct buf *out)
{
    struct kmip_attribute attr = {.tag = value->tag, .value = (struct node *)(uintptr_t)value};
    AUTO_JSON j = instance(&attr);
    return j ? dump(j, out) : RC_BAD_VALUE;
}

/* ---- from JSON ---- */

static rc_t from_json(struct arena *a, const json_t *j, uint32_t tag, uint8_t type, struct node **out,
                      int depth);

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static rc_t unhex(struct arena *a, const json_t *j, struct bytes *out)
{
    const char *text = json_string_value(j);
    size_t len = json_string_length(j);
    if (!text || len % 2 != 0)
        return RC_INTEGRITY;
    uint8_t *data = arena_alloc(a, len / 2);
    if (!data)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < len; i += 2) {
        int high = nibble(text[i]), low = nibble(text[i + 1]);
        if (high < 0 || low < 0)
            return RC_INTEGRITY;
        data[i / 2] = (uint8_t)(high << 4 | low);
    }
    *out = bytes_of(data, len / 2);
    return RC_OK;
}

static bool digits(const char **p, int count, int *value)
{
    for (*value = 0; count > 0; count--, ++*p) {
        if (**p < '0' || **p > '9')
            return false;
        *value = *value * 10 + (**p - '0');
    }
    return true;
}

static bool literal(const char **p, char c)
{
    return *(*p)++ == c;
}

static rc_t undate(const json_t *j, int64_t per_second, int64_t *out)
{
    if (json_is_integer(j)) {
        *out = json_integer_value(j);
        return RC_OK;
    }
    const char *p = json_string_value(j);
    int year, month, day, hour, minute, second, fraction = 0;
    /* Each step stops at the first wrong character, the final NUL at the latest. */
    if (!p || !digits(&p, 4, &year) || !literal(&p, '-') || !digits(&p, 2, &month) || !literal(&p, '-') ||
        !digits(&p, 2, &day) || !literal(&p, 'T') || !digits(&p, 2, &hour) || !literal(&p, ':') ||
        !digits(&p, 2, &minute) || !literal(&p, ':') || !digits(&p, 2, &second))
        return RC_INTEGRITY;
    if (per_second > 1 && (!literal(&p, '.') || !digits(&p, 6, &fraction)))
        return RC_INTEGRITY;
    if (p[0] != 'Z' || p[1] != '\0' || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 59)
        return RC_INTEGRITY;
    *out = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    *out = *out * per_second + fraction;
    return RC_OK;
}

static rc_t unmask(const json_t *j, uint32_t tag, uint32_t *out)
{
    size_t count;
    const struct kmip_entry *bits = kmip_mask_bits(tag, &count);
    *out = 0;
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *bit = json_array_get(j, i);
        if (json_is_integer(bit)) {
            if (json_integer_value(bit) < 0 || json_integer_value(bit) > UINT32_MAX)
                return RC_INTEGRITY;
            *out |= (uint32_t)json_integer_value(bit);
            continue;
        }
        size_t k = 0;
        while (k < count && !(json_is_string(bit) && strcmp(json_string_value(bit), bits[k].name) == 0))
            k++;
        if (k == count)
            return RC_INTEGRITY;
        *out |= bits[k].value;
    }
    return RC_OK;
}

static rc_t integer_in(const json_t *j, int64_t low, int64_t high, int64_t *out)
{
    if (!json_is_integer(j) || json_integer_value(j) < low || json_integer_value(j) > high)
        return RC_INTEGRITY;
    *out = json_integer_value(j);
    return RC_OK;
}

static struct bytes json_text(const json_t *j)
{
    return bytes_of(json_string_value(j), json_string_length(j));
}

/* {"tag":..,"type":..,"value":..}; the tag is left out for a value at the top. */
static rc_t from_typed(struct arena *a, const json_t *j, uint32_t tag, struct node **out, int depth)
{
    const json_t *named = json_object_get(j, "tag");
    uint8_t type;
    if (json_is_string(named))
        tag = kmip_tag_by_name(json_text(named));
    else if (json_is_integer(named))
        tag = (uint32_t)json_integer_value(named);
    if (tag >> 16 != 0x42 && tag >> 16 != 0x54)
        return RC_INTEGRITY;
    if (!json_is_string(json_object_get(j, "type")) ||
        !kmip_type_by_name(json_text(json_object_get(j, "type")), &type))
        return RC_INTEGRITY;
    return from_json(a, json_object_get(j, "value"), tag, type, out, depth + 1);
}

static rc_t from_structure(struct arena *a, const json_t *j, uint32_t tag, struct node **out, int depth)
{
    if (!json_is_array(j))
        return RC_INTEGRITY;
    struct node *n = node_structure(a, tag);
    if (!n)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < json_array_size(j); i++) {
        struct node *child = NULL;
        TRY(from_typed(a, json_array_get(j, i), 0, &child, depth));
        TRY(node_append(n, child));
    }
    *out = n;
    return RC_OK;
}

static rc_t from_short(struct arena *a, const json_t *j, uint32_t tag, int id, struct node **out)
{
    const struct kmip_struct *s = kmip_struct(id);
    struct node *n = node_structure(a, tag);
    if (!n)
        return RC_NO_MEMORY;
    size_t used = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct kmip_field *f = &s->fields[i];
        const json_t *member = json_object_get(j, kmip_tag_name(f->tag));
        if (!member || (i > 0 && f[-1].tag == f->tag)) /* a field may have two lines, by version */
            continue;
        used++;
        bool many = f->how == KMIP_MANY;
        size_t count = many ? json_array_size(member) : 1;
        for (size_t k = 0; k < count; k++) {
            struct node *child = NULL;
            TRY(from_json(a, many ? json_array_get(member, k) : member, f->tag, field_type(f), &child, 1));
            TRY(node_append(n, child));
        }
    }
    *out = n;
    return used == json_object_size(j) ? RC_OK : RC_INTEGRITY;
}

static rc_t from_json(struct arena *a, const json_t *j, uint32_t tag, uint8_t type, struct node **out,
                      int depth)
{
    if (!j || depth > JSON_DEPTH)
        return RC_INTEGRITY;
    if (type == TTLV_STRUCTURE)
        return from_structure(a, j, tag, out, depth);
    struct node *n = node_new(a, tag, type);
    if (!n)
        return RC_NO_MEMORY;
    *out = n;
    int64_t number = 0;
    uint32_t value = 0;
    switch (type) {
    case TTLV_INTEGER:
        if (kmip_is_mask(tag) && json_is_array(j))
            TRY(unmask(j, tag, &value));
        else
            TRY(integer_in(j, INT32_MIN, INT32_MAX, &number));
        n->integer = (int32_t)(value | (uint32_t)number);
        return RC_OK;
    case TTLV_LONG_INTEGER:
        return integer_in(j, INT64_MIN, INT64_MAX, &n->long_integer);
    case TTLV_ENUMERATION:
        if (json_is_string(j))
            return kmip_enum_by_name(tag, json_text(j), &n->enumeration) ? RC_OK : RC_INTEGRITY;
        TRY(integer_in(j, 0, UINT32_MAX, &number));
        n->enumeration = (uint32_t)number;
        return RC_OK;
    case TTLV_BOOLEAN:
        n->boolean = json_is_true(j);
        return json_is_boolean(j) ? RC_OK : RC_INTEGRITY;
    case TTLV_TEXT_STRING:
        if (!json_is_string(j))
            return RC_INTEGRITY;
        n->bytes = arena_copy(a, json_text(j));
        return n->bytes.data ? RC_OK : RC_NO_MEMORY;
    case TTLV_DATE_TIME:
        return undate(j, 1, &n->date_time);
    case TTLV_DATE_TIME_EXTENDED:
        return undate(j, 1000000, &n->date_time);
    case TTLV_INTERVAL:
        TRY(integer_in(j, 0, UINT32_MAX, &number));
        n->interval = (uint32_t)number;
        return RC_OK;
    case TTLV_BIG_INTEGER:
        TRY(unhex(a, j, &n->bytes));
        return n->bytes.len > 0 && n->bytes.len % 8 == 0 ? RC_OK : RC_INTEGRITY;
    case TTLV_BYTE_STRING:
        return unhex(a, j, &n->bytes);
    default:
        return RC_INTEGRITY;
    }
}

static rc_t standard_value(struct arena *a, const struct kmip_attr_info *info, const json_t *j,
                           struct node **out)
{
    if (json_is_object(j) && json_object_get(j, "type"))
        return from_typed(a, j, info->tag, out, 1);
    if (info->type == TTLV_STRUCTURE)
        return json_is_object(j) ? from_short(a, j, info->tag, info->structure, out) : RC_INTEGRITY;
    return from_json(a, j, info->tag, info->type, out, 1);
}

static rc_t read_member(struct arena *a, struct bytes key, const json_t *j, struct kmip_attributes *out)
{
    uint32_t tag = kmip_tag_by_name(key);
    const struct kmip_attr_info *info = tag ? kmip_attr_info(tag) : NULL;
    struct bytes vendor = BYTES_NONE, name = BYTES_NONE;
    if (!info) {
        const uint8_t *sign = memchr(key.data, ':', key.len);
        const uint8_t *dash = memchr(key.data, '-', key.len);
        if (dash == key.data + 1 && (key.data[0] == 'x' || key.data[0] == 'y'))
            sign = dash;
        if (!sign || sign == key.data || sign == key.data + key.len - 1)
            return RC_INTEGRITY;
        struct bytes copy = arena_copy(a, key);
        if (!copy.data)
            return RC_NO_MEMORY;
        vendor = bytes_of(copy.data, (size_t)(sign - key.data));
        name = bytes_of(copy.data + vendor.len + 1, key.len - vendor.len - 1);
    }
    bool many = !info || (info->flags & ATTR_MULTI);
    if (many && !json_is_array(j))
        return RC_INTEGRITY;
    size_t count = many ? json_array_size(j) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = many ? json_array_get(j, i) : j;
        struct node *value = NULL;
        if (info) {
            TRY(standard_value(a, info, item, &value));
            value->tag = info->tag;
            TRY(kmip_attributes_add(a, out, value));
        } else {
            TRY(from_typed(a, item, KMIP_TAG_ATTRIBUTE_VALUE, &value, 1));
            TRY(kmip_attributes_add_vendor(a, out, vendor, name, value));
        }
    }
    return RC_OK;
}

rc_t attr_json_read(struct arena *a, struct bytes json, struct kmip_attributes *out)
{
    *out = (struct kmip_attributes){.present = true};
    if (json.len == 0)
        return RC_OK;
    json_error_t error;
    AUTO_JSON all = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(all))
        return RC_INTEGRITY;
    for (void *at = json_object_iter(all); at; at = json_object_iter_next(all, at)) {
        struct bytes key = bytes_of(json_object_iter_key(at), json_object_iter_key_len(at));
        TRY(read_member(a, key, json_object_iter_value(at), out));
    }
    return RC_OK;
}
