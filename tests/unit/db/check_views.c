/*
 * What the views of auditors say: names of numbers, and which rows are acts of administrators.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/db/fixture.h"

static const struct {
    const char *call, *want;
} names[] = {
    {"audit.type_name(1)", "Certificate"},
    {"audit.type_name(16)", "Hashed Password Credential"},
    {"audit.type_name(17)", "0x11"},
    {"audit.type_name(0)", "0x0"},
    {"audit.type_name(2147483648)", "0x80000000"},
    {"audit.type_name(4294967295)", "0xffffffff"},
    {"audit.algorithm_name(1)", "DES"},
    {"audit.algorithm_name(56)", "Ed448"},
    {"audit.algorithm_name(57)", "0x39"},
    {"audit.algorithm_name(2147483648)", "0x80000000"},
    {"audit.algorithm_name(4294967295)", "0xffffffff"},
    {"audit.algorithm_name(0)", ""},
    {"audit.algorithm_name(NULL)", ""},
};

START_TEST(numbers_of_all_sizes_have_a_name)
{
    const char *db = fresh_database();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT %s", names[i].call);
        ck_assert_msg(strcmp(pg_value(&pg, db, DB_ROLE_AUDITOR, sql), names[i].want) == 0, "%s", names[i].call);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db views");
    TCase *t = tcase_create("views");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, numbers_of_all_sizes_have_a_name);
    suite_add_tcase(s, t);
    return run_suite(s);
}
