/*
 * What the files of db share: the handle, the loader, the committer. Internal to db.
 */
#ifndef DB_IMPL_H
#define DB_IMPL_H

#include "db/conn.h"
#include "db/db.h"
#include "db/pgbin.h"

struct event;
struct event_base;

/* ---- loader: load.c, locate.c, factor.c ---- */

enum { LOAD_BATCHES = 2, LOAD_UIDS = 4096, LOAD_TRIES = 3, LOCATE_SHAPES = 64 };

/* A prepared shape of Locate. */
struct locate_shape {
    char *sql;
    char name[16];
};

struct loader {
    struct db_load *first, **last; /* queued */
    struct db_load *answers;       /* to be answered from the turn event */
    size_t pending;                /* queued and sent */
    unsigned batches;              /* of objects, on their way */
    struct pg_params params;
    struct locate_shape shapes[LOCATE_SHAPES];
    unsigned shape_count;
};

void loader_open(struct db *db);
/* Answers all that is queued with rc. */
void loader_refuse(struct db *db, rc_t rc);
void loader_flush(struct db *db);
/* The connection is gone: prepared shapes, too. */
void loader_down(struct db *db);
void loader_close(struct db *db);
/* Callbacks of loads that failed before they were sent; from the turn event. */
void loader_answer(struct db *db);
/* True for an error of the server, which is logged, or a lost connection (r == NULL). */
bool load_failed(const PGresult *r, const char *what);
/* Parameters and answer of STMT_IDENTITY. Errors as db_identity_find() has them. */
rc_t identity_params(const struct db_identity *id, struct pg_params *p);
rc_t identity_read(struct arena *arena, const PGresult *r, struct db_identity *id);

/* Sends one Locate; its result comes to on_result, then on_sync. False: the connection is broken.
 */
rc_t locate_send(struct db *db, struct db_load *load, conn_result_fn *on_result);
rc_t locate_read(struct db_load *load, const PGresult *r);
/* Sends one look at a request for approval; its result goes to load->own.rc and load->request. */
rc_t request_send(struct db *db, struct db_load *load);
/* Sends one count of objects; its result goes to load->own.rc and load->quota. */
rc_t quota_send(struct db *db, struct db_load *load);
/* factor.c: the same for a second factor. */
rc_t factor_send(struct db *db, struct db_load *load, conn_result_fn *on_result);
rc_t factor_read(struct db_load *load, const PGresult *r);
/* Sends the five SELECTs of the hierarchy; results go to load->own.rc and load->hierarchy. */
rc_t hierarchy_send(struct conn *c, struct db_load *load);

/* ---- committer: group.c, commit.c, stream.c ---- */

/* A group of fewer units waits a little for others (commit.c); of twice as many requests half go together (group.c). */
enum { GROUP_SMALL = 16 };

/* Units that go together. */
struct slice {
    struct slice *next;
    size_t count, room;
    struct db_unit **units;
    unsigned tries;
    bool skip_locked; /* a lock wait ran out: locked objects are losers now */
    bool changes;     /* any unit changes objects */
    bool claims;      /* any unit has to do with requests for approval */
};

/*
 * Units that wait, by client: lanes take turns, so that a client with thousands of them delays
 * another's by one turn and not by all of his. Clients that fall into one lane wait for each other.
 */
enum { LANES = 256 };
struct lane {
    struct lane *next;             /* in the order of turns, while anything waits here */
    struct db_unit *first, **last; /* in the order in which they came */
    struct db_unit **at;           /* while a group is formed: what was not looked at yet */
};
struct turns {
    struct lane *first, **last;
};

struct head {
    uint64_t seq;
    uint8_t hash[AUDIT_HASH_BYTES];
};

/* A client as its requests found it. */
struct standing {
    struct uid client;
    int64_t standing;
};

