/*
 * PostgreSQL for a worker: two asynchronous pipelined connections on its event loop, one for loads
 * and one for commits. What is queued in one turn goes out at once: all objects of all requests in
 * one SELECT, all units in one transaction. Reconnects by itself. Never sees a plain key, never
 * blocks, never opens a file for writing. One thread. Start of use:
 *     db_new() -> db_start() -> on_state(DB_READY) -> db_load_add(), db_commit() ... -> db_free()
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "db/unit.h"
#include "server/base/object.h"

struct event_base;
struct hierarchy;

/* ---- life ----------------------------------------------------------------------------------- */

enum db_state {
    DB_STATE_DOWN = 0, /* not connected; tries again by itself */
    DB_STATE_READY,    /* both connections work, the audit stream is open */
    DB_STATE_UNSAFE, /* refused: a setting could lose commits; looked at again every few seconds */
    DB_STATE_MIGRATION, /* refused: the schema is not the one this program knows: `db migrate` */
};

struct db_settings {
    const char *conninfo; /* libpq connection string or URI */
    const char *opener;   /* who opens audit streams: "node/worker-0"; unique while alive */
    uint32_t statement_timeout_ms; /* 5000 */
    uint32_t connect_timeout_ms;   /* 3000 */
    uint32_t lock_wait_ms;         /* 100: a row locked for longer makes a loser */
    uint32_t grace_ms;             /* 1000: how long queued work waits for a lost connection */
    uint32_t resolve_ms;           /* 10000: how long a unit with unknown outcome may wait for it */
    uint32_t group_rows;           /* 1024: most audit rows and changes of one group */
    uint32_t group_units;          /* 256 */
    uint32_t group_bytes;          /* 4 MiB */
    uint32_t queue_units;          /* 8192: most units that wait; more are RC_BUSY */
    bool allow_unsafe; /* serve in spite of unsafe settings (configuration db_allow_unsafe) */
    void (*on_state)(void *arg, enum db_state state); /* may be NULL */
    void *arg;
};

#define DB_SETTINGS_DEFAULT                                                                        \
    ((struct db_settings){.statement_timeout_ms = 5000,                                            \
                          .connect_timeout_ms = 3000,                                              \
                          .lock_wait_ms = 100,                                                     \
                          .grace_ms = 1000,                                                        \
                          .resolve_ms = 10000,                                                     \
                          .group_rows = 1024,                                                      \
                          .group_units = 256,                                                      \
                          .group_bytes = 4u << 20,                                                 \
                          .queue_units = 8192})

/* Copies the strings. Nothing is opened before db_start(). RC_NO_MEMORY, RC_CONFIG (bad conninfo).
 */
rc_t db_new(struct event_base *base, const struct db_settings *settings, struct db **out);
/* Begins to connect. The first on_state() comes from the event loop. */
void db_start(struct db *db);
/*
 * Ends: pending loads are answered RC_UNAVAILABLE, queued units DB_DOWN, units in a transaction on
 * its way DB_UNKNOWN (drain first: db_pending() == 0). NULL is fine.
 */
void db_free(struct db *db);
enum db_state db_state_of(const struct db *db);
/* One line for status and log: what is wrong, or the server's version. Never a password. */
const char *db_state_text(const struct db *db);
/* Loads and units that are not answered yet. */
size_t db_pending(const struct db *db);
/*
 * Sends what is queued now. Optional: db does it by itself at the end of the turn; an engine that
 * knows that the turn is over saves the detour.
 */
void db_flush(struct db *db);
/* Requests as their engine counts them. */
struct db_crowd {
    unsigned inside; /* now, those with a unit here included */
    uint64_t came;   /* since the start */
};
typedef struct db_crowd db_crowd_fn(void *arg);
/*
 * Lets a small group that is due just after another one wait a little for those who were answered and ask again;
 * see commit.c. Without this it waits for nobody. NULL takes it back.
 */
void db_set_crowd(struct db *db, db_crowd_fn *crowd, void *arg);
/* Call once for each request answered with the constant error; one audit row tells the sum later.
 */
void db_refused(struct db *db);

/* ---- loads ---------------------------------------------------------------------------------- */

enum db_load_kind {
    DB_LOAD_OBJECTS = 1,
    DB_LOAD_IDENTITY,
    DB_LOAD_POLICY,
    DB_LOAD_FACTOR,
    DB_LOAD_LOCATE,
    DB_LOAD_HIERARCHY,
    DB_LOAD_REQUEST,
    DB_LOAD_QUOTA,
};

/* What of an object is wanted beside its control record and MAC. */
/* FRESHNESS: the attributes, unless it is a Symmetric Key that is not fresh any more; all that Get needs. */
enum db_want {
    DB_WANT_MATERIAL = 1,
    DB_WANT_NAMES = 2,
    DB_WANT_ATTRIBUTES = 4,
    DB_WANT_FRESHNESS = 8,
};

