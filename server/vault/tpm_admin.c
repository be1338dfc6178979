/* Ceremony steps on the TPM thread of a vault started with --admin: from the wire to
 * tpm/ceremony.h. */
#include "server/vault/admin.h"
#include "server/vault/tpm/ceremony.h"
#include "server/vault/tpm_jobs.h"

enum { ADMIN_ARENA_MAX = 16 * 1024 * 1024 };

/* All that a step may give; freed and wiped on every way out. */
struct gains {
    struct buf pending, request;
    struct ceremony_result result;
    struct self_keys keys;
};

static void gains_free(struct gains *g)
{
    buf_free(&g->pending);
    buf_free(&g->request);
    ceremony_result_free(&g->result);
    self_keys_free(&g->keys);
}

static struct init_options init_of(const struct admin_request *r)
{
    return (struct init_options){
        .node = r->node,
        .pcr_mask = r->pcr_mask,
        .nv_base = r->nv_base,
        .replace_nv = r->replace_nv,
        .domain = r->domain,
        .auth_pub = r->auth_pub,
    };
}

static rc_t run_step(struct tpm *t, const struct admin_request *r, struct arena *arena,
                     struct gains *g, struct vault_report *report)
{
    const struct init_options init = init_of(r);
    struct hierarchy rows = {0};
    if (r->rows.len > 0)
        TRY(hierarchy_decode(r->rows, arena, &rows));
    const struct recovery_options recovery = {init, &rows, r->escrow, r->rec_key};
    switch (r->step) {
    case ADMIN_INIT_BEGIN:
        return init_begin(t, &init, &g->pending, &g->request, report);
    case ADMIN_INIT_FINISH:
        return init_finish(t, r->pending, r->response, &g->result, report);
    case ADMIN_INIT_SELF_APPROVE:
        return init_self_approve(t, &init, &g->keys, &g->result, report);
    case ADMIN_APPROVAL_REQUEST: {
        struct node_state pinned;
        TRY(node_state_decode(r->node_state, &pinned));
        return approval_request(t, &rows, &pinned, r->pcr_mask, &g->request, report);
    }
    case ADMIN_RECOVERY_BEGIN:
        return recovery_begin(t, &recovery, &g->pending, &g->request, report);
    case ADMIN_RECOVERY_FINISH:
        return recovery_finish(t, r->pending, r->response, &g->result, report);
    case ADMIN_RECOVERY_RESTORE:
        return recovery_restore(t, &recovery, r->auth_key, &g->result, report);
    case ADMIN_STEP_END:
        break;
    }
    return RC_PROTOCOL;
}

rc_t tpm_admin_run(struct tpm *t, struct job *j)
{
    struct admin_request r;
    struct gains g = {0};
    struct vault_report report = {0};
    AUTO_ARENA arena = ARENA_OF(ADMIN_ARENA_MAX);
    TRY(admin_request_decode(buf_view(&j->in), &r));
    rc_t rc = run_step(t, &r, &arena, &g, &report);
    if (rc == RC_OK) {
        const struct admin_answer a = {
            .pending = buf_view(&g.pending),
            .request = buf_view(&g.request),
            .hierarchy = buf_view(&g.result.hierarchy),
            .node_state = buf_view(&g.result.node_state),
            .escrow = buf_view(&g.result.escrow),
            .auth_key = buf_view(&g.keys.auth_key),
            .auth_pub = buf_view(&g.keys.auth_pub),
            .rec_key = buf_view(&g.keys.rec_key),
            .rec_pub = buf_view(&g.keys.rec_pub),
        };
        rc = admin_answer_encode(&a, &j->out);
    } else {
        buf_clear(&j->out);
        buf_add_str(&j->out, report.detail[0] ? report.detail : rc_text(rc));
    }
    gains_free(&g);
    return rc;
}
