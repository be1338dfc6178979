/*
 * Start, control messages and end of a worker; see worker.h. The order of the start matters: what
 * the supervisor sends first, then the sandbox, then everything that talks to anybody else.
 */
#include "config.h"

#include "server/process/worker.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "certs/pem.h"
#include "server/base/clock.h"
#include "server/process/child.h"
#include "server/process/sandbox.h"
#include "server/process/worker_private.h"

enum { EMPTY_LOOK_MS = 20, SECOND_MS = 1000, CHANNEL_ASK_S = 2 };

static struct control_message message; /* 32 KiB: handled one at a time */

static struct timeval ms_time(unsigned ms)
{
    return (struct timeval){ms / 1000, (suseconds_t)(ms % 1000) * 1000};
}

/* ---- TLS material ---- */

static rc_t read_tls(const struct config *c, struct control_message *m, struct tls **out)
{
    enum { KEY, CERT, CA, CRL, FILES };
    struct buf file[FILES] = {BUF_EMPTY, BUF_EMPTY, BUF_EMPTY, BUF_EMPTY};
    struct tls_settings settings = TLS_SETTINGS_DEFAULT;
    const char *why = "a file cannot be read";
    rc_t rc = RC_OK;

    settings.session_cache = c->tls_sessions;
    settings.session_seconds = c->tls_session_ms / 1000;
    settings.legacy = *c->server_legacy_listen_address != 0;
    for (unsigned i = 0; i < m->fd_count && rc == RC_OK; i++)
        rc = pem_fd_read(m->fds[i], &file[i]);
    if (rc == RC_OK) {
        struct tls_material material = {buf_view(&file[CERT]), buf_view(&file[KEY]),
                                        buf_view(&file[CA]), buf_view(&file[CRL])};
        rc = tls_new(&material, &settings, out, &why);
    }
    for (unsigned i = 0; i < FILES; i++)
        buf_free(&file[i]);
    if (rc != RC_OK)
        log_error("tls.load", "result=%s error=\"%s\"", rc_name(rc), why ? why : "");
    return rc;
}

static void on_tls(struct worker *w, struct control_message *m)
{
    struct tls *tls = NULL;

    if (read_tls(w->config, m, &tls) != RC_OK)
        return; /* the old material goes on; a half-written file comes again when it changes */
    net_set_tls(w->net, tls);
    tls_drop(&tls);
    w->stats.tls_reloads++;
    log_info("tls.reload", "%s", "result=done");
}

/* ---- drain ---- */

static void on_empty(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct timeval t = ms_time(EMPTY_LOOK_MS);

    (void)fd, (void)what;
    if (db_pending(w->db) == 0 || clock_monotonic_us() > w->drain_until_us)
        event_base_loopbreak(w->base);
    else
        evtimer_add(w->on_empty, &t);
}

/* All connections are closed; what is still on its way to the database may end. */
static void on_drained(void *arg)
{
    struct worker *w = arg;
    struct timeval now = {0, 0};

    w->drained = true;
    evtimer_add(w->on_empty, &now);
}

static void drain(struct worker *w, uint32_t ms)
{
    struct net_settings settings = worker_net_settings(w->config);

    if (w->draining)
        return;
    w->draining = true;
    w->drain_until_us = clock_monotonic_us() + (int64_t)ms * 1000;
    settings.drain_ms = ms;
    net_set_settings(w->net, &settings);
    log_info("worker.drain", "ms=%u", ms);
    net_drain(w->net, on_drained, w);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd, (void)what;
    drain(w, w->config->server_drain_ms);
}

/* ---- control channel ---- */

static void on_config(struct worker *w, struct control_message *m)
{
    struct engine_limits engine;
    struct net_settings net;
    struct limits_settings limits;

    if (child_read_config(m, w->config) != RC_OK)
        return;
    engine = worker_engine_limits(w->config);
    net = worker_net_settings(w->config);
    limits = worker_limits(w->config);
    engine_set_limits(w->engine, &engine);
    engine_set_interop(w->engine, w->config->server_interop);
    limits_set(w->limits, &limits);
    if (!w->draining)
        net_set_settings(w->net, &net);
    log_info("config.reload", "%s", "result=done");
}

static void on_channel(struct worker *w, struct control_message *m)
{
    vault_client_set_channel(w->vault, control_take(m, 0));
    w->stats.vault_channels++;
    unseal_channel(w->unseal);
}

static void on_look(struct worker *w, struct control_message *m)
{
    (void)m;
    unseal_look(w->unseal);
}

static void on_drain(struct worker *w, struct control_message *m)
{
    drain(w, load_be32(m->body));
}

