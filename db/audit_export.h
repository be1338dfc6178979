/*
 * Reading audit rows out as records, in the order of their chains, from one snapshot and with
 * constant memory; and what the database has to say and do about whole months. Role
 * holdfast_auditor unless told otherwise. See admin.h.
 */
#ifndef DB_AUDIT_EXPORT_H
#define DB_AUDIT_EXPORT_H

#include "db/admin.h"

/*
 * The fields of a record, in the order of the CSV columns and by the names of the JSON members
 * (deploy/man/ holdfast-audit.7). X(id, name, whether it is a number)
 */
#define AUDIT_FIELDS(X)                                                                            \
    X(RECORD, "record", false)                                                                     \
    X(TIME_US, "time_us", true)                                                                    \
    X(STREAM, "stream", false)                                                                     \
    X(SEQ, "seq", true)                                                                            \
    X(CLIENT, "client", false)                                                                     \
    X(CLIENT_NAME, "client_name", false)                                                           \
    X(FINGERPRINT, "fingerprint", false)                                                           \
    X(ADDRESS, "address", false)                                                                   \
    X(PROTOCOL, "protocol", false)                                                                 \
    X(CORRELATION, "correlation", false)                                                           \
    X(POSITION, "position", true)                                                                  \
    X(OPERATION, "operation", false)                                                               \
    X(OBJECT, "object", false)                                                                     \
    X(RESULT, "result", false)                                                                     \
    X(REASON, "reason", false)                                                                     \
    X(DURATION_US, "duration_us", true)                                                            \
    X(DETAIL, "detail", false)                                                                     \
    X(PREVIOUS, "previous", false)                                                                 \
    X(HASH, "hash", false)

enum audit_field {
#define AUDIT_FIELD_ENUM(id, name, number) AUDIT_##id,
    AUDIT_FIELDS(AUDIT_FIELD_ENUM)
#undef AUDIT_FIELD_ENUM
        AUDIT_FIELD_COUNT
};

/*
 * One record as text; NULL where a field is not set. AUDIT_RECORD says what it is:
 *   export  the first: time_us when, detail which rows ("format=1 month=2026-01")
 *   stream  before the rows of a stream: seq and hash of its head, detail as in its first row
 *   event   one row
 *   gap     rows of the stream that belong to it but not to this export: seq the first, position
 * how many, hash that of the last; reason "missing" where they should be here end     the last: seq
 * how many events, position how many streams, hash SHA-256 of all bytes before this record
 */
struct audit_record {
    const char *field[AUDIT_FIELD_COUNT];
};

/* Which rows. NULL: no bound. */
struct db_export {
    const char *from, *until; /* timestamps as PostgreSQL reads them; from included, until not */
    const char *month;        /* "2026-01" instead of both: all of a month (UTC) */
    const char *client;       /* name of a client */
    const char *key;          /* Unique Identifier of an object */
};

/* Fields live during the callback. Anything but RC_OK stops with that result. */
typedef rc_t db_record_fn(void *arg, const struct audit_record *record);
/*
 * Gives each record but `end`. RC_NOT_FOUND: no such client or month; RC_INVALID_FIELD: a bound
 * that PostgreSQL cannot read.
 */
rc_t db_audit_export(struct db_admin *admin, const struct db_export *what, db_record_fn *each,
                     void *arg);
/* Writes into the trail that rows were exported, and for a whole month (may be NULL) which file has
 * it. */
rc_t db_audit_note_export(struct db_admin *admin, const char *what, const char *month,
                          uint64_t rows, const char *sha256_hex);

/* ---- months ---- */

struct db_month {
    const char *month; /* "2026-01" */
    int64_t rows;      /* about */
    int64_t bytes;
    const char *exported_at, *export_sha256; /* NULL: never exported whole */
    bool droppable;
    const char *why_not; /* NULL where it is droppable */
};
typedef bool db_month_fn(void *arg, const struct db_month *month);
rc_t db_audit_months(struct db_admin *admin, db_month_fn *each, void *arg);
/* What is wrong with the rows of a month: RC_INTEGRITY, and the first of it in db_admin_error(). */
rc_t db_audit_verify_month(struct db_admin *admin, const char *month);
/* The rows of a month as runs: an audit_record of kind "run" each, in order of stream and seq: seq
 * the first row, position how many, previous and hash those before and after. */
rc_t db_audit_month_runs(struct db_admin *admin, const char *month, db_record_fn *each, void *arg);

struct db_stub {
    const char *month, *node, *digest, *signature,
        *ak_pub; /* hexadecimal but month; node NULL: unknown */
    const char *dropped_at, *dropped_by, *reason, *export_sha256, *verdict;
    int64_t rows;
};
typedef rc_t db_stub_fn(void *arg, const struct db_stub *stub);
rc_t db_audit_stubs(struct db_admin *admin, db_stub_fn *each, void *arg);

/* Role holdfast_policy. */
rc_t db_audit_set_retention(struct db_admin *admin, const char *months, const char *reason);

/* What audit.drop_month() is told. Text; rows in decimal, hashes in hexadecimal. */
struct db_drop {
    const char *month, *rows, *export_sha256, *reason;
    char at[64];     /* from db_audit_drop_digest() */
    char digest[65]; /* from there: what the node signs */
    const char *node, *signature;
};
/* Role holdfast_policy; both with the same handle, so that who does it stays the same. */
rc_t db_audit_drop_digest(struct db_admin *admin, struct db_drop *drop);
rc_t db_audit_drop(struct db_admin *admin, const struct db_drop *drop);

#endif
