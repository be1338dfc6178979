/*
 * The certificate authority: what is issued, what is refused, and that a revocation holds. Each
 * test works in a folder of its own.
 */
#define _GNU_SOURCE /* nftw */
#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <openssl/pem.h>

#include "certs/ca.h"
#include "certs/identity.h"
#include "certs/trust.h"
#include "tests/support/pki.h"
#include "tests/unit/certs/facts_test.h"
#include "tests/unit/certs/trust_test.h"

static char dir[64];
static const char *why;

static int drop_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void dir_make(void)
{
    snprintf(dir, sizeof dir, "/tmp/holdfast-certs-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    why = "";
}

static void dir_drop(void)
{
    nftw(dir, drop_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static struct ca *ca_fresh(void)
{
    struct ca *ca;
    struct ca_options options = {.key = CERT_KEY_P256};
    ck_assert_int_eq(ca_init(dir, &options, &why), RC_OK);
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_OK);
    return ca;
}

static X509 *parse(struct bytes pem)
{
    X509 *cert;
    ck_assert_int_eq(pem_cert_parse(pem, &cert), RC_OK);
    return cert;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static bool critical(X509 *cert, int nid)
{
    int at = X509_get_ext_by_NID(cert, nid, -1);
    ck_assert_int_ge(at, 0);
    return X509_EXTENSION_get_critical(X509_get_ext(cert, at));
}

/* Trust in this CA, with its CRL when asked. */
static struct trust *trust_of(struct ca *ca, bool with_crl)
{
    struct trust *trust;
    AUTO_BUF pem = BUF_EMPTY;
    AUTO_BUF crl = BUF_EMPTY;
    ck_assert_int_eq(ca_cert_pem(ca, &pem), RC_OK);
    if (with_crl)
        ck_assert_int_eq(pem_file_read(in_dir("crl.pem"), &crl), RC_OK);
    ck_assert_int_eq(trust_new(buf_view(&pem), buf_view(&crl), &trust, &why), RC_OK);
    return trust;
}

START_TEST(ca_files_belong_to_root_only_and_are_made_once)
{
    struct ca_options options = {.key = CERT_KEY_P256, .name = "Test CA"};
    struct ca *ca;
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_NOT_FOUND);
    ck_assert_int_eq(ca_init(dir, &options, &why), RC_OK);
    ck_assert_uint_eq(mode_of(dir), 0700);
    ck_assert_uint_eq(mode_of(in_dir("ca.key")), 0600);
    ck_assert_uint_eq(mode_of(in_dir("ca.pem")), 0644);
    ck_assert_uint_eq(mode_of(in_dir("crl.pem")), 0644);
    ck_assert_int_eq(ca_init(dir, &options, &why), RC_CONFLICT);
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_OK);
    ca_close(&ca);
    ck_assert_int_eq(chmod(in_dir("ca.key"), 0640), 0);
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_CONFIG);
}
END_TEST

START_TEST(ca_certificate_has_its_profile)
{
    struct ca_options options = {.key = _i ? CERT_KEY_RSA3072 : CERT_KEY_P256};
    struct ca *ca;
    ck_assert_int_eq(ca_init(dir, &options, &why), RC_OK);
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_OK);
    X509 *cert = ca_cert(ca);
    ck_assert(critical(cert, NID_basic_constraints));
    ck_assert(critical(cert, NID_key_usage));
    ck_assert_uint_eq(X509_get_key_usage(cert), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    ck_assert_int_eq(X509_check_ca(cert), 1);
    ck_assert_int_eq(X509_verify(cert, X509_get0_pubkey(cert)), 1);
    ck_assert_int_eq(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), _i ? 3072 : 256);
    ck_assert_int_eq(X509_get_pathlen(cert), 0);
    ca_close(&ca);
}
END_TEST

