"""Clients that are bound by constraints, and the requests of three versions of KMIP by which they meet them; for
test_constraints.py and test_quotas.py."""
import os

import client
from client import BYTES, DATE, ENUM, INT, STRUCT, TEXT, attribute, item

VERSIONS = ((1, 0), (1, 4), (2, 1))
DAY = 86400
AES, DES3, RSA, EC = 3, 2, 4, 6

# by the name in 1.x: tag and type in 2.x
ATTRIBUTES = {"Cryptographic Algorithm": (0x420028, ENUM), "Cryptographic Length": (0x42002A, INT),
              "Cryptographic Usage Mask": (0x42002C, INT), "Name": (0x420053, STRUCT),
              "Activation Date": (0x420001, DATE), "Deactivation Date": (0x42002F, DATE),
              "Contact Information": (0x420022, TEXT), "Object Group": (0x420056, TEXT)}


def expected(version):
    """Result Reason of what a constraint refuses."""
    return 0x4B if version >= (2, 1) else 0x0C


def field(version, name, value):
    tag, kind = ATTRIBUTES[name]
    value = client.name_value(value) if name == "Name" else value
    return item(tag, kind, value) if version >= (2, 0) else attribute(name, kind, value)


def fields(version, given, tag=0x420125):
    given = [field(version, n, v) for n, v in given.items() if v is not None]
    return item(tag if version >= (2, 0) else {0x420125: 0x420091, 0x420126: 0x42001F, 0x420127: 0x420065,
                                               0x420128: 0x42006E}[tag], STRUCT, given)


def plain(**more):
    """Attributes of an AES key, by the first words of their names; None leaves one out."""
    words = {"algorithm": "Cryptographic Algorithm", "length": "Cryptographic Length",
             "mask": "Cryptographic Usage Mask", "name": "Name", "active": "Activation Date",
             "until": "Deactivation Date",
             "contact": "Contact Information", "group": "Object Group"}
    return {words[k]: v for k, v in {"algorithm": AES, "length": 256, "mask": 12, **more}.items()}


def create(version, **given):
    return ("Create", [item(0x420057, ENUM, 2), fields(version, plain(**given))])


def register(version, **given):
    """An AES key of the client's own; its algorithm and length stand in the key block."""
    given = plain(**given)
    algorithm, bits = given.pop("Cryptographic Algorithm"), given.pop("Cryptographic Length")
    value = item(0x420045, STRUCT, [item(0x420043, BYTES, os.urandom(bits // 8))])
    block = [item(0x420042, ENUM, 1), value, item(0x420028, ENUM, algorithm), item(0x42002A, INT, bits)]
    return ("Register", [item(0x420057, ENUM, 2), fields(version, given),
                         item(0x42008F, STRUCT, [item(0x420040, STRUCT, block)])])


def create_pair(version, private=None, public=None, **given):
    """On P-256, unless `given` says otherwise: what is common to both, and what is each one's own."""
    common = plain(**{"algorithm": EC, "mask": None, **given})
    own = plain(**{"algorithm": None, "length": None, "mask": 1, **(private or {})})
    other = plain(**{"algorithm": None, "length": None, "mask": 2, **(public or {})})
    return ("Create Key Pair", [fields(version, common, 0x420126), fields(version, own, 0x420127),
                                fields(version, other, 0x420128)])


def add(version, uid, name, value):
    if version < (2, 0):
        return ("Add Attribute", [client.uid(uid), field(version, name, value)])
    return ("Add Attribute", [client.uid(uid), item(0x42013D, STRUCT, [field(version, name, value)])])


def modify(version, uid, name, value):
    return ("Modify Attribute", add(version, uid, name, value)[1])


def delete(version, uid, name, value):
    if version < (2, 0):
        return client.delete_attribute(uid, name)
    return ("Delete Attribute", [client.uid(uid), item(0x42013C, STRUCT, [field(version, name, value)])])


MAKERS = {"Create": create, "Register": register, "Create Key Pair": create_pair}


class Bounded:
    """Two clients of the first domain, whose names begin with `prefix`, and constraints by SQL, of which every change
    raises the standing of all."""

    def __init__(self, state, prefix):
        self.state, self.files, self.ids = state, {}, {}
        for name in ("one", "two"):
            full = "%s-%s" % (prefix, name)
            folder = os.path.join(state.top, full)
            answer = state.holdfast("client", "add", full, "--out", folder)
            if answer.returncode != 0:
                raise RuntimeError(answer.stderr)
            self.files[name] = {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}
            self.ids[name] = self.sql("SELECT id FROM policy.client WHERE name = '%s'" % full)[0][0]
        self.group = self.sql("INSERT INTO policy.client_group (domain, name, shares) VALUES (1, 'bounds', true) "
                              "RETURNING id")[0][0]
        self.role = self.sql("INSERT INTO policy.role (domain, name) VALUES (1, 'bounds') RETURNING id")[0][0]
        self.sql("INSERT INTO policy.group_member (client_group, client) VALUES ('%s', '%s');"
                 "INSERT INTO policy.role_member (role, client_group) VALUES ('%s', '%s')"
                 % (self.group, self.ids["one"], self.role, self.group))
        self.bounds()
        self.links = {name: self.link(name) for name in self.files}

    def sql(self, text):
        return self.state.psql(text, role="postgres")

    def link(self, name, **options):
        return client.Connection(self.state.env, **self.files[name], **options)

    def call(self, name, *operations, **header):
        return self.links[name].call(*operations, **header)

    def bounds(self, *rows, more=""):
        """These constraints and no others. Their numbers."""
        text = ["BEGIN", "DELETE FROM policy.bound WHERE reason = 'bounds'"]
        for row in rows:
            row = {"domain": "1", "reason": "bounds", **row}
            text.append("INSERT INTO policy.bound (%s) VALUES (%s) RETURNING id"
                        % (", ".join(row), ", ".join("'%s'" % v for v in row.values())))
        text += [more] if more else []
        text += ["UPDATE policy.client SET standing = standing + 1 WHERE domain = 1", "COMMIT"]
        return [int(i) for row in self.sql(";\n".join(text)) for i in row[0].split() if i.isdigit()]

    def detail(self, name):
        return self.sql("SELECT coalesce(detail, '-') FROM audit.event WHERE client = '%s' ORDER BY at DESC, seq DESC "
                        "LIMIT 1" % self.ids[name])[0][0]

    def live(self, name):
        return int(self.sql("SELECT count(*) FROM kmip.object WHERE owner = '%s' AND state < 5" % self.ids[name])[0][0])

    def clear(self, name):
        """Nothing that this client owns is left."""
        self.bounds()
        for uid, in self.sql("SELECT uid FROM kmip.object WHERE owner = '%s' AND state < 5" % self.ids[name]):
            if not self.call(name, client.destroy(uid)).ok:
                self.call(name, client.revoke(uid, 1))
                self.call(name, client.destroy(uid))

    def end(self):
        self.bounds(more="DELETE FROM policy.object_default WHERE reason = 'bounds';"
                         "UPDATE policy.domain SET max_objects = NULL WHERE id = 1")
        for link in self.links.values():
            link.close()
        self.sql("DELETE FROM policy.role_member WHERE role = '%s'; DELETE FROM policy.role WHERE id = '%s';"
                 "DELETE FROM policy.group_member WHERE client_group = '%s';"
                 "DELETE FROM policy.client_group WHERE id = '%s'" % (self.role, self.role, self.group, self.group))
