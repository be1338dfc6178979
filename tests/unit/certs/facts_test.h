/* The tests of what certificates say, a part of check_certs. */
#ifndef TESTS_UNIT_CERTS_FACTS_TEST_H
#define TESTS_UNIT_CERTS_FACTS_TEST_H

#include <check.h>

TCase *facts_tests(void);

#endif
