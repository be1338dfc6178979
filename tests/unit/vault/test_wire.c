/* Frames and the calls in them: round trips, one byte at a time, and hostile ones. */
#include <sys/socket.h>
#include <unistd.h>

#include "server/vault/admin.h"
#include "server/vault/wire.h"
#include "tests/unit/vault/vault_tests.h"

static bool worker_may(uint16_t code, uint32_t len, void *arg)
{
    (void)arg;
    return vault_call_allowed(code, FROM_WORKER, len);
}

static bool any(uint16_t code, uint32_t len, void *arg)
{
    (void)code, (void)len, (void)arg;
    return true;
}

static struct vault_call sample_call(enum vault_op op)
{
    struct vault_call c = {
        .op = op,
        .domain = 1,
        .control = sample_control(),
        .control_public = sample_control(),
        .next = sample_control(),
        .material = bytes_str("an envelope, or key bytes"),
        .key_format = 1,
        .key_format_public = 5,
        .hierarchy = bytes_str("rows"),
        .body = bytes_str("a step"),
        .password = {.client = {{9}}, .cost = {14, 8, 5}, .salt = bytes_str("some salt"), .hash = {0x5A}},
        .cipher = {.request = {true, 3, 6, 1, 12, 14, 32, true, 7, true},
                   .iv = bytes_str("an IV"),
                   .additional = bytes_str("more"),
                   .tag = bytes_str("a tag"),
                   .data = bytes_str("the data")},
    };
    c.next.version++;
    memset(c.mac, 0x3C, sizeof c.mac);
    return c;
}

static const enum vault_op ops[] = {VAULT_GENERATE, VAULT_GENERATE_PAIR, VAULT_REGISTER,
                                    VAULT_GET,      VAULT_TRANSITION,    VAULT_UNSEAL,
                                    VAULT_STATUS,   VAULT_ADMIN,         VAULT_DOMAIN_KEY,
                                    VAULT_PASSWORD, VAULT_CIPHER};

/* Takes the one frame of a writer apart again. */
static struct frame frame_of(const struct frame_writer *w)
{
    const uint8_t *p = w->out.data;
    struct frame f = {load_be16(p + 4), load_be16(p + 6), load_be64(p + 8),
                      bytes_of(p + FRAME_HEADER_BYTES, load_be32(p))};
    ck_assert_uint_eq(w->out.len, FRAME_HEADER_BYTES + f.payload.len);
    return f;
}

START_TEST(calls_read_back_as_written)
{
    struct vault_call call = sample_call(ops[_i]), back;
    struct frame_writer w = {BUF_EMPTY, 0}, again = {BUF_EMPTY, 0};
    ck_assert_int_eq(vault_call_write(&w, 77, &call), RC_OK);
    struct frame f = frame_of(&w);
    ck_assert_uint_eq(f.id, 77);
    ck_assert_int_eq(vault_call_read(&f, &back), RC_OK);
    ck_assert_int_eq(vault_call_write(&again, 77, &back), RC_OK);
    ck_assert(bytes_equal(buf_view(&w.out), buf_view(&again.out)));
    /* Every shorter payload is refused, or is a shorter variable part. */
    for (size_t len = 0; len < f.payload.len; len++) {
        struct frame cut = f;
        cut.payload.len = len;
        if (vault_call_read(&cut, &back) == RC_OK)
            ck_assert(ops[_i] == VAULT_CIPHER ? back.cipher.data.len < call.cipher.data.len
                                              : back.material.len + back.hierarchy.len + back.body.len < 26);
    }
    f.rc = 1; /* calls carry no result */
    ck_assert_int_eq(vault_call_read(&f, &back), RC_PROTOCOL);
    frame_writer_free(&w);
    frame_writer_free(&again);
}
END_TEST

