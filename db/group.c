/*
 * Forming and encoding of commit groups: which units go together, and their one statement in
 * binary. Clients take turns. One change per uid per group; a unit that wants a uid already taken
 * waits for the next group.
 */
#include <stdlib.h>

#include "db/impl.h"
#include "db/utf8.h"
#include "server/base/log.h"

struct slice *slice_new(size_t room)
{
    struct slice *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->units = calloc(room ? room : 1, sizeof *s->units);
    s->room = room;
    if (!s->units) {
        free(s);
        return NULL;
    }
    return s;
}

void slice_free(struct slice *s)
{
    if (s)
        free(s->units);
    free(s);
}

void slice_add(struct slice *s, struct db_unit *u)
{
    s->units[s->count++] = u;
    s->changes |= u->change_count > 0;
    s->claims |= u->claim_count > 0;
}

/* ---- sets of uids ---- */

/* Open addressing over the uids that the group changes. */
struct uid_set {
    size_t mask;
    const struct uid **at;
};

static bool uid_set_has(const struct uid_set *set, const struct uid *u)
{
    for (size_t i = load_be64(u->raw + 8) & set->mask; set->at[i]; i = (i + 1) & set->mask)
        if (uid_equal(set->at[i], u))
            return true;
    return false;
}

static void uid_set_add(struct uid_set *set, const struct uid *u)
{
    size_t i = load_be64(u->raw + 8) & set->mask;
    while (set->at[i])
        i = (i + 1) & set->mask;
    set->at[i] = u;
}

/* True when the unit changes one object twice, or memory is short. */
static bool has_twice(const struct db_unit *u)
{
    if (u->change_count < 2)
        return false;
    size_t slots = 8;
    while (slots < 2 * u->change_count)
        slots *= 2;
    struct uid_set set = {slots - 1, calloc(slots, sizeof *set.at)};
    bool twice = !set.at;
    for (size_t i = 0; i < u->change_count && !twice; i++) {
        const struct uid *uid = &u->changes[i].object->control.uid;
        twice = uid_set_has(&set, uid);
        if (!twice)
            uid_set_add(&set, uid);
    }
    free(set.at);
    return twice;
}

/* ---- what may join ---- */

/* PostgreSQL's jsonb has no NUL in strings; an escaped one would be an error of the whole group. */
static bool json_storable(struct bytes json)
{
    if (!utf8_storable(json))
        return false;
    for (size_t i = 0; i + 1 < json.len; i++) {
        if (json.data[i] != '\\')
            continue;
        if (json.data[i + 1] == 'u' && i + 5 < json.len &&
            memcmp(json.data + i + 2, "0000", 4) == 0)
            return false;
        i++; /* the escaped character */
    }
    return true;
}

static rc_t change_check(const struct db_change *ch, size_t *bytes)
{
    const struct object *o = ch->object;
    if (ch->kind < DB_INSERT || ch->kind > DB_DESTROY || !o)
        return RC_INTERNAL;
    if (o->control.version == 0 || o->control.version > INT64_MAX ||
        o->control.domain > INT64_MAX || ch->expected > INT64_MAX)
        return RC_INVALID_FIELD;
    if (!json_storable(o->attributes))
        return RC_BAD_UTF8;
    for (size_t i = 0; i < o->name_count; i++) {
        if (!utf8_storable(o->names[i].value))
            return RC_BAD_UTF8;
        if (o->names[i].value.len > 2048) /* kmip.name.value; the index could not hold more */
            return RC_TOO_LARGE;
        *bytes += o->names[i].value.len;
    }
    *bytes += 512 + o->attributes.len + (ch->kind == DB_INSERT ? o->material.len : 0);
    return RC_OK;
}

rc_t unit_check(struct db_unit *u)
{
    size_t bytes = 0;
    if (u->event_count == 0 || u->event_count > 65536 || u->change_count > 65536 ||
        u->read_count > 65536 || u->claim_count > 65536 || (u->claim_count && uid_is_nil(&u->client)))
        return RC_INTERNAL;
    for (size_t i = 0; i < u->change_count; i++)
        TRY(change_check(&u->changes[i], &bytes));
    if (has_twice(u))
        return RC_INTERNAL;
    bytes += u->event_count * 512 + (u->read_count + u->claim_count) * 64;
    if (bytes > 64u << 20)
        return RC_TOO_LARGE;
    u->own.bytes = bytes;
    return RC_OK;
}

/* ---- lanes ---- */

static void turns_add(struct turns *t, struct lane *lane)
{
    lane->next = NULL;
    *t->last = lane;
    t->last = &lane->next;
}

static struct lane *turns_take(struct turns *t)
{
    struct lane *lane = t->first;
    t->first = lane->next;
    if (!t->first)
        t->last = &t->first;
    return lane;
}

