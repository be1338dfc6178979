/*
 * PostgreSQL's binary forms of the few types that are used here: parameters are built in a buffer,
 * results are read with checks. See the *_recv and *_send functions of the server. Internal to db.
 */
#ifndef DB_PGBIN_H
#define DB_PGBIN_H

#include <libpq-fe.h>

#include "proto/base/buf.h"
#include "server/base/object.h"

/* Type OIDs, fixed in pg_type.dat. */
enum pg_oid {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_TIMESTAMPTZ = 1184,
    OID_UUID = 2950,
    OID_JSONB = 3802,
};

/* Microseconds from 1970 to 2000, where timestamps count from. */
#define PG_EPOCH_US INT64_C(946684800000000)

/* ---- parameters ---- */

/* Header of a one-dimensional array of n elements without NULLs; the elements follow. */
rc_t pg_array(struct buf *out, Oid element, size_t n);
/* Elements of arrays. */
rc_t pg_element_uid(struct buf *out, const struct uid *u);
rc_t pg_element_i4(struct buf *out, int32_t v);
rc_t pg_element_i8(struct buf *out, int64_t v);
rc_t pg_element_bytes(struct buf *out, struct bytes v); /* text, bytea */
/* A composite of `fields` fields as an element: returns where its length goes; pg_row_end sets it.
 */
rc_t pg_row_begin(struct buf *out, uint32_t fields, size_t *mark_out);
void pg_row_end(struct buf *out, size_t mark);
/* Fields of a composite. */
rc_t pg_field_null(struct buf *out, Oid type);
rc_t pg_field_bool(struct buf *out, bool v);
rc_t pg_field_i4(struct buf *out, int32_t v);
rc_t pg_field_i8(struct buf *out, int64_t v);
rc_t pg_field_date(struct buf *out, int64_t seconds); /* bigint; NO_DATE is NULL */
rc_t pg_field_time(struct buf *out, int64_t unix_us); /* timestamptz */
rc_t pg_field_uid(struct buf *out, const struct uid *u, bool nil_is_null);
rc_t pg_field_bytes(struct buf *out, Oid type, struct bytes v); /* text, bytea */
rc_t pg_field_text(struct buf *out, struct bytes v);            /* empty is NULL */
rc_t pg_field_jsonb(struct buf *out, struct bytes json);        /* empty is NULL */

/* The parameters of one statement, all binary, one after the other in one buffer. */
enum { PG_PARAMS_MAX = 96 }; /* a Locate with every filter at once */
struct pg_params {
    struct buf data;
    int count;
    size_t start[PG_PARAMS_MAX];
    bool null[PG_PARAMS_MAX];
    /* made by pg_params_ready() */
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
};

/* Begins a further parameter; what is appended to data belongs to it. RC_TOO_MANY. */
rc_t pg_param(struct pg_params *p);
rc_t pg_param_null(struct pg_params *p);
rc_t pg_param_bytes(struct pg_params *p, struct bytes v); /* text, bytea */
rc_t pg_param_uid(struct pg_params *p, const struct uid *u);
rc_t pg_param_i8(struct pg_params *p, int64_t v);
rc_t pg_param_bool(struct pg_params *p, bool v);
rc_t pg_param_jsonb(struct pg_params *p, struct bytes json);
/* Sets values, lengths and formats. RC_TOO_LARGE past 512 MiB. */
rc_t pg_params_ready(struct pg_params *p);
/* Empties for reuse; wipes. */
void pg_params_clear(struct pg_params *p);
void pg_params_free(struct pg_params *p);

/* ---- results, all in binary; a NULL or a wrong length gives false ---- */

bool pg_get_i4(const PGresult *r, int row, int col, int32_t *out);
bool pg_get_i8(const PGresult *r, int row, int col, int64_t *out);
bool pg_get_u32(const PGresult *r, int row, int col, uint32_t *out); /* from bigint */
bool pg_get_bool(const PGresult *r, int row, int col, bool *out);
bool pg_get_uid(const PGresult *r, int row, int col, struct uid *out);
bool pg_get_date(const PGresult *r, int row, int col, int64_t *out); /* bigint; NULL is NO_DATE */
/* text, bytea: a view into the result; empty for NULL. */
struct bytes pg_get_bytes(const PGresult *r, int row, int col);
/* jsonb without its version byte. */
struct bytes pg_get_jsonb(const PGresult *r, int row, int col);

#endif
