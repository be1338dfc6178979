/* Tests of the vault that need no TPM: envelopes, rules, wire, stub, crypto door. */
#include <stdlib.h>

#include "config.h"
#include "tests/support/control.h"
#include "tests/unit/vault/vault_tests.h"

struct control sample_control(void)
{
    return control_active_key(1000, 1001);
}

int main(void)
{
    Suite *s = suite_create("vault");
    suite_add_tcase(s, crypto_tests());
    suite_add_tcase(s, cipher_tests());
    suite_add_tcase(s, asym_tests());
    suite_add_tcase(s, crew_tests());
    suite_add_tcase(s, makers_tests());
    suite_add_tcase(s, password_tests());
    suite_add_tcase(s, envelope_tests());
    suite_add_tcase(s, rules_tests());
    suite_add_tcase(s, wire_tests());
    suite_add_tcase(s, client_tests());
    SRunner *sr = srunner_create(s);
#ifdef HF_SANITIZERS
    srunner_set_fork_status(sr, CK_NOFORK);
#endif
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
