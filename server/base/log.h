/*
 * Logging: one event, one line, stable keys: `event=conn.open req=7f3a client=web-7`. Goes to
 * standard error (journald or a file takes it from there). Values are escaped and cut at 128 bytes.
 * Never pass key bytes or names of objects.
 */
#ifndef SERVER_BASE_LOG_H
#define SERVER_BASE_LOG_H

#include "proto/base/bytes.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Set once at start: the process name that begins each line, and the least level printed. */
void log_open(const char *process, enum log_level level);
void log_set_level(enum log_level level);
/* event: "area.what"; fmt gives " key=value" pairs. Values of text from outside go through log_value(). */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Quotes, escapes and cuts text of unknown origin for one log line. Returns out. */
const char *log_value(struct bytes text, char out[static 160]);

#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)

#endif
