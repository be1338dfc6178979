"""A small KMIP client for the tests: TTLV both ways, one TLS connection. Written apart from the server's code on
purpose: what both get wrong in the same way would not be found."""
import socket
import ssl
import struct

STRUCT, INT, LONG, BIG, ENUM, BOOL, TEXT, BYTES, DATE, INTERVAL = range(1, 11)
OPS = {"Create": 1, "Create Key Pair": 2, "Register": 3, "Locate": 8, "Check": 9, "Get": 10, "Get Attributes": 11,
       "Get Attribute List": 12, "Add Attribute": 13, "Modify Attribute": 14, "Delete Attribute": 15, "Activate": 18,
       "Revoke": 19, "Destroy": 20, "Query": 24, "Discover Versions": 30, "Encrypt": 31, "Decrypt": 32, "Log": 0x2C,
       "Set Attribute": 49, "Interop": 0x34}
SUCCESS, FAILED, PENDING, UNDONE = range(4)
CONTINUE, STOP, UNDO = range(1, 4)
STATES = {1: "PreActive", 2: "Active", 3: "Deactivated", 4: "Compromised", 5: "Destroyed", 6: "DestroyedCompromised"}


def item(tag, kind, value):
    if kind == STRUCT:
        body = b"".join(value)
    elif kind in (INT, ENUM, INTERVAL):
        body = struct.pack(">I", value & 0xFFFFFFFF)
    elif kind in (LONG, DATE):
        body = struct.pack(">q", value)
    elif kind == BOOL:
        body = struct.pack(">Q", value)
    elif kind == TEXT:
        body = value.encode()
    else:
        body = value
    pad = -len(body) % 8
    return struct.pack(">I", tag << 8 | kind) + struct.pack(">I", len(body)) + body + b"\0" * pad


def typed(data):
    """All items of a byte string: [(tag, type, value)], a structure's value being such a list."""
    out, at = [], 0
    while at < len(data):
        head, length = struct.unpack(">II", data[at:at + 8])
        tag, kind = head >> 8, head & 255
        body = data[at + 8:at + 8 + length]
        if kind == STRUCT:
            value = typed(body)
        elif kind in (INT, ENUM, INTERVAL):
            value = struct.unpack(">I", body)[0]
        elif kind in (LONG, DATE):
            value = struct.unpack(">q", body)[0]
        elif kind == BOOL:
            value = body[-1] == 1
        elif kind == TEXT:
            value = body.decode()
        else:
            value = body
        out.append((tag, kind, value))
        at += 8 + length + (-length % 8)
    return out


def untyped(items):
    return [(tag, untyped(value) if kind == STRUCT else value) for tag, kind, value in items]


def parse(data):
    """As typed(), without the types: [(tag, value)]."""
    return untyped(typed(data))


def first(items, *path):
    for tag in path:
        items = next((v for t, v in items if t == tag), None)
        if items is None:
            return None
    return items


def every(items, tag):
    return [v for t, v in items if t == tag]


def attribute(name, kind, value):
    return item(0x420008, STRUCT, [item(0x42000A, TEXT, name), item(0x42000B, kind, value)])


def name_value(name):
    return [item(0x420055, TEXT, name), item(0x420054, ENUM, 1)]


def password(user, word=None):
    """A Credential of the type Username and Password; None: without the password."""
    value = [item(0x420099, TEXT, user)] + ([] if word is None else [item(0x4200A1, TEXT, word)])
    return item(0x420023, STRUCT, [item(0x420024, ENUM, 1), item(0x420025, STRUCT, value)])


def device(serial=None, identifier=None, word=None):
    """A Credential of the type Device, since 1.1."""
    fields = ((0x4200B0, serial), (0x4200A1, word), (0x4200A2, identifier))
    value = [item(tag, TEXT, text) for tag, text in fields if text is not None]
    return item(0x420023, STRUCT, [item(0x420024, ENUM, 2), item(0x420025, STRUCT, value)])


def message(operations, version=(1, 4), order=None, on_error=None, correlation=None, credentials=()):
    """operations: [(name, payload items)]. on_error: Batch Error Continuation Option. correlation: since 1.4.
    credentials: made by password() and device()."""
    header = [item(0x420069, STRUCT, [item(0x42006A, INT, version[0]), item(0x42006B, INT, version[1])])]
    if correlation is not None:
        header.append(item(0x420105, TEXT, correlation))
    if credentials:
        header.append(item(0x42000C, STRUCT, list(credentials)))
    if on_error is not None:
        header.append(item(0x42000E, ENUM, on_error))
    if order is not None:
        header.append(item(0x420010, BOOL, order))
    header.append(item(0x42000D, INT, len(operations)))
    items = []
    for i, (name, payload) in enumerate(operations):
        batch = [item(0x42005C, ENUM, OPS[name])]
        if len(operations) > 1:
            batch.append(item(0x420093, BYTES, bytes([i + 1])))
        batch.append(item(0x420079, STRUCT, payload))
        items.append(item(0x42000F, STRUCT, batch))
    return item(0x420078, STRUCT, [item(0x420077, STRUCT, header)] + items)


