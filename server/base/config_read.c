/*
 * Reads a configuration file with inih and tells every problem with its file, line, option and what
 * to do. inih cuts lines at 200 bytes and joins nothing, so long lines are refused here and a line
 * that begins with a blank goes on with the text of the option before it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/config_value.h"

enum { LONGEST_LINE = INI_MAX_LINE - 3, OPTIONS_MAX = 128 };

struct reading {
    struct config *config;
    const char *file;
    struct bytes text;
    size_t at;         /* in text */
    unsigned line;     /* number of the line that inih works on */
    bool continued;    /* that line begins with a blank */
    bool line_refused; /* that line was told of already */
    unsigned problems;
    struct buf *told;
    const struct config_option *last;
    char value[CONFIG_TEXT_SIZE]; /* text of `last` so far */
    unsigned last_line;
    unsigned seen[OPTIONS_MAX]; /* line of each option met, 0: not yet */
};

static void __attribute__((format(printf, 3, 4)))
tell(struct reading *r, unsigned line, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (r->problems++ >= CONFIG_PROBLEMS_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = '?';
    (void)buf_add_fmt(r->told, "%s:%u: %s\n", r->file, line, text);
}

/* Sets the option whose lines are all read now. */
static void settle(struct reading *r)
{
    char wanted[160];

    if (!r->last)
        return;
    if (config_set(r->config, r->last, r->value) != RC_OK) {
        config_wanted(r->last, wanted, sizeof wanted);
        tell(r, r->last_line, "[%s] %s: \"%.60s\" is not a value for it; %s", r->last->section,
             r->last->name, r->value, wanted);
    }
    r->last = NULL;
}

static void go_on(struct reading *r, const char *value)
{
    size_t have = strlen(r->value);

    if (r->last->kind != CONFIG_TEXT) {
        tell(r, r->line, "[%s] %s: goes on over a second line; put the value on one line",
             r->last->section, r->last->name);
        return;
    }
    if (have + 1 + strlen(value) >= sizeof r->value) {
        tell(r, r->line, "[%s] %s: is too long; give at most %u characters", r->last->section,
             r->last->name, (unsigned)r->last->most);
        return;
    }
    snprintf(r->value + have, sizeof r->value - have, " %s", value);
}

/* inih calls this for each `name = value`; 0 would mark an error, which tell() does better. */
static int on_option(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    const struct config_option *o = config_find(section, name);
    size_t i;

    if (r->line_refused)
        return 1;
    if (r->continued && r->last) {
        go_on(r, value);
        return 1;
    }
    settle(r);
    if (!o) {
        tell(r, r->line,
             "[%.40s] %.60s: there is no such option; remove it, or see holdfast config show",
             section, name);
        return 1;
    }
    i = (size_t)(o - config_options);
    if (r->seen[i]) {
        tell(r, r->line, "[%s] %s: stands in line %u already; keep one of the two", section, name,
             r->seen[i]);
        return 1;
    }
    r->seen[i] = r->line;
    r->last = o;
    r->last_line = r->line;
    snprintf(r->value, sizeof r->value, "%s", value);
    return 1;
}

/* One line for inih, as fgets() gives it. */
static char *next_line(char *out, int room, void *stream)
{
    struct reading *r = stream;
    const uint8_t *from = r->text.data + r->at;
    size_t left = r->text.len - r->at, len;
    const uint8_t *end;

    (void)room; /* INI_MAX_LINE, which LONGEST_LINE is below */
    if (!left)
        return NULL;
    end = memchr(from, '\n', left);
    len = end ? (size_t)(end - from) : left;
    r->at += len + (end ? 1 : 0);
    r->line++;
    r->line_refused = false;
    if (len && from[len - 1] == '\r')
        len--;
    if (len > LONGEST_LINE || memchr(from, 0, len)) {
        if (len > LONGEST_LINE)
            tell(r, r->line,
                 "the line is longer than %d bytes; let it go on in the next line, begun with a "
                 "blank",
                 LONGEST_LINE);
        else
            tell(r, r->line, "the line holds a zero byte; this is not a text file");
        r->line_refused = true;
        len = 0;
    }
    r->continued = len && (from[0] == ' ' || from[0] == '\t');
    memcpy(out, from, len);
    out[len] = '\n';
    out[len + 1] = 0;
    return out;
}

static void check_whole(struct reading *r)
{
    const struct config *c = r->config;

    if (c->server_restart_min_ms > c->server_restart_max_ms)
        tell(r, r->line, "[server] restart_min_ms: is above restart_max_ms; lower it");
    if (strncmp(c->vault_tpm, "device:/", 8) && strncmp(c->vault_tpm, "swtpm:/", 7))
        tell(r, r->line,
             "[vault] tpm: is neither device:/PATH nor swtpm:/PATH; write device:/dev/tpmrm0 for "
             "the machine's TPM");
    if (c->server_run_dir[0] != '/' || c->server_state_dir[0] != '/')
        tell(r, r->line, "[server] run_dir, state_dir: are not absolute; begin them with a slash");
    if (c->limits_connection_requests > c->limits_queue_requests)
        tell(r, r->line, "[limits] connection_requests: is above queue_requests; lower it");
}

rc_t config_parse(struct bytes text, const char *file, struct config *out, struct buf *problems)
{
    struct reading r = {.config = out, .file = file, .text = text, .told = problems};
    int bad;

    config_preset(out);
    if (config_option_count > OPTIONS_MAX)
        return RC_INTERNAL;
    bad = ini_parse_stream(next_line, &r, on_option, &r);
    settle(&r);
    if (bad > 0)
        tell(&r, (unsigned)bad, "is neither [section], name = value nor a comment; correct it");
    if (bad < 0)
        return RC_NO_MEMORY;
    check_whole(&r);
    if (r.problems > CONFIG_PROBLEMS_MAX)
        (void)buf_add_fmt(problems, "%s: and %u problems more\n", file,
                          r.problems - CONFIG_PROBLEMS_MAX);
    return r.problems ? RC_CONFIG : RC_OK;
}

rc_t config_load_fd(int fd, const char *file, struct config *out, struct buf *problems)
{
    AUTO_BUF text = BUF_EMPTY;
    ssize_t n;

    for (;;) {
        TRY(buf_reserve(&text, 4096));
        n = pread(fd, text.data + text.len, text.room - text.len, (off_t)text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)buf_add_fmt(problems, "%s: cannot be read: %s\n", file, strerror(errno));
            return RC_CONFIG;
        }
        if (n == 0)
            break;
        text.len += (size_t)n;
        if (text.len > CONFIG_FILE_MAX) {
            (void)buf_add_fmt(problems, "%s: is longer than %d bytes; shorten it\n", file,
                              CONFIG_FILE_MAX);
            return RC_CONFIG;
        }
    }
    return config_parse(buf_view(&text), file, out, problems);
}

rc_t config_load(const char *path, struct config *out, struct buf *problems)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    rc_t rc = RC_CONFIG;

    if (fd < 0) {
        (void)buf_add_fmt(problems, "%s: cannot be opened: %s; name the file with --config\n", path,
                          strerror(errno));
        return RC_CONFIG;
    }
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        (void)buf_add_fmt(problems, "%s: is not a file; name the file with --config\n", path);
    else
        rc = config_load_fd(fd, path, out, problems);
    close(fd);
    return rc;
}
