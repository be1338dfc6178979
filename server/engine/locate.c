/*
 * Searches: which objects a client holds a permission on. What policy can permit is narrowed for the database, to those
 * of the client alone as a rule. Where all of that is permitted the database answers with one page. Else it lists
 * candidates in order, which are loaded a page at a time and decided on one by one; offset, maximum and total count
 * what was permitted. Memory is bounded by the answer, one list and one page, work by SEARCH_MOST candidates.
 */
#include "server/engine/request.h"

#include "server/policy/rules.h"

enum {
    SEARCH_PAGE = 256,       /* candidates that are loaded together; fewer where memory does not do */
    SEARCH_LIST = 8192,      /* that are listed together: the database may look at all that fit, to sort them */
    SEARCH_MOST = 64 * 1024, /* candidates of one search */
};

static void load_list(struct engine_request *rq);
static void load_page(struct engine_request *rq);

/* ---- candidate by candidate ----------------------------------------------------------------- */

static bool is_full(const struct search *s)
{
    return s->count == s->query.maximum && !s->query.want_total;
}

static size_t page_count(const struct search *s)
{
    return s->page < s->list_count ? s->page : s->list_count;
}

/* What was found as the database tells it: a total that is known by a walk to the end. */
static void end_search(struct engine_request *rq, bool whole)
{
    struct search *s = &rq->search;
    s->query.uids = s->uids;
    s->query.count = s->count;
    s->query.total = s->seen;
    s->query.want_total = whole;
    s->next(rq);
}

static void decide_page(struct engine_request *rq)
{
    struct search *s = &rq->search;
    for (size_t i = 0; i < rq->load.objects.count && !is_full(s); i++) {
        const struct object *o = rq->load.objects.found[i];
        if (!o || access_decide(rq, s->permission, o).verdict != VERDICT_ALLOWED)
            continue;
        s->seen++;
        if (s->seen > s->query.offset && s->count < s->query.maximum)
            s->uids[s->count++] = o->control.uid;
    }
}

/* On behind the candidates that were looked at, if there is more to look at. */
static void go_on(struct engine_request *rq)
{
    struct search *s = &rq->search;
    bool end = s->list_count == 0 && s->last_list;
    if (is_full(s) || end)
        end_search(rq, end && !is_full(s));
    else if (s->looked >= SEARCH_MOST)
        request_item_failed(rq, RC_SEARCH_LIMIT);
    else if (s->list_count)
        load_page(rq);
    else
        load_list(rq);
}

/* The page is done with. */
static void next_page(struct engine_request *rq)
{
    struct search *s = &rq->search;
    size_t done = page_count(s);
    s->looked += done;
    s->query.before = s->list[done - 1];
    s->list += done;
    s->list_count -= done;
    s->page = s->page * 2 < SEARCH_PAGE ? s->page * 2 : SEARCH_PAGE;
    arena_back(&rq->memory, s->before_page);
    go_on(rq);
}

static void after_candidates(struct engine_request *rq)
{
    decide_page(rq);
    next_page(rq);
}

/* Too much for our memory at once, or damaged: fewer together. One alone is passed over: it is not known to be
 * permitted. */
static void page_failed(struct engine_request *rq)
{
    struct search *s = &rq->search;
    size_t tried = page_count(s);
    if (tried == 1) {
        next_page(rq);
        return;
    }
    s->page = tried > 8 ? tried / 8 : 1;
    arena_back(&rq->memory, s->before_page);
    load_page(rq);
}

static void load_page(struct engine_request *rq)
{
    struct search *s = &rq->search;
    unsigned needs = policy_needs(&rq->who, s->permission, rq->now_us);
    rq->load = (struct db_load){.kind = DB_LOAD_OBJECTS};
    rq->load.objects = (struct db_objects){
        .uids = s->list,
        .count = page_count(s),
        .may_see = access_worth,
        .want = (needs & NEEDS_NAMES ? DB_WANT_NAMES : 0u) | (needs & NEEDS_ATTRIBUTES ? DB_WANT_ATTRIBUTES : 0u),
    };
    request_load(rq, after_candidates);
    rq->load_failed = page_failed;
}

static void after_list(struct engine_request *rq)
{
    struct search *s = &rq->search;
    s->list = rq->load.locate.uids;
    s->list_count = rq->load.locate.count;
    s->last_list = s->list_count < s->list_most;
    s->list_most = s->list_most * 4 < SEARCH_LIST ? s->list_most * 4 : SEARCH_LIST;
    s->before_page = arena_mark(&rq->memory);
    go_on(rq);
}

/* Short ones first: most who search want few. */
static void load_list(struct engine_request *rq)
{
    struct search *s = &rq->search;
    arena_back(&rq->memory, s->before_list);
    rq->load = (struct db_load){.kind = DB_LOAD_LOCATE};
    rq->load.locate = s->query;
    rq->load.locate.by_policy = true;
    rq->load.locate.offset = 0;
    rq->load.locate.maximum = s->list_most;
    rq->load.locate.want_total = false;
    request_load(rq, after_list);
}

