/* Settings of a config that can have no effect, as sentences for warnings. */
#ifndef STEERWAY_CONFIG_CONFIG_USELESS_H
#define STEERWAY_CONFIG_CONFIG_USELESS_H

#include "config/config.h"

enum { CONFIG_USELESS_MAX = CONFIG_LISTEN_MAX + 16, CONFIG_USELESS_TEXT_MAX = 512 };

struct config_useless {
    char lines[CONFIG_USELESS_MAX][CONFIG_USELESS_TEXT_MAX]; /* without a full stop */
    size_t n;
};

/** Find them, after config_finish. */
void config_useless_find(struct config_useless *ret, const struct config *c);

#endif
