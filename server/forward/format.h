/*
 * One audit row as one syslog message of RFC 5424. Pure: no clock, no socket, no database.
 */
#ifndef SERVER_FORWARD_FORMAT_H
#define SERVER_FORWARD_FORMAT_H

#include "db/forward.h"
#include "proto/base/buf.h"

struct format_settings {
    const char *host;       /* HOSTNAME; empty: none */
    const char *enterprise; /* private enterprise number of the SD-ID holdfast@NUMBER */
    unsigned facility;      /* 0 to 23 */
    unsigned severity;      /* 0 to 7, of a row whose result is Success */
    unsigned severity_failure;
    size_t value_max; /* bytes of a field, past which it is cut and named in the field "cut" */
};

/* Appends the message of a row that has a seq. RC_NO_MEMORY. */
rc_t format_row(const struct format_settings *s, const struct db_forward_row *row, struct buf *out);
/* Appends the message that says that the rows `from` to `to` of the row's stream are gone: MSGID "gap". */
rc_t format_gap(const struct format_settings *s, const struct db_forward_row *row, int64_t from, int64_t to,
                struct buf *out);

#endif
