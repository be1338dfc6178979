/*
 * Length-prefixed fields with a magic in front and a SHA-256 behind: the form of the escrow file
 * and of what a ceremony keeps between its halves.
 */
#ifndef SERVER_VAULT_TPM_PACK_H
#define SERVER_VAULT_TPM_PACK_H

#include "proto/base/buf.h"

enum { PACK_MAGIC = 8, PACK_DIGEST = 32 };

/* magic: PACK_MAGIC characters. */
rc_t pack_begin(struct buf *out, const char *magic);
rc_t pack_add(struct buf *out, struct bytes field);
/* Appends the digest of all since `start`. */
rc_t pack_end(struct buf *out, size_t start);
/* Checks magic and digest; *fields is what lies between. RC_INTEGRITY, RC_BAD_MESSAGE. */
rc_t pack_open(struct bytes in, const char *magic, struct bytes *fields);
/* Takes the next field off the front; at most max bytes. RC_BAD_MESSAGE. */
rc_t pack_take(struct bytes *fields, size_t max, struct bytes *field);

#endif
