/*
 * The control socket of the administrator: one command line in, one JSON text out, then the end. A
 * trace goes on until the administrator leaves; its text comes from the workers, by a socket that
 * is passed along with the answer. Only root, the user the server runs as, and members of
 * admin_group (as their main group) are heard; the kernel says who they are. See supervisor.h and
 * status_client.h.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/process/supervisor.h"

enum {
    COMMAND_MAX = 320,
    ADMIN_WAIT_S = 5,
    WHO_MAX = 96,
    SIGN_WAIT_S = 60, /* a few TPM commands, behind those that wait already */
    DIGEST_BYTES = 32,
};
static const char sign_command[] = "sign-stub ", vault_down[] = "the vault is not up";

struct admin {
    struct supervisor *sup;
    struct admin *next;
    int fd;
    struct event *event;
    char who[WHO_MAX]; /* "root (uid 0, pid 4711)", for the audit */
    char command[COMMAND_MAX];
    size_t have;
    uint32_t noting;              /* the number of the note that its signature waits for; 0: none */
    uint32_t signing;             /* the number of its request that is with the vault; 0: none */
    uint8_t digest[DIGEST_BYTES]; /* to be signed */
    char *answer;     /* owned; NULL while the command is read */
    size_t answer_len, sent;
    struct trace_line *trace; /* asked for, or under way */
    bool tracing;             /* under way: no deadline */
};

static void admin_drop(struct admin *a)
{
    for (struct admin **at = &a->sup->admins; *at; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            a->sup->admin_count--;
            break;
        }
    trace_line_close(&a->trace);
    if (a->event)
        event_free(a->event);
    close(a->fd);
    free(a->answer);
    free(a);
}

/* Waits for the next byte to read or for room to write; 0: for the vault. */
static void admin_wait(struct admin *a, short what);

static char *refusal(const char *why)
{
    json_t *o = json_pack("{s:b, s:s}", "ok", 0, "error", why);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static void admin_refuse(struct admin *a, const char *error)
{
    a->answer = refusal(error);
    a->answer_len = a->answer ? strlen(a->answer) : 0;
}

/* ---- traces ---- */

/* The answer, and with it the end of the socket that the text comes by. */
static bool pass(int to, int fd)
{
    static const char done[] = "{\"ok\": true}\n";
    struct iovec text = {(void *)(uintptr_t)done, sizeof done - 1};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } extra = {0};
    struct msghdr msg = {.msg_iov = &text,
                         .msg_iovlen = 1,
                         .msg_control = extra.room,
                         .msg_controllen = sizeof extra.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)text.iov_len;
}

static void on_trace_begun(void *arg, const char *error, int fd)
{
    struct admin *a = arg;

    if (error) {
        trace_line_close(&a->trace);
        admin_refuse(a, error);
        if (a->answer)
            admin_wait(a, EV_WRITE);
        else
            admin_drop(a);
    } else if (pass(a->fd, fd)) {
        a->tracing = true;
        admin_wait(a, EV_READ);
    } else {
        admin_drop(a);
    }
}

static void trace_run(struct admin *a, const char *what)
{
    switch (trace_line_open(a->sup, what, a->who, on_trace_begun, a, &a->trace)) {
    case RC_OK:
        return;
    case RC_TOO_MANY:
        admin_refuse(a, "there are as many traces as there may be at a time: end another one");
        return;
    case RC_BAD_VALUE:
        admin_refuse(a, "say trace text or trace json, then client:NAME, address:ADDRESS or all");
        return;
    case RC_UNAVAILABLE:
        admin_refuse(a, "no worker is up: there is nothing to be traced, and nobody to audit it");
        return;
    default:
        admin_refuse(a, "the server has no memory or no descriptor left for it");
    }
}

/* ---- commands ---- */

/* "sign-stub HEX": into the audit first, then on to the vault. NULL: the answer comes later. */
static char *ask_signature(struct admin *a, const char *hex)
{
    size_t len = 0;
    char detail[sizeof "digest=" + 2 * DIGEST_BYTES];
    if (OPENSSL_hexstr2buf_ex(a->digest, DIGEST_BYTES, &len, hex, '\0') != 1 || len != DIGEST_BYTES)
        return refusal("sign-stub takes 64 hexadecimal digits");
    if (a->sup->vault.state != CHILD_READY)
        return refusal(vault_down);
    snprintf(detail, sizeof detail, "digest=%s", hex);
    if (note_send(a->sup, "Admin Sign Audit Stub", a->who, detail, &a->noting) != RC_OK) {
        a->noting = 0;
        return refusal("no worker is up: there is nobody to audit it");
    }
    return NULL;
}

