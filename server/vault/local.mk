# server/vault: the vault's service (libvault), its wire and the stub for its callers (libvaultclient).
# Knows ipc, base and proto only; no SQL, no network. crypto/ and tpm/ are the only doors to OpenSSL.
noinst_LIBRARIES += server/vault/libvaultclient.a
server_vault_libvaultclient_a_SOURCES = \
	server/vault/admin.c server/vault/admin.h \
	server/vault/call.def server/vault/call_sync.c \
	server/vault/client.c server/vault/client.h \
	server/vault/record.h server/vault/wire.c server/vault/wire.h \
	server/vault/wire_fields.c server/vault/wire_fields.h

noinst_LIBRARIES += server/vault/libvault.a
server_vault_libvault_a_SOURCES = \
	server/vault/calls.c \
	server/vault/cipher.c \
	server/vault/crew.c server/vault/crew.h \
	server/vault/crypto/asym.c server/vault/crypto/asym.h \
	server/vault/crypto/asym_check.c server/vault/crypto/asym_int.h server/vault/crypto/asym_numbers.c \
	server/vault/crypto/cipher.c server/vault/crypto/cipher.h \
	server/vault/crypto/crypto.c server/vault/crypto/crypto.h \
	server/vault/crypto/heap.c server/vault/crypto/heap.h \
	server/vault/crypto/scrypt.c server/vault/crypto/scrypt.h \
	server/vault/envelope.c server/vault/envelope.h \
	server/vault/guard.c server/vault/guard.h \
	server/vault/keyring.c server/vault/keyring.h \
	server/vault/makers.c server/vault/makers.h \
	server/vault/material.c server/vault/material.h \
	server/vault/parked.c server/vault/password.c server/vault/peers.c \
	server/vault/rules.c server/vault/rules.h \
	server/vault/service.c server/vault/service.h server/vault/service_impl.h \
	server/vault/status.c \
	server/vault/tpm_admin.c server/vault/tpm_jobs.c server/vault/tpm_jobs.h \
	server/vault/tpm_thread.c server/vault/tpm_thread.h
EXTRA_DIST += server/vault/FORMATS.md
include server/vault/tpm/local.mk
