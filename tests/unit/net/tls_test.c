/* Who is let in and who is not: handshakes, resumption, revocation of open connections. */
#include <check.h>
#include <openssl/err.h>

#include "tests/unit/net/rig.h"

static const struct {
    const char *why;
    struct client_options options;
    bool served;
} visitors[] = {
    {"TLS 1.3", {.cert = CERT_GOOD, .version = TLS1_3_VERSION}, true},
    {"TLS 1.2", {.cert = CERT_GOOD, .version = TLS1_2_VERSION}, true},
    {"TLS 1.1",
     {.cert = CERT_GOOD, .version = TLS1_1_VERSION, .ciphers = "ALL:@SECLEVEL=0"},
     false},
    {"CBC suite",
     {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA256"},
     false},
    {"SHA-1 suite",
     {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES256-SHA"},
     false},
    {"no forward secrecy",
     {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "AES256-GCM-SHA384"},
     false},
    {"GCM suite",
     {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
     true},
    {"no certificate", {.cert = CERT_NONE}, false},
    {"no certificate, TLS 1.2", {.cert = CERT_NONE, .version = TLS1_2_VERSION}, false},
    {"expired", {.cert = CERT_EXPIRED}, false},
    {"not yet valid", {.cert = CERT_EARLY}, false},
    {"server's purpose", {.cert = CERT_SERVER}, false},
    {"unknown CA", {.cert = CERT_FOREIGN}, false},
    {"issued by a client", {.cert = CERT_BY_CLIENT}, false},
    {"weak key", {.cert = CERT_WEAK}, false},
    {"nameless", {.cert = CERT_NAMELESS}, false},
    {"expired, TLS 1.2", {.cert = CERT_EXPIRED, .version = TLS1_2_VERSION}, false},
    {"unknown CA, TLS 1.2", {.cert = CERT_FOREIGN, .version = TLS1_2_VERSION}, false},
};

START_TEST(visitors_get_what_the_table_says)
{
    struct rig_options options = RIG_OPTIONS;
    options.no_crl = true;
    rig_start(&options);
    ck_assert_msg(client_gets_nothing(&visitors[_i].options) != visitors[_i].served, "%s",
                  visitors[_i].why);
    if (!visitors[_i].served)
        ck_assert_uint_eq(rig_echo().submitted, 0);
    /* whoever came, the next honest client is served */
    struct client c;
    client_open(&c, CERT_GOOD);
    client_echo(&c, 1);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(tls13_only_when_set_so)
{
    struct rig_options options = RIG_OPTIONS;
    options.tls.allow_tls12 = false;
    rig_start(&options);
    struct client_options old = {.cert = CERT_GOOD, .version = TLS1_2_VERSION};
    ck_assert(client_gets_nothing(&old));
    struct client_options new = {.cert = CERT_GOOD, .version = TLS1_3_VERSION};
    ck_assert(!client_gets_nothing(&new));
    rig_stop();
}
END_TEST

/* By the listener for old suites; by the other one none of them gets in, as the table above says. */
static const struct {
    const char *why;
    struct client_options options;
    bool served;
} old_visitors[] = {
    {"CBC suite", {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA256"}, true},
    {"SHA-1 suite", {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES256-SHA"}, true},
    {"GCM suite", {.cert = CERT_GOOD, .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"}, true},
    {"TLS 1.3 alone", {.cert = CERT_GOOD, .version = TLS1_3_VERSION}, false},
    {"TLS 1.1", {.cert = CERT_GOOD, .version = TLS1_1_VERSION, .ciphers = "ALL:@SECLEVEL=0"}, false},
    {"no certificate", {.cert = CERT_NONE, .version = TLS1_2_VERSION}, false},
    {"expired", {.cert = CERT_EXPIRED, .version = TLS1_2_VERSION}, false},
    {"unknown CA", {.cert = CERT_FOREIGN, .version = TLS1_2_VERSION}, false},
};

START_TEST(old_suites_have_a_door_of_their_own)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options cbc = old_visitors[0].options;
    options.tls.legacy = true;
    rig_start(&options);
    ck_assert(client_gets_nothing(&cbc));
    client_other_port();
    for (size_t i = 0; i < sizeof old_visitors / sizeof *old_visitors; i++)
        ck_assert_msg(client_gets_nothing(&old_visitors[i].options) != old_visitors[i].served, "%s",
                      old_visitors[i].why);
    struct net_stats stats = rig_stats();
    ck_assert_uint_eq(stats.legacy, sizeof old_visitors / sizeof *old_visitors);
    rig_reload_revoked(CERT_GOOD);
    ck_assert(client_gets_nothing(&cbc));
    rig_stop();
}
END_TEST

START_TEST(a_revoked_certificate_gets_nothing)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options good = {.cert = CERT_GOOD}, second = {.cert = CERT_SECOND};
    rig_start(&options);
    rig_reload_revoked(CERT_GOOD);
    ck_assert(client_gets_nothing(&good));
    ck_assert(!client_gets_nothing(&second));
    rig_stop();
}
END_TEST

START_TEST(whom_the_engine_does_not_know_gets_nothing)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options good = {.cert = CERT_GOOD};
    rig_start(&options);
    rig_set_login(_i ? RC_UNAVAILABLE : RC_AUTH_FAILED);
    ck_assert(client_gets_nothing(&good));
    ck_assert_uint_eq(rig_echo().submitted, 0);
    ck_assert_uint_eq(rig_echo().logins, 1);
    rig_set_login(RC_OK);
    ck_assert(!client_gets_nothing(&good));
    rig_stop();
}
END_TEST

START_TEST(nothing_is_served_before_login)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    uint8_t request[REQUEST_BYTES];
    rig_start(&options);
    rig_set_login(RC_COUNT);
    client_open(&c, CERT_GOOD);
    request_make(request, 7, 0, 0);
    client_send(&c, request, sizeof request);
    sleep_ms(100);
    ck_assert_uint_eq(rig_echo().submitted, 0);
    rig_set_login(RC_OK);
    client_answer(&c, 7, 0);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_login_without_an_answer_ends)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.net.handshake_ms = 200;
    rig_start(&options);
    rig_set_login(RC_COUNT);
    client_open(&c, CERT_GOOD);
    ck_assert(client_ended(&c));
    rig_set_login(RC_OK); /* the late answer finds nobody, and harms nobody */
    client_close(&c);
    client_open(&c, CERT_GOOD);
    client_echo(&c, 1);
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(renegotiation_is_refused)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options old = {.cert = CERT_GOOD, .version = TLS1_2_VERSION};
    struct client c;
    rig_start(&options);
    ck_assert(client_try(&c, &old));
    client_echo(&c, 1);
    ck_assert(SSL_renegotiate(c.ssl) != 1 || SSL_do_handshake(c.ssl) != 1);
    client_close(&c);
    rig_stop();
}
END_TEST

static void session_of(struct client *c, SSL_SESSION **out)
{
    *out = SSL_get1_session(c->ssl);
    SSL_shutdown(c->ssl);
}

START_TEST(resumption_keeps_the_identity)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_SECOND,
                                 .version = _i ? TLS1_3_VERSION : TLS1_2_VERSION};
    struct client c;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    client_echo(&c, 1);
    session_of(&c, &how.session);
    client_close(&c);

    how.cert = CERT_NONE; /* the session must speak for itself */
    ck_assert(client_try(&c, &how));
    ck_assert(SSL_session_reused(c.ssl));
    client_echo(&c, 2);
    ck_assert_uint_eq(rig_stats().resumed, 1);
    ck_assert_uint_eq(rig_echo().logins, 2);
    ck_assert_str_eq(rig_echo().first_name, "urn:holdfast:client:second");
    client_close(&c);

    rig_set_login(RC_AUTH_FAILED); /* resumed or not, the engine is asked */
    ck_assert(client_gets_nothing(&how));
    rig_set_login(RC_OK);
    rig_reload_revoked(CERT_SECOND);
    how.cert = CERT_SECOND;
    ck_assert(client_gets_nothing(&how));
    SSL_SESSION_free(how.session);
    rig_stop();
}
END_TEST

START_TEST(an_expired_certificate_does_not_resume)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_SHORT,
                                 .version = _i ? TLS1_3_VERSION : TLS1_2_VERSION};
    struct client c;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    client_echo(&c, 1);
    session_of(&c, &how.session);
    client_close(&c);
    sleep_ms(3200);
    ck_assert(client_gets_nothing(&how));
    SSL_SESSION_free(how.session);
    rig_stop();
}
END_TEST

/* That a certificate was let in a moment ago is no reason to let it in. */
START_TEST(a_certificate_seen_before_is_looked_at_again)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options good = {.cert = CERT_GOOD}, brief = {.cert = CERT_SHORT};
    struct client c;
    rig_start(&options);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(client_try(&c, i ? &brief : &good));
        client_echo(&c, 1);
        client_close(&c);
    }
    ck_assert(client_try(&c, &good));
    ck_assert(!SSL_session_reused(c.ssl));
    client_echo(&c, 2);
    client_close(&c);
    sleep_ms(3200);
    ck_assert(client_gets_nothing(&brief));
    rig_reload_revoked(CERT_GOOD);
    ck_assert(client_gets_nothing(&good));
    rig_stop();
}
END_TEST

