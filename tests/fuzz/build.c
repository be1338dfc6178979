/*
 * Building: the input is a program of calls that make attributes, structures and messages, as the
 * server's operations do; what they build must be written, read and shown to every version. The
 * last input byte sets the memory cap, so that calls also fail in the middle.
 */
#include "tests/fuzz/fuzz.h"

#include "proto/kmip/attr_json.h"
#include "proto/kmip/reason.h"
#include "tests/support/kmip_fill.h"

struct program {
    const uint8_t *p, *end;
};

static uint8_t next(struct program *g)
{
    return g->p < g->end ? *g->p++ : 0;
}

static struct bytes view(struct program *g)
{
    size_t len = next(g) % 12;
    if (len > (size_t)(g->end - g->p))
        len = (size_t)(g->end - g->p);
    struct bytes b = bytes_of(g->p, len);
    g->p += len;
    return utf8_valid(b) ? b : bytes_str("text");
}

static struct node *any_value(struct program *g, struct arena *a)
{
    switch (next(g) % 10) {
    case 0:
        return node_integer(a, 0, next(g));
    case 1:
        return node_long(a, 0, -(int64_t)next(g));
    case 2:
        return node_enum(a, 0, next(g));
    case 3:
        return node_boolean(a, 0, next(g) & 1);
    case 4:
        return node_bytes(a, 0, view(g));
    case 5:
        return node_big_integer(a, 0, bytes_str("01234567"));
    case 6:
        return node_date_time(a, 0, (int64_t)next(g) << 24);
    case 7:
        return node_date_time_extended(a, 0, (int64_t)next(g) << 40);
    case 8:
        return node_interval(a, 0, next(g));
    default:
        return node_text(a, 0, view(g));
    }
}

static rc_t add_one(struct program *g, struct arena *a, struct kmip_attributes *list)
{
    size_t count;
    const struct kmip_attr_info *infos = kmip_attr_infos(&count);
    const struct kmip_attr_info *info = &infos[next(g) % count];
    switch (next(g) % 7) {
    case 0:
        return kmip_attributes_add_enum(a, list, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM, next(g));
    case 1:
        return kmip_attributes_add_integer(a, list, info->tag,
                                           (int32_t)((uint32_t)next(g) << (next(g) % 32)));
    case 2:
        return kmip_attributes_add_boolean(a, list, KMIP_TAG_SENSITIVE, next(g) & 1);
    case 3:
        return kmip_attributes_add_date(a, list, KMIP_TAG_ACTIVATION_DATE,
                                        (int64_t)((uint64_t)next(g) << (next(g) % 60)));
    case 4:
        return kmip_attributes_add_text(a, list, info->tag, view(g));
    case 5:
        return kmip_attributes_add_name(a, list, view(g), next(g) % 4);
    default:
        return kmip_attributes_add_vendor(a, list, next(g) & 1 ? bytes_str("x") : bytes_str("Acme"),
                                          view(g), any_value(g, a));
    }
}

/* Reads what was shown to a version: nothing in it may surprise that version. */
static void show(struct arena *a, const struct kmip_attributes *list, uint16_t version)
{
    AUTO_BUF b = BUF_EMPTY, taken = BUF_EMPTY;
    struct kmip_attributes seen;
    struct kmip_response *rs = kmip_response_new(a, version, 1), *back = NULL;
    struct kmip_get_attributes_response *p = KMIP_NEW(a, get_attributes_response);
    if (!rs || !p || kmip_attributes_for_version(a, list, version, &seen) != RC_OK)
        return;
    for (size_t i = 0; i < seen.count; i++) {
        const struct kmip_attribute *attr = &seen.items[i];
        rc_t rc = kmip_attribute_check(attr, version);
        PROMISE(rc == RC_OK);
        if (attr->tag == KMIP_TAG_ATTRIBUTE) {
            PROMISE(kmip_attributes_find_vendor(&seen, attr->vendor, attr->name, 0));
            (void)kmip_attr_name_1x(a, attr->tag, attr->vendor, attr->name);
        } else {
            PROMISE(kmip_attributes_find(&seen, attr->tag,
                                         kmip_attributes_count(&seen, attr->tag) - 1));
            PROMISE(kmip_attr_known(attr->tag, version) && kmip_attr_text(attr->tag));
        }
    }
    p->unique_identifier = KMIP_UID_TEXT(bytes_str("u"));
    p->attributes = *list;
    rs->header->time_stamp = KMIP_NUMBER(1);
    rs->items[0].operation = KMIP_OP_GET_ATTRIBUTES;
    rs->items[0].payload = p;
    PROMISE(kmip_response_write(&b, rs) == RC_OK);
    if (kmip_response_read(a, buf_view(&b), NULL, &back) == RC_NO_MEMORY)
        return;
    PROMISE(back && back->count == 1 && back->item_rc[0] == RC_OK);
    p = back->items[0].payload;
    PROMISE(p->attributes.count == seen.count);
    buf_take(&taken, &b);
    buf_drop_front(&taken, taken.len / 2);
    buf_cut(&taken, taken.len / 2);
}

