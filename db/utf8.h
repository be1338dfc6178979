/*
 * What PostgreSQL takes as text: well-formed UTF-8 (RFC 3629) without NUL.
 */
#ifndef DB_UTF8_H
#define DB_UTF8_H

#include "proto/base/bytes.h"

/* Length of the character at p (at most `left` bytes are there); 0 when it is not well formed. */
static inline size_t utf8_char(const uint8_t *p, size_t left)
{
    if (left == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

/* True when all of it is text that PostgreSQL stores unchanged. */
static inline bool utf8_storable(struct bytes text)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = utf8_char(text.data + i, text.len - i);
        if (n == 0 || text.data[i] == 0)
            return false;
        i += n;
    }
    return true;
}

#endif
