/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two vectors whose digests differ, where actors are many (docs/protocol.md, section 6).
 *
 *   who seeks                                  who tells
 *        SEEK  symbols 0 to n       ------->   keeps its vector as it is now
 *              its own ones out     <-------   SKETCH
 *        SEEK  some more            ------->
 *              it opens             <-------   SKETCH
 *        SWAP  what it alone has    ------->   knows the vector of who seeks
 *              knows the other's    <-------   SWAP  what that one lacks
 *
 * Both check what they learnt by a digest; where it is not the right one, where many differ or it
 * takes too many rounds, the whole vector is asked for. An item is 32 bits of a hash of the actor,
 * its id in the session, and 32 bits of one of the whole entry.
 */
#include <stdlib.h>
#include <string.h>

#include "clock/sketch.h"
#include "mesh/machine.h"
#include "wire/message_sketch.h"

static const char sketch_label[] = "meshsync sketch 1";

/* An actor of ours whose entry the peer does not have. */
struct sketch_row {
    uint32_t id;
    uint32_t index; /* In our vector; UINT32_MAX: not found yet. */
    bool pair;      /* The peer has another entry of it: */
    uint64_t seq;
    uint8_t prefix[MSY_TIP_PREFIX_BYTES];
};

struct msy_sketching {
    struct msy_vector mine; /* As it was when this began. */
    uint8_t digest[MSY_CLOCK_BYTES];
    uint8_t key[16];
    uint64_t began_ms;
    uint32_t given; /* Symbols that were asked for, or told. */
    uint32_t rounds;
    /* Seeking. */
    struct msy_buf symbols;  /* Received, as they came. */
    struct sketch_row *rows; /* Owned; swapped: what we told. Ascending by id. */
    uint32_t rows_count;
    uint32_t rows_cap;
    bool swapped;
};

/* What a SWAP is looked at with. */
struct sketch_at {
    struct msy_mesh *mesh;
    struct msy_store_txn *txn;
    struct msy_mesh_link *link;
    struct msy_channel *channel;
    struct msy_mesh_space *space;
};

/* --- one comparison -------------------------------------------------------------------------- */

void msy_sketching_free(struct msy_mesh *mesh, struct msy_sketching **sketching)
{
    struct msy_sketching *gone = *sketching;
    if (gone == NULL) {
        return;
    }
    *sketching = NULL;
    msy_vector_fini(&gone->mine);
    msy_buf_fini(&gone->symbols);
    msy_free(mesh->alloc, gone->rows, gone->rows_cap * sizeof *gone->rows);
    msy_free(mesh->alloc, gone, sizeof *gone);
}

void msy_sketching_expire(struct msy_mesh *mesh, struct msy_sketching **sketching)
{
    if (*sketching != NULL && mesh->now_ms - (*sketching)->began_ms >= MSY_SKETCH_KEPT_MS) {
        msy_sketching_free(mesh, sketching); /* Who still asks is told the whole vector. */
    }
}

