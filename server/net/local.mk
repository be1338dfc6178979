# server/net: listener, connection state machine, TLS, framing, limits. Knows the engine's interface
# and certs; never looks into a message beyond its header, knows no operation, SQL or TPM.
noinst_LIBRARIES += server/net/libnet.a
server_net_libnet_a_SOURCES = \
	server/net/conn.c server/net/conn.h server/net/conn_io.c server/net/conn_state.c \
	server/net/limits.c server/net/limits.h \
	server/net/net.c server/net/net.h server/net/real.c \
	server/net/tls.c server/net/tls.h server/net/trace.c
