/*
 * Who is it? The certificate's names are looked up in policy: at login, and again when a commit
 * finds that the client's standing has moved.
 */
#include <stdlib.h>

#include "server/engine/request.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/policy/rules.h"

/* One look at who somebody is. */
struct look {
    struct engine *engine;
    struct session *session;
    void (*done)(struct look *l, rc_t rc); /* of what login_take() came to; frees it */
    engine_login_fn *told;                 /* a login's */
    struct engine_request *request;        /* one that lost its standing, held */
    void *arg;
    struct arena arena;
    struct db_load load;
    struct db_identity who;
    unsigned tries;
};

enum {
    LOOK_MEMORY = 16 << 20, /* thousands of rules, or of clients that share a group */
    LOOK_TRIES = 16,        /* policy may change between the two answers */
};

static void ask(struct db_identity *id, const struct session *s)
{
    *id = (struct db_identity){.issuer = bytes_str(s->issuer),
                               .fingerprint = bytes_str(s->fingerprint)};
    for (size_t i = 0; i < s->name_count && i < DB_IDENTITY_NAMES; i++)
        id->names[id->name_count++] =
            (struct db_identity_name){s->names[i].kind, bytes_str(s->names[i].value)};
}

/* A client that is known, but came in by the listener for old cipher suites without leave. */
static bool is_at_wrong_door(const struct db_identity *id, const struct session *s)
{
    return id->found && id->enabled && !id->revoked && s->legacy && !id->legacy_tls;
}

/* Takes the answer over into the session; set is its policy, as of this standing. Requests on their way keep the one
 * they began with. RC_NO_MEMORY leaves the session as it was: no commit takes what it decides by. */
static rc_t take(const struct db_identity *id, struct policy_set *set, struct session *s)
{
    char *name = strndup((const char *)id->client_name.data, id->client_name.len);
    if (!name)
        return RC_NO_MEMORY;
    if (!uid_equal(&s->client, &id->client))
        s->proven_standing = 0; /* the factors of another client prove nothing */
    policy_hold(set);
    policy_drop(s->policy);
    s->policy = set;
    free(s->client_name);
    s->client_name = name;
    s->client = id->client;
    s->domain = id->domain;
    s->standing = id->standing;
    s->has_factors = id->has_factors;
    s->quirks = quirks_of(s->policy);
    s->known = true;
    return RC_OK;
}

static void look_free(struct look *l)
{
    struct engine *e = l->engine;
    session_drop(l->session);
    arena_free(&l->arena);
    free(l);
    engine_drop(e);
}

static void ask_who(struct look *l);

/* What the worker does not know yet is parsed and kept for all sessions of the client. */
static void on_policy(struct db_load *load, rc_t rc)
{
    struct look *l = load->arg;
    const struct db_policy *p = &load->policy;
    struct policy_set *set = NULL;
    if (rc == RC_OK && (!p->found || p->standing != l->who.standing)) {
        ask_who(l);
        return;
    }
    if (rc == RC_OK && (rc = policy_parse(p->text, &set)) != RC_OK) {
        char client[UID_TEXT_SIZE];
        uid_print(&p->client, client);
        log_warn("engine.policy", " client=%s rc=%s", client, rc_name(rc));
    }
    if (rc == RC_OK) {
        policies_keep(l->engine, &p->client, p->standing, set);
        rc = take(&l->who, set, l->session);
        policy_drop(set);
    }
    l->done(l, rc);
}

static void on_identity(struct db_load *load, rc_t rc)
{
    struct look *l = load->arg;
    struct session *s = l->session;
    struct db_identity *id = &l->who;
    *id = load->identity;
    if (rc == RC_OK && (!id->found || !id->enabled || id->revoked || is_at_wrong_door(id, s))) {
        s->known = false;
        rc = RC_AUTH_FAILED;
    }
    struct policy_set *set = rc == RC_OK ? policies_find(l->engine, &id->client, id->standing) : NULL;
    if (set)
        rc = take(id, set, s);
    if (rc != RC_OK || set || l->engine->closing) {
        l->done(l, rc);
        return;
    }
    l->load = (struct db_load){.kind = DB_LOAD_POLICY, .arena = &l->arena, .done = on_policy, .arg = l};
    l->load.policy.client = id->client;
    db_load_add(l->engine->db, &l->load);
    engine_turn(l->engine);
}

