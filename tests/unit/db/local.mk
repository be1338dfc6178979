# Unit tests of db, against a private PostgreSQL of their own. What they share is built once.
check_LIBRARIES += tests/unit/db/libfixture.a
tests_unit_db_libfixture_a_SOURCES = \
	tests/unit/db/fixture.c tests/unit/db/fixture.h tests/support/pg.c tests/support/pg.h
tests_unit_db_libfixture_a_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
DB_TEST_LIBS = tests/unit/db/libfixture.a db/libdb.a server/base/libbase.a proto/libproto.a \
	$(PQ_LIBS) $(EVENT_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS) -lpthread
DB_TESTS = tests/unit/check_db_admin tests/unit/check_db_audit tests/unit/check_db_claims tests/unit/check_db_clients \
	tests/unit/check_db_commit tests/unit/check_db_failure tests/unit/check_db_forward tests/unit/check_db_load
check_PROGRAMS += $(DB_TESTS)
TESTS += $(DB_TESTS)

tests_unit_check_db_admin_SOURCES = tests/unit/db/check_admin.c
tests_unit_check_db_commit_SOURCES = tests/unit/db/check_commit.c
tests_unit_check_db_audit_SOURCES = tests/unit/db/check_audit.c
tests_unit_check_db_load_SOURCES = tests/unit/db/check_load.c
tests_unit_check_db_forward_SOURCES = tests/unit/db/check_forward.c
tests_unit_check_db_failure_SOURCES = tests/unit/db/check_failure.c
tests_unit_check_db_clients_SOURCES = tests/unit/db/check_clients.c
tests_unit_check_db_claims_SOURCES = tests/unit/db/check_claims.c

tests_unit_check_db_admin_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_commit_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_audit_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_load_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_forward_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_failure_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_clients_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_claims_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)

tests_unit_check_db_admin_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_commit_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_audit_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_load_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_forward_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_failure_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_clients_LDADD = $(DB_TEST_LIBS)
tests_unit_check_db_claims_LDADD = $(DB_TEST_LIBS)
check_PROGRAMS += tests/unit/check_db_retention
TESTS += tests/unit/check_db_retention
tests_unit_check_db_retention_SOURCES = tests/unit/db/check_retention.c $(DB_TEST_COMMON)
tests_unit_check_db_retention_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_retention_LDADD = $(DB_TEST_LIBS)
check_PROGRAMS += tests/unit/check_db_views
TESTS += tests/unit/check_db_views
tests_unit_check_db_views_SOURCES = tests/unit/db/check_views.c $(DB_TEST_COMMON)
tests_unit_check_db_views_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_views_LDADD = $(DB_TEST_LIBS)
