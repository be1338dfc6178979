# proto: the KMIP language. Bytes, node trees, typed messages, tables. No socket, SQL, file or clock.
noinst_LIBRARIES += proto/libproto.a
proto_libproto_a_SOURCES = \
	proto/base/arena.c proto/base/arena.h \
	proto/base/buf.c proto/base/buf.h \
	proto/base/bytes.h proto/base/wipe.h \
	proto/base/rc.c proto/base/rc.h
