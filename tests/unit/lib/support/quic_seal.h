/* Makes QUIC's protected packets, the reverse of peek/quic_initial.h. Also for the fuzz target, so without
 * cmocka. */
#ifndef STEERWAY_TESTS_SUPPORT_QUIC_SEAL_H
#define STEERWAY_TESTS_SUPPORT_QUIC_SEAL_H

#include "peek/quic_initial.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { QUIC_SEALED_MAX = 4096 };

struct quic_seal {
    uint32_t version;
    enum quic_type type;
    struct slice dcid, token;
    uint32_t number;
    size_t number_len;
};

struct quic_sealed {
    size_t len;
    uint8_t data[QUIC_SEALED_MAX];
};

static inline void quic_seal_need(bool good)
{
    if (!good)
        abort();
}

static inline void quic_seal_put(struct quic_sealed *s, struct slice bytes)
{
    quic_seal_need(bytes.len <= sizeof s->data - s->len);
    if (bytes.len > 0)
        memcpy(s->data + s->len, bytes.data, bytes.len);
    s->len += bytes.len;
}

static inline void quic_seal_put_number(struct quic_sealed *s, uint64_t number, size_t size)
{
    while (size-- > 0) {
        const char byte = (char)(number >> 8 * size);
        quic_seal_put(s, slice_of(&byte, 1));
    }
}

/* In two bytes, which is enough for lengths here. */
static inline void quic_seal_put_varint(struct quic_sealed *s, size_t number)
{
    quic_seal_need(number < 1 << 14);
    quic_seal_put_number(s, 1 << 14 | number, 2);
}

static inline void quic_seal_encrypt(struct quic_sealed *s, size_t header, const struct quic_keys *keys,
                                     uint32_t number, struct slice payload)
{
    uint8_t nonce[QUIC_IV_SIZE];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;

    memcpy(nonce, keys->iv, sizeof nonce);
    for (size_t i = 0; i < 4; i++)
        nonce[QUIC_IV_SIZE - 1 - i] ^= (uint8_t)(number >> 8 * i);
    quic_seal_need(s->len + payload.len + QUIC_TAG_SIZE <= sizeof s->data);
    quic_seal_need(c && EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, keys->key, nonce) == 1);
    quic_seal_need(EVP_EncryptUpdate(c, NULL, &n, s->data + header, (int)(s->len - header)) == 1);
    quic_seal_need(
        EVP_EncryptUpdate(c, s->data + s->len, &n, (const uint8_t *)payload.data, (int)payload.len) == 1);
    s->len += payload.len;
    quic_seal_need(EVP_EncryptFinal_ex(c, s->data + s->len, &n) == 1);
    quic_seal_need(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, QUIC_TAG_SIZE, s->data + s->len) == 1);
    s->len += QUIC_TAG_SIZE;
    EVP_CIPHER_CTX_free(c);
}

/** Append a packet; its payload and packet number have at least 4 bytes together. */
static inline void quic_seal(struct quic_sealed *s, const struct quic_seal *how, struct slice payload)
{
    const size_t header = s->len;
    const unsigned type = ((unsigned)how->type + (how->version == QUIC_VERSION_2)) % 4;
    struct quic_keys keys;
    uint8_t mask[QUIC_MASK_SIZE];

    quic_seal_need(quic_keys_derive(&keys, how->version, how->dcid) == 0);
    quic_seal_put_number(s, 0xc0 | type << 4 | (how->number_len - 1), 1);
    quic_seal_put_number(s, how->version, 4);
    quic_seal_put_number(s, how->dcid.len, 1);
    quic_seal_put(s, how->dcid);
    quic_seal_put_number(s, 0, 1); /* no source connection ID */
    if (how->type == QUIC_INITIAL) {
        quic_seal_put_varint(s, how->token.len);
        quic_seal_put(s, how->token);
    }
    quic_seal_put_varint(s, how->number_len + payload.len + QUIC_TAG_SIZE);
    const size_t number_at = s->len;
    quic_seal_put_number(s, how->number, how->number_len);
    quic_seal_encrypt(s, header, &keys, how->number, payload);
    quic_seal_need(quic_header_mask(&keys, s->data + number_at + 4, mask) == 0);
    s->data[header] ^= mask[0] & 0x0f;
    for (size_t i = 0; i < how->number_len; i++)
        s->data[number_at + i] ^= mask[1 + i];
}

#endif
