#include "cli/cli.h"

#include "base/nearest.h"
#include "cli/command_error.h"
#include "config/paths.h"
#include "options/config_file.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <stdlib.h>

/* The arguments not read yet. */
struct arguments {
    int argc, at;
    char **argv;
};

/* --- verbs ---------------------------------------------------------------------------------------------- */

static unsigned scope_of(const struct verb *verb)
{
    return verb ? verb->scope : 0;
}

static void list_verbs(const struct verb_table *verbs, char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < verbs->n && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", verbs->items[i].name);
}

static const struct verb *verb_by_name(const struct verb_table *verbs, const char *name)
{
    for (size_t i = 0; i < verbs->n; i++)
        if (strcmp(verbs->items[i].name, name) == 0)
            return &verbs->items[i];
    return NULL;
}

int cli_find_verb(const struct verb_table *verbs, const char *word, const struct verb **ret, char *err)
{
    struct nearest nearest;
    char known[512];
    const struct verb *found = verb_by_name(verbs, word);

    if (found) {
        *ret = found;
        return 0;
    }
    nearest_init(&nearest, slice_str(word));
    for (size_t i = 0; i < verbs->n; i++)
        nearest_offer(&nearest, verbs->items[i].name);
    if (nearest.best)
        return config_refuse(err, "unknown command '%.60s'; did you mean %s?", word, nearest.best);
    list_verbs(verbs, known, sizeof known);
    return config_refuse(err, "unknown command '%.60s' (known: %s)", word, known);
}

/* --- options -------------------------------------------------------------------------------------------- */

/* @return a command that has the option, or NULL */
static const struct verb *taker_of(const struct verb_table *verbs, const struct option *o)
{
    for (size_t i = 0; i < verbs->n; i++)
        if (o->scope & verbs->items[i].scope)
            return &verbs->items[i];
    return NULL;
}

/* Show only the part before '=': the value may be a password. */
static int unknown_option(struct slice name, const struct cli *cli, char *err)
{
    const struct verb *verb = cli->verb;
    unsigned scope = scope_of(verb);
    struct slice bare = name;
    struct nearest nearest;

    while (bare.len > 0 && bare.data[0] == '-')
        bare = slice_of(bare.data + 1, bare.len - 1);
    nearest_init(&nearest, bare);
    for (size_t i = 0; option_at(i); i++) {
        if (option_at(i)->scope & scope)
            nearest_offer(&nearest, option_at(i)->name);
    }
    int len = name.len > 60 ? 60 : (int)name.len;
    const struct option *named = option_by_name(bare);
    const struct verb *other = named && !(named->scope & scope) ? taker_of(cli->verbs, named) : NULL;
    if (other && verb)
        return config_refuse(err, "%s has no option %.*s, unlike %s (-h lists the options)", verb->name, len,
                             name.data, other->name);
    if (nearest.best)
        return config_refuse(err, "unknown option %.*s; did you mean --%s?", len, name.data, nearest.best);
    return config_refuse(err, "unknown option %.*s (-h lists the options)", len, name.data);
}

/* Copies a secret value, and overwrites it in argv with stars, which ps then shows. */
static const char *hide(struct cli *cli, char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return NULL;
    cli->secrets[cli->n_secrets++] = copy;
    for (char *p = value; *p; p++)
        *p = '*';
    return copy;
}

/* @param value  NULL for a flag */
static int take_option(struct cli *cli, const struct option *o, char *value, char *err)
{
    const char *text = o->secret && value ? hide(cli, value) : value;

    if (value && !text)
        return config_refuse(err, "out of memory");
    switch (o->action) {
    case OPTION_SETS:
    case OPTION_KEPT:
        cli->values[cli->n_values++] = (struct option_value){.option = o, .text = text ? text : ""};
        break;
    case OPTION_READS_FILE:
        if (!text || !*text)
            return config_refuse(err, "--%s: expected the name of a file", o->name);
        cli->config_file = text;
        break;
    case OPTION_AS_JSON:
        cli->as_json = true;
        break;
    case OPTION_SHOWS_VERSION:
        cli->show_version = true;
        break;
    case OPTION_SHOWS_HELP:
        cli->show_help = true;
        break;
    }
    return 0;
}

/* Take the value after the option's name, or the next argument.
 * @param attached  text after '=' or after the letter; NULL for none */
static int take_with_value(struct cli *cli, const struct option *o, struct arguments *a, char *attached,
                           char *err)
{
    if (o->optional)
        return take_option(cli, o, attached, err);
    if (!o->argument)
        return attached ? config_refuse(err, "--%s takes no value", o->name) : take_option(cli, o, NULL, err);
    if (!attached && a->at == a->argc)
        return config_refuse(err, "--%s: expected %s after it", o->name, o->argument);
    return take_option(cli, o, attached ? attached : a->argv[a->at++], err);
}

static int parse_long(struct cli *cli, struct arguments *a, char *arg, char *err)
{
    char *equals = strchr(arg, '=');
    struct slice name = slice_of(arg, equals ? (size_t)(equals - arg) : strlen(arg));
    const struct option *o = option_by_name(slice_of(name.data + 2, name.len - 2));

    if (!o || !(o->scope & scope_of(cli->verb)))
        return unknown_option(name, cli, err);
    return take_with_value(cli, o, a, equals ? equals + 1 : NULL, err);
}

