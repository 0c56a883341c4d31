/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_store.h"

#include <errno.h>
#include <setjmp.h>

/*
 * A failed assertion of LMDB comes back to the guarded call by longjmp. Readers hold no lock while
 * they look at pages, so nothing is left behind. A writer leaves LMDB's transaction in the middle,
 * with the writer's mutex held and cursors that point into frames that are gone: the store counts
 * as broken from then on, and that transaction is neither committed nor aborted nor freed.
 */
static _Thread_local jmp_buf guard_jump;
static _Thread_local bool guard_armed;

static void guard_fired(MDB_env *env, const char *words)
{
    (void)env;
    (void)words;
    if (guard_armed) {
        guard_armed = false;
        longjmp(guard_jump, 1);
    }
    /* In a call without a guard LMDB now aborts; those touch no pages but the roots. */
}

void msy_lmdb_guard_install(MDB_env *env)
{
    (void)mdb_env_set_assert(env, guard_fired); /* Fails for a NULL environment only. */
}

int msy_lmdb_get(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_get(txn, table, key, value);
    guard_armed = false;
    return result;
}

int msy_lmdb_put(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_put(txn, table, key, value, flags);
    guard_armed = false;
    return result;
}

int msy_lmdb_del(MDB_txn *txn, MDB_dbi table, MDB_val *key)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_del(txn, table, key, NULL);
    guard_armed = false;
    return result;
}

int msy_lmdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_cursor_get(cursor, key, value, op);
    guard_armed = false;
    return result;
}

int msy_lmdb_stat(MDB_txn *txn, MDB_dbi table, MDB_stat *stat)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_stat(txn, table, stat);
    guard_armed = false;
    return result;
}

int msy_lmdb_table_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *table)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_dbi_open(txn, name, flags, table);
    guard_armed = false;
    return result;
}

int msy_lmdb_commit(MDB_txn *txn)
{
    if (setjmp(guard_jump) != 0) {
        return MSY_LMDB_ASSERTED;
    }
    guard_armed = true;
    int result = mdb_txn_commit(txn);
    guard_armed = false;
    return result;
}

meshsync_status msy_lmdb_status(int result)
{
    switch (result) {
    case MDB_SUCCESS: return MESHSYNC_OK;
    case MDB_NOTFOUND: return MESHSYNC_E_NOT_FOUND;
    case MDB_MAP_FULL: return MESHSYNC_E_STORE_FULL;
    case MDB_TXN_FULL: return MESHSYNC_E_LIMIT;
    case MDB_KEYEXIST:
    case MDB_BAD_VALSIZE: return MESHSYNC_E_INVALID;
    case MDB_READERS_FULL:
    case EMFILE:
    case ENFILE:
    case EAGAIN: return MESHSYNC_E_RESOURCE;
    case MDB_MAP_RESIZED: return MESHSYNC_E_BUSY;
    case MSY_LMDB_ASSERTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE: return MESHSYNC_E_STORE_CORRUPT;
    case MDB_VERSION_MISMATCH: return MESHSYNC_E_STORE_VERSION;
    case ENOMEM: return MESHSYNC_E_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return MESHSYNC_E_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS: return MESHSYNC_E_PERMISSION;
    case MDB_PANIC: /* The page that ends a commit could not be written. */
    case EIO: return MESHSYNC_E_IO;
    case EINVAL:
    case MDB_BAD_TXN:
    case MDB_BAD_RSLOT:
    case MDB_BAD_DBI:
    case MDB_DBS_FULL:
    case MDB_TLS_FULL: return MESHSYNC_E_INTERNAL;
    default: return MESHSYNC_E_IO; /* Any other errno comes from reading or writing the file. */
    }
}
