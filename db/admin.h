/*
 * Synchronous database access for the `holdfast` command: migrations, settings, clients, audit.
 * Never used by a worker. Every administrative change writes its audit row in its own transaction.
 * Functions return RC_OK or an error whose text for people is db_admin_error().
 */
#ifndef DB_ADMIN_H
#define DB_ADMIN_H

#include "db/audit_chain.h"

struct db_admin;

/* Roles a connection may ask for; the operating system user must be mapped to them (pg_ident). */
#define DB_ROLE_MIGRATOR "holdfast_migrator"
#define DB_ROLE_SERVER   "holdfast_server"
#define DB_ROLE_POLICY   "holdfast_policy"
#define DB_ROLE_AUDITOR  "holdfast_auditor"
#define DB_ROLE_FORWARD  "holdfast_forward"

/*
 * Connects. role: one of the above, or NULL for the user in conninfo. The handle is made even when
 * the connection fails, so that db_admin_error() can tell why. RC_UNAVAILABLE, RC_NO_MEMORY.
 */
rc_t db_admin_open(const char *conninfo, const char *role, struct db_admin **out);
/* NULL is fine. Clears the caller's pointer. */
void db_admin_close(struct db_admin **admin);
/* What the last call had to say: one line, no secrets. Lives until the next call. */
const char *db_admin_error(const struct db_admin *admin);
/* What to do about that, where the database says so; else NULL. Lives as long. */
const char *db_admin_hint(const struct db_admin *admin);
/* Who does it, for audit rows: "root@host"; default "holdfast". Copied. */
void db_admin_set_operator(struct db_admin *admin, const char *who);

/* ---- migrations ----------------------------------------------------------------------------- */

/* Called for each step: text such as "0001_roles.sql applied (12 ms)". */
typedef void db_progress_fn(void *arg, const char *text);

/*
 * Applies the missing migrations, each in a transaction, under an advisory lock. Needs a superuser,
 * or a member of holdfast_owner with CREATEROLE for the first run. Safe to run again. Also makes
 * audit partitions ahead. RC_INTEGRITY: an applied migration differs from the one in this program,
 * or the database is newer.
 */
rc_t db_migrate(struct db_admin *admin, db_progress_fn *progress, void *arg);
/* The schema's number in the database (0: none) and the one this program knows. */
rc_t db_migration_state(struct db_admin *admin, unsigned *have_out, unsigned *want_out);

/* ---- settings ------------------------------------------------------------------------------- */

enum db_setting_verdict { DB_SETTING_SAFE, DB_SETTING_WARN, DB_SETTING_UNSAFE };

struct db_setting {
    const char *name;
    char value[64];
    enum db_setting_verdict verdict;
    const char *why; /* what could go wrong; static */
};

enum { DB_SETTING_COUNT = 4 }; /* fsync, full_page_writes, synchronous_commit, data_checksums */

rc_t db_settings_check(struct db_admin *admin, struct db_setting out[DB_SETTING_COUNT]);

/* ---- clients (role holdfast_policy) --------------------------------------------------------- */

/* A certificate and the identity it gives. All text UTF-8. */
struct db_certificate {
    const char *issuer; /* RFC 2253 text */
    const char *kind;   /* identity: "uri", "dns", "email", "subject" */
    const char *value;
    const char *serial;            /* lower-case hexadecimal */
    const char *fingerprint;       /* SHA-256, lower-case hexadecimal; the key */
    int64_t not_before, not_after; /* seconds */
};

/*
 * Adds a client with its first credential and certificate to a domain (NULL: "default"); reason,
 * for the audit, may be NULL. RC_NAME_TAKEN when the name or the credential is in use, RC_NOT_FOUND
 * where there is no such domain, RC_TOO_MANY where it has as many clients as it may.
 */
rc_t db_client_add(struct db_admin *admin, const char *name, const char *domain, const char *reason,
                   const struct db_certificate *cert, struct uid *id_out);
/* A further certificate (renewal) of a client; adds the credential when it is new; reason as above.
 * RC_NOT_FOUND; RC_WRONG_STATE while the client is disabled. */
rc_t db_certificate_add(struct db_admin *admin, const char *client, const char *reason,
                        const struct db_certificate *cert);
/*
 * Revokes one certificate (fingerprint or serial), or, when `certificate` is NULL, the client: it
 * is disabled and all its certificates are revoked. Holds for open connections at their next
 * request. RC_NOT_FOUND.
 */
rc_t db_client_revoke(struct db_admin *admin, const char *client, const char *certificate);
/* Enables or disables without touching certificates. RC_NOT_FOUND. */
rc_t db_client_enable(struct db_admin *admin, const char *client, bool enabled);

struct db_client {
    struct uid id;
    const char *name;
    bool enabled;
    int64_t standing;
    int64_t created;        /* seconds */
    const char *identities; /* "uri urn:holdfast:client:first, ..." */
    unsigned certificates;  /* that are neither revoked nor expired */
    int64_t not_after;      /* of the one that lasts longest, NO_DATE if none */
    const char *domain;
    const char *groups, *roles; /* "a, b"; NULL: none */
    bool second_factor, legacy_tls;
    const char *quirks; /* "a,b"; empty: none */
};
/* Strings live during the callback. Returning false stops. */
typedef bool db_client_fn(void *arg, const struct db_client *client);
rc_t db_client_list(struct db_admin *admin, db_client_fn *each, void *arg);

