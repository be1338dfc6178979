/*
 * JSON form of requests, responses and proofs. Strict: unknown or missing members are refused.
 */
#include "server/vault/tpm/request.h"

#include <jansson.h>
#include <stdio.h>

#include "server/vault/tpm/hex.h"
#include "server/vault/tpm/p256.h"

enum { FORMAT_VERSION = 1 };

static const char *const kinds[REQUEST_KINDS] = {
    [REQUEST_INIT] = "init", [REQUEST_APPROVAL] = "approval", [REQUEST_RECOVERY] = "recovery"};

static void json_drop(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}
#define AUTO_JSON __attribute__((cleanup(json_drop))) json_t

void request_free(struct request *r)
{
    buf_free(&r->ek_cert);
}

/* ---- writing ---- */

static rc_t put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0 ? RC_OK : RC_NO_MEMORY;
}

static rc_t put_hex(json_t *o, const char *key, struct bytes data)
{
    AUTO_BUF text = BUF_EMPTY;
    TRY(hex_add(&text, data));
    return put(o, key, json_stringn(text.len ? (const char *)text.data : "", text.len));
}

static rc_t put_public(json_t *o, const char *key, const TPM2B_PUBLIC *pub)
{
    AUTO_BUF raw = BUF_EMPTY;
    TRY(public_write(pub, &raw));
    return put_hex(o, key, buf_view(&raw));
}

static rc_t put_head(json_t *o, const char *format, enum request_kind kind, const struct uid *node)
{
    char uid[UID_TEXT_SIZE];
    uid_print(node, uid);
    TRY(put(o, "format", json_string(format)));
    TRY(put(o, "version", json_integer(FORMAT_VERSION)));
    TRY(put(o, "kind", json_string(kinds[kind])));
    return put(o, "node", json_string(uid));
}

static rc_t dump(const json_t *o, struct buf *out)
{
    char *text = json_dumps(o, JSON_INDENT(2));
    if (!text)
        return RC_NO_MEMORY;
    rc_t rc = buf_add_str(out, text);
    free(text);
    return rc == RC_OK ? buf_add_u8(out, '\n') : rc;
}

rc_t request_compute(struct request *r)
{
    uint8_t digest[32];
    struct node_name nv;
    TRY(policy_pcr_digest(r->pcr_mask, (const uint8_t(*)[TPM_PCR_BYTES])r->pcrs, digest));
    TRY(policy_counter_name(r->nv_index, &r->node, &nv));
    return policy_of_use(r->pcr_mask, digest, &nv, r->counter, &r->use);
}

rc_t request_write(const struct request *r, struct buf *out)
{
    AUTO_JSON *o = json_object();
    json_t *pcrs = json_object(); /* given to o at once */
    TRY(put_head(o, "holdfast-request", r->kind, &r->node));
    TRY(put(o, "pcrs", pcrs));
    for (unsigned i = 0; i < TPM_PCR_COUNT; i++) {
        char number[12];
        snprintf(number, sizeof number, "%u", i);
        if (r->pcr_mask >> i & 1)
            TRY(put_hex(pcrs, number, bytes_of(r->pcrs[i], TPM_PCR_BYTES)));
    }
    TRY(put_public(o, "cluster_root", &r->cr_pub));
    TRY(put_public(o, "approver", &r->auth_pub));
    TRY(put_public(o, "attestation_key", &r->ak_pub));
    TRY(put_hex(o, "endorsement_certificate", buf_view(&r->ek_cert)));
    TRY(put(o, "manufacturer", json_string(r->manufacturer)));
    TRY(put(o, "software_tpm", json_boolean(r->software)));
    TRY(put(o, "nv_index", json_integer(r->nv_index)));
    TRY(put(o, "counter", json_integer((json_int_t)r->counter)));
    TRY(put_hex(o, "policy", bytes_of(r->use.raw, sizeof r->use.raw)));
    return dump(o, out);
}

