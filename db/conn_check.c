/*
 * What happens between connecting and use: look at settings, schema, role of the server; refuse
 * what could lose answered requests or does not fit; prepare the statements. See conn.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "db/conn_impl.h"
#include "server/base/log.h"

/* Text results; one row. The types exist only once the migrations have run. */
static const char check_sql[] =
    "SELECT current_setting('server_version_num'), current_setting('server_version'),"
    " current_setting('fsync'), current_setting('full_page_writes'),"
    " current_setting('synchronous_commit'), current_setting('data_checksums'),"
    " pg_catalog.pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',"
    " (SELECT system_identifier FROM pg_catalog.pg_control_system())::text || '/' ||"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby'"
    "      ELSE left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) END,"
    " to_regclass('holdfast.migration') IS NOT NULL,"
    " to_regtype('audit.entry')::oid, to_regtype('audit.entry[]')::oid,"
    " to_regtype('kmip.change')::oid, to_regtype('kmip.change[]')::oid,"
    " to_regtype('kmip.new_name')::oid, to_regtype('kmip.new_name[]')::oid,"
    " set_config('statement_timeout', $1::text, false), set_config('lock_timeout', $2::text, "
    "false),"
    " set_config('idle_in_transaction_session_timeout', '10s', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false),"
    " set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),"
    " set_config('search_path', '', false), set_config('client_min_messages', 'warning', false)";

static const char migration_sql[] = "SELECT coalesce(max(number), 0) FROM holdfast.migration";

static bool is_on(const char *v)
{
    return strcmp(v, "on") == 0;
}

static Oid oid_of(const PGresult *r, int col)
{
    return (Oid)strtoul(PQgetvalue(r, 0, col), NULL, 10);
}

static void on_check(void *arg, const PGresult *r)
{
    struct conn *c = arg;
    struct conn_facts *f = &c->facts;
    if (!r || c->state != CONN_CHECKING)
        return;
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
        conn_break(c, PQresultErrorMessage(r));
        return;
    }
    *f = (struct conn_facts){0};
    f->server_version = atoi(PQgetvalue(r, 0, 0));
    snprintf(f->version, sizeof f->version, "%s", PQgetvalue(r, 0, 1));
    static const char *const names[] = {"fsync", "full_page_writes", "synchronous_commit"};
    f->safe = true;
    for (int i = 0; i < 3; i++) {
        const char *v = PQgetvalue(r, 0, 2 + i);
        bool ok = i < 2 ? is_on(v) : strcmp(v, "on") == 0 || strcmp(v, "remote_apply") == 0;
        if (!ok && f->safe)
            snprintf(f->unsafe, sizeof f->unsafe, "%s=%s", names[i], v);
        f->safe = f->safe && ok;
    }
    f->checksums = is_on(PQgetvalue(r, 0, 5));
    f->in_recovery = *PQgetvalue(r, 0, 6) == 't';
    snprintf(f->cluster, sizeof f->cluster, "%s", PQgetvalue(r, 0, 7));
    bool migrated = *PQgetvalue(r, 0, 8) == 't';
    Oid *const oids[] = {&f->entry,        &f->entry_array, &f->change,
                         &f->change_array, &f->name,        &f->name_array};
    for (int i = 0; i < 6; i++)
        *oids[i] = oid_of(r, 9 + i);
    if (!migrated || f->name_array == 0)
        conn_fail(c, CONN_MIGRATION, "the database has no schema yet: run holdfast db migrate");
}

static void on_migration(void *arg, const PGresult *r)
{
    struct conn *c = arg;
    if (!r || c->state != CONN_CHECKING)
        return;
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
        conn_break(c, PQresultErrorMessage(r));
        return;
    }
    c->facts.migration = (unsigned)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
}

static void on_prepared(void *arg, const PGresult *r)
{
    struct conn *c = arg;
    if (r && PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_PIPELINE_ABORTED)
        conn_break(c, PQresultErrorMessage(r));
}

static void on_prepare_sync(void *arg, bool ok)
{
    struct conn *c = arg;
    if (!ok || c->state != CONN_PREPARING || c->why[0])
        return; /* lost, or a statement failed and conn_on_fail() follows */
    c->state = CONN_READY;
    c->backoff_ms = BACKOFF_FIRST_MS;
    c->logged = false;
    log_info("db.up", " connection=%s server=%s", c->config.name, c->facts.version);
    if (c->config.on_ready)
        c->config.on_ready(c->config.arg);
}

/* The facts are known: refuse, or prepare the statements. */
static void on_check_sync(void *arg, bool ok)
{
    struct conn *c = arg;
    const struct conn_facts *f = &c->facts;
    if (!ok || c->state != CONN_CHECKING || c->why[0])
        return;
    char text[160];
    if (f->migration != db_migration_known()) {
        snprintf(text, sizeof text, "the schema is at migration %u, this program needs %u%s",
                 f->migration, db_migration_known(),
                 f->migration < db_migration_known() ? ": run holdfast db migrate" : "");
        conn_fail(c, CONN_MIGRATION, text);
        return;
    }
    if (f->in_recovery) {
        conn_fail(c, CONN_LOST, "the server is read-only or a standby");
        return;
    }
    if (!f->safe && !c->config.allow_unsafe) {
        snprintf(text, sizeof text, "unsafe setting: %s (an answered request could be lost)",
                 f->unsafe);
        conn_fail(c, CONN_UNSAFE, text);
        return;
    }
    if (!f->safe)
        log_warn("db.unsafe", " connection=%s setting=%s", c->config.name, f->unsafe);
    if (!f->checksums)
        log_warn("db.checksums", " connection=%s data_checksums=off", c->config.name);
    c->state = CONN_PREPARING;
    for (size_t i = 0; i < STMT_COUNT; i++)
        if (conn_statements[i].where & c->config.statements)
            if (!conn_prepare(c, conn_statements[i].name, conn_statements[i].text, on_prepared, c))
                return;
    conn_sync(c, on_prepare_sync, c);
}

void conn_check(struct conn *c)
{
    PQsetnonblocking(c->pg, 1);
    if (!PQenterPipelineMode(c->pg)) {
        conn_fail(c, CONN_LOST, "no pipeline mode");
        return;
    }
    c->why[0] = '\0';
    c->state = CONN_CHECKING;
    char statement_ms[16], lock_ms[16];
    snprintf(statement_ms, sizeof statement_ms, "%u", c->config.statement_timeout_ms);
    snprintf(lock_ms, sizeof lock_ms, "%u", c->config.lock_wait_ms);
    const char *values[] = {statement_ms, lock_ms};
    if (!conn_sent(c, PQsendQueryParams(c->pg, check_sql, 2, NULL, values, NULL, NULL, 0), on_check,
                   c))
        return;
    if (conn_query_text(c, migration_sql, NULL, on_migration, c))
        conn_sync(c, on_check_sync, c);
}
