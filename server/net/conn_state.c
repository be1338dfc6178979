/*
 * The states of a connection. The table is the diagram; a pair that is not in it closes the
 * connection. Only conn_on() assigns conn->state.
 */
#include "server/net/conn.h"

typedef void conn_fn(struct conn *c);

/* clang-format off */
static const struct step { enum conn_state in; enum conn_event on; enum conn_state next; conn_fn *act; }
steps[] = {
    { CONN_HANDSHAKE, ON_TLS_READY,   CONN_LOGIN,     conn_begin_login  },
    { CONN_LOGIN,     ON_LOGIN,       CONN_OPEN,      conn_begin_open   },

    { CONN_OPEN,      ON_PEER_DONE,   CONN_HALF,      NULL              },
    { CONN_OPEN,      ON_BAD_FRAME,   CONN_FINISHING, NULL              },
    { CONN_OPEN,      ON_LAST_ANSWER, CONN_FINISHING, NULL              },
    { CONN_OPEN,      ON_DRAIN,       CONN_DRAINING,  conn_begin_drain  },

    { CONN_HALF,      ON_BAD_FRAME,   CONN_FINISHING, NULL              },
    { CONN_HALF,      ON_LAST_ANSWER, CONN_FINISHING, NULL              },
    { CONN_HALF,      ON_DRAIN,       CONN_HALF,      NULL              },
    { CONN_HALF,      ON_SETTLED,     CONN_LINGER,    conn_begin_linger },

    { CONN_DRAINING,  ON_PEER_DONE,   CONN_HALF,      NULL              },
    { CONN_DRAINING,  ON_BAD_FRAME,   CONN_FINISHING, NULL              },
    { CONN_DRAINING,  ON_LAST_ANSWER, CONN_FINISHING, NULL              },
    { CONN_DRAINING,  ON_SETTLED,     CONN_LINGER,    conn_begin_linger },

    { CONN_FINISHING, ON_DRAIN,       CONN_FINISHING, NULL              },
    { CONN_FINISHING, ON_SETTLED,     CONN_LINGER,    conn_begin_linger },

    { CONN_LINGER,    ON_DRAIN,       CONN_LINGER,    NULL              },
    /* all else, above all ON_REFUSED, ON_DEADLINE, ON_FAILED and ON_ENDED: closed */
};
/* clang-format on */

static const char *const names[CONN_STATES] = {
    [CONN_HANDSHAKE] = "handshake", [CONN_LOGIN] = "login",       [CONN_OPEN] = "open",
    [CONN_HALF] = "half",           [CONN_DRAINING] = "draining", [CONN_FINISHING] = "finishing",
    [CONN_LINGER] = "linger",       [CONN_CLOSED] = "closed",
};

const char *conn_state_name(enum conn_state state)
{
    return names[state];
}

void conn_on(struct conn *c, enum conn_event event)
{
    if (c->state == CONN_CLOSED)
        return;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i].in == c->state && steps[i].on == event) {
            c->state = steps[i].next;
            if (steps[i].act)
                steps[i].act(c);
            return;
        }
    conn_close(c); /* reads the old state, to say goodbye in the right way */
    c->state = CONN_CLOSED;
}
