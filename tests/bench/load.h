/*
 * The load generator's parts: options, KMIP messages, latency histogram, connections. See load.c
 * for what it does and `load --help` for how to call it.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <stdio.h>

#include <openssl/ssl.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"

/* ---- options -------------------------------------------------------------------------------- */

enum load_mode {
    LOAD_GET,    /* fetch keys made before, compare each with what it was */
    LOAD_CREATE, /* make keys, each identifier must be new */
    LOAD_LOCATE, /* find one key by its name, it must be that one */
    LOAD_QUERY,  /* Query Operations: no object, but audited */
    LOAD_DISCOVER,
    LOAD_HANDSHAKE, /* TLS handshakes: connect, take the session that the server gives, close */
    LOAD_LIFE,   /* create, get, activate, get, revoke, destroy, get (must fail) */
    LOAD_CANNED, /* any TTLV answer of the right length: for the floor */
    LOAD_CHECK,  /* fetch every key of a facts file and compare */
};

struct load_options {
    const char *host, *cert, *key, *ca, *facts, *known, *name;
    uint16_t port;
    enum load_mode mode;
    unsigned connections, depth, keys, per_connection;
    double seconds;
    uint64_t count;
    uint64_t request_bytes, answer_bytes; /* LOAD_CANNED */
    uint16_t version;
    bool resume, keep_going, warm, named, hold;
};
extern struct load_options load_options;

/* ---- latency histogram: 64 steps in each power of two, so 1.6 % wide ------------------------ */

enum { HIST_STEPS = 64, HIST_SIZE = 64 * HIST_STEPS };

struct hist {
    uint64_t count, sum_ns, max_ns;
    uint64_t slot[HIST_SIZE];
};

void hist_add(struct hist *h, uint64_t ns);
/* The value that `share` (0 to 1) of all do not exceed, in microseconds. */
double hist_us(const struct hist *h, double share);

/* ---- KMIP ----------------------------------------------------------------------------------- */

enum { UID_BYTES = 64, KEY_BITS = 256, DIGEST_HEX = 65, CORRELATION_BYTES = 64 };

enum step {
    STEP_CREATE,
    STEP_GET,
    STEP_ACTIVATE,
    STEP_GET_ACTIVE,
    STEP_REVOKE,
    STEP_DESTROY,
    STEP_GET_DESTROYED,
    STEP_LOCATE,
    STEP_QUERY,
    STEP_DISCOVER,
    STEP_CANNED,
    STEP_COUNT
};

/* Name of the operation as the audit has it: "Get". */
const char *step_operation(enum step step);

struct load_request {
    enum step step;
    const char *uid;         /* Get, Activate, Revoke, Destroy */
    const char *name;        /* Create (may be NULL), Locate */
    const char *correlation; /* Client Correlation Value, sent from KMIP 1.4 on; may be NULL */
};
rc_t load_request_write(const struct load_request *rq, struct buf *out);

struct load_answer {
    uint32_t status, reason; /* KMIP Result Status and Result Reason */
    char message[128];       /* Result Message */
    char uid[UID_BYTES];     /* of the payload; Locate: the first one found */
    unsigned uid_count;
    unsigned listed; /* operations that Query tells, versions that Discover Versions tells */
    uint8_t material[KEY_BITS / 8];
    size_t material_len;
};
/* RC_BAD_MESSAGE when it is not an answer with one batch item. */
rc_t load_answer_read(struct arena *a, struct bytes message, struct load_answer *out);
/* SHA-256 of the material, hexadecimal. */
void load_digest(const struct load_answer *answer, char out[DIGEST_HEX]);

/* ---- what is known -------------------------------------------------------------------------- */

/* Adds to the set of identifiers seen. False: it was there. */
bool seen_add(const char *uid);

/* One line of the facts file. `kind`: 'A' acknowledged, 'U' sent but without an answer. */
void facts_line(char kind, enum step step, const char *uid, const char *digest, const char *name,
                const char *correlation);
/* Writes what facts_line() collected: called before anything more is sent. */
void facts_write(void);
void facts_open(const char *path);

enum { NAME_BYTES = 64 };

/* One key made before, and what must hold for it. */
struct known {
    char uid[UID_BYTES], digest[DIGEST_HEX], name[NAME_BYTES];
    bool destroyed, maybe_destroyed;
};
/* The keys of a facts file, without names. */
struct known *facts_read(const char *path, size_t *count);
/* The keys of a list, one "UID NAME" a line; their digests are not known yet. */
struct known *known_read(const char *path, size_t *count);

/* ---- what is asked -------------------------------------------------------------------------- */

/* One request at a time; when its answer is in, the slot knows what comes next. */
struct slot {
    enum step step;
    bool under_way;
    size_t key;                   /* index of load_keys */
    uint64_t sent_at, not_before; /* not_before: the same again, but not yet; 0: the next one */
    char uid[UID_BYTES], digest[DIGEST_HEX], name[NAME_BYTES], correlation[CORRELATION_BYTES];
};

void slot_begin(struct slot *s);
/* Fills in what the request needs. False: nothing is left to ask. */
bool slot_prepare(struct slot *s);
/* Verifies and counts the answer. */
void slot_answer(struct slot *s, struct bytes message);
/* The connection ended with this request under way: nobody knows, and nobody may guess. */
void slot_unknown(struct slot *s);
void slots_free(void);

extern uint64_t load_measured_from; /* what was sent before only warms up */
extern uint64_t load_issued;        /* requests (life: keys) begun */
extern bool load_stopping, load_delayed; /* the time is over; some slot waits to ask again */

/* ---- running -------------------------------------------------------------------------------- */

struct load_result {
    struct hist hist;
    uint64_t answers, refused, wrong, unknown, reconnects, connect_errors, handshakes, resumed;
    uint64_t request_bytes, answer_bytes;
    uint64_t setup; /* answers before the run, not among the others */
    double seconds, cpu_seconds;
    char first_problem[256];
};
extern struct load_result load_result;

/* Counts a wrong answer and keeps the first one's text. */
void load_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Keys made before the measurement, by index. */
extern struct known *load_keys;
extern size_t load_key_count;
/* Runs the mode until its time or count is over. */
void load_run(SSL_CTX *ctx);
/* One synchronous request on a connection of its own (set-up). Ends the program on failure. */
struct sync_client;
struct sync_client *sync_open(SSL_CTX *ctx);
void sync_ask(struct sync_client *c, const struct load_request *rq, struct load_answer *out);
void sync_close(struct sync_client *c);
int load_connect(bool non_blocking);
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t now_ns(void);

#endif
