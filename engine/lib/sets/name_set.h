/* A set of domain names.
 *
 * The names stand in one block of text, and an open hash table refers to them. A name takes 8 to 16 bytes and
 * its text. The hash proceeds label by label, from the end of a name to its start. So one walk over a host
 * finds all its parent domains. It is keyed (keyed_hash.h), so that the author of a list cannot make names
 * collide. A look-up does not allocate or lock. */
#ifndef STEERWAY_SETS_NAME_SET_H
#define STEERWAY_SETS_NAME_SET_H

#include "base/compiler.h"
#include "base/slice.h"

enum { NAME_SET_TEXT_MAX = 253 }; /* RFC 1035 2.3.4, as text */

/** What a name in a set covers; bits. */
enum name_covers { NAME_ITSELF = 1, NAME_BELOW = 2, NAME_ALL = 3 };

struct name_set;

/** @return NULL without memory, or without random bytes for the key */
struct name_set *name_set_new(void);
void name_set_free(struct name_set *s);

/** Add a name in lower case, without a dot at its end. For a name that exists, covers are combined.
 *  @param covers  of enum name_covers
 *  @return 0, -EINVAL for a name that is empty or too long, or -ENOMEM */
MUST_CHECK int name_set_add(struct name_set *s, struct slice name, unsigned covers);

/** Free memory that was reserved for more names. */
void name_set_trim(struct name_set *s);

/** Lua receives these numbers (vm_lists.c). */
enum name_match {
    NAME_NOT_ASCII = -1, /* must be converted first (ascii_name.h) */
    NAME_NO_MATCH,
    NAME_MATCH,
};
/** @param host  a name in any case, with or without a dot at its end */
enum name_match name_set_match(const struct name_set *s, const char *host, size_t len);

size_t name_set_count(const struct name_set *s);
/** Memory in bytes. */
size_t name_set_bytes(const struct name_set *s);

#endif
