"""The language of the tables of hostile input: a row names the rule that a request breaks, makes the bytes, and says
what the specification answers. The tables are hostile_wire.py, hostile_message.py, hostile_operations.py and
hostile_tls.py; test_hostile.py plays them."""
import dataclasses
import itertools
import os
import struct
import typing

from client import BOOL, BYTES, DATE, ENUM, INT, INTERVAL, OPS, STRUCT, TEXT, first, item

V10, V11, V12, V13, V14, V20, V21 = (1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1)
DATE_EXTENDED = 11
LEAST_INT, MOST_INT, LEAST_DATE = -(1 << 31), (1 << 31) - 1, -(1 << 63)


class T:
    """Tags (KMIP 2.1, 11.56)."""
    ACTIVATION_DATE = 0x420001
    APPLICATION_NAMESPACE = 0x420003
    APPLICATION_SPECIFIC_INFORMATION = 0x420004
    ASYNCHRONOUS_INDICATOR = 0x420007
    ATTRIBUTE = 0x420008
    ATTRIBUTE_INDEX = 0x420009
    ATTRIBUTE_NAME = 0x42000A
    ATTRIBUTE_VALUE = 0x42000B
    AUTHENTICATION = 0x42000C
    BATCH_COUNT = 0x42000D
    BATCH_ERROR_CONTINUATION_OPTION = 0x42000E
    BATCH_ITEM = 0x42000F
    BATCH_ORDER_OPTION = 0x420010
    BLOCK_CIPHER_MODE = 0x420011
    CERTIFICATE = 0x420013
    COMPROMISE_OCCURRENCE_DATE = 0x420021
    CONTACT_INFORMATION = 0x420022
    COMMON = {1: 0x42001F, 2: 0x420126}   # Template-Attributes of a pair in 1.x, Attributes in 2.x
    PRIVATE = {1: 0x420065, 2: 0x420127}
    PUBLIC = {1: 0x42006E, 2: 0x420128}
    CREDENTIAL = 0x420023
    CREDENTIAL_TYPE = 0x420024
    CREDENTIAL_VALUE = 0x420025
    CRITICALITY_INDICATOR = 0x420026
    CRYPTOGRAPHIC_ALGORITHM = 0x420028
    CRYPTOGRAPHIC_DOMAIN_PARAMETERS = 0x420029
    CRYPTOGRAPHIC_LENGTH = 0x42002A
    CRYPTOGRAPHIC_PARAMETERS = 0x42002B
    CRYPTOGRAPHIC_USAGE_MASK = 0x42002C
    DEACTIVATION_DATE = 0x42002F
    DIGEST = 0x420034
    INITIAL_DATE = 0x420039
    IV_COUNTER_NONCE = 0x42003D
    KEY = 0x42003F
    KEY_BLOCK = 0x420040
    KEY_COMPRESSION_TYPE = 0x420041
    KEY_FORMAT_TYPE = 0x420042
    KEY_MATERIAL = 0x420043
    KEY_VALUE = 0x420045
    KEY_WRAPPING_DATA = 0x420046
    KEY_WRAPPING_SPECIFICATION = 0x420047
    LEASE_TIME = 0x420049
    MAXIMUM_ITEMS = 0x42004F
    MAXIMUM_RESPONSE_SIZE = 0x420050
    MESSAGE_EXTENSION = 0x420051
    NAME = 0x420053
    NAME_TYPE = 0x420054
    NAME_VALUE = 0x420055
    OBJECT_GROUP = 0x420056
    OBJECT_TYPE = 0x420057
    OPAQUE_DATA_TYPE = 0x420059
    OPAQUE_DATA_VALUE = 0x42005A
    OPAQUE_OBJECT = 0x42005B
    OPERATION = 0x42005C
    PADDING_METHOD = 0x42005F
    PROCESS_START_DATE = 0x420067
    PROTECT_STOP_DATE = 0x420068
    PROTOCOL_VERSION = 0x420069
    PROTOCOL_VERSION_MAJOR = 0x42006A
    PROTOCOL_VERSION_MINOR = 0x42006B
    QUERY_FUNCTION = 0x420074
    RECOMMENDED_CURVE = 0x420075
    REQUEST_HEADER = 0x420077
    REQUEST_MESSAGE = 0x420078
    REQUEST_PAYLOAD = 0x420079
    RESPONSE_MESSAGE = 0x42007B
    RESULT_MESSAGE = 0x42007D
    RESULT_REASON = 0x42007E
    RESULT_STATUS = 0x42007F
    REVOCATION_MESSAGE = 0x420080
    REVOCATION_REASON = 0x420081
    REVOCATION_REASON_CODE = 0x420082
    SECRET_DATA = 0x420085
    SECRET_DATA_TYPE = 0x420086
    STATE = 0x42008D
    STORAGE_STATUS_MASK = 0x42008E
    SYMMETRIC_KEY = 0x42008F
    TEMPLATE_ATTRIBUTE = 0x420091
    TIME_STAMP = 0x420092
    UNIQUE_BATCH_ITEM_ID = 0x420093
    UNIQUE_IDENTIFIER = 0x420094
    USAGE_LIMITS_COUNT = 0x420096
    USERNAME = 0x420099
    VENDOR_EXTENSION = 0x42009C
    VENDOR_IDENTIFICATION = 0x42009D
    WRAPPING_METHOD = 0x42009E
    PASSWORD = 0x4200A1
    OBJECT_GROUP_MEMBER = 0x4200AC
    DATA = 0x4200C2
    RANDOM_IV = 0x4200C5
    IV_LENGTH = 0x4200CD
    TAG_LENGTH = 0x4200CE
    COUNTER_LENGTH = 0x4200D0
    INITIAL_COUNTER_VALUE = 0x4200D1
    CORRELATION_VALUE = 0x4200D6
    INIT_INDICATOR = 0x4200D7
    FINAL_INDICATOR = 0x4200D8
    ATTESTATION_CAPABLE_INDICATOR = 0x4200D3
    OFFSET_ITEMS = 0x4200D4
    ADDITIONAL_DATA = 0x4200FE
    ENCRYPTION_TAG = 0x4200FF
    CLIENT_CORRELATION_VALUE = 0x420105
    SENSITIVE = 0x420120
    ATTRIBUTES = 0x420125
    ATTRIBUTE_REFERENCE = 0x42013B
    CURRENT_ATTRIBUTE = 0x42013C
    NEW_ATTRIBUTE = 0x42013D
    LOG_MESSAGE = 0x420141
    QUANTUM_SAFE = 0x420147
    EPHEMERAL = 0x420154
    PROTECTION_STORAGE_MASK = 0x42015E
    PROTECTION_STORAGE_MASKS = 0x42015F
    INTEROP_FUNCTION = 0x420160
    INTEROP_IDENTIFIER = 0x420161
    UNKNOWN = 0x42FFF0    # no tag of any version
    EXTENSION = 0x540001  # somebody's own


