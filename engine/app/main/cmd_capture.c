/* steerway capture: send this machine's traffic, and that of networks behind it, through the running proxy.
 */
#include "ask/ask.h"
#include "capture/capture_apply.h"
#include "control/control_path.h"
#include "main/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- the request ---------------------------------------------------------------------------------------- */

/* @param ret_given  whether any option asks for something */
static int take_request(const struct cli *cli, struct capture_request *ret, bool *ret_given)
{
    static const struct {
        const char *option;
        int (*take)(struct capture_request *r, const char *text, char *err);
    } takers[] = {{"lan", capture_request_add_lan},
                  {"user", capture_request_add_user},
                  {"cgroup", capture_request_add_cgroup},
                  {"when-gone", capture_request_set_when_gone}};
    char err[CAPTURE_ERROR_MAX];

    *ret = (struct capture_request){.n_lans = 0};
    *ret_given = false;
    for (size_t i = 0; i < cli->n_values; i++)
        for (size_t k = 0; k < ARRAY_LEN(takers); k++) {
            if (strcmp(cli->values[i].option->name, takers[k].option) != 0)
                continue;
            *ret_given = true;
            if (takers[k].take(ret, cli->values[i].text, err) < 0)
                return command_error(COMMAND_MISUSED, "%s", err);
        }
    return COMMAND_OK;
}

static int ask_capture(const struct cli *cli, const char *state, const struct capture_request *request,
                       json_t **ret_answer)
{
    return ask(cli,
               json_pack("{s:s, s:s, s:o}", "verb", "capture", "state", state, "request",
                         capture_request_json(request)),
               ret_answer);
}

/* --- on ------------------------------------------------------------------------------------------------- */

/* Another program's table must not be replaced. */
static int refuse_foreign_table(const struct capture_book *b)
{
    struct capture_table t;
    char err[CAPTURE_ERROR_MAX];

    if (capture_table_read(&t, err) < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    int code = COMMAND_OK;
    if (t.foreign > 0)
        code = command_error(COMMAND_FAILED,
                             "the table inet " CAPTURE_NFT_TABLE
                             " has %s, which is not of capture and would be lost",
                             t.example);
    else if (t.exists && t.ours == 0 && !b->record.known)
        code = command_error(COMMAND_FAILED,
                             "a table inet " CAPTURE_NFT_TABLE " exists that capture has not made");
    capture_table_done(&t);
    return code;
}

static int open_book(struct capture_book *b)
{
    int r = capture_book_open(b);

    if (r == -EADDRINUSE)
        return command_error(COMMAND_FAILED, "another steerway capture is at work");
    if (r < 0)
        return command_error(COMMAND_FAILED, "the record of the capture: %s", strerror(-r));
    return COMMAND_OK;
}

/* Only the proxy that holds the rules can let go of them. */
static int refuse_other_proxy(const struct cli *cli, const struct capture_book *b)
{
    const char *holder = b->record.control;
    char path[CONTROL_PATH_MAX];

    (void)ask_is_there(cli, path);
    if (!b->record.known || strcmp(holder, path) == 0 || !control_place_is_served(holder))
        return COMMAND_OK;
    return command_error(COMMAND_FAILED,
                         "another proxy captures: end that by steerway capture off --control %s", holder);
}

/* Take back what this run has added. */
static void take_back(struct capture_book *b, const struct capture_record *before)
{
    char err[CAPTURE_ERROR_MAX];
    bool known = before->known;
    int r = capture_remove_steps(b, &before->steps, err);

    b->record = *before;
    if (r == 0)
        r = known ? capture_book_write(b) : capture_book_clear(b);
    if (r < 0)
        (void)command_error(COMMAND_FAILED, "some routing rules are left; steerway capture off removes them");
}

static int change_machine(const struct cli *cli, struct capture_book *b,
                          const struct capture_request *request, const struct capture_steps *steps)
{
    const struct capture_record before = b->record;
    char err[CAPTURE_ERROR_MAX];
    json_t *answer = NULL;
    int code = COMMAND_OK;

    b->record.request = *request;
    (void)ask_is_there(cli, b->record.control);
    int r = capture_add_steps(b, steps, err);
    if (r == 0)
        code = ask_capture(cli, "on", request, &answer);
    json_decref(answer);
    if (r < 0 || code != COMMAND_OK) {
        take_back(b, &before);
        return r < 0 ? command_error(COMMAND_FAILED, "%s", err) : code;
    }
    /* Those of an earlier capture with other options. */
    if (capture_remove_steps(b, steps, err) < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    return COMMAND_OK;
}

static void describe(const struct capture_request *r)
{
    char options[1024];

    (void)printf("this machine's own traffic%s", r->n_users + r->n_cgroups > 0 ? ", in part" : "");
    if (r->n_lans > 0)
        (void)printf(" and that of %zu network%s behind it", r->n_lans, r->n_lans > 1 ? "s" : "");
    (void)printf(" (%s); without the proxy it %s\n",
                 *capture_request_options(r, options, sizeof options) ? options + 1 : "all",
                 r->stops ? "is stopped" : "flows past");
}

static int refuse_missing_lan(const struct capture_request *r)
{
    for (size_t i = 0; i < r->n_lans; i++)
        if (if_nametoindex(r->lans[i]) == 0)
            return command_error(COMMAND_FAILED, "--lan: this machine has no interface %s", r->lans[i]);
    return COMMAND_OK;
}

/* A unit of systemd asks for the capture when the proxy has been started, which may not listen yet. */
static void await_proxy(const struct cli *cli)
{
    enum { TRIES = 50 };
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    char path[CONTROL_PATH_MAX];

    for (int i = 0; i < TRIES && !ask_is_there(cli, path) && path[0]; i++)
        (void)nanosleep(&pause, NULL);
}

static void print_warnings(const json_t *answer)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(answer, "warnings"), i, item)
    {
        (void)command_error(0, "%s", json_string_value(item));
    }
}

