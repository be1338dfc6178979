/*
 * The notification protocol of systemd, spoken directly: it is a line of text in a datagram, and a
 * library would be the larger risk in a process that runs as root. See systemd.h.
 */
#include "config.h"

#include "server/process/systemd.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/clock.h"

static int notify_fd = -1;
static struct sockaddr_un notify_to;
static socklen_t notify_len;
static uint32_t watchdog_ms;

void systemd_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    size_t len = path ? strlen(path) : 0;

    if (len > 1 && len < sizeof notify_to.sun_path && (path[0] == '/' || path[0] == '@')) {
        notify_to.sun_family = AF_UNIX;
        memcpy(notify_to.sun_path, path, len);
        if (path[0] == '@') /* the abstract name space begins with a zero byte */
            notify_to.sun_path[0] = 0;
        notify_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
        notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (usec && (!pid || strtol(pid, NULL, 10) == (long)getpid()))
        watchdog_ms = (uint32_t)(strtoull(usec, NULL, 10) / 2000 % 3600000);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void tell(const char *text)
{
    if (notify_fd >= 0)
        (void)!sendto(notify_fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&notify_to,
                      notify_len);
}

void systemd_ready(void)
{
    tell("READY=1");
}

void systemd_reloading(void)
{
    char text[80];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
    tell(text);
}

void systemd_stopping(void)
{
    tell("STOPPING=1");
}

void systemd_watchdog(void)
{
    tell("WATCHDOG=1");
}

void systemd_status(const char *status)
{
    static char said[256];
    char text[256];

    snprintf(text, sizeof text, "STATUS=%s", status);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ') /* a line of its own would be another message */
            *p = '?';
    if (!strcmp(text, said))
        return;
    memcpy(said, text, sizeof said);
    tell(text);
}

uint32_t systemd_watchdog_ms(void)
{
    return notify_fd >= 0 ? watchdog_ms : 0;
}
