# server/vault/tpm: the TPM, the key hierarchy, ceremonies. The only place that knows the TSS.
server_vault_libvaultclient_a_SOURCES += \
	server/vault/hierarchy.c server/vault/hierarchy.h
server_vault_libvault_a_SOURCES += \
	server/vault/node_state.c server/vault/node_state.h \
	server/vault/tpm/approve.c server/vault/tpm/ceremony.h \
	server/vault/tpm/attest.c server/vault/tpm/attest.h \
	server/vault/tpm/counter.c server/vault/tpm/counter.h \
	server/vault/tpm/derive.c server/vault/tpm/derive.h \
	server/vault/tpm/escrow.c server/vault/tpm/escrow.h \
	server/vault/tpm/facts.c \
	server/vault/tpm/half.c server/vault/tpm/half.h \
	server/vault/tpm/hex.c server/vault/tpm/hex.h \
	server/vault/tpm/init.c \
	server/vault/tpm/keys.c server/vault/tpm/keys.h server/vault/tpm/keys_state.h \
	server/vault/tpm/make.c server/vault/tpm/make.h \
	server/vault/tpm/pack.c server/vault/tpm/pack.h \
	server/vault/tpm/p256.c server/vault/tpm/p256.h \
	server/vault/tpm/policy.c server/vault/tpm/policy.h \
	server/vault/tpm/recovery.c \
	server/vault/tpm/request.c server/vault/tpm/request.h \
	server/vault/tpm/root.c server/vault/tpm/root.h \
	server/vault/tpm/rows.c server/vault/tpm/rows.h \
	server/vault/tpm/session.h \
	server/vault/tpm/state.c server/vault/tpm/state.h \
	server/vault/tpm/tcti_fd.c server/vault/tpm/tcti_fd.h \
	server/vault/tpm/template.c server/vault/tpm/template.h \
	server/vault/tpm/tpm.c server/vault/tpm/tpm.h \
	server/vault/tpm/unseal.c
EXTRA_DIST += server/vault/tpm/FORMATS.md
