/*
 * Waiting for a socket or for time to pass, and being asked to end: SIGTERM, SIGINT and SIGHUP are seen only
 * while waiting. Who is asked to end finishes what is under way, but waits no longer than a few seconds for it.
 */
#ifndef SERVER_FORWARD_WAIT_H
#define SERVER_FORWARD_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the signals over, for good; ignores SIGPIPE. Once, at start. */
void wait_signals(void);
/* Whether one of them came. */
bool wait_stopped(void);
/*
 * Waits until the descriptor has one of `events` (as of poll()) or an error. Returns what it has; 0 when
 * `limit_ms` passed. Once asked to end it waits for 5 s in all at most.
 */
short wait_fd(int fd, short events, unsigned limit_ms);
/* Whether it was asked to end and those seconds are over. */
bool wait_given_up(void);
/* Sleeps, but not once asked to end. */
void wait_ms(unsigned ms);

#endif
