/* SPDX-License-Identifier: Apache-2.0 */
/* The note of an orderly end. Declared in store/lmdb_check.h. */
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/lmdb_check.h"

/* "mclean" and a version, be64 inode, size, seconds and nanoseconds of the last write, commit; then
 * be32 CRC32C. */
enum { MARK_BYTES = 52, MARK_CRC_AT = 48 };

static void mark_make(const struct msy_lmdb_file *file, uint8_t mark[MARK_BYTES])
{
    static const uint8_t words[8] = {'m', 'c', 'l', 'e', 'a', 'n', 0, 1};
    memcpy(mark, words, sizeof words);
    msy_put_be64(mark + 8, (uint64_t)file->stat.st_ino);
    msy_put_be64(mark + 16, (uint64_t)file->stat.st_size);
    msy_put_be64(mark + 24, (uint64_t)file->stat.st_mtim.tv_sec);
    msy_put_be64(mark + 32, (uint64_t)file->stat.st_mtim.tv_nsec);
    msy_put_be64(mark + 40, file->txn_id);
    msy_put_be32(mark + MARK_CRC_AT, msy_crc32c(0, mark, MARK_CRC_AT));
}

bool msy_lmdb_mark_read(int lock_fd, const struct msy_lmdb_file *file)
{
    uint8_t found[MARK_BYTES + 1];
    uint8_t mark[MARK_BYTES];
    mark_make(file, mark);
    return pread(lock_fd, found, sizeof found, 0) == MARK_BYTES &&
           memcmp(found, mark, sizeof mark) == 0;
}

meshsync_status msy_lmdb_mark_clear(int lock_fd)
{
    return ftruncate(lock_fd, 0) == 0 ? MESHSYNC_OK : MESHSYNC_E_IO;
}

void msy_lmdb_mark_write(int lock_fd, const struct msy_lmdb_file *file)
{
    uint8_t mark[MARK_BYTES];
    mark_make(file, mark);
    if (pwrite(lock_fd, mark, sizeof mark, 0) != (ssize_t)sizeof mark) {
        (void)ftruncate(lock_fd, 0); /* Half a note is none: its checksum says so. */
    }
}
