# server/ops: the KMIP operations, one table and pure functions. Knows proto, base, policy, certs/facts.h and the plain
# structures of db and vault; no SQL, no TLS, no TPM, no clock.
noinst_LIBRARIES += server/ops/libops.a
server_ops_libops_a_SOURCES = \
	server/ops/op.c server/ops/op.h \
	server/ops/attrs.c server/ops/attrs.h \
	server/ops/filter.c server/ops/filter.h \
	server/ops/edit.c server/ops/edit.h server/ops/attributes.c \
	server/ops/check.c server/ops/cipher.c server/ops/log.c server/ops/template.c server/ops/template.h \
	server/ops/defaults.c server/ops/defaults.h \
	server/ops/make.c server/ops/make_pair.c server/ops/make_register.c server/ops/making.h \
	server/ops/get.c server/ops/get_attributes.c \
	server/ops/locate.c server/ops/lifecycle.c server/ops/query.c
