# server/admin: the holdfast command. Administration of a node, and a KMIP client. Knows every layer below it;
# nothing but server/main may know it.
noinst_LIBRARIES += server/admin/libadmin.a
server_admin_libadmin_a_CPPFLAGS = $(AM_CPPFLAGS) \
	-DHOLDFAST_CONFIG_FILE='"$(sysconfdir)/holdfast/holdfast.conf"' \
	-DHOLDFAST_LIBEXEC_DIR='"$(pkglibexecdir)"'
server_admin_libadmin_a_SOURCES = \
	server/admin/admin_db.c server/admin/admin_db.h \
	server/admin/audit_check.c server/admin/audit_check.h \
	server/admin/audit_commands.h \
	server/admin/audit_file.c server/admin/audit_file.h \
	server/admin/cli.c server/admin/cli.h \
	server/admin/ceremony.c server/admin/ceremony.h \
	server/admin/cmd_attribute.c \
	server/admin/cmd_ca.c \
	server/admin/cmd_client.c \
	server/admin/cmd_config.c \
	server/admin/cmd_db.c \
	server/admin/cmd_doctor.c \
	server/admin/cmd_domain.c \
	server/admin/cmd_export.c \
	server/admin/cmd_factor.c \
	server/admin/cmd_group.c \
	server/admin/cmd_forward.c \
	server/admin/cmd_init.c \
	server/admin/cmd_key.c server/admin/cmd_key.h \
	server/admin/cmd_pair.c \
	server/admin/cmd_policy.c \
	server/admin/cmd_policy_file.c \
	server/admin/cmd_recovery.c \
	server/admin/cmd_request.c \
	server/admin/cmd_retention.c \
	server/admin/cmd_status.c \
	server/admin/cmd_trace.c \
	server/admin/commands.def \
	server/admin/doctor.c server/admin/doctor.h \
	server/admin/exit.def \
	server/admin/file.c \
	server/admin/key_pem.c server/admin/key_pem.h \
	server/admin/kmip_call.c server/admin/kmip_call.h \
	server/admin/kmip_tls.c server/admin/kmip_tls.h \
	server/admin/options.def \
	server/admin/policy_call.c server/admin/policy_call.h \
	server/admin/vault_admin.c server/admin/vault_admin.h