START_TEST(a_foreign_key_does_not_open_the_ca)
{
    struct ca *ca = ca_fresh();
    AUTO_BUF pem = BUF_EMPTY;
    EVP_PKEY *other = pki_key("P-256");
    ca_close(&ca);
    pki_key_pem(other, &pem);
    ck_assert_int_eq(pem_file_write(in_dir("ca.key"), buf_view(&pem), 0600), RC_OK);
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_BAD_VALUE);
    EVP_PKEY_free(other);
}
END_TEST

START_TEST(a_client_certificate_has_its_profile)
{
    struct ca *ca = ca_fresh();
    struct ca_issued issued;
    struct ca_client_request request = {
        .name = "web-7",
        .links = {.crl_url = "http://pki.example/crl.pem", .ca_url = "http://pki.example/ca.pem"}};
    ck_assert_int_eq(ca_issue_client(ca, &request, &issued, &why), RC_OK);
    X509 *cert = parse(buf_view(&issued.cert_pem));
    EVP_PKEY *key;
    ck_assert_int_eq(pem_key_parse(buf_view(&issued.key_pem), &key), RC_OK);
    ck_assert_int_eq(X509_check_private_key(cert, key), 1);
    ck_assert(critical(cert, NID_basic_constraints));
    ck_assert(critical(cert, NID_key_usage));
    ck_assert_uint_eq(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
    ck_assert_int_eq(X509_get_signature_nid(cert), NID_ecdsa_with_SHA256);
    ck_assert_int_ge(X509_get_ext_by_NID(cert, NID_crl_distribution_points, -1), 0);
    ck_assert_int_ge(X509_get_ext_by_NID(cert, NID_info_access, -1), 0);
    ck_assert_int_ge(X509_get_ext_by_NID(cert, NID_authority_key_identifier, -1), 0);
    ck_assert_uint_eq(issued.identity.name_count, 1);
    ck_assert_str_eq(issued.identity.names[0].kind, "uri");
    ck_assert_str_eq(issued.identity.names[0].value, "urn:holdfast:client:web-7");
    ck_assert_str_eq(issued.identity.issuer, "CN=Holdfast CA");
    ck_assert_uint_eq(strlen(issued.identity.serial), 32);
    struct trust *trust = trust_of(ca, true);
    ck_assert_int_eq(trust_check_client(trust, cert, NULL, &why), RC_OK);
    trust_free(&trust);
    EVP_PKEY_free(key);
    X509_free(cert);
    ca_issued_free(&issued);
    ca_close(&ca);
}
END_TEST

START_TEST(a_certificate_never_outlives_its_ca)
{
    struct ca *ca;
    struct ca_options options = {.key = CERT_KEY_P256, .days = 2};
    struct ca_issued issued;
    int64_t end;
    ck_assert_int_eq(ca_init(dir, &options, &why), RC_OK);
    ck_assert_int_eq(ca_open(dir, &ca, &why), RC_OK);
    struct ca_client_request request = {.name = "a", .days = 1000};
    ck_assert_int_eq(ca_issue_client(ca, &request, &issued, &why), RC_OK);
    ck_assert_int_eq(cert_time(X509_get0_notAfter(ca_cert(ca)), &end), RC_OK);
    ck_assert_int_eq(issued.identity.not_after, end);
    ca_issued_free(&issued);
    ca_close(&ca);
}
END_TEST

static const struct {
    const char *name;
    rc_t want;
} client_names[] = {
    {"web-7", RC_OK},
    {"A.b_c-9", RC_OK},
    {"0123456789012345678901234567890123456789012345678901234567890123", RC_OK},
    {"01234567890123456789012345678901234567890123456789012345678901234", RC_BAD_VALUE},
    {"", RC_BAD_VALUE},
    {"-a", RC_BAD_VALUE},
    {".", RC_BAD_VALUE},
    {"a b", RC_BAD_VALUE},
    {"a/b", RC_BAD_VALUE},
    {"a,URI:urn:x", RC_BAD_VALUE},
    {"a\nb", RC_BAD_VALUE},
    {"\xc3\xa4", RC_BAD_VALUE},
};

START_TEST(client_names_are_plain)
{
    ck_assert_int_eq(ca_client_name_check(client_names[_i].name), client_names[_i].want);
}
END_TEST

static const struct {
    const char *key, *digest;
    bool spoil;
    rc_t want;
} csrs[] = {
    {"P-256", "SHA256", false, RC_OK},
    {"P-384", "SHA384", false, RC_OK},
    {"RSA2048", "SHA256", false, RC_OK},
    {"ED25519", NULL, false, RC_OK},
    {"P-256", "SHA256", true, RC_BAD_VALUE},
    {"P-256", "SHA1", false, RC_BAD_VALUE},
    {"RSA2048", "MD5", false, RC_BAD_VALUE},
    {"RSA1024", "SHA256", false, RC_BAD_VALUE},
    {"secp256k1", "SHA256", false, RC_BAD_VALUE},
};

START_TEST(a_request_is_taken_when_strong_and_signed_by_its_key)
{
    struct ca *ca = ca_fresh();
    struct ca_issued issued;
    AUTO_BUF pem = BUF_EMPTY;
    EVP_PKEY *key = pki_key(csrs[_i].key);
    pki_csr_pem(key, "administrator", csrs[_i].digest, csrs[_i].spoil, &pem);
    struct ca_client_request request = {.name = "db-1", .csr_pem = buf_view(&pem)};
    ck_assert_int_eq(ca_issue_client(ca, &request, &issued, &why), csrs[_i].want);
    if (csrs[_i].want == RC_OK) {
        X509 *cert = parse(buf_view(&issued.cert_pem));
        char cn[64];
        ck_assert_int_eq(EVP_PKEY_eq(X509_get0_pubkey(cert), key), 1);
        ck_assert_uint_eq(issued.key_pem.len, 0);
        /* only the key comes from the request, never a name */
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof cn);
        ck_assert_str_eq(cn, "db-1");
        X509_free(cert);
    }
    ca_issued_free(&issued);
    EVP_PKEY_free(key);
    ca_close(&ca);
}
END_TEST

