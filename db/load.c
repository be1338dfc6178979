/*
 * The load batch: objects of all loads of a turn in one SELECT, names in a second one where they
 * are wanted; identities, Locates, requests for approval and the hierarchy each in a statement of its own in the same
 * pipeline, behind a sync of its own, so that no request can spoil another's load.
 */
#include <stdlib.h>

#include "db/impl.h"
#include "db/utf8.h"
#include "server/base/log.h"

/* One object that a batch asks for. */
struct slot {
    struct db_load *load;
    size_t index;
};

struct batch {
    struct db *db;
    struct db_load *loads; /* linked by own.next */
    size_t count, name_count;
    struct slot *slots; /* by place in the statement */
    struct slot *names;
    bool failed;
};

void loader_open(struct db *db)
{
    db->loader.last = &db->loader.first;
}

static void load_answer(struct db_load *load, rc_t rc)
{
    struct db *db = load->own.db;
    db->loader.pending--;
    db->stats.loads++;
    load->done(load, rc);
}

/* For failures found where the caller's own code may be on the stack. */
static void load_defer(struct db_load *load, rc_t rc)
{
    struct loader *l = &load->own.db->loader;
    load->own.rc = rc;
    load->own.next = l->answers;
    l->answers = load;
    db_turn(load->own.db);
}

void loader_answer(struct db *db)
{
    struct db_load *load = db->loader.answers;
    db->loader.answers = NULL;
    while (load) {
        struct db_load *next = load->own.next;
        load_answer(load, load->own.rc);
        load = next;
    }
}

bool load_failed(const PGresult *r, const char *what)
{
    if (!r)
        return true;
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return false;
    if (status != PGRES_PIPELINE_ABORTED)
        log_warn("db.load", " what=%s sqlstate=%s", what, conn_sqlstate(r));
    return true;
}

static void enqueue(struct loader *l, struct db_load *load)
{
    load->own.next = NULL;
    *l->last = load;
    l->last = &load->own.next;
}

void db_load_add(struct db *db, struct db_load *load)
{
    load->own.db = db;
    load->own.tries = 0;
    load->own.rc = RC_OK;
    db->loader.pending++;
    enqueue(&db->loader, load);
    db_turn(db);
}

void loader_refuse(struct db *db, rc_t rc)
{
    struct loader *l = &db->loader;
    struct db_load *load = l->first;
    l->first = NULL;
    l->last = &l->first;
    while (load) {
        struct db_load *next = load->own.next;
        load_defer(load, rc);
        load = next;
    }
}

/* The connection went with this load on it: it is only a read, so ask again, but not for ever. */
static void ask_again(struct db_load *load)
{
    struct db *db = load->own.db;
    if (db->closing || ++load->own.tries >= LOAD_TRIES) {
        load_defer(load, RC_UNAVAILABLE);
        return;
    }
    load->own.rc = RC_OK;
    enqueue(&db->loader, load);
    db_turn(db);
}

/* ---- objects ---- */

static bool read_control(const PGresult *r, int row, struct control *c)
{
    int64_t version = 0, domain = 0;
    bool ok = pg_get_uid(r, row, 1, &c->uid) && pg_get_i8(r, row, 2, &version) &&
              pg_get_i8(r, row, 3, &domain) && pg_get_uid(r, row, 4, &c->owner);
    uint32_t *const numbers[] = {&c->object_type,      &c->state,  &c->protection,
                                 &c->algorithm,        &c->length, &c->usage_mask,
                                 &c->revocation_reason};
    for (int i = 0; ok && i < 7; i++)
        ok = pg_get_u32(r, row, 5 + i, numbers[i]);
    int64_t *const dates[] = {&c->initial_date,       &c->activation_date,
                              &c->process_start_date, &c->protect_stop_date,
                              &c->deactivation_date,  &c->compromise_occurrence_date,
                              &c->compromise_date,    &c->destroy_date};
    for (int i = 0; ok && i < 8; i++)
        ok = pg_get_date(r, row, 13 + i, dates[i]);
    bool *const flags[] = {&c->extractable, &c->never_extractable, &c->sensitive,
                           &c->always_sensitive};
    for (int i = 0; ok && i < 4; i++)
        ok = pg_get_bool(r, row, 22 + i, flags[i]);
    c->version = (uint64_t)version;
    c->domain = (uint64_t)domain;
    return ok && version > 0;
}