static void (*const answers[CONTROL_COUNT])(struct worker *w, struct control_message *m) = {
    [CONTROL_CONFIG] = on_config,
    [CONTROL_CHANNEL] = on_channel,
    [CONTROL_TLS] = on_tls,
    [CONTROL_DRAIN] = on_drain,
    [CONTROL_LOOK] = on_look,
    [CONTROL_TRACE] = worker_on_trace,
    [CONTROL_TRACE_END] = worker_on_trace_end,
    [CONTROL_NOTE] = worker_on_note,
};

static void on_control(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    rc_t rc;

    (void)what;
    while ((rc = control_receive(fd, BY_SUPERVISOR, &message)) == RC_OK) {
        if (answers[message.code])
            answers[message.code](w, &message);
        control_close(&message);
    }
    if (rc != RC_BUSY) {
        log_warn("worker.end", "result=%s why=\"the supervisor is gone\"", rc_name(rc));
        _exit(1);
    }
}

/* ---- statistics ---- */

static void collect(struct worker *w)
{
    const struct db_stats *db = db_stats_of(w->db);
    struct engine_stats engine;
    struct net_stats net;
    struct stats *s = &w->stats;

    engine_get_stats(w->engine, &engine);
    net_get_stats(w->net, &net);
    s->connections = net.open;
    s->in_flight = engine.pending;
    s->db_state = db_state_of(w->db);
    s->vault_state = !vault_client_connected(w->vault) ? 0 : unseal_is_open(w->unseal) ? 2 : 1;
    s->accepted = net.accepted;
    s->legacy = net.legacy;
    s->factor_checks = engine.factor_checks;
    s->refused = net.refused_limit + net.refused_rate;
    s->handshakes = net.handshakes;
    s->resumed = net.resumed;
    s->handshakes_failed = net.handshakes_failed;
    s->logins_refused = net.logins_refused;
    s->requests = net.requests;
    s->answers = net.answers;
    s->bad_frames = net.bad_frames;
    s->deadlines = net.deadlines;
    s->items = engine.items;
    s->failed_items = engine.failed_items;
    s->busy = engine.busy;
    s->reruns = engine.reruns;
    s->lost_answers = engine.lost_answers;
    s->groups = db->groups;
    s->units = db->units;
    s->rows = db->rows;
    s->losers = db->losers;
    s->failed_units = db->failed;
    s->bisected = db->bisected;
    s->commit_us = db->commit_us_sum;
    s->unknown = db->unknown;
    s->unknown_done = db->unknown_done;
    s->unknown_rerun = db->unknown_rerun;
    s->unknown_unknown = db->unknown_unknown;
    s->reconnects = db->reconnects;
    s->down_refused = db->refused;
    s->unseals = unseal_count(w->unseal);
}

static void report(struct worker *w)
{
    uint8_t body[STATS_BYTES];

    collect(w);
    stats_encode(&w->stats, body);
    (void)control_send(CONTROL_FD, BY_WORKER, CONTROL_STATS, bytes_of(body, sizeof body), NULL, 0);
}

/*
 * A channel may end while the vault lives on. A new vault's channel comes unasked within a second,
 * so only who has none for longer asks; the supervisor does not answer while the vault is down.
 */
static void look_at_channel(struct worker *w)
{
    w->without_vault = vault_client_connected(w->vault) ? 0 : w->without_vault + 1;
    if (w->without_vault >= CHANNEL_ASK_S)
        (void)control_send(CONTROL_FD, BY_WORKER, CONTROL_ASK_CHANNEL, BYTES_NONE, NULL, 0);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd, (void)what;
    look_at_channel(w);
    trace_tick(&w->trace);
    report(w);
}

/* ---- start ---- */

static void on_db_state(void *arg, enum db_state state)
{
    struct worker *w = arg;
    char text[160];

    log_event(state == DB_STATE_READY ? LOG_INFO : LOG_WARN, "db.state", "state=%d says=%s",
              (int)state, log_value(bytes_str(db_state_text(w->db)), text));
    if (state == DB_STATE_READY)
        unseal_database(w->unseal);
}

static int64_t pace(void *arg, const struct uid *client, int64_t per_second)
{
    struct worker *w = arg;

    return limits_request(w->limits, bytes_of(client->raw, sizeof client->raw), per_second, clock_monotonic_us());
}

