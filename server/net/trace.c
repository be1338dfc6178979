/*
 * What a trace tells of a connection: how it began and ended, and why a client never got as far as a request. Who it
 * is, is told by its certificate, also by one that was not believed.
 */
#include "certs/trust.h"
#include "proto/kmip/print.h"
#include "server/net/conn.h"

struct told {
    const struct conn *conn;
    struct trace_peer peer;
    const char *what, *why;
};

/* "TLSv1.3, TLS_AES_256_GCM_SHA384, resumed" */
static rc_t add_tls(const struct conn *c, bool json, struct buf *out)
{
    if (!c->ssl || !SSL_is_init_finished(c->ssl))
        return RC_OK;
    const char *resumed = SSL_session_reused(c->ssl) ? ", resumed" : "";
    return buf_add_fmt(out, json ? ",\"tls\":\"%s, %s%s\"" : " (%s, %s%s)", SSL_get_version(c->ssl),
                       SSL_get_cipher_name(c->ssl), resumed);
}

static rc_t add_serial(const struct conn *c, bool json, struct buf *out)
{
    char serial[CERT_SERIAL_SIZE];
    X509 *cert = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    if (!cert && c->ssl)
        cert = trust_refused(c->ssl);
    if (!cert || cert_serial(X509_get0_serialNumber(cert), serial) != RC_OK)
        return RC_OK;
    return buf_add_fmt(out, json ? ",\"serial\":\"%s\"" : ", certificate %s", serial);
}

static rc_t make(void *arg, bool json, struct buf *out)
{
    const struct told *t = arg;
    TRY(trace_head(json, "connection", &t->peer, out));
    TRY(buf_add_fmt(out, json ? ",\"what\":\"%s\"" : "%s", t->what));
    if (t->why) {
        TRY(buf_add_str(out, json ? ",\"why\":" : ", "));
        TRY(kmip_print_quoted(bytes_str(t->why), KMIP_PRINT_TEXT_MAX, out));
    }
    TRY(add_serial(t->conn, json, out));
    TRY(add_tls(t->conn, json, out));
    return buf_add_str(out, json ? "}\n" : "\n\n");
}

/* By the session where there is one; else by the certificate, also one that was refused. `id` holds the names. */
static void peer_of(const struct conn *c, struct cert_identity *id, struct trace_peer *peer)
{
    const struct session *s = c->session;
    *peer = (struct trace_peer){.client = s && s->known ? s->client_name : NULL, .address = c->address};
    for (size_t i = 0; s && i < s->name_count && i < TRACE_NAMES_MAX; i++)
        peer->names[peer->name_count++] = s->names[i].value;
    X509 *cert = s || !c->ssl ? NULL : SSL_get0_peer_certificate(c->ssl);
    if (!s && !cert && c->ssl)
        cert = trust_refused(c->ssl);
    if (!cert || cert_identity(cert, id) != RC_OK)
        return;
    for (size_t i = 0; i < id->name_count && i < TRACE_NAMES_MAX; i++)
        peer->names[peer->name_count++] = id->names[i].value;
}

void conn_trace(const struct conn *c, const char *what, const char *why)
{
    struct told t = {.conn = c, .what = what, .why = why};
    struct cert_identity id = {0};
    peer_of(c, &id, &t.peer);
    unsigned readers = trace_match(c->net->trace, &t.peer);
    if (readers)
        trace_tell(c->net->trace, readers, make, &t);
    cert_identity_free(&id);
}
