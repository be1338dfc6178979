/*
 * Hexadecimal text of names, digests and blobs in state files and ceremony files.
 */
#ifndef SERVER_VAULT_TPM_HEX_H
#define SERVER_VAULT_TPM_HEX_H

#include "proto/base/buf.h"

/* Appends lower-case digits. RC_NO_MEMORY. */
rc_t hex_add(struct buf *out, struct bytes data);
/* Strict: an even number of digits of either case, at most max bytes. RC_BAD_VALUE, RC_TOO_LARGE.
 */
rc_t hex_parse(struct bytes text, size_t max, struct buf *out);
/* The same into a field of exactly len bytes. */
rc_t hex_parse_exact(struct bytes text, uint8_t *out, size_t len);

#endif
