/*
 * Between the stored object and KMIP's attributes: what a client may set when an object is made,
 * where it goes (control record, names, or the JSON of the rest), and the whole list as a client
 * sees it. Pure functions. KMIP 1.4, 3; KMIP 2.1, 4.
 */
#ifndef SERVER_OPS_ATTRS_H
#define SERVER_OPS_ATTRS_H

#include "proto/kmip/attribute.h"
#include "server/base/object.h"

enum attrs_origin { ATTRS_CREATE, ATTRS_REGISTER };

/* How every object of this server is stored: Protection Storage Mask (KMIP 2.1, 4.44). */
enum { ATTRS_STORAGE = KMIP_PROTECTION_SOFTWARE | KMIP_PROTECTION_ON_SYSTEM };

/* Lease Time of every object, seconds. Nobody has to renew it as yet; clients that look for one find the customary
 * hour. */
enum { ATTRS_LEASE_S = 3600 };

/* Limits on what one object may carry. */
struct attrs_limits {
    unsigned attributes; /* instances of all kinds */
    unsigned name_bytes; /* of one Name */
};

/*
 * Takes what the client gave into a new object. Beforehand o has uid, owner, domain, object_type
 * and initial_date, and NO_DATE and the defaults of attrs_blank(). Attributes with a place of their
 * own go there, all others into *rest. Checks version, type, applicability, single instance, who
 * may set it. Errors: RC_ATTR_UNSUPPORTED, RC_ATTR_READ_ONLY, RC_ATTR_SINGLE, RC_ATTR_VALUE,
 * RC_ATTR_INVALID, RC_NAME_TAKEN (the same name twice), RC_NAME_LENGTH, RC_ATTR_FULL,
 * RC_STORAGE_UNAVAILABLE, RC_FEATURE (templates by name), RC_NO_MEMORY.
 */
rc_t attrs_take(struct arena *a, uint16_t version, enum attrs_origin origin,
                const struct attrs_limits *limits, const struct kmip_attributes *given,
                struct object *o, struct kmip_attributes *rest);

/* An object without dates, not sensitive, extractable. */
void attrs_blank(struct object *o);

/* A Name structure as it is stored; its index is 0. RC_ATTR_VALUE: incomplete, empty;
 * RC_NAME_LENGTH. */
rc_t attrs_name(const struct attrs_limits *limits, const struct node *v, struct name *out);
/* Usage Limits that begin with all of their total left (KMIP 2.1, 4.59). NULL: no memory. */
struct node *attrs_usage_limits(struct arena *a, const struct node *v);
/* Whether attributes of this vendor are the server's own: never shown, never a client's to set. */
bool attrs_is_house(struct bytes vendor);
/* Whether no client may give, change or delete attributes of this vendor: our own, and "y",
 * which 1.x writes "y-" (KMIP 1.4, 3.39: the server shall not accept those; KMIP 2.1, 4.60). */
bool attrs_is_servers(struct bytes vendor);

/* Process start no earlier than activation, nothing later than deactivation (KMIP 2.1, 4.18, 4.40,
 * 4.41). RC_ATTR_VALUE. */
rc_t attrs_check_dates(const struct control *c);

/*
 * The dates of a new object against each other, and the first state they give (KMIP 2.1, 4.57):
 * Active if the Activation Date has come, else Pre-Active. RC_ATTR_VALUE.
 */
rc_t attrs_first_state(struct object *o, int64_t now);

/* Sensitive, Extractable and their history at creation. */
void attrs_first_protection(struct object *o);

/* Adds the Digest (SHA-256 of the plain bytes, made by the vault). */
rc_t attrs_add_digest(struct arena *a, struct kmip_attributes *rest, const uint8_t digest[32],
                      uint32_t key_format);
/* Random Number Generator of keys that the vault generates (KMIP 2.1, 4.46). */
rc_t attrs_add_rng(struct arena *a, struct kmip_attributes *rest);
/* The same as a structure under another tag, for Query. */
struct node *attrs_rng_node(struct arena *a, uint32_t tag);

/* Whether the stored rest may say Fresh: true. False is certain, and costs no parsing. */
bool attrs_may_be_fresh(const struct object *o);
/* Whether it may have Usage Limits; the same. */
bool attrs_may_be_limited(const struct object *o);
/* The rest as it was stored, without what attrs_store() added for searches. */
rc_t attrs_load(struct arena *a, const struct object *o, struct kmip_attributes *rest);
/*
 * Writes the rest into o->attributes, with copies of what Locate can only find there (Sensitive and
 * its kin, Short Unique Identifier). The control record stays the truth: attrs_load() drops the
 * copies.
 */
rc_t attrs_store(struct arena *a, struct object *o, const struct kmip_attributes *rest);

/* Sets a single-instance attribute, or replaces its value. */
rc_t attrs_set(struct arena *a, struct kmip_attributes *list, struct node *value);

/* All attributes of an object at time `now`, whatever the version; instances with their indexes. */
rc_t attrs_of(struct arena *a, const struct object *o, int64_t now, struct kmip_attributes *out);
/* What a client of this version is shown of them: indexes only where they are not 0. */
rc_t attrs_shown(struct arena *a, const struct object *o, int64_t now, uint16_t version,
                 struct kmip_attributes *out);

/* What belongs to an object and is no attribute: kept among the rest under a name of the server's own, never shown.
 * value has the tag Attribute Value; NULL gives RC_NO_MEMORY. */
rc_t attrs_keep(struct arena *a, struct kmip_attributes *rest, const char *name, struct node *value);
/* NULL: there is none. */
const struct node *attrs_kept(const struct kmip_attributes *rest, const char *name);

/* Secret Data Type is no attribute, yet it belongs to the object: kept among the rest, never shown.
 */
rc_t attrs_keep_secret_type(struct arena *a, struct kmip_attributes *rest, uint32_t type);
uint32_t attrs_secret_type(const struct kmip_attributes *rest);

/* Where the control record keeps an attribute, or NULL. */
enum attrs_field_kind { ATTRS_U32, ATTRS_DATE, ATTRS_BOOL };
struct attrs_field {
    uint32_t tag;
    enum attrs_field_kind kind;
    size_t offset; /* in struct control */
};
const struct attrs_field *attrs_field(uint32_t tag);
/* Sets the field. RC_ATTR_VALUE: not a value that it can have. */
rc_t attrs_field_set(const struct attrs_field *f, const struct node *v, struct control *c);

#endif
