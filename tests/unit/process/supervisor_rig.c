/* A directory and a holdfastd with small real children for each test; see supervisor_rig.h. */
#include "tests/unit/process/supervisor_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"

static char dir[64];
pid_t supervisor;
int file_poll_ms = 100;
static int port;

char *in_dir(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned next;
    char *out = path[next++ % 4];

    snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return out;
}

void put(const char *name, const char *fmt, ...)
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

void put_config(const char *extra)
{
    put("holdfast.conf",
        "[server]\nlisten_address = 127.0.0.1\nport = %d\nrun_dir = %s/run\nstate_dir = %s\n"
        "workers = 2\nworker_user = nobody\nvault_user = daemon\nfile_poll_ms = %d\n"
        "[tls]\ncertificate = %s/cert\nkey = %s/key\nclient_ca = %s/ca\ncrl =\n"
        "[vault]\ntpm = swtpm:%s/tpm.sock\n%s",
        port, dir, dir, file_poll_ms, dir, dir, dir, dir, extra);
}

void setup(void)
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

void start(void)
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

void teardown(void)
{
    if (supervisor) {
        kill(supervisor, SIGKILL);
        waitpid(supervisor, NULL, 0);
    }
    supervisor = 0;
    remove_all();
}

pid_t pid_of(const char *name)
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

bool is(const char *path, const char *wanted)
{
    char out[64];

    return value(path, out) && !strcmp(out, wanted);
}

void show_log(void)
{
    char command[100];

    snprintf(command, sizeof command, "tail -40 %s/log | sed 's/^/# /' >&2", dir);
    (void)!system(command);
}

int64_t wait_for(const char *path, const char *wanted, int most_ms)
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

int wait_end(int most_ms)
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

static const char *log_text(void)
{
    static char log[1 << 20];
    int fd = open(in_dir("log"), O_RDONLY);
    ssize_t n = read(fd, log, sizeof log - 1);

    close(fd);
    log[n > 0 ? n : 0] = 0;
    return log;
}

bool logged(const char *text)
{
    return strstr(log_text(), text) != NULL;
}

unsigned count_logged(const char *text)
{
    unsigned count = 0;

    for (const char *p = log_text(); (p = strstr(p, text)); p++)
        count++;
    return count;
}
