/*
 * A private software TPM and a vault service in a child process, for the tests of the service. The
 * hierarchy is made once; each test gets a copy of that TPM's state, so tests do not disturb each
 * other.
 */
#ifndef TESTS_UNIT_VAULT_SERVICE_FIXTURE_H
#define TESTS_UNIT_VAULT_SERVICE_FIXTURE_H

#include <check.h>
#include <sys/types.h>

#include "server/vault/client.h"
#include "server/vault/wire.h"

#define COUNT(a) (int)(sizeof(a) / sizeof(a)[0])

struct fixture {
    char dir[64]; /* of this test: TPM state and socket */
    char socket_path[96];
    pid_t swtpm, vault;
    int fd; /* a worker's end */
    struct buf rows, node_state;
    struct arena arena; /* answers */
    uint32_t degraded_ms;
    bool has_degraded;
};

extern struct fixture fx;

/* Once for the program: the TPM whose state is copied, its rows. And the end of it all. */
void fixture_make(void);
void fixture_unmake(void);
/* Checked fixture: a TPM of its own and a vault, not yet unsealed. */
void fixture_setup(void);
void fixture_teardown(void);

void swtpm_begin(void);
void swtpm_kill(void);
/* Starts a vault child on `worker_ends` (count of them) and tells fx.vault; node state: as fixed,
 * or none. */
void vault_begin(const int *worker_ends, int count, bool with_node_state);
void vault_kill(void);
/* Restarts the vault with a new channel fx.fd. */
void vault_again(void);
/* Connects to the TPM's socket; -1 when it is away. */
int swtpm_connect(void);

/* One call on fx.fd; answers live in fx.arena. Fails the test when there is no answer at all. */
struct vault_reply ask(const struct vault_call *call);
struct vault_reply unseal(void);
/* The record of a new AES-256 key of domain 1, Active, extractable. */
struct control new_record(void);
/* A new key with such a record, or with the one given; fills control. */
struct vault_reply generate(struct control *c);
struct vault_reply get(const struct control *c, const struct vault_reply *made);
/* Waits until the status names this state, 10 s at most. */
void wait_state(const char *state);
#ifndef HF_SANITIZERS /* they map terabytes, and keep what is freed */
/* How often the bytes stand in the memory of this process. */
int scan_memory(pid_t pid, const uint8_t *what, size_t len);
#endif

TCase *pair_tests(void);   /* test_pairs.c */
TCase *domain_tests(void); /* test_domains.c */
TCase *cipher_tests(void); /* test_ciphers.c */

#endif
