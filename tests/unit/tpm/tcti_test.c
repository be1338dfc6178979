/*
 * The descriptor TCTI against a peer that answers badly, slowly, or not at all.
 */
#include "tests/unit/tpm/fixture.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <tss2/tss2_tcti.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/vault/tpm/tcti_fd.h"

enum { COMMAND = 12, DEADLINE_MS = 400 };

static const uint8_t command[COMMAND] = {0x80, 0x01, 0, 0, 0, COMMAND, 0, 0, 0x01, 0x44, 0, 0};

/* What the peer does: writes `len` bytes of an answer in pieces, with a pause before each. */
struct peer {
    const char *why;
    uint32_t promised; /* length in the answer's header */
    size_t len, piece;
    unsigned pause_ms;
    bool hang_up;
    TSS2_RC want;
};

static const struct peer peers[] = {
    {"whole answer", 20, 20, 20, 0, false, TSS2_RC_SUCCESS},
    {"byte by byte", 20, 20, 1, 1, false, TSS2_RC_SUCCESS},
    {"header, then the rest", 300, 300, 10, 1, false, TSS2_RC_SUCCESS},
    {"the longest", TCTI_FD_MAX, TCTI_FD_MAX, TCTI_FD_MAX, 0, false, TSS2_RC_SUCCESS},
    {"longer than the longest", TCTI_FD_MAX + 1, 20, 20, 0, false, TSS2_TCTI_RC_MALFORMED_RESPONSE},
    {"absurd length", 0xffffffff, 20, 20, 0, false, TSS2_TCTI_RC_MALFORMED_RESPONSE},
    {"shorter than a header", 9, 20, 20, 0, false, TSS2_TCTI_RC_MALFORMED_RESPONSE},
    {"length zero", 0, 10, 10, 0, false, TSS2_TCTI_RC_MALFORMED_RESPONSE},
    {"a byte too many", 20, 21, 21, 0, false, TSS2_TCTI_RC_MALFORMED_RESPONSE},
    {"nothing", 20, 0, 1, 0, false, TSS2_TCTI_RC_IO_ERROR},
    {"half", 20, 15, 15, 0, false, TSS2_TCTI_RC_IO_ERROR},
    {"slower than the deadline", 20, 20, 1, 100, false, TSS2_TCTI_RC_IO_ERROR},
    {"end at once", 20, 0, 1, 0, true, TSS2_TCTI_RC_IO_ERROR},
    {"end in the middle", 20, 15, 15, 0, true, TSS2_TCTI_RC_IO_ERROR},
};

static pid_t start_peer(const struct peer *p, int fd)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    uint8_t answer[TCTI_FD_MAX + 1] = {0x80, 0x01}, got[COMMAND];
    store_be32(answer + 2, p->promised);
    if (read(fd, got, sizeof got) != COMMAND)
        _exit(1);
    for (size_t at = 0; at < p->len; at += p->piece) {
        usleep(p->pause_ms * 1000);
        size_t len = p->len - at < p->piece ? p->len - at : p->piece;
        if (send(fd, answer + at, len, MSG_NOSIGNAL) < 0)
            _exit(1);
    }
    if (!p->hang_up)
        usleep(3 * DEADLINE_MS * 1000);
    _exit(0);
}

static void ignore(int sig)
{
    (void)sig;
}

