/*
 * Who a certificate is, asked by an administrator: with the statement, the parameters and the reading of a worker's own
 * look-up (load.c), so that both know the same.
 */
#include "db/admin_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/conn_impl.h"
#include "db/impl.h"

rc_t db_identity_find(struct db_admin *a, struct arena *arena, struct db_identity *id)
{
    struct pg_params p = {.data = BUF_EMPTY};
    PGresult *r = NULL;
    rc_t rc = identity_params(id, &p);
    if (rc == RC_OK)
        rc = admin_query(a, conn_statements[STMT_IDENTITY].text, &p, &r);
    if (rc == RC_OK)
        rc = identity_read(arena, r, id);
    PQclear(r);
    pg_params_free(&p);
    return rc;
}

rc_t db_identity_standing(struct db_admin *a, const struct db_identity *id, struct db_standing *out)
{
    char fingerprint[65], domain[24], name[1100] = "", client[UID_TEXT_SIZE];
    snprintf(fingerprint, sizeof fingerprint, "%.*s", (int)id->fingerprint.len, (const char *)id->fingerprint.data);
    snprintf(domain, sizeof domain, "%" PRIu64, id->found ? id->domain : 0);
    if (id->name_count)
        snprintf(name, sizeof name, "%.*s", (int)id->names[0].value.len, (const char *)id->names[0].value.data);
    uid_print(&id->client, client);
    const char *values[] = {fingerprint, id->found ? domain : NULL, name, id->found ? client : NULL};
    PGresult *r = NULL;
    *out = (struct db_standing){0};
    TRY(admin_text(a,
                   "SELECT x.fingerprint IS NOT NULL, x.revoked_at IS NOT NULL, coalesce(d.enabled, true),"
                   "       coalesce(d.name, ''), floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint,"
                   "       coalesce((SELECT min(k.issuer) FROM policy.credential k WHERE k.value = $3::text), ''),"
                   "       coalesce((SELECT c.second_factor FROM policy.client c WHERE c.id = $4::uuid), false),"
                   "       coalesce((SELECT c.enabled FROM policy.client c WHERE c.id = $4::uuid), true)"
                   "  FROM (SELECT) AS one"
                   "  LEFT JOIN policy.certificate x ON x.fingerprint = $1::text"
                   "  LEFT JOIN policy.domain d ON d.id = $2::bigint",
                   4, values, &r));
    out->certificate_known = *PQgetvalue(r, 0, 0) == 't';
    out->revoked = *PQgetvalue(r, 0, 1) == 't';
    out->domain_enabled = *PQgetvalue(r, 0, 2) == 't';
    snprintf(out->domain, sizeof out->domain, "%.255s", PQgetvalue(r, 0, 3));
    out->clock_us = strtoll(PQgetvalue(r, 0, 4), NULL, 10);
    snprintf(out->other_issuer, sizeof out->other_issuer, "%.1023s", PQgetvalue(r, 0, 5));
    out->second_factor = *PQgetvalue(r, 0, 6) == 't';
    out->client_enabled = *PQgetvalue(r, 0, 7) == 't';
    PQclear(r);
    return RC_OK;
}
