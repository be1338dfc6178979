/*
 * The way of a request: decode, prepare, load, authorise, perform, vault, complete, commit, encode
 * (design.md section 3). The engine does all waiting, once, for all operations; what is queued in
 * one turn of the event loop goes out as one SELECT, one write to the vault and one COMMIT. One
 * thread, one event loop. Knows no socket and no TLS: net hands it whole messages and takes whole
 * answers.
 */
#ifndef SERVER_ENGINE_ENGINE_H
#define SERVER_ENGINE_ENGINE_H

#include "proto/base/buf.h"
#include "proto/base/rc.h"
#include "server/base/object.h"

struct db;
struct engine;
struct engine_request;
struct policy_set;
struct event_base;
struct trace;
struct vault_client;

/* ---- sessions ------------------------------------------------------------------------------- */

/* One name of the peer's certificate by which policy may know it. */
struct session_name {
    const char *kind; /* "uri", "dns", "email" or "subject"; static storage */
    char *value;      /* UTF-8; subject: RFC 2253 text of the full name */
};

enum {
    SESSION_NAMES = 16,      /* names looked at in one certificate */
    FACTOR_PROOF_BYTES = 32, /* HMAC-SHA256 */
    FACTOR_CREDENTIALS = 4,  /* Credentials looked at in one request */
};

/*
 * One authenticated connection. Net makes it after the TLS handshake, fills in the peer and calls
 * engine_login(); requests hold it as long as they need it. All text is owned by the session.
 */
struct session {
    unsigned refs;
    /* the peer: set by net, read-only afterwards */
    char *issuer; /* issuer of the certificate, RFC 2253 text */
    struct session_name
        names[SESSION_NAMES]; /* in the order of preference: URI, DNS, email; or the subject */
    size_t name_count;
    char *serial;         /* serial number of the certificate, lower-case hexadecimal */
    char fingerprint[65]; /* SHA-256 of the certificate, lower-case hexadecimal */
    char *address;        /* peer address, "192.0.2.1:3456" */
    bool legacy;          /* it came in by the listener for old cipher suites */
    /* who it is: set by engine_login() */
    bool known;
    struct uid client;
    char *client_name;
    uint64_t domain;
    int64_t standing; /* version of the client's standing; re-checked by each commit */
    struct policy_set *policy; /* what decides about it, of that standing; a reference of the session's */
    bool has_factors; /* second factors are registered: what is brought must be right */
    unsigned quirks;  /* server/policy/quirk.h */
    /* the Credentials that were right last (factor.c), and the standing at which they were; 0: none */
    uint8_t proof[FACTOR_PROOF_BYTES];
    int64_t proven_standing;
    unsigned pending; /* requests in the engine */
};

/* A session with one reference, or NULL. Copies issuer, serial and address. */
struct session *session_new(const char *issuer, const char *serial, const char *fingerprint,
                            const char *address);
/* Adds a name (copied). kind must have static storage. RC_TOO_MANY past SESSION_NAMES. */
rc_t session_add_name(struct session *s, const char *kind, const char *value);
struct session *session_hold(struct session *s);
/* Drops one reference; the last one frees. NULL is fine. */
void session_drop(struct session *s);

/* ---- the engine ----------------------------------------------------------------------------- */

/* Limits, all settings of the configuration (design.md section 6). */
struct engine_limits {
    size_t request_bytes;  /* longest request message, default 1 MiB */
    size_t response_bytes; /* longest answer, default 8 MiB; a client may ask for less */
    size_t request_memory; /* arena cap of one request, default 32 MiB */
    unsigned nesting;      /* depth of structures, default 32 */
    unsigned batch_items;  /* default 1024 */
    unsigned attributes;   /* attributes of one object, default 1024 */
    unsigned name_bytes;   /* longest Name, default 1024 */
    unsigned text_bytes;   /* longest text, default 65536 */
    unsigned queue; /* requests in the engine; past it a session that has some in it already is
                       answered "busy". Default 4096 */
    unsigned locate_max;   /* most identifiers in one Locate answer, default 10000 */
    unsigned factor_delay_ms; /* the answer to a wrong second factor waits so long, default 1000 */
    unsigned reruns; /* runs of a request that loses races before it is answered busy, default 16 */
};

