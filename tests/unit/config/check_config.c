/*
 * The configuration: what is taken, what is refused with which words, and that what is printed
 * reads back as the same. Also that log lines stay one line.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/config.h"

static struct config config, other;

static const struct {
    const char *text;
    const char *told; /* part of what is told */
} refused[] = {
    {"[server]\nport = 0\n",
     "f:2: [server] port: \"0\" is not a value for it; give a whole number from 1 to 65535"},
    {"[server]\nport = 65536\n", "f:2: [server] port"},
    {"[server]\nport = -1\n", "f:2: [server] port"},
    {"[server]\nport = 1k\n", "f:2: [server] port"},
    {"[server]\nport = 00000005696\n", "f:2: [server] port"},
    {"[server]\nport =\n", "f:2: [server] port"},
    {"[server]\nport = 99999999999999999999\n", "f:2: [server] port"},
    {"[database]\nallow_unsafe = maybe\n", "write yes or no"},
    {"[server]\nlog_level = loud\n", "write error, warn, info or debug"},
    {"[server]\nnothing = 1\n", "there is no such option; remove it"},
    {"[nothing]\nport = 1\n", "f:2: [nothing] port: there is no such option"},
    {"port = 1\n", "f:1: [] port: there is no such option"},
    {"[server]\nport = 1\nport = 2\n", "f:3: [server] port: stands in line 2 already; keep one"},
    {"[server]\nrubbish\n", "f:2: is neither [section], name = value nor a comment"},
    {"[server\nport = 1\n", "f:1: is neither"},
    {"[server]\nrun_dir = \n", "give 1 to 180 characters (path)"},
    {"[server]\nrun_dir = run\n", "begin them with a slash"},
    {"[server]\nport = 1\n  2\n", "f:3: [server] port: goes on over a second line"},
    {"[vault]\ntpm = tcp:1\n", "write device:/dev/tpmrm0"},
    {"[vault]\ntpm = device:dev\n", "write device:/dev/tpmrm0"},
    {"[server]\nrestart_min_ms = 6000\n", "is above restart_max_ms"},
    {"[limits]\nqueue_requests = 16\nconnection_requests = 17\n", "is above queue_requests"},
};

static void tells(struct bytes text, const char *told)
{
    AUTO_BUF problems = BUF_EMPTY;

    ck_assert_int_eq(config_parse(text, "f", &config, &problems), RC_CONFIG);
    ck_assert_int_eq(buf_add_u8(&problems, 0), RC_OK);
    ck_assert_msg(strstr((char *)problems.data, told) != NULL, "told: %s\nwanted: %s",
                  (char *)problems.data, told);
}

START_TEST(each_mistake_is_told_with_line_and_advice)
{
    tells(bytes_str(refused[_i].text), refused[_i].told);
}
END_TEST

START_TEST(a_long_line_and_a_zero_byte_are_refused)
{
    char line[400];

    memset(line, 'a', sizeof line);
    memcpy(line, "[database]\nconninfo = ", 22);
    tells(bytes_of(line, sizeof line), "f:2: the line is longer than 197 bytes");
    tells(bytes_of("[server]\nport = 1\0002\n", 20), "f:2: the line holds a zero byte");
}
END_TEST

START_TEST(many_problems_are_all_counted)
{
    AUTO_BUF text = BUF_EMPTY;
    AUTO_BUF problems = BUF_EMPTY;

    for (int i = 0; i < 70; i++)
        ck_assert_int_eq(buf_add_fmt(&text, "x%d = 1\n", i), RC_OK);
    ck_assert_int_eq(config_parse(buf_view(&text), "f", &config, &problems), RC_CONFIG);
    ck_assert_int_eq(buf_add_u8(&problems, 0), RC_OK);
    ck_assert_ptr_nonnull(strstr((char *)problems.data, "f: and 20 problems more"));
}
END_TEST