static void look_at_each(struct engine_request *rq)
{
    struct search *s = &rq->search;
    if (s->query.maximum > SEARCH_MOST)
        s->query.maximum = SEARCH_MOST;
    s->uids = ARENA_ARRAY(&rq->memory, s->query.maximum, struct uid);
    if (!s->uids) {
        request_item_failed(rq, RC_NO_MEMORY);
        return;
    }
    s->count = 0;
    s->seen = s->looked = 0;
    s->page = s->list_most = SEARCH_PAGE;
    s->before_list = arena_mark(&rq->memory);
    load_list(rq);
}

/* ---- searches ------------------------------------------------------------------------------- */

static void after_search(struct engine_request *rq)
{
    struct search *s = &rq->search;
    if (rq->load.locate.others) {
        look_at_each(rq);
        return;
    }
    s->query = rq->load.locate;
    s->next(rq);
}

/* Whose objects can be meant. */
static rc_t narrow(struct engine_request *rq, bool own)
{
    struct search *s = &rq->search;
    struct policy_reach *reach = &s->reach;
    TRY(policy_reach(&rq->memory, &rq->who, s->permission, rq->now_us, reach));
    s->query.owner = rq->who.client;
    s->query.domain = rq->who.domain;
    if (own) {
        reach->certain = reach->certain_own;
        return RC_OK;
    }
    s->query.everyone = reach->everyone;
    s->query.mates = rq->who.policy ? rq->who.policy->mates : NULL;
    s->query.mate_count = reach->mates ? rq->who.policy->mate_count : 0;
    s->query.policies = reach->policies;
    s->query.policy_count = reach->everyone ? 0 : reach->policy_count;
    return RC_OK;
}

void locate_search(struct engine_request *rq, enum permission p, const struct db_locate *query, bool own,
                   void (*next)(struct engine_request *rq))
{
    struct search *s = &rq->search;
    *s = (struct search){.permission = p, .query = *query, .next = next};
    rc_t rc = narrow(rq, own);
    if (rc != RC_OK) {
        request_item_failed(rq, rc);
    } else if (!s->reach.certain) {
        look_at_each(rq);
    } else {
        rq->load = (struct db_load){.kind = DB_LOAD_LOCATE};
        rq->load.locate = s->query;
        request_load(rq, after_search);
    }
}

struct db_locate locate_found(const struct engine_request *rq)
{
    return rq->search.query;
}

/* ---- Locate --------------------------------------------------------------------------------- */

/* Newest first, as the database answers: identifiers grow with time. */
static void insert_sorted(struct uid *uids, size_t *count, const struct uid *uid)
{
    size_t at = *count;
    while (at > 0 && uid_compare(&uids[at - 1], uid) < 0) {
        uids[at] = uids[at - 1];
        at--;
    }
    uids[at] = *uid;
    (*count)++;
}

static size_t without(struct uid *uids, size_t count, const struct uid *uid)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!uid_equal(&uids[i], uid))
            uids[kept++] = uids[i];
    return kept;
}

/* Objects that this request made or changed: judged here, whatever the database said of them. */
static rc_t merge_overlay(struct engine_request *rq, const struct db_locate *found)
{
    struct op_item *it = &rq->item;
    struct uid *uids = ARENA_ARRAY(&rq->memory, found->count + rq->overlay.count + 1, struct uid);
    if (!uids)
        return RC_NO_MEMORY;
    size_t count = found->count;
    if (count)
        memcpy(uids, found->uids, count * sizeof *uids);
    uint64_t total = found->total > count ? found->total : count;
    for (size_t i = 0; i < rq->overlay.count; i++) {
        const struct object *o = rq->overlay.entries[i].object;
        size_t before = count;
        count = without(uids, count, &o->control.uid);
        total -= before - count;
        bool match = false;
        TRY(filter_match(&rq->memory, &it->filter, o, &match));
        if (match && access_decide(rq, PERMIT_LOCATE, o).verdict == VERDICT_ALLOWED) {
            insert_sorted(uids, &count, &o->control.uid);
            total++;
        }
    }
    uint64_t skip = it->query.offset < count ? it->query.offset : count;
    it->located = uids + skip;
    it->located_count = count - (size_t)skip;
    if (it->located_count > it->query.maximum)
        it->located_count = it->query.maximum;
    it->located_total = total;
    it->total_known = found->want_total || found->count < found->maximum || it->filter.nothing;
    return RC_OK;
}

static rc_t take_located(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    const struct db_locate *found = &rq->search.query;
    if (rq->overlay.count)
        return merge_overlay(rq, found);
    it->located = found->uids;
    it->located_count = found->count;
    /* A list that is not full has them all. */
    it->total_known = found->want_total || it->filter.nothing || (found->offset == 0 && found->count < found->maximum);
    it->located_total = found->want_total ? found->total : found->count;
    return RC_OK;
}

static void after_located(struct engine_request *rq)
{
    request_loaded(rq, take_located(rq));
}

void locate_item(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    struct db_locate query = it->query;
    if (rq->overlay.count) {
        /* The overlay shifts places: count from the start, with room for what it takes away. */
        uint64_t most = it->query.offset + it->query.maximum + rq->overlay.count;
        query.offset = 0;
        query.maximum = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
    }
    if (!it->filter.nothing) {
        locate_search(rq, rq->op->permission, &query, false, after_located);
        return;
    }
    rq->search = (struct search){.query = query};
    after_located(rq);
}
