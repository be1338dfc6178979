/*
 * The text of node.state. Written as one fixed sequence of lines and read back as exactly that
 * sequence, so that there is one form only.
 */
#include "server/vault/node_state.h"

#include <openssl/evp.h>

#include "server/vault/tpm/hex.h"

enum { DIGEST = 32 };

static const char title[] = "holdfast-node-state 1\n";

static rc_t add_name(struct buf *out, const char *key, const struct node_name *name)
{
    TRY(buf_add_str(out, key));
    TRY(buf_add_u8(out, ' '));
    TRY(hex_add(out, bytes_of(name->raw, sizeof name->raw)));
    return buf_add_u8(out, '\n');
}

static rc_t digest_of(struct bytes text, uint8_t digest[DIGEST])
{
    return EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL) == 1 ? RC_OK
                                                                                  : RC_CRYPTO;
}

rc_t node_state_encode(const struct node_state *s, struct buf *out)
{
    char uid[UID_TEXT_SIZE];
    uint8_t digest[DIGEST];
    size_t start = out->len;
    uid_print(&s->node, uid);
    TRY(buf_add_str(out, title));
    TRY(buf_add_fmt(out, "node %s\n", uid));
    TRY(add_name(out, "srk", &s->srk));
    TRY(add_name(out, "ak", &s->ak));
    TRY(add_name(out, "cr", &s->cr));
    TRY(add_name(out, "auth", &s->auth));
    TRY(buf_add_fmt(out, "nv-policy %08x\nnv-checkpoint %08x\n", s->nv_policy, s->nv_checkpoint));
    TRY(buf_add_fmt(out, "self-approved %s\n", s->self_approved ? "yes" : "no"));
    TRY(buf_add_fmt(out, "software-tpm %s\n", s->software_tpm ? "yes" : "no"));
    TRY(digest_of(bytes_of(out->data + start, out->len - start), digest));
    TRY(buf_add_str(out, "sha256 "));
    TRY(hex_add(out, bytes_of(digest, sizeof digest)));
    return buf_add_u8(out, '\n');
}

/* Takes the line "key value" off the front; the value must not be empty. */
static rc_t next_line(struct bytes *in, const char *key, struct bytes *value)
{
    const uint8_t *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
    size_t key_len = strlen(key);
    if (!end)
        return RC_BAD_MESSAGE;
    size_t len = (size_t)(end - in->data);
    if (len < key_len + 2 || memcmp(in->data, key, key_len) != 0 || in->data[key_len] != ' ')
        return RC_BAD_MESSAGE;
    *value = bytes_of(in->data + key_len + 1, len - key_len - 1);
    *in = bytes_of(end + 1, in->len - len - 1);
    return RC_OK;
}

static rc_t read_name(struct bytes *in, const char *key, struct node_name *name)
{
    struct bytes value;
    TRY(next_line(in, key, &value));
    return hex_parse_exact(value, name->raw, sizeof name->raw) == RC_OK ? RC_OK : RC_BAD_MESSAGE;
}

static rc_t read_u32(struct bytes *in, const char *key, uint32_t *number)
{
    struct bytes value;
    uint8_t raw[4];
    TRY(next_line(in, key, &value));
    if (hex_parse_exact(value, raw, sizeof raw) != RC_OK)
        return RC_BAD_MESSAGE;
    *number = load_be32(raw);
    return RC_OK;
}

static rc_t read_bool(struct bytes *in, const char *key, bool *flag)
{
    struct bytes value;
    TRY(next_line(in, key, &value));
    *flag = bytes_is(value, "yes");
    return *flag || bytes_is(value, "no") ? RC_OK : RC_BAD_MESSAGE;
}

rc_t node_state_decode(struct bytes text, struct node_state *out)
{
    enum { LAST_LINE = 7 + 2 * DIGEST + 1 }; /* "sha256 ", digits, newline */
    uint8_t want[DIGEST], got[DIGEST];
    struct bytes in = text, value;
    *out = (struct node_state){0};
    if (text.len > NODE_STATE_MAX || text.len < sizeof title - 1 + LAST_LINE ||
        memcmp(text.data, title, sizeof title - 1) != 0)
        return RC_BAD_MESSAGE;
    struct bytes last = bytes_of(text.data + text.len - LAST_LINE, LAST_LINE);
    TRY(next_line(&last, "sha256", &value));
    if (last.len || hex_parse_exact(value, want, sizeof want) != RC_OK)
        return RC_BAD_MESSAGE;
    TRY(digest_of(bytes_of(text.data, text.len - LAST_LINE), got));
    if (memcmp(want, got, sizeof got) != 0)
        return RC_INTEGRITY;

    in = bytes_of(text.data + sizeof title - 1, text.len - (sizeof title - 1) - LAST_LINE);
    TRY(next_line(&in, "node", &value));
    if (uid_parse(value, &out->node) != RC_OK)
        return RC_BAD_MESSAGE;
    TRY(read_name(&in, "srk", &out->srk));
    TRY(read_name(&in, "ak", &out->ak));
    TRY(read_name(&in, "cr", &out->cr));
    TRY(read_name(&in, "auth", &out->auth));
    TRY(read_u32(&in, "nv-policy", &out->nv_policy));
    TRY(read_u32(&in, "nv-checkpoint", &out->nv_checkpoint));
    TRY(read_bool(&in, "self-approved", &out->self_approved));
    TRY(read_bool(&in, "software-tpm", &out->software_tpm));
    return in.len == 0 ? RC_OK : RC_BAD_MESSAGE;
}
