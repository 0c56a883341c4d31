/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The change (docs/format.md): parsing foreign bytes into a view that lends from them, building new
 * ones, and the salts, hashes and roots. Hashing needs primitives of another folder and comes in by
 * a port, so that this folder knows no cryptography.
 */
#ifndef MSY_WIRE_CHANGE_H
#define MSY_WIRE_CHANGE_H

#include "base/buf.h"
#include "base/crew.h"
#include "base/limits.h"
#include "clock/dot.h"

enum {
    MSY_CHANGE_VERSION = 1,
    MSY_CHANGE_HASH_BYTES = 32,
    MSY_CHANGE_SECRET_BYTES = 16,
    MSY_CHANGE_SIGNATURE_BYTES = 64,
    MSY_CHANGE_DEVICE_BYTES = 32,
    MSY_CHANGE_TAG_BYTES = 8,
    MSY_HEAD_HASH_BYTES = 16
};

enum msy_op_kind {
    MSY_OP_ERASE = 0,
    MSY_OP_VALUE = 1,
    MSY_OP_ADD = 2,
    MSY_OP_RESET = 3,
    MSY_OP_MEMBER = 4,
    MSY_OP_MARKER = 5,
    MSY_OP_CLEAR = 6
};

enum msy_change_flag { MSY_CHANGE_EXPLICIT = 1 };

struct msy_hasher {
    void (*hash)(uint8_t *out, size_t out_len, const meshsync_bytes *parts, size_t parts_count);
    void (*stream)(uint8_t *out, size_t n, const uint8_t key[32], const uint8_t nonce[12]);
    const struct msy_crew *crew; /* Lent; NULL: all hashing is done by the caller's thread. */
};

/* Header of a change. Fixed-size fields are copied; bytes lend from the change. */
struct msy_change_header {
    uint8_t space[MESHSYNC_SPACE_ID_BYTES];
    struct msy_actor actor;
    uint64_t seq;
    uint8_t prev[MSY_CHANGE_HASH_BYTES]; /* Zero when seq is 1. */
    uint64_t hlc;
    uint32_t heads_count;
    struct msy_tip heads[MSY_CHANGE_HEADS_MAX]; /* First MSY_HEAD_HASH_BYTES of hash set. */
    uint8_t root[MSY_CHANGE_HASH_BYTES];
    uint32_t flags;
    meshsync_bytes meta; /* Raw msgpack map, or empty. */
    /* Epoch, seq 1 only: */
    uint8_t device[MSY_CHANGE_DEVICE_BYTES];
    uint64_t ordinal;
    uint8_t tag[MSY_CHANGE_TAG_BYTES];
    bool has_predecessor;
    struct msy_tip predecessor; /* Whole hash. */
};

struct msy_op {
    uint32_t collection; /* Index into collections. */
    uint32_t kind;
    meshsync_bytes path;    /* Encoded. */
    meshsync_bytes payload; /* Raw msgpack value. */
    uint32_t kills_first;   /* Into kills. */
    uint32_t kills_count;
};

struct msy_kill {
    uint32_t ref;   /* 0: this change; else refs[ref - 1]. */
    uint32_t index; /* Of the op killed. */
};

struct msy_ref {
    struct msy_actor actor;
    uint64_t seq;
    uint64_t hash_prefix;
};

/* A change taken apart. The arrays belong to it and are reused from one parse to the next. */
struct msy_change {
    meshsync_bytes bytes; /* All of it, lent. */
    meshsync_bytes header_bytes;
    const uint8_t *signature; /* 64 bytes. */
    meshsync_bytes body_bytes;
    struct msy_change_header header;
    const uint8_t *secret; /* 16 bytes. */
    uint32_t bounds_count;
    uint32_t collections_count;
    uint32_t refs_count;
    uint32_t ops_count;
    uint32_t kills_count;
    uint32_t *bounds;
    meshsync_bytes *collections;
    struct msy_ref *refs;
    struct msy_op *ops;
    struct msy_kill *kills;
    uint32_t bounds_cap, collections_cap, refs_cap, ops_cap, kills_cap;
    struct msy_alloc *alloc;
};

void msy_change_init(struct msy_change *change, struct msy_alloc *alloc);
void msy_change_fini(struct msy_change *change);
/* Validates everything in docs/format.md that needs no key and no other change: canonical form,
 * limits, orders, indexes, well-formed paths, payload forms of kinds 0 to 6. Allocation is bounded
 * by the bytes that are there. E_PROTOCOL, E_UNSUPPORTED (a later version) with words; E_NO_MEMORY.
 * The root is not checked here. */
meshsync_status msy_change_parse(struct msy_change *change, meshsync_bytes bytes,
                                 meshsync_error *error);
