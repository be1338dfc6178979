/*
 * Between the files of the worker only: what it holds, and how the configuration sets up its parts.
 */
#ifndef SERVER_PROCESS_WORKER_PRIVATE_H
#define SERVER_PROCESS_WORKER_PRIVATE_H

#include <event2/event.h>

#include "db/db.h"
#include "server/base/trace.h"
#include "server/engine/engine.h"
#include "server/ipc/control.h"
#include "server/net/net.h"
#include "server/process/stats.h"
#include "server/process/unseal.h"
#include "server/process/worker.h"
#include "server/vault/client.h"

struct worker {
    unsigned number;
    struct config *config;
    struct event_base *base;
    struct event *on_control, *on_second, *on_term, *on_empty;
    struct limits *limits;
    struct db *db;
    struct vault_client *vault;
    struct unseal *unseal;
    struct engine *engine;
    struct net *net;
    bool draining, drained;
    unsigned without_vault; /* seconds since the vault's channel was lost */
    int64_t drain_until_us;
    struct stats stats;
    struct trace trace;
};

/* worker_trace.c: what the supervisor says of traces. */
void worker_on_trace(struct worker *w, struct control_message *m);
void worker_on_trace_end(struct worker *w, struct control_message *m);
/* worker_note.c: writes down an act of an administrator. */
void worker_on_note(struct worker *w, struct control_message *m);

struct engine_limits worker_engine_limits(const struct config *c);
struct net_settings worker_net_settings(const struct config *c);
struct limits_settings worker_limits(const struct config *c);
struct db_settings worker_db_settings(const struct config *c);
/* Who opens the audit streams: "host:port/worker-1". */
void worker_opener(const struct config *c, unsigned number, char *out, size_t room);

#endif
