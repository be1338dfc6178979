# db: PostgreSQL. Migrations, asynchronous pipelined connections, loads, group commit, audit chain.
# Knows proto, server/base and the plain structures of server/vault/hierarchy.h. Never a plain key.
noinst_LIBRARIES += db/libdb.a
db_libdb_a_SOURCES = \
	db/admin.c db/admin.h db/admin_impl.h \
	db/admin_file.c db/admin_identity.c \
	db/admin_factor.c db/admin_factor.h \
	db/admin_policy.c db/admin_policy.h \
	db/audit_chain.c db/audit_chain.h \
	db/audit_export.c db/audit_export.h db/audit_months.c \
	db/commit.c db/unit.h \
	db/conn.c db/conn.h db/conn_check.c db/conn_impl.h \
	db/db.c db/db.h db/impl.h \
	db/factor.c \
	db/forward.c db/forward.h \
	db/group.c \
	db/hierarchy.c db/hierarchy.h \
	db/load.c db/locate.c \
	db/migrate.c \
	db/pgbin.c db/pgbin.h \
	db/request.c \
	db/statements.def \
	db/stream.c \
	db/utf8.h

db_migrations = \
	$(srcdir)/db/migrations/0001_roles.sql \
	$(srcdir)/db/migrations/0002_kmip.sql \
	$(srcdir)/db/migrations/0003_audit.sql \
	$(srcdir)/db/migrations/0004_policy.sql \
	$(srcdir)/db/migrations/0005_commit.sql \
	$(srcdir)/db/migrations/0006_policy_api.sql \
	$(srcdir)/db/migrations/0007_views.sql \
	$(srcdir)/db/migrations/0008_verify.sql \
	$(srcdir)/db/migrations/0009_algorithms.sql \
	$(srcdir)/db/migrations/0010_pending.sql \
	$(srcdir)/db/migrations/0011_policy_model.sql \
	$(srcdir)/db/migrations/0012_policy_common.sql \
	$(srcdir)/db/migrations/0013_clients.sql \
	$(srcdir)/db/migrations/0014_groups.sql \
	$(srcdir)/db/migrations/0015_kmip_names.sql \
	$(srcdir)/db/migrations/0016_rules.sql \
	$(srcdir)/db/migrations/0017_explain.sql \
	$(srcdir)/db/migrations/0018_bounds.sql \
	$(srcdir)/db/migrations/0019_policy_document.sql \
	$(srcdir)/db/migrations/0020_policy_reading.sql \
	$(srcdir)/db/migrations/0021_policy_apply.sql \
	$(srcdir)/db/migrations/0022_approvals.sql \
	$(srcdir)/db/migrations/0023_compiled.sql \
	$(srcdir)/db/migrations/0024_locate.sql \
	$(srcdir)/db/migrations/0025_factors.sql \
	$(srcdir)/db/migrations/0026_quota.sql \
	$(srcdir)/db/migrations/0027_audit_views.sql \
	$(srcdir)/db/migrations/0028_audit_signers.sql \
	$(srcdir)/db/migrations/0029_retention.sql \
	$(srcdir)/db/migrations/0030_verify_months.sql \
	$(srcdir)/db/migrations/0031_forward.sql
EXTRA_DIST += db/embed.sh $(db_migrations)

# The SQL files as C text.
db/migrations.inc: $(db_migrations) $(srcdir)/db/embed.sh
	@$(MKDIR_P) db
	$(AM_V_GEN)sh $(srcdir)/db/embed.sh $(db_migrations) > $@.tmp && mv $@.tmp $@
BUILT_SOURCES += db/migrations.inc
CLEANFILES += db/migrations.inc
db/migrate.$(OBJEXT): db/migrations.inc