rc_t response_write(const struct response *r, struct buf *out)
{
    AUTO_JSON *o = json_object();
    TRY(put_head(o, "holdfast-response", r->kind, &r->node));
    TRY(put(o, "pcr_mask", json_integer(r->pcr_mask)));
    TRY(put(o, "counter", json_integer((json_int_t)r->counter)));
    TRY(put_hex(o, "policy", bytes_of(r->use.policy.raw, sizeof r->use.policy.raw)));
    TRY(put_hex(o, "signature", bytes_of(r->use.signature, sizeof r->use.signature)));
    if (r->has_rec) {
        TRY(put_public(o, "recovery_key", &r->rec_pub));
        TRY(put_hex(o, "escrow_policy", bytes_of(r->dup.policy.raw, sizeof r->dup.policy.raw)));
        TRY(put_hex(o, "escrow_signature", bytes_of(r->dup.signature, sizeof r->dup.signature)));
    }
    return dump(o, out);
}

rc_t proof_write(const uint8_t escrow_digest[32], const uint8_t signature[ROOT_SIGNATURE],
                 struct buf *out)
{
    AUTO_JSON *o = json_object();
    TRY(put(o, "format", json_string("holdfast-escrow-proof")));
    TRY(put(o, "version", json_integer(FORMAT_VERSION)));
    TRY(put_hex(o, "escrow_sha256", bytes_of(escrow_digest, 32)));
    TRY(put_hex(o, "signature", bytes_of(signature, ROOT_SIGNATURE)));
    return dump(o, out);
}

/* ---- reading ---- */

static rc_t load(struct bytes text, const char *format, size_t least, size_t most, json_t **out)
{
    json_error_t error;
    if (text.len > CEREMONY_TEXT_MAX)
        return RC_TOO_LARGE;
    json_t *o = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    const char *says = json_string_value(json_object_get(o, "format"));
    if (!o || !says || strcmp(says, format) != 0 || json_object_size(o) < least ||
        json_object_size(o) > most ||
        json_integer_value(json_object_get(o, "version")) != FORMAT_VERSION) {
        json_decref(o);
        return RC_BAD_MESSAGE;
    }
    *out = o;
    return RC_OK;
}

static struct bytes text_of(const json_t *o, const char *key)
{
    const json_t *s = json_object_get(o, key);
    return json_is_string(s) ? bytes_of(json_string_value(s), json_string_length(s)) : BYTES_NONE;
}

static rc_t get_exact(const json_t *o, const char *key, uint8_t *out, size_t len)
{
    return hex_parse_exact(text_of(o, key), out, len) == RC_OK ? RC_OK : RC_BAD_MESSAGE;
}

static rc_t get_public(const json_t *o, const char *key, TPM2B_PUBLIC *out)
{
    AUTO_BUF raw = BUF_EMPTY;
    if (hex_parse(text_of(o, key), sizeof *out, &raw) != RC_OK ||
        public_read(buf_view(&raw), out) != RC_OK)
        return RC_BAD_MESSAGE;
    return RC_OK;
}

static rc_t get_integer(const json_t *o, const char *key, uint64_t most, uint64_t *out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > most)
        return RC_BAD_MESSAGE;
    *out = (uint64_t)json_integer_value(v);
    return RC_OK;
}

static rc_t get_head(const json_t *o, enum request_kind *kind, struct uid *node)
{
    struct bytes name = text_of(o, "kind");
    for (unsigned i = 0; i < REQUEST_KINDS; i++)
        if (bytes_is(name, kinds[i])) {
            *kind = (enum request_kind)i;
            return uid_parse(text_of(o, "node"), node) == RC_OK ? RC_OK : RC_BAD_MESSAGE;
        }
    return RC_BAD_MESSAGE;
}

static rc_t get_pcrs(const json_t *o, struct request *r)
{
    const json_t *pcrs = json_object_get(o, "pcrs");
    size_t found = 0;
    for (unsigned i = 0; i < TPM_PCR_COUNT; i++) {
        char number[12];
        snprintf(number, sizeof number, "%u", i);
        if (!json_object_get(pcrs, number))
            continue;
        TRY(get_exact(pcrs, number, r->pcrs[i], TPM_PCR_BYTES));
        r->pcr_mask |= 1u << i;
        found++;
    }
    return found && found == json_object_size(pcrs) ? RC_OK : RC_BAD_MESSAGE;
}