static void is_made(const struct vault_reply *r)
{
    ck_assert(bytes_is(r->envelope, "envelope"));
    ck_assert_uint_eq(r->mac[0], 7);
    ck_assert_uint_eq(r->digest[31], 8);
    ck_assert_uint_eq(r->other_digest[31], 9);
    ck_assert_uint_eq(r->key_format, 1);
    ck_assert_uint_eq(r->other_format, 3);
    ck_assert_uint_eq(r->algorithm, 4);
    ck_assert_uint_eq(r->length, 2048);
    ck_assert_uint_eq(r->curve, 7);
}

static void is_other_half(const struct vault_half *h)
{
    ck_assert(bytes_is(h->envelope, "the other envelope"));
    ck_assert_uint_eq(h->mac[31], 10);
    ck_assert_uint_eq(h->digest[0], 11);
    ck_assert_uint_eq(h->other_digest[0], 12);
    ck_assert_uint_eq(h->key_format, 5);
    ck_assert_uint_eq(h->other_format, 6);
}

/* And no IV or tag that is longer than its room. */
static void is_output(const struct frame *f, const struct vault_reply *r)
{
    struct vault_reply back;
    uint8_t copy[256];
    ck_assert(bytes_is(r->plain, "plain"));
    ck_assert_uint_eq(r->iv_bytes, 12);
    ck_assert_uint_eq(r->tag_bytes, 16);
    ck_assert_mem_eq(r->iv, "a made IV", 9);
    ck_assert_mem_eq(r->tag, "a made tag", 10);
    ck_assert_uint_le(f->payload.len, sizeof copy);
    for (size_t at = 3; at <= 3 + 4 + sizeof r->iv; at += 4 + sizeof r->iv) { /* the lowest byte of a length */
        struct frame longer = *f;
        memcpy(copy, f->payload.data, f->payload.len);
        copy[at] = 17;
        longer.payload.data = copy;
        ck_assert_int_eq(vault_reply_read(&longer, &back), RC_PROTOCOL);
    }
    for (size_t len = 0; len < WIRE_CIPHER_REPLY_BYTES; len++) {
        struct frame cut = *f;
        cut.payload.len = len;
        ck_assert_int_eq(vault_reply_read(&cut, &back), RC_PROTOCOL);
    }
}

START_TEST(replies_read_back_as_written)
{
    struct vault_reply reply =
                           {
                               .rc = RC_OK,
                               .envelope = bytes_str("envelope"),
                               .plain = bytes_str("plain"),
                               .key_format = 1,
                               .other_format = 3,
                               .algorithm = 4,
                               .length = 2048,
                               .curve = 7,
                               .half = {.envelope = bytes_str("the other envelope"),
                                        .key_format = 5,
                                        .other_format = 6},
                               .status = bytes_str("{}"),
                               .iv_bytes = 12,
                               .tag_bytes = 16,
                               .iv = "a made IV",
                               .tag = "a made tag",
                           },
                       back;
    memset(reply.mac, 7, sizeof reply.mac);
    memset(reply.digest, 8, sizeof reply.digest);
    memset(reply.other_digest, 9, sizeof reply.other_digest);
    memset(reply.half.mac, 10, sizeof reply.half.mac);
    memset(reply.half.digest, 11, sizeof reply.half.digest);
    memset(reply.half.other_digest, 12, sizeof reply.half.other_digest);
    for (int rc = RC_OK; rc <= RC_INTEGRITY; rc += RC_INTEGRITY) {
        struct frame_writer w = {BUF_EMPTY, 0};
        reply.rc = (rc_t)rc;
        ck_assert_int_eq(vault_reply_write(&w, ops[_i], 5, &reply), RC_OK);
        struct frame f = frame_of(&w);
        ck_assert_int_eq(vault_reply_read(&f, &back), RC_OK);
        ck_assert_int_eq(back.rc, rc);
        if (rc != RC_OK)
            ck_assert_uint_eq(back.envelope.len + back.plain.len, 0);
        else if (ops[_i] == VAULT_GET)
            ck_assert(bytes_is(back.plain, "plain") && back.key_format == 1);
        else if (ops[_i] == VAULT_CIPHER)
            is_output(&f, &back);
        else if (ops[_i] == VAULT_GENERATE || ops[_i] == VAULT_REGISTER ||
                 ops[_i] == VAULT_GENERATE_PAIR)
            is_made(&back);
        if (rc == RC_OK && ops[_i] == VAULT_GENERATE_PAIR)
            is_other_half(&back.half);
        for (size_t len = 0; rc == RC_OK && ops[_i] == VAULT_GENERATE_PAIR && len < f.payload.len;
             len++) {
            struct frame cut = f;
            cut.payload.len = len;
            ck_assert_int_eq(vault_reply_read(&cut, &back), RC_PROTOCOL);
        }
        f.rc = RC_COUNT;
        ck_assert_int_eq(vault_reply_read(&f, &back), RC_PROTOCOL);
        frame_writer_free(&w);
    }
}
END_TEST

