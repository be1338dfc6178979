/*
 * Who a certificate speaks for: issuer and names, as text that policy rows are matched with, and
 * the facts that audit wants (fingerprint, serial). Never the common name alone: design.md
 * section 6. Reads a parsed certificate and decodes nothing twice.
 */
#ifndef CERTS_IDENTITY_H
#define CERTS_IDENTITY_H

#include <openssl/x509.h>

#include "proto/base/rc.h"

enum {
    CERT_NAMES = 16,        /* names kept of one certificate */
    CERT_NAME_BYTES = 1024, /* longest name */
    CERT_DN_BYTES = 2048,   /* longest issuer or subject text */
    CERT_SERIAL_SIZE =
        2 * 20 + 1, /* hexadecimal, with its NUL (RFC 5280, 4.1.2.2: at most 20 octets) */
};

struct cert_name {
    const char *kind; /* "uri", "dns", "email" or "subject"; static storage */
    char *value;      /* printable ASCII; DNS names in lower case; subject as RFC 2253 text */
};

struct cert_identity {
    char *issuer; /* RFC 2253 text, other characters than ASCII escaped */
    /* All URIs of the subject alternative name, then its DNS names, then its mail addresses;
     * the full subject when it has none of them. The first one is the identity. */
    struct cert_name names[CERT_NAMES];
    size_t name_count;
    char serial[CERT_SERIAL_SIZE]; /* lower-case hexadecimal, no sign, no leading zero octets */
    char fingerprint[65];          /* SHA-256 of the certificate, lower-case hexadecimal */
    int64_t not_before, not_after; /* seconds since 1970 UTC */
};

/*
 * Fills *out, which the caller frees. RC_BAD_VALUE: a name is empty, too long, holds a NUL or
 * another character than printable ASCII, there is no name at all, or the serial number is not
 * positive; RC_TOO_MANY past CERT_NAMES; RC_NO_MEMORY. *out is empty then.
 */
rc_t cert_identity(X509 *cert, struct cert_identity *out);
/* Frees the text; the struct is empty afterwards and may be freed again. */
void cert_identity_free(struct cert_identity *id);
/* Seconds since 1970 UTC; RC_BAD_VALUE when the time cannot be read. */
rc_t cert_time(const ASN1_TIME *time, int64_t *out);
/* Serial number as cert_identity tells it. RC_BAD_VALUE unless positive and at most 20 octets. */
rc_t cert_serial(const ASN1_INTEGER *serial, char out[CERT_SERIAL_SIZE]);

#endif
