/* The supervisor's view of the whole, as JSON; the form is told in status_client.h. */
#include "config.h"

#include <jansson.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/process/supervisor.h"

static const char *const supervisor_states[] = {"starting", "serving", "draining"};
static const char *const child_states[] = {"down", "starting", "ready", "draining"};
static const char *const db_states[] = {"down", "up", "unsafe", "not migrated"};

static void put(json_t *o, const char *name, uint64_t n)
{
    json_object_set_new(o, name, json_integer((json_int_t)(n & INT64_MAX)));
}

static void put_text(json_t *o, const char *name, const char *text)
{
    json_object_set_new(o, name, json_string(text));
}

static void put_stats(json_t *o, const struct stats *s)
{
#define STATS_PUT(name, kind, text) put(o, #name, s->name);
    STATS_TABLE(STATS_PUT)
#undef STATS_PUT
}

static json_t *child_json(const struct child *c)
{
    json_t *o = json_object();
    int64_t age = (clock_monotonic_us() - c->started_us) / 1000000;

    if (c->role == BY_WORKER)
        put(o, "number", c->number);
    put(o, "pid", (uint64_t)c->pid);
    put_text(o, "state", child_states[c->state]);
    put(o, "restarts", c->restarts);
    put(o, "uptime_s", c->pid ? (uint64_t)age : 0);
    return o;
}

static json_t *vault_json(const struct child *c)
{
    json_t *o = child_json(c);
    json_t *report = c->report ? json_loads(c->report, 0, NULL) : NULL;

    json_object_set_new(o, "report", report ? report : json_null());
    return o;
}

/* The best that any worker sees: one that is just starting says nothing about the database. */
static const char *database_state(const struct supervisor *s)
{
    uint64_t worst = 0;

    for (unsigned i = 0; i < s->worker_count; i++) {
        const struct child *c = &s->workers[i];
        if (c->state != CHILD_DOWN && c->stats.db_state == 1)
            return db_states[1];
        if (c->state != CHILD_DOWN && c->stats.db_state > worst && c->stats.db_state < 4)
            worst = c->stats.db_state;
    }
    return db_states[worst];
}

static json_t *database_json(const struct supervisor *s, const struct stats *t)
{
    json_t *o = json_object();

    put_text(o, "state", database_state(s));
    put(o, "groups", t->groups);
    put(o, "units", t->units);
    put(o, "rows", t->rows);
    put(o, "losers", t->losers);
    put(o, "unknown", t->unknown);
    put(o, "unknown_done", t->unknown_done);
    put(o, "unknown_rerun", t->unknown_rerun);
    put(o, "unknown_unknown", t->unknown_unknown);
    put(o, "reconnects", t->reconnects);
    return o;
}

char *status_text(const struct supervisor *s)
{
    json_t *o = json_object(), *workers = json_array(), *totals = json_object();
    struct stats total = s->past;
    char *text;

    for (unsigned i = 0; i < s->worker_count; i++) {
        json_t *w = child_json(&s->workers[i]);
        put_stats(w, &s->workers[i].stats);
        json_array_append_new(workers, w);
        stats_total(&total, &s->workers[i].stats, true, true);
    }
    put_stats(totals, &total);
    json_object_del(totals, "db_state"); /* a sum of states says nothing */
    json_object_del(totals, "vault_state");
    put_text(o, "version", PACKAGE_VERSION);
    put(o, "pid", (uint64_t)getpid());
    put(o, "uptime_s", (uint64_t)(clock_monotonic_us() - s->started_us) / 1000000);
    put_text(o, "state", supervisor_states[s->state]);
    put_text(o, "listen_address", s->config.server_listen_address);
    put(o, "port", s->config.server_port);
    if (s->legacy_count) {
        put_text(o, "legacy_listen_address", s->config.server_legacy_listen_address);
        put(o, "legacy_port", s->config.server_legacy_port);
    }
    put_text(o, "tpm", s->config.vault_tpm);
    put_text(o, "tpm_kind", strncmp(s->config.vault_tpm, "swtpm:", 6) ? "device" : "software");
    json_object_set_new(o, "workers", workers);
    json_object_set_new(o, "vault", vault_json(&s->vault));
    json_object_set_new(o, "database", database_json(s, &total));
    json_object_set_new(o, "totals", totals);
    text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(o);
    return text;
}
