/*
 * The seed corpus: messages of every operation in every version and attribute lists of every kind
 * from the tests' generator, whole and with one byte wrong. Small and made on demand, so no files
 * are kept.
 */
#include "proto/kmip/attr_json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/kmip_fill.h"

typedef void corpus_fn(void *arg, struct bytes seed);

static void with_damage(struct fill *f, struct buf *b, corpus_fn *each, void *arg)
{
    each(arg, buf_view(b));
    for (int i = 0; i < 4 && b->len; i++) {
        size_t at = fill_random(f, (uint32_t)b->len);
        uint8_t before = b->data[at];
        b->data[at] = (uint8_t)fill_random(f, 256);
        each(arg, buf_view(b));
        b->data[at] = before;
    }
    each(arg, bytes_of(b->data, fill_random(f, (uint32_t)b->len + 1)));
}

static void messages(struct fill *f, int target, const uint32_t *ops, size_t count, corpus_fn *each,
                     void *arg)
{
    AUTO_BUF b = BUF_EMPTY;
    rc_t rc = target == 2 ? kmip_response_write(&b, fill_response(f, ops, count))
                          : kmip_request_write(&b, fill_request(f, ops, count));
    PROMISE(rc == RC_OK);
    with_damage(f, &b, each, arg);
}

static void attributes(struct fill *f, corpus_fn *each, void *arg)
{
    AUTO_BUF b = BUF_EMPTY;
    struct kmip_attributes list = {0};
    fill_attributes(f, &list, 1 + fill_random(f, 12));
    PROMISE(attr_json_write(&list, &b) == RC_OK);
    with_damage(f, &b, each, arg);
}

static void programs(struct fill *f, corpus_fn *each, void *arg)
{
    uint8_t program[400];
    size_t len = 40 + fill_random(f, sizeof program - 40);
    for (size_t i = 0; i < len; i++)
        program[i] = (uint8_t)fill_random(f, 256);
    each(arg, bytes_of(program, len));
}

void corpus_make(int target, void (*each)(void *arg, struct bytes seed), void *arg)
{
    size_t count;
    const struct kmip_entry *ops = kmip_enum_values(KMIP_TAG_OPERATION, &count);
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        for (size_t i = 0; i < count; i++) {
            AUTO_ARENA a = ARENA_OF(16 << 20);
            struct fill f = {&a, kmip_versions[v], 1 + v * 1000 + i, (int)(i % 3), 0};
            uint32_t two[2] = {ops[i].value, KMIP_OP_QUERY};
            if (target == 4)
                programs(&f, each, arg);
            else if (target == 3)
                attributes(&f, each, arg);
            else if (kmip_enum_known(KMIP_TAG_OPERATION, ops[i].value, kmip_versions[v])) {
                messages(&f, target, two, 1, each, arg);
                f.every = 1;
                messages(&f, target, two, 2, each, arg);
            }
        }
    }
}
