/*
 * Whether the numbers of a key hold together, and the numbers of an RSA private key that was given
 * without some of them; see asym.h. Nothing here is decided by more than "all agree": the one
 * result of any disagreement is RC_INVALID_FIELD.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>

#include "proto/kmip/tables.h"
#include "server/vault/crypto/asym_int.h"

enum { FACTOR_TRIES = 40 }; /* each finds the primes with a chance of one half or more */

static BIGNUM *less_one(const BIGNUM *n, BN_CTX *bn)
{
    BIGNUM *out = BN_CTX_get(bn);
    return out && BN_copy(out, n) && BN_sub_word(out, 1) == 1 ? out : NULL;
}

static BIGNUM *product(const BIGNUM *a, const BIGNUM *b, BN_CTX *bn)
{
    BIGNUM *out = BN_CTX_get(bn);
    return out && BN_mul(out, a, b, bn) == 1 ? out : NULL;
}

static BIGNUM *rest(const BIGNUM *a, const BIGNUM *m, BN_CTX *bn)
{
    BIGNUM *out = BN_CTX_get(bn);
    return out && BN_nnmod(out, a, m, bn) == 1 ? out : NULL;
}

static BIGNUM *inverse(const BIGNUM *a, const BIGNUM *m, BN_CTX *bn)
{
    BIGNUM *secret = BN_CTX_get(bn), *out = BN_CTX_get(bn);
    if (!secret || !out || !BN_copy(secret, a))
        return NULL;
    BN_set_flags(secret, BN_FLG_CONSTTIME);
    return BN_mod_inverse(out, secret, m, bn);
}

/* a^x mod m, with x kept secret. m must be odd. */
static BIGNUM *power(const BIGNUM *a, const BIGNUM *x, const BIGNUM *m, BN_CTX *bn)
{
    BIGNUM *secret = BN_CTX_get(bn), *out = BN_CTX_get(bn);
    if (!secret || !out || !BN_copy(secret, x))
        return NULL;
    BN_set_flags(secret, BN_FLG_CONSTTIME);
    return BN_mod_exp(out, a, secret, m, bn) == 1 ? out : NULL;
}

/* The least common multiple of p-1 and q-1. */
static BIGNUM *carmichael(const struct rsa_numbers *r, BN_CTX *bn)
{
    BIGNUM *p1 = less_one(r->p, bn), *q1 = less_one(r->q, bn);
    BIGNUM *gcd = BN_CTX_get(bn), *out = BN_CTX_get(bn);
    if (!p1 || !q1 || !gcd || !out || BN_gcd(gcd, p1, q1, bn) != 1)
        return NULL;
    BIGNUM *both = product(p1, q1, bn);
    return both && BN_div(out, NULL, both, gcd, bn) == 1 ? out : NULL;
}

/* ---- an RSA key with parts missing ---------------------------------------------------------- */

static bool usable_modulus(const BIGNUM *n)
{
    return n && BN_is_odd(n) && BN_num_bits(n) >= ASYM_BITS_LEAST &&
           BN_num_bits(n) <= ASYM_BITS_MOST;
}

static bool usable_exponent(const BIGNUM *e)
{
    return e && BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= ASYM_EXPONENT_BITS_MOST;
}

/* With p, q is n divided by it, and the other way round. */
static rc_t other_prime(const BIGNUM *n, const BIGNUM *one, BN_CTX *bn, BIGNUM **other)
{
    BIGNUM *left = BN_CTX_get(bn);
    *other = BN_CTX_get(bn);
    if (!left || !*other || BN_is_zero(one))
        return RC_INVALID_FIELD;
    if (BN_div(*other, left, n, one, bn) != 1)
        return RC_CRYPTO;
    return BN_is_zero(left) ? RC_OK : RC_INVALID_FIELD;
}

/* Whether gcd(candidate, n) is a true factor; then it goes to *factor. */
static bool splits(const BIGNUM *candidate, const BIGNUM *n, BIGNUM *factor, BN_CTX *bn)
{
    return BN_gcd(factor, candidate, n, bn) == 1 && !BN_is_one(factor) && BN_cmp(factor, n) != 0;
}

