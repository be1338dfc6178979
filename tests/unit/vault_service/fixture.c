/* Software TPM and vault child for the tests of the service; see fixture.h. */
#include "config.h"

#include "tests/unit/vault_service/fixture.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/vault/admin.h"
#include "server/vault/crypto/heap.h"
#include "server/vault/service.h"
#include "tests/support/control.h"

struct fixture fx;
static char template_dir[32];

/* Runs a program with two arguments and waits for its good end. */
static void run(const char *program, const char *option, const char *a, const char *b)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        execlp(program, program, option, a, b, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* ---- the TPM ---- */

int swtpm_connect(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", fx.socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

void swtpm_begin(void)
{
    char state[100], server[160], log[100];
    snprintf(fx.socket_path, sizeof fx.socket_path, "%s/sock", fx.dir);
    snprintf(state, sizeof state, "dir=%s", fx.dir);
    snprintf(server, sizeof server, "type=unixio,path=%s", fx.socket_path);
    snprintf(log, sizeof log, "%s/log", fx.dir);
    unlink(fx.socket_path);
    fx.swtpm = fork();
    ck_assert_int_ge(fx.swtpm, 0);
    if (fx.swtpm == 0) {
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out, 1);
        dup2(out, 2);
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
               "--flags", "not-need-init,startup-clear", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500; i++) {
        int fd = swtpm_connect();
        if (fd >= 0) {
            close(fd);
            /* It serves one client at a time and ends with it. */
            return;
        }
        usleep(10000);
    }
    ck_abort_msg("swtpm does not start");
}

void swtpm_kill(void)
{
    if (fx.swtpm > 0) {
        kill(fx.swtpm, SIGKILL);
        waitpid(fx.swtpm, NULL, 0);
    }
    fx.swtpm = 0;
}

/* ---- the vault ---- */

static struct vault_service *service;
static struct event_base *base;

static void ask_tpm(void *arg)
{
    (void)arg;
    vault_service_give_tpm(service, swtpm_connect(), "the test's TPM is away");
}

static void peer_gone(void *arg)
{
    (void)arg;
    if (vault_service_peers(service) == 0)
        event_base_loopbreak(base);
}

static void vault_main(const int *ends, int count, bool admin, struct bytes node_state)
{
    const struct vault_service_options o = {
        .tpm = {.command_ms = 5000,
                .fd_wait_ms = 2000,
                .degraded_ms = fx.degraded_ms,
                .has_degraded = fx.has_degraded},
        .ask_tpm = ask_tpm,
        .peer_gone = peer_gone,
        .admin = admin,
    };
    log_open("vault", LOG_WARN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    base = event_base_new();
    if (crypto_heap_install() != RC_OK || !base || vault_service_new(base, &o, &service) != RC_OK)
        _exit(3);
    if (node_state.len) /* one that is damaged is a test's */
        (void)vault_service_set_node_state(service, node_state);
    if (vault_service_start(service) != RC_OK)
        _exit(3);
    for (int i = 0; i < count; i++)
        vault_service_add_peer(service, ends[i], admin ? FROM_ADMIN : FROM_WORKER);
    event_base_dispatch(base);
    vault_service_free(service);
    event_base_free(base);
    _exit(0);
}

static void vault_start(const int *ends, int count, bool admin, struct bytes node_state)
{
    fx.vault = fork();
    ck_assert_int_ge(fx.vault, 0);
    if (fx.vault == 0) {
        if (fx.fd >= 0)
            close(fx.fd);
        vault_main(ends, count, admin, node_state);
    }
    for (int i = 0; i < count; i++)
        close(ends[i]);
}

void vault_begin(const int *worker_ends, int count, bool with_node_state)
{
    vault_start(worker_ends, count, false, with_node_state ? buf_view(&fx.node_state) : BYTES_NONE);
}

void vault_kill(void)
{
    if (fx.fd >= 0)
        close(fx.fd);
    fx.fd = -1;
    if (fx.vault > 0) {
        kill(fx.vault, SIGKILL);
        waitpid(fx.vault, NULL, 0);
    }
    fx.vault = 0;
}

static int open_channel(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fx.fd = ends[0];
    return ends[1];
}

void vault_again(void)
{
    vault_kill();
    int end = open_channel();
    vault_begin(&end, 1, true);
}

/* ---- once ---- */

void fixture_make(void)
{
    snprintf(template_dir, sizeof template_dir, "/tmp/hfvault-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(template_dir));
    snprintf(fx.dir, sizeof fx.dir, "%s/tpm", template_dir);
    ck_assert_int_eq(mkdir(fx.dir, 0700), 0);
    fx.fd = -1;
    swtpm_begin();
    int end = open_channel();
    vault_start(&end, 1, true, BYTES_NONE);

    const struct admin_request step = {.step = ADMIN_INIT_SELF_APPROVE, .domain = 1};
    struct admin_answer answer;
    AUTO_BUF body = BUF_EMPTY;
    AUTO_ARENA arena = ARENA_OF(4 << 20);
    struct vault_reply reply;
    ck_assert_int_eq(admin_request_encode(&step, &body), RC_OK);
    const struct vault_call call = {.op = VAULT_ADMIN, .body = buf_view(&body)};
    ck_assert_int_eq(vault_call_sync(fx.fd, 60000, &call, &arena, &reply), RC_OK);
    ck_assert_msg(reply.rc == RC_OK, "%s: %.*s", rc_name(reply.rc), (int)reply.status.len,
                  reply.status.data);
    ck_assert_int_eq(admin_answer_decode(reply.status, &answer), RC_OK);
    ck_assert_int_eq(buf_add_bytes(&fx.rows, answer.hierarchy), RC_OK);
    ck_assert_int_eq(buf_add_bytes(&fx.node_state, answer.node_state), RC_OK);
    ck_assert_uint_gt(answer.escrow.len, 0);
    vault_kill();
    swtpm_kill();
}

void fixture_unmake(void)
{
    run("rm", "-rf", template_dir, NULL);
    buf_free(&fx.rows);
    buf_free(&fx.node_state);
}

/* ---- for each test ---- */

void fixture_setup(void)
{
    snprintf(fx.dir, sizeof fx.dir, "%s/XXXXXX", template_dir);
    ck_assert_ptr_nonnull(mkdtemp(fx.dir));
    char state[64];
    snprintf(state, sizeof state, "%s/tpm/tpm2-00.permall", template_dir);
    run("cp", "-p", state, fx.dir);
    fx.arena = ARENA_OF(16 << 20);
    fx.fd = -1;
    swtpm_begin();
    vault_again();
}

void fixture_teardown(void)
{
    vault_kill();
    swtpm_kill();
    arena_free(&fx.arena);
    run("rm", "-rf", fx.dir, NULL);
}

/* ---- calls ---- */

struct vault_reply ask(const struct vault_call *call)
{
    struct vault_reply reply;
    rc_t rc = vault_call_sync(fx.fd, 15000, call, &fx.arena, &reply);
    ck_assert_msg(rc == RC_OK, "no answer to %s: %s", vault_op_name(call->op), rc_name(rc));
    return reply;
}

struct vault_reply unseal(void)
{
    return ask(&(struct vault_call){.op = VAULT_UNSEAL, .hierarchy = buf_view(&fx.rows)});
}

struct control new_record(void)
{
    int64_t now = clock_wall_s();
    struct control c = control_active_key(now, now);
    c.version = 1;
    ck_assert_int_eq(uid_new(&c.uid), RC_OK);
    return c;
}

struct vault_reply generate(struct control *c)
{
    if (c->version == 0)
        *c = new_record();
    return ask(&(struct vault_call){.op = VAULT_GENERATE, .domain = c->domain, .control = *c});
}

struct vault_reply get(const struct control *c, const struct vault_reply *made)
{
    struct vault_call call = {
        .op = VAULT_GET, .domain = c->domain, .control = *c, .material = made->envelope};
    memcpy(call.mac, made->mac, sizeof call.mac);
    return ask(&call);
}

void wait_state(const char *state)
{
    char want[64];
    struct vault_reply r;
    snprintf(want, sizeof want, "\"state\":\"%s\"", state);
    for (int i = 0; i < 200; i++) {
        r = ask(&(struct vault_call){.op = VAULT_STATUS});
        if (r.rc == RC_OK && memmem(r.status.data, r.status.len, want, strlen(want)))
            return;
        usleep(50000);
    }
    ck_abort_msg("not %s but %.*s", state, (int)r.status.len, r.status.data);
}

#ifndef HF_SANITIZERS
int scan_memory(pid_t pid, const uint8_t *what, size_t len)
{
    char path[64], line[512];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY);
    ck_assert(maps && mem >= 0);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' || mode[1] != 'w')
            continue;
        uint8_t *copy = malloc(to - from);
        ssize_t n = copy ? pread(mem, copy, to - from, (off_t)from) : -1;
        for (uint8_t *p = copy; n > 0 && (p = memmem(p, (size_t)(copy + n - p), what, len)) != NULL;
             p++)
            found++;
        free(copy);
    }
    fclose(maps);
    close(mem);
    return found;
}
#endif
