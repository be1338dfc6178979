/* Tests of server/forward: a row as a message of RFC 5424, and the list of destinations. */
#include <check.h>
#include <stdlib.h>

#include "server/forward/format.h"
#include "server/forward/target.h"

#define STREAM "0192a0b4-7d1f-7c3e-8f00-0123456789ab"
#define BOM    "\xEF\xBB\xBF"

static const struct format_settings usual = {.host = "mymachine.example.com",
                                             .enterprise = "32473",
                                             .facility = 20,
                                             .severity = 5,
                                             .severity_failure = 3,
                                             .value_max = 2048};

static struct db_forward_row row_of(const char *client, const char *result)
{
    struct db_forward_row row = {.seq = 7, .at = "2003-10-11T22:14:15.003000Z", .class = "read"};
    row.fields[DB_FORWARD_STREAM] = STREAM;
    row.fields[DB_FORWARD_SEQ] = "7";
    row.fields[DB_FORWARD_OPERATION] = "Get";
    row.fields[DB_FORWARD_CLIENT] = client;
    row.fields[DB_FORWARD_RESULT] = result;
    return row;
}

static const char *message_of(const struct format_settings *s, const struct db_forward_row *row)
{
    static char text[16384];
    AUTO_BUF out = BUF_EMPTY;
    ck_assert_int_eq(format_row(s, row, &out), RC_OK);
    ck_assert_uint_lt(out.len, sizeof text);
    memcpy(text, out.data, out.len);
    text[out.len] = 0;
    ck_assert_uint_eq(strlen(text), out.len);
    return text;
}

/* PRI 165 = local4, notice, and the time of the examples in RFC 5424, 6.5. */
START_TEST(a_row_is_a_message)
{
    struct db_forward_row row = row_of("first", "Success");
    ck_assert_str_eq(message_of(&usual, &row),
                     "<165>1 2003-10-11T22:14:15.003000Z mymachine.example.com holdfast " STREAM
                     " read [holdfast@32473 stream=\"" STREAM "\" seq=\"7\" operation=\"Get\" result=\"Success\" "
                     "client=\"first\"] " BOM "first Get: Success");
}
END_TEST

START_TEST(a_failure_has_its_severity_and_reason)
{
    struct db_forward_row row = row_of(NULL, "Operation Failed");
    row.fields[DB_FORWARD_REASON] = "Item Not Found";
    row.fields[DB_FORWARD_OBJECT] = "0192a0b4-0000-7c3e-8f00-0123456789ab";
    const char *text = message_of(&usual, &row);
    ck_assert_ptr_eq(strstr(text, "<163>1 "), text);
    ck_assert_ptr_null(strstr(text, "client="));
    ck_assert_ptr_nonnull(
        strstr(text, BOM "- Get 0192a0b4-0000-7c3e-8f00-0123456789ab: Operation Failed, Item Not Found"));
}
END_TEST

START_TEST(what_is_not_known_is_a_dash)
{
    struct format_settings s = usual;
    struct db_forward_row row = row_of("x", "Success");
    s.host = "";
    s.facility = 0;
    s.severity = 0;
    row.at = NULL;
    row.class = NULL;
    const char *text = message_of(&s, &row);
    ck_assert_ptr_eq(strstr(text, "<0>1 - - holdfast " STREAM " - [holdfast@32473 "), text);
}
END_TEST

static const struct {
    const char *value, *param, *text;
} values[] = {
    {"", "client=\"\"", BOM " Get: Success"},
    {"a\"b", "client=\"a\\\"b\"", BOM "a\"b Get"},
    {"a\\b", "client=\"a\\\\b\"", BOM "a\\b Get"},
    {"a]b", "client=\"a\\]b\"", BOM "a]b Get"},
    {"\\\"]", "client=\"\\\\\\\"\\]\"", BOM "\\\"] Get"},
    {"a[b'c=d", "client=\"a[b'c=d\"", BOM "a[b'c=d Get"},
    {"a\nb\tc\x7f", "client=\"a\nb\tc\x7f\"", BOM "a b c  Get"},
    {"gr\xC3\xBC\xC3\x9F \xF0\x9F\x94\x91", "client=\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x94\x91\"",
     BOM "gr\xC3\xBC\xC3\x9F \xF0\x9F\x94\x91 Get"},
};

START_TEST(values_are_escaped_as_the_rfc_demands)
{
    struct db_forward_row row = row_of(values[_i].value, "Success");
    const char *text = message_of(&usual, &row);
    ck_assert_msg(strstr(text, values[_i].param) != NULL, "%s is not in %s", values[_i].param, text);
    ck_assert_msg(strstr(text, values[_i].text) != NULL, "%s is not in %s", values[_i].text, text);
}
END_TEST

START_TEST(a_long_value_is_cut_between_characters_and_named)
{
    struct format_settings s = usual;
    struct db_forward_row row = row_of("first", "Success");
    s.value_max = 64;
    char exact[65], longer[80] = "", detail[80];
    memset(exact, 'e', 64);
    exact[64] = 0;
    memset(detail, 'd', 65);
    detail[65] = 0;
    strcat(longer, "x");
    for (int i = 0; i < 21; i++)
        strcat(longer, "\xE2\x82\xAC"); /* 1 + 21 * 3 = 64 bytes */
    row.fields[DB_FORWARD_ADDRESS] = exact;
    ck_assert_ptr_null(strstr(message_of(&s, &row), "cut="));
    strcat(longer, "\xE2\x82\xAC");
    memmove(longer + 1, longer, strlen(longer) + 1); /* 2 + 22 * 3: the limit falls into a character */
    row.fields[DB_FORWARD_CORRELATION] = longer;
    row.fields[DB_FORWARD_DETAIL] = detail;
    const char *text = message_of(&s, &row);
    ck_assert_ptr_nonnull(strstr(text, "\xE2\x82\xAC\" detail=\"ddd"));
    ck_assert_ptr_nonnull(strstr(text, " cut=\"correlation detail\"] "));
    const char *value = strstr(text, "correlation=\"") + 13;
    ck_assert_int_eq(strchr(value, '"') - value, 62);
}
END_TEST

