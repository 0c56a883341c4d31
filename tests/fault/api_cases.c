/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of api_world.h: each case calls some public functions, and undoes what they made. */
#include "fault/api_world.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

enum { CASE_HURT_MS = 100 };

static meshsync_options case_options(struct api_world *world, const char *path)
{
    meshsync_options options = api_options(path);
    if (world->memory != NULL) {
        options.allocate = fail_memory_realloc;
        options.allocate_user = world->memory;
    }
    return options;
}

static void case_pause(struct api_world *world, bool paused)
{
    if (world->source != NULL && world->source->pause != NULL) {
        world->source->pause(paused);
    }
}

/* Removes the folder of a node, if there is one. */
static void case_forget(struct api_world *world, const char *path)
{
    case_pause(world, true);
    if (access(path, F_OK) == 0) {
        api_remove(path);
    }
    case_pause(world, false);
}

static void case_unlink(struct api_world *world, const char *path)
{
    case_pause(world, true);
    (void)unlink(path);
    case_pause(world, false);
}

/* ---- Nodes ---- */

static meshsync_status case_options_set(struct api_world *world)
{
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    return meshsync_options_set(&options, "store_map_bytes", "64MiB", &world->error);
}

static meshsync_status case_open_at(struct api_world *world, const char *path)
{
    meshsync_options options = case_options(world, path);
    meshsync_node *node = NULL;
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    meshsync_status status = meshsync_node_open(&options, &node, &world->error);
    if (status == MESHSYNC_OK) {
        assert_int_equal(meshsync_node_id(node, id), MESHSYNC_OK);
        assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    } else {
        assert_null(node);
    }
    return status;
}

static meshsync_status case_open_new(struct api_world *world)
{
    case_forget(world, world->files[0]);
    return case_open_at(world, world->files[0]);
}

static meshsync_status case_open_again(struct api_world *world)
{
    return case_open_at(world, world->files[0]);
}

