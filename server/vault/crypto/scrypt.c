/* scrypt by OpenSSL, within limits; see scrypt.h. */
#include "server/vault/crypto/scrypt.h"

#include <openssl/err.h>
#include <openssl/evp.h>

/* OpenSSL counts some blocks beside the large table. */
enum { MEMORY_BESIDE = 1024 * 1024 };

size_t scrypt_memory(const struct scrypt_cost *c)
{
    return ((size_t)128 << c->log2) * c->block_size;
}

static bool within_limits(const struct scrypt_cost *c, struct bytes salt)
{
    if (c->log2 < 1 || c->log2 > 24 || c->block_size < 1 || c->block_size > 32 || c->parallel < 1 || c->parallel > 16)
        return false;
    uint64_t memory = scrypt_memory(c);
    return memory <= SCRYPT_MEMORY_MOST && memory * c->parallel <= SCRYPT_WORK_MOST && salt.len <= SCRYPT_SALT_MOST;
}

rc_t scrypt_hash(const struct scrypt_cost *c, struct bytes salt, struct bytes password, uint8_t out[SCRYPT_HASH_BYTES])
{
    if (!within_limits(c, salt))
        return RC_INVALID_FIELD;
    /* Without a pointer OpenSSL would only check the parameters. */
    const char *text = password.len ? (const char *)password.data : "";
    int done = EVP_PBE_scrypt(text, password.len, salt.data, salt.len, UINT64_C(1) << c->log2, c->block_size,
                              c->parallel, SCRYPT_MEMORY_MOST + MEMORY_BESIDE, out, SCRYPT_HASH_BYTES);
    ERR_clear_error();
    return done == 1 ? RC_OK : RC_CRYPTO;
}