static int parse_short(struct cli *cli, struct arguments *a, char *arg, char *err)
{
    for (char *letter = arg + 1; *letter; letter++) {
        const struct option *o = option_by_letter(*letter);
        if (!o || !(o->scope & scope_of(cli->verb)))
            return unknown_option(slice_of(arg, strcspn(arg, "=")), cli, err);
        if (o->argument)
            return take_with_value(cli, o, a, letter[1] ? letter + 1 : NULL, err);
        int r = take_option(cli, o, NULL, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_word(struct cli *cli, char *word, char *err)
{
    const struct verb *v = cli->verb;

    if (cli->n_words == v->words_max && !*v->words)
        return config_refuse(err, "%s takes options only: '%.60s'", v->name, word);
    if (cli->n_words == v->words_max)
        return config_refuse(err, "%s takes %s and no more: '%.60s'", v->name, v->words, word);
    /* A parent proxy's URL may hold a password. */
    bool secret = strstr(word, "://") && strchr(word, '@');
    cli->words[cli->n_words] = secret ? hide(cli, word) : word;
    if (!cli->words[cli->n_words])
        return config_refuse(err, "out of memory");
    cli->n_words++;
    return 0;
}

static int parse_arguments(struct cli *cli, struct arguments *a, char *err)
{
    bool options_over = false;
    int r = 0;

    while (r == 0 && a->at < a->argc && !cli->show_help && !cli->show_version) {
        char *arg = a->argv[a->at++];
        if (options_over || arg[0] != '-' || !arg[1])
            r = take_word(cli, arg, err);
        else if (strcmp(arg, "--") == 0)
            options_over = true;
        else if (arg[1] == '-')
            r = parse_long(cli, a, arg, err);
        else
            r = parse_short(cli, a, arg, err);
    }
    if (r == 0 && cli->n_words < cli->verb->words_min && !cli->show_help && !cli->show_version)
        return config_refuse(err, "%s: expected %s", cli->verb->name, cli->verb->words);
    return r;
}

/* Before the command, only --help and --version are accepted. */
static int parse_before_verb(struct cli *cli, const char *arg, char *err)
{
    if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
        cli->show_help = true;
    else if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0)
        cli->show_version = true;
    else if (arg[0] == '-')
        return config_refuse(err, "the command comes first: steerway start %.*s …", (int)strcspn(arg, "="),
                             arg);
    else
        return cli_find_verb(cli->verbs, arg, &cli->verb, err);
    return 0;
}

/* Before passwords in it are overwritten. @return false without memory */
static bool keep_line(struct cli *cli, int argc, char **argv)
{
    cli->line = calloc((size_t)argc + 1, sizeof *cli->line);
    for (int i = 0; cli->line && i < argc; i++) {
        cli->line[i] = strdup(argv[i]);
        if (!cli->line[i])
            return false;
        cli->n_line++;
    }
    return cli->line;
}

static void forget(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        explicit_bzero(texts[i], strlen(texts[i]));
        free(texts[i]);
    }
    free(texts);
}

int cli_parse(struct cli *ret, const struct verb_table *verbs, int argc, char **argv, char *err)
{
    struct arguments a = {.argc = argc, .at = 1, .argv = argv};
    size_t n = argc > 0 ? (size_t)argc : 1;

    *ret = (struct cli){.verbs = verbs};
    /* Enough for both lists: neither is longer than the command line. */
    ret->values = calloc(n, sizeof *ret->values);
    ret->secrets = calloc(n, sizeof *ret->secrets);
    ret->words = calloc(n, sizeof *ret->words);
    if (!ret->values || !ret->secrets || !ret->words)
        return config_refuse(err, "out of memory");
    if (!keep_line(ret, argc, argv))
        return config_refuse(err, "out of memory");
    if (a.at >= a.argc)
        return 0;
    int r = parse_before_verb(ret, a.argv[a.at++], err);
    return r < 0 || !ret->verb ? r : parse_arguments(ret, &a, err);
}

void cli_done(struct cli *cli)
{
    forget(cli->secrets, cli->n_secrets);
    forget(cli->line, cli->n_line);
    free(cli->values);
    free(cli->words);
    *cli = (struct cli){.verb = NULL};
}

const char *cli_value(const struct cli *cli, const char *name)
{
    const char *text = NULL;

    for (size_t i = 0; i < cli->n_values; i++) {
        if (strcmp(cli->values[i].option->name, name) == 0)
            text = cli->values[i].text;
    }
    return text;
}

/* --- the config ----------------------------------------------------------------------------------------- */

static int add_uplinks(const struct cli *cli, struct config *c, char *err)
{
    if (cli->n_words > 0)
        config_clear(c, CONFIG_PART_UPLINKS);
    for (size_t i = 0; i < cli->n_words; i++) {
        struct uplink_spec spec;
        int r = uplink_spec_parse(&spec, cli->words[i], err, CONFIG_ERROR_MAX);
        if (r < 0)
            return r;
        r = config_add_uplink(c, &spec, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The config file needs the engine's Lua files to be read, so only a --data-dir of the command line can
 * name their folder. */
static int read_file(const struct cli *cli, struct config *c, char *err)
{
    struct paths paths;

    int r = paths_find(&paths, cli_value(cli, "data-dir"), err);
    if (r < 0)
        return r;
    r = config_file_load(c, cli->config_file, paths.lua_dir, err);
    paths_done(&paths);
    return r;
}

int cli_configure(const struct cli *cli, struct config *ret, int *ret_code, char *err)
{
    config_init(ret);
    *ret_code = COMMAND_FAILED;
    int r = cli->config_file ? read_file(cli, ret, err) : 0;
    if (r < 0)
        return r;
    bool file_at_fault = false;
    r = options_apply(ret, cli->values, cli->n_values, &file_at_fault, err);
    *ret_code = file_at_fault ? COMMAND_FAILED : COMMAND_MISUSED;
    if (r == 0)
        r = add_uplinks(cli, ret, err);
    return r < 0 ? r : config_finish(ret, err);
}
