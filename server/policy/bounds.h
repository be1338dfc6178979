/*
 * Constraints of policy (policy.bound): how objects may be made, changed and destroyed. What a
 * bound judges it judges where it is made or changed: objects that were there before the bound stay
 * usable. Templates are judged by bounds that name their type only. Pure functions: no SQL, no clock.
 */
#ifndef SERVER_POLICY_BOUNDS_H
#define SERVER_POLICY_BOUNDS_H

#include "server/policy/rules.h"

/* One object before and after. */
struct bounds_change {
    const struct object *before; /* NULL: it is new */
    const struct object *after;
    bool destroyed;
    bool names;      /* its names are those of `after`; else they stay as they were */
    bool unfinished; /* attributes are still to come: what is mandatory is not looked for yet */
};

/* The bound that does not hold. */
struct bounds_breach {
    int64_t bound;    /* its number */
    const char *what; /* static storage: "the length" */
};

/*
 * RC_OK, or RC_CONSTRAINT and the first bound, in order of number, that the change breaks. now:
 * seconds; for the time since when an object has been out of use. set may be NULL: no bounds.
 * RC_INTEGRITY: its attributes cannot be read.
 */
rc_t bounds_check(const struct policy_set *set, const struct bounds_change *change, int64_t now,
                  struct bounds_breach *out);

/* The most objects that the client may own, the least of all its bounds; POLICY_UNSET: any number. bound: the number of
 * the one that says so; may be NULL. */
int64_t bounds_most_objects(const struct policy_set *set, int64_t *bound);
/* The most requests a second, the least of all its bounds; POLICY_UNSET: any number. */
int64_t bounds_requests_per_second(const struct policy_set *set);

#endif
