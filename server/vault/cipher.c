/*
 * VAULT_CIPHER: encrypts or decrypts with a stored key, which stays here. Little is done at once; what takes longer
 * than a moment goes to a maker, so that nobody else waits for it.
 */
#include "proto/kmip/tables.h"
#include "server/base/clock.h"
#include "server/vault/material.h"
#include "server/vault/rules.h"
#include "server/vault/service_impl.h"

/* What most ciphers do in a tenth of a millisecond, and AES in ten microseconds; 3DES is several times slower. */
enum { AT_ONCE_BYTES = 16 * 1024, AT_ONCE_SLOW_BYTES = 1024 };

static rc_t answer(struct ask *a, const struct cipher_work *w)
{
    struct vault_reply reply = {.rc = RC_OK, .plain = buf_view(&w->data)};
    if (w->plan.make_iv) {
        reply.iv_bytes = w->iv.len;
        memcpy(reply.iv, w->iv.data, w->iv.len);
    }
    if (w->request.encrypt) {
        reply.tag_bytes = w->plan.tag_bytes;
        memcpy(reply.tag, w->tag, w->plan.tag_bytes);
    }
    return vault_reply_write(&a->peer->writer, a->call.op, a->frame->id, &reply);
}

/* The key, opened into the work. Only its bytes as they are can be used. */
static rc_t open_key(struct ask *a, const struct domain_key *dk, const struct binding *binding, struct cipher_work *w)
{
    uint32_t key_format = 0;
    TRY(envelope_open(a->service->crypto, dk, &a->call.control, binding, a->call.material, &key_format, &w->key));
    return key_format == FORMAT_RAW || key_format == FORMAT_TRANSPARENT_SYMMETRIC ? RC_OK : RC_KEY_FORMAT;
}

static rc_t take_input(const struct vault_cipher *c, struct cipher_work *w)
{
    w->request = c->request;
    if (c->tag.len > 0 && c->tag.len <= sizeof w->tag)
        memcpy(w->tag, c->tag.data, c->tag.len);
    TRY(buf_add_bytes(&w->iv, c->iv));
    TRY(buf_alloc(&w->additional, c->additional.len));
    TRY(buf_add_bytes(&w->additional, c->additional));
    TRY(buf_alloc(&w->data, c->data.len + CIPHER_BLOCK_MOST)); /* it never moves */
    return buf_add_bytes(&w->data, c->data);
}

static rc_t do_now(struct ask *a, struct make_job *job)
{
    rc_t rc = cipher_work(&job->cipher);
    if (rc == RC_OK)
        rc = answer(a, &job->cipher);
    make_job_free(job);
    return rc;
}

static rc_t begin(struct ask *a, const struct cipher_plan *plan, const struct domain_key *dk,
                  const struct binding *binding)
{
    const struct vault_cipher *c = &a->call.cipher;
    struct make_job *job = make_job_new(MAKE_CIPHER, &a->call.control.owner);
    rc_t rc = job ? open_key(a, dk, binding, &job->cipher) : RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = take_input(c, &job->cipher);
    if (rc != RC_OK) {
        make_job_free(job);
        return rc;
    }
    job->cipher.plan = *plan;
    size_t at_once = c->request.algorithm == KMIP_ALGORITHM_3DES ? AT_ONCE_SLOW_BYTES : AT_ONCE_BYTES;
    return c->data.len + c->additional.len <= at_once ? do_now(a, job) : service_make(a, job);
}

rc_t do_cipher(struct ask *a)
{
    const struct vault_cipher *c = &a->call.cipher;
    const struct cipher_lengths have = {c->additional.len, c->tag.len, c->data.len};
    const struct domain_key *dk = NULL;
    struct binding binding;
    struct cipher_plan plan;
    TRY(service_verify(a, &binding));
    if (c->request.algorithm != a->call.control.algorithm)
        return RC_PARAMS_CONFLICT;
    TRY(rules_use(&a->call.control, c->request.encrypt ? KMIP_USAGE_ENCRYPT : KMIP_USAGE_DECRYPT, clock_wall_s()));
    TRY(cipher_plan(&c->request, c->iv, &have, &plan));
    if (a->made) {
        TRY(a->made->rc);
        return answer(a, &a->made->cipher);
    }
    TRY(service_envelope_key(a, &dk));
    return dk ? begin(a, &plan, dk, &binding) : RC_OK;
}
