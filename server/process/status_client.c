/* The other end of the control socket; see status_client.h. */
#include "config.h"

#include "server/process/status_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/clock.h"

enum { ANSWER_MAX = 1 << 20 };

rc_t status_reach(const char *path, int *fd_out)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int error;

    if (strlen(path) >= sizeof to.sun_path)
        return RC_CONFIG;
    memcpy(to.sun_path, path, strlen(path));
    *fd_out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd_out < 0)
        return RC_IO;
    if (connect(*fd_out, (struct sockaddr *)&to, sizeof to) == 0)
        return RC_OK;
    error = errno;
    close(*fd_out);
    if (error == ENOENT || error == ECONNREFUSED)
        return RC_UNAVAILABLE;
    return error == EACCES || error == EPERM ? RC_DENIED : RC_IO;
}

static rc_t read_answer(int fd, int64_t until, struct buf *json)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t before = json->len;
    ssize_t n;

    for (;;) {
        int64_t left = (until - clock_monotonic_us()) / 1000;
        if (left <= 0 || json->len - before > ANSWER_MAX)
            return RC_TIMEOUT;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        TRY(buf_reserve(json, 4096));
        n = recv(fd, json->data + json->len, json->room - json->len, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0) /* a server that does not want us closes before it reads */
            return errno == ECONNRESET && json->len == before ? RC_DENIED : RC_IO;
        if (n == 0)
            return json->len > before ? RC_OK : RC_DENIED;
        json->len += (size_t)n;
    }
}

rc_t status_ask(const char *path, const char *command, int wait_ms, struct buf *json)
{
    int64_t until = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    AUTO_BUF line = BUF_EMPTY;
    int fd = -1;
    rc_t rc;

    TRY(buf_add_fmt(&line, "%s\n", command));
    TRY(status_reach(path, &fd));
    rc = send(fd, line.data, line.len, MSG_NOSIGNAL) == (ssize_t)line.len ? RC_OK : RC_DENIED;
    if (rc == RC_OK)
        rc = read_answer(fd, until, json);
    close(fd);
    return rc;
}
