/*
 * Attributes of a stored object under change; see edit.h. Each attribute lives in one of three
 * places: a field of the control record, the names, or the rest. Who may do what is in the
 * attribute table; what depends on state and dates is here.
 */
#include "server/ops/edit.h"

enum verb { ADD, MODIFY, DELETE };

rc_t edit_begin(struct edit *e, const struct object *before, struct object *object)
{
    uint32_t state = control_effective_state(&before->control, e->now);
    if (state == STATE_DESTROYED || state == STATE_DESTROYED_COMPROMISED)
        return RC_WRONG_STATE;
    e->before = before;
    e->object = object;
    TRY(attrs_load(e->arena, before, &e->rest));
    return attrs_of(e->arena, before, e->now, &e->all);
}

static bool is_meant(const struct kmip_attribute *at, const struct kmip_attr_ref *ref)
{
    return at->tag == ref->tag && bytes_equal(at->vendor, ref->vendor) &&
           (ref->tag != KMIP_TAG_ATTRIBUTE || bytes_equal(at->name, ref->name));
}

static int32_t index_of(const struct kmip_attribute *at)
{
    return at->index < 0 ? 0 : at->index;
}

size_t edit_count(const struct edit *e, const struct kmip_attr_ref *ref)
{
    size_t count = 0;
    for (size_t i = 0; i < e->all.count; i++)
        count += is_meant(&e->all.items[i], ref);
    return count;
}

void edit_nth(const struct edit *e, struct edit_target *target, size_t n)
{
    for (size_t i = 0; i < e->all.count; i++)
        if (is_meant(&e->all.items[i], &target->ref) && n-- == 0) {
            target->ref.index = index_of(&e->all.items[i]);
            return;
        }
}

/* The instance as it was before, or why there is none. */
static rc_t find(const struct edit *e, const struct edit_target *t, rc_t absent,
                 struct kmip_attribute *out)
{
    int32_t index = t->ref.index < 0 ? 0 : t->ref.index;
    bool any = false;
    for (size_t i = 0; i < e->all.count; i++) {
        const struct kmip_attribute *at = &e->all.items[i];
        if (!is_meant(at, &t->ref))
            continue;
        any = true;
        if (t->current ? !node_value_equal(at->value, t->current) : index_of(at) != index)
            continue;
        *out = *at;
        return RC_OK;
    }
    return any ? RC_ATTR_INSTANCE : absent;
}

/* ---- who may -------------------------------------------------------------------------------- */

/* What describes the material itself is said when the object is made, and not again. */
static bool describes_material(uint32_t tag)
{
    switch (tag) {
    case KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM:
    case KMIP_TAG_CRYPTOGRAPHIC_LENGTH:
    case KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS:
    case KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK:
    case KMIP_TAG_CERTIFICATE_TYPE:
    case KMIP_TAG_OPAQUE_DATA_TYPE:
    case KMIP_TAG_KEY_FORMAT_TYPE:
    case KMIP_TAG_PROTECTION_STORAGE_MASK:
    case KMIP_TAG_RANDOM_NUMBER_GENERATOR:
    case KMIP_TAG_FRESH:
        return true;
    default:
        return false;
    }
}

static bool is_past(int64_t date, int64_t now)
{
    return date != NO_DATE && date <= now;
}

/* Dates may change until they have come, in the states that they are about (KMIP 2.1, 4.1, 4.18,
 * 4.40, 4.41). */
static rc_t check_state(const struct edit *e, uint32_t tag)
{
    const struct control *c = &e->before->control;
    uint32_t state = control_effective_state(c, e->now);
    bool early = state == STATE_PRE_ACTIVE || state == STATE_ACTIVE;
    switch (tag) {
    case KMIP_TAG_ACTIVATION_DATE:
        return state == STATE_PRE_ACTIVE ? RC_OK : RC_WRONG_STATE;
    case KMIP_TAG_DEACTIVATION_DATE:
        return early ? RC_OK : RC_WRONG_STATE;
    case KMIP_TAG_PROCESS_START_DATE:
        return early && !is_past(c->process_start_date, e->now) ? RC_OK : RC_WRONG_STATE;
    case KMIP_TAG_PROTECT_STOP_DATE:
        return early && !is_past(c->protect_stop_date, e->now) ? RC_OK : RC_WRONG_STATE;
    default:
        return RC_OK;
    }
}

