/* SPDX-License-Identifier: Apache-2.0 */
/* Salts, hashes and roots of changes (docs/format.md, section 3). */
#include <string.h>

#include "wire/change.h"

enum { SALT_BYTES = 16, SKELETON_FIXED = 13, KILL_BYTES = 36 };
/* Ops are hashed in chunks, which a crew may share: a power of two, so that each full one is a
 * subtree. Those with more kills than this wait for the room that their skeleton needs. */
enum { CHUNK_OPS = 64, CHUNK_KILLS_MAX = 4, CHUNK_ROW_BYTES = MSY_CHANGE_HASH_BYTES + 1 };

static meshsync_bytes hash_text(const char *text)
{
    return (meshsync_bytes){(const uint8_t *)text, strlen(text)};
}

void msy_change_hash(const struct msy_hasher *hasher, meshsync_bytes header_bytes,
                     const uint8_t signature[MSY_CHANGE_SIGNATURE_BYTES],
                     uint8_t hash[MSY_CHANGE_HASH_BYTES])
{
    const meshsync_bytes parts[] = {header_bytes, {signature, MSY_CHANGE_SIGNATURE_BYTES}};
    hasher->hash(hash, MSY_CHANGE_HASH_BYTES, parts, 2);
}

meshsync_status msy_change_signed_bytes(meshsync_bytes header_bytes, struct msy_buf *out)
{
    meshsync_bytes text = hash_text("meshsync change 1");
    meshsync_status status = msy_buf_append(out, text.data, text.len);
    return status == MESHSYNC_OK ? msy_buf_append(out, header_bytes.data, header_bytes.len)
                                 : status;
}

void msy_change_actor_id(const struct msy_hasher *hasher, const struct msy_change_header *header,
                         struct msy_actor *actor)
{
    uint8_t ordinal[8];
    uint8_t before[MESHSYNC_ACTOR_ID_BYTES + 8 + MSY_CHANGE_HASH_BYTES];
    msy_put_be64(ordinal, header->ordinal);
    memcpy(before, header->predecessor.actor.id, MESHSYNC_ACTOR_ID_BYTES);
    msy_put_be64(before + MESHSYNC_ACTOR_ID_BYTES, header->predecessor.seq);
    memcpy(before + MESHSYNC_ACTOR_ID_BYTES + 8, header->predecessor.hash, MSY_CHANGE_HASH_BYTES);
    const meshsync_bytes parts[] = {
        hash_text("meshsync actor 1"),
        {header->space, sizeof header->space},
        {header->device, sizeof header->device},
        {ordinal, sizeof ordinal},
        {header->tag, sizeof header->tag},
        {before, header->has_predecessor ? sizeof before : 0},
    };
    hasher->hash(actor->id, sizeof actor->id, parts, 6);
}

/* A list of hashes whose Merkle root is built from the left, one subtree of each size at a time. */
struct merkle {
    uint8_t nodes[33][MSY_CHANGE_HASH_BYTES];
    uint32_t sizes[33];
    uint32_t depth;
};

static void merkle_join(const struct msy_hasher *hasher, uint8_t *left, const uint8_t *right)
{
    const meshsync_bytes parts[] = {
        hash_text("node"), {left, MSY_CHANGE_HASH_BYTES}, {right, MSY_CHANGE_HASH_BYTES}};
    uint8_t joined[MSY_CHANGE_HASH_BYTES];
    hasher->hash(joined, sizeof joined, parts, 3);
    memcpy(left, joined, sizeof joined);
}

/* The root of the next size leaves; where it starts is a multiple of size, a power of two. */
static void merkle_add(const struct msy_hasher *hasher, struct merkle *tree, const uint8_t *node,
                       uint32_t size)
{
    memcpy(tree->nodes[tree->depth], node, MSY_CHANGE_HASH_BYTES);
    tree->sizes[tree->depth] = size;
    tree->depth += 1;
    while (tree->depth > 1 && tree->sizes[tree->depth - 2] == tree->sizes[tree->depth - 1]) {
        merkle_join(hasher, tree->nodes[tree->depth - 2], tree->nodes[tree->depth - 1]);
        tree->sizes[tree->depth - 2] *= 2;
        tree->depth -= 1;
    }
}

/* What is left over joins from the right, which is the split at the largest power of two. */
static const uint8_t *merkle_root(const struct msy_hasher *hasher, struct merkle *tree)
{
    while (tree->depth > 1) {
        merkle_join(hasher, tree->nodes[tree->depth - 2], tree->nodes[tree->depth - 1]);
        tree->depth -= 1;
    }
    return tree->nodes[0];
}

static void hash_put_kill(uint8_t *out, const struct msy_change *change,
                          const struct msy_kill *kill)
{
    const struct msy_actor *actor = &change->header.actor;
    uint64_t seq = change->header.seq;
    uint64_t prefix = 0;
    if (kill->ref > 0) {
        const struct msy_ref *ref = &change->refs[kill->ref - 1];
        actor = &ref->actor;
        seq = ref->seq;
        prefix = ref->hash_prefix;
    }
    memcpy(out, actor->id, MESHSYNC_ACTOR_ID_BYTES);
    msy_put_be64(out + 16, seq);
    msy_put_be64(out + 24, prefix);
    msy_put_be32(out + 32, kill->index);
}