START_TEST(headers_are_printable_and_no_longer_than_they_may)
{
    struct format_settings s = usual;
    struct db_forward_row row = row_of("x", "Success");
    char host[400];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = 0;
    host[0] = ' ';
    host[1] = '\n';
    s.host = host;
    row.class = "a class of more than thirty-two characters";
    const char *text = message_of(&s, &row);
    const char *name = strchr(text, 'Z') + 2;
    ck_assert_int_eq(strchr(name, ' ') - name, 255);
    ck_assert_int_eq(strncmp(name, "??hhh", 5), 0);
    ck_assert_ptr_nonnull(strstr(text, STREAM " a?class?of?more?than?thirty-two? [holdfast@"));
}
END_TEST

START_TEST(a_gap_is_told)
{
    struct db_forward_row row = {.seq = 0, .after = 4, .head = 9};
    AUTO_BUF out = BUF_EMPTY;
    static const char want[] = "<163>1 - mymachine.example.com holdfast " STREAM " gap [holdfast@32473 stream=\"" STREAM
                               "\" opener=\"n:1/worker-\\]\" from=\"5\" to=\"9\"] " BOM "rows 5 to 9 of stream " STREAM
                               " were gone before they were forwarded";
    row.fields[DB_FORWARD_STREAM] = STREAM;
    row.fields[DB_FORWARD_OPENER] = "n:1/worker-]";
    ck_assert_int_eq(format_gap(&usual, &row, 5, 9, &out), RC_OK);
    ck_assert_uint_eq(out.len, sizeof want - 1);
    ck_assert_mem_eq(out.data, want, out.len);
}
END_TEST

/* ---- destinations ---- */

static const struct {
    const char *list, *name;
    rc_t want;
    enum target_kind kind;
    const char *host, *port;
} lists[] = {
    {"a=unix:/dev/log", "a", RC_OK, TARGET_UNIX, "/dev/log", ""},
    {"a=unix:/dev/log", NULL, RC_OK, TARGET_UNIX, "/dev/log", ""},
    {" a=unix:/dev/log,\n b=tls:siem.example.org:6514 ", "b", RC_OK, TARGET_TLS, "siem.example.org", "6514"},
    {"a=tcp:[2001:db8::1]:601", "a", RC_OK, TARGET_TCP, "2001:db8::1", "601"},
    {"a=udp:127.0.0.1:514", "a", RC_OK, TARGET_UDP, "127.0.0.1", "514"},
    {"a=unix-stream:/run/x", "a", RC_OK, TARGET_UNIX_STREAM, "/run/x", ""},
    {"", NULL, RC_NOT_FOUND, 0, NULL, NULL},
    {"a=unix:/x,b=unix:/y", NULL, RC_NOT_FOUND, 0, NULL, NULL},
    {"a=unix:/x", "b", RC_NOT_FOUND, 0, NULL, NULL},
    {"a=unix:/x,a=unix:/y", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=unix:/x,b=tcp:", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=unix:dev/log", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=tcp:host", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=tcp:host:0", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=tcp:host:65536", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=tcp:host:12x", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=tcp::514", "a", RC_CONFIG, 0, NULL, NULL},
    {"a=mail:x", "a", RC_CONFIG, 0, NULL, NULL},
    {"a b=unix:/x", "a", RC_CONFIG, 0, NULL, NULL},
    {"a/b=unix:/x", "a/b", RC_CONFIG, 0, NULL, NULL},
    {"=unix:/x", "", RC_CONFIG, 0, NULL, NULL},
};

START_TEST(a_list_is_read_strictly)
{
    struct target t;
    char why[TARGET_WHY] = "";
    ck_assert_msg(target_find(lists[_i].list, lists[_i].name, &t, why) == lists[_i].want, "%s: %s", lists[_i].list,
                  why);
    if (lists[_i].want != RC_OK) {
        ck_assert_str_ne(why, "");
        return;
    }
    ck_assert_int_eq(t.kind, lists[_i].kind);
    ck_assert_str_eq(t.host, lists[_i].host);
    ck_assert_str_eq(t.port, lists[_i].port);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("forward");
    TCase *tc = tcase_create("format");
    tcase_add_test(tc, a_row_is_a_message);
    tcase_add_test(tc, a_failure_has_its_severity_and_reason);
    tcase_add_test(tc, what_is_not_known_is_a_dash);
    tcase_add_loop_test(tc, values_are_escaped_as_the_rfc_demands, 0, sizeof values / sizeof *values);
    tcase_add_test(tc, a_long_value_is_cut_between_characters_and_named);
    tcase_add_test(tc, headers_are_printable_and_no_longer_than_they_may);
    tcase_add_test(tc, a_gap_is_told);
    suite_add_tcase(s, tc);
    tc = tcase_create("target");
    tcase_add_loop_test(tc, a_list_is_read_strictly, 0, sizeof lists / sizeof *lists);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
