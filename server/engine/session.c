/* Sessions: who is at the other end of a connection; see engine.h. */
#include <stdlib.h>

#include "server/engine/engine.h"
#include "server/policy/rules.h"

struct session *session_new(const char *issuer, const char *serial, const char *fingerprint,
                            const char *address)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->refs = 1;
    s->issuer = strdup(issuer ? issuer : "");
    s->serial = strdup(serial ? serial : "");
    s->address = strdup(address ? address : "");
    if (fingerprint)
        memcpy(s->fingerprint, fingerprint, strnlen(fingerprint, sizeof s->fingerprint - 1));
    if (!s->issuer || !s->serial || !s->address)
        session_drop(s), s = NULL;
    return s;
}

rc_t session_add_name(struct session *s, const char *kind, const char *value)
{
    if (s->name_count == SESSION_NAMES)
        return RC_TOO_MANY;
    char *copy = strdup(value);
    if (!copy)
        return RC_NO_MEMORY;
    s->names[s->name_count++] = (struct session_name){kind, copy};
    return RC_OK;
}

struct session *session_hold(struct session *s)
{
    s->refs++;
    return s;
}

void session_drop(struct session *s)
{
    if (!s || --s->refs)
        return;
    for (size_t i = 0; i < s->name_count; i++)
        free(s->names[i].value);
    free(s->issuer);
    free(s->serial);
    free(s->address);
    free(s->client_name);
    policy_drop(s->policy);
    free(s);
}
