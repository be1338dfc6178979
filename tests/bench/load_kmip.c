/* KMIP messages of the load generator: one batch item each, KMIP 1.0 to 1.4. */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "proto/kmip/tables.h"
#include "proto/ttlv/read.h"
#include "proto/ttlv/write.h"
#include "tests/bench/load.h"

static const struct {
    uint32_t operation;
    const char *name;
} steps[STEP_COUNT] = {
    [STEP_CREATE] = {KMIP_OP_CREATE, "Create"},       [STEP_GET] = {KMIP_OP_GET, "Get"},
    [STEP_ACTIVATE] = {KMIP_OP_ACTIVATE, "Activate"}, [STEP_GET_ACTIVE] = {KMIP_OP_GET, "Get"},
    [STEP_REVOKE] = {KMIP_OP_REVOKE, "Revoke"},       [STEP_DESTROY] = {KMIP_OP_DESTROY, "Destroy"},
    [STEP_GET_DESTROYED] = {KMIP_OP_GET, "Get"},      [STEP_LOCATE] = {KMIP_OP_LOCATE, "Locate"},
    [STEP_QUERY] = {KMIP_OP_QUERY, "Query"},          [STEP_CANNED] = {0, "canned"},
    [STEP_DISCOVER] = {KMIP_OP_DISCOVER_VERSIONS, "Discover Versions"},
};

const char *step_operation(enum step step)
{
    return steps[step].name;
}

static rc_t write_text(struct buf *out, uint32_t tag, const char *text)
{
    return ttlv_write_bytes(out, tag, TTLV_TEXT_STRING, bytes_str(text));
}

static rc_t write_name(struct buf *out, const char *name)
{
    size_t attribute, value;
    TRY(ttlv_begin(out, KMIP_TAG_ATTRIBUTE, &attribute));
    TRY(write_text(out, KMIP_TAG_ATTRIBUTE_NAME, "Name"));
    TRY(ttlv_begin(out, KMIP_TAG_ATTRIBUTE_VALUE, &value));
    TRY(write_text(out, KMIP_TAG_NAME_VALUE, name));
    TRY(ttlv_write_enum(out, KMIP_TAG_NAME_TYPE, 1)); /* Uninterpreted Text String */
    TRY(ttlv_end(out, value));
    return ttlv_end(out, attribute);
}

static rc_t write_number(struct buf *out, const char *name, bool enumeration, uint32_t number)
{
    size_t attribute;
    TRY(ttlv_begin(out, KMIP_TAG_ATTRIBUTE, &attribute));
    TRY(write_text(out, KMIP_TAG_ATTRIBUTE_NAME, name));
    if (enumeration)
        TRY(ttlv_write_enum(out, KMIP_TAG_ATTRIBUTE_VALUE, number));
    else
        TRY(ttlv_write_integer(out, KMIP_TAG_ATTRIBUTE_VALUE, (int32_t)number));
    return ttlv_end(out, attribute);
}

static rc_t write_create(struct buf *out, const char *name)
{
    size_t attributes;
    TRY(ttlv_write_enum(out, KMIP_TAG_OBJECT_TYPE, 2)); /* Symmetric Key */
    TRY(ttlv_begin(out, KMIP_TAG_TEMPLATE_ATTRIBUTE, &attributes));
    TRY(write_number(out, "Cryptographic Algorithm", true, 3)); /* AES */
    TRY(write_number(out, "Cryptographic Length", false, KEY_BITS));
    TRY(write_number(out, "Cryptographic Usage Mask", false, 0x0C)); /* Encrypt, Decrypt */
    if (name)
        TRY(write_name(out, name));
    return ttlv_end(out, attributes);
}

static rc_t write_payload(struct buf *out, const struct load_request *rq)
{
    size_t reason;
    if (rq->step == STEP_CREATE)
        return write_create(out, rq->name);
    if (rq->step == STEP_LOCATE)
        return write_name(out, rq->name);
    if (rq->step == STEP_QUERY)
        return ttlv_write_enum(out, KMIP_TAG_QUERY_FUNCTION, 1); /* Query Operations */
    if (rq->step == STEP_DISCOVER)
        return RC_OK;
    TRY(write_text(out, KMIP_TAG_UNIQUE_IDENTIFIER, rq->uid));
    if (rq->step != STEP_REVOKE)
        return RC_OK;
    TRY(ttlv_begin(out, KMIP_TAG_REVOCATION_REASON, &reason));
    TRY(ttlv_write_enum(out, KMIP_TAG_REVOCATION_REASON_CODE, 6)); /* Cessation of Operation */
    return ttlv_end(out, reason);
}

