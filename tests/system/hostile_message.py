"""Messages whose TTLV is sound: header, versions, batch (KMIP 1.4, 6, 7 and 11.1; KMIP 2.1, 8 and 9)."""
import struct

from hostile import (FEATURE_NOT_SUPPORTED, INVALID_FIELD, INVALID_MESSAGE, ITEM_NOT_FOUND, LEAST_DATE,
                     LEAST_INT, MOST_INT, OBJECT_NOT_FOUND, OPERATION_NOT_SUPPORTED, QUERY, QUERY_ITEM,
                     RESPONSE_TOO_LARGE, SERVED, SERVER_LIMIT_EXCEEDED, UNDONE, UNKNOWN_ENUMERATION,
                     UNKNOWN_MESSAGE_EXTENSION, UNKNOWN_TAG, UNSUPPORTED_PROTOCOL_VERSION, V10, V11, V13, V14, V21,
                     AES, BITS, MASK, Row, T, batch_item, boolean, date, enum, group, integer, message, octets,
                     protocol_version, raw, text)

STOP, CONTINUE, UNDO = 2, 1, 3


def header(rule, fields, *want, **more):
    """fields: Say -> all fields of the header."""
    return Row("header: " + rule, lambda s: message(fields(s), QUERY_ITEM), *want, **more)


def field(rule, item_, *want, **more):
    """A sound header with one more field, or several, before the Batch Count."""
    return header(rule, lambda s: s.header(1, item_), *want, **more)


def credential(kind, *value):
    return group(T.AUTHENTICATION, group(T.CREDENTIAL, enum(T.CREDENTIAL_TYPE, kind),
                                         group(T.CREDENTIAL_VALUE, *value)))


def version(rule, major, minor, want, answer):
    return Row("version: " + rule, lambda s: message([protocol_version(major, minor), integer(T.BATCH_COUNT, 1)],
                                                     QUERY_ITEM),
               want, versions=(V14,), answer=answer)


COUNT = integer(T.BATCH_COUNT, 1)

