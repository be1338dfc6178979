"""PyKMIP as a client that we did not write, in each version that products use it in: all of its operations that this
server has."""
import logging
import ssl
import subprocess

import tap

VERSIONS = "KMIP_1_0", "KMIP_1_2", "KMIP_1_4", "KMIP_2_0"
USAGE = "ENCRYPT", "DECRYPT"


def run(state):
    # It tells of each configuration file that it does not find.
    logging.disable(logging.CRITICAL)
    try:
        from kmip.core import enums
        with Session(state, enums.KMIPVersion.KMIP_1_2).connection():
            pass
    except (ImportError, AttributeError) as error:  # it may be absent, or older than this Python
        tap.skip("PyKMIP", "does not go with this Python: %r" % error)
        return
    for version in VERSIONS:
        Session(state, enums.KMIPVersion[version]).play()


def openssl(*args, input=None):
    return subprocess.run(["openssl", *args], input=input, capture_output=True, check=True, timeout=60).stdout


class Session:
    """One connection in one version."""

    def __init__(self, state, version):
        from kmip.core import enums
        from kmip.core.factories.attributes import AttributeFactory
        from kmip.pie import objects
        self.state, self.version, self.enums, self.objects = state, version, enums, objects
        self.attribute = AttributeFactory().create_attribute
        self.name = version.name.replace("KMIP_", "").replace("_", ".")
        self.masks = self.mask(*USAGE)

    def mask(self, *names):
        return [self.enums.CryptographicUsageMask[n] for n in names]

    def called(self, what):
        return "pykmip-%s-%s" % (self.name, what)

    def connection(self, **more):
        from kmip.pie.client import ProxyKmipClient
        env = self.state.env
        return ProxyKmipClient(hostname=env["HOLDFAST_HOST"], port=int(env["HOLDFAST_PORT"]), cert=env["HOLDFAST_CERT"],
                               key=env["HOLDFAST_KEY"], ca=env["HOLDFAST_CA"], ssl_version="PROTOCOL_TLSv1_2",
                               kmip_version=self.version, **more)

    def ok(self, condition, sentence, detail=""):
        return tap.ok(condition, "PyKMIP %s: %s" % (self.name, sentence), detail)

    def refused(self, sentence, reason, call, *args):
        """reason: how its name in PyKMIP begins."""
        try:
            self.ok(False, sentence, call(*args))
        except Exception as error:
            self.ok(reason in str(error), sentence, repr(error))

    def play(self):
        with self.connection() as self.link:
            self.offers()
            key = self.create()
            self.attributes(key)
            self.change(key)
            self.registers()
            self.pair()
            self.locates()
            self.cipher()
            self.life(key)
        self.credentials()

    # ---- what there is ----
    def offers(self):
        queries = self.enums.QueryFunction
        got = self.link.proxy.query(query_functions=[queries.QUERY_OPERATIONS, queries.QUERY_OBJECTS,
                                                     queries.QUERY_SERVER_INFORMATION])
        operations = self.enums.Operation
        self.ok({operations.CREATE, operations.CREATE_KEY_PAIR, operations.GET_ATTRIBUTE_LIST} <= set(got.operations),
                "query: the operations", got.operations)
        self.ok(self.enums.ObjectType.SECRET_DATA in got.object_types and got.vendor_identification,
                "query: objects and who we are", got.object_types)
        if self.name == "1.0":
            return
        versions = self.link.proxy.discover_versions().protocol_versions
        told = ["%d.%d" % (v.major, v.minor) for v in versions]
        self.ok(told == ["2.1", "2.0", "1.4", "1.3", "1.2", "1.1", "1.0"], "discover versions", told)

    # ---- keys ----
    def create(self):
        key = self.link.create(self.enums.CryptographicAlgorithm.AES, 256, name=self.called("made"),
                               cryptographic_usage_mask=self.masks)
        self.ok(isinstance(key, str) and key, "create", key)
        got = self.link.get(key)
        self.ok(got.cryptographic_length == 256 and len(got.value) == 32, "get", got)
        return key

    def registers(self):
        """Each object that PyKMIP has comes back with the bytes it was registered with."""
        aes, objects, enums = self.enums.CryptographicAlgorithm.AES, self.objects, self.enums
        certificate = ssl.PEM_cert_to_DER_cert(openssl("x509", "-in", self.state.env["HOLDFAST_CERT"]).decode())
        for what, thing in [
                ("a key", objects.SymmetricKey(aes, 128, bytes(range(16)), masks=self.masks)),
                ("a secret", objects.SecretData(b"of clients", enums.SecretDataType.PASSWORD, masks=self.masks)),
                ("opaque bytes", objects.OpaqueObject(b"opaque", enums.OpaqueDataType.NONE)),
                ("a certificate", objects.X509Certificate(certificate, masks=self.mask("VERIFY")))]:
            thing.names = [self.called(what)]
            got = self.link.get(self.link.register(thing))
            self.ok(type(got) is type(thing) and got.value == thing.value, "register and get %s" % what, got)

    def pair(self):
        enums, rsa = self.enums, self.enums.CryptographicAlgorithm.RSA
        public, private = self.link.create_key_pair(
            rsa, 2048, public_name=self.called("public"), public_usage_mask=self.mask("VERIFY"),
            private_name=self.called("private"), private_usage_mask=self.mask("SIGN"))
        one, two = self.link.get(public), self.link.get(private)
        derived = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", input=two.value)
        form = "-RSAPublicKey_in" if one.key_format_type == enums.KeyFormatType.PKCS_1 else "-pubin"
        whole = openssl("rsa", form, "-inform", "DER", "-pubout", "-outform", "DER", input=one.value)
        self.ok(derived == whole, "create key pair: the two are of one pair, says openssl", (one, two))
        for what, kind, got in (("public", self.objects.PublicKey, one), ("private", self.objects.PrivateKey, two)):
            masks = self.mask("VERIFY" if what == "public" else "SIGN")
            thing = kind(rsa, 2048, got.value, got.key_format_type, masks=masks, name=self.called(what + "-again"))
            again = self.link.get(self.link.register(thing))
            self.ok(again.value == got.value, "register and get a %s key" % what, again)

    # ---- attributes ----
    def values(self, key, *names):
        uid, attributes = self.link.get_attributes(key, list(names))
        if uid != key:
            raise ValueError("the attributes of another object: %s" % uid)
        return {str(a.attribute_name.value): getattr(a.attribute_value, "value", a.attribute_value) for a in attributes}

    def state_of(self, key):
        return self.values(key, "State").get("State")

    def attributes(self, key):
        values = self.values(key, "State", "Cryptographic Length", "Object Type")
        self.ok(values == {"State": self.enums.State.PRE_ACTIVE, "Cryptographic Length": 256,
                           "Object Type": self.enums.ObjectType.SYMMETRIC_KEY}, "get attributes", values)
        names = self.link.get_attribute_list(key)
        self.ok({"State", "Name", "Initial Date"} <= set(names) and ("Fresh" in names) == (self.name != "1.0"),
                "get attribute list: and nothing that the version does not know", names)

    def change(self, key):
        """Modify, delete and set, as far as PyKMIP has them."""
        old, new = self.called("made"), self.called("renamed")
        if self.name < "2":
            what = {"attribute": self.attribute(self.enums.AttributeType.NAME, new)}
            which = {"attribute_name": "Name", "attribute_index": 0}
        else:
            what = {"current_attribute": self.current(old), "new_attribute": self.new(new)}
            which = {"current_attribute": self.current(new)}
        uid, _ = self.link.modify_attribute(key, **what)
        self.ok(uid == key and self.found(new) == [key] and self.found(old) == [], "modify attribute: another name")
        if self.name >= "2":
            uid = self.link.set_attribute(key, attribute_name="Sensitive", attribute_value=True)
            self.ok(uid == key and "Sensitive" in self.link.get_attribute_list(key), "set attribute")
        uid, _ = self.link.delete_attribute(key, **which)
        self.ok(uid == key and self.found(new) == [] and "Name" not in self.link.get_attribute_list(key),
                "delete attribute: no name")

    def plain_name(self, text):
        """As an item of its own, as 2.0 has attributes."""
        from kmip.core.factories.attribute_values import AttributeValueFactory
        return AttributeValueFactory().create_attribute_value_by_enum(self.enums.Tags.NAME, text)

    def current(self, name):
        from kmip.core import objects
        return objects.CurrentAttribute(attribute=self.plain_name(name))

    def new(self, name):
        from kmip.core import objects
        return objects.NewAttribute(attribute=self.plain_name(name))

    # ---- finding ----
    def found(self, name, **more):
        return self.link.locate(attributes=[self.attribute(self.enums.AttributeType.NAME, name)], **more)

    def locates(self):
        group = self.attribute(self.enums.AttributeType.OBJECT_GROUP, self.called("group"))
        made = [self.link.create(self.enums.CryptographicAlgorithm.AES, 128, name=self.called(str(i)))
                for i in range(3)]
        self.ok([self.found(self.called(str(i))) for i in range(3)] == [[m] for m in made], "locate by name", made)
        length = [self.attribute(self.enums.AttributeType.CRYPTOGRAPHIC_LENGTH, 128),
                  self.attribute(self.enums.AttributeType.STATE, self.enums.State.PRE_ACTIVE)]
        self.ok(self.link.locate(maximum_items=2, attributes=length) == made[:0:-1], "locate at most two, the newest")
        self.ok(self.link.locate(attributes=[group]) == [], "locate what there is not")
        if self.name >= "1.4":
            self.ok(self.link.locate(maximum_items=2, offset_items=1, attributes=length) == made[1::-1],
                    "locate from the second on")

    # ---- use ----
    def cipher(self):
        """By the server, with the IV of the client; since 1.2."""
        if self.name < "1.2":
            return
        enums, said, iv = self.enums, b"of no whole block", bytes(range(16))
        key = self.link.create(enums.CryptographicAlgorithm.AES, 256, cryptographic_usage_mask=self.masks)
        by = {"cryptographic_algorithm": enums.CryptographicAlgorithm.AES,
              "block_cipher_mode": enums.BlockCipherMode.CBC, "padding_method": enums.PaddingMethod.PKCS5}
        use = {"uid": key, "cryptographic_parameters": by, "iv_counter_nonce": iv}
        self.refused("a key that is not active does not encrypt",
                     "PERMISSION_DENIED" if self.name < "2" else "WRONG_KEY_LIFECYCLE",
                     lambda: self.link.encrypt(said, **use))
        self.link.activate(key)
        sealed, told = self.link.encrypt(said, **use)
        here = openssl("enc", "-aes-256-cbc", "-K", self.link.get(key).value.hex(), "-iv", iv.hex(), input=said)
        self.ok(sealed == here and told is None, "encrypt: as openssl does with the same key", sealed.hex())
        self.ok(self.link.decrypt(sealed, **use) == said, "decrypt")
        self.refused("what was changed is not decrypted", "CRYPTOGRAPHIC_FAILURE",
                     lambda: self.link.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), **use))

    # ---- life ----
    def life(self, key):
        states, reasons = self.enums.State, self.enums.RevocationReasonCode
        self.link.activate(key)
        self.ok(self.state_of(key) == states.ACTIVE, "activate")
        self.ok(self.link.check(key, cryptographic_usage_mask=self.masks) == key, "check")
        self.refused("an Active key is not destroyed",
                     "PERMISSION_DENIED" if self.name < "2" else "WRONG_KEY_LIFECYCLE", self.link.destroy, key)
        self.link.revoke(reasons.CESSATION_OF_OPERATION, key)
        self.ok(self.state_of(key) == states.DEACTIVATED, "revoke")
        other = self.link.create(self.enums.CryptographicAlgorithm.AES, 128, cryptographic_usage_mask=self.masks)
        self.link.revoke(reasons.KEY_COMPROMISE, other, "lost", 1600000000)
        self.ok(self.state_of(other) == states.COMPROMISED, "revoke what is compromised")
        self.link.destroy(key)
        self.ok(self.state_of(key) == states.DESTROYED, "destroy")
        self.refused("what is destroyed is gone", "ILLEGAL_OPERATION" if self.name < "2" else "OBJECT_DESTROYED",
                     self.link.get, key)
        self.refused("what never was is missing", "ITEM_NOT_FOUND" if self.name < "2" else "OBJECT_NOT_FOUND",
                     self.link.get, "12345678")

    def credentials(self):
        """The certificate says who it is: user name and password change nothing where policy asks for none."""
        with self.connection(username="admin", password="password") as link:
            key = link.create(self.enums.CryptographicAlgorithm.AES, 128, cryptographic_usage_mask=self.masks)
            got = link.get(key)
        with self.connection() as link:
            self.ok(link.get(key).value == got.value, "with a user name and password, and without")
