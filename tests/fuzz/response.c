/* Responses, as the client reads them: what could be read writes and reads to the same again. */
#include "tests/fuzz/fuzz.h"

static bool whole(const struct kmip_response *rs)
{
    for (size_t i = 0; i < rs->count; i++)
        if (rs->item_rc[i] != RC_OK)
            return false;
    return true;
}

int fuzz_response(const uint8_t *data, size_t len)
{
    AUTO_ARENA a = ARENA_OF(32 << 20);
    AUTO_BUF first = BUF_EMPTY, second = BUF_EMPTY, item = BUF_EMPTY;
    struct kmip_response *rs = NULL, *again = NULL;
    if (kmip_response_read(&a, bytes_of(data, len), NULL, &rs) != RC_OK || !whole(rs))
        return 0;
    PROMISE(kmip_response_write(&first, rs) == RC_OK);
    PROMISE(kmip_response_read(&a, buf_view(&first), NULL, &again) == RC_OK && whole(again));
    PROMISE(kmip_response_write(&second, again) == RC_OK);
    PROMISE(bytes_equal(buf_view(&first), buf_view(&second)));
    for (size_t i = 0; i < rs->count; i++)
        PROMISE(kmip_response_item_write(&item, rs->version, &rs->items[i]) == RC_OK);
    PROMISE(item.len <= first.len);
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        rs->version = kmip_versions[v];
        buf_clear(&first);
        if (kmip_response_write(&first, rs) == RC_OK)
            PROMISE(kmip_response_read(&a, buf_view(&first), NULL, &again) == RC_OK);
    }
    return 0;
}
