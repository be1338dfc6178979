# Unit tests of server/vault and server/ipc/frame that need no TPM.
check_PROGRAMS += tests/unit/check_vault
TESTS += tests/unit/check_vault
tests_unit_check_vault_SOURCES = \
	tests/unit/vault/check_vault.c tests/unit/vault/test_client.c tests/unit/vault/test_crypto.c \
	tests/unit/vault/test_envelope.c tests/unit/vault/test_rules.c tests/unit/vault/test_wire.c \
	tests/unit/vault/vault_tests.h
tests_unit_check_vault_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_vault_LDADD = server/vault/libvault.a server/vault/libvaultclient.a \
	server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(OPENSSL_LIBS) $(EVENT_LIBS) $(CHECK_LIBS) -lpthread
