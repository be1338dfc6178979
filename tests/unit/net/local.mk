check_PROGRAMS += tests/unit/check_net
TESTS += tests/unit/check_net
tests_unit_check_net_SOURCES = \
	tests/unit/net/main.c tests/unit/net/rig.c tests/unit/net/rig.h tests/unit/net/rig_int.h \
	tests/unit/net/client.c tests/unit/net/tls_test.c tests/unit/net/conn_test.c \
	tests/unit/net/bounds_test.c tests/unit/net/limits_test.c \
	tests/support/pki.c tests/support/pki.h
tests_unit_check_net_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_net_LDADD = server/net/libnet.a certs/libcerts.a server/base/libbase.a \
	proto/libproto.a $(OPENSSL_LIBS) $(EVENT_LIBS) $(CHECK_LIBS) -lpthread