START_TEST(sessions_can_be_switched_off)
{
    struct rig_options options = RIG_OPTIONS;
    struct client_options how = {.cert = CERT_GOOD};
    struct client c;
    options.tls.session_cache = 0;
    rig_start(&options);
    ck_assert(client_try(&c, &how));
    client_echo(&c, 1);
    session_of(&c, &how.session);
    client_close(&c);
    ck_assert(client_try(&c, &how));
    ck_assert(!SSL_session_reused(c.ssl));
    client_close(&c);
    SSL_SESSION_free(how.session);
    rig_stop();
}
END_TEST

START_TEST(a_revocation_ends_open_connections)
{
    struct rig_options options = RIG_OPTIONS;
    struct client good, second;
    options.net.recheck_ms = 300;
    rig_start(&options);
    client_open(&good, CERT_GOOD);
    client_open(&second, CERT_SECOND);
    client_echo(&good, 1);
    client_echo(&second, 1);
    if (_i == 0)
        rig_reload_revoked(CERT_GOOD);
    else if (_i == 1)
        rig_reload_other_ca();
    else
        rig_set_login(RC_AUTH_FAILED);
    ck_assert(client_ended(&good));
    if (_i == 0)
        client_echo(&second, 2);
    else
        ck_assert(client_ended(&second));
    ck_assert_uint_ge(rig_stats().rechecks_failed, 1);
    client_close(&good);
    client_close(&second);
    rig_stop();
}
END_TEST

