/*
 * Files, trust and names of a client's certificate, put into words; see doctor.h. Each result of OpenSSL's that the
 * server can meet is a line of the table below; what it does not have is told in OpenSSL's own words.
 */
#include "config.h"

#include "server/admin/doctor.h"

#include <stdarg.h>
#include <string.h>

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certs/pem.h"
#include "certs/trust.h"
#include "server/base/clock.h"
#include "server/base/object.h"

enum { ENDS_SOON_S = 30 * 86400 };

/* ---- findings ---- */

static void __attribute__((format(printf, 5, 0)))
add(struct doctor *d, const char *severity, const char *code, const char *next, const char *format, va_list args)
{
    char what[2048];
    size_t i;
    json_t *old;
    vsnprintf(what, sizeof what, format, args);
    json_array_foreach(d->findings, i, old)
        if (strcmp(json_string_value(json_object_get(old, "code")), code) == 0 &&
            strcmp(json_string_value(json_object_get(old, "what")), what) == 0)
            return;
    json_array_append_new(
        d->findings, json_pack("{s:s, s:s, s:s, s:s}", "severity", severity, "code", code, "what", what, "next", next));
}

void doctor_error(struct doctor *d, const char *code, const char *next, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    add(d, "error", code, next, what, args);
    va_end(args);
    d->refused = true;
}

void doctor_warn(struct doctor *d, const char *code, const char *next, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    add(d, "warning", code, next, what, args);
    va_end(args);
}

/* ---- files ---- */

static bool holds(const struct buf *file, const char *word)
{
    return memmem(file->data, file->len, word, strlen(word)) != NULL;
}

/* Not PEM, but DER is the same certificate in another form: said, and gone on with. */
static X509 *read_der(struct doctor *d, const struct buf *file)
{
    const unsigned char *at = file->data;
    X509 *cert = file->len ? d2i_X509(NULL, &at, (long)file->len) : NULL;
    ERR_clear_error();
    if (cert)
        doctor_warn(d, "file-der", "openssl x509 -inform DER -in FILE -out FILE.pem, if the client wants PEM.",
                    "%s is DER, not PEM", d->path);
    return cert;
}

static void tell_no_certificate(struct doctor *d, const struct buf *file)
{
    if (file->len == 0)
        doctor_error(d, "file-empty", "Give the file that 'holdfast client add' or your authority made.", "%s is empty",
                     d->path);
    else if (holds(file, "CERTIFICATE REQUEST-----"))
        doctor_error(d, "file-request", "holdfast client add NAME --csr FILE signs it.",
                     "%s is a request for a certificate, not a certificate", d->path);
    else if (holds(file, "PRIVATE KEY-----"))
        doctor_error(d, "file-key", "Give the certificate, and the key with --key.",
                     "%s is a private key, not a certificate", d->path);
    else if (file->data[0] == 0x30)
        doctor_error(d, "file-format", "openssl pkcs12 -in FILE -nokeys -out cert.pem, if it is PKCS#12 (.p12, .pfx).",
                     "%s is binary, but no certificate in DER: is it PKCS#12?", d->path);
    else
        doctor_error(d, "file-format", "It must begin with -----BEGIN CERTIFICATE-----.",
                     "%s cannot be read as a certificate in PEM or DER", d->path);
}

static bool read_file(struct doctor *d, const char *code, const char *path, bool secret, struct buf *file)
{
    rc_t rc = secret ? pem_secret_read(path, file) : pem_file_read(path, file);
    if (rc == RC_OK)
        return true;
    if (rc == RC_CONFIG)
        doctor_error(d, code, "chmod 600 FILE", "others than its owner may read %s", path);
    else
        doctor_error(d, code, "Does it exist, and may you read it?", "%s cannot be read: %s", path,
                     rc == RC_NOT_FOUND ? "there is no such file" : rc_text(rc));
    return false;
}

/* The certificate, and behind it in the same file what the client sends along. */
static void read_cert(struct doctor *d)
{
    AUTO_BUF file = BUF_EMPTY;
    if (!read_file(d, "file-unreadable", d->path, false, &file))
        return;
    if (pem_certs_parse(buf_view(&file), &d->chain) == RC_OK) {
        d->cert = sk_X509_shift(d->chain);
        return;
    }
    d->chain = NULL;
    d->cert = read_der(d, &file);
    if (!d->cert)
        tell_no_certificate(d, &file);
}

static void read_chain(struct doctor *d, const char *path)
{
    AUTO_BUF file = BUF_EMPTY;
    STACK_OF(X509) *more = NULL;
    if (!read_file(d, "chain-unreadable", path, false, &file))
        return;
    if (pem_certs_parse(buf_view(&file), &more) != RC_OK) {
        doctor_error(d, "chain-format", "Give certificates in PEM, one behind the other.",
                     "%s cannot be read as certificates in PEM", path);
        return;
    }
    sk_X509_pop_free(d->chain, X509_free);
    d->chain = more;
}

