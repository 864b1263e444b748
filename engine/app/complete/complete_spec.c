#include "complete/complete_spec.h"

#include "base/slice.h"

#include "base/compiler.h"

#include <ctype.h>
#include <string.h>

/* --- from the help's notation to a spec ----------------------------------------------------------------- */

static void add(struct complete_spec *spec, struct slice word)
{
    size_t len = strlen(spec->text);

    if (len + word.len + 2 > sizeof spec->text)
        return;
    if (len > 0)
        spec->text[len++] = ' ';
    memcpy(spec->text + len, word.data, word.len);
    spec->text[len + word.len] = '\0';
}

/* A word that is to be written as it stands, such as "off". */
static bool is_literal(struct slice word)
{
    if (word.len == 0 || !islower((unsigned char)word.data[0]))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.data[i];
        if (!islower(c) && !isdigit(c) && c != '-')
            return false;
    }
    return true;
}

/* What a word of the help stands for. The same word means other things in other places: uplinks. */
static const char *kind_of(struct slice word, const char *uplinks, bool file_too)
{
    static const struct {
        const char *word, *kind;
    } kinds[] = {
        {"FILE", "@files"},           {"PATH", "@files"},       {"DIR", "@files"},
        {"INTERFACE", "@interfaces"}, {"COMMAND", "@commands"}, {"POLICY", "@policies @files"},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (slice_eq(word, slice_str(kinds[i].word)))
            return kinds[i].kind;
    if (slice_eq(word, slice_str("UPLINK")))
        return uplinks;
    return file_too && slice_eq(word, slice_str("NAME")) ? "@policies" : NULL;
}

/* Add what one part of the notation allows: words between blanks, bars and brackets. */
static void add_notation(struct complete_spec *spec, struct slice text, const char *uplinks)
{
    bool file_too = memmem(text.data, text.len, "|FILE", 5) != NULL;
    bool composed =
        memchr(text.data, ':', text.len) != NULL; /* "tcp|udp:ADDRESS": none is a word of its own */

    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        while (end < text.len && !strchr(" |[].", text.data[end]))
            end++;
        struct slice word = slice_of(text.data + at, end - at);
        const char *kind = kind_of(word, uplinks, file_too);
        if (kind)
            add(spec, slice_str(kind));
        else if (!composed && is_literal(word))
            add(spec, word);
        at = end + 1;
    }
}

struct complete_spec complete_spec_of_option(const struct option *o)
{
    struct complete_spec spec = {.text = ""};

    if (o->argument)
        add_notation(&spec, slice_str(o->argument), "@uplinks");
    return spec;
}

/* --- the words of a command ----------------------------------------------------------------------------- */

/* The part of the notation that stands at this place, "[day|week|month]": brackets keep blanks together.
 * @return its length, 0 behind the last one */
static size_t part_at(const char *words, size_t place, const char **ret)
{
    for (;;) {
        size_t len = 0;
        int depth = 0;
        while (words[len] && (depth > 0 || words[len] != ' ')) {
            depth += words[len] == '[';
            depth -= words[len] == ']';
            len++;
        }
        if (place == 0 || len == 0) {
            *ret = words;
            return len;
        }
        place--;
        words += len + (words[len] == ' ');
    }
}

size_t complete_places(const struct verb *v)
{
    const char *part;
    size_t n = 0;

    while (part_at(v->words, n, &part) > 0)
        n++;
    return n;
}

struct complete_spec complete_spec_of_word(const struct verb *v, size_t place)
{
    /* What commands that ask a running proxy call an uplink is one of its own; add is for one that it lacks.
     */
    bool asks = (v->scope & OPTION_OF_CONTROL) && strcmp(v->name, "add") != 0;
    const char *uplinks = asks ? "@uplinks" : "@interfaces", *part;
    struct complete_spec spec = {.text = ""};
    size_t len = part_at(v->words, place, &part);

    while (place > 0 && len == 0)
        len = part_at(v->words, --place, &part);
    /* Of a part that may be left out, the next one may take the place. */
    for (bool optional = true; optional && len > 0; len = part_at(v->words, ++place, &part)) {
        optional = part[0] == '[';
        add_notation(&spec, slice_of(part, len), uplinks);
    }
    return spec;
}

void complete_about(const char *about, const char *apostrophe, char out[COMPLETE_ABOUT_MAX])
{
    static const char *const ends[] = {";", ": ", " ("};
    size_t n = 0, len = strlen(about), apostrophe_len = strlen(apostrophe);

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        const char *end = strstr(about, ends[i]);
        if (end && (size_t)(end - about) < len)
            len = (size_t)(end - about);
    }
    for (size_t i = 0; i < len && n + apostrophe_len < COMPLETE_ABOUT_MAX; i++) {
        if (about[i] == '\'') {
            memcpy(out + n, apostrophe, apostrophe_len);
            n += apostrophe_len;
        } else if (!strchr("\"\\`$[]", about[i])) {
            out[n++] = about[i];
        }
    }
    out[n] = '\0';
}