/*
 * Objects by uid, whoever owns them: the caller decides who may see what. Destroyed ones too. An
 * object that `may_see` refuses, looking at its control record alone, is left out before memory is
 * taken for it: what is forbidden must not tell itself from what is missing by the arena's cap.
 */
struct db_objects {
    const struct uid *uids;
    size_t count;
    bool (*may_see)(void *arg, const struct object *object); /* arg is the load's; NULL: all */
    unsigned want;         /* enum db_want; what is not wanted comes back empty */
    struct object **found; /* out: array of count in the order of uids, NULL where there is none; in
                              the arena (the caller may bring its own array instead) */
};

enum { DB_IDENTITY_NAMES = 16 };

struct db_identity_name {
    const char *kind; /* "uri", "dns", "email" or "subject" */
    struct bytes value;
};

/* Who a certificate is. The first name, in the order given, that policy knows decides. */
struct db_identity {
    struct bytes issuer; /* RFC 2253 text */
    size_t name_count;
    struct db_identity_name names[DB_IDENTITY_NAMES];
    struct bytes fingerprint; /* SHA-256 of the certificate, hexadecimal */
    /* out */
    bool found;   /* policy has such a credential; the fields below are set */
    bool enabled; /* the client may work */
    bool revoked; /* this certificate is revoked */
    struct uid client;
    struct bytes client_name;
    uint64_t domain;
    int64_t standing; /* grows with each change of the client; re-checked by each commit */
    bool has_factors; /* second factors are registered for it */
    bool legacy_tls;  /* it may come in by the listener for old cipher suites */
};

/* All that decides about a client, and the standing that it goes with. */
struct db_policy {
    struct uid client;
    /* out */
    bool found;
    int64_t standing;
    struct bytes text; /* as policy.for_client() says it */
};

/* The facts of a Device Credential, in the order of KMIP without its password (KMIP 2.1, 9.4). */
enum db_device_fact {
    DB_DEVICE_SERIAL,
    DB_DEVICE_IDENTIFIER,
    DB_DEVICE_NETWORK,
    DB_DEVICE_MACHINE,
    DB_DEVICE_MEDIA,
    DB_DEVICE_FACTS
};

/* A second factor of the client, as a Credential names it. */
struct db_factor {
    struct uid client;
    bool is_device;
    struct bytes username;                /* of a password */
    struct bytes device[DB_DEVICE_FACTS]; /* data NULL: not given */
    /* out */
    bool found;
    int64_t id;
    bool has_hash; /* the fields below are set; if not `found`, they are those of another factor of the client */
    uint32_t cost_log2, block_size, parallel;
    struct bytes salt, hash;
};

/* Filters: all that are set must hold. */
enum db_locate_filter {
    DB_LOCATE_OBJECT_TYPE = 1 << 0,
    DB_LOCATE_STATE = 1 << 1, /* effective state at `now`; finds destroyed ones when asked for */
    DB_LOCATE_ALGORITHM = 1 << 2,
    DB_LOCATE_LENGTH = 1 << 3,
    DB_LOCATE_USAGE_MASK = 1 << 4, /* the object has all these bits */
    DB_LOCATE_UID = 1 << 5,
    DB_LOCATE_DESTROYED = 1 << 6, /* destroyed objects are found too */
    DB_LOCATE_KEY_FORMAT = 1 << 7,
};

enum db_date {
    DB_DATE_INITIAL,
    DB_DATE_ACTIVATION,
    DB_DATE_PROCESS_START,
    DB_DATE_PROTECT_STOP,
    DB_DATE_DEACTIVATION,
    DB_DATE_COMPROMISE_OCCURRENCE,
    DB_DATE_COMPROMISE,
    DB_DATE_DESTROY,
    DB_DATE_LAST_CHANGE,
    DB_DATE_COUNT
};

/* from <= date <= to, in seconds; the exact date when both are equal. An object without the date has the largest one,
 * INT64_MAX (KMIP 1.4, 4.9). */
struct db_date_filter {
    enum db_date which;
    int64_t from, to;
};

/* What only the attributes have, and is compared by size. */
enum db_value {
    DB_VALUE_ARCHIVE_DATE,
    DB_VALUE_ORIGINAL_CREATION_DATE,
    DB_VALUE_ROTATE_DATE,
    DB_VALUE_USAGE_LIMITS_TOTAL,
    DB_VALUE_USAGE_LIMITS_COUNT,
    DB_VALUE_COUNT
};

/* from <= value <= to, as above. Dates stand there as texts that sort like them, or else, far away, as numbers. */
struct db_value_filter {
    enum db_value which;
    int64_t from, to;
    struct bytes text_from, text_to;
};

enum { DB_LOCATE_DATES = DB_DATE_COUNT + 1, DB_LOCATE_NAMES = 8 };

/*
 * Newest first (KMIP 2.1, 6.1.32): uids are ordered by time of making. Whose objects: those of the owner and of its
 * mates, or of everyone in the domain. Objects with one of the Operation Policy Names may be of others, too: by_policy
 * finds them; without it, `others` tells whether there are any at all, whatever the filters say.
 */
