/*
 * Sockets of the forwarder; see link.h.
 */
#include "config.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/forward/link_impl.h"
#include "server/forward/wait.h"

enum {
    WRITE_BYTES = 64 * 1024, /* framed messages are written in pieces of about this size */
    LOOK_MS = 2,             /* between two looks at the kernel's queue */
};

int64_t link_deadline(const struct link *link)
{
    return clock_monotonic_us() + link->settings->timeout_ms * INT64_C(1000);
}

bool link_is_over(int64_t deadline)
{
    return clock_monotonic_us() > deadline || wait_given_up();
}

unsigned link_left_ms(int64_t deadline)
{
    int64_t left = (deadline - clock_monotonic_us()) / 1000;
    return left > 0 ? (unsigned)left + 1 : 0;
}

rc_t link_fail(rc_t rc, char why[static LINK_WHY], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, LINK_WHY, fmt, args);
    va_end(args);
    return rc;
}

rc_t link_new(const struct target *target, const struct link_settings *settings, struct link **out,
              char why[static LINK_WHY])
{
    struct link *link = calloc(1, sizeof *link);
    *out = link;
    if (!link)
        return link_fail(RC_NO_MEMORY, why, "out of memory");
    link->target = target;
    link->settings = settings;
    link->fd = -1;
    return target->kind == TARGET_TLS ? link_tls_load(link, why) : RC_OK;
}

void link_close(struct link *link)
{
    SSL_free(link->ssl);
    link->ssl = NULL;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    buf_clear(&link->out);
}

void link_free(struct link **link)
{
    if (!*link)
        return;
    link_close(*link);
    SSL_CTX_free((*link)->ctx);
    buf_free(&(*link)->out);
    free(*link);
    *link = NULL;
}

/* ---- connecting ---- */

/* Waits for a connection under way. Leaves errno. */
static bool connected(int fd, const struct sockaddr *address, socklen_t len, unsigned limit_ms)
{
    if (connect(fd, address, len) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    int error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (wait_fd(fd, POLLOUT, limit_ms))
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
}

static struct sockaddr_un unix_address(const struct target *t)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, t->host, strlen(t->host)); /* target_find() has seen that it fits */
    return address;
}

