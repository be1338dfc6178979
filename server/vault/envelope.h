/*
 * The two envelopes of an object (design in FORMATS.md): the control record's MAC and the sealed
 * material. Pure functions over keys already open: no TPM, no clock, no rules. Each damage, swap or
 * change, whatever it is, gives the one result RC_INTEGRITY.
 */
#ifndef SERVER_VAULT_ENVELOPE_H
#define SERVER_VAULT_ENVELOPE_H

#include "server/base/object.h"
#include "server/vault/crypto/crypto.h"

enum {
    ENVELOPE_HEADER_BYTES = 72,
    ENVELOPE_OVERHEAD = ENVELOPE_HEADER_BYTES + CRYPTO_NONCE_BYTES + CRYPTO_TAG_BYTES,
    BINDING_BYTES = 16, /* ties an object's material to its control record */
};

/* The random value that both envelopes of one object share, first half of the stored MAC. */
struct binding {
    uint8_t raw[BINDING_BYTES];
};

/* A domain key in use. */
struct domain_key {
    uint64_t domain;
    uint32_t epoch, ep_epoch;
    struct crypto_mac *prk; /* HKDF-Extract of the domain key */
};

/* Draws the binding of a new object. */
rc_t binding_new(struct binding *out);
/* Signs the record; mac_out = binding | tag. */
rc_t control_sign(struct crypto_mac *key, const struct control *control,
                  const struct binding *binding, uint8_t mac_out[CONTROL_MAC_BYTES]);
/* RC_INTEGRITY, or RC_OK and the object's binding. */
rc_t control_verify(struct crypto_mac *key, const struct control *control,
                    const uint8_t mac[CONTROL_MAC_BYTES], struct binding *binding_out);

/* Appends the sealed material to `out`. The domain key must be of the record's domain
 * (RC_INTERNAL). */
rc_t envelope_seal(struct crypto *c, const struct domain_key *dk, const struct control *control,
                   const struct binding *binding, uint32_t key_format, struct bytes plain,
                   struct buf *out);
/* Which domain key the envelope asks for; unverified. RC_INTEGRITY when it is no envelope at all.
 */
rc_t envelope_epoch(struct bytes envelope, uint32_t *dk_epoch_out);
/* Opens with that key and appends the plain bytes to `out`, which holds nothing new unless RC_OK.
 */
rc_t envelope_open(struct crypto *c, const struct domain_key *dk, const struct control *control,
                   const struct binding *binding, struct bytes envelope, uint32_t *key_format_out,
                   struct buf *out);

#endif