struct db_locate {
    struct uid owner;
    size_t mate_count;
    const struct uid *mates;
    bool everyone;
    size_t policy_count;
    const struct bytes *policies; /* at most 255 bytes each */
    bool by_policy;
    struct uid before; /* only those made before this one; nil: all */
    uint64_t domain;
    unsigned filters; /* enum db_locate_filter */
    uint32_t object_type, state, algorithm, length, usage_mask, key_format;
    uint32_t without_type; /* an object type that is left out; 0: none */
    struct uid uid;
    size_t name_count;
    struct name names[DB_LOCATE_NAMES]; /* each is a name of the object; without data any value, type 0: any type */
    size_t date_count;
    struct db_date_filter dates[DB_LOCATE_DATES];
    size_t value_count;
    struct db_value_filter values[DB_VALUE_COUNT];
    struct bytes attributes; /* JSON object that the object's attributes must contain (jsonb @>);
                                empty: no filter. Made by proto/kmip/attr_json.h. */
    int64_t now;             /* seconds; for the effective state */
    uint64_t offset;
    uint32_t maximum; /* most uids to return; at least 1 */
    bool want_total;  /* count all that match, also those beyond `maximum`: costs a scan of them */
    /* out */
    struct uid *uids;
    size_t count;
    uint64_t total; /* Located Items; count when !want_total */
    bool others;    /* !by_policy: some other client owns an object with one of the policies */
};

enum { DB_KEYLESS_MAX = 64 };

/* Domains that wait for their key: those with the lowest numbers. */
struct db_keyless {
    size_t count;
    uint64_t domains[DB_KEYLESS_MAX];
};

/* The open request of a client for the approval of an operation on an object. */
struct db_request {
    struct uid client, object; /* object nil: an operation that is about none yet */
    const char *permission;
    int32_t needed;
    /* out */
    int64_t number; /* of the request; the one that a new request would have where none is open */
    bool approved;  /* by as many as are needed: DB_CLAIM_USE may use it up */
    int64_t expired; /* the one whose place a new request takes; 0: none */
};

/* How many objects a client and its domain have, destroyed ones not counted. */
struct db_quota {
    struct uid owner;
    int64_t own_most, domain_most; /* how far to count; 0: not at all */
    /* out */
    int64_t own, domain;
};

struct db_load;
/* RC_OK, RC_UNAVAILABLE (no database), RC_NO_MEMORY (arena's cap), RC_BAD_UTF8, RC_INTERNAL. */
typedef void db_load_done_fn(struct db_load *load, rc_t rc);

/*
 * One load. Owned by the caller, like all it points at; stays valid and unchanged until the
 * callback. Results lie in the arena.
 */
struct db_load {
    enum db_load_kind kind;
    struct arena *arena;
    db_load_done_fn *done;
    void *arg;
    union {
        struct db_objects objects;
        struct db_identity identity;
        struct db_policy policy;
        struct db_factor factor;
        struct db_locate locate;
        struct {
            struct hierarchy *hierarchy; /* out: db/hierarchy.h; filled in place */
            struct db_keyless *keyless;  /* out, as of the same moment or later; NULL: not wanted */
        };
        struct db_request request;
        struct db_quota quota;
    };
    /* db's own */
    struct {
        struct db *db;
        struct db_load *next;
        unsigned tries; /* sent so often; again after a lost connection */
        rc_t rc;
    } own;
};

/* Queues the load for the batch of this turn. Always answers through load->done, later. */
void db_load_add(struct db *db, struct db_load *load);

/* ---- numbers for status and metrics --------------------------------------------------------- */

struct db_stats {
    uint64_t groups;           /* transactions committed */
    uint64_t units;            /* units answered DB_DONE */
    uint64_t rows;             /* audit rows written */
    uint64_t losers;           /* units answered DB_LOST */
    uint64_t failed;           /* units answered DB_FAILED */
    uint64_t bisected;         /* groups that failed and were split */
    uint64_t loads;            /* loads answered */
    uint64_t load_batches;     /* SELECT batches sent */
    uint64_t unknown;          /* COMMITs whose outcome was unknown, and how they were resolved: */
    uint64_t unknown_done;     /*   found: had happened */
    uint64_t unknown_rerun;    /*   not found: had not happened, sent again */
    uint64_t unknown_unknown;  /*   could not be told (failover, deadline): DB_UNKNOWN */
    uint64_t streams;          /* audit streams opened */
    uint64_t reconnects;       /* connections made after the first */
    uint64_t refused;          /* db_refused() calls */
    uint64_t group_units_last; /* units of the last group */
    uint64_t
        commit_us_sum; /* microseconds from sending a group to its answer, summed over groups */
    struct uid stream; /* the open audit stream, nil while there is none */
};

/* Valid as long as db is. */
const struct db_stats *db_stats_of(const struct db *db);

#endif