static rc_t connect_unix(struct link *link, char why[static LINK_WHY])
{
    const struct target *t = link->target;
    struct sockaddr_un address = unix_address(t);
    if (stat(t->host, &link->place) != 0)
        return link_fail(RC_UNAVAILABLE, why, "no connection to the socket %s: %s", t->host, strerror(errno));
    link->fd = socket(AF_UNIX, (t->kind == TARGET_UNIX ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->fd >= 0 && connect(link->fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return RC_OK;
    return link_fail(RC_UNAVAILABLE, why, "no connection to the socket %s: %s", t->host, strerror(errno));
}

/* A receiver's host that is gone is found out: by keep-alives while idle, by unacknowledged data otherwise. */
static void set_options(int fd, const struct link *link)
{
    int one = 1;
    unsigned limit = link->settings->timeout_ms;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

static rc_t connect_inet(struct link *link, char why[static LINK_WHY])
{
    const struct target *t = link->target;
    struct addrinfo hints = {.ai_socktype = t->kind == TARGET_UDP ? SOCK_DGRAM : SOCK_STREAM}, *list = NULL;
    int failed = getaddrinfo(t->host, t->port, &hints, &list), error = 0;
    if (failed)
        return link_fail(RC_UNAVAILABLE, why, "the host %s is not known: %s", t->host, gai_strerror(failed));
    for (const struct addrinfo *a = list; a && link->fd < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        if (fd >= 0 && t->kind != TARGET_UDP)
            set_options(fd, link);
        if (fd >= 0 && connected(fd, a->ai_addr, a->ai_addrlen, link->settings->timeout_ms)) {
            link->fd = fd;
            break;
        }
        error = errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(list);
    if (link->fd >= 0)
        return RC_OK;
    return link_fail(RC_UNAVAILABLE, why, "no connection to %s port %s: %s", t->host, t->port, strerror(error));
}

/* Whether the receiver of an open stream is still there; takes what it says, which means nothing to us. */
static bool alive(struct link *link)
{
    char junk[256];
    if (target_datagrams(link->target))
        return true;
    if (link->ssl)
        return link_tls_alive(link);
    for (int i = 0; i < LINK_ALIVE_READS; i++) {
        ssize_t n = recv(link->fd, junk, sizeof junk, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    return true; /* it talks without end: that is its own affair */
}

rc_t link_open(struct link *link, char why[static LINK_WHY])
{
    if (link->fd >= 0 && alive(link))
        return RC_OK;
    link_close(link);
    rc_t rc = target_local(link->target) ? connect_unix(link, why) : connect_inet(link, why);
    if (rc == RC_OK && link->target->kind == TARGET_TLS)
        rc = link_tls_shake(link, why);
    if (rc != RC_OK)
        link_close(link);
    return rc;
}

/* ---- sending ---- */

static rc_t broken(const struct link *link, char why[static LINK_WHY], const char *what)
{
    const struct target *t = link->target;
    return link_fail(RC_IO, why, "%s%s%s: %s", t->host, *t->port ? " port " : "", t->port, what);
}

static rc_t write_plain(struct link *link, struct bytes data, char why[static LINK_WHY])
{
    while (data.len > 0) {
        ssize_t n = send(link->fd, data.data, data.len, MSG_NOSIGNAL);
        if (n >= 0) {
            data.data += n;
            data.len -= (size_t)n;
        } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
            return broken(link, why, strerror(errno));
        } else if (!wait_fd(link->fd, POLLOUT, link->settings->timeout_ms)) {
            return broken(link, why, "the receiver does not take any more data");
        }
    }
    return RC_OK;
}

static rc_t flush(struct link *link, char why[static LINK_WHY])
{
    struct bytes all = buf_view(&link->out);
    TRY(link->ssl ? link_tls_write(link, all, why) : write_plain(link, all, why));
    buf_clear(&link->out);
    return RC_OK;
}

static rc_t send_datagram(struct link *link, struct bytes message, char why[static LINK_WHY])
{
    int64_t deadline = link_deadline(link);
    while (send(link->fd, message.data, message.len, MSG_NOSIGNAL) < 0) {
        if (errno == EMSGSIZE)
            return link_fail(RC_TOO_LARGE, why, "a message of %zu bytes is too long for a datagram", message.len);
        bool full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
        /* What ICMP told of an earlier datagram, which udp does not promise to deliver. */
        if (link->target->kind == TARGET_UDP && errno == ECONNREFUSED)
            continue;
        if (!full)
            return broken(link, why, strerror(errno));
        bool by_poll = errno != ENOBUFS;
        if (link_is_over(deadline))
            return broken(link, why, "the receiver does not take any more messages");
        wait_fd(by_poll ? link->fd : -1, POLLOUT, by_poll ? link->settings->timeout_ms : LOOK_MS);
    }
    return RC_OK;
}

rc_t link_send(struct link *link, struct bytes message, char why[static LINK_WHY])
{
    if (target_datagrams(link->target))
        return send_datagram(link, message, why);
    if (buf_add_fmt(&link->out, "%zu ", message.len) != RC_OK || buf_add_bytes(&link->out, message) != RC_OK)
        return link_fail(RC_NO_MEMORY, why, "out of memory");
    return link->out.len < WRITE_BYTES ? RC_OK : flush(link, why);
}

/* ---- making sure ---- */

/* Until the kernel's queue is empty: the other side's kernel has all, or with a UNIX socket its program. */
static rc_t wait_empty(struct link *link, char why[static LINK_WHY])
{
    int64_t deadline = link_deadline(link);
    for (int queued = 0, last = -1;; last = queued) {
        if (ioctl(link->fd, SIOCOUTQ, &queued) != 0)
            return broken(link, why, strerror(errno));
        if (queued == 0)
            return RC_OK;
        if (last >= 0 && queued < last)
            deadline = link_deadline(link);
        if (link_is_over(deadline))
            return broken(link, why, "the receiver does not acknowledge what was sent");
        /* Not for POLLOUT, which is there long before the queue is empty. */
        wait_fd(-1, 0, LOOK_MS);
    }
}

static rc_t confirm_open(struct link *link, char why[static LINK_WHY])
{
    TRY(wait_empty(link, why));
    /* A queue is emptied by a broken connection too. */
    if (wait_fd(link->fd, POLLRDHUP, 0) || !alive(link))
        return broken(link, why, "the receiver closed the connection");
    return RC_OK;
}

static rc_t confirm_unix(struct link *link, char why[static LINK_WHY])
{
    struct sockaddr_un address = unix_address(link->target);
    struct stat now;
    TRY(wait_empty(link, why));
    /* The queue of a receiver that died is empty as well: ask whether it is there, and still the same. */
    if (connect(link->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        stat(link->target->host, &now) != 0)
        return broken(link, why, strerror(errno));
    if (now.st_ino != link->place.st_ino || now.st_ctim.tv_sec != link->place.st_ctim.tv_sec ||
        now.st_ctim.tv_nsec != link->place.st_ctim.tv_nsec)
        return broken(link, why, "another receiver has taken the socket's place");
    return RC_OK;
}

static rc_t read_to_end(struct link *link, char why[static LINK_WHY])
{
    char junk[4096];
    const int64_t deadline = link_deadline(link);
    for (;;) {
        ssize_t n = recv(link->fd, junk, sizeof junk, 0);
        if (n == 0)
            return RC_OK;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return broken(link, why, strerror(errno));
        if (link_is_over(deadline) || (n < 0 && !wait_fd(link->fd, POLLIN, link_left_ms(deadline))))
            return broken(link, why, LINK_NO_END);
    }
}

/* Ends our side and waits for the other side's end, which only a receiver that has read all of it gives. */
static rc_t confirm_close(struct link *link, char why[static LINK_WHY])
{
    int error = 0;
    socklen_t size = sizeof error;
    if (link->ssl)
        TRY(link_tls_end(link, why));
    if (shutdown(link->fd, SHUT_WR) != 0)
        return broken(link, why, strerror(errno));
    TRY(link->ssl ? link_tls_read_to_end(link, why) : read_to_end(link, why));
    /* A receiver that closed before our data came gives an end too, but no acknowledgement of them. */
    TRY(wait_empty(link, why));
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
        return broken(link, why, strerror(error));
    link_close(link);
    return RC_OK;
}

rc_t link_confirm(struct link *link, char why[static LINK_WHY])
{
    rc_t rc = flush(link, why);
    if (rc == RC_OK && link->target->kind == TARGET_UNIX)
        rc = confirm_unix(link, why);
    else if (rc == RC_OK && !target_datagrams(link->target))
        rc = link->settings->keep_open ? confirm_open(link, why) : confirm_close(link, why);
    if (rc != RC_OK)
        link_close(link);
    return rc;
}
