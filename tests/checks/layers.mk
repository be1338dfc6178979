# The direction of dependencies, kept by the linker: each program holds one library whole and only the libraries
# (and the foreign ones) that it may know. An edge back is an undefined symbol, and the build stops.
# below_X: what layer X may know of the house.

below_proto =
tests_checks_layer_proto_SOURCES = tests/checks/layer.c
tests_checks_layer_proto_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,proto/libproto.a,--no-whole-archive
tests_checks_layer_proto_LDADD = $(below_proto) $(JANSSON_LIBS)
tests_checks_layer_proto_DEPENDENCIES = proto/libproto.a $(below_proto)

below_base = proto/libproto.a
tests_checks_layer_base_SOURCES = tests/checks/layer.c
tests_checks_layer_base_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/base/libbase.a,--no-whole-archive
tests_checks_layer_base_LDADD = $(below_base) $(INIH_LIBS) $(JANSSON_LIBS)
tests_checks_layer_base_DEPENDENCIES = server/base/libbase.a $(below_base)

below_ipc = server/base/libbase.a $(below_base)
tests_checks_layer_ipc_SOURCES = tests/checks/layer.c
tests_checks_layer_ipc_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/ipc/libipc.a,--no-whole-archive
tests_checks_layer_ipc_LDADD = $(below_ipc) $(INIH_LIBS)
tests_checks_layer_ipc_DEPENDENCIES = server/ipc/libipc.a $(below_ipc)

below_certs = server/base/libbase.a $(below_base)
tests_checks_layer_certs_SOURCES = tests/checks/layer.c
tests_checks_layer_certs_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,certs/libcerts.a,--no-whole-archive
tests_checks_layer_certs_LDADD = $(below_certs) $(INIH_LIBS) $(OPENSSL_LIBS)
tests_checks_layer_certs_DEPENDENCIES = certs/libcerts.a $(below_certs)

below_vaultclient = server/ipc/libipc.a $(below_ipc)
tests_checks_layer_vaultclient_SOURCES = tests/checks/layer.c
tests_checks_layer_vaultclient_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--whole-archive,server/vault/libvaultclient.a,--no-whole-archive
tests_checks_layer_vaultclient_LDADD = $(below_vaultclient) $(INIH_LIBS) $(EVENT_LIBS) $(OPENSSL_LIBS)
tests_checks_layer_vaultclient_DEPENDENCIES = server/vault/libvaultclient.a $(below_vaultclient)

below_vault = server/vault/libvaultclient.a $(below_vaultclient)
tests_checks_layer_vault_SOURCES = tests/checks/layer.c
tests_checks_layer_vault_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/vault/libvault.a,--no-whole-archive
tests_checks_layer_vault_LDADD = $(below_vault) $(JANSSON_LIBS) $(INIH_LIBS) $(EVENT_LIBS) $(TSS2_LIBS) \
	$(OPENSSL_LIBS) -lpthread
tests_checks_layer_vault_DEPENDENCIES = server/vault/libvault.a $(below_vault)

below_db = server/vault/libvaultclient.a $(below_vaultclient)
tests_checks_layer_db_SOURCES = tests/checks/layer.c
tests_checks_layer_db_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,db/libdb.a,--no-whole-archive
tests_checks_layer_db_LDADD = $(below_db) $(INIH_LIBS) $(EVENT_LIBS) $(PQ_LIBS) $(OPENSSL_LIBS)
tests_checks_layer_db_DEPENDENCIES = db/libdb.a $(below_db)

below_policy = server/base/libbase.a $(below_base)
tests_checks_layer_policy_SOURCES = tests/checks/layer.c
tests_checks_layer_policy_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/policy/libpolicy.a,--no-whole-archive
tests_checks_layer_policy_LDADD = $(below_policy) $(INIH_LIBS) $(JANSSON_LIBS)
tests_checks_layer_policy_DEPENDENCIES = server/policy/libpolicy.a $(below_policy)

