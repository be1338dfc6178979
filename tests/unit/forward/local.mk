# Unit tests of server/forward: messages of RFC 5424, the list of destinations.
check_PROGRAMS += tests/unit/check_forward
TESTS += tests/unit/check_forward
tests_unit_check_forward_SOURCES = tests/unit/forward/check_forward.c
tests_unit_check_forward_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_forward_LDADD = server/forward/libforward.a db/libdb.a server/base/libbase.a proto/libproto.a \
	$(PQ_LIBS) $(EVENT_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS) -lpthread
