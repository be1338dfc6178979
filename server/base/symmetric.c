/* The table of symmetric algorithms; see symmetric.h. */
#include "server/base/symmetric.h"

/* The longest key of algorithms that take any: what the vault seals at most, 1 MiB. */
enum { ANY = 8 * 1024 * 1024 };

/*
 * Numbers of KMIP 2.1, 11.12. Lengths: FIPS 46-3 and 197, SP 800-67; RFC 2144 (CAST5), 2268 (RC2), 2040 (RC5), 3713
 * (Camellia), 4269 (SEED), 5794 (ARIA), 8439 (ChaCha20, Poly1305), 8998 (SM4), 5830 and 7801 (GOST); the authors'
 * papers of the others. HMAC takes any key (RFC 2104) and is best off with one as long as its hash. Names that stand
 * for hashes alone (SHA3, SHAKE, SM3) have no keys.
 */
/* clang-format off */
static const struct symmetric table[] = {
    {0x01,  56,   56,  56,  56, true},  /* DES */
    {0x02, 112,  168,  56, 168, true},  /* 3DES */
    {0x03, 128,  256,  64, 256, false}, /* AES */
    {0x07,   8,  ANY,   8, 160, false}, /* HMAC-SHA1 */
    {0x08,   8,  ANY,   8, 224, false}, /* HMAC-SHA224 */
    {0x09,   8,  ANY,   8, 256, false}, /* HMAC-SHA256 */
    {0x0A,   8,  ANY,   8, 384, false}, /* HMAC-SHA384 */
    {0x0B,   8,  ANY,   8, 512, false}, /* HMAC-SHA512 */
    {0x0C,   8,  ANY,   8, 128, false}, /* HMAC-MD5 */
    {0x10,  32,  448,   8, 128, false}, /* Blowfish */
    {0x11, 128,  256,  64, 256, false}, /* Camellia */
    {0x12,  40,  128,   8, 128, false}, /* CAST5 */
    {0x13, 128,  128, 128, 128, false}, /* IDEA */
    {0x14, 128,  448,  32, 256, false}, /* MARS */
    {0x15,   8, 1024,   8, 128, false}, /* RC2 */
    {0x16,  40, 2048,   8, 128, false}, /* RC4 */
    {0x17,   8, 2040,   8, 128, false}, /* RC5 */
    {0x18,  80,   80,  80,  80, false}, /* SKIPJACK */
    {0x19, 128,  256,  64, 256, false}, /* Twofish */
    {0x1B,   8,  ANY,   8,   0, false}, /* One Time Pad: as long as the message, which only the client knows */
    {0x1C, 256,  256, 256, 256, false}, /* ChaCha20 */
    {0x1D, 256,  256, 256, 256, false}, /* Poly1305 */
    {0x1E, 256,  256, 256, 256, false}, /* ChaCha20Poly1305 */
    {0x23,   8,  ANY,   8, 224, false}, /* HMAC-SHA3-224 */
    {0x24,   8,  ANY,   8, 256, false}, /* HMAC-SHA3-256 */
    {0x25,   8,  ANY,   8, 384, false}, /* HMAC-SHA3-384 */
    {0x26,   8,  ANY,   8, 512, false}, /* HMAC-SHA3-512 */
    {0x29, 128,  256,  64, 256, false}, /* ARIA */
    {0x2A, 128,  128, 128, 128, false}, /* SEED */
    {0x2D, 128,  128, 128, 128, false}, /* SM4 */
    {0x30, 256,  256, 256, 256, false}, /* GOST R 34.13-2015: modes of Magma and Kuznyechik */
    {0x31, 256,  256, 256, 256, false}, /* GOST 28147-89 */
};
/* clang-format on */
enum { COUNT = sizeof table / sizeof table[0], KEY_BITS_OF_BYTE = 7 };

const struct symmetric *symmetric_table(size_t *count)
{
    *count = COUNT;
    return table;
}

const struct symmetric *symmetric_find(uint32_t algorithm)
{
    for (size_t i = 0; i < COUNT; i++)
        if (table[i].algorithm == algorithm)
            return &table[i];
    return NULL;
}

static bool has_length(const struct symmetric *s, uint32_t bits)
{
    return s->least <= bits && bits <= s->most && (bits - s->least) % s->step == 0;
}

size_t symmetric_bytes(const struct symmetric *s, uint32_t bits)
{
    if (!s->parity)
        return has_length(s, bits) ? bits / 8 : 0;
    if (has_length(s, bits))
        return bits / KEY_BITS_OF_BYTE;
    return bits % 8 == 0 && has_length(s, bits / 8 * KEY_BITS_OF_BYTE) ? bits / 8 : 0;
}

uint32_t symmetric_bits(const struct symmetric *s, size_t bytes)
{
    if (bytes > s->most) /* more bytes than bits: no need to multiply */
        return 0;
    uint32_t bits = (uint32_t)bytes * (s->parity ? KEY_BITS_OF_BYTE : 8);
    return has_length(s, bits) ? bits : 0;
}