struct committer {
    struct lane lanes[LANES];
    struct turns turns; /* lanes in which units are queued */
    size_t queued;
    size_t pending;                          /* queued, sent, and finished but not yet answered */
    struct slice *retries;                   /* to be sent before the queue */
    struct slice *flight;                    /* sent, not answered */
    struct db_unit *answers, **answers_last; /* to be answered from the turn event */
    struct pg_params params;
    struct arena arena; /* of the group on its way: cleaned texts, standings */
    struct standing *standings;
    size_t standing_count;
    bool stream_open;   /* the head below is the stream's */
    struct uid stream;
    struct head head, next; /* now, and after the group on its way */
    int64_t sent_us;
    /* a small group that waits for others */
    bool holding;
    int64_t hold_until_us; /* monotonic: soon after a group was answered */
    uint64_t hold_came;    /* requests that had come when it was answered */
    size_t hold_expect;    /* so many were answered, and may come again */
    unsigned hold_pause;   /* groups that do not wait, after one that waited in vain */
    unsigned hold_vain;    /* the last such pause; 0: the last one did not wait in vain */
    /* what is known of the group on its way */
    bool rollback; /* the connection is in a failed transaction */
    bool main_ok, commit_ok;
    char sqlstate[6];
    uint64_t warnings;
    size_t losers;
    /* a COMMIT of unknown outcome */
    struct slice *unknown;
    bool unknown_found, fenced;
    int64_t unknown_since_us;
    char cluster[64];   /* where the stream was opened */
    struct uid opening; /* the stream being opened */
    struct head opened;
    bool opening_ok;
    char opening_state[6]; /* SQLSTATE of the last failure to open, told already; "" for none */
    uint64_t refused_told; /* refused requests that are in the audit row on its way */
    uint64_t refused_open; /* not yet told */
    struct db_unit gap_unit;
    struct audit_event gap_event;
    char gap_detail[128];
    bool gap_queued;
    int64_t gap_after_us; /* not before, after a refusal; monotonic */
};

void committer_open(struct db *db);
void committer_flush(struct db *db);
void committer_answer(struct db *db); /* the turn event: callbacks */
void committer_held(struct db *db);   /* a group has waited long enough */
void committer_refuse(struct db *db); /* grace is over: DB_DOWN for all that waits */
void committer_down(struct db *db);   /* the connection is gone */
void committer_expire(struct db *db); /* unknown for too long: DB_UNKNOWN */
void committer_close(struct db *db);
void commit_finish(struct db *db, struct db_unit *unit, enum db_outcome outcome, rc_t rc);
/* Ends a failed transaction, if there is one, before the next statements. */
bool commit_settle(struct db *db);
void commit_retry(struct db *db, struct slice *s); /* before all others */

/* Queues a unit in its client's lane. */
void lanes_add(struct committer *c, struct db_unit *unit);
/* All that is queued, linked by own.next; the lanes are empty afterwards. */
struct db_unit *lanes_take_all(struct committer *c);
/* Takes units from the queue into a new group; NULL: nothing waits, or no memory. */
struct slice *group_form(struct db *db);
struct slice *slice_new(size_t room);
void slice_free(struct slice *s);
/* Appends a unit, for which there is room. */
void slice_add(struct slice *s, struct db_unit *unit);
/* Builds the parameters of STMT_APPEND, STMT_CHANGE or STMT_CLAIMS and the head after it. */
rc_t group_encode(struct db *db, struct slice *s);
/* The further parameters of STMT_CLAIMS: what the group has to do with requests for approval (request.c). */
rc_t claims_encode(struct pg_params *p, const struct slice *s);
/* Refuses what PostgreSQL could not store, so that no unit spoils a group. */
rc_t unit_check(struct db_unit *unit);
/*
 * Marks as lost the unit of a change, read or claim of the group, by its place in the statement (from 1), or all
 * units of a client's standing; what was marked before stays. False: no such kind or place.
 */
bool group_lose(const struct committer *c, const struct slice *s, int kind, int place);

/* Resolves an unknown outcome, opens a stream, then calls db_stream_opened(). */
void stream_begin(struct db *db);

/* ---- the handle: db.c ---- */

struct db {
    struct event_base *base;
    struct db_settings settings;
    char *conninfo, *opener;
    struct conn *load, *commit;
    struct event *turn;    /* end of this turn: send, answer */
    struct event *grace;   /* the connections were away for too long */
    struct event *resolve; /* an outcome was unknown for too long */
    struct event *again;   /* opening the stream failed: once more */
    struct event *hourly;  /* partitions */
    struct event *held;    /* a small group waits for others */
    db_crowd_fn *crowd; /* NULL: nobody tells */
    void *crowd_arg;
    bool down;             /* past the grace: nothing waits */
    bool closing;
    enum db_state state;
    enum conn_trouble trouble;
    char text[200];
    unsigned ups;
    struct loader loader;
    struct committer committer;
    struct db_stats stats;
};

/* Looks after this turn. */
void db_turn(struct db *db);
/* The audit stream is open: all is ready. */
void db_stream_opened(struct db *db);
/* The stream could not be opened; tries again soon. */
void db_stream_failed(struct db *db);

#endif
