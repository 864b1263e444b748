/* Command lines, each as one text with '|' between the arguments. */
#include "cli/cli.h"

#include "cli/command_error.h"
#include "main/verbs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 16, TEXT_MAX = 512 };

/* A command line in memory of its own, since passwords in it are overwritten. */
struct line {
    char text[TEXT_MAX], *argv[ARGS_MAX + 1], err[CONFIG_ERROR_MAX];
    int argc;
    struct cli cli;
};

static void split(struct line *l, const char *args)
{
    char *rest = l->text;

    *l = (struct line){.argc = 0};
    (void)snprintf(l->text, sizeof l->text, "steerway%s%s", *args ? "|" : "", args);
    while (rest) {
        assert_true(l->argc < ARGS_MAX);
        l->argv[l->argc++] = strsep(&rest, "|");
    }
}

static int parse(struct line *l, const char *args)
{
    split(l, args);
    return cli_parse(&l->cli, &VERBS, l->argc, l->argv, l->err);
}

static void must_parse(struct line *l, const char *args)
{
    if (parse(l, args) != 0)
        fail_msg("%s: %s", args, l->err);
}

/* --- what is understood --------------------------------------------------------------------------------- */

static void add(char out[TEXT_MAX], const char *before, const char *text, const char *after)
{
    size_t len = strlen(out);
    (void)snprintf(out + len, TEXT_MAX - len, "%s%s%s", before, text, after);
}

/* "VERB name=text +flag <file> [word]" */
static void describe(const struct cli *c, char out[TEXT_MAX])
{
    (void)snprintf(out, TEXT_MAX, "%s", c->verb ? c->verb->name : "none");
    for (size_t i = 0; i < c->n_values; i++) {
        add(out, " ", c->values[i].option->name, "=");
        add(out, "", c->values[i].text, "");
    }
    add(out, "", c->as_json ? " +json" : "", c->show_help ? " +help" : "");
    add(out, "", c->show_version ? " +version" : "", "");
    if (c->config_file)
        add(out, " <", c->config_file, ">");
    for (size_t i = 0; i < c->n_words; i++)
        add(out, " [", c->words[i], "]");
}