START_TEST(every_preset_is_a_value_of_its_option)
{
    AUTO_BUF text = BUF_EMPTY;
    AUTO_BUF problems = BUF_EMPTY;
    char value[CONFIG_TEXT_SIZE];

    config_preset(&config);
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        ck_assert_str_eq(config_value(&config, o, value), o->preset);
        ck_assert_ptr_eq(config_find(o->section, o->name), o);
        ck_assert_msg(*o->help, "%s has no help", o->name);
    }
    ck_assert_int_eq(config_print(&config, true, &text), RC_OK);
    ck_assert_int_eq(config_parse(buf_view(&text), "f", &other, &problems), RC_OK);
}
END_TEST

START_TEST(bounds_of_every_number_hold)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        char text[200];
        if (o->kind != CONFIG_NUMBER)
            continue;
        snprintf(text, sizeof text, "[%s]\n%s = %llu\n", o->section, o->name,
                 (unsigned long long)o->most + 1);
        tells(bytes_str(text), o->name);
        if (!o->least)
            continue;
        snprintf(text, sizeof text, "[%s]\n%s = %llu\n", o->section, o->name,
                 (unsigned long long)o->least - 1);
        tells(bytes_str(text), o->name);
    }
}
END_TEST

START_TEST(what_is_printed_reads_back_as_the_same)
{
    AUTO_BUF text = BUF_EMPTY;
    AUTO_BUF problems = BUF_EMPTY;
    static const char long_conninfo[] =
        "[database]\nconninfo = host=db1.example.org,db2.example.org,db3.example.org\n"
        "   port=5432,5432,5432 dbname=holdfast user=holdfast_server\n"
        "\ttarget_session_attrs=read-write sslmode=verify-full sslrootcert=/etc/holdfast/pg.pem\n"
        "   sslcert=/etc/holdfast/pg-client.pem sslkey=/etc/holdfast/pg-client.key\n"
        "[server]\r\nport = 5697\r\n; a comment\n# another\nlog_level = debug\n";
    char was[CONFIG_TEXT_SIZE], is[CONFIG_TEXT_SIZE];

    ck_assert_int_eq(config_parse(bytes_str(long_conninfo), "f", &config, &problems), RC_OK);
    ck_assert_int_eq(config.server_port, 5697);
    ck_assert_int_eq(config.server_log_level, LOG_DEBUG);
    ck_assert_ptr_nonnull(
        strstr(config.database_conninfo, "db3.example.org port=5432,5432,5432 dbname"));
    for (int comments = 0; comments < 2; comments++) {
        buf_clear(&text);
        ck_assert_int_eq(config_print(&config, comments, &text), RC_OK);
        ck_assert_int_eq(config_parse(buf_view(&text), "f", &other, &problems), RC_OK);
        for (size_t i = 0; i < config_option_count; i++)
            ck_assert_str_eq(config_value(&config, &config_options[i], was),
                             config_value(&other, &config_options[i], is));
    }
}
END_TEST

START_TEST(a_reload_takes_only_what_it_may)
{
    AUTO_BUF later = BUF_EMPTY;
    AUTO_BUF problems = BUF_EMPTY;

    config_preset(&config);
    ck_assert_int_eq(config_parse(bytes_str("[server]\nport = 1\nworkers = 3\ndrain_ms = 7\n"
                                            "[tls]\nkey = /k\n"),
                                  "f", &other, &problems),
                     RC_OK);
    ck_assert_int_eq(config_reload(&config, &other, &later), RC_OK);
    ck_assert_int_eq(config.server_port, 5696);
    ck_assert_int_eq(config.server_drain_ms, 7);
    ck_assert_str_eq(config.tls_key, "/k");
    ck_assert(bytes_is(buf_view(&later), "server.port server.workers"));
}
END_TEST

