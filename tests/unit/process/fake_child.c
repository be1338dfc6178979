/*
 * A small stand-in for holdfast-worker and holdfast-vault (by its name): speaks the control channel
 * as they do and does what the file `behaviour` in state_dir says. For the supervisor's tests.
 */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/ipc/spawn.h"
#include "server/process/child.h"
#include "server/process/sandbox.h"
#include "server/process/stats.h"

static struct config config;
static struct control_message m;
static char behaviour[64];
static int peers, tls_seen;

static void read_behaviour(const char *role)
{
    char path[CONFIG_TEXT_SIZE + 40];
    ssize_t n = 0;
    int fd;

    snprintf(path, sizeof path, "%s/behaviour-%s", config.server_state_dir, role);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        n = read(fd, behaviour, sizeof behaviour - 1);
    behaviour[n > 0 ? n : 0] = 0;
}

static bool behaves(const char *how)
{
    return !strcmp(behaviour, how);
}

/* Exits when anything but the standard descriptors and the control channel is open. */
static void check_descriptors(void)
{
    for (int fd = CONTROL_FD + 1; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) != -1) {
            log_error("fake.leak", "fd=%d", fd);
            _exit(9);
        }
}

static void ask_all(enum control_side me)
{
    static const enum control_code worker_asks[][2] = {
        {CONTROL_ASK_COUNTERS, CONTROL_COUNTERS},
        {CONTROL_ASK_TLS, CONTROL_TLS},
        {CONTROL_ASK_LISTENER, CONTROL_LISTENER},
    };
    static const enum control_code vault_asks[][2] = {
        {CONTROL_ASK_NODE_STATE, CONTROL_NODE_STATE},
        {CONTROL_ASK_TPM, CONTROL_TPM},
    };
    bool vault = me == BY_VAULT;

    for (size_t i = 0; i < (vault ? 2 : 3); i++) {
        const enum control_code *ask = vault ? vault_asks[i] : worker_asks[i];
        rc_t rc;
        /* A new worker's link may come between: a vault takes PEER at any time. */
        if (control_send(CONTROL_FD, me, ask[0], BYTES_NONE, NULL, 0) != RC_OK)
            _exit(1);
        do {
            struct pollfd p = {.fd = CONTROL_FD, .events = POLLIN};
            (void)poll(&p, 1, 5000);
            rc = control_receive(CONTROL_FD, BY_SUPERVISOR, &m);
            if (rc == RC_OK && m.code == CONTROL_PEER)
                peers++;
            control_close(&m);
        } while (rc == RC_OK && m.code == CONTROL_PEER);
        if (rc != RC_OK || m.code != ask[1])
            _exit(1);
    }
}

static void report(enum control_side me)
{
    struct stats stats = {.connections = 3, .groups = 7, .db_state = 1};
    uint8_t body[STATS_BYTES];
    char text[80];

    if (me == BY_VAULT) {
        snprintf(text, sizeof text,
                 "{\"state\": \"serving\", \"what\": \"well\\nFORGED=1\", \"peers\": %d}", peers);
        (void)control_send(CONTROL_FD, me, CONTROL_VAULT_STATUS, bytes_str(text), NULL, 0);
        return;
    }
    stats.tls_reloads = (uint64_t)tls_seen;
    stats.vault_channels = (uint64_t)peers;
    stats.in_flight = config.limits_idle_ms;
    stats_encode(&stats, body);
    (void)control_send(CONTROL_FD, me, CONTROL_STATS, bytes_of(body, sizeof body), NULL, 0);
}

static void take(enum control_side me)
{
    if (m.code == CONTROL_PEER || m.code == CONTROL_CHANNEL)
        peers++;
    if (m.code == CONTROL_TLS)
        tls_seen++;
    if (m.code == CONTROL_CONFIG)
        (void)child_read_config(&m, &config);
    if (m.code == CONTROL_DRAIN && behaves("drain-to-the-end"))
        usleep(1000 * (load_be32(m.body) + 200)); /* closes what is left, and then it ends */
    if (m.code == CONTROL_DRAIN && !behaves("ignore-drain"))
        _exit(0);
    control_close(&m);
    report(me);
}

static void misbehave(enum control_side me)
{
    if (behaves("die-at-once"))
        _exit(3);
    if (behaves("die-soon")) {
        usleep(20000);
        _exit(3);
    }
    if (behaves("never-ready"))
        for (;;)
            pause();
    if (behaves("wrong-sender")) /* a worker has no business with the TPM */
        (void)!write(CONTROL_FD, "\x48\x46\x00\x07", 4);
    if (behaves("rubbish"))
        (void)!write(CONTROL_FD, "rubbish", 7);
    if (behaves("violate")) {
        if (sandbox_enter(me == BY_VAULT ? SANDBOX_VAULT : SANDBOX_WORKER) == RC_OK)
            (void)!chdir("/");
        _exit(4);
    }
}

int main(int argc, char **argv)
{
    bool vault = strstr(argv[0], "vault") != NULL;
    enum control_side me = vault ? BY_VAULT : BY_WORKER;

    (void)argc;
    check_descriptors();
    if (child_begin(me, vault ? "fake-vault" : "fake-worker", &config) != RC_OK)
        return 1;
    (void)signal(SIGTERM, SIG_DFL);
    read_behaviour(vault ? "vault" : "worker");
    misbehave(me);
    ask_all(me);
    (void)control_send(CONTROL_FD, me, CONTROL_READY, BYTES_NONE, NULL, 0);
    if (!vault)
        (void)control_send(CONTROL_FD, me, CONTROL_ASK_CHANNEL, BYTES_NONE, NULL, 0);
    report(me);
    for (;;) {
        struct pollfd p = {.fd = CONTROL_FD, .events = POLLIN};
        rc_t rc;
        (void)poll(&p, 1, 200);
        rc = control_receive(CONTROL_FD, BY_SUPERVISOR, &m);
        if (rc == RC_OK)
            take(me);
        else if (rc != RC_BUSY)
            return 0;
        else
            report(me);
    }
}
