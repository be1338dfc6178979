/* Binary TTLV: what is read writes the same bytes; frame check, copy, compare and print go along.
 */
#include "tests/fuzz/fuzz.h"

int fuzz_ttlv(const uint8_t *data, size_t len)
{
    AUTO_ARENA a = ARENA_OF(16 << 20);
    AUTO_BUF out = BUF_EMPTY, shown = BUF_EMPTY;
    struct ttlv_limits limits = TTLV_LIMITS_DEFAULT;
    struct node *n = NULL, *again = NULL;
    size_t total = 0;
    if (len >= TTLV_HEADER_BYTES) {
        bool request = ttlv_frame_check(data, len, &total) == RC_OK;
        bool response = ttlv_frame_check_response(data, len, &total) == RC_OK;
        PROMISE((!request && !response) || (total <= len && total % 8 == 0));
    }
    if (len > 0 && data[len - 1] % 4 == 3) { /* now and then, tighter */
        limits.depth = 3;
        limits.items = 9;
        limits.text = 5;
    }
    if (ttlv_read(&a, bytes_of(data, len), &limits, &n) != RC_OK)
        return 0; /* refusing is fine, crashing is not */
    PROMISE(ttlv_write_node(&out, 0, n) == RC_OK);
    PROMISE(bytes_equal(buf_view(&out), bytes_of(data, len)));
    PROMISE(ttlv_read(&a, buf_view(&out), &limits, &again) == RC_OK);
    PROMISE(node_equal(n, again));
    struct node *copy = node_copy(&a, n);
    PROMISE(copy && node_equal(n, copy) && node_equal(copy, n));
    PROMISE(node_print(n, &shown) == RC_OK);
    return 0;
}
