"""What the ten rules for servers (rules/ has those that a replay can tell) need beyond the replay of one client: all
versions of one object, TLS as clients use it, and what stays in the server of what they say."""
import os
import socket
import ssl
import subprocess

import client
import names
import replay
import script
import tap

ALL = " ".join("%d.%d" % v for v in names.VERSIONS)

# Rule 1: objects with all that 2.1 knows, made in it, and how each version looks at them.
RICH = """
client Rule 1, a rich object
version 2.1
let material random:32
step makes them
    Create
        ObjectType SymmetricKey
        Attributes
            CryptographicAlgorithm AES
            CryptographicLength 256
            CryptographicUsageMask Encrypt|Decrypt|WrapKey|UnwrapKey|Authenticate
            Name
                NameValue "rule1-{salt}"
                NameType UninterpretedTextString
            AlternativeName
                AlternativeNameValue "urn:rule:1"
                AlternativeNameType URI
            ObjectGroup "rule1"
            ApplicationSpecificInformation
                ApplicationNamespace "rule"
                ApplicationData "1"
            ContactInformation "somebody"
            Description "of 1.4"
            Comment "of 1.4, too"
            Sensitive false
            Extractable true
            QuantumSafe false
            RotateOffset interval:3600
            ProtectionLevel High
            ProtectionPeriod interval:3600
            ActivationDate now-10
            DeactivationDate now+100000
            Attribute
                VendorIdentification "x"
                AttributeName "Vendor"
                AttributeValue "of all versions"
            Attribute
                VendorIdentification "some.vendor"
                AttributeName "Other"
                AttributeValue 7
    -> Success
        UniqueIdentifier $rich
    Register
        ObjectType SecretData
        Attributes
            CryptographicUsageMask DeriveKey
        SecretData
            SecretDataType Seed
            KeyBlock
                KeyFormatType Raw
                KeyValue
                    KeyMaterial $material
    -> Success
        UniqueIdentifier $secret
    Register
        ObjectType OpaqueObject
        Attributes
        OpaqueObject
            OpaqueDataType enum:0x80000001
            OpaqueDataValue $material
    -> Success
        UniqueIdentifier $opaque
    CreateKeyPair
        CommonAttributes
            CryptographicAlgorithm RSA
            CryptographicLength 2048
        PrivateKeyAttributes
            CryptographicUsageMask Sign
        PublicKeyAttributes
            CryptographicUsageMask Verify
    -> Success
        PrivateKeyUniqueIdentifier $private
        PublicKeyUniqueIdentifier $public
step has them all
    GetAttributes
        UniqueIdentifier $rich
    -> Success
        Attributes
            ProtectionLevel High
            ProtectionPeriod interval:3600
            QuantumSafe false
            Comment "of 1.4, too"
            ShortUniqueIdentifier *
            KeyFormatType Raw
"""

# And what only 1.x knows.
POLICY = """
client Rule 1, an attribute of 1.x
version 1.4
step adds it
    AddAttribute
        UniqueIdentifier $rich
        Attribute "Operation Policy Name" "default"
    -> Success
        UniqueIdentifier $rich
"""

# The player itself looks whether all of an answer is of its version.
LOOKS = """
client Rule 1, gating
version %s
""" % ALL + "".join("""
step looks at %(what)s
    GetAttributes
        UniqueIdentifier $%(what)s
    -> Success
        UniqueIdentifier $%(what)s
    GetAttributeList
        UniqueIdentifier $%(what)s
    -> Success
        UniqueIdentifier $%(what)s
    Get
        UniqueIdentifier $%(what)s
    -> Success
        UniqueIdentifier $%(what)s
        %(object)s
""" % {"what": what, "object": thing} for what, thing in [
    ("rich", "SymmetricKey\n            KeyBlock\n                KeyValue\n                    KeyMaterial *"),
    ("secret", "SecretData\n            SecretDataType Seed"),
    ("opaque", "OpaqueObject\n            OpaqueDataValue *"),
    ("private", "PrivateKey\n            KeyBlock\n                KeyValue\n                    KeyMaterial *"
                "\n                    no Attribute\n                    no Attributes"),
    ("public", "PublicKey\n            KeyBlock\n                KeyValue\n                    KeyMaterial *"
               "\n                    no Attribute\n                    no Attributes")]) + """
step is refused
    Get
        UniqueIdentifier "none"
    -> %s
"""

QUERIES = """
client Rule 1, queries
version %s
step asks for all that it can
    Query
%s
    -> Success
        Operation Get
"""


def play(state, text, version=None, values=None):
    """The first fault or None, and the values by name."""
    read = script.read(text)
    player = replay.Player(state, read, version or read.versions[0])
    player.values.by_name.update(values or {})
    return next((fault for _, fault in player.play() if fault), None), player.values.by_name


def rule_1_versions(state):
    fault, made = play(state, RICH)
    fault = fault or play(state, POLICY, values=made)[0]
    if not tap.ok(fault is None, "rule 1: objects with attributes of all versions are made", fault):
        return
    for version in names.VERSIONS:
        missing = "ItemNotFound" if version < (2, 0) else "ObjectNotFound"
        fault, _ = play(state, LOOKS % missing, version, made)
        tap.ok(fault is None, "rule 1: %d.%d sees nothing of another version" % version, fault)
        functions = ["        QueryFunction 0x%x" % n for n in sorted(names.ENUMS["queryfunction"].of[version])]
        fault, _ = play(state, QUERIES % ("%d.%d" % version, "\n".join(functions)))
        tap.ok(fault is None, "rule 1: nor do the answers to %d questions" % len(functions), fault)


# ---- rule 6 ----

PROBE = """
client Rule 6, a probe
version 1.1
step asks for versions
    DiscoverVersions
    -> Success
        ProtocolVersion
            ProtocolVersionMajor 1
"""

