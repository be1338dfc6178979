/*
 * A software TPM of a test's own: swtpm on one end of a socketpair, state in a temporary directory.
 * It can be killed, started again on the same state, or copied to make "the same TPM, older".
 */
#ifndef TESTS_UNIT_TPM_FIXTURE_H
#define TESTS_UNIT_TPM_FIXTURE_H

#include <check.h>
#include <sys/types.h>

#include "server/vault/tpm/ceremony.h"
#include "server/vault/tpm/keys.h"

/* What stands between the context and the TPM, from the next connection on. */
enum meddle {
    MEDDLE_NOT,
    MEDDLE_RECORD,  /* writes all that passes to DIR/wire */
    MEDDLE_EXTEND,  /* extends PCR 10 now and then, between the commands */
    MEDDLE_CORRUPT, /* flips a bit in an answer that has a session; this connection only */
};

struct fake {
    enum meddle meddle;
    pid_t middle; /* the process that meddles, or 0 */
    char dir[64];
    pid_t pid;   /* 0: not running */
    bool absent; /* fake_fd() says that there is no TPM */
    unsigned opened;
    struct tpm *tpm;
};

/* A new, empty TPM and a context over it. */
void fake_start(struct fake *f);
void fake_start_with(struct fake *f, enum meddle meddle);
/* SIGKILL; the state stays. */
void fake_kill(struct fake *f);
/* Ends it and removes the state. */
void fake_end(struct fake *f);
/* Gives up the context and makes another: a process that starts anew. */
void fake_new_context(struct fake *f);
/* tpm_fd_fn: starts swtpm over the state and gives the other end of its socketpair. */
rc_t fake_fd(void *arg, int *fd_out);

/* A vault set up by itself, with PCR 16 selected. */
struct vault {
    struct fake f;
    struct self_keys keys;
    struct ceremony_result made;
    struct arena arena;
    struct hierarchy rows;
    struct node_state state;
    struct vault_keys *open;
    struct vault_report report;
};
enum { TEST_PCR = 16 };
void vault_make(struct vault *v);
void vault_make_with(struct vault *v, enum meddle meddle);
void vault_end(struct vault *v);
/* Decodes v->made again, after a test changed it. */
void vault_decode(struct vault *v);
rc_t vault_unseal(struct vault *v);
/* Replaces rows of v->made by those in `changed` (node and cr rows). */
void vault_merge(struct vault *v, struct bytes changed);
void extend(struct fake *f, uint32_t pcr);

#define ok(call)                                                                                   \
    do {                                                                                           \
        rc_t ok_rc = (call);                                                                       \
        ck_assert_msg(ok_rc == RC_OK, "%s: %s", #call, rc_name(ok_rc));                            \
    } while (0)
#define fails(call, want)                                                                          \
    do {                                                                                           \
        rc_t fails_rc = (call);                                                                    \
        ck_assert_msg(fails_rc == (want), "%s: %s, not %s", #call, rc_name(fails_rc),              \
                      rc_name(want));                                                              \
    } while (0)
/* No session and no object but the context's own two. */
#define nothing_left(f)                                                                            \
    do {                                                                                           \
        size_t left_count = 99;                                                                    \
        ok(tpm_count_left((f)->tpm, &left_count));                                                 \
        ck_assert_uint_eq(left_count, 0);                                                          \
    } while (0)

Suite *tcti_suite(void);
Suite *policy_suite(void);
Suite *vault_suite(void);
Suite *ceremony_suite(void);
Suite *codec_suite(void);

#endif
