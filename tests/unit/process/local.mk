# Control channel, spawn, sandbox, and the supervisor with small real children.
check_PROGRAMS += tests/unit/check_control tests/unit/check_sandbox tests/unit/fake_child
TESTS += tests/unit/check_control tests/unit/check_sandbox
PROCESS_TEST_LIBS = server/process/libprocess.a server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(EVENT_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) $(CHECK_LIBS)
tests_unit_check_control_SOURCES = tests/unit/process/check_control.c
tests_unit_check_control_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_control_LDADD = $(PROCESS_TEST_LIBS)
tests_unit_check_sandbox_SOURCES = tests/unit/process/check_sandbox.c
tests_unit_check_sandbox_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_sandbox_LDADD = $(PROCESS_TEST_LIBS) -lpthread
tests_unit_fake_child_SOURCES = tests/unit/process/fake_child.c
tests_unit_fake_child_LDADD = $(PROCESS_TEST_LIBS)
check_PROGRAMS += tests/unit/check_supervisor
TESTS += tests/unit/check_supervisor
tests_unit_check_supervisor_SOURCES = \
	tests/unit/process/check_supervisor.c tests/unit/process/supervisor_rig.c tests/unit/process/supervisor_rig.h \
	tests/unit/process/test_children.c tests/unit/process/test_systemd.c
tests_unit_check_supervisor_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_supervisor_LDADD = $(PROCESS_TEST_LIBS)
