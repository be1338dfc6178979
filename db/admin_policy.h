/*
 * The SQL API of schema policy for the command line: functions that change something, and views to read, all by
 * their names in SQL. Role holdfast_policy. Functions return RC_OK or an error whose text is db_admin_error() and
 * whose advice is db_admin_hint().
 */
#ifndef DB_ADMIN_POLICY_H
#define DB_ADMIN_POLICY_H

#include <stddef.h>

#include "db/admin.h"

/* One argument of a function, by the name it has there. Borrowed. */
struct db_argument {
    const char *name;
    const char *type;  /* in SQL: "text", "bigint"; "text[]": the value is a list with commas between */
    const char *value; /* NULL: left away, so that the function's default holds */
};

/*
 * SELECT policy.FUNCTION(name => value, ...). *number_out is what it returns, 0 where that is no number. function,
 * names and types are the program's own words and stand in the statement as they are; values never do. RC_NOT_FOUND,
 * RC_INVALID_FIELD (a mistake in a value), RC_DENIED, RC_UNAVAILABLE; RC_INTERNAL also for more arguments than 32.
 * db_policy_call() of admin.h is the same for functions whose arguments are all given, in their order.
 */
rc_t db_policy_call_named(struct db_admin *admin, const char *function, const struct db_argument *arguments,
                          size_t count, int64_t *number_out);

/* The rows of policy.VIEW in order of their columns; of one domain, or, where that is NULL, all. As
 * db_policy_call_named(). */
rc_t db_policy_list(struct db_admin *admin, const char *view, const char *domain, db_json_fn *each, void *arg);
/* The rows of policy.explain(client, operation, object); object may be NULL. Writes its audit row. */
rc_t db_policy_explain(struct db_admin *admin, const char *client, const char *operation, const char *object,
                       db_json_fn *each, void *arg);

#endif
