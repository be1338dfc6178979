/*
 * What the TPM is and can do, its PCRs and its random numbers.
 */
#include <stdio.h>

#include "proto/base/wipe.h"
#include "server/vault/tpm/session.h"

static rc_t capability(struct tpm *t, uint32_t cap, uint32_t first, uint32_t count,
                       TPMS_CAPABILITY_DATA **out)
{
    TPMI_YES_NO more;
    return TPM_RUN(t, "GetCapability",
                   Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, cap, first,
                                      count, &more, out));
}

/* Four characters of a property; what is not printable ends the text. */
static void add_text(char *text, size_t size, uint32_t value)
{
    size_t len = strlen(text);
    for (int shift = 24; shift >= 0 && len + 1 < size; shift -= 8) {
        char c = (char)(value >> shift & 0xff);
        if (c < ' ' || c > '~')
            break;
        text[len++] = c;
    }
    text[len] = 0;
}

static rc_t fixed_properties(struct tpm *t, struct tpm_facts *f)
{
    AUTO_ESYS TPMS_CAPABILITY_DATA *data = NULL;
    TRY(capability(t, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, TPM2_MAX_TPM_PROPERTIES, &data));
    const TPML_TAGGED_TPM_PROPERTY *list = &data->data.tpmProperties;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t value = list->tpmProperty[i].value;
        switch (list->tpmProperty[i].property) {
        case TPM2_PT_MANUFACTURER:
            add_text(f->manufacturer, sizeof f->manufacturer, value);
            break;
        case TPM2_PT_VENDOR_STRING_1:
        case TPM2_PT_VENDOR_STRING_2:
        case TPM2_PT_VENDOR_STRING_3:
        case TPM2_PT_VENDOR_STRING_4:
            add_text(f->vendor, sizeof f->vendor, value);
            break;
        case TPM2_PT_FIRMWARE_VERSION_1:
            f->firmware[0] = value;
            break;
        case TPM2_PT_FIRMWARE_VERSION_2:
            f->firmware[1] = value;
            break;
        default:
            break;
        }
    }
    /* swtpm says IBM and "SW   TPM"; the reference simulator "XYZ " or "MSFT"; clouds say their
     * names. */
    static const char *const soft[] = {"IBM", "MSFT", "XYZ", "GOOG", "AMZN", "VMW", "QEMU"};
    for (size_t i = 0; i < sizeof soft / sizeof soft[0]; i++)
        f->software |= strncmp(f->manufacturer, soft[i], strlen(soft[i])) == 0;
    f->software |= strncmp(f->vendor, "SW", 2) == 0;
    return RC_OK;
}

static rc_t find_commands(struct tpm *t, struct tpm_facts *f)
{
    AUTO_ESYS TPMS_CAPABILITY_DATA *data = NULL;
    TRY(capability(t, TPM2_CAP_COMMANDS, TPM2_CC_FIRST, TPM2_MAX_CAP_CC, &data));
    const TPML_CCA *list = &data->data.command;
    bool increment = false;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t cc = list->commandAttributes[i] & TPMA_CC_COMMANDINDEX_MASK;
        increment |= cc == TPM2_CC_NV_Increment;
        f->policy_nv |= cc == TPM2_CC_PolicyNV;
        f->policy_authorize |= cc == TPM2_CC_PolicyAuthorize;
        f->duplicate |= cc == TPM2_CC_Duplicate;
        f->encrypt_decrypt |= cc == TPM2_CC_EncryptDecrypt2;
    }
    f->nv_counter = increment;
    return RC_OK;
}

/* TestParms refuses what the TPM cannot do; only a lost connection is an error here. */
static rc_t test(struct tpm *t, const TPMT_PUBLIC_PARMS *parms, bool *can)
{
    rc_t rc = TPM_RUN(t, "TestParms",
                      Esys_TestParms(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, parms));
    *can = rc == RC_OK;
    return rc == RC_OK || tpm_connected(t) ? RC_OK : rc;
}

static rc_t test_storage(struct tpm *t, uint16_t aes_bits, bool *can)
{
    TPMT_PUBLIC_PARMS p = {.type = TPM2_ALG_ECC,
                           .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                                  .keyBits.aes = aes_bits,
                                                                  .mode.aes = TPM2_ALG_CFB},
                                                    .scheme.scheme = TPM2_ALG_NULL,
                                                    .curveID = TPM2_ECC_NIST_P256,
                                                    .kdf.scheme = TPM2_ALG_NULL}};
    return test(t, &p, can);
}

static rc_t test_sign(struct tpm *t, uint16_t curve, bool *can)
{
    TPMT_PUBLIC_PARMS p = {
        .type = TPM2_ALG_ECC,
        .parameters.eccDetail = {
            .symmetric.algorithm = TPM2_ALG_NULL,
            .scheme = {.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
            .curveID = curve,
            .kdf.scheme = TPM2_ALG_NULL}};
    return test(t, &p, can);
}

static rc_t test_rsa(struct tpm *t, uint16_t bits, bool *can)
{
    TPMT_PUBLIC_PARMS p = {.type = TPM2_ALG_RSA,
                           .parameters.rsaDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
                                                    .scheme.scheme = TPM2_ALG_NULL,
                                                    .keyBits = bits}};
    return test(t, &p, can);
}

