#include "sets/name_set.h"

#include "base/keyed_hash.h"

#include <errno.h>
#include <stdlib.h>

enum { SLOTS_MIN = 16, TEXT_ROOM_MIN = 256 };

/* at: 1 + the offset of the entry; 0 in a free slot. The hash avoids most comparisons of text. */
struct slot {
    uint32_t at, hash;
};

/* An entry is one byte of covers, one byte of length, and the name. */
enum { ENTRY_HEAD = 2 };

struct name_set {
    struct hash_key key;
    struct slot *slots; /* their number is a power of two */
    size_t n_slots, count;
    unsigned char *text;
    size_t text_len, text_room;
};

struct name_set *name_set_new(void)
{
    struct name_set *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->slots = calloc(SLOTS_MIN, sizeof *s->slots);
    s->n_slots = SLOTS_MIN;
    if (!s->slots || hash_key_make(&s->key) < 0) {
        name_set_free(s);
        return NULL;
    }
    return s;
}

void name_set_free(struct name_set *s)
{
    if (!s)
        return;
    free(s->slots);
    free(s->text);
    free(s);
}

static uint64_t hash_label(const struct name_set *s, uint64_t below, struct slice label)
{
    const struct hash_key key = {.k0 = s->key.k0 ^ below, .k1 = s->key.k1};

    return keyed_hash(&key, label);
}

/* The start of the label that ends before `end`. */
static size_t label_start(struct slice name, size_t end)
{
    while (end > 0 && name.data[end - 1] != '.')
        end--;
    return end;
}

static struct slice tail(struct slice name, size_t from)
{
    return slice_of(name.data + from, name.len - from);
}

/* The slot of the name, or the free slot for it. */
static struct slot *find_slot(const struct name_set *s, uint32_t hash, struct slice name)
{
    size_t mask = s->n_slots - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct slot *slot = &s->slots[i];
        if (slot->at == 0)
            return slot;
        const unsigned char *entry = s->text + slot->at - 1;
        if (slot->hash == hash && entry[1] == name.len &&
            memcmp(entry + ENTRY_HEAD, name.data, name.len) == 0)
            return slot;
    }
}

static int grow_slots(struct name_set *s)
{
    size_t n = s->n_slots * 2;
    struct slot *slots = calloc(n, sizeof *slots);

    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_slots; i++) {
        if (s->slots[i].at == 0)
            continue;
        size_t to = s->slots[i].hash & (n - 1);
        while (slots[to].at != 0)
            to = (to + 1) & (n - 1);
        slots[to] = s->slots[i];
    }
    free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    return 0;
}

static int append(struct name_set *s, struct slice name, unsigned covers)
{
    size_t need = s->text_len + ENTRY_HEAD + name.len;

    if (need >= UINT32_MAX)
        return -ENOMEM;
    if (need > s->text_room) {
        size_t room = s->text_room * 2 > TEXT_ROOM_MIN ? s->text_room * 2 : TEXT_ROOM_MIN;
        room = room > need ? room : need;
        unsigned char *text = realloc(s->text, room);
        if (!text)
            return -ENOMEM;
        s->text = text;
        s->text_room = room;
    }
    s->text[s->text_len] = (unsigned char)covers;
    s->text[s->text_len + 1] = (unsigned char)name.len;
    memcpy(s->text + s->text_len + ENTRY_HEAD, name.data, name.len);
    s->text_len = need;
    return 0;
}

int name_set_add(struct name_set *s, struct slice name, unsigned covers)
{
    uint64_t hash = 0;

    if (name.len == 0 || name.len > NAME_SET_TEXT_MAX)
        return -EINVAL;
    for (size_t end = name.len;;) {
        size_t from = label_start(name, end);
        hash = hash_label(s, hash, slice_of(name.data + from, end - from));
        if (from == 0)
            break;
        end = from - 1;
    }
    struct slot *slot = find_slot(s, (uint32_t)hash, name);
    if (slot->at != 0) {
        s->text[slot->at - 1] |= (unsigned char)covers;
        return 0;
    }
    /* With three quarters of the slots taken, a search meets about three slots. */
    if ((s->count + 1) * 4 > s->n_slots * 3) {
        int r = grow_slots(s);
        if (r < 0)
            return r;
        slot = find_slot(s, (uint32_t)hash, name);
    }
    size_t at = s->text_len + 1;
    int r = append(s, name, covers);
    if (r < 0)
        return r;
    *slot = (struct slot){.at = (uint32_t)at, .hash = (uint32_t)hash};
    s->count++;
    return 0;
}

void name_set_trim(struct name_set *s)
{
    unsigned char *text = s->text_len > 0 ? realloc(s->text, s->text_len) : NULL;

    if (!text)
        return;
    s->text = text;
    s->text_room = s->text_len;
}

/* Copy in lower case. @return whether all of it is ASCII */
static bool lower(char *to, const char *from, size_t len)
{
    unsigned char all = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)from[i];
        to[i] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
        all |= c;
    }
    return all < 0x80;
}

enum name_match name_set_match(const struct name_set *s, const char *host, size_t len)
{
    char copy[NAME_SET_TEXT_MAX];
    uint64_t hash = 0;

    if (len > 0 && host[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_SET_TEXT_MAX)
        return NAME_NO_MATCH;
    if (!lower(copy, host, len))
        return NAME_NOT_ASCII;
    const struct slice name = slice_of(copy, len);
    for (size_t end = len;;) {
        size_t from = label_start(name, end);
        hash = hash_label(s, hash, slice_of(copy + from, end - from));
        const struct slot *slot = find_slot(s, (uint32_t)hash, tail(name, from));
        if (slot->at != 0 && s->text[slot->at - 1] & (from == 0 ? NAME_ITSELF : NAME_BELOW))
            return NAME_MATCH;
        if (from == 0)
            return NAME_NO_MATCH;
        end = from - 1;
    }
}

size_t name_set_count(const struct name_set *s)
{
    return s->count;
}

size_t name_set_bytes(const struct name_set *s)
{
    return sizeof *s + s->n_slots * sizeof *s->slots + s->text_room;
}
