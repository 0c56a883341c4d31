/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/small_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "wire/msgpack_check.h"

static const char *const small_names[4] = {"things", "counts", "tags", "maps"};
static const uint64_t small_types[4] = {MESHSYNC_REGISTER, MESHSYNC_COUNTER, MESHSYNC_SET,
                                        MESHSYNC_MAP};

void small_must(bool good)
{
    if (!good) {
        abort();
    }
}

meshsync_status small_open(struct msy_alloc *alloc, struct msy_store *store,
                           const struct msy_identity *identity, struct msy_prng *prng,
                           struct msy_replica **replica)
{
    struct msy_replica_options options = {.alloc = alloc,
                                          .store = store,
                                          .identity = identity,
                                          .entropy = msy_prng_entropy(prng),
                                          .clock_ahead_ms_max = 60000};
    return msy_replica_open(&options, (uint64_t)SMALL_NOW_MS * 1000000, replica, NULL);
}

meshsync_status small_step(struct msy_alloc *alloc, struct msy_replica *replica,
                           struct msy_replica_event *event, meshsync_status *answer)
{
    struct msy_replica_effects effects;
    *answer = MESHSYNC_OK;
    event->id = 1;
    msy_replica_effects_init(&effects, alloc);
    meshsync_status status =
        msy_replica_step(replica, event, 1, (uint64_t)SMALL_NOW_MS * 1000000, NULL, NULL, &effects);
    for (uint32_t i = 0; i < effects.count; i++) {
        if (effects.items[i].id == 1) {
            *answer = effects.items[i].status;
        }
    }
    msy_replica_effects_fini(&effects);
    return status;
}

static meshsync_status small_commit(struct msy_alloc *alloc, struct msy_replica *replica,
                                    const struct msy_intent *intent, meshsync_status *answer)
{
    struct msy_request request;
    struct msy_replica_event event = {
        .type = MSY_REPLICA_COMMIT, .space = SMALL_SPACE, .request = &request};
    msy_request_init(&request, alloc);
    meshsync_status status = msy_request_add(&request, intent);
    if (status == MESHSYNC_OK) {
        status = small_step(alloc, replica, &event, answer);
    }
    msy_request_fini(&request);
    return status;
}

meshsync_status small_put(struct msy_alloc *alloc, struct msy_replica *replica, uint8_t name,
                          meshsync_status *answer)
{
    uint8_t path[8];
    size_t len = 0;
    static const uint8_t value[3] = {0xA2, 'o', 'k'};
    small_must(msy_path_append(path, &len, sizeof path, msy_bytes(&name, 1)));
    struct msy_intent intent = {.type = MSY_INTENT_PUT,
                                .collection = msy_key_name("things"),
                                .path = msy_bytes(path, len),
                                .payload = msy_bytes(value, sizeof value)};
    return small_commit(alloc, replica, &intent, answer);
}

/* What the control record of a collection says: version, type, view, no merge function. */
static void small_schema(struct small_store *small, struct msy_replica *replica, uint32_t index)
{
    struct msy_buf array;
    struct msy_buf payload;
    uint8_t path[64];
    size_t len = 0;
    meshsync_status answer = MESHSYNC_OK;
    msy_buf_init(&array, &small->alloc, 1024);
    msy_buf_init(&payload, &small->alloc, 1024);
    const uint64_t numbers[3] = {1, small_types[index],
                                 small_types[index] == MESHSYNC_REGISTER ? MESHSYNC_VIEW_MV : 0};
    small_must(msy_mp_put_array(&array, 6) == MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) {
        small_must(msy_mp_put_uint(&array, numbers[i]) == MESHSYNC_OK);
    }
    small_must(msy_mp_put_str(&array, msy_key_name("")) == MESHSYNC_OK &&
               msy_mp_put_uint(&array, 0) == MESHSYNC_OK &&
               msy_mp_put_uint(&array, 0) == MESHSYNC_OK &&
               msy_mp_put_ext(&payload, 2, msy_buf_bytes(&array)) == MESHSYNC_OK &&
               msy_path_append(path, &len, sizeof path, msy_key_name("schema")) &&
               msy_path_append(path, &len, sizeof path, msy_key_name(small_names[index])));
    struct msy_intent intent = {
        .type = MSY_INTENT_PUT, .path = msy_bytes(path, len), .payload = msy_buf_bytes(&payload)};
    small_must(small_commit(&small->alloc, replica, &intent, &answer) == MESHSYNC_OK &&
               answer == MESHSYNC_OK);
    msy_buf_fini(&array);
    msy_buf_fini(&payload);
}

