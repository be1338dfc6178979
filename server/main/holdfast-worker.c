/*
 * holdfast-worker N: one worker process, started by holdfastd with its control channel as
 * descriptor 3. See server/process/worker.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/net/limits.h"
#include "server/process/child.h"
#include "server/process/worker.h"

int main(int argc, char **argv)
{
    static struct config config;
    char name[16];
    long number = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

    if (number < 1 || number > LIMITS_WORKERS) {
        fputs("holdfast-worker is started by holdfastd(8), not by hand.\n", stderr);
        return 2;
    }
    snprintf(name, sizeof name, "worker-%ld", number);
    if (child_begin(BY_WORKER, name, &config) != RC_OK)
        return 1;
    return worker_run((unsigned)number, &config);
}
