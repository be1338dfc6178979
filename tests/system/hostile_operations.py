"""Payloads that break a rule, by operation (KMIP 1.4, 4 and 11.2 on; KMIP 2.1, 6.1). A new operation is one more list
in OPERATIONS; its rows give payload items and the Result Reason of 1.x and, where it differs, of 2.x."""
from hostile import (AES, APPLICATION_NAMESPACE_NOT_SUPPORTED, ATTRIBUTE_INSTANCE_NOT_FOUND, ATTRIBUTE_NOT_FOUND,
                     ATTRIBUTE_READ_ONLY, ATTRIBUTE_SINGLE_VALUED, BAD_CRYPTOGRAPHIC_PARAMETERS, BITS,
                     CRYPTOGRAPHIC_FAILURE, FEATURE_NOT_SUPPORTED, GENERAL_FAILURE, ILLEGAL_OPERATION,
                     INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK, INDEX_OUT_OF_BOUNDS, INVALID_ATTRIBUTE,
                     INVALID_ATTRIBUTE_VALUE, INVALID_CORRELATION_VALUE, INVALID_FIELD, INVALID_MESSAGE, INVALID_OBJECT_TYPE, ITEM_NOT_FOUND,
                     KEY_COMPRESSION_TYPE_NOT_SUPPORTED, KEY_FORMAT_TYPE_NOT_SUPPORTED, KEY_VALUE_NOT_PRESENT,
                     LEAST_DATE, MASK, MISSING_DATA, MOST_INT, MULTI_VALUED_ATTRIBUTE, NAME_TYPE_TEXT, NOBODY,
                     NON_UNIQUE_NAME_ATTRIBUTE, OBJECT_DESTROYED, OBJECT_NOT_FOUND, OPERATION_NOT_SUPPORTED,
                     PERMISSION_DENIED, PROTECTION_STORAGE_UNAVAILABLE, QUERY, READ_ONLY_ATTRIBUTE, SERVED,
                     SERVER_LIMIT_EXCEEDED, UNKNOWN_ENUMERATION, UNKNOWN_TAG, UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS, V10, V12, V14, V20, V21,
                     WRONG_KEY_LIFECYCLE_STATE, Row, T, boolean, date, enum, group, integer, interval, octets,
                     protocol_version, raw, text)

ONLY_1, ONLY_2 = (V10, V14), (V20, V21)
SYMMETRIC = enum(T.OBJECT_TYPE, 2)


def P(rule, payload, *want, **more):
    """payload: Say -> its items."""
    return (rule, payload, want, more)


def new(rule, *attributes, want, **more):
    """A Create that would be right but for these attributes."""
    return P(rule, lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK, *attributes)], *want, **more)


def made_of(rule, *attributes, want, **more):
    """A Create with these attributes and no others."""
    return P(rule, lambda s: [SYMMETRIC, s.attributes(*attributes)], *want, **more)


def old(rule, attribute, *want):
    """A Create of 1.x with one Attribute item more."""
    return P(rule, lambda s: [SYMMETRIC, group(T.TEMPLATE_ATTRIBUTE, s.attribute(AES), s.attribute(BITS),
                                               s.attribute(MASK),
                                               attribute)], *want, versions=(V14,))


def vendor(*parts):
    return group(T.ATTRIBUTE, *parts)


def groups(first, count):
    """Attributes that an object may have many of."""
    return [text(T.OBJECT_GROUP, "g%d" % i) for i in range(first, first + count)]


BAD_VALUE = (INVALID_FIELD, INVALID_ATTRIBUTE_VALUE)
UNKNOWN_VALUE = (INVALID_FIELD, UNKNOWN_ENUMERATION)
READ_ONLY = (PERMISSION_DENIED, ATTRIBUTE_READ_ONLY)
X = text(T.ATTRIBUTE_NAME, "x-hostile")
VALUE = text(T.ATTRIBUTE_VALUE, "v")
DAY = 86400
LATER = 4102444800  # 2100

