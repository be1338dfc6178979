/*
 * A KMIP request from the command's options to the answer. The connection is made for the one call.
 */
#include "config.h"

#include <stdlib.h>

#include "server/admin/kmip_call.h"
#include "server/admin/kmip_tls.h"

/* What a client may need for the largest answer, its tree and the request. */
enum { CALL_MEMORY = 256 << 20 };

static const struct ttlv_limits answer_limits = {.depth = 64,
                                                 .items = 1 << 20,
                                                 .message = KMIP_TLS_ANSWER_MAX,
                                                 .text = 1 << 20,
                                                 .batch_items = KMIP_CALL_ITEMS,
                                                 .attributes = 1 << 16,
                                                 .name = 1 << 16};

static bool parse_version(const char *text, uint16_t *version)
{
    if (text[0] < '1' || text[0] > '9' || text[1] != '.' || text[2] < '0' || text[2] > '9' || text[3])
        return false;
    *version = (uint16_t)((text[0] - '0') << 8 | (text[2] - '0'));
    return kmip_version_known(*version);
}

enum cli_exit kmip_call_begin(struct cli *cli, struct kmip_call *call)
{
    *call = (struct kmip_call){.cli = cli, .arena = ARENA_OF(CALL_MEMORY), .answer = BUF_EMPTY};
    const char *protocol = cli_value(cli, OPT_PROTOCOL, "2.1");
    if (!parse_version(protocol, &call->version))
        return cli_fail(cli, CLI_USAGE, NULL, "--protocol %s: give 1.0, 1.1, 1.2, 1.3, 1.4, 2.0 or 2.1", protocol);
    call->request = kmip_request_new(&call->arena, call->version, KMIP_CALL_ITEMS);
    if (!call->request)
        return cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
    call->request->count = 0;
    return CLI_DONE;
}

void *kmip_call_add(struct kmip_call *call, uint32_t operation)
{
    if (call->request->count == KMIP_CALL_ITEMS)
        return NULL;
    struct kmip_request_item *item = &call->request->items[call->request->count];
    item->operation = operation;
    item->payload = kmip_payload_new(&call->arena, operation, false);
    if (item->payload)
        call->request->count++;
    return item->payload;
}

/* A batch of several items must tell them apart (KMIP 2.1, 8.3.2: Unique Batch Item ID). */
static void number_items(struct kmip_request *request)
{
    static const uint8_t ids[KMIP_CALL_ITEMS] = {1, 2, 3, 4};
    if (request->count < 2)
        return;
    for (size_t i = 0; i < request->count; i++)
        request->items[i].unique_id = bytes_of(&ids[i], 1);
    request->header->batch_order_option = KMIP_NUMBER(true);
}

static enum cli_exit tls_options(struct cli *cli, struct kmip_tls_options *o)
{
    long timeout = 30;
    enum cli_exit code = cli_number(cli, OPT_TIMEOUT, 1, 3600, &timeout);
    if (code != CLI_DONE)
        return code;
    *o = (struct kmip_tls_options){.host = cli_value(cli, OPT_HOST, "localhost"),
                                   .port = cli_value(cli, OPT_PORT, "5696"),
                                   .cert_file = cli_value(cli, OPT_CERT, NULL),
                                   .key_file = cli_value(cli, OPT_KEY, NULL),
                                   .ca_file = cli_value(cli, OPT_CA, NULL),
                                   .timeout_s = (int)timeout};
    if (!o->cert_file || !o->key_file || !o->ca_file)
        return cli_fail(cli, CLI_USAGE,
                        "Give --cert, --key and --ca, or set HOLDFAST_CERT, HOLDFAST_KEY and HOLDFAST_CA.",
                        "the server asks for a certificate, and %s is not given",
                        !o->cert_file  ? "yours"
                        : !o->key_file ? "its private key"
                                       : "the server's authority");
    return CLI_DONE;
}

static enum cli_exit tell_transport(struct cli *cli, rc_t rc, const char *why)
{
    switch (rc) {
    case RC_CONFIG:
        return cli_fail(cli, CLI_FILE, "Check --cert, --key and --ca.", "%s", why);
    case RC_AUTH_FAILED:
        return cli_fail(cli, CLI_CONNECT,
                        "Is the certificate of this server's authority, still valid and not revoked? "
                        "'holdfast client list' on the server shows whom it knows.",
                        "%s", why);
    case RC_UNAVAILABLE:
    case RC_TIMEOUT:
    case RC_IO:
        return cli_fail(cli, CLI_CONNECT,
                        "Is the server running there? 'holdfast status' on its machine says how it is.", "%s", why);
    default:
        return cli_fail(cli, CLI_INTERNAL, NULL, "%s", why);
    }
}

