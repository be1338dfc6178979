/*
 * What the ceremonies share (cmd_init.c, cmd_recovery.c): the vault does the work on the TPM; here its answers are put
 * where they belong, rows into the database and the pinned state of the node into a file that only root reads. Each
 * step can be run again after a crash. All tell their errors.
 */
#ifndef SERVER_ADMIN_CEREMONY_H
#define SERVER_ADMIN_CEREMONY_H

#include "db/hierarchy.h"
#include "server/admin/admin_db.h"
#include "server/admin/vault_admin.h"
#include "server/vault/tpm/ceremony.h"

enum { PATH_ROOM = CONFIG_TEXT_SIZE + 64, SECRET_MODE = 0600, PUBLIC_MODE = 0644 };

/* What every ceremony on this node needs. */
struct ceremony {
    struct cli *cli;
    struct config config;
    struct arena arena;
    struct db_admin *db;
    struct hierarchy rows; /* as stored */
    struct buf texts[4];   /* files read; wiped */
};

#define AUTO_CEREMONY __attribute__((cleanup(ceremony_end))) struct ceremony

/* Reads the configuration and the stored rows, as this role of the database. ceremony_end() also after a failure. */
enum cli_exit ceremony_begin(struct cli *cli, struct ceremony *c, const char *role);
/* Where a node is set up: what the server's role may not do is refused before the TPM is touched. */
enum cli_exit ceremony_begin_enrolment(struct cli *cli, struct ceremony *c);
void ceremony_end(struct ceremony *c);

/* ---- files of the node: STATE_DIR/name ---- */

const char *ceremony_path(const struct ceremony *c, const char *name, char out[static PATH_ROOM]);
bool ceremony_has(const struct ceremony *c, const char *name);
enum cli_exit ceremony_write(struct ceremony *c, const char *name, struct bytes content, unsigned mode);
void ceremony_drop(const struct ceremony *c, const char *name);
/* A file of any place, into c->texts[slot]. */
enum cli_exit ceremony_read(struct ceremony *c, size_t slot, const char *path);

/* ---- rows ---- */

/* The stored ones, for the vault. */
enum cli_exit ceremony_encode(struct ceremony *c, struct buf *out);
/* The vault's, into the database. `enrolled`: the state of a node that was just set up, empty: none was. */
enum cli_exit ceremony_store(struct ceremony *c, struct bytes encoded, struct bytes enrolled, const char *operation);
/*
 * Rows into the database, the pinned state into node.state. The state is on disk under another name before the
 * rows are stored, so that a crash in between is finished by the next run (ceremony_resume).
 */
enum cli_exit ceremony_keep(struct ceremony *c, const struct admin_answer *a, const char *operation);
/* Whether node.state.new names a node that the database has: all but the rename is done then, and that is done here. */
bool ceremony_resume(struct ceremony *c);

/* ---- steps ---- */

/* --pcrs and --nv-index; what is not given stays 0, which means the vault's own choice. */
enum cli_exit ceremony_choices(struct cli *cli, struct admin_request *request);
/* Runs the second half of init or recovery from STATE_DIR/pending_name and --response. */
enum cli_exit ceremony_finish(struct ceremony *c, enum admin_step step, const char *pending_name,
                              struct admin_answer *answer);
/* What was done: `did` as JSON, or the text. */
enum cli_exit ceremony_tell(struct cli *cli, const char *did, const char *text);

#endif
