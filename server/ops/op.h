/*
 * The KMIP operations: a table, and for each up to three pure functions on a struct op_item. They
 * check and decide; they never wait and know no SQL, TLS, TPM or clock. The engine calls prepare,
 * loads what it names, asks policy, calls perform, carries the vault calls, calls complete
 * (design.md section 3).
 */
#ifndef SERVER_OPS_OP_H
#define SERVER_OPS_OP_H

#include "db/unit.h"
#include "proto/kmip/message.h"
#include "server/ops/attrs.h"
#include "server/ops/filter.h"
#include "server/policy/policy.h"
#include "server/vault/record.h"

struct op_limits {
    struct attrs_limits attrs;
    uint32_t locate_max; /* most identifiers in one answer */
};

/* What Query tells about this server. Texts may be NULL. */
struct op_server {
    const char *version;   /* "0.1.0" */
    const char *node;      /* name of this node */
    const char *tpm_label; /* "hardware", "software (swtpm)", ... */
    bool interop;          /* the setting of that name: this is a test server */
};

/*
 * Unique Identifiers that earlier items of the request gave: the ID Placeholder of 1.x, and what
 * the enumeration and integer forms of 2.x name (KMIP 2.1, 4.58). Kept by the engine.
 */
struct op_ids {
    struct uid placeholder; /* nil: empty */
    struct uid created;     /* by the last Create, Register, Locate; nil: none */
    struct uid registered;
    struct uid located;
    struct uid pair_private, pair_public; /* by the last Create Key Pair */
    size_t count; /* all that responses of this request carried, in order */
    struct uid *all;
};

enum op_want { WANT_NOTHING = 0, WANT_OBJECT, WANT_LOCATE };

enum {
    OP_CALLS_MAX = 2,   /* vault calls of one item: they go out together */
    OP_CHANGES_MAX = 2, /* objects that one item makes or changes: a key pair */
};

/* One object as it shall be after the item. */
struct op_change {
    struct object *object;
    enum db_change_kind kind;
    bool names; /* DB_UPDATE: its names change, too */
};

/* What an item does to the ID Placeholder when it succeeds. */
enum op_id_effect { ID_KEEP = 0, ID_SET, ID_CLEAR };

struct op_item {
    /* given by the engine */
    struct arena *arena;
    uint16_t version;
    const struct identity *who;
    unsigned quirks; /* of the client, server/policy/quirk.h */
    const struct op_limits *limits;
    const struct op_server *server;
    const struct op_ids *ids;
    int64_t now;         /* seconds; one instant for the whole request */
    uint32_t operation;  /* KMIP Operation */
    const void *request; /* typed payload, by operation (proto/kmip/operations.def) */

    /* set by prepare() */
    enum op_want want;
    struct uid uid;         /* WANT_OBJECT */
    unsigned db_want;       /* WANT_OBJECT: enum db_want */
    struct filter filter;   /* WANT_LOCATE */
    struct db_locate query; /* WANT_LOCATE: filters, offset, maximum */
    size_t draft_count;     /* objects that it makes, as far as the request tells of them */
    const struct object *drafts[OP_CHANGES_MAX];

    /* set by the engine before perform(): what was wanted and may be touched */
    const struct object *object; /* WANT_OBJECT: never NULL here */
    struct uid *located;         /* WANT_LOCATE */
    size_t located_count;
    bool total_known;
    uint64_t located_total; /* all that match, also those beyond the answer */

    /* set by perform(); replies by the engine before complete(), all with RC_OK */
    size_t call_count;
    struct vault_call calls[OP_CALLS_MAX];
    struct vault_reply replies[OP_CALLS_MAX];

    /* set by complete() (or perform() where no vault is needed) */
    size_t change_count;
    struct op_change changes[OP_CHANGES_MAX];
    void *response; /* typed payload, by operation */
    enum op_id_effect id_effect;
    struct uid result_id; /* ID_SET: the identifier */
    struct uid second_id; /* ID_SET: another one in the response, of a public key; nil: none */

    /* set by whoever fails: ID_CLEAR counts then, too */
    void *failure;   /* typed payload that the refusal carries, by operation; NULL as a rule */
    bool ends_batch; /* no later item is run, whatever the batch says */

