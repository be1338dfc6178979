/*
 * What the children ask of the supervisor, as a table; who may ask what was checked already by the
 * control channel (ipc/control.def). See supervisor.h.
 */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/process/supervisor.h"
#include "server/process/systemd.h"

static void on_hello(struct child *c, struct control_message *m)
{
    (void)m;
    c->greeted = true;
}

static void on_ask_config(struct child *c, struct control_message *m)
{
    (void)m;
    (void)child_send(c, CONTROL_CONFIG, BYTES_NONE, &c->sup->config_fd, 1);
}

static void on_ask_listener(struct child *c, struct control_message *m)
{
    uint8_t legacy = (uint8_t)c->sup->legacy_count;

    (void)m;
    (void)child_send(c, CONTROL_LISTENER, bytes_of(&legacy, 1), c->sup->listeners, c->sup->listener_count);
    c->listens = true;
    trace_lines_join(c);
}

void child_send_tls(struct child *c)
{
    int fds[4];
    unsigned count = 0;
    char why[300];

    if (c->control < 0)
        return;
    if (files_open_tls(&c->sup->config, fds, &count, why, sizeof why) != RC_OK) {
        log_error("tls.files", "child=%s error=\"%s\"", c->name, why);
        return; /* asked again at each look at the files */
    }
    c->wants_tls = false;
    (void)child_send(c, CONTROL_TLS, BYTES_NONE, fds, count);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static void on_ask_tls(struct child *c, struct control_message *m)
{
    (void)m;
    c->wants_tls = true;
    child_send_tls(c);
}

static void on_ask_counters(struct child *c, struct control_message *m)
{
    (void)m;
    (void)child_send(c, CONTROL_COUNTERS, BYTES_NONE, &c->sup->counters_fd, 1);
}

static void on_ask_channel(struct child *c, struct control_message *m)
{
    (void)m;
    c->wants_channel = true;
    child_link(c);
}

static void on_ask_tpm(struct child *c, struct control_message *m)
{
    enum control_tpm kind = CONTROL_TPM_DEVICE;
    uint8_t body[256];
    char why[240] = "";
    int fds[2];
    unsigned count = files_open_tpm(&c->sup->config, &kind, fds, why, sizeof why);
    size_t len = count ? 0 : strlen(why);

    (void)m;
    body[0] = (uint8_t)kind;
    memcpy(body + 1, why, len);
    if (!count)
        log_warn("tpm.open", "error=\"%s\"", why);
    (void)child_send(c, CONTROL_TPM, bytes_of(body, 1 + len), fds, count);
    while (count)
        close(fds[--count]);
}

static void on_ask_node_state(struct child *c, struct control_message *m)
{
    char why[240] = "";
    int fd = files_open_node_state(&c->sup->config, why, sizeof why);

    (void)m;
    (void)child_send(c, CONTROL_NODE_STATE, fd < 0 ? bytes_str(why) : BYTES_NONE, &fd,
                     fd < 0 ? 0 : 1);
    if (fd >= 0)
        close(fd);
}

static void on_ready(struct child *c, struct control_message *m)
{
    (void)m;
    if (c->state != CHILD_STARTING)
        return;
    evtimer_del(c->timer);
    c->state = CHILD_READY;
    log_info("child.ready", "child=%s pid=%d after_ms=%lld", c->name, (int)c->pid,
             (long long)(c->heard_us - c->started_us) / 1000);
    /* A new vault: new channels for all who had one. Not before: it waits for answers one by one.
     */
    if (c->role == BY_VAULT)
        for (unsigned i = 0; i < c->sup->worker_count; i++)
            child_link(&c->sup->workers[i]);
    supervisor_look(c->sup);
}

static void on_stats(struct child *c, struct control_message *m)
{
    if (stats_decode(bytes_of(m->body, m->len), &c->stats) != RC_OK)
        child_kill(c, "sent statistics of another length: is it another version?");
}

static void tell_systemd(const json_t *report)
{
    const char *state = json_string_value(json_object_get(report, "state"));
    const char *what = json_string_value(json_object_get(report, "what"));
    char text[256];

    snprintf(text, sizeof text, "vault %s: %s", state ? state : "?", what ? what : "");
    systemd_status(text);
}

/* Only checked to be JSON: what it says is for the administrator's eye. */
static void on_vault_status(struct child *c, struct control_message *m)
{
    json_t *report = json_loadb((const char *)m->body, m->len, 0, NULL);

    if (!json_is_object(report)) {
        child_kill(c, "sent a status that is no JSON object");
    } else {
        tell_systemd(report);
        free(c->report);
        c->report = json_dumps(report, JSON_COMPACT);
    }
    json_decref(report);
}

static void on_noted(struct child *c, struct control_message *m)
{
    note_written(c->sup, load_be32(m->body), m->body[4] == 1);
}

static void on_signed(struct child *c, struct control_message *m)
{
    control_socket_signed(c->sup, bytes_of(m->body, m->len));
}

static void (*const answers[CONTROL_COUNT])(struct child *c, struct control_message *m) = {
    [CONTROL_HELLO] = on_hello,
    [CONTROL_ASK_CONFIG] = on_ask_config,
    [CONTROL_ASK_LISTENER] = on_ask_listener,
    [CONTROL_ASK_TLS] = on_ask_tls,
    [CONTROL_ASK_COUNTERS] = on_ask_counters,
    [CONTROL_ASK_CHANNEL] = on_ask_channel,
    [CONTROL_ASK_TPM] = on_ask_tpm,
    [CONTROL_ASK_NODE_STATE] = on_ask_node_state,
    [CONTROL_READY] = on_ready,
    [CONTROL_STATS] = on_stats,
    [CONTROL_VAULT_STATUS] = on_vault_status,
    [CONTROL_NOTED] = on_noted,
    [CONTROL_SIGNED] = on_signed,
};

void child_answer(struct child *c, struct control_message *m)
{
    if (answers[m->code])
        answers[m->code](c, m);
}
