/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of collections and spaces, and version tokens. Declared in replica/read.h. */
#include "replica/read.h"

#include "replica/control.h"
#include "secure/crypto.h"
#include "store/history.h"

enum { TOKEN_VERSION = 1, TOKEN_TIPS_MAX = 10 };

static meshsync_status digest_row(struct msy_store_txn *txn, uint32_t space, uint32_t collection,
                                  uint64_t *entries, uint8_t digest[32])
{
    uint8_t key[8];
    meshsync_bytes value;
    static const uint8_t none[MSY_LTHASH_BYTES];
    meshsync_bytes sums = {none, sizeof none};
    *entries = 0;
    meshsync_status status =
        msy_store_get(txn, MSY_TABLE_DIGEST, msy_key_digest(key, space, collection), &value);
    if (status == MESHSYNC_OK) {
        if (value.len != 8 + MSY_LTHASH_BYTES) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
        *entries = msy_get_be64(value.data);
        sums.data = value.data + 8;
    } else if (status != MESHSYNC_E_NOT_FOUND) {
        return status;
    }
    msy_hash(digest, 32, &sums, 1);
    return MESHSYNC_OK;
}

meshsync_status msy_collection_digest(struct msy_store_txn *txn, uint32_t space,
                                      uint32_t collection, uint64_t *entries, uint8_t digest[32])
{
    return digest_row(txn, space, collection, entries, digest);
}

/* Hash of the vector: tips in ascending order of actor, with their seq and hash. */
static meshsync_status digest_clock(struct msy_store_txn *txn, uint32_t space, uint8_t out[32])
{
    struct msy_alloc alloc;
    struct msy_vector vector;
    uint8_t running[32] = {0};
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_vector_init(&vector, &alloc);
    meshsync_status status = msy_history_vector(txn, space, &vector);
    for (uint32_t i = 0; i < vector.count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *tip = &vector.tips[i];
        uint8_t seq[8];
        msy_put_be64(seq, tip->seq);
        const meshsync_bytes parts[] = {msy_key_name("clock"), msy_bytes(running, sizeof running),
                                        msy_bytes(tip->actor.id, sizeof tip->actor.id),
                                        msy_bytes(seq, sizeof seq),
                                        msy_bytes(tip->hash, sizeof tip->hash)};
        uint8_t next[32];
        msy_hash(next, sizeof next, parts, 5);
        memcpy(running, next, sizeof running);
    }
    memcpy(out, running, 32);
    msy_vector_fini(&vector);
    return status;
}

/* Names of collections in ascending order: their rows of the names table are sorted by name. */
static meshsync_status digest_collections(struct msy_store_txn *txn, uint32_t space,
                                          uint8_t running[32], uint64_t *entries)
{
    uint8_t prefix[5];
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    msy_put_be32(prefix, space);
    prefix[4] = 0;
    meshsync_status status = msy_store_iter_open(txn, MSY_TABLE_NAMES, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_bytes(prefix, sizeof prefix), &key, &value);
    while (status == MESHSYNC_OK && key.len >= 5 && memcmp(key.data, prefix, 5) == 0) {
        uint8_t digest[32];
        uint8_t next[32];
        uint64_t count = 0;
        uint8_t name_len = (uint8_t)(key.len - 5);
        status = value.len == 4 ? digest_row(txn, space, msy_get_be32(value.data), &count, digest)
                                : MESHSYNC_E_STORE_CORRUPT;
        if (status == MESHSYNC_OK && count > 0) {
            const meshsync_bytes parts[] = {
                msy_key_name("collection"), msy_bytes(running, 32), msy_bytes(&name_len, 1),
                msy_bytes(key.data + 5, key.len - 5), msy_bytes(digest, sizeof digest)};
            msy_hash(next, sizeof next, parts, 5);
            memcpy(running, next, sizeof next);
            *entries += count;
        }
        if (status == MESHSYNC_OK) {
            status = msy_store_next(iter, &key, &value);
        }
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

meshsync_status msy_space_digest(struct msy_store_txn *txn, uint32_t space, meshsync_digest *digest)
{
    uint8_t key[5];
    meshsync_bytes value;
    digest->changes = 0;
    digest->entries = 0;
    meshsync_status status = digest_clock(txn, space, digest->clock);
    memcpy(digest->digest, digest->clock, sizeof digest->digest);
    if (status == MESHSYNC_OK) {
        status = digest_collections(txn, space, digest->digest, &digest->entries);
    }
    if (status == MESHSYNC_OK) {
        status = msy_store_get(txn, MSY_TABLE_SPACES,
                               msy_key_space(key, space, MSY_SPACE_ROW_CHANGES), &value);
        if (status == MESHSYNC_OK && value.len == 8) {
            digest->changes = msy_get_be64(value.data);
        }
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

meshsync_status msy_token_make(const struct msy_tip *tips, uint32_t count, meshsync_token *token)
{
    size_t len = 1;
    memset(token, 0, sizeof *token);
    if (count > TOKEN_TIPS_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    if (count == 0) {
        return MESHSYNC_OK;
    }
    token->bytes[0] = TOKEN_VERSION;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(token->bytes + len, tips[i].actor.id, sizeof tips[i].actor.id);
        len += sizeof tips[i].actor.id;
        len += msy_put_varint(token->bytes + len, tips[i].seq);
    }
    token->len = (uint32_t)len;
    return MESHSYNC_OK;
}

meshsync_status msy_token_read(const meshsync_token *token, struct msy_tip *tips, uint32_t *count)
{
    struct msy_cursor cursor;
    uint8_t version = 0;
    *count = 0;
    if (token->len == 0) {
        return MESHSYNC_OK;
    }
    if (token->len > MESHSYNC_TOKEN_BYTES_MAX) {
        return MESHSYNC_E_INVALID;
    }
    msy_cursor_init(&cursor, msy_bytes(token->bytes, token->len));
    if (!msy_cursor_u8(&cursor, &version) || version != TOKEN_VERSION) {
        return MESHSYNC_E_INVALID;
    }
    while (msy_cursor_left(&cursor) > 0 && *count < TOKEN_TIPS_MAX) {
        struct msy_tip *tip = &tips[*count];
        memset(tip, 0, sizeof *tip);
        if (!msy_cursor_copy(&cursor, tip->actor.id, sizeof tip->actor.id) ||
            !msy_cursor_varint(&cursor, &tip->seq) || tip->seq == 0) {
            return MESHSYNC_E_INVALID;
        }
        *count += 1;
    }
    return msy_cursor_left(&cursor) == 0 && *count > 0 ? MESHSYNC_OK : MESHSYNC_E_INVALID;
}
