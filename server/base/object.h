/*
 * The managed object as the house handles it: the control record (all that life cycle and access
 * decide on, signed by the vault), the material envelope (sealed by the vault, opaque to all others)
 * and the remaining attributes. Plain data: no SQL, no TPM, no KMIP encoding.
 * design.md section 5; states and dates: KMIP 2.1, 4.57 State and NIST SP 800-57 part 1, 7.
 */
#ifndef SERVER_BASE_OBJECT_H
#define SERVER_BASE_OBJECT_H

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/rc.h"

/* A UUID in network order. Text form: 36 characters, lower case. */
struct uid {
    uint8_t raw[16];
};

#define UID_TEXT_SIZE 37 /* with its NUL */

bool uid_equal(const struct uid *a, const struct uid *b);
bool uid_is_nil(const struct uid *u);
int uid_compare(const struct uid *a, const struct uid *b);
void uid_print(const struct uid *u, char out[UID_TEXT_SIZE]);
/* Strict: exactly 8-4-4-4-12 hexadecimal digits (either case). RC_BAD_VALUE otherwise. */
rc_t uid_parse(struct bytes text, struct uid *out);
/* A new UUID version 7 (RFC 9562): time-ordered, so that index pages stay warm. */
rc_t uid_new(struct uid *out);

/* KMIP State enumeration values. */
enum object_state {
    STATE_PRE_ACTIVE = 1,
    STATE_ACTIVE = 2,
    STATE_DEACTIVATED = 3,
    STATE_COMPROMISED = 4,
    STATE_DESTROYED = 5,
    STATE_DESTROYED_COMPROMISED = 6,
};

/* Seconds since 1970 UTC, as KMIP Date-Time; NO_DATE where the attribute is not set. */
#define NO_DATE INT64_MIN

/* Protection levels, design.md section 5. */
enum protection { PROTECTION_TPM_ROOTED = 1, PROTECTION_TPM_RESIDENT = 2 };

/*
 * The control record. The vault MACs its canonical form (control_encode) and signs a new one only
 * for a legal transition from a verified old one. `version` starts at 1 and grows by one a change.
 */
struct control {
    struct uid uid;
    uint64_t version;
    uint64_t domain;      /* tenant whose domain key seals the material */
    struct uid owner;     /* client that owns the object */
    uint32_t object_type; /* KMIP Object Type */
    uint32_t state;       /* stored state; the effective one also depends on the dates */
    uint32_t protection;  /* enum protection */
    uint32_t algorithm;   /* KMIP Cryptographic Algorithm, 0 if none */
    uint32_t length;      /* Cryptographic Length in bits, 0 if none */
    uint32_t usage_mask;  /* KMIP Cryptographic Usage Mask */
    int64_t initial_date;
    int64_t activation_date;
    int64_t process_start_date;
    int64_t protect_stop_date;
    int64_t deactivation_date;
    int64_t compromise_occurrence_date;
    int64_t compromise_date;
    int64_t destroy_date;
    uint32_t revocation_reason; /* KMIP Revocation Reason Code, 0 if not revoked */
    bool extractable, never_extractable, sensitive, always_sensitive;
};

enum { CONTROL_BYTES = 144, CONTROL_MAC_BYTES = 32 };

/* The fixed canonical form: fields in the order above, big-endian; what the MAC covers. */
void control_encode(const struct control *c, uint8_t out[CONTROL_BYTES]);
rc_t control_decode(struct bytes in, struct control *out);
/* The state at time `now` (seconds): activation and deactivation dates take effect by themselves. */
uint32_t control_effective_state(const struct control *c, int64_t now);
/*
 * The time at which something happens to this object: `now`, but never before what has happened to it
 * already. The clock may have been set back since, or another node's may be ahead; a key must be
 * revoked, compromised and destroyed all the same, with its dates in order (KMIP 2.1, 4.57).
 */
int64_t control_time(const struct control *c, int64_t now);
/*
 * The part of its usage mask that an object may be used for at time `now` (seconds): nothing before it is Active, to
 * protect only while Active and until the Protect Stop Date, to process from the Process Start Date on and also when
 * it is Deactivated or Compromised. KMIP 2.1, 4.40, 4.41 and 4.57.
 */
uint32_t control_usable(const struct control *c, int64_t now);
/* Whether it may be used in all these ways now: RC_DESTROYED, RC_USAGE_MASK, RC_WRONG_STATE. */
rc_t control_permits(const struct control *c, uint32_t mask, int64_t now);

struct name {
    struct bytes value; /* UTF-8 */
    uint32_t type;      /* KMIP Name Type */
    int32_t index;      /* Attribute Index of 1.x; grows from name to name of an object */
};

/*
 * One stored object. Views point into the arena of the request that loaded or made it.
 * `attributes` is a JSON object (proto/kmip/attr_json.h) with all attributes that are neither in
 * the control record nor names: Object Group, Contact Information, Digest, Link, x-..., and so on.
 * `material` is the vault's envelope, empty for a destroyed object.
 */
struct object {
    struct control control;
    uint8_t control_mac[CONTROL_MAC_BYTES];
    uint32_t key_format; /* KMIP Key Format Type of the stored material, 0 if none */
    int64_t last_change_date;
    size_t name_count;
    struct name *names;
    struct bytes attributes;
    struct bytes material;
};

#endif
