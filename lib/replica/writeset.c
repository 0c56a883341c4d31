/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/writeset.h"

#include <stdlib.h>

#include "base/error.h"

enum { WRITESET_SLOTS_MIN = 1024, DIGEST_VALUE_BYTES = 8 + MSY_LTHASH_BYTES };

void msy_writeset_init(struct msy_writeset *set, struct msy_alloc *alloc,
                       const uint8_t hash_key[16])
{
    memset(set, 0, sizeof *set);
    set->alloc = alloc;
    memcpy(set->hash_key, hash_key, sizeof set->hash_key);
    msy_arena_init(&set->arena, alloc);
    msy_buf_init(&set->scratch, alloc, (size_t)MESHSYNC_VALUE_BYTES_MAX * 4);
}

void msy_writeset_fini(struct msy_writeset *set)
{
    for (uint32_t row = 0; row < set->pool_rows; row++) {
        for (uint32_t i = 0; i < MSY_WS_POOL_LEAVES; i++) {
            if (set->pool[row][i].leaf.alloc != NULL) {
                msy_leaf_fini(&set->pool[row][i].leaf);
            }
        }
        msy_free(set->alloc, set->pool[row], MSY_WS_POOL_LEAVES * sizeof **set->pool);
    }
    msy_free(set->alloc, set->slots, set->slots_cap * sizeof *set->slots);
    msy_free(set->alloc, set->sorted, set->sorted_cap * sizeof *set->sorted);
    msy_free(set->alloc, set->digests, set->digests_cap * sizeof *set->digests);
    msy_free(set->alloc, set->dots, set->dots_cap * sizeof *set->dots);
    msy_free(set->alloc, set->parts, MSY_WS_CHUNKS_MAX * sizeof *set->parts);
    msy_arena_fini(&set->arena);
    msy_buf_fini(&set->scratch);
}

void msy_writeset_begin(struct msy_writeset *set, struct msy_store_txn *txn)
{
    set->txn = txn;
    if (set->count > 0) {
        memset(set->slots, 0, set->slots_cap * sizeof *set->slots);
    }
    set->count = 0;
    set->digests_count = 0;
    set->dots_count = 0;
    msy_arena_reset(&set->arena);
}

void msy_writeset_drop_lent(struct msy_writeset *set)
{
    if (set->count > 0) {
        memset(set->slots, 0, set->slots_cap * sizeof *set->slots);
    }
    set->count = 0;
}

static struct msy_ws_leaf *writeset_at(const struct msy_writeset *set, uint32_t i)
{
    return &set->pool[i / MSY_WS_POOL_LEAVES][i % MSY_WS_POOL_LEAVES];
}

static void writeset_link(struct msy_writeset *set, struct msy_ws_leaf *leaf)
{
    uint32_t mask = set->slots_cap - 1;
    uint32_t at = (uint32_t)leaf->key_hash & mask;
    while (set->slots[at] != NULL) {
        at = (at + 1) & mask;
    }
    set->slots[at] = leaf;
}

