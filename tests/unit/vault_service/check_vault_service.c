/*
 * The vault's service over a socketpair, on a real (software) TPM: unseal, make keys, give them,
 * refuse what must be refused, lose the TPM and heal, restart. Then the program itself, in its
 * sandbox.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/ipc/control.h"
#include "server/ipc/spawn.h"
#include "server/process/sandbox.h"
#include "server/vault/hierarchy.h"
#include "tests/unit/vault_service/fixture.h"

START_TEST(a_key_is_made_and_given_also_after_a_restart)
{
    struct control c = {0};
    ck_assert_int_eq(generate(&c).rc, RC_SEALED); /* nobody has brought the rows yet */
    ck_assert_int_eq(unseal().rc, RC_OK);
    ck_assert_int_eq(unseal().rc, RC_OK); /* idempotent */
    struct vault_reply made = generate(&c);
    ck_assert_int_eq(made.rc, RC_OK);
    struct vault_reply got = get(&c, &made);
    ck_assert_int_eq(got.rc, RC_OK);
    ck_assert_uint_eq(got.plain.len, 32);
    ck_assert_uint_eq(got.key_format, 1);
    vault_again();
    ck_assert_int_eq(get(&c, &made).rc, RC_SEALED);
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply again = get(&c, &made);
    ck_assert_int_eq(again.rc, RC_OK);
    ck_assert(bytes_equal(got.plain, again.plain));
}
END_TEST

START_TEST(registered_bytes_come_back)
{
    static const char text[] = "a secret of the client's own";
    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    ck_assert_int_eq(generate(&c).rc, RC_OK);
    c.object_type = 7;
    c.algorithm = c.length = 0;
    struct vault_call call = {.op = VAULT_REGISTER,
                              .domain = 1,
                              .control = c,
                              .key_format = 2,
                              .material = bytes_str(text)};
    struct vault_reply made = ask(&call);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_ptr_null(memmem(made.envelope.data, made.envelope.len, "secret", 6));
    struct vault_reply got = get(&c, &made);
    ck_assert_int_eq(got.rc, RC_OK);
    ck_assert(bytes_is(got.plain, text));
    ck_assert_uint_eq(got.key_format, 2);
}
END_TEST

static struct vault_reply check_password(uint8_t client, const char *password)
{
    static const struct scrypt_cost cost = {10, 1, 1};
    struct vault_call call = {.op = VAULT_PASSWORD, .material = bytes_str(password)};
    call.password.client.raw[0] = client;
    call.password.cost = cost;
    call.password.salt = bytes_str("0123456789abcdef");
    ck_assert_int_eq(scrypt_hash(&cost, call.password.salt, bytes_str("open sesame"), call.password.hash), RC_OK);
    return ask(&call);
}

/* It needs no key: the vault is still sealed. */
START_TEST(a_password_is_right_or_wrong_or_not_looked_at)
{
    ck_assert_int_eq(check_password(1, "open sesame").rc, RC_OK);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(check_password(1, i % 2 ? "open sesam" : "").rc, RC_AUTH_FAILED);
    ck_assert_int_eq(check_password(1, "open sesame").rc, RC_DENIED);
    ck_assert_int_eq(check_password(2, "open sesame").rc, RC_OK);
    struct vault_call much = {.op = VAULT_PASSWORD, .password = {.cost = {20, 8, 1}}, .material = bytes_str("x")};
    ck_assert_int_eq(ask(&much).rc, RC_INVALID_FIELD);
#ifndef HF_SANITIZERS
    static const char rare[] = "a password like no other text 7261";
    ck_assert_int_eq(check_password(2, rare).rc, RC_AUTH_FAILED);
    ck_assert_int_eq(ask(&(struct vault_call){.op = VAULT_STATUS}).rc, RC_OK);
    ck_assert_int_eq(scan_memory(fx.vault, (const uint8_t *)rare + 2, 20), 0);
#endif
}
END_TEST

