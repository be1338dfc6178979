/*
 * The connection to the TPM: opened when needed, thrown away after any error that is not an answer
 * of the TPM, built again with all that an earlier one left flushed. See tpm.h.
 */
#include "server/vault/tpm/tpm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_sys.h>
#include <unistd.h>

#include "proto/base/wipe.h"
#include "server/vault/tpm/session.h"
#include "server/vault/tpm/template.h"

enum { COMMAND_MS = 20000, AGAIN_MAX = 8, CODE_LAYERS = 0xff0000, CODE_FORMAT_ONE = 0x80 };

/* ---- results ---- */

static uint32_t code_layer(TSS2_RC code)
{
    return code & CODE_LAYERS;
}

/*
 * Answers after which our handles are not what we think, or there is no room: the objects and
 * sessions are gone (a reset TPM) or slots are full. A new connection flushes all and loads anew.
 */
static bool code_needs_restart(uint32_t bare)
{
    return (bare >= TPM2_RC_REFERENCE_H0 && bare <= TPM2_RC_REFERENCE_S6) ||
           (bare >= TPM2_RC_OBJECT_MEMORY && bare <= TPM2_RC_MEMORY) || bare == TPM2_RC_INITIALIZE;
}

/* An answer of the TPM itself, or of the kernel's resource manager in its place. */
static bool code_is_answer(TSS2_RC code)
{
    uint32_t layer = code_layer(code);
    return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER ||
           layer == TSS2_RESMGR_RC_LAYER;
}

bool tpm_again(TSS2_RC code, unsigned *tries)
{
    uint32_t bare = code & 0xffff;
    if (!code_is_answer(code) ||
        (bare != TPM2_RC_RETRY && bare != TPM2_RC_TESTING && bare != TPM2_RC_YIELDED) ||
        ++*tries > AGAIN_MAX)
        return false;
    long wait_ms = 10L << *tries;
    nanosleep(&(struct timespec){.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L},
              NULL);
    return true;
}

static void tpm_close(struct tpm *t)
{
    if (t->esys)
        Esys_Finalize(&t->esys);
    if (t->fd >= 0) {
        Tss2_Tcti_Finalize(tcti_fd_context(&t->tcti));
        close(t->fd);
    }
    t->esys = NULL;
    t->fd = -1;
    t->session = t->srk = t->nv_handle = ESYS_TR_NONE;
    t->nv_index = 0;
    t->have_facts = false;
    t->generation++;
}

rc_t tpm_result(struct tpm *t, const char *what, TSS2_RC code)
{
    if (code == TSS2_RC_SUCCESS)
        return RC_OK;
    bool answer = code_is_answer(code);
    t->last_code = answer ? code & 0xffff : 0;
    snprintf(t->last_error, sizeof t->last_error, "%s: 0x%x %s", what, code, Tss2_RC_Decode(code));
    if (!answer || code_needs_restart(t->last_code)) {
        tpm_close(t);
        return RC_TPM;
    }
    switch (tpm_last_format_one(t)) {
    case TPM2_RC_INTEGRITY:
        return RC_INTEGRITY;
    case TPM2_RC_POLICY_FAIL:
        return RC_TPM_LOCKED;
    default:
        return RC_TPM;
    }
}

rc_t tpm_fail(struct tpm *t, rc_t rc, const char *what)
{
    t->last_code = 0;
    snprintf(t->last_error, sizeof t->last_error, "%s", what);
    return rc;
}

uint32_t tpm_last_format_one(const struct tpm *t)
{
    return t->last_code & CODE_FORMAT_ONE ? t->last_code & 0xbf : 0;
}

const char *tpm_last_error(const struct tpm *t)
{
    return t->last_error;
}

uint32_t tpm_last_code(const struct tpm *t)
{
    return t->last_code;
}

bool tpm_connected(const struct tpm *t)
{
    return t->esys != NULL;
}

uint64_t tpm_generation(const struct tpm *t)
{
    return t->generation;
}

/* ---- handles and memory ---- */

struct tpm_handle tpm_handle_of(struct tpm *t)
{
    return (struct tpm_handle){.t = t, .tr = ESYS_TR_NONE, .generation = t->generation};
}

void tpm_handle_flush(struct tpm_handle *h)
{
    struct tpm *t = h->t;
    if (t && h->tr != ESYS_TR_NONE && h->generation == t->generation && t->esys) {
        uint32_t kept_code = t->last_code;
        char kept[sizeof t->last_error];
        memcpy(kept, t->last_error, sizeof kept);
        /* A failed flush closes the connection or leaves a handle that the next start-up flushes.
         */
        (void)TPM_RUN(t, "FlushContext", Esys_FlushContext(t->esys, h->tr));
        t->last_code = kept_code; /* the reason that people need is the one that led here */
        memcpy(t->last_error, kept, sizeof kept);
    }
    h->tr = ESYS_TR_NONE;
}

