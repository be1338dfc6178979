/*
 * Second factors of clients for the `holdfast` command (role holdfast_policy). Each change writes its audit row in its
 * own transaction and holds from the client's next request on. Errors as in db/admin.h.
 */
#ifndef DB_ADMIN_FACTOR_H
#define DB_ADMIN_FACTOR_H

#include "db/admin.h"

/* A password as it is kept: how it was hashed, and the hash. */
struct db_password {
    uint32_t cost_log2, block_size, parallel; /* scrypt */
    struct bytes salt, hash;
};

/*
 * Registers a user name with its password, in place of the one that it had. The number of the factor in *id.
 * RC_NOT_FOUND: no such client; RC_INVALID_FIELD: cost, salt or reason are beyond their limits; RC_WRONG_STATE: the
 * client has as many factors as it may.
 */
rc_t db_password_add(struct db_admin *admin, const char *client, const char *username,
                     const struct db_password *password, const char *reason, int64_t *id);
/* Registers a device. facts: JSON object by KMIP names; password may be NULL. RC_NAME_TAKEN: it is registered. */
rc_t db_device_add(struct db_admin *admin, const char *client, const char *facts, const struct db_password *password,
                   const char *reason, int64_t *id);
/* RC_NOT_FOUND. */
rc_t db_factor_remove(struct db_admin *admin, const char *id, const char *reason);
/* Whether the client has this quirk. RC_NOT_FOUND. */
rc_t db_client_has_quirk(struct db_admin *admin, const char *client, const char *quirk, bool *has);

struct db_factor_row {
    int64_t id;
    const char *client, *kind, *name;
    const char *device; /* JSON text, NULL if it is none */
    bool has_password, required;
    int64_t created; /* seconds */
};
/* Strings live during the callback. Returning false stops. */
typedef bool db_factor_fn(void *arg, const struct db_factor_row *row);
/* Those of one client, or of all when client is NULL. */
rc_t db_factor_list(struct db_admin *admin, const char *client, db_factor_fn *each, void *arg);

#endif
