/* A child's first steps on its control channel; see child.h. */
#include "config.h"

#include "server/process/child.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "server/process/sandbox.h"

enum { ANSWER_MS = 10000 };

rc_t child_ask(enum control_side me, enum control_code ask, enum control_code answer,
               struct control_message *out)
{
    rc_t rc = control_send(CONTROL_FD, me, ask, BYTES_NONE, NULL, 0);

    if (rc == RC_OK)
        rc = control_await(CONTROL_FD, BY_SUPERVISOR, answer, ANSWER_MS, out);
    if (rc != RC_OK)
        log_error("child.ask", "ask=%s result=%s", control_name(ask), rc_name(rc));
    return rc;
}

rc_t child_read_config(struct control_message *m, struct config *config)
{
    AUTO_BUF problems = BUF_EMPTY;
    char text[160];
    rc_t rc =
        m->fd_count == 1 ? config_load_fd(m->fds[0], "supervisor", config, &problems) : RC_PROTOCOL;

    if (rc == RC_OK)
        log_set_level(config->server_log_level);
    else
        log_error("child.config", "result=%s problem=%s", rc_name(rc),
                  log_value(buf_view(&problems), text));
    return rc;
}

rc_t child_begin(enum control_side me, const char *process, struct config *config)
{
    static struct control_message m;
    rc_t rc;

    log_open(process, LOG_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* reloads come by the control channel */
    (void)signal(SIGINT, SIG_IGN); /* ctrl-C at a terminal is the supervisor's to handle */
    TRY(sandbox_harden());
    rc = control_send(CONTROL_FD, me, CONTROL_HELLO, BYTES_NONE, NULL, 0);
    if (rc != RC_OK) {
        log_error("child.hello", "%s",
                  "error=\"descriptor 3 is no control channel: holdfastd starts this program\"");
        return rc;
    }
    TRY(child_ask(me, CONTROL_ASK_CONFIG, CONTROL_CONFIG, &m));
    rc = child_read_config(&m, config);
    control_close(&m);
    return rc;
}