# Attribute names of 1.x, for those that the rows use (KMIP 1.4, 3).
NAMES = {getattr(T, name): text for name, text in {
    "ACTIVATION_DATE": "Activation Date", "CONTACT_INFORMATION": "Contact Information",
    "APPLICATION_SPECIFIC_INFORMATION": "Application Specific Information",
    "CRYPTOGRAPHIC_DOMAIN_PARAMETERS": "Cryptographic Domain Parameters",
    "CRYPTOGRAPHIC_ALGORITHM": "Cryptographic Algorithm", "CRYPTOGRAPHIC_LENGTH": "Cryptographic Length",
    "CRYPTOGRAPHIC_PARAMETERS": "Cryptographic Parameters", "CRYPTOGRAPHIC_USAGE_MASK": "Cryptographic Usage Mask",
    "DEACTIVATION_DATE": "Deactivation Date", "DIGEST": "Digest", "INITIAL_DATE": "Initial Date",
    "LEASE_TIME": "Lease Time", "NAME": "Name", "OBJECT_GROUP": "Object Group", "OBJECT_TYPE": "Object Type",
    "PROCESS_START_DATE": "Process Start Date", "PROTECT_STOP_DATE": "Protect Stop Date", "SENSITIVE": "Sensitive",
    "STATE": "State", "UNIQUE_IDENTIFIER": "Unique Identifier"}.items()}

