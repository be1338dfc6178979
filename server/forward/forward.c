/*
 * The forwarder's loop; see forward.h. Everything it must remember is in the database, so it may be killed at any
 * moment: what was sent since the cursors moved is sent again.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/forward/forward.h"
#include "server/forward/wait.h"

enum {
    LOOK_S = 60,          /* between two full looks at all streams */
    RETRY_MIN_MS = 100,   /* the first pause after a failure; doubles */
    SHORT_VALUE = 256,    /* fields of a message that no datagram takes are cut to this */
    TROUBLE_EVERY_S = 60, /* the same failure is told again after this long */
};

#define AUTO_BATCH __attribute__((cleanup(db_forward_free))) struct db_forward_batch *

struct forwarder {
    const struct forward_settings *set;
    struct link *link;
    struct db_admin *db; /* NULL: not connected */
    int64_t looked_us;   /* when the last full look was; 0: none on this connection */
    unsigned retry_ms;
    bool stands_by;
    int64_t told_us;            /* when `why` was told last */
    char told[FORWARD_WHY];     /* that text; empty: all is well */
    char *why;                  /* of the caller: what failed last */
    uint64_t forwarded, resent; /* resent: rows of batches that failed */
};

static rc_t db_failed(struct forwarder *f, rc_t rc)
{
    snprintf(f->why, FORWARD_WHY, "database: %s", db_admin_error(f->db));
    return rc;
}

/* ---- the database ---- */

static rc_t connect_db(struct forwarder *f)
{
    if (f->db)
        return RC_OK;
    rc_t rc = db_admin_open(f->set->conninfo, f->set->role, &f->db);
    if (rc != RC_OK)
        return db_failed(f, rc);
    db_admin_set_operator(f->db, f->set->operator);
    f->looked_us = 0;
    return RC_OK;
}

static rc_t begin(struct forwarder *f)
{
    bool made = false;
    const char *name = f->set->target->name;
    rc_t rc = db_forward_begin(f->db, name, f->set->from_now, &made);
    if (rc != RC_OK)
        return db_failed(f, rc);
    if (made)
        log_info("forward.begin", " destination=%s from=%s", name, f->set->from_now ? "now" : "beginning");
    return RC_OK;
}

/* RC_BUSY while another process forwards to the destination. */
static rc_t claim(struct forwarder *f)
{
    bool mine = false;
    if (f->looked_us)
        return RC_OK; /* claimed on this connection, which keeps the claim */
    rc_t rc = db_forward_claim(f->db, f->set->target->name, &mine);
    if (rc != RC_OK)
        return db_failed(f, rc);
    if (!mine) {
        snprintf(f->why, FORWARD_WHY, "another process forwards to %s", f->set->target->name);
        if (!f->stands_by)
            log_info("forward.standby", " destination=%s", f->set->target->name);
        f->stands_by = true;
        return RC_BUSY;
    }
    log_info("forward.active", " destination=%s", f->set->target->name);
    f->stands_by = false;
    return begin(f);
}

static rc_t look(struct forwarder *f)
{
    int64_t now = clock_monotonic_us();
    if (f->looked_us && now - f->looked_us < LOOK_S * INT64_C(1000000))
        return RC_OK;
    rc_t rc = db_forward_look(f->db, f->set->target->name);
    if (rc != RC_OK)
        return db_failed(f, rc);
    f->looked_us = now;
    return RC_OK;
}

/* ---- a batch ---- */

static rc_t send_message(struct forwarder *f, const struct format_settings *format, const struct db_forward_row *row)
{
    AUTO_BUF message = BUF_EMPTY;
    TRY(format_row(format, row, &message));
    return link_send(f->link, buf_view(&message), f->why);
}

static rc_t send_row(struct forwarder *f, const struct db_forward_row *row)
{
    struct format_settings small = f->set->format;
    small.value_max = SHORT_VALUE;
    rc_t rc = send_message(f, &f->set->format, row);
    return rc == RC_TOO_LARGE ? send_message(f, &small, row) : rc;
}

/* Rows that retention or somebody took away are told instead of them: the receiver is to know. */
static rc_t send_gap(struct forwarder *f, const struct db_forward_row *row, int64_t from, int64_t to)
{
    AUTO_BUF message = BUF_EMPTY;
    log_warn("forward.gap", " destination=%s stream=%s from=%" PRId64 " to=%" PRId64, f->set->target->name,
             row->fields[DB_FORWARD_STREAM], from, to);
    TRY(format_gap(&f->set->format, row, from, to, &message));
    return link_send(f->link, buf_view(&message), f->why);
}

