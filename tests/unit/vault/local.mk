# Unit tests of server/vault and server/ipc/frame that need no TPM.
check_PROGRAMS += tests/unit/check_vault
TESTS += tests/unit/check_vault
tests_unit_check_vault_SOURCES = \
	tests/unit/vault/asym_keys.h tests/unit/vault/check_vault.c tests/unit/vault/test_asym.c \
	tests/unit/vault/test_cipher.c tests/unit/vault/test_client.c tests/unit/vault/test_crew.c \
	tests/unit/vault/test_crypto.c tests/unit/vault/test_envelope.c tests/unit/vault/test_makers.c \
	tests/unit/vault/test_password.c tests/unit/vault/test_rules.c tests/unit/vault/test_wire.c \
	tests/unit/vault/vault_tests.h tests/support/control.h
tests_unit_check_vault_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_vault_LDADD = server/vault/libvault.a server/vault/libvaultclient.a \
	server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(OPENSSL_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS) $(CHECK_LIBS) -lpthread

# The service on a software TPM (swtpm), and the program in its sandbox.
check_PROGRAMS += tests/unit/check_vault_service
TESTS += tests/unit/check_vault_service
tests_unit_check_vault_service_SOURCES = \
	tests/unit/vault_service/check_vault_service.c \
	tests/unit/vault_service/fixture.c tests/unit/vault_service/fixture.h \
	tests/unit/vault_service/test_ciphers.c tests/unit/vault_service/test_domains.c \
	tests/unit/vault_service/test_pairs.c tests/unit/vault/asym_keys.h tests/support/control.h
tests_unit_check_vault_service_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_vault_service_LDADD = server/vault/libvault.a server/vault/libvaultclient.a \
	server/process/libprocess.a server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(OPENSSL_LIBS) $(TSS2_LIBS) $(EVENT_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) $(JANSSON_LIBS) \
	$(CHECK_LIBS) -lpthread
