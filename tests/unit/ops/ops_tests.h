/*
 * Tools of the tests of server/ops: an item in a version, run through its pure functions the way
 * the engine does, with replies of the vault as data.
 */
#ifndef TESTS_UNIT_OPS_TESTS_H
#define TESTS_UNIT_OPS_TESTS_H

#include <check.h>

#include "server/ops/op.h"
#include "server/policy/rules.h"

enum { NOW = 1700000000 };

/* All that one item needs; ops_world() makes it anew for each case. */
struct world {
    struct arena arena;
    struct identity who;
    struct op_limits limits;
    struct op_server server;
    struct op_ids ids;
    struct uid all[8];
    struct op_item item;
    struct object object; /* what a load would have found */
    struct bytes plain;   /* what the vault gives; empty: a key of 32 bytes */
    uint32_t told_curve;  /* what it finds in a registered key */
};

void world_open(struct world *w, uint32_t operation, uint16_t version);
void world_close(struct world *w);
/* A new request payload of this operation, given to the item. */
void *world_request(struct world *w);
/* prepare, authorise w->object (if the item wants one), perform, replies, complete. */
rc_t world_run(struct world *w);
/* The owner's AES-256 key in this state, with all dates that go with it. */
void world_key(struct world *w, uint32_t state);
/* What this version shows of the object that the item made or changed. */
struct kmip_attributes world_attributes(struct world *w);
/* The response of the item encodes in its version; returns its size. */
size_t world_encode(struct world *w);

/* The rules that every domain begins with, as policy.for_client() says them. */
#define FIRST_RULES                                                                                                    \
    "{\"rules\":[{\"id\":1,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],\"owner\":\"self\"},"         \
    "{\"id\":2,\"policy\":\"*\",\"effect\":\"allow\",\"permissions\":[\"*\"],\"owner\":\"group\"},"                    \
    "{\"id\":3,\"policy\":\"public\",\"effect\":\"allow\",\"owner\":\"any\","                                          \
    "\"permissions\":[\"locate\",\"check\",\"get\",\"get-attributes\",\"get-attribute-list\"]}],"                      \
    "\"second_factor\":false,\"quirks\":[]}"

/* Clients beside the one that asks, and an object, in texts of rules. */
#define MATE  "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define OTHER "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
#define THING "01900000-0000-7000-8000-000000000001"

/* What the text, as of policy.for_client(), says. */
struct policy_set *parsed_rules(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

extern const uint16_t every_version[KMIP_VERSION_COUNT];

Suite *policy_suite(void);
Suite *rules_suite(void);
Suite *decide_suite(void);
Suite *make_suite(void);
Suite *pair_suite(void);
Suite *read_suite(void);
Suite *attributes_suite(void);
Suite *lifecycle_suite(void);
Suite *locate_suite(void);
Suite *query_suite(void);
Suite *check_suite(void);
Suite *cipher_suite(void);
Suite *template_suite(void);
Suite *bounds_suite(void);

#endif
