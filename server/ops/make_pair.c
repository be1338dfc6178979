/*
 * Create Key Pair: two new objects of one vault call, each linked to the other. What is common to
 * both comes from the common attributes, what is one half's own from that half's, which prevail.
 * KMIP 1.4, 4.2; KMIP 2.1, 6.1.9.
 */
#include "server/ops/making.h"

enum { RSA_DEFAULT_BITS = 3072, EC_DEFAULT_BITS = 256 }; /* both of 128 bits' strength */

/* Between prepare, perform and complete. */
struct pairing {
    struct making *private_key, *public_key;
};

/* ---- attributes ----------------------------------------------------------------------------- */

static bool same_attribute(const struct kmip_attribute *a, const struct kmip_attribute *b)
{
    return a->tag == b->tag && bytes_equal(a->vendor, b->vendor) && bytes_equal(a->name, b->name);
}

static bool is_single(uint32_t tag)
{
    const struct kmip_attr_info *info = kmip_attr_info(tag);
    return info && !(info->flags & ATTR_MULTI);
}

/* Whether the half's own attributes leave no room for a common one: its single value is another's,
 * or the same instance is there already. */
static bool is_covered(const struct kmip_attributes *own, const struct kmip_attribute *common)
{
    for (size_t i = 0; i < own->count; i++)
        if (same_attribute(&own->items[i], common) &&
            (is_single(common->tag) || node_equal(own->items[i].value, common->value)))
            return true;
    return false;
}

/* The half's own attributes, and of the common ones what they leave. */
static rc_t merge(struct arena *a, const struct kmip_attributes *own,
                  const struct kmip_attributes *common, struct kmip_attributes *out)
{
    *out = (struct kmip_attributes){.present = true,
                                    .template_count = own->template_count + common->template_count};
    for (size_t i = 0; i < own->count; i++)
        TRY(kmip_attributes_add_item(a, out, &own->items[i]));
    for (size_t i = 0; i < common->count; i++)
        if (!is_covered(own, &common->items[i]))
            TRY(kmip_attributes_add_item(a, out, &common->items[i]));
    return RC_OK;
}

/* What must be the same of both halves (KMIP 2.1, table 191): said of one of them it holds for the
 * other. */
static rc_t share_number(uint32_t *a, uint32_t *b)
{
    if (!*a)
        *a = *b;
    if (!*b)
        *b = *a;
    return *a == *b ? RC_OK : RC_ATTR_VALUE;
}

static rc_t share_missing(struct arena *a, uint32_t tag, const struct kmip_attributes *from,
                          struct kmip_attributes *to)
{
    if (kmip_attributes_find(to, tag, 0))
        return RC_OK;
    const struct kmip_attribute *at;
    for (size_t n = 0; (at = kmip_attributes_find(from, tag, n)) != NULL; n++)
        TRY(kmip_attributes_add_item(a, to, at));
    return RC_OK;
}

static rc_t share_values(struct arena *a, uint32_t tag, struct kmip_attributes *one,
                         struct kmip_attributes *other)
{
    TRY(share_missing(a, tag, one, other));
    TRY(share_missing(a, tag, other, one));
    size_t count = kmip_attributes_count(one, tag);
    if (count != kmip_attributes_count(other, tag))
        return RC_ATTR_VALUE;
    for (size_t n = 0; n < count; n++) {
        const struct node *value = kmip_attributes_find(one, tag, n)->value;
        bool found = false;
        for (size_t k = 0; k < count && !found; k++)
            found = node_equal(value, kmip_attributes_find(other, tag, k)->value);
        if (!found)
            return RC_ATTR_VALUE;
    }
    return RC_OK;
}

static rc_t share(struct arena *a, struct making *one, struct making *other)
{
    TRY(share_number(&one->object.control.algorithm, &other->object.control.algorithm));
    TRY(share_number(&one->object.control.length, &other->object.control.length));
    TRY(share_values(a, KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS, &one->rest, &other->rest));
    return share_values(a, KMIP_TAG_CRYPTOGRAPHIC_PARAMETERS, &one->rest, &other->rest);
}