CREATE = [
    P("Object Type is missing", lambda s: [s.attributes(AES, BITS, MASK)], INVALID_MESSAGE),
    P("Object Type is not known", lambda s: [enum(T.OBJECT_TYPE, 99), s.attributes(AES, BITS, MASK)], *UNKNOWN_VALUE),
    P("Object Type that cannot be created", lambda s: [enum(T.OBJECT_TYPE, 8), s.attributes(AES, BITS, MASK)],
      INVALID_FIELD, INVALID_OBJECT_TYPE),
    P("Object Type of 2.0 in 1.4 (Certificate Request)", lambda s: [enum(T.OBJECT_TYPE, 10),
                                                                    s.attributes(AES, BITS, MASK)],
      INVALID_FIELD, versions=(V14,)),
    P("Object Type is an Integer", lambda s: [integer(T.OBJECT_TYPE, 2), s.attributes(AES, BITS, MASK)],
      INVALID_MESSAGE),
    P("attributes are missing", lambda s: [SYMMETRIC], INVALID_MESSAGE),
    P("attributes before the Object Type", lambda s: [s.attributes(AES, BITS, MASK), SYMMETRIC], INVALID_MESSAGE),
    P("attributes twice", lambda s: [SYMMETRIC] + [s.attributes(AES, BITS, MASK)] * 2, INVALID_MESSAGE),
    P("attributes are a text", lambda s: [SYMMETRIC, text(T.TEMPLATE_ATTRIBUTE if s.version < V20 else T.ATTRIBUTES,
                                                          "AES")],
      INVALID_MESSAGE),
    P("attributes of the other family",
      lambda s: [SYMMETRIC, group(T.TEMPLATE_ATTRIBUTE if s.version >= V20 else T.ATTRIBUTES)],
      INVALID_FIELD, UNKNOWN_TAG),
    P("a tag that KMIP does not have", lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK), integer(T.UNKNOWN, 1)],
      INVALID_FIELD, UNKNOWN_TAG),
    P("a tag that belongs elsewhere", lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK), integer(T.MAXIMUM_ITEMS, 1)],
      INVALID_MESSAGE),
    made_of("no algorithm", BITS, MASK, want=(MISSING_DATA,)),
    made_of("algorithm that is not known", enum(T.CRYPTOGRAPHIC_ALGORITHM, 0x7777), BITS, MASK, want=UNKNOWN_VALUE),
    made_of("algorithm is an Integer", integer(T.CRYPTOGRAPHIC_ALGORITHM, 3), BITS, MASK, want=(INVALID_MESSAGE,)),
    made_of("algorithm twice", AES, enum(T.CRYPTOGRAPHIC_ALGORITHM, 2), BITS, MASK,
            want=(ILLEGAL_OPERATION, ATTRIBUTE_SINGLE_VALUED)),
    made_of("length that AES does not have", AES, integer(T.CRYPTOGRAPHIC_LENGTH, 129), MASK, want=BAD_VALUE),
    made_of("length is negative", AES, integer(T.CRYPTOGRAPHIC_LENGTH, -128), MASK, want=BAD_VALUE),
    made_of("length is the largest number", AES, integer(T.CRYPTOGRAPHIC_LENGTH, MOST_INT), MASK, want=BAD_VALUE),
    made_of("mask with a bit that no version has", AES, BITS, integer(T.CRYPTOGRAPHIC_USAGE_MASK, 1 << 30),
            want=BAD_VALUE),
    made_of("mask with its highest bit set", AES, BITS, integer(T.CRYPTOGRAPHIC_USAGE_MASK, -1), want=BAD_VALUE),
    made_of("mask with a bit of 2.0 in 1.4", AES, BITS, integer(T.CRYPTOGRAPHIC_USAGE_MASK, 1 << 22),
            want=(INVALID_FIELD,),
            versions=(V14,)),
    new("State, which is the server's", enum(T.STATE, 2), want=READ_ONLY),
    new("Unique Identifier, which is the server's", text(T.UNIQUE_IDENTIFIER, NOBODY), want=READ_ONLY),
    new("Initial Date, which is the server's", date(T.INITIAL_DATE, 0), want=READ_ONLY),
    new("Lease Time, which is the server's", interval(T.LEASE_TIME, 1), want=READ_ONLY),
    new("Activation Date after Deactivation Date", date(T.ACTIVATION_DATE, LATER),
        date(T.DEACTIVATION_DATE, LATER - DAY), want=BAD_VALUE),
    new("Process Start Date before Activation Date", date(T.ACTIVATION_DATE, LATER),
        date(T.PROCESS_START_DATE, LATER - DAY),
        want=BAD_VALUE),
    new("Protect Stop Date after Deactivation Date", date(T.DEACTIVATION_DATE, LATER),
        date(T.PROTECT_STOP_DATE, LATER + DAY),
        want=BAD_VALUE),
    new("Activation Date before the beginning of time", date(T.ACTIVATION_DATE, LEAST_DATE), want=BAD_VALUE),
    new("Activation Date is an Integer", integer(T.ACTIVATION_DATE, 0), want=(INVALID_MESSAGE,)),
    new("Activation Date is a text", text(T.ACTIVATION_DATE, "2026-01-01"), want=(INVALID_MESSAGE,)),
    new("Activation Date twice", date(T.ACTIVATION_DATE, LATER), date(T.ACTIVATION_DATE, LATER),
        want=(ILLEGAL_OPERATION, ATTRIBUTE_SINGLE_VALUED)),
    new("Name without a type", group(T.NAME, text(T.NAME_VALUE, "hostile")), want=(INVALID_MESSAGE,)),
    new("Name without a value", group(T.NAME, NAME_TYPE_TEXT), want=(INVALID_MESSAGE,)),
    new("Name with type before value", group(T.NAME, NAME_TYPE_TEXT, text(T.NAME_VALUE, "hostile")),
        want=(INVALID_MESSAGE,)),
    new("Name of a type that is not known", group(T.NAME, text(T.NAME_VALUE, "hostile"), enum(T.NAME_TYPE, 9)),
        want=UNKNOWN_VALUE),
    new("Name is a text", text(T.NAME, "hostile"), want=(INVALID_MESSAGE,)),
    new("Name of no characters", group(T.NAME, text(T.NAME_VALUE, ""), NAME_TYPE_TEXT), want=BAD_VALUE),
    P("Name of 1,024 bytes", lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK, s.name(s.fresh("n", 1024)))], SERVED),
    P("Name of 1,025 bytes", lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK, s.name(s.fresh("n", 1025)))],
      INVALID_FIELD, SERVER_LIMIT_EXCEEDED),
    P("Name twice the same", lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK, *[s.name(s.fresh("twice"))] * 2)],
      INVALID_FIELD, NON_UNIQUE_NAME_ATTRIBUTE),
    P("Name that is in use", lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK, s.name(s.made["name"]))],
      INVALID_FIELD, NON_UNIQUE_NAME_ATTRIBUTE),
    new("1,024 attributes", *groups(0, 1021), want=(SERVED,)),
    new("1,025 attributes", *groups(0, 1022), want=(INDEX_OUT_OF_BOUNDS, SERVER_LIMIT_EXCEEDED)),
    new("Application Data that the server would have to make",
        group(T.APPLICATION_SPECIFIC_INFORMATION, text(T.APPLICATION_NAMESPACE, "n")),
        want=(APPLICATION_NAMESPACE_NOT_SUPPORTED,)),
    new("Cryptographic Parameters out of order",
        group(T.CRYPTOGRAPHIC_PARAMETERS, enum(T.PADDING_METHOD, 1), enum(T.BLOCK_CIPHER_MODE, 1)),
        want=(INVALID_MESSAGE,)),
    new("Cryptographic Parameters with a mode that is not known",
        group(T.CRYPTOGRAPHIC_PARAMETERS, enum(T.BLOCK_CIPHER_MODE, 0x777)),
        want=UNKNOWN_VALUE),
    new("Cryptographic Parameters with a tag that KMIP does not have",
        group(T.CRYPTOGRAPHIC_PARAMETERS, enum(T.UNKNOWN, 1)),
        want=(INVALID_FIELD, UNKNOWN_TAG)),
    new("Sensitive is an Integer", integer(T.SENSITIVE, 1), want=(INVALID_MESSAGE,)),
    old("an attribute name that KMIP does not have", group(T.ATTRIBUTE, text(T.ATTRIBUTE_NAME, "Colour"), VALUE),
        INVALID_FIELD),
    old("an attribute name in the wrong case", group(T.ATTRIBUTE, text(T.ATTRIBUTE_NAME, "contact information"),
                                                     VALUE), INVALID_FIELD),
    old("an attribute name of no characters", group(T.ATTRIBUTE, text(T.ATTRIBUTE_NAME, ""), VALUE), INVALID_FIELD),
    old("a custom attribute without a name of its own", group(T.ATTRIBUTE, text(T.ATTRIBUTE_NAME, "x-"), VALUE),
        INVALID_FIELD),
    old("a custom attribute that only the server makes", group(T.ATTRIBUTE, text(T.ATTRIBUTE_NAME, "y-hostile"),
                                                               VALUE), PERMISSION_DENIED),
    old("an attribute name that is an Enumeration", group(T.ATTRIBUTE, enum(T.ATTRIBUTE_NAME, 1), VALUE),
        INVALID_MESSAGE),
    old("an attribute without a value", group(T.ATTRIBUTE, X), INVALID_MESSAGE),
    old("an attribute without a name", group(T.ATTRIBUTE, VALUE), INVALID_MESSAGE),
    old("an attribute with two values", group(T.ATTRIBUTE, X, VALUE, VALUE), INVALID_MESSAGE),
    old("an attribute with its value first", group(T.ATTRIBUTE, VALUE, X), INVALID_MESSAGE),
    old("an Attribute Index that is negative", group(T.ATTRIBUTE, X, integer(T.ATTRIBUTE_INDEX, -1), VALUE),
        INVALID_FIELD),
    old("an Attribute Index that is a text", group(T.ATTRIBUTE, X, text(T.ATTRIBUTE_INDEX, "0"), VALUE),
        INVALID_MESSAGE),
    old("an attribute that is a text", text(T.ATTRIBUTE, "x-hostile"), INVALID_MESSAGE),
    old("an attribute of 2.0 by its tag", boolean(T.QUANTUM_SAFE, 0), INVALID_FIELD),
    old("a Date-Time Extended, which 1.4 does not have", group(T.ATTRIBUTE, X, raw(T.ATTRIBUTE_VALUE, 11, bytes(8))),
        INVALID_MESSAGE),
    new("a tag that is no attribute", enum(T.OPERATION, 1), want=(0, INVALID_ATTRIBUTE), versions=ONLY_2),
    new("a vendor attribute without its vendor", vendor(text(T.ATTRIBUTE_NAME, "n"), VALUE), want=(0, INVALID_MESSAGE),
        versions=ONLY_2),
    new("a vendor whose name has a blank", vendor(text(T.VENDOR_IDENTIFICATION, "Acme Inc"),
                                                  text(T.ATTRIBUTE_NAME, "n"), VALUE),
        want=(0, INVALID_FIELD), versions=ONLY_2),
    new("a vendor attribute that only the server makes", vendor(text(T.VENDOR_IDENTIFICATION, "y"),
                                                                text(T.ATTRIBUTE_NAME, "n"), VALUE),
        want=(0, ATTRIBUTE_READ_ONLY), versions=ONLY_2),
    new("a vendor attribute without a value", vendor(text(T.VENDOR_IDENTIFICATION, "Acme"),
                                                     text(T.ATTRIBUTE_NAME, "n")),
        want=(0, INVALID_MESSAGE), versions=ONLY_2),
    P("Protection Storage Masks that nobody offers",
      lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK), group(T.PROTECTION_STORAGE_MASKS,
                                                                 integer(T.PROTECTION_STORAGE_MASK, 0x3FFF))],
      0, PROTECTION_STORAGE_UNAVAILABLE, versions=ONLY_2),
    P("Protection Storage Masks with a bit that no version has",
      lambda s: [SYMMETRIC, s.attributes(AES, BITS, MASK), group(T.PROTECTION_STORAGE_MASKS,
                                                                 integer(T.PROTECTION_STORAGE_MASK, 1 << 30))],
      0, INVALID_FIELD, versions=ONLY_2),
]


