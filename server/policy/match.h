/* What rules and bounds compare: patterns of names, and texts among the stored attributes. Pure functions. */
#ifndef SERVER_POLICY_MATCH_H
#define SERVER_POLICY_MATCH_H

#include <jansson.h>

#include "proto/base/bytes.h"

/* Whether the whole text fits the pattern: * is any text, ? one character (UTF-8), all else itself. Never more than
 * the product of both lengths of work. */
bool match_pattern(struct bytes pattern, struct bytes text);
/*
 * Whether the attributes of an object (JSON, proto/kmip/attr_json.h) have this member with this text as its value or
 * as one of its values; a vendor attribute's text stands beside its type.
 */
bool match_attribute(const json_t *attributes, struct bytes name, struct bytes value);

#endif
