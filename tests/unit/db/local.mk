# Unit tests of db, against a private PostgreSQL of their own.
DB_TEST_COMMON = tests/unit/db/fixture.c tests/unit/db/fixture.h tests/support/pg.c tests/support/pg.h
DB_TEST_LIBS = db/libdb.a server/base/libbase.a proto/libproto.a \
	$(PQ_LIBS) $(EVENT_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS) -lpthread
check_PROGRAMS += tests/unit/check_db_commit
TESTS += tests/unit/check_db_commit
tests_unit_check_db_commit_SOURCES = tests/unit/db/check_commit.c $(DB_TEST_COMMON)
tests_unit_check_db_commit_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_commit_LDADD = $(DB_TEST_LIBS)
check_PROGRAMS += tests/unit/check_db_audit
TESTS += tests/unit/check_db_audit
tests_unit_check_db_audit_SOURCES = tests/unit/db/check_audit.c $(DB_TEST_COMMON)
tests_unit_check_db_audit_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_audit_LDADD = $(DB_TEST_LIBS)
check_PROGRAMS += tests/unit/check_db_load
TESTS += tests/unit/check_db_load
tests_unit_check_db_load_SOURCES = tests/unit/db/check_load.c $(DB_TEST_COMMON)
tests_unit_check_db_load_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_load_LDADD = $(DB_TEST_LIBS)
check_PROGRAMS += tests/unit/check_db_failure
TESTS += tests/unit/check_db_failure
tests_unit_check_db_failure_SOURCES = tests/unit/db/check_failure.c $(DB_TEST_COMMON)
tests_unit_check_db_failure_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_check_db_failure_LDADD = $(DB_TEST_LIBS)
