# server/forward: forwarding of the audit trail to syslog receivers. Knows db, server/base and proto; no KMIP, no
# vault. Nothing but server/admin may know it.
noinst_LIBRARIES += server/forward/libforward.a
server_forward_libforward_a_SOURCES = \
	server/forward/format.c server/forward/format.h \
	server/forward/forward.c server/forward/forward.h \
	server/forward/link.c server/forward/link.h server/forward/link_impl.h \
	server/forward/link_tls.c \
	server/forward/target.c server/forward/target.h \
	server/forward/wait.c server/forward/wait.h
