/*
 * The supervisor with small real children: how it serves, drains, reloads, answers on the control socket, and what
 * rights it keeps. Its children are in test_children.c, what systemd hears in test_systemd.c.
 */
#include "config.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "tests/unit/process/supervisor_rig.h"

START_TEST(it_serves_with_pid_files_and_a_status)
{
    start();
    wait_for("state", "serving", 5000);
    ck_assert_int_eq(pid_of("supervisor"), supervisor);
    ck_assert_int_eq(kill(pid_of("vault"), 0), 0);
    ck_assert_int_eq(kill(pid_of("worker-1"), 0), 0);
    ck_assert_int_eq(kill(pid_of("worker-2"), 0), 0);
    wait_for("workers.1.connections", "3", 2000);
    wait_for("database.state", "up", 2000);
    wait_for("totals.groups", "14", 2000);
    wait_for("vault.report.peers", "2", 2000);
    ck_assert(is("tpm_kind", "software"));
    ck_assert(!logged("fake.leak"));
    kill(supervisor, SIGTERM);
    ck_assert_int_eq(wait_end(3000), 0);
    ck_assert_int_eq(pid_of("supervisor"), 0);
    ck_assert_int_eq(pid_of("worker-1"), 0);
    ck_assert_int_eq(access(in_dir("run/control.sock"), F_OK), -1);
}
END_TEST

START_TEST(drain_ends_what_ignores_it)
{
    int64_t began;

    put("behaviour-worker", "ignore-drain");
    put("behaviour-vault", "ignore-drain");
    put_config("[server]\ndrain_ms = 500\n");
    start();
    wait_for("state", "serving", 5000);
    began = clock_monotonic_us();
    kill(supervisor, SIGTERM);
    usleep(100000);
    wait_for("state", "draining", 300);
    ck_assert_int_eq(wait_end(6000), 0);
    ck_assert_int_ge((clock_monotonic_us() - began) / 1000, 400);
}
END_TEST

/* A worker that needs all of its time ends by itself: its clients get an end in order. */
START_TEST(a_drain_may_take_all_of_its_time)
{
    put("behaviour-worker", "drain-to-the-end");
    put_config("[server]\ndrain_ms = 300\n");
    start();
    wait_for("state", "serving", 5000);
    kill(supervisor, SIGTERM);
    ck_assert_int_eq(wait_end(10000), 0);
    ck_assert(!logged("event=child.kill"));
}
END_TEST

START_TEST(a_second_signal_or_stop_ends_at_once)
{
    AUTO_BUF text = BUF_EMPTY;

    put("behaviour-worker", "ignore-drain");
    start();
    wait_for("state", "serving", 5000);
    kill(supervisor, SIGTERM);
    wait_for("state", "draining", 2000);
    if (_i == 0)
        kill(supervisor, SIGTERM);
    else
        ck_assert_int_eq(status_ask(in_dir("run/control.sock"), "stop", 2000, &text), RC_OK);
    ck_assert_int_eq(wait_end(3000), 0);
}
END_TEST

START_TEST(changed_certificates_and_options_reach_the_workers)
{
    AUTO_BUF text = BUF_EMPTY;

    start();
    wait_for("state", "serving", 5000);
    wait_for("workers.0.in_flight", "600000", 2000); /* the fake shows limits_idle_ms there */
    put("cert", "another");
    wait_for("workers.0.tls_reloads", "1", 2000);
    wait_for("workers.1.tls_reloads", "1", 2000);
    put_config("[limits]\nidle_ms = 1234\n[server]\nlisten_backlog = 7\n");
    kill(supervisor, SIGHUP);
    wait_for("workers.0.in_flight", "1234", 2000);
    wait_for("workers.1.in_flight", "1234", 2000);
    ck_assert(logged("needs_restart=\"server.listen_backlog\""));
    put_config("[limits]\nidle_ms = never\n");
    ck_assert_int_eq(status_ask(in_dir("run/control.sock"), "reload", 2000, &text), RC_OK);
    ck_assert(logged("kept the old configuration"));
    ck_assert(is("workers.0.in_flight", "1234"));
    ck_assert(is("workers.0.restarts", "0"));
    put("node.state", "another");
    wait_for("vault.restarts", "1", 2000);
    wait_for("vault.state", "ready", 2000);
}
END_TEST

START_TEST(only_one_runs_in_a_directory)
{
    pid_t first;
    int st = 0;

    start();
    wait_for("state", "serving", 5000);
    first = supervisor;
    start();
    ck_assert_int_eq(waitpid(supervisor, &st, 0), supervisor);
    ck_assert_int_eq(WEXITSTATUS(st), 1);
    ck_assert(logged("another holdfastd runs there"));
    supervisor = first;
    ck_assert(is("state", "serving"));
    ck_assert_int_eq(pid_of("supervisor"), first);
}
END_TEST

