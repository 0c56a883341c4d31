/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/control.h"

#include "base/path.h"
#include "replica/control.h"
#include "shell/clock.h"
#include "wire/value.h"

enum { CONTROL_RECORD_BYTES_MAX = 512 };

/* ---- Spaces ---- */

/* Hands an event about spaces to the writer and waits; bytes is the name. */
static meshsync_status control_call(meshsync_node *node, const struct msy_replica_event *event,
                                    const char *name, struct msy_answer *answer,
                                    meshsync_error *error)
{
    struct msy_work *work = msy_work_new(node);
    if (work == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the writer's work");
    }
    work->event = *event;
    meshsync_status status = msy_buf_append(&work->bytes, name, strlen(name));
    if (status != MESHSYNC_OK) {
        work->release(work);
        return msy_fail(error, status, "no memory for a name");
    }
    work->event.bytes = msy_buf_bytes(&work->bytes);
    status = msy_writer_call(&node->writer, work, answer);
    if (status != MESHSYNC_OK && error != NULL) {
        *error = answer->error;
    }
    return status;
}

meshsync_status msy_control_create(meshsync_node *node, const char *name, meshsync_space **space,
                                   meshsync_error *error)
{
    const struct msy_replica_event event = {.type = MSY_REPLICA_CREATE};
    struct msy_answer answer = {.space = 0};
    meshsync_status status = control_call(node, &event, name, &answer, error);
    return status == MESHSYNC_OK ? msy_spaces_by_number(node, answer.space, space, error) : status;
}

static void control_dial_ticket(meshsync_node *node, const struct msy_ticket *ticket)
{
    for (uint32_t i = 0; i < ticket->addresses_count; i++) {
        meshsync_error error;
        msy_remember_peer(node->remember, ticket->addresses[i]);
        /* One that cannot be dialled is as good as one that is not there. */
        (void)msy_network_dial(&node->network, ticket->addresses[i], &error);
    }
}

meshsync_status msy_control_join(meshsync_node *node, const char *text, const char *name,
                                 meshsync_space **space, meshsync_error *error)
{
    struct msy_answer answer = {.space = 0};
    struct msy_ticket ticket;
    meshsync_status status = msy_ticket_decode(text, strlen(text), &ticket, error);
    if (status == MESHSYNC_OK) {
        const struct msy_replica_event event = {.type = MSY_REPLICA_JOIN, .ticket = &ticket};
        status = control_call(node, &event, name, &answer, error);
    }
    if (status == MESHSYNC_OK) {
        control_dial_ticket(node, &ticket);
        status = msy_spaces_by_number(node, answer.space, space, error);
    }
    msy_ticket_wipe(&ticket);
    return status;
}

meshsync_status msy_control_leave(meshsync_space *space, bool erase, meshsync_error *error)
{
    const struct msy_replica_event event = {
        .type = MSY_REPLICA_LEAVE, .space = space->number, .erase = erase ? 1 : 0};
    struct msy_answer answer = {.space = 0};
    meshsync_status status = control_call(space->node, &event, "", &answer, error);
    if (status == MESHSYNC_OK && erase) {
        atomic_store(&space->gone, true);
    }
    return status;
}

/* ---- Control records ---- */

/* Commits one record: a MSGPACK value at the path of parts in the control collection. */
static meshsync_status control_record(meshsync_space *space, const meshsync_bytes *parts,
                                      size_t parts_count, meshsync_bytes array,
                                      meshsync_error *error)
{
    meshsync_node *node = space->node;
    const meshsync_value value = {.bytes = array, .type = MESHSYNC_VALUE_MSGPACK};
    struct msy_answer answer;
    struct msy_buf payload;
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    struct msy_work *work = msy_work_new(node);
    if (work == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the writer's work");
    }
    for (size_t i = 0; i < parts_count; i++) {
        /* Names and keys of control records are far below the limit of a path. */
        (void)msy_path_append(path, &path_len, sizeof path, parts[i]);
    }
    msy_buf_init(&payload, &node->alloc, CONTROL_RECORD_BYTES_MAX);
    meshsync_status status = msy_value_encode(&value, &payload, error);
    const struct msy_intent intent = {.type = MSY_INTENT_PUT,
                                      .condition = MESHSYNC_IF_ANY,
                                      .path = {path, path_len},
                                      .payload = msy_buf_bytes(&payload)};
    if (status == MESHSYNC_OK) {
        status = msy_request_add(&work->request, &intent);
    }
    msy_buf_fini(&payload);
    if (status != MESHSYNC_OK) {
        work->release(work);
        return msy_fail(error, status, "control record: %s", meshsync_strerror(status));
    }
    work->request.explicit_txn = true;
    work->event.type = MSY_REPLICA_COMMIT;
    work->event.space = space->number;
    work->event.request = &work->request;
    status = msy_writer_call(&node->writer, work, &answer);
    if (status != MESHSYNC_OK && error != NULL) {
        *error = answer.error;
    }
    return status;
}

