/* What attr_json_write.c and attr_json_read.c share. Nobody else includes this. */
#ifndef PROTO_KMIP_ATTR_JSON_PARTS_H
#define PROTO_KMIP_ATTR_JSON_PARTS_H

#include <jansson.h>

#include "proto/kmip/struct_parts.h"

/* Levels of one value, itself counted: what a request can nest at the widest setting (64) fits. */
enum { ATTR_JSON_LEVELS = 64 };

#define AUTO_JSON __attribute__((cleanup(attr_json_drop))) json_t *

static inline void attr_json_drop(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

/* The item type of a field in the short form of a structure; 0: the field has no short form. */
static inline uint8_t attr_json_field_type(uint8_t kind)
{
    return kind == KMIP_K_UID ? TTLV_TEXT_STRING : kmip_kind_type(kind);
}

#endif