below_ops = server/policy/libpolicy.a certs/libcerts.a $(below_certs)
tests_checks_layer_ops_SOURCES = tests/checks/layer.c
tests_checks_layer_ops_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/ops/libops.a,--no-whole-archive
tests_checks_layer_ops_LDADD = $(below_ops) $(INIH_LIBS) $(JANSSON_LIBS) $(OPENSSL_LIBS)
tests_checks_layer_ops_DEPENDENCIES = server/ops/libops.a $(below_ops)

below_engine = server/ops/libops.a server/policy/libpolicy.a certs/libcerts.a db/libdb.a $(below_db)
tests_checks_layer_engine_SOURCES = tests/checks/layer.c
tests_checks_layer_engine_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/engine/libengine.a,--no-whole-archive
tests_checks_layer_engine_LDADD = $(below_engine) $(INIH_LIBS) $(EVENT_LIBS) $(PQ_LIBS) $(JANSSON_LIBS) \
	$(OPENSSL_LIBS)
tests_checks_layer_engine_DEPENDENCIES = server/engine/libengine.a $(below_engine)

below_net = server/engine/libengine.a server/ops/libops.a server/policy/libpolicy.a db/libdb.a certs/libcerts.a \
	server/vault/libvaultclient.a $(below_vaultclient)
tests_checks_layer_net_SOURCES = tests/checks/layer.c
tests_checks_layer_net_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/net/libnet.a,--no-whole-archive
tests_checks_layer_net_LDADD = $(below_net) $(EVENT_LIBS) $(PQ_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) \
	$(TSS2_LIBS) $(OPENSSL_LIBS) -lpthread
tests_checks_layer_net_DEPENDENCIES = server/net/libnet.a $(below_net)

below_process = server/net/libnet.a $(below_net)
tests_checks_layer_process_SOURCES = tests/checks/layer.c
tests_checks_layer_process_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/process/libprocess.a,--no-whole-archive
tests_checks_layer_process_LDADD = $(below_process) $(EVENT_LIBS) $(PQ_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) \
	$(INIH_LIBS) $(TSS2_LIBS) $(OPENSSL_LIBS) -lpthread
tests_checks_layer_process_DEPENDENCIES = server/process/libprocess.a $(below_process)

below_forward = db/libdb.a $(below_db)
tests_checks_layer_forward_SOURCES = tests/checks/layer.c
tests_checks_layer_forward_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/forward/libforward.a,--no-whole-archive
tests_checks_layer_forward_LDADD = $(below_forward) $(INIH_LIBS) $(EVENT_LIBS) $(PQ_LIBS) $(OPENSSL_LIBS)
tests_checks_layer_forward_DEPENDENCIES = server/forward/libforward.a $(below_forward)

below_admin = server/forward/libforward.a server/process/libprocess.a server/policy/libpolicy.a certs/libcerts.a \
	db/libdb.a server/vault/libvault.a $(below_vault)
tests_checks_layer_admin_SOURCES = tests/checks/layer.c
tests_checks_layer_admin_LDFLAGS = $(AM_LDFLAGS) -Wl,--whole-archive,server/admin/libadmin.a,--no-whole-archive
tests_checks_layer_admin_LDADD = $(below_admin) $(EVENT_LIBS) $(PQ_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) \
	$(TSS2_LIBS) $(OPENSSL_LIBS) -lpthread
tests_checks_layer_admin_DEPENDENCIES = server/admin/libadmin.a $(below_admin)

layer_programs = \
	tests/checks/layer_proto \
	tests/checks/layer_base \
	tests/checks/layer_ipc \
	tests/checks/layer_certs \
	tests/checks/layer_vaultclient \
	tests/checks/layer_vault \
	tests/checks/layer_db \
	tests/checks/layer_policy \
	tests/checks/layer_ops \
	tests/checks/layer_engine \
	tests/checks/layer_net \
	tests/checks/layer_process \
	tests/checks/layer_forward \
	tests/checks/layer_admin
check_PROGRAMS += $(layer_programs)
TESTS += $(layer_programs)

# The same for what is read: no #include against the direction.
dist_check_SCRIPTS += tests/checks/includes.py
TESTS += tests/checks/includes.py