static struct vault_reply transition(const struct control *old, const struct vault_reply *made,
                                     const struct control *next)
{
    struct vault_call call = {.op = VAULT_TRANSITION, .domain = 1, .control = *old, .next = *next};
    memcpy(call.mac, made->mac, sizeof call.mac);
    return ask(&call);
}

/* Over the TTLV of the Key Material, beside that of the raw bytes (KMIP 2.1, 4.21). */
START_TEST(a_transparent_key_has_two_digests)
{
    static const uint8_t ttlv[] = {0x42, 0x00, 0x43, 0x01, 0, 0, 0, 24, 0x42, 0x00, 0x3F, 0x08, 0, 0, 0, 16,
                                   0,    1,    2,    3,    4, 5, 6, 7,  8,    9,    10,   11,   12, 13, 14, 15};
    uint8_t raw[32], whole[32];
    struct control c = new_record();
    ck_assert_int_eq(unseal().rc, RC_OK);
    SHA256(ttlv + 16, 16, raw);
    SHA256(ttlv, sizeof ttlv, whole);
    c.length = 128;
    struct vault_call call = {.op = VAULT_REGISTER,
                              .domain = 1,
                              .control = c,
                              .material = bytes_of(ttlv + 16, 16),
                              .key_format = 7};
    struct vault_reply r = ask(&call);
    ck_assert_int_eq(r.rc, RC_OK);
    ck_assert_uint_eq(r.other_format, 7);
    ck_assert_mem_eq(r.digest, raw, 32);
    ck_assert_mem_eq(r.other_digest, whole, 32);
    call.key_format = 1;
    ck_assert_int_eq(uid_new(&call.control.uid), RC_OK);
    ck_assert_uint_eq(ask(&call).other_format, 0);
    call = (struct vault_call){.op = VAULT_GENERATE, .domain = 1, .control = c, .key_format = 7};
    ck_assert_int_eq(uid_new(&call.control.uid), RC_OK);
    r = ask(&call);
    ck_assert_int_eq(r.rc, RC_OK);
    ck_assert_uint_eq(r.other_format, 7);
}
END_TEST

START_TEST(a_key_lives_and_is_destroyed_for_good)
{
    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c), at = made;
    struct control next = c;
    next.version = 2;
    next.state = STATE_DESTROYED; /* not while Active */
    next.destroy_date = clock_wall_s();
    ck_assert_int_eq(transition(&c, &at, &next).rc, RC_ILLEGAL_TRANSITION);
    next = c;
    next.version = 2;
    next.state = STATE_DEACTIVATED;
    next.deactivation_date = clock_wall_s();
    next.revocation_reason = 5;
    struct vault_reply moved = transition(&c, &at, &next);
    ck_assert_int_eq(moved.rc, RC_OK);
    memcpy(at.mac, moved.mac, sizeof at.mac);
    ck_assert_int_eq(get(&next, &at).rc, RC_OK); /* to decrypt old data */
    struct control dead = next;
    dead.version = 3;
    dead.state = STATE_DESTROYED;
    dead.destroy_date = clock_wall_s();
    moved = transition(&next, &at, &dead);
    ck_assert_int_eq(moved.rc, RC_OK);
    memcpy(at.mac, moved.mac, sizeof at.mac);
    ck_assert_int_eq(get(&dead, &at).rc, RC_DESTROYED); /* though its material was put back */
    struct control undead = dead;
    undead.state = STATE_DEACTIVATED;
    undead.destroy_date = NO_DATE;
    ck_assert_int_eq(get(&undead, &at).rc, RC_INTEGRITY);
    undead.version = 4;
    ck_assert_int_eq(transition(&dead, &at, &undead).rc, RC_ILLEGAL_TRANSITION);
}
END_TEST

