/* Exported audit rows as a file; see audit_file.h. */
#include "config.h"

#include "server/admin/audit_file.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

static const struct {
    const char *name;
    bool number;
} fields[AUDIT_FIELD_COUNT] = {
#define AUDIT_FIELD_ROW(id, name, number) [AUDIT_##id] = {name, number},
    AUDIT_FIELDS(AUDIT_FIELD_ROW)
#undef AUDIT_FIELD_ROW
};

/* ---- sums ---- */

static rc_t sum_new(EVP_MD_CTX **out)
{
    *out = EVP_MD_CTX_new();
    if (!*out)
        return RC_NO_MEMORY;
    return EVP_DigestInit_ex(*out, EVP_sha256(), NULL) == 1 ? RC_OK : RC_CRYPTO;
}

/* Of all so far; the sum goes on. */
static rc_t sum_text(const EVP_MD_CTX *sum, char out[AUDIT_SHA256_TEXT])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    bool ok =
        copy && EVP_MD_CTX_copy_ex(copy, sum) == 1 && EVP_DigestFinal_ex(copy, hash, &len) == 1;
    EVP_MD_CTX_free(copy);
    for (unsigned i = 0; ok && i < len; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", hash[i]);
    return ok ? RC_OK : RC_CRYPTO;
}

/* ---- writing ---- */

static rc_t add_json_text(struct buf *out, const char *text)
{
    TRY(buf_add_u8(out, '"'));
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            TRY(buf_add_fmt(out, "\\u%04x", (unsigned char)*p));
        else if (*p == '"' || *p == '\\')
            TRY(buf_add_fmt(out, "\\%c", *p));
        else
            TRY(buf_add_u8(out, (uint8_t)*p));
    }
    return buf_add_u8(out, '"');
}

static rc_t add_json(struct buf *out, const struct audit_record *record)
{
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++) {
        if (!record->field[f])
            continue;
        TRY(buf_add_fmt(out, "%s\"%s\":", f ? "," : "{", fields[f].name));
        TRY(fields[f].number ? buf_add_str(out, record->field[f])
                             : add_json_text(out, record->field[f]));
    }
    return buf_add_str(out, "}\n");
}

/* RFC 4180: text in quotes where it has to be. A field that is not set is empty, an empty text
 * would be "". */
static rc_t add_csv(struct buf *out, const struct audit_record *record)
{
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++) {
        const char *text = record->field[f];
        if (f)
            TRY(buf_add_u8(out, ','));
        if (!text)
            continue;
        if (*text && !strpbrk(text, "\",\r\n")) {
            TRY(buf_add_str(out, text));
            continue;
        }
        TRY(buf_add_u8(out, '"'));
        for (; *text; text++) {
            if (*text == '"')
                TRY(buf_add_u8(out, '"'));
            TRY(buf_add_u8(out, (uint8_t)*text));
        }
        TRY(buf_add_u8(out, '"'));
    }
    return buf_add_str(out, "\n");
}

static rc_t put_line(struct audit_writer *w)
{
    if (fwrite(w->line.data, 1, w->line.len, w->file) != w->line.len)
        return RC_IO;
    return EVP_DigestUpdate(w->sum, w->line.data, w->line.len) == 1 ? RC_OK : RC_CRYPTO;
}

rc_t audit_writer_begin(struct audit_writer *w, FILE *file, bool csv)
{
    *w = (struct audit_writer){.file = file, .csv = csv};
    TRY(sum_new(&w->sum));
    if (!csv)
        return RC_OK;
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++)
        TRY(buf_add_fmt(&w->line, "%s%s", f ? "," : "", fields[f].name));
    TRY(buf_add_u8(&w->line, '\n'));
    return put_line(w);
}

rc_t audit_writer_put(struct audit_writer *w, const struct audit_record *record)
{
    const char *kind = record->field[AUDIT_RECORD];
    w->events += strcmp(kind, "event") == 0;
    w->streams += strcmp(kind, "stream") == 0;
    w->line.len = 0;
    TRY(w->csv ? add_csv(&w->line, record) : add_json(&w->line, record));
    return put_line(w);
}

rc_t audit_writer_end(struct audit_writer *w, char sha256_out[AUDIT_SHA256_TEXT])
{
    char sum[AUDIT_SHA256_TEXT], events[24], streams[24];
    TRY(sum_text(w->sum, sum));
    snprintf(events, sizeof events, "%llu", (unsigned long long)w->events);
    snprintf(streams, sizeof streams, "%llu", (unsigned long long)w->streams);
    const struct audit_record end = {.field = {[AUDIT_RECORD] = "end",
                                               [AUDIT_SEQ] = events,
                                               [AUDIT_POSITION] = streams,
                                               [AUDIT_HASH] = sum}};
    TRY(audit_writer_put(w, &end));
    if (fflush(w->file) != 0)
        return RC_IO;
    return sum_text(w->sum, sha256_out);
}

void audit_writer_free(struct audit_writer *w)
{
    EVP_MD_CTX_free(w->sum);
    buf_free(&w->line);
    w->sum = NULL;
}

/* ---- reading ---- */

