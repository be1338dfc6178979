/* Runs the tests of server/net. */
#include <signal.h>
#include <stdlib.h>

#include <check.h>

#include "tests/unit/net/rig.h"

int main(void)
{
    Suite *s = suite_create("net");
    signal(SIGPIPE, SIG_IGN);
    suite_add_tcase(s, limits_tests());
    suite_add_tcase(s, tls_tests());
    suite_add_tcase(s, conn_tests());
    suite_add_tcase(s, bounds_tests());
    SRunner *sr = srunner_create(s);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
