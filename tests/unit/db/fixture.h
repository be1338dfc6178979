/*
 * What the tests of db share: one private PostgreSQL a program, a migrated template, a fresh
 * database a test; a worker's handle on an event loop; units and objects made by hand.
 */
#ifndef TESTS_UNIT_DB_FIXTURE_H
#define TESTS_UNIT_DB_FIXTURE_H

#include <check.h>

#include "db/admin.h"
#include "db/db.h"
#include "tests/support/pg.h"

extern struct pg pg;

/* main() of each program: starts PostgreSQL, runs the suite with TAP output, removes PostgreSQL. */
int run_suite(Suite *s);

/* A fresh migrated database; its name lives in static storage. */
const char *fresh_database(void);

/* A worker of that database, READY. */
struct worker {
    struct event_base *base;
    struct db *db;
    const char *database;
    struct uid client;
    int64_t standing;
};
void worker_open(struct worker *w, const char *database, const struct db_settings *settings);
/* The same without waiting for READY. */
void worker_open_only(struct worker *w, const char *database, const struct db_settings *settings);
void worker_close(struct worker *w);
/* The present standing of its client. */
int64_t worker_standing(const struct worker *w);
/* Turns the loop until *what is at least `least`, or fails the test after `seconds`. */
void worker_until(struct worker *w, const unsigned *what, unsigned least, int seconds);
void worker_until_state(struct worker *w, enum db_state state, int seconds);

/* A unit with one audit row; its outcome is kept. */
struct probe {
    struct db_unit unit;
    struct db_change change;
    struct db_read read;
    struct audit_event event;
    struct object object;
    struct name name;
    enum db_outcome outcome;
    rc_t rc;
    unsigned *answered; /* counted up by the callback */
};
void probe_audit(struct probe *p, const struct worker *w, const char *operation,
                 unsigned *answered);
/* An object that the client makes; name may be NULL. */
void probe_insert(struct probe *p, const struct worker *w, const char *name, unsigned *answered);
/* The change of an object to a state, from the version it has in `from`. */
void probe_change(struct probe *p, const struct worker *w, enum db_change_kind kind,
                  const struct object *from, uint32_t state, unsigned *answered);
void probe_read(struct probe *p, const struct worker *w, const struct uid *uid, uint64_t version,
                unsigned *answered);
/* Commits one and waits. */
enum db_outcome probe_run(struct worker *w, struct probe *p);

/* Loads one object; NULL if there is none. Lives in the arena. */
struct object *load_one(struct worker *w, struct arena *arena, const struct uid *uid,
                        unsigned want);

/* audit.verify() as one text: "what seq; what seq; ...", or "verified". */
const char *verify_text(const char *database);

#endif