static rc_t write_header(struct buf *out, const struct load_request *rq)
{
    size_t header, version;
    uint16_t v = load_options.version;
    TRY(ttlv_begin(out, KMIP_TAG_REQUEST_HEADER, &header));
    TRY(ttlv_begin(out, KMIP_TAG_PROTOCOL_VERSION, &version));
    TRY(ttlv_write_integer(out, KMIP_TAG_PROTOCOL_VERSION_MAJOR, v >> 8));
    TRY(ttlv_write_integer(out, KMIP_TAG_PROTOCOL_VERSION_MINOR, v & 0xff));
    TRY(ttlv_end(out, version));
    if (rq->correlation && v >= 0x0104)
        TRY(write_text(out, KMIP_TAG_CLIENT_CORRELATION_VALUE, rq->correlation));
    TRY(ttlv_write_integer(out, KMIP_TAG_BATCH_COUNT, 1));
    return ttlv_end(out, header);
}

static rc_t write_canned(struct buf *out)
{
    size_t len = load_options.request_bytes;
    TRY(buf_add_be32(out, 0x42007801));
    TRY(buf_add_be32(out, (uint32_t)(len - 8)));
    TRY(buf_reserve(out, len - 8));
    memset(out->data + out->len, 0, len - 8);
    out->len += len - 8;
    return RC_OK;
}

rc_t load_request_write(const struct load_request *rq, struct buf *out)
{
    size_t message, item, payload;
    if (rq->step == STEP_CANNED)
        return write_canned(out);
    TRY(ttlv_begin(out, KMIP_TAG_REQUEST_MESSAGE, &message));
    TRY(write_header(out, rq));
    TRY(ttlv_begin(out, KMIP_TAG_BATCH_ITEM, &item));
    TRY(ttlv_write_enum(out, KMIP_TAG_OPERATION, steps[rq->step].operation));
    TRY(ttlv_begin(out, KMIP_TAG_REQUEST_PAYLOAD, &payload));
    TRY(write_payload(out, rq));
    TRY(ttlv_end(out, payload));
    TRY(ttlv_end(out, item));
    return ttlv_end(out, message);
}

static void text_copy(const struct node *n, char *out, size_t room)
{
    size_t len = n && n->type == TTLV_TEXT_STRING && n->bytes.len < room ? n->bytes.len : 0;
    if (len)
        memcpy(out, n->bytes.data, len);
    out[len] = 0;
}

static void read_material(const struct node *payload, struct load_answer *out)
{
    const struct node *n = node_child(payload, KMIP_TAG_SYMMETRIC_KEY);
    n = node_child(node_child(n, KMIP_TAG_KEY_BLOCK), KMIP_TAG_KEY_VALUE);
    n = node_child(n, KMIP_TAG_KEY_MATERIAL);
    if (!n || n->type != TTLV_BYTE_STRING || n->bytes.len > sizeof out->material)
        return;
    out->material_len = n->bytes.len;
    memcpy(out->material, n->bytes.data, n->bytes.len);
}

rc_t load_answer_read(struct arena *a, struct bytes message, struct load_answer *out)
{
    struct node *top;
    memset(out, 0, sizeof *out);
    TRY(ttlv_read(a, message, NULL, &top));
    const struct node *item = node_child(top, KMIP_TAG_BATCH_ITEM), *n;
    const struct node *status = node_child(item, KMIP_TAG_RESULT_STATUS);
    if (top->tag != KMIP_TAG_RESPONSE_MESSAGE || !status || status->type != TTLV_ENUMERATION)
        return RC_BAD_MESSAGE;
    out->status = status->enumeration;
    n = node_child(item, KMIP_TAG_RESULT_REASON);
    out->reason = n && n->type == TTLV_ENUMERATION ? n->enumeration : 0;
    text_copy(node_child(item, KMIP_TAG_RESULT_MESSAGE), out->message, sizeof out->message);
    const struct node *payload = node_child(item, KMIP_TAG_RESPONSE_PAYLOAD);
    for (n = payload ? payload->first : NULL; n; n = n->next) {
        if (n->tag == KMIP_TAG_UNIQUE_IDENTIFIER && out->uid_count++ == 0)
            text_copy(n, out->uid, sizeof out->uid);
        out->listed += n->tag == KMIP_TAG_OPERATION || n->tag == KMIP_TAG_PROTOCOL_VERSION;
    }
    read_material(payload, out);
    return RC_OK;
}

/* By hand and with an algorithm fetched once: what the generator spends is taken from the server. */
void load_digest(const struct load_answer *answer, char out[DIGEST_HEX])
{
    static const char hex[] = "0123456789abcdef";
    static EVP_MD *sha256;
    unsigned char raw[32];
    unsigned len;
    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (EVP_Digest(answer->material, answer->material_len, raw, &len, sha256, NULL) != 1)
        die("SHA-256 failed");
    for (unsigned i = 0; i < 32; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[DIGEST_HEX - 1] = 0;
}
