/*
 * VAULT_ADMIN: one step of a ceremony, between the CLI (`holdfast init`, `approval`, `recovery`)
 * and a vault started with --admin. What each step does, takes and gives is told in tpm/ceremony.h;
 * here is only its form on the socket. Plain data; the private keys among it are wiped with the
 * frames.
 */
#ifndef SERVER_VAULT_ADMIN_H
#define SERVER_VAULT_ADMIN_H

#include "proto/base/buf.h"
#include "server/base/object.h"

enum admin_step {
    ADMIN_INIT_BEGIN =
        1, /* node, pcr_mask, nv_base, replace_nv, domain, auth_pub -> pending, request */
    ADMIN_INIT_FINISH,       /* pending, response -> hierarchy, node_state, escrow */
    ADMIN_INIT_SELF_APPROVE, /* as INIT_BEGIN -> hierarchy, node_state, escrow and the four keys */
    ADMIN_APPROVAL_REQUEST,  /* rows, node_state, pcr_mask -> request */
    ADMIN_RECOVERY_BEGIN,  /* rows, escrow, rec_key, node, pcr_mask, nv_base, replace_nv -> pending,
                              request */
    ADMIN_RECOVERY_FINISH, /* pending, response -> hierarchy, node_state */
    ADMIN_RECOVERY_RESTORE, /* as RECOVERY_BEGIN, and auth_key -> hierarchy, node_state */
    ADMIN_STEP_END,
};

struct admin_request {
    enum admin_step step;
    struct uid node;
    uint32_t pcr_mask, nv_base;
    bool replace_nv;
    uint64_t domain;
    struct bytes auth_pub, pending, response, rows, node_state, escrow, rec_key, auth_key;
};

/* Fields that the step does not give are empty. */
struct admin_answer {
    struct bytes pending, request, hierarchy, node_state, escrow, auth_key, auth_pub, rec_key,
        rec_pub;
};

rc_t admin_request_encode(const struct admin_request *r, struct buf *out);
/* Views of `in`. RC_PROTOCOL when it is malformed. */
rc_t admin_request_decode(struct bytes in, struct admin_request *out);
rc_t admin_answer_encode(const struct admin_answer *a, struct buf *out);
rc_t admin_answer_decode(struct bytes in, struct admin_answer *out);

#endif