HEADER = [
    Row("header: there is none", lambda s: message(None, QUERY_ITEM), INVALID_MESSAGE, versions=(V14,), answer=V10),
    Row("header: a message of nothing but a header", lambda s: message(s.header()), INVALID_MESSAGE),
    Row("header: after the batch item", lambda s: group(T.REQUEST_MESSAGE, QUERY_ITEM,
                                                        group(T.REQUEST_HEADER, *s.header())),
        INVALID_MESSAGE, versions=(V14,), answer=V10),
    Row("header: twice", lambda s: group(T.REQUEST_MESSAGE, *[group(T.REQUEST_HEADER, *s.header())] * 2, QUERY_ITEM),
        INVALID_MESSAGE),
    Row("header: a text instead", lambda s: group(T.REQUEST_MESSAGE, text(T.REQUEST_HEADER, "1.4"), QUERY_ITEM),
        INVALID_MESSAGE, versions=(V14,), answer=V10),
    header("empty", lambda s: [], INVALID_MESSAGE, versions=(V14,), answer=V10),
    header("no Protocol Version", lambda s: [COUNT], INVALID_MESSAGE, versions=(V14,), answer=V10),
    header("Protocol Version not first", lambda s: [COUNT, protocol_version(*s.version)], INVALID_MESSAGE,
           versions=(V14,), answer=V10),
    header("Protocol Version without a minor", lambda s: [group(T.PROTOCOL_VERSION,
                                                                integer(T.PROTOCOL_VERSION_MAJOR, 1)), COUNT],
           INVALID_MESSAGE, versions=(V14,), answer=V10),
    header("Protocol Version with minor and major changed over",
           lambda s: [group(T.PROTOCOL_VERSION, integer(T.PROTOCOL_VERSION_MINOR, 4),
                            integer(T.PROTOCOL_VERSION_MAJOR, 1)), COUNT],
           INVALID_MESSAGE, versions=(V14,), answer=V10),
    header("Protocol Version with a text for its major",
           lambda s: [group(T.PROTOCOL_VERSION, text(T.PROTOCOL_VERSION_MAJOR, "1"),
                            integer(T.PROTOCOL_VERSION_MINOR, 4)), COUNT],
           INVALID_MESSAGE, versions=(V14,), answer=V10),
    header("Protocol Version twice", lambda s: [protocol_version(*s.version)] * 2 + [COUNT], INVALID_MESSAGE),
    header("Batch Count is missing", lambda s: [protocol_version(*s.version)], INVALID_MESSAGE),
    header("Batch Count twice", lambda s: s.header(1, after=[COUNT]), INVALID_MESSAGE),
    header("Batch Count is a Long Integer", lambda s: [protocol_version(*s.version),
                                                       raw(T.BATCH_COUNT, 3, struct.pack(">q", 1))],
           INVALID_MESSAGE),
    header("Batch Count is not last", lambda s: s.header(1, after=[date(T.TIME_STAMP, 0)]), INVALID_MESSAGE),
    header("Time Stamp before the batch options",
           lambda s: s.header(1, date(T.TIME_STAMP, 0), boolean(T.BATCH_ORDER_OPTION, 1)), INVALID_MESSAGE),
    field("Time Stamp twice", date(T.TIME_STAMP, 0) * 2, INVALID_MESSAGE),
    field("Time Stamp is a Long Integer", raw(T.TIME_STAMP, 3, struct.pack(">q", 0)), INVALID_MESSAGE),
    field("Time Stamp before the beginning of time is the client's affair", date(T.TIME_STAMP, LEAST_DATE), SERVED),
    field("Maximum Response Size is a text", text(T.MAXIMUM_RESPONSE_SIZE, "256"), INVALID_MESSAGE),
    field("Maximum Response Size is negative", integer(T.MAXIMUM_RESPONSE_SIZE, -1), INVALID_FIELD),
    field("Maximum Response Size is less than the answer", integer(T.MAXIMUM_RESPONSE_SIZE, 160), RESPONSE_TOO_LARGE),
    field("a field with a tag that KMIP does not have", integer(T.UNKNOWN, 1), INVALID_FIELD, UNKNOWN_TAG),
    field("a field of somebody's own", integer(T.EXTENSION, 1), INVALID_FIELD, UNKNOWN_TAG),
    field("a field that belongs elsewhere", enum(T.OBJECT_TYPE, 2), INVALID_MESSAGE),
    field("Client Correlation Value in 1.3, which does not have it", text(T.CLIENT_CORRELATION_VALUE, "x"),
          INVALID_FIELD,
          versions=(V13,)),
    field("Attestation Capable Indicator in 1.1, which does not have it", boolean(T.ATTESTATION_CAPABLE_INDICATOR, 1),
          INVALID_FIELD,
          versions=(V11,)),
    field("Asynchronous Indicator is an Enumeration in 1.4", enum(T.ASYNCHRONOUS_INDICATOR, 2), INVALID_MESSAGE,
          versions=(V14,)),
    field("Asynchronous Indicator is a Boolean in 2.1", boolean(T.ASYNCHRONOUS_INDICATOR, 1), INVALID_MESSAGE,
          versions=(V21,)),
    field("Asynchronous Indicator asks for what is not offered", enum(T.ASYNCHRONOUS_INDICATOR, 1),
          FEATURE_NOT_SUPPORTED, versions=(V21,)),
    field("Asynchronous Indicator is not known", enum(T.ASYNCHRONOUS_INDICATOR, 4), UNKNOWN_ENUMERATION,
          versions=(V21,)),
    field("Authentication without a Credential", group(T.AUTHENTICATION), INVALID_MESSAGE),
    field("Authentication twice", credential(1, text(T.USERNAME, "a")) * 2, INVALID_MESSAGE),
    field("Credential Type is not known", credential(99, text(T.USERNAME, "a")), INVALID_FIELD, UNKNOWN_ENUMERATION),
    field("Credential Value of another type", credential(2, text(T.USERNAME, "a")), INVALID_MESSAGE),
    field("Credential with a password and no name", credential(1, text(T.PASSWORD, "a")), INVALID_MESSAGE),
    field("Credential without a value", group(T.AUTHENTICATION, group(T.CREDENTIAL, enum(T.CREDENTIAL_TYPE, 1))),
          INVALID_MESSAGE),
    field("Batch Error Continuation Option is not known", enum(T.BATCH_ERROR_CONTINUATION_OPTION, 4), INVALID_FIELD,
          UNKNOWN_ENUMERATION),
    field("Batch Error Continuation Option is zero", enum(T.BATCH_ERROR_CONTINUATION_OPTION, 0), INVALID_FIELD,
          UNKNOWN_ENUMERATION),
    field("Batch Error Continuation Option is an Integer", integer(T.BATCH_ERROR_CONTINUATION_OPTION, 2),
          INVALID_MESSAGE),
    field("Batch Order Option is an Integer", integer(T.BATCH_ORDER_OPTION, 1), INVALID_MESSAGE),
]

