/*
 * A vault of the command's own, for the ceremonies of init and recovery: holdfast-vault --admin on the
 * configured TPM, one step at a time. The running server must be stopped: a TPM has one user.
 */
#ifndef SERVER_ADMIN_VAULT_ADMIN_H
#define SERVER_ADMIN_VAULT_ADMIN_H

#include "proto/base/arena.h"
#include "server/admin/cli.h"
#include "server/vault/admin.h"

struct vault_admin;

/* Refuses while the server runs. Opens the TPM, starts the vault. Tells the error. */
enum cli_exit vault_admin_open(struct cli *cli, const struct config *config, struct vault_admin **out);
void vault_admin_close(struct vault_admin **vault);
/* One step; views of the answer lie in the arena, which is wiped with it. Tells the error. */
enum cli_exit vault_admin_step(struct cli *cli, struct vault_admin *vault, const struct admin_request *request,
                               struct arena *arena, struct admin_answer *answer);

#define AUTO_VAULT_ADMIN __attribute__((cleanup(vault_admin_close))) struct vault_admin *

#endif
