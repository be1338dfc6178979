/*
 * What each call does; see call.def for who may ask. A handler checks, works on the keyring and
 * writes its answer into the peer's writer, or parks the call until the TPM thread has opened, or a
 * maker has made, what it needs. Nothing that decides comes from anything but a verified control record and the vault's
 * own clock.
 */
#include "proto/kmip/tables.h"
#include "proto/ttlv/write.h"
#include "server/base/clock.h"
#include "server/vault/material.h"
#include "server/vault/rules.h"
#include "server/vault/service_impl.h"

static rc_t answer(struct ask *a, const struct vault_reply *reply)
{
    return vault_reply_write(&a->peer->writer, a->call.op, a->frame->id, reply);
}

rc_t service_verify(struct ask *a, struct binding *binding)
{
    struct vault_service *s = a->service;
    if (!s->keyring.control)
        return RC_SEALED;
    TRY(control_verify(s->keyring.control, &a->call.control, a->call.mac, binding));
    return a->call.domain == a->call.control.domain ? RC_OK : RC_INTEGRITY;
}

/* The domain key, or the call is parked and *key stays NULL. epoch 0: the active one. */
static rc_t need_key(struct ask *a, uint32_t epoch, const struct domain_key **key)
{
    const struct keyring *ring = &a->service->keyring;
    *key = epoch ? keyring_find(ring, a->call.domain, epoch) : keyring_active(ring, a->call.domain);
    if (*key)
        return RC_OK;
    if (a->again)
        return a->job_rc == RC_OK ? RC_UNAVAILABLE : a->job_rc;
    return service_park(a, JOB_DOMAIN_KEY, a->call.domain, epoch, BYTES_NONE);
}

/* The parts of a reply that tell of one sealed key; a view of the envelope's buffer. */
struct sealed {
    uint8_t *mac, *digest;
    struct bytes *envelope;
};

/* Seals new material and signs its record. */
static rc_t seal(struct ask *a, const struct control *control, const struct domain_key *key,
                 struct bytes plain, uint32_t key_format, struct buf *envelope, struct sealed *out)
{
    struct vault_service *s = a->service;
    struct binding binding;
    TRY(binding_new(&binding));
    TRY(control_sign(s->keyring.control, control, &binding, out->mac));
    TRY(crypto_sha256(s->crypto, plain, out->digest));
    TRY(envelope_seal(s->crypto, key, control, &binding, key_format, plain, envelope));
    *out->envelope = buf_view(envelope);
    return RC_OK;
}

/* The digest in the default format of such a key, where a maker has written that. */
static rc_t digest_other(struct ask *a, int half, uint32_t *format, uint8_t digest[32])
{
    const struct make_job *j = a->made;
    if (!j || !j->other_format[half])
        return RC_OK;
    *format = j->other_format[half];
    return crypto_sha256(a->service->crypto, buf_view(&j->other[half]), digest);
}

/* The digest of a Transparent Symmetric Key: over the TTLV of its Key Material (KMIP 2.1, 4.21). */
static rc_t digest_transparent(struct ask *a, struct bytes key, uint8_t digest[32])
{
    AUTO_BUF ttlv = BUF_EMPTY;
    size_t mark;
    TRY(ttlv_begin(&ttlv, KMIP_TAG_KEY_MATERIAL, &mark));
    TRY(ttlv_write_bytes(&ttlv, KMIP_TAG_KEY, TTLV_BYTE_STRING, key));
    TRY(ttlv_end(&ttlv, mark));
    return crypto_sha256(a->service->crypto, buf_view(&ttlv), digest);
}

/* Seals the one new key of the call and answers. */
static rc_t seal_new(struct ask *a, const struct domain_key *key, struct bytes plain,
                     uint32_t key_format)
{
    const struct control *c = &a->call.control;
    struct vault_reply reply = {
        .rc = RC_OK, .key_format = key_format, .algorithm = c->algorithm, .length = c->length};
    struct sealed to = {reply.mac, reply.digest, &reply.envelope};
    AUTO_BUF envelope = BUF_EMPTY;
    TRY(seal(a, c, key, plain, key_format, &envelope, &to));
    TRY(digest_other(a, 0, &reply.other_format, reply.other_digest));
    if (key_format == FORMAT_TRANSPARENT_SYMMETRIC) {
        reply.other_format = key_format; /* the plain bytes are those of the default, Raw */
        TRY(digest_transparent(a, plain, reply.other_digest));
    }
    if (a->made)
        reply.curve = a->made->facts.curve;
    return answer(a, &reply);
}

