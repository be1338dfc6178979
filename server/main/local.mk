# server/main: wiring only: one file for each program.
sbin_PROGRAMS += server/main/holdfastd
server_main_holdfastd_SOURCES = server/main/holdfastd.c
server_main_holdfastd_CPPFLAGS = $(AM_CPPFLAGS) \
	-DSYSCONFDIR='"$(sysconfdir)/holdfast"' -DPKGLIBEXECDIR='"$(pkglibexecdir)"'
server_main_holdfastd_LDADD = \
	server/process/libprocess.a server/net/libnet.a server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(EVENT_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) $(OPENSSL_LIBS)

pkglibexec_PROGRAMS += server/main/holdfast-vault
server_main_holdfast_vault_SOURCES = server/main/holdfast-vault.c
server_main_holdfast_vault_LDADD = \
	server/process/libprocess.a server/vault/libvault.a server/ipc/libipc.a server/vault/libvaultclient.a \
	server/base/libbase.a proto/libproto.a \
	$(EVENT_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) $(TSS2_LIBS) $(OPENSSL_LIBS) -lpthread

pkglibexec_PROGRAMS += server/main/holdfast-worker
server_main_holdfast_worker_SOURCES = server/main/holdfast-worker.c
server_main_holdfast_worker_LDADD = \
	server/process/libprocess.a server/net/libnet.a server/engine/libengine.a server/ops/libops.a \
	server/policy/libpolicy.a db/libdb.a certs/libcerts.a server/vault/libvaultclient.a \
	server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(EVENT_LIBS) $(PQ_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) $(OPENSSL_LIBS)

bin_PROGRAMS += server/main/holdfast
server_main_holdfast_SOURCES = server/main/holdfast.c
server_main_holdfast_LDADD = \
	server/admin/libadmin.a server/forward/libforward.a server/process/libprocess.a server/policy/libpolicy.a \
	certs/libcerts.a db/libdb.a server/vault/libvault.a \
	server/vault/libvaultclient.a server/ipc/libipc.a server/base/libbase.a proto/libproto.a \
	$(EVENT_LIBS) $(PQ_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS) $(TSS2_LIBS) $(OPENSSL_LIBS) -lpthread
