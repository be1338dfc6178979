# server/process: supervisor, start of the children, privilege drop, sandbox, control socket. Knows base, ipc, net.
noinst_LIBRARIES += server/process/libprocess.a
server_process_libprocess_a_SOURCES = \
	server/process/answers.c \
	server/process/child.c server/process/child.h \
	server/process/children.c \
	server/process/control_socket.c \
	server/process/files.c \
	server/process/notes.c \
	server/process/privileges.c server/process/privileges.h \
	server/process/sandbox.c server/process/sandbox.h \
	server/process/sandbox_calls.c server/process/sandbox_calls.h \
	server/process/stats.c server/process/stats.h \
	server/process/status.c \
	server/process/status_client.c server/process/status_client.h \
	server/process/supervisor.c server/process/supervisor.h \
	server/process/trace_client.c server/process/trace_client.h \
	server/process/traces.c \
	server/process/systemd.c server/process/systemd.h \
	server/process/unseal.c server/process/unseal.h \
	server/process/worker.c server/process/worker.h \
	server/process/worker_note.c \
	server/process/worker_private.h server/process/worker_settings.c \
	server/process/worker_trace.c
