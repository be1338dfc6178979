/*
 * Who is it? The certificate's names are looked up in policy: at login, and again when a commit
 * finds that the client's standing has moved.
 */
#include <stdlib.h>

#include "server/engine/request.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/policy/rules.h"

struct login {
    struct engine *engine;
    struct session *session;
    engine_login_fn *done;
    void *arg;
    struct arena arena;
    struct db_load load;
};

/* Longest answer of one look-up: thousands of rules, or of clients that share a group. */
enum { LOGIN_MEMORY = 16 << 20 };

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

/* What decides about the client, as of this standing; requests on their way keep the one they began with. */
static rc_t take_policy(const struct db_identity *id, struct session *s)
{
    struct policy_set *set = NULL;
    if (s->policy && uid_equal(&s->client, &id->client) && s->standing == id->standing)
        return RC_OK;
    rc_t rc = policy_parse(id->policy, &set);
    if (rc != RC_OK) {
        char client[UID_TEXT_SIZE];
        uid_print(&id->client, client);
        log_warn("engine.policy", " client=%s rc=%s", client, rc_name(rc));
        return rc;
    }
    policy_drop(s->policy);
    s->policy = set;
    return RC_OK;
}

/* Takes the answer over into the session. RC_AUTH_FAILED if this client may not work; RC_INTEGRITY: its policy cannot
 * be understood. */
static rc_t take(const struct db_identity *id, struct session *s)
{
    if (!id->found || !id->enabled || id->revoked || is_at_wrong_door(id, s)) {
        s->known = false;
        return RC_AUTH_FAILED;
    }
    /* Where this fails the session stays as it was: no commit takes what it decides by, until it is another one. */
    TRY(take_policy(id, s));
    char *name = strndup((const char *)id->client_name.data, id->client_name.len);
    if (!name)
        return RC_NO_MEMORY;
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
    *r = (struct refusal){.engine = e, .session = session_hold(s), .arena = ARENA_OF(LOGIN_MEMORY)};
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

static void login_on_identity(struct db_load *load, rc_t rc)
{
    struct login *l = load->arg;
    struct engine *e = l->engine;
    if (rc == RC_OK)
        rc = take(&load->identity, l->session);
    else if (rc != RC_NO_MEMORY)
        rc = RC_UNAVAILABLE;
    if (rc == RC_AUTH_FAILED && !e->closing && is_at_wrong_door(&load->identity, l->session))
        record_wrong_door(e, l->session, &load->identity);
    if (!e->closing)
        l->done(l->arg, rc);
    session_drop(l->session);
    arena_free(&l->arena);
    free(l);
    engine_drop(e);
}

rc_t engine_login(struct engine *e, struct session *s, engine_login_fn *done, void *arg)
{
    struct login *l = calloc(1, sizeof *l);
    if (!l)
        return RC_NO_MEMORY;
    e->refs++;
    *l = (struct login){.engine = e, .session = session_hold(s), .done = done, .arg = arg};
    l->arena = ARENA_OF(LOGIN_MEMORY);
    l->load = (struct db_load){
        .kind = DB_LOAD_IDENTITY, .arena = &l->arena, .done = login_on_identity, .arg = l};
    ask(&l->load.identity, s);
    db_load_add(e->db, &l->load);
    engine_turn(e);
    return RC_OK;
}

static void again_on_identity(struct db_load *load, rc_t rc)
{
    struct engine_request *rq = load->arg;
    if (rq->engine->closing) {
        request_drop(rq);
        return;
    }
    if (rc == RC_OK)
        rc = take(&load->identity, rq->session);
    if (rc == RC_AUTH_FAILED) {
        /* Disabled or revoked meanwhile: the refusal is audited, the connection closed without a
         * byte. */
        rq->refusal = RC_AUTH_FAILED;
        rq->outcast = true;
        rq->silent = true;
        request_run(rq);
    } else if (rc == RC_OK) {
        pace_run(rq); /* by the rate of the new policy, if it has none yet */
    } else {
        request_constant(rq);
    }
    request_drop(rq);
}

rc_t login_again(struct engine_request *rq)
{
    arena_back(&rq->memory, rq->decoded); /* the run that was lost */
    rq->load = (struct db_load){
        .kind = DB_LOAD_IDENTITY, .arena = &rq->memory, .done = again_on_identity, .arg = rq};
    ask(&rq->load.identity, rq->session);
    request_hold(rq);
    db_load_add(rq->engine->db, &rq->load);
    engine_turn(rq->engine);
    return RC_OK;
}
