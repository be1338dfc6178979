/*
 * Calls and replies of the vault on the socket: one frame each (server/ipc/frame.h), code =
 * vault_op, fixed fields in a fixed order, big-endian, and at most one field of variable length
 * without a length of its own, which is the rest of the payload. Used by client.c (workers, CLI) and
 * by the vault; knows no key and no socket.
 */
#ifndef SERVER_VAULT_WIRE_H
#define SERVER_VAULT_WIRE_H

#include "server/ipc/frame.h"
#include "server/vault/record.h"

/* The role of a descriptor: authority comes from which descriptor a call arrived on. */
enum vault_peer { FROM_WORKER = 1, FROM_SUPERVISOR = 2, FROM_ADMIN = 4 };

enum {
    VAULT_MATERIAL_MAX = 1024 * 1024,              /* plain key bytes of one object */
    VAULT_ENVELOPE_MAX = VAULT_MATERIAL_MAX + 256, /* the same, sealed */
    VAULT_HIERARCHY_MAX = 16 * 1024 * 1024,        /* rows of the key hierarchy */
    VAULT_PASSWORD_MAX = 1024,                     /* longest password */
    VAULT_DATA_MAX = CIPHER_DATA_MOST,             /* all that one message brings to be encrypted or decrypted */
    WIRE_CIPHER_REQUEST_BYTES = 8 * 4,
    WIRE_CIPHER_REPLY_BYTES = 2 * 4 + CIPHER_IV_MADE_MOST + CIPHER_TAG_MOST,
    /* Fixed part of each call's payload. */
    WIRE_GENERATE_BYTES = 8 + CONTROL_BYTES + 4,
    WIRE_REGISTER_BYTES = 8 + CONTROL_BYTES + 4,
    WIRE_GENERATE_PAIR_BYTES = 8 + 2 * CONTROL_BYTES + 8,
    WIRE_GET_BYTES = 8 + CONTROL_BYTES + CONTROL_MAC_BYTES + 4,
    WIRE_TRANSITION_BYTES = 8 + CONTROL_BYTES + CONTROL_MAC_BYTES + CONTROL_BYTES,
    WIRE_DOMAIN_KEY_BYTES = 8,
    WIRE_PASSWORD_BYTES = 16 + 12 + SCRYPT_HASH_BYTES + 4 + SCRYPT_SALT_MOST,
    WIRE_CIPHER_BYTES = 8 + CONTROL_BYTES + CONTROL_MAC_BYTES + WIRE_CIPHER_REQUEST_BYTES + 4 * 4,
    /* Most bytes of any reply's payload. */
    VAULT_REPLY_MAX = VAULT_DATA_MAX + CIPHER_BLOCK_MOST + WIRE_CIPHER_REPLY_BYTES,
};

/* May a peer with this role send a call with this code and payload size? Shape of frame_fits_fn's
 * answer. */
bool vault_call_allowed(uint16_t code, enum vault_peer peer, uint32_t len);
/* Whether the call may take far longer than others, and so has a deadline of its own. */
bool vault_op_is_slow(unsigned op);
/* The operation's name for log lines, "VAULT_GET"; "unknown" otherwise. */
const char *vault_op_name(unsigned op);

/* Appends the call as one frame. RC_TOO_LARGE past call.def's limit; RC_INVALID_FIELD for an
 * unknown op. */
rc_t vault_call_write(struct frame_writer *w, uint64_t id, const struct vault_call *call);
/* Reads a received call; views point into the frame. RC_PROTOCOL on any malformed one; RC_INTEGRITY,
 * with op and uid set, when a stored record is none that was ever signed. */
rc_t vault_call_read(const struct frame *frame, struct vault_call *out);

/* Appends the reply to a call of this op. With rc other than RC_OK only `status` is sent. */
rc_t vault_reply_write(struct frame_writer *w, enum vault_op op, uint64_t id,
                       const struct vault_reply *reply);
/* Reads a received reply; views point into the frame. RC_PROTOCOL on any malformed one. */
rc_t vault_reply_read(const struct frame *frame, struct vault_reply *out);
/* Copies what the reply views into the arena, so that it outlives the frame. */
rc_t vault_reply_keep(struct vault_reply *reply, struct arena *arena);
/* frame_fits_fn for the client's side: replies have known codes and at most VAULT_REPLY_MAX bytes.
 */
bool vault_reply_fits(uint16_t code, uint32_t len, void *arg);

#endif