/* The vector of the space is up to date. */
static meshsync_status sketching_new(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                     const struct msy_mesh_space *space,
                                     struct msy_sketching **sketching)
{
    const meshsync_bytes parts[2] = {{(const uint8_t *)sketch_label, sizeof sketch_label - 1},
                                     {link->hash, sizeof link->hash}};
    struct msy_sketching *made = msy_new(mesh->alloc, sizeof *made);
    *sketching = made;
    if (made == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    msy_hash(made->key, sizeof made->key, parts, 2);
    msy_vector_init(&made->mine, mesh->alloc);
    msy_buf_init(&made->symbols, mesh->alloc,
                 (size_t)MSY_SKETCH_SYMBOLS_MAX * MSY_SKETCH_SYMBOL_BYTES);
    made->began_ms = mesh->now_ms;
    meshsync_status status = msy_vector_copy(&made->mine, &space->vector);
    if (status == MESHSYNC_OK) {
        status = msy_clock_digest(mesh, link, &made->mine, made->digest);
    }
    if (status != MESHSYNC_OK) {
        msy_sketching_free(mesh, sketching);
    }
    return status;
}

static uint32_t sketch_id(const uint8_t key[16], const struct msy_tip *tip)
{
    return (uint32_t)msy_hash_short(key, (meshsync_bytes){tip->actor.id, sizeof tip->actor.id});
}

static uint64_t sketch_item(const uint8_t key[16], const struct msy_tip *tip)
{
    uint8_t entry[sizeof tip->actor.id + 8 + MSY_TIP_PREFIX_BYTES];
    memcpy(entry, tip->actor.id, sizeof tip->actor.id);
    msy_put_be64(entry + sizeof tip->actor.id, tip->seq);
    memcpy(entry + sizeof tip->actor.id + 8, tip->hash, MSY_TIP_PREFIX_BYTES);
    uint64_t hash = msy_hash_short(key, (meshsync_bytes){entry, sizeof entry});
    return (uint64_t)sketch_id(key, tip) << 32 | (hash & UINT32_MAX);
}

bool msy_sketch_may(const struct msy_mesh *mesh, const struct msy_mesh_link *link,
                    const struct msy_channel *channel, const struct msy_mesh_space *space)
{
    return (link->features & MSY_FEATURE_SKETCH) != 0 && msy_channel_is(channel, MSY_WAY_BOTH) &&
           channel->has_ours && space->vector.count >= mesh->offer.sketch_tips_min;
}

/* --- asking for symbols ---------------------------------------------------------------------- */

static meshsync_status sketch_put_seek(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       const struct msy_channel *channel, uint32_t count)
{
    struct msy_sketching *seeking = channel->seeking;
    const uint64_t numbers[3] = {channel->ours, seeking->given, count};
    size_t start = link->plain.len;
    meshsync_status status = msy_message_put_numbers(&link->plain, MSY_MESSAGE_SEEK, numbers, 3);
    mesh->stats.clock_bytes_out += link->plain.len - start;
    seeking->given += count;
    seeking->rounds += 1;
    return status;
}

meshsync_status msy_sketch_seek(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                struct msy_channel *channel, const struct msy_mesh_space *space)
{
    uint32_t count = space->vector.count / MSY_SKETCH_TIPS_PER_FIRST;
    count = count < MSY_SKETCH_FIRST_MIN ? MSY_SKETCH_FIRST_MIN : count;
    count = count > MSY_SKETCH_FIRST_MAX ? MSY_SKETCH_FIRST_MAX : count;
    msy_sketching_free(mesh, &channel->seeking);
    meshsync_status status = sketching_new(mesh, link, space, &channel->seeking);
    if (status != MESHSYNC_OK) {
        return status;
    }
    channel->asking = true;
    mesh->stats.clocks_sought += 1;
    return sketch_put_seek(mesh, link, channel, count);
}

/* It did not open: how many symbols more. 0: the vector is cheaper. */
static uint32_t sketch_more(const struct msy_sketching *seeking, uint32_t guess, uint64_t theirs)
{
    uint64_t total = (uint64_t)guess * 27 / 20 + 4;
    uint64_t least = seeking->given + seeking->given / 12 + 4;
    total = total < least ? least : total;
    if (seeking->rounds >= MSY_SKETCH_ROUNDS_MAX || total > MSY_SKETCH_SYMBOLS_MAX ||
        total > seeking->mine.count + theirs) {
        return 0;
    }
    return (uint32_t)total - seeking->given;
}

/* --- telling symbols ------------------------------------------------------------------------- */

static meshsync_status sketch_tell(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   const struct msy_channel *channel, uint32_t count)
{
    struct msy_sketching *sketching = channel->sketching;
    uint32_t all = sketching->given + count;
    struct msy_sketch_symbol *symbols = msy_new_array(mesh->alloc, all, sizeof *symbols);
    if (symbols == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < sketching->mine.count; i++) {
        msy_sketch_put(symbols, all, sketch_item(sketching->key, &sketching->mine.tips[i]));
    }
    msy_buf_reset(&mesh->scratch);
    meshsync_status status = msy_sketch_pack(&mesh->scratch, symbols + sketching->given, count);
    msy_free(mesh->alloc, symbols, all * sizeof *symbols);
    const struct msy_sketch_part part = {.channel = channel->ours,
                                         .first = sketching->given,
                                         .tips = sketching->mine.count,
                                         .symbols = msy_buf_bytes(&mesh->scratch)};
    size_t start = link->plain.len;
    if (status == MESHSYNC_OK) {
        status = msy_message_put_sketch(&link->plain, &part);
    }
    mesh->stats.clock_bytes_out += link->plain.len - start;
    sketching->given = all;
    sketching->rounds += 1;
    return status;
}

/* The peer compares, and what it needs is not here: it is told all, if it may still ask. */
static meshsync_status sketch_tell_all(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       struct msy_channel *channel)
{
    if (channel->clock_out) {
        msy_ack_vector(mesh, link, channel);
    }
    return link->state == MSY_LINK_LIVE ? msy_clock_unwait(mesh, link, channel) : MESHSYNC_OK;
}

meshsync_status msy_sketch_on_seek(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content)
{
    uint64_t numbers[3];
    struct msy_channel *channel = NULL;
    if ((link->features & MSY_FEATURE_SKETCH) == 0 ||
        !msy_message_get_numbers(content, numbers, 3) || numbers[2] == 0 ||
        numbers[1] > MSY_SKETCH_SYMBOLS_MAX || numbers[2] > MSY_SKETCH_SYMBOLS_MAX - numbers[1]) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, numbers[0], MSY_WAY_OUT, &channel);
    struct msy_mesh_space *space = NULL;
    if (status == MESHSYNC_OK && channel != NULL) {
        space = msy_space_find(mesh, channel->space);
    }
    if (space == NULL) {
        return status;
    }
    bool begins = channel->clock_out && !channel->sought;
    if (begins) {
        status = msy_space_vector(mesh, NULL, space);
        begins = space->vector.count >= mesh->offer.sketch_tips_min;
    }
    if (status == MESHSYNC_OK && begins) {
        channel->sought = true;
        status = sketching_new(mesh, link, space, &channel->sketching);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_sketching *sketching = channel->sketching;
    if (sketching == NULL) {
        return sketch_tell_all(mesh, link, channel);
    }
    if (numbers[1] != sketching->given || sketching->rounds >= MSY_SKETCH_ROUNDS_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    channel->waiting_ms = mesh->now_ms;
    return sketch_tell(mesh, link, channel, (uint32_t)numbers[2]);
}

/* --- what differs ---------------------------------------------------------------------------- */

static int sketch_compare_ids(const void *a, const void *b)
{
    const struct sketch_row *x = a;
    const struct sketch_row *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int sketch_compare_indexes(const void *a, const void *b)
{
    const struct sketch_row *x = a;
    const struct sketch_row *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void sketch_sort(struct sketch_row *rows, uint32_t count,
                        int (*compare)(const void *, const void *))
{
    if (count > 1) {
        qsort(rows, count, sizeof *rows, compare);
    }
}

static struct sketch_row *sketch_row_of(struct sketch_row *rows, uint32_t count, uint32_t id)
{
    const struct sketch_row key = {.id = id};
    return count == 0 ? NULL : bsearch(&key, rows, count, sizeof *rows, sketch_compare_ids);
}

/* Where our own tips are that the peer's sketch lacks. False: it names one that we do not have. */
static bool sketch_locate(const struct msy_sketching *seeking, struct msy_sketch_item *items,
                          uint32_t count)
{
    uint32_t lacked = 0;
    for (uint32_t i = 0; i < count; i++) {
        lacked += items[i].added == 0 ? 1 : 0;
    }
    for (uint32_t i = 0; i < seeking->mine.count; i++) {
        uint64_t item = sketch_item(seeking->key, &seeking->mine.tips[i]);
        uint32_t low = 0;
        uint32_t high = count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (items[middle].item < item) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low < count && items[low].item == item) {
            if (items[low].added != 0 || lacked == 0) {
                return false;
            }
            items[low].index = i;
            lacked -= 1;
        }
    }
    return lacked == 0;
}

/* Makes rows of the items, for which there is room, and appends to out the ids of those that only
 * the peer has. Items of one actor have one id, and are neighbours: one of each side at most. */
static meshsync_status sketch_rows(struct msy_sketching *seeking,
                                   const struct msy_sketch_item *items, uint32_t count,
                                   struct msy_buf *out, bool *good)
{
    meshsync_status status = MESHSYNC_OK;
    uint32_t i = 0;
    *good = true;
    while (i < count && status == MESHSYNC_OK) {
        uint32_t id = (uint32_t)(items[i].item >> 32);
        uint32_t group[2] = {0, 0};
        uint32_t index = 0;
        for (; i < count && (uint32_t)(items[i].item >> 32) == id; i++) {
            group[items[i].added] += 1;
            index = items[i].added == 0 ? items[i].index : index;
        }
        if (group[0] > 1 || group[1] > 1) {
            *good = false;
            return MESHSYNC_OK;
        }
        if (group[0] == 0) {
            status = msy_buf_append_be32(out, id);
        } else {
            seeking->rows[seeking->rows_count] =
                (struct sketch_row){.id = id, .index = index, .pair = group[1] == 1};
            seeking->rows_count += 1;
        }
    }
    return status;
}

/* Appends our entries of the rows: of pairs in order of id, or the whole ones in order of actor. */
static meshsync_status sketch_put_rows(const struct msy_sketching *side,
                                       const struct sketch_row *rows, uint32_t count, bool pairs,
                                       bool with_id, struct msy_buf *out)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *tip = &side->mine.tips[rows[i].index];
        if (rows[i].pair != pairs) {
            continue;
        }
        status =
            pairs ? msy_swap_put_pair(out, with_id, rows[i].id, tip) : msy_swap_put_tip(out, tip);
    }
    return status;
}

/* The scratch buffer holds asks; pairs and whole entries of the rows, sorted by id before and
 * after, are added, and all is sent. */
static meshsync_status sketch_put_swap(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       const struct msy_channel *channel,
                                       const struct msy_sketching *side, struct sketch_row *rows,
                                       uint32_t count)
{
    struct msy_buf *out = &mesh->scratch;
    struct msy_swap swap = {
        .channel = channel->ours, .reply = side == channel->sketching, .digest = side->digest};
    size_t asks = out->len;
    meshsync_status status = sketch_put_rows(side, rows, count, true, !swap.reply, out);
    size_t pairs = out->len;
    sketch_sort(rows, count, sketch_compare_indexes);
    if (status == MESHSYNC_OK) {
        status = sketch_put_rows(side, rows, count, false, false, out);
    }
    sketch_sort(rows, count, sketch_compare_ids);
    swap.asks = (meshsync_bytes){out->data, asks};
    swap.pairs = (meshsync_bytes){out->data + asks, pairs - asks};
    swap.tips = (meshsync_bytes){out->data + pairs, out->len - pairs};
    size_t start = link->plain.len;
    if (status == MESHSYNC_OK) {
        status = msy_message_put_swap(&link->plain, &swap);
    }
    mesh->stats.clock_bytes_out += link->plain.len - start;
    return status;
}

/* The sketch opened: says what we have and lack. *good: it was a sketch of a vector. */
static meshsync_status sketch_swap(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   const struct msy_channel *channel, struct msy_sketch_item *items,
                                   uint32_t count, bool *good)
{
    struct msy_sketching *seeking = channel->seeking;
    *good = sketch_locate(seeking, items, count);
    if (!*good) {
        return MESHSYNC_OK;
    }
    if (count > 0) {
        seeking->rows = msy_new_array(mesh->alloc, count, sizeof *seeking->rows);
        if (seeking->rows == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        seeking->rows_cap = count;
    }
    msy_buf_reset(&mesh->scratch);
    meshsync_status status = msy_buf_reserve(&mesh->scratch, 1); /* So that there are data. */
    if (status == MESHSYNC_OK) {
        status = sketch_rows(seeking, items, count, &mesh->scratch, good);
    }
    if (status == MESHSYNC_OK && *good) {
        seeking->swapped = true;
        status = sketch_put_swap(mesh, link, channel, seeking, seeking->rows, seeking->rows_count);
    }
    return status;
}

/* Tries what came so far. */
static meshsync_status sketch_try(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                  struct msy_channel *channel, uint64_t theirs)
{
    struct msy_sketching *seeking = channel->seeking;
    uint32_t have = (uint32_t)(seeking->symbols.len / MSY_SKETCH_SYMBOL_BYTES);
    struct msy_sketch_symbol *symbols = msy_new_array(mesh->alloc, have, sizeof *symbols);
    struct msy_sketch_item *items = msy_new_array(mesh->alloc, have, sizeof *items);
    meshsync_status status = symbols == NULL || items == NULL ? MESHSYNC_E_NO_MEMORY : MESHSYNC_OK;
    uint32_t guess = 0;
    uint32_t count = 0;
    bool opens = false;
    bool good = true;
    if (status == MESHSYNC_OK) {
        for (uint32_t i = 0; i < have; i++) {
            symbols[i] = msy_sketch_unpack(msy_buf_bytes(&seeking->symbols), i);
        }
        for (uint32_t i = 0; i < seeking->mine.count; i++) {
            msy_sketch_take(symbols, have, sketch_item(seeking->key, &seeking->mine.tips[i]));
        }
        guess = msy_sketch_guess(symbols, have, (int64_t)theirs - seeking->mine.count);
        opens = msy_sketch_open(symbols, have, items, &count);
    }
    if (opens) {
        status = sketch_swap(mesh, link, channel, items, count, &good);
    }
    msy_free(mesh->alloc, symbols, have * sizeof *symbols);
    msy_free(mesh->alloc, items, have * sizeof *items);
    if (status != MESHSYNC_OK || (opens && good)) {
        return status;
    }
    uint32_t more = opens ? 0 : sketch_more(seeking, guess, theirs);
    return more > 0 ? sketch_put_seek(mesh, link, channel, more)
                    : msy_clock_ask(mesh, link, channel);
}

meshsync_status msy_sketch_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                              meshsync_bytes content)
{
    struct msy_sketch_part part;
    struct msy_channel *channel = NULL;
    if ((link->features & MSY_FEATURE_SKETCH) == 0 || !msy_message_get_sketch(content, &part) ||
        part.tips > MSY_PEER_TIPS_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, part.channel, MSY_WAY_IN, &channel);
    if (status != MESHSYNC_OK || channel == NULL || channel->seeking == NULL) {
        return status;
    }
    struct msy_sketching *seeking = channel->seeking;
    uint64_t have = seeking->symbols.len / MSY_SKETCH_SYMBOL_BYTES;
    if (part.first != have || have + part.count != seeking->given) {
        return MESHSYNC_E_PROTOCOL; /* Not what we asked for, or asked for no more. */
    }
    if (!msy_channel_is(channel, MSY_WAY_BOTH)) {
        return msy_clock_ask(mesh, link, channel); /* It may not be told what we have. */
    }
    status = msy_buf_append(&seeking->symbols, part.symbols.data, part.symbols.len);
    return status == MESHSYNC_OK ? sketch_try(mesh, link, channel, part.tips) : status;
}

/* --- being told ------------------------------------------------------------------------------ */

/* The peer's vector, out of our own: rows (sorted by index) are what it has otherwise or not at
 * all, tips what only it has. Into mesh->tips. */
static meshsync_status sketch_merge(struct msy_mesh *mesh, const struct msy_sketching *side,
                                    const struct sketch_row *rows, uint32_t count,
                                    const struct msy_swap *swap)
{
    struct msy_vector *out = &mesh->tips;
    struct msy_cursor at;
    struct msy_tip next;
    uint32_t row = 0;
    meshsync_status status = MESHSYNC_OK;
    msy_vector_reset(out);
    msy_cursor_init(&at, swap->tips);
    bool has_next = msy_swap_tip(&at, &next);
    for (uint32_t i = 0; i < side->mine.count && status == MESHSYNC_OK; i++) {
        struct msy_tip tip = side->mine.tips[i];
        while (has_next && status == MESHSYNC_OK &&
               msy_actor_compare(&next.actor, &tip.actor) < 0) {
            status = msy_vector_raise(out, &next);
            has_next = msy_swap_tip(&at, &next);
        }
        bool differs = row < count && rows[row].index == i;
        if (differs && rows[row].pair) {
            memset(tip.hash, 0, sizeof tip.hash);
            memcpy(tip.hash, rows[row].prefix, sizeof rows[row].prefix);
            tip.seq = rows[row].seq;
        }
        if (status == MESHSYNC_OK && (!differs || rows[row].pair)) {
            status = msy_vector_raise(out, &tip);
        }
        row += differs ? 1 : 0;
    }
    while (has_next && status == MESHSYNC_OK) {
        status = msy_vector_raise(out, &next);
        has_next = msy_swap_tip(&at, &next);
    }
    return status;
}

/* Wants of the peer's entries what is not here. */
static meshsync_status sketch_want(const struct sketch_at *at, const struct msy_sketching *side,
                                   const struct sketch_row *rows, uint32_t count,
                                   const struct msy_swap *swap)
{
    struct msy_mesh *mesh = at->mesh;
    struct msy_cursor tips;
    struct msy_tip tip;
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        if (rows[i].pair) {
            memset(&tip, 0, sizeof tip);
            tip.actor = side->mine.tips[rows[i].index].actor;
            tip.seq = rows[i].seq;
            memcpy(tip.hash, rows[i].prefix, sizeof rows[i].prefix);
            status = msy_want_add(mesh, at->txn, at->space, &tip, mesh->now_ms, false);
        }
    }
    msy_cursor_init(&tips, swap->tips);
    while (status == MESHSYNC_OK && msy_swap_tip(&tips, &tip)) {
        status = msy_want_add(mesh, at->txn, at->space, &tip, mesh->now_ms, false);
    }
    return status;
}

