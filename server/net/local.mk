# server/net: listener, connection state machine, TLS, framing, limits. Knows the engine's interface
# and certs; never looks into a message beyond its header, knows no operation, SQL or TPM.
noinst_LIBRARIES += server/net/libnet.a
server_net_libnet_a_SOURCES = \
	server/net/limits.c server/net/limits.h \
	server/net/tls.c server/net/tls.h
