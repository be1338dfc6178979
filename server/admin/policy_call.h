/*
 * What the commands that administer policy have in common: they call one function of the SQL API as
 * holdfast_policy, with a reason, or print one of its views.
 */
#ifndef SERVER_ADMIN_POLICY_CALL_H
#define SERVER_ADMIN_POLICY_CALL_H

#include <jansson.h>

#include "server/admin/admin_db.h"

/*
 * Checks that --reason is given, connects, calls policy.FUNCTION(values) (db_policy_call()) and
 * says what was done, or what was not: "SENTENCE: why". Both are whole texts, as a person reads
 * them. Tells the error.
 */
enum cli_exit policy_change(struct cli *cli, const char *function, size_t count,
                            const char *const *values, const char *done, const char *not_done);
/* Usage error where --reason is not given. */
enum cli_exit policy_reason(struct cli *cli);
/* The answer of a command that changed something: the sentence, or with --json {"ok": true, "done":
 * sentence}. */
enum cli_exit policy_done(struct cli *cli, const char *done);
/* Prints one row of a view for people. */
typedef void policy_print_fn(FILE *out, const json_t *row);
/* The rows of a view (db_policy_rows()), or with --json one array of them. */
enum cli_exit policy_list(struct cli *cli, const char *what, policy_print_fn *print);
/* A text column of a row, or `preset` where it is NULL. */
const char *policy_text(const json_t *row, const char *column, const char *preset);
/* The --domain of the command. */
const char *policy_domain(const struct cli *cli);
/* The option as "true" or "false" for "yes" and "no"; NULL where it is not given. Tells the error.
 */
enum cli_exit policy_yes_no(struct cli *cli, enum cli_option option, const char **value);

#endif
