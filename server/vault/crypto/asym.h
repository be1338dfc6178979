/*
 * Asymmetric keys: made, read and written in each key format of KMIP, and checked. Part of the
 * vault's door to OpenSSL; the transparent formats are the TTLV bytes of their Key Material
 * structure (KMIP 2.1, 3.5 to 3.12). Any thread; one key belongs to one thread at a time. What is
 * secret lies in OpenSSL's heap or in buffers that wipe themselves.
 */
#ifndef SERVER_VAULT_CRYPTO_ASYM_H
#define SERVER_VAULT_CRYPTO_ASYM_H

#include <stdatomic.h>

#include "proto/base/buf.h"

/* One key: a private key with its public half, or a public key alone. */
struct asym;

#define AUTO_ASYM __attribute__((cleanup(asym_free))) struct asym *

/* RSA, DSA and DH keys outside these lengths (bits of the modulus or of p) are not taken: what is
 * shorter is no key, what is longer would hold a thread for too long. */
enum { ASYM_BITS_LEAST = 512, ASYM_BITS_MOST = 8192, ASYM_EXPONENT_BITS_MOST = 256 };

/* Which key it is, by KMIP's numbers. */
struct asym_facts {
    uint32_t algorithm; /* Cryptographic Algorithm: RSA, DSA, DH, or EC for the whole family */
    uint32_t bits;      /* Cryptographic Length */
    uint32_t curve;     /* Recommended Curve; 0: none */
    bool is_private;
};

/* Cryptographic Algorithm without the use it is meant for: ECDSA, ECDH and ECMQV are EC. 0: not an
 * asymmetric algorithm that is known here. */
uint32_t asym_family(uint32_t algorithm);
/* The Key Format Type that such keys have by default (KMIP 2.1, 4.26, table 81); 0: no family. */
uint32_t asym_default_format(uint32_t family, bool is_private);
/* The NIST curve of this length (P-224, P-256, P-384, P-521), as the KMIP number; 0: none. */
uint32_t asym_nist_curve(uint32_t bits);

/*
 * Makes a pair: family RSA with the bits of the modulus (exponent 65537), or EC on the NIST curve of
 * that length. Seconds to minutes for long RSA; ends early once *stop is true (NULL: never), with
 * RC_UNAVAILABLE. RC_FEATURE: not a kind of key made here. RC_CRYPTO.
 */
rc_t asym_generate(uint32_t family, uint32_t bits, const atomic_bool *stop, struct asym **out);

/*
 * Reads a key that shall be private or public from its Key Format Type; missing numbers of a
 * transparent RSA private key are computed. The whole input must be the key. RC_KEY_FORMAT: no
 * format of such a key; RC_INVALID_FIELD: malformed; RC_FEATURE: a kind, curve or length not known.
 */
rc_t asym_read(bool is_private, uint32_t key_format, struct bytes in, struct asym **out);
/* The public key of an X.509 certificate (DER). RC_INVALID_FIELD: no certificate; RC_FEATURE: its
 * key is of a kind not known. */
rc_t asym_read_certificate(struct bytes der, struct asym **out);
/*
 * Whether this is the encrypted form of PKCS#8, which nobody reads without its password (KMIP 2.1,
 * 11.25 allows it as PKCS#8). Looks at the structure only.
 */
bool asym_is_encrypted_pkcs8(struct bytes in);
/* Takes NULL, clears the caller's pointer. */
void asym_free(struct asym **key);

struct asym_facts asym_facts(const struct asym *key);
/*
 * Does the key hold together? All numbers of a private key agree with its public half, points are
 * on their curve, and so on. Primality is not proven: a key that fails to undo what it did is
 * caught. RC_INVALID_FIELD. Up to tenths of a second for the longest keys.
 */
rc_t asym_check(const struct asym *key);
/*
 * Appends the key, or its public half, in this format. RC_KEY_FORMAT: the format is not one of such
 * keys, or the curve has no KMIP number that it needs.
 */
rc_t asym_write(const struct asym *key, bool as_private, uint32_t key_format, struct buf *out);

#endif