void lanes_add(struct committer *c, struct db_unit *u)
{
    struct lane *lane = &c->lanes[load_be64(u->client.raw + 8) % LANES];
    if (!lane->first) {
        lane->last = &lane->first;
        turns_add(&c->turns, lane);
    }
    u->own.next = NULL;
    *lane->last = u;
    lane->last = &u->own.next;
    c->queued++;
}

struct db_unit *lanes_take_all(struct committer *c)
{
    struct db_unit *all = NULL, **last = &all;
    while (c->turns.first) {
        struct lane *lane = turns_take(&c->turns);
        *last = lane->first;
        last = lane->last;
        lane->first = NULL;
    }
    c->queued = 0;
    return all;
}

/* ---- forming ---- */

static bool unit_collides(const struct uid_set *set, const struct db_unit *u)
{
    for (size_t i = 0; i < u->change_count; i++)
        if (uid_set_has(set, &u->changes[i].object->control.uid))
            return true;
    return false;
}

/* A group on its way to its limits. */
struct forming {
    struct slice *slice;
    struct uid_set set; /* uids that it changes */
    size_t rows, bytes;
};

/*
 * How many units a group may have: of many requests at most half, for together they would all wait for one
 * commit and then all ask at once, while nothing is left to be done meanwhile.
 */
static size_t group_room(const struct db *db)
{
    size_t room = db->settings.group_units, inside = 0;
    if (db->crowd)
        inside = db->crowd(db->crowd_arg).inside;
    if (inside >= 2 * GROUP_SMALL && room > (inside + 1) / 2)
        room = (inside + 1) / 2;
    return room < db->committer.queued ? room : db->committer.queued;
}

static rc_t forming_begin(struct forming *f, const struct db *db)
{
    const struct committer *c = &db->committer;
    const struct db_settings *limits = &db->settings;
    size_t room = group_room(db);
    /* the first unit may be larger than a group: room for its changes as well */
    size_t want = 2 * (limits->group_rows + c->turns.first->first->change_count) + 2, slots = 64;
    while (slots < want)
        slots *= 2;
    *f = (struct forming){.slice = slice_new(room),
                          .set = {slots - 1, calloc(slots, sizeof *f->set.at)}};
    if (f->slice && f->set.at)
        return RC_OK;
    slice_free(f->slice);
    free(f->set.at);
    return RC_NO_MEMORY;
}

static bool fits(const struct forming *f, const struct db_unit *u, const struct db_settings *limits)
{
    size_t more = u->event_count > u->change_count ? u->event_count : u->change_count;
    return f->slice->count == 0 ||
           (f->rows + more <= limits->group_rows && f->bytes + u->own.bytes <= limits->group_bytes);
}

/* Moves the unit at the lane's mark into the group. */
static void join(struct forming *f, struct lane *lane)
{
    struct db_unit *u = *lane->at;
    struct slice *s = f->slice;
    for (size_t i = 0; i < u->change_count; i++)
        uid_set_add(&f->set, &u->changes[i].object->control.uid);
    slice_add(s, u);
    f->rows += u->event_count > u->change_count ? u->event_count : u->change_count;
    f->bytes += u->own.bytes;
    if (lane->last == &u->own.next)
        lane->last = lane->at;
    *lane->at = u->own.next;
    u->own.next = NULL;
}

/* The mark goes to the lane's next unit that may be in this group; false: there is none. */
static bool lane_seek(struct lane *lane, const struct uid_set *set)
{
    while (*lane->at && unit_collides(set, *lane->at))
        lane->at = &(*lane->at)->own.next;
    return *lane->at;
}

struct slice *group_form(struct db *db)
{
    struct committer *c = &db->committer;
    struct turns rest = {NULL, &rest.first}; /* lanes with units that wait for the next group */
    struct forming f;
    if (!c->queued || forming_begin(&f, db) != RC_OK)
        return NULL;
    for (struct lane *lane = c->turns.first; lane; lane = lane->next)
        lane->at = &lane->first;
    while (c->turns.first && f.slice->count < f.slice->room) {
        struct lane *lane = c->turns.first;
        if (lane_seek(lane, &f.set)) {
            if (!fits(&f, *lane->at, &db->settings))
                break;
            join(&f, lane);
            c->queued--;
        }
        turns_take(&c->turns);
        if (*lane->at)
            turns_add(&c->turns, lane);
        else if (lane->first)
            turns_add(&rest, lane);
    }
    while (rest.first)
        turns_add(&c->turns, turns_take(&rest));
    free(f.set.at);
    return f.slice;
}

/* ---- encoding ---- */

