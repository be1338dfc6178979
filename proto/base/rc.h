/*
 * Results. One table gives each result its name for the log, its text for people and the KMIP result
 * reason for the client, so that the three never drift apart. Used by every part of the house.
 * The text is fixed: it never holds input, identifiers, paths or SQL.
 */
#ifndef PROTO_BASE_RC_H
#define PROTO_BASE_RC_H

#include <stdint.h>

/* Result Reason values: as KMIP 2.1 numbers them; proto/kmip/reason.h maps them to what an older version defines. */
/* clang-format off */
#define RC_TABLE(X)                                                                               \
    X(RC_OK,                  "done",                                                   0x00)     \
    /* what the client sent */                                                                    \
    X(RC_SHORT_INPUT,         "an item runs past the end of the message",               0x26)     \
    X(RC_BAD_TAG,             "a tag is not one of KMIP",                               0x26)     \
    X(RC_BAD_ITEM_TYPE,       "an item has a type that is not one of KMIP",             0x26)     \
    X(RC_BAD_LENGTH,          "an item has an impossible length",                       0x26)     \
    X(RC_BAD_PADDING,         "padding is not zero",                                    0x26)     \
    X(RC_BAD_BOOLEAN,         "a Boolean is neither true nor false",                    0x26)     \
    X(RC_BAD_UTF8,            "a text is not valid UTF-8",                              0x26)     \
    X(RC_BAD_TYPE,            "an item has the wrong type",                             0x04)     \
    X(RC_BAD_VALUE,           "a value is not defined by this protocol version",        0x3B)     \
    X(RC_UNKNOWN_TAG,         "a field is not defined by this protocol version",        0x3D)     \
    X(RC_BAD_ORDER,           "fields are missing, repeated or out of order",           0x04)     \
    X(RC_BAD_MESSAGE,         "the message is not a valid request",                     0x04)     \
    X(RC_TOO_DEEP,            "structures are nested too deeply",                       0x3A)     \
    X(RC_TOO_MANY,            "there are too many items",                               0x3A)     \
    X(RC_TOO_LARGE,           "the message is larger than the server takes",            0x3A)     \
    X(RC_BAD_VERSION,         "this protocol version is not supported",                 0x3F)     \
    X(RC_MISSING_DATA,        "a required field is missing",                            0x06)     \
    X(RC_INVALID_FIELD,       "a field is not valid in this request",                   0x07)     \
    X(RC_FEATURE,             "this feature is not supported",                          0x08)     \
    X(RC_OP_UNSUPPORTED,      "this operation is not supported",                        0x05)     \
    X(RC_CRITICAL_EXTENSION,  "a critical message extension is not known",              0x3C)     \
    X(RC_RESPONSE_TOO_LARGE,  "the response is larger than the request allows",         0x02)     \
    X(RC_ATTR_READ_ONLY,      "this attribute is read-only",                            0x22)     \
    X(RC_ATTR_NOT_FOUND,      "there is no such attribute",                             0x21)     \
    X(RC_ATTR_UNSUPPORTED,    "this protocol version has no such attribute",            0x2C)     \
    X(RC_ATTR_SINGLE,         "this attribute can have one instance only",              0x23)     \
    X(RC_ATTR_VALUE,          "an attribute has a value that is not possible",          0x2D)     \
    X(RC_ATTR_INVALID,        "this attribute does not go with this object",            0x2C)     \
    X(RC_ATTR_ADD_READ_ONLY, "this attribute is the server's to set",                   0x1D)     \
    X(RC_ATTR_ABSENT,         "the attribute has no value yet: add it",                 0x21)     \
    X(RC_ATTR_INSTANCE,       "there is no such instance of this attribute",            0x20)     \
    X(RC_ATTR_SEVERAL,        "the attribute has several values",                       0x1E)     \
    X(RC_ATTR_NOT_HERE,       "objects of this type do not have this attribute",        0x2C)     \
    X(RC_ATTR_FULL,           "the object has as many attributes as it may",            0x3A)     \
    X(RC_NAME_USED,           "another object has this name",                           0x35)     \
    X(RC_NAME_LENGTH,         "the name is longer than the server takes",               0x3A)     \
    X(RC_NAME_TAKEN,          "the name is in use",                                     0x35)     \
    X(RC_KEY_FORMAT,          "this key format is not supported",                       0x10)     \
    X(RC_KEY_COMPRESSION,     "this key compression is not supported",                  0x11)     \
    X(RC_BAD_CRYPTO_PARAMS,   "these cryptographic parameters are not supported",       0x24)     \
    X(RC_PARAMS_MISSING,      "no cryptographic parameters are given that say enough",  0x24)     \
    X(RC_PARAMS_CONFLICT,     "these cryptographic parameters do not go together",      0x24)     \
    X(RC_PARAMS_UNSUPPORTED,  "these cryptographic parameters are not offered",         0x3E)     \
    X(RC_IV_MISSING,          "IV/Counter/Nonce is missing",                            0x04)     \
    X(RC_IV_LENGTH,           "IV/Counter/Nonce has a length that does not fit",        0x24)     \
    X(RC_TAG_MISSING,         "Authenticated Encryption Tag is missing",                0x04)     \
    /* the reason that the OASIS test cases have for it */                                        \
    X(RC_TAG_LENGTH,          "this tag length is not offered",                         0x100)    \
    X(RC_DATA_LENGTH,         "the data have a length that does not fit",               0x0A)     \
    X(RC_STREAM,              "Init or Final Indicator: streams are not supported",     0x08)     \
    X(RC_CORRELATION,         "Correlation Value: there is no such operation",          0x2E)     \
    X(RC_OBJECT_TYPE,         "this object type is not supported here",                 0x30)     \
    X(RC_APP_NAMESPACE,       "application data cannot be made for this namespace",     0x0F)     \
    X(RC_STORAGE_UNAVAILABLE, "none of these protection storage masks is offered",      0x44)     \
    X(RC_STORAGE_PRIVATE,     "none of the private key's storage masks is offered",     0x48)     \
    X(RC_STORAGE_PUBLIC,      "none of the public key's storage masks is offered",      0x49)     \
    X(RC_NOT_QUANTUM_SAFE,    "the object would not be quantum safe",                   0x100)    \
    X(RC_NO_KEY_VALUE,        "the key value is not present",                           0x13)     \
    /* what the client may do */                                                                  \
    X(RC_NOT_FOUND,           "no such object",                                         0x37)     \
    X(RC_DENIED,              "permission denied",                                      0x0C)     \
    X(RC_CONSTRAINT,          "a constraint of the server's policy does not allow this", 0x4B)    \
    X(RC_NOT_EXTRACTABLE,     "the key is not extractable",                             0x17)     \
    X(RC_SENSITIVE,           "the key is sensitive and may leave only wrapped",        0x16)     \
    X(RC_WRONG_STATE,         "the object's state does not allow this",                 0x43)     \
    X(RC_DESTROYED,           "the object is destroyed",                                0x36)     \
    X(RC_MATERIAL_GONE,       "the object's material is destroyed",                     0x36)     \
    X(RC_USAGE_MASK,          "the key's usage mask does not allow this",               0x29)     \
    X(RC_USAGE_LIMIT,         "the key's usage limit does not allow so much",            0x1A)     \
    X(RC_USAGE_SPENT,         "the key's usage limit is used up",                       0x0C)     \
    X(RC_NOT_USABLE,          "this object cannot be used for this operation",          0x30)     \
    X(RC_ILLEGAL_TRANSITION,  "this change of state is not allowed",                    0x43)     \
    X(RC_WRONG_TYPE,          "this object type does not allow this operation",         0x28)     \
    X(RC_AUTH_FAILED,         "authentication was not successful",                      0x03)     \
    X(RC_SEARCH_LIMIT,        "too many objects to decide on, narrow the search",        0x3A)     \
    X(RC_WRAP_UNSUPPORTED,    "key wrapping is not supported here",                     0x32)     \
    /* what happened on our side */                                                               \
    X(RC_CONFLICT,            "the object changed meanwhile",                           0x100)    \
    X(RC_UNAVAILABLE,         "the server cannot do this now, try again",               0x100)    \
    X(RC_BUSY,                "the server is at its limit, try again",                  0x3A)    \
    X(RC_SEALED,              "the key vault is sealed",                                0x100)    \
    X(RC_TIMEOUT,             "a deadline passed",                                      0x100)    \
    X(RC_CRYPTO,              "a cryptographic step failed",                            0x0A)     \
    X(RC_INTEGRITY,           "a stored record is damaged or was altered",              0x100)    \
    X(RC_NO_MEMORY,           "out of memory",                                          0x100)    \
    X(RC_IO,                  "input or output failed",                                 0x100)    \
    X(RC_CONFIG,              "the configuration is not valid",                         0x100)    \
    X(RC_PROTOCOL,            "a peer process sent a malformed message",                0x100)    \
    X(RC_TPM,                 "the TPM failed",                                         0x100)    \
    X(RC_TPM_LOCKED,          "the TPM refuses: boot state or approval do not match",   0x100)    \
    X(RC_TPM_FOREIGN,         "this is not the TPM the vault was made on",              0x100)    \
    X(RC_INTERNAL,            "an internal check failed",                               0x2A)
/* clang-format on */

#define RC_ENUM(name, text, reason) name,
typedef enum rc { RC_TABLE(RC_ENUM) RC_COUNT } rc_t;
#undef RC_ENUM

/* The result's name, for the log: "RC_NOT_FOUND". Static storage. */
const char *rc_name(rc_t rc);
/* A sentence for people. Static storage. */
const char *rc_text(rc_t rc);
/* KMIP Result Reason as KMIP 2.1 numbers it; 0 for RC_OK. */
uint32_t rc_reason(rc_t rc);

/* The one macro that returns: leave at the first result that is not RC_OK. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        rc_t rc_ = (call);                                                                         \
        if (rc_ != RC_OK)                                                                          \
            return rc_;                                                                            \
    } while (0)

#endif