RSA, EC = enum(T.CRYPTOGRAPHIC_ALGORITHM, 4), enum(T.CRYPTOGRAPHIC_ALGORITHM, 6)
SIGN, VERIFY = integer(T.CRYPTOGRAPHIC_USAGE_MASK, 1), integer(T.CRYPTOGRAPHIC_USAGE_MASK, 2)


def pair(rule, *common, want, private=(SIGN,), public=(VERIFY,), **more):
    """A pair with these attributes and no others."""
    return P(rule, lambda s: [s.attributes(*common, of=T.COMMON), s.attributes(*private, of=T.PRIVATE),
                              s.attributes(*public, of=T.PUBLIC)], *want, **more)


def curve(number):
    return group(T.CRYPTOGRAPHIC_DOMAIN_PARAMETERS, enum(T.RECOMMENDED_CURVE, number))


CREATE_KEY_PAIR = [
    P("the lists out of order", lambda s: [s.attributes(SIGN, of=T.PRIVATE), s.attributes(EC, curve(7), of=T.COMMON)],
      INVALID_MESSAGE),
    P("a list twice", lambda s: [s.attributes(EC, curve(7), of=T.COMMON)] * 2, INVALID_MESSAGE),
    P("a list of the other family", lambda s: [group(T.COMMON[3 - s.version[0]])], INVALID_FIELD, UNKNOWN_TAG),
    P("a list that is a text", lambda s: [text(T.COMMON[s.version[0]], "RSA")], INVALID_MESSAGE),
    pair("an algorithm that has no pairs (AES)", AES, BITS, want=(FEATURE_NOT_SUPPORTED,)),
    pair("RSA of 1,024 bits", RSA, integer(T.CRYPTOGRAPHIC_LENGTH, 1024), want=(FEATURE_NOT_SUPPORTED,)),
    pair("RSA of more bits than any", RSA, integer(T.CRYPTOGRAPHIC_LENGTH, MOST_INT), want=(FEATURE_NOT_SUPPORTED,)),
    pair("RSA of a negative length", RSA, integer(T.CRYPTOGRAPHIC_LENGTH, -2048), want=BAD_VALUE),
    pair("a curve that is known and not offered (B-233)", EC, curve(6), want=(FEATURE_NOT_SUPPORTED,)),
    pair("a curve that is not known", EC, curve(0x777), want=UNKNOWN_VALUE),
    pair("a curve that is an Integer", EC, group(T.CRYPTOGRAPHIC_DOMAIN_PARAMETERS, integer(T.RECOMMENDED_CURVE, 7)),
         want=(INVALID_MESSAGE,)),
    pair("State of the private key, which is the server's", EC, curve(7), want=READ_ONLY,
         private=(SIGN, enum(T.STATE, 2))),
    pair("a mask with a bit that no version has", EC, curve(7), want=BAD_VALUE,
         public=(integer(T.CRYPTOGRAPHIC_USAGE_MASK, 1 << 30),)),
    P("the same name for both", lambda s: [s.attributes(EC, curve(7), s.name(s.fresh("both")), of=T.COMMON)],
      INVALID_FIELD, NON_UNIQUE_NAME_ATTRIBUTE),
    P("a name that is in use", lambda s: [s.attributes(EC, curve(7), of=T.COMMON),
                                          s.attributes(SIGN, s.name(s.made["name"]), of=T.PRIVATE),
                                          s.attributes(VERIFY, of=T.PUBLIC)], INVALID_FIELD, NON_UNIQUE_NAME_ATTRIBUTE),
]


def block(*parts):
    return group(T.SYMMETRIC_KEY, group(T.KEY_BLOCK, *parts))


RAW = enum(T.KEY_FORMAT_TYPE, 1)
KEY_OF = {size: group(T.KEY_VALUE, octets(T.KEY_MATERIAL, bytes(size))) for size in (0, 16, 17)}