void tpm_esys_free(void *pointer_to_pointer)
{
    void **p = pointer_to_pointer;
    Esys_Free(*p);
    *p = NULL;
}

ESYS_TR tpm_session(struct tpm *t, unsigned crypt)
{
    TPMA_SESSION flags = TPMA_SESSION_CONTINUESESSION;
    if (crypt & TPM_CRYPT_IN)
        flags |= TPMA_SESSION_DECRYPT;
    if (crypt & TPM_CRYPT_OUT)
        flags |= TPMA_SESSION_ENCRYPT;
    /* Local to the TSS; cannot fail for a session that it made itself. */
    Esys_TRSess_SetAttributes(t->esys, t->session, flags, 0xff);
    return t->session;
}

static void wipe_borrowed(const uint8_t *data, size_t len)
{
    union {
        const uint8_t *shown;
        uint8_t *own;
    } p = {.shown = data};
    wipe(p.own, len);
}

void tpm_scrub(struct tpm *t)
{
    TSS2_SYS_CONTEXT *sys;
    const uint8_t *data;
    size_t len;
    if (!t->esys || Esys_GetSysContext(t->esys, &sys) != TSS2_RC_SUCCESS)
        return;
    if (Tss2_Sys_GetRpBuffer(sys, &len, &data) == TSS2_RC_SUCCESS)
        wipe_borrowed(data, len);
}

/* ---- making and breaking ---- */

rc_t tpm_set_owner_auth(struct tpm *t, struct bytes auth)
{
    if (auth.len > TPM_AUTH_MAX)
        return RC_INVALID_FIELD;
    wipe(&t->owner_auth, sizeof t->owner_auth);
    t->owner_auth.size = (UINT16)auth.len;
    if (auth.len)
        memcpy(t->owner_auth.buffer, auth.data, auth.len);
    return RC_OK;
}

rc_t tpm_new(const struct tpm_options *options, struct tpm **out)
{
    /* The TSS logs parameters when it is asked to; nobody may ask. */
    if (setenv("TSS2_LOG", "all+none", 1) != 0)
        return RC_NO_MEMORY;
    struct tpm *t = calloc(1, sizeof *t);
    if (!t)
        return RC_NO_MEMORY;
    t->options = *options;
    if (t->options.command_ms == 0)
        t->options.command_ms = COMMAND_MS;
    t->fd = -1;
    t->session = t->srk = t->nv_handle = ESYS_TR_NONE;
    *out = t;
    return RC_OK;
}

void tpm_disconnect(struct tpm *t)
{
    char kept[sizeof t->last_error];
    memcpy(kept, t->last_error, sizeof kept);
    if (t->esys)
        (void)tpm_flush_left(t);
    tpm_close(t);
    memcpy(t->last_error, kept, sizeof kept);
}

void tpm_free(struct tpm **t)
{
    if (!*t)
        return;
    tpm_disconnect(*t);
    wipe(*t, sizeof **t);
    free(*t);
    *t = NULL;
}

/* Handles of one kind that the TPM lists; 254 at most come in one answer, far above any real limit.
 */
static rc_t list_handles(struct tpm *t, uint32_t first, TPML_HANDLE *out)
{
    TPMI_YES_NO more;
    AUTO_ESYS TPMS_CAPABILITY_DATA *data = NULL;
    TRY(TPM_RUN(t, "GetCapability(handles)",
                Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                   TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more, &data)));
    *out = data->data.handles;
    return RC_OK;
}

static const uint32_t flushable[] = {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST,
                                     TPM2_ACTIVE_SESSION_FIRST};

rc_t tpm_flush_left(struct tpm *t)
{
    TSS2_SYS_CONTEXT *sys;
    TRY(TPM_RUN(t, "Esys_GetSysContext", Esys_GetSysContext(t->esys, &sys)));
    for (size_t i = 0; i < sizeof flushable / sizeof flushable[0]; i++) {
        TPML_HANDLE list;
        TRY(list_handles(t, flushable[i], &list));
        for (uint32_t n = 0; n < list.count; n++) {
            /* The listing of saved sessions gives them as 03......, whatever their type was. */
            rc_t rc = TPM_RUN(t, "FlushContext", Tss2_Sys_FlushContext(sys, list.handle[n]));
            if (rc != RC_OK && !t->esys)
                return rc;
        }
    }
    return RC_OK;
}

rc_t tpm_count_left(struct tpm *t, size_t *count)
{
    TRY(tpm_ready(t));
    const size_t own = 2; /* storage root and session */
    size_t found = 0;
    for (size_t i = 0; i < sizeof flushable / sizeof flushable[0]; i++) {
        TPML_HANDLE list;
        TRY(list_handles(t, flushable[i], &list));
        found += list.count;
    }
    *count = found > own ? found - own : 0;
    return RC_OK;
}

/* The salt needs the storage root; without it the session is good for showing that an authorisation
 * is known, not for secrets. */
