/*
 * The sentences of the vault's states.
 */
#include "server/vault/tpm/state.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name, *what, *next;
} states[VAULT_STATE_COUNT] = {
#define VAULT_STATE_ROW(id, name, what, next) [id] = {name, what, next},
    VAULT_STATE_TABLE(VAULT_STATE_ROW)
#undef VAULT_STATE_ROW
};

const char *vault_state_name(enum vault_state state)
{
    return (unsigned)state < VAULT_STATE_COUNT ? states[state].name : "unknown";
}

const char *vault_state_what(enum vault_state state)
{
    return (unsigned)state < VAULT_STATE_COUNT ? states[state].what : "";
}

const char *vault_state_next(enum vault_state state)
{
    return (unsigned)state < VAULT_STATE_COUNT ? states[state].next : "";
}

rc_t vault_report_set(struct vault_report *report, enum vault_state state, rc_t rc, const char *fmt,
                      ...)
{
    report->state = state;
    report->rc = rc;
    report->detail[0] = 0;
    if (fmt) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(report->detail, sizeof report->detail, fmt, args);
        va_end(args);
    }
    return rc;
}