/* Usage Limits stay as they are once an allocation was made (KMIP 2.1, 4.59). */
static rc_t check_usage(const struct edit *e, uint32_t tag)
{
    const struct kmip_attribute *at = kmip_attributes_find(&e->all, tag, 0);
    if (tag != KMIP_TAG_USAGE_LIMITS || !at)
        return RC_OK;
    const struct node *total = node_child(at->value, KMIP_TAG_USAGE_LIMITS_TOTAL);
    const struct node *count = node_child(at->value, KMIP_TAG_USAGE_LIMITS_COUNT);
    return total && count && total->long_integer == count->long_integer ? RC_OK : RC_DENIED;
}

static rc_t check_verb(const struct edit *e, const struct kmip_attr_ref *ref, enum verb verb)
{
    static const unsigned flags[] = {ATTR_CLIENT_SET, ATTR_CLIENT_MODIFY, ATTR_CLIENT_DELETE};
    rc_t read_only = verb == ADD ? RC_ATTR_ADD_READ_ONLY : RC_ATTR_READ_ONLY;
    if (ref->tag == KMIP_TAG_ATTRIBUTE)
        return attrs_is_servers(ref->vendor) ? read_only : RC_OK;
    const struct kmip_attr_info *info = kmip_attr_info(ref->tag);
    if (!info || !kmip_attr_known(ref->tag, e->version))
        return verb == DELETE ? RC_ATTR_NOT_FOUND : RC_ATTR_UNSUPPORTED;
    if (!(info->flags & flags[verb]))
        return read_only;
    if (!((info->objects | info->objects_2x) & ATTR_OBJECT(e->before->control.object_type)))
        return verb == ADD ? RC_ATTR_NOT_HERE : RC_OK; /* it is absent, then */
    if (verb == ADD && !(info->flags & ATTR_MULTI) && kmip_attributes_find(&e->all, ref->tag, 0))
        return RC_ATTR_SINGLE;
    if (describes_material(ref->tag))
        return read_only;
    TRY(check_usage(e, ref->tag));
    return check_state(e, ref->tag);
}

/* ---- values --------------------------------------------------------------------------------- */

/* The value as it will be stored. */
static rc_t prepare(const struct edit *e, const struct kmip_attribute *at,
                    struct kmip_attribute *out)
{
    *out = *at;
    TRY(kmip_attribute_check(at, e->version));
    switch (at->tag) {
    case KMIP_TAG_USAGE_LIMITS:
        out->value = attrs_usage_limits(e->arena, at->value);
        return out->value ? RC_OK : RC_NO_MEMORY;
    case KMIP_TAG_APPLICATION_SPECIFIC_INFORMATION:
        /* Without data the server would have to make some: no namespace is offered for that. */
        return node_child(at->value, KMIP_TAG_APPLICATION_DATA) ? RC_OK : RC_APP_NAMESPACE;
    case KMIP_TAG_QUANTUM_SAFE:
        return at->value->boolean ? RC_NOT_QUANTUM_SAFE : RC_OK;
    default:
        return RC_OK;
    }
}

/* A name with this value and index instead of the one at `place`, or behind all others. */
static rc_t put_name(struct edit *e, size_t place, const struct kmip_attribute *at)
{
    struct object *o = e->object;
    struct name *names = ARENA_ARRAY(e->arena, o->name_count + 1, struct name);
    struct name name;
    if (!names)
        return RC_NO_MEMORY;
    TRY(attrs_name(e->limits, at->value, &name));
    name.index = at->index;
    for (size_t i = 0; i < o->name_count; i++) {
        if (i != place && bytes_equal(o->names[i].value, name.value))
            return RC_NAME_USED;
        names[i] = o->names[i];
    }
    names[place] = name;
    o->name_count += place == o->name_count;
    o->names = names;
    e->names = true;
    return RC_OK;
}

static size_t name_place(const struct object *o, int32_t index)
{
    size_t i = 0;
    while (i < o->name_count && o->names[i].index != index)
        i++;
    return i;
}

static size_t rest_place(const struct edit *e, const struct kmip_attribute *at)
{
    for (size_t i = 0; i < e->rest.count; i++)
        if (kmip_attribute_same(&e->rest.items[i], at) &&
            index_of(&e->rest.items[i]) == index_of(at))
            return i;
    return e->rest.count;
}