static meshsync_status case_start_stop(struct api_world *world)
{
    meshsync_options options = case_options(world, world->files[0]);
    meshsync_node *node = NULL;
    char bound[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_status status = meshsync_node_open(&options, &node, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start(node, &world->error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_listen(node, "127.0.0.1:0", bound, &world->error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_lan(node, NULL, "127.0.0.1", &world->error);
    }
    (void)meshsync_node_close(node);
    return status;
}

static meshsync_status case_external(struct api_world *world)
{
    meshsync_options options = case_options(world, world->files[0]);
    meshsync_node *node = NULL;
    meshsync_status status = meshsync_node_open(&options, &node, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start_external(node, &world->error);
    }
    if (status == MESHSYNC_OK) {
        assert_true(meshsync_node_fd(node) >= 0);
        (void)meshsync_node_timeout_ms(node);
        status = meshsync_node_process(node);
    }
    (void)meshsync_node_close(node);
    return status;
}

static void case_closed(void *user)
{
    *(bool *)user = true;
}

static meshsync_status case_on_loop(struct api_world *world)
{
    meshsync_options options = case_options(world, world->files[0]);
    meshsync_node *node = NULL;
    bool closed = false;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    meshsync_status status = meshsync_node_open(&options, &node, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start_on_loop(node, &loop, &world->error);
    }
    if (status == MESHSYNC_OK) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(meshsync_node_close_async(node, case_closed, &closed), MESHSYNC_OK);
        while (!closed) {
            (void)uv_run(&loop, UV_RUN_ONCE);
        }
    } else {
        (void)meshsync_node_close(node);
    }
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    return status;
}

static meshsync_status case_backup(struct api_world *world)
{
    case_unlink(world, world->files[1]);
    meshsync_status status = meshsync_node_backup(world->nodes[0], world->files[1], &world->error);
    assert_int_equal(access(world->files[1], F_OK), status == MESHSYNC_OK ? 0 : -1);
    return status;
}

static meshsync_status case_restore(struct api_world *world)
{
    case_forget(world, world->files[2]);
    return meshsync_restore(world->files[1], world->files[2], &world->error);
}

/* A store that a failed restore left away is there again for the next. */
static meshsync_status case_set_aside(struct api_world *world)
{
    case_pause(world, true);
    if (access(world->files[2], F_OK) != 0) {
        (void)mkdir(world->files[2], 0700);
    }
    char path[API_PATH_BYTES_MAX];
    api_join(path, world->files[2], "data.mdb");
    if (access(path, F_OK) != 0) {
        FILE *data = fopen(path, "w");
        assert_non_null(data);
        (void)fputs("damaged", data);
        (void)fclose(data);
    }
    case_pause(world, false);
    return meshsync_set_aside(world->files[2], &world->error);
}

static meshsync_status case_stats(struct api_world *world)
{
    meshsync_stats stats = {.size = sizeof stats};
    world->deep = true;
    return meshsync_node_stats(world->nodes[0], &stats);
}

static meshsync_status case_words(struct api_world *world)
{
    (void)world;
    assert_non_null(meshsync_version());
    assert_non_null(meshsync_build_info());
    assert_non_null(meshsync_strerror(MESHSYNC_E_IO));
    assert_non_null(meshsync_status_name(MESHSYNC_E_IO));
    return MESHSYNC_OK;
}

/* ---- Spaces ---- */

static meshsync_status case_space(struct api_world *world)
{
    char name[32];
    meshsync_space *space = NULL;
    (void)snprintf(name, sizeof name, "n%llu", (unsigned long long)++world->number);
    meshsync_status status = meshsync_space_create(world->nodes[0], name, &space, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_space_leave(space, MESHSYNC_LEAVE_ERASE, &world->error);
    }
    return status;
}

static meshsync_status case_space_join(struct api_world *world)
{
    char name[32];
    meshsync_space *space = NULL;
    (void)snprintf(name, sizeof name, "j%llu", (unsigned long long)++world->number);
    meshsync_status status =
        meshsync_space_join(world->nodes[0], world->ticket, name, &space, &world->error);
    if (status == MESHSYNC_E_EXISTS) { /* A leave that failed left it. */
        status = MESHSYNC_OK;
        for (uint32_t i = 0; status == MESHSYNC_OK; i++) {
            status = meshsync_space_at(world->nodes[0], i, &space);
            meshsync_space_info info = {.size = sizeof info};
            if (status == MESHSYNC_OK &&
                meshsync_space_get_info(space, &info, &world->error) == MESHSYNC_OK &&
                info.name[0] == 'j') {
                break;
            }
        }
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_space_leave(space, MESHSYNC_LEAVE_ERASE, &world->error);
    }
    return status;
}

static meshsync_status case_space_look(struct api_world *world)
{
    meshsync_space *space = NULL;
    meshsync_space_info info = {.size = sizeof info};
    meshsync_status status = meshsync_space_find(world->nodes[0], "s", &space, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_space_get_info(world->spaces[0], &info, &world->error);
    }
    return status;
}

static meshsync_status case_space_at(struct api_world *world)
{
    meshsync_space *space = NULL;
    world->deep = true;
    return meshsync_space_at(world->nodes[0], 0, &space);
}

static meshsync_status case_invite(struct api_world *world)
{
    char text[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    return meshsync_space_invite(world->spaces[0], 0, text, &world->error);
}

static meshsync_status case_collection(struct api_world *world)
{
    char name[32];
    meshsync_collection_info info = {.size = sizeof info};
    (void)snprintf(name, sizeof name, "x%llu", (unsigned long long)++world->number);
    meshsync_status status = meshsync_collection_create(world->spaces[0], name, MESHSYNC_REGISTER,
                                                        MESHSYNC_VIEW_LWW, NULL, 0, &world->error);
    return status == MESHSYNC_OK ? meshsync_collection_at(world->spaces[0], 1, &info, &world->error)
                                 : status;
}

static meshsync_status case_digest(struct api_world *world)
{
    meshsync_digest digest = {.size = sizeof digest};
    return meshsync_space_digest(world->spaces[0], &digest, &world->error);
}

static meshsync_status case_verify(struct api_world *world)
{
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_status status = meshsync_space_verify(world->spaces[0], &report, &world->error);
    assert_int_equal(report.damaged_changes + report.damaged_leaves + report.damaged_indexes, 0);
    return status;
}

static meshsync_status case_version(struct api_world *world)
{
    meshsync_token token = {0};
    char text[2 * MESHSYNC_TOKEN_BYTES_MAX];
    meshsync_status status = meshsync_space_version(world->spaces[0], &token, &world->error);
    if (status == MESHSYNC_OK) {
        meshsync_token_format(&token, text);
        status = meshsync_token_parse(text, &token, &world->error);
    }
    return status == MESHSYNC_OK
               ? meshsync_wait(world->spaces[0], &token, 0, API_WAIT_MS, &world->error)
               : status;
}

/* ---- Reading ---- */

static meshsync_status case_gets(struct api_world *world, meshsync_snapshot *snapshot)
{
    meshsync_bytes parts[2];
    meshsync_path path = api_path(parts, "key", NULL);
    meshsync_entry entry;
    meshsync_sibling sibling;
    meshsync_status status = meshsync_get(snapshot, "r", &path, &entry, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_sibling_at(snapshot, 0, &sibling, &world->error);
    }
    if (status == MESHSYNC_OK) {
        uint8_t part[MESHSYNC_PATH_BYTES_MAX];
        size_t len = sizeof part;
        assert_int_equal(meshsync_entry_part(entry.key, 0, part, &len), MESHSYNC_OK);
        status = meshsync_set_contains(snapshot, "t", meshsync_bytes_of("key"),
                                       meshsync_bytes_of("element"), &world->error);
    }
    path = api_path(parts, "key", "field");
    return status == MESHSYNC_OK ? meshsync_get(snapshot, "m", &path, &entry, &world->error)
                                 : status;
}

static meshsync_status case_scan(struct api_world *world, meshsync_scan *scan)
{
    meshsync_entry entry;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK) {
        status = meshsync_scan_next(scan, &entry, &world->error);
    }
    (void)meshsync_scan_collection(scan);
    meshsync_scan_close(scan);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status case_read(struct api_world *world)
{
    meshsync_snapshot *snapshot = NULL;
    meshsync_scan *scan = NULL;
    meshsync_scan_options options = {.size = sizeof options, .deep = 1};
    meshsync_status status = meshsync_snapshot_open(world->spaces[0], &snapshot, &world->error);
    if (status == MESHSYNC_OK) {
        status = case_gets(world, snapshot);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_scan_open(snapshot, "m", &options, &scan, &world->error);
    }
    if (status == MESHSYNC_OK) {
        status = case_scan(world, scan);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_conflicts_open(snapshot, &scan, &world->error);
    }
    if (status == MESHSYNC_OK) {
        status = case_scan(world, scan);
    }
    meshsync_snapshot_close(snapshot);
    return status;
}

/* ---- Writing ---- */

static meshsync_status case_put(struct api_world *world)
{
    meshsync_value value = meshsync_value_string("value");
    meshsync_token token;
    return meshsync_put(world->spaces[0], "r", meshsync_bytes_of("key"), &value, &token,
                        &world->error);
}

static meshsync_status case_fill(struct api_world *world, meshsync_txn *txn)
{
    meshsync_bytes parts[2];
    meshsync_path path = api_path(parts, "key", "field");
    meshsync_bytes key = meshsync_bytes_of("key");
    meshsync_value bytes = meshsync_value_bytes("12345", 5);
    meshsync_value number = meshsync_value_int(7);
    meshsync_error *error = &world->error;
    meshsync_status status = meshsync_txn_put(txn, "m", &path, &bytes, NULL, error);
    if (status == MESHSYNC_OK) {
        path = api_path(parts, "key", "gone");
        status = meshsync_txn_put(txn, "m", &path, &number, NULL, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_delete(txn, "m", &path, NULL, error);
    }
    if (status == MESHSYNC_OK) {
        path = api_path(parts, "map", NULL);
        status = meshsync_txn_touch(txn, "m", &path, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_set_remove(txn, "t", key, meshsync_bytes_of("other"), error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_set_add(txn, "t", key, meshsync_bytes_of("element"), error);
    }
    if (status == MESHSYNC_OK) {
        path = api_path(parts, "sum", NULL);
        status = meshsync_txn_add(txn, "c", &path, 1, error);
    }
    return status;
}

static meshsync_status case_look_inside(struct api_world *world, meshsync_txn *txn)
{
    meshsync_snapshot *snapshot = NULL;
    meshsync_bytes parts[2];
    meshsync_path path = api_path(parts, "key", "field");
    meshsync_entry entry;
    meshsync_status status = meshsync_txn_snapshot(txn, &snapshot, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_get(snapshot, "m", &path, &entry, &world->error);
        meshsync_snapshot_close(snapshot);
    }
    return status;
}

/* What is acknowledged is counted; what may or may not be there as well. */
static void case_count(struct api_world *world, meshsync_status status)
{
    if (status == MESHSYNC_OK) {
        world->added += 1;
    } else if (status == MESHSYNC_E_IO || status == MESHSYNC_E_TIMEOUT) {
        world->unknown += 1;
    }
}

static meshsync_status case_txn(struct api_world *world)
{
    meshsync_txn *txn = NULL;
    meshsync_status status = meshsync_txn_begin(world->spaces[0], &txn, &world->error);
    if (status == MESHSYNC_OK) {
        status = case_fill(world, txn);
    }
    if (status == MESHSYNC_OK) {
        status = case_look_inside(world, txn);
    }
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    status = meshsync_txn_commit(txn, NULL, NULL, &world->error);
    case_count(world, status);
    return status;
}

struct case_answer {
    sem_t said;
    meshsync_status status;
};

static void case_said(void *user, meshsync_status status, const meshsync_token *token,
                      const meshsync_error *error)
{
    struct case_answer *answer = user;
    (void)token;
    assert_true(status == MESHSYNC_OK || error->message[0] != '\0');
    answer->status = status;
    (void)sem_post(&answer->said);
}

static meshsync_status case_txn_async(struct api_world *world)
{
    meshsync_txn *txn = NULL;
    struct case_answer answer;
    assert_int_equal(sem_init(&answer.said, 0, 0), 0);
    meshsync_status status = meshsync_txn_begin(world->spaces[0], &txn, &world->error);
    if (status == MESHSYNC_OK) {
        status = case_fill(world, txn);
        if (status != MESHSYNC_OK) {
            meshsync_txn_abort(txn);
        }
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_commit_async(txn, NULL, case_said, &answer, &world->error);
        if (status == MESHSYNC_OK) {
            while (sem_wait(&answer.said) != 0) {
                /* A signal. */
            }
            status = answer.status;
            world->deep = true; /* The words went to the callback. */
        }
        case_count(world, status);
    }
    (void)sem_destroy(&answer.said);
    return status;
}

/* ---- Events ---- */

static meshsync_status case_feed(struct api_world *world)
{
    meshsync_feed *feed = NULL;
    meshsync_event event;
    meshsync_feed_options options = {.size = sizeof options};
    meshsync_status status = meshsync_feed_open(world->spaces[0], &options, &feed, &world->error);
    for (int i = 0; i < 3 && status == MESHSYNC_OK; i++) {
        status = meshsync_feed_next(feed, 0, &event, &world->error);
    }
    meshsync_feed_close(feed);
    return status == MESHSYNC_E_TIMEOUT ? MESHSYNC_OK : status;
}

static void case_event(void *user, meshsync_node *node, const meshsync_event *event)
{
    (void)node;
    if (event->type == MESHSYNC_EVENT_END) {
        (void)sem_post((sem_t *)user);
    }
}

static meshsync_status case_watch(struct api_world *world)
{
    meshsync_watch *watch = NULL;
    meshsync_feed_options options = {.size = sizeof options, .from_now = 1};
    sem_t ended;
    assert_int_equal(sem_init(&ended, 0, 0), 0);
    meshsync_status status =
        meshsync_watch_start(world->spaces[0], &options, case_event, &ended, &watch, &world->error);
    if (status == MESHSYNC_OK) {
        meshsync_watch_stop(watch);
        while (sem_wait(&ended) != 0) {
            /* A signal. */
        }
    }
    (void)sem_destroy(&ended);
    return status;
}

static meshsync_status case_queue(struct api_world *world)
{
    meshsync_queue *queue = NULL;
    meshsync_event event;
    meshsync_feed_options options = {.size = sizeof options};
    meshsync_status status =
        meshsync_queue_open(world->nodes[0], world->spaces[0], &options, &queue, &world->error);
    if (status == MESHSYNC_OK) {
        assert_true(meshsync_queue_fd(queue) >= 0);
        status = meshsync_queue_next(queue, 0, &event, &world->error);
    }
    meshsync_queue_close(queue);
    return status == MESHSYNC_E_TIMEOUT ? MESHSYNC_OK : status;
}

static int32_t case_merge(void *user, const meshsync_sibling *siblings, uint32_t count,
                          meshsync_merge_out *out)
{
    (void)user;
    out->value = siblings[count - 1].value;
    return 0;
}

static meshsync_status case_merges(struct api_world *world)
{
    char name[32];
    (void)snprintf(name, sizeof name, "merge%llu", (unsigned long long)++world->number);
    meshsync_status status =
        meshsync_merge_register(world->nodes[0], name, 1, case_merge, NULL, &world->error);
    return status == MESHSYNC_OK ? meshsync_merge_self_test(case_merge, NULL, 2, 1, &world->error)
                                 : status;
}

/* ---- Others ---- */

static meshsync_status case_bundle(struct api_world *world)
{
    meshsync_bundle_info info = {.size = sizeof info};
    const char *file = world->files[3];
    case_unlink(world, file);
    meshsync_status status = meshsync_bundle_request(world->spaces[1], file, &world->error);
    case_unlink(world, file);
    if (status == MESHSYNC_OK) {
        status = meshsync_bundle_create(world->spaces[0], file, NULL, &info, &world->error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_bundle_apply(world->nodes[0], file, &info, &world->error);
    }
    case_unlink(world, file);
    return status;
}

static meshsync_status case_peers(struct api_world *world)
{
    const char *nowhere = "127.0.0.1:1";
    meshsync_status status = meshsync_peer_add(world->nodes[0], nowhere, &world->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_peer_remove(world->nodes[0], nowhere, &world->error);
    }
    return status == MESHSYNC_E_NOT_FOUND || status == MESHSYNC_E_EXISTS ? MESHSYNC_OK : status;
}

static meshsync_status case_peer_at(struct api_world *world)
{
    meshsync_peer_info info = {.size = sizeof info};
    world->deep = true;
    meshsync_status status = meshsync_peer_at(world->nodes[0], 0, &info);
    return status == MESHSYNC_E_END || status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

/* What one commits comes to the other, through whatever failed on the way; while nothing works, it
 * does not come in time. */
static meshsync_status case_sync(struct api_world *world)
{
    meshsync_token token;
    meshsync_value value = meshsync_value_int((int64_t)++world->number);
    meshsync_status status = meshsync_put(world->spaces[1], "r", meshsync_bytes_of("sync"), &value,
                                          &token, &world->error);
    return status == MESHSYNC_OK
               ? meshsync_wait(world->spaces[0], &token, 0,
                               world->hurt ? CASE_HURT_MS : API_WAIT_MS, &world->error)
               : status;
}

const struct api_case api_cases[] = {
    {"meshsync_options_init meshsync_options_set", case_options_set},
    {"meshsync_node_open meshsync_node_close meshsync_node_id", case_open_new},
    {"meshsync_node_open", case_open_again},
    {"meshsync_node_start meshsync_node_listen meshsync_node_lan", case_start_stop},
    {"meshsync_node_start_external meshsync_node_fd meshsync_node_timeout_ms "
     "meshsync_node_process",
     case_external},
    {"meshsync_node_start_on_loop meshsync_node_close_async", case_on_loop},
    {"meshsync_node_backup", case_backup},
    {"meshsync_restore", case_restore},
    {"meshsync_set_aside", case_set_aside},
    {"meshsync_node_stats", case_stats},
    {"meshsync_version meshsync_build_info meshsync_strerror meshsync_status_name", case_words},
    {"meshsync_space_create meshsync_space_leave", case_space},
    {"meshsync_space_join", case_space_join},
    {"meshsync_space_find meshsync_space_get_info", case_space_look},
    {"meshsync_space_at", case_space_at},
    {"meshsync_space_invite", case_invite},
    {"meshsync_collection_create meshsync_collection_at", case_collection},
    {"meshsync_space_digest", case_digest},
    {"meshsync_space_verify", case_verify},
    {"meshsync_space_version meshsync_token_format meshsync_token_parse meshsync_wait",
     case_version},
    {"meshsync_put meshsync_bytes_of meshsync_value_string", case_put},
    {"meshsync_txn_begin meshsync_txn_put meshsync_txn_delete meshsync_txn_touch "
     "meshsync_txn_set_add meshsync_txn_set_remove meshsync_txn_add meshsync_txn_snapshot "
     "meshsync_txn_commit meshsync_txn_abort meshsync_value_bytes meshsync_value_int",
     case_txn},
    {"meshsync_txn_commit_async", case_txn_async},
    {"meshsync_snapshot_open meshsync_snapshot_close meshsync_get meshsync_sibling_at "
     "meshsync_set_contains meshsync_scan_open meshsync_scan_next meshsync_scan_close "
     "meshsync_scan_collection meshsync_conflicts_open meshsync_entry_part",
     case_read},
    {"meshsync_feed_open meshsync_feed_next meshsync_feed_close", case_feed},
    {"meshsync_watch_start meshsync_watch_stop", case_watch},
    {"meshsync_queue_open meshsync_queue_fd meshsync_queue_next meshsync_queue_close", case_queue},
    {"meshsync_merge_register meshsync_merge_self_test", case_merges},
    {"meshsync_bundle_create meshsync_bundle_request meshsync_bundle_apply", case_bundle},
    {"meshsync_peer_add meshsync_peer_remove", case_peers},
    {"meshsync_peer_at", case_peer_at},
    {"meshsync_wait", case_sync},
};
const uint32_t api_cases_count = sizeof api_cases / sizeof api_cases[0];
