/* Passwords that are kept as a hash of crypt(3). A check takes many milliseconds on purpose. In a build
 * without libcrypt (STEERWAY_CRYPT) there are none. */
#ifndef STEERWAY_ACCESS_HASHES_H
#define STEERWAY_ACCESS_HASHES_H

#include "base/slice.h"

#include <stdbool.h>

/** Whether this build has libcrypt. */
bool hashes_are_there(void);

/** Whether the text begins as a hash of crypt(3) does: yescrypt ($y$), gost-yescrypt ($gy$), scrypt ($7$),
 * bcrypt
 * ($2b$, $2a$, $2y$), SHA-512 ($6$) or SHA-256 ($5$). Older kinds are not taken: they are too weak. */
bool hashes_look_like(struct slice text);

/** Whether libcrypt knows such a hash. */
bool hashes_are_known(const char *hash);

/** Check a password; for a thread of its own. False also without memory. */
bool hashes_check(const char *hash, const char *pass);

#endif
