/*
 * Encodings: rows of the hierarchy, node.state, hexadecimal, packed fields.
 */
#include "tests/unit/tpm/fixture.h"

#include "server/vault/tpm/hex.h"
#include "server/vault/tpm/pack.h"

static void sample(struct hierarchy *h)
{
    static struct hierarchy_node nodes[2];
    static struct hierarchy_cr cr;
    static struct hierarchy_cs cs;
    static struct hierarchy_ep ep;
    static struct hierarchy_dk dks[3];
    nodes[0] = (struct hierarchy_node){.id.raw = {1},
                                       .ek_cert = bytes_str("certificate"),
                                       .cr_id = 1,
                                       .approval = UINT64_MAX,
                                       .nv_auth = bytes_str("auth")};
    nodes[1].id.raw[0] = 2;
    cr = (struct hierarchy_cr){.id = 1, .state = HIERARCHY_ACTIVE, .pub = bytes_str("pub")};
    cs = (struct hierarchy_cs){.cr_id = 1, .priv = bytes_str("priv")};
    ep = (struct hierarchy_ep){.epoch = 1, .cr_id = 1, .state = HIERARCHY_RETIRING};
    for (uint32_t i = 0; i < 3; i++)
        dks[i] = (struct hierarchy_dk){
            .domain = 1, .epoch = i, .state = HIERARCHY_STAGED, .mac = bytes_str("mac")};
    *h = (struct hierarchy){.node_count = 2,
                            .cr_count = 1,
                            .cs_count = 1,
                            .ep_count = 1,
                            .dk_count = 3,
                            .nodes = nodes,
                            .crs = &cr,
                            .css = &cs,
                            .eps = &ep,
                            .dks = dks};
}

START_TEST(rows_read_as_written)
{
    struct hierarchy in, out;
    AUTO_BUF text = BUF_EMPTY;
    AUTO_BUF again = BUF_EMPTY;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    sample(&in);
    ok(hierarchy_encode(&in, &text));
    ok(hierarchy_decode(buf_view(&text), &arena, &out));
    ok(hierarchy_encode(&out, &again));
    ck_assert(bytes_equal(buf_view(&text), buf_view(&again)));
    ck_assert_ptr_eq(hierarchy_find_dk(&out, 1, 2), &out.dks[2]);
    ck_assert_ptr_null(hierarchy_find_dk(&out, 2, 2));
    ck_assert_ptr_eq(hierarchy_find_node(&out, &in.nodes[1].id), &out.nodes[1]);
    ck_assert_ptr_nonnull(hierarchy_find_cr(&out, 1));
    ck_assert_ptr_null(hierarchy_find_cs(&out, 9));
    ck_assert_ptr_null(hierarchy_find_ep(&out, 9));
    ck_assert(bytes_is(out.nodes[0].ek_cert, "certificate"));
    ck_assert_uint_eq(out.nodes[0].approval, UINT64_MAX);
}
END_TEST

START_TEST(damaged_rows_are_refused_or_still_rows)
{
    struct hierarchy in, out;
    AUTO_BUF text = BUF_EMPTY;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    sample(&in);
    ok(hierarchy_encode(&in, &text));
    for (size_t len = 0; len < text.len; len++)
        ck_assert(hierarchy_decode(bytes_of(text.data, len), &arena, &out) != RC_OK);
    for (size_t i = 0; i < text.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            text.data[i] ^= (uint8_t)(1u << bit);
            (void)hierarchy_decode(buf_view(&text), &arena, &out); /* must not crash */
            text.data[i] ^= (uint8_t)(1u << bit);
            arena_reset(&arena);
        }
    store_be32(text.data + 8, HIERARCHY_ROWS_MAX); /* promised, not sent */
    fails(hierarchy_decode(buf_view(&text), &arena, &out), RC_BAD_MESSAGE);
    store_be32(text.data + 8, HIERARCHY_ROWS_MAX + 1);
    fails(hierarchy_decode(buf_view(&text), &arena, &out), RC_TOO_LARGE);
    static uint8_t big[HIERARCHY_FIELD_MAX + 1];
    in.crs[0].pub = bytes_of(big, sizeof big);
    buf_clear(&text);
    fails(hierarchy_encode(&in, &text), RC_TOO_LARGE);
}
END_TEST