rc_t request_read(struct bytes text, struct request *r)
{
    AUTO_JSON *o = NULL;
    uint64_t number;
    struct policy says;
    *r = (struct request){.ek_cert = BUF_EMPTY};
    TRY(load(text, "holdfast-request", 14, 14, &o));
    TRY(get_head(o, &r->kind, &r->node));
    TRY(get_pcrs(o, r));
    TRY(get_public(o, "cluster_root", &r->cr_pub));
    TRY(get_public(o, "approver", &r->auth_pub));
    TRY(get_public(o, "attestation_key", &r->ak_pub));
    if (hex_parse(text_of(o, "endorsement_certificate"), HIERARCHY_FIELD_MAX, &r->ek_cert) != RC_OK)
        return RC_BAD_MESSAGE;
    struct bytes maker = text_of(o, "manufacturer");
    if (maker.len >= sizeof r->manufacturer)
        return RC_BAD_MESSAGE;
    if (maker.len)
        memcpy(r->manufacturer, maker.data, maker.len);
    r->software = json_is_true(json_object_get(o, "software_tpm"));
    TRY(get_integer(o, "nv_index", UINT32_MAX, &number));
    r->nv_index = (uint32_t)number;
    TRY(get_integer(o, "counter", INT64_MAX, &r->counter));
    TRY(get_exact(o, "policy", says.raw, sizeof says.raw));
    TRY(request_compute(r));
    return memcmp(says.raw, r->use.raw, sizeof says.raw) == 0 ? RC_OK : RC_BAD_MESSAGE;
}

rc_t response_read(struct bytes text, struct response *r)
{
    AUTO_JSON *o = NULL;
    uint64_t mask;
    *r = (struct response){.has_rec = false};
    TRY(load(text, "holdfast-response", 8, 11, &o));
    TRY(get_head(o, &r->kind, &r->node));
    TRY(get_integer(o, "pcr_mask", (1u << TPM_PCR_COUNT) - 1, &mask));
    r->pcr_mask = (uint32_t)mask;
    TRY(get_integer(o, "counter", INT64_MAX, &r->counter));
    TRY(get_exact(o, "policy", r->use.policy.raw, sizeof r->use.policy.raw));
    TRY(get_exact(o, "signature", r->use.signature, sizeof r->use.signature));
    r->has_rec = json_object_get(o, "recovery_key") != NULL;
    if (json_object_size(o) != (r->has_rec ? 11 : 8))
        return RC_BAD_MESSAGE;
    if (r->has_rec) {
        TRY(get_public(o, "recovery_key", &r->rec_pub));
        TRY(get_exact(o, "escrow_policy", r->dup.policy.raw, sizeof r->dup.policy.raw));
        TRY(get_exact(o, "escrow_signature", r->dup.signature, sizeof r->dup.signature));
    }
    return RC_OK;
}

rc_t proof_read(struct bytes text, uint8_t escrow_digest[32], uint8_t signature[ROOT_SIGNATURE])
{
    AUTO_JSON *o = NULL;
    TRY(load(text, "holdfast-escrow-proof", 4, 4, &o));
    TRY(get_exact(o, "escrow_sha256", escrow_digest, 32));
    return get_exact(o, "signature", signature, ROOT_SIGNATURE);
}

/* ---- signatures ---- */

static rc_t check_one(const struct p256 *auth, const struct approval *a, const char *ref)
{
    uint8_t digest[32];
    TRY(policy_to_sign(&a->policy, ref, digest));
    return p256_verify(auth, digest, a->signature);
}

rc_t response_check(const struct response *r, const TPM2B_PUBLIC *auth_pub,
                    const TPM2B_PUBLIC *cr_pub)
{
    struct p256_point point;
    struct node_name cr, rec;
    struct policy dup;
    TPM2B_PUBLIC wanted;
    AUTO_P256 auth = {NULL};
    TRY(public_point(auth_pub, &point));
    TRY(p256_from_point(&point, &auth));
    TRY(check_one(&auth, &r->use, POLICY_REF_USE));
    if (!r->has_rec)
        return RC_OK;
    TRY(public_point(&r->rec_pub, &point));
    template_rec(&wanted, &point);
    if (!template_fits(&r->rec_pub, &wanted))
        return RC_INTEGRITY;
    TRY(template_name(cr_pub, &cr));
    TRY(template_name(&r->rec_pub, &rec));
    TRY(policy_of_dup(&cr, &rec, &dup));
    if (memcmp(dup.raw, r->dup.policy.raw, sizeof dup.raw) != 0)
        return RC_INTEGRITY;
    return check_one(&auth, &r->dup, POLICY_REF_DUP);
}