static void ask_raw(const char *text, size_t len, const char *wanted)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char answer[400] = "";
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t have = 0;
    ssize_t n;

    snprintf(to.sun_path, sizeof to.sun_path, "%s", in_dir("run/control.sock"));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    (void)!send(fd, text, len, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while ((n = read(fd, answer + have, sizeof answer - 1 - have)) > 0)
        have += (size_t)n;
    close(fd);
    ck_assert_msg(wanted ? strstr(answer, wanted) != NULL : !*answer, "%s", answer);
}

START_TEST(the_control_socket_takes_commands_only)
{
    AUTO_BUF text = BUF_EMPTY;
    static char big[1000];
    struct stat st;
    pid_t other;
    int status_other = 0;

    start();
    wait_for("state", "serving", 5000);
    ck_assert_int_eq(stat(in_dir("run/control.sock"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ask_raw("dance\n", 6, "no such command");
    memset(big, 'x', sizeof big);
    ask_raw(big, sizeof big, NULL);
    ask_raw("", 0, NULL);
    ask_raw("status", 6, NULL);
    ck_assert_int_eq(status_ask(in_dir("run/nowhere.sock"), "status", 500, &text), RC_UNAVAILABLE);
    if (geteuid() == 0) {
        ck_assert_int_eq(chmod(in_dir("run/control.sock"), 0666), 0);
        other = fork();
        if (other == 0) {
            rc_t rc = setuid(65534) ? RC_OK
                                    : status_ask(in_dir("run/control.sock"), "status", 500, &text);
            _exit(rc == RC_DENIED ? 0 : 1);
        }
        waitpid(other, &status_other, 0);
        ck_assert_int_eq(status_other, 0);
    }
    ck_assert(is("state", "serving"));
}
END_TEST

START_TEST(few_rights_are_left)
{
    char command[200];

    if (geteuid() != 0)
        return;
    start();
    wait_for("state", "serving", 5000);
    /* CAP_KILL, CAP_SETGID, CAP_SETUID = bits 5, 6, 7 */
    snprintf(command, sizeof command,
             "grep -q 'CapEff:.00000000000000e0' /proc/%d/status && "
             "grep -q 'CapBnd:.00000000000000e0' /proc/%d/status && "
             "grep -q 'CapEff:.0000000000000000' /proc/%d/status",
             (int)supervisor, (int)supervisor, (int)pid_of("vault"));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* With the rights that the systemd unit gives, and no more. */
START_TEST(the_rights_of_the_unit_are_enough)
{
    static const unsigned given[] = {CAP_SETUID, CAP_SETGID, CAP_KILL};
    const struct group *group = getgrgid(1);
    struct stat st;
    pid_t beside;
    int status_beside = 0;

    if (geteuid() != 0 || !group)
        return;
    beside = fork(); /* so that only the child loses the others */
    if (beside == 0) {
        char extra[80];
        snprintf(extra, sizeof extra, "[server]\nadmin_group = %s\n", group->gr_name);
        put_config(extra);
        for (unsigned cap = 0; cap < 64; cap++)
            if (cap != given[0] && cap != given[1] && cap != given[2])
                (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        start();
        wait_for("state", "serving", 5000);
        ck_assert_int_eq(stat(in_dir("run/control.sock"), &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0660);
        ck_assert_uint_eq(st.st_gid, group->gr_gid);
        kill(supervisor, SIGTERM);
        ck_assert_int_eq(wait_end(3000), 0);
        _exit(0);
    }
    waitpid(beside, &status_beside, 0);
    if (status_beside)
        show_log();
    ck_assert_int_eq(status_beside, 0);
}
END_TEST

/* The look at the files on a reload is not lost to the vault. */
START_TEST(a_new_node_state_reaches_the_vault_on_a_reload_too)
{
    file_poll_ms = 3600000;
    put_config("");
    start();
    wait_for("state", "serving", 5000);
    put("node.state", "another");
    kill(supervisor, SIGHUP);
    wait_for("vault.restarts", "1", 2000);
    wait_for("vault.state", "ready", 2000);
    kill(supervisor, SIGHUP); /* nothing is new now */
    usleep(300000);
    ck_assert(is("vault.restarts", "1"));
}
END_TEST

static TCase *supervisor_tests(void)
{
    TCase *t = tcase_create("supervisor");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 40);
    tcase_add_test(t, it_serves_with_pid_files_and_a_status);
    tcase_add_test(t, drain_ends_what_ignores_it);
    tcase_add_test(t, a_drain_may_take_all_of_its_time);
    tcase_add_loop_test(t, a_second_signal_or_stop_ends_at_once, 0, 2);
    tcase_add_test(t, changed_certificates_and_options_reach_the_workers);
    tcase_add_test(t, only_one_runs_in_a_directory);
    tcase_add_test(t, the_control_socket_takes_commands_only);
    tcase_add_test(t, few_rights_are_left);
    tcase_add_test(t, the_rights_of_the_unit_are_enough);
    tcase_add_test(t, a_new_node_state_reaches_the_vault_on_a_reload_too);
    return t;
}

int main(void)
{
    Suite *s = suite_create("supervisor");
    SRunner *sr = srunner_create(s);
    int failed;

    suite_add_tcase(s, supervisor_tests());
    suite_add_tcase(s, children_tests());
    suite_add_tcase(s, systemd_tests());
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
