# db: PostgreSQL. Migrations, asynchronous pipelined connections, loads, group commit, audit chain.
# Knows proto, server/base and the plain structures of server/vault/hierarchy.h. Never a plain key.
EXTRA_DIST += db/db.h db/unit.h db/admin.h db/hierarchy.h db/audit_chain.h
