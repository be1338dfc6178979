/*
 * A worker: one event loop with network, engine, database and the way to the vault. Gets everything
 * from the supervisor over its control channel; opens no file, holds nothing that matters.
 */
#ifndef SERVER_PROCESS_WORKER_H
#define SERVER_PROCESS_WORKER_H

#include "server/base/config.h"

/* Runs until drained or until the supervisor is gone. The exit status of the program. */
int worker_run(unsigned number, struct config *config);

#endif
