/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/lmdb_page.h"

enum { CHECK_TABLES_MAX = 64, CHECK_CHUNK_WORDS = 128, CHECK_NAME_SHOWN = 16 };

enum check_kind { CHECK_FREE = 0, CHECK_ROOTS = 1, CHECK_TABLE = 2 };

struct check_table {
    char name[CHECK_NAME_SHOWN + 1];
    struct msy_page_tree tree;
};

/* A page on the way down, and the next node of it. */
struct check_level {
    uint64_t page;
    uint32_t next;
};

struct check {
    struct msy_alloc *alloc;
    int fd;
    meshsync_error *error;
    struct msy_lmdb_file file;
    uint64_t file_pages; /* That the file really has. */
    uint8_t *used;       /* Owned: a bit per page of the file. */
    size_t used_size;
    uint8_t *pages; /* Owned: one for each level. */
    size_t pages_size;
    uint8_t *covered; /* Owned: a byte for each two of a page. */
    struct check_level levels[MSY_PAGE_DEPTH_MAX];
    const char *name; /* Of the tree that is walked. */
    enum check_kind kind;
    struct msy_page_tree found;
    uint8_t last[MSY_PAGE_KEY_MAX]; /* The key before, or the separator that the next may equal. */
    size_t last_len;
    bool has_last;
    bool last_is_separator;
    bool free_words; /* What is taken is a free page, not one of the tree that lists them. */
    struct check_table tables[CHECK_TABLES_MAX];
    uint32_t tables_count;
};

static meshsync_status check_bad(struct check *at, uint64_t page, const char *what)
{
    return msy_fail(at->error, MESHSYNC_E_STORE_CORRUPT, "page %llu (%s): %s",
                    (unsigned long long)page, at->name, what);
}

static meshsync_status check_read(int fd, void *bytes, size_t len, uint64_t from,
                                  meshsync_error *error)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, (uint8_t *)bytes + done, len - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return msy_fail_errno(error, MESHSYNC_E_IO, errno, "the data cannot be read");
        }
        if (got == 0) {
            const unsigned long long end = from + done;
            return msy_fail(error, MESHSYNC_E_STORE_CORRUPT,
                            "the file ends at %llu, where a page should be", end);
        }
        done += (size_t)got;
    }
    return MESHSYNC_OK;
}

/* ---- The roots ---- */

static meshsync_status check_root_page(int fd, unsigned number, uint64_t at,
                                       struct msy_page_root *root, meshsync_error *error)
{
    uint8_t bytes[MSY_PAGE_ROOT_BYTES];
    meshsync_status status = check_read(fd, bytes, sizeof bytes, at, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    const char *wrong = msy_page_root_read(bytes, number, root);
    return wrong == NULL
               ? MESHSYNC_OK
               : msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "root page %u: %s", number, wrong);
}

/* Both roots, the newest first. Commits take turns: n is on page n modulo 2, n - 1 on the other.
 * What differs from that is a root gone back in time, or not what was written. */
static meshsync_status check_roots(int fd, struct msy_lmdb_file *file,
                                   struct msy_page_root roots[2], meshsync_error *error)
{
    struct msy_page_root read[2];
    memset(file, 0, sizeof *file);
    if (fstat(fd, &file->stat) != 0) {
        return msy_fail_errno(error, MESHSYNC_E_IO, errno, "the data file");
    }
    meshsync_status status = check_root_page(fd, 0, 0, &read[0], error);
    if (status == MESHSYNC_OK) {
        status = check_root_page(fd, 1, read[0].page_bytes, &read[1], error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    unsigned newest = read[1].txn_id > read[0].txn_id ? 1 : 0;
    roots[0] = read[newest];
    roots[1] = read[1 - newest];
    bool in_turn = roots[0].txn_id == 0
                       ? roots[1].txn_id == 0
                       : (roots[0].txn_id & 1) == newest && roots[1].txn_id == roots[0].txn_id - 1;
    if (!in_turn || read[0].page_bytes != read[1].page_bytes ||
        roots[1].last_page > roots[0].last_page) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT,
                        "the two root pages contradict each other");
    }
    file->page_bytes = read[0].page_bytes;
    file->pages_count = roots[0].last_page + 1;
    file->txn_id = roots[0].txn_id;
    file->older_txn_id = roots[1].txn_id;
    file->whole = (uint64_t)file->stat.st_size >= file->pages_count * file->page_bytes;
    return MESHSYNC_OK;
}

meshsync_status msy_lmdb_check_roots(int fd, struct msy_lmdb_file *file, meshsync_error *error)
{
    struct msy_page_root roots[2];
    return check_roots(fd, file, roots, error);
}

/* ---- Pages and keys ---- */

