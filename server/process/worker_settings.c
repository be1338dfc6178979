/* From the configuration's options to the settings of each part of a worker. See worker_private.h.
 */
#include "config.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "server/process/worker_private.h"

struct engine_limits worker_engine_limits(const struct config *c)
{
    struct engine_limits l = ENGINE_LIMITS_DEFAULT;

    l.request_bytes = c->limits_request_bytes;
    l.response_bytes = c->limits_answer_bytes;
    l.request_memory = c->limits_request_memory_bytes;
    l.nesting = c->limits_nesting;
    l.batch_items = c->limits_batch_items;
    l.attributes = c->limits_attributes;
    l.name_bytes = c->limits_name_bytes;
    l.text_bytes = c->limits_text_bytes;
    l.queue = c->limits_queue_requests;
    l.locate_max = c->limits_locate_items;
    l.factor_delay_ms = c->limits_factor_delay_ms;
    l.reruns = c->limits_reruns;
    return l;
}

struct net_settings worker_net_settings(const struct config *c)
{
    struct net_settings n = NET_SETTINGS_DEFAULT;

    n.handshake_ms = c->limits_handshake_ms;
    n.request_ms = c->limits_request_ms;
    n.idle_ms = c->limits_idle_ms;
    n.unread_ms = c->limits_unread_ms;
    n.linger_ms = c->limits_linger_ms;
    n.drain_ms = c->server_drain_ms;
    n.recheck_ms = c->limits_recheck_ms;
    n.request_bytes = c->limits_request_bytes;
    n.in_flight = c->limits_connection_requests;
    n.high_water = c->limits_output_high_bytes;
    return n;
}

struct limits_settings worker_limits(const struct config *c)
{
    return (struct limits_settings){
        .worker_connections = c->limits_worker_connections,
        .node_connections = c->limits_node_connections,
        .identity_connections = c->limits_identity_connections,
        .address_connections = c->limits_address_connections,
        .handshakes_per_s = c->limits_address_handshakes,
        .handshake_burst = c->limits_address_burst,
        .request_wait_ms = c->limits_rate_wait_ms,
    };
}

struct db_settings worker_db_settings(const struct config *c)
{
    struct db_settings d = DB_SETTINGS_DEFAULT;

    d.conninfo = c->database_conninfo;
    d.statement_timeout_ms = c->database_statement_ms;
    d.connect_timeout_ms = c->database_connect_ms;
    d.lock_wait_ms = c->database_lock_ms;
    d.grace_ms = c->database_grace_ms;
    d.resolve_ms = c->database_resolve_ms;
    d.group_rows = c->database_group_rows;
    d.group_units = c->database_group_requests;
    d.group_bytes = c->database_group_bytes;
    d.queue_units = c->database_queue_requests;
    d.allow_unsafe = c->database_allow_unsafe;
    return d;
}

void worker_opener(const struct config *c, unsigned number, char *out, size_t room)
{
    struct utsname host;

    if (uname(&host))
        host.nodename[0] = 0;
    snprintf(out, room, "%.64s:%u/worker-%u", host.nodename, c->server_port, number);
}
