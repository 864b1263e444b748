#include "policy/held_log.h"

#include <stdlib.h>
#include <string.h>

static const size_t TEXT_MAX = sizeof((struct log_text *)NULL)->bytes;

void held_log_write(enum log_level level, struct slice text, uint32_t generation, uint32_t hidden)
{
    struct log_line line;

    log_begin_at(&line, level, EVENT_POLICY_SAYS);
    log_slice(&line, "text", text);
    log_u64(&line, "generation", generation);
    log_hidden(&line, hidden);
    log_end(&line);
}

void held_log_add(struct held_log *h, enum log_level level, struct slice text, uint32_t generation,
                  uint32_t hidden)
{
    size_t len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    struct held_line *lines = reallocarray(h->lines, h->n + 1, sizeof *lines);
    char *copy = lines ? malloc(len + 1) : NULL;

    if (lines)
        h->lines = lines;
    if (!copy)
        return held_log_write(level, text, generation, hidden);
    memcpy(copy, text.data, len);
    h->lines[h->n++] = (struct held_line){.level = level, .text = copy, .len = len, .hidden = hidden};
}

void held_log_flush(struct held_log *h, uint32_t generation)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct held_line *l = &h->lines[i];
        held_log_write(l->level, slice_of(l->text, l->len), generation, l->hidden);
    }
    held_log_drop(h);
}

void held_log_drop(struct held_log *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->lines[i].text);
    free(h->lines);
    *h = (struct held_log){.n = 0};
}
