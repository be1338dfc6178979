/*
 * The supervisor with small real children (fake_child): restart, back-off, no zombies, drain, pid
 * files, reload, control socket, death of the supervisor itself. Each test has its own directory
 * and its own holdfastd.
 */
#include "config.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/process/status_client.h"

static char dir[64];
static pid_t supervisor;
static int port, file_poll_ms = 100;

static char *in_dir(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned next;
    char *out = path[next++ % 4];

    snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return out;
}

static void __attribute__((format(printf, 2, 3))) put(const char *name, const char *fmt, ...)
{
    va_list args;
    FILE *f = fopen(in_dir(name), "w");

    ck_assert_ptr_nonnull(f);
    va_start(args, fmt);
    vfprintf(f, fmt, args);
    va_end(args);
    fclose(f);
    ck_assert_int_eq(chmod(in_dir(name), 0644), 0);
}

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void put_config(const char *extra)
{
    put("holdfast.conf",
        "[server]\nlisten_address = 127.0.0.1\nport = %d\nrun_dir = %s/run\nstate_dir = %s\n"
        "workers = 2\nworker_user = nobody\nvault_user = daemon\nfile_poll_ms = %d\n"
        "[tls]\ncertificate = %s/cert\nkey = %s/key\nclient_ca = %s/ca\ncrl =\n"
        "[vault]\ntpm = swtpm:%s/tpm.sock\n%s",
        port, dir, dir, file_poll_ms, dir, dir, dir, dir, extra);
}

static void setup(void)
{
    const char *build = getenv("HOLDFAST_BUILD");
    char child[PATH_MAX];

    snprintf(dir, sizeof dir, "/tmp/hf-supervisor-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chmod(dir, 0755), 0);
    snprintf(child, sizeof child, "%s/tests/unit/fake_child", build ? build : ".");
    ck_assert_int_eq(symlink(child, in_dir("holdfast-worker")), 0);
    ck_assert_int_eq(symlink(child, in_dir("holdfast-vault")), 0);
    port = free_port();
    put("cert", "c");
    put("key", "k");
    put("ca", "a");
    put("node.state", "n");
    put_config("");
}

static void start(void)
{
    const char *build = getenv("HOLDFAST_BUILD");
    char program[PATH_MAX];

    snprintf(program, sizeof program, "%s/server/main/holdfastd", build ? build : ".");
    supervisor = fork();
    if (supervisor == 0) {
        int log = open(in_dir("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(log, STDERR_FILENO);
        execl(program, "holdfastd", "-c", in_dir("holdfast.conf"), "--libexec-dir", dir,
              (char *)NULL);
        _exit(127);
    }
}

static void remove_all(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void teardown(void)
{
    if (supervisor) {
        kill(supervisor, SIGKILL);
        waitpid(supervisor, NULL, 0);
    }
    supervisor = 0;
    remove_all();
}

static pid_t pid_of(const char *name)
{
    char path[80];
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof path, "run/%s", name);
    f = fopen(in_dir(path), "r");
    if (f) {
        if (fscanf(f, "%d", &pid) != 1)
            pid = 0;
        fclose(f);
    }
    return pid;
}

static json_t *status(void)
{
    AUTO_BUF text = BUF_EMPTY;

    if (status_ask(in_dir("run/control.sock"), "status", 2000, &text) != RC_OK)
        return NULL;
    return json_loadb((char *)text.data, text.len, 0, NULL);
}

/* A value by path, "workers.0.state"; 'out' is text or a number as text. False when not there. */
static bool value(const char *path, char out[static 64])
{
    json_t *all = status(), *at = all;
    char copy[100], *rest = copy, *part;
    bool found = false;

    snprintf(copy, sizeof copy, "%s", path);
    while (at && (part = strtok_r(rest, ".", &rest)))
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(part)) : json_object_get(at, part);
    if (json_is_string(at))
        found = snprintf(out, 64, "%s", json_string_value(at)) >= 0;
    else if (json_is_integer(at))
        found = snprintf(out, 64, "%lld", (long long)json_integer_value(at)) >= 0;
    json_decref(all);
    return found;
}

static bool is(const char *path, const char *wanted)
{
    char out[64];

    return value(path, out) && !strcmp(out, wanted);
}

static void show_log(void)
{
    char command[100];

    snprintf(command, sizeof command, "tail -40 %s/log | sed 's/^/# /' >&2", dir);
    (void)!system(command);
}

/* Waits until the value is as wanted; the time it took in ms. */
static int64_t wait_for(const char *path, const char *wanted, int most_ms)
{
    int64_t began = clock_monotonic_us(), took;
    char out[64] = "nothing";

    while (!is(path, wanted)) {
        took = (clock_monotonic_us() - began) / 1000;
        if (took > most_ms) {
            show_log();
            (void)value(path, out);
            ck_abort_msg("%s is %s, not %s, after %d ms", path, out, wanted, most_ms);
        }
        usleep(5000);
    }
    return (clock_monotonic_us() - began) / 1000;
}

static int wait_end(int most_ms)
{
    int64_t until = clock_monotonic_us() + (int64_t)most_ms * 1000;
    int st = 0;

    while (waitpid(supervisor, &st, WNOHANG) == 0) {
        if (clock_monotonic_us() > until) {
            show_log();
            ck_abort_msg("the supervisor did not end");
        }
        usleep(5000);
    }
    supervisor = 0;
    return st;
}

static bool logged(const char *text)
{
    static char log[1 << 20];
    int fd = open(in_dir("log"), O_RDONLY);
    ssize_t n = read(fd, log, sizeof log - 1);

    close(fd);
    log[n > 0 ? n : 0] = 0;
    return strstr(log, text) != NULL;
}

static unsigned count_logged(const char *text)
{
    static char log[1 << 20];
    int fd = open(in_dir("log"), O_RDONLY);
    ssize_t n = read(fd, log, sizeof log - 1);
    unsigned count = 0;

    close(fd);
    log[n > 0 ? n : 0] = 0;
    for (char *p = log; (p = strstr(p, text)); p++)
        count++;
    return count;
}

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

int main(void)
{
    Suite *s = suite_create("supervisor");
    TCase *t = tcase_create("supervisor");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 40);
    tcase_add_test(t, it_serves_with_pid_files_and_a_status);
    tcase_add_test(t, a_killed_child_is_back_within_a_second);
    tcase_add_loop_test(t, a_child_that_keeps_dying_is_neither_given_up_nor_hot, 0, 5);
    tcase_add_test(t, a_program_that_is_not_there_is_tried_again);
    tcase_add_test(t, no_zombie_stays);
    tcase_add_test(t, drain_ends_what_ignores_it);
    tcase_add_test(t, a_drain_may_take_all_of_its_time);
    tcase_add_loop_test(t, a_second_signal_or_stop_ends_at_once, 0, 2);
    tcase_add_test(t, children_die_with_the_supervisor);
    tcase_add_test(t, changed_certificates_and_options_reach_the_workers);
    tcase_add_test(t, only_one_runs_in_a_directory);
    tcase_add_test(t, the_control_socket_takes_commands_only);
    tcase_add_test(t, few_rights_are_left);
    tcase_add_test(t, the_rights_of_the_unit_are_enough);
    tcase_add_test(t, a_child_that_hangs_is_replaced);
    tcase_add_test(t, a_new_node_state_reaches_the_vault_on_a_reload_too);
    tcase_add_test(t, systemd_hears_of_it);
    tcase_add_test(t, systemd_is_told_ready_only_when_it_is_true);
    tcase_add_test(t, systemd_hears_of_life_and_of_the_vaults_state);
    suite_add_tcase(s, t);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
