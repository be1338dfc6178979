/*
 * PEM files on disk and keys and certificates in memory. Files are written whole or not at all:
 * a temporary file beside the target, fsync, rename, fsync of the folder. Private keys pass through
 * wiped memory only.
 */
#ifndef CERTS_PEM_H
#define CERTS_PEM_H

#include <openssl/x509.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum {
    PEM_FILE_MAX = 4 << 20, /* longest file read, bytes: a bundle or a CRL of many entries */
    PEM_SECRET_MODE = 0600,
    PEM_PUBLIC_MODE = 0644,
};

/* Kinds of private key that we make. */
enum cert_key { CERT_KEY_P256, CERT_KEY_RSA3072 };

/*
 * Writes `data` to `path` as one step that a crash cannot split; the file gets exactly `mode`.
 * RC_IO on any failure; the old file then stands untouched.
 */
rc_t pem_file_write(const char *path, struct bytes data, unsigned mode);
/* Appends the file to `out`. RC_NOT_FOUND, RC_TOO_LARGE past PEM_FILE_MAX, RC_IO. */
rc_t pem_file_read(const char *path, struct buf *out);
/* The same from an open descriptor, from its start to its end; the descriptor stays the caller's.
 */
rc_t pem_fd_read(int fd, struct buf *out);
/* As pem_file_read() for a private key: RC_CONFIG when group or others may read the file. */
rc_t pem_secret_read(const char *path, struct buf *out);

/* A new private key; the caller frees it. RC_CRYPTO. */
rc_t pem_key_new(enum cert_key kind, EVP_PKEY **out);
/* Appends the key as unencrypted PKCS #8. `out` then holds a secret (buf_free wipes). */
rc_t pem_key_print(EVP_PKEY *key, struct buf *out);
/* Reads an unencrypted private key. RC_BAD_VALUE; never asks for a pass phrase. */
rc_t pem_key_parse(struct bytes pem, EVP_PKEY **out);
rc_t pem_cert_print(X509 *cert, struct buf *out);
/* Reads the first certificate. RC_BAD_VALUE. */
rc_t pem_cert_parse(struct bytes pem, X509 **out);
/* Reads all certificates (at least one), in order; the caller frees with sk_X509_pop_free. */
rc_t pem_certs_parse(struct bytes pem, STACK_OF(X509) * *out);
/* Reads all CRLs (at least one); the caller frees with sk_X509_CRL_pop_free. */
rc_t pem_crls_parse(struct bytes pem, STACK_OF(X509_CRL) * *out);

#endif