START_TEST(node_state_reads_as_written_only)
{
    struct node_state in = {.nv_policy = 0x01800800,
                            .nv_checkpoint = 0x01800801,
                            .self_approved = true},
                      out;
    AUTO_BUF text = BUF_EMPTY;
    in.node.raw[3] = 7;
    in.cr.raw[0] = 0xab;
    ok(node_state_encode(&in, &text));
    ok(node_state_decode(buf_view(&text), &out));
    ck_assert_mem_eq(&in, &out, sizeof in);
    for (size_t len = 0; len < text.len; len++)
        ck_assert(node_state_decode(bytes_of(text.data, len), &out) != RC_OK);
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        ck_assert_msg(node_state_decode(buf_view(&text), &out) != RC_OK, "byte %zu", i);
        text.data[i] ^= 1;
    }
    ok(buf_add_u8(&text, '\n'));
    ck_assert(node_state_decode(buf_view(&text), &out) != RC_OK);
}
END_TEST

START_TEST(hex_is_strict)
{
    AUTO_BUF out = BUF_EMPTY;
    uint8_t raw[2];
    ok(hex_parse(bytes_str("00fFA9"), 3, &out));
    ck_assert(bytes_equal(buf_view(&out), bytes_of("\x00\xff\xa9", 3)));
    fails(hex_parse(bytes_str("00f"), 3, &out), RC_BAD_VALUE);
    fails(hex_parse(bytes_str("0g"), 3, &out), RC_BAD_VALUE);
    fails(hex_parse(bytes_str("00000000"), 3, &out), RC_TOO_LARGE);
    fails(hex_parse_exact(bytes_str("00"), raw, 2), RC_BAD_VALUE);
    ok(hex_parse_exact(bytes_str("1234"), raw, 2));
}
END_TEST

START_TEST(packs_are_checked)
{
    AUTO_BUF out = BUF_EMPTY;
    struct bytes fields, field;
    ok(buf_add_str(&out, "before"));
    ok(pack_begin(&out, "MAGIC001"));
    ok(pack_add(&out, bytes_str("one")));
    ok(pack_add(&out, BYTES_NONE));
    ok(pack_end(&out, 6));
    struct bytes all = bytes_of(out.data + 6, out.len - 6);
    ok(pack_open(all, "MAGIC001", &fields));
    fails(pack_open(all, "MAGIC002", &fields), RC_BAD_MESSAGE);
    ok(pack_open(all, "MAGIC001", &fields));
    struct bytes start = fields;
    fails(pack_take(&start, 2, &field), RC_BAD_MESSAGE);
    ok(pack_take(&fields, 3, &field));
    ck_assert(bytes_is(field, "one"));
    ok(pack_take(&fields, 3, &field));
    ck_assert_uint_eq(fields.len, 0);
    fails(pack_take(&fields, 3, &field), RC_BAD_MESSAGE);
    out.data[20] ^= 1;
    fails(pack_open(all, "MAGIC001", &fields), RC_INTEGRITY);
}
END_TEST

Suite *codec_suite(void)
{
    Suite *s = suite_create("codec");
    TCase *t = tcase_create("codec");
    tcase_add_test(t, rows_read_as_written);
    tcase_add_test(t, damaged_rows_are_refused_or_still_rows);
    tcase_add_test(t, node_state_reads_as_written_only);
    tcase_add_test(t, hex_is_strict);
    tcase_add_test(t, packs_are_checked);
    suite_add_tcase(s, t);
    return s;
}
