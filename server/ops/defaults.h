/*
 * Defaults of policy (policy.object_default): attributes of a new object where its maker gives
 * none. Pure functions.
 */
#ifndef SERVER_OPS_DEFAULTS_H
#define SERVER_OPS_DEFAULTS_H

#include "server/ops/attrs.h"

/*
 * Adds to a list of a request the default attributes (JSON, proto/kmip/attr_json.h) of which
 * neither the list nor `beside` has an instance. Names never; nothing that this version does not
 * know; and at ATTRS_REGISTER nothing that the material itself tells, as its algorithm.
 * RC_INTEGRITY: they cannot be read; RC_NO_MEMORY.
 */
rc_t object_defaults(struct arena *a, uint16_t version, enum attrs_origin origin,
                     struct bytes defaults, const struct kmip_attributes *beside,
                     struct kmip_attributes *list);

#endif