START_TEST(altered_rows_are_refused)
{
    struct control a = {0}, b = {0}, edited;
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made_a = generate(&a), made_b = generate(&b), mixed;
    ck_assert_int_eq(get(&a, &made_a).rc, RC_OK);

    mixed = made_a; /* material swapped between two rows */
    mixed.envelope = made_b.envelope;
    ck_assert_int_eq(get(&a, &mixed).rc, RC_INTEGRITY);
    ck_assert_int_eq(get(&b, &made_a).rc, RC_INTEGRITY);

    edited = a; /* another owner */
    edited.owner.raw[0] ^= 1;
    ck_assert_int_eq(get(&edited, &made_a).rc, RC_INTEGRITY);

    struct vault_reply second = generate(&a); /* a second record for the same identifier */
    mixed = second;
    mixed.envelope = made_a.envelope;
    ck_assert_int_eq(second.rc, RC_OK);
    ck_assert_int_eq(get(&a, &mixed).rc, RC_INTEGRITY);

    uint8_t changed[512];
    ck_assert_uint_le(made_a.envelope.len, sizeof changed);
    for (size_t i = 0; i < made_a.envelope.len; i++) { /* each byte, epochs included */
        memcpy(changed, made_a.envelope.data, made_a.envelope.len);
        changed[i] ^= 0x80;
        mixed = made_a;
        mixed.envelope = bytes_of(changed, made_a.envelope.len);
        ck_assert_msg(get(&a, &mixed).rc == RC_INTEGRITY, "byte %zu", i);
    }
    /* A row that no record can be: refused as well, and the channel serves on. */
    edited = a;
    edited.protection = 9;
    ck_assert_int_eq(get(&edited, &made_a).rc, RC_INTEGRITY);
    ck_assert_int_eq(transition(&edited, &made_a, &a).rc, RC_INTEGRITY);
    edited = a;
    edited.object_type = 0;
    ck_assert_int_eq(get(&edited, &made_a).rc, RC_INTEGRITY);
    ck_assert_int_eq(get(&a, &made_a).rc, RC_OK);

    struct vault_call foreign = {
        .op = VAULT_GET, .domain = 2, .control = a, .material = made_a.envelope};
    memcpy(foreign.mac, made_a.mac, sizeof foreign.mac);
    ck_assert_int_eq(ask(&foreign).rc, RC_INTEGRITY);

    /* The status says so until somebody reads it, and names the object. */
    char uid[UID_TEXT_SIZE];
    uid_print(&a.uid, uid);
    struct vault_reply status = ask(&(struct vault_call){.op = VAULT_STATUS});
    const char *alarm = memmem(status.status.data, status.status.len, "\"alarm\":\"", 9);
    ck_assert_ptr_nonnull(alarm);
    size_t left = status.status.len - (size_t)(alarm - (const char *)status.status.data);
    ck_assert_ptr_nonnull(memmem(alarm, left, uid, strlen(uid)));
    ck_assert_ptr_nonnull(memmem(alarm, left, "restore it from a backup", 24));
}
END_TEST

START_TEST(what_may_not_leave_does_not_leave)
{
    struct control c = {0}, d;
    ck_assert_int_eq(unseal().rc, RC_OK);
    ck_assert_int_eq(generate(&c).rc, RC_OK);
    d = c;
    d.sensitive = d.always_sensitive = true;
    struct vault_reply made = generate(&d);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_int_eq(get(&d, &made).rc, RC_SENSITIVE);
    d = c;
    d.extractable = false;
    d.never_extractable = true;
    made = generate(&d);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_int_eq(get(&d, &made).rc, RC_NOT_EXTRACTABLE);
    d = c;
    d.protection = PROTECTION_TPM_RESIDENT; /* refused, not lowered */
    ck_assert_int_eq(generate(&d).rc, RC_FEATURE);
    d = c;
    d.domain = 9; /* there is no such domain */
    struct vault_call call = {.op = VAULT_GENERATE, .domain = 9, .control = d};
    ck_assert_int_ne(ask(&call).rc, RC_OK);
    d = c;
    d.length = 100;
    ck_assert_int_eq(generate(&d).rc, RC_INVALID_FIELD);
}
END_TEST

