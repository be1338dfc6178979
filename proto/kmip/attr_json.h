/*
 * Attributes as compact JSON text, for the database: one member for each attribute, named as in
 * KMIP's JSON encoding, so that an auditor reads it in psql. Several instances make an array;
 * enumerations and mask bits go by name, dates as ISO 8601 (UTC), byte strings and big integers in
 * hexadecimal, vendor attributes as "x-Name" with their type kept:
 * {"ContactInformation":"Ann","ObjectGroup":["g"], "x-Batch":[{"type":"Integer","value":7}]}.
 * An instance stands at the place of its index, with null where one was deleted: indexes do not
 * change (KMIP 1.4, 2.1.1). Lossless both ways.
 */
#ifndef PROTO_KMIP_ATTR_JSON_H
#define PROTO_KMIP_ATTR_JSON_H

#include "proto/kmip/attribute.h"

enum { ATTR_INDEX_MAX = 1 << 16 }; /* more instances than any limit lets an object have */

/* Appends the text of the list to `out` ("{}" for none). Attributes keep their order by name.
 * Instances without an index (-1) come after those before them; indexes must grow, and end below
 * ATTR_INDEX_MAX. RC_BAD_VALUE for what has no JSON form, or nests deeper than
 * attr_json_read() takes. */
rc_t attr_json_write(const struct kmip_attributes *list, struct buf *out);
/* Reads it back into the arena (nothing of `json` is kept): several-instance attributes with their
 * indexes. Empty input gives an empty list.
 * RC_INTEGRITY for text that attr_json_write() cannot have made. */
rc_t attr_json_read(struct arena *a, struct bytes json, struct kmip_attributes *out);
/* One value under an attribute tag, in the same form, for logs and the command line. */
rc_t attr_json_value(const struct node *value, struct buf *out);

#endif
