/*
 * Synchronous access for the command line: connection, settings, clients, counts. See admin.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/admin_impl.h"

/* ---- statements ---- */

rc_t admin_fail(struct db_admin *a, rc_t rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->error, sizeof a->error, fmt, ap);
    va_end(ap);
    for (char *p = a->error; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = p[1] ? ' ' : '\0';
    return rc;
}

/* SQLSTATE to result; the text of the server for people. */
static rc_t failed(struct db_admin *a, const PGresult *r)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    static const struct {
        const char *state;
        rc_t rc;
    } known[] = {
        {"23505", RC_NAME_TAKEN}, /* unique_violation */
        {"P0002", RC_NOT_FOUND},  /* no_data_found */
        {"02000", RC_NOT_FOUND},   {"42501", RC_DENIED},
        {"55000", RC_WRONG_STATE}, /* object_not_in_prerequisite_state */
        {"53400", RC_TOO_MANY},    /* configuration_limit_exceeded */
        {"22", RC_INVALID_FIELD},  {"23", RC_INVALID_FIELD},
    };
    if (!state || PQstatus(a->pg) != CONNECTION_OK)
        return admin_fail(a, RC_UNAVAILABLE, "%s", PQerrorMessage(a->pg));
    admin_fail(a, RC_OK, "%s (SQLSTATE %s)", text ? text : "error", state);
    const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
    snprintf(a->hint, sizeof a->hint, "%s", hint ? hint : "");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(state, known[i].state, strlen(known[i].state)) == 0)
            return known[i].rc;
    return RC_INTERNAL;
}

static rc_t finish(struct db_admin *a, PGresult *r, PGresult **out)
{
    ExecStatusType status = PQresultStatus(r);
    a->hint[0] = '\0';
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        rc_t rc = failed(a, r);
        PQclear(r);
        *out = NULL;
        return rc;
    }
    a->error[0] = '\0';
    *out = r;
    return RC_OK;
}

rc_t admin_run(struct db_admin *a, const char *sql)
{
    PGresult *r = NULL;
    rc_t rc = finish(a, PQexec(a->pg, sql), &r);
    PQclear(r);
    return rc;
}

rc_t admin_query(struct db_admin *a, const char *sql, struct pg_params *p, PGresult **out)
{
    *out = NULL;
    if (p)
        TRY(pg_params_ready(p));
    PGresult *r = p ? PQexecParams(a->pg, sql, p->count, NULL, p->values, p->lengths, p->formats, 1)
                    : PQexecParams(a->pg, sql, 0, NULL, NULL, NULL, NULL, 1);
    return finish(a, r, out);
}

rc_t admin_text(struct db_admin *a, const char *sql, int count, const char *const *values,
                PGresult **out)
{
    *out = NULL;
    return finish(a, PQexecParams(a->pg, sql, count, NULL, values, NULL, NULL, 0), out);
}

rc_t admin_do(struct db_admin *a, const char *sql, int count, const char *const *values)
{
    PGresult *r = NULL;
    rc_t rc = admin_text(a, sql, count, values, &r);
    PQclear(r);
    return rc;
}

const char *admin_field(const PGresult *r, int row, int col)
{
    return PQgetisnull(r, row, col) ? NULL : PQgetvalue(r, row, col);
}

rc_t admin_give_up(struct db_admin *a, rc_t rc)
{
    char error[sizeof a->error];
    memcpy(error, a->error, sizeof error);
    admin_run(a, "ROLLBACK");
    memcpy(a->error, error, sizeof error);
    return rc;
}

/* ---- connection ---- */

static void quiet(void *arg, const PGresult *r)
{
    (void)arg, (void)r;
}

rc_t db_admin_open(const char *conninfo, const char *role, struct db_admin **out)
{
    struct db_admin *a = calloc(1, sizeof *a);
    *out = a;
    if (!a)
        return RC_NO_MEMORY;
    const char *keys[] = {"dbname",          "application_name",   "client_encoding",
                          "connect_timeout", role ? "user" : NULL, NULL};
    const char *values[] = {conninfo, "holdfast command", "UTF8", "5", role, NULL};
    a->pg = PQconnectdbParams(keys, values, 1);
    if (!a->pg)
        return admin_fail(a, RC_NO_MEMORY, "out of memory");
    if (PQstatus(a->pg) != CONNECTION_OK)
        return admin_fail(a, RC_UNAVAILABLE, "%s", PQerrorMessage(a->pg));
    PQsetNoticeReceiver(a->pg, quiet, NULL);
    return admin_run(a, "SET search_path = pg_catalog; SET client_min_messages = warning");
}

