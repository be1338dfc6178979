/*
 * The stored rows of the key hierarchy, as plain data: what the tables kmip.node, cr, cs, ep and dk
 * hold and what VAULT_UNSEAL carries. Nothing here is secret: private parts are TPM blobs that only
 * the right parent, in the right TPM, in an approved boot state opens. No TPM type, no SQL.
 * Names of fields are names of columns. Opaque byte fields are TPM structures in their wire form.
 */
#ifndef SERVER_VAULT_HIERARCHY_H
#define SERVER_VAULT_HIERARCHY_H

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "server/base/object.h"

/* States of cr, ep and dk rows. Readers open ACTIVE and RETIRING, writers use the one ACTIVE. */
enum hierarchy_state { HIERARCHY_ACTIVE = 1, HIERARCHY_RETIRING = 2, HIERARCHY_STAGED = 3 };

/* One node, i.e. one TPM. Key: id. */
struct hierarchy_node {
    struct uid id;
    struct bytes ek_cert;    /* DER, empty where the TPM has none */
    struct bytes ak_pub;     /* attestation key, TPM2B_PUBLIC */
    struct bytes srk_pub;    /* storage root, TPM2B_PUBLIC */
    uint32_t cr_id;          /* the cluster root that cr_priv belongs to */
    struct bytes cr_priv;    /* cluster root under this node's storage root, TPM2B_PRIVATE */
    uint32_t pcr_mask;       /* selected PCRs of the SHA-256 bank, bit n = PCR n */
    uint64_t approval;       /* value of the approval counter that use_policy was computed for */
    struct bytes use_policy; /* 32 bytes: the approved policy digest */
    struct bytes use_sig;    /* 64 bytes: r | s, by AUTH over SHA-256(use_policy | reference) */
    struct bytes nv_auth;    /* 48 bytes: nonce | the counters' authorisation under a key from CS */
};

/* One cluster root. Key: id. */
struct hierarchy_cr {
    uint32_t id;
    uint32_t state;        /* enum hierarchy_state */
    struct bytes pub;      /* TPM2B_PUBLIC */
    struct bytes auth_pub; /* the approver's public key, TPM2B_PUBLIC */
    struct bytes
        escrow_digest; /* SHA-256 of the escrow file; the file itself is never stored here */
    struct bytes
        escrow_proof; /* 64 bytes r | s: proof that the escrow was opened once; empty before */
};

/* The cluster secret of a cluster root. Key: cr_id. */
struct hierarchy_cs {
    uint32_t cr_id;
    struct bytes pub;  /* TPM2B_PUBLIC */
    struct bytes priv; /* TPM2B_PRIVATE */
};

/* One epoch parent. Key: epoch. */
struct hierarchy_ep {
    uint32_t epoch;
    uint32_t cr_id;
    uint32_t state;
    struct bytes pub;
    struct bytes priv;
    struct bytes mac; /* 32 bytes, over all other fields, key from the cluster secret */
};

/* One domain key. Key: domain, epoch. */
struct hierarchy_dk {
    uint64_t domain;
    uint32_t epoch;
    uint32_t ep_epoch;
    uint32_t state;
    struct bytes pub;
    struct bytes priv;
    struct bytes mac; /* 32 bytes, over all other fields */
};

/* All rows of the five tables. Arrays and views belong to whoever filled them (an arena, usually).
 */
struct hierarchy {
    size_t node_count, cr_count, cs_count, ep_count, dk_count;
    struct hierarchy_node *nodes;
    struct hierarchy_cr *crs;
    struct hierarchy_cs *css;
    struct hierarchy_ep *eps;
    struct hierarchy_dk *dks;
};

/* Limits of the encoding, checked both ways. */
enum {
    HIERARCHY_FIELD_MAX = 8192,    /* bytes of one byte field */
    HIERARCHY_ROWS_MAX = 16384,    /* rows of one table */
    HIERARCHY_BYTES_MAX = 4 << 20, /* the whole encoding */
};

/* Appends the rows to `out`. RC_TOO_LARGE past a limit, RC_NO_MEMORY. */
rc_t hierarchy_encode(const struct hierarchy *h, struct buf *out);
/*
 * Strict: every length, count and the end are checked, before memory is taken. Byte fields are
 * views of `in`, arrays lie in the arena. RC_BAD_MESSAGE, RC_TOO_LARGE or RC_NO_MEMORY.
 */
rc_t hierarchy_decode(struct bytes in, struct arena *arena, struct hierarchy *out);

/* The row with that key, or NULL. */
const struct hierarchy_node *hierarchy_find_node(const struct hierarchy *h, const struct uid *id);
const struct hierarchy_cr *hierarchy_find_cr(const struct hierarchy *h, uint32_t id);
const struct hierarchy_cs *hierarchy_find_cs(const struct hierarchy *h, uint32_t cr_id);
const struct hierarchy_ep *hierarchy_find_ep(const struct hierarchy *h, uint32_t epoch);
const struct hierarchy_dk *hierarchy_find_dk(const struct hierarchy *h, uint64_t domain,
                                             uint32_t epoch);

#endif