/* ---- which key ------------------------------------------------------------------------------ */

static const struct {
    uint32_t curve, bits;
} curves[] = {
    {KMIP_CURVE_P_224, 224},
    {KMIP_CURVE_P_256, 256},
    {KMIP_CURVE_P_384, 384},
    {KMIP_CURVE_P_521, 521},
};

static uint32_t curve_of_bits(uint32_t bits)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (curves[i].bits == bits)
            return curves[i].curve;
    return 0;
}

static uint32_t bits_of_curve(uint32_t curve)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (curves[i].curve == curve)
            return curves[i].bits;
    return 0;
}

static rc_t set_curve(struct arena *a, struct making *m, uint32_t curve)
{
    struct node *n = node_structure(a, KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS);
    if (!n)
        return RC_NO_MEMORY;
    TRY(node_append(n, node_enum(a, KMIP_TAG_RECOMMENDED_CURVE, curve)));
    return attrs_set(a, &m->rest, n);
}

/* Curve and length say the same; either may be left out. */
static rc_t choose_curve(struct arena *a, struct pairing *p, const struct node *domain)
{
    struct control *c = &p->private_key->object.control;
    const struct node *named = node_child(domain, KMIP_TAG_RECOMMENDED_CURVE);
    if (node_child(domain, KMIP_TAG_QLENGTH))
        return RC_ATTR_VALUE; /* of DSA and DH */
    if (!named && !c->length)
        c->length = EC_DEFAULT_BITS;
    uint32_t curve = named ? named->enumeration : curve_of_bits(c->length);
    uint32_t bits = bits_of_curve(curve);
    if (!bits)
        return RC_FEATURE;
    if (c->length && c->length != bits)
        return RC_ATTR_VALUE;
    c->length = bits;
    TRY(set_curve(a, p->private_key, curve));
    return set_curve(a, p->public_key, curve);
}

/* Which lengths of RSA are made is a setting of the vault's. */
static rc_t choose_key(struct arena *a, struct pairing *p)
{
    struct control *c = &p->private_key->object.control;
    const struct kmip_attribute *domain = kmip_attributes_find(
        &p->private_key->rest, KMIP_TAG_CRYPTOGRAPHIC_DOMAIN_PARAMETERS, 0);
    switch (c->algorithm) {
    case 0:
        return RC_MISSING_DATA;
    case KMIP_ALGORITHM_RSA:
        if (domain)
            return RC_ATTR_VALUE; /* there are none of RSA */
        if (!c->length)
            c->length = RSA_DEFAULT_BITS;
        break;
    case KMIP_ALGORITHM_EC:
    case KMIP_ALGORITHM_ECDSA:
    case KMIP_ALGORITHM_ECDH:
    case KMIP_ALGORITHM_ECMQV:
        TRY(choose_curve(a, p, domain ? domain->value : NULL));
        break;
    default:
        return RC_FEATURE;
    }
    p->public_key->object.control.length = c->length;
    return RC_OK;
}

/*
 * The format that is stored, where the client names none: KMIP 2.1, 4.26, has one for each kind of
 * key; 1.x leaves it open (1.4, 3.17), and its clients know the elliptic curve formats in ASN.1 best.
 */
static uint32_t preset_format(const struct op_item *it, const struct control *c)
{
    if (c->algorithm == KMIP_ALGORITHM_RSA || it->version >= V2_0)
        return 0; /* the vault's default is that of 2.1 */
    return c->object_type == KMIP_OBJECT_PRIVATE_KEY ? KMIP_FORMAT_ECPRIVATEKEY : KMIP_FORMAT_X_509;
}

/* ---- the operation -------------------------------------------------------------------------- */

static rc_t check_storage(const struct kmip_create_key_pair_request *in)
{
    bool common = making_storage_fits(in->common_masks);
    if (!common || !making_storage_fits(in->private_masks))
        return RC_STORAGE_PRIVATE;
    return making_storage_fits(in->public_masks) ? RC_OK : RC_STORAGE_PUBLIC;
}