START_TEST(garbage_is_no_request)
{
    struct ca *ca = ca_fresh();
    struct ca_issued issued;
    struct ca_client_request request = {.name = "x", .csr_pem = bytes_str("-----BEGIN nothing")};
    ck_assert_int_eq(ca_issue_client(ca, &request, &issued, &why), RC_BAD_VALUE);
    request = (struct ca_client_request){.name = "x", .links.crl_url = "http://a/,URI:http://b/"};
    ck_assert_int_eq(ca_issue_client(ca, &request, &issued, &why), RC_BAD_VALUE);
    ck_assert_uint_eq(issued.key_pem.len, 0);
    ca_close(&ca);
}
END_TEST

static const struct {
    const char *host;
    rc_t want;
} hosts[] = {
    {"kms.example", RC_OK},   {"127.0.0.1", RC_OK},         {"::1", RC_OK},
    {"*.kms.example", RC_OK}, {"localhost", RC_OK},         {"", RC_BAD_VALUE},
    {"a..b", RC_BAD_VALUE},   {"-a.example", RC_BAD_VALUE}, {"a,DNS:b", RC_BAD_VALUE},
    {"a b", RC_BAD_VALUE},    {"a.example.", RC_BAD_VALUE},
};

START_TEST(a_server_certificate_names_hosts)
{
    struct ca *ca = ca_fresh();
    struct ca_issued issued;
    struct ca_server_request request = {.hosts = &hosts[_i].host, .host_count = 1};
    ck_assert_int_eq(ca_issue_server(ca, &request, &issued, &why), hosts[_i].want);
    if (hosts[_i].want == RC_OK) {
        X509 *cert = parse(buf_view(&issued.cert_pem));
        const char *host = hosts[_i].host[0] == '*' ? "x.kms.example" : hosts[_i].host;
        ck_assert(X509_check_host(cert, host, 0, 0, NULL) == 1 ||
                  X509_check_ip_asc(cert, host, 0) == 1);
        ck_assert_uint_eq(X509_get_extended_key_usage(cert), XKU_SSL_SERVER);
        X509_free(cert);
    }
    ca_issued_free(&issued);
    ca_close(&ca);
}
END_TEST

