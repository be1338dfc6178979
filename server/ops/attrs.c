/*
 * Attributes in and out of a stored object; see attrs.h. Two tables: the fields of the control
 * record that are attributes, and the ones copied into the JSON for Locate. All else follows the
 * attribute table of proto/kmip/attribute.h.
 */
#include "config.h" /* memmem() */

#include "server/ops/attrs.h"

#include <openssl/sha.h>
#include <stddef.h>

#include "proto/kmip/attr_json.h"
#include "proto/kmip/message.h"

#define FIELD(tag, kind, member)                                                                   \
    {                                                                                              \
        tag, kind, offsetof(struct control, member)                                                \
    }
static const struct attrs_field fields[] = {
    FIELD(KMIP_TAG_OBJECT_TYPE, ATTRS_U32, object_type),
    FIELD(KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, ATTRS_U32, algorithm),
    FIELD(KMIP_TAG_CRYPTOGRAPHIC_LENGTH, ATTRS_U32, length),
    FIELD(KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, ATTRS_U32, usage_mask),
    FIELD(KMIP_TAG_INITIAL_DATE, ATTRS_DATE, initial_date),
    FIELD(KMIP_TAG_ACTIVATION_DATE, ATTRS_DATE, activation_date),
    FIELD(KMIP_TAG_PROCESS_START_DATE, ATTRS_DATE, process_start_date),
    FIELD(KMIP_TAG_PROTECT_STOP_DATE, ATTRS_DATE, protect_stop_date),
    FIELD(KMIP_TAG_DEACTIVATION_DATE, ATTRS_DATE, deactivation_date),
    FIELD(KMIP_TAG_COMPROMISE_OCCURRENCE_DATE, ATTRS_DATE, compromise_occurrence_date),
    FIELD(KMIP_TAG_COMPROMISE_DATE, ATTRS_DATE, compromise_date),
    FIELD(KMIP_TAG_DESTROY_DATE, ATTRS_DATE, destroy_date),
    FIELD(KMIP_TAG_SENSITIVE, ATTRS_BOOL, sensitive),
    FIELD(KMIP_TAG_ALWAYS_SENSITIVE, ATTRS_BOOL, always_sensitive),
    FIELD(KMIP_TAG_EXTRACTABLE, ATTRS_BOOL, extractable),
    FIELD(KMIP_TAG_NEVER_EXTRACTABLE, ATTRS_BOOL, never_extractable),
};
#undef FIELD
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

/* Kept in the JSON only so that Locate finds them; attrs_load() drops them. */
static const uint32_t copies[] = {
    KMIP_TAG_SENSITIVE,         KMIP_TAG_ALWAYS_SENSITIVE,        KMIP_TAG_EXTRACTABLE,
    KMIP_TAG_NEVER_EXTRACTABLE, KMIP_TAG_SHORT_UNIQUE_IDENTIFIER,
};

static const char house_vendor[] = "holdfast";
static const char secret_type_name[] = "Secret Data Type";

const struct attrs_field *attrs_field(uint32_t tag)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields[i].tag == tag)
            return &fields[i];
    return NULL;
}

static bool is_copy(uint32_t tag)
{
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++)
        if (copies[i] == tag)
            return true;
    return false;
}

bool attrs_is_house(struct bytes vendor)
{
    return bytes_is(vendor, house_vendor);
}

bool attrs_is_servers(struct bytes vendor)
{
    return attrs_is_house(vendor) || bytes_is(vendor, "y");
}

static bool is_house(const struct kmip_attribute *at)
{
    return at->tag == KMIP_TAG_ATTRIBUTE && attrs_is_house(at->vendor);
}

void attrs_blank(struct object *o)
{
    struct control *c = &o->control;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields[i].kind == ATTRS_DATE && fields[i].tag != KMIP_TAG_INITIAL_DATE)
            *(int64_t *)(void *)((uint8_t *)c + fields[i].offset) = NO_DATE;
    c->extractable = true;
    c->sensitive = false;
}

/* ---- taking --------------------------------------------------------------------------------- */