/* Leaves *out alone for an object that may not be seen, whatever is wrong with its row. */
static rc_t read_object(const PGresult *r, int row, const struct db_load *load, struct object **out)
{
    struct arena *arena = load->arena;
    struct object seen = {0};
    bool ok = read_control(r, row, &seen.control);
    if (load->objects.may_see && !load->objects.may_see(load->arg, &seen))
        return RC_OK;
    struct object *o = ARENA_NEW(arena, struct object);
    if (!o)
        return RC_NO_MEMORY;
    *o = seen;
    struct bytes mac = pg_get_bytes(r, row, 26);
    if (!ok || !pg_get_u32(r, row, 12, &o->key_format) ||
        !pg_get_date(r, row, 21, &o->last_change_date) || mac.len != CONTROL_MAC_BYTES)
        return RC_INTEGRITY;
    memcpy(o->control_mac, mac.data, CONTROL_MAC_BYTES);
    struct bytes attributes = pg_get_jsonb(r, row, 27), material = pg_get_bytes(r, row, 28);
    o->attributes = arena_copy(arena, attributes);
    o->material = arena_copy(arena, material);
    if ((attributes.len && !o->attributes.data) || (material.len && !o->material.data))
        return RC_NO_MEMORY;
    *out = o;
    return RC_OK;
}

static void on_objects(void *arg, const PGresult *r)
{
    struct batch *b = arg;
    if (load_failed(r, "objects")) {
        b->failed = true;
        return;
    }
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t place = 0;
        if (!pg_get_i8(r, row, 0, &place) || place < 1 || (uint64_t)place > b->count)
            continue;
        struct slot *s = &b->slots[place - 1];
        struct db_load *load = s->load;
        struct object *o = NULL;
        rc_t rc = read_object(r, row, load, &o);
        if (rc == RC_OK)
            load->objects.found[s->index] = o;
        else
            load->own.rc = rc;
    }
}

/* Rows come by place: all names of one object together. */
static rc_t read_names(const PGresult *r, int first, int count, struct arena *arena,
                       struct object *o)
{
    o->names = ARENA_ARRAY(arena, (size_t)count, struct name);
    if (!o->names)
        return RC_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        struct bytes value = pg_get_bytes(r, first + i, 2);
        o->names[i].value = arena_copy(arena, value);
        if (value.len && !o->names[i].value.data)
            return RC_NO_MEMORY;
        if (!pg_get_u32(r, first + i, 1, &o->names[i].type) ||
            !pg_get_i4(r, first + i, 3, &o->names[i].index))
            return RC_INTEGRITY;
    }
    o->name_count = (size_t)count;
    return RC_OK;
}

static void on_names(void *arg, const PGresult *r)
{
    struct batch *b = arg;
    if (load_failed(r, "names")) {
        b->failed = true;
        return;
    }
    int rows = PQntuples(r);
    for (int row = 0; row < rows;) {
        int64_t place = 0, other = 0;
        if (!pg_get_i8(r, row, 0, &place))
            return;
        int end = row + 1;
        while (end < rows && pg_get_i8(r, end, 0, &other) && other == place)
            end++;
        if (place >= 1 && (uint64_t)place <= b->name_count) {
            struct slot *s = &b->names[place - 1];
            struct object *o = s->load->objects.found[s->index];
            rc_t rc = o ? read_names(r, row, end - row, s->load->arena, o) : RC_OK;
            if (rc != RC_OK)
                s->load->own.rc = rc;
        }
        row = end;
    }
}

static void batch_free(struct batch *b)
{
    free(b->slots);
    free(b->names);
    free(b);
}

static void on_batch(void *arg, bool ok)
{
    struct batch *b = arg;
    struct db *db = b->db;
    struct db_load *load = b->loads;
    bool failed = b->failed;
    db->loader.batches--;
    batch_free(b);
    while (load) {
        struct db_load *next = load->own.next;
        if (!ok)
            ask_again(load);
        else
            load_answer(load, failed ? RC_UNAVAILABLE : load->own.rc);
        load = next;
    }
    if (db->loader.first)
        db_turn(db);
}

static struct batch *batch_new(struct db *db, struct db_load *loads, size_t count, size_t names)
{
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->db = db;
    b->loads = loads;
    b->slots = calloc(count ? count : 1, sizeof *b->slots);
    b->names = calloc(names ? names : 1, sizeof *b->names);
    if (!b->slots || !b->names) {
        batch_free(b);
        return NULL;
    }
    for (struct db_load *load = loads; load; load = load->own.next)
        for (size_t i = 0; i < load->objects.count; i++) {
            load->objects.found[i] = NULL;
            b->slots[b->count++] = (struct slot){load, i};
            if (load->objects.want & DB_WANT_NAMES)
                b->names[b->name_count++] = (struct slot){load, i};
        }
    return b;
}

