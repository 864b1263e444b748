/* What may stand behind an option, or as a word of a command, as the help describes it. */
#ifndef STEERWAY_COMPLETE_COMPLETE_SPEC_H
#define STEERWAY_COMPLETE_COMPLETE_SPEC_H

#include "cli/verb.h"
#include "options/options.h"

#include <stdbool.h>

enum { COMPLETE_SPEC_MAX = 256, COMPLETE_ABOUT_MAX = 160 };

/** A spec: words that may stand there, and kinds that the shell finds at run time: @files, @policies,
 * @interfaces,
 * @uplinks, @commands. */
struct complete_spec {
    char text[COMPLETE_SPEC_MAX]; /* with a blank between the words; "" where nothing is known */
};

/** The value of an option. */
struct complete_spec complete_spec_of_option(const struct option *o);

/** How many words of a command differ, as the help describes them. The last one stands for all that follow
 * it. */
size_t complete_places(const struct verb *v);
/** A word of a command, by its place from 0 on. */
struct complete_spec complete_spec_of_word(const struct verb *v, size_t place);

/** The beginning of a help text, as shells show it beside a candidate: up to a semicolon, colon or bracket,
 * without bytes that mean something to a shell.
 *  @param apostrophe  what the shell's quoted texts have for an apostrophe */
void complete_about(const char *about, const char *apostrophe, char out[COMPLETE_ABOUT_MAX]);

#endif