/* The skeleton of op i into out, which has room for it; its length. */
static size_t hash_skeleton(const struct msy_change *change, uint32_t i, uint8_t *out)
{
    const struct msy_op *op = &change->ops[i];
    meshsync_bytes name = change->collections[op->collection];
    uint8_t *at = out;
    msy_put_be32(at, i);
    msy_put_be32(at + 4, op->kind);
    at[8] = (uint8_t)name.len;
    if (name.len > 0) {
        memcpy(at + 9, name.data, name.len);
    }
    at += 9 + name.len;
    msy_put_be32(at, op->kills_count);
    at += 4;
    for (uint32_t k = 0; k < op->kills_count; k++) {
        hash_put_kill(at, change, &change->kills[op->kills_first + k]);
        at += KILL_BYTES;
    }
    return (size_t)(at - out);
}

static void hash_op(const struct msy_hasher *hasher, const struct msy_op *op, const uint8_t *salts,
                    meshsync_bytes skeleton, uint8_t *out)
{
    uint8_t path_hash[MSY_CHANGE_HASH_BYTES];
    uint8_t payload_hash[MSY_CHANGE_HASH_BYTES];
    const meshsync_bytes path[] = {{salts, SALT_BYTES}, op->path};
    const meshsync_bytes payload[] = {{salts + SALT_BYTES, SALT_BYTES}, op->payload};
    hasher->hash(path_hash, sizeof path_hash, path, 2);
    hasher->hash(payload_hash, sizeof payload_hash, payload, 2);
    const meshsync_bytes whole[] = {hash_text("op"),
                                    skeleton,
                                    {path_hash, sizeof path_hash},
                                    {payload_hash, sizeof payload_hash}};
    hasher->hash(out, MSY_CHANGE_HASH_BYTES, whole, 4);
}

/* One change being hashed. */
struct hash_job {
    const struct msy_hasher *hasher;
    const struct msy_change *change;
    const uint8_t *salts; /* Two for each op. */
    uint8_t *hashes;      /* One for each op. */
    uint8_t *rows;        /* For each chunk: 1 when all of its ops were hashed, and their root. */
};

static void hash_one(const struct hash_job *job, uint32_t i, uint8_t *skeleton)
{
    size_t len = hash_skeleton(job->change, i, skeleton);
    hash_op(job->hasher, &job->change->ops[i], job->salts + (size_t)i * 2 * SALT_BYTES,
            (meshsync_bytes){skeleton, len}, job->hashes + (size_t)i * MSY_CHANGE_HASH_BYTES);
}

static void hash_chunk(void *user, uint32_t chunk)
{
    const struct hash_job *job = (const struct hash_job *)user;
    const struct msy_change *change = job->change;
    uint8_t skeleton[SKELETON_FIXED + MESHSYNC_NAME_BYTES_MAX + CHUNK_KILLS_MAX * KILL_BYTES];
    uint8_t *row = job->rows + (size_t)chunk * CHUNK_ROW_BYTES;
    struct merkle tree = {.depth = 0};
    uint32_t first = chunk * CHUNK_OPS;
    uint32_t end = change->ops_count - first > CHUNK_OPS ? first + CHUNK_OPS : change->ops_count;
    row[0] = 1;
    for (uint32_t i = first; i < end; i++) {
        if (change->ops[i].kills_count > CHUNK_KILLS_MAX) {
            row[0] = 0;
            continue;
        }
        hash_one(job, i, skeleton);
    }
    if (row[0] == 0 || end - first < CHUNK_OPS || change->collections_count != 1) {
        return;
    }
    for (uint32_t i = first; i < end; i++) {
        merkle_add(job->hasher, &tree, job->hashes + (size_t)i * MSY_CHANGE_HASH_BYTES, 1);
    }
    memcpy(row + 1, tree.nodes[0], MSY_CHANGE_HASH_BYTES);
}

/* What the chunks have left. */
static meshsync_status hash_rest(const struct hash_job *job, struct msy_buf *input)
{
    const struct msy_change *change = job->change;
    for (uint32_t i = 0; i < change->ops_count; i++) {
        const struct msy_op *op = &change->ops[i];
        if (op->kills_count <= CHUNK_KILLS_MAX) {
            continue;
        }
        msy_buf_reset(input);
        meshsync_status status =
            msy_buf_reserve(input, SKELETON_FIXED + change->collections[op->collection].len +
                                       (size_t)op->kills_count * KILL_BYTES);
        if (status != MESHSYNC_OK) {
            return status;
        }
        hash_one(job, i, input->data);
    }
    return MESHSYNC_OK;
}