START_TEST(many_calls_in_one_write_are_answered_together)
{
    enum { CALLS = 2000 };
    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c);
    struct vault_call call = {
        .op = VAULT_GET, .domain = 1, .control = c, .material = made.envelope};
    memcpy(call.mac, made.mac, sizeof call.mac);
    struct frame_writer w = {BUF_EMPTY, 0};
    struct frame_reader r;
    size_t answered = 0;
    frame_reader_init(&r, vault_reply_fits, NULL);
    for (uint64_t i = 0; i < CALLS; i++)
        ck_assert_int_eq(vault_call_write(&w, i, &call), RC_OK);
    int64_t began = clock_monotonic_us();
    while (answered < CALLS) {
        size_t got;
        bool have = true;
        ck_assert_int_ne(frame_flush(&w, fx.fd), RC_IO);
        ck_assert_int_eq(frame_read(&r, fx.fd, &got), RC_OK);
        while (have) {
            struct frame f;
            ck_assert_int_eq(frame_next(&r, &f, &have), RC_OK);
            if (have)
                ck_assert_uint_eq(f.rc, RC_OK);
            answered += have;
        }
    }
    printf("# %d answers, %.1f us each\n", CALLS, (double)(clock_monotonic_us() - began) / CALLS);
    frame_reader_free(&r);
    frame_writer_free(&w);
}
END_TEST

START_TEST(a_malformed_frame_ends_that_channel_only)
{
    static const uint8_t junk[][FRAME_HEADER_BYTES] = {
        {0, 0, 0, 0, 0xFF, 0xFF},            /* no such call */
        {0xFF, 0, 0, 0, 0, VAULT_GET},       /* too long */
        {0, 0, 0, 0, 0, VAULT_ADMIN},        /* not a worker's to ask */
        {0, 0, 0, 0, 0, VAULT_GENERATE},     /* too short */
        {0, 0, 0, 0, 0, VAULT_STATUS, 0, 9}, /* a call with a result */
    };
    int pairs[COUNT(junk) + 1][2], ends[COUNT(junk) + 1];
    vault_kill();
    for (int i = 0; i <= COUNT(junk); i++) {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        fcntl(pairs[i][0], F_SETFD, FD_CLOEXEC);
        ends[i] = pairs[i][1];
    }
    vault_begin(ends, COUNT(ends), true);
    fx.fd = pairs[COUNT(junk)][0];
    ck_assert_int_eq(unseal().rc, RC_OK);
    for (int i = 0; i < COUNT(junk); i++) {
        char byte;
        ck_assert_int_eq(write(pairs[i][0], junk[i], FRAME_HEADER_BYTES), FRAME_HEADER_BYTES);
        /* The child inherited the other ends too, so wait for the vault to have dropped it. */
        struct timeval wait = {2, 0};
        setsockopt(pairs[i][0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        ssize_t n = recv(pairs[i][0], &byte, 1, 0);
        ck_assert_msg(n == 0 || (n < 0 && errno == ECONNRESET), "frame %d", i);
        close(pairs[i][0]);
    }
    struct control c = {0};
    ck_assert_int_eq(generate(&c).rc, RC_OK);
}
END_TEST

/* Brings rows that are not those which the vault has open. */
static struct vault_reply unseal_other_rows(void)
{
    AUTO_ARENA arena = ARENA_OF(4 << 20);
    AUTO_BUF encoded = BUF_EMPTY;
    struct hierarchy rows;
    ck_assert_int_eq(hierarchy_decode(buf_view(&fx.rows), &arena, &rows), RC_OK);
    rows.nodes[0].ek_cert = bytes_str("of no weight");
    ck_assert_int_eq(hierarchy_encode(&rows, &encoded), RC_OK);
    return ask(&(struct vault_call){.op = VAULT_UNSEAL, .hierarchy = buf_view(&encoded)});
}

START_TEST(a_lost_tpm_degrades_and_heals)
{
    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c);
    wait_state("serving");
    swtpm_kill();
    ck_assert_int_eq(unseal_other_rows().rc, RC_UNAVAILABLE); /* before the loss was noticed */
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);
    wait_state("degraded");
    ck_assert_int_eq(get(&c, &made).rc, RC_OK); /* opened keys serve on */
    ck_assert_int_eq(unseal_other_rows().rc, RC_UNAVAILABLE); /* and are not given up for others */
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);
    wait_state("degraded");
    swtpm_begin();
    wait_state("serving");
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);
    ck_assert_int_eq(unseal_other_rows().rc, RC_OK);
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);
}
END_TEST

