/* What the files of check_vault share: a sample record and each file's test cases. */
#ifndef TESTS_UNIT_VAULT_VAULT_TESTS_H
#define TESTS_UNIT_VAULT_VAULT_TESTS_H

#include <check.h>

#include "server/base/object.h"

#define COUNT(a) (int)(sizeof(a) / sizeof(a)[0])

/* An Active AES-256 key with plain fields; `now` of the tests is SAMPLE_NOW. */
enum { SAMPLE_NOW = 2000 };
struct control sample_control(void);

TCase *envelope_tests(void);
TCase *rules_tests(void);
TCase *wire_tests(void);
TCase *client_tests(void);
TCase *crypto_tests(void);
TCase *cipher_tests(void);
TCase *asym_tests(void);
TCase *makers_tests(void);
TCase *crew_tests(void);
TCase *password_tests(void);

#endif
