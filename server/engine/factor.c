/*
 * The second factor: whether the Credentials of a request's header (KMIP 1.4, 6.6; 2.1, 9.4) are registered for its
 * client. Looked at before any item, in the database by name and in the vault by password, and remembered by the
 * session as long as the client's standing lasts. All of several Credentials must be right. What is wrong is refused
 * after a delay, the same whether user, password or device is wrong: a password of an unknown user costs as much work
 * as another. Requests that bring the same while it is being looked at wait for one look.
 */
#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/base/wipe.h"
#include "server/base/log.h"
#include "server/base/secret.h"
#include "server/engine/request.h"
#include "server/vault/wire.h"

enum {
    CHECKS_MOST = 4,    /* of one client under way; more are answered busy */
    WAITING_MOST = 256, /* requests of one client that wait for them */
    CHECK_MEMORY = 16 * 1024,
};

struct factor_check {
    struct factor_check *next; /* engine->checks */
    struct engine *engine;
    struct uid client;
    int64_t standing;
    uint8_t proof[FACTOR_PROOF_BYTES];
    struct engine_request *first, **last; /* who waits, each held; the first one's header is looked at */
    size_t at;                            /* the Credential being looked at */
    bool right, wrong;                    /* what was found so far */
    rc_t rc;                              /* not RC_OK: it cannot be looked at now */
    bool no_database;                     /* so that no audit can be written either */
    const char *why;                      /* for the audit */
    struct arena memory;
    struct db_load load;
    struct event *delay;
};

/* ---- credentials ---------------------------------------------------------------------------- */

static const struct kmip_authentication *brought(const struct engine_request *rq)
{
    return rq->message && rq->message->header ? rq->message->header->authentication : NULL;
}

/* Whether each request must bring one. */
static bool is_needed(const struct session *s)
{
    return s->policy && s->policy->second_factor;
}

/* The password of a Credential that can have one; empty where it has none. */
static struct bytes password_of(const struct kmip_credential *k)
{
    if (k->type == KMIP_CREDENTIAL_DEVICE)
        return ((const struct kmip_credential_device *)k->value)->password;
    return ((const struct kmip_credential_password *)k->value)->password;
}

static void facts_of(const struct kmip_credential_device *d, struct bytes out[DB_DEVICE_FACTS])
{
    out[DB_DEVICE_SERIAL] = d->device_serial_number;
    out[DB_DEVICE_IDENTIFIER] = d->device_identifier;
    out[DB_DEVICE_NETWORK] = d->network_identifier;
    out[DB_DEVICE_MACHINE] = d->machine_identifier;
    out[DB_DEVICE_MEDIA] = d->media_identifier;
}

/* A Username and Password without content, as some products always send it. */
static bool is_empty(const struct kmip_credential *k)
{
    return k->type == KMIP_CREDENTIAL_USERNAME_AND_PASSWORD && password_of(k).len == 0 &&
           ((const struct kmip_credential_password *)k->value)->username.len == 0;
}

/* Whether it is of a kind that can be registered, and has what it takes: a password unless the client may be without.
 */
static bool may_be_right(const struct kmip_credential *k, unsigned quirks)
{
    return k->type == KMIP_CREDENTIAL_DEVICE ||
           (k->type == KMIP_CREDENTIAL_USERNAME_AND_PASSWORD &&
            (password_of(k).len > 0 || quirks_have(quirks, QUIRK_EMPTY_CREDENTIALS)));
}

static rc_t add_text(struct buf *out, struct bytes text)
{
    TRY(buf_add_u8(out, text.data != NULL));
    TRY(buf_add_be64(out, text.len));
    return buf_add_bytes(out, text);
}

static rc_t add_credential(struct buf *out, const struct kmip_credential *k)
{
    struct bytes facts[DB_DEVICE_FACTS];
    TRY(buf_add_be32(out, k->type));
    if (!may_be_right(k, 1u << QUIRK_EMPTY_CREDENTIALS))
        return RC_OK; /* wrong, whatever it holds */
    TRY(add_text(out, password_of(k)));
    if (k->type != KMIP_CREDENTIAL_DEVICE)
        return add_text(out, ((const struct kmip_credential_password *)k->value)->username);
    facts_of(k->value, facts);
    for (size_t i = 0; i < DB_DEVICE_FACTS; i++)
        TRY(add_text(out, facts[i]));
    return RC_OK;
}

/* By what the session knows these Credentials again: an HMAC under a key of this life of the process. */
static rc_t proof_of(const struct engine *e, const struct kmip_authentication *a, uint8_t out[FACTOR_PROOF_BYTES])
{
    AUTO_BUF text = BUF_EMPTY;
    for (size_t i = 0; i < a->credentials.count; i++)
        TRY(add_credential(&text, &a->credentials.items[i]));
    unsigned len = 0;
    bool done = HMAC(EVP_sha256(), e->factor_key, sizeof e->factor_key, text.data, text.len, out, &len) != NULL;
    return done && len == FACTOR_PROOF_BYTES ? RC_OK : RC_CRYPTO;
}

