/*
 * The inside of a connection, shared by conn.c (life, sending, reading) and conn_check.c (what is
 * looked at and prepared before a fresh connection is used).
 */
#ifndef DB_CONN_IMPL_H
#define DB_CONN_IMPL_H

#include "db/conn.h"

struct event;

enum conn_state { CONN_WAITING, CONN_CONNECTING, CONN_CHECKING, CONN_PREPARING, CONN_READY };
enum { BACKOFF_FIRST_MS = 50, BACKOFF_MOST_MS = 3000 };

/* One expected answer, in the order of sending. */
struct expect {
    struct expect *next;
    bool sync;
    bool got; /* a result has come; the NULL that ends it has not */
    conn_result_fn *result;
    conn_sync_fn *synced;
    void *arg;
};

struct conn {
    struct event_base *base;
    struct conn_config config;
    struct event *io;    /* socket; re-made when socket or interest changes */
    struct event *timer; /* reconnect, connect deadline, statement deadline */
    struct event *fail;  /* a failure found while sending, handled from the loop */
    short io_for;
    int io_fd;
    enum conn_state state;
    PGconn *pg;
    struct expect *first, **last;
    struct expect *spare; /* freed ones, for reuse */
    size_t pending;
    uint64_t warnings;
    uint32_t backoff_ms;
    bool started, reading, closing;
    bool logged; /* the loss was logged; do not repeat it at each attempt */
    enum conn_trouble trouble;
    char why[160];
    struct conn_facts facts;
};

struct statement_text {
    const char *name;
    int where;
    const char *text;
};
extern const struct statement_text conn_statements[STMT_COUNT];

/* Ends the connection now: callbacks of all that is pending, on_down, then a later new attempt. */
void conn_fail(struct conn *c, enum conn_trouble trouble, const char *why);
/* Starts the check of a connection that was just made; leads to READY or to conn_fail(). */
void conn_check(struct conn *c);
/* The bookkeeping after a PQsend...(): false when it failed. */
bool conn_sent(struct conn *c, int ok, conn_result_fn *done, void *arg);

#endif