static const struct uid *slot_uid(const struct slot *s)
{
    return &s->load->objects.uids[s->index];
}

static rc_t send_objects(struct batch *b)
{
    struct conn *c = b->db->load;
    struct pg_params *p = &b->db->loader.params;
    pg_params_clear(p);
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_UUID, b->count));
    for (size_t i = 0; i < b->count; i++)
        TRY(pg_element_uid(&p->data, slot_uid(&b->slots[i])));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_INT4, b->count));
    for (size_t i = 0; i < b->count; i++)
        TRY(pg_element_i4(&p->data, (int32_t)b->slots[i].load->objects.want));
    if (!conn_query(c, STMT_OBJECTS, p, on_objects, b))
        return RC_UNAVAILABLE;
    if (b->name_count == 0)
        return RC_OK;
    pg_params_clear(p);
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_UUID, b->name_count));
    for (size_t i = 0; i < b->name_count; i++)
        TRY(pg_element_uid(&p->data, slot_uid(&b->names[i])));
    return conn_query(c, STMT_NAMES, p, on_names, b) ? RC_OK : RC_UNAVAILABLE;
}

/* Sends one batch. What was queued before a failure gets its end through conn's callbacks. */
static void batch_send(struct db *db, struct db_load *loads, size_t count, size_t names)
{
    struct batch *b = batch_new(db, loads, count, names);
    if (!b) {
        while (loads) {
            struct db_load *next = loads->own.next;
            load_defer(loads, RC_NO_MEMORY);
            loads = next;
        }
        return;
    }
    db->loader.batches++;
    db->stats.load_batches++;
    rc_t rc = send_objects(b);
    if (rc == RC_OK && conn_sync(db->load, on_batch, b))
        return;
    /* Nothing may call back into a batch that is gone: the connection goes with it, first. */
    conn_reset(db->load, "a batch could not be sent");
    on_batch(b, false);
}

/* ---- the others ---- */

rc_t identity_read(struct arena *arena, const PGresult *r, struct db_identity *id)
{
    id->found = PQntuples(r) > 0;
    if (!id->found)
        return RC_OK;
    int64_t domain = 0;
    if (!pg_get_uid(r, 0, 0, &id->client) || !pg_get_i8(r, 0, 2, &domain) || !pg_get_i8(r, 0, 3, &id->standing) ||
        !pg_get_bool(r, 0, 4, &id->enabled) || !pg_get_bool(r, 0, 5, &id->revoked) ||
        !pg_get_bool(r, 0, 6, &id->has_factors) || !pg_get_bool(r, 0, 7, &id->legacy_tls))
        return RC_INTEGRITY;
    id->domain = (uint64_t)domain;
    id->client_name = arena_copy(arena, pg_get_bytes(r, 0, 1));
    return id->client_name.data ? RC_OK : RC_NO_MEMORY;
}

static void on_identity(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    load->own.rc = load_failed(r, "identity") ? RC_UNAVAILABLE : identity_read(load->arena, r, &load->identity);
}

static rc_t policy_read(struct arena *arena, const PGresult *r, struct db_policy *p)
{
    p->found = PQntuples(r) > 0;
    if (!p->found)
        return RC_OK;
    if (!pg_get_i8(r, 0, 0, &p->standing))
        return RC_INTEGRITY;
    p->text = arena_copy(arena, pg_get_bytes(r, 0, 1));
    return p->text.data ? RC_OK : RC_NO_MEMORY;
}

static void on_policy(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    load->own.rc = load_failed(r, "policy") ? RC_UNAVAILABLE : policy_read(load->arena, r, &load->policy);
}

static void on_factor(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    load->own.rc = load_failed(r, "factor") ? RC_UNAVAILABLE : factor_read(load, r);
}

static void on_locate(void *arg, const PGresult *r)
{
    struct db_load *load = arg;
    if (!load_failed(r, "locate"))
        load->own.rc = locate_read(load, r);
    else
        /* class 22: what the client looks for is no valid text or JSON */
        load->own.rc = strncmp(conn_sqlstate(r), "22", 2) == 0 ? RC_INVALID_FIELD : RC_UNAVAILABLE;
}

static void on_single(void *arg, bool ok)
{
    struct db_load *load = arg;
    if (ok)
        load_answer(load, load->own.rc);
    else
        ask_again(load);
}