static void ask_who(struct look *l)
{
    if (l->engine->closing || l->tries++ == LOOK_TRIES) {
        l->done(l, RC_UNAVAILABLE);
        return;
    }
    arena_reset(&l->arena);
    l->load = (struct db_load){.kind = DB_LOAD_IDENTITY, .arena = &l->arena, .done = on_identity, .arg = l};
    ask(&l->load.identity, l->session);
    db_load_add(l->engine->db, &l->load);
    engine_turn(l->engine);
}

static struct look *look_new(struct engine *e, struct session *s, void (*done)(struct look *l, rc_t rc))
{
    struct look *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    e->refs++;
    l->engine = e;
    l->session = session_hold(s);
    l->done = done;
    l->arena = ARENA_OF(LOOK_MEMORY);
    return l;
}

enum { REFUSAL_MEMORY = 64 * 1024 };

/* The audit row of a connection that is refused; held until it is committed. */
struct refusal {
    struct engine *engine;
    struct session *session;
    struct arena arena;
    struct audit_event event;
    struct db_unit unit;
};

static void refusal_on_outcome(struct db_unit *unit, enum db_outcome outcome, rc_t rc)
{
    struct refusal *r = unit->arg;
    if (outcome != DB_DONE && !r->engine->closing)
        log_warn("login.audit", " address=%s result=%s why=\"the refusal could not be recorded\"", r->session->address,
                 rc_name(rc));
    session_drop(r->session);
    arena_free(&r->arena);
    engine_drop(r->engine);
    free(r);
}

/* Nothing is answered to who is refused, so nothing waits for this row. */
static void record_wrong_door(struct engine *e, struct session *s, const struct db_identity *id)
{
    struct refusal *r = calloc(1, sizeof *r);
    if (!r)
        return;
    e->refs++;
    *r = (struct refusal){.engine = e, .session = session_hold(s), .arena = ARENA_OF(REFUSAL_MEMORY)};
    r->event = (struct audit_event){
        .time_us = clock_wall_us(),
        .client = id->client,
        .client_name = arena_copy(&r->arena, id->client_name),
        .fingerprint = bytes_str(s->fingerprint),
        .address = bytes_str(s->address),
        .position = -1,
        .operation = bytes_str("Legacy TLS Connection"),
        .result = bytes_str("Operation Failed"),
        .reason = bytes_str("Authentication Not Successful"),
        .duration_us = -1,
        .detail = bytes_str("the client may not use the listener for old cipher suites"),
    };
    r->unit = (struct db_unit){.event_count = 1, .events = &r->event, .done = refusal_on_outcome, .arg = r};
    db_commit(e->db, &r->unit);
    engine_turn(e);
}

static void login_done(struct look *l, rc_t rc)
{
    struct engine *e = l->engine;
    if (rc != RC_OK && rc != RC_AUTH_FAILED && rc != RC_NO_MEMORY)
        rc = RC_UNAVAILABLE;
    if (rc == RC_AUTH_FAILED && !e->closing && is_at_wrong_door(&l->who, l->session))
        record_wrong_door(e, l->session, &l->who);
    if (!e->closing)
        l->told(l->arg, rc);
    look_free(l);
}

rc_t engine_login(struct engine *e, struct session *s, engine_login_fn *done, void *arg)
{
    struct look *l = look_new(e, s, login_done);
    if (!l)
        return RC_NO_MEMORY;
    l->told = done;
    l->arg = arg;
    ask_who(l);
    return RC_OK;
}

static void again_done(struct look *l, rc_t rc)
{
    struct engine_request *rq = l->request;
    look_free(l);
    if (!rq->engine->closing) {
        if (rc == RC_AUTH_FAILED) {
            /* Disabled or revoked meanwhile: the refusal is audited, the connection closed without a byte. */
            rq->refusal = RC_AUTH_FAILED;
            rq->outcast = true;
            rq->silent = true;
            request_run(rq);
        } else if (rc == RC_OK) {
            pace_run(rq); /* by the rate of the new policy, if it has none yet */
        } else {
            request_constant(rq);
        }
    }
    request_drop(rq);
}

rc_t login_again(struct engine_request *rq)
{
    struct look *l = look_new(rq->engine, rq->session, again_done);
    if (!l)
        return RC_NO_MEMORY;
    arena_back(&rq->memory, rq->decoded); /* the run that was lost */
    l->request = rq;
    request_hold(rq);
    ask_who(l);
    return RC_OK;
}
