/* Verification of exported audit rows; see audit_check.h. */
#include "config.h"

#include "server/admin/audit_check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_HASH = 2 * AUDIT_HASH_BYTES };

/* Where the check is. */
struct walk {
    struct audit_check *c;
    struct audit_reader reader;
    bool begun, ended;
    /* the present stream */
    char stream[UID_TEXT_SIZE]; /* empty: before the first */
    int64_t head_seq;           /* -1: the file does not tell */
    char head_hash[HEX_HASH + 1];
    int64_t last;                 /* seq of the last row or gap; 0: none yet */
    char last_hash[HEX_HASH + 1]; /* empty: not to be compared */
    /* the present run */
    int64_t run_first, run_rows;
    char run_before[HEX_HASH + 1];
};

__attribute__((format(printf, 4, 5))) static void found(struct walk *w, int64_t seq,
                                                        const char *what, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct audit_finding f = {w->reader.number, w->stream, seq, what, text};
    w->c->wrong++;
    w->c->finding(w->c->finding_arg, &f);
}

/* ---- one row ---- */

static int64_t number_or(const char *text, int64_t preset)
{
    return text ? strtoll(text, NULL, 10) : preset;
}

static rc_t uid_or_nil(const char *text, struct uid *out)
{
    *out = (struct uid){{0}};
    return text ? uid_parse(bytes_str(text), out) : RC_OK;
}

