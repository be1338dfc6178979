# Unit tests of proto: TTLV, tables against the OASIS texts, typed messages, attributes, JSON.
check_PROGRAMS += tests/unit/check_proto
TESTS += tests/unit/check_proto
EXTRA_DIST += tests/unit/proto/oasis-tables.tsv tests/support/oasis_tables.py
tests_unit_check_proto_SOURCES = \
	tests/unit/proto/check_proto.c tests/unit/proto/proto_tests.h \
	tests/unit/proto/test_base.c \
	tests/unit/proto/test_ttlv.c tests/unit/proto/test_tables.c \
	tests/unit/proto/test_struct.c tests/unit/proto/test_message.c \
	tests/unit/proto/test_attribute.c tests/unit/proto/test_json.c tests/unit/proto/test_print.c \
	tests/support/kmip_fill.c tests/support/kmip_fill.h
tests_unit_check_proto_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_proto_LDADD = proto/libproto.a $(JANSSON_LIBS) $(CHECK_LIBS)
