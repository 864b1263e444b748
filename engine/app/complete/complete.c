#include "complete/complete.h"

#include "base/compiler.h"

#include <errno.h>
#include <string.h>

int complete_print(FILE *out, const struct verb_table *verbs, const char *shell)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out, const struct verb_table *verbs);
    } shells[] = {{"bash", complete_print_bash}, {"zsh", complete_print_zsh}, {"fish", complete_print_fish}};

    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print(out, verbs);
            return 0;
        }
    }
    return -EINVAL;
}