/* One line more, with its end; in CSV a quoted text may go on in the next one. */
static rc_t read_line(struct audit_reader *r)
{
    bool quoted = false;
    r->line.len = 0;
    r->number++;
    for (int c; (c = getc(r->file)) != EOF;) {
        if (r->line.len >= AUDIT_LINE_MAX)
            return RC_BAD_MESSAGE;
        TRY(buf_add_u8(&r->line, (uint8_t)c));
        quoted ^= r->csv && c == '"';
        if (c == '\n' && !quoted)
            return RC_OK;
    }
    if (ferror(r->file))
        return RC_IO;
    return r->line.len ? RC_BAD_MESSAGE : RC_NOT_FOUND; /* a line without its end was cut */
}

static rc_t parse_csv(struct audit_reader *r, struct audit_record *out)
{
    const char *p = (const char *)r->line.data, *end = p + r->line.len - 1;
    size_t starts[AUDIT_FIELD_COUNT];
    bool set[AUDIT_FIELD_COUNT];
    r->text.len = 0;
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++) {
        if (f && (p >= end || *p++ != ','))
            return RC_BAD_MESSAGE;
        starts[f] = r->text.len;
        set[f] = p < end && *p != ',';
        bool quoted = p < end && *p == '"';
        p += quoted;
        while (p < end && (quoted || *p != ',')) {
            if (quoted && *p == '"' && *++p != '"')
                break;
            TRY(buf_add_u8(&r->text, (uint8_t)*p++));
        }
        TRY(buf_add_u8(&r->text, 0));
    }
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++)
        out->field[f] = set[f] ? (const char *)r->text.data + starts[f] : NULL;
    return p == end && out->field[AUDIT_RECORD] ? RC_OK : RC_BAD_MESSAGE;
}

static int find_field(const char *name)
{
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++)
        if (!strcmp(fields[f].name, name))
            return f;
    return -1;
}

static rc_t parse_json(struct audit_reader *r, struct audit_record *out)
{
    const char *name;
    json_t *value;
    char numbers[AUDIT_FIELD_COUNT][24];
    size_t starts[AUDIT_FIELD_COUNT];
    json_decref(r->object);
    r->object = json_loadb((const char *)r->line.data, r->line.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(r->object))
        return RC_BAD_MESSAGE;
    r->text.len = 0;
    json_object_foreach(r->object, name, value)
    {
        int f = find_field(name);
        if (f < 0 || (fields[f].number ? !json_is_integer(value) : !json_is_string(value)))
            return RC_BAD_MESSAGE;
        if (fields[f].number)
            snprintf(numbers[f], sizeof numbers[f], "%lld", (long long)json_integer_value(value));
        starts[f] = r->text.len;
        TRY(buf_add_str(&r->text, fields[f].number ? numbers[f] : json_string_value(value)));
        TRY(buf_add_u8(&r->text, 0));
        out->field[f] = ""; /* the text may still move */
    }
    for (int f = 0; f < AUDIT_FIELD_COUNT; f++)
        if (out->field[f])
            out->field[f] = (const char *)r->text.data + starts[f];
    return out->field[AUDIT_RECORD] ? RC_OK : RC_BAD_MESSAGE;
}

rc_t audit_reader_begin(struct audit_reader *r, FILE *file)
{
    *r = (struct audit_reader){.file = file};
    TRY(sum_new(&r->sum));
    int c = getc(file);
    if (c == EOF)
        return RC_BAD_MESSAGE;
    ungetc(c, file);
    r->csv = c != '{';
    if (!r->csv)
        return RC_OK;
    rc_t rc = read_line(r);
    struct audit_record names = {0};
    if (rc == RC_OK)
        rc = parse_csv(r, &names);
    for (int f = 0; f < AUDIT_FIELD_COUNT && rc == RC_OK; f++)
        if (!names.field[f] || strcmp(names.field[f], fields[f].name) != 0)
            rc = RC_BAD_MESSAGE;
    return rc == RC_NOT_FOUND ? RC_BAD_MESSAGE : rc;
}

rc_t audit_reader_next(struct audit_reader *r, struct audit_record *out)
{
    *out = (struct audit_record){0};
    /* What was read before goes into the sum now, so that `before` leaves this record out. */
    if (r->line.len && EVP_DigestUpdate(r->sum, r->line.data, r->line.len) != 1)
        return RC_CRYPTO;
    TRY(read_line(r));
    TRY(r->csv ? parse_csv(r, out) : parse_json(r, out));
    return strcmp(out->field[AUDIT_RECORD], "end") == 0 ? sum_text(r->sum, r->before) : RC_OK;
}

rc_t audit_reader_sum(struct audit_reader *r, char sha256_out[AUDIT_SHA256_TEXT])
{
    if (r->line.len && EVP_DigestUpdate(r->sum, r->line.data, r->line.len) != 1)
        return RC_CRYPTO;
    r->line.len = 0;
    return sum_text(r->sum, sha256_out);
}

void audit_reader_free(struct audit_reader *r)
{
    EVP_MD_CTX_free(r->sum);
    buf_free(&r->line);
    buf_free(&r->text);
    json_decref(r->object);
    r->sum = NULL;
    r->object = NULL;
}
