/*
 * `holdfast policy export`, `diff` and `apply`: the policy as one file, holdfast-policy(5). All is
 * done by the database; here it is read, shown and asked for.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "server/admin/policy_call.h"
#include "server/process/status_client.h"

enum { POLICY_FILE_BYTES = 64 << 20, SERVER_WAIT_MS = 5000 };

/* What is told of changes, and how. */
struct changes {
    struct cli *cli;
    json_t *lines; /* NULL: printed at once */
    size_t count;
};

static bool take_line(void *arg, const char *line)
{
    struct changes *c = arg;
    c->count++;
    if (c->lines)
        json_array_append_new(c->lines, json_string(line));
    else
        fprintf(c->cli->out, "%s\n", line);
    return true;
}

/* The file that is the command's argument, as a text that ends in a NUL. Tells the error. */
static enum cli_exit read_policy(struct cli *cli, struct buf *text)
{
    const char *path = cli->arguments[0];
    enum cli_exit code = cli_read_file(cli, path, POLICY_FILE_BYTES, text);
    if (code != CLI_DONE)
        return code;
    if (text->len && memchr(text->data, 0, text->len))
        return cli_fail(cli, CLI_REFUSED, "holdfast-policy(5) tells the format.",
                        "%s is no policy file: it is no text", path);
    return buf_add_u8(text, 0) == RC_OK ? CLI_DONE
                                        : cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
}

enum cli_exit cmd_policy_export(struct cli *cli)
{
    AUTO_DB db = NULL;
    AUTO_BUF text = BUF_EMPTY;
    enum cli_exit code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_policy_export(db, cli->argument_count ? cli->arguments[0] : NULL, &text);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc, "the policy was not exported");
    const char *path = cli_value(cli, OPT_OUT, NULL);
    if (!path) {
        fwrite(text.data, 1, text.len, cli->out);
        return CLI_DONE;
    }
    code = cli_write_file(cli, path, buf_view(&text), 0600);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli,
                              json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)text.len));
    fprintf(cli->out, "Wrote the policy to %s.\n", path);
    return CLI_DONE;
}

/* Tells what the file would change; *changes has the count. */
static enum cli_exit show_diff(struct cli *cli, struct db_admin *db, const struct buf *file,
                               char hash[DB_POLICY_HASH], struct changes *changes)
{
    rc_t rc = db_policy_diff(db, (const char *)file->data, hash, take_line, changes);
    if (rc == RC_INVALID_FIELD)
        return cli_fail(cli, CLI_REFUSED, db_admin_hint(db), "%s: %s", cli->arguments[0],
                        db_admin_error(db));
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, db, rc, "the differences cannot be told");
}

static enum cli_exit print_changes(struct cli *cli, struct changes *changes, const char *file)
{
    return cli_print_json(cli, json_pack("{s:s, s:I, s:o}", "file", file, "count",
                                         (json_int_t)changes->count, "changes", changes->lines));
}

enum cli_exit cmd_policy_diff(struct cli *cli)
{
    AUTO_DB db = NULL;
    AUTO_BUF file = BUF_EMPTY;
    enum cli_exit code = read_policy(cli, &file);
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_POLICY, NULL, &db);
    if (code != CLI_DONE)
        return code;
    struct changes changes = {cli, cli_given(cli, OPT_JSON) ? json_array() : NULL, 0};
    code = show_diff(cli, db, &file, NULL, &changes);
    if (code == CLI_DONE && changes.lines)
        return print_changes(cli, &changes, cli->arguments[0]);
    json_decref(changes.lines);
    return code;
}

/* Whether the administrator says yes. */
static enum cli_exit ask(struct cli *cli, size_t count)
{
    char answer[16] = "";
    if (cli_given(cli, OPT_YES))
        return CLI_DONE;
    fflush(cli->out);
    fprintf(cli->err, "Apply %zu change%s? [y/N] ", count, count == 1 ? "" : "s");
    fflush(cli->err);
    if (fgets(answer, sizeof answer, stdin) &&
        (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0))
        return CLI_DONE;
    return cli_fail(cli, CLI_REFUSED, "Answer y, or give --yes.", "nothing was changed");
}

static bool keep_quiet(void *arg, const char *line)
{
    (void)line;
    ++*(size_t *)arg;
    return true;
}

/* The running server makes the keys of new domains. One that is not running finds them when it starts. */
static void tell_server(const struct config *config)
{
    char path[108];
    AUTO_BUF answer = BUF_EMPTY;
    if (config_control_path(config, path) == RC_OK && status_ask(path, "domains", SERVER_WAIT_MS, &answer) == RC_OK)
        return;
}

/* Shown are the differences that were looked at; the hash makes sure that just those are done. */
static enum cli_exit apply(struct cli *cli, struct db_admin *db, const struct buf *file,
                           struct changes *changes)
{
    char hash[DB_POLICY_HASH] = "";
    size_t done = 0;
    enum cli_exit code = show_diff(cli, db, file, hash, changes);
    if (code != CLI_DONE || changes->count == 0)
        return code;
    code = ask(cli, changes->count);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_policy_apply(db, (const char *)file->data, cli->option[OPT_WHY], hash, keep_quiet,
                              &done);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, db, rc, "nothing was changed");
}

enum cli_exit cmd_policy_apply(struct cli *cli)
{
    struct config config;
    AUTO_DB db = NULL;
    AUTO_BUF file = BUF_EMPTY;
    if (!cli_given(cli, OPT_YES) &&
        (cli_given(cli, OPT_JSON) || strcmp(cli->arguments[0], "-") == 0))
        return cli_fail(
            cli, CLI_USAGE, NULL,
            "with --json, or a file from standard input, nobody can be asked: give --yes");
    enum cli_exit code = policy_reason(cli);
    if (code == CLI_DONE)
        code = read_policy(cli, &file);
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_POLICY, &config, &db);
    if (code != CLI_DONE)
        return code;
    struct changes changes = {cli, cli_given(cli, OPT_JSON) ? json_array() : NULL, 0};
    code = apply(cli, db, &file, &changes);
    if (code == CLI_DONE && changes.count)
        tell_server(&config);
    if (code == CLI_DONE && changes.lines)
        return print_changes(cli, &changes, cli->arguments[0]);
    json_decref(changes.lines);
    if (code == CLI_DONE && changes.count == 0)
        fprintf(cli->out, "Nothing to change: the policy is what %s says.\n", cli->arguments[0]);
    else if (code == CLI_DONE)
        fprintf(cli->out, "Changed: it holds from the clients' next requests on.\n");
    return code;
}