START_TEST(renewal_keeps_names_and_changes_key_and_serial)
{
    struct ca *ca = ca_fresh();
    struct ca_issued first, second, client;
    const char *names[] = {"kms.example", "127.0.0.1"};
    struct ca_server_request request = {.hosts = names, .host_count = 2};
    ck_assert_int_eq(ca_issue_server(ca, &request, &first, &why), RC_OK);
    ck_assert_int_eq(ca_renew_server(ca, buf_view(&first.cert_pem), 0, NULL, &second, &why), RC_OK);
    X509 *a = parse(buf_view(&first.cert_pem)), *b = parse(buf_view(&second.cert_pem));
    ck_assert_int_eq(X509_check_host(b, "kms.example", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_ip_asc(b, "127.0.0.1", 0), 1);
    ck_assert_int_ne(EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)), 1);
    ck_assert_str_ne(first.identity.serial, second.identity.serial);
    ca_issued_free(&second);
    struct ca_client_request who = {.name = "c"};
    ck_assert_int_eq(ca_issue_client(ca, &who, &client, &why), RC_OK);
    ck_assert_int_eq(ca_renew_server(ca, buf_view(&client.cert_pem), 0, NULL, &second, &why),
                     RC_BAD_VALUE);
    X509_free(a);
    X509_free(b);
    ca_issued_free(&client);
    ca_issued_free(&first);
    ca_close(&ca);
}
END_TEST

static X509_CRL *crl_on_disk(void)
{
    AUTO_BUF pem = BUF_EMPTY;
    STACK_OF(X509_CRL) * crls;
    ck_assert_int_eq(pem_file_read(in_dir("crl.pem"), &pem), RC_OK);
    ck_assert_int_eq(pem_crls_parse(buf_view(&pem), &crls), RC_OK);
    X509_CRL *crl = sk_X509_CRL_pop(crls);
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
    return crl;
}

static long crl_number(X509_CRL *crl)
{
    ASN1_INTEGER *n = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    long value = ASN1_INTEGER_get(n);
    ASN1_INTEGER_free(n);
    return value;
}

START_TEST(a_revocation_holds_and_is_never_taken_back)
{
    struct ca *ca = ca_fresh();
    struct ca_issued one, two;
    struct ca_client_request request = {.name = "one"};
    ck_assert_int_eq(ca_issue_client(ca, &request, &one, &why), RC_OK);
    request.name = "two";
    ck_assert_int_eq(ca_issue_client(ca, &request, &two, &why), RC_OK);
    X509 *a = parse(buf_view(&one.cert_pem)), *b = parse(buf_view(&two.cert_pem));

    struct ca_revoked list[] = {{one.identity.serial, time(NULL), CRL_REASON_KEY_COMPROMISE}};
    ck_assert_int_eq(ca_crl_write(ca, list, 1, 0, &why), RC_OK);
    struct trust *trust = trust_of(ca, true);
    ck_assert_int_eq(trust_check_client(trust, a, NULL, &why), RC_AUTH_FAILED);
    ck_assert_str_eq(why, "certificate revoked");
    ck_assert_int_eq(trust_check_client(trust, b, NULL, &why), RC_OK);
    trust_free(&trust);

    list[0] =
        (struct ca_revoked){two.identity.serial, time(NULL), 0}; /* the first is not named again */
    ck_assert_int_eq(ca_crl_write(ca, list, 1, 0, &why), RC_OK);
    trust = trust_of(ca, true);
    ck_assert_int_eq(trust_check_client(trust, a, NULL, &why), RC_AUTH_FAILED);
    ck_assert_int_eq(trust_check_client(trust, b, NULL, &why), RC_AUTH_FAILED);
    trust_free(&trust);

    ck_assert_int_eq(ca_crl_write(ca, list, 1, 0, &why), RC_OK); /* again: no second entry */
    X509_CRL *crl = crl_on_disk();
    ck_assert_int_eq(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 2);
    ck_assert_int_eq(crl_number(crl), 4);
    ck_assert_int_eq(X509_CRL_verify(crl, X509_get0_pubkey(ca_cert(ca))), 1);
    X509_CRL_free(crl);

    list[0].serial = "xyz";
    ck_assert_int_eq(ca_crl_write(ca, list, 1, 0, &why), RC_BAD_VALUE);
    X509_free(a);
    X509_free(b);
    ca_issued_free(&one);
    ca_issued_free(&two);
    ca_close(&ca);
}
END_TEST

