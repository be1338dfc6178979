/*
 * Requests and responses of ceremonies as JSON text, and the approver's side of them. Bytes are
 * hexadecimal. Needs no TPM.
 */
#ifndef SERVER_VAULT_TPM_REQUEST_H
#define SERVER_VAULT_TPM_REQUEST_H

#include "server/vault/tpm/ceremony.h"
#include "server/vault/tpm/root.h"

enum request_kind { REQUEST_INIT, REQUEST_APPROVAL, REQUEST_RECOVERY, REQUEST_KINDS };

struct request {
    enum request_kind kind;
    struct uid node;
    TPM2B_PUBLIC cr_pub, auth_pub, ak_pub;
    struct buf ek_cert; /* owned */
    char manufacturer[5];
    bool software;
    uint32_t pcr_mask;
    uint8_t pcrs[TPM_PCR_COUNT][TPM_PCR_BYTES];
    uint32_t nv_index;
    uint64_t counter;
    struct policy use; /* follows from the above; checked when read */
};
#define AUTO_REQUEST __attribute__((cleanup(request_free))) struct request
void request_free(struct request *r);

struct response {
    enum request_kind kind;
    struct uid node;
    uint32_t pcr_mask;
    uint64_t counter;
    struct approval use;
    bool has_rec; /* kind INIT */
    TPM2B_PUBLIC rec_pub;
    struct approval dup;
};

/* Computes r->use from the other fields. */
rc_t request_compute(struct request *r);
rc_t request_write(const struct request *r, struct buf *out);
/* RC_BAD_MESSAGE: not well-formed, or its digests do not follow from its facts. */
rc_t request_read(struct bytes text, struct request *out);
rc_t response_write(const struct response *r, struct buf *out);
rc_t response_read(struct bytes text, struct response *out);
/* Are the signatures AUTH's, over what the response says? RC_INTEGRITY. */
rc_t response_check(const struct response *r, const TPM2B_PUBLIC *auth_pub,
                    const TPM2B_PUBLIC *cr_pub);

/* An escrow proof as text. */
rc_t proof_write(const uint8_t escrow_digest[32], const uint8_t signature[ROOT_SIGNATURE],
                 struct buf *out);
rc_t proof_read(struct bytes text, uint8_t escrow_digest[32], uint8_t signature[ROOT_SIGNATURE]);

#endif
