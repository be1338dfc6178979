/*
 * The TPM of this node: one connection over a descriptor that somebody else opened, one salted HMAC
 * session, one command at a time. All calls block (at most the command deadline each) and belong to
 * one thread. After any error that is not the TPM's own answer the connection is thrown away; the
 * next call asks for a new descriptor, flushes what the old connection left and goes on.
 */
#ifndef SERVER_VAULT_TPM_TPM_H
#define SERVER_VAULT_TPM_TPM_H

#include "proto/base/buf.h"
#include "server/base/secret.h"

struct tpm;

/*
 * Gives a newly opened descriptor of the TPM (a /dev/tpmrm0, or a socket to swtpm); the TPM context
 * owns and closes it. Called on the TPM thread, may block. RC_TPM or RC_UNAVAILABLE: not there now.
 */
typedef rc_t tpm_fd_fn(void *arg, int *fd_out);

struct tpm_options {
    tpm_fd_fn *get_fd;   /* required */
    void *arg;           /* for get_fd */
    uint32_t command_ms; /* deadline of one command; 0 = 20 000 */
};

enum { TPM_AUTH_MAX = 64 }; /* bytes of an authorisation: the largest digest */

/*
 * Makes a context; does not talk to the TPM yet. Sets TSS2_LOG=all+none in the environment, once
 * per process, before the first TSS call: make the first context before threads start.
 */
rc_t tpm_new(const struct tpm_options *options, struct tpm **out);
/* Flushes our handles if the TPM answers, closes, wipes, frees; NULL is fine; clears the pointer.
 */
void tpm_free(struct tpm **t);

/* The authorisation of the owner hierarchy, empty until told and on most machines; copied. Used
 * from the next connection on. RC_INVALID_FIELD: longer than TPM_AUTH_MAX. */
rc_t tpm_set_owner_auth(struct tpm *t, struct bytes auth);

/*
 * Connects if there is no connection: descriptor, TPM2_Startup, left handles flushed, storage root
 * made, session started. Every function of this folder calls it first. RC_TPM, RC_UNAVAILABLE.
 */
rc_t tpm_ready(struct tpm *t);
/* Flushes and closes; the next call connects anew (to what may be another TPM by then). */
void tpm_disconnect(struct tpm *t);
/* One cheap command, to find out whether the TPM is still there. RC_TPM. */
rc_t tpm_ping(struct tpm *t);
/* Whether a connection stands. False after a lost TPM, until tpm_ready() succeeds. */
bool tpm_connected(const struct tpm *t);
/* Grows with each connection: handles and keys of an older one are gone. */
uint64_t tpm_generation(const struct tpm *t);
/* The last failure, for people: "Load: 0x1df integrity check failed". Static until the next call.
 */
const char *tpm_last_error(const struct tpm *t);
/* The TPM's response code of the last failed command, 0 if the failure was not the TPM's answer. */
uint32_t tpm_last_code(const struct tpm *t);

/* What this TPM is and can do; asked once a connection. */
struct tpm_facts {
    char manufacturer[5]; /* "IBM", "IFX", "SW  ", ... */
    char vendor[17];      /* vendor string */
    bool software;        /* a software TPM: no claim of extraction or rollback resistance */
    uint32_t firmware[2];
    uint32_t reset_count; /* TPM resets so far */
    bool ecc_p256, aes_128, aes_256, sha256, nv_counter, policy_nv, policy_authorize, duplicate;
    bool encrypt_decrypt; /* TPM2_EncryptDecrypt2, optional */
    bool rsa_2048, rsa_3072, ecc_p384;
};

rc_t tpm_facts(struct tpm *t, struct tpm_facts *out);
/* RC_FEATURE, with what is missing in *missing (static text), when the hierarchy cannot live here.
 */
rc_t tpm_facts_suffice(const struct tpm_facts *f, const char **missing);

enum {
    TPM_PCR_COUNT = 24,
    TPM_PCR_BYTES = 32,
    TPM_PCR_DEFAULT_MASK = 1u << 0 | 1u << 2 | 1u << 4 | 1u << 7
};

/* Values of the SHA-256 bank for the PCRs in mask; the others stay zero. */
rc_t tpm_pcr_read(struct tpm *t, uint32_t mask, uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES]);
/* Extends a PCR (tests, and measuring of our own). */
rc_t tpm_pcr_extend(struct tpm *t, uint32_t pcr, const uint8_t digest[TPM_PCR_BYTES]);
/* Random bytes of the TPM, through the encrypted session; to be mixed in, never used alone. */
rc_t tpm_random(struct tpm *t, size_t len, struct secret **out);
/* Transient and session handles that the TPM holds besides our own: 0 when nothing leaks. */
rc_t tpm_count_left(struct tpm *t, size_t *count);

#endif
