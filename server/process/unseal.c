/*
 * Load, bring, and again with a growing pause while the vault stays closed; see unseal.h. Answers
 * of an older channel are told by their round and dropped.
 *
 * With the rows come the domains that wait for a key. Once the vault has taken the rows, a domain
 * whose key is among them waits no longer; for any other the vault makes one, the database stores
 * it, and all begins anew: so the key is used only from stored rows, whatever ends in between.
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

enum step { NO_CHANNEL, WAITING, LOADING, BRINGING, KEYING };

struct unseal {
    struct db *db;
    struct vault_client *vault;
    struct event *timer;
    enum step step;
    bool open;
    bool again; /* a new channel came, or a wish to look, while a load or call was under way */
    unsigned pause_ms;
    uint64_t count;
    int64_t began_us;
    rc_t last; /* result told in the log, so that it is told once */
    struct arena arena;
    struct hierarchy rows;
    struct db_load load;
    struct db_keyless keyless;
    bool has_row[DB_KEYLESS_MAX]; /* the key of this domain is among the rows that were brought */
    size_t keying;                /* the domain under way */
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

/* ---- domains that wait for their key ---- */

static void key_next(struct unseal *u);

static void key_done(struct unseal *u, rc_t rc)
{
    if (rc != RC_OK)
        log_warn("domain.key", "domain=%llu result=%s reason=\"%s\"",
                 (unsigned long long)u->keyless.domains[u->keying], rc_name(rc), rc_text(rc));
    u->keying++;
    key_next(u);
}

static void on_keyed(void *arg, rc_t rc)
{
    key_done(arg, rc);
}

/* Stored, by us or by another server: the next look finds it among the rows. */
static void on_stored(void *arg, rc_t rc)
{
    struct unseal *u = arg;

    u->again |= rc == RC_OK;
    key_done(u, rc);
}

static void on_made(void *arg, const struct vault_reply *reply)
{
    struct unseal *u = arg;
    AUTO_ARENA arena = ARENA_OF(ROWS_MEMORY);
    struct hierarchy made = {0};
    rc_t rc = reply->rc;

    if (rc == RC_OK)
        rc = hierarchy_decode(reply->status, &arena, &made);
    if (rc == RC_OK && (made.dk_count != 1 || made.dks[0].domain != u->keyless.domains[u->keying]))
        rc = RC_PROTOCOL;
    if (rc == RC_OK)
        db_domain_key_add(u->db, &made.dks[0], on_stored, u);
    else
        key_done(u, rc);
}

static void key_next(struct unseal *u)
{
    struct vault_call call = {.op = VAULT_DOMAIN_KEY};
    rc_t rc;

    if (u->keying == u->keyless.count) {
        ended(u, RC_OK);
        return;
    }
    call.domain = u->keyless.domains[u->keying];
    if (u->has_row[u->keying]) {
        db_domain_keyed(u->db, call.domain, on_keyed, u);
        return;
    }
    rc = vault_client_call(u->vault, &call, NULL, on_made, u);
    if (rc == RC_OK)
        vault_client_flush(u->vault);
    else
        key_done(u, rc);
}

static bool has_key(const struct hierarchy *rows, uint64_t domain)
{
    for (size_t i = 0; i < rows->dk_count; i++)
        if (rows->dks[i].domain == domain)
            return true;
    return false;
}

/* ---- rows ---- */

static void on_answer(void *arg, const struct vault_reply *reply)
{
    struct unseal *u = arg;

    if (reply->rc != RC_OK) {
        ended(u, reply->rc);
        return;
    }
    if (!u->open) {
        u->count++;
        log_info("vault.open", "after_ms=%lld",
                 (long long)(clock_monotonic_us() - u->began_us) / 1000);
    }
    u->open = true;
    u->step = KEYING;
    u->keying = 0;
    key_next(u);
}

static void bring(struct unseal *u)
{
    AUTO_BUF encoded = BUF_EMPTY;
    struct vault_call call = {.op = VAULT_UNSEAL};
    rc_t rc = hierarchy_encode(&u->rows, &encoded);

    for (size_t i = 0; i < u->keyless.count; i++)
        u->has_row[i] = has_key(&u->rows, u->keyless.domains[i]);
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
                               .hierarchy = &u->rows,
                               .keyless = &u->keyless};
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
    if (u->step == NO_CHANNEL || u->step == WAITING)
        wait_for(u, 0);
    else
        u->again = true;
}

void unseal_look(struct unseal *u)
{
    if (u->step == WAITING)
        wait_for(u, 0);
    else if (u->step != NO_CHANNEL)
        u->again = true;
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
