/*
 * Canonical form and hash of audit rows; see audit_chain.h. audit.canonical() in SQL makes the same
 * bytes, and a test compares both.
 */
#include "db/audit_chain.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "db/utf8.h"

/* How many bytes of clean text stand at the front, up to `most`; whole characters only. */
static size_t clean_prefix(struct bytes in, size_t most)
{
    size_t i = 0;
    while (i < in.len) {
        size_t n = utf8_char(in.data + i, in.len - i);
        if (n == 0 || in.data[i] < 0x20 || in.data[i] == 0x7F || i + n > most)
            break;
        i += n;
    }
    return i;
}

/* Text as it is stored: escaped where it is not clean, cut where it is too long. */
static rc_t clean_text(struct bytes in, size_t most, struct arena *arena, struct bytes *out)
{
    size_t done = clean_prefix(in, most);
    *out = bytes_of(in.data, done);
    if (done == in.len || done + 4 > most) {
        if (done == 0)
            *out = BYTES_NONE;
        return RC_OK;
    }
    char *text = arena_alloc(arena, most + 1);
    if (!text)
        return RC_NO_MEMORY;
    size_t len = done;
    memcpy(text, in.data, done);
    for (size_t i = done; i < in.len;) {
        size_t n = utf8_char(in.data + i, in.len - i);
        if (n == 0 || in.data[i] < 0x20 || in.data[i] == 0x7F) {
            if (len + 4 > most)
                break;
            len += (size_t)snprintf(text + len, 5, "\\x%02X", in.data[i]);
            i++;
        } else {
            if (len + n > most)
                break;
            memcpy(text + len, in.data + i, n);
            len += n;
            i += n;
        }
    }
    *out = bytes_of(text, len);
    return RC_OK;
}

rc_t audit_event_clean(const struct audit_event *in, struct arena *arena, struct audit_event *out)
{
    *out = *in;
    TRY(clean_text(in->client_name, AUDIT_TEXT_MAX, arena, &out->client_name));
    TRY(clean_text(in->fingerprint, AUDIT_TEXT_MAX, arena, &out->fingerprint));
    TRY(clean_text(in->address, AUDIT_TEXT_MAX, arena, &out->address));
    TRY(clean_text(in->protocol, AUDIT_TEXT_MAX, arena, &out->protocol));
    TRY(clean_text(in->correlation, AUDIT_TEXT_MAX, arena, &out->correlation));
    TRY(clean_text(in->operation, AUDIT_TEXT_MAX, arena, &out->operation));
    TRY(clean_text(in->result, AUDIT_TEXT_MAX, arena, &out->result));
    TRY(clean_text(in->reason, AUDIT_TEXT_MAX, arena, &out->reason));
    TRY(clean_text(in->detail, AUDIT_DETAIL_MAX, arena, &out->detail));
    /* these two columns are never NULL */
    if (out->operation.len == 0)
        out->operation = bytes_str("Unknown");
    if (out->result.len == 0)
        out->result = bytes_str("Unknown");
    return RC_OK;
}

enum { DIGITS_MAX = 20 }; /* of a number of 64 bits */

/* Decimal digits, written from the end of `text`; returns the first. By hand: printf() for some twenty
 * numbers a row costs more than the row's hash. */
static char *digits(uint64_t v, char text[DIGITS_MAX])
{
    char *at = text + DIGITS_MAX;
    do
        *--at = (char)('0' + v % 10);
    while (v /= 10);
    return at;
}

static rc_t put_text(struct buf *out, struct bytes text)
{
    if (text.len == 0)
        return buf_add(out, "-,", 2);
    char length[DIGITS_MAX];
    char *first = digits(text.len, length);
    TRY(buf_add(out, first, (size_t)(length + DIGITS_MAX - first)));
    TRY(buf_add_u8(out, ':'));
    TRY(buf_add_bytes(out, text));
    return buf_add_u8(out, ',');
}

static rc_t put_number(struct buf *out, int64_t v)
{
    char text[1 + DIGITS_MAX];
    char *first = digits(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, text + 1);
    if (v < 0)
        *--first = '-';
    return put_text(out, bytes_of(first, (size_t)(text + sizeof text - first)));
}

static rc_t put_uid(struct buf *out, const struct uid *u)
{
    if (uid_is_nil(u))
        return put_text(out, BYTES_NONE);
    char text[UID_TEXT_SIZE];
    uid_print(u, text);
    return put_text(out, bytes_str(text));
}

static rc_t put_hex(struct buf *out, const uint8_t *data, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char text[2 * AUDIT_HASH_BYTES];
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = hex[data[i] >> 4];
        text[2 * i + 1] = hex[data[i] & 15];
    }
    return put_text(out, bytes_of(text, 2 * len));
}

rc_t audit_canonical(const struct audit_event *e, const struct uid *stream, uint64_t seq,
                     const uint8_t previous[AUDIT_HASH_BYTES], struct buf *out)
{
    TRY(put_text(out, bytes_str("1"))); /* marker of this form */
    TRY(put_number(out, e->time_us));
    TRY(put_uid(out, stream));
    TRY(put_number(out, (int64_t)seq));
    TRY(put_uid(out, &e->client));
    TRY(put_text(out, e->client_name));
    TRY(put_text(out, e->fingerprint));
    TRY(put_text(out, e->address));
    TRY(put_text(out, e->protocol));
    TRY(put_text(out, e->correlation));
    TRY(e->position < 0 ? put_text(out, BYTES_NONE) : put_number(out, e->position));
    TRY(put_text(out, e->operation));
    TRY(put_uid(out, &e->object));
    TRY(put_text(out, e->result));
    TRY(put_text(out, e->reason));
    TRY(e->duration_us < 0 ? put_text(out, BYTES_NONE) : put_number(out, e->duration_us));
    TRY(put_text(out, e->detail));
    return put_hex(out, previous, AUDIT_HASH_BYTES);
}

/* One fetch for the life of the process: an implicit fetch a row costs more than the hash itself.
 */
static const EVP_MD *sha256(void)
{
    static EVP_MD *md;
    if (!md)
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    return md;
}

rc_t audit_hash(const struct audit_event *e, const struct uid *stream, uint64_t seq,
                const uint8_t previous[AUDIT_HASH_BYTES], uint8_t hash_out[AUDIT_HASH_BYTES])
{
    AUTO_BUF text = BUF_EMPTY;
    TRY(buf_reserve(&text, 1024));
    TRY(audit_canonical(e, stream, seq, previous, &text));
    const EVP_MD *md = sha256();
    if (!md || EVP_Digest(text.data, text.len, hash_out, NULL, md, NULL) != 1)
        return RC_CRYPTO;
    return RC_OK;
}
