/*
 * A private PostgreSQL for tests: a cluster with checksums in a temporary folder, Unix socket only,
 * peer authentication with a map that lets the current user connect as every role. When run as root
 * the server runs as the user postgres. Removed at the end.
 */
#ifndef TESTS_SUPPORT_PG_H
#define TESTS_SUPPORT_PG_H

#include <stdbool.h>
#include <sys/types.h>

#include <libpq-fe.h>

struct pg {
    char dir[64];       /* folder of all; the socket is in it, too */
    char bin[256];      /* folder of postgres, initdb */
    char conninfo[160]; /* host and superuser, without database */
};

/* Starts a fresh cluster; ends the program with a message when that cannot be done. */
void pg_open(struct pg *pg);
/* Stops and removes it. */
void pg_close(struct pg *pg);
void pg_stop(struct pg *pg, const char *mode); /* "fast", "immediate" */
void pg_start(struct pg *pg);
/* Restarts as a standby and promotes it: the data are the same, the timeline is new. */
void pg_failover(struct pg *pg);
pid_t pg_pid(const struct pg *pg);

/* "host=... dbname=... user=..." in static storage. */
const char *pg_conninfo(const struct pg *pg, const char *database, const char *role);
/* A connection; ends the test when it fails. */
PGconn *pg_connect(const struct pg *pg, const char *database, const char *role);
/* Runs SQL as a role; the first value in static storage ("" if none). Ends the test on an error. */
const char *pg_value(const struct pg *pg, const char *database, const char *role, const char *sql);
/* Runs SQL as a role; the SQLSTATE in static storage, "" when it went well. */
const char *pg_error(const struct pg *pg, const char *database, const char *role, const char *sql);

#endif
