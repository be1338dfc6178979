/*
 * One request's unit of work and its commit. Units of one turn of the event loop share one
 * transaction (design.md section 3, group commit): changes, re-check of what was read, audit rows,
 * COMMIT. A unit happens wholly, with its audit rows, or not at all. It is answered only after
 * that.
 */
#ifndef DB_UNIT_H
#define DB_UNIT_H

#include "db/audit_chain.h"

struct db;
struct db_unit;

enum db_change_kind {
    DB_INSERT =
        1,      /* a new object with its names and material; control.version as given (1 or more) */
    DB_UPDATE,  /* control record, MAC, key_format, last change, attributes (and names if asked) */
    DB_DESTROY, /* as UPDATE, and the material is overwritten and dropped, the names are freed */
};

/* One change of one object. A unit has at most one change for each uid. */
struct db_change {
    enum db_change_kind kind;
    const struct object *object; /* as it shall be afterwards; stays valid until the callback.
                                    `attributes`: empty means {} at INSERT, unchanged at UPDATE and
                                    DESTROY. `material` is read at INSERT only. */
    uint64_t expected;           /* UPDATE, DESTROY: the version that was loaded */
    bool replace_names;          /* UPDATE: the object's names become exactly object->names */
};

/* An object that was read and must still have this version when the audit row is written. */
struct db_read {
    struct uid uid;
    uint64_t version;
};

/* What a unit has to do with requests that administrators approve (db/migrations/0022_approvals.sql), and with the
 * number of objects that there may be (0026_quota.sql). */
enum db_claim_kind {
    DB_CLAIM_ASK = 1, /* opens the request, or finds it open */
    DB_CLAIM_USE,     /* uses its approval up: of all who try, one unit does */
    DB_CLAIM_OWN,     /* makes or destroys objects of its client: not more than there may be */
    DB_CLAIM_DOMAIN,  /* the same of its client's domain */
};

/* Of the unit's client. */
struct db_claim {
    enum db_claim_kind kind;
    /* OWN, DOMAIN, in the order in which it happens */
    int64_t most;  /* objects that there may be afterwards, if delta is more than 0 */
    int32_t delta; /* how many more there are then */
    /* ASK, USE: for one operation on one object */
    int64_t number;         /* of the request, as DB_LOAD_REQUEST told it */
    const char *permission; /* name of policy.permission; static storage */
    struct uid object;      /* nil: an operation that is about none yet */
    int64_t rule;           /* the rule that wants the approval */
    int32_t needed;         /* how many administrators */
};

enum db_outcome {
    DB_DONE = 1, /* committed, durable, with its audit rows */
    DB_LOST,     /* lost a race, nothing happened: run the request again (see `lost`) */
    DB_FAILED,   /* this unit is at fault or was refused, nothing happened; rc tells: RC_BAD_UTF8 (a
                    NUL or invalid text), RC_TOO_LARGE, RC_BUSY (queue full), RC_INTERNAL (its own
                    statement failed) */
    DB_UNKNOWN,  /* may or may not have happened: close the connection without an answer */
    DB_DOWN,     /* no database, nothing happened: the constant error; call db_refused() */
};

enum db_lost {
    DB_LOST_NOTHING = 0,
    DB_LOST_CHANGE,   /* changes[lost_index]: the version moved, or the uid exists; load again */
    DB_LOST_NAME,     /* changes[lost_index]: a name of it is in use; rc is RC_NAME_TAKEN */
    DB_LOST_READ,     /* reads[lost_index]: the version moved */
    DB_LOST_STANDING, /* the client was changed, disabled or revoked: resolve its identity again */
    DB_LOST_CLAIM,    /* claims[lost_index]: the approval is used, withdrawn or expired, another request is open, or
                         there is no room for the objects */
};

/*
 * outcome as above; rc: RC_OK, RC_CONFLICT, RC_NAME_TAKEN, RC_UNAVAILABLE, ... Never called from
 * within db_commit(). The unit is the caller's again when this is called.
 */
typedef void db_unit_done_fn(struct db_unit *unit, enum db_outcome outcome, rc_t rc);

/* Filled by the caller, who owns all memory; it must stay unchanged until the callback. */
struct db_unit {
    size_t change_count;
    struct db_change *changes;
    size_t read_count;
    struct db_read *reads;
    struct uid client;  /* nil: no standing to re-check */
    int64_t standing;   /* as db_identity gave it */
    size_t claim_count; /* only with a client */
    struct db_claim *claims;
    size_t event_count; /* at least 1 */
    struct audit_event *events;
    db_unit_done_fn *done;
    void *arg;

    /* answer of DB_LOST */
    enum db_lost lost;
    size_t lost_index;

    /* db's own */
    struct {
        struct db_unit *next;
        size_t bytes; /* weight, for the group's limit */
        rc_t rc;
        enum db_outcome outcome;
    } own;
};

/*
 * Queues the unit for the next group. Copies nothing. Always answers through unit->done, later. A
 * unit cannot be taken back: if its client has gone, the caller keeps it until the callback.
 */
void db_commit(struct db *db, struct db_unit *unit);

#endif
