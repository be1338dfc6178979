/*
 * `holdfast audit export`, and `holdfast audit verify FILE`: audit rows into a file, and a file
 * against itself.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "server/admin/audit_commands.h"
#include "server/base/clock.h"

enum { TELL_US = 2000000, PATH_ROOM = 4096 };

bool audit_is_month(const char *text)
{
    static const char form[] = "dddd-dd";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    return strcmp(text + 5, "01") >= 0 && strcmp(text + 5, "12") <= 0;
}

/* ---- export ---- */

struct export_run {
    struct cli *cli;
    struct audit_writer writer;
    int64_t told_us;
};

static rc_t write_record(void *arg, const struct audit_record *record)
{
    struct export_run *e = arg;
    TRY(audit_writer_put(&e->writer, record));
    if (e->writer.events % 1024 == 0 && clock_monotonic_us() - e->told_us >= TELL_US) {
        e->told_us = clock_monotonic_us();
        fprintf(e->cli->err, "holdfast: %llu events so far\n",
                (unsigned long long)e->writer.events);
    }
    return RC_OK;
}

static enum cli_exit read_selection(struct cli *cli, struct db_export *what, bool *csv)
{
    const char *format = cli_value(cli, OPT_AUDIT_FORMAT, "jsonl");
    struct uid key;
    *what = (struct db_export){.from = cli->option[OPT_AUDIT_FROM],
                               .until = cli->option[OPT_AUDIT_UNTIL],
                               .month = cli->option[OPT_AUDIT_MONTH],
                               .client = cli->option[OPT_AUDIT_CLIENT],
                               .key = cli->option[OPT_AUDIT_KEY]};
    *csv = strcmp(format, "csv") == 0;
    if (!*csv && strcmp(format, "jsonl") != 0)
        return cli_fail(cli, CLI_USAGE, NULL, "--format %s: jsonl or csv", format);
    if (!cli_given(cli, OPT_OUT))
        return cli_fail(cli, CLI_USAGE, "--out FILE names it.", "an export needs a file to go to");
    if (what->month && (what->from || what->until))
        return cli_fail(cli, CLI_USAGE, NULL,
                        "--month is a period already: leave --from and --to out");
    if (what->month && !audit_is_month(what->month))
        return cli_fail(cli, CLI_USAGE, NULL, "--month %s: not a month as 2026-01", what->month);
    if (what->key && uid_parse(bytes_str(what->key), &key) != RC_OK)
        return cli_fail(cli, CLI_USAGE, NULL, "--key %s: not a Unique Identifier", what->key);
    return CLI_DONE;
}

/* Into the file under another name, on the disk, then under its own. */
static enum cli_exit export_to(struct cli *cli, struct db_admin *db, const struct db_export *what,
                               bool csv, const char *path, struct export_run *e,
                               char sum[AUDIT_SHA256_TEXT])
{
    char part[PATH_ROOM];
    snprintf(part, sizeof part, "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        if (fd >= 0)
            close(fd);
        return cli_fail(cli, CLI_FILE, "Does the folder exist, and may you write there?",
                        "%s cannot be written: %s", part, strerror(errno));
    }
    rc_t rc = audit_writer_begin(&e->writer, file, csv);
    bool from_db = rc == RC_OK;
    if (rc == RC_OK)
        rc = db_audit_export(db, what, write_record, e);
    if (rc == RC_OK) {
        from_db = false;
        rc = audit_writer_end(&e->writer, sum);
    }
    if (rc == RC_OK && fsync(fd) != 0)
        rc = RC_IO;
    int error = errno;
    if (fclose(file) != 0 && rc == RC_OK)
        rc = RC_IO;
    if (rc == RC_OK && rename(part, path) != 0)
        rc = RC_IO;
    if (rc == RC_OK)
        return CLI_DONE;
    (void)unlink(part);
    if (rc == RC_IO)
        return cli_fail(cli, CLI_FILE, NULL, "%s cannot be written: %s", path, strerror(error));
    return from_db ? admin_db_fail(cli, db, rc, "the audit rows were not exported")
                   : cli_fail(cli, cli_exit_of(rc), NULL, "the audit rows were not exported: %s",
                              rc_text(rc));
}

/* "month=2026-01 format=csv": as in the audit row. */
static void describe(const struct db_export *what, bool csv, char out[512])
{
    const struct {
        const char *name, *value;
    } parts[] = {{"month", what->month},
                 {"from", what->from},
                 {"until", what->until},
                 {"client", what->client},
                 {"key", what->key}};
    size_t len = (size_t)snprintf(out, 512, "format=%s", csv ? "csv" : "jsonl");
    for (size_t i = 0; i < sizeof parts / sizeof *parts && len < 512; i++)
        if (parts[i].value)
            len += (size_t)snprintf(out + len, 512 - len, " %s=%s", parts[i].name, parts[i].value);
}