START_TEST(an_open_connection_ends_with_its_certificate)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.net.recheck_ms = 200;
    rig_start(&options);
    client_open(&c, CERT_SHORT);
    client_echo(&c, 1);
    ck_assert(client_ended(&c));
    client_close(&c);
    rig_stop();
}
END_TEST

START_TEST(a_database_outage_does_not_end_open_connections)
{
    struct rig_options options = RIG_OPTIONS;
    struct client c;
    options.net.recheck_ms = 100;
    rig_start(&options);
    client_open(&c, CERT_GOOD);
    client_echo(&c, 1);
    rig_set_login(RC_UNAVAILABLE);
    sleep_ms(400);
    ck_assert_uint_ge(rig_echo().logins, 2);
    client_echo(&c, 2);
    client_close(&c);
    rig_stop();
}
END_TEST

struct TCase *tls_tests(void)
{
    TCase *t = tcase_create("tls");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, visitors_get_what_the_table_says, 0,
                        (int)(sizeof visitors / sizeof *visitors));
    tcase_add_test(t, tls13_only_when_set_so);
    tcase_add_test(t, old_suites_have_a_door_of_their_own);
    tcase_add_test(t, a_revoked_certificate_gets_nothing);
    tcase_add_loop_test(t, whom_the_engine_does_not_know_gets_nothing, 0, 2);
    tcase_add_test(t, nothing_is_served_before_login);
    tcase_add_test(t, a_login_without_an_answer_ends);
    tcase_add_test(t, renegotiation_is_refused);
    tcase_add_loop_test(t, resumption_keeps_the_identity, 0, 2);
    tcase_add_loop_test(t, an_expired_certificate_does_not_resume, 0, 2);
    tcase_add_test(t, a_certificate_seen_before_is_looked_at_again);
    tcase_add_test(t, sessions_can_be_switched_off);
    tcase_add_loop_test(t, a_revocation_ends_open_connections, 0, 3);
    tcase_add_test(t, an_open_connection_ends_with_its_certificate);
    tcase_add_test(t, a_database_outage_does_not_end_open_connections);
    return t;
}
