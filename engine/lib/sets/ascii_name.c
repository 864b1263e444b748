#include "sets/ascii_name.h"

#include <errno.h>
#include <idn2.h>

/* A character has at most four bytes in UTF-8. */
enum { INPUT_MAX = 4 * NAME_SET_TEXT_MAX };

int ascii_name(struct slice name, char ret[static NAME_SET_TEXT_MAX + 1])
{
    char text[INPUT_MAX + 1];
    uint8_t *found = NULL;

    if (name.len == 0 || name.len > INPUT_MAX || memchr(name.data, '\0', name.len))
        return -EINVAL;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    if (idn2_lookup_u8((const uint8_t *)text, &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return -EINVAL;
    size_t len = strlen((const char *)found);
    if (len <= NAME_SET_TEXT_MAX)
        memcpy(ret, found, len + 1);
    idn2_free(found);
    return len <= NAME_SET_TEXT_MAX ? (int)len : -EINVAL;
}
