/*
 * The local state file of a node, `<state_dir>/node.state`: what this machine pins, whatever the
 * database says. Not secret. The CLI writes it (fsync, rename) after init or recovery; the
 * supervisor hands its content to the vault. Text, one `key value` a line, closed by a SHA-256 of
 * all before it.
 */
#ifndef SERVER_VAULT_NODE_STATE_H
#define SERVER_VAULT_NODE_STATE_H

#include "proto/base/buf.h"
#include "server/base/object.h"

enum { NODE_NAME_BYTES = 34, NODE_STATE_MAX = 4096 };

/* A TPM Name of a key: 000b and the SHA-256 of its public area. */
struct node_name {
    uint8_t raw[NODE_NAME_BYTES];
};

struct node_state {
    struct uid node;
    struct node_name srk, ak, cr, auth;
    uint32_t nv_policy;     /* NV index of the approval counter */
    uint32_t nv_checkpoint; /* NV index of the audit checkpoint counter */
    bool self_approved;     /* AUTH and recovery key were made on this machine */
    bool software_tpm;      /* the manufacturer said so at init */
};

/* Appends the file's text to `out`. RC_NO_MEMORY. */
rc_t node_state_encode(const struct node_state *s, struct buf *out);
/* Strict: RC_INTEGRITY when the checksum fails, RC_BAD_MESSAGE when a line is not as written. */
rc_t node_state_decode(struct bytes text, struct node_state *out);

#endif