/* The SHA-256 bank is on when it has PCRs. */
static rc_t find_bank(struct tpm *t, bool *found)
{
    AUTO_ESYS TPMS_CAPABILITY_DATA *data = NULL;
    TRY(capability(t, TPM2_CAP_PCRS, 0, 1, &data));
    const TPML_PCR_SELECTION *list = &data->data.assignedPCR;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->pcrSelections[i].hash == TPM2_ALG_SHA256)
            for (uint32_t n = 0; n < list->pcrSelections[i].sizeofSelect; n++)
                *found |= list->pcrSelections[i].pcrSelect[n] != 0;
    return RC_OK;
}

rc_t tpm_facts(struct tpm *t, struct tpm_facts *out)
{
    TRY(tpm_ready(t));
    if (!t->have_facts) {
        struct tpm_facts f = {0};
        AUTO_ESYS TPMS_TIME_INFO *now = NULL;
        TRY(fixed_properties(t, &f));
        TRY(find_commands(t, &f));
        TRY(find_bank(t, &f.sha256));
        TRY(test_storage(t, 128, &f.aes_128));
        TRY(test_storage(t, 256, &f.aes_256));
        TRY(test_sign(t, TPM2_ECC_NIST_P256, &f.ecc_p256));
        TRY(test_sign(t, TPM2_ECC_NIST_P384, &f.ecc_p384));
        TRY(test_rsa(t, 2048, &f.rsa_2048));
        TRY(test_rsa(t, 3072, &f.rsa_3072));
        TRY(TPM_RUN(t, "ReadClock",
                    Esys_ReadClock(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &now)));
        f.reset_count = now->clockInfo.resetCount;
        t->facts = f;
        t->have_facts = true;
    }
    *out = t->facts;
    return RC_OK;
}

rc_t tpm_facts_suffice(const struct tpm_facts *f, const char **missing)
{
    const struct {
        bool there;
        const char *name;
    } needs[] = {
        {f->sha256, "PCR bank SHA-256"},
        {f->ecc_p256, "ECDSA with P-256"},
        {f->aes_128, "storage keys with P-256 and AES-128-CFB"},
        {f->nv_counter, "NV counters"},
        {f->policy_nv, "TPM2_PolicyNV"},
        {f->policy_authorize, "TPM2_PolicyAuthorize"},
        {f->duplicate, "TPM2_Duplicate"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (!needs[i].there) {
            *missing = needs[i].name;
            return RC_FEATURE;
        }
    *missing = NULL;
    return RC_OK;
}

/* ---- PCRs ---- */

rc_t tpm_pcr_read(struct tpm *t, uint32_t mask, uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES])
{
    TRY(tpm_ready(t));
    memset(values, 0, TPM_PCR_COUNT * TPM_PCR_BYTES);
    /* One answer holds eight values; asked one by one, no answer has to be matched to a mask. */
    for (uint32_t pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
        if (!(mask >> pcr & 1))
            continue;
        TPML_PCR_SELECTION in = {.count = 1,
                                 .pcrSelections[0] = {.hash = TPM2_ALG_SHA256, .sizeofSelect = 3}};
        in.pcrSelections[0].pcrSelect[pcr / 8] = (BYTE)(1u << pcr % 8);
        AUTO_ESYS TPML_DIGEST *digests = NULL;
        TRY(TPM_RUN(t, "PCR_Read",
                    Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &in, NULL,
                                  NULL, &digests)));
        if (digests->count != 1 || digests->digests[0].size != TPM_PCR_BYTES)
            return tpm_fail(t, RC_FEATURE, "a selected PCR is not in the SHA-256 bank");
        memcpy(values[pcr], digests->digests[0].buffer, TPM_PCR_BYTES);
    }
    return RC_OK;
}

rc_t tpm_pcr_extend(struct tpm *t, uint32_t pcr, const uint8_t digest[TPM_PCR_BYTES])
{
    TRY(tpm_ready(t));
    if (pcr >= TPM_PCR_COUNT)
        return RC_INVALID_FIELD;
    TPML_DIGEST_VALUES values = {.count = 1, .digests[0].hashAlg = TPM2_ALG_SHA256};
    memcpy(values.digests[0].digest.sha256, digest, TPM_PCR_BYTES);
    return TPM_RUN(t, "PCR_Extend",
                   Esys_PCR_Extend(t->esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &values));
}

/* ---- random ---- */

rc_t tpm_random(struct tpm *t, size_t len, struct secret **out)
{
    enum { MOST = 32 }; /* what every TPM gives at once */
    AUTO_SECRET s = NULL;
    TRY(tpm_ready(t));
    TRY(secret_new(len, &s));
    for (size_t have = 0; have < len;) {
        AUTO_ESYS TPM2B_DIGEST *got = NULL;
        size_t want = len - have < MOST ? len - have : MOST;
        rc_t rc = TPM_RUN(t, "GetRandom",
                          Esys_GetRandom(t->esys, tpm_session(t, TPM_CRYPT_OUT), ESYS_TR_NONE,
                                         ESYS_TR_NONE, (UINT16)want, &got));
        TRY(rc);
        tpm_scrub(t);
        if (got->size == 0 || got->size > want)
            return tpm_fail(t, RC_TPM, "GetRandom: the TPM gave another length than asked for");
        memcpy(s->data + have, got->buffer, got->size);
        have += got->size;
        wipe(got, sizeof *got);
    }
    *out = secret_give(&s);
    return RC_OK;
}
