/* The rights of root that a config needs while the proxy runs: capabilities(7), as bits. */
#ifndef STEERWAY_CONFINE_CONFINE_RIGHTS_H
#define STEERWAY_CONFINE_CONFINE_RIGHTS_H

#include "config/config.h"

enum { CONFINE_RIGHTS_TEXT_MAX = 96 };

/** What a start needs, and each later reading of the same config. */
uint64_t confine_rights_needed(const struct config *c);

/** Those that this process has. */
uint64_t confine_rights_held(void);

/** "CAP_NET_ADMIN, CAP_NET_RAW", or "none". */
const char *confine_rights_text(uint64_t rights, char out[CONFINE_RIGHTS_TEXT_MAX]);

#endif
