/*
 * The threads that make, check and convert asymmetric keys, hash passwords, and encrypt and decrypt what is long, so
 * that the event thread never waits for one. Finding an RSA key takes from a tenth of a second to minutes: longer work
 * never takes the place of shorter, no owner's work takes the place of another's, and the queue is bounded.
 * They run at a lower priority than the event thread. The TPM has no part in it.
 */
#ifndef SERVER_VAULT_MAKERS_H
#define SERVER_VAULT_MAKERS_H

#include <stdatomic.h>

#include "server/base/object.h"
#include "server/vault/crew.h"
#include "server/vault/crypto/asym.h"
#include "server/vault/crypto/cipher.h"
#include "server/vault/crypto/scrypt.h"

enum make_kind {
    MAKE_PAIR,    /* a new pair; out[0] private, out[1] public */
    MAKE_CHECK,   /* is `in` a whole key of that format? facts, and other[0] */
    MAKE_CONVERT, /* `in` in another format: out[0] */
    MAKE_HASH,    /* `in`, a password, by scrypt: out[0] */
    MAKE_CIPHER,  /* `cipher` */
};

struct make_job {
    struct crew_job link;
    /* asked */
    enum make_kind kind;
    struct uid owner;
    uint32_t object_type;   /* CHECK, CONVERT: Certificate (CHECK alone), Public or Private Key */
    uint32_t family, bits;  /* PAIR */
    struct buf in;          /* CHECK, CONVERT, HASH */
    struct buf salt;        /* HASH */
    struct scrypt_cost cost; /* HASH */
    struct cipher_work cipher; /* CIPHER: asked and answered */
    uint32_t in_format;     /* CHECK, CONVERT: Key Format Type */
    uint32_t out_format[2]; /* PAIR, CONVERT; 0: the default of such a key */
    /* answered */
    rc_t rc;
    struct asym_facts facts;
    struct buf out[2];
    /* PAIR, CHECK: the same in the default format, where it is another; else empty, format 0 */
    struct buf other[2];
    uint32_t other_format[2];
    /* the makers' own */
    uint32_t weight;
    size_t queued_bytes;
    uint64_t turn;
    atomic_bool stop;
};

struct makers;

struct makers_options {
    uint32_t threads; /* 0: 3 */
    uint32_t queue;   /* jobs that wait or run, and for each of them 2 MiB of memory for the data of ciphers, which
                         are many and short and count so alone; one owner may have a quarter of it, or one job. 0: 64 */
};

rc_t makers_new(const struct makers_options *o, struct makers **out);
/* Starts the threads; after the sandbox is entered. */
rc_t makers_start(struct makers *m);
/* Stops what runs, joins the threads, wipes and frees all. NULL is fine. */
void makers_free(struct makers *m);

/* Readable when jobs are done. */
int makers_fd(const struct makers *m);
/* NULL: no memory. */
struct make_job *make_job_new(enum make_kind kind, const struct uid *owner);
/* Wipes. NULL is fine. */
void make_job_free(struct make_job *j);
/* Takes the job over. RC_BUSY: the queue, or the owner's part of it, is full (the job stays the
 * caller's). */
rc_t makers_post(struct makers *m, struct make_job *j);
/* Nobody waits for it any longer: it ends soon, and is handed back like any other. */
void makers_cancel(struct makers *m, struct make_job *j);
/* The next done job, or NULL. */
struct make_job *makers_take(struct makers *m);
/* Jobs that wait or run, for the status. */
size_t makers_count(struct makers *m);

#endif
