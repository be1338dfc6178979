/* The inside of asym.h, shared by asym.c (life, DER), asym_numbers.c (transparent formats) and
 * asym_check.c. Nobody else includes it. */
#ifndef SERVER_VAULT_CRYPTO_ASYM_INT_H
#define SERVER_VAULT_CRYPTO_ASYM_INT_H

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "server/vault/crypto/asym.h"

struct asym {
    EVP_PKEY *pkey;
    struct asym_facts facts;
};

/* Takes the key over and finds its facts. RC_FEATURE when it is of no kind known here. */
rc_t asym_wrap(EVP_PKEY *pkey, bool is_private, struct asym **out);

/* KMIP Recommended Curve to OpenSSL's number of the curve and back; 0: not known. */
int asym_curve_nid(uint32_t curve);
uint32_t asym_curve_number(int nid);

/* The numbers of an RSA private key, in a frame of a BN_CTX; NULL: not given. */
struct rsa_numbers {
    BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qinv;
};
/* Computes what is missing. RC_INVALID_FIELD when it cannot be. */
rc_t rsa_complete(struct rsa_numbers *r, BN_CTX *bn);
/* Whether a whole set fits together. */
rc_t rsa_check(const struct rsa_numbers *r, BN_CTX *bn);

/* A number of the key, by OpenSSL's parameter name, in the frame of bn. NULL: it has none. */
BIGNUM *asym_number(const EVP_PKEY *pkey, const char *name, BN_CTX *bn);

/* The transparent formats (asym_numbers.c). */
rc_t asym_read_transparent(bool is_private, uint32_t key_format, struct bytes in, EVP_PKEY **out);
rc_t asym_write_transparent(const struct asym *key, bool as_private, uint32_t key_format,
                            struct buf *out);

#endif
