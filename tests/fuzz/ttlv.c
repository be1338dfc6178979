/* Binary TTLV: what is read writes the same bytes; frame check, copy, compare and print go along.
 */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "proto/kmip/print.h"

/* Other bytes of the same length wherever a secret may stand. The copy's memory is its own. */
static void change_bytes(struct node *n)
{
    if (n->type == TTLV_BYTE_STRING || n->type == TTLV_BIG_INTEGER)
        for (size_t i = 0; i < n->bytes.len; i++)
            ((uint8_t *)(uintptr_t)n->bytes.data)[i] ^= 0x5A;
    for (struct node *c = n->type == TTLV_STRUCTURE ? n->first : NULL; c; c = c->next)
        change_bytes(c);
}

/* What a trace shows is whole JSON and plain lines, and the same whatever the byte strings hold. */
static void look_at_print(const struct node *n, struct node *copy)
{
    AUTO_BUF text = BUF_EMPTY, json = BUF_EMPTY, other = BUF_EMPTY, other_json = BUF_EMPTY;
    PROMISE(kmip_print(n, 0, &text) == RC_OK && kmip_print_json(n, &json) == RC_OK);
    json_t *parsed = json_loadb((const char *)json.data, json.len, 0, NULL);
    PROMISE(json_is_object(parsed));
    json_decref(parsed);
    for (size_t i = 0; i < text.len; i++)
        PROMISE(text.data[i] == '\n' || (text.data[i] >= 0x20 && text.data[i] < 0x7F));
    change_bytes(copy);
    PROMISE(kmip_print(copy, 0, &other) == RC_OK && kmip_print_json(copy, &other_json) == RC_OK);
    PROMISE(bytes_equal(buf_view(&text), buf_view(&other)) && bytes_equal(buf_view(&json), buf_view(&other_json)));
}

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
    look_at_print(n, copy);
    return 0;
}