def uid(text):
    return item(0x420094, TEXT, text)


def uid_or_placeholder(text):
    """The field, left out for None: then the request's ID placeholder is meant."""
    return [uid(text)] if text else []


def named(name, attributes):
    return attributes + ([attribute("Name", STRUCT, name_value(name))] if name else [])


def create(name=None, length=256, mask=12, extra=()):
    """extra: further attributes, made by attribute()."""
    attributes = [attribute("Cryptographic Algorithm", ENUM, 3), attribute("Cryptographic Length", INT, length),
                  attribute("Cryptographic Usage Mask", INT, mask), *extra]
    return ("Create", [item(0x420057, ENUM, 2), item(0x420091, STRUCT, named(name, attributes))])


def create_pair(private_name, public_name):
    """A pair on P-256, by attributes common to both and those of each."""
    common = [attribute("Cryptographic Algorithm", ENUM, 6), attribute("Cryptographic Length", INT, 256)]
    own = ((0x420065, private_name, 1), (0x42006E, public_name, 2))
    return ("Create Key Pair", [item(0x42001F, STRUCT, common)] + [
        item(tag, STRUCT, named(name, [attribute("Cryptographic Usage Mask", INT, mask)])) for tag, name, mask in own])


def register(kind, material, name=None, extra=()):
    """kind: "aes", "secret" (a password) or "opaque"."""
    attributes = list(extra)
    value = item(0x420045, STRUCT, [item(0x420043, BYTES, material)])
    if kind == "aes":
        attributes.append(attribute("Cryptographic Usage Mask", INT, 12))
        block = [item(0x420042, ENUM, 1), value, item(0x420028, ENUM, 3), item(0x42002A, INT, len(material) * 8)]
        number, thing = 2, item(0x42008F, STRUCT, [item(0x420040, STRUCT, block)])
    elif kind == "secret":
        block = [item(0x420042, ENUM, 2), value]
        number, thing = 7, item(0x420085, STRUCT, [item(0x420086, ENUM, 1), item(0x420040, STRUCT, block)])
    else:
        number, thing = 8, item(0x42005B, STRUCT, [item(0x420059, ENUM, 0x80000001), item(0x42005A, BYTES, material)])
    return ("Register", [item(0x420057, ENUM, number), item(0x420091, STRUCT, named(name, attributes)), thing])


def locate(name):
    return ("Locate", [attribute("Name", STRUCT, name_value(name))])


def get(text):
    return ("Get", [uid(text)])


def get_attributes(text, *names):
    return ("Get Attributes", [uid(text)] + [item(0x42000A, TEXT, n) for n in names])


def add_attribute(text, name, kind, value):
    return ("Add Attribute", [uid(text), attribute(name, kind, value)])


def modify_attribute(text, name, kind, value):
    return ("Modify Attribute", [uid(text), attribute(name, kind, value)])


def delete_attribute(text, name):
    return ("Delete Attribute", [uid(text), item(0x42000A, TEXT, name)])


def set_attribute(text, tag, kind, value):
    """Of KMIP 2.0 and later, where attributes are items of their own."""
    return ("Set Attribute", [uid(text), item(0x42013D, STRUCT, [item(tag, kind, value)])])


def activate(text=None):
    return ("Activate", uid_or_placeholder(text))


def destroy(text=None):
    return ("Destroy", uid_or_placeholder(text))


def revoke(text=None, code=6):
    payload = uid_or_placeholder(text) + [item(0x420081, STRUCT, [item(0x420082, ENUM, code)])]
    if code in (2, 3):
        payload.append(item(0x420021, DATE, 1700000000))
    return ("Revoke", payload)


# Fields of Cryptographic Parameters that ciphers look at, in their order.
PARAMETERS = {"mode": (0x420011, ENUM), "padding": (0x42005F, ENUM), "algorithm": (0x420028, ENUM),
              "random_iv": (0x4200C5, BOOL), "iv_length": (0x4200CD, INT), "tag_length": (0x4200CE, INT),
              "counter_length": (0x4200D0, INT), "counter": (0x4200D1, INT)}
CBC, ECB, CTR, CCM, GCM, PKCS5 = 1, 2, 6, 8, 9, 3


def parameters(**said):
    return item(0x42002B, STRUCT, [item(*PARAMETERS[name], said[name]) for name in PARAMETERS if name in said])


def ciphering(operation, text, data, iv=None, additional=None, tag=None, **said):
    """said: as parameters() takes it; nothing: those of the object."""
    payload = uid_or_placeholder(text) + ([parameters(**said)] if said else []) + [item(0x4200C2, BYTES, data)]
    for number, value in ((0x42003D, iv), (0x4200FE, additional), (0x4200FF, tag)):
        if value is not None:
            payload.append(item(number, BYTES, value))
    return (operation, payload)


