/* Attributes in JSON: a list that could be read is written and read to the same list again. */
#include "tests/fuzz/fuzz.h"

#include "proto/kmip/attr_json.h"

int fuzz_attr_json(const uint8_t *data, size_t len)
{
    AUTO_ARENA a = ARENA_OF(16 << 20);
    AUTO_BUF text = BUF_EMPTY, second = BUF_EMPTY;
    struct kmip_attributes list, again;
    if (attr_json_read(&a, bytes_of(data, len), &list) != RC_OK)
        return 0;
    if (attr_json_write(&list, &text) != RC_OK)
        return 0; /* a vendor name that has no JSON form */
    PROMISE(attr_json_read(&a, buf_view(&text), &again) == RC_OK);
    PROMISE(list.count == again.count);
    PROMISE(attr_json_write(&again, &second) == RC_OK);
    PROMISE(bytes_equal(buf_view(&text), buf_view(&second)));
    for (size_t i = 0; i < list.count; i++) {
        PROMISE(list.items[i].tag == again.items[i].tag);
        PROMISE(list.items[i].index == again.items[i].index);
        PROMISE(node_equal(list.items[i].value, again.items[i].value));
        buf_clear(&second);
        PROMISE(attr_json_value(list.items[i].value, &second) == RC_OK);
    }
    return 0;
}