/* One try of split_with(): g to the odd part of k, and its squares. */
static bool split_once(const BIGNUM *odd, int twos, const BIGNUM *n, BIGNUM *factor, BN_CTX *bn)
{
    BIGNUM *g = BN_CTX_get(bn), *y = BN_CTX_get(bn);
    if (!g || !y || BN_priv_rand_range(g, n) != 1)
        return false;
    BIGNUM *x = power(g, odd, n, bn);
    for (int i = 0; x && i <= twos; i++) {
        if (!BN_copy(y, x) || BN_sub_word(y, 1) != 1)
            return false;
        if (!BN_is_zero(y) && splits(y, n, factor, bn))
            return true;
        if (BN_mod_sqr(x, x, n, bn) != 1)
            return false;
    }
    return false;
}

/*
 * A multiple k of p-1 gives the primes away (NIST SP 800-56B, appendix C): a random g to the odd
 * part of k, squared again and again, becomes 1 modulo p before it does modulo q, or the other way
 * round, for one g in two. NULL: it does not, so k was none.
 */
static BIGNUM *split_with(const BIGNUM *k, const BIGNUM *n, BN_CTX *bn)
{
    BIGNUM *odd = BN_CTX_get(bn), *factor = BN_CTX_get(bn);
    int twos = 0;
    if (!odd || !factor || BN_is_zero(k))
        return NULL;
    while (!BN_is_bit_set(k, twos))
        twos++;
    bool found = false;
    for (int tries = 0; BN_rshift(odd, k, twos) == 1 && tries < FACTOR_TRIES && !found; tries++) {
        BN_CTX_start(bn);
        found = split_once(odd, twos, n, factor, bn);
        BN_CTX_end(bn);
    }
    return found ? factor : NULL;
}

/* The usual public exponents, for a key that came without its own. */
static bool guess_exponent(struct rsa_numbers *r, BN_CTX *bn)
{
    static const BN_ULONG usual[] = {65537, 3, 17, 257, 5, 7};
    BIGNUM *two = BN_CTX_get(bn), *e = BN_CTX_get(bn);
    if (!two || !e || BN_set_word(two, 2) != 1)
        return false;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        if (BN_set_word(e, usual[i]) != 1)
            return false;
        BIGNUM *there = power(two, e, r->n, bn);
        BIGNUM *back = there ? power(there, r->d, r->n, bn) : NULL;
        if (!back)
            return false;
        if (BN_cmp(back, two) == 0) {
            r->e = e;
            return true;
        }
    }
    return false;
}

/* Whether a * b leaves 1 modulo m. */
static bool undo_each_other(const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *bn)
{
    BIGNUM *both = product(a, b, bn), *left = both ? rest(both, m, bn) : NULL;
    return left && BN_is_one(left);
}

/* Whether p and q are in the order in which what was given speaks of them. */
static bool in_order(const struct rsa_numbers *r, BN_CTX *bn)
{
    BIGNUM *p1 = less_one(r->p, bn), *q1 = less_one(r->q, bn);
    if (!r->dp && !r->dq && !r->qinv)
        return BN_cmp(r->p, r->q) > 0; /* as everybody writes them */
    return p1 && q1 && (!r->dp || undo_each_other(r->e, r->dp, p1, bn)) &&
           (!r->dq || undo_each_other(r->e, r->dq, q1, bn)) &&
           (!r->qinv || undo_each_other(r->q, r->qinv, r->p, bn));
}

/* The primes from n and the exponents. */
static rc_t find_primes(struct rsa_numbers *r, BN_CTX *bn)
{
    const BIGNUM *secret = r->d ? r->d : r->dp ? r->dp : r->dq;
    if (!secret || BN_num_bits(secret) > BN_num_bits(r->n))
        return RC_INVALID_FIELD;
    if (!r->e && (!r->d || !guess_exponent(r, bn)))
        return RC_INVALID_FIELD;
    if (!usable_exponent(r->e))
        return RC_INVALID_FIELD;
    BIGNUM *both = product(r->e, secret, bn);
    if (!both || BN_sub_word(both, 1) != 1)
        return RC_CRYPTO;
    r->p = split_with(both, r->n, bn);
    if (!r->p)
        return RC_INVALID_FIELD;
    TRY(other_prime(r->n, r->p, bn, &r->q));
    if (!in_order(r, bn)) {
        BIGNUM *p = r->p;
        r->p = r->q;
        r->q = p;
    }
    return RC_OK;
}