#define ENGINE_LIMITS_DEFAULT                                                                                          \
    ((struct engine_limits){1u << 20, 8u << 20, 32u << 20, 32, 1024, 1024, 1024, 65536, 4096, 10000, 1000, 16})

/*
 * One more request of a client that may send so many a second on this node: how many microseconds from now on it may
 * run; -1: it would have to wait too long, and has no place.
 */
typedef int64_t engine_pace_fn(void *arg, const struct uid *client, int64_t per_second);

struct engine_config {
    struct event_base *base;
    struct db *db;              /* borrowed; outlives the engine */
    struct vault_client *vault; /* borrowed; outlives the engine; NULL until engine_set_vault() */
    struct engine_limits limits;
    const char *server_version; /* for Query: "0.1.0"; copied */
    const char *node;           /* for Query: name of this node; copied; NULL for none */
    engine_pace_fn *pace;       /* NULL: nobody is held back */
    void *pace_arg;
};

/* Counters since start, for status and metrics. */
struct engine_stats {
    uint64_t requests, items, failed_items, busy, reruns, lost_answers;
    uint64_t factor_checks; /* second factors that were looked at */
    unsigned pending; /* requests in the engine now */
};

rc_t engine_open(const struct engine_config *config, struct engine **out);
/* Ends every request without calling back, then frees. Call it before db and vault are closed. */
void engine_close(struct engine *e);
/* The vault client to use from now on (after a restart of the vault); calls under way fail with
 * RC_UNAVAILABLE. */
void engine_set_vault(struct engine *e, struct vault_client *vault);
/* What Query tells about the TPM: "hardware" or "software (swtpm)", and so on. Copied. */
void engine_set_tpm_label(struct engine *e, const char *label);
/* Whether this is a test server, whose clients may use Interop; off at first. */
void engine_set_interop(struct engine *e, bool allowed);
/* Tells requests and answers to those who watch their client (server/base/trace.h). Borrowed; NULL: to nobody. */
void engine_set_trace(struct engine *e, struct trace *trace);
/* New limits after a reload; they hold for requests that come in later. */
void engine_set_limits(struct engine *e, const struct engine_limits *limits);
void engine_get_stats(const struct engine *e, struct engine_stats *out);

/*
 * Resolves who the peer is (and, called again on an open session, whether it still may stay).
 * RC_OK: session->known and the fields after it are set. RC_AUTH_FAILED: unknown, disabled or
 * revoked: close without a byte. RC_UNAVAILABLE: the database is away. Never calls back from
 * within.
 */
typedef void engine_login_fn(void *arg, rc_t rc);
rc_t engine_login(struct engine *e, struct session *s, engine_login_fn *done, void *arg);

/*
 * The answer to one request. `answer` is taken by the receiver (buf_take), who wipes it when sent:
 * it may hold key bytes. Empty with close = true: the outcome is unknown or cannot be told; close
 * without a byte. close = true with an answer: send it, then close.
 */
typedef void engine_answer_fn(void *arg, struct buf *answer, bool close);

/*
 * Takes one whole request message (TTLV, header included) and answers once, later, never from
 * within this call. Answers of one session may come in another order than its requests: net keeps
 * the order. Returns a handle for engine_abandon(), or NULL (no memory: close the connection;
 * `request` is wiped).
 */
struct engine_request *engine_submit(struct engine *e, struct session *s, struct buf *request,
                                     engine_answer_fn *done, void *arg);
/*
 * The client is gone: `done` is not called any more. What is under way is finished or dropped as a
 * whole and audited; the memory is wiped when the last answer from database or vault is in.
 */
void engine_abandon(struct engine_request *rq);

#endif
