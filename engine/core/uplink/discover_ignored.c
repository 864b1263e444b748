#include "uplink/discover_ignored.h"

#include <stdio.h>
#include <string.h>

static size_t place_of(const struct discover_ignored *ignored, const char *name)
{
    size_t i = 0;

    while (i < ignored->n && strcmp(ignored->names[i], name) != 0)
        i++;
    return i;
}

static void forget(struct discover_ignored *ignored, size_t place)
{
    ignored->n--;
    memmove(ignored->names[place], ignored->names[place + 1], (ignored->n - place) * sizeof *ignored->names);
}

void discover_ignore(struct discover_ignored *ignored, const char *name)
{
    if (strlen(name) >= sizeof *ignored->names || place_of(ignored, name) < ignored->n)
        return;
    if (ignored->n == ARRAY_LEN(ignored->names))
        forget(ignored, 0);
    (void)snprintf(ignored->names[ignored->n++], sizeof *ignored->names, "%s", name);
}

void discover_heed(struct discover_ignored *ignored, const char *name)
{
    size_t place = place_of(ignored, name);

    if (place < ignored->n)
        forget(ignored, place);
}

bool discover_is_ignored(const struct discover_ignored *ignored, const char *name)
{
    return place_of(ignored, name) < ignored->n;
}