static rc_t put_event(struct buf *out, const struct audit_event *e, const uint8_t *previous,
                      const uint8_t *hash)
{
    size_t mark;
    TRY(pg_row_begin(out, 16, &mark));
    TRY(pg_field_time(out, e->time_us));
    TRY(pg_field_uid(out, &e->client, true));
    TRY(pg_field_text(out, e->client_name));
    TRY(pg_field_text(out, e->fingerprint));
    TRY(pg_field_text(out, e->address));
    TRY(pg_field_text(out, e->protocol));
    TRY(pg_field_text(out, e->correlation));
    TRY(e->position < 0 ? pg_field_null(out, OID_INT4) : pg_field_i4(out, e->position));
    TRY(pg_field_text(out, e->operation));
    TRY(pg_field_uid(out, &e->object, true));
    TRY(pg_field_text(out, e->result));
    TRY(pg_field_text(out, e->reason));
    TRY(e->duration_us < 0 ? pg_field_null(out, OID_INT8) : pg_field_i8(out, e->duration_us));
    TRY(pg_field_text(out, e->detail));
    TRY(pg_field_bytes(out, OID_BYTEA, bytes_of(previous, AUDIT_HASH_BYTES)));
    TRY(pg_field_bytes(out, OID_BYTEA, bytes_of(hash, AUDIT_HASH_BYTES)));
    pg_row_end(out, mark);
    return RC_OK;
}

/* $stream, $seq, $hash, $entries; leaves the new head in c->next. */
static rc_t put_audit(struct db *db, const struct slice *s)
{
    struct committer *c = &db->committer;
    struct pg_params *p = &c->params;
    size_t rows = 0;
    for (size_t i = 0; i < s->count; i++)
        rows += s->units[i]->event_count;
    TRY(pg_param_uid(p, &c->stream));
    TRY(pg_param_i8(p, (int64_t)c->head.seq));
    TRY(pg_param_bytes(p, bytes_of(c->head.hash, AUDIT_HASH_BYTES)));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, conn_facts(db->commit)->entry, rows));
    c->next = c->head;
    arena_reset(&c->arena);
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->units[i]->event_count; k++) {
            struct audit_event e;
            uint8_t hash[AUDIT_HASH_BYTES];
            TRY(audit_event_clean(&s->units[i]->events[k], &c->arena, &e));
            TRY(audit_hash(&e, &c->stream, c->next.seq + 1, c->next.hash, hash));
            TRY(put_event(&p->data, &e, c->next.hash, hash));
            memcpy(c->next.hash, hash, sizeof hash);
            c->next.seq++;
        }
    return RC_OK;
}

static bool standing_is(const struct standing *s, const struct db_unit *u)
{
    return s->standing == u->standing && uid_equal(&s->client, &u->client);
}

/* Who asks, each once: a group has many requests of few clients. In the arena of the group. */
static rc_t standings_gather(struct committer *c, const struct slice *s)
{
    c->standing_count = 0;
    c->standings = ARENA_ARRAY(&c->arena, s->count, struct standing);
    if (!c->standings)
        return RC_NO_MEMORY;
    for (size_t i = 0; i < s->count; i++) {
        const struct db_unit *u = s->units[i];
        size_t at = c->standing_count;
        if (uid_is_nil(&u->client))
            continue;
        while (at > 0 && !standing_is(&c->standings[at - 1], u))
            at--;
        if (at == 0)
            c->standings[c->standing_count++] = (struct standing){u->client, u->standing};
    }
    return RC_OK;
}

/* $uids, $versions of what was read; $clients, $standings. */
static rc_t put_rechecks(struct committer *c, const struct slice *s)
{
    struct pg_params *p = &c->params;
    size_t reads = 0;
    TRY(standings_gather(c, s));
    for (size_t i = 0; i < s->count; i++)
        reads += s->units[i]->read_count;
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_UUID, reads));
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->units[i]->read_count; k++)
            TRY(pg_element_uid(&p->data, &s->units[i]->reads[k].uid));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_INT8, reads));
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->units[i]->read_count; k++)
            TRY(pg_element_i8(&p->data, (int64_t)s->units[i]->reads[k].version));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_UUID, c->standing_count));
    for (size_t i = 0; i < c->standing_count; i++)
        TRY(pg_element_uid(&p->data, &c->standings[i].client));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_INT8, c->standing_count));
    for (size_t i = 0; i < c->standing_count; i++)
        TRY(pg_element_i8(&p->data, c->standings[i].standing));
    return RC_OK;
}

