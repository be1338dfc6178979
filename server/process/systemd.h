/*
 * Tells systemd how the service stands (sd_notify(3)): one datagram to the socket named by
 * NOTIFY_SOCKET. Without systemd every call does nothing.
 */
#ifndef SERVER_PROCESS_SYSTEMD_H
#define SERVER_PROCESS_SYSTEMD_H

#include <stdint.h>

/* Reads and removes NOTIFY_SOCKET and WATCHDOG_USEC of the environment. */
void systemd_open(void);
void systemd_ready(void);
void systemd_reloading(void);
void systemd_stopping(void);
void systemd_watchdog(void);
/* One line for `systemctl status`; told when it is another than before. */
void systemd_status(const char *text);
/* Interval of systemd_watchdog() calls in ms; 0 when none is wanted. */
uint32_t systemd_watchdog_ms(void);

#endif
