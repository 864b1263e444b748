/* Writes a new policy and its spec into the current folder. */
#include "cli/cli.h"
#include "main/commands.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 63, TEMPLATE_MAX = 16 * 1024 };

/* A mark in the template, and the text that replaces it. */
struct word {
    const char *mark, *text;
};

/* The rules for policies' names and for file names, without a leading point or dash. */
static bool is_policy_name(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_BYTES || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return true;
}

static char *read_template(const struct paths *paths, const char *name)
{
    char path[1024], *text = calloc(1, TEMPLATE_MAX + 1);

    (void)snprintf(path, sizeof path, "%s/steerway/templates/%s", paths->lua_dir, name);
    FILE *f = text ? fopen(path, "re") : NULL;
    if (f) {
        text[fread(text, 1, TEMPLATE_MAX, f)] = '\0';
        (void)fclose(f);
        return text;
    }
    free(text);
    (void)command_error(COMMAND_FAILED, "%s: %s", path, strerror(errno));
    return NULL;
}

/* Write the template with its marks replaced. */
static int write_filled(FILE *f, const char *text, const struct word *words, size_t n)
{
    while (*text) {
        const struct word *found = NULL;
        for (size_t i = 0; i < n && *text == '@'; i++)
            if (strncmp(text, words[i].mark, strlen(words[i].mark)) == 0)
                found = &words[i];
        if (found) {
            (void)fputs(found->text, f);
            text += strlen(found->mark);
        } else {
            (void)fputc(*text++, f);
        }
    }
    return ferror(f) ? -EIO : 0;
}

static int make_file(const struct paths *paths, const char *file, const char *template,
                     const struct word *words, size_t n)
{
    char *text = read_template(paths, template);
    if (!text)
        return COMMAND_FAILED;
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    int code = COMMAND_OK;

    if (!f)
        code = command_error(COMMAND_FAILED, "%s: %s", file,
                             errno == EEXIST ? "exists already; choose another name" : strerror(errno));
    else if (write_filled(f, text, words, n) < 0)
        code = command_error(COMMAND_FAILED, "%s: cannot be written", file);
    if (f && fclose(f) != 0 && code == COMMAND_OK)
        code = command_error(COMMAND_FAILED, "%s: %s", file, strerror(errno));
    free(text);
    return code;
}

static bool ships(const struct paths *paths, const char *name)
{
    char err[CONFIG_ERROR_MAX], *file;

    if (paths_policy(paths, name, &file, err) < 0)
        return false;
    free(file);
    return true;
}

static int make_both(const struct paths *paths, const char *name)
{
    char file[NAME_MAX_BYTES + 16], spec[NAME_MAX_BYTES + 16], command[1024];

    (void)snprintf(file, sizeof file, "%s.lua", name);
    (void)snprintf(spec, sizeof spec, "%s_spec.lua", name);
    (void)snprintf(command, sizeof command,
                   "luajit \"$(command -v busted)\" --ignore-lua --lpath='%s/?.lua' %s", paths->lua_dir,
                   spec);
    const struct word words[] = {{"@NAME@", name}, {"@FILE@", file}, {"@COMMAND@", command}};
    /* Write both files or none. */
    if (access(spec, F_OK) == 0)
        return command_error(COMMAND_FAILED, "%s: exists already; choose another name", spec);
    int code = make_file(paths, file, "policy.lua", words, ARRAY_LEN(words));
    if (code == COMMAND_OK)
        code = make_file(paths, spec, "policy_spec.lua", words, ARRAY_LEN(words));
    if (code != COMMAND_OK)
        return code;
    (void)printf("Made %s and %s. Edit them, then run:\n\n"
                 "  steerway check %s\n"
                 "  %s\n"
                 "  steerway start --policy ./%s\n\n"
                 "While the proxy runs, saving the file reloads the policy.\n",
                 file, spec, file, command, file);
    if (ships(paths, name))
        (void)printf("\nA shipped policy is also called %s. To use yours, write ./%s.\n", name, file);
    return COMMAND_OK;
}

int cmd_new_policy(const struct cli *cli)
{
    const char *name = cli->words[0];
    char err[CONFIG_ERROR_MAX];
    struct paths paths;

    if (!is_policy_name(name))
        return command_error(
            COMMAND_MISUSED,
            "'%.80s' cannot be a policy's name: expected letters, digits, _ . - (63 at most)", name);
    if (paths_find(&paths, cli_value(cli, "data-dir"), err) < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    int code = make_both(&paths, name);
    paths_done(&paths);
    return code;
}
