/* The decision and its table; see policy.h. */
#include "server/policy/policy.h"

static const struct {
    const char *text;
    bool needs_object;
} permissions[PERMISSION_COUNT] = {
#define PERMISSION_ROW(name, text, object) [name] = {text, object},
    PERMISSION_TABLE(PERMISSION_ROW)
#undef PERMISSION_ROW
};

const char *permission_text(enum permission p)
{
    return (unsigned)p < PERMISSION_COUNT ? permissions[p].text : "unknown";
}

rc_t policy_decide(const struct identity *who, enum permission p, const struct object *object)
{
    static const struct object nobodys = {.control = {.domain = UINT64_MAX}};
    if ((unsigned)p >= PERMISSION_COUNT || uid_is_nil(&who->client))
        return RC_NOT_FOUND;
    if (!permissions[p].needs_object)
        return RC_OK;
    /* Missing and forbidden take the same path: the comparison runs in both cases. */
    const struct control *c = object ? &object->control : &nobodys.control;
    bool own = uid_equal(&c->owner, &who->client) && c->domain == who->domain;
    return own ? RC_OK : RC_NOT_FOUND;
}
