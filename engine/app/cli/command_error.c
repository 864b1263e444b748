#include "cli/command_error.h"

#include "config/config.h"
#include "show/show.h"

#include <stdarg.h>
#include <stdio.h>

int command_error(int code, const char *fmt, ...)
{
    char text[CONFIG_ERROR_MAX + 64];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    show_harmless(text);
    (void)fprintf(stderr, "steerway: %s\n", text);
    return code;
}
