/*
 * The forwarder: reads audit rows that a destination has not got, sends them, and moves the destination's cursors
 * when the receiver has them. One destination for each process; a second process for the same one stands by.
 */
#ifndef SERVER_FORWARD_FORWARD_H
#define SERVER_FORWARD_FORWARD_H

#include "server/forward/format.h"
#include "server/forward/link.h"

enum { FORWARD_WHY = 600 };

struct forward_settings {
    const struct target *target;
    const char *conninfo; /* how to reach the database */
    const char *role;     /* as whom; NULL: as conninfo says */
    const char *operator; /* for the audit row of a new destination */
    struct format_settings format;
    struct link_settings link;
    bool from_now;         /* a new destination begins with the rows that are still to be written */
    unsigned batch_rows;   /* rows sent before the cursors move */
    unsigned poll_ms;      /* pause when there is nothing to send */
    unsigned retry_max_ms; /* longest pause after a failure */
    bool once;             /* end when all is sent, or at the first failure */
};

/*
 * Runs until a signal asks it to end (see wait.h; wait_signals() was called before), or with `once` until all is
 * sent. RC_OK then; with `once` the failure otherwise, told in `why`; RC_BUSY where another process forwards.
 */
rc_t forward_run(const struct forward_settings *settings, struct link *link, char why[static FORWARD_WHY]);

#endif
