/* What a certificate says, as attributes want it: names and their parts, alternative names, serial number. */
#include <stdio.h>

#include <openssl/err.h>

#include "certs/facts.h"
#include "proto/kmip/tables.h"
#include "tests/support/pki.h"
#include "tests/unit/certs/facts_test.h"

static struct bytes der_of(struct arena *a, X509 *cert)
{
    unsigned char *raw = NULL;
    int len = i2d_X509(cert, &raw);
    ck_assert_int_gt(len, 0);
    struct bytes out = arena_copy(a, bytes_of(raw, (size_t)len));
    OPENSSL_free(raw);
    X509_free(cert);
    return out;
}

static void add_part(X509_NAME *name, int nid, const char *text)
{
    ck_assert_int_eq(X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1,
                                                -1, 0),
                     1);
}

/* A certificate with each part that KMIP has an attribute for, and two of one. */
static struct bytes full_certificate(struct arena *a)
{
    static const struct pki_san sans[] = {{GEN_DNS, "one.example", 11},
                                          {GEN_IPADD, "\xC0\x00\x02\x07", 4},
                                          {GEN_EMAIL, "who@example", 11},
                                          {GEN_URI, "urn:x", 5},
                                          {0, NULL, 0}};
    EVP_PKEY *key = pki_key("P-384");
    struct pki_spec spec = {.cn = "First", .sans = sans, .digest = "SHA384"};
    X509 *cert = pki_cert(&spec, key, NULL, NULL);
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));
    add_part(name, NID_organizationName, "Sm\xC3\xB6rg\xC3\xA5s, Inc");
    add_part(name, NID_organizationalUnitName, "A");
    add_part(name, NID_organizationalUnitName, "B");
    add_part(name, NID_pkcs9_emailAddress, "a@example");
    add_part(name, NID_countryName, "SE");
    add_part(name, NID_stateOrProvinceName, "S");
    add_part(name, NID_localityName, "L");
    add_part(name, NID_userId, "u1");
    add_part(name, NID_serialNumber, "77");
    add_part(name, NID_title, "T");
    add_part(name, NID_domainComponent, "example");
    add_part(name, NID_dnQualifier, "q");
    add_part(name, NID_givenName, "no attribute of its own");
    X509_set_subject_name(cert, name);
    X509_NAME_free(name);
    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(cert), 0xDADA), 1);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha384()), 0);
    EVP_PKEY_free(key);
    return der_of(a, cert);
}

static const char *value_of(struct arena *a, const struct cert_dn *dn, enum cert_part part, size_t n)
{
    for (size_t i = 0; i < dn->value_count; i++)
        if (dn->values[i].part == part && n-- == 0)
            return arena_fmt(a, "%.*s", (int)dn->values[i].text.len, (const char *)dn->values[i].text.data);
    return "";
}

START_TEST(a_certificate_is_read)
{
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct cert_facts f;
    static const char *const parts[CERT_PART_COUNT] = {
        [CERT_PART_CN] = "First",        [CERT_PART_O] = "Sm\xC3\xB6rg\xC3\xA5s, Inc",
        [CERT_PART_OU] = "A",            [CERT_PART_EMAIL] = "a@example",
        [CERT_PART_C] = "SE",            [CERT_PART_ST] = "S",
        [CERT_PART_L] = "L",             [CERT_PART_UID] = "u1",
        [CERT_PART_SERIAL_NUMBER] = "77", [CERT_PART_TITLE] = "T",
        [CERT_PART_DC] = "example",      [CERT_PART_DN_QUALIFIER] = "q"};
    ck_assert_int_eq(cert_facts_read(&a, full_certificate(&a), &f), RC_OK);
    for (int i = 0; i < CERT_PART_COUNT; i++)
        ck_assert_str_eq(value_of(&a, &f.subject, (enum cert_part)i, 0), parts[i]);
    ck_assert_str_eq(value_of(&a, &f.subject, CERT_PART_OU, 1), "B");
    ck_assert_uint_eq(f.subject.value_count, CERT_PART_COUNT + 1);
    ck_assert(bytes_is(f.issuer.text, "CN=First"));
    static const char whole[] = "dnQualifier=q,DC=example,title=T,serialNumber=77,UID=u1,L=L,ST=S,C=SE,"
                                "emailAddress=a@example,OU=B,OU=A,O=Sm\xC3\xB6rg\xC3\xA5s\\, Inc,CN=First";
    ck_assert_ptr_nonnull(strstr((const char *)f.subject.text.data, whole));
    ck_assert_uint_eq(f.subject.der.data[0], 0x30);
    ck_assert_uint_eq(f.subject.alternative_count, 4);
    ck_assert(bytes_is(f.subject.alternatives[0], "one.example"));
    ck_assert(bytes_is(f.subject.alternatives[1], "192.0.2.7"));
    ck_assert(bytes_is(f.subject.alternatives[2], "who@example"));
    ck_assert(bytes_is(f.subject.alternatives[3], "urn:x"));
    ck_assert(bytes_is(f.subject.alternatives_der[0], "\x82\x0bone.example")); /* GeneralName */
    ck_assert_uint_eq(f.issuer.alternative_count, 0);
    ck_assert(bytes_is(f.serial_text, "DADA"));
    ck_assert(bytes_equal(f.serial_der, bytes_of("\x02\x03\x00\xDA\xDA", 5)));
    ck_assert_uint_eq(f.signature_algorithm, KMIP_SIGNATURE_ECDSA_WITH_SHA384);
}
END_TEST

