/* Whom a certificate speaks for, and whether we believe it: two tables. */
#include "tests/unit/certs/trust_test.h"

#include "certs/identity.h"
#include "certs/trust.h"
#include "tests/support/pki.h"

static const char *why;

#define URI(text)                                                                                  \
    {                                                                                              \
        GEN_URI, text, sizeof text - 1                                                             \
    }
#define DNS(text)                                                                                  \
    {                                                                                              \
        GEN_DNS, text, sizeof text - 1                                                             \
    }
#define EMAIL(text)                                                                                \
    {                                                                                              \
        GEN_EMAIL, text, sizeof text - 1                                                           \
    }
#define IP(text)                                                                                   \
    {                                                                                              \
        GEN_IPADD, text, sizeof text - 1                                                           \
    }
#define LONG(x) x x x x x x x x x x x x x x x x
#define FOUR    URI("urn:a"), URI("urn:b"), URI("urn:c"), URI("urn:d")
#define NAMES(...)                                                                                 \
    (const struct pki_san[])                                                                       \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0, NULL, 0                                                                             \
        }                                                                                          \
    }

static const struct {
    const char *cn;
    size_t cn_len;
    const struct pki_san *sans;
    rc_t want;
    const char *kind, *value;
} identities[] = {
    {"web", 0, NULL, RC_OK, "subject", "CN=web"},
    {"a,b+c", 0, NULL, RC_OK, "subject", "CN=a\\,b\\+c"},
    {"\xc3\xa4", 0, NULL, RC_OK, "subject", "CN=\\C3\\A4"},
    {"web", 0, NAMES(DNS("Web.Example"), EMAIL("a@b"), URI("urn:x:1")), RC_OK, "uri", "urn:x:1"},
    {"web", 0, NAMES(EMAIL("a@b"), DNS("Web.Example")), RC_OK, "dns", "web.example"},
    {"web", 0, NAMES(EMAIL("Ada@b")), RC_OK, "email", "Ada@b"},
    {"web", 0, NAMES(IP("\x7f\0\0\1")), RC_OK, "subject", "CN=web"},
    {NULL, 0, NAMES(URI("urn:x:1")), RC_OK, "uri", "urn:x:1"},
    {"web", 0, NAMES(URI("urn:x:1"), URI("urn:x:2")), RC_OK, "uri", "urn:x:1"},
    {NULL, 0, NULL, RC_BAD_VALUE, NULL, NULL},
    {NULL, 0, NAMES(IP("\x7f\0\0\1")), RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(URI("")), RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(URI("urn:x:1\0.evil")), RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(DNS("web.example\0.evil"), URI("urn:x:1")), RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(DNS("web example")), RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(URI("urn:\xc3\xa4")), RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(URI(LONG(LONG("12345")))), RC_BAD_VALUE, NULL, NULL},
    {"we\0b", 4, NULL, RC_BAD_VALUE, NULL, NULL},
    {"web", 0, NAMES(FOUR, FOUR, FOUR, FOUR, URI("urn:e")), RC_TOO_MANY, NULL, NULL},
};