rc_t attrs_field_set(const struct attrs_field *f, const struct node *v, struct control *c)
{
    void *at = (uint8_t *)c + f->offset;
    switch (f->kind) {
    case ATTRS_U32:
        if (v->type == TTLV_ENUMERATION) {
            *(uint32_t *)at = v->enumeration;
        } else if (v->type == TTLV_INTEGER) {
            if (v->integer < 0)
                return RC_ATTR_VALUE;
            *(uint32_t *)at = (uint32_t)v->integer;
        } else {
            return RC_ATTR_VALUE;
        }
        return RC_OK;
    case ATTRS_DATE:
        if (v->type != TTLV_DATE_TIME || v->date_time == NO_DATE)
            return RC_ATTR_VALUE;
        *(int64_t *)at = v->date_time;
        return RC_OK;
    case ATTRS_BOOL:
        if (v->type != TTLV_BOOLEAN)
            return RC_ATTR_VALUE;
        *(bool *)at = v->boolean;
        return RC_OK;
    }
    return RC_INTERNAL;
}

rc_t attrs_name(const struct attrs_limits *limits, const struct node *v, struct name *out)
{
    const struct node *value = node_child(v, KMIP_TAG_NAME_VALUE);
    const struct node *type = node_child(v, KMIP_TAG_NAME_TYPE);
    if (!value || value->type != TTLV_TEXT_STRING || !type || type->type != TTLV_ENUMERATION)
        return RC_ATTR_VALUE;
    if (value->bytes.len == 0)
        return RC_ATTR_VALUE;
    if (value->bytes.len > limits->name_bytes)
        return RC_NAME_LENGTH;
    *out = (struct name){value->bytes, type->enumeration, 0};
    return RC_OK;
}

static rc_t take_name(struct arena *a, const struct attrs_limits *limits, const struct node *v,
                      size_t most, struct object *o)
{
    struct name name;
    TRY(attrs_name(limits, v, &name));
    for (size_t i = 0; i < o->name_count; i++)
        if (bytes_equal(o->names[i].value, name.value))
            return RC_NAME_TAKEN;
    if (!o->names && !(o->names = ARENA_ARRAY(a, most, struct name)))
        return RC_NO_MEMORY;
    name.index = (int32_t)o->name_count;
    o->names[o->name_count++] = name;
    return RC_OK;
}

struct node *attrs_usage_limits(struct arena *a, const struct node *v)
{
    const struct node *total = node_child(v, KMIP_TAG_USAGE_LIMITS_TOTAL);
    const struct node *unit = node_child(v, KMIP_TAG_USAGE_LIMITS_UNIT);
    struct node *n = node_structure(a, KMIP_TAG_USAGE_LIMITS);
    if (!n || !total || !unit ||
        node_append(n, node_long(a, KMIP_TAG_USAGE_LIMITS_TOTAL, total->long_integer)) != RC_OK ||
        node_append(n, node_long(a, KMIP_TAG_USAGE_LIMITS_COUNT, total->long_integer)) != RC_OK ||
        node_append(n, node_enum(a, KMIP_TAG_USAGE_LIMITS_UNIT, unit->enumeration)) != RC_OK)
        return NULL;
    return n;
}

/* Whether a client may give this attribute when the object is made in this way. */
static bool settable(const struct kmip_attr_info *info, enum attrs_origin origin)
{
    switch (info->tag) {
    case KMIP_TAG_ORIGINAL_CREATION_DATE:
    case KMIP_TAG_RANDOM_NUMBER_GENERATOR:
        return origin == ATTRS_REGISTER; /* the server's when it generates (KMIP 2.1, 4.38, 4.46) */
    case KMIP_TAG_FRESH:
    case KMIP_TAG_CERTIFICATE_LENGTH: /* the certificate's own; may be told (KMIP 2.1, table 293) */
    case KMIP_TAG_DIGITAL_SIGNATURE_ALGORITHM:
        return origin == ATTRS_REGISTER;
    case KMIP_TAG_KEY_FORMAT_TYPE:
        return origin == ATTRS_CREATE; /* may be asked for (KMIP 2.1, 4.26) */
    default:
        return info->flags & ATTR_CLIENT_SET;
    }
}

