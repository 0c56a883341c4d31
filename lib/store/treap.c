/* SPDX-License-Identifier: Apache-2.0 */
#include "store/treap.h"

#include <string.h>

/* What of a key lies in its node: enough to tell most keys apart without a look at them. Those of
 * nearly all tables begin with four bytes that are the same in all of a space. */
enum { HINT_HEAD_BYTES = 4, HINT_BYTES = 12 };
struct treap_hint {
    uint32_t head; /* Big endian, zeros where the key ends. */
    uint64_t tail;
};

/* One key with its value: shared by the copies of its node. */
struct treap_entry {
    uint32_t refs; /* Atomic. */
    uint64_t priority;
    size_t key_len;
    size_t value_len;
    uint8_t bytes[]; /* Key, then value. */
};

/* Higher priorities are nearer to the root; equal ones may stand either way. */
struct msy_treap_node {
    uint32_t refs; /* Atomic. */
    union {
        struct treap_entry *entry;   /* A share. */
        struct msy_treap_node *next; /* In a list of nodes that are spare or to be freed. */
    } as;
    struct msy_treap_node *left;
    struct msy_treap_node *right;
    struct treap_hint hint; /* Of the entry's key. */
};

static struct treap_hint treap_hint(meshsync_bytes key)
{
    uint8_t bytes[HINT_BYTES] = {0};
    if (key.len >= HINT_BYTES) {
        memcpy(bytes, key.data, HINT_BYTES);
    } else if (key.len > 0) {
        memcpy(bytes, key.data, key.len);
    }
    return (struct treap_hint){msy_get_be32(bytes), msy_get_be64(bytes + HINT_HEAD_BYTES)};
}

static size_t entry_size(const struct treap_entry *entry)
{
    return sizeof *entry + entry->key_len + entry->value_len;
}

static meshsync_bytes entry_key(const struct treap_entry *entry)
{
    return (meshsync_bytes){entry->bytes, entry->key_len};
}

static meshsync_bytes entry_value(const struct treap_entry *entry)
{
    return (meshsync_bytes){entry->bytes + entry->key_len, entry->value_len};
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the atomic call writes through it. */
static void refs_take(uint32_t *refs)
{
    (void)__atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
}

/* True for the last one: what others did with it is then visible here. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the atomic call writes through it. */
static bool refs_give(uint32_t *refs)
{
    return __atomic_fetch_sub(refs, 1, __ATOMIC_ACQ_REL) == 1;
}

static void entry_give(struct treap_entry *entry, struct msy_alloc *alloc)
{
    if (refs_give(&entry->refs)) {
        msy_free(alloc, entry, entry_size(entry));
    }
}

static struct msy_treap_node *node_share(struct msy_treap_node *node)
{
    if (node != NULL) {
        refs_take(&node->refs);
    }
    return node;
}

/* The bits of a key, well mixed: FNV-1a, then the finish of splitmix64. */
static uint64_t treap_priority(meshsync_bytes key)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ key.data[i]) * UINT64_C(0x100000001B3);
    }
    hash = (hash ^ hash >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94D049BB133111EB);
    return hash ^ hash >> 31;
}

void msy_treap_pool_init(struct msy_treap_pool *pool, struct msy_alloc *alloc)
{
    pool->alloc = alloc;
    pool->spare = NULL;
    pool->spare_count = 0;
}

void msy_treap_pool_fini(struct msy_treap_pool *pool)
{
    while (pool->spare != NULL) {
        struct msy_treap_node *node = pool->spare;
        pool->spare = node->as.next;
        msy_free(pool->alloc, node, sizeof *node);
    }
    pool->spare_count = 0;
}