# Result Reasons (KMIP 2.1, 11.46), and the two that only 1.x has.
SERVED, CLOSED, UNDONE = 0, -1, -2
ITEM_NOT_FOUND, RESPONSE_TOO_LARGE, INVALID_MESSAGE, OPERATION_NOT_SUPPORTED = 0x01, 0x02, 0x04, 0x05
MISSING_DATA, INVALID_FIELD, FEATURE_NOT_SUPPORTED, ILLEGAL_OPERATION = 0x06, 0x07, 0x08, 0x0B
PERMISSION_DENIED, INDEX_OUT_OF_BOUNDS, APPLICATION_NAMESPACE_NOT_SUPPORTED = 0x0C, 0x0E, 0x0F
KEY_FORMAT_TYPE_NOT_SUPPORTED, KEY_COMPRESSION_TYPE_NOT_SUPPORTED, KEY_VALUE_NOT_PRESENT = 0x10, 0x11, 0x13
READ_ONLY_ATTRIBUTE, MULTI_VALUED_ATTRIBUTE, ATTRIBUTE_INSTANCE_NOT_FOUND, ATTRIBUTE_NOT_FOUND = 0x1D, 0x1E, 0x20, 0x21
ATTRIBUTE_READ_ONLY, ATTRIBUTE_SINGLE_VALUED, CODEC_ERROR, INVALID_ATTRIBUTE = 0x22, 0x23, 0x26, 0x2C
INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK, INVALID_ATTRIBUTE_VALUE, INVALID_OBJECT_TYPE = 0x29, 0x2D, 0x30
KEY_WRAP_TYPE_NOT_SUPPORTED = 0x32
CRYPTOGRAPHIC_FAILURE, BAD_CRYPTOGRAPHIC_PARAMETERS, INVALID_CORRELATION_VALUE = 0x0A, 0x24, 0x2E
UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS = 0x3E
NON_UNIQUE_NAME_ATTRIBUTE, OBJECT_DESTROYED, OBJECT_NOT_FOUND, SERVER_LIMIT_EXCEEDED = 0x35, 0x36, 0x37, 0x3A
UNKNOWN_ENUMERATION, UNKNOWN_MESSAGE_EXTENSION, UNKNOWN_TAG, UNSUPPORTED_PROTOCOL_VERSION = 0x3B, 0x3C, 0x3D, 0x3F
WRONG_KEY_LIFECYCLE_STATE, PROTECTION_STORAGE_UNAVAILABLE, GENERAL_FAILURE = 0x43, 0x44, 0x100
REASON_NAMES = {v: k.replace("_", " ").title() for k, v in list(globals().items())
                if k.isupper() and isinstance(v, int) and not k.startswith(("V", "LEAST", "MOST", "T")) and len(k) > 8}


def told(items):
    """Status or reason of each batch item, as the rows want them."""
    out = []
    for i in items:
        status, reason = first(i, T.RESULT_STATUS), first(i, T.RESULT_REASON)
        out.append(SERVED if status == 0 else UNDONE if status == 3 else reason)
    return out


@dataclasses.dataclass
class Row:
    """One broken rule. What is wanted is a Result Reason, CLOSED (no byte), SERVED (at a limit, and still right), or
    a list of such, one for each batch item of the answer."""
    rule: str
    make: typing.Callable  # Say -> bytes
    v1: typing.Union[int, list]
    v2: typing.Union[int, list, None] = None  # of 2.x, where it has a reason of its own
    versions: tuple = (V14, V21)
    ends: bool = False  # the connection ends after the answer
    answer: typing.Optional[tuple] = None  # version of the answer, where it is not that of the request

    def want(self, version):
        want = self.v1 if version < V20 or self.v2 is None else self.v2
        return want if isinstance(want, list) else [want]


CODES = {**OPS, "Create Key Pair": 0x02, "Get Attribute List": 0x0C}


def raw(tag, kind, body, length=None, padding=None):
    """An item whose length and padding may be lies."""
    padding = b"\0" * (-len(body) % 8) if padding is None else padding
    return struct.pack(">II", tag << 8 | kind, len(body) if length is None else length) + body + padding


def relength(message, tag, by, number=0):
    """The same bytes, but the length of one structure says more or less. number: which of that tag."""
    at = -1
    for _ in range(number + 1):
        at = message.index(struct.pack(">I", tag << 8 | STRUCT), at + 1)
    length = struct.unpack(">I", message[at + 4:at + 8])[0]
    return message[:at + 4] + struct.pack(">I", length + by) + message[at + 8:]


def enum(tag, value):
    return item(tag, ENUM, value)


def integer(tag, value):
    return item(tag, INT, value)


