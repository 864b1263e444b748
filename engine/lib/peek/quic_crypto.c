#include "peek/quic_crypto.h"

#include <errno.h>

#if STEERWAY_QUIC

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { SHA256_SIZE = 32, SALT_SIZE = 20 };

struct labels {
    uint8_t salt[SALT_SIZE];
    const char *key, *iv, *hp;
};

/* RFC 9001 5.1 and 5.2 */
static const struct labels VERSION_1 = {
    .salt = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
             0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
    .key = "quic key",
    .iv = "quic iv",
    .hp = "quic hp",
};
/* RFC 9369 3.3 */
static const struct labels VERSION_2 = {
    .salt = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
             0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
    .key = "quicv2 key",
    .iv = "quicv2 iv",
    .hp = "quicv2 hp",
};

bool quic_crypto_is_there(void)
{
    return true;
}

static bool hmac(const uint8_t *key, size_t key_len, const void *data, size_t len, uint8_t out[SHA256_SIZE])
{
    return HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL) != NULL;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1). All results here fit into the first block of
 * HKDF-Expand (RFC 5869 2.3). */
static bool expand_label(const uint8_t secret[SHA256_SIZE], const char *label, uint8_t *out, size_t size)
{
    static const char prefix[] = "tls13 ";
    const size_t prefix_len = sizeof prefix - 1, label_len = strlen(label);
    uint8_t info[64], block[SHA256_SIZE];
    size_t n = 0;

    info[n++] = 0;
    info[n++] = (uint8_t)size;
    info[n++] = (uint8_t)(prefix_len + label_len);
    memcpy(info + n, prefix, prefix_len);
    n += prefix_len;
    memcpy(info + n, label, label_len);
    n += label_len;
    info[n++] = 0; /* the length of the context */
    info[n++] = 1; /* the number of the block */
    if (!hmac(secret, SHA256_SIZE, info, n, block))
        return false;
    memcpy(out, block, size);
    return true;
}

int quic_keys_derive(struct quic_keys *ret, uint32_t version, struct slice dcid)
{
    const struct labels *labels = version == QUIC_VERSION_2 ? &VERSION_2 : &VERSION_1;
    uint8_t initial[SHA256_SIZE], client[SHA256_SIZE];

    /* Otherwise libcrypto's first use reads a file, and blocks the loop meanwhile. */
    if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        return -EIO;
    return hmac(labels->salt, SALT_SIZE, dcid.data, dcid.len, initial) &&
                   expand_label(initial, "client in", client, sizeof client) &&
                   expand_label(client, labels->key, ret->key, sizeof ret->key) &&
                   expand_label(client, labels->iv, ret->iv, sizeof ret->iv) &&
                   expand_label(client, labels->hp, ret->hp, sizeof ret->hp)
               ? 0
               : -EIO;
}

int quic_header_mask(const struct quic_keys *keys, const uint8_t sample[QUIC_SAMPLE_SIZE],
                     uint8_t ret[QUIC_MASK_SIZE])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t block[QUIC_SAMPLE_SIZE * 2]; /* room that EVP may use for padding */
    int n = 0;
    const bool done = c && EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, keys->hp, NULL) == 1 &&
                      EVP_EncryptUpdate(c, block, &n, sample, QUIC_SAMPLE_SIZE) == 1 && n == QUIC_SAMPLE_SIZE;

    EVP_CIPHER_CTX_free(c);
    if (!done)
        return -EIO;
    memcpy(ret, block, QUIC_MASK_SIZE);
    return 0;
}

/* The IV, with the packet number in its last bytes (RFC 9001 5.3). */
static void make_nonce(uint8_t nonce[QUIC_IV_SIZE], const struct quic_keys *keys, const struct quic_header *h)
{
    memcpy(nonce, keys->iv, QUIC_IV_SIZE);
    for (size_t i = 0; i < h->number_len; i++)
        nonce[QUIC_IV_SIZE - h->number_len + i] ^= h->number[i];
}

static bool authenticate(EVP_CIPHER_CTX *c, const void *data, size_t len)
{
    int n;

    return EVP_DecryptUpdate(c, NULL, &n, data, (int)len) == 1;
}

static bool begin(EVP_CIPHER_CTX *c, const struct quic_keys *keys, const struct quic_header *h)
{
    uint8_t nonce[QUIC_IV_SIZE];

    make_nonce(nonce, keys, h);
    return EVP_DecryptInit_ex(c, EVP_aes_128_gcm(), NULL, keys->key, nonce) == 1 &&
           authenticate(c, &h->first, 1) && authenticate(c, h->middle.data, h->middle.len) &&
           authenticate(c, h->number, h->number_len);
}

static int finish(EVP_CIPHER_CTX *c, struct slice sealed, uint8_t *out)
{
    const size_t len = sealed.len - QUIC_TAG_SIZE;
    uint8_t tag[QUIC_TAG_SIZE];
    int n;

    memcpy(tag, sealed.data + len, sizeof tag);
    if (EVP_DecryptUpdate(c, out, &n, (const uint8_t *)sealed.data, (int)len) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1)
        return -EIO;
    return EVP_DecryptFinal_ex(c, out + len, &n) == 1 ? 0 : -EBADMSG;
}

int quic_payload_open(const struct quic_keys *keys, const struct quic_header *header, struct slice sealed,
                      uint8_t *out)
{
    if (sealed.len < QUIC_TAG_SIZE || sealed.len > INT_MAX)
        return -EBADMSG;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    const int r = c && begin(c, keys, header) ? finish(c, sealed, out) : -EIO;
    EVP_CIPHER_CTX_free(c);
    return r;
}

#else

bool quic_crypto_is_there(void)
{
    return false;
}

int quic_keys_derive(struct quic_keys *ret, uint32_t version, struct slice dcid)
{
    (void)ret;
    (void)version;
    (void)dcid;
    return -EOPNOTSUPP;
}

int quic_header_mask(const struct quic_keys *keys, const uint8_t sample[QUIC_SAMPLE_SIZE],
                     uint8_t ret[QUIC_MASK_SIZE])
{
    (void)keys;
    (void)sample;
    (void)ret;
    return -EOPNOTSUPP;
}

int quic_payload_open(const struct quic_keys *keys, const struct quic_header *header, struct slice sealed,
                      uint8_t *out)
{
    (void)keys;
    (void)header;
    (void)sealed;
    (void)out;
    return -EOPNOTSUPP;
}

#endif
