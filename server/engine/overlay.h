/*
 * The unit of work of one request: objects that its items made or changed, as later items of the
 * same request must see them, and what was read. At the end it becomes one db_unit; Undo drops it.
 */
#ifndef SERVER_ENGINE_OVERLAY_H
#define SERVER_ENGINE_OVERLAY_H

#include "db/unit.h"
#include "proto/base/arena.h"
#include "server/ops/op.h"

struct overlay_entry {
    struct object *object; /* as it is after the items so far */
    enum db_change_kind kind;
    bool names;        /* UPDATE: its names change, too */
    uint64_t expected; /* version in the database, for UPDATE and DESTROY */
    size_t item;       /* batch item that made it, or that changed it first */
};

struct overlay {
    size_t count, room;
    struct overlay_entry *entries;
    size_t read_count, read_room;
    struct db_read *reads;
};

/* The object as this request left it, or NULL if no item touched it. */
struct object *overlay_find(const struct overlay *o, const struct uid *uid);
/*
 * Adds the change of one item; a second change of the same object joins the first (what was made
 * here stays an insert, what was destroyed stays destroyed). Memory of the arena. RC_NO_MEMORY.
 */
rc_t overlay_apply(struct overlay *o, struct arena *a, size_t item, const struct op_change *change,
                   uint64_t loaded_version);
/* Whether another object touched here, of the same owner and not destroyed, has one of its names. */
bool overlay_has_name(const struct overlay *o, const struct object *object);
/* The live object touched here that has this owner and name, or NULL. */
struct object *overlay_named(const struct overlay *o, const struct uid *owner, struct bytes name);
/* Remembers that an object was read at this version. */
rc_t overlay_read(struct overlay *o, struct arena *a, const struct uid *uid, uint64_t version);
/* Drops changes and keeps reads. */
void overlay_undo(struct overlay *o);
/* The changes and reads as the database wants them; reads of changed objects are left out. */
rc_t overlay_unit(const struct overlay *o, struct arena *a, struct db_unit *unit);

#endif
