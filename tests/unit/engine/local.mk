# Unit tests of server/engine: with a real database on a private PostgreSQL and a real vault on swtpm.
check_PROGRAMS += tests/unit/check_engine
TESTS += tests/unit/check_engine
tests_unit_check_engine_SOURCES = \
	tests/unit/engine/fixture.c tests/unit/engine/fixture.h tests/unit/engine/test_access.c \
	tests/unit/engine/test_attributes.c tests/unit/engine/test_batch.c \
	tests/unit/engine/test_constraints.c tests/unit/engine/test_factor.c \
	tests/unit/engine/test_locate.c tests/unit/engine/test_pace.c tests/unit/engine/test_pair.c \
	tests/unit/engine/test_race.c \
	tests/unit/engine/test_secrecy.c tests/unit/engine/test_templates.c tests/unit/engine/test_trace.c \
	tests/unit/engine/test_trouble.c tests/unit/vault/asym_keys.h \
	tests/unit/vault_service/fixture.c tests/unit/vault_service/fixture.h \
	tests/support/pg.c tests/support/pg.h
tests_unit_check_engine_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_engine_LDADD = server/engine/libengine.a server/ops/libops.a \
	server/policy/libpolicy.a certs/libcerts.a db/libdb.a server/vault/libvault.a server/vault/libvaultclient.a \
	server/process/libprocess.a server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(PQ_LIBS) $(OPENSSL_LIBS) $(TSS2_LIBS) $(EVENT_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) \
	$(JANSSON_LIBS) $(CHECK_LIBS) -lpthread
