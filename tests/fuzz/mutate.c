/*
 * Mutation of messages as trees. Bytes changed blindly mostly break a length, and what lies behind
 * the first check is never reached; here a message is read, changed at some places, and written
 * with the right lengths. Linked into the libFuzzer programs whose input is binary TTLV.
 */
#include <stddef.h>

#include "proto/kmip/message.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

enum { NODES = 4096, CHILDREN = 256 };

static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 32) % below : (uint32_t)(state >> 32);
}

static uint32_t some_tag(void)
{
    size_t count;
    const struct kmip_entry *tags = kmip_tags(&count);
    const struct kmip_entry *e = &tags[chance((uint32_t)count)];
    return e->name && chance(8) ? e->value : 0x540000 + chance(9);
}

static uint32_t some_enumeration(uint32_t tag)
{
    size_t count;
    const struct kmip_entry *e = kmip_enum_values(tag, &count);
    if (e && count && chance(4))
        return e[chance((uint32_t)count)].value;
    switch (chance(3)) {
    case 0:
        return some_tag(); /* an Attribute Reference */
    case 1:
        return chance(70);
    default:
        return chance(0);
    }
}

static struct bytes some_text(void)
{
    static const char *const words[] = {"",         "x-a",   "y-b",   "x-",      "x",
                                        "Acme_1.0", "State", "a:b-c", "\xC3\xA9"};
    size_t count;
    const struct kmip_attr_info *infos = kmip_attr_infos(&count);
    if (chance(2))
        return bytes_str(kmip_attr_text(infos[chance((uint32_t)count)].tag));
    return bytes_str(words[chance(sizeof words / sizeof words[0])]);
}

static void new_value(struct node *n)
{
    static const uint8_t some[64];
    switch (n->type) {
    case TTLV_STRUCTURE:
        break;
    case TTLV_INTEGER:
        n->integer = chance(3) ? (int32_t)chance(40) - 2 : (int32_t)chance(0);
        break;
    case TTLV_ENUMERATION:
        n->enumeration = some_enumeration(n->tag);
        break;
    case TTLV_BOOLEAN:
        n->boolean = !n->boolean;
        break;
    case TTLV_INTERVAL:
        n->interval = chance(0);
        break;
    case TTLV_TEXT_STRING:
        n->bytes = some_text();
        break;
    case TTLV_BYTE_STRING:
        n->bytes = bytes_of(some, chance(sizeof some));
        break;
    case TTLV_BIG_INTEGER:
        n->bytes = bytes_of(some, 8 + 8 * chance(4));
        break;
    default:
        n->date_time = (int64_t)((uint64_t)chance(0) << chance(33));
    }
}

static void new_type(struct node *n)
{
    *n = (struct node){
        .tag = n->tag, .next = n->next, .type = (uint8_t)(1 + chance(TTLV_DATE_TIME_EXTENDED))};
    new_value(n);
}

static void collect(struct node *n, struct node **all, size_t *count)
{
    if (*count < NODES)
        all[(*count)++] = n;
    if (n->type == TTLV_STRUCTURE)
        for (struct node *c = n->first; c; c = c->next)
            collect(c, all, count);
}

/* One child is taken away, moved, doubled, or a copy of any node is put among them. */
static void new_children(struct arena *a, struct node *n, const struct node *any)
{
    struct node *children[CHILDREN + 1], *more = NULL;
    size_t count = 0;
    if (n->count >= CHILDREN)
        return;
    for (struct node *c = n->first; c; c = c->next)
        children[count++] = c;
    size_t at = chance((uint32_t)count + 1), other = chance((uint32_t)count + 1);
    switch (chance(4)) {
    case 0:
        if (at < count)
            children[at] = NULL;
        break;
    case 1:
        if (at < count && other < count) {
            struct node *c = children[at];
            children[at] = children[other];
            children[other] = c;
        }
        break;
    case 2:
        more = at < count ? node_copy(a, children[at]) : NULL;
        break;
    default:
        more = node_copy(a, any);
    }
    *n = (struct node){.tag = n->tag, .type = n->type, .next = n->next};
    for (size_t i = 0; i <= count; i++) {
        struct node *here[] = {i == other ? more : NULL, i < count ? children[i] : NULL};
        for (size_t k = 0; k < 2; k++) {
            if (!here[k])
                continue;
            here[k]->next = NULL;
            (void)node_append(n, here[k]);
        }
    }
}

/* Most messages should get past the check of the Batch Count. */
static void mend_count(struct node *top)
{
    struct node *header = top->type == TTLV_STRUCTURE ? top->first : NULL;
    if (!header || header->type != TTLV_STRUCTURE)
        return;
    for (struct node *c = header->first; c; c = c->next)
        if (c->tag == KMIP_TAG_BATCH_COUNT && c->type == TTLV_INTEGER)
            c->integer = (int32_t)top->count - 1;
}

static void change(struct arena *a, struct node *top)
{
    struct node *all[NODES];
    size_t count = 0;
    collect(top, all, &count);
    struct node *n = all[chance((uint32_t)count)];
    switch (chance(8)) {
    case 0:
        if (n != top)
            n->tag = some_tag();
        break;
    case 1:
        if (n != top)
            new_type(n);
        break;
    default:
        if (n->type == TTLV_STRUCTURE)
            new_children(a, n, all[chance((uint32_t)count)]);
        else
            new_value(n);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    AUTO_ARENA a = ARENA_OF(64 << 20);
    AUTO_BUF out = BUF_EMPTY;
    struct node *top = NULL;
    state = seed * 2654435761u + UINT64_C(0x9E3779B97F4A7C15);
    if (chance(8) == 0 || ttlv_read(&a, bytes_of(data, size), NULL, &top) != RC_OK)
        return LLVMFuzzerMutate(data, size, max);
    for (uint32_t steps = 1 + chance(4); steps > 0; steps--)
        change(&a, top);
    if (chance(8))
        mend_count(top);
    if (ttlv_write_node(&out, 0, top) != RC_OK || out.len > max)
        return LLVMFuzzerMutate(data, size, max);
    memcpy(data, out.data, out.len);
    return out.len;
}