def text(tag, value):
    return item(tag, TEXT, value)


def octets(tag, value):
    return item(tag, BYTES, value)


def boolean(tag, value):
    return item(tag, BOOL, value)


def date(tag, value):
    return item(tag, DATE, value)


def interval(tag, value):
    return raw(tag, INTERVAL, struct.pack(">I", value))


def group(tag, *items):
    return item(tag, STRUCT, items)


def protocol_version(major, minor):
    return group(T.PROTOCOL_VERSION, integer(T.PROTOCOL_VERSION_MAJOR, major),
                 integer(T.PROTOCOL_VERSION_MINOR, minor))


def message(header, *items):
    """header: a list of its fields, or None for no header at all."""
    return group(T.REQUEST_MESSAGE, *([] if header is None else [group(T.REQUEST_HEADER, *header)]), *items)


def batch_item(operation, *payload):
    """operation: a name of CODES, or a number."""
    return group(T.BATCH_ITEM, enum(T.OPERATION, CODES.get(operation, operation)),
                 group(T.REQUEST_PAYLOAD, *payload))


QUERY = enum(T.QUERY_FUNCTION, 1)
QUERY_ITEM = batch_item("Query", QUERY)
NAME_TYPE_TEXT = enum(T.NAME_TYPE, 1)
AES = enum(T.CRYPTOGRAPHIC_ALGORITHM, 3)
BITS = integer(T.CRYPTOGRAPHIC_LENGTH, 128)
MASK = integer(T.CRYPTOGRAPHIC_USAGE_MASK, 12)
SALT, COUNTER = os.urandom(4).hex(), itertools.count()
NOBODY = "00000000-0000-7000-8000-00000000beef"


class Say:
    """The words of one protocol version: 1.x gives attributes by name in a Template-Attribute, 2.x by tag in
    Attributes. `made` has identifiers of objects in all states, by name."""

    def __init__(self, version, made):
        self.version, self.made = version, made

    def header(self, count=1, *before, after=()):
        return [protocol_version(*self.version), *before, integer(T.BATCH_COUNT, count), *after]

    def request(self, operation, *payload):
        return message(self.header(), batch_item(operation, *payload))

    def batch(self, *items, option=None):
        before = [] if option is None else [enum(T.BATCH_ERROR_CONTINUATION_OPTION, option)]
        return message(self.header(len(items), *before), *items)

    def attribute(self, value, name=None, index=None):
        """An attribute from its 2.x form; name: of 1.x, where it is not that of the tag."""
        if self.version >= V20:
            return value
        tag = struct.unpack(">I", value[:4])[0] >> 8
        renamed = struct.pack(">I", T.ATTRIBUTE_VALUE << 8 | value[3]) + value[4:]
        return group(T.ATTRIBUTE, text(T.ATTRIBUTE_NAME, name or NAMES[tag]),
                     *([] if index is None else [integer(T.ATTRIBUTE_INDEX, index)]), renamed)

    def attributes(self, *values, of=None):
        """A new object's attributes. of: T.COMMON, T.PRIVATE or T.PUBLIC of a pair."""
        tags = of or {1: T.TEMPLATE_ATTRIBUTE, 2: T.ATTRIBUTES}
        return group(tags[self.version[0]], *[self.attribute(v) for v in values])

    def filters(self, *values):
        """Those of Locate."""
        return b"".join(self.attribute(v) for v in values) if self.version < V20 else group(T.ATTRIBUTES, *values)

    def uid(self, name):
        return text(T.UNIQUE_IDENTIFIER, self.made[name])

    def change(self, value, **more):
        """The attribute that an object gets."""
        return self.attribute(value, **more) if self.version < V20 else group(T.NEW_ATTRIBUTE, value)

    def reference(self, tag):
        """An attribute without its value."""
        return text(T.ATTRIBUTE_NAME, NAMES[tag]) if self.version < V20 else enum(T.ATTRIBUTE_REFERENCE, tag)

    @property
    def own(self):
        """An object that all may be done to."""
        return self.uid("preactive")

    def name(self, value):
        return group(T.NAME, text(T.NAME_VALUE, value), NAME_TYPE_TEXT)

    def fresh(self, what, length=0):
        """A name that nobody has used."""
        return ("hostile-%s-%s-%d-" % (what, SALT, next(COUNTER))).ljust(length, "x")
