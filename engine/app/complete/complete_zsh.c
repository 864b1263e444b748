#include "complete/complete.h"

#include "complete/complete_spec.h"

#include <stdint.h>

static const char APOSTROPHE[] = "'\\''";

static const char HEAD[] =
    "#compdef steerway\n"
    "# zsh completion for steerway, made by: steerway completion zsh\n"
    "\n"
    "# Offer what a spec allows: words, and with @ kinds of which the program knows the members.\n"
    "_steerway_offer() {\n"
    "  local word\n"
    "  local -a list\n"
    "  for word in \"$@\"; do\n"
    "    case $word in\n"
    "      @files) _files ;;\n"
    "      @commands) _steerway_commands ;;\n"
    "      @*) list+=(${(f)\"$($program completion ${word#@} 2>/dev/null)\"}) ;;\n"
    "      *) list+=($word) ;;\n"
    "    esac\n"
    "  done\n"
    "  (( $#list )) && compadd -- $list\n"
    "}\n"
    "\n";

static const char MAIN[] =
    "_steerway() {\n"
    "  local curcontext=$curcontext state line program=$words[1]\n"
    "  typeset -A opt_args\n"
    "  _arguments -C '(- *)'{-h,--help}'[print the help]' '(- *)'{-V,--version}'[print the version]' \\\n"
    "    '1: : _steerway_commands' '*::word:->words'\n"
    "  [[ $state == words ]] || return\n"
    "  case $words[1] in\n";

static const char TAIL[] = "  esac\n"
                           "}\n"
                           "\n"
                           "if [[ $funcstack[1] == _steerway ]]; then\n"
                           "  _steerway \"$@\"\n"
                           "else\n"
                           "  compdef _steerway steerway\n"
                           "fi\n";

static void print_commands(FILE *out, const struct verb_table *verbs)
{
    (void)fputs("_steerway_commands() {\n  local -a commands=(\n", out);
    for (size_t i = 0; i < verbs->n; i++) {
        char about[COMPLETE_ABOUT_MAX];
        complete_about(verbs->items[i].summary, APOSTROPHE, about);
        (void)fprintf(out, "    '%s:%s'\n", verbs->items[i].name, about);
    }
    (void)fputs("  )\n  _describe command commands\n}\n\n", out);
}

static void print_option(FILE *out, const struct option *o)
{
    char about[COMPLETE_ABOUT_MAX];

    complete_about(o->about, APOSTROPHE, about);
    (void)fputs(" \\\n        '*'", out);
    if (o->letter)
        (void)fprintf(out, "{-%c%s,--%s%s}", o->letter, o->argument ? "+" : "", o->name,
                      o->argument ? "=" : "");
    else
        (void)fprintf(out, "--%s%s", o->name, o->argument ? "=" : "");
    (void)fprintf(out, "'[%s]", about);
    if (o->argument)
        (void)fprintf(out, ":%s: _steerway_offer %s", o->name, complete_spec_of_option(o).text);
    (void)fputc('\'', out);
}

static void print_words(FILE *out, const struct verb *v)
{
    size_t n = complete_places(v), last = v->words_max == SIZE_MAX ? n : v->words_max;

    for (size_t place = 0; place < last; place++) {
        (void)fputs(" \\\n        '", out);
        if (place + 1 == n && v->words_max == SIZE_MAX)
            (void)fputc('*', out);
        else
            (void)fprintf(out, "%zu", place + 1);
        (void)fprintf(out, ": : _steerway_offer %s'", complete_spec_of_word(v, place).text);
    }
}

void complete_print_zsh(FILE *out, const struct verb_table *verbs)
{
    (void)fputs(HEAD, out);
    print_commands(out, verbs);
    (void)fputs(MAIN, out);
    for (size_t i = 0; i < verbs->n; i++) {
        const struct verb *v = &verbs->items[i];
        (void)fprintf(out, "    %s)\n      _arguments -S", v->name);
        for (size_t k = 0; option_at(k); k++)
            if (option_at(k)->scope & v->scope)
                print_option(out, option_at(k));
        print_words(out, v);
        (void)fputs("\n      ;;\n", out);
    }
    (void)fputs(TAIL, out);
}
