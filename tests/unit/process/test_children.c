/* What becomes of children that die, hang, are not there, or outlive the supervisor. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/process/supervisor_rig.h"

START_TEST(a_killed_child_is_back_within_a_second)
{
    char was[64];
    pid_t pid;

    start();
    wait_for("state", "serving", 5000);
    for (int round = 0; round < 3; round++) {
        usleep(1100000);
        pid = pid_of("worker-1");
        snprintf(was, sizeof was, "%d", round + 1);
        kill(pid, SIGKILL);
        wait_for("workers.0.restarts", was, 1000);
        wait_for("workers.0.state", "ready", 1000);
        ck_assert_int_ne(pid_of("worker-1"), pid);
        ck_assert_int_eq(kill(pid_of("worker-1"), 0), 0);
        wait_for("workers.0.vault_channels", "1", 1000);
    }
    ck_assert(is("workers.1.restarts", "0"));
    /* a killed vault: new channels for both */
    pid = pid_of("vault");
    kill(pid, SIGKILL);
    wait_for("vault.restarts", "1", 1000);
    wait_for("vault.state", "ready", 1000);
    ck_assert_int_ne(pid_of("vault"), pid);
    wait_for("workers.0.vault_channels", "2", 1000);
    wait_for("workers.1.vault_channels", "2", 1000);
    wait_for("vault.report.peers", "2", 1000);
}
END_TEST

START_TEST(a_child_that_keeps_dying_is_neither_given_up_nor_hot)
{
    static const char *const how[] = {"die-at-once", "die-soon", "rubbish", "wrong-sender",
                                      "violate"};
    unsigned starts;

    put("behaviour-worker", "%s", how[_i]);
    start();
    wait_for("vault.state", "ready", 5000);
    usleep(2500000);
    starts = count_logged("event=child.start child=worker-1");
    /* 50, 100, 200, 400, 800, 1600 ms */
    ck_assert_msg(starts >= 4 && starts <= 8, "%s: %u starts", how[_i], starts);
    ck_assert(is("state", "starting"));
    if (!strcmp(how[_i], "violate"))
        ck_assert(logged("event=sandbox.violation profile=worker"));
    put("behaviour-worker", "well");
    wait_for("state", "serving", 6000);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_tried_again)
{
    ck_assert_int_eq(rename(in_dir("holdfast-vault"), in_dir("gone")), 0);
    start();
    wait_for("workers.0.state", "ready", 5000);
    ck_assert(logged("event=child.spawn child=vault step=\"exec\""));
    ck_assert_int_eq(rename(in_dir("gone"), in_dir("holdfast-vault")), 0);
    wait_for("state", "serving", 6000);
}
END_TEST

START_TEST(no_zombie_stays)
{
    char command[100];

    start();
    wait_for("state", "serving", 5000);
    for (int i = 0; i < 5; i++) {
        kill(pid_of("worker-1"), SIGKILL);
        kill(pid_of("worker-2"), SIGKILL);
        kill(pid_of("vault"), SIGKILL);
        usleep(200000);
    }
    wait_for("vault.state", "ready", 6000);
    wait_for("workers.0.state", "ready", 6000);
    wait_for("workers.1.state", "ready", 6000);
    snprintf(command, sizeof command, "ps -o stat= --ppid %d | grep -c Z", (int)supervisor);
    ck_assert_int_ne(system(command), 0); /* grep finds none */
}
END_TEST

START_TEST(children_die_with_the_supervisor)
{
    pid_t vault, worker;

    put("behaviour-worker", "ignore-drain");
    start();
    wait_for("state", "serving", 5000);
    vault = pid_of("vault");
    worker = pid_of("worker-1");
    kill(supervisor, SIGKILL);
    waitpid(supervisor, NULL, 0);
    supervisor = 0;
    for (int i = 0; i < 200 && (kill(vault, 0) == 0 || kill(worker, 0) == 0); i++)
        usleep(10000);
    ck_assert_int_eq(kill(vault, 0), -1);
    ck_assert_int_eq(kill(worker, 0), -1);
    start(); /* nothing is in the way of the next one */
    wait_for("state", "serving", 5000);
}
END_TEST

/* Stopped, not dead: nothing but its silence tells. */
START_TEST(a_child_that_hangs_is_replaced)
{
    pid_t vault, worker;

    start();
    wait_for("state", "serving", 5000);
    vault = pid_of("vault");
    worker = pid_of("worker-2");
    kill(vault, SIGSTOP);
    kill(worker, SIGSTOP);
    wait_for("vault.restarts", "1", 20000);
    wait_for("workers.1.restarts", "1", 3000);
    wait_for("vault.state", "ready", 2000);
    wait_for("workers.1.state", "ready", 2000);
    ck_assert_int_ne(pid_of("vault"), vault);
    ck_assert_int_ne(pid_of("worker-2"), worker);
    ck_assert(is("workers.0.restarts", "0"));
    ck_assert(logged("child=vault pid") && logged("has not reported for 15 seconds"));
}
END_TEST

TCase *children_tests(void)
{
    TCase *t = tcase_create("children");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 40);
    tcase_add_test(t, a_killed_child_is_back_within_a_second);
    tcase_add_loop_test(t, a_child_that_keeps_dying_is_neither_given_up_nor_hot, 0, 5);
    tcase_add_test(t, a_program_that_is_not_there_is_tried_again);
    tcase_add_test(t, no_zombie_stays);
    tcase_add_test(t, children_die_with_the_supervisor);
    tcase_add_test(t, a_child_that_hangs_is_replaced);
    return t;
}
