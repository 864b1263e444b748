#include "access/hashes.h"

#include "base/compiler.h"

#include <stdlib.h>
#include <string.h>

bool hashes_look_like(struct slice text)
{
    static const char *const kinds[] = {"$y$", "$gy$", "$7$", "$2b$", "$2a$", "$2y$", "$6$", "$5$"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i]);
        if (text.len > len && memcmp(text.data, kinds[i], len) == 0)
            return true;
    }
    return false;
}

#if STEERWAY_CRYPT

#include <crypt.h>

bool hashes_are_there(void)
{
    return true;
}

bool hashes_are_known(const char *hash)
{
    return crypt_checksalt(hash) != CRYPT_SALT_INVALID;
}

/* The time shows nothing of use: an attacker cannot choose the hash of a guess. */
bool hashes_check(const char *hash, const char *pass)
{
    struct crypt_data *data = calloc(1, sizeof *data);

    if (!data)
        return false;
    const char *made = crypt_r(pass, hash, data);
    bool right = made && *made == '$' && strcmp(made, hash) == 0;
    explicit_bzero(data, sizeof *data);
    free(data);
    return right;
}

#else

bool hashes_are_there(void)
{
    return false;
}

bool hashes_are_known(const char *hash)
{
    (void)hash;
    return false;
}

bool hashes_check(const char *hash, const char *pass)
{
    (void)hash;
    (void)pass;
    return false;
}

#endif
