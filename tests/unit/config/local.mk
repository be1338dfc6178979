check_PROGRAMS += tests/unit/check_config
tests_unit_check_config_SOURCES = tests/unit/config/check_config.c
tests_unit_check_config_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_config_LDADD = server/base/libbase.a proto/libproto.a $(INIH_LIBS) $(CHECK_LIBS)
TESTS += tests/unit/check_config
