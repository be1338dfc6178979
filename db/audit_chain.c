/*
 * Canonical form and hash of audit rows; see audit_chain.h. audit.canonical() in SQL makes the same
 * bytes, and a test compares both.
 */
#include "db/audit_chain.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "db/utf8.h"
#include "proto/base/decimal.h"

/* How many bytes of clean text stand at the front, up to `most`; whole characters only. */
static size_t clean_prefix(struct bytes in, size_t most)
{
    size_t i = 0, plain = in.len < most ? in.len : most;
    while (i < plain && in.data[i] >= 0x20 && in.data[i] < 0x7F)
        i++;
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

static rc_t put_text(struct buf *out, struct bytes text)
{
    if (text.len == 0)
        return buf_add(out, "-,", 2);
    char length[DECIMAL_MAX + 1], *end = length + DECIMAL_MAX;
    char *first = decimal_before(end, text.len);
    *end++ = ':';
    TRY(buf_add(out, first, (size_t)(end - first)));
    TRY(buf_add_bytes(out, text));
    return buf_add_u8(out, ',');
}

static rc_t put_number(struct buf *out, int64_t v)
{
    char text[1 + DECIMAL_MAX], *end = text + sizeof text;
    char *first = decimal_before(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0)
        *--first = '-';
    return put_text(out, bytes_of(first, (size_t)(end - first)));
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

/* One context for the life of the process: fetching SHA-256 or making one a row costs more than the hash
 * itself. */
static EVP_MD_CTX *hasher(void)
{
    static EVP_MD_CTX *ctx;
    if (!ctx && (ctx = EVP_MD_CTX_new()) && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

rc_t audit_hash(const struct audit_event *e, const struct uid *stream, uint64_t seq,
                const uint8_t previous[AUDIT_HASH_BYTES], uint8_t hash_out[AUDIT_HASH_BYTES])
{
    AUTO_BUF text = BUF_EMPTY;
    TRY(buf_reserve(&text, 1024));
    TRY(audit_canonical(e, stream, seq, previous, &text));
    EVP_MD_CTX *ctx = hasher();
    if (!ctx || EVP_DigestInit_ex2(ctx, NULL, NULL) != 1 ||
        EVP_DigestUpdate(ctx, text.data, text.len) != 1 ||
        EVP_DigestFinal_ex(ctx, hash_out, NULL) != 1)
        return RC_CRYPTO;
    return RC_OK;
}
