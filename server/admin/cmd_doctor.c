/*
 * `holdfast client doctor`: a client's certificate as this server would see it; what is wrong, and what to do next.
 */
#include "config.h"

#include <string.h>
#include <time.h>

#include <jansson.h>

#include "certs/facts.h"
#include "db/db.h"
#include "proto/kmip/tables.h"
#include "server/admin/admin_db.h"
#include "server/admin/doctor.h"
#include "server/base/clock.h"

enum { CLOCK_S = 60, MEMORY = 16 << 20 }; /* as much as a login may take */

/* What policy says, beside the findings. */
struct standing {
    char client[256]; /* empty: none */
};

/* ---- policy ---- */

/* "uri urn:x:1, dns host" */
static void list_names(const struct cert_identity *id, char *out, size_t room)
{
    size_t at = 0;
    *out = 0;
    for (size_t i = 0; i < id->name_count && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%s %s", i ? ", " : "", id->names[i].kind, id->names[i].value);
}

static void tell_unknown(struct doctor *d, const struct db_standing *more)
{
    char names[1200];
    list_names(&d->identity, names, sizeof names);
    if (*more->other_issuer)
        doctor_error(
            d, "other-issuer",
            "Have it issued by that authority, or add this certificate to the client (policy.certificate_add).",
            "policy knows %s, but only of the issuer %s, not of %s", d->identity.names[0].value, more->other_issuer,
            d->identity.issuer);
    else
        doctor_error(d, "unknown-client",
                     "Enrol it: holdfast client add NAME, or for a certificate of another authority in psql as "
                     "holdfast_policy: SELECT policy.client_add(...).",
                     "policy has no client for it; looked for, of the issuer %s: %s", d->identity.issuer, names);
}

static void judge(struct doctor *d, const struct db_identity *id, const struct db_standing *more)
{
    int64_t apart = more->clock_us / 1000000 - clock_wall_s();
    if (apart > CLOCK_S || apart < -CLOCK_S)
        doctor_warn(d, "clock", "Let both keep time by NTP: certificates and key dates are judged by the clock.",
                    "the clocks of this machine and of the database are %lld seconds apart", (long long)apart);
    if (!id->found) {
        tell_unknown(d, more);
        return;
    }
    int len = (int)id->client_name.len;
    const char *name = (const char *)id->client_name.data;
    if (!more->client_enabled)
        doctor_error(d, "client-disabled", "holdfast client enable NAME lets it work again.",
                     "the client %.*s is disabled", len, name);
    if (!more->domain_enabled)
        doctor_error(d, "domain-disabled", "holdfast domain enable NAME lets its clients work again.",
                     "the domain %s of the client %.*s is disabled", more->domain, len, name);
    d->refused |= !id->enabled; /* as the worker reads it, whatever it stands for */
    if (id->revoked)
        doctor_error(d, "revoked-policy", "Issue another one: holdfast client add NAME --renew.",
                     "the certificate is revoked in policy (client %.*s)", len, name);
    if (more->second_factor)
        doctor_warn(d, "second-factor", "Give it the user name and password, or the device, registered for it.",
                    "policy wants a KMIP Credential in each request of the client %.*s", len, name);
    if (!more->certificate_known)
        doctor_warn(d, "unlisted", "Add it with policy.certificate_add, so that it can be revoked alone.",
                    "policy knows the client by its name, but not this certificate");
}

/* The same question as a worker's, of the same database and by the same role. */
static void look_at_policy(struct cli *cli, struct doctor *d, struct standing *standing)
{
    AUTO_ARENA arena = ARENA_OF(MEMORY);
    AUTO_DB db = NULL;
    struct db_standing more;
    struct db_identity id = {.issuer = bytes_str(d->identity.issuer),
                             .fingerprint = bytes_str(d->identity.fingerprint)};
    for (size_t i = 0; i < d->identity.name_count && i < DB_IDENTITY_NAMES; i++)
        id.names[id.name_count++] =
            (struct db_identity_name){d->identity.names[i].kind, bytes_str(d->identity.names[i].value)};
    if (admin_db_open(cli, d->config, DB_ROLE_SERVER, &db) != CLI_DONE) {
        doctor_error(d, "no-database", "See the error above.",
                     "policy could not be read, so nobody is let in for certain");
        return;
    }
    rc_t rc = db_identity_find(db, &arena, &id);
    if (rc == RC_OK)
        rc = db_identity_standing(db, &id, &more);
    if (rc != RC_OK) {
        doctor_error(d, "no-database", "Is the schema of this version (holdfast db migrate)?",
                     "policy could not be read: %s", db_admin_error(db));
        return;
    }
    judge(d, &id, &more);
    if (id.found)
        snprintf(standing->client, sizeof standing->client, "%.*s", (int)id.client_name.len,
                 (const char *)id.client_name.data);
}

/* ---- telling ---- */

/* Subject, issuer and so on, as the certificate says them. */
static json_t *facts_of(const struct doctor *d)
{
    AUTO_ARENA arena = ARENA_OF(MEMORY);
    struct cert_facts facts;
    unsigned char *der = NULL;
    json_t *out = json_pack("{s:s}", "file", d->path);
    int len = d->cert ? i2d_X509(d->cert, &der) : 0;
    if (len > 0 && cert_facts_read(&arena, bytes_of(der, (size_t)len), &facts) == RC_OK) {
        const char *signature = facts.signature_algorithm
                                    ? kmip_enum_name(KMIP_TAG_DIGITAL_SIGNATURE_ALGORITHM, facts.signature_algorithm)
                                    : "another one";
        json_object_set_new(out, "subject",
                            json_stringn((const char *)facts.subject.text.data, facts.subject.text.len));
        json_object_set_new(out, "issuer", json_stringn((const char *)facts.issuer.text.data, facts.issuer.text.len));
        json_object_set_new(out, "serial", json_stringn((const char *)facts.serial_text.data, facts.serial_text.len));
        json_object_set_new(out, "signature", json_string(signature));
    }
    OPENSSL_free(der);
    if (!d->named)
        return out;
    char from[16], until[16];
    json_t *names = json_array();
    for (size_t i = 0; i < d->identity.name_count; i++)
        json_array_append_new(
            names, json_pack("{s:s, s:s}", "kind", d->identity.names[i].kind, "value", d->identity.names[i].value));
    json_object_set_new(out, "names", names);
    json_object_set_new(out, "fingerprint", json_string(d->identity.fingerprint));
    json_object_set_new(out, "not_before", json_string(cli_date(d->identity.not_before, from)));
    json_object_set_new(out, "not_after", json_string(cli_date(d->identity.not_after, until)));
    return out;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static void print(FILE *out, const struct doctor *d, const json_t *facts, const struct standing *standing)
{
    size_t i;
    json_t *one;
    fprintf(out, "%s\n", d->path);
    if (d->cert)
        fprintf(out, "  subject    %s\n  issuer     %s\n  serial     %s, signed with %s\n", text_of(facts, "subject"),
                text_of(facts, "issuer"), text_of(facts, "serial"), text_of(facts, "signature"));
    if (d->named)
        fprintf(out, "  valid      %s to %s\n", text_of(facts, "not_before"), text_of(facts, "not_after"));
    json_array_foreach(json_object_get(facts, "names"), i, one)
        fprintf(out, "  name       %s %s\n", text_of(one, "kind"), text_of(one, "value"));
    json_array_foreach(d->findings, i, one)
        fprintf(out, "%s (%s): %s\n  next: %s\n", text_of(one, "severity"), text_of(one, "code"), text_of(one, "what"),
                text_of(one, "next"));
    if (d->refused)
        fprintf(out, "The server would not let it in.\n");
    else
        fprintf(out, "The server would let it in as %s.\n", standing->client);
}

enum cli_exit cmd_client_doctor(struct cli *cli)
{
    struct config config;
    struct standing standing = {{0}};
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    struct doctor d = {.config = &config, .path = cli->arguments[0], .findings = json_array()};
    if (!d.findings)
        return cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
    doctor_read(&d, cli_value(cli, OPT_CHAIN, NULL), cli_value(cli, OPT_DOCTOR_KEY, NULL));
    if (d.cert) {
        doctor_names(&d);
        doctor_trust(&d);
    }
    if (d.named)
        look_at_policy(cli, &d, &standing);
    json_t *facts = facts_of(&d);
    if (cli_given(cli, OPT_JSON)) {
        json_object_set_new(facts, "admitted", json_boolean(!d.refused));
        if (*standing.client)
            json_object_set_new(facts, "client", json_string(standing.client));
        json_object_set(facts, "findings", d.findings);
        code = cli_print_json(cli, facts);
    } else {
        print(cli->out, &d, facts, &standing);
        json_decref(facts);
    }
    bool refused = d.refused;
    doctor_free(&d);
    return code == CLI_DONE && refused ? CLI_REFUSED : code;
}
