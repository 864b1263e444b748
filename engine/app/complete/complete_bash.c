#include "complete/complete.h"

#include "complete/complete_spec.h"

#include <stdint.h>

static const char HEAD[] = "# bash completion for steerway, made by: steerway completion bash\n\n";

/* Bash splits words at '=', so --option=value comes as three. */
static const char TAIL[] =
    "# Offer what a spec allows: words, and with @ kinds of which the program knows the members.\n"
    "_steerway_offer() {\n"
    "  local word list= IFS\n"
    "  for word; do\n"
    "    case $word in\n"
    "      @files)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -f -- \"$cur\")\n"
    "        ;;\n"
    "      @commands) list+=\" $_steerway_commands\" ;;\n"
    "      @*) list+=\" $(\"${COMP_WORDS[0]}\" completion \"${word#@}\" 2>/dev/null)\" ;;\n"
    "      *) list+=\" $word\" ;;\n"
    "    esac\n"
    "  done\n"
    "  while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(IFS=$' \\n' && compgen -W \"$list\" -- "
    "\"$cur\")\n"
    "}\n"
    "\n"
    "_steerway() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} spec place=0 i before=\n"
    "  COMPREPLY=()\n"
    "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "    _steerway_offer @commands --help --version\n"
    "    return\n"
    "  fi\n"
    "  for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "    if [ \"${COMP_WORDS[i]}\" = '=' ]; then\n"
    "      :\n"
    "    elif [ -n \"$before\" ]; then\n"
    "      before=\n"
    "    elif spec=$(_steerway_value \"${COMP_WORDS[i]}\"); then\n"
    "      before=${COMP_WORDS[i]}\n"
    "    elif [[ ${COMP_WORDS[i]} != -* ]]; then\n"
    "      place=$((place + 1))\n"
    "    fi\n"
    "  done\n"
    "  [ \"$cur\" != '=' ] || cur=\n"
    "  if [ -n \"$before\" ]; then\n"
    "    spec=$(_steerway_value \"$before\")\n"
    "  elif [[ $cur == -* ]]; then\n"
    "    spec=$(_steerway_options \"$verb\")\n"
    "  else\n"
    "    spec=$(_steerway_word \"$verb:$place\")\n"
    "  fi\n"
    "  # shellcheck disable=SC2086 # words\n"
    "  _steerway_offer $spec\n"
    "}\n"
    "\n"
    "complete -F _steerway steerway\n";

static void print_commands(FILE *out, const struct verb_table *verbs)
{
    (void)fputs("_steerway_commands='", out);
    for (size_t i = 0; i < verbs->n; i++)
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", verbs->items[i].name);
    (void)fputs("'\n\n", out);
}

static void print_options(FILE *out, const struct verb_table *verbs)
{
    (void)fputs("_steerway_options() {\n  case $1 in\n", out);
    for (size_t i = 0; i < verbs->n; i++) {
        (void)fprintf(out, "    %s) echo '", verbs->items[i].name);
        for (size_t k = 0; option_at(k); k++)
            if (option_at(k)->scope & verbs->items[i].scope)
                (void)fprintf(out, "--%s ", option_at(k)->name);
        (void)fputs("' ;;\n", out);
    }
    (void)fputs("  esac\n}\n\n", out);
}

/* Options that take a value, and what it may be. */
static void print_values(FILE *out)
{
    (void)fputs("_steerway_value() {\n  case $1 in\n", out);
    for (size_t k = 0; option_at(k); k++) {
        const struct option *o = option_at(k);
        if (!o->argument)
            continue;
        (void)fprintf(out, "    --%s", o->name);
        if (o->letter)
            (void)fprintf(out, " | -%c", o->letter);
        (void)fprintf(out, ") echo '%s' ;;\n", complete_spec_of_option(o).text);
    }
    (void)fputs("    *) return 1 ;;\n  esac\n}\n\n", out);
}

static void print_words(FILE *out, const struct verb_table *verbs)
{
    (void)fputs("_steerway_word() {\n  case $1 in\n", out);
    for (size_t i = 0; i < verbs->n; i++) {
        const struct verb *v = &verbs->items[i];
        size_t n = complete_places(v);
        for (size_t place = 0; place < n; place++) {
            (void)fprintf(out, "    %s:", v->name);
            if (place + 1 == n && v->words_max == SIZE_MAX)
                (void)fputs("*", out);
            else
                (void)fprintf(out, "%zu", place);
            for (size_t more = n; place + 1 == n && v->words_max < SIZE_MAX && more < v->words_max; more++)
                (void)fprintf(out, " | %s:%zu", v->name, more);
            (void)fprintf(out, ") echo '%s' ;;\n", complete_spec_of_word(v, place).text);
        }
    }
    (void)fputs("  esac\n}\n\n", out);
}

void complete_print_bash(FILE *out, const struct verb_table *verbs)
{
    (void)fputs(HEAD, out);
    print_commands(out, verbs);
    print_options(out, verbs);
    print_values(out);
    print_words(out, verbs);
    (void)fputs(TAIL, out);
}