void db_admin_close(struct db_admin **a)
{
    if (!*a)
        return;
    if ((*a)->pg)
        PQfinish((*a)->pg);
    free(*a);
    *a = NULL;
}

const char *db_admin_error(const struct db_admin *a)
{
    return a ? a->error : "out of memory";
}

const char *db_admin_hint(const struct db_admin *a)
{
    return a && a->hint[0] ? a->hint : NULL;
}

void db_admin_set_operator(struct db_admin *a, const char *who)
{
    const char *values[] = {who ? who : ""};
    PGresult *r = NULL;
    admin_text(a, "SELECT set_config('holdfast.operator', $1, false)", 1, values, &r);
    PQclear(r);
}

/* ---- settings ---- */

rc_t db_settings_check(struct db_admin *a, struct db_setting out[DB_SETTING_COUNT])
{
    static const struct {
        const char *name, *why;
        enum db_setting_verdict otherwise;
    } wanted[DB_SETTING_COUNT] = {
        {"fsync", "a crash of the machine could lose or damage answered requests",
         DB_SETTING_UNSAFE},
        {"full_page_writes", "a crash of the machine could damage pages half written",
         DB_SETTING_UNSAFE},
        {"synchronous_commit", "a crash could lose requests that were answered", DB_SETTING_UNSAFE},
        {"data_checksums", "damage of the storage would not be noticed", DB_SETTING_WARN},
    };
    for (int i = 0; i < DB_SETTING_COUNT; i++) {
        PGresult *r = NULL;
        const char *values[] = {wanted[i].name};
        TRY(admin_text(a, "SELECT current_setting($1)", 1, values, &r));
        const char *v = PQgetvalue(r, 0, 0);
        bool safe = strcmp(v, "on") == 0 || (i == 2 && strcmp(v, "remote_apply") == 0);
        out[i].name = wanted[i].name;
        out[i].why = wanted[i].why;
        out[i].verdict = safe ? DB_SETTING_SAFE : wanted[i].otherwise;
        snprintf(out[i].value, sizeof out[i].value, "%s", v);
        PQclear(r);
    }
    return RC_OK;
}

/* ---- clients ---- */

static const char *seconds(int64_t v, char out[24])
{
    snprintf(out, 24, "%lld", (long long)v);
    return out;
}

rc_t db_client_add(struct db_admin *a, const char *name, const char *domain, const char *reason,
                   const struct db_certificate *cert, struct uid *id_out)
{
    char from[24], until[24];
    const char *values[] = {name,
                            cert->issuer,
                            cert->kind,
                            cert->value,
                            cert->serial,
                            cert->fingerprint,
                            seconds(cert->not_before, from),
                            seconds(cert->not_after, until),
                            domain ? domain : "default",
                            reason ? reason : "enrolment"};
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT policy.client_add($1, $2, $3, $4, $5, $6,"
                   " to_timestamp($7::float8), to_timestamp($8::float8), $9, $10)",
                   10, values, &r));
    rc_t rc = uid_parse(bytes_str(PQgetvalue(r, 0, 0)), id_out);
    PQclear(r);
    return rc;
}

rc_t db_certificate_add(struct db_admin *a, const char *client, const char *reason,
                        const struct db_certificate *cert)
{
    char from[24], until[24];
    const char *values[] = {client,
                            cert->issuer,
                            cert->kind,
                            cert->value,
                            cert->serial,
                            cert->fingerprint,
                            seconds(cert->not_before, from),
                            seconds(cert->not_after, until),
                            reason ? reason : "renewal"};
    return admin_do(a,
                    "SELECT policy.certificate_add($1, $2, $3, $4, $5, $6,"
                    " to_timestamp($7::float8), to_timestamp($8::float8), $9)",
                    9, values);
}

