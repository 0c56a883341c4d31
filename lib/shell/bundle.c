/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/bundle.h"

#include <unistd.h>

#include "secure/crypto.h"
#include "shell/control.h"
#include "shell/file.h"
#include "wire/change.h"
#include "wire/message.h"

enum {
    BUNDLE_VERSION = 1,
    BUNDLE_HEADER_BYTES = 128,
    BUNDLE_MAGIC_BYTES = 16,
    /* Where fields begin in the header; the rest is zero. */
    BUNDLE_AT_VERSION = 16,
    BUNDLE_AT_SPACE = 24,
    BUNDLE_AT_MAKER = 40,
    BUNDLE_AT_LENGTH = 72,
    BUNDLE_AT_CHANGES = 80,
    BUNDLE_CHANNEL = 0 /* Messages name one; a bundle has no use for it. */
};

static const uint8_t bundle_magic[BUNDLE_MAGIC_BYTES] = "meshsync bundle";
static const char bundle_what[] = "the bundle";

/* A bundle being read or written. */
struct bundle {
    struct msy_file file;
    meshsync_bundle_info info;
    uint64_t at;               /* In the file. */
    uint64_t end;              /* Of the messages. */
    struct msy_buf buf;        /* Messages on their way. */
    struct msy_vector vector;  /* Of the maker, with epochs before its tips. */
    struct msy_change *change; /* Scratch, owned: what is checked before it is written, */
    struct msy_buf hashes;     /* and the hashes of its ops. */
    struct msy_alloc *alloc;
    meshsync_error *error;
};

static void bundle_init(struct bundle *bundle, struct msy_alloc *alloc, meshsync_error *error)
{
    memset(bundle, 0, sizeof *bundle);
    bundle->file = (struct msy_file){-1, bundle_what, alloc};
    bundle->info.size = sizeof bundle->info;
    bundle->error = error;
    msy_buf_init(&bundle->buf, alloc, (size_t)2 * MSY_MESSAGE_BYTES_MAX);
    msy_vector_init(&bundle->vector, alloc);
    bundle->alloc = alloc;
    msy_buf_init(&bundle->hashes, alloc, (size_t)MSY_CHANGE_OPS_MAX * MSY_CHANGE_HASH_BYTES);
}

static void bundle_fini(struct bundle *bundle)
{
    if (bundle->file.fd >= 0) {
        (void)close(bundle->file.fd); /* Only read: who writes closes it by msy_file_finish(). */
    }
    if (bundle->change != NULL) {
        msy_change_fini(bundle->change);
        msy_free(bundle->alloc, bundle->change, sizeof *bundle->change);
    }
    msy_buf_fini(&bundle->hashes);
    msy_buf_fini(&bundle->buf);
    msy_vector_fini(&bundle->vector);
}

/* ---- Reading ---- */

