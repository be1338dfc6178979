/*
 * Files of exported audit rows: JSON lines or CSV, one record a line (db/audit_export.h says which
 * records there are, holdfast-audit(7) the format). Writer and reader; neither knows what makes a
 * record right. Constant memory.
 */
#ifndef SERVER_ADMIN_AUDIT_FILE_H
#define SERVER_ADMIN_AUDIT_FILE_H

#include <stdio.h>

#include "db/audit_export.h"

enum { AUDIT_LINE_MAX = 1 << 18, AUDIT_SHA256_TEXT = 65 };

struct evp_md_ctx_st; /* OpenSSL's EVP_MD_CTX */

struct audit_writer {
    FILE *file; /* borrowed */
    bool csv;
    struct evp_md_ctx_st *sum; /* of all bytes so far */
    struct buf line;
    uint64_t events, streams;
};

/* Begins; for CSV with the line of column names. RC_IO, RC_NO_MEMORY. */
rc_t audit_writer_begin(struct audit_writer *w, FILE *file, bool csv);
/* One record; counts events and streams. */
rc_t audit_writer_put(struct audit_writer *w, const struct audit_record *record);
/* The record `end`, and the SHA-256 of the whole file with it, in hexadecimal. Flushes. */
rc_t audit_writer_end(struct audit_writer *w, char sha256_out[AUDIT_SHA256_TEXT]);
/* Frees all but the file. */
void audit_writer_free(struct audit_writer *w);

struct audit_reader {
    FILE *file; /* borrowed */
    bool csv;   /* told by the first byte */
    struct evp_md_ctx_st *sum;
    struct buf line, text; /* the line as it is; its fields, ended by zero bytes */
    struct json_t *object;
    uint64_t number;                /* of the line, from 1 */
    char before[AUDIT_SHA256_TEXT]; /* SHA-256 of all before the record that was read last */
};

/* RC_BAD_MESSAGE: not such a file. */
rc_t audit_reader_begin(struct audit_reader *r, FILE *file);
/* The next record; its fields live until the next call. RC_NOT_FOUND: the end of the file.
 * RC_BAD_MESSAGE: a line that is no record. RC_IO. */
rc_t audit_reader_next(struct audit_reader *r, struct audit_record *out);
/* SHA-256 of all that was read. */
rc_t audit_reader_sum(struct audit_reader *r, char sha256_out[AUDIT_SHA256_TEXT]);
void audit_reader_free(struct audit_reader *r);

#endif
