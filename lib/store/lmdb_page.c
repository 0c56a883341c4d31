/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_page.h"

#include <string.h>

/* Flags of pages and of nodes in leaves. */
enum {
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    NODE_BIG = 0x01,
    NODE_TREE = 0x02
};

enum {
    PAGE_MAGIC_VERSION = 1,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 32768,
    PAGE_NODE_BYTES = 8,
    PAGE_FLAG_INTEGER_KEYS = 0x08,
    PAGE_FLAG_NO_FOLDER = 0x4000 /* How the file was opened when it was made. */
};
#define PAGE_MAGIC UINT32_C(0xBEEFC0DE)
#define PAGE_MAP_BYTES_MAX (UINT64_C(1) << 47)

static uint16_t page_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t page_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

uint64_t msy_page_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

void msy_page_tree_read(const uint8_t *bytes, struct msy_page_tree *tree)
{
    tree->flags = page_u16(bytes + 4);
    tree->depth = page_u16(bytes + 6);
    tree->branch_pages = msy_page_u64(bytes + 8);
    tree->leaf_pages = msy_page_u64(bytes + 16);
    tree->overflow_pages = msy_page_u64(bytes + 24);
    tree->entries = msy_page_u64(bytes + 32);
    tree->root = msy_page_u64(bytes + 40);
}

static bool page_in(uint64_t page, const struct msy_page_root *root)
{
    return page == UINT64_MAX || (page >= 2 && page <= root->last_page);
}

const char *msy_page_root_read(const uint8_t *bytes, uint64_t number, struct msy_page_root *root)
{
    const uint8_t *meta = bytes + MSY_PAGE_HEAD_BYTES;
    uint64_t map_bytes = msy_page_u64(meta + 16);
    memset(root, 0, sizeof *root);
    if (msy_page_u64(bytes) != number || page_u16(bytes + 10) != PAGE_META) {
        return "it is no root page";
    }
    if (page_u32(meta) != PAGE_MAGIC || page_u32(meta + 4) != PAGE_MAGIC_VERSION) {
        return "it is not of this format";
    }
    root->page_bytes = page_u32(meta + 24);
    msy_page_tree_read(meta + 24, &root->free_list);
    msy_page_tree_read(meta + 72, &root->tables);
    root->last_page = msy_page_u64(meta + 120);
    root->txn_id = msy_page_u64(meta + 128);
    if (root->page_bytes < PAGE_BYTES_MIN || root->page_bytes > PAGE_BYTES_MAX ||
        (root->page_bytes & (root->page_bytes - 1)) != 0) {
        return "its pages have an impossible size";
    }
    if (map_bytes > PAGE_MAP_BYTES_MAX || root->last_page < 1 ||
        root->last_page >= PAGE_MAP_BYTES_MAX / root->page_bytes) {
        return "its number of pages is impossible";
    }
    /* With another flag LMDB would map the file where it says, or read the keys as something else.
     */
    if ((root->free_list.flags & ~PAGE_FLAG_NO_FOLDER) != PAGE_FLAG_INTEGER_KEYS ||
        root->tables.flags != 0) {
        return "it has flags that we never set";
    }
    return page_in(root->free_list.root, root) && page_in(root->tables.root, root)
               ? NULL
               : "it leads to a page that does not exist";
}

uint32_t msy_page_count(const uint8_t *bytes)
{
    return (uint32_t)(page_u16(bytes + 12) - MSY_PAGE_HEAD_BYTES) / 2;
}

void msy_page_node_read(const uint8_t *bytes, uint32_t index, struct msy_page_node *node)
{
    const uint8_t *at = bytes + page_u16(bytes + MSY_PAGE_HEAD_BYTES + 2 * (size_t)index);
    uint64_t low = page_u16(at);
    uint64_t high = page_u16(at + 2);
    uint64_t flags = page_u16(at + 4);
    memset(node, 0, sizeof *node);
    node->key = (meshsync_bytes){at + PAGE_NODE_BYTES, page_u16(at + 6)};
    if (page_u16(bytes + 10) == PAGE_BRANCH) {
        node->child = low | high << 16 | flags << 32;
        return;
    }
    node->data = at + PAGE_NODE_BYTES + node->key.len;
    node->data_len = low | high << 16;
    node->is_tree = flags == NODE_TREE;
    node->flags_wrong = flags != 0 && flags != NODE_BIG && flags != NODE_TREE;
    if (flags == NODE_BIG) {
        node->overflow = msy_page_u64(node->data);
        node->flags_wrong = node->overflow == 0;
    }
}

/* Bytes that a node takes, a whole number of twos; its head lies within the page. */
static size_t page_node_bytes(const uint8_t *at, bool leaf)
{
    size_t bytes = PAGE_NODE_BYTES + (size_t)page_u16(at + 6);
    if (leaf) {
        bool big = (page_u16(at + 4) & NODE_BIG) != 0;
        bytes += big ? sizeof(uint64_t) : ((size_t)page_u16(at + 2) << 16 | page_u16(at));
    }
    return (bytes + 1) & ~(size_t)1;
}

const char *msy_page_check(const uint8_t *bytes, size_t page_bytes, uint64_t number, bool leaf,
                           uint8_t *covered)
{
    size_t lower = page_u16(bytes + 12);
    size_t upper = page_u16(bytes + 14);
    size_t taken = 0;
    if (msy_page_u64(bytes) != number) {
        return "another page stands in its place";
    }
    if (page_u16(bytes + 10) != (leaf ? PAGE_LEAF : PAGE_BRANCH)) {
        return "it is of another kind";
    }
    if (lower <= MSY_PAGE_HEAD_BYTES || lower % 2 != 0 || lower > upper || upper > page_bytes) {
        return "its room is impossible";
    }
    memset(covered, 0, page_bytes / 2);
    for (size_t i = MSY_PAGE_HEAD_BYTES; i < lower; i += 2) {
        size_t at = page_u16(bytes + i);
        if (at < upper || at % 2 != 0 || at + PAGE_NODE_BYTES > page_bytes) {
            return "an entry lies outside of it";
        }
        size_t node_bytes = page_node_bytes(bytes + at, leaf);
        if (node_bytes > page_bytes - at) {
            return "an entry reaches out of it";
        }
        for (size_t k = at / 2; k < (at + node_bytes) / 2; k++) {
            if (covered[k] != 0) {
                return "two entries share their bytes";
            }
            covered[k] = 1;
        }
        taken += node_bytes;
    }
    return taken == page_bytes - upper ? NULL : "its entries do not fill their room";
}

uint64_t msy_page_overflow_count(const uint8_t *head, uint64_t number)
{
    return msy_page_u64(head) == number && page_u16(head + 10) == PAGE_OVERFLOW
               ? page_u32(head + 12)
               : 0;
}