START_TEST(a_damaged_crl_is_not_written_over)
{
    struct ca *ca = ca_fresh();
    ck_assert_int_eq(pem_file_write(in_dir("crl.pem"), bytes_str("rubbish"), 0644), RC_OK);
    ck_assert_int_eq(ca_crl_write(ca, NULL, 0, 0, &why), RC_BAD_VALUE);
    ca_close(&ca);
}
END_TEST

START_TEST(a_file_is_replaced_whole_or_not_at_all)
{
    AUTO_BUF read = BUF_EMPTY;
    ck_assert_int_eq(pem_file_write(in_dir("f"), bytes_str("one"), 0600), RC_OK);
    ck_assert_int_eq(pem_file_write(in_dir("f"), bytes_str("two!"), 0644), RC_OK);
    ck_assert_int_eq(pem_file_read(in_dir("f"), &read), RC_OK);
    ck_assert(bytes_is(buf_view(&read), "two!"));
    ck_assert_uint_eq(mode_of(in_dir("f")), 0644);
    ck_assert_int_eq(pem_secret_read(in_dir("f"), &read), RC_CONFIG);
    ck_assert_int_eq(pem_file_write(in_dir("no/such/f"), bytes_str("x"), 0600), RC_IO);
    ck_assert_int_eq(mkdir(in_dir("d"), 0700), 0);
    ck_assert_int_eq(pem_file_write(in_dir("d"), bytes_str("x"), 0600), RC_IO);
    int left = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        left += e->d_name[0] != '.';
    closedir(d);
    ck_assert_int_eq(left, 2); /* f and d: no temporary file stays */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certs");
    TCase *t = tcase_create("certs");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, dir_make, dir_drop);
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))
    tcase_add_test(t, ca_files_belong_to_root_only_and_are_made_once);
    tcase_add_loop_test(t, ca_certificate_has_its_profile, 0, 2);
    tcase_add_test(t, a_foreign_key_does_not_open_the_ca);
    tcase_add_test(t, a_client_certificate_has_its_profile);
    tcase_add_test(t, a_certificate_never_outlives_its_ca);
    tcase_add_loop_test(t, client_names_are_plain, 0, COUNT(client_names));
    tcase_add_loop_test(t, a_request_is_taken_when_strong_and_signed_by_its_key, 0, COUNT(csrs));
    tcase_add_test(t, garbage_is_no_request);
    tcase_add_loop_test(t, a_server_certificate_names_hosts, 0, COUNT(hosts));
    tcase_add_test(t, renewal_keeps_names_and_changes_key_and_serial);
    tcase_add_test(t, a_revocation_holds_and_is_never_taken_back);
    tcase_add_test(t, a_damaged_crl_is_not_written_over);
    tcase_add_test(t, a_file_is_replaced_whole_or_not_at_all);
    suite_add_tcase(s, t);
    suite_add_tcase(s, trust_tests());
    suite_add_tcase(s, facts_tests());
    SRunner *sr = srunner_create(s);
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
