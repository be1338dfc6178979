/*
 * The states of the vault and what they say to people: what happened, to what, what to do next.
 * `holdfast status` and the log take their sentences from here.
 */
#ifndef SERVER_VAULT_TPM_STATE_H
#define SERVER_VAULT_TPM_STATE_H

#include "proto/base/rc.h"

/* clang-format off */
#define VAULT_STATE_TABLE(X)                                                                       \
    X(VAULT_NONE, "none",                                                                          \
      "The vault of this node was never set up.",                                                  \
      "Run `holdfast init` on this node.")                                                         \
    X(VAULT_CEREMONY_WAIT, "ceremony-wait",                                                        \
      "The vault is set up but the ceremony is not complete: the approval or the proof that the "  \
      "escrow can be opened is missing.",                                                          \
      "Sign the request with the offline key and run `holdfast init --response`, test the escrow "  \
      "with the recovery key and run `holdfast init --proof`; `holdfast help init` has the steps.") \
    X(VAULT_SEALED, "sealed",                                                                      \
      "The vault is sealed: it holds no key.",                                                     \
      "It unseals by itself once the TPM and the database answer; if it stays so, the detail says "\
      "what is missing or damaged.")                                                               \
    X(VAULT_LOCKED, "locked",                                                                      \
      "The TPM refuses to open the cluster root: the boot state of this machine or the approval "  \
      "does not match.",                                                                           \
      "Find out why the boot state changed. If it was you, run `holdfast approval request`, sign " \
      "it with the offline key, and give the answer to `holdfast approval accept`.")               \
    X(VAULT_FOREIGN, "foreign",                                                                    \
      "This is not the TPM that the vault of this node was made on, or it was cleared.",           \
      "Put the old TPM (or its state) back, or run `holdfast recovery restore` with the escrow.")  \
    X(VAULT_SERVING, "serving",                                                                    \
      "The vault is open and serves keys.",                                                        \
      "Nothing to do.")                                                                            \
    X(VAULT_DEGRADED, "degraded",                                                                  \
      "The TPM stopped answering; domain keys already open are served for a limited time.",        \
      "Bring the TPM back; the vault reconnects by itself. After the time limit it seals.")
/* clang-format on */

#define VAULT_STATE_ENUM(id, name, what, next) id,
enum vault_state { VAULT_STATE_TABLE(VAULT_STATE_ENUM) VAULT_STATE_COUNT };
#undef VAULT_STATE_ENUM

/* "serving"; static storage. */
const char *vault_state_name(enum vault_state state);
/* What happened, one sentence; static storage. */
const char *vault_state_what(enum vault_state state);
/* What to do next, one sentence; static storage. */
const char *vault_state_next(enum vault_state state);

/*
 * Where the vault stands and why. `detail` names the row, the command or the TPM code, for the
 * operator's eye: one line of ASCII, never a secret.
 */
struct vault_report {
    enum vault_state state;
    rc_t rc;
    char detail[256];
};

/* Fills a report; fmt may be NULL for no detail. Returns rc, so that a caller can return it. */
rc_t vault_report_set(struct vault_report *report, enum vault_state state, rc_t rc, const char *fmt,
                      ...) __attribute__((format(printf, 4, 5)));

#endif
