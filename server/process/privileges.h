/*
 * What the supervisor keeps of root: the rights to change user and to signal its children. libcap
 * is not needed for two system calls.
 */
#ifndef SERVER_PROCESS_PRIVILEGES_H
#define SERVER_PROCESS_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/rc.h"

/* RC_CONFIG when the system knows no such user or group. */
rc_t privileges_user(const char *name, uid_t *uid, gid_t *gid);
rc_t privileges_group(const char *name, gid_t *gid);
/*
 * Before anything is opened: raises limits that children need, and joins the groups by which root
 * without capabilities does its work: that of the TPM device, and `admin_gid` (NULL: none), which
 * the control socket is given.
 */
void privileges_prepare(unsigned long memlock, unsigned long nofile, const gid_t *admin_gid);
/* Keeps CAP_SETUID, CAP_SETGID and CAP_KILL only, for good (bounding set too). RC_INTERNAL. */
rc_t privileges_drop(void);

#endif