START_TEST(a_file_that_is_none_is_told)
{
    AUTO_BUF problems = BUF_EMPTY;

    ck_assert_int_eq(config_load("/nowhere/at/all", &config, &problems), RC_CONFIG);
    ck_assert_int_eq(config_load("/tmp", &config, &problems), RC_CONFIG);
    ck_assert_int_eq(config_load("/dev/zero", &config, &problems), RC_CONFIG);
    ck_assert_int_eq(buf_add_u8(&problems, 0), RC_OK);
    ck_assert_ptr_nonnull(strstr((char *)problems.data, "/nowhere/at/all: cannot be opened"));
    ck_assert_ptr_nonnull(strstr((char *)problems.data, "/dev/zero: is not a file"));
}
END_TEST

START_TEST(the_example_is_the_table)
{
    const char *src = getenv("HOLDFAST_SRC");
    AUTO_BUF text = BUF_EMPTY;
    AUTO_BUF printed = BUF_EMPTY;
    char path[500];
    ssize_t n;
    int fd;

    ck_assert_ptr_nonnull(src);
    snprintf(path, sizeof path, "%s/deploy/holdfast.conf.example", src);
    fd = open(path, O_RDONLY);
    ck_assert_msg(fd >= 0, "%s is not there", path);
    ck_assert_int_eq(buf_reserve(&text, CONFIG_FILE_MAX), RC_OK);
    while ((n = read(fd, text.data + text.len, text.room - text.len)) > 0)
        text.len += (size_t)n;
    close(fd);
    config_preset(&config);
    ck_assert_int_eq(buf_add_str(&printed, CONFIG_EXAMPLE_HEAD), RC_OK);
    ck_assert_int_eq(config_print(&config, true, &printed), RC_OK);
    ck_assert_msg(bytes_equal(buf_view(&text), buf_view(&printed)),
                  "%s is not what the table gives; write it anew with holdfastd --example", path);
}
END_TEST

START_TEST(values_in_the_log_are_escaped_and_cut)
{
    char out[160], big[400];

    ck_assert_str_eq(log_value(bytes_str("a\"b\\c\n\x7f\xc3"), out),
                     "\"a\\\"b\\\\c\\x0a\\x7f\\xc3\"");
    memset(big, 'x', sizeof big);
    ck_assert_uint_le(strlen(log_value(bytes_of(big, sizeof big), out)), 128);
    memset(big, 0, sizeof big);
    ck_assert_uint_le(strlen(log_value(bytes_of(big, sizeof big), out)), 128);
    ck_assert_str_eq(log_value(BYTES_NONE, out), "\"\"");
}
END_TEST

START_TEST(one_event_is_one_line)
{
    char line[4096] = "", big[3000];
    int ends[2], keep = dup(STDERR_FILENO);
    ssize_t n;

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_open("test", LOG_WARN);
    log_info("not.shown", "a=%d", 1);
    log_warn("shown", "a=%s", "x\ny\x1b[31m");
    log_error("long", "a=%s", big);
    dup2(keep, STDERR_FILENO);
    close(ends[1]);
    n = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    close(keep);
    ck_assert_int_gt(n, 0);
    ck_assert_ptr_null(strstr(line, "not.shown"));
    ck_assert_ptr_nonnull(strstr(line, " test level=warn event=shown a=x y [31m\n"));
    ck_assert_uint_le((size_t)n, 2048 + 128);
    ck_assert_int_eq(line[n - 1], '\n');
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config");
    TCase *t = tcase_create("config");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, each_mistake_is_told_with_line_and_advice, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(t, a_long_line_and_a_zero_byte_are_refused);
    tcase_add_test(t, many_problems_are_all_counted);
    tcase_add_test(t, every_preset_is_a_value_of_its_option);
    tcase_add_test(t, bounds_of_every_number_hold);
    tcase_add_test(t, what_is_printed_reads_back_as_the_same);
    tcase_add_test(t, a_reload_takes_only_what_it_may);
    tcase_add_test(t, a_file_that_is_none_is_told);
    tcase_add_test(t, the_example_is_the_table);
    tcase_add_test(t, values_in_the_log_are_escaped_and_cut);
    tcase_add_test(t, one_event_is_one_line);
    suite_add_tcase(s, t);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
