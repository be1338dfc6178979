/*
 * Fuzz target: what clients bring as keys and certificates. The first byte chooses the reader. What is
 * accepted and holds together must be written in its own format again, and read back as the same key.
 */
#include <stdlib.h>

#include "certs/facts.h"
#include "proto/kmip/tables.h"
#include "server/vault/crypto/asym.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    bool is_private;
    uint32_t format;
} readers[] = {
    {true, KMIP_FORMAT_PKCS1},
    {false, KMIP_FORMAT_PKCS1},
    {true, KMIP_FORMAT_PKCS8},
    {true, KMIP_FORMAT_ECPRIVATEKEY},
    {false, KMIP_FORMAT_X_509},
    {true, KMIP_FORMAT_TRANSPARENT_RSA_PRIVATE_KEY},
    {false, KMIP_FORMAT_TRANSPARENT_RSA_PUBLIC_KEY},
    {true, KMIP_FORMAT_TRANSPARENT_DSA_PRIVATE_KEY},
    {false, KMIP_FORMAT_TRANSPARENT_DSA_PUBLIC_KEY},
    {true, KMIP_FORMAT_TRANSPARENT_DH_PRIVATE_KEY},
    {false, KMIP_FORMAT_TRANSPARENT_DH_PUBLIC_KEY},
    {true, KMIP_FORMAT_TRANSPARENT_EC_PRIVATE_KEY},
    {false, KMIP_FORMAT_TRANSPARENT_EC_PUBLIC_KEY},
};
enum { READERS = sizeof readers / sizeof readers[0] };

static void key(unsigned i, struct bytes in)
{
    AUTO_ASYM one = NULL, *two = NULL;
    AUTO_BUF out = BUF_EMPTY;
    if (asym_read(readers[i].is_private, readers[i].format, in, &one) != RC_OK || asym_check(one) != RC_OK)
        return;
    if (asym_write(one, readers[i].is_private, readers[i].format, &out) != RC_OK ||
        asym_read(readers[i].is_private, readers[i].format, buf_view(&out), &two) != RC_OK ||
        asym_check(two) != RC_OK || asym_facts(one).bits != asym_facts(two).bits)
        abort();
}

static void certificate(struct bytes in)
{
    AUTO_ARENA arena = ARENA_OF(4 << 20);
    AUTO_ASYM public = NULL;
    struct cert_facts facts;
    (void)cert_facts_read(&arena, in, &facts);
    (void)asym_read_certificate(in, &public);
    (void)asym_is_encrypted_pkcs8(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes in = bytes_of(data + 1, size - 1);
    if (data[0] % (READERS + 1) == READERS)
        certificate(in);
    else
        key(data[0] % (READERS + 1), in);
    return 0;
}
