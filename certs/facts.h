/*
 * What an X.509 certificate says, as plain values for whoever lists it: names in DER and as text,
 * their parts, serial number, signature algorithm. Judges nothing: neither validity nor trust. The
 * input may be anybody's. RFC 5280; KMIP 2.1, 4.6 to 4.12 has what it is for.
 */
#ifndef CERTS_FACTS_H
#define CERTS_FACTS_H

#include "proto/base/arena.h"
#include "proto/base/rc.h"

enum {
    CERT_FACTS_BYTES = 128 * 1024, /* longest certificate */
    CERT_FACTS_VALUES = 1024,      /* most parts, and most alternative names, of one name */
};

/* The parts of a distinguished name that have an attribute of their own in KMIP 2.x. */
enum cert_part {
    CERT_PART_CN,
    CERT_PART_O,
    CERT_PART_OU,
    CERT_PART_EMAIL,
    CERT_PART_C,
    CERT_PART_ST,
    CERT_PART_L,
    CERT_PART_UID,
    CERT_PART_SERIAL_NUMBER,
    CERT_PART_TITLE,
    CERT_PART_DC,
    CERT_PART_DN_QUALIFIER,
    CERT_PART_COUNT,
};

struct cert_value {
    enum cert_part part;
    struct bytes text; /* UTF-8 */
};

/* A distinguished name and the alternative names beside it. */
struct cert_dn {
    struct bytes der;
    struct bytes text; /* RFC 2253: last part first; UTF-8. Empty for an empty name, never NULL */
    size_t value_count;
    struct cert_value *values; /* in the certificate's order */
    size_t alternative_count;  /* mail, DNS, URI, directory, IP and registered id */
    struct bytes *alternatives;     /* as text */
    struct bytes *alternatives_der; /* GeneralName */
};

struct cert_facts {
    struct cert_dn issuer, subject;
    struct bytes serial_der;      /* the INTEGER, with its tag and length */
    struct bytes serial_text;     /* upper-case hexadecimal, whole octets */
    uint32_t signature_algorithm; /* KMIP Digital Signature Algorithm; 0: none that KMIP has */
};

/*
 * All memory is the arena's. RC_INVALID_FIELD: not one whole certificate in DER, or a name with a
 * NUL or text that cannot be read; RC_TOO_LARGE, RC_TOO_MANY past the limits above; RC_NO_MEMORY.
 */
rc_t cert_facts_read(struct arena *a, struct bytes der, struct cert_facts *out);

#endif
