/*
 * The vault's service: calls come in on peers' sockets, are checked against call.def, answered from
 * the keyring at once or, when the TPM or an asymmetric key is needed, after the job of the TPM
 * thread or of a maker. One event loop;
 * replies of a turn leave each peer in one write. A malformed frame ends that peer, nothing else.
 */
#ifndef SERVER_VAULT_SERVICE_H
#define SERVER_VAULT_SERVICE_H

#include "proto/base/buf.h"
#include "server/vault/makers.h"
#include "server/vault/tpm_thread.h"
#include "server/vault/wire.h"

struct event_base;
struct vault_service;

struct vault_service_options {
    struct tpm_thread_options tpm;
    struct makers_options makers;
    uint32_t wrong_most, wrong_ms; /* wrong passwords of a client in a row, and after what time one more is looked at;
                                      0: 10, 30,000 */
    uint32_t rsa_bits_least, rsa_bits_most; /* of pairs made here; 0: 2048, 8192 */
    /* Wants a descriptor of the TPM; answered by vault_service_give_tpm(), from in here or later.
     */
    void (*ask_tpm)(void *arg);
    /* The status changed, or five seconds went by: JSON text. May be NULL. Not more often than once
     * a second for changes. */
    void (*status_changed)(void *arg, struct bytes json);
    /* The answer to vault_service_sign_stub(): RC_OK, the node's id and the signature, or a
     * sentence. May be NULL. */
    void (*signed_stub)(void *arg, uint32_t number, rc_t rc, struct bytes answer);
    /* A peer is gone, for whatever reason. May be NULL. */
    void (*peer_gone)(void *arg);
    void *arg;
    bool admin;         /* started for a ceremony: no unsealing by itself, no ticks */
    bool memory_locked; /* for the status: all memory of the process is locked */
};

rc_t vault_service_new(struct event_base *base, const struct vault_service_options *o,
                       struct vault_service **out);
/* Starts the TPM thread and the makers; after the sandbox is entered. */
rc_t vault_service_start(struct vault_service *s);
/* Closes all peers, ends the threads, wipes, frees. */
void vault_service_free(struct vault_service *s);

/* Takes fd over; its authority is `role` for as long as it lives. RC_BUSY: too many peers. */
rc_t vault_service_add_peer(struct vault_service *s, int fd, enum vault_peer role);
/* A worker's channel. A worker has one: that which the same number (1 or more) had before ends, so
 * that no worker can take the places of the others. */
rc_t vault_service_add_worker(struct vault_service *s, int fd, uint32_t number);
/* Number of peers connected now. */
size_t vault_service_peers(const struct vault_service *s);
/* The text of node.state. RC_INTEGRITY, RC_BAD_MESSAGE: as node_state_decode(); the vault stays
 * sealed and says so. */
rc_t vault_service_set_node_state(struct vault_service *s, struct bytes text);
/* There is no such text: RC_NOT_FOUND when the node was never set up (so it is until told
 * otherwise), RC_IO when it cannot be read; `why` (may be NULL) says it to people. */
void vault_service_set_no_node_state(struct vault_service *s, rc_t rc, const char *why);
/* The authorisation of the TPM's owner, for the descriptor given next; empty where it has none.
 * Copied. RC_INVALID_FIELD: longer than TPM_AUTH_MAX. */
rc_t vault_service_set_owner_auth(struct vault_service *s, struct bytes auth);
/* Takes fd over; -1: no TPM now. `reason` (may be NULL) goes to the status. */
void vault_service_give_tpm(struct vault_service *s, int fd, const char *reason);
/* Has the node's attestation key sign the digest of an audit stub (tpm/attest.h), 32 bytes;
 * options.signed_stub() gets the answer with this number. RC_BUSY: too much to do already, no
 * answer comes. */
rc_t vault_service_sign_stub(struct vault_service *s, uint32_t number, struct bytes digest);
/* Appends the status as a JSON object. */
rc_t vault_service_status(const struct vault_service *s, struct buf *out);

#endif
