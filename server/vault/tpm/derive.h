/*
 * Key derivation and MACs: what hangs on the cluster secret, and what TPM structures need.
 */
#ifndef SERVER_VAULT_TPM_DERIVE_H
#define SERVER_VAULT_TPM_DERIVE_H

#include "server/base/secret.h"

enum { DERIVE_FIELDS_MAX = 8, DERIVE_INFO_MAX = 512 };

/*
 * HKDF-SHA256 (RFC 5869), no salt; info = "holdfast", label and fields, each after its 16-bit
 * length, so that no two lists of fields give one info. len <= 255 * 32.
 */
rc_t derive_key(const struct secret *from, const char *label, const struct bytes *fields,
                size_t field_count, size_t len, struct secret **out);
/* HMAC-SHA256 over the parts in order. */
rc_t derive_mac(struct bytes key, const struct bytes *parts, size_t part_count, uint8_t mac[32]);
/* KDFa with SHA-256 (TPM 2.0 part 1, 11.4.10.2), 32 bytes or fewer. The label's NUL belongs to it.
 */
rc_t derive_kdfa(const struct secret *seed, const char *label, struct bytes context_u,
                 struct bytes context_v, size_t len, struct secret **out);
/* KDFe with SHA-256 (11.4.10.3), 32 bytes. */
rc_t derive_kdfe(const struct secret *z, const char *label, struct bytes party_u,
                 struct bytes party_v, struct secret **out);
/* 32 random bytes from the system's generator (OpenSSL's private DRBG). */
rc_t derive_random(size_t len, struct secret **out);

#endif
