/* What the ceremonies share; see ceremony.h. */
#include "config.h"

#include "server/admin/ceremony.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

enum { CEREMONY_ARENA = 64 << 20 };

void ceremony_end(struct ceremony *c)
{
    db_admin_close(&c->db);
    arena_free(&c->arena);
    for (size_t i = 0; i < sizeof c->texts / sizeof *c->texts; i++)
        buf_free(&c->texts[i]);
}

enum cli_exit ceremony_begin(struct cli *cli, struct ceremony *c, const char *role)
{
    *c = (struct ceremony){.cli = cli, .arena = ARENA_OF(CEREMONY_ARENA)};
    enum cli_exit code = cli_config(cli, &c->config);
    if (code == CLI_DONE)
        code = admin_db_open(cli, &c->config, role, &c->db);
    if (code != CLI_DONE)
        return code;
    rc_t rc = db_hierarchy_load(c->db, &c->arena, &c->rows);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(cli, c->db, rc, "the rows of the key hierarchy cannot be read");
}

enum cli_exit ceremony_begin_enrolment(struct cli *cli, struct ceremony *c)
{
    enum cli_exit code = ceremony_begin(cli, c, DB_ROLE_MIGRATOR);
    rc_t rc = code == CLI_DONE ? db_hierarchy_may_enrol(c->db) : RC_OK;
    if (rc == RC_DENIED)
        code = cli_fail(cli, CLI_REFUSED,
                        "Connect as holdfast_migrator, or as another member of holdfast_owner, to a database that "
                        "'holdfast db migrate' has brought up to date.",
                        "a node cannot be set up: %s", db_admin_error(c->db));
    else if (rc != RC_OK)
        code = admin_db_fail(cli, c->db, rc, "a node cannot be set up");
    return code;
}

const char *ceremony_path(const struct ceremony *c, const char *name, char out[static PATH_ROOM])
{
    snprintf(out, PATH_ROOM, "%s/%s", c->config.server_state_dir, name);
    return out;
}

bool ceremony_has(const struct ceremony *c, const char *name)
{
    char path[PATH_ROOM];
    return access(ceremony_path(c, name, path), F_OK) == 0;
}

enum cli_exit ceremony_write(struct ceremony *c, const char *name, struct bytes content, unsigned mode)
{
    char path[PATH_ROOM];
    return cli_write_file(c->cli, ceremony_path(c, name, path), content, mode);
}

static enum cli_exit rename_state(struct ceremony *c, const char *from, const char *to)
{
    char old[PATH_ROOM], new[PATH_ROOM];
    if (rename(ceremony_path(c, from, old), ceremony_path(c, to, new)) == 0)
        return CLI_DONE;
    return cli_fail(c->cli, CLI_FILE, NULL, "%s cannot be renamed to %s: %s", old, new, strerror(errno));
}

enum cli_exit ceremony_encode(struct ceremony *c, struct buf *out)
{
    rc_t rc = hierarchy_encode(&c->rows, out);
    return rc == RC_OK ? CLI_DONE : cli_fail(c->cli, CLI_INTERNAL, NULL, "the stored rows: %s", rc_text(rc));
}

enum cli_exit ceremony_store(struct ceremony *c, struct bytes encoded, struct bytes enrolled, const char *operation)
{
    struct hierarchy rows;
    struct node_state state = {0};
    const struct hierarchy_node *node = NULL;
    rc_t rc = hierarchy_decode(encoded, &c->arena, &rows);
    if (rc == RC_OK && enrolled.len && (rc = node_state_decode(enrolled, &state)) == RC_OK)
        rc = (node = hierarchy_find_node(&rows, &state.node)) ? RC_OK : RC_INTEGRITY;
    if (rc != RC_OK)
        return cli_fail(c->cli, CLI_INTERNAL, NULL, "the vault's rows cannot be read: %s", rc_text(rc));
    rc = db_hierarchy_store(c->db, &rows, node, operation, NULL);
    return rc == RC_OK ? CLI_DONE : admin_db_fail(c->cli, c->db, rc, "the rows of the key hierarchy were not stored");
}

enum cli_exit ceremony_keep(struct ceremony *c, const struct admin_answer *a, const char *operation)
{
    enum cli_exit code = ceremony_write(c, "node.state.new", a->node_state, SECRET_MODE);
    if (code == CLI_DONE)
        code = ceremony_store(c, a->hierarchy, a->node_state, operation);
    return code == CLI_DONE ? rename_state(c, "node.state.new", "node.state") : code;
}

bool ceremony_resume(struct ceremony *c)
{
    char path[PATH_ROOM];
    AUTO_BUF text = BUF_EMPTY;
    struct node_state state;
    if (!ceremony_has(c, "node.state.new") ||
        cli_read_file(c->cli, ceremony_path(c, "node.state.new", path), NODE_STATE_MAX, &text) != CLI_DONE ||
        node_state_decode(buf_view(&text), &state) != RC_OK || !hierarchy_find_node(&c->rows, &state.node))
        return false;
    return rename_state(c, "node.state.new", "node.state") == CLI_DONE;
}

enum cli_exit ceremony_choices(struct cli *cli, struct admin_request *request)
{
    enum { PCR_LAST = 23, NV_LEAST = 0x01800000, NV_MOST = 0x01bffffe };
    uint64_t pcrs = 0;
    long index = 0;
    enum cli_exit code = cli_numbers(cli, OPT_PCRS, PCR_LAST, &pcrs);
    if (code == CLI_DONE)
        code = cli_number(cli, OPT_NV_INDEX, NV_LEAST, NV_MOST, &index);
    request->pcr_mask = (uint32_t)pcrs;
    request->nv_base = (uint32_t)index;
    return code;
}

enum cli_exit ceremony_tell(struct cli *cli, const char *did, const char *text)
{
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b, s:s}", "ok", 1, "done", did));
    fputs(text, cli->out);
    return CLI_DONE;
}

enum cli_exit ceremony_read(struct ceremony *c, size_t slot, const char *path)
{
    return cli_read_file(c->cli, path, CEREMONY_TEXT_MAX, &c->texts[slot]);
}

enum cli_exit ceremony_finish(struct ceremony *c, enum admin_step step, const char *pending_name,
                              struct admin_answer *answer)
{
    char path[PATH_ROOM];
    AUTO_VAULT_ADMIN vault = NULL;
    if (!ceremony_has(c, pending_name))
        return cli_fail(c->cli, CLI_REFUSED, "Make a request first: --request FILE.",
                        "there is no request of this node that waits for a response");
    enum cli_exit code = ceremony_read(c, 0, ceremony_path(c, pending_name, path));
    if (code == CLI_DONE)
        code = ceremony_read(c, 1, c->cli->option[OPT_RESPONSE]);
    const struct admin_request request = {
        .step = step, .pending = buf_view(&c->texts[0]), .response = buf_view(&c->texts[1])};
    if (code == CLI_DONE)
        code = vault_admin_open(c->cli, &c->config, &vault);
    return code == CLI_DONE ? vault_admin_step(c->cli, vault, &request, &c->arena, answer) : code;
}

void ceremony_drop(const struct ceremony *c, const char *name)
{
    char path[PATH_ROOM];
    unlink(ceremony_path(c, name, path));
}