/* Takes what a SWAP says as the peer's whole vector, if its digest says so too. What it noted since
 * it froze that vector is on top. */
static meshsync_status sketch_learn(const struct sketch_at *at, const struct msy_sketching *side,
                                    const struct sketch_row *rows, uint32_t count,
                                    const struct msy_swap *swap, bool *good)
{
    struct msy_mesh *mesh = at->mesh;
    struct msy_vector *noted = &at->channel->durable;
    uint8_t digest[MSY_CLOCK_BYTES] = {0};
    meshsync_status status = sketch_merge(mesh, side, rows, count, swap);
    if (status == MESHSYNC_OK) {
        status = msy_clock_digest(mesh, at->link, &mesh->tips, digest);
    }
    *good = status == MESHSYNC_OK && mesh->tips.count <= MSY_PEER_TIPS_MAX &&
            memcmp(digest, swap->digest, sizeof digest) == 0;
    if (!*good) {
        return status;
    }
    for (uint32_t i = 0; i < noted->count && status == MESHSYNC_OK; i++) {
        status = msy_ack_raise(at->txn, at->space->number, &mesh->tips, &noted->tips[i]);
    }
    if (status == MESHSYNC_OK) {
        status = msy_vector_copy(noted, &mesh->tips);
    }
    if (status == MESHSYNC_OK) {
        status = sketch_want(at, side, rows, count, swap);
    }
    if (status == MESHSYNC_OK) {
        mesh->stats.clocks_swapped += 1;
        status = msy_ack_told(mesh, at->txn, at->link, at->channel, at->space);
    }
    return status;
}

