/*
 * One asynchronous PostgreSQL connection on the event loop: connects, checks what it found,
 * prepares the statements, then carries pipelined queries whose results come back in order.
 * Reconnects with a jittered back-off. Knows nothing of what the queries mean. Internal to db.
 *
 * States: WAITING -> CONNECTING -> CHECKING -> PREPARING -> READY; any failure -> WAITING.
 */
#ifndef DB_CONN_H
#define DB_CONN_H

#include <libpq-fe.h>

#include "db/pgbin.h"

struct conn;
struct event_base;

enum statement {
#define STATEMENT(name, where, text) name,
#include "db/statements.def"
#undef STATEMENT
    STMT_COUNT
};
enum { ON_LOAD = 1, ON_COMMIT = 2 };

/* The number of the newest migration that this program knows; see migrate.c. */
unsigned db_migration_known(void);

/* What the check of a fresh connection found. */
struct conn_facts {
    int server_version; /* 150006 */
    char version[64];
    unsigned migration; /* newest applied one, 0: none */
    bool safe;          /* fsync, full_page_writes, synchronous_commit are on */
    bool checksums;
    bool in_recovery; /* a standby, or read-only */
    char unsafe[64];  /* the first unsafe setting, "fsync=off" */
    char cluster[64]; /* system identifier and timeline: changes at a failover */
    Oid entry, entry_array, change, change_array, name, name_array;
};

enum conn_trouble {
    CONN_LOST = 1,  /* not reachable, or the connection broke */
    CONN_UNSAFE,    /* refused by the check: settings */
    CONN_MIGRATION, /* refused by the check: schema */
};

struct conn_config {
    const char *conninfo; /* borrowed for the connection's life */
    const char *name;     /* application_name and log key: "load", "commit"; static */
    int statements;       /* ON_LOAD or ON_COMMIT */
    uint32_t statement_timeout_ms, connect_timeout_ms, lock_wait_ms;
    bool allow_unsafe;
    void (*on_ready)(void *arg); /* READY: queries may be sent */
    void (*on_down)(void *arg, enum conn_trouble why, const char *text);
    void *arg;
};

/* result is NULL when the connection was lost; otherwise it is cleared after the callback. */
typedef void conn_result_fn(void *arg, const PGresult *result);
/* All since the last sync is done (ok) or the connection was lost (!ok). */
typedef void conn_sync_fn(void *arg, bool ok);

rc_t db_conn_new(struct event_base *base, const struct conn_config *config, struct conn **out);
/* Pending queries are told that the connection was lost. NULL is fine. */
void db_conn_free(struct conn *c);
/* Connects; also at once when it is waiting to connect again. */
void conn_start(struct conn *c);
bool conn_ready(const struct conn *c);
const struct conn_facts *conn_facts(const struct conn *c);
/* WARNINGs received so far; a difference over a COMMIT means that it cannot be relied on. */
uint64_t conn_warnings(const struct conn *c);
/* Queries and syncs whose results are still to come. */
size_t conn_pending(const struct conn *c);

/*
 * Queue into the pipeline. params may be NULL. False: the connection is (now) broken, nothing was
 * queued and no callback will come; conn_down follows from the loop. Errors of the server come to
 * the callback as results.
 */
bool conn_query(struct conn *c, enum statement s, struct pg_params *params, conn_result_fn *done,
                void *arg);
bool conn_query_text(struct conn *c, const char *sql, struct pg_params *params,
                     conn_result_fn *done, void *arg);
bool conn_prepare(struct conn *c, const char *name, const char *sql, conn_result_fn *done,
                  void *arg);
bool conn_query_named(struct conn *c, const char *name, struct pg_params *params,
                      conn_result_fn *done, void *arg);
bool conn_sync(struct conn *c, conn_sync_fn *done, void *arg);
/* Gives the connection up and reconnects, from the loop: after an answer that makes no sense, or of
 * a standby. */
void conn_break(struct conn *c, const char *why);

/* The same at once: callbacks of all that is pending run before it returns. */
void conn_reset(struct conn *c, const char *why);

/* The SQLSTATE of an error result, "" if it is none. */
const char *conn_sqlstate(const PGresult *r);

#endif