static rc_t take_standard(struct arena *a, uint16_t version, enum attrs_origin origin,
                          const struct attrs_limits *limits, const struct kmip_attributes *given,
                          size_t i, struct object *o, struct kmip_attributes *rest)
{
    const struct kmip_attribute *at = &given->items[i];
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    if (!info || !kmip_attr_known(at->tag, version))
        return RC_ATTR_UNSUPPORTED;
    if (!settable(info, origin))
        return RC_ATTR_READ_ONLY;
    TRY(kmip_attribute_check(at, version));
    /* Whichever family gives it to this type: clients of 1.x send a length with Secret Data, too.
     */
    if (!((info->objects | info->objects_2x) & ATTR_OBJECT(o->control.object_type)))
        return RC_ATTR_INVALID;
    if (!(info->flags & ATTR_MULTI) && kmip_attributes_find(given, at->tag, 0) != at)
        return RC_ATTR_SINGLE;
    const struct attrs_field *f = attrs_field(at->tag);
    if (f)
        return attrs_field_set(f, at->value, &o->control);
    switch (at->tag) {
    case KMIP_TAG_NAME:
        return take_name(a, limits, at->value, given->count, o);
    case KMIP_TAG_KEY_FORMAT_TYPE:
        o->key_format = at->value->enumeration;
        return RC_OK;
    case KMIP_TAG_PROTECTION_STORAGE_MASK: /* a wish; what is stored is the server's to say */
        return at->value->integer & ~ATTRS_STORAGE ? RC_STORAGE_UNAVAILABLE : RC_OK;
    case KMIP_TAG_USAGE_LIMITS:
        return kmip_attributes_add(a, rest, attrs_usage_limits(a, at->value));
    case KMIP_TAG_APPLICATION_SPECIFIC_INFORMATION:
        /* Without data the server would have to make some: no namespace is offered for that. */
        if (!node_child(at->value, KMIP_TAG_APPLICATION_DATA))
            return RC_APP_NAMESPACE;
        return kmip_attributes_add(a, rest, at->value);
    default:
        return kmip_attributes_add(a, rest, at->value);
    }
}

rc_t attrs_take(struct arena *a, uint16_t version, enum attrs_origin origin,
                const struct attrs_limits *limits, const struct kmip_attributes *given,
                struct object *o, struct kmip_attributes *rest)
{
    if (given->template_count)
        return RC_FEATURE;
    if (given->count > limits->attributes)
        return RC_ATTR_FULL;
    for (size_t i = 0; i < given->count; i++) {
        const struct kmip_attribute *at = &given->items[i];
        if (at->tag == KMIP_TAG_ATTRIBUTE && attrs_is_servers(at->vendor))
            return RC_ATTR_READ_ONLY;
        if (at->tag == KMIP_TAG_ATTRIBUTE)
            TRY(kmip_attributes_add_vendor(a, rest, at->vendor, at->name, at->value));
        else
            TRY(take_standard(a, version, origin, limits, given, i, o, rest));
    }
    return RC_OK;
}

/* ---- first values --------------------------------------------------------------------------- */

/* Whether both are set and the first is later. */
static bool later(int64_t a, int64_t b)
{
    return a != NO_DATE && b != NO_DATE && a > b;
}

rc_t attrs_check_dates(const struct control *c)
{
    bool wrong = later(c->activation_date, c->deactivation_date) ||
                 later(c->activation_date, c->process_start_date) ||
                 later(c->process_start_date, c->deactivation_date) ||
                 later(c->protect_stop_date, c->deactivation_date);
    return wrong ? RC_ATTR_VALUE : RC_OK;
}

rc_t attrs_first_state(struct object *o, int64_t now)
{
    struct control *c = &o->control;
    TRY(attrs_check_dates(c));
    c->state = STATE_PRE_ACTIVE;
    c->state = control_effective_state(c, now);
    return RC_OK;
}

void attrs_first_protection(struct object *o)
{
    o->control.always_sensitive = o->control.sensitive;
    o->control.never_extractable = !o->control.extractable;
}

rc_t attrs_add_digest(struct arena *a, struct kmip_attributes *rest, const uint8_t digest[32],
                      uint32_t key_format)
{
    struct bytes copy = arena_copy(a, bytes_of(digest, 32));
    struct node *n = node_structure(a, KMIP_TAG_DIGEST);
    if (!n || !copy.data)
        return RC_NO_MEMORY;
    TRY(node_append(n, node_enum(a, KMIP_TAG_HASHING_ALGORITHM, KMIP_HASH_SHA_256)));
    TRY(node_append(n, node_bytes(a, KMIP_TAG_DIGEST_VALUE, copy)));
    if (key_format)
        TRY(node_append(n, node_enum(a, KMIP_TAG_KEY_FORMAT_TYPE, key_format)));
    return kmip_attributes_add(a, rest, n);
}

