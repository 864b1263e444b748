#include "base/nearest.h"

#include <ctype.h>

/* Up to two edits (a letter missing, added or replaced) count as a typing error; three make another word. */
enum { FAR = 3 };
/* The longest name that is compared. */
enum { NAME_MAX_LEN = 64 };
/* From this length on, the start of a name counts as one edit. */
enum { PREFIX_MIN = 3 };

void nearest_init(struct nearest *n, struct slice word)
{
    *n = (struct nearest){.word = word, .distance = FAR};
}

static int folded(char c)
{
    return c == '_' ? '-' : tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein distance, with one row of the matrix. */
static size_t distance(struct slice a, struct slice b)
{
    size_t row[NAME_MAX_LEN + 1];

    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j], change = folded(a.data[i - 1]) != folded(b.data[j - 1]);
            row[j] = least(diagonal + change, least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}

static bool begins(struct slice name, struct slice beginning)
{
    return beginning.len >= PREFIX_MIN && beginning.len < name.len &&
           distance(slice_of(name.data, beginning.len), beginning) == 0;
}

void nearest_offer(struct nearest *n, const char *known)
{
    struct slice name = slice_str(known);

    if (name.len > NAME_MAX_LEN)
        return;
    size_t d = begins(name, n->word) ? 1 : distance(n->word, name);
    if (d < n->distance && d < name.len) {
        n->best = known;
        n->distance = d;
    }
}
