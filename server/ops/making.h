/*
 * What the operations that make new objects share: Create and Register (make.c), Create Key Pair
 * (make_pair.c), and what Register does for keys of a pair and for certificates (make_register.c).
 */
#ifndef SERVER_OPS_MAKING_H
#define SERVER_OPS_MAKING_H

#include "server/ops/op.h"

/* A new object between prepare, perform and complete. */
struct making {
    struct object object;
    struct kmip_attributes rest;
    struct bytes material; /* Register: the plain bytes, in the request */
};

/* What came back from the vault for one object, out of a vault_reply. */
struct making_sealed {
    const uint8_t *mac, *digest, *other_digest;
    struct bytes envelope;
    uint32_t digest_format; /* of digest; 0: tells none */
    uint32_t other_format;  /* 0: there is no other digest */
};

/* A new object of this type: everything that does not come from the client. */
rc_t making_begin(struct op_item *it, uint32_t type, struct making **out);
/* Whether at least one of the client's masks describes our storage; none at all: it does not care. */
bool making_storage_fits(const struct kmip_protection_storage_masks *masks);
/* What the server sets on every new object, whoever made the material. */
rc_t making_server_attributes(struct op_item *it, struct making *m);
/* What it sets when it made the material, too: Original Creation Date, Random Number Generator. */
rc_t making_made_here(struct op_item *it, struct making *m);
/* Algorithm or length from an attribute and from the key block: either may be silent, both must
 * agree. RC_INVALID_FIELD, RC_BAD_VALUE. */
rc_t making_agree(uint32_t *mine, int64_t given);
/* Puts signature, envelope and digests into the object, stores the rest, inserts it. */
rc_t making_finish(struct op_item *it, struct making *m, const struct making_sealed *sealed);

/* Register of a Public Key or Private Key, and of a Certificate (make_register.c). */
bool register_is_asymmetric(uint32_t object_type);
rc_t register_take_asymmetric(struct op_item *it, struct making *m,
                              const struct kmip_object *object);
/* After the vault's answer: algorithm and length as it found them. RC_INVALID_FIELD: the client named
 * another curve than the key has. */
rc_t register_told(struct making *m, const struct vault_reply *reply);

#endif
