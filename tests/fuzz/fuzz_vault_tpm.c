/*
 * Fuzz target: what the TPM side reads from outside. The first byte chooses the reader. What is
 * accepted must be writable and read the same again.
 */
#include <stdlib.h>

#include "server/vault/node_state.h"
#include "server/vault/tpm/request.h"
#include "server/vault/tpm/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct bytes a, struct bytes b)
{
    if (!bytes_equal(a, b))
        abort();
}

static void rows(struct bytes in)
{
    AUTO_ARENA arena = ARENA_OF(8 << 20);
    AUTO_BUF out = BUF_EMPTY;
    struct hierarchy h;
    if (hierarchy_decode(in, &arena, &h) != RC_OK)
        return;
    if (hierarchy_encode(&h, &out) != RC_OK)
        abort();
    same(in, buf_view(&out));
}

static void state(struct bytes in)
{
    AUTO_BUF out = BUF_EMPTY;
    struct node_state s;
    if (node_state_decode(in, &s) != RC_OK)
        return;
    if (node_state_encode(&s, &out) != RC_OK)
        abort();
    same(in, buf_view(&out));
}

static void request(struct bytes in)
{
    AUTO_BUF out = BUF_EMPTY;
    AUTO_REQUEST r = {.ek_cert = BUF_EMPTY};
    AUTO_REQUEST again = {.ek_cert = BUF_EMPTY};
    if (request_read(in, &r) == RC_OK &&
        (request_write(&r, &out) != RC_OK || request_read(buf_view(&out), &again) != RC_OK))
        abort();
}

static void response(struct bytes in)
{
    AUTO_BUF out = BUF_EMPTY;
    struct response r, again;
    if (response_read(in, &r) == RC_OK &&
        (response_write(&r, &out) != RC_OK || response_read(buf_view(&out), &again) != RC_OK))
        abort();
}

static void public(struct bytes in)
{
    AUTO_BUF out = BUF_EMPTY;
    TPM2B_PUBLIC pub;
    struct node_name name;
    struct p256_point point;
    if (public_read(in, &pub) != RC_OK)
        return;
    (void)public_point(&pub, &point);
    (void)template_name(&pub, &name);
    if (public_write(&pub, &out) != RC_OK)
        abort();
    same(in, buf_view(&out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct bytes) = {rows, state, request, response, public};
    if (size == 0)
        return 0;
    readers[data[0] % (sizeof readers / sizeof readers[0])](bytes_of(data + 1, size - 1));
    return 0;
}
