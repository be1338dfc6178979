/*
 * What single clients need otherwise than the specification has it, by name: the same as the rows of policy.quirk,
 * which a test compares. policy.client.quirks chooses among them.
 */
#ifndef SERVER_POLICY_QUIRK_H
#define SERVER_POLICY_QUIRK_H

#include "server/policy/rules.h"

/* clang-format off */
#define QUIRK_TABLE(X)                                                                             \
    X(QUIRK_EMPTY_CREDENTIALS, "empty-credentials") /* an empty Credential counts as none */       \
    X(QUIRK_ANY_BATCH_COUNT,   "any-batch-count")   /* Batch Count need not be right */            \
    X(QUIRK_IV_IN_CIPHERTEXT,  "iv-in-ciphertext")  /* data to be decrypted begin with the IV */
/* clang-format on */

#define QUIRK_ENUM(name, text) name,
enum quirk { QUIRK_TABLE(QUIRK_ENUM) QUIRK_COUNT };
#undef QUIRK_ENUM

/* Its name in policy rows. Static storage; NULL past the end of the table. */
const char *quirk_text(enum quirk q);
/* Those of a client as bits, 1 << quirk; names that are not known here are left out. set may be NULL. */
unsigned quirks_of(const struct policy_set *set);

static inline bool quirks_have(unsigned set, enum quirk q)
{
    return set >> q & 1;
}

#endif
