#include "show/show.h"

#include <stdio.h>
#include <string.h>

static const char *note_of(const char *applies)
{
    if (strcmp(applies, "restart") == 0)
        return " (needs a restart)";
    return strcmp(applies, "never") == 0 ? " (overridden by the command line)" : "";
}

void show_changes(const json_t *answer)
{
    const json_t *change;
    size_t i;

    json_array_foreach(json_object_get(answer, "changes"), i, change)
    {
        (void)show_print(show_text_of(change, "key"));
        (void)printf(": ");
        (void)show_print(show_text_of(change, "change"));
        (void)printf("%s\n", note_of(show_text_of(change, "applies")));
    }
}
