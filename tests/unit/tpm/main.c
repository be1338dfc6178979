/*
 * Tests of server/vault/tpm: unit tests and tests on a software TPM.
 */
#include <stdlib.h>

#include "tests/unit/tpm/fixture.h"

int main(void)
{
    SRunner *r = srunner_create(codec_suite());
    srunner_add_suite(r, tcti_suite());
    srunner_add_suite(r, policy_suite());
    srunner_add_suite(r, vault_suite());
    srunner_add_suite(r, ceremony_suite());
    srunner_set_tap(r, "-");
    srunner_run_all(r, CK_SILENT);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