def registered(rule, *objects, want, attributes=(MASK,), kind=SYMMETRIC, **more):
    return P(rule, lambda s: [kind, s.attributes(*attributes), *objects], *want, **more)


def two_lists(count):
    """Attributes beside the object, and the rest of them within its Key Value."""
    def payload(s):
        inner = groups(600, count - 601)
        inside = b"".join(s.attribute(a) for a in inner) if s.version < V20 else group(T.ATTRIBUTES, *inner)
        value = group(T.KEY_VALUE, octets(T.KEY_MATERIAL, bytes(16)), inside)
        return [SYMMETRIC, s.attributes(MASK, *groups(0, 600)), block(RAW, value, AES, BITS)]
    return payload


SECRET, OPAQUE = enum(T.OBJECT_TYPE, 7), enum(T.OBJECT_TYPE, 8)

REGISTER = [
    registered("the object is missing", want=(MISSING_DATA, INVALID_MESSAGE), versions=(V10, V21)),
    registered("the object is missing", want=(INVALID_MESSAGE,), versions=(V14,)),
    registered("an object of another type than the Object Type", block(RAW, KEY_OF[16], AES, BITS),
               want=(INVALID_FIELD,), kind=OPAQUE),
    registered("an Object Type that is not known", block(RAW, KEY_OF[16], AES, BITS), want=UNKNOWN_VALUE,
               kind=enum(T.OBJECT_TYPE, 99)),
    registered("two objects", block(RAW, KEY_OF[16], AES, BITS), block(RAW, KEY_OF[16], AES, BITS),
               want=(INVALID_MESSAGE,)),
    registered("an object that is a text", text(T.SYMMETRIC_KEY, "key"), want=(INVALID_MESSAGE,)),
    registered("a key without a Key Block", group(T.SYMMETRIC_KEY), want=(INVALID_MESSAGE,)),
    registered("a Key Block without a format", block(KEY_OF[16], AES, BITS), want=(INVALID_MESSAGE,)),
    registered("a Key Block whose format is not known", block(enum(T.KEY_FORMAT_TYPE, 0x777), KEY_OF[16], AES, BITS),
               want=UNKNOWN_VALUE),
    registered("a Key Block whose format does not go with it (X.509)",
               block(enum(T.KEY_FORMAT_TYPE, 5), KEY_OF[16], AES, BITS),
               want=(KEY_FORMAT_TYPE_NOT_SUPPORTED,)),
    registered("a Key Block without a Key Value", block(RAW, AES, BITS), want=(KEY_VALUE_NOT_PRESENT,)),
    registered("a Key Block without a Key Value in 1.0", block(RAW, AES, BITS), want=(INVALID_MESSAGE,),
               versions=(V10,)),
    registered("a Key Block out of order", block(RAW, AES, BITS, KEY_OF[16]), want=(INVALID_MESSAGE,)),
    registered("a compressed key", block(RAW, enum(T.KEY_COMPRESSION_TYPE, 1), KEY_OF[16], AES, BITS),
               want=(KEY_COMPRESSION_TYPE_NOT_SUPPORTED,)),
    registered("a key of no bytes", block(RAW, KEY_OF[0], AES), want=(INVALID_FIELD,)),
    registered("an AES key of 17 bytes", block(RAW, KEY_OF[17], AES), want=(INVALID_FIELD,)),
    registered("a length that is not that of the bytes", block(RAW, KEY_OF[16], AES,
                                                               integer(T.CRYPTOGRAPHIC_LENGTH, 256)),
               want=(INVALID_FIELD,)),
    registered("a length that is negative", block(RAW, KEY_OF[16], AES, integer(T.CRYPTOGRAPHIC_LENGTH, -128)),
               want=(INVALID_FIELD,)),
    registered("an algorithm beside that is not the one within", block(RAW, KEY_OF[16], AES, BITS),
               want=(INVALID_FIELD,),
               attributes=(enum(T.CRYPTOGRAPHIC_ALGORITHM, 2), MASK)),
    registered("no algorithm at all", block(RAW, KEY_OF[16]), want=(MISSING_DATA,)),
    registered("Key Material that is a text", block(RAW, group(T.KEY_VALUE, text(T.KEY_MATERIAL, "0123456789abcdef")),
                                                    AES, BITS),
               want=(INVALID_MESSAGE,)),
    registered("Key Material that is a structure in a raw key",
               block(RAW, group(T.KEY_VALUE, group(T.KEY_MATERIAL, octets(T.KEY, bytes(16)))), AES, BITS),
               want=(INVALID_MESSAGE,)),
    registered("Key Material that is bytes in a transparent key",
               block(enum(T.KEY_FORMAT_TYPE, 7), KEY_OF[16], AES, BITS),
               want=(KEY_FORMAT_TYPE_NOT_SUPPORTED,)),
    registered("a Key Value without Key Material", block(RAW, group(T.KEY_VALUE), AES, BITS), want=(INVALID_MESSAGE,)),
    registered("a Secret Data Type that is not known", group(T.SECRET_DATA, enum(T.SECRET_DATA_TYPE, 9),
                                                             group(T.KEY_BLOCK, RAW, KEY_OF[16])),
               want=UNKNOWN_VALUE, kind=SECRET),
    registered("Secret Data without a type", group(T.SECRET_DATA, group(T.KEY_BLOCK, RAW, KEY_OF[16])),
               want=(INVALID_MESSAGE,), kind=SECRET),
    registered("an Opaque Data Type that is not an extension",
               group(T.OPAQUE_OBJECT, enum(T.OPAQUE_DATA_TYPE, 1), octets(T.OPAQUE_DATA_VALUE, b"x")),
               want=UNKNOWN_VALUE, kind=OPAQUE),
    registered("an Opaque Object of no bytes",
               group(T.OPAQUE_OBJECT, enum(T.OPAQUE_DATA_TYPE, 0x80000001), octets(T.OPAQUE_DATA_VALUE, b"")),
               want=(INVALID_FIELD,), kind=OPAQUE),
    P("1,024 attributes in two lists", two_lists(1024), SERVED),
    P("1,025 attributes in two lists", two_lists(1025), INDEX_OUT_OF_BOUNDS, SERVER_LIMIT_EXCEEDED),
]

MISSING = (ITEM_NOT_FOUND, OBJECT_NOT_FOUND)


