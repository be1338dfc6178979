/* Tests of proto. Each file brings one test case. */
#include "tests/unit/proto/proto_tests.h"

#include <stdlib.h>

#include "config.h"

struct bytes unhex(struct arena *a, const char *hex)
{
    uint8_t *data = arena_alloc(a, strlen(hex) / 2 + 1);
    size_t len = 0;
    for (; *hex; hex++) {
        if (*hex == ' ' || *hex == '|')
            continue;
        char pair[3] = {hex[0], hex[1], 0};
        data[len++] = (uint8_t)strtoul(pair, NULL, 16);
        hex++;
    }
    return bytes_of(data, len);
}

int main(void)
{
    Suite *s = suite_create("proto");
    suite_add_tcase(s, base_tests());
    suite_add_tcase(s, ttlv_tests());
    suite_add_tcase(s, tables_tests());
    suite_add_tcase(s, struct_tests());
    suite_add_tcase(s, message_tests());
    suite_add_tcase(s, attribute_tests());
    suite_add_tcase(s, json_tests());
    suite_add_tcase(s, print_tests());
    SRunner *sr = srunner_create(s);
    srunner_set_tap(sr, "-");
#ifdef HF_SANITIZERS
    srunner_set_fork_status(sr, CK_NOFORK);
#endif
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
