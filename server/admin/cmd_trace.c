/*
 * `holdfast trace`: what a client asks of this node's workers, and what it is answered, as it happens. The text is the
 * workers' own (server/engine/trace.c, server/net/trace.c); here it is only counted and shown.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "server/admin/cli.h"
#include "server/base/clock.h"
#include "server/base/trace.h"
#include "server/process/trace_client.h"

enum { ASK_WAIT_MS = 15000, FOR_MAX_S = 7 * 86400, COUNT_MAX = 1000000000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* No SA_RESTART: the wait ends by it. */
static void catch_interrupts(void)
{
    struct sigaction act = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

static enum cli_exit not_begun(struct cli *cli, const char *path, rc_t rc, const struct buf *why)
{
    json_t *answer = json_loadb((const char *)why->data, why->len, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "error"));
    enum cli_exit code;
    switch (rc) {
    case RC_BUSY:
        code = cli_fail(cli, CLI_UNAVAILABLE, NULL, "no trace was begun: %s", text ? text : "the server says no");
        break;
    case RC_DENIED:
        code = cli_fail(cli, CLI_REFUSED, "Be root, or a member of the group that [server] admin_group names.",
                        "you may not use the control socket %s", path);
        break;
    case RC_TIMEOUT:
        code = cli_fail(cli, CLI_UNAVAILABLE, "Look at its log: journalctl -u holdfastd",
                        "the server listens on %s but does not answer", path);
        break;
    case RC_UNAVAILABLE:
        code = cli_fail(cli, CLI_CONNECT, "'holdfast status' says what is missing.",
                        "the server is not running: nothing answers on %s", path);
        break;
    default:
        code = cli_fail(cli, cli_exit_of(rc), NULL, "no trace was begun: %s", rc_text(rc));
    }
    json_decref(answer);
    return code;
}

/* Shows a packet; what could move the reader's terminal is taken out. Whether it was a block, not a count of losses. */
static bool show(struct cli *cli, char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((text[i] >= 0 && text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7F || text[i] < 0)
            text[i] = '?';
    fwrite(text, 1, len, cli->out);
    return strncmp(text, TRACE_LOST_TEXT, sizeof TRACE_LOST_TEXT - 1) != 0 &&
           strncmp(text, TRACE_LOST_JSON, sizeof TRACE_LOST_JSON - 1) != 0;
}

/* For poll(): -1 where there is no end, 0 when it has come. */
static int left_ms(int64_t until_us)
{
    int64_t left = (until_us - clock_monotonic_us() + 999) / 1000;
    return until_us == 0 ? -1 : left < 0 ? 0 : (int)left;
}

/* Until it was interrupted, the time is over, there were as many as wanted, or the server ended. */
static enum cli_exit follow(struct cli *cli, int text, long seconds, long count)
{
    static char packet[TRACE_BLOCK_MAX + 1];
    struct pollfd p = {.fd = text, .events = POLLIN};
    int64_t until = seconds ? clock_monotonic_us() + (int64_t)seconds * 1000000 : 0;
    long shown = 0;
    while (!interrupted && (count == 0 || shown < count) && left_ms(until) != 0) {
        int ready = poll(&p, 1, left_ms(until));
        if (ready < 0 && errno != EINTR)
            return cli_fail(cli, CLI_INTERNAL, NULL, "the trace broke off: %s", strerror(errno));
        if (ready == 0)
            return CLI_DONE;
        if (ready < 0)
            continue;
        ssize_t n = recv(text, packet, sizeof packet - 1, 0);
        if (n <= 0)
            return cli_fail(cli, CLI_UNAVAILABLE, "'holdfast status' says how it is.", "the server ended the trace");
        packet[n] = 0;
        shown += show(cli, packet, (size_t)n);
        if (fflush(cli->out) != 0)
            return cli_fail(cli, CLI_FILE, NULL, "standard output cannot be written: %s", strerror(errno));
    }
    return CLI_DONE;
}

/* "client:web-7", by argument or --address. */
static enum cli_exit read_whom(struct cli *cli, char whom[static TRACE_WHOM_MAX])
{
    const char *address = cli_value(cli, OPT_ADDRESS, NULL);
    const char *client = cli->argument_count ? cli->arguments[0] : NULL;
    if (!address == !client)
        return cli_fail(cli, CLI_USAGE,
                        "holdfast trace NAME, holdfast trace '*' for all, or holdfast trace --address A",
                        "say whom to watch: a client, or an address");
    int len = client && strcmp(client, "*") == 0 ? snprintf(whom, TRACE_WHOM_MAX, "all")
              : client                           ? snprintf(whom, TRACE_WHOM_MAX, "client:%s", client)
                                                 : snprintf(whom, TRACE_WHOM_MAX, "address:%s", address);
    const char *value = client ? client : address;
    if (len >= TRACE_WHOM_MAX || *value == 0 || strpbrk(value, "\n\r"))
        return cli_fail(cli, CLI_USAGE, NULL, "'%.40s' is no name of a client and no address", value);
    return CLI_DONE;
}

enum cli_exit cmd_trace(struct cli *cli)
{
    struct config config;
    char path[108], whom[TRACE_WHOM_MAX];
    long seconds = 0, count = 0;
    bool json = cli_given(cli, OPT_JSON);
    enum cli_exit code = read_whom(cli, whom);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_FOR, 1, FOR_MAX_S, &seconds);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_COUNT_BLOCKS, 1, COUNT_MAX, &count);
    if (code == CLI_DONE)
        code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    if (config_control_path(&config, path) != RC_OK)
        return cli_fail(cli, CLI_REFUSED, "Set [server] control_socket to a path of at most 107 characters.",
                        "the control socket's path is too long");
    AUTO_BUF why = BUF_EMPTY;
    int line = -1, text = -1;
    catch_interrupts();
    rc_t rc = trace_ask(path, json, whom, ASK_WAIT_MS, &line, &text, &why);
    if (rc != RC_OK)
        return not_begun(cli, path, rc, &why);
    if (!json)
        fprintf(cli->err, "holdfast: tracing %s on this node; the audit has it. End it with Ctrl-C.\n", whom);
    code = follow(cli, text, seconds, count);
    close(text);
    close(line);
    return code;
}
