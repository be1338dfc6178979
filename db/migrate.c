/*
 * Migrations: numbered SQL files, embedded at build time, applied in order under an advisory lock,
 * each in a transaction of its own together with its row in holdfast.migration. A migration that
 * was applied never changes: its checksum is compared at every run.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/admin_impl.h"
#include "db/conn.h"
#include "server/base/clock.h"

static const struct migration {
    unsigned number;
    const char *name, *sql;
} migrations[] = {
#define MIGRATION(number, name, sql) {number, name, sql},
#include "db/migrations.inc"
#undef MIGRATION
};
enum { MIGRATIONS = sizeof migrations / sizeof *migrations };

/* Any number that no other program uses for an advisory lock in this database. */
#define LOCK_SQL   "SELECT pg_advisory_lock(7234, 1)"
#define UNLOCK_SQL "SELECT pg_advisory_unlock(7234, 1)"

static const char table_sql[] =
    "CREATE SCHEMA holdfast AUTHORIZATION holdfast_owner;"
    "COMMENT ON SCHEMA holdfast IS 'Which migrations were applied';"
    "CREATE TABLE holdfast.migration ("
    "  number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    "  applied_at timestamptz NOT NULL DEFAULT now(), applied_by text NOT NULL DEFAULT "
    "session_user,"
    "  took_ms integer NOT NULL);"
    "COMMENT ON TABLE holdfast.migration IS 'One row for each applied migration';"
    "COMMENT ON COLUMN holdfast.migration.number IS 'In the order of their numbers';"
    "COMMENT ON COLUMN holdfast.migration.name IS 'Name of the file';"
    "COMMENT ON COLUMN holdfast.migration.checksum IS 'SHA-256 of the file; it must not change';"
    "COMMENT ON COLUMN holdfast.migration.applied_at IS 'When';"
    "COMMENT ON COLUMN holdfast.migration.applied_by IS 'The database user who ran it';"
    "COMMENT ON COLUMN holdfast.migration.took_ms IS 'How long it took';"
    "ALTER TABLE holdfast.migration OWNER TO holdfast_owner;"
    "GRANT USAGE ON SCHEMA holdfast TO PUBLIC;";

unsigned db_migration_known(void)
{
    return migrations[MIGRATIONS - 1].number;
}

static rc_t checksum(const char *sql, char out[65])
{
    uint8_t hash[32];
    if (EVP_Digest(sql, strlen(sql), hash, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return RC_OK;
}

/* True when the first migration, the roles, still has to run here: there is no table of migrations.
 */
static rc_t is_fresh(struct db_admin *a, bool *fresh)
{
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT to_regclass('holdfast.migration') IS NULL", 0, NULL, &r));
    *fresh = *PQgetvalue(r, 0, 0) == 't';
    PQclear(r);
    return RC_OK;
}

rc_t db_migration_state(struct db_admin *a, unsigned *have_out, unsigned *want_out)
{
    bool fresh = true;
    *want_out = db_migration_known();
    *have_out = 0;
    TRY(is_fresh(a, &fresh));
    if (fresh)
        return RC_OK;
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT coalesce(max(number), 0) FROM holdfast.migration", 0, NULL, &r));
    *have_out = (unsigned)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return RC_OK;
}

static rc_t record(struct db_admin *a, const struct migration *m, const char *sum, int64_t took_ms)
{
    char number[16], took[24];
    snprintf(number, sizeof number, "%u", m->number);
    snprintf(took, sizeof took, "%lld", (long long)took_ms);
    const char *values[] = {number, m->name, sum, took};
    PGresult *r = NULL;
    rc_t rc = admin_text(a,
                         "INSERT INTO holdfast.migration (number, name, checksum, took_ms)"
                         " VALUES ($1::int, $2, $3, $4::int)",
                         4, values, &r);
    PQclear(r);
    return rc;
}

/* The first one makes the roles and so runs as whoever migrates; the others run as the owner. */
static rc_t apply(struct db_admin *a, const struct migration *m, bool fresh, const char *sum,
                  int64_t *took_ms)
{
    int64_t start = clock_monotonic_us();
    TRY(admin_run(a, "BEGIN"));
    TRY(admin_run(a, "SET LOCAL search_path = pg_catalog"));
    if (!fresh)
        TRY(admin_run(a, "SET LOCAL ROLE holdfast_owner"));
    TRY(admin_run(a, m->sql));
    if (fresh)
        TRY(admin_run(a, table_sql));
    *took_ms = (clock_monotonic_us() - start) / 1000;
    TRY(record(a, m, sum, *took_ms));
    return admin_run(a, "COMMIT");
}

/* Whether it was applied; RC_INTEGRITY when it was another one. */
static rc_t is_applied(struct db_admin *a, const struct migration *m, const char *sum, bool *done)
{
    char number[16];
    snprintf(number, sizeof number, "%u", m->number);
    const char *values[] = {number};
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT checksum FROM holdfast.migration WHERE number = $1::int", 1, values,
                   &r));
    *done = PQntuples(r) == 1;
    bool same = !*done || strcmp(PQgetvalue(r, 0, 0), sum) == 0;
    PQclear(r);
    if (!same)
        return admin_fail(a, RC_INTEGRITY,
                          "migration %s was applied with another content than this program has",
                          m->name);
    return RC_OK;
}

static rc_t migrate_one(struct db_admin *a, const struct migration *m, db_progress_fn *progress,
                        void *arg)
{
    char sum[65], text[160];
    bool fresh = false, done = false;
    int64_t took_ms = 0;
    TRY(checksum(m->sql, sum));
    TRY(is_fresh(a, &fresh));
    if (!fresh)
        TRY(is_applied(a, m, sum, &done));
    if (!done) {
        rc_t rc = apply(a, m, fresh, sum, &took_ms);
        if (rc != RC_OK)
            return admin_give_up(a, rc);
        snprintf(text, sizeof text, "%s applied (%lld ms)", m->name, (long long)took_ms);
    } else {
        snprintf(text, sizeof text, "%s already there", m->name);
    }
    if (progress)
        progress(arg, text);
    return RC_OK;
}

static rc_t migrate_all(struct db_admin *a, db_progress_fn *progress, void *arg)
{
    unsigned have = 0, want = 0;
    TRY(db_migration_state(a, &have, &want));
    if (have > want)
        return admin_fail(a, RC_INTEGRITY,
                          "the database is at migration %u, this program knows only %u", have,
                          want);
    for (size_t i = 0; i < MIGRATIONS; i++)
        TRY(migrate_one(a, &migrations[i], progress, arg));
    TRY(admin_run(a, "SET ROLE holdfast_owner"));
    TRY(admin_run(a, "SELECT audit.make_partitions()"));
    return admin_run(a, "RESET ROLE");
}

rc_t db_migrate(struct db_admin *a, db_progress_fn *progress, void *arg)
{
    TRY(admin_run(a, "SET lock_timeout = '30s'"));
    TRY(admin_run(a, "SET client_min_messages = warning"));
    TRY(admin_run(a, LOCK_SQL));
    rc_t rc = migrate_all(a, progress, arg);
    char error[sizeof a->error];
    memcpy(error, a->error, sizeof error);
    admin_run(a, UNLOCK_SQL);
    memcpy(a->error, error, sizeof error);
    return rc;
}