static int switch_on(const struct cli *cli, const struct capture_request *request)
{
    struct capture_book *b = calloc(1, sizeof *b);
    struct capture_steps steps;
    json_t *answer;

    if (!b)
        return command_error(COMMAND_FAILED, "out of memory");
    int code = refuse_missing_lan(request);
    if (code == COMMAND_OK) {
        await_proxy(cli);
        code = ask_capture(cli, "plan", request, &answer);
    }
    if (code == COMMAND_OK) {
        capture_plan_steps(request, json_is_true(json_object_get(answer, "ipv6")), &steps);
        print_warnings(answer);
        json_decref(answer);
        code = open_book(b);
        if (code == COMMAND_OK) {
            code = refuse_other_proxy(cli, b);
            if (code == COMMAND_OK)
                code = refuse_foreign_table(b);
            if (code == COMMAND_OK)
                code = change_machine(cli, b, request, &steps);
            capture_book_close(b);
        }
    }
    free(b);
    if (code == COMMAND_OK && !cli->as_json) {
        (void)printf("captured: ");
        describe(request);
    }
    return code;
}

/* --- off ------------------------------------------------------------------------------------------------ */

static int remove_all(struct capture_book *b)
{
    struct capture_notes *notes = calloc(1, sizeof *notes);
    char err[CAPTURE_ERROR_MAX];

    if (!notes)
        return command_error(COMMAND_FAILED, "out of memory");
    int r = capture_remove_all(b, notes, err);
    for (size_t i = 0; i < notes->n; i++)
        (void)command_error(0, "%s", notes->text[i]);
    free(notes);
    return r < 0 ? command_error(COMMAND_FAILED, "%s", err) : COMMAND_OK;
}

static int switch_off(const struct cli *cli)
{
    static const struct capture_request nothing;
    struct capture_book *b = calloc(1, sizeof *b);
    char path[CONTROL_PATH_MAX];
    json_t *answer = NULL;

    if (!b)
        return command_error(COMMAND_FAILED, "out of memory");
    int code = open_book(b);
    if (code == COMMAND_OK) {
        code = refuse_other_proxy(cli, b);
        if (code == COMMAND_OK && ask_is_there(cli, path))
            code = ask_capture(cli, "off", &nothing, &answer);
        json_decref(answer);
        if (code == COMMAND_OK)
            code = remove_all(b);
        capture_book_close(b);
    }
    free(b);
    if (code == COMMAND_OK && !cli->as_json)
        (void)printf("nothing is captured\n");
    return code;
}