rc_t identity_params(const struct db_identity *id, struct pg_params *p)
{
    if (id->name_count > DB_IDENTITY_NAMES)
        return RC_TOO_MANY;
    if (!utf8_storable(id->issuer) || !utf8_storable(id->fingerprint))
        return RC_BAD_UTF8;
    TRY(pg_param_bytes(p, id->issuer));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_TEXT, id->name_count));
    for (size_t i = 0; i < id->name_count; i++)
        TRY(pg_element_bytes(&p->data, bytes_str(id->names[i].kind)));
    TRY(pg_param(p));
    TRY(pg_array(&p->data, OID_TEXT, id->name_count));
    for (size_t i = 0; i < id->name_count; i++) {
        if (!utf8_storable(id->names[i].value))
            return RC_BAD_UTF8;
        TRY(pg_element_bytes(&p->data, id->names[i].value));
    }
    return pg_param_bytes(p, id->fingerprint);
}

static rc_t send_identity(struct db *db, struct db_load *load)
{
    struct pg_params *p = &db->loader.params;
    pg_params_clear(p);
    TRY(identity_params(&load->identity, p));
    return conn_query(db->load, STMT_IDENTITY, p, on_identity, load) ? RC_OK : RC_UNAVAILABLE;
}

static rc_t send_policy(struct db *db, struct db_load *load)
{
    struct pg_params *p = &db->loader.params;
    pg_params_clear(p);
    TRY(pg_param_uid(p, &load->policy.client));
    return conn_query(db->load, STMT_POLICY, p, on_policy, load) ? RC_OK : RC_UNAVAILABLE;
}

static void single_send(struct db *db, struct db_load *load)
{
    rc_t rc = RC_INTERNAL;
    if (load->kind == DB_LOAD_IDENTITY)
        rc = send_identity(db, load);
    else if (load->kind == DB_LOAD_POLICY)
        rc = send_policy(db, load);
    else if (load->kind == DB_LOAD_FACTOR)
        rc = factor_send(db, load, on_factor);
    else if (load->kind == DB_LOAD_LOCATE)
        rc = locate_send(db, load, on_locate);
    else if (load->kind == DB_LOAD_HIERARCHY)
        rc = hierarchy_send(db->load, load);
    else if (load->kind == DB_LOAD_REQUEST)
        rc = request_send(db, load);
    else if (load->kind == DB_LOAD_QUOTA)
        rc = quota_send(db, load);
    if (rc == RC_OK && conn_sync(db->load, on_single, load))
        return;
    if (rc == RC_OK || rc == RC_UNAVAILABLE) {
        conn_reset(db->load, "a load could not be sent");
        ask_again(load);
    } else {
        load_defer(load, rc);
    }
}

/* ---- the turn ---- */

void loader_flush(struct db *db)
{
    struct loader *l = &db->loader;
    struct db_load *objects = NULL, **objects_last = &objects;
    struct db_load *load = l->first, *waiting = NULL, **waiting_last = &waiting;
    size_t count = 0, names = 0;
    l->first = NULL;
    l->last = &l->first;
    while (load) {
        struct db_load *next = load->own.next;
        load->own.next = NULL;
        struct db_objects *o = &load->objects;
        if (load->kind == DB_LOAD_OBJECTS && !o->found)
            o->found = ARENA_ARRAY(load->arena, o->count ? o->count : 1, struct object *);
        if (load->kind == DB_LOAD_OBJECTS && !o->found) {
            load_defer(load, RC_NO_MEMORY);
        } else if (load->kind != DB_LOAD_OBJECTS) {
            if (conn_ready(db->load))
                single_send(db, load);
            else
                *waiting_last = load, waiting_last = &load->own.next;
        } else if (!conn_ready(db->load) || l->batches >= LOAD_BATCHES ||
                   (count > 0 && count + load->objects.count > LOAD_UIDS)) {
            *waiting_last = load, waiting_last = &load->own.next;
        } else {
            *objects_last = load, objects_last = &load->own.next;
            count += load->objects.count;
            names += load->objects.want & DB_WANT_NAMES ? load->objects.count : 0;
        }
        load = next;
    }
    /* what waits goes before what was queued meanwhile */
    if (waiting) {
        *waiting_last = l->first;
        if (!l->first)
            l->last = waiting_last;
        l->first = waiting;
    }
    if (objects)
        batch_send(db, objects, count, names);
    if (l->first && db->down)
        loader_refuse(db, RC_UNAVAILABLE);
}

void loader_down(struct db *db)
{
    struct loader *l = &db->loader;
    for (unsigned i = 0; i < l->shape_count; i++)
        free(l->shapes[i].sql);
    l->shape_count = 0;
}

void loader_close(struct db *db)
{
    loader_refuse(db, RC_UNAVAILABLE);
    while (db->loader.answers)
        loader_answer(db);
    loader_down(db);
    pg_params_free(&db->loader.params);
}