/* What all that make new objects have in common, up to the key. */
static rc_t begin_new(struct ask *a, const struct domain_key **key)
{
    if (!a->service->keyring.control)
        return RC_SEALED;
    if (a->call.domain != a->call.control.domain)
        return RC_INVALID_FIELD;
    TRY(rules_new(&a->call.control, clock_wall_s()));
    return need_key(a, 0, key);
}

rc_t do_generate(struct ask *a)
{
    const struct domain_key *key = NULL;
    AUTO_SECRET made = NULL;
    uint32_t key_format = 0;
    TRY(begin_new(a, &key));
    if (!key)
        return RC_OK;
    TRY(material_generate(&a->call.control, &made, &key_format));
    if (a->call.key_format == FORMAT_TRANSPARENT_SYMMETRIC)
        key_format = a->call.key_format; /* the same bytes, to be given as a structure */
    return seal_new(a, key, secret_view(made), key_format);
}

/* ---- key pairs ------------------------------------------------------------------------------ */

/* Two halves of one owner that say the same of the pair. */
static rc_t check_halves(const struct control *private, const struct control *public, int64_t now)
{
    TRY(rules_new(public, now));
    bool agree = private->object_type == KMIP_OBJECT_PRIVATE_KEY &&
                 public->object_type == KMIP_OBJECT_PUBLIC_KEY &&
                 private->domain == public->domain && uid_equal(&private->owner, &public->owner) &&
                 !uid_equal(&private->uid, &public->uid) &&
                 private->algorithm == public->algorithm && private->length == public->length;
    return agree ? RC_OK : RC_INVALID_FIELD;
}

static rc_t start_pair(struct ask *a)
{
    const struct vault_service_options *o = &a->service->options;
    const struct control *c = &a->call.control;
    uint32_t family = asym_family(c->algorithm);
    bool rsa = family == KMIP_ALGORITHM_RSA && c->length >= o->rsa_bits_least &&
               c->length <= o->rsa_bits_most && c->length % 8 == 0;
    if (!rsa && (family != KMIP_ALGORITHM_EC || !asym_nist_curve(c->length)))
        return RC_FEATURE;
    struct make_job *job = make_job_new(MAKE_PAIR, &c->owner);
    if (!job)
        return RC_NO_MEMORY;
    job->family = family;
    job->bits = c->length;
    job->out_format[0] = a->call.key_format;
    job->out_format[1] = a->call.key_format_public;
    return service_make(a, job);
}

static rc_t seal_pair(struct ask *a, const struct domain_key *key)
{
    const struct make_job *j = a->made;
    struct vault_reply reply = {.rc = RC_OK,
                                .key_format = j->out_format[0],
                                .half = {.key_format = j->out_format[1]},
                                .curve = j->facts.curve};
    struct sealed first = {reply.mac, reply.digest, &reply.envelope};
    struct sealed second = {reply.half.mac, reply.half.digest, &reply.half.envelope};
    AUTO_BUF private = BUF_EMPTY, public = BUF_EMPTY;
    TRY(seal(a, &a->call.control, key, buf_view(&j->out[0]), reply.key_format, &private, &first));
    TRY(seal(a, &a->call.control_public, key, buf_view(&j->out[1]), reply.half.key_format, &public,
             &second));
    TRY(digest_other(a, 0, &reply.other_format, reply.other_digest));
    TRY(digest_other(a, 1, &reply.half.other_format, reply.half.other_digest));
    reply.algorithm = a->call.control.algorithm;
    reply.length = a->call.control.length;
    return answer(a, &reply);
}