/* Writes of every kind, some over others. */
static void small_fill(struct small_store *small, struct msy_replica *replica)
{
    static const uint8_t number[1] = {0x07};
    static uint8_t text[400] = {0xC5, 0x01, 0x8D}; /* A bin of 397 zeros: its leaf points at it. */
    static const struct {
        enum msy_intent_type type;
        uint8_t collection, name, below;
        size_t len;
    } writes[] = {
        {MSY_INTENT_PUT, 0, 'a', 0, 1},          {MSY_INTENT_ADD, 1, 'n', 0, 1},
        {MSY_INTENT_SET_ADD, 2, 's', 'x', 0},    {MSY_INTENT_PUT, 3, 'm', 'f', 1},
        {MSY_INTENT_PUT, 0, 'a', 0, 400},        {MSY_INTENT_ADD, 1, 'n', 0, 1},
        {MSY_INTENT_SET_REMOVE, 2, 's', 'x', 0}, {MSY_INTENT_DELETE, 3, 'm', 0, 0},
        {MSY_INTENT_DELETE, 1, 'n', 0, 0},       {MSY_INTENT_ADD, 1, 'n', 0, 1},
        {MSY_INTENT_SET_ADD, 2, 's', 'y', 0},    {MSY_INTENT_PUT, 3, 'm', 'g', 1},
        {MSY_INTENT_PUT, 0, 'b', 0, 1},          {MSY_INTENT_DELETE, 0, 'a', 0, 0},
        {MSY_INTENT_PUT, 0, 'c', 0, 400},        {MSY_INTENT_PUT, 0, 'b', 0, 1},
    };
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        uint8_t path[16];
        size_t len = 0;
        meshsync_status answer = MESHSYNC_OK;
        small_must(msy_path_append(path, &len, sizeof path, msy_bytes(&writes[i].name, 1)));
        small_must(writes[i].below == 0 ||
                   msy_path_append(path, &len, sizeof path, msy_bytes(&writes[i].below, 1)));
        struct msy_intent intent = {
            .type = writes[i].type,
            .collection = msy_key_name(small_names[writes[i].collection]),
            .path = msy_bytes(path, len),
            .payload = msy_bytes(writes[i].len > 1 ? text : number, writes[i].len)};
        small_must(small_commit(&small->alloc, replica, &intent, &answer) == MESHSYNC_OK &&
                   answer == MESHSYNC_OK);
    }
}

struct small_store *small_store(void)
{
    static struct small_store small;
    struct msy_replica *replica = NULL;
    meshsync_status answer = MESHSYNC_OK;
    uint8_t seed[32] = {5};
    struct msy_replica_event create = {.type = MSY_REPLICA_CREATE, .bytes = msy_key_name("small")};
    if (small.store != NULL) {
        return &small;
    }
    small_must(msy_crypto_init() == MESHSYNC_OK);
    msy_alloc_init(&small.alloc, NULL, NULL, 0);
    msy_prng_init(&small.prng, 1);
    small_must(msy_identity_new(seed, &small.identity, NULL) == MESHSYNC_OK);
    small_must(msy_store_open_memory(&small.alloc, &small.store, NULL) == MESHSYNC_OK);
    small_must(small_open(&small.alloc, small.store, small.identity, &small.prng, &replica) ==
               MESHSYNC_OK);
    small_must(small_step(&small.alloc, replica, &create, &answer) == MESHSYNC_OK);
    for (uint32_t i = 0; i < 4; i++) {
        small_schema(&small, replica, i);
    }
    small_must(small_put(&small.alloc, replica, 'e', &answer) == MESHSYNC_OK);
    small_must(msy_store_memory_clone(small.store, &small.early) == MESHSYNC_OK);
    small_fill(&small, replica);
    msy_replica_close(replica);
    return &small;
}
