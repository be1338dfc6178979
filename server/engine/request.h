/*
 * Inside of the engine: the engine itself and one request on its way. A request is held by its
 * place in the engine's list and by each answer it waits for; request_drop() alone frees it.
 */
#ifndef SERVER_ENGINE_REQUEST_H
#define SERVER_ENGINE_REQUEST_H

#include "db/db.h"
#include "server/engine/engine.h"
#include "server/engine/overlay.h"
#include "server/ops/op.h"
#include "server/policy/quirk.h"
#include "server/vault/client.h"

struct event;
struct factor_check;

/* The newest policy of a client that was parsed (policies.c). */
struct policy_kept {
    struct uid client;
    int64_t standing;
    struct policy_set *set; /* held; NULL: none */
};

enum { POLICIES_KEPT = 1024 };

struct engine {
    struct event_base *base;
    struct db *db;
    struct vault_client *vault;
    struct engine_limits limits;
    struct op_server server;
    struct trace *trace;              /* borrowed; NULL: none */
    char *version, *node, *tpm_label; /* owned; server views them */
    engine_pace_fn *pace;             /* NULL: nobody is held back */
    void *pace_arg;
    unsigned held;                    /* requests that wait for their time */
    struct event *turn_over;          /* low priority: sends what this turn has queued */
    struct engine_request *requests;  /* all that are on their way */
    struct engine_request *stillborn; /* to be closed from the loop */
    struct factor_check *checks;      /* second factors that are being looked at */
    uint8_t factor_key[32];           /* random: what sessions remember of them is an HMAC under it */
    struct policy_kept policies[POLICIES_KEPT];
    struct engine_stats stats;
    uint8_t tag[4];    /* random: server correlation values of one life of a worker */
    uint64_t sequence; /* of requests */
    unsigned refs;     /* itself, each request, each login */
    bool closing;
};

/* What one batch item came to. */
struct item_result {
    rc_t rc;
    bool undone;
    uint32_t operation;
    void *failure;    /* payload of a refusal, or NULL */
    const char *said; /* text of a refusal; NULL: that of rc */
    struct uid subject;
    struct bytes detail;
};

enum {
    TEMPLATE_LISTS = 3,  /* Template-Attributes in one payload: common, private, public */
    TEMPLATE_NAMES = 16, /* Templates that one item may name; each is a look-up */
};

/* The most claims of one item: an approval, a place among its client's objects, and one among its domain's. */
enum { CLAIMS_EACH = 3 };

/* The Templates that the item names, in the order of its lists. */
struct templates {
    size_t count, at; /* names, and how many are found */
    bool wide;        /* the look-up under way is among all that may be used, not among the client's own */
    struct bytes names[TEMPLATE_NAMES];
    struct object *found[TEMPLATE_NAMES];
};

/*
 * A search for objects on which the client holds a permission. Where all that can be found is permitted the database
 * alone answers it; else it gives candidates, page by page, and each is decided on.
 */
struct search {
    enum permission permission;
    struct policy_reach reach;
    struct db_locate query;         /* what is looked for, and from the database alone also what was found */
    void (*next)(struct engine_request *rq);
    /* candidate by candidate */
    struct uid *uids; /* found, behind the offset */
    size_t count;
    uint64_t seen, looked;           /* permitted ones, and candidates, so far */
    uint32_t list_most;              /* candidates to ask for next */
    struct uid *list;                /* of those that are left to look at, the first */
    size_t list_count;
    bool last_list;                  /* there are no more behind it */
    size_t page;                     /* of them, how many to look at together */
    struct arena_mark before_list, before_page;
};

struct engine_request {
    struct engine *engine;
    struct engine_request *next, *prev; /* engine->requests */
    struct engine_request *next_stillborn, *next_waiting; /* waiting: for one factor_check */
    struct session *session;
    unsigned refs;
    bool gone; /* abandoned, or the engine closes: nobody is called */
    engine_answer_fn *done;
    void *arg;

    struct buf input;    /* the message; wiped with the request */
    struct arena memory; /* all of the request: what is decoded, then what the run makes of it */
    struct arena_mark decoded; /* where the run's part begins */
    struct kmip_request *message;
    rc_t message_rc;    /* not RC_OK: the message as a whole is refused */
    uint16_t version;   /* of the answer */
    uint32_t on_error;  /* Batch Error Continuation Option */
    size_t answer_max;  /* bytes */
    int64_t arrived_us; /* monotonic */
    int64_t now;        /* seconds, wall clock, of this run */
    int64_t now_us;     /* the same instant in microseconds */
    uint64_t number;    /* for the server correlation value */
    bool *name_taken;   /* by item: an earlier run lost on a name of its object */

