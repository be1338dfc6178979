/*
 * Forwarding of the audit trail, as the forwarder sees the database (role holdfast_forward): the rows that a
 * destination has not got yet, and the cursors that say so. See db/migrations/0031_forward.sql. Synchronous;
 * functions return RC_OK or an error whose text for people is db_admin_error().
 */
#ifndef DB_FORWARD_H
#define DB_FORWARD_H

#include "db/admin.h"

/* The fields of a row: columns of audit.forward_next() and the names under which they are forwarded. */
/* clang-format off */
#define DB_FORWARD_FIELDS(X) \
    X(STREAM, stream)     X(SEQ, seq)                 X(OPENER, opener)       X(OPERATION, operation)          \
    X(RESULT, result)     X(REASON, reason)           X(CLIENT, client)       X(CLIENT_ID, client_id)          \
    X(FINGERPRINT, fingerprint)                       X(ADDRESS, address)     X(PROTOCOL, protocol)            \
    X(CORRELATION, correlation)                       X(POSITION, position)   X(OBJECT, object)                \
    X(DURATION_US, duration_us)                       X(DETAIL, detail)       X(PREVIOUS, previous)            \
    X(HASH, hash)
/* clang-format on */

enum db_forward_field {
#define DB_FORWARD_ENUM(id, name) DB_FORWARD_##id,
    DB_FORWARD_FIELDS(DB_FORWARD_ENUM)
#undef DB_FORWARD_ENUM
        DB_FORWARD_FIELD_COUNT
};

/* One row; texts are UTF-8 and NULL where not set. */
struct db_forward_row {
    int64_t after;     /* the destination's cursor in the stream */
    int64_t head;      /* the stream's last row */
    int64_t seq;       /* 0: the stream has no row from after + 1 to head any more; only STREAM and OPENER are set */
    const char *at;    /* RFC 3339 in UTC with microseconds; NULL for a time out of all reason */
    const char *class; /* of the operation: "read", "make", "admin", ... */
    const char *fields[DB_FORWARD_FIELD_COUNT];
};

/* Rows in the order of each stream; owns what its rows point at. */
struct db_forward_batch;

/* First on a connection. Whether it is now the one that forwards to the destination; it stays so until it is closed.
 * The calls below up to db_forward_trouble() are for that one alone: RC_WRONG_STATE. */
rc_t db_forward_claim(struct db_admin *admin, const char *destination, bool *mine_out);
/* Makes the destination unless it is there: from the beginning of the trail, or from now on. */
rc_t db_forward_begin(struct db_admin *admin, const char *destination, bool from_now, bool *made_out);
/* The full look at all streams: at start and once a minute. */
rc_t db_forward_look(struct db_admin *admin, const char *destination);
/* At most `rows` rows that the destination has not got; the caller frees *out. */
rc_t db_forward_next(struct db_admin *admin, const char *destination, unsigned rows, struct db_forward_batch **out);
size_t db_forward_count(const struct db_forward_batch *batch);
void db_forward_row(const struct db_forward_batch *batch, size_t at, struct db_forward_row *row_out);
/* NULL is fine. Clears the caller's pointer. */
void db_forward_free(struct db_forward_batch **batch);
/* Moves the cursors behind the batch. RC_WRONG_STATE when they are not where the batch began. */
rc_t db_forward_moved(struct db_admin *admin, const char *destination, const struct db_forward_batch *batch);
/* Keeps what holds the forwarder up, for db_forward_status(); NULL: nothing does any more. */
rc_t db_forward_trouble(struct db_admin *admin, const char *destination, const char *text);
/* Removes the destination and its cursors (role holdfast_policy); the audit row keeps the reason. RC_NOT_FOUND;
 * RC_INVALID_FIELD without a reason. */
rc_t db_forward_forget(struct db_admin *admin, const char *destination, const char *reason);

/* One row of audit.forwarding; times are text as PostgreSQL writes it, NULL where not set. */
struct db_forward_status {
    const char *destination, *oldest, *moved_at, *trouble, *trouble_at;
    int64_t rows_behind, forwarded, behind_s; /* behind_s: age of the oldest row that is missing, 0 if none is */
    bool running;
};
typedef bool db_forward_status_fn(void *arg, const struct db_forward_status *status);
/* All destinations (role holdfast_auditor). Strings live during the callback; returning false stops. */
rc_t db_forward_status(struct db_admin *admin, db_forward_status_fn *each, void *arg);

#endif
