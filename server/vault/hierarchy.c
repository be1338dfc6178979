/*
 * The byte form of the hierarchy's rows: magic, five counts, then the rows in table order, integers
 * big-endian, byte fields with a 32-bit length. One description of each row serves both directions.
 */
#include "server/vault/hierarchy.h"

static const uint8_t magic[8] = {'H', 'F', 'R', 'O', 'W', 'S', '0', '1'};

/* A codec that either writes to `out` or reads from `in`. */
struct codec {
    struct buf *out;
    struct bytes in;
    rc_t rc;
};

static struct bytes take(struct codec *c, size_t len)
{
    if (c->rc == RC_OK && c->in.len < len)
        c->rc = RC_BAD_MESSAGE;
    if (c->rc != RC_OK)
        return BYTES_NONE;
    struct bytes got = bytes_of(c->in.data, len);
    c->in = bytes_of(c->in.data + len, c->in.len - len);
    return got;
}

static void code_u32(struct codec *c, uint32_t *v)
{
    if (c->rc != RC_OK)
        return;
    if (c->out) {
        c->rc = buf_add_be32(c->out, *v);
        return;
    }
    struct bytes b = take(c, 4);
    if (b.data)
        *v = load_be32(b.data);
}

static void code_u64(struct codec *c, uint64_t *v)
{
    if (c->rc != RC_OK)
        return;
    if (c->out) {
        c->rc = buf_add_be64(c->out, *v);
        return;
    }
    struct bytes b = take(c, 8);
    if (b.data)
        *v = load_be64(b.data);
}

static void code_uid(struct codec *c, struct uid *u)
{
    if (c->rc != RC_OK)
        return;
    if (c->out) {
        c->rc = buf_add(c->out, u->raw, sizeof u->raw);
        return;
    }
    struct bytes b = take(c, sizeof u->raw);
    if (b.data)
        memcpy(u->raw, b.data, sizeof u->raw);
}

static void code_bytes(struct codec *c, struct bytes *field)
{
    uint32_t len = (uint32_t)field->len;
    if (c->out && field->len > HIERARCHY_FIELD_MAX)
        c->rc = RC_TOO_LARGE;
    code_u32(c, &len);
    if (c->rc != RC_OK)
        return;
    if (len > HIERARCHY_FIELD_MAX)
        c->rc = RC_TOO_LARGE;
    else if (c->out)
        c->rc = buf_add_bytes(c->out, *field);
    else
        *field = take(c, len);
}

static void code_state(struct codec *c, uint32_t *state)
{
    code_u32(c, state);
    if (c->rc == RC_OK && (*state < HIERARCHY_ACTIVE || *state > HIERARCHY_STAGED))
        c->rc = RC_BAD_MESSAGE;
}

static void code_node(struct codec *c, void *row)
{
    struct hierarchy_node *n = row;
    code_uid(c, &n->id);
    code_bytes(c, &n->ek_cert);
    code_bytes(c, &n->ak_pub);
    code_bytes(c, &n->srk_pub);
    code_u32(c, &n->cr_id);
    code_bytes(c, &n->cr_priv);
    code_u32(c, &n->pcr_mask);
    code_u64(c, &n->approval);
    code_bytes(c, &n->use_policy);
    code_bytes(c, &n->use_sig);
    code_bytes(c, &n->nv_auth);
}

static void code_cr(struct codec *c, void *row)
{
    struct hierarchy_cr *r = row;
    code_u32(c, &r->id);
    code_state(c, &r->state);
    code_bytes(c, &r->pub);
    code_bytes(c, &r->auth_pub);
    code_bytes(c, &r->escrow_digest);
    code_bytes(c, &r->escrow_proof);
}

static void code_cs(struct codec *c, void *row)
{
    struct hierarchy_cs *r = row;
    code_u32(c, &r->cr_id);
    code_bytes(c, &r->pub);
    code_bytes(c, &r->priv);
}

static void code_ep(struct codec *c, void *row)
{
    struct hierarchy_ep *r = row;
    code_u32(c, &r->epoch);
    code_u32(c, &r->cr_id);
    code_state(c, &r->state);
    code_bytes(c, &r->pub);
    code_bytes(c, &r->priv);
    code_bytes(c, &r->mac);
}

static void code_dk(struct codec *c, void *row)
{
    struct hierarchy_dk *r = row;
    code_u64(c, &r->domain);
    code_u32(c, &r->epoch);
    code_u32(c, &r->ep_epoch);
    code_state(c, &r->state);
    code_bytes(c, &r->pub);
    code_bytes(c, &r->priv);
    code_bytes(c, &r->mac);
}

/* One table: where it lies in struct hierarchy, how a row is coded, the fewest bytes a row takes.
 */
struct table {
    void (*row)(struct codec *c, void *row);
    size_t size, least;
};