VERSIONS = [
    version("3.0", 3, 0, UNSUPPORTED_PROTOCOL_VERSION, V21),
    version("2.2", 2, 2, UNSUPPORTED_PROTOCOL_VERSION, V21),
    version("1.5", 1, 5, INVALID_MESSAGE, V14),
    version("0.0", 0, 0, INVALID_MESSAGE, V10),
    version("1.-1", 1, -1, INVALID_MESSAGE, V10),
    version("-1.4", -1, 4, INVALID_MESSAGE, V10),
    version("257.4, which is 1.4 in its lowest byte", 257, 4, INVALID_MESSAGE, V10),
    version("1.260, which is 1.4 in its lowest byte", 1, 260, INVALID_MESSAGE, V10),
    version("the largest numbers", MOST_INT, MOST_INT, INVALID_MESSAGE, V10),
]


def count(rule, told, items):
    return Row("batch: " + rule, lambda s: message(s.header(told), *items), INVALID_MESSAGE)


def one(rule, *parts, v1=INVALID_MESSAGE, v2=None, **more):
    """A batch item of these parts."""
    return Row("batch item: " + rule, lambda s: message(s.header(), group(T.BATCH_ITEM, *parts)), v1, v2, **more)


QUERY_OPERATION = enum(T.OPERATION, 24)
QUERY_PAYLOAD = group(T.REQUEST_PAYLOAD, QUERY)


def extension(critical, *more):
    return group(T.MESSAGE_EXTENSION, text(T.VENDOR_IDENTIFICATION, "Acme"), boolean(T.CRITICALITY_INDICATOR, critical),
                 group(T.VENDOR_EXTENSION), *more)


def create(s):
    return batch_item("Create", enum(T.OBJECT_TYPE, 2), s.attributes(AES, BITS, MASK))


BAD_QUERY = batch_item("Query")

