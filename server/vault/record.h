/*
 * What a worker may ask of the vault, and what it answers: one call at the granularity of one KMIP
 * operation. Plain structures; server/vault/wire.h has their form on the socket (call.def the table
 * of who may ask what). Views in replies point into the reply's memory and live until its callback
 * returns, or into the arena given to vault_client.
 */
#ifndef SERVER_VAULT_RECORD_H
#define SERVER_VAULT_RECORD_H

#include "server/base/cipher.h"
#include "server/base/object.h"
#include "server/vault/crypto/scrypt.h"

enum vault_op {
    VAULT_GENERATE = 1,  /* make key material (Create) */
    VAULT_GENERATE_PAIR, /* make both halves of a key pair (Create Key Pair); slow */
    VAULT_REGISTER,      /* take key material (Register) */
    VAULT_GET,           /* give key material (Get); refuses what the control record forbids */
    VAULT_TRANSITION,    /* sign a new control record; wipes nothing itself: Destroy drops the row's
                            envelope */
    VAULT_UNSEAL,        /* bring the key hierarchy; idempotent */
    VAULT_STATUS,        /* state and reasons, for `holdfast status` */
    VAULT_ADMIN,         /* a step of a ceremony (server/vault/admin.h); only in a vault started with
                            --admin */
    VAULT_DOMAIN_KEY,    /* make the first key of a new domain; it serves once its row is among those
                            of UNSEAL */
    VAULT_PASSWORD,      /* is this the password that was hashed so? RC_AUTH_FAILED: no; RC_DENIED: the
                            client was wrong too often, it is not looked at */
    VAULT_CIPHER,        /* encrypt or decrypt data; refuses what the control record forbids */
    VAULT_OP_END,
};

/* A password as it was registered. */
struct vault_password {
    struct uid client; /* whose wrong passwords count together */
    struct scrypt_cost cost;
    struct bytes salt;
    uint8_t hash[SCRYPT_HASH_BYTES];
};

/* Data and what is to be done with them. */
struct vault_cipher {
    struct cipher_request request; /* its algorithm is that of the control record */
    struct bytes iv, additional, tag;
    struct bytes data; /* wiped after sending */
};

/* One call of a worker. Only the fields that the operation names are read. */
struct vault_call {
    enum vault_op op;
    uint64_t domain;                /* all but UNSEAL, STATUS, ADMIN, PASSWORD: must equal control.domain,
                                       where there is one */
    struct control control;         /* GENERATE, REGISTER: the record to sign (version 1 or more);
                                       REGISTER of keys of a pair and of certificates: algorithm and
                                       length may be 0, the vault fills in what the material says;
                                       GENERATE_PAIR: the private half's record;
                                       GET, CIPHER, TRANSITION: the stored record, as loaded */
    struct control control_public;  /* GENERATE_PAIR: the public half's record */
    uint8_t mac[CONTROL_MAC_BYTES]; /* GET, CIPHER, TRANSITION: the stored MAC */
    struct control next;            /* TRANSITION: the record asked for (version = stored + 1) */
    struct bytes material; /* GET, CIPHER: envelope as loaded. REGISTER: plain key bytes; PASSWORD: the password to be
                              checked (both wiped after sending) */
    uint32_t key_format; /* REGISTER: KMIP Key Format Type (bound into the envelope header).
                            GENERATE: Transparent Symmetric Key, or any other for Raw.
                            GENERATE_PAIR: of the private half, 0: the default of such a key.
                            GET: in which the key is wanted, 0: as it is stored */
    uint32_t key_format_public; /* GENERATE_PAIR: of the public half, as above */
    struct vault_password password; /* PASSWORD */
    struct vault_cipher cipher;     /* CIPHER */
    struct bytes hierarchy; /* UNSEAL: rows of the key hierarchy, encoded by hierarchy.h */
    struct bytes body;      /* ADMIN: the step's input, admin_request_encode() */
};

/* What the vault tells of a public half beside what vault_reply has for the private one. */
struct vault_half {
    uint8_t mac[CONTROL_MAC_BYTES];
    struct bytes envelope;
    uint32_t key_format, other_format;
    uint8_t digest[32], other_digest[32];
};

struct vault_reply {
    rc_t rc;
    uint8_t mac[CONTROL_MAC_BYTES]; /* GENERATE, GENERATE_PAIR, REGISTER, TRANSITION: over the record
                                       asked for */
    struct bytes envelope;          /* GENERATE, GENERATE_PAIR, REGISTER */
    struct bytes plain;             /* GET: key bytes; CIPHER: the output. The receiver wipes them */
    uint32_t key_format;            /* GET, GENERATE, GENERATE_PAIR: of plain, or of what is sealed */
    uint8_t digest[32]; /* GENERATE, GENERATE_PAIR, REGISTER: SHA-256 of the plain bytes (KMIP
                           Digest) */
    /* GENERATE, GENERATE_PAIR, REGISTER: where key_format is not the default of such a key, another
       format and the digest in it: of a pair that default, of a Transparent Symmetric Key, whose
       digest above is that of Raw, its own; else 0 */
    uint32_t other_format;
    uint8_t other_digest[32];
    uint32_t algorithm, length; /* REGISTER: as in the record that was signed */
    uint32_t curve;             /* REGISTER: Recommended Curve of an EC key or certificate, or 0 */
    struct vault_half half;     /* GENERATE_PAIR: the public half */
    size_t iv_bytes, tag_bytes; /* CIPHER: of the IV that was made, 0: none was; of the tag, 0: none */
    uint8_t iv[CIPHER_IV_MADE_MOST], tag[CIPHER_TAG_MOST];
    struct bytes
        status; /* STATUS: JSON text; UNSEAL: empty; DOMAIN_KEY: the row to store, as a hierarchy of
                   this one row (hierarchy_encode); ADMIN: the step's answer, to be read with
                   admin_answer_decode(). With any rc but RC_OK: a sentence for people, or empty */
};

#endif
