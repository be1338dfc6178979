/* Quirks by name; see quirk.h. */
#include "server/policy/quirk.h"

static const char *const names[QUIRK_COUNT] = {
#define QUIRK_NAME(name, text) [name] = text,
    QUIRK_TABLE(QUIRK_NAME)
#undef QUIRK_NAME
};

const char *quirk_text(enum quirk q)
{
    return q < QUIRK_COUNT ? names[q] : NULL;
}

unsigned quirks_of(const struct policy_set *set)
{
    unsigned out = 0;
    for (unsigned q = 0; q < QUIRK_COUNT; q++)
        if (policy_has_quirk(set, names[q]))
            out |= 1u << q;
    return out;
}
