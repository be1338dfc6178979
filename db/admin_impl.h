/*
 * What the synchronous files of db share. Internal to db.
 */
#ifndef DB_ADMIN_IMPL_H
#define DB_ADMIN_IMPL_H

#include "db/admin.h"
#include "db/pgbin.h"

struct db_admin {
    PGconn *pg;
    char error[512];
    char hint[512]; /* what to do about it, where the database says so; else empty */
};

/* Statements without parameters and results; several are fine. Errors go to a->error. */
rc_t admin_run(struct db_admin *a, const char *sql);
/* One statement with binary parameters (NULL: none) and binary results; *out is the caller's. */
rc_t admin_query(struct db_admin *a, const char *sql, struct pg_params *p, PGresult **out);
/* The same with text parameters and text results. values may have NULLs. */
rc_t admin_text(struct db_admin *a, const char *sql, int count, const char *const *values,
                PGresult **out);
/* The same where the result does not matter. */
rc_t admin_do(struct db_admin *a, const char *sql, int count, const char *const *values);
/* A text of a result, NULL where it is NULL; lives as long as the result. */
const char *admin_field(const PGresult *r, int row, int col);
/* Rolls back, keeping the error text; returns rc. */
rc_t admin_give_up(struct db_admin *a, rc_t rc);
rc_t admin_fail(struct db_admin *a, rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