static const char *next_step(uint32_t reason)
{
    switch (reason) {
    case KMIP_REASON_ITEM_NOT_FOUND:
        return "Is the identifier right, and does the object belong to this client? 'holdfast key locate' lists yours.";
    case KMIP_REASON_PERMISSION_DENIED:
        return "'holdfast key attributes' shows the key's state; an Active key must be revoked before it is destroyed.";
    case KMIP_REASON_GENERAL_FAILURE:
        return "Nothing was changed. Try again; 'holdfast status' on the server says what is wrong.";
    default:
        return NULL;
    }
}

static enum cli_exit tell_result(struct kmip_call *call, size_t i)
{
    const struct kmip_response_item *item = &call->response->items[i];
    rc_t rc = call->response->item_rc[i];
    /* A message that is wrong as a whole is answered without an operation. */
    const char *operation = item->operation ? kmip_operation_text(item->operation) : "the request";
    if (item->result_status == KMIP_STATUS_SUCCESS && rc == RC_OK)
        return CLI_DONE;
    if (item->result_status == KMIP_STATUS_SUCCESS)
        return cli_fail(call->cli, CLI_INTERNAL, NULL, "the answer to %s cannot be read: %s", operation, rc_text(rc));
    const struct kmip_entry *reason = kmip_enum(KMIP_TAG_RESULT_REASON, item->result_reason);
    bool later = item->result_reason == KMIP_REASON_GENERAL_FAILURE ||
                 item->result_reason == KMIP_REASON_SERVER_LIMIT_EXCEEDED;
    return cli_fail(call->cli, later ? CLI_UNAVAILABLE : CLI_REFUSED, next_step(item->result_reason),
                    "the server refused %s: %s%s%.*s", operation, reason ? reason->text : "unknown reason",
                    item->result_message.len ? ": " : "", (int)item->result_message.len,
                    (const char *)item->result_message.data);
}

static enum cli_exit exchange(struct kmip_call *call, struct bytes message)
{
    struct kmip_tls_options options;
    char why[KMIP_TLS_WHY] = "";
    enum cli_exit code = tls_options(call->cli, &options);
    if (code != CLI_DONE)
        return code;
    struct kmip_tls *tls = NULL;
    rc_t rc = kmip_tls_open(&options, &tls, why);
    if (rc == RC_OK)
        rc = kmip_tls_exchange(tls, message, &call->answer, why);
    kmip_tls_close(&tls);
    return rc == RC_OK ? CLI_DONE : tell_transport(call->cli, rc, why);
}

enum cli_exit kmip_call_send(struct kmip_call *call)
{
    number_items(call->request);
    AUTO_BUF message = BUF_EMPTY;
    rc_t rc = kmip_request_write(&message, call->request);
    if (rc != RC_OK)
        return cli_fail(call->cli, CLI_USAGE, "--protocol chooses the version.",
                        "the request cannot be said in KMIP %d.%d: %s", call->version >> 8, call->version & 255,
                        rc_text(rc));
    enum cli_exit code = exchange(call, buf_view(&message));
    if (code != CLI_DONE)
        return code;
    rc = kmip_response_read(&call->arena, buf_view(&call->answer), &answer_limits, &call->response);
    if (rc != RC_OK || call->response->count == 0)
        return cli_fail(call->cli, CLI_INTERNAL, NULL, "the server's answer is not a valid KMIP response: %s",
                        rc_text(rc != RC_OK ? rc : RC_BAD_MESSAGE));
    for (size_t i = 0; i < call->response->count; i++)
        if ((code = tell_result(call, i)) != CLI_DONE)
            return code;
    if (call->response->count != call->request->count)
        return cli_fail(call->cli, CLI_INTERNAL, NULL, "the server answered %zu of %zu items", call->response->count,
                        call->request->count);
    return CLI_DONE;
}

void kmip_call_end(struct kmip_call *call)
{
    arena_free(&call->arena);
    buf_free(&call->answer);
}