/* e from a secret exponent, once the primes are known. */
static rc_t find_exponent(struct rsa_numbers *r, BN_CTX *bn)
{
    const BIGNUM *secret = r->d ? r->d : r->dp ? r->dp : r->dq;
    const BIGNUM *order = r->d    ? carmichael(r, bn)
                          : r->dp ? less_one(r->p, bn)
                                  : less_one(r->q, bn);
    r->e = secret && order ? inverse(secret, order, bn) : NULL;
    return r->e ? RC_OK : RC_INVALID_FIELD;
}

rc_t rsa_complete(struct rsa_numbers *r, BN_CTX *bn)
{
    if (!usable_modulus(r->n))
        return RC_INVALID_FIELD;
    if (r->p && !r->q)
        TRY(other_prime(r->n, r->p, bn, &r->q));
    else if (r->q && !r->p)
        TRY(other_prime(r->n, r->q, bn, &r->p));
    else if (!r->p)
        TRY(find_primes(r, bn));
    if (BN_num_bits(r->p) < 2 || BN_num_bits(r->q) < 2)
        return RC_INVALID_FIELD;
    if (!r->e)
        TRY(find_exponent(r, bn));
    BIGNUM *p1 = less_one(r->p, bn), *q1 = less_one(r->q, bn), *all = carmichael(r, bn);
    if (!p1 || !q1 || !all)
        return RC_INVALID_FIELD;
    if (!r->d)
        r->d = inverse(r->e, all, bn);
    if (r->d && !r->dp)
        r->dp = rest(r->d, p1, bn);
    if (r->d && !r->dq)
        r->dq = rest(r->d, q1, bn);
    if (!r->qinv)
        r->qinv = inverse(r->q, r->p, bn);
    return r->d && r->dp && r->dq && r->qinv ? RC_OK : RC_INVALID_FIELD;
}

/* ---- checks --------------------------------------------------------------------------------- */

/* For one prime: the exponents agree, and what e does to a number, the secret exponent undoes. A p
 * that is no prime fails here but for numbers that nobody meets by chance. */
static bool half_agrees(const BIGNUM *p, const BIGNUM *dp, const struct rsa_numbers *r, BN_CTX *bn)
{
    BIGNUM *p1 = less_one(p, bn), *d = p1 ? rest(r->d, p1, bn) : NULL, *m = BN_CTX_get(bn);
    if (!d || !m || !BN_is_odd(p) || BN_is_one(p) || BN_cmp(d, dp) != 0 ||
        !undo_each_other(r->e, dp, p1, bn) || BN_priv_rand_range(m, p) != 1)
        return false;
    BIGNUM *there = BN_CTX_get(bn);
    if (!there || BN_mod_exp(there, m, r->e, p, bn) != 1)
        return false;
    BIGNUM *back = power(there, dp, p, bn);
    return back && BN_cmp(back, m) == 0;
}

rc_t rsa_check(const struct rsa_numbers *r, BN_CTX *bn)
{
    if (!usable_modulus(r->n) || !usable_exponent(r->e) || !r->d || !r->p || !r->q || !r->dp ||
        !r->dq || !r->qinv)
        return RC_INVALID_FIELD;
    if (BN_num_bits(r->d) > BN_num_bits(r->n) || BN_num_bits(r->p) > BN_num_bits(r->n) ||
        BN_num_bits(r->q) > BN_num_bits(r->n) || BN_cmp(r->p, r->q) == 0)
        return RC_INVALID_FIELD;
    BIGNUM *n = product(r->p, r->q, bn);
    bool agree = n && BN_cmp(n, r->n) == 0 && BN_cmp(r->qinv, r->p) < 0 &&
                 undo_each_other(r->q, r->qinv, r->p, bn) && half_agrees(r->p, r->dp, r, bn) &&
                 half_agrees(r->q, r->dq, r, bn);
    return agree ? RC_OK : RC_INVALID_FIELD;
}

