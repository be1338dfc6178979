/*
 * Control MAC and material envelope; see envelope.h and FORMATS.md. The reader builds the header
 * that it expects from the verified control record; the row's own header is only compared with it,
 * so nothing that decides is ever taken from the row.
 */
#include "server/vault/envelope.h"

#include "proto/base/wipe.h"
#include "server/base/secret.h"

static const uint8_t magic[4] = {'H', 'F', 'M', '1'};
static const char control_label[] =
    "holdfast control 1"; /* with its NUL: no other label begins so */

enum { KIND_MATERIAL = 1 };
enum { AT_KEY_FORMAT = 16, AT_DK_EPOCH = 48, AT_EP_EPOCH = 52 };
enum { TAG_BYTES = CONTROL_MAC_BYTES - BINDING_BYTES };

rc_t binding_new(struct binding *out)
{
    return crypto_random_public(out->raw, sizeof out->raw);
}

rc_t control_sign(struct crypto_mac *key, const struct control *control,
                  const struct binding *binding, uint8_t mac_out[CONTROL_MAC_BYTES])
{
    uint8_t record[CONTROL_BYTES], mac[CRYPTO_HASH_BYTES];
    control_encode(control, record);
    const struct bytes parts[] = {
        bytes_of(control_label, sizeof control_label),
        bytes_of(binding->raw, sizeof binding->raw),
        bytes_of(record, sizeof record),
    };
    TRY(crypto_mac(key, parts, 3, mac));
    memcpy(mac_out, binding->raw, BINDING_BYTES);
    memcpy(mac_out + BINDING_BYTES, mac, TAG_BYTES);
    return RC_OK;
}

rc_t control_verify(struct crypto_mac *key, const struct control *control,
                    const uint8_t mac[CONTROL_MAC_BYTES], struct binding *binding_out)
{
    struct binding binding;
    uint8_t want[CONTROL_MAC_BYTES];
    memcpy(binding.raw, mac, sizeof binding.raw);
    TRY(control_sign(key, control, &binding, want));
    if (!bytes_equal_ct(bytes_of(want, sizeof want), bytes_of(mac, CONTROL_MAC_BYTES)))
        return RC_INTEGRITY;
    *binding_out = binding;
    return RC_OK;
}

static void header_write(uint8_t h[ENVELOPE_HEADER_BYTES], const struct domain_key *dk,
                         const struct control *c, const struct binding *binding,
                         uint32_t key_format)
{
    memcpy(h, magic, sizeof magic);
    h[4] = KIND_MATERIAL;
    h[5] = (uint8_t)c->protection;
    store_be16(h + 6, ENVELOPE_HEADER_BYTES);
    store_be32(h + 8, c->algorithm);
    store_be32(h + 12, c->length);
    store_be32(h + AT_KEY_FORMAT, key_format);
    memcpy(h + 20, c->uid.raw, sizeof c->uid.raw);
    store_be32(h + 36, c->object_type);
    store_be64(h + 40, c->domain);
    store_be32(h + AT_DK_EPOCH, dk->epoch);
    store_be32(h + AT_EP_EPOCH, dk->ep_epoch);
    memcpy(h + 56, binding->raw, sizeof binding->raw);
}

rc_t envelope_seal(struct crypto *c, const struct domain_key *dk, const struct control *control,
                   const struct binding *binding, uint32_t key_format, struct bytes plain,
                   struct buf *out)
{
    if (dk->domain != control->domain)
        return RC_INTERNAL;
    uint8_t head[ENVELOPE_HEADER_BYTES + CRYPTO_NONCE_BYTES], key[CRYPTO_KEY_BYTES];
    header_write(head, dk, control, binding, key_format);
    TRY(crypto_random_public(head + ENVELOPE_HEADER_BYTES, CRYPTO_NONCE_BYTES));
    TRY(buf_reserve(out, ENVELOPE_OVERHEAD + plain.len));
    const struct bytes header = bytes_of(head, ENVELOPE_HEADER_BYTES);
    rc_t rc = crypto_hkdf_expand(dk->prk, header, key, sizeof key);
    if (rc == RC_OK)
        rc = crypto_gcm_seal(c, key, head + ENVELOPE_HEADER_BYTES, header, plain,
                             out->data + out->len + sizeof head);
    wipe(key, sizeof key);
    if (rc != RC_OK)
        return rc;
    memcpy(out->data + out->len, head, sizeof head);
    out->len += ENVELOPE_OVERHEAD + plain.len;
    return RC_OK;
}

rc_t envelope_epoch(struct bytes envelope, uint32_t *dk_epoch_out)
{
    if (envelope.len < ENVELOPE_OVERHEAD || memcmp(envelope.data, magic, sizeof magic) != 0)
        return RC_INTEGRITY;
    *dk_epoch_out = load_be32(envelope.data + AT_DK_EPOCH);
    return RC_OK;
}

rc_t envelope_open(struct crypto *c, const struct domain_key *dk, const struct control *control,
                   const struct binding *binding, struct bytes envelope, uint32_t *key_format_out,
                   struct buf *out)
{
    if (envelope.len < ENVELOPE_OVERHEAD || dk->domain != control->domain)
        return RC_INTEGRITY;
    uint8_t want[ENVELOPE_HEADER_BYTES], key[CRYPTO_KEY_BYTES];
    uint32_t key_format = load_be32(envelope.data + AT_KEY_FORMAT);
    header_write(want, dk, control, binding, key_format);
    const struct bytes header = bytes_of(want, sizeof want);
    bool same = bytes_equal_ct(header, bytes_of(envelope.data, sizeof want));
    const uint8_t *nonce = envelope.data + ENVELOPE_HEADER_BYTES;
    const struct bytes sealed = bytes_of(nonce + CRYPTO_NONCE_BYTES,
                                         envelope.len - ENVELOPE_HEADER_BYTES - CRYPTO_NONCE_BYTES);
    size_t len = envelope.len - ENVELOPE_OVERHEAD;
    TRY(buf_reserve(out, len + 1));
    rc_t rc = crypto_hkdf_expand(dk->prk, header, key, sizeof key);
    if (rc == RC_OK)
        rc = crypto_gcm_open(c, key, nonce, header, sealed, out->data + out->len);
    wipe(key, sizeof key);
    if (rc == RC_OK && !same) {
        wipe(out->data + out->len, len);
        rc = RC_INTEGRITY;
    }
    if (rc != RC_OK)
        return rc;
    out->len += len;
    *key_format_out = key_format;
    return RC_OK;
}
