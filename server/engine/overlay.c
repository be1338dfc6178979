/* The unit of work; see overlay.h. */
#include "server/engine/overlay.h"

static struct overlay_entry *entry_of(const struct overlay *o, const struct uid *uid)
{
    for (size_t i = 0; i < o->count; i++)
        if (uid_equal(&o->entries[i].object->control.uid, uid))
            return &o->entries[i];
    return NULL;
}

struct object *overlay_find(const struct overlay *o, const struct uid *uid)
{
    struct overlay_entry *e = entry_of(o, uid);
    return e ? e->object : NULL;
}

/* Doubles an arena array when it is full. */
static rc_t grow(struct arena *a, void **items, size_t count, size_t *room, size_t each)
{
    if (count < *room)
        return RC_OK;
    size_t wider = *room ? *room * 2 : 4;
    void *more = arena_array(a, wider, each);
    if (!more)
        return RC_NO_MEMORY;
    if (count)
        memcpy(more, *items, count * each);
    *items = more;
    *room = wider;
    return RC_OK;
}

static enum db_change_kind join(enum db_change_kind first, enum db_change_kind second)
{
    if (first == DB_INSERT)
        return DB_INSERT;
    return first == DB_DESTROY ? DB_DESTROY : second;
}

rc_t overlay_apply(struct overlay *o, struct arena *a, size_t item, const struct op_change *change,
                   uint64_t loaded_version)
{
    struct object *object = change->object;
    if (change->kind == DB_DESTROY)
        object->material = BYTES_NONE;
    struct overlay_entry *e = entry_of(o, &object->control.uid);
    if (e) {
        e->object = object;
        e->kind = join(e->kind, change->kind);
        e->names |= change->names;
        return RC_OK;
    }
    TRY(grow(a, (void **)&o->entries, o->count, &o->room, sizeof *o->entries));
    o->entries[o->count++] = (struct overlay_entry){
        object, change->kind, change->names, loaded_version, item};
    return RC_OK;
}

static bool is_gone(const struct object *o)
{
    return o->control.state == STATE_DESTROYED || o->control.state == STATE_DESTROYED_COMPROMISED;
}

static bool share_name(const struct object *a, const struct object *b)
{
    for (size_t i = 0; i < a->name_count; i++)
        for (size_t j = 0; j < b->name_count; j++)
            if (bytes_equal(a->names[i].value, b->names[j].value))
                return true;
    return false;
}

bool overlay_has_name(const struct overlay *o, const struct object *object)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct object *other = o->entries[i].object;
        if (!uid_equal(&other->control.uid, &object->control.uid) && !is_gone(other) &&
            uid_equal(&other->control.owner, &object->control.owner) && share_name(other, object))
            return true;
    }
    return false;
}

struct object *overlay_named(const struct overlay *o, const struct uid *owner, struct bytes name)
{
    for (size_t i = 0; i < o->count; i++) {
        struct object *object = o->entries[i].object;
        if (is_gone(object) || !uid_equal(&object->control.owner, owner))
            continue;
        for (size_t j = 0; j < object->name_count; j++)
            if (bytes_equal(object->names[j].value, name))
                return object;
    }
    return NULL;
}

rc_t overlay_read(struct overlay *o, struct arena *a, const struct uid *uid, uint64_t version)
{
    for (size_t i = 0; i < o->read_count; i++)
        if (uid_equal(&o->reads[i].uid, uid) && o->reads[i].version == version)
            return RC_OK;
    TRY(grow(a, (void **)&o->reads, o->read_count, &o->read_room, sizeof *o->reads));
    o->reads[o->read_count++] = (struct db_read){*uid, version};
    return RC_OK;
}

void overlay_undo(struct overlay *o)
{
    o->count = 0;
}

rc_t overlay_unit(const struct overlay *o, struct arena *a, struct db_unit *unit)
{
    unit->changes = ARENA_ARRAY(a, o->count + 1, struct db_change);
    unit->reads = ARENA_ARRAY(a, o->read_count + 1, struct db_read);
    if (!unit->changes || !unit->reads)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < o->count; i++) {
        const struct overlay_entry *e = &o->entries[i];
        unit->changes[unit->change_count++] =
            (struct db_change){.kind = e->kind,
                               .object = e->object,
                               .expected = e->expected,
                               .replace_names = e->kind == DB_UPDATE && e->names};
    }
    for (size_t i = 0; i < o->read_count; i++) {
        const struct overlay_entry *e = entry_of(o, &o->reads[i].uid);
        if (!e || e->expected != o->reads[i].version)
            unit->reads[unit->read_count++] = o->reads[i];
    }
    return RC_OK;
}
