/*
 * Sends and receives the messages of the control channel; control.def is the law. See control.h.
 */
#include "config.h"

#include "server/ipc/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/clock.h"

enum { HEAD_BYTES = 4, MAGIC = 0x4846 }; /* u16 magic | u16 code */

struct rule {
    const char *name;
    unsigned from;
    size_t least, most;
    unsigned least_fds, most_fds;
};

static const struct rule rules[CONTROL_COUNT] = {
#define CONTROL(code, from, least, most, least_fds, most_fds)                                      \
    [CONTROL_##code] = {#code, from, least, most, least_fds, most_fds},
#include "server/ipc/control.def"
#undef CONTROL
};

const char *control_name(enum control_code code)
{
    return (unsigned)code < CONTROL_COUNT && rules[code].name ? rules[code].name : "unknown";
}

static bool allowed(unsigned code, enum control_side from, size_t len, unsigned fds)
{
    return code < CONTROL_COUNT && rules[code].name && (rules[code].from & (unsigned)from) &&
           len >= rules[code].least && len <= rules[code].most && fds >= rules[code].least_fds &&
           fds <= rules[code].most_fds;
}

rc_t control_pair(int ends[static 2])
{
    int room = 4 * CONTROL_BODY_MAX;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
        return RC_IO;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return RC_OK;
}

rc_t control_send(int fd, enum control_side me, enum control_code code, struct bytes body,
                  const int *fds, unsigned fd_count)
{
    uint8_t head[HEAD_BYTES];
    struct iovec parts[2] = {{head, sizeof head}, {(void *)(uintptr_t)body.data, body.len}};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
    } extra = {0};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    struct cmsghdr *c;

    if (!allowed(code, me, body.len, fd_count))
        return RC_INTERNAL;
    store_be16(head, MAGIC);
    store_be16(head + 2, (uint16_t)code);
    if (fd_count) {
        msg.msg_control = extra.room;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    for (;;) {
        if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return RC_OK;
        if (errno == EINTR)
            continue;
        return errno == EAGAIN || errno == ENOBUFS ? RC_BUSY : RC_IO;
    }
}

/* Collects what came along; more than fits was cut by the kernel, which shows in MSG_CTRUNC. */
static void collect(struct msghdr *msg, struct control_message *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && out->fd_count < CONTROL_FDS_MAX; i++)
            memcpy(&out->fds[out->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

rc_t control_receive(int fd, enum control_side from, struct control_message *out)
{
    uint8_t head[HEAD_BYTES];
    struct iovec parts[2] = {{head, sizeof head}, {out->body, sizeof out->body}};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
    } extra;
    struct msghdr msg = {.msg_iov = parts,
                         .msg_iovlen = 2,
                         .msg_control = extra.room,
                         .msg_controllen = sizeof extra.room};
    ssize_t n;

    out->code = CONTROL_NONE;
    out->fd_count = 0;
    out->len = 0;
    do
        n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? RC_BUSY : RC_IO;
    collect(&msg, out);
    if (n == 0 && !out->fd_count)
        return RC_IO; /* no message is empty, so this is the end */
    if (n < HEAD_BYTES || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || load_be16(head) != MAGIC ||
        !allowed(load_be16(head + 2), from, (size_t)n - HEAD_BYTES, out->fd_count)) {
        control_close(out);
        return RC_PROTOCOL;
    }
    out->code = (enum control_code)load_be16(head + 2);
    out->len = (size_t)n - HEAD_BYTES;
    return RC_OK;
}

rc_t control_await(int fd, enum control_side from, enum control_code code, int wait_ms,
                   struct control_message *out)
{
    int64_t until = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        rc_t rc = control_receive(fd, from, out);
        int64_t left = (until - clock_monotonic_us() + 999) / 1000;

        if (rc == RC_OK && out->code != code) {
            control_close(out);
            return RC_PROTOCOL;
        }
        if (rc != RC_BUSY)
            return rc;
        if (left <= 0)
            return RC_TIMEOUT;
        (void)poll(&p, 1, (int)left);
    }
}

int control_take(struct control_message *m, unsigned i)
{
    int fd;

    if (i >= m->fd_count)
        return -1;
    fd = m->fds[i];
    m->fds[i] = -1;
    return fd;
}

void control_close(struct control_message *m)
{
    for (unsigned i = 0; i < m->fd_count; i++)
        if (m->fds[i] >= 0)
            close(m->fds[i]);
    m->fd_count = 0;
}
