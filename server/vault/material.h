/*
 * Key material: what the vault can generate and what it takes, by object type; symmetric algorithms
 * and their lengths stand in server/base/symmetric.c.
 */
#ifndef SERVER_VAULT_MATERIAL_H
#define SERVER_VAULT_MATERIAL_H

#include "server/base/object.h"
#include "server/base/secret.h"

/* The KMIP numbers that this part must know. */
enum { TYPE_SYMMETRIC_KEY = 2, TYPE_TEMPLATE = 6, TYPE_SECRET_DATA = 7, TYPE_OPAQUE = 8 };
enum { FORMAT_RAW = 1, FORMAT_OPAQUE = 2, FORMAT_TRANSPARENT_SYMMETRIC = 7 };

/* Makes the material that the record asks for. RC_BAD_CRYPTO_PARAMS: not an algorithm made here;
 * RC_INVALID_FIELD: not a length of it. */
rc_t material_generate(const struct control *c, struct secret **out, uint32_t *key_format_out);
/* Do these bytes agree with what the record says of them? RC_INVALID_FIELD, RC_WRONG_TYPE,
 * RC_TOO_LARGE. */
rc_t material_check(const struct control *c, uint32_t key_format, struct bytes plain);

#endif