rc_t db_client_revoke(struct db_admin *a, const char *client, const char *certificate)
{
    const char *values[] = {client, certificate};
    if (certificate)
        return admin_do(a, "SELECT policy.certificate_revoke($1, $2)", 2, values);
    return admin_do(a, "SELECT policy.client_revoke($1)", 1, values);
}

rc_t db_client_enable(struct db_admin *a, const char *client, bool enabled)
{
    const char *values[] = {client, enabled ? "true" : "false"};
    return admin_do(a, "SELECT policy.client_enable($1, $2::boolean)", 2, values);
}

static int64_t number(const PGresult *r, int row, int col, int64_t if_null)
{
    return PQgetisnull(r, row, col) ? if_null : strtoll(PQgetvalue(r, row, col), NULL, 10);
}

#define SECONDS(column) "floor(extract(epoch FROM " column "))::bigint"

rc_t db_client_list(struct db_admin *a, db_client_fn *each, void *arg)
{
    PGresult *r = NULL;
    TRY(admin_text(
        a,
        "SELECT id, name, enabled, standing, " SECONDS(
            "created_at") ","
                          " coalesce(identities, ''), certificates, " SECONDS(
                              "not_after") ","
                                           " domain, groups, roles, second_factor, legacy_tls,"
                                           " array_to_string(quirks, ',')"
                                           " FROM policy.clients ORDER BY name",
        0, NULL, &r));
    rc_t rc = RC_OK;
    for (int i = 0; i < PQntuples(r) && rc == RC_OK; i++) {
        struct db_client c = {.name = PQgetvalue(r, i, 1),
                              .enabled = *PQgetvalue(r, i, 2) == 't',
                              .standing = number(r, i, 3, 0),
                              .created = number(r, i, 4, NO_DATE),
                              .identities = PQgetvalue(r, i, 5),
                              .certificates = (unsigned)number(r, i, 6, 0),
                              .not_after = number(r, i, 7, NO_DATE),
                              .domain = PQgetvalue(r, i, 8),
                              .groups = admin_field(r, i, 9),
                              .roles = admin_field(r, i, 10),
                              .second_factor = *PQgetvalue(r, i, 11) == 't',
                              .legacy_tls = *PQgetvalue(r, i, 12) == 't',
                              .quirks = PQgetvalue(r, i, 13)};
        rc = uid_parse(bytes_str(PQgetvalue(r, i, 0)), &c.id);
        if (rc == RC_OK && !each(arg, &c))
            break;
    }
    PQclear(r);
    return rc;
}

rc_t db_certificate_list(struct db_admin *a, const char *client, db_certificate_fn *each, void *arg)
{
    PGresult *r = NULL;
    const char *values[] = {client};
    TRY(admin_text(
        a,
        "SELECT c.name, x.issuer, x.serial, x.fingerprint, " SECONDS("x.not_before") ", " SECONDS(
            "x.not_after") ", " SECONDS("x.revoked_at") " FROM policy.certificate x JOIN "
                                                        "policy.client c ON c.id = x.client"
                                                        " WHERE $1::text IS NULL OR c.name = $1 "
                                                        "ORDER BY c.name, x.created_at",
        1, values, &r));
    for (int i = 0; i < PQntuples(r); i++) {
        struct db_certificate_row row = {.client = PQgetvalue(r, i, 0),
                                         .issuer = PQgetvalue(r, i, 1),
                                         .serial = PQgetvalue(r, i, 2),
                                         .fingerprint = PQgetvalue(r, i, 3),
                                         .not_before = number(r, i, 4, NO_DATE),
                                         .not_after = number(r, i, 5, NO_DATE),
                                         .revoked_at = number(r, i, 6, NO_DATE)};
        if (!each(arg, &row))
            break;
    }
    PQclear(r);
    return RC_OK;
}

/* ---- audit ---- */

rc_t db_audit_note(struct db_admin *a, const char *operation, const char *detail)
{
    const char *values[] = {operation, detail};
    return admin_do(a, "SELECT audit.note($1, $2)", 2, values);
}

