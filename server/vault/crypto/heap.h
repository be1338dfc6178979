/*
 * OpenSSL's memory in the vault process: locked, left out of cores, wiped when freed. Cipher
 * contexts hold key schedules, so all of OpenSSL's allocations go there.
 */
#ifndef SERVER_VAULT_CRYPTO_HEAP_H
#define SERVER_VAULT_CRYPTO_HEAP_H

#include "proto/base/rc.h"

/* Before any other OpenSSL call of the process, once. RC_INTERNAL when OpenSSL was used already. */
rc_t crypto_heap_install(void);

#endif
