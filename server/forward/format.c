/*
 * RFC 5424: <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [SD-ID NAME="VALUE" ...] BOM MSG. The stream is the
 * PROCID: as that is meant to, it changes where the order of messages begins anew.
 */
#include "config.h"

#include <stdio.h>

#include "server/forward/format.h"

/* Bytes at most of header fields (RFC 5424, 6). */
enum { HOSTNAME_MAX = 255, PROCID_MAX = 128, MSGID_MAX = 32 };

static const char *const names[DB_FORWARD_FIELD_COUNT] = {
#define FORWARD_NAME(id, name) [DB_FORWARD_##id] = #name,
    DB_FORWARD_FIELDS(FORWARD_NAME)
#undef FORWARD_NAME
};

/* A header field is PRINTUSASCII, "-" where there is none: other bytes become "?". */
static rc_t add_header(struct buf *out, const char *text, size_t most)
{
    if (!text || !*text)
        return buf_add_str(out, " -");
    TRY(buf_add_u8(out, ' '));
    for (size_t i = 0; text[i] && i < most; i++)
        TRY(buf_add_u8(out, text[i] > 32 && text[i] < 127 ? (uint8_t)text[i] : '?'));
    return RC_OK;
}

/* As much of a UTF-8 text as fits, never part of a character. */
static size_t length_within(const char *text, size_t most)
{
    size_t len = strlen(text);
    if (len <= most)
        return len;
    len = most;
    while (len > 0 && ((uint8_t)text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

/* NAME="VALUE" where ", \ and ] are escaped and nothing else is (RFC 5424, 6.3.3). */
static rc_t add_param(struct buf *out, const char *name, const char *value, size_t len)
{
    TRY(buf_add_fmt(out, " %s=\"", name));
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\' || value[i] == ']')
            TRY(buf_add_u8(out, '\\'));
        TRY(buf_add_u8(out, (uint8_t)value[i]));
    }
    return buf_add_u8(out, '"');
}

/* Text for people: without control characters, which a receiver may take for an end of line. */
static rc_t add_plain(struct buf *out, const char *text, size_t most)
{
    size_t len = length_within(text, most);
    for (size_t i = 0; i < len; i++)
        TRY(buf_add_u8(out, (uint8_t)text[i] < 32 || text[i] == 127 ? ' ' : (uint8_t)text[i]));
    return RC_OK;
}

static rc_t begin(const struct format_settings *s, unsigned severity, const struct db_forward_row *row,
                  const char *msgid, struct buf *out)
{
    TRY(buf_add_fmt(out, "<%u>1 %s", s->facility * 8 + severity, row->at ? row->at : "-"));
    TRY(add_header(out, s->host, HOSTNAME_MAX));
    TRY(buf_add_str(out, " holdfast"));
    TRY(add_header(out, row->fields[DB_FORWARD_STREAM], PROCID_MAX));
    TRY(add_header(out, msgid, MSGID_MAX));
    return buf_add_fmt(out, " [holdfast@%s", s->enterprise);
}

/* Ends the structured data; what follows is UTF-8 and says so. */
static rc_t begin_text(struct buf *out)
{
    return buf_add_str(out, "] \xEF\xBB\xBF");
}

/* "first Get 018f...: Operation Failed, Item Not Found" */
static rc_t add_text(const struct format_settings *s, const struct db_forward_row *row, struct buf *out)
{
    const char *client = row->fields[DB_FORWARD_CLIENT], *object = row->fields[DB_FORWARD_OBJECT];
    const char *reason = row->fields[DB_FORWARD_REASON], *result = row->fields[DB_FORWARD_RESULT];
    const char *operation = row->fields[DB_FORWARD_OPERATION];
    TRY(begin_text(out));
    TRY(add_plain(out, client ? client : "-", s->value_max));
    TRY(buf_add_u8(out, ' '));
    TRY(add_plain(out, operation ? operation : "-", s->value_max));
    if (object)
        TRY(buf_add_fmt(out, " %s", object));
    TRY(buf_add_str(out, ": "));
    TRY(add_plain(out, result ? result : "-", s->value_max));
    if (!reason)
        return RC_OK;
    TRY(buf_add_str(out, ", "));
    return add_plain(out, reason, s->value_max);
}

rc_t format_row(const struct format_settings *s, const struct db_forward_row *row, struct buf *out)
{
    const char *result = row->fields[DB_FORWARD_RESULT];
    bool good = result && strcmp(result, "Success") == 0, cut = false;
    TRY(begin(s, good ? s->severity : s->severity_failure, row, row->class, out));
    for (int f = 0; f < DB_FORWARD_FIELD_COUNT; f++)
        if (row->fields[f])
            TRY(add_param(out, names[f], row->fields[f], length_within(row->fields[f], s->value_max)));
    for (int f = 0; f < DB_FORWARD_FIELD_COUNT; f++) {
        if (!row->fields[f] || strlen(row->fields[f]) <= s->value_max)
            continue;
        TRY(buf_add_fmt(out, "%s%s", cut ? " " : " cut=\"", names[f]));
        cut = true;
    }
    if (cut)
        TRY(buf_add_u8(out, '"'));
    return add_text(s, row, out);
}

rc_t format_gap(const struct format_settings *s, const struct db_forward_row *row, int64_t from, int64_t to,
                struct buf *out)
{
    const char *stream = row->fields[DB_FORWARD_STREAM], *opener = row->fields[DB_FORWARD_OPENER];
    struct db_forward_row timeless = *row; /* when they were written is not known */
    timeless.at = NULL;
    TRY(begin(s, s->severity_failure, &timeless, "gap", out));
    TRY(add_param(out, "stream", stream, strlen(stream)));
    if (opener)
        TRY(add_param(out, "opener", opener, length_within(opener, s->value_max)));
    TRY(buf_add_fmt(out, " from=\"%lld\" to=\"%lld\"", (long long)from, (long long)to));
    TRY(begin_text(out));
    return buf_add_fmt(out, "rows %lld to %lld of stream %s were gone before they were forwarded", (long long)from,
                       (long long)to, stream);
}