static rc_t start_session(struct tpm *t, ESYS_TR salt_key, ESYS_TR *out)
{
    TPMT_SYM_DEF symmetric = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    return TPM_RUN(t, "StartAuthSession",
                   Esys_StartAuthSession(t->esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                         ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &symmetric,
                                         TPM2_ALG_SHA256, out));
}

static rc_t create_srk(struct tpm *t, ESYS_TR session)
{
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PUBLIC wanted;
    AUTO_ESYS TPM2B_PUBLIC *public = NULL;
    template_srk(&wanted);
    rc_t rc =
        TPM_RUN(t, "CreatePrimary(storage root)",
                Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, session, ESYS_TR_NONE, ESYS_TR_NONE,
                                   &sensitive, &wanted, &outside, &pcrs, &t->srk, &public, NULL,
                                   NULL, NULL));
    uint32_t code = tpm_last_format_one(t);
    if (rc == RC_TPM && (code == TPM2_RC_BAD_AUTH || code == TPM2_RC_AUTH_FAIL))
        return tpm_fail(t, RC_TPM, "the TPM's owner has another authorisation; "
                                   "[vault] tpm_owner_auth names the file with it");
    TRY(rc);
    t->srk_public = *public;
    return template_name(public, &t->srk_name);
}

/* An authorisation that there is must not go over the wire: a session proves it instead. */
static rc_t make_srk(struct tpm *t)
{
    AUTO_HANDLE session = tpm_handle_of(t);
    if (t->owner_auth.size == 0)
        return create_srk(t, ESYS_TR_PASSWORD);
    TRY(start_session(t, ESYS_TR_NONE, &session.tr));
    const TPMA_SESSION kept = TPMA_SESSION_CONTINUESESSION;
    TRY(TPM_RUN(t, "session", Esys_TRSess_SetAttributes(t->esys, session.tr, kept, 0xff)));
    return create_srk(t, session.tr);
}

static rc_t start(struct tpm *t)
{
    /* A TPM that was started before answers INITIALIZE, which ESYS takes for success. */
    TRY(TPM_RUN(t, "Startup", Esys_Startup(t->esys, TPM2_SU_CLEAR)));
    TRY(tpm_flush_left(t));
    TRY(TPM_RUN(t, "owner authorisation",
                Esys_TR_SetAuth(t->esys, ESYS_TR_RH_OWNER, &t->owner_auth)));
    TRY(make_srk(t));
    return start_session(t, t->srk, &t->session);
}

rc_t tpm_ready(struct tpm *t)
{
    if (t->esys)
        return RC_OK;
    rc_t rc = t->options.get_fd(t->options.arg, &t->fd);
    if (rc != RC_OK) {
        t->fd = -1;
        return tpm_fail(t, rc, "the TPM cannot be opened");
    }
    rc = tcti_fd_open(&t->tcti, t->fd, t->options.command_ms);
    if (rc != RC_OK) {
        close(t->fd);
        t->fd = -1;
        return tpm_fail(t, rc, "the TPM's descriptor cannot be used");
    }
    rc = TPM_RUN(t, "Esys_Initialize", Esys_Initialize(&t->esys, tcti_fd_context(&t->tcti), NULL));
    if (rc == RC_OK)
        rc = start(t);
    if (rc != RC_OK)
        tpm_close(t);
    return rc;
}

rc_t tpm_ping(struct tpm *t)
{
    AUTO_ESYS TPMS_TIME_INFO *now = NULL;
    TRY(tpm_ready(t));
    return TPM_RUN(t, "ReadClock",
                   Esys_ReadClock(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &now));
}

rc_t tpm_load_public(struct tpm *t, const TPM2B_PUBLIC *pub, struct tpm_handle *out)
{
    *out = tpm_handle_of(t);
    return TPM_RUN(t, "LoadExternal",
                   Esys_LoadExternal(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, pub,
                                     ESYS_TR_RH_OWNER, &out->tr));
}

rc_t tpm_nv_handle(struct tpm *t, uint32_t index, ESYS_TR *out)
{
    if (t->nv_handle == ESYS_TR_NONE || t->nv_index != index) {
        tpm_nv_forget(t);
        rc_t rc = TPM_RUN(t, "NV_ReadPublic",
                          Esys_TR_FromTPMPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE,
                                                ESYS_TR_NONE, &t->nv_handle));
        if (rc != RC_OK) {
            t->nv_handle = ESYS_TR_NONE;
            return tpm_last_format_one(t) == TPM2_RC_HANDLE ? RC_NOT_FOUND : rc;
        }
        t->nv_index = index;
    }
    *out = t->nv_handle;
    return RC_OK;
}

void tpm_nv_forget(struct tpm *t)
{
    if (t->esys && t->nv_handle != ESYS_TR_NONE)
        Esys_TR_Close(t->esys, &t->nv_handle);
    t->nv_handle = ESYS_TR_NONE;
    t->nv_index = 0;
}
