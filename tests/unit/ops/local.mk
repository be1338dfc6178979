# Unit tests of server/ops and server/policy: pure functions, every version, no database and no vault.
check_PROGRAMS += tests/unit/check_ops
TESTS += tests/unit/check_ops
tests_unit_check_ops_SOURCES = \
	tests/unit/ops/check_ops.c tests/unit/ops/ops_tests.h tests/unit/ops/test_policy.c tests/unit/ops/test_rules.c \
	tests/unit/ops/test_decide.c \
	tests/unit/ops/test_make.c tests/unit/ops/test_pair.c tests/unit/vault/asym_keys.h \
	tests/unit/ops/test_read.c tests/unit/ops/test_lifecycle.c \
	tests/unit/ops/test_locate.c tests/unit/ops/test_query.c tests/unit/ops/test_attributes.c tests/unit/ops/test_check.c \
	tests/unit/ops/test_cipher.c \
	tests/unit/ops/test_template.c tests/unit/ops/test_bounds.c
tests_unit_check_ops_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_ops_LDADD = server/ops/libops.a server/policy/libpolicy.a certs/libcerts.a server/base/libbase.a \
	proto/libproto.a $(OPENSSL_LIBS) $(JANSSON_LIBS) $(CHECK_LIBS) -lpthread
