# Unit tests of server/base: identifiers, canonical form, locked memory.
check_PROGRAMS += tests/unit/check_base
TESTS += tests/unit/check_base
tests_unit_check_base_SOURCES = tests/unit/base/check_base.c tests/unit/base/test_trace.c tests/unit/base/test_trace.h \
	tests/support/control.h
tests_unit_check_base_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_base_LDADD = server/base/libbase.a proto/libproto.a $(CHECK_LIBS) -lpthread
