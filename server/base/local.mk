# server/base: secrets, log, clock, config, the managed object. Knows proto only.
noinst_LIBRARIES += server/base/libbase.a
server_base_libbase_a_SOURCES = \
	server/base/cipher.c server/base/cipher.h \
	server/base/clock.c server/base/clock.h \
	server/base/config.c server/base/config.h server/base/config.def \
	server/base/config_read.c server/base/config_value.h \
	server/base/log.c server/base/log.h \
	server/base/object.c server/base/object.h \
	server/base/pool.c server/base/pool.h \
	server/base/secret.c server/base/secret.h \
	server/base/symmetric.c server/base/symmetric.h \
	server/base/trace.c server/base/trace.h
