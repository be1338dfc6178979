/*
 * Locate's filters: the attributes a client gives become a query for the database, and the same
 * list is matched here against objects that the request itself made or changed. Both must agree: a
 * test runs the same cases through both. KMIP 1.4, 4.9; KMIP 2.1, 6.1.28.
 */
#ifndef SERVER_OPS_FILTER_H
#define SERVER_OPS_FILTER_H

#include "db/db.h"
#include "proto/kmip/attribute.h"

/* What Locate was asked, kept for matching. */
struct filter {
    const struct kmip_attributes *wanted;
    bool online, destroyed; /* which storage is looked at */
    bool nothing;           /* a filter that no object can meet: no query is needed */
    bool fresh;             /* Object Group Member: only fresh objects */
    bool no_templates;      /* Templates do not count: they have no state, and are gone in 2.x */
    int64_t now;            /* seconds */
};

/*
 * The query for f->wanted. Beforehand offset and maximum of *query are set by the caller; whose objects are looked at
 * is the engine's to say. May set f->nothing. Errors: RC_ATTR_INVALID (the version has no such attribute),
 * RC_INVALID_FIELD, RC_TOO_MANY, RC_NO_MEMORY.
 */
rc_t filter_query(struct arena *a, uint16_t version, struct filter *f, struct db_locate *query);

/* Whether an object meets all filters. */
rc_t filter_match(struct arena *a, const struct filter *f, const struct object *o, bool *match_out);

#endif