START_TEST(identity_reads_as_the_table_says)
{
    EVP_PKEY *key = pki_key("P-256");
    struct pki_spec top = {.cn = "CA", .ca = true};
    X509 *ca = pki_cert(&top, key, NULL, NULL);
    struct pki_spec spec = {
        .cn = identities[_i].cn, .cn_len = identities[_i].cn_len, .sans = identities[_i].sans};
    X509 *cert = pki_cert(&spec, key, ca, key);
    struct cert_identity id;
    ck_assert_int_eq(cert_identity(cert, &id), identities[_i].want);
    if (identities[_i].want == RC_OK) {
        ck_assert_str_eq(id.names[0].kind, identities[_i].kind);
        ck_assert_str_eq(id.names[0].value, identities[_i].value);
        ck_assert_str_eq(id.issuer, "CN=CA");
        ck_assert_uint_eq(strlen(id.fingerprint), 64);
        ck_assert_int_lt(id.not_before, id.not_after);
    } else {
        ck_assert_uint_eq(id.name_count, 0);
    }
    cert_identity_free(&id);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(a_serial_must_be_positive)
{
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    char out[CERT_SERIAL_SIZE];
    ck_assert_int_eq(ASN1_INTEGER_set(n, 0), 1);
    ck_assert_int_eq(cert_serial(n, out), RC_BAD_VALUE);
    ck_assert_int_eq(ASN1_INTEGER_set(n, -5), 1);
    ck_assert_int_eq(cert_serial(n, out), RC_BAD_VALUE);
    ck_assert_int_eq(ASN1_INTEGER_set(n, 0x1ff), 1);
    ck_assert_int_eq(cert_serial(n, out), RC_OK);
    ck_assert_str_eq(out, "01ff");
    ASN1_INTEGER_free(n);
}
END_TEST

static const struct {
    const char *why, *key, *digest, *purpose;
    long from_s, until_s;
    enum { BY_CA, BY_OTHER, BY_CLIENT } issuer;
    enum { NO_CRL, EMPTY_CRL, REVOKED, OLD_CRL, OTHER_CRL } crl;
    rc_t want;
} checks[] = {
    {"good", "P-256", NULL, "clientAuth", 0, 0, BY_CA, NO_CRL, RC_OK},
    {"good, no purpose named", "P-256", NULL, NULL, 0, 0, BY_CA, NO_CRL, RC_OK},
    {"good, RSA", "RSA2048", NULL, "clientAuth", 0, 0, BY_CA, EMPTY_CRL, RC_OK},
    {"server", "P-256", NULL, "serverAuth", 0, 0, BY_CA, NO_CRL, RC_AUTH_FAILED},
    {"expired", "P-256", NULL, "clientAuth", -7200, -60, BY_CA, NO_CRL, RC_AUTH_FAILED},
    {"not yet valid", "P-256", NULL, "clientAuth", 60, 7200, BY_CA, NO_CRL, RC_AUTH_FAILED},
    {"foreign", "P-256", NULL, "clientAuth", 0, 0, BY_OTHER, NO_CRL, RC_AUTH_FAILED},
    {"issued by a client", "P-256", NULL, "clientAuth", 0, 0, BY_CLIENT, NO_CRL, RC_AUTH_FAILED},
    {"weak key", "RSA1024", NULL, "clientAuth", 0, 0, BY_CA, NO_CRL, RC_AUTH_FAILED},
    {"curve", "secp256k1", NULL, "clientAuth", 0, 0, BY_CA, NO_CRL, RC_AUTH_FAILED},
    {"SHA-1", "P-256", "SHA1", "clientAuth", 0, 0, BY_CA, NO_CRL, RC_AUTH_FAILED},
    {"revoked", "P-256", NULL, "clientAuth", 0, 0, BY_CA, REVOKED, RC_AUTH_FAILED},
    {"CRL out of date", "P-256", NULL, "clientAuth", 0, 0, BY_CA, OLD_CRL, RC_AUTH_FAILED},
    {"no CRL of its CA", "P-256", NULL, "clientAuth", 0, 0, BY_CA, OTHER_CRL, RC_AUTH_FAILED},
};

struct found {
    unsigned count;
    int errors[16];
};

static void on_found(void *arg, int error, int depth, X509 *at)
{
    struct found *f = arg;
    ck_assert(depth >= 0 && at);
    if (f->count < 16)
        f->errors[f->count++] = error;
}

static bool has(const struct found *f, int error)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->errors[i] == error)
            return true;
    return false;
}

START_TEST(trust_checks_as_the_table_says)
{
    EVP_PKEY *keys[3] = {pki_key("P-256"), pki_key("P-256"), pki_key("P-256")};
    EVP_PKEY *key = pki_key(checks[_i].key);
    struct pki_spec specs[3] = {{.cn = "CA", .ca = true},
                                {.cn = "Other", .ca = true},
                                {.cn = "client", .purpose = "clientAuth"}};
    X509 *issuers[3];
    issuers[BY_CA] = pki_cert(&specs[0], keys[0], NULL, NULL);
    issuers[BY_OTHER] = pki_cert(&specs[1], keys[1], NULL, NULL);
    issuers[BY_CLIENT] = pki_cert(&specs[2], keys[2], issuers[0], keys[0]);
    struct pki_spec spec = {.cn = "me",
                            .purpose = checks[_i].purpose,
                            .digest = checks[_i].digest,
                            .from_s = checks[_i].from_s,
                            .until_s = checks[_i].until_s};
    X509 *cert = pki_cert(&spec, key, issuers[checks[_i].issuer], keys[checks[_i].issuer]);
    AUTO_BUF ca_pem = BUF_EMPTY;
    AUTO_BUF crl_pem = BUF_EMPTY;
    pki_cert_pem(issuers[BY_CA], &ca_pem);
    if (checks[_i].crl == OTHER_CRL)
        pki_cert_pem(issuers[BY_OTHER], &ca_pem);
    if (checks[_i].crl != NO_CRL) {
        int by = checks[_i].crl == OTHER_CRL ? BY_OTHER : BY_CA;
        X509_CRL *crl = pki_crl(issuers[by], keys[by], checks[_i].crl == REVOKED ? cert : NULL,
                                checks[_i].crl == OLD_CRL ? -60 : 3600);
        pki_crl_pem(crl, &crl_pem);
        X509_CRL_free(crl);
    }
    struct trust *trust;
    STACK_OF(X509) *chain = sk_X509_new_null();
    sk_X509_push(chain, issuers[BY_CLIENT]);
    ck_assert_int_eq(trust_new(buf_view(&ca_pem), buf_view(&crl_pem), &trust, &why), RC_OK);
    rc_t rc = trust_check_client(trust, cert, chain, &why);
    ck_assert_msg(rc == checks[_i].want, "%s: %s", checks[_i].why, why);
    struct found found = {0}; /* who is refused has something wrong, and nobody else */
    ck_assert_int_eq(trust_examine(trust, cert, chain, on_found, &found), RC_OK);
    ck_assert_msg((found.count > 0) == (rc != RC_OK), "%s: %u findings", checks[_i].why, found.count);
    sk_X509_free(chain);
    trust_free(&trust);
    X509_free(cert);
    EVP_PKEY_free(key);
    for (int i = 0; i < 3; i++) {
        X509_free(issuers[i]);
        EVP_PKEY_free(keys[i]);
    }
}
END_TEST

