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
    VAULT_TRANSITION,   /* sign a new control record; wipes nothing itself: Destroy drops the row's
                           envelope */
    VAULT_UNSEAL,       /* bring the key hierarchy; idempotent */
    VAULT_STATUS,       /* state and reasons, for `holdfast status` */
    VAULT_ADMIN,        /* a step of a ceremony (server/vault/admin.h); only in a vault started with
                           --admin */
    VAULT_OP_END,
};

/* One call of a worker. Only the fields that the operation names are read. */
struct vault_call {
    enum vault_op op;
    uint64_t domain;                /* all but UNSEAL, STATUS: must equal control.domain */
    struct control control;         /* GENERATE, REGISTER: the record to sign (version 1 or more);
                                       GET, TRANSITION: the stored record, as loaded */
    uint8_t mac[CONTROL_MAC_BYTES]; /* GET, TRANSITION: the stored MAC */
    struct control next;            /* TRANSITION: the record asked for (version = stored + 1) */
    struct bytes
        material; /* GET: envelope as loaded. REGISTER: plain key bytes (wiped after sending) */
    uint32_t key_format;    /* REGISTER: KMIP Key Format Type (bound into the envelope header) */
    struct bytes hierarchy; /* UNSEAL: rows of the key hierarchy, encoded by hierarchy.h */
    struct bytes body;      /* ADMIN: the step's input, admin_request_encode() */
};

struct vault_reply {
    rc_t rc;
    uint8_t mac[CONTROL_MAC_BYTES]; /* GENERATE, REGISTER, TRANSITION: over the record asked for */
    struct bytes envelope;          /* GENERATE, REGISTER */
    struct bytes plain;             /* GET: key bytes; the receiver wipes them */
    uint32_t key_format;            /* GET, GENERATE */
    uint8_t digest[32]; /* GENERATE, REGISTER: SHA-256 of the plain bytes (KMIP Digest) */
    struct bytes
        status; /* STATUS: JSON text; UNSEAL: empty; ADMIN: the step's answer, to be read with
                   admin_answer_decode(). With any rc but RC_OK: a sentence for people, or empty */
};

#endif
