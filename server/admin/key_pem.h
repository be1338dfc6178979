/*
 * PEM (RFC 7468) and KMIP: which object and Key Format Type a PEM block is, and the block that an
 * object makes. Bytes are only unwrapped and wrapped; what is in them is the server's to check.
 */
#ifndef SERVER_ADMIN_KEY_PEM_H
#define SERVER_ADMIN_KEY_PEM_H

#include "proto/base/buf.h"

struct key_pem {
    uint32_t object_type, key_format; /* KMIP */
    struct buf der;                   /* the caller frees; may be a secret */
};

/*
 * The first block of a kind that KMIP has; parameters before it are passed over. RC_NOT_FOUND: there is
 * no PEM block at all; RC_FEATURE: one of another kind; RC_BAD_VALUE: a block that is damaged.
 */
rc_t key_pem_read(struct bytes text, struct key_pem *out);
/* Appends the block. RC_KEY_FORMAT: there is none for such an object in this format. */
rc_t key_pem_write(uint32_t object_type, uint32_t key_format, struct bytes der, struct buf *out);
/* The format to ask the server for, so that key_pem_write() can write it; 0: as it is stored. */
uint32_t key_pem_format(uint32_t object_type);

#endif
