/* What the supervisor tells systemd. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "tests/unit/process/supervisor_rig.h"

/* The socket that systemd would give. */
static int notify_open(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval wait = {5, 0};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", in_dir("notify"));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    start();
    unsetenv("NOTIFY_SOCKET");
    return fd;
}

/* The next message but for STATUS, which comes whenever the vault has news; empty after `ms`. */
static const char *hear(int fd, int ms)
{
    static char text[300];
    struct timeval wait = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    do {
        n = recv(fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
    } while (!strncmp(text, "STATUS=", 7));
    return text;
}

START_TEST(systemd_hears_of_it)
{
    static const char reloading[] = "RELOADING=1\nMONOTONIC_USEC=";
    int fd = notify_open();

    ck_assert_str_eq(hear(fd, 5000), "READY=1");
    kill(supervisor, SIGHUP);
    ck_assert_int_eq(strncmp(hear(fd, 5000), reloading, sizeof reloading - 1), 0);
    ck_assert_str_eq(hear(fd, 5000), "READY=1");
    kill(supervisor, SIGTERM);
    ck_assert_str_eq(hear(fd, 5000), "STOPPING=1");
    ck_assert_int_eq(wait_end(3000), 0);
    close(fd);
}
END_TEST

/* A reload that comes before all children are up says nothing of readiness. */
START_TEST(systemd_is_told_ready_only_when_it_is_true)
{
    int fd;

    put("behaviour-worker", "never-ready");
    fd = notify_open();
    wait_for("vault.state", "ready", 5000);
    kill(supervisor, SIGHUP);
    ck_assert_str_eq(hear(fd, 700), "");
    ck_assert(logged("event=config.reload"));
    ck_assert(is("state", "starting"));
    put("behaviour-worker", "well");
    kill(pid_of("worker-1"), SIGKILL);
    kill(pid_of("worker-2"), SIGKILL);
    ck_assert_str_eq(hear(fd, 5000), "READY=1");
    close(fd);
}
END_TEST

START_TEST(systemd_hears_of_life_and_of_the_vaults_state)
{
    char text[300] = "";
    unsigned alive = 0, said = 0;
    int64_t until;
    int fd;
    ssize_t n;

    setenv("WATCHDOG_USEC", "200000", 1);
    fd = notify_open();
    unsetenv("WATCHDOG_USEC");
    wait_for("state", "serving", 5000);
    until = clock_monotonic_us() + 1000000;
    while (clock_monotonic_us() < until && (n = recv(fd, text, sizeof text - 1, 0)) > 0) {
        text[n] = 0;
        alive += !strcmp(text, "WATCHDOG=1");
        said += !strncmp(text, "STATUS=vault serving", 20);
        ck_assert(!strstr(text, "\nFORGED=1")); /* a line of the fake's own in its report */
    }
    ck_assert_uint_ge(alive, 5);
    ck_assert_uint_eq(said, 1); /* though the fake reports five times a second */
    close(fd);
}
END_TEST

TCase *systemd_tests(void)
{
    TCase *t = tcase_create("systemd");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 40);
    tcase_add_test(t, systemd_hears_of_it);
    tcase_add_test(t, systemd_is_told_ready_only_when_it_is_true);
    tcase_add_test(t, systemd_hears_of_life_and_of_the_vaults_state);
    return t;
}
