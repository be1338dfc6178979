/*
 * Verifies a file of exported audit rows without a database: each row against its hash
 * (db/audit_chain.h), each against the one before it, gaps, heads, and the file's own end. Names
 * what is wrong as audit.verify() does.
 */
#ifndef SERVER_ADMIN_AUDIT_CHECK_H
#define SERVER_ADMIN_AUDIT_CHECK_H

#include "server/admin/audit_file.h"

struct audit_finding {
    uint64_t line;      /* of the file, from 1 */
    const char *stream; /* empty: the file as a whole */
    int64_t seq;
    const char *what; /* "changed", "removed", "reordered", "added", "cut", "format" */
    const char *detail;
};
typedef void audit_finding_fn(void *arg, const struct audit_finding *finding);
/* Rows of a stream without a gap, in the order of the file: seq the first, position how many.
 * Fields live during the callback. */
typedef rc_t audit_run_fn(void *arg, const struct audit_record *run);

struct audit_check {
    audit_finding_fn *finding; /* required */
    audit_run_fn *run;         /* may be NULL */
    void *finding_arg, *run_arg;
    /* found out */
    char selection[1200]; /* detail of the record `export` */
    bool filtered;        /* of one client or key: rows between them are not here */
    uint64_t events, streams, wrong;
    char sha256[AUDIT_SHA256_TEXT]; /* of the whole file */
};

/* RC_OK: all is right. RC_INTEGRITY: something was found. RC_IO, RC_NO_MEMORY. */
rc_t audit_check_file(struct audit_check *c, FILE *file);

#endif