def encrypt(text, data, **more):
    return ciphering("Encrypt", text, data, **more)


def decrypt(text, data, **more):
    return ciphering("Decrypt", text, data, **more)


class Result:
    def __init__(self, items):
        self.operation = first(items, 0x42005C)
        self.status = first(items, 0x42007F)
        self.reason = first(items, 0x42007E)
        self.message = first(items, 0x42007D)
        self.payload = first(items, 0x42007C) or []

    @property
    def ok(self):
        return self.status == SUCCESS

    @property
    def uid(self):
        return first(self.payload, 0x420094)

    @property
    def pair(self):
        """Identifiers of private and public key."""
        return [first(self.payload, 0x420066), first(self.payload, 0x42006F)]

    @property
    def uids(self):
        return every(self.payload, 0x420094)

    @property
    def material(self):
        """The bytes of a Get answer: of a key block, whatever it stands in, or of an opaque object."""
        for kind in (0x42008F, 0x420085, 0x420064, 0x42006D, 0x42005B):  # the last has no key block
            found = first(self.payload, kind, *((0x42005A,) if kind == 0x42005B else (0x420040, 0x420045, 0x420043)))
            if found is not None:
                return found
        return None

    @property
    def data(self):
        """Of Encrypt and Decrypt."""
        return first(self.payload, 0x4200C2)

    @property
    def iv(self):
        return first(self.payload, 0x42003D)

    @property
    def tag(self):
        return first(self.payload, 0x4200FF)

    @property
    def attributes(self):
        """Name and list of values of each attribute of a Get Attributes answer in KMIP 1.x."""
        out = {}
        for a in every(self.payload, 0x420008):
            out.setdefault(first(a, 0x42000A), []).append(first(a, 0x42000B))
        return out

    @property
    def state(self):
        """The State attribute of a Get Attributes answer in KMIP 1.x."""
        return STATES.get(self.attributes.get("State", [None])[0])

    def __repr__(self):
        return "status=%s reason=%s message=%s" % (self.status, self.reason, self.message)


def tls_context(env, cert=None, key=None, version=None):
    """How a client meets the server. version: the one of ssl.TLSVersion that it speaks; None: what OpenSSL thinks."""
    context = ssl.create_default_context(cafile=env["HOLDFAST_CA"])
    context.load_cert_chain(cert or env["HOLDFAST_CERT"], key or env["HOLDFAST_KEY"])
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Connection:
    """One TLS connection. Every failure is an OSError (ssl.SSLError is one)."""

    def __init__(self, env, cert=None, key=None, timeout=30, context=None, resume=None):
        """context: of tls_context(), instead of cert and key. resume: a connection that was used, whose TLS session
        shall go on if the server still has it."""
        self.context = resume.context if resume else context or tls_context(env, cert, key)
        self.session = None
        raw = socket.create_connection((env["HOLDFAST_HOST"], int(env["HOLDFAST_PORT"])), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # An end without close_notify is an error: who cut it off could have cut off more.
            self.tls = self.context.wrap_socket(raw, server_hostname=env["HOLDFAST_HOST"], suppress_ragged_eofs=False,
                                                session=resume and (resume.session or resume.tls.session))
        except BaseException:
            raw.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        """Our own: the address by which the server's records know this connection."""
        return self.tls.getsockname()[1]

    def _read(self, n):
        data = b""
        while len(data) < n:
            piece = self.tls.recv(n - len(data))
            if not piece:
                return data
            data += piece
        return data

    def receive(self):
        """One whole answer in bytes, or None where the server has ended the connection in order."""
        head = self._read(8)
        if not head:
            return None
        want = struct.unpack(">I", head[4:])[0] if len(head) == 8 else 8
        data = head + self._read(want)
        if len(data) < 8 + want:
            raise ConnectionError("closed within an answer")
        return data

    def exchange(self, request):
        self.tls.sendall(request)
        data = self.receive()
        if data is None:
            raise ConnectionError("closed without an answer")
        return parse(data)[0][1]

    def call(self, *operations, version=(1, 4), **header):
        """One request; one Result, or a list of them for a batch. header: as message() takes it."""
        answer = self.exchange(message(list(operations), version, **header))
        results = [Result(i) for i in every(answer, 0x42000F)]
        return results[0] if len(operations) == 1 else results

    def end(self):
        """Says goodbye first, without which OpenSSL takes up no session again behind the end of its connection."""
        self.session = self.tls.session
        try:
            self.tls.unwrap()
        except OSError:
            pass
        self.close()

    def close(self):
        try:
            self.tls.close()
        except OSError:
            pass


def gets(env, text, timeout=10):
    """Whether a new connection is given this object."""
    try:
        with Connection(env, timeout=timeout) as link:
            return link.call(get(text)).ok
    except OSError:
        return False