/* ---- the end of a check --------------------------------------------------------------------- */

static void tell(const struct factor_check *c, struct engine_request *rq)
{
    struct session *s = rq->session;
    if (c->engine->closing)
        return;
    if (c->rc == RC_OK) {
        if (uid_equal(&s->client, &c->client)) { /* still: a login in between may have made it another */
            memcpy(s->proof, c->proof, sizeof s->proof);
            s->proven_standing = c->standing;
        }
    } else if (c->no_database) {
        request_constant(rq);
        return;
    } else {
        rq->refusal = c->rc;
        rq->refusal_detail = bytes_str(c->rc == RC_AUTH_FAILED ? c->why : "the second factor could not be looked at");
    }
    request_go_on(rq);
}

static void conclude(struct factor_check *c)
{
    struct engine *e = c->engine;
    struct factor_check **at = &e->checks;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->first) {
        struct engine_request *rq = c->first;
        c->first = rq->next_waiting;
        rq->next_waiting = NULL;
        tell(c, rq);
        request_drop(rq);
    }
    if (c->delay)
        event_free(c->delay);
    arena_free(&c->memory);
    free(c);
    engine_drop(e);
}

static void on_delay(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    conclude(arg);
}

static void refuse_later(struct factor_check *c)
{
    struct engine *e = c->engine;
    unsigned ms = e->limits.factor_delay_ms;
    struct timeval wait = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    char name[160];
    log_info("factor.refused", " client=%s address=%s why=\"%s\"",
             log_value(bytes_str(c->first->session->client_name), name), c->first->session->address, c->why);
    c->rc = RC_AUTH_FAILED;
    c->delay = ms ? evtimer_new(e->base, on_delay, c) : NULL;
    if (!c->delay || evtimer_add(c->delay, &wait) != 0)
        conclude(c);
}

/* All Credentials were looked at, or one cannot be. */
static void judge(struct factor_check *c)
{
    if (c->engine->closing || c->rc != RC_OK) {
        conclude(c);
    } else if (c->wrong) {
        refuse_later(c);
    } else if (!c->right && is_needed(c->first->session)) {
        c->why = "the second factor is empty";
        refuse_later(c);
    } else {
        conclude(c);
    }
}

/* ---- looking -------------------------------------------------------------------------------- */

static void look(struct factor_check *c);

static const struct kmip_credential *current(const struct factor_check *c)
{
    return &brought(c->first)->credentials.items[c->at];
}

static void note(struct factor_check *c, bool right)
{
    c->right = c->right || right;
    c->wrong = c->wrong || !right;
    c->at++;
}

static void on_password(void *arg, const struct vault_reply *reply)
{
    struct factor_check *c = arg;
    rc_t rc = reply->rc;
    if (rc == RC_DENIED)
        c->why = "too many wrong passwords: it was not looked at";
    if (rc == RC_OK || rc == RC_AUTH_FAILED || rc == RC_DENIED)
        note(c, rc == RC_OK);
    else
        c->rc = rc == RC_BUSY ? RC_BUSY : RC_UNAVAILABLE;
    look(c);
}

/* What nothing hashes to, so that the vault works for nobody as long as for somebody. */
static rc_t never_right(struct vault_password *p, uint8_t salt[SCRYPT_SALT_BYTES])
{
    bool random = getrandom(p->hash, sizeof p->hash, 0) == (ssize_t)sizeof p->hash &&
                  getrandom(salt, SCRYPT_SALT_BYTES, 0) == SCRYPT_SALT_BYTES;
    p->salt = bytes_of(salt, SCRYPT_SALT_BYTES);
    return random ? RC_OK : RC_IO;
}

static rc_t ask_vault(struct factor_check *c)
{
    const struct db_factor *f = &c->load.factor;
    struct engine *e = c->engine;
    uint8_t salt[SCRYPT_SALT_BYTES];
    struct vault_call call = {.op = VAULT_PASSWORD, .material = password_of(current(c))};
    struct vault_password *p = &call.password;
    p->client = c->client;
    p->cost = f->has_hash ? (struct scrypt_cost){f->cost_log2, f->block_size, f->parallel} : SCRYPT_COST;
    TRY(never_right(p, salt));
    if (call.material.len > VAULT_PASSWORD_MAX) {
        call.material.len = VAULT_PASSWORD_MAX;
    } else if (f->found && f->hash.len == sizeof p->hash) {
        p->salt = f->salt;
        memcpy(p->hash, f->hash.data, sizeof p->hash);
    }
    rc_t rc = e->vault ? vault_client_call(e->vault, &call, NULL, on_password, c) : RC_UNAVAILABLE;
    engine_turn(e);
    return rc;
}