/* NULL: it is with the vault. */
static char *pass_to_vault(struct admin *a)
{
    struct supervisor *s = a->sup;
    uint8_t body[4 + DIGEST_BYTES];
    if (++s->sign_number == 0)
        s->sign_number = 1;
    store_be32(body, s->sign_number);
    memcpy(body + 4, a->digest, DIGEST_BYTES);
    if (s->vault.state != CHILD_READY ||
        child_send(&s->vault, CONTROL_SIGN, bytes_of(body, sizeof body), NULL, 0) != RC_OK)
        return refusal(vault_down);
    a->signing = s->sign_number;
    return NULL;
}

static void admin_run(struct admin *a)
{
    struct supervisor *s = a->sup;
    static const char done[] = "{\"ok\": true}\n";

    if (!strcmp(a->command, "status")) {
        a->answer = status_text(s);
    } else if (!strcmp(a->command, "reload")) {
        supervisor_reload(s);
        a->answer = strdup(done);
    } else if (!strcmp(a->command, "domains")) {
        supervisor_look_at_domains(s);
        a->answer = strdup(done);
    } else if (!strcmp(a->command, "drain") || !strcmp(a->command, "stop")) {
        a->answer = strdup(done);
        supervisor_stop(s, a->command[0] == 'd');
    } else if (!strncmp(a->command, "trace ", 6)) {
        trace_run(a, a->command + 6);
    } else if (!strncmp(a->command, sign_command, sizeof sign_command - 1)) {
        a->answer = ask_signature(a, a->command + sizeof sign_command - 1);
    } else {
        admin_refuse(
            a, "no such command: say status, reload, domains, drain, stop, trace or sign-stub");
    }
    a->answer_len = a->answer ? strlen(a->answer) : 0;
}

static void admin_read(struct admin *a)
{
    ssize_t n;
    char *end;

    bool goes_on = a->trace || a->noting;
    if (goes_on)
        a->have = 0; /* no second command: whatever comes is dropped, and an end ends it all */
    n = recv(a->fd, a->command + a->have, sizeof a->command - 1 - a->have, 0);

    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            admin_drop(a);
        else
            admin_wait(a, EV_READ);
        return;
    }
    if (goes_on) {
        admin_wait(a, EV_READ);
        return;
    }
    a->have += (size_t)n;
    a->command[a->have] = 0;
    end = strchr(a->command, '\n');
    if (end) {
        *end = 0;
        admin_run(a);
        if (a->answer || a->trace || a->noting)
            admin_wait(a, a->answer ? EV_WRITE : EV_READ);
        else
            admin_drop(a);
    } else if (a->have == sizeof a->command - 1) {
        admin_drop(a);
    } else {
        admin_wait(a, EV_READ);
    }
}

static void admin_write(struct admin *a)
{
    ssize_t n = send(a->fd, a->answer + a->sent, a->answer_len - a->sent, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        admin_drop(a);
        return;
    }
    a->sent += n > 0 ? (size_t)n : 0;
    if (a->sent == a->answer_len)
        admin_drop(a);
    else
        admin_wait(a, EV_WRITE);
}

/* The answer, if there is one; an answer that could not be made ends the connection. */
static void admin_answer_or_drop(struct admin *a)
{
    a->answer_len = a->answer ? strlen(a->answer) : 0;
    if (a->answer)
        admin_wait(a, EV_WRITE);
    else
        admin_drop(a);
}

static void signature_noted(struct admin *a, bool audited)
{
    char digest[2 * DIGEST_BYTES + 1];
    (void)OPENSSL_buf2hexstr_ex(digest, sizeof digest, NULL, a->digest, DIGEST_BYTES, '\0');
    log_info("stub.sign", " who=\"%s\" digest=%s audited=%s", a->who, digest, audited ? "yes" : "no");
    a->noting = 0;
    a->answer =
        audited ? pass_to_vault(a) : refusal("the signature cannot be written to the audit now: is the database away?");
    if (a->signing)
        admin_wait(a, 0);
    else
        admin_answer_or_drop(a);
}

static void on_admin_event(evutil_socket_t fd, short what, void *arg)
{
    struct admin *a = arg;

    (void)fd;
    if ((what & EV_TIMEOUT) && a->trace)
        on_trace_begun(a, "the trace was not written to the audit in time: is the database away?",
                       -1);
    else if ((what & EV_TIMEOUT) && a->noting)
        signature_noted(a, false);
    else if (what & EV_TIMEOUT)
        admin_drop(a);
    else if (a->answer)
        admin_write(a);
    else
        admin_read(a);
}