static const struct {
    uint16_t code;
    uint32_t len;
    enum vault_peer peer;
    bool may;
} asked[] = {
    {0, 0, FROM_WORKER, false},
    {VAULT_GET, WIRE_GET_BYTES + 100, FROM_WORKER, true},
    {VAULT_GET, WIRE_GET_BYTES + VAULT_ENVELOPE_MAX, FROM_WORKER, true},
    {VAULT_GET, WIRE_GET_BYTES + VAULT_ENVELOPE_MAX + 1, FROM_WORKER, false},
    {VAULT_GET, 0xFFFFFFFF, FROM_WORKER, false},
    {VAULT_GET, 100, FROM_SUPERVISOR, false},
    {VAULT_GET, 100, FROM_ADMIN, false},
    {VAULT_CIPHER, WIRE_CIPHER_BYTES + VAULT_ENVELOPE_MAX + VAULT_DATA_MAX, FROM_WORKER, true},
    {VAULT_CIPHER, WIRE_CIPHER_BYTES + VAULT_ENVELOPE_MAX + VAULT_DATA_MAX + 1, FROM_WORKER, false},
    {VAULT_CIPHER, 300, FROM_SUPERVISOR, false},
    {VAULT_CIPHER, 300, FROM_ADMIN, false},
    {VAULT_STATUS, 0, FROM_WORKER, true},
    {VAULT_STATUS, 0, FROM_SUPERVISOR, true},
    {VAULT_STATUS, 1, FROM_SUPERVISOR, false},
    {VAULT_ADMIN, 10, FROM_WORKER, false},
    {VAULT_ADMIN, 10, FROM_SUPERVISOR, false},
    {VAULT_ADMIN, 10, FROM_ADMIN, true},
    {VAULT_UNSEAL, 10, FROM_SUPERVISOR, false},
    {VAULT_DOMAIN_KEY, WIRE_DOMAIN_KEY_BYTES, FROM_WORKER, true},
    {VAULT_DOMAIN_KEY, WIRE_DOMAIN_KEY_BYTES + 1, FROM_WORKER, false},
    {VAULT_DOMAIN_KEY, WIRE_DOMAIN_KEY_BYTES, FROM_SUPERVISOR, false},
    {VAULT_OP_END, 0, FROM_WORKER, false},
    {VAULT_GENERATE_PAIR, WIRE_GENERATE_PAIR_BYTES, FROM_WORKER, true},
    {VAULT_GENERATE_PAIR, WIRE_GENERATE_PAIR_BYTES + 1, FROM_WORKER, false},
    {VAULT_GENERATE_PAIR, WIRE_GENERATE_PAIR_BYTES, FROM_ADMIN, false},
    {0xFFFF, 0, FROM_WORKER, false},
};

START_TEST(who_may_ask_what_and_how_much_is_the_table)
{
    ck_assert_int_eq(vault_call_allowed(asked[_i].code, asked[_i].peer, asked[_i].len),
                     asked[_i].may);
}
END_TEST