static meshsync_status check_take(struct check *at, uint64_t page, uint64_t count)
{
    if (page < 2 || page >= at->file.pages_count || count > at->file.pages_count - page) {
        return check_bad(at, page, "there is no such page");
    }
    if (page + count > at->file_pages) {
        /* A free page at the end need never have been written. */
        return at->kind == CHECK_FREE && count == 1 && page >= at->file_pages && at->free_words
                   ? MESHSYNC_OK
                   : check_bad(at, page, "the file ends before it");
    }
    for (uint64_t i = page; i < page + count; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        if ((at->used[i / 8] & bit) != 0) {
            return check_bad(at, i, "it is used twice");
        }
        at->used[i / 8] |= bit;
    }
    return MESHSYNC_OK;
}

static meshsync_status check_key(struct check *at, uint64_t page, meshsync_bytes key,
                                 bool separator)
{
    if (key.len == 0 || key.len > MSY_PAGE_KEY_MAX || (at->kind == CHECK_FREE && key.len != 8)) {
        return check_bad(at, page, "a key has an impossible length");
    }
    if (at->has_last) {
        int order = 0;
        if (at->kind == CHECK_FREE) {
            uint64_t before = msy_page_u64(at->last);
            uint64_t now = msy_page_u64(key.data);
            order = before < now ? -1 : before > now;
        } else {
            size_t len = key.len < at->last_len ? key.len : at->last_len;
            order = memcmp(at->last, key.data, len);
            order = order != 0 ? order : at->last_len < key.len ? -1 : at->last_len > key.len;
        }
        if (order > 0 || (order == 0 && !at->last_is_separator)) {
            return check_bad(at, page, "its keys are out of order");
        }
    }
    memcpy(at->last, key.data, key.len);
    at->last_len = key.len;
    at->has_last = true;
    at->last_is_separator = separator;
    return MESHSYNC_OK;
}

/* ---- What leaves hold ---- */

/* The numbers of free pages that one commit left: a count, then so many, descending. */
static meshsync_status check_free_words(struct check *at, uint64_t page, const uint8_t *inline_data,
                                        uint64_t from, uint64_t len)
{
    uint8_t chunk[CHECK_CHUNK_WORDS * 8];
    uint64_t count = 0;
    uint64_t before = UINT64_MAX;
    meshsync_status status = MESHSYNC_OK;
    if (len < 8 || len % 8 != 0) {
        return check_bad(at, page, "a list of free pages has an impossible length");
    }
    for (uint64_t i = 0; i <= count && status == MESHSYNC_OK; i++) {
        uint64_t in_chunk = i % CHECK_CHUNK_WORDS;
        if (in_chunk == 0) {
            uint64_t left = len - i * 8;
            size_t some = left < sizeof chunk ? (size_t)left : sizeof chunk;
            if (inline_data != NULL) {
                memcpy(chunk, inline_data + i * 8, some);
            } else {
                status = check_read(at->fd, chunk, some, from + i * 8, at->error);
            }
        }
        uint64_t word = msy_page_u64(chunk + in_chunk * 8);
        if (status == MESHSYNC_OK && i == 0) {
            count = word;
            if (count > len / 8 - 1) {
                status = check_bad(at, page, "a list of free pages is longer than its room");
            }
        } else if (status == MESHSYNC_OK) {
            at->free_words = true;
            status = word < before ? check_take(at, word, 1)
                                   : check_bad(at, page, "a list of free pages is out of order");
            at->free_words = false;
            before = word;
        }
    }
    return status;
}

static meshsync_status check_free_entry(struct check *at, uint64_t page,
                                        const struct msy_page_node *node, uint64_t overflow)
{
    uint64_t txn_id = msy_page_u64(node->key.data);
    if (txn_id == 0 || txn_id > at->file.txn_id) {
        return check_bad(at, page, "pages were freed by a commit that never was");
    }
    return check_free_words(at, page, overflow == 0 ? node->data : NULL,
                            overflow * at->file.page_bytes + MSY_PAGE_HEAD_BYTES, node->data_len);
}

static meshsync_status check_roots_entry(struct check *at, uint64_t page,
                                         const struct msy_page_node *node)
{
    if (!node->is_tree || node->data_len != MSY_PAGE_TREE_BYTES) {
        return check_bad(at, page, "the root of a table has a wrong form");
    }
    if (at->tables_count == CHECK_TABLES_MAX) {
        return check_bad(at, page, "there are too many tables");
    }
    struct check_table *table = &at->tables[at->tables_count++];
    size_t len = node->key.len < CHECK_NAME_SHOWN ? node->key.len : CHECK_NAME_SHOWN;
    memcpy(table->name, node->key.data, len);
    for (size_t i = 0; i < len; i++) {
        if (table->name[i] < ' ' || table->name[i] > '~') {
            table->name[i] = '?';
        }
    }
    msy_page_tree_read(node->data, &table->tree);
    return table->tree.flags == 0 ? MESHSYNC_OK
                                  : check_bad(at, page, "a table has flags that we never set");
}

