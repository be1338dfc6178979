/* Second factors for the command line; see admin_factor.h. */
#include "db/admin_factor.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/admin_impl.h"

/* The four numbers and texts of a password as parameters; room for their text forms. */
struct password_text {
    char cost[12], block_size[12], parallel[12], salt[2 * 64 + 3], hash[2 * 64 + 3];
};

/* "\x0a1b", as bytea has it. */
static rc_t hex(struct bytes in, char *out, size_t room)
{
    static const char digits[] = "0123456789abcdef";
    if (2 * in.len + 3 > room)
        return RC_INVALID_FIELD;
    *out++ = '\\';
    *out++ = 'x';
    for (size_t i = 0; i < in.len; i++) {
        *out++ = digits[in.data[i] >> 4];
        *out++ = digits[in.data[i] & 15];
    }
    *out = 0;
    return RC_OK;
}

/* Puts salt, cost and hash into five parameters, NULL without a password. */
static rc_t put_password(const struct db_password *p, struct password_text *text, const char **values)
{
    if (!p)
        return RC_OK;
    snprintf(text->cost, sizeof text->cost, "%u", p->cost_log2);
    snprintf(text->block_size, sizeof text->block_size, "%u", p->block_size);
    snprintf(text->parallel, sizeof text->parallel, "%u", p->parallel);
    TRY(hex(p->salt, text->salt, sizeof text->salt));
    TRY(hex(p->hash, text->hash, sizeof text->hash));
    const char *const in[] = {text->salt, text->cost, text->block_size, text->parallel, text->hash};
    memcpy(values, in, sizeof in);
    return RC_OK;
}

/* A statement whose one result is a number. */
static rc_t run_number(struct db_admin *a, const char *sql, int count, const char *const *values, int64_t *out)
{
    PGresult *r = NULL;
    TRY(admin_text(a, sql, count, values, &r));
    *out = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return RC_OK;
}

rc_t db_password_add(struct db_admin *a, const char *client, const char *username, const struct db_password *password,
                     const char *reason, int64_t *id)
{
    struct password_text text;
    const char *values[8] = {client, username};
    TRY(put_password(password, &text, values + 2));
    values[7] = reason;
    return run_number(a,
                      "SELECT policy.password_add($1, $2, $3::bytea, $4::integer, $5::integer, $6::integer, $7::bytea,"
                      " $8)",
                      8, values, id);
}

rc_t db_device_add(struct db_admin *a, const char *client, const char *facts, const struct db_password *password,
                   const char *reason, int64_t *id)
{
    struct password_text text;
    const char *values[8] = {client, facts};
    TRY(put_password(password, &text, values + 2));
    values[7] = reason;
    return run_number(a,
                      "SELECT policy.device_add($1, $2::jsonb, $3::bytea, $4::integer, $5::integer, $6::integer,"
                      " $7::bytea, $8)",
                      8, values, id);
}

rc_t db_factor_remove(struct db_admin *a, const char *id, const char *reason)
{
    const char *values[] = {id, reason};
    PGresult *r = NULL;
    rc_t rc = admin_text(a, "SELECT policy.factor_remove($1::bigint, $2)", 2, values, &r);
    PQclear(r);
    return rc;
}

rc_t db_client_has_quirk(struct db_admin *a, const char *client, const char *quirk, bool *has)
{
    const char *values[] = {client, quirk};
    PGresult *r = NULL;
    TRY(admin_text(a, "SELECT $2 = ANY (quirks) FROM policy.client WHERE name = $1", 2, values, &r));
    bool found = PQntuples(r) > 0;
    *has = found && *PQgetvalue(r, 0, 0) == 't';
    PQclear(r);
    return found ? RC_OK : admin_fail(a, RC_NOT_FOUND, "there is no client %s", client);
}

rc_t db_factor_list(struct db_admin *a, const char *client, db_factor_fn *each, void *arg)
{
    const char *values[] = {client};
    PGresult *r = NULL;
    TRY(admin_text(a,
                   "SELECT id, client, kind, name, device, has_password, required,"
                   " floor(extract(epoch FROM created_at))::bigint FROM policy.factors"
                   " WHERE $1::text IS NULL OR client = $1 ORDER BY client, id",
                   1, values, &r));
    for (int i = 0; i < PQntuples(r); i++) {
        const struct db_factor_row row = {.id = strtoll(PQgetvalue(r, i, 0), NULL, 10),
                                          .client = PQgetvalue(r, i, 1),
                                          .kind = PQgetvalue(r, i, 2),
                                          .name = PQgetvalue(r, i, 3),
                                          .device = PQgetisnull(r, i, 4) ? NULL : PQgetvalue(r, i, 4),
                                          .has_password = *PQgetvalue(r, i, 5) == 't',
                                          .required = *PQgetvalue(r, i, 6) == 't',
                                          .created = strtoll(PQgetvalue(r, i, 7), NULL, 10)};
        if (!each(arg, &row))
            break;
    }
    PQclear(r);
    return RC_OK;
}