def identified(after=lambda s: ()):
    """What every operation on one object owes to a wrong identifier. after: what else its payload needs."""
    return [
        P("an identifier that nobody has", lambda s: [text(T.UNIQUE_IDENTIFIER, NOBODY), *after(s)], *MISSING),
        P("an identifier of another client's object", lambda s: [s.uid("foreign"), *after(s)], *MISSING),
        P("an identifier that is no UUID", lambda s: [text(T.UNIQUE_IDENTIFIER, "'; DROP TABLE kmip.object; --"),
                                                      *after(s)], *MISSING),
        P("an identifier of no characters", lambda s: [text(T.UNIQUE_IDENTIFIER, ""), *after(s)], *MISSING),
        P("an identifier of 65,536 bytes", lambda s: [text(T.UNIQUE_IDENTIFIER, "0" * 65536), *after(s)], *MISSING),
        P("an identifier with something behind it", lambda s: [text(T.UNIQUE_IDENTIFIER, s.made["preactive"] + "0"),
                                                               *after(s)], *MISSING),
        P("an identifier that is bytes", lambda s: [octets(T.UNIQUE_IDENTIFIER, bytes(16)), *after(s)],
          INVALID_MESSAGE),
        P("an identifier twice", lambda s: [s.own, s.own, *after(s)], INVALID_MESSAGE),
        P("an identifier that is an Integer in 1.4", lambda s: [integer(T.UNIQUE_IDENTIFIER, 0), *after(s)],
          INVALID_MESSAGE, versions=(V14,)),
        P("an identifier by a number beyond the batch", lambda s: [integer(T.UNIQUE_IDENTIFIER, MOST_INT), *after(s)],
          0, OBJECT_NOT_FOUND, versions=ONLY_2),
        P("an identifier by an Enumeration that is not known", lambda s: [enum(T.UNIQUE_IDENTIFIER, 0x777), *after(s)],
          0, UNKNOWN_ENUMERATION, versions=ONLY_2),
        P("a tag that KMIP does not have", lambda s: [s.own, *after(s), octets(T.UNKNOWN, b"x")], INVALID_FIELD,
          UNKNOWN_TAG),
    ]


GET = identified() + [
    P("a format that is not known", lambda s: [s.own, enum(T.KEY_FORMAT_TYPE, 0x777)], *UNKNOWN_VALUE),
    P("a format that the key does not have", lambda s: [s.own, enum(T.KEY_FORMAT_TYPE, 5)],
      KEY_FORMAT_TYPE_NOT_SUPPORTED),
    P("a format that is an Integer", lambda s: [s.own, integer(T.KEY_FORMAT_TYPE, 1)], INVALID_MESSAGE),
    P("a format before the identifier", lambda s: [RAW, s.own], INVALID_MESSAGE),
    P("a compression that the key does not have", lambda s: [s.own, enum(T.KEY_COMPRESSION_TYPE, 1)],
      KEY_COMPRESSION_TYPE_NOT_SUPPORTED),
    P("a Key Wrapping Specification of nothing", lambda s: [s.own, group(T.KEY_WRAPPING_SPECIFICATION)],
      INVALID_MESSAGE),
    P("a Wrapping Method that is not known", lambda s: [s.own,
                                                        group(T.KEY_WRAPPING_SPECIFICATION,
                                                              enum(T.WRAPPING_METHOD, 0x777))],
      *UNKNOWN_VALUE),
    P("a destroyed key", lambda s: [s.uid("destroyed")], ILLEGAL_OPERATION, OBJECT_DESTROYED),
]

GET_ATTRIBUTES = identified() + [
    P("the same attribute twice", lambda s: [s.own] + [s.reference(T.STATE)] * 2, INVALID_MESSAGE),
    P("an attribute by a number",
      lambda s: [s.own, integer(T.ATTRIBUTE_NAME if s.version < V20 else T.ATTRIBUTE_REFERENCE, 1)],
      INVALID_MESSAGE),
    P("a reference to a vendor's attribute without its vendor",
      lambda s: [s.own, group(T.ATTRIBUTE_REFERENCE, text(T.ATTRIBUTE_NAME, "n"))], 0, INVALID_MESSAGE,
      versions=ONLY_2),
]

LOCATE = [
    P("Maximum Items is negative", lambda s: [integer(T.MAXIMUM_ITEMS, -1), s.filters()], INVALID_FIELD),
    P("Maximum Items is a Boolean", lambda s: [boolean(T.MAXIMUM_ITEMS, 1), s.filters()], INVALID_MESSAGE),
    P("Maximum Items twice", lambda s: [integer(T.MAXIMUM_ITEMS, 1) * 2, s.filters()], INVALID_MESSAGE),
    P("Offset Items is negative", lambda s: [integer(T.OFFSET_ITEMS, -1), s.filters()], INVALID_FIELD),
    P("Offset Items before Maximum Items", lambda s: [integer(T.OFFSET_ITEMS, 1), integer(T.MAXIMUM_ITEMS, 1),
                                                      s.filters()], INVALID_MESSAGE),
    P("Storage Status Mask with a bit that no version has", lambda s: [integer(T.STORAGE_STATUS_MASK, 1 << 20),
                                                                       s.filters()], INVALID_FIELD),
    P("Object Group Member that is not known", lambda s: [enum(T.OBJECT_GROUP_MEMBER, 9), s.filters()], *UNKNOWN_VALUE),
    P("a filter whose value is not known", lambda s: [s.filters(enum(T.STATE, 99))], *UNKNOWN_VALUE),
    P("a filter whose value has the wrong type", lambda s: [s.filters(text(T.STATE, "Active"))], INVALID_MESSAGE),
    P("three dates of one attribute", lambda s: [s.filters(*[date(T.INITIAL_DATE, i) for i in range(3)])],
      INVALID_FIELD),
    P("an attribute that KMIP does not have", lambda s: [s.attribute(text(T.CONTACT_INFORMATION, "x"), name="Colour")],
      INVALID_FIELD,
      versions=(V14,)),
    P("a tag that is no attribute", lambda s: [s.filters(enum(T.OPERATION, 1))], 0, INVALID_ATTRIBUTE, versions=ONLY_2),
    P("attributes are missing", lambda s: [], 0, INVALID_MESSAGE, versions=ONLY_2),
    P("a tag that KMIP does not have", lambda s: [s.filters(), octets(T.UNKNOWN, b"x")], INVALID_FIELD, UNKNOWN_TAG),
]

ACTIVATE = identified() + [
    P("a key that is Active", lambda s: [s.uid("active")], PERMISSION_DENIED, WRONG_KEY_LIFECYCLE_STATE),
    P("a key that is destroyed", lambda s: [s.uid("destroyed")], PERMISSION_DENIED, OBJECT_DESTROYED),
]


def reason(*parts):
    return group(T.REVOCATION_REASON, *parts)


UNSPECIFIED, COMPROMISED = enum(T.REVOCATION_REASON_CODE, 1), enum(T.REVOCATION_REASON_CODE, 2)

