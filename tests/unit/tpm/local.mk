# tests/unit/tpm: the vault's TPM side; most of it runs on a swtpm that each test starts for itself.
check_PROGRAMS += tests/unit/check_tpm
TESTS += tests/unit/check_tpm
tests_unit_check_tpm_SOURCES = \
	tests/unit/tpm/ceremony_test.c tests/unit/tpm/codec_test.c \
	tests/unit/tpm/fixture.c tests/unit/tpm/fixture.h \
	tests/unit/tpm/main.c tests/unit/tpm/policy_test.c tests/unit/tpm/tcti_test.c \
	tests/unit/tpm/vault_test.c
tests_unit_check_tpm_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_check_tpm_LDADD = server/vault/libvault.a server/vault/libvaultclient.a \
	server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(TSS2_LIBS) $(JANSSON_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS)
