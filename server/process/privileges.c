/* Capabilities, users and limits of the supervisor; see privileges.h. */
#include "config.h"

#include "server/process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

rc_t privileges_user(const char *name, uid_t *uid, gid_t *gid)
{
    const struct passwd *p = getpwnam(name);

    if (!p)
        return RC_CONFIG;
    *uid = p->pw_uid;
    *gid = p->pw_gid;
    return RC_OK;
}

rc_t privileges_group(const char *name, gid_t *gid)
{
    const struct group *g = getgrnam(name);

    if (!g)
        return RC_CONFIG;
    *gid = g->gr_gid;
    return RC_OK;
}

static void raise_limit(__rlimit_resource_t what, rlim_t wanted)
{
    struct rlimit r;

    if (getrlimit(what, &r) || r.rlim_max >= wanted)
        return;
    r.rlim_max = wanted;
    (void)setrlimit(what, &r);
}

void privileges_prepare(unsigned long memlock, unsigned long nofile, const gid_t *admin_gid)
{
    gid_t groups[2];
    size_t n = 0;

    raise_limit(RLIMIT_MEMLOCK, memlock);
    raise_limit(RLIMIT_NOFILE, nofile);
    if (geteuid() != 0)
        return;
    /* Without CAP_DAC_OVERRIDE, /dev/tpmrm0 (tss:tss 0660) opens by the group alone. */
    if (privileges_group("tss", &groups[n]) == RC_OK)
        n++;
    /* Without CAP_CHOWN (the systemd unit gives none), an owner gives a file to its own groups
     * only. */
    if (admin_gid)
        groups[n++] = *admin_gid;
    (void)setgroups(n, groups);
}

rc_t privileges_drop(void)
{
    static const unsigned keep[] = {CAP_SETUID, CAP_SETGID, CAP_KILL};
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    for (size_t i = 0; i < sizeof keep / sizeof keep[0]; i++)
        data[keep[i] / 32].permitted |= 1u << keep[i] % 32;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return RC_INTERNAL;
    for (unsigned cap = 0; cap < 64; cap++) {
        if (data[cap / 32].permitted & 1u << cap % 32)
            continue;
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
            return RC_INTERNAL;
    }
    for (unsigned i = 0; i < 2; i++)
        data[i].effective = data[i].permitted;
    return syscall(SYS_capset, &head, data) ? RC_INTERNAL : RC_OK;
}