/* The ops of one collection; *count of them. */
static void hash_collection(const struct hash_job *job, uint32_t collection, struct merkle *tree,
                            uint32_t *count)
{
    const struct msy_change *change = job->change;
    bool only = change->collections_count == 1;
    *count = 0;
    for (uint32_t i = 0; i < change->ops_count;) {
        const uint8_t *row = job->rows + (size_t)(i / CHUNK_OPS) * CHUNK_ROW_BYTES;
        if (only && i % CHUNK_OPS == 0 && row[0] == 1 && change->ops_count - i >= CHUNK_OPS) {
            merkle_add(job->hasher, tree, row + 1, CHUNK_OPS);
            *count += CHUNK_OPS;
            i += CHUNK_OPS;
            continue;
        }
        if (change->ops[i].collection == collection) {
            merkle_add(job->hasher, tree, job->hashes + (size_t)i * MSY_CHANGE_HASH_BYTES, 1);
            *count += 1;
        }
        i++;
    }
}

/* "root", then per collection its name, count and Merkle root, then the bounds. */
static meshsync_status hash_root(const struct hash_job *job, struct msy_buf *input, uint8_t *root)
{
    const struct msy_hasher *hasher = job->hasher;
    const struct msy_change *change = job->change;
    msy_buf_reset(input);
    meshsync_status status = msy_buf_append_be32(input, change->collections_count);
    for (uint32_t c = 0; c < change->collections_count && status == MESHSYNC_OK; c++) {
        meshsync_bytes name = change->collections[c];
        struct merkle tree = {.depth = 0};
        uint32_t count = 0;
        hash_collection(job, c, &tree, &count);
        status = msy_buf_append_u8(input, (uint8_t)name.len);
        if (status == MESHSYNC_OK && name.len > 0) {
            status = msy_buf_append(input, name.data, name.len);
        }
        if (status == MESHSYNC_OK) {
            status = msy_buf_append_be32(input, count);
        }
        if (status == MESHSYNC_OK) {
            status = msy_buf_append(input, merkle_root(hasher, &tree), MSY_CHANGE_HASH_BYTES);
        }
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(input, change->bounds_count);
    }
    for (uint32_t i = 0; i < change->bounds_count && status == MESHSYNC_OK; i++) {
        status = msy_buf_append_be32(input, change->bounds[i]);
    }
    if (status == MESHSYNC_OK) {
        const meshsync_bytes parts[] = {hash_text("root"), msy_buf_bytes(input)};
        hasher->hash(root, MSY_CHANGE_HASH_BYTES, parts, 2);
    }
    return status;
}

meshsync_status msy_change_op_hashes(const struct msy_hasher *hasher,
                                     const struct msy_change *change, uint8_t *hashes,
                                     uint8_t root[MSY_CHANGE_HASH_BYTES])
{
    static const uint8_t nonce[12];
    uint8_t key[32];
    struct msy_buf salts;
    struct msy_buf input;
    uint32_t chunks = (change->ops_count + CHUNK_OPS - 1) / CHUNK_OPS;
    size_t salt_bytes = (size_t)change->ops_count * 2 * SALT_BYTES;
    const meshsync_bytes parts[] = {hash_text("meshsync salts 1"),
                                    {change->secret, MSY_CHANGE_SECRET_BYTES}};
    msy_buf_init(&salts, change->alloc,
                 ((size_t)2 * SALT_BYTES + CHUNK_ROW_BYTES) * MSY_CHANGE_OPS_MAX);
    msy_buf_init(&input, change->alloc, (size_t)MSY_CHANGE_KILLS_MAX * KILL_BYTES + (1u << 20));
    hasher->hash(key, sizeof key, parts, 2);
    meshsync_status status = msy_buf_reserve(&salts, salt_bytes + (size_t)chunks * CHUNK_ROW_BYTES);
    if (status == MESHSYNC_OK) {
        struct hash_job job = {.hasher = hasher,
                               .change = change,
                               .salts = salts.data,
                               .rows = salts.data + salt_bytes};
        job.hashes = hashes;
        hasher->stream(salts.data, salt_bytes, key, nonce);
        msy_crew_start(hasher->crew, hash_chunk, &job, chunks);
        msy_crew_finish(hasher->crew);
        status = hash_rest(&job, &input);
        if (status == MESHSYNC_OK) {
            status = hash_root(&job, &input, root);
        }
    }
    msy_buf_fini(&input);
    msy_buf_fini(&salts);
    return status;
}

meshsync_status msy_change_check(const struct msy_hasher *hasher, const struct msy_change *change,
                                 const uint8_t hash[MSY_CHANGE_HASH_BYTES], struct msy_buf *hashes)
{
    uint8_t found[MSY_CHANGE_HASH_BYTES];
    msy_change_hash(hasher, change->header_bytes, change->signature, found);
    if (memcmp(found, hash, sizeof found) != 0) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    msy_buf_reset(hashes);
    meshsync_status status =
        msy_buf_reserve(hashes, (size_t)change->ops_count * MSY_CHANGE_HASH_BYTES);
    if (status == MESHSYNC_OK) {
        status = msy_change_op_hashes(hasher, change, hashes->data, found);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    return memcmp(found, change->header.root, sizeof found) == 0 ? MESHSYNC_OK
                                                                 : MESHSYNC_E_STORE_CORRUPT;
}