static meshsync_status writeset_grow_slots(struct msy_writeset *set)
{
    if ((set->count + 1) * 2 <= set->slots_cap) {
        return MESHSYNC_OK;
    }
    uint32_t cap = set->slots_cap == 0 ? WRITESET_SLOTS_MIN : set->slots_cap * 2;
    struct msy_ws_leaf **slots =
        (struct msy_ws_leaf **)msy_new_array(set->alloc, cap, sizeof *slots);
    if (slots == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    msy_free(set->alloc, set->slots, set->slots_cap * sizeof *set->slots);
    set->slots = slots;
    set->slots_cap = cap;
    for (uint32_t i = 0; i < set->count; i++) {
        writeset_link(set, writeset_at(set, i));
    }
    return MESHSYNC_OK;
}

/* The next leaf of the pool; its arrays are kept from batch to batch. */
static struct msy_ws_leaf *writeset_new_leaf(struct msy_writeset *set)
{
    uint32_t row = set->count / MSY_WS_POOL_LEAVES;
    if (row >= MSY_WS_POOL_ROWS) {
        return NULL;
    }
    if (row == set->pool_rows) {
        set->pool[row] =
            (struct msy_ws_leaf *)msy_new_array(set->alloc, MSY_WS_POOL_LEAVES, sizeof **set->pool);
        if (set->pool[row] == NULL) {
            return NULL;
        }
        set->pool_rows += 1;
    }
    struct msy_ws_leaf *leaf = writeset_at(set, set->count);
    if (leaf->leaf.alloc == NULL) {
        msy_leaf_init(&leaf->leaf, set->alloc);
    }
    msy_leaf_reset(&leaf->leaf);
    leaf->dirty = false;
    leaf->existed = false;
    leaf->below = false;
    return leaf;
}

meshsync_bytes msy_writeset_keep(struct msy_writeset *set, meshsync_bytes bytes)
{
    uint8_t *copy = (uint8_t *)msy_arena_take(&set->arena, bytes.len == 0 ? 1 : bytes.len);
    if (copy != NULL && bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return msy_bytes(copy, bytes.len);
}

static struct msy_ws_leaf *writeset_find(const struct msy_writeset *set, meshsync_bytes key,
                                         uint64_t hash)
{
    if (set->slots_cap == 0) {
        return NULL;
    }
    uint32_t mask = set->slots_cap - 1;
    for (uint32_t at = (uint32_t)hash & mask; set->slots[at] != NULL; at = (at + 1) & mask) {
        struct msy_ws_leaf *leaf = set->slots[at];
        if (leaf->key_hash == hash && leaf->key_len == key.len &&
            memcmp(leaf->key, key.data, key.len) == 0) {
            return leaf;
        }
    }
    return NULL;
}

meshsync_status msy_writeset_leaf_key(struct msy_writeset *set, meshsync_bytes key,
                                      struct msy_ws_leaf **out)
{
    uint64_t hash = msy_hash_short(set->hash_key, key);
    meshsync_bytes value;
    *out = writeset_find(set, key, hash);
    if (*out != NULL) {
        return MESHSYNC_OK;
    }
    meshsync_status status = writeset_grow_slots(set);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_ws_leaf *leaf = writeset_new_leaf(set);
    meshsync_bytes kept = msy_writeset_keep(set, key);
    if (leaf == NULL || kept.data == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    leaf->key = kept.data;
    leaf->key_len = (uint32_t)key.len;
    leaf->key_hash = hash;
    leaf->space = msy_get_be32(key.data);
    status = msy_store_get(set->txn, MSY_TABLE_STATE, kept, &value);
    if (status == MESHSYNC_OK) {
        value = msy_writeset_keep(set, value);
        leaf->existed = true;
        status =
            value.data == NULL ? MESHSYNC_E_NO_MEMORY : msy_leaf_read(&leaf->leaf, kept, value);
    } else if (status == MESHSYNC_E_NOT_FOUND) {
        status = MESHSYNC_OK;
    }
    if (status == MESHSYNC_OK) {
        set->count += 1;
        writeset_link(set, leaf);
        *out = leaf;
    }
    return status;
}

meshsync_status msy_writeset_leaf(struct msy_writeset *set, uint32_t space, uint32_t collection,
                                  meshsync_bytes path, struct msy_ws_leaf **leaf)
{
    uint8_t key[MSY_KEY_BYTES_MAX];
    if (path.len > MESHSYNC_PATH_BYTES_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    return msy_writeset_leaf_key(set, msy_key_state(key, space, collection, path), leaf);
}

meshsync_status msy_writeset_digest(struct msy_writeset *set, uint32_t space, uint32_t collection,
                                    struct msy_ws_digest **out)
{
    uint8_t key[8];
    meshsync_bytes value;
    for (uint32_t i = 0; i < set->digests_count; i++) {
        if (set->digests[i].space == space && set->digests[i].collection == collection) {
            *out = &set->digests[i];
            return MESHSYNC_OK;
        }
    }
    if (set->digests_count == set->digests_cap) {
        uint32_t cap = set->digests_cap == 0 ? 4 : set->digests_cap * 2;
        struct msy_ws_digest *grown = (struct msy_ws_digest *)msy_resize(
            set->alloc, set->digests, set->digests_cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        set->digests = grown;
        set->digests_cap = cap;
    }
    struct msy_ws_digest *digest = &set->digests[set->digests_count];
    memset(digest, 0, sizeof *digest);
    digest->space = space;
    digest->collection = collection;
    meshsync_status status =
        msy_store_get(set->txn, MSY_TABLE_DIGEST, msy_key_digest(key, space, collection), &value);
    if (status == MESHSYNC_OK) {
        if (value.len != DIGEST_VALUE_BYTES) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
        digest->entries = msy_get_be64(value.data);
        memcpy(digest->sum.sums, value.data + 8, MSY_LTHASH_BYTES);
    } else if (status != MESHSYNC_E_NOT_FOUND) {
        return status;
    }
    set->digests_count += 1;
    *out = digest;
    return MESHSYNC_OK;
}

/* ---- Sums ---- */

static void writeset_sum(struct msy_lthash *sum, const struct msy_ws_dot *dot)
{
    if (dot->add) {
        msy_lthash_add(sum, dot->key, dot->nonce);
    } else {
        msy_lthash_remove(sum, dot->key, dot->nonce);
    }
}

static uint32_t writeset_chunk_end(const struct msy_writeset *set, uint32_t chunk)
{
    uint32_t end = (chunk + 1) * MSY_WS_CHUNK_DOTS;
    return end < set->dots_count ? end : set->dots_count;
}

static void writeset_sum_chunk(void *user, uint32_t chunk)
{
    struct msy_writeset *set = (struct msy_writeset *)user;
    const struct msy_ws_dot *first = &set->dots[(size_t)chunk * MSY_WS_CHUNK_DOTS];
    const struct msy_ws_dot *end = &set->dots[writeset_chunk_end(set, chunk)];
    struct msy_lthash *part = &set->parts[chunk];
    set->mixed[chunk] = false;
    for (const struct msy_ws_dot *dot = first; dot < end; dot++) {
        set->mixed[chunk] = set->mixed[chunk] || dot->digest != first->digest;
    }
    if (set->mixed[chunk]) {
        return;
    }
    memset(part, 0, sizeof *part);
    for (const struct msy_ws_dot *dot = first; dot < end; dot++) {
        writeset_sum(part, dot);
    }
}

/* The sums of the chunks are begun here and used by writeset_fold; no dot comes in between. */
static meshsync_status writeset_fold_begin(struct msy_writeset *set)
{
    if (set->parts == NULL && set->dots_count > 0) {
        set->parts =
            (struct msy_lthash *)msy_new_array(set->alloc, MSY_WS_CHUNKS_MAX, sizeof *set->parts);
        if (set->parts == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
    }
    msy_crew_start(set->crew, writeset_sum_chunk, set,
                   (set->dots_count + MSY_WS_CHUNK_DOTS - 1) / MSY_WS_CHUNK_DOTS);
    return MESHSYNC_OK;
}

static void writeset_fold(struct msy_writeset *set)
{
    msy_crew_finish(set->crew);
    for (uint32_t chunk = 0; chunk * MSY_WS_CHUNK_DOTS < set->dots_count; chunk++) {
        uint32_t at = chunk * MSY_WS_CHUNK_DOTS;
        if (!set->mixed[chunk]) {
            msy_lthash_join(&set->digests[set->dots[at].digest].sum, &set->parts[chunk]);
            continue;
        }
        for (uint32_t end = writeset_chunk_end(set, chunk); at < end; at++) {
            writeset_sum(&set->digests[set->dots[at].digest].sum, &set->dots[at]);
        }
    }
    set->dots_count = 0;
}

meshsync_status msy_writeset_dot(struct msy_writeset *set, const struct msy_ws_digest *digest,
                                 const uint8_t key[32], const uint8_t nonce[12], bool add)
{
    if (set->dots_count == MSY_WS_DOTS_MAX) {
        meshsync_status status = writeset_fold_begin(set);
        if (status != MESHSYNC_OK) {
            return status;
        }
        writeset_fold(set);
    }
    if (set->dots_count == set->dots_cap) {
        uint32_t cap = set->dots_cap == 0 ? MSY_WS_CHUNK_DOTS : set->dots_cap * 2;
        struct msy_ws_dot *grown = (struct msy_ws_dot *)msy_resize(
            set->alloc, set->dots, set->dots_cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        set->dots = grown;
        set->dots_cap = cap;
    }
    struct msy_ws_dot *dot = &set->dots[set->dots_count];
    memcpy(dot->key, key, sizeof dot->key);
    memcpy(dot->nonce, nonce, sizeof dot->nonce);
    dot->digest = (uint32_t)(digest - set->digests);
    dot->add = add;
    set->dots_count += 1;
    return MESHSYNC_OK;
}

static int writeset_order(const void *a, const void *b)
{
    const struct msy_ws_leaf *left = *(struct msy_ws_leaf *const *)a;
    const struct msy_ws_leaf *right = *(struct msy_ws_leaf *const *)b;
    return msy_bytes_compare(msy_bytes(left->key, left->key_len),
                             msy_bytes(right->key, right->key_len));
}

struct msy_ws_leaf *msy_writeset_cached(const struct msy_writeset *set, meshsync_bytes key)
{
    return writeset_find(set, key, msy_hash_short(set->hash_key, key));
}

meshsync_status msy_writeset_put(struct msy_writeset *set, meshsync_bytes key,
                                 const struct msy_leaf *leaf)
{
    msy_buf_reset(&set->scratch);
    meshsync_status status = msy_leaf_write(leaf, key, &set->scratch);
    if (status == MESHSYNC_OK) {
        status = msy_store_put(set->txn, MSY_TABLE_STATE, key, msy_buf_bytes(&set->scratch),
                               MSY_PUT_ANY);
    }
    return status;
}

meshsync_status msy_writeset_flush_leaves(struct msy_writeset *set)
{
    uint32_t dirty = 0;
    if (set->sorted_cap < set->count) {
        uint32_t cap = set->slots_cap;
        struct msy_ws_leaf **grown = (struct msy_ws_leaf **)msy_resize(
            set->alloc, set->sorted, set->sorted_cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        set->sorted = grown;
        set->sorted_cap = cap;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        struct msy_ws_leaf *leaf = writeset_at(set, i);
        if (leaf->dirty) {
            set->sorted[dirty] = leaf;
            dirty += 1;
        }
    }
    if (dirty > 1) {
        qsort(set->sorted, dirty, sizeof *set->sorted, writeset_order);
    }
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < dirty && status == MESHSYNC_OK; i++) {
        struct msy_ws_leaf *leaf = set->sorted[i];
        status = msy_writeset_put(set, msy_bytes(leaf->key, leaf->key_len), &leaf->leaf);
        if (status == MESHSYNC_OK) {
            leaf->dirty = false;
        }
    }
    return status;
}

meshsync_status msy_writeset_flush(struct msy_writeset *set)
{
    meshsync_status status = writeset_fold_begin(set);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_writeset_flush_leaves(set);
    writeset_fold(set);
    for (uint32_t i = 0; i < set->digests_count && status == MESHSYNC_OK; i++) {
        struct msy_ws_digest *digest = &set->digests[i];
        uint8_t key[8];
        uint8_t value[DIGEST_VALUE_BYTES];
        if (!digest->dirty) {
            continue;
        }
        msy_put_be64(value, digest->entries);
        memcpy(value + 8, digest->sum.sums, MSY_LTHASH_BYTES);
        status = msy_store_put(set->txn, MSY_TABLE_DIGEST,
                               msy_key_digest(key, digest->space, digest->collection),
                               msy_bytes(value, sizeof value), MSY_PUT_ANY);
        digest->dirty = status != MESHSYNC_OK;
    }
    return status;
}