/* The pages of a value that has its own. */
static meshsync_status check_overflow(struct check *at, uint64_t page,
                                      const struct msy_page_node *node)
{
    uint8_t head[MSY_PAGE_HEAD_BYTES];
    uint64_t need = (node->data_len + MSY_PAGE_HEAD_BYTES - 1) / at->file.page_bytes + 1;
    if (node->overflow < 2 || node->overflow >= at->file.pages_count) {
        return check_bad(at, page, "a value lies on a page that does not exist");
    }
    meshsync_status status =
        check_read(at->fd, head, sizeof head, node->overflow * at->file.page_bytes, at->error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    uint64_t count = msy_page_overflow_count(head, node->overflow);
    if (count < need) {
        return check_bad(at, node->overflow, "it is not the value that it should hold");
    }
    at->found.overflow_pages += count;
    return check_take(at, node->overflow, count);
}

static meshsync_status check_leaf(struct check *at, uint64_t page, const uint8_t *bytes)
{
    uint32_t count = msy_page_count(bytes);
    meshsync_status status = MESHSYNC_OK;
    at->found.leaf_pages += 1;
    at->found.entries += count;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_page_node node;
        msy_page_node_read(bytes, i, &node);
        status = check_key(at, page, node.key, false);
        if (status == MESHSYNC_OK && node.flags_wrong) {
            status = check_bad(at, page, "an entry has flags that we never set");
        }
        if (status == MESHSYNC_OK && node.is_tree && at->kind != CHECK_ROOTS) {
            status = check_bad(at, page, "an entry claims to be a table");
        }
        if (status == MESHSYNC_OK && node.overflow != 0) {
            status = check_overflow(at, page, &node);
        }
        if (status == MESHSYNC_OK && at->kind == CHECK_FREE) {
            status = check_free_entry(at, page, &node, node.overflow);
        } else if (status == MESHSYNC_OK && at->kind == CHECK_ROOTS) {
            status = check_roots_entry(at, page, &node);
        }
    }
    return status;
}

/* ---- Trees ---- */

static uint8_t *check_page_at(struct check *at, uint32_t level)
{
    return at->pages + (size_t)level * at->file.page_bytes;
}