    /* one run, from the first item; dropped and begun anew after a lost race */
    unsigned runs;
    rc_t refusal; /* not RC_OK: every item fails with it, nothing is done */
    struct bytes refusal_detail; /* of it, for the audit; static storage */
    bool outcast;                /* refused for lack of standing, so that there is none to re-check */
    bool close;   /* close the connection after the answer */
    bool silent;  /* close it without one */
    bool constant; /* answered with the constant error */
    struct identity who;
    struct op_limits op_limits;
    struct op_ids ids;
    struct overlay overlay;
    size_t at;                 /* the item being worked on */
    bool stepping, step_again; /* see go_on() in run.c */
    size_t result_count;
    struct item_result *results;
    struct buf body;   /* the answer so far: its header, then the items */
    size_t head_bytes; /* where the items begin */

    struct op_item item;
    const struct op *op;
    struct templates templates;
    uint64_t loaded_version; /* of item.object, 0 if from the overlay */
    struct decision decision; /* on the item's object, or on the last one that was looked at */
    const char *said; /* what a refusal of the item says; NULL: the text of its result */
    int64_t made_own, made_domain; /* by this run: objects of its client, and of its domain */
    struct event *held;            /* until it may run; NULL: never was held back */
    bool waits;                    /* it is held back now */
    bool paced;                    /* has its place in the client's rate */
    struct db_claim claim; /* of the item, without a kind: none; see approval.c */
    const struct object *approved_object;
    size_t claim_count; /* of the run, with room for CLAIMS_EACH of each item */
    struct db_claim *claims;
    struct search search;
    struct uid load_uid;
    struct object *load_found;
    bool closely; /* the load brings all that rules look at */
    struct arena_mark before_load;
    struct db_load load;
    void (*loaded)(struct engine_request *rq);      /* what comes after the load */
    void (*load_failed)(struct engine_request *rq); /* what comes instead where it failed; NULL: the item fails */
    unsigned calls_out; /* vault calls not answered */
    rc_t calls_rc;
    struct call_slot {
        struct engine_request *rq;
        unsigned index;
    } slots[OP_CALLS_MAX];
    struct db_unit unit;
};

/* request.c */
void request_hold(struct engine_request *rq);
void request_drop(struct engine_request *rq);
/* Takes it out of the list and calls back; drops the list's hold. answer may be NULL. */
void request_end(struct engine_request *rq, struct buf *answer, bool close);
/* Gives up without an answer, from the loop: also right within engine_submit(). */
void request_abort(struct engine_request *rq);
void engine_drop(struct engine *e);
void engine_turn(struct engine *e); /* something was queued: flush when this turn is over */

/* run.c: the items. request_run() begins a run; it ends in request_commit(). */
void request_run(struct engine_request *rq);
/* Sends rq->load; when it is answered `next` goes on, or the item fails. */
void request_load(struct engine_request *rq, void (*next)(struct engine_request *rq));
/* The item's loads are done with this result: performs it, or ends it. */
void request_loaded(struct engine_request *rq, rc_t rc);
/* The same, with its object; NULL: there is none for this client. rq->decision tells about it. */
void request_object(struct engine_request *rq, const struct object *object);
/* The item is as it shall be: prepares it and goes on. */
void request_prepare_item(struct engine_request *rq);
/* The run may begin with its items. */
void request_go_on(struct engine_request *rq);
/* Ends the item with this failure and goes on with the request. */
void request_item_failed(struct engine_request *rq, rc_t rc);

/* A copy of the item's payload, whose lists may be changed; what they hold stays shared. NULL: no memory. */
void *request_copy(struct engine_request *rq);

/* templates.c: which Templates the opened item names. RC_TOO_MANY. */
rc_t templates_find(struct engine_request *rq);
/* Loads them all and puts their attributes into the item's request, which then is prepared. */
void templates_load(struct engine_request *rq);

/* access.c: what policy says of the item, asked before anything of an object is told. */
/* Loads the item's object as far as the client may know of it; then request_object(). */
void access_load(struct engine_request *rq);
/* Decides on an object all of which is known. */
struct decision access_decide(const struct engine_request *rq, enum permission p, const struct object *object);
/* may_see of loads that are decided on afterwards: drops what needs no closer look. */
bool access_worth(void *arg, const struct object *object);
/* RC_OK, `refused`, or RC_DENIED where an approval is needed; what the auditor shall know goes to the item's detail. */
rc_t access_judge(struct engine_request *rq, const struct decision *d, rc_t refused);