/* Only header, signature and body_bytes: for the log and for routing. */
meshsync_status msy_change_parse_header(meshsync_bytes bytes, struct msy_change_header *header,
                                        meshsync_bytes *header_bytes, const uint8_t **signature,
                                        meshsync_bytes *body_bytes);

/* H(32; header, signature). */
void msy_change_hash(const struct msy_hasher *hasher, meshsync_bytes header_bytes,
                     const uint8_t signature[MSY_CHANGE_SIGNATURE_BYTES],
                     uint8_t hash[MSY_CHANGE_HASH_BYTES]);
/* What is signed: "meshsync change 1" || header, appended to out. */
meshsync_status msy_change_signed_bytes(meshsync_bytes header_bytes, struct msy_buf *out);
/* Actor id of an epoch as its header declares it. */
void msy_change_actor_id(const struct msy_hasher *hasher, const struct msy_change_header *header,
                         struct msy_actor *actor);
/* Op hashes of a parsed change, ops_count times 32 bytes into hashes, and the root they give. */
meshsync_status msy_change_op_hashes(const struct msy_hasher *hasher,
                                     const struct msy_change *change, uint8_t *hashes,
                                     uint8_t root[MSY_CHANGE_HASH_BYTES]);

/* Is a parsed change, to its last byte, the one with this hash? E_STORE_CORRUPT when not. hashes:
 * scratch, with a maximum of MSY_CHANGE_OPS_MAX hashes. */
meshsync_status msy_change_check(const struct msy_hasher *hasher, const struct msy_change *change,
                                 const uint8_t hash[MSY_CHANGE_HASH_BYTES], struct msy_buf *hashes);

/* Building: begin, ops with their kills, then finish. Buffers are reused. Errors are remembered and
 * returned by finish. */
struct msy_change_builder {
    struct msy_alloc *alloc;
    struct msy_buf ops;   /* Packed ops. */
    struct msy_buf out;   /* The finished change. */
    struct msy_buf kills; /* Pairs of the op being built. */
    struct msy_ref *refs;
    uint32_t refs_count, refs_cap;
    uint32_t *ref_slots; /* Open-addressing index of refs. */
    uint32_t ref_slots_cap;
    char (*collections)[MESHSYNC_NAME_BYTES_MAX + 1];
    uint32_t collections_count, collections_cap;
    uint32_t *bounds;
    uint32_t bounds_count, bounds_cap;
    uint32_t ops_count;
    uint32_t kills_count;
    meshsync_status failed;
};

void msy_builder_init(struct msy_change_builder *builder, struct msy_alloc *alloc);
void msy_builder_fini(struct msy_change_builder *builder);
/* Forgets everything but the memory. */
void msy_builder_reset(struct msy_change_builder *builder);
/* A kill of the next op: of another change's dot, or of an earlier op of this change. */
void msy_builder_kill(struct msy_change_builder *builder, const struct msy_ref *ref,
                      uint32_t index);
void msy_builder_kill_own(struct msy_change_builder *builder, uint32_t index);
/* Adds an op with the kills since the last one; returns its index in *index. */
meshsync_status msy_builder_op(struct msy_change_builder *builder, meshsync_bytes collection,
                               uint32_t kind, meshsync_bytes path, meshsync_bytes payload,
                               uint32_t *index);
/* Marks the end of one plain commit among several. */
void msy_builder_bound(struct msy_change_builder *builder);
/* Encoded bytes so far, for the caps. */
size_t msy_builder_bytes(const struct msy_change_builder *builder);

/* Signs header bytes prepared with msy_change_signed_bytes. */
typedef void (*msy_sign_fn)(void *user, meshsync_bytes message,
                            uint8_t signature[MSY_CHANGE_SIGNATURE_BYTES]);
/* What a change is sealed with. All lent. */
struct msy_change_seal {
    const uint8_t *secret; /* MSY_CHANGE_SECRET_BYTES of randomness. */
    const struct msy_hasher *hasher;
    msy_sign_fn sign;
    void *user;
};
/* Where the finished change goes: the caller's objects. */
struct msy_built {
    struct msy_change *change; /* Parsed from it. */
    struct msy_buf *hashes;    /* ops_count times 32 bytes. */
    uint8_t *hash;             /* MSY_CHANGE_HASH_BYTES: the change hash. */
};
/* Completes header (root is computed here; header->actor is computed when seq is 1), signs, and
 * lends the change from builder->out until the next reset. change, parsed from it, is for the
 * caller's use; hashes receives ops_count * 32 bytes; a single bound is
 * dropped. */
meshsync_status msy_builder_finish(struct msy_change_builder *builder,
                                   struct msy_change_header *header,
                                   const struct msy_change_seal *seal,
                                   const struct msy_built *built, meshsync_error *error);

#endif
