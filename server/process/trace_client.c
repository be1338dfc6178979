/* Asks for a trace and takes the socket that its text comes by; see trace_client.h. */
#include "config.h"

#include "server/process/trace_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/process/status_client.h"

/* The answer, and the descriptor that came with it. */
static rc_t receive(int line, int *fd, struct buf *why)
{
    char text[512];
    struct iovec part = {text, sizeof text};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } extra;
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.room, .msg_controllen = sizeof extra.room};
    ssize_t n = recvmsg(line, &msg, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? RC_DENIED : RC_IO; /* who is not wanted is not answered */
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
        return RC_OK;
    }
    TRY(buf_add(why, text, (size_t)n));
    return RC_BUSY;
}

rc_t trace_ask(const char *path, bool json, const char *whom, int wait_ms, int *line, int *text, struct buf *why)
{
    AUTO_BUF command = BUF_EMPTY;
    TRY(buf_add_fmt(&command, "trace %s %s\n", json ? "json" : "text", whom));
    TRY(status_reach(path, line));
    struct pollfd p = {.fd = *line, .events = POLLIN};
    rc_t rc = send(*line, command.data, command.len, MSG_NOSIGNAL) == (ssize_t)command.len ? RC_OK : RC_DENIED;
    if (rc == RC_OK)
        rc = poll(&p, 1, wait_ms) > 0 ? receive(*line, text, why) : RC_TIMEOUT;
    if (rc != RC_OK) {
        close(*line);
        *line = -1;
    }
    return rc;
}
