/*
 * Attribute lists from the JSON that attr_json_write.c makes. The text may have been through the
 * database or through other hands: whatever does not fit the tables is refused.
 */
#include "proto/kmip/attr_json.h"

#include "proto/kmip/attr_json_parts.h"

static rc_t from_json(struct arena *a, const json_t *j, uint32_t tag, uint8_t type,
                      struct node **out, int depth);

/* The other way than civil() in attr_json_write.c. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t y = year - era * 400;
    int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + y * 365 + y / 4 - y / 100 + in_year - 719468;
}

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
    if (!p || !digits(&p, 4, &year) || !literal(&p, '-') || !digits(&p, 2, &month) ||
        !literal(&p, '-') || !digits(&p, 2, &day) || !literal(&p, 'T') || !digits(&p, 2, &hour) ||
        !literal(&p, ':') || !digits(&p, 2, &minute) || !literal(&p, ':') ||
        !digits(&p, 2, &second))
        return RC_INTEGRITY;
    if (per_second > 1 && (!literal(&p, '.') || !digits(&p, 6, &fraction)))
        return RC_INTEGRITY;
    if (p[0] != 'Z' || p[1] != '\0' || month < 1 || month > 12 || day < 1 || day > 31 ||
        hour > 23 || minute > 59 || second > 59)
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
        while (k < count &&
               !(json_is_string(bit) && strcmp(json_string_value(bit), bits[k].name) == 0))
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
    return from_json(a, json_object_get(j, "value"), tag, type, out, depth);
}

static rc_t from_structure(struct arena *a, const json_t *j, uint32_t tag, struct node **out,
                           int depth)
{
    if (!json_is_array(j))
        return RC_INTEGRITY;
    struct node *n = node_structure(a, tag);
    if (!n)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < json_array_size(j); i++) {
        struct node *child = NULL;
        TRY(from_typed(a, json_array_get(j, i), 0, &child, depth + 1));
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
            TRY(from_json(a, many ? json_array_get(member, k) : member, f->tag,
                          attr_json_field_type(f->kind), &child, 1));
            TRY(node_append(n, child));
        }
    }
    *out = n;
    return used == json_object_size(j) ? RC_OK : RC_INTEGRITY;
}

static rc_t from_json(struct arena *a, const json_t *j, uint32_t tag, uint8_t type,
                      struct node **out, int depth)
{
    if (!j || depth > ATTR_JSON_LEVELS)
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

static rc_t read_member(struct arena *a, struct bytes key, const json_t *j,
                        struct kmip_attributes *out)
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
    if (count > ATTR_INDEX_MAX)
        return RC_INTEGRITY;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = many ? json_array_get(j, i) : j;
        struct kmip_attribute at = {.tag = info ? info->tag : KMIP_TAG_ATTRIBUTE,
                                    .index = many ? (int32_t)i : -1,
                                    .vendor = vendor,
                                    .name = name};
        if (many && json_is_null(item))
            continue; /* this instance was deleted */
        if (info) {
            TRY(standard_value(a, info, item, &at.value));
            at.value->tag = info->tag;
        } else {
            TRY(from_typed(a, item, KMIP_TAG_ATTRIBUTE_VALUE, &at.value, 1));
        }
        TRY(kmip_attributes_add_item(a, out, &at));
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
