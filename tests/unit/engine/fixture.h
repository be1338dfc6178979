/*
 * A whole engine for its tests: a real database on a private PostgreSQL, a real vault on a software
 * TPM, clients known to policy, and requests as bytes. Nothing is played by the test.
 */
#ifndef TESTS_UNIT_ENGINE_FIXTURE_H
#define TESTS_UNIT_ENGINE_FIXTURE_H

#include <check.h>

#include "db/db.h"
#include "proto/kmip/message.h"
#include "server/engine/engine.h"
#include "server/vault/client.h"
#include "tests/support/pg.h"
#include "tests/unit/vault_service/fixture.h"

extern struct pg pg;
#define DATABASE "holdfast"

struct rig {
    struct event_base *base;
    struct db *db;
    struct vault_client *vault;
    struct engine *engine;
    struct session *alice, *bob;
    int spare;          /* a second channel to the vault */
    struct arena arena; /* requests and answers of the test */
};
extern struct rig rig;

/* One request on its way. */
struct sent {
    struct engine_request *handle;
    struct buf raw;               /* the answer as it came */
    struct kmip_response *answer; /* the same, read; NULL if there was none */
    bool ended, closed;
};

/* Unchecked fixture of every case: the vault's hierarchy, made once. */
void rig_once(void);
/* Checked fixtures: with the vault open, and with it still sealed. */
void rig_setup(void);
void rig_setup_sealed(void);
void rig_teardown(void);
void rig_limits(struct engine_limits limits);
/* A new client in policy with one certificate, and a session of it (not logged in). */
struct session *new_session(const char *name);
rc_t login(struct session *s);

/* A request with `count` items; the test fills in the payloads. */
struct kmip_request *request_new(uint16_t version, size_t count);
/* Sets operation and a new payload of item i. */
void *item(struct kmip_request *rq, size_t i, uint32_t operation);
void send_request(struct session *s, const struct kmip_request *rq, struct sent *out);
void send_bytes(struct session *s, struct bytes message, struct sent *out);
void wait_for(struct sent *sent);
/* Sends, waits, returns the answer. */
struct kmip_response *call(struct session *s, const struct kmip_request *rq);

/* Payloads. */
void *create_aes(struct kmip_request *rq, size_t i, const char *name);
void *by_uid(struct kmip_request *rq, size_t i, uint32_t operation, const char *uid);
void *revoke_as(struct kmip_request *rq, size_t i, const char *uid, uint32_t reason);
void *locate_name(struct kmip_request *rq, size_t i, const char *name);
/* A new key of this session; its identifier as text in the rig's arena. */
const char *new_key(struct session *s, const char *name);
/* One operation on one object: Result Reason, 0 for success. */
uint32_t run_one(struct session *s, uint16_t version, uint32_t operation, const char *uid);

/* The text of a unique identifier in a response payload whose first member it is. */
const char *uid_of(const struct kmip_response *r, size_t i);
const char *sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
long sql_number(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Puts one rule in for bob, of these columns beside domain, client and reason; his session learns of it. */
void rule_for_bob(const char *columns, const char *values);
/* None of those any longer. */
void no_rules(void);

#define expect_item(answer, i, status, reason)                                                     \
    do {                                                                                           \
        const struct kmip_response *answer_ = (answer); /* once: it may be a call */               \
        ck_assert_uint_lt((i), answer_->count);                                                    \
        const struct kmip_response_item *item_ = &answer_->items[i];                               \
        ck_assert_msg(item_->result_status == (status) && item_->result_reason == (reason),        \
                      "item %zu: %s: status %u reason %x", (size_t)(i),                            \
                      kmip_operation_text(item_->operation), item_->result_status,                 \
                      item_->result_reason);                                                       \
    } while (0)
#define expect_success(r, i)        expect_item(r, i, KMIP_STATUS_SUCCESS, 0)
#define expect_failed(r, i, reason) expect_item(r, i, KMIP_STATUS_OPERATION_FAILED, reason)

Suite *batch_suite(void);
Suite *attributes_suite(void);
Suite *constraints_suite(void);
Suite *factor_suite(void);
Suite *pace_suite(void);
Suite *pair_suite(void);
Suite *race_suite(void);
Suite *secrecy_suite(void);
Suite *access_suite(void);
Suite *templates_suite(void);
Suite *locate_suite(void);
Suite *trouble_suite(void);
Suite *trace_suite(void);

#endif