#ifndef HF_SANITIZERS
START_TEST(no_key_stays_in_memory)
{
    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c), got = get(&c, &made);
    ck_assert_int_eq(got.rc, RC_OK);
    /* One call later, so that the answer is out and its buffer settled. */
    ck_assert_int_eq(ask(&(struct vault_call){.op = VAULT_STATUS}).rc, RC_OK);
    ck_assert_int_eq(scan_memory(fx.vault, got.plain.data, got.plain.len), 0);
}
END_TEST
#endif

START_TEST(a_tpm_gone_for_too_long_seals)
{
    fx.degraded_ms = 0;
    fx.has_degraded = true;
    vault_again();
    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c);
    swtpm_kill();
    wait_state("sealed");
    ck_assert_int_eq(get(&c, &made).rc, RC_SEALED);
    swtpm_begin();
    wait_state("serving"); /* without being asked again */
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);
}
END_TEST

static void status_says(const char *words)
{
    struct vault_reply r = ask(&(struct vault_call){.op = VAULT_STATUS});
    ck_assert_msg(memmem(r.status.data, r.status.len, words, strlen(words)), "%.*s",
                  (int)r.status.len, r.status.data);
}

START_TEST(each_trouble_has_its_state)
{
    wait_state("sealed");
    int ends[2];
    vault_kill();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fx.fd = ends[0];
    vault_begin(&ends[1], 1, false); /* never set up */
    wait_state("none");
    ck_assert_int_ne(unseal().rc, RC_OK);
    status_says("recovery restore"); /* but these rows were: its state is lost */

    fx.node_state.data[fx.node_state.len / 2] ^= 1;
    vault_again(); /* a damaged state is not taken for none */
    fx.node_state.data[fx.node_state.len / 2] ^= 1;
    ck_assert_int_eq(unseal().rc, RC_INTEGRITY);
    wait_state("sealed");
    status_says("node.state is damaged");

    vault_again(); /* rows that are none */
    struct vault_reply r =
        ask(&(struct vault_call){.op = VAULT_UNSEAL, .hierarchy = bytes_str("junk")});
    ck_assert_int_ne(r.rc, RC_OK);
    ck_assert_uint_gt(r.status.len, 0);
    ck_assert_int_eq(unseal().rc, RC_OK); /* the right ones still open */
    r = ask(&(struct vault_call){.op = VAULT_UNSEAL, .hierarchy = bytes_str("junk")});
    ck_assert_int_ne(r.rc, RC_OK); /* and junk does not close it again */
    struct control c = {0};
    ck_assert_int_eq(generate(&c).rc, RC_OK);

    swtpm_kill(); /* no TPM at start */
    vault_again();
    ck_assert_int_ne(unseal().rc, RC_OK);
    wait_state("sealed");
    swtpm_begin();
    wait_state("serving");
}
END_TEST

/* ---- the program, supervised by hand ---- */

static int memory_file(struct bytes text)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text.data, text.len), (ssize_t)text.len);
    return fd;
}

