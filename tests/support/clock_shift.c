/*
 * A library to preload: the wall clock of a process, moved by the seconds that stand in a shared file.
 * The file is mapped when the process starts, before its sandbox closes, and read without a call, so
 * the clocks of all processes move together, at once and while they run. The monotonic clock is left
 * alone, as it is when somebody sets the clock of a machine. HOLDFAST_CLOCK names the file: 8 bytes,
 * seconds, in the machine's order. Used by tests/system/test_clock.py; never installed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_s;

__attribute__((constructor)) static void clock_map(void)
{
    const char *path = getenv("HOLDFAST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        static const char why[] = "clock_shift: HOLDFAST_CLOCK does not name a readable file\n";
        (void)!write(STDERR_FILENO, why, sizeof why - 1);
        abort(); /* a test that believes in a moved clock must not run without one */
    }
    close(fd);
    offset_s = at;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int failed = (int)syscall(SYS_clock_gettime, id, t);
    if (!failed && offset_s && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        t->tv_sec += *offset_s;
    return failed;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;
    (void)zone; /* obsolete */
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
