/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise_XX_25519_ChaChaPoly_BLAKE2b (and XXpsk3), checked against published vectors: a sans-I/O
 * handshake and the two transport ciphers that it ends in. Any failure is final for the object.
 */
#ifndef MSY_SECURE_NOISE_H
#define MSY_SECURE_NOISE_H

#include "base/buf.h"
#include "secure/crypto.h"

enum {
    MSY_NOISE_MESSAGE_BYTES_MAX = 65535,
    MSY_NOISE_TAG_BYTES = 16,
    MSY_NOISE_PAYLOAD_BYTES_MAX = MSY_NOISE_MESSAGE_BYTES_MAX - MSY_NOISE_TAG_BYTES
};

/* One direction of the transport, or the handshake's. Without a key it does nothing. */
struct msy_noise_cipher {
    uint8_t key[32];
    uint64_t nonce;        /* Of the next record; it counts on over rekeys. */
    uint64_t sealed_bytes; /* Plain bytes since the last rekey. */
    bool has_key;
};

struct msy_noise {
    struct msy_noise_cipher cipher; /* Of the handshake. Its key goes at the split. */
    uint8_t h[64];
    uint8_t ck[64];
    uint8_t s_secret[32], s_public[32];
    uint8_t e_secret[32], e_public[32];
    uint8_t rs[32], re[32];
    uint8_t psk[32];
    uint8_t message_index; /* Next of XX's three messages. */
    bool initiator;
    bool has_psk;
    bool failed;
};

/* Keys of one side, 32 bytes each, lent. */
struct msy_noise_keys {
    const uint8_t *s_secret;
    const uint8_t *s_public;
    const uint8_t *psk; /* NULL: XX; else XXpsk3. */
};
/* The keys are copied. prologue binds versions and whatever was negotiated before. The ephemeral
 * key comes from entropy. */
void msy_noise_init(struct msy_noise *noise, bool initiator, const struct msy_noise_keys *keys,
                    meshsync_bytes prologue, struct msy_entropy entropy);
/* True when it is our turn. */
bool msy_noise_must_write(const struct msy_noise *noise);
bool msy_noise_done(const struct msy_noise *noise);
/* Appends the next handshake message with payload, which lies elsewhere than in out, to out.
 * E_STATE when it is not our turn, which changes nothing; every other failure is final, wipes the
 * secrets, and leaves out as it was. E_AUTH when the peer's key is of low order. */
meshsync_status msy_noise_write(struct msy_noise *noise, meshsync_bytes payload,
                                struct msy_buf *out);
/* Reads one whole handshake message; appends its payload to out. The payload of the first is in
 * the clear and proven by nothing until the handshake is done. E_AUTH when it does not verify;
 * failures as in msy_noise_write. */
meshsync_status msy_noise_read(struct msy_noise *noise, meshsync_bytes message,
                               struct msy_buf *out);
/* After done, once: the ciphers of each direction; secrets of the handshake are wiped. At any
 * other time both get no key, so that no nonce is ever used twice. The handshake hash is noise->h
 * (64 bytes). */
void msy_noise_split(struct msy_noise *noise, struct msy_noise_cipher *sending,
                     struct msy_noise_cipher *receiving);
/* Wipes. */
void msy_noise_fini(struct msy_noise *noise);

/* Transport: appends the sealed form of plain (at most MSY_NOISE_PAYLOAD_BYTES_MAX, and not within
 * out) to out. E_LIMIT and E_NO_MEMORY change nothing, E_STATE: there is no key.
 *
 * Both sides rekey (Noise REKEY) after the record that makes sealed_bytes, which counts plain
 * bytes, reach 2^30 or nonce reach a multiple of 2^20. sealed_bytes then starts at 0 again; nonce
 * goes on, so it never repeats. Nothing on the wire says so: both count the same records. */
meshsync_status msy_noise_seal(struct msy_noise_cipher *cipher, meshsync_bytes plain,
                               struct msy_buf *out);
/* Opens one record and appends the plain bytes. E_AUTH when it does not verify: the key is then
 * wiped, since nothing that follows can be in order. */
meshsync_status msy_noise_open(struct msy_noise_cipher *cipher, meshsync_bytes sealed,
                               struct msy_buf *out);
void msy_noise_cipher_wipe(struct msy_noise_cipher *cipher);

#endif
