/* A set of domain names: what a list of names becomes.
 *
 * The names stand one behind the other in one block, and an open hash table refers to them: about 8 to 16
 * bytes a name beside its own text. The hash goes from label to label, from the end of a name to its start,
 * so that one walk over a host meets all its parent domains. It is keyed (keyed_hash.h): the author of a list
 * cannot make its names collide. A look-up allocates nothing and takes no lock. */
#ifndef STEERWAY_SETS_NAME_SET_H
#define STEERWAY_SETS_NAME_SET_H

#include "base/compiler.h"
#include "base/slice.h"

enum { NAME_SET_TEXT_MAX = 253 }; /* RFC 1035 2.3.4, as text */

/** What a name in a set stands for; bits. */
enum name_covers { NAME_ITSELF = 1, NAME_BELOW = 2, NAME_ALL = 3 };

struct name_set;

/** @return NULL without memory, or without random numbers for the key */
struct name_set *name_set_new(void);
void name_set_free(struct name_set *s);

/** Add a name in lower case, without a dot at its end; one that is there already stands for more.
 *  @param covers  of enum name_covers
 *  @return 0, -EINVAL for a name that is empty or too long, or -ENOMEM */
MUST_CHECK int name_set_add(struct name_set *s, struct slice name, unsigned covers);

/** Give memory back that was kept for more names. */
void name_set_trim(struct name_set *s);

/** @param host  a name in any case, with or without a dot at its end
 *  @return 1 or 0; or -1 for a name with bytes outside of ASCII, which must be converted first */
int name_set_match(const struct name_set *s, const char *host, size_t len);

size_t name_set_count(const struct name_set *s);
/** The memory that it takes. */
size_t name_set_bytes(const struct name_set *s);

#endif