REVOKE = identified(lambda s: [reason(UNSPECIFIED)]) + [
    P("no reason", lambda s: [s.own], INVALID_MESSAGE),
    P("a reason without a code", lambda s: [s.own, reason(text(T.REVOCATION_MESSAGE, "x"))], INVALID_MESSAGE),
    P("a reason that is not known", lambda s: [s.own, reason(enum(T.REVOCATION_REASON_CODE, 99))], *UNKNOWN_VALUE),
    P("a reason that is an Enumeration", lambda s: [s.own, enum(T.REVOCATION_REASON, 1)], INVALID_MESSAGE),
    P("an occurrence without a compromise", lambda s: [s.own, reason(UNSPECIFIED),
                                                       date(T.COMPROMISE_OCCURRENCE_DATE, 0)], INVALID_FIELD),
    P("a compromise that lies ahead", lambda s: [s.own, reason(COMPROMISED),
                                                 date(T.COMPROMISE_OCCURRENCE_DATE, LATER)], INVALID_FIELD),
    P("an occurrence before the reason", lambda s: [s.own, date(T.COMPROMISE_OCCURRENCE_DATE, 0),
                                                    reason(COMPROMISED)], INVALID_MESSAGE),
    P("a key that is Pre-Active", lambda s: [s.own, reason(UNSPECIFIED)], PERMISSION_DENIED,
      WRONG_KEY_LIFECYCLE_STATE),
]

DESTROY = identified() + [
    P("a key that is Active", lambda s: [s.uid("active")], PERMISSION_DENIED, WRONG_KEY_LIFECYCLE_STATE),
    P("a key that is destroyed", lambda s: [s.uid("destroyed")], PERMISSION_DENIED, OBJECT_DESTROYED),
]

QUERY_ROWS = [
    P("no function", lambda s: [], INVALID_MESSAGE),
    P("a function that is not known", lambda s: [enum(T.QUERY_FUNCTION, 0x777)], *UNKNOWN_VALUE),
    P("a function of 2.0 in 1.4 (Defaults Information)", lambda s: [enum(T.QUERY_FUNCTION, 0x0D)], INVALID_FIELD,
      versions=(V14,)),
    P("a function that is a text", lambda s: [text(T.QUERY_FUNCTION, "Operations")], INVALID_MESSAGE),
    P("a tag that belongs elsewhere", lambda s: [QUERY, text(T.UNIQUE_IDENTIFIER, NOBODY)], INVALID_MESSAGE),
]

DISCOVER_VERSIONS = [
    P("a version without a minor", lambda s: [group(T.PROTOCOL_VERSION, integer(T.PROTOCOL_VERSION_MAJOR, 1))],
      INVALID_MESSAGE),
    P("a version that is a text", lambda s: [text(T.PROTOCOL_VERSION, "1.4")], INVALID_MESSAGE),
    P("a tag that KMIP does not have", lambda s: [protocol_version(1, 4), octets(T.UNKNOWN, b"x")], INVALID_FIELD,
      UNKNOWN_TAG),
]

GROUP = text(T.OBJECT_GROUP, "hostile")
ADD_READ_ONLY = (PERMISSION_DENIED, READ_ONLY_ATTRIBUTE)


def change(rule, value, want, versions=None, **named):
    """An attribute that the object cannot get."""
    return P(rule, lambda s: [s.own, s.change(value, **named)], *want, **({"versions": versions} if versions else {}))


def changes(read_only):
    """What all that change an attribute refuse alike."""
    return identified(lambda s: [s.change(GROUP)]) + [
        P("no attribute", lambda s: [s.own], INVALID_MESSAGE),
        P("two attributes", lambda s: [s.own, s.attribute(GROUP) * 2 if s.version < V20
                                       else group(T.NEW_ATTRIBUTE, GROUP, GROUP)], INVALID_MESSAGE),
        P("an attribute of nothing", lambda s: [s.own, group(T.ATTRIBUTE if s.version < V20 else T.NEW_ATTRIBUTE)],
          INVALID_MESSAGE),
        P("a destroyed object", lambda s: [s.uid("destroyed"), s.change(GROUP)],
          PERMISSION_DENIED, WRONG_KEY_LIFECYCLE_STATE),
        change("State, which is the server's", enum(T.STATE, 2), read_only),
        change("Unique Identifier, which is the server's", text(T.UNIQUE_IDENTIFIER, NOBODY), read_only),
        change("a custom attribute that only the server makes", text(T.CONTACT_INFORMATION, "v"), read_only[:1],
               versions=(V14,), name="y-hostile"),
        change("a vendor attribute that only the server makes",
               vendor(text(T.VENDOR_IDENTIFICATION, "y"), text(T.ATTRIBUTE_NAME, "n"), VALUE), (0, read_only[1]),
               versions=ONLY_2),
        change("an attribute name that KMIP does not have", text(T.CONTACT_INFORMATION, "v"), (INVALID_FIELD,),
               versions=(V14,), name="Colour"),
        change("a tag that is no attribute", enum(T.OPERATION, 1), (0, INVALID_ATTRIBUTE), versions=ONLY_2),
        change("a value of the wrong type", integer(T.OBJECT_GROUP, 1), (INVALID_MESSAGE,)),
    ]


ADD = changes(ADD_READ_ONLY) + [
    change("an attribute that has its one value", AES, (ILLEGAL_OPERATION, ATTRIBUTE_SINGLE_VALUED)),
    change("an Attribute Index, which is the server's to give", GROUP, (INVALID_FIELD,), versions=(V14,), index=0),
    P("a Name that another object has", lambda s: [s.uid("active"), s.change(s.name(s.made["name"]))],
      ILLEGAL_OPERATION, NON_UNIQUE_NAME_ATTRIBUTE),
    P("a Name that is too long", lambda s: [s.own, s.change(s.name("n" * 1025))], INVALID_FIELD, SERVER_LIMIT_EXCEEDED),
]

MODIFY = changes(READ_ONLY) + [
    change("an attribute that the object does not have", text(T.CONTACT_INFORMATION, "x"),
           (INVALID_FIELD, ATTRIBUTE_NOT_FOUND)),
    P("an instance that the object does not have", lambda s: [s.own, s.change(s.name(s.fresh("m")), index=7)],
      ITEM_NOT_FOUND, versions=(V14,)),
    P("an instance that the object does not have, by its value",
      lambda s: [s.own, group(T.CURRENT_ATTRIBUTE, s.name("not its name")), s.change(s.name(s.fresh("m")))],
      0, ATTRIBUTE_INSTANCE_NOT_FOUND, versions=ONLY_2),
    P("two attributes in one Current Attribute",
      lambda s: [s.own, group(T.CURRENT_ATTRIBUTE, GROUP, GROUP), s.change(GROUP)], 0, INVALID_MESSAGE,
      versions=ONLY_2),
    P("a Current Attribute behind the new one", lambda s: [s.own, s.change(GROUP), group(T.CURRENT_ATTRIBUTE, GROUP)],
      0, INVALID_MESSAGE, versions=ONLY_2),
]

