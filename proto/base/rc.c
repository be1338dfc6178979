/* The text side of the result table; see rc.h. */
#include "proto/base/rc.h"

static const struct {
    const char *name;
    const char *text;
    uint32_t reason;
} results[RC_COUNT] = {
#define RC_ROW(name, text, reason) [name] = {#name, text, reason},
    RC_TABLE(RC_ROW)
#undef RC_ROW
};

static rc_t known(rc_t rc)
{
    return (unsigned)rc < RC_COUNT ? rc : RC_INTERNAL;
}

const char *rc_name(rc_t rc)
{
    return results[known(rc)].name;
}

const char *rc_text(rc_t rc)
{
    return results[known(rc)].text;
}

uint32_t rc_reason(rc_t rc)
{
    return results[known(rc)].reason;
}
