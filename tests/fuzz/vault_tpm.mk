# Fuzz target of the vault's stored rows, state file and ceremony files.
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_vault_tpm
tests_fuzz_fuzz_vault_tpm_SOURCES = tests/fuzz/fuzz_vault_tpm.c
tests_fuzz_fuzz_vault_tpm_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vault_tpm_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vault_tpm_LDADD = server/vault/libvault.a server/vault/libvaultclient.a \
	server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(TSS2_LIBS) $(JANSSON_LIBS) $(OPENSSL_LIBS)
endif