/*
 * What guards the key only grows tighter: the vault signs nothing else (rules.h). Dates must agree when one
 * is given, not ever after: a key that was revoked early is dated before its Process Start Date.
 */
static rc_t put_field(struct edit *e, const struct attrs_field *f, const struct node *value)
{
    const struct control *old = &e->before->control;
    struct control *c = &e->object->control;
    TRY(attrs_field_set(f, value, c));
    if (f->kind == ATTRS_DATE)
        TRY(attrs_check_dates(c));
    if ((old->sensitive && !c->sensitive) || (!old->extractable && c->extractable))
        return RC_DENIED;
    c->always_sensitive = old->always_sensitive && c->sensitive;
    c->never_extractable = old->never_extractable && !c->extractable;
    return RC_OK;
}

/* Puts the instance where it belongs: over the one with its index, or as a new one. */
static rc_t put(struct edit *e, const struct kmip_attribute *at)
{
    const struct attrs_field *f = attrs_field(at->tag);
    if (f)
        return put_field(e, f, at->value);
    if (at->tag == KMIP_TAG_NAME)
        return put_name(e, name_place(e->object, at->index), at);
    size_t place = rest_place(e, at);
    if (place == e->rest.count)
        return kmip_attributes_add_item(e->arena, &e->rest, at);
    e->rest.items[place] = *at;
    return RC_OK;
}

/* ---- the changes ---------------------------------------------------------------------------- */

/* An index that no instance has: instances keep theirs for ever (KMIP 1.4, 2.1.1). */
static int32_t next_index(const struct edit *e, const struct kmip_attribute *like)
{
    int32_t next = 0;
    for (size_t i = 0; i < e->all.count; i++)
        if (kmip_attribute_same(&e->all.items[i], like) && index_of(&e->all.items[i]) >= next)
            next = index_of(&e->all.items[i]) + 1;
    return next;
}

static struct kmip_attr_ref ref_of(const struct kmip_attribute *at)
{
    return (struct kmip_attr_ref){at->tag, at->index, at->vendor, at->name};
}

static bool is_multi(const struct kmip_attribute *at)
{
    const struct kmip_attr_info *info = kmip_attr_info(at->tag);
    return !info || (info->flags & ATTR_MULTI);
}

rc_t edit_add(struct edit *e, const struct kmip_attribute *at, struct kmip_attribute *out)
{
    const struct kmip_attr_ref ref = ref_of(at);
    TRY(check_verb(e, &ref, ADD));
    TRY(prepare(e, at, out));
    out->index = is_multi(at) ? next_index(e, at) : -1;
    if (e->all.count >= e->limits->attributes || out->index >= (int32_t)e->limits->attributes)
        return RC_ATTR_FULL;
    return put(e, out);
}

rc_t edit_modify(struct edit *e, const struct edit_target *target, const struct kmip_attribute *at,
                 struct kmip_attribute *out)
{
    struct kmip_attribute old;
    TRY(check_verb(e, &target->ref, MODIFY));
    TRY(find(e, target, RC_ATTR_ABSENT, &old));
    TRY(prepare(e, at, out));
    out->index = old.index;
    return put(e, out);
}

rc_t edit_delete(struct edit *e, const struct edit_target *target, struct kmip_attribute *out)
{
    TRY(check_verb(e, &target->ref, DELETE));
    TRY(find(e, target, RC_ATTR_NOT_FOUND, out));
    struct object *o = e->object;
    if (out->tag == KMIP_TAG_NAME) {
        /* The loaded names stay as they are: they belong to the object before. */
        struct name *names = ARENA_ARRAY(e->arena, o->name_count, struct name);
        size_t gone = name_place(o, out->index), kept = 0;
        if (!names)
            return RC_NO_MEMORY;
        for (size_t i = 0; i < o->name_count; i++)
            if (i != gone)
                names[kept++] = o->names[i];
        o->names = names;
        o->name_count = kept;
        e->names = true;
        return RC_OK;
    }
    size_t place = rest_place(e, out);
    if (place == e->rest.count)
        return RC_INTERNAL; /* fields of the control record cannot be deleted by the table */
    e->rest.count--;
    memmove(&e->rest.items[place], &e->rest.items[place + 1],
            (e->rest.count - place) * sizeof *e->rest.items);
    return RC_OK;
}

rc_t edit_end(struct edit *e)
{
    return attrs_store(e->arena, e->object, &e->rest);
}
