/* The vault's status as JSON, for `holdfast status` and the supervisor: states and sentences, no
 * secret. */
#include <stdio.h>
#include <time.h>

#include "server/base/clock.h"
#include "server/vault/service_impl.h"

static rc_t put_text(struct buf *out, const char *key, const char *text)
{
    TRY(buf_add_fmt(out, "\"%s\":\"", key));
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            TRY(buf_add_fmt(out, "\\%c", c));
        else if (c < 0x20 || c > 0x7E)
            TRY(buf_add_str(out, "?"));
        else
            TRY(buf_add_u8(out, c));
    }
    return buf_add_str(out, "\"");
}

static rc_t put_mask(struct buf *out, const char *key, uint32_t mask)
{
    const char *comma = "";
    TRY(buf_add_fmt(out, "\"%s\":[", key));
    for (unsigned i = 0; i < TPM_PCR_COUNT; i++) {
        if (!(mask & 1u << i))
            continue;
        TRY(buf_add_fmt(out, "%s%u", comma, i));
        comma = ",";
    }
    return buf_add_str(out, "]");
}

static const char *yes(bool b)
{
    return b ? "true" : "false";
}

static rc_t put_tpm(struct buf *out, const struct vault_service *s)
{
    const struct tpm_view *v = &s->view;
    TRY(buf_add_fmt(out, ",\"tpm\":{\"connected\":%s", yes(v->connected)));
    if (v->known) {
        TRY(buf_add_fmt(out, ",\"software\":%s,", yes(v->facts.software)));
        TRY(put_text(out, "manufacturer", v->facts.manufacturer));
        TRY(buf_add_str(out, ","));
        TRY(put_text(out, "vendor", v->facts.vendor));
        TRY(buf_add_fmt(out, ",\"resets\":%u", v->facts.reset_count));
    }
    if (s->tpm_reason[0] && !v->connected) {
        TRY(buf_add_str(out, ","));
        TRY(put_text(out, "reason", s->tpm_reason));
    }
    TRY(buf_add_str(out, "},\"pcrs\":{"));
    TRY(put_mask(out, "selected", v->pcrs_selected));
    TRY(buf_add_str(out, ","));
    TRY(put_mask(out, "not_measured", v->pcrs_not_measured));
    return buf_add_str(out, "}");
}

/* What the administrator must see though the vault serves: rows that were refused. */
static rc_t put_alarm(struct buf *out, const struct vault_service *s)
{
    char uid[UID_TEXT_SIZE], at[32] = "", text[320];
    struct tm utc;
    if (s->integrity == 0)
        return RC_OK;
    uid_print(&s->integrity_uid, uid);
    if (gmtime_r(&s->integrity_s, &utc))
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(text, sizeof text,
             "%llu times a row of the database failed its check and its key was refused, last at "
             "%s object %s: damaged, swapped or edited. Find out by whom, and restore it from a "
             "backup; the log names each (vault.integrity).",
             (unsigned long long)s->integrity, at, uid);
    TRY(buf_add_str(out, ","));
    return put_text(out, "alarm", text);
}

rc_t vault_service_status(const struct vault_service *s, struct buf *out)
{
    const struct vault_report *r = &s->report;
    TRY(buf_add_str(out, "{"));
    TRY(put_text(out, "state", vault_state_name(r->state)));
    TRY(buf_add_fmt(out, ",\"result\":\"%s\",", rc_name(r->rc)));
    TRY(put_text(out, "what", vault_state_what(r->state)));
    TRY(buf_add_str(out, ","));
    TRY(put_text(out, "next", vault_state_next(r->state)));
    TRY(buf_add_str(out, ","));
    TRY(put_text(out, "detail", r->detail));
    TRY(put_alarm(out, s));
    if (s->has_node) {
        char node[UID_TEXT_SIZE];
        uid_print(&s->node.node, node);
        TRY(buf_add_fmt(out, ",\"node\":\"%s\",\"self_approved\":%s", node,
                        yes(s->node.self_approved)));
    }
    TRY(put_tpm(out, s));
    return buf_add_fmt(out,
                       ",\"memory_locked\":%s,\"peers\":%zu,\"uptime_s\":%lld,\"answered\":%llu,"
                       "\"refused\":%llu,\"integrity_failures\":%llu}",
                       yes(s->options.memory_locked), s->peer_count,
                       (long long)(clock_wall_s() - s->started_s), (unsigned long long)s->answered,
                       (unsigned long long)s->refused, (unsigned long long)s->integrity);
}