/* Answers the vault's requests until one of this code came; tells its length. */
static struct control_message message;
static const char *program_config = "[server]\nlog_level = warn\n";
static void supervise_until(int control, enum control_code want)
{
    for (int64_t until = clock_monotonic_us() + 15000000; clock_monotonic_us() < until;) {
        rc_t rc = control_receive(control, BY_VAULT, &message);
        if (rc == RC_BUSY) {
            usleep(2000);
            continue;
        }
        ck_assert_msg(rc == RC_OK, "the vault ended: %s", rc_name(rc));
        enum control_code code = message.code;
        int fd = -1;
        uint8_t kind = CONTROL_TPM_SOFTWARE;
        if (code == CONTROL_ASK_CONFIG) {
            fd = memory_file(bytes_str(program_config));
            ck_assert_int_eq(
                control_send(control, BY_SUPERVISOR, CONTROL_CONFIG, BYTES_NONE, &fd, 1), RC_OK);
        } else if (code == CONTROL_ASK_NODE_STATE) {
            fd = memory_file(buf_view(&fx.node_state));
            ck_assert_int_eq(
                control_send(control, BY_SUPERVISOR, CONTROL_NODE_STATE, BYTES_NONE, &fd, 1),
                RC_OK);
        } else if (code == CONTROL_ASK_TPM) {
            fd = swtpm_connect();
            ck_assert_int_eq(
                control_send(control, BY_SUPERVISOR, CONTROL_TPM, bytes_of(&kind, 1), &fd, fd >= 0),
                RC_OK);
        }
        if (fd >= 0)
            close(fd);
        control_close(&message);
        if (code == want)
            return;
    }
    ck_abort_msg("the vault did not say %s", control_name(want));
}

/* Supervises in a child, so that the test can make blocking calls meanwhile. */
static pid_t supervise_beside(int control)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(fx.fd);
        supervise_until(control, CONTROL_COUNT);
        _exit(0);
    }
    return pid;
}

/* Gives the vault the channel of worker 7. Returns the worker's end. */
static int give_channel(int control)
{
    int ends[2];
    uint8_t who[8] = {0, 0, 0, 7};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert_int_eq(
        control_send(control, BY_SUPERVISOR, CONTROL_PEER, bytes_of(who, 8), &ends[1], 1), RC_OK);
    close(ends[1]);
    return ends[0];
}

START_TEST(the_program_serves_in_its_sandbox)
{
    const char *build = getenv("HOLDFAST_BUILD");
    char path[512];
    const char *argv[] = {"holdfast-vault", NULL};
    int control[2], error;
    const char *step;
    char byte;
    if (_i) /* opened keys are not served without the TPM */
        program_config = "[server]\nlog_level = warn\n[vault]\ndegraded_ms = 0\n";
    vault_kill();
    snprintf(path, sizeof path, "%s/server/main/holdfast-vault", build ? build : ".");
    ck_assert_int_eq(control_pair(control), RC_OK);
    const struct spawn s = {
        .path = path, .argv = argv, .fds = {-1, 2, 2, control[1]}, .fd_count = 4};
    rc_t rc = spawn_start(&s, &fx.vault, &error, &step);
    ck_assert_msg(rc == RC_OK, "%s: %s: %s", path, step, strerror(error));
    close(control[1]);
    supervise_until(control[0], CONTROL_READY);
    int old = give_channel(control[0]);
    fx.fd = give_channel(control[0]);
    ck_assert_int_eq(read(old, &byte, 1), 0); /* one worker has one channel, the last */
    close(old);
    pid_t supervisor = supervise_beside(control[0]);

    struct control c = {0};
    ck_assert_int_eq(unseal().rc, RC_OK);
    struct vault_reply made = generate(&c);
    ck_assert_int_eq(made.rc, RC_OK);
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);
    struct control private = new_record(), public = new_record();
    private.object_type = 4;
    public.object_type = 3;
    private.algorithm = public.algorithm = 4;
    private.length = public.length = 2048;
    ck_assert_int_eq(ask(&(struct vault_call){.op = VAULT_GENERATE_PAIR,
                                              .domain = 1,
                                              .control = private,
                                              .control_public = public})
                         .rc,
                     RC_OK);
    swtpm_kill();
    wait_state(_i ? "sealed" : "degraded");
    ck_assert_int_eq(get(&c, &made).rc, _i ? RC_SEALED : RC_OK);
    swtpm_begin();
    wait_state("serving");
    ck_assert_int_eq(get(&c, &made).rc, RC_OK);

    snprintf(path, sizeof path, "/proc/%d/status", (int)fx.vault);
    char text[4096];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "Seccomp:\t2"));
    ck_assert_ptr_nonnull(strstr(text, "NoNewPrivs:\t1"));

    kill(supervisor, SIGKILL); /* the supervisor's end: the vault ends too, by itself */
    waitpid(supervisor, NULL, 0);
    close(control[0]);
    int status;
    ck_assert_int_eq(waitpid(fx.vault, &status, 0), fx.vault);
    ck_assert_int_eq(status, 0);
    fx.vault = 0;
}
END_TEST