/* The factor that the Credential names is known, or that there is none. */
static void on_factor(struct db_load *load, rc_t rc)
{
    struct factor_check *c = load->arg;
    const struct db_factor *f = &load->factor;
    if (rc != RC_OK || c->engine->closing) {
        c->rc = rc == RC_OK ? RC_UNAVAILABLE : rc;
        c->no_database = rc == RC_UNAVAILABLE;
    } else if (f->found && !f->has_hash) {
        note(c, true); /* a device that is known by its facts alone */
    } else if (!f->found && is_empty(current(c))) {
        c->at++; /* as if there were none */
    } else if (f->is_device && password_of(current(c)).len == 0) {
        note(c, false);
    } else {
        c->rc = ask_vault(c);
        if (c->rc == RC_OK)
            return;
    }
    look(c);
}

static void load_factor(struct factor_check *c)
{
    const struct kmip_credential *k = current(c);
    struct db_factor *f = &c->load.factor;
    arena_reset(&c->memory);
    c->load = (struct db_load){.kind = DB_LOAD_FACTOR, .arena = &c->memory, .done = on_factor, .arg = c};
    f->client = c->client;
    f->is_device = k->type == KMIP_CREDENTIAL_DEVICE;
    if (f->is_device)
        facts_of(k->value, f->device);
    else
        f->username = ((const struct kmip_credential_password *)k->value)->username;
    db_load_add(c->engine->db, &c->load);
    engine_turn(c->engine);
}

/* The next Credential. Those after a wrong one are looked at, too: the time must not tell which one it was. */
static void look(struct factor_check *c)
{
    size_t count = brought(c->first)->credentials.count;
    while (c->rc == RC_OK && c->at < count && !may_be_right(current(c), c->first->session->quirks))
        note(c, false);
    if (c->rc == RC_OK && c->at < count && !c->engine->closing)
        load_factor(c);
    else
        judge(c);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static void wait_for(struct factor_check *c, struct engine_request *rq)
{
    request_hold(rq);
    rq->next_waiting = NULL;
    *c->last = rq;
    c->last = &rq->next_waiting;
}

static rc_t check_new(struct engine_request *rq, const uint8_t proof[FACTOR_PROOF_BYTES])
{
    struct engine *e = rq->engine;
    struct factor_check *c = calloc(1, sizeof *c);
    if (!c)
        return RC_NO_MEMORY;
    e->refs++;
    c->engine = e;
    c->client = rq->who.client;
    c->standing = rq->who.standing;
    memcpy(c->proof, proof, sizeof c->proof);
    c->last = &c->first;
    c->why = "the second factor is wrong";
    c->memory = ARENA_OF(CHECK_MEMORY);
    c->next = e->checks;
    e->checks = c;
    e->stats.factor_checks++;
    wait_for(c, rq);
    look(c);
    return RC_OK;
}

/* Joins the look at the same, or begins one. RC_BUSY: the client has too much under way. */
static rc_t join(struct engine_request *rq, const uint8_t proof[FACTOR_PROOF_BYTES])
{
    struct factor_check *same = NULL;
    unsigned checks = 0, waiting = 0;
    for (struct factor_check *c = rq->engine->checks; c; c = c->next) {
        if (!uid_equal(&c->client, &rq->who.client))
            continue;
        checks++;
        for (const struct engine_request *w = c->first; w; w = w->next_waiting)
            waiting++;
        if (c->standing == rq->who.standing && !c->delay &&
            bytes_equal_ct(bytes_of(c->proof, sizeof c->proof), bytes_of(proof, sizeof c->proof)))
            same = c;
    }
    if (waiting >= WAITING_MOST || (!same && checks >= CHECKS_MOST))
        return RC_BUSY;
    if (!same)
        return check_new(rq, proof);
    wait_for(same, rq);
    return RC_OK;
}

bool factor_ok(struct engine_request *rq)
{
    const struct session *s = rq->session;
    const struct kmip_authentication *a = brought(rq);
    uint8_t proof[FACTOR_PROOF_BYTES];
    if (rq->refusal == RC_AUTH_FAILED && !rq->outcast) {
        rq->refusal = RC_OK; /* of an earlier run: what is registered may have changed */
        rq->refusal_detail = BYTES_NONE;
    }
    if (rq->refusal != RC_OK || rq->message_rc != RC_OK || (!is_needed(s) && !s->has_factors))
        return true;
    if (!a || a->credentials.count == 0) {
        if (is_needed(s)) {
            rq->refusal = RC_AUTH_FAILED;
            rq->refusal_detail = bytes_str("there is no second factor");
        }
        return true;
    }
    rc_t rc = a->credentials.count <= FACTOR_CREDENTIALS ? proof_of(rq->engine, a, proof) : RC_TOO_MANY;
    if (rc == RC_OK && s->proven_standing == rq->who.standing &&
        bytes_equal_ct(bytes_of(proof, sizeof proof), bytes_of(s->proof, sizeof s->proof)))
        return true;
    if (rc == RC_OK)
        rc = join(rq, proof);
    if (rc != RC_OK)
        rq->refusal = rc;
    return rc != RC_OK;
}

void factors_close(struct engine *e)
{
    struct factor_check *c = e->checks;
    while (c) {
        struct factor_check *next = c->next;
        if (c->delay)
            conclude(c);
        c = next;
    }
}
