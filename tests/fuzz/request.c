/*
 * Requests: a message whose items could all be read writes and reads to the same again; the same
 * request written to every other version holds nothing that version lacks, so it can be read in it.
 */
#include "tests/fuzz/fuzz.h"

#include "proto/kmip/reason.h"

static bool whole(const struct kmip_request *rq)
{
    for (size_t i = 0; i < rq->count; i++)
        if (rq->item_rc[i] != RC_OK)
            return false;
    return true;
}

/* Everything a caller would look at. */
static void look(struct arena *a, const struct kmip_request *rq)
{
    for (size_t i = 0; i < rq->count; i++) {
        PROMISE(kmip_reason(rq->item_rc[i], rq->version) != 0 || rq->item_rc[i] == RC_OK);
        PROMISE(kmip_operation_text(rq->items[i].operation));
        PROMISE(rq->item_rc[i] != RC_OK || rq->items[i].payload);
        if (rq->item_rc[i] != RC_OK)
            continue;
        if (rq->items[i].operation == KMIP_OP_REGISTER) {
            struct kmip_register_request *p = rq->items[i].payload;
            struct kmip_attributes seen;
            (void)kmip_object_key_block(p->object);
            for (size_t k = 0; k < p->attributes.count; k++) {
                const struct kmip_attribute *attr = &p->attributes.items[k];
                PROMISE(kmip_attribute_check(attr, rq->version) == RC_OK);
                PROMISE(attr->tag == KMIP_TAG_ATTRIBUTE ||
                        kmip_attr_name_1x(a, attr->tag, attr->vendor, attr->name).data);
                PROMISE(kmip_attributes_count(&p->attributes, attr->tag) > 0);
            }
            PROMISE(kmip_attributes_for_version(a, &p->attributes, V1_0, &seen) == RC_OK);
            PROMISE(seen.count <= p->attributes.count);
        }
    }
}

int fuzz_request(const uint8_t *data, size_t len)
{
    AUTO_ARENA a = ARENA_OF(32 << 20);
    AUTO_BUF first = BUF_EMPTY, second = BUF_EMPTY;
    struct kmip_request *rq = NULL, *again = NULL;
    if (kmip_request_read(&a, bytes_of(data, len), NULL, &rq) != RC_OK)
        return 0;
    if (whole(rq)) {
        PROMISE(kmip_request_write(&first, rq) == RC_OK);
        PROMISE(kmip_request_read(&a, buf_view(&first), NULL, &again) == RC_OK && whole(again));
        PROMISE(kmip_request_write(&second, again) == RC_OK);
        PROMISE(bytes_equal(buf_view(&first), buf_view(&second)));
        uint16_t version = rq->version;
        for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
            rq->version = kmip_versions[v];
            buf_clear(&first);
            if (kmip_request_write(&first, rq) != RC_OK)
                continue;
            PROMISE(kmip_request_read(&a, buf_view(&first), NULL, &again) == RC_OK);
        }
        rq->version = version;
    }
    look(&a, rq);
    return 0;
}
