/*
 * One KMIP request of the key commands: put together item by item, sent over TLS as the options say, the
 * answer read and each item's result told. All memory is the call's and is wiped with it.
 */
#ifndef SERVER_ADMIN_KMIP_CALL_H
#define SERVER_ADMIN_KMIP_CALL_H

#include "proto/kmip/message.h"
#include "server/admin/cli.h"

enum { KMIP_CALL_ITEMS = 4 };

struct kmip_call {
    struct cli *cli;
    struct arena arena;
    uint16_t version;
    struct kmip_request *request;
    struct kmip_response *response;
    struct buf answer; /* the response's texts and key bytes are views of it */
};

/* Reads --protocol and makes an empty request. Tells the error. */
enum cli_exit kmip_call_begin(struct cli *cli, struct kmip_call *call);
/* Adds an item and returns its zeroed payload (struct kmip_<operation>_request); NULL: no memory, or a fifth. */
void *kmip_call_add(struct kmip_call *call, uint32_t operation);
/*
 * Sends it and reads the answer; CLI_DONE if every item succeeded. Tells the first failure otherwise: what the
 * server refused, why, and what to do.
 */
enum cli_exit kmip_call_send(struct kmip_call *call);
void kmip_call_end(struct kmip_call *call);

#define AUTO_KMIP_CALL __attribute__((cleanup(kmip_call_end))) struct kmip_call

#endif
