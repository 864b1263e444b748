#include "base/nearest.h"

#include <ctype.h>

/* Up to two edits (a letter missing, added or replaced, or two swapped) count as a typing error; three make
 * another word. */
enum { FAR = 3 };
/* The longest name, and the longest word, that is compared. */
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

static bool same(char a, char b)
{
    return folded(a) == folded(b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, where a swap of neighbours counts once. Three rows of the matrix are enough. */
static size_t distance(struct slice a, struct slice b)
{
    size_t rows[3][NAME_MAX_LEN + 1] = {{0}};

    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        const size_t *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = !same(a.data[i - 1], b.data[j - 1]);
            row[j] = least(above[j - 1] + change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a.data[i - 1], b.data[j - 2]) && same(a.data[i - 2], b.data[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

static bool begins(struct slice name, struct slice beginning)
{
    return beginning.len >= PREFIX_MIN && beginning.len < name.len &&
           distance(slice_of(name.data, beginning.len), beginning) == 0;
}

void nearest_offer(struct nearest *n, const char *known)
{
    struct slice name = slice_str(known);

    if (name.len > NAME_MAX_LEN || n->word.len > NAME_MAX_LEN)
        return;
    size_t d = begins(name, n->word) ? 1 : distance(n->word, name);
    if (d < n->distance && d < name.len) {
        n->best = known;
        n->distance = d;
    }
}