/* --- show ----------------------------------------------------------------------------------------------- */

static void add_command(json_t *list, const char *command, const char *undo)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s}", "command", command, "undo", undo));
}

/* The commands that would do the same, and their undo. @param table  "": unknown */
static json_t *commands_of(const struct capture_steps *steps, const char *table)
{
    json_t *list = json_array();
    char command[CAPTURE_COMMAND_MAX], undo[CAPTURE_COMMAND_MAX], *text = NULL;

    for (size_t i = 0; i < steps->n; i++)
        add_command(list, capture_step_command(&steps->items[i], command),
                    capture_step_undo(&steps->items[i], undo));
    if (*table && asprintf(&text, "nft -f - <<'END'\n%sEND", table) >= 0) {
        add_command(list, text, "nft delete table inet " CAPTURE_NFT_TABLE);
        free(text);
    }
    return list;
}

static void print_commands(const json_t *commands, const struct capture_request *r)
{
    const json_t *item;
    size_t i;

    if (!r->stops)
        (void)printf("(The proxy holds the table of nft; so the kernel removes it when the proxy ends.)\n");
    json_array_foreach(commands, i, item)
    {
        (void)printf("\n%s\n    undo:    %s\n", json_string_value(json_object_get(item, "command")),
                     json_string_value(json_object_get(item, "undo")));
    }
}

static const char *standing(const struct capture_sight *s, bool proxy)
{
    bool all = s->record.steps.n > 0 && s->n_steps == s->record.steps.n;

    if (!s->record.known)
        return s->n_unknown > 0 ? "stale" : "off";
    if (proxy && all && (!s->table_seen || s->table.ours > 0))
        return "on";
    return proxy ? "incomplete" : "stale";
}

static int print_show(const struct cli *cli, const struct capture_sight *s, const char *state,
                      const struct capture_request *r, json_t *commands)
{
    int code = COMMAND_OK;

    if (cli->as_json) {
        json_t *o = json_pack("{s:s, s:o, s:O}", "state", state, "request",
                              s->record.known ? capture_request_json(&s->record.request) : json_null(),
                              "commands", commands);
        if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
            code = command_error(COMMAND_FAILED, "cannot write to standard output");
        (void)putchar('\n');
        json_decref(o);
        return code;
    }
    (void)printf("capture is %s: ", state);
    describe(r);
    print_commands(commands, r);
    return code;
}

static int show(const struct cli *cli, const struct capture_request *asked, bool given)
{
    struct capture_sight *s = calloc(1, sizeof *s);
    struct capture_steps steps;
    char path[CONTROL_PATH_MAX];
    json_t *answer = NULL;
    int code = COMMAND_OK;

    if (!s)
        return command_error(COMMAND_FAILED, "out of memory");
    capture_sight_read(s);
    bool proxy = ask_is_there(cli, path);
    const struct capture_request *r = given || !s->record.known ? asked : &s->record.request;
    if (proxy || given || !s->record.known)
        code = ask_capture(cli, "plan", r, &answer);
    if (code == COMMAND_OK) {
        const char *table = json_string_value(json_object_get(answer, "table"));
        capture_plan_steps(r, json_is_true(json_object_get(answer, "ipv6")), &steps);
        json_t *commands = commands_of(answer ? &steps : &s->record.steps, table ? table : "");
        code = print_show(cli, s, standing(s, proxy), r, commands);
        json_decref(commands);
    }
    json_decref(answer);
    capture_sight_done(s);
    free(s);
    return code;
}

int cmd_capture(const struct cli *cli)
{
    const char *word = cli->words[0];
    struct capture_request request;
    bool given;
    int code = take_request(cli, &request, &given);

    if (code != COMMAND_OK)
        return code;
    if (strcmp(word, "on") == 0)
        return switch_on(cli, &request);
    if (strcmp(word, "show") == 0)
        return show(cli, &request, given);
    if (strcmp(word, "off") != 0)
        return command_error(COMMAND_MISUSED, "capture: expected on, off or show, got '%.60s'", word);
    if (given)
        return command_error(COMMAND_MISUSED,
                             "capture off: it takes no options; it ends all that capture has begun");
    return switch_off(cli);
}
