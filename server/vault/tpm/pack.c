/*
 * Packed fields. See pack.h.
 */
#include "server/vault/tpm/pack.h"

#include <openssl/evp.h>

rc_t pack_begin(struct buf *out, const char *magic)
{
    return buf_add(out, magic, PACK_MAGIC);
}

rc_t pack_add(struct buf *out, struct bytes field)
{
    if (field.len > UINT32_MAX)
        return RC_TOO_LARGE;
    TRY(buf_add_be32(out, (uint32_t)field.len));
    return buf_add_bytes(out, field);
}

rc_t pack_end(struct buf *out, size_t start)
{
    uint8_t digest[PACK_DIGEST];
    if (EVP_Digest(out->data + start, out->len - start, digest, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    return buf_add(out, digest, sizeof digest);
}

rc_t pack_open(struct bytes in, const char *magic, struct bytes *fields)
{
    uint8_t digest[PACK_DIGEST];
    if (in.len < PACK_MAGIC + PACK_DIGEST || memcmp(in.data, magic, PACK_MAGIC) != 0)
        return RC_BAD_MESSAGE;
    size_t body = in.len - PACK_DIGEST;
    if (EVP_Digest(in.data, body, digest, NULL, EVP_sha256(), NULL) != 1)
        return RC_CRYPTO;
    if (memcmp(digest, in.data + body, PACK_DIGEST) != 0)
        return RC_INTEGRITY;
    *fields = bytes_of(in.data + PACK_MAGIC, body - PACK_MAGIC);
    return RC_OK;
}

rc_t pack_take(struct bytes *fields, size_t max, struct bytes *field)
{
    if (fields->len < 4)
        return RC_BAD_MESSAGE;
    size_t len = load_be32(fields->data);
    if (len > max || len > fields->len - 4)
        return RC_BAD_MESSAGE;
    *field = bytes_of(fields->data + 4, len);
    *fields = bytes_of(fields->data + 4 + len, fields->len - 4 - len);
    return RC_OK;
}