START_TEST(frames_come_through_one_byte_at_a_time)
{
    int ends[2];
    struct frame_writer w = {BUF_EMPTY, 0};
    struct frame_reader r;
    struct vault_call call = sample_call(VAULT_GET);
    unsigned seen = 0;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (uint64_t id = 0; id < 5; id++)
        ck_assert_int_eq(vault_call_write(&w, id, &call), RC_OK);
    frame_reader_init(&r, worker_may, NULL);
    for (size_t i = 0; i < w.out.len; i++) {
        size_t got;
        bool have;
        struct frame f;
        ck_assert_int_eq(write(ends[0], w.out.data + i, 1), 1);
        ck_assert_int_eq(frame_read(&r, ends[1], &got), RC_OK);
        ck_assert_uint_eq(got, 1);
        ck_assert_int_eq(frame_next(&r, &f, &have), RC_OK);
        if (!have)
            continue;
        ck_assert_uint_eq(f.id, seen++);
        ck_assert_int_eq(frame_next(&r, &f, &have), RC_OK);
        ck_assert(!have);
    }
    ck_assert_uint_eq(seen, 5);
    frame_reader_settle(&r);
    ck_assert_uint_eq(r.in.len, 0);
    size_t got;
    ck_assert_int_eq(frame_read(&r, ends[1], &got), RC_OK); /* nothing there now */
    ck_assert_uint_eq(got, 0);
    close(ends[0]);
    ck_assert_int_eq(frame_read(&r, ends[1], &got), RC_IO);
    close(ends[1]);
    frame_reader_free(&r);
    frame_writer_free(&w);
}
END_TEST

START_TEST(a_hostile_length_takes_no_memory)
{
    static const uint8_t hostile[FRAME_HEADER_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF, 0, VAULT_GET};
    int ends[2];
    struct frame_reader r;
    struct frame f;
    size_t got;
    bool have;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(write(ends[0], hostile, sizeof hostile), sizeof hostile);
    frame_reader_init(&r, worker_may, NULL);
    ck_assert_int_eq(frame_read(&r, ends[1], &got), RC_OK);
    ck_assert_int_eq(frame_next(&r, &f, &have), RC_PROTOCOL);
    ck_assert_uint_le(r.in.room, 256 * 1024);
    frame_reader_free(&r);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_writer_wipes_what_it_sent_and_waits_when_full)
{
    int ends[2];
    struct frame_writer w = {BUF_EMPTY, 0};
    struct frame_reader r;
    static uint8_t big[1024 * 1024];
    size_t frames = 0;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    memset(big, 0x5A, sizeof big);
    ck_assert_int_eq(frame_add(&w, 1, RC_OK, 9, bytes_str("key bytes")), RC_OK);
    ck_assert_int_eq(frame_add(&w, 1, RC_OK, 9, bytes_of(big, sizeof big)), RC_OK);
    ck_assert_int_eq(frame_flush(&w, ends[0]), RC_BUSY);
    for (size_t i = 0; i < w.sent; i++)
        ck_assert_uint_eq(w.out.data[i], 0);
    frame_reader_init(&r, any, NULL);
    for (rc_t rc = RC_BUSY; rc == RC_BUSY || frames < 2;) {
        size_t got;
        bool have = true;
        rc = frame_flush(&w, ends[0]);
        ck_assert_int_eq(frame_read(&r, ends[1], &got), RC_OK);
        while (have) {
            struct frame f;
            ck_assert_int_eq(frame_next(&r, &f, &have), RC_OK);
            frames += have;
        }
    }
    ck_assert_uint_eq(frame_waiting(&w), 0);
    close(ends[1]);
    ck_assert_int_eq(frame_add(&w, 1, RC_OK, 9, bytes_str("late")), RC_OK);
    ck_assert_int_eq(frame_flush(&w, ends[0]), RC_IO); /* and no SIGPIPE */
    close(ends[0]);
    frame_reader_free(&r);
    frame_writer_free(&w);
}
END_TEST

