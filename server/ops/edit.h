/*
 * Changing the attributes of a stored object: add, modify, delete one instance within the rules of
 * each attribute (who may, in which state, how many instances). Pure functions on a copy of the
 * object; the vault signs the result. KMIP 1.4, 3 and 4.14 to 4.16; KMIP 2.1, 4 and 6.1.2, 6.1.13,
 * 6.1.34, 6.1.51.
 */
#ifndef SERVER_OPS_EDIT_H
#define SERVER_OPS_EDIT_H

#include "server/ops/attrs.h"

/* An object under change. Memory of the arena. */
struct edit {
    struct arena *arena;
    uint16_t version;
    int64_t now;
    const struct attrs_limits *limits;
    const struct object *before;
    struct object *object;       /* the copy that becomes the new object */
    struct kmip_attributes rest; /* its attributes outside of control record and names */
    struct kmip_attributes all;  /* all attributes as they were before */
    bool names;                  /* the names changed */
};

/* Which instance of an attribute: by its index (1.x; -1: the first) or by its value (2.x Current
 * Attribute; index is not looked at). */
struct edit_target {
    struct kmip_attr_ref ref;
    const struct node *current; /* NULL: by index */
};

/* Begins with `before` as loaded, names and attributes included, and `object` as its copy.
 * RC_WRONG_STATE: it is destroyed. RC_NO_MEMORY, RC_INTEGRITY. */
rc_t edit_begin(struct edit *e, const struct object *before, struct object *object);

/* How many instances the attribute had before. */
size_t edit_count(const struct edit *e, const struct kmip_attr_ref *ref);
/* Makes the target mean the n-th (from 0) of these instances; unchanged if there are not so many. */
void edit_nth(const struct edit *e, struct edit_target *target, size_t n);

/*
 * One change; `out` is the instance as it is afterwards, or was before it was deleted, with its
 * index. RC_ATTR_UNSUPPORTED, RC_ATTR_ADD_READ_ONLY, RC_ATTR_READ_ONLY, RC_ATTR_NOT_HERE,
 * RC_ATTR_SINGLE, RC_ATTR_ABSENT, RC_ATTR_NOT_FOUND, RC_ATTR_INSTANCE, RC_ATTR_VALUE, RC_ATTR_FULL,
 * RC_NAME_USED, RC_APP_NAMESPACE, RC_WRONG_STATE, RC_DENIED (would loosen what guards the key),
 * RC_NOT_QUANTUM_SAFE, RC_NO_MEMORY.
 */
rc_t edit_add(struct edit *e, const struct kmip_attribute *at, struct kmip_attribute *out);
rc_t edit_modify(struct edit *e, const struct edit_target *target, const struct kmip_attribute *at,
                 struct kmip_attribute *out);
rc_t edit_delete(struct edit *e, const struct edit_target *target, struct kmip_attribute *out);

/* Puts all into the object. RC_NO_MEMORY. */
rc_t edit_end(struct edit *e);

#endif
