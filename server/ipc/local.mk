# server/ipc: framed messages on socketpairs, spawn, descriptor passing. Knows base only.
noinst_LIBRARIES += server/ipc/libipc.a
server_ipc_libipc_a_SOURCES = \
	server/ipc/control.c server/ipc/control.h server/ipc/control.def \
	server/ipc/frame.c server/ipc/frame.h \
	server/ipc/spawn.c server/ipc/spawn.h
