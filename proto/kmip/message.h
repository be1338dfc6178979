/*
 * Request and response messages. A damaged header or encoding makes the whole message invalid; a
 * batch item or payload that does not fit its table makes only that item of a request fail, with
 * its own result. KMIP 1.4, 6 and 7; KMIP 2.1, 8 and 9.
 */
#ifndef PROTO_KMIP_MESSAGE_H
#define PROTO_KMIP_MESSAGE_H

#include "proto/kmip/struct.h"

/*
 * struct kmip_request_item and struct kmip_response_item come from payload.def, with
 *   uint32_t operation; struct bytes unique_id (data NULL: none); void *payload; extensions.
 * payload is struct kmip_get_request * and so on, by operation (operations.def).
 */
struct kmip_request {
    uint16_t
        version; /* from the header, also when it is not supported or what follows is damaged */
    struct kmip_request_header *header; /* NULL if it could not be read */
    size_t count;
    struct kmip_request_item *items;
    rc_t *item_rc;          /* by item: RC_OK, or why it cannot be served */
    struct node **payloads; /* by item: the Request Payload as it came; NULL if there was none */
};

struct kmip_response {
    uint16_t version;
    struct kmip_response_header
        *header; /* for writing: version and batch count are filled in if NULL or 0 */
    size_t count;
    struct kmip_response_item *items;
    rc_t *item_rc; /* reading only */
};

/*
 * Reads a whole request message. *out is set whenever the arena had room for it, and filled as far
 * as the message could be read, so that an error can be answered in the right version.
 *   RC_BAD_VERSION   version not among kmip_versions (out->version tells it)
 *   RC_BAD_MESSAGE and others of ttlv_read() and kmip_struct_read(): the message is invalid
 *   RC_BAD_MESSAGE   Batch Count does not agree with the items
 * RC_OK with item_rc[i] != RC_OK: the item fails alone: RC_OP_UNSUPPORTED (operation not in this
 * version) or a result of kmip_struct_read(), with as much of the item as could be read.
 * RC_CRITICAL_EXTENSION stands at every item: such an extension rejects the entire message, yet
 * each item is answered.
 */
rc_t kmip_request_read(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
                       struct kmip_request **out);
/* As it, but Batch Count may be another number than that of the items. */
rc_t kmip_request_read_any_count(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
                                 struct kmip_request **out);
/* The same for a response (client side). Unknown reasons and status values are kept as they are. */
rc_t kmip_response_read(struct arena *a, struct bytes in, const struct ttlv_limits *limits,
                        struct kmip_response **out);

/*
 * Appends the whole message to `out`. The version gates every field: nothing that request->version
 * does not define is written. A response needs header->time_stamp: nobody here has a clock. On
 * failure `out` is cut back to what it was.
 */
rc_t kmip_request_write(struct buf *out, const struct kmip_request *request);
rc_t kmip_response_write(struct buf *out, const struct kmip_response *response);
/* One response batch item alone, to learn its size or prepare it before the message is put
 * together. */
rc_t kmip_response_item_write(struct buf *out, uint16_t version,
                              const struct kmip_response_item *item);

/* The payload of an item typed, for callers: `KMIP_PAYLOAD(item, get_request)`. */
#define KMIP_PAYLOAD(item, name) ((struct kmip_##name *)(item)->payload)

/* An arena-allocated request or response with `count` zeroed items and a header. NULL: no memory.
 */
struct kmip_request *kmip_request_new(struct arena *a, uint16_t version, size_t count);
struct kmip_response *kmip_response_new(struct arena *a, uint16_t version, size_t count);

/* Version of a Protocol Version structure; 0 if it does not fit 8.8 bits. */
uint16_t kmip_version_of(const struct kmip_protocol_version *pv);

#endif
