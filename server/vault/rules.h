/*
 * What the vault lets become of an object, whatever a worker asks: pure rules over control records.
 * KMIP 2.1, 4.57 (states and the transitions between them), 4.3, 4.23, 4.33, 4.55 (extractable,
 * sensitive and their history), and the dates of section 4.
 */
#ifndef SERVER_VAULT_RULES_H
#define SERVER_VAULT_RULES_H

#include "server/base/object.h"

/* Dates that a worker takes from its own clock may be this many seconds ahead of the vault's. */
enum { RULES_SKEW_S = 2 };

/* May an object begin with this record? RC_INVALID_FIELD, RC_FEATURE (protection not offered). */
rc_t rules_new(const struct control *c, int64_t now);
/* May the verified record `old` become `next` at time `now`? RC_ILLEGAL_TRANSITION otherwise. Where the clock stands
 * before what happened to the object already, the dates of `next` are measured from there: control_time(). */
rc_t rules_transition(const struct control *old, const struct control *next, int64_t now);
/* May the plain key leave? RC_DESTROYED, RC_NOT_EXTRACTABLE, RC_SENSITIVE. */
rc_t rules_get(const struct control *c, int64_t now);
/* May the key be used so, by bits of its usage mask? RC_WRONG_TYPE: it is no symmetric key; and control_permits(). */
rc_t rules_use(const struct control *c, uint32_t mask, int64_t now);

#endif