/* defaults.c: puts the attributes that policy has for new objects into the item's request, where it gives none. */
rc_t defaults_apply(struct engine_request *rq);

/* bounds.c: constraints. RC_CONSTRAINT: one does not hold; which one goes to the item's detail. */
/* What can be told of the objects that the item will make. */
rc_t bounds_judge_drafts(struct engine_request *rq);
/* All changes of the item. */
rc_t bounds_judge(struct engine_request *rq);

/* quota.c: how many objects a client and a domain may have. */
bool quota_is_set(const struct engine_request *rq);
/* Looks whether there is room for what the item will make; then request_loaded(). */
void quota_look(struct engine_request *rq);
/* The item is done: what it made takes its places in the unit of work, which is lost if there are too few. */
void quota_keep(struct engine_request *rq);
/* Room for the claims of all items of the run. */
bool claims_room(struct engine_request *rq);

/* pace.c: how fast a client may ask. Runs the request, now or when its time has come. */
void pace_run(struct engine_request *rq);
/* The request ends: it waits no longer. */
void pace_end(struct engine_request *rq);

/* approval.c: what needs the approval of administrators. */
/* The decision wants an approval of the item's object: looks whether it is there, then request_object(), or a refusal.
 */
void approval_look(struct engine_request *rq, const struct object *object);
/* The item is done: what it claimed is a claim of the unit of work. */
void approval_keep(struct engine_request *rq);
/* All that was done is undone: nothing is used up. */
void approval_undo(struct engine_request *rq);

/* locate.c */
/* Searches for query's objects, of the asker alone if `own`; then `next`, with what locate_found() gives. Owner,
 * domain, and whose objects are looked at are set here. */
void locate_search(struct engine_request *rq, enum permission p, const struct db_locate *query, bool own,
                   void (*next)(struct engine_request *rq));
/* uids, count, total and whether it is known (want_total) of the last search. */
struct db_locate locate_found(const struct engine_request *rq);
/* The item is a Locate. */
void locate_item(struct engine_request *rq);

/* commit.c: the unit of work, its outcome, and the answer. */
void request_commit(struct engine_request *rq);
/* Forgets this run and begins another; after too many of them (limits.reruns) the request is refused as busy. */
void request_run_again(struct engine_request *rq);
/* The constant error: no audit can be written, so nothing is told. */
void request_constant(struct engine_request *rq);

/* answer.c */
/* Begins the answer anew: header, no item. */
rc_t answer_begin(struct engine_request *rq);
/* One result each. RC_RESPONSE_TOO_LARGE leaves the body as it was. */
rc_t answer_success(struct engine_request *rq, size_t item, void *payload);
/* said: what the client is told, NULL: the text of rc. failure: the payload that goes with it, or NULL. */
rc_t answer_failure(struct engine_request *rq, size_t item, rc_t rc, const char *said, void *failure);
/* Whether what was written so far is no more than the client takes. */
bool answer_fits(const struct engine_request *rq);
/* Failed for the whole message: one item without an operation, instead of all results so far. */
rc_t answer_whole(struct engine_request *rq, rc_t rc);
/* All results so far become Operation Undone. */
rc_t answer_undo(struct engine_request *rq);
/* The whole message, with the `count` items that it has. Takes the body. */
rc_t answer_message(struct engine_request *rq, size_t count, struct buf *out);

/* trace.c: tells those who watch the client; only while trace_on(). The answer is empty where there is none. */
void trace_request(struct engine_request *rq);
void trace_answer(struct engine_request *rq, struct bytes answer, bool close);

/* policies.c: the set that this client has at this standing, borrowed from the engine; NULL: not known. */
struct policy_set *policies_find(struct engine *e, const struct uid *client, int64_t standing);
/* Holds the set, until another one takes its place. */
void policies_keep(struct engine *e, const struct uid *client, int64_t standing, struct policy_set *set);
void policies_close(struct engine *e);

/* login.c: looks a session's identity up. */
rc_t login_again(struct engine_request *rq);

/*
 * factor.c: whether the items may begin, the Credentials of the header being right or not needed, or the request being
 * refused by now. False: they are looked at, and request_go_on() follows.
 */
bool factor_ok(struct engine_request *rq);
/* Ends what waits for its delay only; all else ends with the answers of database and vault. */
void factors_close(struct engine *e);

#endif
