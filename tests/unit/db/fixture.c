/*
 * See fixture.h.
 */
#include "tests/unit/db/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "server/base/clock.h"

struct pg pg;
static char template_made;

static void migrate_template(void)
{
    struct db_admin *a = NULL;
    pg_value(&pg, "postgres", "postgres", "CREATE DATABASE hf_template");
    if (db_admin_open(pg_conninfo(&pg, "hf_template", "postgres"), NULL, &a) != RC_OK ||
        db_migrate(a, NULL, NULL) != RC_OK) {
        fprintf(stderr, "migration failed: %s\n", db_admin_error(a));
        abort();
    }
    db_admin_close(&a);
    template_made = 1;
}

int run_suite(Suite *s)
{
    pg_open(&pg);
    migrate_template();
    SRunner *sr = srunner_create(s);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    pg_close(&pg);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *fresh_database(void)
{
    static char name[64];
    char sql[160];
    snprintf(name, sizeof name, "t_%d_%llx", (int)getpid(), (unsigned long long)clock_wall_us());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE hf_template", name);
    pg_value(&pg, "postgres", "postgres", sql);
    return name;
}

/* ---- the worker ---- */

static void add_client(struct worker *w)
{
    struct db_admin *a = NULL;
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, w->database, DB_ROLE_POLICY), NULL, &a), RC_OK);
    const struct db_certificate cert = {.issuer = "CN=test",
                                        .kind = "uri",
                                        .value = "urn:holdfast:client:first",
                                        .serial = "01",
                                        .fingerprint = "aa",
                                        .not_before = 0,
                                        .not_after = INT64_C(4102444800)};
    rc_t rc = db_client_add(a, "first", NULL, NULL, &cert, &w->client);
    ck_assert_msg(rc == RC_OK, "%s", db_admin_error(a));
    w->standing = 1;
    db_admin_close(&a);
}

void worker_open_only(struct worker *w, const char *database, const struct db_settings *settings)
{
    struct db_settings s = settings ? *settings : DB_SETTINGS_DEFAULT;
    *w = (struct worker){.database = database};
    w->base = event_base_new();
    ck_assert_ptr_nonnull(w->base);
    event_base_priority_init(w->base, 2);
    if (!s.conninfo)
        s.conninfo = pg_conninfo(&pg, database, DB_ROLE_SERVER);
    if (!s.opener)
        s.opener = "test/worker-0";
    ck_assert_int_eq(db_new(w->base, &s, &w->db), RC_OK);
    db_start(w->db);
}

void worker_open(struct worker *w, const char *database, const struct db_settings *settings)
{
    worker_open_only(w, database, settings);
    worker_until_state(w, DB_STATE_READY, 10);
    add_client(w);
}

void worker_close(struct worker *w)
{
    db_free(w->db);
    event_base_free(w->base);
}

int64_t worker_standing(const struct worker *w)
{
    return atoll(pg_value(&pg, w->database, DB_ROLE_SERVER, "SELECT standing FROM policy.client WHERE name = 'first'"));
}

static void turn(struct worker *w, int64_t deadline, const char *what)
{
    struct timeval t = {0, 20000};
    event_base_loopexit(w->base, &t);
    event_base_loop(w->base, EVLOOP_ONCE);
    ck_assert_msg(clock_monotonic_us() < deadline, "%s did not happen in time (%s)", what,
                  db_state_text(w->db));
}

void worker_until(struct worker *w, const unsigned *what, unsigned least, int seconds)
{
    int64_t deadline = clock_monotonic_us() + seconds * INT64_C(1000000);
    while (*what < least)
        turn(w, deadline, "an answer");
}

void worker_until_state(struct worker *w, enum db_state state, int seconds)
{
    int64_t deadline = clock_monotonic_us() + seconds * INT64_C(1000000);
    while (db_state_of(w->db) != state)
        turn(w, deadline, "a state");
}

/* ---- units ---- */

static void probe_done(struct db_unit *unit, enum db_outcome outcome, rc_t rc)
{
    struct probe *p = unit->arg;
    p->outcome = outcome;
    p->rc = rc;
    ++*p->answered;
}