/* The answer to what we swapped. */
static meshsync_status sketch_on_reply(const struct sketch_at *at, const struct msy_swap *swap,
                                       bool *news)
{
    struct msy_sketching *seeking = at->channel->seeking;
    struct msy_cursor pairs;
    struct msy_tip tip;
    uint32_t id = 0; /* A reply has none: its pairs are in our order. */
    bool good = true;
    msy_cursor_init(&pairs, swap->pairs);
    for (uint32_t i = 0; i < seeking->rows_count && good; i++) {
        struct sketch_row *row = &seeking->rows[i];
        good = !row->pair || msy_swap_pair(&pairs, false, &id, &tip);
        if (good && row->pair) {
            row->seq = tip.seq;
            memcpy(row->prefix, tip.hash, sizeof row->prefix);
        }
    }
    sketch_sort(seeking->rows, seeking->rows_count, sketch_compare_indexes);
    meshsync_status status = MESHSYNC_OK;
    if (good) {
        status = sketch_learn(at, seeking, seeking->rows, seeking->rows_count, swap, &good);
    }
    *news = good;
    return status == MESHSYNC_OK && !good ? msy_clock_ask(at->mesh, at->link, at->channel) : status;
}

/* Rows of what the peer says it has otherwise, or lacks. False: it names actors twice, or such as
 * we do not have. */