START_TEST(all_that_is_wrong_is_told)
{
    EVP_PKEY *ca_key = pki_key("P-256"), *key = pki_key("RSA1024");
    struct pki_spec ca_spec = {.cn = "CA", .ca = true};
    struct pki_spec spec = {.cn = "me", .purpose = "serverAuth", .digest = "SHA1", .from_s = -7200, .until_s = -60};
    X509 *ca = pki_cert(&ca_spec, ca_key, NULL, NULL), *cert = pki_cert(&spec, key, ca, ca_key);
    X509_CRL *crl = pki_crl(ca, ca_key, cert, 3600);
    AUTO_BUF ca_pem = BUF_EMPTY;
    AUTO_BUF crl_pem = BUF_EMPTY;
    struct trust *trust;
    struct found found = {0};
    pki_cert_pem(ca, &ca_pem);
    pki_crl_pem(crl, &crl_pem);
    ck_assert_int_eq(trust_new(buf_view(&ca_pem), buf_view(&crl_pem), &trust, &why), RC_OK);
    ck_assert_int_eq(trust_examine(trust, cert, NULL, on_found, &found), RC_OK);
    ck_assert(has(&found, X509_V_ERR_CERT_HAS_EXPIRED) && has(&found, X509_V_ERR_INVALID_PURPOSE));
    ck_assert(has(&found, X509_V_ERR_EE_KEY_TOO_SMALL) && has(&found, X509_V_ERR_CA_MD_TOO_WEAK));
    ck_assert(has(&found, X509_V_ERR_CERT_REVOKED));
    trust_free(&trust);
    X509_CRL_free(crl);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
}
END_TEST

START_TEST(trust_takes_only_cas_and_whole_files)
{
    struct trust *trust;
    EVP_PKEY *key = pki_key("P-256");
    struct pki_spec spec = {.cn = "not a CA"};
    X509 *cert = pki_cert(&spec, key, NULL, NULL);
    AUTO_BUF pem = BUF_EMPTY;
    pki_cert_pem(cert, &pem);
    ck_assert_int_eq(trust_new(buf_view(&pem), BYTES_NONE, &trust, &why), RC_BAD_VALUE);
    ck_assert_int_eq(trust_new(BYTES_NONE, BYTES_NONE, &trust, &why), RC_BAD_VALUE);
    X509_free(cert);
    buf_clear(&pem);
    spec.ca = true;
    cert = pki_cert(&spec, key, NULL, NULL);
    pki_cert_pem(cert, &pem);
    ck_assert_int_eq(trust_new(buf_view(&pem), bytes_str("x"), &trust, &why), RC_BAD_VALUE);
    buf_cut(&pem, pem.len / 2); /* a file cut off in the middle */
    ck_assert_int_eq(trust_new(buf_view(&pem), BYTES_NONE, &trust, &why), RC_BAD_VALUE);
    X509_free(cert);
    EVP_PKEY_free(key);
}
END_TEST

TCase *trust_tests(void)
{
    TCase *t = tcase_create("trust");
    tcase_set_timeout(t, 60);
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))
    tcase_add_loop_test(t, identity_reads_as_the_table_says, 0, COUNT(identities));
    tcase_add_test(t, a_serial_must_be_positive);
    tcase_add_loop_test(t, trust_checks_as_the_table_says, 0, COUNT(checks));
    tcase_add_test(t, all_that_is_wrong_is_told);
    tcase_add_test(t, trust_takes_only_cas_and_whole_files);
    return t;
}