START_TEST(too_large_a_call_is_not_sent)
{
    static uint8_t big[VAULT_ENVELOPE_MAX + 1];
    struct vault_call call = sample_call(VAULT_GET);
    struct frame_writer w = {BUF_EMPTY, 0};
    call.material = bytes_of(big, sizeof big);
    ck_assert_int_eq(vault_call_write(&w, 1, &call), RC_TOO_LARGE);
    call.op = VAULT_OP_END;
    ck_assert_int_eq(vault_call_write(&w, 1, &call), RC_INVALID_FIELD);
    call.op = VAULT_CIPHER; /* by what is sent together, and without looking at it */
    call.cipher.data = bytes_of(big, VAULT_DATA_MAX + VAULT_ENVELOPE_MAX);
    ck_assert_int_eq(vault_call_write(&w, 1, &call), RC_TOO_LARGE);
    call.cipher.data = call.cipher.additional = call.cipher.iv = bytes_of(big, SIZE_MAX / 2);
    ck_assert_int_eq(vault_call_write(&w, 1, &call), RC_TOO_LARGE);
    ck_assert_uint_eq(w.out.len, 0);
    frame_writer_free(&w);
}
END_TEST

START_TEST(ceremony_steps_read_back_as_written)
{
    struct admin_request r =
                             {
                                 .step = ADMIN_RECOVERY_BEGIN,
                                 .pcr_mask = 5,
                                 .nv_base = 0x01800800,
                                 .replace_nv = true,
                                 .domain = 1,
                                 .rows = bytes_str("rows"),
                                 .escrow = bytes_str("escrow"),
                                 .rec_key = bytes_str("PEM"),
                             },
                         back = {0};
    struct admin_answer a = {.request = bytes_str("request"), .rec_pub = bytes_str("PEM")},
                        got = {0};
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(admin_request_encode(&r, &out), RC_OK);
    ck_assert_int_eq(admin_request_decode(buf_view(&out), &back), RC_OK);
    ck_assert(back.step == r.step && back.pcr_mask == 5 && back.nv_base == r.nv_base &&
              back.replace_nv);
    ck_assert(bytes_is(back.rows, "rows") && bytes_is(back.rec_key, "PEM") &&
              back.auth_key.len == 0);
    for (size_t len = 0; len < out.len; len++)
        ck_assert_int_eq(admin_request_decode(bytes_of(out.data, len), &back), RC_PROTOCOL);
    buf_clear(&out);
    ck_assert_int_eq(admin_answer_encode(&a, &out), RC_OK);
    ck_assert_int_eq(admin_answer_decode(buf_view(&out), &got), RC_OK);
    ck_assert(bytes_is(got.request, "request") && bytes_is(got.rec_pub, "PEM") &&
              got.escrow.len == 0);
    ck_assert_int_eq(buf_add_u8(&out, 0), RC_OK);
    ck_assert_int_eq(admin_answer_decode(buf_view(&out), &got), RC_PROTOCOL);
}
END_TEST

TCase *wire_tests(void)
{
    TCase *t = tcase_create("wire");
    tcase_add_loop_test(t, calls_read_back_as_written, 0, COUNT(ops));
    tcase_add_loop_test(t, replies_read_back_as_written, 0, COUNT(ops));
    tcase_add_loop_test(t, who_may_ask_what_and_how_much_is_the_table, 0, COUNT(asked));
    tcase_add_test(t, frames_come_through_one_byte_at_a_time);
    tcase_add_test(t, a_hostile_length_takes_no_memory);
    tcase_add_test(t, a_writer_wipes_what_it_sent_and_waits_when_full);
    tcase_add_test(t, too_large_a_call_is_not_sent);
    tcase_add_test(t, ceremony_steps_read_back_as_written);
    return t;
}
