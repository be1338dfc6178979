/* Tests of the vault that need no TPM: envelopes, rules, wire, stub, crypto door. */
#include <stdlib.h>

#include "config.h"
#include "tests/unit/vault/vault_tests.h"

struct control sample_control(void)
{
    struct control c = {
        .version = 3,
        .domain = 1,
        .object_type = 2,
        .state = STATE_ACTIVE,
        .protection = PROTECTION_TPM_ROOTED,
        .algorithm = 3,
        .length = 256,
        .usage_mask = 12,
        .initial_date = 1000,
        .activation_date = 1001,
        .process_start_date = NO_DATE,
        .protect_stop_date = NO_DATE,
        .deactivation_date = NO_DATE,
        .compromise_occurrence_date = NO_DATE,
        .compromise_date = NO_DATE,
        .destroy_date = NO_DATE,
        .extractable = true,
    };
    memset(c.uid.raw, 0xA1, sizeof c.uid.raw);
    memset(c.owner.raw, 0xB2, sizeof c.owner.raw);
    return c;
}

int main(void)
{
    Suite *s = suite_create("vault");
    suite_add_tcase(s, crypto_tests());
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