static rc_t make_parts(struct worker *w)
{
    struct db_settings db = worker_db_settings(w->config);
    struct vault_client_config vault = {.call_ms = w->config->vault_call_ms,
                                        .slow_ms = w->config->vault_pair_ms};
    struct engine_config engine = {.base = w->base,
                                   .limits = worker_engine_limits(w->config),
                                   .server_version = PACKAGE_VERSION,
                                   .pace = pace,
                                   .pace_arg = w};
    struct net_config net = {
        .base = w->base, .limits = w->limits, .settings = worker_net_settings(w->config), .trace = &w->trace};
    char opener[120];

    worker_opener(w->config, w->number, opener, sizeof opener);
    db.opener = opener;
    db.on_state = on_db_state;
    db.arg = w;
    TRY(db_new(w->base, &db, &w->db));
    TRY(vault_client_new(w->base, &vault, &w->vault));
    TRY(unseal_new(w->base, w->db, w->vault, &w->unseal));
    engine.db = w->db;
    engine.vault = w->vault;
    TRY(engine_open(&engine, &w->engine));
    engine_set_tpm_label(
        w->engine, strncmp(w->config->vault_tpm, "swtpm:", 6) ? "hardware" : "software (swtpm)");
    engine_set_interop(w->engine, w->config->server_interop);
    engine_set_trace(w->engine, &w->trace);
    net.engine = net_engine_real(w->engine);
    return net_new(&net, &w->net);
}

static rc_t make_events(struct worker *w)
{
    struct timeval second = ms_time(SECOND_MS);

    w->on_control = event_new(w->base, CONTROL_FD, EV_READ | EV_PERSIST, on_control, w);
    w->on_second = event_new(w->base, -1, EV_PERSIST, on_second, w);
    w->on_term = evsignal_new(w->base, SIGTERM, on_term, w);
    w->on_empty = evtimer_new(w->base, on_empty, w);
    if (!w->on_control || !w->on_second || !w->on_term || !w->on_empty ||
        event_add(w->on_control, NULL) || event_add(w->on_second, &second) ||
        evsignal_add(w->on_term, NULL))
        return RC_NO_MEMORY;
    return RC_OK;
}

static rc_t ask_counters(struct worker *w)
{
    struct limits_settings limits = worker_limits(w->config);
    rc_t rc;

    TRY(child_ask(BY_WORKER, CONTROL_ASK_COUNTERS, CONTROL_COUNTERS, &message));
    rc = limits_map(message.fds[0], w->number - 1, &w->limits);
    control_close(&message);
    if (rc == RC_OK)
        limits_set(w->limits, &limits);
    return rc;
}

static rc_t ask_tls(struct worker *w, struct tls **tls)
{
    rc_t rc;

    TRY(child_ask(BY_WORKER, CONTROL_ASK_TLS, CONTROL_TLS, &message));
    rc = read_tls(w->config, &message, tls);
    control_close(&message);
    return rc;
}

static rc_t listen_all(struct worker *w)
{
    TRY(child_ask(BY_WORKER, CONTROL_ASK_LISTENER, CONTROL_LISTENER, &message));
    for (unsigned i = 0, count = message.fd_count; i < count; i++)
        TRY(net_listen(w->net, control_take(&message, i), i + message.body[0] >= count));
    return RC_OK;
}

/* With timers to the microsecond: a group that waits for others waits less than the millisecond of epoll. */
static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static rc_t start(struct worker *w)
{
    struct tls *tls = NULL;

    TRY(ask_counters(w));
    TRY(ask_tls(w, &tls));
    TRY(sandbox_enter(SANDBOX_WORKER));
    w->base = base_new();
    if (!w->base)
        return RC_NO_MEMORY;
    TRY(make_parts(w));
    net_set_tls(w->net, tls);
    tls_drop(&tls);
    TRY(make_events(w));
    TRY(listen_all(w));
    db_start(w->db);
    TRY(control_send(CONTROL_FD, BY_WORKER, CONTROL_READY, BYTES_NONE, NULL, 0));
    return control_send(CONTROL_FD, BY_WORKER, CONTROL_ASK_CHANNEL, BYTES_NONE, NULL, 0);
}

/* The order matters: who calls goes before who is called. */
static void end(struct worker *w)
{
    struct event *events[] = {w->on_control, w->on_second, w->on_term, w->on_empty};

    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i])
            event_free(events[i]);
    net_free(&w->net);
    engine_close(w->engine);
    unseal_free(&w->unseal);
    vault_client_free(w->vault);
    db_free(w->db);
    trace_end_all(&w->trace);
    limits_unmap(&w->limits);
    event_base_free(w->base);
}

int worker_run(unsigned number, struct config *config)
{
    static struct worker w;
    rc_t rc;

    w.number = number;
    w.config = config;
    rc = start(&w);
    if (rc != RC_OK) {
        log_error("worker.start", "result=%s", rc_name(rc));
        return 1;
    }
    event_base_dispatch(w.base);
    report(&w); /* the last numbers */
    log_info("worker.end", "drained=%s", w.drained ? "yes" : "no");
    end(&w);
    return 0;
}