DELETE = identified(lambda s: [s.reference(T.OBJECT_GROUP)]) + [
    P("no attribute", lambda s: [s.own], INVALID_MESSAGE, INVALID_FIELD),
    P("two attributes", lambda s: [s.own] + [s.reference(T.OBJECT_GROUP)] * 2, INVALID_MESSAGE),
    P("an attribute that the object must have", lambda s: [s.own, s.reference(T.STATE)], *READ_ONLY),
    P("an attribute that the object does not have", lambda s: [s.own, s.reference(T.OBJECT_GROUP)],
      ITEM_NOT_FOUND, ATTRIBUTE_NOT_FOUND),
    P("an instance that the object does not have",
      lambda s: [s.own, s.reference(T.NAME), integer(T.ATTRIBUTE_INDEX, 7)], ITEM_NOT_FOUND, versions=(V14,)),
    P("an Attribute Index that is negative", lambda s: [s.own, s.reference(T.NAME), integer(T.ATTRIBUTE_INDEX, -1)],
      INVALID_FIELD, versions=(V14,)),
    P("an attribute name that KMIP does not have", lambda s: [s.own, text(T.ATTRIBUTE_NAME, "Colour")],
      ITEM_NOT_FOUND, versions=(V14,)),
    P("a tag that is no attribute", lambda s: [s.own, enum(T.ATTRIBUTE_REFERENCE, T.OPERATION)],
      0, INVALID_ATTRIBUTE, versions=ONLY_2),
    P("a destroyed object", lambda s: [s.uid("destroyed"), s.reference(T.OBJECT_GROUP)],
      PERMISSION_DENIED, WRONG_KEY_LIFECYCLE_STATE),
]

SET = [(rule, payload, want, {**more, "versions": ONLY_2}) for rule, payload, want, more in changes(ADD_READ_ONLY)
       if more.get("versions", ONLY_2) != (V14,)] + [
    P("an attribute of several values", lambda s: [s.uid("many"), s.change(GROUP)], 0, MULTI_VALUED_ATTRIBUTE,
      versions=ONLY_2),
]

CHECK = identified() + [
    P("a mask that the key does not have", lambda s: [s.own, integer(T.CRYPTOGRAPHIC_USAGE_MASK, 1)],
      PERMISSION_DENIED, INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK),
    P("a mask with a bit that no version has", lambda s: [s.own, integer(T.CRYPTOGRAPHIC_USAGE_MASK, 1 << 30)],
      INVALID_FIELD),
    P("a count that is negative", lambda s: [s.own, raw(T.USAGE_LIMITS_COUNT, 3, b"\xff" * 8)], INVALID_FIELD),
    P("a count that is an Integer", lambda s: [s.own, integer(T.USAGE_LIMITS_COUNT, 1)], INVALID_MESSAGE),
    P("a lease that is longer than any", lambda s: [s.own, interval(T.LEASE_TIME, 0xFFFFFFFF)], PERMISSION_DENIED),
    P("a lease before the mask", lambda s: [s.own, interval(T.LEASE_TIME, 1), integer(T.CRYPTOGRAPHIC_USAGE_MASK, 4)],
      INVALID_MESSAGE),
]

DATA = octets(T.DATA, bytes(16))
FOREIGN_MODE, MODE_XTS, CBC, GCM, CTR, ECB = (enum(T.BLOCK_CIPHER_MODE, m) for m in (99, 11, 1, 9, 6, 2))
BAD_PARAMETERS = (INVALID_FIELD, BAD_CRYPTOGRAPHIC_PARAMETERS)
NOT_OFFERED = (INVALID_FIELD, UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS)
IV = octets(T.IV_COUNTER_NONCE, bytes(16))
NONCE = octets(T.IV_COUNTER_NONCE, bytes(12))


def by(*parameters):
    return group(T.CRYPTOGRAPHIC_PARAMETERS, *parameters)


def with_key(rule, *payload, want, **more):
    """Upon an Active key, for which all would be right but for this."""
    return P(rule, lambda s: [s.uid("active"), *payload], *want, **more)


