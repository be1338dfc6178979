/* What the files of check_proto share: one test case each, and bytes from text in hexadecimal. */
#ifndef TESTS_UNIT_PROTO_TESTS_H
#define TESTS_UNIT_PROTO_TESTS_H

#include <check.h>

#include "proto/kmip/message.h"

TCase *base_tests(void);
TCase *ttlv_tests(void);
TCase *tables_tests(void);
TCase *struct_tests(void);
TCase *message_tests(void);
TCase *attribute_tests(void);
TCase *json_tests(void);
TCase *print_tests(void);

/* Bytes from hexadecimal digits; blanks and '|' are skipped. Arena memory of the exact size. */
struct bytes unhex(struct arena *a, const char *hex);

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

#endif
