/*
 * Templates of 1.x: named objects that hold attributes for others. A client registers one, and later names it where it
 * makes objects; what it holds then counts like the attributes of the request. It says nothing of the template itself,
 * so it is kept apart from the template's own attributes, as JSON text. Deprecated in 1.3, gone in 2.0. Pure
 * functions. KMIP 1.0, 2.2.6; KMIP 1.4, 2.1.8, 2.2.6 and 4.2.
 */
#ifndef SERVER_OPS_TEMPLATE_H
#define SERVER_OPS_TEMPLATE_H

#include "proto/kmip/message.h"
#include "server/ops/attrs.h"

/*
 * The attributes of a new Template itself: those beside it in the request, and the Names inside of it, where clients of
 * 1.0 put them. RC_ATTR_INVALID: an attribute that tells of a key, which belongs inside. RC_NO_MEMORY.
 */
rc_t template_own(struct arena *a, const struct kmip_attributes *beside, const struct kmip_template *given,
                  struct kmip_attributes *out);
/*
 * Keeps what a new Template holds among its rest. Checked as far as possible while nobody knows what will be made of
 * it: RC_ATTR_UNSUPPORTED, RC_ATTR_READ_ONLY, RC_ATTR_SINGLE, RC_TOO_MANY, results of kmip_attribute_check(),
 * RC_NO_MEMORY.
 */
rc_t template_keep(struct arena *a, uint16_t version, const struct attrs_limits *limits,
                   const struct kmip_template *given, struct kmip_attributes *rest);
/* What a stored Template holds, as it was registered. RC_INTEGRITY, RC_NO_MEMORY. */
rc_t template_held(struct arena *a, const struct object *o, struct kmip_attributes *out);
/*
 * Adds to a list of a request what a template holds: single-instance attributes where the list has none, others where
 * it has not the same value; Names never. So what was said explicitly prevails, and of several templates that which is
 * applied first: apply the last one first (KMIP 1.4, 4.2). RC_NO_MEMORY.
 */
rc_t template_apply(struct arena *a, const struct kmip_attributes *held, struct kmip_attributes *list);

#endif