static void each_command_line_is_understood(void **state)
{
    static const struct {
        const char *args, *means;
    } cases[] = {
        /* verbs */
        {"", "none"},
        {"-h", "none +help"},
        {"--help", "none +help"},
        {"-V", "none +version"},
        {"--version", "none +version"},
        {"--help|no-such-command", "none +help"},
        {"start", "start"},
        {"new-policy|mine", "new-policy [mine]"},
        {"help|start", "help [start]"},

        /* a value, in each spelling */
        {"start|--port|8080", "start port=8080"},
        {"start|--port=8080", "start port=8080"},
        {"start|-p|8080", "start port=8080"},
        {"start|-p8080", "start port=8080"},
        {"start|--policy=", "start policy="},
        {"start|--policy|", "start policy="},
        {"start|--set=key=value", "start set=key=value"},
        {"start|--set|key=value", "start set=key=value"},
        {"start|--hedge|-1", "start hedge=-1"},
        {"start|--policy|--debug", "start policy=--debug"},
        {"start|-p=80", "start port==80"}, /* a short option's value has no '=' before it */

        /* flags and several options, in their order */
        {"start|--http", "start http="},
        {"start|--debug|--host|::1|--no-jit", "start debug= host=::1 no-jit="},
        {"start|-p|1|-H|::1|-p|2", "start port=1 host=::1 port=2"},
        {"status|--json", "status +json"},
        {"why|--json|--client=10.0.0.7|a.test", "why client=10.0.0.7 +json [a.test]"},
        {"start|--config|a.lua", "start <a.lua>"},
        {"start|--config=a.lua|--config=b.lua", "start <b.lua>"},

        /* words */
        {"start|eth0|wwan0@0.5", "start [eth0] [wwan0@0.5]"},
        {"start|eth0|--debug|wwan0", "start debug= [eth0] [wwan0]"},
        {"start|-", "start [-]"},
        {"start|", "start []"},
        {"start|--|--debug|-p", "start [--debug] [-p]"},
        {"start|--|--", "start [--]"},
        {"start|--debug|--|--debug", "start debug= [--debug]"},
        {"record", "record"},
        {"record|on|a.trace", "record [on] [a.trace]"},
        {"drain|eth0|off", "drain [eth0] [off]"},

        /* help and version end the line: what follows may be wrong, and what is missing may be missing */
        {"start|-h", "start +help"},
        {"start|--help|--no-such|-p", "start +help"},
        {"start|-V|--no-such", "start +version"},
        {"start|--debug|-h", "start debug= +help"},
        {"drain|--help", "drain +help"},
        {"drain|--version", "drain +version"},
        {"start|-hV", "start +help +version"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[TEXT_MAX];
        struct line l;
        must_parse(&l, cases[i].args);
        describe(&l.cli, text);
        if (strcmp(text, cases[i].means) != 0)
            fail_msg("%s: is \"%s\", not \"%s\"", cases[i].args, text, cases[i].means);
        cli_done(&l.cli);
    }
}

static void no_arguments_at_all_are_none(void **state)
{
    char err[CONFIG_ERROR_MAX];
    struct cli cli;

    (void)state;
    assert_int_equal(cli_parse(&cli, &VERBS, 0, (char *[]){NULL}, err), 0);
    assert_null(cli.verb);
    cli_done(&cli);
}

/* --- what is refused ------------------------------------------------------------------------------------ */

static void each_mistake_is_named(void **state)
{
    static const struct {
        const char *args, *message; /* how it begins */
    } cases[] = {
        {"strat", "unknown command 'strat'; did you mean start?"},
        {"frobnicate", "unknown command 'frobnicate' (known: list, start, check, "},
        {"|start", "unknown command ''"},
        {"--port|80|start", "the command comes first: steerway start --port …"},
        {"--auth=me:secret|start", "the command comes first: steerway start --auth …"},
        {"-x", "the command comes first: steerway start -x …"},

        {"start|--prot|80", "unknown option --prot; did you mean --port?"},
        {"start|--auht=me:secret", "unknown option --auht; did you mean --auth?"},
        {"start|--frobnicate", "unknown option --frobnicate (-h lists the options)"},
        {"start|--seed|7", "start has no option --seed, unlike simulate (-h lists the options)"},
        {"status|--port=80", "status has no option --port, unlike start"},
        {"start|-x", "unknown option -x (-h lists the options)"},
        {"start|-x=secret", "unknown option -x (-h lists the options)"},
        {"status|-p80", "unknown option -p80 (-h lists the options)"},
        {"status|--debgu", "unknown option --debgu (-h lists the options)"}, /* only its own are proposed */

        {"start|--debug=1", "--debug takes no value"},
        {"start|--debug=", "--debug takes no value"},
        {"status|--json=1", "--json takes no value"},
        {"start|--port", "--port: expected PORT after it"},
        {"start|-p", "--port: expected PORT after it"},
        {"start|--config=", "--config: expected the name of a file"},
        {"start|--config|", "--config: expected the name of a file"},

        {"list|eth0", "list takes options only: 'eth0'"},
        {"reload|--|--json", "reload takes options only: '--json'"},
        {"policy|a|b", "policy takes NAME|FILE and no more: 'b'"},
        {"drain|a|off|b", "drain takes UPLINK [off] and no more: 'b'"},
        {"drain", "drain: expected UPLINK [off]"},
        {"set|--json", "set: expected KEY=VALUE"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct line l;
        int r = parse(&l, cases[i].args);
        if (r >= 0 || strncmp(l.err, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s: %d and \"%s\", not \"%s\"", cases[i].args, r, l.err, cases[i].message);
        if (strstr(l.err, "secret"))
            fail_msg("%s: the message shows the password: %s", cases[i].args, l.err);
        cli_done(&l.cli);
    }
}

static void a_long_word_is_cut_in_the_message(void **state)
{
    char args[400];
    struct line l;

    (void)state;
    for (int as_option = 0; as_option < 2; as_option++) {
        (void)snprintf(args, sizeof args, "%s%0300d", as_option ? "start|--" : "", 7);
        assert_true(parse(&l, args) < 0);
        assert_true(strlen(l.err) < 500);
        cli_done(&l.cli);
    }
}

/* --- passwords ------------------------------------------------------------------------------------------ */

static void passwords_are_overwritten(void **state)
{
    static const struct {
        const char *args, *left, *means;
    } cases[] = {
        {"start|--auth|me:pw", "steerway start --auth *****", "start auth=me:pw"},
        {"start|--auth=me:pw", "steerway start --auth=*****", "start auth=me:pw"},
        {"start|--auth=a:1|--auth|b:22", "steerway start --auth=*** --auth ****", "start auth=a:1 auth=b:22"},
        {"start|http://me:pw@h:1", "steerway start ****************", "start [http://me:pw@h:1]"},
        {"start|--|socks5://me:pw@h:1@2", "steerway start -- ********************",
         "start [socks5://me:pw@h:1@2]"},
        {"start|--auth=", "steerway start --auth=", "start auth="},
        /* others stay, so that ps shows them */
        {"start|http://h:1", "steerway start http://h:1", "start [http://h:1]"},
        {"start|wwan0@7", "steerway start wwan0@7", "start [wwan0@7]"},
        {"start|--auth-file|users", "steerway start --auth-file users", "start auth-file=users"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char left[TEXT_MAX] = "", text[TEXT_MAX];
        struct line l;
        must_parse(&l, cases[i].args);
        for (int j = 0; j < l.argc; j++)
            add(left, j ? " " : "", l.argv[j], "");
        assert_string_equal(left, cases[i].left);
        describe(&l.cli, text);
        assert_string_equal(text, cases[i].means);
        cli_done(&l.cli);
        assert_int_equal(l.cli.n_words, 0);
        cli_done(&l.cli); /* harmless */
    }
}

static void they_are_even_if_the_rest_is_wrong(void **state)
{
    struct line l;

    (void)state;
    assert_true(parse(&l, "start|--auth|me:pw|--no-such") < 0);
    assert_string_equal(l.argv[3], "*****");
    cli_done(&l.cli);
}

/* --- values that commands read -------------------------------------------------------------------------- */

static void the_last_value_counts(void **state)
{
    struct line l;

    (void)state;
    must_parse(&l, "simulate|--seed|1|--trace=a|--seed=2");
    assert_string_equal(cli_value(&l.cli, "seed"), "2");
    assert_string_equal(cli_value(&l.cli, "trace"), "a");
    assert_null(cli_value(&l.cli, "svg"));
    assert_null(cli_value(&l.cli, "see"));
    cli_done(&l.cli);
}

static void verbs_are_found_by_their_whole_names(void **state)
{
    const struct verb *verb = NULL;
    char err[CONFIG_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < VERBS.n; i++) {
        assert_int_equal(cli_find_verb(&VERBS, VERBS.items[i].name, &verb, err), 0);
        assert_ptr_equal(verb, &VERBS.items[i]);
    }
    assert_true(cli_find_verb(&VERBS, "star", &verb, err) < 0);
    assert_string_equal(err, "unknown command 'star'; did you mean start?");
}

/* --- the config ----------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/steerway-cli-XXXXXX", file[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || setenv("STEERWAY_DATA_DIR", STEERWAY_SOURCE_DIR, 1) < 0)
        return -1;
    (void)snprintf(file, sizeof file, "%s/config.lua", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* `start`, with the config file or without it, and more arguments. */
static int configure(bool with_file, const char *rest, struct config *ret, int *ret_code, char *err)
{
    char args[TEXT_MAX];
    struct line l;

    (void)snprintf(args, sizeof args, "start%s%s%s%s", with_file ? "|--config|" : "", with_file ? file : "",
                   *rest ? "|" : "", rest);
    must_parse(&l, args);
    int r = cli_configure(&l.cli, ret, ret_code, err);
    cli_done(&l.cli);
    return r;
}

static void the_command_line_overrides_the_file(void **state)
{
    static const struct {
        const char *rest;
        bool with_file;
        const char *uplinks;
        int port;
    } cases[] = {
        {"", false, "", 1080},
        {"", true, " eth0 eth1", 2000},
        {"--port=3000", true, " eth0 eth1", 3000},
        {"wwan0", true, " wwan0", 2000},
        {"eth1|wwan0|--port|3000", true, " eth1 wwan0", 3000},
        {"eth1|--data-dir|" STEERWAY_SOURCE_DIR, true, " eth1", 2000},
    };

    (void)state;
    write_file("return { port = 2000, uplinks = { 'eth0', 'eth1' } }\n");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char err[CONFIG_ERROR_MAX] = "", names[TEXT_MAX] = "";
        struct config c;
        int code;
        if (configure(cases[i].with_file, cases[i].rest, &c, &code, err) != 0)
            fail_msg("%s: %s", cases[i].rest, err);
        for (size_t j = 0; j < c.n_uplinks; j++)
            add(names, " ", c.uplinks[j].interface, "");
        assert_string_equal(names, cases[i].uplinks);
        assert_true(c.n_listen > 0);
        assert_int_equal(addr_port(&c.listen[0].addr), cases[i].port);
        config_done(&c);
    }
}

/* A script tells a mistake in its command line from one in a file by the exit code. */
static void an_error_says_where_it_is(void **state)
{
    static const struct {
        const char *content, *rest; /* NULL: no file */
        int code;
        const char *message;
    } cases[] = {
        {NULL, "--port=many", COMMAND_MISUSED, "--port: "},
        {NULL, "eth0@none", COMMAND_MISUSED, ""},
        {NULL, "eth0|eth0", COMMAND_MISUSED, "uplink eth0 is given twice"},
        {NULL, "--auth-file=/nonexistent/users", COMMAND_FAILED, "--auth-file: "},
        {NULL, "--auth-file=", COMMAND_MISUSED, "--auth-file: "},
        {"return {", "", COMMAND_FAILED, ""},
        {"return { prot = 1 }", "", COMMAND_FAILED, ""},
        {"return { prot = 1 }", "--port=many", COMMAND_FAILED, ""}, /* the file is read first */
        {"return {}", "--port=many", COMMAND_MISUSED, "--port: "},
        {"return {}", "--data-dir=/nonexistent", COMMAND_FAILED, "--data-dir: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char err[CONFIG_ERROR_MAX] = "";
        struct config c;
        int code = -1;
        if (cases[i].content)
            write_file(cases[i].content);
        int r = configure(cases[i].content != NULL, cases[i].rest, &c, &code, err);
        config_done(&c);
        if (r >= 0 || code != cases[i].code || !*err ||
            strncmp(err, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s and %s: %d, code %d, \"%s\"", cases[i].content ? cases[i].content : "no file",
                     cases[i].rest, r, code, err);
    }
}

static void a_file_that_is_missing_is_a_failure(void **state)
{
    char err[CONFIG_ERROR_MAX] = "";
    struct config c;
    int code = -1;

    (void)state;
    (void)unlink(file);
    assert_true(configure(true, "", &c, &code, err) < 0);
    assert_int_equal(code, COMMAND_FAILED);
    assert_non_null(strstr(err, file));
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_line_is_understood),
        cmocka_unit_test(no_arguments_at_all_are_none),
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(a_long_word_is_cut_in_the_message),
        cmocka_unit_test(passwords_are_overwritten),
        cmocka_unit_test(they_are_even_if_the_rest_is_wrong),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(verbs_are_found_by_their_whole_names),
        cmocka_unit_test(the_command_line_overrides_the_file),
        cmocka_unit_test(an_error_says_where_it_is),
        cmocka_unit_test(a_file_that_is_missing_is_a_failure),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
