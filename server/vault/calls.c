/*
 * What each call does; see call.def for who may ask. A handler checks, works on the keyring and
 * writes its answer into the peer's writer, or parks the call until the TPM thread has opened what
 * it needs. Nothing that decides comes from anything but a verified control record and the vault's
 * own clock.
 */
#include "server/base/clock.h"
#include "server/vault/material.h"
#include "server/vault/rules.h"
#include "server/vault/service_impl.h"

static rc_t answer(struct ask *a, const struct vault_reply *reply)
{
    return vault_reply_write(&a->peer->writer, a->call.op, a->frame->id, reply);
}

/* The record as stored: it must be ours, unchanged, and of the domain that the worker speaks for.
 */
static rc_t verify_stored(struct ask *a, struct binding *binding)
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

/* Seals new material and signs its record. */
static rc_t seal_new(struct ask *a, const struct domain_key *key, struct bytes plain,
                     uint32_t key_format)
{
    struct vault_service *s = a->service;
    struct vault_reply reply = {.rc = RC_OK, .key_format = key_format};
    struct binding binding;
    AUTO_BUF envelope = BUF_EMPTY;
    TRY(binding_new(&binding));
    TRY(control_sign(s->keyring.control, &a->call.control, &binding, reply.mac));
    TRY(crypto_sha256(s->crypto, plain, reply.digest));
    TRY(envelope_seal(s->crypto, key, &a->call.control, &binding, key_format, plain, &envelope));
    reply.envelope = buf_view(&envelope);
    return answer(a, &reply);
}

/* What GENERATE and REGISTER have in common, up to the key. */
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
    return seal_new(a, key, secret_view(made), key_format);
}

rc_t do_register(struct ask *a)
{
    const struct domain_key *key = NULL;
    TRY(material_check(&a->call.control, a->call.key_format, a->call.material));
    TRY(begin_new(a, &key));
    return key ? seal_new(a, key, a->call.material, a->call.key_format) : RC_OK;
}

rc_t do_get(struct ask *a)
{
    struct binding binding;
    uint32_t epoch, key_format;
    const struct domain_key *key = NULL;
    TRY(verify_stored(a, &binding));
    TRY(rules_get(&a->call.control, clock_wall_s()));
    TRY(envelope_epoch(a->call.material, &epoch));
    if (epoch == 0)
        return RC_INTEGRITY;
    rc_t rc = need_key(a, epoch, &key);
    if (rc == RC_NOT_FOUND)
        return RC_INTEGRITY; /* no such domain key: the header was altered */
    if (rc != RC_OK || !key)
        return rc;
    /* Opened straight into the answer: the key is in no other buffer. */
    struct frame_writer *w = &a->peer->writer;
    size_t mark;
    TRY(frame_open(w, (uint16_t)a->call.op, a->frame->id, 4 + a->call.material.len, &mark));
    rc = buf_add_be32(&w->out, 0);
    if (rc == RC_OK)
        rc = envelope_open(a->service->crypto, key, &a->call.control, &binding, a->call.material,
                           &key_format, &w->out);
    if (rc != RC_OK) {
        frame_undo(w, mark);
        return rc;
    }
    store_be32(w->out.data + mark + FRAME_HEADER_BYTES, key_format);
    frame_close(w, mark, RC_OK);
    return RC_OK;
}

rc_t do_transition(struct ask *a)
{
    struct vault_reply reply = {.rc = RC_OK};
    struct binding binding;
    TRY(verify_stored(a, &binding));
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