static rc_t check_rsa(const struct asym *key, BN_CTX *bn)
{
    const EVP_PKEY *k = key->pkey;
    struct rsa_numbers r = {.n = asym_number(k, OSSL_PKEY_PARAM_RSA_N, bn),
                            .e = asym_number(k, OSSL_PKEY_PARAM_RSA_E, bn)};
    if (!key->facts.is_private)
        return usable_modulus(r.n) && usable_exponent(r.e) && BN_cmp(r.e, r.n) < 0
                   ? RC_OK
                   : RC_INVALID_FIELD;
    r.d = asym_number(k, OSSL_PKEY_PARAM_RSA_D, bn);
    r.p = asym_number(k, OSSL_PKEY_PARAM_RSA_FACTOR1, bn);
    r.q = asym_number(k, OSSL_PKEY_PARAM_RSA_FACTOR2, bn);
    r.dp = asym_number(k, OSSL_PKEY_PARAM_RSA_EXPONENT1, bn);
    r.dq = asym_number(k, OSSL_PKEY_PARAM_RSA_EXPONENT2, bn);
    r.qinv = asym_number(k, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, bn);
    return rsa_check(&r, bn);
}

/* 1 < n < p */
static bool inside(const BIGNUM *n, const BIGNUM *p)
{
    return n && !BN_is_zero(n) && !BN_is_one(n) && BN_cmp(n, p) < 0;
}

/* DSA and DH: g and y in the group of order q, where q is known, and y is what x gives. */
static rc_t check_field(const struct asym *key, BN_CTX *bn)
{
    const EVP_PKEY *k = key->pkey;
    BIGNUM *p = asym_number(k, OSSL_PKEY_PARAM_FFC_P, bn);
    BIGNUM *q = asym_number(k, OSSL_PKEY_PARAM_FFC_Q, bn);
    BIGNUM *g = asym_number(k, OSSL_PKEY_PARAM_FFC_G, bn);
    BIGNUM *y = asym_number(k, OSSL_PKEY_PARAM_PUB_KEY, bn);
    if (!p || !BN_is_odd(p) || !inside(g, p) || !inside(y, p))
        return RC_INVALID_FIELD;
    if (q) {
        BIGNUM *p1 = less_one(p, bn), *left = p1 && inside(q, p) ? rest(p1, q, bn) : NULL;
        BIGNUM *of_g = left && BN_is_zero(left) ? power(g, q, p, bn) : NULL;
        BIGNUM *of_y = of_g ? power(y, q, p, bn) : NULL;
        if (!of_y || !BN_is_one(of_g) || !BN_is_one(of_y))
            return RC_INVALID_FIELD;
    }
    if (!key->facts.is_private)
        return RC_OK;
    BIGNUM *x = asym_number(k, OSSL_PKEY_PARAM_PRIV_KEY, bn);
    if (!x || BN_is_zero(x) || BN_cmp(x, q ? q : p) >= 0)
        return RC_INVALID_FIELD;
    BIGNUM *made = power(g, x, p, bn);
    return made && BN_cmp(made, y) == 0 ? RC_OK : RC_INVALID_FIELD;
}

static rc_t check_ec(const struct asym *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool agree = ctx && EVP_PKEY_public_check(ctx) == 1;
    if (agree && key->facts.is_private)
        agree = EVP_PKEY_private_check(ctx) == 1 && EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return agree ? RC_OK : RC_INVALID_FIELD;
}

rc_t asym_check(const struct asym *key)
{
    BN_CTX *bn = BN_CTX_new();
    if (!bn)
        return RC_NO_MEMORY;
    BN_CTX_start(bn);
    rc_t rc;
    if (key->facts.algorithm == KMIP_ALGORITHM_RSA)
        rc = check_rsa(key, bn);
    else if (key->facts.algorithm == KMIP_ALGORITHM_EC)
        rc = check_ec(key);
    else
        rc = check_field(key, bn);
    BN_CTX_end(bn);
    BN_CTX_free(bn); /* wipes */
    return rc;
}