rc_t do_generate_pair(struct ask *a)
{
    const struct domain_key *key = NULL;
    TRY(check_halves(&a->call.control, &a->call.control_public, clock_wall_s()));
    TRY(begin_new(a, &key));
    if (!key)
        return RC_OK;
    if (!a->made)
        return start_pair(a);
    TRY(a->made->rc);
    return seal_pair(a, key);
}

/* ---- registration --------------------------------------------------------------------------- */

/* A key of a pair, or a certificate: what must be parsed to be known. */
static bool is_asymmetric(uint32_t object_type)
{
    return object_type == KMIP_OBJECT_PRIVATE_KEY || object_type == KMIP_OBJECT_PUBLIC_KEY ||
           object_type == KMIP_OBJECT_CERTIFICATE;
}

/* Keys in a form that only the client can read: taken as they are, for what the client says. */
static bool is_clients_secret(const struct vault_call *call)
{
    if (call->control.object_type == KMIP_OBJECT_CERTIFICATE)
        return false;
    return call->key_format == KMIP_FORMAT_OPAQUE ||
           (call->key_format == KMIP_FORMAT_PKCS8 &&
            call->control.object_type == KMIP_OBJECT_PRIVATE_KEY &&
            asym_is_encrypted_pkcs8(call->material));
}

static rc_t start_check(struct ask *a)
{
    struct make_job *job = make_job_new(MAKE_CHECK, &a->call.control.owner);
    rc_t rc = job ? buf_add_bytes(&job->in, a->call.material) : RC_NO_MEMORY;
    if (rc != RC_OK) {
        make_job_free(job);
        return rc;
    }
    job->object_type = a->call.control.object_type;
    job->in_format = a->call.key_format;
    return service_make(a, job);
}

/* The record must say what the material says, or nothing: then it is told here. */
static rc_t fill_record(struct control *c, const struct asym_facts *f)
{
    if (f->algorithm == 0)
        return RC_OK; /* a certificate with a key of some other kind: the client's word stands */
    if (c->algorithm == 0) /* a name that every version of KMIP has */
        c->algorithm = f->algorithm == KMIP_ALGORITHM_EC ? KMIP_ALGORITHM_ECDSA : f->algorithm;
    if (c->length == 0)
        c->length = f->bits;
    return asym_family(c->algorithm) == f->algorithm && c->length == f->bits ? RC_OK
                                                                            : RC_INVALID_FIELD;
}

static rc_t register_asymmetric(struct ask *a, const struct domain_key *key)
{
    struct control *c = &a->call.control;
    if (is_clients_secret(&a->call)) {
        if (c->algorithm == 0 || c->length == 0 || a->call.material.len == 0)
            return RC_INVALID_FIELD;
    } else {
        if (!a->made)
            return start_check(a);
        TRY(a->made->rc);
        TRY(fill_record(c, &a->made->facts));
    }
    return seal_new(a, key, a->call.material, a->call.key_format);
}

rc_t do_register(struct ask *a)
{
    const struct domain_key *key = NULL;
    bool asymmetric = is_asymmetric(a->call.control.object_type);
    if (!asymmetric)
        TRY(material_check(&a->call.control, a->call.key_format, a->call.material));
    TRY(begin_new(a, &key));
    if (!key)
        return RC_OK;
    return asymmetric ? register_asymmetric(a, key)
                      : seal_new(a, key, a->call.material, a->call.key_format);
}

/* ---- giving --------------------------------------------------------------------------------- */

/* The opened key at the end of the open frame goes to a maker instead. */
static rc_t start_convert(struct ask *a, uint32_t key_format, size_t plain_at)
{
    const struct buf *out = &a->peer->writer.out;
    if (!is_asymmetric(a->call.control.object_type))
        return RC_KEY_FORMAT;
    struct make_job *job = make_job_new(MAKE_CONVERT, &a->call.control.owner);
    rc_t rc = job ? buf_add(&job->in, out->data + plain_at, out->len - plain_at) : RC_NO_MEMORY;
    if (rc != RC_OK) {
        make_job_free(job);
        return rc;
    }
    job->object_type = a->call.control.object_type;
    job->in_format = key_format;
    job->out_format[0] = a->call.key_format;
    return service_make(a, job);
}

