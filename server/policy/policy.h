/*
 * The one place where access is decided: identity x permission x object. Each operation names its
 * own permission in the operations' table; this table tells what each permission needs. As yet
 * there is one rule for objects: only the owner. Pure functions: no SQL, no clock.
 */
#ifndef SERVER_POLICY_POLICY_H
#define SERVER_POLICY_POLICY_H

#include "server/base/object.h"

/* One permission for each operation: none implies another. */
/* clang-format off */
#define PERMISSION_TABLE(X)                                                                        \
    /* name            text              needs an object */                                        \
    X(PERMIT_NONE,           "none",           false)                                              \
    X(PERMIT_QUERY,          "query",          false)                                              \
    X(PERMIT_CREATE,         "create",         false)                                              \
    X(PERMIT_CREATE_KEY_PAIR, "create-key-pair", false)                                            \
    X(PERMIT_REGISTER,       "register",       false)                                              \
    X(PERMIT_LOG,            "log",            false)                                              \
    X(PERMIT_INTEROP,        "interop",        false)                                              \
    X(PERMIT_LOCATE,         "locate",         false)                                              \
    X(PERMIT_SEE,            "see",            true) /* found by Locate */                         \
    X(PERMIT_USE_TEMPLATE,   "use-template",   true) /* named in a request of 1.x */                \
    X(PERMIT_GET,            "get",            true)                                               \
    X(PERMIT_GET_ATTRIBUTES, "get-attributes", true)                                               \
    X(PERMIT_GET_ATTRIBUTE_LIST, "get-attribute-list", true)                                       \
    X(PERMIT_ADD_ATTRIBUTE,  "add-attribute",  true)                                               \
    X(PERMIT_MODIFY_ATTRIBUTE, "modify-attribute", true)                                           \
    X(PERMIT_DELETE_ATTRIBUTE, "delete-attribute", true)                                           \
    X(PERMIT_SET_ATTRIBUTE,  "set-attribute",  true)                                               \
    X(PERMIT_CHECK,          "check",          true)                                               \
    X(PERMIT_ACTIVATE,       "activate",       true)                                               \
    X(PERMIT_REVOKE,         "revoke",         true)                                               \
    X(PERMIT_DESTROY,        "destroy",        true)
/* clang-format on */

#define PERMISSION_ENUM(name, text, object) name,
enum permission { PERMISSION_TABLE(PERMISSION_ENUM) PERMISSION_COUNT };
#undef PERMISSION_ENUM

/* Who asks. */
struct identity {
    struct uid client;
    uint64_t domain;
    int64_t standing; /* version of the client's standing when it was read */
};

/* The permission's name in logs and policy rows. Static storage. */
const char *permission_text(enum permission p);

/*
 * RC_OK, or RC_NOT_FOUND: an object that may not be touched is answered exactly as one that is not
 * there. object is NULL where none was found, and for permissions that need none.
 */
rc_t policy_decide(const struct identity *who, enum permission p, const struct object *object);

#endif
