/*
 * The last step of a child's start: it gives up what it will not need. A profile is a table of
 * system calls; a call that is not in the table ends the process with one log line that names the
 * profile and the call. No way back.
 */
#ifndef SERVER_PROCESS_SANDBOX_H
#define SERVER_PROCESS_SANDBOX_H

#include "proto/base/rc.h"

enum sandbox_profile { SANDBOX_WORKER, SANDBOX_VAULT };

/* First thing in main(): not dumpable, no new privileges, no core, umask 077. */
rc_t sandbox_harden(void);
/* Installs the profile for this thread and all it starts later. Loads lazily loaded parts first. */
rc_t sandbox_enter(enum sandbox_profile profile);
/* "worker". Static storage. */
const char *sandbox_name(enum sandbox_profile profile);

#endif