    /* for audit */
    struct uid subject;  /* the object this is about, nil if none; set as early as it is known */
    struct bytes detail; /* what a client wants on record; cut and cleaned there */

    void *own; /* between the functions of one operation */
};

/* RC_OK, or why the item fails. */
typedef rc_t op_fn(struct op_item *item);

enum op_flags {
    OP_WRITES = 1u << 0, /* may change objects */
    OP_VAULT = 1u << 1,  /* needs the vault */
    OP_TEST = 1u << 2,   /* only on a test server: the setting `interop` */
};

struct op {
    uint32_t code;
    const char *name; /* for audit: the specification's text, "Get Attributes" */
    uint16_t since, until;
    unsigned flags;
    enum permission permission;
    op_fn *prepare, *perform, *complete; /* NULL: nothing to do */
};

/* The operation, or NULL if this server does not offer it in this version. */
const struct op *op_find(uint32_t code, uint16_t version);
/* Whether the server has the operation in this version, by its settings too: what Query lists. */
bool op_offered(const struct op *op, uint16_t version, const struct op_server *server);
/* The whole table, for Query and for tests. */
const struct op *op_table(size_t *count);

/* ---- for operations ---- */

/* Names the object that a request is about, by the ID Placeholder if the request does not. Sets
 * want, uid and subject. An identifier that cannot be ours becomes the nil one, which is never
 * found: so it is answered like any other that is missing. */
void op_want_object(struct op_item *it, const struct kmip_uid *id, unsigned db_want);
/* The object that an identifier means, in whatever form: nil if it cannot be one of ours. type 0: the ID Placeholder.
 */
struct uid op_uid_meant(const struct op_ids *ids, const struct kmip_uid *id);
/* The identifier as a response carries it. text NULL in it: no memory. */
struct kmip_uid op_uid_out(struct arena *a, const struct uid *uid);
/* A response payload for this item's operation; sets it->response. NULL: no memory. */
void *op_respond(struct op_item *it);
/* The plain answer of Activate, Revoke, Destroy and their like: the Unique Identifier. */
rc_t op_respond_uid(struct op_item *it, const struct uid *uid);
/* The time at which the item changes the loaded object: now, but not before what happened to it already. */
int64_t op_time(const struct op_item *it);
/* A copy of the loaded object, to be changed: version grown by one, Last Change Date now. It is the
 * item's first change. NULL: no memory. */
struct object *op_change(struct op_item *it, enum db_change_kind kind);
/* Adds a new object to the item's changes. */
void op_insert(struct op_item *it, struct object *o);
/* Asks the vault to sign the item's first change as the successor of it->object. */
void op_ask_transition(struct op_item *it);
/* Puts the signature of the vault's reply `reply` into the item's change `change`. */
void op_take_signature(struct op_item *it, size_t change, size_t reply);

/* The operations, by family. */
op_fn query_perform, discover_perform;                       /* query.c */
op_fn create_prepare, create_perform, create_complete;       /* make.c */
op_fn register_prepare, register_perform, register_complete; /* make.c */
op_fn create_pair_prepare, create_pair_perform, create_pair_complete; /* make_pair.c */
op_fn get_prepare, get_perform, get_complete;                /* get.c */
op_fn get_attributes_prepare, get_attributes_perform;        /* get_attributes.c */
op_fn get_attribute_list_prepare, get_attribute_list_perform;
op_fn add_attribute_prepare, add_attribute_perform; /* attributes.c */
op_fn modify_attribute_prepare, modify_attribute_perform;
op_fn delete_attribute_prepare, delete_attribute_perform;
op_fn set_attribute_prepare, set_attribute_perform;
op_fn attribute_complete, set_attribute_complete;
op_fn locate_prepare, locate_perform;                        /* locate.c */
op_fn check_prepare, check_perform;                          /* check.c */
op_fn log_perform, interop_perform;                          /* log.c */
op_fn activate_prepare, activate_perform;                    /* lifecycle.c */
op_fn revoke_prepare, revoke_perform;
op_fn destroy_prepare, destroy_perform;
op_fn lifecycle_complete;
op_fn encrypt_prepare, decrypt_prepare, cipher_perform;      /* cipher.c */
op_fn encrypt_complete, decrypt_complete;

#endif