struct node *attrs_rng_node(struct arena *a, uint32_t tag)
{
    /* OpenSSL's default generator, seeded by the system and the TPM: CTR_DRBG over AES-256. */
    struct node *n = node_structure(a, tag);
    if (!n ||
        node_append(n, node_enum(a, KMIP_TAG_RNG_ALGORITHM, KMIP_RNG_ALGORITHM_DRBG)) != RC_OK ||
        node_append(n, node_enum(a, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, KMIP_ALGORITHM_AES)) !=
            RC_OK ||
        node_append(n, node_integer(a, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256)) != RC_OK ||
        node_append(n, node_enum(a, KMIP_TAG_DRBG_ALGORITHM, KMIP_DRBG_ALGORITHM_CTR)) != RC_OK ||
        node_append(n, node_boolean(a, KMIP_TAG_PREDICTION_RESISTANCE, false)) != RC_OK)
        return NULL;
    return n;
}

rc_t attrs_add_rng(struct arena *a, struct kmip_attributes *rest)
{
    return kmip_attributes_add(a, rest, attrs_rng_node(a, KMIP_TAG_RANDOM_NUMBER_GENERATOR));
}

/* ---- stored form ---------------------------------------------------------------------------- */

static struct node *short_uid(struct arena *a, const struct object *o)
{
    /* SHA-256 of the Unique Identifier (KMIP 2.1, 4.56). */
    char text[UID_TEXT_SIZE];
    uint8_t *hash = arena_alloc(a, 32);
    if (!hash)
        return NULL;
    uid_print(&o->control.uid, text);
    SHA256((const uint8_t *)text, strlen(text), hash);
    return node_bytes(a, KMIP_TAG_SHORT_UNIQUE_IDENTIFIER, bytes_of(hash, 32));
}

/* What stands behind the colon of this member, or nothing. The quote that opens a member's name is never escaped, those
 * inside of texts always are: these bytes stand for the member alone. */
static struct bytes member_of(const struct object *o, const char *member)
{
    struct bytes json = o->attributes;
    const uint8_t *at = json.len ? memmem(json.data, json.len, member, strlen(member)) : NULL;
    if (!at)
        return BYTES_NONE;
    at += strlen(member);
    return bytes_of(at, (size_t)(json.data + json.len - at));
}

bool attrs_may_be_fresh(const struct object *o)
{
    /* The database writes a blank after the colon, we do not. */
    struct bytes value = member_of(o, "\"Fresh\":");
    size_t i = 0;
    while (i < value.len && value.data[i] == ' ')
        i++;
    return i < value.len && value.data[i] == 't';
}

bool attrs_may_be_limited(const struct object *o)
{
    return member_of(o, "\"UsageLimits\":").len > 0;
}

rc_t attrs_load(struct arena *a, const struct object *o, struct kmip_attributes *rest)
{
    struct kmip_attributes all = {0};
    TRY(attr_json_read(a, o->attributes, &all));
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (!is_copy(all.items[i].tag))
            all.items[kept++] = all.items[i];
    all.count = kept;
    *rest = all;
    return RC_OK;
}

rc_t attrs_store(struct arena *a, struct object *o, const struct kmip_attributes *rest)
{
    struct kmip_attributes all = {0};
    for (size_t i = 0; i < rest->count; i++)
        TRY(kmip_attributes_add_item(a, &all, &rest->items[i]));
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (is_copy(fields[i].tag))
            TRY(kmip_attributes_add_boolean(
                a, &all, fields[i].tag,
                *(const bool *)((const uint8_t *)&o->control + fields[i].offset)));
    TRY(kmip_attributes_add(a, &all, short_uid(a, o)));
    AUTO_BUF json = BUF_EMPTY;
    TRY(attr_json_write(&all, &json));
    o->attributes = arena_copy(a, buf_view(&json));
    return o->attributes.data ? RC_OK : RC_NO_MEMORY;
}

rc_t attrs_set(struct arena *a, struct kmip_attributes *list, struct node *value)
{
    if (!value)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].tag == value->tag) {
            list->items[i].value = value;
            return RC_OK;
        }
    return kmip_attributes_add(a, list, value);
}

rc_t attrs_keep(struct arena *a, struct kmip_attributes *rest, const char *name, struct node *value)
{
    return kmip_attributes_add_vendor(a, rest, bytes_str(house_vendor), bytes_str(name), value);
}

const struct node *attrs_kept(const struct kmip_attributes *rest, const char *name)
{
    const struct kmip_attribute *at =
        kmip_attributes_find_vendor(rest, bytes_str(house_vendor), bytes_str(name), 0);
    return at ? at->value : NULL;
}