static rc_t give_converted(struct ask *a)
{
    TRY(a->made->rc);
    const struct vault_reply reply = {
        .rc = RC_OK, .key_format = a->call.key_format, .plain = buf_view(&a->made->out[0])};
    return answer(a, &reply);
}

/* Opened straight into the answer: the key is in no other buffer. */
static rc_t give(struct ask *a, const struct domain_key *key, const struct binding *binding)
{
    struct frame_writer *w = &a->peer->writer;
    uint32_t key_format = 0, wanted = a->call.key_format;
    size_t mark;
    TRY(frame_open(w, (uint16_t)a->call.op, a->frame->id, 4 + a->call.material.len, &mark));
    size_t plain_at = w->out.len + 4;
    rc_t rc = buf_add_be32(&w->out, 0);
    if (rc == RC_OK)
        rc = envelope_open(a->service->crypto, key, &a->call.control, binding, a->call.material,
                           &key_format, &w->out);
    bool convert = rc == RC_OK && wanted != 0 && wanted != key_format;
    if (convert)
        rc = start_convert(a, key_format, plain_at);
    if (rc != RC_OK || convert) {
        frame_undo(w, mark);
        return rc;
    }
    store_be32(w->out.data + mark + FRAME_HEADER_BYTES, key_format);
    frame_close(w, mark, RC_OK);
    return RC_OK;
}

rc_t service_envelope_key(struct ask *a, const struct domain_key **key)
{
    uint32_t epoch;
    TRY(envelope_epoch(a->call.material, &epoch));
    if (epoch == 0)
        return RC_INTEGRITY;
    rc_t rc = need_key(a, epoch, key);
    return rc == RC_NOT_FOUND ? RC_INTEGRITY : rc; /* no such domain key: the header was altered */
}

rc_t do_get(struct ask *a)
{
    struct binding binding;
    const struct domain_key *key = NULL;
    TRY(service_verify(a, &binding));
    TRY(rules_get(&a->call.control, clock_wall_s()));
    if (a->made)
        return give_converted(a);
    TRY(service_envelope_key(a, &key));
    return key ? give(a, key, &binding) : RC_OK;
}

rc_t do_transition(struct ask *a)
{
    struct vault_reply reply = {.rc = RC_OK};
    struct binding binding;
    TRY(service_verify(a, &binding));
    TRY(rules_transition(&a->call.control, &a->call.next, clock_wall_s()));
    TRY(control_sign(a->service->keyring.control, &a->call.next, &binding, reply.mac));
    return answer(a, &reply);
}

/* Answered with the sentence of where the vault stands, so that the worker can log it. */
rc_t do_unseal(struct ask *a)
{
    struct vault_service *s = a->service;
    if (!a->again)
        return service_park(a, JOB_UNSEAL, 0, 0, a->call.hierarchy);
    struct vault_reply reply = {.rc = a->job_rc};
    if (a->job_rc != RC_OK)
        reply.status =
            bytes_str(s->report.detail[0] ? s->report.detail : vault_state_what(s->report.state));
    return answer(a, &reply);
}

/* Nothing of it is kept here: what the vault uses are the rows that it is brought, and those are
 * stored ones. */
rc_t do_domain_key(struct ask *a)
{
    enum { FIRST_EPOCH = 1 };
    if (!a->again)
        return service_park(a, JOB_NEW_KEY, a->call.domain, FIRST_EPOCH, BYTES_NONE);
    struct vault_reply reply = {.rc = a->job_rc, .status = a->job_out};
    if (a->job_rc != RC_OK)
        reply.status = BYTES_NONE;
    return answer(a, &reply);
}

rc_t do_status(struct ask *a)
{
    AUTO_BUF json = BUF_EMPTY;
    TRY(vault_service_status(a->service, &json));
    struct vault_reply reply = {.rc = RC_OK, .status = buf_view(&json)};
    return answer(a, &reply);
}

rc_t do_admin(struct ask *a)
{
    if (!a->service->options.admin)
        return RC_DENIED;
    if (!a->again)
        return service_park(a, JOB_ADMIN, 0, 0, a->call.body);
    struct vault_reply reply = {.rc = a->job_rc, .status = a->job_out};
    return answer(a, &reply);
}
