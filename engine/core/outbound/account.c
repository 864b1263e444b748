#include "outbound/account.h"

#include <stdlib.h>
#include <string.h>

void recent_note(struct recent *r, const struct account *a)
{
    const char *texts[] = {a->user, a->host, a->address, a->uplink, a->reason, a->listener};
    size_t sizes[ARRAY_LEN(texts)], size = sizeof *a;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        sizes[i] = texts[i] ? strlen(texts[i]) + 1 : 0;
        size += sizes[i];
    }
    struct account *copy = malloc(size);
    if (!copy)
        return;
    *copy = *a;
    const char **into[] = {&copy->user,   &copy->host,   &copy->address,
                           &copy->uplink, &copy->reason, &copy->listener};
    char *at = (char *)(copy + 1);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!texts[i])
            continue;
        *into[i] = memcpy(at, texts[i], sizes[i]);
        at += sizes[i];
    }
    free(r->items[r->at]);
    r->items[r->at] = copy;
    r->at = (r->at + 1) % RECENT_MAX;
}

const struct account *recent_at(const struct recent *r, size_t i)
{
    return i < RECENT_MAX ? r->items[(r->at + RECENT_MAX - 1 - i) % RECENT_MAX] : NULL;
}

void recent_done(struct recent *r)
{
    for (size_t i = 0; i < RECENT_MAX; i++)
        free(r->items[i]);
    *r = (struct recent){.at = 0};
}