/* Reads a page of a tree and checks its inside, but not yet its keys. */
static meshsync_status check_enter(struct check *at, uint64_t page, uint32_t level, bool leaf)
{
    uint8_t *bytes = check_page_at(at, level);
    meshsync_status status = check_take(at, page, 1);
    if (status == MESHSYNC_OK) {
        status = check_read(at->fd, bytes, (size_t)at->file.page_bytes, page * at->file.page_bytes,
                            at->error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    const char *wrong = msy_page_check(bytes, (size_t)at->file.page_bytes, page, leaf, at->covered);
    if (wrong == NULL && !leaf && at->kind != CHECK_FREE && msy_page_count(bytes) < 2) {
        wrong = "it leads to one page only"; /* LMDB asserts that it does not. */
    }
    at->levels[level].page = page;
    at->levels[level].next = 0;
    return wrong == NULL ? MESHSYNC_OK : check_bad(at, page, wrong);
}

static meshsync_status check_tree_pages(struct check *at, const struct msy_page_tree *tree)
{
    uint32_t level = 0;
    meshsync_status status = check_enter(at, tree->root, 0, tree->depth == 1);
    while (status == MESHSYNC_OK) {
        struct check_level *here = &at->levels[level];
        const uint8_t *bytes = check_page_at(at, level);
        bool leaf = level + 1 == tree->depth;
        if (leaf) {
            status = check_leaf(at, here->page, bytes);
        } else if (here->next < msy_page_count(bytes)) {
            struct msy_page_node node;
            msy_page_node_read(bytes, here->next, &node);
            at->found.branch_pages += here->next == 0;
            if (here->next > 0) {
                status = check_key(at, here->page, node.key, true);
            }
            here->next += 1;
            level += 1;
            if (status == MESHSYNC_OK) {
                status = check_enter(at, node.child, level, level + 1 == tree->depth);
            }
            continue;
        }
        if (status != MESHSYNC_OK || level == 0) {
            break;
        }
        level -= 1;
    }
    return status;
}

static meshsync_status check_tree(struct check *at, const char *name, enum check_kind kind,
                                  const struct msy_page_tree *tree)
{
    meshsync_status status = MESHSYNC_OK;
    at->name = name;
    at->kind = kind;
    at->has_last = false;
    at->last_is_separator = false;
    memset(&at->found, 0, sizeof at->found);
    if (tree->root == UINT64_MAX) {
        status = tree->depth == 0 ? MESHSYNC_OK : check_bad(at, 0, "it has a depth but no root");
    } else if (tree->depth == 0 || tree->depth > MSY_PAGE_DEPTH_MAX) {
        status = check_bad(at, tree->root, "its depth is impossible");
    } else {
        status = check_tree_pages(at, tree);
    }
    if (status == MESHSYNC_OK &&
        (tree->branch_pages != at->found.branch_pages || tree->leaf_pages != at->found.leaf_pages ||
         tree->overflow_pages != at->found.overflow_pages || tree->entries != at->found.entries)) {
        return msy_fail(at->error, MESHSYNC_E_STORE_CORRUPT,
                        "table %s: %llu entries on %llu pages, it should have %llu on %llu", name,
                        (unsigned long long)at->found.entries,
                        (unsigned long long)at->found.leaf_pages, (unsigned long long)tree->entries,
                        (unsigned long long)tree->leaf_pages);
    }
    return status;
}

/* The older root must be of its time: the last commit whose freed pages it lists is not after it.
 * Else it is the newest, and the number of its commit went wrong. */
static meshsync_status check_older(struct check *at, const struct msy_page_root *older)
{
    uint64_t page = older->free_list.root;
    at->name = "older free list";
    at->kind = CHECK_FREE;
    if (page == UINT64_MAX) {
        return MESHSYNC_OK;
    }
    if (older->free_list.depth == 0 || older->free_list.depth > MSY_PAGE_DEPTH_MAX) {
        return check_bad(at, page, "its depth is impossible");
    }
    memset(at->used, 0, at->used_size);
    for (uint32_t level = 0; level < older->free_list.depth; level++) {
        struct msy_page_node node;
        bool leaf = level + 1 == older->free_list.depth;
        meshsync_status status = check_enter(at, page, level, leaf);
        if (status != MESHSYNC_OK) {
            return status;
        }
        const uint8_t *bytes = check_page_at(at, level);
        msy_page_node_read(bytes, msy_page_count(bytes) - 1, &node);
        if (!leaf) {
            page = node.child;
        } else if (node.key.len != 8 || msy_page_u64(node.key.data) > older->txn_id) {
            return check_bad(at, page, "the older root is newer than it says");
        }
    }
    return MESHSYNC_OK;
}

static meshsync_status check_run(struct check *at, const struct msy_page_root roots[2])
{
    meshsync_status status = check_older(at, &roots[1]);
    memset(at->used, 0, at->used_size);
    if (status == MESHSYNC_OK) {
        status = check_tree(at, "tables", CHECK_ROOTS, &roots[0].tables);
    }
    for (uint32_t i = 0; i < at->tables_count && status == MESHSYNC_OK; i++) {
        status = check_tree(at, at->tables[i].name, CHECK_TABLE, &at->tables[i].tree);
    }
    if (status == MESHSYNC_OK) {
        status = check_tree(at, "free list", CHECK_FREE, &roots[0].free_list);
    }
    return status;
}

meshsync_status msy_lmdb_check_pages(struct msy_alloc *alloc, int fd, meshsync_error *error)
{
    struct msy_page_root roots[2];
    struct msy_lmdb_file file;
    memset(roots, 0, sizeof roots);
    meshsync_status status = check_roots(fd, &file, roots, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct check *at = (struct check *)msy_new(alloc, sizeof *at);
    if (at == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory to check the data");
    }
    at->alloc = alloc;
    at->fd = fd;
    at->error = error;
    at->file = file;
    at->file_pages = (uint64_t)file.stat.st_size / file.page_bytes;
    at->used_size = (size_t)(at->file_pages / 8 + 1);
    at->pages_size = (size_t)file.page_bytes * MSY_PAGE_DEPTH_MAX;
    at->used = (uint8_t *)msy_new(alloc, at->used_size);
    at->pages = (uint8_t *)msy_new(alloc, at->pages_size);
    at->covered = (uint8_t *)msy_new(alloc, (size_t)file.page_bytes);
    status = at->used != NULL && at->pages != NULL && at->covered != NULL
                 ? check_run(at, roots)
                 : msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory to check the data");
    msy_free(alloc, at->used, at->used_size);
    msy_free(alloc, at->pages, at->pages_size);
    msy_free(alloc, at->covered, (size_t)file.page_bytes);
    msy_free(alloc, at, sizeof *at);
    return status;
}