RESUMES = """
client Rule 6, a session taken up again
version 1.4
step makes a key
    connect %s
    Create
        ObjectType SymmetricKey
        TemplateAttribute
            Attribute "Cryptographic Algorithm" AES
            Attribute "Cryptographic Length" 128
            Attribute "Cryptographic Usage Mask" Encrypt|Decrypt
    -> Success
        UniqueIdentifier $key
step is known on the session of the connection before
    connect resumed
    Get
        UniqueIdentifier $key
    -> Success
        UniqueIdentifier $key
step and once more
    connect resumed
    Destroy
        UniqueIdentifier $key
    -> Success
        UniqueIdentifier $key
"""

PROBES = 40
OLD_SUITES = ["AES128-SHA256", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"]


def handshake(state, suites):
    """What a client with these suites of TLS 1.2 alone comes to: the suite, or None where it is turned away."""
    context = client.tls_context(state.env, version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(suites + ":@SECLEVEL=0")
    try:
        with client.Connection(state.env, context=context) as link:
            return link.tls.cipher()[0]
    except OSError:
        return None


def rule_6_tls(state):
    for version in ("1.2", "1.3"):
        fault, _ = play(state, RESUMES % version)
        tap.ok(fault is None, "rule 6: TLS %s: a session is taken up again by who began it" % version, fault)
    taken = [s for s in OLD_SUITES if handshake(state, s)]
    new = handshake(state, "ECDHE-ECDSA-AES128-GCM-SHA256")
    tap.ok(new and not taken, "rule 6: TLS 1.2 has suites that keep secrets forward, and no others", (new, taken))


def rule_6_probes(state):
    """Many short connections, beside others that say nothing: no handshake waits for another."""
    address = (state.env["HOLDFAST_HOST"], int(state.env["HOLDFAST_PORT"]))
    silent = [socket.create_connection(address, 10) for _ in range(PROBES)]
    try:
        faults = [play(state, PROBE)[0] for _ in range(PROBES)]
        tap.ok(not any(faults), "rule 6: %d probes, each on a connection of its own, beside as many that are silent"
               % PROBES, [f for f in faults if f][:3])
    finally:
        for s in silent:
            s.close()
    code, settings = state.json("config", "show")
    tap.ok(code == 0 and int(settings["limits"]["idle_ms"]) >= 600000, "rule 6: a pool may be idle for ten minutes",
           settings.get("limits"))


def certificate(path):
    return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-text"], capture_output=True, text=True,
                          check=True, timeout=60).stdout


def rule_6_certificates(state):
    """What picky clients look for in certificates."""
    with open(state.conf, encoding="utf-8") as f:
        lines = f.read()
    conf, folder = os.path.join(state.top, "rule6.conf"), os.path.join(state.top, "rule6")
    links = "http://pki.example/crl.pem", "http://pki.example/ca.pem"
    with open(conf, "w", encoding="utf-8") as f:
        f.write(lines + "\n[tls]\ncrl_url = %s\nca_url = %s\n" % links)
    plain, linked = folder + "-plain", folder + "-linked"
    for name, where in ((state.conf, plain), (conf, linked)):
        answer = state.holdfast("client", "add", os.path.basename(where), "--out", where, env={"HOLDFAST_CONFIG": name})
        if not tap.ok(answer.returncode == 0, "rule 6: a client's certificate is issued", answer.stderr):
            return
    text = certificate(os.path.join(linked, "cert.pem"))
    tap.ok(all(link in text for link in links) and "CRL Distribution Points" in text
           and "Authority Information Access" in text, "rule 6: it names CRL and authority, where they are configured",
           text)
    text = certificate(os.path.join(plain, "cert.pem"))
    tap.ok("Distribution" not in text and "Information Access" not in text, "rule 6: and only there", text)
    for what, path in (("a client", os.path.join(plain, "cert.pem")), ("the authority", state.env["HOLDFAST_CA"])):
        text = certificate(path)
        tap.ok("X509v3 Basic Constraints: critical" in text and "ecdsa-with-SHA256" in text,
               "rule 6: the certificate of %s is signed with SHA-256 and has critical basic constraints" % what, text)


# ---- rules 7 and 9 ----

SECRET = "never-to-be-told"  # what rules/07-credentials.replay sends as a password


def rule_7_passwords(state):
    tap.ok(SECRET not in state.log(), "rule 7: no password stands in the log")
    dump = subprocess.run(["pg_dump", "--data-only", "-U", "postgres"], capture_output=True, text=True, timeout=120,
                          env={"PATH": os.environ["PATH"], **state.env})
    tap.ok(dump.returncode == 0 and SECRET not in dump.stdout, "rule 7: nor in the database", dump.stderr)


POLLS = 60


def rule_9_polling(state):
    with client.Connection(state.env) as link:
        key = link.call(client.create()).uid
        row = "SELECT version, last_change_date, xmin FROM kmip.object WHERE uid = '%s'" % key
        before = state.psql(row, "postgres")
        answers = [link.call(client.get_attributes(key, "State"), version=(1, 0)) for _ in range(POLLS)]
        told = state.psql("SELECT count(*) FROM audit.events WHERE object = '%s'" % key)
        tap.ok({a.state for a in answers} == {"PreActive"} and state.psql(row, "postgres") == before
               and told == [[str(1 + POLLS)]], "rule 9: a state polled %d times is told each time, and nothing of the "
               "key is written" % POLLS, (answers[:2], told))


def run(state):
    with state.settings(replay.CROWD):
        rule_1_versions(state)
        rule_6_tls(state)
        rule_6_probes(state)
    rule_6_certificates(state)
    rule_7_passwords(state)
    rule_9_polling(state)
