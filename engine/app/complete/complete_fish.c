#include "complete/complete.h"

#include "complete/complete_spec.h"

#include <stdint.h>
#include <string.h>

static const char APOSTROPHE[] = "\\'";

static const char HEAD[] =
    "# fish completion for steerway, made by: steerway completion fish\n"
    "\n"
    "# What the program knows of a kind: policies, interfaces, uplinks.\n"
    "function __steerway_list\n"
    "    set -l tokens (commandline -opc)\n"
    "    command $tokens[1] completion $argv[1] 2>/dev/null\n"
    "end\n"
    "\n"
    "# Whether the line's command is one of these.\n"
    "function __steerway_of\n"
    "    set -l tokens (commandline -opc)\n"
    "    test (count $tokens) -ge 2; and contains -- $tokens[2] $argv\n"
    "end\n"
    "\n"
    "# Whether the line has this command, and behind it so many words: at least, at most.\n"
    "function __steerway_at\n"
    "    set -l tokens (commandline -opc)\n"
    "    test (count $tokens) -ge 2; and test $tokens[2] = $argv[1]; or return 1\n"
    "    set -e tokens[1..2]\n"
    "    set -l n 0\n"
    "    set -l value no\n"
    "    for token in $tokens\n"
    "        if test $value = yes\n"
    "            set value no\n"
    "        else if contains -- $token $__steerway_valued\n"
    "            set value yes\n"
    "        else if not string match -q -- '-*' $token\n"
    "            set n (math $n + 1)\n"
    "        end\n"
    "    end\n"
    "    test $value = no; and test $n -ge $argv[2]; and test $n -le $argv[3]\n"
    "end\n"
    "\n"
    "complete -c steerway -f\n"
    "complete -c steerway -n 'test (count (commandline -opc)) -eq 1' -l help -s h -d 'print the help'\n"
    "complete -c steerway -n 'test (count (commandline -opc)) -eq 1' -l version -s V -d 'print the "
    "version'\n";

enum { WORDS_MANY = 9999 };

static void print_valued(FILE *out)
{
    (void)fputs("set -g __steerway_valued", out);
    for (size_t k = 0; option_at(k); k++) {
        const struct option *o = option_at(k);
        if (o->argument)
            (void)fprintf(out, " --%s", o->name);
        if (o->argument && o->letter)
            (void)fprintf(out, " -%c", o->letter);
    }
    (void)fputs("\n\n", out);
}

static void print_commands(FILE *out, const struct verb_table *verbs)
{
    for (size_t i = 0; i < verbs->n; i++) {
        char about[COMPLETE_ABOUT_MAX];
        complete_about(verbs->items[i].summary, APOSTROPHE, about);
        (void)fprintf(out, "complete -c steerway -n 'test (count (commandline -opc)) -eq 1' -a %s -d '%s'\n",
                      verbs->items[i].name, about);
    }
}

/* Print a spec as fish's arguments: -F for files, -a for the rest. */
static void print_spec(FILE *out, struct complete_spec spec, const struct verb_table *verbs)
{
    bool files = false, any = false;

    for (char *rest = spec.text, *word; (word = strsep(&rest, " "));) {
        if (strcmp(word, "@files") == 0) {
            files = true;
            continue;
        }
        (void)fputs(!*word ? "" : any ? " " : " -a '", out);
        any = any || *word;
        if (strcmp(word, "@commands") == 0) {
            for (size_t i = 0; i < verbs->n; i++)
                (void)fprintf(out, "%s%s", i > 0 ? " " : "", verbs->items[i].name);
        } else if (*word == '@') {
            (void)fprintf(out, "(__steerway_list %s)", word + 1);
        } else {
            (void)fputs(word, out);
        }
    }
    (void)fprintf(out, "%s%s", any ? "'" : "", files ? " -F" : "");
}

static void print_option(FILE *out, const struct option *o, const struct verb_table *verbs)
{
    char about[COMPLETE_ABOUT_MAX];

    complete_about(o->about, APOSTROPHE, about);
    (void)fputs("complete -c steerway -n '__steerway_of", out);
    for (size_t i = 0; i < verbs->n; i++)
        if (o->scope & verbs->items[i].scope)
            (void)fprintf(out, " %s", verbs->items[i].name);
    (void)fprintf(out, "' -l %s", o->name);
    if (o->letter)
        (void)fprintf(out, " -s %c", o->letter);
    (void)fprintf(out, " -d '%s'", about);
    if (o->argument) {
        struct complete_spec spec = complete_spec_of_option(o);
        (void)fputs(strstr(spec.text, "@files") ? " -r" : " -x", out);
        print_spec(out, spec, verbs);
    }
    (void)fputc('\n', out);
}

static void print_words(FILE *out, const struct verb *v, const struct verb_table *verbs)
{
    size_t n = complete_places(v);

    for (size_t place = 0; place < n; place++) {
        struct complete_spec spec = complete_spec_of_word(v, place);
        size_t last = place + 1 < n ? place : v->words_max < SIZE_MAX ? v->words_max - 1 : WORDS_MANY;
        if (!*spec.text)
            continue;
        (void)fprintf(out, "complete -c steerway -n '__steerway_at %s %zu %zu'", v->name, place, last);
        print_spec(out, spec, verbs);
        (void)fputc('\n', out);
    }
}

void complete_print_fish(FILE *out, const struct verb_table *verbs)
{
    print_valued(out);
    (void)fputs(HEAD, out);
    print_commands(out, verbs);
    for (size_t k = 0; option_at(k); k++)
        print_option(out, option_at(k), verbs);
    for (size_t i = 0; i < verbs->n; i++)
        print_words(out, &verbs->items[i], verbs);
}
