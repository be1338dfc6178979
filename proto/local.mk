# proto: the KMIP language. Bytes, node trees, typed messages, tables. No socket, SQL, file or clock.
noinst_LIBRARIES += proto/libproto.a
proto_libproto_a_SOURCES = \
	proto/base/arena.c proto/base/arena.h \
	proto/base/buf.c proto/base/buf.h proto/base/decimal.h \
	proto/base/bytes.h proto/base/wipe.h \
	proto/base/rc.c proto/base/rc.h \
	proto/ttlv/node.c proto/ttlv/node.h \
	proto/ttlv/read.c proto/ttlv/read.h \
	proto/ttlv/write.c proto/ttlv/write.h \
	proto/kmip/tables.c proto/kmip/tables.h \
	proto/kmip/tags.def proto/kmip/enums.def proto/kmip/masks.def \
	proto/kmip/reason.c proto/kmip/reason.h \
	proto/kmip/attribute.c proto/kmip/attribute.h proto/kmip/attributes.def \
	proto/kmip/attr_wire.c \
	proto/kmip/attr_json_write.c proto/kmip/attr_json_read.c \
	proto/kmip/attr_json.h proto/kmip/attr_json_parts.h \
	proto/kmip/struct.c proto/kmip/struct.h proto/kmip/struct_parts.h \
	proto/kmip/struct_read.c proto/kmip/struct_write.c \
	proto/kmip/structures.def proto/kmip/payload.def proto/kmip/operations.def \
	proto/kmip/message.c proto/kmip/message.h \
	proto/kmip/print.c proto/kmip/print.h proto/kmip/shown.def
