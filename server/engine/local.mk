# server/engine: the way of a request. Knows ops, policy, db and the vault's client; no socket, no TLS.
noinst_LIBRARIES += server/engine/libengine.a
server_engine_libengine_a_SOURCES = \
	server/engine/engine.h server/engine/request.h server/engine/session.c \
	server/engine/request.c server/engine/run.c server/engine/commit.c \
	server/engine/templates.c server/engine/access.c server/engine/answer.c server/engine/approval.c \
	server/engine/bounds.c server/engine/quota.c server/engine/defaults.c server/engine/pace.c \
	server/engine/factor.c server/engine/locate.c server/engine/login.c server/engine/policies.c \
	server/engine/overlay.c server/engine/overlay.h \
	server/engine/trace.c