static void read_key(struct doctor *d, const char *path)
{
    AUTO_BUF file = BUF_EMPTY;
    EVP_PKEY *key = NULL;
    if (!read_file(d, "key-unreadable", path, true, &file))
        return;
    if (holds(&file, "ENCRYPTED"))
        doctor_error(d, "key-encrypted", "openssl pkey -in FILE -out key.pem takes its pass phrase away.",
                     "%s is encrypted, and was not looked at", path);
    else if (pem_key_parse(buf_view(&file), &key) != RC_OK)
        doctor_error(d, "key-format", "It must be an unencrypted private key in PEM.",
                     "%s cannot be read as a private key", path);
    else if (d->cert && X509_check_private_key(d->cert, key) != 1)
        doctor_error(d, "key-mismatch", "Find the key that the certificate was made for, or have another one issued.",
                     "the key in %s does not belong to the certificate", path);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

void doctor_read(struct doctor *d, const char *chain_path, const char *key_path)
{
    read_cert(d);
    if (chain_path)
        read_chain(d, chain_path);
    if (key_path)
        read_key(d, key_path);
}

/* ---- trust ---- */

static const struct {
    int error;
    const char *code, *what, *next;
} table[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "expired", "is expired",
     "Renew it: holdfast client add NAME --renew, or at your authority."},
    {X509_V_ERR_CERT_NOT_YET_VALID, "not-yet-valid", "is not valid yet",
     "Wait until then, or set the clock of the machine that is wrong: this server's, or the authority's."},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "weak-key", "has a key too weak or of a kind that is not taken",
     "Use RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519 or Ed448."},
    {X509_V_ERR_CA_KEY_TOO_SMALL, "weak-ca-key", "has a key too weak or of a kind that is not taken",
     "The authority needs another key: RSA of 2048 bits or more, or P-256."},
    {X509_V_ERR_CA_MD_TOO_WEAK, "weak-signature", "is signed with a digest too weak, such as SHA-1 or MD5",
     "Have it issued again with SHA-256 or better."},
    {X509_V_ERR_INVALID_PURPOSE, "wrong-purpose", "is not for TLS clients (extended key usage or key usage)",
     "Have one issued with the extended key usage clientAuth."},
    {X509_V_ERR_INVALID_CA, "issuer-no-ca", "is no authority, but has issued a certificate",
     "Have the certificate issued by an authority."},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, "chain-too-long", "has more authorities below it than it allows",
     "Have the certificate issued by an authority nearer to it."},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, "chain-too-long", "stands in a chain longer than the server takes (3)",
     "Have the certificate issued by an authority nearer to the root."},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "bad-signature", "has a signature that is not its issuer's",
     "The file is damaged or not genuine: have it issued again."},
    {X509_V_ERR_CERT_REVOKED, "revoked", "is revoked by the CRL",
     "Issue another one: holdfast client add NAME --renew."},
    {X509_V_ERR_CRL_HAS_EXPIRED, "crl-stale", "is issued by an authority whose CRL is out of date",
     "Put a new CRL into the file that [tls] crl names; until then nobody of this authority is let in."},
    {X509_V_ERR_CRL_NOT_YET_VALID, "crl-not-yet-valid", "is issued by an authority whose CRL is not valid yet",
     "Is this server's clock right? Else put the present CRL into the file that [tls] crl names."},
    {X509_V_ERR_UNABLE_TO_GET_CRL, "crl-missing", "is issued by an authority that has no CRL in [tls] crl",
     "Add the authority's CRL to that file: once there is one, each issuer needs its own."},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, "crl-damaged", "is issued by an authority whose CRL has a wrong signature",
     "Put the authority's true CRL into the file that [tls] crl names."},
};

static const char *subject_of(X509 *cert, char out[static 300])
{
    X509_NAME_oneline(X509_get_subject_name(cert), out, 299);
    return out;
}

/* Whether an authority of this name is configured: then it is another key that signed. */
static bool issuer_named(const struct doctor *d, X509 *at)
{
    AUTO_BUF file = BUF_EMPTY;
    STACK_OF(X509) *cas = NULL;
    bool found = false;
    if (pem_file_read(d->config->tls_client_ca, &file) != RC_OK || pem_certs_parse(buf_view(&file), &cas) != RC_OK)
        return false;
    for (int i = 0; i < sk_X509_num(cas) && !found; i++)
        found = X509_NAME_cmp(X509_get_subject_name(sk_X509_value(cas, i)), X509_get_issuer_name(at)) == 0;
    sk_X509_pop_free(cas, X509_free);
    return found;
}

