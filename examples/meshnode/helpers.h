/* SPDX-License-Identifier: Apache-2.0 */
/* What several handlers share. Those that return int return CLI_EXIT_DONE, or an exit code after
 * the failure was reported. */
#ifndef MESHNODE_HELPERS_H
#define MESHNODE_HELPERS_H

#include "values.h"

/* Longest sleep inside one call of the library, so that a stop or a vanished client is noticed. */
enum { HELPERS_SLICE_MS = 200 };

int find_space(struct cli_context *ctx, const char *name, meshsync_space **space);
/* E_NOT_FOUND is reported too. */
int find_collection(struct cli_context *ctx, meshsync_space *space, const char *name,
                    meshsync_collection_info *info);
const char *collection_type_name(int32_t type);
const char *collection_view_name(int32_t view);
/* 0: no such name. */
int32_t collection_type_by_name(const char *name);
int32_t collection_view_by_name(const char *name);

/* --timeout, or otherwise what default_ms says. */
int read_timeout(struct cli_context *ctx, uint64_t default_ms, uint64_t *timeout_ms);

/* --ack and --timeout of a write. */
struct write_ack {
    uint32_t peers; /* K; 0: none asked for. */
    int32_t ack;    /* MESHSYNC_ACK_DURABLE or _QUEUED. */
    uint64_t timeout_ms;
};
int read_ack(struct cli_context *ctx, struct write_ack *ack);
/* Commits; txn is gone afterwards. */
int commit_only(struct cli_context *ctx, meshsync_txn *txn, const struct write_ack *ack,
                meshsync_token *token);
/* Waits for the peers that ack asks for. */
int await_peers(struct cli_context *ctx, meshsync_space *space, const struct write_ack *ack,
                const meshsync_token *token);
/* Both, then prints the answer of a write: {"version"}, nothing without --json. */
int commit_write(struct cli_context *ctx, meshsync_space *space, meshsync_txn *txn,
                 const struct write_ack *ack);
/* Waits in slices for a version here and at k peers; E_CANCELLED when the asker is gone. */
meshsync_status wait_in_slices(struct cli_context *ctx, meshsync_space *space,
                               const meshsync_token *token, uint32_t peers, uint64_t timeout_ms,
                               meshsync_error *error);

/* Everything from standard input, at most max bytes; *data is the caller's to free. */
int read_input(struct cli_context *ctx, size_t max, uint8_t **data, size_t *len);
/* Reports that a line could not be made for want of memory. */
int no_memory(struct cli_context *ctx);
/* A value for people: text as it is, everything else as JSON, on one line. */
void print_value(struct cli_context *ctx, const meshsync_value *value);
void print_bytes(struct cli_context *ctx, meshsync_bytes bytes);
/* A stamp as UTC time with ms. */
void print_stamp(struct cli_context *ctx, uint64_t hlc);
void print_hex(struct cli_context *ctx, const uint8_t *data, size_t len);

/* Lines of the input, without their ends; bounded. */
struct line_reader {
    struct io *io;
    char *data;      /* Owned. */
    size_t len, cap; /* Of data. */
    size_t at;       /* First byte not given yet. */
    uint64_t number; /* Of the line given last, from 1. */
    uint64_t bytes;  /* Read so far. */
    bool ended;      /* The input has no more. */
};
enum { LINE_BYTES_MAX = 32 << 20 };
void line_reader_init(struct line_reader *reader, struct io *io);
void line_reader_fini(struct line_reader *reader);
/* 1: a line; 0: the end; -1: too long, input error or no memory, see wrong. The line is lent. */
int line_reader_next(struct line_reader *reader, char **line, size_t *len, const char **wrong);

#endif