START_TEST(an_empty_subject_is_empty_not_absent)
{
    static const struct pki_san sans[] = {{GEN_DNS, "x.example", 9}, {0, NULL, 0}};
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct cert_facts f;
    EVP_PKEY *key = pki_key("ED25519");
    struct pki_spec ca = {.cn = "CA", .ca = true}, spec = {.sans = sans};
    X509 *issuer = pki_cert(&ca, key, NULL, NULL);
    struct bytes der = der_of(&a, pki_cert(&spec, key, issuer, key));
    X509_free(issuer);
    EVP_PKEY_free(key);
    ck_assert_int_eq(cert_facts_read(&a, der, &f), RC_OK);
    ck_assert_ptr_nonnull(f.subject.text.data);
    ck_assert_uint_eq(f.subject.text.len, 0);
    ck_assert_uint_eq(f.subject.der.len, 2);
    ck_assert_uint_eq(f.subject.alternative_count, 1);
    ck_assert(bytes_is(f.issuer.text, "CN=CA"));
    ck_assert_uint_eq(f.signature_algorithm, 0); /* KMIP has no number for Ed25519 */
}
END_TEST

START_TEST(what_is_no_certificate_is_refused)
{
    AUTO_ARENA a = ARENA_OF(16 << 20);
    struct cert_facts f;
    struct bytes der = full_certificate(&a);
    for (size_t len = 0; len < der.len; len++)
        ck_assert_int_eq(cert_facts_read(&a, bytes_of(der.data, len), &f), RC_INVALID_FIELD);
    struct bytes longer = arena_copy(&a, der); /* with a byte after it */
    ck_assert_int_eq(cert_facts_read(&a, bytes_of(longer.data, longer.len + 1), &f), RC_INVALID_FIELD);
    struct bytes huge = bytes_of(arena_alloc(&a, CERT_FACTS_BYTES + 1), CERT_FACTS_BYTES + 1);
    ck_assert_int_eq(cert_facts_read(&a, huge, &f), RC_TOO_LARGE);
    ERR_clear_error();
}
END_TEST

/* Names with a NUL in them, each kind. */
START_TEST(a_nul_in_a_name_is_refused)
{
    static const struct pki_san nul[] = {{GEN_DNS, "good\0.evil", 10}, {0, NULL, 0}};
    AUTO_ARENA a = ARENA_OF(1 << 20);
    struct cert_facts f;
    EVP_PKEY *key = pki_key("P-256");
    struct pki_spec in_cn = {.cn = "good\0evil", .cn_len = 9}, in_san = {.cn = "x", .sans = nul};
    ck_assert_int_eq(cert_facts_read(&a, der_of(&a, pki_cert(&in_cn, key, NULL, NULL)), &f),
                     RC_INVALID_FIELD);
    ck_assert_int_eq(cert_facts_read(&a, der_of(&a, pki_cert(&in_san, key, NULL, NULL)), &f),
                     RC_INVALID_FIELD);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(a_name_without_end_is_refused)
{
    AUTO_ARENA a = ARENA_OF(8 << 20);
    struct cert_facts f;
    EVP_PKEY *key = pki_key("P-256");
    struct pki_spec spec = {.cn = "many"};
    for (int most = 0; most < 2; most++) {
        X509 *cert = pki_cert(&spec, key, NULL, NULL);
        X509_NAME *name = X509_NAME_new();
        for (int i = 0; i < CERT_FACTS_VALUES + most; i++)
            add_part(name, NID_organizationalUnitName, "x");
        X509_set_subject_name(cert, name);
        X509_NAME_free(name);
        ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
        ck_assert_int_eq(cert_facts_read(&a, der_of(&a, cert), &f), most ? RC_TOO_MANY : RC_OK);
    }
    EVP_PKEY_free(key);
    AUTO_ARENA small = ARENA_OF(4096);
    ck_assert_int_eq(cert_facts_read(&small, full_certificate(&a), &f), RC_NO_MEMORY);
}
END_TEST

TCase *facts_tests(void)
{
    TCase *t = tcase_create("facts");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_certificate_is_read);
    tcase_add_test(t, an_empty_subject_is_empty_not_absent);
    tcase_add_test(t, what_is_no_certificate_is_refused);
    tcase_add_test(t, a_nul_in_a_name_is_refused);
    tcase_add_test(t, a_name_without_end_is_refused);
    return t;
}
