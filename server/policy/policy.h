/*
 * The one place where access is decided: identity x permission x object x instant. Each operation names its own
 * permission in the operations' table; this table tells the class of each and whether it is about an object that
 * exists. Rules: rules.h. Pure functions: no SQL, no clock.
 */
#ifndef SERVER_POLICY_POLICY_H
#define SERVER_POLICY_POLICY_H

#include "server/base/object.h"

struct policy_set;

/* One permission for each operation: none implies another. The same as policy.permission; a test compares them. */
/* clang-format off */
#define PERMISSION_TABLE(X)                                                             \
    /* name                      text                  class         about an object */ \
    X(PERMIT_NONE,               "none",               "none",       false)             \
    X(PERMIT_QUERY,              "query",              "server",     false)             \
    X(PERMIT_LOG,                "log",                "server",     false)             \
    X(PERMIT_INTEROP,            "interop",            "server",     false)             \
    X(PERMIT_CREATE,             "create",             "make",       false)             \
    X(PERMIT_CREATE_KEY_PAIR,    "create-key-pair",    "make",       false)             \
    X(PERMIT_REGISTER,           "register",           "make",       false)             \
    X(PERMIT_LOCATE,             "locate",             "read",       true)              \
    X(PERMIT_USE_TEMPLATE,       "use-template",       "read",       true)              \
    X(PERMIT_GET,                "get",                "read",       true)              \
    X(PERMIT_GET_ATTRIBUTES,     "get-attributes",     "read",       true)              \
    X(PERMIT_GET_ATTRIBUTE_LIST, "get-attribute-list", "read",       true)              \
    X(PERMIT_CHECK,              "check",              "read",       true)              \
    X(PERMIT_ADD_ATTRIBUTE,      "add-attribute",      "change",     true)              \
    X(PERMIT_MODIFY_ATTRIBUTE,   "modify-attribute",   "change",     true)              \
    X(PERMIT_DELETE_ATTRIBUTE,   "delete-attribute",   "change",     true)              \
    X(PERMIT_SET_ATTRIBUTE,      "set-attribute",      "change",     true)              \
    X(PERMIT_ACTIVATE,           "activate",           "life-cycle", true)              \
    X(PERMIT_REVOKE,             "revoke",             "life-cycle", true)              \
    X(PERMIT_DESTROY,            "destroy",            "life-cycle", true)              \
    X(PERMIT_ENCRYPT,            "encrypt",            "use",        true)              \
    X(PERMIT_DECRYPT,            "decrypt",            "use",        true)
/* clang-format on */

#define PERMISSION_ENUM(name, text, of_class, object) name,
enum permission { PERMISSION_TABLE(PERMISSION_ENUM) PERMISSION_COUNT };
#undef PERMISSION_ENUM

/* Who asks. */
struct identity {
    struct uid client;
    uint64_t domain;
    int64_t standing;          /* version of the client's standing when it was read */
    struct policy_set *policy; /* read at the same moment; NULL: nothing is permitted */
};

/* The permission's name in logs and policy rows, "unknown" for none of the table. Static storage. */
const char *permission_text(enum permission p);
/* Its class, as rules name it behind "@". Static storage. */
const char *permission_class(enum permission p);
/* Whether it is about an object that exists; one that makes objects is about what they will be. */
bool permission_needs_object(enum permission p);

/* ---- the decision --------------------------------------------------------------------------- */

/* What is known of an object: its control record always. Names and attributes that were not loaded are not known. */
struct policy_facts {
    const struct object *object; /* NULL: none was found, or none is needed */
    bool names, attributes;
};

enum verdict {
    VERDICT_REFUSED = 0,
    VERDICT_ALLOWED,
    VERDICT_APPROVAL, /* allowed once administrators have approved it */
    VERDICT_OPEN,     /* cannot be told by the facts given; never when all are known */
};

enum verdict_why {
    WHY_NOTHING = 0, /* no object, or nobody asks */
    WHY_NO_RULE,     /* no rule permits */
    WHY_RULE,        /* the rule decides */
    WHY_DOMAIN,      /* the object is of another domain */
    WHY_DAMAGED,     /* its attributes cannot be read */
};

struct decision {
    enum verdict verdict;
    enum verdict_why why;
    int64_t rule;      /* WHY_RULE: its number, of those that decide the least one */
    int64_t approvals; /* VERDICT_APPROVAL: how many are needed */
};

/*
 * The decision at the instant now_us (microseconds since 1970). A denial that matches refuses; what no rule allows is
 * refused, too; what is allowed waits where a rule that matches wants an approval. What is about no object (class
 * "server") is decided as upon an object of the asker's that has no attribute; what makes objects, with facts->object
 * as it is to be.
 */
struct decision policy_decide(const struct identity *who, enum permission p, const struct policy_facts *facts,
                              int64_t now_us);
/*
 * Before there is an object. What makes one: refused where no rule can permit it whatever it will be, else allowed;
 * it is decided on later. What is about objects that exist: allowed, as each of them is decided on. All else: decided.
 */
struct decision policy_foresee(const struct identity *who, enum permission p, int64_t now_us);
/* What the auditor is told of a decision that is no plain permission; out is cut to room. "" for WHY_NOTHING. */
void decision_print(const struct decision *d, char *out, size_t room);

enum { DECISION_TEXT = 64 }; /* room for decision_print() */

/* ---- what has to be loaded ------------------------------------------------------------------ */

enum policy_needs {
    NEEDS_NAMES = 1,
    NEEDS_ATTRIBUTES = 2,
};

/* What rules for this permission look at beside the control record: enum policy_needs, ored. */
unsigned policy_needs(const struct identity *who, enum permission p, int64_t now_us);
/* The same of rules that take a permission away: if not 0, no object is certain by its control record alone. */
unsigned policy_guards(const struct identity *who, enum permission p, int64_t now_us);

/*
 * Whose objects a permission can reach: a superset, for searches. Always the asker's own.
 */
struct policy_reach {
    bool mates;          /* also objects of policy->mates */
    bool everyone;       /* all objects of the domain */
    bool certain;        /* all of these are permitted, without a look at each */
    bool certain_own;    /* all of the asker's own are */
    size_t policy_count; /* beside them: objects with one of these Operation Policy Names, never certain */
    struct bytes *policies;
};

/* Memory of the arena; texts are the set's. RC_NO_MEMORY. */
rc_t policy_reach(struct arena *a, const struct identity *who, enum permission p, int64_t now_us,
                  struct policy_reach *out);

#endif
