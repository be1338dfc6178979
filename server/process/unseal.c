/*
 * Load, bring, and again with a growing pause while the vault stays closed; see unseal.h. Answers
 * of an older channel are told by their round and dropped.
 */
#include "config.h"

#include "server/process/unseal.h"

#include <stdlib.h>

#include "db/hierarchy.h"
#include "server/base/clock.h"
#include "server/base/log.h"

enum {
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 3000,
    OPEN_LOOK_MS =
        10000, /* an open vault may close: a TPM that went away, a boot state that moved */
    ROWS_MEMORY = 2 * HIERARCHY_BYTES_MAX,
};

enum step { NO_CHANNEL, WAITING, LOADING, BRINGING };

struct unseal {
    struct db *db;
    struct vault_client *vault;
    struct event *timer;
    enum step step;
    bool open;
    bool again; /* a new channel came while a load or call was under way */
    unsigned pause_ms;
    uint64_t count;
    int64_t began_us;
    rc_t last; /* result told in the log, so that it is told once */
    struct arena arena;
    struct hierarchy rows;
    struct db_load load;
};

static void wait_for(struct unseal *u, unsigned ms)
{
    struct timeval t = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

    u->step = WAITING;
    evtimer_add(u->timer, &t);
}

static void ended(struct unseal *u, rc_t rc)
{
    if (rc != u->last && rc != RC_OK)
        log_warn("vault.closed", "result=%s reason=\"%s\"", rc_name(rc), rc_text(rc));
    u->last = rc;
    u->open = rc == RC_OK;
    if (u->again) {
        u->again = false;
        u->pause_ms = 0;
        wait_for(u, 0);
        return;
    }
    u->pause_ms = rc == RC_OK                       ? OPEN_LOOK_MS
                  : u->pause_ms < PAUSE_MIN_MS      ? PAUSE_MIN_MS
                  : u->pause_ms >= PAUSE_MAX_MS / 2 ? PAUSE_MAX_MS
                                                    : u->pause_ms * 2;
    wait_for(u, u->pause_ms);
}

static void on_stored(void *arg, rc_t rc)
{
    (void)arg;
    if (rc != RC_OK)
        log_error("hierarchy.store", "result=%s", rc_name(rc));
}

/* Rows that the vault made while it opened must not be lost; storing them twice does no harm. */
static void store_new_rows(struct unseal *u, struct bytes encoded)
{
    AUTO_ARENA arena = ARENA_OF(ROWS_MEMORY);
    struct hierarchy rows;

    if (!encoded.len)
        return;
    if (hierarchy_decode(encoded, &arena, &rows) == RC_OK)
        db_hierarchy_store_async(u->db, &rows, on_stored, NULL);
    else
        log_error("hierarchy.decode", "%s", "error=\"the vault's new rows cannot be read\"");
}

static void on_answer(void *arg, const struct vault_reply *reply)
{
    struct unseal *u = arg;

    if (reply->rc == RC_OK && !u->again) {
        store_new_rows(u, reply->status);
        if (!u->open) {
            u->count++;
            log_info("vault.open", "after_ms=%lld",
                     (long long)(clock_monotonic_us() - u->began_us) / 1000);
        }
    }
    ended(u, reply->rc);
}

static void bring(struct unseal *u)
{
    AUTO_BUF encoded = BUF_EMPTY;
    struct vault_call call = {.op = VAULT_UNSEAL};
    rc_t rc = hierarchy_encode(&u->rows, &encoded);

    arena_reset(&u->arena);
    if (rc == RC_OK) {
        call.hierarchy = buf_view(&encoded);
        u->step = BRINGING;
        rc = vault_client_call(u->vault, &call, NULL, on_answer, u);
    }
    if (rc != RC_OK)
        ended(u, rc);
    else
        vault_client_flush(u->vault);
}

static void on_rows(struct db_load *load, rc_t rc)
{
    struct unseal *u = load->arg;

    if (rc == RC_OK)
        bring(u);
    else
        ended(u, rc);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct unseal *u = arg;

    (void)fd, (void)what;
    if (db_state_of(u->db) != DB_STATE_READY) {
        wait_for(u, PAUSE_MAX_MS); /* unseal_database() comes before */
        return;
    }
    arena_reset(&u->arena);
    memset(&u->rows, 0, sizeof u->rows);
    u->load = (struct db_load){.kind = DB_LOAD_HIERARCHY,
                               .arena = &u->arena,
                               .done = on_rows,
                               .arg = u,
                               .hierarchy = &u->rows};
    u->step = LOADING;
    db_load_add(u->db, &u->load);
}

rc_t unseal_new(struct event_base *base, struct db *db, struct vault_client *vault,
                struct unseal **out)
{
    struct unseal *u = calloc(1, sizeof *u);

    if (!u)
        return RC_NO_MEMORY;
    u->db = db;
    u->vault = vault;
    u->arena = ARENA_OF(ROWS_MEMORY);
    u->timer = evtimer_new(base, on_timer, u);
    if (!u->timer) {
        free(u);
        return RC_NO_MEMORY;
    }
    *out = u;
    return RC_OK;
}

void unseal_free(struct unseal **unseal)
{
    struct unseal *u = *unseal;

    if (!u)
        return;
    event_free(u->timer);
    arena_free(&u->arena);
    free(u);
    *unseal = NULL;
}

void unseal_channel(struct unseal *u)
{
    u->open = false;
    u->last = RC_OK;
    u->pause_ms = 0;
    u->began_us = clock_monotonic_us();
    if (u->step == LOADING || u->step == BRINGING)
        u->again = true;
    else
        wait_for(u, 0);
}

void unseal_database(struct unseal *u)
{
    if (u->step == WAITING && !u->open)
        wait_for(u, 0);
}

bool unseal_is_open(const struct unseal *u)
{
    return u->open;
}

uint64_t unseal_count(const struct unseal *u)
{
    return u->count;
}