static bool sketch_read(const struct msy_sketching *side, const struct msy_swap *swap,
                        struct sketch_row *rows, uint32_t count)
{
    struct msy_cursor at;
    struct msy_tip tip;
    uint32_t id = 0;
    uint32_t made = 0;
    uint32_t left = count;
    msy_cursor_init(&at, swap->pairs);
    while (msy_swap_pair(&at, true, &id, &tip)) {
        rows[made] =
            (struct sketch_row){.id = id, .index = UINT32_MAX, .pair = true, .seq = tip.seq};
        memcpy(rows[made].prefix, tip.hash, sizeof rows[made].prefix);
        made += 1;
    }
    msy_cursor_init(&at, swap->asks);
    while (msy_swap_ask(&at, &id)) {
        rows[made++] = (struct sketch_row){.id = id, .index = UINT32_MAX};
    }
    sketch_sort(rows, count, sketch_compare_ids);
    for (uint32_t i = 1; i < count; i++) {
        if (rows[i - 1].id == rows[i].id) {
            return false;
        }
    }
    for (uint32_t i = 0; i < side->mine.count && count > 0; i++) {
        struct sketch_row *row =
            sketch_row_of(rows, count, sketch_id(side->key, &side->mine.tips[i]));
        if (row != NULL && row->index != UINT32_MAX) {
            return false;
        }
        if (row != NULL) {
            row->index = i;
            left -= 1;
        }
    }
    return left == 0;
}

