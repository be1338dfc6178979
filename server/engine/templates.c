/*
 * Templates that an item of 1.x names: their attributes join those of the request before the operation sees it, so no
 * operation knows of them. Each name is looked for among the Templates that the client may use, then the object is
 * loaded, authorised and remembered as read, as any other: a Template that changes before the commit makes the request
 * run again.
 */
#include "server/engine/request.h"

#include "server/ops/template.h"

static void next_name(struct engine_request *rq);
static void look_up(struct engine_request *rq, bool wide);

static void missing(struct engine_request *rq)
{
    /* Locate names another reason than all others (KMIP 1.4, 11.2 to 11.10). */
    request_item_failed(rq, rq->item.operation == KMIP_OP_LOCATE ? RC_INVALID_FIELD : RC_NOT_FOUND);
}

static bool is_template(const struct object *o)
{
    return o->control.object_type == KMIP_OBJECT_TEMPLATE && o->control.state != STATE_DESTROYED;
}

static bool may_use(const struct engine_request *rq, const struct object *o)
{
    return is_template(o) && access_decide(rq, PERMIT_USE_TEMPLATE, o).verdict == VERDICT_ALLOWED;
}

static bool may_load(void *arg, const struct object *object)
{
    return is_template(object) && access_worth(arg, object);
}

/* ---- the end: all are there ----------------------------------------------------------------- */

/* The templates of one list, the last one first: it prevails (KMIP 1.4, 4.2). */
static rc_t apply_list(struct engine_request *rq, struct kmip_attributes *list, size_t first)
{
    list->room = list->count; /* growing copies: the request stays as it came, for the next run */
    for (size_t i = list->template_count; i-- > 0;) {
        struct kmip_attributes held;
        TRY(template_held(&rq->memory, rq->templates.found[first + i], &held));
        TRY(template_apply(&rq->memory, &held, list));
    }
    list->template_count = 0;
    list->template_names = NULL;
    return RC_OK;
}

/* Which ones were used stands in the audit row. */
static rc_t note_used(struct engine_request *rq)
{
    enum { EACH = UID_TEXT_SIZE };
    char *text = arena_alloc(&rq->memory, rq->templates.count * EACH);
    if (!text)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < rq->templates.count; i++) {
        uid_print(&rq->templates.found[i]->control.uid, text + i * EACH);
        text[i * EACH + EACH - 1] = ' ';
    }
    rq->item.detail = bytes_str(arena_fmt(&rq->memory, "templates: %.*s", (int)(rq->templates.count * EACH - 1), text));
    return rq->item.detail.data ? RC_OK : RC_NO_MEMORY;
}

static rc_t apply_all(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    struct kmip_attributes *lists[TEMPLATE_LISTS];
    void *copy = request_copy(rq);
    if (!copy)
        return RC_NO_MEMORY;
    size_t count = kmip_payload_templates(it->operation, it->version, copy, lists, TEMPLATE_LISTS), first = 0;
    for (size_t i = 0; i < count; i++) {
        size_t names = lists[i]->template_count;
        TRY(apply_list(rq, lists[i], first));
        first += names;
    }
    it->request = copy;
    return note_used(rq);
}

/* ---- one after the other -------------------------------------------------------------------- */

static void found(struct engine_request *rq, struct object *o)
{
    rq->templates.found[rq->templates.at++] = o;
    next_name(rq);
}

static void after_object(struct engine_request *rq)
{
    struct object *o = rq->load.objects.found[0];
    if (o && !may_use(rq, o))
        o = NULL;
    rc_t rc = o ? overlay_read(&rq->overlay, &rq->memory, &rq->load_uid, o->control.version) : RC_OK;
    if (rc != RC_OK)
        request_item_failed(rq, rc);
    else if (o)
        found(rq, o);
    else
        missing(rq);
}

static void after_name(struct engine_request *rq)
{
    const struct db_locate found = locate_found(rq);
    if (found.count == 0 && !rq->templates.wide) {
        look_up(rq, true);
        return;
    }
    /* What this request itself has changed was looked at before: it has this name no more. */
    if (found.count == 0 || overlay_find(&rq->overlay, &found.uids[0])) {
        missing(rq);
        return;
    }
    rq->load_uid = found.uids[0];
    rq->load = (struct db_load){.kind = DB_LOAD_OBJECTS};
    rq->load.objects.uids = &rq->load_uid;
    rq->load.objects.count = 1;
    rq->load.objects.may_see = may_load;
    rq->load.objects.want = DB_WANT_ATTRIBUTES | DB_WANT_NAMES;
    request_load(rq, after_object);
}

/* The asker's own Templates first: nobody else's can come between by its name. */
static void look_up(struct engine_request *rq, bool wide)
{
    rq->templates.wide = wide;
    const struct db_locate query = {
        .filters = DB_LOCATE_OBJECT_TYPE,
        .object_type = KMIP_OBJECT_TEMPLATE,
        .name_count = 1,
        .names = {{rq->templates.names[rq->templates.at], 0, 0}},
        .now = rq->now,
        .maximum = 1,
    };
    locate_search(rq, PERMIT_USE_TEMPLATE, &query, !wide, after_name);
}

static void next_name(struct engine_request *rq)
{
    if (rq->templates.at == rq->templates.count) {
        rc_t rc = apply_all(rq);
        if (rc == RC_OK)
            request_prepare_item(rq);
        else
            request_item_failed(rq, rc);
        return;
    }
    struct bytes name = rq->templates.names[rq->templates.at];
    struct object *made = overlay_named(&rq->overlay, &rq->who.client, name);
    if (!made)
        look_up(rq, false);
    else if (may_use(rq, made))
        found(rq, made);
    else
        missing(rq);
}

rc_t templates_find(struct engine_request *rq)
{
    struct op_item *it = &rq->item;
    struct kmip_attributes *lists[TEMPLATE_LISTS];
    rq->templates.count = rq->templates.at = 0;
    /* Nothing is written through this view of the request. */
    size_t count = kmip_payload_templates(it->operation, it->version, rq->message->items[rq->at].payload, lists,
                                          TEMPLATE_LISTS);
    for (size_t i = 0; i < count; i++) {
        const struct node *n = lists[i]->template_names;
        for (size_t k = 0; k < lists[i]->template_count && n; k++, n = n->next) {
            if (rq->templates.count == TEMPLATE_NAMES)
                return RC_TOO_MANY;
            rq->templates.names[rq->templates.count++] = node_child(n, KMIP_TAG_NAME_VALUE)->bytes;
        }
    }
    return RC_OK;
}

void templates_load(struct engine_request *rq)
{
    next_name(rq);
}