static rc_t begin_half(struct op_item *it, uint32_t type, const struct kmip_attributes *own,
                       struct making **out)
{
    const struct kmip_create_key_pair_request *in = it->request;
    struct kmip_attributes given;
    TRY(merge(it->arena, own, &in->common, &given));
    TRY(making_begin(it, type, out));
    return attrs_take(it->arena, it->version, ATTRS_CREATE, &it->limits->attrs, &given,
                      &(*out)->object, &(*out)->rest);
}

static rc_t link_to(struct op_item *it, struct making *m, uint32_t type, const struct making *other)
{
    struct arena *a = it->arena;
    struct kmip_uid id = op_uid_out(a, &other->object.control.uid);
    struct node *n = node_structure(a, KMIP_TAG_LINK);
    if (!n || !id.text.data)
        return RC_NO_MEMORY;
    TRY(node_append(n, node_enum(a, KMIP_TAG_LINK_TYPE, type)));
    TRY(node_append(n, node_text(a, KMIP_TAG_LINKED_OBJECT_IDENTIFIER, id.text)));
    return kmip_attributes_add(a, &m->rest, n);
}

static rc_t finish_half(struct op_item *it, struct making *m)
{
    if (!m->object.key_format)
        m->object.key_format = preset_format(it, &m->object.control);
    TRY(making_made_here(it, m));
    return making_server_attributes(it, m);
}

rc_t create_pair_prepare(struct op_item *it)
{
    const struct kmip_create_key_pair_request *in = it->request;
    struct pairing *p = ARENA_NEW(it->arena, struct pairing);
    if (!p)
        return RC_NO_MEMORY;
    TRY(check_storage(in));
    TRY(begin_half(it, KMIP_OBJECT_PUBLIC_KEY, &in->public_key, &p->public_key));
    TRY(begin_half(it, KMIP_OBJECT_PRIVATE_KEY, &in->private_key, &p->private_key));
    it->own = p;
    TRY(share(it->arena, p->private_key, p->public_key));
    TRY(choose_key(it->arena, p));
    TRY(link_to(it, p->private_key, KMIP_LINK_PUBLIC_KEY_LINK, p->public_key));
    TRY(link_to(it, p->public_key, KMIP_LINK_PRIVATE_KEY_LINK, p->private_key));
    TRY(finish_half(it, p->private_key));
    return finish_half(it, p->public_key);
}

rc_t create_pair_perform(struct op_item *it)
{
    const struct pairing *p = it->own;
    it->calls[it->call_count++] = (struct vault_call){
        .op = VAULT_GENERATE_PAIR,
        .domain = p->private_key->object.control.domain,
        .control = p->private_key->object.control,
        .control_public = p->public_key->object.control,
        .key_format = p->private_key->object.key_format,
        .key_format_public = p->public_key->object.key_format,
    };
    return RC_OK;
}

rc_t create_pair_complete(struct op_item *it)
{
    const struct pairing *p = it->own;
    const struct vault_reply *r = &it->replies[0];
    const struct vault_half *h = &r->half;
    const struct making_sealed private = {r->mac,      r->digest,     r->other_digest,
                                          r->envelope, r->key_format, r->other_format};
    const struct making_sealed public = {h->mac,      h->digest,     h->other_digest,
                                         h->envelope, h->key_format, h->other_format};
    p->private_key->object.key_format = r->key_format;
    p->public_key->object.key_format = h->key_format;
    TRY(making_finish(it, p->private_key, &private));
    TRY(making_finish(it, p->public_key, &public));
    it->id_effect = ID_SET;
    it->result_id = p->private_key->object.control.uid;
    it->second_id = p->public_key->object.control.uid;
    struct kmip_key_pair_response *out = op_respond(it);
    if (!out)
        return RC_NO_MEMORY;
    out->private_key_unique_identifier = op_uid_out(it->arena, &it->result_id);
    out->public_key_unique_identifier = op_uid_out(it->arena, &it->second_id);
    return out->private_key_unique_identifier.text.data &&
                   out->public_key_unique_identifier.text.data
               ? RC_OK
               : RC_NO_MEMORY;
}
