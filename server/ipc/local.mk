# server/ipc: framed messages on socketpairs, spawn, descriptor passing. Knows base only.
noinst_LIBRARIES += server/ipc/libipc.a
server_ipc_libipc_a_SOURCES = \
	server/ipc/frame.c server/ipc/frame.h
