/*
 * Between config.c and config_read.c only: one value from its text.
 */
#ifndef SERVER_BASE_CONFIG_VALUE_H
#define SERVER_BASE_CONFIG_VALUE_H

#include "server/base/config.h"

/* RC_CONFIG when the text is not what the option takes. */
rc_t config_set(struct config *c, const struct config_option *o, const char *text);
/* What the option takes, as advice: "give a whole number from 1 to 9 (ms)". */
void config_wanted(const struct config_option *o, char *out, size_t room);

#endif
