/*
 * What `holdfast client doctor` looks at and what it found: the findings of a certificate, of its files and of its
 * trust. Judged by the server's own checks (certs/trust.h, certs/identity.h); this only puts them into words.
 */
#ifndef SERVER_ADMIN_DOCTOR_H
#define SERVER_ADMIN_DOCTOR_H

#include <openssl/x509.h>

#include "certs/identity.h"
#include "proto/base/arena.h"
#include "server/admin/cli.h"

struct json_t;

struct doctor {
    const struct config *config;
    const char *path;       /* of the certificate */
    X509 *cert;             /* NULL: none could be read */
    STACK_OF(X509) * chain; /* what the client sends along, or NULL */
    struct cert_identity identity;
    bool named;              /* identity holds its names */
    bool refused;            /* something was found for which the server does not let it in */
    struct json_t *findings; /* array of {severity, code, what, next} */
};

/* A finding: for an error the client is not let in. `next` says what to do. */
void doctor_error(struct doctor *d, const char *code, const char *next, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_warn(struct doctor *d, const char *code, const char *next, const char *what, ...)
    __attribute__((format(printf, 4, 5)));

/* The files, in this order: certificate (d->path), then what is sent along and the key, each if its path is given. */
void doctor_read(struct doctor *d, const char *chain_path, const char *key_path);
/* Trust: issuer, chain, time, key, signature, purpose, CRL. */
void doctor_trust(struct doctor *d);
/* Its names, as policy will look for them. */
void doctor_names(struct doctor *d);
void doctor_free(struct doctor *d);

#endif