static void admin_wait(struct admin *a, short what)
{
    struct timeval t = {what ? ADMIN_WAIT_S : SIGN_WAIT_S, 0};

    if (a->event)
        event_free(a->event);
    a->event = event_new(a->sup->base, a->fd, what, on_admin_event, a);
    if (!a->event || event_add(a->event, a->tracing ? NULL : &t))
        admin_drop(a);
}

static bool may_enter(const struct supervisor *s, int fd, struct ucred *who)
{
    socklen_t len = sizeof *who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) || len != sizeof *who)
        return false;
    return who->uid == 0 || who->uid == geteuid() || (s->has_admin_gid && who->gid == s->admin_gid);
}

static void name_peer(struct admin *a, const struct ucred *who)
{
    const struct passwd *user = getpwuid(who->uid);

    snprintf(a->who, sizeof a->who, "%.32s (uid %u, pid %d)", user ? user->pw_name : "?",
             (unsigned)who->uid, (int)who->pid);
}

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
    struct supervisor *s = arg;
    struct admin *a;
    struct ucred who;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)what;
    if (peer < 0)
        return;
    if (!may_enter(s, peer, &who) || s->admin_count >= ADMINS_MAX || !(a = calloc(1, sizeof *a))) {
        close(peer);
        return;
    }
    a->sup = s;
    a->fd = peer;
    name_peer(a, &who);
    a->next = s->admins;
    s->admins = a;
    s->admin_count++;
    admin_wait(a, EV_READ);
}

void control_socket_noted(struct supervisor *s, uint32_t number, bool audited)
{
    struct admin *a = s->admins;
    while (a && a->noting != number)
        a = a->next;
    if (a && number)
        signature_noted(a, audited);
}

void control_socket_signed(struct supervisor *s, struct bytes body)
{
    enum { NODE_BYTES = 16, SIGNATURE_BYTES = 64 };
    uint32_t number = load_be32(body.data);
    struct bytes rest = bytes_of(body.data + 5, body.len - 5);
    struct admin *a = s->admins;
    while (a && a->signing != number)
        a = a->next;
    if (!a || number == 0)
        return;
    if (body.data[4] == 1 && rest.len == NODE_BYTES + SIGNATURE_BYTES) {
        char node[2 * NODE_BYTES + 1], signature[2 * SIGNATURE_BYTES + 1], text[256];
        (void)OPENSSL_buf2hexstr_ex(node, sizeof node, NULL, rest.data, NODE_BYTES, '\0');
        (void)OPENSSL_buf2hexstr_ex(signature, sizeof signature, NULL, rest.data + NODE_BYTES,
                                    SIGNATURE_BYTES, '\0');
        snprintf(text, sizeof text, "{\"ok\": true, \"node\": \"%s\", \"signature\": \"%s\"}\n",
                 node, signature);
        a->answer = strdup(text);
    } else {
        char why[256];
        snprintf(why, sizeof why, "%.*s", (int)rest.len, (const char *)rest.data);
        a->answer = refusal(why);
    }
    a->signing = 0;
    admin_answer_or_drop(a);
}

rc_t control_socket_open(struct supervisor *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    mode_t mask;
    int failed;

    TRY(config_control_path(&s->config, at.sun_path));
    s->control_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->control_socket < 0)
        return RC_IO;
    (void)unlink(at.sun_path); /* ours: the run directory is locked */
    mask = umask(s->has_admin_gid ? 0117 : 0177);
    failed = bind(s->control_socket, (struct sockaddr *)&at, sizeof at);
    umask(mask);
    if (failed || (s->has_admin_gid && chown(at.sun_path, (uid_t)-1, s->admin_gid)) ||
        listen(s->control_socket, ADMINS_MAX)) {
        log_error("control_socket.open", "path=%s error=\"%s\"", at.sun_path, strerror(errno));
        return RC_IO;
    }
    s->on_admin = event_new(s->base, s->control_socket, EV_READ | EV_PERSIST, on_connect, s);
    return s->on_admin && !event_add(s->on_admin, NULL) ? RC_OK : RC_NO_MEMORY;
}

void control_socket_close(struct supervisor *s)
{
    char path[108];

    while (s->admins)
        admin_drop(s->admins);
    if (s->on_admin)
        event_free(s->on_admin);
    if (s->control_socket >= 0) {
        close(s->control_socket);
        if (config_control_path(&s->config, path) == RC_OK)
            (void)unlink(path);
    }
}
