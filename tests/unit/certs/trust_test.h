/* The tests of identities and trust, a part of check_certs. */
#ifndef TESTS_UNIT_CERTS_TRUST_TEST_H
#define TESTS_UNIT_CERTS_TRUST_TEST_H

#include <check.h>

TCase *trust_tests(void);

#endif
