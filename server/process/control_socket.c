/*
 * The control socket of the administrator: one command line in, one JSON text out, then the end. A
 * trace goes on until the administrator leaves; its text comes from the workers, by a socket that is
 * passed along with the answer.
 * Only root, the user the server runs as, and members of admin_group (as their main group) are
 * heard; the kernel says who they are. See supervisor.h and status_client.h.
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/process/supervisor.h"

enum { COMMAND_MAX = 320, ADMIN_WAIT_S = 5, WHO_MAX = 96 };

struct admin {
    struct supervisor *sup;
    struct admin *next;
    int fd;
    struct event *event;
    char who[WHO_MAX]; /* "root (uid 0, pid 4711)", for the audit */
    char command[COMMAND_MAX];
    size_t have;
    char *answer; /* owned; NULL while the command is read */
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

/* Waits for the next byte to read or for room to write. */
static void admin_wait(struct admin *a, short what);

static void admin_refuse(struct admin *a, const char *error)
{
    char text[256];

    snprintf(text, sizeof text, "{\"ok\": false, \"error\": \"%s\"}\n", error);
    a->answer = strdup(text);
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
    struct msghdr msg = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = extra.room, .msg_controllen = sizeof extra.room};
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
    } else {
        admin_refuse(a, "no such command: say status, reload, domains, drain, stop or trace");
    }
    a->answer_len = a->answer ? strlen(a->answer) : 0;
}

static void admin_read(struct admin *a)
{
    ssize_t n;
    char *end;

    if (a->trace)
        a->have = 0; /* no second command: whatever comes is dropped, and an end ends the trace */
    n = recv(a->fd, a->command + a->have, sizeof a->command - 1 - a->have, 0);

    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            admin_drop(a);
        else
            admin_wait(a, EV_READ);
        return;
    }
    if (a->trace) {
        admin_wait(a, EV_READ);
        return;
    }
    a->have += (size_t)n;
    a->command[a->have] = 0;
    end = strchr(a->command, '\n');
    if (end) {
        *end = 0;
        admin_run(a);
        if (a->answer || a->trace)
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

static void on_admin_event(evutil_socket_t fd, short what, void *arg)
{
    struct admin *a = arg;

    (void)fd;
    if ((what & EV_TIMEOUT) && a->trace)
        on_trace_begun(a, "the trace was not written to the audit in time: is the database away?", -1);
    else if (what & EV_TIMEOUT)
        admin_drop(a);
    else if (a->answer)
        admin_write(a);
    else
        admin_read(a);
}

static void admin_wait(struct admin *a, short what)
{
    struct timeval t = {ADMIN_WAIT_S, 0};

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

    snprintf(a->who, sizeof a->who, "%.32s (uid %u, pid %d)", user ? user->pw_name : "?", (unsigned)who->uid,
             (int)who->pid);
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