static bool read_hash(const char *hex, uint8_t out[AUDIT_HASH_BYTES])
{
    if (!hex || strlen(hex) != HEX_HASH || strspn(hex, "0123456789abcdef") != HEX_HASH)
        return false;
    for (int i = 0; i < AUDIT_HASH_BYTES; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

/* Recomputes the hash of a row. RC_BAD_VALUE: a field is not what it should be. */
static rc_t row_matches(const struct audit_record *r, bool *matches)
{
    const char *const *f = r->field;
    struct audit_event e = {.time_us = number_or(f[AUDIT_TIME_US], 0),
                            .client_name = bytes_str(f[AUDIT_CLIENT_NAME]),
                            .fingerprint = bytes_str(f[AUDIT_FINGERPRINT]),
                            .address = bytes_str(f[AUDIT_ADDRESS]),
                            .protocol = bytes_str(f[AUDIT_PROTOCOL]),
                            .correlation = bytes_str(f[AUDIT_CORRELATION]),
                            .position = (int32_t)number_or(f[AUDIT_POSITION], -1),
                            .operation = bytes_str(f[AUDIT_OPERATION]),
                            .result = bytes_str(f[AUDIT_RESULT]),
                            .reason = bytes_str(f[AUDIT_REASON]),
                            .duration_us = number_or(f[AUDIT_DURATION_US], -1),
                            .detail = bytes_str(f[AUDIT_DETAIL])};
    struct uid stream;
    uint8_t previous[AUDIT_HASH_BYTES], hash[AUDIT_HASH_BYTES], computed[AUDIT_HASH_BYTES];
    *matches = false;
    if (!f[AUDIT_STREAM] || !f[AUDIT_SEQ] || !f[AUDIT_TIME_US] ||
        !read_hash(f[AUDIT_PREVIOUS], previous) || !read_hash(f[AUDIT_HASH], hash))
        return RC_BAD_VALUE;
    TRY(uid_or_nil(f[AUDIT_STREAM], &stream));
    TRY(uid_or_nil(f[AUDIT_CLIENT], &e.client));
    TRY(uid_or_nil(f[AUDIT_OBJECT], &e.object));
    TRY(audit_hash(&e, &stream, (uint64_t)number_or(f[AUDIT_SEQ], 0), previous, computed));
    *matches = memcmp(hash, computed, sizeof hash) == 0;
    return RC_OK;
}

/* ---- runs ---- */

static rc_t end_run(struct walk *w)
{
    char first[24], rows[24];
    if (w->run_rows == 0)
        return RC_OK;
    snprintf(first, sizeof first, "%lld", (long long)w->run_first);
    snprintf(rows, sizeof rows, "%lld", (long long)w->run_rows);
    const struct audit_record run = {.field = {[AUDIT_RECORD] = "run",
                                               [AUDIT_STREAM] = w->stream,
                                               [AUDIT_SEQ] = first,
                                               [AUDIT_POSITION] = rows,
                                               [AUDIT_PREVIOUS] = w->run_before,
                                               [AUDIT_HASH] = w->last_hash}};
    w->run_rows = 0;
    return w->c->run ? w->c->run(w->c->run_arg, &run) : RC_OK;
}

static rc_t add_to_run(struct walk *w, int64_t seq, const char *previous)
{
    if (w->run_rows && seq != w->run_first + w->run_rows)
        TRY(end_run(w));
    if (w->run_rows++ == 0) {
        w->run_first = seq;
        snprintf(w->run_before, sizeof w->run_before, "%s", previous);
    }
    return RC_OK;
}

/* ---- records ---- */

/* Whether a row of this stream with this number may stand here; tells what is wrong otherwise. */
static bool in_order(struct walk *w, const char *stream, int64_t seq)
{
    if (!stream || strcmp(stream, w->stream) != 0) {
        found(w, seq, "reordered", "this record is of stream %s and stands among those of another",
              stream ? stream : "-");
        return false;
    }
    if (seq > w->last)
        return true;
    found(w, seq, seq == w->last ? "added" : "reordered",
          seq == w->last ? "there is more than one row with this number"
                         : "this row stands after row %lld",
          (long long)w->last);
    return false;
}

static rc_t on_event(struct walk *w, const struct audit_record *r)
{
    static const char zeros[HEX_HASH + 1] =
        "0000000000000000000000000000000000000000000000000000000000000000";
    const char *const *f = r->field;
    int64_t seq = number_or(f[AUDIT_SEQ], 0);
    bool matches;
    w->c->events++;
    rc_t rc = row_matches(r, &matches);
    if (rc == RC_NO_MEMORY || rc == RC_CRYPTO)
        return rc;
    if (rc != RC_OK)
        found(w, seq, "changed", "a field of the row is not as it was written");
    else if (!matches)
        found(w, seq, "changed", "the row does not match its hash");
    if (rc != RC_OK || !in_order(w, f[AUDIT_STREAM], seq))
        return RC_OK;
    bool follows = seq == w->last + 1;
    if (!follows && !w->c->filtered)
        found(w, w->last + 1, "removed", "rows %lld to %lld are missing", (long long)w->last + 1,
              (long long)seq - 1);
    if (follows && matches && (w->last == 0 || *w->last_hash) &&
        strcmp(f[AUDIT_PREVIOUS], w->last ? w->last_hash : zeros) != 0)
        found(w, w->last, "changed", "row %lld followed another row than this one", (long long)seq);
    if (w->head_seq >= 0 &&
        (seq > w->head_seq || (seq == w->head_seq && strcmp(f[AUDIT_HASH], w->head_hash) != 0)))
        found(w, seq, "added", "the head of the stream is row %lld with another hash",
              (long long)w->head_seq);
    TRY(add_to_run(w, seq, f[AUDIT_PREVIOUS]));
    w->last = seq;
    /* what follows a changed row is compared with what that row should be: it cannot be told twice
     */
    snprintf(w->last_hash, sizeof w->last_hash, "%s", f[AUDIT_HASH]);
    return RC_OK;
}

static rc_t on_gap(struct walk *w, const struct audit_record *r)
{
    const char *const *f = r->field;
    int64_t first = number_or(f[AUDIT_SEQ], 0), count = number_or(f[AUDIT_POSITION], 0);
    TRY(end_run(w));
    if (!in_order(w, f[AUDIT_STREAM], first))
        return RC_OK;
    if (first != w->last + 1 || count < 1)
        found(w, w->last + 1, "removed",
              "the rows from %lld on are missing, the gap told begins with row %lld",
              (long long)w->last + 1, (long long)first);
    if (f[AUDIT_REASON])
        found(w, first, "removed",
              "%lld rows from this one on were missing when the file was written",
              (long long)count);
    if (w->last && *w->last_hash && f[AUDIT_PREVIOUS] &&
        strcmp(f[AUDIT_PREVIOUS], w->last_hash) != 0)
        found(w, w->last, "changed", "the gap followed another row than this one");
    w->last = first + count - 1;
    snprintf(w->last_hash, sizeof w->last_hash, "%s", f[AUDIT_HASH] ? f[AUDIT_HASH] : "");
    return RC_OK;
}

/* The tail of a stream: up to its head, unless rows are left out on purpose. */
static rc_t end_stream(struct walk *w)
{
    TRY(end_run(w));
    if (!*w->stream || w->c->filtered)
        return RC_OK;
    if (w->head_seq > w->last)
        found(w, w->last + 1, "removed", "rows %lld to %lld are missing at the end of the stream",
              (long long)w->last + 1, (long long)w->head_seq);
    else if (w->head_seq == w->last && strcmp(w->head_hash, w->last_hash) != 0)
        found(w, w->last, "changed", "the last row is not the one that the head names");
    return RC_OK;
}

static rc_t on_stream(struct walk *w, const struct audit_record *r)
{
    const char *stream = r->field[AUDIT_STREAM];
    TRY(end_stream(w));
    if (!stream || strlen(stream) >= sizeof w->stream || strcmp(stream, w->stream) <= 0)
        found(w, 0, "reordered", "the streams are not in their order");
    w->c->streams++;
    snprintf(w->stream, sizeof w->stream, "%.36s", stream ? stream : "");
    w->head_seq = number_or(r->field[AUDIT_SEQ], -1);
    snprintf(w->head_hash, sizeof w->head_hash, "%.64s",
             r->field[AUDIT_HASH] ? r->field[AUDIT_HASH] : "");
    w->last = 0;
    *w->last_hash = 0;
    if (w->head_seq < 0)
        found(w, 0, "removed", "the head of this stream was gone when the file was written");
    return RC_OK;
}

static rc_t on_export(struct walk *w, const struct audit_record *r)
{
    const char *detail = r->field[AUDIT_DETAIL] ? r->field[AUDIT_DETAIL] : "";
    if (w->begun || strncmp(detail, "format=1", 8) != 0)
        found(w, 0, "format",
              w->begun ? "a second export begins here" : "the file is of another format than 1");
    w->begun = true;
    snprintf(w->c->selection, sizeof w->c->selection, "%s", detail);
    w->c->filtered = strstr(detail, " client=") || strstr(detail, " key=");
    return RC_OK;
}

static rc_t on_end(struct walk *w, const struct audit_record *r)
{
    const char *const *f = r->field;
    TRY(end_stream(w));
    *w->stream = 0;
    w->ended = true;
    if (number_or(f[AUDIT_SEQ], -1) != (int64_t)w->c->events ||
        number_or(f[AUDIT_POSITION], -1) != (int64_t)w->c->streams)
        found(w, 0, "changed", "the file has %llu events of %llu streams, its end says %s of %s",
              (unsigned long long)w->c->events, (unsigned long long)w->c->streams,
              f[AUDIT_SEQ] ? f[AUDIT_SEQ] : "-", f[AUDIT_POSITION] ? f[AUDIT_POSITION] : "-");
    if (!f[AUDIT_HASH] || strcmp(f[AUDIT_HASH], w->reader.before) != 0)
        found(w, 0, "changed", "the file's SHA-256 is not the one that its end says");
    return RC_OK;
}

static rc_t on_record(struct walk *w, const struct audit_record *r)
{
    static const struct {
        const char *kind;
        rc_t (*on)(struct walk *w, const struct audit_record *r);
    } kinds[] = {
        {"event", on_event},   {"gap", on_gap}, {"stream", on_stream},
        {"export", on_export}, {"end", on_end},
    };
    if (w->ended)
        found(w, 0, "added", "there are records after the end");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].kind, r->field[AUDIT_RECORD]) &&
            (w->begun || kinds[i].on == on_export))
            return kinds[i].on(w, r);
    found(w, 0, "format", "no record of an audit export");
    return RC_OK;
}

rc_t audit_check_file(struct audit_check *c, FILE *file)
{
    struct walk w = {.c = c};
    struct audit_record record;
    rc_t rc = audit_reader_begin(&w.reader, file);
    while (rc == RC_OK && (rc = audit_reader_next(&w.reader, &record)) == RC_OK)
        rc = on_record(&w, &record);
    if (rc == RC_BAD_MESSAGE)
        found(&w, 0, "format", "this line is not as holdfast audit export writes it");
    if (!w.ended && (rc == RC_NOT_FOUND || rc == RC_BAD_MESSAGE)) {
        *w.stream = 0;
        found(&w, 0, "cut", "the file has no end: it was cut, or the export was interrupted");
    }
    if (rc == RC_NOT_FOUND)
        rc = audit_reader_sum(&w.reader, c->sha256);
    audit_reader_free(&w.reader);
    if (rc == RC_OK || rc == RC_BAD_MESSAGE)
        return c->wrong ? RC_INTEGRITY : RC_OK;
    return rc;
}