static rc_t put_change(struct buf *out, const struct db_change *ch)
{
    const struct object *o = ch->object;
    const struct control *c = &o->control;
    size_t mark;
    TRY(pg_row_begin(out, 31, &mark));
    TRY(pg_field_i4(out, (int32_t)ch->kind));
    TRY(pg_field_i8(out, (int64_t)ch->expected));
    TRY(pg_field_uid(out, &c->uid, false));
    TRY(pg_field_i8(out, (int64_t)c->version));
    TRY(pg_field_i8(out, (int64_t)c->domain));
    TRY(pg_field_uid(out, &c->owner, false));
    const uint32_t numbers[] = {c->object_type, c->state,      c->protection,        c->algorithm,
                                c->length,      c->usage_mask, c->revocation_reason, o->key_format};
    for (size_t i = 0; i < 8; i++)
        TRY(pg_field_i8(out, numbers[i]));
    const int64_t dates[] = {
        c->initial_date,      c->activation_date,   c->process_start_date,
        c->protect_stop_date, c->deactivation_date, c->compromise_occurrence_date,
        c->compromise_date,   c->destroy_date,      o->last_change_date};
    for (size_t i = 0; i < 9; i++)
        TRY(pg_field_date(out, dates[i]));
    TRY(pg_field_bool(out, c->extractable));
    TRY(pg_field_bool(out, c->never_extractable));
    TRY(pg_field_bool(out, c->sensitive));
    TRY(pg_field_bool(out, c->always_sensitive));
    TRY(pg_field_bytes(out, OID_BYTEA, bytes_of(o->control_mac, CONTROL_MAC_BYTES)));
    TRY(pg_field_jsonb(out, o->attributes));
    TRY(ch->kind == DB_INSERT && o->material.len ? pg_field_bytes(out, OID_BYTEA, o->material)
                                                 : pg_field_null(out, OID_BYTEA));
    TRY(pg_field_bool(out, ch->replace_names));
    pg_row_end(out, mark);
    return RC_OK;
}

static bool brings_names(const struct db_change *ch)
{
    return ch->kind == DB_INSERT || (ch->kind == DB_UPDATE && ch->replace_names);
}

static rc_t put_names(struct buf *out, const struct db_change *ch, size_t number)
{
    for (size_t i = 0; i < ch->object->name_count; i++) {
        size_t mark;
        TRY(pg_row_begin(out, 4, &mark));
        TRY(pg_field_i4(out, (int32_t)number));
        TRY(pg_field_i4(out, ch->object->names[i].index));
        TRY(pg_field_i8(out, ch->object->names[i].type));
        TRY(pg_field_bytes(out, OID_TEXT, ch->object->names[i].value));
        pg_row_end(out, mark);
    }
    return RC_OK;
}

/* $skip_locked, $changes, $names. */
static rc_t put_changes(struct db *db, const struct slice *s)
{
    struct pg_params *p = &db->committer.params;
    const struct conn_facts *facts = conn_facts(db->commit);
    size_t changes = 0, names = 0, number = 0;
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->units[i]->change_count; k++) {
            const struct db_change *ch = &s->units[i]->changes[k];
            changes++;
            names += brings_names(ch) ? ch->object->name_count : 0;
        }
    TRY(pg_param_bool(p, s->skip_locked));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, facts->change, changes));
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->units[i]->change_count; k++)
            TRY(put_change(&p->data, &s->units[i]->changes[k]));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, facts->name, names));
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->units[i]->change_count; k++, number++)
            if (brings_names(&s->units[i]->changes[k]))
                TRY(put_names(&p->data, &s->units[i]->changes[k], number + 1));
    return RC_OK;
}

rc_t group_encode(struct db *db, struct slice *s)
{
    struct pg_params *p = &db->committer.params;
    pg_params_clear(p);
    if (s->changes || s->claims)
        TRY(put_changes(db, s));
    TRY(put_audit(db, s));
    TRY(put_rechecks(&db->committer, s));
    return s->claims ? claims_encode(p, s) : RC_OK;
}

/* ---- the way back: from a place in the group's arrays to its units ---- */

static void lose(struct db_unit *u, enum db_lost kind, size_t index)
{
    if (u->lost != DB_LOST_NOTHING)
        return;
    u->lost = kind;
    u->lost_index = index;
}

/* All units of a client whose standing has changed. */
static bool lose_standing(const struct committer *c, const struct slice *s, size_t place)
{
    if (place > c->standing_count)
        return false;
    for (size_t i = 0; i < s->count; i++)
        if (standing_is(&c->standings[place - 1], s->units[i]))
            lose(s->units[i], DB_LOST_STANDING, 0);
    return true;
}

bool group_lose(const struct committer *c, const struct slice *s, int kind, int place)
{
    if (place < 1 || kind < DB_LOST_CHANGE || kind > DB_LOST_CLAIM)
        return false;
    if (kind == DB_LOST_STANDING)
        return lose_standing(c, s, (size_t)place);
    size_t left = (size_t)place - 1;
    for (size_t i = 0; i < s->count; i++) {
        struct db_unit *u = s->units[i];
        size_t here = kind == DB_LOST_READ    ? u->read_count
                      : kind == DB_LOST_CLAIM ? u->claim_count
                                              : u->change_count;
        if (left < here) {
            lose(u, (enum db_lost)kind, left);
            return true;
        }
        left -= here;
    }
    return false;
}