BATCH = [
    count("Batch Count says two, there is one", 2, [QUERY_ITEM]),
    count("Batch Count says one, there are two", 1, [QUERY_ITEM] * 2),
    count("Batch Count says nothing, there is one", 0, [QUERY_ITEM]),
    count("Batch Count is nothing, and there is nothing", 0, []),
    count("Batch Count is negative", -1, [QUERY_ITEM]),
    count("Batch Count is the largest number", MOST_INT, [QUERY_ITEM]),
    count("Batch Count is the least number", LEAST_INT, [QUERY_ITEM]),
    count("something else behind the items", 1, [QUERY_ITEM, text(T.NAME_VALUE, "x")]),
    Row("batch: 1,024 items", lambda s: s.batch(*[QUERY_ITEM] * 1024), [SERVED] * 1024),
    Row("batch: 1,025 items", lambda s: s.batch(*[QUERY_ITEM] * 1025), INVALID_MESSAGE, SERVER_LIMIT_EXCEEDED),
    Row("batch item: a text instead", lambda s: message(s.header(), text(T.BATCH_ITEM, "Query")), INVALID_MESSAGE),
    one("empty"),
    one("no Operation", QUERY_PAYLOAD),
    one("Operation twice", QUERY_OPERATION, QUERY_OPERATION, QUERY_PAYLOAD),
    one("Operation is an Integer", integer(T.OPERATION, 24), QUERY_PAYLOAD),
    one("Operation behind the payload", QUERY_PAYLOAD, QUERY_OPERATION),
    one("Operation 0", enum(T.OPERATION, 0), QUERY_PAYLOAD, v1=OPERATION_NOT_SUPPORTED),
    one("Operation that KMIP does not have", enum(T.OPERATION, 0x7FFF), QUERY_PAYLOAD, v1=OPERATION_NOT_SUPPORTED),
    one("Operation of somebody's own", enum(T.OPERATION, 0x80000001), QUERY_PAYLOAD, v1=OPERATION_NOT_SUPPORTED),
    one("Operation that a server asks of a client (Put)", enum(T.OPERATION, 28), QUERY_PAYLOAD,
        v1=OPERATION_NOT_SUPPORTED),
    one("Operation of 2.0 in 1.4 (Login)", enum(T.OPERATION, 0x2D), group(T.REQUEST_PAYLOAD),
        v1=OPERATION_NOT_SUPPORTED,
        versions=(V14,)),
    one("Operation of 1.1 in 1.0 (Discover Versions)", enum(T.OPERATION, 30), group(T.REQUEST_PAYLOAD),
        v1=OPERATION_NOT_SUPPORTED,
        versions=(V10,)),
    one("no payload", QUERY_OPERATION),
    one("payload twice", QUERY_OPERATION, QUERY_PAYLOAD, QUERY_PAYLOAD),
    one("payload is bytes", QUERY_OPERATION, octets(T.REQUEST_PAYLOAD, b"")),
    one("a tag that KMIP does not have", QUERY_OPERATION, QUERY_PAYLOAD, integer(T.UNKNOWN, 1), v1=INVALID_FIELD,
        v2=UNKNOWN_TAG),
    one("Ephemeral in 1.4, which does not have it", QUERY_OPERATION, boolean(T.EPHEMERAL, 1), QUERY_PAYLOAD,
        v1=INVALID_FIELD,
        versions=(V14,)),
    one("Unique Batch Item ID is an Integer", QUERY_OPERATION, integer(T.UNIQUE_BATCH_ITEM_ID, 1), QUERY_PAYLOAD),
    one("Unique Batch Item ID behind the payload", QUERY_OPERATION, QUERY_PAYLOAD,
        octets(T.UNIQUE_BATCH_ITEM_ID, b"1")),
    one("Message Extension before the payload", QUERY_OPERATION, extension(0), QUERY_PAYLOAD),
    one("Message Extension that says nothing of its importance", QUERY_OPERATION, QUERY_PAYLOAD,
        group(T.MESSAGE_EXTENSION, text(T.VENDOR_IDENTIFICATION, "Acme"), group(T.VENDOR_EXTENSION))),
    one("Message Extension that nobody needs to know", QUERY_OPERATION, QUERY_PAYLOAD, extension(0), v1=SERVED),
    one("Message Extension that is critical", QUERY_OPERATION, QUERY_PAYLOAD, extension(1), v1=FEATURE_NOT_SUPPORTED,
        v2=UNKNOWN_MESSAGE_EXTENSION),
    # The receiver shall reject the entire message (KMIP 1.4, 6.16; KMIP 2.1, 9.13).
    Row("batch: a critical Message Extension in the second item",
        lambda s: s.batch(create(s), group(T.BATCH_ITEM, QUERY_OPERATION, QUERY_PAYLOAD, extension(1)),
                          option=CONTINUE),
        [FEATURE_NOT_SUPPORTED] * 2, [UNKNOWN_MESSAGE_EXTENSION] * 2),
    # A batch item that cannot be read fails alone (KMIP 1.4, 11.1 and 11.43).
    Row("batch: Stop at an item that cannot be read",
        lambda s: s.batch(create(s), group(T.BATCH_ITEM, QUERY_PAYLOAD), create(s), option=STOP),
        [SERVED, INVALID_MESSAGE]),
    Row("batch: Continue past an item that cannot be read",
        lambda s: s.batch(create(s), group(T.BATCH_ITEM, QUERY_PAYLOAD), create(s), option=CONTINUE),
        [SERVED, INVALID_MESSAGE, SERVED]),
    Row("batch: Undo from an item that cannot be read",
        lambda s: s.batch(create(s), group(T.BATCH_ITEM, QUERY_PAYLOAD), create(s), option=UNDO),
        [UNDONE, INVALID_MESSAGE]),
    Row("batch: Continue past a payload that cannot be read",
        lambda s: s.batch(BAD_QUERY, create(s), option=CONTINUE), [INVALID_MESSAGE, SERVED]),
    Row("batch: Undo from a payload that cannot be read",
        lambda s: s.batch(create(s), create(s), BAD_QUERY, option=UNDO), [UNDONE, UNDONE, INVALID_MESSAGE]),
    Row("batch: an identifier that no item before has given", lambda s: s.batch(batch_item("Get"), create(s),
                                                                                option=CONTINUE),
        [ITEM_NOT_FOUND, SERVED], [OBJECT_NOT_FOUND, SERVED]),
    Row("batch: the ID placeholder of another message", lambda s: s.request("Get"), ITEM_NOT_FOUND, OBJECT_NOT_FOUND),
]

ROWS = HEADER + VERSIONS + BATCH
