#include "takeover/handed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const NAMES[N_HANDED] = {
    [HANDED_LISTENER] = "listener",
    [HANDED_DATAGRAMS] = "datagrams",
    [HANDED_UDP_PORT] = "udp-port",
    [HANDED_CONTROL] = "control",
    [HANDED_CONTROL_LOCK] = "control-lock",
    [HANDED_STATE_LOCK] = "state-lock",
    [HANDED_RECORD] = "record",
    [HANDED_NFT_IN] = "nft-in",
    [HANDED_NFT_OUT] = "nft-out",
};

int handed_add(struct handed_set *s, enum handed_kind kind, const char *place, const char *use, int fd)
{
    struct handed *items = realloc(s->items, (s->n + 1) * sizeof *items);
    struct handed h = {.kind = kind, .fd = fd};

    if (!items)
        return -ENOMEM;
    s->items = items;
    h.place = strdup(place ? place : "");
    h.use = strdup(use ? use : "");
    if (!h.place || !h.use) {
        free(h.place);
        free(h.use);
        return -ENOMEM;
    }
    s->items[s->n++] = h;
    return 0;
}

int handed_take(struct handed_set *s, enum handed_kind kind, const char *place, const char *use)
{
    for (size_t i = 0; i < s->n; i++) {
        struct handed *h = &s->items[i];
        if (h->fd < 0 || h->kind != kind || (place && strcmp(h->place, place) != 0) ||
            (use && strcmp(h->use, use) != 0 && strcmp(h->use, HANDED_ANY_USE) != 0))
            continue;
        int fd = h->fd;
        h->fd = -1;
        return fd;
    }
    return -1;
}

void handed_done(struct handed_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].place);
        free(s->items[i].use);
    }
    free(s->items);
    *s = (struct handed_set){.items = NULL};
}

void handed_close(struct handed_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].fd >= 0)
            (void)close(s->items[i].fd);
    handed_done(s);
}

json_t *handed_json(const struct handed_set *s)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < s->n; i++) {
        const struct handed *h = &s->items[i];
        json_t *o = json_pack("{s:s, s:s, s:s}", "for", NAMES[h->kind], "place", h->place, "use", h->use);
        if (!o || json_array_append_new(list, o) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int kind_of(const char *name)
{
    for (int k = 0; name && k < N_HANDED; k++)
        if (strcmp(NAMES[k], name) == 0)
            return k;
    return -1;
}

static int add_parsed(struct handed_set *s, const json_t *o, int fd)
{
    int kind = kind_of(json_string_value(json_object_get(o, "for")));

    if (kind < 0) {
        (void)close(fd);
        return 0;
    }
    int r = handed_add(s, (enum handed_kind)kind, json_string_value(json_object_get(o, "place")),
                       json_string_value(json_object_get(o, "use")), fd);
    if (r < 0)
        (void)close(fd);
    return r;
}

int handed_parse(struct handed_set *ret, const json_t *list, const int *fds, size_t n)
{
    struct handed_set s = {.items = NULL};
    int r = json_is_array(list) && json_array_size(list) == n ? 0 : -EPROTO;

    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            r = add_parsed(&s, json_array_get(list, i), fds[i]);
        else
            (void)close(fds[i]);
    }
    if (r < 0)
        handed_close(&s);
    else
        *ret = s;
    return r;
}
