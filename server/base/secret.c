/* Secrets in locked memory; see secret.h. Each is one piece of a pool, so none costs a system call.
 */
#include "server/base/secret.h"

#include "server/base/pool.h"

static struct pool secrets = {PTHREAD_MUTEX_INITIALIZER, {NULL}, true, true};

rc_t secret_new(size_t len, struct secret **out)
{
    size_t total = sizeof(struct secret) + len;
    struct secret *s = total < len ? NULL : pool_alloc(&secrets, total);
    if (!s)
        return RC_NO_MEMORY;
    s->len = len;
    s->mapped = total;
    *out = s;
    return RC_OK;
}

rc_t secret_from(struct bytes from, struct secret **out)
{
    TRY(secret_new(from.len, out));
    if (from.len)
        memcpy((*out)->data, from.data, from.len);
    return RC_OK;
}

void secret_free(struct secret **s)
{
    if (*s)
        pool_free(&secrets, *s);
    *s = NULL;
}

struct secret *secret_give(struct secret **s)
{
    struct secret *given = *s;
    *s = NULL;
    return given;
}

bool bytes_equal_ct(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    unsigned differ = 0;
    for (size_t i = 0; i < a.len; i++) {
        differ |= (unsigned)(a.data[i] ^ b.data[i]);
        /* Keeps the compiler from leaving the loop early or making it a memcmp(). */
        __asm__ volatile("" : "+r"(differ));
    }
    return differ == 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return bytes_equal_ct(secret_view(a), secret_view(b));
}