enum cli_exit cmd_audit_export(struct cli *cli)
{
    struct db_export what;
    bool csv = false;
    enum cli_exit code = read_selection(cli, &what, &csv);
    AUTO_DB db = NULL;
    if (code == CLI_DONE)
        code = admin_db_begin(cli, DB_ROLE_AUDITOR, NULL, &db);
    if (code != CLI_DONE)
        return code;
    struct export_run e = {.cli = cli, .told_us = clock_monotonic_us()};
    char sum[AUDIT_SHA256_TEXT] = "", text[512];
    const char *path = cli->option[OPT_OUT];
    code = export_to(cli, db, &what, csv, path, &e, sum);
    uint64_t events = e.writer.events, streams = e.writer.streams;
    audit_writer_free(&e.writer);
    if (code != CLI_DONE)
        return code;
    bool whole = what.month && !what.client && !what.key;
    describe(&what, csv, text);
    rc_t rc = db_audit_note_export(db, text, whole ? what.month : NULL, events, sum);
    if (rc != RC_OK)
        return admin_db_fail(cli, db, rc,
                             "the file was written, but the audit row about it was not");
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:s, s:I, s:I, s:s}", "file", path, "events",
                                             (json_int_t)events, "streams", (json_int_t)streams,
                                             "sha256", sum));
    fprintf(cli->out, "%s: %llu events of %llu streams, SHA-256 %s\n", path,
            (unsigned long long)events, (unsigned long long)streams, sum);
    return CLI_DONE;
}

/* ---- verify a file ---- */

struct finding_print {
    struct cli *cli;
    json_t *rows; /* NULL: text */
};

static void print_finding(void *arg, const struct audit_finding *f)
{
    struct finding_print *p = arg;
    if (p->rows)
        json_array_append_new(p->rows,
                              json_pack("{s:b, s:I, s:s, s:I, s:s, s:s}", "good", 0, "line",
                                        (json_int_t)f->line, "stream", f->stream, "seq",
                                        (json_int_t)f->seq, "what", f->what, "detail", f->detail));
    else if (*f->stream)
        fprintf(p->cli->out, "%s: line %llu: stream %s, row %lld: %s\n", f->what,
                (unsigned long long)f->line, f->stream, (long long)f->seq, f->detail);
    else
        fprintf(p->cli->out, "%s: line %llu: %s\n", f->what, (unsigned long long)f->line,
                f->detail);
}

enum cli_exit audit_check_path(struct cli *cli, const char *path, struct audit_check *check,
                               json_t *rows)
{
    struct finding_print print = {cli, rows};
    FILE *file = fopen(path, "re");
    if (!file)
        return cli_fail(cli, CLI_FILE, NULL, "%s cannot be opened: %s", path, strerror(errno));
    check->finding = print_finding;
    check->finding_arg = &print;
    rc_t rc = audit_check_file(check, file);
    fclose(file);
    if (rc == RC_OK || rc == RC_INTEGRITY)
        return rc == RC_OK ? CLI_DONE : CLI_DAMAGE;
    return cli_fail(cli, cli_exit_of(rc), NULL, "%s was not verified: %s", path, rc_text(rc));
}

enum cli_exit audit_verify_file(struct cli *cli, const char *path)
{
    struct audit_check check = {0};
    json_t *rows = cli_given(cli, OPT_JSON) ? json_array() : NULL;
    enum cli_exit code = audit_check_path(cli, path, &check, rows);
    if (code != CLI_DONE && code != CLI_DAMAGE) {
        json_decref(rows);
        return code;
    }
    if (rows)
        cli_print_json(cli,
                       json_pack("{s:b, s:s, s:b, s:I, s:I, s:s, s:o}", "ok", code == CLI_DONE,
                                 "selection", check.selection, "filtered", check.filtered, "events",
                                 (json_int_t)check.events, "streams", (json_int_t)check.streams,
                                 "sha256", check.sha256, "rows", rows));
    if (code == CLI_DAMAGE)
        return cli_fail(
            cli, CLI_DAMAGE,
            "Compare its SHA-256 with the audit row 'Admin Export Audit' of its making.",
            "%s is not what was exported", path);
    if (!rows)
        fprintf(cli->out, "verified: %llu events of %llu streams: %s; SHA-256 %s\n",
                (unsigned long long)check.events, (unsigned long long)check.streams,
                check.filtered ? "every hash is right; filtered, so rows between these are not here"
                               : "every hash, link, gap and head is right",
                check.sha256);
    return CLI_DONE;
}
