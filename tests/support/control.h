/* The control record that tests of several layers begin with: an Active AES-256 key without further dates. */
#ifndef TESTS_SUPPORT_CONTROL_H
#define TESTS_SUPPORT_CONTROL_H

#include <string.h>

#include "server/base/object.h"

static inline struct control control_active_key(int64_t initial_date, int64_t activation_date)
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
        .initial_date = initial_date,
        .activation_date = activation_date,
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

#endif
