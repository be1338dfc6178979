/*
 * P-256 in software, for the offline keys (AUTH, REC) and the escrow: PEM, ECDSA, ECDH. OpenSSL's
 * EVP.
 */
#ifndef SERVER_VAULT_TPM_P256_H
#define SERVER_VAULT_TPM_P256_H

#include "server/base/secret.h"
#include "server/vault/tpm/template.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */
struct p256 {
    struct evp_pkey_st *pkey;
};
#define AUTO_P256 __attribute__((cleanup(p256_free))) struct p256
void p256_free(struct p256 *key);

rc_t p256_generate(struct p256 *out);
/* PEM text; RC_CRYPTO when it is not a P-256 key of that kind. No passphrase is asked for. */
rc_t p256_read_private(struct bytes pem, struct p256 *out);
rc_t p256_read_public(struct bytes pem, struct p256 *out);
rc_t p256_write_private(const struct p256 *key, struct buf *pem);
rc_t p256_write_public(const struct p256 *key, struct buf *pem);
/* From raw numbers; RC_INTEGRITY when the point is not on the curve, or does not belong to d. */
rc_t p256_from_point(const struct p256_point *point, struct p256 *out);
rc_t p256_from_private(struct bytes d, const struct p256_point *point, struct p256 *out);
rc_t p256_point_of(const struct p256 *key, struct p256_point *out);

/* ECDSA over a SHA-256 digest; the signature is r | s, 32 bytes each. */
rc_t p256_sign(const struct p256 *key, const uint8_t digest[32], uint8_t signature[64]);
/* RC_INTEGRITY when the signature is not good. */
rc_t p256_verify(const struct p256 *key, const uint8_t digest[32], const uint8_t signature[64]);
/* The x coordinate of the shared point. */
rc_t p256_ecdh(const struct p256 *own, const struct p256 *peer, struct secret **z);

#endif
