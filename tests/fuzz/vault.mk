# Fuzz target of the vault's frames and calls (configure with CC=clang --enable-fuzzing).
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_vault_call
tests_fuzz_fuzz_vault_call_SOURCES = tests/fuzz/fuzz_vault_call.c
tests_fuzz_fuzz_vault_call_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vault_call_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vault_call_LDADD = server/vault/libvaultclient.a server/ipc/libipc.a \
	server/base/libbase.a proto/libproto.a
endif
