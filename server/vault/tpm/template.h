/*
 * Public areas of the keys of the hierarchy: what they are and may do, in one place; their Names,
 * computed here and not asked of a TPM; and strict reading of stored TPM structures.
 */
#ifndef SERVER_VAULT_TPM_TEMPLATE_H
#define SERVER_VAULT_TPM_TEMPLATE_H

#include <tss2/tss2_tpm2_types.h>

#include "proto/base/buf.h"
#include "server/vault/node_state.h"

enum { TEMPLATE_POLICY = 32, TEMPLATE_COORDINATE = 32 };

/* A point on P-256, big-endian. */
struct p256_point {
    uint8_t x[TEMPLATE_COORDINATE], y[TEMPLATE_COORDINATE];
};

/* Storage root: the TCG's ECC P-256 template (zero unique, no auth). */
void template_srk(TPM2B_PUBLIC *out);
/* Attestation key, primary in the endorsement hierarchy. */
void template_ak(TPM2B_PUBLIC *out);
/* Cluster root: duplicable, used under the policy only. */
void template_cr(TPM2B_PUBLIC *out, uint16_t aes_bits, const uint8_t policy[TEMPLATE_POLICY]);
/* Epoch parent: as the cluster root, used with its auth value. */
void template_ep(TPM2B_PUBLIC *out, uint16_t aes_bits, const uint8_t policy[TEMPLATE_POLICY]);
/* Sealed data under a cluster root or epoch parent (CS, DK). */
void template_sealed(TPM2B_PUBLIC *out);
/* Sealed data under the storage root, opened by a PCR policy only: between the halves of a
 * ceremony. */
void template_pending(TPM2B_PUBLIC *out, const uint8_t policy[TEMPLATE_POLICY]);
/* The approver's key. */
void template_auth(TPM2B_PUBLIC *out, const struct p256_point *point);
/* The recovery key: an outside storage key. */
void template_rec(TPM2B_PUBLIC *out, const struct p256_point *point);

/* Is `pub` made from this template? All must be equal but `unique` (which the template leaves out).
 */
bool template_fits(const TPM2B_PUBLIC *pub, const TPM2B_PUBLIC *from);

/* Name = 000b | SHA-256 of the public area. RC_BAD_VALUE: not SHA-256 or not well-formed. */
rc_t template_name(const TPM2B_PUBLIC *pub, struct node_name *out);

/* To and from the wire form. Reading takes all of `in` or gives RC_INTEGRITY. */
rc_t public_write(const TPM2B_PUBLIC *pub, struct buf *out);
rc_t public_read(struct bytes in, TPM2B_PUBLIC *out);
rc_t private_write(const TPM2B_PRIVATE *priv, struct buf *out);
rc_t private_read(struct bytes in, TPM2B_PRIVATE *out);

/* The point of an ECC public area, padded to 32 bytes each. RC_INTEGRITY: not P-256. */
rc_t public_point(const TPM2B_PUBLIC *pub, struct p256_point *out);

#endif