static meshsync_status pool_fill(struct msy_treap_pool *pool, size_t count)
{
    while (pool->spare_count < count) {
        struct msy_treap_node *node = msy_new(pool->alloc, sizeof *node);
        if (node == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        node->as.next = pool->spare;
        pool->spare = node;
        pool->spare_count++;
    }
    return MESHSYNC_OK;
}

/* Only within a change, for which pool_fill provided. */
static struct msy_treap_node *pool_take(struct msy_treap_pool *pool)
{
    struct msy_treap_node *node = pool->spare;
    pool->spare = node->as.next;
    pool->spare_count--;
    node->refs = 1;
    return node;
}

struct msy_treap msy_treap_share(const struct msy_treap *treap)
{
    (void)node_share(treap->root);
    return *treap;
}

/* Puts a node whose last share was given on the list; its children are still to be given. */
static void node_bury(struct msy_treap_node *node, struct msy_treap_node **dead,
                      struct msy_alloc *alloc)
{
    entry_give(node->as.entry, alloc);
    node->as.next = *dead;
    *dead = node;
}

/* Gives a share of a tree back: a list of the dead stands in for recursion. */
static void node_give(struct msy_treap_node *node, struct msy_alloc *alloc)
{
    struct msy_treap_node *dead = NULL;
    if (node != NULL && refs_give(&node->refs)) {
        node_bury(node, &dead, alloc);
    }
    while (dead != NULL) {
        struct msy_treap_node *at = dead;
        dead = at->as.next;
        if (at->left != NULL && refs_give(&at->left->refs)) {
            node_bury(at->left, &dead, alloc);
        }
        if (at->right != NULL && refs_give(&at->right->refs)) {
            node_bury(at->right, &dead, alloc);
        }
        msy_free(alloc, at, sizeof *at);
    }
}

void msy_treap_drop(struct msy_treap *treap, struct msy_alloc *alloc)
{
    node_give(treap->root, alloc);
    memset(treap, 0, sizeof *treap);
}

/* A key that is looked for, as nodes are compared with it. */
struct treap_sought {
    meshsync_bytes key;
    struct treap_hint hint;
};

static struct treap_sought treap_seek(meshsync_bytes key)
{
    return (struct treap_sought){key, treap_hint(key)};
}

/* Bytes that differ order hints as they order keys; zeros after a key's end come before all. */
static int node_compare(const struct msy_treap_node *node, const struct treap_sought *sought)
{
    if (node->hint.head != sought->hint.head) {
        return node->hint.head < sought->hint.head ? -1 : 1;
    }
    if (node->hint.tail != sought->hint.tail) {
        return node->hint.tail < sought->hint.tail ? -1 : 1;
    }
    return msy_bytes_compare(entry_key(node->as.entry), sought->key);
}

static struct msy_treap_node *treap_lookup(const struct msy_treap *treap, meshsync_bytes key)
{
    const struct treap_sought sought = treap_seek(key);
    struct msy_treap_node *node = treap->root;
    while (node != NULL) {
        int order = node_compare(node, &sought);
        if (order == 0) {
            return node;
        }
        node = order > 0 ? node->left : node->right;
    }
    return NULL;
}

bool msy_treap_get(const struct msy_treap *treap, meshsync_bytes key, meshsync_bytes *value)
{
    const struct msy_treap_node *node = treap_lookup(treap, key);
    if (node == NULL) {
        return false;
    }
    *value = entry_value(node->as.entry);
    return true;
}

/* Looking for the least entry that is far enough to the right: may it be left of this one? */
static bool move_goes_left(enum msy_store_move move, const struct msy_treap_node *node,
                           const struct treap_sought *sought)
{
    switch (move) {
    case MSY_MOVE_FIRST: return true;
    case MSY_MOVE_LAST: return false;
    case MSY_MOVE_AT_LEAST: return node_compare(node, sought) >= 0;
    case MSY_MOVE_NEXT: return node_compare(node, sought) > 0;
    case MSY_MOVE_BEFORE:
    case MSY_MOVE_PREV: return node_compare(node, sought) >= 0;
    }
    return false;
}

static bool move_is_forward(enum msy_store_move move)
{
    return move == MSY_MOVE_FIRST || move == MSY_MOVE_AT_LEAST || move == MSY_MOVE_NEXT;
}

bool msy_treap_find(const struct msy_treap *treap, enum msy_store_move move, meshsync_bytes key,
                    meshsync_bytes *found_key, meshsync_bytes *value)
{
    const struct treap_sought sought = treap_seek(key);
    bool forward = move_is_forward(move);
    const struct msy_treap_node *best = NULL;
    const struct msy_treap_node *node = treap->root;
    while (node != NULL) {
        bool left = move_goes_left(move, node, &sought);
        if (left == forward) {
            best = node; /* It qualifies; a nearer one may follow. */
        }
        node = left ? node->left : node->right;
    }
    if (best == NULL) {
        return false;
    }
    *found_key = entry_key(best->as.entry);
    *value = entry_value(best->as.entry);
    return true;
}

/* Makes the node in the slot, which the writer reaches by nodes of its own, its own too. */
static struct msy_treap_node *node_own(struct msy_treap_node **slot, struct msy_treap_pool *pool)
{
    struct msy_treap_node *node = *slot;
    if (__atomic_load_n(&node->refs, __ATOMIC_ACQUIRE) == 1) {
        return node;
    }
    struct msy_treap_node *copy = pool_take(pool);
    copy->as.entry = node->as.entry;
    refs_take(&copy->as.entry->refs);
    copy->left = node_share(node->left);
    copy->right = node_share(node->right);
    copy->hint = node->hint;
    *slot = copy;
    node_give(node, pool->alloc);
    return copy;
}

/* Nodes on the way to where key is or would be; is it there? */
static size_t treap_path_count(const struct msy_treap *treap, meshsync_bytes key, bool *found)
{
    const struct treap_sought sought = treap_seek(key);
    size_t count = 0;
    const struct msy_treap_node *node = treap->root;
    *found = false;
    while (node != NULL) {
        int order = node_compare(node, &sought);
        count++;
        *found = *found || order == 0;
        node = order > 0 ? node->left : node->right;
    }
    return count;
}

/* The slot of an entry that is there, all nodes above it owned. */
static struct msy_treap_node **treap_own_path(struct msy_treap *treap, struct msy_treap_pool *pool,
                                              meshsync_bytes key)
{
    const struct treap_sought sought = treap_seek(key);
    struct msy_treap_node **slot = &treap->root;
    while (*slot != NULL) {
        int order = node_compare(*slot, &sought);
        if (order == 0) {
            break;
        }
        struct msy_treap_node *node = node_own(slot, pool);
        slot = order > 0 ? &node->left : &node->right;
    }
    return slot;
}

/* Hangs a new node where its priority belongs, and splits what was there around it. */
static void treap_insert(struct msy_treap *treap, struct msy_treap_pool *pool,
                         struct treap_entry *entry)
{
    const struct treap_sought sought = treap_seek(entry_key(entry));
    struct msy_treap_node **slot = &treap->root;
    while (*slot != NULL && (*slot)->as.entry->priority >= entry->priority) {
        struct msy_treap_node *node = node_own(slot, pool);
        slot = node_compare(node, &sought) > 0 ? &node->left : &node->right;
    }
    struct msy_treap_node *rest = *slot;
    struct msy_treap_node *made = pool_take(pool);
    made->as.entry = entry;
    made->hint = sought.hint;
    *slot = made;
    struct msy_treap_node **less = &made->left;
    struct msy_treap_node **more = &made->right;
    while (rest != NULL) {
        struct msy_treap_node *node = node_own(&rest, pool);
        if (node_compare(node, &sought) < 0) {
            *less = node;
            less = &node->right;
            rest = node->right;
        } else {
            *more = node;
            more = &node->left;
            rest = node->left;
        }
    }
    *less = NULL;
    *more = NULL;
}

/* Hangs an entry in place of that of the same key. False: there is none. */
static bool treap_replace(struct msy_treap *treap, struct msy_treap_pool *pool,
                          struct treap_entry *entry)
{
    struct msy_treap_node **slot = treap_own_path(treap, pool, entry_key(entry));
    if (*slot == NULL) {
        return false;
    }
    struct msy_treap_node *node = node_own(slot, pool);
    treap->bytes -= node->as.entry->value_len;
    treap->bytes += entry->value_len;
    entry_give(node->as.entry, pool->alloc);
    node->as.entry = entry;
    return true;
}

meshsync_status msy_treap_put(struct msy_treap *treap, struct msy_treap_pool *pool,
                              meshsync_bytes key, size_t value_len, uint8_t **value)
{
    bool found = false;
    meshsync_status status = pool_fill(pool, treap_path_count(treap, key, &found) + 1);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct treap_entry *entry = msy_new(pool->alloc, sizeof *entry + key.len + value_len);
    if (entry == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    entry->refs = 1;
    entry->priority = treap_priority(key);
    entry->key_len = key.len;
    entry->value_len = value_len;
    memcpy(entry->bytes, key.data, key.len);
    if (!found || !treap_replace(treap, pool, entry)) {
        treap_insert(treap, pool, entry);
        treap->entries_count++;
        treap->bytes += key.len + value_len;
    }
    *value = entry->bytes + key.len;
    return MESHSYNC_OK;
}

/* Nodes that joining the two trees below a node changes. */
static size_t node_join_count(const struct msy_treap_node *node)
{
    size_t count = 0;
    for (const struct msy_treap_node *at = node->left; at != NULL; at = at->right) {
        count++;
    }
    for (const struct msy_treap_node *at = node->right; at != NULL; at = at->left) {
        count++;
    }
    return count;
}

/* One tree of two, all keys of the first being less. */
static void treap_join(struct msy_treap_node **slot, struct msy_treap_pool *pool,
                       struct msy_treap_node *less, struct msy_treap_node *more)
{
    while (less != NULL && more != NULL) {
        if (less->as.entry->priority >= more->as.entry->priority) {
            struct msy_treap_node *node = node_own(&less, pool);
            *slot = node;
            slot = &node->right;
            less = node->right;
        } else {
            struct msy_treap_node *node = node_own(&more, pool);
            *slot = node;
            slot = &node->left;
            more = node->left;
        }
    }
    *slot = less != NULL ? less : more;
}

meshsync_status msy_treap_del(struct msy_treap *treap, struct msy_treap_pool *pool,
                              meshsync_bytes key)
{
    const struct msy_treap_node *found = treap_lookup(treap, key);
    if (found == NULL) {
        return MESHSYNC_E_NOT_FOUND;
    }
    bool there = true;
    size_t need = treap_path_count(treap, key, &there) + node_join_count(found);
    meshsync_status status = pool_fill(pool, need);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_treap_node **slot = treap_own_path(treap, pool, key);
    struct msy_treap_node *gone = *slot;
    if (gone == NULL) {
        return MESHSYNC_E_INTERNAL; /* It was found above. */
    }
    treap->entries_count--;
    treap->bytes -= gone->as.entry->key_len + gone->as.entry->value_len;
    struct msy_treap_node *less = gone->left;
    struct msy_treap_node *more = gone->right;
    if (__atomic_load_n(&gone->refs, __ATOMIC_ACQUIRE) == 1) {
        gone->left = NULL;
        gone->right = NULL;
    } else {
        (void)node_share(less);
        (void)node_share(more);
    }
    treap_join(slot, pool, less, more);
    node_give(gone, pool->alloc);
    return MESHSYNC_OK;
}
