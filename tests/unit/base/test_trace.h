/* The test case of server/base/trace.c, run by check_base. */
#ifndef TESTS_UNIT_BASE_TEST_TRACE_H
#define TESTS_UNIT_BASE_TEST_TRACE_H

#include <check.h>

TCase *trace_tests(void);

#endif