static void lookups(struct program *g)
{
    struct bytes word = view(g);
    uint32_t tag = 0x420000u + next(g) + (uint32_t)(next(g) & 1) * 256;
    uint32_t value = 0;
    size_t count;
    uint8_t type;
    uint16_t version = kmip_versions[next(g) % KMIP_VERSION_COUNT];
    const struct kmip_entry *e = kmip_tag(tag);
    PROMISE((e != NULL) == (strcmp(kmip_tag_name(tag), "?") != 0));
    PROMISE(!e || kmip_tag_by_name(bytes_str(e->name)) == tag);
    PROMISE(!kmip_tag_known(tag, version) || e);
    (void)kmip_tag_by_name(word);
    (void)kmip_tags(&count);
    (void)kmip_enum_of_tag(tag);
    (void)kmip_enum_by_name(tag, word, &value);
    (void)kmip_enum_name(tag, next(g));
    (void)kmip_mask_known(tag, version);
    (void)kmip_type_by_name(word, &type);
    (void)kmip_attr_by_text(word, version);
    PROMISE(kmip_operation_text(next(g)) && kmip_type_name(next(g)));
    rc_t rc = (rc_t)next(g);
    PROMISE(rc_name(rc) && rc_text(rc));
    if (rc < RC_COUNT)
        PROMISE((kmip_reason(rc, version) == 0) == (rc == RC_OK));
    PROMISE(kmip_object_type_of_tag(kmip_object_tag(next(g))) < 64);
}

int fuzz_build(const uint8_t *data, size_t len)
{
    struct program g = {data, data + len};
    size_t caps[] = {8192, 20000, 70000, 16 << 20};
    AUTO_ARENA a = ARENA_OF(len ? caps[data[len - 1] % 4] : 0);
    AUTO_BUF json = BUF_EMPTY, request = BUF_EMPTY;
    struct kmip_attributes list = {0};
    struct kmip_request *rq = NULL;
    uint8_t steps = next(&g) % 40;
    for (int i = 0; i < steps; i++)
        (void)add_one(&g, &a, &list);
    (void)attr_json_write(&list, &json);
    struct bytes said = arena_copy(&a, buf_view(&json));
    PROMISE(!said.data || bytes_equal(said, buf_view(&json)));
    show(&a, &list, kmip_versions[next(&g) % KMIP_VERSION_COUNT]);
    lookups(&g);

    /* A message of random operations, read back in as little memory as the program grants. */
    AUTO_ARENA made = ARENA_OF(16 << 20);
    struct fill f = {&made, kmip_versions[next(&g) % KMIP_VERSION_COUNT], 1u + next(&g),
                     next(&g) % 3, 0};
    uint32_t op = 1u + next(&g) % KMIP_OP_PROCESS;
    if (kmip_enum_known(KMIP_TAG_OPERATION, op, f.version)) {
        PROMISE(kmip_request_write(&request, fill_request(&f, &op, 1)) == RC_OK);
        arena_reset(&a);
        rc_t rc = kmip_request_read(&a, buf_view(&request), NULL, &rq);
        PROMISE(rc == RC_NO_MEMORY || (rc == RC_OK && rq->item_rc[0] == RC_OK));
        (void)kmip_request_new(&a, f.version, 1);
        PROMISE(kmip_payload_new(&made, op, false));
        PROMISE(buf_add_fmt(&request, "%s", arena_fmt(&made, "%u", op)) == RC_OK);
    }
    buf_clear(&request);
    return 0;
}