static void tell_issuer(struct doctor *d, int error, X509 *at)
{
    char issuer[300] = "";
    X509_NAME_oneline(X509_get_issuer_name(at), issuer, sizeof issuer - 1);
    const char *ca = d->config->tls_client_ca;
    if (error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
        doctor_error(d, "self-signed", "Have it issued by that authority: holdfast client add NAME --csr FILE.",
                     "it is self-signed, and not one of the authorities in %s", ca);
    else if (error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
        doctor_error(d, "issuer-foreign", "Have it issued by one of them, or add this authority to the file.",
                     "its chain ends at %s, which is not one of the authorities in %s", issuer, ca);
    else if (issuer_named(d, at))
        doctor_error(d, "issuer-other-key",
                     "Was the authority made anew? Have the certificate issued again, or add the old authority.",
                     "an authority named %s is in %s, but with another key than the one that signed", issuer, ca);
    else
        doctor_error(d, "issuer-unknown",
                     "Where it is an authority between: the client must send its certificate along (--chain). "
                     "Where it is a root: have the certificate issued by one of those in the file, or add it.",
                     "its issuer %s is neither in %s nor sent along: the chain is incomplete", issuer, ca);
}

static bool is_about_issuer(int error)
{
    return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
           error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

static void on_finding(void *arg, int error, int depth, X509 *at)
{
    struct doctor *d = arg;
    char subject[300] = "?", who[340] = "the certificate";
    if (!at)
        at = d->cert;
    if (depth > 0)
        snprintf(who, sizeof who, "the authority's certificate %s", subject_of(at, subject));
    if (is_about_issuer(error)) {
        tell_issuer(d, error, at);
        return;
    }
    if (error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE || error == X509_V_ERR_CERT_UNTRUSTED)
        return; /* what follows from an issuer that is not there */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].error == error) {
            doctor_error(d, table[i].code, table[i].next, "%s %s", who, table[i].what);
            return;
        }
    doctor_error(d, "not-trusted", "See openssl-verification-options(1).", "%s: %s", who,
                 X509_verify_cert_error_string(error));
}

/* What the server lets pass, though it will be trouble, or is seldom meant. */
static void look_at_cert(struct doctor *d)
{
    if (X509_check_ca(d->cert) == 1)
        doctor_warn(d, "ca-as-client", "Have a certificate issued for the client itself.",
                    "it is an authority's certificate (CA: true), which no client should show");
    int64_t until = NO_DATE, now = clock_wall_s();
    char day[16];
    if (cert_time(X509_get0_notAfter(d->cert), &until) == RC_OK && until >= now && until - now < ENDS_SOON_S)
        doctor_warn(d, "ends-soon", "Renew it: holdfast client add NAME --renew.", "it ends on %s",
                    cli_date(until, day));
}

void doctor_trust(struct doctor *d)
{
    AUTO_BUF ca = BUF_EMPTY, crl = BUF_EMPTY;
    struct trust *trust = NULL;
    const char *why = NULL;
    const struct config *config = d->config;
    look_at_cert(d);
    if (!read_file(d, "server-ca", config->tls_client_ca, false, &ca) ||
        (*config->tls_crl && !read_file(d, "server-crl", config->tls_crl, false, &crl)))
        return;
    if (trust_new(buf_view(&ca), buf_view(&crl), &trust, &why) != RC_OK) {
        doctor_error(d, "server-files", "Correct the files that [tls] client_ca and crl name.",
                     "this server cannot use its own files: %s", why);
        return;
    }
    size_t before = json_array_size(d->findings);
    rc_t rc = trust_check_client(trust, d->cert, d->chain, &why);
    if (rc != RC_OK && trust_examine(trust, d->cert, d->chain, on_finding, d) == RC_OK &&
        json_array_size(d->findings) == before)
        doctor_error(d, "not-trusted", "See openssl-verification-options(1).", "the server does not believe it: %s",
                     why);
    d->refused |= rc != RC_OK;
    trust_free(&trust);
}

/* ---- names ---- */

void doctor_names(struct doctor *d)
{
    rc_t rc = cert_identity(d->cert, &d->identity);
    d->named = rc == RC_OK;
    if (rc == RC_TOO_MANY) {
        doctor_error(d, "too-many-names", "Have one issued with the one name that the client is known by.",
                     "it has more than %d names", CERT_NAMES);
        return;
    }
    if (rc != RC_OK) {
        doctor_error(
            d, "no-usable-name",
            "Have one issued with a subject alternative name (URI, DNS or mail) of printable ASCII.",
            "it has no name that can be used: none at all, an empty or overlong one, one with other characters "
            "than printable ASCII, or a serial number that is not positive");
        return;
    }
    if (strcmp(d->identity.names[0].kind, "subject") == 0)
        doctor_warn(d, "no-alternative-name", "Have one issued with a subject alternative name, such as a URI.",
                    "it has no subject alternative name that is used, so that its whole subject is its name: another "
                    "word in it is another client");
    else if (d->identity.name_count > 1)
        doctor_warn(d, "several-names", "Nothing, if that is the client that is meant.",
                    "it has %zu names; the first one that policy knows decides", d->identity.name_count);
}

void doctor_free(struct doctor *d)
{
    cert_identity_free(&d->identity);
    X509_free(d->cert);
    sk_X509_pop_free(d->chain, X509_free);
    json_decref(d->findings);
}