static rc_t send_rows(struct forwarder *f, const struct db_forward_batch *batch)
{
    struct db_forward_row row;
    char stream[40] = "";
    int64_t next = 0;
    for (size_t i = 0; i < db_forward_count(batch); i++) {
        db_forward_row(batch, i, &row);
        if (strcmp(stream, row.fields[DB_FORWARD_STREAM]) != 0) {
            snprintf(stream, sizeof stream, "%s", row.fields[DB_FORWARD_STREAM]);
            next = row.after + 1;
        }
        if (row.seq == 0) {
            TRY(send_gap(f, &row, next, row.head));
            continue;
        }
        if (row.seq > next)
            TRY(send_gap(f, &row, next, row.seq - 1));
        TRY(send_row(f, &row));
        next = row.seq + 1;
    }
    return link_confirm(f->link, f->why);
}

/* Sends what there is, one batch at most. *sent_out: whether there was anything. */
static rc_t forward_batch(struct forwarder *f, bool *sent_out)
{
    AUTO_BATCH batch = NULL;
    const char *name = f->set->target->name;
    rc_t rc = db_forward_next(f->db, name, f->set->batch_rows, &batch);
    if (rc != RC_OK)
        return db_failed(f, rc);
    size_t rows = db_forward_count(batch);
    *sent_out = rows > 0;
    if (rows == 0)
        return RC_OK;
    TRY(link_open(f->link, f->why));
    rc = send_rows(f, batch);
    if (rc != RC_OK) {
        f->resent += rows;
        return rc;
    }
    rc = db_forward_moved(f->db, name, batch);
    if (rc != RC_OK)
        return db_failed(f, rc);
    f->forwarded += rows;
    return RC_OK;
}

/* ---- failures ---- */

/* Logged, and kept in the database where that can be reached: once while it stays the same. */
static void tell_failure(struct forwarder *f, rc_t rc)
{
    char text[160];
    int64_t now = clock_monotonic_us();
    if (strcmp(f->told, f->why) == 0 && now - f->told_us < TROUBLE_EVERY_S * INT64_C(1000000))
        return;
    snprintf(f->told, sizeof f->told, "%s", f->why);
    f->told_us = now;
    log_error("forward.failed", " destination=%s result=%s retry_in_ms=%u text=%s", f->set->target->name, rc_name(rc),
              f->retry_ms, log_value(bytes_str(f->why), text));
    if (f->db && f->looked_us)
        (void)db_forward_trouble(f->db, f->set->target->name, f->why);
}

static void fail(struct forwarder *f, rc_t rc)
{
    link_close(f->link);
    tell_failure(f, rc);
    /* A session that failed in any way is left: a new one knows nothing of it, and a standby may take over. */
    if (strncmp(f->why, "database: ", 10) == 0)
        db_admin_close(&f->db);
    if (!f->set->once)
        wait_ms(f->retry_ms);
    f->retry_ms = f->retry_ms * 2 < f->set->retry_max_ms ? f->retry_ms * 2 : f->set->retry_max_ms;
}

/* Also where there was nothing to send: what failed was the database then, and that answers again. */
static void succeed(struct forwarder *f, bool sent)
{
    f->retry_ms = RETRY_MIN_MS;
    if (!*f->told)
        return;
    log_info("forward.recovered", " destination=%s", f->set->target->name);
    f->told[0] = 0;
    if (!sent) /* else the cursors have told it as they moved */
        (void)db_forward_trouble(f->db, f->set->target->name, NULL);
}

static rc_t turn(struct forwarder *f, bool *sent_out)
{
    *sent_out = false;
    TRY(connect_db(f));
    TRY(claim(f));
    TRY(look(f));
    return forward_batch(f, sent_out);
}

rc_t forward_run(const struct forward_settings *settings, struct link *link, char why[static FORWARD_WHY])
{
    struct forwarder f = {.set = settings, .link = link, .retry_ms = RETRY_MIN_MS, .why = why};
    rc_t rc = RC_OK;
    bool sent = false, done = false;
    why[0] = 0;
    while (!done && !wait_stopped()) {
        rc = turn(&f, &sent);
        if (rc == RC_OK)
            succeed(&f, sent);
        else if (rc != RC_BUSY)
            fail(&f, rc);
        done = settings->once && (rc != RC_OK || !sent);
        if (!done && !sent && (rc == RC_OK || rc == RC_BUSY))
            wait_ms(settings->poll_ms);
    }
    db_admin_close(&f.db);
    log_info("forward.end", " destination=%s rows=%" PRIu64 " sent_in_vain=%" PRIu64, settings->target->name,
             f.forwarded, f.resent);
    return settings->once ? rc : RC_OK;
}
