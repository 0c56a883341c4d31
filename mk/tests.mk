# SPDX-License-Identifier: Apache-2.0
# Every test program and what they share.

# Listed by hand, so that no test is lost unseen; make tidy compares with what is there.
TESTS := \
    tests/conform/test_store.c \
    tests/conform/test_store_lmdb.c \
    tests/conform/test_store_memory.c \
    tests/conform/test_store_random.c \
    tests/conform/test_store_threads.c \
    tests/conform/test_store_upgrade.c \
    tests/fault/test_alloc_api.c \
    tests/fault/test_alloc_replica.c \
    tests/fault/test_damage.c \
    tests/fault/test_kill_syscalls.c \
    tests/fault/test_mesh_fails.c \
    tests/fault/test_power.c \
    tests/fault/test_read_fails.c \
    tests/fault/test_situations.c \
    tests/fault/test_store_fails.c \
    tests/fault/test_syscalls.c \
    tests/history/test_history.c \
    tests/laws/test_routes.c \
    tests/laws/test_schedules.c \
    tests/laws/test_small_scope.c \
    tests/sim/test_clocks.c \
    tests/sim/test_histories.c \
    tests/sim/test_malicious.c \
    tests/sim/test_meetings.c \
    tests/sim/test_overlay.c \
    tests/sim/test_scenarios.c \
    tests/sim/test_sim.c \
    tests/sim/test_starved.c \
    tests/unit/api/test_backup.c \
    tests/unit/api/test_bundle.c \
    tests/unit/api/test_embedding.c \
    tests/unit/api/test_feed.c \
    tests/unit/api/test_full.c \
    tests/unit/api/test_many_spaces.c \
    tests/unit/api/test_merge.c \
    tests/unit/api/test_names.c \
    tests/unit/api/test_open.c \
    tests/unit/api/test_options.c \
    tests/unit/api/test_pair.c \
    tests/unit/api/test_read.c \
    tests/unit/api/test_write.c \
    tests/unit/base/test_alloc.c \
    tests/unit/base/test_buf.c \
    tests/unit/base/test_encode.c \
    tests/unit/base/test_entropy.c \
    tests/unit/base/test_path.c \
    tests/unit/base/test_report.c \
    tests/unit/clock/test_clock.c \
    tests/unit/clock/test_sketch.c \
    tests/unit/crdt/test_leaf.c \
    tests/unit/mesh/test_beacon.c \
    tests/unit/mesh/test_clock.c \
    tests/unit/mesh/test_hostile.c \
    tests/unit/mesh/test_mesh.c \
    tests/unit/mesh/test_message.c \
    tests/unit/mesh/test_near.c \
    tests/unit/mesh/test_pack.c \
    tests/unit/mesh/test_rate.c \
    tests/unit/mesh/test_rungs.c \
    tests/unit/mesh/test_wall.c \
    tests/unit/replica/test_pending.c \
    tests/unit/replica/test_scan.c \
    tests/unit/replica/test_spaces.c \
    tests/unit/replica/test_values.c \
    tests/unit/secure/test_crypto.c \
    tests/unit/secure/test_identity.c \
    tests/unit/secure/test_noise.c \
    tests/unit/secure/test_ticket.c \
    tests/unit/shell/test_address.c \
    tests/unit/shell/test_crew.c \
    tests/unit/shell/test_freeze.c \
    tests/unit/shell/test_node.c \
    tests/unit/shell/test_remember.c \
    tests/unit/shell/test_steady.c \
    tests/unit/wire/test_msgpack.c \
    tests/unit/wire/test_press.c \
    tests/unit/wire/test_vectors.c
TEST_SUPPORT := \
    tests/fault/api_cases.c \
    tests/fault/api_world.c \
    tests/fault/damage.c \
    tests/fault/disk_rebuild.c \
    tests/fault/fail_alloc.c \
    tests/fault/fail_store.c \
    tests/fault/work.c \
    tests/fault/work_check.c \
    tests/history/checker.c \
    tests/history/generate.c \
    tests/history/history.c \
    tests/history/judge.c \
    tests/history/plant.c \
    tests/laws/lab.c \
    tests/laws/lab_check.c \
    tests/laws/model.c \
    tests/laws/schedule.c \
    tests/laws/show.c \
    tests/sim/crowd.c \
    tests/sim/forge.c \
    tests/sim/reached.c \
    tests/sim/schedule.c \
    tests/sim/shrink.c \
    tests/sim/swarm.c \
    tests/sim/trouble.c \
    tests/sim/world.c \
    tests/sim/world_act.c \
    tests/sim/world_check.c \
    tests/unit/api/api_kit.c \
    tests/unit/mesh/rig.c \
    tests/unit/replica/replica_kit.c \
    tests/unit/secure/secure_kit.c
# Stands between the program and the C library in these alone: liblmdb.so finds its calls first.
TEST_INTERPOSE := tests/fault/disk.c tests/fault/interpose.c
TESTS_INTERPOSED := tests/fault/test_kill_syscalls.c tests/fault/test_power.c