enum { TABLES = 5 };

static const struct table tables[TABLES] = {
    {code_node, sizeof(struct hierarchy_node), 60}, {code_cr, sizeof(struct hierarchy_cr), 24},
    {code_cs, sizeof(struct hierarchy_cs), 12},     {code_ep, sizeof(struct hierarchy_ep), 24},
    {code_dk, sizeof(struct hierarchy_dk), 32},
};

rc_t hierarchy_encode(const struct hierarchy *h, struct buf *out)
{
    const size_t counts[TABLES] = {h->node_count, h->cr_count, h->cs_count, h->ep_count,
                                   h->dk_count};
    void *rows[TABLES] = {h->nodes, h->crs, h->css, h->eps, h->dks};
    struct codec c = {.out = out};
    size_t start = out->len;
    TRY(buf_add(out, magic, sizeof magic));
    for (size_t i = 0; i < TABLES; i++) {
        if (counts[i] > HIERARCHY_ROWS_MAX)
            return RC_TOO_LARGE;
        TRY(buf_add_be32(out, (uint32_t)counts[i]));
    }
    for (size_t i = 0; i < TABLES; i++)
        for (size_t r = 0; r < counts[i] && c.rc == RC_OK; r++)
            tables[i].row(&c, (uint8_t *)rows[i] + r * tables[i].size);
    TRY(c.rc);
    return out->len - start <= HIERARCHY_BYTES_MAX ? RC_OK : RC_TOO_LARGE;
}

rc_t hierarchy_decode(struct bytes in, struct arena *arena, struct hierarchy *out)
{
    struct codec c = {.in = in};
    uint32_t counts[TABLES] = {0};
    void *rows[TABLES] = {NULL};
    size_t least = 0;
    *out = (struct hierarchy){0};
    if (in.len > HIERARCHY_BYTES_MAX)
        return RC_TOO_LARGE;
    struct bytes head = take(&c, sizeof magic);
    if (!head.data || memcmp(head.data, magic, sizeof magic) != 0)
        return RC_BAD_MESSAGE;
    for (size_t i = 0; i < TABLES; i++) {
        code_u32(&c, &counts[i]);
        if (c.rc == RC_OK && counts[i] > HIERARCHY_ROWS_MAX)
            return RC_TOO_LARGE;
        least += counts[i] * tables[i].least;
    }
    TRY(c.rc);
    if (c.in.len < least) /* so memory follows bytes received, not rows promised */
        return RC_BAD_MESSAGE;
    for (size_t i = 0; i < TABLES; i++) {
        if (counts[i] && !(rows[i] = arena_array(arena, counts[i], tables[i].size)))
            return RC_NO_MEMORY;
        for (size_t r = 0; r < counts[i] && c.rc == RC_OK; r++)
            tables[i].row(&c, (uint8_t *)rows[i] + r * tables[i].size);
    }
    TRY(c.rc);
    if (c.in.len)
        return RC_BAD_MESSAGE;
    *out = (struct hierarchy){
        .node_count = counts[0],
        .cr_count = counts[1],
        .cs_count = counts[2],
        .ep_count = counts[3],
        .dk_count = counts[4],
        .nodes = rows[0],
        .crs = rows[1],
        .css = rows[2],
        .eps = rows[3],
        .dks = rows[4],
    };
    return RC_OK;
}

const struct hierarchy_node *hierarchy_find_node(const struct hierarchy *h, const struct uid *id)
{
    for (size_t i = 0; i < h->node_count; i++)
        if (uid_equal(&h->nodes[i].id, id))
            return &h->nodes[i];
    return NULL;
}

const struct hierarchy_cr *hierarchy_find_cr(const struct hierarchy *h, uint32_t id)
{
    for (size_t i = 0; i < h->cr_count; i++)
        if (h->crs[i].id == id)
            return &h->crs[i];
    return NULL;
}

const struct hierarchy_cs *hierarchy_find_cs(const struct hierarchy *h, uint32_t cr_id)
{
    for (size_t i = 0; i < h->cs_count; i++)
        if (h->css[i].cr_id == cr_id)
            return &h->css[i];
    return NULL;
}

const struct hierarchy_ep *hierarchy_find_ep(const struct hierarchy *h, uint32_t epoch)
{
    for (size_t i = 0; i < h->ep_count; i++)
        if (h->eps[i].epoch == epoch)
            return &h->eps[i];
    return NULL;
}

const struct hierarchy_dk *hierarchy_find_dk(const struct hierarchy *h, uint64_t domain,
                                             uint32_t epoch)
{
    for (size_t i = 0; i < h->dk_count; i++)
        if (h->dks[i].domain == domain && h->dks[i].epoch == epoch)
            return &h->dks[i];
    return NULL;
}
