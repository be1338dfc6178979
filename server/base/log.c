/*
 * One event, one line, one write(2); see log.h. Never allocates, keeps no buffer, so it works in
 * every state of a process, also inside the sandbox.
 */
#include "config.h"

#include "server/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, VALUE_MAX_BYTES = 128 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static char process_name[32] = "holdfast";
static enum log_level least = LOG_INFO;

void log_open(const char *process, enum log_level level)
{
    snprintf(process_name, sizeof process_name, "%s", process);
    least = level;
}

void log_set_level(enum log_level level)
{
    least = level;
}

/* UTC with milliseconds, by arithmetic: localtime() would read files. */
static int print_time(char *out, size_t room)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    return snprintf(out, room, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
                    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                    now.tv_nsec / 1000000);
}

static size_t clamp(int n, size_t room)
{
    if (n < 0)
        return 0;
    return (size_t)n < room ? (size_t)n : room - 1;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    size_t len = 0, room = sizeof line - 1; /* one byte for the line's end */
    va_list args;

    if (level > least)
        return;
    len += clamp(print_time(line, room), room);
    len += clamp(snprintf(line + len, room - len, " %s level=%s event=%s", process_name,
                          level_names[level], event),
                 room - len);
    if (fmt[0]) {
        if (fmt[0] != ' ')
            line[len++] = ' ';
        va_start(args, fmt);
        len += clamp(vsnprintf(line + len, room - len, fmt, args), room - len);
        va_end(args);
    }
    for (size_t i = 0; i < len; i++) /* a careless value must not make a second line */
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len);
}

const char *log_value(struct bytes text, char out[static 160])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    out[at++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        size_t need = c == '"' || c == '\\' ? 2 : c >= 0x20 && c < 0x7f ? 1 : 4;
        if (at + need > VALUE_MAX_BYTES - 4) { /* room for the mark and the closing quote */
            memcpy(out + at, "...", 3);
            at += 3;
            break;
        }
        if (need == 4) {
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = hex[c >> 4];
            out[at++] = hex[c & 15];
        } else {
            if (need == 2)
                out[at++] = '\\';
            out[at++] = (char)c;
        }
    }
    out[at++] = '"';
    out[at] = 0;
    return out;
}
