/*
 * A message as people and programs read it: names of tags and enumerations, numbers and dates, and nothing secret. What
 * may be shown stands in one allow-list, shown.def; all else is told by its type and length. For traces.
 */
#ifndef PROTO_KMIP_PRINT_H
#define PROTO_KMIP_PRINT_H

#include "proto/ttlv/node.h"

enum { KMIP_PRINT_TEXT_MAX = 256 }; /* bytes shown of one text, before "..." */

/*
 * Appends the tree, one line an item, each two columns further in than the structure it stands in; the top begins at
 * column `indent`. Printable ASCII only: whatever else a text holds is escaped. RC_NO_MEMORY leaves a part of it.
 */
rc_t kmip_print(const struct node *n, unsigned indent, struct buf *out);
/* The same as one JSON object: {"tag", "value"}, {"tag", "items": [...]}, or {"tag", "hidden": type, "bytes": length}.
 */
rc_t kmip_print_json(const struct node *n, struct buf *out);
/*
 * Appends a text in double quotes with JSON's escapes, all but printable ASCII as \uXXXX (what is not UTF-8 as \ufffd),
 * cut behind `most` bytes.
 */
rc_t kmip_print_quoted(struct bytes text, size_t most, struct buf *out);
/* Whether shown.def lets a value of this type be shown under this tag. */
bool kmip_print_shows(uint32_t tag, uint8_t type);

#endif