def ciphers(*of_one):
    """What both owe to what cannot be done; of_one: and what one of them does."""
    return identified(lambda s: [by(ECB), DATA]) + [
        P("a key that is not active", lambda s: [s.own, by(ECB), DATA], PERMISSION_DENIED, WRONG_KEY_LIFECYCLE_STATE),
        P("a destroyed object", lambda s: [s.uid("destroyed"), by(ECB), DATA], PERMISSION_DENIED, OBJECT_DESTROYED),
        with_key("no data", by(ECB), want=(MISSING_DATA,)),
        with_key("data that are a text", by(ECB), text(T.DATA, "0123456789abcdef"), want=(INVALID_MESSAGE,)),
        with_key("data before the parameters", DATA, by(ECB), want=(INVALID_MESSAGE,)),
        with_key("data twice", by(ECB), DATA, DATA, want=(INVALID_MESSAGE,)),
        with_key("data of an earlier item", by(ECB), enum(T.DATA, 1), want=(0, FEATURE_NOT_SUPPORTED), versions=ONLY_2),
        with_key("data of half a block", by(ECB), octets(T.DATA, bytes(8)), want=(CRYPTOGRAPHIC_FAILURE,)),
        with_key("no parameters, and the object has none", DATA, want=BAD_PARAMETERS),
        with_key("parameters without a mode", by(), DATA, want=BAD_PARAMETERS),
        with_key("a mode that is not known", by(FOREIGN_MODE), DATA, want=UNKNOWN_VALUE),
        with_key("a mode that is not offered", by(MODE_XTS), DATA, IV, want=NOT_OFFERED),
        with_key("padding that is not offered", by(CBC, enum(T.PADDING_METHOD, 7)), DATA, IV, want=NOT_OFFERED),
        with_key("padding where nothing is padded", by(CTR, enum(T.PADDING_METHOD, 3)), DATA, IV, want=BAD_PARAMETERS),
        with_key("the algorithm of another key", by(CBC, enum(T.CRYPTOGRAPHIC_ALGORITHM, 2)), DATA, IV,
                 want=BAD_PARAMETERS),
        with_key("no IV", by(CBC), DATA, want=(INVALID_MESSAGE,)),
        with_key("an IV of no bytes", by(CBC), DATA, octets(T.IV_COUNTER_NONCE, b""), want=(INVALID_MESSAGE,)),
        with_key("an IV of 15 bytes", by(CBC), DATA, octets(T.IV_COUNTER_NONCE, bytes(15)), want=BAD_PARAMETERS),
        with_key("an IV of 65,536 bytes", by(GCM), DATA, octets(T.IV_COUNTER_NONCE, bytes(65536)), want=BAD_PARAMETERS),
        with_key("an IV for ECB", by(ECB), DATA, IV, want=BAD_PARAMETERS),
        with_key("an IV Length that is negative", by(CBC, integer(T.IV_LENGTH, -128)), DATA, IV, want=BAD_PARAMETERS),
        with_key("an IV Length of no whole bytes", by(CBC, integer(T.IV_LENGTH, 127)), DATA, IV, want=BAD_PARAMETERS),
        with_key("the largest IV Length", by(GCM, integer(T.IV_LENGTH, MOST_INT)), DATA, NONCE, want=BAD_PARAMETERS),
        with_key("a counter that is negative", by(CTR, integer(T.INITIAL_COUNTER_VALUE, -1)), DATA, NONCE,
                 want=BAD_PARAMETERS),
        with_key("a counter beside a whole block", by(CTR, integer(T.INITIAL_COUNTER_VALUE, 1)), DATA, IV,
                 want=BAD_PARAMETERS),
        with_key("a Counter Length of more than a block", by(CTR, integer(T.COUNTER_LENGTH, MOST_INT)), DATA, IV,
                 want=BAD_PARAMETERS),
        with_key("a Correlation Value", by(ECB), DATA, octets(T.CORRELATION_VALUE, b"1"),
                 want=(ITEM_NOT_FOUND, INVALID_CORRELATION_VALUE)),
        with_key("the beginning of a stream", by(ECB), DATA, boolean(T.INIT_INDICATOR, 1), want=(FEATURE_NOT_SUPPORTED,)),
        with_key("the end of a stream", by(ECB), DATA, boolean(T.FINAL_INDICATOR, 1), want=(FEATURE_NOT_SUPPORTED,)),
        with_key("additional data without a tag", by(CBC), DATA, IV, octets(T.ADDITIONAL_DATA, b"x"),
                 want=BAD_PARAMETERS),
        with_key("additional data in 1.2", by(ECB), DATA, octets(T.ADDITIONAL_DATA, b"x"), want=(INVALID_FIELD,),
                 versions=(V12,)),
        with_key("a cipher with a tag in 1.2", by(GCM), DATA, NONCE, want=(INVALID_FIELD,), versions=(V12,)),
        P("before 1.2", lambda s: [s.uid("active"), DATA], OPERATION_NOT_SUPPORTED, versions=((1, 1),)),
        *of_one,
    ]


ENCRYPT = ciphers(
    with_key("a tag to check", by(GCM), DATA, NONCE, octets(T.ENCRYPTION_TAG, bytes(16)), want=(INVALID_MESSAGE,)),
    with_key("a Tag Length of one byte", by(GCM, integer(T.TAG_LENGTH, 1)), DATA, NONCE, want=(GENERAL_FAILURE,)),
    with_key("the largest Tag Length", by(GCM, integer(T.TAG_LENGTH, MOST_INT)), DATA, NONCE, want=(GENERAL_FAILURE,)),
    with_key("a random IV too short never to come twice", by(GCM, boolean(T.RANDOM_IV, 1), integer(T.IV_LENGTH, 64)),
             DATA, want=BAD_PARAMETERS),
    with_key("additional data of 512 KiB", by(GCM), DATA, NONCE, octets(T.ADDITIONAL_DATA, bytes(1 << 19)),
             want=(SERVED,)),
)

DECRYPT = ciphers(
    with_key("no tag", by(GCM), DATA, NONCE, want=(INVALID_MESSAGE,)),
    with_key("a tag of no bytes", by(GCM), DATA, NONCE, octets(T.ENCRYPTION_TAG, b""), want=(INVALID_MESSAGE,)),
    with_key("a tag cut off", by(GCM), DATA, NONCE, octets(T.ENCRYPTION_TAG, bytes(12)), want=(CRYPTOGRAPHIC_FAILURE,)),
    with_key("a tag that is wrong", by(GCM), DATA, NONCE, octets(T.ENCRYPTION_TAG, bytes(16)),
             want=(CRYPTOGRAPHIC_FAILURE,)),
    with_key("a tag of 65,536 bytes", by(GCM), DATA, NONCE, octets(T.ENCRYPTION_TAG, bytes(65536)),
             want=(CRYPTOGRAPHIC_FAILURE,)),
    with_key("padding that is wrong", by(CBC, enum(T.PADDING_METHOD, 3)), octets(T.DATA, bytes(4096)), IV,
             want=(CRYPTOGRAPHIC_FAILURE,)),
    with_key("a Random IV, which is made to encrypt alone", by(CBC, boolean(T.RANDOM_IV, 1)), DATA,
             want=(INVALID_MESSAGE,)),
)

LOG = [
    P("no message", lambda s: [], INVALID_MESSAGE, versions=ONLY_2),
    P("a message that is bytes", lambda s: [octets(T.LOG_MESSAGE, b"x")], INVALID_MESSAGE, versions=ONLY_2),
    P("two messages", lambda s: [text(T.LOG_MESSAGE, "x")] * 2, INVALID_MESSAGE, versions=ONLY_2),
    P("a message of lines, quotes and SQL is a message",
      lambda s: [text(T.LOG_MESSAGE, "a\nevent=child.died \"'; DROP TABLE audit.event; --\x1b[2J")], SERVED,
      versions=ONLY_2),
]

INTEROP = [
    P("on a server that is not for tests", lambda s: [enum(T.INTEROP_FUNCTION, 1), text(T.INTEROP_IDENTIFIER, "x")],
      OPERATION_NOT_SUPPORTED, versions=ONLY_2),
]

OPERATIONS = {"Create": CREATE, "Create Key Pair": CREATE_KEY_PAIR, "Register": REGISTER, "Locate": LOCATE, "Get": GET,
              "Get Attributes": GET_ATTRIBUTES,
              "Activate": ACTIVATE, "Revoke": REVOKE, "Destroy": DESTROY, "Query": QUERY_ROWS,
              "Discover Versions": DISCOVER_VERSIONS, "Get Attribute List": identified(), "Add Attribute": ADD,
              "Modify Attribute": MODIFY, "Delete Attribute": DELETE, "Set Attribute": SET,
              "Check": CHECK, "Encrypt": ENCRYPT, "Decrypt": DECRYPT, "Log": LOG, "Interop": INTEROP}


def rows():
    for operation, payloads in OPERATIONS.items():
        for rule, payload, want, more in payloads:
            yield Row("%s: %s" % (operation, rule), lambda s, o=operation, p=payload: s.request(o, *p(s)), *want,
                      **more)


ROWS = list(rows())
