/*
 * See wait.h.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "server/base/clock.h"
#include "server/forward/wait.h"

enum { GRACE_MS = 5000 };

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
static volatile sig_atomic_t asked;
static sigset_t while_waiting;
static int64_t last_us; /* when the grace ends; 0: not asked to end */

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

void wait_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&blocked, signals[i]);
    /* Blocked but while waiting, none is missed between a look at the flag and the wait. */
    sigprocmask(SIG_BLOCK, &blocked, &while_waiting);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigdelset(&while_waiting, signals[i]);
        sigaction(signals[i], &act, NULL);
    }
}

bool wait_stopped(void)
{
    if (asked && last_us == 0)
        last_us = clock_monotonic_us() + GRACE_MS * INT64_C(1000);
    return asked;
}

/* What is left until the deadline, no more than the grace; 0 when it has passed. */
static int64_t left_us(int64_t deadline)
{
    if (wait_stopped() && last_us < deadline)
        deadline = last_us;
    int64_t left = deadline - clock_monotonic_us();
    return left > 0 ? left : 0;
}

bool wait_given_up(void)
{
    return wait_stopped() && clock_monotonic_us() >= last_us;
}

static int poll_for(struct pollfd *p, nfds_t count, int64_t us)
{
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return ppoll(p, count, &time, &while_waiting);
}

short wait_fd(int fd, short events, unsigned limit_ms)
{
    int64_t deadline = clock_monotonic_us() + limit_ms * INT64_C(1000);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = left_us(deadline);
        if (poll_for(&p, 1, left) > 0)
            return p.revents;
        if (left == 0)
            return 0;
    }
}

void wait_ms(unsigned ms)
{
    int64_t deadline = clock_monotonic_us() + ms * INT64_C(1000), left;
    while (!wait_stopped() && (left = deadline - clock_monotonic_us()) > 0)
        poll_for(NULL, 0, left);
}
