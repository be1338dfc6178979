/* PEM files and keys in memory; see pem.h. Private keys pass through buffers that are wiped. */
#include "certs/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

static rc_t write_all(int fd, struct bytes data)
{
    while (data.len) {
        ssize_t n = write(fd, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return RC_IO;
        data.data += n;
        data.len -= (size_t)n;
    }
    return RC_OK;
}

/* A rename is durable only when its folder is. */
static rc_t sync_folder_of(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return RC_IO;
    int r = fsync(fd);
    close(fd);
    return r == 0 ? RC_OK : RC_IO;
}

rc_t pem_file_write(const char *path, struct bytes data, unsigned mode)
{
    char temp[PATH_MAX];
    uint32_t mark;
    if (RAND_bytes((unsigned char *)&mark, sizeof mark) != 1)
        return RC_CRYPTO;
    int n = snprintf(temp, sizeof temp, "%s.%08x.new", path, mark);
    if (n < 0 || (size_t)n >= sizeof temp)
        return RC_IO;
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return RC_IO;
    rc_t rc = write_all(fd, data);
    /* The mode is set after the bytes are in: nobody gets to read a half-written file. */
    if (rc == RC_OK && (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0))
        rc = RC_IO;
    if (close(fd) != 0)
        rc = RC_IO;
    if (rc == RC_OK && rename(temp, path) != 0)
        rc = RC_IO;
    if (rc != RC_OK) {
        unlink(temp);
        return rc;
    }
    return sync_folder_of(path);
}

rc_t pem_fd_read(int fd, struct buf *out)
{
    size_t had = out->len;
    off_t at = 0;
    for (;;) {
        TRY(buf_reserve(out, 4096));
        ssize_t n = pread(fd, out->data + out->len, out->room - out->len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return RC_IO;
        if (n == 0)
            return RC_OK;
        out->len += (size_t)n;
        at += n;
        if (out->len - had > PEM_FILE_MAX)
            return RC_TOO_LARGE;
    }
}

static rc_t file_read(const char *path, mode_t refused_bits, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RC_NOT_FOUND : RC_IO;
    struct stat st;
    rc_t rc = fstat(fd, &st) == 0 ? RC_OK : RC_IO;
    if (rc == RC_OK && (st.st_mode & refused_bits))
        rc = RC_CONFIG;
    if (rc == RC_OK)
        rc = pem_fd_read(fd, out);
    close(fd);
    return rc;
}

rc_t pem_file_read(const char *path, struct buf *out)
{
    return file_read(path, 0, out);
}

rc_t pem_secret_read(const char *path, struct buf *out)
{
    return file_read(path, S_IRWXG | S_IRWXO, out);
}

rc_t pem_key_new(enum cert_key kind, EVP_PKEY **out)
{
    *out = kind == CERT_KEY_RSA3072 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072)
                                    : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    return *out ? RC_OK : RC_CRYPTO;
}

static rc_t bio_give(BIO *bio, struct buf *out)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    return len > 0 ? buf_add(out, data, (size_t)len) : RC_CRYPTO;
}

rc_t pem_key_print(EVP_PKEY *key, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* cleansed when freed, also without a secure heap */
    if (!bio)
        return RC_NO_MEMORY;
    rc_t rc = RC_CRYPTO;
    if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        rc = bio_give(bio, out);
    BIO_free(bio);
    return rc;
}

static BIO *bio_over(struct bytes pem)
{
    return pem.len && pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

/* Answers every question for a pass phrase with "none": nothing here talks to a terminal. */
static int no_pass_phrase(char *data, int size, int writing, void *arg)
{
    (void)data, (void)size, (void)writing, (void)arg;
    return -1;
}

rc_t pem_key_parse(struct bytes pem, EVP_PKEY **out)
{
    BIO *bio = bio_over(pem);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return *out ? RC_OK : RC_BAD_VALUE;
}

rc_t pem_cert_print(X509 *cert, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio)
        return RC_NO_MEMORY;
    rc_t rc = PEM_write_bio_X509(bio, cert) == 1 ? bio_give(bio, out) : RC_CRYPTO;
    BIO_free(bio);
    return rc;
}

rc_t pem_cert_parse(struct bytes pem, X509 **out)
{
    BIO *bio = bio_over(pem);
    *out = bio ? PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return *out ? RC_OK : RC_BAD_VALUE;
}

/* The end of the blocks is no error; anything else that stopped the reading is. */
static bool ended_clean(void)
{
    unsigned long e = ERR_peek_last_error();
    bool clean = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return clean;
}

rc_t pem_certs_parse(struct bytes pem, STACK_OF(X509) * *out)
{
    *out = NULL;
    BIO *bio = bio_over(pem);
    STACK_OF(X509) *all = sk_X509_new_null();
    if (!bio || !all)
        goto bad;
    X509 *one;
    while ((one = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL)) != NULL)
        if (sk_X509_push(all, one) == 0) {
            X509_free(one);
            goto bad;
        }
    if (!ended_clean() || sk_X509_num(all) == 0)
        goto bad;
    BIO_free(bio);
    *out = all;
    return RC_OK;
bad:
    BIO_free(bio);
    sk_X509_pop_free(all, X509_free);
    return RC_BAD_VALUE;
}

rc_t pem_crls_parse(struct bytes pem, STACK_OF(X509_CRL) * *out)
{
    *out = NULL;
    BIO *bio = bio_over(pem);
    STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
    if (!bio || !all)
        goto bad;
    X509_CRL *one;
    while ((one = PEM_read_bio_X509_CRL(bio, NULL, no_pass_phrase, NULL)) != NULL)
        if (sk_X509_CRL_push(all, one) == 0) {
            X509_CRL_free(one);
            goto bad;
        }
    if (!ended_clean() || sk_X509_CRL_num(all) == 0)
        goto bad;
    BIO_free(bio);
    *out = all;
    return RC_OK;
bad:
    BIO_free(bio);
    sk_X509_CRL_pop_free(all, X509_CRL_free);
    return RC_BAD_VALUE;
}
