/*
 * Hexadecimal text. Not constant in time: for public values only.
 */
#include "server/vault/tpm/hex.h"

rc_t hex_add(struct buf *out, struct bytes data)
{
    static const char digits[] = "0123456789abcdef";
    TRY(buf_reserve(out, data.len * 2));
    for (size_t i = 0; i < data.len; i++) {
        TRY(buf_add_u8(out, (uint8_t)digits[data.data[i] >> 4]));
        TRY(buf_add_u8(out, (uint8_t)digits[data.data[i] & 15]));
    }
    return RC_OK;
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

rc_t hex_parse_exact(struct bytes text, uint8_t *out, size_t len)
{
    if (text.len != len * 2)
        return RC_BAD_VALUE;
    for (size_t i = 0; i < len; i++) {
        int high = digit(text.data[2 * i]), low = digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return RC_BAD_VALUE;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return RC_OK;
}

rc_t hex_parse(struct bytes text, size_t max, struct buf *out)
{
    if (text.len % 2)
        return RC_BAD_VALUE;
    if (text.len / 2 > max)
        return RC_TOO_LARGE;
    TRY(buf_reserve(out, text.len / 2));
    size_t start = out->len;
    rc_t rc = hex_parse_exact(text, out->data + start, text.len / 2);
    if (rc == RC_OK)
        out->len = start + text.len / 2;
    return rc;
}
