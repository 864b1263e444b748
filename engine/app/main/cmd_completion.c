/* Prints the completion script of a shell, and for such scripts what this machine and a running proxy have.
 */
#include "main/commands.h"

#include "ask/ask.h"
#include "cli/cli.h"
#include "complete/complete.h"
#include "control/control_path.h"
#include "uplink/discover.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A shell waits for these at a key, so nothing is said where they cannot be had. */

static void list_uplinks(const struct cli *cli)
{
    char path[CONTROL_PATH_MAX];
    json_t *uplink;
    size_t i;

    if (!ask_is_there(cli, path))
        return;
    json_t *answer = ask_quietly(path, json_pack("{s:s}", "verb", "uplinks"));
    json_array_foreach(json_object_get(answer, "uplinks"), i, uplink)
    {
        const char *name = json_string_value(json_object_get(uplink, "name"));
        (void)printf("%s\n", name ? name : "");
    }
    json_decref(answer);
}

static void list_interfaces(const struct cli *cli)
{
    struct machine m;

    (void)cli;
    if (machine_read(&m) < 0)
        return;
    for (size_t i = 0; i < m.n_links; i++)
        (void)printf("%s\n", m.links[i].name);
    machine_done(&m);
}

static void list_policies(const struct cli *cli)
{
    char err[CONFIG_ERROR_MAX], **names;
    struct paths paths;
    size_t n;

    (void)cli;
    if (paths_find(&paths, NULL, err) < 0)
        return;
    n = paths_list_policies(&paths, &names);
    for (size_t i = 0; i < n; i++) {
        (void)printf("%s\n", names[i]);
        free(names[i]);
    }
    free(names);
    paths_done(&paths);
}

int cmd_completion(const struct cli *cli)
{
    static const struct {
        const char *kind;
        void (*list)(const struct cli *cli);
    } kinds[] = {{"uplinks", list_uplinks}, {"interfaces", list_interfaces}, {"policies", list_policies}};
    const char *word = cli->words[0];

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].kind, word) == 0) {
            kinds[i].list(cli);
            return COMMAND_OK;
        }
    }
    if (complete_print(stdout, cli->verbs, word) < 0)
        return command_error(COMMAND_MISUSED, "completion: expected bash, zsh or fish, got '%.60s'", word);
    return COMMAND_OK;
}