struct db_certificate_row {
    const char *client, *issuer, *serial, *fingerprint;
    int64_t not_before, not_after;
    int64_t revoked_at; /* NO_DATE: not revoked */
};
typedef bool db_certificate_fn(void *arg, const struct db_certificate_row *row);
/* All certificates of a client, or of all when client is NULL (for the CRL: those revoked). */
rc_t db_certificate_list(struct db_admin *admin, const char *client, db_certificate_fn *each,
                         void *arg);

/*
 * Calls a function of the SQL API: policy.FUNCTION(values), each a text in the form of its
 * argument's type, NULL for SQL's. What it returns is dropped. RC_NOT_FOUND, RC_NAME_TAKEN,
 * RC_WRONG_STATE, RC_INVALID_FIELD, RC_TOO_MANY: it refused; RC_DENIED: the role may not call it;
 * RC_UNAVAILABLE.
 */
rc_t db_policy_call(struct db_admin *admin, const char *function, size_t count,
                    const char *const *values);
/* One row of a view as a JSON object, by the names of its columns. Returning false stops. */
typedef bool db_json_fn(void *arg, const char *json);
/* The rows of policy.WHAT, for instance "groups v ORDER BY domain, name": v is the view's name. */
rc_t db_policy_rows(struct db_admin *admin, const char *what, db_json_fn *each, void *arg);
/* ---- policies as files, requests for approval (role holdfast_policy) ------------------------- */

/* The policy of a domain, or of all (NULL), as text: holdfast-policy(5). Appends. RC_NOT_FOUND. */
rc_t db_policy_export(struct db_admin *admin, const char *domain, struct buf *out);
enum { DB_POLICY_HASH = 65 };
/* One change, for people. Returning false stops the telling. */
typedef bool db_line_fn(void *arg, const char *line);
/*
 * What db_policy_apply() of this file would do. hash: SHA-256 of the policy that this was found of, hexadecimal; may
 * be NULL. RC_INVALID_FIELD: something is wrong with the file, the error says where.
 */
rc_t db_policy_diff(struct db_admin *admin, const char *file, char hash[DB_POLICY_HASH], db_line_fn *each, void *arg);
/* Does it, and tells what was done. hash: as db_policy_diff() gave it; RC_WRONG_STATE if the policy is another one by
 * now. NULL: whatever the policy is. */
rc_t db_policy_apply(struct db_admin *admin, const char *file, const char *reason, const char *hash, db_line_fn *each,
                     void *arg);

/* *approved: as many as are needed have approved it by now. RC_NOT_FOUND; RC_WRONG_STATE: it does not wait; RC_DENIED:
 * the approver asked for it; RC_NAME_TAKEN: the approver has approved it already. */
rc_t db_request_approve(struct db_admin *admin, const char *number, const char *reason, bool *approved);

/* What policy has of a certificate and of the client that it is. */
struct db_standing {
    bool certificate_known; /* it was issued or added here */
    bool revoked;           /* and is revoked */
    bool client_enabled, domain_enabled;
    bool second_factor; /* each request must carry a Credential */
    char domain[256];
    char other_issuer[1024]; /* policy knows its first name, but of this issuer; empty: it does not */
    int64_t clock_us;        /* of the database, microseconds since 1970 */
};
struct db_identity;
struct arena;
/* Asks who a certificate is as a worker does, by its statement: fills id as the load of a login does. id's texts lie in
 * the arena. RC_BAD_UTF8, RC_NO_MEMORY, RC_UNAVAILABLE, RC_INTEGRITY. */
rc_t db_identity_find(struct db_admin *admin, struct arena *arena, struct db_identity *id);
/* What else there is to be known of it. The domain is the client's; its name is empty where no client was found. */
rc_t db_identity_standing(struct db_admin *admin, const struct db_identity *id, struct db_standing *out);

/* ---- audit (role holdfast_auditor) ---------------------------------------------------------- */

struct db_verify_row {
    bool good;          /* the summary when all is well */
    const char *stream; /* empty in the summary */
    int64_t seq;        /* 0: the stream as a whole */
    const char *what;   /* "changed", "removed", "reordered", ..., "verified" */
    const char *detail;
};
typedef bool db_verify_fn(void *arg, const struct db_verify_row *row);
/* Runs audit.verify(). RC_INTEGRITY when a row says that something is wrong; RC_OK when all is
 * well. */
rc_t db_audit_verify(struct db_admin *admin, db_verify_fn *each, void *arg);

/* One row of audit.events as text; NULL where not set. */
struct db_event_row {
    const char *at, *stream, *seq, *client, *fingerprint, *address, *protocol, *correlation;
    const char *position, *operation, *object, *result, *reason, *duration_us, *detail, *hash;
};
typedef bool db_event_fn(void *arg, const struct db_event_row *row);
/* The last `count` events, oldest first. `after`: only those written later than this cursor (0 at
 * first); the new cursor comes back, so that `tail --follow` can poll. */
rc_t db_audit_tail(struct db_admin *admin, unsigned count, int64_t *cursor, db_event_fn *each,
                   void *arg);
/* Writes one row of the operator's own stream, e.g. "Admin Renew Server Certificate". Needs role
 * server, policy or migrator. detail may be NULL. */
rc_t db_audit_note(struct db_admin *admin, const char *operation, const char *detail);

/* ---- status --------------------------------------------------------------------------------- */

struct db_counts {
    char server_version[32];
    unsigned migration;
    int64_t objects, clients, streams, audit_rows; /* objects and rows: estimates of the planner */
    int64_t database_bytes;
    bool in_recovery;
};
rc_t db_counts(struct db_admin *admin, struct db_counts *out);

#endif