static meshsync_status control_row(meshsync_space *space, struct msy_store_txn *txn,
                                   struct msy_space_row_descriptor *row, meshsync_error *error)
{
    uint32_t number = space->number - 1;
    meshsync_status status = msy_history_next_space(txn, &number, row);
    if (status == MESHSYNC_E_END || (status == MESHSYNC_OK && number != space->number)) {
        status = MESHSYNC_E_NOT_FOUND;
    }
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(error, status, "space \"%s\": %s", space->name,
                                            meshsync_strerror(status));
}

static meshsync_status control_read_row(meshsync_space *space, struct msy_space_row_descriptor *row,
                                        meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status == MESHSYNC_OK) {
        status = control_row(space, txn, row, error);
        msy_node_end_read(txn);
    }
    return status;
}

static void control_ticket_addresses(meshsync_node *node, struct msy_ticket *ticket)
{
    while (ticket->addresses_count < MSY_TICKET_ADDRESSES_MAX &&
           msy_remember_listen_at(node->remember, ticket->addresses_count,
                                  ticket->addresses[ticket->addresses_count])) {
        ticket->addresses_count += 1;
    }
}

static meshsync_status control_invite_array(uint64_t expires_ms, struct msy_buf *array)
{
    const uint64_t fields[] = {1, 0, expires_ms, 0}; /* Version, role, expiry, uses. */
    meshsync_status status = msy_mp_put_array(array, 4);
    for (size_t i = 0; i < 4 && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(array, fields[i]);
    }
    return status;
}

meshsync_status msy_control_invite(meshsync_space *space, uint64_t expires_ms, char *text,
                                   meshsync_error *error)
{
    meshsync_node *node = space->node;
    struct msy_space_row_descriptor row;
    struct msy_ticket ticket;
    struct msy_buf array;
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    const meshsync_bytes parts[] = {msy_key_name("invite"), {invite, sizeof invite}};
    memset(&ticket, 0, sizeof ticket);
    meshsync_status status = control_read_row(space, &row, error);
    if (status == MESHSYNC_OK && row.left) {
        status = msy_fail(error, MESHSYNC_E_STATE, "space \"%s\" was left", space->name);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memcpy(ticket.space, row.id, sizeof ticket.space);
    memcpy(ticket.founder, row.founder, sizeof ticket.founder);
    memcpy(ticket.nonce, row.nonce, sizeof ticket.nonce);
    memcpy(ticket.discovery, row.discovery, sizeof ticket.discovery);
    memcpy(ticket.name, row.name, sizeof ticket.name);
    msy_wipe(&row, sizeof row);
    ticket.expires_ms = expires_ms;
    node->entropy.fill(node->entropy.user, ticket.invite_seed, sizeof ticket.invite_seed);
    msy_sign_public(invite, ticket.invite_seed);
    control_ticket_addresses(node, &ticket);
    msy_buf_init(&array, &node->alloc, CONTROL_RECORD_BYTES_MAX);
    status = control_invite_array(expires_ms, &array);
    if (status == MESHSYNC_OK) {
        status = control_record(space, parts, 2, msy_buf_bytes(&array), error);
    } else {
        (void)msy_fail(error, status, "invitation: %s", meshsync_strerror(status));
    }
    if (status == MESHSYNC_OK) {
        status = msy_ticket_encode(&ticket, text, error);
    }
    msy_buf_fini(&array);
    msy_ticket_wipe(&ticket);
    return status;
}

/* ---- Collections ---- */

/* [1, type, view, merge name, merge version, priority] */
static meshsync_status control_schema_array(const struct msy_collection_wish *wish,
                                            struct msy_buf *array)
{
    meshsync_status status = msy_mp_put_array(array, 6);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(array, 1);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(array, (uint64_t)wish->type);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(array, (uint64_t)wish->view);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_str(array, msy_key_name(wish->merge_name));
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(array, wish->merge_version);
    }
    return status == MESHSYNC_OK ? msy_mp_put_uint(array, 0) : status;
}

