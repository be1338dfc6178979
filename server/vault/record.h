/*
 * What a worker may ask of the vault, and what it answers: one call at the granularity of one KMIP
 * operation. Plain structures; server/vault/wire.h has their form on the socket (call.def the table
 * of who may ask what). Views in replies point into the reply's memory and live until its callback
 * returns, or into the arena given to vault_client.
 */
#ifndef SERVER_VAULT_RECORD_H
#define SERVER_VAULT_RECORD_H

#include "server/base/object.h"

enum vault_op {
    VAULT_GENERATE = 1, /* make key material (Create) */
    VAULT_REGISTER,     /* take key material (Register) */
    VAULT_GET,          /* give key material (Get); refuses what the control record forbids */
    VAULT_TRANSITION,   /* sign a new control record; wipes nothing itself: Destroy drops the row's envelope */
    VAULT_UNSEAL,       /* bring the key hierarchy; idempotent */
    VAULT_STATUS,       /* state and reasons, for `holdfast status` */
    /* Ceremonies: answered only in a vault started with --admin (`holdfast init`, `recovery restore`);
       their body and answer are the texts of server/vault/hierarchy.h and tpm/ceremony.h. */
    VAULT_ADMIN_INIT = 32, /* make the hierarchy on this TPM; answers the request to be signed, or all rows */
    VAULT_ADMIN_APPROVE,   /* bring the signed response; answers the rows to be stored */
    VAULT_ADMIN_RECOVER,   /* the new node's request for a recovery, or the restore itself */
    VAULT_OP_END,
};

/* One call of a worker. Only the fields that the operation names are read. */
struct vault_call {
    enum vault_op op;
    uint64_t domain;               /* all but UNSEAL, STATUS: must equal control.domain */
    struct control control;        /* GENERATE, REGISTER: the record to sign (version 1 or more);
                                      GET, TRANSITION: the stored record, as loaded */
    uint8_t mac[CONTROL_MAC_BYTES]; /* GET, TRANSITION: the stored MAC */
    struct control next;           /* TRANSITION: the record asked for (version = stored + 1) */
    struct bytes material;         /* GET: envelope as loaded. REGISTER: plain key bytes (wiped after sending) */
    uint32_t key_format;           /* REGISTER: KMIP Key Format Type (bound into the envelope header) */
    struct bytes hierarchy;        /* UNSEAL: rows of the key hierarchy, encoded by hierarchy.h */
    struct bytes body;             /* ADMIN_*: the ceremony's input */
};

struct vault_reply {
    rc_t rc;
    uint8_t mac[CONTROL_MAC_BYTES]; /* GENERATE, REGISTER, TRANSITION: over the record asked for */
    struct bytes envelope;          /* GENERATE, REGISTER */
    struct bytes plain;             /* GET: key bytes; the receiver wipes them */
    uint32_t key_format;            /* GET, GENERATE */
    uint8_t digest[32];             /* GENERATE, REGISTER: SHA-256 of the plain bytes (KMIP Digest) */
    struct bytes status;            /* STATUS: JSON text; UNSEAL: new rows to be stored, if any; ADMIN_*:
                                       the ceremony's answer, or, with another rc, a sentence for people */
};

#endif