rc_t attrs_keep_secret_type(struct arena *a, struct kmip_attributes *rest, uint32_t type)
{
    return attrs_keep(a, rest, secret_type_name, node_enum(a, KMIP_TAG_ATTRIBUTE_VALUE, type));
}

uint32_t attrs_secret_type(const struct kmip_attributes *rest)
{
    const struct node *value = attrs_kept(rest, secret_type_name);
    return value && value->type == TTLV_ENUMERATION ? value->enumeration : 0;
}

/* ---- the whole list ------------------------------------------------------------------------- */

static rc_t add_field(struct arena *a, const struct attrs_field *f, const struct control *c,
                      struct kmip_attributes *out)
{
    const void *at = (const uint8_t *)c + f->offset;
    const struct kmip_attr_info *info = kmip_attr_info(f->tag);
    switch (f->kind) {
    case ATTRS_U32: {
        uint32_t v = *(const uint32_t *)at;
        if (v == 0)
            return RC_OK;
        if (info && info->type == TTLV_ENUMERATION)
            return kmip_attributes_add_enum(a, out, f->tag, v);
        return kmip_attributes_add_integer(a, out, f->tag, (int32_t)v);
    }
    case ATTRS_DATE: {
        int64_t v = *(const int64_t *)at;
        return v == NO_DATE ? RC_OK : kmip_attributes_add_date(a, out, f->tag, v);
    }
    case ATTRS_BOOL:
        return kmip_attributes_add_boolean(a, out, f->tag, *(const bool *)at);
    }
    return RC_INTERNAL;
}

rc_t attrs_of(struct arena *a, const struct object *o, int64_t now, struct kmip_attributes *out)
{
    const struct control *c = &o->control;
    char text[UID_TEXT_SIZE];
    uid_print(&c->uid, text);
    struct bytes uid = arena_copy(a, bytes_str(text));
    if (!uid.data)
        return RC_NO_MEMORY;
    *out = (struct kmip_attributes){.present = true};
    TRY(kmip_attributes_add_text(a, out, KMIP_TAG_UNIQUE_IDENTIFIER, uid));
    for (size_t i = 0; i < o->name_count; i++) {
        TRY(kmip_attributes_add_name(a, out, o->names[i].value, o->names[i].type));
        out->items[out->count - 1].index = o->names[i].index;
    }
    TRY(kmip_attributes_add_enum(a, out, KMIP_TAG_STATE, control_effective_state(c, now)));
    for (size_t i = 0; i < FIELD_COUNT; i++)
        TRY(add_field(a, &fields[i], c, out));
    TRY(kmip_attributes_add_date(a, out, KMIP_TAG_LAST_CHANGE_DATE, o->last_change_date));
    if (o->key_format)
        TRY(kmip_attributes_add_enum(a, out, KMIP_TAG_KEY_FORMAT_TYPE, o->key_format));
    TRY(kmip_attributes_add(a, out, node_interval(a, KMIP_TAG_LEASE_TIME, ATTRS_LEASE_S)));
    TRY(kmip_attributes_add(a, out, short_uid(a, o)));
    struct kmip_attributes rest;
    TRY(attrs_load(a, o, &rest));
    for (size_t i = 0; i < rest.count; i++) {
        if (!is_house(&rest.items[i]))
            TRY(kmip_attributes_add_item(a, out, &rest.items[i]));
    }
    return RC_OK;
}

/* Whether objects of this type have the attribute at all, by the rules of the version. */
static bool applies(const struct kmip_attribute *at, uint16_t version, uint32_t object_type)
{
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    if (!info)
        return true; /* vendor attributes go with everything */
    return (version < V2_0 ? info->objects : info->objects_2x) & ATTR_OBJECT(object_type);
}

rc_t attrs_shown(struct arena *a, const struct object *o, int64_t now, uint16_t version,
                 struct kmip_attributes *out)
{
    struct kmip_attributes all;
    TRY(attrs_of(a, o, now, &all));
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (applies(&all.items[i], version, o->control.object_type))
            all.items[kept++] = all.items[i];
    all.count = kept;
    TRY(kmip_attributes_for_version(a, &all, version, out));
    out->present = true;
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].index == 0)
            out->items[i].index = -1; /* understood (KMIP 1.4, 2.1.1) */
    return RC_OK;
}
