/* Labels of PEM blocks against KMIP's formats; see key_pem.h. */
#include "config.h"

#include "server/admin/key_pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "proto/kmip/tables.h"

/* An encrypted key is PKCS#8, too: the server keeps it as it is. */
static const struct {
    const char *label;
    uint32_t object_type, key_format;
} blocks[] = {
    {"PRIVATE KEY", KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8},
    {"ENCRYPTED PRIVATE KEY", KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS8},
    {"RSA PRIVATE KEY", KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_PKCS1},
    {"EC PRIVATE KEY", KMIP_OBJECT_PRIVATE_KEY, KMIP_FORMAT_ECPRIVATEKEY},
    {"PUBLIC KEY", KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_X_509},
    {"RSA PUBLIC KEY", KMIP_OBJECT_PUBLIC_KEY, KMIP_FORMAT_PKCS1},
    {"CERTIFICATE", KMIP_OBJECT_CERTIFICATE, KMIP_FORMAT_X_509},
    {"X509 CERTIFICATE", KMIP_OBJECT_CERTIFICATE, KMIP_FORMAT_X_509},
};
enum { BLOCK_COUNT = sizeof blocks / sizeof blocks[0] };

static rc_t take_block(const char *label, const char *header, struct bytes der, struct key_pem *out)
{
    if (strcmp(label, "EC PARAMETERS") == 0 || strcmp(label, "DH PARAMETERS") == 0)
        return RC_NOT_FOUND; /* on with the next one */
    if (header[0])
        return RC_FEATURE; /* encrypted in the way of before PKCS#8: in a form that KMIP lacks */
    for (size_t i = 0; i < BLOCK_COUNT; i++) {
        if (strcmp(blocks[i].label, label) != 0)
            continue;
        out->object_type = blocks[i].object_type;
        out->key_format = blocks[i].key_format;
        return buf_add_bytes(&out->der, der);
    }
    return RC_FEATURE;
}

/* One block off the front. RC_NOT_FOUND: none is left, or *more tells that this one was of no use. */
static rc_t next_block(BIO *bio, struct key_pem *out, bool *more)
{
    char *label = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    *more = PEM_read_bio(bio, &label, &header, &der, &len) == 1;
    bool none = !*more && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    rc_t rc = *more ? take_block(label, header, bytes_of(der, (size_t)len), out)
                    : none ? RC_NOT_FOUND
                           : RC_BAD_VALUE;
    ERR_clear_error();
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return rc;
}

rc_t key_pem_read(struct bytes text, struct key_pem *out)
{
    *out = (struct key_pem){0};
    if (text.len > INT_MAX)
        return RC_TOO_LARGE;
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (!bio)
        return RC_NO_MEMORY;
    bool more = true;
    rc_t rc = RC_NOT_FOUND;
    while (rc == RC_NOT_FOUND && more)
        rc = next_block(bio, out, &more);
    BIO_free(bio);
    if (rc != RC_OK)
        buf_free(&out->der);
    return rc;
}

/* Encrypted PKCS#8 begins with a SEQUENCE where the other has its version (RFC 5208, 5 and 6). */
static bool is_encrypted(struct bytes der)
{
    size_t head = der.len > 1 && der.data[1] > 0x80 ? 2 + (der.data[1] & 0x7fu) : 2;
    return der.len > head && der.data[head] == 0x30;
}

static const char *label_of(uint32_t object_type, uint32_t key_format, struct bytes der)
{
    if (object_type == KMIP_OBJECT_PRIVATE_KEY && key_format == KMIP_FORMAT_PKCS8 && is_encrypted(der))
        return "ENCRYPTED PRIVATE KEY";
    for (size_t i = 0; i < BLOCK_COUNT; i++)
        if (blocks[i].object_type == object_type && blocks[i].key_format == key_format)
            return blocks[i].label;
    return NULL;
}

rc_t key_pem_write(uint32_t object_type, uint32_t key_format, struct bytes der, struct buf *out)
{
    const char *label = label_of(object_type, key_format, der);
    if (!label)
        return RC_KEY_FORMAT;
    BIO *bio = BIO_new(BIO_s_secmem());
    if (!bio)
        return RC_NO_MEMORY;
    char *text = NULL;
    rc_t rc = RC_NO_MEMORY;
    if (der.len <= LONG_MAX && PEM_write_bio(bio, label, "", der.data, (long)der.len) > 0) {
        long len = BIO_get_mem_data(bio, &text);
        rc = buf_add(out, text, len > 0 ? (size_t)len : 0);
        OPENSSL_cleanse(text, len > 0 ? (size_t)len : 0);
    }
    BIO_free(bio);
    return rc;
}

uint32_t key_pem_format(uint32_t object_type)
{
    if (object_type == KMIP_OBJECT_PRIVATE_KEY)
        return KMIP_FORMAT_PKCS8;
    return object_type == KMIP_OBJECT_PUBLIC_KEY ? KMIP_FORMAT_X_509 : 0;
}
