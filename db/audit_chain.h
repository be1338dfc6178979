/*
 * One audit record, its canonical form and the hash chain of a stream. Lives here and not in
 * server/audit because the commit group links the rows when it knows their order. SQL recomputes
 * the same form: audit.canonical() and audit.verify() in db/migrations. Changing the form needs a
 * new migration and a new marker field.
 *
 * Canonical form: the fields in the order of AUDIT_FIELDS, each a netstring `length:bytes,` of its
 * text, or `-,` where it is not set; hash = SHA-256 over it. The first field is the marker "1".
 */
#ifndef DB_AUDIT_CHAIN_H
#define DB_AUDIT_CHAIN_H

#include "server/base/object.h"

enum {
    AUDIT_HASH_BYTES = 32,
    AUDIT_TEXT_MAX = 256,    /* bytes kept of each text field */
    AUDIT_DETAIL_MAX = 1024, /* bytes kept of `detail` */
};

/*
 * One audit row: one batch item, or one administrative act. Views must stay valid until the unit's
 * callback. Text that is empty is stored as NULL; text that is not valid UTF-8, has control
 * characters or is too long is escaped (\xNN) and cut, never refused. Never put key bytes,
 * passwords or attribute values here.
 */
struct audit_event {
    int64_t time_us;   /* microseconds since 1970 UTC */
    struct uid client; /* nil: nobody known */
    struct bytes client_name;
    struct bytes fingerprint; /* SHA-256 of the certificate, hexadecimal */
    struct bytes address;
    struct bytes protocol;    /* "1.4" */
    struct bytes correlation; /* Client Correlation Value of the request */
    int32_t position;         /* batch item, from 0; -1: not of a batch */
    struct bytes operation;   /* "Get" */
    struct uid object;        /* nil: none */
    struct bytes result;      /* "Success", "Operation Failed", ... */
    struct bytes reason;      /* "Item Not Found", ...; empty on success */
    int64_t duration_us;      /* from the request's arrival to its commit; -1: not measured */
    struct bytes detail;      /* free text of our own, e.g. of an administrative act */
};

/*
 * The event as it will be stored: texts cleaned and cut, in the arena. RC_NO_MEMORY.
 */
rc_t audit_event_clean(const struct audit_event *in, struct arena *arena, struct audit_event *out);

/* Appends the canonical form of a cleaned event that stands at (stream, seq) after `previous`. */
rc_t audit_canonical(const struct audit_event *event, const struct uid *stream, uint64_t seq,
                     const uint8_t previous[AUDIT_HASH_BYTES], struct buf *out);

/* SHA-256 of the canonical form. RC_CRYPTO, RC_NO_MEMORY. */
rc_t audit_hash(const struct audit_event *event, const struct uid *stream, uint64_t seq,
                const uint8_t previous[AUDIT_HASH_BYTES], uint8_t hash_out[AUDIT_HASH_BYTES]);

#endif
