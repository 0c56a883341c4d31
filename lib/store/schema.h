/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and records of the tables: the disk format, version 2 (docs/storage.md). Numbers in keys are
 * big endian, so that their order is the tables' order. Spaces and collections have local numbers.
 */
#ifndef MSY_STORE_SCHEMA_H
#define MSY_STORE_SCHEMA_H

#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "clock/dot.h"
#include "store/store.h"

enum {
    MSY_SCHEMA_VERSION = 2,
    MSY_KEY_BYTES_MAX = 511,
    MSY_STATE_PREFIX_BYTES = 8,
    MSY_BY_ACTOR_KEY_BYTES = 36,
    MSY_CLOCK_KEY_BYTES = 20,
    MSY_KILL_KEY_BYTES = 44,
    MSY_RECORD_VERSION = 2,
    MSY_RECORD_HEAD_BYTES = 42,
    MSY_RECORD_SEAL_BYTES = 4
};

/* Names in the meta table. */
#define MSY_META_FORMAT "format"                   /* be32 */
#define MSY_META_STORE_ID "store-id"               /* 16 random bytes; new after a restore */
#define MSY_META_HLC "hlc"                         /* be64 */
#define MSY_META_LSN "lsn"                         /* be64: the last one ever given */
#define MSY_META_SPACE_NEXT "space-next"           /* be64 */
#define MSY_META_COLLECTION_NEXT "collection-next" /* be64 */
#define MSY_META_IDENTITY "identity"               /* Public key of the device that writes here. */

/* Rows of the spaces table: be32 space, then one of these. */
enum msy_space_row {
    MSY_SPACE_ROW_DESCRIPTOR = 0,
    MSY_SPACE_ROW_OWN = 1,    /* Last change of this device: struct msy_own_row. */
    MSY_SPACE_ROW_CHANGES = 2 /* be64: how many changes the log has of it. */
};

enum msy_record_flag {
    MSY_RECORD_LOCAL = 1 /* Committed by this store. */
};

static inline meshsync_bytes msy_bytes(const void *data, size_t len)
{
    return (meshsync_bytes){data, len};
}

static inline meshsync_bytes msy_key_name(const char *name)
{
    return msy_bytes(name, strlen(name));
}

/* LOG: be64 LSN. */
static inline meshsync_bytes msy_key_log(uint8_t key[8], uint64_t lsn)
{
    msy_put_be64(key, lsn);
    return msy_bytes(key, 8);
}

/* SPACES: be32 space, u8 row. */
static inline meshsync_bytes msy_key_space(uint8_t key[5], uint32_t space, enum msy_space_row row)
{
    msy_put_be32(key, space);
    key[4] = (uint8_t)row;
    return msy_bytes(key, 5);
}

/* CLOCK and HEADS: be32 space, actor. */
static inline meshsync_bytes msy_key_clock(uint8_t key[MSY_CLOCK_KEY_BYTES], uint32_t space,
                                           const struct msy_actor *actor)
{
    msy_put_be32(key, space);
    memcpy(key + 4, actor->id, sizeof actor->id);
    return msy_bytes(key, MSY_CLOCK_KEY_BYTES);
}

/* BY_ACTOR: be32 space, actor, be64 seq, first 8 bytes of the change hash. */
static inline meshsync_bytes msy_key_by_actor(uint8_t key[MSY_BY_ACTOR_KEY_BYTES], uint32_t space,
                                              const struct msy_actor *actor, uint64_t seq,
                                              const uint8_t hash_prefix[8])
{
    (void)msy_key_clock(key, space, actor);
    msy_put_be64(key + 20, seq);
    memcpy(key + 28, hash_prefix, 8);
    return msy_bytes(key, MSY_BY_ACTOR_KEY_BYTES);
}

/* STATE: be32 space, be32 collection, encoded path. */
static inline meshsync_bytes msy_key_state(uint8_t key[MSY_KEY_BYTES_MAX], uint32_t space,
                                           uint32_t collection, meshsync_bytes path)
{
    msy_put_be32(key, space);
    msy_put_be32(key + 4, collection);
    if (path.len > 0) {
        memcpy(key + 8, path.data, path.len);
    }
    return msy_bytes(key, 8 + path.len);
}

/* DIGEST: be32 space, be32 collection. */
static inline meshsync_bytes msy_key_digest(uint8_t key[8], uint32_t space, uint32_t collection)
{
    msy_put_be32(key, space);
    msy_put_be32(key + 4, collection);
    return msy_bytes(key, 8);
}

/* CLOCK and HEADS value: be64 seq, hash 32. */
enum { MSY_TIP_VALUE_BYTES = 40 };

static inline void msy_tip_value(uint8_t value[MSY_TIP_VALUE_BYTES], const struct msy_tip *tip)
{
    msy_put_be64(value, tip->seq);
    memcpy(value + 8, tip->hash, sizeof tip->hash);
}

/* SPACES descriptor. */
struct msy_space_row_descriptor {
    uint8_t id[MESHSYNC_SPACE_ID_BYTES];
    uint8_t founder[32];
    uint8_t nonce[16];
    uint8_t discovery[32];
    uint8_t invite_seed[32]; /* While joining: proves the invitation; wiped when a member. */
    uint64_t created_lsn;
    bool joining; /* Has a ticket; its member record is not written yet. */
    bool left;
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
};

void msy_space_row_write(const struct msy_space_row_descriptor *row, struct msy_buf *out);
meshsync_status msy_space_row_read(meshsync_bytes value, struct msy_space_row_descriptor *row);

/* SPACES own: the last change that this device made in the space: the next epoch names it. */
struct msy_own_row {
    struct msy_tip last;
    uint64_t ordinal; /* Of the epoch of last. */
};

/* LOG value: u8 version, u8 flags, be32 space, hash 32, be32 length of the change, the change, then
 * the trailer: per op a varint, the LSN that wrote the path before (0: none). Since version 2 a
 * CRC32C over the key and all before it follows. */
struct msy_record {
    meshsync_bytes all; /* The value. */
    uint32_t space;
    uint32_t flags;
    const uint8_t *hash; /* 32 bytes. */
    meshsync_bytes change;
    meshsync_bytes trailer;
};

meshsync_status msy_record_read(meshsync_bytes value, struct msy_record *record);
/* Appends the checksum to a value that is complete otherwise. */
meshsync_status msy_record_seal(struct msy_buf *value, uint64_t lsn);
/* Has it a checksum? A record of version 1 has none, and is known by its hashes alone. */
static inline bool msy_record_sealed(const struct msy_record *record)
{
    return record->all.data[0] == MSY_RECORD_VERSION;
}
/* Does the checksum hold, if there is one? */
bool msy_record_sound(const struct msy_record *record, uint64_t lsn);

#endif
