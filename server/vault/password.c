/*
 * VAULT_PASSWORD: is this the password that was hashed so? A maker hashes it; the comparison is here, in constant
 * time. It needs no key, so it is answered by a sealed vault too.
 */
#include "proto/base/wipe.h"
#include "server/base/clock.h"
#include "server/base/secret.h"
#include "server/vault/service_impl.h"

static rc_t start_hash(struct ask *a)
{
    const struct vault_password *p = &a->call.password;
    struct make_job *job = make_job_new(MAKE_HASH, &p->client);
    rc_t rc = job ? buf_add_bytes(&job->in, a->call.material) : RC_NO_MEMORY;
    if (rc == RC_OK)
        rc = buf_add_bytes(&job->salt, p->salt);
    if (rc != RC_OK) {
        make_job_free(job);
        return rc;
    }
    job->cost = p->cost;
    return service_make(a, job);
}

rc_t do_password(struct ask *a)
{
    struct guard *guard = &a->service->guard;
    const struct vault_password *p = &a->call.password;
    if (!a->made)
        return guard_lets_try(guard, &p->client, clock_monotonic_us()) ? start_hash(a) : RC_DENIED;
    TRY(a->made->rc);
    if (!bytes_equal_ct(buf_view(&a->made->out[0]), bytes_of(p->hash, sizeof p->hash))) {
        guard_note_wrong(guard, &p->client, clock_monotonic_us());
        return RC_AUTH_FAILED;
    }
    const struct vault_reply reply = {.rc = RC_OK};
    return vault_reply_write(&a->peer->writer, a->call.op, a->frame->id, &reply);
}