#if !defined HF_SANITIZERS && !defined HF_COVERAGE /* both need files in the sandbox */
static void try_connect(void)
{
    (void)!connect(0, NULL, 0);
}
static void try_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
}
static void try_fork(void)
{
    (void)!fork();
}
static void try_write_file(void)
{
    (void)!open("/tmp/hfvault-forbidden", O_WRONLY | O_CREAT, 0600);
}
static void try_signal(void)
{
    kill(getppid(), 0);
}
static void (*const forbidden[])(void) = {try_connect, try_exec, try_fork, try_write_file,
                                          try_signal};

static pid_t in_sandbox(void)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0 && (!freopen("/dev/null", "w", stderr) || sandbox_harden() != RC_OK ||
                     sandbox_enter(SANDBOX_VAULT) != RC_OK))
        _exit(99);
    return pid;
}

START_TEST(it_can_open_nothing)
{
    pid_t pid = in_sandbox();
    if (pid == 0)
        _exit(open("/etc/passwd", O_RDONLY) < 0 && socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_call_off_the_list_kills)
{
    pid_t pid = in_sandbox();
    if (pid == 0) {
        forbidden[_i]();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %x", (unsigned)status);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("vault_service");
    TCase *t = tcase_create("service");
    tcase_add_unchecked_fixture(t, fixture_make, fixture_unmake);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_add_test(t, a_key_is_made_and_given_also_after_a_restart);
    tcase_add_test(t, registered_bytes_come_back);
    tcase_add_test(t, a_password_is_right_or_wrong_or_not_looked_at);
    tcase_add_test(t, a_transparent_key_has_two_digests);
    tcase_add_test(t, a_key_lives_and_is_destroyed_for_good);
    tcase_add_test(t, altered_rows_are_refused);
    tcase_add_test(t, what_may_not_leave_does_not_leave);
    tcase_add_test(t, many_calls_in_one_write_are_answered_together);
    tcase_add_test(t, a_malformed_frame_ends_that_channel_only);
    tcase_add_test(t, a_lost_tpm_degrades_and_heals);
#ifndef HF_SANITIZERS
    tcase_add_test(t, no_key_stays_in_memory);
#endif
    tcase_add_test(t, a_tpm_gone_for_too_long_seals);
    tcase_add_test(t, each_trouble_has_its_state);
    tcase_add_loop_test(t, the_program_serves_in_its_sandbox, 0, 2);
    suite_add_tcase(s, t);
    suite_add_tcase(s, pair_tests());
    suite_add_tcase(s, domain_tests());
    suite_add_tcase(s, cipher_tests());
#if !defined HF_SANITIZERS && !defined HF_COVERAGE
    TCase *box = tcase_create("sandbox");
    tcase_add_test(box, it_can_open_nothing);
    tcase_add_loop_test(box, a_call_off_the_list_kills, 0, COUNT(forbidden));
    suite_add_tcase(s, box);
#endif
    SRunner *sr = srunner_create(s);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