rc_t db_audit_verify(struct db_admin *a, db_verify_fn *each, void *arg)
{
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT stream, seq, what, detail FROM audit.verify()", 0, NULL, &r));
    bool wrong = PQntuples(r) == 0;
    for (int i = 0; i < PQntuples(r); i++) {
        struct db_verify_row row = {.stream = PQgetvalue(r, i, 0),
                                    .seq = number(r, i, 1, 0),
                                    .what = PQgetvalue(r, i, 2),
                                    .detail = PQgetvalue(r, i, 3)};
        row.good = strcmp(row.what, "verified") == 0;
        wrong = wrong || !row.good;
        if (each && !each(arg, &row))
            each = NULL;
    }
    PQclear(r);
    return wrong ? admin_fail(a, RC_INTEGRITY, "the audit trail was altered") : RC_OK;
}

/*
 * The cursor is the time of the newest row shown. Rows of concurrent streams may become visible a
 * little out of order; each look goes back two seconds less than it would need to miss none of
 * them.
 */
rc_t db_audit_tail(struct db_admin *a, unsigned count, int64_t *cursor, db_event_fn *each,
                   void *arg)
{
    char most[24], after[24];
    snprintf(most, sizeof most, "%u", count);
    snprintf(after, sizeof after, "%lld", (long long)*cursor);
    const char *values[] = {most, after};
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT at, stream, seq, client, fingerprint, address, protocol, correlation, position,"
                   " operation, object, result, reason, duration_us, detail, hash,"
                   " (extract(epoch FROM at) * 1000000)::bigint AS us"
                   " FROM audit.tail($1::bigint, '1970-01-01 00:00:00+00'::timestamptz"
                   "                             + $2::bigint * interval '1 microsecond')",
                   2, values, &r));
    for (int i = 0; i < PQntuples(r); i++) {
        struct db_event_row e;
        const char **const fields[] = {&e.at,          &e.stream,      &e.seq,      &e.client,
                                       &e.fingerprint, &e.address,     &e.protocol, &e.correlation,
                                       &e.position,    &e.operation,   &e.object,   &e.result,
                                       &e.reason,      &e.duration_us, &e.detail,   &e.hash};
        for (int f = 0; f < 16; f++)
            *fields[f] = admin_field(r, i, f);
        *cursor = number(r, i, 16, *cursor);
        if (!each(arg, &e))
            break;
    }
    PQclear(r);
    return RC_OK;
}

/* ---- status ---- */

rc_t db_counts(struct db_admin *a, struct db_counts *out)
{
    *out = (struct db_counts){0};
    unsigned want = 0;
    TRY(db_migration_state(a, &out->migration, &want));
    PGresult *r = NULL;
    TRY(admin_text(
        a,
        "SELECT current_setting('server_version'), pg_is_in_recovery(),"
        " pg_database_size(current_database()),"
        " (SELECT greatest(max(c.reltuples), 0)::bigint FROM pg_class c"
        "   JOIN pg_namespace n ON n.oid = c.relnamespace"
        "   WHERE n.nspname = 'kmip' AND c.relname = 'object'),"
        " (SELECT sum(greatest(c.reltuples, 0))::bigint FROM pg_class c"
        "   JOIN pg_namespace n ON n.oid = c.relnamespace"
        "   WHERE n.nspname = 'audit' AND c.relname LIKE 'event\\_%' AND c.relkind = 'r')",
        0, NULL, &r));
    snprintf(out->server_version, sizeof out->server_version, "%s", PQgetvalue(r, 0, 0));
    out->in_recovery = *PQgetvalue(r, 0, 1) == 't';
    out->database_bytes = number(r, 0, 2, 0);
    out->objects = number(r, 0, 3, 0);
    out->audit_rows = number(r, 0, 4, 0);
    PQclear(r);
    /* what the role may see: the policy role sees clients, the auditor streams */
    if (admin_text(a, "SELECT count(*) FROM policy.client", 0, NULL, &r) == RC_OK) {
        out->clients = number(r, 0, 0, 0);
        PQclear(r);
    }
    if (admin_text(a, "SELECT count(*) FROM audit.stream", 0, NULL, &r) == RC_OK) {
        out->streams = number(r, 0, 0, 0);
        PQclear(r);
    }
    a->error[0] = '\0';
    return RC_OK;
}
