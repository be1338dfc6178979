check_PROGRAMS += tests/unit/check_certs
TESTS += tests/unit/check_certs
tests_unit_check_certs_SOURCES = tests/unit/certs/check_certs.c \
	tests/unit/certs/facts_test.c tests/unit/certs/facts_test.h tests/unit/certs/trust_test.c \
	tests/unit/certs/trust_test.h tests/support/pki.c tests/support/pki.h
tests_unit_check_certs_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_certs_LDADD = certs/libcerts.a proto/libproto.a $(OPENSSL_LIBS) $(CHECK_LIBS)
