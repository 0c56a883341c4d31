/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How LMDB 0.9 lays its pages out, as far as checking them needs it; numbers have the byte order of
 * the machine. Pure: bytes in, answers out, and only msy_page_check and msy_page_root_read take
 * bytes that nobody vouches for. The rest is for pages that passed it.
 */
#ifndef MSY_STORE_LMDB_PAGE_H
#define MSY_STORE_LMDB_PAGE_H

#include <stdbool.h>

#include <meshsync/types.h>

enum {
    MSY_PAGE_HEAD_BYTES = 16,
    MSY_PAGE_ROOT_BYTES = 16 + 136,
    MSY_PAGE_TREE_BYTES = 48,
    MSY_PAGE_DEPTH_MAX = 32, /* What LMDB's cursors can hold. */
    MSY_PAGE_KEY_MAX = 511
};

struct msy_page_tree {
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root; /* UINT64_MAX: empty. */
};

struct msy_page_root {
    uint64_t page_bytes;
    uint64_t last_page;
    uint64_t txn_id;
    struct msy_page_tree free_list;
    struct msy_page_tree tables;
};

struct msy_page_node {
    meshsync_bytes key;
    uint64_t child; /* Of a branch. */
    const uint8_t *data;
    uint64_t data_len;
    uint64_t overflow; /* The page of the value; 0: it is inline. */
    bool is_tree;
    bool flags_wrong;
};

uint64_t msy_page_u64(const uint8_t *bytes);
void msy_page_tree_read(const uint8_t *bytes, struct msy_page_tree *tree);
/* NULL, or what is wrong with it. */
const char *msy_page_root_read(const uint8_t *bytes, uint64_t number, struct msy_page_root *root);
/* NULL, or what is wrong with the inside of a branch or a leaf. covered: scratch of half a page at
 * least. */
const char *msy_page_check(const uint8_t *bytes, size_t page_bytes, uint64_t number, bool leaf,
                           uint8_t *covered);
uint32_t msy_page_count(const uint8_t *bytes);
void msy_page_node_read(const uint8_t *bytes, uint32_t index, struct msy_page_node *node);
/* Pages of a value, as its first one says; 0 when that is no such page. */
uint64_t msy_page_overflow_count(const uint8_t *head, uint64_t number);

#endif