static meshsync_status bundle_open(struct bundle *bundle, const char *path)
{
    uint8_t header[BUNDLE_HEADER_BYTES];
    meshsync_error *error = bundle->error;
    meshsync_status status = msy_file_open(&bundle->file, path, error);
    if (status == MESHSYNC_OK) {
        status = msy_file_size(&bundle->file, &bundle->info.bytes, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_file_read(&bundle->file, header, sizeof header, 0, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (memcmp(header, bundle_magic, sizeof bundle_magic) != 0) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the file is no bundle");
    }
    uint32_t version = msy_get_be32(header + BUNDLE_AT_VERSION);
    if (version != BUNDLE_VERSION) {
        return msy_fail(error, MESHSYNC_E_STORE_VERSION,
                        "the bundle has format %u, this library knows %d", (unsigned)version,
                        (int)BUNDLE_VERSION);
    }
    uint64_t length = msy_get_be64(header + BUNDLE_AT_LENGTH);
    if (bundle->info.bytes < BUNDLE_HEADER_BYTES + MSY_HASH_BYTES ||
        length != bundle->info.bytes - BUNDLE_HEADER_BYTES - MSY_HASH_BYTES) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the bundle has not its length");
    }
    memcpy(bundle->info.space, header + BUNDLE_AT_SPACE, sizeof bundle->info.space);
    memcpy(bundle->info.maker, header + BUNDLE_AT_MAKER, sizeof bundle->info.maker);
    bundle->info.changes = msy_get_be64(header + BUNDLE_AT_CHANGES);
    bundle->at = BUNDLE_HEADER_BYTES;
    bundle->end = BUNDLE_HEADER_BYTES + length;
    return msy_file_check(&bundle->file, bundle->end, error);
}

static meshsync_status bundle_malformed(const struct bundle *bundle)
{
    return msy_fail(bundle->error, MESHSYNC_E_PROTOCOL,
                    "the bundle is malformed before its byte %llu", (unsigned long long)bundle->at);
}

/* The next message into buf. E_END. */
static meshsync_status bundle_next(struct bundle *bundle, uint8_t *type, meshsync_bytes *content)
{
    uint8_t head[MSY_MESSAGE_HEAD_BYTES];
    uint32_t len = 0;
    if (bundle->at == bundle->end) {
        return MESHSYNC_E_END;
    }
    if (bundle->end - bundle->at < sizeof head) {
        return bundle_malformed(bundle);
    }
    meshsync_status status =
        msy_file_read(&bundle->file, head, sizeof head, bundle->at, bundle->error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    msy_message_head(head, type, &len);
    bundle->at += sizeof head;
    if (len > MSY_MESSAGE_BYTES_MAX || len > bundle->end - bundle->at) {
        return bundle_malformed(bundle);
    }
    msy_buf_reset(&bundle->buf);
    status = msy_buf_reserve(&bundle->buf, len);
    if (status != MESHSYNC_OK) {
        return msy_fail(bundle->error, status, "the bundle: no memory for a message");
    }
    status = msy_file_read(&bundle->file, bundle->buf.data, len, bundle->at, bundle->error);
    bundle->buf.len = len;
    bundle->at += len;
    *content = msy_buf_bytes(&bundle->buf);
    return status;
}

/* The vector of the bundle at path, which must be of that space. */
static meshsync_status bundle_base(struct bundle *base, const char *path, const uint8_t *space)
{
    uint8_t type = 0;
    meshsync_bytes content = {NULL, 0};
    struct msy_tips tips;
    struct msy_tip tip;
    base->file.what = "the base";
    meshsync_status status = bundle_open(base, path);
    if (status == MESHSYNC_OK && memcmp(base->info.space, space, sizeof base->info.space) != 0) {
        status = msy_fail(base->error, MESHSYNC_E_INVALID, "the base is of another space");
    }
    while (status == MESHSYNC_OK) {
        status = bundle_next(base, &type, &content);
        if (status != MESHSYNC_OK || type != MSY_MESSAGE_VECTOR) {
            break; /* The vector comes first. */
        }
        if (!msy_message_get_tips(content, &tips)) {
            return bundle_malformed(base);
        }
        while (status == MESHSYNC_OK && msy_tips_next(&tips, &tip)) {
            status = msy_vector_raise(&base->vector, &tip);
        }
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* ---- Writing ---- */

static meshsync_status bundle_flush(struct bundle *bundle)
{
    meshsync_status status =
        msy_file_write(&bundle->file, bundle->buf.data, bundle->buf.len, bundle->at, bundle->error);
    bundle->at += bundle->buf.len;
    msy_buf_reset(&bundle->buf);
    return status;
}

static meshsync_status bundle_put_vector(struct bundle *bundle)
{
    const struct msy_vector *vector = &bundle->vector;
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t at = 0; at < vector->count && status == MESHSYNC_OK;) {
        uint32_t left = vector->count - at;
        uint32_t n = left < MSY_MESSAGE_TIPS_MAX ? left : (uint32_t)MSY_MESSAGE_TIPS_MAX;
        status = msy_message_put_tips(&bundle->buf, MSY_MESSAGE_VECTOR, BUNDLE_CHANNEL,
                                      n < left ? 1 : 0, vector->tips + at, n);
        if (status == MESHSYNC_OK) {
            status = bundle_flush(bundle);
        }
        at += n;
    }
    return status;
}

/* A record leaves only as the change that it is said to be. */
static meshsync_status bundle_check(struct bundle *bundle, const struct msy_record *record)
{
    static const struct msy_hasher hasher = {.hash = msy_hash, .stream = msy_stream};
    if (msy_record_sealed(record)) {
        return MESHSYNC_OK; /* Its checksum was compared when it was read. */
    }
    if (bundle->change == NULL) {
        bundle->change = (struct msy_change *)msy_new(bundle->alloc, sizeof *bundle->change);
        if (bundle->change == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        msy_change_init(bundle->change, bundle->alloc);
    }
    meshsync_status status = msy_change_parse(bundle->change, record->change, NULL);
    if (status == MESHSYNC_OK) {
        status = msy_change_check(&hasher, bundle->change, record->hash, &bundle->hashes);
    }
    return status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY ? status
                                                                   : MESHSYNC_E_STORE_CORRUPT;
}

/* About one message of what the stream has, within one transaction of the store. */
static meshsync_status bundle_put_some(struct bundle *bundle, struct msy_stream *stream,
                                       struct msy_store_txn *txn)
{
    uint64_t lsn = 0;
    struct msy_record record;
    meshsync_status status =
        msy_message_begin_changes(&bundle->buf, BUNDLE_CHANNEL, MSY_CHANGES_DURABLE);
    while (status == MESHSYNC_OK && stream->count > 0 &&
           bundle->buf.len < MSY_BUNDLE_MESSAGE_BYTES_GOOD) {
        status = msy_stream_peek(stream, txn, &lsn, &record);
        if (status == MESHSYNC_OK) {
            status = bundle_check(bundle, &record);
        }
        if (status == MESHSYNC_OK) {
            status = msy_message_put_change(&bundle->buf, 0, record.change);
        }
        if (status == MESHSYNC_OK) {
            bundle->info.changes += 1;
            status = msy_stream_advance(stream, txn);
        }
    }
    return status;
}

/* No transaction lives longer than a message: a large bundle does not hold pages back. */
static meshsync_status bundle_put_changes(struct bundle *bundle, meshsync_node *node,
                                          struct msy_stream *stream)
{
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK && stream->count > 0) {
        struct msy_store_txn *txn = NULL;
        status = msy_node_begin_read(node, &txn, bundle->error);
        if (status != MESHSYNC_OK) {
            return status;
        }
        status = bundle_put_some(bundle, stream, txn);
        msy_node_end_read(txn);
        if (status != MESHSYNC_OK) {
            return msy_fail(bundle->error, status, "reading the log for the bundle: %s",
                            meshsync_strerror(status));
        }
        status = bundle_flush(bundle);
    }
    return status;
}

/* Who reads the vector knows what a tip implies only when it has the tip's epoch. So the epochs
 * before are told too, the latest first; beyond the bound a reader sends some changes twice. */
static meshsync_status bundle_expand(struct bundle *bundle, struct msy_store_txn *txn,
                                     uint32_t space)
{
    struct msy_vector *vector = &bundle->vector;
    struct msy_alloc *alloc = bundle->file.alloc;
    const uint32_t cap = vector->count + MSY_BUNDLE_EPOCHS_MAX;
    struct msy_tip *queue = (struct msy_tip *)msy_new_array(alloc, cap, sizeof *queue);
    uint32_t count = vector->count;
    meshsync_status status = queue == NULL ? MESHSYNC_E_NO_MEMORY : MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        queue[i] = vector->tips[i];
    }
    for (uint32_t i = 0; i < count && count < cap && status == MESHSYNC_OK; i++) {
        struct msy_epoch epoch;
        status = msy_history_epoch(txn, space, &queue[i].actor, &epoch);
        if (status != MESHSYNC_OK || !epoch.has_predecessor) {
            continue;
        }
        const struct msy_tip *known = msy_vector_get(vector, &epoch.predecessor.actor);
        if (known == NULL || known->seq < epoch.predecessor.seq) {
            queue[count] = epoch.predecessor;
            count += 1;
            status = msy_vector_raise(vector, &epoch.predecessor);
        }
    }
    msy_free(alloc, queue, cap * sizeof *queue);
    return status;
}

static meshsync_status bundle_plan(struct bundle *bundle, meshsync_space *space,
                                   const struct msy_vector *theirs, struct msy_stream *stream)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_node_begin_read(space->node, &txn, bundle->error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_history_vector(txn, space->number, &bundle->vector);
    if (status == MESHSYNC_OK && stream != NULL) {
        status = msy_stream_plan(stream, txn, space->number, theirs, bundle->vector.tips,
                                 bundle->vector.count);
    }
    if (status == MESHSYNC_OK) {
        status = bundle_expand(bundle, txn, space->number);
    }
    msy_node_end_read(txn);
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(bundle->error, status, "planning the bundle: %s",
                                            meshsync_strerror(status));
}

static meshsync_status bundle_finish(struct bundle *bundle)
{
    uint8_t header[BUNDLE_HEADER_BYTES] = {0};
    memcpy(header, bundle_magic, sizeof bundle_magic);
    msy_put_be32(header + BUNDLE_AT_VERSION, BUNDLE_VERSION);
    memcpy(header + BUNDLE_AT_SPACE, bundle->info.space, sizeof bundle->info.space);
    msy_put_be64(header + BUNDLE_AT_LENGTH, bundle->at - BUNDLE_HEADER_BYTES);
    msy_put_be64(header + BUNDLE_AT_CHANGES, bundle->info.changes);
    memcpy(header + BUNDLE_AT_MAKER, bundle->info.maker, sizeof bundle->info.maker);
    bundle->info.bytes = bundle->at + MSY_HASH_BYTES;
    meshsync_status status = msy_file_write(&bundle->file, header, sizeof header, 0, bundle->error);
    return status == MESHSYNC_OK ? msy_file_seal(&bundle->file, bundle->at, bundle->error) : status;
}

static meshsync_status bundle_fill(struct bundle *bundle, meshsync_space *space,
                                   const struct msy_vector *theirs, enum msy_bundle_content content)
{
    struct msy_stream stream;
    msy_stream_init(&stream, &space->node->alloc);
    bundle->at = BUNDLE_HEADER_BYTES;
    memcpy(bundle->info.space, space->id, sizeof bundle->info.space);
    memcpy(bundle->info.maker, space->node->id, sizeof bundle->info.maker);
    meshsync_status status =
        bundle_plan(bundle, space, theirs, content == MSY_BUNDLE_CHANGES ? &stream : NULL);
    if (status == MESHSYNC_OK) {
        status = bundle_put_vector(bundle);
    }
    if (status == MESHSYNC_OK) {
        status = bundle_put_changes(bundle, space->node, &stream);
    }
    if (status == MESHSYNC_OK) {
        status = bundle_finish(bundle);
    }
    msy_stream_fini(&stream);
    return status;
}

meshsync_status msy_bundle_write(meshsync_space *space, const char *path, const char *base,
                                 enum msy_bundle_content content, meshsync_bundle_info *info,
                                 meshsync_error *error)
{
    struct bundle theirs;
    struct bundle bundle;
    meshsync_status status = MESHSYNC_OK;
    bundle_init(&theirs, &space->node->alloc, error);
    bundle_init(&bundle, &space->node->alloc, error);
    if (base != NULL) {
        status = bundle_base(&theirs, base, space->id);
    }
    if (status == MESHSYNC_OK) {
        status = msy_file_create(&bundle.file, path, error);
    }
    if (status == MESHSYNC_OK) {
        status = bundle_fill(&bundle, space, &theirs.vector, content);
        status = msy_file_finish(&bundle.file, path, status, error);
    }
    *info = bundle.info;
    bundle_fini(&bundle);
    bundle_fini(&theirs);
    return status;
}

/* ---- Applying ---- */

static meshsync_status bundle_space(const struct bundle *bundle, meshsync_node *node,
                                    meshsync_space **space)
{
    meshsync_space_info info;
    for (uint32_t i = 0;; i++) {
        meshsync_status status = msy_spaces_at(node, i, space, bundle->error);
        if (status == MESHSYNC_E_END) {
            return msy_fail(bundle->error, MESHSYNC_E_NOT_FOUND,
                            "this node does not have the bundle's space: join it by a ticket");
        }
        if (status != MESHSYNC_OK) {
            return status;
        }
        if (memcmp((*space)->id, bundle->info.space, sizeof bundle->info.space) == 0) {
            break;
        }
    }
    meshsync_status status = msy_control_info(*space, &info, bundle->error);
    return status == MESHSYNC_OK && info.left != 0
               ? msy_fail(bundle->error, MESHSYNC_E_STATE, "space \"%s\" was left", (*space)->name)
               : status;
}

/* Hands the changes gathered in *work to the writer, and counts what became of them. */
static meshsync_status bundle_submit(struct bundle *bundle, const meshsync_space *space,
                                     struct msy_work **work)
{
    struct msy_answer answer;
    if (*work == NULL) {
        return MESHSYNC_OK;
    }
    (*work)->event.type = MSY_REPLICA_CHANGES;
    (*work)->event.space = space->number;
    (*work)->event.bytes = msy_buf_bytes(&(*work)->bytes);
    meshsync_status status = msy_writer_call(&space->node->writer, *work, &answer);
    *work = NULL;
    bundle->info.accepted += answer.received.accepted;
    bundle->info.duplicate += answer.received.duplicate;
    bundle->info.pending += answer.received.pending;
    bundle->info.rejected += answer.received.rejected;
    if (status == MESHSYNC_E_PROTOCOL) {
        return MESHSYNC_OK; /* Told at the end; the others are good. */
    }
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(bundle->error, status, "%s", answer.error.message);
}

static meshsync_status bundle_gather(struct bundle *bundle, const meshsync_space *space,
                                     struct msy_work **work, meshsync_bytes content)
{
    uint32_t channel = 0;
    uint32_t flags = 0;
    meshsync_bytes list;
    if (!msy_message_get_changes(content, &channel, &flags, &list)) {
        return bundle_malformed(bundle);
    }
    if (*work == NULL) {
        *work = msy_work_new(space->node);
    }
    if (*work == NULL || msy_buf_append(&(*work)->bytes, list.data, list.len) != MESHSYNC_OK) {
        return msy_fail(bundle->error, MESHSYNC_E_NO_MEMORY, "the bundle: no memory for changes");
    }
    return (*work)->bytes.len < MSY_BUNDLE_BATCH_BYTES_GOOD ? MESHSYNC_OK
                                                            : bundle_submit(bundle, space, work);
}

static meshsync_status bundle_read_all(struct bundle *bundle, const meshsync_space *space)
{
    struct msy_work *work = NULL;
    uint8_t type = 0;
    meshsync_bytes content = {NULL, 0};
    meshsync_status status = bundle_next(bundle, &type, &content);
    while (status == MESHSYNC_OK) {
        if (type == MSY_MESSAGE_CHANGES) {
            status = bundle_gather(bundle, space, &work, content);
        } else if (type != MSY_MESSAGE_VECTOR && type < MSY_MESSAGE_TYPE_OPTIONAL) {
            status = bundle_malformed(bundle);
        }
        if (status == MESHSYNC_OK) {
            status = bundle_next(bundle, &type, &content);
        }
    }
    if (status == MESHSYNC_E_END) {
        status = bundle_submit(bundle, space, &work);
    }
    if (work != NULL) {
        work->release(work);
    }
    return status;
}

meshsync_status msy_bundle_apply(meshsync_node *node, const char *path, meshsync_bundle_info *info,
                                 meshsync_error *error)
{
    struct bundle bundle;
    meshsync_space *space = NULL;
    bundle_init(&bundle, &node->alloc, error);
    meshsync_status status = bundle_open(&bundle, path);
    if (status == MESHSYNC_OK) {
        status = bundle_space(&bundle, node, &space);
    }
    if (status == MESHSYNC_OK) {
        status = bundle_read_all(&bundle, space);
    }
    if (status == MESHSYNC_OK && bundle.info.rejected > 0) {
        status = msy_fail(error, MESHSYNC_E_PROTOCOL, "%llu changes of the bundle were rejected",
                          (unsigned long long)bundle.info.rejected);
    }
    *info = bundle.info;
    bundle_fini(&bundle);
    return status;
}
