/*
 * Inside of the TPM context, for the files of this folder: how one command is run and judged, how
 * handles are given back, and the policy sessions. See tpm.h for what others may call.
 */
#ifndef SERVER_VAULT_TPM_SESSION_H
#define SERVER_VAULT_TPM_SESSION_H

#include <tss2/tss2_esys.h>

#include "server/vault/hierarchy.h"
#include "server/vault/node_state.h"
#include "server/vault/tpm/tcti_fd.h"
#include "server/vault/tpm/tpm.h"

struct tpm {
    struct tpm_options options;
    TPM2B_AUTH owner_auth;
    int fd; /* -1 without a connection */
    struct tcti_fd tcti;
    ESYS_CONTEXT *esys;
    uint64_t generation;
    ESYS_TR session; /* salted HMAC session, AES-128-CFB for parameters */
    ESYS_TR srk;
    TPM2B_PUBLIC srk_public;
    struct node_name srk_name;
    uint32_t nv_index; /* the counter that nv_handle stands for: looked up once a connection */
    ESYS_TR nv_handle;
    struct tpm_facts facts;
    bool have_facts;
    uint32_t last_code;
    char last_error[192];
};

/* Whether a command that was not run may be sent again; waits before it says yes. */
bool tpm_again(TSS2_RC code, unsigned *tries);
/* Turns a TSS code into a result; records it; closes the connection unless the TPM itself answered.
 */
rc_t tpm_result(struct tpm *t, const char *what, TSS2_RC code);
/* Records a failure of our own (a check that did not hold); gives rc. */
rc_t tpm_fail(struct tpm *t, rc_t rc, const char *what);

/* Runs one ESYS call; commands that the TPM put off are sent again. The value is a rc_t. */
#define TPM_RUN(t, what, call)                                                                     \
    __extension__({                                                                                \
        unsigned tries_ = 0;                                                                       \
        TSS2_RC code_;                                                                             \
        do                                                                                         \
            code_ = (call);                                                                        \
        while (tpm_again(code_, &tries_));                                                         \
        tpm_result((t), (what), code_);                                                            \
    })

/* Response codes that decide something, without the handle, session or parameter they name. */
enum {
    TPM_CODE_POLICY_NV = 0x126,   /* PolicyNV: the comparison does not hold */
    TPM_CODE_PCR_CHANGED = 0x128, /* a PCR moved between PolicyPCR and use */
};
/* The format-one code (TPM2_RC_VALUE, ...) of the last error, or 0. */
uint32_t tpm_last_format_one(const struct tpm *t);

/* The HMAC session, set to encrypt the first parameter of the command and/or of the answer. */
enum { TPM_CRYPT_IN = 1, TPM_CRYPT_OUT = 2 };
ESYS_TR tpm_session(struct tpm *t, unsigned crypt);

/* Wipes the plain parameters that the TSS keeps in its command and answer buffer. */
void tpm_scrub(struct tpm *t);

/* A handle of one connection; flushed at the end of its scope if that connection still stands. */
struct tpm_handle {
    struct tpm *t;
    ESYS_TR tr;
    uint64_t generation;
};
#define AUTO_HANDLE __attribute__((cleanup(tpm_handle_flush))) struct tpm_handle
struct tpm_handle tpm_handle_of(struct tpm *t);
void tpm_handle_flush(struct tpm_handle *h);

/* Memory that ESYS allocated: freed (or wiped and freed) at the end of its scope. */
#define AUTO_ESYS __attribute__((cleanup(tpm_esys_free)))
void tpm_esys_free(void *pointer_to_pointer);

/* The handle of an NV index. RC_NOT_FOUND when it is not there. Sets the auth value if auth.len. */
rc_t tpm_nv_handle(struct tpm *t, uint32_t index, ESYS_TR *out);
/* Forgets it (after undefine). */
void tpm_nv_forget(struct tpm *t);

/* Loads the approver's public key (no secret part): its handle has the Name that policies bind. */
rc_t tpm_load_public(struct tpm *t, const TPM2B_PUBLIC *pub, struct tpm_handle *out);
/* Handles of sessions and transient objects that the TPM has now. */
rc_t tpm_flush_left(struct tpm *t);

#endif