void probe_audit(struct probe *p, const struct worker *w, const char *operation, unsigned *answered)
{
    *p = (struct probe){.answered = answered};
    p->event = (struct audit_event){.time_us = clock_wall_us(),
                                    .client = w->client,
                                    .client_name = bytes_str("first"),
                                    .fingerprint = bytes_str("aa"),
                                    .address = bytes_str("127.0.0.1:4711"),
                                    .protocol = bytes_str("2.1"),
                                    .correlation = bytes_str("corr"),
                                    .operation = bytes_str(operation),
                                    .result = bytes_str("Success"),
                                    .duration_us = 42};
    p->unit = (struct db_unit){.events = &p->event,
                               .event_count = 1,
                               .client = w->client,
                               .standing = w->standing,
                               .done = probe_done,
                               .arg = p};
}

void probe_insert(struct probe *p, const struct worker *w, const char *name, unsigned *answered)
{
    probe_audit(p, w, "Create", answered);
    struct control *c = &p->object.control;
    ck_assert_int_eq(uid_new(&c->uid), RC_OK);
    c->version = 1;
    c->domain = 1;
    c->owner = w->client;
    c->object_type = 2;
    c->state = STATE_PRE_ACTIVE;
    c->protection = PROTECTION_TPM_ROOTED;
    c->algorithm = 3;
    c->length = 256;
    c->usage_mask = 12;
    c->initial_date = clock_wall_s();
    c->activation_date = c->process_start_date = c->protect_stop_date = c->deactivation_date =
        c->compromise_occurrence_date = c->compromise_date = c->destroy_date = NO_DATE;
    c->extractable = true;
    memset(p->object.control_mac, 7, sizeof p->object.control_mac);
    p->object.key_format = 1;
    p->object.last_change_date = c->initial_date;
    p->object.material = bytes_str("an envelope");
    p->object.attributes = bytes_str("{\"Object Group\":[\"g1\"]}");
    if (name) {
        p->name = (struct name){bytes_str(name), 1, 0};
        p->object.names = &p->name;
        p->object.name_count = 1;
    }
    p->change = (struct db_change){.kind = DB_INSERT, .object = &p->object};
    p->unit.changes = &p->change;
    p->unit.change_count = 1;
    p->event.object = c->uid;
}

void probe_change(struct probe *p, const struct worker *w, enum db_change_kind kind,
                  const struct object *from, uint32_t state, unsigned *answered)
{
    probe_audit(p, w, kind == DB_DESTROY ? "Destroy" : "Activate", answered);
    p->object = *from;
    p->object.control.version++;
    p->object.control.state = state;
    p->object.attributes = BYTES_NONE;
    p->change =
        (struct db_change){.kind = kind, .object = &p->object, .expected = from->control.version};
    p->unit.changes = &p->change;
    p->unit.change_count = 1;
    p->event.object = from->control.uid;
}

void probe_read(struct probe *p, const struct worker *w, const struct uid *uid, uint64_t version,
                unsigned *answered)
{
    probe_audit(p, w, "Get", answered);
    p->read = (struct db_read){*uid, version};
    p->unit.reads = &p->read;
    p->unit.read_count = 1;
    p->event.object = *uid;
}

enum db_outcome probe_run(struct worker *w, struct probe *p)
{
    unsigned before = *p->answered;
    db_commit(w->db, &p->unit);
    ck_assert_uint_eq(*p->answered, before); /* never from within */
    worker_until(w, p->answered, before + 1, 10);
    return p->outcome;
}

/* ---- loads ---- */

static void load_done(struct db_load *load, rc_t rc)
{
    ck_assert_msg(rc == RC_OK, "load: %s", rc_name(rc));
    ++*(unsigned *)load->arg;
}

struct object *load_one(struct worker *w, struct arena *arena, const struct uid *uid, unsigned want)
{
    unsigned done = 0;
    struct db_load load = {.kind = DB_LOAD_OBJECTS,
                           .arena = arena,
                           .done = load_done,
                           .arg = &done,
                           .objects = {.uids = uid, .count = 1, .want = want}};
    db_load_add(w->db, &load);
    worker_until(w, &done, 1, 10);
    return load.objects.found[0];
}

/* ---- verify ---- */

const char *verify_text(const char *database)
{
    return pg_value(&pg, database, DB_ROLE_AUDITOR,
                    "SELECT string_agg(what || coalesce(' ' || seq, ''), '; ' ORDER BY seq, what)"
                    " FROM audit.verify()");
}