/* Answers with our entries, and learns the peer's unless it is not to tell us or has told. *good:
 * there is nothing to ask for. */
static meshsync_status sketch_answer(const struct sketch_at *at, const struct msy_swap *swap,
                                     struct sketch_row *rows, uint32_t count, bool *good)
{
    struct msy_mesh *mesh = at->mesh;
    struct msy_channel *channel = at->channel;
    bool wants = msy_channel_is(channel, MSY_WAY_IN) && !channel->told;
    msy_buf_reset(&mesh->scratch);
    meshsync_status status = msy_buf_reserve(&mesh->scratch, 1);
    if (status == MESHSYNC_OK) {
        status = sketch_put_swap(mesh, at->link, channel, channel->sketching, rows, count);
    }
    sketch_sort(rows, count, sketch_compare_indexes);
    if (status == MESHSYNC_OK && wants) {
        status = sketch_learn(at, channel->sketching, rows, count, swap, good);
    }
    return status;
}

static meshsync_status sketch_on_question(const struct sketch_at *at, const struct msy_swap *swap,
                                          bool *news)
{
    struct msy_mesh *mesh = at->mesh;
    struct msy_channel *channel = at->channel;
    uint32_t count = swap->pairs_count + swap->asks_count;
    struct sketch_row *rows = msy_new_array(mesh->alloc, count + 1, sizeof *rows);
    bool told = channel->told;
    bool good = true;
    if (rows == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    meshsync_status status = MESHSYNC_OK;
    if (sketch_read(channel->sketching, swap, rows, count)) {
        status = sketch_answer(at, swap, rows, count, &good);
    } else {
        status = sketch_tell_all(mesh, at->link, channel); /* Ids of two actors may be one. */
    }
    msy_free(mesh->alloc, rows, (count + 1) * sizeof *rows);
    msy_sketching_free(mesh, &channel->sketching);
    *news = !told && channel->told;
    if (status == MESHSYNC_OK && !good) {
        channel->waiting = true; /* It told something else than it has: all of it then. */
    }
    return status == MESHSYNC_OK ? msy_clock_unwait(mesh, at->link, channel) : status;
}

meshsync_status msy_sketch_on_swap(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content)
{
    struct msy_swap swap;
    struct sketch_at at = {.mesh = mesh, .link = link};
    struct msy_channel *channel = NULL;
    bool news = false;
    if ((link->features & MSY_FEATURE_SKETCH) == 0 || !msy_message_get_swap(content, &swap)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status =
        msy_channel_slot(link, swap.channel, swap.reply ? MSY_WAY_IN : MSY_WAY_OUT, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    at.channel = channel;
    at.space = msy_space_find(mesh, channel->space);
    if (at.space == NULL ||
        (swap.reply && (channel->seeking == NULL || !channel->seeking->swapped))) {
        return MESHSYNC_OK; /* It has told all since. */
    }
    if (!swap.reply && channel->sketching == NULL) {
        return sketch_tell_all(mesh, link, channel);
    }
    status = msy_store_begin(mesh->store, MSY_TXN_READ, &at.txn);
    if (status == MESHSYNC_OK) {
        status = msy_space_vector(mesh, at.txn, at.space);
    }
    if (status == MESHSYNC_OK) {
        status =
            swap.reply ? sketch_on_reply(&at, &swap, &news) : sketch_on_question(&at, &swap, &news);
    }
    msy_store_abort(at.txn);
    if (status == MESHSYNC_OK && news) {
        msy_ack_heard(mesh, at.space);
    }
    return status;
}
