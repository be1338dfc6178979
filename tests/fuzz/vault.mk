# Fuzz targets of the vault's frames and calls, and of the keys and certificates that clients bring
# (configure with CC=clang --enable-fuzzing).
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_vault_call
tests_fuzz_fuzz_vault_call_SOURCES = tests/fuzz/fuzz_vault_call.c
tests_fuzz_fuzz_vault_call_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vault_call_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vault_call_LDADD = server/vault/libvaultclient.a server/ipc/libipc.a \
	server/base/libbase.a proto/libproto.a

noinst_PROGRAMS += tests/fuzz/fuzz_asym
tests_fuzz_fuzz_asym_SOURCES = tests/fuzz/fuzz_asym.c
tests_fuzz_fuzz_asym_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_asym_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_asym_LDADD = server/vault/libvault.a certs/libcerts.a server/base/libbase.a \
	proto/libproto.a $(JANSSON_LIBS) $(OPENSSL_LIBS)
endif