/* What is there already: *same when nothing is to be done. E_TYPE. */
static meshsync_status control_compare(meshsync_space *space,
                                       const struct msy_collection_wish *wish, bool *same,
                                       meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    struct msy_schema schema;
    *same = false;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_schema_find(txn, space->number, msy_key_name(wish->name), &schema);
    msy_node_end_read(txn);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return MESHSYNC_OK;
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the schema of \"%s\" cannot be read", wish->name);
    }
    if (schema.type != wish->type) {
        return msy_fail(error, MESHSYNC_E_TYPE, "collection \"%s\" exists with type %d, not %d",
                        wish->name, (int)schema.type, (int)wish->type);
    }
    *same = schema.view == wish->view && schema.merge_version == wish->merge_version &&
            strcmp(schema.merge_name, wish->merge_name) == 0;
    return MESHSYNC_OK;
}

meshsync_status msy_control_collection(meshsync_space *space,
                                       const struct msy_collection_wish *wish,
                                       meshsync_error *error)
{
    const meshsync_bytes parts[] = {msy_key_name("schema"), msy_key_name(wish->name)};
    struct msy_buf array;
    bool same = false;
    meshsync_status status = control_compare(space, wish, &same, error);
    if (status != MESHSYNC_OK || same) {
        return status;
    }
    msy_buf_init(&array, &space->node->alloc, CONTROL_RECORD_BYTES_MAX);
    status = control_schema_array(wish, &array);
    if (status == MESHSYNC_OK) {
        status = control_record(space, parts, 2, msy_buf_bytes(&array), error);
    } else {
        (void)msy_fail(error, status, "schema: %s", meshsync_strerror(status));
    }
    msy_buf_fini(&array);
    return status;
}

/* ---- Facts ---- */

/* Devices with a member record that holds, and the founder. */
static meshsync_status control_members(struct msy_store_txn *txn, uint32_t space,
                                       const uint8_t *founder, uint64_t *members)
{
    uint8_t path[64];
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    uint8_t scratch[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    uint32_t collection = 0;
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    *members = 1;
    meshsync_status status = msy_control_number(txn, space, msy_bytes(NULL, 0), &collection);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status; /* Nothing came yet. */
    }
    (void)msy_path_append(path, &path_len, sizeof path, msy_key_name("member"));
    meshsync_bytes prefix = msy_key_state(bytes, space, collection, msy_bytes(path, path_len));
    status = msy_store_iter_open(txn, MSY_TABLE_STATE, &iter);
    if (status == MESHSYNC_OK) {
        status = msy_store_seek(iter, prefix, &key, &value);
    }
    while (status == MESHSYNC_OK && key.len > prefix.len &&
           memcmp(key.data, prefix.data, prefix.len) == 0) {
        meshsync_bytes rest = msy_bytes(key.data + prefix.len, key.len - prefix.len);
        meshsync_bytes device;
        bool has = false;
        if (msy_path_next(&rest, scratch, &device) && device.len == MESHSYNC_NODE_ID_BYTES &&
            memcmp(device.data, founder, device.len) != 0) {
            status = msy_members_has(txn, space, device.data, NULL, &has);
        }
        *members += has ? 1 : 0;
        if (status == MESHSYNC_OK) {
            status = msy_store_next(iter, &key, &value);
        }
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

meshsync_status msy_control_info(meshsync_space *space, meshsync_space_info *info,
                                 meshsync_error *error)
{
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    struct msy_vector vector;
    meshsync_digest digest = {.size = sizeof digest};
    msy_vector_init(&vector, &space->node->alloc);
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = control_row(space, txn, &row, error);
    if (status == MESHSYNC_OK) {
        memcpy(info->id, row.id, sizeof info->id);
        memcpy(info->founder, row.founder, sizeof info->founder);
        memcpy(info->name, row.name, sizeof info->name);
        info->joined = row.joining ? 0 : 1;
        info->left = row.left ? 1 : 0;
        msy_wipe(&row, sizeof row);
        status = msy_space_digest(txn, space->number, &digest);
        info->changes = digest.changes;
        info->entries = digest.entries;
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_vector(txn, space->number, &vector);
        info->tips = vector.count;
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_heads(txn, space->number, &vector);
        info->heads = vector.count;
    }
    if (status == MESHSYNC_OK) {
        status = control_members(txn, space->number, info->founder, &info->members);
    }
    msy_node_end_read(txn);
    msy_vector_fini(&vector);
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(error, status, "space \"%s\": %s", space->name,
                                            meshsync_strerror(status));
}
