/*
 * The system calls of each sandbox profile, as data; sandbox.c makes filters of them.
 */
#ifndef SERVER_PROCESS_SANDBOX_CALLS_H
#define SERVER_PROCESS_SANDBOX_CALLS_H

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/process/sandbox.h"

struct sandbox_call {
    const char *name; /* NULL ends a table */
    int nr;           /* negative: this machine's architecture has no such call */
    unsigned count;   /* comparisons, all of which must hold */
    struct scmp_arg_cmp cmp[2];
    bool self;       /* the first comparison is with our own process id */
    uint32_t action; /* 0: allow */
};

/* The tables of a profile, ended by NULL. */
const struct sandbox_call *const *sandbox_tables(enum sandbox_profile profile);

#endif
