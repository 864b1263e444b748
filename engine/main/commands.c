#include "main/commands.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static_assert((int)CONFIG_ERROR_MAX >= (int)POLICY_ERROR_MAX, "one buffer takes the errors of all");

int command_error(int code, const char *fmt, ...)
{
    char text[CONFIG_ERROR_MAX + 64];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *p = text; *p; p++) { /* what a user or a file says may hold anything */
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    (void)fprintf(stderr, "steerway: %s\n", text);
    return code;
}

int command_load_policy(const struct config *config, const struct paths *paths, struct uplink_set *uplinks,
                        struct policy **ret, char *err)
{
    char *file;
    int r = paths_policy(paths, config->policy, &file, err);

    if (r < 0)
        return r;
    const struct policy_options options = {.file = file,
                                           .lua_dir = paths->lua_dir,
                                           .params = config->params,
                                           .n_params = config->n_params,
                                           .uplinks = uplinks};
    r = policy_new(ret, &options, err);
    free(file);
    return r;
}