/* SIGALRM every 3 ms without SA_RESTART: each system call is interrupted again and again. */
static void interruptions(bool on)
{
    struct sigaction act = {.sa_handler = ignore};
    struct itimerval every = {0};
    if (on)
        every.it_interval.tv_usec = every.it_value.tv_usec = 3000;
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void run_peer(const struct peer *p, bool interrupted)
{
    int pair[2];
    struct tcti_fd tcti;
    uint8_t answer[TCTI_FD_MAX];
    size_t size = sizeof answer;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t pid = start_peer(p, pair[1]);
    close(pair[1]);
    ok(tcti_fd_open(&tcti, pair[0], DEADLINE_MS));
    TSS2_TCTI_CONTEXT *c = tcti_fd_context(&tcti);
    interruptions(interrupted);
    int64_t start = clock_monotonic_us();
    ck_assert_uint_eq(Tss2_Tcti_Transmit(c, COMMAND, command), TSS2_RC_SUCCESS);
    TSS2_RC r = Tss2_Tcti_Receive(c, &size, answer, TSS2_TCTI_TIMEOUT_BLOCK);
    int64_t took_ms = (clock_monotonic_us() - start) / 1000;
    interruptions(false);
    ck_assert_msg(r == p->want, "%s: 0x%x", p->why, r);
    ck_assert_msg(took_ms < 2 * DEADLINE_MS, "%s: %d ms", p->why, (int)took_ms);
    if (r == TSS2_RC_SUCCESS)
        ck_assert_uint_eq(size, p->len);
    else /* nothing goes over it any more */
        ck_assert_uint_eq(Tss2_Tcti_Transmit(c, COMMAND, command), TSS2_TCTI_RC_IO_ERROR);
    Tss2_Tcti_Finalize(c);
    close(pair[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

START_TEST(answers_are_taken_or_refused_as_the_table_says)
{
    run_peer(&peers[_i], false);
}
END_TEST

START_TEST(interrupted_calls_go_on)
{
    run_peer(&peers[_i], true);
}
END_TEST

START_TEST(misuse_is_refused)
{
    int pair[2];
    struct tcti_fd tcti;
    uint8_t answer[64], wrong[COMMAND];
    size_t size = sizeof answer;
    memcpy(wrong, command, COMMAND);
    wrong[5]++;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ok(tcti_fd_open(&tcti, pair[0], DEADLINE_MS));
    TSS2_TCTI_CONTEXT *c = tcti_fd_context(&tcti);
    ck_assert_uint_eq(Tss2_Tcti_Receive(c, &size, answer, 0), TSS2_TCTI_RC_BAD_SEQUENCE);
    ck_assert_uint_eq(Tss2_Tcti_Transmit(c, COMMAND, wrong), TSS2_TCTI_RC_BAD_VALUE);
    ck_assert_uint_eq(Tss2_Tcti_Transmit(c, COMMAND, command), TSS2_RC_SUCCESS);
    ck_assert_uint_eq(Tss2_Tcti_Transmit(c, COMMAND, command), TSS2_TCTI_RC_BAD_SEQUENCE);
    ck_assert_uint_eq(Tss2_Tcti_Receive(c, &size, answer, 0), TSS2_TCTI_RC_TRY_AGAIN);
    close(pair[1]);
    Tss2_Tcti_Finalize(c);
    fails(tcti_fd_open(&tcti, -1, DEADLINE_MS), RC_IO);
    close(pair[0]);
}
END_TEST

START_TEST(silent_tpm_is_given_up_after_the_deadline)
{
    struct fake f;
    fake_start(&f);
    const struct tpm_options options = {.get_fd = fake_fd, .arg = &f, .command_ms = DEADLINE_MS};
    tpm_free(&f.tpm);
    ok(tpm_new(&options, &f.tpm));
    ok(tpm_ready(f.tpm));
    uint64_t generation = tpm_generation(f.tpm);
    kill(f.pid, SIGSTOP);
    int64_t start = clock_monotonic_us();
    fails(tpm_ping(f.tpm), RC_TPM);
    ck_assert_int_lt(clock_monotonic_us() - start, 3 * DEADLINE_MS * 1000);
    ck_assert(!tpm_connected(f.tpm));
    ck_assert_uint_eq(tpm_last_code(f.tpm), 0);
    ok(tpm_ping(f.tpm));
    ck_assert_uint_gt(tpm_generation(f.tpm), generation);
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

START_TEST(tpm_killed_under_a_command_is_reconnected)
{
    struct vault v;
    AUTO_SECRET dk = NULL;
    vault_make(&v);
    ok(vault_unseal(&v));
    pid_t tpm = v.f.pid;
    kill(tpm, SIGSTOP);
    pid_t killer = fork();
    if (killer == 0) {
        usleep(200000);
        kill(tpm, SIGKILL);
        _exit(0);
    }
    ok(vault_keys_dk(v.open, 1, 1, &dk)); /* sent, no answer, end of file, new connection, again */
    ck_assert_uint_ge(v.f.opened, 2);
    waitpid(killer, NULL, 0);
    vault_end(&v);
}
END_TEST

START_TEST(left_handles_are_flushed)
{
    struct fake f;
    size_t count;
    fake_start(&f);
    ok(tpm_ready(f.tpm));
    ok(tpm_count_left(f.tpm, &count));
    ck_assert_uint_eq(count, 0);
    tpm_disconnect(f.tpm);
    ck_assert(!tpm_connected(f.tpm));
    ok(tpm_ready(f.tpm));
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

START_TEST(facts_random_and_pcrs)
{
    struct fake f;
    struct tpm_facts facts;
    const char *missing = NULL;
    uint8_t values[TPM_PCR_COUNT][TPM_PCR_BYTES];
    static const uint8_t zero[TPM_PCR_BYTES];
    AUTO_SECRET one = NULL;
    AUTO_SECRET two = NULL;
    fake_start(&f);
    ok(tpm_facts(f.tpm, &facts));
    ck_assert(facts.software && facts.ecc_p256 && facts.aes_256 && facts.rsa_2048);
    ck_assert_str_eq(facts.manufacturer, "IBM");
    ok(tpm_facts_suffice(&facts, &missing));
    facts.policy_nv = false;
    fails(tpm_facts_suffice(&facts, &missing), RC_FEATURE);
    ck_assert_str_eq(missing, "TPM2_PolicyNV");
    ok(tpm_random(f.tpm, 100, &one));
    ok(tpm_random(f.tpm, 100, &two));
    ck_assert(!secret_equal(one, two));
    extend(&f, 10);
    ok(tpm_pcr_read(f.tpm, 1u << 10 | 1u << 7, values));
    ck_assert_mem_ne(values[10], zero, sizeof zero);
    ck_assert_mem_eq(values[7], zero, sizeof zero);
    fails(tpm_pcr_extend(f.tpm, 24, zero), RC_INVALID_FIELD);
    nothing_left(&f);
    fake_end(&f);
}
END_TEST

Suite *tcti_suite(void)
{
    Suite *s = suite_create("tpm connection");
    TCase *t = tcase_create("connection");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, answers_are_taken_or_refused_as_the_table_says, 0,
                        sizeof peers / sizeof peers[0]);
    tcase_add_loop_test(t, interrupted_calls_go_on, 0, sizeof peers / sizeof peers[0]);
    tcase_add_test(t, misuse_is_refused);
    tcase_add_test(t, silent_tpm_is_given_up_after_the_deadline);
    tcase_add_test(t, tpm_killed_under_a_command_is_reconnected);
    tcase_add_test(t, left_handles_are_flushed);
    tcase_add_test(t, facts_random_and_pcrs);
    suite_add_tcase(s, t);
    return s;
}
