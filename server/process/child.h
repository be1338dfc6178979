/*
 * What a child of the supervisor does with its control channel while it starts: says hello, asks,
 * waits for the answer. Used by holdfast-worker and holdfast-vault before their loops run.
 */
#ifndef SERVER_PROCESS_CHILD_H
#define SERVER_PROCESS_CHILD_H

#include "server/base/config.h"
#include "server/ipc/control.h"

/* Hardens, says HELLO, asks for the configuration, reads it, opens the log. `me` names the role. */
rc_t child_begin(enum control_side me, const char *process, struct config *config);
/* Asks and waits (10 s) for the answer of that code. The caller calls control_close(). */
rc_t child_ask(enum control_side me, enum control_code ask, enum control_code answer,
               struct control_message *out);
/* Reads a CONFIG message that came unasked and sets the log level. */
rc_t child_read_config(struct control_message *m, struct config *config);

#endif
